"""The options of an explanation: checked once, here, and frozen."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pytest_lime.errors import OptionError, nearest, one_line

__all__ = [
    "FILLS",
    "INCONCLUSIVE",
    "PRESETS",
    "SAMPLERS",
    "SEGMENTERS",
    "SURROGATES",
    "LimeOptions",
    "as_whole_number",
    "check_names",
    "check_number",
    "from_text",
    "resolve",
]

SEGMENTERS = ("slic", "quickshift", "felzenszwalb", "watershed", "grid")
FILLS = ("segment_mean", "image_mean", "blur", "noise", "input_zero")
SAMPLERS = ("hadamard", "antithetic", "bernoulli", "lime", "exhaustive")
DISTANCES = ("cosine", "pixel_cosine", "pixel_euclidean")
KERNELS = ("exponential",)
SURROGATES = ("ridge", "linear", "lasso", "tree")
SELECTIONS = ("none", "highest_weights", "forward", "lasso_path")
PRECISIONS = ("float32", "bfloat16", "float16")
INCONCLUSIVE = ("fail", "warn", "pass")
MOST_SUPERPIXELS = 1000
# More samples than this would take a day of the fastest accelerator.
MOST_SAMPLES = 10**9

# What the peers do where they are not told otherwise. Each names every option of method,
# so that none of another layer mixes in.
_COMMON: dict[str, Any] = {
    "segments": 50,
    "segmenter_parameters": {},
    "align_to_regions": True,
    "distance": "cosine",
    "kernel": "exponential",
    "kernel_width": 0.25,
    "feature_selection": "none",
    "num_features": None,
}
PRESETS: dict[str, dict[str, Any]] = {
    # lime 0.2.0.1, LimeImageExplainer.explain_instance
    "lime": {
        **_COMMON,
        "segmenter": "quickshift",
        # The package's own seed does not reach scikit-image, whose default of 42 it then is.
        "segmenter_parameters": {"kernel_size": 4, "max_dist": 200, "ratio": 0.2, "rng": 42},
        "fill": "segment_mean",
        "samples": 1000,
        "sampler": "lime",
        "surrogate": "ridge",
        "alpha": 1.0,
    },
    # captum 0.9, captum.attr.Lime; it leaves the superpixels to its user
    "captum": {
        **_COMMON,
        "segmenter": "slic",
        "fill": "input_zero",
        "samples": 25,
        "sampler": "bernoulli",
        "distance": "pixel_cosine",
        "kernel_width": 1.0,
        "surrogate": "lasso",
        "alpha": 0.01,
    },
    # imageLIME of MATLAB's Deep Learning Toolbox, by its documentation
    "matlab": {
        **_COMMON,
        "segmenter": "slic",
        "segments": 49,
        "fill": "image_mean",
        "samples": 2048,
        "sampler": "bernoulli",
        "surrogate": "tree",
        "alpha": "auto",
    },
}


def as_whole_number(value: Any) -> int | None:
    """Return `value` as an int, or None where it is no whole number; True and False are none.

    >>> as_whole_number(3), as_whole_number(3.0), as_whole_number(True)
    (3, None, None)
    """
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def _whole_number(name: str, least: int, most: float = math.inf, *, auto: bool = False) -> Callable[[Any], Any]:
    """Check a whole number; with `auto` it may be ``"auto"``, too."""

    def check(value: Any) -> Any:
        if auto and isinstance(value, str) and value == "auto":
            return value
        number = as_whole_number(value)
        if number is None or not least <= number <= most:
            other = "'auto' or " if auto else ""
            upper = "" if most == math.inf else f" and at most {most:,.0f}"
            raise OptionError(f"{name}={one_line(value)} must be {other}a whole number of at least {least}{upper}.")
        return number

    return check


def check_number(name: str, value: Any, low: float = -math.inf, high: float = math.inf, *, ends: bool = True) -> float:
    """Return `value` as a float, if it is a finite number in [low, high]; without its `ends` in (low, high).

    Raises
    ------
    OptionError
        It calls the value `name`, and says the limits.

    Examples
    --------
    >>> check_number("mass: at_least", 1, 0, 1)
    1.0
    """
    number = math.nan
    if not isinstance(value, bool | str) and hasattr(value, "__float__") and not getattr(value, "shape", ()):
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            number = float(value)
    inside = low <= number <= high if ends else low < number < high
    if not (math.isfinite(number) and inside):
        raise OptionError(f"{name}={one_line(value)} must be a number{_limits(low, high, ends)}.")
    return number


def _limits(low: float, high: float, ends: bool) -> str:
    if high < math.inf:
        return f" in [{low:g}, {high:g}]" if ends else f" between {low:g} and {high:g}, both excluded"
    if low == -math.inf:
        return ""
    return f" of at least {low:g}" if ends else f" greater than {low:g}"


def _number(name: str, low: float, high: float = math.inf) -> Callable[[Any], float]:
    return lambda value: check_number(name, value, low, high, ends=False)


def _boolean(name: str) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        if not isinstance(value, bool):
            raise OptionError(f"{name}={one_line(value)} must be True or False.")
        return value

    return check


def _choice(name: str, choices: tuple[str, ...], value: str, also: str) -> str:
    if value not in choices:
        raise OptionError(f"{name}={one_line(value)} must be {_listed(choices, also)}{nearest(value, choices)}.")
    return value


def _named(name: str, choices: tuple[str, ...], also: str = "") -> Callable[[Any], Any]:
    """Check an option that is one of `choices`, or a function where `also` says what it does."""

    def check(value: Any) -> Any:
        if isinstance(value, str):
            return _choice(name, choices, value, also)
        if also and callable(value) and not isinstance(value, type):
            return value
        raise OptionError(f"{name}={one_line(value)} must be {_listed(choices, also)}.")

    return check


def _listed(choices: tuple[str, ...], also: str) -> str:
    return f"one of {', '.join(map(repr, choices))}" + (f", or {also}" if also else "")


def _check_preset(value: Any) -> Any:
    return None if value is None or value == "none" else _named("preset", tuple(PRESETS))(value)


def _check_segmenter(value: Any) -> Any:
    also = "a label map (an H×W array of integers), or a function that returns one for an H×W×3 image"
    if isinstance(value, str) or (callable(value) and not isinstance(value, type)):
        return _named("segmenter", SEGMENTERS, also)(value)
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind not in "iub" or not kind or getattr(value, "ndim", 0) != 2:
        raise OptionError(f"segmenter={one_line(value)} must be {_listed(SEGMENTERS, also)}.")
    return value


def _check_segmenter_parameters(value: Any) -> Mapping[str, Any]:
    # Names are checked by the segmenter, which knows them. A frozen default cannot be a dictionary.
    if value is None or value == ():
        return {}
    if not (isinstance(value, Mapping) and all(isinstance(name, str) for name in value)):
        raise OptionError(
            f"segmenter_parameters={one_line(value)} must be a dictionary from a parameter's name to its value, such "
            "as {'compactness': 20}."
        )
    return dict(value)


def _check_surrogate(value: Any) -> Any:
    also = "a regressor of scikit-learn with fit(X, y, sample_weight) and predict(X)"
    if isinstance(value, str):
        return _choice("surrogate", SURROGATES, value, also)
    if isinstance(value, type) or not (
        callable(getattr(value, "fit", None)) and callable(getattr(value, "predict", None))
    ):
        remedy = f"; pass an instance, {value.__name__}()" if isinstance(value, type) else ""
        raise OptionError(f"surrogate={one_line(value)} must be {_listed(SURROGATES, also)}{remedy}.")
    return value


def _check_alpha(value: Any) -> Any:
    if isinstance(value, str) and value == "auto":
        return value
    if isinstance(value, str):
        raise OptionError(f"alpha={value!r} must be 'auto' or a number of at least 0.")
    return check_number("alpha", value, 0)


def _check_num_features(value: Any) -> int | None:
    if value is None or (isinstance(value, str) and value == "all"):
        return None
    count: int = _whole_number("num_features", 1, MOST_SUPERPIXELS)(value)
    return count


def _check_fill(value: Any) -> Any:
    also = (
        "a colour ('#rrggbb', a name, or one or three numbers: floats in [0, 1] or whole numbers in 0…255), or a "
        "function fill(pixels, segments) of an H×W×C image"
    )
    if value is not None and callable(value) and not isinstance(value, type):
        return value
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
    error = OptionError(f"fill={one_line(value)} must be {_listed(FILLS, also)}.")
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
    try:
        scaled = tuple(float(channel) / 255 if whole else float(channel) for channel in channels)
    except OverflowError:
        raise error from None
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


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False, init=False)
class LimeOptions:
    """How an image is explained.

    Attributes
    ----------
    preset : ``"lime"``, ``"captum"``, ``"matlab"`` or None
        Take over what a peer does by default; options beside it are stronger than it.
    segmenter : ``"slic"``, ``"quickshift"``, ``"felzenszwalb"``, ``"watershed"``, ``"grid"``, label map or function
        How the image is cut into superpixels. A label map (H×W integers) has the size that
        the model sees (`Explanation.segments`) or that of the image file. A function takes
        what the model sees, H×W×3 floats in [0, 1], and returns a label map.
    segments : int
        About how many superpixels, reached within some 5 % where the algorithm can; ignored for a
        label map or a function, and where `segmenter_parameters` sets the parameter that decides it.
    segmenter_parameters : dict
        Parameters of scikit-image's function, such as ``{"compactness": 20}``, of the grid (``rows`` and
        ``columns``), or of the user's own function.
    align_to_regions : bool
        Split superpixels along the border of each claim's region, so that a region is
        a union of superpixels.
    fill : ``"segment_mean"``, ``"image_mean"``, ``"blur"``, ``"noise"``, ``"input_zero"``, a colour or a function
        What replaces a hidden superpixel. A colour is ``"#rrggbb"``, a CSS name, or one
        or three numbers: floats in [0, 1] or whole numbers in 0…255. ``"input_zero"`` is the
        colour that the model's normalisation turns into 0. A function takes pixels (H×W×C floats in
        [0, 1]) and segments (H×W) and returns what shows through: floats of the pixels' shape, or one colour.
    samples : ``"auto"`` or int
        How many masked copies are scored. ``"auto"`` goes on until every claim of a check is decided, looking as it
        goes, with intervals that hold however often one looks; without a claim it is 1,000. ``exhaustive``
        and a given mask matrix set their own number.
    max_samples : int
        The most that ``"auto"`` takes; what is not decided then is inconclusive.
    sampler : ``"hadamard"``, ``"antithetic"``, ``"bernoulli"``, ``"lime"``, ``"exhaustive"``, or an N×d array of 0/1
        How masks are drawn: pairs of a mask and its complement in balanced blocks (folded Hadamard
        matrices), in which no two superpixels are confounded; such pairs at random; independent masks; the masks
        that the ``lime`` package draws with the same seed, the first of which shows everything; all
        2^d masks once; or the rows given, which count as drawn independently. With one of the first two and at
        most 12 superpixels all masks are enumerated, since that has no sampling error.
    distance : ``"cosine"``, ``"pixel_cosine"``, ``"pixel_euclidean"`` or a function
        How far a sample is from the image: between masks, or between what the network receives.
        A function takes N×d masks and returns N distances.
    kernel : ``"exponential"`` or a function
        From distances to the weights of samples, ``√exp(−D²/width²)``. A function takes N distances and
        returns N weights of at least 0.
    kernel_width : float
        Width of the exponential kernel, in units of the distance.
    surrogate : ``"ridge"``, ``"linear"``, ``"lasso"``, ``"tree"`` or a regressor of scikit-learn
        What is fitted to the scores. A tree, or another regressor with
        ``feature_importances_`` instead of ``coef_``, has no signed weights. A regressor of
        your own is fitted about 26 times a class, for its intervals.
    alpha : float or ``"auto"``
        Strength of the penalty of ridge, λ in ``Σ π (y − b − zᵀβ)² + λ‖β‖²``, and of lasso, α of
        scikit-learn; others have none. The ``lime`` package uses 1. ``"auto"`` is 0 for
        ridge, so that nothing is biased, and for lasso a tenth of the penalty under which every weight
        would be 0. With 0 weights that the masks leave open are 0.
    feature_selection : ``"none"``, ``"highest_weights"``, ``"forward"`` or ``"lasso_path"``
        Choose `num_features` superpixels first, and fit the surrogate to them alone.
    num_features : int or None
        How many; None is all.
    confidence : float
        Level of every interval, in (0, 1).
    seed : int
        Seed of superpixels, masks, noise and surrogate.
    device : str
        ``"auto"`` (the model's own, else the first accelerator, else the CPU) or a torch device.
    precision : ``"float32"``, ``"bfloat16"`` or ``"float16"``
        Sixteen bits run the model under ``torch.autocast``, faster where the device has arithmetic for them. By how
        much that moves the scores of the image is measured and reported, and intervals are widened by its rounding.
        A network whose own weights are of another type keeps it under ``"float32"``.
    batch_size : ``"auto"`` or int
        Masked copies in one forward pass; ``"auto"`` measures which size is fastest.
    fuse : bool
        A network in float32 on the processor runs with batch norms folded into its convolutions, and activations
        computed with them, where `torch.fx` can tell its layers: the same scores up to rounding (each check compares
        them with the network's own), in less time. False runs every pass through the network as it is.

    Raises
    ------
    OptionError
        There is no such option, or its value cannot be.
    """

    preset: str | None = _option(None, _check_preset)
    segmenter: Any = _option("slic", _check_segmenter)
    segments: int = _option(50, _whole_number("segments", 2, MOST_SUPERPIXELS))
    segmenter_parameters: Mapping[str, Any] = _option((), _check_segmenter_parameters)
    align_to_regions: bool = _option(True, _boolean("align_to_regions"))
    fill: Any = _option("segment_mean", _check_fill)
    samples: Any = _option("auto", _whole_number("samples", 2, MOST_SAMPLES, auto=True))
    max_samples: int = _option(4000, _whole_number("max_samples", 2, MOST_SAMPLES))
    sampler: Any = _option("hadamard", _check_sampler)
    distance: Any = _option("cosine", _named("distance", DISTANCES, "a function from N×d masks to N distances"))
    kernel: Any = _option("exponential", _named("kernel", KERNELS, "a function from N distances to N weights"))
    kernel_width: float = _option(0.25, _number("kernel_width", 0))
    surrogate: Any = _option("ridge", _check_surrogate)
    alpha: Any = _option("auto", _check_alpha)
    feature_selection: str = _option("none", _named("feature_selection", SELECTIONS))
    num_features: int | None = _option(None, _check_num_features)
    confidence: float = _option(0.95, _number("confidence", 0, 1))
    seed: int = _option(0, _whole_number("seed", 0, 2**32 - 1))
    device: str = _option("auto", _check_device)
    precision: str = _option("float32", _named("precision", PRECISIONS))
    batch_size: Any = _option("auto", _whole_number("batch_size", 1, MOST_SAMPLES, auto=True))
    fuse: bool = _option(True, _boolean("fuse"))

    def __init__(self, **given: Any) -> None:
        check_names(given, "LimeOptions")
        values = _over_preset(given)
        for field in dataclasses.fields(self):
            value = values.get(field.name, field.default)
            object.__setattr__(self, field.name, field.metadata["check"](value))

    def as_json(self) -> dict[str, Any]:
        """Return the options as JSON values; arrays are named by their shape, functions and regressors by name."""
        return {field.name: _json_value(getattr(self, field.name)) for field in dataclasses.fields(self)}

    @property
    def sha256(self) -> str:
        """Hash of `as_json`, as JSON of sorted keys without spaces; an array has the hash of its bytes there."""
        values = {field.name: _json_value(getattr(self, field.name), exact=True) for field in dataclasses.fields(self)}
        text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _json_value(value: Any, *, exact: bool = False) -> Any:
    if hasattr(value, "shape"):
        told = f"array of shape {'×'.join(map(str, value.shape))}"
        known = hasattr(value, "tobytes") and hasattr(value, "dtype")
        return f"{told}, {value.dtype} {hashlib.sha256(value.tobytes()).hexdigest()}" if exact and known else told
    if isinstance(value, Mapping):
        return {name: _json_value(one, exact=exact) for name, one in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_json_value(one, exact=exact) for one in value]
    return getattr(value, "__qualname__", "") or one_line(value)


OPTION_NAMES = tuple(field.name for field in dataclasses.fields(LimeOptions))


def check_names(names: Iterable[str], where: str) -> None:
    """Raise an `OptionError` for the first of `names` that is no option; `where` says who wrote it."""
    for name in names:
        if name not in OPTION_NAMES:
            raise OptionError(
                f"{where}: there is no option {name!r}{nearest(name, OPTION_NAMES)}; "
                f"the options are {', '.join(OPTION_NAMES)}."
            )


def _over_preset(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` over those of the preset that they name, if any."""
    preset = _check_preset(values.get("preset"))
    below = dict(PRESETS[preset]) if preset else {}
    parameters = below.pop("segmenter_parameters", {})
    # The preset's parameters are of its own segmenter, and one of them may say how many superpixels there are.
    if parameters and "segmenter" not in values:
        steered = {} if "segments" in values else parameters
        given = values.get("segmenter_parameters")
        below["segmenter_parameters"] = steered
        if isinstance(given, Mapping):
            values = {**values, "segmenter_parameters": {**steered, **given}}
    # A penalty is of its own surrogate, and in its unit.
    if "surrogate" in values:
        below.pop("alpha", None)
    return {**below, **values}


def _differ(name: str, layer: Mapping[str, Any], merged: Mapping[str, Any]) -> bool:
    """Whether both say what option `name` is, and not the same."""
    if name not in layer or name not in merged:
        return False
    one, other = layer[name], merged[name]
    return bool(one != other) if isinstance(one, str) and isinstance(other, str) else one is not other


def _check_together(options: LimeOptions) -> LimeOptions:
    """Return `options` unless two of them make no sense together."""
    if options.num_features is not None and options.feature_selection == "none":
        raise OptionError(
            f"num_features={options.num_features} needs a feature_selection, which says how superpixels are selected: "
            "'highest_weights', 'forward' or 'lasso_path'."
        )
    if options.feature_selection != "none" and options.num_features is None:
        raise OptionError(
            f"feature_selection={options.feature_selection!r} needs num_features, the number of superpixels to select."
        )
    return options


def resolve(*layers: tuple[str, Mapping[str, Any]]) -> LimeOptions:
    """Merge layers of options, the first the strongest.

    Each layer is ``(where, values)``; `where` names its source in an error.

    >>> resolve(("lime.check", {"seed": 3}), ("ini", {"seed": 1, "segments": 20})).seed
    3
    """
    merged: dict[str, Any] = {}
    sources: dict[str, str] = {}
    try:
        for where, values in layers:
            check_names(values, where)
            layer = dict(values)
            if "preset" in values and "preset" not in merged:
                # A preset is as strong as the layer that names it, but for what that layer says beside it.
                sources["preset"] = where
                layer = _over_preset(values)
            # Parameters belong to the segmenter beside which they stand, a penalty to the surrogate, and what a
            # preset says of the number of superpixels gives way to a number.
            if _differ("segmenter", layer, merged) or ("preset" in layer and "segments" in merged):
                layer.pop("segmenter_parameters", None)
            if _differ("surrogate", layer, merged):
                layer.pop("alpha", None)
            for name in layer.keys() - merged.keys():
                merged[name], sources[name] = layer[name], where
        return _check_together(LimeOptions(**merged))
    except OptionError as error:
        name = str(error).partition("=")[0].partition(":")[0]
        source = sources.get(name, "")
        raise OptionError(f"{source}: {error}" if source else str(error)) from None


BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def from_text(name: str, text: str) -> Any:
    """Read option `name` from the text of a command line or an ini file.

    >>> from_text("samples", "500"), from_text("fill", "0, 0, 0"), from_text("align_to_regions", "no")
    (500, (0, 0, 0), False)
    """
    text = text.strip()
    default = LimeOptions.__dataclass_fields__[name].default
    if name == "segmenter_parameters":
        return _text_parameters(text)
    if isinstance(default, bool):
        if text.casefold() not in BOOLEANS:
            raise OptionError(f"{name}={text!r} must be true or false.")
        return BOOLEANS[text.casefold()]
    if name == "fill" and "," in text:
        return tuple(_text_number(part.strip()) for part in text.split(","))
    return _text_number(text) if name != "device" else text


def _text_parameters(text: str) -> dict[str, Any]:
    """Read ``"compactness=20, sigma=1"``."""
    parameters = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not (name and equals and value) or name in parameters:
            raise OptionError(
                f"segmenter_parameters={one_line(text)} must be of the form 'compactness=20, sigma=1', each name once."
            )
        word = value.casefold()
        named = {"none": None, **{word: truth for word, truth in BOOLEANS.items() if word.isalpha()}}
        parameters[name] = named[word] if word in named else _text_number(value)
    return parameters


def _text_number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
