"""On the same masks and scores, the surrogate is that of the `lime` package, 0.2.0.1."""

import functools
from importlib import metadata
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from skimage import data
from sklearn import config_context
from sklearn.linear_model import LinearRegression

from pytest_lime import CallableModel, explain
from pytest_lime.kernels import cosine_distance, exponential
from pytest_lime.perturbation import MaskStream
from pytest_lime.surrogate import fit

lime_image = pytest.importorskip("lime.lime_image")
lime_base = pytest.importorskip("lime.lime_base")

CLASSES = 4
SIZES = [(d, n) for d in (5, 20, 60) for n in (50, 400)]
TOLERANCE = 1e-9


def test_the_peer_is_the_version_that_the_promise_names():
    assert metadata.version("lime") == "0.2.0.1"


def picture(d):
    """A picture of d cells of 4×4 pixels in 256ths: means of cells and their sums are exact in float32."""
    segments = np.kron(np.arange(d).reshape(5, d // 5), np.ones((4, 4), dtype=np.int64))
    pixels = np.random.default_rng(d).integers(64, 256, (*segments.shape, 3)) / 256
    return pixels.astype(np.float32), segments


def classifier(images):
    """A `classifier_fn` as lime takes it: curved in the pixels, float64, four classes."""
    images = np.asarray(images, dtype=np.float64)
    rows, columns = np.indices(images.shape[1:3])
    waves = np.stack([np.cos(k + rows * (k + 1) / 7 + columns / 5).ravel() for k in range(CLASSES)])
    means = images.mean(axis=3).reshape(len(images), -1) @ waves.T / waves.shape[1]
    odds = np.exp(3 * np.tanh(means * 8))
    return odds / odds.sum(axis=1, keepdims=True)


@functools.cache
def lime_run(d, n, fill):
    """Drive lime's own explainer; keep its masks, its scores and what it finds for each class."""
    pixels, segments = picture(d)
    explainer = lime_image.LimeImageExplainer(random_state=d + n)
    kept = SimpleNamespace(fits={})
    data_labels, explain_one = explainer.data_labels, explainer.base.explain_instance_with_data

    def keep_samples(*arguments, **options):
        kept.masks, kept.scores = data_labels(*arguments, **options)
        return kept.masks, kept.scores

    def keep_fit(data, labels, distances, label, *arguments, **options):
        intercept, weights, score, local = explain_one(data, labels, distances, label, *arguments, **options)
        kept.fits[int(label)] = SimpleNamespace(
            intercept=float(intercept),
            weights=np.array([weight for _, weight in sorted(weights)]),
            score=float(score),
            local_pred=float(local[0]),
        )
        return intercept, weights, score, local

    explainer.data_labels, explainer.base.explain_instance_with_data = keep_samples, keep_fit
    kept.explanation = explainer.explain_instance(
        pixels,
        classifier,
        top_labels=CLASSES,
        hide_color=None if fill == "segment_mean" else 0,
        num_samples=n,
        segmentation_fn=lambda image: segments,
        batch_size=64,
    )
    assert kept.masks.shape == (n, d)
    assert kept.fits.keys() == set(range(CLASSES))
    return kept


def peers(kept, field, classes=range(CLASSES)):
    return np.array([getattr(kept.fits[k], field) for k in classes])


@pytest.mark.parametrize(("d", "n"), SIZES)
@pytest.mark.parametrize("fill", ["black", "segment_mean"])
def test_the_surrogate_on_limes_masks_and_scores(d, n, fill):
    kept = lime_run(d, n, fill)
    pi = exponential(cosine_distance(kept.masks), 0.25)
    ours = fit(kept.masks, kept.scores, pi, alpha=1.0)
    np.testing.assert_allclose(ours.weights, peers(kept, "weights"), atol=TOLERANCE, rtol=0)
    np.testing.assert_allclose(ours.intercept, peers(kept, "intercept"), atol=TOLERANCE, rtol=0)
    np.testing.assert_allclose(ours.r2, peers(kept, "score"), atol=TOLERANCE, rtol=0)
    np.testing.assert_allclose(ours.local_pred, peers(kept, "local_pred"), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize(("d", "n"), SIZES)
@pytest.mark.parametrize("fill", ["black", "segment_mean"])
def test_the_whole_way_on_limes_masks(d, n, fill):
    # The same classifier_fn, unchanged; our own masking, batches, scores and fit.
    kept = lime_run(d, n, fill)
    pixels, segments = picture(d)
    classes = [2, 0, 3]
    ours = explain(
        CallableModel(classifier, labels=[f"class {k}" for k in range(CLASSES)]),
        pixels,
        classes,
        segmenter=segments,
        fill="segment_mean" if fill == "segment_mean" else (0.0, 0.0, 0.0),
        sampler=kept.masks,
        alpha=1.0,
        batch_size=37,
    )
    assert ours.samples == n
    np.testing.assert_allclose(ours.weights, peers(kept, "weights", classes), atol=TOLERANCE, rtol=0)
    np.testing.assert_allclose(ours.intercept, peers(kept, "intercept", classes), atol=TOLERANCE, rtol=0)
    np.testing.assert_allclose(ours.r2, peers(kept, "score", classes), atol=TOLERANCE, rtol=0)
    np.testing.assert_allclose(ours.local_pred, peers(kept, "local_pred", classes), atol=TOLERANCE, rtol=0)
    for k in classes:
        # lime lists the superpixels by magnitude, the strongest first.
        listed = [superpixel for superpixel, _ in kept.explanation.local_exp[k]]
        assert ours.top(d, sign="both", target=k).tolist() == listed


def test_limes_masks_include_one_that_hides_everything():
    # Its distance is 1 by convention, not by the formula, so the comparison must meet it.
    assert (lime_run(5, 400, "black").masks.sum(axis=1) == 0).any()


# Our word for each way of choosing superpixels, and the package's.
SELECTIONS = {
    "none": "none",
    "highest_weights": "highest_weights",
    "forward": "forward_selection",
    "lasso_path": "lasso_path",
}
FEW = 4


def random_samples(d, n):
    """Masks whose first row shows everything, curved scores of four classes, and distances."""
    rng = np.random.default_rng(1000 * d + n)
    masks = rng.integers(0, 2, (n, d), dtype=np.uint8)
    masks[0] = 1
    logits = np.tanh(masks @ rng.normal(size=(d, CLASSES)) / 2) + 0.2 * rng.normal(size=(n, CLASSES))
    odds = np.exp(2 * logits)
    return masks, odds / odds.sum(axis=1, keepdims=True), cosine_distance(masks)


TAKEN: dict[bytes, Any] = {}


def steps_once(forward_selection):
    """Return the package's own method, which takes its steps once: the first are the same however many follow.

    It fits a ridge regression for each superpixel at each step, which is slow, so at 60 superpixels it takes
    `FEW` steps at most. What scikit-learn would check of each of the arguments is left out.
    """

    def take(data, labels, weights, num_features):
        key = data.tobytes() + labels.tobytes() + weights.tobytes()
        if key not in TAKEN:
            steps = FEW if data.shape[1] == 60 else data.shape[1]
            with config_context(assume_finite=True, skip_parameter_validation=True):
                TAKEN[key] = forward_selection(data, labels, weights, steps)
        assert min(num_features, data.shape[1]) <= len(TAKEN[key])
        return TAKEN[key][:num_features]

    return take


def peers_fit(samples, method, count, regressor=None):
    """What the package's own `LimeBase` finds for every class: weights with 0 for what it does not choose."""
    masks, scores, distances = samples
    base = lime_base.LimeBase(lambda distances: np.sqrt(np.exp(-(distances**2) / 0.25**2)), random_state=0)
    base.forward_selection = steps_once(base.forward_selection)
    found = SimpleNamespace(weights=np.zeros((CLASSES, masks.shape[1])), intercept=[], r2=[], local_pred=[])
    for label in range(CLASSES):
        intercept, weights, score, local = base.explain_instance_with_data(
            masks, scores, distances, label, count, feature_selection=method, model_regressor=regressor
        )
        for superpixel, weight in weights:
            found.weights[label, superpixel] = weight
        found.intercept.append(float(intercept))
        found.r2.append(score)
        found.local_pred.append(float(local[0]))
    return found


def assert_same(ours, theirs, tolerance=TOLERANCE):
    for name in ("weights", "intercept", "r2", "local_pred"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=tolerance, rtol=0, err_msg=name)


LARGE = [pytest.param(60, n, marks=pytest.mark.slow) for n in (50, 1000)]


@pytest.mark.parametrize(("d", "n"), [(5, 60), (12, 40), (20, 400), *LARGE])
@pytest.mark.parametrize("count", [1, 3, 8, None])
@pytest.mark.parametrize("method", SELECTIONS)
def test_every_feature_selection(method, count, d, n):
    masks, scores, distances = random_samples(d, n)
    # Of 60 superpixels the package would find all in the end.
    if method == "forward" and d == 60 and count in (8, None):
        count = FEW
    theirs = peers_fit((masks, scores, distances), SELECTIONS[method], 100_000 if count is None else count)
    ours = fit(masks, scores, exponential(distances, 0.25), alpha=1.0, feature_selection=method, num_features=count)
    assert_same(ours, theirs)
    if method != "none" and count is not None and count < d:
        assert 1 <= np.count_nonzero(theirs.weights, axis=1).max() <= count


@pytest.mark.parametrize("method", ["none", "highest_weights"])
def test_a_regressor_of_the_users_own(method):
    masks, scores, distances = random_samples(20, 400)
    theirs = peers_fit((masks, scores, distances), method, 5, LinearRegression())
    weights = exponential(distances, 0.25)
    for surrogate in (LinearRegression(), "linear"):
        ours = fit(masks, scores, weights, surrogate=surrogate, feature_selection=method, num_features=5)
        assert_same(ours, theirs)


@pytest.mark.parametrize("d", [2, 7, 50, 333])
@pytest.mark.parametrize("n", [1, 2, 1000, 2500])
@pytest.mark.parametrize("seed", [0, 42, 2**32 - 1])
def test_the_sampler_draws_the_packages_masks(d, n, seed):
    generator = np.random.RandomState(seed)
    generator.randint(0, 1000)  # the seed that the package takes for its superpixels
    theirs = generator.randint(0, 2, n * d).reshape(n, d)
    theirs[0, :] = 1
    stream = MaskStream("lime", d, seed)
    ours = stream.draw(n)
    np.testing.assert_array_equal(ours, theirs)
    assert ours.dtype == np.uint8
    assert not stream.paired
    assert stream.length is None


@pytest.mark.parametrize("portions", [[0, 1, 999], [1, 1023, 1, 1475], [700, 0, 700, 700], [2500]])
def test_it_draws_the_same_in_portions(portions):
    stream = MaskStream("lime", 17, 3)
    together = MaskStream("lime", 17, 3).draw(sum(portions))
    np.testing.assert_array_equal(np.concatenate([stream.draw(count) for count in portions]), together)


PHOTOGRAPHS = {
    "chelsea": lambda: data.chelsea()[40:168, 100:260],
    "astronaut": lambda: data.astronaut()[0:140, 150:310],
    "coffee": lambda: data.coffee()[120:240, 200:400],
}
SEED = 5
SAMPLES = 300


@functools.cache
def photograph_run(name, method="auto", count=100_000):
    """Drive the package's own `explain_instance` on a photograph, with all its defaults but the few named.

    Whatever it selects, it draws the same samples of the same superpixels; it draws them once.
    """
    pixels = (PHOTOGRAPHS[name]() / 255).astype(np.float32)
    explainer = lime_image.LimeImageExplainer(feature_selection=method, random_state=SEED)
    kept = SimpleNamespace(pixels=pixels, fits={})
    drawn = None if method == "auto" else photograph_run(name)
    data_labels, explain_one = explainer.data_labels, explainer.base.explain_instance_with_data

    def keep_samples(*arguments, **options):
        kept.masks, kept.scores = (drawn.masks, drawn.scores) if drawn else data_labels(*arguments, **options)
        return kept.masks, kept.scores

    def keep_fit(data, labels, distances, label, *arguments, **options):
        kept.fits[int(label)] = explain_one(data, labels, distances, label, *arguments, **options)
        return kept.fits[int(label)]

    explainer.data_labels, explainer.base.explain_instance_with_data = keep_samples, keep_fit
    explanation = explainer.explain_instance(
        pixels,
        classifier,
        top_labels=CLASSES,
        num_features=count,
        num_samples=SAMPLES,
        batch_size=50,
        segmentation_fn=(lambda image: drawn.segments) if drawn else None,
    )
    kept.segments = explanation.segments
    kept.weights = np.zeros((CLASSES, kept.masks.shape[1]))
    for label, (_, weights, _, _) in kept.fits.items():
        for superpixel, weight in weights:
            kept.weights[label, superpixel] = weight
    for field, place in (("intercept", 0), ("r2", 2), ("local_pred", 3)):
        setattr(kept, field, np.array([np.ravel(kept.fits[label][place])[0] for label in range(CLASSES)]))
    kept.top = explanation.top_labels
    return kept


CHOICES = [("auto", 100_000), ("forward_selection", 4), ("highest_weights", 7), ("lasso_path", 5), ("none", 3)]
OUR_CHOICE: dict[str, dict[str, Any]] = {
    "auto": {},
    "none": {"feature_selection": "none"},
    "forward_selection": {"feature_selection": "forward", "num_features": 4},
    "highest_weights": {"feature_selection": "highest_weights", "num_features": 7},
    "lasso_path": {"feature_selection": "lasso_path", "num_features": 5},
}


@pytest.mark.parametrize(("method", "count"), CHOICES)
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_the_preset_on_a_photograph(name, method, count):
    theirs = photograph_run(name, method, count)
    model = CallableModel(classifier, labels=[f"class {k}" for k in range(CLASSES)])
    ours = explain(
        model,
        theirs.pixels,
        list(range(CLASSES)),
        preset="lime",
        samples=SAMPLES,
        seed=SEED,
        **OUR_CHOICE[method],
    )
    np.testing.assert_array_equal(ours.segments, theirs.segments)
    np.testing.assert_array_equal(ours.masks, theirs.masks)
    # The package takes the mean colour of a superpixel in single precision, we in double: the last digit of
    # a pixel, 6e-8, and so of a score. A weight is a mean of scores, divided by about 1/4.
    np.testing.assert_allclose(ours.sample_scores, theirs.scores, atol=1e-7, rtol=0)
    assert_same(ours, theirs, tolerance=1e-6)
    # Given the same scores, too, nothing is left but the order of summation.
    pi = exponential(cosine_distance(theirs.masks), 0.25)
    assert_same(fit(theirs.masks, theirs.scores, pi, alpha=1.0, **OUR_CHOICE[method]), theirs)


def test_the_preset_asks_for_as_many_samples_as_the_package():
    pixels = (PHOTOGRAPHS["chelsea"]() / 255).astype(np.float32)
    ours = explain(CallableModel(classifier), pixels, 0, preset="lime", seed=SEED)
    assert ours.samples == lime_image.LimeImageExplainer.explain_instance.__defaults__[4] == 1000
    np.testing.assert_array_equal(ours.masks[:SAMPLES], photograph_run("chelsea").masks)
