"""What shows through where a superpixel is hidden, and which superpixels it leaves as they are."""

from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from pytest_lime import OptionError
from pytest_lime.fills import fill_image, looks_unchanged
from pytest_lime.options import FILLS
from pytest_lime.segmentation import grid, relabel

SEGMENTS = np.array([[0, 0, 1], [2, 1, 1]])


def noise(channels: int, height: int, width: int) -> NDArray[np.float32]:
    return np.random.default_rng(3).random((channels, height, width), dtype=np.float32)


@pytest.mark.parametrize("channels", [1, 3])
class TestMeans:
    def test_the_mean_of_each_superpixel(self, channels: int) -> None:
        pixels = np.arange(6 * channels, dtype=np.float32).reshape(channels, 2, 3) / np.float32(32)
        filled = fill_image(pixels, SEGMENTS, "segment_mean")
        for plane, result in zip(pixels, filled, strict=True):
            a, b, c = (plane[0, 0] + plane[0, 1]) / 2, (plane[0, 2] + plane[1, 1] + plane[1, 2]) / 3, plane[1, 0]
            np.testing.assert_allclose(result, [[a, a, b], [c, b, b]], rtol=1e-6)

    def test_the_mean_of_the_image(self, channels: int) -> None:
        pixels = noise(channels, 2, 3)
        for plane, result in zip(pixels, fill_image(pixels, SEGMENTS, "image_mean"), strict=True):
            np.testing.assert_allclose(result, plane.mean(), rtol=1e-6)

    def test_a_filled_picture_has_the_same_segment_means(self, channels: int) -> None:
        # Filling twice changes nothing more: the mean of a mean is itself.
        once = fill_image(noise(channels, 2, 3), SEGMENTS, "segment_mean")
        np.testing.assert_allclose(fill_image(once, SEGMENTS, "segment_mean"), once, rtol=1e-6)


class TestColours:
    @pytest.mark.parametrize(
        ("channels", "colour", "expected"),
        [
            (3, (0.25, 0.5, 1.0), (0.25, 0.5, 1.0)),
            (3, (0.5,), (0.5, 0.5, 0.5)),
            (1, (0.5,), (0.5,)),
            (1, (1.0, 0.0, 0.0), (0.299,)),
            (1, (0.0, 1.0, 0.0), (0.587,)),
            (1, (0.0, 0.0, 1.0), (0.114,)),
            (1, (1.0, 1.0, 1.0), (1.0,)),
        ],
    )
    def test_one_colour_everywhere(self, channels: int, colour: tuple[float, ...], expected: tuple[float, ...]) -> None:
        filled = fill_image(noise(channels, 2, 3), SEGMENTS, colour)
        assert filled.shape == (channels, 2, 3)
        np.testing.assert_allclose(filled[:, 1, 2], expected, rtol=1e-6)
        assert (filled == filled[:, :1, :1]).all()

    @pytest.mark.parametrize(
        ("channels", "zero", "expected"),
        [
            (3, (0.485, 0.456, 0.406), (0.485, 0.456, 0.406)),
            (3, np.array([0.5]), (0.5, 0.5, 0.5)),
            (3, 0.0, (0.0, 0.0, 0.0)),
            (1, 0.25, (0.25,)),
            # A model whose normalisation is odd has its zero outside what a picture can hold.
            (3, (-0.5, 0.0, 1.5), (-0.5, 0.0, 1.5)),
        ],
    )
    def test_what_the_model_takes_for_zero(self, channels: int, zero: Any, expected: tuple[float, ...]) -> None:
        filled = fill_image(noise(channels, 2, 3), SEGMENTS, "input_zero", zero=zero)
        np.testing.assert_array_equal(filled, np.array(expected, dtype=np.float32).repeat(6).reshape(channels, 2, 3))


class TestBlur:
    @pytest.mark.parametrize("shape", [(3, 40, 60), (1, 60, 20)])
    def test_it_is_a_gaussian_of_a_tenth_of_the_longest_side(self, shape: tuple[int, int, int]) -> None:
        pixels = noise(*shape)
        expected = [gaussian_filter(plane.astype(np.float64), 6.0, mode="nearest") for plane in pixels]
        np.testing.assert_allclose(fill_image(pixels, np.zeros(shape[1:], dtype=int), "blur"), expected, atol=1e-6)

    def test_a_large_picture_is_blurred_alike_at_a_smaller_size(self) -> None:
        pixels = np.repeat(np.repeat(noise(1, 8, 6), 100, axis=1), 100, axis=2)
        expected = gaussian_filter(pixels[0].astype(np.float64), 80.0, mode="nearest")
        filled = fill_image(pixels, np.zeros((800, 600), dtype=int), "blur")
        # Half a step of an eight-bit picture.
        np.testing.assert_allclose(filled[0], expected, atol=0.5 / 255)


