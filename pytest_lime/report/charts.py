"""Numbers in words, and where the marks of the page's small charts lie.

Horizontal places are percentages of a chart's width, given as SVG attributes: a chart then stretches with
the page while its dots stay round and its text keeps its size. Nothing is computed in a template.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pytest_lime.records import BOUNDS

__all__ = [
    "Bar",
    "Label",
    "MeanAxis",
    "Track",
    "WeightAxis",
    "aligned",
    "bar",
    "between",
    "decimals",
    "digits",
    "duration",
    "listed",
    "margin_track",
    "moment",
    "number",
    "ordinal",
    "percent",
    "place_of",
    "signed",
    "signed_ends",
    "track",
    "with_minus",
]

MINUS = "\N{MINUS SIGN}"
NO_BREAK = "\N{NO-BREAK SPACE}"
UNKNOWN = "not known"
MOST_PLACES = 6
_HYPHEN = re.compile(r"(?<![\w.)-])-(?=[.]?\d)")


def number(value: float | None) -> str:
    """Return a number to three significant digits, with a true minus sign."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    text = _fixed(value, decimals(value))
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def between(low: float, high: float) -> str:
    """Return an interval in words, both ends with equally many decimals."""
    ends = [number(low), number(high)]
    places = max(len(end.partition(".")[2]) for end in ends)
    if places and not any("e" in end for end in ends):
        ends = [_fixed(end, places) for end in (low, high)]
    return " to ".join(ends)


def aligned(value: float | None, places: int) -> str:
    """Return a number to a fixed number of decimals, zeros included: points then stand below each other."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    text = _fixed(value, places)
    return f"{0:.{places}f}" if text == "0" and places <= MOST_PLACES else text


def decimals(value: float) -> int:
    """Return how many decimals show three digits of a number; none if it is whole."""
    return 0 if value == int(value) else digits([value])


def signed(value: float | None, places: int) -> str:
    """Return a number with its sign, plus included, to a fixed number of decimals; zero has no sign."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    text = _fixed(value, places)
    return f"+{text}" if value > 0 and text != "0" else text


def signed_ends(interval: tuple[float, float] | None, places: int) -> str:
    """Return both ends of an interval with their signs, to a fixed number of decimals."""
    return " to ".join(signed(end, places) for end in interval) if interval is not None else UNKNOWN


def _fixed(value: float, places: int) -> str:
    # Very large and very small numbers would be rows of zeros.
    text = f"{value:.2e}" if abs(value) >= 1e15 or (places > MOST_PLACES and value) else f"{value:,.{places}f}"
    return text.replace("-", MINUS) if text.strip("-0.,") else "0"


def percent(share: float | None) -> str:
    """Return a share in [0, 1] as a percentage."""
    if share is None or not math.isfinite(share):
        return UNKNOWN
    return f"{number(share * 100)}{NO_BREAK}%"


def digits(values: Iterable[float | None]) -> int:
    """Return how many decimals show three digits of the largest of some numbers, for all of them alike."""
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    # Beside a largest of exactly 1 stand numbers that are not whole.
    return max(0, 2 - math.floor(math.log10(largest))) if largest else 0


def listed(parts: Sequence[str]) -> str:
    """Return some words as a list in a sentence.

    >>> listed(["one"]), listed(["one", "two"]), listed(["one", "two", "three"])
    ('one', 'one and two', 'one, two and three')
    """
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def with_minus(text: str) -> str:
    """Return `text` with a true minus sign before its numbers.

    >>> with_minus("-0.08 of -1, top-4")
    '−0.08 of −1, top-4'
    """
    return _HYPHEN.sub(MINUS, text)


def duration(seconds: float | None) -> str:
    """Return a span of time in seconds, or in minutes and seconds."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{number(seconds)}{NO_BREAK}s"
    return f"{int(seconds // 60)}{NO_BREAK}min {int(seconds % 60)}{NO_BREAK}s"


def moment(created: str) -> str:
    """Return a time of day to the minute; what is no time stays as it is."""
    try:
        time = datetime.fromisoformat(created)
    except ValueError:
        return created
    zone = time.tzname()
    return f"{time:%Y-%m-%d %H:%M}" + (f" {zone}" if zone else "")


def ordinal(place: int) -> str:
    """Return 1st, 2nd, 3rd, 4th and so on."""
    ending = "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"


@dataclass(frozen=True)
class Label:
    """A text under or over a chart, anchored so that it stays inside."""

    x: str
    anchor: str
    text: str


@dataclass(frozen=True)
class Bar:
    """A horizontal bar from ``x`` over ``width``, both percentages."""

    x: str
    width: str


@dataclass(frozen=True)
class Track:
    """A figure: a scale, what is accepted of it with its bounds, the interval and the estimate."""

    accepted: Bar | None
    interval: Bar | None
    estimate: str | None
    bounds: tuple[str, ...]
    bound_label: Label | None
    ends: tuple[Label, ...]


def track(
    *,
    estimate: float | None,
    interval: tuple[float, float] | None,
    relation: str,
    bound: float | None,
    scale: tuple[float, float] | None,
) -> Track | None:
    """Lay out a claim's figure; ``None`` where there is nothing to draw."""
    if estimate is None and interval is None:
        return None
    low, high = _limits(scale, [estimate, bound, *(interval or ())])
    left, right = low, high
    if bound is not None:
        # Where the bound is the scale's own end, what is accepted would have no width to be seen by.
        room = 0.06 * (high - low)
        left = low - room if relation != ">=" and bound <= low else low
        right = high + room if relation == ">=" and bound >= high else high
    axis = _Axis(left, right)
    accepted = bound_label = None
    if bound is not None:
        accepted = axis.bar(bound, right) if relation == ">=" else axis.bar(left, bound)
        bound_label = axis.label(bound, f"{BOUNDS[relation]} {number(bound)}", margin=0.13)
    return Track(
        accepted=accepted,
        interval=axis.bar(*interval) if interval is not None else None,
        estimate=axis.at(estimate) if estimate is not None else None,
        bounds=(axis.at(bound),) if bound is not None else (),
        bound_label=bound_label,
        ends=(axis.label(low, number(low), margin=0.03), axis.label(high, number(high), margin=0.03)),
    )


