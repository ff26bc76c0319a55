"""The report's files, from records alone."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from pytest_lime.records import write_atomically
from pytest_lime.report.pages import page_of
from pytest_lime.report.templating import page_environment

__all__ = ["ASSETS", "render"]

ASSETS = ("report.css", "panels.css", "report.js", "panels.js", "icon.svg")
"""Files that lie beside the page, by their paths in the report's folder."""


def render(results: Mapping[str, Any], folder: Path) -> Path:
    """Write the report of a run and return the path of its page.

    Parameters
    ----------
    results
        The run's results, as in ``results.json``: plain JSON-safe values.
    folder
        The report's folder. The pictures that the records name are expected in its ``images``.

    Returns
    -------
    Path
        ``index.html`` in the folder; style sheet, script and icon lie beside it.
    """
    html = page_environment().get_template("page.html").render(page=page_of(results))
    source = files("pytest_lime.report") / "assets"
    for name in ASSETS:
        write_atomically(folder / name, (source / name).read_bytes())
    page = folder / "index.html"
    # JSON can hold half a surrogate pair, which no encoding can: a question mark then stands for it.
    write_atomically(page, html.encode("utf-8", "replace"))
    return page
