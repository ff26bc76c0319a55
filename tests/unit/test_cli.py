"""The command pytest-lime."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import webbrowser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage

from pytest_lime import Box, __version__, mass, predicted
from pytest_lime.claims import judge
from pytest_lime.cli import main
from pytest_lime.explainer import explain
from pytest_lime.records import FORMAT, VERSION
from pytest_lime.report.evidence import describe
from pytest_lime.testing import FakeModel, planted_and


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
    assert [line.partition("  ")[0] for line in lines[:3]] == ["FAIL", "EXPECTED FAILURE", "PASS"]
    assert lines[2].endswith("[test_it.py::test_passes]")
    assert "planted in array: mass 0." in lines[0]
    assert "needs at least 1, interval" in lines[0]
    assert "predicted" not in lines[0]
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


def test_show_tells_what_it_can_of_records_from_elsewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = [{}, {"test": "a.py::test\n\x1b[2J", "status": "fail", "kind": "check", "claims": 3}]
    results = {"format": FORMAT, "version": VERSION, "records": records, "run": {"exit": "stopped", "reason": "-x"}}
    (tmp_path / "results.json").write_text(json.dumps({**results, "problems": ["one\ntwo", 3]}), encoding="utf-8")
    assert main(["show", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "FAIL  a record that cannot be read  [a.py::test \\x1b[2J]",
        "INCONCLUSIVE  a record that cannot be read  [unnamed test]",
        "2 records",
        "run stopped: -x",
        "problem: one two",
    ]
    assert "has no page index.html" in err


def test_show_of_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(tmp_path / "nowhere")]) == 2
    assert "nowhere'; give the folders of reports" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main(["show", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.startswith("pytest-lime: ")
    (tmp_path / "results.json").mkdir()
    assert main(["show", str(tmp_path)]) == 2
    assert "is no plain file" in capsys.readouterr().err


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
            assert ran.stderr.startswith("pytest-lime: there is no folder 'nowhere'; ")
        else:
            assert "0 checks" in ran.stdout
            assert not {"torch", "numpy", "skimage", "sklearn", "PIL", "jinja2"} & set(ran.stdout.split())


class TestExplain:
    @pytest.fixture(autouse=True)
    def here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        source = "from pytest_lime.testing import FakeModel\ndef make():\n    return FakeModel()\n"
        source += "def digits():\n    return FakeModel(labels=('1', '2', '3'))\n"
        (tmp_path / "zoo_for_the_command.py").write_text(source)
        (tmp_path / "taken.json").mkdir()
        pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        PILImage.fromarray(pixels).save(tmp_path / "photo.png")
        PILImage.fromarray(np.kron([[0, 255]], np.ones((40, 30))).astype(np.uint8)).save(tmp_path / "right.png")
        monkeypatch.chdir(tmp_path)
        monkeypatch.syspath_prepend(tmp_path)

    def look(self, *arguments: str, image: str = "photo.png", model: str = "zoo_for_the_command:make") -> int:
        options = ["--option", "segmenter=grid", "--option", "segments=9"]
        return main(["explain", image, "--model", model, *options, *arguments])

    def test_prints_what_there_is_to_see(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.look("--target", "dog") == 0
        out, err = capsys.readouterr()
        assert err == ""
        assert out.startswith("photo.png: 60×40 pixels, ")
        assert "the model gives 'dog' 0." in out
        assert "Box(" in out
        assert "samples (exhaustive); surrogate R² " in out

    def test_writes_all_that_is_asked_for(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        pytest.importorskip("matplotlib")
        assert self.look("-o", "a.png", "-o", "a.html", "-o", "A.JSON", "--top-labels", "2") == 0
        with PILImage.open(tmp_path / "a.png") as picture:
            assert min(picture.size) > 300
        assert (tmp_path / "a.html").read_text(encoding="utf-8").startswith("<!doctype html>")
        look = json.loads((tmp_path / "A.JSON").read_text(encoding="utf-8"))
        scores = [one["target"]["score"] for one in look["classes"]]
        assert len(scores) == 2
        assert scores == sorted(scores, reverse=True)
        assert capsys.readouterr().out.count("written: ") == 3

    def test_several_targets_by_name_and_by_index(self, tmp_path: Path) -> None:
        assert self.look("--target", "dog", "--target", "0", "-o", "a.json") == 0
        look = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
        assert [one["target"]["label"] for one in look["classes"]] == ["dog", "cat"]

    def test_regions_of_a_file(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.look("--target", "dog", "--regions", "right.png", "-o", "a.json") == 0
        assert "right: " in capsys.readouterr().out
        look = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
        assert look["classes"][0]["regions"]["right"]["area"] == 0.5

    def test_options_by_name(self, tmp_path: Path) -> None:
        assert self.look("--option", "sampler=bernoulli", "--option", "samples=33", "-o", "a.json") == 0
        look = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
        assert look["options"]["samples"] == look["classes"][0]["explanation"]["samples"] == 33

    def test_what_is_drawn_does_not_depend_on_the_portions_of_the_bar(self, tmp_path: Path) -> None:
        options = ["--option", "sampler=bernoulli", "--option", "samples=130"]
        assert self.look("--target", "dog", *options, "-o", "a.json") == 0
        look = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
        whole = explain(
            FakeModel(), tmp_path / "photo.png", "dog", segmenter="grid", segments=9, sampler="bernoulli", samples=130
        )
        weights = {entry["superpixel"]: entry["weight"] for entry in look["classes"][0]["weights"]}
        assert [weights[index] for index in range(9)] == pytest.approx(whole.weights[0], abs=1e-6)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--target", "dgo"], "has no class 'dgo' among its 3 classes; the nearest is 'dog'"),
            (["--target", "7"], "class 7 does not exist"),
            (["--top-labels", "0"], "top_labels=0 must be"),
            (["--top-labels", "9"], "top_labels=9 is more than the 3 classes"),
            (["--top-labels", "2", "--target", "dog"], "give one of the two"),
            (["-o", "a.gif"], "must end in .png, .html, .json"),
            (["-o", "nowhere/a.json"], "the folder 'nowhere' does not exist"),
            (["--option", "samples"], "must be of the form NAME=VALUE"),
            (["--option", "sample=3"], "there is no option 'sample'; the nearest is 'samples'"),
            (["--option", "samples=few"], "--option: samples='few' must be"),
            (["--regions", "gone.json"], "gone.json"),
            (["-o", "photo.png"], "is what is read; it would be lost"),
            (["--regions", "right.png", "-o", "right.png"], "is what is read"),
            (["-o", "a.json", "-o", "./a.json"], "is given twice"),
            (["-o", "a.html", "-o", "taken.json"], "'taken.json' is a folder"),
            (["--opinion", "ocluson"], "the nearest is 'occlusion'"),
        ],
    )
    def test_mistakes_are_told_in_a_line(
        self, arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = sorted(tmp_path.iterdir())
        assert self.look(*arguments) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("pytest-lime: ")
        assert words in err
        assert err.count("\n") == 1
        assert [path for path in sorted(tmp_path.iterdir()) if path.name != "__pycache__"] == before

    def test_a_missing_image_or_model_is_told(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.look(image="phto.png") == 2
        assert "image 'phto.png' does not exist" in capsys.readouterr().err
        assert self.look(model="zoo_for_the_command:mkae") == 2
        assert "the nearest is 'make'" in capsys.readouterr().err

    def test_a_file_that_cannot_be_written_is_told(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("pytest_lime.records.write_atomically", full)
        assert self.look("-o", "a.json") == 2
        assert "'a.json' cannot be written: No space left on device." in capsys.readouterr().err
        assert not (tmp_path / "a.json").exists()

    def test_a_label_comes_before_an_index(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.look("--target", "1", "--target", "0", model="zoo_for_the_command:digits") == 2
        assert "names a class twice" in capsys.readouterr().err
        assert self.look("--target", "2", model="zoo_for_the_command:digits") == 0
        assert "the model gives '2' " in capsys.readouterr().out

    def test_a_picture_has_a_row_for_each_class_and_the_regions(self, tmp_path: Path) -> None:
        pytest.importorskip("matplotlib")
        assert self.look("-o", "one.png") == self.look("-o", "two.png", "--top-labels", "2") == 0
        assert self.look("-o", "outlined.png", "--regions", "right.png") == 0
        sizes = {}
        for name in ("one", "two", "outlined"):
            with PILImage.open(tmp_path / f"{name}.png") as picture:
                sizes[name] = picture.size
                pixels = np.asarray(picture.convert("RGB"))
            if name == "one":
                plain = pixels
        assert sizes["two"][1] == pytest.approx(2 * sizes["one"][1], rel=0.1)
        assert pixels.shape != plain.shape or (pixels != plain).any()

    def test_another_method_is_asked(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        assert self.look("--target", "dog", "--opinion", "occlusion", "-o", "a.json") == 0
        assert "occlusion" in capsys.readouterr().out
        look = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
        assert len(look["classes"][0]["opinions"]["occlusion"]) == 9

    def test_small_weights_keep_their_digits(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.look("--target", "dog") == 0
        rows = [line.split() for line in capsys.readouterr().out.splitlines() if "Box(" in line]
        assert rows
        assert all(row[1].lstrip("+−") not in ("0", "0.000") for row in rows)

    @pytest.mark.parametrize("arguments", [[], ["--quiet"]])
    def test_a_bar_shows_how_far_it_is_on_a_terminal(
        self, arguments: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        assert self.look("--option", "sampler=bernoulli", "--option", "samples=100", *arguments) == 0
        assert ("sample/s" in terminal.getvalue()) == (not arguments)


def test_without_an_output_nothing_is_said_and_nothing_breaks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["show", str(folder)]) == 0
