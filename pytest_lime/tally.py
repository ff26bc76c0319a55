"""The tally: tests that a run left out, which no record speaks of."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_lime.suites import uses_lime

__all__ = ["Tally"]

# What a worker says of its run.
DESELECTED = "lime_deselected"


class Tally:
    """Counts the tests that were deselected, and those that use `lime` and were skipped.

    Parameters
    ----------
    config : pytest.Config
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.deselected = 0
        self._skipped: set[str] = set()

    @property
    def skipped(self) -> int:
        """How many tests that use `lime` were skipped."""
        return len(self._skipped)

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Count what was left out."""
        self.deselected += len(items)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Any:
        """Let the report of a skipped test say that it uses `lime`, which only its own process knows."""
        report = yield
        if report.skipped and uses_lime(item) and not hasattr(report, "wasxfail"):
            report.lime_skipped = True
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a skipped test, once."""
        if getattr(report, "lime_skipped", False):
            self._skipped.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        """Let the controller of pytest-xdist know, which collects nothing itself."""
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            output[DESELECTED] = self.deselected

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what a worker left out: each collects all tests, so that they do not add up."""
        told = getattr(node, "workeroutput", {}).get(DESELECTED, 0)
        self.deselected = max(self.deselected, int(told))
