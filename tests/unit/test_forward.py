"""The engine: masked copies of several images, their batches, and what the model makes of them."""

import contextlib
import gc
import threading
import weakref
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pytest_lime import CallableModel, ModelError, OptionError, TorchModel
from pytest_lime.batches import Pace
from pytest_lime.forward import Canvas, Engine, Portion, choose_device
from pytest_lime.images import Image

CPU = torch.device("cpu")
SEGMENTS = np.kron(np.arange(6).reshape(2, 3), np.ones((2, 2), dtype=np.int64))
RNG = np.random.default_rng(0)
PIXELS = RNG.random((3, 4, 6), dtype=np.float32)
FILL = RNG.random((3, 4, 6), dtype=np.float32)
MASKS = RNG.integers(0, 2, (75, 6), dtype=np.uint8)
WHOLE = np.ones((1, 6), dtype=np.uint8)
EVERY = [0, 1, 2, 3]
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
# Sums of a few hundred float32 products in another order.
FLOAT32 = 1e-6


class Classifier:
    """Four classes, linear in the pixels and then a softmax; remembers the batches it got."""

    labels: tuple[str, ...] | None = ("a", "b", "c", "d")
    input_size: tuple[int, int] | None = (4, 6)

    def __init__(self, channels: int = 3) -> None:
        self.batches: list[torch.Tensor] = []
        generator = torch.Generator().manual_seed(0)
        self.weights = torch.randn(channels * 24, 4, generator=generator) / 5

    def prepare(self, image: Image) -> NDArray[np.float32]:
        return np.moveaxis(image.pixels, -1, 0)

    def predict(self, batch: torch.Tensor) -> torch.Tensor:
        self.batches.append(batch.clone())
        return (batch.flatten(1) @ self.weights[: batch[0].numel()]).softmax(dim=1)

    @property
    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]


