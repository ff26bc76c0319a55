"""Feature selection against plain searches, known answers and its rules for ties."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression, Ridge

from pytest_lime.kernels import cosine_distance, exponential
from pytest_lime.selection import forward, highest_weights, lasso_path, select

Array = NDArray[np.float64]
METHODS = ["highest_weights", "forward", "lasso_path"]
SIZES = [(4, 30), (10, 100), (25, 300)]


def samples(d: int, n: int, seed: int = 0) -> tuple[Array, Array, Array]:
    """Masks, curved scores of one class, and the kernel's weights."""
    rng = np.random.default_rng(seed)
    masks = rng.integers(0, 2, (n, d), dtype=np.uint8)
    scores = np.tanh(masks @ rng.normal(size=d) / 2) + 0.1 * rng.normal(size=n)
    return masks.astype(np.float64), scores, exponential(cosine_distance(masks), 0.25)


def r2(columns: tuple[int, ...], shown: Array, scores: Array, weights: Array) -> float:
    chosen = shown[:, list(columns)]
    return float(LinearRegression().fit(chosen, scores, weights).score(chosen, scores, weights))


class TestForward:
    @pytest.mark.parametrize(("d", "n"), SIZES)
    @pytest.mark.parametrize("seed", range(3))
    def test_each_step_is_the_best_of_all_fits(self, d: int, n: int, seed: int) -> None:
        shown, scores, weights = samples(d, n, seed)
        found = forward(shown, scores, weights, min(d, 8)).tolist()
        for step in range(len(found)):
            others = sorted(set(range(d)) - set(found[:step]))
            gains = [r2((*found[:step], other), shown, scores, weights) for other in others]
            assert found[step] == others[int(np.argmax(gains))]

    def test_of_equal_gains_the_first_wins(self) -> None:
        # All masks and an AND of three: the three are alike but for the order of summation.
        shown = np.array(list(itertools.product((0.0, 1.0), repeat=7)))
        scores = shown[:, [2, 4, 5]].prod(axis=1)
        assert forward(shown, scores, np.ones(128), 3).tolist() == [2, 4, 5]
        assert forward(shown, scores, np.ones(128), 5).tolist() == [2, 4, 5, 0, 1]

    def test_what_the_chosen_determine_comes_last(self) -> None:
        shown, scores, weights = samples(5, 100)
        shown[:, 4] = 1 - shown[:, 1]
        shown[:, 2] = 1.0
        found = forward(shown, scores + 3 * shown[:, 1], weights, 5).tolist()
        assert found[0] == 1
        assert set(found[1:3]) == {0, 3}
        assert found[3:] == [2, 4]

    def test_scores_that_do_not_vary_take_the_first(self) -> None:
        shown, _, weights = samples(5, 100)
        assert forward(shown, np.full(100, 1 / 3), weights, 3).tolist() == [0, 1, 2]

    def test_fewer_samples_than_superpixels(self) -> None:
        shown, scores, weights = samples(40, 12)
        found = forward(shown, scores, weights, 30)
        assert len(set(found.tolist())) == 30
        assert r2(tuple(found[:11]), shown, scores, weights) == pytest.approx(1, abs=1e-9)


class TestHighestWeights:
    @pytest.mark.parametrize(("d", "n"), SIZES)
    @pytest.mark.parametrize("count", [1, 3])
    def test_they_are_those_of_a_ridge_regression_on_all(self, d: int, n: int, count: int) -> None:
        shown, scores, weights = samples(d, n)
        coefficients = Ridge(alpha=0.01).fit(shown, scores, weights).coef_
        assert (
            highest_weights(shown, scores, weights, count).tolist()
            == (-np.abs(coefficients)).argsort()[:count].tolist()
        )

    def test_what_speaks_against_the_class_counts_too(self) -> None:
        shown, _, weights = samples(6, 100)
        assert highest_weights(shown, shown[:, 1] - 2 * shown[:, 4], weights, 2).tolist() == [4, 1]


class TestLassoPath:
    @pytest.mark.parametrize("count", [1, 2, 3])
    def test_the_planted_superpixels_enter_by_their_size(self, count: int) -> None:
        shown, _, weights = samples(12, 400)
        scores = 1.0 * shown[:, 7] - 0.5 * shown[:, 2] + 0.25 * shown[:, 9]
        assert set(lasso_path(shown, scores, weights, count).tolist()) == set([7, 2, 9][:count])

    @pytest.mark.parametrize("unit", [1e-12, 1.0, 1e6])
    @pytest.mark.parametrize("scale", [1e-250, 1.0, 1e9])
    def test_neither_the_unit_of_scores_nor_of_weights_matters(self, unit: float, scale: float) -> None:
        shown, scores, weights = samples(12, 200)
        expected = lasso_path(shown, scores, weights, 5)
        assert 1 <= len(expected) <= 5
        np.testing.assert_array_equal(lasso_path(shown, unit * scores, scale * weights, 5), expected)

    @pytest.mark.parametrize("value", [0.0, 0.1, -7.0])
    def test_scores_that_do_not_vary_take_no_more_than_asked(self, value: float) -> None:
        shown, _, weights = samples(12, 200)
        assert len(lasso_path(shown, np.full(200, value), weights, 5)) <= 5

    def test_superpixels_that_are_alike_raise_no_warning(self) -> None:
        shown, scores, weights = samples(6, 50)
        shown[:, 3] = shown[:, 1]
        shown[:, 4] = 1.0
        assert len(lasso_path(shown, scores, weights, 4)) <= 4


class TestSelect:
    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("count", range(1, 11))
    def test_no_more_than_asked_and_none_twice(self, method: str, count: int) -> None:
        shown, scores, weights = samples(10, 100)
        found = select(shown, scores, weights, method, count).tolist()
        assert len(set(found)) == len(found) <= count
        assert set(found) <= set(range(10))
        if method != "lasso_path":  # whose steps may be larger than one
            assert len(found) == count

    @pytest.mark.parametrize("count", [1, 10])
    def test_none_takes_all(self, count: int) -> None:
        assert select(*samples(10, 100), "none", count).tolist() == list(range(10))

    @pytest.mark.parametrize("method", METHODS)
    def test_the_numbering_of_superpixels_does_not_matter(self, method: str) -> None:
        shown, scores, weights = samples(12, 200)
        order = np.random.default_rng(1).permutation(12)
        shuffled = select(shown[:, order], scores, weights, method, 4)
        assert set(order[shuffled]) == set(select(shown, scores, weights, method, 4))

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("unit", [1e-40, 1e40])
    @pytest.mark.parametrize("scale", [1e-100, 1e100])
    def test_extreme_units_do_not_matter(self, method: str, unit: float, scale: float) -> None:
        shown, scores, weights = samples(12, 200)
        penalised = method == "highest_weights"  # by a ridge whose penalty is in the unit of weights
        found = select(shown, unit * scores, weights if penalised else scale * weights, method, 4)
        np.testing.assert_array_equal(found, select(shown, scores, weights, method, 4))

    @pytest.mark.parametrize("method", METHODS)
    def test_samples_without_weight_have_no_say(self, method: str) -> None:
        shown, scores, weights = samples(12, 200)
        weights[150:] = 0
        with_them = select(shown, scores, weights, method, 4)
        np.testing.assert_array_equal(with_them, select(shown[:150], scores[:150], weights[:150], method, 4))
