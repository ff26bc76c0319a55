"""The graph of a network, told from one look at its code, and only where that says all that the network does.

`torch.fx` runs the code once, on a stand-in for the picture, and notes which layers it calls. That is the whole truth
of a network that computes the same steps for every picture, changes nothing as it runs, and makes finite numbers of
finite ones. What is allowed here is therefore listed; a network with anything else in it has no graph.
"""

from __future__ import annotations

import collections
import copy
import inspect
import operator
import threading
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

__all__ = ["UntraceableError", "settings_of", "trace"]

ATOMS = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device)
CONTAINERS = (dict, collections.OrderedDict, collections.defaultdict, list, set, collections.deque)

ACTIVATIONS = (
    *(nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.LeakyReLU, nn.SiLU, nn.Hardswish, nn.Hardsigmoid, nn.Sigmoid, nn.Tanh),
    *(nn.GELU, nn.ELU, nn.PReLU, nn.Mish, nn.Softmax),
)
# Those that hand on what they are given, without a copy.
PASSING = (nn.Identity, nn.Dropout, nn.Dropout2d, nn.Flatten)
MODULES = frozenset(
    {
        *(nn.Conv2d, nn.BatchNorm2d, nn.Linear, *ACTIVATIONS, *PASSING),
        *(nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d),
        *(nn.ZeroPad2d, nn.ConstantPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d),
        *(nn.Upsample, nn.PixelShuffle, nn.ChannelShuffle),
    }
)
IN_PLACE = frozenset({operator.iadd, operator.imul, operator.isub, torch.relu_})
MAY_WRITE = frozenset(
    {
        *(functional.relu, functional.relu6, functional.hardtanh, functional.leaky_relu, functional.silu),
        *(functional.hardswish, functional.hardsigmoid, functional.elu),
    }
)
DIVISIONS = frozenset({operator.truediv, torch.div, torch.true_divide})
VIEWS = frozenset({operator.getitem, torch.flatten, torch.chunk, torch.split, torch.unsqueeze, torch.squeeze})
VIEWS |= {torch.transpose, torch.permute, torch.reshape, functional.dropout}
FUNCTIONS = frozenset(
    {
        *(operator.add, operator.mul, operator.sub, operator.neg, operator.matmul, torch.matmul),
        *(torch.add, torch.mul, torch.sub, torch.cat, torch.stack, torch.mean, torch.sum),
        *(torch.conv2d, torch.relu, torch.sigmoid, torch.tanh, torch.softmax),
        *(functional.linear, functional.batch_norm),
        *(functional.gelu, functional.softmax, *MAY_WRITE),
        *(functional.max_pool2d, functional.avg_pool2d, functional.adaptive_avg_pool2d, torch.max_pool2d),
        *(functional.adaptive_max_pool2d, torch.adaptive_avg_pool1d, functional.interpolate, functional.pad),
        *(*IN_PLACE, *DIVISIONS, *VIEWS),
    }
)
METHODS_OF_VIEWS = frozenset({"view", "reshape", "flatten", "permute", "transpose", "contiguous", "unsqueeze"})
METHODS_OF_VIEWS |= {"squeeze", "chunk", "split", "expand", "expand_as", "narrow", "detach"}
METHODS_IN_PLACE = frozenset({"add_", "mul_", "sub_", "relu_", "sigmoid_"})
METHODS = METHODS_OF_VIEWS | METHODS_IN_PLACE | {"add", "mul", "sub", "mean", "sum", "clone", "matmul"}
METHODS |= {"relu", "sigmoid", "tanh", "softmax"}
# What asks for the size of a picture, and not for its values.
SIZES = frozenset({"size", "dim", "numel"})
FACTS = frozenset({"shape", "ndim", "dtype", "device", "is_cuda"})
# The second is how torch.fx holds a network to the defaults of its arguments.
ASSERTIONS = frozenset({torch._assert, getattr(fx._symbolic_trace, "_assert_is_none", None)})

# torch.fx puts its own way of calling modules in the place of torch's while it looks.
_one_at_a_time = threading.Lock()


class UntraceableError(Exception):
    """What a network computes cannot be told from one look at its code."""


