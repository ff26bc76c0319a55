"""Estimators of scikit-learn, and whatever has their ``predict_proba``."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pytest_lime.errors import ModelError, OptionError, is_for_the_user, one_line
from pytest_lime.fingerprint import state_digest
from pytest_lime.images import Image, View
from pytest_lime.models.preparation import Preparation, ResizeAndCrop, check_interpolation, check_resize
from pytest_lime.models.protocol import check_labels, check_scale, check_size

__all__ = ["SklearnModel"]

__tracebackhide__ = is_for_the_user


class SklearnModel:
    """A fitted classifier of scikit-learn, a pipeline, or any object with `predict_proba`.

    Parameters
    ----------
    estimator : object
        Its `predict_proba` takes N×features and returns N×classes probabilities.
    size : (height, width) or int
        Of the images that it was trained on, in pixels.
    resize, interpolation
        As in `TorchModel`.
    channels : 1 or 3, optional
        Gray or RGB; by default what fits `n_features_in_` of the estimator, else 3.
    scale : float
        Value of a white pixel: 1, 255, or 16 for the digits of scikit-learn.
    features : callable, optional
        Takes N×H×W×C float64 images of 0…`scale` and returns N×features. Without it the
        features are the pixels themselves, in the order H×W×C (H×W where gray).
    labels : sequence of str, or dict from index to str, optional
        The classes' names in the order of the scores; by default ``estimator.classes_``.

    Raises
    ------
    OptionError
        The estimator has no `predict_proba`, is not fitted or takes another number of
        features, or an argument is not as above.
    """

    # It does not compute with torch, whose precision could be chosen for it.
    autocasts = False

    def __init__(
        self,
        estimator: Any,
        *,
        size: tuple[int, int] | int,
        resize: int | None = None,
        interpolation: str = "bilinear",
        channels: int | None = None,
        scale: float = 1.0,
        features: Callable[[NDArray[np.float64]], Any] | None = None,
        labels: Sequence[str] | dict[int, str] | None = None,
    ) -> None:
        _check_estimator(estimator)
        # True and 1.0 are equal to 1, and no number of channels.
        if isinstance(channels, bool | float) or channels not in (None, 1, 3):
            raise OptionError(f"channels={channels!r} must be 1, gray images, or 3, RGB images.")
        if features is not None and not callable(features):
            raise OptionError(f"features={one_line(features)} must be a function of N×H×W×C images, or None.")
        self.estimator = estimator
        self.features = features
        self.scale = check_scale(scale)
        shape = check_size(size)
        self.input_size: tuple[int, int] | None = shape
        self.resize = check_resize(resize, shape)
        expected = getattr(estimator, "n_features_in_", None)
        gray = shape[0] * shape[1]
        if channels is None:
            channels = 1 if features is None and expected == gray else 3
        if features is None and expected not in (None, gray * channels):
            raise OptionError(
                f"SklearnModel: {_name(estimator)} was fitted on {expected} features, and size={shape} with "
                f"{channels} channels makes {gray * channels}: say the size and the channels of the images that it was "
                "fitted on, or give features=, the function that makes its features."
            )
        self.channels = channels
        self.labels: Sequence[str] | None = check_labels(_classes(estimator) if labels is None else labels)
        # The estimator takes arrays, so nothing is gained on another device.
        self.device = "cpu"
        self._preparation = Preparation(ResizeAndCrop(shape, self.resize), check_interpolation(interpolation), channels)

    def __repr__(self) -> str:
        return f"SklearnModel({_name(self.estimator)}, size={self.input_size})"

    def prepare(self, image: Image) -> NDArray[np.float32]:
        """Return `image` resized, cropped and gray or RGB as the estimator takes it, C×H×W."""
        return self._preparation.prepare(image)

    def view(self, size: tuple[int, int]) -> View:
        """Return which part of an image of `size` (height, width) the estimator sees."""
        return self._preparation.view(size)

    def fingerprint(self) -> str | None:
        """Return a digest of the estimator and the other arguments; None where that cannot be told."""
        return state_digest(type(self), vars(self))

    def predict(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the probabilities of `batch` (N×C×H×W float in [0, 1]), N×classes, in float64.

        Raises
        ------
        ModelError
            `features` returns another number of features than the estimator was fitted on,
            or `predict_proba` something else than probabilities.
        """
        images = np.ascontiguousarray(batch.detach().cpu().permute(0, 2, 3, 1).double().numpy()) * self.scale
        rows = (
            images.reshape(len(images), -1)
            if self.features is None
            else self._checked(self.features(images), len(images))
        )
        with warnings.catch_warnings():
            # One that was fitted on a data frame wants its columns' names, which pixels do not have.
            warnings.filterwarnings("ignore", message="X does not have valid feature names")
            returned = self.estimator.predict_proba(rows)
        array = _array(returned)
        scores = torch.empty(0) if array is None else torch.as_tensor(array).double()
        if scores.ndim != 2 or len(scores) != len(images):
            raise ModelError(
                f"predict_proba of {_name(self.estimator)} returned {one_line(returned)} for {len(images)} images; it "
                "must return N×classes probabilities of one output."
            )
        sums = scores.sum(dim=1)
        if not bool((sums - 1).abs().max() < 1e-2):
            raise ModelError(
                f"predict_proba of {_name(self.estimator)} returned rows that sum to {float(sums[0]):.4g}; "
                "probabilities sum to 1: explain scores of another kind with CallableModel(…, output='scores')."
            )
        if bool((scores < -1e-3).any()):
            raise ModelError(
                f"predict_proba of {_name(self.estimator)} returned values from {float(scores.min()):.4g} to "
                f"{float(scores.max()):.4g}; probabilities lie in [0, 1]: explain scores of another kind with "
                "CallableModel(…, output='scores')."
            )
        return scores

    def _checked(self, features: Any, count: int) -> NDArray[Any]:
        rows = _array(features)
        expected = getattr(self.estimator, "n_features_in_", None)
        if rows is None:
            raise ModelError(
                f"features returned {one_line(features)} for {count} images; it must return "
                f"{count}×{expected or 'features'} real numbers."
            )
        if rows.ndim != 2 or len(rows) != count or expected not in (None, rows.shape[1]):
            raise ModelError(
                f"features returned an array of shape {rows.shape} for {count} images; it must return "
                f"{count}×{expected or 'features'}, what {_name(self.estimator)} was fitted on."
            )
        return rows


