"""The revision: which state of the user's repository a run was of."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

from pytest_lime.errors import printable

__all__ = ["describe_revision"]

# Seconds: a report is not kept waiting for a repository of millions of files.
TIMEOUT = 5.0
COMMIT = re.compile("[0-9a-f]{40}(?:[0-9a-f]{24})?")
# Of what is not tracked nothing is told, as `git describe --dirty` does: caches and reports lie there, too.
COMMAND = (
    # A container often runs as another user than the one who owns the checkout.
    *("git", "-c", "core.fsmonitor=false", "-c", "safe.directory=*"),
    *("status", "--porcelain=v2", "--branch", "--untracked-files=no", "--ignore-submodules=none"),
)


def describe_revision(folder: Path) -> dict[str, Any] | None:
    """Return commit, branch and whether tracked files differ from it; None without git, a repository or a commit.

    The branch is empty where a commit is checked out by itself, as CI does.
    """
    try:
        done = subprocess.run(
            COMMAND,
            cwd=folder,
            # Nothing is written into the repository, and nobody is asked for a password.
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    heads = dict(line.removeprefix("# branch.").partition(" ")[::2] for line in lines if line.startswith("# branch."))
    commit, branch = heads.get("oid", ""), heads.get("head", "")
    if not COMMIT.fullmatch(commit):
        return None
    return {
        "commit": commit,
        "branch": "" if branch == "(detached)" else printable(branch),
        "dirty": any(line and not line.startswith("#") for line in lines),
    }
