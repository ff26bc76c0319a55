"""What all tests share."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_lime.streams import SampleStream

pytest_plugins = ["pytester"]
# On GitHub Actions, runs within tests would append to the summary of our own step.
os.environ.pop("GITHUB_STEP_SUMMARY", None)
# Operators live as long as the library that defines them.
LIBRARIES: list[Any] = []


@pytest.fixture(scope="session", autouse=True)
def _no_step_summary() -> None:
    """Keep inner runs, and merges, out of the summary of the job that runs these tests."""
    os.environ.pop("GITHUB_STEP_SUMMARY", None)


def _extend(stream: SampleStream, count: int) -> None:
    """Draw, score and add `count` more samples whatever is due; fewer where the masks come to their end."""
    end = int(min(stream.samples + count, stream._masks.length or math.inf))
    stream.next_look, planned = end, stream.next_look
    stream.bench.recall_pace(stream.canvas.shape)
    while (portion := stream.portion()) is not None:
        stream.add(stream.bench.engine.submit([portion]).results()[0])
    stream.next_look = max(planned, end)


@pytest.fixture(scope="session")
def extend() -> Callable[[SampleStream, int], None]:
    return _extend


@pytest.fixture(scope="session")
def torchvision() -> ModuleType:
    """Torchvision, also where its wheel was built for another torch.

    It then lacks its compiled operators and cannot be imported, since it describes two of
    them; none is used here. Defined without a kernel, they let the rest of it be imported.
    """
    try:
        return import_module("torchvision")
    except RuntimeError as error:
        if "operator torchvision::nms does not exist" not in str(error):
            raise
    import torch  # noqa: PLC0415  (heavy, and only some of the tests get here)

    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    LIBRARIES.append(library)
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    return import_module("torchvision")
