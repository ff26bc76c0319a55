"""Networks of timm: what they get is what timm gives them."""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image as PILImage

from pytest_lime import Explanation, OptionError
from pytest_lime.images import View, load_image
from pytest_lime.models import TimmModel

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
LABELS = ["cat", "dog", "bird"]


def small(timm: ModuleType, name: str = "test_resnet", **options: Any) -> torch.nn.Module:
    torch.manual_seed(0)
    net: torch.nn.Module = timm.create_model(name, pretrained=False, num_classes=3, **options)
    with torch.no_grad():
        # An untrained network is as good as undecided.
        size = net.pretrained_cfg["input_size"][1:]  # type: ignore[index]
        logits = net.eval()(torch.rand(1, options.get("in_chans", 3), *size))
        net.get_classifier().weight.mul_(3 / (logits.max() - logits.min()))  # type: ignore[operator]
    return net


class TestPrepare:
    @pytest.mark.parametrize("crop_mode", ["center", "squash", "border"])
    @pytest.mark.parametrize(
        ("size", "crop_pct"),
        [((160, 160), 0.95), ((96, 128), 0.875), ((127, 127), 1.0), ((97, 160), 0.5), ((64, 64), 1.3)],
    )
    def test_the_network_gets_what_timm_gives_it(
        self, crop_mode: str, size: tuple[int, int], crop_pct: float, timm: ModuleType, photo: NDArray[np.uint8]
    ) -> None:
        for interpolation in ("bilinear", "bicubic"):
            config = {
                **IMAGENET,
                "input_size": (3, *size),
                "crop_pct": crop_pct,
                "crop_mode": crop_mode,
                "interpolation": interpolation,
            }
            self.compare(TimmModel(small(timm), config=config), timm, photo)

    @staticmethod
    def compare(model: TimmModel, timm: ModuleType, photo: NDArray[np.uint8]) -> None:
        transform = timm.data.create_transform(**model.config, is_training=False)
        for array in (photo, np.ascontiguousarray(photo[:, 100:301]), np.ascontiguousarray(photo[100:133, 80:127])):
            ours = model.normalise(torch.from_numpy(model.prepare(load_image(array)))[None])[0]
            levels = (
                (ours - transform(PILImage.fromarray(array))).abs().numpy() * np.array(model.std)[:, None, None] * 255
            )
            # timm resizes bytes: it rounds and, where a bicubic filter rings, cuts off after each of two passes.
            assert levels.max() < 3
            assert levels.mean() < 0.4

    @pytest.mark.parametrize("crop_mode", ["center", "squash", "border"])
    @pytest.mark.parametrize("size", [(60, 80), (80, 60)])
    def test_the_view_is_what_is_measured(self, crop_mode: str, size: tuple[int, int], timm: ModuleType) -> None:
        model = TimmModel(small(timm), config={"input_size": (3, 64, 48), "crop_mode": crop_mode})
        view, measured = model.view(size), View.measure(model.prepare, size)
        assert view.shape == measured.shape == model.input_size == (64, 48)
        np.testing.assert_allclose(view.box, measured.box, atol=0.2)

    def test_border_is_the_mean_colour(self, timm: ModuleType) -> None:
        model = TimmModel(small(timm), config={**IMAGENET, "crop_mode": "border", "crop_pct": 1.0})
        prepared = model.prepare(load_image(np.zeros((80, 160, 3), dtype=np.uint8)))
        np.testing.assert_allclose(prepared[:, 0, 0], np.round(np.array(IMAGENET["mean"]) * 255) / 255, rtol=1e-6)
        assert prepared[:, 80].max() == 0


class TestSameExplanation:
    @pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
    def test_as_through_a_function(
        self, name: str, timm: ModuleType, photo: NDArray[np.uint8], same_explanation: Callable[..., Explanation]
    ) -> None:
        net = small(timm, name)
        config = timm.data.resolve_model_data_config(net)

        def classify(images: NDArray[Any]) -> torch.Tensor:
            normalised = (images - np.array(config["mean"])) / np.array(config["std"])
            with torch.no_grad():
                logits: torch.Tensor = net(torch.from_numpy(normalised).float().permute(0, 3, 1, 2))
            return logits.softmax(dim=1)

        explanation = same_explanation(TimmModel(net, labels=LABELS), classify, photo, "dog")
        assert explanation.class_names == tuple(LABELS)


