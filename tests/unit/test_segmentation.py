"""Superpixels: their number, their order, and the borders of regions."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pytest_lime.errors import SegmentationError
from pytest_lime.images import View, resize_pixels
from pytest_lime.segmentation import align, grid, relabel, segment


def view_of(height: int, width: int) -> View:
    return View(size=(height, width), box=(0, 0, width, height), shape=(height, width))


def patches(height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    """A picture with structure: smooth patches of colour, about four a side, and a little noise."""
    rng = np.random.default_rng(seed)
    smooth = resize_pixels(rng.random((4, 4, 3), dtype=np.float32), (height, width), interpolation="bicubic")
    return np.clip(smooth + 0.02 * rng.random((height, width, 3)), 0, 1).astype(np.float32)


def cut(pixels: NDArray[np.float32], **options: Any) -> NDArray[np.int64]:
    defaults = {"segmenter": "slic", "segments": 50, "view": view_of(*pixels.shape[:2])}
    return segment(pixels, **{**defaults, **options})


def assert_numbered(labels: NDArray[np.int64]) -> None:
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(np.unique(labels), np.arange(labels.max() + 1))


class TestGrid:
    @pytest.mark.parametrize(
        ("shape", "segments", "cells"),
        [
            ((64, 64), 16, (4, 4)),
            ((64, 64), 49, (7, 7)),
            ((30, 60), 50, (5, 10)),
            ((60, 30), 50, (10, 5)),
            ((8, 80), 10, (1, 10)),
            ((3, 3), 1000, (3, 3)),
            ((1, 5), 2, (1, 2)),
        ],
    )
    def test_known_cells(self, shape: tuple[int, int], segments: int, cells: tuple[int, int]) -> None:
        labels = grid(shape, segments)
        assert labels.shape == shape
        assert_numbered(labels)
        assert (len(np.unique(labels[:, 0])), len(np.unique(labels[0]))) == cells
        assert labels.max() + 1 == cells[0] * cells[1]

    @settings(deadline=None)
    @given(st.integers(1, 60), st.integers(1, 60), st.integers(2, 200))
    def test_cells_are_of_nearly_one_size_and_numbered_without_gaps(
        self, height: int, width: int, segments: int
    ) -> None:
        labels = grid((height, width), segments)
        assert_numbered(labels)
        rows, columns = len(np.unique(labels[:, 0])), len(np.unique(labels[0]))
        area = np.bincount(labels.ravel())
        assert area.max() <= (height // rows + 1) * (width // columns + 1)
        assert area.min() >= (height // rows) * (width // columns)


class TestSlic:
    @pytest.mark.parametrize("shape", [(96, 96), (64, 128), (150, 100)])
    @pytest.mark.parametrize("segments", [20, 50, 100])
    def test_about_as_many_as_asked_for(self, shape: tuple[int, int], segments: int) -> None:
        labels = cut(patches(*shape), segments=segments)
        assert_numbered(labels)
        # SLIC starts from a grid of about so many, and joins what its clustering tears apart.
        assert 0.5 * segments <= labels.max() + 1 <= 1.5 * segments

    def test_the_same_picture_gives_the_same_superpixels(self) -> None:
        pixels = patches(80, 80)
        np.testing.assert_array_equal(cut(pixels), cut(pixels.copy()))

    def test_superpixels_follow_colours(self) -> None:
        pixels = np.zeros((64, 64, 3), dtype=np.float32)
        pixels[:, 29:] = (1, 0, 0)
        labels = cut(pixels, segments=16)
        left, right = set(labels[:, :29].ravel()), set(labels[:, 29:].ravel())
        mixed = np.isin(labels, list(left & right)).mean()
        # The smoothing of one pixel before SLIC may leave a thin seam, no more.
        assert mixed < 0.1

    def test_gray_is_cut_as_equal_channels_are(self) -> None:
        gray = patches(64, 64)[:, :, :1]
        np.testing.assert_array_equal(cut(gray), cut(np.repeat(gray, 3, axis=2)))

    def test_a_picture_too_small(self) -> None:
        with pytest.raises(SegmentationError, match=r"1×1 pixels has one superpixel only .* choose segmenter='grid'"):
            cut(np.zeros((1, 1, 3), dtype=np.float32))


PIXELS = patches(12, 16)
QUARTERS = np.kron([[0, 1], [2, 3]], np.ones((6, 8), dtype=np.int64))


class TestLabelMaps:
    @pytest.mark.parametrize(
        "labels",
        [QUARTERS, QUARTERS + 1, QUARTERS * 10, QUARTERS - 4, QUARTERS.astype(np.uint8), QUARTERS.astype(np.int16) - 2],
        ids=["as is", "from 1", "gaps", "negative", "bytes", "around 0"],
    )
    def test_numbers_become_0_to_d_in_their_own_order(self, labels: NDArray[Any]) -> None:
        np.testing.assert_array_equal(cut(PIXELS, segmenter=labels), QUARTERS)

    def test_two_halves_as_booleans(self) -> None:
        np.testing.assert_array_equal(cut(PIXELS, segmenter=QUARTERS >= 2), QUARTERS // 2)

    def test_a_map_of_the_files_size_is_carried_through_the_crop(self) -> None:
        # The model sees columns 4…28 and rows 2…20 of the file at half the resolution.
        view = View(size=(24, 36), box=(4, 2, 28, 20), shape=(9, 12))
        file_map = np.arange(24 * 36).reshape(24, 36) // 4
        labels = cut(patches(9, 12), segmenter=file_map, view=view)
        # Pixel (r, c) of the model has its centre at (2 + 2r + 1, 4 + 2c + 1) in the file.
        expected = file_map[3:21:2, 5:29:2]
        np.testing.assert_array_equal(labels, relabel(expected))

    def test_a_map_of_the_files_size_ends_at_the_border_of_the_file_under_padding(self) -> None:
        view = View(size=(4, 4), box=(-2, 0, 6, 4), shape=(4, 8))
        file_map = np.arange(16).reshape(4, 4)
        labels = cut(patches(4, 8), segmenter=file_map, view=view)
        np.testing.assert_array_equal(labels, np.pad(file_map, ((0, 0), (2, 2)), mode="edge"))

    def test_another_size_is_told_with_the_right_ones(self) -> None:
        view = View(size=(24, 36), box=(0, 0, 36, 24), shape=(12, 16))
        with pytest.raises(SegmentationError, match=r"is 5×4 pixels; .* \(36×24\) or of what the model sees \(16×12\)"):
            cut(PIXELS, segmenter=np.zeros((4, 5), dtype=int), view=view)

    def test_one_superpixel_is_too_few(self) -> None:
        with pytest.raises(SegmentationError, match=r"one superpixel only .* 2 to 1,000 labels"):
            cut(PIXELS, segmenter=np.zeros((12, 16), dtype=int))

    def test_a_region_that_cuts_the_only_superpixel_in_two_is_enough(self) -> None:
        labels = cut(PIXELS, segmenter=np.zeros((12, 16), dtype=int), regions=[QUARTERS >= 2])
        np.testing.assert_array_equal(labels, QUARTERS // 2)

    @pytest.mark.parametrize("side", [32, 256])
    def test_more_than_a_thousand_are_too_many(self, side: int) -> None:
        # 65,536 with a region would need a matrix of 34 GB if the split came before the count.
        labels = np.arange(side**2).reshape(side, side)
        with pytest.raises(SegmentationError, match=f"has {side**2:,} superpixels; at most 1,000"):
            cut(patches(side, side), segmenter=labels, regions=[labels % 2 == 0])

    def test_a_split_may_make_too_many(self) -> None:
        labels = np.kron(np.arange(600).reshape(20, 30), np.ones((2, 2), dtype=int))
        checker = np.indices(labels.shape).sum(axis=0) % 2 == 0
        with pytest.raises(SegmentationError, match="has 1,200 superpixels"):
            cut(patches(40, 60), segmenter=labels, regions=[checker])


def shares(labels: NDArray[np.int64], region: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.asarray(np.bincount(labels.ravel(), weights=region.ravel()) / np.bincount(labels.ravel()))


def boxes(shape: tuple[int, int]) -> st.SearchStrategy[NDArray[np.bool_]]:
    """Rectangles that hold a pixel of the image at least."""

    def paint(corners: tuple[int, int, int, int]) -> NDArray[np.bool_]:
        mask = np.zeros(shape, dtype=bool)
        mask[min(corners[:2]) : max(corners[:2]) + 1, min(corners[2:]) : max(corners[2:]) + 1] = True
        return mask

    rows, columns = st.integers(0, shape[0] - 1), st.integers(0, shape[1] - 1)
    return st.tuples(rows, rows, columns, columns).map(paint)


class TestAlign:
    def test_without_regions_nothing_changes(self) -> None:
        assert align(QUARTERS, []) is QUARTERS

    def test_a_region_that_is_a_union_already_changes_nothing(self) -> None:
        np.testing.assert_array_equal(align(QUARTERS, [QUARTERS == 2, QUARTERS >= 2]), QUARTERS)

    def test_a_superpixel_is_split_where_the_region_cuts_it(self) -> None:
        region = np.zeros((12, 16), dtype=bool)
        region[:, :4] = True
        labels = align(QUARTERS, [region])
        assert labels.max() + 1 == 6
        np.testing.assert_array_equal(np.unique(labels[region]), np.unique(labels[:, 0]))

    @settings(deadline=None, max_examples=60)
    @given(st.lists(boxes((24, 30)), min_size=1, max_size=3), st.sampled_from([4, 12, 30, 100]))
    def test_every_region_is_a_union_of_superpixels(self, regions: list[NDArray[np.bool_]], segments: int) -> None:
        labels = align(grid((24, 30), segments), regions)
        assert_numbered(labels)
        for region in regions:
            assert set(np.unique(shares(labels, region))) <= {0.0, 1.0}

    def test_slic_is_aligned_too(self) -> None:
        region = np.zeros((64, 64), dtype=bool)
        region[13:40, 17:50] = True
        labels = cut(patches(64, 64), regions=[region, ~region])
        assert set(np.unique(shares(labels, region))) == {0.0, 1.0}

    def test_a_sliver_joins_the_neighbour_of_its_side_with_the_longest_border(self) -> None:
        labels = np.kron([[0, 1, 2]], np.ones((10, 10), dtype=np.int64))
        region = np.zeros((10, 30), dtype=bool)
        region[:, :11] = True  # one column, 10 pixels, of superpixel 1
        region[:5, 11] = True
        joined = align(labels, [region])
        # 10 pixels and 5 are more than a tenth of 100, so they stay …
        assert joined.max() + 1 == 4
        region[:, 10:] = False
        region[:9, 10] = True
        # … and 9 are less: they become part of superpixel 0, and nothing of them stays behind.
        joined = align(labels, [region])
        assert joined.max() + 1 == 3
        assert (joined[region] == joined[0, 0]).all()
        assert (joined[~region] != joined[0, 0]).all()

    def test_a_sliver_alone_on_its_side_stays(self) -> None:
        region = np.zeros((12, 16), dtype=bool)
        region[5, 7] = True
        labels = align(QUARTERS, [region])
        assert labels.max() + 1 == 5
        assert (labels == labels[5, 7]).sum() == 1

    def test_slivers_that_together_are_large_enough_stay_together(self) -> None:
        # A region of 3×3 pixels where four superpixels meet: four slivers, together 9 of an average 48.
        region = np.zeros((12, 16), dtype=bool)
        region[5:8, 6:9] = True
        labels = align(QUARTERS, [region])
        assert set(np.unique(shares(labels, region))) == {0.0, 1.0}
        assert len(np.unique(labels[region])) == 1

    def test_what_has_grown_enough_is_no_sliver_any_more(self) -> None:
        # Superpixels 10, 6 and 24 columns wide, 133 pixels on average; a piece under 13.3 is a sliver.
        labels = np.repeat([[0] * 10 + [1] * 6 + [2] * 24], 10, axis=0)
        region = np.zeros((10, 40), dtype=bool)
        region[:2, 6:10] = True  # 8 pixels of superpixel 0
        region[0, 10:16] = region[1, 10] = True  # 7 of superpixel 1, with a border of 2 to those and 1 to the next
        region[:, 16:26] = True  # 100 of superpixel 2
        aligned = align(labels, [region])
        # The 7 join the 8, and the 15 are large enough: they do not go on into the 100.
        inside = [int((aligned == label).sum()) for label in np.unique(aligned[region])]
        assert sorted(inside) == [15, 100]

    def test_a_small_superpixel_that_no_border_cuts_stays(self) -> None:
        labels = QUARTERS.copy()
        labels[0, 0] = 9
        region = np.zeros((12, 16), dtype=bool)
        region[:, 12:] = True
        aligned = align(relabel(labels), [region])
        assert (aligned == aligned[0, 0]).sum() == 1


def test_relabel_keeps_the_order() -> None:
    np.testing.assert_array_equal(relabel(np.array([[7, -3], [100, 7]])), [[1, 0], [2, 1]])
