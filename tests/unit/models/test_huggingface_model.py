"""Image classifiers of transformers: what they get is what their processor gives them."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image as PILImage

from pytest_lime import Explanation, ModelError, OptionError
from pytest_lime.images import View, load_image
from pytest_lime.models import HuggingFaceModel

LABELS = {0: "cat", 1: "dog", 2: "bird"}
IMAGENET: dict[str, Any] = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
# Name of the processor, and what it is made with: the common families of image classifiers.
PROCESSORS: list[tuple[str, dict[str, Any]]] = [
    ("ViTImageProcessor", {}),
    ("ViTImageProcessor", {"size": {"height": 96, "width": 64}, "resample": 3, **IMAGENET}),
    ("ViTImageProcessor", {"do_normalize": False}),
    ("ViTImageProcessor", {"do_rescale": False, "do_normalize": False}),
    ("ViTImageProcessor", {"rescale_factor": 1 / 127.5}),
    ("ViTImageProcessor", {"do_resize": False}),
    ("CLIPImageProcessor", {}),
    ("CLIPImageProcessor", {"crop_size": {"height": 200, "width": 151}}),
    ("CLIPImageProcessor", {"size": {"shortest_edge": 97}}),
    ("CLIPImageProcessor", {"do_center_crop": False}),
    ("DeiTImageProcessor", {}),
    ("BeitImageProcessor", {"do_center_crop": True}),
    ("ConvNextImageProcessor", {}),
    ("ConvNextImageProcessor", {"size": {"shortest_edge": 224}}),
    ("PoolFormerImageProcessor", {}),
    ("MobileViTImageProcessor", {}),
    ("EfficientNetImageProcessor", {}),
    ("EfficientNetImageProcessor", {"rescale_factor": 1 / 127.5, "rescale_offset": True, "include_top": False}),
    ("MobileNetV2ImageProcessor", {}),
    ("SiglipImageProcessor", {}),
]


def vit(transformers: ModuleType, **options: Any) -> Any:
    """A tiny vision transformer for images of 32×32."""
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        **{
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "image_size": 32,
            "patch_size": 8,
            "initializer_range": 0.3,
            "id2label": LABELS,
            **options,
        }
    )
    return decided(transformers.ViTForImageClassification(config))


def resnet(transformers: ModuleType) -> Any:
    torch.manual_seed(0)
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", id2label=LABELS
    )
    return decided(transformers.ResNetForImageClassification(config))


def decided(net: Any) -> Any:
    """Return an untrained network that is not undecided about every image."""
    head = next(module for module in reversed(list(net.modules())) if isinstance(module, torch.nn.Linear))
    with torch.no_grad():
        net.eval()
        logits = net(torch.rand(1, net.config.num_channels, 32, 32)).logits
        head.weight.mul_(3 / (logits.max() - logits.min()))
    return net


def processor_of(transformers: ModuleType, name: str = "ViTImageProcessor", **options: Any) -> Any:
    return getattr(transformers, name)(**options)


SMALL: dict[str, Any] = {"size": {"height": 32, "width": 32}}


class TestPrepare:
    @pytest.mark.parametrize("backend", ["", "Pil"])
    @pytest.mark.parametrize(("name", "options"), PROCESSORS)
    def test_the_network_gets_what_the_processor_gives_it(
        self, name: str, options: dict[str, Any], backend: str, transformers: ModuleType, photo: NDArray[np.uint8]
    ) -> None:
        processor = processor_of(transformers, name + backend, **options)
        model = HuggingFaceModel(resnet(transformers), processor)
        for array in (photo, np.ascontiguousarray(photo[:, 100:301]), np.ascontiguousarray(photo[100:133, 80:127])):
            ours = model.normalise(torch.from_numpy(model.prepare(load_image(array)))[None])[0].numpy()
            theirs = processor(images=PILImage.fromarray(array), return_tensors="np")["pixel_values"][0]
            assert ours.shape == theirs.shape
            assert model.input_size in (None, ours.shape[1:])
            levels = np.abs(ours - theirs) * np.array(model.std)[:, None, None] * 255
            # The processor resizes bytes: it rounds, and cuts off where a filter rings, after each of two passes.
            assert levels.max() < 3
            assert levels.mean() < 0.4

    def test_normalisation_is_that_of_the_fields(self, transformers: ModuleType) -> None:
        model = HuggingFaceModel(vit(transformers), processor_of(transformers, **SMALL, **IMAGENET))
        np.testing.assert_allclose(model.mean, IMAGENET["image_mean"], rtol=1e-6)
        np.testing.assert_allclose(model.std, IMAGENET["image_std"], rtol=1e-6)

    def test_a_network_that_wants_blue_first(self, transformers: ModuleType) -> None:
        model = HuggingFaceModel(resnet(transformers), processor_of(transformers, "MobileViTImageProcessor"))
        np.testing.assert_allclose([*model.mean, *model.std], [0, 0, 0, 1, 1, 1], rtol=1e-6)
        batch = torch.rand(2, 3, 4, 5)
        torch.testing.assert_close(model.normalise(batch), batch.flip(1))

    @pytest.mark.parametrize("size", [(60, 80), (80, 60)])
    @pytest.mark.parametrize("name", ["ViTImageProcessor", "CLIPImageProcessor", "MobileViTImageProcessor"])
    def test_the_view_is_what_is_measured(self, name: str, size: tuple[int, int], transformers: ModuleType) -> None:
        model = HuggingFaceModel(resnet(transformers), processor_of(transformers, name))
        view, measured = model.view(size), View.measure(model.prepare, size)
        assert view.shape == measured.shape == model.input_size
        np.testing.assert_allclose(view.box, measured.box, atol=0.2)

    def test_gray(self, transformers: ModuleType) -> None:
        processor = processor_of(transformers, **SMALL, image_mean=[0.25], image_std=[0.5])
        model = HuggingFaceModel(vit(transformers, num_channels=1), processor)
        assert model.channels == 1
        np.testing.assert_allclose([*model.mean, *model.std], [0.25, 0.5], rtol=1e-6)
        assert model.predict(torch.rand(2, 1, 32, 32)).shape == (2, 3)


class TestSameExplanation:
    def test_vit_as_through_a_function(
        self,
        transformers: ModuleType,
        photo: NDArray[np.uint8],
        same_explanation: Callable[..., Explanation],
        tmp_path: Path,
    ) -> None:
        vit(transformers).save_pretrained(tmp_path)
        processor_of(transformers, **SMALL, **IMAGENET).save_pretrained(tmp_path)
        net = transformers.AutoModelForImageClassification.from_pretrained(tmp_path)

        def classify(images: NDArray[Any]) -> torch.Tensor:
            pixels = (images - np.array(IMAGENET["image_mean"])) / np.array(IMAGENET["image_std"])
            with torch.no_grad():
                values = torch.from_numpy(pixels).float().permute(0, 3, 1, 2)
                logits: torch.Tensor = net(pixel_values=values).logits
            return logits.softmax(dim=1)

        model = HuggingFaceModel.from_pretrained(tmp_path)
        assert model.labels == ("cat", "dog", "bird")
        assert same_explanation(model, classify, photo, "dog").class_names == ("cat", "dog", "bird")

    def test_resnet_and_its_own_processor(
        self, transformers: ModuleType, photo: NDArray[np.uint8], same_explanation: Callable[..., Explanation]
    ) -> None:
        net = resnet(transformers)
        processor = processor_of(transformers, "ConvNextImageProcessor", size={"shortest_edge": 64})

        def classify(images: NDArray[Any]) -> torch.Tensor:
            # From the bytes on by the processor itself; its geometry was applied before.
            values = processor(
                images=list(images),
                do_resize=False,
                do_rescale=False,
                input_data_format="channels_last",
                return_tensors="pt",
            )["pixel_values"]
            with torch.no_grad():
                logits: torch.Tensor = net(values.float()).logits
            return logits.softmax(dim=1)

        same_explanation(HuggingFaceModel(net, processor), classify, photo)


class TestProcessorsThatDoMore:
    @pytest.mark.parametrize(
        ("name", "options", "words"),
        [
            (
                "LevitImageProcessor",
                {},
                "does more than resize, crop and normalise: its pixels are off from that by up to 1",
            ),
            ("PerceiverImageProcessor", {}, "it makes 3×224×224, and a resize and crop makes 3×256×256"),
            ("TextNetImageProcessor", {}, "LOOKS"),
            ("ImageGPTImageProcessor", {}, "failed on a test picture of 64×64 pixels (ValueError: Clusters must"),
            ("Siglip2ImageProcessor", {}, "has size={}; it must have height and width, or shortest_edge"),
            (
                "ViTImageProcessor",
                {"resample": 5},
                "has resample=5; it must be one of 0 (nearest), 4 (box), 2 (bilinear)",
            ),
            (
                "ViTImageProcessor",
                {"image_mean": [0.5], "rescale_factor": -1 / 255},
                "white comes out darker than black",
            ),
        ],
    )
    def test_are_refused(self, name: str, options: dict[str, Any], words: str, transformers: ModuleType) -> None:
        with pytest.raises(OptionError) as caught:
            HuggingFaceModel(vit(transformers), processor_of(transformers, name, **options))
        assert words.replace("LOOKS", "TextNetImageProcessor does more than resize, crop") in str(caught.value)
        assert "TorchModel(model, size=…" in str(caught.value)


class TestArguments:
    def test_defaults(self, transformers: ModuleType) -> None:
        model = HuggingFaceModel(vit(transformers), processor_of(transformers, **SMALL))
        assert (model.labels, model.output, model.device, model.input_size) == (
            ("cat", "dog", "bird"),
            "logits",
            "auto",
            (32, 32),
        )
        assert repr(model) == "HuggingFaceModel(ViTForImageClassification, size=(32, 32))"

    def test_labels_and_a_processor_that_holds_one(self, transformers: ModuleType) -> None:
        class Holding:
            image_processor = processor_of(transformers, **SMALL)

        model = HuggingFaceModel(vit(transformers), Holding(), labels=["a", "b", "c"])
        assert model.labels == ("a", "b", "c")

    def test_logits_can_be_differentiated(self, transformers: ModuleType) -> None:
        model = HuggingFaceModel(vit(transformers), processor_of(transformers, **SMALL))
        batch = torch.rand(2, 3, 32, 32, requires_grad=True)
        model.logits(batch)[:, 1].sum().backward()
        assert batch.grad is not None
        assert float(batch.grad.abs().max()) > 0

    @pytest.mark.parametrize("processor", [None, 3, "google/vit-base-patch16-224"])
    def test_no_processor(self, processor: Any, transformers: ModuleType) -> None:
        with pytest.raises(OptionError, match=r"must be an image processor, such as transformers\.AutoImageProcessor"):
            HuggingFaceModel(vit(transformers), processor)

    def test_no_network(self, transformers: ModuleType) -> None:
        with pytest.raises(OptionError, match=r"HuggingFaceModel: net='vit' must be a torch\.nn\.Module"):
            HuggingFaceModel("vit", processor_of(transformers))  # type: ignore[arg-type]
        with pytest.raises(OptionError, match="the network takes 4 channels; it must take 1 or 3"):
            HuggingFaceModel(vit(transformers, num_channels=4), processor_of(transformers, **SMALL))

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            # A list or a tuple, by the version of transformers.
            ({"image_std": [0, 0, 0]}, r"has image_std=.0, 0, 0.; it must be finite and greater than 0\.$"),
            ({"image_std": [float("nan")] * 3}, r"has image_std=.nan, nan, nan.; it must be finite and greater"),
            ({"image_mean": [float("inf")] * 3}, r"has image_mean=.inf, inf, inf.; it must be finite\.$"),
        ],
    )
    def test_a_normalisation_that_cannot_be(
        self, options: dict[str, Any], words: str, transformers: ModuleType
    ) -> None:
        with pytest.raises(OptionError, match=words):
            HuggingFaceModel(vit(transformers), processor_of(transformers, **SMALL, **options))

    def test_a_processor_of_another_size_than_the_network(self, transformers: ModuleType) -> None:
        processor = processor_of(transformers, size={"height": 64, "width": 48})
        with pytest.raises(ModelError) as caught:
            HuggingFaceModel(vit(transformers), processor)
        assert "64×48 pixels (height × width), and is a network of image_size=32 (ValueError: " in str(caught.value)
        assert "use the processor that was saved with the model" in str(caught.value)

    @pytest.mark.parametrize("name", [None, 3])
    def test_no_name(self, name: Any) -> None:
        with pytest.raises(OptionError, match=rf"from_pretrained: name={name} must be a folder, or a name on the hub"):
            HuggingFaceModel.from_pretrained(name)

    def test_a_folder_that_holds_none(self, transformers: ModuleType, tmp_path: Path) -> None:
        with pytest.raises(
            OptionError, match=r"HuggingFaceModel: '.*' cannot be loaded \(.*\); give a folder that holds"
        ):
            HuggingFaceModel.from_pretrained(tmp_path)

    def test_without_transformers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "transformers", None)
        with pytest.raises(OptionError, match=r"needs transformers, .*: pip install 'pytest-lime\[huggingface\]'"):
            HuggingFaceModel.from_pretrained("x")

    def test_without_what_transformers_needs(self, transformers: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(name: str) -> Any:
            raise ModuleNotFoundError("Could not import module 'ViTImageProcessor'") from RuntimeError(
                "no operator nms"
            )

        monkeypatch.setattr(transformers.AutoModelForImageClassification, "from_pretrained", broken)
        with pytest.raises(OptionError) as caught:
            HuggingFaceModel.from_pretrained("x")
        assert (
            "transformers cannot import what 'x' needs (Could not import module 'ViTImageProcessor' no operator nms)"
            in (str(caught.value))
        )
