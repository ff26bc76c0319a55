"""A function from images to probabilities, as the ``lime`` package takes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pytest_lime.errors import ModelError, OptionError, is_for_the_user, one_line
from pytest_lime.fingerprint import state_digest
from pytest_lime.images import Image, View, resize_pixels
from pytest_lime.models.protocol import check_labels, check_scale, check_size

__all__ = ["CallableModel"]

__tracebackhide__ = is_for_the_user

DTYPES = ("float64", "float32", "uint8")


class CallableModel:
    """A `classifier_fn` written for the ``lime`` package, unchanged.

    Parameters
    ----------
    classifier_fn : callable
        Takes an N×H×W×3 array and returns N×classes probabilities.
    labels : sequence of str, or dict from index to str, optional
        The classes' names in the order of the scores; without it they are ``"0"``, ``"1"``, ….
    size : (height, width) or int, optional
        Resize images to this first; without it the function gets the image's own size.
    scale : float
        Value of a white pixel: 1 for functions of [0, 1] arrays, 255 for those that were
        given 8-bit pixels.
    dtype : ``"float64"``, ``"float32"`` or ``"uint8"``
        Of the array that the function gets; ``"uint8"`` rounds, and needs ``scale=255``.
    output : ``"probabilities"`` or ``"scores"``
        Probabilities are checked to sum to 1; scores of any kind are explained as they are.
    fingerprint : str, optional
        A name for this version of the function, such as the digest of its weights' file, to
        be changed whenever its scores could have changed. What was sampled of the function
        is used again in later runs only where it has one, since a function can read anything.

    Raises
    ------
    OptionError
        An argument is not as above.
    """

    # It does not compute with torch, whose precision could be chosen for it.
    autocasts = False

    def __init__(
        self,
        classifier_fn: Callable[[NDArray[Any]], Any],
        *,
        labels: Sequence[str] | dict[int, str] | None = None,
        size: tuple[int, int] | int | None = None,
        scale: float = 1.0,
        dtype: str = "float64",
        output: str = "probabilities",
        fingerprint: str | None = None,
    ) -> None:
        if not callable(classifier_fn):
            raise OptionError(f"CallableModel: classifier_fn={one_line(classifier_fn)} must be a function.")
        if dtype not in DTYPES:
            raise OptionError(f"dtype={dtype!r} must be one of {', '.join(map(repr, DTYPES))}.")
        self.scale = check_scale(scale)
        if dtype == "uint8" and scale != 255:
            raise OptionError(f"dtype='uint8' holds pixels of 0…255, so scale must be 255, not {scale!r}.")
        if output not in ("probabilities", "scores"):
            raise OptionError(f"output={output!r} must be 'probabilities' or 'scores'.")
        if fingerprint is not None and not (isinstance(fingerprint, str) and fingerprint):
            raise OptionError(
                f"CallableModel: fingerprint={one_line(fingerprint)} must be a text that names this version of "
                "classifier_fn, or None."
            )
        self.classifier_fn = classifier_fn
        self._fingerprint = fingerprint
        self.labels: Sequence[str] | None = check_labels(labels)
        self.input_size: tuple[int, int] | None = None if size is None else check_size(size)
        self.dtype = dtype
        self.output = output
        # The function takes arrays, so nothing is gained on another device.
        self.device = "cpu"

    def __repr__(self) -> str:
        return f"CallableModel({getattr(self.classifier_fn, '__name__', one_line(self.classifier_fn))})"

    def prepare(self, image: Image) -> NDArray[np.float32]:
        """Return `image`, resized when the model has a size, 3×H×W."""
        pixels = image.pixels if self.input_size is None else resize_pixels(image.pixels, self.input_size)
        return np.ascontiguousarray(np.moveaxis(pixels, -1, 0))

    def view(self, size: tuple[int, int]) -> View:
        """Return which part of an image of `size` (height, width) the function sees: all of it."""
        return View(size=size, box=(0.0, 0.0, float(size[1]), float(size[0])), shape=self.input_size or size)

    def fingerprint(self) -> str | None:
        """Return a digest of the fingerprint that was given and the other arguments; None without one."""
        if self._fingerprint is None:
            return None
        # The function may be one that cannot be looked into; its name says which one it is.
        return state_digest(type(self), {name: held for name, held in vars(self).items() if name != "classifier_fn"})

    def predict(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the scores of `batch` (N×3×H×W float in [0, 1]), N×classes, in float64.

        Raises
        ------
        ModelError
            The function returns something else than N×classes probabilities.
        """
        array = batch.detach().cpu().permute(0, 2, 3, 1).numpy() * np.float32(self.scale)
        array = np.ascontiguousarray(array.round() if self.dtype == "uint8" else array).astype(self.dtype)
        returned = self.classifier_fn(array)
        try:
            scores = (
                returned.detach().cpu() if isinstance(returned, torch.Tensor) else torch.as_tensor(np.asarray(returned))
            )
            scores = scores.double()
        except (TypeError, ValueError):
            raise ModelError(
                f"classifier_fn returned {one_line(returned)}; it must return an N×classes array of numbers."
            ) from None
        if self.output == "probabilities" and scores.ndim == 2 and bool(scores.isfinite().all()):
            sums = scores.sum(dim=1)
            if bool((scores < -1e-3).any()) or bool(((sums - 1).abs() > 1e-2).any()):
                raise ModelError(
                    f"classifier_fn returned scores from {float(scores.min()):.4g} to {float(scores.max()):.4g} that "
                    f"sum to {float(sums[0]):.4g}; it must return probabilities that sum to 1: apply a softmax, or say "
                    "output='scores' to explain them as they are."
                )
        return scores
