"""The contract between a classifier and the explainer, and its checks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from pytest_lime.errors import ModelError, OptionError, is_for_the_user, nearest, one_line
from pytest_lime.images import Image, View
from pytest_lime.options import LimeOptions

__all__ = [
    "Model",
    "check_choice",
    "check_labels",
    "check_model",
    "check_normalisation",
    "check_output",
    "check_output_kind",
    "check_scale",
    "check_scores",
    "check_size",
    "normalisation",
    "prepare",
    "resolution",
]

__tracebackhide__ = is_for_the_user

OUTPUTS = ("logits", "probabilities", "scores")


@runtime_checkable
class Model(Protocol):
    """What the explainer asks of a classifier; any object with these four will do.

    More is used where a model has it: ``device``, the name of a torch device or ``"auto"``
    (without it batches stay on the CPU); ``to(device)``, called once before the first
    batch; ``view(size)``, which returns the `View` of images of `size` (height, width) and
    saves measuring what `prepare` does to them; ``mean`` and ``std``, one float or one
    a channel, when what the classifier itself receives is ``(x − mean) / std`` of pixels x
    in [0, 1] (without them, x); ``fingerprint``, a text, or a method that returns one, that
    is another one whenever scores would be (without it the samples of a model of your own are
    not kept from run to run); and ``autocasts``, False where
    the option `precision` makes no sense for it. Adapters of torch networks also have ``net``, the
    `torch.nn.Module`, and ``logits(batch)``, which is N×classes before any softmax and can
    be differentiated. ``sha256``, 64 hexadecimal digits or a method that returns them, is what records of checks say
    of its weights (of a model with ``net`` it is found by itself).
    """

    @property
    def labels(self) -> Sequence[str] | None:
        """A name for each class; None names them ``"0"``, ``"1"``, … by their index."""

    @property
    def input_size(self) -> tuple[int, int] | None:
        """Height and width of what `prepare` returns; None when it keeps the size of the image."""

    def prepare(self, image: Image) -> NDArray[np.float32]:
        """Return what the model sees of `image`: a C×H×W float32 array in [0, 1].

        It may only resize, crop and pad, since regions are carried along; normalisation
        and everything else belongs in `predict`.
        """
        ...

    def predict(self, batch: torch.Tensor) -> torch.Tensor:
        """Return N×classes scores of an N×C×H×W float tensor in [0, 1]."""
        ...


def check_model(model: Any) -> Model:
    """Return `model` if it has what a model needs.

    Raises
    ------
    ModelError
        An attribute or method is missing.
    """
    missing = [name for name in ("labels", "input_size", "prepare", "predict") if not hasattr(model, name)]
    if missing or isinstance(model, type):
        if isinstance(model, torch.nn.Module):
            remedy = "wrap the network: TorchModel(net, size=…, mean=…, std=…, labels=…)"
        elif isinstance(model, type):
            remedy = "pass an instance of it"
        elif hasattr(model, "predict_proba"):
            remedy = "wrap the estimator: SklearnModel(estimator, size=…)"
        elif callable(model):
            remedy = "wrap the function: CallableModel(classifier_fn, labels=…)"
        else:
            remedy = "use TorchModel, CallableModel, or an object with labels, input_size, prepare and predict"
        raise ModelError(f"{one_line(model)} is no model for pytest-lime; {remedy}.")
    try:
        check_labels(model.labels)
        if model.input_size is not None:
            check_size(model.input_size)
        LimeOptions(device=str(getattr(model, "device", "auto")))
    except OptionError as error:
        raise ModelError(f"{one_line(model)} is no model for pytest-lime: {error}") from None
    checked: Model = model
    return checked


def prepare(model: Model, image: Image) -> tuple[NDArray[np.float32], View]:
    """Return what `model` sees of `image`, and which part of the image that is.

    Raises
    ------
    ModelError
        `model.prepare` returns another shape than C×H×W, values outside [0, 1] or other
        pixels each time, or does more than resize, crop and pad.
    """
    pixels = np.asarray(model.prepare(image))
    if pixels.dtype.kind not in "biuf":
        raise ModelError(f"model.prepare returned an array of dtype {pixels.dtype}; it must be float32 in [0, 1].")
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3) or 0 in pixels.shape:
        raise ModelError(f"model.prepare returned an array of shape {pixels.shape}; it must be C×H×W with C = 1 or 3.")
    if model.input_size is not None and pixels.shape[1:] != check_size(model.input_size):
        height, width = check_size(model.input_size)
        raise ModelError(
            f"model.prepare returned {pixels.shape[1]}×{pixels.shape[2]} pixels and model.input_size says "
            f"{height}×{width} (height × width); they must agree."
        )
    if not (np.isfinite(pixels).all() and pixels.min() >= -1e-5 and pixels.max() <= 1 + 1e-5):
        raise ModelError(
            f"model.prepare returned values from {pixels.min():.4g} to {pixels.max():.4g}; they must lie in [0, 1]: "
            "normalisation belongs in predict."
        )
    # Our own adapters are known to do the same each time.
    home = getattr(getattr(model.prepare, "__func__", None), "__globals__", {})
    ours = str(home.get("__name__")).partition(".")[0] == "pytest_lime"
    if not ours and not np.array_equal(pixels, np.asarray(model.prepare(image))):
        raise ModelError(
            "model.prepare returned other pixels when called again; regions cannot follow what changes: "
            "take random augmentation out of it."
        )
    known = getattr(model, "view", None)
    view: View = known(image.size) if callable(known) else View.measure(model.prepare, image.size)
    return pixels.astype(np.float32), view


def check_scores(scores: Any, count: int, labels: Sequence[str] | None, classes: int | None = None) -> torch.Tensor:
    """Return `scores` as an N×classes tensor.

    `classes` is how many there were before, in batches of the same explanation.

    Raises
    ------
    ModelError
        It is no such tensor, or has another number of rows or classes.
    """
    if not isinstance(scores, torch.Tensor):
        try:
            # Torch takes neither a reversed array nor another machine's order of bytes.
            array = np.ascontiguousarray(scores)
            scores = torch.as_tensor(array.astype(array.dtype.newbyteorder("="), copy=False))
        except (TypeError, ValueError):
            raise ModelError(f"the model returned {one_line(scores)}; it must return N×classes scores.") from None
    expected = classes if labels is None else len(labels)
    if scores.ndim != 2 or scores.shape[0] != count or scores.shape[1] < 1:
        raise ModelError(
            f"the model returned scores of shape {tuple(scores.shape)} for a batch of {count} images; "
            f"it must return {count}×{expected or 'classes'}, one row an image and one column a class."
        )
    if labels is not None and scores.shape[1] != len(labels):
        raise ModelError(
            f"the model returned {scores.shape[1]} scores an image and has {len(labels)} labels; "
            "there must be one label a class, in the order of the scores."
        )
    if classes is not None and scores.shape[1] != classes:
        raise ModelError(
            f"the model returned {scores.shape[1]} scores an image, and {classes} before; their number must not change."
        )
    if scores.is_complex():
        raise ModelError("the model returned complex scores; they must be real numbers.")
    checked: torch.Tensor = scores
    return checked


def resolution(model: Model, precision: str = "float32") -> float:
    """Return the share by which scores of `model` differ between batch sizes and machines, by its number type.

    A millionth for float32 and float64, the type's own spacing for sixteen-bit types, be they the model's own or the
    `precision` that it is run under.
    """
    dtype = getattr(model, "dtype", None)
    if precision != "float32":
        dtype = getattr(torch, precision)
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        return 1e-6
    return max(1e-6, float(torch.finfo(dtype).eps))


def normalisation(model: Model) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and std of `model`, each of shape (1,) or (channels,): it receives ``(x − mean) / std``.

    A model without them receives the pixels in [0, 1] as they are: mean 0, std 1.

    Raises
    ------
    ModelError
        They are not one or three finite numbers each, or a std is not greater than 0.
    """
    try:
        means, deviations = _per_channel("mean", getattr(model, "mean", 0.0)), _deviations(getattr(model, "std", 1.0))
    except OptionError as error:
        raise ModelError(f"{one_line(model)} has a normalisation that cannot be: {error}") from None
    mean, std = np.broadcast_arrays(np.array(means), np.array(deviations))
    return mean.copy(), std.copy()


