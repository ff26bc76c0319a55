"""The surrogate: a simple model of the scores, its weights, how good it is, and how sure."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_lime.errors import OptionError
from pytest_lime.least_squares import leave_units_out, pulled, solve, told_apart
from pytest_lime.regressors import Fitted, Regress, penalty_of, regressor
from pytest_lime.selection import select

__all__ = ["Fit", "fit"]

Array = NDArray[np.float64]
# Scores of a float32 network differ by about this share between batch sizes and machines.
ROUNDING = 1e-6
# Squares of much larger scores, times weights of up to 1e100, overflow. A float32 ends at 3.4e38.
LARGEST_SCORE = 1e40
FOLDS = 5
GROUPS = 20


@dataclasses.dataclass(frozen=True, eq=False)
class Fit:
    """A surrogate of K scores on d superpixels.

    Attributes
    ----------
    weights : K×d float64 array
        Coefficients, or importances of at least 0 where not `signed`; 0 for superpixels that were not selected.
    intercept : (K,) float64 array
    local_pred : (K,) float64 array
        The surrogate's scores of the whole image.
    r2 : (K,) float64 array
        Weighted coefficient of determination on the samples; 1 where the scores do not
        vary and are met, as in scikit-learn.
    r2_heldout : (K,) float64 array
        The same on samples that the surrogate has not seen; NaN where it cannot be told. For ridge and linear
        regression on all superpixels each sample (or antithetic pair) is predicted by the fit to all others
        (PRESS, Allen 1974), for others by the fit to four fifths. Where some such fit has less than half of the
        weight of samples, or its weights are worth less than two equal samples, it is NaN.
    signed : bool
        The weights have a sign.
    covariance : K×d×d float64 array
        Sampling covariance of the weights; zero for an enumeration, infinite where the
        masks do not tell: too few samples, or superpixels never hidden, or only together.
    freedom : float
        Degrees of freedom of the intervals' t distribution; infinite for an enumeration.
    rounding : (K,) float64 array
        How far the rounding of the forward passes alone may move a weight.
    """

    weights: Array
    intercept: Array
    local_pred: Array
    r2: Array
    r2_heldout: Array
    signed: bool
    covariance: Array
    freedom: float
    rounding: Array


def fit(
    masks: NDArray[np.uint8],
    scores: Array,
    sample_weights: Array,
    *,
    surrogate: Any = "ridge",
    alpha: float | str = "auto",
    feature_selection: str = "none",
    num_features: int | None = None,
    seed: int = 0,
    paired: bool = False,
    complete: bool = False,
    rounding: float = ROUNDING,
) -> Fit:
    """Fit a surrogate to the scores of masked copies, each class on its own.

    Parameters
    ----------
    masks : N×d array of 0/1
    scores : N×K float64 array
    sample_weights : (N,) float64 array
        π of each sample.
    surrogate, alpha, feature_selection, num_features
        As in `LimeOptions`; each class has its own choice of superpixels.
    seed : int
        Of a tree's choice among equal splits.
    paired : bool
        Rows 2i and 2i+1 are one antithetic pair; the pair is then the unit that is independent.
    complete : bool
        The masks are all masks there are: no sampling error.
    rounding : float
        The share of a score by which forward passes may be off.

    Raises
    ------
    OptionError
        The kernel gives no sample a weight, scores are beyond ±1e40, or a regressor of the user's has not what a
        surrogate needs.

    Notes
    -----
    Ridge and linear regression on all superpixels are solved in closed form, and their covariance is that of
    `pytest_lime.least_squares.leave_units_out`. So is that of lasso on all superpixels, as if none of them were at 0:
    then the penalty is a constant pull, and those that it holds at 0 get the error that they would have without it.
    Whatever else is fitted gets a jackknife that deletes one of 20 groups of units at a time (Kott 2001) and
    repeats the whole fit, the choice of superpixels included; a superpixel that was not chosen gets the error of
    least squares on all on top, since another sample might have chosen it.

    Intervals are round what the same surrogate finds at infinitely many samples: a penalty's pull is part of that.
    A tree's importances at a finite number of samples are off from it, too, and of that a jackknife knows nothing.
    """
    d = masks.shape[1]
    if not (np.isfinite(sample_weights).all() and sample_weights.sum() > 0):
        raise OptionError(
            f"kernel_width is too small: no sample of {d} superpixels gets a weight; choose a larger one, such as 0.25."
        )
    largest = float(np.abs(scores).max(initial=0.0))
    if largest > LARGEST_SCORE:
        raise OptionError(
            f"a surrogate cannot be fitted to scores of up to {largest:.3g}: they must be within ±{LARGEST_SCORE:g}, "
            "since their variance is no float64; divide the scores that the model returns by a constant."
        )
    samples = _Samples(masks, scores, sample_weights, paired, complete, rounding)
    count = d if num_features is None else min(num_features, d)
    chooses = feature_selection == "lasso_path" or (feature_selection != "none" and count < d)
    name, penalty = surrogate if isinstance(surrogate, str) else "", penalty_of(surrogate, alpha)
    # A lasso without a penalty is least squares, of which its algorithm is the worse one.
    if not chooses and (name in ("ridge", "linear") or (name == "lasso" and penalty == 0)):
        return _fit_closed(samples, penalty or 0.0)
    recipe = _Recipe(regressor(surrogate, alpha, seed), feature_selection, count)
    return _fit_each(samples, recipe, lasso=name == "lasso" and not chooses)


@dataclasses.dataclass(frozen=True, eq=False)
class _Samples:
    """N masks, N×K scores, N weights, and what is known of them; as the arguments of `fit`."""

    masks: NDArray[np.uint8]
    scores: Array
    weights: Array
    paired: bool
    complete: bool
    rounding: float

    @property
    def unit_of(self) -> NDArray[np.intp]:
        """The independent unit of each row, (N,)."""
        rows = np.arange(len(self.masks))
        return rows // 2 if self.paired else rows

    @property
    def units(self) -> int:
        return int(self.unit_of[-1]) + 1

    def parts(self, count: int) -> NDArray[np.intp]:
        """Deal the units at random, and always the same, into `count` parts: the part of each row."""
        order = np.random.default_rng(0).permutation(self.units)
        return order[self.unit_of] % count

    def spares(self, part_of: NDArray[np.intp]) -> bool:
        """Return whether the samples without any one part, of which `part_of` is that of each row, stand for all.

        A kernel may give nearly all weight to a few samples. Without these, a fit is of the rest alone, and its error
        on them, which counts most, is set against a variance that the rest hardly adds to: any figure may come out.
        So less than half of the weight must ever be left out, and, since one sample has no variance, what remains
        must be worth two of equal weight, by Kish's effective number ``(Σ π)² / Σ π²``.
        """
        share = self.weights / self.weights.sum()
        kept = 1 - np.bincount(part_of, share)
        squares = share @ share - np.bincount(part_of, share**2)
        # The slack is for the rounding of sums.
        return bool((kept >= 0.5 - 1e-9).all() and (kept**2 >= 2 * squares * (1 - 1e-9)).all())

    def explained(self, errors: Array) -> Array:
        """Return the share of the weighted variance of the scores that is left when `errors` remain, (K,)."""
        share = self.weights / self.weights.sum()
        means = share @ self.scores
        spread, unexplained = share @ (self.scores - means) ** 2, share @ errors**2
        # Scores that do not vary but for the rounding of their mean have no variance to explain.
        smallest = np.finfo(np.float64).eps
        constant = spread <= (len(errors) * smallest * np.abs(means)) ** 2
        met = np.where(unexplained <= smallest, 1.0, 0.0)
        return np.asarray(np.where(constant, met, 1 - unexplained / np.where(constant, 1.0, spread)))


def _fit_closed(samples: _Samples, alpha: float) -> Fit:
    """Fit ridge regression to all superpixels and classes at once."""
    found = solve(samples.masks, samples.scores, samples.weights, alpha)
    without, covariance, freedom = leave_units_out(found, paired=samples.paired)
    if samples.complete:
        covariance, freedom = _enumerated(found.told, len(found.weights))
    told = np.isfinite(without).all() and samples.spares(samples.unit_of)
    heldout = samples.explained(without) if told else np.full(len(found.intercept), np.nan)
    return Fit(
        weights=found.weights,
        intercept=found.intercept,
        local_pred=found.intercept + found.weights.sum(axis=1),
        r2=samples.explained(found.residuals),
        r2_heldout=heldout,
        signed=True,
        covariance=covariance,
        freedom=freedom,
        rounding=_rounding(samples, found.weights, signed=True),
    )


def _enumerated(told: NDArray[np.bool_], classes: int) -> tuple[Array, float]:
    """Return the covariance of K weights on all masks there are, and its degrees of freedom.

    Zero, but infinite where the kernel leaves superpixels that are not told apart.
    """
    covariance = np.zeros((classes, len(told), len(told)))
    covariance[:, ~told, :] = covariance[:, :, ~told] = np.inf
    return covariance, np.inf


@dataclasses.dataclass(frozen=True, eq=False)
class _Chosen:
    """What is fitted to one class, on the superpixels that were chosen for it."""

    columns: NDArray[np.intp]
    fitted: Fitted

    def weights(self, superpixels: int) -> Array:
        all_weights = np.zeros(superpixels)
        all_weights[self.columns] = self.fitted.weights
        return all_weights

    def predict(self, shown: Array) -> Array:
        return self.fitted.predict(_only(shown, self.columns))


@dataclasses.dataclass(frozen=True, eq=False)
class _Recipe:
    """How superpixels are chosen and fitted: all that a resampling repeats."""

    regress: Regress
    method: str
    count: int

    def fit(self, samples: _Samples, rows: NDArray[np.bool_] | slice = slice(None)) -> list[_Chosen]:
        """Choose and fit for each class on the samples of `rows`."""
        shown, weights = samples.masks[rows].astype(np.float64), samples.weights[rows]
        return [self._fit_one(shown, scores, weights) for scores in samples.scores[rows].T]

    def _fit_one(self, shown: Array, scores: Array, weights: Array) -> _Chosen:
        # Weights may underflow to 0 for all samples of a part; they then tell nothing.
        columns = select(shown, scores, weights, self.method, self.count) if weights.any() else np.arange(0)
        return _Chosen(columns, self.regress(_only(shown, columns), scores, weights))


def _only(shown: Array, columns: NDArray[np.intp]) -> Array:
    """Return some columns; where these are all, no copy of them."""
    return shown if len(columns) == shown.shape[1] else shown[:, columns]


def _predictions(fitted: list[_Chosen], masks: NDArray[np.uint8]) -> Array:
    shown = masks.astype(np.float64)
    return np.stack([one.predict(shown) for one in fitted], axis=1)


def _fit_each(samples: _Samples, recipe: _Recipe, *, lasso: bool) -> Fit:
    """Choose superpixels and fit for each class on its own; `lasso` where that is a lasso on all of them."""
    d = samples.masks.shape[1]
    found = recipe.fit(samples)
    weights = np.stack([one.weights(d) for one in found])
    errors = samples.scores - _predictions(found, samples.masks)
    signed = all(one.fitted.signed for one in found)
    least_squares = solve(samples.masks, samples.scores, samples.weights, 0.0)
    if lasso:
        least_squares = pulled(least_squares, weights, errors, paired=samples.paired)
    if samples.complete:
        covariance, freedom = _enumerated(least_squares.told, len(weights))
    else:
        _, covariance, freedom = leave_units_out(least_squares, paired=samples.paired)
    if not (lasso or samples.complete):
        unchosen = covariance
        covariance, freedom = _jackknife(samples, recipe, weights)
        if signed:
            for row, one in enumerate(found):
                others = np.setdiff1d(np.arange(d), one.columns)
                covariance[row][np.ix_(others, others)] += unchosen[row][np.ix_(others, others)]
    return Fit(
        weights=weights,
        intercept=np.array([one.fitted.intercept for one in found]),
        local_pred=np.array([one.predict(np.ones((1, d)))[0] for one in found]),
        r2=samples.explained(errors),
        r2_heldout=_heldout(samples, recipe),
        signed=signed,
        covariance=covariance,
        freedom=freedom,
        rounding=_rounding(samples, weights, signed=signed),
    )


def _rounding(samples: _Samples, weights: Array, *, signed: bool) -> Array:
    """Return how far rounding alone may move a weight, (K,).

    Importances are shares of the variance of the scores, so for them rounding counts relative to its root.
    """
    off = samples.rounding * np.abs(samples.scores).max(axis=0)
    if signed:
        return np.asarray(off)
    spread = samples.scores.std(axis=0)
    return np.asarray(np.divide(off * weights.max(axis=1), spread, out=np.zeros_like(spread), where=spread > 0))


def _heldout(samples: _Samples, recipe: _Recipe) -> Array:
    """Return the weighted R² of predictions by fits that leave out a fifth of the units at a time, (K,)."""
    fold_of = samples.parts(FOLDS)
    if samples.units < FOLDS or not samples.spares(fold_of):
        return np.full(samples.scores.shape[1], np.nan)
    errors = np.empty_like(samples.scores)
    for fold in range(FOLDS):
        out = fold_of == fold
        errors[out] = samples.scores[out] - _predictions(recipe.fit(samples, ~out), samples.masks[out])
    return samples.explained(errors)


def _jackknife(samples: _Samples, recipe: _Recipe, weights: Array) -> tuple[Array, float]:
    """Return the covariance of the weights from fits without one group of units each, and its degrees of freedom.

    The delete-a-group jackknife of Kott (2001, Journal of Official Statistics 17): ``(G−1)/G Σ (β₍g₎ − β)(β₍g₎ − β)ᵀ``
    with G − 1 degrees of freedom. It is infinite where a fit has no more units than unknowns, and for superpixels
    that some fit cannot tell apart.
    """
    d = weights.shape[1]
    groups = min(GROUPS, samples.units)
    unknowns = min(recipe.count, d) + 1
    covariance = np.full((len(weights), d, d), np.inf)
    if samples.units - -(-samples.units // groups) <= unknowns:
        return covariance, 1.0
    group_of = samples.parts(groups)
    told = np.ones(d, dtype=bool)
    moved = np.empty((groups, *weights.shape))
    for group in range(groups):
        rows = group_of != group
        told &= told_apart(samples.masks[rows], samples.weights[rows])
        moved[group] = np.stack([one.weights(d) for one in recipe.fit(samples, rows)]) - weights
    covariance = np.einsum("gki,gkj->kij", moved, moved) * (groups - 1) / groups
    covariance[:, ~told, :] = covariance[:, :, ~told] = np.inf
    return covariance, float(groups - 1)
