"""Sampling: streams of several images on their way to a decision, in batches that they share."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import TypeVar

from pytest_lime.blas import one_thread
from pytest_lime.errors import LimeError
from pytest_lime.explanation import Explanation
from pytest_lime.forward import Engine, Pending, Portion
from pytest_lime.states import State
from pytest_lime.streams import SampleStream

__all__ = ["Decide", "sample"]

Found = TypeVar("Found")

# From a look to how many claims stay open, and how many there are; with none open the sampling ends.
Decide = Callable[[SampleStream, Explanation], tuple[int, int]]
# Images that are open at once, each held in memory: enough to fill the batches of an accelerator.
WINDOW = 16
# … and so many bytes of them at most, but for the one that is waited for: photographs are kept as they were read.
MOST_BYTES = 2**29
# A processor is full with one image, and needs others only for what is left of a batch: of those that were not looked
# at yet, so many are open. The rest of the window is for those that take long, while others may decide a set.
FRESH_ON_PROCESSOR = 3
# Products of so many columns are worth the other cores, which a processor's passes then have to wait for.
MANY = 400


def _nothing_open(stream: SampleStream, explanation: Explanation) -> tuple[int, int]:
    """Decide where nobody claims anything."""
    return 0, 0


def sample(
    engine: Engine,
    streams: Iterable[SampleStream],
    *,
    decide: Decide = _nothing_open,
    ahead: Callable[[], Sequence[SampleStream]] = tuple,
    notify: Callable[[State], None] = lambda state: None,
    images: int = 1,
) -> Generator[tuple[SampleStream, Explanation], None, None]:
    """Sample `streams` until each is decided or at its end, and yield each with its explanation as it gets there.

    Those that are still open get the next samples, and those with the fewest come first: whoever closes this early has
    then spent little on images that take long, and on any that a processor has not come to no more than what filled up
    batches. What these were scored for, and is confirmed, is stored all the same. While an accelerator works on the
    samples of one half of the images, the host looks at those of the other. Where a cache will hand one image the
    samples of another, it waits for these.

    On a processor, and with `streams` that are always ready, the order hangs on the looks alone, and not on what is
    stored: a second run sees the same images.

    Parameters
    ----------
    engine : Engine
        Of all streams.
    streams : iterable of SampleStream
        Taken one by one, as there is room for them, so that they may be made on the way.
    decide : callable
        How many claims stay open after a look, and how many there are.
    ahead : callable
        Streams that will be asked for later: they fill up the last batch of each round.
    notify : callable
        Takes a `State` after each batch.
    images : int
        How many streams there are, for `notify`.
    """
    coming = iter(streams)
    # Others are not kept waiting for an image that is not ready.
    ready: Callable[[], bool] = getattr(coming, "ready", lambda: True)
    waiting: list[SampleStream] = []
    rounds: deque[_Round] = deque()
    opened: dict[int, tuple[int, int]] = {}
    done = 0
    # An accelerator gets its next round before this one is waited for; a processor would only be kept waiting.
    asynchronous = engine.device.type != "cpu"
    rounds_at_once, fresh = (2, WINDOW) if asynchronous else (1, FRESH_ON_PROCESSOR)

    def tell(stream: SampleStream, rows: int) -> None:
        undecided, claims = opened.get(id(stream), (0, 0))
        notify(
            State(
                label=stream.label,
                samples=min(stream.samples + rows, stream.most),
                most=stream.most,
                passes=engine.passes,
                undecided=undecided,
                claims=claims,
                images=images,
                images_done=done,
            )
        )

    with _stored_when_left() as unfinished:
        while True:
            while len(unfinished) < WINDOW and sum(id(one) not in opened for one in unfinished) < fresh:
                held = sum(one.scene.image.pixels.nbytes for one in unfinished)
                if unfinished and (held > MOST_BYTES or not ready()):
                    break
                if (stream := next(coming, None)) is None:
                    break
                stream.bench.recall_pace(stream.canvas.shape)
                unfinished.append(stream)
                waiting.append(stream)
            waiting.sort(key=lambda stream: stream.next_look)
            due = [stream for stream in waiting if not _waits_for_another(stream, unfinished)]
            while len(rounds) < rounds_at_once and (free := [stream for stream in due if not stream.busy]):
                # Of few images, half: the other half is for the next round.
                group = free[: -(-len(unfinished) // rounds_at_once) if asynchronous else 1]
                waiting, due = ([stream for stream in each if stream not in group] for each in (waiting, due))
                rounds.append(_Round(engine, group, [*due, *ahead()], tell))
            if not rounds:
                return
            landed = rounds.popleft()
            landed.land()
            for stream in landed.streams:
                if stream.due > 0:
                    # Before others of as many samples, as if these had been stored.
                    waiting.insert(0, stream)
                    continue
                began = time.perf_counter()
                # What was stored needs no pass, and leaves the cores to whoever wants them.
                shared = landed.scored and not asynchronous and stream.scene.superpixels < MANY
                with one_thread() if shared else nullcontext():
                    explanation = stream.look()
                    opened[id(stream)] = decide(stream, explanation)
                stream.seconds += time.perf_counter() - began
                if opened[id(stream)][0] and stream.go_on():
                    waiting.append(stream)
                    continue
                del opened[id(stream)]
                stream.store()
                unfinished.remove(stream)
                _hand_on(stream, waiting)
                done += 1
                yield stream, explanation


def _waits_for_another(stream: SampleStream, unfinished: Sequence[SampleStream]) -> bool:
    """Whether the cache will hand `stream` the samples of one that was opened before: the same image, once more."""
    return next((other for other in unfinished if other.draws_alike(stream)), stream) is not stream


def _hand_on(stream: SampleStream, waiting: Sequence[SampleStream]) -> None:
    """Give the samples of `stream`, which are stored, to those that waited for them."""
    for other in waiting:
        if other.draws_alike(stream):
            other.recall()


@contextmanager
def _stored_when_left() -> Iterator[list[SampleStream]]:
    """Give a list of streams; what those in it were scored for is stored when nobody waits for them any more.

    So it is where a set is decided before each of its images is, and where somebody has lost patience.
    """
    unfinished: list[SampleStream] = []
    try:
        yield unfinished
    finally:
        for stream in unfinished:
            # This only saves time, and must not hide what it was that ended the sampling.
            with suppress(Exception):
                stream.leave()


class _Round:
    """What is due of some streams and beside it, on its way through the engine; `others` fill up its last batch."""

    def __init__(
        self,
        engine: Engine,
        streams: list[SampleStream],
        others: Sequence[SampleStream],
        tell: Callable[[SampleStream, int], None],
    ) -> None:
        self.streams = streams
        self._began = time.perf_counter()
        self._engine = engine
        begun = {id(stream) for stream in streams if stream.begun}
        self._asked = [(stream, portion) for stream in streams if (portion := stream.portion()) is not None]
        self._beside = [(stream, aside, portion) for stream in streams for aside, portion in stream.aside_portions()]
        # What the streams of this round ask for, in the order in which it is scored.
        self._own = [*self._asked, *((stream, portion) for stream, _, portion in self._beside)]
        self._others: list[tuple[SampleStream, Portion]] = []
        self._again: list[tuple[SampleStream, Portion]] = []
        if not self._own:
            return
        first, shape = self._own[0][0], self._own[-1][1].canvas.shape
        # Asides are no samples.
        samples = len(self._asked[0][1].masks) if self._asked else 0
        size = engine.batch_size(shape)
        for stream in dict.fromkeys(stream for stream, _ in self._own):
            # The image comes again where that is another batch than its first one.
            elsewhere = id(stream) in begun or self._rows(stream.canvas.shape) >= engine.batch_size(stream.canvas.shape)
            if elsewhere and (again := stream.again) is not None:
                self._again.append((stream, again))
        room = -(self._rows(shape) + sum(stream.canvas.shape == shape for stream, _ in self._again)) % size
        for other in others:
            if not room:
                break
            # No sample is scored for two tests.
            served = (*streams, *(chosen for chosen, _ in self._others))
            alike = any(other.draws_alike(stream) for stream in served)
            if other.busy or alike or other.canvas.shape != shape:
                continue
            portion = other.portion(room)
            if portion is not None:
                self._others.append((other, portion))
                room -= len(portion.masks)

        def tick(rows: int) -> None:
            tell(first, min(rows, samples))

        self._tick = tick
        self._pending = self._or_less(self._submit, self._submit)

    def _submit(self) -> Pending:
        return self._engine.submit([part for _, part in (*self._own, *self._others, *self._again)], tick=self._tick)

    def _or_less(self, ask: Callable[[], Found], again: Callable[[], Found]) -> Found:
        """Return what `ask` does; where that fails, what `again` does for the samples alone.

        What the model raises for images that only filled up is none of ours, and what it raises for an aside is told
        where its scores are wanted. In fewer batches, an image may share one with its repetition, so that this comes
        later, too.
        """
        try:
            return ask()
        except Exception:
            if not (self._others or self._beside):
                raise
        # Not while the error is handled: it holds on to what was on the device, and would be told beside the next.
        for other, _ in self._others:
            other.give_back()
        for stream, _, _ in self._beside:
            stream.asides = []
        self._own, self._others, self._beside, self._again = self._asked, [], [], []
        return again()

    def _rows(self, shape: tuple[int, ...]) -> int:
        return sum(len(portion.masks) for stream, portion in self._own if stream.canvas.shape == shape)

    @property
    def scored(self) -> bool:
        """Whether anything went through the model."""
        return bool(self._own)

    def land(self) -> None:
        """Wait for the scores, and hand them out."""
        if not self.scored:
            return
        results = self._or_less(self._pending.results, lambda: self._submit().results())
        parts = [*self._own, *self._others]
        if not parts:
            return
        each = (time.perf_counter() - self._began) / sum(len(portion.masks) for _, portion in parts)
        for stream, portion in parts:
            stream.seconds += each * len(portion.masks)
        landed = iter(results)
        for stream, _ in self._asked:
            stream.add(next(landed))
        for stream, aside, portion in self._beside:
            stream.take_aside(aside, portion, next(landed))
        for stream, _ in self._others:
            scores = next(landed)
            try:
                stream.add(scores)
            except LimeError:
                # That its target is none of the classes is told where it is waited for.
                stream.give_back()
        for stream, _ in self._again:
            stream.confirm(next(landed)[0])
