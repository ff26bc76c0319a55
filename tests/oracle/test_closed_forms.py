"""What `explain` finds is the known answer of Garreau & Mardaoui (ICML 2021)."""

import numpy as np
import pytest

from pytest_lime import LimeOptions, Model, explain
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
ALPHA = LimeOptions().alpha
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
    # No residual is left, so there is no standard error to measure by. What remains is the default ridge
    # penalty against Σ π (z − z̄)², 20,000 · 0.5 / 4 = 2,500 and above 1,000 in every direction; and rounding.
    shrunk = ALPHA / 1000 * float(np.linalg.norm(model.expected_weights())) + 1e-11
    np.testing.assert_allclose(explanation.weights[0], model.expected_weights(), atol=shrunk, rtol=0)
    assert explanation.intercept[0] == pytest.approx(model.expected_intercept(), abs=d * shrunk)
    np.testing.assert_allclose(explanation.standard_errors[0], 0, atol=1e-8)
    assert explanation.r2[0] == pytest.approx(1, abs=1e-12)
    assert explanation.local_pred[0] == pytest.approx(model.scores(np.ones((1, d)))[0], abs=d * shrunk)


@pytest.mark.parametrize("sampler", ["bernoulli", "antithetic"])
def test_the_other_class_has_the_opposite_weights(sampler):
    model = CURVED["and of 2"](20)
    explanation = sampled(model, sampler, ["other", "planted"], samples=2000)
    # 1 − f: exact in the scores, so only rounding in the fit is left.
    np.testing.assert_allclose(explanation.weights[0], -explanation.weights[1], atol=1e-12)
    assert explanation.intercept[0] == pytest.approx(1 - explanation.intercept[1], abs=1e-12)
    np.testing.assert_allclose(explanation.standard_errors[0], explanation.standard_errors[1], atol=1e-12)


EXHAUSTIVE: dict[str, dict[tuple[int, ...], float]] = {
    "single": {(1,): 1.0},
    "and of 2": {(0, 3): 1.0},
    "and of 3": {(0, 2, 3): 1.0},
    "and of all 4": {(0, 1, 2, 3): 1.0},
    "sum of ands": {(0, 1): 0.5, (1, 2, 3): 0.3, (2,): -0.2},
}


@pytest.mark.parametrize("d", [4, 5, 8, 12])
@pytest.mark.parametrize("name", EXHAUSTIVE)
def test_all_masks_without_a_penalty_give_the_closed_form(name, d):
    model = PlantedModel(EXHAUSTIVE[name], d, intercept=0.125)
    explanation = sampled(model, "exhaustive", alpha=0.0)
    assert explanation.samples == 2**d
    np.testing.assert_allclose(explanation.weights[0], model.expected_weights(), atol=1e-8, rtol=0)
    assert explanation.intercept[0] == pytest.approx(model.expected_intercept(), abs=1e-8)
    # Nothing was sampled, so nothing is uncertain but the rounding that `interval` allows for.
    assert (explanation.standard_errors == 0).all()
    assert explanation.freedom == np.inf
    every_mask = (np.arange(2**d)[:, None] >> np.arange(d)) & 1
    rounding = 1e-6 * np.abs(model.scores(every_mask)).max()
    np.testing.assert_allclose(explanation.rounding, rounding, rtol=1e-9)
    for end, sign in zip(explanation.interval[0].T, (-1, 1), strict=True):
        np.testing.assert_allclose(end, explanation.weights[0] + sign * rounding, atol=1e-14, rtol=0)


@pytest.mark.parametrize("d", [4, 5, 8, 12])
@pytest.mark.parametrize("name", EXHAUSTIVE)
def test_all_masks_with_the_default_penalty(name, d):
    model = PlantedModel(EXHAUSTIVE[name], d, intercept=0.125)
    explanation = sampled(model, "exhaustive")
    penalised = exact_weights(model.scores, d, ridge=ALPHA)
    np.testing.assert_allclose(explanation.weights[0], penalised.weights, atol=1e-10, rtol=0)
    assert explanation.intercept[0] == pytest.approx(penalised.intercept, abs=1e-10)
    # Of the closed form it misses what the penalty shrinks: λ / Σ π (z − z̄)², and the sum over 2^d masks is
    # more than 2^d / 20 in every direction.
    shrunk = ALPHA / (2**d / 20) * np.linalg.norm(model.expected_weights())
    np.testing.assert_allclose(explanation.weights[0], model.expected_weights(), atol=shrunk + 1e-10, rtol=0)


@pytest.mark.parametrize("width", [0.15, 0.5, 2.0])
def test_another_kernel_width(width):
    model = PlantedModel(EXHAUSTIVE["sum of ands"], 8)
    explanation = sampled(model, "exhaustive", alpha=0.0, kernel_width=width)
    np.testing.assert_allclose(explanation.weights[0], model.expected_weights(width), atol=1e-8, rtol=0)


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
