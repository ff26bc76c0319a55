"""Agreement: whether another method ranks the superpixels as the surrogate's weights do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from pytest_lime.errors import OptionError, is_for_the_user, nearest, one_line

__all__ = [
    "Agreement",
    "check_opinions",
    "describe_opinion",
    "rank_agreement",
    "rank_correlation",
    "why_undefined",
]

__tracebackhide__ = is_for_the_user

Array = NDArray[np.float64]
OCCLUSION, GRADCAM = "occlusion", "gradcam"
# Draws of the weights; a quantile at 2.5 % then moves by about a tenth of the interval from seed to seed.
DRAWS = 2000
# So many draws at once: what is computed of more does not stay in the processor's cache.
AT_ONCE = 250
# A quantile with fewer draws beyond it says little.
FEWEST_DRAWS = 20
# Two superpixels are always in the same order or in the opposite one.
FEWEST = 3
# Below it next to nothing of the ranks is signal, and the interval is nearly everything anyway.
LEAST_RELIABLE = 0.02


def check_opinions(opinions: Any) -> tuple[str, ...]:
    """Return the names of other methods in `opinions`, each once.

    Parameters
    ----------
    opinions : str or collection of str
        ``"occlusion"``, ``"gradcam"``, or ``"gradcam:LAYER"`` with the name of a module of the network.

    Raises
    ------
    OptionError
        There is no such method; the nearest is named.

    Examples
    --------
    >>> check_opinions(["occlusion", "gradcam:features.12", "occlusion"])
    ('occlusion', 'gradcam:features.12')
    """
    listed = [opinions] if isinstance(opinions, str) or not isinstance(opinions, Iterable) else list(opinions)
    for name in listed:
        method, colon, layer = name.partition(":") if isinstance(name, str) else ("", "", "")
        if method not in (OCCLUSION, GRADCAM) or (colon and (method != GRADCAM or not layer)):
            raise OptionError(
                f"opinion {one_line(name)} must be 'occlusion', 'gradcam', or 'gradcam:LAYER' with the name of a "
                f"module of the network{nearest(method, (OCCLUSION, GRADCAM))}."
            )
    return tuple(dict.fromkeys(listed))


def describe_opinion(name: str) -> str:
    """Return `name` in words.

    >>> describe_opinion("occlusion"), describe_opinion("gradcam:features.12")
    ('occlusion', "Grad-CAM at 'features.12'")
    """
    method, _, layer = name.partition(":")
    if method == OCCLUSION:
        return OCCLUSION
    return f"Grad-CAM at {layer!r}" if layer else "Grad-CAM"


class Agreement(NamedTuple):
    """A rank correlation, where it lies, and why it has no value; `undefined` is empty where it has one."""

    estimate: float
    interval: tuple[float, float]
    undefined: str


def rank_correlation(weights: Array, opinion: Array) -> Array:
    """Return Spearman's rank correlation of each row of `weights` with `opinion`; equal values share their mean rank.

    Parameters
    ----------
    weights : N×d float64 array
    opinion : (d,) float64 array

    Returns
    -------
    (N,) float64 array in [−1, 1]; NaN for a row of equal values.

    Notes
    -----
    C. Spearman, "The proof and measurement of association between two things", American
    Journal of Psychology 15, 1904.
    """
    return _correlate(_ranks(weights), _ranks(opinion)[None])[:, 0]


def _ranks(values: Array) -> Array:
    """Return the ranks of finite values along the last axis, less their mean; equal values share the mean of theirs."""
    # scipy.stats.rankdata does the same, and half a second of importing comes with it, in every run.
    order, ordered = values.argsort(axis=-1), np.sort(values, axis=-1)
    places = np.arange(values.shape[-1])
    differs = ordered[..., 1:] != ordered[..., :-1]
    if differs.all():
        # Draws hardly ever tie, and what follows takes several times as long.
        ranks = np.empty(values.shape)
        np.put_along_axis(ranks, order, np.broadcast_to(places - (len(places) - 1) / 2, values.shape), axis=-1)
        return ranks
    edge = np.ones((*values.shape[:-1], 1), dtype=bool)
    first = np.maximum.accumulate(np.where(np.concatenate([edge, differs], axis=-1), places, 0), axis=-1)
    ends = np.where(np.concatenate([differs, edge], axis=-1), places, values.shape[-1])
    last = np.minimum.accumulate(ends[..., ::-1], axis=-1)[..., ::-1]
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, (first + last - (values.shape[-1] - 1)) / 2, axis=-1)
    return ranks


def _correlate(rows: Array, others: Array) -> Array:
    """Return the correlation of each of N centred rows with each of k others, N×k."""
    spread = np.sqrt(np.outer((rows**2).sum(axis=-1), (others**2).sum(axis=-1)))
    with np.errstate(invalid="ignore"):
        return np.asarray(np.clip(rows @ others.T / spread, -1.0, 1.0))


def rank_agreement(
    weights: Array, opinion: Array, covariance: Array, *, freedom: float, rounding: float, confidence: float
) -> Agreement:
    """Return how well `opinion` ranks the superpixels as `weights` do, with the interval that sampling leaves.

    The weights are drawn 2,000 times from the t law of their errors around what was seen. Noise
    makes ranks less alike, so draws around noisy weights lie nearer to 0 than the weights
    themselves, and those nearer than the truth. The interval therefore joins three: the
    quantiles of the draws, the same mirrored at the estimate (the basic bootstrap
    interval; Davison and Hinkley, Bootstrap Methods, 1997), and these shifted and stretched by
    Spearman's correction for attenuation (1904), with the reliability read from how much the
    draws are like the weights.

    It covers the truth at the stated rate where weights spread at least half as much as
    their errors. Of superpixels whose weights differ by far less than their errors no sample
    tells the order; it is taken to be like that of the others.

    Parameters
    ----------
    weights, opinion : (d,) float64 arrays
    covariance : d×d float64 array
        Of the weights' errors; 0 for a complete enumeration.
    freedom : float
        Degrees of freedom of their t law.
    rounding : float
        By how much a weight may be off besides. Weights that a chain of smaller steps joins may be in
        any order.
    confidence : float
        Level of the interval, in (0, 1).

    Returns
    -------
    Agreement
        Without a value, 0 in [−1, 1].
    """
    undefined = why_undefined(weights, opinion, covariance, rounding)
    if undefined:
        return Agreement(0.0, (-1.0, 1.0), undefined)
    estimate = float(rank_correlation(weights[None], opinion)[0])
    ends = [estimate, *_rounded(weights, opinion, rounding)]
    if covariance.any():
        ends += _sampled(weights, opinion, covariance, estimate, freedom=freedom, confidence=confidence)
    return Agreement(estimate, (max(-1.0, min(ends)), min(1.0, max(ends))), "")


def why_undefined(weights: Array, opinion: Array, covariance: Array, rounding: float) -> str:
    """Return why there is no rank correlation, as a clause; empty where there is one."""
    if len(weights) < FEWEST:
        return f"{len(weights)} superpixels are too few to rank"
    if not np.isfinite(covariance).all():
        return "the samples do not tell the weights of all superpixels"
    if np.ptp(weights) <= 2 * rounding:
        return "all weights are the same"
    if np.ptp(opinion) == 0:
        return f"it says the same of every superpixel, {opinion[0]:.3g}"
    return ""


def _sampled(
    weights: Array, opinion: Array, covariance: Array, estimate: float, *, freedom: float, confidence: float
) -> tuple[float, ...]:
    """Return the ends of the three intervals that sampling leaves."""
    # Fixed, so that the same samples give the same verdict.
    rng = np.random.default_rng(0)
    values, vectors = np.linalg.eigh(covariance)
    noise = rng.standard_normal((DRAWS, len(weights))) @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
    if np.isfinite(freedom):
        noise *= np.sqrt(freedom / rng.chisquare(freedom, (DRAWS, 1)))
    parts = (_ranks(weights + noise[start : start + AT_ONCE]) for start in range(0, DRAWS, AT_ONCE))
    both = np.stack([_ranks(opinion), _ranks(weights)])
    correlations, likeness = np.concatenate([_correlate(part, both) for part in parts]).T
    tail = (1 - confidence) / 2
    # Where so many draws hardly reach, quantiles that they do reach are stretched as those of t are.
    reached = max(tail, FEWEST_DRAWS / DRAWS)
    farther = float(stdtrit(freedom, tail) / stdtrit(freedom, reached))
    middle = float(correlations.mean())
    ends = np.quantile(correlations, [reached, 1 - reached])
    low, high = np.clip(middle + farther * (ends - middle), -1, 1).tolist()
    # What is seen is v + s² of spread, a draw v + 2s²: their correlation r gives v / (v + s²) = 2 − 1/r².
    alike = max(float(likeness.mean()), 0.5)
    stretch = max(2 - alike**-2, LEAST_RELIABLE) ** -0.5
    corrected = (stretch * (estimate + low - middle), stretch * (estimate + high - middle))
    return (low, high, 2 * estimate - high, 2 * estimate - low, *corrected)


def _rounded(weights: Array, opinion: Array, rounding: float) -> tuple[float, float]:
    """Return the least and the greatest rank correlation that orders within rounding allow."""
    # Weights that are equal to the last digit, such as those of superpixels that were not selected, stay so.
    values, place = np.unique(weights, return_inverse=True)
    chains = np.concatenate([[0], np.cumsum(np.diff(values) > 2 * rounding)])
    means = np.bincount(place, weights=opinion) / np.bincount(place)
    ends = []
    for sign in (1, -1):
        order = np.empty(len(values))
        order[np.lexsort((sign * means, chains))] = np.arange(len(values))
        ends.append(float(rank_correlation(order[place][None], opinion)[0]))
    return min(ends), max(ends)
