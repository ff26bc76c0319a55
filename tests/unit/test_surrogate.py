"""The surrogate against scikit-learn, against identities, and its errors against simulation."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import linalg
from scipy.special import stdtrit
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Lasso, LinearRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR, LinearSVR
from sklearn.tree import DecisionTreeRegressor

from pytest_lime import OptionError, explain
from pytest_lime.kernels import cosine_distance, exponential
from pytest_lime.perturbation import MaskStream
from pytest_lime.surrogate import Fit, fit
from pytest_lime.testing import FakeModel

Masks = NDArray[np.uint8]
Array = NDArray[np.float64]
SIZES = [(3, 20), (10, 100), (50, 500), (120, 400)]
ALL_FITS: list[dict[str, Any]] = [
    {},
    {"surrogate": "linear"},
    {"surrogate": "lasso"},
    {"surrogate": "tree"},
    {"surrogate": LinearRegression()},
    {"feature_selection": "highest_weights", "num_features": 3},
    {"feature_selection": "forward", "num_features": 3},
    {"feature_selection": "lasso_path", "num_features": 3},
    {"surrogate": "lasso", "feature_selection": "forward", "num_features": 3},
    {"surrogate": "tree", "feature_selection": "highest_weights", "num_features": 3},
]
NAMES = [" ".join(map(str, options.values())) or "default" for options in ALL_FITS]
# The same sums in another order, in float64, on matrices with a condition number below 1e4.
ALGEBRA = 1e-9


def samples(d: int, n: int, classes: int = 3, seed: int = 0) -> tuple[Masks, Array, Array]:
    """Masks, curved scores and the kernel's weights."""
    rng = np.random.default_rng(seed)
    masks = rng.integers(0, 2, (n, d), dtype=np.uint8)
    scores = np.tanh(masks @ rng.normal(size=(d, classes)) / 2) + 0.1 * rng.normal(size=(n, classes))
    return masks, scores, exponential(cosine_distance(masks), 0.25)


class TestRidge:
    @pytest.mark.parametrize(("d", "n"), SIZES)
    @pytest.mark.parametrize("alpha", [1.0, 0.01])
    def test_equals_scikit_learn(self, d: int, n: int, alpha: float) -> None:
        masks, scores, weights = samples(d, n)
        peer = Ridge(alpha=alpha).fit(masks, scores, sample_weight=weights)
        found = fit(masks, scores, weights, alpha=alpha)
        np.testing.assert_allclose(found.weights, peer.coef_, atol=ALGEBRA)
        np.testing.assert_allclose(found.intercept, peer.intercept_, atol=ALGEBRA)
        for row in range(scores.shape[1]):
            alone = Ridge(alpha=alpha).fit(masks, scores[:, row], sample_weight=weights)
            score = alone.score(masks, scores[:, row], sample_weight=weights)
            assert found.r2[row] == pytest.approx(score, abs=ALGEBRA)

    @pytest.mark.parametrize(("d", "n"), SIZES)
    @pytest.mark.parametrize("paired", [False, True])
    def test_all_classes_at_once_are_each_alone(self, d: int, n: int, paired: bool) -> None:
        masks, scores, weights = samples(d, n)
        together = fit(masks, scores, weights, alpha=1e-9, paired=paired)
        for row in range(scores.shape[1]):
            alone = fit(masks, scores[:, [row]], weights, alpha=1e-9, paired=paired)
            assert alone.freedom == together.freedom
            for name in ("weights", "intercept", "r2", "covariance", "rounding"):
                np.testing.assert_allclose(getattr(together, name)[row], getattr(alone, name)[0], atol=ALGEBRA)

    @pytest.mark.parametrize(("d", "n"), SIZES)
    def test_a_linear_score_is_found_exactly_and_without_error(self, d: int, n: int) -> None:
        masks, _, weights = samples(d, n)
        slope = np.linspace(-1, 2, d)
        found = fit(masks, (masks @ slope + 0.25)[:, None], weights, alpha=1e-9)
        # λ = 1e-9 shrinks by about λ over the smallest eigenvalue, which is above 0.01 here.
        np.testing.assert_allclose(found.weights[0], slope, atol=1e-6)
        assert found.intercept[0] == pytest.approx(0.25, abs=1e-5)
        assert found.r2[0] == pytest.approx(1, abs=1e-9)
        assert np.abs(found.covariance).max() < 1e-12

    @pytest.mark.parametrize(("d", "n"), SIZES)
    def test_the_numbering_of_superpixels_does_not_matter(self, d: int, n: int) -> None:
        masks, scores, weights = samples(d, n)
        order = np.random.default_rng(1).permutation(d)
        plain = fit(masks, scores, weights, alpha=1e-9)
        shuffled = fit(masks[:, order], scores, weights, alpha=1e-9)
        np.testing.assert_allclose(shuffled.weights, plain.weights[:, order], atol=ALGEBRA)
        np.testing.assert_allclose(shuffled.covariance, plain.covariance[:, order][:, :, order], atol=ALGEBRA)

    @pytest.mark.parametrize(("d", "n"), SIZES)
    def test_the_order_of_independent_samples_does_not_matter(self, d: int, n: int) -> None:
        masks, scores, weights = samples(d, n)
        order = np.random.default_rng(1).permutation(n)
        plain = fit(masks, scores, weights, alpha=1e-9)
        shuffled = fit(masks[order], scores[order], weights[order], alpha=1e-9)
        np.testing.assert_allclose(shuffled.weights, plain.weights, atol=ALGEBRA)
        np.testing.assert_allclose(shuffled.covariance, plain.covariance, atol=ALGEBRA)

    def test_scores_in_another_unit_scale_everything(self) -> None:
        masks, scores, weights = samples(10, 200)
        plain, scaled = (fit(masks, scale * scores, weights, alpha=1e-9) for scale in (1.0, 1000.0))
        np.testing.assert_allclose(scaled.weights, 1000 * plain.weights, rtol=1e-9)
        np.testing.assert_allclose(scaled.covariance, 1e6 * plain.covariance, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(scaled.r2, plain.r2, atol=ALGEBRA)

    @pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, -7.0, 1e-5])
    @pytest.mark.parametrize("n", [10, 100, 1000, 5000])
    def test_scores_that_do_not_vary_are_met(self, value: float, n: int) -> None:
        masks, _, weights = samples(8, n)
        found = fit(masks, np.full((n, 1), value), weights, alpha=1e-9)
        np.testing.assert_allclose(found.weights, 0, atol=1e-12)
        assert found.intercept[0] == pytest.approx(value, abs=1e-12)
        assert found.r2[0] == 1

    def test_a_superpixel_that_never_changes_has_weight_0(self) -> None:
        masks, scores, weights = samples(6, 100)
        masks[:, 2] = 1
        found = fit(masks, scores, weights, alpha=0.0)
        np.testing.assert_allclose(found.weights[:, 2], 0, atol=1e-12)
        others = [0, 1, 3, 4, 5]
        without = fit(masks[:, others], scores, weights, alpha=0.0)
        np.testing.assert_allclose(found.weights[:, others], without.weights, atol=ALGEBRA)

    @pytest.mark.parametrize("alpha", [0.0, 1e-9])
    def test_fewer_samples_than_superpixels(self, alpha: float) -> None:
        masks, scores, weights = samples(50, 20)
        found = fit(masks, scores, weights, alpha=alpha)
        assert np.isfinite(found.weights).all()
        assert np.isinf(found.covariance).all()
        fitted = masks @ found.weights.T + found.intercept
        # The kernel weighs a sample with 0.02 at least, so each is met closely.
        np.testing.assert_allclose(fitted, scores, atol=1e-5)


