"""GITHUB_STEP_SUMMARY: what a run, and a merge, append to the file that it names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_lime.cli import main

Run = Callable[..., pytest.RunResult]
TESTS = """
    def test_fails(lime):
        lime.check(IMAGE, "cat", FAILS, predicted(), samples=50)

    def test_passes(lime):
        lime.check(IMAGE, "bird", predicted(), samples=50)
    """


@pytest.fixture
def summary(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = pytester.path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    return path


def test_a_run_appends_once(suite: Callable[..., None], run: Run, summary: Path, pytester: pytest.Pytester) -> None:
    suite(TESTS)
    summary.write_text("before\n", "utf-8")
    run().assert_outcomes(failed=1, passed=1)
    text = summary.read_text("utf-8")
    assert text.startswith("before\n## Where the model looks: 1 failed, 1 passed\n")
    assert text.count("## ") == 1
    assert text.index("**FAIL**") < text.index("<details>") < text.index("**PASS**")
    assert text.count("pytest test&#95;it.py&#58;&#58;test&#95;fails") == 1
    assert f"Report: {str(pytester.path / 'lime-report')[:5]}" in text


def test_a_run_of_passes_has_no_report(suite: Callable[..., None], run: Run, summary: Path, mode: str) -> None:
    suite(TESTS)
    run("-k", "passes").assert_outcomes(passed=1, deselected=(mode != "-n2"))
    text = summary.read_text("utf-8")
    assert "No report was written." in text
    assert "1 test was deselected" in text


def test_a_run_that_stopped_says_so_first(suite: Callable[..., None], run: Run, summary: Path) -> None:
    suite(TESTS)
    run("-x", "-k", "fails")
    first = summary.read_text("utf-8").partition("1 check,")[0]
    assert "The run stopped early" in first


def test_nothing_where_nothing_was_checked(suite: Callable[..., None], run: Run, summary: Path) -> None:
    suite("""
        def test_other():
            pass
        """)
    run().assert_outcomes(passed=1)
    assert not summary.exists()


def test_a_file_that_cannot_be_written_is_a_warning(
    suite: Callable[..., None], run: Run, summary: Path, mode: str
) -> None:
    suite(TESTS)
    summary.mkdir()
    result = run("-k", "passes")
    result.assert_outcomes(passed=1, deselected=(mode != "-n2"))
    assert result.ret == 0
    result.stdout.fnmatch_lines(["lime: GITHUB_STEP_SUMMARY: '*summary.md' cannot be written: *"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


def test_what_of_the_report_could_not_be_written_is_said(
    suite: Callable[..., None], run: Run, summary: Path, pytester: pytest.Pytester
) -> None:
    suite(TESTS)
    (pytester.path / "lime-report").mkdir()
    (pytester.path / "lime-report" / "index.html").write_text("not ours", "utf-8")
    run()
    text = summary.read_text("utf-8")
    assert "part of the report could not be written" in text.partition("2 checks,")[0]
    assert "No report was written." in text


@pytest.mark.parametrize("mode", ["bare"])
def test_a_merge_appends_too(
    suite: Callable[..., None], run: Run, summary: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite(TESTS)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    run("-k", "fails", "--lime-report=one")
    run("-k", "passes", "--lime-report=two")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    monkeypatch.chdir(pytester.path)
    assert main(["merge", "one", "two", "-o", "all"]) == 0
    assert summary.read_text("utf-8").startswith("## Where the model looks: 1 failed, 1 passed\n")


@pytest.mark.parametrize("mode", ["bare"])
def test_a_merge_that_cannot_append_says_so(
    suite: Callable[..., None], run: Run, summary: Path, pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    suite(TESTS)
    summary.mkdir()
    run(f"--lime-report={pytester.path / 'one'}")
    assert main(["merge", str(pytester.path / "one"), "-o", str(pytester.path / "all")]) == 0
    assert "cannot be written" in capsys.readouterr().err
