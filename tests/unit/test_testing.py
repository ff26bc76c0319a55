"""The models with known answers, and the closed forms against enumeration and simulation."""

import doctest
import pickle
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_lime import testing
from pytest_lime.errors import OptionError
from pytest_lime.testing import (
    FakeModel,
    PlantedModel,
    closed_form_weights,
    exact_weights,
    kernel_moments,
    planted_and,
    planted_linear,
    planted_single,
    planted_sum,
)


@dataclass
class Picture:
    pixels: np.ndarray


def masked(model, masks):
    """What the engine makes of a planted model's picture: N×3×H×W, hidden superpixels filled."""
    shown = torch.from_numpy(np.asarray(masks, dtype=np.float32)[:, model.segments])
    return torch.from_numpy(model.prepare(Picture(model.image))) * shown[:, None]


def random_masks(n, d, seed=0):
    return np.random.default_rng(seed).integers(0, 2, (n, d))


def kernel(masks, width=0.25):
    """The kernel as the lime package computes it, from the distance between vectors."""
    norm = np.sqrt(masks.sum(axis=1) * masks.shape[1])
    cosine = np.divide(masks.sum(axis=1), norm, out=np.zeros(len(masks)), where=norm > 0)
    return np.sqrt(np.exp(-((1 - cosine) ** 2) / width**2))


POLYNOMIALS: dict[str, dict[tuple[int, ...], float]] = {
    "single": {(0,): 1.0},
    "and of 2": {(0, 2): 1.0},
    "and of 3": {(0, 2, 3): 1.0},
    "sum of ands": {(0, 1): 0.5, (1, 2, 3): -2.0, (3,): 0.25},
    "linear": {(0,): 0.5, (1,): -1.5, (2,): 0.0, (3,): 2.0},
    "constant": {},
}


class TestKernelMoments:
    @pytest.mark.parametrize("d", [1, 2, 5, 10])
    @pytest.mark.parametrize("width", [0.25, 1.0])
    def test_equal_the_mean_over_all_masks(self, d, width):
        masks = np.array(np.unravel_index(np.arange(2**d), (2,) * d)).T
        pi = kernel(masks, width)
        found = kernel_moments(d, width, order=d)
        expected = [np.mean(pi * masks[:, :p].prod(axis=1)) for p in range(d + 1)]
        np.testing.assert_allclose(found, expected, rtol=1e-12)

    @pytest.mark.parametrize("d", [1, 3, 50])
    def test_the_moment_of_all_superpixels_is_the_share_of_the_full_mask(self, d):
        assert kernel_moments(d, order=d)[d] == pytest.approx(0.5**d, rel=1e-15)

    def test_a_wide_kernel_gives_powers_of_one_half(self):
        np.testing.assert_allclose(kernel_moments(40, 1e9, order=6), 0.5 ** np.arange(7), rtol=1e-14)

    @pytest.mark.parametrize("d", [500, 1000, 2000])
    def test_pascals_rule_holds_where_binomials_leave_the_floats(self, d):
        # E[π z1…zp] = E[π z1…zp+1] + E[π z1…zp (1 − zp+1)], and by symmetry the last is 2-d alone.
        alpha = kernel_moments(d, order=4)
        assert np.isfinite(alpha).all()
        # At large d the kernel is nearly constant, with value ψ(1/2), and the bits are nearly independent.
        flat = np.exp(-((1 - np.sqrt(0.5)) ** 2) / (2 * 0.25**2)) * 0.5 ** np.arange(5)
        np.testing.assert_allclose(alpha, flat, rtol=10 / d)

    def test_beyond_d_is_zero(self):
        assert kernel_moments(2, order=4)[3:].tolist() == [0.0, 0.0]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"d": 0}, "d is 0.*1 or more"),
            ({"d": 3, "width": 0.0}, "kernel width is 0.0.*above 0"),
            ({"d": 3, "width": float("nan")}, "kernel width is nan.*finite"),
            ({"d": 3, "order": -1}, "order .* is -1.*0 or more"),
        ],
    )
    def test_bad_arguments(self, arguments, message):
        with pytest.raises(OptionError, match=message):
            kernel_moments(**arguments)


