"""Designs: masks that are balanced against each other, so that fewer of them say as much."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["hadamard", "order"]

Masks = NDArray[np.uint8]


def hadamard(superpixels: int, rng: np.random.Generator) -> Iterator[Masks]:
    """Yield pairs of complementary masks without end, in blocks that are folded Hadamard matrices.

    A block has 2q + 2 masks, every one followed by its complement, with q the first prime from
    `superpixels` − 1 on for which Paley's matrix exists (q ≡ 3 mod 4). In each block every product of up to three
    different superpixels (as ±1) is balanced exactly: between any two superpixels, and between a superpixel
    and the interaction of any two, there is no chance correlation. Interactions of three do correlate with
    single superpixels; which with which, and in which direction, is drawn anew for every block, so that over blocks
    it averages out like the noise that intervals reckon with.

    Which superpixel is which column, the signs of columns and the order of rows are drawn at random. Hence every
    mask by itself is uniform on {0, 1}^d, and any part of the stream is free of bias.

    Parameters
    ----------
    superpixels : int
        d, at least 1.
    rng : numpy.random.Generator

    Yields
    ------
    (2q + 2)×d array of uint8; 1 shows a superpixel. Masks 2i and 2i+1 are complements.

    Notes
    -----
    R. E. A. C. Paley, On orthogonal matrices, Journal of Mathematics and Physics 12 (1933); folding: G. E. P. Box and
    K. B. Wilson, On the experimental attainment of optimum conditions, Journal of the Royal Statistical Society B 13
    (1951). Matrices whose order is a power of 2 are no substitute: in theirs, a product of three superpixels
    coincides with a fourth altogether, and an interval cannot foresee that.

    >>> masks = next(hadamard(4, np.random.default_rng(0)))
    >>> signs = 2 * masks.astype(int) - 1
    >>> (signs.T @ signs).tolist()
    [[8, 0, 0, 0], [0, 8, 0, 0], [0, 0, 8, 0], [0, 0, 0, 8]]
    """
    while True:
        yield _block(superpixels, rng)


def _block(superpixels: int, rng: np.random.Generator) -> Masks:
    matrix = _paley(order(superpixels))
    size = len(matrix)
    chosen = matrix[rng.permutation(size)][:, rng.permutation(size)[:superpixels]]
    half = chosen ^ rng.integers(0, 2, superpixels, dtype=np.uint8)
    return np.stack([half, 1 - half], axis=1).reshape(-1, superpixels)


@lru_cache(maxsize=4)
def _paley(size: int) -> Masks:
    """Return Paley's Hadamard matrix of order `size` = q + 1, with 1 for 1 and 0 for −1."""
    q = size - 1
    squares = np.zeros(q, dtype=bool)
    squares[np.arange(1, q) ** 2 % q] = True
    steps = (np.arange(q)[None, :] - np.arange(q)[:, None]) % q
    matrix = np.ones((size, size), dtype=np.uint8)
    matrix[1:, 1:] = squares[steps] & (steps > 0)
    return matrix


@lru_cache(maxsize=64)
def order(superpixels: int) -> int:
    """Return the first order from `superpixels` on that is a prime ≡ 3 mod 4, plus 1."""
    q = max(3, superpixels - 1)
    while q % 4 != 3 or any(q % divisor == 0 for divisor in range(3, int(q**0.5) + 1, 2)):
        q += 1
    return q + 1
