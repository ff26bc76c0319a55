"""Rankings: the overlap of a region with the strongest superpixels, and what errors of the weights leave of it."""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from pytest_lime.rankings import Differences, Order, comparisons, iou, iou_bounds, overlap_bounds, overlap_comparisons

Array = NDArray[np.float64]


def differences_of(low: Array, high: Array) -> Differences:
    """Return what is sure, at any reach, where all that is known is an interval of each weight."""
    sure = (low[:, None] > high[None, :], low > 0, high <= 0)
    return Differences(*(np.where(each, np.inf, -np.inf) for each in sure))


def order_of(low: Array, high: Array) -> Order:
    """Return the order of such weights."""
    return differences_of(low, high).order(1.0)


def bounds_of(low: Array, high: Array, inside: NDArray[np.bool_], k: int) -> tuple[float, float]:
    """Return the bounds of the overlap of such weights."""
    return overlap_bounds(differences_of(low, high), inside, k, lambda comparisons: 1.0)


def noting(asked: list[int]) -> Callable[[int], float]:
    """Return a reach of 1 that notes of how many comparisons it was asked."""

    def reach(count: int) -> float:
        asked.append(count)
        return 1.0

    return reach


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
        least, most = iou_bounds(order_of(low, high), inside, outside, k)
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
        assert iou_bounds(order_of(weights, weights), inside, outside, k) == pytest.approx((found, found), abs=1e-12)

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
        found = iou_bounds(order_of(np.full(d, -1.0), np.full(d, 1.0)), inside, outside, k)
        assert found == pytest.approx((min(every), max(every)), abs=1e-12)

    def test_wider_intervals_leave_more(self) -> None:
        weights, inside = np.array([0.6, 0.5, 0.4, -0.2]), np.array([25.0, 0.0, 25.0, 0.0])
        ends = [
            iou_bounds(order_of(weights - half, weights + half), inside, 25 - inside, 2) for half in (0.04, 0.06, 1.0)
        ]
        # One in and one out; or both in; or the two that are out.
        assert ends == [(1 / 3, 1 / 3), (1 / 3, 1.0), (0.0, 1.0)]

    def test_nothing_positive(self) -> None:
        inside = np.array([25.0, 0.0])
        assert iou_bounds(order_of(np.array([-2.0, -2.0]), np.array([-1.0, 0.0])), inside, 25 - inside, 2) == (0.0, 0.0)

    def test_where_all_are_surely_positive_no_place_stays_empty(self) -> None:
        low, high, inside = np.array([0.1, 0.1]), np.array([1.0, 1.0]), np.array([10.0, 5.0])
        found = iou_bounds(order_of(low, high), inside, np.array([0.0, 5.0]), 1)
        # The second alone, or the first alone.
        assert found == pytest.approx((5 / 20, 10 / 15), abs=1e-12)


class TestOrder:
    def test_by_hand(self) -> None:
        # Standard errors 0.1, 0.1 and 0.3; the first two rise and fall together, so their difference has none.
        covariance = np.array([[0.01, 0.01, 0.0], [0.01, 0.01, 0.0], [0.0, 0.0, 0.09]])
        order = Differences.of(np.array([0.5, 0.45, -0.7]), covariance, rounding=0.01).order(2.0)
        assert order.ahead.tolist() == [[False, True, True], [False, False, True], [False, False, False]]
        assert order.positive.tolist() == [True, True, False]
        assert order.negative.tolist() == [False, False, True]

    def test_a_difference_needs_less_than_two_intervals_that_part(self) -> None:
        # Errors of 1 each: their difference has √2, and the intervals would have to part by 2·2.
        for gap, known in ((2.7, False), (2.9, True)):
            order = Differences.of(np.array([gap, 0.0]), np.eye(2), rounding=0.0).order(2.0)
            assert bool(order.ahead[0, 1]) is known

    @pytest.mark.parametrize("rounding", [0.0, 0.05])
    def test_without_errors_it_is_the_order_but_for_rounding(self, rounding: float) -> None:
        weights = np.array([0.3, 0.3, 0.35, -0.2, 0.0])
        order = Differences.of(weights, np.zeros((5, 5)), rounding=rounding).order(3.0)
        np.testing.assert_array_equal(order.ahead, weights[:, None] - weights[None, :] > 2 * rounding)
        np.testing.assert_array_equal(order.positive, weights > rounding)
        np.testing.assert_array_equal(order.negative, weights <= -rounding)

    def test_superpixels_that_the_masks_do_not_tell_are_anywhere(self) -> None:
        covariance = np.diag([0.0, np.inf, 0.0])
        covariance[1], covariance[:, 1] = np.inf, np.inf
        order = Differences.of(np.array([9.0, 0.0, 1.0]), covariance, rounding=0.0).order(3.0)
        assert order.ahead.tolist() == [[False, False, True], [False] * 3, [False] * 3]
        assert order.positive.tolist() == [True, False, True]
        assert not order.negative.any()
        surely, maybe = order.strongest(1)
        assert (surely.tolist(), maybe.tolist()) == ([False] * 3, [True, True, False])

    @pytest.mark.parametrize("k", [1, 3, 6])
    def test_the_strongest_are_right_as_often_as_promised(self, k: int) -> None:
        """Weights of which many tie, seen with correlated errors; all comparisons at 0.1 together."""
        rng = np.random.default_rng(k)
        weights = np.array([1.0, 1.0, 0.8, 0.5, 0.5, 0.5, 0.0, 0.0, 0.0, -0.5])
        root = rng.standard_normal((10, 10)) * 0.05 + np.eye(10) * 0.1
        reach = float(stats.norm.isf(0.1 / comparisons(10, k)))
        runs, wrong = 4000, 0
        for noise in rng.standard_normal((runs, 10)) @ root.T:
            order = Differences.of(weights + noise, root @ root.T, rounding=0.0).order(reach)
            surely, maybe = order.strongest(k)
            # Whichever way ties are broken: those above the k-th are in, those below it are not.
            edge = np.sort(weights)[-k]
            wrong += bool((surely & (weights < edge)).any() or (~surely & ~maybe & (weights > edge)).any())
            wrong += bool((order.positive & (weights < 0)).any() or (order.negative & (weights > 0)).any())
        assert wrong / runs < 0.1


