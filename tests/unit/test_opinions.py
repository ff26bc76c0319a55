"""Second opinions: occlusion and Grad-CAM against their formulas, and a network left as it was."""

import copy
import sys
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from pytest_lime import CallableModel, Explanation, OptionError, TorchModel, explain
from pytest_lime.images import Image
from pytest_lime.testing import FakeModel, PlantedModel, planted_and, planted_linear

Array = NDArray[np.float64]
IMAGE = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
# Bands of the image, each of two rows: a map turned on its side would not pass.
BANDS = np.arange(256).reshape(16, 16) // 32
OPTIONS: dict[str, Any] = {"segmenter": BANDS, "samples": 60, "fill": "#808080"}


class Small(nn.Module):
    """Two convolutions with in-place activations, pooling, and a linear head."""

    def __init__(self, pooled: int = 4) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.aside = nn.Conv2d(6, 6, 1, stride=4)
        self.never = nn.Conv2d(6, 6, 1)
        self.second = nn.Conv2d(6, 8, 3, stride=4, padding=1)
        self.bend = nn.ReLU(inplace=True)
        self.pool = nn.AdaptiveAvgPool2d(pooled)
        self.head = nn.Linear(8 * pooled**2, 3)

    def features(self, batch: torch.Tensor) -> torch.Tensor:
        found = self.bend(self.first(batch))
        self.aside(found)
        bent: torch.Tensor = self.bend(self.second(found))
        return bent

    def classify(self, features: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.pool(features).flatten(1))
        return scores

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.classify(self.features(batch))


def model_of(net: nn.Module, **given: Any) -> TorchModel:
    return TorchModel(net, **{"size": 16, "mean": 0.5, "std": 0.25, "device": "cpu", **given})


def opinion_of(model: Any, name: str, target: Any = 0) -> Array:
    found: Array = explain(model, IMAGE, target, opinions=name, **OPTIONS).opinions[name]
    return found


def enlarged(coarse: Array, size: int) -> Array:
    """Return a map of `size`×`size`, bilinear between the centres of its places."""
    centres = (np.arange(size) + 0.5) * len(coarse) / size - 0.5
    rows = np.stack([np.interp(centres, np.arange(len(coarse)), column) for column in coarse.T], axis=1)
    return np.stack([np.interp(centres, np.arange(rows.shape[1]), row) for row in rows])


def means_of(values: Array, segments: NDArray[Any]) -> Array:
    return np.array([values[segments == number].mean() for number in range(segments.max() + 1)])


class TestOcclusion:
    @pytest.mark.parametrize(
        ("model", "falls"),
        [
            (planted_and([2, 7], d=10), np.isin(np.arange(10), [2, 7]).astype(float)),
            (planted_linear([0.1, 0.2, -0.3, 0.0, 0.4]), np.array([0.1, 0.2, -0.3, 0.0, 0.4])),
            (PlantedModel({(0,): 0.5, (1, 2): 0.25, (0, 2): 0.125}, d=4), np.array([0.625, 0.25, 0.375, 0.0])),
        ],
        ids=["and", "linear", "terms"],
    )
    def test_it_is_what_the_score_loses_without_the_superpixel_alone(self, model: PlantedModel, falls: Array) -> None:
        explanation = explain(model, model.image, ["planted", "other"], opinions="occlusion", **model.options)
        np.testing.assert_allclose(explanation.opinions["occlusion"], [falls, -falls], rtol=0, atol=1e-9)
        # What loses nothing loses exactly nothing.
        assert (explanation.opinions["occlusion"][0] == 0).sum() == (falls == 0).sum()

    def test_each_superpixel_is_a_pass(self) -> None:
        plain = explain(FakeModel(), IMAGE, "cat", **OPTIONS)
        asked = explain(FakeModel(), IMAGE, "cat", opinions="occlusion", **OPTIONS)
        assert asked.passes == plain.passes + asked.superpixels
        assert asked.samples == plain.samples
        np.testing.assert_array_equal(asked.weights, plain.weights)
        assert plain.opinions == {}

    def test_it_uses_the_fill(self) -> None:
        model = FakeModel(size=(16, 16))
        hidden = torch.from_numpy(IMAGE / 255).float().permute(2, 0, 1)[None].repeat(9, 1, 1, 1)
        for number in range(8):
            hidden[number, :, number == BANDS] = 128 / 255
        scores = model.predict(hidden).numpy()
        found = explain(model, IMAGE, "dog", opinions=["occlusion"], **OPTIONS).opinions["occlusion"]
        np.testing.assert_allclose(found, (scores[8] - scores[:8])[None, :, 1], rtol=0, atol=1e-6)

    def test_a_linear_model_ranks_superpixels_as_its_weights(self) -> None:
        model = planted_linear([0.1, 0.2, -0.3, 0.05, 0.4])
        figure = explain(model, model.image, "planted", opinions="occlusion", **model.options).agreement("occlusion")
        assert figure == pytest.approx(1)
        assert figure.interval == pytest.approx((1, 1))

    def test_a_contrast_has_the_difference(self) -> None:
        explanation = explain(FakeModel(), IMAGE, ["cat", "dog"], opinions="occlusion", **OPTIONS)
        cat, dog = explanation.opinions["occlusion"]
        np.testing.assert_array_equal(explanation.contrast("dog").opinions["occlusion"], (cat - dog)[None])


