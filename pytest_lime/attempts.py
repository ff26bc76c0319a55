"""Attempts: which record counts where a test was made again, and what is kept of those before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_lime.report.reading import as_rows

__all__ = ["attempt_facts", "join_attempts"]

# What is kept of each claim of an attempt.
CLAIM_FACTS = ("claim", "status", "estimate", "interval", "samples")


def attempt_facts(record: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return what a later record says of `record`, the attempt of this `number`."""
    return {
        "attempt": number,
        "status": record.get("status"),
        "outcome": record.get("outcome"),
        "claims": [{name: claim.get(name) for name in CLAIM_FACTS} for claim in as_rows(record.get("claims"))],
    }


def join_attempts(attempts: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Return the records that count of a test: of each check the last attempt that made it, which lists those before.

    Parameters
    ----------
    attempts : sequence of lists of records
        Of one test, the oldest first; an attempt that made no check has an empty list. Records that list attempts of
        their own stand for these, too.

    Returns
    -------
    list of records
        New ones, in the order of their checks. Each has ``attempt``, its own number from 1, and ``attempts``.
    """
    latest: dict[int, dict[str, Any]] = {}
    past: dict[int, list[dict[str, Any]]] = {}
    number = 0
    for records in attempts:
        listed = {record["check"]: as_rows(record.get("attempts")) for record in records}
        begun, number = number, number + max(map(len, listed.values()), default=0) + 1
        for record in records:
            check = record["check"]
            before = past.setdefault(check, [])
            if check in latest:
                before.append(attempt_facts(latest[check], latest[check]["attempt"]))
            before += [{**row, "attempt": begun + place} for place, row in enumerate(listed[check], start=1)]
            latest[check] = {**record, "attempt": number}
    return [{**latest[check], "attempts": past[check]} for check in sorted(latest)]
