"""What the scores of a model come from, as one digest: its weights, its state and its code.

A model is walked from object to object. Each puts what tells it from any other into a flat
list of tokens, followed by what it refers to. Whatever could not be told apart so, such as
an object of C without a state, makes the whole model one that has no fingerprint.

Weights are digested each time, where they are, since nothing counts how often they are
written to. Of code, that of installed packages counts by their version; that of others by
what is loaded and by the files that it came from.
"""

from __future__ import annotations

import copyreg
import dataclasses
import dis
import enum
import functools
import hashlib
import importlib.metadata
import importlib.util
import logging
import marshal
import os
import pickle
import re
import site
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePath
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray

import pytest_lime
from pytest_lime.errors import ModelError, is_for_the_user, one_line

__all__ = ["fingerprint", "is_ours", "state_digest", "versions"]

__tracebackhide__ = is_for_the_user

Namespace: TypeAlias = dict[str, Any]

DIGEST_SIZE = 20
# Tokens of these types stand for themselves; lists are kept for marks, which no value can then be taken for.
ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes, type(...)})
# Without anything of a class's own.
PLAIN_TENSORS = frozenset({torch.Tensor, torch.nn.Parameter, torch.nn.Buffer})
# More than any network has; a model that refers to the whole test session has more.
MOST_OBJECTS = 300_000
# Of marshal's formats the last that does not depend on which objects are the same one.
FORMAT = 2
# Weights are summed in blocks of that many words of eight bytes.
WORDS = 512
BLOCK = 8 * WORDS
# Blocks at once. Of 32,768 words on PyTorch wakes other threads on a processor, which takes longer than the sum.
AT_ONCE = 63
AT_ONCE_ON_ACCELERATOR = 4096
# Fields of a distribution stand one a line, before an empty line and the description.
VERSION_FIELD = re.compile(r"\A(?:.+\n)*?Version: *(\S+)")
# Of a class, what says nothing of what it does, or changes as it is used.
NOT_OF_A_CLASS = frozenset(
    {
        "__abstractmethods__",
        "__annotate__",
        "__annotate_func__",
        "__annotations__",
        "__annotations_cache__",
        "__dict__",
        "__doc__",
        "__firstlineno__",
        "__module__",
        "__orig_bases__",
        "__parameters__",
        "__qualname__",
        "__slotnames__",
        "__static_attributes__",
        "__type_params__",
        "__weakref__",
        "_abc_impl",
    }
)
# Of a network, what has no part in a forward pass. Forward hooks are taken together.
FORWARD_HOOKS = ("_forward_pre_hooks", "_forward_hooks")
MEMBERS = ("_parameters", "_buffers", "_modules")
NOT_OF_A_NETWORK = frozenset(
    {
        "_backward_hooks",
        "_backward_pre_hooks",
        "_forward_hooks",
        "_forward_hooks_always_called",
        "_forward_hooks_with_kwargs",
        "_forward_pre_hooks",
        "_forward_pre_hooks_with_kwargs",
        "_is_full_backward_hook",
        "_load_state_dict_post_hooks",
        "_load_state_dict_pre_hooks",
        "_non_persistent_buffers_set",
        "_state_dict_hooks",
        "_state_dict_pre_hooks",
    }
)


def fingerprint(model: Any) -> str | None:
    """Return a digest that changes whenever the scores of `model` could, or None where that cannot be told.

    It can be told of the models of this package, as long as a network of the user's does not read from outside of the
    process as it runs. Any other model can have one of its own: an attribute `fingerprint` that is a str or None, or a
    method without arguments that returns one. It is then taken instead of what is found by
    looking at the model.

    On which device the model is, and the layout of its weights in memory, do not count.

    Raises
    ------
    ModelError
        The model has a `fingerprint` of another kind.
    """
    if not hasattr(model, "fingerprint"):
        return state_digest(model) if is_ours(model) else None
    own = model.fingerprint() if callable(model.fingerprint) else model.fingerprint
    if own is not None and not isinstance(own, str):
        raise ModelError(
            f"{one_line(model)} has the fingerprint {one_line(own)}; it must be a str or None, or a method without "
            "arguments that returns one."
        )
    return None if own is None else state_digest(type(model).__module__, type(model).__qualname__, str(own))


