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
            "verdict * check * found * samples  test",
            "FAIL * cat in array * mass 0.0*, needs at least 0.9, interval 0.0* … 0.0* 200  test_it.py::test_fails",
            "       * pointing *, needs at most 1 pixels away, interval *",
            "TEST FAILED * cat in array * explained, without a claim * test_it.py::test_plain",
            "EXPECTED FAILURE  dog in array  predicted rank *, needs rank 1 * 200  test_it.py::test_expected",
            "3 checks: 1 failed, 1 failed as expected, 1 passed; 1 explained without a claim; "
            f"{passes} forward passes in *",
            f"report: {pytester.path / 'lime-report' / 'index.html'}",
        ]
    )
    result = run("-v")
    result.stdout.fnmatch_lines(["PASS * bird in array * predicted * test_it.py::test_passes"])


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
    result.stdout.fnmatch_lines(["FAIL     cat in array  fitted *", "1 check: 1 failed; *", "report: *"])


LOOKS = """
    def test_fails(lime):
        lime.check(IMAGE, "cat", FAILS, samples=200)

    def test_passes(lime):
        lime.check(IMAGE, "bird", predicted(), samples=200)

    def test_set(lime):
        lime.check_all([IMAGE, IMAGE[::-1], IMAGE[:, ::-1]], "cat", FAILS, samples=200, mostly=0.6)
    """


def lime_lines(result: pytest.RunResult) -> list[str]:
    """Return what stands between the heading of pytest-lime and the next."""
    found = str(result.stdout).split("= lime =")[-1].split("\n")[1:]
    return found[: next(place for place, line in enumerate(found) if "=====" in line)]


def test_quiet_runs_say_the_counts_only(suite: Callable[..., None], run: Run, pytester: pytest.Pytester) -> None:
    suite(LOOKS)
    lines = lime_lines(run("-q"))
    assert lines[0].startswith("4 checks: 3 failed, 1 passed; ")
    assert lines[1:] == [f"report: {pytester.path / 'lime-report' / 'index.html'}"]


def test_a_set_has_a_row_and_its_images_stand_below(suite: Callable[..., None], run: Run) -> None:
    suite(LOOKS)
    lines = lime_lines(run())
    place = next(number for number, line in enumerate(lines) if "cat in a set" in line)
    assert lines[place].startswith("FAIL ")
    assert "0 of 3 images hold, 2 must (mostly=0.6); 1 not looked at" in lines[place]
    assert lines[place].endswith("  400  test_it.py::test_set")
    assert [line.split()[:5] for line in lines[place + 1 : place + 3]] == [
        ["FAIL", "cat", "in", "array", str(number)] for number in (1, 2)
    ]
    # A log is searched by the names of tests: none is shortened, however many columns there are.
    assert all("…" not in line.partition(" interval ")[0] for line in lines)


@pytest.mark.parametrize("mode", ["bare", pytest.param("-n2", marks=pytest.mark.slow)])
@pytest.mark.parametrize("shape", [(), ("--lime-self-contained",)], ids=["folder", "one file"])
def test_a_terminal_with_colours_shows_heatmaps(
    suite: Callable[..., None], run: Run, monkeypatch: pytest.MonkeyPatch, shape: tuple[str, ...]
) -> None:
    suite(LOOKS)
    monkeypatch.setenv("COLORTERM", "truecolor")
    shown = str(run("-v", "--color=yes", *shape).stdout)
    # Of the three that failed, and of none that passed: 16 lines of 32 cells of two pixels.
    assert shown.count("; orange speaks for it, purple against it:") == 3
    assert shown.count("\N{UPPER HALF BLOCK}") == 3 * 16 * 32
    assert shown.count("\x1b[38;2;") == 3 * 16 * 32
    assert "cat in array; orange" in shown
    monkeypatch.delenv("COLORTERM")
    shown = str(run("-v", "--color=yes", *shape).stdout)
    assert shown.count("\x1b[38;5;") == 3 * 16 * 32
    for quiet in (("--color=yes",), ("-v", "--color=no")):
        assert "\N{UPPER HALF BLOCK}" not in str(run(*quiet, *shape).stdout)
