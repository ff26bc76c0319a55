"""Regions: known areas, combinations, and what is told of wrong ones."""

import hashlib
import math
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PILImage
from skimage.draw import polygon2mask

from pytest_lime import Box, Ellipse, Mask, Polygon, Region, RegionError, whole
from pytest_lime.footprints import project_region
from pytest_lime.images import Image, View
from pytest_lime.regions import check_region, region_sha256

SIZE = (8, 12)  # height, width
SHAPES: list[Region] = [
    Box(1, 2, 5, 6),
    Ellipse(6, 4, 3, 2),
    Polygon([(0, 0), (8, 0), (0, 8)]),
    Mask(np.arange(96).reshape(SIZE) % 5 == 0),
    whole(),
]


@pytest.mark.parametrize(
    ("region", "pixels"),
    [
        (Box(0, 0, 2, 1), 2),
        (Box(0, 0, 12, 8), 96),
        (Box(0.5, 0.5, 2.5, 1.5), 2),  # the border on a centre belongs to the left and the top
        (Box(0.6, 0.6, 2.4, 1.4), 0),
        (Box(-1, -1, 1, 1), 1),
        (whole(), 96),
        (~whole(), 0),
        (~Box(0, 0, 2, 1), 94),
        (Box(0, 0, 4, 4) | Box(2, 2, 6, 6), 28),
        (Box(0, 0, 4, 4) & Box(2, 2, 6, 6), 4),
        (Polygon([(0, 0), (6, 0), (6, 4), (0, 4)]), 24),
        (Ellipse(6, 4, 0.8, 0.8), 4),
        (Ellipse(1.5, 1.5, 1, 1), 5),
    ],
)
def test_known_areas_in_pixels(region: Region, pixels: int) -> None:
    mask = region.mask(SIZE)
    assert mask.shape == SIZE
    assert mask.dtype == np.bool_
    assert mask.sum() == pixels


@pytest.mark.parametrize("step", [None, 0.5, 8.0, 10.0], ids=["anywhere", "halves", "tiles", "tens"])
@pytest.mark.parametrize("spread", [40.0, 1e4, 1e12])
def test_a_polygon_is_what_scikit_image_fills(step: float | None, spread: float) -> None:
    """Also where it crosses itself, runs through centres, lies outside, and is more than some tiles wide."""
    rng = np.random.default_rng(0)
    inside = 0
    for size in [(1, 1), (1, 60), (7, 9), (8, 16), (90, 50), (200, 300)] * 7:
        # Of every distance up to the farthest, so that some lie within.
        points = rng.normal(size=(int(rng.integers(3, 12)), 2)) * np.geomspace(10, spread, 40)[rng.integers(40)] + 30
        points = points if step is None else np.round(points / step) * step + 0.5
        if len(np.unique(points, axis=0)) < 3:
            continue
        filled = polygon2mask(size, points[:, ::-1] - 0.5)
        found = Polygon([(float(x), float(y)) for x, y in points]).mask(size)
        np.testing.assert_array_equal(found, filled)
        # As bytes, too: 0 and 1.
        assert found.tobytes() == filled.tobytes()
        inside += filled.any() and not filled.all()
    assert inside > 2


@pytest.mark.parametrize("side", [50, 100, 200])
def test_areas_approach_those_of_geometry(side: int) -> None:
    # Pixels that the outline crosses are right to half a pixel on average, and there are about `side` of them.
    radius = side * 0.4
    disc = Ellipse(side / 2, side / 2, radius, radius).mask((side, side)).sum()
    assert disc == pytest.approx(math.pi * radius**2, abs=side / 2)
    triangle = Polygon([(0, 0), (side, 0), (0, side)]).mask((side, side)).sum()
    assert triangle == pytest.approx(side**2 / 2, abs=side)


def test_a_box_lies_where_its_coordinates_say() -> None:
    rows, columns = np.nonzero(Box(3, 1, 6, 2).mask(SIZE))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (1, 1, 3, 5)


