"""The chart of weights, from a record: a row for each superpixel, the strongest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_lime.report.charts import Bar, Label, WeightAxis, percent, signed, signed_ends
from pytest_lime.report.pictures import legend_colours, region_letter
from pytest_lime.report.reading import as_count, as_number, as_pair, as_rows, as_text

__all__ = [
    "LISTED",
    "Region",
    "Weight",
    "Weights",
    "by_letter",
    "called",
    "is_numbered",
    "letters_of",
    "may_be_nothing",
    "regions_of",
    "share_of",
    "top_of",
    "weights_of",
]

LEGEND_STEPS = 21
LISTED = 16
"""So many of the strongest superpixels the chart shows, and a record without pictures holds."""


@dataclass(frozen=True)
class Region:
    """A region of a check: its letter in the pictures, if there are several, and its share of the field of view."""

    letter: str
    text: str
    area: str


@dataclass(frozen=True)
class Weight:
    """A superpixel's row in the chart."""

    superpixel: str
    rank: str
    numbered: bool
    weight: str
    interval: str
    unsure: bool
    colour: str
    place: str
    bar: Bar
    whisker: Bar | None


@dataclass(frozen=True)
class Weights:
    """The rows of the chart, and its axis."""

    rows: list[Weight]
    zero: str
    ticks: list[Label]

    @property
    def shown(self) -> list[Weight]:
        """The rows that the chart has room for: the strongest, and each that has a number in the picture."""
        return [row for place, row in enumerate(self.rows) if place < LISTED or row.numbered]


def regions_of(record: Mapping[str, Any]) -> list[Region]:
    """Return the regions of a record."""
    rows = as_rows(record.get("regions"))
    return [
        Region(
            letter=region_letter(place) if len(rows) > 1 else "",
            text=as_text(row.get("text")) or "region",
            area=percent(as_number(row.get("area"))),
        )
        for place, row in enumerate(rows)
    ]


def letters_of(claim: Mapping[str, Any], regions: Sequence[Region]) -> list[str]:
    """Return the letters of the regions that a claim speaks of; none where the record has one region only."""
    places = claim.get("regions")
    known = {place for place in places if isinstance(place, int)} if isinstance(places, list) else set()
    return [region.letter for place, region in enumerate(regions) if place in known and region.letter]


def called(region: Region) -> str:
    """Return what texts call a region: by the letter that it has in the pictures, where there are several.

    >>> called(Region("A", "Box(0, 0, 8, 8)", "6 %")), called(Region("", "Box(0, 0, 8, 8)", "6 %"))
    ('region A', 'the region')
    """
    return f"region {region.letter}" if region.letter else "the region"


def by_letter(words: str, regions: Sequence[Region]) -> str:
    """Return `words` with each region, as it is written in code, replaced by its name in the pictures.

    >>> by_letter("most of it lies in Box(0, 0, 8, 8)", [Region("A", "Box(0, 0, 8, 8)", "6 %")])
    'most of it lies in region A'
    """
    # The longer first: one may be written within another.
    for region in sorted(regions, key=lambda region: -len(region.text)):
        # A region of the user's own may be called anything, even by a word of the sentence.
        if "(" in region.text:
            words = words.replace(region.text, called(region))
    return words


def top_of(record: Mapping[str, Any]) -> int:
    """Return how many superpixels have a number in the picture."""
    top = as_number(record.get("top"))
    return int(top) if top is not None and top > 0 else 0


def weights_of(record: Mapping[str, Any], regions: Sequence[Region]) -> Weights:
    """Return the chart of a record's weights."""
    rows = [
        (row, weight) for row in as_rows(record.get("weights")) if (weight := as_number(row.get("weight"))) is not None
    ]
    values = [weight for _, weight in rows]
    for row, _ in rows:
        values.extend(as_pair(row.get("interval")) or ())
    axis = WeightAxis(values)
    top = top_of(record)
    colours = legend_colours(LEGEND_STEPS)
    # Middling shades of the heatmap's own scale: dark enough for a white page, light enough for a dark one.
    against, towards = colours[3], colours[-4]
    return Weights(
        rows=[
            Weight(
                superpixel=as_count(row.get("superpixel")),
                rank=as_count(row.get("rank")),
                numbered=is_numbered(row, top),
                weight=signed(weight, axis.places),
                interval=signed_ends(interval, axis.places),
                unsure=may_be_nothing(interval),
                colour=towards if weight > 0 else against,
                place=_place(row, regions),
                bar=axis.bar(weight),
                whisker=axis.whisker(interval) if interval is not None else None,
            )
            for row, weight in rows
            for interval in [as_pair(row.get("interval"))]
        ],
        zero=axis.zero,
        ticks=axis.ticks,
    )


def may_be_nothing(interval: tuple[float, float] | None) -> bool:
    """Whether a weight that lies in `interval` may be 0."""
    return interval is None or interval[0] <= 0 <= interval[1]


def is_numbered(row: Mapping[str, Any], top: int) -> bool:
    """Whether a superpixel has a number in the picture, of those that the `top` strongest have."""
    rank = as_number(row.get("rank"))
    return rank is not None and 1 <= rank <= top


def share_of(row: Mapping[str, Any], place: int) -> float | None:
    """Return the share of a superpixel that lies in the region at `place`."""
    shares = row.get("shares")
    return as_number(shares[place]) if isinstance(shares, list) and place < len(shares) else None


def _place(row: Mapping[str, Any], regions: Sequence[Region]) -> str:
    """Say how much of a superpixel lies in the regions."""
    words = []
    for place, region in enumerate(regions):
        share = share_of(row, place)
        if share is None or share < 0.005:
            continue
        where = f"in {region.letter}" if region.letter else "inside"
        words.append(where if share > 0.995 else f"{percent(round(share, 2))} {where}")
    return ", ".join(words) if words or not regions else "outside"
