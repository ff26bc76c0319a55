"""The results of a run: collects the records of all checks, writes the report, and sums up."""

from __future__ import annotations

import os
import shlex
import sys
import time
import uuid
from collections.abc import Generator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pytest_lime import workers
from pytest_lime.attachments import SECTION, attachment_lines
from pytest_lime.counts import count_run
from pytest_lime.endings import Endings
from pytest_lime.environment import describe_environment
from pytest_lime.html_extras import HtmlExtras
from pytest_lime.ledger import Ledger
from pytest_lime.leftovers import Leftovers
from pytest_lime.records import FORMAT, VERDICTS, VERSION, verdict_of
from pytest_lime.report.anchors import anchors_of
from pytest_lime.report_folder import ReportFolder
from pytest_lime.revision import describe_revision
from pytest_lime.suites import uses_lime
from pytest_lime.summaries import MARKUP, baseline_lines, describe_counts, junit_properties, subject_of
from pytest_lime.tally import Tally
from pytest_lime.terminal_table import table_lines

__all__ = ["Results", "grouped"]

# Heatmaps that the terminal shows.
MOST_PICTURES = 5


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
        self._html = HtmlExtras(config, self.folder.path)
        self._began = time.time()
        self._ledger = Ledger(each=workers.dist_of(config) == "each")
        self._endings = Endings()
        self._records: list[dict[str, Any]] = []
        self._problems: list[str] = []
        self._remarks: list[str] = []
        self._drawn: set[str] = set()
        # Tests that may have left pictures which no record names.
        self._untidy: dict[str, None] = {}
        self._written: Path | None = None
        self._shown: list[str] = []
        self._finished = False
        config.pluginmanager.register(self._endings, "pytest-lime-endings")

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a new worker of pytest-xdist where the report is written."""
        workers.tell_folder(node, self.folder.path, self.folder.shown)
        workers.tell_dist(node)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Take note of the order of the tests, in which their records will stand."""
        self._ledger.expect(ids)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Take note of a test that begins."""
        self._ledger.begin(nodeid)

    def cut_off(self, nodeid: str, records: Sequence[dict[str, Any]]) -> None:
        """Keep what a test had checked when the run was interrupted."""
        self._drawn.update(path for record in records for path in record["pictures"].values())
        self._ledger.cut_off(nodeid, records)

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
        # pytest-rerunfailures makes the test again.
        rerun = str(report.outcome) == "rerun"
        outcome, reason = _outcome(report)
        records = list(getattr(report, "lime_records", ()))
        for record in records:
            self._drawn.update(record["pictures"].values())
            record["outcome"] = outcome
            # Of an image whose set passes without it, the reason is known already.
            record["reason"] = reason or record["reason"]
        if hasattr(report, "lime_problems"):
            self._untidy[report.nodeid] = None
        finished = self._ledger.note(report, records, outcome, rerun=rerun)
        # A worker's report comes to the controller, which alone writes files.
        if report.when == "teardown" and not workers.is_worker(self.config):
            report.user_properties += junit_properties(finished)
            self._html.attach(report, finished)
            # A report in one file keeps no pictures beside it.
            kept = () if self.folder.self_contained else finished
            if lines := attachment_lines(self.config, self.folder.path, kept):
                report.sections.append((SECTION, lines))

    def pytest_report_collectionfinish(self, items: Sequence[pytest.Item]) -> list[str]:
        """Return the line about pytest-lime, where a test uses it."""
        used = sum(map(uses_lime, items))
        if not used:
            return []
        options = {name: value for _, values in reversed(self.layers) for name, value in values.items()}
        told = "".join(f", {name}={value}" for name, value in sorted(options.items()))
        explain = "test explains" if used == 1 else "tests explain"
        return [f"lime: {used} {explain} images{told}; report: {self.folder.shown}"]

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Generator[None, object, object]:
        """Write the report, or take away one that no longer speaks of anything; and what others show of the run.

        After what other plugins do, also where one of them breaks down, and before what they wrap around it: the
        terminal's summary is such.
        """
        try:
            return (yield)
        finally:
            self._finish(session, int(exitstatus))

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_summary(self, session: pytest.Session) -> None:
        """Let the report of pytest-html, which is about to be written, link to ours, which must be written before."""
        self._finish(session, int(session.exitstatus))
        if self._written:
            self._html.link(self._written, self._records, anchors_of(self._records))

    def _finish(self, session: pytest.Session, exitstatus: int) -> None:
        if workers.is_worker(self.config) or self._finished:
            return
        self._finished = True
        self._records, told = self._ledger.records()
        self._unused = self._leftovers.find(session)
        if not (self._records or self.asked_for) or self.config.getoption("collectonly", False):
            return
        self._remarks += [*self._endings.remarks(), *told]
        run = self._endings.describe(session, exitstatus)
        self._write(run)
        self._append_summary(run)

    def _write(self, run: Mapping[str, Any]) -> None:
        try:
            if refusal := self.folder.refusal:
                self.failed_to_write(refusal)
                self.folder.remove(self._drawn)
                return
            if self.config.get_verbosity() > 0 and self.config.get_terminal_writer().hasmarkup:
                # Before the pictures go into a page that holds all of them.
                self._shown = self._heatmaps()
            if self.asked_for or _is_worth_a_report(self._records, run):
                for gone in self.folder.check_pictures(self._records):
                    self.failed_to_write(gone)
                self._written = self.folder.write(self._results(run), self._drawn, self._all_untidy())
            else:
                self.folder.remove_stale(self._drawn)
        except OSError as error:
            self.failed_to_write(f"{error.strerror or error} ({error.filename or self.folder.path})")
        except Exception as error:  # whatever it is, the results of the tests come first
            self.failed_to_write(f"{type(error).__name__}: {error} ({self.folder.path})")

    def _append_summary(self, run: Mapping[str, Any]) -> None:
        """Tell GitHub Actions of the run, where it asks."""
        if not (self._records and os.environ.get("GITHUB_STEP_SUMMARY")):
            return
        from pytest_lime.step_summary import append_summary  # noqa: PLC0415  (few runs ask)

        told = {"run": run, "counts": self._counts(), "problems": self._all_problems(), "records": self._records}
        try:
            reason = append_summary(told, page=self._written)
        except Exception as error:  # whatever it is, the results of the tests come first
            reason = f"the step summary cannot be written: {type(error).__name__}: {error}."
        if reason:
            self._remarks.append(reason)

    def _counts(self) -> dict[str, int]:
        return count_run(self._records, skipped=self._tally.skipped, deselected=self._tally.deselected)

    def _all_problems(self) -> list[str]:
        return [*self._remarks, *map(_unwritten, grouped(self._problems))]

    def _all_untidy(self) -> list[str]:
        """Return the tests that may have left pictures which no record names."""
        return [*self._untidy, *self._ledger.unfinished, *self._endings.lost_tests]

    def _results(self, run: Mapping[str, Any]) -> dict[str, Any]:
        """Return what ``results.json`` holds: what is known of the run, and all records."""
        from pytest_lime.report.method import method_card  # noqa: PLC0415  (imports numpy, for a report only)

        return {
            "format": FORMAT,
            "version": VERSION,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": shlex.join(["pytest", *map(str, self.config.invocation_params.args)]),
            "duration": round(time.time() - self._began, 1),
            "environment": _environment(self._records),
            "run": {"id": uuid.uuid4().hex[:12], **run, "git": describe_revision(self.config.rootpath)},
            "counts": self._counts(),
            "problems": self._all_problems(),
            "method": method_card(self._records),
            "records": self._records,
        }

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the checks that did not pass (all of them with ``-v``), the counts and the report's path."""
        records = self._records
        if not (records or self._written or self._problems):
            return
        terminalreporter.section("lime")
        verbosity = self.config.get_verbosity()
        # Where nobody counts columns, as in a log, nothing is shortened.
        width = self.config.get_terminal_writer().fullwidth if terminalreporter.isatty else None
        for row in table_lines(records, everything=verbosity > 0, width=width) if verbosity >= 0 else []:
            terminalreporter.write(row.word, **_markup(row.verdict))
            terminalreporter.line(row.rest)
        for line in [*self._shown, ""] if self._shown else []:
            terminalreporter.line(line)
        if records:
            terminalreporter.line(describe_counts(records))
        for line in baseline_lines(records, self._unused):
            terminalreporter.line(line)
        if self._written:
            terminalreporter.line(f"report: {self._written}")
            if large := self.folder.too_large(self._written):
                terminalreporter.line(f"lime: {large}", yellow=True)
        for problem in self._all_problems():
            terminalreporter.line(f"lime: {problem}", yellow=True)

    def _heatmaps(self) -> list[str]:
        """Return the heatmaps of some checks that did not pass as lines for a terminal in colours."""
        from pytest_lime.half_blocks import UPPER, half_blocks, has_true_colour  # noqa: PLC0415

        try:
            UPPER.encode(getattr(sys.__stdout__, "encoding", None) or "utf-8")
        except (LookupError, UnicodeEncodeError):
            return []
        found = [record for record in self._records if verdict_of(record) != "pass" and "thumb" in record["pictures"]]
        lines = []
        for record in sorted(found, key=lambda record: VERDICTS.index(verdict_of(record)))[:MOST_PICTURES]:
            path = self.folder.path / record["pictures"]["thumb"]
            if picture := half_blocks(path, true_colour=has_true_colour(os.environ)):
                lines += ["", f"{subject_of(record)}; orange speaks for it, purple against it:", *picture]
        return lines