class TestClosedForm:
    @pytest.mark.parametrize("d", [4, 6, 9, 12])
    @pytest.mark.parametrize("width", [0.15, 0.25, 1.0])
    @pytest.mark.parametrize("name", POLYNOMIALS)
    def test_equals_enumeration(self, d, width, name):
        model = PlantedModel(POLYNOMIALS[name], d, intercept=0.3)
        weights, intercept = exact_weights(model.scores, d, width)
        np.testing.assert_allclose(model.expected_weights(width), weights, atol=1e-10, rtol=0)
        assert model.expected_intercept(width) == pytest.approx(intercept, abs=1e-10)

    @pytest.mark.parametrize("d", [1, 2, 3])
    def test_equals_enumeration_at_the_smallest_d(self, d):
        for group in [(0,), tuple(range(d))]:

            def conjunction(z, members=group):
                return z[:, list(members)].prod(axis=1)

            weights, intercept = exact_weights(conjunction, d)
            found = closed_form_weights({group: 1.0}, d)
            np.testing.assert_allclose(found.weights, weights, atol=1e-12, rtol=0)
            assert found.intercept == pytest.approx(intercept, abs=1e-12)

    @settings(max_examples=40, deadline=None)
    @given(data=st.data(), d=st.integers(1, 8), width=st.floats(0.25, 4))
    def test_equals_enumeration_for_any_polynomial(self, data, d, width):
        groups = data.draw(st.lists(st.sets(st.integers(0, d - 1), min_size=1).map(tuple), max_size=4))
        coefficients = data.draw(st.lists(st.floats(-3, 3), min_size=len(groups), max_size=len(groups)))
        model = planted_sum(groups, d, coefficients)
        exact = exact_weights(model.scores, d, width)
        np.testing.assert_allclose(model.expected_weights(width), exact.weights, atol=1e-10, rtol=0)
        assert model.expected_intercept(width) == pytest.approx(exact.intercept, abs=1e-10)

    @pytest.mark.parametrize(("p", "inside"), [(1, 1.0), (2, 0.516), (3, 0.266), (5, 0.071)])
    def test_and_at_50_superpixels(self, p, inside):
        weights = planted_and(range(p), 50).expected_weights()
        assert weights[:p].round(3).tolist() == [inside] * p
        assert np.abs(weights[p:]).max() < 1e-4

    @pytest.mark.parametrize("d", [5, 20, 50, 1000])
    @pytest.mark.parametrize("p", [1, 2, 3, 5])
    def test_and_equals_the_formulas_of_the_design(self, d, p):
        a = [*kernel_moments(d, order=p + 1)]
        c = (d - 1) * a[0] * a[2] - d * a[1] ** 2 + a[0] * a[1]
        s1 = -a[1]
        s2 = ((d - 2) * a[0] * a[2] - (d - 1) * a[1] ** 2 + a[0] * a[1]) / (a[1] - a[2])
        s3 = (a[1] ** 2 - a[0] * a[2]) / (a[1] - a[2])
        inside = ((s1 + s2 + (p - 1) * s3) * a[p] + (d - p) * s3 * a[p + 1]) / c
        outside = (s1 * a[p] + s2 * a[p + 1] + p * s3 * a[p] + (d - p - 1) * s3 * a[p + 1]) / c
        weights = planted_and(range(p), d).expected_weights()
        np.testing.assert_allclose(weights[:p], inside, atol=1e-11, rtol=0)
        np.testing.assert_allclose(weights[p:], outside, atol=1e-11, rtol=0)

    @pytest.mark.parametrize("d", [1, 7, 50, 1000])
    def test_a_linear_model_is_found_exactly(self, d):
        coefficients = np.random.default_rng(d).normal(size=d)
        model = planted_linear(coefficients, intercept=-0.7)
        np.testing.assert_allclose(model.expected_weights(), coefficients, atol=1e-11, rtol=0)
        assert model.expected_intercept() == pytest.approx(-0.7, abs=1e-9)

    def test_is_linear_in_the_model(self):
        parts = [closed_form_weights({group: 1.0}, 30) for group in [(1, 2), (2, 5, 7)]]
        both = closed_form_weights({(1, 2): 2.0, (2, 5, 7): -0.5}, 30)
        expected = 2 * parts[0].weights - 0.5 * parts[1].weights
        np.testing.assert_allclose(both.weights, expected, atol=1e-14)
        assert both.intercept == pytest.approx(2 * parts[0].intercept - 0.5 * parts[1].intercept)

    def test_simulation_lands_within_four_standard_errors(self):
        # A weighted least squares of our own: 200,000 masks, sandwich errors, 50 superpixels.
        n, d = 200_000, 50
        model = planted_sum([[0, 1], [1, 2, 3], [4]], d, [1.0, 2.0, -0.5])
        masks = random_masks(n, d, seed=5)
        pi = kernel(masks)
        design = np.column_stack([np.ones(n), masks])
        gram = np.linalg.inv(design.T @ (design * pi[:, None]))
        fitted = gram @ (design.T @ (pi * model.scores(masks)))
        pull = (pi * (model.scores(masks) - design @ fitted))[:, None] * design
        errors = np.sqrt(np.diag(gram @ (pull.T @ pull) @ gram))
        expected = np.array([model.expected_intercept(), *model.expected_weights()])
        assert (np.abs(fitted - expected) < 4 * errors).all()

    def test_a_common_factor_of_the_kernel_cancels_at_small_widths(self):
        # ψ(1/2) is 1e-30 here: unscaled products of moments would be 1e-90.
        found = closed_form_weights({(0,): 1.0}, 100, width=0.025)
        np.testing.assert_allclose(found.weights, np.eye(100)[0], atol=1e-9)

    @pytest.mark.parametrize(
        "ask",
        [
            lambda: closed_form_weights({(0,): 1.0}, 2, 0.05),
            lambda: closed_form_weights({(0,): 1.0}, 1, 0.01),
            lambda: exact_weights(lambda z: z[:, 0], 1, 0.01),
        ],
    )
    def test_a_kernel_that_leaves_nothing_to_compare_is_refused(self, ask):
        with pytest.raises(OptionError, match=r"kernel width is 0\.0.*wider kernel"):
            ask()


