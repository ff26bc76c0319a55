"""Weighted least squares with a ridge penalty: the solution, and its errors from the samples themselves.

Masks stay bytes: what is made of them in float64 is made of some thousand rows at a time, so that memory does not
grow with the number of samples but by what is asked for of each.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["Solution", "chunks", "leave_units_out", "moments", "pulled", "solve", "told_apart"]

Array = NDArray[np.float64]
Masks = NDArray[np.uint8] | Array
# Rows of masks that are float64 at a time: enough for fast products of matrices, and even, so that no pair is parted.
ROWS = 2048


@dataclasses.dataclass(frozen=True, eq=False)
class Solution:
    """What `solve` finds for K scores on d superpixels.

    Attributes
    ----------
    weights : K×d float64 array
    intercept : (K,) float64 array
    residuals : N×K float64 array
    masks : N×d array of 0/1
    share : (N,) float64 array
        Of the total weight of samples; sums to 1.
    mean_shown : (d,) float64 array
        z̄, the weighted mean of the masks.
    inverse : d×d float64 array
        A⁻¹ of ``A = Σ s (z − z̄)(z − z̄)ᵀ + λI / Σπ``, s the shares: a residual r of sample i moves the weights
        by ``s_i r A⁻¹ (z_i − z̄)``.
    told : (d,) bool array
        Superpixels that the masks tell from all others.
    pull : K×d float64 array
        How far a penalty, which grows with the weight of samples, pulls the weights of least squares; 0 without one.
    """

    weights: Array
    intercept: Array
    residuals: Array
    masks: Masks
    share: Array
    mean_shown: Array
    inverse: Array
    told: NDArray[np.bool_]
    pull: Array

    def leverages(self) -> Iterator[tuple[slice, Array, Array]]:
        """Yield a slice of rows, their ``z_i − z̄`` and their ``A⁻¹ (z_i − z̄)``, in the same two arrays each time."""
        space = _space(self.masks)
        for rows, centred in _centred(self.masks, self.mean_shown):
            yield rows, centred, np.matmul(centred, self.inverse, out=space[: len(centred)])


def solve(masks: Masks, scores: Array, sample_weights: Array, alpha: float) -> Solution:
    """Solve ``min Σ π (y − b − zᵀβ)² + λ‖β‖²`` in closed form for all classes at once, in float64.

    The intercept is not penalised. What the masks leave open is 0.

    Parameters
    ----------
    masks : N×d array of 0/1
    scores : N×K float64 array
    sample_weights : (N,) float64 array
        π, of a positive sum.
    alpha : float
        λ, the ridge penalty.

    Returns
    -------
    Solution
    """
    # The scale of π changes nothing but the meaning of λ; tiny sums would lose digits.
    scale = float(sample_weights.max())
    total = float((sample_weights / scale).sum())
    share = sample_weights / scale / total
    mean_shown, gram, moment = moments(masks, scores, share)
    inverse, told = _inverse(gram, alpha / scale / total)
    weights = (inverse @ moment).T
    mean_scores = share @ scores
    residuals = np.empty_like(scores)
    for rows, centred in _centred(masks, mean_shown):
        residuals[rows] = scores[rows] - mean_scores - centred @ weights.T
    return Solution(
        weights=weights,
        intercept=mean_scores - weights @ mean_shown,
        residuals=residuals,
        masks=masks,
        share=share,
        mean_shown=mean_shown,
        inverse=inverse,
        told=told,
        pull=np.zeros_like(weights),
    )


def moments(masks: Masks, scores: Array, share: Array) -> tuple[Array, Array, Array]:
    """Return the mean of the masks (d,), their covariance d×d, and theirs with the scores d×K, by shares of samples."""
    d, mean_scores = masks.shape[1], share @ scores
    mean_shown, gram, moment = np.zeros(d), np.zeros((d, d)), np.zeros((d, scores.shape[1]))
    for rows in chunks(len(masks)):
        mean_shown += share[rows] @ masks[rows].astype(np.float64)
    for rows, centred in _centred(masks, mean_shown):
        # With a root of the share on either side: a matrix times its own transpose takes half of the time.
        root = np.sqrt(share[rows])[:, None]
        rooted = np.multiply(centred, root, out=centred)
        gram += rooted.T @ rooted
        moment += rooted.T @ (root * (scores[rows] - mean_scores))
    return mean_shown, gram, moment


def pulled(solution: Solution, weights: Array, residuals: Array, *, paired: bool) -> Solution:
    """Return `solution`, of least squares, as one whose weights a lasso's penalty pulls to `weights`.

    While the signs stay the same the penalty is a constant times the total weight of samples. Without unit U, of
    share s, it is smaller by that share, and the weights move by ``s p − A⁻¹ Zᵤᵀ Πᵤ (I − Hᵤ)⁻¹ (rᵤ − s Zᵤ p)``, with p
    the pull: the identity of Sherman, Morrison and Woodbury.

    Parameters
    ----------
    solution : Solution
        Without a penalty.
    weights : K×d float64 array
    residuals : N×K float64 array
        Of the lasso.
    paired : bool
        Rows 2i and 2i+1 are one unit.
    """
    pull = solution.weights - weights
    share = solution.share
    if paired:
        share = _add_pairs(share.copy()).repeat(2)[: len(residuals)]
    less = np.empty_like(residuals)
    for rows, centred in _centred(solution.masks, solution.mean_shown):
        less[rows] = residuals[rows] - share[rows, None] * (centred @ pull.T)
    return dataclasses.replace(solution, weights=weights, residuals=less, pull=pull)


def told_apart(masks: Masks, sample_weights: Array) -> NDArray[np.bool_]:
    """Return which superpixels the samples of positive weight tell from all others, (d,)."""
    total = sample_weights.sum()
    if not total > 0:
        return np.zeros(masks.shape[1], dtype=bool)
    _, gram, _ = moments(masks, np.empty((len(masks), 0)), sample_weights / total)
    return _inverse(gram, 0.0)[1]


def leave_units_out(solution: Solution, *, paired: bool) -> tuple[Array, Array, float]:
    """Leave out one unit at a time: a sample, or rows 2i and 2i+1 of antithetic masks where `paired`.

    Returns
    -------
    without : N×K float64 array
        Each residual from the fit to all other units, ``(I − H)⁻¹ r`` over the rows of its unit; infinite where there
        is no such fit, since a unit alone tells a superpixel from the others: leverage 1.
    covariance : K×d×d float64 array
        The sampling covariance of the weights; infinite where the masks do not tell.
    freedom : float
        Its degrees of freedom.

    Notes
    -----
    With u_i the influence of sample i on the weights, ``s_i A⁻¹ (z_i − z̄) r_i``, the covariance is ``Σ u uᵀ`` over
    independent units: the sandwich estimator of White (1980), which needs neither equal variances nor a linear model.
    A fit leaves residuals that are too small; those of a unit are multiplied by ``(I − H)^(−½)``, so that the
    covariance is right on average where variances are the inverse of the weights, and nearly so elsewhere (HC2 of
    MacKinnon and White 1985; for pairs, CR2 of Bell and McCaffrey 2002, without their degrees of freedom). The
    jackknife forms HC3 and CR3, ``(I − H)⁻¹``, have errors that are too large while samples are few.
    """
    n, d = solution.masks.shape
    units = (n + 1) // 2 if paired else n
    # Each superpixel and the intercept cost one degree of freedom; with none left the fit
    # goes through every sample and says nothing of its own error.
    freedom = float(units - d - 1)
    without = np.empty_like(solution.residuals)
    covariance, space = np.zeros((without.shape[1], d, d)), _space(solution.masks)
    # Both in one pass, since what takes the time is the leverage.
    for rows, centred, leverage in solution.leverages():
        residuals, share = solution.residuals[rows], solution.share[rows]
        without[rows], halfway = _adjusted(residuals, share, centred, leverage, paired=paired)
        if freedom > 0:
            felt = np.where(_lonely(without[rows]), 0.0, halfway) * share[:, None]
            for one, moves, pull in zip(covariance, felt.T, solution.pull, strict=True):
                influence = np.multiply(leverage, moves[:, None], out=space[: len(leverage)])
                _add_squares(one, influence, share[:, None] * pull if pull.any() else None, paired=paired)
    if freedom <= 0:
        return without, np.full_like(covariance, np.inf), 1.0
    told = solution.told & ~_told_by_one(solution, without)
    covariance[:, ~told, :] = covariance[:, :, ~told] = np.inf
    return without, covariance, freedom


def chunks(count: int) -> Iterator[slice]:
    """Yield slices of `ROWS` rows, the last of fewer, that make up `count` rows."""
    for start in range(0, count, ROWS):
        yield slice(start, min(start + ROWS, count))


def _centred(masks: Masks, mean_shown: Array) -> Iterator[tuple[slice, Array]]:
    """Yield a slice of some rows and their ``z_i − z̄``, in the same array each time."""
    space = _space(masks)
    for rows in chunks(len(masks)):
        centred = space[: rows.stop - rows.start]
        centred[:] = masks[rows]
        centred -= mean_shown
        yield rows, centred


def _space(masks: Masks) -> Array:
    """Return an array for some rows of `masks`; one that is filled again costs less than a new one."""
    return np.empty((min(ROWS, len(masks)), masks.shape[1]))


def _adjusted(residuals: Array, share: Array, centred: Array, leverage: Array, *, paired: bool) -> tuple[Array, Array]:
    """Return the `residuals` r of some units as ``(I − H)⁻¹ r`` and as ``(I − H)^(−½) r``."""
    own = 1 - share * (1 + _row_products(leverage, centred))
    without, halfway = _divide(residuals, own), _divide(residuals, np.sqrt(np.maximum(own, 0.0)))
    if paired:
        even = len(own) // 2 * 2
        first, second = slice(0, even, 2), slice(1, even, 2)
        across = 1 + _row_products(leverage[first], centred[second])
        # With roots of the shares on either side, a pair's part of I − H is symmetric: M = [[a, b], [b, c]], b² below.
        a, c = own[first], own[second]
        determinant = a * c - share[first] * share[second] * across**2
        root = np.sqrt(np.maximum(determinant, 0.0))
        # √M = (M + √det M · I) / √(tr M + 2 √det M).
        scale = np.sqrt(np.maximum(a + c + 2 * root, np.finfo(np.float64).tiny))
        for found, x, y, turn, by in (
            (without, a, c, across, determinant),
            (halfway, (a + root) / scale, (c + root) / scale, across / scale, root),
        ):
            one, two = (share[rows] * turn for rows in (first, second))
            found[first] = _divide(y[:, None] * residuals[first] + two[:, None] * residuals[second], by)
            found[second] = _divide(x[:, None] * residuals[second] + one[:, None] * residuals[first], by)
    return without, halfway


def _add_squares(covariance: Array, influence: Array, less: Array | None, *, paired: bool) -> None:
    """Add ``u uᵀ`` of each unit of some rows to the `covariance` of one class; overwrites their `influence`."""
    if less is not None:
        influence -= less
    if paired:
        influence = _add_pairs(influence)
    covariance += influence.T @ influence


def _told_by_one(solution: Solution, without: Array) -> NDArray[np.bool_]:
    """Return the superpixels on which a unit bears that no fit can do without: their errors have no bound, (d,)."""
    lonely = _lonely(without)[:, 0]
    most, most_of_lonely = 0.0, np.zeros(len(solution.told))
    if lonely.any():
        for rows, _, leverage in solution.leverages():
            size = np.abs(leverage) * solution.share[rows, None]
            most = max(most, float(size.max()))
            np.maximum(most_of_lonely, size[lonely[rows]].max(axis=0, initial=0.0), out=most_of_lonely)
    return np.asarray(most_of_lonely > 1e-12 * most)


def _lonely(without: Array) -> NDArray[np.bool_]:
    """Return which rows have no fit to all other units, as a column."""
    return np.logical_not(np.isfinite(without).all(axis=1, keepdims=True))


def _row_products(left: Array, right: Array) -> Array:
    return np.asarray(np.einsum("ij,ij->i", left, right))


def _divide(rows: Array, by: Array) -> Array:
    """Divide each row; by what is 0 but for rounding it becomes infinite, whatever rounding left of the row."""
    none = by < 1e-7
    return np.where(none[:, None], np.inf, rows / np.where(none, 1.0, by)[:, None])


def _add_pairs(rows: Array) -> Array:
    """Add, in place, the second row of each pair to the first; a row left without its partner stands alone."""
    rows[: len(rows) // 2 * 2 : 2] += rows[1::2]
    return rows[::2]


def _inverse(gram: Array, alpha: float) -> tuple[Array, NDArray[np.bool_]]:
    """Invert ``gram + alpha·I``, and say which superpixels the masks tell from each other.

    Directions that the masks leave open get 0, not rounding divided by `alpha`.
    """
    values, vectors = np.linalg.eigh(gram)
    spanned = values > len(values) * np.finfo(np.float64).eps * values.max(initial=0.0)
    inverted = np.divide(1.0, values + alpha, out=np.zeros_like(values), where=spanned)
    # A superpixel is told when its own axis lies in what the masks span.
    told = (vectors[:, ~spanned] ** 2).sum(axis=1) <= 1e-6
    return np.asarray((vectors * inverted) @ vectors.T), told
