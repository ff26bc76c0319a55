"""Prefetch: the next images are decoded and segmented while the model works on these."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

__all__ = ["Prefetch"]

S = TypeVar("S")
T = TypeVar("T")


class Prefetch(Generic[S, T]):
    """Gives ``make(item)`` for each item, in order; while one is in use, threads make the next ones.

    What `make` raises is raised where its result would have come.

    Parameters
    ----------
    make : callable
    items : iterable
    threads : int
        How many items are made at once.
    """

    def __init__(self, make: Callable[[S], T], items: Iterable[S], *, threads: int = 1) -> None:
        self._make, self._items = make, iter(items)
        self._depth = threads + 1
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="pytest-lime")
        self._coming: deque[Future[T]] = deque()
        self._fill()

    def _fill(self) -> None:
        while len(self._coming) < self._depth:
            for item in self._items:
                self._coming.append(self._pool.submit(self._make, item))
                break
            else:
                return

    def ready(self) -> bool:
        """Return whether the next one would come at once."""
        return not self._coming or self._coming[0].done()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if not self._coming:
            self.close()
            raise StopIteration
        future = self._coming.popleft()
        self._fill()
        return future.result()

    def close(self) -> None:
        """Forget what nobody asks for any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._coming.clear()
