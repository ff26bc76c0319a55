"""Image classifiers of ``transformers``, with their processor."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PILImage

from pytest_lime.errors import ModelError, OptionError, is_for_the_user, one_line
from pytest_lime.extras import require
from pytest_lime.images import RESAMPLING, load_image
from pytest_lime.models.network import Network, check_network
from pytest_lime.models.preparation import Placement, Preparation, shorter_side
from pytest_lime.models.protocol import check_normalisation

__all__ = ["HuggingFaceModel"]

__tracebackhide__ = is_for_the_user

# Below this size the processor of ConvNeXT and ResNet crops; from it on it squeezes.
SQUEEZED_FROM = 384
# How far, in 8-bit levels, a processor's pixels may be off from ours on the test pictures. Its
# rounding accounts for 1.1, whatever the filter; a crop that is off by one pixel, for ten at 224².
LEVELS = 3.0
# Of the test pictures. At odd sizes no filter meets a tie, which libraries break differently.
SIZES = ((127, 161), (161, 127))


class HuggingFaceModel(Network):
    """An image classifier of ``transformers``, prepared for as its processor does.

    The processor's resize and crop become `prepare`; its colours (rescaling, normalisation,
    order of the channels) are measured and become part of the network. A test picture that
    goes both ways makes sure that the network gets what the processor would give it.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        With a head for image classification. It is put into evaluation mode.
    processor : transformers.BaseImageProcessor
        Its image processor, or a processor that holds one.
    labels : sequence of str, or dict from index to str, optional
        The classes' names in the order of the scores; by default ``model.config.id2label``.
    output : ``"logits"``, ``"probabilities"`` or ``"scores"``
        What the network returns, as in `TorchModel`.
    device : str or torch.device
        As in `TorchModel`.

    Raises
    ------
    OptionError
        An argument is not as above, or the processor does more than resize, crop and
        normalise.
    ModelError
        The network fails on a picture that is prepared as the processor does.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        processor: Any,
        *,
        labels: Sequence[str] | dict[int, str] | None = None,
        output: str = "logits",
        device: str | torch.device = "auto",
    ) -> None:
        net = check_network(model, "HuggingFaceModel")
        processor = getattr(processor, "image_processor", processor)
        if not callable(processor) or isinstance(processor, type):
            raise OptionError(
                f"HuggingFaceModel: processor={one_line(processor)} must be an image processor, such as "
                "transformers.AutoImageProcessor.from_pretrained(…)."
            )
        config = getattr(net, "config", None)
        channels = getattr(config, "num_channels", 3)
        if channels not in (1, 3):
            raise OptionError(
                f"HuggingFaceModel: the network takes {one_line(channels)} channels; it must take 1 or 3: gray or RGB."
            )
        place = _place(processor)
        preparation = Preparation(place, _interpolation(processor), channels)
        _check_fields(processor)
        mean, std, self._reversed = _colours(processor, channels)
        super().__init__(
            net,
            preparation,
            input_size=place.fixed,
            mean=mean,
            std=std,
            labels=labels if labels is not None else getattr(config, "id2label", None),
            output=output,
            device=device,
        )
        self._check_against(processor)
        if place.fixed is not None:
            self._try(processor)

    @classmethod
    def from_pretrained(cls, name: str | os.PathLike[str], **options: Any) -> HuggingFaceModel:
        """Load model and processor from a folder, or by their name from the hub.

        Needs ``pip install 'pytest-lime[huggingface]'``.

        Parameters
        ----------
        name : path or str
            As ``transformers`` takes it.
        **options
            Those of `HuggingFaceModel`.

        Raises
        ------
        OptionError
            ``transformers`` is not installed, or cannot load the model or the processor.
        """
        if not isinstance(name, str | os.PathLike):
            raise OptionError(
                f"HuggingFaceModel.from_pretrained: name={one_line(name)} must be a folder, or a name on the hub."
            )
        transformers = require("transformers", extra="huggingface", needed_for="HuggingFaceModel.from_pretrained")
        try:
            model = transformers.AutoModelForImageClassification.from_pretrained(name)
            processor = transformers.AutoImageProcessor.from_pretrained(name)
        # It imports the parts that a model needs only now, whose errors come wrapped.
        except (ImportError, RuntimeError) as error:
            reason = " ".join(f"{error} {error.__cause__ or ''}".split()).rstrip(".")
            raise OptionError(
                f"HuggingFaceModel: transformers cannot import what {str(name)!r} needs ({reason}): "
                "pip install --upgrade 'pytest-lime[huggingface]'."
            ) from error
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split()).rstrip(".")
            raise OptionError(
                f"HuggingFaceModel: {str(name)!r} cannot be loaded ({reason}); give a folder that holds an image "
                "classifier and its processor, both written by save_pretrained."
            ) from error
        return cls(model, processor, **options)

    def normalise(self, batch: torch.Tensor) -> torch.Tensor:
        """Return what the network receives of `batch` (N×C×H×W float in [0, 1]), in the network's type."""
        normalised = super().normalise(batch)
        return normalised.flip(1) if self._reversed else normalised

    def _check_against(self, processor: Any) -> None:
        """Make sure that the network gets of a test picture what `processor` would give it."""
        for size in SIZES:
            picture = _waves(size)[:, :, : self.channels]
            prepared = torch.from_numpy(self._preparation.prepare(load_image(picture)))[None]
            # On a device of its own the network may stay where it is.
            ours = self.normalise(prepared.to(self._mean.device))[0].float().numpy()
            theirs = _processed(processor, picture)
            if ours.shape != theirs.shape:
                raise OptionError(
                    f"{_does_more(processor)}: of an image of {size[0]}×{size[1]} it makes {_sides(theirs)}, and a "
                    f"resize and crop makes {_sides(ours)}; {REMEDY}."
                )
            scale = np.asarray(self.std[::-1] if self._reversed else self.std)[:, None, None]
            levels = float(np.abs((ours - theirs) * scale).max()) * 255
            if levels > LEVELS:
                raise OptionError(
                    f"{_does_more(processor)}: its pixels are off from that by up to {levels:.0f} of 255; {REMEDY}."
                )

    def _try(self, processor: Any) -> None:
        """Let the network see one prepared picture, where it is."""
        prepared = torch.from_numpy(self.prepare(load_image(_waves(SIZES[0])[:, :, : self.channels])))[None]
        try:
            # Not in inference mode: what a network keeps from it could not be differentiated through later.
            with torch.no_grad():
                self.net(self.normalise(prepared.to(self._parameter_device())))
        except Exception as error:
            network = type(self.net).__name__
            own = getattr(getattr(self.net, "config", None), "image_size", None)
            made = "×".join(map(str, prepared.shape[2:]))
            raise ModelError(
                f"HuggingFaceModel: {network} fails on what {type(processor).__name__} makes, {made} pixels (height × "
                f"width){'' if own is None else f', and is a network of image_size={one_line(own)}'} "
                f"({type(error).__name__}: {' '.join(str(error).split()).rstrip('.')}); use the processor that was "
                "saved with the model, or set its size to the network's."
            ) from error


