"""What a worker of pytest-xdist is told, and how workers share the machine."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pytest_lime import workers


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
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


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(("cores", "count", "each"), [(8, 2, 4), (8, 3, 2), (2, 2, 1), (2, 8, 1)])
def test_workers_share_the_cores(cores: int, count: int, each: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(64)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)), raising=False)
    workers.share_threads(config(workercount=count))
    assert torch.get_num_threads() == each


@pytest.mark.usefixtures("threads")
def test_who_has_set_the_threads_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(2)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    workers.share_threads(config(workercount=2))
    assert torch.get_num_threads() == 2
    monkeypatch.delenv("OMP_NUM_THREADS")
    workers.share_threads(config())
    assert torch.get_num_threads() == 2


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
