"""GITHUB_STEP_SUMMARY: what a run appends to the file it names."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Run = Callable[..., pytest.RunResult]
CHECKS = """
    def test_passes(lime):
        lime.check(IMAGE, "bird", predicted(), samples=50)

    def test_fails(lime):
        lime.check(IMAGE, "cat", predicted(at_least=2.0), samples=50)
    """


def test_a_run_appends_its_checks_once(
    suite: Callable[..., None], run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = pytester.path / "summary.md"
    file.write_text("# Before\n", "utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    suite(CHECKS)
    run().assert_outcomes(passed=1, failed=1)
    text = file.read_text("utf-8")
    assert text.startswith("# Before\n\n## Where the model looks\n\n1 failed, 1 passed.\n\n")
    assert text.count("| **FAIL** | ") == text.count("| PASS | ") == 1
    assert "pytest test_it.py::test_fails\n" in text
    assert "index.html" in text


def test_a_file_that_cannot_be_written_changes_nothing_of_the_outcome(
    suite: Callable[..., None], run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path))
    suite(CHECKS)
    result = run("-k", "test_passes")
    result.assert_outcomes(passed=1)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["lime: GITHUB_STEP_SUMMARY: * cannot be written: it is no regular file."])
