"""The laboratory: what else can be asked of a model about an image that was explained, and kept."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pytest_lime.cache import digest
from pytest_lime.errors import ModelError, OptionError, count_words, nearest, one_line
from pytest_lime.explanation import Explanation
from pytest_lime.fills import fill_image, looks_unchanged
from pytest_lime.footprints import project_region
from pytest_lime.forward import Canvas, Portion
from pytest_lime.models.named import load_model
from pytest_lime.models.protocol import Model, check_model, normalisation, prepare
from pytest_lime.probes import TRANSFORMS, Intervention
from pytest_lime.regions import Region, same_region
from pytest_lime.sampling import sample
from pytest_lime.scenes import Scene
from pytest_lime.streams import Aside, Bench, SampleStream

__all__ = ["Laboratory", "check_network", "intervene_beside"]

Array = NDArray[np.float64]
PROBE = "probe"
# The second of two fills, and what it is where the check itself has that one.
OTHER_FILL, ELSE = "blur", "image_mean"
DARKER = 0.7
COLOURS = {(0, 0, 0): "black", (1, 1, 1): "white", (0,): "black", (1,): "white"}
# Of passes that must not depend on what shares their batch.
BATCH = 16
# Label 1 is the region: first the image without it, then it alone.
WITHOUT_AND_ALONE = np.array([[1, 0], [0, 1]], dtype=np.uint8)


class Laboratory:
    """Asks more of the model about the image, superpixels and class of a stream.

    Parameters
    ----------
    stream : SampleStream
    explanation : Explanation
        What came of it.
    shelf : object, optional
        Where the baselines of the test are, for claims that compare with one.
    load : callable
        Returns the model of a ``"module:attribute"``.

    Attributes
    ----------
    named : bool
        Whether the class was asked for, and is not the one that is predicted.
    passes : int
        Images that the model has seen for what was asked here, those beside the samples among them.
    """

    def __init__(
        self,
        stream: SampleStream,
        explanation: Explanation,
        shelf: Any = None,
        load: Callable[[str], Model] = load_model,
    ) -> None:
        self.explanation = explanation
        self.named = stream.named
        self.shelf = shelf
        self._load = load
        self.passes = 0
        self._stream, self._bench, self._scene = stream, stream.bench, stream.scene
        self._target = explanation.targets[0]
        self._known: list[Intervention] = []

    def scores(self, masks: NDArray[np.uint8]) -> Array:
        """Return the scores of the target for masks of the superpixels, (N,) float64.

        Parameters
        ----------
        masks : N×d uint8 array
            1 shows a superpixel, 0 hides it under the fill of the check.

        Raises
        ------
        OptionError
            `masks` is something else.
        """
        rows, d = np.asarray(masks), self._scene.superpixels
        if rows.ndim != 2 or rows.shape[1] != d or not len(rows) or not np.isin(rows, (0, 1)).all():
            raise OptionError(
                f"lab.scores: masks={one_line(masks)} must be an N×{d} array of 0 and 1, with a row at least."
            )
        return self._asked([_Question(self._scene.segments, rows.astype(np.uint8))])[0]

    def intervene(self, regions: Sequence[Region]) -> list[Intervention]:
        """Hide each region, to the pixel, and show each alone, under the check's own fill and one other."""
        missing = [region for region in regions if not any(same_region(region, one.region) for one in self._known)]
        if missing:
            self._known += self._intervene(missing)
        return [next(one for one in self._known if same_region(region, one.region)) for region in regions]

    def hidden(self, interventions: Sequence[Intervention]) -> dict[str, NDArray[np.float32]]:
        """Return what the model saw of each intervention, C×H×W, by the keys that records have for its pictures.

        These are ``without.R.F`` and ``alone.R.F``, R the place of the intervention and F that of the fill.
        """
        scene, found = self._scene, {}
        for place, one in enumerate(interventions):
            seen = project_region(one.region, scene.image, scene.view)
            for number, fill in enumerate((scene.filled, self._other_fill)):
                found[f"without.{place}.{number}"] = np.where(seen, fill, scene.pixels)
                found[f"alone.{place}.{number}"] = np.where(seen, scene.pixels, fill)
        return found

    @functools.cached_property
    def _other_fill(self) -> NDArray[np.float32]:
        return _other_fill(self._bench, self._scene)

    def _intervene(self, regions: Sequence[Region]) -> list[Intervention]:
        found = self._asked(_interventions(self._scene, regions))
        whole, fills = float(self.explanation.score[0]), _fills(self._bench)
        made = []
        for region, first, last in zip(regions, found[::2], found[1::2], strict=True):
            without, alone = (tuple(float(scores[place]) for scores in (first, last)) for place in (0, 1))
            made.append(Intervention(region, fills, whole, without, alone))
        return made

    def with_seed(self, seed: int) -> Explanation:
        """Explain the same image with as many samples, drawn with another seed, on the same superpixels."""
        return self._explain(self._scene, seed=seed)

    def transformed(self, name: str) -> Explanation:
        """Explain the image after ``"hflip"`` or ``"brightness"``; its superpixels keep their numbers and go along.

        Raises
        ------
        OptionError
            There is no such transformation.
        """
        if name not in TRANSFORMS:
            raise OptionError(
                f"transformation {one_line(name)} must be one of {', '.join(map(repr, TRANSFORMS))}"
                f"{nearest(name, TRANSFORMS)}."
            )
        scene = self._scene
        change: Callable[[NDArray[Any]], NDArray[Any]]
        if name == "hflip":
            change = lambda values: np.ascontiguousarray(values[..., ::-1])  # noqa: E731
            segments = change(scene.segments)
        else:
            change = lambda values: (values * np.float32(DARKER)).astype(np.float32)  # noqa: E731
            segments = scene.segments
        changed = dataclasses.replace(
            scene, pixels=change(scene.pixels), filled=change(scene.filled), segments=segments
        )
        return self._explain(changed)

    def randomised(self) -> Explanation:
        """Explain the same image and masks by a network whose weights were shuffled, each tensor within itself.

        Raises
        ------
        OptionError
            The model has no torch network, or one that cannot be copied.
        """
        model = self._bench.model
        check_network(model, "sane")
        shuffled = self._other(_shuffled(model), samples=self.explanation.samples)
        # What a model says of itself it may say of its shuffled copy, too.
        shuffled.asked = self._bench.asked and digest(self._bench.asked, "shuffled")
        return self._sampled(shuffled, self._scene, self._target)

    def again(
        self, *, samples: int, segments: NDArray[np.int64] | None = None, model: Model | str | None = None
    ) -> Explanation:
        """Explain the image by the first so many masks, in passes of their own and batches of one size.

        What other passes share a batch can move a score by rounding; here nothing but the model can.

        Parameters
        ----------
        samples : int
        segments : H×W int64 array, optional
            Other superpixels.
        model : Model, or ``"module:attribute"``, optional
            Another model, which must have the class and see the same of the image.

        Raises
        ------
        LimeError
            The other model has not, or does not.
        """
        scene = self._scene
        if segments is not None and not np.array_equal(segments, scene.segments):
            scene = self._cut(segments)
        other = None if model is None else check_model(self._load(model) if isinstance(model, str) else model)
        bench = self._other(other, samples=samples, batch_size=BATCH)
        bench.asked = bench.asked and digest(bench.asked, "in batches of one size", BATCH)
        if other is None:
            return self._sampled(bench, scene, self._target)
        pixels, view = prepare(bench.model, scene.image)
        if pixels.shape != scene.pixels.shape or view.box != scene.view.box:
            first, second = (
                f"{width}×{height} pixels in {count_words(channels, 'channel')} of {tuple(round(end) for end in box)}"
                for (channels, height, width), box in (
                    (pixels.shape, view.box),
                    (scene.pixels.shape, scene.view.box),
                )
            )
            raise ModelError(
                f"{one_line(model)} sees {scene.image.name!r} as {first}, and {one_line(self._bench.model)} as "
                f"{second}: two models are compared on the same superpixels of the same picture."
            )
        label = self.explanation.labels[0]
        # Their classes may have another order, and the same label twice tells nothing.
        named = self._bench.labels is not None and (bench.labels or ()).count(label) == 1
        return self._sampled(bench, scene, label if named else self._target)

    def _cut(self, segments: NDArray[np.int64]) -> Scene:
        """Return the scene on other superpixels."""
        scene, options = self._scene, self._bench.options
        zero, _ = normalisation(self._bench.model)
        filled = fill_image(scene.pixels, segments, options.fill, seed=options.seed, zero=zero)
        unchanged = looks_unchanged(scene.pixels, filled, segments)
        return dataclasses.replace(scene, segments=segments, filled=filled, unchanged=unchanged)

    def _explain(self, scene: Scene, **changes: Any) -> Explanation:
        return self._sampled(self._other(samples=self.explanation.samples, **changes), scene, self._target)

    def _other(self, model: Model | None = None, **changes: Any) -> Bench:
        """Return a bench of the same model, or of another one, with some other options."""
        bench = self._bench
        options = dataclasses.replace(bench.options, **changes)
        return Bench(model or bench.model, options, bench.cache, device=str(bench.engine.device))

    def _sampled(self, other: Bench, scene: Scene, target: Any) -> Explanation:
        """Explain `target` with as many samples as the options of `other` say."""
        pace = self._bench.engine.pace(scene.pixels.shape)
        if pace.settled:
            other.engine.pace(scene.pixels.shape).recall(pace.size, pace.layout)
        ((stream, explanation),) = sample(other.engine, [SampleStream(other, scene, target)])
        self.passes += stream.passes
        return explanation

    def _asked(self, questions: Sequence[_Question]) -> list[Array]:
        """Return the scores of the target for each question, in batches that they share.

        The second fill is made only when the model has to be asked.
        """
        bench, scene = self._bench, self._scene
        found = _beside(self._stream, questions)
        key = _key(bench, scene, self._target, questions)
        if len(found) < len(questions):
            if (stored := _stored(bench, key, questions)) is not None:
                return stored
            portions = [
                Portion(aside.canvas, aside.masks, [self._target]) for aside in _asides(bench, scene, questions)
            ]
            found = [scores[:, 0] for scores in bench.engine.submit(portions).results()]
        self.passes += sum(map(len, found))
        _store(bench, key, found)
        return found


