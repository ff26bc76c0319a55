"""Plots: an explanation as a figure of matplotlib, which is an extra."""

from __future__ import annotations

import functools
import io
import re
import textwrap
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pytest_lime.drawing import Card, border_runs, faded, interior_point, relative, shade
from pytest_lime.errors import OptionError, is_for_the_user, one_line
from pytest_lime.extras import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot", "png"]

__tracebackhide__ = is_for_the_user

Array = NDArray[np.float64]
# Inches: of one panel's longer side, and of the words round it.
PANEL = 4.2
NARROWEST = 2.5
SCALE = 1.2
LINE = 0.18
LETTERS_PER_INCH = 12
# From below zero to above; an odd number has zero in the middle.
STEPS = 511
# What no font shows. White space is left to the wrapping of lines.
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def plot(
    photo: NDArray[np.float32],
    segments: NDArray[np.int64],
    heatmap: Array,
    card: Card,
    *,
    box: tuple[float, float, float, float],
    name: str,
    outlines: Sequence[NDArray[np.bool_]] = (),
    notes: bool = True,
    axes: Axes | None = None,
) -> Figure:
    """Draw a photograph with its superpixels, and the heatmap over it.

    Parameters
    ----------
    photo : H'×W'×3 float32 array in [0, 1]
        What the model sees, at the image file's own resolution.
    segments : H×W int64 array
        Superpixels of the same field of view.
    heatmap : H×W float64 array
        The weight of each pixel.
    card : Card
        The class.
    box : (x0, y0, x1, y1)
        Where that lies in the image file, in its pixels: what the axes count.
    name : str
        That of the image.
    outlines : sequence of bool arrays
        Regions, of the image file's size.
    notes : bool
        Say below how far the weights can be trusted.
    axes : matplotlib Axes, optional
        Draw the heatmap alone, there. By default a new figure is made, which no list of pyplot holds.

    Raises
    ------
    OptionError
        matplotlib is not installed, or `axes` are none to draw on.
    """
    require("matplotlib.figure", extra="plot", needed_for="Explanation.plot")
    if axes is not None:
        _check_axes(axes)
    title = f"{card.label}: {card.standing}"
    sentences = [*card.facts, *(f"Read with care: {warning}." for warning in card.warnings)] if notes else []
    if axes is not None:
        _draw_heatmap(axes, photo, heatmap, card, box)
        _draw_superpixels(axes, segments, card.top, box)
        _draw_outlines(axes, outlines)
        axes.set_title(_wrapped([title], PANEL), fontsize="medium", parse_math=False)
        axes.set_xlabel(_wrapped(sentences, PANEL), loc="left", fontsize="small", parse_math=False)
        # Of a figure within a figure, the outer one.
        return axes.figure.figure
    from matplotlib.figure import Figure  # noqa: PLC0415  (an extra)

    scale = PANEL / max(photo.shape[:2])
    height, width = photo.shape[0] * scale, max(photo.shape[1] * scale, NARROWEST)
    heads = [_wrapped([head], width) for head in (f"What the model sees of {name}", title)]
    words = _wrapped(sentences, 2 * width + SCALE)
    lines = words.count("\n") + max(head.count("\n") for head in heads) + 4
    figure = Figure(figsize=(2 * width + SCALE, height + lines * LINE), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.imshow(photo, extent=_extent(box))
    _draw_heatmap(right, photo, heatmap, card, box)
    for panel, head, numbered in zip((left, right), heads, (card.top, ()), strict=True):
        _draw_superpixels(panel, segments, numbered, box)
        _draw_outlines(panel, outlines)
        panel.set_title(head, loc="left", fontsize="medium", parse_math=False)
    figure.supxlabel(words, x=0.01, ha="left", fontsize="small", parse_math=False, linespacing=1.4)
    # What a notebook shows where nobody has told it how to show figures.
    figure._repr_png_ = functools.partial(png, figure)  # type: ignore[attr-defined]
    return figure


def _check_axes(axes: Any) -> None:
    """Raise an `OptionError` unless `axes` can be drawn on, and the drawing is then seen."""
    from matplotlib.axes import Axes  # noqa: PLC0415  (an extra)

    if not (isinstance(axes, Axes) and axes.name == "rectilinear" and _is_in_a_figure(axes)):
        raise OptionError(
            f"axes={one_line(axes)} must be one two-dimensional Axes of matplotlib that is in a figure, such as "
            "axes[0] after `figure, axes = plt.subplots(1, 2)`."
        )


def _is_in_a_figure(axes: Axes) -> bool:
    """Whether a figure draws `axes`, itself or as an inset of others."""
    held: list[Any] = list(axes.figure.axes) if axes.figure is not None else []
    for one in held:
        held.extend(one.child_axes)
    return any(one is axes for one in held)


def _wrapped(sentences: Sequence[str], inches: float) -> str:
    return "\n".join(textwrap.fill(_printable(sentence), round(inches * LETTERS_PER_INCH)) for sentence in sentences)


def _printable(text: str) -> str:
    """Return `text` with its control characters as escapes."""
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def png(figure: Figure, dpi: float | None = None) -> bytes:
    """Return `figure` as a PNG file of `dpi` dots per inch, by default as many as matplotlib's settings say.

    What the font has no glyph for, such as an emoji in a name, is drawn as an empty box, without a warning.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
        figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def _extent(box: Sequence[float]) -> tuple[float, float, float, float]:
    """Return `box` as matplotlib takes it: left, right, bottom, top."""
    x0, y0, x1, y1 = box
    return x0, x1, y1, y0


def _draw_heatmap(axes: Axes, photo: NDArray[np.float32], heatmap: Array, card: Card, box: Sequence[float]) -> None:
    extent = _extent(box)
    axes.imshow(faded(photo), extent=extent)
    axes.imshow(shade(relative(heatmap, card.limit)), extent=extent, interpolation="nearest")
    if card.limit > 0:
        _draw_scale(axes, card.limit, card.signed)


def _draw_superpixels(axes: Axes, segments: NDArray[np.int64], numbered: Sequence[int], box: Sequence[float]) -> None:
    """Draw the borders of all superpixels and the numbers of a few."""
    from matplotlib.collections import LineCollection  # noqa: PLC0415  (an extra)

    x0, y0, x1, y1 = box
    corner, scale = np.array([x0, y0]), np.array([(x1 - x0) / segments.shape[1], (y1 - y0) / segments.shape[0]])
    lines = _border_lines(segments)
    for colour, width, alpha in (("black", 1.6, 0.35), ("white", 0.8, 0.8)):
        axes.add_collection(
            LineCollection([corner + line * scale for line in lines], colors=colour, linewidths=width, alpha=alpha)
        )
    for rank, superpixel in enumerate(numbered, start=1):
        x, y = corner + interior_point(segments == superpixel) * scale
        axes.text(
            x,
            y,
            str(rank),
            ha="center",
            va="center",
            fontsize="small",
            fontweight="bold",
            color="white",
            bbox={"boxstyle": "circle,pad=0.25", "facecolor": "#14171a", "edgecolor": "white", "linewidth": 0.8},
        )
    axes.set(xlim=(x0, x1), ylim=(y1, y0))
    axes.tick_params(labelsize="small")


def _border_lines(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Return the borders between different labels as lines, n×2×2, each of two points (x, y)."""
    vertical, horizontal = border_runs(labels)
    lines = [((x, start), (x, stop)) for x, start, stop in vertical]
    lines += [((start, y), (stop, y)) for y, start, stop in horizontal]
    return np.array(lines, dtype=np.int64).reshape(-1, 2, 2)


def _draw_outlines(axes: Axes, outlines: Sequence[NDArray[np.bool_]]) -> None:
    """Draw the borders of regions: dark dashes over white, one of which stands out on any photograph."""
    from matplotlib.collections import LineCollection  # noqa: PLC0415  (an extra)

    for mask in outlines:
        # The padding closes outlines at the border of the file.
        lines = _border_lines(np.pad(mask, 1).astype(np.int8)) - 1
        axes.add_collection(LineCollection(list(lines), colors="white", linewidths=3.2))
        axes.add_collection(LineCollection(list(lines), colors="#14171a", linewidths=1.6, linestyles="dashed"))


def _draw_scale(axes: Axes, limit: float, signed: bool) -> None:
    from matplotlib.cm import ScalarMappable  # noqa: PLC0415  (an extra)
    from matplotlib.colors import ListedColormap, Normalize  # noqa: PLC0415

    least = -1.0 if signed else 0.0
    colours = shade(np.linspace(least, 1, STEPS)) / 255
    alpha = colours[:, 3:]
    # As they look over the faded photograph, which is nearly white.
    shown = ListedColormap(colours[:, :3] * alpha + (1 - alpha))
    bar = axes.figure.colorbar(ScalarMappable(Normalize(least * limit, limit), shown), ax=axes, shrink=0.85)
    bar.set_label("weight: below 0 against, above 0 for" if signed else "weight: how much it matters")
    bar.outline.set_visible(False)
