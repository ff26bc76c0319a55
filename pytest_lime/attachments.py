"""Attachments: the lines in JUnit XML by which GitLab finds the picture of a check that failed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_lime.records import VERDICTS, verdict_of
from pytest_lime.report.reading import as_mapping, as_picture

__all__ = ["SECTION", "attachment_lines"]

SECTION = "Captured stdout lime"
"""What pytest calls the output of a test that JUnit XML may hold begins like this; the terminal does not show it."""
# What `junit_logging` must be for JUnit XML to hold such output.
WRITTEN = ("system-out", "out-err", "all")


def attachment_lines(config: pytest.Config, folder: Path, records: Sequence[Mapping[str, Any]]) -> str:
    """Return a line ``[[ATTACHMENT|path]]`` for each record that failed its test, the gravest first.

    There is none where JUnit XML does not hold what tests print (``junit_logging``), since nobody would read it. The
    path is from the project's folder (``CI_PROJECT_DIR``, else pytest's rootdir), as that of an artifact is.

    Parameters
    ----------
    config : pytest.Config
    folder : Path
        Of the report.
    records : sequence of records
        Of one test.
    """
    if not (config.pluginmanager.hasplugin("junitxml") and config.getoption("--junitxml", None)):
        return ""
    if config.getini("junit_logging") not in WRITTEN:
        return ""
    failed = [record for record in records if record.get("outcome") in ("failed", "error")]
    lines = []
    for record in sorted(failed, key=lambda record: VERDICTS.index(verdict_of(record))):
        if verdict_of(record) in ("fail", "explanation", "inconclusive"):
            pictures = as_mapping(record.get("pictures"))
            picture = as_picture(pictures.get("thumb")) or as_picture(pictures.get("image"))
            path = _from_project(config, folder / picture) if picture else ""
            lines += [f"[[ATTACHMENT|{path}]]\n"] if path else []
    return "".join(dict.fromkeys(lines))


def _from_project(config: pytest.Config, path: Path) -> str:
    """Return the path of a file within the project; nothing of one that lies elsewhere, or cannot be told."""
    project = Path(os.environ.get("CI_PROJECT_DIR") or config.rootpath)
    try:
        relative = path.relative_to(project).as_posix()
    except ValueError:
        try:
            relative = path.resolve().relative_to(project.resolve()).as_posix()
        except ValueError:
            return ""
    return relative if relative.isprintable() and "]]" not in relative else ""
