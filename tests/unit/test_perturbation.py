"""Masks, drawn in any portions."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_lime import OptionError
from pytest_lime.perturbation import ENUMERATED, MaskStream

SAMPLERS: list[Any] = ["hadamard", "antithetic", "bernoulli", "exhaustive", "given"]


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

    @pytest.mark.parametrize("sampler", ["hadamard", "antithetic", "bernoulli"])
    def test_a_stream_without_end_gives_what_is_asked_for(self, sampler: str) -> None:
        masks = stream(sampler, 20)
        assert masks.length is None
        assert [len(masks.draw(count)) for count in (1, 0, 1023, 5000)] == [1, 0, 1023, 5000]


class TestSamplers:
    @settings(deadline=None, max_examples=20)
    @given(superpixels=st.integers(ENUMERATED + 1, 1000), portions=st.lists(st.integers(0, 1500), max_size=4))
    def test_portions_of_a_design_of_any_width(self, superpixels: int, portions: list[int]) -> None:
        in_portions = stream("hadamard", superpixels)
        drawn = np.concatenate([in_portions.draw(count) for count in [*portions, 1]])
        np.testing.assert_array_equal(drawn, stream("hadamard", superpixels).draw(sum(portions) + 1))

    @pytest.mark.parametrize("superpixels", [ENUMERATED + 1, 50, 200])
    @pytest.mark.parametrize("sampler", ["hadamard", "antithetic"])
    def test_pairs_are_complements(self, superpixels: int, sampler: str) -> None:
        masks = stream(sampler, superpixels)
        assert masks.paired
        drawn = masks.draw(3000)
        np.testing.assert_array_equal(drawn[::2] + drawn[1::2], 1)

    @pytest.mark.parametrize("sampler", ["hadamard", "antithetic", "bernoulli"])
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
    @pytest.mark.parametrize("sampler", ["exhaustive", "antithetic", "hadamard"])
    def test_few_superpixels_are_enumerated_once(self, superpixels: int, sampler: str) -> None:
        masks = stream(sampler, superpixels)
        assert (masks.sampler, masks.paired, masks.length) == ("exhaustive", False, 2**superpixels)
        drawn = masks.draw(10**6)
        expected = set(itertools.product((0, 1), repeat=superpixels))
        assert {tuple(map(int, mask)) for mask in drawn} == expected
        assert len(drawn) == len(expected)
        assert len(masks.draw(10)) == 0

    @pytest.mark.parametrize("sampler", ["hadamard", "antithetic"])
    def test_from_thirteen_on_pairs_are_drawn(self, sampler: str) -> None:
        assert stream(sampler, 12).sampler == "exhaustive"
        assert stream(sampler, 13).sampler == sampler

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
    @pytest.mark.parametrize("sampler", ["hadamard", "antithetic", "bernoulli"])
    def test_the_same_seed_gives_the_same_masks_and_another_gives_others(self, sampler: str) -> None:
        first = stream(sampler, 30, seed=1).draw(100)
        np.testing.assert_array_equal(first, stream(sampler, 30, seed=1).draw(100))
        # Two masks of 30 agree by chance once in 2^30.
        assert not (first == stream(sampler, 30, seed=2).draw(100)).all(axis=1).any()
