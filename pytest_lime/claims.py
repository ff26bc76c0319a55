"""Claims: what a test asserts about where a model looks."""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_lime.agreement import check_opinions, describe_opinion, why_undefined
from pytest_lime.errors import OptionError, is_for_the_user, nearest, one_line, printable, user_error
from pytest_lime.explanation import Explanation, check_k, no_sign
from pytest_lime.footprints import cut_away, distances
from pytest_lime.options import LimeOptions, as_whole_number, check_number
from pytest_lime.records import BOUNDS
from pytest_lime.regions import Region, as_region
from pytest_lime.verdicts import Check, Relation, Verdict, decide, worst

__all__ = [
    "SETTLED",
    "Claim",
    "agrees_with",
    "check_signs",
    "contrast",
    "density_gap",
    "fidelity",
    "judge",
    "looks_the_same",
    "mass",
    "named",
    "naming",
    "pointing",
    "predicted",
    "samples_to_decide",
    "settled",
    "top_iou",
    "top_overlap",
    "unsettled",
]

__tracebackhide__ = is_for_the_user

# The surrogates whose weights are importances, which have no sign.
UNSIGNED = ("tree",)
# What claims of a region may speak of, and in words.
SPEAKS = {"positive": "for", "negative": "against"}
# What is asked of the fit itself, and not of the weights that it estimates, depends on how many samples it has.
SETTLED = 1000


class Claim(abc.ABC):
    """Something that a test asserts of an explanation; write your own with one method, `judge`.

    Attributes
    ----------
    name : str
        What verdicts and reports call it.
    regions : tuple of Region
        Areas that it speaks of; superpixels are split along their borders.
    opinions : tuple of str
        Other methods that it compares with, as for `pytest_lime.explain`.
    needs_sign : bool
        It asks what speaks for a class or against it, which the weights of a tree do not tell; such a
        surrogate is then refused.
    needs_network : bool
        It asks the network itself, which a model that is no torch network has not.
    one_figure : bool
        Its estimate is always of the same kind, so that those of several images can be compared.
    others : tuple of labels and indices
        Classes besides the target whose scores it needs: they are explained from the same samples.
    least_samples : int
        Samples below which its figure is another one than with many, so that nothing is decided. Where the number
        is given (``samples=500``, or masks), or all masks are scored, the figure is of just these, and counts.
    wants_use : bool or None
        Whether it holds where the model uses `regions`, or where it does not; None where that is not what it asks.
        Where what happens when they are hidden says otherwise, the verdict says so.

    Examples
    --------
    >>> from pytest_lime import Verdict
    >>> class FewSuperpixels(Claim):
    ...     name = "few_superpixels"
    ...
    ...     def judge(self, explanation):
    ...         count = len(explanation.top(10, min_weight=0.05))
    ...         return Verdict(
    ...             meaning="at most 5 superpixels weigh 0.05 or more",
    ...             estimate=count, interval=(count, count), relation="<=", bound=5,
    ...         )
    """

    name: str = "claim"
    regions: tuple[Region, ...] = ()
    opinions: tuple[str, ...] = ()
    needs_sign: bool = False
    needs_network: bool = False
    one_figure: bool = True
    others: tuple[Any, ...] = ()
    least_samples: int = 0
    wants_use: bool | None = None

    @abc.abstractmethod
    def judge(self, explanation: Explanation) -> Verdict:
        """Return the verdict on the first target of `explanation`."""

    def areas(self) -> tuple[Region, ...]:
        """Return `regions`, checked.

        Raises
        ------
        RegionError
            It is neither a region nor a collection of regions.
        """
        given: Any = self.regions
        listed = given if isinstance(given, Iterable) else (given,)
        return tuple(as_region(region, f"{type(self).__name__}.regions") for region in listed)

    def classes(self) -> tuple[Any, ...]:
        """Return `others`, checked.

        Raises
        ------
        OptionError
            It is no collection of labels and indices.
        """
        given: Any = self.others
        listed = tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
        if not all(isinstance(other, str) or as_whole_number(other) is not None for other in listed):
            raise OptionError(f"{type(self).__name__}.others={one_line(given)} must be a tuple of labels and indices.")
        return listed

    def fewest(self) -> int:
        """Return `least_samples`, checked.

        Raises
        ------
        OptionError
            It is no whole number.
        """
        count = as_whole_number(self.least_samples)
        if count is None:
            raise OptionError(
                f"{type(self).__name__}.least_samples={one_line(self.least_samples)} must be a whole number."
            )
        return count

    def asked(self) -> tuple[str, ...]:
        """Return `opinions`, checked.

        Raises
        ------
        OptionError
            There is no such method.
        """
        return check_opinions(self.opinions)


