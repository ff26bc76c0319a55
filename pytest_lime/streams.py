"""Streams: the samples of one image, drawn in order, scored in portions, stored, and looked at."""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pytest_lime.agreement import GRADCAM, OCCLUSION
from pytest_lime.cache import Cache, Entry, digest
from pytest_lime.errors import LimeError, ModelError, TargetError, one_line
from pytest_lime.explanation import Explanation, find_class, fit_fields, fit_samples
from pytest_lime.fingerprint import fingerprint, versions
from pytest_lime.forward import LAYOUTS, Canvas, Engine, Portion, choose_device
from pytest_lime.kernels import sample_weights
from pytest_lime.models.protocol import Model, check_labels, normalisation
from pytest_lime.opinions import each_hidden, second_opinions
from pytest_lime.options import LimeOptions
from pytest_lime.perturbation import MaskStream
from pytest_lime.scenes import Scene

__all__ = ["Aside", "Bench", "SampleStream", "TopLabels"]

Array = NDArray[np.float64]
Masks = NDArray[np.uint8]
SAMPLES, OPINION, PACE = "samples", "opinion", "pace"
# Samples where "auto" has no claim to decide.
UNASKED = 1000
# Each look of "auto" comes after so many times the samples of the one before. Looks cost time, not confidence.
GROWTH, STEP = 1.1, 16
# A surrogate that is not fitted in closed form takes longer for a look.
GROWTH_OF_SLOW = 1.5
# The first look leaves so many degrees of freedom at least, and has so many samples: fewer may hold nothing of what
# happens in one mask of 32, such as when five superpixels are all shown, and then know nothing of their own errors.
# (31/32)¹²⁸ is 2 %.
FREEDOM, FIRST_LOOK = 8, 128
# Besides the classes asked for, scores of so many of the likeliest are stored, and how they fall when superpixels are
# hidden one by one: another test may ask for one of them.
KEPT = 16
# Where a model has so few classes, all are.
FEW = 32
CLOSED = ("ridge", "linear")
# What numbers are stored as.
STORED = (np.float32, np.float64, np.int64)
PIXEL_DISTANCES = ("pixel_cosine", "pixel_euclidean")
# Until the classes are known, scores of all of them are held.
FIRST = 256


@dataclasses.dataclass(frozen=True)
class TopLabels:
    """The target that is the `count` classes of highest score."""

    count: int


class Bench:
    """A model, ready to be asked about images under the same options: what their streams share.

    Parameters
    ----------
    model : Model
        As `check_model` returns it.
    options : LimeOptions
    cache : Cache, optional
        Where superpixels and samples are kept.
    device : str, optional
        What the device of the options is in this process.
    """

    def __init__(
        self, model: Model, options: LimeOptions, cache: Cache | None = None, *, device: str | None = None
    ) -> None:
        self.model = model
        self.options = options
        self.cache = cache
        self.labels = check_labels(model.labels)
        self.engine = Engine(
            model,
            choose_device(options.device if device is None else device, model),
            batch_size=options.batch_size,
            precision=options.precision,
            fuse=options.fuse,
        )

    @functools.cached_property
    def fingerprint(self) -> str | None:
        """What the model was like at first sight; None where nobody can tell."""
        try:
            return fingerprint(self.model)
        except LimeError:
            raise
        except Exception as error:  # the user's own code
            raise ModelError(
                f"the fingerprint of {one_line(self.model)} raised {type(error).__name__}: {error}; it must be a text, "
                "None, or a method without arguments that returns one of them."
            ) from error

    @functools.cached_property
    def asked(self) -> str | None:
        """What must be the same for scores to be the same, besides what the model sees; None to store nothing."""
        known = self.fingerprint if self.cache else None
        # TF32 on a GPU is another float32, and a fused network rounds otherwise.
        kind = self.engine.device.type, self.options.precision, self.engine.may_fuse, self.engine.resolution
        return known and digest(known, versions(), *kind)

    def recall_pace(self, shape: tuple[int, ...]) -> None:
        """Take the batch size from the cache, where it was measured before."""
        pace = self.engine.pace(shape)
        if self.cache and self.asked and not pace.settled:
            entry = self.cache.get(PACE, self._pace_key(shape), _is_pace)
            if entry is not None:
                pace.recall(int(str(entry.facts["size"])), str(entry.facts["layout"]))

    def keep_pace(self, shape: tuple[int, ...]) -> None:
        """Write down the batch size once it is found."""
        found = self.engine.pace(shape).found
        if self.cache and self.asked and found and self.options.batch_size == "auto":
            self.cache.put(PACE, self._pace_key(shape), {"size": found[0], "layout": found[1]}, {})

    def _pace_key(self, shape: tuple[int, ...]) -> str:
        return digest(self.asked, list(shape), str(self.engine.device), self.engine.machine)


