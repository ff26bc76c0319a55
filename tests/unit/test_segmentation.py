"""Superpixels: their number, their order, and the borders of regions."""

import dataclasses
import inspect
from collections.abc import Callable
from functools import cache, partial, wraps
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lime.wrappers.scikit_image import SegmentationAlgorithm
from numpy.typing import NDArray
from skimage import data
from skimage.segmentation import slic

from pytest_lime import explain
from pytest_lime.errors import OptionError, SegmentationError
from pytest_lime.images import View, resize_pixels
from pytest_lime.options import MOST_SUPERPIXELS, SEGMENTERS
from pytest_lime.segmentation import ALGORITHMS, align, grid, relabel, segment
from pytest_lime.testing import planted_and


def view_of(height: int, width: int) -> View:
    return View(size=(height, width), box=(0, 0, width, height), shape=(height, width))


def patches(height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    """A picture with structure: smooth patches of colour, about four a side, and a little noise."""
    rng = np.random.default_rng(seed)
    smooth = resize_pixels(rng.random((4, 4, 3), dtype=np.float32), (height, width), interpolation="bicubic")
    return np.clip(smooth + 0.02 * rng.random((height, width, 3)), 0, 1).astype(np.float32)


def cut(pixels: NDArray[np.float32], **options: Any) -> NDArray[np.int64]:
    defaults = {"segmenter": "slic", "segments": 50, "parameters": {}, "seed": 0, "view": view_of(*pixels.shape[:2])}
    return segment(pixels, **{**defaults, **options})


@cache
def photo(side: int = 224, name: str = "astronaut") -> NDArray[np.float32]:
    return resize_pixels((getattr(data, name)() / 255).astype(np.float32), (side, side))


PIXELS = patches(12, 16)
QUARTERS = np.kron([[0, 1], [2, 3]], np.ones((6, 8), dtype=np.int64))


def assert_numbered(labels: NDArray[np.int64]) -> None:
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(np.unique(labels), np.arange(labels.max() + 1))


class TestGrid:
    @pytest.mark.parametrize(
        ("shape", "segments", "cells"),
        [
            ((64, 64), 16, (4, 4)),
            ((64, 64), 49, (7, 7)),
            ((30, 60), 50, (5, 10)),
            ((60, 30), 50, (10, 5)),
            ((8, 80), 10, (1, 10)),
            ((3, 3), 1000, (3, 3)),
            ((1, 5), 2, (1, 2)),
            ((400, 3), 1000, (333, 3)),
            ((143, 7), 1000, (142, 7)),
        ],
    )
    def test_known_cells(self, shape: tuple[int, int], segments: int, cells: tuple[int, int]) -> None:
        labels = grid(shape, segments)
        assert labels.shape == shape
        assert_numbered(labels)
        assert (len(np.unique(labels[:, 0])), len(np.unique(labels[0]))) == cells
        assert labels.max() + 1 == cells[0] * cells[1]

    @settings(deadline=None)
    @given(st.integers(1, 60), st.integers(1, 60), st.integers(2, 200))
    def test_cells_are_of_nearly_one_size_and_numbered_without_gaps(
        self, height: int, width: int, segments: int
    ) -> None:
        labels = grid((height, width), segments)
        assert_numbered(labels)
        rows, columns = len(np.unique(labels[:, 0])), len(np.unique(labels[0]))
        area = np.bincount(labels.ravel())
        assert area.max() <= (height // rows + 1) * (width // columns + 1)
        assert area.min() >= (height // rows) * (width // columns)

    @pytest.mark.parametrize(
        ("parameters", "cells"),
        [
            ({"rows": 5, "columns": 3}, (5, 3)),
            ({"rows": 3}, (3, 17)),
            ({"columns": 20}, (2, 20)),
            ({"columns": 60}, (1, 60)),
            ({"rows": np.int64(40), "columns": 1}, (40, 1)),
        ],
    )
    def test_rows_and_columns(self, parameters: dict[str, Any], cells: tuple[int, int]) -> None:
        labels = cut(patches(40, 60), segmenter="grid", parameters=parameters)
        assert (len(np.unique(labels[:, 0])), len(np.unique(labels[0]))) == cells

    @pytest.mark.parametrize(
        ("parameters", "words"),
        [
            ({"rows": 41}, "rows=41 must be a whole number from 1 to 40, since the model sees 60×40 pixels"),
            ({"columns": 0}, "columns=0 must be a whole number from 1 to 60"),
            ({"columns": 2.5}, "columns=2.5 must be"),
            ({"rows": True}, "rows=True must be"),
            ({"row": 3}, "segmenter='grid' has no parameter 'row'; the nearest is 'rows'"),
        ],
    )
    def test_what_rows_and_columns_cannot_be(self, parameters: dict[str, Any], words: str) -> None:
        with pytest.raises(OptionError, match=words):
            cut(patches(40, 60), segmenter="grid", parameters=parameters)


# Of each algorithm: a parameter beside the one that decides the number, and another value of it.
BESIDE: dict[str, dict[str, Any]] = {
    "slic": {"compactness": 40},
    "quickshift": {"ratio": 0.9},
    "felzenszwalb": {"sigma": 2.0},
    "watershed": {"compactness": 10.0},
}
STEERED: dict[str, dict[str, Any]] = {
    "slic": {"n_segments": 30},
    "quickshift": {"kernel_size": 4},
    "felzenszwalb": {"scale": 500},
    "watershed": {"markers": 30},
}


class TestAlgorithms:
    def test_each_is_tested(self) -> None:
        assert {*ALGORITHMS, "grid"} == set(SEGMENTERS)
        assert set(BESIDE) == set(STEERED) == set(ALGORITHMS)

    @pytest.mark.parametrize("segmenter", SEGMENTERS)
    @pytest.mark.parametrize("segments", [12, 50, 150])
    def test_a_photograph_is_cut_in_about_as_many_as_asked_for(self, segmenter: str, segments: int) -> None:
        labels = cut(photo(), segmenter=segmenter, segments=segments)
        assert_numbered(labels)
        assert labels.shape == (224, 224)
        assert 0.85 * segments <= labels.max() + 1 <= 1.15 * segments

    @pytest.mark.parametrize("segmenter", SEGMENTERS)
    @pytest.mark.parametrize("segments", [2, MOST_SUPERPIXELS])
    def test_the_fewest_and_the_most_that_can_be_asked_for(self, segmenter: str, segments: int) -> None:
        labels = cut(photo(96), segmenter=segmenter, segments=segments)
        # The kernel of quickshift cannot be less than a pixel.
        least = segments / (10 if segmenter == "quickshift" else 1.5)
        assert least <= labels.max() + 1 <= min(segments * 2, MOST_SUPERPIXELS)

    @pytest.mark.parametrize("segmenter", ALGORITHMS)
    def test_a_small_image_is_cut_too(self, segmenter: str) -> None:
        # 32² pixels, as of CIFAR: 50 superpixels have 20 pixels each.
        labels = cut(photo(32), segmenter=segmenter)
        assert (10 if segmenter == "quickshift" else 40) <= labels.max() + 1 <= 60

    @pytest.mark.parametrize("segmenter", ALGORITHMS)
    def test_a_seed_gives_the_same_superpixels_whatever_was_drawn_before(self, segmenter: str) -> None:
        first = cut(photo(96), segmenter=segmenter, seed=3)
        np.random.seed(99)  # noqa: NPY002  (what a segmenter that forgets its seed would draw from)
        np.testing.assert_array_equal(first, cut(photo(96).copy(), segmenter=segmenter, seed=3))

    def test_quickshift_draws_from_the_seed_unless_rng_is_given(self) -> None:
        flat = np.full((30, 30, 3), 0.5, dtype=np.float32)  # its noise decides between equal pixels
        one, two = (cut(flat, segmenter="quickshift", seed=seed) for seed in (1, 2))
        assert not np.array_equal(one, two)
        np.testing.assert_array_equal(one, cut(flat, segmenter="quickshift", seed=2, parameters={"rng": 1}))
        # scikit-image itself takes less than half of the seeds that can be given.
        assert cut(flat, segmenter="quickshift", seed=2**32 - 1).shape == (30, 30)

    @pytest.mark.parametrize("segmenter", ALGORITHMS)
    def test_gray_is_cut_as_equal_channels_are(self, segmenter: str) -> None:
        gray = photo(64)[:, :, :1]
        np.testing.assert_array_equal(
            cut(gray, segmenter=segmenter), cut(np.repeat(gray, 3, axis=2), segmenter=segmenter)
        )

    @pytest.mark.parametrize("segmenter", ["slic", "quickshift", "felzenszwalb"])
    def test_the_parameter_that_decides_the_number_replaces_the_search(self, segmenter: str) -> None:
        (name, value), algorithm = *STEERED[segmenter].items(), ALGORITHMS[segmenter]
        ours = algorithm.settings((96, 96), 7)
        if "rng" in algorithm.parameters:
            ours["rng"] = 5
        expected = algorithm.function(photo(96), **{**ours, name: value})
        labels = cut(photo(96), segmenter=segmenter, segments=7, seed=5, parameters={name: value})
        np.testing.assert_array_equal(labels, relabel(expected))

    @pytest.mark.parametrize("shape", [(48, 48), (45, 80), (80, 31)])
    def test_numbers_that_begin_with_the_same_grid_give_the_same_superpixels(self, shape: tuple[int, int]) -> None:
        pixels, algorithm = patches(*shape), ALGORITHMS["slic"]
        grids: dict[Any, list[int]] = {}
        for number in range(2, 90):
            grids.setdefault(algorithm.alike(shape, number), []).append(number)
        assert 8 < len(grids) < 40
        for numbers in grids.values():
            first, last = (slic(pixels, **algorithm.settings(shape, number)) for number in (numbers[0], numbers[-1]))
            np.testing.assert_array_equal(first, last)

    @pytest.mark.parametrize("segments", [20, 50, 64])
    @pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
    def test_no_grid_is_begun_with_twice(self, monkeypatch: pytest.MonkeyPatch, name: str, segments: int) -> None:
        grids: list[Any] = []
        algorithm = ALGORITHMS["slic"]

        @wraps(slic)
        def noted(pixels: NDArray[Any], **settings: Any) -> NDArray[Any]:
            grids.append(algorithm.alike((96, 96), settings["n_segments"]))
            return np.asarray(slic(pixels, **settings))

        monkeypatch.setitem(ALGORITHMS, "slic", dataclasses.replace(algorithm, function=noted))
        labels = cut(photo(96, name), segments=segments)
        assert len(grids) == len(set(grids))
        monkeypatch.setitem(ALGORITHMS, "slic", dataclasses.replace(algorithm, alike=lambda shape, value: value))
        np.testing.assert_array_equal(labels, cut(photo(96, name), segments=segments))

    def test_a_number_of_markers_is_that_of_scikit_image(self) -> None:
        # As many in rows as in columns: five each.
        assert cut(photo(96), segmenter="watershed", parameters={"markers": 30}).max() + 1 == 25

    @pytest.mark.parametrize("segmenter", ALGORITHMS)
    def test_other_parameters_change_the_superpixels_and_not_their_number(self, segmenter: str) -> None:
        changed = cut(photo(96), segmenter=segmenter, parameters=BESIDE[segmenter])
        assert not np.array_equal(changed, cut(photo(96), segmenter=segmenter))
        assert 35 <= changed.max() + 1 <= 65

    def test_a_mask_belongs_to_the_image_as_it_is(self) -> None:
        mask = np.ones((600, 600), dtype=bool)
        mask[:, 300:] = False
        labels = cut(photo(600), segments=10, parameters={"mask": mask, "max_num_iter": 2})
        assert len(np.unique(labels[:, 300:])) == 1

    @pytest.mark.parametrize("segmenter", ALGORITHMS)
    @pytest.mark.parametrize("ours", ["image", "channel_axis", "start_label", "return_tree", "segments"])
    def test_what_is_no_parameter(self, segmenter: str, ours: str) -> None:
        with pytest.raises(OptionError, match=f"segmenter='{segmenter}' has no parameter '{ours}'.*; the parameters"):
            cut(photo(32), segmenter=segmenter, parameters={ours: 1})

    @pytest.mark.parametrize("segmenter", ALGORITHMS)
    def test_the_nearest_parameter_is_named_and_all_are(self, segmenter: str) -> None:
        (name,) = STEERED[segmenter]
        with pytest.raises(OptionError, match=f"no parameter '{name}s'; the nearest is '{name}'") as caught:
            cut(photo(32), segmenter=segmenter, parameters={name + "s": 1})
        listed = str(caught.value).rpartition("the parameters are ")[2].rstrip(".").split(", ")
        assert set(listed) < set(inspect.signature(ALGORITHMS[segmenter].function).parameters)

    @pytest.mark.parametrize(
        ("segmenter", "parameters", "reason"),
        [
            ("slic", {"spacing": 3}, "spacing must be None or iterable"),
            ("slic", {"compactness": "high"}, "unsupported operand"),
            ("felzenszwalb", {"min_size": 1.5}, "cannot be interpreted as an integer"),
            ("watershed", {"markers": np.zeros((3, 3))}, "shapes"),
        ],
    )
    def test_a_value_that_scikit_image_refuses_is_told_with_its_reason(
        self, segmenter: str, parameters: dict[str, Any], reason: str
    ) -> None:
        with pytest.raises(OptionError, match=r"^segmenter_parameters=.* do not suit segmenter=") as caught:
            cut(photo(32), segmenter=segmenter, parameters=parameters)
        assert f"'{segmenter}' and the image of 32×32 pixels (scikit-image: " in str(caught.value)
        assert reason in str(caught.value)
        assert "\n" not in str(caught.value)
        assert caught.value.__suppress_context__

    @pytest.mark.parametrize(
        ("segmenter", "name", "value", "least"),
        [
            ("slic", "n_segments", -4, "1"),
            ("slic", "compactness", float("nan"), "0"),
            ("slic", "compactness", -1, "0"),
            ("slic", "sigma", [1, float("inf")], "0"),
            ("quickshift", "kernel_size", 0.5, "1"),
            ("felzenszwalb", "scale", -1, "0.001"),
            ("felzenszwalb", "scale", np.float32("nan"), "0.001"),
            ("watershed", "markers", -1, "1"),
        ],
    )
    def test_a_number_below_its_least_is_told_by_name(self, segmenter: str, name: str, value: Any, least: str) -> None:
        with pytest.raises(OptionError) as caught:
            cut(photo(32), segmenter=segmenter, parameters={name: value})
        assert f"segmenter_parameters: {name}=" in str(caught.value)
        assert f"must be a finite number of at least {least}." in str(caught.value)

    def test_a_ragged_list_is_no_number(self) -> None:
        with pytest.raises(OptionError, match=r"sigma=\[\[1\], \[1, 2\]\] must be a number, or an array of numbers"):
            cut(photo(32), parameters={"sigma": [[1], [1, 2]]})

    def test_an_image_that_scikit_image_refuses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fails(*args: Any, **parameters: Any) -> NDArray[Any]:
            raise IndexError

        monkeypatch.setitem(ALGORITHMS, "slic", ALGORITHMS["watershed"].__class__(fails, "n", lambda *_: {"n": 1}, 1))
        with pytest.raises(
            SegmentationError, match=r"'slic' cannot cut the image of 32×32 pixels .*IndexError.*'grid'"
        ):
            cut(photo(32))

    @pytest.mark.parametrize(
        ("parameters", "remedy"),
        [
            ({}, "choose segmenter='grid', or another number of segments"),
            ({"sigma": 1.0}, "or another number of segments, or other segmenter_parameters"),
            ({"scale": 1e9}, "choose segmenter='grid', or another scale in segmenter_parameters"),
        ],
    )
    def test_one_superpixel_is_told_with_what_can_be_done(self, parameters: dict[str, Any], remedy: str) -> None:
        with pytest.raises(SegmentationError, match=f"one superpixel only and needs at least two; .*{remedy}"):
            cut(np.zeros((20, 20, 3), dtype=np.float32), segmenter="felzenszwalb", parameters=parameters)

    def test_too_many_are_told_with_what_can_be_done(self) -> None:
        with pytest.raises(SegmentationError, match=r"4,096 superpixels; at most 1,000 .* another n_segments in"):
            cut(photo(64), parameters={"n_segments": 10**6})


class TestLimesQuickshift:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("name", ["astronaut", "chelsea"])
    def test_the_superpixels_are_those_of_lime(self, dtype: type, name: str) -> None:
        # lime passes on the image as it gets it, and scikit-image computes in its precision. The seed it passes as
        # `random_seed`, which scikit-image no longer has; lime drops it, and scikit-image's own, 42, is left.
        parameters = {"kernel_size": 4, "max_dist": 200, "ratio": 0.2}
        image: NDArray[Any] = photo(128, name).astype(dtype)
        theirs = SegmentationAlgorithm("quickshift", **parameters, random_seed=7)(image)
        ours = cut(image, segmenter="quickshift", parameters={**parameters, "rng": 42}, seed=7)
        np.testing.assert_array_equal(ours, theirs)


def shifted_slic(image: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(slic(image, n_segments=30) * 3.0 - 7)


class TestFunctions:
    def test_it_is_called_with_a_copy_of_what_the_model_sees(self) -> None:
        seen: list[NDArray[Any]] = []

        def halves(image: NDArray[Any], rows: int = 6) -> NDArray[Any]:
            seen.append(image.copy())
            image[:] = 0
            return np.arange(12)[:, None].repeat(16, axis=1) >= rows

        pixels = patches(12, 16)
        np.testing.assert_array_equal(cut(pixels, segmenter=halves), QUARTERS // 2)
        np.testing.assert_array_equal(seen[0], pixels)
        assert pixels.max() > 0
        assert (cut(pixels[:, :, :1], segmenter=halves, parameters={"rows": 2}) == 0).sum() == 2 * 16
        np.testing.assert_array_equal(seen[1], np.repeat(pixels[:, :, :1], 3, axis=2))

    @pytest.mark.parametrize(
        "segmenter",
        [
            partial(slic, n_segments=30, start_label=1),
            SegmentationAlgorithm("slic", n_segments=30, start_label=1),
            shifted_slic,
        ],
        ids=["partial", "lime", "whole floats with gaps"],
    )
    def test_functions_as_users_have_them(self, segmenter: Callable[..., Any]) -> None:
        np.testing.assert_array_equal(cut(photo(64), segmenter=segmenter), slic(photo(64), n_segments=30) - 1)

    @pytest.mark.parametrize(
        ("returned", "words"),
        [
            (None, "returned None; it must return an integer label of each pixel, 12×16 (height × width)"),
            (3, "returned 3; it must"),
            ([[1], [1, 2]], "returned [[1], [1, 2]]; it must"),
            (np.full((12, 16), "a"), "; it must"),
            (QUARTERS.astype(complex), "; it must"),
            (QUARTERS[:, :5], "returned an array of shape 12×5; it must"),
            (QUARTERS[None], "returned an array of shape 1×12×16; it must"),
            (QUARTERS + 0.5, "returned labels from 0.5 to 3.5 that are not all whole numbers; it must"),
            (QUARTERS * np.nan, "returned labels from nan to nan that are not all whole numbers; it must"),
        ],
    )
    def test_what_is_no_label_map(self, returned: Any, words: str) -> None:
        def mine(image: NDArray[Any]) -> Any:
            return returned

        with pytest.raises(SegmentationError) as caught:
            cut(PIXELS, segmenter=mine)
        assert str(caught.value).startswith("segmenter TestFunctions.")
        assert "<locals>.mine returned " in str(caught.value)
        assert words in str(caught.value)

    def test_its_own_error_is_left_as_it_is(self) -> None:
        error = KeyError("mine")

        def fails(image: NDArray[Any]) -> Any:
            raise error

        with pytest.raises(KeyError) as caught:
            cut(PIXELS, segmenter=fails)
        assert caught.value is error

    def test_its_one_label_or_too_many_are_told(self) -> None:
        with pytest.raises(
            SegmentationError, match=r"one superpixel only .* let the function return 2 to 1,000 labels"
        ):
            cut(PIXELS, segmenter=lambda image: np.zeros(image.shape[:2], dtype=int))
        with pytest.raises(SegmentationError, match=r"1,024 superpixels; .* let the function return 2 to 1,000 labels"):
            cut(patches(32, 32), segmenter=lambda image: np.arange(1024).reshape(32, 32))


# Most sizes are small, where what is special happens; a few are those of photographs.
SIDES = st.one_of(st.integers(1, 6), st.integers(1, 80), st.just(150))


@st.composite
def images(draw: st.DrawFn) -> NDArray[np.float32]:
    """H×W×C images: flat, noise, or patches."""
    height, width, channels = draw(SIDES), draw(SIDES), draw(st.sampled_from([1, 3]))
    kind, seed = draw(st.sampled_from(["flat", "noise", "patches"])), draw(st.integers(0, 99))
    if kind == "flat":
        return np.full((height, width, channels), seed / 99, dtype=np.float32)
    if kind == "noise":
        return np.random.default_rng(seed).random((height, width, channels), dtype=np.float32)
    return patches(height, width, seed)[:, :, :channels]


@pytest.mark.slow
class TestAnySize:
    @settings(deadline=None, max_examples=70)
    @given(
        pixels=images(),
        segmenter=st.sampled_from(SEGMENTERS),
        segments=st.one_of(st.integers(2, 8), st.sampled_from([50, 150, 1000])),
        seed=st.integers(0, 2**32 - 1),
    )
    def test_superpixels_or_a_clear_error(
        self, pixels: NDArray[np.float32], segmenter: str, segments: int, seed: int
    ) -> None:
        try:
            labels = cut(pixels, segmenter=segmenter, segments=segments, seed=seed)
        except SegmentationError as error:
            told = str(error)
        else:
            assert labels.shape == pixels.shape[:2]
            assert_numbered(labels)
            assert 2 <= labels.max() + 1 <= min(MOST_SUPERPIXELS, labels.size)
            return
        # A grid can be had of every image but one of a single pixel.
        assert "one superpixel only" in told
        assert "see a larger image" in told if pixels[:, :, 0].size == 1 else "segmenter='grid'" in told
        assert segmenter != "grid" or pixels[:, :, 0].size == 1

    @pytest.mark.parametrize("segmenter", SEGMENTERS)
    def test_a_large_photograph(self, segmenter: str) -> None:
        labels = cut(resize_pixels(photo(), (2000, 1500)), segmenter=segmenter)
        assert_numbered(labels)
        assert 43 <= labels.max() + 1 <= 57

    def test_one_pixel_is_told_what_would_help(self) -> None:
        with pytest.raises(SegmentationError, match=r"1×1 pixels has one superpixel only .* see a larger image"):
            cut(np.zeros((1, 1, 3), dtype=np.float32), segmenter="grid")


class TestNumbering:
    @settings(deadline=None, max_examples=20)
    @given(numbers=st.permutations([-4, 0, 1, 2, 5, 90]))
    def test_no_figure_depends_on_the_numbers_of_superpixels(self, numbers: list[int]) -> None:
        model = planted_and([1, 4], d=6)
        first, second = (
            explain(model, model.image, "planted", segmenter=labels, sampler="exhaustive")
            for labels in (model.segments, np.array(numbers)[model.segments])
        )
        # Superpixels are numbered in the order of their labels.
        np.testing.assert_allclose(second.weights[:, np.argsort(np.argsort(numbers))], first.weights, atol=1e-12)
        assert second.r2 == pytest.approx(first.r2)
        assert second.intercept == pytest.approx(first.intercept)


class TestSlic:
    @pytest.mark.parametrize("shape", [(96, 96), (64, 128), (150, 100)])
    @pytest.mark.parametrize("segments", [20, 50, 100])
    def test_about_as_many_as_asked_for_whatever_the_shape(self, shape: tuple[int, int], segments: int) -> None:
        labels = cut(patches(*shape), segments=segments)
        assert_numbered(labels)
        assert 0.8 * segments <= labels.max() + 1 <= 1.2 * segments

    def test_superpixels_follow_colours(self) -> None:
        pixels = np.zeros((64, 64, 3), dtype=np.float32)
        pixels[:, 29:] = (1, 0, 0)
        labels = cut(pixels, segments=16)
        left, right = set(labels[:, :29].ravel()), set(labels[:, 29:].ravel())
        mixed = np.isin(labels, list(left & right)).mean()
        # The smoothing of one pixel before SLIC may leave a thin seam, no more.
        assert mixed < 0.1


class TestLabelMaps:
    @pytest.mark.parametrize(
        "labels",
        [QUARTERS, QUARTERS + 1, QUARTERS * 10, QUARTERS - 4, QUARTERS.astype(np.uint8), QUARTERS.astype(np.int16) - 2],
        ids=["as is", "from 1", "gaps", "negative", "bytes", "around 0"],
    )
    def test_numbers_become_0_to_d_in_their_own_order(self, labels: NDArray[Any]) -> None:
        np.testing.assert_array_equal(cut(PIXELS, segmenter=labels), QUARTERS)

    def test_two_halves_as_booleans(self) -> None:
        np.testing.assert_array_equal(cut(PIXELS, segmenter=QUARTERS >= 2), QUARTERS // 2)

    def test_a_map_of_the_files_size_is_carried_through_the_crop(self) -> None:
        # The model sees columns 4…28 and rows 2…20 of the file at half the resolution.
        view = View(size=(24, 36), box=(4, 2, 28, 20), shape=(9, 12))
        file_map = np.arange(24 * 36).reshape(24, 36) // 4
        labels = cut(patches(9, 12), segmenter=file_map, view=view)
        # Pixel (r, c) of the model has its centre at (2 + 2r + 1, 4 + 2c + 1) in the file.
        expected = file_map[3:21:2, 5:29:2]
        np.testing.assert_array_equal(labels, relabel(expected))

    def test_a_map_of_the_files_size_ends_at_the_border_of_the_file_under_padding(self) -> None:
        view = View(size=(4, 4), box=(-2, 0, 6, 4), shape=(4, 8))
        file_map = np.arange(16).reshape(4, 4)
        labels = cut(patches(4, 8), segmenter=file_map, view=view)
        np.testing.assert_array_equal(labels, np.pad(file_map, ((0, 0), (2, 2)), mode="edge"))

    def test_another_size_is_told_with_the_right_ones(self) -> None:
        view = View(size=(24, 36), box=(0, 0, 36, 24), shape=(12, 16))
        with pytest.raises(SegmentationError, match=r"is 5×4 pixels; .* \(36×24\) or of what the model sees \(16×12\)"):
            cut(PIXELS, segmenter=np.zeros((4, 5), dtype=int), view=view)

    def test_it_takes_no_parameters(self) -> None:
        with pytest.raises(OptionError, match="a label map has no parameter 'sigma'; leave segmenter_parameters out"):
            cut(PIXELS, segmenter=QUARTERS, parameters={"sigma": 1})

    def test_one_superpixel_is_too_few(self) -> None:
        with pytest.raises(SegmentationError, match=r"one superpixel only .* 2 to 1,000 labels"):
            cut(PIXELS, segmenter=np.zeros((12, 16), dtype=int))

    def test_a_region_that_cuts_the_only_superpixel_in_two_is_enough(self) -> None:
        labels = cut(PIXELS, segmenter=np.zeros((12, 16), dtype=int), regions=[QUARTERS >= 2])
        np.testing.assert_array_equal(labels, QUARTERS // 2)

    @pytest.mark.parametrize("side", [32, 256])
    def test_more_than_a_thousand_are_too_many(self, side: int) -> None:
        # 65,536 with a region would need a matrix of 34 GB if the split came before the count.
        labels = np.arange(side**2).reshape(side, side)
        with pytest.raises(SegmentationError, match=f"has {side**2:,} superpixels; at most 1,000"):
            cut(patches(side, side), segmenter=labels, regions=[labels % 2 == 0])

    def test_a_split_may_make_too_many(self) -> None:
        labels = np.kron(np.arange(600).reshape(20, 30), np.ones((2, 2), dtype=int))
        checker = np.indices(labels.shape).sum(axis=0) % 2 == 0
        with pytest.raises(SegmentationError, match="has 1,200 superpixels"):
            cut(patches(40, 60), segmenter=labels, regions=[checker])


def shares(labels: NDArray[np.int64], region: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.asarray(np.bincount(labels.ravel(), weights=region.ravel()) / np.bincount(labels.ravel()))


def boxes(shape: tuple[int, int]) -> st.SearchStrategy[NDArray[np.bool_]]:
    """Rectangles that hold a pixel of the image at least."""

    def paint(corners: tuple[int, int, int, int]) -> NDArray[np.bool_]:
        mask = np.zeros(shape, dtype=bool)
        mask[min(corners[:2]) : max(corners[:2]) + 1, min(corners[2:]) : max(corners[2:]) + 1] = True
        return mask

    rows, columns = st.integers(0, shape[0] - 1), st.integers(0, shape[1] - 1)
    return st.tuples(rows, rows, columns, columns).map(paint)


class TestAlign:
    def test_without_regions_nothing_changes(self) -> None:
        assert align(QUARTERS, []) is QUARTERS

    def test_a_region_that_is_a_union_already_changes_nothing(self) -> None:
        np.testing.assert_array_equal(align(QUARTERS, [QUARTERS == 2, QUARTERS >= 2]), QUARTERS)

    def test_a_superpixel_is_split_where_the_region_cuts_it(self) -> None:
        region = np.zeros((12, 16), dtype=bool)
        region[:, :4] = True
        labels = align(QUARTERS, [region])
        assert labels.max() + 1 == 6
        np.testing.assert_array_equal(np.unique(labels[region]), np.unique(labels[:, 0]))

    @settings(deadline=None, max_examples=60)
    @given(st.lists(boxes((24, 30)), min_size=1, max_size=3), st.sampled_from([4, 12, 30, 100]))
    def test_every_region_is_a_union_of_superpixels(self, regions: list[NDArray[np.bool_]], segments: int) -> None:
        labels = align(grid((24, 30), segments), regions)
        assert_numbered(labels)
        for region in regions:
            assert set(np.unique(shares(labels, region))) <= {0.0, 1.0}

    def test_slic_is_aligned_too(self) -> None:
        region = np.zeros((64, 64), dtype=bool)
        region[13:40, 17:50] = True
        labels = cut(patches(64, 64), regions=[region, ~region])
        assert set(np.unique(shares(labels, region))) == {0.0, 1.0}

    def test_a_sliver_joins_the_neighbour_of_its_side_with_the_longest_border(self) -> None:
        labels = np.kron([[0, 1, 2]], np.ones((10, 10), dtype=np.int64))
        region = np.zeros((10, 30), dtype=bool)
        region[:, :11] = True  # one column, 10 pixels, of superpixel 1
        region[:5, 11] = True
        joined = align(labels, [region])
        # 10 pixels and 5 are more than a tenth of 100, so they stay …
        assert joined.max() + 1 == 4
        region[:, 10:] = False
        region[:9, 10] = True
        # … and 9 are less: they become part of superpixel 0, and nothing of them stays behind.
        joined = align(labels, [region])
        assert joined.max() + 1 == 3
        assert (joined[region] == joined[0, 0]).all()
        assert (joined[~region] != joined[0, 0]).all()

    def test_a_sliver_alone_on_its_side_stays(self) -> None:
        region = np.zeros((12, 16), dtype=bool)
        region[5, 7] = True
        labels = align(QUARTERS, [region])
        assert labels.max() + 1 == 5
        assert (labels == labels[5, 7]).sum() == 1

    def test_slivers_that_together_are_large_enough_stay_together(self) -> None:
        # A region of 3×3 pixels where four superpixels meet: four slivers, together 9 of an average 48.
        region = np.zeros((12, 16), dtype=bool)
        region[5:8, 6:9] = True
        labels = align(QUARTERS, [region])
        assert set(np.unique(shares(labels, region))) == {0.0, 1.0}
        assert len(np.unique(labels[region])) == 1

    def test_what_has_grown_enough_is_no_sliver_any_more(self) -> None:
        # Superpixels 10, 6 and 24 columns wide, 133 pixels on average; a piece under 13.3 is a sliver.
        labels = np.repeat([[0] * 10 + [1] * 6 + [2] * 24], 10, axis=0)
        region = np.zeros((10, 40), dtype=bool)
        region[:2, 6:10] = True  # 8 pixels of superpixel 0
        region[0, 10:16] = region[1, 10] = True  # 7 of superpixel 1, with a border of 2 to those and 1 to the next
        region[:, 16:26] = True  # 100 of superpixel 2
        aligned = align(labels, [region])
        # The 7 join the 8, and the 15 are large enough: they do not go on into the 100.
        inside = [int((aligned == label).sum()) for label in np.unique(aligned[region])]
        assert sorted(inside) == [15, 100]

    def test_a_small_superpixel_that_no_border_cuts_stays(self) -> None:
        labels = QUARTERS.copy()
        labels[0, 0] = 9
        region = np.zeros((12, 16), dtype=bool)
        region[:, 12:] = True
        aligned = align(relabel(labels), [region])
        assert (aligned == aligned[0, 0]).sum() == 1


def test_relabel_keeps_the_order() -> None:
    np.testing.assert_array_equal(relabel(np.array([[7, -3], [100, 7]])), [[1, 0], [2, 1]])