def check_signs(claims: Iterable[Claim], options: LimeOptions) -> None:
    """Refuse claims that need a sign where `options` name a surrogate without; of a user's regressor only a fit tells.

    Raises
    ------
    OptionError
        It names the first such claim, and the surrogate.
    """
    for claim in claims:
        if claim.needs_sign and isinstance(options.surrogate, str) and options.surrogate in UNSIGNED:
            raise no_sign(_name(claim), options.surrogate)


def judge(explanation: Explanation, claims: tuple[Claim, ...]) -> Check:
    """Return the verdicts on all `claims`, also when the first has failed.

    Raises
    ------
    OptionError
        A claim needs weights that have a sign, and they have none; or a user's own claim returns
        something else than a `Verdict`.
    """
    return Check(explanation, tuple(_judge(explanation, claim) for claim in claims))


def _name(claim: Claim) -> str:
    return printable(str(claim.name if claim.name != Claim.name else type(claim).__name__))


def _judge(explanation: Explanation, claim: Claim) -> Verdict:
    if claim.needs_sign:
        explanation.need_sign(_name(claim))
    with naming(claim):
        verdict = claim.judge(explanation)
    return settled(named(verdict, claim), explanation, claim)


@contextlib.contextmanager
def naming(claim: Claim) -> Iterator[None]:
    """Let an `OptionError` name the claim that it is about."""
    try:
        yield
    except OptionError as error:
        name = _name(claim)
        if str(error).startswith(name):
            raise
        raise OptionError(f"{name}: {error}") from error.__cause__


def unsettled(explanation: Explanation, claim: Claim) -> bool:
    """Whether `claim` needs more samples than there are for its figure to count; a number that was asked for counts."""
    return explanation.anytime and explanation.samples < claim.fewest()


def settled(verdict: Verdict, explanation: Explanation, claim: Claim) -> Verdict:
    """Return `verdict`, which decides nothing where the samples are fewer than `claim` needs."""
    if not unsettled(explanation, claim):
        return verdict
    fewest = claim.fewest()
    told = (
        f"{_name(claim)} needs at least {fewest:,} samples and has {explanation.samples:,}: raise max_samples "
        f"({explanation.options.max_samples:,}) to {fewest:,}, or give samples as a number"
    )
    return dataclasses.replace(
        verdict,
        status="inconclusive",
        # What is open now may stay so.
        needs=0 if verdict.status == "inconclusive" else fewest,
        note="; ".join(filter(None, [verdict.note, told])),
    )


def named(verdict: Any, claim: Claim, method: str = "judge") -> Verdict:
    """Return `verdict` with what it leaves to its claim: name, text and regions.

    Raises
    ------
    OptionError
        It is no verdict.
    """
    name = _name(claim)
    if not isinstance(verdict, Verdict):
        raise OptionError(f"{name}.{method} returned {one_line(verdict)}; it must return a pytest_lime.Verdict.")
    return dataclasses.replace(
        verdict,
        claim=verdict.claim or name,
        text=verdict.text or one_line(claim, 400),
        regions=verdict.regions or claim.areas(),
    )


def samples_to_decide(explanation: Explanation, claim: Claim) -> int:
    """Return about how many samples in all would decide an inconclusive `claim`, if the estimates stay as they are.

    Errors fall with the square root of the samples, so the claim is judged again with smaller ones. −1 where even a
    thousandth of the variance leaves it open, and 0 where nobody can tell.
    """
    if type(claim).__module__ != __name__ or explanation.complete:
        # What a user's own claim does with figures that were never measured is not known.
        return 0

    def judged(factor: float) -> Verdict:
        return _judge(explanation.foresee(factor), claim)

    def decided(factor: float) -> bool:
        return judged(factor).status != "inconclusive"

    if judged(1024.0).interval == judged(1.0).interval:
        # It does not follow from the errors of the weights alone.
        return 0
    enough = next((factor for factor in (2.0**step for step in range(1, 11)) if decided(factor)), 0.0)
    if not enough:
        return -1
    least = enough / 2
    for _ in range(3):
        middle = math.sqrt(least * enough)
        least, enough = (least, middle) if decided(middle) else (middle, enough)
    return math.ceil(explanation.samples * enough / 100) * 100


