"""Prefetch: the next image is decoded and segmented while the model works on this one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["in_background"]

S = TypeVar("S")
T = TypeVar("T")


def in_background(make: Callable[[S], T], items: Iterable[S], *, depth: int = 2) -> Iterator[T]:
    """Yield ``make(item)`` for each item, in order; while one is in use, a thread makes the next `depth`.

    What `make` raises is raised where its result would have come.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="pytest-lime") as pool:
        coming: deque[Future[T]] = deque()
        rest = iter(items)
        try:
            for item in rest:
                coming.append(pool.submit(make, item))
                if len(coming) > depth:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()
        finally:
            # Whoever stops early does not wait for what nobody asks for any more.
            for future in coming:
                future.cancel()
