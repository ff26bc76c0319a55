"""Fused networks: convolution, batch norm and activation as one kernel, for passes on the processor."""

from __future__ import annotations

import operator
import weakref
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import fx, nn
from torch.nn import functional

from pytest_lime.tracing import UntraceableError, settings_of, trace

__all__ = ["PACKED_FROM", "FusedNetwork", "fusible"]

# The kernel's name of an activation, and its numbers.
Activation: TypeAlias = tuple[str, list[float | None], str]
NOTHING: Activation = ("none", [], "")
# Scores of the fused network may differ from those of the network itself by this share of the largest of them.
TOLERANCE = 1e-5
# Weights are laid out for that many pictures, whatever comes first; what suits them suits more, and not a single one.
PACKED_FROM = 4

_of_modules: dict[type[nn.Module], Callable[[Any], Activation]] = {
    nn.ReLU: lambda _: ("relu", [], ""),
    nn.ReLU6: lambda _: ("hardtanh", [0.0, 6.0], ""),
    nn.Hardtanh: lambda module: ("hardtanh", [module.min_val, module.max_val], ""),
    nn.LeakyReLU: lambda module: ("leaky_relu", [module.negative_slope], ""),
    nn.SiLU: lambda _: ("swish", [], ""),
    nn.Hardswish: lambda _: ("hardswish", [], ""),
    nn.Sigmoid: lambda _: ("sigmoid", [], ""),
    nn.Tanh: lambda _: ("tanh", [], ""),
}
_of_functions: dict[Any, Activation] = {
    **dict.fromkeys((functional.relu, torch.relu, torch.relu_, "relu", "relu_"), ("relu", [], "")),
    functional.relu6: ("hardtanh", [0.0, 6.0], ""),
    functional.silu: ("swish", [], ""),
    functional.hardswish: ("hardswish", [], ""),
    **dict.fromkeys((torch.sigmoid, "sigmoid"), ("sigmoid", [], "")),
    **dict.fromkeys((torch.tanh, "tanh"), ("tanh", [], "")),
}


def fusible(net: nn.Module) -> bool:
    """Whether it is worth trying: a network in float32 on the processor that normalises batches, and has no hooks."""
    modules, backend = list(net.modules()), torch.backends.mkldnn
    return (
        any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in modules)
        and all(_suits(one) for module in modules for one in module._parameters.values() if one is not None)
        and bool(backend.is_available() and backend.enabled)  # type: ignore[no-untyped-call]
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
        and not torch.is_autocast_enabled("cpu")
        and not (nn.modules.module._global_forward_hooks or nn.modules.module._global_forward_pre_hooks)
        and not any(_has_its_own_way(module) for module in modules)
    )


def _suits(parameter: nn.Parameter) -> bool:
    return parameter.dtype is torch.float32 and parameter.device.type == "cpu"


def _has_its_own_way(module: nn.Module) -> bool:
    """Whether calling `module` does something else than running the `forward` of its class."""
    hooked = module._forward_hooks or module._forward_pre_hooks or type(module).__call__ is not nn.Module.__call__
    return bool(hooked or "forward" in vars(module) or module._compiled_call_impl is not None)


