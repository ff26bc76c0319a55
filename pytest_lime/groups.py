"""Groups: whether a figure is alike in groups of images, judged by intervals and not by a lack of proof."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, chdtri, stdtr, stdtrit

from pytest_lime.errors import OptionError, is_for_the_user, one_line
from pytest_lime.options import check_number
from pytest_lime.verdicts import Status, distinct, worst

__all__ = ["SPREAD", "Comparison", "Difference", "Group", "compare", "rate_interval", "too_few", "units_needed"]

__tracebackhide__ = is_for_the_user

Array = NDArray[np.float64]
Figures = Mapping[Any, float] | Iterable[tuple[Any, float]]
# The standard deviation of shares that lie anywhere in [0, 1] is 0.29, of most that images give less.
SPREAD = 0.2
# How often a comparison with `units_needed` units passes where there is no difference.
POWER = 0.8
# All sign flips of so many pairs at most, a sample of the flips of more.
MOST_FLIPS = 9_999
PORTION = 500
# So many values stand for the law of a standard deviation.
NODES = (np.arange(32) + 0.5) / 32
MOST_UNITS = 10**15
# A message tells so many pairs.
LISTED = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Group:
    """One group: its figures, and where their mean lies.

    Attributes
    ----------
    name : str
    units : tuple
        What the figures are of: images, or the sources of images.
    figures : tuple of float
        One for each unit.
    mean : float
    interval : (low, high)
        Student's t at the comparison's confidence, or Clopper and Pearson's for rates; infinite where
        nothing is known of the spread.
    """

    name: str
    units: tuple[Hashable, ...]
    figures: tuple[float, ...]
    mean: float
    interval: tuple[float, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Difference:
    """How much the mean of one group exceeds that of another.

    Attributes
    ----------
    first, second : str
        Names of the groups.
    estimate : float
        The mean of the first less that of the second.
    interval : (low, high)
        At a confidence of 1 − 2α, as two one-sided tests at level α need it.
    status : ``"pass"``, ``"fail"`` or ``"inconclusive"``
        Pass when the interval lies within the margin, fail when `p_beyond_holm` is at most α.
    p_equivalent : float
        For a difference of at least the margin: the greater of the two one-sided p-values.
    p_beyond : float
        For a difference of at most the margin: the one-sided p-value at the edge that the estimate lies beyond,
        and that at the other edge, which counts where the margin is narrow.
    p_different : float
        For no difference at all, two-sided.
    p_beyond_holm, p_different_holm : float
        The same, corrected for the number of pairs (Holm 1979).
    """

    first: str
    second: str
    estimate: float
    interval: tuple[float, float]
    status: Status
    p_equivalent: float
    p_beyond: float
    p_different: float
    p_beyond_holm: float
    p_different_holm: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """Whether a figure is alike in all groups.

    Attributes
    ----------
    statistic : str
        What the figure is called.
    groups : tuple of Group
    differences : tuple of Difference
        Of each pair of groups, in the order of the groups.
    margin : float
        Differences below it count as none.
    confidence : float
        1 − α, of every single test.
    paired : bool
        Whether both groups are of the same units.
    rates : bool
        Whether the figures say of each unit that something holds (1) or does not (0).
    notes : tuple of str
        What the reader should know.
    too_few : str
        Why there was no use in measuring anything, in words; empty where there was.
    """

    statistic: str
    groups: tuple[Group, ...]
    differences: tuple[Difference, ...]
    margin: float
    confidence: float
    paired: bool
    rates: bool
    notes: tuple[str, ...] = ()
    too_few: str = ""

    @property
    def status(self) -> Status:
        """Fail if some pair is beyond the margin, pass if all are within it, else inconclusive."""
        if self.too_few:
            return "inconclusive"
        return worst([difference.status for difference in self.differences])

    @property
    def headline(self) -> str:
        """What is known of all pairs, on one line."""
        if self.too_few:
            return f"it stays open whether {self.statistic} is alike in the groups: {self.too_few}"
        status, margin, among = self.status, f"{self.margin:.4g}", f"{len(self.groups)} groups"
        if status == "pass":
            return f"{self.statistic} is alike in {among}: no two differ by {margin} or more"
        pairs = [_sentence(one, self.margin) for one in self._gravest() if one.status == status]
        told = pairs[0] + (f" (and {len(pairs) - 1} more)" if len(pairs) > 1 else "")
        if status == "fail":
            return f"{self.statistic} differs by more than {margin} among {among}: {told}"
        return f"it is open whether {self.statistic} is alike in {among} to within {margin}: {told}"

    @property
    def leaning(self) -> str:
        """What the estimates alone say of the pairs that stayed open: of the gravest, which the headline has, first."""
        told: list[str] = []
        for one in self._gravest():
            if one.status == "inconclusive":
                verb = "holds" if abs(one.estimate) < self.margin else "fails"
                told.append(
                    f"{_sentence(one, self.margin)}, which alone {verb}" if told else f"the estimate alone {verb}"
                )
        return "; ".join(told)

    @property
    def remedy(self) -> str:
        """What would decide what is open."""
        if self.groups and not self.rates and len({figure for group in self.groups for figure in group.figures}) == 1:
            return "choose a statistic that differs from image to image, or compare rates"
        return "add images"

    def message(self, report: str = "") -> str:
        """Return every group and the gravest pairs with their figures, in several lines; `report` is a path."""
        lines = [f"{self.headline}."]
        if self.too_few:
            return lines[0]
        for group in self.groups:
            units = f"{len(group.figures)} unit{'' if len(group.figures) == 1 else 's'}"
            kind = "rate" if self.rates else "mean"
            lines.append(f"  {group.name!r}: {kind} {group.mean:.3g}, {_interval(group.interval)} ({units})")
        for one in self._gravest()[:LISTED]:
            proof = f"within: p = {one.p_equivalent:.2g}, beyond: p = {one.p_beyond_holm:.2g}"
            told = _sentence(one, self.margin)
            lines.append(f"  {one.status.upper()}: {told}, needs to be within ±{self.margin:.4g} ({proof})")
        if len(self.differences) > LISTED:
            lines.append(f"  and {len(self.differences) - LISTED} more pairs")
        lines += [f"  note: {note}" for note in self.notes]
        lines.append(
            f"  {'the same units in both groups; ' if self.paired else ''}intervals at {self.confidence:.4g} "
            f"confidence, of differences at {2 * self.confidence - 1:.4g}, since each end is a test of its own"
        )
        if report:
            lines.append(f"  report: {report}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON values; an end that is not known is None."""
        groups = [
            {**_values(group), "units": list(map(str, group.units)), "figures": list(group.figures)}
            for group in self.groups
        ]
        return {
            **_values(self),
            "status": self.status,
            "headline": self.headline,
            "groups": groups,
            "differences": [_values(difference) for difference in self.differences],
            "notes": list(self.notes),
        }

    def _gravest(self) -> list[Difference]:
        order: list[Status] = ["fail", "inconclusive", "pass"]
        return sorted(self.differences, key=lambda one: (order.index(one.status), -abs(one.estimate)))