class TestNoise:
    def test_it_has_the_mean_and_the_spread_of_each_channel(self) -> None:
        side = 200
        pixels = noise(3, side, side) * np.float32(0.3) + np.array([[[0.2]], [[0.35]], [[0.5]]], dtype=np.float32)
        filled = fill_image(pixels, np.zeros((side, side), dtype=int), "noise", seed=5)
        # Five standard errors over 40,000 pixels; 0.2 and 0.8 lie 4 standard deviations from black and white.
        error = 5 * pixels.std() / side
        np.testing.assert_allclose(filled.mean(axis=(1, 2)), pixels.mean(axis=(1, 2)), atol=error)
        np.testing.assert_allclose(filled.std(axis=(1, 2)), pixels.std(axis=(1, 2)), atol=error)
        assert np.abs(np.corrcoef(filled.reshape(3, -1)) - np.eye(3)).max() < 5 / side

    def test_the_seed_alone_decides(self) -> None:
        one, again, other = (fill_image(noise(3, 9, 9), np.eye(9, dtype=int), "noise", seed=seed) for seed in (1, 1, 2))
        np.testing.assert_array_equal(one, again)
        assert not np.array_equal(one, other)

    def test_black_and_white_are_the_limits(self) -> None:
        pixels = np.zeros((1, 50, 50), dtype=np.float32)
        pixels[:, 25:] = 1
        filled = fill_image(pixels, np.zeros((50, 50), dtype=int), "noise")
        assert (filled.min(), filled.max()) == (0, 1)


def soften(pixels: NDArray[Any], segments: NDArray[Any], strength: float = 0.5) -> NDArray[Any]:
    """Half of the way to gray, and black where the first superpixel is; it spoils what it was given."""
    softer = pixels * strength + (1 - strength) / 2
    softer[segments == 0] = 0
    pixels[:] = 9
    segments[:] = 9
    return np.asarray(softer)


class TestFunctions:
    @pytest.mark.parametrize("channels", [1, 3])
    def test_it_is_called_with_copies_as_users_have_images(self, channels: int) -> None:
        pixels, segments = noise(channels, 2, 3), SEGMENTS.copy()
        expected = np.where(SEGMENTS == 0, 0, pixels * 0.25 + 0.375)
        filled = fill_image(pixels, segments, partial(soften, strength=0.25))
        np.testing.assert_allclose(filled, expected, rtol=1e-6)
        np.testing.assert_array_equal(pixels, noise(channels, 2, 3))
        np.testing.assert_array_equal(segments, SEGMENTS)
        assert filled.dtype == np.float32

    @pytest.mark.parametrize(
        ("channels", "returned", "expected"),
        [
            (3, 0.25, np.full((3, 2, 3), 0.25)),
            (3, 0, np.zeros((3, 2, 3))),
            (3, (0.25, 0.5, 0.75), np.repeat([0.25, 0.5, 0.75], 6).reshape(3, 2, 3)),
            (3, SEGMENTS[:, :, None] / 2, np.stack([SEGMENTS / 2] * 3)),
            (1, SEGMENTS / 2, SEGMENTS[None] / 2),
            (1, SEGMENTS[:, :, None] / 2, SEGMENTS[None] / 2),
            (1, np.full((2, 3), 1 + 1e-7), np.ones((1, 2, 3))),
        ],
    )
    def test_what_it_may_return(self, channels: int, returned: Any, expected: NDArray[Any]) -> None:
        filled = fill_image(noise(channels, 2, 3), SEGMENTS, lambda pixels, segments: returned)
        np.testing.assert_array_equal(filled, expected)

    @pytest.mark.parametrize(
        ("returned", "words"),
        [
            (None, "returned None; it must return floats in [0, 1] of the pixels' shape 2×3×3, or one colour"),
            ("black", "returned 'black'; it must"),
            ([[1], [1, 2]], "returned [[1], [1, 2]]; it must"),
            (np.zeros((3, 2, 3)), "returned an array of shape 3×2×3; it must"),
            (np.full((2, 3, 3), np.nan), "returned values from nan to nan; it must"),
            (np.array([0.5, np.inf, 0.5]), "returned values from 0.5 to inf; it must"),
            (-0.25, "returned values from -0.25 to -0.25; it must"),
            (np.full((2, 3, 3), 255, dtype=np.uint8), "or one colour; divide whole numbers in 0…255 by 255."),
        ],
    )
    def test_what_it_may_not(self, returned: Any, words: str) -> None:
        def mine(pixels: NDArray[Any], segments: NDArray[Any]) -> Any:
            return returned

        with pytest.raises(OptionError) as caught:
            fill_image(noise(3, 2, 3), SEGMENTS, mine)
        assert str(caught.value).startswith("fill: TestFunctions.")
        assert "<locals>.mine returned " in str(caught.value)
        assert words in str(caught.value)

    def test_its_own_error_is_left_as_it_is(self) -> None:
        error = KeyError("mine")

        def fails(pixels: NDArray[Any], segments: NDArray[Any]) -> Any:
            raise error

        with pytest.raises(KeyError) as caught:
            fill_image(noise(3, 2, 3), SEGMENTS, fails)
        assert caught.value is error