class TestExactWeights:
    def test_a_function_that_is_no_polynomial_of_low_order(self):
        parity = exact_weights(lambda z: z.sum(axis=1) % 2, 6)
        # Symmetric in the superpixels, so all weights are equal.
        np.testing.assert_allclose(parity.weights, parity.weights[0], atol=1e-12)

    def test_a_ridge_equals_scikit_learns(self):
        linear_model = pytest.importorskip("sklearn.linear_model")
        d, function = 7, lambda z: z[:, 0] * z[:, 1] + np.sin(z.sum(axis=1))
        masks = np.array(np.unravel_index(np.arange(2**d), (2,) * d)).T.astype(float)
        peer = linear_model.Ridge(alpha=3.0).fit(masks, function(masks), sample_weight=kernel(masks))
        weights, intercept = exact_weights(function, d, ridge=3.0)
        np.testing.assert_allclose(weights, peer.coef_, atol=1e-12)
        assert intercept == pytest.approx(peer.intercept_, abs=1e-12)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"d": 17}, "d = 17.*up to 16.*closed_form_weights"),
            ({"d": 0}, "d is 0"),
            ({"d": 3, "width": -1.0}, "kernel width is -1.0"),
            ({"d": 3, "ridge": -2.0}, "ridge penalty is -2.0.*0 or more"),
            ({"d": 3, "function": lambda z: z}, r"returned shape \(8, 3\).*one score"),
        ],
    )
    def test_bad_arguments(self, arguments, message):
        with pytest.raises(OptionError, match=message):
            exact_weights(**{"function": lambda z: z[:, 0], **arguments})


