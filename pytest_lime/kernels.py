"""Kernels: how far each sample is from the image, and how much it counts for that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_lime.errors import OptionError, one_line
from pytest_lime.least_squares import chunks

__all__ = ["cosine_distance", "exponential", "pixel_cosine_distance", "pixel_euclidean_distance", "sample_weights"]

Array = NDArray[np.float64]
Masks = NDArray[np.uint8]
# A copy that is shorter than the image by this factor is black but for the rounding of its normalisation.
BLACK = 1e-6
# Weights are divided by their largest where it is outside 1/HUGE…HUGE: their squares would overflow, or all be 0.
HUGE = 1e100


def sample_weights(
    masks: Masks,
    *,
    distance: str | Callable[[Masks], Any],
    kernel: str | Callable[[Array], Any],
    width: float,
    image: NDArray[Any],
    fill: NDArray[Any],
    segments: NDArray[np.integer[Any]],
) -> Array:
    """Return π, the weight of each sample in the surrogate's fit.

    Parameters
    ----------
    masks : N×d array of 0/1
    distance : ``"cosine"``, ``"pixel_cosine"``, ``"pixel_euclidean"`` or a function
        A function takes a copy of the masks and returns N finite distances of at least 0.
    kernel : ``"exponential"`` or a function
        A function takes a copy of the N distances and returns N finite weights of at least 0, not all 0.
    width : float
        Width of the exponential kernel, in units of the distance.
    image, fill : C×H×W arrays
        What the network receives, after its normalisation: the image, and what shows through where a
        superpixel is hidden. Used by the distances between pixels alone.
    segments : H×W array of int
        Superpixels 0…d−1.

    Returns
    -------
    (N,) float64 array
        As the kernel gives them, which is what ridge's penalty is measured against. Only where the largest is above
        1e100 or below 1e-100 are all divided by it: squares of such weights are beyond float64.

    Raises
    ------
    OptionError
        The width leaves no masked copy a weight, or a function returns something else.
    """
    if callable(distance):
        distances = _checked(distance(masks.copy()), len(masks), "distance", "distances", distance)
    elif distance == "cosine":
        distances = cosine_distance(masks)
    else:
        between = pixel_cosine_distance if distance == "pixel_cosine" else pixel_euclidean_distance
        distances = between(masks, image, fill, segments)
    if not callable(kernel):
        weights = exponential(distances, width)
        _check_width(weights, distances, width, masks.shape[1])
        return _in_range(weights)
    weights = _checked(kernel(distances.copy()), len(masks), "kernel", "weights", kernel)
    if not weights.any():
        raise OptionError(
            f"kernel={_name(kernel)} returned only 0 for distances from {distances.min():.3g} to "
            f"{distances.max():.3g}; some sample must get a weight above 0: let it fall off more slowly."
        )
    return _in_range(weights)


def cosine_distance(masks: Masks) -> Array:
    """Return the cosine distance of each mask from the whole image, ``1 − √(m/d)``, m the superpixels shown.

    Parameters
    ----------
    masks : N×d array of 0/1

    Returns
    -------
    (N,) float64 array; 1 for a mask that hides everything, as in the ``lime`` package.
    """
    shown = masks.sum(axis=1, dtype=np.int64)
    return np.asarray(1 - np.sqrt(shown / masks.shape[1]), dtype=np.float64)


def pixel_cosine_distance(
    masks: Masks, image: NDArray[Any], fill: NDArray[Any], segments: NDArray[np.integer[Any]]
) -> Array:
    """Return the cosine distance between the image and each masked copy, both flattened.

    No copy is made: inner products and norms are sums over superpixels. As in ``captum`` 0.9
    (``get_exp_kernel_similarity_function``, mode ``"cosine"``), a copy without length is at distance 1.

    Parameters
    ----------
    masks : N×d array of 0/1
    image, fill : C×H×W arrays
    segments : H×W array of int

    Returns
    -------
    (N,) float64 array in [0, 2]
    """
    x, y = np.asarray(image, dtype=np.float64), np.asarray(fill, dtype=np.float64)
    # Over each superpixel: ⟨x, x⟩, ⟨x, fill⟩ and ⟨fill, fill⟩.
    own, across, hidden = (_sums(product, segments, masks.shape[1]) for product in (x * x, x * y, y * y))
    inner = _totals(masks, own, across)
    length = np.sqrt(_totals(masks, own, hidden))
    whole = np.sqrt(own.sum())
    black = (length <= BLACK * whole) | (whole == 0)
    cosine = np.divide(inner, length * whole, out=np.zeros_like(inner), where=~black)
    return np.asarray(np.clip(1 - cosine, 0, 2))


def pixel_euclidean_distance(
    masks: Masks, image: NDArray[Any], fill: NDArray[Any], segments: NDArray[np.integer[Any]]
) -> Array:
    """Return the Euclidean distance between the image and each masked copy, both flattened.

    As in ``captum`` 0.9 (``get_exp_kernel_similarity_function``, mode ``"euclidean"``).

    Parameters
    ----------
    masks : N×d array of 0/1
    image, fill : C×H×W arrays
    segments : H×W array of int

    Returns
    -------
    (N,) float64 array, in units of the pixels
    """
    moved = (np.asarray(image, dtype=np.float64) - np.asarray(fill, dtype=np.float64)) ** 2
    sums = _sums(moved, segments, masks.shape[1])
    return np.sqrt(_totals(masks, np.zeros_like(sums), sums))


def exponential(distances: Array, width: float) -> Array:
    """Return the weights ``√exp(−D²/width²)`` of samples at distances D, (N,) float64.

    The kernel of LIME (Ribeiro, Singh, Guestrin, KDD 2016) as the ``lime`` package has it; written
    ``exp(−D²/(2·width²))``, it is also that of ``captum``.
    """
    # A distance of so many widths that its square overflows has the weight 0.
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.exp(-((distances / width) ** 2) / 2))


def _in_range(weights: Array) -> Array:
    """Return `weights`, not all 0, as they are or, where their squares are beyond float64, as shares of the largest."""
    largest = float(weights.max())
    return weights if 1 / HUGE <= largest <= HUGE else weights / largest


def _sums(values: Array, segments: NDArray[np.integer[Any]], superpixels: int) -> Array:
    """Sum C×H×W values over each superpixel, (d,)."""
    return np.bincount(segments.ravel(), values.sum(axis=0).ravel(), superpixels).astype(np.float64)


def _totals(masks: Masks, shown: Array, hidden: Array) -> Array:
    """Add up, for each mask, what superpixels count that it shows and what those count that it hides, (N,)."""
    totals = np.empty(len(masks))
    for rows in chunks(len(masks)):
        some = masks[rows].astype(np.float64)
        totals[rows] = some @ shown + (1 - some) @ hidden
    return totals


def _check_width(weights: Array, distances: Array, width: float, superpixels: int) -> None:
    masked = distances > 0
    # The image itself tells nothing of its superpixels, whatever its weight.
    if not masked.any() or (weights[masked] >= np.finfo(np.float64).tiny).any():
        return
    least, middle, most = np.quantile(distances[masked], (0, 0.5, 1))
    raise OptionError(
        f"kernel_width is too small: no sample of {superpixels} superpixels gets a weight at {width:.3g}, since their "
        f"distances are {least:.3g} to {most:.3g}; choose a larger one, such as {middle:.2g}."
    )


def _checked(values: Any, count: int, option: str, what: str, function: Callable[..., Any]) -> Array:
    """Return what the user's `function` returned, `count` finite `what` of at least 0, as float64."""
    rule = f"it must return {count} finite {what} of at least 0, one a sample, as numbers or an array of NumPy"
    try:
        given = np.asarray(values)
    except (TypeError, ValueError, RuntimeError):  # ragged, or a tensor that requires a gradient
        given = np.empty(0, dtype=object)
    if given.dtype.kind not in "biuf":
        raise OptionError(f"{option}={_name(function)} returned {one_line(values)}; {rule}.")
    if given.shape != (count,):
        raise OptionError(f"{option}={_name(function)} returned an array of shape {given.shape}; {rule}.")
    with np.errstate(over="ignore"):  # an extended float may be more than a float64 holds
        array = given.astype(np.float64)
    wrong = ~(np.isfinite(array) & (array >= 0))
    if wrong.any():
        first = int(wrong.argmax())
        raise OptionError(
            f"{option}={_name(function)} returned {array[first]:.4g} for sample {first} ({wrong.sum()} such values in "
            f"all); {rule}."
        )
    return array


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", "") or one_line(function)