@pytest.mark.parametrize("region", SHAPES, ids=repr)
@pytest.mark.parametrize("other", SHAPES, ids=repr)
def test_combinations_are_those_of_sets(region: Region, other: Region) -> None:
    a, b = region.mask(SIZE), other.mask(SIZE)
    np.testing.assert_array_equal((region | other).mask(SIZE), a | b)
    np.testing.assert_array_equal((region & other).mask(SIZE), a & b)
    np.testing.assert_array_equal((~region).mask(SIZE), ~a)
    assert ~~region is region


@pytest.mark.parametrize(
    ("region", "text"),
    [
        (Box(1, 2, 3.5, 4), "Box(1, 2, 3.5, 4)"),
        (Ellipse(1, 2, 3, 4), "Ellipse(1, 2, 3, 4)"),
        (Polygon([(0, 0), (1, 0), (0, 1)]), "Polygon([(0, 0), (1, 0), (0, 1)])"),
        (
            Polygon([(0, 0), (1, 0), (2, 1), (1, 2), (0, 2)]),
            "Polygon([(0, 0), (1, 0), (2, 1), (1, 2), … 5 points])",
        ),
        (Mask(np.ones((2, 3))), "Mask(<array of 3×2 pixels>)"),
        (~whole(), "~whole()"),
        (Box(0, 0, 1, 1) | Box(1, 1, 2, 2) | whole(), "Box(0, 0, 1, 1) | Box(1, 1, 2, 2) | whole()"),
        (~(Box(0, 0, 1, 1) | whole()), "~(Box(0, 0, 1, 1) | whole())"),
        (Box(0, 0, 1, 1) & (whole() | Box(1, 1, 2, 2)), "Box(0, 0, 1, 1) & (whole() | Box(1, 1, 2, 2))"),
    ],
)
def test_reprs(region: Region, text: str) -> None:
    assert repr(region) == text


def test_the_repr_of_a_combination_is_code_for_it() -> None:
    region = ~(Box(1, 1, 3, 3) | Ellipse(6, 4, 3, 2)) & (Box(0, 0, 9, 9) | Polygon([(0, 0), (8, 0), (0, 8)]))
    again: Region = eval(repr(region))
    assert again == region


@pytest.mark.parametrize("region", SHAPES, ids=repr)
def test_regions_pickle(region: Region) -> None:
    copy = pickle.loads(pickle.dumps(region))
    np.testing.assert_array_equal(copy.mask(SIZE), region.mask(SIZE))
    assert repr(copy) == repr(region)


@pytest.mark.parametrize("other", [None, 3, np.ones(SIZE, dtype=bool)])
def test_only_regions_combine(other: Any) -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        _ = whole() | (other if not isinstance(other, np.ndarray) else "array")
    with pytest.raises(TypeError, match="unsupported operand"):
        _ = whole() & (other if not isinstance(other, np.ndarray) else "array")


@pytest.mark.parametrize(
    ("shape", "arguments", "words"),
    [
        (
            Box,
            (
                5,
                0,
                5,
                1,
            ),
            "x0 < x1",
        ),
        (
            Box,
            (
                0,
                3,
                5,
                1,
            ),
            "not a corner with width and height",
        ),
        (
            Box,
            (
                "1",
                0,
                5,
                1,
            ),
            "x0='1' must be a number",
        ),
        (
            Box,
            (
                0,
                math.nan,
                5,
                1,
            ),
            "y0=nan must be a number",
        ),
        (
            Box,
            (
                0,
                0,
                math.inf,
                1,
            ),
            "x1=inf",
        ),
        (
            Box,
            (
                0,
                0,
                5,
                True,
            ),
            "y1=True",
        ),
        (
            Ellipse,
            (
                0,
                0,
                0,
                1,
            ),
            "both radii",
        ),
        (
            Ellipse,
            (
                0,
                None,
                1,
                1,
            ),
            "cy=None",
        ),
        (Polygon, (3,), "list of points"),
        (Polygon, ([(0, 0), (1, 1)],), "at least three"),
        (Polygon, ([(0, 0), (1, 1), 2],), "point 2 is 2"),
        (Polygon, ([(0, 0), (1, 1), "ab"],), "point 2 is 'ab'"),
        (Polygon, ([(0, 0), (1, 1), (1, "a")],), "y of point 2='a'"),
        (Polygon, ([(0, 0), (1, 0), (2, 0)],), "one line"),
        (Mask, (np.ones((2, 2, 2)),), "H×W"),
        (Mask, (np.ones((0, 2)),), "H×W"),
        (Mask, (np.array([["a"]]),), "H×W"),
        (Mask, (np.array([[np.nan]]),), "NaN"),
        (Mask, ("nowhere.png",), "does not exist"),
    ],
)
def test_a_region_that_cannot_be_is_refused_when_it_is_made(shape: Any, arguments: tuple[Any, ...], words: str) -> None:
    with pytest.raises(RegionError) as caught:
        shape(*arguments)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "region",
    [
        Box(0, 0, 14, 4),
        Box(-2, 0, 4, 4),
        Ellipse(6, 4, 3, 6),
        Polygon([(0, 0), (20, 0), (0, 5)]),
        Box(0, 0, 4, 4) | Box(0, 0, 4, 20),
        ~Box(0, 0, 4, 20),
        whole() | (Box(0, 0, 20, 4) & Box(0, 0, 20, 6)),
        # What `~` turns round is not cut by what stands beside it.
        ~(Box(0, 0, 4, 4) | Box(0, 0, 14, 4)),
    ],
    ids=repr,
)
def test_coordinates_outside_the_image_are_told(region: Region) -> None:
    words = r" on image 'cat\.png', which is 12×8 pixels, reaches outside of it \(from x=.* to x=.*& whole\(\)`\.$"
    with pytest.raises(RegionError, match=words):
        check_region(region, SIZE, "cat.png")


