"""Heatmaps in steps and smooth, against enlargements whose answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from pytest_lime import OptionError
from pytest_lime.heatmaps import heatmap
from pytest_lime.segmentation import grid, relabel

# A sum of sixteen products of numbers of size 1.
EXACT = 1e-14


def blobs(height: int, width: int, pieces: int, seed: int = 0) -> NDArray[np.int64]:
    """Superpixels of no regular form: the pixels nearest to random centres."""
    rng = np.random.default_rng(seed)
    centres = rng.random((pieces, 2)) * (height, width)
    place = np.moveaxis(np.indices((height, width)), 0, -1)[:, :, None] + 0.5
    return relabel(((place - centres) ** 2).sum(axis=-1).argmin(axis=-1))


class TestNearest:
    def test_each_pixel_has_the_weight_of_its_superpixel(self) -> None:
        segments = np.array([[0, 1, 1], [2, 2, 1]])
        found = heatmap(np.array([0.5, -1.0, 0.25]), segments)
        assert found.tolist() == [[0.5, -1, -1], [0.25, 0.25, -1]]
        assert found.dtype == np.float64


class TestBicubicOfAGrid:
    def test_one_step_by_hand(self) -> None:
        # Keys: at a distance of ¼ the four taps have −9, 111, 29 and −3 of 128; the border is mirrored.
        found = heatmap(np.array([0.0, 0.0, 1.0, 1.0]), grid((1, 8), 4, rows=1, columns=4), "bicubic")[0]
        inner = 26 / 128  # the two taps on the right at ¼ before the middle
        np.testing.assert_allclose(found, [0, 0, 0, inner, 1 - inner, 1, 1, 1], atol=EXACT)

    @pytest.mark.parametrize(("rows", "columns", "scale"), [(7, 7, 32), (6, 9, 5), (5, 12, 4)])
    def test_inside_it_is_what_pillow_makes(self, rows: int, columns: int, scale: int) -> None:
        # An implementation of its own of the same kernel; it treats the border in another way.
        weights = np.random.default_rng(0).random(rows * columns)
        segments = grid((rows * scale, columns * scale), 0, rows=rows, columns=columns)
        small = Image.fromarray(weights.reshape(rows, columns).astype(np.float32))
        peer = np.asarray(small.resize((columns * scale, rows * scale), Image.Resampling.BICUBIC))
        inside = (slice(2 * scale, -2 * scale), slice(2 * scale, -2 * scale))
        peer = np.clip(peer, weights.min(), weights.max())
        # Pillow computes in float32.
        np.testing.assert_allclose(heatmap(weights, segments, "bicubic")[inside], peer[inside], atol=1e-6)

    def test_a_plane_stays_a_plane(self) -> None:
        # Cubic convolution reproduces straight lines where no tap is mirrored.
        segments = grid((60, 80), 0, rows=6, columns=8)
        weights = np.add.outer(2.0 * np.arange(6), 3.0 * np.arange(8)).ravel()
        plane = np.add.outer(2 * ((np.arange(60) + 0.5) / 10 - 0.5), 3 * ((np.arange(80) + 0.5) / 10 - 0.5))
        found = heatmap(weights, segments, "bicubic")
        np.testing.assert_allclose(found[15:-15, 15:-15], plane[15:-15, 15:-15], atol=1e-12)

    def test_where_each_pixel_is_a_superpixel_nothing_changes(self) -> None:
        segments = np.arange(12).reshape(3, 4)
        weights = np.random.default_rng(0).normal(size=12)
        np.testing.assert_allclose(heatmap(weights, segments, "bicubic"), heatmap(weights, segments), atol=EXACT)

    def test_cells_as_even_as_whole_pixels_allow(self) -> None:
        segments = grid((23, 31), 0, rows=4, columns=5)
        weights = np.random.default_rng(0).normal(size=20)
        middle = heatmap(weights, segments, "bicubic")[[2, 8, 14, 20]][:, [3, 9, 15, 21, 27]]
        np.testing.assert_allclose(middle, weights.reshape(4, 5), atol=0.3)


class TestBicubicOfAnythingElse:
    @pytest.mark.parametrize("shape", [(224, 224), (31, 90), (90, 7), (8, 8)])
    @pytest.mark.parametrize("pieces", [2, 5, 50])
    def test_finite_within_the_range_and_of_the_shape(self, shape: tuple[int, int], pieces: int) -> None:
        segments = blobs(*shape, pieces)
        weights = np.random.default_rng(1).normal(size=segments.max() + 1)
        found = heatmap(weights, segments, "bicubic")
        assert found.shape == shape
        assert found.dtype == np.float64
        assert np.isfinite(found).all()
        assert weights.min() <= found.min()
        assert found.max() <= weights.max()

    def test_it_is_high_where_the_weights_are(self) -> None:
        segments = blobs(200, 200, 40)
        weights = np.zeros(segments.max() + 1)
        weights[segments[100, 100]] = 1.0
        found = heatmap(weights, segments, "bicubic")
        inside = segments == segments[100, 100]
        assert found[inside].mean() > 4 * found[~inside].mean()
        assert inside[np.unravel_index(found.argmax(), found.shape)]

    def test_a_grid_of_uneven_cells_is_no_regular_one(self) -> None:
        # A column of one pixel would otherwise fill a third of the picture.
        segments = np.repeat([[0, 1, 2]], 30, axis=0).repeat([1, 14, 15], axis=1)
        found = heatmap(np.array([1.0, 0.0, 0.0]), segments, "bicubic")
        assert found.mean() < 0.1

    def test_superpixels_of_several_cells_are_no_regular_grid(self) -> None:
        segments = grid((40, 40), 16) // 2
        found = heatmap(np.arange(8.0), segments, "bicubic")
        assert np.isfinite(found).all()


@pytest.mark.parametrize("upsampling", ["nearest", "bicubic"])
class TestBoth:
    @settings(deadline=None, max_examples=30)
    @given(seed=st.integers(0, 2**32 - 1), regular=st.booleans())
    def test_the_numbers_of_superpixels_do_not_matter(self, upsampling: str, seed: int, regular: bool) -> None:
        rng = np.random.default_rng(seed)
        segments = grid((24, 30), 20) if regular else blobs(24, 30, 15, seed)
        weights = rng.normal(size=segments.max() + 1)
        order = rng.permutation(len(weights))
        renumbered = np.empty_like(weights)
        renumbered[order] = weights
        np.testing.assert_array_equal(
            heatmap(renumbered, order[segments], upsampling), heatmap(weights, segments, upsampling)
        )

    @pytest.mark.parametrize("value", [0.0, 0.1, -1e300])
    def test_equal_weights_make_one_colour(self, upsampling: str, value: float) -> None:
        for segments in (grid((10, 10), 4), blobs(10, 10, 4)):
            assert (heatmap(np.full(segments.max() + 1, value), segments, upsampling) == value).all()

    def test_the_image_of_one_pixel(self, upsampling: str) -> None:
        assert heatmap(np.array([0.3]), np.zeros((1, 1), dtype=np.int64), upsampling).tolist() == [[0.3]]

    def test_the_sign_follows_the_weights(self, upsampling: str) -> None:
        segments = blobs(30, 30, 9)
        weights = np.random.default_rng(0).normal(size=segments.max() + 1)
        np.testing.assert_allclose(
            heatmap(-weights, segments, upsampling), -heatmap(weights, segments, upsampling), atol=EXACT
        )


@pytest.mark.parametrize(
    ("upsampling", "words"), [("bicubik", "the nearest is 'bicubic'"), ("linear", "one of 'nearest'"), (3, "=3 must")]
)
def test_no_such_upsampling(upsampling: str, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        heatmap(np.zeros(2), np.array([[0, 1]]), upsampling)
