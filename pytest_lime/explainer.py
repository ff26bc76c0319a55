"""From an image and a model to an explanation, by samples that can go on."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_lime.errors import TargetError, one_line, user_error
from pytest_lime.explanation import Explanation, find_class, fit_fields, fit_samples, project_region
from pytest_lime.fills import fill_image, looks_unchanged
from pytest_lime.forward import Forward, choose_device
from pytest_lime.images import load_image
from pytest_lime.kernels import sample_weights
from pytest_lime.models.protocol import Model, check_labels, check_model, normalisation, prepare, resolution
from pytest_lime.opinions import check_opinions, second_opinions
from pytest_lime.options import LimeOptions, as_whole_number, resolve
from pytest_lime.perturbation import MaskStream
from pytest_lime.regions import Region, as_region
from pytest_lime.segmentation import segment

__all__ = ["SampleStream", "explain", "run"]


@user_error
def explain(
    model: Model,
    image: Any,
    target: Any = None,
    *,
    top_labels: int = 1,
    regions: Region | Sequence[Region] = (),
    opinions: str | Sequence[str] = (),
    **options: Any,
) -> Explanation:
    """Explain which superpixels of `image` speak for `target`.

    Parameters
    ----------
    model : Model
        `TorchModel`, `CallableModel`, or any object that follows the protocol `Model`.
    image : path, PIL image, array or tensor
        As `pytest_lime.images.load_image` takes it.
    target : label, index, None, or a list of labels and indices
        The class explained; None is the one that the model predicts. Of several, each
        has a row in `Explanation.weights`, and all come from the same samples.
    top_labels : int
        Without `target`: explain so many classes, those that the model gives the highest scores.
    regions : Region or sequence of Region
        Superpixels are split along their borders (unless ``align_to_regions=False``).
    opinions : str or sequence of str
        Other methods to ask, for `Explanation.agreement`: ``"occlusion"``, ``"gradcam"`` or
        ``"gradcam:LAYER"``, LAYER the name of a module of the network.
    **options
        The fields of `LimeOptions`.

    Returns
    -------
    Explanation

    Raises
    ------
    LimeError
        An argument, the image, a region or what the model returns is not as it must be.

    Notes
    -----
    LIME for images: Ribeiro, Singh and Guestrin, KDD 2016. With the same masks and
    ``alpha=1`` weights, intercept and score equal those of ``lime`` 0.2.0.1.
    """
    resolved = resolve(("explain", options))
    return run(model, image, target, resolved, top_labels=top_labels, regions=regions, opinions=opinions)


def run(
    model: Any,
    image: Any,
    target: Any,
    options: LimeOptions,
    *,
    top_labels: Any = 1,
    regions: Any = (),
    opinions: Any = (),
) -> Explanation:
    """Explain as `explain` does, with options that are checked already."""
    listed = regions if isinstance(regions, Iterable) else [regions]
    checked = [as_region(region, "regions") for region in listed]
    stream = SampleStream(
        model,
        image,
        check_target(target, top_labels),
        options,
        regions=checked,
        opinions=check_opinions(opinions),
    )
    stream.extend(stream.wanted)
    return stream.look()


class SampleStream:
    """The samples of one explanation: draw, evaluate, add, look, and go on.

    Parameters
    ----------
    model, image, regions
        As for `explain`.
    target : label, index, list of them, or TopLabels
    options : LimeOptions
    opinions : sequence of str
        As `check_opinions` returns them.

    Attributes
    ----------
    wanted : int
        How many samples the options ask for.
    """

    def __init__(
        self,
        model: Any,
        image: Any,
        target: Any,
        options: LimeOptions,
        *,
        regions: Sequence[Region] = (),
        opinions: Sequence[str] = (),
    ) -> None:
        began = time.perf_counter()
        self.options = options
        self._model = check_model(model)
        self._image = load_image(image)
        self._pixels, self._view = prepare(self._model, self._image)
        masks = [project_region(region, self._image, self._view) for region in regions]
        self._segments = segment(
            np.moveaxis(self._pixels, 0, -1),
            segmenter=options.segmenter,
            segments=options.segments,
            parameters=options.segmenter_parameters,
            seed=options.seed,
            view=self._view,
            regions=masks if options.align_to_regions else (),
        )
        superpixels = int(self._segments.max()) + 1
        self._masks = MaskStream(options.sampler, superpixels, options.seed)
        zero, _ = normalisation(self._model)
        self._filled = fill_image(self._pixels, self._segments, options.fill, seed=options.seed, zero=zero)
        self._unchanged = looks_unchanged(self._pixels, self._filled, self._segments)
        self._forward = Forward(
            self._model,
            self._pixels,
            self._filled,
            self._segments,
            device=choose_device(options.device, self._model),
            batch_size=options.batch_size,
        )
        self.wanted = self._masks.length or options.samples
        names = check_labels(self._model.labels)
        # A label that does not exist is told before any pass where the labels are known.
        if names is not None:
            _targets(target, names, None)
        self._prediction = self._forward.whole()
        self._class_names = names or tuple(map(str, range(len(self._prediction))))
        self._targets = _targets(target, self._class_names, self._prediction)
        self._opinions = second_opinions(
            opinions,
            model=self._model,
            forward=self._forward,
            pixels=self._pixels,
            segments=self._segments,
            classes=self._targets,
            prediction=self._prediction,
        )
        self._drawn: list[NDArray[np.uint8]] = []
        self._scores: list[NDArray[np.float64]] = []
        self.seconds = time.perf_counter() - began

    @property
    def samples(self) -> int:
        """How many samples there are by now."""
        return sum(map(len, self._drawn))

    @property
    def passes(self) -> int:
        """How many images the model has seen for this explanation."""
        return self._forward.passes

    def extend(self, count: int) -> None:
        """Draw, evaluate and add `count` more samples; fewer where the masks come to their end."""
        began = time.perf_counter()
        masks = self._masks.draw(count)
        if len(masks):
            scores = self._forward.scores(masks, list(self._targets))
            self._drawn.append(masks)
            self._scores.append(scores)
        self.seconds += time.perf_counter() - began

    def look(self) -> Explanation:
        """Fit the surrogate to the samples so far."""
        began = time.perf_counter()
        masks, scores = np.concatenate(self._drawn), np.concatenate(self._scores)
        weights = sample_weights(
            masks,
            distance=self.options.distance,
            kernel=self.options.kernel,
            width=self.options.kernel_width,
            image=self._received(self._pixels),
            fill=self._received(self._filled),
            segments=self._segments,
        )
        complete = self._masks.sampler == "exhaustive" and len(masks) == self._masks.length
        fitted = fit_samples(
            self.options,
            masks,
            scores,
            weights,
            paired=self._masks.paired,
            complete=complete,
            rounding=resolution(self._model),
        )
        self.seconds += time.perf_counter() - began
        return Explanation(
            image=self._image,
            pixels=self._pixels,
            view=self._view,
            segments=self._segments,
            unchanged=self._unchanged,
            targets=self._targets,
            labels=tuple(self._class_names[index] for index in self._targets),
            **fit_fields(fitted),
            prediction=self._prediction,
            class_names=self._class_names,
            masks=masks,
            sample_scores=scores,
            sample_weights=weights,
            paired=self._masks.paired,
            complete=complete,
            passes=self.passes,
            sampler=self._masks.sampler,
            seconds=self.seconds,
            batch_size=self._forward.batch_size,
            device=str(self._forward.device),
            options=self.options,
            opinions=self._opinions,
        )

    def _received(self, pixels: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return what the network receives of `pixels`, after the model's normalisation."""
        mean, deviation = normalisation(self._model)
        return np.asarray((pixels - mean[:, None, None]) / deviation[:, None, None], dtype=np.float64)