def explained(masks: Masks, scores: Array, **options: Any) -> Fit:
    return fit(masks, scores, exponential(cosine_distance(masks), 0.25), alpha=1e-9, **options)


class TestCovariance:
    def test_an_enumeration_has_no_sampling_error(self) -> None:
        masks = MaskStream("exhaustive", 6, 0).draw(64)
        scores = (masks[:, :1] * masks[:, 1:2]).astype(np.float64)
        assert (explained(masks, scores, complete=True).covariance == 0).all()
        assert (explained(masks, scores).covariance != 0).any()

    @pytest.mark.parametrize(("n", "finite"), [(11, False), (20, True), (30, True)])
    def test_an_error_needs_more_samples_than_unknowns(self, n: int, finite: bool) -> None:
        masks, scores, _ = samples(10, n, seed=6)
        assert np.isfinite(explained(masks, scores).covariance).all() == finite

    @pytest.mark.parametrize(("n", "finite"), [(22, False), (40, True), (41, True)])
    def test_a_pair_is_one_unit(self, n: int, finite: bool) -> None:
        masks = MaskStream("antithetic", 13, 0).draw(60)[:n, :10]
        scores = np.random.default_rng(0).normal(size=(n, 2))
        assert np.isfinite(explained(masks, scores, paired=True).covariance).all() == finite

    def test_covariances_are_symmetric_and_no_variance_is_negative(self) -> None:
        masks, scores, weights = samples(20, 300)
        covariance = fit(masks, scores, weights, alpha=1e-9).covariance
        np.testing.assert_allclose(covariance, covariance.swapaxes(1, 2), atol=1e-15)
        assert np.linalg.eigvalsh(covariance).min() > -1e-12

    @pytest.mark.parametrize("paired", [False, True])
    @pytest.mark.parametrize("n", [30, 31])
    def test_residuals_are_enlarged_by_the_root_of_what_is_left_of_them(self, n: int, paired: bool) -> None:
        """HC2 and CR2 by their definition, with matrices of all samples."""
        masks, scores, weights = samples(4, n, classes=1)
        root = np.sqrt(weights)
        design = root[:, None] * np.column_stack([np.ones(n), masks])
        bread = np.linalg.inv(design.T @ design)
        left = np.eye(n) - design @ bread @ design.T
        errors = left @ (root * scores[:, 0])
        unit = np.arange(n) // 2 if paired else np.arange(n)
        expected = np.zeros((5, 5))
        for own in range(unit[-1] + 1):
            rows = unit == own
            enlarged = np.linalg.inv(linalg.sqrtm(left[np.ix_(rows, rows)])) @ errors[rows]
            influence = bread @ design[rows].T @ enlarged
            expected += np.outer(influence, influence)
        found = fit(masks, scores, weights, alpha=0.0, paired=paired)
        np.testing.assert_allclose(found.covariance[0], expected[1:, 1:], rtol=1e-8)

    def test_errors_are_right_on_average_with_hardly_more_samples_than_superpixels(self) -> None:
        # Of pure noise, in 32 pairs; the variances of the jackknife are half as large again.
        masks = MaskStream("antithetic", 20, 0).draw(64)
        noise = np.random.default_rng(0).normal(size=(64, 4000))
        found = fit(masks, noise, np.ones(64), alpha=0.0, paired=True)
        centred = masks - masks.mean(axis=0)
        true = np.diag(np.linalg.inv(centred.T @ centred))
        ratios = np.diagonal(found.covariance, axis1=1, axis2=2) / true
        # Variances with 11 degrees of freedom scatter by √(2 / 11), so 4,000 of them leave 0.007.
        assert np.mean(ratios) == pytest.approx(1, abs=0.025)

    @pytest.mark.parametrize("paired", [False, True])
    def test_with_many_samples_the_covariance_is_that_of_refits_without_one_unit_each(self, paired: bool) -> None:
        n = 600
        masks, scores, weights = samples(4, n, classes=1)

        def refit(kept: NDArray[np.bool_]) -> Array:
            design = np.column_stack([np.ones(kept.sum()), masks[kept]])
            weighted = weights[kept, None] * design
            return np.asarray(np.linalg.solve(design.T @ weighted, weighted.T @ scores[kept, 0]))[1:]

        unit = np.arange(n) // 2 if paired else np.arange(n)
        moved = np.stack([refit(unit != own) for own in range(unit[-1] + 1)]) - refit(np.ones(n, dtype=bool))
        found = fit(masks, scores, weights, alpha=0.0, paired=paired)
        # A unit's leverage is 5 / 300 on average.
        expected = moved.T @ moved
        np.testing.assert_allclose(found.covariance[0], expected, rtol=0.06, atol=0.03 * np.diag(expected).max())

    @pytest.mark.parametrize("sampler", ["bernoulli", "antithetic"])
    @pytest.mark.parametrize("d", [13, 20])
    def test_standard_errors_are_those_of_repeated_runs(self, sampler: str, d: int) -> None:
        # A curved score of known form: an AND of two superpixels, and one alone.
        runs, n = 400, 600
        weights, errors = [], []
        for seed in range(runs):
            masks = MaskStream(sampler, d, seed).draw(n)
            scores = (masks[:, :1] * masks[:, 1:2] + 0.5 * masks[:, 2:3]).astype(np.float64)
            found = explained(masks, scores, paired=sampler == "antithetic")
            weights.append(found.weights[0])
            errors.append(np.sqrt(np.diag(found.covariance[0])))
        observed = np.std(weights, axis=0, ddof=1)
        expected = np.mean(errors, axis=0)
        # A standard deviation from 400 runs is right to 3.5 %; four of these, and 3 % for the bias at finite n.
        np.testing.assert_allclose(observed / expected, 1, atol=0.17)
        assert np.mean(observed / expected) == pytest.approx(1, abs=0.06)


