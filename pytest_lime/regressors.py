"""Regressors: what can be fitted to the scores of one class."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_lime.errors import OptionError, one_line
from pytest_lime.least_squares import solve

__all__ = ["Fitted", "Regress", "regressor"]

Array = NDArray[np.float64]
# Lasso stops when the duality gap is below this share of the variance: scikit-learn's
# default, and so what `captum` fits. A finer one would be another answer, by up to 1e-4.
LASSO_TOLERANCE = 1e-4
# scikit-learn's 1,000 are not enough for small penalties.
LASSO_ITERATIONS = 20_000
# Of the smallest penalty under which every weight is 0: scores may be probabilities of 0.001 or logits.
LASSO_SHARE = 0.1
# MinParentSize of MATLAB's fitrtree.
TREE_MIN_SPLIT = 10


@dataclasses.dataclass(frozen=True, eq=False)
class Fitted:
    """A regressor that is fitted to the scores of one class.

    Attributes
    ----------
    weights : (p,) float64 array
        Coefficients of the p superpixels that it was given, or importances where it has none.
    intercept : float
    predict : function
        From N×p masks to N scores.
    signed : bool
        The weights are coefficients, not importances.
    """

    weights: Array
    intercept: float
    predict: Callable[[Array], Array]
    signed: bool = True


# From N×p masks, the N scores of one class and the weights of samples to what is fitted.
Regress = Callable[[Array, Array, Array], Fitted]


def regressor(surrogate: Any, alpha: float | str, seed: int) -> Regress:
    """Return the function that fits `surrogate`, as in `LimeOptions`, to N×p masks and the scores of one class.

    Raises
    ------
    OptionError
        A regressor of the user's has not what a surrogate needs; when it is fitted at the latest.
    """
    penalty = penalty_of(surrogate, alpha)
    if not isinstance(surrogate, str):
        fit = _of_the_user(surrogate)
    elif surrogate == "tree":
        fit = _tree(seed)
    elif surrogate == "lasso" and penalty != 0:
        fit = _lasso(penalty)
    else:
        fit = _ridge(penalty or 0.0)

    def regress(shown: Array, scores: Array, sample_weights: Array) -> Fitted:
        # Without a superpixel, or a sample of any weight, there is only the mean.
        if not shown.shape[1] or not sample_weights.any():
            share = sample_weights / max(float(sample_weights.sum()), np.finfo(np.float64).tiny)
            return _linear(np.zeros(shown.shape[1]), float(share @ scores))
        return fit(shown, scores, sample_weights)

    return regress


def penalty_of(surrogate: Any, alpha: float | str) -> float | None:
    """Return the penalty that `alpha` means; None is that of a lasso which takes it from the scores.

    ``"auto"`` is 0 but for lasso, and linear has none at all.
    """
    if isinstance(surrogate, str) and surrogate == "linear":
        return 0.0
    if isinstance(alpha, str):
        return None if isinstance(surrogate, str) and surrogate == "lasso" else 0.0
    return float(alpha)


def _linear(weights: Array, intercept: float) -> Fitted:
    return Fitted(weights, intercept, lambda shown: np.asarray(intercept + shown @ weights))


def _ridge(alpha: float) -> Regress:
    def fit(shown: Array, scores: Array, sample_weights: Array) -> Fitted:
        found = solve(shown, scores[:, None], sample_weights, alpha)
        return _linear(found.weights[0], float(found.intercept[0]))

    return fit


def _lasso(given: float | None) -> Regress:
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415  (scikit-learn is heavy; most fits do without)
    from sklearn.linear_model import Lasso  # noqa: PLC0415

    def fit(shown: Array, scores: Array, sample_weights: Array) -> Fitted:
        alpha = LASSO_SHARE * _largest_penalty(shown, scores, sample_weights) if given is None else given
        if alpha <= np.finfo(np.float64).eps * np.abs(scores).max():
            if given is not None:
                # A penalty below the rounding of the scores is none.
                return _ridge(0.0)(shown, scores, sample_weights)
            # But for rounding, the scores do not vary with any superpixel.
            return _linear(np.zeros(shown.shape[1]), float(np.average(scores, weights=sample_weights)))
        lasso = Lasso(alpha=alpha, tol=LASSO_TOLERANCE, max_iter=LASSO_ITERATIONS)
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            try:
                lasso.fit(shown, scores, sample_weight=sample_weights)
            except ConvergenceWarning:
                raise OptionError(
                    f"alpha={alpha:.3g} is so small that the lasso did not converge in {LASSO_ITERATIONS:,} "
                    "iterations; choose a larger one, or surrogate='linear', which has no penalty."
                ) from None
        return _linear(np.asarray(lasso.coef_, dtype=np.float64), float(lasso.intercept_))

    return fit


def _largest_penalty(shown: Array, scores: Array, sample_weights: Array) -> float:
    """Return the smallest penalty under which a lasso's weights are all 0, ``max_j |Σ π (z_j − z̄_j)(y − ȳ)| / Σ π``."""
    share = sample_weights / sample_weights.sum()
    pull = share * (scores - share @ scores)
    # What is left of its sum is rounding.
    return float(np.abs(pull @ shown - pull.sum() * (share @ shown)).max())


