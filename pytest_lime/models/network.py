"""What all adapters of torch networks share: device, precision, normalisation and output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pytest_lime.allocator import out_of_memory
from pytest_lime.errors import ModelError, OptionError, is_for_the_user, one_line
from pytest_lime.fingerprint import state_digest
from pytest_lime.fusion import PACKED_FROM, FusedNetwork, fusible
from pytest_lime.images import Image, View
from pytest_lime.models.preparation import Preparation
from pytest_lime.models.protocol import check_labels, check_output, check_output_kind
from pytest_lime.options import LimeOptions

__all__ = ["Network", "check_network"]

__tracebackhide__ = is_for_the_user


class Network:
    """A `torch.nn.Module` and how images are prepared for it; the base of its adapters.

    Attributes
    ----------
    net : torch.nn.Module
        In evaluation mode.
    input_size : (height, width) or None
        Of what the network sees; None where it differs from image to image.
    channels : 1 or 3
    mean, std : tuple of floats, one a channel
        The network receives ``(x − mean) / std`` of pixels in [0, 1].
    labels : tuple of str or None
    output : str
        What the network returns, as in `TorchModel`.
    """

    _fused: FusedNetwork | None = None

    def __init__(
        self,
        net: torch.nn.Module,
        preparation: Preparation,
        *,
        input_size: tuple[int, int] | None,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        labels: Sequence[str] | dict[int, str] | None,
        output: str,
        device: str | torch.device,
    ) -> None:
        self.output = check_output_kind(output)
        self.net = net.eval()
        self.input_size: tuple[int, int] | None = input_size
        self.labels: Sequence[str] | None = check_labels(labels)
        self.mean, self.std = mean, std
        self._preparation = preparation
        self._device = LimeOptions(device=str(device)).device
        self._mean = torch.tensor(self.mean, dtype=torch.float32).reshape(1, -1, 1, 1)
        self._std = torch.tensor(self.std, dtype=torch.float32).reshape(1, -1, 1, 1)
        self._checked = False
        self._layout: torch.memory_format | None = None

    def __repr__(self) -> str:
        size = "" if self.input_size is None else f", size={self.input_size}"
        return f"{type(self).__name__}({type(self.net).__name__}{size})"

    def prepare(self, image: Image) -> NDArray[np.float32]:
        """Return `image` resized, cropped and with the network's number of channels, C×H×W."""
        return self._preparation.prepare(image)

    def view(self, size: tuple[int, int]) -> View:
        """Return which part of an image of `size` (height, width) the network sees."""
        return self._preparation.view(size)

    @property
    def channels(self) -> int:
        """How many channels the network's input has."""
        return self._preparation.channels

    @property
    def interpolation(self) -> str:
        """The filter of the resize."""
        return self._preparation.interpolation

    def fingerprint(self) -> str | None:
        """Return a digest of the network and of what is done before and after it; None where that cannot be told."""
        # Where the network is, and what was found out about it, do not count.
        volatile = ("_checked", "_device", "_fused", "_layout")
        state = {name: value for name, value in vars(self).items() if name not in volatile}
        return state_digest(type(self), state, evaluated=self.net)

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
        # Weights that are made anew in inference mode could not be differentiated through later.
        with torch.inference_mode(False):
            self.net.eval().to(device)
            self._mean, self._std = self._mean.to(device), self._std.to(device)

    def arrange(self, layout: torch.memory_format) -> None:
        """Keep the weights in the order that suits batches of `layout`."""
        if layout is not self._layout:
            with torch.inference_mode(False):
                self.net.to(memory_format=layout)  # type: ignore[call-overload]  # not in the stubs
            self._layout = layout

    def normalise(self, batch: torch.Tensor) -> torch.Tensor:
        """Return what the network receives of `batch` (N×C×H×W float in [0, 1]), in the network's type."""
        mean, std = self._mean.to(batch.device), self._std.to(batch.device)
        return ((batch - mean) / std).to(self.dtype)

    def logits(self, batch: torch.Tensor) -> torch.Tensor:
        """Return what the network itself returns for `batch`, N×classes, before any softmax.

        It can be differentiated, with respect to `batch` and to the weights.

        Parameters
        ----------
        batch : N×C×H×W float tensor in [0, 1]

        Raises
        ------
        ModelError
            The network returns something else than N×classes.
        """
        self._follow(batch)
        return self._scores(self.normalise(batch))

    def predict(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the scores of `batch` (N×C×H×W float in [0, 1]), N×classes.

        Raises
        ------
        ModelError
            The network returns something else than `output` says.
        """
        return self._finished(self.logits(batch))

    def classify(self, received: torch.Tensor, *, through: FusedNetwork | None = None) -> torch.Tensor:
        """Return the scores of a batch that is normalised already, as `normalise` returns it.

        Parameters
        ----------
        received : N×C×H×W float tensor
        through : FusedNetwork, optional
            Runs in place of the network that it was made of.

        Raises
        ------
        ModelError
            As for `predict`.
        """
        self._follow(received)
        return self._finished(self._scores(received, through))

    def fuse(self, received: torch.Tensor) -> tuple[FusedNetwork, torch.Tensor] | None:
        """Return the network fused, as it is now, and its scores of a batch.

        None where it cannot be fused, raises, or scores the first or the last picture otherwise than the network
        itself. These two passes come on top, and those that fill up a batch of less than `PACKED_FROM` pictures.

        Parameters
        ----------
        received : N×C×H×W float tensor
            As `classify` takes it.

        Raises
        ------
        RuntimeError or MemoryError
            There is not enough memory for a batch that was not filled up.
        """
        self._follow(received)
        known, self._fused = self._fused, None
        if not self.fusible:
            return None
        try:
            if known is None or not known.is_of(self.net, closely=True):
                known = FusedNetwork(self.net)
            count, ends = len(received), slice(None, None, max(1, len(received) - 1))
            # As batches are on which it runs, and which it does not write to.
            filled = received if count >= PACKED_FROM else torch.cat([received] * PACKED_FROM)[:PACKED_FROM]
            scores = self._scores(filled.contiguous(memory_format=torch.channels_last), known)[:count]
            # The network itself may write to its input. It comes last, so that whatever it notes down of a pass is of
            # a pass of its own.
            if known.agrees(self._scores(received[ends].clone()), scores[ends]):
                found = known, self._finished(scores)
                self._fused = known
                return found
        # The user's code, which may do anything on a stand-in for a batch; it is told where the network runs by itself.
        except Exception as error:
            if out_of_memory(error) and len(received) >= PACKED_FROM:
                raise
        return None

    def __getstate__(self) -> dict[str, Any]:
        # A copy is of another network, and makes its own.
        return {name: value for name, value in vars(self).items() if name != "_fused"}

    @property
    def fusible(self) -> bool:
        """Whether it is worth trying to fuse the network."""
        # Who overrides `classify` means to be asked through it.
        own = type(self).classify is Network.classify and "classify" not in vars(self)
        return own and fusible(self.net)

    def _finished(self, scores: torch.Tensor) -> torch.Tensor:
        if not self._checked:
            # Once a model, since reading the answer waits for the device.
            check_output(scores, self.output)
            self._checked = True
        return scores.softmax(dim=1, dtype=torch.float32) if self.output == "logits" else scores

    def _follow(self, batch: torch.Tensor) -> None:
        """Move to where `batch` is, should the user have moved or trained the network."""
        if {self._mean.device, self._parameter_device()} != {batch.device} or self.net.training:
            self.to(batch.device)

    def _scores(self, received: torch.Tensor, through: FusedNetwork | None = None) -> torch.Tensor:
        scores = (through or self.net)(received)
        if not isinstance(scores, torch.Tensor):
            scores = getattr(scores, "logits", scores)
        if not isinstance(scores, torch.Tensor) or scores.ndim != 2:
            shape = tuple(scores.shape) if isinstance(scores, torch.Tensor) else type(scores).__name__
            raise ModelError(
                f"the network returned {shape} for a batch of {len(received)}; it must return N×classes scores."
            )
        return scores


def check_network(net: Any, adapter: str) -> torch.nn.Module:
    """Return `net` if it is a network.

    Raises
    ------
    OptionError
        It is none.
    """
    if not isinstance(net, torch.nn.Module):
        raise OptionError(
            f"{adapter}: net={one_line(net)} must be a torch.nn.Module; wrap functions with CallableModel."
        )
    return net
