"""Leftovers: baselines that no test compares with any more, as far as a run can tell."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pytest_lime.errors import BaselineError

__all__ = ["Leftovers", "from_root"]

# What a worker says of its run.
PARTIAL = "lime_partial"


class Leftovers:
    """Watches a run, and names the baselines that it did not need.

    Nothing is named where some tests were left out, by ``-k``, ``-m``, node ids, ``--lf``, ``-x`` or an interruption: a
    partial run cannot tell. Nothing is ever deleted.

    Parameters
    ----------
    config : pytest.Config
    folder : Path or None
        Where all baselines are; None where they are beside their tests.
    name : str
        How a folder beside tests is called.
    """

    def __init__(self, config: pytest.Config, folder: Path | None, name: str) -> None:
        self._config, self._folder, self._name = config, folder, name
        self._outcomes: dict[str, set[str]] = {}
        self._used: set[str] = set()
        self._partial = False

    def note(self, report: pytest.TestReport) -> None:
        """Take note of what became of a test."""
        self._outcomes.setdefault(report.nodeid, set()).add(str(report.outcome))
        self._used.update(getattr(report, "lime_baselines", ()))

    def pytest_deselected(self) -> None:
        """Some tests were left out."""
        self._partial = True

    def pytest_sessionfinish(self) -> None:
        """Let the controller of pytest-xdist know, which is not told itself."""
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            output[PARTIAL] = self._partial

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take note of what a worker left out; one that broke down has left out something."""
        self._partial |= bool(getattr(node, "workeroutput", {PARTIAL: True}).get(PARTIAL, True))

    def find(self, session: pytest.Session) -> list[str]:
        """Return the baselines that no test compared with, from the root folder on; none after a partial run."""
        if self._partial or self._left_out(session):
            return []
        found = []
        for folder in sorted(self._folders()):
            for path in sorted(folder.glob("*.json")):
                from pytest_lime.baselines import read_baseline  # noqa: PLC0415  (imports numpy, and most runs need none)

                shown = from_root(path, self._config)
                try:
                    baseline = None if shown in self._used else read_baseline(path)
                except BaselineError:
                    continue
                if baseline is not None and self._is_over(folder, baseline.test):
                    found.append(shown)
        return found

    def _left_out(self, session: pytest.Session) -> bool:
        """Whether the command line, or an early end, left tests out."""
        options = self._config.option
        named = any(
            getattr(options, name, None)
            for name in ("keyword", "markexpr", "deselect", "lf", "stepwise", "last_failed", "collectonly")
        )
        early = bool(session.shouldstop or session.shouldfail) or int(getattr(session, "exitstatus", 0)) not in (0, 1)
        return named or early or any("::" in str(argument) for argument in self._config.args)

    def _folders(self) -> set[Path]:
        if self._folder is not None:
            return {self._folder}
        root = self._config.rootpath
        return {(root / node_id.partition("::")[0]).parent / self._name for node_id in self._outcomes}

    def _is_over(self, folder: Path, test: str) -> bool:
        """Whether the test of a baseline is gone, or passed without it."""
        if self._folder is None:
            test = f"{from_root(folder.parent / test.partition('::')[0], self._config)}::{test.partition('::')[2]}"
        file = test.partition("::")[0]
        ran = {node_id for node_id in self._outcomes if node_id.partition("::")[0] == file}
        if not ran:
            # A file that was not asked for keeps its baselines; one that is gone does not.
            return not (self._config.rootpath / file).exists()
        # Under --dist loadgroup an id ends in its group.
        outcomes = [self._outcomes[one] for one in ran if one == test or one.startswith(f"{test}@")]
        return not outcomes or all(each == {"passed"} for each in outcomes)


def from_root(path: Path, config: pytest.Config) -> str:
    """Return a path as node ids begin: from the root folder on, with slashes; on another drive as it is."""
    if path.drive != config.rootpath.drive:
        return str(path)
    return Path(os.path.relpath(path, config.rootpath)).as_posix()