def check_output_kind(output: Any) -> str:
    """Return `output` if it says what a classifier returns.

    Raises
    ------
    OptionError
        It does not.
    """
    return check_choice("output", output, OUTPUTS)


def check_choice(name: str, value: Any, choices: Iterable[str]) -> str:
    """Return `value`, of the argument `name`, if it is one of `choices`.

    Raises
    ------
    OptionError
        It is none.
    """
    known = tuple(choices)
    if not isinstance(value, str) or value not in known:
        raise OptionError(
            f"{name}={one_line(value)} must be one of {', '.join(map(repr, known))}{nearest(value, known)}."
        )
    return value


def check_output(scores: torch.Tensor, output: str) -> None:
    """Check that `scores` (N×classes) of a network are what `output` says.

    Raises
    ------
    ModelError
        They are not.
    """
    values = scores.detach().double()
    if not bool(values.isfinite().all()):
        return
    sums = values.sum(dim=1)
    normalised = bool((values >= -1e-3).all() & ((sums - 1).abs() < 1e-2).all())
    if output == "probabilities" and not normalised:
        raise ModelError(
            f"the network returned scores from {float(values.min()):.4g} to {float(values.max()):.4g} that sum to "
            f"{float(sums[0]):.4g}, and output='probabilities' promises probabilities that sum to 1: "
            "say output='logits', or output='scores' to explain them as they are."
        )
    if output == "logits" and scores.shape[1] == 1:
        raise ModelError(
            "the network returned one logit an image, whose softmax is always 1: say output='scores' to explain it "
            "as it is, or make it two logits, such as torch.cat([-x, x], dim=1)."
        )
    exact = bool((values >= 0).all() & ((sums - 1).abs() < 1e-4).all())
    if output == "logits" and exact:
        raise ModelError(
            "the network returned rows that sum to 1, which are probabilities already, and output='logits' would "
            "take their softmax again: say output='probabilities'."
        )


