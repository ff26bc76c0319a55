"""Paths of intervals: when a claim was decided, and where its chart's marks lie."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pytest_lime.report.paths import MOST_ROWS, path_of
from pytest_lime.report.planes import HEIGHT, SIDE, Plane

LOOKS = [[64, 0.4, 0.1, 0.7], [128, 0.32, 0.2, 0.6], [192, 0.3, 0.2, 0.45], [256, 0.3, 0.25, 0.4]]


def claim(**changes: Any) -> dict[str, Any]:
    return {
        "claim": "mass",
        "status": "fail",
        "relation": ">=",
        "bound": 0.5,
        "scale": [0.0, 1.0],
        "path": LOOKS,
        **changes,
    }


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", path)]


def words(**changes: Any) -> str:
    found = path_of(claim(**changes))
    assert found is not None
    return found.words


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "Decided after 192 samples: the whole interval broke the bound of 0.5, and still did at 256."),
        (
            {"path": LOOKS[:3]},
            "Decided after 192 samples: the whole interval broke the bound of 0.5.",
        ),
        (
            {"relation": "<=", "status": "pass"},
            "Decided after 192 samples: the whole interval kept to the bound of 0.5, and still did at 256.",
        ),
        (
            {"relation": "<=", "bound": 0.2, "status": "fail"},
            "Decided after 256 samples: the whole interval broke the bound of 0.2.",
        ),
        ({"status": "inconclusive"}, "Still open at 256 samples: the interval holds the bound of 0.5."),
        ({"status": "of another version"}, "Still open at 256 samples: the interval holds the bound of 0.5."),
        # The verdict has other grounds than the interval.
        ({"status": "pass"}, "Ended at 256 samples, after 4 looks."),
        ({"bound": None}, "After 256 samples in 4 looks, the interval is 0.25 to 0.40."),
    ],
)
def test_the_words_say_when_it_was_decided(changes: dict[str, Any], sentence: str) -> None:
    assert words(**changes) == sentence


def test_an_interval_that_touched_the_bound_again_was_decided_later() -> None:
    looks = [[64, 0.3, 0.2, 0.4], [128, 0.4, 0.3, 0.55], [192, 0.3, 0.2, 0.45]]
    assert words(path=looks).startswith("Decided after 192 samples")


def test_what_did_not_pass_is_unfolded() -> None:
    opened = {status: path_of(claim(status=status)) for status in ("pass", "fail", "inconclusive", "?")}
    assert {status: path.is_open for status, path in opened.items() if path} == {
        "pass": False,
        "fail": True,
        "inconclusive": True,
        "?": True,
    }


def test_the_band_narrows_and_the_line_ends_at_the_last_estimate() -> None:
    found = path_of(claim())
    assert found is not None
    band = points(found.band)
    assert len(band) == 2 * len(LOOKS)
    upper, lower = band[: len(LOOKS)], band[len(LOOKS) :][::-1]
    widths = [below[1] - above[1] for above, below in zip(upper, lower, strict=True)]
    assert widths == sorted(widths, reverse=True)
    assert [x for x, _ in upper] == [250, 500, 750, 1000]
    assert found.last is not None
    assert found.last[0] == "100%"
    assert points(found.line)[-1][1] / SIDE * HEIGHT == pytest.approx(float(found.last[1]), abs=0.1)
    assert found.rows[-1] == ("256", "0.300", "0.250 to 0.400")


@pytest.mark.parametrize(("relation", "over"), [(">=", True), ("<=", False)])
def test_the_accepted_side_is_shaded(relation: str, over: bool) -> None:
    found = path_of(claim(relation=relation))
    assert found is not None
    assert found.accepted is not None
    top, height = map(float, found.accepted)
    bound = float(found.bound) * SIDE / HEIGHT
    assert (top, top + height) == pytest.approx((0, bound) if over else (bound, SIDE), abs=5)


def test_an_unknown_end_reaches_to_the_edge_of_the_chart() -> None:
    found = path_of(claim(path=[[64, None, None, None], *LOOKS[1:]]))
    assert found is not None
    band = points(found.band)
    assert (band[0][1], band[-1][1]) == (0, SIDE)
    assert len(points(found.line)) == 3
    assert found.rows[0] == ("64", "not known", "not known")


def test_a_huge_first_interval_does_not_flatten_the_others() -> None:
    wide = [[64, 40.0, -900.0, 900.0], *([64 * n, 0.3, 0.2, 0.4] for n in range(2, 10))]
    found = path_of(claim(path=wide, scale=None))
    assert found is not None
    assert -1 < found.plane.low < 0.2
    assert 0.5 < found.plane.high < 1


@pytest.mark.parametrize(
    "path",
    [None, [], "text", {}, 7, [None, 3], [[64, 0.3, 0.2, 0.4]], [[64, 0.3, 0.2], [128, 0.3, 0.2]], [["x"] * 4] * 9],
)
def test_fewer_than_two_looks_have_no_path(path: object) -> None:
    assert path_of(claim(path=path)) is None


def test_looks_that_are_none_are_left_out_and_the_others_put_in_order() -> None:
    spoilt = [
        LOOKS[3],
        [-5, 0.3, 0.2, 0.4],
        [9, 0.3, 0.4, 0.2],
        [float("nan"), 0.3, 0.2, 0.4],
        LOOKS[0],
        None,
        LOOKS[1],
    ]
    found = path_of(claim(path=spoilt))
    assert found is not None
    assert [row[0] for row in found.rows] == ["64", "128", "256"]


def test_the_table_keeps_the_last_of_many_looks() -> None:
    found = path_of(claim(path=[[64 * n, 0.3, 0.2, 0.4] for n in range(1, 49)]))
    assert found is not None
    assert len(found.rows) <= MOST_ROWS
    assert found.rows[-1][0] == "3,072"


@pytest.mark.parametrize("value", [0.0, 1.0, -3.5, 1e12])
def test_a_figure_that_never_moves_still_has_a_chart(value: float) -> None:
    found = path_of(claim(path=[[n, value, value, value] for n in (1, 2)], bound=value, scale=[value, value]))
    assert found is not None
    assert all(0 <= y <= SIDE for _, y in points(found.band))


class TestPlane:
    @pytest.mark.parametrize(
        ("ends", "texts"),
        [
            ((0.0, 1.0), ["0.00", "0.25", "0.50", "0.75", "1.00"]),
            ((0.0, 0.6), ["0.0", "0.2", "0.4", "0.6"]),
            ((-3.0, 3.0), ["−2", "0", "2"]),
            ((0.0012, 0.0019), ["0.0012", "0.0014", "0.0016", "0.0018"]),
            ((5.0, 5.0), ["5.00"]),
        ],
    )
    def test_numbers_upwards_are_round(self, ends: tuple[float, float], texts: list[str]) -> None:
        assert [tick.text for tick in Plane((0.0, 1.0), ends).ups] == texts

    def test_numbers_across_stay_inside(self) -> None:
        ticks = Plane((0.0, 4000.0), (0.0, 1.0)).acrosses
        assert [tick.text for tick in ticks] == ["0", "1,000", "2,000", "3,000", "4,000"]
        assert [tick.anchor for tick in ticks] == ["start", "middle", "middle", "middle", "end"]
        shares = Plane((0.0, 1.0), (0.0, 1.0), shares=True).acrosses
        assert [tick.text for tick in shares] == [f"{share}\xa0%" for share in (0, 25, 50, 75, 100)]

    @pytest.mark.parametrize(
        "ends", [(1e300, 1.1e300), (1e15, 1e15 + 1), (-1e-300, 1e-300), (0.0, 5e-324), (-1.7e308, 1.7e308)]
    )
    def test_spans_of_any_size_have_few_numbers(self, ends: tuple[float, float]) -> None:
        plane = Plane((0.0, 1.0), ends)
        assert len(plane.ups) <= 10
        assert all(0 <= plane.y(end) <= SIDE for end in ends)
