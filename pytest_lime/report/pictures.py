"""The pictures of one check: the photograph and the layers that the page lays over it.

Every layer covers the same field of view as the photograph, whatever its own resolution, so that the page
can stack them as plain images.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.measure import find_contours

from pytest_lime.drawing import MOST_OPAQUE, border_runs, interior_point, legend_colours, opacity, relative, shade
from pytest_lime.records import PICTURE_PATH, write_atomically
from pytest_lime.verdicts import Layer

__all__ = [
    "LONGEST_PHOTO",
    "MOST_OPAQUE",
    "border_path",
    "check_stem",
    "legend_colours",
    "opacity",
    "region_letter",
    "size_within",
    "small_photo",
    "write_pictures",
]

LONGEST_PHOTO = 768
"""Pixels on the longer side of a written photograph."""

PHOTO_SIZES = ((LONGEST_PHOTO, 76), (640, 74), (512, 72), (448, 70), (384, 68))
"""Longer side and quality of a photograph: the first that fits into `PHOTO_BYTES`, or the last."""

PHOTO_BYTES = 20_000

LONGEST_HIDDEN = 240
"""Pixels on the longer side of what the model saw with a part hidden."""

HIDDEN_SIZES = ((LONGEST_HIDDEN, 66), (LONGEST_HIDDEN, 54), (200, 46), (176, 42), (160, 38))
"""Longer side and quality of these: the first that fits into `HIDDEN_BYTES`, or the last."""

HIDDEN_BYTES = 4_000

FINEST = 1024
"""Pixels on the longer side of the masks whose outlines are drawn."""

SMALL_PHOTO = 64
"""Up to this longer side, a picture is enlarged in whole pixels instead of being left to blur."""

ENLARGED = 512
PALETTE = 256
SVG_SIDE = 640
"""The intrinsic longer side of the SVG layers, near the size at which a page shows them."""

_DASHES = ("7 5", "2 5", "14 5", "14 5 2 5")


class _Grid(NamedTuple):
    """The drawing space of the SVG layers: units of the segments' grid, and the size to show it at."""

    height: int
    width: int
    shown_height: float
    shown_width: float

    def badge(self, x: float, y: float, text: str, *, tag: bool = False) -> str:
        """Return a numbered disc at a point, or a square tag with a letter.

        It stays undistorted although the grid's aspect may differ from the photograph's.
        """
        radius = 0.031 * max(self.shown_height, self.shown_width)
        scale_x, scale_y = self.width / self.shown_width, self.height / self.shown_height
        # Near a border of the picture a badge moves inwards, so that its number is never cut off.
        margin_x, margin_y = 1.15 * radius * scale_x, 1.15 * radius * scale_y
        x = min(max(x, margin_x), max(margin_x, self.width - margin_x))
        y = min(max(y, margin_y), max(margin_y, self.height - margin_y))
        size = radius * (1.25 if len(text) == 1 else 1.05)
        fill, ink = ("#fff", "#14171a") if tag else ("#14171a", "#fff")
        place = f'x="{-radius:.4g}" y="{-radius:.4g}" width="{2 * radius:.4g}" height="{2 * radius:.4g}" rx="3"'
        shape = f"<rect {place}" if tag else f'<circle r="{radius:.4g}"'
        return (
            f'<g transform="translate({_short(x)} {_short(y)}) scale({scale_x:.6g} {scale_y:.6g})">'
            f'{shape} fill="{fill}" stroke="{ink}" stroke-width="{radius * 0.16:.3g}"/>'
            f'<text y="{size * 0.36:.3g}" text-anchor="middle" font-size="{size:.4g}" font-weight="700" '
            f'font-family="system-ui, sans-serif" fill="{ink}">{text}</text></g>'
        )


