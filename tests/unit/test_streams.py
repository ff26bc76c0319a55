"""Streams: the order of the samples, when they are looked at, and what is stored of them."""

import importlib.metadata
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pytest_lime import CallableModel, Explanation, ModelError, TargetError, TorchModel
from pytest_lime import streams as module
from pytest_lime.cache import Cache
from pytest_lime.errors import CacheWarning
from pytest_lime.explainer import open_stream, run
from pytest_lime.forward import Portion
from pytest_lime.options import LimeOptions
from pytest_lime.perturbation import MaskStream
from pytest_lime.streams import FIRST_LOOK, GROWTH, GROWTH_OF_SLOW, STEP, Bench, SampleStream, TopLabels, _version_of
from pytest_lime.testing import FakeModel

Extend = Callable[[SampleStream, int], None]
IMAGE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
# 16 cells: more than are enumerated.
OPTIONS: dict[str, Any] = {"segmenter": "grid", "segments": 16, "samples": 120, "batch_size": 40}
FIGURES = ("weights", "intercept", "r2", "r2_heldout", "covariance", "prediction", "sample_scores", "masks")
# Of the largest score: the sums of float32 networks in batches of another size.
ROUNDING = 1e-6


def network(classes: int = 3, seed: int = 0) -> torch.nn.Module:
    """Return a small network whose logits differ by about one."""
    generator = torch.Generator().manual_seed(seed)
    linear = torch.nn.Linear(3 * 32 * 32, classes)
    with torch.no_grad():
        linear.weight.copy_(torch.randn(linear.weight.shape, generator=generator) / 30)
        linear.bias.zero_()
    return torch.nn.Sequential(torch.nn.Flatten(), linear)


def model_of(classes: int = 3, **options: Any) -> TorchModel:
    labels = tuple(f"class {number}" for number in range(classes))
    return TorchModel(network(classes), **{"size": (32, 32), "labels": labels, **options})


def stream_of(model: Any = None, target: Any = 0, cache: Cache | None = None, **options: Any) -> SampleStream:
    """Open a stream; whoever decides is named by `decides`."""
    decides, opinions = options.pop("decides", False), options.pop("opinions", ())
    bench = Bench(model or FakeModel(), LimeOptions(**{**OPTIONS, **options}), cache)
    return open_stream(bench, IMAGE, target, opinions=opinions, decides=decides)


def explained(model: Any, target: Any = 0, cache: Cache | None = None, **options: Any) -> Explanation:
    """Explain as a check does, but in a process of its own: nothing but the cache is shared."""
    opinions = options.pop("opinions", ())
    return run(Bench(model, LimeOptions(**{**OPTIONS, **options}), cache), IMAGE, target, opinions=opinions)


def advance(stream: SampleStream) -> Portion | None:
    """Score the next portion, and return it."""
    portion = stream.portion()
    if portion is not None:
        stream.add(stream.bench.engine.submit([portion]).results()[0])
    return portion


def assert_same(first: Explanation, second: Explanation, tolerance: float = 0.0) -> None:
    for name in FIGURES:
        one, other = getattr(first, name), getattr(second, name)
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance, err_msg=name)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def entries(cache: Cache, kind: str = "samples") -> list[Path]:
    folder = cache.folder / kind
    return sorted(folder.iterdir()) if folder.is_dir() else []


class TestPortions:
    def test_the_image_goes_first_and_then_the_masks_in_order(self) -> None:
        stream = stream_of()
        assert (stream.samples, stream.due, stream.begun, stream.busy, stream.passes) == (0, 120, False, False, 0)
        portion = stream.portion()
        assert portion is not None
        assert (stream.busy, portion.classes) == (True, None)
        assert portion.masks[0].all()
        np.testing.assert_array_equal(portion.masks[1:], MaskStream("hadamard", 16, 0).draw(120))
        stream.add(stream.bench.engine.submit([portion]).results()[0])
        assert (stream.samples, stream.due, stream.begun, stream.busy, stream.passes) == (120, 0, True, False, 121)
        assert stream.portion() is None

    def test_portions_of_at_most_so_many_rows(self) -> None:
        stream = stream_of()
        rows = []
        while (portion := stream.portion(25)) is not None:
            stream.add(stream.bench.engine.submit([portion]).results()[0])
            rows.append(portion.masks)
        assert [len(masks) for masks in rows] == [25, 25, 25, 25, 21]
        np.testing.assert_array_equal(np.concatenate(rows)[1:], MaskStream("hadamard", 16, 0).draw(120))
        assert_same(stream.look(), explained(FakeModel()), ROUNDING)

    def test_nobody_writes_into_what_is_stored_and_judged(self) -> None:
        # A claim that sorts the scores would otherwise change them for every later test.
        stream = stream_of()
        stream.add(stream.bench.engine.submit([stream.portion()]).results()[0])  # type: ignore[list-item]
        seen = stream.look()
        arrays = {name: value for name, value in vars(seen).items() if isinstance(value, np.ndarray)}
        assert {"prediction", "weights", "masks", "sample_scores", "pixels", "segments"} <= set(arrays)
        for array in (*arrays.values(), *seen.opinions.values()):
            with pytest.raises(ValueError, match="read-only"):
                array[...] = array
        # The stream itself goes on.
        assert_same(stream.look(), seen, 0.0)

    def test_room_for_one_row_is_room_for_the_image(self) -> None:
        stream = stream_of()
        portion = stream.portion(1)
        assert portion is not None
        assert portion.masks.tolist() == [[1] * 16]

    def test_until_the_classes_are_known_a_portion_is_small(self) -> None:
        # Since the scores of all classes are held.
        stream = stream_of(samples=1000)
        first, second = advance(stream), advance(stream)
        assert first is not None
        assert second is not None
        assert (len(first.masks), first.classes) == (257, None)
        assert (len(second.masks), second.classes) == (744, [0, 2, 1])

    @pytest.mark.parametrize("sampler", ["hadamard", "antithetic", "bernoulli", "lime"])
    def test_what_is_explained_is_what_was_drawn(self, sampler: str) -> None:
        explanation = explained(FakeModel(), sampler=sampler)
        np.testing.assert_array_equal(explanation.masks, MaskStream(sampler, 16, 0).draw(120))

    def test_labels_name_what_is_explained(self) -> None:
        stream = stream_of(target=["bird", "cat"])
        assert stream.label == "'array'"
        advance(stream)
        assert stream.label == "'bird', 'cat' in 'array'"


