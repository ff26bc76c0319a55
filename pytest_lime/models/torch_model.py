"""Any `torch.nn.Module` that classifies images."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from pytest_lime.errors import is_for_the_user
from pytest_lime.models.network import Network, check_network
from pytest_lime.models.preparation import Preparation, ResizeAndCrop, check_interpolation, check_resize
from pytest_lime.models.protocol import check_normalisation, check_size

__all__ = ["TorchModel"]

__tracebackhide__ = is_for_the_user


class TorchModel(Network):
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
        shape = check_size(size)
        self.resize = check_resize(resize, shape)
        means, deviations = check_normalisation(mean, std, channels)
        super().__init__(
            check_network(net, "TorchModel"),
            Preparation(ResizeAndCrop(shape, self.resize), check_interpolation(interpolation), len(means)),
            input_size=shape,
            mean=means,
            std=deviations,
            labels=labels,
            output=output,
            device=device,
        )