def write_pictures(
    folder: Path,
    stem: str,
    *,
    photo: NDArray[Any],
    segments: NDArray[Any],
    weights: NDArray[Any],
    regions: Sequence[NDArray[Any]],
    top: Sequence[int],
    beside: Layer | None = None,
    hidden: Mapping[str, NDArray[np.float32]] = MappingProxyType({}),
) -> dict[str, str]:
    """Write the pictures of one check and return their paths, relative to ``folder``.

    Parameters
    ----------
    folder
        The report's folder; the files go to ``images/`` in it.
    stem
        What the file names begin with: letters, digits, ``.``, ``_`` and ``-``, the first one a letter or digit.
    photo
        What the model sees, H'×W'×3, floats in [0, 1], at the image file's own resolution.
    segments
        Superpixel labels 0 … d-1, H×W, at the model's resolution.
    weights
        One weight per superpixel, of the target class.
    regions
        Boolean masks of any resolution that cover the same field of view as ``photo``.
    top
        Superpixels to number, strongest first.
    beside
        Another explanation of what the model sees, such as a baseline.
    hidden
        What the model saw with a part of it hidden, C×H×W in [0, 1], by key.

    Returns
    -------
    dict[str, str]
        Paths under ``image``, ``heatmap`` and ``borders``, under ``regions`` if there are any, under ``top`` if any
        superpixel is to be numbered, under ``baseline`` if there is one `beside`, with ``now`` where the scale of both
        is not that of ``heatmap`` and ``baseline_borders`` where its superpixels are others, and under the keys of
        `hidden`.

    Raises
    ------
    ValueError
        The stem cannot be a file name, or an array has the wrong shape.
    """
    check_stem(stem)
    segments = np.asarray(segments)
    photo = np.asarray(photo)
    if photo.ndim != 3 or photo.shape[2] != 3 or segments.ndim != 2 or not photo.size or not segments.size:
        shapes = f"photo.shape={photo.shape}, segments.shape={segments.shape}"
        raise ValueError(f"{shapes}: expected H'×W'×3 and H×W, neither of them empty")
    grid = _grid(segments, photo)
    weights = np.asarray(weights, dtype=np.float64)
    files = {"heatmap": ("heatmap.png", _heatmap(segments, relative(weights)))}
    suffix, data = _photo(photo)
    files["image"] = (f"image.{suffix}", data)
    files["borders"] = ("borders.svg", _borders_svg(grid, segments))
    if len(regions):
        files["regions"] = ("regions.svg", _regions_svg(grid, regions))
    if len(top):
        files["top"] = ("top.svg", _top_svg(grid, segments, top))
    if beside is not None:
        # On the same scale, so that a colour means the same weight in both.
        own, limit = (_largest(*parts) for parts in ((weights,), (weights, beside.weights)))
        files["baseline"] = ("baseline.png", _heatmap(beside.segments, relative(beside.weights, limit)))
        if limit > own:
            files["now"] = ("now.png", _heatmap(segments, relative(weights, limit)))
        if not np.array_equal(beside.segments, segments):
            files["baseline_borders"] = (
                "baseline-borders.svg",
                _borders_svg(_grid(beside.segments, photo), beside.segments),
            )
    aspect = photo.shape[1] / photo.shape[0]
    for key, pixels in hidden.items():
        files[key] = (f"{key}.jpg", _hidden(pixels, aspect))
    paths = {}
    for name, (ending, content) in files.items():
        paths[name] = f"images/{stem}-{ending}"
        write_atomically(folder / paths[name], content)
    return paths


def _largest(*weights: NDArray[np.float64]) -> float:
    """Return the largest absolute value of some weights, the end of a heatmap's scale; 0 where there is none."""
    return max(float(np.abs(np.nan_to_num(one)).max(initial=0.0)) for one in weights)


def check_stem(stem: str) -> None:
    """Refuse a stem that cannot begin the name of a picture.

    Raises
    ------
    ValueError
        It does not start with a letter or digit, or holds something else than these, ``.``, ``_`` and ``-``.
    """
    if not PICTURE_PATH.fullmatch(f"images/{stem}"):
        raise ValueError(
            f"stem={stem!r}: a picture's name starts with a letter or digit, then holds these, '.', '_' and '-'"
        )