@user_error
def top_overlap(region: Region, k: int = 4, *, at_least: float, sign: str = "positive") -> Claim:
    """Claim that of the `k` superpixels of largest weight at least so many lie in `region`.

    Holds when ``Σ_{j∈T} 1[r_j ≥ ½, β_j > 0] ≥ at_least``, T the k superpixels of largest weight β, r_j the share of
    superpixel j in the region. The interval holds every count that the differences between weights inside and outside
    allow (docs/statistics.md); superpixels on the same side of the region's border need not be told apart. The
    superpixels are those that the ``lime`` package's ``get_image_and_mask`` would show with ``num_features=k``.

    Parameters
    ----------
    region : Region
    k : int
    at_least : int or float
        A whole number counts superpixels; a float in (0, 1] is a share of `k`. Typical:
        3 of 4.
    sign : ``"positive"`` or ``"negative"``
        Whether the claim is about what speaks for the class, or about what speaks against it (−β in place of β).

    Raises
    ------
    OptionError
        `k`, `at_least` or `sign` is not as above.

    Examples
    --------
    >>> from pytest_lime import Box
    >>> top_overlap(Box(120, 20, 330, 240), k=4, at_least=3)
    top_overlap(Box(120, 20, 330, 240), k=4, at_least=3)
    """
    return _TopOverlap(region, k, at_least, sign=sign)


@user_error
def top_iou(region: Region, k: int = 4, *, at_least: float, sign: str = "positive") -> Claim:
    """Claim that the `k` superpixels of largest weight cover what `region` covers: intersection over union.

    ``|∪T ∩ R| / |∪T ∪ R|`` in pixels that the model sees, T the superpixels of positive weight among the k of largest
    weight (the Jaccard index of an explanation and an annotation, as in ERASER, DeYoung et al., ACL 2020). The interval
    holds the figure of every set T that the differences between weights allow, k (d − k) + d comparisons at once.

    Parameters
    ----------
    region : Region
    k : int
        About as many superpixels as the region has.
    at_least : float in (0, 1]
        Typical: 0.3; superpixels seldom follow an outline closely.
    sign : ``"positive"`` or ``"negative"``
        As for `top_overlap`.

    Raises
    ------
    OptionError
        `k`, `at_least` or `sign` is not as above.

    Examples
    --------
    >>> from pytest_lime import Ellipse
    >>> top_iou(Ellipse(200, 150, 60, 40), k=6, at_least=0.3)
    top_iou(Ellipse(200, 150, 60, 40), k=6, at_least=0.3)
    """
    return _TopIou(region, k, at_least, sign=sign)


@user_error
def density_gap(region: Region, *, sign: str = "positive") -> Claim:
    """Claim that weight is denser in `region` than elsewhere: mean weight a pixel inside less that outside is above 0.

    ``Σ β_j r_j / A − Σ β_j (1 − r_j) / (1 − A)``, r_j the share of superpixel j in the region and A the region's share
    of what the model sees. Unlike `mass` it counts what speaks against the class, too, and asks for no bound: it is
    the weakest claim that a region matters. It is one linear combination of the weights, and is decided on the
    interval of that alone.

    Parameters
    ----------
    region : Region
    sign : ``"positive"`` or ``"negative"``
        ``"negative"`` claims that what speaks against the class is denser there.

    Raises
    ------
    OptionError
        `sign` is not as above.

    Examples
    --------
    >>> from pytest_lime import Box
    >>> density_gap(Box(120, 20, 330, 240))
    density_gap(Box(120, 20, 330, 240))
    """
    return _DensityGap(region, sign=sign)


@user_error
def contrast(region: Region, other: Any, *, sign: str = "positive") -> Claim:
    """Claim that `region` speaks for the target rather than for the class `other`.

    ``Σ r_j (β_j^target − β_j^other) > 0``, both from the same samples, so that what both classes share cancels. The
    surrogate is fitted to the difference of the two scores, and the claim is decided on the interval of this one sum.

    Parameters
    ----------
    region : Region
    other : label or index
        Such as the class that the target is mistaken for.
    sign : ``"positive"`` or ``"negative"``
        ``"negative"`` claims that it speaks for `other` rather than for the target.

    Raises
    ------
    OptionError
        `sign` is not as above.

    Examples
    --------
    >>> from pytest_lime import Box
    >>> contrast(Box(120, 20, 330, 240), "tiger cat")
    contrast(Box(120, 20, 330, 240), 'tiger cat')
    """
    return _Contrast(region, other, sign=sign)


@user_error
def mass(
    region: Region,
    *,
    at_least: float | None = None,
    at_most: float | str | None = None,
    sign: str = "positive",
) -> Claim:
    """Claim that `region` holds at least, or at most, a share of the positive weight.

    The share is ``Σ β⁺_j r_j / Σ β⁺_j`` with β⁺ = max(β, 0) (the energy-based pointing
    game of Wang et al., Score-CAM, CVPR workshops 2020, on superpixels).

    Parameters
    ----------
    region : Region
    at_least : float in [0, 1], optional
        Typical: 0.5 for the object.
    at_most : float in [0, 1] or ``"area"``, optional
        ``"area"`` is the region's share of what the model sees: no more weight than a
        blind spread would put there. Typical: 0.1 for a watermark.
    sign : ``"positive"`` or ``"negative"``
        As for `top_overlap`.

    Raises
    ------
    OptionError
        Not exactly one of the two is given, or it is out of range.

    Examples
    --------
    >>> from pytest_lime import Box
    >>> mass(Box(0, 0, 40, 40), at_most="area")
    mass(Box(0, 0, 40, 40), at_most='area')
    """
    return _Mass(region, at_least, at_most, sign=sign)