class TestFreedom:
    @pytest.mark.parametrize(
        ("n", "paired", "freedom"),
        [
            (100, False, 89),
            (100, True, 39),
            (101, True, 40),
            (12, False, 1),
            (24, True, 1),
            (11, False, 1),
            (5, True, 1),
        ],
    )
    def test_it_is_the_units_less_the_unknowns(self, n: int, paired: bool, freedom: int) -> None:
        masks, scores, _ = samples(10, n)
        found = explained(masks, scores, paired=paired)
        assert found.freedom == freedom
        # Where there is none left, nothing at all is known, whatever the quantile.
        units = (n + 1) // 2 if paired else n
        if units <= 11:
            assert not np.isfinite(found.covariance).any()
        elif units > 20:
            assert np.isfinite(found.covariance).all()

    def test_an_enumeration_has_no_end_of_it(self) -> None:
        masks = MaskStream("exhaustive", 4, 0).draw(16)
        assert explained(masks, masks[:, :1].astype(float), complete=True).freedom == np.inf


class TestRounding:
    def test_it_is_a_millionth_of_the_largest_score_of_each_class(self) -> None:
        masks, _, weights = samples(4, 40)
        scores = np.tile([[0.5, -20.0, 0.0]], (40, 1))
        scores[7] = [0.25, 3.0, 0.0]
        found = fit(masks, scores, weights, alpha=1e-9)
        np.testing.assert_allclose(found.rounding, [0.5e-6, 20e-6, 0], rtol=1e-12)

    def test_scores_of_a_large_part_that_never_changes_are_less_sure(self) -> None:
        # A logit of 1,000 is known to 1e-3 in single precision, however little it varies.
        masks, scores, weights = samples(4, 40)
        plain, shifted = (fit(masks, scores + shift, weights, alpha=1e-9) for shift in (0, 1000))
        np.testing.assert_allclose(shifted.weights, plain.weights, atol=1e-9)
        np.testing.assert_allclose(shifted.rounding, 1e-6 * (scores + 1000).max(axis=0), rtol=1e-12)


class TestWithoutWeights:
    @pytest.mark.parametrize("weights", [np.zeros(40), np.full(40, np.nan), np.full(40, np.inf)])
    def test_a_kernel_that_weighs_nothing_is_told(self, weights: Array) -> None:
        masks, scores, _ = samples(4, 40)
        with pytest.raises(OptionError, match="kernel_width is too small: no sample of 4 superpixels gets a weight"):
            fit(masks, scores, weights, alpha=1e-9)

    @pytest.mark.parametrize("scale", [1e-300, 1e-12, 1e12])
    def test_the_scale_of_weights_changes_nothing_but_the_meaning_of_the_penalty(self, scale: float) -> None:
        masks, scores, weights = samples(6, 80)
        plain = fit(masks, scores, weights, alpha=0.0)
        scaled = fit(masks, scores, weights * scale, alpha=0.0)
        for name in ("weights", "intercept", "r2", "covariance"):
            np.testing.assert_allclose(getattr(scaled, name), getattr(plain, name), rtol=1e-9, atol=1e-12)
        shrunk = fit(masks, scores, weights * scale, alpha=3.0 * scale)
        np.testing.assert_allclose(shrunk.weights, fit(masks, scores, weights, alpha=3.0).weights, rtol=1e-9)


@pytest.mark.parametrize("paired", [False, True])
def test_what_one_unit_alone_tells_has_no_finite_error(paired: bool) -> None:
    masks, scores, _ = samples(5, 60)
    masks[:, 0] = 1
    masks[3, 0] = 0  # hidden once: that sample alone tells what the superpixel does
    covariance = fit(masks, scores, np.ones(60), alpha=0.0, paired=paired).covariance
    assert np.isinf(covariance[:, 0, 0]).all()


def test_superpixels_that_the_masks_do_not_tell_apart_have_no_finite_error() -> None:
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 2, (200, 6), dtype=np.uint8)
    masks[:, 0] = 1  # never hidden
    masks[:, 2] = masks[:, 1]  # hidden only together
    scores = masks.astype(float) @ rng.random((6, 2)) + 0.1 * rng.random((200, 2))
    errors = np.diagonal(fit(masks, scores, np.ones(200), alpha=1e-9).covariance, axis1=1, axis2=2)
    assert np.isinf(errors[:, :3]).all()
    assert np.isfinite(errors[:, 3:]).all()


def r2(scores: Array, predicted: Array, weights: Array) -> float:
    mean = np.average(scores, weights=weights)
    return 1 - float(weights @ (scores - predicted) ** 2 / (weights @ (scores - mean) ** 2))


