"""Resize, crop and padding: the pixels, and which part of the file they show."""

from collections.abc import Callable

import numpy as np
import pytest

from pytest_lime.images import Image, View, load_image
from pytest_lime.models.preparation import Placement, Preparation, ResizeAndCrop, shorter_side

RNG = np.random.default_rng(0)
PLACEMENTS: dict[str, Callable[[tuple[int, int]], Placement]] = {
    "squeezed": ResizeAndCrop((24, 40)),
    "cropped": ResizeAndCrop((24, 40), 48),
    "padded": lambda size: Placement(size, (-3, -5), (size[0] + 9, size[1] + 7)),
    "padded above, cropped below": lambda size: Placement(size, (-4, 6), (size[0] - 10, size[1] + 2)),
    "enlarged and padded": lambda size: Placement((2 * size[0], 2 * size[1]), (-8, -6), (2 * size[0] + 12, 100)),
}


@pytest.mark.parametrize("size", [(60, 80), (80, 60)])
@pytest.mark.parametrize("kind", PLACEMENTS)
def test_the_view_is_what_is_measured(kind: str, size: tuple[int, int]) -> None:
    preparation = Preparation(PLACEMENTS[kind])
    view, measured = preparation.view(size), View.measure(preparation.prepare, size)
    assert view.shape == measured.shape == preparation.place(size).shape
    # A fifth of a pixel: filters are cut off at the border, which bends what is measured.
    np.testing.assert_allclose(view.box, measured.box, atol=0.2)


def test_padding_holds_the_fill_and_the_rest_the_image() -> None:
    image = load_image(RNG.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    prepared = Preparation(lambda size: Placement(size, (-2, 1), (9, 8)), fill=(0.1, 0.2, 0.3)).prepare(image)
    expected = np.empty((9, 8, 3), dtype=np.float32)
    expected[:] = (0.1, 0.2, 0.3)
    expected[2:7, :5] = image.pixels[:, 1:]
    np.testing.assert_array_equal(prepared, np.moveaxis(expected, -1, 0))
    assert prepared.flags.c_contiguous


def test_padding_of_gray_images() -> None:
    prepared = Preparation(lambda size: Placement(size, (-1, -1), (4, 4)), channels=1).prepare(
        Image(np.full((2, 2, 3), 0.5, dtype=np.float32), "gray")
    )
    assert prepared.shape == (1, 4, 4)
    assert prepared.sum() == 2


@pytest.mark.parametrize(
    ("size", "side", "scaled"),
    [((60, 80), 30, (30, 40)), ((80, 60), 30, (40, 30)), ((7, 10), 3, (3, 4)), ((1, 1), 5, (5, 5))],
)
def test_shorter_side(size: tuple[int, int], side: int, scaled: tuple[int, int]) -> None:
    assert shorter_side(size, side) == scaled
