"""Perturbation: which superpixels are hidden in each sample, and what replaces them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_lime.errors import OptionError

__all__ = ["ENUMERATED", "MaskStream", "fill_image", "looks_unchanged"]

Masks = NDArray[np.uint8]
# Up to this many superpixels all masks are enumerated unless independent ones are asked for.
ENUMERATED = 12
# 65,536 passes: the most that a user can mean by "exhaustive".
MOST_ENUMERATED = 16
CHUNK = 1024


class MaskStream:
    """The masks of one explanation, drawn in order and as many as asked for.

    What is drawn does not depend on the portions it is drawn in: twice 50 masks are the
    same as 100 at once, so that sampling can go on later.

    Parameters
    ----------
    sampler : ``"antithetic"``, ``"bernoulli"``, ``"exhaustive"``, or an N×d array of 0/1
        As in `LimeOptions`.
    superpixels : int
        d, the number of superpixels.
    seed : int
        Seed of the random generator (numpy's PCG64).

    Attributes
    ----------
    sampler : str
        What is really used: ``"exhaustive"`` where d ≤ 12 makes that the better choice of
        ``"antithetic"``, ``"given"`` for an array.
    length : int or None
        How many masks there are; None when there is no end.
    paired : bool
        Masks 2i and 2i+1 are complements of each other.

    Raises
    ------
    OptionError
        The array has another number of columns than d, or there are too many superpixels
        to enumerate.
    """

    def __init__(self, sampler: Any, superpixels: int, seed: int) -> None:
        self.superpixels = superpixels
        self.length: int | None = None
        self._rng = np.random.default_rng(seed)
        self._pending: Masks = np.empty((0, superpixels), dtype=np.uint8)
        self._drawn = 0
        self._given: NDArray[Any] | None = None
        if not isinstance(sampler, str):
            self.sampler = "given"
            self._given = self._check_given(np.asarray(sampler))
            self.length = len(self._given)
        elif sampler == "exhaustive" or (sampler == "antithetic" and superpixels <= ENUMERATED):
            if superpixels > MOST_ENUMERATED:
                raise OptionError(
                    f"sampler='exhaustive' would need 2^{superpixels} passes for {superpixels} superpixels; "
                    f"it takes at most {MOST_ENUMERATED}: lower segments, or choose sampler='antithetic'."
                )
            self.sampler = "exhaustive"
            self.length = 2**superpixels
        else:
            self.sampler = sampler
        self.paired = self.sampler == "antithetic"

    def draw(self, count: int) -> Masks:
        """Return the next `count` masks, fewer at the end, as a count×d uint8 array; 1 shows a superpixel."""
        if self.length is not None:
            count = min(count, self.length - self._drawn)
        start, self._drawn = self._drawn, self._drawn + count
        if self._given is not None:
            return self._given[start : start + count].astype(np.uint8)
        if self.sampler == "exhaustive":
            numbers = np.arange(start, start + count, dtype=np.uint32)
            return ((numbers[:, None] >> np.arange(self.superpixels, dtype=np.uint32)) & 1).astype(np.uint8)
        portions = [self._pending]
        have = len(self._pending)
        while have < count:
            fresh = self._fresh()
            portions.append(fresh)
            have += len(fresh)
        drawn = np.concatenate(portions)
        self._pending = drawn[count:]
        return drawn[:count]

    def _fresh(self) -> Masks:
        # Always the same portion of the generator, whatever was asked for.
        if not self.paired:
            return self._rng.integers(0, 2, (CHUNK, self.superpixels), dtype=np.uint8)
        half = self._rng.integers(0, 2, (CHUNK // 2, self.superpixels), dtype=np.uint8)
        return np.stack([half, 1 - half], axis=1).reshape(CHUNK, self.superpixels)

    def _check_given(self, masks: NDArray[Any]) -> NDArray[Any]:
        if masks.shape[1] != self.superpixels:
            raise OptionError(
                f"sampler: the mask matrix has {masks.shape[1]} columns and the image {self.superpixels} superpixels; "
                "it needs one column a superpixel: give the label map too, and align_to_regions=False where a claim "
                "has a region."
            )
        return masks


def looks_unchanged(
    pixels: NDArray[np.float32], filled: NDArray[np.float32], segments: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return which superpixels look the same hidden as shown, (d,): no value moves by half of an 8-bit step.

    `pixels` and `filled` are C×H×W, as `fill_image` takes and returns them.
    """
    moved = np.abs(pixels - filled).max(axis=0) > 0.5 / 255
    return np.asarray(np.bincount(segments.ravel(), weights=moved.ravel()) == 0)


def fill_image(pixels: NDArray[np.float32], segments: NDArray[np.int64], fill: Any) -> NDArray[np.float32]:
    """Return the picture that shows through where a superpixel is hidden.

    Parameters
    ----------
    pixels : C×H×W float32 array in [0, 1]
        What the model sees.
    segments : H×W int64 array
        Superpixels 0…d−1.
    fill : ``"segment_mean"``, ``"image_mean"``, or a tuple of one or three floats in [0, 1]
        Mean colour of each superpixel, of the image, or a colour (its luminance, ITU-R 601,
        where the model sees one channel).

    Returns
    -------
    C×H×W float32 array
    """
    channels = pixels.shape[0]
    if fill == "image_mean":
        colours = pixels.mean(axis=(1, 2), dtype=np.float64)[:, None]
    elif fill == "segment_mean":
        flat = segments.ravel()
        area = np.bincount(flat)
        sums = [np.bincount(flat, weights=plane.ravel()) for plane in pixels]
        return np.stack([(total / area)[segments] for total in sums]).astype(np.float32)
    else:
        colour = np.asarray(fill, dtype=np.float64)
        if channels == 1 and len(colour) == 3:
            colour = colour @ [[0.299], [0.587], [0.114]]
        colours = np.broadcast_to(colour, (channels,))[:, None]
    return np.broadcast_to(colours[:, :, None], pixels.shape).astype(np.float32)
