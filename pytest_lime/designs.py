"""Designs: masks that are balanced against each other, so that fewer of them say as much."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_lime.errors import OptionError

__all__ = ["kerdock"]

Masks = NDArray[np.uint8]
Integers = NDArray[np.int64]
# An irreducible polynomial over GF(2) for each odd degree, its coefficients as bits.
IRREDUCIBLE = {
    1: 0b11,
    3: 0b1011,
    5: 0b100101,
    7: 0b10000011,
    9: 0b1000010001,
    11: 0b100000000101,
    13: 0b10000000011011,
    15: 0b1000000000000011,
}
MOST_COLUMNS = 2**16
# Rows that are made at once: what is held does not grow with the block.
ROWS = 512


def kerdock(superpixels: int, rng: np.random.Generator) -> Iterator[Masks]:
    """Yield pairs of complementary masks without end: words of a Kerdock code, in balanced blocks.

    With 2^m ≥ d the smallest such power, each block is a folded Hadamard matrix: 2^m masks, every
    one followed by its complement, in which each product of up to three different superpixels (as ±1)
    is balanced exactly. Between all pairs of superpixels, and between a superpixel and the interaction of
    any two, there is thus no chance correlation, which leaves the odd interactions, of three and more.
    In a single block some of these coincide with a superpixel; blocks differ by quadratic forms
    that turn the sign of such coincidences, and over 2^(m−1) blocks (m even; 2^m for m odd) they cancel:
    all blocks are an orthogonal array of strength 5, balanced in every product of up to five. Then the next
    array begins, drawn anew.

    Which superpixel is which column, the signs of columns, the order of blocks and that of rows are drawn
    at random. Hence every mask by itself is uniform on {0, 1}^d, and any part of the stream is free of bias.

    Parameters
    ----------
    superpixels : int
        d, from 1 to 65,536.
    rng : numpy.random.Generator

    Yields
    ------
    An even number × d array of uint8; 1 shows a superpixel. Masks 2i and 2i+1 are complements.

    Raises
    ------
    OptionError
        There are more superpixels than columns.

    Notes
    -----
    A. M. Kerdock, A class of low-rate nonlinear binary codes, Information and Control 20 (1972); the forms
    as in F. J. MacWilliams and N. J. A. Sloane, The Theory of Error-Correcting Codes (1977), chapter 15, of
    which an odd m takes the half of the columns without the additional coordinate. As orthogonal arrays:
    A. S. Hedayat, N. J. A. Sloane and J. Stufken, Orthogonal Arrays (1999), chapter 5.

    >>> masks = next(kerdock(4, np.random.default_rng(0)))
    >>> signs = 2 * masks.astype(int) - 1
    >>> (signs.T @ signs).tolist()
    [[8, 0, 0, 0], [0, 8, 0, 0], [0, 0, 8, 0], [0, 0, 0, 8]]
    """
    if superpixels > MOST_COLUMNS:
        raise OptionError(
            f"sampler='kerdock' has columns for {MOST_COLUMNS} superpixels and the image has {superpixels}: lower "
            "segments, or choose sampler='antithetic'."
        )
    return _arrays(superpixels, rng)


def _arrays(superpixels: int, rng: np.random.Generator) -> Iterator[Masks]:
    order = max(1, (superpixels - 1).bit_length())
    degree = order - 1 + order % 2
    while True:
        columns = rng.permutation(2**order)[:superpixels]
        signs = rng.integers(0, 2, superpixels)
        for leader in rng.permutation(2**degree):
            turned = signs ^ _quadratic(int(leader), columns, degree)
            for rows in np.array_split(rng.permutation(2**order), -(-(2**order) // ROWS)):
                # The linear forms ⟨row, column⟩ over GF(2) are a Hadamard matrix of Sylvester's type.
                half = _parity(rows[:, None] & columns) ^ turned
                yield np.stack([half, 1 - half], axis=1).reshape(-1, superpixels).astype(np.uint8)


def _quadratic(leader: int, columns: Integers, degree: int) -> Integers:
    """Return the quadratic form of block `leader` at the columns (x, w), x in GF(2^degree) and w a bit.

    Q(x, w) = Σ_j tr((ax)^(2^j + 1)) + w·tr(ax), j = 1 … (degree − 1)/2. The differences between any two of
    these forms have full rank (less one on w = 0 alone), which is what makes the array's strength.
    """
    x, w = columns & (2**degree - 1), columns >> degree
    scaled = _multiply(x, np.full_like(x, leader), degree)
    form = w & _trace(scaled, degree)
    conjugate = scaled
    for _ in range((degree - 1) // 2):
        conjugate = _multiply(conjugate, conjugate, degree)
        form = form ^ _trace(_multiply(conjugate, scaled, degree), degree)
    return form


def _trace(x: Integers, degree: int) -> Integers:
    """Return the sum of the conjugates of elements of GF(2^degree): 0 or 1."""
    total = np.zeros_like(x)
    for _ in range(degree):
        total ^= x
        x = _multiply(x, x, degree)
    return total


def _multiply(a: Integers, b: Integers, degree: int) -> Integers:
    """Multiply elements of GF(2^degree), polynomials over GF(2) whose coefficients are the bits."""
    product = np.zeros_like(a)
    for bit in range(degree):
        product ^= (a << bit) * (b >> bit & 1)
    for bit in range(2 * degree - 2, degree - 1, -1):
        product ^= (IRREDUCIBLE[degree] << (bit - degree)) * (product >> bit & 1)
    return product


def _parity(words: NDArray[Any]) -> NDArray[Any]:
    """Return whether each word of up to 16 bits has an odd number of them set: 0 or 1."""
    for shift in (8, 4, 2, 1):
        words = words ^ (words >> shift)
    return words & 1
