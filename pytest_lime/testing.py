"""Models with known answers, for tests of your own and for the tests of this package.

Two kinds of model, both small, deterministic and without weights to download:

- `FakeModel` is a tiny classifier that takes any picture. Use it where a test needs *some* model.
- `PlantedModel` scores a picture by a formula in which superpixels are shown, so the weights that an
  explanation must find are known in closed form. Use it where a test needs the *right answer*.

The closed forms are those of D. Garreau and D. Mardaoui, "What does LIME really see in images?",
ICML 2021 (arXiv 2102.06307), for masks drawn as Bernoulli(1/2) and the kernel of the `lime` package
on the cosine distance. `exact_weights` finds the same numbers by enumeration, without their algebra.

>>> from pytest_lime import explain
>>> from pytest_lime.testing import planted_and
>>> model = planted_and([2, 7], d=10)
>>> explanation = explain(model, model.image, "planted", **model.options, sampler="exhaustive")
>>> bool(abs(explanation.weights[0] - model.expected_weights()).max() < 1e-6)
True
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch

from pytest_lime.errors import OptionError

__all__ = [
    "FakeModel",
    "LimitFit",
    "PlantedModel",
    "closed_form_weights",
    "exact_weights",
    "kernel_moments",
    "planted_and",
    "planted_linear",
    "planted_single",
    "planted_sum",
]

Floats = npt.NDArray[np.float64]

_LARGEST_ENUMERATION = 16
_SHOWN_ABOVE = 0.25
# Where `device="auto"` runs these models: on each machine the same, and nothing is gained on another.
_DEVICE = "cpu"
_LARGEST_ROUNDING = 1e-8
_SMALLEST_CELL = 2
_DEFAULT_CELL = 4


class _HasPixels(Protocol):
    @property
    def pixels(self) -> npt.NDArray[Any]: ...


class LimitFit(NamedTuple):
    """The surrogate at infinitely many samples: `weights` (d,) float64 and `intercept`."""

    weights: Floats
    intercept: float


# Closed forms


def kernel_moments(d: int, width: float = 0.25, *, order: int = 2) -> Floats:
    """Moments alpha_0 … alpha_order of the kernel: alpha_p = E[pi(z) z_1 z_2 … z_p].

    The expectation is over masks z of d superpixels, each shown with probability one half, and
    pi(z) = exp(-D² / (2 width²)) with D = 1 - sqrt(m / d), m the number of shown superpixels. Hence
    alpha_p = 2^-d Σ_s C(d - p, s) psi(s / d), s the number of hidden ones. Each binomial is divided by
    2^d as an exact integer, so that no d overflows.

    Returns float64 of shape (order + 1,), without unit; alpha_p is 0 for p > d.
    Raises OptionError when d < 1, the width is not a positive number, or order < 0.
    Source: Garreau & Mardaoui, ICML 2021, proposition 1.

    >>> kernel_moments(1).round(6)
    array([0.500168, 0.5     , 0.      ])
    >>> alpha = kernel_moments(50, order=3)
    >>> bool((alpha[1:] < alpha[:-1]).all())
    True
    """
    d = _checked_count(d)
    width = _checked_width(width)
    order = operator.index(order)
    if order < 0:
        raise OptionError(
            f"the order of the kernel's moments is {order}, but it must be 0 or more: "
            "give the size of the largest group plus 1."
        )
    kernel = _kernel(np.arange(d, -1, -1) / d, width)
    return np.array([_binomial_mean(kernel, d, p) for p in range(order + 1)], dtype=np.float64)


def closed_form_weights(
    terms: Mapping[tuple[int, ...], float], d: int, width: float = 0.25, *, intercept: float = 0.0
) -> LimitFit:
    """Return the surrogate that LIME converges to when the model is a polynomial in the mask.

    The model is f(z) = intercept + Σ_g terms[g] Π_{j in g} z_j over masks z of d superpixels: `{(3,): 1.0}`
    is one superpixel, `{(3, 7): 1.0}` the AND of two, and weights are linear in f, so a sum needs no
    formula of its own. With the moments alpha of `kernel_moments`, E[pi f] = Σ_g terms[g] alpha_|g| and
    E[pi z_j f] = Σ_g terms[g] alpha_|g ∪ {j}|, and the weighted normal equations of the population give

        beta_j = (sigma_1 E[pi f] + sigma_2 E[pi z_j f] + sigma_3 Σ_{k≠j} E[pi z_k f]) / c
        beta_0 = (sigma_0 E[pi f] + sigma_1 Σ_j E[pi z_j f]) / c

    Returns `LimitFit`, which unpacks as weights (d,) float64 and the intercept, both in units of the
    model's score. Raises OptionError for d < 1, a width that is not positive or so small that only
    the whole picture counts (below 0.1, at a few superpixels), and a group that is empty, names a superpixel
    twice or names one outside 0 … d-1.
    Source: Garreau & Mardaoui, ICML 2021, proposition 2 and theorem 1 (no ridge penalty).

    >>> weights, intercept = closed_form_weights({(3, 7): 1.0}, d=50)
    >>> weights[[3, 7]].round(3)
    array([0.516, 0.516])
    """
    d = _checked_count(d)
    polynomial = _canonical(terms.items(), d)
    constant = _checked_number(intercept, "the intercept of the model")
    largest = max((len(group) for group in polynomial), default=0)
    alpha = kernel_moments(d, width, order=max(2, largest + 1))
    # A common factor of all moments cancels; without one, products of moments underflow at small widths.
    alpha = alpha / alpha[0]
    a0, a1, a2 = alpha[:3]

    c = (d - 1) * a0 * a2 - d * a1**2 + a0 * a1
    # c is the variance of the number of shown superpixels under the kernel, over d: usually about 1/4. It is
    # a difference of terms of size d, so this is the rounding error of the weights.
    if d * np.finfo(np.float64).eps > _LARGEST_ROUNDING * c:
        raise OptionError(
            f"the kernel width is {width}, but at d = {d} it leaves weight on the whole picture alone, and "
            "the answer would drown in rounding: give a wider kernel, such as the usual 0.25."
        )
    sigma0 = (d - 1) * a2 + a1
    sigma1 = -a1
    sigma2 = ((d - 2) * a0 * a2 - (d - 1) * a1**2 + a0 * a1) / (a1 - a2)
    sigma3 = (a1**2 - a0 * a2) / (a1 - a2)

    mean_f = 0.0
    mean_zf = np.zeros(d)
    for group, coefficient in polynomial.items():
        p = len(group)
        mean_f += coefficient * alpha[p]
        mean_zf += coefficient * alpha[p + 1]
        mean_zf[list(group)] += coefficient * (alpha[p] - alpha[p + 1])

    others = mean_zf.sum() - mean_zf
    weights = (sigma1 * mean_f + sigma2 * mean_zf + sigma3 * others) / c
    fitted = (sigma0 * mean_f + sigma1 * mean_zf.sum()) / c
    return LimitFit(weights, float(fitted) + constant)


def exact_weights(
    function: Callable[[Floats], npt.ArrayLike], d: int, width: float = 0.25, *, ridge: float = 0.0
) -> LimitFit:
    """Find the same limit by brute force: weighted least squares over all 2^d masks, for d up to 16.

    `function` takes masks, float64 of shape (2^d, d) with 1 for shown, and returns one score each, in any
    unit. It need not be a polynomial. `ridge` is the penalty λ on the squared weights (never on the
    intercept) of min Σ pi (y - b - z·beta)² + λ |beta|², the sum running over the 2^d masks once each.

    Returns `LimitFit`, which unpacks as weights (d,) float64 and the intercept, in the unit of the scores.
    Raises OptionError for d outside 1 … 16, a width that is not positive or too small, a negative `ridge`,
    or scores of another shape than (2^d,). Source: the definition of LIME; it shares no algebra with
    `closed_form_weights`, so that each checks the other.

    >>> weights, intercept = exact_weights(lambda z: 2 * z[:, 0] - z[:, 1] + 0.5, d=3)
    >>> bool(np.allclose(weights, [2, -1, 0])), round(intercept, 9)
    (True, 0.5)
    """
    d = _checked_count(d)
    width = _checked_width(width)
    if d > _LARGEST_ENUMERATION:
        raise OptionError(
            f"exact_weights got d = {d}, but it visits all 2^d masks and takes d up to "
            f"{_LARGEST_ENUMERATION}: use closed_form_weights for a larger d."
        )
    penalty = _checked_number(ridge, "the ridge penalty")
    if penalty < 0:
        raise OptionError(f"the ridge penalty is {penalty}, but it must be 0 or more: give 0 for none.")
    masks = ((np.arange(2**d)[:, None] >> np.arange(d)) & 1).astype(np.float64)
    scores = np.asarray(function(masks), dtype=np.float64)
    if scores.shape != (2**d,):
        raise OptionError(
            f"the function given to exact_weights returned shape {scores.shape}, but it must return one "
            f"score for each of the {2**d} masks: return shape ({2**d},)."
        )
    root = np.sqrt(_kernel(masks.mean(axis=1), width))
    design = np.column_stack([np.ones(2**d), masks]) * root[:, None]
    # The penalty as d further rows: least squares then stays one well-conditioned QR-like solve.
    shrink = np.column_stack([np.zeros(d), math.sqrt(penalty) * np.eye(d)])
    solution, _, rank, _ = np.linalg.lstsq(
        np.vstack([design, shrink]), np.concatenate([scores * root, np.zeros(d)]), rcond=None
    )
    if rank < d + 1:
        raise OptionError(
            f"the kernel width is {width}, but at d = {d} it leaves weight on the whole picture alone, and "
            "the weights are not determined: give a wider kernel, such as the usual 0.25."
        )
    return LimitFit(solution[1:], float(solution[0]))


# Models


class FakeModel:
    """A tiny classifier with fixed weights: give it any picture, get the same probabilities everywhere.

    Each class likes one colour at one place of the picture: its logit is smooth (a Gaussian spot of the
    pixels, plus a small square of the mean brightness), and the probabilities are their softmax. Nothing
    is random, all arithmetic is float64, and answers agree between machines to 1e-6.

    `labels` are two or more different names, `size` is the (height, width) in pixels that `prepare` resizes
    every picture to. Raises OptionError for fewer than two labels, repeated ones, or a size below 2 × 2.

    >>> model = FakeModel()
    >>> model.labels, model.input_size
    (('cat', 'dog', 'bird'), (32, 32))
    >>> probabilities = model.predict(torch.full((1, 3, 32, 32), 0.5))
    >>> tuple(probabilities.shape), round(float(probabilities.sum()), 6)
    ((1, 3), 1.0)
    """

    def __init__(self, labels: Sequence[str] = ("cat", "dog", "bird"), size: tuple[int, int] = (32, 32)) -> None:
        names = tuple(labels)
        if isinstance(labels, str) or len(names) < 2 or len(set(names)) < len(names):
            raise OptionError(
                f"the labels of FakeModel are {labels!r}, but it takes two or more different names: "
                'give a tuple such as ("cat", "dog").'
            )
        self.labels: tuple[str, ...] = names
        self.input_size: tuple[int, int] | None = _checked_size(size, "FakeModel", (2, 2))
        self.device = _DEVICE
        self._weights = _spots(len(names), *self.input_size)

    def __repr__(self) -> str:
        return f"FakeModel(labels={self.labels!r}, size={self.input_size!r})"

    def prepare(self, image: _HasPixels) -> npt.NDArray[np.float32]:
        """Resize a picture (`.pixels`: H×W×3 in [0, 1]) to the model's size: float32 of shape 3×H×W.

        Bilinear with antialiasing, the whole picture stretched; a picture of the right size is unchanged.
        """
        pixels = torch.from_numpy(np.array(image.pixels, dtype=np.float32).transpose(2, 0, 1)[None])
        if tuple(pixels.shape[2:]) != self.input_size:
            pixels = torch.nn.functional.interpolate(
                pixels, size=self.input_size, mode="bilinear", antialias=True, align_corners=False
            )
        return np.ascontiguousarray(pixels[0].clamp(0, 1).numpy())

    def predict(self, batch: torch.Tensor) -> torch.Tensor:
        """Probabilities, float64 of shape N×classes, for a float batch N×3×H×W in [0, 1] on any device.

        Raises OptionError when the batch is not N×3×(height, width of `input_size`).
        """
        _check_batch(batch, self)
        pixels = batch.to(_float64_device(batch.device)).to(torch.float64)
        weights = self._weights.to(pixels.device)
        logits = torch.tensordot(pixels, weights, dims=([1, 2, 3], [1, 2, 3]))
        brightness = pixels.mean(dim=(1, 2, 3))
        slope = torch.linspace(-1, 1, len(self.labels), dtype=torch.float64, device=pixels.device)
        return torch.softmax(logits + brightness.square()[:, None] * slope, dim=1)


class PlantedModel:
    """A model whose score is a known formula in which superpixels are shown, with its own picture.

    The score of label "planted" is f(z) = intercept + Σ_g terms[g] Π_{j in g} z_j, z_j = 1 where
    superpixel j is shown; "other" is 1 - f. `planted_single`, `planted_and`, `planted_sum` and
    `planted_linear` build the usual ones. The superpixels are near-square cells, row by row.

    - `segments`: H×W int64, values 0 … d-1, every superpixel at least 2×2 pixels.
    - `image`: H×W×3 float32 in (0.5, 1], so that it differs clearly from the `fill`, (0, 0, 0).
    - `options`: the `segmenter` and `fill` that an explanation of this model must use.
    - `terms`, `d`, `intercept`: the formula; `labels`: ("planted", "other"); `input_size`: (H, W).

    `size` is the picture's (height, width) in pixels, by default four pixels a cell. Raises OptionError
    for d < 1, a group that is empty, repeats a superpixel or names one outside 0 … d-1, a coefficient that
    is not finite, or a size too small for d cells.

    >>> model = PlantedModel({(0,): 0.25, (1, 2): 0.5}, d=4)
    >>> model.scores(np.array([[1, 1, 1, 1], [1, 1, 0, 1], [0, 0, 0, 0]]))
    array([0.75, 0.25, 0.  ])
    >>> model.segments[::4, ::4]
    array([[0, 1],
           [2, 3]])
    """

    def __init__(
        self,
        terms: Mapping[tuple[int, ...], float],
        d: int,
        *,
        intercept: float = 0.0,
        size: tuple[int, int] | None = None,
    ) -> None:
        self.d = _checked_count(d)
        self.terms: dict[tuple[int, ...], float] = _canonical(terms.items(), self.d)
        self.intercept = _checked_number(intercept, "the intercept of the model")
        self.labels: tuple[str, ...] = ("planted", "other")
        self.fill: tuple[float, float, float] = (0.0, 0.0, 0.0)
        self.device = _DEVICE
        cells = _cells_per_row(self.d)
        smallest = (_SMALLEST_CELL * len(cells), _SMALLEST_CELL * max(cells))
        if size is None:
            size = (_DEFAULT_CELL * len(cells), _DEFAULT_CELL * max(cells))
        height, width = _checked_size(size, f"a planted model of d = {self.d}", smallest)
        self.input_size: tuple[int, int] | None = (height, width)
        self.segments, self._inside = _grid(cells, height, width)
        self.image: npt.NDArray[np.float32] = _textured(self.segments)
        # Groups padded to one length with column d, which counts as always shown.
        longest = max((len(group) for group in self.terms), default=0)
        self._members = torch.tensor(
            [[*group, *[self.d] * (longest - len(group))] for group in self.terms], dtype=torch.int64
        ).reshape(len(self.terms), longest)
        self._coefficients = torch.tensor(list(self.terms.values()), dtype=torch.float64)

    def __repr__(self) -> str:
        return f"PlantedModel({self.terms!r}, d={self.d}, intercept={self.intercept!r}, size={self.input_size!r})"

    @property
    def options(self) -> dict[str, Any]:
        """Keyword options for `explain` and `lime.check`: this model's own `segmenter` and `fill`."""
        return {"segmenter": self.segments, "fill": self.fill}

    def scores(self, masks: npt.ArrayLike) -> Floats:
        """Evaluate the formula itself: masks of shape (N, d) in 0/1 (1 is shown) to scores (N,) float64.

        Raises OptionError for another shape or other values.
        """
        given = np.asarray(masks)
        if given.ndim != 2 or given.shape[1] != self.d:
            raise OptionError(
                f"the masks given to PlantedModel.scores have shape {given.shape}, but the model has "
                f"{self.d} superpixels: give shape (N, {self.d})."
            )
        shown = given != 0
        if not np.array_equal(shown, given):
            raise OptionError(
                f"the masks given to PlantedModel.scores hold {given[shown != given].flat[0]!r}, but a mask "
                "is 0 or 1: give 1 for shown and 0 for hidden."
            )
        result: Floats = self._evaluate(torch.from_numpy(shown)).numpy()
        return result

    def expected_weights(self, width: float = 0.25) -> Floats:
        """Return the weights (d,) float64 for "planted" at infinitely many samples, without penalty.

        `width` is the kernel width. Those of "other" are the same with the sign turned.
        """
        return self._limit(width).weights

    def expected_intercept(self, width: float = 0.25) -> float:
        """Return the intercept for "planted" in the same limit; that of "other" is 1 minus it."""
        return self._limit(width).intercept

    def prepare(self, image: _HasPixels) -> npt.NDArray[np.float32]:
        """Return the picture (`.pixels`: H×W×3 in [0, 1]) as float32 3×H×W, not resized.

        Raises OptionError when it has not the size of `image`: a resized picture has no known answer.
        """
        pixels = np.asarray(image.pixels, dtype=np.float32)
        if pixels.shape != self.image.shape:
            raise OptionError(
                f"the image given to the planted model has shape {pixels.shape}, but the known answer holds "
                f"for its own picture of shape {self.image.shape}: pass model.image."
            )
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))

    def predict(self, batch: torch.Tensor) -> torch.Tensor:
        """Scores, float64 of shape N×2, read off a float batch N×3×H×W in [0, 1] on the batch's device.

        A superpixel counts as shown when the pixel in its middle is brighter than 0.25 on average over the
        channels. Raises OptionError when the batch is not of the model's size.
        """
        _check_batch(batch, self)
        rows, columns = self._inside.to(batch.device)
        shown = batch[:, :, rows, columns].mean(dim=1) > _SHOWN_ABOVE
        planted = self._evaluate(shown.to(_float64_device(batch.device)))
        return torch.stack([planted, 1 - planted], dim=1)

    def _limit(self, width: float) -> LimitFit:
        return closed_form_weights(self.terms, self.d, width, intercept=self.intercept)

    def _evaluate(self, shown: torch.Tensor) -> torch.Tensor:
        padded = torch.cat([shown, shown.new_ones(len(shown), 1)], dim=1)
        present = padded[:, self._members.to(shown.device)].all(dim=2)
        # Not a matrix product: its order of summation, and so the last digit, changes with the batch size.
        return (present * self._coefficients.to(shown.device)).sum(dim=1) + self.intercept


