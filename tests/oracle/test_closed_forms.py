"""What `explain` finds is the known answer of Garreau & Mardaoui (ICML 2021)."""

import numpy as np
import pytest

from pytest_lime import Model, explain
from pytest_lime.kernels import cosine_distance, exponential
from pytest_lime.perturbation import MaskStream
from pytest_lime.surrogate import fit
from pytest_lime.testing import (
    FakeModel,
    PlantedModel,
    exact_weights,
    planted_and,
    planted_linear,
    planted_single,
    planted_sum,
)

SAMPLES = 20_000
CURVED = {
    "and of 2": lambda d: planted_and([3, 11], d),
    "and of 3": lambda d: planted_and([0, 3, 11], d),
    "and of 5": lambda d: planted_and([0, 3, 7, 11, 19], d),
    "sum of ands": lambda d: planted_sum([[0, 1], [2, 3, 4], [1, 5]], d, [0.5, 0.3, -0.2]),
}
EXACTLY_LINEAR = {
    "single": lambda d: planted_single(7, d),
    "linear": lambda d: planted_linear(np.cos(np.arange(d)) / d, intercept=0.5),
}


def sampled(model, sampler, target="planted", **options):
    return explain(
        model,
        model.image,
        target,
        **model.options,
        sampler=sampler,
        **{"samples": SAMPLES, "seed": 1, "batch_size": 2000, **options},
    )


@pytest.mark.parametrize("sampler", ["bernoulli", "antithetic"])
@pytest.mark.parametrize("d", [20, 50])
@pytest.mark.parametrize("name", CURVED)
def test_sampling_lands_within_four_standard_errors(name, d, sampler):
    model = CURVED[name](d)
    explanation = sampled(model, sampler)
    assert explanation.samples == SAMPLES
    assert np.array_equal(explanation.segments, model.segments)
    errors = explanation.standard_errors[0]
    # The errors shrink with the samples: at 20,000 none may be so wide that the test says nothing.
    assert (errors > 0).all()
    assert errors.max() < 0.02
    assert (np.abs(explanation.weights[0] - model.expected_weights()) < 4 * errors).all()


@pytest.mark.parametrize("sampler", ["bernoulli", "antithetic"])
@pytest.mark.parametrize("d", [20, 50])
@pytest.mark.parametrize("name", EXACTLY_LINEAR)
def test_an_exactly_linear_model_is_found_without_error(name, d, sampler):
    model = EXACTLY_LINEAR[name](d)
    explanation = sampled(model, sampler)
    # No residual is left, so there is no standard error to measure by, and by default there is no penalty.
    np.testing.assert_allclose(explanation.weights[0], model.expected_weights(), atol=1e-11, rtol=0)
    assert explanation.intercept[0] == pytest.approx(model.expected_intercept(), abs=1e-10)
    np.testing.assert_allclose(explanation.standard_errors[0], 0, atol=1e-8)
    assert explanation.r2[0] == pytest.approx(1, abs=1e-12)
    assert explanation.r2_heldout[0] == pytest.approx(1, abs=1e-12)
    assert explanation.local_pred[0] == pytest.approx(model.scores(np.ones((1, d)))[0], abs=1e-10)


@pytest.mark.parametrize("sampler", ["bernoulli", "antithetic"])
def test_the_other_class_has_the_opposite_weights(sampler):
    model = CURVED["and of 2"](20)
    explanation = sampled(model, sampler, ["other", "planted"], samples=2000)
    # 1 − f: exact in the scores, so only rounding in the fit is left.
    np.testing.assert_allclose(explanation.weights[0], -explanation.weights[1], atol=1e-12)
    assert explanation.intercept[0] == pytest.approx(1 - explanation.intercept[1], abs=1e-12)
    np.testing.assert_allclose(explanation.standard_errors[0], explanation.standard_errors[1], atol=1e-12)


# Sums of 2^d terms in another order than the closed form's, in float64.
EXACT = 1e-10
EXHAUSTIVE: dict[str, dict[tuple[int, ...], float]] = {
    "single": {(1,): 1.0},
    "and of 2": {(0, 3): 1.0},
    "and of 3": {(0, 2, 3): 1.0},
    "and of all 4": {(0, 1, 2, 3): 1.0},
    "sum of ands": {(0, 1): 0.5, (1, 2, 3): 0.3, (2,): -0.2},
}


@pytest.mark.parametrize("d", [4, 5, 8, 12])
@pytest.mark.parametrize("name", EXHAUSTIVE)
def test_all_masks_give_the_closed_form(name, d):
    model = PlantedModel(EXHAUSTIVE[name], d, intercept=0.125)
    explanation = sampled(model, "exhaustive")
    assert explanation.samples == 2**d
    np.testing.assert_allclose(explanation.weights[0], model.expected_weights(), atol=EXACT, rtol=0)
    assert explanation.intercept[0] == pytest.approx(model.expected_intercept(), abs=EXACT)
    # Nothing was sampled, so nothing is uncertain but the rounding that `interval` allows for.
    assert (explanation.standard_errors == 0).all()
    assert explanation.freedom == np.inf
    every_mask = (np.arange(2**d)[:, None] >> np.arange(d)) & 1
    rounding = 1e-6 * np.abs(model.scores(every_mask)).max()
    np.testing.assert_allclose(explanation.rounding, rounding, rtol=1e-9)
    for end, sign in zip(explanation.interval[0].T, (-1, 1), strict=True):
        np.testing.assert_allclose(end, explanation.weights[0] + sign * rounding, atol=1e-14, rtol=0)


