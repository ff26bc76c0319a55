"""The method card: what the verdicts of a run cover, and what they do not, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_lime.report.reading import as_mapping, as_texts

__all__ = ["MethodCard", "method_card_of"]


@dataclass(frozen=True)
class MethodCard:
    """Sentences of what verdicts cover and of what they do not."""

    covers: list[str]
    does_not_cover: list[str]


def method_card_of(results: Mapping[str, Any]) -> MethodCard | None:
    """Return the method card of a run's results; None where they have none."""
    method = as_mapping(results.get("method"))
    card = MethodCard(_sentences(method.get("covers")), _sentences(method.get("does_not_cover")))
    return card if card.covers or card.does_not_cover else None


def _sentences(value: object) -> list[str]:
    return [text for text in as_texts(value) if text.strip()]