class Returning(Classifier):
    """Returns what `make` makes of a batch."""

    def __init__(self, make: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.make = make

    def predict(self, batch: torch.Tensor) -> torch.Tensor:
        returned: torch.Tensor = self.make(batch)
        return returned


class Small(Classifier):
    """Runs out of memory above `room` images."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room
        self.refused: list[int] = []

    def predict(self, batch: torch.Tensor) -> torch.Tensor:
        if len(batch) > self.room:
            self.refused.append(len(batch))
            raise torch.OutOfMemoryError(f"{len(batch)} images are too many")
        return super().predict(batch)


class Received(torch.nn.Module):
    """A network that remembers what it receives."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[torch.Tensor] = []
        self.linear = torch.nn.Linear(72, 4)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        self.batches.append(batch.clone())
        scores: torch.Tensor = self.linear(batch.flatten(1))
        return scores


def engine_of(model: Any, batch_size: Any = 16, **options: Any) -> Engine:
    return Engine(model, CPU, batch_size=batch_size, **options)


def canvas_of(engine: Engine, pixels: NDArray[np.float32] = PIXELS, fill: NDArray[np.float32] = FILL) -> Canvas:
    return Canvas(engine, pixels, fill[: len(pixels)], SEGMENTS)


def scores_of(model: Any, batch_size: Any = 16, classes: list[int] = EVERY) -> NDArray[np.float64]:
    return canvas_of(engine_of(model, batch_size)).scores(MASKS, classes)


def copies(masks: NDArray[np.uint8], pixels: NDArray[np.float32], fill: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return masked copies, made pixel by pixel."""
    made = np.empty((len(masks), *pixels.shape), dtype=np.float32)
    for copy, mask in zip(made, masks, strict=True):
        for (row, column), superpixel in np.ndenumerate(SEGMENTS):
            copy[:, row, column] = (pixels if mask[superpixel] else fill)[:, row, column]
    return made


class TestMaskedCopies:
    @pytest.mark.parametrize("batch_size", [10, "auto"])
    @pytest.mark.parametrize("channels", [1, 3])
    def test_every_pixel_is_of_the_image_where_shown_and_of_the_fill_where_hidden(
        self, channels: int, batch_size: Any
    ) -> None:
        model = Classifier(channels)
        # With "auto" the first batches have one layout and the other, in turn.
        canvas_of(engine_of(model, batch_size), PIXELS[:channels]).scores(MASKS, [0])
        batch = torch.cat(model.batches).numpy()
        assert batch.shape == (75, channels, 4, 6)
        assert batch.dtype == np.float32
        np.testing.assert_array_equal(batch, copies(MASKS, PIXELS[:channels], FILL[:channels]))

    def test_both_layouts_are_tried(self) -> None:
        layouts = []

        def make(batch: torch.Tensor) -> torch.Tensor:
            layouts.append((len(batch), batch.is_contiguous(memory_format=torch.channels_last)))
            return torch.zeros(len(batch), 4)

        scores_of(Returning(make), "auto")
        assert layouts[:4] == [(8, True), (8, False)] * 2

    def test_one_channel_has_one_layout(self) -> None:
        model = Classifier(1)
        engine = engine_of(model, "auto")
        canvas_of(engine, PIXELS[:1]).scores(MASKS, [0])
        assert model.sizes[:3] == [8, 8, 16]

    def test_all_and_nothing(self) -> None:
        model = Classifier()
        engine = engine_of(model)
        canvas = canvas_of(engine)
        whole = engine.alone(canvas)
        assert whole.shape == (4,)
        assert whole.dtype == np.float64
        scores = canvas.scores(np.array([[1] * 6, [0] * 6], dtype=np.uint8), EVERY)
        np.testing.assert_allclose(scores[0], whole, atol=FLOAT32)
        np.testing.assert_array_equal(model.batches[-1][0].numpy(), PIXELS)
        np.testing.assert_array_equal(model.batches[-1][1].numpy(), FILL)
        assert (canvas.passes, engine.passes) == (3, 3)

    def test_a_superpixel_need_not_be_in_one_piece(self) -> None:
        model = Classifier()
        segments = RNG.permutation(np.arange(24) % 6).reshape(4, 6)
        Canvas(engine_of(model), PIXELS, FILL, segments).scores(np.eye(6, dtype=np.uint8), [0])
        for superpixel, copy in enumerate(model.batches[0].numpy()):
            np.testing.assert_array_equal(copy, np.where(segments == superpixel, PIXELS, FILL))

    def test_arrays_are_not_written_to(self) -> None:
        pixels, fill, masks = PIXELS.copy(), FILL.copy(), MASKS.copy()
        canvas_of(engine_of(Classifier()), pixels, fill).scores(masks, [0])
        for after, before in ((pixels, PIXELS), (fill, FILL), (masks, MASKS)):
            np.testing.assert_array_equal(after, before)


class TestSharedBatches:
    def test_images_of_one_shape_share_batches(self) -> None:
        model = Classifier()
        engine = engine_of(model, 16)
        images = [(PIXELS**power).astype(np.float32) for power in (1, 2, 3)]
        canvases = [canvas_of(engine, pixels) for pixels in images]
        counts = (20, 3, 30)
        portions = [Portion(canvas, MASKS[:n], EVERY) for canvas, n in zip(canvases, counts, strict=True)]
        results = engine.submit(portions).results()
        assert model.sizes == [16, 16, 16, 5]
        seen = torch.cat(model.batches).numpy()
        made = [copies(MASKS[:n], pixels, FILL) for pixels, n in zip(images, counts, strict=True)]
        np.testing.assert_array_equal(seen, np.concatenate(made))
        assert [canvas.passes for canvas in canvases] == list(counts)
        assert engine.passes == 53
        for result, pixels, n in zip(results, images, counts, strict=True):
            alone = canvas_of(engine_of(Classifier()), pixels).scores(MASKS[:n], EVERY)
            np.testing.assert_allclose(result, alone, atol=FLOAT32)

    def test_images_of_other_shapes_do_not(self) -> None:
        model = Classifier()
        engine = engine_of(model, 16)
        turned, filled = (np.moveaxis(part, 1, 2).copy() for part in (PIXELS, FILL))
        upright = Canvas(engine, turned, filled, SEGMENTS.T.copy())
        wide = [canvas_of(engine) for _ in range(2)]
        portions = [
            Portion(wide[0], MASKS[:5], [0]),
            Portion(upright, MASKS[:6], [0]),
            Portion(wide[1], MASKS[:7], [0]),
        ]
        first, second, third = engine.submit(portions).results()
        assert sorted(tuple(batch.shape) for batch in model.batches) == [(6, 3, 6, 4), (12, 3, 4, 6)]
        assert (len(first), len(second), len(third)) == (5, 6, 7)
        np.testing.assert_allclose(first, third[:5], atol=FLOAT32)
        again = engine.submit([Portion(upright, MASKS[:6], [0])]).results()[0]
        np.testing.assert_allclose(second, again, atol=FLOAT32)

    def test_each_portion_has_its_own_classes(self) -> None:
        engine = engine_of(Classifier(), 16)
        canvas = canvas_of(engine)
        wanted: list[list[int] | None] = [[2], None, [3, 0], [1, 1]]
        results = engine.submit([Portion(canvas, MASKS[:10], classes) for classes in wanted]).results()
        every = results[1]
        assert every.shape == (10, 4)
        for classes, result in zip(wanted, results, strict=True):
            assert result.dtype == np.float64
            np.testing.assert_allclose(result, every if classes is None else every[:, classes], atol=FLOAT32)

    @pytest.mark.parametrize("counts", [(0, 5), (5, 0), (5, 0, 3), (1, 1, 1)])
    def test_portions_of_any_length(self, counts: tuple[int, ...]) -> None:
        engine = engine_of(Classifier(), 4)
        canvas = canvas_of(engine)
        portions = [Portion(canvas, MASKS[:n], [0]) for n in counts if n]
        results = engine.submit(portions).results()
        assert [len(result) for result in results] == [n for n in counts if n]

    def test_how_far_it_is_is_told_after_each_batch(self) -> None:
        engine = engine_of(Classifier(), 16)
        canvases = [canvas_of(engine) for _ in range(2)]
        told: list[int] = []
        engine.submit([Portion(canvas, MASKS[:20], [0]) for canvas in canvases], tick=told.append).results()
        assert told == [16, 32, 40]


def largest_of(pace: Pace) -> int:
    """Search for the batch size where a batch takes as long whatever its size, and return the largest tried."""
    largest = pace.size
    while not pace.settled:
        largest = max(largest, pace.size)
        pace.measured(pace.size, 1.0)
    return largest


class TestRoom:
    @pytest.mark.parametrize(
        ("shape", "threads", "most"),
        [
            *(((3, 224, 224), threads, most) for threads, most in ((1, 16), (2, 32), (4, 64), (64, 64))),
            *(((1, 28, 28), threads, 512) for threads in (1, 64)),
            *(((3, 2000, 2000), threads, 1) for threads in (1, 64)),
        ],
    )
    def test_a_batch_on_a_processor_leaves_memory_to_others(
        self, shape: tuple[int, ...], threads: int, most: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
        pace = Engine(TorchModel(torch.nn.Flatten(), size=(4, 6)), CPU).pace(shape)
        assert (largest_of(pace), pace.size) == (most, most)

    @pytest.mark.parametrize(
        ("kind", "model", "most"),
        [
            ("cpu", TorchModel(torch.nn.Flatten(), size=(4, 6)), 16),
            ("cuda", TorchModel(torch.nn.Flatten(), size=(4, 6)), 256),
            # What others compute with torch knows nothing of.
            ("cpu", Classifier(), 64),
            ("cpu", CallableModel(lambda images: images), 64),
        ],
    )
    def test_threads_of_torch_count_for_networks_alone(
        self, kind: str, model: Any, most: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
        assert largest_of(Engine(model, torch.device(kind)).pace((3, 224, 224))) == most

    def test_with_another_number_of_threads_it_is_measured_anew(self, monkeypatch: pytest.MonkeyPatch) -> None:
        engine = Engine(TorchModel(torch.nn.Flatten(), size=(4, 6)), CPU)
        for threads, most in ((1, 16), (2, 32), (1, 16)):
            monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
            assert largest_of(engine.pace((3, 224, 224))) == most


class Crowded(torch.nn.Module):
    """Counts the threads that are in it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.inside = self.most_inside = 0
        self.met = threading.Barrier(2)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        with contextlib.suppress(threading.BrokenBarrierError):
            self.met.wait(0.2)
        self.inside -= 1
        return batch.mean(dim=(2, 3))


class TestThreads:
    @staticmethod
    def ask(models: Sequence[Any]) -> None:
        """Score with each model in a thread of its own."""
        threads = [threading.Thread(target=scores_of, args=(model, 16, [0])) for model in models]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    @pytest.mark.parametrize("objects", [1, 2])
    def test_a_network_is_asked_by_one_at_a_time(self, objects: int) -> None:
        net = Crowded()
        models = [TorchModel(net, size=(4, 6)) for _ in range(objects)]
        self.ask([models[0], models[-1]])
        assert net.most_inside == 1

    def test_others_may_be_asked_at_once(self) -> None:
        counting = Crowded()
        model = CallableModel(lambda images: counting(torch.from_numpy(images).movedim(-1, 1)).numpy(), output="scores")
        self.ask([model, model])
        assert counting.most_inside == 2


class TestPadding:
    def test_what_fills_a_batch_up_changes_no_score(self, monkeypatch: pytest.MonkeyPatch) -> None:
        expected = scores_of(Classifier(), 16)
        monkeypatch.setattr(Pace, "padded", lambda pace, size: 16)
        model = Classifier()
        engine = engine_of(model, 16)
        canvas = canvas_of(engine)
        np.testing.assert_allclose(canvas.scores(MASKS, EVERY), expected, atol=FLOAT32)
        assert model.sizes == [16] * 5
        assert (engine.passes, canvas.passes) == (75, 75)

    def test_the_model_sees_pictures_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Pace, "padded", lambda pace, size: 16)
        model = Classifier()
        canvas_of(engine_of(model, 16)).scores(MASKS[:3], EVERY)
        (batch,) = model.batches
        assert len(batch) == 16
        assert not batch[3:].any()

    def test_a_processor_gets_what_is_wanted(self) -> None:
        model = Classifier()
        canvas_of(engine_of(model, 16)).scores(MASKS[:35], EVERY)
        assert model.sizes == [16, 16, 3]


class TestScores:
    @pytest.mark.parametrize("classes", [[0], [2, 0], [3, 2, 1, 0], [1, 1]])
    def test_the_classes_asked_for_in_their_order(self, classes: list[int]) -> None:
        every = scores_of(Classifier())
        assert every.shape == (75, 4)
        assert every.dtype == np.float64
        np.testing.assert_array_equal(scores_of(Classifier(), classes=classes), every[:, classes])

    @pytest.mark.parametrize("batch_size", [1, 2, 7, 74, 75, 76, 1000, "auto"])
    def test_any_batch_size_gives_the_same_scores(self, batch_size: Any) -> None:
        np.testing.assert_allclose(scores_of(Classifier(), batch_size), scores_of(Classifier(), 75), atol=FLOAT32)

    @pytest.mark.parametrize("batch_size", [1, 10, "auto"])
    def test_a_model_that_writes_into_its_batch_spoils_nothing(self, batch_size: Any) -> None:
        class Spoiling(Classifier):
            def predict(self, batch: torch.Tensor) -> torch.Tensor:
                scores = super().predict(batch)
                batch.fill_(0.5)
                return scores

        pixels, fill = PIXELS.copy(), FILL.copy()
        engine, plain = (engine_of(model, batch_size) for model in (Spoiling(), Classifier()))
        spoiled, other = canvas_of(engine, pixels, fill), canvas_of(plain)
        np.testing.assert_array_equal(engine.alone(spoiled), plain.alone(other))
        masks = np.concatenate([np.ones((3, 6), dtype=np.uint8), np.zeros((3, 6), dtype=np.uint8), MASKS])
        np.testing.assert_allclose(spoiled.scores(masks, [0, 1]), other.scores(masks, [0, 1]), atol=FLOAT32)
        np.testing.assert_array_equal(engine.alone(spoiled), plain.alone(other))
        np.testing.assert_array_equal(pixels, PIXELS)
        np.testing.assert_array_equal(fill, FILL)

    @pytest.mark.parametrize("classes", [None, [0], [3, 0]])
    def test_a_model_that_returns_a_view_of_its_batch_spoils_nothing(self, classes: list[int] | None) -> None:
        engine = engine_of(Returning(lambda batch: batch.flatten(1)[:, :4]), 10)
        (scores,) = engine.submit([Portion(canvas_of(engine), MASKS, classes)]).results()
        expected = copies(MASKS, PIXELS, FILL).reshape(75, -1)[:, :4]
        np.testing.assert_array_equal(scores, expected if classes is None else expected[:, classes])

    @pytest.mark.parametrize("classes", [None, [0], [3, 0]])
    def test_a_model_that_writes_its_scores_into_one_buffer_spoils_nothing(self, classes: list[int] | None) -> None:
        class Reusing(Classifier):
            def __init__(self) -> None:
                super().__init__()
                self.buffer = torch.empty(10, 4)

            def predict(self, batch: torch.Tensor) -> torch.Tensor:
                return self.buffer[: len(batch)].copy_(super().predict(batch))

        engine = engine_of(Reusing(), 10)
        (scores,) = engine.submit([Portion(canvas_of(engine), MASKS, classes)]).results()
        expected = scores_of(Classifier(), 10)
        np.testing.assert_array_equal(scores, expected if classes is None else expected[:, classes])

    @pytest.mark.parametrize(("batch_size", "sizes"), [(30, [30, 30, 15]), (75, [75]), (100, [75]), (1, [1] * 75)])
    def test_batches_are_of_the_size_asked_for(self, batch_size: int, sizes: list[int]) -> None:
        model = Classifier()
        engine = engine_of(model, batch_size)
        canvas = canvas_of(engine)
        canvas.scores(MASKS, [0])
        assert model.sizes == sizes
        assert (engine.batch_size(canvas.shape), engine.passes) == (batch_size, 75)

    def test_no_gradient_is_kept(self) -> None:
        net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(72, 4))
        scores_of(TorchModel(net, size=(4, 6)))
        assert all(parameter.grad is None for parameter in net.parameters())

    def test_weights_can_be_trained_afterwards(self) -> None:
        net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(72, 4))
        scores_of(TorchModel(net, size=(4, 6)), "auto")
        net(torch.ones(1, 3, 4, 6)).sum().backward()
        assert all(parameter.grad is not None for parameter in net.parameters())

    @pytest.mark.parametrize("kind", [">f4", "<f8", "f2"])
    def test_arrays_as_they_lie_in_memory(self, kind: str) -> None:
        def make(batch: torch.Tensor) -> Any:
            rows = np.arange(4 * len(batch)).reshape(len(batch), 4)[:, ::-1]
            return np.asarray(rows, dtype=kind)

        engine = engine_of(Returning(make), 3)
        found = canvas_of(engine).scores(MASKS[:3], [1, 3])
        np.testing.assert_array_equal(found, [[2, 0], [6, 4], [10, 8]])