class TestPlantedModel:
    @pytest.mark.parametrize("d", [1, 2, 3, 5, 7, 12, 20, 49, 50, 60, 200])
    def test_the_superpixels_are_numbered_cells_of_at_least_two_by_two(self, d):
        model = planted_single(0, d)
        assert np.unique(model.segments).tolist() == list(range(d))
        for j in range(d):
            rows, columns = np.nonzero(model.segments == j)
            height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
            assert height >= 2
            assert width >= 2
            assert len(rows) == height * width
            # Near-square, but for the few d where the last row is much shorter (3 cells: 1 + 2).
            assert 0.5 <= height / width <= 2

    @pytest.mark.parametrize("size", [(8, 10), (9, 13), (64, 48), (224, 224)])
    def test_a_size_of_ones_own(self, size):
        model = planted_and([3, 19], 20, size=size)
        assert model.input_size == size
        assert model.segments.shape == size
        assert model.image.shape == (*size, 3)
        masks = random_masks(50, 20)
        np.testing.assert_array_equal(model.predict(masked(model, masks))[:, 0].numpy(), model.scores(masks))

    def test_the_image_differs_clearly_from_the_fill(self):
        model = planted_single(0, 50)
        assert model.image.dtype == np.float32
        assert model.image.min() > 0.5
        assert model.image.max() <= 1
        assert np.unique(model.image.reshape(-1, 3), axis=0).shape[0] == 50

    def test_scores_are_the_polynomial(self):
        model = PlantedModel({(0, 1): 2.0, (2,): -0.5}, 4, intercept=0.25)
        masks = np.array(np.unravel_index(np.arange(16), (2,) * 4)).T
        expected = 0.25 + 2.0 * masks[:, 0] * masks[:, 1] - 0.5 * masks[:, 2]
        np.testing.assert_array_equal(model.scores(masks), expected)
        assert model.scores(masks).dtype == np.float64
        np.testing.assert_array_equal(model.scores(masks.astype(bool)), expected)
        assert model.scores(np.empty((0, 4))).shape == (0,)

    @pytest.mark.parametrize("d", [1, 7, 20, 61])
    def test_predict_reads_the_masks_off_the_pixels(self, d):
        model = planted_linear(np.random.default_rng(d).normal(size=d), intercept=0.1)
        masks = np.vstack([random_masks(100, d), np.zeros((1, d)), np.ones((1, d))])
        found = model.predict(masked(model, masks))
        assert found.dtype == torch.float64
        np.testing.assert_array_equal(found[:, 0].numpy(), model.scores(masks))
        np.testing.assert_array_equal(found[:, 1].numpy(), 1 - model.scores(masks))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    def test_predict_takes_any_precision_and_memory_format(self, dtype):
        model = planted_and([1, 5], 9)
        masks = random_masks(64, 9)
        batch = masked(model, masks).to(dtype).to(memory_format=torch.channels_last)
        np.testing.assert_array_equal(model.predict(batch)[:, 0].numpy(), model.scores(masks))

    def test_the_answer_does_not_depend_on_the_batch(self):
        model = planted_linear(np.random.default_rng(3).normal(size=40))
        batch = masked(model, random_masks(33, 40))
        singly = torch.cat([model.predict(batch[i : i + 1]) for i in range(33)])
        assert torch.equal(model.predict(batch), singly)

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    def test_predict_stays_on_the_device(self):
        model = planted_and([1, 5], 9)
        masks = random_masks(64, 9)
        found = model.predict(masked(model, masks).cuda())
        assert found.is_cuda
        np.testing.assert_array_equal(found[:, 0].cpu().numpy(), model.scores(masks))

    def test_prepare_only_turns_the_axes(self):
        model = planted_single(0, 6)
        prepared = model.prepare(Picture(model.image))
        assert prepared.dtype == np.float32
        np.testing.assert_array_equal(prepared.transpose(1, 2, 0), model.image)

    def test_options_are_the_segments_and_the_fill(self):
        model = planted_single(0, 6)
        assert model.options.keys() == {"segmenter", "fill"}
        assert model.options["segmenter"] is model.segments
        assert model.options["fill"] == (0.0, 0.0, 0.0)

    @pytest.mark.parametrize("model", [planted_single(0, 6), FakeModel()], ids=repr)
    def test_runs_on_the_processor_unless_told_otherwise(self, model):
        # Apple's mps has no float64, and the answers are to be the same on each machine.
        assert model.device == "cpu"

    def test_constructors_make_the_polynomial_they_name(self):
        assert planted_single(3, 5).terms == {(3,): 1.0}
        assert planted_and([4, 1], 5).terms == {(1, 4): 1.0}
        assert planted_sum([[0, 1], [1, 0], [2]], 5).terms == {(0, 1): 2.0, (2,): 1.0}
        assert planted_linear([0.5, 0.25]).terms == {(0,): 0.5, (1,): 0.25}
        assert planted_linear([0.5, 0.25], 0.125).intercept == 0.125

    def test_survives_pickling(self):
        model = planted_and([0, 1], 4)
        copy = pickle.loads(pickle.dumps(model))
        masks = random_masks(10, 4)
        np.testing.assert_array_equal(copy.scores(masks), model.scores(masks))
        assert repr(copy) == repr(model)

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: planted_single(20, 20), r"\(20,\) .* superpixel 20, .* 0 to 19"),
            (lambda: planted_single(-1, 20), r"\(-1,\) .* superpixel -1, .* 0 to 19"),
            (lambda: planted_single(0, 0), "d is 0.*1 or more"),
            (lambda: planted_and([], 5), "at least one superpixel"),
            (lambda: planted_and([1, 1], 5), r"\(1, 1\) .* twice"),
            (lambda: planted_sum([[0], []], 5), "at least one superpixel"),
            (lambda: planted_sum([[0], [1]], 5, [1.0]), "1 coefficients for 2 groups"),
            (lambda: planted_sum([[0]], 5, [float("inf")]), r"coefficient of the group \(0,\) is inf"),
            (lambda: planted_linear([]), "d is 0"),
            (lambda: planted_linear([1.0], intercept=float("nan")), "intercept .* is nan"),
            (lambda: planted_single(0, 20, size=(8, 9)), r"\(8, 9\).*at least \(8, 10\)"),
        ],
    )
    def test_bad_arguments(self, make, message):
        with pytest.raises(OptionError, match=message) as caught:
            make()
        assert str(caught.value).count(". ") == 0, "one sentence"

    @pytest.mark.parametrize("shape", [(3, 8, 8), (2, 3, 8, 9), (2, 1, 8, 8)])
    def test_a_batch_of_another_size_is_refused(self, shape):
        with pytest.raises(OptionError, match=r"PlantedModel\.predict has shape .*prepare"):
            planted_single(0, 4).predict(torch.zeros(shape))

    def test_another_picture_is_refused(self):
        with pytest.raises(OptionError, match=r"shape \(9, 9, 3\).*model\.image"):
            planted_single(0, 4).prepare(Picture(np.ones((9, 9, 3))))

    @pytest.mark.parametrize(
        ("masks", "message"),
        [
            (np.ones(4), r"shape \(4,\).*\(N, 4\)"),
            (np.ones((2, 5)), r"shape \(2, 5\).*\(N, 4\)"),
            ([[0, 1, 0.5, 1]], "0 or 1"),
        ],
    )
    def test_bad_masks_are_refused(self, masks, message):
        with pytest.raises(OptionError, match=message):
            planted_single(0, 4).scores(masks)


