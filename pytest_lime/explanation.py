"""An explanation: the superpixels of one image and how much each speaks for a class."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from pytest_lime.errors import OptionError, RegionError, TargetError, is_for_the_user, nearest, one_line, user_error
from pytest_lime.images import Image, View
from pytest_lime.options import LimeOptions
from pytest_lime.regions import Region, as_region, is_complement

__all__ = ["Explanation", "Figure", "find_class"]

__tracebackhide__ = is_for_the_user

Array = NDArray[np.float64]
# Standard errors by which a weight may be off when the noise of weights near 0 is reckoned with.
DOUBT = 3.0
SIGNS = ("positive", "negative", "both")


class Figure(float):
    """A number of an explanation that knows its interval and its words.

    It compares and computes like a float; ``assert explanation.mass(HEAD) >= 0.5``
    explains itself through it.

    Attributes
    ----------
    interval : (low, high)
    words : str
        What the number says, as a clause: ``"0.42 of the weight …"``.
    samples : int
    confidence : float
    """

    interval: tuple[float, float]
    words: str
    samples: int
    confidence: float

    def __new__(
        cls, value: float, *, interval: tuple[float, float], words: str, samples: int, confidence: float
    ) -> Figure:
        """Make the number `value` with what it says of itself."""
        figure = super().__new__(cls, value)
        figure.interval, figure.words = interval, words
        figure.samples, figure.confidence = samples, confidence
        return figure

    def __getnewargs_ex__(self) -> tuple[tuple[float], dict[str, Any]]:
        return (float(self),), {
            "interval": self.interval,
            "words": self.words,
            "samples": self.samples,
            "confidence": self.confidence,
        }

    def __repr__(self) -> str:
        low, high = self.interval
        return f"{float(self):.3g} [{low:.3g}, {high:.3g}]"

    __str__ = __repr__


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Explanation:
    """How much each superpixel of an image speaks for each explained class.

    Attributes
    ----------
    image : Image
        The image file, upright.
    pixels : C×H×W float32 array in [0, 1]
        What the model sees of it.
    view : View
        Which part of the file that is.
    segments : H×W int64 array
        The superpixels, numbered 0…d−1.
    unchanged : (d,) bool array
        Superpixels that look the same hidden as shown, so that their weight says nothing.
    targets, labels : tuple of int, tuple of str
        The K explained classes, the first asked for first.
    weights : K×d float64 array
        The surrogate's coefficients: by how much the score rises when a superpixel is shown.
    intercept : (K,) float64 array
    covariance : K×d×d float64 array
        Sampling covariance of the weights.
    freedom : float
        Degrees of freedom of the intervals' t distribution; infinite for an enumeration.
    rounding : (K,) float64 array
        How far the rounding of the forward passes alone may move a weight.
    r2 : (K,) float64 array
        Weighted R² of the surrogate on the samples.
    prediction : float64 array, one value a class of the model
        The model's scores of the whole image.
    class_names : tuple of str
        A label for each value of `prediction`.
    samples : int
        Masked copies that were scored.
    passes : int
        Images that the model has seen for this explanation.
    sampler : str
        How their masks were drawn.
    seconds : float
        Wall-clock time that the explanation took.
    batch_size : int
        Masked copies in one forward pass, at the end.
    device : str
    options : LimeOptions
    """

    image: Image
    pixels: NDArray[np.float32]
    view: View
    segments: NDArray[np.int64]
    unchanged: NDArray[np.bool_]
    targets: tuple[int, ...]
    labels: tuple[str, ...]
    weights: Array
    intercept: Array
    covariance: Array
    freedom: float
    rounding: Array
    r2: Array
    prediction: Array
    class_names: tuple[str, ...]
    samples: int
    passes: int
    sampler: str
    seconds: float
    batch_size: int
    device: str
    options: LimeOptions

    def __repr__(self) -> str:
        return (
            f"<Explanation of {', '.join(map(repr, self.labels))} in {self.image.name!r}: "
            f"{self.superpixels} superpixels, {self.samples} samples>"
        )

    @property
    def superpixels(self) -> int:
        """d, the number of superpixels."""
        return int(self.weights.shape[1])

    @property
    def confidence(self) -> float:
        """Level of the intervals."""
        return self.options.confidence

    @property
    def standard_errors(self) -> Array:
        """Standard errors of the weights from sampling, K×d."""
        return np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2))

    @property
    def interval(self) -> Array:
        """Intervals of the weights at `confidence`, each on its own, K×d×2; see `simultaneous_interval`."""
        return self.simultaneous_interval(comparisons=1)

    def simultaneous_interval(self, comparisons: int) -> Array:
        """Return intervals that hold at once for `comparisons` weights (Bonferroni), K×d×2.

        They are no narrower than the rounding of the forward passes, so that no verdict
        hangs on a tie that rounding breaks.
        """
        half = self._quantile(comparisons) * self.standard_errors + self.rounding[:, None]
        return np.stack([self.weights - half, self.weights + half], axis=-1)

    def _quantile(self, comparisons: int = 1) -> float:
        """Return t such that ±t standard errors hold `confidence`, for each of `comparisons` at once."""
        return float(-stdtrit(self.freedom, (1 - self.confidence) / (2 * comparisons)))

    @property
    def local_pred(self) -> Array:
        """The surrogate's scores of the whole image, (K,)."""
        return np.asarray(self.intercept + self.weights.sum(axis=1))

    @property
    def score(self) -> Array:
        """The model's scores of the whole image for the explained classes, (K,)."""
        return np.asarray(self.prediction[list(self.targets)])

    def row(self, target: Any = None) -> int:
        """Return the row of `weights` of `target`, a label or an index; None is the first."""
        if target is None:
            return 0
        index = find_class(target, self.class_names)
        if index not in self.targets:
            raise TargetError(
                f"class {self.class_names[index]!r} was not explained, only {', '.join(map(repr, self.labels))}: "
                "name every class that you need in `target`, as a list."
            )
        return self.targets.index(index)

    def rank(self, target: Any = None) -> int:
        """Return the place of `target` among all classes by the model's score; 1 is the highest.

        Of classes with the same score each has the last of their places.
        """
        index = self.targets[self.row(target)]
        return int((self.prediction >= self.prediction[index]).sum())

    def speaks(self, target: Any = None) -> bool | None:
        """Return whether any superpixel speaks for `target`; None where the samples do not tell."""
        interval = self.simultaneous_interval(self.superpixels)[self.row(target)]
        if interval[:, 0].max() > 0:
            return True
        return None if interval[:, 1].max() > 0 else False

    def heatmap(self, target: Any = None) -> Array:
        """Return the weight of the superpixel that each pixel belongs to, H×W."""
        return np.asarray(self.weights[self.row(target)][self.segments])

    @user_error
    def top(self, k: int, sign: str = "positive", min_weight: float = 0.0, target: Any = None) -> NDArray[np.int64]:
        """Return the numbers of the `k` strongest superpixels, the strongest first.

        Parameters
        ----------
        k : int
        sign : ``"positive"``, ``"negative"`` or ``"both"``
            What speaks for the class, against it, or either by magnitude.
        min_weight : float
            Leave out those of smaller magnitude. A superpixel of weight 0 speaks for nothing and is
            left out for every sign, so fewer than `k` may come back.
        target : label or index, optional

        Raises
        ------
        OptionError
            `k` is less than 1, or `sign` is not as above.
        TargetError
            The class was not explained.
        """
        if sign not in SIGNS:
            raise OptionError(
                f"sign={one_line(sign)} must be one of {', '.join(map(repr, SIGNS))}{nearest(sign, SIGNS)}."
            )
        check_k(k)
        weights = self.weights[self.row(target)]
        strength = {"positive": weights, "negative": -weights, "both": np.abs(weights)}[sign]
        order = np.argsort(-strength, kind="stable")[:k]
        kept: NDArray[np.int64] = order[(strength[order] > 0) & (strength[order] >= min_weight)]
        return kept

    def region_mask(self, region: Region) -> NDArray[np.bool_]:
        """Return `region` as the model sees it, an H×W bool array.

        Raises
        ------
        RegionError
            The region is empty, reaches outside the image, or lies in the part that the model does not see.
        """
        return project_region(region, self.image, self.view)

    def shares(self, region: Region | NDArray[np.bool_]) -> Array:
        """Return the share of each superpixel's area that lies in `region`, (d,) in [0, 1]."""
        mask = region if isinstance(region, np.ndarray) else self.region_mask(region)
        area = np.bincount(self.segments.ravel())
        return np.asarray(np.bincount(self.segments.ravel(), weights=mask.ravel()) / area)

    @user_error
    def mass(self, region: Region, target: Any = None) -> Figure:
        """Return the share of the positive weight that lies in `region`, ``Σ β⁺ r / Σ β⁺``.

        It is 0, and its interval all of [0, 1], where no superpixel has a positive weight.
        The interval joins the t interval of the ratio (delta method) with the most that
        weights near 0 can shift it: noise has a positive part too, so a plain estimate
        leans towards the region's share of the superpixels.
        """
        row = self.row(target)
        weights, shares = self.weights[row], self.shares(region)
        positive = np.maximum(weights, 0)
        total = positive.sum()
        estimate = min(1.0, float(positive @ shares / total)) if total > 0 else 0.0
        words = f"{estimate:.3g} of the weight that speaks for {self.labels[row]!r} lies in {region!r}"
        return self._figure(estimate, self._mass_interval(row, shares, estimate), words)

    def _mass_interval(self, row: int, shares: Array, estimate: float) -> tuple[float, float]:
        weights, covariance, rounding = self.weights[row], self.covariance[row], float(self.rounding[row])
        positive = np.maximum(weights, 0)
        total = float(positive.sum())
        # Where nothing speaks for the class, or the samples do not tell, a share of it has no value.
        if not np.isfinite(covariance).all() or total <= rounding * self.superpixels:
            return 0.0, 1.0
        errors = np.sqrt(np.diagonal(covariance))
        # A weight that is seen below 0 may lie above it, and count.
        pull = np.where(weights + self._quantile() * errors + rounding > 0, shares - estimate, 0.0)
        half = self._quantile() * float(np.sqrt(max(pull @ covariance @ pull, 0.0)))
        half = (half + rounding * float(np.abs(pull).sum())) / total
        with np.errstate(over="ignore"):  # without an error every weight is endlessly far from 0
            excess = errors * _noise_excess(np.abs(weights) / np.maximum(errors, np.finfo(np.float64).tiny))
        inside, outside = float(excess @ shares), float(excess @ (1 - shares))
        numerator = float(positive @ shares)
        low = (numerator - inside) / (total - inside) if total > inside else 0.0
        high = numerator / (total - outside) if total > outside else 1.0
        return max(0.0, min(low, estimate) - half), min(1.0, max(high, estimate) + half)

    @user_error
    def overlap(self, region: Region, k: int, target: Any = None) -> Figure:
        """Return how many of the `k` superpixels of largest weight lie in `region`, at least half of their area.

        A superpixel whose weight is not above 0 speaks against the class, and is not counted.

        The interval holds every count that the intervals of the weights allow, taken
        together at `confidence`; superpixels on the same side of the region's border
        need not be told apart.

        Raises
        ------
        OptionError
            `k` is less than 1 or more than the number of superpixels.
        """
        check_k(k, self.superpixels)
        row = self.row(target)
        weights, inside = self.weights[row], self.shares(region) >= 0.5
        low, high = self.simultaneous_interval(self.superpixels)[row].T
        # Only what speaks for the class at all can be among what speaks most for it.
        least, _ = overlap_bounds(low, high, inside & (low > 0), k)
        _, most = overlap_bounds(low, high, inside & (high > 0), k)
        order = np.argsort(-weights, kind="stable")
        estimate = float((inside & (weights > 0))[order[:k]].sum())
        words = f"{estimate:.0f} of the {k} superpixels that speak most for {self.labels[row]!r} lie in {region!r}"
        return self._figure(estimate, (least, most), words)

    def _figure(self, value: float, interval: tuple[float, float], words: str) -> Figure:
        return Figure(value, interval=interval, words=words, samples=self.samples, confidence=self.confidence)


