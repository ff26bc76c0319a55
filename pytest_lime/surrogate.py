"""The surrogate: a weighted linear model of the scores, and how sure its weights are."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from pytest_lime.errors import OptionError

__all__ = ["Fit", "cosine_distance", "fit_ridge", "kernel"]

Array = NDArray[np.float64]
# Scores of a float32 network differ by about this share between batch sizes and machines.
ROUNDING = 1e-6


def cosine_distance(masks: NDArray[np.uint8]) -> Array:
    """Return the cosine distance of each mask from the whole image, ``1 − √(m/d)``.

    Parameters
    ----------
    masks : N×d array of 0/1

    Returns
    -------
    (N,) float64 array; 1 for a mask that hides everything, as in the ``lime`` package.
    """
    shown = masks.sum(axis=1, dtype=np.int64)
    return np.asarray(1 - np.sqrt(shown / masks.shape[1]), dtype=np.float64)


def kernel(distance: Array, width: float) -> Array:
    """Return the weight of each sample, ``√exp(−D²/width²)`` (Ribeiro, Singh, Guestrin, KDD 2016; ``lime`` 0.2.0.1)."""
    return np.asarray(np.sqrt(np.exp(-((distance / width) ** 2))))


@dataclasses.dataclass(frozen=True, eq=False)
class Fit:
    """A weighted ridge regression of K scores on d superpixels.

    Attributes
    ----------
    weights : K×d float64 array
    intercept : (K,) float64 array
    r2 : (K,) float64 array
        Weighted coefficient of determination on the samples; 1 where the scores do not
        vary and are met, as in scikit-learn.
    covariance : K×d×d float64 array
        Sampling covariance of the weights; zero for an enumeration, infinite where the
        masks do not tell: too few samples, or superpixels never hidden, or only together.
    freedom : float
        Degrees of freedom of the intervals' t distribution; infinite for an enumeration.
    rounding : (K,) float64 array
        How far the rounding of the forward passes alone may move a weight.
    """

    weights: Array
    intercept: Array
    r2: Array
    covariance: Array
    freedom: float
    rounding: Array


def fit_ridge(
    masks: NDArray[np.uint8],
    scores: Array,
    sample_weights: Array,
    *,
    alpha: float,
    paired: bool = False,
    complete: bool = False,
    rounding: float = ROUNDING,
) -> Fit:
    """Solve ``min Σ π (y − b − zᵀβ)² + λ‖β‖²`` in closed form for all classes at once, in float64.

    The intercept is not penalised. With u_i the influence of sample i on the weights,
    ``A⁻¹ π_i (z_i − z̄) r_i``, the covariance is ``Σ u uᵀ`` over independent units, each
    residual as it would be without its own unit (the sandwich estimator of White 1980 in
    the jackknife form HC3 of MacKinnon and White 1985; for pairs, CR3 of Bell and
    McCaffrey 2002). It needs neither equal variances nor a linear model.

    Parameters
    ----------
    masks : N×d array of 0/1
    scores : N×K float64 array
    sample_weights : (N,) float64 array
        π of each sample.
    alpha : float
        λ, the ridge penalty.
    paired : bool
        Rows 2i and 2i+1 are one antithetic pair; the pair is then the unit that is
        independent, and its influences are added before they are squared.
    complete : bool
        The masks are all masks there are: no sampling error.
    rounding : float
        The share of a score by which forward passes may be off.

    Raises
    ------
    OptionError
        The kernel gives no sample a weight.
    """
    n, d = masks.shape
    total = float(sample_weights.sum())
    if not (np.isfinite(sample_weights).all() and total > 0):
        raise OptionError(
            f"kernel_width is too small: no sample of {d} superpixels gets a weight; choose a larger one, such as 0.25."
        )
    # The scale of π changes nothing but the meaning of λ; tiny sums would lose digits.
    scale = float(sample_weights.max())
    weight_of, total, alpha = sample_weights / scale, total / scale, alpha / scale
    shown = masks.astype(np.float64)
    mean_shown = weight_of @ shown / total
    mean_scores = weight_of @ scores / total
    centred = shown - mean_shown
    weighted = centred * weight_of[:, None]
    inverse, untold = _inverse(weighted.T @ centred, alpha)
    weights = (inverse @ (weighted.T @ (scores - mean_scores))).T
    intercept = mean_scores - weights @ mean_shown
    residuals = scores - intercept - shown @ weights.T
    spread = weight_of @ (scores - mean_scores) ** 2
    unexplained = weight_of @ residuals**2
    # Scores that do not vary but for the rounding of their mean have no variance to explain.
    constant = spread <= (n * np.finfo(np.float64).eps * np.abs(mean_scores)) ** 2 * total
    met = np.where(unexplained <= np.finfo(np.float64).eps * total, 1.0, 0.0)
    r2 = np.where(constant, met, 1 - unexplained / np.where(constant, 1.0, spread))
    covariance = np.zeros((scores.shape[1], d, d))
    freedom = np.inf
    if not complete:
        units = (n + 1) // 2 if paired else n
        # Each superpixel and the intercept cost one degree of freedom; with none left
        # the fit goes through every sample and says nothing of its own error.
        freedom = float(units - d - 1)
        if freedom > 0:
            leverage = weighted @ inverse
            without = _without_own_unit(residuals, leverage, centred, weight_of / total, paired=paired)
            alone = ~np.isfinite(without).all(axis=1)
            if alone.any():
                # Every superpixel on which such a unit bears has an error without bound.
                untold |= (np.abs(leverage[alone]) > 1e-12 * np.abs(leverage).max()).any(axis=0)
                without[alone] = 0.0
            for row, residual in enumerate(without.T):
                influence = leverage * residual[:, None]
                if paired:
                    influence = _add_pairs(influence)
                covariance[row] = influence.T @ influence
        else:
            covariance[:] = np.inf
    covariance[:, untold, :] = covariance[:, :, untold] = np.inf
    return Fit(
        weights=weights,
        intercept=intercept,
        r2=r2,
        covariance=covariance,
        freedom=max(freedom, 1.0),
        rounding=rounding * np.abs(scores).max(axis=0),
    )


def _without_own_unit(residuals: Array, leverage: Array, centred: Array, share: Array, *, paired: bool) -> Array:
    """Return each residual from the fit to all other units, ``(I − H)⁻¹ r`` over the rows of its unit.

    It is infinite where there is no such fit, since a unit alone tells a superpixel from
    the others: leverage 1.
    """
    own = share + (leverage * centred).sum(axis=1)
    without: Array = _divide(residuals, 1 - own)
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
    """Invert ``gram + alpha·I``, and say which superpixels the masks do not tell from each other.

    Directions that the masks leave open get 0, not rounding divided by `alpha`.
    """
    values, vectors = np.linalg.eigh(gram)
    told = values > len(values) * np.finfo(np.float64).eps * values.max(initial=0.0)
    inverted = np.divide(1.0, values + alpha, out=np.zeros_like(values), where=told)
    # A superpixel is told when its own axis lies in what the masks span.
    untold = (vectors[:, ~told] ** 2).sum(axis=1) > 1e-6
    return np.asarray((vectors * inverted) @ vectors.T), untold
