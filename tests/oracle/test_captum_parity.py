"""On the same masks, the weights are those of `captum.attr.Lime`, 0.9."""

import functools
from importlib import metadata
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from skimage import data

from pytest_lime import TorchModel, explain
from pytest_lime.kernels import sample_weights
from pytest_lime.surrogate import fit

captum_lime = pytest.importorskip("captum.attr._core.lime")
linear_model = pytest.importorskip("captum._utils.models.linear_model")

SIDE = 48
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZES = [(4, 25), (9, 25), (16, 60), (49, 25), (49, 400), (100, 300)]
# What the peer fits is rounded to single precision: scores, weights of samples, masks and coefficients.
TOLERANCE = 1e-6


def test_the_peer_is_the_version_that_the_promise_names():
    assert metadata.version("captum").startswith("0.9")


def network(dtype=torch.float64):
    """A small convolutional network with random weights whose scores differ much between masked copies."""
    torch.manual_seed(7)
    last = torch.nn.Linear(6 * 14 * 14, 5)
    with torch.no_grad():
        last.weight *= 16
    layers = [torch.nn.Conv2d(3, 6, 7, stride=3), torch.nn.ReLU(), torch.nn.Flatten(), last]
    return torch.nn.Sequential(*layers).to(dtype).eval()


def photograph():
    """A real photograph of 48×48 pixels, H×W×3 in [0, 1]."""
    return (data.chelsea()[60:252:4, 120:312:4] / 255).astype(np.float32)


def superpixels(d):
    """Cells of unequal size."""
    across = int(np.ceil(np.sqrt(d)))
    rows, columns = np.indices((SIDE, SIDE)) * across // SIDE
    return np.minimum(rows * across + columns, d - 1)


def received(dtype=torch.float64):
    """The photograph as the network receives it, 1×3×H×W."""
    pixels = torch.from_numpy(photograph()).to(dtype).permute(2, 0, 1)[None]
    mean, std = (torch.tensor(values, dtype=dtype)[:, None, None] for values in (MEAN, STD))
    return (pixels - mean) / std


def given_masks(d, n, seed=0):
    return np.random.default_rng(seed).integers(0, 2, (n, d), dtype=np.uint8)


def captum_run(masks, *, dtype=torch.float64, target=1, batch=1, **options):
    """Drive captum's own sampling and fitting on `masks`; keep its scores, its similarities and its weights."""
    kept = SimpleNamespace(scores=[], similarities=[])
    net, replay = network(dtype), iter(torch.from_numpy(masks).long())

    def forward(batch):
        kept.scores.append(torch.softmax(net(batch), dim=1)[:, target].detach())
        return kept.scores[-1]

    similarity = options.pop("similarity_func", None) or captum_lime.get_exp_kernel_similarity_function()

    def keep_similarity(*arguments, **named):
        kept.similarities.append(similarity(*arguments, **named))
        return kept.similarities[-1]

    explainer = captum_lime.Lime(
        forward,
        perturb_func=lambda original, **named: next(replay)[None],
        similarity_func=keep_similarity,
        **options,
    )
    segments = torch.from_numpy(superpixels(masks.shape[1]))
    kept.weights = explainer.attribute(
        received(dtype),
        feature_mask=segments[None, None],
        n_samples=len(masks),
        perturbations_per_eval=batch,
        return_input_shape=False,
    )[0].numpy()
    kept.intercept = explainer.interpretable_model.bias()[0].item()
    kept.scores = torch.cat(kept.scores).double().numpy()
    kept.similarities = np.array(kept.similarities)
    # No sample of its own before or after: it evaluates the masks that it drew, and nothing else.
    assert kept.scores.shape == kept.similarities.shape == (len(masks),)
    return kept


def similarities(masks, distance="pixel_cosine", width=1.0):
    image = received()[0].numpy()
    return sample_weights(
        masks,
        distance=distance,
        kernel="exponential",
        width=width,
        image=image,
        fill=np.zeros_like(image),
        segments=superpixels(masks.shape[1]),
    )


@functools.cache
def plain_run(d, n):
    return captum_run(given_masks(d, n))


