"""Highlights: chosen superpixels as a mask, a picture and boxes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pytest_lime.errors import OptionError, is_for_the_user, nearest, one_line
from pytest_lime.images import View
from pytest_lime.regions import Box

__all__ = ["boxes", "mask", "masked_image"]

__tracebackhide__ = is_for_the_user

Array = NDArray[np.float64]
EXTENTS = ("all", "area")
# Rounding of a view's box, in pixels of the file, that adds no row of pixels.
ROUNDING = 1e-6


def mask(weights: Array, segments: NDArray[np.int64], chosen: NDArray[np.int64]) -> NDArray[np.int8]:
    """Return where the `chosen` superpixels are, H×W: 1 where they speak for the class, −1 against, else 0."""
    signs = np.zeros(len(weights), dtype=np.int8)
    signs[chosen] = np.sign(weights[chosen])
    return signs[segments]


def masked_image(
    pixels: NDArray[np.float32], mask: NDArray[np.int8], *, hide_rest: bool, painted: bool
) -> NDArray[np.float32]:
    """Return what the model sees of a `mask`, H×W×3 float32 in [0, 1].

    Parameters
    ----------
    pixels : C×H×W float32 array
        One channel is repeated.
    mask : H×W int8 array
    hide_rest : bool
        Make everything else black.
    painted : bool
        Set green where the mask is above 0, and red where it is below, to the largest value of `pixels`.
    """
    image = np.repeat(np.moveaxis(pixels, 0, -1), 3 // len(pixels), axis=2)
    if hide_rest:
        image[mask == 0] = 0
    if painted:
        image[mask < 0, 0] = image[mask > 0, 1] = pixels.max()
    return image


def boxes(mask: NDArray[np.int8], strength: Array, view: View, per: str = "all") -> list[Box]:
    """Return boxes round what a `mask` shows, in pixels of the image file.

    Parameters
    ----------
    mask : H×W int8 array
        What the model sees; areas are those of one value.
    strength : H×W float64 array
        The box of the area with the highest comes first.
    view : View
    per : ``"all"`` or ``"area"``
        One box round everything, or one round each connected area: pixels of one value that touch by
        an edge, not by a corner.

    Returns
    -------
    list of Box
        Whole pixels of the file, rounded outwards and cut at its border, so that each covers all that the
        model sees of its area; empty where the mask shows nothing of the file.

    Raises
    ------
    OptionError
        `per` is neither of the two.
    """
    from skimage.measure import label, regionprops  # noqa: PLC0415  (heavy, and suites are collected without)

    if per not in EXTENTS:
        raise OptionError(f"per={one_line(per)} must be 'all' or 'area'{nearest(per, EXTENTS)}.")
    x0, y0, x1, y1 = view.box
    height, width = view.size
    rows = _on_file(y0, y1, mask.shape[0], height)
    columns = _on_file(x0, x1, mask.shape[1], width)
    seen = np.where((rows[:, 0] < rows[:, 1])[:, None] & (columns[:, 0] < columns[:, 1]), mask, 0)
    areas = (seen != 0).astype(np.int64)
    if per == "area":
        areas = label(seen, background=0, connectivity=1)  # type: ignore[no-untyped-call]
    found = regionprops(areas, intensity_image=strength)  # type: ignore[no-untyped-call]
    return [
        Box(columns[left, 0], rows[top, 0], columns[right - 1, 1], rows[bottom - 1, 1])
        for top, left, bottom, right in (
            area.bbox for area in sorted(found, key=lambda area: -float(area.intensity_max))
        )
    ]


def _on_file(start: float, stop: float, pixels: int, length: int) -> NDArray[np.int64]:
    """Return the whole pixels of the file, [first, last), that each pixel between `start` and `stop` touches.

    Where it lies beyond the file, first is not below last.
    """
    ends = start + (stop - start) * np.arange(pixels + 1) / pixels
    first, last = np.floor(ends[:-1] + ROUNDING), np.ceil(ends[1:] - ROUNDING)
    return np.stack([np.maximum(first, 0), np.minimum(last, length)], axis=1).astype(np.int64)