def compare(
    figures: Mapping[str, Figures],
    *,
    margin: float,
    confidence: float = 0.95,
    paired: bool = False,
    rates: bool | None = None,
    seed: int = 0,
    statistic: str = "the figure",
) -> Comparison:
    """Judge whether the means of all groups are the same to within `margin`.

    Being alike has to be shown: two one-sided tests for each pair (Schuirmann 1987) must both
    reject a difference of `margin`, which is to say that an interval of the difference at 1 − 2α
    confidence lies within the margin. Every pair must pass, so nothing needs correcting. A pair
    fails where its difference is shown to be beyond the margin, with Holm's correction (1979).
    Whether groups differ at all is told besides, and decides nothing.

    Three tests, by what the figures are:

    - means: Welch's t test (1947), right for any law as far as the means are near to normal. Units that are few and
      skewed make it less so where sizes differ: for exponential figures, 10 units against 40, an α of
      0.05 is up to 0.1 in truth; for equal sizes it holds.
    - means of pairs: all sign flips of the differences, or 9,999 at random beyond 13 pairs. The
      interval holds every shift that the test does not reject, and its ends are means of subsets
      of the differences (Hartigan 1969). Differences must lie symmetrically about their mean: for 10
      exponential ones α is up to 0.13.
    - rates, of pairs or not: the limits of Clopper and Pearson (1934) for each, joined as in Newcombe's
      hybrid interval (1998), with the correlation of the two where they are of pairs (Zou and
      Donner 2008). It needs no large numbers: for 2 units and more, all outcomes enumerated, errors are at most α.

    Where all figures of a group are the same, its spread is not known and is taken to be that of the
    group that spreads most. Where no group spreads, or no difference of pairs does, there is no
    verdict on means; on rates there is.

    Parameters
    ----------
    figures : mapping from name to mapping, or to pairs
        For each group the figure of each unit. In (unit, figure) pairs a unit may come more than once,
        as the source of several images does; its figures are averaged first.
    margin : float
        The least difference that matters, in the unit of the figures; greater than 0.
    confidence : float in (0.5, 1)
        1 − α.
    paired : bool
        There are two groups of the same units, such as each image with and without a mark.
    rates : bool, optional
        Whether the figures say that something holds (1) or not (0). If not given: whether all are 0 or 1,
        those of a unit averaged.
    seed : int
        Of sign flips at random.
    statistic : str
        What the figure is called in messages.

    Returns
    -------
    Comparison

    Raises
    ------
    OptionError
        An argument is not as above, or a figure is missing or no finite number.

    Notes
    -----
    D. J. Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987. B. L. Welch, Biometrika
    34, 1947. S. Holm, Scandinavian Journal of Statistics 6, 1979. J. A. Hartigan, Journal of the American
    Statistical Association 64, 1969. C. J. Clopper and E. S. Pearson, Biometrika 26, 1934. R. G. Newcombe,
    Statistics in Medicine 17, 1998. G. Y. Zou and A. Donner, Statistics in Medicine 27, 2008.

    Examples
    --------
    >>> light = {"a.png": 0.61, "b.png": 0.66, "c.png": 0.58, "d.png": 0.63}
    >>> dark = [("e.png", 0.60), ("f.png", 0.62), ("g.png", 0.57), ("h.png", 0.64)]
    >>> found = compare({"light": light, "dark": dark}, margin=0.1)
    >>> found.status, [round(end, 3) for end in found.differences[0].interval]
    ('pass', [-0.031, 0.056])
    >>> compare({"light": light, "dark": dark}, margin=0.05).status
    'inconclusive'
    """
    margin, alpha = _check_margin(margin), 1 - _check_confidence(confidence)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise OptionError(f"seed={one_line(seed)} must be a whole number of at least 0.")
    units = _check_figures(figures)
    if paired:
        units = _match(units)
    values = [np.array(list(group.values())) for group in units.values()]
    binary = all(np.isin(group, (0, 1)).all() for group in values)
    if rates and not binary:
        odd = next(value for group in values for value in group if value not in (0, 1))
        raise OptionError(f"rates=True takes figures of 0 and 1, one is {odd:.4g}; leave rates out to compare means.")
    rates = binary if rates is None else bool(rates)
    own = [0.0 if _constant(group) else float(group.std(ddof=1)) for group in values]
    spreads, notes = (own, []) if rates or paired else _borrow(list(units), values, own)
    groups = tuple(
        Group(
            name=name,
            units=tuple(group),
            figures=tuple(group.values()),
            mean=float(column.mean()),
            interval=rate_interval(int(column.sum()), len(column), confidence)
            if rates
            else _mean_interval(column, spread, confidence),
        )
        for (name, group), column, spread in zip(units.items(), values, spreads, strict=True)
    )
    tests = [
        _Rates.of(first, second, paired)
        if rates
        else _SignFlips.of(first, second, int(seed))
        if paired
        else _Welch.of((float(first.mean()), spread, len(first)), (float(second.mean()), other, len(second)))
        for (first, spread), (second, other) in itertools.combinations(zip(values, spreads, strict=True), 2)
    ]
    notes += [test.note(alpha) for test in tests if isinstance(test, _SignFlips) and test.always > alpha * test.flips]
    differences = _judged(groups, tests, margin, alpha)
    notes += [
        f"{one.first!r} and {one.second!r} do differ (p = {one.p_different_holm:.2g}), "
        + ("be it by less than the margin" if one.status == "pass" else "by more or by less than the margin")
        for one in differences
        if one.p_different_holm <= alpha and one.status != "fail"
    ]
    return Comparison(
        statistic=str(statistic),
        groups=groups,
        differences=differences,
        margin=margin,
        confidence=float(confidence),
        paired=bool(paired),
        rates=rates,
        notes=tuple(notes),
    )