def trace(net: nn.Module) -> fx.GraphModule:
    """Return the graph of what `net` computes of a batch in evaluation mode.

    The graph has the network's own parameters, copies of its buffers, and none of its modules: the code runs on a
    stand-in, so that whatever it notes down as it runs is not noted in the network. Assertions about sizes are left
    out.

    Raises
    ------
    UntraceableError
        It cannot be told.
    """
    defaults = {}
    for place, parameter in enumerate(inspect.signature(type(net).forward).parameters.values()):
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise UntraceableError("its forward takes any number of arguments")
        if place > 1 and parameter.default is parameter.empty:
            raise UntraceableError("its forward takes more than a batch")
        if place > 1:
            defaults[parameter.name] = parameter.default
    stand_in = _stand_in(net)
    before = settings_of(stand_in)
    with _one_at_a_time, torch.random.fork_rng(devices=[]):
        chance = torch.get_rng_state()
        graph = fx.GraphModule(stand_in, _Tracer().trace(stand_in, defaults))
        if not torch.equal(chance, torch.get_rng_state()):
            raise UntraceableError("it draws random numbers")
    if settings_of(stand_in) != before:
        raise UntraceableError("it notes something down in each pass, and may go another way in the next")
    _check(graph)
    return graph


def settings_of(net: nn.Module) -> list[Any]:
    """Return what decides what the code of `net` does, besides its tensors: its modules, and their plain attributes."""
    found: list[Any] = []
    for name, module in net.named_modules():
        found += [name, type(module)]
        for key, value in vars(module).items():
            if key not in ("_parameters", "_buffers", "_modules"):
                plain = isinstance(value, ATOMS) or (
                    isinstance(value, tuple | list) and all(isinstance(one, ATOMS) for one in value)
                )
                found.append((key, repr(value) if plain else id(value)))
    return found


class _Proxy(fx.Proxy):
    """The stand-in for the picture and for all that is made of it; what is changed in place is noted as such."""

    def __iadd__(self, other: Any) -> Any:
        return self._changed(operator.iadd, other)

    def __isub__(self, other: Any) -> Any:
        return self._changed(operator.isub, other)

    def __imul__(self, other: Any) -> Any:
        return self._changed(operator.imul, other)

    def __itruediv__(self, other: Any) -> Any:
        return self._changed(operator.itruediv, other)

    def __ipow__(self, other: Any) -> Any:
        return self._changed(operator.ipow, other)

    def _changed(self, how: Any, other: Any) -> Any:
        return self.tracer.create_proxy("call_function", how, (self, other), {})


class _Tracer(fx.Tracer):
    """Looks at one network, and leaves alone what other threads call meanwhile."""

    # Else what is written to a buffer is written while it looks, and is no part of the graph.
    proxy_buffer_attributes = True

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)

    def call_module(self, m: nn.Module, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if threading.get_ident() != self._thread:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, fx.Proxy]) -> Any:
        if threading.get_ident() != self._thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)


def _stand_in(net: nn.Module) -> nn.Module:
    """Return a network of the same modules with the same parameters, and with buffers and containers of its own."""
    copies: dict[int, Any] = {}

    def copied(value: Any) -> Any:
        if id(value) in copies:
            return copies[id(value)]
        made = value
        if isinstance(value, nn.Module):
            made = copies[id(value)] = object.__new__(type(value))
            vars(made).update({name: copied(one) for name, one in vars(value).items()})
        elif type(value) in CONTAINERS:
            made = copies[id(value)] = copy.copy(value)
            made.clear()
            if isinstance(value, dict):
                made.update({copied(key): copied(one) for key, one in value.items()})
            elif isinstance(value, set):
                made.update(map(copied, value))
            else:
                made.extend(map(copied, value))
        elif type(value) is tuple:
            made = tuple(map(copied, value))
        elif isinstance(value, torch.Tensor) and not isinstance(value, nn.Parameter):
            made = copies[id(value)] = value.clone()
        return made

    with torch.inference_mode(False), torch.no_grad():
        made: nn.Module = copied(net)
    return made


