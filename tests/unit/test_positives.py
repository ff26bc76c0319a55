"""Positive parts: what they lean by, against integrals; and the interval of a share, against simulation and by hand."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, stats

from pytest_lime.positives import DOUBT, TAKEN, leaning, share_interval, straightened

Array = NDArray[np.float64]
GRID, STEP = np.linspace(-12, 12, 48_001, retstep=True)
DENSITY = stats.norm.pdf(GRID) * STEP


def average_of(true: float) -> float:
    """Return what `straightened` says on average of a value seen with a standard normal error."""
    return float(straightened(true + GRID)[0] @ DENSITY)


class TestStraightened:
    @pytest.mark.parametrize("true", [-3.0, -1.2, -0.5, 0.0, 0.3, 1.0, 1.2132, 2.0, 4.0])
    def test_it_is_off_by_0_131_at_most_and_the_plain_part_by_three_times_that(self, true: float) -> None:
        assert abs(average_of(true) - max(true, 0.0)) < 0.131
        plain = float(np.maximum(GRID, 0.0) @ DENSITY)
        assert plain == pytest.approx(0.3989, abs=1e-4)

    def test_what_is_taken_off_is_the_best_in_the_worst_case(self) -> None:
        def worst(taken: float) -> float:
            true = np.linspace(0, 4, 2001)
            lean = stats.norm.pdf(true) - true * stats.norm.sf(true)
            return float(np.abs(lean - taken * stats.norm.pdf(true / math.sqrt(2)) / math.sqrt(2)).max())

        best = optimize.minimize_scalar(worst, bounds=(0.5, 1.3), method="bounded")
        assert best.x == pytest.approx(TAKEN, abs=1e-3)
        assert worst(TAKEN) == pytest.approx(best.fun, abs=1e-4)

    def test_the_slope_is_the_derivative(self) -> None:
        steps = np.array([-4.0, -1.0, -0.2, 0.3, 1.0, 5.0])
        (above, _), (below, _) = straightened(steps + 1e-6), straightened(steps - 1e-6)
        np.testing.assert_allclose(straightened(steps)[1], (above - below) / 2e-6, atol=1e-8)

    def test_far_from_0_it_is_the_positive_part(self) -> None:
        steps = np.array([-1e300, -40.0, -9.0, 9.0, 40.0, 1e300])
        parts, slopes = straightened(steps)
        np.testing.assert_allclose(parts, np.maximum(steps, 0.0), atol=1e-15)
        np.testing.assert_allclose(slopes, steps > 0, atol=1e-15)


class TestLeaning:
    @pytest.mark.parametrize("true", [0.0, 0.5, 1.2133, 2.0, 3.0, 5.0])
    def test_it_bounds_what_is_off_at_every_true_value_in_doubt(self, true: float) -> None:
        off = abs(average_of(true) - true)
        seen = true + np.linspace(-DOUBT, DOUBT, 121)
        assert (leaning(seen) >= off - 1e-7).all()
        if true > 1.3:
            assert leaning(np.array([true + DOUBT]))[0] == pytest.approx(off, abs=1e-7)

    def test_it_falls_to_nothing(self) -> None:
        found = leaning(np.array([0.0, 3.0, 4.2, 4.5, 6.0, 9.0, 12.0, 1e300, np.inf]))
        assert found[0] == found[1] == pytest.approx(0.131, abs=1e-3)
        assert (np.diff(found) <= 0).all()
        assert (found[6:] < 1e-9).all()
        np.testing.assert_array_equal(found, leaning(-np.array([0.0, 3.0, 4.2, 4.5, 6.0, 9.0, 12.0, 1e300, np.inf])))


class TestShareInterval:
    def test_without_errors_it_is_the_share(self) -> None:
        weights, shares = np.array([0.3, 0.2, 0.5, -0.4]), np.array([1.0, 0.5, 0.0, 1.0])
        found = share_interval(weights, np.zeros((4, 4)), shares, reach=3.0, rounding=0.0)
        assert found == pytest.approx((0.4, 0.4), abs=1e-15)

    def test_rounding_alone(self) -> None:
        # 0.3 of 0.8: the sum 0.3 − 0.8 b may be off by 0.01 (|1 − b| + |0 − b|), the negative weight by nothing.
        weights, shares = np.array([0.3, 0.5, -0.4]), np.array([1.0, 0.0, 1.0])
        low, high = share_interval(weights, np.zeros((3, 3)), shares, reach=3.0, rounding=0.01)
        assert low == pytest.approx((0.3 - 0.01) / 0.8, abs=1e-8)
        assert high == pytest.approx((0.3 + 0.01) / 0.8, abs=1e-8)

    def test_two_sure_weights_have_fiellers_interval(self) -> None:
        weights, errors, shares = np.array([3.0, 1.0]), np.array([0.1, 0.1]), np.array([1.0, 0.0])
        found = share_interval(weights, np.diag(errors**2), shares, reach=2.0, rounding=0.0)
        # (3 (1 − b) − b)² = 4·0.01 ((1 − b)² + b²)
        roots = np.sort(np.roots([16 - 0.08, -24 + 0.08, 9 - 0.04]))
        assert found == pytest.approx(tuple(roots), abs=1e-6)

    @pytest.mark.parametrize(
        ("shares", "expected"), [([0.0, 0.0, 0.0], (0.0, 0.0)), ([1.0, 1.0, 1.0], (1.0, 1.0))], ids=["none", "all"]
    )
    def test_a_region_of_nothing_and_of_everything(self, shares: list[float], expected: tuple[float, float]) -> None:
        covariance = np.eye(3) * 0.01
        found = share_interval(np.array([2.0, 1.0, 3.0]), covariance, np.array(shares), reach=2.0, rounding=0.0)
        assert found == pytest.approx(expected, abs=1e-9)

    @pytest.mark.parametrize("share", [0.0, 1.0])
    def test_what_is_all_inside_or_all_outside_is_so_exactly(self, share: float) -> None:
        rng = np.random.default_rng(0)
        for _ in range(50):
            root = rng.standard_normal((20, 20)) * 0.02
            weights = rng.standard_normal(20) + 1
            found = share_interval(weights, root @ root.T, np.full(20, share), reach=2.0, rounding=1e-9)
            assert found == (share, share)

    def test_where_the_positive_weight_may_be_none_it_says_nothing(self) -> None:
        weights, shares = np.array([0.1, -0.2, 0.05]), np.array([1.0, 0.0, 0.0])
        assert share_interval(weights, np.eye(3), shares, reach=2.0, rounding=0.0) == (0.0, 1.0)

    @pytest.mark.parametrize("scale", [1e-9, 1e6])
    def test_the_unit_does_not_matter(self, scale: float) -> None:
        weights, shares = np.array([0.5, 0.2, 0.1, -0.1]), np.array([1.0, 0.3, 0.0, 0.5])
        plain = share_interval(weights, np.eye(4) * 1e-4, shares, reach=3.0, rounding=1e-6)
        scaled = share_interval(weights * scale, np.eye(4) * 1e-4 * scale**2, shares, reach=3.0, rounding=1e-6 * scale)
        assert scaled == pytest.approx(plain, abs=1e-7)

    def test_more_reach_is_wider(self) -> None:
        weights, shares = np.array([0.5, 0.2, 0.1, -0.1]), np.array([1.0, 0.3, 0.0, 0.5])
        found = [share_interval(weights, np.eye(4) * 1e-4, shares, reach=reach, rounding=0.0) for reach in (1, 2, 3)]
        assert found[0][0] > found[1][0] > found[2][0]
        assert found[0][1] < found[1][1] < found[2][1]

    @pytest.mark.parametrize("nulls", [0, 10, 50])
    @pytest.mark.parametrize("correlated", [False, True])
    def test_it_holds_the_truth_as_often_as_promised(self, nulls: int, correlated: bool) -> None:
        """Two strong weights, two weak ones and many of 0: one of each and half of the others lie inside."""
        rng = np.random.default_rng(nulls)
        weights = np.concatenate([[8.0, 6.0, 1.0, 1.0], np.zeros(nulls)])
        shares = np.concatenate([[1.0, 0.0, 1.0, 0.0], np.arange(nulls) % 2])
        d = len(weights)
        root = np.eye(d) + (rng.standard_normal((d, d)) * 0.5 / math.sqrt(d) if correlated else 0)
        truth, runs = 9 / 16, 2000
        reach = float(stats.norm.isf(0.05))
        missed_low = missed_high = 0
        for noise in rng.standard_normal((runs, d)) @ root.T:
            low, high = share_interval(weights + noise, root @ root.T, shares, reach=reach, rounding=0.0)
            missed_low, missed_high = missed_low + (truth < low), missed_high + (truth > high)
        # 5 % to either side, and 3 standard errors of so many runs.
        assert max(missed_low, missed_high) / runs < 0.05 + 0.015

    @pytest.mark.parametrize("true", [0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0])
    @pytest.mark.parametrize("inside", [True, False])
    def test_a_weak_weight_alone_is_held(self, true: float, inside: bool) -> None:
        """Beside a strong one: drawn below 0 it does not move its estimate, and still may lie above."""
        rng = np.random.default_rng(int(4 * true))
        weights, shares = np.array([true, 20.0]), np.array([1.0, 0.0] if inside else [0.0, 1.0])
        truth, runs = float(weights @ shares / weights.sum()), 3000
        ends = [
            share_interval(weights + noise, np.eye(2), shares, reach=1.96, rounding=0.0)
            for noise in rng.standard_normal((runs, 2))
        ]
        low, high = np.array(ends).T
        # 2.5 % to either side, and 3 standard errors of so many runs.
        assert max((truth < low).mean(), (truth > high).mean()) < 0.025 + 0.009

    @pytest.mark.parametrize("count", [1, 3, 12])
    @pytest.mark.parametrize("true", [0.5, 1.5])
    @pytest.mark.parametrize("rest", [0.0, -4.0])
    @pytest.mark.parametrize("common", [0.0, 0.5, 0.95])
    def test_a_few_weak_ones_among_many_are_held(self, count: int, true: float, rest: float, common: float) -> None:
        """Of a sum of few parts, one alone may mislead: drawn below 0 it says little of its own error.

        And of parts whose errors rise and fall together, all may: superpixels do that of which a network needs all.
        """
        rng = np.random.default_rng([count, int(2 * true)])
        weights, shares = np.full(40, rest), np.arange(40.0) < count
        weights[:count], weights[-1] = true, 30.0
        covariance = np.where(np.outer(shares, shares), common, 0.0)
        np.fill_diagonal(covariance, 1.0)
        positive = np.maximum(weights, 0)
        truth, runs = float(positive @ shares / positive.sum()), 400
        ends = [
            share_interval(weights + noise, covariance, shares.astype(float), reach=1.645, rounding=0.0)
            for noise in rng.standard_normal((runs, 40)) @ np.linalg.cholesky(covariance).T
        ]
        low, high = np.array(ends).T
        # 5 % to either side, and 2 standard errors of so many runs.
        assert max((truth < low).mean(), (truth > high).mean()) < 0.05 + 0.022

    @pytest.mark.parametrize("reach", [1.0, 1.96, 3.13, 4.4])
    def test_a_share_rises_with_its_weight_and_never_less_than_its_weight_alone_may(self, reach: float) -> None:
        seen = np.linspace(-8, 8, 161)
        shares = np.array([1.0, 0.0])
        ends = [share_interval(np.array([one, 40.0]), np.eye(2), shares, reach=reach, rounding=0.0) for one in seen]
        low, high = np.array(ends).T
        assert (np.diff(low) >= -1e-9).all()
        # What a part leans by falls with what is seen far below 0, and the end with it, a little.
        assert (np.diff(high) >= -0.0025).all()
        # The strong one, at its lower end, would leave it more.
        assert (high >= np.maximum(seen + reach, 0) / (np.maximum(seen + reach, 0) + 40) - 1e-6).all()

    def test_the_plain_share_would_not_hold_it(self) -> None:
        """What the estimate is straightened for: with 50 weights of 0 outside, noise pulls a share of 1 below 0.8."""
        rng = np.random.default_rng(0)
        weights = np.concatenate([[30.0], np.zeros(50)])
        shares = (np.arange(51) == 0).astype(float)
        positive = np.maximum(weights + rng.standard_normal((500, 51)), 0)
        assert float((positive @ shares / positive.sum(axis=1)).max()) < 0.8
        held = [
            share_interval(seen, np.eye(51), shares, reach=2.0, rounding=0.0)[1] == 1.0
            for seen in weights + rng.standard_normal((200, 51))
        ]
        assert np.mean(held) > 0.97
