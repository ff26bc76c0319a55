"""The path of a claim's interval as samples came in: when it was decided, in words and as a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_lime.report.charts import UNKNOWN, aligned, between, digits, number, place_of
from pytest_lime.report.planes import HEIGHT, SIDE, Plane
from pytest_lime.report.reading import as_number, as_pair, as_relation, as_text

__all__ = ["Path", "path_of"]

MOST_LOOKS = 256
"""Looks that are read of one path; records have at most 48."""

MOST_ROWS = 12
"""Looks that its table has: evenly spaced ones, and the last."""


@dataclass(frozen=True)
class _Look:
    samples: float
    estimate: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Path:
    """Looks at a claim's figure while samples came in.

    Attributes
    ----------
    words : str
        When it was decided, or that it is open.
    is_open : bool
        Its chart is unfolded: what did not pass is of more interest.
    figure : str
        What the upright axis shows.
    band, line : str
        Paths in a square of `SIDE` units.
    accepted : (top, height) or None
        What the claim accepts, in the same units.
    bound : str
        Pixels from the top, or nothing.
    last : (across, down) or None
        Where the estimate ended.
    rows : list of (samples, estimate, interval)
    """

    words: str
    is_open: bool
    figure: str
    plane: Plane
    band: str
    line: str
    accepted: tuple[str, str] | None
    bound: str
    last: tuple[str, str] | None
    rows: list[tuple[str, str, str]]


def path_of(claim: Mapping[str, Any]) -> Path | None:
    """Return the path of a claim; None where it took no samples, or was looked at only once."""
    looks = _looks(claim.get("path"))
    if len(looks) < 2:
        return None
    relation = as_relation(claim.get("relation"))
    bound, status = as_number(claim.get("bound")), as_text(claim.get("status"))
    plane = Plane((0.0, looks[-1].samples), _range(looks, bound, as_pair(claim.get("scale"))))
    known = [(look.samples, look.estimate) for look in looks if look.estimate is not None]
    places = digits(end for look in looks[len(looks) // 2 :] for end in (look.estimate, look.low, look.high))
    return Path(
        words=_words(looks, bound, relation, status),
        is_open=status != "pass",
        figure=as_text(claim.get("claim")) or "figure",
        plane=plane,
        band=plane.band([(look.samples, look.low, look.high) for look in looks]),
        line=plane.line(known) if len(known) > 1 else "",
        accepted=_accepted(plane, bound, relation),
        bound="" if bound is None else _pixels(plane.y(bound)),
        last=(place_of(plane.x(known[-1][0]) / SIDE), _pixels(plane.y(known[-1][1]))) if known else None,
        rows=[(number(look.samples), aligned(look.estimate, places), _ends(look, places)) for look in _listed(looks)],
    )


def _looks(value: object) -> list[_Look]:
    """Return the looks of a path, in the order of their samples."""
    looks = []
    for row in value[:MOST_LOOKS] if isinstance(value, list) else []:
        if not isinstance(row, list) or len(row) != 4:
            continue
        samples, estimate, low, high = map(as_number, row)
        if samples is None or samples <= 0 or (low is not None and high is not None and low > high):
            continue
        looks.append(_Look(samples, estimate, low, high))
    return sorted(looks, key=lambda look: look.samples)


def _listed(looks: Sequence[_Look]) -> list[_Look]:
    step = -(-len(looks) // MOST_ROWS)
    # Counted from the end, so that the last one is among them.
    return list(looks[::-step][::-1])


def _range(looks: Sequence[_Look], bound: float | None, scale: tuple[float, float] | None) -> tuple[float, float]:
    """Return what the upright axis shows: of the first looks, whose intervals may be huge, only as much as fits."""
    later = looks[len(looks) // 2 :]
    values = [end for look in later for end in (look.low, look.high)]
    values += [bound, *(look.estimate for look in looks[len(looks) // 4 :])]
    known = [value for value in values if value is not None]
    if not known:
        return scale if scale is not None and scale[0] < scale[1] else (0.0, 1.0)
    low, high = min(known), max(known)
    low, high = low - 0.35 * (high - low), high + 0.35 * (high - low)
    if scale is not None and scale[0] < scale[1]:
        inner = max(low, scale[0]), min(high, scale[1])
        low, high = inner if inner[0] < inner[1] else scale
    return low, high


def _accepted(plane: Plane, bound: float | None, relation: str) -> tuple[str, str] | None:
    if bound is None:
        return None
    at = plane.y(bound)
    return ("0", f"{at:.1f}") if relation == ">=" else (f"{at:.1f}", f"{SIDE - at:.1f}")


def _side(look: _Look, bound: float, relation: str) -> str:
    """Return which verdict an interval gives, if it gives any."""
    low, high = look.low, look.high
    if relation == ">=":
        within, beyond = low is not None and low >= bound, high is not None and high < bound
    else:
        within, beyond = high is not None and high <= bound, low is not None and low > bound
    return "pass" if within else "fail" if beyond else ""


def _words(looks: Sequence[_Look], bound: float | None, relation: str, status: str) -> str:
    last = looks[-1]
    often = f"{len(looks)} looks"
    if bound is None:
        return f"After {number(last.samples)} samples in {often}, the interval is {_interval(last)}."
    if status not in ("pass", "fail"):
        return f"Still open at {number(last.samples)} samples: the interval holds the bound of {number(bound)}."
    sides = [_side(look, bound, relation) for look in looks]
    if sides[-1] != status:
        return f"Ended at {number(last.samples)} samples, after {often}."
    since = len(sides)
    while since and sides[since - 1] == status:
        since -= 1
    decided = looks[since]
    did = "kept to" if status == "pass" else "broke"
    later = f", and still did at {number(last.samples)}" if decided is not last else ""
    held = f"the whole interval {did} the bound of {number(bound)}"
    return f"Decided after {number(decided.samples)} samples: {held}{later}."


def _interval(look: _Look) -> str:
    return between(look.low, look.high) if look.low is not None and look.high is not None else UNKNOWN


def _ends(look: _Look, places: int) -> str:
    if look.low is None and look.high is None:
        return UNKNOWN
    return " to ".join(aligned(end, places) for end in (look.low, look.high))


def _pixels(units: float) -> str:
    return f"{units * HEIGHT / SIDE:.1f}"