def planted_single(j: int, d: int, *, size: tuple[int, int] | None = None) -> PlantedModel:
    """Make a `PlantedModel` of d superpixels that is 1 when superpixel j is shown, else 0.

    LIME finds weight 1 at j and 0 elsewhere, whatever the kernel. Errors and `size` as in `PlantedModel`.

    >>> planted_single(2, d=4).expected_weights().round(9) + 0.0
    array([0., 0., 1., 0.])
    """
    return PlantedModel({(j,): 1.0}, d, size=size)


def planted_and(members: Iterable[int], d: int, *, size: tuple[int, int] | None = None) -> PlantedModel:
    """Make a `PlantedModel` of d superpixels that is 1 when all the members are shown, else 0.

    Errors and `size` as in `PlantedModel`.

    >>> planted_and([3, 7], d=50).expected_weights()[[3, 7]].round(3)
    array([0.516, 0.516])
    """
    return PlantedModel({tuple(members): 1.0}, d, size=size)


def planted_sum(
    groups: Iterable[Iterable[int]],
    d: int,
    coefficients: Iterable[float] | None = None,
    *,
    size: tuple[int, int] | None = None,
) -> PlantedModel:
    """Make a `PlantedModel` of d superpixels: the sum of the ANDs of the groups, times their coefficients.

    Without coefficients each group counts 1; a group given twice counts twice. Raises OptionError when there
    are not as many coefficients as groups, and as `PlantedModel` does.

    >>> planted_sum([[0, 1], [2]], d=4, coefficients=[0.5, 0.25]).terms
    {(0, 1): 0.5, (2,): 0.25}
    """
    members = [tuple(group) for group in groups]
    factors = [1.0] * len(members) if coefficients is None else list(coefficients)
    if len(factors) != len(members):
        raise OptionError(
            f"planted_sum got {len(factors)} coefficients for {len(members)} groups, but each group takes "
            "one: give equally many, or none for 1 each."
        )
    return PlantedModel(_canonical(zip(members, factors, strict=True), _checked_count(d)), d, size=size)


