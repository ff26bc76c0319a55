"""Scenes: an image, its superpixels and their fill, all that is known before the model has seen anything."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_lime.cache import Cache, Entry, digest
from pytest_lime.fills import fill_image, looks_unchanged
from pytest_lime.fingerprint import versions
from pytest_lime.footprints import project_region
from pytest_lime.images import Image, View, load_image
from pytest_lime.models.protocol import Model, normalisation, prepare
from pytest_lime.options import LimeOptions
from pytest_lime.regions import Region
from pytest_lime.segmentation import segment

__all__ = ["Scene", "look_at"]

SUPERPIXELS = "superpixels"


@dataclasses.dataclass(frozen=True, eq=False)
class Scene:
    """An image as the model sees it, whole and hidden.

    Attributes
    ----------
    image : Image
    pixels, filled : C×H×W float32 arrays in [0, 1]
        What the model sees of it, and what shows through where a superpixel is hidden.
    view : View
    segments : H×W int64 array
        Superpixels 0…d−1.
    unchanged : (d,) bool array
        Superpixels that look the same hidden as shown.
    """

    image: Image
    pixels: NDArray[np.float32]
    view: View
    segments: NDArray[np.int64]
    filled: NDArray[np.float32]
    unchanged: NDArray[np.bool_]

    @property
    def superpixels(self) -> int:
        """d, the number of superpixels."""
        return len(self.unchanged)

    @functools.cached_property
    def digest(self) -> str:
        """Of what the model can be shown of it: pixels, fill and superpixels."""
        return digest(self.pixels, self.filled, self.segments)


def look_at(
    model: Model, image: Any, options: LimeOptions, *, regions: Sequence[Region] = (), cache: Cache | None = None
) -> Scene:
    """Decode, prepare and segment `image`, and fill its superpixels.

    Raises
    ------
    LimeError
        The image, a region, the label map or what `model.prepare` returns is not as it must be.
    """
    loaded = load_image(image)
    pixels, view = prepare(model, loaded)
    masks = [project_region(region, loaded, view) for region in regions]
    segments = _superpixels(pixels, view, options, masks if options.align_to_regions else [], cache)
    zero, _ = normalisation(model)
    filled = fill_image(pixels, segments, options.fill, seed=options.seed, zero=zero)
    return Scene(loaded, pixels, view, segments, filled, looks_unchanged(pixels, filled, segments))


def _superpixels(
    pixels: NDArray[np.float32],
    view: View,
    options: LimeOptions,
    regions: Sequence[NDArray[np.bool_]],
    cache: Cache | None,
) -> NDArray[np.int64]:
    """Segment, or take from the cache what was segmented before."""
    given = options.segmenter, options.segmenter_parameters
    try:
        key = digest(
            *(versions(), pixels, view.size, view.box, view.shape, list(regions)),
            *(given[0], dict(given[1]), options.segments, options.seed),
        )
    except TypeError:  # a function or an object, whose outcome nobody can foresee
        cache, key = None, ""
    entry = cache.get(SUPERPIXELS, key, lambda entry: _is_label_map(entry, pixels.shape[1:])) if cache else None
    if entry is not None:
        return entry.arrays["segments"].astype(np.int64)
    segments = segment(
        np.moveaxis(pixels, 0, -1),
        segmenter=options.segmenter,
        segments=options.segments,
        parameters=options.segmenter_parameters,
        seed=options.seed,
        view=view,
        regions=regions,
    )
    if cache:
        cache.put(SUPERPIXELS, key, {}, {"segments": segments.astype(np.uint16)})
    return segments


def _is_label_map(entry: Entry, shape: tuple[int, ...]) -> bool:
    labels = entry.arrays["segments"]
    known = np.unique(labels)
    return labels.shape == shape and labels.dtype == np.uint16 and np.array_equal(known, np.arange(len(known)))