@pytest.mark.parametrize(("d", "n"), SIZES)
def test_similarities_by_the_cosine_of_pixels(d, n):
    np.testing.assert_allclose(similarities(given_masks(d, n)), plain_run(d, n).similarities, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize(
    ("mode", "width"),
    [("cosine", 0.3), ("cosine", 3.0), ("euclidean", 20.0), ("euclidean", 40.0), ("euclidean", 1000.0)],
)
def test_similarities_by_other_modes_and_widths(mode, width):
    masks = given_masks(16, 60)
    peer = captum_run(masks, similarity_func=captum_lime.get_exp_kernel_similarity_function(mode, width))
    ours = similarities(masks, f"pixel_{mode}", width)
    np.testing.assert_allclose(ours, peer.similarities, atol=TOLERANCE, rtol=0)
    assert np.ptp(ours) > 1e-4


def test_a_copy_without_any_superpixel_is_at_distance_1():
    # All 0 in the network's input: without a direction, so its cosine is 0 there as here.
    masks = np.array([[0] * 9, [1] * 9, [1, 0] * 4 + [1]], dtype=np.uint8)
    ours, peer = similarities(masks), captum_run(masks).similarities
    np.testing.assert_allclose(ours, peer, atol=TOLERANCE, rtol=0)
    assert ours[0] == pytest.approx(np.exp(-0.5), abs=1e-12)


@pytest.mark.parametrize(("d", "n"), SIZES)
def test_the_lasso_on_captums_samples(d, n):
    peer, masks = plain_run(d, n), given_masks(d, n)
    ours = fit(masks, peer.scores[:, None], similarities(masks), surrogate="lasso", alpha=0.01)
    np.testing.assert_allclose(ours.weights[0], peer.weights, atol=TOLERANCE, rtol=0)
    assert ours.intercept[0] == pytest.approx(peer.intercept, abs=TOLERANCE)
    if d < 100:
        # Were all of them 0, they would agree whatever is fitted.
        assert np.count_nonzero(peer.weights) >= 2


MODELS: dict[str, tuple[Any, dict[str, Any]]] = {
    "ridge": (lambda: linear_model.SkLearnRidge(alpha=0.7), {"surrogate": "ridge", "alpha": 0.7}),
    "linear": (linear_model.SkLearnLinearRegression, {"surrogate": "linear"}),
    "lasso": (lambda: linear_model.SkLearnLasso(alpha=0.003), {"surrogate": "lasso", "alpha": 0.003}),
}


@pytest.mark.parametrize(("d", "n"), [(9, 40), (16, 60), (49, 400)])
@pytest.mark.parametrize("mode", ["cosine", "euclidean"])
@pytest.mark.parametrize("model", MODELS)
def test_other_surrogates_on_captums_samples(model, mode, d, n):
    masks, (interpretable, options) = given_masks(d, n), MODELS[model]
    width = 1.0 if mode == "cosine" else 40.0
    similarity = captum_lime.get_exp_kernel_similarity_function(mode, width)
    peer = captum_run(masks, similarity_func=similarity, interpretable_model=interpretable(), batch=16)
    ours = fit(masks, peer.scores[:, None], similarities(masks, f"pixel_{mode}", width), **options)
    np.testing.assert_allclose(ours.weights[0], peer.weights, atol=TOLERANCE, rtol=0)
    assert ours.intercept[0] == pytest.approx(peer.intercept, abs=TOLERANCE)


@pytest.mark.parametrize(("d", "n"), SIZES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_whole_way_by_the_preset(d, n, dtype):
    # The same network and photograph; our own normalisation, fill, masking, batches, distances and fit.
    masks = given_masks(d, n, seed=3)
    peer = captum_run(masks, dtype=dtype)
    net = network(torch.float32)
    model = TorchModel(net, size=(SIDE, SIDE), mean=MEAN, std=STD, labels=list("abcde"), output="logits")
    ours = explain(model, photograph(), "b", preset="captum", segmenter=superpixels(d), sampler=masks, device="cpu")
    np.testing.assert_allclose(ours.sample_scores[:, 0], peer.scores, atol=TOLERANCE, rtol=0)
    np.testing.assert_allclose(ours.sample_weights, peer.similarities, atol=TOLERANCE, rtol=0)
    np.testing.assert_allclose(ours.weights[0], peer.weights, atol=TOLERANCE, rtol=0)
    assert ours.intercept[0] == pytest.approx(peer.intercept, abs=TOLERANCE)


def test_the_preset_is_what_captum_does_where_it_is_told_nothing():
    model = TorchModel(network(torch.float32), size=(SIDE, SIDE), mean=MEAN, std=STD, labels=list("abcde"))
    ours = explain(model, photograph(), "b", preset="captum", segmenter=superpixels(9), device="cpu")
    # Its signature says so: 25 samples, and a lasso with α = 0.01 in the interpretable model of its own.
    assert ours.samples == captum_lime.Lime.attribute.__wrapped__.__defaults__[4] == 25
    assert captum_lime.Lime(network()).interpretable_model.construct_kwargs == {"alpha": ours.options.alpha}