class TestLooks:
    @staticmethod
    def looks(**options: Any) -> list[int]:
        """Return how many samples there are at each look, should nothing ever be decided."""
        stream = stream_of(**{"decides": True, "samples": "auto", **options})
        counts = []
        while True:
            while advance(stream) is not None:
                pass
            counts.append(stream.samples)
            if not stream.go_on():
                return counts

    def test_auto_looks_as_it_goes_where_somebody_decides(self) -> None:
        counts = self.looks()
        assert counts[0] == FIRST_LOOK
        # What happens in one mask of 32 has hardly ever been missed altogether by then.
        assert (31 / 32) ** FIRST_LOOK < 0.02
        assert counts[-1] == 4000
        for before, count in itertools.pairwise(counts[:-1]):
            # But for rounding up to whole pairs.
            assert 0 <= count - max(before + STEP, GROWTH * before) < 2
        assert counts[1] - counts[0] == STEP
        assert all(count % 2 == 0 for count in counts)

    @pytest.mark.parametrize(
        "options",
        [{"surrogate": "lasso"}, {"surrogate": "tree"}, {"feature_selection": "highest_weights", "num_features": 4}],
        ids=lambda options: "".join(map(str, options.values())),
    )
    def test_where_a_look_takes_long_there_are_fewer(self, options: dict[str, Any]) -> None:
        counts = self.looks(**options)
        for before, count in itertools.pairwise(counts[:-1]):
            assert 0 <= count - max(before + STEP, GROWTH_OF_SLOW * before) < 2
        assert len(counts) < len(self.looks())

    def test_of_many_superpixels_the_first_look_has_more_samples(self) -> None:
        # 100 superpixels, the intercept and 8 degrees of freedom, in pairs; a whole block of the design.
        assert MaskStream("hadamard", 100, 0).block < 2 * (100 + 1 + 8)
        assert self.looks(segments=100)[0] == 2 * (100 + 1 + 8)
        # Unless there are no pairs, where half as many will do.
        assert self.looks(segments=100, sampler="bernoulli")[0] == FIRST_LOOK
        assert self.looks(segments=144, sampler="bernoulli")[0] == 144 + 1 + 8

    @pytest.mark.parametrize("most", [2, 30, 100, 101, 4001])
    def test_max_samples_is_the_end(self, most: int) -> None:
        counts = self.looks(max_samples=most)
        assert counts[-1] == most
        assert counts == sorted(set(counts))
        assert (len(counts) == 1) is (most <= FIRST_LOOK)

    def test_a_number_is_one_look(self) -> None:
        assert self.looks(samples=120) == [120]
        assert not stream_of(decides=True).adaptive

    @pytest.mark.parametrize(("most", "samples"), [(4000, 1000), (300, 300)])
    def test_where_nobody_decides_auto_is_a_thousand(self, most: int, samples: int) -> None:
        assert self.looks(decides=False, max_samples=most) == [samples]

    def test_all_masks_are_one_look(self) -> None:
        assert self.looks(segments=9) == [512]
        # Neither the number nor its limit count then.
        assert self.looks(segments=9, max_samples=50) == [512]
        assert self.looks(segments=9, samples=50) == [512]
        assert explained(FakeModel(), segments=9).complete

    def test_given_masks_are_one_look(self) -> None:
        masks = np.random.default_rng(1).integers(0, 2, (37, 16))
        assert self.looks(sampler=masks) == [37]
        assert not explained(FakeModel(), sampler=masks).anytime

    def test_intervals_hold_at_every_look_only_where_there_are_several(self, extend: Extend) -> None:
        looked = stream_of(decides=True, samples="auto")
        extend(looked, 120)
        plain = stream_of()
        extend(plain, 120)
        anytime, once = looked.look(), plain.look()
        assert (anytime.anytime, once.anytime) == (True, False)
        assert_same(anytime, once)
        wider, plainly = (np.diff(one.interval[0], axis=1) for one in (anytime, once))
        assert (wider > plainly).all()

    def test_an_image_more_than_due_may_be_drawn(self, extend: Extend) -> None:
        stream = stream_of()
        extend(stream, 150)
        assert (stream.samples, stream.due) == (150, 0)


