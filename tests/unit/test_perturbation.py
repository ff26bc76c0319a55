"""Masks, drawn in any portions, and what shows through where they hide."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pytest_lime import OptionError
from pytest_lime.perturbation import ENUMERATED, MaskStream, fill_image, looks_unchanged

SAMPLERS: list[Any] = ["antithetic", "bernoulli", "exhaustive", "given"]


def stream(sampler: str, superpixels: int, seed: int = 0) -> MaskStream:
    matrix = np.random.default_rng(9).integers(0, 2, (300, superpixels))
    return MaskStream(matrix if sampler == "given" else sampler, superpixels, seed)


class TestPortions:
    @settings(deadline=None, max_examples=40)
    @given(
        sampler=st.sampled_from(SAMPLERS),
        superpixels=st.integers(1, 15),
        portions=st.lists(st.integers(0, 900), min_size=1, max_size=6),
    )
    def test_portions_are_what_is_drawn_at_once(self, sampler: str, superpixels: int, portions: list[int]) -> None:
        in_portions = stream(sampler, superpixels)
        drawn = np.concatenate([in_portions.draw(count) for count in portions])
        np.testing.assert_array_equal(drawn, stream(sampler, superpixels).draw(sum(portions)))
        assert drawn.dtype == np.uint8
        assert set(np.unique(drawn)) <= {0, 1}

    @pytest.mark.parametrize("sampler", ["antithetic", "bernoulli"])
    def test_a_stream_without_end_gives_what_is_asked_for(self, sampler: str) -> None:
        masks = stream(sampler, 20)
        assert masks.length is None
        assert [len(masks.draw(count)) for count in (1, 0, 1023, 5000)] == [1, 0, 1023, 5000]


class TestSamplers:
    @pytest.mark.parametrize("superpixels", [ENUMERATED + 1, 50, 200])
    def test_pairs_are_complements(self, superpixels: int) -> None:
        masks = stream("antithetic", superpixels)
        assert masks.paired
        drawn = masks.draw(3000)
        np.testing.assert_array_equal(drawn[::2] + drawn[1::2], 1)

    @pytest.mark.parametrize("sampler", ["antithetic", "bernoulli"])
    def test_superpixels_are_shown_half_of_the_time_and_independently(self, sampler: str) -> None:
        superpixels, n = 20, 20_000
        drawn = stream(sampler, superpixels).draw(n).astype(float) - 0.5
        # Five standard errors of a mean of ±½ over n draws, or n/2 independent pairs.
        bound = 5 * 0.25 / np.sqrt(n / 2)
        products = drawn.T @ drawn / n
        assert np.abs(products - 0.25 * np.eye(superpixels)).max() < bound
        assert np.abs(drawn.mean(axis=0)).max() < 2 * bound

    def test_bernoulli_is_not_paired(self) -> None:
        masks = stream("bernoulli", 5)
        assert (masks.sampler, masks.paired, masks.length) == ("bernoulli", False, None)

    @pytest.mark.parametrize("superpixels", [1, 2, 5, 12])
    @pytest.mark.parametrize("sampler", ["exhaustive", "antithetic"])
    def test_few_superpixels_are_enumerated_once(self, superpixels: int, sampler: str) -> None:
        masks = stream(sampler, superpixels)
        assert (masks.sampler, masks.paired, masks.length) == ("exhaustive", False, 2**superpixels)
        drawn = masks.draw(10**6)
        expected = set(itertools.product((0, 1), repeat=superpixels))
        assert {tuple(map(int, mask)) for mask in drawn} == expected
        assert len(drawn) == len(expected)
        assert len(masks.draw(10)) == 0

    def test_from_thirteen_on_pairs_are_drawn(self) -> None:
        assert stream("antithetic", 12).sampler == "exhaustive"
        assert stream("antithetic", 13).sampler == "antithetic"

    def test_sixteen_can_be_enumerated_and_seventeen_cannot(self) -> None:
        assert stream("exhaustive", 16).length == 65536
        with pytest.raises(OptionError, match=r"2\^17 passes for 17 superpixels; it takes at most 16"):
            stream("exhaustive", 17)

    @pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float64])
    def test_given_masks_are_used_as_they_are(self, dtype: type) -> None:
        matrix = np.array([[1, 1, 1], [0, 1, 0], [0, 1, 0], [0, 0, 0]])
        masks = MaskStream(matrix.astype(dtype), 3, 0)
        assert (masks.sampler, masks.paired, masks.length) == ("given", False, 4)
        np.testing.assert_array_equal(masks.draw(3), matrix[:3])
        np.testing.assert_array_equal(masks.draw(3), matrix[3:])

    def test_given_masks_need_a_column_for_each_superpixel(self) -> None:
        with pytest.raises(OptionError, match="has 3 columns and the image 4 superpixels"):
            MaskStream(np.eye(3), 4, 0)


class TestSeeds:
    @pytest.mark.parametrize("sampler", ["antithetic", "bernoulli"])
    def test_the_same_seed_gives_the_same_masks_and_another_gives_others(self, sampler: str) -> None:
        first = stream(sampler, 30, seed=1).draw(100)
        np.testing.assert_array_equal(first, stream(sampler, 30, seed=1).draw(100))
        # Two masks of 30 agree by chance once in 2^30.
        assert not (first == stream(sampler, 30, seed=2).draw(100)).all(axis=1).any()


class TestFill:
    SEGMENTS = np.array([[0, 0, 1], [2, 1, 1]])

    @pytest.mark.parametrize("channels", [1, 3])
    def test_the_mean_of_each_superpixel(self, channels: int) -> None:
        pixels = np.arange(6 * channels, dtype=np.float32).reshape(channels, 2, 3) / np.float32(32)
        filled = fill_image(pixels, self.SEGMENTS, "segment_mean")
        for plane, result in zip(pixels, filled, strict=True):
            a, b, c = (plane[0, 0] + plane[0, 1]) / 2, (plane[0, 2] + plane[1, 1] + plane[1, 2]) / 3, plane[1, 0]
            np.testing.assert_allclose(result, [[a, a, b], [c, b, b]], rtol=1e-6)
        assert filled.dtype == np.float32

    @pytest.mark.parametrize("channels", [1, 3])
    def test_the_mean_of_the_image(self, channels: int) -> None:
        pixels = np.random.default_rng(3).random((channels, 2, 3), dtype=np.float32)
        filled = fill_image(pixels, self.SEGMENTS, "image_mean")
        assert filled.shape == pixels.shape
        for plane, result in zip(pixels, filled, strict=True):
            np.testing.assert_allclose(result, plane.mean(), rtol=1e-6)

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
    def test_colours(self, channels: int, colour: tuple[float, ...], expected: tuple[float, ...]) -> None:
        filled = fill_image(np.zeros((channels, 2, 3), dtype=np.float32), self.SEGMENTS, colour)
        assert filled.shape == (channels, 2, 3)
        np.testing.assert_allclose(filled[:, 1, 2], expected, rtol=1e-6)
        assert (filled == filled[:, :1, :1]).all()

    def test_a_filled_picture_has_the_same_segment_means(self) -> None:
        # Filling twice changes nothing more: the mean of a mean is itself.
        pixels: NDArray[np.float32] = np.random.default_rng(4).random((3, 2, 3), dtype=np.float32)
        once = fill_image(pixels, self.SEGMENTS, "segment_mean")
        np.testing.assert_allclose(fill_image(once, self.SEGMENTS, "segment_mean"), once, rtol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_what_looks_the_same_hidden_as_shown(channels: int) -> None:
    segments = np.repeat(np.arange(3), 4).reshape(3, 4)
    pixels = np.zeros((channels, 3, 4), dtype=np.float32)
    pixels[:, 0] = 0.25  # flat: its own mean
    pixels[:, 1] = [0.2, 0.3, 0.2, 0.3]
    pixels[:, 2] = [0.5, 0.501, 0.5, 0.501]  # less than an 8-bit picture could show
    filled = fill_image(pixels, segments, "segment_mean")
    assert looks_unchanged(pixels, filled, segments).tolist() == [True, False, True]
    assert looks_unchanged(pixels, fill_image(pixels, segments, (0.25,)), segments).tolist() == [True, False, False]
