"""The page as a whole: its headline, its counts, and its cards in their order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_lime.report.anchors import anchors_of
from pytest_lime.report.cards import WORDS, Card, card_of
from pytest_lime.report.charts import duration, moment
from pytest_lime.report.issues import issue_text
from pytest_lime.report.overviews import Costly, Row, costliest, rows_of
from pytest_lime.report.panels import PagePanels, page_panels_of
from pytest_lime.report.pictures import legend_colours, opacity
from pytest_lime.report.reading import as_mapping, as_number, as_rows, as_text, as_texts
from pytest_lime.report.runs import commit_words, ending, left_out, models_of, sources_of
from pytest_lime.report.weights import LEGEND_STEPS
from pytest_lime.summaries import JUDGED

__all__ = ["Page", "page_of"]

_COUNTED = {**JUDGED, "explanation": "explained, test failed", "explained": "explained"}
SHORT = 30
"""So many cards are laid out at once."""


@dataclass(frozen=True)
class Page:
    """All that the page shows of a run."""

    headline: str
    mood: str
    asides: list[str]
    chips: list[tuple[str, int, str, str]]
    created: str
    created_iso: str
    duration: str
    command: str
    environment: list[tuple[str, str]]
    cards: list[Card]
    rows: list[Row]
    costliest: list[tuple[str, list[Costly]]]
    ending: str
    reason: str
    problems: list[str]
    commit: str
    models: list[str]
    sources: list[tuple[str, str]]
    issues: dict[str, str]
    panels: PagePanels
    stops: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def is_long(self) -> bool:
        """Whether laying out every card at once would take long."""
        return len(self.cards) > SHORT


def page_of(results: Mapping[str, Any]) -> Page:
    """Return the page of a run's results."""
    environment = [(name, as_text(value)) for name, value in as_mapping(results.get("environment")).items()]
    records = as_rows(results.get("records"))
    names = anchors_of(records)
    cards = [card_of(record, name) for record, name in zip(records, names, strict=True)]
    by_anchor = dict(zip(names, records, strict=True))
    order = list(WORDS)
    cards.sort(key=lambda card: order.index(card.mood))
    counts = Counter(card.mood for card in cards)
    first = {card.mood: card.anchor for card in reversed(cards)}
    created = as_text(results.get("created"))
    run = as_mapping(results.get("run"))
    commit = commit_words(run)
    return Page(
        headline=_headline(counts),
        mood=cards[0].mood if cards else "none",
        asides=_asides(counts, as_mapping(results.get("counts"))),
        chips=[(mood, counts[mood], _COUNTED[mood], first[mood]) for mood in order if counts[mood]],
        created=moment(created),
        created_iso=created,
        duration=duration(as_number(results.get("duration"))),
        command=as_text(results.get("command")),
        environment=environment,
        cards=cards,
        rows=rows_of(cards, by_anchor),
        costliest=costliest(cards),
        ending=ending(run),
        reason=as_text(run.get("reason")),
        problems=as_texts(results.get("problems")),
        commit=commit,
        models=models_of(records),
        sources=sources_of(results),
        issues={
            card.anchor: issue_text(card, by_anchor[card.anchor], environment, commit)
            for card in cards
            if card.mood not in ("pass", "explained")
        },
        panels=page_panels_of(results, names, WORDS),
        stops=_legend(),
    )


def _legend() -> list[tuple[str, str, str]]:
    colours = legend_colours(LEGEND_STEPS)
    places = [step / (LEGEND_STEPS - 1) for step in range(LEGEND_STEPS)]
    return [
        (f"{place:.2f}", colour, f"{opacity(2 * place - 1):.3f}") for place, colour in zip(places, colours, strict=True)
    ]


def _headline(counts: Counter[str]) -> str:
    failed, unsure, expected, passed = (counts[m] for m in ("fail", "inconclusive", "expected", "pass"))
    total = failed + unsure + expected + passed
    if total == 0:
        return "No check was recorded." if not counts.total() else "No check was made, only explanations."
    rest = []
    if unsure:
        rest.append(f"{unsure} {'is' if unsure == 1 else 'are'} inconclusive")
    if expected:
        rest.append(f"{expected} failed as expected")
    if failed:
        first = f"{failed} of {total} checks failed" if total > 1 else "The only check failed"
        return ", ".join([first, *rest]) + "."
    if passed == total:
        return f"All {total} checks passed." if total > 1 else "The only check passed."
    if total == 1:
        return "The only check is inconclusive." if unsure else "The only check failed as expected."
    return f"No check failed: of {total}, " + " and ".join(rest) + "."


def _asides(counts: Counter[str], told: Mapping[str, Any]) -> list[str]:
    asides = []
    if broken := counts["explanation"]:
        asides.append(
            "1 explanation comes from a test that failed by an assertion of its own."
            if broken == 1
            else f"{broken} explanations come from tests that failed by assertions of their own."
        )
    if excluded := left_out(told):
        asides.append(excluded)
    return asides
