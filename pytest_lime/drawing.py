"""How weights are drawn, in reports, plots and notebooks alike: colours, borders, places of numbers, words."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cache
from typing import Any

import cmap
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Card",
    "border_runs",
    "faded",
    "figure_words",
    "interior_point",
    "legend_colours",
    "opacity",
    "relative",
    "scale_colours",
    "shade",
]

# Purple (against) to orange (for): told apart in every common form of colour blindness, and neither end is
# the red, green or amber that the page keeps for verdicts. The outermost shades are near black: cut off.
COLOURS = "colorbrewer:PuOr_r"
SHADES = (0.07, 0.93)
MOST_OPAQUE = 0.9


@cache
def _shades() -> NDArray[np.uint8]:
    low, high = SHADES
    rgba = cmap.Colormap(COLOURS)(np.linspace(low, high, 511))
    return np.asarray(np.round(np.asarray(rgba)[:, :3] * 255), dtype=np.uint8)


def scale_colours(strength: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the colours (…×3, red, green, blue) of strengths in [-1, 1]: zero is the exact middle of the scale."""
    shades = _shades()
    middle = len(shades) // 2
    return shades[np.rint(np.clip(strength, -1, 1) * middle).astype(np.intp) + middle]


def legend_colours(n: int = 21) -> list[str]:
    """Return ``n`` hexadecimal colours of the heatmap's scale, from "speaks against" to "speaks for"."""
    if n < 1:
        raise ValueError(f"legend_colours(n={n}): n must be at least 1")
    positions = np.linspace(-1.0, 1.0, n) if n > 1 else np.zeros(1)
    return ["#{:02x}{:02x}{:02x}".format(*rgb) for rgb in scale_colours(positions).tolist()]


def opacity(strength: float) -> float:
    """Return how opaque the heatmap is where the weight is ``strength`` (in [-1, 1]) of the largest one."""
    return float(_opacities(np.float64(strength)))


def _opacities(strength: Any) -> Any:
    # Below one, the exponent keeps middling superpixels visible, while zero stays fully transparent.
    return MOST_OPAQUE * np.minimum(1.0, np.abs(strength)) ** 0.6


def relative(weights: NDArray[np.float64], limit: float | None = None) -> NDArray[np.float64]:
    """Return `weights` as shares of `limit`, by default their largest magnitude; what is not finite becomes 0."""
    weights = np.nan_to_num(weights, nan=0.0, posinf=0.0, neginf=0.0)
    limit = float(np.abs(weights).max(initial=0.0)) if limit is None else limit
    return weights / limit if limit > 0 else weights


def shade(strength: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the heatmap's colours (…×4, red, green, blue, alpha) of strengths in [-1, 1]."""
    alpha = np.rint(255 * _opacities(strength)).astype(np.uint8)
    return np.concatenate([scale_colours(strength), alpha[..., None]], axis=-1)


def faded(photo: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an H×W×3 photograph in [0, 1] in light grays, on which the heatmap's colours can be told apart."""
    gray = photo @ np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
    return np.repeat((0.5 + 0.5 * gray)[..., None], 3, axis=2)


def border_runs(labels: NDArray[Any]) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
    """Return the borders between different labels of an H×W map as straight runs (line, start, stop).

    The first list holds the vertical ones, each at x = line from y = start to stop; the second the
    horizontal ones, each at y = line from x = start to stop. Runs are found for all labels at once: where
    neighbours differ, the ends of each run of such places are the non-zero steps along it.
    """
    vertical = _runs((labels[:, 1:] != labels[:, :-1]).T)
    horizontal = _runs(labels[1:, :] != labels[:-1, :])
    return vertical, horizontal


def _runs(places: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """Return (row + 1, start, stop) of every run of true values along the rows."""
    steps = np.diff(np.pad(places, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(steps == 1)
    _, stops = np.nonzero(steps == -1)
    return list(zip((rows + 1).tolist(), starts.tolist(), stops.tolist(), strict=True))


def interior_point(mask: NDArray[np.bool_]) -> tuple[float, float]:
    """Return x, y of a point of the mask that lies far from its border; some pixel must be true.

    Peeling squares and diamonds in turn leaves, last of all, the middle of the widest part (an octagonal
    distance transform). Of several such pixels the one nearest to their mean is taken, which is inside.
    """
    rows, columns = np.nonzero(mask)
    top, left = int(rows.min()), int(columns.min())
    core = np.pad(mask[top : rows.max() + 1, left : columns.max() + 1], 1)
    square = False
    while True:
        inner = core.copy()
        inner[1:-1, 1:-1] &= core[:-2, 1:-1] & core[2:, 1:-1] & core[1:-1, :-2] & core[1:-1, 2:]
        if square:
            inner[1:-1, 1:-1] &= core[:-2, :-2] & core[2:, 2:] & core[2:, :-2] & core[:-2, 2:]
        if not inner.any():
            break
        core, square = inner, not square
    rows, columns = np.nonzero(core)
    nearest = int(np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2))
    return float(columns[nearest]) - 0.5 + left, float(rows[nearest]) - 0.5 + top


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Card:
    """What a plot or a notebook shows of one explained class.

    Attributes
    ----------
    label, standing : str
        The class, and in words its score and rank.
    weights : (d,) float64 array
    interval : d×2 float64 array
    confidence : float
        Level of the intervals.
    signed : bool
        Whether weights have a sign.
    top : sequence of int
        The superpixels that get the numbers 1, 2, …
    facts, warnings : sequence of str
        How true the surrogate is, as sentences; and why not to trust it, as clauses.
    """

    label: str
    standing: str
    weights: NDArray[np.float64]
    interval: NDArray[np.float64]
    confidence: float
    signed: bool
    top: Sequence[int]
    facts: Sequence[str]
    warnings: Sequence[str]

    @property
    def limit(self) -> float:
        """The weight at the end of the colour scale; 0 where no superpixel has any."""
        return float(np.abs(self.weights).max(initial=0.0))


def figure_words(value: float, *, sign: bool = False) -> str:
    """Return a number in three digits with a true minus, and with `sign` a plus.

    >>> figure_words(-0.12345), figure_words(0.5, sign=True)
    ('−0.123', '+0.5')
    """
    return f"{value:{'+' if sign else ''}.3g}".replace("-", "−")
