"""Explanations with known figures, without a model."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from pytest_lime.explanation import Explanation
from pytest_lime.images import Image, View
from pytest_lime.options import LimeOptions

CELL = 5  # odd, so that each cell has a central pixel


def build_explanation(
    weights: Sequence[float] | Sequence[Sequence[float]],
    *,
    columns: int = 4,
    error: float | Sequence[float] = 0.0,
    covariance: Any = None,
    prediction: Sequence[float] = (0.7, 0.2, 0.1),
    targets: tuple[int, ...] = (0,),
    class_names: tuple[str, ...] = ("cat", "dog", "bird"),
    box: tuple[float, float, float, float] | None = None,
    file_size: tuple[int, int] | None = None,
    unchanged: Sequence[int] = (),
    samples: int = 400,
    freedom: float = np.inf,
    rounding: float = 0.0,
    sampler: str = "antithetic",
    confidence: float = 0.95,
    signed: bool = True,
) -> Explanation:
    """Return an explanation over cells of 5×5 pixels, row by row; `error` is the weights' standard error."""
    matrix = np.atleast_2d(np.asarray(weights, dtype=np.float64))
    classes, superpixels = matrix.shape
    cells = np.arange(superpixels, dtype=np.int64).reshape(-1, columns)
    segments = np.kron(cells, np.ones((CELL, CELL), dtype=np.int64))
    height, width = segments.shape
    size = file_size or (height, width)
    spread = np.broadcast_to(np.asarray(error, dtype=np.float64), superpixels) ** 2
    rng = np.random.default_rng(0)
    return Explanation(
        image=Image(rng.random((*size, 3), dtype=np.float32), "cells.png"),
        pixels=rng.random((3, height, width), dtype=np.float32),
        view=View(size=size, box=box or (0.0, 0.0, float(size[1]), float(size[0])), shape=(height, width)),
        segments=segments,
        unchanged=np.isin(np.arange(superpixels), unchanged),
        targets=targets,
        labels=tuple(class_names[target] for target in targets),
        weights=matrix,
        intercept=np.full(classes, 0.125),
        covariance=np.stack([np.diag(spread)] * classes) if covariance is None else np.asarray(covariance),
        freedom=freedom,
        rounding=np.full(classes, rounding),
        r2=np.full(classes, 0.75),
        r2_heldout=np.full(classes, 0.7),
        local_pred=0.125 + matrix.sum(axis=1),
        signed=signed,
        prediction=np.asarray(prediction, dtype=np.float64),
        class_names=class_names,
        masks=rng.integers(0, 2, (samples, superpixels), dtype=np.uint8),
        sample_scores=rng.random((samples, classes)),
        sample_weights=np.ones(samples),
        paired=sampler == "antithetic",
        complete=sampler == "exhaustive",
        passes=samples + 3,
        sampler=sampler,
        seconds=0.25,
        batch_size=32,
        device="cpu",
        options=LimeOptions(confidence=confidence),
    )


@pytest.fixture(scope="session")
def explanation_of() -> Callable[..., Explanation]:
    return build_explanation
