"""Readers of records that nobody vouches for: each puts a calm default where a value is of the wrong type."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pytest_lime.records import BOUNDS, PICTURE_PATH

__all__ = [
    "as_asked",
    "as_count",
    "as_mapping",
    "as_number",
    "as_numbers",
    "as_pair",
    "as_picture",
    "as_relation",
    "as_rows",
    "as_status",
    "as_text",
    "as_texts",
]


def as_count(value: object) -> str:
    """Return a whole number in words, or nothing."""
    known = as_number(value)
    return f"{known:.0f}" if known is not None else ""


def as_number(value: object) -> float | None:
    """Return a finite number, or None."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        known = float(value)
    except OverflowError:
        return None
    return known if math.isfinite(known) else None


def as_text(value: object) -> str:
    """Return any value in words; nothing for None."""
    return "" if value is None else value if isinstance(value, str) else str(value)


def as_mapping(value: object) -> Mapping[str, Any]:
    """Return a mapping whose keys are texts, or an empty one."""
    return {as_text(key): item for key, item in value.items()} if isinstance(value, Mapping) else {}


def as_rows(value: object) -> list[Mapping[str, Any]]:
    """Return the mappings of a list."""
    return [as_mapping(row) for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


def as_texts(value: object) -> list[str]:
    """Return the texts of a list."""
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def as_numbers(value: object) -> list[float | None]:
    """Return the numbers of a list, None in the place of what is none."""
    return [as_number(item) for item in value] if isinstance(value, list) else []


def as_pair(value: object) -> tuple[float, float] | None:
    """Return two finite numbers, or None."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    first, second = as_number(value[0]), as_number(value[1])
    return (first, second) if first is not None and second is not None else None


def as_status(value: object) -> str:
    """Return a status; one that this version does not know is nothing to be sure of."""
    return value if isinstance(value, str) and value in ("pass", "fail") else "inconclusive"


def as_relation(value: object) -> str:
    """Return ``"<="`` or, of anything else, ``">="``."""
    return "<=" if value == "<=" else ">="


def as_asked(claim: Mapping[str, Any]) -> str:
    """Return what a claim accepts, in words; older records have no words for it, and no finite bound none at all."""
    words, bound = as_text(claim.get("asks")), as_number(claim.get("bound"))
    if words or bound is None:
        return words
    return f"{BOUNDS[as_relation(claim.get('relation'))]} {bound:.3g}"


def as_picture(value: object) -> str:
    """Return a picture's path if it is one of the report's own files, and nothing for any other address."""
    return value if isinstance(value, str) and PICTURE_PATH.fullmatch(value) else ""
