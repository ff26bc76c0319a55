"""Classifiers in the ONNX format, run by ``onnxruntime``."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pytest_lime.errors import ModelError, OptionError, is_for_the_user, nearest, one_line
from pytest_lime.extras import require
from pytest_lime.fingerprint import state_digest
from pytest_lime.images import Image, View
from pytest_lime.models.preparation import Preparation, ResizeAndCrop, check_interpolation, check_resize
from pytest_lime.models.protocol import (
    check_labels,
    check_normalisation,
    check_output,
    check_output_kind,
    check_scale,
    check_size,
)
from pytest_lime.options import LimeOptions

__all__ = ["OnnxModel"]

__tracebackhide__ = is_for_the_user

LAYOUTS = ("NCHW", "NHWC")
DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
}


class OnnxModel:
    """A classifier in the ONNX format, together with what turns an image file into its input.

    Needs ``pip install 'pytest-lime[onnx]'``. The model has one input: N×C×H×W, N×H×W×C, or
    N×features, which are the pixels in the order H×W×C. A fixed N, such as 1, is fine.

    Parameters
    ----------
    model : path, bytes or onnxruntime.InferenceSession
        The model's file, what it holds, or a session that is ready.
    size : (height, width) or int, optional
        Of the model's input, in pixels; by default what the model itself says.
    resize, interpolation, labels
        As in `TorchModel`.
    mean, std : sequence of one or three floats, or a float
        Normalisation, in units of [0, 1] pixels: the model gets ``scale × (x − mean) / std``.
    scale : float, optional
        1 for models of pixels in [0, 1], 255 for those of 0…255; by default 255 where the
        input is uint8, which gets rounded values, else 1.
    layout : ``"NCHW"`` or ``"NHWC"``
        Where the input's channels are.
    channels : 1 or 3, optional
        By default what the model itself says, else as in `TorchModel`.
    output : ``"logits"``, ``"probabilities"`` or ``"scores"``
        What the model returns, as in `TorchModel`. Where it is a sequence of dictionaries
        (``ZipMap``), the classes are in the order of their sorted keys.
    output_name : str, optional
        Which of several outputs holds the scores; by default the only one of N×classes floats.
    providers : sequence, optional
        Execution providers of ``onnxruntime``, as it takes them; batches are then made on
        the CPU. By default the device ``"cuda"`` means ``CUDAExecutionProvider``, and any
        other ``CPUExecutionProvider``.
    device : str or torch.device
        ``"auto"`` is CUDA where both torch and ``onnxruntime`` have it, else the CPU.

    Attributes
    ----------
    mean, std : tuple of floats, one a channel
        The model receives ``(x − mean) / std`` of pixels in [0, 1]; `scale` is part of them.

    Raises
    ------
    OptionError
        ``onnxruntime`` is not installed, the model cannot be loaded, is none of images, or
        an argument is not as above or contradicts the model.
    ModelError
        The model's input has a dimension of 0.
    """

    # It does not compute with torch, whose precision could be chosen for it.
    autocasts = False

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes | Any,
        *,
        size: tuple[int, int] | int | None = None,
        resize: int | None = None,
        interpolation: str = "bilinear",
        mean: Sequence[float] | float = 0.0,
        std: Sequence[float] | float = 1.0,
        scale: float | None = None,
        layout: str = "NCHW",
        channels: int | None = None,
        labels: Sequence[str] | dict[int, str] | None = None,
        output: str = "logits",
        output_name: str | None = None,
        providers: Sequence[Any] | None = None,
        device: str | torch.device = "auto",
    ) -> None:
        if layout not in LAYOUTS:
            raise OptionError(f"layout={layout!r} must be 'NCHW' or 'NHWC'{nearest(layout, LAYOUTS)}.")
        self.output = check_output_kind(output)
        self.labels: Sequence[str] | None = check_labels(labels)
        self._source = model
        self._providers = None if providers is None else _checked_providers(providers)
        self._device = LimeOptions(device=str(device)).device
        self._there = torch.device("cpu" if self.device == "auto" else self.device)
        self._session = self._load()
        self._input, dimensions, self._dtype = _only_input(self._session)
        self._layout = layout if len(dimensions) == 4 else "flat"
        self._at_once = dimensions[0]
        shape, stated = self._read(dimensions, size, channels)
        mean, std = check_normalisation(mean, std, stated)
        self.channels = len(mean)
        white = check_scale((255 if self._dtype == "uint8" else 1) if scale is None else scale)
        if self._dtype == "uint8" and (white != 255 or {*mean} != {0} or {*std} != {1}):
            raise OptionError(
                f"OnnxModel: the input {self._input!r} is uint8, which holds pixels of 0…255: "
                "leave mean at 0, std at 1 and scale at 255."
            )
        self.mean, self.std = mean, tuple(deviation / white for deviation in std)
        self.input_size: tuple[int, int] | None = shape
        self.resize = check_resize(resize, shape)
        self._preparation = Preparation(
            ResizeAndCrop(shape, self.resize), check_interpolation(interpolation), self.channels
        )
        self._scores = _scores_output(self._session, output_name)
        self._checked = False

    def __repr__(self) -> str:
        source = Path(self._source).name if isinstance(self._source, str | os.PathLike) else type(self._source).__name__
        return f"OnnxModel({source}, size={self.input_size})"

    def __getstate__(self) -> dict[str, Any]:
        # A session holds threads and memory of its own; another process opens the model anew.
        return {name: value for name, value in self.__dict__.items() if name != "_session"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._session = self._load()

    def _load(self) -> Any:
        """Return a session, where the model is to be."""
        onnxruntime = require("onnxruntime", extra="onnx", needed_for="OnnxModel")
        source = self._source
        self._digest: str | None = None
        if isinstance(source, onnxruntime.InferenceSession):
            return source
        if not isinstance(source, str | os.PathLike | bytes):
            raise OptionError(
                f"OnnxModel: model={one_line(source)} must be the path of an ONNX file, its bytes, or an "
                "onnxruntime.InferenceSession."
            )
        on_cuda = ("CUDAExecutionProvider", {"device_id": self._there.index or 0})
        own = [on_cuda] if self._there.type == "cuda" else ["CPUExecutionProvider"]
        providers: list[Any] = own if self._providers is None else self._providers
        names = [provider if isinstance(provider, str) else provider[0] for provider in providers]
        missing = [name for name in names if name not in onnxruntime.get_available_providers()]
        if missing:
            raise OptionError(
                f"OnnxModel: this onnxruntime has no {missing[0]}, only "
                f"{', '.join(onnxruntime.get_available_providers())}: choose device='cpu', or install the build of "
                "onnxruntime for your accelerator, such as onnxruntime-gpu."
            )
        if not isinstance(source, bytes) and not Path(source).is_file():
            raise OptionError(f"OnnxModel: there is no file {str(source)!r}; give the path of an ONNX file.")
        try:
            # Now, since another model may come to lie there while this one is open.
            self._digest = _digest(source if isinstance(source, bytes) else Path(source).read_bytes())
            return onnxruntime.InferenceSession(
                source if isinstance(source, bytes) else os.fspath(source), providers=providers
            )
        # Its errors have no base class of their own.
        except Exception as error:
            name = "the bytes" if isinstance(source, bytes) else repr(str(source))
            reason = " ".join(str(error).split()).rstrip(".")
            raise OptionError(f"OnnxModel: {name} cannot be loaded as an ONNX model: {reason}.") from error

    def _read(self, dimensions: list[int | None], size: Any, channels: Any) -> tuple[tuple[int, int], int | None]:
        """Return height and width, and the channels where they are known, of an input of `dimensions`."""
        told = f"OnnxModel: the input {self._input!r} has shape {_shape(dimensions)}"
        order = {"NCHW": (1, 2, 3), "NHWC": (3, 1, 2), "flat": (None, None, None)}[self._layout]
        depth, height, width = (None if axis is None else dimensions[axis] for axis in order)
        if depth not in (None, 1, 3):
            other = LAYOUTS[self._layout == "NCHW"]
            raise OptionError(
                f"{told}, which in the layout {self._layout} is {depth} channels; a model takes 1 or 3: "
                f"say layout={other!r}, if that is its order."
            )
        if size is None and not (height and width):
            raise OptionError(f"{told}, which does not say how large images are: say size=(height, width).")
        shape = check_size((height, width) if size is None else size)
        if height not in (None, shape[0]) or width not in (None, shape[1]):
            raise OptionError(f"{told}, and size={size!r} says otherwise: leave size out.")
        if self._layout == "flat" and dimensions[1] is not None:
            depth, rest = divmod(dimensions[1], shape[0] * shape[1])
            if rest or depth not in (1, 3):
                raise OptionError(
                    f"{told}, and size={shape} makes {shape[0] * shape[1]} features of a gray image and "
                    f"{3 * shape[0] * shape[1]} of an RGB one; say the size of the images that it was trained on."
                )
        if channels is not None and depth not in (None, channels):
            raise OptionError(f"{told}, which is {depth} channels, and channels={channels!r} says otherwise.")
        return shape, depth if channels is None else channels

    def prepare(self, image: Image) -> NDArray[np.float32]:
        """Return `image` resized, cropped and with the model's number of channels, C×H×W."""
        return self._preparation.prepare(image)

    def view(self, size: tuple[int, int]) -> View:
        """Return which part of an image of `size` (height, width) the model sees."""
        return self._preparation.view(size)

    @property
    def dtype(self) -> torch.dtype:
        """The type of the model's input, or float32 where that is no float."""
        return {"float16": torch.float16, "float64": torch.float64}.get(self._dtype, torch.float32)

    @property
    def device(self) -> str:
        """Where batches are made for the model: as given, or ``"auto"`` where it can follow to an accelerator."""
        if self._providers is not None:
            return "cpu"
        if self._device != "auto":
            return self._device
        onnxruntime = require("onnxruntime", extra="onnx", needed_for="OnnxModel")
        both = "CUDAExecutionProvider" in onnxruntime.get_available_providers() and torch.cuda.is_available()
        return "auto" if both else "cpu"

    def to(self, device: torch.device) -> None:
        """Open the model on `device`, unless its providers or its session were given."""
        if self._providers is None and device != self._there:
            self._there = device
            self._session = self._load()

    @property
    def sha256(self) -> str | None:
        """Of the model's file, as ``sha256sum`` says it; None for a session, or weights elsewhere."""
        return self._digest

    def fingerprint(self) -> str | None:
        """Return a digest of the model's file and the other arguments; None for a session, or weights elsewhere."""
        if self._digest is None:
            return None
        # Where it is, and what was found out about it, do not count.
        volatile = ("_source", "_session", "_device", "_there", "_checked")
        state = {name: value for name, value in vars(self).items() if name not in volatile}
        onnxruntime = require("onnxruntime", extra="onnx", needed_for="OnnxModel")
        return state_digest(type(self), str(onnxruntime.__version__), state)

    def predict(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the scores of `batch` (N×C×H×W float in [0, 1]), N×classes, on the CPU.

        Raises
        ------
        ModelError
            The model returns something else than `output` says.
        """
        pixels = self._fed(batch)
        step = self._at_once or len(pixels)
        rows = [self._run(pixels[start : start + step]) for start in range(0, len(pixels), step)]
        scores = torch.from_numpy(np.concatenate(rows))
        if not self._checked:
            check_output(scores, self.output)
            self._checked = True
        return scores.softmax(dim=1, dtype=torch.float32) if self.output == "logits" else scores

    def _fed(self, batch: torch.Tensor) -> NDArray[Any]:
        """Return `batch` as the model takes it."""
        mean, std = (torch.tensor(v, dtype=torch.float32).reshape(1, -1, 1, 1) for v in (self.mean, self.std))
        pixels = (batch.detach().cpu() - mean) / std
        if self._dtype == "uint8":
            pixels = pixels.round()
        if self._layout != "NCHW":
            pixels = pixels.permute(0, 2, 3, 1)
        if self._layout == "flat":
            pixels = pixels.flatten(1)
        return np.ascontiguousarray(pixels.numpy()).astype(self._dtype)

    def _run(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return the scores of as many images as the model takes at once, or fewer."""
        count = len(pixels)
        if self._at_once and count < self._at_once:
            pixels = np.concatenate([pixels, np.repeat(pixels[-1:], self._at_once - count, axis=0)])
        (returned,) = self._session.run([self._scores], {self._input: pixels})
        if isinstance(returned, list) and all(isinstance(row, dict) for row in returned):
            returned = np.array([[row[key] for key in sorted(row)] for row in returned], dtype=np.float32)
        if not isinstance(returned, np.ndarray) or returned.ndim != 2 or len(returned) != len(pixels):
            shape = returned.shape if isinstance(returned, np.ndarray) else type(returned).__name__
            raise ModelError(
                f"the model returned {shape} for a batch of {len(pixels)} as {self._scores!r}; "
                "it must return N×classes scores."
            )
        return returned[:count]


def _digest(data: bytes) -> str | None:
    """Return a digest of an ONNX file, or None where some of its weights are in files beside it."""
    # The key of an entry of `TensorProto.external_data`, as protobuf writes it.
    return None if b"\x0a\x08location\x12" in data else hashlib.sha256(data).hexdigest()


def _checked_providers(providers: Any) -> list[Any]:
    listed = list(providers) if isinstance(providers, Sequence) and not isinstance(providers, str | bytes) else [None]
    for entry in listed:
        # What is not exactly so onnxruntime refuses, and then may go on with the CPU.
        pair = entry if isinstance(entry, tuple) and len(entry) == 2 else (entry, {})
        if not (isinstance(pair[0], str) and isinstance(pair[1], dict)):
            raise OptionError(
                f"OnnxModel: providers={one_line(providers)} must be a list of names, or of (name, options) with a "
                "dictionary of options, such as ['CPUExecutionProvider']."
            )
    return listed


def _shape(dimensions: Sequence[Any]) -> str:
    return "×".join("?" if side is None else str(side) for side in dimensions)


def _only_input(session: Any) -> tuple[str, list[int | None], str]:
    """Return name, dimensions and type of the input of `session`; a dimension that may change is None."""
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise OptionError(
            f"OnnxModel: the model has the inputs {', '.join(repr(entry.name) for entry in inputs)}; it must have one, "
            "the images: export it with the others fixed."
        )
    (only,) = inputs
    if 0 in only.shape:
        raise ModelError(
            f"OnnxModel: the input {only.name!r} has shape {_shape(only.shape)}, which holds no image; export the "
            "model with a batch of 1, or of a number that may change."
        )
    dimensions = [side if isinstance(side, int) and side > 0 else None for side in only.shape]
    if len(dimensions) not in (2, 4):
        raise OptionError(
            f"OnnxModel: the input {only.name!r} has shape {_shape(dimensions)}; it must be N×C×H×W, N×H×W×C, or "
            "N×features."
        )
    if only.type not in DTYPES:
        raise OptionError(
            f"OnnxModel: the input {only.name!r} is a {only.type}; it must be one of {', '.join(DTYPES)}."
        )
    return only.name, dimensions, DTYPES[only.type]


def _scores_output(session: Any, name: str | None) -> str:
    """Return the name of the output of `session` that holds the scores."""
    outputs = session.get_outputs()
    names = [entry.name for entry in outputs]
    if name is not None:
        if name not in names:
            raise OptionError(
                f"output_name={name!r} must be one of the model's outputs, {', '.join(map(repr, names))}"
                f"{nearest(name, names)}."
            )
        return name
    if len(names) == 1:
        return str(names[0])
    # A classifier of scikit-learn also returns the label, as text or as a whole number.
    likely = [
        entry.name
        for entry in outputs
        if entry.type.startswith("seq(map(")
        or (entry.type in ("tensor(float)", "tensor(float16)", "tensor(double)") and len(entry.shape) == 2)
    ]
    if len(likely) != 1:
        raise OptionError(
            f"OnnxModel: the model has the outputs {', '.join(map(repr, names))}; say which of them holds the scores "
            "of the classes: output_name=…."
        )
    return str(likely[0])
