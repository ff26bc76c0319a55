"""What an explanation says of itself: the strongest, shares, overlaps and their intervals."""

import copy
import itertools
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pytest_lime import Box, Explanation, Mask, OptionError, RegionError, TargetError, whole
from pytest_lime.explanation import Figure, find_class, normal_quantile, overlap_bounds

Build = Callable[..., Explanation]
LEFT, RIGHT = Box(0, 0, 10, 10), Box(10, 0, 20, 10)  # of 4×2 cells of 5×5 pixels
WEIGHTS = [0.5, -0.2, 0.1, 0.0, 0.3, -0.4, 0.05, -0.01]
# Sums of a handful of float64 numbers of size 1.
EXACT = 1e-12


class TestFigure:
    FIGURE = Figure(0.42, interval=(0.31, 0.53), words="0.42 of the weight", samples=1000, confidence=0.95)

    def test_it_is_a_number(self) -> None:
        assert self.FIGURE == 0.42
        assert self.FIGURE >= 0.4
        assert not self.FIGURE > 0.5
        assert pytest.approx(1.42) == self.FIGURE + 1
        assert isinstance(self.FIGURE, float)
        assert f"{self.FIGURE:.1f}" == "0.4"
        assert hash(self.FIGURE) == hash(0.42)

    def test_it_shows_its_interval(self) -> None:
        assert repr(self.FIGURE) == str(self.FIGURE) == "0.42 [0.31, 0.53]"

    @pytest.mark.parametrize("duplicate", [lambda figure: pickle.loads(pickle.dumps(figure)), copy.copy, copy.deepcopy])
    def test_it_travels_whole(self, duplicate: Callable[[Figure], Figure]) -> None:
        other = duplicate(self.FIGURE)
        assert type(other) is Figure
        assert other == self.FIGURE
        assert vars(other) == vars(self.FIGURE)


class TestWeights:
    def test_shapes_and_sums(self, explanation_of: Build) -> None:
        explanation = explanation_of([WEIGHTS, [-w for w in WEIGHTS]], targets=(2, 0), error=0.1)
        assert explanation.superpixels == 8
        assert explanation.standard_errors.shape == (2, 8)
        assert explanation.interval.shape == (2, 8, 2)
        np.testing.assert_allclose(explanation.local_pred, [0.125 + sum(WEIGHTS), 0.125 - sum(WEIGHTS)], atol=EXACT)
        np.testing.assert_array_equal(explanation.score, [0.1, 0.7])

    @pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
    def test_intervals_are_normal(self, explanation_of: Build, confidence: float) -> None:
        explanation = explanation_of(WEIGHTS, error=0.1, confidence=confidence)
        half = (explanation.interval[0, :, 1] - explanation.interval[0, :, 0]) / 2
        z = {0.8: 1.2815516, 0.95: 1.9599640, 0.999: 3.2905267}[confidence]  # printed tables
        # The millionth of the largest weight comes on top.
        np.testing.assert_allclose(half, 0.1 * z + 0.5e-6, atol=1e-8)

    def test_many_intervals_at_once_are_wider(self, explanation_of: Build) -> None:
        explanation = explanation_of(WEIGHTS, error=0.1)
        assert normal_quantile(0.95, 8) == pytest.approx(2.7343688, abs=1e-6)
        together = explanation.simultaneous_interval(8)[0]
        np.testing.assert_allclose(together.mean(axis=1), WEIGHTS, atol=EXACT)
        assert np.ptp(together[0]) == pytest.approx(2 * (2.7343688 * 0.1 + 0.5e-6), abs=1e-6)

    def test_without_sampling_error_the_rounding_of_forward_passes_stays(self, explanation_of: Build) -> None:
        interval = explanation_of(WEIGHTS).interval[0]
        np.testing.assert_allclose(np.ptp(interval, axis=1), 1e-6, rtol=1e-6)

    def test_the_heatmap_paints_each_superpixel_with_its_weight(self, explanation_of: Build) -> None:
        explanation = explanation_of([WEIGHTS, WEIGHTS[::-1]], targets=(0, 1))
        for target, row in ((None, WEIGHTS), ("dog", WEIGHTS[::-1]), (1, WEIGHTS[::-1])):
            expected = np.kron(np.reshape(row, (2, 4)), np.ones((5, 5)))
            np.testing.assert_array_equal(explanation.heatmap(target), expected)

    def test_repr(self, explanation_of: Build) -> None:
        text = "<Explanation of 'cat' in 'cells.png': 8 superpixels, 400 samples>"
        assert repr(explanation_of(WEIGHTS)) == text


