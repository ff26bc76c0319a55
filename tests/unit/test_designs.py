"""Designs: what a Kerdock code promises is counted, not assumed."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pytest_lime import OptionError
from pytest_lime.designs import IRREDUCIBLE, MOST_COLUMNS, ROWS, _multiply, _parity, kerdock


def columns_of(superpixels: int) -> int:
    """The smallest power of 2 from 2 on that has a column for each superpixel."""
    columns = 2
    while columns < superpixels:
        columns *= 2
    return columns


def blocks_of(columns: int) -> int:
    """How many blocks make one array: half as many as columns for an even power of 2, else as many."""
    power = columns.bit_length() - 1
    return columns // 2 if power % 2 == 0 else columns


def signs(superpixels: int, blocks: int, seed: int = 0) -> NDArray[np.float64]:
    """The masks of some whole blocks, as ±1."""
    wanted = blocks * 2 * columns_of(superpixels)
    portions, have = [], 0
    for portion in kerdock(superpixels, np.random.default_rng(seed)):
        portions.append(portion)
        have += len(portion)
        if have >= wanted:
            break
    # Portions end where blocks end.
    assert have == wanted
    return 2 * np.concatenate(portions).astype(np.float64) - 1


def means_of_products(masks: NDArray[np.float64], size: int, most: int = 4000) -> NDArray[np.float64]:
    """The means of products of `size` different columns: of all choices, or of `most` of them drawn at random."""
    superpixels = masks.shape[1]
    rng = np.random.default_rng(1)
    chosen = list(itertools.islice(itertools.combinations(range(superpixels), size), most + 1))
    if len(chosen) > most:
        chosen = [tuple(rng.permutation(superpixels)[:size]) for _ in range(most)]
    return np.array([masks[:, list(columns)].prod(axis=1).mean() for columns in chosen])


@pytest.mark.parametrize("superpixels", [1, 2, 3, 4, 13, 16, 17, 39, 64, 65, 300, 1000])
def test_a_block_is_a_folded_hadamard_matrix(superpixels: int) -> None:
    for block in np.split(signs(superpixels, blocks=2), 2):
        assert len(block) == 2 * columns_of(superpixels)
        np.testing.assert_array_equal(block[::2], -block[1::2])
        half = block[::2]
        np.testing.assert_array_equal(half.T @ half, len(half) * np.eye(superpixels))


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("superpixels", [3, 13, 39, 65])
def test_a_block_balances_products_of_up_to_three(superpixels: int, size: int) -> None:
    assert (means_of_products(signs(superpixels, blocks=1), size) == 0).all()


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("superpixels", [5, 8, 13, 16, 20, 32, 50, 64])
def test_an_array_balances_products_of_up_to_five(superpixels: int, size: int) -> None:
    array = signs(superpixels, blocks=blocks_of(columns_of(superpixels)))
    assert (means_of_products(array, size, most=500) == 0).all()


@pytest.mark.parametrize(("superpixels", "length"), [(13, 256), (20, 2048), (50, 4096)])
def test_how_many_masks_an_array_has(superpixels: int, length: int) -> None:
    columns = columns_of(superpixels)
    assert blocks_of(columns) * 2 * columns == length


def test_four_superpixels_are_all_masks_once() -> None:
    masks = signs(4, blocks=2)
    assert len({tuple(mask) for mask in masks}) == len(masks) == 16


@pytest.mark.parametrize(("superpixels", "blocks", "bound"), [(50, 2, 0.52), (50, 4, 0.25), (50, 8, 0.11)])
def test_blocks_cancel_what_coincides_in_each(superpixels: int, blocks: int, bound: float) -> None:
    # In a block one product of four in about 61 is ±1 and all others are 0. Over k of the 32 blocks, the mean square
    # of those is (1/k)(1 − (k − 1)/31): less than the 1/k of blocks that know nothing of each other.
    masks = signs(superpixels, blocks)
    of_each = np.array([means_of_products(block, 4) for block in np.split(masks, blocks)])
    coincide = of_each[0] != 0
    assert set(np.unique(of_each)) == {-1, 0, 1}
    assert ((of_each != 0) == coincide).all()
    assert coincide.mean() == pytest.approx(1 / 61, rel=0.5)
    square = np.mean(of_each.mean(axis=0)[coincide] ** 2)
    assert square == pytest.approx((1 - (blocks - 1) / 31) / blocks, rel=0.5)
    assert square < 2 * bound


def test_the_next_array_is_drawn_anew() -> None:
    first, second = np.split(signs(13, blocks=16), 2)
    assert not (first == second).all()
    assert (means_of_products(second, 4) == 0).all()


def test_each_mask_by_itself_is_uniform() -> None:
    # 16 masks of four superpixels, over seeds; five standard errors of a count of 4000/16.
    firsts = [next(kerdock(4, np.random.default_rng(seed)))[0] for seed in range(4000)]
    counts = np.bincount(np.array(firsts) @ [1, 2, 4, 8], minlength=16)
    assert np.abs(counts - 250).max() < 5 * np.sqrt(250)


@settings(deadline=None, max_examples=30)
@given(superpixels=st.integers(1, 1100), seed=st.integers(0, 2**40))
def test_any_number_of_superpixels(superpixels: int, seed: int) -> None:
    portion = next(kerdock(superpixels, np.random.default_rng(seed)))
    assert portion.dtype == np.uint8
    assert portion.shape == (min(2 * columns_of(superpixels), 2 * ROWS), superpixels)
    np.testing.assert_array_equal(portion[::2] + portion[1::2], 1)
    np.testing.assert_array_equal(portion, next(kerdock(superpixels, np.random.default_rng(seed))))


def test_more_superpixels_than_columns() -> None:
    with pytest.raises(OptionError, match="65536 superpixels and the image has 65537: lower segments"):
        kerdock(MOST_COLUMNS + 1, np.random.default_rng(0))


@pytest.mark.parametrize("degree", IRREDUCIBLE)
def test_the_polynomials_make_fields(degree: int) -> None:
    # In a field, and only there, x^(2^degree − 1) = 1 for every x but 0.
    x = np.arange(1, 2**degree)
    power = np.ones_like(x)
    conjugate = x
    for _ in range(degree):
        power = _multiply(power, conjugate, degree)
        conjugate = _multiply(conjugate, conjugate, degree)
    np.testing.assert_array_equal(power, 1)
    np.testing.assert_array_equal(conjugate, x)


def test_parity() -> None:
    words = np.arange(2**16)
    expected = [bin(word).count("1") % 2 for word in words]
    np.testing.assert_array_equal(_parity(words), expected)
