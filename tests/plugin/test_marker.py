"""The marker @pytest.mark.lime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., pytest.RunResult]
Report = Callable[..., dict[str, dict[str, Any]]]


def test_the_closest_marker_wins(suite: Callable[..., None], run: Run, report: Report) -> None:
    suite("""
        pytestmark = pytest.mark.lime(samples=50, seed=1, segments=10)

        def test_module(lime):
            lime.check(IMAGE, "cat", predicted(rank=3))

        @pytest.mark.lime(samples=60, seed=2)
        class TestClass:
            def test_class(self, lime):
                lime.check(IMAGE, "cat", predicted(rank=3))

            @pytest.mark.lime(seed=5)
            @pytest.mark.lime(samples=70)
            def test_own(self, lime):
                lime.check(IMAGE, "cat", predicted(rank=3))

            @pytest.mark.parametrize(
                "label", [pytest.param("cat", marks=pytest.mark.lime(samples=80))]
            )
            @pytest.mark.lime(samples=70)
            def test_parameter(self, lime, label):
                lime.check(IMAGE, label, predicted(rank=3))
        """)
    run("--strict-markers", "--lime-report-all").assert_outcomes(passed=4)
    found = {
        key: tuple(record["options"][name] for name in ("samples", "seed", "segments"))
        for key, record in report().items()
    }
    assert found == {
        "test_module#0": (50, 1, 10),
        "TestClass::test_class#0": (60, 2, 10),
        "TestClass::test_own#0": (70, 5, 10),
        "TestClass::test_parameter[cat]#0": (80, 2, 10),
    }


def test_a_wrong_marker_is_one_sentence(
    suite: Callable[..., None], run: Run, insides: Callable[..., list[str]]
) -> None:
    suite("""
        @pytest.mark.lime(sample=5)
        def test_unknown(lime): pass

        @pytest.mark.lime(500)
        def test_positional(lime): pass

        @pytest.mark.lime(seed=-1)
        def test_value(lime): pass

        @pytest.mark.lime(sample=5)
        def test_without_lime(): pass
        """)
    result = run()
    result.assert_outcomes(errors=3, passed=1)
    assert insides(result) == []
    told = sorted(line for line in result.outlines if line.startswith("OptionError: "))
    assert len(told) == 3
    assert told[0].startswith("OptionError: @pytest.mark.lime takes options by name only, not 500.")
    assert told[1].startswith("OptionError: @pytest.mark.lime: seed=-1 must be ")
    assert told[2].startswith("OptionError: @pytest.mark.lime: there is no option 'sample'; the nearest is 'samples'; ")


def test_the_marker_is_listed(run: Run) -> None:
    result = run("--markers")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["@pytest.mark.lime(*options): options of pytest-lime for the checks of a test, *"])
