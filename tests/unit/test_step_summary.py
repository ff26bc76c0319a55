"""The Markdown of a step's summary: its shape, what it escapes, and how it stays within GitHub's limit."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pytest_lime.step_summary import LIMIT, VARIABLE, append, render

markdown_it = pytest.importorskip("markdown_it")

HOSTILE = "a|b `c` <script>alert(1)</script>\n| x |\u202egnp ![i](http://e.org/i.png) </details> **b** @me \\| &lt;"


def record(status: str = "fail", test: str = "tests/test_it.py::test_it", **more: Any) -> dict[str, Any]:
    claim = {"claim": "mass", "status": status, "figure": "0.03 [0.02, 0.04]", "relation": ">=", "bound": 0.9}
    return {
        "kind": "check",
        "status": status,
        "outcome": "failed" if status == "fail" else "passed",
        "test": test,
        "image": {"name": "cat.jpg"},
        "target": {"index": 3, "label": "tabby"},
        "claims": [claim],
        "explanation": {"samples": 400},
        **more,
    }


class Cells(HTMLParser):
    """The rows of all tables, and every tag that was met."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self.words = ""
        self._inside = False

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._inside = True

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        self.words += data
        if self._inside:
            self.rows[-1][-1] += data


def shown(text: str) -> Cells:
    cells = Cells()
    cells.feed(markdown_it.MarkdownIt("commonmark", {"html": True}).enable("table").render(text))
    return cells


def test_what_did_not_pass_comes_first_and_passes_fold() -> None:
    text = render({"records": [record("pass", "t::good"), record("inconclusive", "t::open"), record("fail", "t::bad")]})
    found = shown(text)
    head = ["Verdict", "Test", "Image", "Target", "Claim", "Samples"]
    claim = "mass 0.03 [0.02, 0.04], needs at least 0.9"
    assert found.rows == [
        head,
        ["FAIL", "t::bad", "cat.jpg", "tabby", claim, "400"],
        ["INCONCLUSIVE", "t::open", "cat.jpg", "tabby", claim, "400"],
        head,
        ["PASS", "t::good", "cat.jpg", "tabby", claim, "400"],
    ]
    assert "1 failed, 1 inconclusive, 1 passed." in found.words
    # Only what failed is run again.
    assert "pytest t::bad\n" in found.words
    assert "pytest t::open" not in found.words
    assert text.count("<details>") == text.count("</details>") == 2


def test_hostile_texts_are_shown_and_not_read() -> None:
    hostile = record(test=HOSTILE, image={"name": HOSTILE}, target={"label": HOSTILE})
    hostile["claims"][0]["figure"] = HOSTILE
    found = shown(render({"records": [hostile]}, report=HOSTILE))
    assert [len(row) for row in found.rows] == [6, 6]
    assert found.tags <= {"h2", "p", "code", "table", "thead", "tbody", "tr", "th", "td", "strong"} | {
        "details",
        "summary",
        "pre",
    }
    spelt = HOSTILE.replace("\n", "\\n").replace("\u202e", "\\u202e")
    assert found.rows[1][1:4] == [spelt] * 3
    assert "\u202e" not in found.words


@pytest.mark.parametrize(
    "damaged",
    [{}, {"claims": 3}, {"image": []}, {"target": None}, {"explanation": "x"}, {"test": None}, {"status": []}],
)
def test_a_damaged_record_is_a_row_nonetheless(damaged: dict[str, Any]) -> None:
    kept = {**record(), **damaged} if damaged else {}
    assert [len(row) for row in shown(render({"records": [kept]})).rows] == [6, 6]


def test_passes_are_left_out_first_and_then_the_last_rows() -> None:
    records = [record("fail", f"t::test_{number}") for number in range(100)]
    records += [record("pass", f"t::good_{number}") for number in range(50)]
    whole = render({"records": records})
    some = render({"records": records}, room=len(whole.encode()) - 1)
    assert "good" not in some
    assert "50 that passed are left out here" in some
    assert len(shown(some).rows) == 101
    few = render({"records": records}, room=5_000)
    assert 4_500 < len(few.encode()) <= 5_000
    rows = len(shown(few).rows) - 1
    assert f"and {100 - rows} more: see the report" in few
    # Each size that is asked for is kept, down to none.
    for room in range(0, 1_500, 37):
        assert len(render({"records": records}, room=room).encode()) <= room


def test_thousands_of_checks_stay_within_what_github_shows(tmp_path: Path) -> None:
    file = tmp_path / "summary.md"
    file.write_text("x" * 1_000, "utf-8")
    records = [record("fail", f"tests/test_é.py::test_{number}[{'ü' * 300}]") for number in range(3_000)]
    assert append({"records": records}, environment={VARIABLE: str(file)}) == ""
    assert LIMIT - 5_000 < file.stat().st_size <= LIMIT
    assert " more: see the report" in file.read_text("utf-8")
    before = file.stat().st_size
    told = append({"records": records}, environment={VARIABLE: str(file)})
    # What is left has room for a headline, or for nothing.
    assert ("is full" in told) == (file.stat().st_size == before)
    assert file.stat().st_size <= LIMIT


def test_what_is_there_already_stays(tmp_path: Path) -> None:
    file = tmp_path / "summary.md"
    environment = {VARIABLE: str(file)}
    assert append({"records": [record()]}, environment=environment) == ""
    once = file.read_text("utf-8")
    assert append({"records": [record()], "run": {"exit": "stopped"}}, environment=environment) == ""
    both = file.read_text("utf-8")
    assert both.startswith(f"{once}\n## ")
    assert "stopped before its end" in both


def test_nothing_is_written_where_nothing_was_checked_or_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "summary.md"
    assert append({"records": []}, environment={VARIABLE: str(file)}) == ""
    assert append({"records": [record()]}, environment={}) == ""
    assert not file.exists()


def test_a_file_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    results = {"records": [record()]}
    assert "no regular file" in append(results, environment={VARIABLE: str(tmp_path)})
    assert "No such file" in append(results, environment={VARIABLE: str(tmp_path / "no" / "file.md")})
    full = tmp_path / "full.md"
    full.write_bytes(b"x" * LIMIT)
    assert "is full" in append(results, environment={VARIABLE: str(full)})
    assert full.stat().st_size == LIMIT
