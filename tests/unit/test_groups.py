"""Groups: intervals as in scipy, verdicts that err as seldom as they say, and numbers of units that suffice."""

import dataclasses
import itertools
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from pytest_lime import OptionError
from pytest_lime.groups import Comparison, compare, rate_interval, too_few, units_needed

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator], dict[str, Any]]
LIGHT = [0.61, 0.66, 0.58, 0.63, 0.71, 0.55, 0.64]
DARK = [0.60, 0.62, 0.57, 0.66, 0.59]


def judged(*groups: Any, margin: float = 0.1, **given: Any) -> Comparison:
    """Compare groups that are called a, b and so on, of units that are numbered."""
    named = {chr(ord("a") + place): dict(enumerate(map(float, group))) for place, group in enumerate(groups)}
    return compare(named, margin=margin, **given)


def share(status: str, draw: Callable[[np.random.Generator], tuple[Any, ...]], runs: int, **given: Any) -> float:
    """Return how often a comparison of what is drawn ends with `status`."""
    return sum(judged(*draw(np.random.default_rng(seed)), **given).status == status for seed in range(runs)) / runs


def above(share_of: float, runs: int) -> float:
    """Return what a share of `share_of` is hardly ever above in so many runs: by chance once in a thousand."""
    return float(stats.binom.ppf(0.999, runs, share_of) / runs)


class TestMeans:
    def test_it_is_welchs_test(self) -> None:
        found = judged(LIGHT, DARK, margin=0.08, confidence=0.9)
        (pair,) = found.differences
        expected = stats.ttest_ind(LIGHT, DARK, equal_var=False)
        assert pair.estimate == pytest.approx(np.mean(LIGHT) - np.mean(DARK))
        assert pair.interval == pytest.approx(tuple(expected.confidence_interval(0.8)), abs=1e-12)
        assert pair.p_different == pytest.approx(expected.pvalue, abs=1e-12)
        one_sided = [
            stats.ttest_ind(np.subtract(LIGHT, shift), DARK, equal_var=False, alternative=side).pvalue
            for shift, side in [(-0.08, "greater"), (0.08, "less"), (0.08, "greater")]
        ]
        assert pair.p_equivalent == pytest.approx(max(one_sided[:2]), abs=1e-12)
        assert pair.p_beyond == pytest.approx(one_sided[2] + one_sided[0], abs=1e-12)

    def test_means_have_t_intervals(self) -> None:
        found = judged(LIGHT, DARK, confidence=0.9)
        for group, figures in zip(found.groups, (LIGHT, DARK), strict=True):
            expected = stats.ttest_1samp(figures, 0).confidence_interval(0.9)
            assert group.interval == pytest.approx(tuple(expected), abs=1e-12)
            assert group.mean == pytest.approx(np.mean(figures))
            assert group.figures == tuple(figures)
            assert group.units == tuple(range(len(figures)))

    @pytest.mark.parametrize(
        ("shift", "margin", "status"),
        [(0.0, 0.1, "pass"), (0.0, 0.03, "inconclusive"), (0.1, 0.1, "inconclusive"), (0.3, 0.1, "fail")],
    )
    @pytest.mark.parametrize("paired", [False, True])
    def test_status(self, shift: float, margin: float, status: str, paired: bool) -> None:
        rng = np.random.default_rng(0)
        first, second = rng.normal(0.5, 0.05, (2, 12))
        for groups in [(first + shift, second), (second, first + shift)]:
            found = judged(*groups, margin=margin, paired=paired)
            assert found.status == status
            (pair,) = found.differences
            assert (pair.p_equivalent <= 0.05) == (status == "pass")
            assert (pair.p_beyond <= 0.05) == (status == "fail")

    @pytest.mark.parametrize("given", [{}, {"paired": True}])
    def test_the_order_of_groups_turns_the_sign_alone(self, given: dict[str, Any]) -> None:
        (one,) = judged(LIGHT[:5], DARK, **given).differences
        (other,) = judged(DARK, LIGHT[:5], **given).differences
        low, high = other.interval
        assert one.interval == pytest.approx((-high, -low), abs=1e-15)
        for name in ("p_equivalent", "p_beyond", "p_different"):
            assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-15)

    def test_the_unit_of_the_figures_does_not_matter(self) -> None:
        (one,) = judged(LIGHT, DARK, margin=0.1).differences
        for scale in (1e-100, 1e12):
            (other,) = judged(np.multiply(LIGHT, scale), np.multiply(DARK, scale), margin=0.1 * scale).differences
            assert other.status == one.status
            assert other.p_equivalent == pytest.approx(one.p_equivalent)

    def test_that_groups_differ_is_a_note_and_no_verdict(self) -> None:
        rng = np.random.default_rng(0)
        found = judged(rng.normal(0.5, 0.05, 60), rng.normal(0.55, 0.05, 60), margin=0.1)
        assert found.status == "pass"
        assert found.notes == (
            f"'a' and 'b' do differ (p = {found.differences[0].p_different_holm:.2g}), be it by less than the margin",
        )

    def test_one_pair_beyond_fails_and_one_open_pair_leaves_it_open(self) -> None:
        rng = np.random.default_rng(0)
        near, far = rng.normal(0.5, 0.05, (2, 30))
        found = judged(near, near + 0.01, far + 0.4)
        assert [pair.status for pair in found.differences] == ["pass", "fail", "fail"]
        assert found.status == "fail"
        found = judged(near, near + 0.01, far + 0.1)
        assert {pair.status for pair in found.differences} == {"pass", "inconclusive"}
        assert found.status == "inconclusive"

    def test_holms_correction(self) -> None:
        rng = np.random.default_rng(1)
        found = judged(*(rng.normal(mean, 0.1, 8) for mean in (0.3, 0.45, 0.5, 0.7)), margin=0.05)
        for raw, corrected in [("p_beyond", "p_beyond_holm"), ("p_different", "p_different_holm")]:
            pairs = sorted(found.differences, key=lambda pair: getattr(pair, raw))
            most = 0.0
            for left, pair in zip(range(6, 0, -1), pairs, strict=True):
                most = max(most, min(1.0, left * getattr(pair, raw)))
                assert getattr(pair, corrected) == pytest.approx(most)

    def test_figures_of_one_source_are_averaged(self) -> None:
        pairs = [("cat", 0.2), ("dog", 0.9), ("cat", 0.4)]
        found = compare({"a": pairs, "b": {"cow": 0.1, "hen": 0.8}}, margin=0.1)
        assert found.groups[0].units == ("cat", "dog")
        assert found.groups[0].figures == pytest.approx((0.3, 0.9))


