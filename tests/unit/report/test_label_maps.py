"""Label maps as runs."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pytest_lime.report.label_maps import LARGEST, run_lengths


def read(told: dict[str, object]) -> NDArray[np.int64]:
    runs = [tuple(map(int, run.split(":"))) for run in str(told["runs"]).split(" ")]
    flat = np.repeat([label for label, _ in runs], [length for _, length in runs])
    return flat.reshape(told["shape"])  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (13, 7), (96, 112), (112, 93)])
def test_what_is_read_is_what_was_written(shape: tuple[int, int]) -> None:
    segments = np.random.default_rng(0).integers(0, 5, shape)
    assert np.array_equal(read(run_lengths(segments)), segments)


@pytest.mark.parametrize(
    ("shape", "small"),
    [((1024, 512), (112, 56)), ((300, 900), (37, 112)), ((2000, 3), (112, 1)), ((224, 224), (112, 112))],
)
def test_a_large_map_is_reduced_to_its_nearest_pixels(shape: tuple[int, int], small: tuple[int, int]) -> None:
    rows, columns = np.indices(shape)
    segments = rows * 4 // shape[0] * 4 + columns * 4 // shape[1]
    found = read(run_lengths(segments))
    assert found.shape == small
    assert max(found.shape) == LARGEST
    if min(small) > 4:
        wanted = np.indices(small)
        assert (found == wanted[0] * 4 // small[0] * 4 + wanted[1] * 4 // small[1]).mean() > 0.95
