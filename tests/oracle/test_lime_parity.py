"""On the same masks and scores, the surrogate is that of the `lime` package, 0.2.0.1."""

import functools
from importlib import metadata
from types import SimpleNamespace

import numpy as np
import pytest

from pytest_lime import CallableModel, explain
from pytest_lime.surrogate import cosine_distance, fit_ridge, kernel

lime_image = pytest.importorskip("lime.lime_image")

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
    logits = [
        3 * np.tanh((images * np.cos(k + rows * (k + 1) / 7 + columns / 5)[..., None]).mean(axis=(1, 2, 3)) * 8)
        for k in range(CLASSES)
    ]
    odds = np.exp(np.stack(logits, axis=1))
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
    pi = kernel(cosine_distance(kept.masks), 0.25)
    ours = fit_ridge(kept.masks, kept.scores, pi, alpha=1.0)
    np.testing.assert_allclose(ours.weights, peers(kept, "weights"), atol=TOLERANCE, rtol=0)
    np.testing.assert_allclose(ours.intercept, peers(kept, "intercept"), atol=TOLERANCE, rtol=0)
    np.testing.assert_allclose(ours.r2, peers(kept, "score"), atol=TOLERANCE, rtol=0)
    local = ours.intercept + ours.weights.sum(axis=1)
    np.testing.assert_allclose(local, peers(kept, "local_pred"), atol=TOLERANCE, rtol=0)


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