class TestKeptClasses:
    @pytest.mark.parametrize("classes", [2, 3, 32])
    def test_of_few_all_are_kept(self, classes: int) -> None:
        stream = stream_of(model_of(classes), samples=300)
        advance(stream)
        portion = advance(stream)
        assert portion is not None
        assert portion.classes is not None
        assert portion.classes[0] == 0
        assert sorted(portion.classes) == list(range(classes))

    def test_of_many_those_asked_for_and_the_likeliest_are_kept(self) -> None:
        model = model_of(40)
        least = int(explained(model).prediction.argmin())
        stream = stream_of(model, target=[least], samples=300)
        advance(stream)
        portion = advance(stream)
        assert portion is not None
        order = np.argsort(-stream.look().prediction, kind="stable")
        assert portion.classes == [least, *order[:16]]

    def test_several_targets_come_first_in_their_order(self) -> None:
        explanation = explained(FakeModel(), [2, 0])
        assert explanation.targets == (2, 0)
        for row, target in enumerate((2, 0)):
            np.testing.assert_array_equal(
                explanation.sample_scores[:, row], explained(FakeModel(), target).sample_scores[:, 0]
            )

    def test_the_classes_of_highest_score(self) -> None:
        explanation = explained(model_of(40), TopLabels(3))
        assert explanation.targets == tuple(np.argsort(-explanation.prediction, kind="stable")[:3])
        with pytest.raises(TargetError, match="top_labels=4 is more than the 3 classes"):
            explained(model_of(3), TopLabels(4))


