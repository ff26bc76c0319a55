"""Lookahead: what the next tests of a kind will ask for, so that their images share batches with this one's.

A case of a YAML suite says what it will check, and a test whose body is one call, ``lime.check(...)``, can be asked
before its turn: its arguments are evaluated with its parameters. The image is then decoded and segmented in the
background, and its first samples fill up the batches of the check at hand. When its turn comes, the test finds them,
or, if anything is not as it was, starts anew: what it finds is the same either way.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import dataclasses
import inspect
import os
import textwrap
import types
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

import pytest_lime
from pytest_lime.blas import undisturbed
from pytest_lime.cache import digest
from pytest_lime.fingerprint import is_ours
from pytest_lime.options import LimeOptions
from pytest_lime.streams import Bench, SampleStream
from pytest_lime.suites import CASE

if TYPE_CHECKING:
    from pytest_lime.suites.cases import Case

__all__ = ["Lookahead", "Request", "scout"]

# Each test ahead holds an image in memory; a processor has use for few samples beside those of the test at hand.
MOST = 16
MOST_ON_CPU = 2


@dataclasses.dataclass(frozen=True, eq=False)
class Request:
    """What one call of ``lime.check`` asks for."""

    image: Any
    target: Any
    claims: tuple[Any, ...]
    options: Mapping[str, Any]


def snapshot(value: Any) -> Any:
    """Return what tells whether `value` is still what it was, and equal to another one: for `==`.

    Arrays and pictures are looked at, since they can be changed in place; what nobody can look into is itself alone.
    """
    if isinstance(value, list | tuple):
        return type(value), [snapshot(one) for one in value]
    if isinstance(value, Mapping):
        return type(value), {name: snapshot(one) for name, one in value.items()}
    if dataclasses.is_dataclass(value) and is_ours(value):
        return type(value), {field.name: snapshot(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if value is None or isinstance(value, str | bytes | int | float | bool | PurePath):
        return type(value), value
    # Pictures of Pillow have the second only.
    looked_into = any(hasattr(value, name) for name in ("__array__", "__array_interface__"))
    array = np.asarray(value) if looked_into else np.empty(0, dtype=object)
    return (type(value), digest(array)) if array.dtype.kind in "biuf" else (id(value), value)


def _state(request: Request, options: LimeOptions) -> Any:
    """Return all that the outcome of a request depends on, but for the model."""
    image: Any = request.image
    if isinstance(image, str | os.PathLike):
        found = os.stat(image)  # noqa: PTH116  (a str, too)
        image = (os.fspath(image), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return snapshot((image, request.target, request.claims, options))


@dataclasses.dataclass(eq=False)
class _Expected:
    state: Any
    bench: Bench
    stream: Future[SampleStream]


class Lookahead:
    """What later tests will ask for, made ready in the background."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._expected: dict[str, _Expected] = {}
        self._current = ""

    def begin(self, test: str, coming: Sequence[str]) -> list[str]:
        """Begin with `test`, forget all but those in `coming`, and return which of these are new."""
        self._current = test
        for name in self._expected.keys() - {test, *coming}:
            self._expected.pop(name).stream.cancel()
        return [name for name in coming if name not in self._expected]

    def expect(self, test: str, request: Request, bench: Bench, open_: Callable[[], SampleStream]) -> None:
        """Make the stream of `request`, which `test` will ask for, in the background.

        Nothing is made for a model that could change without anybody being able to tell.
        """
        if bench.fingerprint is None:
            return
        state = _state(request, bench.options)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="pytest-lime")
        self._expected[test] = _Expected(state, bench, self._pool.submit(undisturbed()(open_)))

    def take(self, request: Request, bench: Bench) -> SampleStream | None:
        """Return the stream that was made for the test at hand, if model, request and options are as they were."""
        expected = self._expected.pop(self._current, None)
        if expected is None or not expected.bench.engine.shares(bench.engine):
            return None
        # What the test itself would raise it shall raise at its own line.
        with contextlib.suppress(Exception):
            same = expected.bench.fingerprint == bench.fingerprint and expected.state == _state(request, bench.options)
            stream = expected.stream.result()
            # Of another test on the same image more may be known by now.
            return stream if same and not stream.busy and not stream.overtaken else None
        return None

    def streams(self, bench: Bench) -> list[SampleStream]:
        """Return the streams that can share batches with those of `bench`."""
        return [
            one.stream.result()
            for name, one in self._expected.items()
            if name != self._current
            and one.stream.done()
            and one.stream.exception() is None
            and one.bench.engine.shares(bench.engine)
            and one.bench.fingerprint == bench.fingerprint
        ]

    def close(self) -> None:
        """Forget everything."""
        self._expected.clear()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


class _Seen(BaseException):
    """Carries a request out of a test that is only asked what it will check."""

    def __init__(self, request: Request) -> None:
        self.request = request


class _Scout:
    """Stands for `lime` in a test that is only asked what it will check."""

    def check(self, image: Any, target: Any, *claims: Any, **options: Any) -> NoReturn:
        raise _Seen(Request(image, target, claims, options))


