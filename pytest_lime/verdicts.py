"""Verdicts: what a claim says against what was measured, and how sure that is."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pytest_lime.errors import OptionError, count_words, one_line, printable
from pytest_lime.explanation import Explanation
from pytest_lime.probes import Intervention
from pytest_lime.records import BOUNDS
from pytest_lime.regions import Region

__all__ = ["Check", "Layer", "Status", "Verdict", "barely_alive", "decide", "open_claims", "verdict_lines", "worst"]

Status = Literal["pass", "fail", "inconclusive"]
Relation = Literal[">=", "<="]
# Stands where no status is given, until the verdict sets its own.
UNDECIDED: Any = None
# Samples in which the class is alive, before anything is decided.
FEWEST_ALIVE = 20


@dataclasses.dataclass(frozen=True, eq=False)
class Layer:
    """Another explanation of the image, for the report to draw beside this one.

    Attributes
    ----------
    segments : H×W int64 array
    weights : (d,) float64 array
    """

    segments: NDArray[np.int64]
    weights: NDArray[np.float64]


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
    asks : str
        What the claim accepts, in words that go on from "needs" and "must be", such as ``"at least 3"``.
    scale : (low, high)
        The figure's whole range, for drawing it.
    samples : int
        Samples behind the figure; 0 where it needs none.
    regions : tuple of Region
    top : int
        Of how many of the strongest superpixels it speaks; they get numbers in the report.
    note : str
        A sentence that the reader should know, or an empty string.
    caution : str
        A sentence on what speaks against the verdict, which no reader may overlook, or an empty string.
    needs : int
        About how many samples in all should decide what is inconclusive, if the estimate stays; 0 where that is not
        known, −1 where no number would.
    claim, text : str
        The claim's name, and the claim as it is written in code.
    details : mapping from name to JSON values
        What the record of the verdict holds besides, such as the ``path`` of the interval; it takes no part in `==`.
    beside : Layer or None
        What the report draws beside the explanation, such as a baseline.

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
    asks: str = ""
    scale: tuple[float, float] = (math.nan, math.nan)
    samples: int = 0
    regions: tuple[Region, ...] = ()
    top: int = 0
    note: str = ""
    caution: str = ""
    needs: int = 0
    claim: str = ""
    text: str = ""
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False, compare=False)
    beside: Layer | None = dataclasses.field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.relation not in tuple(BOUNDS):
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
            put("needs", operator.index(self.needs))
        except (TypeError, ValueError, OverflowError) as error:
            raise OptionError(
                "Verdict: estimate, bound, both ends of interval and scale are numbers, samples, top and needs whole "
                f"numbers ({error})."
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
        if not isinstance(self.details, Mapping):
            raise OptionError(f"Verdict: details={one_line(self.details)} must be a mapping of JSON values.")
        if self.status is UNDECIDED:
            put("status", decide(self.interval, self.relation, self.bound))
        if self.status not in ("pass", "fail", "inconclusive"):
            raise OptionError(f"Verdict: status={self.status!r} must be 'pass', 'fail' or 'inconclusive'.")
        figures = [value for value in (self.estimate, low, high, self.bound) if math.isfinite(value)] or [0.0]
        first = first if math.isfinite(first) else min(figures)
        last = last if math.isfinite(last) else max(figures)
        put("scale", (first, last if last > first else first + 1.0))
        for name in ("meaning", "figure", "asks", "note", "caution", "claim", "text"):
            put(name, printable(str(getattr(self, name))))
        put("figure", self.figure or distinct(self.estimate, self.bound))
        put("asks", self.asks or f"{BOUNDS[self.relation]} {distinct(self.bound, self.estimate)}")

    @property
    def holds(self) -> bool:
        """Whether the estimate alone would satisfy the claim."""
        return self.estimate >= self.bound if self.relation == ">=" else self.estimate <= self.bound

    @property
    def sentence(self) -> str:
        """Figure, bound and interval in words."""
        needed = f"needs {self.asks}"
        if not self.samples:
            return f"found {self.figure}, {needed}"
        low, high = (distinct(end, self.bound) for end in self.interval)
        return f"found {self.figure}, {needed}; interval {low} … {high}"

    @property
    def outlook(self) -> str:
        """What would decide an inconclusive claim, in words; empty where that is not known."""
        if self.needs < 0:
            return "more samples alone will hardly decide it"
        return f"about {self.needs:,} samples in all should decide it, if the estimate stays" if self.needs else ""

    def as_json(self) -> dict[str, Any]:
        """Return the verdict as JSON values."""
        return {
            **self.details,
            "claim": self.claim,
            "text": self.text,
            "meaning": self.meaning,
            "status": self.status,
            "estimate": _finite(self.estimate),
            "interval": [_finite(end) for end in self.interval],
            "relation": self.relation,
            "bound": _finite(self.bound),
            "figure": self.figure,
            "asks": self.asks,
            "scale": list(self.scale),
            "samples": self.samples,
            "needs": self.needs,
            "outlook": self.outlook if self.status == "inconclusive" else "",
            "note": self.note,
            "caution": self.caution,
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
    interventions : tuple of Intervention
        What hiding each region, and showing it alone, does to the score.
    """

    explanation: Explanation
    verdicts: tuple[Verdict, ...]
    interventions: tuple[Intervention, ...] = ()

    @property
    def status(self) -> Status:
        """Fail if any claim failed, else inconclusive if any is, else pass."""
        return worst([verdict.status for verdict in self.verdicts])

    @property
    def headline(self) -> str:
        """Image, target and how many claims failed or stayed open, on one line."""
        explanation = self.explanation
        failed, undecided = (sum(v.status == status for v in self.verdicts) for status in ("fail", "inconclusive"))
        claims = count_words(len(self.verdicts), "claim")
        of = f"of {claims} about {explanation.labels[0]!r} in {explanation.image.name!r}"
        if failed:
            return f"{failed} {of} failed" + (f", {undecided} inconclusive" if undecided else "")
        return f"{undecided} {of} inconclusive" if undecided else f"{len(self.verdicts)} {of} hold"

    @property
    def leaning(self) -> str:
        """The claims that stayed open, and what the estimates alone say of them."""
        return "; ".join(
            f"{verdict.text}: {verdict.sentence}, the estimate alone {'holds' if verdict.holds else 'fails'}"
            + "".join(f" ({told})" for told in (verdict.outlook, verdict.note, verdict.caution) if told)
            for verdict in self.verdicts
            if verdict.status == "inconclusive"
        )

    def message(self, report: str = "") -> str:
        """Return every claim with its figures, in several lines; `report` is the path of the report."""
        explanation = self.explanation
        lines = [f"{self.headline}."]
        for verdict in self.verdicts:
            lines += verdict_lines(verdict, "  ")
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
    dead = barely_alive(check.explanation)
    return sum(verdict.status == "inconclusive" or (dead and verdict.samples > 0) for verdict in check.verdicts)


def barely_alive(explanation: Explanation) -> bool:
    """Whether the class is alive in so few samples that nothing is decided yet."""
    return bool(not explanation.complete and explanation.alive[0] * explanation.samples < FEWEST_ALIVE)


def verdict_lines(verdict: Verdict, indent: str) -> list[str]:
    """Return a verdict in words: what was claimed, what was found, and what to know."""
    lines = [f"{indent}{verdict.status.upper()}: {verdict.meaning}", f"{indent}    {verdict.sentence}"]
    if verdict.status == "inconclusive" and verdict.outlook:
        lines.append(f"{indent}    {verdict.outlook}")
    told = {"note": verdict.note, "caution": verdict.caution}
    return lines + [f"{indent}    {kind}: {words}" for kind, words in told.items() if words]


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
