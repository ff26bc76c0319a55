"""--lime-report-all: pictures of passes, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., pytest.RunResult]
Report = Callable[..., dict[str, dict[str, Any]]]


def test_passes_are_drawn(suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester) -> None:
    suite("""
        def test_passes(lime):
            lime.check(IMAGE, "cat", HOLDS, samples=200)

        def test_explains(lime):
            assert lime.explain(IMAGE, samples=200).samples == 200
        """)
    result = run("--lime-report-all")
    result.assert_outcomes(passed=2)
    (record,) = report().values()
    assert (record["status"], record["outcome"]) == ("pass", "passed")
    assert len(record["pictures"]) >= 4
    result.stdout.fnmatch_lines([f"report: {pytester.path / 'lime-report' / 'index.html'}"])
    # A later run that passes takes them away.
    run().assert_outcomes(passed=2)
    assert not (pytester.path / "lime-report").exists()
