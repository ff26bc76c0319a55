"""A small network and pictures for it, on which our own part of the work shows; and explanations in fresh processes."""

from __future__ import annotations

import contextlib
import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from benchmarks.measuring import answer, peak_megabytes
from pytest_lime import TorchModel, explain, predicted
from pytest_lime.perturbation import MaskStream

SIDE = 128
EXPLAINED = 5
# Fixed, so that a search for the best is in no figure.
BATCH = 32
# A point is measured so often, unless it takes longer than so many seconds.
REPEATS, LONG = 3, 10.0
# Of so few superpixels all masks are scored, unless masks are given.
EXHAUSTIVE = 12


class Net(nn.Module):
    """Two convolutions and a linear layer; it sums up the seconds that its passes take."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(3, 8, 5, stride=4), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2), nn.ReLU()),
            *(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(256, classes)),
        )

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        began = time.perf_counter()
        scores: torch.Tensor = self.layers(batch)
        CLOCK["network"] += time.perf_counter() - began
        return scores


# Outside the network, whose state a cache would ask about.
CLOCK = {"network": 0.0}


def small_model(classes: int, side: int = SIDE) -> TorchModel:
    """Return a network with the same weights in every process."""
    torch.manual_seed(0)
    return TorchModel(Net(classes), size=(side, side), mean=(0.5,) * 3, std=(0.25,) * 3, device="cpu")


def picture(number: int, side: int = SIDE) -> NDArray[np.uint8]:
    """Return a picture of coloured blots, another for each number."""
    blots = np.random.default_rng(number).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(blots).resize((side, side), Image.Resampling.BICUBIC))


def strips(count: int, side: int = SIDE) -> NDArray[np.int64]:
    """Return a label map of exactly so many superpixels."""
    return (np.arange(side * side) * count // (side * side)).reshape(side, side)


def one_image(
    *,
    samples: int,
    classes: int,
    superpixels: int = 0,
    side: int = SIDE,
    repeats: int = REPEATS,
    batch_size: int | str = BATCH,
) -> dict[str, Any]:
    """Explain one picture, and return seconds, those of the network, and the peak of memory.

    Parameters
    ----------
    samples, classes : int
    superpixels : int
        Exactly so many; 0 leaves it to SLIC.
    side : int
        Of the picture.
    repeats : int
        Runs of which the median is taken.
    batch_size : int or ``"auto"``
    """
    model, image = small_model(classes, side), picture(0, side)
    options: dict[str, Any] = {"top_labels": min(EXPLAINED, classes), "batch_size": batch_size}
    explain(model, image, samples=64, segments=20, **options)
    if superpixels:
        options["segmenter"] = strips(superpixels, side)
    if 0 < superpixels <= EXHAUSTIVE:
        options["sampler"] = MaskStream("bernoulli", superpixels, 0).draw(samples)
    else:
        options["samples"] = samples
    before = peak_megabytes()
    found = _repeated(lambda: explain(model, image, **options), repeats)
    return {**found, "before": before, "megabytes": peak_megabytes()}


def many_images(*, images: int, samples: int) -> dict[str, Any]:
    """Check so many pictures in one ``lime.check_all``, under pytest."""
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(io.StringIO()) as printed:
        folder = Path(name)
        paths = [folder / f"{number}.png" for number in range(images)]
        for number, path in enumerate(paths):
            Image.fromarray(picture(number)).save(path)
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        (folder / "test_all.py").write_text("def test_all(lime, measure):\n    measure(lime)\n", encoding="utf-8")
        plugin = _Measure(paths, samples)
        status = pytest.main(
            [
                *(name, f"--rootdir={name}", "-q", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist"),
                *("--lime-no-cache", f"--lime-report={folder / 'report'}"),
            ],
            plugins=[plugin],
        )
    if status:
        raise RuntimeError(printed.getvalue()[-2000:])
    return plugin.found


class _Measure:
    """The plugin whose fixture checks all images and measures that."""

    def __init__(self, paths: list[Path], samples: int) -> None:
        self.found: dict[str, Any] = {}
        self._paths, self._samples = paths, samples

    def pytest_configure(self, config: pytest.Config) -> None:
        # After the plugins that are installed, so that these fixtures are asked before theirs.
        config.pluginmanager.register(_Fixtures(self._measure), "measure")

    def _measure(self, lime: Any) -> None:
        options = {"samples": self._samples, "batch_size": BATCH}
        lime.check_all(self._paths[:1], None, predicted(rank=1), **{**options, "samples": 64})
        before = peak_megabytes()

        def once() -> None:
            lime.check_all(self._paths, None, predicted(rank=1), **options)

        self.found = {**_repeated(once, 1), "before": before, "megabytes": peak_megabytes()}


class _Fixtures:
    def __init__(self, measure: Callable[[Any], None]) -> None:
        self._measure = measure

    @pytest.fixture(scope="session")
    def lime_model(self) -> TorchModel:
        return small_model(10)

    @pytest.fixture
    def measure(self) -> Callable[[Any], None]:
        return self._measure


def _repeated(once: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Return the median seconds of a call, and of the network in that call."""
    found: list[tuple[float, float]] = []
    while not found or (len(found) < repeats and sum(seconds for seconds, _ in found) < LONG):
        CLOCK["network"] = 0.0
        began = time.perf_counter()
        once()
        found.append((time.perf_counter() - began, CLOCK["network"]))
    seconds = statistics.median(seconds for seconds, _ in found)
    # Each from the run that it belongs to.
    own = statistics.median(seconds - network for seconds, network in found)
    return {"seconds": seconds, "own": own, "network": seconds - own}


def main() -> None:
    """Measure one point, in a process of its own."""
    settings = json.loads(sys.argv[-1])
    measure = many_images if "images" in settings else one_image
    answer(measure(**settings))


if __name__ == "__main__":
    main()
