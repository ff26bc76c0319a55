"""What the page says of a run before its first card: how it ended, its sets, its costs; and what goes into an issue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_lime.report.issues import issue_text
from pytest_lime.report.pages import page_of
from pytest_lime.report.render import render
from pytest_lime.report.runs import commit_words, ending, left_out, model_words, sources_of

MODEL = {"name": "Net", "sha256": "c0ffee" * 10 + "abcd", "input": [224, 224], "classes": 1000}


def record(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": name,
        "test": f"test_it.py::{name}",
        "file": "test_it.py",
        "kind": "check",
        "status": "fail",
        "outcome": "failed",
        "image": {"name": f"{name}.png", "sha256": "ab" * 32},
        "target": {"index": 1, "label": "cat"},
        "claims": [
            {"claim": "mass", "meaning": "enough lies in it", "status": "fail", "estimate": 0.3, "interval": [0.2, 0.4]}
        ],
        "explanation": {"seconds": 1.5, "samples": 100},
        "model": MODEL,
        "pictures": {},
        "rerun": f"pytest test_it.py::{name}",
        **changes,
    }


def in_set(name: str, outcome: str, **changes: Any) -> dict[str, Any]:
    facts = {"id": "s", "number": 1, "of": 4, "mostly": 0.5, "status": "pass", "name": "cats", **changes}
    return record(name, test="test_it.py::set", status=outcome, set=facts)


def results(*records: Any, **changes: Any) -> dict[str, Any]:
    return {"records": list(records), "environment": {"torch": "2.9"}, **changes}


def test_the_images_of_a_set_are_one_row_that_opens() -> None:
    page = page_of(results(record("a"), in_set("b", "pass"), in_set("c", "fail"), record("d", status="pass")))
    assert [(row.mood, row.is_set, len(row.cards)) for row in page.rows] == [
        *(("fail", False, 1), ("pass", True, 2), ("pass", False, 1))
    ]
    assert page.rows[1].headline == "1 of 4 images hold, 2 must (mostly=0.5); 2 not looked at"
    assert page.rows[1].name == "cats"
    failing = page_of(results(in_set("b", "pass", status="fail"), in_set("c", "fail", status="fail")))
    assert [row.mood for row in failing.rows] == ["fail"]


def test_a_set_of_one_image_and_sets_without_a_name_are_no_group() -> None:
    page = page_of(results(in_set("b", "pass"), in_set("c", "pass", id=None), in_set("d", "pass", id=None)))
    assert [row.is_set for row in page.rows] == [False] * 3


def test_the_slowest_and_those_with_the_most_samples_are_five_each() -> None:
    records = [record(f"r{n}", explanation={"seconds": n, "samples": 100 * (7 - n)}) for n in range(7)]
    found = {
        title: [(one.card.anchor, one.cost) for one in costly] for title, costly in page_of(results(*records)).costliest
    }
    assert [name for name, _ in found["Slowest"]] == ["r6", "r5", "r4", "r3", "r2"]
    assert found["Most samples"][0] == ("r0", "700 samples")
    assert page_of(results(records[0])).costliest == []


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ({}, ""),
        ({"exit": "finished"}, ""),
        ({"exit": "failed"}, ""),
        ({"exit": "interrupted"}, "The run was interrupted: what did not run is missing here."),
        ({"exit": "stopped", "reason": "--maxfail=1."}, "The run stopped early: what did not run is missing here."),
        ({"exit": "crashed", "reason": "gw1"}, "A worker of the run was lost: what did not run is missing here."),
        ({"exit": ["no"], "reason": 3}, ""),
    ],
)
def test_a_run_that_did_not_end_says_so(run: dict[str, Any], words: str) -> None:
    assert ending(run) == words


def test_commit_model_and_what_is_left_out_are_told_in_words() -> None:
    git = {"commit": "59d8210" + "0" * 33, "branch": "main", "dirty": True}
    assert commit_words({"git": git}) == "59d8210000 with changes that are not committed, on main"
    assert commit_words({"git": {**git, "dirty": False, "branch": ""}}) == "59d8210000"
    assert commit_words({"git": None}) == ""
    assert commit_words({"git": {"commit": "<b>"}}) == ""
    assert model_words(MODEL) == "Net, weights c0ffeec0ff, 224 × 224, 1000 classes"
    assert model_words({"name": "Net", "input": None, "sha256": None}) == "Net"
    assert model_words({}) == ""
    assert left_out({"skipped": 1, "deselected": 2, "unseen": 0, "rerun": None, "pass": 3}) == (
        "1 test was skipped, 2 tests were deselected."
    )
    assert left_out({"skipped": "x"}) == ""


def test_a_joined_report_names_its_sources() -> None:
    source = {"name": "shard 1", "created": "2026-11-21T22:10:03+00:00", "records": 1, "run": {"exit": "interrupted"}}
    assert sources_of({"sources": [source, {}]}) == [
        ("shard 1", "1 check, The run was interrupted, 2026-11-21 22:10 UTC"),
        ("report", ""),
    ]


def test_attempts_and_the_place_of_the_call_are_told() -> None:
    attempts = [{"status": "fail", "outcome": "rerun"}, {"status": "inconclusive", "outcome": "rerun"}]
    card = page_of(results(record("a", attempts=attempts, called={"file": "test_it.py", "line": 7}))).cards[0]
    assert card.attempts == "Attempt 3; before it: failed, inconclusive."
    assert card.place == "test_it.py:7"
    assert page_of(results(record("a"))).cards[0].attempts == ""


@pytest.mark.parametrize("name", ["run", "sources", "counts", "problems", "records", "environment"])
@pytest.mark.parametrize("value", [None, "text", -1, 10**400, [], [None, 3], {}, {"a": {}}, True])
def test_no_single_wrong_value_of_the_results_breaks_the_page(tmp_path: Path, name: str, value: object) -> None:
    render({**results(record("a"), record("b")), name: value}, tmp_path)


@pytest.mark.parametrize(
    "name", ["set", "attempts", "called", "model", "marks", "segments", "explanation", "image", "pictures"]
)
@pytest.mark.parametrize("value", [None, "text", -1, 10**400, [], [None, 3], {}, {"id": {}}, {"id": "s"}, True])
def test_no_single_wrong_value_of_a_record_breaks_the_page(tmp_path: Path, name: str, value: object) -> None:
    render(results(record("a", **{name: value}), record("b", **{name: value})), tmp_path)


@pytest.fixture
def issue() -> Callable[..., str]:
    def text(**changes: Any) -> str:
        found = results(record("a", **changes))
        page = page_of(found)
        return issue_text(page.cards[0], found["records"][0], page.environment, "59d8210")

    return text


def test_an_issue_has_all_that_a_reader_needs(issue: Callable[..., str]) -> None:
    assert issue().split("\n") == [
        "**Failed:** `cat` in `a.png`",
        "",
        "Test: `test_it.py::a`",
        "Where: `test_it.py`",
        "",
        "- Failed: `enough lies in it` (0.3, interval 0.2 to 0.4)",
        "",
        "- Model: `Net, weights c0ffeec0ff, 224 × 224, 1000 classes`",
        f"- sha256 of the weights: `{MODEL['sha256']}`",
        f"- sha256 of the image: `{'ab' * 32}`",
        "- Commit: `59d8210`",
        "- Versions: `torch 2.9`",
        "",
        "Run it again:",
        "",
        "```",
        "pytest test_it.py::a",
        "```",
    ]


def test_an_issue_says_which_region_is_meant_and_what_speaks_against(issue: Callable[..., str]) -> None:
    claim = {
        "claim": "mass",
        "meaning": "most lies in Box(1, 2, 3, 4)",
        "caution": "without Box(1, 2, 3, 4) it stays",
        "status": "pass",
    }
    regions = [{"text": text, "area": 0.5} for text in ("Box(0, 0, 1, 1)", "Box(1, 2, 3, 4)")]
    told = issue(claims=[claim], regions=regions).split("\n")
    assert told[5:9] == [
        "- Passed: `most lies in region B`",
        "  - Caution: `Without region B it stays.`",
        "- Region A: `Box(0, 0, 1, 1)`",
        "- Region B: `Box(1, 2, 3, 4)`",
    ]


def test_no_text_breaks_out_of_its_place_in_an_issue(issue: Callable[..., str]) -> None:
    nasty = "a``b` @all\n# <img src=x>"
    text = issue(test=nasty, rerun="x\n```\n<b>", target={"label": "`"})
    assert "Test: ```a``b` @all # <img src=x>```" in text
    assert "````\nx\n```\n<b>\n````" in text
    assert "**Failed:** `` ` `` in" in text
