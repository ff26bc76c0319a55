"""Verdicts: what a claim says against what was measured, and how sure that is."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import numpy as np

from pytest_lime.errors import OptionError, one_line
from pytest_lime.explanation import Explanation
from pytest_lime.regions import Region

__all__ = ["Check", "CheckSet", "ImageCheck", "Status", "Verdict", "check_share", "decide", "open_claims"]

Status = Literal["pass", "fail", "inconclusive"]
Relation = Literal[">=", "<="]
# Stands where no status is given, until the verdict sets its own.
UNDECIDED: Any = None
WORDS = {">=": "at least", "<=": "at most"}
OTHERS: dict[Status, str] = {"fail": "failed", "inconclusive": "inconclusive"}
# Samples in which the class is alive, before anything is decided.
FEWEST_ALIVE = 20
# A message tells so many images of a set in full.
LISTED = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of one claim.

    A claim of your own needs to give `meaning`, `estimate`, `interval`, `relation` and
    `bound`; the rest follows from these.

    Attributes
    ----------
    meaning : str
        The claim in words.
    estimate : float
        The figure itself.
    interval : (low, high)
        Where the figure lies at the check's confidence, as far as sampling goes.
    relation, bound : ``">="`` or ``"<="``, float
        What the claim accepts.
    status : ``"pass"``, ``"fail"`` or ``"inconclusive"``
        Pass when the interval lies wholly in what the claim accepts, fail when wholly
        outside, else inconclusive; `decide` says so where it is not given.
    figure : str
        The estimate in words, such as ``"1 of 4"``.
    scale : (low, high)
        The figure's whole range, for drawing it.
    samples : int
        Samples behind the figure; 0 where it needs none.
    regions : tuple of Region
    top : int
        Of how many of the strongest superpixels it speaks; they get numbers in the report.
    note : str
        A sentence that the reader should know, or an empty string.
    claim, text : str
        The claim's name, and the claim as it is written in code.

    Raises
    ------
    OptionError
        A value is not as above.
    """

    meaning: str
    estimate: float
    interval: tuple[float, float]
    relation: Relation
    bound: float
    status: Status = UNDECIDED
    figure: str = ""
    scale: tuple[float, float] = (math.nan, math.nan)
    samples: int = 0
    regions: tuple[Region, ...] = ()
    top: int = 0
    note: str = ""
    claim: str = ""
    text: str = ""

    def __post_init__(self) -> None:
        if self.relation not in tuple(WORDS):
            raise OptionError(f"Verdict: relation={self.relation!r} must be '>=' or '<='.")
        put = partial(object.__setattr__, self)
        try:
            put("estimate", float(self.estimate))
            put("bound", float(self.bound))
            low, high = map(float, self.interval)
            put("interval", (low, high))
            first, last = map(float, self.scale)
            put("samples", operator.index(self.samples))
            put("top", operator.index(self.top))
        except (TypeError, ValueError) as error:
            raise OptionError(
                "Verdict: estimate, bound, both ends of interval and scale are numbers, samples and top whole numbers "
                f"({error})."
            ) from None
        slack = 1e-9 * abs(self.estimate) if math.isfinite(self.estimate) else 0.0
        if math.isnan(self.bound) or not low - slack <= self.estimate <= high + slack:
            raise OptionError(
                f"Verdict: estimate={self.estimate}, interval={self.interval} and bound={self.bound} must be numbers, "
                "and the estimate must lie in the interval."
            )
        if not isinstance(self.regions, tuple | list) or not all(isinstance(one, Region) for one in self.regions):
            raise OptionError(f"Verdict: regions={one_line(self.regions)} must be a tuple of regions.")
        put("regions", tuple(self.regions))
        if self.status is UNDECIDED:
            put("status", decide(self.interval, self.relation, self.bound))
        if self.status not in ("pass", "fail", "inconclusive"):
            raise OptionError(f"Verdict: status={self.status!r} must be 'pass', 'fail' or 'inconclusive'.")
        figures = [value for value in (self.estimate, low, high, self.bound) if math.isfinite(value)] or [0.0]
        first = first if math.isfinite(first) else min(figures)
        last = last if math.isfinite(last) else max(figures)
        put("scale", (first, last if last > first else first + 1.0))
        for name in ("meaning", "figure", "note", "claim", "text"):
            put(name, str(getattr(self, name)))
        put("figure", self.figure or distinct(self.estimate, self.bound))

    @property
    def holds(self) -> bool:
        """Whether the estimate alone would satisfy the claim."""
        return self.estimate >= self.bound if self.relation == ">=" else self.estimate <= self.bound

    @property
    def sentence(self) -> str:
        """Figure, bound and interval in words."""
        needed = f"needs {WORDS[self.relation]} {distinct(self.bound, self.estimate)}"
        if not self.samples:
            return f"found {self.figure}, {needed}"
        low, high = (distinct(end, self.bound) for end in self.interval)
        return f"found {self.figure}, {needed}; interval {low} … {high}"

    def as_json(self) -> dict[str, Any]:
        """Return the verdict as JSON values."""
        return {
            "claim": self.claim,
            "text": self.text,
            "meaning": self.meaning,
            "status": self.status,
            "estimate": _finite(self.estimate),
            "interval": [_finite(end) for end in self.interval],
            "relation": self.relation,
            "bound": _finite(self.bound),
            "figure": self.figure,
            "scale": list(self.scale),
            "samples": self.samples,
            "note": self.note,
        }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def distinct(value: float, other: float) -> str:
    """Return `value` with three digits, or as many as it takes to tell it from `other`.

    >>> distinct(0.5, 0.31), distinct(0.5, 0.50004), distinct(3, 3)
    ('0.5', '0.5', '3')
    >>> distinct(0.50004, 0.5)
    '0.50004'
    """
    for digits in range(3, 10):
        text = f"{value:.{digits}g}"
        if value == other or text != f"{other:.{digits}g}":
            break
    return text


