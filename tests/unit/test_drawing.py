"""Colours, borders and places, on maps small enough to know the answer; reports are tested with their pictures."""

import numpy as np
import pytest

from pytest_lime.drawing import (
    MOST_OPAQUE,
    Card,
    border_runs,
    faded,
    figure_words,
    interior_point,
    legend_colours,
    opacity,
    relative,
    scale_colours,
    shade,
)


class TestColours:
    def test_shades_are_the_scale_s_colours_with_their_opacity(self) -> None:
        strength = np.linspace(-1, 1, 41)
        rgba = shade(strength)
        assert rgba.dtype == np.uint8
        assert ["#{:02x}{:02x}{:02x}".format(*rgb) for rgb in rgba[:, :3].tolist()] == legend_colours(41)
        assert rgba[:, 3].tolist() == [round(255 * opacity(one)) for one in strength.tolist()]

    def test_of_any_shape(self) -> None:
        strength = np.linspace(-1, 1, 6).reshape(2, 3)
        np.testing.assert_array_equal(shade(strength).reshape(6, 4), shade(strength.ravel()))
        assert scale_colours(np.float64(0) + np.zeros((2, 3))).shape == (2, 3, 3)

    def test_beyond_the_ends_is_the_end(self) -> None:
        np.testing.assert_array_equal(shade(np.array([-7.0, 7.0])), shade(np.array([-1.0, 1.0])))
        assert opacity(7.0) == MOST_OPAQUE

    def test_relative_to_the_largest_magnitude(self) -> None:
        assert relative(np.array([0.5, -2.0, 0.0])).tolist() == [0.25, -1, 0]
        assert relative(np.array([0.5, -2.0]), 4.0).tolist() == [0.125, -0.5]
        assert relative(np.array([np.nan, np.inf, 1.0])).tolist() == [0, 0, 1]
        assert relative(np.zeros(2)).tolist() == [0, 0]

    def test_faded_is_gray_and_light(self) -> None:
        photo = np.array([[[0, 0, 0], [1, 1, 1], [0, 1, 0]]], dtype=np.float32)
        found = faded(photo)
        np.testing.assert_allclose(found[0, :, 0], [0.5, 1, 0.5 + 0.7152 / 2], atol=1e-6)
        assert (found == found[..., :1]).all()
        assert found.dtype == np.float32


class TestBorders:
    def test_runs(self) -> None:
        labels = np.array([[0, 0, 1], [0, 0, 1], [2, 2, 2]])
        vertical, horizontal = border_runs(labels)
        assert vertical == [(2, 0, 2)]
        assert horizontal == [(2, 0, 3)]

    def test_one_label_has_none(self) -> None:
        assert border_runs(np.zeros((3, 4), dtype=int)) == ([], [])
        assert border_runs(np.zeros((1, 1), dtype=int)) == ([], [])

    def test_they_are_as_long_as_labels_differ(self) -> None:
        labels = np.random.default_rng(0).integers(0, 3, (20, 30))
        vertical, horizontal = border_runs(labels)
        assert sum(stop - start for _, start, stop in vertical) == np.count_nonzero(np.diff(labels, axis=1))
        assert sum(stop - start for _, start, stop in horizontal) == np.count_nonzero(np.diff(labels, axis=0))


class TestInteriorPoint:
    def test_the_middle_of_a_square(self) -> None:
        mask = np.zeros((20, 20), dtype=bool)
        mask[5:10, 7:12] = True
        assert interior_point(mask) == (9.5, 7.5)

    def test_it_lies_inside_even_a_ring(self) -> None:
        rows, columns = np.indices((40, 40)) - 20
        mask = (np.hypot(rows, columns) < 18) & (np.hypot(rows, columns) > 10)
        x, y = interior_point(mask)
        assert mask[int(y), int(x)]


class TestWords:
    @pytest.mark.parametrize(
        ("value", "words"), [(0.12345, "0.123"), (-0.5, "−0.5"), (1e-9, "1e−09"), (0.0, "0"), (-np.inf, "−inf")]
    )
    def test_numbers(self, value: float, words: str) -> None:
        assert figure_words(value) == words

    def test_the_sign(self) -> None:
        assert figure_words(0.5, sign=True) == "+0.5"

    @pytest.mark.parametrize(("weights", "limit"), [([0.5, -2.0], 2.0), ([0.0], 0.0)])
    def test_the_end_of_the_scale(self, weights: list[float], limit: float) -> None:
        card = Card(
            label="cat",
            standing="",
            weights=np.array(weights),
            interval=np.zeros((len(weights), 2)),
            confidence=0.95,
            signed=True,
            top=[],
            facts=[],
            warnings=[],
        )
        assert card.limit == limit
