"""Rankings: which superpixels can be among the strongest, given the errors of their weights, and what follows."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

__all__ = ["Order", "comparisons", "iou", "iou_bounds", "overlap_bounds", "signs"]

Array = NDArray[np.float64]
Chosen = NDArray[np.bool_]


def comparisons(superpixels: int, k: int) -> int:
    """Return how many comparisons must be right at once for what follows about the `k` strongest to be right.

    Each of the true k strongest with each of the others, and all with 0: k·(d − k) + d. Which k they are is not
    known, but only what is said of these can make a statement about them wrong.
    """
    return k * (superpixels - k) + superpixels


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

    @classmethod
    def of(cls, weights: Array, covariance: Array, *, reach: float, rounding: float) -> Order:
        """Return what is sure when a difference of two weights may be off by `reach` of its standard errors.

        Both weights come from the same samples, so that a difference is known better than the intervals of the two
        say, whose ends must pass each other.

        Parameters
        ----------
        weights : (d,) float64 array
        covariance : d×d float64 array
            Of their errors; infinite where the samples do not tell.
        reach : float
        rounding : float
            By how much each weight may be off besides.
        """
        variances = np.diagonal(covariance)
        with np.errstate(invalid="ignore"):  # infinity less infinity
            spread = variances[:, None] + variances[None, :] - 2 * covariance
        errors = np.sqrt(np.where(np.isfinite(spread), np.maximum(spread, 0.0), np.inf))
        ahead = weights[:, None] - weights[None, :] > reach * errors + 2 * rounding
        return cls(ahead, *signs(weights, np.sqrt(variances), reach=reach, rounding=rounding))

    def strongest(self, k: int) -> tuple[Chosen, Chosen]:
        """Return which superpixels are surely among the `k` strongest, and which of the others may be.

        In = {j : #{i≠j : i may be ahead of j} < k} surely are, and Out = {j : #{i : i surely ahead of j} ≥ k} surely
        are not.
        """
        # Nobody is ahead of itself, surely or not.
        rivals = (~self.ahead).sum(axis=1) - 1
        surely = rivals < k
        return surely, ~surely & (self.ahead.sum(axis=0) < k)


def signs(weights: Array, errors: Array, *, reach: float, rounding: float) -> tuple[Chosen, Chosen]:
    """Return which weights are surely above 0, and which surely are not; `errors` are their standard errors."""
    half = reach * errors + rounding
    return weights > half, weights <= -half


def overlap_bounds(order: Order, inside: Chosen, k: int) -> tuple[float, float]:
    """Return the least and the greatest number of the `k` strongest superpixels that lie inside with a positive weight.

    The places that those which surely are among them leave are taken by the rest in the worst and the best way.

    Parameters
    ----------
    order : Order
    inside : (d,) bool array
        Which superpixels lie in the region.
    """
    surely, open_ = order.strongest(k)
    places = max(k - int(surely.sum()), 0)
    # Only what speaks for the class at all can be among what speaks most for it.
    least, most = inside & order.positive, inside & ~order.negative
    return (
        float(int((surely & least).sum()) + max(0, places - int((open_ & ~least).sum()))),
        float(int((surely & most).sum()) + min(places, int((open_ & most).sum()))),
    )


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
