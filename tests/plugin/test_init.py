"""`pytest-lime init`: each starter suite passes as it is written, offline, and for the reason that it gives."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest

from pytest_lime.cli import main
from pytest_lime.starters.writer import KINDS

Run = Callable[..., pytest.RunResult]
Report = Callable[..., dict[str, dict[str, Any]]]
HEAD = "looks/test_where_it_looks.py::test_the_cat_is_recognised_by_its_head"
BACKGROUND = "looks/test_where_it_looks.py::test_the_background_does_not_matter"


@pytest.fixture(scope="session")
def _libraries(request: pytest.FixtureRequest) -> None:
    """Import what the suites import, since pytester forgets what is first imported in its test, and some of it can be
    imported only once.
    """
    if find_spec("torchvision"):
        request.getfixturevalue("torchvision")
    if find_spec("timm"):
        import_module("timm")
    if find_spec("transformers"):
        transformers = import_module("transformers")
        _ = transformers.ResNetConfig, transformers.ResNetForImageClassification, transformers.ViTImageProcessor


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, _libraries: None, pytester: pytest.Pytester) -> str:
    """A kind of model whose library is there, with its suite in the folder looks."""
    kind = str(request.param)
    pytest.importorskip(KINDS[kind].package)
    assert main(["init", str(pytester.path / "looks"), "--model", kind]) == 0
    return kind


@pytest.fixture
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError("a starter suite needs no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def verdicts(record: dict[str, Any]) -> dict[str, str]:
    return {claim["claim"]: claim["status"] for claim in record["claims"]}


@pytest.mark.slow
@pytest.mark.usefixtures("_offline")
@pytest.mark.parametrize("mode", ["bare"], indirect=True)
def test_a_starter_suite_passes_and_decides(kind: str, run: Run, report: Report) -> None:
    result = run("looks", "--lime-report=lime-report", "--lime-inconclusive=fail", "-W", "error")
    assert result.ret == 0
    outcomes = result.parseoutcomes()
    records = report()
    # Each test makes one check, those of the YAML file too.
    assert outcomes == {"passed": len(records)}
    assert {record["status"] for record in records.values()} == {"pass"}
    head, background = (next(r for r in records.values() if r["test"] == test) for test in (HEAD, BACKGROUND))
    assert verdicts(head) == {"predicted": "pass", "mass": "pass"}
    assert verdicts(background) == {"no_reliance": "pass"}
    assert head["target"]["label"] == "cat"


@pytest.mark.slow
def test_it_runs_in_a_process_of_its_own(pytester: pytest.Pytester) -> None:
    folder = pytester.path / "looks"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    # What the command says to run, with its own names of the commands.
    for arguments in (["pytest_lime", "init", "looks"], ["pytest", "looks"]):
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=pytester.path,
            env=environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "lime-report" not in {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("mode", ["bare"], indirect=True)
def test_another_model_that_looks_elsewhere_fails(run: Run, pytester: pytest.Pytester) -> None:
    assert main(["init", str(pytester.path / "looks")]) == 0
    conftest = pytester.path / "looks" / "conftest.py"
    text = conftest.read_text(encoding="utf-8")
    # The same network, asked about the class that it gives where there are no spots.
    assert text.count('labels=["cat", "other"]') == 1
    conftest.write_text(text.replace('labels=["cat", "other"]', 'labels=["other", "cat"]'), encoding="utf-8")
    result = run("looks")
    assert result.parseoutcomes()["failed"] >= 1
    result.stdout.fnmatch_lines(["E*ClaimFailed: *about 'cat' in 'cat.jpg' failed."])
