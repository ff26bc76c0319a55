"""From an image and a model to an explanation, by samples that can go on."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_lime.errors import TargetError, user_error
from pytest_lime.explanation import Explanation, find_class, project_region
from pytest_lime.forward import Forward, choose_device
from pytest_lime.images import load_image
from pytest_lime.models.protocol import Model, check_labels, check_model, prepare, resolution
from pytest_lime.options import LimeOptions, resolve
from pytest_lime.perturbation import MaskStream, fill_image, looks_unchanged
from pytest_lime.regions import Region, as_region
from pytest_lime.segmentation import segment
from pytest_lime.surrogate import cosine_distance, fit_ridge, kernel

__all__ = ["SampleStream", "explain", "run"]


@user_error
def explain(
    model: Model, image: Any, target: Any = None, *, regions: Region | Sequence[Region] = (), **options: Any
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
    regions : Region or sequence of Region
        Superpixels are split along their borders (unless ``align_to_regions=False``).
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
    return run(model, image, target, resolve(("explain", options)), regions)


def run(model: Any, image: Any, target: Any, options: LimeOptions, regions: Any = ()) -> Explanation:
    """Explain as `explain` does, with options that are checked already."""
    listed = regions if isinstance(regions, Iterable) else [regions]
    checked = [as_region(region, "regions") for region in listed]
    stream = SampleStream(model, image, target, options, regions=checked)
    stream.extend(stream.wanted)
    return stream.look()


class SampleStream:
    """The samples of one explanation: draw, evaluate, add, look, and go on.

    Parameters
    ----------
    model, image, target, regions
        As for `explain`.
    options : LimeOptions

    Attributes
    ----------
    wanted : int
        How many samples the options ask for.
    """

    def __init__(
        self, model: Any, image: Any, target: Any, options: LimeOptions, *, regions: Sequence[Region] = ()
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
            view=self._view,
            regions=masks if options.align_to_regions else (),
        )
        superpixels = int(self._segments.max()) + 1
        self._masks = MaskStream(options.sampler, superpixels, options.seed)
        filled = fill_image(self._pixels, self._segments, options.fill)
        self._unchanged = looks_unchanged(self._pixels, filled, self._segments)
        self._forward = Forward(
            self._model,
            self._pixels,
            filled,
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
        fit = fit_ridge(
            masks,
            scores,
            kernel(cosine_distance(masks), self.options.kernel_width),
            alpha=self.options.alpha,
            paired=self._masks.paired,
            complete=self._masks.sampler == "exhaustive" and len(masks) == self._masks.length,
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
            weights=fit.weights,
            intercept=fit.intercept,
            covariance=fit.covariance,
            freedom=fit.freedom,
            rounding=fit.rounding,
            r2=fit.r2,
            prediction=self._prediction,
            class_names=self._class_names,
            samples=len(masks),
            passes=self.passes,
            sampler=self._masks.sampler,
            seconds=self.seconds,
            batch_size=self._forward.batch_size,
            device=str(self._forward.device),
            options=self.options,
        )


def _targets(target: Any, class_names: tuple[str, ...], prediction: NDArray[np.float64] | None) -> tuple[int, ...]:
    """Return the indices of what `target` names; None is the predicted class, once there is a prediction."""
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
