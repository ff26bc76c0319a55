"""Verdicts: what a claim says against what was measured, and how sure that is."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pytest_lime.explanation import Explanation

if TYPE_CHECKING:
    from pytest_lime.regions import Region

__all__ = ["Check", "Status", "Verdict", "decide"]

Status = Literal["pass", "fail", "inconclusive"]
Relation = Literal[">=", "<="]
WORDS = {">=": "at least", "<=": "at most"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of one claim.

    Attributes
    ----------
    claim : str
        Its registered name.
    text : str
        The claim as it is written in code.
    meaning : str
        The claim in words.
    status : ``"pass"``, ``"fail"`` or ``"inconclusive"``
        Pass when the interval lies wholly in what the claim accepts, fail when wholly
        outside, else inconclusive.
    estimate : float
        The figure itself.
    interval : (low, high)
        Where the figure lies at the check's confidence, as far as sampling goes.
    relation, bound : ``">="`` or ``"<="``, float
        What the claim accepts.
    figure : str
        The estimate in words, such as ``"1 of 4"``.
    scale : (low, high)
        The figure's whole range, for drawing it.
    samples : int
        Samples behind the figure; 0 where it needs none.
    regions : tuple of Region
    note : str
        A sentence that the reader should know, or an empty string.
    """

    claim: str
    text: str
    meaning: str
    status: Status
    estimate: float
    interval: tuple[float, float]
    relation: Relation
    bound: float
    figure: str
    scale: tuple[float, float]
    samples: int
    regions: tuple[Region, ...] = ()
    note: str = ""

    @property
    def holds(self) -> bool:
        """Whether the estimate alone would satisfy the claim."""
        return self.estimate >= self.bound if self.relation == ">=" else self.estimate <= self.bound

    @property
    def sentence(self) -> str:
        """Figure, bound and interval in words."""
        needed = f"needs {WORDS[self.relation]} {self.bound:.4g}"
        if not self.samples:
            return f"found {self.figure}, {needed}"
        return f"found {self.figure}, {needed}; interval {self.interval[0]:.3g} … {self.interval[1]:.3g}"

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
            "scale": [_finite(end) for end in self.scale],
            "samples": self.samples,
            "note": self.note,
        }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


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

    def message(self, report: str = "") -> str:
        """Return every claim with its figures, in several lines; `report` is the path of the report."""
        explanation = self.explanation
        lines = [f"{self.headline}."]
        for verdict in self.verdicts:
            lines.append(f"  {verdict.status.upper()}: {verdict.meaning}")
            lines.append(f"      {verdict.sentence}")
            if verdict.note:
                lines.append(f"      note: {verdict.note}")
        lines.append(f"  {describe_model(explanation)}")
        sampling = f"{explanation.samples:,} samples ({explanation.sampler}) over {explanation.superpixels} superpixels"
        lines.append(
            f"  {sampling}; surrogate R² {explanation.r2[0]:.2f}; intervals at {explanation.confidence:.4g} confidence"
        )
        if report:
            lines.append(f"  report: {report}")
        return "\n".join(lines)


def worst(statuses: Sequence[Status]) -> Status:
    """Return ``"fail"`` if it is among `statuses`, else ``"inconclusive"`` if it is, else ``"pass"``."""
    gravest: tuple[Status, ...] = ("fail", "inconclusive")
    for status in gravest:
        if status in statuses:
            return status
    return "pass"


def describe_model(explanation: Explanation) -> str:
    """Return what the model says of the whole image, in words."""
    rank = explanation.rank()
    words = f"the model gives {explanation.labels[0]!r} {explanation.score[0]:.3g} (rank {rank})"
    if rank > 1:
        first = int(explanation.prediction.argmax())
        words += f" and predicts {explanation.class_names[first]!r} {explanation.prediction[first]:.3g}"
    return words


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