def decide(interval: tuple[float, float], relation: Relation, bound: float) -> Status:
    """Return the status of a figure that lies in `interval`.

    >>> decide((0.5, 0.7), ">=", 0.5), decide((0.1, 0.4), ">=", 0.5), decide((0.4, 0.6), ">=", 0.5)
    ('pass', 'fail', 'inconclusive')
    """
    low, high = interval
    if relation == "<=":
        low, high, bound = -high, -low, -bound
    if low >= bound:
        return "pass"
    return "fail" if high < bound else "inconclusive"


@dataclasses.dataclass(frozen=True, eq=False)
class Check:
    """An explanation with the verdicts on every claim made about it.

    Attributes
    ----------
    explanation : Explanation
    verdicts : tuple of Verdict
    """

    explanation: Explanation
    verdicts: tuple[Verdict, ...]

    @property
    def status(self) -> Status:
        """Fail if any claim failed, else inconclusive if any is, else pass."""
        return worst([verdict.status for verdict in self.verdicts])

    @property
    def headline(self) -> str:
        """Image, target and how many claims failed or stayed open, on one line."""
        explanation = self.explanation
        failed, undecided = (sum(v.status == status for v in self.verdicts) for status in ("fail", "inconclusive"))
        of = f"of {_count(len(self.verdicts), 'claim')} about {explanation.labels[0]!r} in {explanation.image.name!r}"
        if failed:
            return f"{failed} {of} failed" + (f", {undecided} inconclusive" if undecided else "")
        return f"{undecided} {of} inconclusive" if undecided else f"{len(self.verdicts)} {of} hold"

    @property
    def leaning(self) -> str:
        """The claims that stayed open, and what the estimates alone say of them."""
        return "; ".join(
            f"{verdict.text}: {verdict.sentence}, the estimate alone {'holds' if verdict.holds else 'fails'}"
            + (f" ({verdict.note})" if verdict.note else "")
            for verdict in self.verdicts
            if verdict.status == "inconclusive"
        )

    def message(self, report: str = "") -> str:
        """Return every claim with its figures, in several lines; `report` is the path of the report."""
        explanation = self.explanation
        lines = [f"{self.headline}."]
        for verdict in self.verdicts:
            lines += _lines(verdict, "  ")
        lines.append(f"  {describe_model(explanation)}")
        if (shift := explanation.precision_shift) is not None and explanation.options.precision != "float32":
            lines.append(f"  {explanation.options.precision} moves this score by {shift[0]:+.3g} against float32")
        sampling = f"{explanation.samples:,} samples ({explanation.sampler}) over {explanation.superpixels} superpixels"
        heldout = explanation.r2_heldout[0]
        unseen = f" ({heldout:.2f} held out)" if np.isfinite(heldout) else ""
        lines.append(
            f"  {sampling}; surrogate R² {explanation.r2[0]:.2f}{unseen}; "
            f"intervals at {explanation.confidence:.4g} confidence{', at every look' if explanation.anytime else ''}"
        )
        lines += [f"  caution: {warning}" for warning in explanation.warnings()]
        if report:
            lines.append(f"  report: {report}")
        return "\n".join(lines)