def scout(item: Any) -> Request | None:
    """Return what the test `item` will ask for; None where that cannot be told in advance.

    It can be told of a case of a suite that is about one image, and where the whole body of a function is one call of
    ``lime.check``, whose arguments need nothing but the test's parameters, names of its module, and calls that change
    nothing: those of this package, of Python's own types, and methods of paths and texts. These are then evaluated, a
    second time when the test itself runs.
    """
    if any(item.get_closest_marker(name) for name in ("skip", "skipif")):
        return None
    if any(mark.kwargs.get("run") is False for mark in item.iter_markers("xfail")):
        return None
    case = item.stash.get(CASE, None)
    return _of_function(item) if case is None else _of_case(case)


def _of_case(case: Case) -> Request | None:
    """Return what a case of a suite will ask for, where that is one image of `lime_model`."""
    call = case.call
    if call.method != "check" or case.model is not None:
        return None
    try:
        image, target, *claims = call.arguments()
    except Exception:  # a file of regions, say, whose fault the case itself will tell
        return None
    return Request(image, target, tuple(claims), call.named)


def _of_function(item: Any) -> Request | None:
    function: Any = getattr(item, "function", None)
    parameters = _direct_parameters(item)
    plain = isinstance(function, types.FunctionType) and not (hasattr(function, "__wrapped__") or function.__closure__)
    if not plain:
        return None
    names = list(inspect.signature(function).parameters)
    call = _lone_check(function) if "lime" in names and set(names) <= {"lime", *parameters} else None
    given = [] if call is None else [*call.args, *call.keywords]
    nodes = [node for one in given for node in ast.walk(one)]
    if call is None or not all(_harmless(node, function, parameters) for node in nodes):
        return None
    try:
        function(**{name: _Scout() if name == "lime" else parameters[name] for name in names})
    except _Seen as seen:
        return seen.request
    except KeyboardInterrupt:
        raise
    except BaseException:
        return None
    return None


def _direct_parameters(item: Any) -> dict[str, Any]:
    """Return the parameters of a test that reach it as they are, and not by way of a fixture."""
    given = getattr(getattr(item, "callspec", None), "params", {})
    direct: set[str] = set()
    for mark in item.iter_markers("parametrize"):
        names = mark.args[0] if mark.args else mark.kwargs.get("argnames", ())
        listed = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
        indirect = mark.kwargs.get("indirect", False)
        through = listed if indirect is True else list(indirect or ())
        direct |= set(listed) - set(through)
    # A parameter of lime_model is another model.
    return {} if "lime_model" in given else {name: given[name] for name in direct & given.keys()}


def _lone_check(function: types.FunctionType) -> ast.Call | None:
    """Return the call ``lime.check(...)`` that is all of the function's body, but for a docstring."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return None
    (definition,) = tree.body
    if not isinstance(definition, ast.FunctionDef) or definition.name != function.__name__:
        return None
    body = definition.body[ast.get_docstring(definition) is not None :]
    if len(body) != 1 or not isinstance(body[0], ast.Expr) or not isinstance(body[0].value, ast.Call):
        return None
    return body[0].value if ast.unparse(body[0].value.func) == "lime.check" else None


HARMLESS = (
    *(ast.Name, ast.Constant, ast.Slice, ast.Tuple, ast.List, ast.Dict, ast.Starred),
    *(ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.JoinedStr, ast.FormattedValue, ast.keyword),
    *(ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop),
)
# Modules whose functions and classes describe regions and claims, and do nothing else.
DESCRIPTIONS = ("claims", "trials", "regions", "region_files")


def _harmless(node: ast.AST, function: types.FunctionType, parameters: Mapping[str, Any]) -> bool:
    """Whether evaluating `node` changes nothing, as far as a reader can tell."""
    known = {**vars(builtins), **function.__globals__, **parameters}

    def named(owner: ast.expr) -> Any:
        return known.get(owner.id) if isinstance(owner, ast.Name) else None

    if isinstance(node, ast.Subscript):
        owner = named(node.value)
        return type(owner) in (dict, list, tuple, str) or _describes(type(owner))
    if isinstance(node, ast.Attribute):
        # A property may do anything.
        return isinstance(named(node.value), types.ModuleType | str | PurePath)
    if not isinstance(node, ast.Call):
        return isinstance(node, HARMLESS)
    called = node.func
    owner = named(called.value) if isinstance(called, ast.Attribute) else None
    if isinstance(called, ast.Attribute) and not isinstance(owner, types.ModuleType):
        # `open`, `write_text` and their like do something.
        return isinstance(owner, str) or (isinstance(owner, PurePath) and hasattr(PurePath, called.attr))
    return _describes(vars(owner).get(called.attr) if isinstance(called, ast.Attribute) else named(called))


def _describes(called: Any) -> bool:
    if called in (str, int, float, tuple, list, dict, len, min, max, Path):
        return True
    public = pytest_lime._HOME_OF.get(getattr(called, "__name__", ""), "")
    ours = public in DESCRIPTIONS and getattr(pytest_lime, called.__name__) is called
    return ours or str(getattr(called, "__module__", "")) in [f"pytest_lime.{module}" for module in DESCRIPTIONS]
