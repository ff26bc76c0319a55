"""The step summary: Markdown of records that nobody vouches for, within the limit of GitHub."""

from __future__ import annotations

import os
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from pytest_lime.step_summary import LIMIT, append_summary, as_cell, render_summary

HOSTILE = "<script>alert(1)</script> | `x` [a](http://b) **c** _d_ @me www.e.org \u202e end\r\n\n# f \\ ~~g~~ <!-- "


def record(number: int = 0, *, status: str = "fail", **more: Any) -> dict[str, Any]:
    claim = {
        "claim": "mass",
        "figure": "0.0696",
        "relation": ">=",
        "bound": 0.9,
        "interval": [0.0, 0.25],
        "samples": 1200,
        "status": status,
    }
    return {
        "kind": "check",
        "status": status,
        "outcome": "failed" if status == "fail" else "passed",
        "test": f"test_it.py::test_{number}",
        "rerun": f"pytest test_it.py::test_{number}",
        "image": {"name": "cat.jpg"},
        "target": {"index": 0, "label": "cat"},
        "claims": [claim],
        "explanation": {"samples": 1200},
        **more,
    }


class Page(HTMLParser):
    """The texts of cells, and which elements there are."""

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[str] = []
        self.texts = ""
        self.inside = False
        self.feed(MarkdownIt("gfm-like", {"linkify": False}).disable("linkify").render(markdown))

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")
            self.inside = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self.inside = False

    def handle_data(self, data: str) -> None:
        self.texts += data
        if self.inside:
            self.cells[-1] += data


def page_of(records: list[dict[str, Any]], **more: Any) -> Page:
    return Page(render_summary({"records": records, **more}, page=None))


def test_what_did_not_pass_comes_first_and_passes_are_folded() -> None:
    text = render_summary({"records": [record(1, status="pass"), record(2)]}, page=Path("lime-report/index.html"))
    found = Page(text)
    assert found.tags.count("table") == found.tags.count("details") == 2
    rows = [found.cells[start : start + 6] for start in range(0, 24, 6)]
    assert rows[0] == rows[2] == ["Verdict", "Test", "Image", "Target", "Claim", "Samples"]
    claim = "mass 0.0696, needs at least 0.9, interval 0 … 0.25"
    assert rows[1] == ["FAIL", "test_it.py::test_2", "cat.jpg", "cat", claim, "1,200"]
    assert rows[3][:2] == ["PASS", "test_it.py::test_1"]
    assert found.texts.startswith("Where the model looks: 1 failed, 1 passed")
    assert "pytest test_it.py::test_2" in found.texts
    assert "pytest test_it.py::test_1" not in found.texts
    assert found.texts.rstrip().endswith("lime-report/index.html")


@pytest.mark.parametrize("exit_", ["interrupted", "stopped", "crashed"])
def test_what_makes_a_run_less_than_whole_is_said_before_the_counts(exit_: str) -> None:
    run = {"exit": exit_, "reason": HOSTILE}
    found = page_of([record()], run=run, problems=["a disk was full"], counts={"skipped": 3})
    first, _, rest = found.texts.partition("1 check,")
    assert "what did not run is missing here" in first
    assert "a disk was full" in first
    assert "3 tests were skipped" in rest
    assert set(found.tags) & {"script", "a", "h1"} == set()


def test_texts_show_as_texts() -> None:
    claim = {**record()["claims"][0], "claim": HOSTILE, "figure": HOSTILE}
    one = record(test=HOSTILE, rerun=HOSTILE, image={"name": HOSTILE}, target={"label": HOSTILE}, claims=[claim])
    found = page_of([one], problems=[HOSTILE])
    shown = " ".join(HOSTILE.replace("\u202e", "\\u202e").split())
    assert found.cells[7:10] == [shown] * 3
    assert found.cells[10].count(shown) == 2
    assert "\u202e" not in found.texts
    assert set(found.tags) & {"script", "a", "em", "s", "h1", "img"} == set()
    assert found.tags.count("strong") == 1


def test_what_would_become_a_link_or_a_mention_is_escaped() -> None:
    assert as_cell("http://a.b @me www.c.d") == "http&#58;//a.b &#64;me www&#46;c.d"


@pytest.mark.parametrize("wrong", [{}, {"claims": 3, "image": [], "target": None, "explanation": "x", "test": None}])
def test_damaged_records_are_rows_too(wrong: dict[str, Any]) -> None:
    assert "INCONCLUSIVE" in page_of([wrong]).cells[6]


def test_a_comparison_has_its_headline() -> None:
    comparison = {"headline": "mass is unlike in 2 groups"}
    one = record(kind="comparison", comparison=comparison, image=None, target={"index": None, "label": None})
    assert page_of([one]).cells[8:11] == [
        "–",
        "the predicted class",
        "mass is unlike in 2 groups",
    ]


class TestLimit:
    def test_passes_go_first(self) -> None:
        records = [record(number) for number in range(100)]
        records += [record(number, status="pass") for number in range(100, 9_000)]
        text = render_summary({"records": records}, page=None)
        assert LIMIT - 1000 < len(text.encode()) < LIMIT
        found = Page(text)
        assert found.cells.count("FAIL") == 100
        passes = found.cells.count("PASS")
        assert f"and {8900 - passes:,} more" in found.texts
        assert text.count("<details>") == text.count("</details>") == 2

    def test_then_rows(self) -> None:
        text = render_summary({"records": [record(number) for number in range(9_000)]}, page=None)
        assert LIMIT - 1000 < len(text.encode()) < LIMIT
        found = Page(text)
        assert f"and {9_000 - found.cells.count('FAIL'):,} more" in found.texts

    @pytest.mark.parametrize("room", [*range(0, 1200, 97), 5000, 20_000])
    def test_any_room_is_kept_to(self, room: int) -> None:
        records = [record(number, image={"name": "猫" * 90}) for number in range(50)]
        assert len(render_summary({"records": records}, page=None, room=room).encode()) <= room


class TestFile:
    @pytest.fixture
    def path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
        return tmp_path / "summary.md"

    def test_what_is_there_stays_and_counts(self, path: Path) -> None:
        path.write_bytes(b"x" * (LIMIT - 5000))
        assert append_summary({"records": [record(number) for number in range(500)]}, page=None) == ""
        data = path.read_bytes()
        assert data.startswith(b"x" * (LIMIT - 5000))
        assert LIMIT - 2000 < len(data) < LIMIT
        assert " more" in data.decode()

    def test_a_full_file_is_left_alone_and_told(self, path: Path) -> None:
        path.write_bytes(b"x" * LIMIT)
        assert "holds 1,048,576 bytes" in append_summary({"records": [record()]}, page=None)
        assert path.stat().st_size == LIMIT

    def test_nothing_of_a_run_without_checks(self, path: Path) -> None:
        assert append_summary({"records": []}, page=None) == ""
        assert not path.exists()

    def test_nothing_where_no_one_asks(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", "")
        assert append_summary({"records": [record()]}, page=None) == ""

    @pytest.mark.parametrize("name", [".", "no/such/folder.md", "a\0b"])
    def test_what_cannot_be_written_is_a_sentence(
        self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("os.environ", {"GITHUB_STEP_SUMMARY": name})
        said = append_summary({"records": [record()]}, page=None)
        assert said.startswith("GITHUB_STEP_SUMMARY: ")
        assert "cannot be written: " in said

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the platform has no named pipes")
    def test_nobody_waits_for_the_reader_of_a_pipe(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        os.mkfifo(tmp_path / "pipe")
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "pipe"))
        assert append_summary({"records": [record()]}, page=None).endswith("cannot be written: it is no regular file.")