def possible_counts(low: list[float], high: list[float], inside: NDArray[np.bool_], k: int) -> tuple[int, int]:
    """Least and greatest overlap over every choice of interval ends, ties broken either way."""
    least, most = k, 0
    for ends in itertools.product((0, 1), repeat=len(low)):
        weights = [(low, high)[end][j] for j, end in enumerate(ends)]
        against = sorted(range(len(low)), key=lambda j: (-weights[j], bool(inside[j])))[:k]
        towards = sorted(range(len(low)), key=lambda j: (-weights[j], not inside[j]))[:k]
        least = min(least, int(inside[against].sum()))
        most = max(most, int(inside[towards].sum()))
    return least, most


INTERVALS = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 4), st.booleans()), min_size=2, max_size=6)


class TestOverlapBounds:
    @settings(deadline=None, max_examples=200)
    @given(intervals=INTERVALS, data=st.data())
    def test_no_weights_within_their_intervals_overlap_less_or_more(
        self, intervals: list[tuple[int, int, bool]], data: st.DataObject
    ) -> None:
        k = data.draw(st.integers(1, len(intervals)))
        low = [float(start) for start, _, _ in intervals]
        high = [float(start + length) for start, length, _ in intervals]
        inside = np.array([side for _, _, side in intervals])
        least, most = bounds_of(np.array(low), np.array(high), inside, k)
        worst, best = possible_counts(low, high, inside, k)
        assert 0 <= least <= worst
        assert best <= most <= min(k, int(inside.sum()))

    @settings(deadline=None, max_examples=100)
    @given(values=st.lists(st.integers(1, 1000), min_size=2, max_size=6, unique=True), data=st.data())
    def test_without_overlapping_intervals_the_count_is_known(self, values: list[int], data: st.DataObject) -> None:
        k = data.draw(st.integers(1, len(values)))
        inside = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))))
        weights = np.array(values, dtype=float)
        count = int(inside[np.argsort(-weights)[:k]].sum())
        assert bounds_of(weights - 0.4, weights + 0.4, inside, k) == (count, count)

    @pytest.mark.parametrize(
        ("k", "n_inside", "bounds"), [(1, 2, (0, 1)), (3, 2, (0, 2)), (4, 2, (1, 2)), (5, 2, (2, 2))]
    )
    def test_equal_intervals_leave_what_counting_allows(self, k: int, n_inside: int, bounds: tuple[int, int]) -> None:
        inside = np.arange(5) < n_inside
        assert bounds_of(np.ones(5), np.full(5, 2.0), inside, k) == bounds

    @pytest.mark.parametrize(
        ("intervals", "inside", "k", "bounds"),
        [
            # Only the second may pass the first, so of two places the first has one.
            ([(11, 13), (2, 14), (1, 6)], [True, False, False], 2, (1, 1)),
            # The third lies below the first, whatever the second does.
            ([(6, 10), (2, 7), (1, 5)], [False, False, True], 1, (0, 0)),
            ([(6, 10), (2, 7), (1, 6)], [False, False, True], 1, (0, 1)),
        ],
    )
    def test_one_rival_more_or_less_decides(
        self, intervals: list[tuple[float, float]], inside: list[bool], k: int, bounds: tuple[float, float]
    ) -> None:
        low, high = np.array(intervals, dtype=float).T
        assert bounds_of(low, high, np.array(inside), k) == bounds
        assert possible_counts(list(low), list(high), np.array(inside), k) == bounds


