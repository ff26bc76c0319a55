"""What the report of pytest-html shows of the checks of each test: a small picture, the verdict and a link."""

from __future__ import annotations

import base64
import html
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from pytest_lime.errors import printable
from pytest_lime.records import verdict_of
from pytest_lime.report.reading import as_mapping, as_picture
from pytest_lime.summaries import WORDS, summary_line

__all__ = ["HtmlExtras"]

JPEG = b"\xff\xd8"


class HtmlExtras:
    """Gives pytest-html what it shows of each test; does nothing where it is not there, or writes no report.

    Parameters
    ----------
    config : pytest.Config
    folder : Path
        Of our report.
    """

    def __init__(self, config: pytest.Config, folder: Path) -> None:
        self._folder = folder
        named = config.getoption("--html", None) if config.pluginmanager.hasplugin("html") else None
        # As pytest-html reads it.
        self._page = Path.cwd() / Path(os.path.expandvars(named)).expanduser() if named else None
        self._shown: list[tuple[dict[str, Any], str, Mapping[str, Any]]] = []

    def attach(self, report: Any, records: Sequence[Mapping[str, Any]]) -> None:
        """Attach the records of a test to its last report, as yet without links."""
        if self._page is None or not records or not _is_readable(str(report.nodeid)):
            return
        from pytest_html import extras  # noqa: PLC0415  (there, since it is asked for a report)

        for record in records:
            told = self._tell(record)
            extra = extras.html(f"<div>{told}</div>")
            self._shown.append((extra, told, record))
            report.extras = [*getattr(report, "extras", ()), extra]

    def link(self, page: Path | None, records: Sequence[Mapping[str, Any]], anchors: Sequence[str]) -> None:
        """Add links to the cards of `records` in our `page`, if it was written; pytest-html writes its own after this.

        The card of a record is known only in the end, when all tests have reported.
        """
        if page is None or self._page is None:
            return
        # The records that count are copies of those that were attached, and share what is in them.
        cards = {id(record["pictures"]): anchor for record, anchor in zip(records, anchors, strict=True)}
        address = _address(page, self._page.parent)
        for extra, told, record in self._shown:
            anchor = cards.get(id(record["pictures"]))
            if anchor is not None:
                link = html.escape(f"{address}#{quote(anchor)}")
                extra["content"] = f'<div>{told}<p><a target="_blank" href="{link}">where the model looks</a></p></div>'

    def _tell(self, record: Mapping[str, Any]) -> str:
        """Return picture and verdict."""
        sentence = summary_line(record).removesuffix(f"  [{record['test']}]")
        picture = self._read(as_picture(as_mapping(record.get("pictures")).get("thumb")))
        shown = f'<p><img src="data:image/jpeg;base64,{picture}" alt="heatmap over the image"></p>' if picture else ""
        return f"{shown}<p><b>{WORDS[verdict_of(record)]}</b> <bdi>{html.escape(printable(sentence))}</bdi></p>"

    def _read(self, picture: str) -> str:
        """Return a picture of our report in base64; nothing where it is not there or no JPEG."""
        try:
            data = (self._folder / picture).read_bytes() if picture else b""
        except OSError:
            return ""
        return base64.b64encode(data).decode() if data.startswith(JPEG) else ""


def _address(page: Path, folder: Path) -> str:
    """Return the address of `page` from `folder`."""
    try:
        return quote(Path(os.path.relpath(page, folder)).as_posix())
    except ValueError:  # on another drive of Windows
        return page.as_uri()


def _is_readable(node_id: str) -> bool:
    """Whether pytest-html can read the name of a test that has extras: as text with escapes, or it breaks the run."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            node_id.encode().decode("unicode_escape")
    except (UnicodeError, Warning):
        return False
    return True