class TestBuffers:
    @staticmethod
    def places(batch_size: Any, *counts: int) -> list[tuple[int, int]]:
        """Submit portions of so many masks, and return the size and the address of each batch."""
        found: list[tuple[int, int]] = []

        def make(batch: torch.Tensor) -> torch.Tensor:
            found.append((len(batch), batch.data_ptr()))
            return torch.zeros(len(batch), 4)

        engine = engine_of(Returning(make), batch_size)
        for count in counts:
            canvas_of(engine).scores(np.resize(MASKS, (count, 6)), [0])
        return found

    def test_one_buffer_serves_all_batches_and_images(self) -> None:
        found = self.places(10, 75, 3, 75)
        assert [size for size, _ in found] == [10] * 7 + [5, 3] + [10] * 7 + [5]
        assert len({place for _, place in found}) == 1

    @pytest.mark.parametrize("classes", [[0], None, EVERY])
    def test_nothing_is_kept_of_each_batch(self, classes: list[int] | None) -> None:
        """Pieces that live on among what batches free would make the process grow with the samples."""
        engine = engine_of(Returning(lambda batch: torch.zeros(len(batch), 4)), 5)
        canvases = [canvas_of(engine) for _ in range(2)]
        living: list[int] = []

        def tick(done: int) -> None:
            living.append(sum(type(held) is torch.Tensor for held in gc.get_objects()))

        # Both images are in one batch, and have been from then on.
        portions = [
            Portion(canvas, np.resize(MASKS, (count, 6)), classes)
            for canvas, count in zip(canvases, (8, 62), strict=True)
        ]
        results = engine.submit(portions, tick=tick).results()
        assert [len(result) for result in results] == [8, 62]
        assert len(living) == 14
        assert len(set(living[2:])) == 1

    @pytest.mark.parametrize("later", [torch.float32, torch.float64, torch.bfloat16])
    @pytest.mark.parametrize("first", [torch.float16, torch.float32, torch.int64])
    def test_no_batch_is_rounded_to_the_type_of_another(self, first: torch.dtype, later: torch.dtype) -> None:
        types = iter([first, *[later] * 3])
        values = [3.0, 100_000.0, 0.1, 1 / 3]
        scores = iter(values)
        engine = engine_of(Returning(lambda batch: torch.full((len(batch), 4), next(scores)).to(next(types))), 5)
        found = canvas_of(engine).scores(MASKS[:20], [0])
        expected = [float(torch.tensor(value).to(later)) for value in values]
        np.testing.assert_array_equal(found[::5, 0], expected)

    def test_it_grows_with_the_batch_size(self) -> None:
        # Those of the last size found share one.
        found = self.places("auto", 4000)
        largest = max(size for size, _ in found)
        assert len({place for size, place in found if size == largest}) == 1

    def test_a_larger_image_gets_a_larger_one(self) -> None:
        model = Classifier()
        engine = engine_of(model, 8)
        canvas_of(engine).scores(MASKS[:8], [0])
        larger = np.kron(PIXELS, np.ones((1, 2, 2), dtype=np.float32))
        model.weights = torch.zeros(larger.size, 4)
        canvas = Canvas(engine, larger, larger * 0, np.kron(SEGMENTS, np.ones((2, 2), dtype=np.int64)))
        canvas.scores(MASKS[:8], [0])
        for copy, mask in zip(model.batches[-1].numpy(), MASKS, strict=False):
            shown = np.kron(mask.reshape(2, 3), np.ones((4, 4)))
            np.testing.assert_array_equal(copy, larger * shown.astype(np.float32))


