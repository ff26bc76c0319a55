"""The contract between a classifier and the explainer."""

import functools
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier

from pytest_lime import CallableModel, Model, ModelError, OptionError, TorchModel
from pytest_lime.images import Image, View
from pytest_lime.models.preparation import Preparation
from pytest_lime.models.protocol import (
    check_labels,
    check_model,
    check_scale,
    check_scores,
    check_size,
    normalisation,
    prepare,
)
from pytest_lime.testing import FakeModel

IMAGE = Image(np.random.default_rng(0).random((6, 8, 3), dtype=np.float32), "cat.png")


class Own:
    """A user's model that prepares what `prepared` says."""

    labels: tuple[str, ...] | None = None

    def __init__(self, prepared: Any = None, input_size: tuple[int, int] | None = None) -> None:
        self.prepared = prepared
        self.input_size: tuple[int, int] | None = input_size

    def prepare(self, image: Image) -> NDArray[np.float32]:
        planes = np.moveaxis(image.pixels, -1, 0)
        made: NDArray[np.float32] = planes if self.prepared is None else self.prepared(planes)
        return made

    def predict(self, batch: torch.Tensor) -> torch.Tensor:
        return batch.flatten(1)


class TestCheckModel:
    @pytest.mark.parametrize(
        "model",
        [Own(), FakeModel(), TorchModel(torch.nn.Identity(), size=8), CallableModel(len)],
        ids=lambda model: type(model).__name__,
    )
    def test_models(self, model: Any) -> None:
        assert check_model(model) is model
        assert isinstance(model, Model)

    @pytest.mark.parametrize(
        ("model", "words"),
        [
            (torch.nn.Identity(), "wrap the network: TorchModel("),
            (FakeModel, "pass an instance of it"),
            (DummyClassifier(), "wrap the estimator: SklearnModel(estimator, size=…)"),
            (lambda images: images, "wrap the function: CallableModel("),
            (None, "None is no model for pytest-lime; use TorchModel, CallableModel, or an object with labels"),
            ("resnet50", "'resnet50' is no model"),
        ],
    )
    def test_others_are_told_what_to_do(self, model: Any, words: str) -> None:
        with pytest.raises(ModelError) as caught:
            check_model(model)
        assert words in str(caught.value)

    @pytest.mark.parametrize(
        ("name", "value", "words"),
        [
            ("labels", "cat", "labels='cat' must be a list of names"),
            ("labels", [], "labels=[] must be a list of names"),
            ("labels", {1: "a"}, "must map the indices 0…K−1"),
            ("labels", iter(["a"]), "must be a list of names"),
            ("input_size", (0, 5), "size=(0, 5) must be (height, width)"),
            ("input_size", "224", "size='224' must be"),
            ("device", "gpu", "device='gpu' must be 'auto', 'cpu'"),
            ("device", "cuda:x", "device='cuda:x' must be"),
            ("device", None, "device='None' must be"),
        ],
    )
    def test_its_attributes_are_checked(self, name: str, value: Any, words: str) -> None:
        model = Own()
        setattr(model, name, value)
        with pytest.raises(ModelError) as caught:
            check_model(model)
        assert "is no model for pytest-lime: " in str(caught.value)
        assert words in str(caught.value)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("labels", ["a"]),
            ("labels", {0: "a"}),
            ("input_size", 6),
            ("input_size", [6, 8]),
            ("device", "cuda:3"),
            ("device", torch.device("cpu")),
            ("device", "auto"),
        ],
    )
    def test_what_its_attributes_may_be(self, name: str, value: Any) -> None:
        model = Own()
        setattr(model, name, value)
        assert check_model(model) is model