class TestTop:
    @pytest.mark.parametrize(
        ("k", "sign", "min_weight", "expected"),
        [
            (3, "positive", 0.0, [0, 4, 2]),
            (8, "positive", 0.0, [0, 4, 2, 6]),
            (100, "positive", 0.0, [0, 4, 2, 6]),
            (3, "positive", 0.2, [0, 4]),
            (2, "negative", 0.0, [5, 1]),
            (8, "negative", 0.1, [5, 1]),
            (8, "negative", 0.0, [5, 1, 7]),
            (3, "both", 0.0, [0, 5, 4]),
            (8, "both", 0.0, [0, 5, 4, 1, 2, 6, 7]),
            (8, "both", 0.2, [0, 5, 4, 1]),
        ],
    )
    def test_known(self, explanation_of: Build, k: int, sign: str, min_weight: float, expected: list[int]) -> None:
        assert explanation_of(WEIGHTS).top(k, sign, min_weight).tolist() == expected

    def test_of_equal_ones_the_first_comes_first(self, explanation_of: Build) -> None:
        assert explanation_of([0.1, 0.2, 0.2, 0.1]).top(3).tolist() == [1, 2, 0]

    def test_of_another_target(self, explanation_of: Build) -> None:
        explanation = explanation_of([WEIGHTS, [-w for w in WEIGHTS]], targets=(0, 1))
        np.testing.assert_array_equal(explanation.top(2, target="dog"), explanation.top(2, "negative"))

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"k": 0}, "k=0"),
            ({"k": 1.5}, "k=1.5"),
            ({"k": True}, "k=True"),
            ({"k": 2, "sign": "postive"}, "'positive'"),
        ],
    )
    def test_errors(self, explanation_of: Build, arguments: dict[str, Any], words: str) -> None:
        with pytest.raises(OptionError) as caught:
            explanation_of(WEIGHTS).top(**arguments)
        assert words in str(caught.value)


class TestRows:
    def test_by_label_index_and_none(self, explanation_of: Build) -> None:
        explanation = explanation_of([WEIGHTS, WEIGHTS], targets=(2, 0))
        assert [explanation.row(target) for target in (None, "bird", 2, np.int64(2), "CAT", 0)] == [0, 0, 0, 0, 1, 1]

    def test_a_class_that_was_not_explained(self, explanation_of: Build) -> None:
        with pytest.raises(TargetError, match="class 'dog' was not explained, only 'bird', 'cat': name every class"):
            explanation_of([WEIGHTS, WEIGHTS], targets=(2, 0)).row("dog")

    @pytest.mark.parametrize(
        ("prediction", "ranks"), [((0.7, 0.2, 0.1), (1, 2, 3)), ((0.4, 0.4, 0.2), (1, 1, 3)), ((0, 0, 0), (1, 1, 1))]
    )
    def test_rank(self, explanation_of: Build, prediction: tuple[float, ...], ranks: tuple[int, ...]) -> None:
        explanation = explanation_of([WEIGHTS] * 3, targets=(0, 1, 2), prediction=prediction)
        assert tuple(explanation.rank(target) for target in range(3)) == ranks


