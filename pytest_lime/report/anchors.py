"""What the cards of a page are called in its address, and the files beside it that are named after them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_lime.records import VERDICTS
from pytest_lime.report.reading import as_text

__all__ = ["anchors_of", "map_path"]

_PAGE_IDS = (
    "top",
    "checks",
    "overview-title",
    "run-title",
    "cards-title",
    "scale",
    *(f"icon-{verdict}" for verdict in VERDICTS),
)
_MAP_PATH = re.compile(r"data/[A-Za-z0-9][A-Za-z0-9._-]*\.js")


def anchors_of(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the anchor of each card: its record's id, which failure messages name, unless that is taken."""
    taken = Counter(_PAGE_IDS)
    anchors = []
    for record in records:
        # Two dashes are the page's own way to name the parts of a card, so an id cannot have them.
        name = re.sub(r"[^A-Za-z0-9._-]+|-{2,}", "-", as_text(record.get("id")))[:120].strip("-") or "check"
        taken[name] += 1
        anchors.append(f"{name}--{taken[name]}" if taken[name] > 1 else name)
    return anchors


def map_path(anchor: str) -> str:
    """Return where a card's map of superpixels is, within the report's folder; nothing where no file can be."""
    path = f"data/{anchor}.js"
    return path if _MAP_PATH.fullmatch(path) else ""