# One of each kind that there is at every d from 2 on.
FAMILIES = {
    "and": lambda d: planted_and(range(min(d, 3)), d),
    "and of 2": lambda d: planted_and([0, d - 1], d),
    "sum of ands": lambda d: planted_sum([[0, 1], [d - 1], [d // 2, (d // 2 + 1) % d]], d, [0.5, 0.3, -0.2]),
    "linear": lambda d: planted_linear(np.cos(np.arange(d)) / d, intercept=0.5),
}


@pytest.mark.parametrize("sampler", ["exhaustive", "antithetic"])
@pytest.mark.parametrize("d", range(2, 13))
@pytest.mark.parametrize("name", FAMILIES)
def test_up_to_12_superpixels_the_answer_is_exact(name, d, sampler):
    model = FAMILIES[name](d)
    # The default enumerates by itself.
    explanation = sampled(model, sampler)
    assert explanation.samples == 2**d
    np.testing.assert_allclose(explanation.weights[0], model.expected_weights(), atol=EXACT, rtol=0)
    assert explanation.intercept[0] == pytest.approx(model.expected_intercept(), abs=EXACT)


@pytest.mark.parametrize("sampler", ["bernoulli", "antithetic", "lime"])
@pytest.mark.parametrize("d", [13, 20, 35, 50, 100, 150, 200])
@pytest.mark.parametrize("name", FAMILIES)
def test_from_13_to_200_superpixels_it_lies_within_its_errors(name, d, sampler):
    # Without pictures and passes: the masks that `explain` draws, the formula's scores and the fit.
    model = FAMILIES[name](d)
    stream = MaskStream(sampler, d, seed=2)
    masks = stream.draw(SAMPLES)
    pi = exponential(cosine_distance(masks), 0.25)
    found = fit(masks, model.scores(masks)[:, None], pi, paired=stream.paired)
    off = np.abs(found.weights[0] - model.expected_weights())
    errors = np.sqrt(np.diag(found.covariance[0]))
    assert errors.max() < 0.02
    # Of some 7,000 weights here one in 100,000 is off by 4.5 standard errors; the second part is rounding.
    assert (off <= 4.5 * errors + 1e-11).all()
    if name == "linear":
        assert off.max() < 1e-11


@pytest.mark.parametrize(("p", "inside"), [(1, 1.0), (2, 0.516), (3, 0.266), (5, 0.071)])
def test_the_published_weights_at_50_superpixels(p, inside):
    model = planted_and(range(p), 50)
    masks = MaskStream("antithetic", 50, seed=0).draw(SAMPLES)
    found = fit(masks, model.scores(masks)[:, None], exponential(cosine_distance(masks), 0.25), paired=True)
    assert found.weights[0, :p].mean() == pytest.approx(inside, abs=0.01)
    assert model.expected_weights()[:p] == pytest.approx(inside, abs=6e-4)


@pytest.mark.parametrize("width", [0.15, 0.5, 2.0])
def test_another_kernel_width(width):
    model = PlantedModel(EXHAUSTIVE["sum of ands"], 8)
    explanation = sampled(model, "exhaustive", kernel_width=width)
    np.testing.assert_allclose(explanation.weights[0], model.expected_weights(width), atol=EXACT, rtol=0)


@pytest.mark.parametrize("ridge", [0.01, 1.0, 30.0])
def test_another_penalty(ridge):
    model = PlantedModel(EXHAUSTIVE["sum of ands"], 8)
    explanation = sampled(model, "exhaustive", alpha=ridge)
    exact = exact_weights(model.scores, 8, ridge=ridge)
    np.testing.assert_allclose(explanation.weights[0], exact.weights, atol=1e-12, rtol=0)
    assert explanation.intercept[0] == pytest.approx(exact.intercept, abs=1e-12)


@pytest.mark.parametrize("model", [FakeModel(), planted_single(0, 4)], ids=["fake", "planted"])
def test_the_models_for_tests_follow_the_protocol(model):
    assert isinstance(model, Model)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (90, 61), (9, 200)])
def test_the_fake_model_explains_any_picture_and_looks_where_it_says(height, width):
    # It likes "cat" round the middle of the right half, and "bird" (at 240°) up and to the left of the centre.
    picture = np.full((height, width, 3), 200, dtype=np.uint8)
    explanation = explain(
        FakeModel(), picture, ["cat", "bird"], segmenter="grid", segments=16, fill=(0, 0, 0), samples=500
    )
    rows, columns = np.indices(explanation.segments.shape) + 0.5
    best = explanation.segments == explanation.top(1, target="cat")[0]
    assert columns[best].mean() > 0.5 * columns.max()
    best = explanation.segments == explanation.top(1, target="bird")[0]
    assert columns[best].mean() < 0.5 * columns.max()
    assert rows[best].mean() < 0.5 * rows.max()
