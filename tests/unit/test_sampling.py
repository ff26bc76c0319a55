"""Sampling: several streams on their way to a decision, in batches that they share."""

import functools
import gc
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_info, threadpool_limits

from pytest_lime import CallableModel, Explanation, ModelError, TargetError, sampling, streams
from pytest_lime.cache import Cache
from pytest_lime.errors import CacheWarning
from pytest_lime.explainer import open_stream
from pytest_lime.explanation import fit_samples
from pytest_lime.forward import Engine, Pending, Portion
from pytest_lime.laboratory import intervene_beside
from pytest_lime.options import LimeOptions
from pytest_lime.regions import Box
from pytest_lime.sampling import FRESH_ON_PROCESSOR, WINDOW, sample
from pytest_lime.states import State
from pytest_lime.streams import Bench, SampleStream
from pytest_lime.testing import FakeModel

RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(12)]
# 16 cells: more than are enumerated.
OPTIONS: dict[str, Any] = {"segmenter": "grid", "segments": 16, "samples": 100, "batch_size": 64}
AUTO: dict[str, Any] = {"samples": "auto", "max_samples": 400}
# Batches of another size sum in another order.
ROUNDING = 1e-9


class Recording(FakeModel):
    """Remembers the batches it got, by the first pixel of each row of images."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[torch.Tensor] = []

    def predict(self, batch: torch.Tensor) -> torch.Tensor:
        self.batches.append(batch.clone())
        return super().predict(batch)

    @property
    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]


class Kept(Recording):
    """One whose samples the cache keeps."""

    fingerprint = "kept"


def bench_of(model: Any = None, **options: Any) -> Bench:
    return Bench(model or Recording(), LimeOptions(**{**OPTIONS, **options}))


def by_halves(images: NDArray[Any]) -> NDArray[Any]:
    first = images[:, :16].mean(axis=(1, 2, 3)) / 255
    return np.stack([first, 1 - first], axis=1)


def open_(bench: Bench, image: Any, target: Any = 0, opinions: Any = ()) -> SampleStream:
    return open_stream(bench, image, target, decides=True, opinions=opinions)


def alone(image: NDArray[np.uint8], **options: Any) -> Explanation:
    bench = bench_of(**options)
    ((_, explanation),) = sample(bench.engine, [open_(bench, image)], decide=never)
    return explanation


def assert_occluded(stream: SampleStream, explanation: Explanation) -> None:
    """Compare what occlusion said with passes of its own."""
    hidden = stream.canvas.scores(1 - np.eye(stream.scene.superpixels, dtype=np.uint8), list(explanation.targets))
    falls = explanation.score[:, None] - hidden.T
    np.testing.assert_allclose(explanation.opinions["occlusion"], falls, rtol=0, atol=ROUNDING)


def never(stream: SampleStream, explanation: Explanation) -> tuple[int, int]:
    return 1, 1


def after(counts: dict[int, int]) -> Callable[[SampleStream, Explanation], tuple[int, int]]:
    """Decide each stream, by its id, once it has so many samples."""
    return lambda stream, explanation: (int(explanation.samples < counts[id(stream)]), 1)


class TestSharing:
    @pytest.mark.parametrize("images", [1, 2, 3, 7])
    def test_each_image_is_explained_as_if_it_were_alone(self, images: int) -> None:
        bench = bench_of()
        streams = [open_(bench, image) for image in IMAGES[:images]]
        found = dict(sample(bench.engine, streams))
        assert list(found) == streams
        for stream, image in zip(streams, IMAGES, strict=False):
            expected = alone(image)
            np.testing.assert_array_equal(found[stream].masks, expected.masks)
            np.testing.assert_allclose(found[stream].weights, expected.weights, rtol=0, atol=ROUNDING)
            # The image itself, its samples, and the image again.
            assert found[stream].passes == 102

    def test_batches_are_full_across_images(self) -> None:
        bench = bench_of(batch_size=32)
        list(sample(bench.engine, [open_(bench, image) for image in IMAGES[:3]]))
        assert bench.model.sizes == [32] * 9 + [18]  # type: ignore[attr-defined]  # a Recording
        assert bench.engine.passes == 3 * 102

    def test_images_of_several_shapes(self) -> None:
        model = CallableModel(lambda images: np.stack([(mean := images.mean(axis=(1, 2, 3))), 1 - mean], axis=1))
        bench = bench_of(model, segments=16)
        images = [IMAGES[0], IMAGES[1][:24], IMAGES[2][:, :20]]
        streams = [open_(bench, image) for image in images]
        for (stream, explanation), image in zip(sample(bench.engine, streams), images, strict=True):
            lonely = bench_of(model, segments=16)
            ((_, expected),) = sample(lonely.engine, [open_(lonely, image)])
            np.testing.assert_allclose(explanation.weights, expected.weights, rtol=0, atol=ROUNDING)
            assert explanation.image is stream.scene.image

    def test_a_model_that_depends_on_its_batch_is_told_whatever_the_shapes(self) -> None:
        def classify(images: NDArray[Any]) -> NDArray[Any]:
            off = images.mean(axis=(1, 2, 3)) - images.mean()
            return np.stack([1 + off, 1 - off], axis=1)

        model = CallableModel(classify, labels=("a", "b"), output="scores")
        # Neither shape fills a batch by itself, while both together would.
        bench = bench_of(model, batch_size=150, fill="black")
        images = [IMAGES[0], IMAGES[1][:24]]
        with pytest.raises(ModelError, match="differently"):
            list(sample(bench.engine, [open_(bench, image) for image in images]))


class TestAsides:
    """What is scored beside the samples: occlusion here, interventions in test_laboratory.py."""

    @pytest.mark.parametrize("images", [1, 2, 5])
    def test_occlusion_shares_the_batches(self, images: int) -> None:
        bench = bench_of(batch_size=32)
        streams = [open_stream(bench, image, 0, opinions="occlusion") for image in IMAGES[:images]]
        found = list(sample(bench.engine, streams))
        sizes = bench.model.sizes  # type: ignore[attr-defined]  # a Recording
        # The image twice, its samples, and each of 16 superpixels hidden; images fill up each other's batches.
        assert sum(sizes) == images * 118
        assert sum(size < 32 for size in sizes) <= 1
        for stream, explanation in found:
            assert explanation.passes == 118
            assert_occluded(stream, explanation)

    def test_of_several_classes_and_a_target_that_is_not_named(self) -> None:
        bench = bench_of(batch_size=32)
        streams = [open_stream(bench, IMAGES[0], target, opinions="occlusion") for target in ([2, 0], None)]
        found = list(sample(bench.engine, streams))
        assert [explanation.targets for _, explanation in found] == [(2, 0), (int(found[0][1].prediction.argmax()),)]
        for stream, explanation in found:
            assert_occluded(stream, explanation)

    def test_images_of_several_shapes_and_a_model_without_labels(self) -> None:
        model = CallableModel(lambda images: np.stack([(mean := images.mean(axis=(1, 2, 3))), 1 - mean], axis=1))
        bench = bench_of(model, fill="black")
        images = [IMAGES[0], IMAGES[1][:24], IMAGES[2][:, :20]]
        streams = [open_stream(bench, image, 1, opinions="occlusion") for image in images]
        for stream, explanation in sample(bench.engine, streams):
            assert explanation.passes == 100 + 3 + stream.scene.superpixels
            assert_occluded(stream, explanation)

    def test_many_wait_until_the_classes_are_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("pytest_lime.streams.FIRST", 15)
        bench = bench_of()
        stream = open_stream(bench, IMAGES[0], 0, opinions="occlusion")
        ((_, explanation),) = sample(bench.engine, [stream])
        # The image and 15 samples; then all else.
        assert bench.model.sizes == [16, 64, 38]  # type: ignore[attr-defined]  # a Recording
        assert_occluded(stream, explanation)

    def test_a_class_that_does_not_exist_is_told_before_them(self) -> None:
        seen: list[int] = []

        def classify(images: NDArray[Any]) -> NDArray[Any]:
            seen.append(len(images))
            return np.full((len(images), 2), 0.5)

        bench = bench_of(CallableModel(classify))
        with pytest.raises(TargetError, match="2 classes"):
            list(sample(bench.engine, [open_stream(bench, IMAGES[0], 7, opinions="occlusion")]))
        assert seen == [1]

    def test_those_of_an_image_that_was_filled_in_come_with_its_next_samples(self) -> None:
        bench = bench_of()
        stream, later = (open_stream(bench, image, 0, opinions="occlusion") for image in IMAGES[:2])
        # 118 rows of the one leave room for 10 of the other.
        ((_, first),) = sample(bench.engine, [stream], ahead=lambda: [later])
        assert (later.samples, later.passes) == (9, 10)
        ((_, second),) = sample(bench.engine, [later])
        sizes = bench.model.sizes  # type: ignore[attr-defined]  # a Recording
        assert sizes == [64, 64, 64, 44]
        assert (first.passes, second.passes) == (118, 118)
        assert_occluded(stream, first)
        assert_occluded(later, second)

    def test_an_image_all_of_whose_samples_were_filled_in_is_confirmed_with_them(self) -> None:
        bench = bench_of(samples=20, batch_size=128)
        stream, later = (open_stream(bench, image, 0, opinions="occlusion") for image in IMAGES[:2])
        list(sample(bench.engine, [stream], ahead=lambda: [later]))
        assert (later.samples, later.due) == (20, 0)
        ((_, explanation),) = sample(bench.engine, [later])
        # Its superpixels hidden one by one, and the image again, in one batch.
        assert bench.model.sizes[-1] == 17  # type: ignore[attr-defined]  # a Recording
        assert_occluded(later, explanation)

    def test_with_samples_from_the_cache_they_are_all_that_is_asked(self, tmp_path: Path) -> None:
        def explained(opinions: str = "", **options: Any) -> tuple[list[int], Explanation]:
            bench = Bench(Kept(), LimeOptions(**{**OPTIONS, **options}), Cache(tmp_path))
            stream = open_stream(bench, IMAGES[0], 0, opinions=opinions or ())
            ((_, explanation),) = sample(bench.engine, [stream])
            return bench.model.sizes, explanation  # type: ignore[attr-defined]  # a Recording

        assert explained()[0] == [64, 38]
        sizes, found = explained("occlusion")
        assert sizes == [16]
        assert explained("occlusion")[0] == []
        # And none is asked again where only samples are missing.
        sizes, longer = explained("occlusion", samples=140)
        assert sizes == [40]
        np.testing.assert_array_equal(longer.opinions["occlusion"], found.opinions["occlusion"])


class TestDecisions:
    def test_streams_are_yielded_as_they_get_there(self) -> None:
        bench = bench_of(**AUTO)
        streams = [open_(bench, image) for image in IMAGES[:3]]
        ends = dict(zip(map(id, streams), (400, 60, 200), strict=True))
        found = [
            (stream, explanation.samples) for stream, explanation in sample(bench.engine, streams, decide=after(ends))
        ]
        assert [streams.index(stream) for stream, _ in found] == [1, 2, 0]
        assert found[0][1] < found[1][1] < found[2][1] == 400
        assert 200 <= found[1][1] <= 260

    def test_those_that_are_open_get_the_next_samples(self) -> None:
        bench = bench_of(**AUTO)
        streams = [open_(bench, image) for image in IMAGES[:3]]
        first = streams[0].due
        # The first is never decided, the others at their first look.
        ends = dict(zip(map(id, streams), (400, 0, 0), strict=True))
        found = dict(sample(bench.engine, streams, decide=after(ends)))
        assert [found[stream].samples for stream in streams[1:]] == [first, first]
        assert found[streams[0]].samples == 400
        # No sample is scored that nobody asked for, but those that fill up a batch.
        size = 64
        assert bench.engine.passes <= 400 + 2 * first + 3 * 2 + 2 * size

    def test_an_open_stream_ends_with_its_samples(self) -> None:
        bench = bench_of(**AUTO)
        ((_, explanation),) = sample(bench.engine, [open_(bench, IMAGES[0])], decide=never)
        assert (explanation.samples, explanation.anytime) == (400, True)

    def test_a_number_of_samples_is_one_look(self) -> None:
        bench = bench_of()
        looks: list[int] = []

        def decide(stream: SampleStream, explanation: Explanation) -> tuple[int, int]:
            looks.append(explanation.samples)
            return 1, 1

        list(sample(bench.engine, [open_(bench, image) for image in IMAGES[:2]], decide=decide))
        assert looks == [100, 100]

    @pytest.mark.parametrize("batch_size", [1, 16, 1000])
    def test_when_each_is_looked_at_does_not_depend_on_the_batches(self, batch_size: int) -> None:
        def looks(size: int, images: Sequence[NDArray[np.uint8]]) -> dict[str, list[int]]:
            bench = bench_of(batch_size=size, **AUTO)
            found: dict[str, list[int]] = {}

            def decide(stream: SampleStream, explanation: Explanation) -> tuple[int, int]:
                found.setdefault(str(explanation.pixels.sum()), []).append(explanation.samples)
                return 1, 1

            list(sample(bench.engine, [open_(bench, image) for image in images], decide=decide))
            return found

        together = looks(batch_size, IMAGES[:4])
        assert together == {**looks(64, IMAGES[:2]), **looks(64, IMAGES[2:4])}

    def test_nothing_to_sample(self) -> None:
        assert list(sample(bench_of().engine, [])) == []


class TestOrder:
    """Of streams on a processor."""

    def test_those_with_the_fewest_samples_come_first(self) -> None:
        bench = bench_of(**AUTO)
        streams = [open_(bench, image) for image in IMAGES[:8]]
        slow = [streams[place] for place in (0, 1, 4, 6)]
        ends = {id(stream): 400 if stream in slow else 0 for stream in streams}
        found = sample(bench.engine, iter(streams), decide=after(ends))
        # Four that take long keep none of the others waiting.
        assert [next(found)[0] for _ in range(4)] == [stream for stream in streams if stream not in slow]
        first = streams[2].samples
        # They have a look or two each, and what filled up batches.
        assert all(first <= stream.samples < 250 for stream in slow)
        assert [stream for stream, _ in found] == slow

    def test_nothing_is_scored_of_an_image_whose_turn_has_not_come_but_to_fill_up_batches(self) -> None:
        bench = bench_of(batch_size=16)
        streams = [open_(bench, image) for image in IMAGES]
        found = sample(bench.engine, iter(streams))
        assert next(found)[0] is streams[0]
        found.close()
        assert sum(stream.passes for stream in streams[1:]) < 16

    @pytest.mark.parametrize("stored", [(), (0, 1, 2, 3), (1,), (0, 3)])
    @pytest.mark.parametrize("labels", [("a", "b"), None])
    def test_it_does_not_hang_on_what_is_stored(
        self, tmp_path: Path, stored: tuple[int, ...], labels: tuple[str, ...] | None
    ) -> None:
        def looks(cache: Cache | None, images: Sequence[int]) -> list[tuple[int, int]]:
            model = CallableModel(by_halves, labels=labels, fingerprint="halves")
            bench = Bench(model, LimeOptions(**{**OPTIONS, **AUTO, "segments": 144, "max_samples": 900}), cache)
            streams = {open_(bench, IMAGES[place]): place for place in images}
            found: list[tuple[int, int]] = []

            def decide(stream: SampleStream, explanation: Explanation) -> tuple[int, int]:
                found.append((streams[stream], explanation.samples))
                return int(explanation.samples < 500 + 90 * streams[stream]), 1

            list(sample(bench.engine, iter(streams), decide=decide))
            return found

        fresh = looks(None, range(5))
        assert len(fresh) > 8
        if stored:
            looks(Cache(tmp_path), stored)
        assert looks(Cache(tmp_path), range(5)) == fresh


class TestLeft:
    """What nobody waits for any more."""

    def streams(self, cache: Cache, model: Kept, **options: Any) -> list[SampleStream]:
        bench = Bench(model, LimeOptions(**{**OPTIONS, **AUTO, **options}), cache)
        return [open_(bench, image, opinions="occlusion") for image in IMAGES[:3]]

    def test_what_others_were_scored_for_is_kept(self, tmp_path: Path) -> None:
        cache, model = Cache(tmp_path), Kept()

        def run() -> list[SampleStream]:
            streams = self.streams(cache, model)
            for stream in streams:
                intervene_beside(stream, [Box(0, 0, 16, 16)])
            found = sample(streams[0].bench.engine, streams, decide=after({id(one): 160 for one in streams}))
            assert next(found)[0] is streams[0]
            found.close()
            return streams

        had = [stream.samples for stream in run()]
        assert min(had) >= 128
        model.batches.clear()
        run()
        # The first of them was handed out, and nobody asked for its intervention.
        assert model.sizes == [4]

    def test_whoever_interrupts_loses_nothing(self, tmp_path: Path) -> None:
        cache, model = Cache(tmp_path), Kept()
        (stream, *_) = self.streams(cache, model)

        def interrupt(stream: SampleStream, explanation: Explanation) -> tuple[int, int]:
            if explanation.samples > 150:
                raise KeyboardInterrupt
            return 1, 1

        with pytest.raises(KeyboardInterrupt):
            list(sample(stream.bench.engine, [stream], decide=interrupt))
        assert len(self.streams(cache, model)[0]._stored) == stream.samples > 150

    def test_what_does_not_stay_the_same_is_not_kept(self, tmp_path: Path) -> None:
        class Wandering(Kept):
            def predict(self, batch: torch.Tensor) -> torch.Tensor:
                return super().predict(batch).roll(len(self.sizes), dims=1)

        cache, model = Cache(tmp_path), Wandering()
        streams = self.streams(cache, model)
        with pytest.raises(ModelError, match="scored the same image differently"):
            list(sample(streams[0].bench.engine, streams, decide=never))
        assert [len(stream._stored) for stream in self.streams(cache, model)] == [0, 0, 0]
        # Nor what hiding superpixels did.
        assert {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*.entry")} == {"superpixels"}

    def test_an_error_while_it_is_kept_hides_no_other(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*arguments: Any) -> None:
            raise OSError("the disk is full")

        streams = self.streams(Cache(tmp_path), Kept())
        found = sample(streams[0].bench.engine, streams, decide=after({id(one): 0 for one in streams}))
        next(found)
        monkeypatch.setattr(SampleStream, "store", full)
        with pytest.raises(KeyboardInterrupt):
            found.throw(KeyboardInterrupt())

    def test_under_another_precision_the_next_run_completes_it(self, tmp_path: Path) -> None:
        cache, model = Cache(tmp_path), Kept()
        asked: list[int] = []
        for end in (True, False, False):
            (stream, *_) = self.streams(cache, model, samples=100, precision="bfloat16")
            model.batches.clear()
            if end:
                # All is there, and was not looked at.
                asides = stream.aside_portions()
                own, again = stream.portion(), stream.again
                assert own is not None
                assert again is not None
                parts = [own, again, *(portion for _, portion in asides)]
                scores, repeated, *beside = stream.bench.engine.submit(parts).results()
                stream.add(scores)
                stream.confirm(repeated[0])
                for (aside, portion), found in zip(asides, beside, strict=True):
                    stream.take_aside(aside, portion, found)
                stream.leave()
            else:
                list(sample(stream.bench.engine, [stream]))
            asked.append(sum(model.sizes))
            assert len(self.streams(cache, model, samples=100, precision="bfloat16")[0]._stored) == 100
        # Then the image in float32.
        assert asked == [102 + 16, 1, 0]


class TestWindow:
    def test_streams_are_opened_as_there_is_room(self) -> None:
        bench = bench_of()
        opened: list[int] = []

        def streams() -> Iterator[SampleStream]:
            for image in IMAGES:
                opened.append(len(opened))
                yield open_(bench, image)

        found = sample(bench.engine, streams())
        for done, _ in enumerate(found, start=1):
            assert len(opened) - done <= FRESH_ON_PROCESSOR
        assert len(opened) == len(IMAGES)

    def test_large_images_are_fewer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sampling, "MOST_BYTES", IMAGES[0].size * 4)
        bench = bench_of(**AUTO)
        opened: list[SampleStream] = []

        def streams() -> Iterator[SampleStream]:
            for image in IMAGES:
                opened.append(open_(bench, image))
                yield opened[-1]

        next(sample(bench.engine, streams(), decide=never))
        # One more than fill it.
        assert len(opened) == 2

    def test_there_is_an_end_to_how_many_are_open(self) -> None:
        bench = bench_of(**AUTO)
        opened: list[SampleStream] = []

        def streams() -> Iterator[SampleStream]:
            for image in IMAGES * 2:
                opened.append(open_(bench, image))
                yield opened[-1]

        found = sample(bench.engine, streams(), decide=never)
        next(found)
        assert len(opened) == WINDOW

    def test_those_that_are_done_are_released(self) -> None:
        bench = bench_of()
        alive: weakref.WeakSet[SampleStream] = weakref.WeakSet()
        most = 0

        def streams() -> Iterator[SampleStream]:
            for image in IMAGES:
                stream = open_(bench, image)
                alive.add(stream)
                yield stream

        for pair in sample(bench.engine, streams()):
            del pair
            most = max(most, len(alive))
        # Those that are open, and the one that is handed over.
        assert most <= FRESH_ON_PROCESSOR + 1
        gc.collect()
        assert len(alive) == 0


class Unready:
    """Streams that come one by one, and are ready when `now` says so."""

    def __init__(self, streams: Sequence[SampleStream], now: Callable[[], bool]) -> None:
        self.left = list(streams)
        self.ready = now

    def __iter__(self) -> Iterator[SampleStream]:
        return self

    def __next__(self) -> SampleStream:
        if not self.left:
            raise StopIteration
        return self.left.pop(0)


class TestReady:
    def test_nobody_waits_for_an_image_that_is_not_ready(self) -> None:
        bench = bench_of()
        streams = [open_(bench, image) for image in IMAGES[:3]]
        coming = Unready(streams, lambda: False)
        found: list[SampleStream] = []
        for stream, explanation in sample(bench.engine, coming):
            found.append(stream)
            # Each is taken when there is nothing else to do.
            assert len(coming.left) == 3 - len(found)
            image = IMAGES[len(found) - 1]
            np.testing.assert_allclose(explanation.weights, alone(image).weights, rtol=0, atol=ROUNDING)
        assert found == streams

    def test_those_that_are_ready_join_those_that_are_open(self) -> None:
        bench = bench_of(**AUTO)
        streams = [open_(bench, image) for image in IMAGES[:3]]
        looks: list[SampleStream] = []
        coming = Unready(streams, lambda: len(looks) >= 2)

        def decide(stream: SampleStream, explanation: Explanation) -> tuple[int, int]:
            assert (len(coming.left) == 2) == (len(looks) < 2)
            looks.append(stream)
            return 1, 1

        assert set(dict(sample(bench.engine, coming, decide=decide))) == set(streams)
        # They have fewer samples than the first has by then.
        assert looks[:4] == [streams[0], *streams]

    def test_those_that_are_ready_are_taken_at_once(self) -> None:
        bench = bench_of()
        streams = [open_(bench, image) for image in IMAGES[:3]]
        coming = Unready(streams, lambda: True)
        next(sample(bench.engine, coming))
        assert coming.left == []


class TestFilling:
    def test_the_last_batch_of_a_round_is_filled_up(self) -> None:
        bench = bench_of()
        stream, later = (open_(bench, image) for image in IMAGES[:2])
        looked: list[SampleStream] = []

        def decide(one: SampleStream, explanation: Explanation) -> tuple[int, int]:
            looked.append(one)
            return 0, 1

        found = list(sample(bench.engine, [stream], decide=decide, ahead=lambda: [later]))
        # 102 rows of the one, and 26 of the other: its image and 25 samples.
        assert bench.model.sizes == [64, 64]  # type: ignore[attr-defined]  # a Recording
        assert (later.samples, later.passes, later.busy, later.begun) == (25, 26, False, True)
        assert looked == [one for one, _ in found] == [stream]

    def test_what_was_filled_in_is_used_later(self) -> None:
        bench = bench_of()
        streams = [open_(bench, image) for image in IMAGES[:4]]
        found: dict[SampleStream, Explanation] = {}
        for place, stream in enumerate(streams):
            found.update(sample(bench.engine, [stream], ahead=lambda place=place: streams[place + 1 :]))  # type: ignore[misc]
        # Four times 102 rows; not full are the last, and one in which an image is confirmed.
        sizes = bench.model.sizes  # type: ignore[attr-defined]  # a Recording
        assert (sum(sizes), sizes.count(64)) == (4 * 102, 6)
        for stream, image in zip(streams, IMAGES, strict=False):
            np.testing.assert_allclose(found[stream].weights, alone(image).weights, rtol=0, atol=ROUNDING)

    def test_several_are_filled_in_as_long_as_there_is_room(self) -> None:
        bench = bench_of(samples=20, batch_size=128)
        streams = [open_(bench, image) for image in IMAGES[:8]]
        list(sample(bench.engine, streams[:1], ahead=lambda: streams[1:]))
        # 21 rows of each; the last has what room is left.
        assert bench.model.sizes[0] == 128  # type: ignore[attr-defined]  # a Recording
        assert [stream.samples for stream in streams] == [20] * 6 + [1, 0]

    def test_a_class_that_another_does_not_have_is_told_where_it_is_waited_for(self) -> None:
        bench = bench_of(CallableModel(by_halves))
        stream, other = open_(bench, IMAGES[0]), open_(bench, IMAGES[1], 7)
        ((_, explanation),) = sample(bench.engine, [stream], ahead=lambda: [other])
        assert explanation.samples == 100
        assert (other.begun, other.busy, other.passes > 0) == (False, False, True)
        with pytest.raises(TargetError, match="2 classes"):
            list(sample(bench.engine, [other]))

    def test_images_of_another_shape_are_left_alone(self) -> None:
        model = CallableModel(lambda images: np.tile([0.25, 0.75], (len(images), 1)), labels=("a", "b"))
        bench = bench_of(model)
        stream, other = open_(bench, IMAGES[0]), open_(bench, IMAGES[1][:24])
        list(sample(bench.engine, [stream], ahead=lambda: [other]))
        assert (other.samples, other.begun) == (0, False)

    def test_a_full_batch_needs_no_filling(self) -> None:
        bench = bench_of(batch_size=51)
        stream, later = (open_(bench, image) for image in IMAGES[:2])
        list(sample(bench.engine, [stream], ahead=lambda: [later]))
        assert bench.model.sizes == [51, 51]  # type: ignore[attr-defined]  # a Recording
        assert not later.begun

    @pytest.mark.parametrize("batch_size", [64, 128])
    def test_an_image_that_was_begun_before_is_confirmed_with_its_next_samples(self, batch_size: int) -> None:
        bench = bench_of(batch_size=batch_size)
        streams = [open_(bench, image) for image in IMAGES[:2]]
        found = dict(sample(bench.engine, streams[:1], ahead=lambda: streams[1:]))
        begun = streams[1].samples
        assert 0 < begun < 100
        before = len(bench.model.sizes)  # type: ignore[attr-defined]  # a Recording
        found |= dict(sample(bench.engine, streams[1:]))
        # The rest of its samples and the image again, in as few batches as they take.
        sizes = bench.model.sizes[before:]  # type: ignore[attr-defined]  # a Recording
        rows = 101 - begun
        assert sizes == [batch_size] * (rows // batch_size) + [rows % batch_size]
        for stream, image in zip(streams, IMAGES, strict=False):
            assert found[stream].passes == 102
            np.testing.assert_allclose(found[stream].weights, alone(image).weights, rtol=0, atol=ROUNDING)


# Brighter than any masked copy of the others.
BRIGHT = RNG.integers(250, 256, (32, 32, 3), dtype=np.uint8)


class Picky(Recording):
    """Fails for what is bright, until it is mended."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def predict(self, batch: torch.Tensor) -> torch.Tensor:
        scores = super().predict(batch)
        bright = batch.mean(dim=(1, 2, 3)) > 0.95
        if bright.any() and self.how == "raises":
            raise ZeroDivisionError
        if self.how == "NaN":
            scores = scores.clone()
            scores[bright] = torch.nan
        return scores


