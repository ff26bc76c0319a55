"""How results come whole out of runs that end early, run again, or cannot write."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pytest_lime

Run = Callable[..., pytest.RunResult]
Report = Callable[..., dict[str, dict[str, Any]]]
FAILS = """
    def test_it(lime):
        lime.check(IMAGE, "cat", FAILS, samples=200)
    """
PASSES = FAILS.replace("FAILS", "HOLDS")
THREE = """
    @pytest.mark.parametrize("number", range(3))
    def test_it(lime, number):
        lime.check(IMAGE, "cat", FAILS, samples=200)
    """


@pytest.fixture(params=["bare", pytest.param("-n0", marks=pytest.mark.slow), "-n2"])
def mode(request: pytest.FixtureRequest) -> str:
    """How the inner run goes; here workers are what it is about."""
    return str(request.param)


def results(pytester: pytest.Pytester, folder: str = "lime-report") -> dict[str, Any]:
    found = json.loads((pytester.path / folder / "results.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


# What happens where the second test has made its check is left to say.
CUT_OFF = """
    import time
    from pathlib import Path

    def test_first(lime):
        lime.check(IMAGE, "cat", HOLDS, samples=200)

    def test_second(lime):
        try:
            lime.check(IMAGE, "cat", FAILS, samples=200)
        except AssertionError:
