"""The laboratory: what else it asks of the model, how often, and that nothing is asked twice."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pytest_lime import Box, LimeOptions, Mask, Model, OptionError, Region, TorchModel, explain
from pytest_lime.cache import Cache
from pytest_lime.explainer import open_stream
from pytest_lime.laboratory import Laboratory, intervene_beside
from pytest_lime.probes import Intervention
from pytest_lime.sampling import sample
from pytest_lime.streams import Bench
from pytest_lime.testing import FakeModel, PlantedModel, planted_linear

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (32, 32, 3), dtype=np.uint8)
GRID: dict[str, Any] = {"segmenter": "grid", "segments": 16, "samples": 60}
# Batches of another size sum in another order.
ROUNDING = 1e-6
# Astride the borders of cells.
ASTRIDE = Box(5, 3, 21, 12)


class Seeing(FakeModel):
    """Keeps the images that it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def predict(self, batch: torch.Tensor) -> torch.Tensor:
        self.seen.append(batch.clone())
        return super().predict(batch)

    @property
    def count(self) -> int:
        return sum(map(len, self.seen))


class Net(torch.nn.Module):
    """A small network with weights that a shuffle changes."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.features = torch.nn.Conv2d(3, 4, 4, stride=4)
        self.head = torch.nn.Linear(4 * 64, 3)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(torch.relu(self.features(batch)).flatten(1))
        return scores


def laboratory(
    model: Model,
    image: Any = PHOTO,
    target: Any = 0,
    *,
    regions: Sequence[Region] = (),
    cache: Path | None = None,
    **options: Any,
) -> Laboratory:
    kept = None if cache is None else Cache(cache)
    bench = Bench(model, LimeOptions(device="cpu", **options), kept)
    ((stream, explanation),) = sample(bench.engine, [open_stream(bench, image, target, regions=regions)])
    return Laboratory(stream, explanation)


def planted(model: PlantedModel, **options: Any) -> Laboratory:
    return laboratory(model, model.image, "planted", **model.options, **options)


def by_hand(shown: NDArray[Any], fill: NDArray[Any]) -> float:
    """The score of class 0 for the photo where `shown`, and `fill` elsewhere."""
    photo = PHOTO.transpose(2, 0, 1).astype(np.float32) / 255
    pixels = np.where(shown, photo, fill.astype(np.float32))
    return float(FakeModel().predict(torch.from_numpy(pixels[None]))[0, 0])


def network() -> tuple[Net, TorchModel]:
    net = Net()
    return net, TorchModel(net, size=(32, 32), labels=["cat", "dog", "bird"], device="cpu")


class TestScores:
    def test_they_are_those_of_the_formula(self) -> None:
        model = planted_linear(np.linspace(-0.2, 0.5, 16))
        lab = planted(model, samples=50)
        masks = RNG.integers(0, 2, (30, 16), dtype=np.uint8)
        assert lab.scores(masks) == pytest.approx(model.scores(masks), abs=1e-12)
        assert lab.scores(masks).dtype == np.float64

    def test_passes_are_counted(self) -> None:
        model = Seeing()
        lab = laboratory(model, **GRID)
        assert (lab.passes, model.count >= 60) == (0, True)
        before = model.count
        lab.scores(np.ones((7, 16), dtype=np.uint8))
        lab.scores(np.zeros((2, 16), dtype=np.uint8))
        assert lab.passes == model.count - before == 9

    @pytest.mark.parametrize(
        "masks",
        [np.ones(16), np.ones((2, 15)), np.full((2, 16), 2), np.full((1, 16), 0.5), np.ones((0, 16)), "masks", None],
        ids=repr,
    )
    def test_misuse(self, masks: Any) -> None:
        lab = planted(planted_linear([0.1] * 16), samples=50)
        with pytest.raises(OptionError, match=r"lab\.scores: masks=.* must be an N×16 array of 0 and 1"):
            lab.scores(masks)
        assert lab.passes == 0


class TestIntervene:
    @pytest.mark.parametrize("fill", [(0, 0, 0), (255, 128, 0)])
    def test_the_region_is_hidden_to_the_pixel(self, fill: tuple[int, int, int]) -> None:
        model = Seeing()
        lab = laboratory(model, fill=fill, align_to_regions=False, **GRID)
        before = model.count
        (found,) = lab.intervene([ASTRIDE])
        inside = np.zeros((32, 32), dtype=bool)
        inside[3:12, 5:21] = True
        colour = np.broadcast_to(np.array(fill, dtype=np.float32)[:, None, None] / 255, (3, 32, 32))
        assert found.region == ASTRIDE
        assert found.whole == pytest.approx(by_hand(inside | True, colour), abs=ROUNDING)
        assert found.without[0] == pytest.approx(by_hand(~inside, colour), abs=ROUNDING)
        assert found.alone[0] == pytest.approx(by_hand(inside, colour), abs=ROUNDING)
        assert (found.fills[1], len(found.without), len(found.alone)) == ("blur", 2, 2)
        # Two fills, each without the region and of it alone.
        assert lab.passes == model.count - before == 4

    def test_what_is_shown_is_what_the_model_saw(self) -> None:
        model = Seeing()
        lab = laboratory(model, **GRID)
        first = model.count
        found = lab.intervene([ASTRIDE, Box(0, 0, 8, 8)])
        seen = torch.cat(model.seen)[first:].numpy()
        shown = lab.hidden(found)
        # As they are scored: each region with each fill, first without it and then alone.
        keys = [f"{kind}.{r}.{f}" for r in (0, 1) for f in (0, 1) for kind in ("without", "alone")]
        assert set(shown) == set(keys)
        for key, pixels in zip(keys, seen, strict=True):
            assert shown[key] == pytest.approx(pixels, abs=1e-6)
        assert lab.hidden([]) == {}
        assert model.count == first + len(seen)

    @pytest.mark.parametrize(("own", "second"), [("image_mean", "blur"), ("blur", "image_mean")])
    def test_the_second_fill_is_another_one(self, own: str, second: str) -> None:
        model = Seeing()
        lab = laboratory(model, fill=own, **GRID)
        first = model.count
        (found,) = lab.intervene([ASTRIDE])
        assert found.fills == (own, second)
        seen = torch.cat(model.seen)[first:].numpy()
        photo = PHOTO.transpose(2, 0, 1).astype(np.float32) / 255
        inside = np.zeros((32, 32), dtype=bool)
        inside[3:12, 5:21] = True
        without, alone = seen[::2], seen[1::2]
        for place in range(2):
            assert without[place][:, ~inside] == pytest.approx(photo[:, ~inside], abs=1e-6)
            assert alone[place][:, inside] == pytest.approx(photo[:, inside], abs=1e-6)
        mean = photo.mean(axis=(1, 2), keepdims=True)
        by_mean = found.fills.index("image_mean")
        assert found.without[by_mean] == pytest.approx(by_hand(~inside, mean), abs=1e-5)
        assert found.without[0] != found.without[1]

    def test_regions_are_asked_once(self) -> None:
        lab = laboratory(FakeModel(), **GRID)
        regions = [Box(0, 0, 8, 8), ASTRIDE, Box(16, 16, 32, 32)]
        first = lab.intervene(regions[:2])
        assert lab.passes == 8
        again = lab.intervene([regions[2], regions[1], regions[0]])
        assert lab.passes == 12
        assert [one.region for one in again] == regions[::-1]
        assert again[1:] == first[::-1]

    def test_together_or_one_by_one(self) -> None:
        regions = [Box(0, 0, 8, 8), ASTRIDE]
        together = laboratory(FakeModel(), **GRID).intervene(regions)
        alone = laboratory(FakeModel(), **GRID)
        for region, one in zip(regions, together, strict=True):
            (other,) = alone.intervene([region])
            assert [*one.without, *one.alone] == pytest.approx([*other.without, *other.alone], abs=ROUNDING)


class TestBeside:
    def asked(
        self,
        model: Model,
        *,
        beside: bool,
        images: int = 1,
        target: Any = 0,
        cache: Path | None = None,
        **options: Any,
    ) -> tuple[list[list[Intervention]], list[int]]:
        """Hide two regions of each image; return what came of it, and the passes of each laboratory."""
        bench = Bench(model, LimeOptions(device="cpu", **{**GRID, **options}), None if cache is None else Cache(cache))
        regions = [ASTRIDE, Box(20, 20, 30, 30)]
        streams = [open_stream(bench, PHOTO // (1 + number), target, regions=regions) for number in range(images)]
        if beside:
            for stream in streams:
                intervene_beside(stream, regions)
        labs = [Laboratory(stream, explanation) for stream, explanation in sample(bench.engine, streams)]
        found = [lab.intervene(regions) for lab in labs]
        return found, [lab.passes for lab in labs]

    @pytest.mark.parametrize("images", [1, 3])
    def test_the_same_comes_of_it_in_fewer_batches(self, images: int) -> None:
        first, second = Seeing(), Seeing()
        alone, passes = self.asked(first, beside=False, images=images, batch_size=64)
        found, counted = self.asked(second, beside=True, images=images, batch_size=64)
        assert counted == passes == [8] * images
        assert first.count == second.count
        assert len(second.seen) < len(first.seen)
        # None but the last is not full.
        assert [len(batch) for batch in second.seen][:-1] == [64] * (len(second.seen) - 1)
        for one, other in zip(itertools.chain(*alone), itertools.chain(*found), strict=True):
            assert (one.region, one.fills) == (other.region, other.fills)
            np.testing.assert_allclose(
                [one.whole, *one.without, *one.alone], [other.whole, *other.without, *other.alone], atol=ROUNDING
            )

    def test_what_the_cache_holds_is_not_asked(self, tmp_path: Path) -> None:
        model = Seeing()
        model.fingerprint = "seeing"  # type: ignore[attr-defined]
        found, passes = self.asked(model, beside=True, cache=tmp_path)
        count = model.count
        again, none = self.asked(model, beside=True, cache=tmp_path)
        assert (passes, none, model.count) == ([8], [0], count)
        assert again == found
        # Nor where samples are missing.
        longer, none = self.asked(model, beside=True, cache=tmp_path, samples=100)
        assert (none, model.count) == ([0], count + 40)
        assert [one.without for one in longer[0]] == [one.without for one in found[0]]

    def remembered(self, cache: Path) -> tuple[Seeing, Bench]:
        """Return a model whose answers are kept in `cache`."""
        model = Seeing()
        model.fingerprint = "seeing"  # type: ignore[attr-defined]
        return model, Bench(model, LimeOptions(device="cpu", **GRID), Cache(cache))

    def test_what_the_cache_comes_to_hold_is_not_asked_either(self, tmp_path: Path) -> None:
        model, bench = self.remembered(tmp_path)
        regions = [ASTRIDE]
        first = open_stream(bench, PHOTO, 0, opinions=["occlusion"])
        ((_, explanation),) = sample(bench.engine, [first])
        # Its samples are stored by now, and what it says of the region is not.
        second = open_stream(bench, PHOTO, 0, opinions=["occlusion"])
        intervene_beside(second, regions)
        assert second.asides
        found = Laboratory(first, explanation).intervene(regions)
        count = model.count
        ((_, explanation),) = sample(bench.engine, [second])
        lab = Laboratory(second, explanation)
        assert (lab.intervene(regions), lab.passes, model.count) == (found, 0, count)

    def test_opinions_that_the_cache_comes_to_hold_are_not_asked(self, tmp_path: Path) -> None:
        model, bench = self.remembered(tmp_path)
        first, second = (open_stream(bench, PHOTO, 0, opinions=["occlusion"]) for _ in range(2))
        ((_, explanation),) = sample(bench.engine, [first])
        count = model.count
        ((_, again),) = sample(bench.engine, [second])
        # Occlusion hides each superpixel once.
        assert model.count - count == explanation.passes - explanation.superpixels
        np.testing.assert_array_equal(again.opinions["occlusion"], explanation.opinions["occlusion"])

    def test_an_equal_region_is_no_other_question(self) -> None:
        bench = Bench(model := Seeing(), LimeOptions(device="cpu", **GRID))
        regions = [Mask(np.arange(1024).reshape(32, 32) % 3 == 0) for _ in range(2)]
        stream = open_stream(bench, PHOTO, 0)
        intervene_beside(stream, regions[:1])
        ((_, explanation),) = sample(bench.engine, [stream])
        count = model.count
        lab = Laboratory(stream, explanation)
        lab.intervene(regions[1:])
        assert (lab.passes, model.count) == (4, count)
        # Memory of the device is given back.
        assert stream.asides == []

    @pytest.mark.parametrize(("target", "passes"), [(0, 0), ("cat", 0), (None, 8)])
    def test_with_another_seed_the_cache_is_asked_for_a_class_that_is_named(
        self, target: Any, passes: int, tmp_path: Path
    ) -> None:
        model = Seeing()
        model.fingerprint = "seeing"  # type: ignore[attr-defined]
        assert model.labels[0] == "cat"
        self.asked(model, beside=True, cache=tmp_path, target=target)
        count = model.count
        _, (counted,) = self.asked(model, beside=True, cache=tmp_path, target=target, seed=1)
        assert (counted, model.count - count) == (passes, passes + 62)

    def test_what_the_cache_does_not_hold_comes_with_the_samples(self, tmp_path: Path) -> None:
        model = Seeing()
        model.fingerprint = "seeing"  # type: ignore[attr-defined]
        laboratory(model, regions=[ASTRIDE, Box(20, 20, 30, 30)], cache=tmp_path, **GRID)
        count = len(model.seen)
        _, passes = self.asked(model, beside=True, cache=tmp_path)
        assert (passes, [len(batch) for batch in model.seen[count:]]) == ([8], [8])


class TestExplanations:
    def test_another_seed_draws_other_masks(self) -> None:
        model = planted_linear([0.3, 0.2, *[0.0] * 13, 0.1])
        lab = planted(model, samples=80, seed=3)
        first, second = lab.with_seed(4), lab.with_seed(5)
        assert not np.array_equal(first.masks, second.masks)
        assert (first.samples, first.options.seed, first.labels) == (80, 4, ("planted",))
        assert np.array_equal(first.segments, lab.explanation.segments)
        alone = explain(model, model.image, "planted", **model.options, samples=80, seed=4)
        assert first.weights == pytest.approx(alone.weights, abs=1e-9)
        assert lab.passes == first.passes + second.passes >= 160

    def test_after_a_mirror_superpixels_keep_their_numbers(self) -> None:
        model = Seeing()
        lab = laboratory(model, fill=(0, 0, 0), **GRID)
        before = model.count
        mirrored = lab.transformed("hflip")
        assert np.array_equal(mirrored.segments, lab.explanation.segments[:, ::-1])
        assert np.array_equal(mirrored.pixels, lab.explanation.pixels[..., ::-1])
        assert np.array_equal(mirrored.masks, lab.explanation.masks)
        assert lab.passes == mirrored.passes == model.count - before
        # What the model sees is the mirror of what it saw.
        photo = torch.from_numpy(np.ascontiguousarray(PHOTO[:, ::-1].transpose(2, 0, 1)).astype(np.float32) / 255)
        whole = FakeModel().predict(photo[None])[0]
        assert mirrored.prediction == pytest.approx(whole.numpy(), abs=ROUNDING)

    def test_a_model_that_is_blind_to_the_mirror_gives_the_same_weights(self) -> None:
        class Blind(FakeModel):
            def predict(self, batch: torch.Tensor) -> torch.Tensor:
                mean = batch.to(torch.float64).mean(dim=(1, 2, 3))
                return torch.stack([mean, 0.6 - mean, 0.4 * torch.ones_like(mean)], dim=1)

        lab = laboratory(Blind(), fill=(0, 0, 0), **GRID)
        mirrored = lab.transformed("hflip")
        assert mirrored.weights == pytest.approx(lab.explanation.weights, abs=1e-6)

    @pytest.mark.parametrize("name", ["vflip", "hflips", None, 3])
    def test_another_transformation_is_told(self, name: Any) -> None:
        with pytest.raises(OptionError, match=r"transformation .* must be one of 'hflip', 'brightness'"):
            laboratory(FakeModel(), fill=(0, 0, 0), **GRID).transformed(name)

    def test_with_less_light(self) -> None:
        lab = laboratory(FakeModel(), fill=(0, 0, 0), **GRID)
        darker = lab.transformed("brightness")
        assert darker.pixels == pytest.approx(0.7 * lab.explanation.pixels, abs=1e-6)
        assert np.array_equal(darker.segments, lab.explanation.segments)
        assert np.array_equal(darker.masks, lab.explanation.masks)

    def test_of_a_shuffled_network_the_original_is_left_alone(self) -> None:
        net, model = network()
        before = {name: value.clone() for name, value in net.state_dict().items()}
        lab = laboratory(model, fill=(0, 0, 0), **GRID)
        shuffled = lab.randomised()
        for name, value in net.state_dict().items():
            assert torch.equal(value, before[name])
        assert np.array_equal(shuffled.masks, lab.explanation.masks)
        assert np.abs(shuffled.weights - lab.explanation.weights).max() > 1e-3
        assert lab.passes == shuffled.passes >= 60
        # The same shuffle each time.
        assert lab.randomised().weights == pytest.approx(shuffled.weights, abs=1e-6)
        # And the model still says what it said.
        again = laboratory(model, fill=(0, 0, 0), **GRID)
        assert again.explanation.weights == pytest.approx(lab.explanation.weights, abs=1e-6)

    def test_without_a_network_there_is_nothing_to_shuffle(self) -> None:
        with pytest.raises(OptionError, match=r"sane needs a torch network whose weights can be shuffled .* has none"):
            laboratory(FakeModel(), **GRID).randomised()

    def test_a_network_that_cannot_be_copied_is_told(self) -> None:
        class Stubborn(Net):
            def __deepcopy__(self, memo: Any) -> "Stubborn":
                raise RuntimeError("not me")

        lab = laboratory(TorchModel(Stubborn(), size=(32, 32), device="cpu"), fill=(0, 0, 0), **GRID)
        with pytest.raises(OptionError, match=r"TorchModel cannot \(not me\): leave it out"):
            lab.randomised()


class TestCache:
    def everything(self, lab: Laboratory) -> list[NDArray[np.float64]]:
        """Ask all that there is to ask."""
        masks = (np.arange(16) % np.arange(2, 9)[:, None] == 0).astype(np.uint8)
        found = [lab.scores(masks)]
        for one in lab.intervene([Box(0, 0, 8, 8), ASTRIDE]):
            found.append(np.array([one.whole, *one.without, *one.alone]))
        others = [lab.with_seed(7), lab.transformed("hflip"), lab.transformed("brightness"), lab.randomised()]
        return [*found, *(other.weights[0] for other in others)]

    def test_what_was_asked_once_is_not_asked_again(self, tmp_path: Path) -> None:
        options = {"fill": (0, 0, 0), **GRID}
        first = laboratory(network()[1], cache=tmp_path, **options)
        asked = self.everything(first)
        assert first.passes >= 7 + 8 + 4 * 60
        second = laboratory(network()[1], cache=tmp_path, **options)
        for one, other in zip(asked, self.everything(second), strict=True):
            assert np.array_equal(one, other)
        assert (second.explanation.passes, second.passes) == (0, 0)

    def test_nor_is_the_second_fill_made_again(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        first = laboratory(FakeModel(), cache=tmp_path, **GRID)
        found = first.intervene([ASTRIDE])
        second = laboratory(FakeModel(), cache=tmp_path, **GRID)
        with monkeypatch.context() as patch:
            patch.setattr("pytest_lime.laboratory.fill_image", lambda *_, **__: pytest.fail("filled"))
            assert [vars(one) for one in second.intervene([ASTRIDE])] == [vars(one) for one in found]
        for name, picture in second.hidden(found).items():
            assert np.array_equal(picture, first.hidden(found)[name])

    def test_a_fill_that_is_a_function_is_known_by_what_it_fills(self, tmp_path: Path) -> None:
        def white() -> Callable[..., NDArray[Any]]:
            return lambda image, segments: np.ones_like(image)

        passes = [laboratory(FakeModel(), cache=tmp_path, **GRID, fill=white()) for _ in range(2)]
        for lab in passes:
            lab.intervene([ASTRIDE])
        assert [lab.passes for lab in passes] == [4, 0]

    def test_the_shuffled_network_and_the_mirror_are_kept_apart(self, tmp_path: Path) -> None:
        lab = laboratory(network()[1], cache=tmp_path, fill=(0, 0, 0), **GRID)
        found = [lab.explanation, lab.transformed("hflip"), lab.transformed("brightness"), lab.randomised()]
        for one, other in itertools.combinations(found, 2):
            assert np.abs(one.weights - other.weights).max() > 1e-6

    @pytest.mark.parametrize("change", [{"fill": (255, 255, 255)}, {"target": 1}, {"image": PHOTO[::-1].copy()}])
    def test_another_question_is_asked(self, tmp_path: Path, change: dict[str, Any]) -> None:
        laboratory(network()[1], cache=tmp_path, **{"fill": (0, 0, 0), **GRID}).intervene([ASTRIDE])
        other = laboratory(network()[1], cache=tmp_path, **{"fill": (0, 0, 0), **GRID, **change})
        other.intervene([ASTRIDE])
        assert other.passes == 4

    def test_without_a_cache_everything_is_asked(self) -> None:
        labs = [laboratory(network()[1], fill=(0, 0, 0), **GRID) for _ in range(2)]
        for lab in labs:
            lab.intervene([ASTRIDE])
            assert lab.passes == 4