class TestEveryFit:
    @pytest.mark.parametrize("options", ALL_FITS, ids=NAMES)
    @pytest.mark.parametrize("paired", [False, True])
    def test_its_figures_have_their_shapes_and_ranges(self, options: dict[str, Any], paired: bool) -> None:
        masks, scores, weights = samples(8, 201)
        found = fit(masks, scores, weights, paired=paired, **options)
        assert found.weights.shape == (3, 8)
        assert found.covariance.shape == (3, 8, 8)
        for name in ("intercept", "local_pred", "r2", "r2_heldout", "rounding"):
            assert getattr(found, name).shape == (3,)
            assert getattr(found, name).dtype == np.float64
        assert (found.r2_heldout < found.r2).all()
        assert (found.r2 <= 1).all()
        assert (found.rounding > 0).all()
        assert np.isfinite(found.covariance).all()
        assert np.linalg.eigvalsh(found.covariance).min() > -1e-12
        assert found.signed == (options.get("surrogate") != "tree")
        if "num_features" in options:
            assert ((found.weights != 0).sum(axis=1) <= 3).all()

    @pytest.mark.parametrize("options", ALL_FITS, ids=NAMES)
    def test_all_classes_at_once_are_each_alone(self, options: dict[str, Any]) -> None:
        masks, scores, weights = samples(6, 90)
        together = fit(masks, scores, weights, **options)
        for row in range(3):
            alone = fit(masks, scores[:, [row]], weights, **options)
            for name in ("weights", "intercept", "local_pred", "r2", "r2_heldout", "covariance", "rounding"):
                np.testing.assert_allclose(getattr(together, name)[row], getattr(alone, name)[0], atol=ALGEBRA)

    @pytest.mark.parametrize("options", ALL_FITS, ids=NAMES)
    def test_it_is_the_same_again(self, options: dict[str, Any]) -> None:
        masks, scores, weights = samples(6, 90)
        first, second = (fit(masks, scores, weights, seed=5, **options) for _ in range(2))
        for name in ("weights", "r2_heldout", "covariance"):
            np.testing.assert_array_equal(getattr(first, name), getattr(second, name))

    @pytest.mark.parametrize("options", ALL_FITS, ids=NAMES)
    def test_what_is_given_is_not_changed(self, options: dict[str, Any]) -> None:
        given = samples(6, 90)
        kept = [array.copy() for array in given]
        fit(*given, **options)
        for array, copy in zip(given, kept, strict=True):
            np.testing.assert_array_equal(array, copy)

    @pytest.mark.parametrize("options", ALL_FITS, ids=NAMES)
    def test_an_enumeration_has_no_sampling_error(self, options: dict[str, Any]) -> None:
        masks = MaskStream("exhaustive", 6, 0).draw(64)
        scores = np.tanh(masks @ np.arange(6.0) / 5)[:, None]
        found = explained(masks, scores, complete=True, **options)
        assert (found.covariance == 0).all()
        assert found.freedom == np.inf
        assert found.r2_heldout[0] < found.r2[0]

    @pytest.mark.parametrize("options", ALL_FITS, ids=NAMES)
    @pytest.mark.parametrize("value", [0.0, 0.1, -7.0])
    def test_scores_that_do_not_vary_are_met(self, options: dict[str, Any], value: float) -> None:
        masks, _, weights = samples(8, 100)
        found = fit(masks, np.full((100, 1), value), weights, **options)
        np.testing.assert_allclose(found.weights, 0, atol=1e-12)
        np.testing.assert_allclose([found.intercept[0], found.local_pred[0]], value, atol=1e-12)
        assert found.r2[0] == found.r2_heldout[0] == 1

    @pytest.mark.parametrize("options", ALL_FITS, ids=NAMES)
    def test_superpixels_that_the_masks_do_not_tell_apart_have_no_finite_error(self, options: dict[str, Any]) -> None:
        masks, scores, weights = samples(7, 300, classes=2)
        masks[:, 0] = 1  # never hidden
        masks[:, 2] = masks[:, 1]  # hidden only together
        errors = np.diagonal(fit(masks, scores, weights, **options).covariance, axis1=1, axis2=2)
        assert np.isinf(errors[:, :3]).all()
        assert np.isfinite(errors[:, 3:]).all()

    @pytest.mark.parametrize("options", ALL_FITS, ids=NAMES)
    @pytest.mark.parametrize("n", [2, 3, 7, 12])
    def test_few_samples_give_weights_and_no_finite_error(self, options: dict[str, Any], n: int) -> None:
        masks, scores, weights = samples(13, n)
        found = fit(masks, scores, weights, **options)
        assert np.isfinite(found.weights).all()
        assert np.isfinite(found.local_pred).all()
        assert np.isinf(np.diagonal(found.covariance, axis1=1, axis2=2)).all()
        assert found.freedom >= 1


class TestScale:
    @pytest.mark.parametrize("options", ALL_FITS, ids=NAMES)
    def test_the_largest_scores_and_weights_overflow_nowhere(self, options: dict[str, Any]) -> None:
        masks, scores, weights = samples(6, 90)
        scores /= np.abs(scores).max()
        plain = fit(masks, scores, weights, **options)
        found = fit(masks, scores * 1e40, weights * 1e100, **options)
        np.testing.assert_allclose(found.weights / (1e40 if plain.signed else 1), plain.weights, atol=1e-6)
        np.testing.assert_allclose(found.r2_heldout, plain.r2_heldout, atol=1e-6)

    @pytest.mark.parametrize("options", ALL_FITS, ids=NAMES)
    def test_scores_whose_squares_overflow_are_told(self, options: dict[str, Any]) -> None:
        masks, scores, weights = samples(6, 90)
        scores[:, 1] = 1e300 * (1 - 2 * masks[:, 1].astype(np.float64))
        with pytest.raises(OptionError, match=r"scores of up to 1e\+300: they must be within ±1e\+40, since .* divide"):
            fit(masks, scores, weights, **options)


class TestLocalPrediction:
    @pytest.mark.parametrize("options", ALL_FITS, ids=NAMES)
    def test_it_is_the_surrogates_score_of_the_whole_image(self, options: dict[str, Any]) -> None:
        masks, scores, weights = samples(8, 200)
        found = fit(masks, scores, weights, **options)
        if found.signed:
            np.testing.assert_allclose(found.local_pred, found.intercept + found.weights.sum(axis=1), atol=ALGEBRA)
        else:
            # The tree's leaf of a full mask is near what such masks score.
            full = masks.sum(axis=1) >= 6
            np.testing.assert_allclose(found.local_pred, scores[full].mean(axis=0), atol=1.0)