REMEDY = (
    "say what it does yourself with TorchModel(model, size=…, resize=…, mean=…, std=…), or wrap it and the model in "
    "one function with CallableModel"
)


@dataclasses.dataclass(frozen=True)
class _ProcessorPlacement:
    """The placement of an image processor.

    Attributes
    ----------
    resize : (height, width), int or None
        Of the whole image, or its shorter side; None leaves it.
    crop : (height, width) or None
        What is cut out of the centre, or padded to.
    down : bool
        Whether half a pixel of padding is rounded away from the image.
    """

    resize: tuple[int, int] | int | None
    crop: tuple[int, int] | None
    down: bool

    @property
    def fixed(self) -> tuple[int, int] | None:
        """The size of what the network sees, where all images have the same."""
        return self.crop or (self.resize if isinstance(self.resize, tuple) else None)

    def __call__(self, size: tuple[int, int]) -> Placement:
        if isinstance(self.resize, int):
            size = shorter_side(size, self.resize)
        elif self.resize is not None:
            size = self.resize
        shape = self.crop or size
        whole = math.floor if self.down else int
        return Placement(size, (whole((size[0] - shape[0]) / 2), whole((size[1] - shape[1]) / 2)), shape)


def _place(processor: Any) -> _ProcessorPlacement:
    """Read the placement from the fields of `processor`."""
    resize: tuple[int, int] | int | None = None
    crop = _pair(processor, "crop_size") if getattr(processor, "do_center_crop", None) else None
    if getattr(processor, "do_resize", None):
        resize = _pair(processor, "size")
        crop_pct = getattr(processor, "crop_pct", None)
        if crop_pct and isinstance(resize, int):
            if crop is None and resize >= SQUEEZED_FROM:
                resize = (resize, resize)
            else:
                # ConvNeXT and ResNet cut out of it what PoolFormer cuts out by `crop_size`.
                crop = crop or (resize, resize)
                resize = int(resize / crop_pct)
    if isinstance(crop, int):
        crop = (crop, crop)
    return _ProcessorPlacement(resize, crop, getattr(processor, "backend", "pil") == "pil")


