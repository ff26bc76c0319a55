"""Linear algebra in the calling thread alone, and as before afterwards."""

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
import torch
from threadpoolctl import ThreadpoolController, threadpool_limits

from pytest_lime import blas
from pytest_lime.blas import one_thread, undisturbed

LIBRARIES = ThreadpoolController().select(user_api="blas").lib_controllers


def threads() -> list[int]:
    return [library.num_threads for library in LIBRARIES]


def set_threads(counts: Sequence[int]) -> None:
    """Set the number of each library in a thread that then ends: it alone would decide on them while it is alive."""

    def set_each() -> None:
        for library, count in zip(LIBRARIES, counts, strict=True):
            library.set_num_threads(count)

    thread = threading.Thread(target=set_each)
    thread.start()
    thread.join()


@contextlib.contextmanager
def elsewhere(enter: Callable[[], AbstractContextManager[Any]]) -> Iterator[tuple[list[int], Callable[[], None]]]:
    """Enter what `enter` makes in another thread; give what is seen there, and what makes it leave and waits for it."""
    entered, may_leave = threading.Event(), threading.Event()
    seen: list[int] = []

    def stay() -> None:
        with enter():
            seen.extend(threads())
            entered.set()
            may_leave.wait(10)

    def leave() -> None:
        may_leave.set()
        thread.join()

    thread = threading.Thread(target=stay)
    thread.start()
    assert entered.wait(10)
    try:
        yield seen, leave
    finally:
        leave()


@pytest.fixture(autouse=True)
def several() -> Iterator[None]:
    """Let each library have three threads, whatever machine this is."""
    before = threads()
    set_threads([3] * len(LIBRARIES))
    assert set(threads()) == {3}
    yield
    found = threads()
    set_threads(before)
    assert set(found) == {3}


class TestOneThread:
    def test_only_inside(self) -> None:
        of_torch = torch.get_num_threads()
        with one_thread():
            assert set(threads()) == {1}
            assert torch.get_num_threads() == of_torch
            np.linalg.eigh(np.eye(3))
        assert set(threads()) == {3}

    def test_inside_one_another(self) -> None:
        with one_thread():
            with one_thread():
                assert set(threads()) == {1}
            assert set(threads()) == {1}
        assert set(threads()) == {3}

    def test_after_an_error(self) -> None:
        with pytest.raises(ValueError, match="inside"), one_thread():
            raise ValueError("inside")
        assert set(threads()) == {3}

    def test_what_was_set_in_between_is_what_comes_back(self) -> None:
        with one_thread():
            pass
        with threadpool_limits(2, user_api="blas"):
            with one_thread():
                assert set(threads()) == {1}
            assert set(threads()) == {2}

    def test_while_another_thread_is_inside(self) -> None:
        with elsewhere(one_thread) as (seen, leave):
            # What the other has set is not taken for what there was before.
            with one_thread():
                assert set(seen) == {1}
                leave()
            assert set(threads()) == {3}
        with one_thread():
            assert set(threads()) == {1}

    def test_while_another_thread_has_set_it(self) -> None:
        # What the other has set is not taken for what there was before.
        with elsewhere(lambda: threadpool_limits(1, user_api="blas")) as (_, leave), one_thread():
            assert set(threads()) == {1}
            leave()
        assert set(threads()) == {3}

    def test_libraries_that_do_not_suit_each_other_are_not_ours(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def found() -> ThreadpoolController:
            warnings.warn("Found Intel OpenMP and LLVM OpenMP", RuntimeWarning, stacklevel=2)
            return ThreadpoolController()

        monkeypatch.setattr(blas, "ThreadpoolController", found)
        blas._pools.cache_clear()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with one_thread():
                assert set(threads()) == {1}


class TestUndisturbed:
    def test_looks_in_other_threads_set_nothing(self) -> None:
        seen: list[int] = []

        def look() -> None:
            with one_thread():
                seen.extend(threads())

        with undisturbed():
            thread = threading.Thread(target=look)
            thread.start()
            thread.join()
        assert set(seen) == {3}
        look()
        assert set(seen[-len(LIBRARIES) :]) == {1}

    def test_it_waits_for_a_look(self) -> None:
        seen: list[int] = []

        def make() -> None:
            with undisturbed(), threadpool_limits(2, user_api="blas"):
                seen.extend(threads())

        thread = threading.Thread(target=make)
        with one_thread():
            thread.start()
            thread.join(0.2)
            assert seen == []
        thread.join()
        assert set(seen) == {2}

    def test_not_for_ever(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(blas, "LONGEST", 0.05)
        ended = threading.Event()

        def make() -> None:
            with undisturbed():
                ended.set()

        thread = threading.Thread(target=make)
        # A claim, say, that makes an explanation in a thread, and waits for it.
        with one_thread():
            thread.start()
            assert ended.wait(10)
        thread.join()

    def test_a_look_of_its_own(self) -> None:
        with undisturbed(), one_thread():
            assert set(threads()) == {1}
