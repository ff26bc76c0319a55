"""Images: every kind that a user may hold, read into one form, and what a model sees of it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import ImageOps, JpegImagePlugin, PngImagePlugin, UnidentifiedImageError  # noqa: F401  (decoders)

from pytest_lime.errors import ImageError, ModelError, is_for_the_user, one_line

__all__ = ["Image", "View", "load_image", "name_of", "resize_pixels"]

__tracebackhide__ = is_for_the_user

KINDS = "a path, a PIL image, an H×W or H×W×C array (C = 1, 3 or 4), or a C×H×W tensor"


@dataclasses.dataclass(frozen=True, eq=False)
class Image:
    """An image in one form, whatever it came as.

    Attributes
    ----------
    pixels : H×W×3 float32 array
        Red, green and blue in [0, 1]. Gray is repeated; an alpha channel is laid over
        white; a photograph is turned upright by its EXIF orientation.
    name : str
        The file's name, or words for what was given.
    """

    pixels: NDArray[np.float32]
    name: str

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @functools.cached_property
    def sha256(self) -> str:
        """Hash of the pixels and their shape, as hexadecimal digits."""
        digest = hashlib.sha256(repr(self.pixels.shape).encode())
        digest.update(np.ascontiguousarray(self.pixels).data)
        return digest.hexdigest()

    @property
    def facts(self) -> dict[str, Any]:
        """What records and baselines say of it, as JSON values."""
        height, width = self.size
        return {"name": self.name, "width": width, "height": height, "sha256": self.sha256}


def name_of(source: Any) -> str:
    """Return what `load_image` calls `source`, without reading it."""
    if isinstance(source, Image):
        return source.name
    if isinstance(source, str | os.PathLike):
        # A name of bytes that are no UTF-8 could neither be printed nor stored.
        return Path(source).name.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(source, PILImage.Image):
        return Path(getattr(source, "filename", "") or "PIL image").name
    return "tensor" if hasattr(source, "detach") else "array"


def load_image(source: Any) -> Image:
    """Read `source`, any image kind, into an `Image`.

    Parameters
    ----------
    source : path, PIL image, array or tensor
        A path (``str`` or ``os.PathLike``); a PIL image; an H×W or H×W×C array
        (C = 1, 3 or 4) of bool, uint8, uint16, or float in [0, 1]; a C×H×W tensor of
        uint8 or float in [0, 1].

    Raises
    ------
    ImageError
        The file is missing or no image, or the values or the shape are not as above.
    """
    if isinstance(source, Image):
        return source
    if isinstance(source, str | os.PathLike):
        return _read_file(source)
    if isinstance(source, PILImage.Image):
        name = name_of(source)
        try:
            pil_array = _pil_array(source)
        except ImageError:
            raise
        except (OSError, SyntaxError, ValueError) as error:  # Pillow reads and converts only now
            raise ImageError(f"image {name!r} cannot be read ({error}); convert it to RGB.") from None
        return Image(_to_rgb(pil_array, name), name)
    if hasattr(source, "detach"):
        tensor = source.detach().cpu()
        # NumPy has no bfloat16; float32 holds it, and half precision, exactly.
        array = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
        if array.ndim != 3 or array.shape[0] not in (1, 3, 4):
            raise ImageError(
                f"the image tensor has shape {tuple(array.shape)}; a tensor must be C×H×W with C = 1, 3 or 4; "
                "for a batch, pass one image of it."
            )
        return Image(_to_rgb(np.moveaxis(array, 0, -1), "tensor"), "tensor")
    if isinstance(source, np.ndarray):
        return Image(_to_rgb(source, "array"), "array")
    raise ImageError(f"{one_line(source)} is no image; pass {KINDS}.")


def _read_file(source: str | os.PathLike[str]) -> Image:
    path = Path(source)
    try:
        with PILImage.open(path) as opened:
            array = _pil_array(opened)
    except FileNotFoundError:
        if "://" in str(source):
            raise ImageError(
                f"image {str(source)!r} is an address; nothing is fetched: give the path of a file."
            ) from None
        looked = ""
        with contextlib.suppress(OSError):  # the working folder itself may be gone
            looked = f" (looked in {str(Path.cwd())!r})"
        raise ImageError(
            f"image {str(path)!r} does not exist{looked}; check the name, "
            "or build the path from the test's own folder with Path(__file__).parent."
        ) from None
    except IsADirectoryError:
        raise ImageError(f"image {str(path)!r} is a folder; pass the path of one image file.") from None
    except UnidentifiedImageError:
        raise ImageError(f"image {str(path)!r} is in no format that Pillow reads; save it as PNG or JPEG.") from None
    except (OSError, SyntaxError, ValueError, PILImage.DecompressionBombError) as error:
        raise ImageError(f"image {str(path)!r} cannot be read ({error}); save it anew as PNG or JPEG.") from None
    name = name_of(path)
    return Image(_to_rgb(array, name), name)


def _pil_array(opened: PILImage.Image) -> NDArray[Any]:
    upright = ImageOps.exif_transpose(opened)
    if upright.mode in ("I;16", "I;16B", "I;16L", "I;16N"):
        return np.asarray(upright).astype(np.uint16)
    if upright.mode == "I":
        array = np.asarray(upright)
        if array.min() < 0 or array.max() > 65535:
            raise ImageError("the image holds 32-bit integers outside 0…65535; convert it to 8 or 16 bits.")
        return array.astype(np.uint16)
    if upright.mode == "F":
        return np.asarray(upright)
    # A picture without an alpha channel may still declare one colour transparent.
    transparent = upright.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in upright.info
    if upright.mode in ("L", "RGB", "RGBA") and (upright.mode == "RGBA" or not transparent):
        return np.asarray(upright)
    return np.asarray(upright.convert("RGBA" if transparent else "RGB"))


def _to_rgb(array: NDArray[Any], name: str) -> NDArray[np.float32]:
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        hint = ""
        if array.ndim == 3 and array.shape[0] in (1, 3, 4):
            hint = "; it looks like C×H×W: use np.moveaxis(image, 0, -1)"
        raise ImageError(
            f"image {name!r} has shape {tuple(array.shape)}; it must be H×W or H×W×C with C = 1, 3 or 4{hint}."
        )
    if 0 in array.shape:
        raise ImageError(f"image {name!r} has no pixels (shape {tuple(array.shape)}).")
    values = _to_unit(array, name)
    if values.shape[2] == 4:
        alpha = values[:, :, 3:]
        values = values[:, :, :3] * alpha + (1 - alpha)
    return np.ascontiguousarray(np.broadcast_to(values, (*values.shape[:2], 3)), dtype=np.float32)


def _to_unit(array: NDArray[Any], name: str) -> NDArray[np.float32]:
    if array.dtype == np.bool_:
        return array.astype(np.float32)
    if array.dtype in (np.uint8, np.uint16):
        return array.astype(np.float32) / np.float32(np.iinfo(array.dtype).max)
    if array.dtype.kind != "f":
        raise ImageError(
            f"image {name!r} has dtype {array.dtype}; it must be bool, uint8, uint16, or float in [0, 1]: "
            "convert with .astype('uint8') when its values are 0…255."
        )
    if not np.isfinite(array).all():
        raise ImageError(f"image {name!r} holds NaN or infinity; every pixel must be a number in [0, 1].")
    low, high = float(array.min()), float(array.max())
    # Resizing in float may overshoot by rounding only; anything more is another unit.
    if low < -1e-5 or high > 1 + 1e-5:
        raise ImageError(
            f"image {name!r} has float values from {low:.4g} to {high:.4g}; floats must lie in [0, 1]: "
            "divide by 255, or undo the normalisation (the model's mean and std do it again)."
        )
    unit: NDArray[np.float32] = np.clip(array, 0, 1).astype(np.float32)
    return unit


RESAMPLING = {
    "nearest": PILImage.Resampling.NEAREST,
    "box": PILImage.Resampling.BOX,
    "bilinear": PILImage.Resampling.BILINEAR,
    "bicubic": PILImage.Resampling.BICUBIC,
    "lanczos": PILImage.Resampling.LANCZOS,
}


def resize_pixels(
    pixels: NDArray[np.float32],
    size: tuple[int, int],
    *,
    interpolation: str = "bilinear",
    box: tuple[float, float, float, float] | None = None,
) -> NDArray[np.float32]:
    """Resize an H×W or H×W×C float array to `size` (height, width), antialiased, in float32.

    `box` (x0, y0, x1, y1) in pixels is the part that is resized; it lies in the array.
    """
    height, width = size
    if box is None and pixels.shape[:2] == (height, width):
        return pixels
    planes = pixels[:, :, None] if pixels.ndim == 2 else pixels
    resized = [
        np.asarray(PILImage.fromarray(plane).resize((width, height), RESAMPLING[interpolation], box=box))
        for plane in np.ascontiguousarray(np.moveaxis(planes, -1, 0), dtype=np.float32)
    ]
    # Bicubic and Lanczos ring beyond the range of their input.
    stacked = np.clip(np.stack(resized, axis=-1), 0, 1)
    resized_pixels: NDArray[np.float32] = stacked[:, :, 0] if pixels.ndim == 2 else stacked
    return resized_pixels


@dataclasses.dataclass(frozen=True)
class View:
    """Which part of the image file the model sees, and at which size.

    Attributes
    ----------
    size : (height, width)
        Of the image file, in pixels.
    box : (x0, y0, x1, y1)
        The part of the file that the model sees, in pixels of the file; it reaches
        beyond the file where `Model.prepare` pads.
    shape : (height, width)
        Of what the model sees.
    """

    size: tuple[int, int]
    box: tuple[float, float, float, float]
    shape: tuple[int, int]

    @property
    def facts(self) -> dict[str, Any]:
        """What records and baselines say of it, as JSON values."""
        return {"box": [float(end) for end in self.box], "shape": [int(length) for length in self.shape]}

    @classmethod
    def measure(cls, prepare: Callable[[Image], NDArray[np.float32]], size: tuple[int, int]) -> View:
        """Find what `prepare` does to images of `size` by preparing one whose colours are its coordinates.

        Any model can so be asked, whichever library resizes and crops for it, and regions
        follow the image exactly.

        Raises
        ------
        ModelError
            `prepare` does more than resize, crop and pad.
        """
        height, width = size
        ramp = np.empty((height, width, 3), dtype=np.float32)
        ramp[:, :, 0] = (np.arange(width) + 0.5) / width
        ramp[:, :, 1] = ((np.arange(height) + 0.5) / height)[:, None]
        ramp[:, :, 2] = 1
        # A model with one channel sees only the luminance, so x and y are asked one at a time.
        across = _one_plane(prepare(Image(np.repeat(ramp[:, :, :1], 3, axis=2), "probe")))
        down = _one_plane(prepare(Image(np.repeat(ramp[:, :, 1:2], 3, axis=2), "probe")))
        # Padding, of whatever colour, is what does not change from white to black.
        white = _one_plane(prepare(Image(np.repeat(ramp[:, :, 2:], 3, axis=2), "probe")))
        black = _one_plane(prepare(Image(np.zeros_like(ramp), "probe")))
        inside = white - black > 0.999
        x0, x1 = _fit_axis(across, inside, width, axis=1)
        y0, y1 = _fit_axis(down, inside, height, axis=0)
        return cls(size=size, box=(x0, y0, x1, y1), shape=(across.shape[0], across.shape[1]))

    def project(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Carry a mask of the image file to the pixels that the model sees.

        Parameters
        ----------
        mask : H×W bool array
            Of the image file's size.

        Returns
        -------
        bool array of `shape`
            True where the mask covers at least half of the pixel's area.
        """
        return self.coverage(mask) >= 0.5

    def coverage(self, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return the share of each pixel's area, of what the model sees, that `mask` covers."""
        padded, (left, top) = self.window(mask.astype(np.float32), 0.0)
        x0, y0, x1, y1 = self.box
        box = (x0 - left, y0 - top, x1 - left, y1 - top)
        return resize_pixels(padded, self.shape, interpolation="box", box=box)

    def photo(self, pixels: NDArray[np.float32], longest: int = 1024, beyond: float = 1.0) -> NDArray[np.float32]:
        """Return what the model sees at the image file's own resolution, `longest` pixels at most.

        Pixels beyond the image file hold `beyond`.
        """
        padded, (left, top) = self.window(pixels, beyond)
        x0, y0, x1, y1 = self.box
        scale = min(1.0, longest / max(x1 - x0, y1 - y0))
        size = (max(1, round((y1 - y0) * scale)), max(1, round((x1 - x0) * scale)))
        box = (x0 - left, y0 - top, x1 - left, y1 - top)
        return resize_pixels(padded, size, interpolation="bilinear", box=box)

    def outline(self, mask: NDArray[np.bool_], longest: int = 1024) -> NDArray[np.bool_]:
        """Return `mask` of the image file on the pixels of `photo`."""
        return self.photo(mask.astype(np.float32), longest, beyond=0.0) >= 0.5

    def window(self, array: NDArray[np.float32], beyond: float) -> tuple[NDArray[np.float32], tuple[int, int]]:
        """Return the whole pixels of `array` that `box` touches, and the place (x, y) of the first.

        Pixels beyond the image file hold `beyond`.
        """
        x0, y0, x1, y1 = self.box
        left, top = int(np.floor(x0)), int(np.floor(y0))
        right, bottom = int(np.ceil(x1)), int(np.ceil(y1))
        height, width = self.size
        margins = [(max(0, -top), max(0, bottom - height)), (max(0, -left), max(0, right - width))]
        inner = array[max(0, top) : min(height, bottom), max(0, left) : min(width, right)]
        return np.pad(inner, margins + [(0, 0)] * (array.ndim - 2), constant_values=beyond), (left, top)


def _one_plane(prepared: NDArray[np.float32]) -> NDArray[np.float64]:
    plane: NDArray[np.float64] = np.asarray(prepared, dtype=np.float64).mean(axis=0)
    return plane


def _fit_axis(plane: NDArray[np.float64], inside: NDArray[np.bool_], length: int, axis: int) -> tuple[float, float]:
    """Fit a line through the coordinate that each row or column came from, and return its two ends."""
    pixels = plane.shape[axis]
    if length == 1 or pixels == 1:
        # One pixel has no slope; what is seen of it, or of the axis, is the whole.
        return 0.0, float(length)
    counts = inside.sum(axis=1 - axis)
    kept = counts > 0
    if kept.sum() < 2:
        raise ModelError("model.prepare leaves nothing of a white image; it may only resize, crop and pad.")
    positions = (np.flatnonzero(kept) + 0.5) / pixels
    coordinates = (plane * inside).sum(axis=1 - axis)[kept] / counts[kept] * length
    # Filters are cut off at the border of the image, which bends the ends of the line a little.
    central = np.zeros(len(positions), dtype=bool)
    central[len(positions) // 8 : len(positions) - len(positions) // 8] = True
    # Where a few pixels are enlarged, the ends are flat: the outermost centres, repeated.
    moving = central & (coordinates > coordinates.min() + 1e-6) & (coordinates < coordinates.max() - 1e-6)
    if moving.any() and np.ptp(coordinates[moving]) > 1e-6:
        central = moving
    slope, start = np.polyfit(positions[central], coordinates[central], 1)
    error = np.abs(start + slope * positions[central] - coordinates[central]).max()
    spread = np.abs(
        plane
        - (plane * inside).sum(axis=1 - axis, keepdims=True)
        / np.maximum(counts, 1).reshape((-1, 1) if axis == 0 else (1, -1))
    )[inside].max()
    if slope <= 0 or error > max(1.0, 0.02 * length) or spread > 0.02:
        raise ModelError(
            "model.prepare moves pixels in a way that regions cannot follow; it may only resize, crop and pad, "
            "and everything else (normalisation, colour) belongs in predict."
        )
    ends = np.array([start, start + slope])
    # Rounding of eight-bit pipelines moves the ends by a fraction of a pixel; whole images stay whole.
    snapped = np.where(np.abs(ends - np.round(ends)) < 0.02, np.round(ends), ends)
    return float(snapped[0]), float(snapped[1])
