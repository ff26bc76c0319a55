"""An explanation: the superpixels of one image and how much each speaks for a class."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from pytest_lime import heatmaps, highlights, notebooks, plots, storage
from pytest_lime.agreement import OCCLUSION, check_opinions, describe_opinion, rank_agreement, why_undefined
from pytest_lime.anytime import errors_either_side, errors_to_one_side
from pytest_lime.drawing import Card, figure_words
from pytest_lime.errors import OptionError, RegionError, TargetError, is_for_the_user, nearest, one_line, user_error
from pytest_lime.footprints import project_region
from pytest_lime.images import Image, View
from pytest_lime.options import LimeOptions, as_whole_number, check_number
from pytest_lime.positives import share_interval
from pytest_lime.rankings import Differences, Order, above_and_below, comparisons, iou, iou_bounds, overlap_bounds
from pytest_lime.regions import Box, Region, as_region, check_region
from pytest_lime.reliability import APART, FEW_ALIVE, POOR, UNLIKE
from pytest_lime.surrogate import Fit, fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Plot

__all__ = ["Explanation", "Figure", "find_class", "fit_samples"]

__tracebackhide__ = is_for_the_user

Array = NDArray[np.float64]
SIGNS = ("positive", "negative", "both")
# A notebook lists so many superpixels of so many classes.
LISTED = 5
SHOWN = 5
# A sample in which this share of the whole image's score is left counts as alive.
ALIVE = 0.1
# A superpixel that is more of the image than this says little of where the model looks.
HALF = 0.5


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

    The three outputs of imageLIME of MATLAB are `heatmap()`, `segments` and ``weights[0]``.

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
    r2, r2_heldout : (K,) float64 arrays
        Weighted R² of the surrogate on the samples that it was fitted to, and on samples that it was not;
        NaN where there are too few to tell.
    local_pred : (K,) float64 array
        The surrogate's scores of the whole image.
    signed : bool
        Whether weights have a sign; those of a tree say only how much a superpixel matters.
    prediction : float64 array, one value a class of the model
        The model's scores of the whole image.
    class_names : tuple of str
        A label for each value of `prediction`.
    masks : N×d uint8 array
        The samples: 1 shows a superpixel.
    sample_scores : N×K float64 array
        The model's scores of each sample for the explained classes.
    sample_weights : (N,) float64 array
        How much each sample counts, by the kernel.
    paired, complete : bool
        Whether samples 2i and 2i+1 are complements of each other; whether they are all that there are.
    anytime : bool
        Whether the intervals hold at every look at once, since the samples were looked at as they came in.
    passes : int
        Images that the model has seen for this explanation.
    sampler : str
        How the masks were drawn.
    seconds : float
        Wall-clock time that the explanation took.
    batch_size : int
        Masked copies in one forward pass, at the end.
    device : str
    options : LimeOptions
    opinions : dict from str to K×d float64 array
        What other methods say of each superpixel, by their name; see `agreement`.
    precision_shift : (K,) float64 array or None
        By how much the precision of the passes moves the scores of the whole image, against float32.
    minus : int or None
        The class whose scores are taken off those of the target, in a `contrast`.
    foreseen : float
        How many times as many samples `foresee` supposes; 1 for what was measured.
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
    r2_heldout: Array
    local_pred: Array
    signed: bool
    prediction: Array
    class_names: tuple[str, ...]
    masks: NDArray[np.uint8]
    sample_scores: Array
    sample_weights: Array
    paired: bool
    complete: bool
    passes: int
    sampler: str
    seconds: float
    batch_size: int
    device: str
    options: LimeOptions
    opinions: Mapping[str, Array] = dataclasses.field(default_factory=dict)
    anytime: bool = False
    precision_shift: Array | None = None
    minus: int | None = None
    foreseen: float = 1.0

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
        """Return intervals that hold at once for `comparisons` weights, at least 1 (Bonferroni), K×d×2.

        They are no narrower than the rounding of the forward passes, so that no verdict
        hangs on a tie that rounding breaks.
        """
        check_k(comparisons, name="comparisons")
        half = self._quantile(comparisons) * self.standard_errors + self.rounding[:, None]
        return np.stack([self.weights - half, self.weights + half], axis=-1)

    def _quantile(self, count: int = 1, *, sides: int = 2) -> float:
        """Return how many standard errors to one or two `sides` hold `confidence` for `count` intervals at once."""
        return float(-stdtrit(self.freedom, self._tail(count, sides=sides)))

    def _tail(self, count: int = 1, *, sides: int = 2) -> float:
        """Return the chance that a single look may leave to each side of one of `count` intervals."""
        alpha = (1 - self.confidence) / count
        if not self.anytime:
            return alpha / sides
        units = (self.samples + 1) // 2 if self.paired else self.samples
        errors = errors_either_side(units, alpha) if sides == 2 else errors_to_one_side(units, alpha)
        return float(ndtr(-errors))

    def read_only(self) -> Explanation:
        """Return the explanation with arrays that cannot be written to, such as by a claim that sorts one in place."""
        fields: dict[str, Any] = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        fields.update({name: _locked(value) for name, value in fields.items() if isinstance(value, np.ndarray)})
        fields["opinions"] = {name: _locked(said) for name, said in self.opinions.items()}
        return Explanation(**fields)

    @user_error
    def foresee(self, times: float) -> Explanation:
        """Return the explanation as it would be with so many `times` as many samples, if every estimate stayed.

        Variances fall with the number of samples. Look at it for what it decides; the rest is as it was.

        Raises
        ------
        OptionError
            `times` is no number above 0.
        """
        times = check_number("foresee: times", times, 0, ends=False)
        return dataclasses.replace(self, covariance=self.covariance / times, foreseen=self.foreseen * times)

    def order(self, k: int, target: Any = None) -> Order:
        """Return what is sure of which superpixels are the `k` of largest weight.

        All that follows about these k from it is right at `confidence`, as far as sampling goes. As in
        `simultaneous_interval`, nothing hangs on a tie that rounding breaks.
        """
        check_k(k, self.superpixels)
        return self._differences(target).order(self._quantile(comparisons(self.superpixels, k), sides=1))

    def _differences(self, target: Any = None) -> Differences:
        row = self.row(target)
        return Differences.of(self.weights[row], self.covariance[row], rounding=float(self.rounding[row]))

    @property
    def samples(self) -> int:
        """How many masked copies were scored."""
        return len(self.masks)

    @property
    def score(self) -> Array:
        """The model's scores of the whole image for the explained classes, (K,)."""
        off = 0.0 if self.minus is None else self.prediction[self.minus]
        return np.asarray(self.prediction[list(self.targets)] - off)

    @property
    def gap(self) -> Array:
        """By how much the surrogate's scores of the whole image exceed the model's, (K,)."""
        return np.asarray(self.local_pred - self.score)

    @property
    def alive(self) -> Array:
        """Share of the samples in which each class is alive: a tenth of its score is left, (K,).

        Scores are counted from the lowest of all samples, so that it serves logits too.
        """
        lowest = self.sample_scores.min(axis=0)
        return np.asarray((self.sample_scores - lowest >= ALIVE * (self.score - lowest)).mean(axis=0))

    @property
    def effective_samples(self) -> float:
        """How many samples of equal weight would tell as much, ``(Σπ)² / Σπ²`` (Kish, Survey Sampling, 1965)."""
        return float(self.sample_weights.sum() ** 2 / (self.sample_weights**2).sum())

    def warnings(self, target: Any = None) -> tuple[str, ...]:
        """Return, in words, why the weights of `target` should not be trusted; empty where nothing speaks against."""
        row = self.row(target)
        name = self.labels[row]
        scores = np.append(self.sample_scores[:, row], self.score[row])
        spread = float(np.ptp(scores))
        if spread <= 2 * self.rounding[row]:
            return (f"no mask changes the score of {name!r}, so no superpixel speaks for it or against it",)
        found = []
        largest = float(np.bincount(self.segments.ravel()).max() / self.segments.size)
        if largest > HALF:
            found.append(f"one superpixel is {largest:.0%} of what the model sees: choose another segmenter")
        if not self.weights[row].any():
            found.append(f"the penalty makes every weight of {name!r} 0: lower alpha")
            return tuple(found)
        heldout, r2, gap = float(self.r2_heldout[row]), float(self.r2[row]), float(self.gap[row])
        if self.alive[row] < FEW_ALIVE:
            found.append(
                f"{name!r} is alive in {self.alive[row]:.1%} of the samples only, so most masks tell nothing: choose "
                "another fill, or fewer segments"
            )
        if r2 - heldout > APART:
            found.append(
                f"the surrogate explains {r2:.0%} of the variance of the samples that it was fitted to and "
                f"{_explained(heldout)} of others: raise samples, or lower segments"
            )
        elif heldout < POOR:
            found.append(
                f"the surrogate explains {_explained(heldout)} of the variance of the scores (held-out R²): the model "
                "combines superpixels in ways that no sum of weights shows"
            )
        if abs(gap) > APART * spread:
            found.append(
                f"the surrogate gives the whole image {figure_words(self.local_pred[row])} and the model "
                f"{figure_words(self.score[row])}"
            )
        occlusion = self.occlusion_agreement(target)
        if occlusion is not None and occlusion.interval[1] < UNLIKE:
            found.append(
                f"hiding superpixels one by one ranks them otherwise than the weights do (rank correlation "
                f"{float(occlusion):.2f} with occlusion): parts replace each other, or only matter together"
            )
        if self.effective_samples < 2 * self.superpixels and not self.complete:
            found.append(
                f"the kernel leaves the weight of {self.effective_samples:.0f} samples for {self.superpixels} "
                "superpixels: raise samples or kernel_width, or lower segments"
            )
        return tuple(found)

    def row(self, target: Any = None) -> int:
        """Return the row of `weights` of `target`, a label or an index; None is the first."""
        if target is None or (self.minus is not None and isinstance(target, str) and target == self.labels[0]):
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

    @user_error
    def contrast(self, other: Any, target: Any = None) -> Explanation:
        """Explain the difference of two classes from the same samples.

        The surrogate is fitted to the difference of their scores. For ridge and linear regression its weights are
        ``β^target − β^other``; for others, which are not linear in the scores, they need not be.

        Parameters
        ----------
        other, target : label or index
            Both were explained; None as `target` is the first.

        Returns
        -------
        Explanation
            Of the scores of `target` less those of `other`: a positive weight speaks for `target` rather than
            `other`. Its intervals know that both classes share their samples.

        Raises
        ------
        TargetError
            A class was not explained, or the two are the same.
        """
        first, second = self.row(target), self.row(other)
        if first == second:
            raise TargetError(f"a contrast is between two classes, and {self.labels[first]!r} is one; name another.")
        if self.minus is not None:
            raise TargetError(f"{self!r} is a contrast already; take it of the explanation that it came from.")
        scores = self.sample_scores[:, [first]] - self.sample_scores[:, [second]]
        rounding = self.rounding[[first]] + self.rounding[[second]]
        fitted = fit_samples(
            self.options, self.masks, scores, self.sample_weights, paired=self.paired, complete=self.complete
        )
        return dataclasses.replace(
            self,
            **{**fit_fields(fitted), "rounding": rounding, "covariance": fitted.covariance / self.foreseen},
            targets=(self.targets[first],),
            minus=self.targets[second],
            labels=(f"{self.labels[first]} − {self.labels[second]}",),
            sample_scores=scores,
            opinions={name: opinion[[first]] - opinion[[second]] for name, opinion in self.opinions.items()},
            precision_shift=None
            if self.precision_shift is None
            else self.precision_shift[[first]] - self.precision_shift[[second]],
        )

    def speaks(self, target: Any = None) -> bool | None:
        """Return whether any superpixel speaks for `target`; None where the samples do not tell."""
        row, reach = self.row(target), self._quantile(comparisons(self.superpixels, 1), sides=1)
        # Those of `order(1)`, without the comparisons of all with all.
        above, below = above_and_below(self.weights[row], self.standard_errors[row], rounding=float(self.rounding[row]))
        return True if (above > reach).any() else False if (below > reach).all() else None

    @user_error
    def heatmap(self, target: Any = None, upsampling: str = "nearest") -> Array:
        """Return the weight of each pixel that the model sees, H×W float64.

        Parameters
        ----------
        target : label or index, optional
        upsampling : ``"nearest"`` or ``"bicubic"``
            The weight of the pixel's superpixel; or a smooth picture of all weights, within their range, as
            imageLIME of MATLAB makes it of a grid. See `pytest_lime.heatmaps.heatmap`.

        Raises
        ------
        OptionError
            There is no such upsampling.
        TargetError
            The class was not explained.
        """
        return heatmaps.heatmap(self.weights[self.row(target)], self.segments, upsampling)

    @user_error
    def top(self, k: int, sign: str = "positive", min_weight: float = 0.0, target: Any = None) -> NDArray[np.int64]:
        """Return the numbers of the `k` strongest superpixels, the strongest first.

        Parameters
        ----------
        k : int
        sign : ``"positive"``, ``"negative"`` or ``"both"``
            What speaks for the class, against it, or either by magnitude.
        min_weight : float
            Leave out what is not above it in magnitude; with ``"both"``, what is below it. A superpixel of
            weight 0 speaks for nothing and is left out for every sign, so fewer than `k` may come back.
        target : label or index, optional

        Raises
        ------
        OptionError
            `k` is less than 1, `sign` is not as above, `min_weight` is no number of at least 0, or one sign is
            asked of weights that have none.
        TargetError
            The class was not explained.
        """
        if not isinstance(sign, str) or sign not in SIGNS:
            raise OptionError(
                f"sign={one_line(sign)} must be one of {', '.join(map(repr, SIGNS))}{nearest(sign, SIGNS)}."
            )
        check_k(k)
        if isinstance(min_weight, bool | str) or not hasattr(min_weight, "__float__") or not float(min_weight) >= 0:
            raise OptionError(f"min_weight={one_line(min_weight)} must be a number of at least 0.")
        if sign != "both":
            self.need_sign(f"sign={sign!r}, unlike 'both',")
        weights = self.weights[self.row(target)]
        strength = {"positive": weights, "negative": -weights, "both": np.abs(weights)}[sign]
        order = np.argsort(-strength, kind="stable")[:k]
        found = strength[order]
        enough = found >= min_weight if sign == "both" else found > min_weight
        kept: NDArray[np.int64] = order[enough & (found > 0)]
        return kept

    @user_error
    def mask(
        self, k: int = 5, sign: str | None = None, min_weight: float = 0.0, target: Any = None
    ) -> NDArray[np.int8]:
        """Return where the strongest superpixels are.

        Parameters
        ----------
        k, sign, min_weight, target
            Which superpixels, as in `top`, with the same errors. Without a `sign`, what speaks for the class, or
            of weights that have no sign, what matters.

        Returns
        -------
        H×W int8 array, of what the model sees
            1 where a superpixel speaks for the class, or has a weight without a sign, −1 where it speaks
            against it, 0 elsewhere. It is the mask of ``get_image_and_mask`` of the ``lime`` package, but for
            ``sign="negative"``, where that has 1 instead of −1.
        """
        chosen = self.top(k, sign or ("positive" if self.signed else "both"), min_weight, target)
        return highlights.mask(self.weights[self.row(target)], self.segments, chosen)

    @user_error
    def masked_image(
        self, k: int = 5, sign: str | None = None, min_weight: float = 0.0, target: Any = None, hide_rest: bool = True
    ) -> NDArray[np.float32]:
        """Return what the model sees, reduced to the strongest superpixels.

        Parameters
        ----------
        k, sign, min_weight, target
            Which superpixels, as in `mask`, with the same errors. With ``sign="both"`` those of weights that have
            a sign are painted: the largest value of the picture becomes the green of those that speak for the
            class, and the red of those that speak against it.
        hide_rest : bool
            Make everything else black.

        Returns
        -------
        H×W×3 float32 array in [0, 1]
            The image of ``get_image_and_mask`` of the ``lime`` package; one channel is repeated.
        """
        mask = self.mask(k, sign, min_weight, target)
        return highlights.masked_image(self.pixels, mask, hide_rest=hide_rest, painted=sign == "both" and self.signed)

    @user_error
    def boxes(
        self, k: int = 5, sign: str | None = None, min_weight: float = 0.0, per: str = "all", target: Any = None
    ) -> list[Box]:
        """Return boxes round the strongest superpixels, as regions for claims.

        Parameters
        ----------
        k, sign, min_weight, target
            Which superpixels, as in `mask`, with the same errors.
        per : ``"all"`` or ``"area"``
            One box round all of them, or one round each connected area, that of the strongest superpixel
            first. Pixels are connected by their edges, not their corners, and what speaks for the class is not
            connected with what speaks against it.

        Returns
        -------
        list of Box
            In whole pixels of the image file, rounded outwards and cut at its border; empty where no
            superpixel is strong enough.

        Raises
        ------
        OptionError
            `per` is neither of the two.
        """
        mask = self.mask(k, sign, min_weight, target)
        return highlights.boxes(mask, np.abs(self.heatmap(target)), self.view, per)

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

    def unchanged_share(self, region: Region) -> float:
        """Return the share of `region`, as the model sees it, in superpixels that look the same hidden as shown."""
        return float(self.unchanged[self.segments][self.region_mask(region)].mean())

    @user_error
    def mass(self, region: Region, target: Any = None) -> Figure:
        """Return the share of the positive weight that lies in `region`, ``Σ β⁺ r / Σ β⁺``.

        It is 0, and its interval all of [0, 1], where no superpixel has a positive weight. Noise has a positive part,
        too, so this figure leans towards the region's share of the superpixels. Its interval allows for that
        (`pytest_lime.positives.share_interval`), and is stretched to hold the figure.
        """
        self.need_sign("mass")
        row = self.row(target)
        weights, shares = self.weights[row], self.shares(region)
        positive = np.maximum(weights, 0)
        total = float(positive.sum())
        estimate = min(1.0, float(positive @ shares / total)) if total > 0 else 0.0
        rounding, low, high = float(self.rounding[row]), 0.0, 1.0
        # Where nothing speaks for the class, or the samples do not tell, a share of it has no value.
        if np.isfinite(self.covariance[row]).all() and total > rounding * self.superpixels:
            low, high = share_interval(weights, self.covariance[row], shares, reach=self._quantile(), rounding=rounding)
        words = f"{estimate:.3g} of the weight that speaks for {self.labels[row]!r} lies in {region!r}"
        return self._figure(estimate, (min(low, estimate), max(high, estimate)), words)

    @user_error
    def overlap(self, region: Region, k: int, target: Any = None) -> Figure:
        """Return how many of the `k` superpixels of largest weight lie in `region`, at least half of their area.

        A superpixel whose weight is not above 0 speaks against the class, and is not counted.

        The interval holds every count that the differences of weights allow, taken together at `confidence`: those
        between superpixels inside and outside, since on the same side of the border they need not be told apart.

        Raises
        ------
        OptionError
            `k` is less than 1 or more than the number of superpixels.
        """
        check_k(k, self.superpixels)
        self.need_sign("overlap")
        row = self.row(target)
        weights, inside = self.weights[row], self.shares(region) >= 0.5
        least, most = overlap_bounds(self._differences(target), inside, k, functools.partial(self._quantile, sides=1))
        strongest = np.argsort(-weights, kind="stable")[:k]
        estimate = float((inside & (weights > 0))[strongest].sum())
        words = f"{estimate:.0f} of the {k} superpixels that speak most for {self.labels[row]!r} lie in {region!r}"
        return self._figure(estimate, (least, most), words)

    @user_error
    def iou(self, region: Region, k: int, target: Any = None) -> Figure:
        """Return the intersection over union of `region` and the `k` superpixels of largest positive weight.

        In pixels that the model sees. The interval holds the figure of every set of superpixels that the differences
        of the weights allow, taken together at `confidence`.

        Raises
        ------
        OptionError
            `k` is less than 1 or more than the number of superpixels.
        """
        check_k(k, self.superpixels)
        self.need_sign("iou")
        row = self.row(target)
        area = np.bincount(self.segments.ravel())
        inside = self.shares(region) * area
        chosen = np.zeros(self.superpixels, dtype=bool)
        chosen[self.top(k, target=target)] = True
        estimate = iou(chosen, inside, area - inside)
        least, most = iou_bounds(self.order(k, target), inside, area - inside, k)
        words = (
            f"the {k} superpixels that speak most for {self.labels[row]!r} and {region!r} share {estimate:.3g} of "
            "what they cover together"
        )
        return self._figure(estimate, (min(least, estimate), max(most, estimate)), words)

    @user_error
    def region_weight(self, region: Region, target: Any = None) -> Figure:
        """Return the weight that lies in `region`, ``Σ β r``: what speaks for the class less what speaks against it.

        A superpixel counts by the share of its area inside. The interval is that of this sum alone.
        """
        self.need_sign("region_weight")
        row = self.row(target)
        return self._linear(row, self.shares(region), f"the weight for {self.labels[row]!r} in {region!r} is {{:.3g}}")

    @user_error
    def density_gap(self, region: Region, target: Any = None) -> Figure:
        """Return by how much denser the weight is in `region` than elsewhere, ``Σ β r / A − Σ β (1 − r) / (1 − A)``.

        r is the share of each superpixel inside, and A the region's share of what the model sees: the figure is in
        units of the score, as if the whole image were as dense. The interval is that of this difference alone.

        Raises
        ------
        RegionError
            The region is all that the model sees, so that there is no elsewhere.
        """
        self.need_sign("density_gap")
        row, shares = self.row(target), self.shares(region)
        area = float(self.region_mask(region).mean())
        if area == 1:
            raise RegionError(
                f"density_gap: {region!r} is all that the model sees of {self.image.name!r}, so that there is nothing "
                "to compare it with; choose a smaller region."
            )
        coefficients = shares / area - (1 - shares) / (1 - area)
        words = f"the weight for {self.labels[row]!r} is denser in {region!r} than elsewhere by {{:.3g}}"
        return self._linear(row, coefficients, words)

    def occlusion_agreement(self, target: Any = None) -> Figure | None:
        """Return `agreement` with occlusion; None where that was not asked, or there is no correlation."""
        if OCCLUSION not in self.opinions or not self.signed:
            return None
        row = self.row(target)
        # Message, warnings and report ask for it, and its interval takes longer than all else that they say.
        if row not in self._occlusion:
            self._occlusion[row] = self._occlusion_agreement(row, target)
        return self._occlusion[row]

    @functools.cached_property
    def _occlusion(self) -> dict[int, Figure | None]:
        """What `occlusion_agreement` found, by row."""
        return {}

    def _occlusion_agreement(self, row: int, target: Any) -> Figure | None:
        said, covariance = self.opinions[OCCLUSION][row], self.covariance[row]
        if why_undefined(self.weights[row], said, covariance, float(self.rounding[row])):
            return None
        return self.agreement(OCCLUSION, target)

    def heldout_fit(self, target: Any = None) -> Figure:
        """Return the held-out R², `r2_heldout`, with its interval: that of a ratio of weighted means (delta method).

        Where R² cannot be told of samples that were not fitted, it is that of those that were, and the interval is
        endless below.
        """
        row = self.row(target)
        heldout, scores, weights = float(self.r2_heldout[row]), self.sample_scores[:, row], self.sample_weights
        words = f"the surrogate explains {{:.3g}} of the variance of the scores of {self.labels[row]!r}"
        if not math.isfinite(heldout):
            seen = float(self.r2[row])
            return self._figure(seen, (-math.inf, max(1.0, seen)), words.format(seen))
        missed = weights * (scores - self.intercept[row] - self.masks @ self.weights[row]) ** 2
        spread = weights * (scores - np.average(scores, weights=weights)) ** 2
        total = float(spread.mean())
        half = 0.0
        if not self.complete and total > 0:
            pull = (missed - missed.sum() / spread.sum() * spread) / total
            pairs = pull[: len(pull) // 2 * 2].reshape(-1, 2).mean(axis=1) if self.paired else pull
            half = self._quantile() * float(pairs.std(ddof=1)) / math.sqrt(len(pairs) * self.foreseen)
        return self._figure(heldout, (heldout - half, min(1.0, heldout + half)), words.format(heldout))

    def surrogate_gap(self, target: Any = None) -> Figure:
        """Return by how much the surrogate's score of the whole image exceeds the model's, with its interval."""
        row = self.row(target)
        gap, covariance = float(self.gap[row]), self.covariance[row]
        half = math.inf
        if np.isfinite(covariance).all():
            # The surrogate's mean score is known far better than what it adds from there to the whole image.
            steps = 1 - np.average(self.masks, axis=0, weights=self.sample_weights)
            half = self._quantile() * math.sqrt(max(float(steps @ covariance @ steps), 0.0))
            half += float(self.rounding[row] * steps.sum())
        words = f"the surrogate's score of {self.labels[row]!r} is {gap:+.3g} off the model's"
        return self._figure(gap, (gap - half, gap + half), words)

    def _linear(self, row: int, coefficients: Array, words: str) -> Figure:
        """Return a sum of weights with the interval of that one sum; `words` has a place for it."""
        estimate, covariance = float(coefficients @ self.weights[row]), self.covariance[row]
        half = math.inf
        if np.isfinite(covariance).all():
            half = self._quantile() * math.sqrt(max(float(coefficients @ covariance @ coefficients), 0.0))
            half += float(self.rounding[row] * np.abs(coefficients).sum())
        return self._figure(estimate, (estimate - half, estimate + half), words.format(estimate))

    @user_error
    def agreement(self, opinion: str, target: Any = None) -> Figure:
        """Return how well another method ranks the superpixels as the weights do: Spearman's rank correlation.

        Its interval speaks of the weights' sampling error; see `pytest_lime.agreement.rank_agreement`.
        Where there is no correlation, such as when the other method says the same of every superpixel, it is 0
        in [−1, 1], and its words say why. Grad-CAM says only what speaks for a class and is
        0 elsewhere, so superpixels that speak against it rank last among the weights and share a rank there.

        Parameters
        ----------
        opinion : ``"occlusion"``, ``"gradcam"`` or ``"gradcam:LAYER"``
            One that was asked for: ``explain(…, opinions="occlusion")``.
        target : label or index, optional

        Raises
        ------
        OptionError
            There is no such method, it was not asked for, or the surrogate's weights have no sign.
        TargetError
            The class was not explained.
        """
        (name,) = check_opinions([opinion])
        if name not in self.opinions:
            asked = ", ".join(map(repr, self.opinions)) or "none"
            raise OptionError(
                f"opinion {name!r} was not asked for (asked for: {asked}): explain with opinions={name!r}."
            )
        self.need_sign("agreement")
        row = self.row(target)
        found = rank_agreement(
            self.weights[row],
            self.opinions[name][row],
            self.covariance[row],
            freedom=self.freedom,
            rounding=float(self.rounding[row]),
            confidence=1 - 2 * self._tail(),
        )
        value = f"has no value, since {found.undefined}" if found.undefined else f"is {found.estimate:.3g}"
        words = f"the rank correlation of the weights for {self.labels[row]!r} with {describe_opinion(name)} {value}"
        return self._figure(found.estimate, found.interval, words)

    @user_error
    def plot(
        self,
        target: Any = None,
        *,
        k: int = LISTED,
        sign: str = "both",
        upsampling: str = "nearest",
        regions: Region | Sequence[Region] = (),
        notes: bool = True,
        axes: Axes | None = None,
    ) -> Plot:
        """Draw the photograph with its superpixels, and the heatmap over it, with matplotlib.

        The axes count pixels of the image file, in which regions are given.

        Parameters
        ----------
        target : label or index, optional
        k, sign : int, str
            How many superpixels get a number, the strongest first, as in `top`; 0 for none.
        upsampling : ``"nearest"`` or ``"bicubic"``
            As in `heatmap`.
        regions : Region or sequence of Region
            Outlined.
        notes : bool
            Say below how far the weights can be trusted.
        axes : matplotlib Axes, optional
            Draw the heatmap alone, there.

        Returns
        -------
        matplotlib.figure.Figure
            That of `axes`, or a new one, which pyplot knows nothing of: it needs no closing. It follows the
            style sheet in use, light or dark.

        Raises
        ------
        OptionError
            matplotlib is not installed (``pip install 'pytest-lime[plot]'``), or an argument cannot be.
        TargetError
            The class was not explained.
        """
        heatmap, card = self.heatmap(target, upsampling), self._card(target, k, sign)
        listed = regions if isinstance(regions, Iterable) else [regions]
        return plots.plot(
            self.view.photo(self.image.pixels),
            self.segments,
            heatmap,
            card,
            box=self.view.box,
            name=self.image.name,
            outlines=[check_region(as_region(one, "regions"), self.image.size, self.image.name) for one in listed],
            notes=notes,
            axes=axes,
        )

    def _repr_html_(self) -> str:
        """Return the explanation as notebooks show it: pictures, the strongest superpixels, and how sure they are."""
        return notebooks.html(
            self.view.photo(self.image.pixels, notebooks.LONGEST_PHOTO),
            self.segments,
            [self._card(target, LISTED) for target in self.targets[:SHOWN]],
            name=self.image.name,
            summary=f"{self.superpixels} superpixels, {self.samples} masked samples ({self.sampler})",
            left_out=len(self.targets[SHOWN:]),
        )

    def overlay(self, target: Any = None, k: int = 4) -> NDArray[np.uint8]:
        """Return a picture of the heatmap over what the model sees in light grays, H×W×3 uint8.

        Parameters
        ----------
        target : label or index, optional
            Of the classes explained; default the first.
        k : int
            So many superpixels of largest weight, either way, get numbers.

        Raises
        ------
        OptionError, TargetError
            `k` or `target` cannot be.
        """
        check_k(k)
        seen = np.moveaxis(self.pixels, 0, -1)
        photo = seen if seen.shape[2] == 3 else np.repeat(seen.mean(axis=2, keepdims=True), 3, axis=2)
        card = self._card(target, min(k, self.superpixels))
        return np.asarray(notebooks.overlay(photo.astype(np.float32), self.segments, card), dtype=np.uint8)

    def _card(self, target: Any, k: int, sign: str = "both") -> Card:
        """Return what is shown of `target` and its `k` strongest superpixels."""
        row = self.row(target)
        score, heldout = figure_words(self.score[row]), self.r2_heldout[row]
        unseen = f", {figure_words(heldout)} on samples that it has not seen" if np.isfinite(heldout) else ""
        return Card(
            label=self.labels[row],
            standing=f"score {score}, rank {self.rank(target)} of {len(self.class_names)}"
            if self.minus is None
            else f"difference of scores {score}",
            weights=self.weights[row],
            interval=self.interval[row],
            confidence=1 - 2 * self._tail(),
            signed=self.signed,
            top=self.top(k, sign, target=target).tolist() if k != 0 else [],
            facts=(
                f"Fit of the surrogate: R² {figure_words(self.r2[row])}{unseen} (1 is perfect).",
                f"On the image itself: the surrogate says {figure_words(self.local_pred[row])}, "
                f"{figure_words(self.gap[row], sign=True)} off the model.",
                f"Samples with the class alive: {self.alive[row]:.0%} keep a tenth of its score.",
            ),
            warnings=self.warnings(target),
        )

    @user_error
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the explanation to the file `path`, such as ``"cat.npz"``, from which `load` reads it.

        Everything comes back as it is, but for functions and regressors among the options: of them only
        the name is kept, and what stands in their place raises an `OptionError` when it is used. The file
        holds arrays and JSON, no pickle, and is replaced at once or not at all.

        Parameters
        ----------
        path : str or os.PathLike
            No ending is added to the name, and its folder must exist.

        Raises
        ------
        RecordError
            The file cannot be written.
        """
        storage.save(self, path)

    @classmethod
    @user_error
    def load(cls, path: str | os.PathLike[str]) -> Explanation:
        """Read what `save` wrote to the file `path`; nothing in it is run as code.

        Raises
        ------
        RecordError
            There is no such file, or it is damaged, from another program or from a newer pytest-lime.
        """
        return storage.load(cls, path)

    def need_sign(self, what: str) -> None:
        """Raise an `OptionError` that names `what` unless weights have a sign."""
        if not self.signed:
            raise no_sign(what, self.options.surrogate)

    def _figure(self, value: float, interval: tuple[float, float], words: str) -> Figure:
        return Figure(value, interval=interval, words=words, samples=self.samples, confidence=self.confidence)


def _locked(array: NDArray[Any]) -> NDArray[Any]:
    """Return a view of `array` that cannot be written to."""
    view = array.view()
    view.flags.writeable = False
    return view


def _explained(r2: float) -> str:
    """Return a share of the variance in words; a fit that is worse than the mean has none."""
    return f"{r2:.0%}" if r2 >= 0 else f"none (R² {r2:.2f})"


def no_sign(what: str, surrogate: Any) -> OptionError:
    """Return the error that `what` needs weights with a sign, and those of `surrogate` have none."""
    return OptionError(
        f"{what} asks what speaks for a class or against it, and the weights of surrogate={one_line(surrogate)} have "
        "no sign: choose 'ridge', 'linear' or 'lasso'."
    )


def fit_samples(
    options: LimeOptions,
    masks: NDArray[np.uint8],
    scores: Array,
    sample_weights: Array,
    *,
    paired: bool,
    complete: bool,
    rounding: float = 0.0,
) -> Fit:
    """Fit the surrogate that `options` name to samples; as `pytest_lime.surrogate.fit`."""
    return fit(
        masks,
        scores,
        sample_weights,
        surrogate=options.surrogate,
        alpha=options.alpha,
        feature_selection=options.feature_selection,
        num_features=options.num_features,
        seed=options.seed,
        paired=paired,
        complete=complete,
        rounding=rounding,
    )


def fit_fields(fitted: Fit) -> dict[str, Any]:
    """Return what a fit tells, as the fields of an `Explanation`."""
    return {field.name: getattr(fitted, field.name) for field in dataclasses.fields(Fit)}


def check_k(k: Any, superpixels: int | None = None, *, name: str = "k") -> None:
    """Raise an `OptionError` unless `k` counts at least one superpixel and at most as many as there are."""
    number = as_whole_number(k)
    if number is None or number < 1:
        raise OptionError(f"{name}={one_line(k)} must be a whole number of at least 1.")
    if superpixels is not None and number > superpixels:
        raise OptionError(
            f"k={one_line(k)} is more than the {superpixels} superpixels of the image; lower k, or raise segments."
        )


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
    index = as_whole_number(target)
    if index is None:
        raise TargetError(f"target={one_line(target)} must be a label, an index, or None for the predicted class.")
    if not 0 <= index < len(class_names):
        raise TargetError(
            f"class {index} does not exist; the model has {len(class_names)} classes, 0…{len(class_names) - 1}."
        )
    return int(index)
