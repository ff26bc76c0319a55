"""The folder of a report: where it is, what a run writes into it, and what it takes away again."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_lime import workers
from pytest_lime.errors import RecordError, one_line
from pytest_lime.records import (
    FOLDERS,
    PAGE,
    PICTURE_PATH,
    RESULTS,
    file_stem,
    harmless,
    read_results,
    refusal,
    write_results,
)

__all__ = ["FOLDER", "ReportFolder"]

FOLDER = "lime-report"
# What the name of a picture begins with, and how many checks of one test are looked for.
STEM = re.compile(r"[a-z0-9-]+-[0-9a-f]{10}(?=-)")
MOST_CHECKS = 4096
LARGE = 20
"""Megabytes of a page that holds its pictures from which on a run warns of it."""


class ReportFolder:
    """Where the report of a run goes.

    Parameters
    ----------
    config : pytest.Config

    Attributes
    ----------
    path : Path
    shown : str
        How the folder is called in messages.
    self_contained : bool
        Whether the page holds its pictures, and no file beside it but the results.

    Raises
    ------
    pytest.UsageError
        The folder that is named cannot be one.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.path, self.shown = _choose(config)
        self.self_contained = bool(config.getoption("lime_self_contained") or config.getini("lime_self_contained"))

    @functools.cached_property
    def address(self) -> str:
        """How messages call the folder; empty where, when first asked, nothing could be written to it."""
        return "" if self.refusal else self.shown

    @property
    def refusal(self) -> str:
        """Why nothing can be written, in a sentence; empty where it can."""
        reason = refusal(self.path)
        return reason and f"{str(self.path)!r} {reason}"

    def check_pictures(self, records: Iterable[dict[str, Any]]) -> list[str]:
        """Take from `records` the pictures that are not there any more, and say which."""
        gone = []
        for record in records:
            for name, path in list(record["pictures"].items()):
                if not (self.path / path).is_file():
                    del record["pictures"][name]
                    gone.append(f"something removed a picture during the run ({self.path / path})")
        return gone

    def too_large(self, page: Path) -> str:
        """Return a sentence about a page that holds its pictures and is large; nothing of any other."""
        size = page.stat().st_size / 1e6 if self.self_contained else 0.0
        if size <= LARGE:
            return ""
        return (
            f"{self.shown}/{PAGE} holds all pictures and has {size:.0f} MB, and browsers open what is over {LARGE} MB "
            "slowly; leave --lime-self-contained out, so that pictures lie beside it, or run fewer tests."
        )

    def write(self, results: dict[str, Any], drawn: set[str], untidy: Iterable[str] = ()) -> Path:
        """Write the report and return the path of its page.

        Parameters
        ----------
        results : dict
        drawn : set of paths
            The pictures that this run has made; those that no record names go, as the files of an earlier report do.
        untidy : iterable of str
            Tests that may have left other pictures, since they did not come to their end.
        """
        old = self._old() | drawn | self._strays(untidy)
        try:
            return self._written(results, old)
        except OSError:
            # Pictures that no results name would never be removed.
            if not os.path.lexists(self.path / RESULTS):
                self.remove(old)
            raise

    def _written(self, results: dict[str, Any], old: set[str]) -> Path:
        """Write results and page, and remove those of the `old` files that the report does not have."""
        from pytest_lime.report.render import files_beside  # noqa: PLC0415

        records = results["records"]
        if self.self_contained:
            page = self._render(results)
            # Whoever reads the results looks for no picture that is not there.
            self._write_results({**results, "records": [{**record, "pictures": {}} for record in records]})
            kept = set()
        else:
            results = self._write_results(results)
            records = results["records"]
            page = self._render(results)
            kept = files_beside(records) | {path for record in records for path in record["pictures"].values()}
        self.remove(old - kept)
        return page

    def _render(self, results: dict[str, Any]) -> Path:
        from pytest_lime.report.render import render  # noqa: PLC0415  (imports jinja2, for a report only)

        with self._without_old(PAGE):
            return render(results, self.path, self_contained=self.self_contained)

    @contextlib.contextmanager
    def _without_old(self, *names: str) -> Iterator[None]:
        """Where files cannot be written, remove those of an earlier report: they would pass for this one's."""
        try:
            yield
        except OSError:
            for name in names:
                with contextlib.suppress(OSError):
                    (self.path / name).unlink()
            raise

    def _write_results(self, results: dict[str, Any]) -> dict[str, Any]:
        """Write ``results.json``, and return what is in it."""
        with self._without_old(RESULTS, PAGE):
            return self._write_plain_results(results)

    def _write_plain_results(self, results: dict[str, Any]) -> dict[str, Any]:
        try:
            write_results(results, self.path)
        except (TypeError, ValueError, RecursionError):
            # Another plugin may have put anything into a report.
            results = harmless(results)
            write_results(results, self.path)
        return results

    def _strays(self, tests: Iterable[str]) -> set[str]:
        """Return what lies among the pictures and has the name of a check of `tests`."""
        # Under --dist loadgroup a test that was lost is known with its group only.
        names = {name for test in tests for name in (test, test.rpartition("@")[0]) if name}
        if not names:
            return set()
        stems = {file_stem(name, check) for name in names for check in range(MOST_CHECKS)}
        found = set()
        with contextlib.suppress(OSError):
            for path in (self.path / "images").iterdir():
                # One that was being written has a dot before its name.
                stem = STEM.match(path.name.removeprefix("."))
                if stem is not None and stem[0] in stems:
                    found.add(f"images/{path.name}")
        return found

    def remove_stale(self, drawn: set[str]) -> None:
        """Take away the report of an earlier run, and the pictures that were `drawn` in this one."""
        stale = drawn | self._old()
        # Where the report is not ours, or damaged, only what this run drew is ours to remove.
        with contextlib.suppress(RecordError):
            read_results(self.path)
            stale |= {PAGE, RESULTS}
        self.remove(stale)
        with contextlib.suppress(OSError):
            self.path.rmdir()

    def remove(self, stale: set[str]) -> None:
        """Take away files, by their paths in the folder, and the folders of a report that are empty then."""
        for path in stale:
            (self.path / path).unlink(missing_ok=True)
        for folder in FOLDERS:
            # Whatever else the user keeps there stays.
            with contextlib.suppress(OSError):
                (self.path / folder).rmdir()

    def _old(self) -> set[str]:
        """Return the files beside the page that the report of an earlier run has, or may have."""
        try:
            records = read_results(self.path)["records"]
            pictures = {str(path) for record in records for path in record["pictures"].values()}
        except (RecordError, KeyError, TypeError, AttributeError):
            # Not a report of ours, or a damaged one: nothing in the folder is ours to remove.
            return set()
        from pytest_lime.report.render import files_beside  # noqa: PLC0415  (imports jinja2, for a report only)

        return files_beside(records) | {path for path in pictures if PICTURE_PATH.fullmatch(path)}


