"""Small pytest projects of a user's kind, written to a folder and run in processes of their own."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import subjects
from benchmarks.measuring import ROOT, surroundings

# Python's next search through all objects of PyTorch takes a tenth of a second, and it is chance where that falls.
CONFTEST = """\
import gc

import pytest
from subjects import network


@pytest.fixture(scope="session")
def lime_model():
    model = network()
    gc.collect()
    return model
"""
TEST = """\
import json
import time
from pathlib import Path

from pytest_lime import Polygon, mass
from subjects import find

CAT = find("chelsea.png")
HEAD = Polygon([(40, 0), (400, 0), (363, 120), (318, 225), (285, 275), (190, 275), (100, 235), (35, 150)])
"""
CHECK = """

def test_{number}(lime):
    began = time.time()
    check = lime.check(CAT, "Egyptian cat", mass(~HEAD, at_most=0.5), {options})
    times = {{"began": began, "ended": time.time(), "samples": check.explanation.samples}}
    (Path(__file__).parent / "{number}.times").write_text(json.dumps(times))
"""
EMPTY = """\
def test_nothing():
    pass
"""


class Run(NamedTuple):
    """One run of pytest.

    Attributes
    ----------
    seconds : float
        From the start of the process to its end.
    checks : float
        From the beginning of the first check to the end of the last.
    samples : int
        Of all checks.
    """

    seconds: float
    checks: float
    samples: int


def write(folder: Path, *, checks: int, options: list[str]) -> None:
    """Write a project of so many checks, each with its own text of options."""
    (folder / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    shutil.copy(subjects.__file__, folder)
    tests = "".join(CHECK.format(number=number, options=options[number]) for number in range(checks))
    (folder / "test_cat.py").write_text(TEST + tests, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")


@functools.cache
def _check_installed() -> None:
    """Raise a RuntimeError where a project of a user's would import another package than lies here."""
    here, installed = ROOT / "pytest_lime", Path(sysconfig.get_path("purelib")) / "pytest_lime"
    sources = [{path.relative_to(each): path.read_bytes() for path in each.rglob("*.py")} for each in (here, installed)]
    # One that is installed to be edited is not there.
    if sources[1] and sources[0] != sources[1]:
        raise RuntimeError(f"{installed} is not {here}; run `make bench`, or install it anew")


def run(folder: Path, *arguments: str) -> Run:
    """Run the project's checks.

    Raises
    ------
    RuntimeError
        They failed.
    """
    for old in folder.glob("*.times"):
        old.unlink()
    seconds = pytest_seconds(folder, "-q", *arguments)
    times: list[dict[str, Any]] = [json.loads(path.read_text()) for path in folder.glob("*.times")]
    checks = max(one["ended"] for one in times) - min(one["began"] for one in times)
    return Run(seconds, checks, sum(one["samples"] for one in times))


def without_others(*kept: str) -> list[str]:
    """Return arguments that leave out the other plugins that are installed, but for `kept`: noise, that users lack."""
    names = {point.name for point in importlib.metadata.entry_points(group="pytest11")} - {"lime", *kept}
    return [word for name in sorted(names) for word in ("-p", f"no:{name}")]


def pytest_seconds(folder: Path, *arguments: str) -> float:
    """Return the seconds that ``pytest`` takes in a folder, from the start of the process to its end.

    Raises
    ------
    RuntimeError
        It ends with an error, or what is installed is not the package that lies here.
    """
    _check_installed()
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=folder,
        env=surroundings(PYTHONPATH=""),
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"pytest {' '.join(arguments)} in {folder}: {(done.stdout + done.stderr)[-2000:]}")
    return seconds
