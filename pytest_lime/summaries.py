"""Summaries: what the terminal and JUnit XML say of records, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_lime.errors import count_words
from pytest_lime.records import VERDICTS, count_verdicts, verdict_of
from pytest_lime.report.reading import as_asked, as_mapping, as_number, as_pair, as_rows, as_text

__all__ = [
    "JUDGED",
    "MARKUP",
    "WORDS",
    "baseline_lines",
    "claim_words",
    "describe_counts",
    "junit_properties",
    "set_words",
    "subject_of",
    "summary_line",
]

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
    return f"{subject_of(record)}: {'; '.join(claim_words(record))}"


def subject_of(record: Mapping[str, Any]) -> str:
    """Return what a check is about, in words."""
    if record["kind"] == "comparison":
        index, label = (record["target"][name] for name in ("index", "label"))
        return str(label) if label is not None else "the predicted class" if index is None else f"class {index}"
    return f"{record['target']['label']} in {record['image']['name']}"


def set_words(held: int, total: int, mostly: float | None) -> str:
    """Return how many images of a set hold, and how many must.

    >>> set_words(4, 10, 0.8), set_words(1, 1, 1.0)
    ('4 of 10 images hold, 8 must (mostly=0.8)', '1 of 1 image holds, all must')
    """
    told = f"{held:,} of {count_words(total, 'image')} {'holds' if total == 1 else 'hold'}"
    if mostly is None or not 0 < mostly <= 1:
        return told
    # A share of 0.6 of 5 is 3, whatever binary fractions make of it.
    needed = max(1, math.ceil(mostly * total - 1e-9))
    return f"{told}, all must" if needed == total else f"{told}, {needed:,} must (mostly={mostly:g})"


def claim_words(record: Mapping[str, Any]) -> list[str]:
    """Return what decided a check, a text for each claim: its figure, what it needs, and the interval.

    Nothing of the record is trusted.
    """
    if record.get("kind") == "comparison":
        return [as_text(as_mapping(record.get("comparison")).get("headline"))]
    decisive = [claim for claim in as_rows(record.get("claims")) if claim.get("status") == record.get("status")]
    return [_claim_words(claim) for claim in decisive] or ["explained, without a claim"]


def _claim_words(claim: Mapping[str, Any]) -> str:
    words = f"{as_text(claim.get('claim'))} {as_text(claim.get('figure'))}"
    interval = as_pair(claim.get("interval"))
    if needs := as_asked(claim):
        words += f", needs {needs}"
    # What took no sample has no interval to speak of.
    if as_number(claim.get("samples")) and interval is not None:
        words += f", interval {interval[0]:.3g} … {interval[1]:.3g}"
    return words
