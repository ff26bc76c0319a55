"""What is made in the background: in order, not too far ahead, and with its errors in their place."""

import threading
from collections.abc import Iterator

import pytest

from pytest_lime.prefetch import in_background

# In seconds; a test that hangs shall fail.
PATIENCE = 20


@pytest.mark.parametrize("count", [0, 1, 2, 3, 10])
@pytest.mark.parametrize("depth", [0, 1, 2, 20])
def test_all_in_their_order(count: int, depth: int) -> None:
    assert list(in_background(lambda item: item**2, range(count), depth=depth)) == [item**2 for item in range(count)]


def test_it_is_a_thread_that_makes_them_one_at_a_time() -> None:
    threads = set(in_background(lambda item: threading.current_thread().name, range(5)))
    assert len(threads) == 1
    assert threads.pop().startswith("pytest-lime")


def test_while_one_is_in_use_the_next_are_made() -> None:
    made: list[int] = []
    ready = threading.Event()

    def make(item: int) -> int:
        made.append(item)
        if item == 2:
            ready.set()
        return item

    coming = in_background(make, range(100), depth=2)
    assert next(coming) == 0
    # Nobody has asked for these yet.
    assert ready.wait(PATIENCE)
    assert made == [0, 1, 2]
    coming.close()  # type: ignore[attr-defined]  # a generator


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_not_more_than_asked_for_are_waiting(depth: int) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(20):
            taken.append(item)
            yield item

    for done, item in enumerate(in_background(lambda item: item, items(), depth=depth), start=1):
        assert item == done - 1
        assert len(taken) - done <= depth


def test_an_error_is_raised_where_its_result_would_have_come() -> None:
    def make(item: int) -> int:
        return 6 // (item - 2)

    coming = in_background(make, range(5))
    assert [next(coming), next(coming)] == [-3, -6]
    with pytest.raises(ZeroDivisionError) as caught:
        next(coming)
    assert caught.traceback[-1].name == "make"
    assert list(coming) == []


def test_an_error_of_the_items_is_raised() -> None:
    def items() -> Iterator[int]:
        yield 0
        raise KeyError("no more")

    coming = in_background(lambda item: item, items(), depth=0)
    assert next(coming) == 0
    with pytest.raises(KeyError, match="no more"):
        next(coming)


def test_who_stops_early_waits_for_nothing_but_what_is_being_made() -> None:
    made: list[int] = []
    go_on = threading.Event()

    def make(item: int) -> int:
        made.append(item)
        if item == 1:
            assert go_on.wait(PATIENCE)
        return item

    coming = in_background(make, range(100), depth=10)
    assert next(coming) == 0
    threading.Timer(0.1, go_on.set).start()
    coming.close()  # type: ignore[attr-defined]  # a generator
    assert made == [0, 1]
    assert not any(thread.name.startswith("pytest-lime") for thread in threading.enumerate())


def test_the_thread_ends_with_the_last() -> None:
    assert len(list(in_background(str, range(3)))) == 3
    assert not any(thread.name.startswith("pytest-lime") for thread in threading.enumerate())