def intervene_beside(stream: SampleStream, regions: Sequence[Region]) -> None:
    """Let what `Laboratory.intervene` will ask of `regions` be scored beside the samples of `stream`.

    Then it needs no batch of its own, and nobody waits for it. What the cache holds is not asked, as long as the
    target is known beforehand.
    """
    if not regions:
        return
    questions = _interventions(stream.scene, regions)

    def key(stream: SampleStream) -> str | None:
        target = stream.first_target
        return None if target is None else _key(stream.bench, stream.scene, target, questions)

    def known(stream: SampleStream) -> bool:
        return _stored(stream.bench, key(stream), questions) is not None

    def keep(stream: SampleStream) -> None:
        _store(stream.bench, key(stream), _beside(stream, questions))

    if not known(stream):
        asides = _asides(stream.bench, stream.scene, questions)
        stream.asides += [aside._replace(known=known, keep=keep) for aside in asides]


@dataclasses.dataclass(frozen=True, eq=False)
class _Question:
    """Masks of some superpixels of the scene, under its own fill or the second one of interventions."""

    segments: NDArray[np.int64]
    masks: NDArray[np.uint8]
    own_fill: bool = True

    @functools.cached_property
    def about(self) -> str:
        """What tells it from any other question about the same scene."""
        return digest(self.segments.astype(np.uint16), self.masks, self.own_fill)