class FusedNetwork:
    """A network whose convolutions have swallowed the batch norm and the activation behind them.

    A batch norm in evaluation mode is a factor and a summand for each channel, so it goes into the convolution's
    weights and bias; the activation is computed by oneDNN before the values leave the processor's cache, and zeros
    around a picture are the convolution's own padding. Of the four times that a layer's output is written to memory,
    one is left. It is the network's own computation up to rounding, some 1e-6 of the scores. Whatever is not of this
    kind runs as it is.

    Parameters
    ----------
    net : torch.nn.Module
        In evaluation mode, in float32, on the processor. It is not changed, and of it only parameters are kept alive.

    Raises
    ------
    UntraceableError
        What the network computes cannot be told from one look at its code, or it has no such layers.
    """

    def __init__(self, net: nn.Module) -> None:
        self._net = weakref.ref(net)
        self._state, self._settings = _tensors(net), settings_of(net)
        self._graph = trace(net)
        graph, folded = self._graph.graph, 0
        with torch.inference_mode(False), torch.no_grad():
            for number, node in enumerate(list(graph.nodes)):
                # One after the other: what a layer receives may have been replaced by the one before.
                if (layer := _layer(self._graph, node)) is None:
                    continue
                folded += layer.norm is not None
                self._graph.add_submodule(f"_fused_{number}", layer.fused())
                # Where the convolution was, before anything changes what it is given.
                with graph.inserting_before(node):
                    new = graph.call_module(f"_fused_{number}", (layer.input,))
                layer.last.replace_all_uses_with(new)
        if not folded:
            raise UntraceableError("no convolution is followed by a batch norm")
        graph.eliminate_dead_code()
        self._graph.delete_all_unused_submodules()
        self._graph.recompile()

    def __call__(self, batch: torch.Tensor) -> Any:
        """Return what the network returns for `batch`."""
        # Calling the module itself prints a traceback of its own where this raises.
        return self._graph.forward(batch)

    def is_of(self, net: nn.Module, *, closely: bool = False) -> bool:
        """Whether it was made of `net`, no tensor of which was written to or replaced since.

        With `closely`, nor any of its modules, and their settings.
        """
        same = self._net() is net and self._state == _tensors(net)
        return same and not (closely and self._settings != settings_of(net))

    @staticmethod
    def agrees(own: Any, fused: Any) -> bool:
        """Whether `fused` is what the network itself returned, `own`, up to rounding."""
        if not isinstance(own, torch.Tensor) or not isinstance(fused, torch.Tensor) or own.shape != fused.shape:
            return False
        return bool(((own - fused).abs().max() <= TOLERANCE * own.abs().max().clamp_min(1e-30)).item())


def _tensors(net: nn.Module) -> list[tuple[int, int, int]]:
    """Return of each tensor of `net` which it is, where it is, and how often it was written to."""
    return [
        (id(one), one.data_ptr(), 0 if one.is_inference() else one._version)
        for module in net.modules()
        for one in (*module._parameters.values(), *module._buffers.values(), *vars(module).values())
        if isinstance(one, torch.Tensor)
    ]


class _Convolution(nn.Module):
    """One kernel of oneDNN: a convolution with a bias, and an activation."""

    def __init__(
        self, weight: torch.Tensor, bias: torch.Tensor | None, settings: tuple[Any, ...], activation: Activation
    ) -> None:
        super().__init__()
        self.weight: torch.Tensor = nn.Buffer(weight.contiguous(memory_format=torch.channels_last))
        self.bias = None if bias is None else nn.Buffer(bias)
        self._settings = (*settings, *activation)
        self._packed: torch.Tensor | None = None

    def forward(self, batch: torch.Tensor) -> Any:
        weight = self._packed
        if weight is None and len(batch) >= PACKED_FROM:
            # In blocks as the kernel reads them, which it else makes anew in every pass.
            pack = torch.ops.mkldnn._reorder_convolution_weight
            weight = self._packed = pack(self.weight, *self._settings[:4], (PACKED_FROM, *batch.shape[1:]))
        weight = self.weight if weight is None else weight
        return torch.ops.mkldnn._convolution_pointwise(batch, weight, self.bias, *self._settings)


class _Layer:
    """A convolution in a graph, and what follows it and can be computed with it."""

    def __init__(self, graph: fx.GraphModule, node: fx.Node, found: dict[str, Any]) -> None:
        self.input, self.last = found["input"], node
        self._weight, self._bias = found["weight"], found["bias"]
        self._stride, self._dilation, self._groups = _pair(found["stride"]), _pair(found["dilation"]), found["groups"]
        self._padding = _pair(found["padding"])
        self._wider = (0, 0)
        self._activation = NOTHING
        self.norm: dict[str, Any] | None = None
        self._take_padding(graph)
        if (user := _only_user(node)) is not None and (norm := _norm(graph, user)):
            self.norm, self.last = norm, user
        if (user := _only_user(self.last)) is not None and (activation := _activation(graph, user)):
            self._activation, self.last = activation, user

    def fused(self) -> _Convolution:
        """The layer as one module, with weights of its own."""
        weight, bias = self._weight.detach().clone(), None if self._bias is None else self._bias.detach().clone()
        if self.norm:
            # In double precision, so that folding does not round more than once.
            factor = (self.norm["variance"].detach().double() + self.norm["eps"]).rsqrt()
            if self.norm["weight"] is not None:
                factor = factor * self.norm["weight"].detach()
            shift = -self.norm["mean"].detach().double() if bias is None else bias - self.norm["mean"].detach().double()
            shift = shift * factor
            if self.norm["bias"] is not None:
                shift = shift + self.norm["bias"].detach()
            weight, bias = (weight * factor[:, None, None, None]).float(), shift.float()
        rows, columns = self._wider
        weight = functional.pad(weight, (columns, 0, rows, 0))
        settings = (self._padding, self._stride, self._dilation, self._groups)
        return _Convolution(weight, bias, settings, self._activation)

    def _take_padding(self, graph: fx.GraphModule) -> None:
        """Let the convolution pad with zeros itself where a layer of its own does so before it."""
        module = _module(graph, self.input)
        if type(module) is not nn.ZeroPad2d:
            return
        left, right, top, bottom = module.padding
        apart = self._groups == self._weight.shape[0] and self._dilation == [1, 1]
        if left == right >= 0 and top == bottom >= 0:
            more = (0, 0)
        elif apart and 0 <= left <= right and 0 <= top <= bottom:
            # A kernel that is wider by zeros in front needs as much padding there as behind. Where channels are
            # apart, its few more products cost less than another copy of the picture.
            more = (bottom - top, right - left)
        else:
            return
        self._wider = more
        self._padding = [self._padding[0] + bottom, self._padding[1] + right]
        self.input = self.input.args[0]