class TestPrepare:
    def test_a_model_that_knows_its_view_is_not_measured(self) -> None:
        known = View(size=(6, 8), box=(2.0, 1.0, 8.0, 5.0), shape=(4, 6))
        prepared = []

        class Knowing(Own):
            def prepare(self, image: Image) -> NDArray[np.float32]:
                prepared.append(image)
                # What could not be measured, such as a gray border, may still be known.
                return 1 - super().prepare(image)[:, 1:5, 2:8]

            def view(self, size: tuple[int, int]) -> View:
                assert size == (6, 8)
                return known

        pixels, view = prepare(Knowing(), IMAGE)
        assert view is known
        np.testing.assert_array_equal(pixels, 1 - np.moveaxis(IMAGE.pixels, -1, 0)[:, 1:5, 2:8])
        # Twice, to find what changes from call to call.
        assert prepared == [IMAGE, IMAGE]

    def test_a_view_that_is_no_method_is_the_models_own_affair(self) -> None:
        model: Any = Own()
        model.view = "from above"
        assert prepare(model, IMAGE)[1].box == (0, 0, 8, 6)

    @pytest.mark.parametrize("seen", [False, True], ids=["measured", "known"])
    def test_what_changes_from_call_to_call_is_told(self, seen: bool) -> None:
        calls = iter(range(100))
        model: Any = Own(lambda planes: planes[:, :, next(calls) % 2 :][:, :, :7])
        if seen:
            model.view = lambda size: View(size=size, box=(0, 0, 7, 6), shape=(6, 7))
        with pytest.raises(ModelError, match=r"returned other pixels when called again; .* random augmentation"):
            prepare(model, IMAGE)

    def test_an_adapter_of_ours_is_asked_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        prepared = []
        original = Preparation.prepare

        def counted(self: Preparation, image: Image) -> NDArray[np.float32]:
            prepared.append(image)
            return original(self, image)

        monkeypatch.setattr(Preparation, "prepare", counted)
        prepare(TorchModel(torch.nn.Identity(), size=(6, 8)), IMAGE)
        assert prepared == [IMAGE]

    @pytest.mark.parametrize("where", ["class", "object"])
    def test_what_changes_in_an_adapter_of_ours_is_told_too(self, where: str) -> None:
        calls = iter(range(100))

        @functools.wraps(TorchModel.prepare)
        def augmented(image: Image) -> NDArray[np.float32]:
            return TorchModel.prepare(model, image) * np.float32(0.5 + next(calls) % 2 / 2)

        @functools.wraps(TorchModel.prepare)
        def method(self: Any, image: Image) -> NDArray[np.float32]:
            return augmented(image)

        kind: Any = type("Augmented", (TorchModel,), {"prepare": method})
        model: Any = (kind if where == "class" else TorchModel)(torch.nn.Identity(), size=(6, 8))
        if where == "object":
            model.prepare = augmented
        with pytest.raises(ModelError, match="returned other pixels when called again"):
            prepare(model, IMAGE)

    @pytest.mark.parametrize("size", [(6, 8), (60, 80), (81, 47), (7, 7)])
    @pytest.mark.parametrize(("resize", "crop"), [(None, (24, 40)), (48, (40, 40)), (49, (32, 45))])
    def test_the_view_of_a_torch_model_is_what_would_be_measured(
        self, size: tuple[int, int], resize: int | None, crop: tuple[int, int]
    ) -> None:
        model = TorchModel(torch.nn.Identity(), size=crop, resize=resize)
        known, measured = model.view(size), View.measure(model.prepare, size)
        assert (known.size, known.shape) == (measured.size, measured.shape) == (size, crop)
        # What is measured is snapped to whole pixels, and blurred by the filter of a strong enlargement.
        assert known.box == pytest.approx(measured.box, abs=0.6)

    @pytest.mark.parametrize("size", [None, (5, 7), 4])
    def test_the_view_of_a_function_is_the_whole_image(self, size: Any) -> None:
        model = CallableModel(len, size=size)
        view = prepare(model, IMAGE)[1]
        assert (view.size, view.box, view.shape) == ((6, 8), (0, 0, 8, 6), model.input_size or (6, 8))

    def test_what_the_model_sees_and_where(self) -> None:
        pixels, view = prepare(Own(lambda planes: planes[:, 1:5, 2:8]), IMAGE)
        np.testing.assert_array_equal(pixels, np.moveaxis(IMAGE.pixels, -1, 0)[:, 1:5, 2:8])
        assert pixels.dtype == np.float32
        assert (view.size, view.shape, view.box) == ((6, 8), (4, 6), (2.0, 1.0, 8.0, 5.0))

    @pytest.mark.parametrize(
        "convert", [lambda planes: planes.astype(np.float64), torch.from_numpy], ids=["f64", "torch"]
    )
    def test_other_kinds_of_arrays_are_taken(self, convert: Any) -> None:
        pixels, _ = prepare(Own(lambda planes: convert(np.ascontiguousarray(planes))), IMAGE)
        assert pixels.dtype == np.float32
        np.testing.assert_array_equal(pixels, np.moveaxis(IMAGE.pixels, -1, 0))

    @pytest.mark.parametrize(
        ("make", "size", "words"),
        [
            (lambda planes: planes[0], None, "array of shape (6, 8); it must be C×H×W"),
            (lambda planes: planes[None], None, "array of shape (1, 3, 6, 8)"),
            (lambda planes: planes[:2], None, "with C = 1 or 3"),
            (lambda planes: planes[:, :0], None, "array of shape (3, 0, 8)"),
            (lambda planes: np.moveaxis(planes, 0, -1), None, "array of shape (6, 8, 3)"),
            (lambda planes: planes, (8, 6), "6×8 pixels and model.input_size says 8×6"),
            (lambda planes: planes * 255, None, "they must lie in [0, 1]: normalisation belongs in predict"),
            (lambda planes: (planes - 0.5) / 0.25, None, "normalisation belongs in predict"),
            (lambda planes: planes * np.nan, None, "they must lie in [0, 1]"),
            (lambda planes: planes[:, :, ::-1], None, "may only resize, crop and pad"),
            (lambda planes: 1 - planes, None, "may only resize, crop and pad"),
        ],
    )
    def test_errors(self, make: Any, size: tuple[int, int] | None, words: str) -> None:
        with pytest.raises(ModelError) as caught:
            prepare(Own(make, size), IMAGE)
        assert words in str(caught.value)


