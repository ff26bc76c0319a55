"""The command ``pytest-lime``."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from pytest_lime import __version__
from pytest_lime.errors import LimeError, RecordError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with `arguments`, by default those of the process, and return its exit status."""
    parser = argparse.ArgumentParser(prog="pytest-lime", description="Tests for where an image classifier looks.")
    parser.add_argument("--version", action="version", version=f"pytest-lime {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    show = commands.add_parser(
        "show", help="list the checks of a report and open it", description="List the checks of a report."
    )
    show.add_argument(
        "folder", nargs="?", default="lime-report", type=Path, help="folder of the report (default: lime-report)"
    )
    show.add_argument("--browser", action="store_true", help="open the report in the web browser too")
    show.set_defaults(run=lambda given: _show(given.folder, browser=given.browser))
    given = parser.parse_args(arguments)
    try:
        status: int = given.run(given)
    except LimeError as error:
        print(f"pytest-lime: {error}", file=sys.stderr)
        return 2
    return status


def _show(folder: Path, *, browser: bool) -> int:
    from pytest_lime.records import read_results, verdict_of  # noqa: PLC0415  (not needed for --help)
    from pytest_lime.results import WORDS, describe_counts, summary_line  # noqa: PLC0415

    records = read_results(folder)["records"]
    try:
        lines = [f"{WORDS[verdict_of(record)]}  {summary_line(record)}" for record in records]
        print("\n".join([*lines, describe_counts(records)]))
    except (KeyError, TypeError, ValueError) as error:
        raise RecordError(f"{str(folder)!r} holds a damaged record ({error!r}); run the tests again.") from None
    page = (folder / "index.html").absolute()
    print(f"report: {page}")
    if browser and not webbrowser.open(page.as_uri()):
        print("pytest-lime: no web browser could be started.", file=sys.stderr)
        return 1
    return 0