"""


def _heed_ctrl_c() -> None:
    # Whoever runs in the background of a shell ignores it, and so do all its children.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class TestEndings:
    def test_a_run_that_comes_to_its_end(self, suite: Callable[..., None], run: Run, pytester: pytest.Pytester) -> None:
        suite(PASSES)
        run("--lime-report=lime-report")
        found = results(pytester)
        assert len(found["run"].pop("id")) == 12
        assert {name: found["run"][name] for name in ("exit", "reason")} == {"exit": "finished", "reason": ""}
        assert found["problems"] == []
        suite(FAILS)
        run()
        assert results(pytester)["run"]["exit"] == "failed"

    @pytest.mark.parametrize("most", [1, 2])
    def test_a_run_that_stops_early(
        self, most: int, suite: Callable[..., None], run: Run, report: Report, mode: str
    ) -> None:
        suite(THREE)
        run(f"--maxfail={most}" if most > 1 else "-x")
        found = json.loads(Path("lime-report/results.json").read_text(encoding="utf-8"))["run"]
        assert found["exit"] == "stopped"
        assert found["reason"].startswith(f"stopping after {most} fail")
        assert len(report()) in ((1, 2, 3) if mode == "-n2" else (most,))

    def test_pytest_exit(
        self, suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester, mode: str
    ) -> None:
        suite(CUT_OFF + '            pytest.exit("enough")\n')
        run("--dist=loadfile")
        found = results(pytester)
        assert found["run"]["exit"] == "interrupted"
        # A worker says no more than that it was interrupted, and takes the test it was at with it.
        assert ("enough" in found["run"]["reason"]) == (mode != "-n2")
        records = report()
        assert records["test_first#0"]["outcome"] == "passed"
        cut = [problem for problem in found["problems"] if "what this test had checked is lost" in problem]
        assert [problem.partition("::")[2].partition(";")[0] for problem in cut] == ["test_second"] * (mode == "-n2")
        if mode != "-n2":
            assert records["test_second#0"]["outcome"] == "interrupted"
            assert len(records["test_second#0"]["pictures"]) >= 4

    @pytest.mark.parametrize("mode", ["bare"])
    def test_collection_errors(
        self, mode: str, suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
    ) -> None:
        suite(FAILS)
        run()
        before = report()
        (pytester.path / "test_broken.py").write_text("import nothing_of_this_name\n")
        run()
        assert report() == before
        run("--lime-report=out")
        assert (results(pytester, "out")["run"]["exit"], results(pytester, "out")["records"]) == ("stopped", [])
        assert results(pytester, "out")["run"]["reason"] == "1 error during collection"
        run("--continue-on-collection-errors")
        assert results(pytester)["run"]["exit"] == "failed"

    @pytest.mark.parametrize("mode", ["bare", "-n2"])
    @pytest.mark.skipif(sys.platform == "win32", reason="signals of this kind are those of POSIX")
    def test_ctrl_c(self, mode: str, suite: Callable[..., None], report: Report, pytester: pytest.Pytester) -> None:
        suite(CUT_OFF + '            Path("waiting").touch()\n            time.sleep(120)\n')
        how = ["-p", "no:cacheprovider", *([] if mode == "bare" else ["-n2", "--dist=loadfile"])]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        environment["PYTHONPATH"] = str(Path(pytest_lime.__file__).parents[1])
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *how], cwd=pytester.path, env=environment, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
            preexec_fn=_heed_ctrl_c,  # noqa: PLW1509  (no thread of ours holds a lock here)
        )  # fmt: skip
        try:
            for _ in range(900):
                if (pytester.path / "waiting").exists() or process.poll() is not None:
                    break
                time.sleep(0.1)
            # As a terminal does: to all processes in its foreground.
            os.killpg(process.pid, signal.SIGINT)
            said, _ = process.communicate(timeout=100)
        finally:
            process.kill()
        assert "INTERNALERROR" not in said, said
        assert process.returncode == pytest.ExitCode.INTERRUPTED
        assert results(pytester)["run"]["exit"] == "interrupted", said
        assert results(pytester)["run"]["reason"] == "by Ctrl-C"
        records = report()
        assert records["test_first#0"]["outcome"] == "passed"
        assert set(records) == {"test_first#0"} | ({"test_second#0"} if mode == "bare" else set())


class TestAgain:
    def test_reruns_are_attempts(
        self, suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
    ) -> None:
        pytest.importorskip("pytest_rerunfailures")
        suite("""
            from pathlib import Path

            @pytest.fixture
            def times(request):
                counted = Path(f"count-{request.node.name}")
                counted.open("a").write("x")
                return len(counted.read_text())

            def test_flaky(lime, times):
                lime.check(IMAGE, "cat", HOLDS, samples=200)
                lime.check(IMAGE, "cat", HOLDS if times > 2 else FAILS, samples=200)

            def test_broken(lime):
                lime.check(IMAGE, "cat", FAILS, samples=200)
            """)
        run("--reruns=2").assert_outcomes(passed=1, failed=1)
        records = report()
        assert set(records) == {"test_flaky#0", "test_flaky#1", "test_broken#0"}
        assert {record["attempt"] for record in records.values()} == {3}
        told = {
            name: [(one["attempt"], one["status"], one["outcome"]) for one in record["attempts"]]
            for name, record in records.items()
        }
        assert told == {
            "test_flaky#0": [(1, "pass", "failed"), (2, "pass", "failed")],
            "test_flaky#1": [(1, "fail", "failed"), (2, "fail", "failed")],
            "test_broken#0": [(1, "fail", "failed"), (2, "fail", "failed")],
        }
        assert (records["test_flaky#1"]["status"], records["test_flaky#1"]["outcome"]) == ("pass", "passed")
        (claim,) = records["test_flaky#1"]["attempts"][0]["claims"]
        assert (claim["claim"], claim["status"], claim["samples"]) == ("mass", "fail", 200)

    def test_checks_in_subtests_belong_to_their_test(
        self, suite: Callable[..., None], run: Run, report: Report
    ) -> None:
        if not hasattr(pytest, "Subtests"):
            pytest.importorskip("pytest_subtests")
        suite("""
            def test_it(lime, subtests):
                for number, claim in enumerate([HOLDS, FAILS, HOLDS]):
                    with subtests.test(number=number):
                        lime.check(IMAGE, "cat", claim, samples=200)
                with subtests.test("own"):
                    assert lime.explain(IMAGE, samples=200).samples == 7
                lime.check(IMAGE, "cat", HOLDS, samples=200)
            """)
        assert run("--junitxml=junit.xml").ret == 1
        records = report()
        assert [(record["check"], record["kind"], record["outcome"]) for record in records.values()] == [
            (0, "check", "passed"),
            (1, "check", "failed"),
            (2, "check", "passed"),
            (3, "explanation", "failed"),
            (4, "check", "failed" if records["test_it#4"]["outcome"] == "failed" else "passed"),
        ]

    def test_a_test_that_is_given_twice_keeps_both(
        self, suite: Callable[..., None], run: Run, pytester: pytest.Pytester
    ) -> None:
        suite(FAILS)
        result = run("--keep-duplicates", "test_it.py", "test_it.py")
        result.assert_outcomes(failed=2)
        one, two = results(pytester)["records"]
        assert two["id"] == f"{one['id']}-2"
        assert (one.get("repeat"), two["repeat"]) == (None, 2)
        assert one["attempts"] == two["attempts"] == []
        result.stdout.fnmatch_lines_random([f"E*index.html#{record['id']}" for record in (one, two)])
        files = {path.name for path in (pytester.path / "lime-report" / "images").iterdir()}
        assert len(files) == len(one["pictures"]) + len(two["pictures"]) == 2 * len(one["pictures"])

    @pytest.mark.parametrize("mode", ["-n2"])
    def test_a_test_that_every_worker_makes_is_kept_of_each(
        self, mode: str, suite: Callable[..., None], run: Run, pytester: pytest.Pytester
    ) -> None:
        suite(FAILS)
        run("--dist=each").assert_outcomes(failed=2)
        one, two = results(pytester)["records"]
        assert {one["id"], two["id"]} == {one["id"].removesuffix("-2"), f"{one['id'].removesuffix('-2')}-2"}
        assert not set(one["pictures"].values()) & set(two["pictures"].values())


class TestStale:
    """A run without failures leaves no report of an earlier one behind."""

    @pytest.mark.parametrize(
        ("options", "left"),
        [
            ([], False),
            (["-x"], False),
            (["--collect-only"], True),
            (["-k", "nothing"], True),
            (["--lime-report-all"], True),
        ],
    )
    def test_after_a_run_that_failed(
        self, options: list[str], left: bool, suite: Callable[..., None], run: Run, pytester: pytest.Pytester
    ) -> None:
        suite(FAILS)
        run()
        assert (pytester.path / "lime-report" / "index.html").exists()
        suite(PASSES)
        run(*options)
        assert (pytester.path / "lime-report").exists() == left

    def test_of_a_run_that_is_cut_off_it_says_what_ran(
        self, suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
    ) -> None:
        suite(FAILS)
        run()
        suite(PASSES + "\n    def test_other():\n        assert False\n")
        run("-x")
        assert [record["status"] for record in report().values()] == ["pass"]
        assert results(pytester)["run"]["exit"] == "stopped"


class TestCannotBeWritten:
    """A report that cannot be written is told, and costs no test its result."""

    @pytest.mark.parametrize("broken", [".png .jpg .svg", "results.json", "index.html", ".css"])
    def test_a_full_disk(self, broken: str, suite: Callable[..., None], run: Run, pytester: pytest.Pytester) -> None:
        # An earlier report must not pass for this run's.
        suite(FAILS)
        run()
        suite(THREE + PASSES.replace("test_it", "test_passes"))
        (pytester.path / "conftest.py").write_text(
            (pytester.path / "conftest.py").read_text()
            + f"""
