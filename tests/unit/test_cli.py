"""The command pytest-lime."""

from __future__ import annotations

import json
import subprocess
import sys
import webbrowser
from pathlib import Path
from typing import Any

import pytest

from pytest_lime import Box, __version__, mass, predicted
from pytest_lime.claims import judge
from pytest_lime.cli import main
from pytest_lime.explainer import explain
from pytest_lime.records import FORMAT, VERSION
from pytest_lime.report.evidence import describe
from pytest_lime.testing import planted_and


def made(identifier: str, test: str, outcome: str = "passed", least: float = 0.9) -> dict[str, Any]:
    model = planted_and([0, 1], d=9)
    region = Box(0, 0, 8, 4)
    explanation = explain(model, model.image, "planted", regions=[region], **model.options)
    check = judge(explanation, (mass(region, at_least=least), predicted()))
    place = {"id": identifier, "check": 0, "test": test, "file": "test_it.py", "line": 3, "rerun": "pytest"}
    return {**describe(check, extra=place), "outcome": outcome}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    results = {
        "format": FORMAT,
        "version": VERSION,
        "records": [
            made("a", "test_it.py::test_passes", least=0.5),
            made("b", "test_it.py::test_fails", "failed", least=1.0),
            made("c", "test_it.py::test_expected", "xfailed", least=1.0),
        ],
    }
    (tmp_path / "results.json").write_text(json.dumps(results), encoding="utf-8")
    (tmp_path / "index.html").write_text("page")
    return tmp_path


def test_show_lists_the_checks(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(folder)]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert err == ""
    assert [line.partition("  ")[0] for line in lines[:3]] == ["PASS", "FAIL", "EXPECTED FAILURE"]
    assert lines[0].endswith("[test_it.py::test_passes]")
    assert "planted in array: mass 0." in lines[1]
    assert "needs at least 1 " in lines[1]
    assert "predicted" not in lines[1]
    assert lines[3].startswith("3 checks: 1 failed, 1 failed as expected, 1 passed; ")
    assert lines[4:] == [f"report: {folder / 'index.html'}"]


def test_show_takes_the_default_folder(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.rename(folder.with_name("lime-report"))
    monkeypatch.chdir(folder.parent)
    assert main(["show"]) == 0
    assert "3 checks: " in capsys.readouterr().out


@pytest.mark.parametrize("opens", [True, False])
def test_show_opens_the_browser(
    opens: bool, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def open_browser(address: str) -> bool:
        opened.append(address)
        return opens

    monkeypatch.setattr(webbrowser, "open", open_browser)
    assert main(["show", "--browser", str(folder)]) == (0 if opens else 1)
    assert opened == [(folder / "index.html").as_uri()]
    assert capsys.readouterr().err == ("" if opens else "pytest-lime: no web browser could be started.\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "holds no results.json; give the folder of a report"),
        ("", "is damaged"),
        ('{"format": "pytest-lime", "ver', "is damaged"),
        ("\x00\x01", "is damaged"),
        ("[]", "was not written by pytest-lime"),
        ('{"format": "other", "version": 1, "records": []}', "was not written by pytest-lime"),
        ('{"format": "pytest-lime", "version": 99, "records": []}', "has version 99 and this pytest-lime reads 1"),
        ('{"format": "pytest-lime", "version": 1}', "is damaged"),
        ('{"format": "pytest-lime", "version": 1, "records": {}}', "is damaged"),
        ('{"format": "pytest-lime", "version": 1, "records": [1]}', "is damaged"),
        ('{"format": "pytest-lime", "version": 1, "records": [{}]}', "damaged record"),
    ],
)
def test_show_says_what_is_wrong_with_a_folder(
    text: str | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        (tmp_path / "results.json").write_text(text, encoding="utf-8")
    assert main(["show", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("pytest-lime: ")
    assert err.count("\n") == 1
    assert words in err


def test_show_of_bytes_that_are_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "results.json").write_bytes(b"\xff\xfe\x00")
    assert main(["show", str(tmp_path)]) == 2
    assert "is damaged" in capsys.readouterr().err


def test_show_of_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(tmp_path / "nowhere")]) == 2
    assert "nowhere' holds no results.json" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main(["show", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.startswith("pytest-lime: ")
    (tmp_path / "results.json").mkdir()
    assert main(["show", str(tmp_path)]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"pytest-lime {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["shwo"], ["show", "--browsers"]])
def test_wrong_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert "usage: pytest-lime" in capsys.readouterr().err


def test_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])
    assert exit_.value.code == 0
    assert "show" in capsys.readouterr().out


def test_the_module_is_the_command(tmp_path: Path) -> None:
    code = "import sys; from pytest_lime.cli import main; main(['show', sys.argv[1]]); print(*sys.modules)"
    (tmp_path / "results.json").write_text(json.dumps({"format": FORMAT, "version": VERSION, "records": []}))
    for command in (["-m", "pytest_lime", "--version"], ["-m", "pytest_lime", "show", "nowhere"], ["-c", code, "."]):
        ran = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False
        )
        if "--version" in command:
            assert (ran.returncode, ran.stdout) == (0, f"pytest-lime {__version__}\n")
        elif "nowhere" in command:
            assert (ran.returncode, ran.stdout) == (2, "")
            assert ran.stderr.startswith("pytest-lime: 'nowhere' holds no results.json")
        else:
            assert "0 checks" in ran.stdout
            assert not {"torch", "numpy", "skimage", "sklearn", "PIL", "jinja2"} & set(ran.stdout.split())