@user_error
def pointing(region: Region, tolerance: float = 15, *, sign: str = "positive") -> Claim:
    """Claim that the superpixel of largest weight lies in `region`, or within `tolerance` pixels of it.

    It lies in the region when at least half of its area does; else the distance is that
    of its central pixel from the region (the pointing game of Zhang et al., ECCV 2016,
    with its tolerance of 15 pixels). The interval holds the distances of all superpixels
    that may be the strongest.

    Parameters
    ----------
    region : Region
    tolerance : float
        In pixels of the image file.
    sign : ``"positive"`` or ``"negative"``
        As for `top_overlap`.

    Raises
    ------
    OptionError
        `tolerance` is negative or no number, or `sign` is not as above.

    Examples
    --------
    >>> from pytest_lime import Ellipse
    >>> pointing(Ellipse(200, 150, 60, 40))
    pointing(Ellipse(200, 150, 60, 40), tolerance=15)
    """
    return _Pointing(region, tolerance, sign=sign)


@user_error
def predicted(at_least: float | None = None, rank: int | None = 1) -> Claim:
    """Claim that the model gives the target at all: within the first `rank` classes, with a score of `at_least`.

    A claim about where the model looks means little when it does not see the class.

    Parameters
    ----------
    at_least : float, optional
        The least score of the whole image. Typical: 0.5.
    rank : int or None
        The target is among the `rank` classes of highest score; None asks nothing of the rank.

    Raises
    ------
    OptionError
        An argument is not as above, or both are None.

    Examples
    --------
    >>> predicted(rank=5)
    predicted(rank=5)
    """
    return _Predicted(at_least, rank)


@user_error
def fidelity(r2: float = 0.5, gap: float = 0.1) -> Claim:
    """Claim that the surrogate speaks for the model: held-out R² of at least `r2`, and right about the image itself.

    R² is weighted by the kernel and taken of samples that the surrogate was not fitted to (PRESS, Allen, Technometrics
    16, 1974); its interval is that of a ratio of means (delta method). The gap is the surrogate's score of the whole
    image less the model's. Where no mask changes the score R² has no value, and the claim is inconclusive.

    Parameters
    ----------
    r2 : float in [0, 1]
        Typical: 0.5. A model that combines parts strictly cannot be told by any sum of weights.
    gap : float of at least 0
        In units of the score. Typical: 0.1 for probabilities.

    Raises
    ------
    OptionError
        An argument is not as above.

    Examples
    --------
    >>> fidelity(0.6)
    fidelity(r2=0.6, gap=0.1)
    """
    return _Fidelity(r2, gap)


@user_error
def agrees_with(opinion: str, *, at_least: float) -> Claim:
    """Claim that another method ranks the superpixels as the weights do: Spearman's correlation of at least so much.

    ``"occlusion"`` is by how much the score falls when a superpixel alone is hidden (Zeiler and
    Fergus, ECCV 2014), one pass each, for any model. ``"gradcam"`` is the mean of Grad-CAM over each superpixel
    (Selvaraju et al., ICCV 2017), for torch networks, with ``pip install 'pytest-lime[gradcam]'``.
    Grad-CAM says only what speaks for a class and is 0 elsewhere, so that even a perfect
    agreement stays below 1 where superpixels speak against it.

    Parameters
    ----------
    opinion : ``"occlusion"``, ``"gradcam"`` or ``"gradcam:LAYER"``
        LAYER is the name of a module of the network, whose output is 1×C×h×w; without it,
        the last that returns such a map of the image.
    at_least : float in [−1, 1]
        Typical: 0.4 for occlusion, 0.2 for Grad-CAM. Occlusion hides one superpixel of a whole image
        and LIME half of all, so that even for a sound model they differ where parts replace each other.

    Raises
    ------
    OptionError
        There is no such method, or `at_least` is not as above.

    Examples
    --------
    >>> agrees_with("occlusion", at_least=0.4)
    agrees_with('occlusion', at_least=0.4)
    """
    return _AgreesWith(opinion, at_least)