class TestNormalisation:
    @staticmethod
    def model(net: torch.nn.Module, kind: type[TorchModel] = TorchModel) -> TorchModel:
        return kind(net, size=(4, 6), mean=MEAN, std=STD)

    @pytest.mark.parametrize("batch_size", [10, "auto"])
    def test_a_network_receives_what_its_model_would_give_it(self, batch_size: Any) -> None:
        net = Received()
        model = self.model(net)
        scores = scores_of(model, batch_size)
        shown = torch.from_numpy(copies(MASKS, PIXELS, FILL))
        assert torch.equal(torch.cat(net.batches), model.normalise(shown))
        with torch.no_grad():
            np.testing.assert_allclose(scores, model.predict(shown).double().numpy(), atol=FLOAT32)

    def test_it_is_done_once_an_image_and_layout(self) -> None:
        class Counting(TorchModel):
            normalised = 0

            def normalise(self, batch: torch.Tensor) -> torch.Tensor:
                self.normalised += len(batch)
                return super().normalise(batch)

        model = self.model(Received(), Counting)
        assert isinstance(model, Counting)
        engine = engine_of(model, 10)
        canvas = canvas_of(engine)
        canvas.scores(MASKS, [0])
        engine.alone(canvas)
        # The image and its fill.
        assert model.normalised == 2

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
    def test_a_model_of_another_type_gets_that_to_the_last_bit(self, dtype: torch.dtype) -> None:
        net = Received().to(dtype)
        model = self.model(net)
        scores_of(model, 10)
        assert {batch.dtype for batch in net.batches} == {dtype}
        assert torch.equal(torch.cat(net.batches), model.normalise(torch.from_numpy(copies(MASKS, PIXELS, FILL))))

    def test_who_overrides_predict_alone_is_asked_through_it(self) -> None:
        class Sharpened(TorchModel):
            def predict(self, batch: torch.Tensor) -> torch.Tensor:
                seen.append(batch.clone())
                return super().predict(batch) ** 2

        seen: list[torch.Tensor] = []
        net = Received()
        model = self.model(net, Sharpened)
        scores = scores_of(model, 10)
        shown = torch.from_numpy(copies(MASKS, PIXELS, FILL))
        assert torch.equal(torch.cat(seen), shown)
        assert torch.equal(torch.cat(net.batches), model.normalise(shown))
        plain = scores_of(self.model(net), 10)
        np.testing.assert_allclose(scores, plain**2, atol=FLOAT32)

    def test_who_replaces_predict_of_one_object_is_asked_through_it(self) -> None:
        model: Any = self.model(Received())
        model.predict = lambda batch: batch.flatten(1)[:, :4]
        np.testing.assert_array_equal(scores_of(model), copies(MASKS, PIXELS, FILL).reshape(75, -1)[:, :4])

    def test_who_overrides_both_is_given_what_is_normalised(self) -> None:
        class Both(TorchModel):
            def predict(self, batch: torch.Tensor) -> torch.Tensor:
                raise AssertionError

            def classify(self, received: torch.Tensor, **_: Any) -> torch.Tensor:
                return received.flatten(1)[:, :4]

        model = self.model(Received(), Both)
        shown = torch.from_numpy(copies(MASKS, PIXELS, FILL))
        np.testing.assert_array_equal(scores_of(model), model.normalise(shown).flatten(1)[:, :4].numpy())


