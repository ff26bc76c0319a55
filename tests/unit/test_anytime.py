"""Intervals that hold at every look: against the formula written otherwise, and by simulation."""

import math

import numpy as np
import pytest
from scipy import optimize, stats

from pytest_lime.anytime import TUNED, errors_either_side, errors_to_one_side


def boundary(units: int, alpha: float, rho: float) -> float:
    """Return the boundary in standard errors, ``√{2(nρ²+1)/(n²ρ²) · log(√(nρ²+1)/α)} · √n``, as it is published."""
    n = np.float64(units)
    return float(np.sqrt(2 * (n * rho**2 + 1) / (n**2 * rho**2) * np.log(np.sqrt(n * rho**2 + 1) / alpha)) * np.sqrt(n))


@pytest.mark.parametrize("alpha", [0.2, 0.1, 0.05, 0.01, 1e-3, 1e-6])
@pytest.mark.parametrize("units", [1, 2, 10, 100, TUNED, 1000, 4000, 10**6])
def test_it_is_the_published_formula(units: int, alpha: float) -> None:
    # The published ρ for the narrowest interval at n: √{(−2 log α + log(−2 log α + 1)) / n}.
    rho = math.sqrt((-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / TUNED)
    assert errors_either_side(units, alpha) == pytest.approx(boundary(units, alpha, rho), rel=1e-12)


@pytest.mark.parametrize("alpha", [0.1, 0.05, 0.01, 1e-4])
def test_it_is_about_the_narrowest_at_the_number_that_it_is_tuned_to(alpha: float) -> None:
    best = optimize.minimize_scalar(lambda log: boundary(TUNED, alpha, math.exp(log)), bounds=(-8, 2), method="bounded")
    # The equation for ρ drops a term that hardly matters.
    assert best.fun <= errors_either_side(TUNED, alpha) <= 1.01 * best.fun


@pytest.mark.parametrize("alpha", [0.1, 0.05, 0.01, 1e-4])
@pytest.mark.parametrize("units", [10, 100, 1000, 10**5])
def test_it_is_wider_than_one_look_needs_but_not_by_much(units: int, alpha: float) -> None:
    plain = stats.norm.isf(alpha / 2)
    assert 1.15 < errors_either_side(units, alpha) / plain < 3.2


def test_a_smaller_chance_of_error_is_a_wider_interval() -> None:
    for units in (10, 1000):
        widths = [errors_either_side(units, alpha) for alpha in (0.2, 0.1, 0.05, 0.01, 1e-9)]
        assert widths == sorted(widths)
        assert len(set(widths)) == 5


@pytest.mark.parametrize("alpha", [0.999, 0.9, 0.5, 0.4, 0.25])
@pytest.mark.parametrize("units", [20, 250, 10**5])
def test_hardly_any_confidence_is_a_narrow_interval_and_no_error(units: int, alpha: float) -> None:
    for errors in (errors_either_side, errors_to_one_side):
        assert max(stats.norm.isf(alpha / 2), 0.5) < errors(units, alpha) < errors(units, 0.01)


def test_more_units_are_a_narrower_interval_of_the_mean() -> None:
    units = np.unique(np.geomspace(1, 10**7, 200).astype(int))
    of_the_mean = [errors_either_side(int(n), 0.05) / math.sqrt(n) for n in units]
    assert of_the_mean == sorted(of_the_mean, reverse=True)


@pytest.mark.parametrize("alpha", [0.1, 0.05, 0.01, 1e-4, 1e-9])
@pytest.mark.parametrize("units", [50, 100, 1000, 10**5])
def test_one_side_reaches_less_far_than_two_and_more_than_one_look_needs(units: int, alpha: float) -> None:
    assert stats.norm.isf(alpha) < errors_to_one_side(units, alpha) < errors_either_side(units, alpha)
    # Of two sides of α each, either is about one of these; it is the wider one, since both sides may miss.
    assert 1 < errors_to_one_side(units, alpha) / errors_either_side(units, 2 * alpha) < 1.1


@pytest.mark.parametrize("alpha", [0.1, 0.05, 0.01, 1e-4])
def test_one_side_has_a_chance_of_missing_that_the_mixture_bounds(alpha: float) -> None:
    """Ville's inequality: where the path touches the bound, the mixture over drifts of one sign is at least 1/α."""
    for units in (20, 250, 3000):
        grown = units * (-2 * math.log(2 * alpha) + math.log(-2 * math.log(2 * alpha) + 1)) / TUNED
        z = errors_to_one_side(units, alpha)
        # Normal drifts above 0 of variance ρ²: 2 Φ(z √(x/(1+x))) exp(z² x / (2 (1+x))) / √(1+x), x = nρ².
        share = grown / (1 + grown)
        mixture = 2 * stats.norm.cdf(z * math.sqrt(share)) * math.exp(z**2 * share / 2) / math.sqrt(1 + grown)
        assert mixture >= 1 / alpha


def test_it_is_right_at_every_look_at_once_and_the_plain_interval_is_not() -> None:
    """Means of standard normal numbers, looked at after every 10 of 1,000, from 30 on."""
    runs, alpha = 2000, 0.05
    looks = np.arange(30, 1001, 10)
    draws = np.random.default_rng(0).standard_normal((runs, 1000))
    totals, squares = np.cumsum(draws, axis=1), np.cumsum(draws**2, axis=1)
    means = totals[:, looks - 1] / looks
    variances = (squares[:, looks - 1] - looks * means**2) / (looks - 1)
    # How many standard errors the mean is away from 0, which it estimates.
    away = np.abs(means) / np.sqrt(variances / looks)

    def missed(widths: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
        return float((away > widths).any(axis=1).mean())

    anytime = missed(np.array([errors_either_side(int(n), alpha) for n in looks]))
    assert anytime <= alpha + 3 * math.sqrt(alpha * (1 - alpha) / runs)
    # An interval that is never wrong would prove nothing.
    assert anytime > 0
    beyond = (means / np.sqrt(variances / looks) > [errors_to_one_side(int(n), alpha) for n in looks]).any(axis=1)
    assert 0 < beyond.mean() <= alpha + 3 * math.sqrt(alpha * (1 - alpha) / runs)
    assert missed(np.full(len(looks), stats.norm.isf(alpha / 2))) > 0.12