@dataclasses.dataclass(frozen=True, repr=False)
class _RegionClaim(Claim):
    """What the claims about one region share."""

    region: Region
    sign: str = dataclasses.field(default="positive", kw_only=True)
    needs_sign = True
    wants_use = True

    def __post_init__(self) -> None:
        as_region(self.region, self.name)
        if not isinstance(self.sign, str) or self.sign not in SPEAKS:
            raise OptionError(
                f"{self.name}: sign={one_line(self.sign)} must be 'positive' or 'negative'{nearest(self.sign, SPEAKS)}."
            )
        if self.sign == "negative":
            # What hiding a region does tells what it speaks for, and nothing of what speaks against.
            object.__setattr__(self, "wants_use", None)

    @property
    def speaks(self) -> str:
        """Whether it is about what speaks ``"for"`` or ``"against"`` the class."""
        return SPEAKS[self.sign]

    @property
    def _written(self) -> str:
        """The sign as it is written in code, where it is not the usual one."""
        return "" if self.sign == "positive" else f", sign={self.sign!r}"

    def seen(self, explanation: Explanation) -> Explanation:
        """Return `explanation`, or for ``sign="negative"`` its mirror, in which what speaks against speaks for."""
        if self.sign == "positive":
            return explanation
        turned = {name: -getattr(explanation, name) for name in ("weights", "intercept", "local_pred", "sample_scores")}
        return dataclasses.replace(explanation, **turned)

    @property
    def regions(self) -> tuple[Region, ...]:  # type: ignore[override]  # a constant of other claims
        return (self.region,)

    def notes(self, explanation: Explanation) -> str:
        """Say what of the region the crop cuts away, and whether anything speaks for the class."""
        notes = []
        hidden = cut_away(self.region, explanation.image, explanation.view)
        if hidden > 0.1:
            notes.append(
                f"{hidden:.0%} of {self.region!r} lies in the part of the image that the model's crop cuts away"
            )
        notes += looks_the_same(explanation, self.region)
        speaks, label = explanation.speaks(), explanation.labels[0]
        if np.abs(explanation.weights[0]).max() <= explanation.rounding[0]:
            notes.append(f"no mask changes the score of {label!r}: try another fill, or look whether the model works")
        elif speaks is not True:
            unknown = "taken together, the samples do not tell whether any"
            notes.append(f"{'no' if speaks is False else unknown} superpixel speaks {self.speaks} {label!r}")
        return "; ".join(notes)


def looks_the_same(explanation: Explanation, region: Region, what: str = "its weight") -> list[str]:
    """Return, as one note or none, that much of `region` looks the same hidden, so that `what` says nothing."""
    flat = explanation.unchanged_share(region)
    if flat <= 0.25:
        return []
    return [f"{flat:.0%} of {region!r} looks the same hidden as shown, so {what} says nothing: choose another fill"]


@dataclasses.dataclass(frozen=True, repr=False)
class _TopOverlap(_RegionClaim):
    k: int
    at_least: float
    name = "top_overlap"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_k(self.k)
        given: Any = self.at_least
        counted = hasattr(given, "__index__") and not isinstance(given, bool) and not getattr(given, "shape", ())
        if (not counted or not 0 < given <= self.k) and not (isinstance(given, float | np.floating) and 0 < given <= 1):
            raise OptionError(
                f"top_overlap: at_least={one_line(given)} must be a whole number of superpixels in 1…k={self.k}, "
                "such as 3, or a float in (0, 1], a share of k."
            )

    def __repr__(self) -> str:
        return f"top_overlap({self.region!r}, k={self.k}, at_least={self.at_least}{self._written})"

    @property
    def needed(self) -> int:
        """How many superpixels `at_least` asks for."""
        # A share of 0.6 of 5 is 3, not 4, whatever binary fractions make of it.
        share = isinstance(self.at_least, float | np.floating)
        return math.ceil(float(self.at_least) * self.k - 1e-9) if share else int(self.at_least)

    def judge(self, explanation: Explanation) -> Verdict:
        explanation = self.seen(explanation)
        found = explanation.overlap(self.region, self.k)
        positive = len(explanation.top(self.k))
        notes = [self.notes(explanation)]
        if 0 < positive < self.k:
            notes.append(f"only {positive} of the {self.k} speak {self.speaks} {explanation.labels[0]!r} at all")
        return Verdict(
            meaning=f"at least {self.needed} of the {self.k} superpixels that speak most {self.speaks} "
            f"{explanation.labels[0]!r} lie in {self.region!r}",
            estimate=found,
            interval=found.interval,
            relation=">=",
            bound=self.needed,
            figure=f"{float(found):.0f} of {self.k}",
            scale=(0.0, float(self.k)),
            samples=explanation.samples,
            top=self.k,
            note="; ".join(filter(None, notes)),
        )


