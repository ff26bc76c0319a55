"""What only several workers can show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., pytest.RunResult]
Report = Callable[..., dict[str, dict[str, Any]]]


def test_groups_are_no_part_of_a_tests_name(suite: Callable[..., None], run: Run, report: Report) -> None:
    suite("""
        @pytest.mark.xdist_group("one")
        def test_one(lime):
            lime.check(IMAGE, "cat", predicted(), samples=50)

        @pytest.mark.xdist_group(name="b")
        @pytest.mark.xdist_group("a")
        @pytest.mark.parametrize("label", ["cat@a", "cat"])
        def test_two(lime, label):
            lime.check(IMAGE, label.removesuffix("@a"), predicted(), samples=50)
        """)
    run("--dist", "loadgroup").assert_outcomes(failed=3)
    records = report()
    assert set(records) == {"test_one#0", "test_two[cat@a]#0", "test_two[cat]#0"}
    assert all("@a_b" not in record["rerun"] for record in records.values())


@pytest.mark.parametrize("mode", ["-n2"])
def test_a_worker_that_crashes_costs_only_its_test(
    mode: str, suite: Callable[..., None], run: Run, report: Report
) -> None:
    suite("""
        import os

        @pytest.mark.parametrize("number", range(6))
        def test_it(lime, number):
            if number == 3:
                os._exit(7)
            lime.check(IMAGE, "cat", predicted(), samples=50)
        """)
    result = run()
    result.assert_outcomes(failed=6)
    result.stdout.fnmatch_lines(["*worker 'gw?' crashed while running 'test_it.py::test_it?3?'*"])
    assert set(report()) == {f"test_it[{number}]#0" for number in (0, 1, 2, 4, 5)}


@pytest.mark.parametrize("mode", ["-n2"])
def test_workers_write_where_the_controller_stands(
    mode: str, suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    suite("""
        import os

        @pytest.mark.parametrize("number", range(4))
        def test_it(lime, number, tmp_path, monkeypatch):
            monkeypatch.chdir(tmp_path)
            lime.check(IMAGE, "cat", predicted(), samples=50)
        """)
    run("--lime-report=out").assert_outcomes(failed=4)
    records = report("out")
    assert len(records) == 4
    assert all(len(record["pictures"]) >= 4 for record in records.values())
