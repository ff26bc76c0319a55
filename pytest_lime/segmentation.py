"""Superpixels: cutting what the model sees into pieces that are shown or hidden whole."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2gray
from skimage.filters import sobel
from skimage.segmentation import felzenszwalb, quickshift, slic, watershed
from skimage.util import regular_grid

from pytest_lime.errors import OptionError, SegmentationError, is_for_the_user, nearest, one_line
from pytest_lime.images import View, resize_pixels
from pytest_lime.options import MOST_SUPERPIXELS

__all__ = ["align", "grid", "relabel", "segment"]

__tracebackhide__ = is_for_the_user

Labels = NDArray[np.int64]
# A piece that a region's border cuts off and that is smaller than this share of an
# average superpixel joins its neighbour: alone it would only add noise.
SLIVER = 0.1
# The search for as many superpixels as asked for ends this near to them, or after so many runs.
NEAR = 0.05
MOST_RUNS = 6
# A larger picture is reduced for it: half a second a run is what felzenszwalb takes for so many pixels …
MOST_PIXELS = 512**2
# … and quickshift, which compares each pixel with a window, for this square of the pixels over the superpixels.
QUICKSHIFT_WORK = 1e8
# What scikit-image's functions take and users do not set: our own input, and forms of the result.
OURS = {"image", "channel_axis", "start_label", "return_tree"}


def segment(
    pixels: NDArray[np.floating[Any]],
    *,
    segmenter: Any,
    segments: int,
    parameters: Mapping[str, Any],
    seed: int,
    view: View,
    regions: Sequence[NDArray[np.bool_]] = (),
) -> Labels:
    """Cut `pixels` into superpixels numbered 0…d−1.

    Parameters
    ----------
    pixels : H×W×C float array in [0, 1]
        What the model sees. scikit-image computes in its precision (float32 or float64).
    segmenter : ``"slic"``, ``"quickshift"``, ``"felzenszwalb"``, ``"watershed"``, ``"grid"``, label map or function
        A label map of the image file's size is carried to the model's size; any integers
        do, negative ones too, and a bool map is two superpixels. A function is called with a
        copy of `pixels`, H×W×3 (one channel is repeated), and `parameters`, and returns an H×W label map.
    segments : int
        About how many superpixels. SLIC, quickshift and felzenszwalb are run up to six times
        until the number is within 5 %, and the nearest is kept, on a picture reduced to 512² pixels (266² for 50
        superpixels of quickshift) where it is larger. Watershed starts from the centres of a grid.
    parameters : mapping
        Of scikit-image's function, of ``"grid"`` (``rows``, ``columns``), or of the user's own
        function. ``n_segments``, ``kernel_size``, ``scale`` or ``markers`` decides the number in place of `segments`.
    seed : int
        Seed of quickshift, unless `parameters` has an ``rng``. The others draw nothing.
    view : View
        How the image file became `pixels`.
    regions : sequence of H×W bool arrays
        Superpixels are split along the borders of these.

    Returns
    -------
    H×W int64 array

    Raises
    ------
    OptionError
        There is no such parameter, its value is negative, not finite or below its least, or scikit-image refuses it.
    SegmentationError
        There is one superpixel only, there are more than 1,000, the label map has another
        size than the image, or a function returns no label map.

    Notes
    -----
    SLIC: Achanta et al., IEEE TPAMI 34(11), 2012. Quickshift: Vedaldi and Soatto, ECCV 2008.
    Felzenszwalb and Huttenlocher, IJCV 59(2), 2004. Compact watershed: Neubert and
    Protzel, ICPR 2014, here on the Sobel edges of the luminance.
    """
    shape = (pixels.shape[0], pixels.shape[1])
    labels: NDArray[Any]
    if callable(segmenter):
        labels = _called(segmenter, pixels, parameters)
        remedy = f"let the function return 2 to {MOST_SUPERPIXELS:,} labels"
    elif not isinstance(segmenter, str):
        _check_parameters("a label map", parameters, ())
        labels = _label_map(np.asarray(segmenter), view)
        remedy = f"give a label map with 2 to {MOST_SUPERPIXELS:,} labels"
    elif segmenter == "grid":
        _check_parameters("segmenter='grid'", parameters, ("rows", "columns"))
        labels = grid(shape, segments, **parameters)
        remedy = "choose another number of segments, or of rows and columns in segmenter_parameters"
    else:
        labels = _cut(segmenter, _colour(pixels), segments, parameters, seed)
        steered = ALGORITHMS[segmenter].steered
        remedy = (
            f"choose segmenter='grid', or another {steered} in segmenter_parameters"
            if steered in parameters
            else "choose segmenter='grid', or another number of segments"
            + (", or other segmenter_parameters" if parameters else "")
        )
    labels = relabel(labels)
    # Before the split too, which takes memory for every pair of superpixels.
    _check_most(labels, remedy)
    labels = align(labels, regions)
    if not labels.any():
        raise SegmentationError(
            f"the image of {shape[1]}×{shape[0]} pixels has one superpixel only and needs at least two; "
            f"{remedy if labels.size > 1 else 'let the model see a larger image'}."
        )
    _check_most(labels, remedy)
    return labels


def _check_most(labels: Labels, remedy: str) -> None:
    count = int(labels.max()) + 1
    if count > MOST_SUPERPIXELS:
        raise SegmentationError(
            f"the image has {count:,} superpixels; at most {MOST_SUPERPIXELS:,} can be explained; {remedy}."
        )


def _check_parameters(whose: str, parameters: Mapping[str, Any], known: Iterable[str]) -> None:
    known = tuple(known)
    for name in parameters:
        if name not in known:
            listed = f"the parameters are {', '.join(known)}" if known else "leave segmenter_parameters out"
            raise OptionError(
                f"segmenter_parameters: {whose} has no parameter {name!r}{nearest(name, known)}; {listed}."
            )


def _check_numbers(algorithm: Algorithm, parameters: Mapping[str, Any]) -> None:
    """Check that numbers are finite, and not below the least of their parameter: none is negative."""
    for name, value in parameters.items():
        try:
            numbers = np.asarray(value)
        except (TypeError, ValueError, RuntimeError):  # ragged lists; tensors on a GPU or with a gradient
            raise OptionError(
                f"segmenter_parameters: {name}={one_line(value)} must be a number, or an array of numbers."
            ) from None
        least = algorithm.least if name == algorithm.steered else 0
        # Pictures, such as markers, are labels of any kind.
        if numbers.ndim > 1 or numbers.dtype.kind not in "iuf":
            continue
        if not (np.isfinite(numbers) & (numbers >= least)).all():
            raise OptionError(
                f"segmenter_parameters: {name}={one_line(value)} must be a finite number of at least {least:g}."
            )


@dataclasses.dataclass(frozen=True)
class Algorithm:
    """A function of scikit-image, and how it is brought to a number of superpixels.

    Attributes
    ----------
    function : callable
        Of scikit-image; returns H×W labels.
    steered : str
        The parameter that decides how many superpixels there are.
    settings : callable
        From a shape (height, width) and a number of superpixels to our parameters.
    power : float
        The number of superpixels grows about as `steered` to this power; 0 when
        the first value is as good as any.
    least : float
        The smallest value of `steered`.
    most : callable
        From a number of superpixels to the pixels that the search can afford.
    sees : callable
        From an H×W×3 image to what `function` takes.
    alike : callable
        From a shape and a value of `steered` to what is the same for values that give the same superpixels.
    """

    function: Callable[..., NDArray[Any]]
    steered: str
    settings: Callable[[tuple[int, int], int], dict[str, Any]]
    power: float
    least: float = 0
    most: Callable[[int], float] = lambda segments: MOST_PIXELS
    sees: Callable[[NDArray[Any]], NDArray[Any]] = lambda pixels: pixels
    alike: Callable[[tuple[int, int], Any], Hashable] = lambda shape, value: value

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters that are the user's to set."""
        return tuple(name for name in inspect.signature(self.function).parameters if name not in OURS)


