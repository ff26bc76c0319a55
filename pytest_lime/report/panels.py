"""What the page shows beside claims and pictures, each panel from fields of the results that may be missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_lime.report.weights import Region

__all__ = ["PagePanels", "Panels", "page_panels_of", "panels_of"]


@dataclass(frozen=True)
class Panels:
    """The panels of one card; a template of its own shows each."""


@dataclass(frozen=True)
class PagePanels:
    """The panels of the run as a whole."""


def panels_of(record: Mapping[str, Any], regions: Sequence[Region]) -> Panels:
    """Return the panels of a record, whose `regions` are those of its card."""
    del record, regions
    return Panels()


def page_panels_of(results: Mapping[str, Any], anchors: Sequence[str]) -> PagePanels:
    """Return the panels of a run; `anchors` lead to the cards of its records, one each, in their order."""
    del results, anchors
    return PagePanels()
