"""Rankings: the overlap of a region with the strongest superpixels, and what intervals of the weights leave of it."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from pytest_lime.rankings import iou, iou_bounds

Array = NDArray[np.float64]


def strongest(weights: Array, k: int) -> NDArray[np.bool_]:
    """Return which superpixels are among the `k` of largest weight, and of a positive one."""
    chosen = np.zeros(len(weights), dtype=bool)
    chosen[np.argsort(-weights, kind="stable")[:k]] = True
    return chosen & (weights > 0)


def a_case(rng: np.random.Generator) -> tuple[Array, Array, Array, Array, int]:
    """Return low and high ends, pixels inside and outside, and k; coarse, so that ties and zeros are met."""
    d = int(rng.integers(1, 8))
    middle = rng.integers(-3, 4, d) / 4
    half = rng.choice([0.0, 0.125, 0.25, 0.5, 1.0], d)
    inside = rng.choice([0.0, 0.0, 5.0, 12.0, 25.0], d)
    inside[rng.integers(d)] = 25.0
    outside = np.where(inside == 25, 0.0, 25 - inside)
    return middle - half, middle + half, inside, outside, int(rng.integers(1, d + 1))


class TestIou:
    @pytest.mark.parametrize(
        ("chosen", "expected"),
        [
            ([True, False, False], 10 / 14),
            ([True, True, False], 14 / 20),
            ([True, True, True], 14 / 30),
            ([False, False, True], 0.0),
            ([False, False, False], 0.0),
        ],
    )
    def test_by_hand(self, chosen: list[bool], expected: float) -> None:
        inside, outside = np.array([10.0, 4.0, 0.0]), np.array([0.0, 6.0, 10.0])
        assert iou(np.array(chosen), inside, outside) == pytest.approx(expected, abs=1e-12)

    def test_the_region_itself_is_1(self) -> None:
        inside, outside = np.array([9.0, 9.0, 0.0]), np.array([0.0, 0.0, 9.0])
        assert iou(np.array([True, True, False]), inside, outside) == 1.0


class TestIouBounds:
    @pytest.mark.parametrize("seed", range(300))
    def test_they_hold_whatever_the_intervals_allow(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        low, high, inside, outside, k = a_case(rng)
        least, most = iou_bounds(low, high, inside, outside, k)
        assert 0 <= least <= most <= 1
        ends = [low + (high - low) * np.array(corner) for corner in itertools.product((0.0, 1.0), repeat=len(low))]
        drawn = [low + (high - low) * rng.random(len(low)) for _ in range(60)]
        for weights in [*ends, *drawn]:
            found = iou(strongest(weights, k), inside, outside)
            assert least - 1e-12 <= found <= most + 1e-12

    @pytest.mark.parametrize("seed", range(100))
    def test_without_width_they_are_the_figure_itself(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        _, _, inside, outside, k = a_case(rng)
        weights = rng.permutation(np.linspace(-0.9, 1, len(inside)))
        found = iou(strongest(weights, k), inside, outside)
        assert iou_bounds(weights, weights, inside, outside, k) == pytest.approx((found, found), abs=1e-12)

    @pytest.mark.parametrize("seed", range(100))
    def test_they_are_reached_where_nothing_is_known(self, seed: int) -> None:
        # Any set of at most k superpixels is possible then, and the extremes are those of an enumeration.
        rng = np.random.default_rng(seed)
        _, _, inside, outside, k = a_case(rng)
        d = len(inside)
        sets = [
            np.isin(np.arange(d), members)
            for count in range(k + 1)
            for members in itertools.combinations(range(d), count)
        ]
        every = [iou(chosen, inside, outside) for chosen in sets]
        found = iou_bounds(np.full(d, -1.0), np.full(d, 1.0), inside, outside, k)
        assert found == pytest.approx((min(every), max(every)), abs=1e-12)

    def test_wider_intervals_leave_more(self) -> None:
        weights, inside = np.array([0.6, 0.5, 0.4, -0.2]), np.array([25.0, 0.0, 25.0, 0.0])
        ends = [iou_bounds(weights - half, weights + half, inside, 25 - inside, 2) for half in (0.04, 0.06, 1.0)]
        # One in and one out; or both in; or the two that are out.
        assert ends == [(1 / 3, 1 / 3), (1 / 3, 1.0), (0.0, 1.0)]

    def test_nothing_positive(self) -> None:
        inside = np.array([25.0, 0.0])
        assert iou_bounds(np.array([-2.0, -2.0]), np.array([-1.0, 0.0]), inside, 25 - inside, 2) == (0.0, 0.0)

    def test_where_all_are_surely_positive_no_place_stays_empty(self) -> None:
        low, high, inside = np.array([0.1, 0.1]), np.array([1.0, 1.0]), np.array([10.0, 5.0])
        found = iou_bounds(low, high, inside, np.array([0.0, 5.0]), 1)
        # The second alone, or the first alone.
        assert found == pytest.approx((5 / 20, 10 / 15), abs=1e-12)
