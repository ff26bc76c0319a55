"""Heatmaps: weights of superpixels as a weight of each pixel, in steps or smooth."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_lime.errors import OptionError, is_for_the_user, nearest, one_line

__all__ = ["UPSAMPLINGS", "heatmap"]

__tracebackhide__ = is_for_the_user

Array = NDArray[np.float64]
UPSAMPLINGS = ("nearest", "bicubic")


def heatmap(weights: Array, segments: NDArray[np.int64], upsampling: str = "nearest") -> Array:
    """Return the weight of each pixel.

    Parameters
    ----------
    weights : (d,) float64 array
    segments : H×W int64 array
        Superpixels, numbered 0…d−1.
    upsampling : ``"nearest"`` or ``"bicubic"``
        ``"nearest"`` gives each pixel the weight of its superpixel. ``"bicubic"`` is smooth: where the
        superpixels are the cells of a regular grid, their weights are the pixels of a small picture that is
        enlarged by cubic convolution, as imageLIME of MATLAB does; other superpixels are first averaged over
        the cells of a grid with about as many cells as there are superpixels.

    Returns
    -------
    H×W float64 array
        Between the smallest weight and the largest, and the same however superpixels are numbered.

    Raises
    ------
    OptionError
        There is no such upsampling.

    Notes
    -----
    Cubic convolution: Keys, IEEE TASSP 29(6), 1981, a = −1/2, pixels beyond the border mirrored. It
    overshoots next to a steep step; what leaves the range of the weights is cut off.
    """
    if upsampling not in UPSAMPLINGS:
        raise OptionError(
            f"upsampling={one_line(upsampling)} must be one of {', '.join(map(repr, UPSAMPLINGS))}"
            f"{nearest(upsampling, UPSAMPLINGS)}."
        )
    stepped = np.asarray(weights[segments], dtype=np.float64)
    if upsampling == "nearest":
        return stepped
    cells = _regular_cells(segments)
    coarse = _cell_means(stepped, len(weights)) if cells is None else weights[cells]
    height, width = segments.shape
    smooth = _cubic(height, coarse.shape[0]) @ coarse @ _cubic(width, coarse.shape[1]).T
    return np.asarray(np.clip(smooth, stepped.min(), stepped.max()))


def _regular_cells(segments: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return the rows×columns superpixels of a regular grid; None where they form none.

    Its cells are of one height and one width, as nearly as whole pixels allow.
    """
    starts = []
    for axis in (0, 1):
        changes = (np.diff(segments, axis=axis) != 0).any(axis=1 - axis)
        start = np.append(0, np.flatnonzero(changes) + 1)
        if np.ptp(np.diff(np.append(start, segments.shape[axis]))) > 1:
            return None
        starts.append(start)
    cells = segments[np.ix_(*starts)]
    return cells if len(np.unique(cells)) == cells.size else None


def _cell_means(stepped: Array, cells: int) -> Array:
    """Return the mean of each cell of a grid of about `cells` cells, rows×columns."""
    from pytest_lime.segmentation import grid  # noqa: PLC0415  (imports scikit-image, and suites are collected without)

    labels = grid((stepped.shape[0], stepped.shape[1]), cells)
    means = np.bincount(labels.ravel(), weights=stepped.ravel()) / np.bincount(labels.ravel())
    return np.asarray(means.reshape(len(np.unique(labels[:, 0])), -1))


def _cubic(length: int, cells: int) -> NDArray[Any]:
    """Return the length×cells matrix that enlarges `cells` values to `length` by cubic convolution."""
    places = (np.arange(length) + 0.5) * cells / length - 0.5
    taps = np.floor(places).astype(np.int64)[:, None] + np.arange(-1, 3)
    distance = np.abs(places[:, None] - taps)
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    share = np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))
    mirrored = taps % (2 * cells)
    mirrored = np.minimum(mirrored, 2 * cells - 1 - mirrored)
    matrix = np.zeros((length, cells))
    np.add.at(matrix, (np.arange(length)[:, None], mirrored), share)
    return matrix
