"""Models in the ONNX format, run by onnxruntime."""

import copy
import hashlib
import pickle
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import skl2onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from sklearn.linear_model import LogisticRegression

from pytest_lime import Explanation, ModelError, OptionError
from pytest_lime.images import View, load_image
from pytest_lime.models import OnnxModel

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BATCH = torch.rand(5, 3, 8, 6, generator=torch.Generator().manual_seed(0))


def export(net: torch.nn.Module, shape: tuple[int, ...], path: Path, dynamic: bool) -> None:
    """Write what torch's own exporter makes of `net` to `path`."""
    axes = {"images": {0: "N"}, "scores": {0: "N"}} if dynamic else {}
    with warnings.catch_warnings():
        # The new exporter needs a package more.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        torch.onnx.export(
            net.eval(),
            (torch.zeros(1, *shape),),
            path,
            dynamo=False,
            input_names=["images"],
            output_names=["scores"],
            dynamic_axes=axes,
        )


def means(
    shape: list[Any] | None = None,
    kind: int = TensorProto.FLOAT,
    axes: tuple[int, ...] = (2, 3),
    outputs: tuple[str, ...] = ("scores",),
    more: list[Any] | None = None,
) -> bytes:
    """Return a model whose scores are the means of the channels that it gets."""
    shape = ["N", 3, 8, 6] if shape is None else shape
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats"], [outputs[0]], axes=list(axes), keepdims=0),
    ]
    nodes += [helper.make_node("Identity", [outputs[0]], [name]) for name in outputs[1:]]
    graph = helper.make_graph(
        nodes,
        "means",
        [helper.make_tensor_value_info("images", kind, shape), *(more or [])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [shape[0], None]) for name in outputs],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def scores_of(model: bytes, batch: torch.Tensor = BATCH, **options: Any) -> NDArray[Any]:
    return OnnxModel(model, output="scores", **options).predict(batch).numpy()