def _markup(verdict: str) -> dict[str, bool]:
    return {MARKUP.get(verdict, "yellow"): True} if verdict else {"bold": True}


def _is_worth_a_report(records: Sequence[Mapping[str, Any]], run: Mapping[str, Any]) -> bool:
    """Whether there is something to look at; a run that was cut off leaves a report of what ran."""
    cut_off = run["exit"] in ("stopped", "interrupted", "crashed")
    return bool(records and cut_off) or any(
        record["status"] != "pass" or record["kind"] == "explanation" for record in records
    )


def grouped(problems: Sequence[str]) -> list[str]:
    """Return `problems`, each a reason and in brackets what it is about, with each reason once.

    >>> grouped(["disk full (a.png)", "disk full (b.png)", "disk full (c.png)", "no permission (a.png)"])
    ['disk full (a.png and 2 more)', 'no permission (a.png)']
    """
    reasons: dict[str, list[str]] = {}
    for problem in problems:
        reason, bracket, about = problem.rpartition(" (")
        reasons.setdefault(reason if bracket else problem, []).append(about.removesuffix(")") if bracket else "")
    lines = []
    for reason, places in reasons.items():
        more = f" and {len(places) - 1:,} more" if len(places) > 1 else ""
        lines.append(f"{reason} ({places[0]}{more})" if places[0] else reason)
    return lines


def _unwritten(problem: str) -> str:
    return f"part of the report could not be written: {problem}"


def _outcome(report: pytest.TestReport) -> tuple[str, str]:
    """Return the outcome of the test, and its reason where it was expected to fail."""
    reason = getattr(report, "wasxfail", None)
    if reason is not None:
        return ("xfailed" if report.skipped else "xpassed"), str(reason).removeprefix("reason: ")
    failed = report.failed or str(report.outcome) == "rerun"
    if report.when != "call" and failed:
        return "error", ""
    return "failed" if failed else str(report.outcome), ""


def _environment(records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    # Where too few images would have been compared, none was explained.
    devices = sorted({record["explanation"]["device"] for record in records} - {""})
    return {**describe_environment(), "device": ", ".join(devices) or "none used"}
