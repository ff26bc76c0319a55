"""pytest's own options, other folders, and runs without the plugin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., pytest.RunResult]
Report = Callable[..., dict[str, dict[str, Any]]]
FAILS = """
    def test_it(lime):
        lime.check(IMAGE, "cat", predicted(), samples=50)
    """


def test_without_the_plugin(suite: Callable[..., None], run: Run, pytester: pytest.Pytester) -> None:
    suite("""
        from pytest_lime import explain
        from pytest_lime.testing import FakeModel

        def test_it():
            assert explain(FakeModel(), IMAGE, "cat", samples=50).mass(whole()) < 2
        """)
    run("-p", "no:lime").assert_outcomes(passed=1)


@pytest.mark.parametrize("arguments", [["-p", "no:cacheprovider"], ["-qq"], ["--tb=no", "--no-header", "--no-summary"]])
def test_the_report_is_written_whatever_is_printed(
    arguments: list[str], suite: Callable[..., None], run: Run, report: Report
) -> None:
    suite(FAILS)
    assert run(*arguments).ret == pytest.ExitCode.TESTS_FAILED
    assert list(report()) == ["test_it#0"]


def test_from_another_folder(
    suite: Callable[..., None],
    run: Run,
    report: Report,
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    suite(FAILS, name="project/tests/test_it.py")
    (pytester.path / "project" / "pytest.ini").write_text("[pytest]\n")
    (pytester.path / "conftest.py").rename(pytester.path / "project" / "conftest.py")
    run("project/tests").assert_outcomes(failed=1)
    (record,) = report().values()
    assert record["test"] == "tests/test_it.py::test_it"
    elsewhere = pytester.mkdir("elsewhere")
    monkeypatch.chdir(elsewhere)
    result = run("--rootdir=../project/tests", "../project/tests/test_it.py")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*report: lime-report/index.html#*", f"report: {elsewhere / 'lime-report'}*"])
    (record,) = report("elsewhere/lime-report").values()
    assert record["test"] == "test_it.py::test_it"


def test_a_test_that_changes_the_folder(
    suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    suite("""
        import os

        def test_it(lime, tmp_path):
            before = os.getcwd()
            os.chdir(tmp_path)
            try:
                lime.check(IMAGE, "cat", predicted(), samples=50)
            finally:
                os.chdir(before)
        """)
    run().assert_outcomes(failed=1)
    (record,) = report().values()
    assert record["pictures"]
