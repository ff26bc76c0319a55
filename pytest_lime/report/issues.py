"""What is worth copying of a check into an issue, as Markdown that no text of a record can break out of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_lime.report.cards import Card
from pytest_lime.report.reading import as_mapping, as_text
from pytest_lime.report.runs import model_words
from pytest_lime.report.weights import called

__all__ = ["issue_text"]

VERSIONS = 12
"""So many facts of the environment are told."""


def issue_text(card: Card, record: Mapping[str, Any], environment: Sequence[tuple[str, str]], commit: str) -> str:
    """Return verdict, test, claims with their figures, model, image, versions and command of a check.

    Parameters
    ----------
    card : Card
    record : mapping
        What the card was made from.
    environment : sequence of (name, value)
    commit : str
        Of the code, in words; empty where it is not known.
    """
    lines = [f"**{card.word}:** {_code(card.target)} in {_code(card.image)}", "", f"Test: {_code(card.test)}"]
    lines += [f"Where: {_code(card.place)}"] if card.place else []
    lines.append("")
    for claim in card.claims:
        figures = ", ".join(filter(None, (claim.figure, *claim.figures)))
        lines.append(
            f"- {claim.word}: {_code(claim.meaning or claim.name)}" + (f" ({_plain(figures)})" if figures else "")
        )
        lines += [f"  - Caution: {_code(claim.caution)}"] if claim.caution else []
    # Claims call them by the names that they have in the pictures.
    lines += [f"- {_titled(called(region))}: {_code(region.text)}" for region in card.regions]
    if card.comparison:
        figures = ", ".join(filter(None, (card.comparison.figure, *card.comparison.figures)))
        lines.append(
            f"- {card.comparison.word}: {_code(card.comparison.headline)}"
            + (f" ({_plain(figures)})" if figures else "")
        )
    if not card.found and card.message:
        lines.append(_fenced(card.message[:2000]))
    facts = [
        ("Model", model_words(as_mapping(record.get("model")))),
        ("sha256 of the weights", as_text(as_mapping(record.get("model")).get("sha256"))),
        ("sha256 of the image", as_text(as_mapping(record.get("image")).get("sha256"))),
        ("Commit", commit),
        ("Versions", ", ".join(f"{name} {value}" for name, value in environment[:VERSIONS] if value)),
    ]
    lines += ["", *(f"- {name}: {_code(value)}" for name, value in facts if value)]
    if card.rerun:
        lines += ["", "Run it again:", "", _fenced(card.rerun)]
    return "\n".join(lines)


def _titled(words: str) -> str:
    return words[0].upper() + words[1:]


def _plain(text: str) -> str:
    """Return a text of one line whose signs mean nothing to Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>#|@~])", r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    """Return a text of one line as code, between more backticks than it has in a row."""
    line = " ".join(text.split()) or "-"
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    room = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{room}{line}{room}{fence}"


def _fenced(text: str) -> str:
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"
