"""Threads of linear algebra: they wait for their next product on the cores that the passes need."""

from __future__ import annotations

import contextlib
import functools
import threading
import warnings
from collections.abc import Iterator

from threadpoolctl import ThreadpoolController

__all__ = ["one_thread"]

_inside = threading.Lock()


@functools.cache
def _pools() -> ThreadpoolController:
    """The libraries that NumPy and SciPy compute with, which are loaded by now; to find them takes milliseconds."""
    with warnings.catch_warnings():
        # Of libraries that do not suit each other, such as two of OpenMP, which no test of ours has chosen.
        warnings.simplefilter("ignore")
        return ThreadpoolController().select(user_api="blas")


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let NumPy and SciPy compute in the calling thread alone.

    For products of a few dozen columns other threads bring nothing, and after each they wait busily for the next one:
    OpenBLAS for up to 2²⁶ ticks, some 25 ms, in which a forward pass has a core less.

    The number is the process's own. Where another thread is inside, or has set it through threadpoolctl, this one goes
    on with whatever that leaves.
    """
    if not _inside.acquire(blocking=False):
        yield
        return
    try:
        with _pools().limit(limits=1):
            yield
    finally:
        _inside.release()