@dataclasses.dataclass(frozen=True, repr=False)
class _TopIou(_RegionClaim):
    k: int
    at_least: float
    name = "top_iou"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_k(self.k)
        check_number(f"{self.name}: at_least", self.at_least, 0, 1)
        if self.at_least == 0:
            raise OptionError("top_iou: at_least=0 asks nothing; give a share above 0, such as 0.3.")

    def __repr__(self) -> str:
        return f"top_iou({self.region!r}, k={self.k}, at_least={self.at_least!r}{self._written})"

    def judge(self, explanation: Explanation) -> Verdict:
        explanation = self.seen(explanation)
        found = explanation.iou(self.region, self.k)
        return Verdict(
            meaning=f"the {self.k} superpixels that speak most {self.speaks} {explanation.labels[0]!r} and "
            f"{self.region!r} share at least {self.at_least:.3g} of what they cover together",
            estimate=found,
            interval=found.interval,
            relation=">=",
            bound=self.at_least,
            scale=(0.0, 1.0),
            samples=explanation.samples,
            top=self.k,
            note=self.notes(explanation),
        )


@dataclasses.dataclass(frozen=True, repr=False)
class _DensityGap(_RegionClaim):
    name = "density_gap"

    def __repr__(self) -> str:
        return f"density_gap({self.region!r}{self._written})"

    def judge(self, explanation: Explanation) -> Verdict:
        explanation = self.seen(explanation)
        found = explanation.density_gap(self.region)
        return Verdict(
            meaning=f"a pixel in {self.region!r} speaks more {self.speaks} {explanation.labels[0]!r} than others do",
            estimate=found,
            interval=found.interval,
            relation=">=",
            bound=0.0,
            status=_above_nothing(found.interval),
            figure=f"{float(found):+.3g}",
            samples=explanation.samples,
            note=self.notes(explanation),
        )


def _above_nothing(interval: tuple[float, float]) -> Any:
    """Return the status of a figure that must be above 0, where that is another than of one at least 0."""
    return "inconclusive" if interval == (0.0, 0.0) else None


@dataclasses.dataclass(frozen=True, repr=False)
class _Contrast(_RegionClaim):
    other: Any
    name = "contrast"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.other, str) and as_whole_number(self.other) is None:
            raise OptionError(f"contrast: other={one_line(self.other)} must be one class, a label or an index.")

    # What hiding a region does to one class says nothing of another.
    wants_use = None  # type: ignore[assignment]  # of the base class it may be None, too

    @property
    def others(self) -> tuple[Any, ...]:  # type: ignore[override]  # a constant of other claims
        return (self.other,)

    def __repr__(self) -> str:
        return f"contrast({self.region!r}, {self.other!r}{self._written})"

    def judge(self, explanation: Explanation) -> Verdict:
        between = self.seen(explanation.contrast(self.other))
        found = between.region_weight(self.region)
        first, second = explanation.labels[0], explanation.class_names[explanation.targets[explanation.row(self.other)]]
        if self.sign == "negative":
            first, second = second, first
        return Verdict(
            meaning=f"{self.region!r} speaks for {first!r} rather than for {second!r}",
            estimate=found,
            interval=found.interval,
            relation=">=",
            bound=0.0,
            status=_above_nothing(found.interval),
            figure=f"{float(found):+.3g}",
            samples=explanation.samples,
            note=self.notes(between),
        )


@dataclasses.dataclass(frozen=True, repr=False)
class _Mass(_RegionClaim):
    at_least: float | None
    at_most: float | str | None
    name = "mass"

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.at_least is None) == (self.at_most is None):
            raise OptionError("mass: give exactly one of at_least and at_most; for both bounds make two claims.")
        if self.at_least is not None:
            check_number(f"{self.name}: at_least", self.at_least, 0, 1)
        elif not isinstance(self.at_most, str):
            check_number(f"{self.name}: at_most", self.at_most, 0, 1)
        elif self.at_most != "area":
            raise OptionError(f"mass: at_most={self.at_most!r} must be a number in [0, 1], or 'area'.")
        if self.wants_use and self.at_least is None:
            object.__setattr__(self, "wants_use", False)

    def __repr__(self) -> str:
        bound = f"at_most={self.at_most!r}" if self.at_least is None else f"at_least={self.at_least!r}"
        return f"mass({self.region!r}, {bound}{self._written})"

    def judge(self, explanation: Explanation) -> Verdict:
        explanation = self.seen(explanation)
        found = explanation.mass(self.region)
        relation: Relation = "<=" if self.at_least is None else ">="
        wanted = self.at_most if self.at_least is None else self.at_least
        area = float(explanation.region_mask(self.region).mean())
        bound = area if wanted == "area" else float(wanted or 0.0)
        share = " (the region's share of the area)" if wanted == "area" else ""
        label = explanation.labels[0]
        return Verdict(
            meaning=f"{BOUNDS[relation]} {bound:.3g}{share} of the weight that speaks {self.speaks} {label!r} lies in "
            f"{self.region!r}",
            estimate=found,
            interval=found.interval,
            relation=relation,
            bound=bound,
            scale=(0.0, 1.0),
            samples=explanation.samples,
            note=self.notes(explanation),
        )