class TestStored:
    def test_a_second_stream_makes_no_pass_and_gives_the_same_figures(self, cache: Cache) -> None:
        first = explained(model_of(), cache=cache)
        assert first.passes == 122
        second = explained(model_of(), cache=cache)
        assert second.passes == 0
        assert_same(second, first)
        assert second.freedom == first.freedom
        assert second.class_names == first.class_names
        assert len(entries(cache)) == 1

    def test_scores_of_any_type_come_back_bit_for_bit(self, cache: Cache) -> None:
        # FakeModel computes in float64, which float32 does not hold.
        first = explained(FakeModel(), cache=cache)
        assert (first.sample_scores.astype(np.float32) != first.sample_scores).any()
        assert_same(explained(FakeModel(), cache=cache), first)

    @pytest.mark.parametrize("sampler", ["hadamard", "antithetic", "bernoulli", "lime"])
    @pytest.mark.parametrize("stored", [2, 77, 119])
    def test_a_longer_budget_goes_on_from_the_stored(self, sampler: str, stored: int, cache: Cache) -> None:
        explained(model_of(), cache=cache, samples=max(stored, 40), sampler=sampler)
        count = max(stored, 40)
        longer = explained(model_of(), cache=cache, sampler=sampler)
        assert longer.passes == 120 - count
        at_once = explained(model_of(), sampler=sampler)
        np.testing.assert_array_equal(longer.masks, at_once.masks)
        largest = np.abs(at_once.sample_scores).max()
        assert_same(longer, at_once, ROUNDING * largest)
        # And the longer one is what is stored now.
        assert explained(model_of(), cache=cache, sampler=sampler).passes == 0

    @pytest.mark.parametrize("samples", [40, 41, 119])
    def test_a_shorter_one_takes_the_first_part(self, samples: int, cache: Cache) -> None:
        explained(model_of(), cache=cache)
        shorter = explained(model_of(), cache=cache, samples=samples)
        assert shorter.passes == 0
        assert shorter.samples == samples
        assert_same(shorter, explained(model_of(), samples=samples), ROUNDING)
        # It does not take the place of the longer one.
        assert explained(model_of(), cache=cache).passes == 0

    def test_who_looks_as_he_goes_takes_what_is_stored_look_by_look(self, cache: Cache) -> None:
        explained(model_of(), cache=cache, samples=1000)
        stream = stream_of(model_of(), cache=cache, samples="auto", decides=True)
        fresh = stream_of(model_of(), samples="auto", decides=True)
        for _ in range(4):
            assert stream.portion() is None
            while advance(fresh) is not None:
                pass
            assert stream.samples == fresh.samples
            assert_same(stream.look(), fresh.look(), ROUNDING)
            assert stream.go_on()
            assert fresh.go_on()
        assert stream.passes == 0

    def test_of_few_classes_any_target_is_there(self, cache: Cache) -> None:
        explained(model_of(), cache=cache)
        for target in ([1], [2, 0], ["class 2"], TopLabels(2), None):
            other = explained(model_of(), target, cache=cache)
            assert other.passes == 0
            assert_same(other, explained(model_of(), target), ROUNDING)

    def test_of_many_a_likely_one_is_there_and_another_is_stored_beside_it(self, cache: Cache) -> None:
        model = model_of(40)
        likely = explained(model, None, cache=cache)
        second = int(np.argsort(-likely.prediction, kind="stable")[1])
        assert explained(model, second, cache=cache).passes == 0
        least = int(likely.prediction.argmin())
        first_time = explained(model, least, cache=cache)
        # The image itself is known.
        assert first_time.passes == 120
        assert_same(first_time, explained(model, least), ROUNDING)
        for target in (least, None, second):
            again = explained(model, target, cache=cache)
            assert again.passes == 0
            assert_same(again, explained(model, target), ROUNDING)
        # Another one drives neither out.
        other = int(np.argsort(likely.prediction, kind="stable")[1])
        explained(model, other, cache=cache)
        assert [explained(model, target, cache=cache).passes for target in (least, None, second, other)] == [0] * 4

    def test_a_target_that_does_not_exist_is_told_all_the_same(self, cache: Cache) -> None:
        explained(model_of(), cache=cache)
        with pytest.raises(TargetError, match="class 3 does not exist"):
            explained(model_of(), 3, cache=cache)
        with pytest.raises(TargetError, match="names a class twice"):
            explained(model_of(), [None, int(explained(model_of()).prediction.argmax())], cache=cache)

    @pytest.mark.parametrize("segments", [4, 9])
    def test_all_masks_are_stored_too(self, segments: int, cache: Cache) -> None:
        first = explained(model_of(), cache=cache, segments=segments)
        second = explained(model_of(), cache=cache, segments=segments)
        assert (first.passes, second.passes, second.complete) == (2**segments + 2, 0, True)
        assert_same(second, first)

    def test_a_part_of_all_masks_is_gone_on_with(self, cache: Cache, extend: Extend) -> None:
        stream = stream_of(model_of(), cache=cache, segments=9)
        extend(stream, 100)
        assert not stream.look().complete
        stream.store()
        rest = explained(model_of(), cache=cache, segments=9)
        assert (rest.passes, rest.complete) == (412, True)

    def test_given_masks_are_stored_too(self, cache: Cache) -> None:
        masks = np.random.default_rng(1).integers(0, 2, (37, 16))
        assert explained(model_of(), cache=cache, sampler=masks).passes == 39
        assert explained(model_of(), cache=cache, sampler=masks).passes == 0
        assert explained(model_of(), cache=cache, sampler=masks[::-1].copy()).passes == 39

    def test_nothing_is_stored_before_the_image_was_confirmed(self, cache: Cache) -> None:
        stream = stream_of(model_of(), cache=cache)
        advance(stream)
        stream.store()
        assert entries(cache) == []
        stream.look()
        stream.store()
        assert len(entries(cache)) == 1

    def test_without_a_cache_nothing_is_stored(self, tmp_path: Path) -> None:
        assert explained(model_of()).passes == explained(model_of()).passes == 122
        assert list(tmp_path.iterdir()) == []

    def test_a_damaged_entry_warns_and_is_made_anew(self, cache: Cache) -> None:
        first = explained(model_of(), cache=cache)
        (path,) = entries(cache)
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
        with pytest.warns(CacheWarning, match="is damaged; it is made anew"):
            again = explained(model_of(), cache=cache)
        assert again.passes == 122
        assert_same(again, first)
        assert explained(model_of(), cache=cache).passes == 0

    def test_one_that_was_opened_before_does_not_replace_a_longer_one(self, cache: Cache, extend: Extend) -> None:
        # As the stream of a test ahead, or of another worker.
        stream = stream_of(model_of(), cache=cache)
        longer = explained(model_of(), cache=cache, samples=300)
        extend(stream, 120)
        stream.look()
        stream.store()
        again = explained(model_of(), cache=cache, samples=300)
        assert again.passes == 0
        assert_same(again, longer)

    def test_a_class_that_is_stored_apart_grows_apart(self, cache: Cache) -> None:
        model = model_of(40)
        least = int(explained(model, cache=cache, samples=300).prediction.argmin())
        assert explained(model, least, cache=cache).passes == 120
        assert explained(model, least, cache=cache, samples=300).passes == 180
        # The shorter one of another class is none of the longer ones.
        assert explained(model, least, cache=cache, samples=300).passes == 0
        assert explained(model, None, cache=cache, samples=300).passes == 0
        assert len(entries(cache)) == 2

    WRONG: tuple[dict[str, Any], ...] = (
        {"scores": None},
        {"classes": None},
        {"prediction": None},
        {"scores": np.full((120, 3), np.nan)},
        {"prediction": np.array([0.5, np.inf, 0.1])},
        {"scores": np.zeros((120, 2))},
        {"scores": np.zeros(120)},
        {"scores": np.zeros((0, 3))},
        {"scores": np.array([["a", "b", "c"]] * 120)},
        {"classes": np.array([[0, 1, 2]])},
        {"classes": np.array([0, 1, 3])},
        {"classes": np.array([-1, 0, 1])},
        {"classes": np.array([0.0, 1.0, 2.0])},
        {"scores": np.zeros((120, 3), dtype=np.float16)},
        {"prediction": np.zeros(3, dtype=np.longdouble)},
        {"classes": np.zeros(0, dtype=np.int64), "scores": np.zeros((120, 0))},
        {"prediction": np.zeros((3, 1))},
        {"prediction": np.zeros(4)},
    )

    @pytest.mark.parametrize("changes", WRONG, ids="".join)
    def test_an_entry_of_other_contents_warns_and_is_made_anew(self, changes: dict[str, Any], cache: Cache) -> None:
        first = explained(model_of(), cache=cache)
        (path,) = entries(cache)
        entry = cache.get("samples", path.stem)
        assert entry is not None
        arrays = {name: array for name, array in {**entry.arrays, **changes}.items() if array is not None}
        cache.put("samples", path.stem, {}, arrays)
        with pytest.warns(CacheWarning, match="holds no samples as pytest-lime stores them; they are made anew"):
            again = explained(model_of(), cache=cache)
        assert again.passes == 122
        assert_same(again, first, ROUNDING)
        assert explained(model_of(), cache=cache).passes == 0

    def test_an_entry_of_other_contents_for_a_class_apart(self, cache: Cache) -> None:
        model = model_of(40)
        least = int(explained(model, cache=cache).prediction.argmin())
        before = set(entries(cache))
        first = explained(model, least, cache=cache)
        (path,) = set(entries(cache)) - before
        cache.put("samples", path.stem, {}, {"scores": np.zeros((120, 17))})
        with pytest.warns(CacheWarning, match="made anew"):
            again = explained(model, least, cache=cache)
        # The image itself is known.
        assert again.passes == 120
        assert_same(again, first, ROUNDING)
        assert explained(model, least, cache=cache).passes == 0

    @pytest.mark.parametrize("precise", [np.zeros(1), np.full(3, np.nan), np.zeros((2, 3)), np.array(["a", "b", "c"])])
    def test_other_scores_in_full_precision_are_made_anew(self, precise: Any, cache: Cache) -> None:
        first = explained(model_of(), 2, cache=cache, precision="bfloat16")
        (path,) = entries(cache)
        entry = cache.get("samples", path.stem)
        assert entry is not None
        cache.put("samples", path.stem, {}, {**entry.arrays, "precise": precise})
        with pytest.warns(CacheWarning, match="made anew"):
            again = explained(model_of(), 2, cache=cache, precision="bfloat16")
        assert first.precision_shift is not None
        assert again.precision_shift is not None
        np.testing.assert_allclose(again.precision_shift, first.precision_shift, rtol=0, atol=ROUNDING)

    @pytest.mark.parametrize(
        "arrays",
        [
            {},
            {"said": np.zeros((1, 16))},
            {"said": np.zeros((1, 4)), "classes": np.array([0])},
            {"said": np.full((1, 16), np.nan), "classes": np.array([0])},
            {"said": np.zeros((2, 16)), "classes": np.array([0])},
            {"said": np.zeros((0, 16)), "classes": np.array([], dtype=np.int64)},
            {"said": np.zeros((0, 16)), "classes": np.array([0])},
            {"said": np.zeros((1, 16)), "classes": np.array([0.0])},
            {"said": np.zeros((1, 16)), "classes": np.array([3])},
            {"said": np.zeros((1, 16)), "classes": np.array([-1])},
        ],
        ids=lambda arrays: ", ".join(f"{name} {array.tolist()}" for name, array in arrays.items())[-40:],
    )
    def test_other_opinions_are_made_anew(self, arrays: dict[str, Any], cache: Cache) -> None:
        first = explained(model_of(), cache=cache, opinions=("occlusion",))
        (path,) = entries(cache, "opinion")
        cache.put("opinion", path.stem, {}, arrays)
        with pytest.warns(CacheWarning, match="made anew"):
            again = explained(model_of(), cache=cache, opinions=("occlusion",))
        np.testing.assert_allclose(again.opinions["occlusion"], first.opinions["occlusion"], rtol=0, atol=ROUNDING)

    @pytest.mark.parametrize(
        "facts",
        [{}, {"size": "many", "layout": "contiguous"}, {"size": 0, "layout": "contiguous"}, {"size": 8}],
        ids=str,
    )
    def test_another_batch_size_is_measured_anew(self, facts: dict[str, Any], cache: Cache) -> None:
        explained(model_of(), cache=cache, samples=4000, batch_size="auto")
        (path,) = entries(cache, "pace")
        cache.put("pace", path.stem, facts, {})
        bench = Bench(model_of(), LimeOptions(**{**OPTIONS, "batch_size": "auto"}), cache)
        with pytest.warns(CacheWarning, match="anew"):
            bench.recall_pace((3, 32, 32))
        assert not bench.engine.pace((3, 32, 32)).settled

    def test_the_batch_size_is_remembered(self, cache: Cache) -> None:
        model = model_of()
        bench = Bench(model, LimeOptions(**{**OPTIONS, "samples": 4000, "batch_size": "auto"}), cache)
        run(bench, IMAGE, 0)
        known = bench.engine.pace((3, 32, 32))
        assert known.settled
        assert len(entries(cache, "pace")) == 1
        other = Bench(model_of(), LimeOptions(**{**OPTIONS, "batch_size": "auto"}), cache)
        pace = other.engine.pace((3, 32, 32))
        assert not pace.settled
        other.recall_pace((3, 32, 32))
        assert (pace.settled, pace.size, pace.layout) == (True, known.size, known.layout)
        other.recall_pace((3, 9, 9))
        assert not other.engine.pace((3, 9, 9)).settled

    def test_a_batch_size_that_was_not_measured_is_not_written_down(self, cache: Cache) -> None:
        explained(model_of(), cache=cache, batch_size=7)
        assert entries(cache, "pace") == []


