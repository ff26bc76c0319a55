"""What is made in the background: in order, not too far ahead, and with its errors in their place."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from pytest_lime.prefetch import Prefetch

# In seconds; a test that hangs shall fail.
PATIENCE = 20


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.001)


@pytest.fixture
def ended() -> Callable[[], bool]:
    """Return what tells whether all threads that began since have ended."""
    before = set(threading.enumerate())
    return lambda: set(threading.enumerate()) <= before


@pytest.mark.parametrize("count", [0, 1, 2, 3, 10])
@pytest.mark.parametrize("threads", [1, 2, 20])
def test_all_in_their_order(count: int, threads: int) -> None:
    def make(item: int) -> int:
        # The first take longest.
        time.sleep(0.002 * (count - item))
        return item**2

    assert list(Prefetch(make, range(count), threads=threads)) == [item**2 for item in range(count)]


def test_one_thread_makes_them_one_at_a_time() -> None:
    threads = set(Prefetch(lambda item: threading.current_thread().name, range(5)))
    assert len(threads) == 1
    assert threads.pop().startswith("pytest-lime")


def test_several_make_as_many_at_once() -> None:
    together = threading.Barrier(3)

    def make(item: int) -> int:
        # Nobody gets by alone.
        together.wait(PATIENCE)
        return item

    assert list(Prefetch(make, range(9), threads=3)) == list(range(9))


def test_while_one_is_in_use_the_next_are_made() -> None:
    made: list[int] = []
    ready = threading.Event()

    def make(item: int) -> int:
        made.append(item)
        if item == 2:
            ready.set()
        return item

    coming = Prefetch(make, range(100))
    assert next(coming) == 0
    # Nobody has asked for these yet.
    assert ready.wait(PATIENCE)
    assert made == [0, 1, 2]
    coming.close()


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_not_more_than_one_a_thread_and_one_are_waiting(threads: int) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(20):
            taken.append(item)
            yield item

    coming = Prefetch(lambda item: item, items(), threads=threads)
    assert len(taken) == threads + 1
    for done, item in enumerate(coming, start=1):
        assert item == done - 1
        assert len(taken) - done <= threads + 1


def test_whether_the_next_one_would_come_at_once() -> None:
    gates = [threading.Event() for _ in range(2)]

    def make(item: int) -> int:
        assert gates[item].wait(PATIENCE)
        return item

    coming = Prefetch(make, range(2))
    assert not coming.ready()
    gates[0].set()
    wait_for(coming.ready)
    assert next(coming) == 0
    assert not coming.ready()
    gates[1].set()
    wait_for(coming.ready)
    assert list(coming) == [1]
    # That there is no other one is known at once.
    assert coming.ready()
    assert list(coming) == []


def test_what_failed_is_ready_too() -> None:
    coming = Prefetch(lambda item: 1 // item, [0])
    wait_for(coming.ready)
    with pytest.raises(ZeroDivisionError):
        next(coming)


def test_an_error_is_raised_where_its_result_would_have_come() -> None:
    def make(item: int) -> int:
        return 6 // (item - 2)

    coming = Prefetch(make, range(5))
    assert [next(coming), next(coming)] == [-3, -6]
    with pytest.raises(ZeroDivisionError) as caught:
        next(coming)
    assert caught.traceback[-1].name == "make"
    # Who goes on all the same gets the others.
    assert list(coming) == [6, 3]


def test_an_error_of_the_items_is_raised() -> None:
    def items() -> Iterator[int]:
        yield 0
        raise KeyError("no more")

    with pytest.raises(KeyError, match="no more"):
        list(Prefetch(lambda item: item, items()))


def test_who_stops_early_waits_for_nothing(ended: Callable[[], bool]) -> None:
    made: list[int] = []
    began, go_on = threading.Event(), threading.Event()

    def make(item: int) -> int:
        made.append(item)
        if item == 1:
            began.set()
            assert go_on.wait(PATIENCE)
        return item

    coming = Prefetch(make, range(100))
    assert next(coming) == 0
    assert began.wait(PATIENCE)
    coming.close()
    assert not go_on.is_set()
    assert list(coming) == []
    coming.close()
    go_on.set()
    # Of those that wait for a thread none is begun.
    wait_for(ended)
    assert made == [0, 1]


@pytest.mark.parametrize("threads", [1, 3])
def test_the_threads_end_with_the_last(threads: int, ended: Callable[[], bool]) -> None:
    assert len(list(Prefetch(str, range(5), threads=threads))) == 5
    wait_for(ended)