def is_ours(value: Any) -> bool:
    """Whether `value` is of a class of this package: what another reads from elsewhere, no look at it tells."""
    return type(value).__module__.partition(".")[0] == "pytest_lime"


def state_digest(*parts: Any, evaluated: torch.nn.Module | None = None) -> str | None:
    """Return a digest of all that `parts` hold and of the code behind them, or None where that cannot be told.

    Parameters
    ----------
    *parts : object
        Of any kind: networks, tensors, containers, functions, classes, objects of a user's class.
    evaluated : torch.nn.Module, optional
        A network for which it does not count whether it is in evaluation mode, as whoever
        asks puts it there before each use. Where it has a `train` or `eval` of its own, it counts.
    """
    walk = _Walk(set() if evaluated is None else _modules(evaluated))
    # What changes the arithmetic of every network, though it is no part of any.
    settings = (str(torch.get_default_dtype()), torch.get_float32_matmul_precision())
    try:
        return walk.digest((versions(), settings, *parts)).hex()
    # Objects of a user's may do anything when they are looked at; a fingerprint only saves time.
    except Exception:
        return None


@functools.cache
def versions() -> tuple[str, ...]:
    """Return name and version of Python, of this package and of each one that it computes with."""
    packages = ("numpy", "torch", "scipy", "scikit-image", "scikit-learn", "pillow")
    return f"python {sys.version}", _ours(), *(f"{name} {_installed_version(name)}" for name in packages)


def _installed_version(distribution: str) -> str:
    """Return the version of an installed distribution.

    Raises
    ------
    importlib.metadata.PackageNotFoundError
        There is none of that name.
    """
    found = importlib.metadata.distribution(distribution)
    # Its property `version` parses the whole text, with the description, ten times as slowly.
    stated = VERSION_FIELD.search(found.read_text("METADATA") or "")
    return stated[1] if stated else found.version


class _UnknownError(Exception):
    """Something that cannot be told from others of its kind."""


