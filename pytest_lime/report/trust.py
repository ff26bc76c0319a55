"""How far to trust an explanation, and what the model says of an image without a region, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_lime.reliability import APART, FEW_ALIVE, POOR, UNLIKE
from pytest_lime.report.charts import NO_BREAK, aligned, between, decimals, digits, duration, number, percent, signed
from pytest_lime.report.reading import as_number, as_numbers, as_pair, as_rows, as_text, as_texts

__all__ = ["Fact", "Probe", "Probes", "cost_facts", "fill_scores", "name_regions", "probes", "trust_facts"]

FAR_APART = f"far apart: more than {percent(APART)} of all that masks change"
MOST_FILLS = 4
"""Columns that a page has room for, twice; checks have two."""


@dataclass(frozen=True)
class Fact:
    """A figure with its name; `poor` says in a few words what is wrong with it, if anything is."""

    name: str
    value: str
    poor: str = ""


@dataclass(frozen=True)
class Probe:
    """The scores of an image without a region and of the region alone, one a fill, and the same in a sentence."""

    letter: str
    text: str
    whole: str
    without: list[str]
    alone: list[str]
    words: str


@dataclass(frozen=True)
class Probes:
    """A table of probes, whose numbers have equally many decimals."""

    fills: list[str]
    rows: list[Probe]


def cost_facts(explanation: Mapping[str, Any]) -> list[Fact]:
    """Return what a record says of how its explanation was made."""
    samples, passes = as_number(explanation.get("samples")), as_number(explanation.get("passes"))
    sampler = as_text(explanation.get("sampler"))
    facts = [Fact("Superpixels", number(as_number(explanation.get("superpixels"))))]
    if samples is not None:
        calls = f" ({number(passes)} model passes)" if passes is not None else ""
        facts.append(Fact("Masked samples", f"{number(samples)}{f', {sampler}' if sampler else ''}{calls}"))
    precision, shift = as_text(explanation.get("precision")), as_number(explanation.get("precision_shift"))
    if precision and precision != "float32":
        moved = f", which moves the score of the image by {shift:+.3g} against float32" if shift is not None else ""
        facts.append(Fact("Precision", f"{precision}{moved}"))
    if (seconds := as_number(explanation.get("seconds"))) is not None:
        facts.append(Fact("Time", duration(seconds)))
    return facts


def trust_facts(
    explanation: Mapping[str, Any], target: Mapping[str, Any], validity: Mapping[str, Any] | None = None
) -> list[Fact]:
    """Return what a record says of how far its explanation can be trusted.

    Records of an older version have no `validity`; most of the figures then stand in `explanation`.
    """
    known = {**explanation, **{name: value for name, value in (validity or {}).items() if value is not None}}
    poor = set(as_texts(known.get("poor")))

    def fact(key: str, name: str, value: str, what: str) -> Fact:
        return Fact(name, value, what if key in poor else "")

    facts = []
    fit, heldout = as_number(known.get("r2")), as_number(known.get("r2_heldout"))
    if heldout is not None:
        own = f", {number(fit)} on its own" if fit is not None else ""
        words = f"R² {number(heldout)} on samples that it has not seen{own} (1 is perfect)"
        why = f"below {POOR}" if heldout < POOR else f"more than {APART} lower than on its own"
        facts.append(fact("r2_heldout", "Fit of the surrogate", words, f"poor: {why}"))
    elif fit is not None:
        facts.append(Fact("Fit of the surrogate", f"R² {number(fit)} (1 is perfect)"))
    local, score, gap = map(as_number, (known.get("local_prediction"), target.get("score"), known.get("gap")))
    apart = f"a gap of{NO_BREAK}{signed(gap, decimals(gap))}" if gap is not None else ""
    if local is not None:
        model = f", the model {number(score)}" if score is not None else ""
        words = f"the surrogate says {number(local)}{model}{f': {apart}' if apart else ''}"
        facts.append(fact("gap", "On the image itself", words, FAR_APART))
    elif apart:
        facts.append(fact("gap", "On the image itself", f"{apart} between surrogate and model", FAR_APART))
    if (alive := as_number(known.get("alive"))) is not None:
        words = f"{percent(alive)} keep a tenth of its score"
        facts.append(fact("alive", "Samples with the class alive", words, f"too few: below {percent(FEW_ALIVE)}"))
    if (occlusion := as_number(known.get("occlusion"))) is not None:
        interval = as_pair(known.get("occlusion_interval"))
        where = f", interval {between(*interval)}" if interval is not None else ""
        words = f"rank correlation {number(occlusion)}{where} (1 is the same order)"
        facts.append(fact("occlusion", "Agreement with occlusion", words, f"unlike: surely below {UNLIKE}"))
    return facts


def probes(record: Mapping[str, Any], regions: Sequence[tuple[str, str]]) -> Probes:
    """Return what a record says of the model without each region, and with it alone.

    Parameters
    ----------
    record : mapping
    regions : sequence of (letter, text)
        The record's regions, as the pictures show them.
    """
    rows = as_rows(record.get("interventions"))
    named = name_regions(rows, regions)
    wholes = [as_number(row.get("whole")) for row in rows]
    tables = [(dict(fill_scores(row, "without")), dict(fill_scores(row, "alone"))) for row in rows]
    fills = list(dict.fromkeys(fill for pair in tables for table in pair for fill in table))[:MOST_FILLS]
    places = digits([*wholes, *(score for pair in tables for table in pair for score in table.values())])

    def probe(place: int) -> Probe:
        letter, text, name = named[place]
        without, alone = ([table.get(fill) for fill in fills] for table in tables[place])
        return Probe(
            letter=letter,
            text=text,
            whole=aligned(wholes[place], places),
            without=[aligned(score, places) for score in without],
            alone=[aligned(score, places) for score in alone],
            words=_left(name, wholes[place], without, alone),
        )

    return Probes(fills, [probe(place) for place in range(len(rows))])


def name_regions(rows: Sequence[Mapping[str, Any]], regions: Sequence[tuple[str, str]]) -> list[tuple[str, str, str]]:
    """Return letter, text and name of the region of each intervention; `regions` are those of the record."""
    texts = [as_text(row.get("region")) or "region" for row in rows]
    # Masks may print alike: only their order tells which is which.
    letters = [letter for letter, _ in regions] if texts == [text for _, text in regions] else [""] * len(rows)
    return [
        (letter, text, f"region {letter}" if letter else "the region" if len(rows) == 1 else text)
        for letter, text in zip(letters, texts, strict=True)
    ]


def fill_scores(row: Mapping[str, Any], key: str) -> list[tuple[str, float | None]]:
    """Return the scores that an intervention has under `key`, ``"without"`` or ``"alone"``, each with its fill."""
    names, scores = row.get("fills"), as_numbers(row.get(key))
    named = [as_text(name) for name in names] if isinstance(names, list) else []
    return [
        ((named[place] if place < len(named) else "") or f"fill {place + 1}", score)
        for place, score in enumerate(scores)
    ]


def _left(name: str, whole: float | None, without: Sequence[float | None], alone: Sequence[float | None]) -> str:
    """Say how much of the score is left; only scores above 0 have shares."""
    if whole is None or whole <= 0:
        return ""
    parts = []
    if left := _shares(without, whole):
        parts.append(f"Without {name}, the score is {left} of what it was")
    if given := _shares(alone, whole):
        parts.append(f"{name} alone gives {given}")
    told = "; ".join(parts)
    return f"{told[0].upper()}{told[1:]}." if told else ""


def _shares(scores: Sequence[float | None], whole: float) -> str:
    shares = [100 * (score / whole) for score in scores if score is not None]
    if not shares or not all(map(math.isfinite, shares)):
        return ""
    low, high = (f"{number(float(round(end)))}{NO_BREAK}%" for end in (min(shares), max(shares)))
    return low if low == high else f"{low} to {high}"
