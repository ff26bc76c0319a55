"""What `pytest-lime init` writes, and when it writes nothing. That the suites pass is in tests/plugin/test_init.py."""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
from importlib import import_module, resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as PILImage

import pytest_lime
from pytest_lime.cli import main
from pytest_lime.records import write_atomically
from pytest_lime.starters.writer import KINDS

SUITE = ["conftest.py", "images/cat.jpg", "test_where_it_looks.lime.yaml", "test_where_it_looks.py"]
FILES = {kind: sorted([*SUITE, *(["spots.onnx"] if kind == "onnx" else [])]) for kind in KINDS}
PAGE = Path(__file__).parents[2] / "docs" / "starting.md"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def source(kind: str, name: str = "conftest.py") -> str:
    assert main(["init", "there", "--model", kind, "--force"]) == 0
    return Path("there", name).read_text(encoding="utf-8")


class TestWritten:
    @pytest.mark.parametrize("kind", KINDS)
    def test_the_files_and_what_to_do_next(
        self, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
        assert main(["init", "new/folder", "--model", kind]) == 0
        out, err = capsys.readouterr()
        folder = Path("new", "folder")
        assert err == ""
        assert sorted(tree(tmp_path / folder)) == FILES[kind]
        lines = out.splitlines()
        written = [Path(line.removeprefix("written: ")) for line in lines if line.startswith("written: ")]
        assert sorted(path.relative_to(folder).as_posix() for path in written) == FILES[kind]
        assert lines[len(written) :] == [
            f"run:    pytest {folder}",
            f"next:   let make_model in {folder / 'conftest.py'} return your own model; what is there is a stand-in",
            f"then:   put your own images into {folder / 'images'}, and what they must show into the tests",
            "pages:  docs/starting.md and README.md of pytest-lime",
        ]

    def test_torch_and_this_folder_unless_told_otherwise(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "mine.txt").write_text("kept")
        assert main(["init"]) == 0
        assert "run:    pytest .\n" in capsys.readouterr().out
        assert sorted(tree(tmp_path)) == sorted([*FILES["torch"], "mine.txt"])
        assert "TorchModel" in (tmp_path / "conftest.py").read_text(encoding="utf-8")

    @pytest.mark.parametrize("name", ["Prüfungen für Katzen", "猫", "it's"])
    def test_folders_of_any_name(self, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["init", name]) == 0
        assert sorted(tree(tmp_path / name)) == FILES["torch"]
        told = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("run: "))
        if os.name == "posix":
            shown = subprocess.run(
                ["sh", "-c", told.partition("pytest ")[2].join(["printf %s ", ""])], capture_output=True, check=True
            )
            assert shown.stdout.decode() == name

    @pytest.mark.parametrize(("kind", "package"), [("onnx", "onnxruntime"), ("timm", "timm")])
    def test_a_missing_extra_is_told_and_the_suite_is_written_all_the_same(
        self,
        kind: str,
        package: str,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else object())
        assert main(["init", "--model", kind]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        assert f"first:  pip install 'pytest-lime[{kind}]'   ({package} is not installed)\n" in out
        assert sorted(tree(tmp_path)) == FILES[kind]

    def test_nothing_heavy_is_imported(self, tmp_path: Path) -> None:
        code = (
            "import sys; from pytest_lime.cli import main; main(['init', '--model', 'timm'])\n"
            "heavy = {'torch', 'numpy', 'PIL', 'yaml', 'timm'} & set(sys.modules); assert not heavy, heavy"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.stderr, done.returncode) == ("", 0)

    @pytest.mark.skipif(os.name != "posix", reason="modes of files")
    def test_the_files_are_as_readable_as_any_other(self, tmp_path: Path) -> None:
        (tmp_path / "other").touch()
        assert main(["init"]) == 0
        assert {(tmp_path / name).stat().st_mode for name in [*SUITE, "other"]} == {(tmp_path / "other").stat().st_mode}


class TestRefused:
    @pytest.mark.parametrize(
        ("taken", "kind"), [("conftest.py", "torch"), ("images/cat.jpg", "timm"), ("spots.onnx", "onnx")]
    )
    def test_what_is_there_is_named_and_kept_and_nothing_is_written(
        self, taken: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / taken
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
        assert main(["init", "--model", kind]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err == (
            f"pytest-lime: {str(Path(taken))!r} would be replaced, so nothing was written; give another folder, or "
            "--force to replace what is there.\n"
        )
        assert tree(tmp_path) == {taken: b"mine"}

    def test_all_that_is_there_is_named(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["init"]) == 0
        before = tree(tmp_path)
        capsys.readouterr()
        assert main(["init", "--model", "sklearn"]) == 2
        err = capsys.readouterr().err
        assert all(repr(str(Path(name))) in err for name in SUITE)
        assert tree(tmp_path) == before

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--model", "pytorch"], "--model 'pytorch' must be one of torch, onnx, sklearn, huggingface, timm; the "
             "nearest is 'torch'."),
            (["--model", "scikit-learn"], "the nearest is 'sklearn'."),
            (["--model", "Timm"], "the nearest is 'timm'."),
            (["--model", ""], "--model '' must be one of torch, "),
            (["file"], "'file' is no folder; give one, which may be new."),
            (["file/inner"], "cannot be written, so nothing was: "),
            (["--force", "full"], "'full/images/cat.jpg' cannot be written, so nothing was: "),
            (["full"], "'full/images/cat.jpg' would be replaced"),
        ],
    )  # fmt: skip
    def test_mistakes_are_told_in_a_line(
        self, arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "file").touch()
        (tmp_path / "full/images/cat.jpg").mkdir(parents=True)
        before = sorted(tmp_path.rglob("*"))
        assert main(["init", *arguments]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("pytest-lime: ")
        assert err.count("\n") == 1
        assert words in err.replace("\\\\", "/")
        assert sorted(tmp_path.rglob("*")) == before

    @pytest.mark.skipif(os.name != "posix", reason="links and pipes")
    def test_what_is_no_file_is_never_replaced(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        os.mkfifo(tmp_path / "test_where_it_looks.py")
        assert main(["init", "--force"]) == 2
        assert (
            "'test_where_it_looks.py' cannot be written, so nothing was: Not a regular file." in capsys.readouterr().err
        )
        assert [path.name for path in tmp_path.iterdir()] == ["test_where_it_looks.py"]
        assert (tmp_path / "test_where_it_looks.py").is_fifo()

    @pytest.mark.skipif(os.name != "posix", reason="links and pipes")
    def test_a_link_that_leads_nowhere_is_there(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "conftest.py").symlink_to("nowhere.py")
        assert main(["init"]) == 2
        assert "'conftest.py' would be replaced" in capsys.readouterr().err
        assert main(["init", "--force"]) == 0
        assert (tmp_path / "conftest.py").is_symlink()
        assert "TorchModel" in (tmp_path / "nowhere.py").read_text(encoding="utf-8")

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="nothing is forbidden to the superuser")
    def test_a_folder_that_cannot_be_written_to(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "locked").mkdir(mode=0o555)
        assert main(["init", "locked"]) == 2
        assert "'locked/conftest.py' cannot be written, so nothing was: Permission denied." in capsys.readouterr().err


class TestAllOrNothing:
    @pytest.fixture
    def full(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No space is left for the photograph, which comes last."""

        def write(path: Path, data: bytes) -> None:
            if path.name == "cat.jpg" and data[:2] == b"\xff\xd8":
                path.parent.mkdir(parents=True, exist_ok=True)
                raise OSError(28, "No space left on device", f"{path}.temporary")
            write_atomically(path, data)

        monkeypatch.setattr("pytest_lime.starters.writer.write_atomically", write)

    @pytest.mark.usefixtures("full")
    @pytest.mark.parametrize("folder", [".", "new/folder"])
    def test_what_was_written_before_an_error_is_taken_back(
        self, folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["init", folder]) == 2
        out, err = capsys.readouterr()
        place = str(Path(folder, "images", "cat.jpg"))
        assert (out, err) == (
            "",
            f"pytest-lime: {place!r} cannot be written, so nothing was: No space left on device.\n",
        )
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.usefixtures("full")
    def test_what_was_replaced_before_an_error_is_restored(self, tmp_path: Path) -> None:
        for name in ("conftest.py", "images/cat.jpg", "images/own.txt", "other.py"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(f"my {name}")
        before = tree(tmp_path)
        assert main(["init", "--force"]) == 2
        assert tree(tmp_path) == before

    def test_force_replaces_the_files_of_the_suite_and_nothing_else(self, tmp_path: Path) -> None:
        assert main(["init", "--model", "onnx"]) == 0
        (tmp_path / "images" / "own.jpg").write_text("mine")
        assert main(["init", "--force"]) == 0
        assert sorted(tree(tmp_path)) == sorted([*FILES["onnx"], "images/own.jpg"])
        assert "TorchModel" in (tmp_path / "conftest.py").read_text(encoding="utf-8")
        assert (tmp_path / "images" / "own.jpg").read_text() == "mine"


class TestContents:
    @pytest.mark.parametrize("kind", KINDS)
    def test_each_conftest_has_a_model_a_fixture_and_examples(self, kind: str) -> None:
        text = source(kind)
        module = ast.parse(text)
        functions = [node.name for node in module.body if isinstance(node, ast.FunctionDef)]
        assert functions[:2] == ["make_model", "lime_model"]
        (adapter,) = [name for name in ("TorchModel", "OnnxModel", "SklearnModel", "HuggingFaceModel", "TimmModel")
                      if f"    from pytest_lime import {name}  # here" in text]  # fmt: skip
        commented = [line.strip() for line in text.splitlines() if line.strip().startswith("#     ")]
        assert sum(f"return {adapter}" in line for line in commented) >= 2
        extra = KINDS[kind].extra
        assert extra is None or f"pip install 'pytest-lime[{extra}]'" in text

    @pytest.mark.parametrize(
        ("kinds", "options"),
        [
            pytest.param(list(KINDS), ["--collect-only"], id="collected"),
            pytest.param(["torch"], ["-n2"], id="workers", marks=pytest.mark.slow),
        ],
    )
    def test_nothing_heavy_is_imported_where_the_model_is_not_asked(
        self, kinds: list[str], options: list[str], tmp_path: Path
    ) -> None:
        for kind in kinds:
            assert main(["init", "--model", kind, f"with-{kind}"]) == 0
        arguments = [
            *(f"with-{kind}" for kind in kinds),
            *options,
            "-p",
            "no:cacheprovider",
            "--import-mode=importlib",
            "--rootdir=.",
        ]
        heavy = {"torch", "sklearn", "timm", "transformers", "onnxruntime"}
        code = (
            f"import sys, pytest; assert pytest.main({arguments!r}) == 0\n"
            f"heavy = {heavy!r} & set(sys.modules); assert not heavy, heavy"
        )
        environment = {**os.environ, "PYTHONPATH": str(Path(pytest_lime.__file__).parents[1])}
        environment.pop("PYTEST_ADDOPTS", None)
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_examples_are_code_that_python_reads(self, kind: str) -> None:
        body = next(
            node
            for node in ast.parse(source(kind)).body
            if isinstance(node, ast.FunctionDef) and node.name == "make_model"
        )
        lines = source(kind).splitlines()[body.lineno : body.end_lineno]
        comments = [line.strip().removeprefix("#") for line in lines if line.strip().startswith("#")]
        examples, block = [], []
        for line in [*comments, ""]:
            if line.startswith("     "):
                block.append(line.removeprefix("     "))
            elif block:
                examples.append("\n    ".join(["def make_model():", *block]))
                block = []
        assert len(examples) >= 2
        for example in examples:
            compile(example, "example", "exec")

    def test_the_text_is_narrow_and_ends_with_one_line_break(self) -> None:
        files = [file for file in resources.files("pytest_lime.starters").iterdir() if file.name.endswith(".txt")]
        assert len(files) == len(KINDS) + 3
        for file in files:
            text = file.read_bytes().decode("utf-8")
            assert "\r" not in text
            assert "\t" not in text
            assert text.endswith("\n")
            assert not text.endswith("\n\n")
            assert max(map(len, text.splitlines())) <= 120

    def test_yaml_asks_what_python_asks(self) -> None:
        suite = import_module("yaml").safe_load(source("torch", "test_where_it_looks.lime.yaml"))
        module = ast.parse(source("torch", "test_where_it_looks.py"))
        # The call of lime.check in the first test, and what HEAD is.
        calls = [node for node in ast.walk(module) if isinstance(node, ast.Call)]
        first = next(call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "check")
        head = next(call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Box")
        bound = next(word.value for call in calls for word in call.keywords if word.arg == "at_least")
        assert suite["version"] == 1
        assert suite["regions"] == {"head": {"box": [ast.literal_eval(value) for value in head.args]}}
        (test,) = suite["tests"]
        assert test["target"] == ast.literal_eval(first.args[1])
        assert Path("there", test["images"]).is_file()
        assert f"test_{test['name'].replace(' ', '_')}" == "test_the_cat_is_recognised_by_its_head"
        assert test["expect"] == [
            {"predicted": {"rank": 1}},
            {"mass": {"region": "head", "at_least": ast.literal_eval(bound)}},
        ]

    def test_the_head_has_less_of_the_picture_than_of_the_weight(self) -> None:
        text = source("torch", "test_where_it_looks.py")
        with PILImage.open("there/images/cat.jpg") as picture:
            assert (picture.size, picture.format, picture.mode) == ((300, 200), "JPEG", "RGB")
        assert "300×200 pixels" in text
        assert "69 % of the picture" in text
        assert round((245 - 20) * 185 / (300 * 200), 2) == 0.69

    def test_the_photograph_is_small_and_says_whose_it_is(self) -> None:
        source("torch")
        here = resources.files("pytest_lime.starters")
        photograph = here.joinpath("cat.jpg").read_bytes()
        assert len(photograph) < 40_000
        assert Path("there/images/cat.jpg").read_bytes() == photograph
        words = here.joinpath("cat.jpg.txt").read_text(encoding="utf-8")
        assert all(word in words for word in ("Stéfan van der Walt", "CC0", "skimage.data.chelsea"))

    def test_the_photograph_is_that_of_scikit_image(self) -> None:
        data = pytest.importorskip("skimage.data")
        expected = PILImage.fromarray(data.chelsea()).resize((300, 200), PILImage.Resampling.LANCZOS)
        with PILImage.open(str(resources.files("pytest_lime.starters") / "cat.jpg")) as picture:
            difference = np.asarray(picture, dtype=float) - np.asarray(expected, dtype=float)
        # What JPEG at quality 85 leaves out.
        assert np.abs(difference).mean() < 4


def make_spots() -> Any:
    """Return the stand-in in the ONNX format: the same network as that of torch.

    To renew the file::

        python -c "from tests.unit.test_starters import write_spots; write_spots()"
    """
    from onnx import TensorProto, checker, helper, numpy_helper  # noqa: PLC0415  (only some of the tests need it)

    spot = np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]], dtype=np.float32) / 3
    weights: dict[str, NDArray[np.float32]] = {
        "spots": np.stack([np.stack([sign * spot] * 3) for sign in (1, -1)]),
        "faint": np.full(2, -0.05, dtype=np.float32),
        "many": np.array([[160, 160], [-160, -160]], dtype=np.float32),
        "few": np.array([-1.5, 1.5], dtype=np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["images", "spots", "faint"], ["found"]),
            helper.make_node("Relu", ["found"], ["strong"]),
            helper.make_node("GlobalAveragePool", ["strong"], ["mean"]),
            helper.make_node("Flatten", ["mean"], ["counts"]),
            helper.make_node("Gemm", ["counts", "many", "few"], ["logits"], transB=1),
        ],
        "spots",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, 100, 150])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 2])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    # Old enough for every onnxruntime that the extra allows.
    opset = [helper.make_opsetid("", 13)]
    model = helper.make_model(graph, producer_name="pytest-lime", ir_version=8, opset_imports=opset)
    checker.check_model(model)
    return model


def write_spots() -> None:
    Path("pytest_lime/starters/spots.onnx").write_bytes(make_spots().SerializeToString())


def test_the_onnx_stand_in_is_what_its_script_makes() -> None:
    onnx = pytest.importorskip("onnx")
    source("onnx")
    assert onnx.load("there/spots.onnx") == make_spots()
    assert Path("there/spots.onnx").stat().st_size < 1000


class TestPage:
    def test_it_shows_what_the_command_prints(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
        assert main(["init", "looks"]) == 0
        out = capsys.readouterr().out.replace("\\", "/")
        assert f"$ pytest-lime init looks\n{out}" in PAGE.read_text(encoding="utf-8")

    @pytest.mark.parametrize("kind", KINDS)
    def test_every_kind_has_its_section(self, kind: str) -> None:
        page = PAGE.read_text(encoding="utf-8")
        assert f"`--model {kind}`" in page
        extra = KINDS[kind].extra
        assert extra is None or f"pip install 'pytest-lime[{extra}]'" in page

    def test_its_code_is_code(self) -> None:
        parts = PAGE.read_text(encoding="utf-8").split("```python\n")[1:]
        assert len(parts) >= len(KINDS)
        for part in parts:
            compile(part.partition("```")[0], str(PAGE), "exec")
