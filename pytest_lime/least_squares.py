"""Weighted least squares with a ridge penalty: the solution, and its errors from the samples themselves."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

__all__ = ["Solution", "covariances", "pulled", "solve", "told_apart", "without_own_unit"]

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class Solution:
    """What `solve` finds for K scores on d superpixels.

    Attributes
    ----------
    weights : K×d float64 array
    intercept : (K,) float64 array
    residuals : N×K float64 array
    leverage : N×d float64 array
        ``A⁻¹ π_i (z_i − z̄)``: how far a residual of sample i moves each weight.
    centred : N×d float64 array
        ``z_i − z̄``.
    share : (N,) float64 array
        Of the total weight of samples; sums to 1.
    told : (d,) bool array
        Superpixels that the masks tell from all others.
    pull : K×d float64 array
        How far a penalty, which grows with the weight of samples, pulls the weights of least squares; 0 without one.
    """

    weights: Array
    intercept: Array
    residuals: Array
    leverage: Array
    centred: Array
    share: Array
    told: NDArray[np.bool_]
    pull: Array


def solve(shown: Array, scores: Array, sample_weights: Array, alpha: float) -> Solution:
    """Solve ``min Σ π (y − b − zᵀβ)² + λ‖β‖²`` in closed form for all classes at once, in float64.

    The intercept is not penalised. What the masks leave open is 0.

    Parameters
    ----------
    shown : N×d float64 array of 0/1
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
    weight_of = sample_weights / scale
    share = weight_of / weight_of.sum()
    mean_shown, mean_scores = share @ shown, share @ scores
    centred = shown - mean_shown
    weighted = centred * weight_of[:, None]
    inverse, told = _inverse(weighted.T @ centred, alpha / scale)
    weights = (inverse @ (weighted.T @ (scores - mean_scores))).T
    intercept = mean_scores - weights @ mean_shown
    return Solution(
        weights=weights,
        intercept=intercept,
        residuals=scores - intercept - shown @ weights.T,
        leverage=weighted @ inverse,
        centred=centred,
        share=share,
        told=told,
        pull=np.zeros_like(weights),
    )


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
    share = _add_pairs(solution.share[:, None]).repeat(2)[: len(residuals)] if paired else solution.share
    drag = share[:, None] * (solution.centred @ pull.T)
    return dataclasses.replace(solution, weights=weights, residuals=residuals - drag, pull=pull)


def told_apart(shown: Array, sample_weights: Array) -> NDArray[np.bool_]:
    """Return which superpixels the samples of positive weight tell from all others, (d,)."""
    total = sample_weights.sum()
    if not total > 0:
        return np.zeros(shown.shape[1], dtype=bool)
    share = sample_weights / total
    centred = shown - share @ shown
    return _inverse((centred * share[:, None]).T @ centred, 0.0)[1]


def without_own_unit(solution: Solution, *, paired: bool) -> Array:
    """Return each residual from the fit to all other units, ``(I − H)⁻¹ r`` over the rows of its unit, N×K.

    A unit is a sample, or rows 2i and 2i+1 of antithetic masks where `paired`. The residual is infinite where
    there is no such fit, since a unit alone tells a superpixel from the others: leverage 1.
    """
    residuals, leverage, centred, share = solution.residuals, solution.leverage, solution.centred, solution.share
    own = share + (leverage * centred).sum(axis=1)
    without = _divide(residuals, 1 - own)
    if not paired:
        return without
    even = len(own) // 2 * 2
    first, second = slice(0, even, 2), slice(1, even, 2)
    a, d = 1 - own[first], 1 - own[second]
    b = -(share[second] + (leverage[second] * centred[first]).sum(axis=1))
    c = -(share[first] + (leverage[first] * centred[second]).sum(axis=1))
    determinant = a * d - b * c
    without[first] = _divide(d[:, None] * residuals[first] - b[:, None] * residuals[second], determinant)
    without[second] = _divide(a[:, None] * residuals[second] - c[:, None] * residuals[first], determinant)
    return without


def covariances(solution: Solution, without: Array, *, paired: bool) -> tuple[Array, float]:
    """Return the sampling covariance of the weights, K×d×d, and its degrees of freedom.

    With u_i the influence of sample i on the weights, ``A⁻¹ π_i (z_i − z̄) r_i``, it is ``Σ u uᵀ`` over
    independent units, each residual as it would be without its own unit (the sandwich estimator of White
    1980 in the jackknife form HC3 of MacKinnon and White 1985; for pairs, CR3 of Bell and McCaffrey 2002).
    It needs neither equal variances nor a linear model. It is infinite where the masks do not tell.

    Parameters
    ----------
    solution : Solution
    without : N×K float64 array
        As `without_own_unit` returns it.
    paired : bool
        Rows 2i and 2i+1 are one unit.
    """
    n, d = solution.centred.shape
    units = (n + 1) // 2 if paired else n
    # Each superpixel and the intercept cost one degree of freedom; with none left the fit
    # goes through every sample and says nothing of its own error.
    freedom = float(units - d - 1)
    covariance = np.full((without.shape[1], d, d), np.inf)
    if freedom <= 0:
        return covariance, 1.0
    leverage, told = solution.leverage, solution.told
    alone = np.logical_not(np.isfinite(without).all(axis=1, keepdims=True))
    if alone.any():
        # Every superpixel on which such a unit bears has an error without bound.
        bears = np.abs(leverage) > 1e-12 * np.abs(leverage).max()
        told = told & ~(bears & alone).any(axis=0)
        without = np.where(alone, 0.0, without)
    for row, (residual, pull) in enumerate(zip(without.T, solution.pull, strict=True)):
        influence = leverage * residual[:, None] - solution.share[:, None] * pull
        if paired:
            influence = _add_pairs(influence)
        covariance[row] = influence.T @ influence
    covariance[:, ~told, :] = covariance[:, :, ~told] = np.inf
    return covariance, freedom


def _divide(rows: Array, by: Array) -> Array:
    """Divide each row; by what is 0 but for rounding it becomes infinite, whatever rounding left of the row."""
    none = by < 1e-7
    return np.where(none[:, None], np.inf, rows / np.where(none, 1.0, by)[:, None])


def _add_pairs(influence: Array) -> Array:
    """Add the two rows of each pair; a row left without its partner stands alone."""
    even = len(influence) // 2 * 2
    pairs = influence[:even].reshape(-1, 2, influence.shape[1]).sum(axis=1)
    return np.concatenate([pairs, influence[even:]])


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
