"""The engine: masked copies of images through a model, in batches that images share, on the device."""

from __future__ import annotations

import contextlib
import dataclasses
import platform
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray

from pytest_lime.allocator import keep_pages, out_of_memory
from pytest_lime.batches import LARGEST, Pace
from pytest_lime.errors import ModelError, OptionError
from pytest_lime.fusion import FusedNetwork
from pytest_lime.models.protocol import Model, check_scores, resolution

__all__ = ["Canvas", "Engine", "Pending", "Portion", "choose_device"]

# Bytes of one batch of masked copies at most. The network's own activations come on top, a hundred times as many and
# more; a network's threads are each busy with sixteen pictures of 224², and share memory with everything else.
MOST_BYTES = 40 * 2**20
MOST_BYTES_A_THREAD = 10 * 2**20
MOST_BYTES_ON_ACCELERATOR = 256 * 2**20
SMALLEST = 8
# An accelerator is idle at sizes at which a processor is busy.
SMALLEST_ON_ACCELERATOR = 32
# The spacing of TF32 at 1.
TF32 = 2.0**-10
# A fused network has its weights, too, where channels come last.
FUSED = "fused"
LAYOUTS = {
    FUSED: torch.channels_last,
    "channels_last": torch.channels_last,
    "contiguous": torch.contiguous_format,
}
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

Scores = NDArray[np.float64]


def choose_device(option: str, model: Model) -> torch.device:
    """Return the device of `option`; ``"auto"`` is the model's own, else the first accelerator, else the CPU.

    Raises
    ------
    OptionError
        The device is not there.
    """
    # A model that says nothing of devices may not know of any.
    wanted = str(getattr(model, "device", "cpu")) if option == "auto" else option
    if wanted == "auto":
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return accelerator or torch.device("cpu")
    device = torch.device(wanted)
    count = _count(device.type)
    if count == 0 or (device.index or 0) >= count:
        there = "; there is no such accelerator here" if count == 0 else f"; there are {count}, 0…{count - 1}"
        raise OptionError(f"device={wanted!r} is not available{there}: choose 'auto' or 'cpu'.")
    return device


def _count(kind: str) -> int:
    if kind == "cpu":
        return 1
    backend = getattr(torch, kind, None)
    if backend is None or not backend.is_available():
        return 0
    return int(backend.device_count())


# What was measured of each model, by shape, threads, device and precision; gone with the model.
_paces: WeakKeyDictionary[Any, dict[tuple[Any, ...], Pace]] = WeakKeyDictionary()


# A network changes as it is arranged and fused, and torch.fx changes what calling any network does meanwhile: of all
# threads, one at a time.
_turn = threading.RLock()


