"""Tests that are expected to fail, skipped, run again, cut short."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., pytest.RunResult]
Report = Callable[..., dict[str, dict[str, Any]]]


def outcomes(records: dict[str, dict[str, Any]]) -> dict[str, tuple[str, str]]:
    return {key: (record["status"], record["outcome"]) for key, record in records.items()}


def test_expected_failures_and_skips(suite: Callable[..., None], run: Run, report: Report) -> None:
    suite("""
        PASSES, BREAKS = predicted(rank=3), predicted(rank=1)

        @pytest.mark.xfail(reason="reads the <corner>")
        def test_xfail(lime):
            lime.check(IMAGE, "cat", BREAKS, samples=50)

        @pytest.mark.xfail(strict=True)
        def test_strict_xfail(lime):
            lime.check(IMAGE, "cat", BREAKS, samples=50)

        @pytest.mark.xfail
        def test_xpass(lime):
            lime.check(IMAGE, "cat", PASSES, samples=50)

        @pytest.mark.xfail(strict=True)
        def test_strict_xpass(lime):
            lime.check(IMAGE, "cat", PASSES, samples=50)

        @pytest.mark.xfail(raises=ZeroDivisionError)
        def test_other_failure(lime):
            lime.check(IMAGE, "cat", BREAKS, samples=50)

        def test_imperative_xfail(lime):
            assert lime.explain(IMAGE, samples=50).samples
            pytest.xfail("not yet")

        def test_skip(lime):
            lime.check(IMAGE, "cat", PASSES, samples=50)
            pytest.skip("no need")

        @pytest.mark.skip
        def test_never(lime):
            raise RuntimeError

        @pytest.fixture
        def broken():
            raise RuntimeError("in setup")

        def test_broken_setup(lime, broken):
            lime.check(IMAGE, "cat", BREAKS, samples=50)
        """)
    result = run("--lime-report-all")
    result.assert_outcomes(xfailed=3, xpassed=1, failed=2, skipped=2, errors=1)
    records = report()
    found = outcomes(records)
    assert found.pop("test_imperative_xfail#0")[1] == "xfailed"
    assert found == {
        "test_xfail#0": ("fail", "xfailed"),
        "test_strict_xfail#0": ("fail", "xfailed"),
        "test_xpass#0": ("pass", "xpassed"),
        "test_strict_xpass#0": ("pass", "failed"),
        "test_other_failure#0": ("fail", "failed"),
        "test_skip#0": ("pass", "skipped"),
    }
    assert records["test_xfail#0"]["reason"] == "reads the <corner>"
    result.stdout.fnmatch_lines(
        [
            "EXPECTED FAILURE  cat in array * predicted *",
            "6 checks: 1 failed, 2 failed as expected, 3 passed; 1 explained without a claim; *",
        ]
    )


def test_a_flaky_test_leaves_no_failure(
    suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    suite("""
        from pathlib import Path

        def test_flaky(lime):
            first = Path("flaky")
            if not first.exists():
                first.write_text("")
                lime.check(IMAGE, "dog", FAILS, samples=200)
            lime.check(IMAGE, "bird", predicted(), samples=200)
        """)
    result = run("--reruns=1")
    assert "1 rerun" in result.outlines[-1]
    assert result.ret == 0
    assert not (pytester.path / "lime-report").exists()
    result.stdout.no_fnmatch_line("FAIL *")
    (pytester.path / "flaky").unlink()
    assert run("--reruns=1", "--lime-report-all").ret == 0
    assert outcomes(report()) == {"test_flaky#0": ("pass", "passed")}


def test_a_test_that_fails_each_time_is_told_once(suite: Callable[..., None], run: Run, report: Report) -> None:
    suite("""
        @pytest.fixture
        def checked(lime):
            lime.check(IMAGE, "bird", predicted(), samples=200)

        def test_it(lime, checked):
            lime.check(IMAGE, "cat", predicted(), samples=200)
        """)
    assert run("--reruns=2").ret == 1
    assert outcomes(report()) == {"test_it#0": ("pass", "passed"), "test_it#1": ("fail", "failed")}


def test_runs_that_stop_early(suite: Callable[..., None], run: Run, report: Report, mode: str) -> None:
    suite("""
        @pytest.mark.parametrize("number", range(8))
        def test_it(lime, number):
            lime.check(IMAGE, "cat", predicted(), samples=50)
        """)
    for argument, failures in (("-x", 1), ("--maxfail=2", 2)):
        result = run(argument)
        assert result.ret != 0
        found = report()
        assert set(outcomes(found).values()) == {("fail", "failed")}
        # Two workers may have finished another test when the run is stopped.
        assert len(found) == failures if mode != "-n2" else failures <= len(found) <= 8


def test_the_same_test_twice(suite: Callable[..., None], run: Run, report: Report) -> None:
    suite("""
        def test_it(lime):
            lime.check(IMAGE, "cat", predicted(), samples=50)
        """)
    run("test_it.py", "test_it.py::test_it", "--keep-duplicates")
    assert outcomes(report()) == {"test_it#0": ("fail", "failed")}


def test_collecting_neither_writes_nor_removes(
    suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    suite("""
        def test_it(lime):
            lime.check(IMAGE, "cat", predicted(), samples=50)
        """)
    ways = [["--collect-only"], ["--co", "-q"], ["--co", "--lime-report=lime-report"]]
    for arguments in ways:
        assert run(*arguments).ret == 0
    assert not (pytester.path / "lime-report").exists()
    run()
    before = report()
    for arguments in ways:
        assert run(*arguments).ret == 0
    assert report() == before
