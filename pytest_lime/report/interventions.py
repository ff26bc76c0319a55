"""What the model says of an image without a region, and of the region alone, as pictures with their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_lime.report.charts import Bar, aligned, bar, digits, percent
from pytest_lime.report.reading import as_mapping, as_number, as_numbers, as_picture, as_rows
from pytest_lime.report.trust import MOST_FILLS, fill_scores, name_regions

__all__ = ["Cut", "Intervention", "interventions_of"]

MOST_REGIONS = 12
"""Regions that are shown as pictures; the table has all."""


@dataclass(frozen=True)
class Cut:
    """One picture that the model was asked about, or none of it, and its score."""

    picture: str
    alt: str
    fill: str
    score: str
    left: str
    bar: Bar


@dataclass(frozen=True)
class Intervention:
    """A region, with the pictures of the image without it and of it alone, one a fill."""

    letter: str
    text: str
    whole: str
    full: Bar
    without: list[Cut]
    alone: list[Cut]


def interventions_of(record: Mapping[str, Any], regions: Sequence[tuple[str, str]]) -> list[Intervention]:
    """Return the interventions of a record that have pictures; none where no picture can be shown.

    Parameters
    ----------
    record : mapping
        Nothing in it is trusted.
    regions : sequence of (letter, text)
        The record's regions, as the pictures show them.
    """
    rows = as_rows(record.get("interventions"))
    named = name_regions(rows, regions)
    paths = as_mapping(record.get("pictures"))
    scores = [as_number(row.get("whole")) for row in rows] + [
        score for row in rows for key in ("without", "alone") for score in as_numbers(row.get(key))
    ]
    # Probabilities keep the scale from 0 to 1, as where the predictions stand.
    places, full = digits(scores), max([1.0, *(score for score in scores if score is not None)])

    def cuts(place: int, key: str, name: str) -> list[Cut]:
        row = rows[place]
        whole = as_number(row.get("whole"))
        made = []
        for number, (fill, score) in enumerate(fill_scores(row, key)[:MOST_FILLS]):
            what = f"The image without {name}" if key == "without" else f"Only {name}"
            left = _left(score, whole)
            told = f": score {aligned(score, places)}{f', {left}' if left else ''}" if score is not None else ""
            made.append(
                Cut(
                    picture=as_picture(paths.get(f"{key}.{place}.{number}")),
                    alt=f"{what}, the rest filled with {fill}{told}."
                    if key == "alone"
                    else f"{what}, filled with {fill}{told}.",
                    fill=fill,
                    score=aligned(score, places),
                    left=left,
                    bar=bar(score, full),
                )
            )
        return made

    found = []
    for place, (letter, text, name) in enumerate(named[:MOST_REGIONS]):
        whole = as_number(rows[place].get("whole"))
        without, alone = (cuts(place, key, name) for key in ("without", "alone"))
        if any(cut.picture for cut in (*without, *alone)):
            found.append(Intervention(letter, text, aligned(whole, places), bar(whole, full), without, alone))
    return found


def _left(score: float | None, whole: float | None) -> str:
    """Say how much of the score of the whole image a score is; only of scores above 0 there are shares."""
    if score is None or whole is None or whole <= 0:
        return ""
    share = percent(float(f"{score / whole:.2f}")) if abs(score / whole) < 1e6 else ""
    return f"{share} of the whole" if share else ""
