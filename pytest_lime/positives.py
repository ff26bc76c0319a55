"""Positive parts: what share of the weight above 0 lies somewhere, when each weight is seen with an error.

The plain share leans towards the region's part of the superpixels: of a weight that is 0, noise has a positive part
of 0.4 standard errors on average, and most superpixels of a photograph weigh next to nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

__all__ = ["DOUBT", "leaning", "share_interval", "straightened"]

Array = NDArray[np.float64]
# How much of the normal density is taken off a positive part: then what it leans by is least in the worst case.
TAKEN = 0.95
# Where the leaning to the other side is worst, in standard errors from 0.
WORST = 1.2133
# Standard errors by which a weight may be off when it is asked how near 0 it may lie.
DOUBT = 3.0
# So many superpixels may each, by chance alone, be seen far below what they weigh.
SURPRISES = 2
# The density of the standard normal law is 0 beyond, in float64.
FAR = 40.0
# A bound is known to 1e-12 once [0, 1] was halved forty times.
HALVINGS = 40
# Of so few superpixels fifteen shares take little longer than one, and do four halvings at once.
FEW, AT_ONCE = 200, 4
# The low end of the interval is sought from 0 upwards, the high end from 1 downwards.
STARTS, SIDES = np.array([0.0, 1.0]), np.array([[1.0], [-1.0]])


def straightened(steps: Array) -> tuple[Array, Array]:
    """Return an estimate of the positive part of values seen with normal errors of 1, and its slope.

    ``t⁺ − 0.95 φ(t)``, φ the standard normal density. The plain t⁺ is too large by up to ``φ(0)`` = 0.399, where the
    value is 0; this is off by 0.131 at most, to either side, and by 0 in the limit.
    No estimate is right for every value, since t⁺ has a corner (T. T. Cai and M. G. Low, Testing composite
    hypotheses, Hermite polynomials and optimal estimation of a nonsmooth functional, Annals of Statistics 39, 2011).

    Parameters
    ----------
    steps : (d,) float64 array
        What is seen, in standard errors.

    Returns
    -------
    estimate, slope : (d,) float64 arrays

    >>> [part.round(2).tolist() for part in straightened(np.array([-1.0, 0.0, 9.0]))]
    [[-0.23, -0.38, 9.0], [-0.23, 0.0, 1.0]]
    """
    bump = TAKEN * _density(steps)
    # The density falls faster than any value grows.
    return np.maximum(steps, 0.0) - bump, (steps > 0) + np.clip(steps, -FAR, FAR) * bump


def leaning(steps: Array) -> Array:
    """Return by how much `straightened` may be off on average, in standard errors, where `steps` are seen, (d,).

    ``|E[(t + Z)⁺ − 0.95 φ(t + Z)] − t⁺|`` with Z standard normal, for the worst true t within three of what is seen:
    the mean of φ(t + Z) is ``φ(t / √2) / √2``, and that of the positive part exceeds t⁺ by ``φ(t) − |t| Φ(−|t|)``.
    """
    true = np.clip(np.abs(steps) - DOUBT, 0.0, FAR)
    # Up to the worst on the other side it is no more than at 0, and falls from there on.
    true = np.where(true < WORST, 0.0, true)
    of_noise = _density(true) - true * ndtr(-true)
    return np.asarray(np.abs(of_noise - TAKEN * _density(true / math.sqrt(2)) / math.sqrt(2)))


def share_interval(
    weights: Array, covariance: Array, shares: Array, *, reach: float, rounding: float
) -> tuple[float, float]:
    """Return the interval of ``Σ β⁺ r / Σ β⁺``, the share of the positive weight that lies in a region.

    A share b is left out when ``Σ β⁺ (r − b)`` surely lies to one side of 0 (Fieller's way to a ratio: E. C. Fieller,
    Some problems in interval estimation, Journal of the Royal Statistical Society B 16, 1954). The sum is made
    of `straightened` parts, and surely means by more than `reach` of its standard errors, with what the parts lean by,
    and rounding, on top. The standard errors are those of the delta method, whose variance is on average no less than
    that of the sum (Poincaré's inequality for normal errors: L. H. Y. Chen, An inequality for the multivariate normal
    distribution, Journal of Multivariate Analysis 12, 1982). For the sum of many parts that will do. But one that is
    seen where it is flat may weigh something, and moves a sum of few parts, or of parts whose errors rise and fall
    together. So for the two parts of which that counts most, and for what errors in common add in sum, slopes are
    those at which each part by itself reaches as far up as the interval of its weight does.

    Parameters
    ----------
    weights : (d,) float64 array
    covariance : d×d float64 array
        Of their errors, all finite.
    shares : (d,) float64 array in [0, 1]
        r, the share of each superpixel inside.
    reach : float
        Standard errors to either side.
    rounding : float
        By how much a weight may be off besides.

    Returns
    -------
    (low, high)
        Within [0, 1]; all of it where no share can be told from another, as where the positive weight may be none.
    """
    errors = np.sqrt(np.diagonal(covariance))
    # Without an error every weight is endlessly far from 0.
    steps = np.divide(weights, errors, out=np.copysign(np.full_like(weights, np.inf), weights), where=errors > 0)
    known = np.where(errors > 0, steps, 0.0)
    parts, slopes = straightened(known)
    steepest = np.maximum(slopes, (np.maximum(known + reach, 0.0) - parts - leaning(known)) / reach)
    parts = np.where(errors > 0, errors * parts, np.maximum(weights, 0.0))
    slopes, steepest = (np.where(errors > 0, each, weights > 0) for each in (slopes, steepest))
    # A weight that is surely below 0 counts for nothing, rounded or not.
    doubt = errors * leaning(steps) + rounding * (weights + reach * errors + rounding > 0)
    if not (errors.any() or doubt.any()) and parts.any():
        share = min(float(parts @ shares / parts.sum()), 1.0)
        return share, share

    felt = covariance * np.outer(slopes, slopes)
    # What steepest slopes add: to each variance, and to what errors have in common.
    common = covariance * np.outer(steepest, steepest) - felt
    alone = np.maximum(common.diagonal(), 0.0)
    np.fill_diagonal(common, 0.0)

    def surely(points: Array) -> Array:
        """Return by how much the sum is more than 0, or in the second row less, than it may be by chance, for shares.

        For 2×n shares, 2×n.
        """
        # Not by moments, whose rounding would leave an error where all shares are this one.
        apart = shares - points[..., None]
        variance, together = (np.maximum(((apart @ each) * apart).sum(axis=-1), 0.0) for each in (felt, common))
        surprise = np.sort(apart**2 * alone, axis=-1)[..., -SURPRISES:].sum(axis=-1)
        error = np.sqrt(variance + surprise + together)
        return np.asarray(SIDES * (apart @ parts) - reach * error - np.abs(apart) @ doubt)

    # Both are concave in the share, but for what errors have in common, and that hardly bends them: what is left out at
    # an end of [0, 1] is left out up to one crossing.
    return _crossings(surely, AT_ONCE if len(shares) < FEW else 1)


def _crossings(surely: Callable[[Array], Array], at_once: int) -> tuple[float, float]:
    """Return up to where shares are left out, from 0 and from 1 on, by so many halvings `at_once`."""
    inside = np.arange(1, 2**at_once) / 2**at_once
    inner, outer = STARTS, 1 - STARTS
    at_inner, at_outer = surely(np.stack([inner, outer], axis=1)).T
    none, every = ~(at_inner > 0), at_outer >= 0
    if not (none | every).all():
        for _ in range(HALVINGS // at_once):
            points = inner[:, None] + (outer - inner)[:, None] * inside
            left_out = (surely(points) > 0).cumprod(axis=1).sum(axis=1)
            width = (outer - inner) / 2**at_once
            inner = inner + left_out * width
            outer = inner + width
    # Of two next to each other, the share that is left out: the interval is no narrower than it must be.
    low, high = np.where(none, STARTS, np.where(every, 1 - STARTS, inner))
    return float(low), float(high)


def _density(steps: Array) -> Array:
    return np.asarray(np.exp(-(np.clip(steps, -FAR, FAR) ** 2) / 2) / math.sqrt(2 * math.pi))