def _seeds(shape: tuple[int, int], segments: int) -> Labels:
    """Return the centres of a grid's cells, numbered from 1 in an image of zeros.

    scikit-image's own, for a number of markers, are always as many in rows as in columns.
    """
    cells = grid(shape, segments)
    centres = []
    for line in (cells[:, 0], cells[0]):
        starts = np.unique(line, return_index=True)[1]
        centres.append((starts + np.append(starts[1:], len(line))) // 2)
    seeds = np.zeros(shape, dtype=np.int64)
    seeds[np.ix_(*centres)] = cells[np.ix_(*centres)] + 1
    return seeds


def _first_centres(shape: tuple[int, int], segments: int) -> Hashable:
    """Return what tells the grid of SLIC's first centres from others: all that it makes of their number.

    Few differ: 43 to 57 superpixels of a square picture begin with 7×7.
    """
    lines = regular_grid((1, *shape), segments)  # type: ignore[no-untyped-call]
    return tuple((line.start, line.step) for line in lines)


ALGORITHMS = {
    # Compactness 10 suits CIELAB, in which SLIC measures colours.
    "slic": Algorithm(
        slic,
        "n_segments",
        lambda shape, segments: {"n_segments": segments, "compactness": 10, "sigma": 1, "start_label": 0},
        power=1,
        least=1,
        alike=_first_centres,
    ),
    # A max_dist this long ties everything within reach together, so that the kernel alone decides.
    "quickshift": Algorithm(
        quickshift,
        "kernel_size",
        lambda shape, segments: {
            "kernel_size": max(1.0, math.sqrt(math.prod(shape) / segments) / 10),
            "max_dist": 200,
            "ratio": 0.2,
        },
        power=-2,
        least=1,
        most=lambda segments: math.sqrt(QUICKSHIFT_WORK * segments),
    ),
    "felzenszwalb": Algorithm(
        felzenszwalb,
        "scale",
        lambda shape, segments: {
            "scale": 0.4 * math.prod(shape) / segments,
            "sigma": 0.8,
            # A fifth of an average superpixel. With scikit-image's 20 pixels a photograph becomes specks round
            # one superpixel that is nearly all of it.
            "min_size": max(1, math.prod(shape) // (5 * segments)),
        },
        power=-1,
        # In a flat image no scale but 0 parts anything, and 0 parts every pixel.
        least=1e-3,
    ),
    "watershed": Algorithm(
        watershed,
        "markers",
        lambda shape, segments: {"markers": _seeds(shape, segments), "compactness": 1e-3},
        power=0,
        least=1,
        sees=lambda pixels: sobel(rgb2gray(pixels)),  # type: ignore[no-untyped-call]
    ),
}


def _cut(segmenter: str, pixels: NDArray[Any], segments: int, parameters: Mapping[str, Any], seed: int) -> NDArray[Any]:
    """Run an algorithm of scikit-image on H×W×3 pixels, until there are about `segments` superpixels."""
    algorithm = ALGORITHMS[segmenter]
    _check_parameters(f"segmenter={segmenter!r}", parameters, algorithm.parameters)
    _check_numbers(algorithm, parameters)
    shape = (pixels.shape[0], pixels.shape[1])
    searched = bool(algorithm.power) and algorithm.steered not in parameters
    small = shape
    # A parameter that is an array, such as a mask, belongs to the picture as it is.
    if searched and not any(np.ndim(value) for value in parameters.values()):
        scale = math.sqrt(min(1.0, algorithm.most(segments) / math.prod(shape)))
        small = (max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale)))
    settings = {**algorithm.settings(small, segments), **parameters}
    if "rng" in algorithm.parameters:
        settings.setdefault("rng", seed % 2**31)  # scikit-image takes a C int
    seen = algorithm.sees(resize_pixels(pixels, small))
    first = settings.pop(algorithm.steered)

    def run(value: Any) -> NDArray[Any]:
        try:
            return np.asarray(algorithm.function(seen, **settings, **{algorithm.steered: value}))
        except Exception as error:
            raise _refused(segmenter, shape, parameters, error) from None

    found: dict[Hashable, NDArray[Any]] = {}

    def run_once(value: Any) -> NDArray[Any]:
        # Within a mask, first centres are not on a grid.
        outcome = value if "mask" in parameters else algorithm.alike(small, value)
        if outcome not in found:
            found[outcome] = run(value)
        return found[outcome]

    labels = _search(run_once, first, algorithm, segments) if searched else run(first)
    rows, columns = (np.arange(length) * few // length for length, few in zip(shape, small, strict=True))
    return np.asarray(labels[rows[:, None], columns[None]])


def _refused(
    segmenter: str, shape: tuple[int, int], parameters: Mapping[str, Any], error: Exception
) -> OptionError | SegmentationError:
    """Return scikit-image's `error` in our words: of the parameters where there are any, else of the image."""
    image = f"the image of {shape[1]}×{shape[0]} pixels"
    reason = f"scikit-image: {' '.join(str(error).split()) or type(error).__name__}"
    if parameters:
        return OptionError(
            f"segmenter_parameters={one_line(dict(parameters))} do not suit segmenter={segmenter!r} and {image} "
            f"({reason}); change or leave out what the reason names."
        )
    return SegmentationError(
        f"segmenter={segmenter!r} cannot cut {image} ({reason}); "
        "choose segmenter='grid', or another number of segments."
    )


def _search(run: Callable[[Any], NDArray[Any]], value: float, algorithm: Algorithm, segments: int) -> NDArray[Any]:
    """Return the labels, of a few runs, whose number of superpixels is nearest to `segments`.

    The next value follows the power law, twice as far after a step that went less than half of
    the way, but stays between those that gave too few and too many: their geometric mean where
    the law leads out. The number need not be monotone in the value, so the best of all
    runs is kept, not the last: one that can be explained before one that is nearer.
    """
    whole = isinstance(value, int)
    # Where nearly the most that can be explained are asked for, there is room on one side only.
    aim = min(segments, (1 - NEAR) * MOST_SUPERPIXELS)
    missed = (True, math.inf)
    tried: dict[bool, float] = {}  # the last value that gave too many, and too few
    seen = set()
    pace, last = 1, math.inf
    for _ in range(MOST_RUNS):
        labels = run(value)
        count = len(np.unique(labels))
        misses = (not 2 <= count <= MOST_SUPERPIXELS, abs(math.log(count / segments)))
        if misses < missed:
            best, missed = labels, misses
        if abs(count - segments) <= NEAR * segments and not misses[0]:
            break
        pace = 2 * pace if last / 2 < misses[1] and (count > aim) in tried else 1
        last = misses[1]
        tried[count > aim] = value
        seen.add(value)
        value *= (aim / count) ** (pace / algorithm.power)
        if len(tried) == 2 and not min(tried.values()) < value < max(tried.values()):
            value = math.sqrt(tried[True] * tried[False])
        value = max(algorithm.least, round(value) if whole else value)
        if value in seen:
            break
    return best


def _colour(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return H×W×3 pixels: two channels, and one, are no colours."""
    return pixels if pixels.shape[2] == 3 else np.repeat(pixels[:, :, :1], 3, axis=2)


def _called(segmenter: Callable[..., Any], pixels: NDArray[Any], parameters: Mapping[str, Any]) -> NDArray[Any]:
    """Return the label map that a user's function makes; what it raises is left as it is."""
    returned = segmenter(_colour(pixels).copy(), **parameters)
    name = getattr(segmenter, "__qualname__", "") or one_line(segmenter)
    rule = f"it must return an integer label of each pixel, {pixels.shape[0]}×{pixels.shape[1]} (height × width)"
    try:
        labels = np.asarray(returned)
    except (TypeError, ValueError, RuntimeError):  # ragged lists; tensors on a GPU or with a gradient
        raise SegmentationError(f"segmenter {name} returned {one_line(returned)}; {rule}.") from None
    if labels.ndim == 0 or labels.dtype.kind not in "biuf":
        raise SegmentationError(f"segmenter {name} returned {one_line(returned)}; {rule}.")
    if labels.shape != pixels.shape[:2]:
        raise SegmentationError(
            f"segmenter {name} returned an array of shape {'×'.join(map(str, labels.shape))}; {rule}."
        )
    if labels.dtype.kind == "f" and not (np.isfinite(labels).all() and (labels == np.round(labels)).all()):
        raise SegmentationError(
            f"segmenter {name} returned labels from {labels.min():.4g} to {labels.max():.4g} that are not all whole "
            f"numbers; {rule}."
        )
    return labels


def grid(shape: tuple[int, int], segments: int, *, rows: int | None = None, columns: int | None = None) -> Labels:
    """Return near-square cells, about `segments` of them, that cover an image of `shape`.

    With `rows` or `columns` the other follows from `segments`; with both `segments` is ignored.

    >>> grid((2, 4), 2)
    array([[0, 0, 1, 1],
           [0, 0, 1, 1]])
    """
    height, width = shape
    for name, value, most in (("rows", rows, height), ("columns", columns, width)):
        whole = hasattr(value, "__index__") and not isinstance(value, bool)
        if value is not None and not (whole and 1 <= value <= most):
            raise OptionError(
                f"segmenter_parameters: {name}={one_line(value)} must be a whole number from 1 to {most}, "
                f"since the model sees {width}×{height} pixels."
            )
    wide = columns or math.sqrt(segments * width / height)
    tall = rows or min(height, max(1, round(segments / wide)))
    if columns is None:
        columns = min(width, max(1, round(segments / tall)), MOST_SUPERPIXELS)
    if rows is None:
        # Anew, for the columns that there are now; rounding must not lead beyond what can be explained.
        rows = min(height, max(1, round(segments / columns)), MOST_SUPERPIXELS // columns)
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
    # In the order in which they come, so that a tie between neighbours does not hang on the numbers given.
    first = np.unique(pieces, return_index=True)[1]
    pieces = np.argsort(np.argsort(first))[pieces]
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
