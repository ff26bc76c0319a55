"""Threads of linear algebra: they wait for their next product on the cores that the passes need."""

from __future__ import annotations

import contextlib
import functools
import threading
import warnings
from collections.abc import Iterator

from threadpoolctl import ThreadpoolController

__all__ = ["libraries_with_threads", "one_thread", "undisturbed"]

_turn = threading.RLock()
# Seconds. Looks take milliseconds; who takes longer waits for something else.
LONGEST = 1.0


def libraries_with_threads() -> ThreadpoolController:
    """Return the libraries with threads of their own that are loaded by now; to find them takes milliseconds."""
    with warnings.catch_warnings():
        # Of libraries that do not suit each other, such as two of OpenMP, which no test of ours has chosen.
        warnings.simplefilter("ignore", RuntimeWarning)
        return ThreadpoolController()


@functools.cache
def _pools() -> ThreadpoolController:
    """Return the libraries that NumPy and SciPy compute with, found once."""
    return libraries_with_threads().select(user_api="blas")


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let NumPy and SciPy compute in the calling thread alone.

    For products of a few dozen columns other threads bring nothing, and after each they wait busily for the next one:
    OpenBLAS for up to 2²⁶ ticks, some 25 ms, in which a forward pass has a core less.

    The number is the process's own, so that what one thread takes for the number to come back to may be what another
    has set for a moment. Beside code that is `undisturbed`, and where there is one thread already, nothing is set.
    """
    if not _turn.acquire(blocking=False):
        yield
        return
    try:
        several = any(library.num_threads != 1 for library in _pools().lib_controllers)
        with _pools().limit(limits=1) if several else contextlib.nullcontext():
            yield
    finally:
        _turn.release()


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Keep looks in other threads from setting the number, while code runs that may do so itself, as scikit-learn's."""
    mine = _turn.acquire(timeout=LONGEST)
    try:
        yield
    finally:
        if mine:
            _turn.release()
