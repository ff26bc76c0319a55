"""--lime-self-contained: a report in one file, and what it replaces."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_lime import report_folder
from pytest_lime.cli import main

Run = Callable[..., pytest.RunResult]
Report = Callable[..., dict[str, dict[str, Any]]]
FAILS = """
    def test_it(lime):
        lime.check(IMAGE, "cat", HOLDS, FAILS, samples=200)
    """


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_one_file_and_the_results_are_all_there_is(
    suite: Callable[..., None], run: Run, pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    suite(FAILS)
    folder = pytester.path / "lime-report"
    result = run("--lime-self-contained")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"report: {folder / 'index.html'}"])
    result.stdout.no_fnmatch_line("*could not be written*")
    assert files_of(folder) == {"index.html", "results.json"}
    html = (folder / "index.html").read_text(encoding="utf-8")
    assert html.count("data:image/") >= 5
    assert "images/" not in re.sub("data:image/", "", html)
    (record,) = json.loads((folder / "results.json").read_text(encoding="utf-8"))["records"]
    assert record["pictures"] == {}
    assert record["status"] == "fail"
    capsys.readouterr()
    assert main(["show", str(folder)]) == 0
    assert f"report: {folder / 'index.html'}" in capsys.readouterr().out


def test_each_form_of_the_report_replaces_the_other(
    suite: Callable[..., None], run: Run, pytester: pytest.Pytester, mode: str
) -> None:
    if mode != "bare":
        pytest.skip("the folder is written by one process, however the tests run")
    suite(FAILS)
    folder = pytester.path / "lime-report"
    run()
    ordinary = files_of(folder)
    assert {"images", "report.css", "report.js", "superpixels.js", "icon.svg"} <= ordinary
    (folder / "notes.txt").write_text("mine")
    run("--lime-self-contained")
    assert files_of(folder) == {"index.html", "results.json", "notes.txt"}
    (folder / "notes.txt").unlink()
    run()
    assert files_of(folder) == ordinary
    suite(FAILS.replace("HOLDS, FAILS", "HOLDS"))
    run("--lime-self-contained").assert_outcomes(passed=1)
    assert not folder.exists()


def test_the_ini_file_may_ask_for_it_and_a_large_page_is_warned_of(
    suite: Callable[..., None], run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    if mode != "bare":
        pytest.skip("the folder is written by one process, however the tests run")
    pytester.makeini("[pytest]\nlime_self_contained = true\n")
    suite(FAILS)
    run().stdout.no_fnmatch_line("*slowly*")
    assert files_of(pytester.path / "lime-report") == {"index.html", "results.json"}
    monkeypatch.setattr(report_folder, "LARGE", 0.001)
    run().stdout.fnmatch_lines(
        ["lime: lime-report/index.html holds all pictures and has * MB, * leave --lime-self-contained out, *"]
    )