class TestWrongModels:
    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (lambda batch: torch.zeros(len(batch)), "scores of shape (16,) for a batch of 16 images"),
            (lambda batch: torch.zeros(len(batch), 4, 1), "it must return 16×4"),
            (lambda batch: torch.zeros(len(batch) + 1, 4), "scores of shape (17, 4)"),
            (lambda batch: torch.zeros(len(batch), 0), "one column a class"),
            (lambda batch: torch.zeros(len(batch), 3), "3 scores an image and has 4 labels"),
            (lambda batch: torch.zeros(len(batch), 4, dtype=torch.complex64), "must be real numbers"),
            (lambda batch: None, "the model returned None"),
            (lambda batch: "cat", "the model returned"),
            (lambda batch: torch.full((len(batch), 4), torch.nan), "NaN or infinity for 75 of 75 images"),
            (lambda batch: [[0.0, 1.0, 2.0, np.inf]] * len(batch), "NaN or infinity for 75 of 75 images"),
        ],
    )
    def test_what_it_returns_is_checked(self, make: Callable[[torch.Tensor], Any], words: str) -> None:
        with pytest.raises(ModelError) as caught:
            scores_of(Returning(make), classes=[0, 1, 2] if "75" not in words else [3])
        assert words in str(caught.value)

    def test_nan_is_found_in_the_whole_image_too(self) -> None:
        engine = engine_of(Returning(lambda batch: torch.full((len(batch), 4), torch.nan)))
        with pytest.raises(ModelError, match="NaN or infinity for 1 of 1 images"):
            engine.alone(canvas_of(engine))

    @pytest.mark.parametrize("labels", [None, ("a", "b", "c", "d")])
    def test_the_number_of_classes_may_not_change(self, labels: Any) -> None:
        model = Returning(lambda batch: torch.zeros(len(batch), 4 if len(batch) < 3 else 5))
        model.labels = labels
        engine = engine_of(model)
        canvas = canvas_of(engine)
        engine.alone(canvas)
        words = "5 scores an image, and 4 before" if labels is None else "5 scores an image and has 4 labels"
        with pytest.raises(ModelError, match=words):
            canvas.scores(MASKS, [0])

    def test_only_the_images_that_are_bad_are_counted(self) -> None:
        def make(batch: torch.Tensor) -> torch.Tensor:
            scores = torch.ones(len(batch), 4)
            scores[batch[:, 0, 0, 0] == PIXELS[0, 0, 0]] = torch.inf
            return scores

        with pytest.raises(ModelError, match=f"for {MASKS[:, 0].sum()} of 75 images"):
            scores_of(Returning(make))

    @pytest.mark.parametrize("returned", [list, np.array], ids=["list", "array"])
    def test_lists_and_arrays_are_taken(self, returned: Callable[[Any], Any]) -> None:
        scores = scores_of(Returning(lambda batch: returned([[0.1, 0.2, 0.3, 0.4]] * len(batch))), classes=[2])
        np.testing.assert_allclose(scores, 0.3, atol=FLOAT32)

    @pytest.mark.parametrize("kind", [ZeroDivisionError, RuntimeError, TypeError, KeyError])
    def test_an_exception_inside_a_model_keeps_its_kind_and_gets_a_note(self, kind: type[Exception]) -> None:
        def make(batch: torch.Tensor) -> torch.Tensor:
            raise kind("own fault")

        with pytest.raises(kind, match="own fault") as caught:
            scores_of(Returning(make))
        (note,) = caught.value.__notes__
        assert "raised inside <" in note
        assert "batch of shape (16, 3, 4, 6), torch.float32 in [0, 1], on cpu" in note
        assert caught.traceback[-1].name == "make"

    def test_the_note_says_when_the_batch_was_normalised(self) -> None:
        # Too small for the layer.
        net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(5, 4))
        with pytest.raises(RuntimeError, match="mat1 and mat2") as caught:
            scores_of(TorchModel(net, size=(4, 6), mean=MEAN, std=STD))
        (note,) = caught.value.__notes__
        assert "raised inside TorchModel(Sequential" in note
        assert "torch.float32 normalised, on cpu" in note