class TestPairs:
    @pytest.mark.parametrize("units", [5, 8, 13])
    def test_it_is_scipys_test_of_all_sign_flips(self, units: int) -> None:
        rng = np.random.default_rng(units)
        first, second = rng.normal(0.5, 0.1, (2, units))
        (pair,) = judged(first, second, margin=0.07, paired=True).differences

        def p_value(shift: float, side: str) -> float:
            found = stats.permutation_test(
                (first - second - shift,), np.mean, permutation_type="samples", alternative=side, n_resamples=np.inf
            )
            return float(found.pvalue)

        assert pair.p_different == pytest.approx(min(1, p_value(0, "two-sided")), abs=1e-12)
        assert pair.p_equivalent == pytest.approx(max(p_value(-0.07, "greater"), p_value(0.07, "less")), abs=1e-12)
        # The interval holds the shifts that are not rejected.
        low, high = pair.interval
        assert p_value(low - 1e-9, "greater") <= 0.05 < p_value(low + 1e-9, "greater")
        assert p_value(high + 1e-9, "less") <= 0.05 < p_value(high - 1e-9, "less")

    def test_of_many_pairs_flips_are_drawn(self) -> None:
        rng = np.random.default_rng(0)
        first, second = rng.normal(0.5, 0.1, (2, 600))
        seeds = [judged(first, second, paired=True, seed=seed).differences[0] for seed in (0, 0, 1)]
        assert seeds[0] == seeds[1] != seeds[2]
        # The spread of the mean is known to some 3 % from so many units and flips.
        expected = stats.ttest_rel(first, second).confidence_interval(0.9)
        np.testing.assert_allclose(seeds[0].interval, expected, rtol=0, atol=0.05 * np.ptp(expected))
        np.testing.assert_allclose(seeds[0].interval, seeds[2].interval, rtol=0, atol=0.05 * np.ptp(expected))

    def test_units_are_matched_by_name(self) -> None:
        first, second = {"x": 0.1, "y": 0.5, "z": 0.8}, {"z": 0.81, "x": 0.12, "y": 0.53}
        found = compare({"a": first, "b": second}, margin=0.1, paired=True)
        assert found.groups[1].units == ("x", "y", "z")
        assert found.differences[0].estimate == pytest.approx(-0.02)

    def test_what_all_units_share_does_not_count(self) -> None:
        rng = np.random.default_rng(0)
        first = rng.normal(0.5, 0.3, 10)
        second = first + rng.normal(0, 0.01, 10)
        assert judged(first, second, paired=True).status == "pass"
        assert judged(first, second).status == "inconclusive"

    @pytest.mark.parametrize(("confidence", "floor"), [(0.95, 5), (0.99, 7), (0.8, 3)])
    def test_too_few_flips_tell_nothing(self, confidence: float, floor: int) -> None:
        differences = 1e-4 * np.arange(1, floor + 1)
        few, enough = (
            judged(differences[:units], np.zeros(units), paired=True, confidence=confidence)
            for units in (floor - 1, floor)
        )
        assert enough.status == "pass"
        assert few.status == "inconclusive"
        assert few.differences[0].interval == (-math.inf, math.inf)
        assert few.notes[0] == f"{floor - 1} pairs are too few for a confidence of {confidence:g}"

    def test_it_takes_a_pair_more_to_fail(self) -> None:
        differences = 0.5 + 1e-4 * np.arange(6)
        few, enough = (judged(differences[:units], np.zeros(units), paired=True) for units in (5, 6))
        assert few.status == "inconclusive"
        assert enough.status == "fail"

    def test_flips_at_random_have_a_floor_too(self) -> None:
        rng = np.random.default_rng(0)
        found = judged(rng.normal(0, 0.01, 40), rng.normal(0, 0.01, 40), paired=True, confidence=0.99999)
        assert found.status == "inconclusive"
        assert found.notes == ("9,999 sign flips are too few for a confidence of 0.99999",)


