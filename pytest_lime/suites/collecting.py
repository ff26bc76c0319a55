"""Collecting: a suite as a module of test functions, whose lines are those of the YAML file."""

from __future__ import annotations

import ast
import functools
import os
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_lime.errors import LimeError, is_for_the_user
from pytest_lime.suites import CASE, LIME_OF_SUITE
from pytest_lime.suites.cases import Case, Severity, read_cases
from pytest_lime.suites.marks import apply_mark

__all__ = ["SuiteFile"]

__tracebackhide__ = is_for_the_user


class SuiteFile(pytest.Module):
    """A suite. Its functions are pytest's own, so that fixtures, marks, node ids and plugins work."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        # There is no Python file to import.
        self.obj = types.ModuleType(self.path.name)
        self.obj.__file__ = str(self.path)

    def funcnamefilter(self, name: str) -> bool:
        """Take every function, whatever it is called."""
        return True

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        """Yield the cases of the suite."""
        for case in read_cases(self.path, _seen_from(Path(self.config.invocation_params.dir), self.path)):
            function = self._function(case)
            setattr(self.obj, case.name, function)
            made = self.ihook.pytest_pycollect_makeitem(collector=self, name=case.name, obj=function)
            for item in made if isinstance(made, list) else [made]:
                if isinstance(item, pytest.Item):
                    item.stash[CASE] = case
                yield item

    def _function(self, case: Case) -> types.FunctionType:
        call = case.call
        names = {
            "__name__": self.obj.__name__,
            "arguments": call.arguments,
            "named": call.named,
            "severity": functools.partial(Severity, case.severity),
        }
        lime = LIME_OF_SUITE if case.model else "lime"
        line = case.place.line
        code = _code(lime, call.method, str(self.path), max(0, case.called.line - line))
        function = types.FunctionType(code.replace(co_firstlineno=line), names, code.co_name)
        if case.model and ":" not in case.model.value:
            # Set up with the other fixtures, so that its scope and its parameters count.
            pytest.mark.usefixtures(case.model.value)(function)
        if case.options:
            pytest.mark.lime(**case.options)(function)
        for mark in case.marks:
            apply_mark(mark, function)
        return function

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Any:  # type: ignore[override]
        """Show an error of ours as its sentence."""
        return str(excinfo.value) if isinstance(excinfo.value, LimeError) else super().repr_failure(excinfo)


def _seen_from(folder: Path, path: Path) -> str:
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # on another drive of Windows
        return path.as_posix()


@functools.lru_cache(maxsize=64)  # of one length are most tests of a suite
def _code(lime: str, method: str, file: str, length: int) -> types.CodeType:
    """Return the code of a function that begins in line 1 of the YAML file and calls `lime` `length` lines below.

    A traceback then shows the test as it is written there, and warnings name that place.
    """
    tree = ast.parse(f"def case({lime}):\n with severity(): {lime}.{method}(*arguments(), **named)")
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt | ast.expr | ast.arg):
            node.lineno = node.end_lineno = 1 + length
            # Columns are of this text, and say nothing of the file's.
            node.col_offset = node.end_col_offset = -1
    (definition,) = tree.body
    definition.lineno = 1
    codes = [one for one in compile(tree, file, "exec").co_consts if isinstance(one, types.CodeType)]
    return codes[0]