@dataclasses.dataclass(frozen=True)
class TopLabels:
    """The target that is the `count` classes of highest score."""

    count: int


def check_target(target: Any, top_labels: Any) -> Any:
    """Return what a stream takes as its target: `target`, or `TopLabels` where there is none.

    Raises
    ------
    TargetError
        `top_labels` is no whole number of at least 1, or is given beside a target.
    """
    count = as_whole_number(top_labels)
    if count is None or count < 1:
        raise TargetError(f"top_labels={one_line(top_labels)} must be a whole number of at least 1.")
    if target is None:
        return TopLabels(count)
    if count != 1:
        raise TargetError(
            f"top_labels={top_labels} asks for the classes of highest score, and target={one_line(target)} names them; "
            "give one of the two."
        )
    return target


def _targets(target: Any, class_names: tuple[str, ...], prediction: NDArray[np.float64] | None) -> tuple[int, ...]:
    """Return the indices of what `target` names; None is the predicted class, once there is a prediction."""
    if isinstance(target, TopLabels):
        if prediction is None:
            return ()
        if target.count > len(prediction):
            raise TargetError(f"top_labels={target.count} is more than the {len(prediction)} classes of the model.")
        return tuple(int(index) for index in np.argsort(-prediction, kind="stable")[: target.count])
    listed = list(target) if isinstance(target, list | tuple) else [target]
    if not listed:
        raise TargetError("target=[] names no class; pass a label, an index, a list of them, or None.")
    found = []
    for one in listed:
        if one is not None:
            found.append(find_class(one, class_names))
        elif prediction is not None:
            found.append(int(prediction.argmax()))
    if len(set(found)) < len(found):
        raise TargetError(f"target={listed!r} names a class twice.")
    return tuple(found)
