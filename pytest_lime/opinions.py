"""Second opinions: what other methods say of each superpixel, through the same engine."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pytest_lime.agreement import GRADCAM, OCCLUSION, check_opinions
from pytest_lime.errors import OptionError, is_for_the_user, nearest
from pytest_lime.extras import require
from pytest_lime.forward import Canvas
from pytest_lime.models.protocol import Model

__all__ = ["check_opinions", "each_hidden", "second_opinions"]

__tracebackhide__ = is_for_the_user

Array = NDArray[np.float64]
# A vision transformer makes its only map in the first of many layers; a network of one convolution in the first
# of three or four.
EARLY = 0.25
REMEDY = f"name a convolution layer, as in 'gradcam:LAYER', or use {OCCLUSION!r}"
# What torch says of a layer that does not lead to the scores, and of scores that are cut off from every layer.
UNREACHED = ("have been used in the graph", "does not require grad")


def second_opinions(
    names: Sequence[str],
    *,
    model: Model,
    canvas: Canvas,
    pixels: NDArray[np.float32],
    segments: NDArray[np.int64],
    classes: Sequence[int],
    prediction: Array,
    hidden: Array | None = None,
) -> dict[str, Array]:
    """Ask other methods how much each superpixel matters for each class.

    Parameters
    ----------
    names : sequence of str
        As `check_opinions` returns them.
    model : Model
    canvas : Canvas
        The image before the engine. It counts the passes.
    pixels : C×H×W float32 array in [0, 1]
        What the model sees.
    segments : H×W int64 array
        Superpixels 0…d−1.
    classes : sequence of int
        The K explained classes.
    prediction : float64 array, one value a class of the model
        The scores of the whole image.
    hidden : d×K float64 array, optional
        The scores of the masks that `each_hidden` returns, where they are known already.

    Returns
    -------
    dict from str to K×d float64 array
        By name. Occlusion is in units of the score; Grad-CAM is at least 0, in units of
        the layer's activation times the logit's gradient.

    Raises
    ------
    OptionError
        Grad-CAM is asked of a model without a torch network, or of a layer that does not exist, keeps no
        map of the image or does not lead to the scores; or captum is missing.
    """
    found: dict[str, Array] = {}
    for name in names:
        method, _, layer = name.partition(":")
        if method == OCCLUSION:
            if hidden is None:
                hidden = canvas.scores(each_hidden(canvas.superpixels), list(classes))
            found[name] = _falls(prediction[list(classes)], hidden, canvas.engine.resolution)
        elif method == GRADCAM:
            found[name] = _gradcam(
                name,
                layer,
                model=model,
                canvas=canvas,
                pixels=pixels,
                segments=segments,
                classes=list(classes),
            )
    return found


def each_hidden(superpixels: int) -> NDArray[np.uint8]:
    """Return the masks of occlusion, d×d: each hides one superpixel."""
    return 1 - np.eye(superpixels, dtype=np.uint8)


def _falls(whole: Array, hidden: Array, resolution: float) -> Array:
    """Return by how much the score falls when a superpixel alone is hidden (Zeiler and Fergus, ECCV 2014), K×d.

    A difference that the rounding of the passes may have made is 0, so that superpixels without any effect
    share one rank.

    Parameters
    ----------
    whole : (K,) float64 array
        The scores of the whole image.
    hidden : d×K float64 array
        Those of `each_hidden`.
    resolution : float
        As `Engine.resolution`.
    """
    fall = whole[:, None] - hidden.T
    rounding = resolution * np.maximum(np.abs(whole), np.abs(hidden).max(axis=0))[:, None]
    return np.where(np.abs(fall) <= rounding, 0.0, fall)


def _gradcam(
    name: str,
    layer: str,
    *,
    model: Model,
    canvas: Canvas,
    pixels: NDArray[np.float32],
    segments: NDArray[np.int64],
    classes: list[int],
) -> Array:
    """Return the mean of Grad-CAM over each superpixel (Selvaraju et al., ICCV 2017), K×d.

    ``ReLU(Σ_c α_c A_c)``, A_c the channels of the layer's activation and α_c the mean over
    its places of the gradient of the class's logit; made as large as the image bilinearly.
    One pass forward and one back a class, and one forward to find the layer.
    """
    net, logits = getattr(model, "net", None), getattr(model, "logits", None)
    if not isinstance(net, torch.nn.Module) or not callable(logits):
        raise OptionError(
            f"{GRADCAM} needs a torch network (TorchModel, TimmModel, HuggingFaceModel); {type(model).__name__} has "
            f"none: use {OCCLUSION!r}."
        )
    captum = require("captum.attr", extra=GRADCAM, needed_for=GRADCAM)
    area = np.bincount(segments.ravel())
    means = np.empty((len(classes), len(area)))
    # The engine's passes run in inference mode, where nothing can be differentiated.
    with torch.inference_mode(False), torch.enable_grad():
        image = torch.from_numpy(pixels).to(canvas.engine.device)[None]
        chosen, module = _layer(name, layer, net, logits, image)
        canvas.passes += 1
        method = captum.LayerGradCam(logits, module)
        for row, index in enumerate(classes):
            try:
                coarse = method.attribute(image, target=index, relu_attributions=True)
            except RuntimeError as error:
                if not any(words in str(error) for words in UNREACHED):
                    raise
                raise OptionError(
                    f"{name}: no gradient of the scores reaches layer {chosen!r} of {type(net).__name__}: {REMEDY}."
                ) from error
            canvas.passes += 1
            fine = torch.nn.functional.interpolate(coarse.detach().float(), size=segments.shape, mode="bilinear")
            values = fine[0, 0].cpu().double().numpy()
            means[row] = np.bincount(segments.ravel(), weights=values.ravel()) / area
    return means


class _Call(NamedTuple):
    """How a module of the network was called.

    Attributes
    ----------
    shape : tuple of int
        Of its output; empty where that is no tensor.
    told : str
        The output in words.
    done : float
        Share of the network's layers with weights that were done by then.
    """

    shape: tuple[int, ...]
    told: str
    done: float


def _layer(
    name: str, layer: str, net: torch.nn.Module, logits: Callable[[torch.Tensor], Any], image: torch.Tensor
) -> tuple[str, torch.nn.Module]:
    """Return name and module of the layer that `name` asks for; without a name, the last that keeps a map."""
    if any(isinstance(module, torch.jit.ScriptModule) for module in net.modules()):
        raise OptionError(
            f"{name}: {type(net).__name__} is compiled by TorchScript, which lets nobody see its layers: wrap the "
            f"network that it was made from, or use {OCCLUSION!r}."
        )
    calls = _trace(net, logits, image)
    maps = [known for known in calls if _keeps_map(known, calls, image)]
    # A module may have several names, of which the trace knows the first.
    modules = dict(net.named_modules(remove_duplicate=False))
    del modules[""]
    if not layer:
        last = _last_map(f"{name}: ", type(net).__name__, calls, maps)
        return last, modules[last]
    if layer not in modules:
        some = f"; the last that keep a map are {', '.join(map(repr, maps[-3:]))}" if maps else ""
        raise OptionError(f"{name}: {type(net).__name__} has no module {layer!r}{nearest(layer, modules)}{some}.")
    known = next((known for known in calls if modules[known] is modules[layer]), None)
    if known not in maps:
        told = "was not called" if known is None else f"returned {calls[known].told}"
        raise OptionError(
            f"{name}: layer {layer!r} of {type(net).__name__} {told} for an image of {_sizes(image.shape)}, and "
            f"Grad-CAM needs a map of the image, 1×C×h×w, which vision transformers hardly have: {REMEDY}."
        )
    return layer, modules[layer]


def _last_map(where: str, net: str, calls: dict[str, _Call], maps: list[str]) -> str:
    """Return the name of the last of `maps` that is no finer than any before it.

    That is what goes into the pooling at the end of a convolutional network: often a container,
    which returns after all that it holds.
    """
    if not maps:
        raise OptionError(f"{where}no layer of {net} keeps a map of the image, 1×C×h×w: {REMEDY}.")
    places = {known: math.prod(calls[known].shape[2:]) for known in maps}
    fewest = min(places.values())
    last = next(known for known in reversed(maps) if places[known] == fewest)
    if calls[last].done < EARLY:
        raise OptionError(
            f"{where}the last layer of {net} that keeps a map of the image, {last!r}, is among its first, as in vision "
            f"transformers, and its map says little of the class: {REMEDY}."
        )
    return last


def _trace(net: torch.nn.Module, logits: Callable[[torch.Tensor], Any], image: torch.Tensor) -> dict[str, _Call]:
    """Return the last call of each module but the network itself, in the order in which they returned."""
    calls: dict[str, _Call] = {}
    done: set[torch.nn.Module] = set()

    def note(known: str) -> Callable[[torch.nn.Module, Any, Any], None]:
        def hook(module: torch.nn.Module, _: Any, output: Any) -> None:
            if any(True for _ in module.parameters(recurse=False)):
                done.add(module)
            shape = tuple(output.shape) if isinstance(output, torch.Tensor) else ()
            calls.pop(known, None)
            calls[known] = _Call(shape, _sizes(shape) if shape else type(output).__name__, len(done))

        return hook

    hooks = [module.register_forward_hook(note(known)) for known, module in net.named_modules() if known]
    try:
        with torch.no_grad():
            logits(image)
    finally:
        for hook in hooks:
            hook.remove()
    return {known: call._replace(done=call.done / len(done) if done else 1.0) for known, call in calls.items()}


def _keeps_map(known: str, calls: dict[str, _Call], image: torch.Tensor) -> bool:
    """Whether a module returned 1×C×h×w with the proportions of the image and more than one place.

    1×h×w×C has other proportions. The matrices of attention, all tokens by all, stand in a
    module that returns 1×tokens×C.
    """
    shape = calls[known].shape
    if len(shape) != 4 or shape[0] != 1:
        return False
    (height, width), (rows, columns) = image.shape[2:], shape[2:]
    # Padding and rounding give or take two places.
    alike = abs(rows * width - columns * height) <= 2 * max(height, width)
    parent = calls.get(known.rpartition(".")[0])
    attention = parent is not None and len(parent.shape) == 3 and {rows, columns} == {parent.shape[1]}
    return alike and rows * columns > 1 and not attention


def _sizes(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