import errno, os, sys
import pytest_lime.records, pytest_lime.report.pictures, pytest_lime.report.render

real = pytest_lime.records.write_atomically

def full(path, data):
    if str(path).endswith(tuple({broken.split()!r})):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    real(path, data)

@pytest.fixture(autouse=True, scope="session")
def _full():
    with pytest.MonkeyPatch.context() as patch:
        for name, module in list(sys.modules.items()):
            if name.startswith("pytest_lime.") and hasattr(module, "write_atomically"):
                patch.setattr(module, "write_atomically", full)
        yield

def pytest_sessionfinish(session):
    session.config.add_cleanup(patch.undo)

patch = pytest.MonkeyPatch()

def pytest_sessionstart():
    for name, module in list(sys.modules.items()):
        if name.startswith("pytest_lime.") and hasattr(module, "write_atomically"):
            patch.setattr(module, "write_atomically", full)
"""
        )
        result = run()
        result.assert_outcomes(failed=3, passed=1)
        assert result.ret == 1
        told = [line for line in result.outlines if line.startswith("lime: part")]
        assert len(told) == 1
        assert told[0].startswith("lime: part of the report could not be written: No space left on device (")
        result.stdout.no_fnmatch_line("*INTERNALERROR*")
        assert not (pytester.path / "lime-report" / "index.html").exists()
        assert (pytester.path / "lime-report" / "results.json").exists() == (broken != "results.json")
        if broken != "results.json":
            assert len(results(pytester)["records"]) == 4
        if broken.startswith(".png"):
            assert re.search(r" and [0-9]+ more\)$", told[0])
            assert all(record["pictures"] == {} for record in results(pytester)["records"])
            assert len(results(pytester)["problems"]) == 1

    def test_pictures_that_vanish_during_the_run(
        self, suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
    ) -> None:
        suite("""
            import shutil
            from pathlib import Path

            def test_it(lime):
                try:
                    lime.check(IMAGE, "cat", FAILS, samples=200)
                finally:
                    shutil.rmtree(Path(__file__).with_name("lime-report"))
            """)
        result = run()
        result.assert_outcomes(failed=1)
        (record,) = report().values()
        assert record["pictures"] == {}
        (told,) = [line for line in result.outlines if line.startswith("lime: part")]
        assert "something removed a picture during the run (" in told

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write anywhere")
    def test_a_folder_that_is_not_writable(
        self, suite: Callable[..., None], run: Run, pytester: pytest.Pytester
    ) -> None:
        suite(FAILS)
        (pytester.path / "shut").mkdir(mode=0o500)
        result = run("--lime-report=shut/report")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["lime: part of the report could not be written: Permission denied (*shut*"])

    def test_strange_records(
        self, suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
    ) -> None:
        suite(r"""
            from pytest_lime import Claim, Verdict

            class Strange(Claim):
                name = "strange"

                def judge(self, explanation):
                    return Verdict(
                        meaning="half \ud800" + "x" * 10**4, figure="\x1b[2J", estimate=0.0, interval=(0.0, 0.0),
                        relation=">=", bound=1.0, scale=(float("nan"), 2.0),
                    )

            def test_it(lime):
                lime.check(IMAGE, "cat", Strange(), samples=200)

            def test_other(lime):
                lime.check(IMAGE, "cat", FAILS, samples=200)
            """)
        result = run()
        result.assert_outcomes(failed=2)
        result.stdout.no_fnmatch_line("*INTERNALERROR*")
        assert set(report()) == {"test_it#0", "test_other#0"}

    @pytest.mark.parametrize("mode", ["bare"])
    def test_records_that_another_plugin_has_spoilt(
        self, mode: str, suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
    ) -> None:
        suite(FAILS)
        (pytester.path / "conftest.py").write_text(
            (pytester.path / "conftest.py").read_text()
            + """
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report):
    for record in getattr(report, "lime_records", ()):
        deep = []
        for _ in range(5000):
            deep = [deep]
        record["meta"] = {"nan": float("nan"), "object": object(), "deep": deep, 1: "half \\ud800"}
"""
        )
        result = run()
        result.assert_outcomes(failed=1)
        (record,) = report().values()
        assert record["meta"]["nan"] is None
        assert record["meta"]["object"].startswith("<object object at")
