"""The overview of a page: a row for each check, or for each set of images, and which checks cost the most."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_lime.records import verdict_of_set
from pytest_lime.report.cards import WORDS, Card
from pytest_lime.report.charts import duration, number
from pytest_lime.report.reading import as_mapping, as_number, as_status, as_text
from pytest_lime.summaries import set_words

__all__ = ["Costly", "Row", "costliest", "rows_of"]

MOST_COSTLY = 5
MOST_IMAGES = 10**9
MOST_SHOWN = 6
"""So many thumbnails stand in the row of a set."""


@dataclass(frozen=True)
class Row:
    """A row of the overview; one of a set of images opens, and holds a row for each of them."""

    mood: str
    word: str
    test: str
    cards: list[Card]
    is_set: bool
    name: str
    headline: str
    thumbs: list[str]


@dataclass(frozen=True)
class Costly:
    """A check that cost much, and how much."""

    card: Card
    cost: str


def rows_of(cards: Sequence[Card], records: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    """Return the rows of some cards, failures first; `records` are theirs, by their anchors."""
    groups: dict[tuple[str, str], list[Card]] = {}
    for card in cards:
        name = as_text(as_mapping(records[card.anchor].get("set")).get("id"))
        groups.setdefault((name, card.test) if name else ("", card.anchor), []).append(card)
    rows = [_row(group, [records[card.anchor] for card in group]) for group in groups.values()]
    order = list(WORDS)
    return sorted(rows, key=lambda row: order.index(row.mood))


def _row(cards: list[Card], records: Sequence[Mapping[str, Any]]) -> Row:
    first = cards[0]
    if len(cards) == 1:
        return Row(first.mood, first.word, first.test, cards, is_set=False, name="", headline="", thumbs=[])
    facts = as_mapping(records[0].get("set"))
    mood = verdict_of_set(records)
    given, mostly = as_number(facts.get("of")), as_number(facts.get("mostly"))
    total = max(len(cards), int(given) if given is not None and given < MOST_IMAGES else 0)
    held = sum(as_status(record.get("status")) == "pass" for record in records)
    unseen = f"; {total - len(cards):,} not looked at" if total > len(cards) else ""
    thumbs = [card.thumb for card in cards if card.thumb][:MOST_SHOWN]
    name = as_text(facts.get("name"))
    headline = f"{set_words(held, total, mostly)}{unseen}"
    return Row(mood, WORDS[mood], first.test, cards, is_set=True, name=name, headline=headline, thumbs=thumbs)


def costliest(cards: Sequence[Card]) -> list[tuple[str, list[Costly]]]:
    """Return the slowest checks and those with the most samples; nothing of a page that has but one."""
    if len(cards) < 2:
        return []
    slowest = _most(cards, lambda card: card.seconds, duration)
    sampled = _most(cards, lambda card: card.samples, lambda samples: f"{number(samples)} samples")
    return [(title, found) for title, found in (("Slowest", slowest), ("Most samples", sampled)) if found]


def _most(cards: Sequence[Card], cost: Callable[[Card], float | None], words: Callable[[float], str]) -> list[Costly]:
    known = [(value, card) for card in cards if (value := cost(card))]
    known.sort(key=lambda entry: -entry[0])
    return [Costly(card, words(value)) for value, card in known[:MOST_COSTLY]]