def open_claims(check: Check) -> int:
    """Return how many claims more samples should decide.

    Besides the inconclusive ones these are all that rest on samples, while the class is alive in a handful of them
    only: with none of them alive yet every figure would be 0 without any error.
    """
    explanation = check.explanation
    dead = not explanation.complete and explanation.alive[0] * explanation.samples < FEWEST_ALIVE
    return sum(verdict.status == "inconclusive" or (dead and verdict.samples > 0) for verdict in check.verdicts)


def _lines(verdict: Verdict, indent: str) -> list[str]:
    """Return a verdict in words: what was claimed, what was found, and what to know."""
    lines = [f"{indent}{verdict.status.upper()}: {verdict.meaning}", f"{indent}    {verdict.sentence}"]
    return [*lines, f"{indent}    note: {verdict.note}"] if verdict.note else lines


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
        In the order in which they were given.
    mostly : float
        The share of images that must hold.
    """

    images: tuple[ImageCheck, ...]
    mostly: float

    def count(self, status: Status) -> int:
        """Return for how many images the outcome is `status`."""
        return sum(image.status == status for image in self.images)

    @property
    def rate(self) -> float:
        """The share of images that hold."""
        return self.count("pass") / len(self.images)

    @property
    def needed(self) -> int:
        """How many images must hold."""
        # A share of 0.6 of 5 is 3, not 4, whatever binary fractions make of it.
        return max(1, math.ceil(self.mostly * len(self.images) - 1e-9))

    @property
    def status(self) -> Status:
        """Pass where enough images hold, fail where too few can, inconclusive where the open ones decide."""
        held = self.count("pass")
        if held >= self.needed:
            return "pass"
        return "fail" if held + self.count("inconclusive") < self.needed else "inconclusive"

    @property
    def headline(self) -> str:
        """How many images hold, and how many must, on one line."""
        total, held = len(self.images), self.count("pass")
        others = [f"{self.count(status)} {word}" for status, word in OTHERS.items() if self.count(status)]
        asked = "all must" if self.needed == total else f"{self.needed} must (mostly={self.mostly:g})"
        return f"{held} of {_count(total, 'image')} {'holds' if total == 1 else 'hold'} and {asked}" + (
            f": {', '.join(others)}" if others else ""
        )

    @property
    def leaning(self) -> str:
        """The images that stayed open."""
        return ", ".join(image.name for image in self.images if image.status == "inconclusive")

    def message(self, report: str = "") -> str:
        """Return what did not hold with its figures, in several lines; `report` is the path of the report."""
        lines = [f"{self.headline}."]
        concerned = [image for image in self.images if image.status != "pass"]
        # The gravest first.
        concerned.sort(key=lambda image: image.status != "fail")
        for image in concerned[:LISTED]:
            lines.append(f"  {image.headline}")
            for verdict in image.verdicts:
                if verdict.status != "pass":
                    lines += _lines(verdict, "    ")
        if len(concerned) > LISTED:
            lines.append(f"  and {_count(len(concerned) - LISTED, 'more image')}")
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


def worst(statuses: Sequence[Status]) -> Status:
    """Return ``"fail"`` if it is among `statuses`, else ``"inconclusive"`` if it is, else ``"pass"``."""
    gravest: tuple[Status, ...] = ("fail", "inconclusive")
    for status in gravest:
        if status in statuses:
            return status
    return "pass"


def describe_model(explanation: Explanation, row: int = 0) -> str:
    """Return what the model says of the whole image and the class of `row`, in words."""
    target = explanation.targets[row]
    rank = explanation.rank(target)
    words = f"the model gives {explanation.labels[row]!r} {explanation.score[row]:.3g}"
    if explanation.minus is not None:
        return words
    words += f" (rank {rank})"
    if rank > 1:
        # Not the class itself, which may share the first place.
        order = np.argsort(-explanation.prediction, kind="stable")
        first = int(order[order != target][0])
        words += f" and predicts {explanation.class_names[first]!r} {explanation.prediction[first]:.3g}"
    return words


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