class TestOutOfMemory:
    @pytest.mark.parametrize("room", [1, 3, 5, 20])
    @pytest.mark.parametrize("batch_size", [16, 64, "auto"])
    def test_batches_shrink_until_they_fit_and_nothing_is_lost(self, room: int, batch_size: Any) -> None:
        model = Small(room)
        engine = engine_of(model, batch_size)
        scores = canvas_of(engine).scores(MASKS, EVERY)
        np.testing.assert_allclose(scores, scores_of(Classifier()), atol=FLOAT32)
        assert engine.passes == len(torch.cat(model.batches)) == 75
        assert max(model.sizes) <= room
        if batch_size == 64 or room < 4:
            assert model.refused

    @pytest.mark.parametrize("room", [1, 3, 5, 20])
    @pytest.mark.parametrize("batch_size", [64, "auto"])
    def test_several_images_lose_and_double_nothing(self, room: int, batch_size: Any) -> None:
        model = Small(room)
        engine = engine_of(model, batch_size)
        images = [(PIXELS * share).astype(np.float32) for share in (1, 0.5, 0.25)]
        canvases = [canvas_of(engine, pixels) for pixels in images]
        counts = (7, 40, 13)
        told: list[int] = []
        portions = [Portion(canvas, MASKS[:n], EVERY) for canvas, n in zip(canvases, counts, strict=True)]
        results = engine.submit(portions, tick=told.append).results()
        made = [copies(MASKS[:n], pixels, FILL) for pixels, n in zip(images, counts, strict=True)]
        np.testing.assert_array_equal(torch.cat(model.batches).numpy(), np.concatenate(made))
        assert [canvas.passes for canvas in canvases] == list(counts)
        assert engine.passes == 60
        # What did not fit is not told of, and the rest adds up.
        assert told == list(np.cumsum(model.sizes))
        plain = engine_of(Classifier())
        for result, pixels, n in zip(results, images, counts, strict=True):
            np.testing.assert_allclose(result, canvas_of(plain, pixels).scores(MASKS[:n], EVERY), atol=FLOAT32)

    @pytest.mark.parametrize("batch_size", [16, "auto"])
    def test_a_size_that_did_not_fit_is_not_tried_again(self, batch_size: Any) -> None:
        model = Small(3)
        engine = engine_of(model, batch_size)
        canvas = canvas_of(engine)
        canvas.scores(MASKS, [0])
        refused = list(model.refused)
        canvas.scores(MASKS, [0])
        assert model.refused == refused
        assert engine.batch_size(canvas.shape) <= 3

    @pytest.mark.parametrize("batch_size", [1, 16, "auto"])
    def test_when_one_image_does_not_fit_the_error_is_told(self, batch_size: Any) -> None:
        model = Small(0)
        engine = engine_of(model, batch_size)
        words = "one image does not fit into the memory of cpu: 1 images are too many"
        with pytest.raises(ModelError, match=words):
            canvas_of(engine).scores(MASKS, [0])
        assert model.refused[-1] == 1
        with pytest.raises(ModelError, match=words):
            engine.alone(canvas_of(engine))

    @pytest.mark.parametrize(
        "error",
        [
            MemoryError(),
            MemoryError("Unable to allocate 3 GiB for an array"),
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes. Error code 12"),
            RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory"),
            RuntimeError("not enough memory: could not Allocate memory"),
        ],
        ids=str,
    )
    def test_what_counts_as_out_of_memory(self, error: Exception) -> None:
        class Full(Small):
            def predict(self, batch: torch.Tensor) -> torch.Tensor:
                try:
                    return super().predict(batch)
                except torch.OutOfMemoryError:
                    raise error from None

        engine = engine_of(Full(5))
        canvas = canvas_of(engine)
        assert engine.alone(canvas).shape == (4,)
        assert canvas.scores(MASKS, [0]).shape == (75, 1)
        assert engine.batch_size(canvas.shape) == 4
        with pytest.raises(ModelError, match="one image does not fit into the memory of cpu"):
            scores_of(Full(0))
        assert not getattr(error, "__notes__", [])

    def test_other_runtime_errors_are_the_models_own(self) -> None:
        with pytest.raises(RuntimeError, match="mat1 and mat2") as caught:
            scores_of(Returning(lambda batch: torch.zeros(2, 3) @ torch.zeros(2, 3)))
        assert not isinstance(caught.value, ModelError)

    def test_what_was_measured_is_remembered_for_the_model(self) -> None:
        model = Small(3)
        scores_of(model, "auto")
        assert engine_of(model, "auto").batch_size(PIXELS.shape) == 2
        # But not for another size, shape or precision, nor another model.
        assert engine_of(model, 16).batch_size(PIXELS.shape) == 16
        assert engine_of(model, "auto").batch_size((3, 9, 9)) == 8
        assert engine_of(model, "auto", precision="bfloat16").batch_size(PIXELS.shape) == 8
        assert engine_of(Small(3), "auto").batch_size(PIXELS.shape) == 8

    def test_models_that_cannot_be_remembered_work_all_the_same(self) -> None:
        class Slotted:
            __slots__ = ("input_size", "labels")

            def __init__(self) -> None:
                self.labels: tuple[str, ...] | None = None
                self.input_size: tuple[int, int] | None = (4, 6)

            def prepare(self, image: Image) -> NDArray[np.float32]:
                return np.moveaxis(image.pixels, -1, 0)

            def predict(self, batch: torch.Tensor) -> torch.Tensor:
                return batch.flatten(1)[:, :2]

        assert scores_of(Slotted(), "auto", [1]).shape == (75, 1)

    def test_a_large_image_keeps_batches_small(self) -> None:
        # 256 MiB hold 21 of these.
        assert engine_of(Classifier(), "auto").pace((3, 1024, 1024)).size <= 21


