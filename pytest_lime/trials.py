"""Trials: claims that ask the model once more, when the explanation is there."""

from __future__ import annotations

import abc
import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from pytest_lime.agreement import rank_agreement
from pytest_lime.anytime import errors_either_side
from pytest_lime.claims import SETTLED, Claim, looks_the_same, named, naming, samples_to_decide, settled, unsettled
from pytest_lime.errors import OptionError, is_for_the_user, nearest, one_line, user_error
from pytest_lime.explanation import Explanation, check_k
from pytest_lime.interval_paths import Point, path_of
from pytest_lime.options import as_whole_number, check_number
from pytest_lime.perturbation import MaskStream
from pytest_lime.probes import TRANSFORMS, UNUSED, USED, Intervention
from pytest_lime.records import BOUNDS
from pytest_lime.regions import Region, as_region, distinct_regions, same_region
from pytest_lime.verdicts import Check, Relation, Verdict

__all__ = [
    "Lab",
    "Trial",
    "conclude",
    "faithful",
    "invariant",
    "necessity",
    "no_reliance",
    "sampled",
    "sane",
    "stable",
    "sufficiency",
]

__tracebackhide__ = is_for_the_user

Array = NDArray[np.float64]
# Contexts of the first look of `no_reliance`, and by which each later look has more.
CONTEXTS = 16
# Orders that the curves of `faithful` are compared with: none may do as well for a p-value of 1/20.
ORDERS = 19
# Points of a curve between nothing and everything.
STEPS = 9
# Of fewer superpixels a random order is too often the very one that is tried.
FEWEST_TO_ORDER = 6


class Lab(Protocol):
    """What a trial may ask of the model about the image that was explained; see `pytest_lime.laboratory`."""

    explanation: Explanation

    def scores(self, masks: NDArray[np.uint8]) -> Array:
        """Return the target's score for each mask of the superpixels, N×d."""

    def intervene(self, regions: Sequence[Region]) -> list[Intervention]:
        """Hide each region, and show each alone."""

    def with_seed(self, seed: int) -> Explanation:
        """Explain the image by other masks."""

    def transformed(self, name: str) -> Explanation:
        """Explain the image after a transformation."""

    def randomised(self) -> Explanation:
        """Explain the image by the network with its weights shuffled."""

    def again(self, *, samples: int, segments: NDArray[np.int64] | None = None, model: Any = None) -> Explanation:
        """Explain the image by the first so many masks, on superpixels and by a model that may be others."""

    named: bool
    """Whether the class was asked for, and is not the one that is predicted."""
    shelf: Any
    """The baselines of the test (`pytest_lime.baselines.Shelf`); None where there is no test."""


class Trial(Claim):
    """A claim that needs more of the model than the samples of the explanation; one method, `conduct`.

    Its passes are made once and kept in the cache: those that hide a region or show it alone beside the first
    samples, all others after the claims on samples are decided.

    Attributes
    ----------
    intervenes : bool
        It asks what hiding its regions does, which the evidence of a check holds anyway.
    """

    intervenes: bool = False

    @abc.abstractmethod
    def conduct(self, lab: Lab) -> Verdict:
        """Return the verdict on the first target of ``lab.explanation``."""

    def judge(self, explanation: Explanation) -> Verdict:
        """Raise an `OptionError`: an explanation alone cannot tell."""
        raise OptionError(f"{self!r} asks the model again, which an explanation alone cannot: use it in lime.check.")


@user_error
def necessity(region: Region, *, at_most: float) -> Claim:
    """Claim that without `region` hardly anything of the score is left: f(image without region) / f(image).

    The greater of two fills counts: the check's own, and ``"blur"`` (``"image_mean"`` where that is the check's own).
    The region is hidden to the pixel, whatever the superpixels are. No sampling, so no interval: two passes, which
    the evidence of every check on a region has anyway (the deletion test of Samek et al., IEEE TNNLS 28, 2017, for
    one region).

    Parameters
    ----------
    region : Region
    at_most : float of at least 0
        A share of the score of the whole image. Typical: 0.5 for the object.

    Raises
    ------
    OptionError
        `at_most` is not as above.

    Examples
    --------
    >>> from pytest_lime import Box
    >>> necessity(Box(120, 20, 330, 240), at_most=0.5)
    necessity(Box(120, 20, 330, 240), at_most=0.5)
    """
    return _Necessity(region, "<=", at_most)


