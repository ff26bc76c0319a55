"""Deletion and insertion curves of the claim `faithful`, beside those of random orders, in words and as charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pytest_lime.report.charts import aligned, between, digits, number, percent
from pytest_lime.report.planes import Plane
from pytest_lime.report.reading import as_mapping, as_numbers, as_pair, as_rows

__all__ = ["Curve", "Curves", "curves_of"]

MOST_POINTS = 512
# Rows of the table that stands for a chart.
MOST_ROWS = 24


@dataclass(frozen=True)
class Curve:
    """The score of the target while superpixels are shown, or hidden, the strongest first."""

    name: str
    what: str
    plane: Plane
    line: str
    band: str
    words: str


@dataclass(frozen=True)
class Curves:
    """Both curves on the same axis, with all their figures as a table."""

    curves: list[Curve]
    heads: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class _Points:
    shares: list[float]
    scores: list[float]
    random: list[tuple[float, float]]


def curves_of(record: Mapping[str, Any]) -> Curves | None:
    """Return the curves of a record's claim that has them, if one has."""
    for claim in as_rows(record.get("claims")):
        told = as_mapping(claim.get("curves"))
        found = {name: points for name in ("insertion", "deletion") if (points := _points(told, name)) is not None}
        if found:
            return _drawn(found)
    return None


def _points(told: Mapping[str, Any], name: str) -> _Points | None:
    shares, scores = as_numbers(told.get("shares"))[:MOST_POINTS], as_numbers(told.get(name))
    random = told.get(f"{name}_random")
    pairs = [as_pair(pair) for pair in random] if isinstance(random, list) else []
    known = [
        (share, score, place)
        for place, (share, score) in enumerate(zip(shares, scores, strict=False))
        if share is not None and score is not None and 0 <= share <= 1
    ]
    known.sort(key=lambda point: point[0])
    if len(known) < 2 or known[0][0] == known[-1][0]:
        return None
    band = [pairs[place] if place < len(pairs) else None for _, _, place in known]
    whole = [pair for pair in band if pair is not None and pair[0] <= pair[1]]
    return _Points(
        [share for share, _, _ in known],
        [score for _, score, _ in known],
        whole if len(whole) == len(known) else [],
    )


def _drawn(found: Mapping[str, _Points]) -> Curves:
    values = [value for points in found.values() for value in points.scores]
    values += [end for points in found.values() for pair in points.random for end in pair]
    low, high = min(0.0, *values), max(values)
    # Scores that come near to 1 are those of probabilities.
    high = 1.0 if 0.75 < high < 1 else high
    upwards = (low, high if high > low else low + 1.0)
    return Curves(
        curves=[_curve(name, points, upwards) for name, points in found.items()],
        heads=[head for name, points in found.items() for head in _heads(name, points)],
        rows=_rows(found),
    )


def _curve(name: str, points: _Points, upwards: tuple[float, float]) -> Curve:
    shown = name == "insertion"
    area = _area(points.shares, points.scores)
    words = f"Area under the curve {number(area)}"
    if points.random:
        ends = [_area(points.shares, [pair[end] for pair in points.random]) for end in (0, 1)]
        words += f"; those of random orders lie within {between(*ends)}"
    better = "higher" if shown else "lower"
    plane = Plane((0.0, 1.0), upwards, shares=True)
    return Curve(
        name=name.capitalize(),
        what=f"the strongest superpixels are {'shown' if shown else 'hidden'} first",
        plane=plane,
        line=plane.line(zip(points.shares, points.scores, strict=True)),
        band=plane.band([(share, *pair) for share, pair in zip(points.shares, points.random, strict=True)])
        if points.random
        else "",
        words=f"{words}. The {better}, the better the weights order the superpixels.",
    )


def _area(shares: Sequence[float], scores: Sequence[float]) -> float:
    """Return the mean height of a curve: the area under it, of the range that it spans."""
    steps = zip(pairwise(shares), pairwise(scores), strict=True)
    return sum((b - a) * (c + d) / 2 for (a, b), (c, d) in steps) / (shares[-1] - shares[0])


def _heads(name: str, points: _Points) -> list[str]:
    word = name.capitalize()
    return [word, f"{word}, random orders"] if points.random else [word]


def _rows(found: Mapping[str, _Points]) -> list[list[str]]:
    """Return a row for each share, evenly spaced ones where there are many."""
    places = digits(score for points in found.values() for score in points.scores)
    told: dict[float, dict[str, list[str]]] = {}
    for name, points in found.items():
        for place, (share, score) in enumerate(zip(points.shares, points.scores, strict=True)):
            cells = [aligned(score, places)]
            if points.random:
                cells.append(" to ".join(aligned(end, places) for end in points.random[place]))
            told.setdefault(share, {})[name] = cells
    shares = sorted(told)
    step = -(-len(shares) // MOST_ROWS)
    # The last one is the whole image, or none of it.
    kept = [*shares[:-1:step], shares[-1]]
    blank = {name: [""] * len(_heads(name, points)) for name, points in found.items()}
    return [
        [percent(share), *(cell for name in found for cell in told[share].get(name, blank[name]))] for share in kept
    ]
