"""Networks: what they see, what they are given, and what they may return."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image as PILImage

from pytest_lime import ModelError, OptionError, TorchModel
from pytest_lime.images import Image, load_image

RNG = np.random.default_rng(0)
BATCH = torch.rand(5, 3, 4, 6, generator=torch.Generator().manual_seed(0))
RESAMPLING = {
    "nearest": PILImage.Resampling.NEAREST,
    "box": PILImage.Resampling.BOX,
    "bilinear": PILImage.Resampling.BILINEAR,
    "bicubic": PILImage.Resampling.BICUBIC,
    "lanczos": PILImage.Resampling.LANCZOS,
}
# A pipeline of eight bits rounds after the vertical and the horizontal pass.
EIGHT_BITS = 1.6 / 255


def photo(height: int, width: int) -> NDArray[np.uint8]:
    """A smooth picture, so that filters of eight bits and of floats agree to their rounding."""
    rough = PILImage.fromarray(RNG.integers(60, 200, (4, 4, 3), dtype=np.uint8))
    return np.asarray(rough.resize((width, height), PILImage.Resampling.BICUBIC))


def image_of(array: NDArray[np.uint8]) -> Image:
    return load_image(array)


def model(net: torch.nn.Module | None = None, **options: Any) -> TorchModel:
    return TorchModel(net or torch.nn.Identity(), **{"size": (4, 6), **options})


class Net(torch.nn.Module):
    """Calls `function` on its input and keeps that, and has a parameter of type `dtype`."""

    def __init__(self, function: Any, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.function = function
        self.seen: list[torch.Tensor] = []
        self.parameter = torch.nn.Parameter(torch.ones(1, dtype=dtype))

    def forward(self, batch: torch.Tensor) -> Any:
        self.seen.append(batch)
        return self.function(batch)


class TestPrepare:
    @pytest.mark.parametrize("interpolation", RESAMPLING)
    @pytest.mark.parametrize("size", [(60, 80), (80, 60), (33, 47), (20, 20), (300, 200)])
    @pytest.mark.parametrize(
        ("resize", "crop"), [(None, (24, 40)), (48, (40, 40)), (49, (32, 45)), (51, (32, 44)), (40, (40, 40))]
    )
    def test_resize_and_centre_crop_are_those_of_torchvision(
        self, interpolation: str, size: tuple[int, int], resize: int | None, crop: tuple[int, int]
    ) -> None:
        array = photo(*size)
        prepared = model(size=crop, resize=resize, interpolation=interpolation).prepare(image_of(array))
        picture = PILImage.fromarray(array)
        if resize is None:
            picture = picture.resize(crop[::-1], RESAMPLING[interpolation])
        else:
            # torchvision.transforms.v2.Resize(int) and CenterCrop, from their source.
            short, long = min(size), max(size)
            scaled = (resize, int(resize * long / short))
            height, width = scaled if size[0] <= size[1] else scaled[::-1]
            top, left = round((height - crop[0]) / 2.0), round((width - crop[1]) / 2.0)
            picture = picture.resize((width, height), RESAMPLING[interpolation])
            picture = picture.crop((left, top, left + crop[1], top + crop[0]))
        assert prepared.shape == (3, *crop)
        assert prepared.dtype == np.float32
        assert prepared.flags.c_contiguous
        np.testing.assert_allclose(np.moveaxis(prepared, 0, -1), np.asarray(picture) / 255, atol=EIGHT_BITS)

    def test_an_image_of_the_right_size_is_unchanged(self) -> None:
        array = photo(24, 40)
        np.testing.assert_array_equal(
            model(size=(24, 40)).prepare(image_of(array)), np.moveaxis(array / 255.0, -1, 0).astype("f")
        )

    def test_gray_is_luminance(self) -> None:
        array = photo(24, 40)
        prepared = model(size=(24, 40), channels=1).prepare(image_of(array))
        assert prepared.shape == (1, 24, 40)
        # ITU-R 601, as Pillow's own conversion, which rounds to eight bits.
        np.testing.assert_allclose(
            prepared[0], np.asarray(PILImage.fromarray(array).convert("L")) / 255, atol=EIGHT_BITS
        )

    def test_a_gray_image_is_its_own_luminance_exactly(self) -> None:
        array = photo(24, 40)[:, :, 0]
        prepared = model(size=(24, 40), mean=[0.5], std=[0.25]).prepare(image_of(array))
        np.testing.assert_array_equal(prepared[0], (array / np.float32(255)).astype(np.float32))

    @pytest.mark.parametrize("size", [(1, 1), (2, 3), (1, 50), (1000, 2)])
    def test_odd_images(self, size: tuple[int, int]) -> None:
        for resize in (None, 8):
            assert model(size=8, resize=resize).prepare(image_of(photo(*size))).shape == (3, 8, 8)


class TestPredict:
    @pytest.mark.parametrize(
        ("mean", "std"),
        [((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), ((0.5,), (0.5,)), (0.5, 0.25), ((0.1, 0.2, 0.3), 0.5)],
    )
    def test_normalisation(self, mean: Any, std: Any) -> None:
        net = Net(lambda batch: batch.flatten(1)[:, :2])
        model(net, mean=mean, std=std, channels=3).predict(BATCH)
        shift, scale = (np.broadcast_to(np.atleast_1d(v), (3,)).reshape(1, 3, 1, 1) for v in (mean, std))
        np.testing.assert_allclose(net.seen[0].numpy(), (BATCH.numpy() - shift) / scale, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize(
        ("options", "mean", "std"),
        [
            ({}, (0, 0, 0), (1, 1, 1)),
            ({"mean": 0.5, "std": 0.25}, (0.5,) * 3, (0.25,) * 3),
            ({"mean": [0.5], "std": 0.25}, (0.5,), (0.25,)),
            ({"mean": (0.1, 0.2, 0.3)}, (0.1, 0.2, 0.3), (1, 1, 1)),
        ],
    )
    def test_mean_and_std_are_public(self, options: dict[str, Any], mean: Any, std: Any) -> None:
        wrapped = model(**options)
        assert (wrapped.mean, wrapped.std) == (mean, std)
        batch = BATCH[:, : wrapped.channels]
        shift, scale = (torch.tensor(values).reshape(1, -1, 1, 1) for values in (mean, std))
        torch.testing.assert_close(wrapped.normalise(batch), (batch - shift) / scale)

    def test_logits_are_what_the_network_returns_and_can_be_differentiated(self) -> None:
        net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(32, 2))
        wrapped = model(net, mean=0.5, std=0.25)
        with torch.inference_mode():
            # What the first batch of an explanation does to the network must not keep it from this.
            net.train()
            probabilities = wrapped.predict(BATCH)
        batch = BATCH.clone().requires_grad_()
        logits = wrapped.logits(batch)
        torch.testing.assert_close(logits.softmax(dim=1), probabilities)
        logits[:, 1].sum().backward()
        # The chain rule: one over std of the gradient of what the network receives.
        received = wrapped.normalise(BATCH).requires_grad_()
        net(received)[:, 1].sum().backward()
        assert batch.grad is not None
        assert received.grad is not None
        torch.testing.assert_close(batch.grad, received.grad / 0.25)
        assert net[0].weight.grad is not None

    def test_logits_become_probabilities(self) -> None:
        logits = torch.tensor([[1.0, 2.0, 4.0]] * 5)
        probabilities = model(Net(lambda batch: logits)).predict(BATCH)
        expected = np.exp([1, 2, 4]) / np.exp([1, 2, 4]).sum()
        np.testing.assert_allclose(probabilities.numpy(), [expected] * 5, rtol=1e-6)

    @pytest.mark.parametrize("output", ["probabilities", "scores"])
    def test_other_outputs_stay_as_they_are(self, output: str) -> None:
        rows = torch.tensor([[0.25, 0.75]] * 5)
        assert torch.equal(model(Net(lambda batch: rows), output=output).predict(BATCH), rows)

    def test_scores_may_be_anything(self) -> None:
        rows = torch.tensor([[-3.0, 40.0]] * 5)
        assert torch.equal(model(Net(lambda batch: rows), output="scores").predict(BATCH), rows)

    def test_an_output_object_with_logits_is_opened(self) -> None:
        net = Net(lambda batch: SimpleNamespace(logits=batch.flatten(1)[:, :3]))
        np.testing.assert_allclose(model(net).predict(BATCH).sum(dim=1).numpy(), 1, rtol=1e-6)

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
    def test_the_networks_own_precision(self, dtype: torch.dtype) -> None:
        net = Net(lambda batch: batch.flatten(1)[:, :3], dtype)
        probabilities = model(net).predict(BATCH)
        assert [batch.dtype for batch in net.seen] == [dtype]
        assert probabilities.dtype == torch.float32

    def test_the_network_is_in_evaluation_mode_also_when_a_user_trains_it_on(self) -> None:
        net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.5), torch.nn.Linear(72, 3))
        wrapped = model(net)
        assert not net.training
        first = wrapped.predict(BATCH)
        net.train()
        assert torch.equal(wrapped.predict(BATCH), first)

    @pytest.mark.parametrize(
        ("returned", "output", "words"),
        [
            (torch.zeros(5), "logits", "returned (5,) for a batch of 5"),
            (torch.zeros(5, 2, 1), "logits", "returned (5, 2, 1)"),
            ({"out": torch.zeros(5, 2)}, "logits", "returned dict for a batch of 5; it must return N×classes scores"),
            ([torch.zeros(5, 2)], "scores", "returned list"),
            (torch.full((5, 2), 0.5), "logits", "say output='probabilities'"),
            (torch.full((5, 2), 0.7), "probabilities", "from 0.7 to 0.7 that sum to 1.4"),
            (torch.tensor([[-0.5, 1.5]] * 5), "probabilities", "from -0.5 to 1.5"),
        ],
    )
    def test_what_output_says_is_checked(self, returned: Any, output: str, words: str) -> None:
        with pytest.raises(ModelError) as caught:
            model(Net(lambda batch: returned), output=output).predict(BATCH)
        assert words in str(caught.value)

    def test_one_logit_is_no_probability(self) -> None:
        net = Net(lambda batch: torch.ones(5, 1))
        with pytest.raises(ModelError, match=r"one logit an image, whose softmax is always 1: say output='scores'"):
            model(net).predict(BATCH)
        assert torch.equal(model(net, output="scores").predict(BATCH), torch.ones(5, 1))

    def test_half_precision_probabilities_pass(self) -> None:
        rows = torch.full((5, 3), 1 / 3, dtype=torch.float16)
        assert torch.equal(model(Net(lambda batch: rows), output="probabilities").predict(BATCH), rows)


class TestArguments:
    def test_repr(self) -> None:
        assert repr(model(size=(224, 192))) == "TorchModel(Identity, size=(224, 192))"

    def test_labels(self) -> None:
        assert model(labels={1: "dog", 0: "cat"}).labels == ("cat", "dog")
        assert model().labels is None

    @pytest.mark.parametrize(
        ("options", "channels"),
        [
            ({}, 3),
            ({"mean": (0.1, 0.2, 0.3)}, 3),
            ({"mean": [0.5], "std": [0.5]}, 1),
            ({"channels": 1}, 1),
            ({"mean": [0.5], "channels": 3}, 3),
        ],
    )
    def test_channels(self, options: dict[str, Any], channels: int) -> None:
        assert model(**options).channels == channels

    @pytest.mark.parametrize("device", ["auto", "cpu", torch.device("cpu"), "cuda:1"])
    def test_devices(self, device: Any) -> None:
        assert model(device=device).device == str(device)

    def test_a_network_that_was_put_somewhere_stays_there(self) -> None:
        # "meta" stands for any accelerator: it holds shapes only.
        there = Net(len).to("meta")
        assert model(there).device == "meta"
        assert model(there, device="cpu").device == "cpu"
        assert model(torch.nn.Identity()).device == "auto"

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"size": 0}, "size=0 must be (height, width)"),
            ({"size": None}, "size=None"),
            ({"resize": 5}, "resize=5 must be a whole number of at least 6"),
            ({"resize": 6.0}, "resize=6.0"),
            ({"resize": True}, "resize=True"),
            ({"interpolation": "bilinaer"}, "the nearest is 'bilinear'"),
            ({"output": "probability"}, "the nearest is 'probabilities'"),
            ({"labels": "cat"}, "labels='cat'"),
            ({"mean": (123.7, 116.3, 103.5)}, "divide by 255"),
            ({"std": (58.4, 57.1, 57.4)}, "divide by 255"),
            ({"mean": (0.5, 0.5)}, "mean=(0.5, 0.5) must be one or three numbers"),
            ({"mean": None}, "mean=None must be one or three numbers"),
            ({"mean": "imagenet"}, "must be one or three numbers"),
            ({"mean": (0.5, None, 0.5)}, "must be one or three numbers"),
            ({"std": float("nan")}, "must be one or three numbers"),
            ({"std": 0}, "std=0 must be greater than 0"),
            ({"std": (0.5, -0.5, 0.5)}, "must be greater than 0"),
            ({"channels": 2}, "channels=2"),
            ({"channels": 1, "mean": (0.5, 0.5, 0.5)}, "do not fit together"),
            ({"mean": [0.5], "std": (0.5, 0.5, 0.5)}, "do not fit together"),
            ({"device": "gpu"}, "device='gpu' must be"),
        ],
    )
    def test_errors(self, options: dict[str, Any], words: str) -> None:
        with pytest.raises(OptionError) as caught:
            model(**options)
        assert words in str(caught.value)

    @pytest.mark.parametrize("net", [len, torch.nn.Identity, None, "resnet"])
    def test_no_network(self, net: Any) -> None:
        with pytest.raises(OptionError, match=r"must be a torch.nn.Module; wrap functions with CallableModel"):
            TorchModel(net, size=4)
