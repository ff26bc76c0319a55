"""--lime-report: where the report is, when there is one, and what stays in its folder."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., pytest.RunResult]
Report = Callable[..., dict[str, dict[str, Any]]]
PASSES = """
    def test_it(lime):
        lime.check(IMAGE, "cat", HOLDS, samples=200)
    """
FAILS = """
    def test_it(lime):
        lime.check(IMAGE, "cat", HOLDS, FAILS, samples=200)
    """


def test_the_default_folder_is_for_failures_only(
    suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    folder = pytester.path / "lime-report"
    suite(PASSES)
    result = run()
    assert not folder.exists()
    result.stdout.no_fnmatch_line("report: *")

    suite(FAILS)
    run().stdout.fnmatch_lines([f"report: {folder / 'index.html'}"])
    (record,) = report().values()
    assert record["outcome"] == "failed"
    assert len(record["pictures"]) >= 4
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert results["environment"]["pytest-lime"]
    assert results["created"].endswith("+00:00")
    assert "test_it.py::test_it" in (folder / "index.html").read_text(encoding="utf-8")

    # What the user keeps there stays when the report goes.
    (folder / "notes.txt").write_text("mine")
    (folder / "images" / "mine.png").write_bytes(b"mine")
    suite(PASSES)
    run().assert_outcomes(passed=1)
    left = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert left == {"notes.txt", "images/mine.png"}

    shutil.rmtree(folder)
    suite(FAILS)
    run().assert_outcomes(failed=1)
    suite(PASSES)
    run().assert_outcomes(passed=1)
    assert not folder.exists()


def test_a_run_without_checks_leaves_the_report_alone(
    suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    suite(FAILS)
    run()
    before = report()
    (pytester.path / "test_other.py").write_text("def test_other(): pass\n")
    result = run("test_other.py")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*lime*:*")
    assert report() == before


def test_pictures_that_nobody_names_any_more_are_removed(
    suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    suite(FAILS + FAILS.replace("test_it", "test_other"))
    run()
    assert len(report()) == 2
    mine = pytester.path / "lime-report" / "images" / "mine.png"
    mine.write_bytes(b"mine")
    suite(FAILS)
    run()
    names = {path.name for path in mine.parent.iterdir()}
    assert not [name for name in names if name.startswith("test-other")]
    assert mine.read_bytes() == b"mine"
    mine.unlink()
    assert list(report()) == ["test_it#0"]


@pytest.mark.parametrize("foreign", ["not json", '{"format": "of another program"}', None])
def test_what_another_program_wrote_is_neither_replaced_nor_removed(
    foreign: str | None, suite: Callable[..., None], run: Run, pytester: pytest.Pytester
) -> None:
    folder = pytester.path / "lime-report"
    folder.mkdir()
    if foreign is not None:
        (folder / "results.json").write_text(foreign)
    (folder / "index.html").write_text("whose?")
    suite(PASSES)
    run().assert_outcomes(passed=1)
    suite(FAILS)
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["lime: part of the report could not be written: *name another folder*"])
    result = run("--lime-report=lime-report")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --lime-report: *did not write and will not replace; name another folder*"])
    assert (folder / "index.html").read_text() == "whose?"
    assert foreign is None or (folder / "results.json").read_text() == foreign


@pytest.mark.parametrize("name", ["index.html", "icon.svg", "report.css", "panels.js"])
def test_files_of_the_users_own_are_left_alone(
    name: str, suite: Callable[..., None], run: Run, pytester: pytest.Pytester
) -> None:
    mine = pytester.path / "lime-report" / name
    mine.parent.mkdir()
    mine.write_text("mine")
    suite(FAILS)
    run().stdout.fnmatch_lines(
        [f"lime: part of the report could not be written: *lime-report' holds a file {name} that *"]
    )
    suite(PASSES)
    run().assert_outcomes(passed=1)
    assert [path.name for path in mine.parent.iterdir()] == [name]
    assert mine.read_text() == "mine"


def test_a_folder_that_cannot_be_looked_into_is_told(
    suite: Callable[..., None], run: Run, pytester: pytest.Pytester
) -> None:
    suite(PASSES)
    (pytester.path / "loop").symlink_to("loop")
    for name, reason in {"loop": "Too many levels of symbolic links", "n" * 300: "File name too long"}.items():
        result = run(f"--lime-report={name}/report")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([f"ERROR: --lime-report: *cannot be used*{reason}*"])


@pytest.mark.parametrize("damage", ['{"format": "pytest-lime", "version": 99}'])
def test_a_report_of_another_version_is_written_over_but_never_removed(
    damage: str, suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    folder = pytester.path / "lime-report"
    folder.mkdir()
    (folder / "results.json").write_text(damage)
    (folder / "index.html").write_text("whose?")
    suite(PASSES)
    run().assert_outcomes(passed=1)
    assert (folder / "results.json").read_text() == damage
    assert (folder / "index.html").read_text() == "whose?"
    suite(FAILS)
    run().assert_outcomes(failed=1)
    assert list(report()) == ["test_it#0"]


def test_a_folder_that_is_given_is_always_written(
    suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester, tmp_path_factory: Any
) -> None:
    suite(PASSES)
    result = run("--lime-report=some/where")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"report: {pytester.path / 'some' / 'where' / 'index.html'}"])
    (record,) = report("some/where").values()
    assert (record["status"], record["outcome"], record["pictures"]) == ("pass", "passed", {})
    assert not (pytester.path / "lime-report").exists()

    absolute = tmp_path_factory.mktemp("elsewhere") / "out"
    suite(FAILS)
    result = run("--lime-report", str(absolute))
    (record,) = report(absolute).values()
    result.stdout.fnmatch_lines([f"E*report: {absolute.as_posix()}/index.html#{record['id']}"])

    (pytester.path / "test_it.py").write_text("def test_it(): pass\n")
    run("--lime-report=empty").assert_outcomes(passed=1)
    assert report("empty") == {}


def test_the_folder_of_the_ini_file_is_next_to_it(
    suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeini("[pytest]\nlime_report = build/lime\n")
    suite(PASSES, name="tests/test_it.py")
    monkeypatch.chdir(pytester.path / "tests")
    run().assert_outcomes(passed=1)
    assert not (pytester.path / "build").exists()
    suite(FAILS, name="tests/test_it.py")
    run().assert_outcomes(failed=1)
    (record,) = report("build/lime").values()
    assert record["test"] == "tests/test_it.py::test_it"
    # The command line is read from where the user stands.
    run("--lime-report=here").assert_outcomes(failed=1)
    assert report("tests/here")


def test_a_folder_that_is_a_file_is_a_usage_error(
    suite: Callable[..., None], run: Run, pytester: pytest.Pytester
) -> None:
    suite(PASSES)
    (pytester.path / "taken").write_text("a file")
    result = run("--lime-report=taken")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line.strip()]
    assert line == f"ERROR: --lime-report: {str(pytester.path / 'taken')!r} is a file; name a folder for the report."
    assert (pytester.path / "taken").read_text() == "a file"


def test_a_folder_that_cannot_be_written_never_costs_a_result(
    suite: Callable[..., None], run: Run, pytester: pytest.Pytester
) -> None:
    suite(FAILS + PASSES.replace("test_it", "test_other"))
    (pytester.path / "taken").write_text("a file")
    result = run("-olime_report=taken/report")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        ["E*ClaimFailed: 1 of 2 claims *", "FAIL     cat in array  *", "lime: *could not be written: * (*taken*)"]
    )
    result.stdout.no_fnmatch_line("report: *index.html")
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


def test_a_folder_of_the_command_line_that_cannot_be_written_is_told_before_the_first_test(
    suite: Callable[..., None], run: Run, pytester: pytest.Pytester
) -> None:
    suite(PASSES)
    (pytester.path / "taken").write_text("a file")
    result = run("--lime-report=taken/report")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --lime-report: *cannot be written to (Not a directory); name another folder."])
    # Nothing is left of the attempt.
    run("--lime-report=new/report", "--co").assert_outcomes()
    assert not (pytester.path / "new").exists()


def test_pictures_that_cannot_be_written_are_told(
    suite: Callable[..., None], run: Run, pytester: pytest.Pytester
) -> None:
    suite(FAILS)
    (pytester.path / "lime-report").mkdir()
    (pytester.path / "lime-report" / "images").write_text("a file")
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["report: *index.html", "lime: part of the report could not be written: *images*"])
    results = json.loads((pytester.path / "lime-report" / "results.json").read_text(encoding="utf-8"))
    assert results["records"][0]["pictures"] == {}


def test_the_report_is_as_readable_as_other_files(
    suite: Callable[..., None], run: Run, pytester: pytest.Pytester
) -> None:
    suite(FAILS)
    run()
    other = pytester.path / "other"
    other.write_text("")
    modes = {path.stat().st_mode for path in Path("lime-report").rglob("*") if path.is_file()}
    assert modes == {other.stat().st_mode}


def test_a_pipe_in_place_of_results_keeps_nobody_waiting(
    suite: Callable[..., None], run: Run, pytester: pytest.Pytester
) -> None:
    suite(PASSES)
    (pytester.path / "lime-report").mkdir()
    os.mkfifo(pytester.path / "lime-report" / "results.json")
    result = run("--lime-report=lime-report")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --lime-report: *lime-report' cannot be used (it is a pipe); name another*"])


def test_results_that_were_cut_off_are_replaced(
    suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    suite(FAILS)
    run()
    results = pytester.path / "lime-report" / "results.json"
    results.write_bytes(results.read_bytes()[:700])
    run()
    assert list(report()) == ["test_it#0"]


def test_another_plugin_that_breaks_down_at_the_end_costs_no_report(
    suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    suite(FAILS)
    conftest = pytester.path / "conftest.py"
    conftest.write_text(conftest.read_text() + "\ndef pytest_sessionfinish():\n    raise OSError('disk full')\n")
    run()
    assert list(report()) == ["test_it#0"]


def test_a_lime_that_was_kept_is_refused_in_another_test(suite: Callable[..., None], run: Run, mode: str) -> None:
    suite("""
        KEPT = []

        def test_first(lime):
            KEPT.append(lime)

        def test_second(lime):
            KEPT[0].check(IMAGE, "cat", HOLDS, samples=200)
        """)
    # Both in one process, where there are several.
    result = run("--dist=loadfile") if mode == "-n2" else run()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["E*OptionError: lime.check: this lime belongs to the test *test_first', which has *"])