class TestHeldOut:
    @pytest.mark.parametrize("alpha", [0.0, 2.0])
    @pytest.mark.parametrize("paired", [False, True])
    @pytest.mark.parametrize("n", [30, 31])
    def test_of_ridge_it_is_that_of_refits_without_one_unit_each(self, n: int, paired: bool, alpha: float) -> None:
        masks, scores, weights = samples(4, n, classes=1)
        unit = np.arange(n) // 2 if paired else np.arange(n)
        predicted = np.empty(n)
        for own in range(unit[-1] + 1):
            kept = unit != own
            refit = Ridge(alpha=alpha).fit(masks[kept], scores[kept, 0], sample_weight=weights[kept])
            predicted[~kept] = refit.predict(masks[~kept])
        found = fit(masks, scores, weights, alpha=alpha, paired=paired)
        assert found.r2_heldout[0] == pytest.approx(r2(scores[:, 0], predicted, weights), abs=ALGEBRA)

    def test_it_is_unknown_where_a_sample_alone_tells_a_superpixel(self) -> None:
        masks, scores, weights = samples(5, 60)
        masks[:, 0] = 1
        masks[3, 0] = 0
        assert np.isnan(fit(masks, scores, weights).r2_heldout).all()
        masks[3, 0] = 1
        assert np.isfinite(fit(masks, scores, weights).r2_heldout).all()

    def test_it_is_unknown_where_the_fit_goes_through_every_sample(self) -> None:
        assert np.isnan(fit(*samples(50, 20)).r2_heldout).all()

    @pytest.mark.parametrize("options", ALL_FITS[2:], ids=NAMES[2:])
    @pytest.mark.parametrize(("n", "known"), [(4, False), (5, True)])
    def test_of_the_others_it_takes_five_units(self, options: dict[str, Any], n: int, known: bool) -> None:
        masks, scores, weights = samples(5, n)
        assert np.isfinite(fit(masks, scores, weights, **options).r2_heldout).all() == known

    @pytest.mark.parametrize("options", ALL_FITS, ids=NAMES)
    def test_it_is_unknown_where_one_sample_has_most_of_the_weight(self, options: dict[str, Any]) -> None:
        masks, scores, weights = samples(6, 90)
        weights[7] = 0.4 * weights.sum()
        assert np.isfinite(fit(masks, scores, weights, **options).r2_heldout).all()
        weights[7] = 1.2 * weights.sum()
        assert np.isnan(fit(masks, scores, weights, **options).r2_heldout).all()

    @pytest.mark.parametrize("options", ALL_FITS, ids=NAMES)
    def test_it_is_unknown_where_one_sample_is_left_to_tell_the_variance(self, options: dict[str, Any]) -> None:
        masks, scores, weights = samples(6, 90)
        weights[[7, 8]] = 1e6 * weights.sum()
        assert np.isnan(fit(masks, scores, weights, **options).r2_heldout).all()

    @pytest.mark.parametrize("surrogate", ["ridge", "lasso", "tree"])
    def test_a_kernel_far_too_narrow_gives_no_figure(self, surrogate: str) -> None:
        # The pixels' distance is in the hundreds: a width of 0.25 leaves the weight of about one sample.
        model = FakeModel()
        picture = np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8)
        explanation = explain(
            model,
            Image.fromarray(picture),
            samples=64,
            segments=9,
            sampler="bernoulli",
            distance="pixel_euclidean",
            surrogate=surrogate,
        )
        assert explanation.effective_samples < 2
        assert np.isnan(explanation.r2_heldout).all()

    def test_a_tree_that_learns_noise_by_heart_has_none(self) -> None:
        masks, _, weights = samples(10, 300)
        noise = np.random.default_rng(1).normal(size=(300, 1))
        found = fit(masks, noise, weights, surrogate="tree")
        assert found.r2[0] > 0.3
        assert found.r2_heldout[0] < 0

    def test_folds_keep_pairs_together(self) -> None:
        # Twice the same sample in a pair: were they parted, a forest would know the other by heart.
        masks, _, weights = samples(30, 200)
        noise = np.random.default_rng(1).normal(size=(200, 1))
        masks, noise, weights = masks.repeat(2, axis=0), noise.repeat(2, axis=0), weights.repeat(2)
        forest = RandomForestRegressor(5, random_state=0)
        assert fit(masks, noise, weights, surrogate=forest, paired=False).r2_heldout[0] > 0.3
        assert fit(masks, noise, weights, surrogate=forest, paired=True).r2_heldout[0] < 0.1

    def test_it_falls_where_the_surrogate_is_too_rich(self) -> None:
        masks, scores, weights = samples(40, 60)
        found = fit(masks, scores, weights)
        assert (found.r2 - found.r2_heldout > 0.2).all()


class TestLinear:
    @pytest.mark.parametrize(("d", "n"), SIZES)
    def test_it_is_ridge_without_a_penalty_whatever_alpha(self, d: int, n: int) -> None:
        masks, scores, weights = samples(d, n)
        linear = fit(masks, scores, weights, surrogate="linear", alpha=5.0)
        for plain in (fit(masks, scores, weights), fit(masks, scores, weights, surrogate="lasso", alpha=0)):
            for name in ("weights", "intercept", "r2", "r2_heldout", "covariance"):
                np.testing.assert_array_equal(getattr(linear, name), getattr(plain, name))
        peer = LinearRegression().fit(masks, scores, sample_weight=weights)
        np.testing.assert_allclose(linear.weights, peer.coef_, atol=1e-8)


