"""Where the model looks, in words: the sentence under the heatmap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_lime.report.charts import listed, number
from pytest_lime.report.reading import as_number, as_pair, as_rows
from pytest_lime.report.weights import Region, called, is_numbered, may_be_nothing, share_of, top_of

__all__ = ["looked"]


def looked(record: Mapping[str, Any], label: str, regions: Sequence[Region]) -> str:
    """Say in words what the heatmap of a record shows."""
    rows = [row for row in as_rows(record.get("weights")) if as_number(row.get("weight")) is not None]
    strongest = _weight(rows[0]) if rows else 0.0
    if not strongest:
        return f"No superpixel speaks for or against {label}."
    numbered = [row for row in rows if is_numbered(row, top_of(record))]
    side = "for" if strongest > 0 else "against"
    sentences = [f"The strongest superpixel speaks {side} {label} with weight {number(abs(strongest))}"]
    if regions and rows[0] not in numbered:
        sentences[0] += f", and lies {_within(rows[0], regions)}"
    if regions and numbered:
        sentences.append(_numbered(numbered, regions))
    if numbered and all(may_be_nothing(as_pair(row.get("interval"))) for row in (rows[0], *numbered)):
        sentences.append("Any of these weights may be 0")
    return f"{'. '.join(sentences)}."


def _numbered(rows: Sequence[Mapping[str, Any]], regions: Sequence[Region]) -> str:
    """Say how many of the superpixels that have a number lie in each region."""
    # Where weights have no sign, the strongest are numbered whatever they speak for.
    towards = all(_weight(row) > 0 for row in rows)
    if len(rows) == 1:
        return f"The one {'that speaks most for it' if towards else 'with a number'} lies {_within(rows[0], regions)}"
    kind = "that speak most for it" if towards else "strongest"
    counts = [(sum(_lies_in(row, place) for row in rows), called(region)) for place, region in enumerate(regions)]
    told = listed([f"{count or 'none'} {'lie' if count > 1 else 'lies'} in {where}" for count, where in counts])
    return f"Of the {len(rows)} {kind} {told}"


def _within(row: Mapping[str, Any], regions: Sequence[Region]) -> str:
    found = [called(region) for place, region in enumerate(regions) if _lies_in(row, place)]
    return f"in {listed(found)}" if found else "outside"


def _weight(row: Mapping[str, Any]) -> float:
    return as_number(row.get("weight")) or 0.0


def _lies_in(row: Mapping[str, Any], place: int) -> bool:
    return (share_of(row, place) or 0.0) >= 0.5