class TestArguments:
    def test_its_own_configuration(self, timm: ModuleType) -> None:
        model = TimmModel(small(timm))
        assert model.config == timm.data.resolve_model_data_config(model.net)
        assert (model.input_size, model.channels) == ((160, 160), 3)
        assert (model.mean, model.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
        assert (model.labels, model.output, model.device, model.net.training) == (None, "logits", "auto", False)
        assert repr(model) == "TimmModel(ResNet, size=(160, 160))"

    def test_gray(self, timm: ModuleType) -> None:
        config = {"input_size": (1, 64, 64), "mean": (0.5,), "std": (0.25,)}
        model = TimmModel(small(timm, in_chans=1), config=config)
        assert (model.channels, model.mean, model.std) == (1, (0.5,), (0.25,))
        assert model.predict(torch.rand(2, 1, 64, 64)).shape == (2, 3)

    def test_logits_can_be_differentiated(self, timm: ModuleType) -> None:
        model = TimmModel(small(timm), config={"input_size": (3, 64, 64)})
        batch = torch.rand(2, 3, 64, 64, requires_grad=True)
        model.logits(batch)[:, 1].sum().backward()
        assert batch.grad is not None
        assert float(batch.grad.abs().max()) > 0

    def test_by_name(self, timm: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        # Nothing is fetched in tests.
        made = {("test_resnet", True): small(timm)}
        monkeypatch.setattr(timm, "create_model", lambda name, pretrained: made[name, pretrained])
        assert TimmModel("test_resnet").net is made["test_resnet", True]

    @pytest.mark.parametrize(
        ("config", "words"),
        [
            ({"crop_percent": 1}, "config has 'crop_percent', and its keys are input_size"),
            ({"crop_percent": 1}, "the nearest is 'crop_pct'"),
            ([1], "config=[1] must be a dictionary"),
            ({"input_size": (64, 64)}, "input_size=(64, 64); it must be (channels, height, width)"),
            ({"input_size": (2, 64, 64)}, "with 1 or 3 channels"),
            ({"input_size": (3, 64, 0)}, "size=(64, 0) must be (height, width)"),
            ({"crop_pct": 0}, "crop_pct=0; it must be a number greater than 0"),
            ({"crop_pct": "all"}, "crop_pct='all'"),
            (
                {"crop_mode": "centre"},
                "crop_mode='centre'; it must be one of 'center', 'squash', 'border'; the nearest",
            ),
            ({"interpolation": "hamming"}, "interpolation='hamming' must be one of"),
            ({"mean": (0.5, 0.5)}, "mean=(0.5, 0.5) must be one or three numbers"),
        ],
    )
    def test_wrong_configurations(self, config: Any, words: str, timm: ModuleType) -> None:
        with pytest.raises(OptionError) as caught:
            TimmModel(small(timm), config=config)
        assert words in str(caught.value)

    def test_other_networks(self, timm: ModuleType) -> None:
        net = torch.nn.Conv2d(3, 2, 3)
        with pytest.raises(
            OptionError, match=r"Conv2d has no data configuration, .* pass config with all of input_size"
        ):
            TimmModel(net, config=IMAGENET)
        complete = {
            **IMAGENET,
            "input_size": (3, 64, 64),
            "interpolation": "bicubic",
            "crop_pct": 1,
            "crop_mode": "squash",
        }
        assert TimmModel(net, config=complete).input_size == (64, 64)
        with pytest.raises(OptionError, match=r"TimmModel: net=3 must be a torch\.nn\.Module"):
            TimmModel(3)  # type: ignore[arg-type]
        with pytest.raises(OptionError, match=r"net='test_resnets' is no model of timm; the nearest is 'test_resnet'"):
            TimmModel("test_resnets")

    def test_without_timm(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "timm", None)
        with pytest.raises(
            OptionError, match=r"TimmModel needs timm, which is not installed: pip install 'pytest-lime\[timm\]'"
        ):
            TimmModel("resnet18")