class TestCheckScores:
    @pytest.mark.parametrize("kind", [torch.tensor, np.array, list])
    def test_accepted(self, kind: Any) -> None:
        scores = check_scores(kind([[0.25, 0.75], [1.0, 0.0]]), 2, ("a", "b"))
        assert torch.equal(scores.float(), torch.tensor([[0.25, 0.75], [1.0, 0.0]]))

    def test_without_labels_any_number_of_classes_will_do(self) -> None:
        assert check_scores(torch.zeros(2, 5), 2, None).shape == (2, 5)

    @pytest.mark.parametrize(
        ("scores", "labels", "words"),
        [
            (torch.zeros(2, 2, dtype=torch.complex64), None, "complex scores; they must be real numbers"),
            (torch.zeros(3, 2), None, "shape (3, 2) for a batch of 2 images; it must return 2×classes"),
            (torch.zeros(2), ("a", "b"), "it must return 2×2"),
            (torch.zeros(2, 3), ("a", "b"), "3 scores an image and has 2 labels"),
            (torch.zeros(2, 0), None, "one column a class"),
            (None, None, "the model returned None"),
            (object(), None, "the model returned <object"),
            ([[1.0], [1.0, 2.0]], None, "the model returned [[1.0], [1.0, 2.0]]"),
        ],
    )
    def test_errors(self, scores: Any, labels: tuple[str, ...] | None, words: str) -> None:
        with pytest.raises(ModelError) as caught:
            check_scores(scores, 2, labels)
        assert words in str(caught.value)

    def test_the_number_of_classes_stays(self) -> None:
        assert check_scores(torch.zeros(2, 5), 2, None, 5).shape == (2, 5)
        with pytest.raises(ModelError, match="returned 4 scores an image, and 5 before; their number must not change"):
            check_scores(torch.zeros(2, 4), 2, None, 5)
        with pytest.raises(ModelError, match="it must return 2×5, one row an image"):
            check_scores(torch.zeros(3, 5), 2, None, 5)


@pytest.mark.parametrize(
    ("size", "pair"), [(224, (224, 224)), ((3, 5), (3, 5)), ([3, 5], (3, 5)), (np.int64(7), (7, 7)), ((1, 1), (1, 1))]
)
def test_sizes(size: Any, pair: tuple[int, int]) -> None:
    assert check_size(size) == pair


