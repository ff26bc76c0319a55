"""Superpixels: cutting what the model sees into pieces that are shown or hidden whole."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import slic

from pytest_lime.errors import SegmentationError
from pytest_lime.images import View
from pytest_lime.options import MOST_SUPERPIXELS

__all__ = ["align", "grid", "relabel", "segment"]

Labels = NDArray[np.int64]
# A piece that a region's border cuts off and that is smaller than this share of an
# average superpixel joins its neighbour: alone it would only add noise.
SLIVER = 0.1


def segment(
    pixels: NDArray[np.float32],
    *,
    segmenter: Any,
    segments: int,
    view: View,
    regions: Sequence[NDArray[np.bool_]] = (),
) -> Labels:
    """Cut `pixels` into superpixels numbered 0…d−1.

    Parameters
    ----------
    pixels : H×W×C float32 array in [0, 1]
        What the model sees.
    segmenter : ``"slic"``, ``"grid"``, or an integer label map
        A label map of the image file's size is carried to the model's size.
    segments : int
        About how many superpixels.
    view : View
        How the image file became `pixels`.
    regions : sequence of H×W bool arrays
        Superpixels are split along the borders of these.

    Returns
    -------
    H×W int64 array

    Raises
    ------
    SegmentationError
        There is one superpixel only, there are more than 1,000, or the label map has
        another size than the image.
    """
    shape = pixels.shape[:2]
    if not isinstance(segmenter, str):
        labels = _label_map(np.asarray(segmenter), view)
        remedy = "give a label map with 2 to 1,000 labels"
    elif segmenter == "grid":
        labels, remedy = grid(shape, segments), "choose another number of segments"
    else:
        # Two channels and more are taken for colour; compactness 10 suits CIELAB, in which SLIC measures colours.
        colour = pixels if pixels.shape[2] == 3 else np.repeat(pixels[:, :, :1], 3, axis=2)
        labels = slic(colour, n_segments=segments, compactness=10, sigma=1, start_label=0, channel_axis=-1)
        remedy = "choose segmenter='grid' or another number of segments"
    labels = relabel(labels)
    # Before the split too, which takes memory for every pair of superpixels.
    _check_most(labels, remedy)
    labels = align(labels, regions)
    if not labels.any():
        raise SegmentationError(
            f"the image of {shape[1]}×{shape[0]} pixels has one superpixel only and needs at least two; {remedy}."
        )
    _check_most(labels, remedy)
    return labels


def _check_most(labels: Labels, remedy: str) -> None:
    count = int(labels.max()) + 1
    if count > MOST_SUPERPIXELS:
        raise SegmentationError(
            f"the image has {count:,} superpixels; at most {MOST_SUPERPIXELS:,} can be explained; {remedy}."
        )


def grid(shape: tuple[int, int], segments: int) -> Labels:
    """Return near-square cells, about `segments` of them, that cover an image of `shape`.

    >>> grid((2, 4), 2)
    array([[0, 0, 1, 1],
           [0, 0, 1, 1]])
    """
    height, width = shape
    rows = min(height, max(1, round(math.sqrt(segments * height / width))))
    columns = min(width, max(1, round(segments / rows)))
    row = np.arange(height) * rows // height
    column = np.arange(width) * columns // width
    return np.asarray(row[:, None] * columns + column[None], dtype=np.int64)


def relabel(labels: NDArray[Any]) -> Labels:
    """Return `labels` renumbered 0…d−1 in their own order, without gaps."""
    _, inverse = np.unique(labels, return_inverse=True)
    return np.asarray(inverse, dtype=np.int64).reshape(labels.shape)


def align(labels: Labels, regions: Sequence[NDArray[np.bool_]]) -> Labels:
    """Split superpixels along the borders of `regions`, so that each region is a union of superpixels.

    A piece smaller than a tenth of an average superpixel joins the neighbour on the
    same side with which it shares the longest border, where it has one.
    """
    if not regions:
        return labels
    side = np.zeros(labels.shape, dtype=np.int64)
    for region in regions:
        side = relabel(side * 2 + region)
    pieces = relabel(labels * (side.max() + 1) + side)
    area = np.bincount(pieces.ravel())
    before = np.zeros_like(area)
    before[pieces.ravel()] = np.bincount(labels.ravel())[labels.ravel()]
    # A superpixel that no border cuts stays as its segmenter made it, however small.
    small = SLIVER * labels.size / (labels.max() + 1)
    sliver = (area < before) & (area < small)
    return relabel(_join(sliver, area, _borders(pieces, side), small)[pieces])


def _borders(pieces: Labels, side: Labels) -> NDArray[np.int64]:
    """Return the d×d matrix of how many pixel edges two pieces on the same side share."""
    count = int(pieces.max()) + 1
    borders = np.zeros((count, count), dtype=np.int64)
    for here, there in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        touching = (pieces[here] != pieces[there]) & (side[here] == side[there])
        np.add.at(borders, (pieces[here][touching], pieces[there][touching]), 1)
    return borders + borders.T


def _join(sliver: NDArray[np.bool_], area: Labels, borders: NDArray[np.int64], enough: float) -> Labels:
    """Return which piece each piece becomes when every sliver joins its longest neighbour."""
    becomes = np.arange(len(area))
    area, borders = area.copy(), borders.copy()
    # The smallest first: slivers that join each other may be large enough together.
    for small in np.flatnonzero(sliver)[np.argsort(area[sliver], kind="stable")]:
        # What it was joined by in the meantime counts as its own.
        if area[small] >= enough or not borders[small].any():
            continue
        target = int(borders[small].argmax())
        becomes[becomes == small] = target
        area[target] += area[small]
        borders[target] += borders[small]
        borders[:, target] += borders[:, small]
        borders[target, target] = 0
        borders[small] = borders[:, small] = 0
    return becomes


def _label_map(labels: NDArray[Any], view: View) -> NDArray[Any]:
    if labels.shape == view.shape:
        return labels
    if labels.shape != view.size:
        raise SegmentationError(
            f"the label map is {labels.shape[1]}×{labels.shape[0]} pixels; it must have the size of the image file "
            f"({view.size[1]}×{view.size[0]}) or of what the model sees ({view.shape[1]}×{view.shape[0]})."
        )
    height, width = view.shape
    x0, y0, x1, y1 = view.box
    rows = np.clip(np.floor(y0 + (np.arange(height) + 0.5) / height * (y1 - y0)).astype(int), 0, view.size[0] - 1)
    columns = np.clip(np.floor(x0 + (np.arange(width) + 0.5) / width * (x1 - x0)).astype(int), 0, view.size[1] - 1)
    return np.asarray(labels[rows[:, None], columns[None]])