def _noise_excess(steps: Array) -> Array:
    """Return a bound on ``E[(t + Z)⁺] − t⁺``, what noise adds to a positive part, in standard errors.

    Z is standard normal. The true t is unknown, and what is seen of it, `steps`, has an
    error of 1; the bound takes the worst t within `DOUBT` of what is seen.
    """
    # At 40 nothing is left of the density.
    true = np.clip(steps - DOUBT, 0.0, 40.0)
    density = np.exp(-(true**2) / 2) / np.sqrt(2 * np.pi)
    return np.asarray(np.maximum(density - true * ndtr(-true), 0.0))


def overlap_bounds(low: Array, high: Array, inside: NDArray[np.bool_], k: int) -> tuple[float, float]:
    """Return the least and the greatest number of the top `k` superpixels that can lie inside.

    In = {j : #{i≠j : U_i ≥ L_j} < k} is surely among the top k, Out = {j : #{i : L_i > U_j} ≥ k}
    surely not; the places that In leaves are taken by the rest in the worst and the best way.

    Parameters
    ----------
    low, high : (d,) float64 arrays
        Interval of each weight.
    inside : (d,) bool array
        Which superpixels lie in the region.
    """
    # Each superpixel may reach its own lower end, so it is taken off its own count.
    rivals = (high[None, :] >= low[:, None]).sum(axis=1) - 1
    ahead = (low[None, :] > high[:, None]).sum(axis=1)
    surely = rivals < k
    open_ = ~surely & (ahead < k)
    places = max(k - int(surely.sum()), 0)
    certain = int((surely & inside).sum())
    least = certain + max(0, places - int((open_ & ~inside).sum()))
    most = certain + min(places, int((open_ & inside).sum()))
    return float(least), float(most)


