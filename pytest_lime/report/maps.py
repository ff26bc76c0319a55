"""Maps of superpixels, which tell the page's script what lies under the pointer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pytest_lime.report.reading import as_number, as_pair, as_rows

__all__ = ["MOST_LISTED", "as_json", "as_script", "map_of"]

LONGEST = 512
MOST_LISTED = 1024
"""So many superpixels a record lists at most: of more, the rest have no figures to show."""

_RUN = re.compile(r"(\d{1,6}):(\d{1,6})")


def map_of(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the map of a record's superpixels, as it says, or None where it has none that holds together.

    Its lengths fill its shape exactly, and every label is that of a superpixel with a weight.
    """
    segments = record.get("segments")
    if not isinstance(segments, Mapping):
        return None
    shape, runs = as_pair(segments.get("shape")), segments.get("runs")
    if (
        shape is None
        or not isinstance(runs, str)
        or any(side != int(side) or not 1 <= side <= LONGEST for side in shape)
    ):
        return None
    height, width = map(int, shape)
    pairs = []
    # No map has more runs than pixels: whatever is longer is none.
    for run in runs.split(" ", height * width):
        found = _RUN.fullmatch(run)
        if found is None:
            return None
        pairs.append((int(found[1]), int(found[2])))
    weights = {as_number(row.get("superpixel")) for row in as_rows(record.get("weights"))}
    if sum(length for _, length in pairs) != height * width or not all(length for _, length in pairs):
        return None
    if len(weights) < MOST_LISTED and not {label for label, _ in pairs} <= weights:
        return None
    return {"shape": [height, width], "runs": " ".join(f"{label}:{length}" for label, length in pairs)}


def as_json(value: Any) -> str:
    """Return a value as JSON in ASCII that no text of a page or script can end."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def as_script(anchor: str, found: Mapping[str, Any]) -> bytes:
    """Return a map as a script, since a page that was opened as a file may load nothing else."""
    return f"(window.limeMaps ||= {{}})[{as_json(anchor)}] = {as_json(found)};\n".encode()
