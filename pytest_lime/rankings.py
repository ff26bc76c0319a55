"""Rankings: which superpixels can be among the strongest, given the errors of their weights, and what follows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Differences",
    "Order",
    "above_and_below",
    "comparisons",
    "iou",
    "iou_bounds",
    "overlap_bounds",
    "overlap_comparisons",
]

Array = NDArray[np.float64]
Chosen = NDArray[np.bool_]
# At hardly any confidence, one comparison alone may be off by less than nothing.
LEAST = 2


def comparisons(superpixels: int, k: int) -> int:
    """Return how many comparisons must be right at once for what follows about the `k` strongest to be right.

    Each of the true k strongest with each of the others, and all with 0: k·(d − k) + d. Which k they are is not
    known, but only what is said of these can make a statement about them wrong.
    """
    return max(LEAST, k * (superpixels - k) + superpixels)


@dataclasses.dataclass(frozen=True, eq=False)
class Differences:
    """By how many standard errors weights differ from each other and from 0, once rounding is taken off.

    Both weights of a difference come from the same samples, so that it is known better than the intervals of the two
    say, whose ends must pass each other.

    Attributes
    ----------
    ahead : d×d float64 array
        By how many the weight of row i is greater than that of column j; infinite without an error, −∞ for a tie.
    above, below : (d,) float64 arrays
        By how many a weight is above 0, and not above it.
    """

    ahead: Array
    above: Array
    below: Array

    @classmethod
    def of(cls, weights: Array, covariance: Array, *, rounding: float) -> Differences:
        """Return the differences of weights that samples tell.

        Parameters
        ----------
        weights : (d,) float64 array
        covariance : d×d float64 array
            Of their errors; infinite where the samples do not tell.
        rounding : float
            By how much each weight may be off besides.
        """
        variances = np.diagonal(covariance)
        with np.errstate(invalid="ignore"):  # infinity less infinity
            spread = variances[:, None] + variances[None, :] - 2 * covariance
        errors = np.sqrt(np.where(np.isfinite(spread), np.maximum(spread, 0.0), np.inf))
        gaps = weights[:, None] - weights[None, :] - 2 * rounding
        return cls(_steps(gaps, errors, gaps > 0), *above_and_below(weights, np.sqrt(variances), rounding=rounding))

    def order(self, reach: float) -> Order:
        """Return what is sure when each of these may be off by `reach`, above 0."""
        return Order(self.ahead > reach, self.above > reach, self.below > reach)


def above_and_below(weights: Array, errors: Array, *, rounding: float) -> tuple[Array, Array]:
    """Return by how many standard `errors` each weight is above 0, and not above it, less `rounding`; (d,) each."""
    over, under = weights - rounding, -weights - rounding
    return _steps(over, errors, over > 0), _steps(under, errors, under >= 0)


def _steps(values: Array, errors: Array, surely: Chosen) -> Array:
    """Divide values by their errors; without an error they are endlessly many errors off, to the side that is told."""
    exact = np.where(surely, np.inf, -np.inf)
    return np.divide(values, errors, out=exact, where=errors > 0)


@dataclasses.dataclass(frozen=True, eq=False)
class Order:
    """What is sure of the order of weights.

    Attributes
    ----------
    ahead : d×d bool array
        Where the weight of row i is surely greater than that of column j.
    positive, negative : (d,) bool arrays
        Weights that are surely above 0, and surely not.
    """

    ahead: Chosen
    positive: Chosen
    negative: Chosen

    def strongest(self, k: int) -> tuple[Chosen, Chosen]:
        """Return which superpixels are surely among the `k` strongest, and which of the others may be.

        In = {j : #{i≠j : i may be ahead of j} < k} surely are, and Out = {j : #{i : i surely ahead of j} ≥ k} surely
        are not.
        """
        # Nobody is ahead of itself, surely or not.
        rivals = (~self.ahead).sum(axis=1) - 1
        surely = rivals < k
        return surely, ~surely & (self.ahead.sum(axis=0) < k)


def overlap_comparisons(inside: int, outside: int, k: int, overlap: int) -> int:
    """Return how many comparisons can mislead about the overlap of the `k` strongest with a region.

    There are `inside` superpixels in the region and `outside` without, and of the true k strongest `overlap` lie
    inside with a positive weight. They seem fewer only where one of these is taken for not above 0, or for weaker than
    one of those outside that are not among the k; and more only where another one of the inside is taken for stronger
    than one of the k − `overlap` others, or, with too few outside for these, for one above 0. Superpixels on the same
    side of the border need not be told apart.
    """
    others = k - overlap
    missed = overlap * (max(outside - others, 0) + 1)
    return missed + (inside - overlap) * (others if others <= outside else 1)


def overlap_bounds(
    differences: Differences, inside: Chosen, k: int, reach: Callable[[int], float]
) -> tuple[float, float]:
    """Return the least and the greatest number of the `k` strongest superpixels that lie inside with a positive weight.

    At least a do if the a-th strongest inside is ahead of the (k − a + 1)-th strongest outside, and above 0. That is
    sure where a of the inside are surely above 0, and a of them surely ahead of all outside but k − a: whichever
    k − a + 1 of the outside were the strongest, each of these a is ahead of one of them. At most b do, likewise, where
    all of the inside but b are surely not above 0, or surely behind k − b of the outside.

    The numbers are tried in turn, from 0 upwards and from k downwards, until one is not sure. Hence the first statement
    that can be wrong is that of one more than there are in truth, or of one less, and `overlap_comparisons` counts the
    comparisons of both (fixed sequences, Maurer, Hothorn and Lehmacher 1995, either of them at a level that hangs on
    the truth alone: the partitioning principle, Finner and Strassburger, Annals of Statistics 30, 2002).

    Parameters
    ----------
    differences : Differences
    inside : (d,) bool array
        Which superpixels lie in the region.
    k : int
    reach : callable
        From how many comparisons must be right at once to the standard errors by which each of them may be off.
    """
    within, without = np.flatnonzero(inside), np.flatnonzero(~inside)
    ahead = differences.ahead[np.ix_(within, without)]
    behind = differences.ahead[np.ix_(without, within)]
    above, below = differences.above[within], differences.below[within]
    least, most = 0, min(k, len(within))

    def off(overlap: int) -> float:
        return reach(max(LEAST, overlap_comparisons(len(within), len(without), k, overlap)))

    while least < most:
        wanted, sure = least + 1, off(least)
        rivals = (ahead <= sure).sum(axis=1)
        if min((rivals <= k - wanted).sum(), (above > sure).sum()) < wanted:
            break
        least = wanted
    while most > least:
        fewer, sure = most - 1, off(most)
        possible = (below <= sure) & ((behind > sure).sum(axis=0) < k - fewer)
        if possible.sum() > fewer:
            break
        most = fewer
    return float(least), float(most)


def iou(chosen: Chosen, inside: Array, outside: Array) -> float:
    """Return the intersection over union of the chosen superpixels and a region.

    Parameters
    ----------
    chosen : (d,) bool array
    inside, outside : (d,) float64 arrays
        Pixels of each superpixel within the region and without.
    """
    return float(inside[chosen].sum() / (inside.sum() + outside[chosen].sum()))


def iou_bounds(order: Order, inside: Array, outside: Array, k: int) -> tuple[float, float]:
    """Return the least and the greatest `iou` of the superpixels of positive weight among the `k` strongest.

    Of all sets that the order allows; a ratio of sums over a set is extreme where the set is that of the largest
    ``inside − λ·outside``, λ the ratio itself (Dinkelbach, On nonlinear fractional programming, Management Science
    13, 1967).

    Parameters
    ----------
    order : Order
    inside, outside : (d,) float64 arrays
        Pixels of each superpixel within the region and without.
    """
    surely, open_ = order.strongest(k)
    certain = surely & order.positive
    optional = ((surely & ~certain) | open_) & ~order.negative
    most = min(k - int(certain.sum()), int(optional.sum()))
    # With fewer than k of a weight that is surely positive, places may stay empty.
    fewest = min(most, max(0, min(k, int(order.positive.sum())) - int(certain.sum())))
    start = inside[certain].sum(), inside.sum() + outside[certain].sum()
    least, greatest = (
        _extreme_ratio(start, inside[optional], outside[optional], (fewest, most), sign) for sign in (-1, 1)
    )
    return least, greatest


def _extreme_ratio(start: tuple[float, float], above: Array, below: Array, counts: tuple[int, int], sign: int) -> float:
    """Return the greatest, or with `sign` −1 the least, ratio of sums that begin at `start`, of so many terms."""
    fewest, most = counts
    ratio = start[0] / start[1]
    # Each step comes nearer, and there are finitely many sets.
    while True:
        gain = sign * (above - ratio * below)
        order = np.argsort(-gain, kind="stable")
        taken = order[: max(fewest, min(most, int((gain > 0).sum())))]
        found = float((start[0] + above[taken].sum()) / (start[1] + below[taken].sum()))
        if abs(found - ratio) <= 1e-12:
            return found
        ratio = found