class _Walk:
    """One walk over objects, in a fixed order.

    Parameters
    ----------
    evaluated : set of int
        Ids of the modules whose mode does not count.
    """

    def __init__(self, evaluated: set[int]) -> None:
        self._evaluated = evaluated
        self._tokens: list[Any] = []
        self._waiting: list[Any] = []
        # The number of the visit, by id; what was visited is kept, so that its id is not used again.
        self._visits: dict[int, int] = {}
        self._kept: list[Any] = []
        self._tensors: list[torch.Tensor] = []
        # The globals of each module of the user's that some code came from.
        self._scopes: dict[int, Namespace] = {}
        self._patched: dict[type, bool] = {}

    def digest(self, parts: Iterable[Any]) -> bytes:
        """Return a digest of `parts`, in this order.

        Raises
        ------
        _UnknownError
            Something in it cannot be told from others.
        """
        self._tokens_of(list(parts))
        found = hashlib.blake2b(marshal.dumps(self._tokens, FORMAT), digest_size=DIGEST_SIZE)
        for block in _tensor_digests(self._tensors):
            found.update(block)
        found.update(marshal.dumps(_files(self._scopes.values()), FORMAT))
        return found.digest()

    def _tokens_of(self, parts: list[Any]) -> None:
        # A stack rather than recursion: a network may be deeper than Python's own stack.
        self._waiting = [parts]
        while self._waiting:
            value = self._waiting.pop()
            if type(value) in ATOMS:
                self._tokens.append(value)
            elif (number := self._visits.get(id(value))) is not None:
                self._tokens.append(["again", number])
            else:
                self._look_at(value)

    def _look_at(self, value: Any) -> None:
        kind: type = type(value)
        visit = _visitor(kind)
        # Whether two equal tuples are one differs from process to process.
        if visit is not _Walk._tuple:
            self._visits[id(value)] = len(self._visits)
            self._kept.append(value)
        if len(self._tokens) > MOST_OBJECTS:
            raise _UnknownError("it refers to too much")
        visit(self, value)

    def _put(self, mark: str, *tokens: Any, then: Iterable[Any] = ()) -> None:
        """Add a token, and let what it refers to be looked at next, in order."""
        following = list(then)
        self._tokens.append([mark, *tokens, len(following)])
        self._waiting.extend(reversed(following))

    # What each kind of object is told by

    def _tuple(self, value: tuple[Any, ...]) -> None:
        mark = "tuple" if type(value) is tuple else "tuple of a class"
        self._put(mark, then=value if mark == "tuple" else (type(value), tuple(value), *_own_state(value)))

    def _list(self, value: list[Any]) -> None:
        self._put("list", then=value if type(value) is list else (type(value), list(value), *_own_state(value)))

    def _dict(self, value: dict[Any, Any]) -> None:
        if type(value) is not dict:
            made_by = getattr(value, "default_factory", None)
            self._put("dict of a class", then=(type(value), dict(value), made_by, *_own_state(value)))
            return
        items = [one for item in value.items() for one in item]
        if all(type(one) in ATOMS for one in items):
            self._tokens.append(["plain dict", *items])
        else:
            self._put("dict", then=items)

    def _set(self, value: set[Any] | frozenset[Any]) -> None:
        # Their order differs from process to process.
        found = []
        for element in value:
            walk = _Walk(self._evaluated)
            walk._scopes = self._scopes
            found.append(walk.digest([element]))
        self._put("set", *sorted(found), then=(type(value), *_own_state(value)))

    def _of_builtin(self, value: Any) -> None:
        """A number or text of a class of its own."""
        plain = next(base for base in (int, float, complex, str, bytes) if isinstance(value, base))
        self._put("value", then=(type(value), plain.__repr__(value), *_own_state(value)))

    def _bytearray(self, value: bytearray) -> None:
        self._put("bytearray", bytes(value))

    def _shown(self, value: Any) -> None:
        """What its `repr` tells all of."""
        self._put(type(value).__name__, repr(value))

    def _slice(self, value: slice) -> None:
        self._put("slice", then=(value.start, value.stop, value.step))

    def _path(self, value: PurePath) -> None:
        self._put("path", type(value).__name__, str(value))

    def _enum(self, value: enum.Enum) -> None:
        self._put("enum", str(value._name_), then=(type(value), value._value_))

    def _device(self, value: torch.device) -> None:
        # One of several of a kind computes what the others do.
        self._put("device", value.type)

    def _tensor(self, value: torch.Tensor) -> None:
        then: tuple[Any, ...] = _own_state(value)
        plain = value.detach()
        if type(value) not in PLAIN_TENSORS:
            if type(value).__torch_dispatch__ is not torch.Tensor.__torch_dispatch__:
                raise _UnknownError("a tensor that holds others")
            plain = plain.as_subclass(torch.Tensor)
            then = (type(value), *then)
        if plain.layout is not torch.strided or plain.is_quantized or plain.is_meta:
            raise _UnknownError("a tensor that is not an array")
        self._tensors.append(plain)
        self._put("tensor", str(plain.dtype), tuple(plain.shape), then=then)

    def _array(self, value: np.ndarray[Any, Any]) -> None:
        then: tuple[Any, ...] = () if type(value) in (np.ndarray, np.memmap) else (type(value), *_own_state(value))
        plain = np.asarray(value)
        descr = repr(plain.dtype.descr if plain.dtype.fields else plain.dtype.str)
        if plain.dtype.hasobject:
            self._put("array of objects", descr, plain.shape, then=(plain.tolist(), *then))
            return
        elements = np.ascontiguousarray(plain).reshape(-1).view(np.uint8).data
        self._put("array", descr, plain.shape, hashlib.blake2b(elements, digest_size=DIGEST_SIZE).digest(), then=then)

    def _scalar(self, value: np.generic) -> None:
        self._put("scalar", value.dtype.str, value.tobytes())

    def _partial(self, value: functools.partial[Any]) -> None:
        self._put("partial", then=(type(value), value.func, value.args, value.keywords, *_own_state(value)))

    def _method(self, value: types.MethodType) -> None:
        self._put("method", then=(value.__func__, value.__self__))

    def _wrapper(self, value: Any) -> None:
        """What holds one function or more, and nothing else that counts."""
        names = ("__func__", "__wrapped__", "fget", "fset", "fdel", "func")
        self._put(type(value).__name__, then=[getattr(value, name, None) for name in names])

    def _builtin(self, value: Any) -> None:
        """A function or descriptor of C: its name, and what it is bound to."""
        owner = getattr(value, "__self__", None)
        owner = getattr(value, "__objclass__", None) if owner is None else owner
        name = getattr(value, "__module__", None)
        module = sys.modules.get(name) if isinstance(name, str) else None
        bound = () if owner is None or isinstance(owner, types.ModuleType) else (owner,)
        self._put("builtin", str(name), value.__name__, then=(*bound, *(() if module is None else (module,))))

    def _logger(self, value: logging.Logger) -> None:
        # It is in half of all modules, and no scores come from it.
        self._put("logger", value.name)

    def _module_object(self, value: types.ModuleType) -> None:
        self._put("module", value.__name__, self._library(vars(value)))

    def _function(self, value: types.FunctionType) -> None:
        scope = value.__globals__
        library = self._library(scope)
        code = _read(value.__code__)
        used = () if library else self._used(code, scope)
        cells = [_content(cell) for cell in value.__closure__ or ()]
        then = (value.__defaults__, value.__kwdefaults__, cells, vars(value), *used)
        self._put("function", str(scope.get("__name__")), value.__qualname__, library, code.digest, then=then)

    def _class(self, value: type) -> None:
        module = sys.modules.get(value.__module__) if isinstance(value.__module__, str) else None
        # Without a module, such as that of a class that was made with `exec`, there is only what it holds.
        library = "" if module is None else self._library(vars(module))
        if library and not self._is_patched(value):
            patched = [base for base in value.__mro__ if self._is_patched(base)]
            self._put("class", value.__module__, value.__qualname__, library, then=patched)
            return
        state = {name: held for name, held in vars(value).items() if name not in NOT_OF_A_CLASS}
        self._put(
            "own class", str(value.__module__), value.__qualname__, then=(type(value), value.__mro__[1:], _State(state))
        )

    def _state(self, value: _State) -> None:
        plain, rest = [], []
        for name in sorted(value.items):
            held = value.items[name]
            if type(held) in ATOMS:
                plain += [name, held]
            else:
                rest.append((name, held))
        self._put("state", len(plain), *plain, *(name for name, _ in rest), then=[held for _, held in rest])

    def _network(self, value: torch.nn.Module) -> None:
        evaluated = id(value) in self._evaluated
        state = {
            name: held
            for name, held in vars(value).items()
            if not (name in NOT_OF_A_NETWORK or (evaluated and name == "training") or (name in MEMBERS and not held))
        }
        hooks = [(name, *hook) for name in FORWARD_HOOKS for hook in _hooks(value, name)]
        self._put("network", then=(type(value), _State(state), *hooks))

    def _object(self, value: Any) -> None:
        kind: type = type(value)
        if not _is_of_python(kind):
            self._reduced(value)
            return
        state = {name: held for name in _slots(kind) if (held := getattr(value, name, _State)) is not _State}
        self._put("object", then=(kind, _State(state), *_own_state(value)))

    def _reduced(self, value: Any) -> None:
        """An object of C, by what it gives to be pickled."""
        kind = type(value)
        try:
            reduce = copyreg.dispatch_table.get(kind)
            found = reduce(value) if reduce else value.__reduce_ex__(4)
        # Most have no state to give, and each says so in its own way.
        except Exception as error:
            raise _UnknownError(f"a {kind.__name__}") from error
        if isinstance(found, str):
            module = sys.modules.get(pickle.whichmodule(value, found))  # type: ignore[attr-defined]  # not in the stubs
            # Others may have its name, such as any two that `numpy.frompyfunc` makes of functions of one name.
            if module is None or vars(module).get(found) is not value:
                raise _UnknownError(f"a {kind.__name__} of which there is only its name")
            self._put("global", found, then=(kind, module))
            return
        function, arguments, state, items, pairs = (*found, None, None, None)[:5]
        then = (kind, function, arguments, state, list(items or ()), list(pairs or ()))
        self._put("reduced", then=(*then, *_own_state(value)))

    # Code

    def _library(self, scope: Namespace) -> str:
        """Return which installed package, of which version, the globals `scope` belong to; "" if to none."""
        library = _library(str(scope.get("__name__")), _file(scope))
        if not library:
            self._scopes[id(scope)] = scope
        return library

    def _is_patched(self, kind: type) -> bool:
        """Whether a class of an installed package has methods that did not come with it."""
        if kind not in self._patched:
            functions = [held for held in vars(kind).values() if isinstance(held, types.FunctionType)]
            # Nearly all come from one module.
            scopes = {id(function.__globals__): function.__globals__ for function in functions}.values()
            self._patched[kind] = not all(_library(str(scope.get("__name__")), _file(scope)) for scope in scopes)
        return self._patched[kind]

    def _used(self, code: _Code, scope: Namespace) -> Iterator[Any]:
        """Yield name and value of all that `code` may look up in its globals `scope`."""
        yield from self._named(code.names, scope, set())
        for name in sorted(code.imports):
            yield from self._imported(name, code.names, scope)

    def _named(self, names: frozenset[str], scope: Namespace, seen: set[int]) -> Iterator[Any]:
        for name in sorted(names & scope.keys()):
            value = scope[name]
            yield name
            yield value
            # What is looked up in a module of the user's: it may have been set at run time.
            if isinstance(value, types.ModuleType) and id(value) not in seen and not self._library(vars(value)):
                seen.add(id(value))
                yield from self._named(names, vars(value), seen)

    def _imported(self, name: str, names: frozenset[str], scope: Namespace) -> Iterator[Any]:
        """Yield what a function that imports `name` itself may look up there."""
        package = str(scope.get("__package__") or "")
        parents = [package.rsplit(".", level)[0] for level in range(package.count(".") + 1)] if package else []
        candidates = [name, *(f"{parent}.{name}" if name else parent for parent in parents)]
        modules = [sys.modules[candidate] for candidate in candidates if candidate in sys.modules]
        if not modules and not _can_only_be_library(name):
            raise _UnknownError(f"the module {name}, which is not imported yet")
        for module in modules:
            yield module
            if not self._library(vars(module)):
                yield from self._named(names, vars(module), set())


