"""The ledger: the records of a run, of tests that are made again, several times, or on a worker that is lost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_lime.attempts import join_attempts
from pytest_lime.workers import worker_of

__all__ = ["Ledger"]

# What pytest-xdist says of the phase in which a worker was lost.
LOST = "???"
GREEN = ("passed", "skipped", "xpassed")


@dataclass
class _Run:
    """One run of one test; ``attempts`` are those before, which failed and were made again."""

    test: str
    # Its place among all tests, and its worker, where pytest-xdist tells them.
    place: tuple[int, str] = (0, "")
    records: list[dict[str, Any]] = field(default_factory=list)
    attempts: list[list[dict[str, Any]]] = field(default_factory=list)
    outcome: str = "passed"
    # An attempt has failed, and the next one has not begun.
    waiting: bool = False
    ended: bool = False

    def put_away(self) -> None:
        """Put away what this attempt has checked, since there will be another."""
        self.attempts.append(self.records)
        self.records, self.waiting = [], True

    def begin_again(self) -> None:
        """Begin the next attempt."""
        self.outcome, self.waiting = "passed", False

    def settle(self) -> tuple[list[dict[str, Any]], list[str]]:
        """Return the records that count, and in words what does not.

        A check that only an earlier attempt has made tells why the test failed; where the test has passed, without
        that check, it is no failure.
        """
        records = join_attempts([*self.attempts, self.records])
        made = {record["check"] for record in self.records}
        remarks = []
        for record in [record for record in records if record["check"] not in made]:
            if self.ended and self.outcome in GREEN:
                records.remove(record)
                remarks.append(
                    f"{self.test}: attempt {record['attempt']} made check {record['check']} ({record['status']}), and "
                    "the last attempt passed without it, so that it is not listed."
                )
            # A run that is cut off between two attempts does not say how the test would have ended.
            record["outcome"] = self.outcome if self.ended else "interrupted"
        return records, remarks


class Ledger:
    """Collects records from the reports of tests; in the controller of pytest-xdist, of all workers.

    Parameters
    ----------
    each : bool
        Every worker makes every test (``--dist each``).

    Attributes
    ----------
    unfinished : dict whose keys are texts
        The tests that have begun and not ended, as their reports call them.
    """

    def __init__(self, *, each: bool = False) -> None:
        self._each = each
        self._runs: list[_Run] = []
        self._running: dict[tuple[object, ...], _Run] = {}
        # Of tests whose worker was lost, and which another will make again.
        self._to_come: dict[str, _Run] = {}
        self._order: dict[str, int] = {}
        self.unfinished: dict[str, None] = {}

    def expect(self, tests: Iterable[str]) -> None:
        """Take note of the order in which the tests were collected; what the first worker says counts."""
        if not self._order:
            for test in tests:
                self._order.setdefault(test, len(self._order))

    def begin(self, test: str) -> None:
        """Take note of a test that begins."""
        self.unfinished[test] = None

    def note(
        self, report: Any, records: Sequence[dict[str, Any]], outcome: str, *, rerun: bool
    ) -> list[dict[str, Any]]:
        """Take in the `records` that the report of one phase carries; at the end of a test, return all of its run.

        Parameters
        ----------
        report : pytest.TestReport
        records : sequence of records
        outcome : str
            Of this phase.
        rerun : bool
            The test will be made again.
        """
        test, lost = str(report.nodeid), report.when == LOST
        # A test may be given twice; the report of a crash does not say which of them it is about.
        key: tuple[object, ...] = (test, getattr(report, "item_index", None), worker_of(report) if self._each else "")
        if lost:
            key = next((one for one in self._running if (one[0], one[2]) == (key[0], key[2])), key)
        run = self._running.get(key) or self._to_come.pop(test, None)
        if run is None and (records or rerun):
            run = _Run(test, (key[1] if isinstance(key[1], int) else 0, str(key[2])))
            self._runs.append(run)
        if run is None:
            self._end(test, report.when, key)
            return []
        self._running[key] = run
        if run.waiting and report.when == "setup":
            run.begin_again()
        elif run.waiting and not lost:
            # The teardown of the attempt that failed.
            run.attempts[-1] += records
            return []
        run.records += records
        # A phase that passes says nothing of those before.
        run.outcome = outcome if outcome != "passed" else run.outcome
        if rerun:
            run.put_away()
            if lost:
                self._to_come[test] = self._running.pop(key)
            return []
        run.ended = self._end(test, report.when, key)
        return run.records if run.ended else []

    def _end(self, test: str, when: str, key: tuple[object, ...]) -> bool:
        """Take note of the end of a test, if it is one."""
        ended = when in ("teardown", LOST)
        if ended:
            self._running.pop(key, None)
            self.unfinished.pop(test, None)
        return ended

    def cut_off(self, test: str, records: Sequence[dict[str, Any]]) -> None:
        """Take in what a test had checked when the whole run was interrupted."""
        run = next((run for run in self._running.values() if run.test == test), None)
        if run is None and records:
            run = _Run(test)
            self._runs.append(run)
        if run is not None:
            run.outcome = "interrupted"
            run.records += [{**record, "outcome": run.outcome} for record in records]

    def records(self) -> tuple[list[dict[str, Any]], list[str]]:
        """Return the records that count, in the order of collection and with an id each, and remarks in words."""
        found: list[dict[str, Any]] = []
        remarks: list[str] = []
        taken: set[str] = set()
        last = len(self._order)
        for run in sorted(self._runs, key=lambda run: (self._order.get(run.test, last), *run.place)):
            records, told = run.settle()
            remarks += told
            for record in records:
                name, number = record["id"], 2
                while record["id"] in taken:
                    record["id"], number = f"{name}-{number}", number + 1
                taken.add(record["id"])
            found += records
        return found, remarks