def outcomes(*sizes: int) -> Iterator[tuple[tuple[int, ...], list[list[int]]]]:
    """Return every number of units for which something may hold, with the figures."""
    for held in itertools.product(*(range(size + 1) for size in sizes)):
        yield held, [[1] * one + [0] * (size - one) for one, size in zip(held, sizes, strict=True)]


class TestRates:
    @pytest.mark.parametrize(("held", "total"), [(0, 1), (0, 12), (3, 12), (12, 12), (250, 1000)])
    @pytest.mark.parametrize("confidence", [0.9, 0.99])
    def test_an_interval_is_that_of_clopper_and_pearson(self, held: int, total: int, confidence: float) -> None:
        expected = stats.binomtest(held, total).proportion_ci(confidence, "exact")
        assert rate_interval(held, total, confidence) == pytest.approx((expected.low, expected.high), abs=1e-9)

    @pytest.mark.parametrize(("held", "total"), [(1, 0), (-1, 3), (4, 3), (1.5, 3), ("1", 3)])
    def test_no_interval(self, held: Any, total: Any) -> None:
        with pytest.raises(OptionError, match="must be whole numbers, total at least 1 and held from 0 to total"):
            rate_interval(held, total)

    def test_they_are_known_by_their_figures(self) -> None:
        found = judged([True] * 9 + [False], [1] * 18 + [0] * 2, margin=0.5)
        assert found.rates
        assert found.groups[0].interval == rate_interval(9, 10)
        assert found.status == "pass"
        assert not judged([1, 0, 0.5], [1, 0]).rates
        assert not judged([1, 0, 0], [1, 0], rates=False).rates

    def test_an_interval_of_a_difference_joins_those_of_both(self) -> None:
        (pair,) = judged([1] * 9 + [0] * 3, [1] * 4 + [0] * 6).differences
        (low, high), (other_low, other_high) = rate_interval(9, 12, 0.9), rate_interval(4, 10, 0.9)
        expected = (
            0.35 - math.hypot(0.75 - low, other_high - 0.4),
            0.35 + math.hypot(high - 0.75, 0.4 - other_low),
        )
        assert pair.interval == pytest.approx(expected, abs=1e-12)

    def test_p_values_are_the_levels_at_which_the_interval_reaches(self) -> None:
        groups = [1] * 20 + [0] * 4, [1] * 30 + [0] * 4
        (pair,) = judged(*groups, margin=0.25).differences
        (reached,) = judged(*groups, margin=0.25, confidence=1 - pair.p_equivalent).differences
        assert reached.interval[0] == pytest.approx(-0.25, abs=1e-9)
        (reached,) = judged(*groups, confidence=1 - pair.p_different / 2).differences
        assert reached.interval[1] == pytest.approx(0, abs=1e-9)

    @pytest.mark.parametrize("sizes", [(2, 2), (5, 5), (12, 12), (6, 20)])
    @pytest.mark.parametrize("margin", [0.1, 0.3])
    def test_errors_are_at_most_alpha(self, sizes: tuple[int, int], margin: float) -> None:
        errors = {"pass": np.zeros(40), "fail": np.zeros(40)}
        lower = np.linspace(0, 1 - margin, 40)
        for (held, other), figures in outcomes(*sizes):
            found = judged(*figures, margin=margin)
            status = found.status
            assert (found.differences[0].p_equivalent <= 0.05) == (status == "pass")
            assert (found.differences[0].p_beyond <= 0.05) == (status == "fail")
            if status != "inconclusive":
                chance = stats.binom.pmf(held, sizes[0], lower + margin) * stats.binom.pmf(other, sizes[1], lower)
                errors[status] += chance
        assert max(errors["pass"].max(), errors["fail"].max()) <= 0.05

    @pytest.mark.parametrize("units", [4, 10, 16])
    @pytest.mark.parametrize("margin", [0.1, 0.3])
    def test_errors_of_pairs_are_at_most_alpha(self, units: int, margin: float) -> None:
        errors = {"pass": np.zeros(40), "fail": np.zeros(40)}
        other = np.linspace(0, (1 - margin) / 2, 40)
        chances = np.stack([other + margin, other, np.clip(1 - margin - 2 * other, 0, 1)], axis=-1)
        for one in range(units + 1):
            for two in range(units + 1 - one):
                same = units - one - two
                figures = [1] * one + [0] * two + [1] * same, [0] * one + [1] * two + [1] * same
                status = judged(*figures, margin=margin, paired=True).status
                if status != "inconclusive":
                    errors[status] += stats.multinomial.pmf([one, two, same], units, chances)
        assert max(errors["pass"].max(), errors["fail"].max()) <= 0.05

    def test_many_units_agree_with_the_normal_law(self) -> None:
        first, second = [1] * 5500 + [0] * 4500, [1] * 5000 + [0] * 5000
        half = 1.645 * math.sqrt(0.55 * 0.45 / 10_000 + 0.25 / 10_000)
        assert judged(first, second).differences[0].interval == pytest.approx((0.05 - half, 0.05 + half), abs=3e-4)
        # Alternating, so that the two hold independently of each other.
        second = [1, 0] * 5000
        assert judged(first, second, paired=True).differences[0].interval == pytest.approx(
            (0.05 - half, 0.05 + half), abs=3e-4
        )

    def test_a_margin_that_no_rates_can_differ_by(self) -> None:
        (pair,) = judged([1, 1], [0, 0], margin=2.0).differences
        assert (pair.status, pair.p_equivalent, pair.p_beyond) == ("pass", 0, 1)


