"""What a record says of groups of images that were compared, in words and as places in small charts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_lime.report.charts import (
    NO_BREAK,
    Bar,
    Label,
    MeanAxis,
    Track,
    aligned,
    digits,
    duration,
    margin_track,
    number,
    percent,
    signed,
    signed_ends,
)
from pytest_lime.report.reading import as_mapping, as_number, as_numbers, as_pair, as_rows, as_status, as_text, as_texts
from pytest_lime.report.trust import Fact

__all__ = ["Compared", "Group", "Pair", "compared", "compared_subject"]

# Dots of single units that a row has room for; of more, evenly spaced ones are shown.
MOST_DOTS = 200
# Figures of single units that are listed for a group.
MOST_LISTED = 200
# Groups that a heading names.
MOST_NAMED = 4
GRAVITY = ("fail", "inconclusive", "pass")
UNITS = ("image", "pair", "source")
SMALL = 0.001


@dataclass(frozen=True)
class Group:
    """One group: its figures in words, and where they lie; what was not measured has no mean."""

    name: str
    count: str
    mean: str
    interval: str
    at: str | None
    bar: Bar | None
    dots: list[str]
    figures: list[tuple[str, str]]
    more: str


@dataclass(frozen=True)
class Pair:
    """How much two groups differ, and what is sure of it."""

    first: str
    second: str
    tone: str
    word: str
    difference: str
    interval: str
    within: str
    beyond: str
    differs: str


@dataclass(frozen=True)
class Compared:
    """All of a comparison; ``name`` and ``figure`` are for a line of the overview."""

    tone: str
    word: str
    name: str
    figure: str
    figures: list[str]
    needs: str
    headline: str
    text: str
    notes: list[str]
    chart: Track | None
    kind: str
    groups: list[Group]
    ends: tuple[Label, ...]
    pairs: list[Pair]
    intervals: str
    facts: list[Fact]
    where: str = ""


def compared_subject(comparison: Mapping[str, Any]) -> str:
    """Return which groups are compared, in words."""
    names = [as_text(row.get("name")) or "unnamed" for row in as_rows(comparison.get("groups"))]
    more = [f"{len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else []
    return f"{len(names)} groups: {', '.join([*names[:MOST_NAMED], *more])}" if names else "groups"


def compared(record: Mapping[str, Any], mood: str, words: Mapping[str, str]) -> Compared:
    """Return what a record says of a comparison.

    Parameters
    ----------
    record : mapping
        Nothing in it is trusted.
    mood : str
        What the card is filed under.
    words : mapping
        The word for each status.
    """
    told = as_mapping(record.get("comparison"))
    status = as_status(record.get("status"))
    margin, confidence = as_number(told.get("margin")), as_number(told.get("confidence"))
    rates = told.get("rates") is True
    rows = as_rows(told.get("differences"))
    rows.sort(
        key=lambda row: (GRAVITY.index(as_status(row.get("status"))), -abs(as_number(row.get("estimate")) or 0.0))
    )
    places = digits(
        end for row in rows for end in (as_number(row.get("estimate")), *(as_pair(row.get("interval")) or ()))
    )
    gravest: Mapping[str, Any] = rows[0] if rows else {}
    estimate, interval = as_number(gravest.get("estimate")), as_pair(gravest.get("interval"))
    both = None if confidence is None else max(0.0, 2 * confidence - 1)
    figures = []
    if len(rows) > 1:
        figures.append(f"between {as_text(gravest.get('first'))} and {as_text(gravest.get('second'))}")
    if interval is not None:
        figures.append(f"{f'{percent(both)} ' if both is not None else ''}interval {signed_ends(interval, places)}")
    if margin is not None:
        figures.append(f"must be within ±{number(margin)}")
    axis, groups = _groups(told, rates=rates)
    name = as_text(told.get("statistic")) or "the figure"
    return Compared(
        tone="expected" if mood == "expected" and status == "fail" else status,
        word=words[status],
        name=name,
        figure=signed(estimate, places) if estimate is not None else "not measured",
        figures=figures,
        needs=f"within ±{number(margin)}" if margin is not None else "",
        headline=as_text(told.get("headline")) or f"{name} compared between groups",
        text=as_text(told.get("text")),
        notes=[_sentence(note) for note in as_texts(told.get("notes"))],
        chart=margin_track(estimate=estimate, interval=interval, margin=margin),
        kind="Rate" if rates else "Mean",
        groups=groups,
        ends=axis.ends if axis is not None else (),
        pairs=[_pair(row, places, mood, words) for row in rows],
        intervals=_intervals(told, confidence, both) if rows else "",
        facts=_facts(as_mapping(record.get("explanation"))),
    )


def _sentence(clause: str) -> str:
    return f"{clause[0].upper()}{clause[1:].rstrip('.')}." if clause else ""


def _groups(told: Mapping[str, Any], *, rates: bool) -> tuple[MeanAxis | None, list[Group]]:
    rows = as_rows(told.get("groups"))
    unit = as_text(told.get("unit"))
    unit = unit if unit in UNITS else "unit"
    values: list[float] = []
    for row in rows:
        known = [as_number(row.get("mean")), *(as_pair(row.get("interval")) or ())]
        # Of rates every figure is one of the two ends.
        known += [] if rates else as_numbers(row.get("figures"))
        values += [value for value in known if value is not None]
    axis = MeanAxis(values, rates=rates) if values else None
    places = digits(as_number(row.get("mean")) for row in rows)
    return axis, [_group(row, axis, unit, places, rates=rates) for row in rows]


def _group(row: Mapping[str, Any], axis: MeanAxis | None, unit: str, places: int, *, rates: bool) -> Group:
    mean, interval, count = as_number(row.get("mean")), as_pair(row.get("interval")), as_number(row.get("count"))
    figures = [value for value in as_numbers(row.get("figures")) if value is not None]
    names = row.get("units")
    called = [as_text(name) for name in names] if isinstance(names, list) else []
    step = max(1, -(-len(figures) // MOST_DOTS))
    amount = count if count is not None else float(len(figures))
    left = len(figures) - MOST_LISTED
    return Group(
        name=as_text(row.get("name")) or "unnamed",
        count=f"{number(amount)} {unit}{'' if amount == 1 else 's'}",
        mean=aligned(mean, places) if mean is not None else "",
        interval=" to ".join(aligned(end, places) for end in interval) if interval is not None else "",
        at=axis.at(mean) if axis is not None and mean is not None else None,
        bar=axis.bar(interval) if axis is not None and interval is not None else None,
        dots=[axis.at(value) for value in figures[::step]] if axis is not None and not rates else [],
        figures=[
            (called[place] if place < len(called) else f"{unit} {place + 1}", aligned(value, places))
            for place, value in enumerate(figures[:MOST_LISTED])
        ],
        more=f"and {left:,} more, which results.json has" if left > 0 else "",
    )


def _pair(row: Mapping[str, Any], places: int, mood: str, words: Mapping[str, str]) -> Pair:
    status = as_status(row.get("status"))
    return Pair(
        first=as_text(row.get("first")) or "unnamed",
        second=as_text(row.get("second")) or "unnamed",
        tone="expected" if mood == "expected" and status == "fail" else status,
        word=words[status],
        difference=signed(as_number(row.get("estimate")), places),
        interval=signed_ends(as_pair(row.get("interval")), places),
        within=_chance(row.get("p_equivalent")),
        beyond=_chance(row.get("p_beyond_holm")),
        differs=_chance(row.get("p_different_holm")),
    )


def _chance(value: object) -> str:
    known = as_number(value)
    return f"<{NO_BREAK}{SMALL}" if known is not None and 0 <= known < SMALL else aligned(known, 3)


def _intervals(told: Mapping[str, Any], confidence: float | None, both: float | None) -> str:
    counted = {"source": "The unit is the source of images", "pair": "The unit is the pair of images"}
    unit = counted.get(as_text(told.get("unit")), "The unit is the image")
    what = "rates" if told.get("rates") is True else "means"
    sure = (
        f" Intervals of {what} are at {percent(confidence)} confidence, those of differences at {percent(both)}, since "
        "each end is a test of its own."
        if confidence is not None
        else ""
    )
    return (
        f"{unit}, never the mask.{sure} A pair passes where its interval lies within the margin, and fails where p for "
        "being beyond it is small; those for being beyond and for any difference allow for the number of pairs (Holm)."
    )


def _facts(cost: Mapping[str, Any]) -> list[Fact]:
    images, samples, passes = (as_number(cost.get(name)) for name in ("images", "samples", "passes"))
    if images == 0:
        return [Fact("Images looked at", "none")]
    facts = [Fact("Images looked at", number(images))] if images is not None else []
    if samples is not None:
        facts.append(Fact("Masked samples", number(samples) + (f" ({number(passes)} model passes)" if passes else "")))
    if (seconds := as_number(cost.get("seconds"))) is not None:
        facts.append(Fact("Time", duration(seconds)))
    return facts