FAILURES = {"raises": ZeroDivisionError, "NaN": ModelError}


@pytest.mark.parametrize("how", FAILURES)
class TestOthersThatFail:
    def check_mended(self, stream: SampleStream, image: NDArray[np.uint8]) -> None:
        """Sample `stream` after all, and compare with one that nothing happened to."""
        stream.bench.model.how = "mended"  # type: ignore[attr-defined]  # a Picky
        ((_, explanation),) = sample(stream.bench.engine, [stream])
        expected = alone(image)
        np.testing.assert_array_equal(explanation.masks, expected.masks)
        np.testing.assert_allclose(explanation.sample_scores, expected.sample_scores, rtol=0, atol=ROUNDING)
        np.testing.assert_allclose(explanation.weights, expected.weights, rtol=0, atol=ROUNDING)

    @pytest.mark.parametrize("opinions", [(), "occlusion"])
    def test_the_image_of_a_later_test_harms_nobody(self, opinions: Any, how: str) -> None:
        bench = bench_of(Picky(how))
        stream, later = open_(bench, IMAGES[0], opinions=opinions), open_(bench, BRIGHT)
        ((one, explanation),) = sample(bench.engine, [stream], ahead=lambda: [later])
        assert one is stream
        expected = alone(IMAGES[0])
        np.testing.assert_array_equal(explanation.masks, expected.masks)
        np.testing.assert_allclose(explanation.weights, expected.weights, rtol=0, atol=ROUNDING)
        assert (later.samples, later.busy, later.begun) == (0, False, False)
        if opinions:
            assert_occluded(stream, explanation)
        self.check_mended(later, BRIGHT)

    def test_those_that_share_its_fate_get_their_samples_later(self, how: str) -> None:
        bench = bench_of(Picky(how), samples=20, batch_size=128)
        streams = [open_(bench, image) for image in (IMAGES[0], IMAGES[1], BRIGHT, IMAGES[2])]
        list(sample(bench.engine, streams[:1], ahead=lambda: streams[1:]))
        # All were in that batch, and nobody can tell whose fault it was.
        assert [stream.samples for stream in streams] == [20, 0, 0, 0]
        assert not any(stream.busy for stream in streams)
        found = dict(sample(bench.engine, [streams[1], streams[3]]))
        for stream, image in ((streams[1], IMAGES[1]), (streams[3], IMAGES[2])):
            expected = alone(image, samples=20)
            np.testing.assert_array_equal(found[stream].masks, expected.masks)
            np.testing.assert_allclose(found[stream].weights, expected.weights, rtol=0, atol=ROUNDING)

    def test_an_image_of_the_other_half_of_a_set(self, how: str) -> None:
        # While an accelerator works on one half, the other fills up its batches.
        bench = bench_of(Picky(how))
        lazy: Any = Lazy(bench.engine)
        stream, other = open_(bench, IMAGES[0]), open_(bench, BRIGHT)
        found = sample(lazy, [stream, other])
        one, explanation = next(found)
        assert one is stream
        np.testing.assert_allclose(explanation.weights, alone(IMAGES[0]).weights, rtol=0, atol=ROUNDING)
        # Its own error comes in its own turn.
        with pytest.raises(FAILURES[how]):
            next(found)

    def test_an_aside_that_fails_fails_in_its_own_turn(self, how: str) -> None:
        class Hidden(Picky):
            """Fails where a single superpixel is hidden, and its image is a bright one."""

            def predict(self, batch: torch.Tensor) -> torch.Tensor:
                shown = (batch != 0).float().mean(dim=(1, 2, 3))
                occluded = (shown > 0.9) & (shown < 1) & (batch.amax(dim=(1, 2, 3)) > 0.9999)
                batch = torch.where(occluded[:, None, None, None], torch.ones_like(batch), batch)
                return super().predict(batch)

        bench = bench_of(Hidden(how), fill="black", sampler="bernoulli")
        images = [IMAGES[0] // 2 + 1, IMAGES[1] // 2 + 1, np.maximum(IMAGES[2], 1)]
        streams = [open_(bench, image, opinions="occlusion") for image in images]
        assert images[2].max() == 255
        found = sample(bench.engine, streams)
        for stream in streams[:2]:
            one, explanation = next(found)
            assert one is stream
            assert_occluded(stream, explanation)
        with pytest.raises(FAILURES[how]):
            next(found)
        assert streams[2].samples == 100

    @pytest.mark.parametrize("whose", ["own", "other"])
    def test_asides_alone_fail_or_what_filled_up_their_batch(self, whose: str, how: str, tmp_path: Path) -> None:
        class KeptPicky(Kept, Picky):
            pass

        model = KeptPicky("mended")
        image = IMAGES[0]
        if whose == "own":
            # Only the copy that hides what is dark is too bright.
            image = BRIGHT.copy()
            image[:8, :8] = 0
        benches = [Bench(model, LimeOptions(**{**OPTIONS, "fill": "white"}), Cache(tmp_path)) for _ in range(2)]
        ((_, first),) = sample(benches[0].engine, [open_(benches[0], image)])
        # All samples are in the cache.
        model.how = how
        stream = open_(benches[1], image, opinions="occlusion")
        later = open_(benches[1], IMAGES[1] if whose == "own" else BRIGHT)
        found = sample(benches[1].engine, [stream], ahead=lambda: [later])
        if whose == "own":
            with pytest.raises(FAILURES[how]):
                next(found)
        else:
            ((_, explanation),) = found
            np.testing.assert_array_equal(explanation.weights, first.weights)
            assert_occluded(stream, explanation)
        assert (later.samples, later.busy) == (0, False)

    def test_an_error_is_told_once(self, how: str) -> None:
        bench = bench_of(Picky(how))
        with pytest.raises(FAILURES[how]) as told:
            list(sample(bench.engine, [open_(bench, BRIGHT, opinions="occlusion")]))
        assert told.value.__context__ is None

    def test_what_was_begun_goes_on_where_it_was(self, how: str) -> None:
        bench = bench_of(Picky("mended"))
        later = open_(bench, BRIGHT)
        list(sample(bench.engine, [open_(bench, IMAGES[0])], ahead=lambda: [later]))
        assert later.samples == 25
        bench.model.how = how  # type: ignore[attr-defined]  # a Picky
        for image in IMAGES[1:3]:
            ((_, explanation),) = sample(bench.engine, [open_(bench, image)], ahead=lambda: [later])
            np.testing.assert_allclose(explanation.weights, alone(image).weights, rtol=0, atol=ROUNDING)
        assert (later.samples, later.busy) == (25, False)
        self.check_mended(later, BRIGHT)

    def test_an_error_of_its_own_is_raised_and_the_others_are_given_back(self, how: str) -> None:
        bench = bench_of(Picky(how))
        stream, later = open_(bench, BRIGHT), open_(bench, IMAGES[0])
        with pytest.raises(FAILURES[how]):
            list(sample(bench.engine, [stream], ahead=lambda: [later]))
        assert (later.samples, later.busy) == (0, False)
        self.check_mended(later, IMAGES[0])


class Lazy:
    """An engine that works on what was submitted only when somebody waits for it, as an accelerator may."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.device: Any = SimpleNamespace(type="accelerator")
        self.flying: list[Sequence[Portion]] = []
        self.most_flying = 0
        # Of each round, how many masks each portion has.
        self.asked: list[list[int]] = []

    @property
    def passes(self) -> int:
        return self.engine.passes

    def batch_size(self, shape: tuple[int, ...]) -> int:
        return self.engine.batch_size(shape)

    def submit(self, portions: Sequence[Portion], tick: Any = None) -> Any:
        before = [portion.canvas for each in self.flying for portion in each]
        assert not [portion for portion in portions if portion.canvas in before], "two portions of one stream"
        self.flying.append(portions)
        self.asked.append([len(portion.masks) for portion in portions])
        self.most_flying = max(self.most_flying, len(self.flying))

        def results() -> Any:
            assert self.flying.pop(0) is portions, "waited for in another order"
            pending: Pending = self.engine.submit(portions, tick)
            return pending.results()

        return SimpleNamespace(results=results)


class TestAsynchronous:
    @pytest.mark.parametrize("opinions", [(), "occlusion"])
    @pytest.mark.parametrize("images", [1, 2, 9, 12])
    def test_two_rounds_are_in_flight_and_never_two_portions_of_a_stream(self, images: int, opinions: Any) -> None:
        bench = bench_of(**AUTO)
        lazy: Any = Lazy(bench.engine)
        streams = [open_(bench, image, opinions=opinions) for image in IMAGES[:images]]
        ends = {id(stream): 60 + 40 * place for place, stream in enumerate(streams)}
        found = dict(sample(lazy, streams, decide=after(ends)))
        # A few fit into one round.
        assert lazy.most_flying == 2 if images == 12 else lazy.most_flying <= 2
        assert lazy.flying == []
        assert set(found) == set(streams)
        for stream, image in zip(streams, IMAGES, strict=False):
            samples = found[stream].samples
            assert samples >= min(400, ends[id(stream)])
            expected = alone(image, samples=samples)
            np.testing.assert_array_equal(found[stream].masks, expected.masks)
            np.testing.assert_allclose(found[stream].weights, expected.weights, rtol=0, atol=ROUNDING)
            if opinions:
                assert_occluded(stream, found[stream])

    @pytest.mark.parametrize("images", [1, 2, 3, 9, 12])
    def test_a_round_takes_half_of_the_images(self, images: int) -> None:
        bench = bench_of(samples=128)
        lazy: Any = Lazy(bench.engine)
        list(sample(lazy, [open_(bench, image) for image in IMAGES[:images]]))
        # But for what fills up a batch, and passes that are repeated. Of the other half some were begun by then.
        first = sum(count > 64 for count in lazy.asked[0])
        assert first == -(-images // 2)
        assert len(lazy.asked) <= 3

    def test_those_ahead_are_asked_once_at_a_time(self) -> None:
        bench = bench_of(**AUTO)
        lazy: Any = Lazy(bench.engine)
        streams = [open_(bench, image) for image in IMAGES[:6]]
        found = dict(sample(lazy, streams[:3], decide=never, ahead=lambda: streams[3:]))
        assert set(found) == set(streams[:3])
        assert not any(stream.busy for stream in streams)
        assert any(stream.begun for stream in streams[3:])


class TestTheSameImageTwice:
    """One draws and the others take its samples from the cache, once it has them."""

    def found(self, images: Sequence[int], cache: Cache | None, engine: Any = None, **options: Any) -> Any:
        bench = Bench(Kept(), LimeOptions(**{**OPTIONS, **AUTO, "max_samples": 250, **options}), cache)
        streams = [open_(bench, IMAGES[place], opinions=["occlusion"]) for place in images]
        # An image takes the longer, the smaller its number.
        ends = {id(stream): 230 - 40 * place for stream, place in zip(streams, images, strict=True)}
        found = dict(sample(engine(bench.engine) if engine else bench.engine, iter(streams), decide=after(ends)))
        return [found[stream] for stream in streams], bench.engine.passes

    @pytest.mark.parametrize("engine", [None, Lazy])
    @pytest.mark.parametrize("images", [(0, 0, 1, 2, 0, 1), (2, 2), (2, 1, 0, 2), (0,) * 20, (0, 1, 2, 3, 3, 2, 1, 0)])
    def test_no_pass_is_made_for_it(self, tmp_path: Path, images: tuple[int, ...], engine: Any) -> None:
        # Nobody fills up a batch of one, and no image is in it again.
        found, passes = self.found(images, Cache(tmp_path / "a"), engine, batch_size=1)
        _, of_each_once = self.found(sorted(set(images)), Cache(tmp_path / "b"), engine, batch_size=1)
        assert passes == of_each_once
        for place, explanation in zip(images, found, strict=True):
            assert explanation.samples >= 230 - 40 * place
            first = found[images.index(place)]
            np.testing.assert_array_equal(explanation.weights, first.weights)
            np.testing.assert_array_equal(explanation.opinions["occlusion"], first.opinions["occlusion"])

    @pytest.mark.parametrize("engine", [None, Lazy])
    @pytest.mark.parametrize("batch_size", [7, 64])
    def test_a_second_run_says_the_same_to_the_last_digit(self, tmp_path: Path, batch_size: int, engine: Any) -> None:
        images = (0, 1, 0, 2, 2, 1, 3, 0)
        first, _ = self.found(images, Cache(tmp_path), engine, batch_size=batch_size)
        second, passes = self.found(images, Cache(tmp_path), engine, batch_size=batch_size)
        assert passes == 0
        for one, other in zip(first, second, strict=True):
            np.testing.assert_array_equal(one.weights, other.weights)
            np.testing.assert_array_equal(one.interval, other.interval)

    def test_without_a_cache_each_draws_its_own(self) -> None:
        found, passes = self.found((2, 2), None, batch_size=1)
        _, of_one = self.found((2,), None, batch_size=1)
        assert passes == 2 * of_one
        np.testing.assert_allclose(found[0].weights, found[1].weights, rtol=0, atol=ROUNDING)

    def test_where_nothing_can_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.warns(CacheWarning, match="goes on without it"):
            found, _ = self.found((2, 2), Cache(tmp_path / "file"), batch_size=1)
        np.testing.assert_allclose(found[0].weights, found[1].weights, rtol=0, atol=ROUNDING)


class TestNotify:
    @pytest.mark.parametrize("batch_size", [16, 64, 1000])
    def test_nothing_ever_goes_back(self, batch_size: int) -> None:
        bench = bench_of(batch_size=batch_size, **AUTO)
        streams = [open_(bench, image) for image in IMAGES[:5]]
        ends = {id(stream): 50 + 70 * place for place, stream in enumerate(streams)}
        states: list[State] = []
        list(sample(bench.engine, streams, decide=after(ends), notify=states.append, images=5))
        assert states
        assert [state.passes for state in states] == sorted(state.passes for state in states)
        assert [state.images_done for state in states] == sorted(state.images_done for state in states)
        assert {state.images for state in states} == {5}
        for state in states:
            assert 0 <= state.samples <= state.most == 400
            assert 0 <= state.undecided <= state.claims <= 1
            assert 0 <= state.images_done < 5

    def test_what_is_scored_beside_is_no_sample(self, tmp_path: Path) -> None:
        for opinions in ((), "occlusion"):
            bench = Bench(Kept(), LimeOptions(**{**OPTIONS, **AUTO}), Cache(tmp_path))
            stream = open_stream(bench, IMAGES[0], 0, opinions=opinions, decides=True)
            states: list[State] = []
            list(sample(bench.engine, [stream], notify=states.append))
        # All samples are from the cache.
        assert (bench.engine.passes, {state.samples for state in states}) == (16, {stream.samples})

    def test_samples_of_one_image_rise_to_their_end(self) -> None:
        bench = bench_of(batch_size=16)
        states: list[State] = []
        list(sample(bench.engine, [open_(bench, IMAGES[0])], notify=states.append))
        samples = [state.samples for state in states]
        assert samples == sorted(samples)
        assert samples[-1] == 100
        assert [state.passes for state in states] == list(np.minimum(16 * np.arange(1, 8), 102))
        assert states[-1].label.endswith("'array'")

    def test_how_many_claims_are_open_is_told_after_the_first_look(self) -> None:
        bench = bench_of(batch_size=1000, **AUTO)
        states: list[State] = []
        list(
            sample(
                bench.engine,
                [open_(bench, IMAGES[0])],
                decide=lambda stream, explanation: (2 if explanation.samples < 200 else 1, 3),
                notify=states.append,
            )
        )
        told = [(state.undecided, state.claims) for state in states]
        assert told[0] == (0, 0)
        assert set(told[1:]) == {(2, 3), (1, 3)}
        assert states[1].label == "'cat' in 'array'"


class TestErrors:
    @pytest.mark.parametrize("batch", [0, 1, 2, 4])
    def test_an_error_of_the_model_leaves_nothing_half_done(self, batch: int) -> None:
        class Failing(Recording):
            fails = True

            def predict(self, batch_: torch.Tensor) -> torch.Tensor:
                if self.fails and len(self.batches) == batch:
                    raise ZeroDivisionError
                return super().predict(batch_)

        model = Failing()
        bench = bench_of(model)
        streams = [open_(bench, image) for image in IMAGES[:3]]
        later = open_(bench, IMAGES[3])
        with pytest.raises(ZeroDivisionError):
            list(sample(bench.engine, streams, ahead=lambda: [later]))
        # Either has all scores of what it was asked, or is known to wait for some.
        for stream in (*streams, later):
            assert stream.busy or stream.samples in (0, 25, 50, 100)
        model.fails = False
        fresh = [open_(bench, image) for image in IMAGES[:3]]
        found = dict(sample(bench.engine, fresh))
        for stream, image in zip(fresh, IMAGES, strict=False):
            np.testing.assert_allclose(found[stream].weights, alone(image).weights, rtol=0, atol=ROUNDING)

    def test_an_error_in_opening_a_stream_is_raised_where_it_is_taken(self) -> None:
        bench = bench_of()

        def streams() -> Iterator[SampleStream]:
            yield open_(bench, IMAGES[0])
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            list(sample(bench.engine, streams()))

    def test_who_stops_early_stops_the_model(self) -> None:
        bench = bench_of(**AUTO)
        found = sample(bench.engine, (open_(bench, image) for image in IMAGES))
        next(found)
        passes = bench.engine.passes
        found.close()
        assert bench.engine.passes == passes < 400


Count: TypeAlias = Callable[..., tuple[set[int], set[int]]]


def blas_threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


class TestThreads:
    """Looks leave the cores to the passes, which may use the same libraries."""

    @pytest.fixture
    def of_passes_and_looks(self, monkeypatch: pytest.MonkeyPatch) -> Count:
        return functools.partial(self.count, monkeypatch)

    @staticmethod
    def count(monkeypatch: pytest.MonkeyPatch, bench: Bench, engine: Any = None) -> tuple[set[int], set[int]]:
        """Return how many threads there were in the passes, and in the looks."""
        in_passes: set[int] = set()
        in_looks: set[int] = set()
        predict = bench.model.predict

        def counting(batch: torch.Tensor) -> torch.Tensor:
            in_passes.update(blas_threads())
            return predict(batch)

        def decide(stream: SampleStream, explanation: Explanation) -> tuple[int, int]:
            in_looks.update(blas_threads())
            return 1, 1

        def looking(*arguments: Any, **options: Any) -> Any:
            in_looks.update(blas_threads())
            return fit_samples(*arguments, **options)

        bench.model.predict = counting  # type: ignore[method-assign]
        monkeypatch.setattr(streams, "fit_samples", looking)
        with threadpool_limits(3, user_api="blas"):
            list(sample(engine or bench.engine, [open_(bench, IMAGES[0])], decide=decide))
            assert blas_threads() == {3}
        return in_passes, in_looks

    def test_a_look_has_one_and_a_pass_all(self, of_passes_and_looks: Count) -> None:
        assert of_passes_and_looks(bench_of(**AUTO)) == ({3}, {1})

    def test_many_superpixels_are_worth_them(self, of_passes_and_looks: Count, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sampling, "MANY", 16)
        assert of_passes_and_looks(bench_of(**AUTO)) == ({3}, {3})

    def test_an_accelerator_does_not_mind(self, of_passes_and_looks: Count) -> None:
        bench = bench_of(**AUTO)
        assert of_passes_and_looks(bench, Lazy(bench.engine))[1] == {3}

    def test_what_is_stored_needs_no_pass(self, of_passes_and_looks: Count, tmp_path: Path) -> None:
        for expected in (({3}, {1}), (set(), {3})):
            bench = Bench(Kept(), LimeOptions(**{**OPTIONS, **AUTO}), Cache(tmp_path))
            assert of_passes_and_looks(bench) == expected