def _tree(seed: int) -> Regress:
    from sklearn.tree import DecisionTreeRegressor  # noqa: PLC0415  (scikit-learn is heavy; most fits do without)

    grow = _of_the_user(DecisionTreeRegressor(min_samples_split=TREE_MIN_SPLIT, random_state=seed))

    def fit(shown: Array, scores: Array, sample_weights: Array) -> Fitted:
        # scikit-learn subtracts sums of weights: of those that rounding swallows nothing is left, and NaN.
        felt = sample_weights > np.finfo(np.float64).eps * sample_weights.max()
        return grow(shown[felt], scores[felt], sample_weights[felt])

    return fit


def _of_the_user(estimator: Any) -> Regress:
    """Fit copies of `estimator`, an object with the methods of a regressor of scikit-learn."""
    from sklearn.base import clone  # noqa: PLC0415  (scikit-learn is heavy; most fits do without)

    _check_takes_weights(estimator)

    def fit(shown: Array, scores: Array, sample_weights: Array) -> Fitted:
        # An object that is none of scikit-learn's is copied as it stands.
        fresh = clone(estimator, safe=False)
        with _raised_inside(estimator, len(shown)):
            # What `fit` returns is by convention the object itself, but need not be.
            fresh.fit(shown.copy(), scores.copy(), sample_weight=sample_weights.copy())
        weights, signed = _weights_of(fresh, estimator, shown.shape[1])

        def predict(masks: Array) -> Array:
            with _raised_inside(estimator, len(masks)):
                found = fresh.predict(masks.copy())
            return _numbers(found, len(masks), estimator, "predict", f"for each of {len(masks)} samples")

        given = getattr(fresh, "intercept_", None)
        if given is None:
            hidden = predict(np.zeros((1, shown.shape[1])))
        else:
            hidden = _numbers(given, 1, estimator, "intercept_", "for the score with every superpixel hidden")
        return Fitted(weights, float(hidden[0]), predict, signed)

    return fit


@contextlib.contextmanager
def _raised_inside(estimator: Any, samples: int) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        error.add_note(f"pytest-lime: raised inside surrogate={one_line(estimator)} on {samples} samples")
        raise


def _numbers(found: Any, count: int, estimator: Any, name: str, of_what: str) -> Array:
    """Return `found`, `count` finite real numbers in rows or columns, as a flat float64 array."""
    try:
        array = np.asarray(found)
    except (TypeError, ValueError, RuntimeError):  # ragged, or a tensor that requires a gradient
        array = np.empty(0, dtype=object)
    if array.dtype.kind not in "biuf":
        fault = one_line(found)
    elif array.size != count:
        fault = f"an array of shape {array.shape}"
    else:
        with np.errstate(over="ignore"):  # an extended float may be more than a float64 holds
            numbers = np.ravel(array).astype(np.float64)
        wrong = np.flatnonzero(~np.isfinite(numbers))
        if not len(wrong):
            return numbers
        fault = f"{numbers[wrong[0]]:.4g} at place {wrong[0]}"
    raise OptionError(
        f"surrogate={one_line(estimator)} gives {fault} as its {name}; it must give one finite real number {of_what}: "
        "mend it, or pass a regressor of scikit-learn such as sklearn.linear_model.Ridge()."
    )


def _check_takes_weights(estimator: Any) -> None:
    if hasattr(estimator, "steps") and hasattr(estimator, "named_steps"):
        raise OptionError(
            f"surrogate={one_line(estimator)} is a pipeline, whose last step speaks of transformed masks and not of "
            "superpixels; pass that step alone: masks are 0 and 1 and need no scaling."
        )
    try:
        parameters = inspect.signature(estimator.fit).parameters
    except (TypeError, ValueError):  # a method in C may have no signature
        return
    if "sample_weight" in parameters or any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        return
    raise OptionError(
        f"surrogate={one_line(estimator)} must take sample_weight in its fit, since samples count by their distance "
        "from the image; pass a regressor that does, such as sklearn.linear_model.Ridge()."
    )


def _weights_of(fitted: Any, estimator: Any, count: int) -> tuple[Array, bool]:
    """Return the coefficients or importances of `fitted`, and whether they have a sign."""
    for name, signed in (("coef_", True), ("feature_importances_", False)):
        found = getattr(fitted, name, None)
        if found is None:
            continue
        # Some regressors give one row for their one target, or a sparse one.
        dense = found.toarray() if hasattr(found, "toarray") else found
        return _numbers(dense, count, estimator, name, f"for each of {count} superpixels"), signed
    raise OptionError(
        f"surrogate={one_line(estimator)} has neither coef_ nor feature_importances_ when it is fitted, so that "
        "superpixels get no weight; pass a linear model, a tree or a forest of scikit-learn."
    )