class Canvas:
    """One image, its superpixels and its fill on the engine's device, ready to be shown in parts.

    Attributes
    ----------
    shape : (channels, height, width)
    superpixels : int
    passes : int
        Images that the model has seen of it.
    name : str
        What errors call the image.
    """

    def __init__(
        self,
        engine: Engine,
        pixels: NDArray[np.float32],
        fill: NDArray[np.float32],
        segments: NDArray[np.int64],
        name: str = "",
    ) -> None:
        self.engine = engine
        self.name = name
        self.shape: tuple[int, ...] = pixels.shape
        self.superpixels = int(segments.max()) + 1
        self.passes = 0
        self._host = (pixels, fill, segments)
        self._flat: dict[torch.memory_format, tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = {}

    def flat(self, layout: torch.memory_format) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return image and fill as the model receives them, and the superpixel of each of their values.

        All three are flat, in the order in which `layout` keeps a picture in memory, so that a masked copy is one
        selection along one axis, whatever the layout.
        """
        if layout not in self._flat:
            pixels, fill, segments = self._host
            image, hidden = (self.engine.received(torch.from_numpy(part)) for part in (pixels, fill))
            of = torch.from_numpy(segments).to(self.engine.device).expand(self.shape)[None]
            self._flat[layout] = (_ordered(image, layout), _ordered(hidden, layout), _ordered(of, layout))
        return self._flat[layout]

    @property
    def whole(self) -> NDArray[np.uint8]:
        """The mask that hides nothing, 1×superpixels."""
        return np.ones((1, self.superpixels), dtype=np.uint8)

    def scores(self, masks: NDArray[np.uint8], classes: list[int]) -> Scores:
        """Return the scores of `classes` for each mask, N×len(classes) float64; 1 shows a superpixel, 0 hides it.

        Raises
        ------
        ModelError
            As for `Engine.submit`.
        """
        return self.engine.submit([Portion(self, masks, classes)]).results()[0]


def _ordered(picture: torch.Tensor, layout: torch.memory_format) -> torch.Tensor:
    """Return 1×C×H×W values flat, in the order of `layout`."""
    ordered = picture[0].permute(1, 2, 0) if layout is torch.channels_last else picture[0]
    return ordered.reshape(-1).contiguous()


@dataclasses.dataclass(frozen=True, eq=False)
class Portion:
    """Masks of one image that are to be scored.

    Attributes
    ----------
    canvas : Canvas
    masks : N×d uint8 array
        1 shows a superpixel, 0 hides it.
    classes : list of int, or None
        Whose scores are kept; None keeps all.
    """

    canvas: Canvas
    masks: NDArray[np.uint8]
    classes: list[int] | None


class Pending:
    """Scores that the device may still be working on, N×classes each, of images called `names`."""

    def __init__(self, found: list[torch.Tensor], names: Sequence[str]) -> None:
        self._names = names
        self._scores = found
        self._copied: torch.cuda.Event | None = None
        if any(scores.is_cuda for scores in self._scores):
            # The copies are queued right behind the passes, so that whoever waits for them does not wait for what is
            # queued later.
            pinned = [torch.empty(scores.shape, dtype=scores.dtype, pin_memory=True) for scores in self._scores]
            for host, scores in zip(pinned, self._scores, strict=True):
                host.copy_(scores, non_blocking=True)
            self._scores, self._copied = pinned, torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._copied.record()

    def results(self) -> list[Scores]:
        """Wait, and return N×classes float64 scores of each portion.

        Raises
        ------
        ModelError
            A score is not finite.
        """
        if self._copied is not None:
            self._copied.synchronize()
        return [_to_host(scores, name) for scores, name in zip(self._scores, self._names, strict=True)]


class Engine:
    """A model on a device, and how batches go through it fastest.

    Parameters
    ----------
    model : Model
    device : torch.device
    batch_size : ``"auto"`` or int
        ``"auto"`` measures it, and remembers it for the model, shape, threads, device, precision
        and `fuse`.
    precision : ``"float32"``, ``"bfloat16"`` or ``"float16"``
        The two of sixteen bits run the model under ``torch.autocast``.
    fuse : bool
        A network in float32 on the processor is fused (`FusedNetwork`) where that can be.

    Raises
    ------
    OptionError
        The model does not compute with torch, so that its precision is not ours to choose.
    """

    def __init__(
        self,
        model: Model,
        device: torch.device,
        *,
        batch_size: Any = "auto",
        precision: str = "float32",
        fuse: bool = True,
    ) -> None:
        self.model = model
        self.device = device
        self.precision = precision
        self.fuse = fuse
        # As it was seen to give the model's own scores, and whether it was seen not to.
        self._fused: FusedNetwork | None = None
        self._differs = False
        self.passes = 0
        self._fixed = None if batch_size == "auto" else int(batch_size)
        self._classes: int | None = None
        self._placed = False
        self._buffer: torch.Tensor | None = None
        # A model that can take what is normalised already saves doing that for every copy.
        taught = callable(getattr(model, "classify", None))
        self._normalises = taught and _speaks_for(model, "classify", "predict", "logits")
        self._turn: contextlib.AbstractContextManager[Any] = _turn if taught else contextlib.nullcontext()
        if precision != "float32" and not getattr(model, "autocasts", True):
            raise OptionError(
                f"precision={precision!r} is for models that compute with torch, and {model!r} does not: "
                "leave it out, or convert the model itself."
            )
        try:
            self._known = _paces.setdefault(model, {})
        except TypeError:  # a model with __slots__ cannot be referred to weakly
            self._known = {}

    def shares(self, other: Engine) -> bool:
        """Whether the images of both can go through the model in one batch."""
        return self.model is other.model and self._settings == other._settings

    @property
    def _settings(self) -> tuple[Any, ...]:
        return str(self.device), self.precision, self._fixed, self.fuse

    def batch_size(self, shape: tuple[int, ...]) -> int:
        """The size of the next batch of images of `shape`."""
        return self.pace(shape).size

    def pace(self, shape: tuple[int, ...]) -> Pace:
        """Return what is known of how images of `shape` go through fastest."""
        key = (shape, torch.get_num_threads(), *self._settings)
        if key not in self._known:
            accelerated = self.device.type != "cpu"
            room = MOST_BYTES_ON_ACCELERATOR if accelerated else MOST_BYTES
            if not accelerated and self._normalises:
                # What others compute with has threads of its own, pads its batches, or is another machine.
                room = min(room, MOST_BYTES_A_THREAD * torch.get_num_threads())
            most = max(1, min(LARGEST, room // (4 * int(np.prod(shape)))))
            least = SMALLEST_ON_ACCELERATOR if accelerated else SMALLEST
            # With one channel there is only one order.
            layouts = ["channels_last", "contiguous"][: 2 if shape[0] > 1 else 1]
            if self.may_fuse:
                layouts.insert(0, FUSED)
            self._known[key] = Pace(least, most, layouts, fixed=self._fixed, pads=accelerated)
        return self._known[key]

    def received(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return C×H×W `pixels` in [0, 1] on the device as 1×C×H×W, normalised where the model takes that."""
        self._place()
        batch = pixels.to(self.device)[None]
        with torch.inference_mode():
            return self.model.normalise(batch) if self._normalises else batch  # type: ignore[attr-defined]  # a Network

    def submit(self, portions: Sequence[Portion], tick: Callable[[int], None] | None = None) -> Pending:
        """Score the masks of all `portions`, which share batches where their images have one shape.

        On an accelerator this returns before the scores are there. `tick` is told, after each batch, how many rows
        are on their way.

        Raises
        ------
        ModelError
            The model returns something else than finite scores of its classes, or one image does not fit into memory.
        """
        with self._turn:
            return self._submit(portions, tick)

    def _submit(self, portions: Sequence[Portion], tick: Callable[[int], None] | None) -> Pending:
        self._place()
        if self._fused is not None and not self._fused.is_of(self.model.net):  # type: ignore[attr-defined]  # a Network
            self._fused = None
        kept: dict[int, torch.Tensor] = {}
        with torch.inference_mode():
            # All that the batches need is on its way before the first of them.
            shown = [self._upload(portion.masks) for portion in portions]
            wanted = {
                tuple(portion.classes): self._upload(np.asarray(portion.classes, dtype=np.int64))
                for portion in portions
                if portion.classes is not None
            }
            for portion in portions:
                portion.canvas.flat(LAYOUTS[self.pace(portion.canvas.shape).layout])
            done = 0
            for taken, scores in self._batches(portions, shown):
                start = 0
                for place, rows in taken:
                    classes, stop = portions[place].classes, start + _length(rows)
                    part, start = scores[start:stop], stop
                    if classes is not None:
                        # Where the model answers, which need not be where it was asked.
                        part = part.index_select(1, wanted[tuple(classes)].to(scores.device))
                    # One memory for all batches: a piece kept of each would lie between what they free, and the process
                    # would grow with the samples. It is made once the model has told type, device and classes.
                    room = kept.get(place)
                    if room is None:
                        kept[place] = part.new_empty((len(shown[place]), part.shape[1]))
                    elif room.dtype is not part.dtype:
                        kept[place] = room.to(torch.promote_types(room.dtype, part.dtype))
                    kept[place][rows] = part
                    portions[place].canvas.passes += _length(rows)
                done += len(scores)
                if tick is not None:
                    tick(done)
        return Pending([kept[place] for place in range(len(portions))], [portion.canvas.name for portion in portions])

    def alone(self, canvas: Canvas) -> Scores:
        """Return the scores of all classes for the image of `canvas` by itself, (classes,)."""
        (scores,) = self.submit([Portion(canvas, canvas.whole, None)]).results()
        return np.asarray(scores[0])

    @property
    def resolution(self) -> float:
        """By which share of the largest score the rounding of the passes may move a score."""
        return max(
            resolution(self.model, self.precision), TF32 if self.precision == "float32" and self._tf32() else 0.0
        )

    def _tf32(self) -> bool:
        """Whether float32 is computed in TF32, of ten bits behind the point: torch's default for convolutions."""
        if self.device.type != "cuda" or torch.cuda.get_device_capability(self.device) < (8, 0):
            return False
        try:
            return bool(torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32)
        except RuntimeError:  # set by both of torch's interfaces, which then refuses to say
            return True

    @property
    def machine(self) -> str:
        """What decides how fast batches are, besides model and shape."""
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        return f"{platform.node()} {platform.machine()} {torch.get_num_threads()} threads"

    def _upload(self, array: NDArray[Any]) -> torch.Tensor:
        # Of masks a byte a superpixel and sample travels; copies are made on the device.
        host = torch.from_numpy(np.ascontiguousarray(array))
        if self.device.type == "cuda":
            host = host.pin_memory()
        return host.to(self.device, non_blocking=True)

    def _batches(
        self, portions: Sequence[Portion], shown: Sequence[torch.Tensor]
    ) -> Iterator[tuple[list[tuple[int, slice]], torch.Tensor]]:
        """Yield which rows of which portions were in each batch, and the scores of all classes."""
        shapes = {portion.canvas.shape for portion in portions}
        for shape in sorted(shapes):
            places = [place for place, portion in enumerate(portions) if portion.canvas.shape == shape]
            queue = [(place, slice(0, len(shown[place]))) for place in places if len(shown[place])]
            pace = self.pace(shape)
            while queue:
                taken, rest = _take(queue, pace.size)
                size = sum(_length(rows) for _, rows in taken)
                timed = not pace.settled and size == pace.size
                began = self._now() if timed else 0.0
                try:
                    parts = [(portions[place].canvas, shown[place][rows]) for place, rows in taken]
                    batch = self._masked(shape, pace, parts)
                    scores = self._predict(batch, pace)[:size]
                except (RuntimeError, MemoryError) as error:
                    if not out_of_memory(error):
                        raise
                    self._buffer = None
                    if self.device.type == "cuda":
                        torch.cuda.empty_cache()
                    if not pace.too_large(size):
                        raise ModelError(f"one image does not fit into the memory of {self.device}: {error}") from None
                    continue
                if timed:
                    pace.measured(size, self._now() - began)
                queue = rest
                self.passes += size
                yield taken, scores

    def _masked(self, shape: tuple[int, ...], pace: Pace, parts: Sequence[tuple[Canvas, torch.Tensor]]) -> torch.Tensor:
        """Return a batch of masked copies, in a buffer that is used again."""
        layout = LAYOUTS[pace.layout]
        self._arrange(layout)
        flats = [canvas.flat(layout) for canvas, _ in parts]
        size = sum(len(rows) for _, rows in parts)
        whole = pace.padded(size)
        values = self._room(int(np.prod(shape)), max(whole, pace.size), flats[0][0].dtype)
        start = 0
        for (image, hidden, of), (_, rows) in zip(flats, parts, strict=True):
            stop = start + len(rows)
            copies = values[start:stop]
            # First 0 or 1 for each value, then the value: of the fill at 0 and of the image at 1, both to the last bit.
            torch.gather(rows.to(copies.dtype), 1, of.expand(len(rows), -1), out=copies)
            torch.lerp(hidden, image, copies, out=copies)
            start = stop
        channels, height, width = shape
        if layout is torch.channels_last:
            return values[:whole].view(whole, height, width, channels).permute(0, 3, 1, 2)
        return values[:whole].view(whole, channels, height, width)

    def _room(self, length: int, size: int, dtype: torch.dtype) -> torch.Tensor:
        held = self._buffer
        if held is None or held.shape[1] != length or len(held) < size or held.dtype is not dtype:
            held = None
            self._buffer = None
            # Not empty: what pads a batch is seen by the model, and must be pictures.
            self._buffer = held = torch.zeros(size, length, dtype=dtype, device=self.device)
        return held

    @property
    def may_fuse(self) -> bool:
        """Whether it is worth trying to fuse the network."""
        plain = self.device.type == "cpu" and self.precision == "float32" and self._normalises
        return self.fuse and plain and bool(getattr(self.model, "fusible", False))

    def _predict(self, batch: torch.Tensor, pace: Pace) -> torch.Tensor:
        if (fused := self._fused_scores(batch, pace)) is not None:
            return fused
        try:
            with self._autocast():
                predict = self.model.classify if self._normalises else self.model.predict  # type: ignore[attr-defined]  # a Network
                return self._checked(predict(batch), len(batch))
        except Exception as error:
            if not (isinstance(error, ModelError) or out_of_memory(error)):
                values = "normalised" if self._normalises else "in [0, 1]"
                error.add_note(
                    f"pytest-lime: raised inside {self.model!r} on a batch of shape {tuple(batch.shape)}, "
                    f"{batch.dtype} {values}, on {batch.device}"
                )
            raise

    def _fused_scores(self, batch: torch.Tensor, pace: Pace) -> torch.Tensor | None:
        """Return what the fused network says of `batch`; None where the network itself is to be asked."""
        if pace.layout != FUSED:
            return None
        scores: torch.Tensor | None = None
        try:
            if self._fused is not None:
                scores = self._checked(self.model.classify(batch, through=self._fused), len(batch))  # type: ignore[attr-defined]  # a Network
            # Each check sees for itself that the scores are the network's.
            elif not self._differs and (found := self.model.fuse(batch)) is not None:  # type: ignore[attr-defined]  # a Network
                scores = self._checked(found[1], len(batch))
                self._fused = found[0]
        except Exception as error:
            if out_of_memory(error):
                raise
            # The network itself is asked, whose error is its own.
            self._fused = None
        self._differs = scores is None
        # Its kernels do the network's own work and less, so that there is nothing to compare.
        for layout in (FUSED,) if self._differs else ("channels_last", "contiguous"):
            pace.drop(layout)
        return scores

    def _checked(self, scores: Any, count: int) -> torch.Tensor:
        checked = check_scores(scores, count, self.model.labels, self._classes)
        self._classes = checked.shape[1]
        return checked

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        if self.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=PRECISIONS[self.precision])

    def _place(self) -> None:
        if not self._placed:
            place = getattr(self.model, "to", None)
            if callable(place):
                place(self.device)
            if self.device.type == "cpu" and getattr(self.model, "autocasts", True):
                keep_pages()
            self._placed = True

    def _arrange(self, layout: torch.memory_format) -> None:
        arrange = getattr(self.model, "arrange", None)
        if callable(arrange):
            arrange(layout)

    def _now(self) -> float:
        if self.device.type != "cpu":
            torch.accelerator.synchronize(self.device)
        return time.perf_counter()


