"""Models: what every classifier must offer, and the adapters that offer it."""

from pytest_lime.models.callable_model import CallableModel
from pytest_lime.models.huggingface_model import HuggingFaceModel
from pytest_lime.models.onnx_model import OnnxModel
from pytest_lime.models.protocol import Model
from pytest_lime.models.sklearn_model import SklearnModel
from pytest_lime.models.timm_model import TimmModel
from pytest_lime.models.torch_model import TorchModel

__all__ = ["CallableModel", "HuggingFaceModel", "Model", "OnnxModel", "SklearnModel", "TimmModel", "TorchModel"]
