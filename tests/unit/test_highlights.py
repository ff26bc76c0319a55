"""Masks, masked images and boxes of chosen superpixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pytest_lime import Box, OptionError
from pytest_lime.highlights import boxes, mask, masked_image
from pytest_lime.images import View

SEGMENTS = np.kron(np.arange(8).reshape(2, 4), np.ones((5, 5), dtype=np.int64))
WEIGHTS = np.array([0.5, -0.2, 0.1, 0.0, 0.3, -0.4, 0.05, -0.01])
PLAIN = View(size=(10, 20), box=(0, 0, 20, 10), shape=(10, 20))


def shown(*superpixels: int) -> NDArray[np.int8]:
    """The mask of superpixels; those given as −n − 1 speak against the class."""
    found = np.zeros(SEGMENTS.shape, dtype=np.int8)
    for superpixel in superpixels:
        found[(superpixel if superpixel >= 0 else -superpixel - 1) == SEGMENTS] = 1 if superpixel >= 0 else -1
    return found


class TestMask:
    def test_what_speaks_for_the_class_is_1_and_against_it_minus_1(self) -> None:
        found = mask(WEIGHTS, SEGMENTS, np.array([0, 5]))
        assert found.dtype == np.int8
        np.testing.assert_array_equal(found, shown(0, -6))

    def test_nothing_chosen(self) -> None:
        assert not mask(WEIGHTS, SEGMENTS, np.array([], dtype=np.int64)).any()


class TestMaskedImage:
    PIXELS = np.random.default_rng(0).random((3, 10, 20)).astype(np.float32)

    def test_the_rest_is_hidden_or_shown(self) -> None:
        image = np.moveaxis(self.PIXELS, 0, -1)
        hidden = masked_image(self.PIXELS, shown(0, -6), hide_rest=True, painted=False)
        np.testing.assert_array_equal(hidden, np.where((shown(0, 5) != 0)[..., None], image, 0))
        assert hidden.dtype == np.float32
        whole = masked_image(self.PIXELS, shown(0, -6), hide_rest=False, painted=False)
        np.testing.assert_array_equal(whole, image)

    @pytest.mark.parametrize("hide_rest", [False, True])
    def test_paint(self, hide_rest: bool) -> None:
        found = masked_image(self.PIXELS, shown(0, -6), hide_rest=hide_rest, painted=True)
        image = np.moveaxis(self.PIXELS, 0, -1)
        assert (found[SEGMENTS == 0][:, 1] == image.max()).all()
        assert (found[SEGMENTS == 5][:, 0] == image.max()).all()
        np.testing.assert_array_equal(found[SEGMENTS == 0][:, [0, 2]], image[SEGMENTS == 0][:, [0, 2]])
        np.testing.assert_array_equal(found[SEGMENTS == 1], 0 if hide_rest else image[SEGMENTS == 1])

    def test_one_channel_is_repeated(self) -> None:
        found = masked_image(self.PIXELS[:1], shown(0), hide_rest=True, painted=False)
        assert found.shape == (10, 20, 3)
        np.testing.assert_array_equal(
            found, masked_image(self.PIXELS[[0, 0, 0]], shown(0), hide_rest=True, painted=False)
        )

    def test_the_pixels_are_left_alone(self) -> None:
        for channels in (1, 3):
            pixels = self.PIXELS[:channels].copy()
            masked_image(pixels, shown(0), hide_rest=True, painted=True)
            np.testing.assert_array_equal(pixels, self.PIXELS[:channels])


class TestBoxes:
    STRENGTH = np.abs(WEIGHTS)[SEGMENTS]

    def test_one_round_all(self) -> None:
        assert boxes(shown(0, 6), self.STRENGTH, PLAIN) == [Box(0, 0, 15, 10)]

    @pytest.mark.parametrize(
        ("superpixels", "expected"),
        [
            # 0 and 5 touch by a corner only, 0 and 4 by an edge.
            ((0, 5), [Box(0, 0, 5, 5), Box(5, 5, 10, 10)]),
            ((5, 1, 3), [Box(5, 0, 10, 10), Box(15, 0, 20, 5)]),
            ((0, 4), [Box(0, 0, 5, 10)]),
            # What speaks for the class is not joined to what speaks against it.
            ((0, -6, -2), [Box(0, 0, 5, 5), Box(5, 0, 10, 10)]),
            # The strongest first, not the upper left.
            ((2, 4), [Box(0, 5, 5, 10), Box(10, 0, 15, 5)]),
        ],
    )
    def test_one_an_area(self, superpixels: tuple[int, ...], expected: list[Box]) -> None:
        assert boxes(shown(*superpixels), self.STRENGTH, PLAIN, per="area") == expected

    @pytest.mark.parametrize("per", ["all", "area"])
    def test_of_nothing_there_is_none(self, per: str) -> None:
        assert boxes(shown(), self.STRENGTH, PLAIN, per) == []

    def test_a_superpixel_in_two_pieces_has_two_areas(self) -> None:
        pieces = np.zeros((10, 20), dtype=np.int8)
        pieces[:2, :2] = pieces[8:, 18:] = 1
        assert boxes(pieces, np.ones((10, 20)), PLAIN, "area") == [Box(0, 0, 2, 2), Box(18, 8, 20, 10)]

    @pytest.mark.parametrize(
        ("view", "expected"),
        [
            # Twice as large, and the middle cut out of a wider file.
            (View(size=(20, 60), box=(10, 0, 50, 20), shape=(10, 20)), Box(20, 0, 30, 10)),
            # Enlarged from a file of 4×2 pixels, 5 seen for one: whole pixels, outwards.
            (View(size=(2, 4), box=(0, 0, 4, 2), shape=(10, 20)), Box(1, 0, 2, 1)),
            # Ends between pixels.
            (View(size=(30, 30), box=(0.5, 0.25, 10.5, 10.25), shape=(10, 20)), Box(3, 0, 6, 6)),
            # Rounding of the view adds no pixel.
            (View(size=(10, 20), box=(1e-9, -1e-9, 20 + 1e-9, 10), shape=(10, 20)), Box(5, 0, 10, 5)),
            # Padded all round: cut at the border of the file.
            (View(size=(4, 4), box=(-8, -3, 12, 7), shape=(10, 20)), Box(0, 0, 2, 2)),
        ],
    )
    def test_in_pixels_of_the_file(self, view: View, expected: Box) -> None:
        assert boxes(shown(1), self.STRENGTH, view) == [expected]

    def test_what_is_padding_alone_has_no_box(self) -> None:
        view = View(size=(10, 10), box=(-10, 0, 10, 10), shape=(10, 20))
        assert boxes(shown(0, 1, 4), self.STRENGTH, view, "all") == []
        assert boxes(shown(0, 7), self.STRENGTH, view, "all") == [Box(5, 5, 10, 10)]
        assert boxes(shown(0, 7), self.STRENGTH, view, "area") == [Box(5, 5, 10, 10)]

    @settings(deadline=None, max_examples=100)
    @given(data=st.data())
    def test_each_is_a_region_that_covers_its_area_again(self, data: st.DataObject) -> None:
        rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
        height, width = data.draw(st.tuples(st.integers(1, 60), st.integers(1, 60)))
        x0, y0 = rng.uniform(0, width * 0.4), rng.uniform(0, height * 0.4)
        box = (x0, y0, rng.uniform(x0 + 0.5 * (width - x0), width), rng.uniform(y0 + 0.5 * (height - y0), height))
        view = View(size=(height, width), box=box, shape=(int(rng.integers(1, 40)), int(rng.integers(1, 40))))
        areas = rng.integers(-1, 2, view.shape).astype(np.int8)
        for per in ("all", "area"):
            found = boxes(areas, rng.random(view.shape), view, per)
            covered = np.zeros(view.shape, dtype=bool)
            for one in found:
                one.check(view.size, "file")
                covered |= one.project(view)
            assert covered[areas != 0].all()

    def test_no_such_extent(self) -> None:
        with pytest.raises(OptionError, match="per='areas' must be 'all' or 'area'; the nearest is 'area'"):
            boxes(shown(0), self.STRENGTH, PLAIN, "areas")
