"""The options of an explanation: checked once, here, and frozen."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pytest_lime.errors import OptionError, nearest, one_line

__all__ = ["FILLS", "INCONCLUSIVE", "SAMPLERS", "SEGMENTERS", "LimeOptions", "check_names", "from_text", "resolve"]

SEGMENTERS = ("slic", "grid")
FILLS = ("segment_mean", "image_mean")
SAMPLERS = ("antithetic", "bernoulli", "exhaustive")
INCONCLUSIVE = ("fail", "warn", "pass")
MOST_SUPERPIXELS = 1000


def _whole_number(name: str, least: int, most: float = math.inf) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        try:
            number = operator.index(value)
        except TypeError:
            number = None
        if number is None or isinstance(value, bool) or not least <= number <= most:
            upper = "" if most == math.inf else f" and at most {most:.0f}"
            raise OptionError(f"{name}={one_line(value)} must be a whole number of at least {least}{upper}.")
        return number

    return check


def _number(name: str, rule: str, accept: Callable[[float], bool]) -> Callable[[Any], float]:
    def check(value: Any) -> float:
        if isinstance(value, bool | str) or not hasattr(value, "__float__"):
            raise OptionError(f"{name}={one_line(value)} must be a number {rule}.")
        number = float(value) if not getattr(value, "shape", ()) else math.nan
        if not (math.isfinite(number) and accept(number)):
            raise OptionError(f"{name}={one_line(value)} must be a number {rule}.")
        return number

    return check


def _boolean(name: str) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        if not isinstance(value, bool):
            raise OptionError(f"{name}={one_line(value)} must be True or False.")
        return value

    return check


def _choice(name: str, choices: tuple[str, ...], value: str, also: str) -> str:
    if value not in choices:
        listed = ", ".join(map(repr, choices))
        raise OptionError(f"{name}={value!r} must be one of {listed}, or {also}{nearest(value, choices)}.")
    return value


def _check_segmenter(value: Any) -> Any:
    also = "a label map (an H×W array of integers)"
    if isinstance(value, str):
        return _choice("segmenter", SEGMENTERS, value, also)
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind not in "iub" or not kind or getattr(value, "ndim", 0) != 2:
        raise OptionError(f"segmenter={one_line(value)} must be one of {', '.join(map(repr, SEGMENTERS))}, or {also}.")
    return value


def _check_fill(value: Any) -> Any:
    also = "a colour ('#rrggbb', a name, or one or three numbers: floats in [0, 1] or whole numbers in 0…255)"
    if isinstance(value, str):
        if value in FILLS:
            return value
        from PIL import ImageColor  # noqa: PLC0415  (PIL is heavy; most runs never name a colour)

        try:
            return tuple(channel / 255 for channel in ImageColor.getrgb(value)[:3])
        except ValueError:
            return _choice("fill", FILLS, value, also)
    if hasattr(value, "tolist"):
        value = value.tolist()
    channels = tuple(value) if isinstance(value, Iterable) and not isinstance(value, bytes) else (value,)
    error = OptionError(f"fill={one_line(value)} must be 'segment_mean', 'image_mean', or {also}.")
    if len(channels) not in (1, 3):
        raise error
    whole = all(hasattr(channel, "__index__") and not isinstance(channel, bool) for channel in channels)
    if not whole and not all(hasattr(one, "__float__") and not isinstance(one, bool) for one in channels):
        raise error
    if whole and max(channels) == 1:
        raise OptionError(
            f"fill={one_line(value)} is ambiguous: write 1.0 for the brightest value of floats in [0, 1], or 255 of "
            "whole numbers in 0…255."
        )
    scaled = tuple(float(channel) / 255 if whole else float(channel) for channel in channels)
    if not all(0 <= channel <= 1 for channel in scaled):
        raise error
    return scaled


def _check_sampler(value: Any) -> Any:
    also = "an N×d array of 0 and 1"
    if isinstance(value, str):
        return _choice("sampler", SAMPLERS, value, also)
    if getattr(value, "ndim", 0) != 2 or getattr(getattr(value, "dtype", None), "kind", "") not in tuple("biuf"):
        raise OptionError(f"sampler={one_line(value)} must be one of {', '.join(map(repr, SAMPLERS))}, or {also}.")
    if value.shape[0] < 1 or not bool(((value == 0) | (value == 1)).all()):
        raise OptionError("sampler: the mask matrix must have at least one row and hold only 0 and 1.")
    return value


def _check_batch_size(value: Any) -> Any:
    if value == "auto" and isinstance(value, str):
        return value
    if isinstance(value, str):
        raise OptionError(f"batch_size={value!r} must be 'auto' or a whole number of at least 1.")
    return _whole_number("batch_size", 1)(value)


def _check_device(value: Any) -> str:
    text = str(value)  # a torch.device prints as its name
    kind, _, index = text.partition(":")
    kinds = ("auto", "cpu", "cuda", "mps", "xpu")
    if kind not in kinds or (":" in text and not (index.isdecimal() and kind != "auto")):
        raise OptionError(
            f"device={text!r} must be 'auto', 'cpu', 'cuda' (a GPU of NVIDIA or AMD), 'cuda:0', 'mps' or 'xpu'"
            f"{'' if text == 'gpu' else nearest(text, kinds)}."
        )
    return text


def _option(default: Any, check: Callable[[Any], Any]) -> Any:
    return dataclasses.field(default=default, metadata={"check": check})


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class LimeOptions:
    """How an image is explained.

    Attributes
    ----------
    segmenter : ``"slic"``, ``"grid"``, or an H×W integer label map
        How the image is cut into superpixels. A label map has the size that the model
        sees (`Explanation.segments`) or that of the image file.
    segments : int
        About how many superpixels; ignored for a label map.
    align_to_regions : bool
        Split superpixels along the border of each claim's region, so that a region is
        a union of superpixels.
    fill : ``"segment_mean"``, ``"image_mean"``, or a colour
        What replaces a hidden superpixel. A colour is ``"#rrggbb"``, a CSS name, or one
        or three numbers: floats in [0, 1] or whole numbers in 0…255.
    samples : int
        How many masked copies are scored; ``exhaustive`` and a given mask matrix set
        their own number.
    sampler : ``"antithetic"``, ``"bernoulli"``, ``"exhaustive"``, or an N×d array of 0/1
        How masks are drawn: pairs of a mask and its complement, independent masks, all
        2^d masks once, or the rows given, which count as drawn independently. With ``"antithetic"`` and at most 12
        superpixels all masks are enumerated, since that has no sampling error.
    kernel_width : float
        Width of the exponential kernel on the cosine distance between masks.
    alpha : float
        Strength of the ridge penalty, λ in ``Σ π (y − b − zᵀβ)² + λ‖β‖²``; the ``lime``
        package uses 1. With 0, the default, weights that the masks leave open are 0.
    confidence : float
        Level of every interval, in (0, 1).
    seed : int
        Seed of the masks.
    device : str
        ``"auto"`` (the model's own, else the first accelerator, else the CPU) or a torch device.
    batch_size : ``"auto"`` or int
        Masked copies in one forward pass; ``"auto"`` measures which size is fastest.
    """

    segmenter: Any = _option("slic", _check_segmenter)
    segments: int = _option(50, _whole_number("segments", 2, MOST_SUPERPIXELS))
    align_to_regions: bool = _option(True, _boolean("align_to_regions"))
    fill: Any = _option("segment_mean", _check_fill)
    samples: int = _option(1000, _whole_number("samples", 2))
    sampler: Any = _option("antithetic", _check_sampler)
    kernel_width: float = _option(0.25, _number("kernel_width", "greater than 0", lambda number: number > 0))
    alpha: float = _option(0.0, _number("alpha", "of at least 0", lambda number: number >= 0))
    confidence: float = _option(
        0.95, _number("confidence", "between 0 and 1, both excluded", lambda number: 0 < number < 1)
    )
    seed: int = _option(0, _whole_number("seed", 0))
    device: str = _option("auto", _check_device)
    batch_size: Any = _option("auto", _check_batch_size)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, field.metadata["check"](getattr(self, field.name)))

    def as_json(self) -> dict[str, Any]:
        """Return the options as JSON values; arrays are named by their shape."""
        return {field.name: _json_value(getattr(self, field.name)) for field in dataclasses.fields(self)}


def _json_value(value: Any) -> Any:
    if hasattr(value, "shape"):
        return f"array of shape {'×'.join(map(str, value.shape))}"
    return list(value) if isinstance(value, tuple) else value


OPTION_NAMES = tuple(field.name for field in dataclasses.fields(LimeOptions))


def check_names(names: Iterable[str], where: str) -> None:
    """Raise an `OptionError` for the first of `names` that is no option; `where` says who wrote it."""
    for name in names:
        if name not in OPTION_NAMES:
            raise OptionError(
                f"{where}: there is no option {name!r}{nearest(name, OPTION_NAMES)}; "
                f"the options are {', '.join(OPTION_NAMES)}."
            )


def resolve(*layers: tuple[str, Mapping[str, Any]]) -> LimeOptions:
    """Merge layers of options, the first the strongest.

    Each layer is ``(where, values)``; `where` names its source in an error.

    >>> resolve(("lime.check", {"seed": 3}), ("ini", {"seed": 1, "segments": 20})).seed
    3
    """
    merged: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for where, values in layers:
        check_names(values, where)
        for name, value in values.items():
            if name not in merged:
                merged[name], sources[name] = value, where
    try:
        return LimeOptions(**merged)
    except OptionError as error:
        name = str(error).partition("=")[0].partition(":")[0]
        source = sources.get(name, "")
        raise OptionError(f"{source}: {error}" if source else str(error)) from None


def from_text(name: str, text: str) -> Any:
    """Read option `name` from the text of a command line or an ini file.

    >>> from_text("samples", "500"), from_text("fill", "0, 0, 0"), from_text("align_to_regions", "no")
    (500, (0, 0, 0), False)
    """
    text = text.strip()
    default = LimeOptions.__dataclass_fields__[name].default
    if isinstance(default, bool):
        words = {
            "true": True,
            "yes": True,
            "on": True,
            "1": True,
            "false": False,
            "no": False,
            "off": False,
            "0": False,
        }
        if text.casefold() not in words:
            raise OptionError(f"{name}={text!r} must be true or false.")
        return words[text.casefold()]
    if name == "fill" and "," in text:
        return tuple(_text_number(part.strip()) for part in text.split(","))
    return _text_number(text) if name != "device" else text


def _text_number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