@st.composite
def overlaps(draw: st.DrawFn) -> tuple[int, int, int, int]:
    """Draw numbers of superpixels inside and outside, k, and an overlap that they allow."""
    inside, outside = draw(st.integers(1, 40)), draw(st.integers(0, 40))
    k = draw(st.integers(1, inside + outside))
    return inside, outside, k, draw(st.integers(0, min(k, inside)))


class TestOverlapComparisons:
    @pytest.mark.parametrize(
        ("inside", "outside", "k", "overlap", "expected"),
        [
            # Two of the inside against the other two of the four, and these two against 33 and 0 each.
            (10, 35, 4, 2, 2 * 8 + 2 * (33 + 1)),
            (10, 35, 4, 0, 4 * 10),
            (10, 35, 4, 4, 4 * (35 + 1)),
            # One of the three places stays empty, whatever lies outside: only signs can mislead.
            (3, 1, 3, 1, 2 + 1),
            (0, 5, 3, 0, 0),
        ],
    )
    def test_by_hand(self, inside: int, outside: int, k: int, overlap: int, expected: int) -> None:
        assert overlap_comparisons(inside, outside, k, overlap) == expected

    @given(overlaps())
    def test_they_are_never_more_than_those_of_the_whole_ranking(self, case: tuple[int, int, int, int]) -> None:
        inside, outside, k, _ = case
        assert overlap_comparisons(*case) <= comparisons(inside + outside, k)

    @pytest.mark.parametrize("reach", [0.02, 1.0, 4.0])
    @pytest.mark.parametrize("seed", range(6))
    def test_bounds_hold_the_estimate_whatever_the_errors(self, seed: int, reach: float) -> None:
        """Errors of any correlation, none at all, and superpixels that the masks do not tell; rounding and ties."""
        rng = np.random.default_rng(seed)
        for _ in range(60):
            d = int(rng.integers(1, 12))
            weights, inside, k = rng.integers(-3, 4, d) / 4, rng.random(d) < 0.4, int(rng.integers(1, d + 1))
            root = rng.standard_normal((d, int(rng.integers(1, d + 1)))) * rng.choice([0.0, 0.01, 0.3])
            covariance = root @ root.T
            if rng.random() < 0.3:
                untold = rng.integers(d)
                covariance[untold], covariance[:, untold] = np.inf, np.inf
            differences = Differences.of(weights, covariance, rounding=float(rng.choice([0.0, 0.01, 0.3])))
            least, most = overlap_bounds(differences, inside, k, lambda count: reach * math.sqrt(count))
            estimate = int((inside & (weights > 0))[np.argsort(-weights, kind="stable")[:k]].sum())
            assert 0 <= least <= estimate <= most <= min(k, int(inside.sum()))

    def test_no_end_rests_on_less_than_two_comparisons(self) -> None:
        asked: list[int] = []
        differences = differences_of(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
        assert overlap_bounds(differences, np.array([True, False]), 1, noting(asked)) == (0, 1)
        assert min(asked) == 2

    def test_each_number_is_tried_with_the_comparisons_that_can_mislead_about_it(self) -> None:
        """Ten of 45 superpixels inside, and the order of all is sure: three of the four strongest lie inside."""
        asked: list[int] = []
        inside = np.isin(np.arange(45), [0, 2, 3, *range(10, 17)])
        weights = np.arange(45.0, 0.0, -1.0)
        assert overlap_bounds(differences_of(weights - 0.1, weights + 0.1), inside, 4, noting(asked)) == (3, 3)
        # From none upwards until four fail, and from four downwards, where what is known to lie inside is not tried.
        assert asked == [40, 60, 84, 112, 144]

    @pytest.mark.parametrize("spread", [0.05, 0.3])
    @pytest.mark.parametrize("inside", [[0, 3, 6], [0, 1, 2, 3], [2, 4, 5, 6, 7], [9], [1, 3, 5, 7, 9], range(10)])
    @pytest.mark.parametrize("k", [1, 3, 6])
    def test_bounds_are_right_as_often_as_promised(self, k: int, inside: Sequence[int], spread: float) -> None:
        """Weights of which many tie, seen with correlated errors, at 0.1 for both ends together."""
        rng = np.random.default_rng([k, len(inside)])
        weights = np.array([1.0, 1.0, 0.8, 0.5, 0.5, 0.5, 0.0, 0.0, 0.0, -0.5])
        root = rng.standard_normal((10, 10)) * spread / 2 + np.eye(10) * spread
        side = np.isin(np.arange(10), list(inside))
        # Whichever way ties are broken.
        possible = possible_counts([*weights], [*weights], side & (weights > 0), k)
        runs, wrong = 1000, 0
        for noise in rng.standard_normal((runs, 10)) @ root.T:
            differences = Differences.of(weights + noise, root @ root.T, rounding=0.0)
            least, most = overlap_bounds(differences, side, k, lambda count: float(stats.norm.isf(0.1 / count)))
            wrong += least > possible[1] or most < possible[0]
        assert wrong / runs < 0.1
