"""Perturbation: which superpixels are hidden in each sample."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_lime.designs import hadamard, order
from pytest_lime.errors import OptionError

__all__ = ["ENUMERATED", "MaskStream"]

Masks = NDArray[np.uint8]
# Up to this many superpixels all masks are enumerated unless independent ones are asked for.
ENUMERATED = 12
# 65,536 passes: the most that a user can mean by "exhaustive".
MOST_ENUMERATED = 16
CHUNK = 1024
# Samplers whose masks 2i and 2i+1 are complements.
PAIRED = ("hadamard", "antithetic")


class MaskStream:
    """The masks of one explanation, drawn in order and as many as asked for.

    What is drawn does not depend on the portions it is drawn in: twice 50 masks are the
    same as 100 at once, so that sampling can go on later.

    Parameters
    ----------
    sampler : ``"hadamard"``, ``"antithetic"``, ``"bernoulli"``, ``"lime"``, ``"exhaustive"``, or an N×d array of 0/1
        As in `LimeOptions`.
    superpixels : int
        d, the number of superpixels.
    seed : int
        Seed of the random generator (numpy's PCG64).

    Attributes
    ----------
    sampler : str
        What is really used: ``"exhaustive"`` where d ≤ 12 makes that the better choice of
        ``"hadamard"`` and ``"antithetic"``, ``"given"`` for an array.
    length : int or None
        How many masks there are; None when there is no end.
    paired : bool
        Masks 2i and 2i+1 are complements of each other.

    Raises
    ------
    OptionError
        The array has another number of columns than d, or there are too many superpixels
        to enumerate.
    """

    def __init__(self, sampler: Any, superpixels: int, seed: int) -> None:
        self.superpixels = superpixels
        self.length: int | None = None
        self._rng = np.random.default_rng(seed)
        self._pending: Masks = np.empty((0, superpixels), dtype=np.uint8)
        self._drawn = 0
        self._given: NDArray[Any] | None = None
        if not isinstance(sampler, str):
            self.sampler = "given"
            self._given = self._check_given(np.asarray(sampler))
            self.length = len(self._given)
        elif sampler == "exhaustive" or (sampler in PAIRED and superpixels <= ENUMERATED):
            if superpixels > MOST_ENUMERATED:
                raise OptionError(
                    f"sampler='exhaustive' would need 2^{superpixels} passes for {superpixels} superpixels; "
                    f"it takes at most {MOST_ENUMERATED}: lower segments, or choose sampler='antithetic'."
                )
            self.sampler = "exhaustive"
            self.length = 2**superpixels
        else:
            self.sampler = sampler
        self.paired = self.sampler in PAIRED
        self._design = hadamard(superpixels, self._rng) if self.sampler == "hadamard" else None
        # The generator of the lime package, which first takes a seed for its superpixels from it.
        self._lime = np.random.RandomState(seed if self.sampler == "lime" else 0)
        self._lime.randint(0, 1000)

    @property
    def block(self) -> int:
        """How many masks are balanced against each other, so that fewer of them say less; 1 without a design."""
        return 2 * order(self.superpixels) if self._design is not None else 1

    def draw(self, count: int) -> Masks:
        """Return the next `count` masks, fewer at the end, as a count×d uint8 array; 1 shows a superpixel."""
        if self.length is not None:
            count = min(count, self.length - self._drawn)
        start, self._drawn = self._drawn, self._drawn + count
        if self._given is not None:
            return self._given[start : start + count].astype(np.uint8)
        if self.sampler == "exhaustive":
            numbers = np.arange(start, start + count, dtype=np.uint32)
            return ((numbers[:, None] >> np.arange(self.superpixels, dtype=np.uint32)) & 1).astype(np.uint8)
        portions = [self._pending]
        have = len(self._pending)
        while have < count:
            fresh = self._fresh()
            portions.append(fresh)
            have += len(fresh)
        drawn = np.concatenate(portions)
        if self.sampler == "lime" and start == 0:
            # The package draws this row like the others, and then shows everything.
            drawn[:1] = 1
        self._pending = drawn[count:]
        return drawn[:count]

    def _fresh(self) -> Masks:
        # Always the same portion of the generator, whatever was asked for.
        if self._design is not None:
            return next(self._design)
        if self.sampler == "lime":
            return self._lime.randint(0, 2, (CHUNK, self.superpixels)).astype(np.uint8)
        if not self.paired:
            return self._rng.integers(0, 2, (CHUNK, self.superpixels), dtype=np.uint8)
        half = self._rng.integers(0, 2, (CHUNK // 2, self.superpixels), dtype=np.uint8)
        return np.stack([half, 1 - half], axis=1).reshape(CHUNK, self.superpixels)

    def _check_given(self, masks: NDArray[Any]) -> NDArray[Any]:
        if masks.shape[1] != self.superpixels:
            raise OptionError(
                f"sampler: the mask matrix has {masks.shape[1]} columns and the image {self.superpixels} superpixels; "
                "it needs one column a superpixel: give the label map too, and align_to_regions=False where a claim "
                "has a region."
            )
        return masks
