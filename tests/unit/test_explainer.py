"""From image and model to explanation: the same in any portions, and errors before any pass."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pytest_lime import (
    Box,
    Explanation,
    ImageError,
    LimeOptions,
    ModelError,
    OptionError,
    RegionError,
    TargetError,
    explain,
)
from pytest_lime.explainer import open_stream
from pytest_lime.images import Image
from pytest_lime.streams import Bench, SampleStream
from pytest_lime.testing import FakeModel, planted_and, planted_linear

Extend = Callable[[SampleStream, int], None]
IMAGE = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
# 16 cells: more than are enumerated.
OPTIONS: dict[str, Any] = {"segmenter": "grid", "segments": 16, "samples": 120, "batch_size": 10}
FIGURES = ("weights", "intercept", "r2", "covariance", "prediction")


class Counting(FakeModel):
    """Counts the images it is shown."""

    def __init__(self, labels: tuple[str, ...] = ("cat", "dog", "bird")) -> None:
        super().__init__(labels)
        self.shown = 0

    def predict(self, batch: torch.Tensor) -> torch.Tensor:
        self.shown += len(batch)
        return super().predict(batch)


class Unnamed:
    """Two classes without names, of images as they are."""

    labels: tuple[str, ...] | None = None
    input_size: tuple[int, int] | None = None
    device = "cpu"

    def prepare(self, image: Image) -> NDArray[np.float32]:
        return np.moveaxis(image.pixels, -1, 0)

    def predict(self, batch: torch.Tensor) -> torch.Tensor:
        brightness = batch.double().mean(dim=(1, 2, 3))
        return torch.stack([brightness, 1 - brightness], dim=1)


def stream_of(options: LimeOptions) -> SampleStream:
    return open_stream(Bench(FakeModel(), options), IMAGE, "cat")


def assert_same(first: Explanation, second: Explanation, tolerance: float = 0.0) -> None:
    for name in FIGURES:
        np.testing.assert_allclose(getattr(first, name), getattr(second, name), rtol=0, atol=tolerance, err_msg=name)


class TestReproducible:
    def test_the_same_seed_gives_the_same_figures_whatever_ran_before(self) -> None:
        model = FakeModel()
        first = {seed: explain(model, IMAGE, "cat", seed=seed, **OPTIONS) for seed in (0, 1, 2)}
        for seed in (2, 0, 1):
            assert_same(explain(FakeModel(), IMAGE, "cat", seed=seed, **OPTIONS), first[seed])
        assert np.abs(first[0].weights - first[1].weights).max() > 1e-6

    def test_the_state_of_global_generators_is_neither_used_nor_changed(self) -> None:
        torch.manual_seed(0)
        before = torch.random.get_rng_state()
        first = explain(FakeModel(), IMAGE, "cat", **OPTIONS)
        assert torch.equal(torch.random.get_rng_state(), before)
        torch.manual_seed(1)
        assert_same(explain(FakeModel(), IMAGE, "cat", **OPTIONS), first)

    @pytest.mark.parametrize("batch_size", [1, 7, 120, "auto"])
    def test_any_batch_size_gives_the_same_figures(self, batch_size: Any) -> None:
        reference = explain(FakeModel(), IMAGE, "cat", **OPTIONS)
        other = explain(FakeModel(), IMAGE, "cat", **{**OPTIONS, "batch_size": batch_size})
        assert_same(other, reference, 1e-6)

    @pytest.mark.parametrize("sampler", ["antithetic", "bernoulli"])
    @pytest.mark.parametrize("portions", [(50, 50), (10, 90), (30, 0, 70)])
    def test_portions_are_what_is_drawn_at_once(self, sampler: str, portions: tuple[int, ...], extend: Extend) -> None:
        # The portions are multiples of the batch size, so that every batch is the same one.
        options = LimeOptions(**{**OPTIONS, "sampler": sampler})
        at_once, in_portions = (stream_of(options) for _ in range(2))
        extend(at_once, 100)
        for portion in portions:
            extend(in_portions, portion)
        assert at_once.samples == in_portions.samples == 100
        # The image first, and once more for a look.
        assert at_once.passes == in_portions.passes == 101
        assert at_once.look().passes == 102
        # Batches fall otherwise.
        assert_same(in_portions.look(), at_once.look(), 1e-12)

    def test_looking_changes_nothing(self, extend: Extend) -> None:
        options = LimeOptions(**OPTIONS)
        looked, plain = (stream_of(options) for _ in range(2))
        extend(looked, 50)
        early = looked.look()
        extend(looked, 50)
        extend(plain, 50)
        assert_same(plain.look(), early)
        extend(plain, 50)
        assert_same(looked.look(), plain.look())
        assert early.samples == 50

    def test_masks_come_to_their_end(self, extend: Extend) -> None:
        stream = stream_of(LimeOptions(segmenter="grid", segments=4))
        assert stream.most == 16
        extend(stream, 10)
        assert stream.look().covariance.any()
        extend(stream, 10**6)
        extend(stream, 1)
        assert stream.samples == 16
        assert not stream.look().covariance.any()


class TestTargets:
    def test_several_targets_come_from_the_same_samples(self) -> None:
        model = Counting()
        together = explain(model, IMAGE, ["bird", 0], **OPTIONS)
        # The image before the samples, 120 of these, and the image again.
        assert model.shown == together.passes == 122
        assert together.targets == (2, 0)
        assert together.labels == ("bird", "cat")
        for row, target in enumerate(("bird", "cat")):
            alone = explain(FakeModel(), IMAGE, target, **OPTIONS)
            # The same sums, in matrices of other widths.
            np.testing.assert_allclose(together.weights[row], alone.weights[0], atol=1e-12)
            np.testing.assert_allclose(together.covariance[row], alone.covariance[0], atol=1e-12)
            assert together.rank(target) == alone.rank()

    def test_none_is_the_predicted_class(self) -> None:
        predicted = explain(FakeModel(), IMAGE, **OPTIONS)
        assert predicted.targets == (int(predicted.prediction.argmax()),)
        assert predicted.rank() == 1
        assert_same(explain(FakeModel(), IMAGE, predicted.labels[0], **OPTIONS), predicted)

    def test_none_beside_another_class(self) -> None:
        first = explain(FakeModel(), IMAGE, **OPTIONS).targets[0]
        other = (first + 1) % 3
        assert explain(FakeModel(), IMAGE, [None, other], **OPTIONS).targets == (first, other)

    def test_classes_without_names_are_called_by_their_index(self) -> None:
        explanation = explain(Unnamed(), IMAGE, "1", **OPTIONS)
        assert (explanation.class_names, explanation.labels) == (("0", "1"), ("1",))

    @pytest.mark.parametrize(
        ("target", "words"),
        [
            ("catt", "no class 'catt' among its 3 classes; the nearest is 'cat'"),
            (["cat", "brid"], "the nearest is 'bird'"),
            (3, "class 3 does not exist"),
            (-1, "class -1 does not exist"),
            (1.5, "must be a label"),
            ([], "names no class"),
            (["cat", 0], "names a class twice"),
            (("dog", "Dog"), "names a class twice"),
        ],
    )
    def test_errors_come_before_any_pass(self, target: Any, words: str) -> None:
        model = Counting()
        with pytest.raises(TargetError) as caught:
            explain(model, IMAGE, target, **OPTIONS)
        assert words in str(caught.value)
        assert model.shown == 0

    def test_the_predicted_class_named_twice_is_found_before_any_sample(self) -> None:
        predicted = explain(FakeModel(), IMAGE, **OPTIONS).targets[0]
        model = Counting()
        with pytest.raises(TargetError, match="names a class twice"):
            explain(model, IMAGE, [predicted, None], **OPTIONS)
        assert model.shown == 1

    def test_a_class_that_an_unnamed_model_lacks(self) -> None:
        with pytest.raises(TargetError, match="the model has 2 classes"):
            explain(Unnamed(), IMAGE, 2, **OPTIONS)


REGION = Box(7, 9, 29, 31)


class TestRegions:
    @pytest.mark.parametrize("segmenter", ["grid", "slic"])
    @pytest.mark.parametrize("regions", [(REGION,), (REGION, Box(0, 0, 20, 20))])
    def test_aligned_superpixels_lie_within_or_without(self, segmenter: str, regions: tuple[Box, ...]) -> None:
        explanation = explain(FakeModel(), IMAGE, "cat", regions=regions, **{**OPTIONS, "segmenter": segmenter})
        for region in regions:
            assert set(np.unique(explanation.shares(region))) == {0.0, 1.0}

    def test_one_region_needs_no_list(self) -> None:
        alone, listed, paired = (
            explain(FakeModel(), IMAGE, "cat", regions=regions, **OPTIONS)
            for regions in (REGION, [REGION], (REGION, REGION))
        )
        for other in (listed, paired):
            np.testing.assert_array_equal(other.segments, alone.segments)
            assert_same(other, alone)
        assert set(np.unique(alone.shares(REGION))) == {0.0, 1.0}

    def test_without_alignment_superpixels_stay(self) -> None:
        plain = explain(FakeModel(), IMAGE, "cat", **OPTIONS)
        beside = explain(FakeModel(), IMAGE, "cat", regions=[REGION], align_to_regions=False, **OPTIONS)
        np.testing.assert_array_equal(beside.segments, plain.segments)
        assert_same(beside, plain)
        assert ((plain.shares(REGION) > 0) & (plain.shares(REGION) < 1)).any()


class TestKnownAnswers:
    @pytest.mark.parametrize("d", [3, 8, 12])
    def test_an_enumerated_linear_model(self, d: int) -> None:
        model = planted_linear(list(np.linspace(-0.2, 0.3, d) / d), intercept=0.5)
        explanation = explain(model, model.image, "planted", **model.options)
        assert (explanation.sampler, explanation.samples) == ("exhaustive", 2**d)
        # The penalty of 1e-9 is all that stands between fit and formula.
        np.testing.assert_allclose(explanation.weights[0], model.expected_weights(), atol=1e-7)
        assert explanation.local_pred[0] == pytest.approx(explanation.score[0], abs=1e-7)
        assert explanation.r2[0] == pytest.approx(1, abs=1e-9)
        assert not explanation.covariance.any()

    @pytest.mark.parametrize("d", [20, 50])
    def test_a_sampled_conjunction_within_its_errors(self, d: int) -> None:
        model = planted_and([0, 3], d=d)
        explanation = explain(model, model.image, "planted", samples=2000, **model.options)
        z = (explanation.weights[0] - model.expected_weights()) / explanation.standard_errors[0]
        # The largest of 50 standard normal variables passes 4.5 once in 3,000 runs; the seed is fixed.
        assert np.abs(z).max() < 4.5


class TestTheRest:
    def test_what_an_explanation_carries(self) -> None:
        explanation = explain(FakeModel(), IMAGE, "dog", seed=5, **OPTIONS)
        assert explanation.image.size == (40, 48)
        assert explanation.pixels.shape == (3, 32, 32)
        assert explanation.view.box == pytest.approx((0, 0, 48, 40), abs=0.03)  # snapped to whole pixels
        assert explanation.segments.shape == (32, 32)
        assert explanation.superpixels == 16
        assert (explanation.samples, explanation.sampler, explanation.batch_size) == (120, "hadamard", 10)
        assert explanation.device == "cpu"
        assert explanation.seconds > 0
        assert explanation.passes == 122
        # 60 pairs, less 16 superpixels and the intercept.
        assert explanation.freedom == 43
        assert 0 < explanation.rounding[0] <= 1e-6
        assert explanation.options.seed == 5
        np.testing.assert_allclose(explanation.prediction.sum(), 1, atol=1e-12)

    def test_a_model_of_one_channel(self) -> None:
        class Gray(Unnamed):
            def prepare(self, image: Image) -> NDArray[np.float32]:
                return np.ascontiguousarray(image.pixels[None, :, :, 1])

        assert explain(Gray(), IMAGE, 0, **OPTIONS).pixels.shape == (1, 40, 48)

    def test_given_masks_set_their_own_number(self) -> None:
        masks = np.random.default_rng(1).integers(0, 2, (37, 16))
        explanation = explain(FakeModel(), IMAGE, "cat", **{**OPTIONS, "sampler": masks})
        assert (explanation.samples, explanation.sampler) == (37, "given")

    @pytest.mark.parametrize(
        ("arguments", "kind", "words"),
        [
            ({"model": torch.nn.Identity()}, ModelError, "wrap the network: TorchModel"),
            ({"model": FakeModel}, ModelError, "pass an instance"),
            ({"image": "no such cat.png"}, ImageError, "does not exist"),
            ({"regions": [REGION, (0, 0, 1, 1)]}, RegionError, "is no region"),
            ({"regions": (0, 0, 5, 5)}, RegionError, "regions: 0 is no region; pass Box"),
            ({"regions": 5}, RegionError, "regions: 5 is no region"),
            ({"regions": None}, RegionError, "regions: None is no region"),
            ({"regions": "HEAD"}, RegionError, "is no region"),
            ({"regions": Box}, RegionError, "is no region"),
            ({"regions": np.ones((40, 48), dtype=bool)}, RegionError, "is no region"),
            ({"kernel_width": 1e-3, "sampler": np.eye(16)}, OptionError, "kernel_width is too small: no sample of 16"),
            ({"regions": [Box(0, 0, 100, 10)]}, RegionError, "reaches outside"),
            ({"sample": 3}, OptionError, "explain: there is no option 'sample'; the nearest is 'samples'"),
            ({"samples": 1}, OptionError, "explain: samples=1 must"),
            ({"sampler": np.eye(5)}, OptionError, "5 columns and the image 16 superpixels"),
            ({"device": "cpu:9"}, OptionError, "not available"),
        ],
    )
    def test_errors(self, arguments: dict[str, Any], kind: type[Exception], words: str) -> None:
        call = {"model": FakeModel(), "image": IMAGE, "target": "cat", **OPTIONS, **arguments}
        with pytest.raises(kind) as caught:
            explain(**call)
        assert words in str(caught.value)

    def test_a_missing_argument_is_told_with_their_names(self) -> None:
        with pytest.raises(OptionError, match="the arguments are model, image, target, top_labels, regions"):
            explain(FakeModel())  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "path",
    ["", b"", "\0", "a\0b", "x" * 5000, 3, object(), ["kept"]],
    ids=["empty", "empty bytes", "zero", "a zero inside", "long", "number", "object", "list"],
)
def test_a_cache_that_cannot_be_a_folder(path: Any) -> None:
    model = Counting()
    with pytest.raises(OptionError, match=r"^cache=.* must be the path of a folder, or None\.$"):
        explain(model, IMAGE, "cat", cache=path)
    assert model.shown == 0


def test_a_cache_that_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_text("mine")
    for given in (path, str(path)):
        with pytest.raises(OptionError, match=r"kept' is a file; name a folder\.$"):
            explain(FakeModel(), IMAGE, "cat", cache=given)
    assert path.read_text() == "mine"