class TestWithoutSpread:
    def test_rates_have_an_interval_even_so(self) -> None:
        found = judged([1] * 10, [1] * 10)
        assert found.status == "inconclusive"
        assert found.differences[0].interval[0] < -0.2
        assert judged([1] * 60, [1] * 60).status == "pass"
        assert judged([1] * 20, [0] * 20).status == "fail"
        assert judged([1] * 5, [1] * 5, paired=True).status == "inconclusive"
        assert judged([1] * 60, [1] * 60, paired=True).status == "pass"

    @pytest.mark.parametrize("other", [0.5, 0.9])
    @pytest.mark.parametrize("paired", [False, True])
    def test_means_have_no_verdict(self, other: float, paired: bool) -> None:
        # Thrice 0.1 and a tenth of 3 differ by rounding alone.
        found = judged([0.5, 0.5 + 1e-16, 0.1 + 0.2 + 0.2] * 20, [other] * 60, paired=paired)
        (pair,) = found.differences
        assert found.status == "inconclusive"
        assert pair.interval == (-math.inf, math.inf)
        assert (pair.p_equivalent, pair.p_beyond, pair.p_different) == (1, 1, 1)
        assert "so nothing is known of their spread" in found.notes[0]

    def test_one_group_takes_that_of_the_others(self) -> None:
        found = judged([2, 2, 2], [1, 2, 4, 2], [1, 3, 4, 2])
        spread = float(np.std([1, 3, 4, 2], ddof=1))
        assert np.std([1, 2, 4, 2], ddof=1) < spread
        expected = stats.ttest_ind_from_stats(2, spread, 3, 2.25, np.std([1, 2, 4, 2], ddof=1), 4, equal_var=False)
        assert found.differences[0].p_different == pytest.approx(expected.pvalue, abs=1e-12)
        assert found.groups[0].interval == pytest.approx(stats.t.interval(0.95, 2, 2, spread / math.sqrt(3)))
        assert found.notes == (
            f"all figures of 'a' are 2; its spread is taken to be {spread:.3g}, that of the group that spreads most",
        )

    def test_one_unit_tells_nothing(self) -> None:
        found = judged([0.5], [0.4, 0.6, 0.5])
        assert found.groups[0].interval == found.differences[0].interval == (-math.inf, math.inf)
        assert found.notes == ("'a' has one unit, which tells nothing of its mean",)