@dataclasses.dataclass(frozen=True, eq=False)
class _State:
    """Attributes by name, in no order that counts."""

    items: Namespace


# By class: what a value is told by. The first that fits in the order of the class's bases.
_VISITORS: dict[type, Callable[[_Walk, Any], None]] = {
    _State: _Walk._state,
    tuple: _Walk._tuple,
    list: _Walk._list,
    dict: _Walk._dict,
    types.MappingProxyType: lambda walk, value: walk._dict(dict(value)),
    set: _Walk._set,
    frozenset: _Walk._set,
    enum.Enum: _Walk._enum,
    int: _Walk._of_builtin,
    float: _Walk._of_builtin,
    complex: _Walk._of_builtin,
    str: _Walk._of_builtin,
    bytes: _Walk._of_builtin,
    bytearray: _Walk._bytearray,
    range: _Walk._shown,
    slice: _Walk._slice,
    PurePath: _Walk._path,
    torch.dtype: _Walk._shown,
    torch.layout: _Walk._shown,
    torch.memory_format: _Walk._shown,
    torch.device: _Walk._device,
    torch.Tensor: _Walk._tensor,
    np.ndarray: _Walk._array,
    np.generic: _Walk._scalar,
    functools.partial: _Walk._partial,
    functools.cached_property: _Walk._wrapper,
    functools._lru_cache_wrapper: _Walk._wrapper,
    property: _Walk._wrapper,
    staticmethod: _Walk._wrapper,
    classmethod: _Walk._wrapper,
    types.MethodType: _Walk._method,
    types.BuiltinFunctionType: _Walk._builtin,
    types.MethodWrapperType: _Walk._builtin,
    types.MethodDescriptorType: _Walk._builtin,
    types.WrapperDescriptorType: _Walk._builtin,
    types.ClassMethodDescriptorType: _Walk._builtin,
    types.GetSetDescriptorType: _Walk._builtin,
    types.MemberDescriptorType: _Walk._builtin,
    logging.Logger: _Walk._logger,
    types.ModuleType: _Walk._module_object,
    types.FunctionType: _Walk._function,
    type: _Walk._class,
    torch.nn.Module: _Walk._network,
    object: _Walk._object,
}