def _check(graph: fx.GraphModule) -> None:
    """Take out assertions about sizes and modules that do nothing.

    Raises
    ------
    UntraceableError
        There is a step in it that is not allowed.
    """
    for place, node in enumerate(graph.graph.nodes):
        # The first is the batch.
        node.meta["size"] = place > 0 and _is_size(node)
    for node in reversed(list(graph.graph.nodes)):
        if node.target in ASSERTIONS and node.op == "call_function":
            if node.target is torch._assert and not all(given.meta["size"] for given in node.all_input_nodes):
                raise UntraceableError("it asserts something of the values")
            graph.graph.erase_node(node)
        elif node.meta["size"] and not node.users and node.op != "placeholder":
            graph.graph.erase_node(node)
        elif _does_nothing(graph, node):
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)
    for node in graph.graph.nodes:
        if "out" in node.kwargs or not (node.meta["size"] or _is_allowed(graph, node)):
            raise UntraceableError(f"{node.op} {node.target}")
        if _writes(graph, node):
            given = node.args[0]
            alone = isinstance(given, fx.Node) and len(given.users) == 1 and not _is_view(graph, given)
            if not (alone and node.users):
                raise UntraceableError(f"{node.target} changes what is used elsewhere")


def _does_nothing(graph: fx.GraphModule, node: fx.Node) -> bool:
    """Whether `node` hands on its first argument as it is.

    Raises
    ------
    UntraceableError
        It would, were it not in training mode.
    """
    if node.op == "call_module" and type(module := graph.get_submodule(str(node.target))) in PASSING[:3]:
        if module.training or len(node.args) != 1:
            raise UntraceableError(f"{node.target} is in training mode")
        return True
    # Of torchvision; the last argument says whether the network is trained.
    return getattr(node.target, "__name__", "") == "stochastic_depth" and node.args[-1:] == (False,)


def _is_size(node: fx.Node) -> bool:
    """Whether `node` is made of sizes of pictures and of defaults alone."""
    if node.op == "placeholder":
        return bool(node.args)
    if node.op == "call_method" and node.target in SIZES:
        return True
    if node.op != "call_function":
        return False
    if node.target is getattr:
        return node.args[1] in FACTS
    given = node.all_input_nodes
    # Plain arithmetic of Python; a function of torch makes a tensor.
    return bool(given) and node.target.__module__ == "_operator" and all(one.meta["size"] for one in given)


def _is_allowed(graph: fx.GraphModule, node: fx.Node) -> bool:
    if node.op in ("placeholder", "get_attr", "output"):
        return True
    if node.op == "call_module":
        return type(graph.get_submodule(str(node.target))) in MODULES
    if node.op == "call_method":
        return node.target in METHODS
    if node.target in DIVISIONS:
        by = node.args[1] if len(node.args) > 1 else None
        return not node.kwargs and isinstance(by, int | float) and by != 0
    if node.target in (functional.dropout, functional.batch_norm):
        # What differs from pass to pass, or from batch to batch.
        place, default = (2, True) if node.target is functional.dropout else (5, False)
        return node.kwargs.get("training", node.args[place] if len(node.args) > place else default) is False
    return node.target in FUNCTIONS


def _writes(graph: fx.GraphModule, node: fx.Node) -> bool:
    """Whether `node` changes what it is given."""
    if node.op == "call_module":
        return bool(getattr(graph.get_submodule(str(node.target)), "inplace", False))
    if node.op == "call_method":
        return node.target in METHODS_IN_PLACE
    if node.op != "call_function" or node.meta["size"]:
        return False
    if node.target in IN_PLACE:
        return True
    # The last argument of these, and their only one that can be True.
    places = node.args[1:] if node.target in MAY_WRITE else ()
    return bool(node.kwargs.get("inplace", any(value is True for value in places)))


def _is_view(graph: fx.GraphModule, node: fx.Node) -> bool:
    """Whether what `node` returns is memory that something else can see, too."""
    if node.op in ("placeholder", "get_attr"):
        return True
    if node.op == "call_module":
        return type(graph.get_submodule(str(node.target))) in PASSING
    return node.target in (METHODS_OF_VIEWS if node.op == "call_method" else VIEWS)
