"""Probes: what the model says when a region is hidden, or shown alone."""

from __future__ import annotations

import dataclasses

from pytest_lime.regions import Region

__all__ = ["TRANSFORMS", "UNUSED", "USED", "Intervention"]

# What may be done to an image that leaves its explanation as it is.
TRANSFORMS = ("hflip", "brightness")

# Where hiding a region leaves no more than this share of the score under every fill, the model uses it …
USED = 0.5
# … and where it leaves this much under every fill, the model can do without.
UNUSED = 0.9


@dataclasses.dataclass(frozen=True)
class Intervention:
    """The scores of an image without a region, and of that region alone.

    Attributes
    ----------
    region : Region
    fills : tuple of str
        What replaced the hidden pixels, one for each score below.
    whole : float
        The score of the image as it is.
    without, alone : tuple of float
        One score a fill.
    """

    region: Region
    fills: tuple[str, ...]
    whole: float
    without: tuple[float, ...]
    alone: tuple[float, ...]

    @property
    def used(self) -> bool | None:
        """Whether the model uses the region on this image; None where the fills disagree, or the effect is middling.

        Only scores above 0 have shares.
        """
        if self.whole <= 0:
            return None
        if max(self.without) <= USED * self.whole:
            return True
        return False if min(self.without) >= UNUSED * self.whole else None

    def describe(self) -> str:
        """Return in words what hiding the region does."""
        fills = ", ".join(f"{score:.3g} ({fill})" for score, fill in zip(self.without, self.fills, strict=True))
        return f"without {self.region!r} the score goes from {self.whole:.3g} to {fills}"