class TestGradcam:
    @pytest.fixture(autouse=True)
    def _captum(self) -> None:
        pytest.importorskip("captum", reason="Grad-CAM needs the extra gradcam")

    @pytest.mark.parametrize("layer", ["", ":bend", ":pool"])
    @pytest.mark.parametrize("target", [0, 2])
    def test_it_is_the_formula_of_the_paper(self, layer: str, target: int) -> None:
        # The activation is called twice, the second time on what goes into the pooling, which changes nothing.
        net = Small().eval()
        batch = (torch.from_numpy(IMAGE / 255).float().permute(2, 0, 1)[None] - 0.5) / 0.25
        maps = net.features(batch).detach().requires_grad_()
        (slopes,) = torch.autograd.grad(net.classify(maps)[0, target], maps)
        coarse = (slopes.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1).relu()[0].detach().double().numpy()
        found = opinion_of(model_of(net), f"gradcam{layer}", target)
        assert found.any()
        np.testing.assert_allclose(found[0], means_of(enlarged(coarse, 16), BANDS), rtol=1e-4, atol=1e-7)

    def test_with_one_mean_a_channel_it_is_the_class_activation_map(self) -> None:
        # Zhou et al., CVPR 2016: the head's weights times the maps; the mean divides each by the number of places.
        net = Small(pooled=1).eval()
        batch = (torch.from_numpy(IMAGE / 255).float().permute(2, 0, 1)[None] - 0.5) / 0.25
        with torch.no_grad():
            coarse = (net.head.weight[1, :, None, None] * net.features(batch)[0]).sum(dim=0).relu() / 16
        found = opinion_of(model_of(net), "gradcam", 1)
        np.testing.assert_allclose(found[0], means_of(enlarged(coarse.double().numpy(), 16), BANDS), rtol=1e-4)

    def test_before_the_activation_it_is_another_map(self) -> None:
        model = model_of(Small())
        assert np.abs(opinion_of(model, "gradcam:second") - opinion_of(model, "gradcam:bend")).max() > 1e-6

    def test_all_classes_at_once_and_how_many_passes(self) -> None:
        model = model_of(Small())
        plain = explain(model, IMAGE, [2, 0], **OPTIONS)
        asked = explain(model, IMAGE, [2, 0], opinions=["gradcam", "occlusion"], **OPTIONS)
        # One to find the layer and one a class, and one a superpixel.
        assert asked.passes == plain.passes + 3 + 8
        assert list(asked.opinions) == ["gradcam", "occlusion"]
        for row, target in enumerate((2, 0)):
            np.testing.assert_allclose(
                asked.opinions["gradcam"][row], opinion_of(model, "gradcam", target)[0], rtol=1e-6
            )

    def test_the_output_kind_does_not_matter(self) -> None:
        # The gradient is that of the logit, not of the probability.
        net = Small()
        first, second = (opinion_of(model_of(net, output=output), "gradcam") for output in ("logits", "scores"))
        # The gradients of one pass and of another are summed by threads, in any order.
        np.testing.assert_allclose(first, second, rtol=1e-5)

    @pytest.mark.parametrize("frozen", [False, True])
    @pytest.mark.parametrize("name", ["gradcam", "gradcam:first", "gradcam:second", "gradcam:bend"])
    def test_the_network_is_left_as_it_was(self, frozen: bool, name: str) -> None:
        net = Small().requires_grad_(not frozen)
        model = model_of(net)
        before = copy.deepcopy(net.state_dict())
        opinion_of(model, name)
        for module in net.modules():
            hooks = [module._forward_hooks, module._forward_pre_hooks, module._backward_hooks]
            assert (any(hooks), module.training) == (False, False)
        for parameter in net.parameters():
            assert parameter.grad is None
            assert parameter.requires_grad != frozen
            assert not parameter.is_inference()
        assert all(torch.equal(tensor, before[key]) for key, tensor in net.state_dict().items())
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
        # It can still be trained.
        if not frozen:
            net(torch.rand(1, 3, 16, 16)).sum().backward()

    def test_hooks_are_gone_after_an_error_too(self) -> None:
        net = Small()
        model = model_of(net)
        for name in ("gradcam:aside", "gradcam:head"):
            with pytest.raises(OptionError):
                opinion_of(model, name)
        assert [module for module in net.modules() if module._forward_hooks] == []

    def test_frozen_weights_give_the_same(self) -> None:
        free, frozen = (opinion_of(model_of(Small().requires_grad_(on)), "gradcam") for on in (True, False))
        np.testing.assert_allclose(free, frozen, rtol=1e-5)

    @pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
    def test_it_runs_where_gradients_are_switched_off(self, mode: Any) -> None:
        model = model_of(Small())
        expected = opinion_of(model, "gradcam")
        with mode():
            np.testing.assert_array_equal(opinion_of(model, "gradcam"), expected)

    def test_a_network_that_was_trained_meanwhile(self) -> None:
        net = Small()
        model = model_of(net)
        expected = opinion_of(model, "gradcam")
        net.train()
        np.testing.assert_array_equal(opinion_of(model, "gradcam"), expected)

    def test_efficientnet(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            package = pytest.importorskip("efficientnet_lite_pytorch", reason="the extra demo is not installed")
        torch.manual_seed(0)
        net = package.EfficientNet.from_name("efficientnet-lite0")
        model = TorchModel(net, size=64, device="cpu")
        # The activation at the end, 2×2 places.
        default, named = (opinion_of(model, name) for name in ("gradcam", "gradcam:_swish"))
        np.testing.assert_array_equal(default, named)
        assert np.isfinite(opinion_of(model, "gradcam:_blocks.5._depthwise_conv")).all()
        assert {parameter.grad is None for parameter in net.parameters()} == {True}


def error_of(model: Any, name: str) -> str:
    with pytest.raises(OptionError) as caught:
        opinion_of(model, name)
    return str(caught.value)


class Attention(nn.Module):
    """What a transformer's block returns: tokens; within it a matrix of tokens by tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(6, 6)
        self.drop = nn.Dropout()

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        matrix = self.drop((tokens @ tokens.transpose(1, 2)).softmax(dim=-1)[:, None])
        mixed: torch.Tensor = self.mix(matrix[:, 0] @ tokens)
        return mixed


class Transformer(nn.Module):
    """Patches of 1/16 of the image, then tokens."""

    def __init__(self, blocks: int, patch: int = 4) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 6, patch, stride=patch)
        self.blocks = nn.Sequential(*(Attention() for _ in range(blocks)))
        self.head = nn.Linear(6, 3)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        tokens = self.blocks(self.patches(batch).flatten(2).transpose(1, 2))
        scores: torch.Tensor = self.head(tokens.mean(dim=1))
        return scores


class Last(nn.Module):
    """Keeps the map to the end, with its channels last, as some transformers do."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 12, 4, stride=4)
        self.norm = nn.LayerNorm(12)
        self.head = nn.Linear(12, 3)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        last = self.norm(self.patches(batch).permute(0, 2, 3, 1))
        scores: torch.Tensor = self.head(last.mean(dim=(1, 2)))
        return scores


@pytest.mark.usefixtures("_captum")
class TestWhichLayer:
    @pytest.fixture
    def _captum(self) -> None:
        pytest.importorskip("captum", reason="Grad-CAM needs the extra gradcam")

    @pytest.mark.parametrize(
        ("net", "layer"),
        [
            (Small(), "pool"),
            (Small(pooled=1), "bend"),
            (nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), nn.Flatten(), nn.Linear(784, 3)), "0"),
            # A finer map, or one of a single place, comes later.
            (
                nn.Sequential(
                    nn.Conv2d(3, 4, 4, stride=4), nn.Upsample(scale_factor=2), nn.Flatten(), nn.Linear(256, 3)
                ),
                "0",
            ),
            (nn.Sequential(nn.Conv2d(3, 4, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)), "0"),
            (Last(), "patches"),
            (Transformer(1), "patches"),
        ],
        ids=["pool", "one place", "container", "finer", "head", "channels last", "attention"],
    )
    def test_the_last_that_keeps_a_map(self, net: nn.Module, layer: str) -> None:
        model = model_of(net)
        np.testing.assert_array_equal(opinion_of(model, "gradcam"), opinion_of(model, f"gradcam:{layer}"))

    def test_vision_transformers_have_none_worth_it(self) -> None:
        message = error_of(model_of(Transformer(8)), "gradcam")
        assert message == (
            "gradcam: the last layer of Transformer that keeps a map of the image, 'patches', is among its first, as "
            "in vision transformers, and its map says little of the class: name a convolution layer, as in "
            "'gradcam:LAYER', or use 'occlusion'."
        )
        # Who wants it gets it.
        assert opinion_of(model_of(Transformer(8)), "gradcam:patches").shape == (1, 8)

    def test_a_network_without_a_map(self) -> None:
        net = nn.Sequential(nn.Flatten(), nn.Linear(768, 3))
        assert error_of(model_of(net), "gradcam").startswith(
            "gradcam: no layer of Sequential keeps a map of the image, 1×C×h×w: name a convolution layer"
        )

    @pytest.mark.parametrize(
        ("layer", "words"),
        [
            ("secnd", "Small has no module 'secnd'; the nearest is 'second'; the last that keep a map are 'second', "),
            ("zzz", "Small has no module 'zzz'; the last that keep a map are 'second', 'bend', 'pool'."),
            ("head", "layer 'head' of Small returned 1×3 for an image of 1×3×16×16, and Grad-CAM needs a map"),
            ("never", "layer 'never' of Small was not called for an image of 1×3×16×16"),
            ("aside", "no gradient of the scores reaches layer 'aside' of Small: name a convolution layer"),
        ],
    )
    def test_a_name_that_will_not_do(self, layer: str, words: str) -> None:
        message = error_of(model_of(Small()), f"gradcam:{layer}")
        assert message.startswith(f"gradcam:{layer}: ")
        assert words in message

    def test_something_else_than_a_tensor(self) -> None:
        class Pair(nn.Module):
            def forward(self, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
                return batch, batch

        class Paired(Small):
            def __init__(self) -> None:
                super().__init__()
                self.pair = Pair()

            def forward(self, batch: torch.Tensor) -> torch.Tensor:
                return super().forward(self.pair(batch)[0])

        assert "layer 'pair' of Paired returned tuple" in error_of(model_of(Paired()), "gradcam:pair")

    def test_a_second_name_of_a_module(self) -> None:
        net = Small()
        net.alias = net.second
        model = model_of(net)
        np.testing.assert_array_equal(opinion_of(model, "gradcam:alias"), opinion_of(model, "gradcam:second"))

    def test_a_network_without_gradients(self) -> None:
        class Cut(Small):
            def forward(self, batch: torch.Tensor) -> torch.Tensor:
                return super().forward(batch).detach()

        assert "no gradient of the scores reaches layer 'pool' of Cut" in error_of(model_of(Cut()), "gradcam")

    def test_a_compiled_network(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            net = torch.jit.trace(Small().eval(), torch.rand(1, 3, 16, 16))
        assert "is compiled by TorchScript" in error_of(model_of(net), "gradcam")
        assert opinion_of(model_of(net), "occlusion").shape == (1, 8)

    def test_an_error_of_the_network_is_its_own(self) -> None:
        class Sensitive(Small):
            def forward(self, batch: torch.Tensor) -> torch.Tensor:
                if torch.is_grad_enabled():
                    raise RuntimeError("not while learning")
                return super().forward(batch)

        with pytest.raises(RuntimeError, match="not while learning"):
            opinion_of(model_of(Sensitive()), "gradcam")


class TestWithoutNetwork:
    def test_it_is_told_and_a_way_shown(self) -> None:
        def classify(batch: NDArray[np.float32]) -> NDArray[np.float64]:
            mean = batch.mean(axis=(1, 2, 3), dtype=np.float64)
            return np.stack([mean, 1 - mean], axis=1)

        assert error_of(CallableModel(classify), "gradcam") == (
            "gradcam needs a torch network (TorchModel, TimmModel, HuggingFaceModel); CallableModel has none: "
            "use 'occlusion'."
        )
        assert opinion_of(CallableModel(classify), "occlusion").shape == (1, 8)

    def test_a_model_with_a_network_but_no_logits(self) -> None:
        class Own(FakeModel):
            net = nn.Identity()

        assert "Own has none" in error_of(Own(), "gradcam")

    def test_a_model_of_ones_own_with_both(self) -> None:
        pytest.importorskip("captum", reason="Grad-CAM needs the extra gradcam")

        class Own:
            labels = None
            input_size = (16, 16)

            def __init__(self) -> None:
                self.net = Small().eval()

            def prepare(self, image: Image) -> NDArray[np.float32]:
                return np.moveaxis(image.pixels, -1, 0)

            def logits(self, batch: torch.Tensor) -> torch.Tensor:
                scores: torch.Tensor = self.net((batch - 0.5) / 0.25)
                return scores

            def predict(self, batch: torch.Tensor) -> torch.Tensor:
                return self.logits(batch).softmax(dim=1)

        np.testing.assert_allclose(opinion_of(Own(), "gradcam"), opinion_of(model_of(Small()), "gradcam"), rtol=1e-6)

    def test_without_captum_the_command_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Missing:
            def find_spec(self, name: str, *_: Any) -> None:
                if name == "captum":
                    raise ModuleNotFoundError("No module named 'captum'", name=name)

        for name in [name for name in sys.modules if name.partition(".")[0] == "captum"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
        assert error_of(model_of(Small()), "gradcam") == (
            "gradcam needs captum, which is not installed: pip install 'pytest-lime[gradcam]'."
        )

    def test_an_unknown_method_is_told_before_the_image_is_read(self) -> None:
        with pytest.raises(OptionError, match="opinion 'saliency' must be"):
            explain(FakeModel(), "no such file.png", opinions="saliency")

    def test_none_is_asked_unless_told(self) -> None:
        explanation: Explanation = explain(FakeModel(), IMAGE, **OPTIONS)
        assert explanation.opinions == {}
        with pytest.raises(OptionError, match=r"'occlusion' was not asked for \(asked for: none\)"):
            explanation.agreement("occlusion")
