"""A folder with images and region files, and suites written into it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
from PIL import Image as PILImage

from pytest_lime.suites.cases import Case, read_cases

# Width and height of every picture.
SIZE = (32, 24)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with pictures (light, dark, cat1, cat2), a mask of each cat, and an annotation file of each cat."""
    noise = np.random.default_rng(0)
    for name in ("cat1.png", "cat2.png", "light/a.png", "light/b.png", "dark/a.png", "dark/b.png", "odd[1].png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        PILImage.fromarray(noise.integers(0, 255, (SIZE[1], SIZE[0], 3)).astype("uint8")).save(path)
    (tmp_path / "masks").mkdir()
    for place, name in enumerate(("cat1", "cat2")):
        inside = np.zeros((SIZE[1], SIZE[0]), dtype="uint8")
        inside[:8, : 8 * (place + 1)] = 255
        PILImage.fromarray(inside).save(tmp_path / "masks" / f"{name}.png")
        head = {"label": "head", "shape_type": "rectangle", "points": [[0, 0], [8, 8 * (place + 1)]]}
        text = json.dumps({"shapes": [head], "imageWidth": SIZE[0], "imageHeight": SIZE[1]})
        (tmp_path / "masks" / f"{name}.json").write_text(text)
    return tmp_path


@pytest.fixture
def cases(folder: Path) -> Callable[[str], list[Case]]:
    """Read a suite, which is called test_it.lime.yaml."""

    def write(text: str) -> list[Case]:
        path = folder / "test_it.lime.yaml"
        path.write_text(dedent(text), encoding="utf-8")
        return read_cases(path, path.name)

    return write