def margin_track(*, estimate: float | None, interval: tuple[float, float] | None, margin: float | None) -> Track | None:
    """Lay out a difference that must lie within ± a margin; ``None`` where there is nothing to draw."""
    if estimate is None or margin is None or margin <= 0:
        return None
    low, high, axis = _roomy([-margin, margin, estimate, *(interval or ())])
    places = digits([low, high])
    return Track(
        accepted=axis.bar(-margin, margin),
        interval=axis.bar(*interval) if interval is not None else None,
        estimate=axis.at(estimate),
        bounds=(axis.at(-margin), axis.at(margin)),
        bound_label=axis.label(0.0, f"within ±{number(margin)}", margin=0.13),
        ends=(
            axis.label(low, signed(low, places), margin=0.1),
            axis.label(high, signed(high, places), margin=0.1),
        ),
    )


def bar(value: float | None, full: float) -> Bar:
    """Return a bar from the left edge whose whole width stands for ``full``."""
    axis = _Axis(0.0, full if full > 0 else 1.0)
    return axis.bar(0.0, value if value is not None else 0.0)


class WeightAxis:
    """The common axis of a chart of weights: from the lowest value to the highest, zero always on it."""

    def __init__(self, values: Sequence[float]) -> None:
        low, high = min(0.0, *values, 0.0), max(0.0, *values, 0.0)
        if low == high:
            high = 1.0
        room = 0.03 * (high - low)
        self.places = digits([low, high])
        self._axis = _Axis(low - room, high + room)
        self.zero = self._axis.at(0.0)
        self.ticks = [
            self._axis.label(value, signed(value, self.places), margin=0.12)
            for value in sorted({low, 0.0, high})
            # An end close to zero would print its number over the zero.
            if value == 0.0 or abs(value) > 0.35 * (high - low)
        ]

    def bar(self, weight: float) -> Bar:
        """Return the bar from zero to a weight."""
        return self._axis.bar(0.0, weight)

    def whisker(self, interval: tuple[float, float]) -> Bar:
        """Return the line over an interval."""
        return self._axis.bar(*interval)


class MeanAxis:
    """The common axis of a chart of means: from the lowest value to the highest, or from 0 to 1 for `rates`."""

    def __init__(self, values: Sequence[float], *, rates: bool) -> None:
        low, high, self._axis = _roomy([0.0, 1.0] if rates else values)
        places = digits([low, high])
        self.ends = tuple(
            self._axis.label(end, aligned(end, places), margin=0.1) for end in ([low, high] if low < high else [low])
        )

    def at(self, value: float) -> str:
        """Return where a value lies."""
        return self._axis.at(value)

    def bar(self, interval: tuple[float, float]) -> Bar:
        """Return the bar over an interval."""
        return self._axis.bar(*interval)


class _Axis:
    def __init__(self, low: float, high: float) -> None:
        self.low, self.span = low, high - low

    def share(self, value: float) -> float:
        return min(1.0, max(0.0, (value - self.low) / self.span))

    def at(self, value: float) -> str:
        return place_of(self.share(value))

    def bar(self, start: float, stop: float) -> Bar:
        left, right = sorted((self.share(start), self.share(stop)))
        return Bar(place_of(left), place_of(right - left))

    def label(self, value: float, text: str, *, margin: float) -> Label:
        share = self.share(value)
        anchor = "start" if share < margin else "end" if share > 1 - margin else "middle"
        return Label(place_of(share), anchor, text)


def _roomy(values: Sequence[float]) -> tuple[float, float, _Axis]:
    """Return the lowest and the highest of some values, and an axis that ends a little beyond them."""
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or max(abs(high), 1.0) * 0.5
    return low, high, _Axis(low - room, high + room)


def _limits(scale: tuple[float, float] | None, values: Sequence[float | None]) -> tuple[float, float]:
    if scale is not None and scale[0] < scale[1]:
        return scale
    known = [value for value in values if value is not None]
    low, high = min(known), max(known)
    room = 0.15 * (high - low) or max(abs(high), 1.0) * 0.5
    # A scale that holds no negative value starts at zero: lengths can then be compared by eye.
    return (0.0 if low >= 0 else low - room), high + room


def place_of(share: float) -> str:
    """Return a share of a chart's width as SVG attributes hold it."""
    return f"{share * 100:.2f}".rstrip("0").rstrip(".") + "%"
