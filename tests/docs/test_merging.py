"""The recipe of docs/merging.md: its pipeline is YAML, and its commands run on a starter suite."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pytest_lime.cli import main

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "merging.md"
BLOCKS = re.findall(r"^```(yaml|console)\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
(PIPELINE,) = [yaml.safe_load(text) for kind, text in BLOCKS if kind == "yaml"]
COMMANDS = [line[2:] for kind, text in BLOCKS if kind == "console" for line in text.splitlines() if line[:2] == "$ "]
SHARDS = PIPELINE["jobs"]["lime"]["strategy"]["matrix"]["include"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    assert main(["init", str(tmp_path / "tests")]) == 0
    return tmp_path


def run(project: Path, command: str) -> str:
    program, *arguments = shlex.split(command)
    done = subprocess.run(
        [sys.executable, "-m", program.replace("-", "_"), *arguments],
        cwd=project, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_commands(project: Path) -> None:
    said = [run(project, command) for command in COMMANDS]
    assert "2 passed" in said[0]
    assert said[2].startswith("2 reports merged")
    assert "3 checks: 3 passed" in said[3]
    assert len(json.loads((project / "lime-report" / "results.json").read_text("utf-8"))["sources"]) == 2


def test_the_pipeline(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What it uploads is what it downloads, and its merge runs on what the shards leave."""
    shard, report = PIPELINE["jobs"]["lime"]["steps"], PIPELINE["jobs"]["report"]["steps"]
    assert PIPELINE["jobs"]["report"]["needs"] == "lime"
    assert all(("uses" in step) != ("run" in step) for step in [*shard, *report])
    uploaded, downloaded = shard[-1]["with"], report[2]["with"]
    assert uploaded["name"].startswith(downloaded["pattern"].removesuffix("*"))
    (tests,) = [step["run"] for step in shard if step.get("run", "").startswith("pytest ")]
    assert tests.endswith(f"--lime-report={uploaded['path']}")
    # Each shard's tests are there; what a run of them leaves is the subject of other tests.
    assert sorted(one["tests"] for one in SHARDS) == sorted(
        path.relative_to(project).as_posix() for path in (project / "tests").glob("test_*")
    )
    empty = '{"format": "pytest-lime", "version": 1, "records": []}'
    for one in SHARDS:
        folder = project / downloaded["path"] / uploaded["name"].replace("${{ matrix.shard }}", one["shard"])
        folder.mkdir(parents=True)
        (folder / "results.json").write_text(empty)
    (project / "shards" / "lime-shard-lost").mkdir()
    monkeypatch.chdir(project)
    (merge,) = [step["run"] for step in report if step.get("run", "").startswith("pytest-lime ")]
    assert main(shlex.split(merge)[1:]) == 0
    said, told = capsys.readouterr()
    assert "2 reports merged" in said
    assert "left out: 'shards/lime-shard-lost' holds no results.json" in told
    assert report[-1]["with"]["path"] in merge
