"""Half blocks: a picture in the characters of a terminal."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pytest_lime.half_blocks import UPPER, half_blocks, has_true_colour


def write(path: Path, pixels: list[list[tuple[int, int, int]]]) -> Path:
    Image.fromarray(np.array(pixels, dtype=np.uint8)).save(path)
    return path


RED, GREEN, BLUE, GRAY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (118, 118, 118)


def test_a_cell_has_one_pixel_above_the_other(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", [[RED, GREEN], [BLUE, GRAY]])
    (line,) = half_blocks(path, columns=2, true_colour=True)
    assert line == f"\x1b[38;2;255;0;0;48;2;0;0;255m{UPPER}\x1b[38;2;0;255;0;48;2;118;118;118m{UPPER}\x1b[0m"


def test_without_true_colour_the_nearest_of_the_palette(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", [[RED, GREEN], [BLUE, GRAY]])
    (line,) = half_blocks(path, columns=2, true_colour=False)
    # 16 + 36 r + 6 g + b of a cube of 6×6×6, and 232 … 255 for 8, 18, … 238.
    assert re.findall(r"38;5;(\d+);48;5;(\d+)m", line) == [("196", "21"), ("46", "243")]


@pytest.mark.parametrize(
    ("size", "cells"), [((160, 160), (16, 32)), ((160, 80), (8, 32)), ((80, 160), (16, 16)), ((160, 1), (1, 32))]
)
def test_the_shape_is_kept(tmp_path: Path, size: tuple[int, int], cells: tuple[int, int]) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", size, "orange").save(path)
    lines = half_blocks(path, true_colour=True)
    assert (len(lines), {line.count(UPPER) for line in lines}) == (cells[0], {cells[1]})
    assert all(line.endswith("\x1b[0m") for line in lines)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff\xe0" + b"\0" * 100])
def test_what_is_no_picture_shows_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    assert half_blocks(path, true_colour=True) == []
    assert half_blocks(tmp_path / "missing.jpg", true_colour=True) == []
    assert half_blocks(tmp_path, true_colour=True) == []


@pytest.mark.parametrize(
    ("environment", "known"), [({}, False), ({"COLORTERM": "truecolor"}, True), ({"COLORTERM": "24bit"}, True)]
)
def test_who_knows_true_colour(environment: dict[str, str], known: bool) -> None:
    assert has_true_colour(environment) is known
