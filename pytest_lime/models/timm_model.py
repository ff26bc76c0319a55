"""Networks of ``timm``, which carry their own data configuration."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from pytest_lime.errors import OptionError, is_for_the_user, nearest, one_line
from pytest_lime.extras import require
from pytest_lime.models.network import Network, check_network
from pytest_lime.models.preparation import Placement, Preparation, check_interpolation, shorter_side
from pytest_lime.models.protocol import check_normalisation, check_size

__all__ = ["TimmModel"]

__tracebackhide__ = is_for_the_user

CROP_MODES = ("center", "squash", "border")
CONFIG = ("input_size", "interpolation", "mean", "std", "crop_pct", "crop_mode")


class TimmModel(Network):
    """A network of ``timm``, prepared for as ``timm`` itself evaluates it.

    Size, crop, filter, mean and deviation are those of its data configuration
    (``timm.data.resolve_model_data_config``). Needs ``pip install 'pytest-lime[timm]'``.

    Parameters
    ----------
    net : torch.nn.Module or str
        A network of ``timm.create_model``, or the name of one, which is then made with its
        pretrained weights. It is put into evaluation mode.
    labels : sequence of str, or dict from index to str, optional
        The classes' names in the order of the scores; without it they are ``"0"``, ``"1"``, ….
    output : ``"logits"``, ``"probabilities"`` or ``"scores"``
        What the network returns, as in `TorchModel`.
    config : dict, optional
        What replaces values of the data configuration: ``input_size`` (channels, height,
        width), ``interpolation``, ``mean``, ``std`` (in units of [0, 1] pixels),
        ``crop_pct``, ``crop_mode`` (``"center"``, ``"squash"`` or ``"border"``).
    device : str or torch.device
        As in `TorchModel`.

    Attributes
    ----------
    config : dict
        The data configuration in use.

    Raises
    ------
    OptionError
        ``timm`` is not installed, or an argument is not as above.
    """

    def __init__(
        self,
        net: torch.nn.Module | str,
        *,
        labels: Sequence[str] | dict[int, str] | None = None,
        output: str = "logits",
        config: Mapping[str, Any] | None = None,
        device: str | torch.device = "auto",
    ) -> None:
        timm = require("timm", extra="timm", needed_for="TimmModel")
        if isinstance(net, str):
            if not timm.is_model(net):
                raise OptionError(
                    f"TimmModel: net={net!r} is no model of timm{nearest(net, timm.list_models())}; "
                    "timm.list_models() lists them."
                )
            net = timm.create_model(net, pretrained=True)
        checked = check_network(net, "TimmModel")
        self.config = _check_config(timm.data.resolve_model_data_config(checked), checked, config or {})
        channels, height, width = self.config["input_size"]
        mean, std = check_normalisation(self.config["mean"], self.config["std"], channels)
        # As timm pads 8-bit images.
        fill = tuple(round(255 * value) / 255 for value in mean) if self.config["crop_mode"] == "border" else (0.0,)
        super().__init__(
            checked,
            Preparation(
                _EvaluationTransform((height, width), self.config["crop_pct"], self.config["crop_mode"]),
                check_interpolation(self.config["interpolation"]),
                channels,
                fill,
            ),
            input_size=(height, width),
            mean=mean,
            std=std,
            labels=labels,
            output=output,
            device=device,
        )


@dataclasses.dataclass(frozen=True)
class _EvaluationTransform:
    """The placement of ``timm.data.create_transform(is_training=False)``.

    Source: `transforms_imagenet_eval` and `ResizeKeepRatio` of timm 1.0.
    """

    size: tuple[int, int]
    crop_pct: float
    crop_mode: str

    def __call__(self, size: tuple[int, int]) -> Placement:
        height, width = (math.floor(side / self.crop_pct) for side in self.size)
        if self.crop_mode == "squash":
            resized = (height, width)
        elif self.crop_mode == "border":
            resized = _scaled(size, max(size[0] / height, size[1] / width))
        elif height == width:
            resized = shorter_side(size, height)
        else:
            resized = _scaled(size, min(size[0] / height, size[1] / width))
        offset = _centre(resized[0] - self.size[0]), _centre(resized[1] - self.size[1])
        return Placement(resized, offset, self.size)


def _scaled(size: tuple[int, int], ratio: float) -> tuple[int, int]:
    return max(1, round(size[0] / ratio)), max(1, round(size[1] / ratio))


def _centre(margin: int) -> int:
    # A crop rounds to the nearest pixel; of an odd padding, the larger half comes after the image.
    return round(margin / 2) if margin > 0 else -(-margin // 2)


def _check_config(own: Mapping[str, Any], net: torch.nn.Module, given: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise OptionError(f"TimmModel: config={one_line(given)} must be a dictionary with {', '.join(CONFIG)}.")
    for key in given:
        if key not in CONFIG:
            raise OptionError(
                f"TimmModel: config has {key!r}, and its keys are {', '.join(CONFIG)}{nearest(key, CONFIG)}."
            )
    if not getattr(net, "pretrained_cfg", None) and set(CONFIG) - set(given):
        raise OptionError(
            f"TimmModel: {type(net).__name__} has no data configuration, as networks of timm.create_model have: "
            f"pass config with all of {', '.join(CONFIG)}, or use TorchModel."
        )
    config = {**own, **given}
    size, crop_pct, crop_mode = config["input_size"], config["crop_pct"], config["crop_mode"]
    if not isinstance(size, Sequence) or len(size) != 3 or size[0] not in (1, 3):
        raise OptionError(
            f"TimmModel: config has input_size={one_line(size)}; it must be (channels, height, width) with 1 or 3 "
            "channels."
        )
    number = isinstance(crop_pct, float | int) and not isinstance(crop_pct, bool)
    if not number or not 0 < crop_pct < math.inf:
        raise OptionError(f"TimmModel: config has crop_pct={one_line(crop_pct)}; it must be a number greater than 0.")
    if crop_mode not in CROP_MODES:
        raise OptionError(
            f"TimmModel: config has crop_mode={crop_mode!r}; it must be one of {', '.join(map(repr, CROP_MODES))}"
            f"{nearest(crop_mode, CROP_MODES)}."
        )
    return {**config, "input_size": (int(size[0]), *check_size(size[1:]))}
