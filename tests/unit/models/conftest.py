"""What the tests of several adapters need: a photograph, the libraries, and the same network as a function."""

from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from pytest_lime import CallableModel, Explanation, explain
from pytest_lime.images import load_image

OPTIONS: dict[str, Any] = {"segmenter": "grid", "segments": 16, "samples": 64, "seed": 0, "fill": "black"}


@pytest.fixture(scope="session")
def timm(torchvision: ModuleType) -> ModuleType:
    return import_module("timm")


@pytest.fixture(scope="session")
def transformers(torchvision: ModuleType) -> ModuleType:
    return import_module("transformers")


@pytest.fixture(scope="session")
def photo() -> NDArray[np.uint8]:
    """A cat, 300×451×3."""
    photograph: NDArray[np.uint8] = skimage.data.chelsea()
    return photograph


@pytest.fixture(scope="session")
def same_explanation() -> Callable[..., Explanation]:
    """Explain `image` by an adapter, and what the adapter sees of it by a function; both must agree."""

    def check(adapter: Any, function: Callable[[NDArray[Any]], Any], image: Any, target: Any = 0) -> Explanation:
        seen = np.moveaxis(adapter.prepare(load_image(image)), 0, -1)
        ours = explain(adapter, image, target, **OPTIONS)
        theirs = explain(CallableModel(function), seen, ours.targets[0], **OPTIONS)
        # Weights of a size that tells the network from any other.
        assert np.abs(theirs.weights).max() > 0.01
        # Both are float32 networks on the same pixels, in batches of other sizes.
        np.testing.assert_allclose(ours.weights, theirs.weights, rtol=0, atol=2e-6)
        np.testing.assert_allclose(ours.prediction, theirs.prediction, rtol=0, atol=2e-6)
        return ours

    return check