@functools.cache
def _visitor(kind: type) -> Callable[[_Walk, Any], None]:
    if issubclass(kind, enum.Enum):
        return _Walk._enum
    return next(_VISITORS[base] for base in kind.__mro__ if base in _VISITORS)


def _own_state(value: Any) -> tuple[_State, ...]:
    """Return the attributes of an object, if it has any, besides those in slots."""
    held = getattr(value, "__dict__", None)
    return (_State(held),) if isinstance(held, dict) and held else ()


def _modules(net: torch.nn.Module) -> set[int]:
    """Return the ids of a network and of those in it, as far as evaluation mode surely reaches them."""
    found: set[int] = set()
    waiting: list[Any] = [net]
    while waiting:
        module = waiting.pop()
        if module is not None and id(module) not in found and not _has_own_mode(module):
            found.add(id(module))
            waiting += vars(module).get("_modules", {}).values()
    return found


def _has_own_mode(module: torch.nn.Module) -> bool:
    """Whether a network does something else than all others when it is put into a mode."""
    names = ("train", "eval")
    own = any(getattr(type(module), name) is not getattr(torch.nn.Module, name) for name in names)
    return own or not vars(module).keys().isdisjoint(names)


def _hooks(module: torch.nn.Module, name: str) -> list[tuple[Any, bool, bool]]:
    """Return the hooks of `module`, each with how it is called; their keys count up, whoever asks for one."""
    hooks = vars(module).get(name)
    if not hooks:
        return []
    special = [vars(module).get(f"{name}{suffix}", {}) for suffix in ("_with_kwargs", "_always_called")]
    return [(hook, key in special[0], key in special[1]) for key, hook in hooks.items()]


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a variable that is not set yet
        return types.CellType


