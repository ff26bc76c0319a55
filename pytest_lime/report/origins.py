"""Where a verdict comes from: the claim's place in the code, the model, the arithmetic, hashes, earlier attempts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_lime.report.charts import between, number, percent
from pytest_lime.report.reading import as_count, as_mapping, as_number, as_pair, as_rows, as_status, as_text
from pytest_lime.report.trust import Fact

__all__ = ["Attempt", "Origins", "origins_of"]

MOST_ATTEMPTS = 50
MOST_HASHES = 64
SHORT = 12
"""Digits of a hash that tell it from others; all of them stand in the list of hashes."""


@dataclass(frozen=True)
class Attempt:
    """An attempt of a test before its last: its verdict, and what its claims found."""

    number: str
    tone: str
    word: str
    claims: list[tuple[str, str, str]]


@dataclass(frozen=True)
class Origins:
    """Facts for whoever has to trust a verdict, or to file it."""

    facts: list[Fact]
    hashes: list[tuple[str, str]]
    attempts: list[Attempt]
    last: str


def origins_of(record: Mapping[str, Any], words: Mapping[str, str]) -> Origins:
    """Return where the verdict of a record comes from; `words` has one for each verdict."""
    attempts = as_rows(record.get("attempts"))[:MOST_ATTEMPTS]
    last = as_count(record.get("attempt"))
    return Origins(
        facts=_facts(record),
        hashes=_hashes(record),
        attempts=[_attempt(row, place, words) for place, row in enumerate(attempts, start=1)],
        last=last or str(len(attempts) + 1),
    )


def _facts(record: Mapping[str, Any]) -> list[Fact]:
    facts = []
    model, arithmetic = as_mapping(record.get("model")), as_mapping(record.get("arithmetic"))
    if (sure := as_number(as_mapping(record.get("explanation")).get("confidence"))) is not None:
        facts.append(Fact("Confidence of intervals", percent(sure)))
    if name := as_text(model.get("name")):
        facts.append(Fact("Model", ", ".join([name, *_shape(model)])))
    if weights := as_text(model.get("sha256")):
        facts.append(Fact("Weights of the model", f"sha256 {weights[:SHORT]}{'…' if len(weights) > SHORT else ''}"))
    if told := _arithmetic(arithmetic):
        facts.append(Fact("Arithmetic", told))
    return facts


def _shape(model: Mapping[str, Any]) -> list[str]:
    size, classes = as_pair(model.get("input")), as_number(model.get("classes"))
    words = [f"input {number(size[0])} × {number(size[1])}"] if size is not None else []
    return [*words, f"{number(classes)} classes"] if classes is not None else words


def _arithmetic(arithmetic: Mapping[str, Any]) -> str:
    device, name = as_text(arithmetic.get("device")), as_text(arithmetic.get("device_name"))
    words = [f"{name} ({device})" if name and device and name != device else name or device]
    words.append(as_text(arithmetic.get("precision")))
    if (threads := as_number(arithmetic.get("threads"))) is not None:
        words.append(f"{number(threads)} thread{'' if threads == 1 else 's'}")
    if isinstance(same := arithmetic.get("deterministic"), bool):
        words.append("deterministic" if same else "not deterministic: another run may differ in the last digits")
    return ", ".join(filter(None, words))


def _hashes(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    hashes, model = as_mapping(record.get("hashes")), as_mapping(record.get("model"))
    regions = hashes.get("regions")
    rows = [
        ("Weights of the model", as_text(model.get("sha256"))),
        ("Image", as_text(hashes.get("image"))),
        ("Options", as_text(hashes.get("options"))),
    ]
    texts = [as_text(row.get("text")) or "region" for row in as_rows(record.get("regions"))]
    for place, value in enumerate(regions[:MOST_HASHES] if isinstance(regions, list) else []):
        rows.append((texts[place] if place < len(texts) else f"region {place + 1}", as_text(value)))
    return [(name, value) for name, value in rows if value]


def _attempt(row: Mapping[str, Any], place: int, words: Mapping[str, str]) -> Attempt:
    tone = as_status(row.get("status"))
    return Attempt(
        number=as_count(row.get("attempt")) or str(place),
        tone=tone,
        word=words[tone],
        claims=[
            (as_text(claim.get("claim")) or "claim", words[as_status(claim.get("status"))], _found(claim))
            for claim in as_rows(row.get("claims"))
        ],
    )


def _found(claim: Mapping[str, Any]) -> str:
    estimate, interval = as_number(claim.get("estimate")), as_pair(claim.get("interval"))
    samples = as_number(claim.get("samples"))
    words = [number(estimate)] if estimate is not None else []
    words += [f"interval {between(*interval)}"] if interval is not None else []
    words += [f"{number(samples)} samples"] if samples else []
    return ", ".join(words)
