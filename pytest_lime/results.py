"""The results of a run: collects the records of all checks, writes the report, and sums up."""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pytest_lime import workers
from pytest_lime.environment import describe_environment
from pytest_lime.errors import RecordError, count_words, one_line
from pytest_lime.leftovers import Leftovers
from pytest_lime.records import (
    FORMAT,
    PAGE,
    PICTURE_PATH,
    RESULTS,
    VERDICTS,
    VERSION,
    count_verdicts,
    is_foreign,
    read_results,
    verdict_of,
    write_results,
)
from pytest_lime.suites import LIME_OF_SUITE

__all__ = ["Results", "describe_counts", "junit_properties", "summary_line"]

FOLDER = "lime-report"
JUDGED = {"fail": "failed", "inconclusive": "inconclusive", "expected": "failed as expected", "pass": "passed"}
WORDS = {
    "fail": "FAIL",
    "explanation": "TEST FAILED",
    "inconclusive": "INCONCLUSIVE",
    "expected": "EXPECTED FAILURE",
    "pass": "PASS",
    "explained": "EXPLAINED",
}
MARKUP = {"fail": "red", "explanation": "red", "pass": "green"}


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
    """

    def __init__(
        self,
        config: pytest.Config,
        *,
        layers: Sequence[tuple[str, Mapping[str, Any]]],
        inconclusive: str,
        leftovers: Leftovers,
    ) -> None:
        self.config = config
        self.layers = layers
        self.inconclusive = inconclusive
        self._leftovers = leftovers
        self._unused: list[str] = []
        self.draw_all = bool(config.getoption("lime_report_all"))
        self.asked_for = self.draw_all or config.getoption("lime_report") is not None
        self.folder, self.shown = self._choose_folder()
        self._began = time.time()
        self._records: dict[str, dict[str, Any]] = {}
        self._running: dict[str, list[dict[str, Any]]] = {}
        self._problems: list[str] = []
        self._drawn: set[str] = set()
        self._written: Path | None = None

    def _choose_folder(self) -> tuple[Path, str]:
        if workers.is_worker(self.config):
            return workers.folder_of_controller(self.config)
        invoked = Path(self.config.invocation_params.dir)
        given, ini = self.config.getoption("lime_report"), self.config.getini("lime_report")
        if given == "":
            raise pytest.UsageError("--lime-report: no folder is named; say --lime-report=DIR.")
        if given or not ini:
            folder = invoked / (given or FOLDER)
        else:
            folder = (self.config.inipath.parent if self.config.inipath else invoked) / ini
        folder = Path(os.path.abspath(folder))  # noqa: PTH100  (resolve would follow links, and name another folder)
        try:
            is_file = folder.exists() and not folder.is_dir()
            # A folder that nobody named is looked into when there is something to write: most runs write nothing.
            foreign = bool(given or ini) and is_foreign(folder)
        except OSError as error:
            raise pytest.UsageError(
                f"--lime-report: {one_line(str(folder))} cannot be used: {error.strerror}."
            ) from None
        if is_file:
            raise pytest.UsageError(f"--lime-report: {str(folder)!r} is a file; name a folder for the report.")
        if foreign:
            raise pytest.UsageError(f"--lime-report: {self._refusal(folder)}")
        try:
            shown = folder.relative_to(invoked)
        except ValueError:
            shown = folder
        return folder, shown.as_posix()

    @staticmethod
    def _refusal(folder: Path) -> str:
        return (
            f"{str(folder)!r} holds an {PAGE} or {RESULTS} that pytest-lime did not write and will not replace; "
            "name another folder, or delete them."
        )

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a new worker of pytest-xdist where the report is written."""
        workers.tell_folder(node, self.folder, self.shown)

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
        return [f"lime: {used} {'test explains' if used == 1 else 'tests explain'} images{told}; report: {self.shown}"]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the report, or take away one that no longer speaks of anything."""
        if workers.is_worker(self.config):
            return
        records = list(self._records.values())
        self._unused = self._leftovers.find(session)
        if not (records or self.asked_for) or self.config.getoption("collectonly", False):
            return
        if is_foreign(self.folder):
            self.failed_to_write(self._refusal(self.folder))
            return
        try:
            if self.asked_for or any(
                record["status"] != "pass" or record["kind"] == "explanation" for record in records
            ):
                self._written = self._write(records)
            else:
                self._remove_stale()
        except OSError as error:
            self.failed_to_write(f"{error.strerror or error} ({error.filename or self.folder})")
        except Exception as error:  # whatever it is, the results of the tests come first
            self.failed_to_write(f"{type(error).__name__}: {error} ({self.folder})")

    def _write(self, records: list[dict[str, Any]]) -> Path:
        from pytest_lime.report.render import render  # noqa: PLC0415  (imports jinja2, for a report only)

        results = {
            "format": FORMAT,
            "version": VERSION,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": shlex.join(["pytest", *map(str, self.config.invocation_params.args)]),
            "duration": round(time.time() - self._began, 1),
            "environment": _environment(records),
            "records": records,
        }
        old = self._pictures()
        write_results(results, self.folder)
        page = render(results, self.folder)
        kept = {path for record in records for path in record["pictures"].values()}
        for path in (old | self._drawn) - kept:
            (self.folder / path).unlink(missing_ok=True)
        return page

    def _pictures(self) -> set[str]:
        """Return the pictures that the report of an earlier run names."""
        try:
            records = read_results(self.folder)["records"]
            named = {str(path) for record in records for path in record["pictures"].values()}
        except (RecordError, KeyError, TypeError, AttributeError):
            # Not a report of ours, or a damaged one: nothing in the folder is ours to remove.
            return set()
        return {path for path in named if PICTURE_PATH.fullmatch(path)}

    def _remove_stale(self) -> None:
        stale = self._drawn | self._pictures()
        # Where the report is not ours, or damaged, only what this run drew is ours to remove.
        with contextlib.suppress(RecordError):
            read_results(self.folder)
            from pytest_lime.report.render import ASSETS  # noqa: PLC0415

            stale |= {PAGE, RESULTS, *ASSETS}
        for path in stale:
            (self.folder / path).unlink(missing_ok=True)
        for folder in (self.folder / "images", self.folder):
            # Whatever else the user keeps there stays.
            with contextlib.suppress(OSError):
                folder.rmdir()

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


def describe_counts(records: Sequence[Mapping[str, Any]]) -> str:
    """Return how many checks and comparisons there were, with which verdicts, and what they cost, in words."""
    counts = count_verdicts(records)
    judged = sum(counts[verdict] for verdict in JUDGED)
    comparisons = sum(record["kind"] == "comparison" for record in records)
    parts = [count_words(judged - comparisons, "check")] if judged > comparisons or not comparisons else []
    parts += [count_words(comparisons, "comparison")] if comparisons else []
    told = ", ".join(f"{counts[verdict]} {JUDGED[verdict]}" for verdict in JUDGED if counts[verdict])
    unjudged = len(records) - judged
    passes = sum(record["explanation"]["passes"] for record in records)
    seconds = sum(record["explanation"]["seconds"] for record in records)
    return (
        f"{' and '.join(parts)}{f': {told}' if told else ''}; "
        + (f"{unjudged} explained without a claim; " if unjudged else "")
        + f"{passes:,} forward {'pass' if passes == 1 else 'passes'} in {seconds:.1f} s"
    )


def baseline_lines(records: Sequence[Mapping[str, Any]], unused: Sequence[str]) -> list[str]:
    """Return what was written of baselines, and which of them no test compared with, a line each."""
    told = [one for record in records for one in record.get("baselines", ())]
    lines = [
        f"baseline {one['action']}: {one['file']}" + (f" ({one['words']})" if one["words"] else "")
        for one in told
        if one["action"] in ("written", "updated")
    ]
    kept = sum(one["action"] == "kept" for one in told)
    lines += [f"{count_words(kept, 'baseline')} needed no update"] if kept else []
    lines += [f"unused baseline: {file} (no test compares with it; delete it if none will)" for file in unused]
    return lines


def junit_properties(records: Sequence[Mapping[str, Any]]) -> list[tuple[str, object]]:
    """Return what JUnit XML says of the checks of one test, as names and values: all in all, and of each check.

    A comparison of groups is a check, too. ``lime`` is the gravest of their verdicts, or that of their set of images;
    there is nothing where a test has explained without a claim.
    """
    checks = [record for record in records if record["kind"] != "explanation"]
    if not checks:
        return []
    counts = count_verdicts(checks)
    verdicts = [record["set"]["status"] if "set" in record else verdict_of(record) for record in checks]
    return [
        ("lime", min(verdicts, key=VERDICTS.index)),
        ("lime.checks", len(checks)),
        *((f"lime.{verdict}", counts[verdict]) for verdict in JUDGED),
        ("lime.samples", sum(record["explanation"]["samples"] for record in checks)),
        *((f"lime.check.{record['check']}", f"{verdict_of(record)}: {_told(record)}") for record in checks),
    ]


def summary_line(record: Mapping[str, Any]) -> str:
    """Return one line on a record: target, image or groups, the figures that decide, and its test."""
    warned = ", severity warn" if record["status"] != "pass" and record.get("severity") == "warn" else ""
    return f"{_told(record)}{warned}  [{record['test']}]"


def _told(record: Mapping[str, Any]) -> str:
    if record["kind"] == "comparison":
        index, label = (record["target"][name] for name in ("index", "label"))
        unnamed = "the predicted class" if index is None else f"class {index}"
        return f"{unnamed if label is None else label}: {record['comparison']['headline']}"
    words = {">=": "at least", "<=": "at most"}
    decisive = [claim for claim in record["claims"] if claim["status"] == record["status"]]
    figures = "; ".join(
        # A claim of the user's own may have no finite bound, which a record leaves out.
        f"{claim['claim']} {claim['figure']}"
        + (f", needs {words[claim['relation']]} {claim['bound']:.4g}" if claim["bound"] is not None else "")
        for claim in decisive
    )
    subject = f"{record['target']['label']} in {record['image']['name']}"
    return f"{subject}: {figures or 'explained, without a claim'}"
