"""The surrogate against scikit-learn, against identities, and its errors against simulation."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from pytest_lime import OptionError
from pytest_lime.perturbation import MaskStream
from pytest_lime.surrogate import Fit, cosine_distance, fit_ridge, kernel

Masks = NDArray[np.uint8]
Array = NDArray[np.float64]
SIZES = [(3, 20), (10, 100), (50, 500), (120, 400)]
# The same sums in another order, in float64, on matrices with a condition number below 1e4.
ALGEBRA = 1e-9


def samples(d: int, n: int, classes: int = 3, seed: int = 0) -> tuple[Masks, Array, Array]:
    """Masks, curved scores and the kernel's weights."""
    rng = np.random.default_rng(seed)
    masks = rng.integers(0, 2, (n, d), dtype=np.uint8)
    scores = np.tanh(masks @ rng.normal(size=(d, classes)) / 2) + 0.1 * rng.normal(size=(n, classes))
    return masks, scores, kernel(cosine_distance(masks), 0.25)


class TestKernel:
    def test_known_distances(self) -> None:
        masks = np.array([[1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 0]], dtype=np.uint8)
        np.testing.assert_allclose(cosine_distance(masks), [0, 0.5, 1, 1 - np.sqrt(0.75)], atol=1e-15)

    def test_many_superpixels_do_not_overflow_a_byte(self) -> None:
        masks = np.ones((1, 1000), dtype=np.uint8)
        masks[0, :500] = 0
        np.testing.assert_allclose(cosine_distance(masks), 1 - np.sqrt(0.5), atol=1e-15)

    def test_known_weights(self) -> None:
        distance = np.array([0.0, 0.25, 0.5, 1.0])
        np.testing.assert_allclose(kernel(distance, 0.25), np.exp([0, -0.5, -2, -8]), rtol=1e-12)


