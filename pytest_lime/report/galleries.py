"""Sets of images that the same check was made of: every image with its verdict, and how many hold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_lime.groups import rate_interval
from pytest_lime.records import verdict_of, verdict_of_set
from pytest_lime.report.charts import between, number, percent
from pytest_lime.report.reading import as_mapping, as_number, as_picture, as_rows, as_status, as_text, as_texts
from pytest_lime.summaries import set_words

__all__ = ["Gallery", "Member", "galleries_of", "set_of"]

GRAVITY = ("fail", "inconclusive", "expected", "pass")
MOST_SHOWN = 500
MOST_NAMED = 200
"""Images that were not looked at, by name."""

SURE = 0.95


@dataclass(frozen=True)
class Member:
    """One image of a set: where its card is, its small picture, its verdict and the figure that gave it."""

    anchor: str
    name: str
    place: str
    thumb: str
    tone: str
    word: str
    claim: str
    figure: str


@dataclass(frozen=True)
class Gallery:
    """A set: its images in the order in which they were given, and its own verdict."""

    anchor: str
    title: str
    target: str
    tone: str
    word: str
    headline: str
    share: str
    members: list[Member]
    more: str
    unseen: list[str]
    unseen_words: str

    @property
    def is_open(self) -> bool:
        """Whether it is unfolded: what did not pass is of more interest."""
        return self.tone != "pass"


def galleries_of(results: Mapping[str, Any], anchors: Sequence[str], words: Mapping[str, str]) -> list[Gallery]:
    """Return the sets of a run, those that failed first.

    Parameters
    ----------
    results : mapping
        Nothing in it is trusted.
    anchors : sequence of str
        Where the cards of its records are, one each.
    words : mapping
        The word for each verdict.
    """
    sets: dict[str, list[tuple[Mapping[str, Any], str]]] = {}
    for record, anchor in zip(as_rows(results.get("records")), anchors, strict=False):
        if name := as_text(as_mapping(record.get("set")).get("id")):
            sets.setdefault(name, []).append((record, anchor))
    found = [
        _gallery(sorted(records, key=lambda one: _number(one[0])), f"page--set-{place}", words)
        for place, records in enumerate(sets.values(), start=1)
    ]
    return sorted(found, key=lambda gallery: GRAVITY.index(gallery.tone))


def set_of(galleries: Sequence[Gallery]) -> dict[str, Gallery]:
    """Return the set of each card that belongs to one, by the card's anchor."""
    return {member.anchor: gallery for gallery in galleries for member in gallery.members}


def _number(record: Mapping[str, Any]) -> float:
    known = as_number(as_mapping(record.get("set")).get("number"))
    return math.inf if known is None else known


def _gallery(records: Sequence[tuple[Mapping[str, Any], str]], anchor: str, words: Mapping[str, str]) -> Gallery:
    first = records[0][0]
    facts = [as_mapping(record.get("set")) for record, _ in records]
    unseen = next((names for told in facts if (names := as_texts(told.get("unseen")))), [])
    statuses = [as_status(record.get("status")) for record, _ in records]
    given = next((amount for told in facts if (amount := as_number(told.get("of"))) is not None), None)
    total = max(len(records) + len(unseen), int(given) if given is not None and 0 < given < 1e9 else 0)
    mostly = next((share for told in facts if (share := as_number(told.get("mostly"))) is not None), None)
    tone = verdict_of_set([record for record, _ in records])
    name = next((text for told in facts if (text := as_text(told.get("name")))), "")
    test = as_text(first.get("test"))
    left = total - len(records)
    return Gallery(
        anchor=anchor,
        # Most sets are called after the test itself.
        title=test if test.endswith(name) and test else ", ".join(filter(None, (name, test))) or "unnamed test",
        target=as_text(as_mapping(first.get("target")).get("label")),
        tone=tone,
        word=words[tone],
        headline=f"{set_words(statuses.count('pass'), total, mostly)}.",
        share=_share(statuses, left, _confidence(first)),
        members=[_member(record, anchor, words) for record, anchor in records[:MOST_SHOWN]],
        more=f"and {len(records) - MOST_SHOWN:,} more, each with a card below" if len(records) > MOST_SHOWN else "",
        unseen=unseen[:MOST_NAMED],
        unseen_words=_unseen(left, len(unseen), tone),
    )


def _confidence(record: Mapping[str, Any]) -> float:
    known = as_number(as_mapping(record.get("explanation")).get("confidence"))
    return known if known is not None and 0 < known < 1 else SURE


def _share(statuses: Sequence[str], left: int, confidence: float) -> str:
    """Say where the share of images that hold lies; of a set that was not looked at to its end it says too much."""
    held, failed = statuses.count("pass"), statuses.count("fail")
    if left or held + failed == 0:
        return ""
    ends = between(*rate_interval(held, held + failed, confidence))
    whose = "images" if held + failed == len(statuses) else "decided images"
    rate = number(held / (held + failed))
    return f"{rate} of the {whose} hold; {percent(confidence)} interval for such images {ends}."


def _unseen(left: int, named: int, verdict: str) -> str:
    if left <= 0:
        return ""
    why = ", since the set was decided" if verdict != "inconclusive" else ""
    return f"{left:,} not looked at{why}{':' if named else '.'}"


def _member(record: Mapping[str, Any], anchor: str, words: Mapping[str, str]) -> Member:
    mood = verdict_of(record)
    rows = as_rows(record.get("claims"))
    wanted = as_status(record.get("status"))
    # What decided is the first claim whose verdict is that of the image.
    claim = next((row for row in rows if as_status(row.get("status")) == wanted), rows[0] if rows else {})
    estimate = as_number(claim.get("estimate"))
    pictures, place = as_mapping(record.get("pictures")), as_number(as_mapping(record.get("set")).get("number"))
    return Member(
        anchor=anchor,
        name=as_text(as_mapping(record.get("image")).get("name")) or "image",
        place=f"{place:,.0f}" if place is not None else "",
        thumb=as_picture(pictures.get("thumb")) or as_picture(pictures.get("image")),
        tone=mood,
        # What the set allows is no expectation of the test.
        word="Failed, allowed" if mood == "expected" and record.get("outcome") != "xfailed" else words[mood],
        claim=as_text(claim.get("claim")),
        figure=as_text(claim.get("figure")) or (number(estimate) if estimate is not None else ""),
    )