class Aside(NamedTuple):
    """Masks that are scored beside the samples of a stream, so that they need no batch of their own.

    Attributes
    ----------
    about : str
        What they are asked for under, with `SampleStream.scored`.
    canvas : Canvas
        That of the stream, or the same image under another fill or on other superpixels.
    masks : N×d uint8 array
    known : callable
        Takes the stream. Whether the cache holds the answer by now: then nothing is scored.
    keep : callable
        Takes the stream. Stores the answer of a stream that nobody waits for any more.
    """

    about: str
    canvas: Canvas
    masks: Masks
    known: Callable[[SampleStream], bool] = lambda stream: False
    keep: Callable[[SampleStream], None] = lambda stream: None


def _occlusion_is_stored(stream: SampleStream) -> bool:
    return stream._recall_opinion(OCCLUSION)[0] is not None


def _keep_occlusion(stream: SampleStream) -> None:
    stream._ask(OCCLUSION)


class SampleStream:
    """The samples of one explanation: plan, score, add, look, and go on.

    No pass is made before the first portion is scored. What the cache holds is taken as if it had been scored.

    Parameters
    ----------
    bench : Bench
    scene : Scene
    target : label, index, list of them, None, or TopLabels
    opinions : sequence of str
        As `check_opinions` returns them.
    decides : bool
        Somebody waits for a decision: ``samples="auto"`` then looks as it goes.
    beside : sequence of labels and indices
        Classes that are explained after those of `target`, unless they are among them.

    Attributes
    ----------
    asides : list of Aside
        What is still to be scored beside the samples.
    next_look : int
        After how many samples it is to be looked at.

    Raises
    ------
    TargetError
        There is no such class.
    """

    def __init__(
        self,
        bench: Bench,
        scene: Scene,
        target: Any,
        *,
        opinions: Sequence[str] = (),
        decides: bool = False,
        beside: Sequence[Any] = (),
    ) -> None:
        self.bench, self.scene = bench, scene
        self.seconds = 0.0
        self._target, self._beside, self._wished = target, beside, opinions
        options = bench.options
        self._masks = MaskStream(options.sampler, scene.superpixels, options.seed)
        self.canvas = Canvas(bench.engine, scene.pixels, scene.filled, scene.segments, scene.image.name)
        self.adaptive = decides and options.samples == "auto" and self._masks.length is None
        wished = min(UNASKED, options.max_samples) if options.samples == "auto" else options.samples
        self.most: int = self._masks.length or (options.max_samples if self.adaptive else wished)
        self.next_look = min(self.most, self._first_look()) if self.adaptive else self.most
        # A label that does not exist is told before any pass where the labels are known.
        if bench.labels is not None:
            _targets(target, bench.labels, None)
            for other in beside:
                find_class(other, bench.labels)
        self._drawn: list[Masks] = []
        self._scores: list[Array] = []
        self._prediction: Array | None = None
        self._precise: Array | None = None
        self._precise_is_new = False
        self._targets: tuple[int, ...] = ()
        self._kept: tuple[int, ...] = ()
        self._confirmed = False
        self._asked: tuple[Masks, slice] | None = None
        self._returned: Masks = np.empty((0, scene.superpixels), dtype=np.uint8)
        self._opinions: dict[str, Array] = {}
        self._stored = np.empty((0, 0))
        self._place = self._key
        self._recall()
        self.asides: list[Aside] = []
        self._scored_beside: dict[str, Array] = {}
        self._keepers: set[Callable[[SampleStream], None]] = set()
        if OCCLUSION in opinions:
            stored, _ = self._recall_opinion(OCCLUSION)
            if stored is None:
                hidden = each_hidden(scene.superpixels)
                self.asides.append(Aside(OCCLUSION, self.canvas, hidden, _occlusion_is_stored, _keep_occlusion))
            elif self.begun:
                self._opinions[OCCLUSION] = self._of_targets(stored)

    def _first_look(self) -> int:
        units = self.scene.superpixels + 1 + FREEDOM
        return max(2 * units if self._masks.paired else units, self._masks.block, FIRST_LOOK)

    @property
    def samples(self) -> int:
        """How many samples there are by now."""
        return sum(map(len, self._drawn))

    @property
    def due(self) -> int:
        """How many samples are missing until the next look."""
        return self.next_look - self.samples

    @property
    def busy(self) -> bool:
        """Whether a portion is on its way."""
        return self._asked is not None

    @property
    def first_target(self) -> int | None:
        """The first class that is explained; None where only the model's scores will tell."""
        if self.begun:
            return self._targets[0]
        named = () if self.bench.labels is None else _targets(self._target, self.bench.labels, None)
        return named[0] if named and not self._doubtful else None

    @property
    def named(self) -> bool:
        """Whether the class was asked for, and is not the one that is predicted."""
        return self._target is not None and not isinstance(self._target, TopLabels)

    @property
    def begun(self) -> bool:
        """Whether anything is known of what the model says."""
        return self._prediction is not None

    @property
    def label(self) -> str:
        """What is explained, in words."""
        names = [self.class_names[index] for index in self._targets] if self._prediction is not None else []
        return f"{', '.join(map(repr, names)) + ' in ' if names else ''}{self.scene.image.name!r}"

    @property
    def passes(self) -> int:
        """How many images the model has seen for this explanation."""
        return self.canvas.passes

    @property
    def class_names(self) -> tuple[str, ...]:
        """A name for each class."""
        assert self._prediction is not None
        return self._names(self._prediction)

    def _names(self, prediction: Array) -> tuple[str, ...]:
        return self.bench.labels or tuple(map(str, range(len(prediction))))

    def draws_alike(self, other: SampleStream) -> bool:
        """Whether the cache hands the samples of `other` to a stream like this one."""
        return bool(self._key) and self._key == other._key

    @property
    def overtaken(self) -> bool:
        """Whether the cache has come to hold more samples than this has, since it was opened."""
        entry = self._entry(SAMPLES, self._place, self._sound)
        return entry is not None and len(entry.arrays["scores"]) > max(self.samples, len(self._stored))

    @property
    def place(self) -> str:
        """What tells samples, classes and opinions from any others; empty where samples are not kept, or not begun."""
        opinions = [(name, _version_of(name)) for name in self._wished]
        return digest(self._key, list(self._targets), opinions) if self._key and self.begun else ""

    def put_off(self, samples: int) -> bool:
        """Take the first look after so many samples, if the cache holds them; say whether it does."""
        there = self.next_look <= samples <= min(self.most, len(self._stored))
        if there:
            self.next_look = samples
        return there

    def go_on(self) -> bool:
        """Plan the next look; False where the samples have come to their end."""
        if self.samples >= self.most:
            return False
        options = self.bench.options
        closed = options.surrogate in CLOSED and options.feature_selection == "none"
        grown = max(self.next_look + STEP, self.next_look * (GROWTH if closed else GROWTH_OF_SLOW))
        self.next_look = min(self.most, math.ceil(grown / 2) * 2)
        return True

    def portion(self, most: int | None = None) -> Portion | None:
        """Return what is to be scored next, of the samples that are due; None where nothing is missing.

        Parameters
        ----------
        most : int, optional
            Rows at most.
        """
        self._take_stored()
        count = min(self.due, self.due if most is None else most)
        if self._prediction is None:
            count = 0 if self._doubtful else min(count, FIRST, (most or FIRST + 1) - 1)
        masks = self._draw(max(count, 0))
        if self._prediction is None:
            # The image itself goes first.
            self._asked = masks, slice(1, None)
            return Portion(self.canvas, np.concatenate([self.canvas.whole, masks]), None)
        if not len(masks):
            return None
        self._asked = masks, slice(None)
        return Portion(self.canvas, masks, list(self._kept))

    def _draw(self, count: int) -> Masks:
        """Return the next masks: first those that were given back."""
        back, self._returned = self._returned[:count], self._returned[count:]
        return np.concatenate([back, self._masks.draw(count - len(back))]) if len(back) else self._masks.draw(count)

    def give_back(self) -> None:
        """Take back the last portion, which was not scored: it comes again."""
        if self._asked is not None:
            (masks, _), self._asked = self._asked, None
            self._returned = np.concatenate([masks, self._returned])

    @property
    def _doubtful(self) -> bool:
        """Whether the target may turn out to be none once the classes are known: then that is told first."""
        named = self._target if isinstance(self._target, list | tuple) else [self._target]
        return self.bench.labels is None or (len(named) > 1 and None in named)

    def add(self, scores: Array) -> None:
        """Take the scores of the last portion."""
        assert self._asked is not None
        masks, rows = self._asked
        if self._prediction is None:
            self._begin(scores[0])
            scores = scores[:, self._kept]
        self._asked = None
        self._drawn.append(masks)
        self._scores.append(scores[rows])

    def _begin(self, prediction: Array) -> None:
        """Learn the scores of the whole image, and so which classes are explained and kept."""
        names = self._names(prediction)
        others = (find_class(other, names) for other in self._beside)
        self._targets = tuple(dict.fromkeys((*_targets(self._target, names, prediction), *others)))
        self._prediction = prediction
        likely = np.argsort(-prediction, kind="stable")[: len(prediction) if len(prediction) <= FEW else KEPT]
        self._kept = tuple(dict.fromkeys((*self._targets, *map(int, likely))))

    @property
    def again(self) -> Portion | None:
        """The image by itself once more, for `confirm`; None where that was done."""
        whole = self.canvas.whole
        if self._doubtful:
            # Then the image was alone the first time, and is not this time.
            whole = np.concatenate([whole, 1 - whole])
        return None if self._confirmed else Portion(self.canvas, whole, None)

    def aside_portions(self) -> list[tuple[Aside, Portion]]:
        """Return what of `asides` is to be scored next: all, unless more has to be known first.

        What another test on the same image has learned since this stream was opened is left out. Until the classes
        are known, the scores of all of them are held, and the target may turn out to be none.
        """
        if not self.begun and (self._doubtful or sum(len(aside.masks) for aside in self.asides) > FIRST):
            return []
        # Asked once: what has one answer is scored as a whole or not at all.
        known = {ask: ask(self) for ask in {aside.known for aside in self.asides}}
        self.asides = [aside for aside in self.asides if not known[aside.known]]
        classes = list(self._kept) if self.begun else None
        return [(aside, Portion(aside.canvas, aside.masks, classes)) for aside in self.asides]

    def take_aside(self, aside: Aside, portion: Portion, scores: Array) -> None:
        """Take the scores of one of `asides`, once those of the samples beside it are taken."""
        self.asides = [other for other in self.asides if other is not aside]
        self._scored_beside[aside.about] = scores[:, self._kept] if portion.classes is None else scores
        self._keepers.add(aside.keep)

    def scored(self, about: str, classes: Sequence[int]) -> Array | None:
        """Return what an aside came to, N×len(classes); None where it was not scored here."""
        found = self._scored_beside.get(about)
        return None if found is None else found[:, [self._kept.index(one) for one in classes]]

    def confirm(self, again: Array) -> None:
        """Compare all scores of the image with those that it had the first time, in another batch.

        What changes then would make every figure depend on chance or on the batch.

        Raises
        ------
        ModelError
            They changed.
        """
        assert self._prediction is not None
        off = float(np.abs(again - self._prediction).max())
        # A probability moves by many times the spacing of the logits that it comes from.
        if off > max(0.01, 25 * self._resolution) * np.abs(self._prediction).max():
            raise ModelError(
                f"the model scored the same image differently (by up to {off:.3g}) when asked again beside another: "
                "switch off dropout and other chance, and put batch normalisation into evaluation mode."
            )
        self._confirmed = True

    @property
    def _resolution(self) -> float:
        return self.bench.engine.resolution

    def look(self) -> Explanation:
        """Fit the surrogate to the samples so far."""
        assert self._prediction is not None
        if (again := self.again) is not None:
            self.confirm(self.bench.engine.submit([again]).results()[0][0])
        self._ask_others()
        shift = self._precision_shift()
        count = len(self._targets)
        masks, kept = np.concatenate(self._drawn), np.concatenate(self._scores)
        scores = np.ascontiguousarray(kept[:, :count])
        options, scene = self.bench.options, self.scene
        image, fill = self._received()
        weights = sample_weights(
            masks,
            distance=options.distance,
            kernel=options.kernel,
            width=options.kernel_width,
            image=image,
            fill=fill,
            segments=scene.segments,
        )
        complete = self._masks.sampler == "exhaustive" and len(masks) == self._masks.length
        fitted = fit_samples(
            options,
            masks,
            scores,
            weights,
            paired=self._masks.paired,
            complete=complete,
            rounding=self._resolution,
        )
        found = Explanation(
            image=scene.image,
            pixels=scene.pixels,
            view=scene.view,
            segments=scene.segments,
            unchanged=scene.unchanged,
            targets=self._targets,
            labels=tuple(self.class_names[index] for index in self._targets),
            **fit_fields(fitted),
            prediction=self._prediction,
            class_names=self.class_names,
            masks=masks,
            sample_scores=scores,
            sample_weights=weights,
            paired=self._masks.paired,
            complete=complete,
            anytime=self.adaptive,
            passes=self.passes,
            sampler=self._masks.sampler,
            seconds=self.seconds,
            batch_size=self.bench.engine.batch_size(self.canvas.shape),
            device=str(self.bench.engine.device),
            options=options,
            opinions={name: self._opinions[name] for name in self._wished},
            precision_shift=shift,
        )
        # Some of these arrays are this stream's own, and all are what other claims are judged on.
        return found.read_only()

    def _received(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return image and fill as the distances between pixels take them: after the model's normalisation."""
        if self.bench.options.distance not in PIXEL_DISTANCES:
            return self.scene.pixels, self.scene.filled
        mean, deviation = (part[:, None, None] for part in normalisation(self.bench.model))
        return (self.scene.pixels - mean) / deviation, (self.scene.filled - mean) / deviation

    def _precision_shift(self) -> Array:
        """Return by how much the precision asked for moves the scores of the whole image, (K,)."""
        assert self._prediction is not None
        targets = list(self._targets)
        if self.bench.options.precision == "float32":
            return np.zeros(len(targets))
        if self._precise is None:
            bench = self.bench
            precise = Engine(bench.model, bench.engine.device, batch_size=1)
            canvas = Canvas(precise, self.scene.pixels, self.scene.filled, self.scene.segments)
            self._precise, self._precise_is_new = precise.alone(canvas), True
            self.canvas.passes += 1
        return np.asarray(self._prediction[targets] - self._precise[targets])

    def _ask_others(self) -> None:
        """Ask other methods, once; the cache may know what they said."""
        for name in self._wished:
            if name not in self._opinions:
                self._opinions[name] = self._ask(name)

    def _ask(self, name: str) -> Array:
        """Return what another method says of each target, K×d, asked or stored."""
        assert self._prediction is not None
        # It may have had to wait, and need not come any more.
        self.asides = [aside for aside in self.asides if aside.about != name]
        stored, place = self._recall_opinion(name)
        if stored is not None:
            return self._of_targets(stored)
        # Occlusion has the scores of every class from the same passes, and Grad-CAM takes passes for each.
        classes = self._kept if name == OCCLUSION else self._targets
        said = second_opinions(
            [name],
            model=self.bench.model,
            canvas=self.canvas,
            pixels=self.scene.pixels,
            segments=self.scene.segments,
            classes=classes,
            prediction=self._prediction,
            hidden=self.scored(name, classes),
        )[name]
        arrays = {"classes": np.array(classes, dtype=np.int64), "said": said}
        if self.bench.cache and self._key:
            self.bench.cache.put(OPINION, place, {}, arrays)
        return self._of_targets(Entry({}, arrays))

    def _recall_opinion(self, name: str) -> tuple[Entry | None, str]:
        """Return what the cache holds of another method for all targets, or None and the place where it belongs."""
        shared = digest(self._key, name, _version_of(name), "by class")
        # As for samples, a class that is none of the likely ones has a place of its own.
        apart = digest(shared, list(self._targets))
        for place in (shared, apart) if name == OCCLUSION else (apart,):
            entry = self._entry(OPINION, place, self._is_opinion)
            if entry is None:
                break
            if set(self._targets) <= set(map(int, entry.arrays["classes"])):
                return entry, place
        return None, place

    def _of_targets(self, opinion: Entry) -> Array:
        """Return what an opinion, as it is stored, says of each target, K×d."""
        classes, said = list(map(int, opinion.arrays["classes"])), opinion.arrays["said"]
        return np.asarray(said[[classes.index(target) for target in self._targets]])

    def _is_opinion(self, entry: Entry) -> bool:
        """Return whether an entry holds what `_ask` writes."""
        classes, said = entry.arrays["classes"], entry.arrays["said"]
        return (
            _is_finite(said, (max(1, len(said)), self.scene.superpixels))
            and _is_finite(classes, (len(said),))
            and classes.dtype == np.int64
            and 0 <= classes.min() <= classes.max() < (math.inf if self._prediction is None else len(self._prediction))
        )

    # The cache

    @functools.cached_property
    def _key(self) -> str:
        """What the samples are stored under: all that they depend on; empty where they are not to be stored."""
        if self.bench.cache is None or self.bench.asked is None:
            return ""
        scene, options = self.scene, self.bench.options
        sampler = options.sampler if isinstance(options.sampler, str) else np.asarray(options.sampler)
        return digest(self.bench.asked, scene.digest, sampler, options.seed)

    def _entry(self, kind: str, place: str, sound: Callable[[Entry], Any]) -> Entry | None:
        """Return what the cache holds at `place`, if anything of this image is to be kept."""
        return self.bench.cache.get(kind, place, sound) if self.bench.cache and self._key else None

    def recall(self) -> None:
        """Take over what the cache has come to hold of these samples, as long as there are none."""
        if not (self.samples or self.busy):
            self._recall()

    def _recall(self) -> None:
        """Take over what the cache holds of these samples."""
        entry = self._entry(SAMPLES, self._key, self._sound)
        if entry is None:
            return
        self._begin(entry.arrays["prediction"].astype(np.float64))
        self._confirmed = True
        if not set(self._targets) <= set(map(int, entry.arrays["classes"])):
            # A class that is none of the likely ones has a place of its own, lest two tests drive each other's out.
            self._place = digest(self._key, list(self._targets))
            entry = self._entry(SAMPLES, self._place, self._sound)
        if entry is None:
            return
        classes = tuple(map(int, entry.arrays["classes"]))
        self._kept = (*self._targets, *(index for index in classes if index not in self._targets))
        self._stored = entry.arrays["scores"][:, [classes.index(index) for index in self._kept]].astype(np.float64)
        if "precise" in entry.arrays:
            self._precise = entry.arrays["precise"]

    def _sound(self, entry: Entry) -> bool:
        """Return whether an entry holds what `store` writes."""
        classes, prediction, scores = (entry.arrays[name] for name in ("classes", "prediction", "scores"))
        labels = self.bench.labels or prediction
        return (
            _is_finite(prediction, (len(labels),))
            and _is_finite(classes, (scores.shape[1],))
            and classes.dtype == np.int64
            and _is_finite(scores, (max(1, len(scores)), len(classes)))
            and 0 <= classes.min() <= classes.max() < len(prediction)
            and _is_finite(entry.arrays.get("precise", prediction), prediction.shape)
        )

    def _take_stored(self) -> None:
        """Take the next samples from what is stored."""
        count = min(self.due, len(self._stored) - self.samples)
        if count > 0:
            start = self.samples
            self._drawn.append(self._draw(count))
            self._scores.append(self._stored[start : start + count])

    def store(self) -> None:
        """Write the samples into the cache, where it does not hold them."""
        if not (self.bench.cache and self._key and self._confirmed and self._prediction is not None):
            return
        self.bench.keep_pace(self.canvas.shape)
        if self.samples <= len(self._stored) and not self._precise_is_new:
            return
        there = self._entry(SAMPLES, self._place, self._sound)
        if there is not None and len(there.arrays["scores"]) >= self.samples:
            # This stream, another one, or another process has got further before.
            arrays = dict(there.arrays)
            if self._precise is None or "precise" in arrays:
                return
        else:
            scores = np.concatenate(self._scores)
            single = scores.astype(np.float32)
            arrays = {
                "classes": np.array(self._kept, dtype=np.int64),
                "prediction": self._prediction,
                # Most models compute in single precision, which half the bytes hold.
                "scores": single if np.array_equal(single, scores) else scores,
            }
        if self._precise is not None:
            arrays["precise"] = self._precise
        self.bench.cache.put(SAMPLES, self._place, {"samples": len(arrays["scores"])}, arrays)

    def leave(self) -> None:
        """Write down what was scored so far and is confirmed, as nobody waits for the rest."""
        self.store()
        if self._confirmed:
            for keep in self._keepers:
                keep(self)


def _is_finite(array: NDArray[Any], shape: tuple[int, ...]) -> bool:
    return array.shape == shape and array.dtype in STORED and bool(np.isfinite(array).all())


def _is_pace(entry: Entry) -> bool:
    size, layout = entry.facts["size"], entry.facts["layout"]
    return type(size) is int and size >= 1 and layout in LAYOUTS


def _version_of(opinion: str) -> str:
    """Return the version of the package that another method comes from, where that is not ours."""
    try:
        return importlib.metadata.version("captum") if opinion.startswith(GRADCAM) else ""
    except importlib.metadata.PackageNotFoundError:  # then the method says so
        return ""


def _targets(target: Any, class_names: tuple[str, ...], prediction: Array | None) -> tuple[int, ...]:
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
