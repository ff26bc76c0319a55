"""Packages of the extras: there, missing, or broken."""

import json
import json.decoder
import sys
from pathlib import Path

import pytest

from pytest_lime import OptionError
from pytest_lime.extras import require


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages; what is imported from it is forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return tmp_path


def test_a_package_that_is_there_is_imported() -> None:
    assert require("json", extra="onnx", needed_for="OnnxModel") is json
    assert require("json.decoder", extra="onnx", needed_for="OnnxModel") is json.decoder


@pytest.mark.parametrize("module", ["no_such_package", "no_such_package.inner"])
def test_a_missing_one_names_the_pip_command(module: str) -> None:
    with pytest.raises(OptionError) as caught:
        require(module, extra="onnx", needed_for="OnnxModel")
    assert str(caught.value) == (
        "OnnxModel needs no_such_package, which is not installed: pip install 'pytest-lime[onnx]'."
    )
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_neighbour", "ModuleNotFoundError: No module named 'no_such_neighbour'"),
        ("from json import no_such_name", "ImportError: cannot import name 'no_such_name' from 'json'"),
        (
            "raise RuntimeError('operator lime::nms\\nis not there.')",
            "RuntimeError: operator lime::nms is not there",
        ),
        ("raise AttributeError('no float')", "AttributeError: no float"),
        ("import lime_broken.inner", "No module named 'lime_broken.inner'; 'lime_broken' is not a package"),
    ],
)
def test_a_broken_one_says_why(source: str, reason: str, folder: Path) -> None:
    (folder / "lime_broken.py").write_text(source, encoding="utf-8")
    with pytest.raises(OptionError) as caught:
        require("lime_broken", extra="timm", needed_for="TimmModel")
    message = str(caught.value)
    assert message.startswith("TimmModel needs lime_broken, which is installed and cannot be imported (")
    assert reason in message
    assert message.endswith("with pip install --upgrade 'pytest-lime[timm]'.")
    assert "\n" not in message
    assert caught.value.__cause__ is not None
