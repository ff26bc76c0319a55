"""From an image file to the pixels that a model sees: resize, then crop or pad, and nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_lime.errors import OptionError, is_for_the_user, one_line
from pytest_lime.images import RESAMPLING, Image, View, resize_pixels
from pytest_lime.models.protocol import check_choice

__all__ = ["Placement", "Preparation", "ResizeAndCrop", "check_interpolation", "check_resize", "shorter_side"]

__tracebackhide__ = is_for_the_user


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where the pixels of one image come to lie in what a model sees.

    Attributes
    ----------
    resized : (height, width)
        Of the whole image after the resize.
    offset : (top, left)
        Of what is cut out of that, in its pixels; negative where it is padded.
    shape : (height, width)
        Of what the model sees.
    """

    resized: tuple[int, int]
    offset: tuple[int, int]
    shape: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class ResizeAndCrop:
    """The placement of torchvision's ``Resize`` and ``CenterCrop``.

    Attributes
    ----------
    resize : int or None
        The shorter side after the resize; None squeezes the whole image to `size`.
    size : (height, width)
        What is cut out of the centre.
    """

    size: tuple[int, int]
    resize: int | None = None

    def __call__(self, size: tuple[int, int]) -> Placement:
        """Return the placement of an image of `size` (height, width)."""
        if self.resize is None:
            return Placement(self.size, (0, 0), self.size)
        rows, columns = shorter_side(size, self.resize)
        offset = round((rows - self.size[0]) / 2), round((columns - self.size[1]) / 2)
        return Placement((rows, columns), offset, self.size)


@dataclasses.dataclass(frozen=True)
class Preparation:
    """What the `prepare` and `view` of an adapter do, where it is known how images are placed.

    Attributes
    ----------
    place : callable
        From an image's (height, width) to its `Placement`.
    interpolation : str
        Of the resize, antialiased.
    channels : 1 or 3
    fill : tuple of one float, or one a channel
        What lies beyond the image, in [0, 1].
    """

    place: Callable[[tuple[int, int]], Placement]
    interpolation: str = "bilinear"
    channels: int = 3
    fill: tuple[float, ...] = (0.0,)

    def prepare(self, image: Image) -> NDArray[np.float32]:
        """Return `image` resized, cropped, padded and with the model's number of channels, C×H×W."""
        placement = self.place(image.size)
        pixels = _gray(image.pixels) if self.channels == 1 else image.pixels
        pixels = resize_pixels(pixels, placement.resized, interpolation=self.interpolation)
        (top, left), (height, width) = placement.offset, placement.shape
        cut = pixels[max(0, top) : top + height, max(0, left) : left + width]
        if cut.shape[:2] != (height, width):
            padded = np.empty((height, width, self.channels), dtype=np.float32)
            padded[:] = self.fill
            above, before = max(0, -top), max(0, -left)
            padded[above : above + cut.shape[0], before : before + cut.shape[1]] = cut
            cut = padded
        return np.ascontiguousarray(np.moveaxis(cut, -1, 0))

    def view(self, size: tuple[int, int]) -> View:
        """Return which part of an image of `size` (height, width) the model sees."""
        placement = self.place(size)
        (top, left), (height, width) = placement.offset, placement.shape
        down, across = size[0] / placement.resized[0], size[1] / placement.resized[1]
        box = (left * across, top * down, (left + width) * across, (top + height) * down)
        return View(size=size, box=box, shape=placement.shape)


def shorter_side(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return `size` (height, width) scaled so that its shorter side is `side`, cut off to whole pixels."""
    rows, columns = (max(side, int(side * length / min(size))) for length in size)
    return rows, columns


def check_interpolation(interpolation: Any) -> str:
    """Return `interpolation` if it is the name of a filter.

    Raises
    ------
    OptionError
        It is none.
    """
    return check_choice("interpolation", interpolation, RESAMPLING)


def check_resize(resize: Any, size: tuple[int, int]) -> int | None:
    """Return `resize`, the shorter side that `size` is cut out of, or None.

    Raises
    ------
    OptionError
        It is no whole number, or `size` does not fit in.
    """
    if resize is None:
        return None
    if isinstance(resize, bool) or not hasattr(resize, "__index__") or resize < max(size):
        raise OptionError(
            f"resize={one_line(resize)} must be a whole number of at least {max(size)}: size={size} is cut out of it."
        )
    return int(resize.__index__())


def _gray(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    # Gray images come as three equal channels; their luminance must not be off by rounding.
    if (pixels == pixels[:, :, :1]).all():
        return pixels[:, :, :1]
    return np.asarray(pixels @ np.array([[0.299], [0.587], [0.114]], dtype=np.float32))