class TestRidge:
    @pytest.mark.parametrize(("d", "n"), SIZES)
    @pytest.mark.parametrize("alpha", [1.0, 0.01])
    def test_equals_scikit_learn(self, d: int, n: int, alpha: float) -> None:
        masks, scores, weights = samples(d, n)
        peer = Ridge(alpha=alpha).fit(masks, scores, sample_weight=weights)
        fit = fit_ridge(masks, scores, weights, alpha=alpha)
        np.testing.assert_allclose(fit.weights, peer.coef_, atol=ALGEBRA)
        np.testing.assert_allclose(fit.intercept, peer.intercept_, atol=ALGEBRA)
        for row in range(scores.shape[1]):
            alone = Ridge(alpha=alpha).fit(masks, scores[:, row], sample_weight=weights)
            score = alone.score(masks, scores[:, row], sample_weight=weights)
            assert fit.r2[row] == pytest.approx(score, abs=ALGEBRA)

    @pytest.mark.parametrize(("d", "n"), SIZES)
    @pytest.mark.parametrize("paired", [False, True])
    def test_all_classes_at_once_are_each_alone(self, d: int, n: int, paired: bool) -> None:
        masks, scores, weights = samples(d, n)
        together = fit_ridge(masks, scores, weights, alpha=1e-9, paired=paired)
        for row in range(scores.shape[1]):
            alone = fit_ridge(masks, scores[:, [row]], weights, alpha=1e-9, paired=paired)
            assert alone.freedom == together.freedom
            for name in ("weights", "intercept", "r2", "covariance", "rounding"):
                np.testing.assert_allclose(getattr(together, name)[row], getattr(alone, name)[0], atol=ALGEBRA)

    @pytest.mark.parametrize(("d", "n"), SIZES)
    def test_a_linear_score_is_found_exactly_and_without_error(self, d: int, n: int) -> None:
        masks, _, weights = samples(d, n)
        slope = np.linspace(-1, 2, d)
        fit = fit_ridge(masks, (masks @ slope + 0.25)[:, None], weights, alpha=1e-9)
        # λ = 1e-9 shrinks by about λ over the smallest eigenvalue, which is above 0.01 here.
        np.testing.assert_allclose(fit.weights[0], slope, atol=1e-6)
        assert fit.intercept[0] == pytest.approx(0.25, abs=1e-5)
        assert fit.r2[0] == pytest.approx(1, abs=1e-9)
        assert np.abs(fit.covariance).max() < 1e-12

    @pytest.mark.parametrize(("d", "n"), SIZES)
    def test_the_numbering_of_superpixels_does_not_matter(self, d: int, n: int) -> None:
        masks, scores, weights = samples(d, n)
        order = np.random.default_rng(1).permutation(d)
        plain = fit_ridge(masks, scores, weights, alpha=1e-9)
        shuffled = fit_ridge(masks[:, order], scores, weights, alpha=1e-9)
        np.testing.assert_allclose(shuffled.weights, plain.weights[:, order], atol=ALGEBRA)
        np.testing.assert_allclose(shuffled.covariance, plain.covariance[:, order][:, :, order], atol=ALGEBRA)

    @pytest.mark.parametrize(("d", "n"), SIZES)
    def test_the_order_of_independent_samples_does_not_matter(self, d: int, n: int) -> None:
        masks, scores, weights = samples(d, n)
        order = np.random.default_rng(1).permutation(n)
        plain = fit_ridge(masks, scores, weights, alpha=1e-9)
        shuffled = fit_ridge(masks[order], scores[order], weights[order], alpha=1e-9)
        np.testing.assert_allclose(shuffled.weights, plain.weights, atol=ALGEBRA)
        np.testing.assert_allclose(shuffled.covariance, plain.covariance, atol=ALGEBRA)

    def test_scores_in_another_unit_scale_everything(self) -> None:
        masks, scores, weights = samples(10, 200)
        plain, scaled = (fit_ridge(masks, scale * scores, weights, alpha=1e-9) for scale in (1.0, 1000.0))
        np.testing.assert_allclose(scaled.weights, 1000 * plain.weights, rtol=1e-9)
        np.testing.assert_allclose(scaled.covariance, 1e6 * plain.covariance, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(scaled.r2, plain.r2, atol=ALGEBRA)

    @pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, -7.0, 1e-5])
    @pytest.mark.parametrize("n", [10, 100, 1000, 5000])
    def test_scores_that_do_not_vary_are_met(self, value: float, n: int) -> None:
        masks, _, weights = samples(8, n)
        fit = fit_ridge(masks, np.full((n, 1), value), weights, alpha=1e-9)
        np.testing.assert_allclose(fit.weights, 0, atol=1e-12)
        assert fit.intercept[0] == pytest.approx(value, abs=1e-12)
        assert fit.r2[0] == 1

    def test_a_superpixel_that_never_changes_has_weight_0(self) -> None:
        masks, scores, weights = samples(6, 100)
        masks[:, 2] = 1
        fit = fit_ridge(masks, scores, weights, alpha=0.0)
        np.testing.assert_allclose(fit.weights[:, 2], 0, atol=1e-12)
        others = [0, 1, 3, 4, 5]
        without = fit_ridge(masks[:, others], scores, weights, alpha=0.0)
        np.testing.assert_allclose(fit.weights[:, others], without.weights, atol=ALGEBRA)

    @pytest.mark.parametrize("alpha", [0.0, 1e-9])
    def test_fewer_samples_than_superpixels(self, alpha: float) -> None:
        masks, scores, weights = samples(50, 20)
        fit = fit_ridge(masks, scores, weights, alpha=alpha)
        assert np.isfinite(fit.weights).all()
        assert np.isinf(fit.covariance).all()
        fitted = masks @ fit.weights.T + fit.intercept
        # The kernel weighs a sample with 0.02 at least, so each is met closely.
        np.testing.assert_allclose(fitted, scores, atol=1e-5)


def explained(masks: Masks, scores: Array, **options: Any) -> Fit:
    return fit_ridge(masks, scores, kernel(cosine_distance(masks), 0.25), alpha=1e-9, **options)


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
        covariance = fit_ridge(masks, scores, weights, alpha=1e-9).covariance
        np.testing.assert_allclose(covariance, covariance.swapaxes(1, 2), atol=1e-15)
        assert np.linalg.eigvalsh(covariance).min() > -1e-12

    @pytest.mark.parametrize("paired", [False, True])
    @pytest.mark.parametrize("n", [30, 31])
    def test_the_covariance_is_that_of_refits_without_one_unit_each(self, n: int, paired: bool) -> None:
        masks, scores, weights = samples(4, n, classes=1)

        def refit(kept: NDArray[np.bool_]) -> Array:
            design = np.column_stack([np.ones(kept.sum()), masks[kept]])
            weighted = weights[kept, None] * design
            return np.asarray(np.linalg.solve(design.T @ weighted, weighted.T @ scores[kept, 0]))[1:]

        unit = np.arange(n) // 2 if paired else np.arange(n)
        moved = np.stack([refit(unit != own) for own in range(unit[-1] + 1)]) - refit(np.ones(n, dtype=bool))
        fit = fit_ridge(masks, scores, weights, alpha=0.0, paired=paired)
        np.testing.assert_allclose(fit.covariance[0], moved.T @ moved, rtol=1e-8)

    @pytest.mark.parametrize("sampler", ["bernoulli", "antithetic"])
    @pytest.mark.parametrize("d", [13, 20])
    def test_standard_errors_are_those_of_repeated_runs(self, sampler: str, d: int) -> None:
        # A curved score of known form: an AND of two superpixels, and one alone.
        runs, n = 400, 600
        weights, errors = [], []
        for seed in range(runs):
            masks = MaskStream(sampler, d, seed).draw(n)
            scores = (masks[:, :1] * masks[:, 1:2] + 0.5 * masks[:, 2:3]).astype(np.float64)
            fit = explained(masks, scores, paired=sampler == "antithetic")
            weights.append(fit.weights[0])
            errors.append(np.sqrt(np.diag(fit.covariance[0])))
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
        fit = explained(masks, scores, paired=paired)
        assert fit.freedom == freedom
        # Where there is none left, nothing at all is known, whatever the quantile.
        units = (n + 1) // 2 if paired else n
        if units <= 11:
            assert not np.isfinite(fit.covariance).any()
        elif units > 20:
            assert np.isfinite(fit.covariance).all()

    def test_an_enumeration_has_no_end_of_it(self) -> None:
        masks = MaskStream("exhaustive", 4, 0).draw(16)
        assert explained(masks, masks[:, :1].astype(float), complete=True).freedom == np.inf


