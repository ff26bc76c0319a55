"""What changed since the baseline of the claim `unchanged`, in words, and the pictures of both sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_lime.report.charts import NO_BREAK, digits, number, signed
from pytest_lime.report.reading import (
    as_count,
    as_mapping,
    as_number,
    as_numbers,
    as_pair,
    as_picture,
    as_rows,
    as_text,
)
from pytest_lime.report.trust import Fact

__all__ = ["Changed", "changed_of"]

MOST_NAMED = 12


@dataclass(frozen=True)
class Changed:
    """A comparison with a baseline: what it is compared with, what changed, and the pictures of it."""

    against: str
    facts: list[Fact]
    baseline: str
    borders: str
    now: str
    limit: str


def changed_of(record: Mapping[str, Any]) -> Changed | None:
    """Return what a record's claim `unchanged` says of changes; None where none does."""
    change = next((told for claim in as_rows(record.get("claims")) if (told := as_mapping(claim.get("change")))), None)
    if change is None:
        return None
    pictures = as_mapping(record.get("pictures"))
    return Changed(
        against=as_text(change.get("against")),
        facts=_facts(change, _ranks(record)),
        baseline=as_picture(pictures.get("baseline")),
        borders=as_picture(pictures.get("baseline_borders")),
        now=as_picture(pictures.get("now")) or as_picture(pictures.get("heatmap")),
        limit=_limit(record, change),
    )


def _limit(record: Mapping[str, Any], change: Mapping[str, Any]) -> str:
    """Return the weight at the end of the scale that both heatmaps share; nothing where it is not known."""
    own = as_number(record.get("limit"))
    known = [abs(weight) for weight in as_numbers(change.get("weights")) if weight is not None]
    return number(max([abs(own), *known])) if own is not None else ""


def _ranks(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the numbers that superpixels have in the picture of now."""
    ranks = {as_count(row.get("superpixel")): as_count(row.get("rank")) for row in as_rows(record.get("weights"))}
    return {superpixel: rank for superpixel, rank in ranks.items() if superpixel and rank}


def _facts(change: Mapping[str, Any], ranks: Mapping[str, str]) -> list[Fact]:
    facts = []
    if (alike := as_number(change.get("rank_correlation"))) is not None:
        facts.append(Fact("Order of all weights", f"rank correlation {number(alike)} (1 is the same order)"))
    if (common := as_number(change.get("jaccard"))) is not None:
        facts.append(Fact("Strongest superpixels", f"Jaccard index {number(common)} (1 is the same ones)"))
    entered, left = (_superpixels(change.get(key), ranks) for key in ("entered", "left"))
    if entered or left:
        facts.append(Fact("Came to the top", entered or "none"))
        facts.append(Fact("Left the top", left or "none"))
    elif isinstance(change.get("entered"), list) and isinstance(change.get("left"), list):
        facts.append(Fact("At the top", "the same superpixels as before"))
    largest = as_mapping(change.get("largest"))
    before, after = as_number(largest.get("before")), as_number(largest.get("after"))
    if before is not None and after is not None:
        which = as_count(largest.get("superpixel"))
        of = f", of superpixel{NO_BREAK}{which}" if which else ""
        facts.append(Fact("Largest change of a weight", f"{_moved(before, after)}{of}"))
    if (score := as_pair(change.get("score"))) is not None:
        facts.append(Fact("Score of the whole image", f"{number(score[0])} before, {number(score[1])} now"))
    return facts


def _moved(before: float, after: float) -> str:
    places = digits([before, after])
    return f"{signed(before, places)} before, {signed(after, places)} now"


def _superpixels(value: object, ranks: Mapping[str, str]) -> str:
    known = [text for item in value if (text := as_count(item))] if isinstance(value, list) else []
    numbers = [f"{one} (number {ranks[one]})" if one in ranks else one for one in known]
    more = [f"{len(numbers) - MOST_NAMED} more"] if len(numbers) > MOST_NAMED else []
    return ", ".join([*numbers[:MOST_NAMED], *more])
