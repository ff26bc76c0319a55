"""Sets: the same check made of many images, and how many of them hold."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from pytest_lime.errors import OptionError, count_words, one_line
from pytest_lime.groups import rate_interval
from pytest_lime.verdicts import Status, Verdict, verdict_lines

__all__ = ["CheckSet", "ImageCheck", "check_share"]

OTHERS: dict[Status, str] = {"fail": "failed", "inconclusive": "inconclusive"}
# A message tells so many images of a set in full.
LISTED = 10


@dataclasses.dataclass(frozen=True)
class ImageCheck:
    """What became of one image of a set.

    Attributes
    ----------
    name : str
        Of the image.
    status : ``"pass"``, ``"fail"`` or ``"inconclusive"``
    verdicts : tuple of Verdict
    headline : str
        Image, target and how many claims failed or stayed open.
    where : str
        Where the report shows it.
    """

    name: str
    status: Status
    verdicts: tuple[Verdict, ...]
    headline: str
    where: str


@dataclasses.dataclass(frozen=True)
class CheckSet:
    """The same check made of many images.

    Attributes
    ----------
    images : tuple of ImageCheck
        Those that were looked at, in the order in which they were given.
    mostly : float
        The share of images that must hold.
    total : int
        How many images there are; those that could not change the outcome any more were not looked at.
    confidence : float
        Level of `interval`.
    """

    images: tuple[ImageCheck, ...]
    mostly: float
    total: int
    confidence: float = 0.95

    def count(self, status: Status) -> int:
        """Return for how many images the outcome is `status`."""
        return sum(image.status == status for image in self.images)

    @property
    def rate(self) -> float:
        """The share of the decided images that hold; 0 where none is decided."""
        held, failed = self.count("pass"), self.count("fail")
        return held / (held + failed) if held + failed else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Where the rate lies.

        With all images looked at, that of all such images, were these drawn from them at random (Clopper–Pearson).
        With some left out, since the outcome was decided, that of the images themselves, whatever those are: a rate
        that was looked at until it was decided says too much of others.
        """
        if len(self.images) < self.total:
            return self.count("pass") / self.total, 1 - self.count("fail") / self.total
        held, failed = self.count("pass"), self.count("fail")
        return rate_interval(held, held + failed, self.confidence) if held + failed else (0.0, 1.0)

    @property
    def needed(self) -> int:
        """How many images must hold."""
        # A share of 0.6 of 5 is 3, not 4, whatever binary fractions make of it.
        return max(1, math.ceil(self.mostly * self.total - 1e-9))

    @property
    def status(self) -> Status:
        """Pass where enough images hold, fail where too few can, inconclusive where the open ones decide."""
        if self.count("pass") >= self.needed:
            return "pass"
        return "fail" if self.total - self.count("fail") < self.needed else "inconclusive"

    @property
    def headline(self) -> str:
        """How many images hold, and how many must, on one line."""
        total, held, unseen = self.total, self.count("pass"), self.total - len(self.images)
        others = [f"{self.count(status)} {word}" for status, word in OTHERS.items() if self.count(status)]
        others += [f"{unseen} not looked at, since the outcome was decided"] if unseen else []
        asked = "all must" if self.needed == total else f"{self.needed} must (mostly={self.mostly:g})"
        return f"{held} of {count_words(total, 'image')} {'holds' if total == 1 else 'hold'} and {asked}" + (
            f": {', '.join(others)}" if others else ""
        )

    @property
    def leaning(self) -> str:
        """The images that stayed open."""
        return ", ".join(image.name for image in self.images if image.status == "inconclusive")

    def message(self, report: str = "") -> str:
        """Return what did not hold with its figures, in several lines; `report` is the path of the report."""
        low, high = self.interval
        whose = (
            f"{self.confidence:.4g} interval for such images" if len(self.images) == self.total else "of these images"
        )
        lines = [f"{self.headline}.", f"  rate {self.rate:.3g}, {whose} {low:.3g} … {high:.3g}"]
        concerned = [image for image in self.images if image.status != "pass"]
        # The gravest first.
        concerned.sort(key=lambda image: image.status != "fail")
        for image in concerned[:LISTED]:
            lines.append(f"  {image.headline}")
            for verdict in image.verdicts:
                if verdict.status != "pass":
                    lines += verdict_lines(verdict, "    ")
        if len(concerned) > LISTED:
            lines.append(f"  and {count_words(len(concerned) - LISTED, 'more image')}")
        if report:
            lines.append(f"  report: {report}")
        return "\n".join(lines)


def check_share(name: str, value: Any) -> float:
    """Return `value` as a share.

    Raises
    ------
    OptionError
        It is no number in (0, 1].
    """
    number = isinstance(value, bool | str) is False and hasattr(value, "__float__") and not getattr(value, "shape", 0)
    if not number or not 0 < value <= 1:
        raise OptionError(f"{name}={one_line(value)} must be a share in (0, 1], such as 0.95.")
    return float(value)