def planted_linear(
    coefficients: Iterable[float], intercept: float = 0.0, *, size: tuple[int, int] | None = None
) -> PlantedModel:
    """Make a `PlantedModel` linear in the mask: intercept + Σ_j coefficients[j] z_j, d their number.

    LIME finds exactly these coefficients and this intercept, whatever the kernel and the samples. Errors
    and `size` as in `PlantedModel`.

    >>> planted_linear([0.5, -0.25, 0.0], intercept=0.25).scores([[1, 1, 1], [0, 1, 0]])
    array([0.5, 0. ])
    """
    values = list(coefficients)
    return PlantedModel({(j,): value for j, value in enumerate(values)}, len(values), intercept=intercept, size=size)


# The kernel


def _kernel(shown_share: Floats, width: float) -> Floats:
    distance = 1 - np.sqrt(shown_share)
    kernel: Floats = np.exp(-(distance**2) / (2 * width**2))
    return kernel


def _binomial_mean(kernel: Floats, d: int, p: int) -> float:
    total = 2**d
    return math.fsum(math.comb(d - p, hidden) / total * kernel[hidden] for hidden in range(d - p + 1))


# Pictures


def _cells_per_row(d: int) -> list[int]:
    rows = max(1, round(math.sqrt(d)))
    return [len(part) for part in np.array_split(np.arange(d), rows)]


