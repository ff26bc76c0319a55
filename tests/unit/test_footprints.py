"""Footprints: what is found of a region is what the region says, found once an image, and gone with it."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pytest_lime import Box, Ellipse, Mask, Polygon, RegionError, whole
from pytest_lime import footprints as module
from pytest_lime.footprints import cut_away, distances, project_region
from pytest_lime.images import Image, View
from pytest_lime.regions import Region

SIZE = 40, 60
# A resize to 20 rows, and the middle of what that gives.
VIEW = View(size=SIZE, box=(10.0, 0.0, 50.0, 40.0), shape=(20, 20))
WHOLE = View(size=SIZE, box=(0.0, 0.0, 60.0, 40.0), shape=(40, 60))
SCATTERED = np.random.default_rng(0).random(SIZE) < 0.02
REGIONS: list[Region] = [
    Box(0, 0, 60, 40) & Box(20, 5, 31, 17),
    Ellipse(30, 20, 12, 7),
    Polygon([(5, 3), (40, 12), (22, 36)]),
    Mask(SCATTERED),
    Mask(SCATTERED) | Box(0, 0, 4, 40),
    Box(12, 8, 13, 9),
    ~Box(3, 3, 57, 37),
    ~Ellipse(30, 20, 25, 15),
]


def image_of(size: tuple[int, int] = SIZE) -> Image:
    return Image(np.zeros((*size, 3), dtype=np.float32), "cat.png")


def outside(region: Region, count: int = 200) -> NDArray[np.float64]:
    """Return points of the image that `region` does not hold: centres of pixels, and any."""
    rows, columns = np.nonzero(~region.mask(SIZE))
    rng = np.random.default_rng(0)
    places = rng.integers(0, len(rows), count)
    shifts = np.where(np.arange(count) % 2, 0.5, rng.uniform(0.001, 0.999, (2, count)))
    return np.stack([columns[places] + shifts[0], rows[places] + shifts[1]], axis=1)


class TestFigures:
    @pytest.mark.parametrize("region", REGIONS, ids=str)
    @pytest.mark.parametrize("view", [VIEW, WHOLE], ids=["cropped", "whole"])
    def test_what_the_model_sees_of_it(self, region: Region, view: View) -> None:
        if not region.project(view).any():
            with pytest.raises(RegionError, match="holds no pixel of what the model sees"):
                project_region(region, image_of(), view)
            return
        image = image_of()
        for _ in range(2):
            found = project_region(region, image, view)
            np.testing.assert_array_equal(found, region.project(view))
            assert found.dtype == np.bool_

    def test_nobody_can_change_what_others_will_get(self) -> None:
        found = project_region(REGIONS[0], image_of(), VIEW)
        with pytest.raises(ValueError, match="read-only"):
            found[0, 0] = True

    @pytest.mark.parametrize("region", REGIONS, ids=str)
    @pytest.mark.parametrize("view", [VIEW, WHOLE], ids=["cropped", "whole"])
    def test_how_much_of_it_is_cut_away(self, region: Region, view: View) -> None:
        x0, y0, x1, y1 = view.box
        inside = [
            x0 <= column + 0.5 < x1 and y0 <= row + 0.5 < y1 for row, column in np.argwhere(region.mask(SIZE)).tolist()
        ]
        assert cut_away(region, image_of(), view) == pytest.approx(1 - sum(inside) / len(inside), abs=1e-12)

    @pytest.mark.parametrize("region", REGIONS, ids=str)
    def test_how_far_points_are_from_its_nearest_pixel(self, region: Region) -> None:
        points = outside(region)
        centres = np.argwhere(region.mask(SIZE))[:, ::-1] + 0.5
        expected = np.sqrt(((points[:, None] - centres[None]) ** 2).sum(axis=2)).min(axis=1)
        np.testing.assert_allclose(distances(region, image_of(), points), expected, rtol=0, atol=1e-9)

    def test_a_region_that_is_all_of_the_image_has_its_edge(self) -> None:
        points = np.array([[-3.0, 20.5], [63.5, 20.5], [30.5, -0.5], [30.5, 40.5]])
        np.testing.assert_allclose(distances(whole(), image_of(), points), [3.5, 4, 1, 1], atol=1e-9)


CALLS: list[Callable[[Region, Image], Any]] = [
    lambda region, image: project_region(region, image, VIEW),
    lambda region, image: cut_away(region, image, VIEW),
    lambda region, image: distances(region, image, np.array([[1.0, 1.0]])),
]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Region]:
    """Each box that is drawn, once for every time."""
    calls: list[Region] = []
    mask = Box.mask

    def counted(self: Box, size: tuple[int, int]) -> NDArray[np.bool_]:
        calls.append(self)
        return mask(self, size)

    monkeypatch.setattr(Box, "mask", counted)
    return calls


@pytest.mark.parametrize("call", CALLS, ids=["project_region", "cut_away", "distances"])
class TestOnce:
    def test_for_each_image_and_region(self, call: Callable[[Region, Image], Any], drawn: list[Region]) -> None:
        region, image = Box(20, 5, 31, 17), image_of()
        call(region, image)
        first = len(drawn)
        assert first >= 1
        for _ in range(3):
            call(region, image)
        assert len(drawn) == first
        # Of the same pixels and of the same figures, but others.
        other = image_of()
        call(region, other)
        assert len(drawn) == 2 * first
        twin = Box(20, 5, 31, 17)
        call(twin, image)
        assert len(drawn) == 3 * first
        call(region, image)
        call(region, other)
        call(twin, image)
        assert len(drawn) == 3 * first

    def test_nothing_is_kept_once_the_image_is_gone(
        self, call: Callable[[Region, Image], Any], drawn: list[Region]
    ) -> None:
        region, image = Box(20, 5, 31, 17), image_of()
        call(region, image)
        del drawn[:]
        references: list[weakref.ref[Any]] = [weakref.ref(region), weakref.ref(image)]
        known = len(module._known)
        # The image alone keeps the region, lest another one take its place in memory.
        del region
        gc.collect()
        assert references[0]() is not None
        del image
        gc.collect()
        assert [reference() for reference in references] == [None, None]
        assert len(module._known) == known - 1


def test_each_view_is_another(drawn: list[Region]) -> None:
    region, image = Box(20, 5, 31, 17), image_of()
    for function in (project_region, cut_away):
        found = [function(region, image, view) for view in (VIEW, WHOLE, VIEW, WHOLE)]
        np.testing.assert_array_equal(found[0], found[2])
        np.testing.assert_array_equal(found[1], found[3])
    assert project_region(region, image, VIEW).shape == VIEW.shape
    assert project_region(region, image, WHOLE).shape == WHOLE.shape


def test_other_points_need_no_other_drawing(drawn: list[Region]) -> None:
    region, image = Box(20, 5, 31, 17), image_of()
    first = distances(region, image, np.array([[0.5, 5.5]]))
    count = len(drawn)
    second = distances(region, image, np.array([[10.5, 5.5], [40.5, 5.5]]))
    assert len(drawn) == count
    np.testing.assert_allclose([*first, *second], [20, 10, 10])


def test_an_error_is_raised_each_time() -> None:
    image = image_of()
    region = Box(0, 0, 70, 10)
    for _ in range(2):
        with pytest.raises(RegionError, match="reaches outside"):
            project_region(region, image, VIEW)
