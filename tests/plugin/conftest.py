"""Runs of pytest inside a test, three ways: bare, with ``-n0`` and with two workers of pytest-xdist."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import PIL.Image
import pytest

PREFORK = Path(__file__).with_name("prefork.py")
CONFTEST = """
    import pytest
    from pytest_lime.testing import FakeModel

    @pytest.fixture(scope="session")
    def lime_model():
        return FakeModel()
    """
# Counts the batches that the model gets.
RECORDING = """
    import pytest
    from pathlib import Path
    from pytest_lime.testing import FakeModel

    class Recording(FakeModel):
        fingerprint = "recording"

        def predict(self, batch):
            with Path(__file__).with_name("sizes.txt").open("a") as file:
                print(len(batch), file=file)
            return super().predict(batch)

    @pytest.fixture(scope="session")
    def lime_model():
        return Recording()
    """
# FakeModel sees a bird, with 0.4, in this picture; "cat" is its last guess and lies anywhere but in CORNER.
PRELUDE = """\
import numpy as np
import pytest
from pytest_lime import Box, mass, pointing, predicted, top_overlap, whole

IMAGE = np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype("uint8")
CORNER = Box(0, 0, 8, 8)
HOLDS = mass(whole(), at_least=0.9)
FAILS = mass(CORNER, at_least=0.9)

"""


@pytest.fixture(scope="session")
def _warm() -> None:
    """Import everything and explain once.

    pytester forgets what is first imported in an inner run, and the next one would import it anew: slow for scipy, and
    more than compiled modules are made for.
    """
    for name in ("checker", "report.method", "report.render", "suites.collecting", "testing"):
        import_module(f"pytest_lime.{name}")
    for name in ("scipy.optimize", "scipy.stats", "cmap.data.colorbrewer"):
        import_module(name)
    PIL.Image.init()
    from pytest_lime import explain  # noqa: PLC0415  (heavy, and only some of the tests get here)
    from pytest_lime.testing import FakeModel  # noqa: PLC0415

    explain(FakeModel(), np.zeros((32, 32, 3), dtype="uint8"), samples=10)


@pytest.fixture(scope="session")
def _worker_python() -> Iterator[str]:
    """Return a stand-in for the interpreter that starts workers fast, where processes fork safely."""
    if not sys.platform.startswith("linux"):
        yield sys.executable
        return
    # Not pytest's own folder: the path of a socket may hold about 100 characters.
    folder = Path(tempfile.mkdtemp(prefix="lime"))
    address = folder / "s"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    server = subprocess.Popen(
        [sys.executable, str(PREFORK), "serve", str(address)], stdout=subprocess.PIPE, env=environment
    )
    try:
        with server, folder.joinpath("python").open("w") as launcher:
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n"
            launcher.write(f'#!/bin/sh\nexec "{sys.executable}" -SE "{PREFORK}" start "{address}" "$@"\n')
            launcher.close()
            Path(launcher.name).chmod(0o755)
            yield launcher.name
            server.terminate()
    finally:
        shutil.rmtree(folder)


# What fails with workers, or with pytest-xdist that has none, mostly fails bare, too; but for the files whose subject
# is what workers do.
@pytest.fixture(params=["bare", *(pytest.param(other, marks=pytest.mark.slow) for other in ("-n0", "-n2"))])
def mode(request: pytest.FixtureRequest) -> str:
    """How the inner run goes."""
    return str(request.param)


@pytest.fixture
def run(
    mode: str, _warm: None, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Callable[..., pytest.RunResult]:
    """Run pytest with the given arguments in the test's own folder."""
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID"):
        monkeypatch.delenv(name, raising=False)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    if mode == "-n2":
        monkeypatch.setattr(sys, "executable", request.getfixturevalue("_worker_python"))

    def run_once(*arguments: str) -> pytest.RunResult:
        with warnings.catch_warnings():
            # The inner run judges warnings by its own configuration, not by ours.
            warnings.resetwarnings()
            warnings.simplefilter("default")
            # Plugins of others, which no test here is about, would be imported anew by each inner run and worker.
            others = ["hypothesispytest", "anyio"]
            if not any(argument.startswith("--html") for argument in arguments):
                others += ["html", "metadata"]
            # It begins a thread, with a socket, that nothing ends.
            if not any(argument.startswith("--reruns") for argument in arguments):
                others += ["rerunfailures"]
            how = [*(f"-pno:{name}" for name in others), *([] if mode == "bare" else [mode])]
            result = pytester.runpytest_inprocess(*how, *arguments)
        broken = [line for line in result.outlines if line.startswith("INTERNALERROR>")]
        # Its end says what broke, and stands far below what pytest shows of the output.
        assert not broken, "\n".join(broken[-8:])
        return result

    return run_once


@pytest.fixture
def suite(pytester: pytest.Pytester) -> Callable[..., Path]:
    """Write a test file that begins with `PRELUDE`, and a conftest.py with a model."""
    pytester.makeconftest(CONFTEST)

    def write(source: str, name: str = "test_it.py") -> Path:
        path = pytester.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PRELUDE + dedent(source), encoding="utf-8")
        return path

    return write


@pytest.fixture
def report(pytester: pytest.Pytester) -> Callable[..., dict[str, dict[str, Any]]]:
    """Read the report, check that it is whole, and return its records by test and number of the check."""

    def read(folder: str | Path = "lime-report") -> dict[str, dict[str, Any]]:
        place = pytester.path / folder
        results = json.loads((place / "results.json").read_text(encoding="utf-8"))
        assert (results["format"], results["version"]) == ("pytest-lime", 2)
        page = (place / "index.html").read_text(encoding="utf-8")
        named = set()
        for record in results["records"]:
            assert f'id="{record["id"]}"' in page
            named |= {place / path for path in record["pictures"].values()}
        files = {path for path in place.rglob("*") if path.is_file()}
        assert {path for path in files if path.parent.name == "images"} == named
        assert [path for path in files if path.name.startswith(".")] == []
        return {f"{record['test'].partition('::')[2]}#{record['check']}": record for record in results["records"]}

    return read


@pytest.fixture
def insides() -> Callable[[pytest.RunResult], list[str]]:
    """Return the lines of a run's output that show a file of pytest-lime."""

    def find(result: pytest.RunResult) -> list[str]:
        return [line for line in result.outlines + result.errlines if re.search(r"pytest_lime[/\\][\w/\\]*\.py", line)]

    return find


@pytest.fixture
def sizes(suite: Callable[..., None], pytester: pytest.Pytester) -> Callable[[], list[int]]:
    """Let the model record its batches, and return their sizes since the last call."""
    # After the suite's own model.
    pytester.makeconftest(RECORDING)

    def take() -> list[int]:
        path = pytester.path / "sizes.txt"
        found = [int(line) for line in path.read_text().split()] if path.exists() else []
        path.unlink(missing_ok=True)
        return found

    return take