class TestErrorRates:
    """Of verdicts where the true difference is exactly the margin, with room for chance in so many runs."""

    @pytest.mark.parametrize(
        "draw",
        [
            lambda rng: (rng.normal(0.3, 0.2, 12), rng.normal(0, 0.2, 12)),
            lambda rng: (rng.normal(0.3, 0.4, 12), rng.normal(0, 0.1, 40)),
            lambda rng: (0.3 + rng.exponential(0.2, 20), rng.exponential(0.2, 20)),
            lambda rng: (rng.beta(8, 2, 25), rng.beta(5, 5, 40)),
            lambda rng: (rng.normal(0.3, 0.1, 9), rng.normal(0, 0.1, 9), rng.normal(0.2, 0.1, 9)),
        ],
        ids=["normal", "other sizes and spreads", "skewed", "shares", "three groups"],
    )
    def test_alike_by_mistake(self, draw: Any) -> None:
        assert share("pass", draw, 600, margin=0.3) <= above(0.05, 600)

    @pytest.mark.parametrize(
        "draw",
        [
            lambda rng: ((base := rng.normal(0, 0.5, 10)) + rng.normal(0.3, 0.1, 10), base),
            lambda rng: (0.3 + rng.exponential(0.1, 7), rng.exponential(0.1, 7)),
            lambda rng: (rng.standard_t(2, 10) + 0.3, np.zeros(10)),
        ],
        ids=["normal", "skewed", "outliers"],
    )
    def test_alike_by_mistake_in_pairs(self, draw: Any) -> None:
        assert share("pass", draw, 500, margin=0.3, paired=True) <= above(0.05, 500)

    @pytest.mark.parametrize("margin", [0.3, 0.05, 1e-4])
    def test_beyond_by_mistake(self, margin: float) -> None:
        def draw(rng: np.random.Generator) -> tuple[Array, ...]:
            return rng.normal(margin, 0.2, 15), rng.normal(0, 0.2, 20), rng.normal(margin, 0.3, 10)

        assert share("fail", draw, 400, margin=margin) <= above(0.05, 400)

    @pytest.mark.parametrize("margin", [0.3, 1e-4])
    def test_beyond_by_mistake_in_pairs(self, margin: float) -> None:
        def draw(rng: np.random.Generator) -> tuple[Array, ...]:
            return rng.normal(margin, 0.2, 8), np.zeros(8)

        assert share("fail", draw, 500, margin=margin, paired=True) <= above(0.05, 500)

    def test_what_strong_skew_costs(self) -> None:
        # As the docstring of `compare` says: twice α for means, 0.13 for pairs.
        def draw(rng: np.random.Generator) -> tuple[Array, ...]:
            return 0.3 + rng.exponential(0.2, 10), rng.exponential(0.2, 40)

        assert 0.06 <= share("pass", draw, 500, margin=0.3) <= above(0.1, 500)

        def draw_pairs(rng: np.random.Generator) -> tuple[Array, ...]:
            return 0.1 + rng.exponential(0.2, 10), np.zeros(10)

        assert 0.08 <= share("pass", draw_pairs, 500, margin=0.3, paired=True) <= above(0.13, 500)