def check_normalisation(mean: Any, std: Any, channels: int | None) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return `mean` and `std` with one value a channel.

    There are `channels` of them; where that is None as many as `mean` has values, and 3
    where it is a single float.

    Raises
    ------
    OptionError
        They are not one or three finite numbers each in units of [0, 1] pixels, a std is
        not greater than 0, or they do not fit together.
    """
    means, deviations = _per_channel("mean", mean), _deviations(std)
    stated = len(means) if hasattr(mean, "__len__") else 3
    count = stated if channels is None else channels
    # True and 1.0 are equal to 1, and no number of channels.
    if isinstance(count, bool | float) or count not in (1, 3) or {len(means), len(deviations)} - {1, count}:
        raise OptionError(
            f"channels={channels!r}, mean={one_line(mean)} and std={one_line(std)} do not fit together: "
            "a network takes 1 or 3 channels, and mean and std have one value, or one a channel."
        )
    return means * (count // len(means)), deviations * (count // len(deviations))


def _deviations(std: Any) -> tuple[float, ...]:
    deviations = _per_channel("std", std)
    if any(value <= 0 for value in deviations):
        raise OptionError(f"std={one_line(std)} must be greater than 0.")
    return deviations


def _per_channel(name: str, values: Any) -> tuple[float, ...]:
    if getattr(values, "shape", ()) and hasattr(values, "reshape"):
        # An array or tensor, perhaps 1×3×1×1 as networks keep it.
        values = values.reshape(-1).tolist()
    single = hasattr(values, "__float__") and not getattr(values, "shape", ()) and not isinstance(values, str)
    channels = (values,) if single else tuple(values) if hasattr(values, "__iter__") else ()
    if len(channels) not in (1, 3) or not all(hasattr(v, "__float__") and np.isfinite(float(v)) for v in channels):
        raise OptionError(f"{name}={one_line(values)} must be one or three numbers, in units of [0, 1] pixels.")
    if any(abs(float(value)) > 1.5 for value in channels):
        raise OptionError(f"{name}={one_line(values)} must be in units of [0, 1] pixels; divide by 255.")
    return tuple(float(value) for value in channels)


def check_scale(scale: Any) -> float:
    """Return `scale`, the value of a white pixel.

    Raises
    ------
    OptionError
        It is no finite number greater than 0.
    """
    if isinstance(scale, bool) or not hasattr(scale, "__float__") or not 0 < float(scale) < float("inf"):
        raise OptionError(f"scale={one_line(scale)} must be a number greater than 0, the value of a white pixel.")
    return float(scale)


def check_size(size: Any) -> tuple[int, int]:
    """Return `size` as (height, width).

    Raises
    ------
    OptionError
        It is no pair of whole numbers of at least 1.
    """
    pair = (size, size) if hasattr(size, "__index__") and not isinstance(size, bool) else size
    try:
        height, width = (int(value.__index__()) for value in pair)
    except (TypeError, ValueError, AttributeError):
        height = width = 0
    if height < 1 or width < 1:
        raise OptionError(f"size={one_line(size)} must be (height, width), whole numbers of at least 1.")
    return height, width


def check_labels(labels: Any) -> tuple[str, ...] | None:
    """Return `labels` as a tuple of str, or None.

    Raises
    ------
    OptionError
        It is a single string, empty, or holds something that is no str.
    """
    if labels is None:
        return None
    if isinstance(labels, dict):
        keys = sorted(labels) if all(isinstance(key, int) for key in labels) else []
        if not keys or keys != list(range(len(labels))):
            raise OptionError("labels: a dictionary must map the indices 0…K−1 to names.")
        labels = [labels[key] for key in keys]
    listed = hasattr(labels, "__iter__") and hasattr(labels, "__len__") and not isinstance(labels, str)
    names = tuple(labels) if listed else ()
    if not names or not all(isinstance(name, str) for name in names):
        raise OptionError(
            f"labels={one_line(labels)} must be a list of names, one a class, in the order of the scores."
        )
    # A lone surrogate could neither be printed nor stored.
    return tuple(str(name).encode("utf-8", "replace").decode("utf-8") for name in names)