def test_the_part_that_reaches_outside_is_named_with_its_coordinates() -> None:
    with pytest.raises(RegionError) as caught:
        check_region(whole() | (Box(1, 1, 3, 3) | ~Ellipse(10, 4, 5, 2.5)), SIZE, "cat.png")
    told = "Ellipse(10, 4, 5, 2.5) on image 'cat.png', which is 12×8 pixels, reaches outside of it (from x=5, y=1.5 to "
    assert str(caught.value).startswith(f"{told}x=15, y=6.5): ")


@pytest.mark.parametrize(
    ("region", "pixels"),
    [
        (Box(-1, -1, 13, 9), 96),  # annotation tools round outwards
        (Box(-50, -50, 4, 4) & whole(), 16),
        (whole() & Box(-50, -50, 4, 4), 16),
        ((Box(-50, 0, 4, 4) | Box(0, 0, 60, 1)) & whole(), 24),
        ((Box(-50, 0, 4, 4) & Box(-30, 0, 2, 4)) & whole(), 8),
        (Box(-50, 0, 4, 4) & Box(2, 0, 60, 4), 8),
    ],
    ids=repr,
)
def test_what_whole_or_another_region_cuts_is_no_mistake(region: Region, pixels: int) -> None:
    assert check_region(region, SIZE, "cat.png").sum() == pixels


@pytest.mark.parametrize(
    "region",
    [
        ~whole(),
        Box(0, 0, 2, 2) & Box(5, 5, 7, 7),
        Mask(np.zeros(SIZE)),
        Box(0.6, 0.6, 1.4, 1.4),
        # An empty part would be lost in the rest.
        ~Mask(np.zeros(SIZE)),
        whole() | Mask(np.zeros(SIZE)),
        whole() & Box(0.6, 0.6, 1.4, 1.4),
        whole() | ~(Box(0, 0, 2, 2) & Box(5, 5, 7, 7)),
        Box(-50, 0, -20, 4) & whole(),
    ],
    ids=repr,
)
def test_an_empty_region_is_told(region: Region) -> None:
    with pytest.raises(RegionError, match=r"on image 'cat\.png', which is 12×8 pixels, is empty") as caught:
        check_region(region, SIZE, "cat.png")
    assert "shares of the image" not in str(caught.value)


@pytest.mark.parametrize(
    "region",
    [
        Box(0.1, 0.1, 0.4, 0.45),
        Box(0.1, 0.2, 0.9, 0.8),
        Box(0, 0, 0.5, 1),
        Ellipse(0.5, 0.5, 0.25, 0.25),
        Polygon([(0.1, 0.1), (0.9, 0.1), (0.5, 1)]),
        ~Box(0.1, 0.2, 0.9, 0.8),
        whole() | Box(0, 0, 0.5, 1),
        whole() & Box(0, 0, 1, 0.75),
    ],
    ids=repr,
)
def test_shares_of_the_image_are_recognised(region: Region) -> None:
    with pytest.raises(RegionError, match="coordinates are pixels, not shares of the image"):
        check_region(region, SIZE, "cat.png")


