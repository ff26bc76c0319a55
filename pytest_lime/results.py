"""The results of a run: collects the records of all checks, writes the report, and sums up."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pytest_lime import workers
from pytest_lime.counts import count_run
from pytest_lime.environment import describe_environment
from pytest_lime.leftovers import Leftovers
from pytest_lime.records import FORMAT, VERSION, verdict_of
from pytest_lime.report_folder import ReportFolder
from pytest_lime.revision import describe_revision
from pytest_lime.suites import LIME_OF_SUITE
from pytest_lime.summaries import MARKUP, WORDS, baseline_lines, describe_counts, junit_properties, summary_line
from pytest_lime.tally import Tally

__all__ = ["Results"]


class Results:
    """Where the report goes and what it will hold; a plugin of its own in each process.

    Parameters
    ----------
    config : pytest.Config
    layers : sequence of (where, options)
        What command line and ini file say of the options of explanations.
    inconclusive : str
        What an inconclusive check does to its test.
    leftovers : Leftovers
        Watches for baselines that are not needed any more.
    tally : Tally
        Counts what the run leaves out.
    """

    def __init__(
        self,
        config: pytest.Config,
        *,
        layers: Sequence[tuple[str, Mapping[str, Any]]],
        inconclusive: str,
        leftovers: Leftovers,
        tally: Tally,
    ) -> None:
        self.config = config
        self.layers = layers
        self.inconclusive = inconclusive
        self._leftovers = leftovers
        self._tally = tally
        self._unused: list[str] = []
        self.draw_all = bool(config.getoption("lime_report_all"))
        self.asked_for = self.draw_all or config.getoption("lime_report") is not None
        self.folder = ReportFolder(config)
        self._began = time.time()
        self._records: dict[str, dict[str, Any]] = {}
        self._running: dict[str, list[dict[str, Any]]] = {}
        self._problems: list[str] = []
        self._drawn: set[str] = set()
        self._written: Path | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a new worker of pytest-xdist where the report is written."""
        workers.tell_folder(node, self.folder.path, self.folder.shown)

    def failed_to_write(self, reason: str) -> None:
        """Remember that something of the report could not be written, and why."""
        if reason not in self._problems:
            self._problems.append(reason)

    def take_problems(self) -> list[str]:
        """Hand over what `failed_to_write` was told since the last call."""
        problems, self._problems = self._problems, []
        return problems

    # First, since the plugin that writes JUnit XML reads the properties in the same hook.
    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the records that a test's report carries."""
        for problem in getattr(report, "lime_problems", ()):
            self.failed_to_write(problem)
        self._leftovers.note(report)
        # A rerun replaces the attempt before it.
        rerun = str(report.outcome) == "rerun"
        for record in getattr(report, "lime_records", ()):
            self._drawn.update(record["pictures"].values())
            if not rerun:
                record["outcome"], reason = _outcome(report)
                # Of an image whose set passes without it, the reason is known already.
                record["reason"] = reason or record["reason"]
                self._records[record["id"]] = record
                self._running.setdefault(report.nodeid, []).append(record)
        # A worker's report comes to the controller, which alone writes files.
        if report.when == "teardown" and not workers.is_worker(self.config):
            report.user_properties += junit_properties(self._running.pop(report.nodeid, []))

    def pytest_report_collectionfinish(self, items: Sequence[pytest.Item]) -> list[str]:
        """Return the line about pytest-lime, where a test uses it."""
        used = sum(not {"lime", LIME_OF_SUITE}.isdisjoint(getattr(item, "fixturenames", ())) for item in items)
        if not used:
            return []
        options = {name: value for _, values in reversed(self.layers) for name, value in values.items()}
        told = "".join(f", {name}={value}" for name, value in sorted(options.items()))
        explain = "test explains" if used == 1 else "tests explain"
        return [f"lime: {used} {explain} images{told}; report: {self.folder.shown}"]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the report, or take away one that no longer speaks of anything."""
        if workers.is_worker(self.config):
            return
        records = list(self._records.values())
        self._unused = self._leftovers.find(session)
        if not (records or self.asked_for) or self.config.getoption("collectonly", False):
            return
        if refusal := self.folder.refusal:
            self.failed_to_write(refusal)
            return
        try:
            if self.asked_for or any(
                record["status"] != "pass" or record["kind"] == "explanation" for record in records
            ):
                self._written = self.folder.write(self._results(records), self._drawn)
            else:
                self.folder.remove_stale(self._drawn)
        except OSError as error:
            self.failed_to_write(f"{error.strerror or error} ({error.filename or self.folder.path})")
        except Exception as error:  # whatever it is, the results of the tests come first
            self.failed_to_write(f"{type(error).__name__}: {error} ({self.folder.path})")

    def _results(self, records: list[dict[str, Any]]) -> dict[str, Any]:
        from pytest_lime.report.method import method_card  # noqa: PLC0415  (imports numpy, for a report only)

        return {
            "format": FORMAT,
            "version": VERSION,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": shlex.join(["pytest", *map(str, self.config.invocation_params.args)]),
            "duration": round(time.time() - self._began, 1),
            "environment": _environment(records),
            "run": {"git": describe_revision(self.config.rootpath)},
            "counts": count_run(records, skipped=self._tally.skipped, deselected=self._tally.deselected),
            "method": method_card(records),
            "records": records,
        }

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the checks that did not pass (all of them with ``-v``), the counts and the report's path."""
        records = list(self._records.values())
        if not (records or self._written or self._problems):
            return
        terminalreporter.section("lime")
        verbose = self.config.get_verbosity() > 0
        for record in records:
            verdict = verdict_of(record)
            if verbose or verdict != "pass":
                terminalreporter.write(WORDS[verdict], **{MARKUP.get(verdict, "yellow"): True})
                terminalreporter.line(f"  {summary_line(record)}")
        if records:
            terminalreporter.line(describe_counts(records))
        for line in baseline_lines(records, self._unused):
            terminalreporter.line(line)
        if self._written:
            terminalreporter.line(f"report: {self._written}")
            if large := self.folder.too_large(self._written):
                terminalreporter.line(f"lime: {large}", yellow=True)
        for problem in self._problems:
            terminalreporter.line(f"lime: part of the report could not be written: {problem}", yellow=True)


def _outcome(report: pytest.TestReport) -> tuple[str, str]:
    """Return the outcome of the test, and its reason where it was expected to fail."""
    reason = getattr(report, "wasxfail", None)
    if reason is not None:
        return ("xfailed" if report.skipped else "xpassed"), str(reason).removeprefix("reason: ")
    if report.when != "call" and report.failed:
        return "error", ""
    return str(report.outcome), ""


def _environment(records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    # Where too few images would have been compared, none was explained.
    devices = sorted({record["explanation"]["device"] for record in records} - {""})
    return {**describe_environment(), "device": ", ".join(devices) or "none used"}