class TestUnits:
    @pytest.mark.parametrize(
        ("groups", "margin", "paired"), [(2, 0.3, False), (2, 0.15, False), (3, 0.3, False), (2, 0.2, True)]
    )
    def test_so_many_pass_four_times_of_five(self, groups: int, margin: float, paired: bool) -> None:
        units = units_needed(groups, margin=margin, paired=paired)
        runs = 500

        def draw(rng: np.random.Generator) -> tuple[Array, ...]:
            return (
                (rng.normal(0, 0.2, units), np.zeros(units)) if paired else tuple(rng.normal(0, 0.2, (groups, units)))
            )

        # One unit more or less moves it by 6 % at most; chance moves it by 4 %.
        assert 0.76 <= share("pass", draw, runs, margin=margin, paired=paired) <= 0.88

    def test_more_are_needed_for_less_spread_margin_and_more_confidence_and_groups(self) -> None:
        numbers = [
            units_needed(margin=0.2),
            units_needed(margin=0.1),
            units_needed(3, margin=0.1),
            units_needed(3, margin=0.1, confidence=0.99),
            units_needed(3, margin=0.1, confidence=0.99, spread=0.3),
        ]
        assert numbers == sorted(set(numbers))
        assert units_needed(margin=0.1, spread=0.2) == units_needed(margin=10, spread=20)

    @pytest.mark.parametrize(("confidence", "floor"), [(0.95, 5), (0.99, 7), (0.875, 3)])
    def test_floors(self, confidence: float, floor: int) -> None:
        assert units_needed(margin=100, confidence=confidence) == 2
        assert units_needed(margin=100, confidence=confidence, paired=True) == floor

    @pytest.mark.parametrize(
        ("sizes", "given", "words"),
        [
            ({"a": 100, "b": 100}, {}, ""),
            ({"a": 23, "b": 23}, {}, ""),
            (
                {"a": 100, "b": 12, "c": 5},
                {},
                "too few units in 'b' (12) and 'c' (5): with a spread of 0.2 their difference would be known to "
                "±0.2 at best, and the margin is 0.1; about 91 are needed in each group",
            ),
            ({"a": 14, "b": 14}, {"paired": True}, ""),
            ({"a": 10, "b": 10}, {"paired": True}, "known to ±0.116 at best"),
            ({"a": 10, "b": 10}, {"spread": 0.05}, ""),
            ({"a": 1, "b": 9}, {"margin": 9.0}, "'a' (1): fewer than 2 tell nothing at a confidence of 0.95; about 2 "),
            ({"a": 9, "b": 0}, {"margin": 9.0}, "'b' (0): fewer than 2 tell nothing"),
            ({"a": 4, "b": 4}, {"margin": 9.0, "paired": True}, "'a' (4): fewer than 5 tell nothing"),
            ({"a": 5, "b": 5}, {"margin": 9.0, "paired": True}, ""),
        ],
    )
    def test_too_few(self, sizes: dict[str, int], given: dict[str, Any], words: str) -> None:
        told = too_few(sizes, **{"margin": 0.1, **given})
        assert words in told
        assert bool(told) == bool(words)

    def test_too_few_are_those_that_never_pass(self) -> None:
        def draw(rng: np.random.Generator) -> tuple[Array, ...]:
            return tuple(rng.normal(0, 0.2, (2, 8)))

        assert too_few({"a": 8, "b": 8}, margin=0.15)
        assert share("pass", draw, 300, margin=0.15) <= 0.1

    @pytest.mark.parametrize(
        ("groups", "given", "words"),
        [
            (1, {}, "groups=1 must be a whole number of at least 2"),
            (2.5, {}, "groups=2.5 must be"),
            (3, {"paired": True}, "groups=3 must be 2 where paired"),
            (2, {"spread": 0}, "spread=0 must be a number greater than 0"),
            (2, {"margin": -1}, "margin=-1 must be a number greater than 0"),
            (2, {"confidence": 1}, "confidence=1 must be a number between 0.5 and 1, both excluded"),
        ],
    )
    def test_misuse(self, groups: Any, given: dict[str, Any], words: str) -> None:
        with pytest.raises(OptionError) as caught:
            units_needed(groups, **{"margin": 0.1, **given})
        assert words in str(caught.value)
        if isinstance(groups, int):
            with pytest.raises(OptionError) as caught:
                too_few(dict.fromkeys("abc"[:groups], 5), **{"margin": 0.1, **given})
            assert words in str(caught.value)


