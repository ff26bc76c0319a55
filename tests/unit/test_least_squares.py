"""The closed form in chunks: against matrices written out, at any number of rows at a time, and its memory."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pytest_lime import least_squares
from pytest_lime.kernels import cosine_distance, exponential, pixel_cosine_distance, pixel_euclidean_distance
from pytest_lime.least_squares import chunks, leave_units_out, moments, pulled, solve, told_apart
from pytest_lime.surrogate import fit

Masks = NDArray[np.uint8]
Array = NDArray[np.float64]
# The same sums in another order, in float64, on matrices with a condition number below 1e4.
ALGEBRA = 1e-9


def samples(d: int, n: int, classes: int = 2) -> tuple[Masks, Array, Array]:
    """Masks, curved scores and the kernel's weights."""
    rng = np.random.default_rng(n)
    masks = rng.integers(0, 2, (n, d), dtype=np.uint8)
    scores = np.tanh(masks @ rng.normal(size=(d, classes)) / 2) + 0.1 * rng.normal(size=(n, classes))
    return masks, scores, exponential(cosine_distance(masks), 0.25)


@pytest.mark.parametrize("count", [0, 1, 2, 2047, 2048, 2049, 10_000])
def test_chunks_make_up_all_rows_and_part_no_pair(count: int) -> None:
    slices = list(chunks(count))
    assert [row for rows in slices for row in range(count)[rows]] == list(range(count))
    assert all(rows.start % 2 == 0 for rows in slices)


def test_moments_are_those_of_matrices_written_out() -> None:
    masks, scores, weights = samples(6, 5000)
    share = weights / weights.sum()
    centred, varied = masks - share @ masks, scores - share @ scores
    mean_shown, gram, moment = moments(masks, scores, share)
    np.testing.assert_allclose(mean_shown, share @ masks, rtol=1e-12)
    np.testing.assert_allclose(gram, (centred * share[:, None]).T @ centred, rtol=0, atol=1e-14)
    np.testing.assert_allclose(moment, (centred * share[:, None]).T @ varied, rtol=0, atol=1e-14)


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("n", [100, 101])
def test_residuals_without_the_own_unit_are_those_of_the_hat_matrix(n: int, paired: bool) -> None:
    masks, scores, weights = samples(6, n)
    found = solve(masks, scores, weights, 0.5)
    centred = masks - found.mean_shown
    hat = found.share * (1 + centred @ found.inverse @ centred.T)
    expected = np.empty_like(scores)
    size = 2 if paired else 1
    for start in range(0, n, size):
        own = slice(start, min(start + size, n))
        expected[own] = np.linalg.solve(np.eye(own.stop - start) - hat[own, own], found.residuals[own])
    np.testing.assert_allclose(leave_units_out(found, paired=paired)[0], expected, rtol=ALGEBRA)


@pytest.mark.parametrize("rows", [2, 16, 100, 102])
@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("n", [100, 101])
class TestAnyNumberOfRowsAtATime:
    def test_gives_the_same_fit(self, n: int, paired: bool, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
        masks, scores, weights = samples(6, n)
        options: list[dict[str, Any]] = [{}, {"alpha": 2.0}, {"surrogate": "lasso"}]
        whole = [fit(masks, scores, weights, paired=paired, **one) for one in options]
        monkeypatch.setattr(least_squares, "ROWS", rows)
        for one, wanted in zip(options, whole, strict=True):
            found = fit(masks, scores, weights, paired=paired, **one)
            for name in ("weights", "intercept", "r2", "r2_heldout", "covariance"):
                np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), rtol=ALGEBRA, atol=1e-12)

    def test_finds_what_one_unit_alone_tells(
        self, n: int, paired: bool, rows: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        masks, scores, weights = samples(6, n)
        masks[:, 1] = 1
        masks[60, 1] = 0
        monkeypatch.setattr(least_squares, "ROWS", rows)
        found = solve(masks, scores, weights, 0.0)
        assert found.told.all()
        without, covariance, _ = leave_units_out(found, paired=paired)
        assert np.isinf(without[60]).all()
        assert np.isinf(covariance[:, 1, 1]).all()
        assert not told_apart(np.delete(masks, 60, axis=0), np.delete(weights, 60))[1]
        assert told_apart(masks, weights).all()


@pytest.mark.parametrize("paired", [False, True])
def test_a_pull_of_nothing_changes_nothing(paired: bool) -> None:
    found = solve(*samples(6, 101), 0.0)
    same = pulled(found, found.weights, found.residuals, paired=paired)
    np.testing.assert_array_equal(same.residuals, found.residuals)
    for ours, theirs in zip(leave_units_out(same, paired=paired), leave_units_out(found, paired=paired), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def peak_of(function: Any, *arguments: Any, **options: Any) -> int:
    """Bytes that are allocated at most beyond those that were."""
    function(*arguments, **options)
    tracemalloc.start()
    try:
        function(*arguments, **options)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


class TestMemory:
    FEW, MANY = 4000, 20_000
    D, CLASSES = 100, 2

    @pytest.mark.parametrize("paired", [False, True])
    @pytest.mark.parametrize(
        "options", [{}, {"alpha": 1.0}, {"surrogate": "linear"}, {"surrogate": "lasso", "alpha": 0}], ids=str
    )
    def test_of_the_closed_form_no_matrix_grows_with_the_samples(self, options: dict[str, Any], paired: bool) -> None:
        few, many = (
            peak_of(fit, *samples(self.D, n, self.CLASSES), paired=paired, **options) for n in (self.FEW, self.MANY)
        )
        # Some ten numbers for each sample and class: weights, residuals, and what r² makes of them. The masks in
        # float64 would be a hundred.
        numbers = 10 * (1 + self.CLASSES)
        assert many - few <= 8 * numbers * (self.MANY - self.FEW)

    @pytest.mark.parametrize("between", [pixel_cosine_distance, pixel_euclidean_distance])
    def test_of_distances_of_pixels_neither(self, between: Any) -> None:
        segments = np.arange(self.D).reshape(10, 10)
        image, fill = np.random.default_rng(0).normal(size=(2, 3, 10, 10))
        few, many = (peak_of(between, samples(self.D, n)[0], image, fill, segments) for n in (self.FEW, self.MANY))
        assert many - few <= 8 * 10 * (self.MANY - self.FEW)