@dataclasses.dataclass(frozen=True, repr=False)
class _Pointing(_RegionClaim):
    tolerance: float
    name = "pointing"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(f"{self.name}: tolerance", self.tolerance, 0)

    def __repr__(self) -> str:
        return f"pointing({self.region!r}, tolerance={self.tolerance:g}{self._written})"

    def judge(self, explanation: Explanation) -> Verdict:
        explanation = self.seen(explanation)
        strongest = int(explanation.weights[0].argmax())
        candidates = np.flatnonzero(~explanation.order(1).ahead.any(axis=0))
        distances = self._distances(explanation, np.union1d(candidates, [strongest]))
        found, ends = distances[strongest], (min(distances.values()), max(distances.values()))
        farthest = max(math.hypot(*explanation.image.size), float(self.tolerance) + 1)
        figure = "inside" if found == 0 else f"{found:.0f} pixels away"
        # Where nothing speaks for the class, no place speaks most for it.
        if explanation.weights[0, strongest] <= 0:
            found, figure = farthest, "nowhere"
        speaks = explanation.speaks()
        if not speaks:
            ends = (ends[0] if speaks is None else farthest, farthest)
        return Verdict(
            meaning=f"the superpixel that speaks most {self.speaks} {explanation.labels[0]!r} lies in {self.region!r}, "
            f"or within {self.tolerance:g} pixels of it",
            estimate=found,
            interval=ends,
            relation="<=",
            bound=self.tolerance,
            figure=figure,
            asks=f"at most {self.tolerance:g} pixels away" if self.tolerance else "inside",
            scale=(0.0, farthest),
            samples=explanation.samples,
            top=1,
            note=self.notes(explanation),
        )

    def _distances(self, explanation: Explanation, superpixels: NDArray[Any]) -> dict[int, float]:
        """Return how far each superpixel is from the region, in pixels of the image file."""
        shares = explanation.shares(self.region)
        x0, y0, x1, y1 = explanation.view.box
        height, width = explanation.view.shape
        outside = [int(superpixel) for superpixel in superpixels if shares[superpixel] < 0.5]
        centres = []
        for superpixel in outside:
            down, across = np.nonzero(explanation.segments == superpixel)
            # The pixel of the superpixel nearest to its centroid, which may lie outside of it.
            central = np.argmin((down - down.mean()) ** 2 + (across - across.mean()) ** 2)
            centres.append(
                (
                    x0 + (across[central] + 0.5) / width * (x1 - x0),
                    y0 + (down[central] + 0.5) / height * (y1 - y0),
                )
            )
        found = dict.fromkeys(map(int, superpixels), 0.0)
        if outside:
            far = distances(self.region, explanation.image, np.array(centres))
            found.update(zip(outside, map(float, far), strict=True))
        return found


@dataclasses.dataclass(frozen=True, repr=False)
class _Predicted(Claim):
    at_least: float | None
    rank: int | None
    name = "predicted"

    def __post_init__(self) -> None:
        if self.at_least is None and self.rank is None:
            raise OptionError("predicted: give at_least, or rank, or both.")
        if self.at_least is not None:
            check_number(f"{self.name}: at_least", self.at_least)
        rank: Any = self.rank
        if rank is not None and (isinstance(rank, bool) or not hasattr(rank, "__index__") or rank < 1):
            raise OptionError(f"predicted: rank={one_line(rank)} must be a whole number of at least 1, or None.")

    @property
    def one_figure(self) -> bool:  # type: ignore[override]  # a constant of other claims
        return self.at_least is None or self.rank is None

    def __repr__(self) -> str:
        parts = [f"at_least={self.at_least!r}"] if self.at_least is not None else []
        parts += [f"rank={self.rank!r}"] if self.rank != 1 or not parts else []
        return f"predicted({', '.join(parts)})"

    def judge(self, explanation: Explanation) -> Verdict:
        score, rank, classes = float(explanation.score[0]), explanation.rank(), len(explanation.prediction)
        wishes = []
        if self.rank is not None:
            wishes.append(
                f"is among the {self.rank} classes of highest score" if self.rank > 1 else "has the highest score"
            )
        if self.at_least is not None:
            wishes.append(f"has a score of at least {self.at_least:g}")
        ranked = self.rank is None or rank <= self.rank
        scored = self.at_least is None or score >= self.at_least
        # The figure shown is the one that decides: the rank when it fails, or when it is all that is asked.
        by_rank = self.rank is not None and (not ranked or self.at_least is None)
        estimate, bound = (float(rank), float(self.rank or 1)) if by_rank else (score, float(self.at_least or 0.0))
        asks = f"rank {bound:.0f}{' or better' if bound > 1 else ''}" if by_rank else ""
        return Verdict(
            meaning=f"{explanation.labels[0]!r} {' and '.join(wishes)}",
            status="pass" if ranked and scored else "fail",
            estimate=estimate,
            interval=(estimate, estimate),
            relation="<=" if by_rank else ">=",
            bound=bound,
            figure=f"rank {rank} (score {score:.3g})" if by_rank else f"score {score:.3g} (rank {rank})",
            asks=asks,
            scale=(1.0, float(max(classes, 2))) if by_rank else (min(0.0, score, bound), max(1.0, score, bound)),
            note=f"a rank of {self.rank} among {classes} classes asks nothing" if (self.rank or 0) >= classes else "",
        )