@user_error
def sufficiency(region: Region, *, at_least: float) -> Claim:
    """Claim that `region` alone gives much of the score: f(region alone) / f(image).

    The lesser of two fills counts, as for `necessity`.

    Parameters
    ----------
    region : Region
    at_least : float of at least 0
        A share of the score of the whole image. Typical: 0.5 for the object.

    Raises
    ------
    OptionError
        `at_least` is not as above.

    Examples
    --------
    >>> from pytest_lime import Box
    >>> sufficiency(Box(120, 20, 330, 240), at_least=0.5)
    sufficiency(Box(120, 20, 330, 240), at_least=0.5)
    """
    return _Sufficiency(region, ">=", at_least)


@user_error
def no_reliance(region: Region, *, at_most: float) -> Claim:
    """Claim that `region` adds hardly anything to the score, whatever else of the image is shown.

    The mean over random contexts of f(with region) − f(without), all else equal: each of the other superpixels is
    shown with probability ½. Such matched pairs cancel what the context does, so they need far fewer passes than
    weights do. Contexts are drawn, 16 more a look, until the anytime-valid interval (as for weights, with the t law of
    the differences) has left the bound, or `max_samples` passes are spent. The interval also allows for an effect
    that no context so far has met: one of the size of the largest score, in a share of the contexts that would have
    been missed so often with probability (1 − confidence) / 2.

    Parameters
    ----------
    region : Region
        Superpixels of which at least half lie inside are switched; by default none lies astride its border.
    at_most : float
        In units of the score. Typical: 0.05 for a watermark.

    Raises
    ------
    OptionError
        `at_most` is no number.

    Examples
    --------
    >>> from pytest_lime import Box
    >>> no_reliance(Box(0, 0, 40, 40), at_most=0.05)
    no_reliance(Box(0, 0, 40, 40), at_most=0.05)
    """
    return _NoReliance(region, at_most)


@user_error
def faithful() -> Claim:
    """Claim that the weights rank superpixels by what the model does: a better order than random ones.

    Superpixels are shown in the order of their weights, and hidden in that order; the area between the two curves of
    the score (insertion less deletion AUC; Petsiuk, Das and Saenko, RISE, BMVC 2018, on superpixels, at ten steps) is
    compared with that of 19 random orders. Holds when it exceeds all of them: the order of an explanation that knows
    nothing does so once in twenty times. Some 360 passes; at least 6 superpixels.

    Examples
    --------
    >>> faithful()
    faithful()
    """
    return _Faithful()


@user_error
def sane(*, at_most: float = 0.5) -> Claim:
    """Claim that the explanation depends on what the network has learned.

    The weights of each tensor are shuffled within it, and the same masks are explained again; the absolute rank
    correlation of the two explanations must be small (the model parameter randomisation test of Adebayo et al.,
    Sanity checks for saliency maps, NeurIPS 2018). As many passes again as the explanation took.

    Parameters
    ----------
    at_most : float in [0, 1]
        Typical: 0.5.

    Raises
    ------
    OptionError
        `at_most` is not as above; or, in the check, the model has no torch network.

    Examples
    --------
    >>> sane()
    sane(at_most=0.5)
    """
    return _Sane(at_most)


@user_error
def stable(seeds: int = 5, *, at_least: float, k: int = 4) -> Claim:
    """Claim that other random masks would show the same: mean pairwise Jaccard index of the top `k` superpixels.

    The image is explained `seeds` times in all, with as many samples each (Visani et al., Statistical stability indices
    for LIME, Journal of the Operational Research Society 73, 2022).

    Parameters
    ----------
    seeds : int of at least 2
    at_least : float in [0, 1]
        Typical: 0.6.
    k : int

    Raises
    ------
    OptionError
        An argument is not as above.

    Examples
    --------
    >>> stable(at_least=0.6)
    stable(seeds=5, at_least=0.6, k=4)
    """
    return _Stable(seeds, at_least, k)


