"""The pages that tell a story can be followed word by word in an empty folder, and print what they say."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

import pytest_lime

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
STORIES = ("docs/regression.md", "docs/acceptance.md", "docs/bias.md")
PROGRAMS = {"python": [], "pytest": ["-m", "pytest"], "pytest-lime": ["-m", "pytest_lime"]}
FENCE = re.compile(r"^```(python|yaml|ini|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# The first line of a file's block, which is part of it.
NAMED = re.compile(r"# ([\w./-]+\.(?:py|yaml|ini))\n")


def follow(page: Path, folder: Path) -> int:
    """Do what `page` says in `folder`, and return how many commands that were."""
    count = 0
    # The package that is tested, wherever it is.
    environment = {**os.environ, "PYTHONPATH": str(Path(pytest_lime.__file__).parents[1])}
    environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    for kind, text in FENCE.findall(page.read_text("utf-8")):
        name = NAMED.match(text)
        if kind != "console":
            assert name, f"{page.name}: a block of {kind} does not say which file it is: {text[:60]!r}"
            folder.joinpath(name[1]).parent.mkdir(parents=True, exist_ok=True)
            folder.joinpath(name[1]).write_text(text, "utf-8")
            continue
        for command, expected in commands(text):
            count += 1
            if command[0] == "cd":
                folder = folder / command[1]
                continue
            done = subprocess.run(
                [sys.executable, *PROGRAMS[command[0]], *command[1:]],
                cwd=folder, env=environment, capture_output=True, text=True, check=False,
            )  # fmt: skip
            said = (done.stdout + done.stderr).splitlines()
            assert_follows(said, expected, " ".join(command))
            failing = any(line.startswith("E ") for line in expected)
            assert (done.returncode != 0) == failing, "\n".join(said)
    return count


def commands(text: str) -> list[tuple[list[str], list[str]]]:
    """Return each command of a console, and the lines that it prints."""
    found: list[tuple[list[str], list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((shlex.split(line[2:], comments=True), []))
        elif line.strip():
            found[-1][1].append(line)
    return found


def assert_follows(said: list[str], expected: list[str], command: str) -> None:
    """Find the lines that are expected among those printed, in their order; … stands for anything, a space for some."""
    lines = iter([" ".join(line.split()) for line in said])
    for wanted in expected:
        pattern = "*" + re.sub(r"([\[\]*?])", r"[\1]", " ".join(wanted.split())).replace("…", "*") + "*"
        found = any(fnmatchcase(line, pattern) for line in lines)
        assert found, "\n".join([f"{command} does not print {wanted!r}, or not in this place:", *said])


@pytest.mark.parametrize("page", STORIES)
def test_a_story_can_be_followed(page: str, tmp_path: Path) -> None:
    # Outside of any other project, whose settings would count.
    folder = tmp_path / "empty"
    folder.mkdir()
    try:
        assert follow(ROOT / page, folder) >= 3
    finally:
        shutil.rmtree(folder, ignore_errors=True)
