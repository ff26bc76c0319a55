"""Label maps: which superpixel each pixel belongs to, as a text that a page can read."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LARGEST", "run_lengths"]

LARGEST = 112
"""Pixels on the longer side of a label map in a record, enough to point at; where it has more, some are left out."""


def run_lengths(segments: NDArray[np.int64]) -> dict[str, Any]:
    """Return a label map as its shape and the runs of one label, row by row, as ``"label:length label:length …"``.

    >>> run_lengths(np.array([[0, 0, 1], [1, 2, 2]]))
    {'shape': [2, 3], 'runs': '0:2 1:2 2:2'}
    """
    height, width = segments.shape
    scale = min(1.0, LARGEST / max(height, width))
    # The nearest pixel to the middle of each that is left.
    rows, columns = (
        np.minimum(length - 1, ((np.arange(max(1, math.floor(length * scale))) + 0.5) / scale).astype(int))
        if scale < 1
        else np.arange(length)
        for length in (height, width)
    )
    small = segments[np.ix_(rows, columns)]
    flat = small.ravel()
    starts = np.append(0, np.flatnonzero(np.diff(flat)) + 1)
    lengths = np.diff(np.append(starts, flat.size))
    runs = " ".join(f"{label}:{length}" for label, length in zip(flat[starts].tolist(), lengths.tolist(), strict=True))
    return {"shape": list(small.shape), "runs": runs}