class TestNeverStale:
    """Whatever scores depend on is another entry, and what they do not depend on is the same one."""

    @pytest.mark.parametrize(
        "options",
        [
            {"seed": 1},
            {"fill": "black"},
            {"fill": "noise"},
            {"segments": 25},
            {"sampler": "antithetic"},
            {"sampler": "bernoulli"},
            {"precision": "bfloat16"},
            {"segmenter": "slic"},
        ],
        ids=lambda options: "".join(f"{name}={value}" for name, value in options.items()),
    )
    def test_options_that_change_scores(self, options: dict[str, Any], cache: Cache) -> None:
        explained(model_of(), cache=cache)
        other = explained(model_of(), cache=cache, **options)
        assert other.passes >= 122
        assert_same(other, explained(model_of(), **options), ROUNDING)
        # Both are there.
        assert explained(model_of(), cache=cache).passes == 0
        assert explained(model_of(), cache=cache, **options).passes == 0

    @pytest.mark.parametrize(
        "options",
        [
            {"kernel_width": 0.5},
            {"surrogate": "linear"},
            {"confidence": 0.9},
            {"batch_size": 7},
            {"feature_selection": "highest_weights", "num_features": 4},
            {"max_samples": 500},
            {"device": "cpu"},
        ],
        ids=lambda options: next(iter(options)),
    )
    def test_options_that_do_not(self, options: dict[str, Any], cache: Cache) -> None:
        explained(model_of(), cache=cache)
        other = explained(model_of(), cache=cache, **options)
        assert other.passes == 0
        assert_same(other, explained(model_of(), **options), ROUNDING)

    @pytest.mark.parametrize("way", ["data", "copy", "load", "replace"])
    def test_weights_changed_in_place(self, way: str, cache: Cache) -> None:
        model = model_of()
        before = explained(model, cache=cache)
        linear: Any = model.net[1]  # type: ignore[index]  # a Sequential
        if way == "data":
            linear.weight.data[0, 0] += 10
        elif way == "copy":
            with torch.no_grad():
                linear.weight[0, 0] += 10
        elif way == "load":
            state = {name: tensor.clone() for name, tensor in model.net.state_dict().items()}
            state["1.weight"][0, 0] += 10
            model.net.load_state_dict(state)
        else:
            linear.weight = torch.nn.Parameter(linear.weight.detach() * 2)
        after = explained(model, cache=cache)
        assert after.passes == 122
        assert np.abs(after.sample_scores - before.sample_scores).max() > 1e-3
        fresh = model_of()
        fresh.net.load_state_dict(model.net.state_dict())
        assert_same(after, explained(fresh), ROUNDING)

    def test_weights_that_are_changed_back(self, cache: Cache) -> None:
        model = model_of()
        before = explained(model, cache=cache)
        weight: Any = model.net[1].weight  # type: ignore[index]  # a Sequential
        kept = weight.detach().clone()
        weight.data.mul_(-1)
        explained(model, cache=cache)
        weight.data.copy_(kept)
        again = explained(model, cache=cache)
        assert again.passes == 0
        assert_same(again, before)

    def test_what_is_done_before_and_after_the_network(self, cache: Cache) -> None:
        explained(model_of(), cache=cache)
        for options in ({"mean": (0.1, 0.1, 0.1)}, {"std": (0.5, 0.5, 0.5)}, {"output": "scores"}):
            other = explained(model_of(**options), cache=cache)
            assert other.passes == 122
            assert_same(other, explained(model_of(**options)), ROUNDING)

    def test_another_image(self, cache: Cache) -> None:
        explained(model_of(), cache=cache)
        image = IMAGE.copy()
        image[0, 0, 0] ^= 1
        bench = Bench(model_of(), LimeOptions(**OPTIONS), cache)
        assert run(bench, image, 0).passes == 122
        # One of the same pixels, wherever it comes from.
        assert run(bench, IMAGE.copy(), 0).passes == 0

    def test_another_function_of_the_same_name(self, cache: Cache) -> None:
        def fingerprinted(version: str, shift: float) -> CallableModel:
            def classify(images: NDArray[Any]) -> NDArray[Any]:
                bright = images.mean(axis=(1, 2, 3)) / 2 + shift
                return np.stack([bright, 1 - bright], axis=1)

            return CallableModel(classify, fingerprint=version)

        explained(fingerprinted("1", 0.0), cache=cache)
        assert explained(fingerprinted("1", 0.0), cache=cache).passes == 0
        other = explained(fingerprinted("2", 0.25), cache=cache)
        # Without labels the image comes again beside another.
        assert other.passes == 123
        assert_same(other, explained(fingerprinted("2", 0.25)))

    def test_models_without_a_fingerprint_store_nothing(self, cache: Cache) -> None:
        model = CallableModel(lambda images: np.tile([0.25, 0.75], (len(images), 1)))
        for _ in range(2):
            # Without labels the image comes again beside another: itself, all hidden.
            assert explained(model, cache=cache).passes == 123
        assert entries(cache) == entries(cache, "pace") == []
        # The superpixels are not of the model.
        assert len(entries(cache, "superpixels")) == 1

    def test_the_model_is_looked_at_once_a_bench(self, cache: Cache) -> None:
        class Fingerprinted(FakeModel):
            looks = 0

            def fingerprint(self) -> str:
                self.looks += 1
                return "one and the same"

        model = Fingerprinted()
        bench = Bench(model, LimeOptions(**OPTIONS), cache)
        for _ in range(3):
            run(bench, IMAGE, 0)
        assert model.looks == 1

    @pytest.mark.parametrize("error", [ZeroDivisionError("no weights"), AssertionError("no weights")])
    def test_a_fingerprint_that_raises_is_an_error_of_the_model(self, error: Exception, cache: Cache) -> None:
        class Broken(FakeModel):
            def fingerprint(self) -> str:
                raise error

        words = (
            rf"the fingerprint of .* raised {type(error).__name__}: no weights; it must be a text, None, or a method"
        )
        with pytest.raises(ModelError, match=words) as caught:
            explained(Broken(), cache=cache)
        assert caught.value.__cause__ is error

    def test_without_a_cache_the_model_is_not_looked_at(self) -> None:
        class Shy(FakeModel):
            def fingerprint(self) -> str:
                raise AssertionError

        explained(Shy())


