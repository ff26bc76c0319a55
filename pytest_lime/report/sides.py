"""The superpixels that speak most for the target and most against it, as two short lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_lime.report.charts import digits, signed, signed_ends
from pytest_lime.report.reading import as_count, as_number, as_pair, as_rows
from pytest_lime.report.weights import may_be_nothing

__all__ = ["LISTED", "Side", "Speaker", "sides_of"]

LISTED = 4
"""Superpixels a side."""


@dataclass(frozen=True)
class Speaker:
    """A superpixel with its weight; `unsure` where its interval holds zero."""

    superpixel: str
    name: str
    weight: str
    interval: str
    unsure: bool


@dataclass(frozen=True)
class Side:
    """The superpixels of one side, the strongest first."""

    word: str
    rows: list[Speaker]


def sides_of(record: Mapping[str, Any]) -> list[Side]:
    """Return both sides of a record's weights; none where it has no weight other than zero."""
    rows = [
        (weight, row)
        for row in as_rows(record.get("weights"))
        if (weight := as_number(row.get("weight"))) and as_count(row.get("superpixel"))
    ]
    if not rows:
        return []
    places = digits(weight for weight, _ in rows)
    return [Side(word, _side(rows, sign, places)) for word, sign in (("for", 1), ("against", -1))]


def _side(rows: Sequence[tuple[float, Mapping[str, Any]]], sign: int, places: int) -> list[Speaker]:
    ours = sorted((row for row in rows if row[0] * sign > 0), key=lambda row: -row[0] * sign)
    made = []
    for weight, row in ours[:LISTED]:
        ends = as_pair(row.get("interval"))
        made.append(
            Speaker(
                superpixel=as_count(row.get("superpixel")),
                name=_name(row),
                weight=signed(weight, places),
                interval=signed_ends(ends, places) if ends is not None else "",
                unsure=ends is not None and may_be_nothing(ends),
            )
        )
    return made


def _name(row: Mapping[str, Any]) -> str:
    """Return what a superpixel is called: a number that is in the picture tells more than one that is not."""
    rank = as_count(row.get("rank"))
    return f"number {rank}" if rank else f"superpixel {as_count(row.get('superpixel'))}"
