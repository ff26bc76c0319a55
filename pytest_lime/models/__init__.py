"""Models: what every classifier must offer, and the adapters that offer it."""

from pytest_lime.models.callable_model import CallableModel
from pytest_lime.models.protocol import Model
from pytest_lime.models.torch_model import TorchModel

__all__ = ["CallableModel", "Model", "TorchModel"]