class TestRounding:
    def test_it_is_a_millionth_of_the_largest_score_of_each_class(self) -> None:
        masks, _, weights = samples(4, 40)
        scores = np.tile([[0.5, -20.0, 0.0]], (40, 1))
        scores[7] = [0.25, 3.0, 0.0]
        fit = fit_ridge(masks, scores, weights, alpha=1e-9)
        np.testing.assert_allclose(fit.rounding, [0.5e-6, 20e-6, 0], rtol=1e-12)

    def test_scores_of_a_large_part_that_never_changes_are_less_sure(self) -> None:
        # A logit of 1,000 is known to 1e-3 in single precision, however little it varies.
        masks, scores, weights = samples(4, 40)
        plain, shifted = (fit_ridge(masks, scores + shift, weights, alpha=1e-9) for shift in (0, 1000))
        np.testing.assert_allclose(shifted.weights, plain.weights, atol=1e-9)
        np.testing.assert_allclose(shifted.rounding, 1e-6 * (scores + 1000).max(axis=0), rtol=1e-12)


class TestWithoutWeights:
    @pytest.mark.parametrize("weights", [np.zeros(40), np.full(40, np.nan), np.full(40, np.inf)])
    def test_a_kernel_that_weighs_nothing_is_told(self, weights: Array) -> None:
        masks, scores, _ = samples(4, 40)
        with pytest.raises(OptionError, match="kernel_width is too small: no sample of 4 superpixels gets a weight"):
            fit_ridge(masks, scores, weights, alpha=1e-9)

    @pytest.mark.parametrize("scale", [1e-300, 1e-12, 1e12])
    def test_the_scale_of_weights_changes_nothing_but_the_meaning_of_the_penalty(self, scale: float) -> None:
        masks, scores, weights = samples(6, 80)
        plain = fit_ridge(masks, scores, weights, alpha=0.0)
        scaled = fit_ridge(masks, scores, weights * scale, alpha=0.0)
        for name in ("weights", "intercept", "r2", "covariance"):
            np.testing.assert_allclose(getattr(scaled, name), getattr(plain, name), rtol=1e-9, atol=1e-12)
        shrunk = fit_ridge(masks, scores, weights * scale, alpha=3.0 * scale)
        np.testing.assert_allclose(shrunk.weights, fit_ridge(masks, scores, weights, alpha=3.0).weights, rtol=1e-9)


@pytest.mark.parametrize("paired", [False, True])
def test_what_one_unit_alone_tells_has_no_finite_error(paired: bool) -> None:
    masks, scores, _ = samples(5, 60)
    masks[:, 0] = 1
    masks[3, 0] = 0  # hidden once: that sample alone tells what the superpixel does
    covariance = fit_ridge(masks, scores, np.ones(60), alpha=0.0, paired=paired).covariance
    assert np.isinf(covariance[:, 0, 0]).all()


def test_superpixels_that_the_masks_do_not_tell_apart_have_no_finite_error() -> None:
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 2, (200, 6), dtype=np.uint8)
    masks[:, 0] = 1  # never hidden
    masks[:, 2] = masks[:, 1]  # hidden only together
    scores = masks.astype(float) @ rng.random((6, 2)) + 0.1 * rng.random((200, 2))
    errors = np.diagonal(fit_ridge(masks, scores, np.ones(200), alpha=1e-9).covariance, axis1=1, axis2=2)
    assert np.isinf(errors[:, :3]).all()
    assert np.isfinite(errors[:, 3:]).all()
