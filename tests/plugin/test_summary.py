"""The lines that a run prints."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Run = Callable[..., pytest.RunResult]


def test_the_header_is_for_runs_that_explain(
    suite: Callable[..., None], run: Run, mode: str, pytester: pytest.Pytester
) -> None:
    (pytester.path / "test_other.py").write_text("def test_other(): pass\n")
    result = run("test_other.py")
    result.stdout.no_fnmatch_line("lime: *")
    result.stdout.no_fnmatch_line("*= lime =*")
    suite("""
        @pytest.fixture
        def checked(lime):
            lime.check(IMAGE, "cat", predicted(rank=3))

        def test_it(checked):
            pass
        """)
    result = run("--lime-samples=50", "--lime-report=out")
    if mode == "-n2":  # the controller collects nothing
        result.stdout.no_fnmatch_line("lime: *")
    else:
        result.stdout.fnmatch_lines(["lime: 1 test explains images, samples=50; report: out"])


def test_the_summary_shows_what_did_not_pass(
    suite: Callable[..., None], run: Run, mode: str, pytester: pytest.Pytester
) -> None:
    suite("""
        def test_passes(lime):
            lime.check(IMAGE, "bird", predicted(), samples=200)

        def test_fails(lime):
            lime.check(IMAGE, "cat", FAILS, predicted(rank=3), pointing(CORNER, tolerance=1), samples=200)

        def test_plain(lime):
            assert lime.explain(IMAGE, "cat", regions=[CORNER], samples=200).mass(CORNER) > 0.5

        @pytest.mark.xfail
        def test_expected(lime):
            lime.check(IMAGE, "dog", predicted(), samples=200)
        """)
    result = run()
    result.assert_outcomes(passed=1, failed=2, xfailed=1)
    # Workers may both sample what neither has stored yet.
    passes = "*" if mode == "-n2" else "521"
    shown = str(result.stdout).partition("= lime =")[2].partition("short test summary")[0]
    assert "test_passes" not in shown
    result.stdout.fnmatch_lines_random(
        [
            "FAIL  cat in array: mass 0.0*, needs at least 0.9; pointing *, needs at most 1 *test_fails*",
            "*  cat in array: explained, without a claim  [[]test_it.py::test_plain[]]",
            "EXPECTED FAILURE  dog in array: predicted rank *, needs at most 1  [[]test_it.py::test_expected[]]",
            "3 checks: 1 failed, 1 failed as expected, 1 passed; 1 explained without a claim; "
            f"{passes} forward passes in *",
            f"report: {pytester.path / 'lime-report' / 'index.html'}",
        ]
    )
    result = run("-v")
    result.stdout.fnmatch_lines(["PASS  bird in array: predicted *  [[]test_it.py::test_passes[]]"])


def test_an_infinite_bound_is_refused(suite: Callable[..., None], run: Run) -> None:
    suite("""
        def test_tolerance(lime):
            lime.check(IMAGE, "cat", pointing(CORNER, tolerance=float("inf")), samples=50)

        def test_score(lime):
            lime.check(IMAGE, "cat", predicted(at_least=-float("inf")), samples=50)
        """)
    result = run("-v", "--lime-report-all")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines_random(
        ["E*OptionError: pointing: tolerance=inf must be *", "E*OptionError: predicted: at_least=-inf must be *"]
    )
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


def test_a_claim_of_the_users_own_is_reported(suite: Callable[..., None], run: Run) -> None:
    suite("""
        from pytest_lime import Claim, Verdict

        class Fitted(Claim):
            name = "fitted"

            def judge(self, explanation):
                r2 = float(explanation.r2[0])
                return Verdict(
                    meaning="the surrogate follows the model", estimate=r2, interval=(-float("inf"), r2),
                    relation=">=", bound=float("inf"), samples=explanation.samples,
                )

        class Wordless(Claim):
            def judge(self, explanation):
                return True

        class Misspelt(Fitted):
            def judge(self, explanation):
                return Verdict(
                    meaning="", estimate=0.0, interval=(0.0, 0.0), relation=">=", bound=1.0, status="failed"
                )

        def test_it(lime):
            lime.check(IMAGE, "cat", Fitted(), samples=50)

        def test_wordless(lime):
            lime.check(IMAGE, "cat", Wordless(), samples=50)

        def test_misspelt(lime):
            lime.check(IMAGE, "cat", Misspelt(), samples=50)
        """)
    result = run()
    result.assert_outcomes(failed=3)
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    for line in (
        "E*OptionError: Wordless.judge returned True; it must return a pytest_lime.Verdict.",
        "E*OptionError: *: Verdict: status='failed' must be 'pass', 'fail' or 'inconclusive'.",
    ):
        result.stdout.fnmatch_lines([line])
    result.stdout.fnmatch_lines(["FAIL  cat in array: fitted *", "1 check: 1 failed; *", "report: *"])


def test_a_long_list_is_cut_and_a_quiet_run_prints_none(suite: Callable[..., None], run: Run) -> None:
    suite("""
        def test_many(lime):
            for _ in range(53):
                try:
                    lime.check(IMAGE, "cat", predicted(at_least=2.0), samples=50)
                except AssertionError:
                    pass
        """)
    result = run()
    assert sum(line.startswith("FAIL  ") for line in result.outlines) == 50
    result.stdout.fnmatch_lines(["and 3 more: see the report, or -v", "53 checks: 53 failed; *", "report: *"])
    result = run("-v")
    assert sum(line.startswith("FAIL  ") for line in result.outlines) == 53
    result = run("-q")
    assert [line for line in result.outlines if line.startswith("FAIL  ")] == []
    result.stdout.fnmatch_lines(["53 checks: 53 failed; *", "report: *"])