class TestWords:
    def test_fail(self) -> None:
        rng = np.random.default_rng(0)
        near, far = rng.normal(0.5, 0.05, (2, 30))
        found = judged(near, near + 0.01, far + 0.4, statistic="mass")
        pair = found.differences[1]
        low, high = pair.interval
        told = f"'a' - 'c' is {pair.estimate:.3g}, interval {low:.3g} … {high:.3g}"
        assert found.headline == f"mass differs by more than 0.1 among 3 groups: {told} (and 1 more)"
        lines = found.message("lime-report/index.html").splitlines()
        assert lines[0] == found.headline + "."
        assert lines[1].startswith("  'a': mean 0.494, interval 0.479 … 0.509")
        assert lines[1].endswith(" (30 units)")
        proof = f"within: p = 1, beyond: p = {pair.p_beyond_holm:.2g}"
        assert lines[4] == f"  FAIL: {told}, needs to be within ±0.1 ({proof})"
        assert [line.split(":")[0].strip() for line in lines[4:7]] == ["FAIL", "FAIL", "PASS"]
        assert lines[-2] == (
            "  intervals at 0.95 confidence, of differences at 0.9, since each end is a test of its own"
        )
        assert lines[-1] == "  report: lime-report/index.html"

    def test_pass_and_open(self) -> None:
        found = judged(LIGHT, DARK, margin=0.2)
        assert found.headline == "the figure is alike in 2 groups: no two differ by 0.2 or more"
        assert found.leaning == ""
        found = judged(LIGHT, DARK, margin=0.03)
        assert found.headline.startswith("it is open whether the figure is alike in 2 groups to within 0.03: 'a' - 'b'")
        # The pair itself is in the headline.
        assert found.leaning == "the estimate alone holds"
        assert judged(LIGHT, DARK, margin=0.01).leaning == "the estimate alone fails"
        assert found.remedy == "add images"

    def test_several_open_pairs(self) -> None:
        figures = {name: dict(enumerate(values)) for name, values in {"a": LIGHT, "b": DARK, "c": DARK}.items()}
        first, *others = compare(figures, margin=0.03).leaning.split("; ")
        assert first.startswith("the estimate alone ")
        assert len(others) == 2
        assert all(one.startswith("'") and ", which alone " in one for one in others)

    def test_figures_that_are_all_the_same(self) -> None:
        found = judged([0.3] * 20, [0.3] * 20, paired=True)
        assert found.status == "inconclusive"
        assert found.remedy == "choose a statistic that differs from image to image, or compare rates"

    def test_what_is_not_known(self) -> None:
        told = judged([1, 0], [1, 0], paired=True, rates=False).message()
        assert "'a' - 'b' is 0, where it lies is not known, needs to be within ±0.1" in told
        assert "  the same units in both groups; intervals at" in told

    def test_many_pairs(self) -> None:
        told = judged(*(np.array(DARK) + shift for shift in range(6))).message()
        assert told.count("FAIL: ") == 10
        assert "  and 5 more pairs" in told

    def test_digits_that_tell_a_figure_from_the_margin(self) -> None:
        (first,) = judged([0.1, 0.2], [0.0, 0.1]).differences
        found = judged([0.10004, 0.20004], [0.0, 0.1])
        assert first.status == found.status == "inconclusive"
        assert "'a' - 'b' is 0.10004, " in found.headline

    @pytest.mark.parametrize("groups", [(LIGHT, DARK, LIGHT), ([1, 1, 0], [0, 1]), ([3, 3], [3, 3])])
    def test_json(self, groups: Any) -> None:
        found = judged(*groups)
        record = json.loads(json.dumps(found.as_dict(), allow_nan=False))
        assert {field.name for field in dataclasses.fields(found)} <= record.keys()
        assert (record["status"], record["headline"]) == (found.status, found.headline)
        assert [group["figures"] for group in record["groups"]] == [list(map(float, group)) for group in groups]
        assert record["groups"][0]["units"][:2] == ["0", "1"]
        ends = record["differences"][0]["interval"]
        assert ends == [None, None] if groups[0] == [3, 3] else ends == list(found.differences[0].interval)


