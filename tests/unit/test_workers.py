"""What a worker of pytest-xdist is told, and how workers share the machine."""

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from threadpoolctl import threadpool_limits

from pytest_lime import workers


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    with threadpool_limits():
        yield
    torch.set_num_threads(before)


def config(**workerinput: Any) -> Any:
    return SimpleNamespace(workerinput=workerinput) if workerinput else SimpleNamespace()


def test_a_worker_is_known_by_what_xdist_gives_it() -> None:
    assert not workers.is_worker(config())
    assert workers.is_worker(config(workercount=2))


def test_a_worker_is_told_the_folder_of_the_controller() -> None:
    node = SimpleNamespace(workerinput={})
    workers.tell_folder(node, Path("/somewhere/lime-report"), "lime-report")
    told = config(**node.workerinput)
    assert workers.folder_of_controller(told) == (Path("/somewhere/lime-report"), "lime-report")


class Pool:
    """A library's pool of threads, as threadpoolctl shows it."""

    def __init__(self, threads: int) -> None:
        self.num_threads = threads

    def set_num_threads(self, threads: int) -> None:
        self.num_threads = threads


@pytest.mark.usefixtures("threads")
class TestThreads:
    @pytest.fixture
    def pools(self, monkeypatch: pytest.MonkeyPatch) -> list[Pool]:
        """A processor of eight cores, and libraries that want all of them, and one."""
        found = [Pool(8), Pool(1)]
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        monkeypatch.setattr("joblib.cpu_count", lambda: 8)
        monkeypatch.setattr("pytest_lime.blas.ThreadpoolController", lambda: SimpleNamespace(lib_controllers=found))
        torch.set_num_threads(64)
        return found

    @pytest.mark.parametrize(
        ("cores", "count", "each"), [(8, 1, 64), (8, 2, 4), (8, 3, 2), (2, 2, 1), (2, 8, 1), (1, 2, 1)]
    )
    def test_workers_share_the_cores(
        self, cores: int, count: int, each: int, pools: list[Pool], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("joblib.cpu_count", lambda: cores)
        workers.share_threads(config(workercount=count))
        assert torch.get_num_threads() == each
        assert [pool.num_threads for pool in pools] == [min(each, 8), 1]

    def test_who_has_fewer_keeps_them(self, pools: list[Pool]) -> None:
        torch.set_num_threads(3)
        pools[0].set_num_threads(2)
        workers.share_threads(config(workercount=2))
        assert torch.get_num_threads() == 3
        assert [pool.num_threads for pool in pools] == [2, 1]

    def test_who_has_set_the_threads_keeps_them(self, pools: list[Pool], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OMP_NUM_THREADS", "64")
        workers.share_threads(config(workercount=2))
        assert torch.get_num_threads() == 64
        assert pools[0].num_threads == 8

    def test_all_cores_are_for_a_run_without_workers(self, pools: list[Pool]) -> None:
        workers.share_threads(config())
        assert torch.get_num_threads() == 64
        assert pools[0].num_threads == 8

    def test_a_library_that_is_loaded_later_is_taken_in(self, pools: list[Pool]) -> None:
        workers.share_threads(config(workercount=2))
        pools.append(Pool(8))
        workers.share_threads(config(workercount=2))
        assert [pool.num_threads for pool in pools] == [4, 1, 4]

    def test_libraries_that_do_not_suit_each_other_are_not_ours(
        self, pools: list[Pool], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def find() -> SimpleNamespace:
            warnings.warn("Found Intel OpenMP and LLVM OpenMP", RuntimeWarning, stacklevel=2)
            return SimpleNamespace(lib_controllers=pools)

        monkeypatch.setattr("pytest_lime.blas.ThreadpoolController", find)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            workers.share_threads(config(workercount=2))
        assert [pool.num_threads for pool in pools] == [4, 1]

    @pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes are bound to cores on Linux only")
    def test_the_real_libraries(self) -> None:
        # One core is granted after the libraries have counted: two workers could not have more than one thread each.
        code = """if True:
            import os, threading
            import numpy, sklearn.tree, torch
            from threadpoolctl import threadpool_info
            from types import SimpleNamespace
            from pytest_lime.workers import share_threads
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
            torch.set_num_threads(4)
            share_threads(SimpleNamespace(workerinput={"workercount": 2}))
            counts = [pool["num_threads"] for pool in threadpool_info()]
            thread = threading.Thread(target=lambda: counts.append(torch.get_num_threads()))
            thread.start(); thread.join()
            print(len(counts) > 2, set(counts), torch.get_num_threads())
            """
        environment = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert (done.stdout.strip(), done.stderr) == ("True {1} 1", "")


class TestDevices:
    @pytest.fixture
    def accelerators(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
        """How many devices of each kind torch sees; the first kind is what it calls its accelerator."""
        there = {"cuda": 4, "xpu": 1, "mps": 0}
        for kind in there:
            monkeypatch.setattr(f"torch.{kind}.device_count", partial(there.__getitem__, kind))
        monkeypatch.setattr("torch.accelerator.is_available", lambda: any(there.values()))
        monkeypatch.setattr(
            "torch.accelerator.current_accelerator",
            lambda: next((torch.device(kind) for kind, count in there.items() if count), None),
        )
        return there

    @pytest.mark.parametrize(
        ("worker", "device", "own"),
        [
            ("gw0", "auto", "cuda:0"),
            ("gw3", "auto", "cuda:3"),
            ("gw5", "auto", "cuda:1"),
            ("gw13", "cuda", "cuda:1"),
            ("gw3", "cuda:2", "cuda:2"),
            ("gw3", "cuda:0", "cuda:0"),
            ("gw3", "cpu", "cpu"),
            ("gw3", "xpu", "xpu"),
            ("gw3", "mps", "mps"),
            ("gw3", "tpu", "tpu"),
            ("node-2", "cuda", "cuda:2"),
            ("left", "cuda", "cuda:0"),
            ("", "cuda", "cuda:0"),
            ("7th", "cuda", "cuda:0"),
            ("gw³", "cuda", "cuda:0"),
        ],
    )
    @pytest.mark.usefixtures("accelerators")
    def test_each_worker_takes_its_own(self, worker: str, device: str, own: str) -> None:
        assert workers.device_of_worker(config(workerid=worker), device) == own

    @pytest.mark.usefixtures("accelerators")
    @pytest.mark.parametrize("device", ["auto", "cuda", "cuda:3", "cpu"])
    def test_outside_a_worker_a_device_stays_what_it_is(self, device: str) -> None:
        assert workers.device_of_worker(config(), device) == device

    @pytest.mark.usefixtures("accelerators")
    def test_a_worker_that_has_no_id_takes_the_first(self) -> None:
        assert workers.device_of_worker(config(workercount=2), "auto") == "cuda:0"

    @pytest.mark.parametrize("device", ["auto", "cuda"])
    @pytest.mark.parametrize("count", [0, 1])
    def test_nothing_is_to_be_shared_out(self, count: int, device: str, accelerators: dict[str, int]) -> None:
        accelerators.update(cuda=count, xpu=0)
        assert workers.device_of_worker(config(workerid="gw1"), device) == device

    def test_several_of_another_kind(self, accelerators: dict[str, int]) -> None:
        accelerators.update(cuda=0, xpu=2)
        assert workers.device_of_worker(config(workerid="gw3"), "auto") == "xpu:1"

    def test_on_this_machine_every_answer_is_a_device(self) -> None:
        assert workers.device_of_worker(config(workerid="gw0"), "cpu") == "cpu"
        there = workers.device_of_worker(config(workerid="gw1"), "auto")
        assert there == "auto" or torch.device(there).index is not None


@pytest.mark.parametrize(
    ("mark", "node_id"),
    [
        (pytest.mark.xdist_group("gpu"), "test_a.py::test_it[x@y]"),
        (pytest.mark.xdist_group(name="gpu"), "test_a.py::test_it[x@y]"),
        (pytest.mark.lime, "test_a.py::test_it[x@y]@gpu"),
    ],
)
def test_the_group_is_no_part_of_a_name(mark: Any, node_id: str) -> None:
    item: Any = SimpleNamespace(
        nodeid="test_a.py::test_it[x@y]@gpu",
        iter_markers=lambda name: [mark.mark] if mark.mark.name == name else [],
    )
    assert workers.plain_node_id(item) == node_id
