"""Small pictures: where the model looked, in one view, for lists of many images."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pytest_lime.drawing import faded, relative, shade
from pytest_lime.records import write_atomically
from pytest_lime.report.pictures import check_stem, size_within, small_photo

__all__ = ["write_thumb"]

LONGEST = 160
QUALITY = 75
# How opaque the heatmap is over the photograph, of what it is by itself.
STRENGTH = 0.8
DARK, LIGHT = (20, 23, 26), (255, 255, 255)


def write_thumb(
    folder: Path,
    stem: str,
    *,
    pixels: NDArray[np.float32],
    aspect: float,
    segments: NDArray[Any],
    weights: NDArray[np.float64],
    regions: Sequence[NDArray[np.bool_]],
) -> dict[str, str]:
    """Write the photograph, in light grays, under heatmap and outlines of regions; return its path under ``thumb``.

    Parameters
    ----------
    folder, stem
        As for `pytest_lime.report.pictures.write_pictures`.
    pixels
        What the model sees, C×H×W in [0, 1], C 1 or 3.
    aspect
        Width by height of the picture, which the model may see squeezed.
    segments
        Superpixel labels, H×W.
    weights
        One a superpixel.
    regions
        H×W masks.
    """
    check_stem(stem)
    size = size_within(pixels.shape[1:], aspect, LONGEST)
    # Colours of its own would be taken for those of the heatmap.
    photo = 255 * faded(np.asarray(small_photo(pixels, size), dtype=np.float32) / np.float32(255))
    shades = _resized(shade(relative(np.asarray(weights, dtype=np.float64)))[segments], size)
    alpha = shades[..., 3:].astype(np.float32) * (STRENGTH / 255)
    drawn = photo * (1 - alpha) + shades[..., :3] * alpha
    for mask in regions:
        inside = _resized(np.asarray(mask, dtype=np.uint8), size) > 0
        line = inside & ~_eroded(inside)
        # A light line inside a dark one stands out on any photograph.
        drawn[line] = DARK
        drawn[inside & ~line & ~_eroded(inside & ~line)] = LIGHT
    buffer = io.BytesIO()
    Image.fromarray(drawn.round().astype(np.uint8)).save(buffer, "JPEG", quality=QUALITY, optimize=True)
    path = f"images/{stem}-thumb.jpg"
    write_atomically(folder / path, buffer.getvalue())
    return {"thumb": path}


def _resized(array: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(array).resize(size, Image.Resampling.NEAREST))


def _eroded(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels of a mask whose four neighbours are in it; beyond the picture nothing is."""
    padded = np.pad(mask, 1)
    return mask & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
