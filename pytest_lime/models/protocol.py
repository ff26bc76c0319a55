"""The contract between a classifier and the explainer, and its checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from pytest_lime.errors import ModelError, OptionError, is_for_the_user, one_line
from pytest_lime.images import Image, View

__all__ = ["Model", "check_labels", "check_model", "check_scores", "check_size", "prepare"]

__tracebackhide__ = is_for_the_user


@runtime_checkable
class Model(Protocol):
    """What the explainer asks of a classifier; any object with these four will do."""

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
        elif callable(model):
            remedy = "wrap the function: CallableModel(classifier_fn, labels=…)"
        else:
            remedy = "use TorchModel, CallableModel, or an object with labels, input_size, prepare and predict"
        raise ModelError(f"{one_line(model)} is no model for pytest-lime; {remedy}.")
    checked: Model = model
    return checked


def prepare(model: Model, image: Image) -> tuple[NDArray[np.float32], View]:
    """Return what `model` sees of `image`, and which part of the image that is.

    Raises
    ------
    ModelError
        `model.prepare` returns another shape than C×H×W or values outside [0, 1], or
        does more than resize, crop and pad.
    """
    pixels = np.asarray(model.prepare(image))
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3) or 0 in pixels.shape:
        raise ModelError(f"model.prepare returned an array of shape {pixels.shape}; it must be C×H×W with C = 1 or 3.")
    if model.input_size is not None and pixels.shape[1:] != tuple(model.input_size):
        raise ModelError(
            f"model.prepare returned {pixels.shape[1]}×{pixels.shape[2]} pixels and model.input_size says "
            f"{model.input_size[0]}×{model.input_size[1]} (height × width); they must agree."
        )
    if not (np.isfinite(pixels).all() and pixels.min() >= -1e-5 and pixels.max() <= 1 + 1e-5):
        raise ModelError(
            f"model.prepare returned values from {pixels.min():.4g} to {pixels.max():.4g}; they must lie in [0, 1]: "
            "normalisation belongs in predict."
        )
    return pixels.astype(np.float32), View.measure(model.prepare, image.size)


def check_scores(scores: Any, count: int, labels: Sequence[str] | None) -> torch.Tensor:
    """Return `scores` as an N×classes tensor.

    Raises
    ------
    ModelError
        It is no such tensor, or has another number of rows or classes.
    """
    if not isinstance(scores, torch.Tensor):
        try:
            scores = torch.as_tensor(np.asarray(scores))
        except (TypeError, ValueError):
            raise ModelError(f"the model returned {one_line(scores)}; it must return N×classes scores.") from None
    classes = "classes" if labels is None else f"{len(labels)}"
    if scores.ndim != 2 or scores.shape[0] != count or scores.shape[1] < 1:
        raise ModelError(
            f"the model returned scores of shape {tuple(scores.shape)} for a batch of {count} images; "
            f"it must return {count}×{classes}, one row an image and one column a class."
        )
    if labels is not None and scores.shape[1] != len(labels):
        raise ModelError(
            f"the model returned {scores.shape[1]} scores an image and has {len(labels)} labels; "
            "there must be one label a class, in the order of the scores."
        )
    checked: torch.Tensor = scores
    return checked


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
    names = () if isinstance(labels, str) or not hasattr(labels, "__iter__") else tuple(labels)
    if not names or not all(isinstance(name, str) for name in names):
        raise OptionError(
            f"labels={one_line(labels)} must be a list of names, one a class, in the order of the scores."
        )
    return tuple(str(name) for name in names)
