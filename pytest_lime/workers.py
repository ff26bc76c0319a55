"""Running under pytest-xdist: what a worker is told, its share of the machine, and what a test is called there."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

__all__ = [
    "cache_of_controller",
    "device_of_worker",
    "dist_of",
    "folder_of_controller",
    "is_worker",
    "plain_node_id",
    "repeat_of",
    "share_threads",
    "tell_cache",
    "tell_dist",
    "tell_folder",
    "worker_of",
]

KEY = "pytest_lime_folder"
CACHE = "pytest_lime_cache"
EACH = "pytest_lime_each"

OCCURRENCES = pytest.StashKey[dict[int, list[int]]]()


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


def tell_cache(node: Any, folder: Path | None) -> None:
    """Tell a new worker which folder the user named for the cache."""
    node.workerinput[CACHE] = None if folder is None else str(folder)


def cache_of_controller(config: pytest.Config) -> Path | None:
    """Return what `tell_cache` told this worker."""
    folder = config.workerinput[CACHE]  # type: ignore[attr-defined]  # set by pytest-xdist
    return None if folder is None else Path(folder)


def share_threads(config: pytest.Config) -> None:
    """Give each of several workers its share of the processor's cores.

    Each would else start a thread a core, for torch as for NumPy and scikit-learn, and
    they would wait for each other. Pools that are smaller already stay so; whoever sets
    ``OMP_NUM_THREADS`` has decided. Cheap enough for each test, and a library that a test
    has loaded since the last call is then taken in.
    """
    count = int(config.workerinput.get("workercount", 1)) if is_worker(config) else 1  # type: ignore[attr-defined]  # set by pytest-xdist
    if count == 1 or "OMP_NUM_THREADS" in os.environ:
        return
    import torch  # noqa: PLC0415  (whoever explains an image has imported it)
    from joblib import cpu_count  # noqa: PLC0415

    from pytest_lime.blas import libraries_with_threads  # noqa: PLC0415  (of no use to a run that explains nothing)

    # As many as affinity and a container's quota grant; torch by itself knows of the first only.
    share = max(1, cpu_count() // count)
    # This also holds for threads that a test starts, while that of a pool of OpenMP is the calling thread's own.
    # Torch's other pool, between operators, serves the forks of TorchScript alone.
    torch.set_num_threads(min(torch.get_num_threads(), share))
    for pool in libraries_with_threads().lib_controllers:
        if pool.num_threads > share:
            pool.set_num_threads(share)


def device_of_worker(config: pytest.Config, device: str) -> str:
    """Return what `device` means here: of several accelerators, each worker takes its own.

    That is ``"cuda:1"`` in worker gw1 for ``"cuda"`` and ``"auto"``, and in worker gw5 of
    a machine on which torch sees four; a device with an index, the processor, and all
    devices outside a worker stay what they are.

    Parameters
    ----------
    config : pytest.Config
    device : str
        That of the options; where it is ``"auto"`` and the model has a device, the model's.
    """
    if not is_worker(config) or ":" in device:
        return device
    import torch  # noqa: PLC0415  (whoever explains an image has imported it)

    kind = device
    if device == "auto":
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        kind = accelerator.type if accelerator else "cpu"
    backend = getattr(torch, kind, None)
    # A kind that is not there is told where the device is chosen.
    count = backend.device_count() if backend and hasattr(backend, "device_count") else 0
    return f"{kind}:{_number(config) % count}" if count > 1 else device


def _number(config: pytest.Config) -> int:
    # With --tx users name workers as they like; those without a number share the first device.
    digits = re.search("[0-9]+$", str(config.workerinput.get("workerid", "")))  # type: ignore[attr-defined]  # set by pytest-xdist
    return int(digits[0]) if digits else 0


def plain_node_id(item: pytest.Item) -> str:
    """Return the node id without the ``@group`` that ``--dist loadgroup`` appends in a worker."""
    node_id = item.nodeid
    for mark in item.iter_markers("xdist_group"):
        group = mark.args[0] if mark.args else mark.kwargs.get("name", "default")
        node_id = node_id.removesuffix(f"@{group}")
    return node_id


def dist_of(config: pytest.Config) -> str:
    """Return the way in which pytest-xdist hands out tests; ``"no"`` where it does not."""
    return str(config.getoption("dist", "no"))


def tell_dist(node: Any) -> None:
    """Tell a new worker whether all others make the same tests."""
    node.workerinput[EACH] = dist_of(node.config) == "each"


def worker_of(report_or_node: Any) -> str:
    """Return what pytest-xdist calls the worker of a report, or of a node itself; empty where there is none."""
    node = getattr(report_or_node, "node", report_or_node)
    return str(getattr(getattr(node, "gateway", None), "id", ""))


def repeat_of(item: pytest.Item) -> int:
    """Return how often a test of this name has come before in the run, this time included.

    Call it once for each time that the test is made. All workers count alike, whichever of them makes which test;
    under ``--dist each``, where all make all of them, one worker's count goes on where another's ends.
    """
    places = item.config.stash.setdefault(OCCURRENCES, {})
    names: dict[str, int] = {}
    if not places:
        for one in item.session.items:
            names[one.nodeid] = names.get(one.nodeid, 0) + 1
            places.setdefault(id(one), []).append(names[one.nodeid])
    own = places.get(id(item), [1])
    # The same object may be listed twice.
    place = own.pop(0) if len(own) > 1 else own[0]
    if not is_worker(item.config) or not item.config.workerinput.get(EACH):  # type: ignore[attr-defined]  # set by pytest-xdist
        return place
    many = sum(one.nodeid == item.nodeid for one in item.session.items)
    return _number(item.config) * many + place
