"""The recipes of docs/ci.md: their files are YAML, and their commands run on a starter suite."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_lime.cli import main
from pytest_lime.records import read_results

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "ci.md"
BLOCKS = re.findall(r"^```(yaml|ini|console)\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
FILES = {text.partition("\n")[0].removeprefix("# "): text for kind, text in BLOCKS if kind != "console"}


def commands(node: Any) -> list[str]:
    """Return all runs of pytest in a pipeline."""
    if isinstance(node, dict):
        return [one for value in node.values() for one in commands(value)]
    if isinstance(node, list):
        return [one for value in node for one in commands(value)]
    return [node] if isinstance(node, str) and node.startswith("pytest ") else []


PIPELINES = {name: yaml.safe_load(text) for name, text in FILES.items() if name.startswith(".")}
COMMANDS = [one for pipeline in PIPELINES.values() for one in commands(pipeline)]
CONSOLES = [[line[2:] for line in text.splitlines() if line[:2] == "$ "] for kind, text in BLOCKS if kind == "console"]
# That of the shards is a sequence, and run as one.
(SHARDS,) = [lines for lines in CONSOLES if len(lines) > 1]
COMMANDS += [line for lines in CONSOLES if len(lines) == 1 for line in lines]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A starter suite in `tests`, and the files of the page."""
    folder = tmp_path_factory.mktemp("project")
    assert main(["init", str(folder / "tests")]) == 0
    for name, text in FILES.items():
        folder.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
        folder.joinpath(name).write_text(text, "utf-8")
    return folder


def run(project: Path, command: str, *more: str, marks: str = "smoke") -> str:
    program, *arguments = shlex.split(command.replace("${{ matrix.marks }}", marks))
    assert program == "pytest"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments, *more], cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_pipelines_name_what_they_must() -> None:
    github, gitlab = PIPELINES[".github/workflows/lime.yaml"], PIPELINES[".gitlab-ci.yml"]
    steps = github["jobs"]["lime"]["steps"]
    # "on" is a boolean in YAML 1.1, and a key to GitHub.
    assert set(github[True]) == {"pull_request", "schedule"}
    assert all(("uses" in step) != ("run" in step) for step in steps)
    assert gitlab["lime"]["artifacts"]["reports"]["junit"] == "junit.xml"
    assert len(COMMANDS) == 5


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_finds_its_tests(command: str, project: Path) -> None:
    assert "tests/test_smoke.lime.yaml::the cat is" in run(
        project, command, "--collect-only", "-q", "-p", "no:cacheprovider"
    )


def test_the_smoke_run(project: Path) -> None:
    (command,) = [one for one in COMMANDS if "-m smoke" in one]
    said = run(project, command)
    assert "1 passed, 3 deselected" in said
    assert (project / "junit.xml").exists()
    assert any((project / ".lime-cache").iterdir())


def test_the_gitlab_run_names_pictures_of_failures(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (command,) = [one for one in COMMANDS if "junit_logging" in one]
    monkeypatch.delenv("CI_PROJECT_DIR", raising=False)
    (project / "tests" / "test_bad.lime.yaml").write_text(
        FILES["tests/test_smoke.lime.yaml"].replace("at_least: 0.8", "at_most: 0.01").replace("smoke", "bad"), "utf-8"
    )
    try:
        subprocess.run(
            [sys.executable, "-m", *shlex.split(command), "-k", "test_bad", "-o", "markers=bad"],
            cwd=project,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        (project / "tests" / "test_bad.lime.yaml").unlink()
    (path,) = re.findall(r"\[\[ATTACHMENT\|(.+?)\]\]", (project / "junit.xml").read_text("utf-8"))
    (paths,) = [PIPELINES[".gitlab-ci.yml"]["lime"]["artifacts"]["paths"]]
    assert path.split("/")[0] in paths
    assert (project / path).is_file()


def test_shards_are_merged(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    *shards, merge = SHARDS
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project / "summary.md"))
    for command in shards:
        run(project, command)
    monkeypatch.chdir(project)
    program, *arguments = shlex.split(merge)
    assert program == "pytest-lime"
    (project / "summary.md").unlink()
    assert main(arguments) == 0
    assert read_results(project / "lime-report")["run"]["exit"] == "finished"
    assert [source["name"] for source in read_results(project / "lime-report")["sources"]] == [
        "shard-rest",
        "shard-smoke",
    ]
    assert (project / "summary.md").read_text("utf-8").startswith("## Where the model looks: ")


def test_pytest_html_shows_verdicts(project: Path) -> None:
    pytest.importorskip("pytest_html")
    (command,) = [one for one in COMMANDS if "--html" in one]
    run(project, command, "-m", "smoke")
    page = (project / "tests.html").read_text("utf-8")
    assert page.count("PASS&lt;/b&gt;") == 1