@pytest.mark.parametrize(
    ("figures", "given", "words"),
    [
        ([0.1, 0.2], {}, "groups=[0.1, 0.2] must be at least two groups by name"),
        ({"a": {1: 0.5}}, {}, "must be at least two groups by name"),
        ({"a": {1: 0.5}, 3: {1: 0.5}}, {}, "group name 3 must be a text that is not empty"),
        ({"a": {1: 0.5}, "": {1: 0.5}}, {}, "group name '' must be"),
        ({"a": {1: 0.5}, "b": {}}, {}, "group 'b' is empty; give it at least one unit"),
        ({"a": {1: 0.5}, "b": [0.5, 0.6]}, {}, "group 'b': [0.5, 0.6] must be a mapping from unit to figure, or pairs"),
        ({"a": {1: 0.5}, "b": 3}, {}, "group 'b': 3 must be a mapping"),
        ({"a": {1: 0.5}, "b": [([], 0.5)]}, {}, "group 'b': [([], 0.5)] must be a mapping"),
        ({"a": {1: 0.5}, "b": {"x.png": math.nan}}, {}, "group 'b': the figure of 'x.png' is nan; it must be a finite"),
        ({"a": {1: 0.5}, "b": {"x.png": math.inf}}, {}, "the figure of 'x.png' is inf"),
        ({"a": {1: 0.5}, "b": {"x.png": None}}, {}, "the figure of 'x.png' is None"),
        ({"a": {1: 0.5}, "b": {"x.png": "0.5"}}, {}, "the figure of 'x.png' is '0.5'"),
        ({"a": {1: 0.5}, "b": {2: 0.5}}, {"margin": 0}, "margin=0 must be a number greater than 0"),
        ({"a": {1: 0.5}, "b": {2: 0.5}}, {"margin": math.inf}, "margin=inf must be"),
        ({"a": {1: 0.5}, "b": {2: 0.5}}, {"margin": "0.1"}, "margin='0.1' must be"),
        ({"a": {1: 0.5}, "b": {2: 0.5}}, {"margin": True}, "margin=True must be"),
        ({"a": {1: 0.5}, "b": {2: 0.5}}, {"confidence": 0.5}, "confidence=0.5 must be a number between 0.5 and 1"),
        ({"a": {1: 0.5}, "b": {2: 0.5}}, {"confidence": 95}, "confidence=95 must be"),
        ({"a": {1: 0.5}, "b": {2: 0.5}}, {"seed": -1}, "seed=-1 must be a whole number of at least 0"),
        ({"a": {1: 0.5}, "b": {2: 0.5}}, {"seed": "x"}, "seed='x' must be"),
        ({"a": {1: 0.5}, "b": {2: 1}}, {"rates": True}, "rates=True takes figures of 0 and 1, one is 0.5"),
        (
            {"a": {1: 0.5}, "b": {1: 0.5, "x.png": 0.5}},
            {"paired": True},
            "paired=True takes the same units in both groups, 'x.png' is in 'b' and not in 'a'",
        ),
        ({"a": {1: 0.5, 2: 0.1}, "b": {1: 0.5}}, {"paired": True}, "2 is in 'a' and not in 'b'"),
        (
            {"a": {1: 0.5}, "b": {1: 0.5}, "c": {1: 0.5}},
            {"paired": True},
            "paired=True takes two groups of the same units, there are 3",
        ),
    ],
)
def test_misuse(figures: Any, given: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError) as caught:
        compare(figures, **{"margin": 0.1, **given})
    assert words in str(caught.value)