class TestPrecision:
    @staticmethod
    def asked(precision: str) -> set[tuple[bool, torch.dtype, torch.dtype]]:
        """Return whether autocast was active inside the model, in which type, and that of a product there."""
        found = set()

        def make(batch: torch.Tensor) -> torch.Tensor:
            product = batch.flatten(1) @ torch.ones(72, 4)
            found.add((torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu"), product.dtype))
            return product

        canvas_of(engine_of(Returning(make), precision=precision)).scores(MASKS, [0])
        return found

    @pytest.mark.parametrize("precision", ["bfloat16", "float16"])
    def test_sixteen_bits_run_the_model_under_autocast(self, precision: str) -> None:
        dtype = getattr(torch, precision)
        assert self.asked(precision) == {(True, dtype, dtype)}
        assert not torch.is_autocast_enabled("cpu")

    def test_thirty_two_bits_do_not(self) -> None:
        assert {(active, dtype) for active, _, dtype in self.asked("float32")} == {(False, torch.float32)}

    def test_a_network_is_run_so_too(self) -> None:
        net = Received()
        seen = []
        net.linear.register_forward_hook(lambda module, given, scores: seen.append(scores.dtype))
        engine = engine_of(TorchModel(net, size=(4, 6)), precision="bfloat16")
        scores = canvas_of(engine).scores(MASKS, EVERY)
        assert set(seen) == {torch.bfloat16}
        np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-2)

    @pytest.mark.parametrize("precision", ["bfloat16", "float16"])
    def test_models_that_do_not_compute_with_torch_are_told(self, precision: str) -> None:
        model: Any = Classifier()
        model.autocasts = False
        for one in (model, CallableModel(lambda images: np.ones((len(images), 1)))):
            with pytest.raises(
                OptionError, match=f"precision='{precision}' is for models that compute with torch, and"
            ):
                engine_of(one, precision=precision)
            assert engine_of(one).precision == "float32"


class TestResolution:
    def engine(self) -> Engine:
        return Engine(Classifier(), torch.device("cuda", 0))

    @pytest.mark.parametrize(
        ("capability", "allowed", "expected"),
        [
            ((9, 0), (True, False), 2**-10),
            ((8, 0), (False, True), 2**-10),
            ((9, 0), (False, False), 1e-6),
            ((7, 5), (True, True), 1e-6),
        ],
    )
    def test_a_gpu_that_computes_float32_in_tf32(
        self, monkeypatch: pytest.MonkeyPatch, capability: Any, allowed: Any, expected: float
    ) -> None:
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        for place, allows in zip(("torch.backends.cudnn", "torch.backends.cuda.matmul"), allowed, strict=True):
            monkeypatch.setattr(place, SimpleNamespace(allow_tf32=allows))
        assert self.engine().resolution == expected

    def test_where_torch_refuses_to_say(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Refusing:
            @property
            def allow_tf32(self) -> bool:
                raise RuntimeError("mix of the legacy and new APIs")

        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
        monkeypatch.setattr("torch.backends.cudnn", Refusing())
        assert self.engine().resolution == 2**-10

    @pytest.mark.parametrize(("precision", "expected"), [("float32", 1e-6), ("bfloat16", 2**-7), ("float16", 2**-10)])
    def test_on_a_processor(self, precision: str, expected: float) -> None:
        assert Engine(Classifier(), CPU, precision=precision).resolution == expected


class TestShares:
    def test_the_same_model_and_options(self) -> None:
        model = Classifier()
        engine = engine_of(model)
        assert engine.shares(engine_of(model))
        assert engine.shares(engine)

    @pytest.mark.parametrize(
        "other",
        [
            lambda model: engine_of(Classifier()),
            lambda model: engine_of(model, 17),
            lambda model: engine_of(model, "auto"),
            lambda model: engine_of(model, precision="bfloat16"),
            lambda model: Engine(model, torch.device("meta"), batch_size=16),
        ],
        ids=["model", "size", "auto", "precision", "device"],
    )
    def test_anything_else(self, other: Callable[[Any], Engine]) -> None:
        model = Classifier()
        assert not engine_of(model).shares(other(model))
        assert not other(model).shares(engine_of(model))


class TestLifetime:
    @pytest.mark.parametrize("make", [Classifier, lambda: TorchModel(Received(), size=(4, 6))])
    def test_a_model_is_not_kept_alive(self, make: Callable[[], Any]) -> None:
        model = make()
        scores_of(model, "auto")
        gone = weakref.ref(model)
        del model
        gc.collect()
        assert gone() is None

    def test_a_canvas_does_not_keep_the_batches(self) -> None:
        engine = engine_of(Classifier())
        canvas = canvas_of(engine)
        canvas.scores(MASKS, [0])
        gone = weakref.ref(canvas)
        del canvas
        gc.collect()
        assert gone() is None


class TestMachine:
    def test_it_names_what_decides_on_speed(self) -> None:
        engine = engine_of(Classifier())
        assert engine.machine == engine_of(Classifier()).machine
        assert f" {torch.get_num_threads()} threads" in engine.machine


class TestDevices:
    def test_auto_is_the_models_own(self) -> None:
        model: Any = Classifier()
        model.device = "cpu"
        assert choose_device("auto", model) == CPU
        model.device = torch.device("cpu")
        assert choose_device("auto", model) == CPU

    @pytest.mark.parametrize("there", [False, True])
    def test_auto_is_the_first_accelerator_or_the_cpu(self, there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.accelerator, "is_available", lambda: there)
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda", 0))
        model: Any = Classifier()
        model.device = "auto"
        assert choose_device("auto", model) == (torch.device("cuda", 0) if there else CPU)
        # A model that says nothing of devices may not know of any.
        assert choose_device("auto", Classifier()) == CPU

    def test_a_model_is_moved_once(self) -> None:
        class Movable(Classifier):
            def __init__(self) -> None:
                super().__init__()
                self.moved: list[tuple[torch.device, int]] = []

            def to(self, device: torch.device) -> None:
                self.moved.append((device, len(self.batches)))

        model = Movable()
        engine = engine_of(model, 10)
        canvas = canvas_of(engine)
        engine.alone(canvas)
        canvas.scores(MASKS, [0])
        # Before the first batch, and never again.
        assert model.moved == [(CPU, 0)]

    def test_the_option_is_stronger_than_the_model(self) -> None:
        model: Any = Classifier()
        model.device = "mps"
        assert choose_device("cpu", model) == CPU

    @pytest.mark.parametrize("index", [1, 7])
    def test_a_number_too_high(self, index: int) -> None:
        with pytest.raises(OptionError, match=rf"device='cpu:{index}' is not available; there are 1, 0…0"):
            choose_device(f"cpu:{index}", Classifier())

    @pytest.mark.parametrize("kind", ["cuda", "cuda:1", "mps", "xpu"])
    def test_an_accelerator_that_is_not_there(self, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(getattr(torch, kind.partition(":")[0]), "is_available", lambda: False)
        with pytest.raises(OptionError, match=f"device='{kind}' is not available; there is no such accelerator here"):
            choose_device(kind, Classifier())
