"""Designs: what folded Hadamard blocks promise is counted, not assumed."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pytest_lime.designs import _paley, hadamard, order

ORDERS = {1: 4, 4: 4, 5: 8, 8: 8, 9: 12, 13: 20, 20: 20, 21: 24, 39: 44, 50: 60, 64: 68, 65: 68, 1000: 1020}


def signs(superpixels: int, blocks: int, seed: int = 0) -> list[NDArray[np.int64]]:
    """The masks of some blocks, as ±1."""
    drawn = itertools.islice(hadamard(superpixels, np.random.default_rng(seed)), blocks)
    return [2 * block.astype(np.int64) - 1 for block in drawn]


@pytest.mark.parametrize("order", [4, 8, 12, 20, 24, 60, 1020])
def test_paleys_matrix_is_orthogonal(order: int) -> None:
    matrix = 2 * _paley(order).astype(np.int64) - 1
    np.testing.assert_array_equal(matrix.T @ matrix, order * np.eye(order))


def test_orders() -> None:
    assert {superpixels: order(superpixels) for superpixels in ORDERS} == ORDERS


@pytest.mark.parametrize("superpixels", [1, 2, 3, 4, 13, 20, 39, 50, 300, 1000])
def test_a_block_is_a_folded_hadamard_matrix(superpixels: int) -> None:
    for block in signs(superpixels, blocks=2):
        assert len(block) == 2 * order(superpixels)
        np.testing.assert_array_equal(block[::2], -block[1::2])
        half = block[::2]
        np.testing.assert_array_equal(half.T @ half, len(half) * np.eye(superpixels))


@pytest.mark.parametrize("superpixels", [3, 13, 20])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_block_balances_products_of_up_to_three(superpixels: int, size: int) -> None:
    (block,) = signs(superpixels, blocks=1)
    for columns in itertools.combinations(range(superpixels), size):
        assert block[:, columns].prod(axis=1).sum() == 0


def test_no_product_of_three_coincides_with_a_superpixel_and_blocks_differ() -> None:
    first, second = (
        np.array([block[:, columns].prod(axis=1).mean() for columns in itertools.combinations(range(13), 4)])
        for block in signs(13, blocks=2)
    )
    assert 0 < np.abs(first).max() < 1
    # Drawn anew: what correlates in one block says nothing of the next; five standard errors of 715 products.
    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(len(first))


def test_each_mask_by_itself_is_uniform() -> None:
    # 16 masks of four superpixels, over seeds; five standard errors of a count of 4000/16.
    firsts = [next(hadamard(4, np.random.default_rng(seed)))[0] for seed in range(4000)]
    counts = np.bincount(np.array(firsts) @ [1, 2, 4, 8], minlength=16)
    assert np.abs(counts - 250).max() < 5 * np.sqrt(250)


@settings(deadline=None, max_examples=30)
@given(superpixels=st.integers(1, 1100), seed=st.integers(0, 2**40))
def test_any_number_of_superpixels(superpixels: int, seed: int) -> None:
    block = next(hadamard(superpixels, np.random.default_rng(seed)))
    assert block.dtype == np.uint8
    assert block.shape == (2 * order(superpixels), superpixels)
    np.testing.assert_array_equal(block[::2] + block[1::2], 1)
    np.testing.assert_array_equal(block, next(hadamard(superpixels, np.random.default_rng(seed))))
