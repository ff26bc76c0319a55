"""Given the same weights, masks and masked images are those of `ImageExplanation.get_image_and_mask` of `lime`."""

import dataclasses
import itertools

import numpy as np
import pytest

from pytest_lime import explain
from pytest_lime.testing import planted_single

lime_image = pytest.importorskip("lime.lime_image")

SIGNS = ("positive", "negative", "both")
# Two equal ones, and one each that equals a threshold below, of both signs.
WEIGHTS = [0.5, -0.2, 0.1, 0.3, -0.4, 0.05, -0.01, 0.3, -0.1, 0.02, -0.3, 0.2]
ALL_AGAINST = [-abs(weight) for weight in WEIGHTS]
KS = (1, 2, 5, 12, 40)
THRESHOLDS = (0.0, 0.05, 0.1, 0.3, 0.45, 2.0)


def explanation_of(weights, channels=3):
    """An explanation with these weights, of random pixels."""
    model = planted_single(0, len(weights))
    explanation = explain(model, model.image, "planted", **model.options, sampler="bernoulli", samples=2)
    pixels = np.random.default_rng(1).random((channels, *explanation.segments.shape)) * 0.9
    return dataclasses.replace(explanation, weights=np.array([weights]), pixels=pixels.astype(np.float32))


def lime_of(explanation):
    """The same explanation as lime holds it: superpixels sorted as its `explain_instance_with_data` sorts them."""
    pixels = np.moveaxis(explanation.pixels, 0, -1)
    peer = lime_image.ImageExplanation(np.repeat(pixels, 3 // pixels.shape[2], axis=2), explanation.segments)
    pairs = zip(range(explanation.superpixels), explanation.weights[0].tolist(), strict=True)
    peer.local_exp[0] = sorted(pairs, key=lambda pair: np.abs(pair[1]), reverse=True)
    return peer


def lime_shows(explanation, k, sign, min_weight, hide_rest):
    return lime_of(explanation).get_image_and_mask(
        0,
        positive_only=sign == "positive",
        negative_only=sign == "negative",
        hide_rest=hide_rest,
        num_features=k,
        min_weight=min_weight,
    )


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("hide_rest", [False, True])
@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("weights", [WEIGHTS, ALL_AGAINST], ids=["mixed", "all against"])
def test_every_combination_of_its_switches(weights, sign, hide_rest, channels):
    explanation = explanation_of(weights, channels)
    for k, min_weight in itertools.product(KS, THRESHOLDS):
        image, mask = lime_shows(explanation, k, sign, min_weight, hide_rest)
        ours = explanation.masked_image(k, sign, min_weight, hide_rest=hide_rest)
        np.testing.assert_array_equal(ours, image, err_msg=f"{k=} {min_weight=}")
        # lime writes 1 for what it was asked for; ours says what speaks against the class.
        signed = -mask if sign == "negative" else mask
        np.testing.assert_array_equal(explanation.mask(k, sign, min_weight), signed, err_msg=f"{k=} {min_weight=}")


@pytest.mark.parametrize("seed", range(20))
def test_random_weights(seed):
    rng = np.random.default_rng(seed)
    explanation = explanation_of(np.round(rng.normal(size=24), 1) + 0.05)
    for sign, hide_rest in itertools.product(SIGNS, (False, True)):
        k, min_weight = int(rng.integers(1, 30)), float(rng.choice([0, 0.25, 0.5]))
        image, mask = lime_shows(explanation, k, sign, min_weight, hide_rest)
        np.testing.assert_array_equal(explanation.masked_image(k, sign, min_weight, hide_rest=hide_rest), image)
        np.testing.assert_array_equal(np.abs(explanation.mask(k, sign, min_weight)), np.abs(mask))


def test_a_weight_of_0_speaks_for_nothing_where_lime_paints_it_as_speaking_for_the_class():
    explanation = explanation_of([0.5, 0.0, -0.2, 0.0])
    first = np.unique(explanation.segments, return_index=True)[1]
    _, mask = lime_shows(explanation, 4, "both", 0.0, False)
    assert mask.ravel()[first].tolist() == [1, 1, -1, 1]
    assert explanation.mask(4, "both").ravel()[first].tolist() == [1, 0, -1, 0]
    # With any threshold both leave it out.
    np.testing.assert_array_equal(explanation.mask(4, "both", 1e-9), lime_shows(explanation, 4, "both", 1e-9, False)[1])