def _grid(cells: list[int], height: int, width: int) -> tuple[npt.NDArray[np.int64], torch.Tensor]:
    """Return the label map and, of shape 2×d, the row and column of the pixel in the middle of each cell."""
    segments = np.empty((height, width), dtype=np.int64)
    middles = []
    first = 0
    for row, band in zip(np.array_split(np.arange(height), len(cells)), cells, strict=True):
        for column in np.array_split(np.arange(width), band):
            segments[row[0] : row[-1] + 1, column[0] : column[-1] + 1] = first
            middles.append((int(row[len(row) // 2]), int(column[len(column) // 2])))
            first += 1
    return segments, torch.tensor(middles, dtype=torch.int64).T.contiguous()


def _textured(segments: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Colour each superpixel in [0.6, 1) by multiples of the golden ratio, so that neighbours differ."""
    phases = segments[..., None] * 0.6180339887 + np.arange(3) * 0.35
    return (0.6 + 0.4 * (phases % 1.0)).astype(np.float32)


def _spots(classes: int, height: int, width: int) -> torch.Tensor:
    """Weights classes×3×H×W: each class likes one colour round one place, the places on a circle."""
    turn = 2 * math.pi * torch.arange(classes, dtype=torch.float64) / classes
    rows = (torch.arange(height, dtype=torch.float64) + 0.5) / height
    columns = (torch.arange(width, dtype=torch.float64) + 0.5) / width
    down = rows[None, :, None] - (0.5 + 0.25 * torch.sin(turn))[:, None, None]
    right = columns[None, None, :] - (0.5 + 0.25 * torch.cos(turn))[:, None, None]
    spot = torch.exp(-(down**2 + right**2) / (2 * 0.15**2))
    spot = spot / spot.sum(dim=(1, 2), keepdim=True)
    hue = 2 * math.pi * torch.arange(3, dtype=torch.float64) / 3
    colour = 0.5 + torch.cos(turn[:, None] - hue)
    return 8 * colour[:, :, None, None] * spot[:, None]


def _float64_device(device: torch.device) -> torch.device:
    """Return the device itself, or the processor where the device has no float64 (Apple's mps)."""
    return torch.device("cpu") if device.type == "mps" else device


# Checks of arguments


def _checked_count(d: int) -> int:
    count = operator.index(d)
    if count < 1:
        raise OptionError(f"the number of superpixels d is {count}, but it must be 1 or more: give d >= 1.")
    return count


def _checked_width(width: float) -> float:
    value = _checked_number(width, "the kernel width")
    if value <= 0:
        raise OptionError(f"the kernel width is {value}, but it must be above 0: give the usual 0.25.")
    return value


def _checked_number(value: float, name: str) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise OptionError(f"{name} is {number}, but it must be finite: give an ordinary number.")
    return number


def _checked_size(size: tuple[int, int], owner: str, smallest: tuple[int, int]) -> tuple[int, int]:
    height, width = (operator.index(side) for side in size)
    if height < smallest[0] or width < smallest[1]:
        raise OptionError(
            f"the size of {owner} is {(height, width)}, but it needs a height and width of at least "
            f"{smallest} pixels: give a larger size."
        )
    return height, width


def _check_batch(batch: torch.Tensor, model: FakeModel | PlantedModel) -> None:
    if batch.ndim != 4 or (batch.shape[1], *batch.shape[2:]) != (3, *(model.input_size or ())):
        raise OptionError(
            f"the batch given to {type(model).__name__}.predict has shape {tuple(batch.shape)}, but the "
            f"model takes N×3×height×width of size {model.input_size}: pass pictures through prepare first."
        )


def _canonical(terms: Iterable[tuple[Iterable[int], float]], d: int) -> dict[tuple[int, ...], float]:
    """Check the terms, sort each group and add up the coefficients of equal groups."""
    polynomial: dict[tuple[int, ...], float] = {}
    for members, coefficient in terms:
        group = tuple(operator.index(member) for member in members)
        if not group:
            raise OptionError(
                "a group of the planted formula is (), but it must name at least one superpixel: "
                "give the constant part as the intercept."
            )
        outside = [member for member in group if not 0 <= member < d]
        if outside:
            raise OptionError(
                f"the group {group} of the planted formula names superpixel {outside[0]}, but with d = {d} "
                f"they run from 0 to {d - 1}: give members within that range or a larger d."
            )
        if len(set(group)) < len(group):
            raise OptionError(
                f"the group {group} of the planted formula names a superpixel twice, but a group is a set: "
                "give each member once."
            )
        key = tuple(sorted(group))
        value = _checked_number(coefficient, f"the coefficient of the group {group}")
        polynomial[key] = polynomial.get(key, 0.0) + value
    return polynomial