@dataclasses.dataclass(frozen=True, repr=False)
class _AgreesWith(Claim):
    opinion: str
    at_least: float
    name = "agrees_with"
    needs_sign = True

    def __post_init__(self) -> None:
        check_opinions([self.opinion])
        check_number(f"{self.name}: at_least", self.at_least, -1, 1)

    @property
    def opinions(self) -> tuple[str, ...]:  # type: ignore[override]  # a constant of other claims
        return (self.opinion,)

    def __repr__(self) -> str:
        return f"agrees_with({self.opinion!r}, at_least={self.at_least!r})"

    def judge(self, explanation: Explanation) -> Verdict:
        found = explanation.agreement(self.opinion)
        method, label = describe_opinion(self.opinion), explanation.labels[0]
        undefined = why_undefined(
            explanation.weights[0],
            explanation.opinions[self.opinion][0],
            explanation.covariance[0],
            float(explanation.rounding[0]),
        )
        return Verdict(
            meaning=f"{method} ranks the superpixels as the weights for {label!r} do, with a rank correlation of at "
            f"least {self.at_least:.3g}",
            estimate=found,
            interval=found.interval,
            relation=">=",
            bound=self.at_least,
            figure="no correlation" if undefined else "",
            scale=(-1.0, 1.0),
            samples=explanation.samples,
            note=f"the rank correlation with {method} has no value: {undefined}" if undefined else "",
        )


@dataclasses.dataclass(frozen=True, repr=False)
class _Fidelity(Claim):
    r2: float
    gap: float
    name = "fidelity"
    needs_sign = True
    one_figure = False
    least_samples = SETTLED

    def __post_init__(self) -> None:
        check_number(f"{self.name}: r2", self.r2, 0, 1)
        check_number(f"{self.name}: gap", self.gap, 0)

    def __repr__(self) -> str:
        return f"fidelity(r2={self.r2!r}, gap={self.gap!r})"

    def judge(self, explanation: Explanation) -> Verdict:
        fit, off = explanation.heldout_fit(), explanation.surrogate_gap()
        least, most = sorted((abs(off.interval[0]), abs(off.interval[1])))
        if off.interval[0] <= 0 <= off.interval[1]:
            least = 0.0
        by_gap = decide((least, most), "<=", self.gap)
        status = worst([decide(fit.interval, ">=", self.r2), by_gap])
        # The figure shown is the one that decides.
        gap_decides = by_gap == status != "pass" and decide(fit.interval, ">=", self.r2) != status
        figures = f"R² {float(fit):.2f}, gap {float(off):+.2g}"
        estimate, interval = (abs(float(off)), (least, most)) if gap_decides else (float(fit), fit.interval)
        note = "" if np.isfinite(explanation.r2_heldout[0]) else "too few samples for a held-out R²"
        if _constant(explanation):
            # As `Explanation.warnings` says; there is no variance to explain.
            status, gap_decides, estimate, interval = "inconclusive", False, 0.0, (-math.inf, 1.0)
            figures = f"no R², gap {float(off):+.2g}"
            note = f"R² has no value: no mask changes the score of {explanation.labels[0]!r}"
        return Verdict(
            meaning=f"the surrogate explains at least {self.r2:.3g} of the variance of samples that it has not seen, "
            f"and is within {self.gap:.3g} of the model on the image itself",
            status=status,
            estimate=estimate,
            interval=interval,
            relation="<=" if gap_decides else ">=",
            bound=self.gap if gap_decides else self.r2,
            figure=figures,
            scale=(math.nan, math.nan) if gap_decides else (0.0, 1.0),
            samples=explanation.samples,
            note=note,
        )


def _constant(explanation: Explanation) -> bool:
    """Whether all scores are the same but for rounding."""
    scores = np.append(explanation.sample_scores[:, 0], explanation.score[0])
    return bool(np.ptp(scores) <= 2 * explanation.rounding[0])
