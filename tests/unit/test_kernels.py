"""Distances against copies that are really made, kernels against known values, and what functions may return."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pytest_lime import OptionError
from pytest_lime.kernels import (
    cosine_distance,
    exponential,
    pixel_cosine_distance,
    pixel_euclidean_distance,
    sample_weights,
)

Masks = NDArray[np.uint8]
Array = NDArray[np.float64]
SIZES = [(2, 3, 8, 9), (7, 1, 12, 5), (30, 3, 20, 31)]


def scene(d: int, channels: int, height: int, width: int) -> tuple[Array, Array, NDArray[np.int64]]:
    """An image and a fill as a network receives them, of either sign, and superpixels in no order."""
    rng = np.random.default_rng(d)
    segments = rng.permutation(np.arange(height * width) % d).reshape(height, width)
    return rng.normal(size=(channels, height, width)), rng.normal(size=(channels, height, width)), segments


def copies(masks: Masks, image: Array, fill: Array, segments: NDArray[np.int64]) -> Array:
    """The masked copies, flattened."""
    return np.where(masks[:, None, segments] != 0, image, fill).reshape(len(masks), -1)


def weights_of(masks: Masks, **options: Any) -> Array:
    blank = np.zeros((3, 4, masks.shape[1]))
    given = {"distance": "cosine", "kernel": "exponential", "width": 0.25, "image": blank, "fill": blank}
    segments = np.tile(np.arange(masks.shape[1]), (4, 1))
    return sample_weights(masks, **{**given, "segments": segments, **options})


def some_masks(n: int = 40, d: int = 6) -> Masks:
    return np.random.default_rng(n).integers(0, 2, (n, d), dtype=np.uint8)


class TestCosineOfMasks:
    def test_known_distances(self) -> None:
        masks = np.array([[1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 0]], dtype=np.uint8)
        np.testing.assert_allclose(cosine_distance(masks), [0, 0.5, 1, 1 - np.sqrt(0.75)], atol=1e-15)

    def test_many_superpixels_do_not_overflow_a_byte(self) -> None:
        masks = np.ones((1, 1000), dtype=np.uint8)
        masks[0, :500] = 0
        np.testing.assert_allclose(cosine_distance(masks), 1 - np.sqrt(0.5), atol=1e-15)


class TestDistancesOfPixels:
    @pytest.mark.parametrize("size", SIZES)
    def test_cosine_is_that_of_copies_that_are_made(self, size: tuple[int, int, int, int]) -> None:
        image, fill, segments = scene(*size)
        masks = some_masks(d=size[0])
        made = copies(masks, image, fill, segments)
        expected = 1 - made @ image.ravel() / np.linalg.norm(made, axis=1) / np.linalg.norm(image)
        np.testing.assert_allclose(pixel_cosine_distance(masks, image, fill, segments), expected, atol=1e-12)

    @pytest.mark.parametrize("size", SIZES)
    def test_euclidean_is_that_of_copies_that_are_made(self, size: tuple[int, int, int, int]) -> None:
        image, fill, segments = scene(*size)
        masks = some_masks(d=size[0])
        expected = np.linalg.norm(copies(masks, image, fill, segments) - image.ravel(), axis=1)
        np.testing.assert_allclose(pixel_euclidean_distance(masks, image, fill, segments), expected, rtol=1e-12)

    @pytest.mark.parametrize("between", [pixel_cosine_distance, pixel_euclidean_distance])
    def test_the_image_is_at_no_distance_from_itself(self, between: Any) -> None:
        image, fill, segments = scene(*SIZES[2])
        masks = np.ones((1, SIZES[2][0]), dtype=np.uint8)
        # 1 − cos loses half of the digits of an angle, but not of itself.
        assert between(masks, image, fill, segments)[0] == pytest.approx(0, abs=1e-15)

    @pytest.mark.parametrize("rounding", [0.0, 1e-8])
    def test_a_black_copy_has_no_direction(self, rounding: float) -> None:
        # What a mean of float32 leaves of the fill must not give the copy one.
        image, _, segments = scene(*SIZES[0])
        fill = np.full_like(image, rounding)
        masks = np.array([[0, 0], [1, 1]], dtype=np.uint8)
        np.testing.assert_allclose(pixel_cosine_distance(masks, image, fill, segments), [1, 0], atol=1e-15)

    def test_a_black_image_is_far_from_all_and_nothing_is_divided_by_0(self) -> None:
        _, fill, segments = scene(*SIZES[0])
        masks = some_masks(d=2)
        assert (pixel_cosine_distance(masks, np.zeros_like(fill), fill, segments) == 1).all()

    def test_an_image_turned_round_is_at_distance_2(self) -> None:
        image, _, segments = scene(*SIZES[0])
        masks = np.zeros((1, 2), dtype=np.uint8)
        assert pixel_cosine_distance(masks, image, -image, segments)[0] == pytest.approx(2, abs=1e-12)

    def test_pixels_of_a_byte_do_not_overflow(self) -> None:
        segments = np.array([[0, 1]])
        image, fill = np.full((3, 1, 2), 200, dtype=np.uint8), np.full((3, 1, 2), 255, dtype=np.uint8)
        masks = np.array([[0, 1]], dtype=np.uint8)
        assert pixel_euclidean_distance(masks, image, fill, segments)[0] == pytest.approx(55 * np.sqrt(3), rel=1e-12)
        # Three channels at 255 beside three at 200, against six at 200.
        cosine = (255 + 200) / np.hypot(255, 200) / np.sqrt(2)
        assert pixel_cosine_distance(masks, image, fill, segments)[0] == pytest.approx(1 - cosine, abs=1e-12)


class TestExponential:
    def test_known_weights(self) -> None:
        distance = np.array([0.0, 0.25, 0.5, 1.0])
        np.testing.assert_allclose(exponential(distance, 0.25), np.exp([0, -0.5, -2, -8]), rtol=1e-12)

    def test_it_is_the_root_that_lime_takes(self) -> None:
        distance = np.linspace(0, 3, 50)
        np.testing.assert_allclose(exponential(distance, 0.7), np.sqrt(np.exp(-(distance**2) / 0.7**2)), rtol=1e-12)


class TestSampleWeights:
    @pytest.mark.parametrize("width", [0.1, 0.25, 3.0])
    def test_by_masks(self, width: float) -> None:
        masks = some_masks()
        expected = np.exp(-((1 - np.sqrt(masks.mean(axis=1))) ** 2) / (2 * width**2))
        np.testing.assert_allclose(weights_of(masks, width=width), expected, rtol=1e-12)

    @pytest.mark.parametrize(
        ("distance", "between"),
        [("pixel_cosine", pixel_cosine_distance), ("pixel_euclidean", pixel_euclidean_distance)],
    )
    def test_by_pixels(self, distance: str, between: Any) -> None:
        image, fill, segments = scene(*SIZES[1])
        masks = some_masks(d=7)
        found = weights_of(masks, distance=distance, width=9.0, image=image, fill=fill, segments=segments)
        np.testing.assert_allclose(found, exponential(between(masks, image, fill, segments), 9.0), rtol=1e-12)

    def test_a_distance_of_the_users_own(self) -> None:
        masks = some_masks()
        hidden = weights_of(masks, distance=lambda masks: (masks == 0).sum(axis=1), width=2.0)
        np.testing.assert_allclose(hidden, exponential((6.0 - masks.sum(axis=1)), 2.0), rtol=1e-12)

    def test_a_kernel_of_the_users_own_ignores_the_width(self) -> None:
        masks = some_masks()
        triangle = weights_of(masks, kernel=lambda distances: (1 - distances).tolist(), width=1e-9)
        np.testing.assert_allclose(triangle, 1 - cosine_distance(masks), rtol=1e-12)

    def test_functions_cannot_change_what_they_are_given(self) -> None:
        masks = some_masks()
        kept = masks.copy()

        def distance(given: Masks) -> Array:
            given[:] = 0
            return np.ones(len(given))

        def kernel(distances: Array) -> Array:
            distances[:] = np.nan
            return np.ones(len(distances))

        assert (weights_of(masks, distance=distance, kernel=kernel) == 1).all()
        np.testing.assert_array_equal(masks, kept)

    @pytest.mark.parametrize(
        ("returned", "told"),
        [
            (np.ones(39), r"returned an array of shape \(39,\); it must return 40 finite"),
            (np.ones((40, 1)), r"returned an array of shape \(40, 1\); it must return 40 finite"),
            (1.0, r"returned an array of shape \(\)"),
            (None, r"returned None; it must return 40 finite"),
            ("far", r"returned 'far'; it must return 40 finite"),
            (["1"] * 40, r"returned \['1', .*; it must return 40 finite"),
            ([10**400] * 40, r"returned \[1000.*; it must return 40 finite"),
            ([[1.0], [1.0, 2.0]], r"returned \[\[1\.0\], \[1\.0, 2\.0\]\]; it must return 40 finite"),
            (np.ones(40) + 1j, r"returned array\(\[1\.\+1\.j, .*; it must return 40 finite"),
            (torch.ones(40, requires_grad=True), r"returned tensor\(.*; it must return 40 finite"),
            ([1.0] * 39 + [np.nan], r"returned nan for sample 39 \(1 such values in all\)"),
            ([np.inf] * 2 + [1.0] * 38, r"returned inf for sample 0 \(2 such values in all\)"),
            ([1.0] * 5 + [-0.25] * 35, r"returned -0\.25 for sample 5 \(35 such values in all\)"),
        ],
    )
    @pytest.mark.parametrize("option", ["distance", "kernel"])
    def test_a_function_that_returns_something_else_is_named(self, option: str, returned: Any, told: str) -> None:
        def my_own(given: Any) -> Any:
            return returned

        with pytest.raises(OptionError, match=rf"^{option}=.*my_own {told}"):
            weights_of(some_masks(), **{option: my_own})

    @pytest.mark.parametrize(
        "returned", [torch.ones(40), [1] * 40, np.ones(40, dtype=bool), np.ones(40, dtype=np.float16)]
    )
    @pytest.mark.parametrize("option", ["distance", "kernel"])
    def test_real_numbers_of_any_kind_are_taken(self, option: str, returned: Any) -> None:
        found = weights_of(some_masks(), **{option: lambda given: returned})
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, found[0])

    @pytest.mark.parametrize("scale", [1e308, 1e200, 1e-200, 1e-300, 1e-310])
    def test_weights_whose_squares_are_no_numbers_become_shares_of_the_largest(self, scale: float) -> None:
        masks = some_masks()
        falling = 1 - cosine_distance(masks) / 2
        found = weights_of(masks, kernel=lambda distances: scale * falling)
        # A subnormal number has few digits.
        np.testing.assert_allclose(found, falling / falling.max(), rtol=1e-9)

    @pytest.mark.parametrize("scale", [1e100, 1e9, 1.0, 1e-9, 2e-100])
    def test_other_weights_stay_as_they_are(self, scale: float) -> None:
        expected = np.linspace(0, scale, 40)
        np.testing.assert_array_equal(weights_of(some_masks(), kernel=lambda distances: expected), expected)

    def test_distances_beyond_all_squares_have_weights(self) -> None:
        masks = some_masks()
        hidden = 1 - masks.mean(axis=1)
        found = weights_of(masks, distance=lambda masks: 1e308 * hidden, width=1e308)
        np.testing.assert_allclose(found, np.exp(-(hidden**2) / 2), rtol=1e-12)

    @pytest.mark.parametrize("options", [{"width": 1e-300}, {"distance": lambda masks: np.full(len(masks), 1e308)}])
    def test_distances_of_too_many_widths_have_none(self, options: dict[str, Any]) -> None:
        with pytest.raises(OptionError, match="kernel_width is too small"):
            weights_of(some_masks(), **options)

    def test_a_kernel_that_weighs_nothing_is_named(self) -> None:
        with pytest.raises(OptionError, match=r"^kernel=.*<lambda> returned only 0 for distances from"):
            weights_of(some_masks(), kernel=lambda distances: distances * 0)

    def test_a_width_that_leaves_no_sample_is_told_with_one_that_does(self) -> None:
        masks = some_masks()
        with pytest.raises(OptionError, match="kernel_width is too small: no sample of 6 superpixels") as caught:
            weights_of(masks, width=1e-4)
        wide_enough = float(str(caught.value).rpartition("such as ")[2].rstrip("."))
        assert np.median(weights_of(masks, width=wide_enough)) > 0.5

    def test_the_image_alone_is_no_sample(self) -> None:
        masks = some_masks()
        masks[0] = 1
        with pytest.raises(OptionError, match="kernel_width is too small"):
            weights_of(masks, width=1e-4)

    def test_the_distance_between_pixels_wants_a_width_of_its_own_scale(self) -> None:
        image, fill, segments = scene(30, 3, 60, 70)
        options = {"distance": "pixel_euclidean", "image": image, "fill": fill, "segments": segments}
        masks = some_masks(d=30)
        with pytest.raises(
            OptionError, match=r"at 0\.25, since their distances are [0-9.]+ to [0-9.]+; choose a larger"
        ):
            weights_of(masks, **options)
        assert weights_of(masks, **options, width=100.0).max() > 0.1

    def test_masks_that_hide_nothing_are_no_fault_of_the_width(self) -> None:
        assert (weights_of(np.ones((5, 4), dtype=np.uint8), width=1e-6) == 1).all()