def rate_interval(held: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a rate (Clopper and Pearson, Biometrika 26, 1934).

    Parameters
    ----------
    held, total : int
        Of how many it holds, and how many there are.
    confidence : float in (0.5, 1)

    Raises
    ------
    OptionError
        There is nothing to count, or more of it than there is.

    Examples
    --------
    >>> [round(end, 3) for end in rate_interval(9, 10)]
    [0.555, 0.997]
    """
    if not (isinstance(total, int | np.integer) and isinstance(held, int | np.integer) and 0 <= held <= total > 0):
        raise OptionError(
            f"held={one_line(held)} and total={one_line(total)} must be whole numbers, total at least 1 and held "
            "from 0 to total."
        )
    return _rate_bounds(int(held), int(total), (1 - _check_confidence(confidence)) / 2)


def units_needed(
    groups: int = 2, *, margin: float, confidence: float = 0.95, spread: float = SPREAD, paired: bool = False
) -> int:
    """Return how many units each group needs, for a pass in 4 of 5 comparisons where there is no difference.

    All pairs must pass together, so the range of the means must stay below what the margin leaves beside the
    interval's half-width: the law of the range (`scipy.stats.studentized_range`), averaged over that of the
    standard deviation. For two groups it is the power of two one-sided t tests (Schuirmann 1987).

    Parameters
    ----------
    groups : int
        How many groups, at least 2.
    margin, confidence, paired
        As for `compare`.
    spread : float
        The expected standard deviation between units of a group; with `paired`, of the differences. The
        default suits shares in [0, 1]. Rates spread by 0.5 where half of the units hold and by 0.3 where 90 % do.

    Returns
    -------
    int
        At least 2, and with `paired` so many that all sign flips can reject.

    Raises
    ------
    OptionError
        An argument is not as above.

    Examples
    --------
    >>> units_needed(margin=0.1), units_needed(margin=0.1, paired=True), units_needed(4, margin=0.1)
    (70, 36, 105)
    """
    _check_count(groups, paired)
    margin, alpha = _check_margin(margin), 1 - _check_confidence(confidence)
    spread = _check_spread(spread)
    least = _fewest(alpha, paired)
    return least + bisect.bisect_left(
        range(least, MOST_UNITS),
        POWER,
        key=lambda units: _power(units, groups, margin / spread, alpha, paired),
    )


def too_few(
    sizes: Mapping[str, int],
    *,
    margin: float,
    confidence: float = 0.95,
    spread: float = SPREAD,
    paired: bool = False,
) -> str:
    """Return why no comparison of so many units could pass, with the number needed; empty where one could.

    A pass is out of reach where the interval of some difference is expected to be as wide as the margin on
    either side, even if the difference is 0.

    Parameters
    ----------
    sizes : mapping from name to int
        How many units each group has, of at least two groups.
    margin, confidence, spread, paired
        As for `units_needed`.

    Raises
    ------
    OptionError
        An argument is not as above.

    Examples
    --------
    >>> too_few({"light": 60, "dark": 50}, margin=0.1)
    ''
    >>> print(too_few({"light": 60, "dark": 9}, margin=0.1))
    too few units in 'light' (60) and 'dark' (9): with a spread of 0.2 their difference would be known to ±0.129 \
at best, and the margin is 0.1; about 70 are needed in each group
    """
    margin, alpha, spread = _check_margin(margin), 1 - _check_confidence(confidence), _check_spread(spread)
    _check_count(len(sizes), paired)
    fewest = _fewest(alpha, paired)
    small = [name for name, size in sizes.items() if size < fewest]
    if small:
        reason = (
            f"{small[0]!r} ({sizes[small[0]]}): fewer than {fewest} tell nothing at a confidence of {confidence:.4g}"
        )
    else:
        widths = {}
        for (first, size), (second, other) in itertools.combinations(sizes.items(), 2):
            law = _Welch.of((0.0, spread, size), (0.0, spread, other))
            if paired:
                law = _Welch(0.0, spread / math.sqrt(min(size, other)), min(size, other) - 1)
            widths[f"{first!r} ({size}) and {second!r} ({other})"] = -law.low(alpha)
        widest = max(widths, key=lambda pair: widths[pair])
        if widths[widest] < margin:
            return ""
        reason = (
            f"{widest}: with a spread of {spread:.4g} their difference would be known to "
            f"±{distinct(widths[widest], margin)} at best, and the margin is {margin:.4g}"
        )
    needed = units_needed(len(sizes), margin=margin, confidence=confidence, spread=spread, paired=paired)
    return f"too few units in {reason}; about {needed:,} are needed in each group"


def _fewest(alpha: float, paired: bool) -> int:
    """Return below how many units nothing is rejected: all signs alike have a chance of 2^−n."""
    return max(2, math.ceil(-math.log2(alpha) - 1e-9)) if paired else 2


def _power(units: int, groups: int, margin: float, alpha: float, paired: bool) -> float:
    """Return how often all pairs pass where all true means are equal; `margin` is in spreads."""
    from scipy.stats import studentized_range  # noqa: PLC0415  (heavy)

    freedom = float(units - 1 if paired else 2 * (units - 1))
    error = math.sqrt((1 if paired else 2) / units)
    seen = np.sqrt(chdtri(freedom, NODES) / freedom)
    # Beyond 50 standard errors everything passes, and the integral of the law would lose its digits.
    room = np.clip(margin / error + stdtrit(freedom, alpha) * seen, 0.0, 50.0)
    return float(np.mean(studentized_range.cdf(math.sqrt(2) * room, groups, np.inf)))


class _Test(Protocol):
    """What is known of a difference: the `low` limit at a tail, the p-value for it being `above` something."""

    def low(self, tail: float) -> float: ...

    def above(self, value: float) -> float: ...

    def turned(self) -> _Test: ...


class _Welch(NamedTuple):
    """A difference of means that follows Student's t; without degrees of freedom nothing is known of it."""

    estimate: float
    error: float
    freedom: float

    @classmethod
    def of(cls, first: tuple[float, float, int], second: tuple[float, float, int]) -> _Welch:
        """Return the difference of two groups: mean, standard deviation and number of units of each."""
        (mean, spread, units), (other_mean, other_spread, other_units) = first, second
        own = spread / math.sqrt(units)
        error = math.hypot(own, other_spread / math.sqrt(other_units))
        if min(units, other_units) < 2 or error == 0:
            return cls(mean - other_mean, math.nan, 0.0)
        share = (own / error) ** 2
        freedom = 1 / (share**2 / (units - 1) + (1 - share) ** 2 / (other_units - 1))
        return cls(mean - other_mean, error, freedom)

    def low(self, tail: float) -> float:
        return float(self.estimate + self.error * stdtrit(self.freedom, tail)) if self.freedom else -math.inf

    def above(self, value: float) -> float:
        return float(stdtr(self.freedom, (value - self.estimate) / self.error)) if self.freedom else 1.0

    def turned(self) -> _Welch:
        return self._replace(estimate=-self.estimate)


class _SignFlips(NamedTuple):
    """A mean difference of pairs.

    Signs flipped in a subset make the mean of d − θ no smaller just where the subset's own mean of d is at most θ.
    So the sorted means of all subsets have every p-value, and every limit, in them.
    """

    means: Array
    always: int
    flips: int
    slack: float

    @classmethod
    def of(cls, first: Array, second: Array, seed: int) -> _SignFlips:
        differences = first - second
        # What rounding may have done to them.
        slack = 1e-12 * float(np.abs([first, second]).max())
        if np.ptp(differences) <= slack:
            return cls(np.empty(0), 1, 1, slack)
        units = len(differences)
        enumerated = 2**units <= MOST_FLIPS + 1
        rng = np.random.default_rng(seed)
        sums, counts = np.zeros((2, 2**units if enumerated else MOST_FLIPS))
        for start in range(0, units, PORTION):
            part = differences[start : start + PORTION]
            if enumerated:
                subsets = np.arange(2**units)[:, None] >> np.arange(units) & 1
            else:
                subsets = rng.integers(0, 2, (MOST_FLIPS, len(part)))
            sums += subsets @ part
            counts += subsets.sum(axis=1)
        means = np.sort(sums[counts > 0] / counts[counts > 0])
        # What was seen is one of the flips, with no sign changed; a sample of the flips lacks it.
        flips = len(sums) + (not enumerated)
        return cls(means, flips - len(means), flips, slack)

    def note(self, alpha: float) -> str:
        if not len(self.means):
            return "the differences of all pairs are the same, so nothing is known of their spread"
        few = f"{MOST_FLIPS:,} sign flips" if self.flips > MOST_FLIPS else f"{math.log2(self.flips):.0f} pairs"
        return f"{few} are too few for a confidence of {1 - alpha:.6g}"

    def low(self, tail: float) -> float:
        place = math.floor(tail * self.flips) - self.always
        return float(self.means[place] - self.slack) if place >= 0 else -math.inf

    def above(self, value: float) -> float:
        return float(self.always + np.searchsorted(self.means, value + self.slack, side="right")) / self.flips

    def turned(self) -> _SignFlips:
        return self._replace(means=-self.means[::-1])


class _Rates(NamedTuple):
    """A difference of two rates; of pairs, of the rates at which only the one or only the other holds."""

    held: int
    total: int
    other_held: int
    other_total: int
    correlation: float

    @classmethod
    def of(cls, first: Array, second: Array, paired: bool) -> _Rates:
        if not paired:
            return cls(int(first.sum()), len(first), int(second.sum()), len(second), 0.0)
        one, other, units = int((first > second).sum()), int((second > first).sum()), len(first)
        # The two rates of a multinomial are correlated by less than 0; half a unit more keeps this from 0 / 0.
        against = (units - one + 0.5) * (units - other + 0.5)
        return cls(one, units, other, units, -math.sqrt((one + 0.5) * (other + 0.5) / against))

    def low(self, tail: float) -> float:
        rate, other = self.held / self.total, self.other_held / self.other_total
        below = rate - _rate_bounds(self.held, self.total, tail)[0]
        over = _rate_bounds(self.other_held, self.other_total, tail)[1] - other
        return rate - other - math.sqrt(below**2 + over**2 - 2 * self.correlation * below * over)

    def above(self, value: float) -> float:
        """Return the tail at which the limit reaches `value`; 1 where that is beyond one half."""
        from scipy.optimize import brentq  # noqa: PLC0415  (heavy)

        least, most = 1e-15, 0.5
        if self.low(most) <= value:
            return 1.0
        if self.low(least) > value:
            return 0.0
        return float(brentq(lambda tail: self.low(tail) - value, least, most))

    def turned(self) -> _Rates:
        return _Rates(self.other_held, self.other_total, self.held, self.total, self.correlation)


def _rate_bounds(held: int, total: int, tail: float) -> tuple[float, float]:
    low = float(betaincinv(held, total - held + 1, tail)) if held > 0 else 0.0
    high = float(betaincinv(held + 1, total - held, 1 - tail)) if held < total else 1.0
    return low, high


def _judged(groups: tuple[Group, ...], tests: Sequence[_Test], margin: float, alpha: float) -> tuple[Difference, ...]:
    found = []
    for (first, second), test in zip(itertools.combinations(groups, 2), tests, strict=True):
        turned = test.turned()
        interval = (test.low(alpha), -turned.low(alpha))
        # A difference beyond a narrow margin may be so to either side, as far as one knows.
        beyond = min(one.above(margin) + one.above(-margin) for one in (test, turned))
        found.append(
            Difference(
                first=first.name,
                second=second.name,
                estimate=first.mean - second.mean,
                interval=interval,
                status="pass" if -margin < interval[0] and interval[1] < margin else "inconclusive",
                p_equivalent=max(test.above(-margin), turned.above(-margin)),
                p_beyond=min(1.0, beyond),
                p_different=min(1.0, 2 * min(test.above(0.0), turned.above(0.0))),
                p_beyond_holm=1.0,
                p_different_holm=1.0,
            )
        )
    beyond_holm, different_holm = (_holm([getattr(one, name) for one in found]) for name in ("p_beyond", "p_different"))
    return tuple(
        dataclasses.replace(
            one, p_beyond_holm=p, p_different_holm=different, status="fail" if p <= alpha else one.status
        )
        for one, p, different in zip(found, beyond_holm, different_holm, strict=True)
    )


def _holm(values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number (Holm 1979).

    >>> _holm([0.01, 0.5, 0.02])
    [0.03, 0.5, 0.04]
    """
    order = np.argsort(values, kind="stable")
    adjusted = np.empty(len(values))
    adjusted[order] = np.maximum.accumulate(np.asarray(values)[order] * np.arange(len(values), 0, -1))
    return [float(value) for value in np.minimum(adjusted, 1.0)]


def _constant(values: Array) -> bool:
    return bool(np.ptp(values) <= 1e-12 * np.abs(values).max())


def _borrow(names: list[str], values: list[Array], own: list[float]) -> tuple[list[float], list[str]]:
    """Return standard deviations, for groups without any the greatest of the others; and what to say of that."""
    most = max(own)
    if most == 0:
        return own, [
            "in each group all figures are the same, so nothing is known of their spread; 0 and 1, for whether "
            "something holds, can be compared even so"
        ]
    notes = []
    for name, group, spread in zip(names, values, own, strict=True):
        if len(group) < 2:
            notes.append(f"{name!r} has one unit, which tells nothing of its mean")
        elif spread == 0:
            notes.append(
                f"all figures of {name!r} are {group[0]:.4g}; its spread is taken to be {most:.3g}, that of the group "
                "that spreads most"
            )
    return [spread or most for spread in own], notes


def _mean_interval(values: Array, spread: float, confidence: float) -> tuple[float, float]:
    if len(values) < 2 or spread == 0:
        return -math.inf, math.inf
    law = _Welch(float(values.mean()), spread / math.sqrt(len(values)), len(values) - 1)
    low = law.low((1 - confidence) / 2)
    return low, 2 * law.estimate - low


def _check_figures(figures: Mapping[str, Figures]) -> dict[str, dict[Hashable, float]]:
    """Return the figure of each unit of each group."""
    if not isinstance(figures, Mapping) or len(figures) < 2:
        raise OptionError(f"groups={one_line(figures)} must be at least two groups by name, such as {{'light': …}}.")
    found = {}
    for name, given in figures.items():
        if not isinstance(name, str) or not name:
            raise OptionError(f"group name {one_line(name)} must be a text that is not empty.")
        units: dict[Hashable, list[float]] = {}
        try:
            for unit, figure in given.items() if isinstance(given, Mapping) else given:
                units.setdefault(unit, []).append(_check_figure(name, unit, figure))
        except OptionError:
            raise
        except (TypeError, ValueError):
            raise OptionError(
                f"group {name!r}: {one_line(given)} must be a mapping from unit to figure, or pairs of both."
            ) from None
        if not units:
            raise OptionError(f"group {name!r} is empty; give it at least one unit, or leave it out.")
        found[name] = {unit: math.fsum(several) / len(several) for unit, several in units.items()}
    return found


def _check_figure(name: str, unit: Hashable, figure: Any) -> float:
    try:
        number = math.nan if isinstance(figure, str) else float(figure)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise OptionError(
            f"group {name!r}: the figure of {one_line(unit)} is {one_line(figure)}; it must be a finite number, so "
            "leave the unit out, or give the figure that stands for it."
        )
    return number


def _match(units: dict[str, dict[Hashable, float]]) -> dict[str, dict[Hashable, float]]:
    """Return two groups of the same units, in the order of the first."""
    if len(units) != 2:
        raise OptionError(f"paired=True takes two groups of the same units, there are {len(units)}; leave paired out.")
    (name, first), (other, second) = units.items()
    for unit in [unit for unit in (*first, *second) if unit not in first or unit not in second]:
        lonely, lacking = (name, other) if unit in first else (other, name)
        raise OptionError(
            f"paired=True takes the same units in both groups, {one_line(unit)} is in {lonely!r} and not in "
            f"{lacking!r}; add it there, or leave paired out."
        )
    return {name: first, other: {unit: second[unit] for unit in first}}


def _check_count(groups: Any, paired: bool) -> None:
    if isinstance(groups, bool) or not isinstance(groups, int) or groups < 2 or (paired and groups > 2):
        rule = "2 where paired" if paired else "a whole number of at least 2"
        raise OptionError(f"groups={one_line(groups)} must be {rule}.")


def _check_margin(value: Any) -> float:
    return check_number("margin", value, 0, ends=False)


def _check_spread(value: Any) -> float:
    return check_number("spread", value, 0, ends=False)


def _check_confidence(value: Any) -> float:
    # At one half an interval between two one-sided tests is empty.
    return check_number("confidence", value, 0.5, 1, ends=False)


def _interval(ends: tuple[float, float], bound: float = math.nan) -> str:
    if not all(map(math.isfinite, ends)):
        return "where it lies is not known"
    low, high = (distinct(end, math.copysign(bound, end)) for end in ends)
    return f"interval {low} … {high}"


def _sentence(one: Difference, margin: float) -> str:
    estimate = distinct(one.estimate, math.copysign(margin, one.estimate))
    return f"{one.first!r} - {one.second!r} is {estimate}, {_interval(one.interval, margin)}"


def _values(thing: Group | Difference | Comparison) -> dict[str, Any]:
    """Return the fields of a dataclass, an interval with None for an end that is not known."""
    values = {field.name: getattr(thing, field.name) for field in dataclasses.fields(thing)}
    if "interval" in values:
        values["interval"] = [end if math.isfinite(end) else None for end in values["interval"]]
    return values