def _choose(config: pytest.Config) -> tuple[Path, str]:
    if workers.is_worker(config):
        return workers.folder_of_controller(config)
    invoked = Path(config.invocation_params.dir)
    given, ini = config.getoption("lime_report"), config.getini("lime_report")
    if given == "":
        raise pytest.UsageError("--lime-report: no folder is named; say --lime-report=DIR.")
    if given or not ini:
        folder = invoked / (given or FOLDER)
    else:
        folder = (config.inipath.parent if config.inipath else invoked) / ini
    folder = Path(os.path.abspath(folder))  # noqa: PTH100  (resolve would follow links, and name another folder)
    try:
        is_file = folder.exists() and not folder.is_dir()
    except OSError as error:
        raise pytest.UsageError(f"--lime-report: {one_line(str(folder))} cannot be used: {error.strerror}.") from None
    called = "--lime-report" if given else "lime_report"
    if is_file:
        raise pytest.UsageError(f"{called}: {str(folder)!r} is a file; name a folder for the report.")
    # A folder that nobody named is looked into when there is something to write: most runs write nothing.
    if (given or ini) and (reason := refusal(folder)):
        raise pytest.UsageError(f"{called}: {str(folder)!r} {reason}")
    if given and not config.getoption("collectonly", False) and (reason := _unwritable(folder)):
        raise pytest.UsageError(f"{called}: {str(folder)!r} cannot be written to ({reason}); name another folder.")
    try:
        shown = folder.relative_to(invoked)
    except ValueError:
        shown = folder
    return folder, shown.as_posix()


def _unwritable(folder: Path) -> str:
    """Return why nothing can be written to `folder`; a run that takes hours should not learn it in the end."""
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    try:
        tempfile.TemporaryDirectory(dir=there).cleanup()
    except OSError as error:
        return error.strerror or str(error)
    return ""
