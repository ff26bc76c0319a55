"""--lime-inconclusive: what becomes of a check that its samples do not decide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., pytest.RunResult]
Report = Callable[..., dict[str, dict[str, Any]]]
# The bound is the estimate itself, or a little above it: no number of samples decides that.
BOUNDARY = """
    from pytest_lime.testing import planted_and

    MODEL = planted_and([0, 1, 2], d=25)

    @pytest.fixture(scope="session")
    def lime_model():
        return MODEL

    @pytest.mark.parametrize("above", [0, 1e-3])
    def test_it(lime, above):
        options = {**MODEL.options, "samples": 200}
        region = Box(0, 0, 8, 4)
        found = lime.explain(MODEL.image, "planted", regions=[region], **options).mass(region)
        lime.check(MODEL.image, "planted", predicted(), mass(region, at_least=float(found) + above), **options)
    """


def test_warn_is_the_default(suite: Callable[..., None], run: Run, report: Report) -> None:
    suite(BOUNDARY)
    result = run()
    result.assert_outcomes(passed=2, warnings=2)
    result.stdout.fnmatch_lines_random(
        [
            "*warnings summary*",
            "*test_it.py:*: InconclusiveWarning: 1 of 2 claims about 'planted' in 'array' inconclusive: "
            "mass(Box(0, 0, 8, 4), at_least=*): found *, needs at least *; interval * … *, the estimate alone "
            "holds*; raise max_samples (or samples), or say --lime-inconclusive=fail",
            "*test_it.py:*: InconclusiveWarning: *the estimate alone fails*; *",
            "INCONCLUSIVE  planted in array  mass *",
            "2 checks: 2 inconclusive; *",
        ]
    )
    assert {record["status"] for record in report().values()} == {"inconclusive"}


def test_fail(suite: Callable[..., None], run: Run, report: Report, insides: Callable[..., list[str]]) -> None:
    suite(BOUNDARY)
    result = run("--lime-inconclusive=fail")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "E*ClaimFailed: 1 of 2 claims about 'planted' in 'array' inconclusive.",
            "E*PASS: 'planted' has the highest score",
            "E*INCONCLUSIVE: at least * of the weight that speaks for 'planted' lies in Box(0, 0, 8, 4)",
        ]
    )
    assert insides(result) == []
    assert {(record["status"], record["outcome"]) for record in report().values()} == {("inconclusive", "failed")}


def test_pass(suite: Callable[..., None], run: Run, pytester: pytest.Pytester) -> None:
    suite(BOUNDARY)
    result = run("--lime-inconclusive=pass", "-W", "error")
    result.assert_outcomes(passed=2, warnings=0)
    result.stdout.fnmatch_lines(["INCONCLUSIVE  planted in array  mass *"])


@pytest.mark.parametrize("filter_", ["error", "error::pytest_lime.InconclusiveWarning"])
def test_a_warning_can_be_an_error(
    filter_: str, suite: Callable[..., None], run: Run, insides: Callable[..., list[str]]
) -> None:
    suite(BOUNDARY)
    result = run("-W", filter_)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines([">*lime.check(MODEL.image, *", "E*pytest_lime.InconclusiveWarning: 1 of 2 claims *"])
    assert insides(result) == []


def test_a_warning_can_be_ignored(suite: Callable[..., None], run: Run) -> None:
    suite(BOUNDARY)
    run("-W", "ignore::pytest_lime.InconclusiveWarning").assert_outcomes(passed=2, warnings=0)


def test_the_ini_file_is_weaker_than_the_command_line(
    suite: Callable[..., None], run: Run, pytester: pytest.Pytester
) -> None:
    suite(BOUNDARY)
    pytester.makeini("[pytest]\nlime_inconclusive = fail\n")
    run().assert_outcomes(failed=2)
    run("--lime-inconclusive", "pass").assert_outcomes(passed=2, warnings=0)


def test_an_unknown_word_is_a_usage_error(suite: Callable[..., None], run: Run, pytester: pytest.Pytester) -> None:
    suite(BOUNDARY)
    result = run("--lime-inconclusive=wran")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line.strip()]
    assert line == "ERROR: --lime-inconclusive='wran' must be one of fail, warn, pass; the nearest is 'warn'."
    # As where a variable of the shell is empty: the gate must not open by that.
    for option, words in {"--lime-inconclusive=": "must be one of", "--lime-model=": "no model is named"}.items():
        result = run(option)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([f"ERROR: --lime-*{words}*"])
    pytester.makeini("[pytest]\nlime_inconclusive = maybe\n")
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line.strip()]
    assert line.startswith("ERROR: lime_inconclusive='maybe' in ")
