"""Fills: what shows through where a superpixel is hidden."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.filters import gaussian

from pytest_lime.errors import OptionError, is_for_the_user, one_line
from pytest_lime.images import resize_pixels

__all__ = ["fill_image", "looks_unchanged"]

__tracebackhide__ = is_for_the_user

Pixels = NDArray[np.float32]
# The share of the longest side that is the blur's standard deviation: no object is left to see.
BLUR = 0.1
# A longer side is reduced before the blur, whose time grows with the third power of it.
BLUR_SIDE = 512
# A function may miss [0, 1] by this much, the rounding of its arithmetic.
ROUNDING = 1e-5
# ITU-R 601
LUMINANCE = (0.299, 0.587, 0.114)


def fill_image(
    pixels: Pixels,
    segments: NDArray[np.int64],
    fill: Any,
    *,
    seed: int = 0,
    zero: float | Sequence[float] | NDArray[np.floating[Any]] = 0.0,
) -> Pixels:
    """Return the picture that shows through where a superpixel is hidden.

    Parameters
    ----------
    pixels : C×H×W float32 array in [0, 1]
        What the model sees.
    segments : H×W int64 array
        Superpixels 0…d−1.
    fill : str, tuple of one or three floats in [0, 1], or function
        ``"segment_mean"`` and ``"image_mean"``: the mean colour of each superpixel, and of the image.
        ``"blur"``: the image under a Gaussian whose standard deviation is a tenth of the longest side.
        ``"noise"``: independent normal values with each channel's mean and standard deviation, clipped to [0, 1].
        ``"input_zero"``: `zero`. A colour: its luminance (ITU-R 601) where the model
        sees one channel. A function is called with copies of the pixels, H×W×C, and of `segments`, and
        returns floats in [0, 1] of that shape, or one colour, or what else NumPy broadcasts to it.
    seed : int
        Seed of ``"noise"``.
    zero : float or C floats
        The colour that the model's normalisation turns into 0; it may lie outside [0, 1].

    Returns
    -------
    C×H×W float32 array

    Raises
    ------
    OptionError
        A function returns something else.
    """
    if callable(fill):
        return _called(fill, pixels, segments)
    if fill == "segment_mean":
        flat = segments.ravel()
        area = np.bincount(flat)
        sums = [np.bincount(flat, weights=plane.ravel()) for plane in pixels]
        return np.stack([(total / area)[segments] for total in sums]).astype(np.float32)
    if fill == "blur":
        return _blurred(pixels)
    means = pixels.mean(axis=(1, 2), dtype=np.float64)[:, None, None]
    if fill == "noise":
        spread = pixels.std(axis=(1, 2), dtype=np.float64)[:, None, None]
        drawn = np.random.default_rng([seed, 1]).normal(means, spread, pixels.shape)
        return np.clip(drawn, 0, 1).astype(np.float32)
    if fill == "image_mean":
        colour = means
    else:
        colour = np.asarray(zero if fill == "input_zero" else fill, dtype=np.float64).reshape(-1, 1, 1)
        if len(colour) == 3 and len(pixels) == 1:
            colour = np.tensordot(LUMINANCE, colour, axes=1)[None]
    return np.broadcast_to(colour, pixels.shape).astype(np.float32)


def looks_unchanged(pixels: Pixels, filled: Pixels, segments: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which superpixels look the same hidden as shown, (d,): no value moves by half of an 8-bit step.

    `pixels` and `filled` are C×H×W, as `fill_image` takes and returns them.
    """
    moved = np.abs(pixels - filled).max(axis=0) > 0.5 / 255
    return np.asarray(np.bincount(segments.ravel(), weights=moved.ravel()) == 0)


def _blurred(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[1:]
    scale = min(1.0, BLUR_SIDE / max(height, width))
    # Nothing is lost: the blur is much wider than the pixels that it is reduced to.
    small = resize_pixels(np.moveaxis(pixels, 0, -1), (max(1, round(height * scale)), max(1, round(width * scale))))
    soft = gaussian(small, sigma=BLUR * max(small.shape[:2]), mode="nearest", channel_axis=-1)  # type: ignore[no-untyped-call]
    # Sums of weights that are 1 but for rounding.
    whole = resize_pixels(np.clip(soft, 0, 1).astype(np.float32), (height, width))
    return np.ascontiguousarray(np.moveaxis(whole, -1, 0))


def _called(fill: Callable[..., Any], pixels: Pixels, segments: NDArray[np.int64]) -> Pixels:
    """Return what a user's function makes; what it raises is left as it is."""
    channels, height, width = pixels.shape
    shape = (height, width, channels)
    returned = fill(np.moveaxis(pixels, 0, -1).copy(), segments.copy())
    name = getattr(fill, "__qualname__", "") or one_line(fill)
    rule = f"it must return floats in [0, 1] of the pixels' shape {'×'.join(map(str, shape))}, or one colour"
    try:
        filled = np.asarray(returned)
    except (TypeError, ValueError, RuntimeError):  # ragged lists; tensors on a GPU or with a gradient
        raise OptionError(f"fill: {name} returned {one_line(returned)}; {rule}.") from None
    if filled.dtype.kind not in "biuf":
        raise OptionError(f"fill: {name} returned {one_line(returned)}; {rule}.")
    if channels == 1 and filled.shape == (height, width):
        filled = filled[:, :, None]
    try:
        filled = np.broadcast_to(filled, shape)
    except ValueError:
        raise OptionError(
            f"fill: {name} returned an array of shape {'×'.join(map(str, filled.shape))}; {rule}."
        ) from None
    least, most = float(filled.min()), float(filled.max())
    if not (least >= -ROUNDING and most <= 1 + ROUNDING):  # NaN too
        remedy = "; divide whole numbers in 0…255 by 255" if filled.dtype.kind in "iu" else ""
        raise OptionError(f"fill: {name} returned values from {least:.4g} to {most:.4g}; {rule}{remedy}.")
    return np.ascontiguousarray(np.moveaxis(np.clip(filled, 0, 1), -1, 0), dtype=np.float32)
