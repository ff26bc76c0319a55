"""Any `torch.nn.Module` that classifies images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pytest_lime.errors import ModelError, OptionError, is_for_the_user, nearest, one_line
from pytest_lime.images import RESAMPLING, Image, View, resize_pixels
from pytest_lime.models.protocol import check_labels, check_size
from pytest_lime.options import LimeOptions

__all__ = ["TorchModel"]

__tracebackhide__ = is_for_the_user

OUTPUTS = ("logits", "probabilities", "scores")


class TorchModel:
    """A `torch.nn.Module` together with what turns an image file into its input.

    Parameters
    ----------
    net : torch.nn.Module
        Takes N×C×H×W float tensors and returns N×classes. It is put into evaluation mode.
    size : (height, width) or int
        Of the network's input, in pixels.
    resize : int, optional
        Resize the shorter side to this many pixels and cut `size` from the centre, as
        torchvision's ``Resize`` and ``CenterCrop`` do. Without it the whole image is
        squeezed to `size`, and nothing is cut away.
    interpolation : ``"bilinear"``, ``"bicubic"``, ``"nearest"``, ``"box"`` or ``"lanczos"``
        Of the resize, antialiased.
    mean, std : sequence of one or three floats, or a float
        Normalisation, in units of [0, 1] pixels: the network gets ``(x − mean) / std``.
        A sequence of one value means a network for gray images.
    channels : 1 or 3, optional
        Of the network's input; by default as many as `mean` has values, else 3.
    labels : sequence of str, or dict from index to str, optional
        The classes' names in the order of the scores; without it they are ``"0"``, ``"1"``, ….
    output : ``"logits"``, ``"probabilities"`` or ``"scores"``
        What the network returns: logits (a softmax turns them into probabilities),
        probabilities (checked to sum to 1), or scores of any kind, explained as they are.
    device : str or torch.device
        Where it runs; ``"auto"`` is the first accelerator, else the CPU. The option
        `device` of a check, where given, is stronger.

    Raises
    ------
    OptionError
        An argument is not as above.
    """

    def __init__(
        self,
        net: torch.nn.Module,
        *,
        size: tuple[int, int] | int,
        resize: int | None = None,
        interpolation: str = "bilinear",
        mean: Sequence[float] | float = 0.0,
        std: Sequence[float] | float = 1.0,
        channels: int | None = None,
        labels: Sequence[str] | dict[int, str] | None = None,
        output: str = "logits",
        device: str | torch.device = "auto",
    ) -> None:
        if not isinstance(net, torch.nn.Module):
            raise OptionError(
                f"TorchModel: net={one_line(net)} must be a torch.nn.Module; wrap functions with CallableModel."
            )
        if output not in OUTPUTS:
            raise OptionError(
                f"output={output!r} must be one of {', '.join(map(repr, OUTPUTS))}{nearest(output, OUTPUTS)}."
            )
        if interpolation not in RESAMPLING:
            raise OptionError(
                f"interpolation={interpolation!r} must be one of {', '.join(map(repr, RESAMPLING))}"
                f"{nearest(interpolation, RESAMPLING)}."
            )
        self.net = net.eval()
        self.input_size: tuple[int, int] | None = check_size(size)
        self.labels: Sequence[str] | None = check_labels(labels)
        self.output = output
        self.interpolation = interpolation
        self.resize = _check_resize(resize, self.input_size)
        means, deviations = _per_channel("mean", mean), _per_channel("std", std)
        if any(value <= 0 for value in deviations):
            raise OptionError(f"std={one_line(std)} must be greater than 0.")
        stated = len(means) if hasattr(mean, "__len__") else 3
        self.channels = stated if channels is None else channels
        if self.channels not in (1, 3) or {len(means), len(deviations)} - {1, self.channels}:
            raise OptionError(
                f"channels={channels!r}, mean={one_line(mean)} and std={one_line(std)} do not fit together: "
                "a network takes 1 or 3 channels, and mean and std have one value, or one a channel."
            )
        self._device = LimeOptions(device=str(device)).device
        self._mean = torch.tensor(means, dtype=torch.float32).reshape(1, -1, 1, 1)
        self._std = torch.tensor(deviations, dtype=torch.float32).reshape(1, -1, 1, 1)
        self._checked = False

    def __repr__(self) -> str:
        height, width = self.input_size or (0, 0)
        return f"TorchModel({type(self.net).__name__}, size=({height}, {width}))"

    def prepare(self, image: Image) -> NDArray[np.float32]:
        """Return `image` resized, cropped and with the network's number of channels, C×H×W."""
        pixels = image.pixels
        if self.channels == 1:
            pixels = _gray(pixels)
        height, width = self.input_size or image.size
        if self.resize is not None:
            scaled, (top, left) = self._scaled(image.size)
            pixels = resize_pixels(pixels, scaled, interpolation=self.interpolation)
            pixels = pixels[top : top + height, left : left + width]
        else:
            pixels = resize_pixels(pixels, (height, width), interpolation=self.interpolation)
        return np.ascontiguousarray(np.moveaxis(pixels, -1, 0))

    def view(self, size: tuple[int, int]) -> View:
        """Return which part of an image of `size` (height, width) the network sees."""
        shape = self.input_size or size
        if self.resize is None:
            return View(size=size, box=(0.0, 0.0, float(size[1]), float(size[0])), shape=shape)
        scaled, (top, left) = self._scaled(size)
        down, across = size[0] / scaled[0], size[1] / scaled[1]
        box = (left * across, top * down, (left + shape[1]) * across, (top + shape[0]) * down)
        return View(size=size, box=box, shape=shape)

    def _scaled(self, size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return height and width after the resize, and top and left of the crop."""
        resize, (height, width) = self.resize or 1, self.input_size or size
        rows, columns = (max(resize, int(side * resize / min(size))) for side in size)
        return (rows, columns), (round((rows - height) / 2), round((columns - width) / 2))

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the network's parameters."""
        return next((p.dtype for p in self.net.parameters() if p.dtype.is_floating_point), torch.float32)

    @property
    def device(self) -> str:
        """Where the network runs: as given, or where it was put before, or ``"auto"``."""
        there = self._parameter_device()
        return self._device if self._device != "auto" or there.type == "cpu" else str(there)

    def _parameter_device(self) -> torch.device:
        return next((parameter.device for parameter in self.net.parameters()), self._mean.device)

    def to(self, device: torch.device) -> None:
        """Move the network, and what normalises its input, to `device`, ready to be evaluated."""
        self.net.eval().to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in the stubs
        self._mean, self._std = self._mean.to(device), self._std.to(device)

    def predict(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the scores of `batch` (N×C×H×W float in [0, 1]), N×classes.

        Raises
        ------
        ModelError
            The network returns something else than `output` says.
        """
        if {self._mean.device, self._parameter_device()} != {batch.device} or self.net.training:
            self.to(batch.device)
        scores = self.net(((batch - self._mean) / self._std).to(self.dtype))
        if not isinstance(scores, torch.Tensor):
            scores = getattr(scores, "logits", scores)
        if not isinstance(scores, torch.Tensor) or scores.ndim != 2:
            shape = tuple(scores.shape) if isinstance(scores, torch.Tensor) else type(scores).__name__
            raise ModelError(
                f"the network returned {shape} for a batch of {len(batch)}; it must return N×classes scores."
            )
        if not self._checked:
            self._check_output(scores)
            self._checked = True
        return scores.softmax(dim=1, dtype=torch.float32) if self.output == "logits" else scores

    def _check_output(self, scores: torch.Tensor) -> None:
        # Once a model, since reading the answer waits for the device.
        values = scores.detach().double()
        if not bool(values.isfinite().all()):
            return
        sums = values.sum(dim=1)
        normalised = bool((values >= -1e-3).all() & ((sums - 1).abs() < 1e-2).all())
        if self.output == "probabilities" and not normalised:
            raise ModelError(
                f"the network returned scores from {float(values.min()):.4g} to {float(values.max()):.4g} that sum to "
                f"{float(sums[0]):.4g}, and output='probabilities' promises probabilities that sum to 1: "
                "say output='logits', or output='scores' to explain them as they are."
            )
        if self.output == "logits" and scores.shape[1] == 1:
            raise ModelError(
                "the network returned one logit an image, whose softmax is always 1: say output='scores' to explain it "
                "as it is, or make it two logits, such as torch.cat([-x, x], dim=1)."
            )
        exact = bool((values >= 0).all() & ((sums - 1).abs() < 1e-4).all())
        if self.output == "logits" and exact:
            raise ModelError(
                "the network returned rows that sum to 1, which are probabilities already, and output='logits' would "
                "take their softmax again: say output='probabilities'."
            )


def _check_resize(resize: Any, size: tuple[int, int] | None) -> int | None:
    if resize is None or size is None:
        return None
    if isinstance(resize, bool) or not hasattr(resize, "__index__") or resize < max(size):
        raise OptionError(
            f"resize={one_line(resize)} must be a whole number of at least {max(size)}: size={size} is cut out of it."
        )
    return int(resize.__index__())


def _per_channel(name: str, values: Any) -> tuple[float, ...]:
    single = hasattr(values, "__float__") and not getattr(values, "shape", ()) and not isinstance(values, str)
    channels = (values,) if single else tuple(values) if hasattr(values, "__iter__") else ()
    if len(channels) not in (1, 3) or not all(hasattr(v, "__float__") and np.isfinite(float(v)) for v in channels):
        raise OptionError(f"{name}={one_line(values)} must be one or three numbers, in units of [0, 1] pixels.")
    if any(abs(float(value)) > 1.5 for value in channels):
        raise OptionError(f"{name}={one_line(values)} must be in units of [0, 1] pixels; divide by 255.")
    return tuple(float(value) for value in channels)


def _gray(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    # Gray images come as three equal channels; their luminance must not be off by rounding.
    if (pixels == pixels[:, :, :1]).all():
        return pixels[:, :, :1]
    return np.asarray(pixels @ np.array([[0.299], [0.587], [0.114]], dtype=np.float32))
