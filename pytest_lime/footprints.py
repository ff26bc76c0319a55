"""Footprints: where a region lies in an image and in what the model sees, worked out once for each image.

A check looks at its samples many times, and each look asks anew; a region of a photograph of twelve megapixels takes
a second to draw.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion
from scipy.spatial import KDTree

from pytest_lime.errors import RegionError
from pytest_lime.images import Image, View
from pytest_lime.regions import Region, as_region, is_complement

__all__ = ["cut_away", "distances", "project_region"]

T = TypeVar("T")
Mask = NDArray[np.bool_]

# What is known of each image; gone with it. The region is held beside what was found of it, lest another take its id.
_known: WeakKeyDictionary[Image, dict[tuple[Any, ...], tuple[Region, Any]]] = WeakKeyDictionary()


def _remembered(function: Callable[..., T]) -> Callable[..., T]:
    """Let `function` of a region, an image and more that can be compared work only once for each."""

    @functools.wraps(function)
    def wrapper(region: Region, image: Image, *more: Any) -> T:
        known = _known.setdefault(image, {})
        key = (function, id(region), *more)
        if key not in known:
            known[key] = (region, function(region, image, *more))
        found: T = known[key][1]
        return found

    return wrapper


@_remembered
def project_region(region: Region, image: Image, view: View) -> Mask:
    """Check `region` against `image` and carry it to what the model sees, an H×W bool array.

    Raises
    ------
    RegionError
        It is empty, reaches outside the image, or holds nothing of what the model sees.
    """
    as_region(region).check(image.size, image.name)
    mask = region.project(view)
    if is_complement(region) and not (~region).project(view).any():
        raise RegionError(
            f"{region!r} is all that the model sees of {image.name!r}, since {~region!r} holds no pixel of it: "
            "it is cut away or smaller than a pixel; choose another region or crop."
        )
    if not mask.any():
        x0, y0, x1, y1 = view.box
        raise RegionError(
            f"{region!r} holds no pixel of what the model sees of {image.name!r}, x {x0:.0f}…{x1:.0f} and "
            f"y {y0:.0f}…{y1:.0f} at {view.shape[1]}×{view.shape[0]}: it is cut away or smaller than a pixel; "
            "choose another region or crop."
        )
    mask.flags.writeable = False
    return mask


@_remembered
def cut_away(region: Region, image: Image, view: View) -> float:
    """Return the share of `region` that the model does not see."""
    mask = region.mask(image.size)
    x0, y0, x1, y1 = view.box
    rows, columns = (np.arange(length) + 0.5 for length in mask.shape)
    seen = ((rows >= y0) & (rows < y1))[:, None] & ((columns >= x0) & (columns < x1))[None]
    return 1 - float((mask & seen).sum() / mask.sum())


def distances(region: Region, image: Image, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far `points`, N×2 of (x, y) outside of `region`, are from its nearest pixel, (N,) in pixels."""
    found: NDArray[np.float64] = _border(region, image).query(points)[0]
    return found


@_remembered
def _border(region: Region, image: Image) -> KDTree:
    """Return the centres of the pixels of `region` that have a neighbour outside, among which the nearest is."""
    mask = region.mask(image.size)
    rows, columns = np.nonzero(mask & ~binary_erosion(mask))
    return KDTree(np.stack([columns, rows], axis=1) + 0.5)