def size_within(shape: tuple[int, ...], aspect: float, longest: int) -> tuple[int, int]:
    """Return width and height of an `aspect`, `longest` pixels at most, and no more than a picture of `shape` has.

    >>> size_within((224, 224), 1.5, 320), size_within((224, 224), 0.5, 160), size_within((8, 8), 1.0, 160)
    ((224, 149), (80, 160), (160, 160))
    """
    # A tiny picture is enlarged, as it is where it is shown large.
    side = min(longest, max(shape) * max(1, longest // max(shape)))
    width, height = (side, side / aspect) if aspect >= 1 else (side * aspect, side)
    return max(1, round(width)), max(1, round(height))


def small_photo(pixels: NDArray[np.float32], size: tuple[int, int]) -> Image.Image:
    """Return C×H×W pixels in [0, 1], of one channel or three, as a picture of `size` (width, height)."""
    rows = np.moveaxis(np.broadcast_to(pixels, (3, *pixels.shape[1:])), 0, -1)
    picture = Image.fromarray((np.clip(np.nan_to_num(rows), 0, 1) * 255).round().astype(np.uint8))
    shrinks = size[0] < picture.width or size[1] < picture.height
    return picture.resize(size, Image.Resampling.LANCZOS if shrinks else Image.Resampling.NEAREST)


def _hidden(pixels: NDArray[np.float32], aspect: float) -> bytes:
    data = b""
    for side, quality in HIDDEN_SIZES:
        data = _jpeg(small_photo(pixels, size_within(pixels.shape[1:], aspect, side)), quality)
        if len(data) <= HIDDEN_BYTES:
            break
    return data


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def _photo(photo: NDArray[Any]) -> tuple[str, bytes]:
    pixels = (np.clip(np.nan_to_num(np.asarray(photo, dtype=np.float32)), 0, 1) * 255).round().astype(np.uint8)
    picture = Image.fromarray(pixels)
    longest = max(picture.size)
    if longest <= SMALL_PHOTO:
        buffer = io.BytesIO()
        _enlarge(picture, longest).save(buffer, "PNG", optimize=True)
        return "png", buffer.getvalue()
    data = b""
    for side, quality in PHOTO_SIZES:
        shown = picture.copy()
        shown.thumbnail((side, side), Image.Resampling.LANCZOS)
        data = _jpeg(shown, quality)
        if len(data) <= PHOTO_BYTES:
            break
    return "jpg", data


def _enlarge(picture: Image.Image, longest: int) -> Image.Image:
    factor = max(1, round(ENLARGED / longest))
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def _heatmap(segments: NDArray[Any], strength: NDArray[np.float64]) -> bytes:
    shades, places = np.unique(shade(strength), axis=0, return_inverse=True)
    options: dict[str, Any] = {}
    if len(shades) <= PALETTE:
        # A byte a pixel, and half the file.
        picture = Image.fromarray(places.reshape(-1).astype(np.uint8)[segments])
        picture.putpalette(shades[:, :3].tobytes())
        options = {"transparency": shades[:, 3].tobytes()}
    else:
        picture = Image.fromarray(shade(strength)[segments])
    buffer = io.BytesIO()
    # Twice the usual 224 pixels keeps borders crisp on a dense screen, and flat areas compress well.
    _enlarge(picture, max(picture.size)).save(buffer, "PNG", optimize=True, **options)
    return buffer.getvalue()


def _grid(segments: NDArray[Any], photo: NDArray[Any]) -> _Grid:
    height, width = segments.shape
    scale = SVG_SIDE / max(photo.shape[:2])
    return _Grid(height, width, photo.shape[0] * scale, photo.shape[1] * scale)


def _svg(grid: _Grid, body: str) -> bytes:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {grid.width} {grid.height}" '
        f'width="{grid.shown_width:.6g}" height="{grid.shown_height:.6g}" '
        f'preserveAspectRatio="none">{body}</svg>\n'
    ).encode()


def _strokes(identifier: str, path: str, *strokes: tuple[str, float, float, str]) -> str:
    """Return one path drawn several times, each (colour, width on screen, opacity, dashes) over the last."""
    uses = "".join(
        f'<use href="#{identifier}" stroke="{colour}" stroke-width="{width}" stroke-opacity="{alpha}"'
        + (f' stroke-dasharray="{dashes}"' if dashes else "")
        + "/>"
        for colour, width, alpha, dashes in strokes
    )
    return (
        f'<defs><path id="{identifier}" d="{path}" vector-effect="non-scaling-stroke"/></defs>'
        f'<g fill="none" stroke-linejoin="round" stroke-linecap="butt">{uses}</g>'
    )


def border_path(labels: NDArray[Any]) -> str:
    """Return the borders between different labels as one path of straight runs, joined where they meet."""
    across, down = border_runs(labels)
    runs = [("v", (line, start), (line, stop)) for line, start, stop in across]
    runs += [("h", (start, line), (stop, line)) for line, start, stop in down]
    waiting: dict[tuple[int, int], list[int]] = {}
    for number, (_, *ends) in enumerate(runs):
        for end in ends:
            waiting.setdefault(end, []).append(number)
    left = set(range(len(runs)))
    parts = []
    for number in range(len(runs)):
        here = runs[number][1]
        if number in left:
            parts.append(f"M{here[0]} {here[1]}")
        following: int | None = number
        while following in left:
            left.remove(following)
            way, first, last = runs[following]
            there = last if here == first else first
            parts.append(f"{way}{there[0] - here[0] if way == 'h' else there[1] - here[1]}")
            here = there
            following = next((other for other in waiting[here] if other in left), None)
    return "".join(parts)


def _borders_svg(grid: _Grid, segments: NDArray[Any]) -> bytes:
    path = border_path(segments)
    return _svg(grid, _strokes("b", path, ("#000", 1.8, 0.28, ""), ("#fff", 0.9, 0.75, "")))


def _top_svg(grid: _Grid, segments: NDArray[Any], top: Sequence[int]) -> bytes:
    ranks = np.zeros(segments.shape, dtype=np.intp)
    badges = []
    for rank, label in enumerate(top, start=1):
        mask = segments == label
        if mask.any():
            ranks[mask] = rank
            badges.append(grid.badge(*interior_point(mask), str(rank)))
    outline = border_path(np.pad(ranks, 1))
    strokes = _strokes("t", outline, ("#fff", 3.4, 0.85, ""), ("#14171a", 1.4, 1, ""))
    # The padding that closes outlines at the picture's edge has moved them by one unit.
    return _svg(grid, f'<g transform="translate(-1 -1)">{strokes}</g>' + "".join(reversed(badges)))


def _regions_svg(grid: _Grid, regions: Sequence[NDArray[Any]]) -> bytes:
    body, tags = [], []
    for number, region in enumerate(regions):
        outlines = _outlines(np.asarray(region, dtype=bool), grid)
        if not outlines:
            continue
        path = "".join(_closed_path(points) for points in outlines)
        # A white line under a dark dashed one: one of the two stands out on any photograph.
        dashes = _DASHES[number % len(_DASHES)]
        body.append(_strokes(f"r{number}", path, ("#fff", 5, 0.95, ""), ("#14171a", 2.4, 1, dashes)))
        if len(regions) > 1:
            longest = max(outlines, key=len)
            x, y = longest[np.argmin(longest.sum(axis=1))].tolist()
            tags.append(grid.badge(x, y, region_letter(number), tag=True))
    # No outline goes through a letter.
    return _svg(grid, "".join([*body, *tags]))


def region_letter(number: int) -> str:
    """Return the letter that stands for a region where there are several: A, B, … Z, then 27, 28 and so on."""
    return chr(ord("A") + number) if number < 26 else str(number + 1)


def _outlines(mask: NDArray[np.bool_], grid: _Grid) -> list[NDArray[np.float64]]:
    """Return closed outlines of a mask as k×2 arrays of x, y in the grid's units."""
    step = max(1, math.ceil(max(mask.shape) / FINEST))
    height, width = (length / step for length in mask.shape)
    mask = mask[::step, ::step]
    # Contours cut corners by half a pixel: enlarging a coarse mask keeps its corners square.
    factor = max(1, math.ceil(256 / max(mask.shape)))
    mask = mask.repeat(factor, axis=0).repeat(factor, axis=1)
    scale = np.array([grid.height / (height * factor), grid.width / (width * factor)])
    limits = np.array([grid.height, grid.width])
    # At the picture's edge half of the line would be cut off: keep it whole.
    inset = 2.5 * limits / np.array([grid.shown_height, grid.shown_width])
    outlines = []
    for contour in find_contours(np.pad(mask, 1).astype(np.float64), 0.5):  # type: ignore[no-untyped-call]
        points = _simplified(contour, 0.75)
        if len(points) < 4:
            continue
        # A pixel's centre is half a unit from its edge, and the padding moved everything by one.
        placed = np.clip((points - 0.5) * scale, inset, limits - inset)
        outlines.append(placed[:, ::-1])
    return outlines


def _closed_path(points: NDArray[np.float64]) -> str:
    # The last point of a contour repeats the first one.
    return "M" + "L".join(f"{_short(x)} {_short(y)}" for x, y in points[:-1].tolist()) + "Z"


def _short(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _simplified(points: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
    """Return those of N×2 `points` in a row that are needed to come within `tolerance` of the others.

    D. Douglas and T. Peucker, "Algorithms for the reduction of the number of points", Cartographica 10, 1973, as
    skimage.measure.approximate_polygon does it, with which scipy.signal and three quarters of a second would come.
    """
    kept = np.zeros(len(points), dtype=bool)
    kept[[0, -1]] = True
    waiting = [(0, len(points) - 1)]
    while waiting:
        start, stop = waiting.pop()
        if stop - start < 2:
            continue
        chord, steps = points[stop] - points[start], points[start + 1 : stop] - points[start]
        along = np.clip(steps @ chord / max(float(chord @ chord), 1e-300), 0.0, 1.0)
        away = np.hypot(*(steps - along[:, None] * chord).T)
        if away.max() > tolerance:
            middle = start + 1 + int(away.argmax())
            kept[middle] = True
            waiting += [(start, middle), (middle, stop)]
    return points[kept]
