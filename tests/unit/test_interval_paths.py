"""The path of an interval, thinned out but with both its ends."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest

from pytest_lime import Explanation, Verdict
from pytest_lime.interval_paths import MOST_POINTS, IntervalPaths, Point, path_of
from pytest_lime.verdicts import Check

Build = Callable[..., Explanation]


def verdict(figure: float, *, samples: int = 1, width: float = 0.5, **more: Any) -> Verdict:
    interval = figure - width, figure + width
    return Verdict(meaning="", estimate=figure, interval=interval, relation=">=", bound=0.0, samples=samples, **more)


@pytest.mark.parametrize("count", [0, 1, 2, 47, 48, 49, 100, 1000])
def test_first_and_last_stay(count: int) -> None:
    points: list[Point] = [(place, 0.0, -1.0, 1.0) for place in range(count)]
    path = path_of(points)
    assert len(path) == min(count, MOST_POINTS)
    samples = [point[0] for point in path]
    assert samples == sorted(set(samples))
    assert samples[:1] + samples[-1:] == list(range(count))[:1] + list(range(count))[-1:]


def test_an_end_that_is_not_known_is_null() -> None:
    assert path_of([(10, 1 / 3, -math.inf, math.inf)]) == [[10, 0.333333, None, None]]


def test_each_look_is_a_point_and_what_needs_no_samples_has_no_path(explanation_of: Build) -> None:
    paths = IntervalPaths()
    for samples in range(100, 2100, 2):
        explanation = dataclasses.replace(explanation_of([0.1] * 8), sample_scores=None, masks=_Rows(samples))  # type: ignore[arg-type]
        check = Check(explanation, (verdict(1.0), verdict(2.0, samples=0), verdict(samples / 10, details={"own": 1})))
        paths.note(check)
    found = paths.attach(check)
    first, second, third = (one.details for one in found.verdicts)
    assert len(first["path"]) == MOST_POINTS
    assert (first["path"][0], first["path"][-1]) == ([100, 1, 0.5, 1.5], [2098, 1, 0.5, 1.5])
    assert "path" not in second
    assert third["own"] == 1
    assert all(point[1] == point[0] / 10 for point in third["path"])
    assert found.verdicts[0].as_json()["path"] == first["path"]
    # It takes no part in what a verdict is.
    assert found.verdicts == check.verdicts


class _Rows:
    """As many masks as are asked for."""

    def __init__(self, count: int) -> None:
        self.shape = (count, 8)

    def __len__(self) -> int:
        return self.shape[0]