class TestWhatTheModelGets:
    @pytest.mark.parametrize(
        ("options", "mean", "std"),
        [
            ({}, 0, 1),
            ({"mean": MEAN, "std": STD}, MEAN, STD),
            ({"scale": 255}, 0, 1 / 255),
            ({"mean": MEAN, "std": STD, "scale": 255}, MEAN, np.array(STD) / 255),
        ],
    )
    def test_normalisation(self, options: dict[str, Any], mean: Any, std: Any) -> None:
        expected = (BATCH.numpy().mean(axis=(2, 3)) - mean) / std
        np.testing.assert_allclose(scores_of(means(), **options), expected, rtol=1e-4, atol=1e-6)
        model = OnnxModel(means(), **options)
        np.testing.assert_allclose((model.mean, model.std), (np.broadcast_to(mean, 3), np.broadcast_to(std, 3)))

    @pytest.mark.parametrize(
        ("kind", "factor", "tolerance"),
        [
            (TensorProto.FLOAT, 1, 1e-6),
            (TensorProto.DOUBLE, 1, 1e-6),
            # Half precision keeps three digits, and bytes are rounded to whole levels.
            (TensorProto.FLOAT16, 1, 1e-3),
            (TensorProto.UINT8, 255, 0.5),
        ],
    )
    def test_types(self, kind: int, factor: float, tolerance: float) -> None:
        expected = factor * BATCH.numpy().mean(axis=(2, 3))
        np.testing.assert_allclose(scores_of(means(kind=kind)), expected, atol=tolerance)

    def test_type_of_the_model(self) -> None:
        assert OnnxModel(means(kind=TensorProto.FLOAT16)).dtype == torch.float16
        assert OnnxModel(means(kind=TensorProto.UINT8)).dtype == torch.float32

    def test_channels_last(self) -> None:
        model = means(["N", 8, 6, 3], axes=(1, 2))
        np.testing.assert_allclose(
            scores_of(model, layout="NHWC"), BATCH.numpy().mean(axis=(2, 3)), rtol=1e-5, atol=1e-6
        )
        assert OnnxModel(model, layout="NHWC").input_size == (8, 6)

    @pytest.mark.parametrize("fixed", [1, 2, 5, 7])
    def test_a_fixed_number_of_images(self, fixed: int) -> None:
        model = means([fixed, 3, 8, 6])
        np.testing.assert_allclose(scores_of(model), BATCH.numpy().mean(axis=(2, 3)), rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("shape", [["N", 3, "H", "W"], [None, None, None, None], [1, 3, 8, "W"]])
    def test_dimensions_that_may_change(self, shape: list[Any]) -> None:
        model = OnnxModel(means(shape), size=(8, 6), output="scores")
        assert (model.input_size, model.channels) == ((8, 6), 3)
        np.testing.assert_allclose(model.predict(BATCH), BATCH.numpy().mean(axis=(2, 3)), rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize(("options", "shape"), [({}, [1, 1, 8, 6]), ({"mean": [0.5]}, [1, "C", 8, 6])])
    def test_gray(self, options: dict[str, Any], shape: list[Any]) -> None:
        model = OnnxModel(means(shape), **options)
        assert model.channels == 1
        assert model.prepare(load_image(np.zeros((20, 20, 3), dtype=np.uint8))).shape == (1, 8, 6)

    def test_size_and_crop(self) -> None:
        model = OnnxModel(means(), resize=10)
        view, measured = model.view((30, 40)), View.measure(model.prepare, (30, 40))
        assert view.shape == measured.shape == model.input_size == (8, 6)
        np.testing.assert_allclose(view.box, measured.box, atol=0.5)


class TestWhatTheModelReturns:
    def test_logits_become_probabilities(self) -> None:
        expected = torch.from_numpy(scores_of(means())).softmax(dim=1)
        torch.testing.assert_close(OnnxModel(means()).predict(BATCH), expected)

    def test_the_only_output_of_scores_is_found(self) -> None:
        with pytest.raises(OptionError, match=r"the outputs 'first', 'second'; say which .*: output_name=…"):
            OnnxModel(means(outputs=("first", "second")))
        assert OnnxModel(means(outputs=("first", "second")), output_name="second").predict(BATCH).shape == (5, 3)
        with pytest.raises(OptionError, match=r"output_name='secnd' must be one of .*; the nearest is 'second'"):
            OnnxModel(means(outputs=("first", "second")), output_name="secnd")

    def test_no_row_an_image(self) -> None:
        with pytest.raises(
            ModelError, match=r"the model returned \(5, 3, 8\) for a batch of 5 as 'scores'; it must return"
        ):
            scores_of(means(axes=(3,)))

    def test_probabilities_are_checked(self) -> None:
        with pytest.raises(ModelError, match="output='probabilities' promises probabilities that sum to 1"):
            OnnxModel(means(), output="probabilities").predict(BATCH)


class TestSameExplanation:
    @pytest.mark.parametrize("dynamic", [True, False])
    def test_a_network_exported_by_torch(
        self, dynamic: bool, photo: NDArray[np.uint8], same_explanation: Callable[..., Explanation], tmp_path: Path
    ) -> None:
        torch.manual_seed(0)
        net = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 5, stride=3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8 * 10 * 10, 3)
        )
        path = tmp_path / "net.onnx"
        export(net, (3, 32, 32), path, dynamic)

        def classify(images: NDArray[Any]) -> torch.Tensor:
            pixels = torch.from_numpy((images - np.array(MEAN)) / np.array(STD)).float()
            with torch.no_grad():
                logits: torch.Tensor = net(pixels.permute(0, 3, 1, 2))
            return logits.softmax(dim=1)

        model = OnnxModel(path, resize=40, mean=MEAN, std=STD, labels=["cat", "dog", "bird"])
        assert model.input_size == (32, 32)
        assert repr(model) == "OnnxModel(net.onnx, size=(32, 32))"
        assert same_explanation(model, classify, photo, "cat").class_names == ("cat", "dog", "bird")

    @pytest.mark.parametrize("zipmap", [True, False])
    def test_a_classifier_of_scikit_learn(
        self, zipmap: bool, photo: NDArray[np.uint8], same_explanation: Callable[..., Explanation]
    ) -> None:
        rng = np.random.default_rng(0)
        rows = rng.random((60, 5 * 4 * 3)).astype(np.float32)
        estimator = LogisticRegression(C=50).fit(rows, np.digitize(rows[:, :30].mean(axis=1), [0.48, 0.52]))
        options = {} if zipmap else {"zipmap": False}
        converted = skl2onnx.to_onnx(estimator, rows[:1], options={id(estimator): options} if options else None)
        model = OnnxModel(converted.SerializeToString(), size=(5, 4), output="probabilities")
        assert model.channels == 3

        def classify(images: NDArray[Any]) -> Any:
            return estimator.predict_proba(images.reshape(len(images), -1))

        same_explanation(model, classify, photo)


