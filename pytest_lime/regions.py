"""Regions: the areas of an image that claims speak of, in pixels of the image file."""

from __future__ import annotations

import abc
import dataclasses
import functools
import hashlib
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import UnidentifiedImageError
from scipy.ndimage import binary_dilation
from skimage.measure import points_in_poly

from pytest_lime.errors import RegionError, is_for_the_user, one_line
from pytest_lime.images import View

__all__ = [
    "Box",
    "Ellipse",
    "Mask",
    "Polygon",
    "Region",
    "as_region",
    "check_region",
    "is_complement",
    "region_sha256",
    "whole",
]

__tracebackhide__ = is_for_the_user

Bounds = tuple[float, float, float, float]
# Annotation tools round outwards: a border one pixel beyond the image is no mistake.
TOLERANCE = 1.0
# Side of a tile in pixels; one that the outline does not come near is inside or outside as a whole.
TILE = 8
# Tiles that the outline of a polygon may be long to be walked; of a longer one each pixel is asked.
LONGEST = 1e5


class Region(abc.ABC):
    """An area of an image, in pixels of the image file (x to the right, y down, origin top left).

    Regions combine: ``~r`` is all but `r`, ``r | s`` either, ``r & s`` both. The
    coordinates are those of the upright image, before the model's resize and crop.
    """

    @abc.abstractmethod
    def mask(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        """Return the region as a bool array of `size` (height, width)."""

    @abc.abstractmethod
    def bounds(self, size: tuple[int, int]) -> Bounds:
        """Return x0, y0, x1, y1 of what was asked for; it may reach beyond an image of `size`."""

    def check(self, size: tuple[int, int], image: str, *, cut: bool = False) -> None:
        """Raise a `RegionError` where this cannot be meant of an image of `size`, which `image` names.

        Every part of a combination is checked, since a mistaken part under ``~`` or ``|``
        would be lost in the rest. With `cut` another region cuts away what reaches beyond
        the image.
        """
        height, width = size
        x0, y0, x1, y1 = self.bounds(size)
        subject = f"{self!r} on image {image!r}, which is {width}×{height} pixels,"
        outside = x0 < -TOLERANCE or y0 < -TOLERANCE or x1 > width + TOLERANCE or y1 > height + TOLERANCE
        if outside and not cut:
            raise RegionError(
                f"{subject} reaches outside of it (from x={x0:g}, y={y0:g} to x={x1:g}, y={y1:g}): "
                "coordinates are pixels of the image file before the model's resize and crop; "
                "correct them, or cut with `& whole()`."
            )
        if min(x0, y0) >= 0 and max(x1, y1) <= 1 < max(size) and any(end % 1 for end in (x0, y0, x1, y1)):
            raise RegionError(f"{subject} lies in its first pixel: coordinates are pixels, not shares of the image.")
        mask = self.mask(size)
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != size:
            raise RegionError(
                f"{self!r}: its method mask must return a bool array of shape {size}, not {one_line(mask)}."
            )
        if not mask.any():
            raise RegionError(f"{subject} is empty: a region must hold at least one pixel; correct its coordinates.")

    def project(self, view: View) -> NDArray[np.bool_]:
        """Return the region on the pixels that a model sees: those that it covers by half or more.

        A region and its complement share no pixel there.
        """
        return view.project(self.mask(view.size))

    def __invert__(self) -> Region:
        return self.region if isinstance(self, _Not) else _Not(self)

    def __or__(self, other: object) -> Region:
        return _Or(self, other) if isinstance(other, Region) else NotImplemented

    def __and__(self, other: object) -> Region:
        return _And(self, other) if isinstance(other, Region) else NotImplemented


def as_region(value: Any, place: str = "") -> Region:
    """Return `value`, which must be a region; `place` says where it was given.

    Raises
    ------
    RegionError
        It is no region.
    """
    if not isinstance(value, Region):
        where = f"{place}: " if place else ""
        raise RegionError(f"{where}{one_line(value)} is no region; pass Box, Polygon, Ellipse, Mask or whole().")
    return value


def same_region(region: Region, other: Region) -> bool:
    """Whether two regions are known to be the same."""
    # Not by name, since two masks of one size print alike; what a user's own region compares is not known.
    ours = type(region).__module__ == Region.__module__
    return region is other or (ours and type(region) is type(other) and region == other)


def distinct_regions(regions: Iterable[Region]) -> list[Region]:
    """Return each of `regions` once."""
    found: list[Region] = []
    for region in regions:
        if not any(same_region(region, known) for known in found):
            found.append(region)
    return found


def region_sha256(region: Region, size: tuple[int, int]) -> str:
    """Return a hash of what `region` is, with all digits of its coordinates and all pixels of its masks.

    A region of a user's own class is known by its pixels in an image of `size` (height, width).
    """
    return hashlib.sha256(_spelt(region, size).encode("utf-8", "backslashreplace")).hexdigest()


def _spelt(region: Region, size: tuple[int, int]) -> str:
    """Return `region` in a form that tells it from any other."""
    name = type(region).__name__.lstrip("_")
    if isinstance(region, Mask) or type(region).__module__ != Region.__module__:
        inside = region.mask(size)
        held = hashlib.sha256(np.packbits(inside).tobytes()).hexdigest()
        return f"{name}({inside.shape[1]}x{inside.shape[0]} {held})"
    values = [getattr(region, field.name) for field in dataclasses.fields(region)]  # type: ignore[arg-type]
    return f"{name}({', '.join(_spelt(one, size) if isinstance(one, Region) else repr(one) for one in values)})"


def check_region(region: Region, size: tuple[int, int], image: str) -> NDArray[np.bool_]:
    """Return the mask of `region` on an image of `size` (height, width).

    Raises
    ------
    RegionError
        The region reaches outside the image or holds no pixel of it; `image` names it.
    """
    region.check(size, image)
    return region.mask(size)


def is_complement(region: Region) -> bool:
    """Whether `region` was written as ``~r``."""
    return isinstance(region, _Not)


def _finite(shape: str, name: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool | str) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise RegionError(f"{shape}: {name}={one_line(value)} must be a number, in pixels of the image file.")
    return number


@dataclasses.dataclass(frozen=True, repr=False)
class Box(Region):
    """An upright rectangle from (x0, y0) to (x1, y1), in pixels of the image file.

    A pixel belongs to it when its centre does: ``Box(0, 0, 2, 1)`` holds two pixels.

    Raises
    ------
    RegionError
        A coordinate is no number, or x1 ≤ x0, or y1 ≤ y0.
    """

    x0: float
    y0: float
    x1: float
    y1: float

    def __post_init__(self) -> None:
        for name in ("x0", "y0", "x1", "y1"):
            object.__setattr__(self, name, _finite("Box", name, getattr(self, name)))
        if self.x1 <= self.x0 or self.y1 <= self.y0:
            raise RegionError(
                f"{self!r} is empty: it needs x0 < x1 and y0 < y1; the four numbers are two corners "
                "(x0, y0, x1, y1), not a corner with width and height."
            )

    def __repr__(self) -> str:
        return f"Box({self.x0:g}, {self.y0:g}, {self.x1:g}, {self.y1:g})"

    def bounds(self, size: tuple[int, int]) -> Bounds:
        return self.x0, self.y0, self.x1, self.y1

    def mask(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        rows, columns = _centres(size)
        return ((rows >= self.y0) & (rows < self.y1))[:, None] & ((columns >= self.x0) & (columns < self.x1))[None]


@dataclasses.dataclass(frozen=True, repr=False)
class Ellipse(Region):
    """An ellipse with centre (cx, cy) and radii rx, ry, in pixels of the image file.

    Raises
    ------
    RegionError
        A value is no number, or a radius is not greater than 0.
    """

    cx: float
    cy: float
    rx: float
    ry: float

    def __post_init__(self) -> None:
        for name in ("cx", "cy", "rx", "ry"):
            object.__setattr__(self, name, _finite("Ellipse", name, getattr(self, name)))
        if self.rx <= 0 or self.ry <= 0:
            raise RegionError(f"{self!r} is empty: both radii, rx and ry, must be greater than 0.")

    def __repr__(self) -> str:
        return f"Ellipse({self.cx:g}, {self.cy:g}, {self.rx:g}, {self.ry:g})"

    def bounds(self, size: tuple[int, int]) -> Bounds:
        return self.cx - self.rx, self.cy - self.ry, self.cx + self.rx, self.cy + self.ry

    def mask(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        rows, columns = _centres(size)
        down, across = (rows - self.cy) / self.ry, (columns - self.cx) / self.rx
        return down[:, None] ** 2 + across[None] ** 2 <= 1


@dataclasses.dataclass(frozen=True, repr=False)
class Polygon(Region):
    """A polygon through `points`, pairs (x, y) in pixels of the image file; it closes itself.

    Raises
    ------
    RegionError
        There are fewer than three points, a point is no pair of numbers, or the area is 0.
    """

    points: Sequence[tuple[float, float]]

    def __post_init__(self) -> None:
        if not isinstance(self.points, Iterable):
            raise RegionError(f"Polygon({one_line(self.points)}) needs a list of points (x, y).")
        pairs = []
        for index, point in enumerate(self.points):
            pair = tuple(point) if isinstance(point, Iterable) and not isinstance(point, str) else ()
            if len(pair) != 2:
                raise RegionError(f"Polygon: point {index} is {one_line(point)}; every point must be a pair (x, y).")
            pairs.append(
                (_finite("Polygon", f"x of point {index}", pair[0]), _finite("Polygon", f"y of point {index}", pair[1]))
            )
        object.__setattr__(self, "points", tuple(pairs))
        if len(pairs) < 3:
            raise RegionError(f"{self!r} has {len(pairs)} points; a polygon needs at least three.")
        if len({x for x, _ in pairs}) < 2 or len({y for _, y in pairs}) < 2:
            raise RegionError(f"{self!r} is empty: its points lie on one line.")

    def __repr__(self) -> str:
        listed = ", ".join(f"({x:g}, {y:g})" for x, y in self.points[:4])
        more = f", … {len(self.points)} points" if len(self.points) > 4 else ""
        return f"Polygon([{listed}{more}])"

    def bounds(self, size: tuple[int, int]) -> Bounds:
        xs, ys = zip(*self.points, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    def mask(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        return _rasterised(self.points, tuple(size)).copy()


# A check asks for the same polygon several times.
@functools.lru_cache(maxsize=4)
def _rasterised(points: tuple[tuple[float, float], ...], size: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return which pixels have their centre inside or on the outline, as ``skimage.draw.polygon`` does.

    That walks round all corners for each pixel, for seconds on a large photograph. Here an image is parted into tiles,
    and only pixels of those that the outline comes near are asked one by one; any other tile is as its middle is.
    """
    # Pixel (0, 0) has its centre at (½, ½) here, and at (0, 0) below.
    corners = np.array(points, dtype=np.float64) - 0.5
    inside = np.zeros(size, dtype=bool)
    # What the outline's bounds leave of the image.
    bounds = np.clip([corners.min(axis=0), corners.max(axis=0) + 1], 0, size[::-1])
    (left, top), (right, bottom) = np.floor(bounds[0]).astype(int), np.ceil(bounds[1]).astype(int)
    if left < right and top < bottom:
        inside[top:bottom, left:right] = _tiled(corners - (left, top), bottom - top, right - left)
    return inside


def _tiled(corners: NDArray[np.float64], height: int, width: int) -> NDArray[np.bool_]:
    tops, lefts = np.arange(0, height, TILE), np.arange(0, width, TILE)
    middles = np.stack(np.meshgrid(lefts, tops), axis=-1).reshape(-1, 2) + (TILE - 1) / 2
    tiles = _are_inside(middles, corners).reshape(len(tops), len(lefts))
    inside = tiles.repeat(TILE, axis=0).repeat(TILE, axis=1)
    near = np.argwhere(_come_near(corners, tiles.shape))
    rows, columns = (near.T[:, :, None] * TILE + np.indices((TILE, TILE)).reshape(2, 1, -1)).reshape(2, -1)
    inside[rows, columns] = _are_inside(np.stack([columns, rows], axis=-1), corners)
    return inside[:height, :width]


def _are_inside(places: NDArray[Any], corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    # It writes 2 and 3, for corners and outline, into what it returns as bool.
    inside: NDArray[np.bool_] = points_in_poly(places, corners).view(np.uint8) > 0  # type: ignore[no-untyped-call]
    return inside


def _come_near(corners: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return which tiles an outline may go through.

    It is walked round in steps of less than half a tile, so that each tile that it enters has one of the walk's places,
    or a neighbour has.
    """
    ways = np.roll(corners, -1, axis=0) - corners
    lengths = np.hypot(*ways.T) / TILE
    if not lengths.sum() < LONGEST:
        return np.ones(shape, dtype=bool)
    steps = np.ceil(2 * lengths).astype(np.int64) + 1
    edge = np.repeat(np.arange(len(corners)), steps)
    step = np.arange(len(edge)) - np.repeat(np.cumsum(steps) - steps, steps)
    places = corners[edge] + ways[edge] * (step / steps[edge])[:, None]
    # With a border, into which what lies outside is moved.
    columns, rows = (np.clip(places // TILE, -1, np.array(shape)[::-1]) + 1).astype(np.int64).T
    near = np.zeros([count + 2 for count in shape], dtype=bool)
    near[rows, columns] = True
    neighbours: NDArray[np.bool_] = binary_dilation(near, np.ones((3, 3)))
    return neighbours[1:-1, 1:-1]


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Mask(Region):
    """A region given pixel by pixel: an H×W array, or an image file, true where it is not 0.

    Its size must be that of the image file.

    Raises
    ------
    RegionError
        The array is not two-dimensional, or the file cannot be read.
    """

    source: Any

    def __post_init__(self) -> None:
        from_file = isinstance(self.source, str | os.PathLike)
        array = _read_mask(Path(self.source)) if from_file else _as_array(self.source)
        if array.ndim != 2 or array.dtype.kind not in "biuf" or array.size == 0:
            raise RegionError(
                f"Mask: an array of shape {array.shape} and dtype {array.dtype} is no mask; "
                "it must be H×W, true or not 0 inside."
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise RegionError("Mask: the array holds NaN or infinity; it must be 0 outside and not 0 inside.")
        inside = array != 0
        inside.setflags(write=False)
        object.__setattr__(self, "_inside", inside)

    @property
    def inside(self) -> NDArray[np.bool_]:
        """The region as an H×W bool array."""
        inside: NDArray[np.bool_] = self._inside  # type: ignore[attr-defined]  # set above, on a frozen instance
        return inside

    def __repr__(self) -> str:
        if isinstance(self.source, str | os.PathLike):
            return f"Mask({str(self.source)!r})"
        return f"Mask(<array of {self.inside.shape[1]}×{self.inside.shape[0]} pixels>)"

    def bounds(self, size: tuple[int, int]) -> Bounds:
        return 0.0, 0.0, float(self.inside.shape[1]), float(self.inside.shape[0])

    def check(self, size: tuple[int, int], image: str, *, cut: bool = False) -> None:
        if self.inside.shape != size:
            raise RegionError(
                f"{self!r} is {self.inside.shape[1]}×{self.inside.shape[0]} pixels and image {image!r} is "
                f"{size[1]}×{size[0]}: a mask must have the size of the image file, before the model's resize and crop."
            )
        super().check(size, image, cut=cut)

    def mask(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        return self.inside


def _as_array(source: Any) -> NDArray[Any]:
    try:
        return np.asarray(source.detach().cpu() if hasattr(source, "detach") else source)
    except (TypeError, ValueError, RuntimeError):
        raise RegionError(
            f"Mask({one_line(source)}) is no mask; it must be an H×W array or the path of a picture."
        ) from None


def _read_mask(path: Path) -> NDArray[Any]:
    try:
        with PILImage.open(path) as opened:
            if opened.format == "JPEG":
                raise RegionError(f"Mask({str(path)!r}): JPEG blurs the border of a mask; save it as PNG.")
            if opened.mode in ("RGBA", "LA"):
                alpha: NDArray[Any] = np.asarray(opened.getchannel("A"))
                # Where a drawing program left the surroundings transparent, their colour says nothing.
                if alpha.min() < 255:
                    return alpha >= 128
            # An indexed picture is read by its indices: colour 0 is outside.
            if opened.mode in ("1", "L", "P", "I", "F") or opened.mode.startswith("I;16"):
                return np.asarray(opened)
            array: NDArray[Any] = np.asarray(opened.convert("RGB")).max(axis=2)
            return array
    except RegionError:  # a ValueError, too
        raise
    except FileNotFoundError:
        raise RegionError(f"Mask({str(path)!r}): the file does not exist; check the path.") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise RegionError(f"Mask({str(path)!r}): the file is no readable picture ({error}); save it as PNG.") from None


@dataclasses.dataclass(frozen=True, repr=False)
class _Whole(Region):
    def __repr__(self) -> str:
        return "whole()"

    def bounds(self, size: tuple[int, int]) -> Bounds:
        return 0.0, 0.0, float(size[1]), float(size[0])

    def mask(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        return np.ones(size, dtype=bool)


_WHOLE = _Whole()


def whole() -> Region:
    """Return the region that is the whole image; ``r & whole()`` cuts `r` at the image's border.

    >>> ~whole(), Box(0, 0, 4, 4) & whole()
    (~whole(), Box(0, 0, 4, 4) & whole())
    """
    return _WHOLE


@dataclasses.dataclass(frozen=True, repr=False)
class _Not(Region):
    region: Region

    def __repr__(self) -> str:
        return f"~{_nested(self.region)}"

    def bounds(self, size: tuple[int, int]) -> Bounds:
        return 0.0, 0.0, float(size[1]), float(size[0])

    def check(self, size: tuple[int, int], image: str, *, cut: bool = False) -> None:
        self.region.check(size, image, cut=cut)
        super().check(size, image, cut=cut)

    def mask(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        return ~self.region.mask(size)

    def project(self, view: View) -> NDArray[np.bool_]:
        return _WHOLE.project(view) & ~self.region.project(view)


@dataclasses.dataclass(frozen=True, repr=False)
class _Or(Region):
    first: Region
    second: Region

    def __repr__(self) -> str:
        return f"{_nested(self.first, _Or)} | {_nested(self.second, _Or)}"

    def bounds(self, size: tuple[int, int]) -> Bounds:
        a, b = self.first.bounds(size), self.second.bounds(size)
        return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])

    def check(self, size: tuple[int, int], image: str, *, cut: bool = False) -> None:
        self.first.check(size, image, cut=cut)
        self.second.check(size, image, cut=cut)

    def mask(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        return self.first.mask(size) | self.second.mask(size)

    def project(self, view: View) -> NDArray[np.bool_]:
        # Two parts may cover by half together what neither covers alone.
        return super().project(view) | self.first.project(view) | self.second.project(view)


@dataclasses.dataclass(frozen=True, repr=False)
class _And(Region):
    first: Region
    second: Region

    def __repr__(self) -> str:
        return f"{_nested(self.first, _And)} & {_nested(self.second, _And)}"

    def bounds(self, size: tuple[int, int]) -> Bounds:
        a, b = self.first.bounds(size), self.second.bounds(size)
        return max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])

    def check(self, size: tuple[int, int], image: str, *, cut: bool = False) -> None:
        self.first.check(size, image, cut=True)
        self.second.check(size, image, cut=True)
        super().check(size, image, cut=cut)

    def mask(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        return self.first.mask(size) & self.second.mask(size)

    def project(self, view: View) -> NDArray[np.bool_]:
        return super().project(view) & self.first.project(view) & self.second.project(view)


def _nested(region: Region, *same: type[Region]) -> str:
    return f"({region!r})" if isinstance(region, _Or | _And) and not isinstance(region, same) else repr(region)


def _centres(size: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.arange(size[0], dtype=np.float64) + 0.5, np.arange(size[1], dtype=np.float64) + 0.5