class TestFakeModel:
    def picture(self, height=48, width=64):
        rows, columns = np.mgrid[:height, :width]
        rows, columns = rows / height, columns / width
        return Picture(np.stack([rows, columns, (rows + columns) / 2], axis=2).astype(np.float32))

    def test_answers_are_the_same_everywhere(self):
        # Recorded once: a change of these numbers is a change of what users' tests see.
        model = FakeModel()
        found = model.predict(torch.from_numpy(model.prepare(self.picture()))[None])
        np.testing.assert_allclose(found.numpy(), [[0.652999205, 0.197415328, 0.149585467]], rtol=0, atol=1e-6)

    @pytest.mark.parametrize("size", [(32, 32), (17, 40)])
    @pytest.mark.parametrize("given", [(32, 32), (17, 40), (5, 5), (200, 100)])
    def test_prepare_resizes_any_picture(self, size, given):
        model = FakeModel(size=size)
        prepared = model.prepare(self.picture(*given))
        assert prepared.shape == (3, *size)
        assert prepared.dtype == np.float32
        assert prepared.min() >= 0
        assert prepared.max() <= 1
        if size == given:
            np.testing.assert_array_equal(prepared.transpose(1, 2, 0), self.picture(*given).pixels)

    def test_prepare_leaves_the_picture_alone(self):
        picture = self.picture(32, 32)
        before = picture.pixels.copy()
        FakeModel().prepare(picture)[:] = 0
        np.testing.assert_array_equal(picture.pixels, before)

    @pytest.mark.parametrize("labels", [("a", "b"), tuple("abcdefg")])
    def test_probabilities(self, labels):
        model = FakeModel(labels)
        assert model.labels == labels
        batch = torch.from_numpy(np.random.default_rng(0).random((6, 3, 32, 32)).astype(np.float32))
        found = model.predict(batch.to(memory_format=torch.channels_last))
        assert found.shape == (6, len(labels))
        assert (found > 0).all()
        np.testing.assert_allclose(found.sum(dim=1).numpy(), 1, atol=1e-12)
        np.testing.assert_allclose(found.numpy(), model.predict(batch).numpy(), atol=1e-12)

    def test_each_class_has_a_picture_that_it_wins(self):
        model = FakeModel()
        best = model.predict(((model._weights > model._weights.mean(dim=0)) * 1.0).float()).argmax(dim=1)
        assert best.tolist() == [0, 1, 2]

    @pytest.mark.parametrize("labels", [(), ("one",), ("same", "same"), "cat"])
    def test_bad_labels(self, labels):
        with pytest.raises(OptionError, match=r"labels of FakeModel are .*two or more"):
            FakeModel(labels)

    @pytest.mark.parametrize("size", [(1, 32), (32, 0)])
    def test_bad_sizes(self, size):
        with pytest.raises(OptionError, match=r"size of FakeModel is .*at least"):
            FakeModel(size=size)

    def test_a_batch_of_another_size_is_refused(self):
        with pytest.raises(OptionError, match=r"FakeModel\.predict has shape"):
            FakeModel().predict(torch.zeros(1, 3, 16, 16))


def test_all_is_exactly_what_is_public():
    public = {name for name, value in vars(testing).items() if getattr(value, "__module__", "") == testing.__name__}
    assert {name for name in public if not name.startswith("_")} == set(testing.__all__)


@pytest.mark.parametrize("test", doctest.DocTestFinder().find(testing), ids=lambda test: test.name)
def test_the_examples_run(test):
    outcome = doctest.DocTestRunner().run(test)
    assert outcome.failed == 0