@functools.cache
def _slots(kind: type) -> tuple[str, ...]:
    """Return the names of the attributes that a class of Python keeps in slots."""
    found: list[str] = []
    for base in kind.__mro__:
        names = vars(base).get("__slots__", ())
        for name in (names,) if isinstance(names, str) else tuple(names):
            if name not in ("__dict__", "__weakref__"):
                private = name.startswith("__") and not name.endswith("__") and base.__name__.strip("_")
                found.append(f"_{base.__name__.lstrip('_')}{name}" if private else name)
    return tuple(found)


@functools.cache
def _is_of_python(kind: type) -> bool:
    """Whether all that an object of this class holds is in its attributes: the test that pickling does.

    Source: `object_getstate_default` in ``Objects/typeobject.c`` of Python.
    """
    pointer = object.__basicsize__ // 2
    size = object.__basicsize__ + pointer * len(_slots(kind))
    managed = bool(kind.__flags__ & 1 << 4)  # Py_TPFLAGS_MANAGED_DICT: kept before the object
    size += pointer * (kind.__dictoffset__ != 0 and not managed)
    size += pointer * (kind.__weakrefoffset__ > 0)
    return kind.__itemsize__ == 0 and kind.__basicsize__ <= size


# Weights


def _tensor_digests(tensors: list[torch.Tensor]) -> Iterator[bytes]:
    """Yield what tells the contents of each tensor, in their order, wherever they are.

    The bytes of a tensor, in the order of its indices, are cut into blocks of words w. Those
    of a block become Σ mᵢwᵢ and Σ mᵢ⌊wᵢ/2³²⌋, modulo 2⁶⁴, with random multipliers m. The second sum
    sees what the first may not: changes in the highest bits of two words, such as signs of
    float64, cancel each other modulo 2⁶⁴. What is left beyond whole blocks is taken as it is.
    All sums leave a device together, and so does all that is left.
    """
    devices: dict[torch.device, list[int]] = {}
    for number, tensor in enumerate(tensors):
        devices.setdefault(tensor.device, []).append(number)
    found: dict[int, bytes] = {}
    try:
        with torch.no_grad():
            for device, numbers in devices.items():
                found.update(zip(numbers, _on_device([tensors[number] for number in numbers], device), strict=True))
    except (RuntimeError, TypeError) as error:
        raise _UnknownError("a tensor whose bytes cannot be read") from error
    for number in range(len(tensors)):
        yield found[number]


def _on_device(tensors: list[torch.Tensor], device: torch.device) -> Iterator[bytes]:
    sums = _Sums(device)
    sizes, rests = [], []
    for tensor in tensors:
        flat = _flat(tensor).view(torch.uint8)
        blocks, rest = divmod(len(flat), BLOCK)
        if blocks:
            sums.add(flat[: blocks * BLOCK])
        sizes.append((blocks, rest))
        rests.append(flat[blocks * BLOCK :])
    rows, left = sums.to_host(), torch.cat(rests).cpu().numpy()
    row = byte = 0
    for blocks, rest in sizes:
        yield rows[row : row + blocks].tobytes() + left[byte : byte + rest].tobytes()
        row, byte = row + blocks, byte + rest


