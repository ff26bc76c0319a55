"""Plain assertions about an explanation explain themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., pytest.RunResult]
Report = Callable[..., dict[str, dict[str, Any]]]


def test_an_assertion_shows_figure_and_interval(
    suite: Callable[..., None], run: Run, report: Report, insides: Callable[..., list[str]]
) -> None:
    suite("""
        def test_mass(lime):
            assert lime.explain(IMAGE, "cat", regions=[CORNER], samples=200).mass(CORNER) > 0.5

        def test_turned(lime):
            assert 0.5 < lime.explain(IMAGE, "cat", regions=[CORNER], samples=200).mass(CORNER)

        def test_overlap(lime):
            explanation = lime.explain(IMAGE, "cat", regions=[CORNER], samples=200)
            assert explanation.overlap(CORNER, 4) >= 3

        def test_holds(lime):
            assert lime.explain(IMAGE, samples=200).mass(whole()) > 0.5
        """)
    result = run()
    result.assert_outcomes(failed=3, passed=1)
    assert insides(result) == []
    for name in ("mass", "turned", "overlap"):
        section = str(result.stdout).partition(f"_ test_{name} _")[2].partition("\n____")[0]
        assert "CORNER" in section
        assert " confidence, from 200 samples" in section
        assert "interval " in section
    assert "0.5 < " in str(result.stdout)
    records = report()
    assert {key: (record["kind"], record["status"]) for key, record in records.items()} == {
        "test_mass#0": ("explanation", "fail"),
        "test_turned#0": ("explanation", "fail"),
        "test_overlap#0": ("explanation", "fail"),
    }
    assert all(record["pictures"] for record in records.values())


def test_an_explanation_is_no_evidence_when_its_test_passes_or_skips(
    suite: Callable[..., None], run: Run, pytester: pytest.Pytester
) -> None:
    suite("""
        def test_passes(lime):
            lime.explain(IMAGE, samples=200)

        def test_skips(lime):
            lime.explain(IMAGE, samples=200)
            pytest.skip("no need")
        """)
    result = run()
    result.assert_outcomes(passed=1, skipped=1)
    assert not (pytester.path / "lime-report").exists()
    result.stdout.no_fnmatch_line("*FAIL*")