class Chancy(torch.nn.Module):
    """A network whose scores depend on chance, or on the rest of the batch."""

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.rest = network()

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.rest(self.layer(batch))
        return scores


def as_function(net: torch.nn.Module, **options: Any) -> CallableModel:
    """Return a network, in training mode, as a function that nobody puts into evaluation mode."""

    def classify(images: NDArray[Any]) -> NDArray[Any]:
        batch = torch.from_numpy(np.moveaxis(images, -1, 1)).float()
        with torch.no_grad():
            return np.asarray(net.train()(batch).numpy())

    return CallableModel(classify, output="scores", **options)


class TestInconsistentModels:
    # Without labels the image is asked alone first, since the target may turn out not to exist.
    @pytest.mark.parametrize("labels", [("a", "b", "c"), None], ids=["labelled", "unlabelled"])
    @pytest.mark.parametrize("batch_size", [7, 60, 120, 121, 122, 1000])
    @pytest.mark.parametrize("layer", [torch.nn.Dropout, torch.nn.BatchNorm2d])
    def test_they_are_told_whether_a_batch_holds_everything_or_not(
        self, layer: type[torch.nn.Module], batch_size: int, labels: Any
    ) -> None:
        torch.manual_seed(0)
        # Half of the pixels dropped, or three channels normalised.
        net = Chancy(layer(0.5 if layer is torch.nn.Dropout else 3))
        with pytest.raises(ModelError, match=r"scored the same image differently \(by up to \d"):
            explained(as_function(net, labels=labels), batch_size=batch_size)

    @pytest.mark.parametrize(("labels", "rows"), [(("a", "b", "c"), [[1] * 16]), (None, [[1] * 16, [0] * 16])])
    def test_the_image_comes_again_in_other_company(self, labels: Any, rows: list[list[int]]) -> None:
        # Where the labels are not known it was alone the first time, and so it must not be the second time.
        function = as_function(network())
        stream = stream_of(CallableModel(function.classifier_fn, output="scores", labels=labels))
        while advance(stream) is not None:
            pass
        again = stream.again
        assert again is not None
        assert again.masks.tolist() == rows
        passes = stream.passes
        stream.look()
        assert stream.again is None
        assert stream.passes == passes + len(rows)

    def test_chance_is_told_in_batches_of_one(self) -> None:
        torch.manual_seed(0)
        with pytest.raises(ModelError, match="scored the same image differently"):
            explained(as_function(Chancy(torch.nn.Dropout(0.5))), batch_size=1)

    @pytest.mark.parametrize("layer", [torch.nn.Dropout(0.5), torch.nn.BatchNorm2d(3)], ids=["dropout", "batchnorm"])
    def test_adapters_of_networks_put_them_into_evaluation_mode(self, layer: torch.nn.Module) -> None:
        net = Chancy(layer).train()
        explained(TorchModel(net, size=(32, 32), output="scores"))

    @pytest.mark.parametrize(("off", "told"), [(0.005, False), (0.02, True), (5.0, True)])
    def test_how_much_is_too_much(self, off: float, told: bool) -> None:
        class Moody(FakeModel):
            batches = 0

            def predict(self, batch: torch.Tensor) -> torch.Tensor:
                scores = torch.tensor([[10.0, -2.0, 0.0]] * len(batch))
                scores[:, 2] += 10 * off * (self.batches == 3)
                self.batches += 1
                return scores

        # Three batches of the samples, and the image again.
        stream = stream_of(Moody(), samples=119)
        while advance(stream) is not None:
            pass
        if told:
            with pytest.raises(ModelError, match=rf"differently \(by up to {10 * off:.3g}\).*switch off dropout"):
                stream.look()
        else:
            assert stream.look().prediction.tolist() == [10, -2, 0]

    def test_nothing_of_them_is_stored(self, cache: Cache) -> None:
        function = as_function(Chancy(torch.nn.Dropout(0.5))).classifier_fn
        with pytest.raises(ModelError):
            explained(CallableModel(function, fingerprint="1", output="scores"), cache=cache)
        assert entries(cache) == []


