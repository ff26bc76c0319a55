"""Lookahead: what the next parametrised tests will ask for, so that their images share batches with this one's.

A test whose body is one call, ``lime.check(...)``, can be asked what it will check before its turn: its arguments are
evaluated with its parameters. The image is then decoded and segmented in the background, and its first samples fill up
the batches of the check at hand. When its turn comes, the test finds them, or, if anything is not as it was, starts
anew: what it finds is the same either way.
"""

from __future__ import annotations

import ast
import builtins
import dataclasses
import inspect
import os
import textwrap
import types
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path, PurePath
from typing import Any, NoReturn

import numpy as np

from pytest_lime.fingerprint import fingerprint
from pytest_lime.streams import Bench, SampleStream

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

    def same(self, other: Request) -> bool:
        """Whether both surely ask for the same; what cannot be compared is not the same."""
        mine, theirs = ((one.image, one.target, one.claims, dict(one.options)) for one in (self, other))
        return _same(mine, theirs)


def _same(one: Any, other: Any) -> bool:
    if one is other or type(one) is not type(other):
        return one is other
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, str | bytes | int | float | bool | Path):
        return bool(one == other)
    mine, theirs = _parts(one), _parts(other)
    return (
        mine is not None
        and theirs is not None
        and mine.keys() == theirs.keys()
        and all(_same(mine[name], theirs[name]) for name in mine)
    )


def _parts(value: Any) -> dict[Any, Any] | None:
    """Return what a collection or an object of ours is made of; None for what may be made of anything."""
    if isinstance(value, list | tuple):
        return dict(enumerate(value))
    if isinstance(value, dict):
        return value
    if dataclasses.is_dataclass(value) and type(value).__module__.startswith("pytest_lime."):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return None


def _state_of(image: Any) -> tuple[int, int] | None:
    """Return what changes when an image file does; None for what is no file."""
    if not isinstance(image, str | os.PathLike):
        return None
    found = os.stat(image)  # noqa: PTH116  (a str, too)
    return found.st_mtime_ns, found.st_size


@dataclasses.dataclass(eq=False)
class _Expected:
    request: Request
    state: tuple[int, int] | None
    bench: Bench
    stream: Future[SampleStream]


class Lookahead:
    """What later tests will ask for, made ready in the background."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._expected: dict[str, _Expected] = {}
        self._current = ""

    def begin(self, test: str, coming: Sequence[str]) -> list[str]:
        """Begin with `test`, forget all but those in `coming`, and return which of these are new, as many as can be."""
        self._current = test
        self._expected = {name: one for name, one in self._expected.items() if name == test or name in coming}
        return [name for name in coming if name not in self._expected]

    def expect(self, test: str, request: Request, bench: Bench, open_: Callable[[], SampleStream]) -> None:
        """Make the stream of `request`, which `test` will ask for, in the background."""
        try:
            state = _state_of(request.image)
        except OSError:  # no such file: the test will say so
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="pytest-lime")
        self._expected[test] = _Expected(request, state, bench, self._pool.submit(open_))

    def take(self, request: Request, model: Any) -> SampleStream | None:
        """Return the stream that was made for the test at hand, if it is of this very request and model."""
        expected = self._expected.pop(self._current, None)
        if expected is None or expected.bench.model is not model or not request.same(expected.request):
            return None
        # What the test itself would raise it shall raise at its own line.
        if expected.stream.exception() is not None:
            return None
        stream = expected.stream.result()
        try:
            if stream.busy or _state_of(request.image) != expected.state:
                return None
        except OSError:
            return None
        # Its samples, if there are any, are of the model as it was.
        known = expected.bench.fingerprint if stream.begun else None
        return stream if not stream.begun or (known is not None and known == fingerprint(model)) else None

    def streams(self, bench: Bench) -> list[SampleStream]:
        """Return the streams that can share batches with those of `bench`."""
        return [
            one.stream.result()
            for name, one in self._expected.items()
            if name != self._current
            and one.stream.done()
            and one.stream.exception() is None
            and one.bench.engine.shares(bench.engine)
            and one.bench.fingerprint is not None
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

    It can be told where the whole body is one call of ``lime.check``, whose arguments need nothing but the test's
    parameters, names of its module, and calls that change nothing: those of this package, of Python's own types, and
    methods of paths and texts. These are then evaluated, a second time when the test itself runs.
    """
    function: Any = getattr(item, "function", None)
    parameters = _direct_parameters(item)
    plain = isinstance(function, types.FunctionType) and not (hasattr(function, "__wrapped__") or function.__closure__)
    if not plain or any(item.get_closest_marker(name) for name in ("skip", "skipif")):
        return None
    names = list(inspect.signature(function).parameters)
    call = _lone_check(function) if "lime" in names and set(names) <= {"lime", *parameters} else None
    if call is None or not all(_harmless(node, function, parameters) for node in ast.walk(call) if node is not call):
        return None
    try:
        function(**{name: _Scout() if name == "lime" else parameters[name] for name in names})
    except _Seen as seen:
        return seen.request
    except Exception:  # the test itself will raise it
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
    *(ast.Name, ast.Constant, ast.Attribute, ast.Subscript, ast.Slice, ast.Tuple, ast.List, ast.Dict, ast.Starred),
    *(ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.JoinedStr, ast.FormattedValue, ast.keyword),
    *(ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop),
)


def _harmless(node: ast.AST, function: types.FunctionType, parameters: Mapping[str, Any]) -> bool:
    """Whether evaluating `node` changes nothing, as far as a reader can tell."""
    if not isinstance(node, ast.Call):
        return isinstance(node, HARMLESS)
    known = {**vars(builtins), **function.__globals__, **parameters}
    called = node.func
    if isinstance(called, ast.Name):
        return _is_ours(known.get(called.id))
    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
        owner = known.get(called.value.id)
        if isinstance(owner, types.ModuleType):
            return _is_ours(vars(owner).get(called.attr))
        # `open`, `write_text` and their like do something.
        return isinstance(owner, str) or (isinstance(owner, PurePath) and hasattr(PurePath, called.attr))
    return False


def _is_ours(called: Any) -> bool:
    if called in (str, int, float, tuple, list, dict, len, min, max, Path):
        return True
    return callable(called) and str(getattr(called, "__module__", "")).partition(".")[0] == "pytest_lime"
