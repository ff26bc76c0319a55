"""Functions written for the `lime` package, unchanged."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image as PILImage

from pytest_lime import CallableModel, ModelError, OptionError, explain
from pytest_lime.images import Image, load_image

Array = NDArray[Any]
PICTURE = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
BATCH = torch.from_numpy(np.moveaxis(PICTURE[None] / 255, -1, 1)).float().repeat(3, 1, 1, 1)


def bright_and_dark(images: Array) -> Array:
    """Two probabilities from the mean brightness of N×H×W×3 images in [0, 1]."""
    brightness = np.asarray(images, dtype=np.float64).mean(axis=(1, 2, 3))
    return np.stack([brightness, 1 - brightness], axis=1)


class Remembering:
    """A `classifier_fn` that keeps the arrays it gets."""

    def __init__(self) -> None:
        self.seen: list[Array] = []

    def __call__(self, images: Array) -> Array:
        self.seen.append(images)
        return np.full((len(images), 2), 0.5)


class TestWhatTheFunctionGets:
    @pytest.mark.parametrize(
        ("options", "dtype", "scale"),
        [
            ({}, np.float64, 1 / 255),
            ({"dtype": "float32"}, np.float32, 1 / 255),
            ({"scale": 255}, np.float64, 1),
            ({"scale": 255, "dtype": "float32"}, np.float32, 1),
            ({"scale": 255, "dtype": "uint8"}, np.uint8, 1),
        ],
    )
    def test_values_and_type(self, options: dict[str, Any], dtype: type, scale: float) -> None:
        function = Remembering()
        CallableModel(function, **options).predict(BATCH)
        (images,) = function.seen
        assert images.shape == (3, 12, 16, 3)
        assert images.dtype == dtype
        assert images.flags.c_contiguous
        assert images.flags.writeable
        # float32 holds 255 levels to 2e-5 of one.
        np.testing.assert_allclose(images, np.stack([PICTURE * scale] * 3), atol=1e-6 / scale if scale < 1 else 2e-5)

    def test_bytes_come_back_exactly(self) -> None:
        function = Remembering()
        CallableModel(function, scale=255, dtype="uint8").predict(BATCH)
        np.testing.assert_array_equal(function.seen[0][0], PICTURE)

    def test_a_function_that_writes_into_its_images_spoils_nothing(self) -> None:
        def spoil(images: Array) -> Array:
            images *= 0
            return np.full((len(images), 2), 0.5)

        before = BATCH.clone()
        CallableModel(spoil).predict(BATCH)
        assert torch.equal(BATCH, before)

    @pytest.mark.parametrize(("size", "shape"), [(None, (12, 16)), (8, (8, 8)), ((5, 7), (5, 7))])
    def test_size(self, size: Any, shape: tuple[int, int]) -> None:
        model = CallableModel(bright_and_dark, size=size)
        assert model.input_size == (None if size is None else shape)
        prepared = model.prepare(load_image(PICTURE))
        assert prepared.shape == (3, *shape)
        if size is None:
            np.testing.assert_array_equal(np.moveaxis(prepared, 0, -1), load_image(PICTURE).pixels)

    def test_every_image_keeps_its_own_size(self) -> None:
        model = CallableModel(bright_and_dark)
        for height, width in ((3, 5), (20, 4)):
            assert model.prepare(Image(np.zeros((height, width, 3), "f"), "x")).shape == (3, height, width)


class TestWhatTheFunctionReturns:
    @pytest.mark.parametrize(
        "convert",
        [
            lambda rows: rows,
            lambda rows: rows.astype(np.float32),
            lambda rows: rows.tolist(),
            torch.from_numpy,
            lambda rows: torch.from_numpy(rows).requires_grad_(),
        ],
        ids=["float64", "float32", "list", "tensor", "tensor with gradient"],
    )
    def test_kinds(self, convert: Any) -> None:
        scores = CallableModel(lambda images: convert(bright_and_dark(images))).predict(BATCH)
        assert scores.dtype == torch.float64
        np.testing.assert_allclose(scores.numpy(), bright_and_dark(PICTURE[None] / 255).repeat(3, axis=0), atol=1e-6)

    def test_half_precision_tensors(self) -> None:
        rows = torch.tensor([[0.25, 0.75]] * 3, dtype=torch.bfloat16)
        assert torch.equal(CallableModel(lambda images: rows).predict(BATCH), rows.double())

    @pytest.mark.parametrize(
        ("returned", "words"),
        [
            (None, "classifier_fn returned None; it must return an N×classes array of numbers"),
            ([["a", "b"]] * 3, "it must return an N×classes array of numbers"),
            ([[0.5, 0.5], [1.0]], "it must return an N×classes array of numbers"),
            ([[0.5, 0.6]] * 3, "from 0.5 to 0.6 that sum to 1.1"),
            ([[-1.0, 2.0]] * 3, "apply a softmax, or say output='scores'"),
            ([[0.5, 0.5], [0.5, 0.5], [3.0, 4.0]], "from 0.5 to 4"),
        ],
    )
    def test_errors(self, returned: Any, words: str) -> None:
        with pytest.raises(ModelError) as caught:
            CallableModel(lambda images: returned).predict(BATCH)
        assert words in str(caught.value)

    def test_scores_of_any_kind(self) -> None:
        rows = [[-3.0, 40.0]] * 3
        assert CallableModel(lambda images: rows, output="scores").predict(BATCH).tolist() == rows

    def test_probabilities_rounded_to_half_precision_pass(self) -> None:
        rows = np.full((3, 3), 1 / 3, dtype=np.float16)
        assert CallableModel(lambda images: rows).predict(BATCH).shape == (3, 3)


class TestFunctionsOfLime:
    """Each is written as the tutorials of `lime` write it, and explained as it is."""

    @staticmethod
    def from_floats(images: Array) -> Array:
        return bright_and_dark(images)

    @staticmethod
    def from_bytes(images: Array) -> Array:
        resized = [np.asarray(PILImage.fromarray(image).resize((8, 6))) / 255 for image in images]
        return bright_and_dark(np.stack(resized))

    @staticmethod
    def with_torch(images: Array) -> torch.Tensor:
        batch = torch.stack([torch.from_numpy(image).permute(2, 0, 1).float() for image in images])
        brightness = batch.mean(dim=(1, 2, 3))
        return torch.stack([4 * brightness, 4 - 4 * brightness], dim=1).softmax(dim=1)

    @pytest.mark.parametrize(
        ("function", "options"),
        [("from_floats", {}), ("from_bytes", {"scale": 255, "dtype": "uint8"}), ("with_torch", {"dtype": "float32"})],
    )
    def test_explained(self, function: str, options: dict[str, Any]) -> None:
        model = CallableModel(getattr(self, function), labels=["bright", "dark"], **options)
        explanation = explain(model, PICTURE, ["bright", "dark"], segmenter="grid", segments=6, fill="black")
        assert explanation.sampler == "exhaustive"
        # Every cell that is shown makes the picture brighter, and there are two classes.
        assert (explanation.weights[0] > 0).all()
        np.testing.assert_allclose(explanation.weights[0], -explanation.weights[1], atol=1e-6)

    def test_brightness_is_linear_and_known(self) -> None:
        explanation = explain(
            CallableModel(bright_and_dark), PICTURE, 0, segmenter="grid", segments=6, fill="black", batch_size=13
        )
        cells = np.bincount(explanation.segments.ravel(), weights=(PICTURE / 255).mean(axis=2).ravel()) / 192
        # float32 pixels, and the penalty of 1e-9.
        np.testing.assert_allclose(explanation.weights[0], cells, atol=1e-6)


class TestArguments:
    def test_repr(self) -> None:
        assert repr(CallableModel(bright_and_dark)) == "CallableModel(bright_and_dark)"
        assert "Remembering" in repr(CallableModel(Remembering()))

    def test_it_runs_on_the_processor(self) -> None:
        assert CallableModel(bright_and_dark).device == "cpu"

    def test_labels(self) -> None:
        assert CallableModel(bright_and_dark, labels={0: "bright", 1: "dark"}).labels == ("bright", "dark")
        assert CallableModel(bright_and_dark).labels is None

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"dtype": "float16"}, "dtype='float16' must be one of 'float64', 'float32', 'uint8'"),
            ({"dtype": "uint8"}, "scale must be 255, not 1.0"),
            ({"scale": 0}, "scale=0 must be a number greater than 0"),
            ({"scale": float("inf")}, "scale=inf"),
            ({"scale": float("nan")}, "scale=nan"),
            ({"scale": "255"}, "scale='255'"),
            ({"scale": True}, "scale=True"),
            ({"output": "logits"}, "output='logits' must be 'probabilities' or 'scores'"),
            ({"size": (0, 3)}, "size=(0, 3)"),
            ({"labels": "cat"}, "labels='cat'"),
        ],
    )
    def test_errors(self, options: dict[str, Any], words: str) -> None:
        with pytest.raises(OptionError) as caught:
            CallableModel(bright_and_dark, **options)
        assert words in str(caught.value)

    def test_no_function(self) -> None:
        with pytest.raises(OptionError, match="classifier_fn=3 must be a function"):
            CallableModel(3)  # type: ignore[arg-type]