def inverted(pixels: NDArray[Any], segments: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(1 - pixels)


EVERY: list[Any] = [*FILLS, (0.25,), (0.25, 0.5, 1.0), inverted]


class TestAnySize:
    @pytest.mark.parametrize("fill", EVERY)
    @settings(deadline=None, max_examples=15)
    @given(
        shape=st.tuples(st.sampled_from([1, 3]), st.integers(1, 60), st.integers(1, 60)),
        flat=st.booleans(),
        seed=st.integers(0, 2**32 - 1),
    )
    def test_a_picture_of_the_same_shape_in_the_same_range(
        self, fill: Any, shape: tuple[int, int, int], flat: bool, seed: int
    ) -> None:
        pixels = np.ones(shape, dtype=np.float32) if flat else noise(*shape)
        filled = fill_image(pixels, grid(shape[1:], 9), fill, seed=seed, zero=0.5)
        assert filled.shape == shape
        assert filled.dtype == np.float32
        assert filled.flags.c_contiguous
        assert filled.min() >= 0
        assert filled.max() <= 1

    @pytest.mark.parametrize("fill", EVERY)
    def test_a_large_photograph(self, fill: Any) -> None:
        filled = fill_image(noise(3, 2000, 1500), grid((2000, 1500), 50), fill)
        assert filled.shape == (3, 2000, 1500)
        assert np.isfinite(filled).all()

    @pytest.mark.parametrize("fill", EVERY)
    @settings(deadline=None, max_examples=10)
    @given(numbers=st.permutations(range(6)))
    def test_the_numbers_of_superpixels_do_not_matter(self, fill: Any, numbers: list[int]) -> None:
        pixels, segments = noise(3, 8, 12), grid((8, 12), 6)
        again = fill_image(pixels, relabel(np.array(numbers)[segments]), fill)
        np.testing.assert_array_equal(again, fill_image(pixels, segments, fill))


class TestLooksUnchanged:
    @pytest.mark.parametrize("channels", [1, 3])
    def test_what_looks_the_same_hidden_as_shown(self, channels: int) -> None:
        segments = np.repeat(np.arange(3), 4).reshape(3, 4)
        pixels = np.zeros((channels, 3, 4), dtype=np.float32)
        pixels[:, 0] = 0.25  # flat: its own mean
        pixels[:, 1] = [0.2, 0.3, 0.2, 0.3]
        pixels[:, 2] = [0.5, 0.501, 0.5, 0.501]  # less than an 8-bit picture could show
        filled = fill_image(pixels, segments, "segment_mean")
        assert looks_unchanged(pixels, filled, segments).tolist() == [True, False, True]
        assert looks_unchanged(pixels, fill_image(pixels, segments, (0.25,)), segments).tolist() == [True, False, False]

    def test_one_channel_that_moves_is_enough(self) -> None:
        pixels = np.full((3, 2, 3), 0.5, dtype=np.float32)
        filled = pixels.copy()
        filled[2, SEGMENTS == 1] += 0.1
        assert looks_unchanged(pixels, filled, SEGMENTS).tolist() == [True, False, True]