class TestLasso:
    @pytest.mark.parametrize(("d", "n"), SIZES)
    @pytest.mark.parametrize("alpha", ["auto", 0.05, 0.001])
    def test_equals_scikit_learn(self, d: int, n: int, alpha: Any) -> None:
        masks, scores, weights = samples(d, n)
        found = fit(masks, scores, weights, surrogate="lasso", alpha=alpha)
        for row in range(3):
            # A tenth of the least penalty that leaves nothing.
            moments = (weights * (scores[:, row] - np.average(scores[:, row], weights=weights))) @ masks
            meant = 0.1 * np.abs(moments).max() / weights.sum() if alpha == "auto" else alpha
            peer = Lasso(alpha=meant).fit(masks, scores[:, row], sample_weight=weights)
            np.testing.assert_allclose(found.weights[row], peer.coef_, atol=ALGEBRA)
            assert found.intercept[row] == pytest.approx(peer.intercept_, abs=ALGEBRA)
            assert found.r2[row] == pytest.approx(peer.score(masks, scores[:, row], weights), abs=ALGEBRA)

    def test_the_automatic_penalty_follows_the_unit_of_the_scores(self) -> None:
        masks, scores, weights = samples(10, 200)
        found = fit(masks, scores, weights, surrogate="lasso")
        tiny = fit(masks, 1e-4 * scores, weights, surrogate="lasso")
        np.testing.assert_allclose(tiny.weights, 1e-4 * found.weights, rtol=1e-6, atol=1e-12)
        assert (found.weights == 0).any()
        assert (found.weights != 0).any(axis=1).all()
        flat = fit(masks, np.full((200, 1), 0.25), weights, surrogate="lasso")
        assert (flat.weights == 0).all()
        assert flat.intercept[0] == pytest.approx(0.25)

    def test_a_penalty_above_all_moments_leaves_the_mean(self) -> None:
        masks, scores, weights = samples(10, 200)
        found = fit(masks, scores, weights, surrogate="lasso", alpha=100.0)
        assert (found.weights == 0).all()
        np.testing.assert_allclose(found.intercept, np.average(scores, axis=0, weights=weights), atol=1e-12)
        np.testing.assert_allclose(found.r2, 0, atol=1e-12)

    @pytest.mark.parametrize("alpha", [1e-4, 1e-6])
    def test_a_small_penalty_converges_without_a_warning(self, alpha: float) -> None:
        masks, scores, weights = samples(50, 60)
        assert (fit(masks, scores, weights, surrogate="lasso", alpha=alpha).r2 > 0.9).all()

    def test_a_penalty_too_small_to_converge_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("pytest_lime.regressors.LASSO_ITERATIONS", 1)
        with pytest.raises(
            OptionError, match="alpha=1e-06 is so small that the lasso did not converge in 1 iterations"
        ):
            fit(*samples(50, 60), surrogate="lasso", alpha=1e-6)

    @pytest.mark.parametrize("alpha", [1e-17, 1e-300])
    def test_a_penalty_below_rounding_is_none(self, alpha: float) -> None:
        masks, scores, weights = samples(10, 200)
        found = fit(masks, scores, weights, surrogate="lasso", alpha=alpha)
        plain = fit(masks, scores, weights, surrogate="linear")
        for name in ("weights", "intercept", "r2", "covariance"):
            np.testing.assert_allclose(getattr(found, name), getattr(plain, name), atol=ALGEBRA)

    @pytest.mark.parametrize("paired", [False, True])
    @pytest.mark.parametrize("n", [600, 601])
    def test_the_covariance_is_that_of_refits_while_no_sign_changes(self, n: int, paired: bool) -> None:
        masks, _, weights = samples(4, n, classes=1)
        scores = masks @ [1.0, -0.8, 0.6, 0.5] + 0.1 * np.random.default_rng(2).normal(size=n)

        def refit(kept: NDArray[np.bool_]) -> Array:
            exact = Lasso(alpha=0.01, tol=1e-14, max_iter=100_000)
            return np.asarray(exact.fit(masks[kept], scores[kept], sample_weight=weights[kept]).coef_)

        unit = np.arange(n) // 2 if paired else np.arange(n)
        moved = np.stack([refit(unit != own) for own in range(unit[-1] + 1)]) - refit(np.ones(n, dtype=bool))
        found = fit(masks, scores[:, None], weights, surrogate="lasso", alpha=0.01, paired=paired)
        # The default stops within 1e-4 of the variance, and a unit's leverage is 5 / 300 on average.
        expected = moved.T @ moved
        np.testing.assert_allclose(found.covariance[0], expected, rtol=0.06, atol=0.03 * np.diag(expected).max())


class TestTree:
    def test_equals_scikit_learn(self) -> None:
        masks, scores, weights = samples(10, 300)
        found = fit(masks, scores, weights, surrogate="tree", seed=3)
        for row in range(3):
            peer = DecisionTreeRegressor(min_samples_split=10, random_state=3)
            peer.fit(masks, scores[:, row], sample_weight=weights)
            np.testing.assert_array_equal(found.weights[row], peer.feature_importances_)
            assert found.intercept[row] == peer.predict(np.zeros((1, 10)))[0]
            assert found.local_pred[row] == peer.predict(np.ones((1, 10)))[0]
            assert found.r2[row] == pytest.approx(peer.score(masks, scores[:, row], weights), abs=ALGEBRA)

    def test_importances_are_shares_without_a_sign(self) -> None:
        masks, _, weights = samples(10, 300)
        found = fit(masks, -2.0 * masks[:, [4]] + 1.0 * masks[:, [1]], weights, surrogate="tree")
        assert not found.signed
        assert found.weights.min() >= 0
        assert found.weights.sum() == pytest.approx(1)
        assert found.weights[0].argsort()[-2:].tolist() == [1, 4]

    def test_rounding_is_that_of_a_share(self) -> None:
        masks, _, weights = samples(10, 300)
        scores = masks[:, [4]].astype(np.float64) + 1000
        found = fit(masks, scores, weights, surrogate="tree")
        # 1e-6 of 1,000 on scores that spread by a half, and one superpixel that is all.
        assert found.rounding[0] == pytest.approx(2e-3, rel=0.01)


class Minimal:
    """A regressor that is none of scikit-learn's: the weighted difference of means, times a factor."""

    def __init__(self, coefficients: Any = None) -> None:
        self.coefficients = coefficients

    def fit(self, shown: Array, scores: Array, sample_weight: Array) -> None:
        self.coef_ = np.ones(shown.shape[1]) if self.coefficients is None else self.coefficients

    def predict(self, shown: Array) -> Array:
        return np.asarray(shown.sum(axis=1) + 0.25)


