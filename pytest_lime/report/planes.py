"""Charts of lines and bands: where their points lie, and the numbers along both axes.

Across, places are percentages of a chart's width, so that it stretches with the page while its text keeps its size;
upwards they are pixels of its height. What is drawn within lies in a square of `SIDE` units that stretches alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_lime.report.charts import Label, aligned, percent, place_of

__all__ = ["HEIGHT", "SIDE", "Plane", "Tick"]

HEIGHT = 130
"""Pixels from the top of a chart to its axis."""

SIDE = 1000
# Numbers along an axis: about so many steps.
STEPS_UP = 3
STEPS_ACROSS = 3
ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)
MOST_PLACES = 6
# Spans of larger and of smaller numbers are beyond what floats can divide.
LARGEST, SMALLEST = 1e290, 1e-290


@dataclass(frozen=True)
class Tick:
    """A number along the upright axis, and how many pixels below the top it stands."""

    y: str
    text: str


class Plane:
    """Both axes of a chart.

    Parameters
    ----------
    across, upwards : (low, high)
        What the axes run over; `across` starts at 0 where its numbers count something.
    shares : bool
        The numbers across are percentages.
    """

    def __init__(self, across: tuple[float, float], upwards: tuple[float, float], *, shares: bool = False) -> None:
        self._left, self._width = across[0], (across[1] - across[0]) or 1.0
        low, high = (min(LARGEST, max(-LARGEST, end)) for end in upwards)
        room = (0.04 * (high - low) if high - low > SMALLEST else 0.0) or max(abs(high), 1.0) * 0.25
        self.low, self.high = low - room, high + room
        self.ups = [Tick(f"{self.y(value) * HEIGHT / SIDE:.1f}", text) for value, text in _numbers(low, high, STEPS_UP)]
        self.acrosses = [
            _label(self.x(value) / SIDE, percent(value) if shares else text)
            for value, text in _numbers(across[0], across[0] + self._width, STEPS_ACROSS)
        ]

    def x(self, value: float) -> float:
        """Return where a value lies across."""
        return SIDE * min(1.0, max(0.0, (value - self._left) / self._width))

    def y(self, value: float | None, *, unknown: float = 0.0) -> float:
        """Return how far below the top a value lies; one that is not known lies at `unknown` of the way up."""
        share = unknown if value is None else (min(LARGEST, value) - self.low) / (self.high - self.low)
        return SIDE * (1.0 - min(1.0, max(0.0, share)))

    def line(self, points: Iterable[tuple[float, float]]) -> str:
        """Return the path of a line through points."""
        return "M" + "L".join(f"{self.x(x):.0f} {self.y(y):.0f}" for x, y in points)

    def band(self, ends: Sequence[tuple[float, float | None, float | None]]) -> str:
        """Return the path of a band through (x, low, high); an end that is not known is that of the plane."""
        over = [f"{self.x(x):.0f} {self.y(high, unknown=1.0):.0f}" for x, _, high in ends]
        under = [f"{self.x(x):.0f} {self.y(low):.0f}" for x, low, _ in reversed(ends)]
        return "M" + "L".join([*over, *under]) + "Z"


def _label(share: float, text: str) -> Label:
    return Label(place_of(share), "start" if share < 0.05 else "end" if share > 0.95 else "middle", text)


def _numbers(low: float, high: float, steps: int) -> list[tuple[float, str]]:
    """Return round numbers from `low` to `high`, about `steps` apart, each with its text."""
    if not high - low > SMALLEST:
        return [(low, aligned(low, 2))]
    rough = (high - low) / steps
    size = 10.0 ** math.floor(math.log10(rough))
    step = size * next(one for one in ROUND if one * size >= rough * 0.75)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    places = next((n for n in range(MOST_PLACES) if abs(round(step, n) - step) < 1e-9 * step), MOST_PLACES)
    # Steps of a span far from zero may be too small for the numbers themselves.
    return [(number * step, aligned(number * step, places)) for number in range(first, min(last, first + 9) + 1)]