def check_k(k: int, superpixels: int | None = None) -> None:
    """Raise an `OptionError` unless `k` counts at least one superpixel and at most as many as there are."""
    if isinstance(k, bool) or not hasattr(k, "__index__") or k < 1:
        raise OptionError(f"k={one_line(k)} must be a whole number of at least 1.")
    if superpixels is not None and k > superpixels:
        raise OptionError(f"k={k} is more than the {superpixels} superpixels of the image; lower k, or raise segments.")


def project_region(region: Region, image: Image, view: View) -> NDArray[np.bool_]:
    """Check `region` against `image` and carry it to what the model sees."""
    as_region(region).check(image.size, image.name)
    mask = region.project(view)
    if is_complement(region) and not (~region).project(view).any():
        raise RegionError(
            f"{region!r} is all that the model sees of {image.name!r}, since {~region!r} holds no pixel of it: "
            "it is cut away or smaller than a pixel; choose another region or crop."
        )
    if not mask.any():
        x0, y0, x1, y1 = view.box
        raise RegionError(
            f"{region!r} holds no pixel of what the model sees of {image.name!r}, x {x0:.0f}…{x1:.0f} and "
            f"y {y0:.0f}…{y1:.0f} at {view.shape[1]}×{view.shape[0]}: it is cut away or smaller than a pixel; "
            "choose another region or crop."
        )
    return mask


def find_class(target: Any, class_names: tuple[str, ...]) -> int:
    """Return the index of `target`, a label or an index, among `class_names`.

    Raises
    ------
    TargetError
        There is no such label (the nearest is named), several classes have it, or the
        index is out of range.
    """
    if isinstance(target, str):
        places = [index for index, name in enumerate(class_names) if name == target] or [
            index for index, name in enumerate(class_names) if name.casefold() == target.casefold()
        ]
        if not places:
            raise TargetError(
                f"the model has no class {target!r} among its {len(class_names)} classes{nearest(target, class_names)}."
            )
        if len(places) > 1:
            raise TargetError(f"{len(places)} classes are called {target!r}; use an index, one of {places}.")
        return places[0]
    if isinstance(target, bool) or not hasattr(target, "__index__"):
        raise TargetError(f"target={one_line(target)} must be a label, an index, or None for the predicted class.")
    index = target.__index__()
    if not 0 <= index < len(class_names):
        raise TargetError(
            f"class {index} does not exist; the model has {len(class_names)} classes, 0…{len(class_names) - 1}."
        )
    return int(index)
