"""The counts of a run."""

from typing import Any

import pytest

from pytest_lime.counts import count_run

RECORDS: list[dict[str, Any]] = [
    {"test": "a", "attempt": 3, "kind": "check", "status": "fail", "outcome": "failed"},
    {"test": "a", "attempt": 3, "kind": "check", "status": "pass", "outcome": "failed"},
    {"test": "b", "attempt": 1, "kind": "check", "status": "inconclusive", "outcome": "passed"},
    {
        "test": "c",
        "kind": "check",
        "status": "pass",
        "outcome": "passed",
        "set": {"unseen": ["x", "y"], "status": "pass"},
    },
    {"test": "c", "kind": "check", "status": "fail", "outcome": "passed", "set": {"status": "pass"}},
    {"test": "d", "attempt": 2, "kind": "explanation", "status": "fail", "outcome": "failed"},
]


def test_what_there_is_and_what_was_left_out() -> None:
    assert count_run(RECORDS, skipped=2, deselected=5) == {
        "fail": 1,
        "explanation": 1,
        "inconclusive": 1,
        "expected": 1,
        "pass": 2,
        "explained": 0,
        "rerun": 3,
        "skipped": 2,
        "deselected": 5,
        "unseen": 2,
        "excluded": 9,
    }


def test_nothing() -> None:
    assert set(count_run([], skipped=0, deselected=0).values()) == {0}


@pytest.mark.parametrize("record", [{}, {"attempt": "7", "set": 3}, {"attempt": True, "set": {"unseen": "abc"}}])
def test_what_is_damaged_counts_for_nothing(record: dict[str, Any]) -> None:
    counts = count_run([record], skipped=0, deselected=0)
    assert (counts["rerun"], counts["unseen"], counts["excluded"]) == (0, 0, 0)