def _take(queue: list[tuple[int, slice]], size: int) -> tuple[list[tuple[int, slice]], list[tuple[int, slice]]]:
    """Split a queue of rows into the first `size` of them and the rest."""
    taken, rest = [], []
    for place, rows in queue:
        if size == 0:
            rest.append((place, rows))
            continue
        cut = min(rows.stop, rows.start + size)
        taken.append((place, slice(rows.start, cut)))
        size -= cut - rows.start
        if cut < rows.stop:
            rest.append((place, slice(cut, rows.stop)))
    return taken, rest


def _length(rows: slice) -> int:
    return int(rows.stop - rows.start)


def _speaks_for(model: Any, name: str, *others: str) -> bool:
    """Whether method `name` knows of `others`: who overrides one of these alone means to be asked through it."""
    kinds = type(model).__mro__
    home, *places = (
        next((place for place, kind in enumerate(kinds) if one in vars(kind)), len(kinds)) for one in (name, *others)
    )
    return home <= min(places) and not vars(model).keys() & {name, *others}


def _to_host(scores: torch.Tensor, name: str) -> Scores:
    values = scores.cpu().double().numpy()
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).any(axis=1).sum())
        of = f"copies of {name!r}, with values in [0, 1]" if name else "images in [0, 1]"
        raise ModelError(
            f"the model returned NaN or infinity for {bad} of {len(values)} {of}; scores must be finite: "
            "check its weights, its mean and std, and its precision."
        )
    return values
