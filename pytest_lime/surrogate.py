"""The surrogate: a weighted linear model of the scores, and how sure its weights are."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

__all__ = ["Fit", "cosine_distance", "fit_ridge", "kernel"]

Array = NDArray[np.float64]


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
    return np.asarray(np.sqrt(np.exp(-(distance**2) / width**2)))


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
    """

    weights: Array
    intercept: Array
    r2: Array
    covariance: Array


def fit_ridge(
    masks: NDArray[np.uint8],
    scores: Array,
    sample_weights: Array,
    *,
    alpha: float,
    paired: bool = False,
    complete: bool = False,
) -> Fit:
    """Solve ``min Σ π (y − b − zᵀβ)² + λ‖β‖²`` in closed form for all classes at once, in float64.

    The intercept is not penalised. With u_i the influence of sample i on the weights,
    ``A⁻¹ π_i (z_i − z̄) r_i``, the covariance is ``Σ u uᵀ`` over n independent units with
    the degrees-of-freedom correction n/(n−d−1): the sandwich estimator (White 1980; MacKinnon and White 1985,
    HC1), which needs neither equal variances nor a linear model.

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
    """
    n, d = masks.shape
    shown = masks.astype(np.float64)
    total = sample_weights.sum()
    mean_shown = sample_weights @ shown / total
    mean_scores = sample_weights @ scores / total
    centred = shown - mean_shown
    weighted = centred * sample_weights[:, None]
    inverse, untold = _inverse(weighted.T @ centred, alpha)
    weights = (inverse @ (weighted.T @ (scores - mean_scores))).T
    intercept = mean_scores - weights @ mean_shown
    residuals = scores - intercept - shown @ weights.T
    spread = sample_weights @ (scores - mean_scores) ** 2
    unexplained = sample_weights @ residuals**2
    # Scores that do not vary but for the rounding of their mean have no variance to explain.
    constant = spread <= (n * np.finfo(np.float64).eps * np.abs(mean_scores)) ** 2 * total
    met = np.where(unexplained <= np.finfo(np.float64).eps * total, 1.0, 0.0)
    r2 = np.where(constant, met, 1 - unexplained / np.where(constant, 1.0, spread))
    covariance = np.zeros((scores.shape[1], d, d))
    if not complete:
        leverage = weighted @ inverse
        units = (n + 1) // 2 if paired else n
        # Each superpixel and the intercept cost one degree of freedom; with none left
        # the fit goes through every sample and says nothing of its own error.
        spare = units - d - 1
        for row, residual in enumerate(residuals.T):
            influence = leverage * residual[:, None]
            if paired:
                influence = _add_pairs(influence)
            covariance[row] = influence.T @ influence * (units / spare) if spare > 0 else np.inf
        covariance[:, untold, :] = covariance[:, :, untold] = np.inf
    return Fit(weights=weights, intercept=intercept, r2=r2, covariance=covariance)


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