def test_the_first_pixel_is_a_region() -> None:
    for region in (Box(0, 0, 1, 1), ~~Box(0, 0, 1, 1), Box(0, 0, 1, 1) & whole(), Polygon([(0, 0), (1, 0), (1, 1)])):
        assert check_region(region, SIZE, "cat.png").sum() <= 1
    assert check_region(Box(0, 0, 1, 1) | Box(3, 3, 4, 4), SIZE, "cat.png").sum() == 2
    assert check_region(~Box(0, 0, 1, 1), SIZE, "cat.png").sum() == 95


def test_the_only_pixel_of_an_image_is_a_region() -> None:
    assert check_region(Box(0, 0, 1, 1), (1, 1), "dot.png").tolist() == [[True]]


@pytest.mark.parametrize(
    "combine",
    [
        lambda mask: mask,
        lambda mask: ~mask,
        lambda mask: mask & whole(),
        lambda mask: (mask | Box(0, 0, 1, 1)) & whole(),
        lambda mask: ~(mask & whole()) & Box(0, 0, 4, 4),
    ],
)
def test_a_mask_of_another_size_is_told_wherever_it_stands(combine: Any) -> None:
    with pytest.raises(RegionError, match=r"is 8×12 pixels and image 'cat\.png' is 12×8"):
        check_region(combine(Mask(np.ones((12, 8)))), SIZE, "cat.png")


