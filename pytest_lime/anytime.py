"""Anytime-valid intervals: right however often the samples are looked at, and whenever one stops."""

from __future__ import annotations

import math

__all__ = ["errors_either_side", "errors_to_one_side"]

# The number of units for which the intervals are the narrowest: pairs of masks, as most checks need of them.
TUNED = 250
# Any ρ is right. From here on the equation for the best of them has no answer soon, and nobody asks for it.
LARGEST_TUNED = 0.5


def errors_either_side(units: int, alpha: float) -> float:
    """Return how many standard errors an asymptotic confidence sequence reaches either side of a mean.

    ``√{2(nρ²+1)/(nρ²) · log(√(nρ²+1)/α)}`` for n units, from Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas,
    Time-uniform central limit theory and asymptotic confidence sequences, Annals of Statistics 52 (2024), arXiv
    2103.06476, theorem 2.2; ρ by its equation for the n at which the sequence is to be narrow, here 250: in most
    checks pairs of masks.

    Parameters
    ----------
    units : int
        n, the independent units that were averaged.
    alpha : float
        The chance that the mean ever, at any n, lies outside, in (0, 1).

    >>> round(errors_either_side(1000, 0.05), 2), round(errors_either_side(100, 0.05), 2)
    (3.13, 3.12)
    """
    grown = _grown(units, alpha)
    return math.sqrt(2 * (grown + 1) / grown * math.log(math.sqrt(grown + 1) / alpha))


def errors_to_one_side(units: int, alpha: float) -> float:
    """Return how many standard errors such a sequence reaches to one side, with no end on the other.

    ``√{2(nρ²+1)/(nρ²) · log(√(nρ²+1)/(2α) + 1)}``, the one-sided normal mixture of Howard, Ramdas, McAuliffe and
    Sekhon, Time-uniform, nonparametric, nonasymptotic confidence sequences, Annals of Statistics 49 (2021), with ρ
    as for two sides of α each. With a variance that is estimated it holds for many units, as the one of two sides does.

    Parameters
    ----------
    units, alpha
        As for `errors_either_side`; the mean ever lies beyond this one end with a chance of `alpha`.

    >>> round(errors_to_one_side(1000, 0.05), 2), round(errors_to_one_side(100, 0.05), 2)
    (2.87, 2.89)
    """
    grown = _grown(units, 2 * alpha)
    return math.sqrt(2 * (grown + 1) / grown * math.log(math.sqrt(grown + 1) / (2 * alpha) + 1))


def _grown(units: int, alpha: float) -> float:
    """Return nρ², with the ρ that makes the interval about the narrowest at `TUNED` units."""
    least = -2 * math.log(min(alpha, LARGEST_TUNED))
    return units * (least + math.log(least + 1)) / TUNED