def _interventions(scene: Scene, regions: Sequence[Region]) -> list[_Question]:
    """Return two questions a region, one a fill."""
    seen = [project_region(region, scene.image, scene.view).astype(np.int64) for region in regions]
    return [_Question(mask, WITHOUT_AND_ALONE, own) for mask in seen for own in (True, False)]


def _fills(bench: Bench) -> tuple[str, str]:
    """Return the names of the two fills of interventions: the check's own, and another."""
    own = _called(bench.options.fill)
    return own, OTHER_FILL if own != OTHER_FILL else ELSE


def _other_fill(bench: Bench, scene: Scene) -> NDArray[np.float32]:
    """Return what shows through under the second fill, C×H×W; nothing but the pixels and its name tell what it is."""
    return fill_image(scene.pixels, scene.segments, _fills(bench)[1])


def _asides(bench: Bench, scene: Scene, questions: Sequence[_Question]) -> list[Aside]:
    """Return what asks the model `questions`."""
    fills = {True: scene.filled}
    if not all(question.own_fill for question in questions):
        fills[False] = _other_fill(bench, scene)
    return [
        Aside(
            question.about,
            Canvas(bench.engine, scene.pixels, fills[question.own_fill], question.segments, scene.image.name),
            question.masks,
        )
        for question in questions
    ]