def _flat(tensor: torch.Tensor) -> torch.Tensor:
    """Return the elements of `tensor` in the order of its indices, where they can be read as words."""
    if tensor.is_conj() or tensor.is_neg():
        tensor = tensor.resolve_conj().resolve_neg()
    flat = tensor.contiguous().view(-1)
    return flat.clone() if flat.storage_offset() * flat.itemsize % 8 else flat


class _Sums:
    """The two sums of each block of what is added."""

    def __init__(self, device: torch.device) -> None:
        self._on_cpu = device.type == "cpu"
        self._at_once = AT_ONCE if self._on_cpu else AT_ONCE_ON_ACCELERATOR
        self._multipliers = _multipliers(device)
        # Filled again and again: new memory for each part would take several times as long as computing it.
        self._high = torch.empty((self._at_once, WORDS), dtype=torch.int64, device=device)
        empty = self._multipliers[:0]
        self._first, self._second = [empty], [empty]

    def add(self, flat: torch.Tensor) -> None:
        """Add elements that are whole blocks."""
        blocks = flat.view(torch.int64).view(-1, WORDS)
        for start in range(0, len(blocks), self._at_once):
            words = blocks[start : start + self._at_once]
            self._first.append(self._products(words))
            high = torch.bitwise_right_shift(words, 32, out=self._high[: len(words)])
            self._second.append(self._products(high))

    def _products(self, words: torch.Tensor) -> torch.Tensor:
        # The same numbers; accelerators have no products of matrices of whole numbers.
        return torch.mv(words, self._multipliers) if self._on_cpu else (words * self._multipliers).sum(1)

    def to_host(self) -> NDArray[np.int64]:
        """Return all of them, blocks×2."""
        pair = torch.stack((torch.cat(self._first), torch.cat(self._second)), dim=1)
        return pair.cpu().numpy()


@functools.cache
def _multipliers(device: torch.device) -> torch.Tensor:
    random = hashlib.shake_128(b"pytest-lime").digest(BLOCK)
    # Odd, so that no change of a single word is lost.
    odd = np.frombuffer(random, dtype="<i8").astype(np.int64) | 1
    with torch.inference_mode(False):
        return torch.from_numpy(odd).to(device)


# Code


@dataclasses.dataclass(frozen=True)
class _Code:
    """What a code object does, whatever its file and lines.

    Attributes
    ----------
    digest : bytes
    names : frozenset of str
        All that it looks up, globals and attributes alike.
    imports : frozenset of str
        The modules that it imports when it runs, without the dots of a relative import.
    """

    digest: bytes
    names: frozenset[str]
    imports: frozenset[str]


_codes: WeakKeyDictionary[types.CodeType, _Code] = WeakKeyDictionary()


def _read(code: types.CodeType) -> _Code:
    known = _codes.get(code)
    if known is None:
        inner = [_read(constant) for constant in code.co_consts if isinstance(constant, types.CodeType)]
        tokens = [
            code.co_code,
            code.co_exceptiontable,
            [_constant(constant) for constant in code.co_consts],
            (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars),
            (code.co_flags, code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount),
        ]
        imports = {str(one.argval) for one in dis.get_instructions(code) if one.opname == "IMPORT_NAME"}
        known = _codes[code] = _Code(
            hashlib.blake2b(marshal.dumps(tokens, FORMAT), digest_size=DIGEST_SIZE).digest(),
            frozenset(code.co_names).union(*(one.names for one in inner)),
            frozenset(imports).union(*(one.imports for one in inner)),
        )
    return known


def _constant(value: Any) -> Any:
    if isinstance(value, types.CodeType):
        return ["code", _read(value).digest]
    if isinstance(value, tuple):
        return ["tuple", *map(_constant, value)]
    if isinstance(value, frozenset):
        return ["set", *sorted(marshal.dumps(_constant(one), FORMAT) for one in value)]
    if isinstance(value, slice):
        return ["slice", *map(_constant, (value.start, value.stop, value.step))]
    return value


def _file(scope: Namespace) -> str | None:
    file = scope.get("__file__")
    return file if isinstance(file, str) else None