class Faulty(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    def fit(self, shown: Array, scores: Array, sample_weight: Array) -> None:
        raise ZeroDivisionError("my own")

    def predict(self, shown: Array) -> Array:
        raise AssertionError


class TestRegressorOfTheUser:
    @pytest.mark.parametrize(("d", "n"), SIZES)
    def test_ridge_by_scikit_learn_is_our_ridge(self, d: int, n: int) -> None:
        masks, scores, weights = samples(d, n)
        ours = fit(masks, scores, weights, alpha=1.0)
        theirs = fit(masks, scores, weights, surrogate=Ridge(alpha=1.0))
        for name in ("weights", "intercept", "local_pred", "r2"):
            np.testing.assert_allclose(getattr(theirs, name), getattr(ours, name), atol=ALGEBRA)
        assert theirs.signed

    def test_the_users_object_stays_as_it_is(self) -> None:
        mine = Ridge()
        fit(*samples(6, 90), surrogate=mine)
        assert not hasattr(mine, "coef_")

    def test_one_that_is_none_of_scikit_learns_is_copied(self) -> None:
        mine = Minimal()
        found = fit(*samples(6, 90), surrogate=mine)
        assert not hasattr(mine, "coef_")
        assert (found.weights == 1).all()
        # It has no intercept_, so it is asked for the score of nothing.
        assert (found.intercept == 0.25).all()
        assert (found.local_pred == 6.25).all()

    def test_one_row_of_coefficients_and_an_intercept_of_one_value(self) -> None:
        masks, scores, weights = samples(6, 90)
        peer = SVR(kernel="linear").fit(masks, scores[:, 0], sample_weight=weights)
        found = fit(masks, scores, weights, surrogate=SVR(kernel="linear"))
        np.testing.assert_allclose(found.weights[0], peer.coef_[0], atol=ALGEBRA)
        assert found.intercept[0] == pytest.approx(peer.intercept_[0], abs=ALGEBRA)
        assert found.signed

    def test_a_forest_has_importances(self) -> None:
        masks, scores, weights = samples(6, 90)
        found = fit(masks, scores, weights, surrogate=RandomForestRegressor(5, random_state=1))
        assert not found.signed
        np.testing.assert_allclose(found.weights.sum(axis=1), 1)

    def test_it_is_fitted_to_the_chosen_alone(self) -> None:
        masks, scores, weights = samples(6, 90)
        options: dict[str, Any] = {"feature_selection": "forward", "num_features": 2}
        ours = fit(masks, scores, weights, surrogate="linear", **options)
        theirs = fit(masks, scores, weights, surrogate=LinearRegression(), **options)
        np.testing.assert_allclose(theirs.weights, ours.weights, atol=ALGEBRA)

    @pytest.mark.parametrize(
        ("mine", "told"),
        [
            (KNeighborsRegressor(), r"^surrogate=KNeighborsRegressor\(\) must take sample_weight in its fit"),
            (SVR(), r"^surrogate=SVR\(\) has neither coef_ nor feature_importances_ when it is fitted"),
            (
                make_pipeline(StandardScaler(), Ridge()),
                r"^surrogate=Pipeline\(.*\) is a pipeline, .*pass that step alone",
            ),
            (
                Minimal(np.ones(5)),
                r"^surrogate=<.*Minimal.* gives an array of shape \(5,\) as its coef_; it must give one finite real "
                r"number for each of 6 superpixels: mend it, or pass a regressor of scikit-learn",
            ),
            (Minimal(np.ones((2, 6))), r"gives an array of shape \(2, 6\) as its coef_;"),
            (Minimal([1.0, 1.0, np.nan, 1.0, 1.0, 1.0]), r"gives nan at place 2 as its coef_;"),
            (Minimal(np.ones(6, dtype=complex)), r"gives array\(\[1\.\+0\.j, .* as its coef_;"),
            (Minimal(list("123456")), r"gives \['1', '2', .* as its coef_;"),
            (Minimal([[1.0, 2.0], [3.0]]), r"gives \[\[1\.0, 2\.0\], \[3\.0\]\] as its coef_;"),
            (Minimal([10**400] * 6), r"gives \[1000.* as its coef_;"),
            (Minimal(torch.ones(6, requires_grad=True)), r"gives tensor\(.*requires_grad=True\) as its coef_;"),
        ],
    )
    def test_one_that_is_no_surrogate_is_told(self, mine: Any, told: str) -> None:
        with pytest.raises(OptionError, match=told):
            fit(*samples(6, 90), surrogate=mine)

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            (np.nan, "nan at place 0"),
            ([1.0, 2.0], r"an array of shape \(2,\)"),
            ([], r"an array of shape \(0,\)"),
            ("a", "'a'"),
            (1 + 1j, r"\(1\+1j\)"),
        ],
    )
    def test_an_intercept_that_is_no_number_is_told(self, given: Any, told: str) -> None:
        class Crooked(Minimal):
            intercept_ = given

        with pytest.raises(
            OptionError,
            match=rf"^surrogate=<.* gives {told} as its intercept_; it must give one finite real number for",
        ):
            fit(*samples(6, 90), surrogate=Crooked())

    @pytest.mark.parametrize("given", [0.5, [0.5], [[0.5]], np.float32(0.5)])
    def test_an_intercept_of_any_shape_is_one_number(self, given: Any) -> None:
        class Straight(Minimal):
            intercept_ = given

        assert (fit(*samples(6, 90), surrogate=Straight()).intercept == 0.5).all()

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            (lambda shown: np.full(len(shown), np.nan), "nan at place 0"),
            (lambda shown: None, "None"),
            (lambda shown: shown, r"an array of shape \(90, 6\)"),
            (lambda shown: "a", "'a'"),
            (lambda shown: np.ones(89), r"an array of shape \(89,\)"),
            (lambda shown: 1j * shown[:, 0], "array.*"),
        ],
    )
    def test_a_prediction_that_is_no_scores_is_told(self, given: Any, told: str) -> None:
        class Crooked(Minimal):
            intercept_ = 0.0

            def predict(self, shown: Array) -> Array:
                return np.asarray(given(shown)) if told.startswith("an array") else given(shown)

        with pytest.raises(OptionError, match=rf" gives {told} as its predict; .* for each of 90 samples: mend it"):
            fit(*samples(6, 90), surrogate=Crooked())

    def test_a_column_of_scores_is_taken(self) -> None:
        class Column(Minimal):
            def predict(self, shown: Array) -> Array:
                return super().predict(shown)[:, None]

        given = samples(6, 90)
        np.testing.assert_array_equal(fit(*given, surrogate=Column()).r2, fit(*given, surrogate=Minimal()).r2)

    def test_an_error_of_its_prediction_says_where_it_was_raised(self) -> None:
        class Mute(Minimal):
            def predict(self, shown: Array) -> Array:
                raise ZeroDivisionError("my own")

        with pytest.raises(ZeroDivisionError, match="my own") as caught:
            fit(*samples(6, 90), surrogate=Mute())
        [note] = caught.value.__notes__
        assert note.startswith("pytest-lime: raised inside surrogate=<")
        assert note.endswith(" on 1 samples")

    def test_its_own_error_says_where_it_was_raised(self) -> None:
        with pytest.raises(ZeroDivisionError, match="my own") as caught:
            fit(*samples(6, 90), surrogate=Faulty())
        assert caught.value.__notes__ == ["pytest-lime: raised inside surrogate=Faulty() on 90 samples"]

    def test_a_linear_svr_is_taken(self) -> None:
        found = fit(*samples(6, 90), surrogate=LinearSVR(random_state=0, max_iter=100_000))
        assert found.signed
        assert (found.r2 > 0.5).all()


