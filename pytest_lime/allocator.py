"""Memory: what one batch has freed is kept for the next, and how torch says that there is none left."""

from __future__ import annotations

import ctypes
import functools
import os
import sys

import torch

__all__ = ["keep_pages", "out_of_memory"]

# Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
# Blocks of up to so many bytes come from memory that is kept: larger than any layer's output in a sensible batch.
KEPT = 2**30
STEP = 64 * 2**20
# Whoever has chosen an allocator, or set up this one, has decided already.
CHOSEN = ("LD_PRELOAD", "GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_MMAP_THRESHOLD_")


@functools.cache
def keep_pages() -> bool:
    """Let glibc keep the memory that a network's layers free, instead of handing it back to the system.

    It else maps each block of more than 32 MB anew, and trims the heap after each batch, so that every layer of every
    batch waits for the system to clear its pages: up to two thirds of the time of a forward pass. The process then
    holds on to the largest amount that a batch has needed, until it ends.

    Returns
    -------
    bool
        Whether that is so now: on Linux with glibc, unless the environment sets up an allocator.
    """
    if not sys.platform.startswith("linux") or any(os.environ.get(name) for name in CHOSEN):
        return False
    try:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version  # noqa: B018  (other libraries have no such function, and another mallopt or none)
        set_up = libc.mallopt
    except (OSError, AttributeError):
        return False
    values = {M_MMAP_THRESHOLD: KEPT, M_TRIM_THRESHOLD: KEPT, M_TOP_PAD: STEP}
    return all(set_up(ctypes.c_int(name), ctypes.c_int(value)) == 1 for name, value in values.items())


def out_of_memory(error: Exception) -> bool:
    """Whether `error` says that memory ran out."""
    # Torch has a class of its own for accelerators only.
    told = str(error).lower()
    words = ("out of memory", "allocate memory", "not enough memory", "alloc_failed")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(word in told for word in words)
    )
