"""Linear algebra in the calling thread alone, and as before afterwards."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from pytest_lime.blas import one_thread


def threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


@pytest.fixture(autouse=True)
def several() -> Iterator[None]:
    """Let each library have three threads, whatever machine this is."""
    with threadpool_limits(3, user_api="blas"):
        assert set(threads()) == {3}
        yield
        assert set(threads()) == {3}


class TestOneThread:
    def test_only_inside(self) -> None:
        with one_thread():
            assert set(threads()) == {1}
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
        other_is_in, other_may_leave = threading.Event(), threading.Event()

        def other() -> None:
            with one_thread():
                other_is_in.set()
                other_may_leave.wait(10)

        thread = threading.Thread(target=other)
        thread.start()
        assert other_is_in.wait(10)
        with one_thread():
            other_may_leave.set()
            thread.join()
        with one_thread():
            assert set(threads()) == {1}
        assert set(threads()) == {3}
