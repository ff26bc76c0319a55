"""Running under pytest-xdist: what a worker is told, and what a test is called there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

__all__ = ["folder_of_controller", "is_worker", "plain_node_id", "share_threads", "tell_folder"]

KEY = "pytest_lime_folder"


def is_worker(config: pytest.Config) -> bool:
    """Whether this process runs tests for a controller, which writes the report."""
    return hasattr(config, "workerinput")


def tell_folder(node: Any, folder: Path, shown: str) -> None:
    """Tell a new worker where the controller writes the report, and how messages call that folder."""
    node.workerinput[KEY] = [str(folder), shown]


def folder_of_controller(config: pytest.Config) -> tuple[Path, str]:
    """Return what `tell_folder` told this worker."""
    folder, shown = config.workerinput[KEY]  # type: ignore[attr-defined]  # set by pytest-xdist
    return Path(folder), shown


def share_threads(config: pytest.Config) -> None:
    """Give each of several workers its share of the processor's cores.

    Each would else start a thread a core, and they would wait for each other. Whoever
    sets ``OMP_NUM_THREADS`` has decided already.
    """
    if not is_worker(config) or "OMP_NUM_THREADS" in os.environ:
        return
    import torch  # noqa: PLC0415  (whoever explains an image has imported it)

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = int(config.workerinput.get("workercount", 1))  # type: ignore[attr-defined]  # set by pytest-xdist
    torch.set_num_threads(min(torch.get_num_threads(), max(1, cores // count)))


def plain_node_id(item: pytest.Item) -> str:
    """Return the node id without the ``@group`` that ``--dist loadgroup`` appends in a worker."""
    node_id = item.nodeid
    for mark in item.iter_markers("xdist_group"):
        group = mark.args[0] if mark.args else mark.kwargs.get("name", "default")
        node_id = node_id.removesuffix(f"@{group}")
    return node_id
