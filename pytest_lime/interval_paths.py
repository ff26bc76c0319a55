"""The path of an interval: where a claim's figure lay as the samples came in."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pytest_lime.verdicts import Check, Verdict

__all__ = ["MOST_POINTS", "IntervalPaths", "Point", "path_of"]

MOST_POINTS = 48
# What is kept on the way is thinned out once it is so long.
TOO_MANY = 4 * MOST_POINTS
# More digits than a chart of it can show.
DIGITS = 6

Point: TypeAlias = tuple[int, float, float, float]


class IntervalPaths:
    """The paths of the claims on one image, a point a look.

    Parameters
    ----------
    points : P×5 float64 array, optional
        As the attribute of other paths: these are gone on with.
    """

    def __init__(self, points: NDArray[np.float64] | None = None) -> None:
        self._points: dict[int, list[Point]] = {}
        for place, samples, *figures in [] if points is None else points.tolist():
            self._points.setdefault(int(place), []).append((int(samples), *figures))

    @property
    def points(self) -> NDArray[np.float64]:
        """All points, P×5 float64: the number of the claim, samples, estimate, low and high."""
        rows = [(place, *point) for place, points in self._points.items() for point in points]
        return np.array(rows, dtype=np.float64).reshape(-1, 5)

    def note(self, check: Check) -> None:
        """Take what a look at the samples says of each claim; one that takes no samples has no path."""
        for place, verdict in enumerate(check.verdicts):
            if verdict.samples:
                points = self._points.setdefault(place, [])
                points.append((check.explanation.samples, verdict.estimate, *verdict.interval))
                if len(points) > TOO_MANY:
                    self._points[place] = _thinned(points, TOO_MANY // 2)

    def attach(self, check: Check) -> Check:
        """Return `check`, whose verdicts have their paths among their details."""
        verdicts = [self._with_path(verdict, place) for place, verdict in enumerate(check.verdicts)]
        return dataclasses.replace(check, verdicts=tuple(verdicts))

    def _with_path(self, verdict: Verdict, place: int) -> Verdict:
        if place not in self._points:
            return verdict
        return dataclasses.replace(verdict, details={**verdict.details, "path": path_of(self._points[place])})


def path_of(points: Sequence[Point]) -> list[list[Any]]:
    """Return points (samples, estimate, low, high) as JSON values, 48 at most: the first, the last, and some between.

    >>> path_of([(10, 0.5, -math.inf, 1.0), (20, 0.6000001, 0.5, 0.7)])
    [[10, 0.5, None, 1.0], [20, 0.6, 0.5, 0.7]]
    """
    return [[samples, *map(_figure, figures)] for samples, *figures in _thinned(points, MOST_POINTS)]


def _thinned(points: Sequence[Point], most: int) -> list[Point]:
    if len(points) <= most:
        return list(points)
    return [points[place] for place in np.linspace(0, len(points) - 1, most).round().astype(int)]


def _figure(value: float) -> float | None:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