def _array(returned: Any) -> NDArray[Any] | None:
    """Return `returned` as an array, or None where it is none of real numbers."""
    try:
        array = np.asarray(returned)
    except (TypeError, ValueError, RuntimeError):  # ragged lists; tensors on a GPU or with a gradient
        return None
    return array if array.dtype.kind in "biuf" else None


def _check_estimator(estimator: Any) -> None:
    if isinstance(estimator, type):
        raise OptionError(f"SklearnModel: estimator={one_line(estimator)} is a class; pass a fitted instance of it.")
    # Whoever has an estimator of scikit-learn has imported it, and nobody else need wait for that.
    if hasattr(estimator, "fit") and hasattr(estimator, "get_params"):
        from sklearn.exceptions import NotFittedError  # noqa: PLC0415  (scikit-learn is heavy)
        from sklearn.utils.validation import check_is_fitted  # noqa: PLC0415

        try:
            check_is_fitted(estimator)
        except NotFittedError:
            raise OptionError(f"SklearnModel: {_name(estimator)} is not fitted; call its fit first.") from None
    if not callable(getattr(estimator, "predict_proba", None)):
        raise OptionError(
            f"SklearnModel: {_name(estimator)} has no predict_proba; fit a classifier that has, such as "
            "CalibratedClassifierCV(estimator) for one with decision_function only, or SVC(probability=True)."
        )


def _classes(estimator: Any) -> list[str] | None:
    classes = getattr(estimator, "classes_", None)
    # One with several outputs has a list of arrays.
    return [str(label) for label in classes] if isinstance(classes, np.ndarray) and classes.ndim == 1 else None


def _name(estimator: Any) -> str:
    # A pipeline's own repr goes over many lines.
    return type(estimator).__name__ if hasattr(estimator, "get_params") else one_line(estimator)
