"""The engine: batches, their size, and masked copies."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pytest_lime import ModelError, OptionError, TorchModel
from pytest_lime.forward import BatchSize, Forward, choose_device
from pytest_lime.images import Image

CPU = torch.device("cpu")
SEGMENTS = np.kron(np.arange(6).reshape(2, 3), np.ones((2, 2), dtype=np.int64))
RNG = np.random.default_rng(0)
PIXELS = RNG.random((3, 4, 6), dtype=np.float32)
FILL = RNG.random((3, 4, 6), dtype=np.float32)
MASKS = RNG.integers(0, 2, (75, 6), dtype=np.uint8)
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
        return (batch.flatten(1) @ self.weights).softmax(dim=1)


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


def engine(model: Any, batch_size: Any = 16, pixels: NDArray[np.float32] = PIXELS) -> Forward:
    return Forward(model, pixels, FILL[: len(pixels)], SEGMENTS, device=CPU, batch_size=batch_size)


class TestMaskedCopies:
    @pytest.mark.parametrize("channels", [1, 3])
    def test_every_pixel_is_of_the_image_where_shown_and_of_the_fill_where_hidden(self, channels: int) -> None:
        model = Classifier(channels)
        engine(model, 10, PIXELS[:channels]).scores(MASKS, [0])
        batch = torch.cat(model.batches).numpy()
        assert batch.shape == (75, channels, 4, 6)
        assert batch.dtype == np.float32
        for copy, mask in zip(batch, MASKS, strict=True):
            for (row, column), superpixel in np.ndenumerate(SEGMENTS):
                source = PIXELS if mask[superpixel] else FILL
                np.testing.assert_array_equal(copy[:, row, column], source[:channels, row, column])

    def test_all_and_nothing(self) -> None:
        model = Classifier()
        forward = engine(model)
        whole = forward.whole()
        scores = forward.scores(np.array([[1] * 6, [0] * 6], dtype=np.uint8), [0, 1, 2, 3])
        np.testing.assert_allclose(scores[0], whole, atol=FLOAT32)
        np.testing.assert_array_equal(model.batches[-1][0].numpy(), PIXELS)
        np.testing.assert_array_equal(model.batches[-1][1].numpy(), FILL)


class TestScores:
    @pytest.mark.parametrize("classes", [[0], [2, 0], [3, 2, 1, 0], [1, 1]])
    def test_the_classes_asked_for_in_their_order(self, classes: list[int]) -> None:
        every = engine(Classifier()).scores(MASKS, [0, 1, 2, 3])
        assert every.shape == (75, 4)
        assert every.dtype == np.float64
        np.testing.assert_array_equal(engine(Classifier()).scores(MASKS, classes), every[:, classes])

    @pytest.mark.parametrize("batch_size", [1, 2, 7, 74, 75, 76, 1000, "auto"])
    def test_any_batch_size_gives_the_same_scores(self, batch_size: Any) -> None:
        reference = engine(Classifier(), 75).scores(MASKS, [0, 1, 2, 3])
        scores = engine(Classifier(), batch_size).scores(MASKS, [0, 1, 2, 3])
        np.testing.assert_allclose(scores, reference, atol=FLOAT32)

    @pytest.mark.parametrize("batch_size", [1, 10, "auto"])
    def test_a_model_that_writes_into_its_batch_spoils_nothing(self, batch_size: Any) -> None:
        class Spoiling(Classifier):
            def predict(self, batch: torch.Tensor) -> torch.Tensor:
                scores = super().predict(batch)
                batch.fill_(0.5)
                return scores

        pixels, fill = PIXELS.copy(), FILL.copy()
        spoiling = Forward(Spoiling(), pixels, fill, SEGMENTS, device=CPU, batch_size=batch_size)
        plain = engine(Classifier(), batch_size)
        np.testing.assert_array_equal(spoiling.whole(), plain.whole())
        masks = np.concatenate([np.ones((3, 6), dtype=np.uint8), np.zeros((3, 6), dtype=np.uint8), MASKS])
        np.testing.assert_allclose(spoiling.scores(masks, [0, 1]), plain.scores(masks, [0, 1]), atol=FLOAT32)
        np.testing.assert_array_equal(spoiling.whole(), plain.whole())
        np.testing.assert_array_equal(pixels, PIXELS)
        np.testing.assert_array_equal(fill, FILL)

    @pytest.mark.parametrize(("batch_size", "sizes"), [(30, [30, 30, 15]), (75, [75]), (100, [75]), (1, [1] * 75)])
    def test_batches_are_of_the_size_asked_for(self, batch_size: int, sizes: list[int]) -> None:
        model = Classifier()
        forward = engine(model, batch_size)
        forward.scores(MASKS, [0])
        assert [len(batch) for batch in model.batches] == sizes
        assert (forward.batch_size, forward.passes) == (batch_size, 75)

    def test_the_whole_image_is_scored_alone_and_beside_its_fill(self) -> None:
        model = Classifier()
        forward = engine(model)
        assert forward.whole().shape == (4,)
        assert forward.passes == 3
        alone, beside = (batch.numpy() for batch in model.batches)
        np.testing.assert_array_equal(alone, [PIXELS])
        np.testing.assert_array_equal(beside, [PIXELS, FILL])

    def test_no_gradient_is_kept(self) -> None:
        net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(72, 4))
        engine(TorchModel(net, size=(4, 6))).scores(MASKS, [0])
        assert all(parameter.grad is None for parameter in net.parameters())


class TestWrongModels:
    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (lambda batch: torch.zeros(len(batch)), "scores of shape (16,) for a batch of 16 images"),
            (lambda batch: torch.zeros(len(batch), 4, 1), "it must return 16×4"),
            (lambda batch: torch.zeros(len(batch) + 1, 4), "scores of shape (17, 4)"),
            (lambda batch: torch.zeros(len(batch), 0), "one column a class"),
            (lambda batch: torch.zeros(len(batch), 3), "3 scores an image and has 4 labels"),
            (lambda batch: None, "the model returned None"),
            (lambda batch: "cat", "the model returned"),
            (lambda batch: torch.full((len(batch), 4), torch.nan), "NaN or infinity for 75 of 75 images"),
            (lambda batch: [[0.0, 1.0, 2.0, np.inf]] * len(batch), "NaN or infinity for 75 of 75 images"),
        ],
    )
    def test_what_it_returns_is_checked(self, make: Callable[[torch.Tensor], Any], words: str) -> None:
        with pytest.raises(ModelError) as caught:
            engine(Returning(make)).scores(MASKS, [0, 1, 2] if "75" not in words else [3])
        assert words in str(caught.value)

    def test_nan_is_found_in_the_whole_image_too(self) -> None:
        with pytest.raises(ModelError, match="NaN or infinity for 1 of 1 images"):
            engine(Returning(lambda batch: torch.full((len(batch), 4), torch.nan))).whole()

    @pytest.mark.parametrize(("off", "told"), [(0.005, False), (0.02, True), (5.0, True)])
    def test_scores_that_change_when_asked_again_are_told(self, off: float, told: bool) -> None:
        class Moody(Classifier):
            def predict(self, batch: torch.Tensor) -> torch.Tensor:
                scores = torch.tensor([[10.0, -2.0, 0.0, 1.0]] * len(batch))
                scores[:, 2] += 10 * off * len(self.batches)
                self.batches.append(batch)
                return scores

        forward = engine(Moody())
        if told:
            with pytest.raises(ModelError, match=rf"differently \(by up to {10 * off:.3g}\).*switch off dropout"):
                forward.whole()
        else:
            assert forward.whole().tolist() == [10, -2, 0, 1]

    def test_scores_that_depend_on_the_rest_of_the_batch_are_told(self) -> None:
        normalised = Returning(lambda batch: (batch - batch.mean(dim=0)).flatten(1)[:, :4])
        with pytest.raises(ModelError, match=r"when asked again beside another: .* batch normalisation"):
            engine(normalised).whole()

    @pytest.mark.parametrize("labels", [None, ("a", "b", "c", "d")])
    def test_the_number_of_classes_may_not_change(self, labels: Any) -> None:
        model = Returning(lambda batch: torch.zeros(len(batch), 4 if len(batch) < 3 else 5))
        model.labels = labels
        forward = engine(model)
        forward.whole()
        words = "5 scores an image, and 4 before" if labels is None else "5 scores an image and has 4 labels"
        with pytest.raises(ModelError, match=words):
            forward.scores(MASKS, [0])

    def test_only_the_images_that_are_bad_are_counted(self) -> None:
        def make(batch: torch.Tensor) -> torch.Tensor:
            scores = torch.ones(len(batch), 4)
            scores[batch[:, 0, 0, 0] == PIXELS[0, 0, 0]] = torch.inf
            return scores

        with pytest.raises(ModelError, match=f"for {MASKS[:, 0].sum()} of 75 images"):
            engine(Returning(make)).scores(MASKS, [0])

    @pytest.mark.parametrize("returned", [list, np.array], ids=["list", "array"])
    def test_lists_and_arrays_are_taken(self, returned: Callable[[Any], Any]) -> None:
        scores = engine(Returning(lambda batch: returned([[0.1, 0.2, 0.3, 0.4]] * len(batch)))).scores(MASKS, [2])
        np.testing.assert_allclose(scores, 0.3, atol=FLOAT32)

    @pytest.mark.parametrize("kind", [ZeroDivisionError, RuntimeError, TypeError, KeyError])
    def test_an_exception_inside_a_model_keeps_its_kind_and_gets_a_note(self, kind: type[Exception]) -> None:
        def make(batch: torch.Tensor) -> torch.Tensor:
            raise kind("own fault")

        with pytest.raises(kind, match="own fault") as caught:
            engine(Returning(make)).scores(MASKS, [0])
        (note,) = caught.value.__notes__
        assert "raised inside <" in note
        assert "batch of shape (16, 3, 4, 6), torch.float32 in [0, 1], on cpu" in note
        assert caught.traceback[-1].name == "make"


class TestBatchSize:
    @staticmethod
    def settle(search: BatchSize, rate: Callable[[int], float]) -> list[int]:
        """Run batches, so many images a second, until the search is over; return the sizes tried."""
        tried = []
        while not search.settled:
            size = search.size
            # The first batch of a size also pays for choosing its kernels.
            search.measured(size, 100 + size / rate(size))
            assert (search.size, search.settled) == (size, False)
            search.measured(size, size / rate(size))
            tried.append(size)
        return tried

    @pytest.mark.parametrize(("least", "sizes"), [(4, [4, 8, 16, 32, 64, 128, 256, 512]), (100, [100, 200, 400])])
    def test_it_doubles_while_images_a_second_rise(self, least: int, sizes: list[int]) -> None:
        search = BatchSize(least, 512)
        assert self.settle(search, float) == sizes
        assert search.size == sizes[-1]

    def test_it_stays_at_the_best_after_two_that_are_slower(self) -> None:
        search = BatchSize()
        rates = {4: 40.0, 8: 80.0, 16: 100.0, 32: 90.0, 64: 95.0}
        assert self.settle(search, rates.__getitem__) == [4, 8, 16, 32, 64]
        assert search.size == 16

    def test_one_slow_size_on_a_busy_machine_does_not_end_it(self) -> None:
        search = BatchSize(most=64)
        rates = {4: 40.0, 8: 10.0, 16: 100.0, 32: 200.0, 64: 300.0}
        assert self.settle(search, rates.__getitem__) == [4, 8, 16, 32, 64]
        assert search.size == 64

    @pytest.mark.parametrize("most", [1, 2, 3, 4, 7])
    def test_little_room(self, most: int) -> None:
        search = BatchSize(most=most)
        assert self.settle(search, float) == [min(4, most)]
        assert search.size == min(4, most)

    def test_a_batch_of_another_size_says_nothing(self) -> None:
        search = BatchSize()
        for _ in range(5):
            search.measured(3, 1e-9)
        assert (search.size, search.settled) == (4, False)

    def test_no_time_at_all_is_no_error(self) -> None:
        search = BatchSize(most=8)
        for _ in range(4):
            search.measured(search.size, 0.0)
        assert (search.size, search.settled) == (8, True)

    @pytest.mark.parametrize(("rates", "kept"), [((50, 60, 70), 16), ((50, 70, 60), 8), ((90, 80, 95), 16)])
    def test_out_of_memory_goes_back_to_the_best_that_fits(self, rates: tuple[float, ...], kept: int) -> None:
        search = BatchSize()
        for size, rate in zip((4, 8, 16), rates, strict=True):
            search.measured(size, size / rate)
            search.measured(size, size / rate)
        assert search.size == 32
        assert search.too_large(32)
        assert (search.size, search.settled) == (kept, True)
        search.measured(kept, 1e9)
        assert search.size == kept

    def test_out_of_memory_at_once_halves(self) -> None:
        search = BatchSize()
        assert search.too_large(4)
        assert (search.size, search.settled) == (2, True)
        assert search.too_large(2)
        assert search.size == 1

    def test_one_image_cannot_be_halved(self) -> None:
        assert not BatchSize().too_large(1)


class TestOutOfMemory:
    @pytest.mark.parametrize("room", [1, 3, 5, 20])
    @pytest.mark.parametrize("batch_size", [16, 64, "auto"])
    def test_batches_shrink_until_they_fit_and_nothing_is_lost(self, room: int, batch_size: Any) -> None:
        model = Small(room)
        forward = engine(model, batch_size)
        scores = forward.scores(MASKS, [0, 1, 2, 3])
        np.testing.assert_allclose(scores, engine(Classifier()).scores(MASKS, [0, 1, 2, 3]), atol=FLOAT32)
        assert forward.passes == len(torch.cat(model.batches)) == 75
        assert max(len(batch) for batch in model.batches) <= room
        if batch_size == 64 or room < 4:
            assert model.refused

    @pytest.mark.parametrize("batch_size", [16, "auto"])
    def test_a_size_that_did_not_fit_is_not_tried_again(self, batch_size: Any) -> None:
        model = Small(3)
        forward = engine(model, batch_size)
        forward.scores(MASKS, [0])
        refused = list(model.refused)
        forward.scores(MASKS, [0])
        assert model.refused == refused
        assert forward.batch_size <= 3

    @pytest.mark.parametrize("batch_size", [1, 16, "auto"])
    def test_when_one_image_does_not_fit_the_error_is_told(self, batch_size: Any) -> None:
        model = Small(0)
        words = "one image does not fit into the memory of cpu: 1 images are too many"
        with pytest.raises(ModelError, match=words):
            engine(model, batch_size).scores(MASKS, [0])
        assert model.refused[-1] == 1
        with pytest.raises(ModelError, match=words):
            engine(model, batch_size).whole()

    def test_where_only_one_image_fits_the_whole_is_scored_twice_alone(self) -> None:
        model = Small(1)
        forward = engine(model)
        np.testing.assert_allclose(forward.whole(), engine(Classifier()).whole(), atol=FLOAT32)
        assert (forward.passes, model.refused) == (2, [2])

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

        forward = engine(Full(5))
        assert forward.whole().shape == (4,)
        assert forward.scores(MASKS, [0]).shape == (75, 1)
        assert forward.batch_size == 4
        with pytest.raises(ModelError, match="one image does not fit into the memory of cpu"):
            engine(Full(0)).scores(MASKS, [0])
        assert not getattr(error, "__notes__", [])

    def test_other_runtime_errors_are_the_models_own(self) -> None:
        for ask in (lambda forward: forward.whole(), lambda forward: forward.scores(MASKS, [0])):
            model = Returning(lambda batch: torch.zeros(2, 3) @ torch.zeros(2, 3))
            with pytest.raises(RuntimeError, match="mat1 and mat2") as caught:
                ask(engine(model))
            assert not isinstance(caught.value, ModelError)

    def test_what_was_measured_is_remembered_for_the_model(self) -> None:
        model = Small(3)
        engine(model, "auto").scores(MASKS, [0])
        assert engine(model, "auto").batch_size == 2
        assert engine(Small(3), "auto").batch_size == 4

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

        assert engine(Slotted(), "auto").scores(MASKS, [1]).shape == (75, 1)


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
        forward = engine(model, 10)
        forward.whole()
        forward.scores(MASKS, [0])
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
