"""What the page shows beside claims and pictures, each panel from fields of the results that may be missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_lime.report.changes import Changed, changed_of
from pytest_lime.report.curves import Curves, curves_of
from pytest_lime.report.galleries import Gallery, galleries_of, set_of
from pytest_lime.report.interventions import Intervention, interventions_of
from pytest_lime.report.method_card import MethodCard, method_card_of
from pytest_lime.report.origins import Origins, origins_of
from pytest_lime.report.paths import Path, path_of
from pytest_lime.report.reading import as_rows
from pytest_lime.report.sides import Side, sides_of
from pytest_lime.report.weights import Region

__all__ = ["PagePanels", "Panels", "page_panels_of", "panels_of"]


@dataclass(frozen=True)
class Panels:
    """The panels of one card; a template of its own shows each.

    `paths` has one entry for each claim.
    """

    paths: list[Path | None]
    sides: list[Side]
    changed: Changed | None
    interventions: list[Intervention]
    curves: Curves | None
    origins: Origins


@dataclass(frozen=True)
class PagePanels:
    """The panels of the run as a whole; `sets` has the gallery of each card that belongs to one, by its anchor."""

    galleries: list[Gallery]
    sets: dict[str, Gallery]
    method: MethodCard | None


def panels_of(record: Mapping[str, Any], regions: Sequence[Region], words: Mapping[str, str]) -> Panels:
    """Return the panels of a record, whose `regions` are those of its card; `words` has one for each verdict."""
    return Panels(
        paths=[path_of(claim) for claim in as_rows(record.get("claims"))],
        sides=sides_of(record),
        changed=changed_of(record),
        interventions=interventions_of(record, [(region.letter, region.text) for region in regions]),
        curves=curves_of(record),
        origins=origins_of(record, words),
    )


def page_panels_of(results: Mapping[str, Any], anchors: Sequence[str], words: Mapping[str, str]) -> PagePanels:
    """Return the panels of a run; `anchors` lead to the cards of its records, one each, in their order."""
    galleries = galleries_of(results, anchors, words)
    return PagePanels(galleries, set_of(galleries), method_card_of(results))