@pytest.mark.parametrize("size", [0, -1, (0, 5), (3, 4, 5), (3,), 2.5, (2.5, 3), "224", None, True, (None, 3)])
def test_wrong_sizes(size: Any) -> None:
    with pytest.raises(OptionError, match=r"size=.* must be \(height, width\), whole numbers of at least 1"):
        check_size(size)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (None, None),
        (["a", "b"], ("a", "b")),
        (("a",), ("a",)),
        ({1: "b", 0: "a"}, ("a", "b")),
        (np.array(["a"]), ("a",)),
    ],
)
def test_labels(labels: Any, names: tuple[str, ...] | None) -> None:
    assert check_labels(labels) == names


def test_what_no_file_can_hold_is_replaced_in_labels() -> None:
    names = check_labels(["caf\u00e9", "a\udce9b", "\U0001f431"])
    assert names == ("café", "a?b", "🐱")
    assert all(type(name) is str for name in check_labels(np.array(["a"])) or ())


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ("cat", "list of names"),
        ([], "list of names"),
        (["a", 1], "list of names"),
        (3, "list of names"),
        # What can be read once only would be used up by the first check.
        (iter(["a"]), "list of names"),
        ((name for name in "ab"), "list of names"),
        ({}, "indices 0…K−1"),
        ({1: "a", 2: "b"}, "indices 0…K−1"),
        ({0: "a", 2: "b"}, "indices 0…K−1"),
        ({"a": 0, "b": 1}, "indices 0…K−1"),
        ({0: "a", 1: 2}, "list of names"),
    ],
)
def test_wrong_labels(labels: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        check_labels(labels)


class TestNormalisation:
    @pytest.mark.parametrize(
        ("attributes", "mean", "std"),
        [
            ({}, [0], [1]),
            ({"mean": 0.5, "std": 0.25}, [0.5], [0.25]),
            ({"mean": (0.1, 0.2, 0.3)}, [0.1, 0.2, 0.3], [1, 1, 1]),
            ({"mean": [0.5], "std": np.array([0.1, 0.2, 0.3])}, [0.5, 0.5, 0.5], [0.1, 0.2, 0.3]),
            # As networks keep it.
            ({"mean": torch.full((1, 3, 1, 1), 0.5), "std": torch.tensor(0.25)}, [0.5, 0.5, 0.5], [0.25] * 3),
        ],
    )
    def test_of_any_model(self, attributes: dict[str, Any], mean: list[float], std: list[float]) -> None:
        model = Own()
        for name, value in attributes.items():
            setattr(model, name, value)
        means, deviations = normalisation(model)
        assert (means.tolist(), deviations.tolist()) == (mean, std)
        assert means.dtype == deviations.dtype == np.float64

    def test_of_adapters(self) -> None:
        means, deviations = normalisation(TorchModel(torch.nn.Identity(), size=8, mean=[0.5], std=0.25))
        assert (means.tolist(), deviations.tolist()) == ([0.5], [0.25])
        assert normalisation(CallableModel(len))[0].tolist() == [0]

    @pytest.mark.parametrize(
        ("name", "value", "words"),
        [
            ("mean", "imagenet", "mean='imagenet' must be one or three numbers"),
            ("mean", (123.7, 116.3, 103.5), "divide by 255"),
            ("std", 0, "std=0 must be greater than 0"),
            ("std", None, "std=None must be one or three numbers"),
        ],
    )
    def test_errors(self, name: str, value: Any, words: str) -> None:
        model = Own()
        setattr(model, name, value)
        with pytest.raises(ModelError, match=r"has a normalisation that cannot be: ") as caught:
            normalisation(model)
        assert words in str(caught.value)


@pytest.mark.parametrize("scale", [1, 255.0, np.float32(16), 1e-3])
def test_scales(scale: Any) -> None:
    assert check_scale(scale) == float(scale)


@pytest.mark.parametrize("scale", [0, -1, "255", None, True, float("nan"), float("inf")])
def test_wrong_scales(scale: Any) -> None:
    with pytest.raises(OptionError, match="must be a number greater than 0, the value of a white pixel"):
        check_scale(scale)
