"""The revision of the user's repository, told by git where there is one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pytest_lime import revision
from pytest_lime.revision import describe_revision


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=A", "-c", "user.email=a@b", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "trunk")
    (tmp_path / "test_it.py").write_text("", encoding="utf-8")
    (tmp_path / "tests").mkdir()
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_commit_and_branch(repository: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    assert describe_revision(repository) == {"commit": head, "branch": "trunk", "dirty": False}
    assert describe_revision(repository / "tests") == {"commit": head, "branch": "trunk", "dirty": False}


def test_a_tracked_file_that_differs_makes_it_dirty_and_a_cache_does_not(repository: Path) -> None:
    (repository / "cache").write_text("", encoding="utf-8")
    assert describe_revision(repository)["dirty"] is False  # type: ignore[index]
    (repository / "test_it.py").write_text("changed", encoding="utf-8")
    assert describe_revision(repository)["dirty"] is True  # type: ignore[index]
    git(repository, "add", "test_it.py")
    assert describe_revision(repository)["dirty"] is True  # type: ignore[index]


def test_a_commit_by_itself_has_no_branch(repository: Path) -> None:
    git(repository, "checkout", "-q", "--detach")
    assert describe_revision(repository)["branch"] == ""  # type: ignore[index]


def test_whoever_owns_the_checkout(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As git sees it where a container runs as another user.
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert describe_revision(repository) is not None


def test_nothing_is_told_where_there_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert describe_revision(tmp_path) is None
    assert describe_revision(tmp_path / "nowhere") is None
    git(tmp_path, "init", "-q")
    # No commit yet.
    assert describe_revision(tmp_path) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert describe_revision(tmp_path) is None


def test_a_git_that_does_not_answer_is_not_waited_for(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revision, "COMMAND", ("sleep", "60"))
    monkeypatch.setattr(revision, "TIMEOUT", 0.05)
    assert describe_revision(repository) is None