class TestFindClass:
    NAMES = ("tabby", "Egyptian cat", "dog", "dog", "Dog")

    @pytest.mark.parametrize(("target", "index"), [("tabby", 0), ("egyptian CAT", 1), ("Dog", 4), (3, 3)])
    def test_known(self, target: Any, index: int) -> None:
        assert find_class(target, self.NAMES) == index

    @pytest.mark.parametrize(
        ("target", "words"),
        [
            ("cat", "no class 'cat' among its 5; the nearest is 'Egyptian cat'"),
            ("qqqq", "no class 'qqqq' among its 5."),
            ("dog", "2 classes are called 'dog'; use an index, one of [2, 3]"),
            ("DOG", "3 classes are called 'DOG'; use an index, one of [2, 3, 4]"),
            (5, "class 5 does not exist; the model has 5 classes, 0…4"),
            (-1, "class -1 does not exist"),
            (1.0, "must be a label, an index, or None"),
            (True, "must be a label, an index, or None"),
        ],
    )
    def test_errors(self, target: Any, words: str) -> None:
        with pytest.raises(TargetError) as caught:
            find_class(target, self.NAMES)
        assert words in str(caught.value)


class TestRegions:
    def test_shares_of_superpixels(self, explanation_of: Build) -> None:
        explanation = explanation_of(WEIGHTS)
        np.testing.assert_allclose(explanation.shares(Box(0, 0, 7, 5)), [1, 0.4, 0, 0, 0, 0, 0, 0], atol=EXACT)
        np.testing.assert_allclose(explanation.shares(whole()), 1, atol=EXACT)

    def test_a_region_in_what_the_crop_cuts_away(self, explanation_of: Build) -> None:
        explanation = explanation_of(WEIGHTS, file_size=(10, 40), box=(10, 0, 30, 10))
        np.testing.assert_array_equal(explanation.region_mask(Box(10, 0, 15, 5)), explanation.segments == 0)
        with pytest.raises(RegionError, match=r"holds no pixel of what the model sees .* x 10…30 and y 0…10 at 20×10"):
            explanation.region_mask(Box(0, 0, 10, 10))

    def test_no_region_at_all(self, explanation_of: Build) -> None:
        with pytest.raises(RegionError, match=r"\[0, 0, 5, 5\] is no region; pass Box"):
            explanation_of(WEIGHTS).mass([0, 0, 5, 5])  # type: ignore[arg-type]

    def test_a_mask_of_another_size(self, explanation_of: Build) -> None:
        with pytest.raises(RegionError, match="must have the size of the image file"):
            explanation_of(WEIGHTS).overlap(Mask(np.ones((5, 5))), k=1)