@user_error
def invariant(transform: str, *, at_least: float) -> Claim:
    """Claim that a change which means nothing leaves the explanation as it is: rank correlation of the weights.

    The superpixels go along with the change, and the same masks are explained: as many passes again.

    Parameters
    ----------
    transform : ``"hflip"`` or ``"brightness"``
        Mirrored left to right; or with three tenths of the light taken off.
    at_least : float in [−1, 1]
        Typical: 0.7.

    Raises
    ------
    OptionError
        There is no such transform, or `at_least` is not as above.

    Examples
    --------
    >>> invariant("hflip", at_least=0.7)
    invariant('hflip', at_least=0.7)
    """
    return _Invariant(transform, at_least)


@dataclasses.dataclass(frozen=True, repr=False)
class _RegionTrial(Trial):
    """What the trials about one region share."""

    region: Region

    def __post_init__(self) -> None:
        as_region(self.region, self.name)

    @property
    def regions(self) -> tuple[Region, ...]:  # type: ignore[override]  # a constant of other claims
        return (self.region,)


@dataclasses.dataclass(frozen=True, repr=False)
class _Share(_RegionTrial):
    """What `necessity` and `sufficiency` share."""

    intervenes = True

    relation: Relation
    bound: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(f"{self.name}: {self._bound_name}", self.bound, 0)

    @property
    def _bound_name(self) -> str:
        return "at_most" if self.relation == "<=" else "at_least"

    def __repr__(self) -> str:
        return f"{self.name}({self.region!r}, {self._bound_name}={self.bound!r})"

    def conduct(self, lab: Lab) -> Verdict:
        (found,) = lab.intervene([self.region])
        scores, whole = self.left(found), found.whole
        label = lab.explanation.labels[0]
        told = ", ".join(f"{score:.3g} with {fill}" for score, fill in zip(scores, found.fills, strict=True))
        meaning = f"{self.meaning} {BOUNDS[self.relation]} {self.bound:.3g} of its score"
        if whole <= 0:
            return Verdict(
                meaning=f"{meaning} for {label!r}",
                estimate=0.0,
                interval=(-math.inf, math.inf),
                relation=self.relation,
                bound=self.bound,
                figure="no share",
                note=f"a score of {whole:.3g} has no shares: give the model probabilities",
            )
        share = (max if self.relation == "<=" else min)(scores) / whole
        return Verdict(
            meaning=f"{meaning} for {label!r}",
            estimate=share,
            interval=(share, share),
            relation=self.relation,
            bound=self.bound,
            scale=(0.0, max(1.0, share)),
            note=f"the score is {whole:.3g}, and {self.when} {told}; the {self.decisive} counts",
        )

    meaning = ""
    when = ""
    decisive = ""

    def left(self, found: Intervention) -> tuple[float, ...]:
        """Return the scores that are compared with that of the whole image."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, repr=False)
class _Necessity(_Share):
    name = "necessity"
    when = "without the region"
    decisive = "greater"

    @property
    def meaning(self) -> str:  # type: ignore[override]
        return f"without {self.region!r} the image keeps"

    def left(self, found: Intervention) -> tuple[float, ...]:
        return found.without


@dataclasses.dataclass(frozen=True, repr=False)
class _Sufficiency(_Share):
    name = "sufficiency"
    when = "of the region alone"
    decisive = "lesser"

    @property
    def meaning(self) -> str:  # type: ignore[override]
        return f"{self.region!r} alone gives"

    def left(self, found: Intervention) -> tuple[float, ...]:
        return found.alone


@dataclasses.dataclass(frozen=True, repr=False)
class _NoReliance(_RegionTrial):
    at_most: float
    name = "no_reliance"
    wants_use = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(f"{self.name}: at_most", self.at_most)

    def __repr__(self) -> str:
        return f"no_reliance({self.region!r}, at_most={self.at_most!r})"

    def conduct(self, lab: Lab) -> Verdict:
        explanation = lab.explanation
        inside = explanation.shares(self.region) >= 0.5
        others = int((~inside).sum())
        if not inside.any() or not others:
            raise OptionError(
                f"{self!r}: {'no' if others else 'every'} superpixel lies in the region by at least half; raise "
                "segments, or leave align_to_regions on."
            )
        options = explanation.options
        budget = max(CONTEXTS, (options.max_samples if options.samples == "auto" else explanation.samples) // 2)
        # Of few superpixels all contexts are seen, and nothing is left to chance.
        complete = explanation.complete and 2**others <= budget
        contexts = MaskStream("exhaustive" if complete else "bernoulli", others, options.seed)
        if complete:
            budget = 2**others
        differences: list[Array] = []
        lowest, highest = min(0.0, float(explanation.score[0])), float(explanation.score[0])
        path: list[Point] = []
        while True:
            count = sum(map(len, differences))
            masks = np.zeros((2 * min(CONTEXTS, budget - count), len(inside)), dtype=np.uint8)
            masks[:, ~inside] = np.repeat(contexts.draw(len(masks) // 2), 2, axis=0)
            masks[::2, inside] = 1
            scores = lab.scores(masks)
            differences.append(scores[::2] - scores[1::2])
            lowest, highest = min(lowest, float(scores.min())), max(highest, float(scores.max()))
            found = np.concatenate(differences)
            interval = _mean_interval(found, highest - lowest, explanation.confidence)
            if complete and len(found) == budget:
                off = 2 * float(explanation.rounding[0])
                interval = float(found.mean()) - off, float(found.mean()) + off
            if explanation.unchanged[inside].all():
                # Nothing was hidden, so that nothing was tried.
                return self._verdict(explanation, found, (-math.inf, math.inf))
            verdict = self._verdict(explanation, found, interval)
            path.append((2 * len(found), verdict.estimate, *verdict.interval))
            if verdict.status != "inconclusive" or len(found) >= budget:
                return dataclasses.replace(verdict, details={"path": path_of(path)})

    def _verdict(self, explanation: Explanation, found: Array, interval: tuple[float, float]) -> Verdict:
        label = explanation.labels[0]
        return Verdict(
            meaning=f"{self.region!r} adds at most {self.at_most:.3g} to the score of {label!r} whatever else is seen",
            estimate=float(found.mean()),
            interval=interval,
            relation="<=",
            bound=self.at_most,
            figure=f"{found.mean():+.3g}",
            samples=2 * len(found),
            note="; ".join(
                [
                    f"{len(found)} contexts, each with and without the region",
                    *looks_the_same(explanation, self.region, "what it adds"),
                ]
            ),
        )


def _mean_interval(values: Array, largest: float, confidence: float) -> tuple[float, float]:
    """Return where the mean of values lies, at every look, none of which is beyond ±`largest`."""
    count, alpha, mean = len(values), 1 - confidence, float(values.mean())
    tail = max(float(ndtr(-errors_either_side(count, alpha))), np.finfo(np.float64).tiny)
    error = float(values.std(ddof=1)) / math.sqrt(count)
    # An effect in a share q of the contexts stays unseen in n of them with probability (1 − q)ⁿ ≤ exp(−qn), at later
    # looks only where it was at earlier ones. One end alone can mislead, for which the sequence spends half of alpha,
    # and this the other half.
    unseen = largest * math.log(2 / alpha) / count
    half = -float(stdtrit(count - 1, tail)) * error + unseen
    return mean - half, mean + half


@dataclasses.dataclass(frozen=True, repr=False)
class _Faithful(Trial):
    name = "faithful"
    least_samples = SETTLED
    needs_sign = True

    def __repr__(self) -> str:
        return "faithful()"

    def conduct(self, lab: Lab) -> Verdict:
        explanation = lab.explanation
        d = explanation.superpixels
        if d < FEWEST_TO_ORDER:
            raise OptionError(
                f"faithful() needs at least {FEWEST_TO_ORDER} superpixels to order, and has {d}: raise segments."
            )
        rng = np.random.default_rng([explanation.options.seed, 2])
        orders = [np.argsort(-explanation.weights[0], kind="stable"), *(rng.permutation(d) for _ in range(ORDERS))]
        levels = np.unique(np.linspace(0, d, STEPS + 2).round().astype(int))[1:-1]
        # The first so many shown; and hidden, which is the complement.
        shown = np.zeros((len(orders), len(levels), d), dtype=np.uint8)
        for order, rows in zip(orders, shown, strict=True):
            for level, row in zip(levels, rows, strict=True):
                row[order[:level]] = 1
        inner = np.concatenate([shown, 1 - shown], axis=1).reshape(-1, d)
        ends = np.stack([np.zeros(d, dtype=np.uint8), np.ones(d, dtype=np.uint8)])
        scores = lab.scores(np.concatenate([ends, inner]))
        nothing, whole = scores[:2]
        insertion, deletion = np.split(scores[2:].reshape(len(orders), -1), 2, axis=1)
        at = np.array([0, *levels, d]) / d
        areas = [
            _area([nothing, *rising, whole], at) - _area([whole, *falling, nothing], at)
            for rising, falling in zip(insertion, deletion, strict=True)
        ]
        ours, theirs = float(areas[0]), np.array(areas[1:])
        # A tie, such as when no mask changes anything, is no merit.
        as_good = int((theirs >= ours).sum())
        p = (1 + as_good) / (1 + ORDERS)
        return Verdict(
            meaning=f"showing and hiding superpixels in the order of their weights for {explanation.labels[0]!r} moves "
            "the score more than random orders do",
            estimate=p,
            interval=(p, p),
            relation="<=",
            bound=1 / (1 + ORDERS),
            figure=f"p = {p:.2g}",
            asks=f"p of at most {1 / (1 + ORDERS):.2g}",
            scale=(0.0, 1.0),
            note=f"insertion − deletion AUC {ours:.3g}, above {ORDERS - as_good} of {ORDERS} random orders",
            caution=_little_hidden(float(nothing), float(whole)),
            details={"curves": _curves(at, insertion, deletion, float(nothing), float(whole))},
        )


def _little_hidden(nothing: float, whole: float) -> str:
    """Say so where the fill alone keeps much of the score: what it hides, the model does not miss."""
    if whole <= 0 or nothing < USED * whole:
        return ""
    return (
        f"with every superpixel hidden the score is still {nothing:.3g} of {whole:.3g}: this fill takes little away, "
        "so that the curves tell little; choose another"
    )


def _curves(at: Array, insertion: Array, deletion: Array, nothing: float, whole: float) -> dict[str, Any]:
    """Return the curves of the order at hand, the first row, and the range of those of the others, at each share."""
    rows = len(insertion)
    rising = np.hstack([np.full((rows, 1), nothing), insertion, np.full((rows, 1), whole)])
    falling = np.hstack([np.full((rows, 1), whole), deletion, np.full((rows, 1), nothing)])
    ranges = [np.stack([curves[1:].min(axis=0), curves[1:].max(axis=0)], axis=1) for curves in (rising, falling)]
    return {
        "shares": at.tolist(),
        "insertion": rising[0].tolist(),
        "deletion": falling[0].tolist(),
        "insertion_random": ranges[0].tolist(),
        "deletion_random": ranges[1].tolist(),
    }


def _area(curve: Sequence[float], at: Array) -> float:
    """Return the area under a curve by trapezoids."""
    values = np.array(curve)
    return float(((values[1:] + values[:-1]) / 2 * np.diff(at)).sum())


@dataclasses.dataclass(frozen=True, repr=False)
class _Sane(Trial):
    at_most: float
    name = "sane"
    least_samples = SETTLED
    needs_network = True

    def __post_init__(self) -> None:
        check_number(f"{self.name}: at_most", self.at_most, 0, 1)

    def __repr__(self) -> str:
        return f"sane(at_most={self.at_most!r})"

    def conduct(self, lab: Lab) -> Verdict:
        other = lab.randomised()
        estimate, interval, undefined = _likeness(lab.explanation, other)
        low, high = sorted(map(abs, interval))
        if interval[0] <= 0 <= interval[1]:
            low = 0.0
        note = ""
        if undefined:
            # A network that says the same of every mask is unlike one that does not.
            flat = _is_flat(other) and not _is_flat(lab.explanation)
            low, high = (0.0, 0.0) if flat else (0.0, 1.0)
            note = f"with shuffled weights there is no rank correlation: {undefined}"
        return Verdict(
            meaning="with the weights of the network shuffled the explanation is another one: a rank correlation of at "
            f"most {self.at_most:.3g}, either way",
            estimate=abs(estimate),
            interval=(low, high),
            relation="<=",
            bound=self.at_most,
            scale=(0.0, 1.0),
            samples=other.samples,
            note=note,
        )


@dataclasses.dataclass(frozen=True, repr=False)
class _Stable(Trial):
    seeds: int
    at_least: float
    k: int
    name = "stable"
    least_samples = SETTLED
    needs_sign = True

    def __post_init__(self) -> None:
        number = as_whole_number(self.seeds)
        if number is None or number < 2:
            raise OptionError(f"stable: seeds={one_line(self.seeds)} must be a whole number of at least 2.")
        check_number(f"{self.name}: at_least", self.at_least, 0, 1)
        check_k(self.k)

    def __repr__(self) -> str:
        return f"stable(seeds={self.seeds}, at_least={self.at_least!r}, k={self.k})"

    def conduct(self, lab: Lab) -> Verdict:
        explanation = lab.explanation
        check_k(self.k, explanation.superpixels)
        if explanation.sampler == "given":
            raise OptionError(
                f"{self!r}: the masks that sampler= gives are the same for every seed: leave one of them out."
            )
        first = explanation.options.seed
        others = [lab.with_seed(first + step) for step in range(1, self.seeds)]
        tops = [frozenset(one.top(self.k).tolist()) for one in (explanation, *others)]
        alike = [len(a & b) / len(a | b) if a | b else 0.0 for a, b in itertools.combinations(tops, 2)]
        estimate = float(np.mean(alike))
        return Verdict(
            meaning=f"the {self.k} superpixels that speak most for {explanation.labels[0]!r} are the same with other "
            f"masks: a mean Jaccard index of at least {self.at_least:.3g} over {self.seeds} seeds",
            estimate=estimate,
            interval=(estimate, estimate),
            relation=">=",
            bound=self.at_least,
            scale=(0.0, 1.0),
            top=self.k,
            note="exact with these seeds and so many samples",
        )


@dataclasses.dataclass(frozen=True, repr=False)
class _Invariant(Trial):
    transform: str
    at_least: float
    name = "invariant"
    least_samples = SETTLED
    needs_sign = True

    def __post_init__(self) -> None:
        if not isinstance(self.transform, str) or self.transform not in TRANSFORMS:
            raise OptionError(
                f"invariant: transform={one_line(self.transform)} must be 'hflip' or 'brightness'"
                f"{nearest(self.transform, TRANSFORMS)}."
            )
        check_number(f"{self.name}: at_least", self.at_least, -1, 1)

    def __repr__(self) -> str:
        return f"invariant({self.transform!r}, at_least={self.at_least!r})"

    def conduct(self, lab: Lab) -> Verdict:
        other = lab.transformed(self.transform)
        estimate, interval, undefined = _likeness(lab.explanation, other)
        return Verdict(
            meaning=f"after {self.transform} the superpixels rank as before for {lab.explanation.labels[0]!r}: a rank "
            f"correlation of at least {self.at_least:.3g}",
            estimate=estimate,
            interval=interval,
            relation=">=",
            bound=self.at_least,
            figure="no correlation" if undefined else "",
            scale=(-1.0, 1.0),
            samples=other.samples,
            note=f"the rank correlation has no value: {undefined}"
            if undefined
            else f"the score is then {float(other.score[0]):.3g} instead of {float(lab.explanation.score[0]):.3g}",
        )


def _likeness(explanation: Explanation, other: Explanation) -> tuple[float, tuple[float, float], str]:
    """Return the rank correlation of two explanations of one image, its interval, and why it has no value."""
    weights = np.zeros_like(other.weights[0]) if _is_flat(other) else other.weights[0]
    found = rank_agreement(
        explanation.weights[0],
        weights,
        # Both have errors, and their masks may be the same: errors then cancel in part, and this is the safe side.
        explanation.covariance[0] + other.covariance[0],
        freedom=min(explanation.freedom, other.freedom),
        rounding=float(max(explanation.rounding[0], other.rounding[0])),
        confidence=explanation.confidence,
    )
    return found.estimate, found.interval, found.undefined


def _is_flat(explanation: Explanation) -> bool:
    """Whether all weights are the same but for rounding."""
    return bool(np.ptp(explanation.weights[0]) <= 2 * explanation.rounding[0])


def sampled(claims: Sequence[Claim]) -> tuple[Claim, ...]:
    """Return the claims that samples decide, which are all but the trials."""
    return tuple(claim for claim in claims if not isinstance(claim, Trial))


def conclude(check: Check, claims: Sequence[Claim], lab: Lab, *, evidence: bool = True) -> Check:
    """Return the verdicts on all `claims`, once the samples have come to their end.

    Parameters
    ----------
    check : Check
        What `judge` made of the `sampled` ones.
    claims : sequence of Claim
    lab : Lab
    evidence : bool
        Find out what is told besides the verdicts; else nothing is asked but what a trial asks.

    Notes
    -----
    As evidence each region of a claim is hidden, and shown alone, also where no claim asks for it, and of what is
    inconclusive it is reckoned how many samples would decide it. Where attribution and intervention disagree on a
    region, the verdict says so.
    """
    explanation, judged = lab.explanation, iter(check.verdicts)
    regions = distinct_regions(region for claim in claims for region in claim.areas())
    interventions = tuple(lab.intervene(regions)) if regions and evidence else ()
    verdicts = []
    for claim in claims:
        if isinstance(claim, Trial):
            if claim.needs_sign:
                explanation.need_sign(claim.name)
            with naming(claim):
                verdict = claim.conduct(lab)
            verdict = settled(named(verdict, claim, "conduct"), explanation, claim)
        else:
            verdict = next(judged)
            is_open = verdict.status == "inconclusive" and not verdict.needs
            if evidence and is_open and not unsettled(explanation, claim):
                verdict = dataclasses.replace(verdict, needs=samples_to_decide(explanation, claim))
        verdicts.append(_confronted(verdict, claim, interventions))
    return Check(explanation, tuple(verdicts), interventions)


def _confronted(verdict: Verdict, claim: Claim, interventions: Sequence[Intervention]) -> Verdict:
    """Return `verdict`, with a caution where hiding its region says otherwise."""
    if claim.wants_use is None or verdict.status == "inconclusive" or len(verdict.regions) != 1:
        return verdict
    # A user's own claim may speak of a region that is none of its `regions`.
    found = next((one for one in interventions if same_region(one.region, verdict.regions[0])), None)
    if found is None or found.whole <= 0:
        return verdict
    uses = (verdict.status == "pass") == claim.wants_use
    told = ""
    if found.used is not None and found.used != uses:
        told = f"attribution and intervention disagree: {found.describe()}"
    elif found.used is None and verdict.status == "pass" and _contradicts(found, uses):
        told = f"it depends on what hides the region: {found.describe()}"
    return dataclasses.replace(verdict, caution="; ".join(filter(None, [verdict.caution, told])))


def _contradicts(found: Intervention, uses: bool) -> bool:
    """Whether one of two fills says the opposite of what a claim holds."""
    if uses:
        return max(found.without) >= UNUSED * found.whole
    return min(found.without) <= USED * found.whole