class Own(Region):
    """A region of a user's own, which may be wrong."""

    def __init__(self, returned: Any) -> None:
        self.returned = returned

    def __repr__(self) -> str:
        return "Own()"

    def bounds(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        return 0.0, 0.0, float(size[1]), float(size[0])

    def mask(self, size: tuple[int, int]) -> Any:
        return self.returned


@pytest.mark.parametrize("returned", [None, [[True]], np.ones(SIZE), np.ones((8, 8), dtype=bool)])
@pytest.mark.parametrize("combine", [lambda own: own, lambda own: ~own, lambda own: whole() | own])
def test_what_a_region_of_ones_own_returns_is_checked(returned: Any, combine: Any) -> None:
    with pytest.raises(
        RegionError, match=r"^Own\(\): its method mask must return a bool array of shape \(8, 12\), not"
    ):
        check_region(combine(Own(returned)), SIZE, "cat.png")


# The file has 8×12 pixels, and the model sees columns 1 to 11 of it at 3×5: neither sides nor centres fall together.
VIEW = View(size=SIZE, box=(1.0, 0.0, 11.0, 8.0), shape=(3, 5))

# One that covers the pixels of the file here and there, but three of five.
CLOSED = [*SHAPES[:3], Mask(np.arange(96).reshape(SIZE) % 5 < 3), whole()]


class TestProject:
    @pytest.mark.parametrize("region", [*CLOSED, Box(2, 1, 7, 5), Box(0, 0, 4, 4) | Box(6, 2, 11, 7)], ids=repr)
    def test_a_region_and_all_but_it_share_no_pixel_and_leave_none(self, region: Region) -> None:
        if region is whole():
            assert region.project(VIEW).all()
            assert not (~region).project(VIEW).any()
            return
        inside, outside = region.project(VIEW), (~region).project(VIEW)
        np.testing.assert_array_equal(outside, ~inside)
        np.testing.assert_array_equal((region & ~region).project(VIEW), np.zeros(VIEW.shape, dtype=bool))
        assert (region | ~region).project(VIEW).all()

    def test_half_of_a_pixel_counts_for_one_of_the_two_only(self) -> None:
        view = View(size=(2, 4), box=(0.0, 0.0, 4.0, 2.0), shape=(1, 2))
        left = Box(0, 0, 3, 2)
        assert left.project(view).tolist() == [[True, True]]
        # By its own area, the other half of the second pixel would count, too.
        assert view.project((~left).mask(view.size)).tolist() == [[False, True]]
        assert (~Box(0, 0, 1, 2)).project(view).tolist() == [[False, True]]

    @pytest.mark.parametrize("first", SHAPES, ids=repr)
    @pytest.mark.parametrize("second", SHAPES, ids=repr)
    def test_combinations_cover_half_and_agree_with_their_parts(self, first: Region, second: Region) -> None:
        a, b = first.project(VIEW), second.project(VIEW)
        either, both = (VIEW.project(region.mask(SIZE)) for region in (first | second, first & second))
        np.testing.assert_array_equal((first | second).project(VIEW), a | b | either)
        np.testing.assert_array_equal((first & second).project(VIEW), a & b & both)

    def test_parts_too_thin_alone_count_together(self) -> None:
        view = View(size=(18, 90), box=(0.0, 0.0, 90.0, 18.0), shape=(1, 5))
        strips: Region = Box(0, 0, 6, 18)
        for left in range(6, 90, 6):
            strips = strips | Box(left, 0, left + 6, 18)
        assert strips.project(view).all()
        assert not (Box(0, 0, 11, 18) & Box(8, 0, 18, 18)).project(view).any()

    def test_beyond_the_image_nothing_belongs_to_any_region(self) -> None:
        padded = View(size=(4, 4), box=(-4.0, 0.0, 8.0, 4.0), shape=(4, 12))
        file = np.zeros((4, 12), dtype=bool)
        file[:, 4:8] = True
        np.testing.assert_array_equal(whole().project(padded), file)
        outside = (~Box(0, 0, 2, 4)).project(padded)
        assert (np.flatnonzero(outside.any(axis=0)) == [6, 7]).all()

    @pytest.mark.parametrize("region", [Box(0, 0, 1, 8), Box(2, 2, 3, 3)], ids=repr)
    def test_all_but_what_the_model_does_not_see_is_told(self, region: Region) -> None:
        # Cut away by the crop, or smaller than half a pixel of the model.
        image = Image(np.zeros((*SIZE, 3), dtype=np.float32), "cat.png")
        assert not region.project(VIEW).any()
        with pytest.raises(RegionError, match=r"is all that the model sees of 'cat.png', since .* holds no pixel"):
            project_region(~region, image, VIEW)
        # Beside another region something is left, and nothing is wrong.
        assert project_region(Box(2, 0, 8, 8) & ~region, image, VIEW).any()


INSIDE = np.zeros(SIZE, dtype=bool)
INSIDE[2:5, 3:9] = True


def save(picture: PILImage.Image, folder: Path, name: str = "mask.png") -> Path:
    path = folder / name
    picture.save(path)
    return path


def test_mask_files_of_every_mode(tmp_path: Path) -> None:
    eight = PILImage.fromarray(INSIDE.astype(np.uint8) * 255)
    indexed = PILImage.fromarray(INSIDE.astype(np.uint8))
    indexed.putpalette([255, 255, 255, 0, 0, 0] + [0] * 762)  # colour 0 is white: the index counts, not the colour
    pictures = {
        "one.png": PILImage.fromarray(INSIDE),
        "gray.png": eight,
        "faint.png": PILImage.fromarray(INSIDE.astype(np.uint8)),
        "sixteen.png": PILImage.fromarray(INSIDE.astype(np.uint16) * 300),
        "indexed.png": indexed,
        "colour.png": PILImage.merge("RGB", [PILImage.new("L", (12, 8)), eight, PILImage.new("L", (12, 8))]),
    }
    for name, picture in pictures.items():
        mask = Mask(save(picture, tmp_path, name))
        np.testing.assert_array_equal(mask.mask(SIZE), INSIDE, err_msg=name)
        assert repr(mask) == f"Mask({str(tmp_path / name)!r})"


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_decides_where_something_is_transparent(tmp_path: Path, mode: str) -> None:
    white = PILImage.new(mode[:-1], (12, 8), "white")
    # White all over: the colour of what is transparent says nothing. Half and more is opaque.
    alpha = np.where(INSIDE, 255, 127).astype(np.uint8)
    alpha[2, 3] = 128
    white.putalpha(PILImage.fromarray(alpha))
    assert white.mode == mode
    np.testing.assert_array_equal(Mask(save(white, tmp_path)).inside, INSIDE)
    black = PILImage.new(mode[:-1], (12, 8), "black")
    black.putalpha(PILImage.fromarray(alpha))
    np.testing.assert_array_equal(Mask(save(black, tmp_path)).inside, INSIDE)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_colour_decides_where_nothing_is_transparent(tmp_path: Path, mode: str) -> None:
    picture = PILImage.fromarray(INSIDE.astype(np.uint8) * 255).convert(mode[:-1])
    picture.putalpha(255)
    assert picture.mode == mode
    np.testing.assert_array_equal(Mask(save(picture, tmp_path)).inside, INSIDE)


@pytest.mark.parametrize("name", ["mask.jpg", "mask.png"])
def test_jpeg_is_refused_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    PILImage.fromarray(INSIDE.astype(np.uint8) * 255).save(path, format="JPEG")
    with pytest.raises(RegionError) as caught:
        Mask(path)
    assert str(caught.value) == f"Mask({str(path)!r}): JPEG blurs the border of a mask; save it as PNG."


def test_a_file_that_is_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    path.write_text("not a picture", encoding="utf-8")
    with pytest.raises(RegionError, match="no readable picture"):
        Mask(path)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32, np.float64])