class TestMass:
    @pytest.mark.parametrize(
        ("region", "share"),
        [
            (LEFT, 0.8 / 0.95),
            (RIGHT, 0.15 / 0.95),
            (~LEFT, 0.15 / 0.95),
            (whole(), 1.0),
            (Box(0, 0, 5, 5), 0.5 / 0.95),
            (Box(0, 0, 2, 5), 0.2 / 0.95),
            (Box(5, 0, 10, 5), 0.0),
        ],
        ids=repr,
    )
    def test_known_shares(self, explanation_of: Build, region: Any, share: float) -> None:
        mass = explanation_of(WEIGHTS).mass(region)
        assert mass == pytest.approx(share, abs=EXACT)
        # Without sampling error there is nothing to be unsure of.
        assert mass.interval == pytest.approx((share, share), abs=EXACT)
        assert (mass.samples, mass.confidence) == (400, 0.95)
        assert mass.words == f"{share:.3g} of the weight that speaks for 'cat' lies in {region!r}"

    @settings(deadline=None, max_examples=80)
    @given(
        weights=st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=8, max_size=8),
        error=st.floats(0, 1, allow_subnormal=False),
    )
    @example(weights=[0.0] * 7 + [1.0], error=1e-155)
    def test_a_region_and_its_rest_share_everything(
        self, explanation_of: Build, weights: list[float], error: float
    ) -> None:
        explanation = explanation_of(weights, error=error)
        inside, outside = explanation.mass(LEFT), explanation.mass(~LEFT)
        if max(weights) > 0:
            assert inside + outside == pytest.approx(1, abs=1e-9)
            # What one may hold at most leaves the other the least.
            assert inside.interval[0] == pytest.approx(1 - outside.interval[1], abs=1e-9)
        for figure in (inside, outside):
            assert 0 <= figure.interval[0] <= figure + 1e-12
            assert figure - 1e-12 <= figure.interval[1] <= 1

    def test_more_error_is_a_wider_interval(self, explanation_of: Build) -> None:
        widths = [np.ptp(explanation_of(WEIGHTS, error=error).mass(LEFT).interval) for error in (0, 0.01, 0.03, 0.1)]
        assert widths == sorted(widths)
        assert widths[0] < widths[1] < widths[3]

    def test_small_errors_give_the_delta_method(self, explanation_of: Build) -> None:
        # Far from 0 no positive part is cut off: the ratio's own normal interval.
        explanation = explanation_of([2.0, 1.0, 3.0, 4.0], columns=2, error=0.01)
        mass = explanation.mass(Box(0, 0, 10, 5))
        gradient = (np.array([1, 1, 0, 0]) - 0.3) / 10
        half = 1.9599640 * 0.01 * np.sqrt((gradient**2).sum())
        assert mass == pytest.approx(0.3, abs=EXACT)
        assert mass.interval == pytest.approx((0.3 - half, 0.3 + half), abs=1e-6)

    def test_noise_around_0_leans_to_the_area_and_the_interval_reaches_back(self, explanation_of: Build) -> None:
        # One true weight inside; outside seven that are noise only, all drawn positive.
        explanation = explanation_of([1.0] + [0.05] * 7, error=0.1)
        mass = explanation.mass(Box(0, 0, 5, 5))
        assert mass == pytest.approx(1 / 1.35, abs=EXACT)
        assert mass.interval[1] > 0.95

    @pytest.mark.parametrize(("error", "interval"), [(0.0, (0, 0)), (0.1, (0, 1)), (math.inf, (0, 1))])
    def test_nothing_positive(self, explanation_of: Build, error: float, interval: tuple[float, float]) -> None:
        mass = explanation_of([-0.1, -0.2, 0.0, -0.3], error=error).mass(Box(0, 0, 10, 5))
        assert float(mass) == 0
        assert mass.interval == interval

    def test_too_few_samples_say_nothing(self, explanation_of: Build) -> None:
        explanation = explanation_of(WEIGHTS, covariance=np.full((1, 8, 8), np.inf))
        assert explanation.mass(LEFT).interval == (0, 1)

    @pytest.mark.parametrize("scale", [1e-9, 1e6])
    def test_the_unit_of_scores_does_not_matter(self, explanation_of: Build, scale: float) -> None:
        plain = explanation_of(WEIGHTS, error=0.1).mass(LEFT)
        scaled = explanation_of([w * scale for w in WEIGHTS], error=0.1 * scale).mass(LEFT)
        assert (scaled, *scaled.interval) == pytest.approx((plain, *plain.interval), abs=1e-9)


