"""The 95 % intervals hold the known answer 95 times in 100."""

import numpy as np
import pytest

from pytest_lime import LimeOptions, explain
from pytest_lime.explanation import normal_quantile
from pytest_lime.perturbation import MaskStream
from pytest_lime.surrogate import cosine_distance, fit_ridge, kernel
from pytest_lime.testing import planted_and, planted_sum

SEEDS = 400
D = 20
SAMPLES = 1000
OPTIONS = LimeOptions()
MODELS = {
    "and": planted_and([3, 11], D),
    "sum of ands": planted_sum([[0, 1], [5, 9, 14]], D, [0.6, 0.4]),
}
SAMPLERS = ("bernoulli", "antithetic")


def fit(model, sampler, seed, *, paired=None):
    """What `explain` does with a sampler, without the pictures in between."""
    stream = MaskStream(sampler, model.d, seed)
    masks = stream.draw(SAMPLES)
    pi = kernel(cosine_distance(masks), OPTIONS.kernel_width)
    paired = stream.paired if paired is None else paired
    return fit_ridge(masks, model.scores(masks)[:, None], pi, alpha=OPTIONS.alpha, paired=paired)


@pytest.fixture(scope="module", params=[(model, sampler) for model in MODELS for sampler in SAMPLERS], ids=" ".join)
def runs(request):
    name, sampler = request.param
    fits = [fit(MODELS[name], sampler, seed) for seed in range(SEEDS)]
    weights = np.array([each.weights[0] for each in fits])
    covariances = np.array([each.covariance[0] for each in fits])
    return MODELS[name], weights, covariances


def in_formula(model):
    inside = np.zeros(model.d, dtype=bool)
    inside[[member for group in model.terms for member in group]] = True
    return inside


def covered(model, weights, covariances, confidence=0.95):
    errors = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
    return np.abs(weights - model.expected_weights()) <= normal_quantile(confidence) * errors


def test_the_intervals_cover_the_closed_form(runs):
    assert 0.93 < covered(*runs).mean() < 0.97


@pytest.mark.parametrize("where", ["inside", "outside"])
def test_inside_and_outside_the_formula(runs, where):
    inside = in_formula(runs[0])
    hits = covered(*runs)[:, inside if where == "inside" else ~inside]
    # Four standard errors of a share of 0.95 among so many intervals: by chance once in 16,000.
    assert abs(hits.mean() - 0.95) < 4 * np.sqrt(0.95 * 0.05 / hits.size)


@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.99])
def test_at_other_levels(runs, confidence):
    hits = covered(*runs, confidence=confidence)
    assert abs(hits.mean() - confidence) < 4 * np.sqrt(confidence * (1 - confidence) / hits.size)


def test_the_standard_errors_are_the_spread_of_the_weights(runs):
    _, weights, covariances = runs
    claimed = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2).mean(axis=0))
    # The spread of 400 normal values is itself known to 1/√800 = 3.5 %; its mean over 20 superpixels to 1 %.
    assert (weights.std(axis=0) / claimed).mean() == pytest.approx(1, abs=0.04)


def test_the_interval_of_a_region_covers_too(runs):
    # A region sum needs the covariances between superpixels, not only the variances.
    model, weights, covariances = runs
    region = np.arange(D) < 8
    errors = np.sqrt(np.einsum("i,nij,j->n", region, covariances, region))
    off = np.abs((weights - model.expected_weights()) @ region)
    share = np.mean(off <= normal_quantile(0.95) * errors)
    # Four standard errors of a share of 0.95 among 400.
    assert share == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / SEEDS))


def test_pairs_taken_for_independent_samples_would_not_cover():
    # What the test would show if the pairing were forgotten: so it can tell right from wrong.
    model = MODELS["and"]
    fits = [fit(model, "antithetic", seed, paired=False) for seed in range(SEEDS)]
    weights = np.array([each.weights[0] for each in fits])
    covariances = np.array([each.covariance[0] for each in fits])
    share = covered(model, weights, covariances).mean()
    assert not 0.93 < share < 0.97


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("seed", [0, 1])
def test_explain_gives_the_intervals_that_were_counted(sampler, seed):
    model = MODELS["and"]
    explanation = explain(
        model,
        model.image,
        "planted",
        **model.options,
        sampler=sampler,
        samples=SAMPLES,
        seed=seed,
        batch_size=500,
    )
    counted = fit(model, sampler, seed)
    errors = np.sqrt(np.diagonal(counted.covariance, axis1=1, axis2=2))
    half = normal_quantile(0.95) * errors
    # The same masks and the same scores: only the order of summation may differ.
    np.testing.assert_allclose(explanation.weights, counted.weights, atol=1e-12)
    np.testing.assert_allclose(explanation.standard_errors, errors, atol=1e-12)
    # `interval` adds an allowance for the rounding of forward passes, a millionth of the largest weight.
    rounding = 1e-6 * np.abs(counted.weights).max()
    low, high = explanation.interval[0].T
    np.testing.assert_allclose(low, counted.weights[0] - half[0], atol=1.001 * rounding, rtol=0)
    np.testing.assert_allclose(high, counted.weights[0] + half[0], atol=1.001 * rounding, rtol=0)