def _layer(graph: fx.GraphModule, node: fx.Node) -> _Layer | None:
    """Return the layer that begins at `node`, if that is a convolution of pictures."""
    module = _module(graph, node)
    if type(module) is nn.Conv2d and len(node.args) == 1 and not node.kwargs and module.padding_mode == "zeros":
        found = {name: getattr(module, name) for name in ("weight", "bias", "stride", "padding", "dilation", "groups")}
        found["input"] = node.args[0]
    elif node.op == "call_function" and node.target is torch.conv2d:
        names = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
        defaults = {"bias": None, "stride": 1, "padding": 0, "dilation": 1, "groups": 1}
        found = {**defaults, **_given(node, names)}
        found["weight"], found["bias"] = _tensor(graph, found["weight"]), _tensor(graph, found["bias"])
    else:
        return None
    ready = isinstance(found["input"], fx.Node) and isinstance(found["weight"], torch.Tensor)
    # Padding in words, and what is computed as the network runs, stay as they are.
    if not ready or isinstance(found["padding"], str) or isinstance(found["bias"], fx.Node):
        return None
    return _Layer(graph, node, found)


def _norm(graph: fx.GraphModule, node: fx.Node) -> dict[str, Any] | None:
    """Return mean, variance, weight, bias and eps if `node` is a batch norm with statistics of its own."""
    module = _module(graph, node)
    if type(module) is nn.BatchNorm2d and not module.training:
        held = (module.running_mean, module.running_var, module.weight, module.bias, module.eps)
    elif node.op == "call_function" and node.target is functional.batch_norm:
        names = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
        given = {"weight": None, "bias": None, "eps": 1e-5, **_given(node, names)}
        if not isinstance(given["eps"], float):
            return None
        tensors = (_tensor(graph, given[name]) for name in ("running_mean", "running_var", "weight", "bias"))
        held = (*tensors, given["eps"])
    else:
        return None
    found = dict(zip(("mean", "variance", "weight", "bias", "eps"), held, strict=True))
    known = isinstance(found["mean"], torch.Tensor) and isinstance(found["variance"], torch.Tensor)
    return found if known and not any(isinstance(one, fx.Node) for one in held) else None


def _activation(graph: fx.GraphModule, node: fx.Node) -> Activation | None:
    module = _module(graph, node)
    if module is not None:
        known = _of_modules.get(type(module))
        return known(module) if known else None
    if len(node.args) != 1 or node.kwargs.keys() - {"inplace"}:
        return None
    return _of_functions.get(node.target) if node.op in ("call_function", "call_method") else None


def _module(graph: fx.GraphModule, node: Any) -> nn.Module | None:
    """Return the module that `node` calls."""
    if not isinstance(node, fx.Node) or node.op != "call_module":
        return None
    return graph.get_submodule(str(node.target))


def _tensor(graph: fx.GraphModule, value: Any) -> Any:
    """Return the tensor behind a node that only looks it up; any other value as it is."""
    if isinstance(value, fx.Node) and value.op == "get_attr":
        return operator.attrgetter(str(value.target))(graph)
    return value


def _given(node: fx.Node, names: tuple[str, ...]) -> dict[str, Any]:
    return {**dict(zip(names, node.args, strict=False)), **node.kwargs}


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _pair(value: Any) -> list[int]:
    return [int(one) for one in value] if isinstance(value, tuple | list) else [int(value)] * 2
