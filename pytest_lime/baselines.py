"""Baselines: stored explanations, one JSON file each, and what has changed since."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from pytest_lime.agreement import rank_correlation
from pytest_lime.errors import BaselineError, count_words, is_for_the_user, one_line
from pytest_lime.explanation import Explanation
from pytest_lime.records import stem_of, write_atomically

__all__ = ["Baseline", "Change", "Shelf", "file_name", "picture_of", "read_baseline"]

__tracebackhide__ = is_for_the_user

Array = NDArray[np.float64]
FORMAT = "pytest-lime baseline"
VERSION = 1
# Digits of a stored figure: fewer than a float has, so that a diff can be read, and more than any change that matters.
DIGITS = 8
# The options that decide what a weight means; superpixels, masks and their number are stored themselves.
METHOD = (
    *("sampler", "seed", "fill", "distance", "kernel", "kernel_width", "surrogate", "alpha"),
    *("feature_selection", "num_features", "precision"),
)
# What a file must say, and of which kind.
KINDS: dict[str, Any] = {
    **dict.fromkeys(("test", "name", "masks", "image.name", "image.sha256", "target.label"), str),
    **dict.fromkeys(("samples", "image.width", "image.height", "target.index", "superpixels.count"), int),
    **dict.fromkeys(("image", "view", "target", "method", "environment", "superpixels"), dict),
    **dict.fromkeys(("weights", "image.means", "view.box", "view.shape"), list),
    **dict.fromkeys(("score", "rounding"), (int, float)),
    "superpixels.labels": str,
}
# Means of so many fields of the image, each way, tell whether it is the same one, however its file was decoded.
FIELDS = 4
# Decoders differ by a level or two of 255 in single pixels, and by less in a mean.
SAME_IMAGE = 0.004
# Of each error that the scores of a pass may have by rounding, so much may show in a weight.
ROUNDING = 4.0
# Where rounding could be more than this share of the largest weight, as in sixteen bits, it explains nothing away.
NEGLIGIBLE = 0.01
COLOURS = 64


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Baseline:
    """One stored explanation of one class.

    Attributes
    ----------
    test, name : str
        Whose it is: the test, and what tells its baselines apart.
    image : mapping
        ``name``, ``width``, ``height``, ``sha256`` of the decoded pixels, and ``means``, 4×4 mean levels.
    view : mapping
        ``box`` of the file that the model sees, and the ``shape`` at which.
    target : mapping
        ``index`` and ``label``.
    score : float
        Of the whole image.
    method : mapping
        The options that decide what a weight means.
    segments : H×W int64 array
    samples : int
    masks : str
        Digest of the masks.
    weights : (d,) float64 array
    rounding : float
        By how much rounding may move a score.
    environment : mapping from name to version
    """

    test: str
    name: str
    image: Mapping[str, Any]
    view: Mapping[str, Any]
    target: Mapping[str, Any]
    score: float
    method: Mapping[str, Any]
    segments: NDArray[np.int64]
    samples: int
    masks: str
    weights: Array
    rounding: float
    environment: Mapping[str, str]

    @classmethod
    def of(cls, explanation: Explanation, *, test: str, name: str, environment: Mapping[str, str]) -> Baseline:
        """Return what is stored of an explanation's first class."""
        return cls(
            test=test,
            name=name,
            image={**explanation.image.facts, "means": _means(explanation.image.pixels)},
            view=explanation.view.facts,
            target={"index": int(explanation.targets[0]), "label": explanation.labels[0]},
            score=_short(explanation.score[0]),
            method=method_of(explanation),
            segments=explanation.segments,
            samples=explanation.samples,
            masks=hashlib.sha256(np.packbits(explanation.masks).tobytes()).hexdigest(),
            weights=np.array([_short(weight) for weight in explanation.weights[0]]),
            rounding=_short(explanation.rounding[0]),
            environment=dict(environment),
        )

    def as_json(self) -> str:
        """Return the file's text: sorted, a weight a line."""
        values = {
            "format": FORMAT,
            "version": VERSION,
            **{name: value for name, value in vars(self).items() if name not in ("segments", "weights")},
            "superpixels": {
                "count": len(self.weights),
                "labels": base64.b64encode(zlib.compress(self.segments.astype("<u2").tobytes(), 9)).decode(),
            },
            "weights": self.weights.tolist(),
        }
        return json.dumps(values, ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False) + "\n"

    def differences(self, explanation: Explanation) -> list[str]:
        """Return why an explanation cannot be compared with this one, as clauses; empty where it can."""
        image, view = explanation.image, explanation.view
        found = []
        size = self.image["height"], self.image["width"]
        if size != image.size:
            found.append(f"it was {size[1]}×{size[0]} pixels and is {image.size[1]}×{image.size[0]}")
        elif float(np.abs(np.subtract(self.image["means"], _means(image.pixels))).max()) > SAME_IMAGE:
            found.append("its pixels are others")
        if view.facts["shape"] != self.view["shape"] or not np.allclose(self.view["box"], view.box):
            found.append(f"the model sees {_seen(view.facts)} of it, and saw {_seen(self.view)}")
        if explanation.labels[0] != self.target["label"]:
            found.append(f"the class was {self.target['label']!r} and is {explanation.labels[0]!r}")
        now = method_of(explanation)
        found += [
            f"{name} was {one_line(self.method.get(name))} and is {one_line(now[name])}"
            for name in METHOD
            if self.method.get(name) != now[name]
        ]
        return found

    def elsewhere(self, environment: Mapping[str, str]) -> list[str]:
        """Return in what it was made otherwise than now, as clauses."""
        return [
            f"{name} {before}, now {environment.get(name, 'none')}"
            for name, before in sorted(self.environment.items())
            if environment.get(name) != before
        ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Change:
    """What has changed between two explanations on the same superpixels and masks.

    Attributes
    ----------
    rank_correlation : float in [−1, 1]
        Spearman's, over all superpixels; 1 where no weight changed, 0 where one side is flat.
    jaccard : float in [0, 1]
        Intersection over union of the `k` superpixels of largest positive weight.
    entered, left : tuple of int
        Superpixels that came among these, and that went.
    change : float
        The largest change of a weight, as a share of the largest weight before.
    where : int
        The superpixel of that change.
    score : (float, float)
        Before and now.
    nothing : bool
        No weight and no score changed, in all digits that are stored.
    rounding : bool
        Nothing changed that rounding does not explain.
    """

    rank_correlation: float
    jaccard: float
    k: int
    entered: tuple[int, ...]
    left: tuple[int, ...]
    change: float
    where: int
    score: tuple[float, float]
    nothing: bool
    rounding: bool

    @classmethod
    def between(cls, before: Baseline, now: Baseline, k: int) -> Change:
        """Compare two baselines on the same superpixels."""
        first, second = before.weights, now.weights
        moved, largest = np.abs(second - first), float(np.abs(first).max())
        slack = ROUNDING * (before.rounding + now.rounding)
        nothing = not moved.any() and before.score == now.score
        tiny = slack <= NEGLIGIBLE * largest and moved.max() <= slack and abs(now.score - before.score) <= slack
        rounding = nothing or bool(tiny)
        top, other = (_top(weights, k) for weights in (first, second))
        union = top | other
        correlation = float(rank_correlation(second[None], first)[0])
        same = 1.0 if rounding else 0.0
        return cls(
            rank_correlation=same if rounding or math.isnan(correlation) else correlation,
            jaccard=1.0 if rounding or not union else len(top & other) / len(union),
            k=k,
            entered=() if rounding else tuple(sorted(other - top, key=lambda one: -second[one])),
            left=() if rounding else tuple(sorted(top - other, key=lambda one: -first[one])),
            change=float(moved.max()) / largest if largest > 0 else math.inf if moved.any() else 0.0,
            where=int(moved.argmax()),
            score=(before.score, now.score),
            nothing=nothing,
            rounding=rounding,
        )

    @property
    def words(self) -> str:
        """What changed, in words."""
        if self.nothing:
            return "nothing changed"
        if self.rounding:
            return f"nothing changed but rounding (at most {100 * self.change:.2g} % of the largest weight)"
        moves = [
            f"{_listed(superpixels)} {verb} the top {self.k}"
            for superpixels, verb in ((self.entered, "entered"), (self.left, "left"))
            if superpixels
        ]
        first, second = (f"{score:.4g}" for score in self.score)
        largest = f"largest change {100 * self.change:.3g} % of the largest weight, of superpixel {self.where}"
        return "; ".join(
            [
                f"rank correlation {self.rank_correlation:.3f}",
                *(moves or [f"the top {self.k} stayed"]),
                largest if math.isfinite(self.change) else "before, no superpixel had any weight",
                f"score {first} → {second}",
            ]
        )


class Shelf:
    """The baselines of one test.

    Parameters
    ----------
    folder : Path
        Where they are.
    shown : str
        How that folder is called in messages.
    test : str
        The test's name, from that folder on.
    mode : ``"compare"``, ``"new"`` or ``"update"``
        Write nothing, what is missing, or what changed, too.
    command : str
        What makes a missing one.
    environment : mapping from name to version
    """

    def __init__(
        self, folder: Path, *, shown: str, test: str, mode: str, command: str, environment: Mapping[str, str]
    ) -> None:
        self.folder, self.test, self.mode = folder, test, mode
        self.environment = environment
        self._shown, self._command = shown, command
        # What a name was used for, in this attempt.
        self._used: dict[str, tuple[Any, ...]] = {}
        self._told: list[dict[str, Any]] = []

    def shown(self, name: str) -> str:
        """Return how the file of `name` is called in messages."""
        return f"{self._shown}/{file_name(self.test, name)}"

    @property
    def used(self) -> list[str]:
        """The files that the test has asked for, whether they are there or not."""
        return [self.shown(name) for name in self._used]

    def claim(self, name: str, explanation: Explanation, *, given: bool) -> None:
        """Take `name` for an image, a class and a method; `given` says that the user chose it.

        Raises
        ------
        BaselineError
            Another image, class or method of this test has it.
        """
        asked = explanation.image.sha256, explanation.targets[0], explanation.options.samples, method_of(explanation)
        taken = self._used.setdefault(name, asked)
        if taken == asked:
            return
        shared = f"two checks of this test would share the baseline {self.shown(name)}"
        if given:
            raise BaselineError(
                f"{shared}, since unchanged({name!r}) names one for both: leave the name out, or "
                "give each check another."
            )
        if taken[0] != asked[0]:
            raise BaselineError(
                f"{shared}, since two images are called {explanation.image.name!r}: rename one, or make a check of "
                "each with a name of its own, such as unchanged('second')."
            )
        raise BaselineError(
            f"{shared}, and differ in their options: give one of them a name of its own, such as unchanged('second')."
        )

    def find(self, name: str) -> Baseline | None:
        """Return the baseline of `name`, or None where there is none.

        Raises
        ------
        BaselineError
            The file is damaged, or not one of ours.
        """
        path = self.folder / file_name(self.test, name)
        found = read_baseline(path, self.shown(name))
        if found is not None and (found.test, found.name) != (self.test, name):
            raise BaselineError(
                f"{self.shown(name)} is the baseline of {found.test!r}, {found.name!r}, and not of this test: rename "
                f"it back, or write this one with {self._command}."
            )
        return found

    def missing(self, name: str) -> BaselineError:
        """Return the error that says how to make the baseline of `name`."""
        return BaselineError(
            f"there is no baseline {self.shown(name)} to compare with: look at what the model does now, and make it "
            f"with {self._command}."
        )

    def outdated(self, name: str, why: Sequence[str]) -> BaselineError:
        """Return the error that says why the baseline of `name` cannot be compared with."""
        return BaselineError(
            f"the baseline {self.shown(name)} is of something else ({'; '.join(why)}): undo that, or write it anew "
            f"with {self._command}."
        )

    def put(self, baseline: Baseline, picture: bytes) -> None:
        """Write a baseline, whole or not at all, and its picture beside it.

        Raises
        ------
        BaselineError
            It cannot be written.
        """
        path = self.folder / file_name(self.test, baseline.name)
        try:
            # For eyes only, no test reads it; and first, so that a file without its picture is not taken to be whole.
            write_atomically(path.with_suffix(".png"), picture)
            write_atomically(path, baseline.as_json().encode("utf-8", "backslashreplace"))
        except OSError as error:
            raise BaselineError(
                f"{self.shown(baseline.name)} cannot be written: {error.strerror or error} "
                f"({error.filename or self.folder})."
            ) from None

    def has_picture(self, name: str) -> bool:
        """Whether the picture of a baseline is there."""
        return (self.folder / file_name(self.test, name)).with_suffix(".png").exists()

    def tell(self, name: str, action: str, words: str = "") -> None:
        """Note what became of a baseline: ``"compared"``, ``"written"``, ``"updated"`` or ``"kept"``."""
        self._told.append({"file": self.shown(name), "action": action, "words": words})

    def take_told(self) -> list[dict[str, Any]]:
        """Hand over the notes since the last call."""
        told, self._told = self._told, []
        return told


def file_name(test: str, name: str) -> str:
    """Return the name of a baseline's file: a readable slug, a dash, ten hex digits of the whole.

    >>> file_name("test_cat.py::test_head[tabby cat]", "chelsea.png, Egyptian cat")
    'test-head-tabby-cat-chelsea-png-egyptian-cat-2b7281c785.json'
    """
    readable = f"{test.partition('::')[2] or test} {name}"
    # A separator that neither can hold.
    whole = f"{test}\0{name}"
    return f"{stem_of(readable, whole, empty='baseline')}.json"


def read_baseline(path: Path, shown: str = "") -> Baseline | None:
    """Read one baseline; None where there is no such file.

    Raises
    ------
    BaselineError
        The file is damaged, or not one of ours.
    """
    shown = shown or str(path)
    try:
        values = json.loads(path.read_bytes().decode("utf-8"), parse_constant=_refuse)
        if values["format"] != FORMAT:
            raise KeyError("format")
        if values["version"] != VERSION:
            raise BaselineError(
                f"the baseline {shown} has version {one_line(values['version'])} and this pytest-lime reads {VERSION}: "
                "use the version that wrote it, or write it anew with --lime-update."
            )
        return _read(values)
    except FileNotFoundError:
        return None
    except BaselineError:
        raise
    except OSError as error:
        raise BaselineError(f"the baseline {shown} cannot be read: {error.strerror or error}.") from None
    except Exception as error:  # whatever was cut off, merged badly or written by hand
        raise BaselineError(
            f"the baseline {shown} is damaged ({type(error).__name__}: {one_line(str(error))}): take it from version "
            "control again, or write it anew with --lime-update."
        ) from None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _read(values: Mapping[str, Any]) -> Baseline:
    """Return a baseline whose values are all of the kinds that whoever compares with it relies on."""
    for name, kinds in KINDS.items():
        place, _, key = name.partition(".")
        value = values[place][key] if key else values[place]
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise TypeError(f"{name} is {one_line(value, 30)}")
    height, width = (int(length) for length in values["view"]["shape"])
    weights, means, box = (
        np.array(part, dtype=np.float64)
        for part in (values["weights"], values["image"]["means"], values["view"]["box"])
    )
    numbers = [values["score"], values["rounding"], *weights, *means, *box]
    if (means.shape, box.shape) != ((FIELDS * FIELDS,), (4,)) or not np.isfinite(np.array(numbers, float)).all():
        raise ValueError("a figure is missing, or not finite")
    if values["rounding"] < 0 or [name for name in METHOD if name not in values["method"]]:
        raise ValueError("rounding or method cannot be")
    # What is packed is as large as the picture that the model sees, whatever the file says.
    packed = zlib.decompressobj()
    labels = packed.decompress(base64.b64decode(values["superpixels"]["labels"]), 2 * height * width + 1)
    segments = np.frombuffer(labels, dtype="<u2").reshape(height, width).astype(np.int64)
    if not (np.array_equal(np.unique(segments), np.arange(len(weights))) and weights.ndim == 1):
        raise ValueError("weights and superpixels do not belong together")
    fields = {field.name: values[field.name] for field in dataclasses.fields(Baseline) if field.name in values}
    fields.update(score=float(values["score"]), rounding=float(values["rounding"]), segments=segments, weights=weights)
    return Baseline(**fields)


def picture_of(explanation: Explanation) -> bytes:
    """Return the heatmap over what the model sees, as a PNG of few colours."""
    from PIL import Image  # noqa: PLC0415  (for an update only)

    drawn = Image.fromarray(explanation.overlay(explanation.targets[0])).quantize(COLOURS)
    buffer = io.BytesIO()
    drawn.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def method_of(explanation: Explanation) -> dict[str, Any]:
    """Return the options that decide what a weight means, as JSON values."""
    options = explanation.options.as_json()
    # Which sampler there was in the end; a matrix of masks is known by its digest.
    return {**{name: options[name] for name in METHOD}, "sampler": explanation.sampler}


def _means(pixels: NDArray[Any]) -> list[float]:
    """Return the mean levels of 4×4 fields of an image, row by row."""
    rows, columns = (_fields(length) for length in pixels.shape[:2])
    return [round(float(pixels[row, column].mean(dtype=np.float64)), 4) for row in rows for column in columns]


def _fields(length: int) -> list[slice]:
    """Return four parts of a length, each of a pixel at least."""
    ends = np.linspace(0, length, FIELDS + 1).astype(int)
    starts = np.minimum(ends[:-1], length - 1)
    return [slice(start, max(stop, start + 1)) for start, stop in zip(starts, ends[1:], strict=True)]


def _short(value: float) -> float:
    return float(f"{float(value):.{DIGITS}g}")


def _top(weights: Array, k: int) -> set[int]:
    order = np.argsort(-weights, kind="stable")[:k]
    return {int(superpixel) for superpixel in order if weights[superpixel] > 0}


def _listed(superpixels: Sequence[int]) -> str:
    if len(superpixels) == 1:
        return f"superpixel {superpixels[0]}"
    return f"{count_words(len(superpixels), 'superpixel')} ({', '.join(map(str, superpixels))})"


def _seen(view: Mapping[str, Any]) -> str:
    (x0, y0, x1, y1), (height, width) = view["box"], view["shape"]
    return f"({x0:g}, {y0:g}) to ({x1:g}, {y1:g}) at {width}×{height}"