def _pair(processor: Any, name: str) -> tuple[int, int] | int:
    """Return a size of `processor`: height and width, or the shorter side."""
    value = getattr(processor, name, None)
    # A dictionary up to transformers 4, and an object of that kind since.
    fields = {key: side for key, side in dict(value or {}).items() if side}
    if set(fields) == {"height", "width"}:
        return int(fields["height"]), int(fields["width"])
    if set(fields) == {"shortest_edge"}:
        return int(fields["shortest_edge"])
    raise OptionError(
        f"HuggingFaceModel: {type(processor).__name__} has {name}={one_line(fields)}; it must have height and width, "
        f"or shortest_edge: {REMEDY}."
    )


def _interpolation(processor: Any) -> str:
    resample = getattr(processor, "resample", None)
    number = PILImage.Resampling.BILINEAR if resample is None else resample
    for name, known in RESAMPLING.items():
        if number == known:
            return name
    raise OptionError(
        f"HuggingFaceModel: {type(processor).__name__} has resample={resample!r}; it must be one of "
        f"{', '.join(f'{int(known)} ({name})' for name, known in RESAMPLING.items())}: {REMEDY}."
    )


def _check_fields(processor: Any) -> None:
    """Check the normalisation that `processor` states, before it divides by it."""
    if not getattr(processor, "do_normalize", None):
        return
    for name, rule in (("image_mean", "finite"), ("image_std", "finite and greater than 0")):
        value = getattr(processor, name, None)
        try:
            numbers = np.asarray(0.5 if value is None else value, dtype=np.float64)
        except (TypeError, ValueError):
            numbers = np.asarray(np.nan)
        if not np.isfinite(numbers).all() or (name == "image_std" and (numbers <= 0).any()):
            raise OptionError(
                f"HuggingFaceModel: {type(processor).__name__} has {name}={one_line(value)}; it must be {rule}."
            )


def _colours(processor: Any, channels: int) -> tuple[tuple[float, ...], tuple[float, ...], bool]:
    """Return mean and std for pixels in [0, 1], red first, and whether the network wants blue first.

    They are measured, since the fields that say so differ from processor to processor
    (`rescale_offset`, `include_top`, `do_flip_channel_order`, …).
    """

    def seen(colour: tuple[int, ...]) -> NDArray[np.float64]:
        picture = np.empty((64, 64, channels), dtype=np.uint8)
        picture[:] = colour[:channels]
        pixels = _processed(processor, picture).astype(np.float64)
        if pixels.ndim != 3 or len(pixels) != channels:
            raise OptionError(
                f"{_does_more(processor)}: of an image of {channels} channels it makes an array of shape "
                f"{pixels.shape}; {REMEDY}."
            )
        # Its middle, since it may be padded.
        middle: NDArray[np.float64] = pixels[:, pixels.shape[1] // 2, pixels.shape[2] // 2]
        return middle

    black, white, red = seen((0, 0, 0)), seen((255, 255, 255)), seen((255, 0, 0))
    gain = white - black
    if not (gain > 0).all():
        raise OptionError(f"{_does_more(processor)}: white comes out darker than black; {REMEDY}.")
    flipped = channels == 3 and int(np.argmax((red - black) / gain)) == 2
    mean, std = ((0 - black) / gain)[:: -1 if flipped else 1], (1 / gain)[:: -1 if flipped else 1]
    return *check_normalisation(mean, std, channels), flipped


def _processed(processor: Any, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what `processor` makes of `picture` (H×W×C uint8): C×H×W, where it is an image processor."""
    image = PILImage.fromarray(picture if picture.shape[2] == 3 else picture[:, :, 0])
    try:
        pixels = processor(images=image, return_tensors="pt")["pixel_values"]
    except Exception as error:
        raise OptionError(
            f"HuggingFaceModel: {type(processor).__name__} failed on a test picture of {picture.shape[0]}×"
            f"{picture.shape[1]} pixels ({type(error).__name__}: {error}); {REMEDY}."
        ) from error
    array: NDArray[np.float32] = np.asarray(pixels, dtype=np.float32)
    return array[0] if array.ndim else array


def _waves(size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a smooth picture, H×W×3, in which every shift, stretch and change of colour tells."""
    rows, columns = np.arange(size[0])[:, None], np.arange(size[1])[None]
    waves = [np.sin(rows / 7 + columns / 19), np.sin(rows / 19 - columns / 7), np.sin(rows / 11 + columns / 11 + 1)]
    return np.asarray(np.stack(waves, axis=-1) * 100 + 128).round().astype(np.uint8)


def _does_more(processor: Any) -> str:
    return f"HuggingFaceModel: {type(processor).__name__} does more than resize, crop and normalise"


def _sides(pixels: NDArray[np.float32]) -> str:
    return "×".join(map(str, pixels.shape))