class TestOverlap:
    @pytest.mark.parametrize(
        ("region", "k", "count"),
        [(LEFT, 1, 1), (LEFT, 2, 2), (LEFT, 3, 2), (RIGHT, 4, 2), (whole(), 8, 8), (Box(10, 0, 15, 3), 3, 1)],
        ids=repr,
    )
    def test_known_counts(self, explanation_of: Build, region: Any, k: int, count: int) -> None:
        overlap = explanation_of(WEIGHTS).overlap(region, k)
        assert float(overlap) == count
        assert overlap.interval == (float(count), float(count))
        assert overlap.words.startswith(f"{count} of the {k} superpixels")

    @pytest.mark.parametrize(("x1", "count"), [(2, 0), (3, 1), (4, 1)])
    def test_half_of_a_superpixel_counts_and_less_does_not(self, explanation_of: Build, x1: int, count: int) -> None:
        explanation = explanation_of([1.0, 0.5, 0.2, 0.1])
        explanation.segments[:, 5] = 0  # six columns wide, of which three are half
        assert float(explanation.overlap(Box(0, 0, x1, 5), k=1)) == count

    def test_ties_are_open(self, explanation_of: Build) -> None:
        # Rounding of the forward passes decides between equal weights, so neither is sure.
        assert explanation_of([0.5, 0.5, 0.1, 0.1]).overlap(Box(0, 0, 5, 5), k=1).interval == (0, 1)

    def test_superpixels_on_one_side_need_not_be_told_apart(self, explanation_of: Build) -> None:
        explanation = explanation_of([1.0, 1.01, 0.99, 0.0, 1.02, 0.98, 0.01, 0.0], error=0.01)
        overlap = explanation.overlap(Box(0, 0, 15, 10) & ~Box(10, 5, 15, 10), k=4)
        assert float(overlap) == 4
        assert overlap.interval == (4, 4)

    def test_too_few_samples_leave_everything_open(self, explanation_of: Build) -> None:
        explanation = explanation_of(WEIGHTS, covariance=np.full((1, 8, 8), np.inf))
        assert explanation.overlap(LEFT, k=3).interval == (0, 3)

    @pytest.mark.parametrize(("k", "words"), [(0, "at least 1"), (9, "more than the 8 superpixels"), ("4", "k='4'")])
    def test_errors(self, explanation_of: Build, k: Any, words: str) -> None:
        with pytest.raises(OptionError, match=words):
            explanation_of(WEIGHTS).overlap(LEFT, k)


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


INTERVALS = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 4), st.booleans()), min_size=2, max_size=6)


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
        least, most = overlap_bounds(np.array(low), np.array(high), inside, k)
        worst, best = possible_counts(low, high, inside, k)
        assert 0 <= least <= worst
        assert best <= most <= min(k, int(inside.sum()))

    @settings(deadline=None, max_examples=100)
    @given(values=st.lists(st.integers(0, 1000), min_size=2, max_size=6, unique=True), data=st.data())
    def test_without_overlapping_intervals_the_count_is_known(self, values: list[int], data: st.DataObject) -> None:
        k = data.draw(st.integers(1, len(values)))
        inside = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))))
        weights = np.array(values, dtype=float)
        count = int(inside[np.argsort(-weights)[:k]].sum())
        assert overlap_bounds(weights - 0.4, weights + 0.4, inside, k) == (count, count)

    @pytest.mark.parametrize(
        ("k", "n_inside", "bounds"), [(1, 2, (0, 1)), (3, 2, (0, 2)), (4, 2, (1, 2)), (5, 2, (2, 2))]
    )
    def test_equal_intervals_leave_what_counting_allows(self, k: int, n_inside: int, bounds: tuple[int, int]) -> None:
        inside = np.arange(5) < n_inside
        assert overlap_bounds(np.zeros(5), np.ones(5), inside, k) == bounds

    @pytest.mark.parametrize(
        ("intervals", "inside", "k", "bounds"),
        [
            # Only the second may pass the first, so of two places the first has one.
            ([(10, 12), (1, 13), (0, 5)], [True, False, False], 2, (1, 1)),
            # The third lies below the first, whatever the second does.
            ([(5, 9), (1, 6), (0, 4)], [False, False, True], 1, (0, 0)),
            ([(5, 9), (1, 6), (0, 5)], [False, False, True], 1, (0, 1)),
        ],
    )
    def test_one_rival_more_or_less_decides(
        self, intervals: list[tuple[float, float]], inside: list[bool], k: int, bounds: tuple[float, float]
    ) -> None:
        low, high = np.array(intervals, dtype=float).T
        assert overlap_bounds(low, high, np.array(inside), k) == bounds
        assert possible_counts(list(low), list(high), np.array(inside), k) == bounds
