"""Rankings: which superpixels can be among the strongest, given intervals of their weights, and what follows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["iou", "iou_bounds", "overlap_bounds"]

Array = NDArray[np.float64]
Chosen = NDArray[np.bool_]


def overlap_bounds(low: Array, high: Array, inside: Chosen, k: int) -> tuple[float, float]:
    """Return the least and the greatest number of the top `k` superpixels that can lie inside.

    In = {j : #{i≠j : U_i ≥ L_j} < k} is surely among the top k, Out = {j : #{i : L_i > U_j} ≥ k}
    surely not; the places that In leaves are taken by the rest in the worst and the best way.

    Parameters
    ----------
    low, high : (d,) float64 arrays
        Interval of each weight.
    inside : (d,) bool array
        Which superpixels lie in the region.
    """
    surely, open_ = _members(low, high, k)
    places = max(k - int(surely.sum()), 0)
    certain = int((surely & inside).sum())
    least = certain + max(0, places - int((open_ & ~inside).sum()))
    most = certain + min(places, int((open_ & inside).sum()))
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


def iou_bounds(low: Array, high: Array, inside: Array, outside: Array, k: int) -> tuple[float, float]:
    """Return the least and the greatest `iou` of the superpixels of positive weight among the top `k`.

    Of all sets that the intervals allow; a ratio of sums over a set is extreme where the set is that of the largest
    ``inside − λ·outside``, λ the ratio itself (Dinkelbach, On nonlinear fractional programming, Management Science
    13, 1967).

    Parameters
    ----------
    low, high : (d,) float64 arrays
        Interval of each weight.
    inside, outside : (d,) float64 arrays
        Pixels of each superpixel within the region and without.
    """
    surely, open_ = _members(low, high, k)
    certain = surely & (low > 0)
    optional = ((surely & ~certain) | open_) & (high > 0)
    most = min(k - int(certain.sum()), int(optional.sum()))
    # With fewer than k of a weight that is surely positive, places may stay empty.
    fewest = min(most, max(0, min(k, int((low > 0).sum())) - int(certain.sum())))
    start = inside[certain].sum(), inside.sum() + outside[certain].sum()
    least, greatest = (
        _extreme_ratio(start, inside[optional], outside[optional], (fewest, most), sign) for sign in (-1, 1)
    )
    return least, greatest


def _members(low: Array, high: Array, k: int) -> tuple[Chosen, Chosen]:
    """Return which superpixels are surely among the top `k`, and which may be."""
    # Each superpixel may reach its own lower end, so it is taken off its own count.
    rivals = (high[None, :] >= low[:, None]).sum(axis=1) - 1
    ahead = (low[None, :] > high[:, None]).sum(axis=1)
    surely = rivals < k
    return surely, ~surely & (ahead < k)


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
