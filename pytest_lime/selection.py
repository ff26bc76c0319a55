"""Feature selection: the few superpixels that a surrogate is fitted to."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from pytest_lime.least_squares import moments, solve

__all__ = ["forward", "highest_weights", "lasso_path", "select"]

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
# The penalty of the ridge regression whose weights are ranked; that of the `lime` package.
RANKING_ALPHA = 0.01
# Gains in R² this close are one: superpixels of the same part in the scores differ by rounding alone.
TIE = 1e-12
# Scores of a smaller spread come near the absolute tolerance of scikit-learn's path.
SMALL = 1e-3


def select(shown: Array, scores: Array, sample_weights: Array, method: str, count: int) -> Indices:
    """Return the superpixels that `method` chooses for one class, as the ``lime`` package 0.2.0.1 does.

    Parameters
    ----------
    shown : N×d float64 array of 0/1
    scores : (N,) float64 array
        Of one class.
    sample_weights : (N,) float64 array
    method : ``"none"``, ``"highest_weights"``, ``"forward"`` or ``"lasso_path"``
    count : int
        How many at most, 1…d; ``"none"`` takes all d whatever it is.

    Returns
    -------
    Array of at most `count` indices; empty where the lasso path drops every superpixel.
    """
    d = shown.shape[1]
    if method == "lasso_path":
        return lasso_path(shown, scores, sample_weights, count)
    if method == "none" or count >= d:
        return np.arange(d)
    choose = forward if method == "forward" else highest_weights
    return choose(shown, scores, sample_weights, count)


def highest_weights(shown: Array, scores: Array, sample_weights: Array, count: int) -> Indices:
    """Choose the `count` superpixels of largest absolute weight in a ridge regression on all; of equals, the first."""
    weights = solve(shown, scores[:, None], sample_weights, RANKING_ALPHA).weights[0]
    return np.argsort(-np.abs(weights), kind="stable")[:count]


def forward(shown: Array, scores: Array, sample_weights: Array, count: int) -> Indices:
    """Choose `count` superpixels one by one, each the one that raises the weighted R² of least squares most.

    Instead of a fit for each candidate, the weighted Gram matrix is swept of what is chosen: the
    candidate j then raises the explained variance by r_j²/G_jj. Of equal gains the first superpixel wins.
    """
    share = sample_weights / sample_weights.sum()
    _, gram, of_scores = moments(shown, scores[:, None], share)
    moment = of_scores[:, 0]
    variance = float(share @ (scores - share @ scores) ** 2)
    own = gram.diagonal().copy()
    # A candidate that the chosen ones determine has nothing left of its own.
    nothing = len(own) * np.finfo(np.float64).eps * own.max(initial=0.0)
    chosen: list[int] = []
    for _ in range(count):
        left = gram.diagonal()
        gains = np.divide(moment**2, left, out=np.zeros_like(own), where=left > np.maximum(nothing, 1e-10 * own))
        gains[chosen] = -np.inf
        best = int(np.argmax(gains >= gains.max() - TIE * variance))
        chosen.append(best)
        if gains[best] > 0:
            column = gram[:, best] / gram[best, best]
            moment = moment - column * moment[best]
            gram = gram - np.outer(column, gram[best])
    return np.array(chosen, dtype=np.intp)


def lasso_path(shown: Array, scores: Array, sample_weights: Array, count: int) -> Indices:
    """Choose what is nonzero at the last step of the lasso path (Efron et al. 2004) with at most `count` nonzero.

    Samples are centred at their weighted mean and scaled by the root of their weight. Small scores are scaled up,
    which the path does not depend on but its end does: on scores below about 1e-6, those of a class that the
    model all but rules out, the path of the ``lime`` package ends before it begins, and it takes every superpixel.
    """
    from sklearn.linear_model import lars_path  # noqa: PLC0415  (scikit-learn is heavy; most fits do without)

    root = np.sqrt(sample_weights / sample_weights.max())
    share = sample_weights / sample_weights.sum()
    response = (scores - share @ scores) * root
    spread = float(np.sqrt(np.mean(response**2)))
    if spread <= len(scores) * np.finfo(np.float64).eps * np.abs(scores).max():
        # Scores that do not vary prefer none.
        return np.arange(count)
    design = shown - share @ shown
    design *= root[:, None]
    unit = spread if spread < SMALL else 1.0
    with warnings.catch_warnings():
        # It drops superpixels that others determine, and says so; which is all that can be done.
        warnings.simplefilter("ignore")
        _, _, path = lars_path(design, response / unit, method="lasso")
    # The first step of the path has nothing in it; the package never takes it.
    for step in path.T[:0:-1]:
        nonzero = np.flatnonzero(step)
        if len(nonzero) <= count:
            return nonzero
    # All enter at once, or none does.
    return np.flatnonzero(path[:, 1])[:count] if path.shape[1] > 1 else np.arange(count)