def _key(bench: Bench, scene: Scene, target: int, questions: Sequence[_Question]) -> str | None:
    """Return where the scores of `questions` are kept; None where they are not to be."""
    # What the scene's own fill is, its digest tells.
    other = _fills(bench)[1]
    return bench.asked and digest(bench.asked, scene.digest, target, other, [question.about for question in questions])


def _stored(bench: Bench, key: str | None, questions: Sequence[_Question]) -> list[Array] | None:
    """Return what the cache holds under `key`, the scores of each question."""
    entry, lengths = None, [len(question.masks) for question in questions]
    if bench.cache and key:
        entry = bench.cache.get(PROBE, key, lambda entry: _is_sound(entry.arrays["scores"], sum(lengths)))
    return None if entry is None else np.split(entry.arrays["scores"].astype(np.float64), np.cumsum(lengths)[:-1])


def _store(bench: Bench, key: str | None, found: Sequence[Array]) -> None:
    if bench.cache and key:
        bench.cache.put(PROBE, key, {}, {"scores": np.concatenate(found)})


def _beside(stream: SampleStream, questions: Sequence[_Question]) -> list[Array]:
    """Return the scores of the first target for each of `questions` that was asked beside the samples of `stream`."""
    target = stream.first_target
    found = [] if target is None else [stream.scored(question.about, [target]) for question in questions]
    return [scores[:, 0] for scores in found if scores is not None]


def check_network(model: Model, claim: str) -> None:
    """Raise an `OptionError` where `claim` asks the network of a model that has none."""
    if not isinstance(getattr(model, "net", None), torch.nn.Module):
        raise OptionError(
            f"{claim} needs a torch network whose weights can be shuffled (TorchModel, TimmModel, HuggingFaceModel); "
            f"{type(model).__name__} has none: leave the claim out."
        )


def _called(fill: Any) -> str:
    """Return what a fill is called in words."""
    if isinstance(fill, str):
        return fill
    if callable(fill):
        return one_line(fill)
    return COLOURS.get(tuple(fill), f"colour {one_line(fill)}")


def _is_sound(scores: NDArray[Any], count: int) -> bool:
    return scores.shape == (count,) and scores.dtype == np.float64 and bool(np.isfinite(scores).all())


def _shuffled(model: Any) -> Any:
    """Return a copy of `model` in which the weights of each tensor of its network were shuffled."""
    try:
        other = copy.deepcopy(model)
    except Exception as error:
        raise OptionError(
            f"sane needs a network that can be copied, and {type(model).__name__} cannot ({error}): leave it out."
        ) from None
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode(False), torch.no_grad():
        for parameter in other.net.parameters():
            order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return other