class TestSelection:
    @pytest.mark.parametrize("method", ["highest_weights", "forward", "lasso_path"])
    def test_planted_superpixels_alone_have_weight(self, method: str) -> None:
        masks, _, weights = samples(12, 300)
        scores = np.stack([masks @ np.eye(12)[[1, 5]].T @ [1.0, -0.5], 0.5 * masks[:, 7] + masks[:, 8]], axis=1)
        found = fit(masks, scores, weights, feature_selection=method, num_features=2)
        assert [np.flatnonzero(row).tolist() for row in found.weights] == [[1, 5], [7, 8]]
        np.testing.assert_allclose(found.weights[0, [1, 5]], [1, -0.5], atol=ALGEBRA)
        np.testing.assert_allclose(found.r2, 1, atol=ALGEBRA)

    @pytest.mark.parametrize("method", ["highest_weights", "forward"])
    @pytest.mark.parametrize("count", [None, 8, 100])
    def test_a_choice_of_all_is_none(self, method: str, count: int | None) -> None:
        masks, scores, weights = samples(8, 100)
        plain = fit(masks, scores, weights)
        chosen = fit(masks, scores, weights, feature_selection=method, num_features=count)
        for name in ("weights", "r2_heldout", "covariance"):
            np.testing.assert_array_equal(getattr(plain, name), getattr(chosen, name))

    def test_without_a_method_the_number_means_nothing(self) -> None:
        masks, scores, weights = samples(8, 100)
        assert (fit(masks, scores, weights, num_features=2).weights != 0).all()

    def test_what_was_not_chosen_has_the_error_of_least_squares(self) -> None:
        masks, scores, weights = samples(8, 200)
        full = fit(masks, scores, weights)
        chosen = fit(masks, scores, weights, feature_selection="forward", num_features=3)
        assert (np.diagonal(chosen.covariance, axis1=1, axis2=2) > 0).all()
        for row in range(3):
            others = chosen.weights[row] == 0
            least = np.diag(full.covariance[row])[others]
            assert (np.diag(chosen.covariance[row])[others] >= least * (1 - 1e-12)).all()


class TestJackknife:
    @pytest.mark.parametrize(
        ("n", "paired", "freedom"), [(100, False, 19), (100, True, 19), (20, False, 19), (16, False, 15), (17, True, 8)]
    )
    def test_its_degrees_of_freedom_are_the_groups_less_one(self, n: int, paired: bool, freedom: int) -> None:
        masks, scores, weights = samples(3, n)
        assert fit(masks, scores, weights, surrogate="tree", paired=paired).freedom == freedom

    @pytest.mark.parametrize("paired", [False, True])
    def test_with_as_many_groups_as_units_it_is_that_of_refits(self, paired: bool) -> None:
        n = 36 if paired else 18
        masks, scores, weights = samples(3, n, classes=1)
        unit = np.arange(n) // 2 if paired else np.arange(n)
        units = unit[-1] + 1
        by_jackknife = fit(masks, scores, weights, surrogate=LinearRegression(), paired=paired).covariance
        refits = np.stack(
            [
                LinearRegression().fit(masks[unit != own], scores[unit != own, 0], weights[unit != own]).coef_
                for own in range(units)
            ]
        )
        whole = LinearRegression().fit(masks, scores[:, 0], weights).coef_
        by_hand = (refits - whole).T @ (refits - whole) * (units - 1) / units
        np.testing.assert_allclose(by_jackknife[0], by_hand, rtol=1e-6)

    @pytest.mark.slow
    def test_on_least_squares_it_agrees_with_the_closed_form_on_average(self) -> None:
        ratios = []
        for seed in range(40):
            masks, scores, weights = samples(6, 400, seed=seed)
            jackknife = fit(masks, scores, weights, surrogate=LinearRegression()).covariance
            ratios.append(np.diagonal(jackknife / fit(masks, scores, weights).covariance, axis1=1, axis2=2))
        # A variance from 20 groups is right to √(2/19) = 32 %; 720 of them, six of one run alike, to some 2 %.
        assert np.mean(ratios) == pytest.approx(1, abs=0.07)


def planted_sum(masks: Masks) -> Array:
    """Two ANDs, one superpixel for and one against, and a parity that no linear model sees."""
    shown = masks.astype(np.float64)
    parity = masks[:, 5] ^ masks[:, 6] ^ masks[:, 7]
    return np.asarray(0.8 * shown[:, 0] * shown[:, 1] + 0.5 * shown[:, 2] - 0.6 * shown[:, 3] + 0.3 * parity)[:, None]


@pytest.mark.slow
class TestCoverage:
    """How often an interval of 95 % holds what the same surrogate finds on all masks there are."""

    @pytest.mark.parametrize("sampler", ["bernoulli", "antithetic"])
    @pytest.mark.parametrize(
        "options",
        [
            {"surrogate": "lasso"},
            {"surrogate": "lasso", "alpha": 0.05},
            {"feature_selection": "highest_weights", "num_features": 4},
            {"feature_selection": "highest_weights", "num_features": 6},
            {"feature_selection": "forward", "num_features": 4},
            {"surrogate": "lasso", "feature_selection": "highest_weights", "num_features": 4},
        ],
        ids=lambda options: " ".join(map(str, options.values())),
    )
    def test_it_is_no_less_than_promised(self, sampler: str, options: dict[str, Any]) -> None:
        d, runs = 13, 200
        every = MaskStream("exhaustive", d, 0).draw(2**d)
        pi = exponential(cosine_distance(every), 0.25)
        true = fit(every, planted_sum(every), pi, complete=True, **options).weights[0]
        held = np.empty((runs, d), dtype=bool)
        for seed in range(runs):
            stream = MaskStream(sampler, d, seed)
            masks = stream.draw(400)
            pi = exponential(cosine_distance(masks), 0.25)
            # 26 fits a run, of 400 samples each: checking their arguments takes scikit-learn longer than they do.
            with config_context(assume_finite=True, skip_parameter_validation=True):
                found = fit(masks, planted_sum(masks), pi, paired=stream.paired, **options)
            half = -stdtrit(found.freedom, 0.025) * np.sqrt(np.diag(found.covariance[0]))
            # One that says nothing would hold, too.
            assert np.median(half) < 0.15
            held[seed] = np.abs(found.weights[0] - true) <= half
        # 200 runs tell a share of 0.95 to 1.5 %: three of these for each superpixel, less for all.
        assert held.mean() >= 0.94
        assert held.mean(axis=0).min() >= 0.95 - 3 * 0.0154