class TestSessions:
    def test_a_path_its_bytes_and_a_session(self, tmp_path: Path) -> None:
        path = tmp_path / "net.onnx"
        path.write_bytes(means())
        session = onnxruntime.InferenceSession(means(), providers=["CPUExecutionProvider"])
        for source in (path, str(path), means(), session):
            model = OnnxModel(source, output="scores")
            np.testing.assert_allclose(model.predict(BATCH), BATCH.numpy().mean(axis=(2, 3)), rtol=1e-5, atol=1e-6)
            model.to(torch.device("cpu"))
            assert model.device == "cpu"

    def test_the_hash_is_that_of_the_file(self) -> None:
        assert OnnxModel(means()).sha256 == hashlib.sha256(means()).hexdigest()
        session = onnxruntime.InferenceSession(means(), providers=["CPUExecutionProvider"])
        assert OnnxModel(session).sha256 is None

    @pytest.mark.parametrize("again", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
    def test_copies(self, again: Callable[[OnnxModel], OnnxModel]) -> None:
        model = OnnxModel(means())
        assert torch.equal(again(model).predict(BATCH), model.predict(BATCH))

    @pytest.mark.parametrize("provider", ["CPUExecutionProvider", ("CPUExecutionProvider", {})])
    def test_providers(self, provider: Any) -> None:
        model = OnnxModel(means(), providers=[provider])
        assert model.device == "cpu"
        model.to(torch.device("meta"))
        assert model.predict(BATCH).shape == (5, 3)

    def test_an_accelerator_without_a_provider_runs_on_the_processor(self) -> None:
        model = OnnxModel(means(), output="scores")
        # "meta" stands for any accelerator but CUDA.
        model.to(torch.device("meta"))
        assert model.predict(BATCH).shape == (5, 3)


class TestArguments:
    @pytest.mark.parametrize(
        ("model", "options", "words"),
        [
            (b"junk", {}, "the bytes cannot be loaded as an ONNX model: "),
            ("missing.onnx", {}, "there is no file 'missing.onnx'; give the path of an ONNX file"),
            (3, {}, "model=3 must be the path of an ONNX file, its bytes, or an onnxruntime.InferenceSession"),
            (means(), {"layout": "CHWN"}, "layout='CHWN' must be 'NCHW' or 'NHWC'"),
            (
                means(["N", 8, 6, 3]),
                {},
                "which in the layout NCHW is 8 channels; a model takes 1 or 3: say layout='NHWC'",
            ),
            (means(), {"size": 7}, "has shape ?×3×8×6, and size=7 says otherwise: leave size out"),
            (means(["N", 3, "H", 6]), {}, "which does not say how large images are: say size=(height, width)"),
            (means(), {"channels": 1}, "has shape ?×3×8×6, which is 3 channels, and channels=1 says otherwise"),
            (means(), {"mean": [0.5]}, None),
            (means(["N", "C", 8, 6]), {"channels": 2}, "channels=2"),
            (
                means(["N", 60], axes=(1,)),
                {"size": (5, 5)},
                "size=(5, 5) makes 25 features of a gray image and 75",
            ),
            (means(["N", 3, 8], axes=(2,)), {}, "has shape ?×3×8; it must be N×C×H×W, N×H×W×C, or N×features"),
            (means(kind=TensorProto.INT64), {}, "'images' is a tensor(int64); it must be one of tensor(float)"),
            (means(kind=TensorProto.UINT8), {"mean": MEAN}, "is uint8, which holds pixels of 0…255: leave mean at 0"),
            (means(kind=TensorProto.UINT8), {"scale": 1}, "and scale at 255"),
            (means(), {"scale": 0}, "scale=0 must be a number greater than 0"),
            (means(), {"resize": 5}, "resize=5 must be a whole number of at least 8"),
            (means(), {"interpolation": "cubic"}, "the nearest is 'bicubic'"),
            (means(), {"output": "logit"}, "the nearest is 'logits'"),
            (means(), {"labels": "cat"}, "labels='cat'"),
            (means(), {"device": "gpu"}, "device='gpu'"),
            (means(), {"device": "cuda"}, "this onnxruntime has no CUDAExecutionProvider, only "),
            (means(), {"providers": [3]}, "providers=[3] must be a list of names, or of (name, options)"),
            (
                means(),
                {"providers": "CPUExecutionProvider"},
                "providers='CPUExecutionProvider' must be a list of names",
            ),
            (means(), {"providers": [("CPUExecutionProvider",)]}, "must be a list of names, or of (name, options)"),
            (means(), {"providers": 3}, "providers=3 must be a list of names"),
            (means(["N", "C", 8, 6]), {"channels": True}, "channels=True"),
            (means(), {"interpolation": ["bilinear"]}, "interpolation=['bilinear'] must be one of"),
            (means(), {"providers": [("ROCMExecutionProvider", {})]}, "has no ROCMExecutionProvider"),
            (
                means(more=[helper.make_tensor_value_info("threshold", TensorProto.FLOAT, [1])]),
                {},
                "has the inputs 'images', 'threshold'; it must have one, the images",
            ),
        ],
    )
    def test_errors(self, model: Any, options: dict[str, Any], words: str | None) -> None:
        if words is None:
            assert OnnxModel(model, **options).mean == (0.5, 0.5, 0.5)
            return
        with pytest.raises(OptionError) as caught:
            OnnxModel(model, **options)
        assert words in str(caught.value)

    def test_a_batch_of_none(self) -> None:
        with pytest.raises(
            ModelError, match=r"'images' has shape 0×3×8×6, which holds no image; export the model with"
        ):
            OnnxModel(means([0, 3, 8, 6]))

    def test_without_onnxruntime(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        with pytest.raises(OptionError, match=r"OnnxModel needs onnxruntime, .*: pip install 'pytest-lime\[onnx\]'"):
            OnnxModel(means())
