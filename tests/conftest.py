"""What all tests share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_lime.streams import SampleStream

pytest_plugins = ["pytester"]


def _extend(stream: SampleStream, count: int) -> None:
    """Draw, score and add `count` more samples whatever is due; fewer where the masks come to their end."""
    end = int(min(stream.samples + count, stream._masks.length or math.inf))
    stream._next_look, planned = end, stream._next_look
    stream.bench.recall_pace(stream.canvas.shape)
    while (portion := stream.portion()) is not None:
        stream.add(stream.bench.engine.submit([portion]).results()[0])
    stream._next_look = max(planned, end)


@pytest.fixture(scope="session")
def extend() -> Callable[[SampleStream, int], None]:
    return _extend