def test_mask_arrays_of_every_kind(dtype: type) -> None:
    np.testing.assert_array_equal(Mask(INSIDE.astype(dtype)).inside, INSIDE)


@pytest.mark.parametrize(
    "convert",
    [
        lambda inside: inside.tolist(),
        lambda inside: inside.astype(int).tolist(),
        torch.from_numpy,
        lambda inside: torch.from_numpy(inside.astype(np.float32)).requires_grad_(),
    ],
    ids=["bools", "numbers", "tensor", "tensor with gradient"],
)
def test_mask_lists_and_tensors(convert: Any) -> None:
    np.testing.assert_array_equal(Mask(convert(INSIDE)).inside, INSIDE)


@pytest.mark.parametrize(
    "source",
    [[[1, 0], [1]], [1, 0], 3, None, object(), torch.ones(1, 4, 6), torch.ones(2, 2, dtype=torch.bfloat16), [["a"]]],
    ids=["ragged", "a row", "a number", "None", "an object", "three axes", "bfloat16", "words"],
)
def test_masks_that_are_none(source: Any) -> None:
    with pytest.raises(RegionError, match=r"^Mask.*(is|are) no mask; it must be"):
        Mask(source)


def test_a_mask_does_not_change_with_the_array_it_came_from() -> None:
    array = INSIDE.copy()
    mask = Mask(array)
    array[:] = True
    np.testing.assert_array_equal(mask.inside, INSIDE)
    with pytest.raises(ValueError, match="read-only"):
        mask.inside[0, 0] = True


class TestHash:
    def test_every_region_has_its_own(self) -> None:
        listed = [*SHAPES, *(~region for region in SHAPES), SHAPES[0] | SHAPES[1], SHAPES[1] | SHAPES[0]]
        listed += [SHAPES[0] & SHAPES[1], Box(1, 2, 5, 6.000000001), Mask(np.ones(SIZE)), Mask(np.ones(SIZE[::-1]))]
        assert len({region_sha256(region, SIZE) for region in listed}) == len(listed)

    @pytest.mark.parametrize("region", SHAPES, ids=repr)
    def test_it_is_that_of_the_region_and_not_of_the_object(self, region: Region) -> None:
        again = pickle.loads(pickle.dumps(region))
        assert region_sha256(again, SIZE) == region_sha256(region, SIZE)
        assert region_sha256(~~region, SIZE) == region_sha256(region, SIZE)
        assert re.fullmatch("[0-9a-f]{64}", region_sha256(region, SIZE))

    def test_it_is_the_same_in_every_version(self) -> None:
        known = hashlib.sha256(b"Box(1.0, 2.0, 5.0, 6.0)").hexdigest()
        assert region_sha256(Box(1, 2, 5, 6), SIZE) == known

    def test_a_region_of_ones_own_is_known_by_its_pixels(self) -> None:
        masks = [np.zeros(SIZE, dtype=bool) for _ in range(2)]
        masks[1][0, 0] = True
        first, second, same = Own(masks[0]), Own(masks[1]), Own(masks[0].copy())
        assert region_sha256(first, SIZE) == region_sha256(same, SIZE) != region_sha256(second, SIZE)