@functools.cache
def _library(name: str, file: str | None) -> str:
    """Return name and version of the installed package that the module `name` belongs to; "" if to none."""
    top = name.partition(".")[0]
    if top == "pytest_lime":
        return _ours()
    package = sys.modules.get(top)
    paths = [file, getattr(package, "__file__", None), *list(getattr(package, "__path__", ()))[:1]]
    known = next((str(path) for path in paths if isinstance(path, str) and Path(path).is_absolute()), None)
    if known is None:
        # Built into Python, such as `math`; else typed into a notebook.
        return "python" if top in sys.stdlib_module_names else ""
    if _lies_in(known, _site_folders()):
        return _version(top)
    return "python" if _lies_in(known, _standard_folders()) else ""


def _version(package: str) -> str:
    version = getattr(sys.modules.get(package), "__version__", None)
    if not isinstance(version, str):
        try:
            version = _installed_version(package)
        except importlib.metadata.PackageNotFoundError:
            # A distribution of another name: its files say which one.
            return ""
    return f"{package} {version}"


def _lies_in(path: str, folders: frozenset[str]) -> bool:
    return any(str(parent) in folders for parent in Path(os.path.realpath(path)).parents)


@functools.cache
def _site_folders() -> frozenset[str]:
    found = [*site.getsitepackages(), site.getusersitepackages()]
    found += [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    return frozenset(os.path.realpath(path) for path in found)


@functools.cache
def _standard_folders() -> frozenset[str]:
    return frozenset({str(Path(os.path.realpath(os.__file__)).parent)})


@functools.cache
def _ours() -> str:
    """Return the version of this package, and what is in its files where they are being worked on."""
    folder = Path(pytest_lime.__file__).parent
    version = f"pytest_lime {pytest_lime.__version__}"
    if _lies_in(str(folder), _site_folders()):
        return version
    found = hashlib.blake2b(digest_size=DIGEST_SIZE)
    # As strings: so many objects for paths would take longer than reading the files.
    paths = [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names]  # noqa: PTH118
    for path in sorted(path for path in paths if path.endswith(".py")):
        with open(path, "rb") as file:  # noqa: PTH123
            found.update(marshal.dumps((path.removeprefix(str(folder)), file.read()), FORMAT))
    return f"{version} {found.hexdigest()}"


def _can_only_be_library(name: str) -> bool:
    """Whether the module `name`, not imported yet, belongs to Python or an installed package, or is not there."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names:
        return True
    try:
        found = importlib.util.find_spec(top) if top else None
    except (ImportError, ValueError):
        return False
    origin = found.origin if found else None
    return origin is not None and _lies_in(origin, _site_folders())


def _files(scopes: Iterable[Namespace]) -> list[tuple[str, bytes]]:
    """Return name and digest of the file of each module in `scopes`, and of those of the user's that they refer to."""
    found: set[tuple[str, bytes]] = set()
    seen: set[int] = set()
    waiting = list(scopes)
    while waiting:
        scope = waiting.pop()
        name, file = str(scope.get("__name__")), _file(scope)
        if id(scope) in seen or _library(name, file):
            continue
        seen.add(id(scope))
        if file is not None:
            found.add((name, _file_digest(file)))
        for value in list(scope.values()):
            waiting += _homes(value)
    return sorted(found)


def _homes(value: Any) -> list[Namespace]:
    """Return the globals of what `value`, a module, function or class, comes from."""
    if isinstance(value, types.FunctionType):
        return [value.__globals__]
    module = value
    if isinstance(value, type):
        name = getattr(value, "__module__", None)
        module = sys.modules.get(name) if isinstance(name, str) else None
    return [vars(module)] if isinstance(module, types.ModuleType) else []


_file_digests: dict[str, tuple[int, int, bytes]] = {}


def _file_digest(path: str) -> bytes:
    try:
        known = Path(path).stat()
        stamp = known.st_mtime_ns, known.st_size
        if _file_digests.get(path, ())[:2] != stamp:
            data = Path(path).read_bytes()
            _file_digests[path] = (*stamp, hashlib.blake2b(data, digest_size=DIGEST_SIZE).digest())
    except OSError:  # a notebook, an archive, or gone: there is only what is loaded
        return b""
    return _file_digests[path][2]
