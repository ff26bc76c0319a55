"""With balanced masks the surrogate has the same limit, a smaller error, and intervals that hold it."""

import numpy as np
import pytest
from scipy.special import stdtrit

from pytest_lime.kernels import cosine_distance, exponential
from pytest_lime.perturbation import MaskStream
from pytest_lime.surrogate import fit
from pytest_lime.testing import planted_and, planted_linear, planted_sum

SEEDS = 200
SAMPLES = 1000
WIDTHS = (20, 50)


def of_threes(d):
    """A sum of ANDs of three superpixels each: the kind of interaction that a single block does not balance."""
    rng = np.random.default_rng(5)
    groups = [rng.choice(d, 3, replace=False).tolist() for _ in range(8)]
    return planted_sum(groups, d, rng.normal(size=8).tolist())


MODELS = {
    "and of 2": lambda d: planted_and([3, 11], d),
    "and of 3": lambda d: planted_and([0, 3, 11], d),
    "and of 4": lambda d: planted_and([0, 3, 7, 11], d),
    "and of 5": lambda d: planted_and([0, 3, 7, 11, 19], d),
    "sum of ands": lambda d: planted_sum([[0, 1], [5, 9, 14]], d, [0.6, 0.4]),
    "eight ands of 3": of_threes,
}


def explained(models, sampler, seed, samples=SAMPLES):
    """What `explain` does with a sampler, without the pictures in between; each model is one class."""
    stream = MaskStream(sampler, models[0].d, seed)
    masks = stream.draw(samples)
    scores = np.stack([model.scores(masks) for model in models], axis=1)
    return fit(masks, scores, exponential(cosine_distance(masks), 0.25), alpha=0.0, paired=stream.paired)


def runs(d, sampler, seeds=SEEDS, samples=SAMPLES):
    """For all models: weights off the closed form and standard errors, models×seeds×d, and the degrees of freedom."""
    models = [make(d) for make in MODELS.values()]
    fits = [explained(models, sampler, seed, samples) for seed in range(seeds)]
    expected = np.array([model.expected_weights() for model in models])
    off = np.stack([each.weights - expected for each in fits], axis=1)
    errors = np.stack([np.sqrt(np.diagonal(each.covariance, axis1=1, axis2=2)) for each in fits], axis=1)
    return off, errors, fits[0].freedom


def quantile(freedom, comparisons=1):
    return -stdtrit(freedom, 0.025 / comparisons)


def rms(values):
    return np.sqrt(np.mean(np.square(values), axis=(1, 2)))


@pytest.fixture(scope="module", params=[(d, n) for d in WIDTHS for n in (256, SAMPLES)], ids="{0[0]} of {0[1]}".format)
def hadamard_runs(request):
    d, samples = request.param
    models = [make(d) for make in MODELS.values()]
    return models, *runs(d, "hadamard", samples=samples)


@pytest.mark.slow
def test_the_intervals_cover_the_closed_form(hadamard_runs):
    _, off, errors, freedom = hadamard_runs
    hits = (np.abs(off) <= quantile(freedom) * errors).mean(axis=(1, 2))
    assert hits.min() > 0.925


def test_the_intervals_of_what_the_model_uses_cover_it(hadamard_runs):
    models, off, errors, freedom = hadamard_runs
    hits = (np.abs(off) <= quantile(freedom) * errors).mean(axis=1)
    for of_each, model in zip(hits, models, strict=True):
        assert of_each[sorted({member for group in model.terms for member in group})].mean() > 0.92


def test_all_intervals_together_cover_the_closed_form(hadamard_runs):
    # What decides `top_overlap`. A design whose error sits in a few superpixels fails here, however good its mean.
    models, off, errors, freedom = hadamard_runs
    hits = (np.abs(off) <= quantile(freedom, models[0].d) * errors).all(axis=2).mean(axis=1)
    # 0.95 less four standard errors of 200 seeds.
    assert hits.min() > 0.95 - 4 * np.sqrt(0.05 * 0.95 / SEEDS)


def test_the_standard_errors_are_not_too_small_nor_far_too_large(hadamard_runs):
    _, off, errors, _ = hadamard_runs
    ratio = rms(errors) / rms(off)
    assert ratio.min() > 0.95
    assert ratio.max() < 1.4


@pytest.mark.parametrize("samples", [256, SAMPLES])
@pytest.mark.parametrize("d", WIDTHS)
def test_the_error_is_smaller_than_that_of_independent_masks(d, samples):
    balanced, independent = (rms(runs(d, sampler, 60, samples)[0]) for sampler in ("hadamard", "bernoulli"))
    # 60 seeds of 20 superpixels know each error to some 3 %.
    assert (balanced / independent).max() < 1.05
    assert (balanced / independent).mean() < 0.85


@pytest.mark.parametrize("d", WIDTHS)
@pytest.mark.parametrize("name", MODELS)
def test_many_samples_land_on_the_closed_form(name, d):
    model = MODELS[name](d)
    found = explained([model], "hadamard", 1, 20_000)
    errors = np.sqrt(np.diagonal(found.covariance[0]))
    assert errors.max() < 0.02
    assert (np.abs(found.weights[0] - model.expected_weights()) < 4 * errors).all()


@pytest.mark.slow
def test_the_mean_over_seeds_is_the_closed_form():
    # Each seed has an error of its own at 256 masks; none of it is a bias common to all.
    seeds = 300
    off = runs(50, "hadamard", seeds, 256)[0]
    scaled = off.mean(axis=1) / (off.std(axis=1) / np.sqrt(seeds))
    # χ² of 50 superpixels, divided by 50: above 1.75 once in 1,000.
    assert np.mean(scaled**2, axis=1).max() < 1.75


@pytest.mark.parametrize("samples", [64, 100, 128, 1000])
def test_a_linear_model_is_found_without_error(samples):
    # Balanced superpixels are told apart as soon as there are about as many pairs as superpixels.
    model = planted_linear(np.cos(np.arange(30)), intercept=0.5)
    found = explained([model], "hadamard", 0, samples)
    np.testing.assert_allclose(found.weights[0], model.expected_weights(), atol=1e-10)