class TestPrecision:
    def test_in_full_precision_nothing_is_moved(self) -> None:
        np.testing.assert_array_equal(explained(model_of(), [0, 1]).precision_shift, [0, 0])

    def test_by_how_much_the_scores_of_the_image_move_is_told(self, cache: Cache) -> None:
        full, half = (explained(model_of(), [0, 1], cache=cache, precision=p) for p in ("float32", "bfloat16"))
        assert half.precision_shift is not None
        np.testing.assert_allclose(
            half.precision_shift, half.prediction[[0, 1]] - full.prediction[[0, 1]], rtol=0, atol=ROUNDING
        )
        assert np.abs(half.precision_shift).max() > 1e-5
        # One pass in full precision beside those in half.
        assert half.passes == 123
        again = explained(model_of(), [0, 1], cache=cache, precision="bfloat16")
        assert again.passes == 0
        np.testing.assert_array_equal(again.precision_shift, half.precision_shift)

    def test_intervals_are_widened_by_its_rounding(self) -> None:
        full, half = (explained(model_of(), precision=p) for p in ("float32", "bfloat16"))
        assert half.rounding[0] > 100 * full.rounding[0]


class TestOpinions:
    def test_they_are_stored(self, cache: Cache) -> None:
        first = explained(model_of(), cache=cache, opinions=("occlusion",))
        # Each superpixel hidden alone.
        assert first.passes >= 122 + 16
        second = explained(model_of(), cache=cache, opinions=("occlusion",))
        assert second.passes == 0
        np.testing.assert_array_equal(second.opinions["occlusion"], first.opinions["occlusion"])

    def test_they_are_asked_once_a_stream(self) -> None:
        stream = stream_of(model_of(), opinions=("occlusion",))
        advance(stream)
        passes = stream.look().passes
        assert stream.look().passes == passes

    def test_occlusion_of_another_likely_class_is_known(self, cache: Cache) -> None:
        explained(model_of(), 0, cache=cache, opinions=("occlusion",))
        for target in (1, [2, 0]):
            other = explained(model_of(), target, cache=cache, opinions=("occlusion",))
            assert other.passes == 0
            alone = explained(model_of(), target, opinions=("occlusion",))
            np.testing.assert_array_equal(other.opinions["occlusion"], alone.opinions["occlusion"])
        assert len(entries(cache, "opinion")) == 1

    def test_occlusion_of_a_class_that_is_not_likely_has_a_place_of_its_own(self, cache: Cache) -> None:
        model = model_of(40)
        order = explained(model, cache=cache, opinions=("occlusion",)).prediction.argsort()
        least, likely = int(order[0]), int(order[-3])
        first = explained(model, least, cache=cache, opinions=("occlusion",))
        assert first.passes == 120 + 16
        for target in (least, likely):
            again = explained(model, target, cache=cache, opinions=("occlusion",))
            assert again.passes == 0
            alone = explained(model, target, opinions=("occlusion",))
            np.testing.assert_allclose(again.opinions["occlusion"], alone.opinions["occlusion"], rtol=0, atol=ROUNDING)
        assert len(entries(cache, "opinion")) == 2

    def test_gradcam_of_another_class_is_another(self, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[tuple[int, ...]] = []

        def answer(names: list[str], *, classes: Any, **_: Any) -> dict[str, Any]:
            asked.append(tuple(classes))
            return {names[0]: np.repeat(np.array(classes, dtype=np.float64)[:, None], 16, axis=1)}

        monkeypatch.setattr(module, "second_opinions", answer)
        for target, times in ((0, 1), (1, 2), (1, 2), ([0, 1], 3)):
            found = explained(model_of(), target, cache=cache, opinions=("gradcam",))
            assert len(asked) == times
            assert found.opinions["gradcam"][:, 0].tolist() == list(found.targets)

    def test_those_of_another_model_are_others(self, cache: Cache) -> None:
        explained(model_of(), 0, cache=cache, opinions=("occlusion",))
        model = model_of()
        model.net[1].weight.data.mul_(2)  # type: ignore[index]  # a Sequential
        doubled = explained(model, 0, cache=cache, opinions=("occlusion",))
        assert doubled.passes == 122 + 16
        np.testing.assert_array_equal(
            doubled.opinions["occlusion"], explained(model, 0, opinions=("occlusion",)).opinions["occlusion"]
        )

    def test_a_second_check_of_one_image_in_one_process(self, cache: Cache) -> None:
        bench = Bench(model_of(), LimeOptions(**OPTIONS), cache)
        first, second = (run(bench, IMAGE, target, opinions=("occlusion",)) for target in (0, 1))
        assert (first.passes, second.passes) == (122 + 16, 0)

    def test_those_of_another_version_of_their_package_are_others(
        self, cache: Cache, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        explained(model_of(), cache=cache, opinions=("occlusion",))
        monkeypatch.setattr(module, "_version_of", lambda opinion: "2")
        assert explained(model_of(), cache=cache, opinions=("occlusion",)).passes >= 16
        assert explained(model_of(), cache=cache, opinions=("occlusion",)).passes == 0

    def test_which_package_they_come_from(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def absent(name: str) -> str:
            raise importlib.metadata.PackageNotFoundError(name)

        assert _version_of("gradcam") == _version_of("gradcam:layer4") == importlib.metadata.version("captum")
        # Our own.
        assert _version_of("occlusion") == ""
        monkeypatch.setattr(importlib.metadata, "version", absent)
        assert _version_of("gradcam") == ""

    def test_none_is_stored_for_a_model_without_a_fingerprint(self, cache: Cache) -> None:
        model = CallableModel(lambda images: np.tile([0.25, 0.75], (len(images), 1)))
        explained(model, cache=cache, opinions=("occlusion",))
        assert entries(cache, "opinion") == []


def test_errors_come_before_any_pass() -> None:
    class Counting(FakeModel):
        shown = 0

        def predict(self, batch: torch.Tensor) -> torch.Tensor:
            self.shown += len(batch)
            return super().predict(batch)

    model = Counting()
    with pytest.raises(TargetError, match="no class 'catt'"):
        stream_of(model, "catt")
    assert model.shown == 0


def test_what_streams_of_a_bench_share_is_the_model_and_not_their_samples() -> None:
    bench = Bench(FakeModel(), LimeOptions(**OPTIONS))
    first, second = (open_stream(bench, IMAGE, 0) for _ in range(2))
    advance(first)
    assert (first.passes, second.passes, bench.engine.passes) == (121, 0, 121)
