"""Small pictures: photograph, heatmap and outlines in one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pytest_lime.report.thumbs import write_thumb

SEGMENTS = np.kron(np.array([[0, 1], [2, 3]]), np.ones((112, 112), dtype=np.int64))


def drawn(folder: Path, **changes: object) -> NDArray[np.float64]:
    given: dict[str, object] = {
        "pixels": np.full((3, 224, 224), 0.5, np.float32),
        "aspect": 1.0,
        "segments": SEGMENTS,
        "weights": np.array([1.0, -1.0, 0.0, 0.0]),
        "regions": [],
        **changes,
    }
    path = write_thumb(folder, "stem", **given)["thumb"]  # type: ignore[arg-type]
    assert path == "images/stem-thumb.jpg"
    with Image.open(folder / path) as picture:
        assert picture.format == "JPEG"
        return np.asarray(picture).astype(np.float64)


@pytest.mark.parametrize(
    ("aspect", "size"), [(1.0, (160, 160)), (1.5, (107, 160)), (0.5, (160, 80)), (1000.0, (1, 160))]
)
def test_it_has_the_proportions_of_what_the_model_sees(tmp_path: Path, aspect: float, size: tuple[int, int]) -> None:
    assert drawn(tmp_path, aspect=aspect).shape == (*size, 3)


def test_the_heatmap_lies_over_the_photograph(tmp_path: Path) -> None:
    shown = drawn(tmp_path)
    towards, against, nothing = shown[40, 40], shown[40, 120], shown[120, 40]
    assert towards[0] > towards[2] + 40  # orange speaks for
    assert against[2] > against[1] + 20  # purple speaks against
    assert nothing == pytest.approx([191, 191, 191], abs=4)


def test_a_region_has_an_outline(tmp_path: Path) -> None:
    region = np.zeros((224, 224), dtype=bool)
    region[140:200, 28:84] = True
    shown = drawn(tmp_path, regions=[region], weights=np.zeros(4))
    assert shown[100, 20:60].max() < 90
    assert abs(shown[120, 40] - 191).max() < 6
    assert abs(shown[10, 10] - 191).max() < 6


@pytest.mark.parametrize("channels", [1, 3])
def test_a_tiny_gray_picture(tmp_path: Path, channels: int) -> None:
    pixels = np.random.default_rng(0).random((channels, 8, 8), dtype=np.float32)
    assert drawn(tmp_path, pixels=pixels, segments=SEGMENTS[::28, ::28]).shape == (160, 160, 3)


def test_a_stem_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stem="):
        write_thumb(
            tmp_path,
            "../up",
            pixels=np.zeros((3, 8, 8), np.float32),
            aspect=1,
            segments=SEGMENTS,
            weights=np.ones(4),
            regions=[],
        )
