"""Counts: how many checks of a run came out how, and what of the run no check speaks of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_lime.records import count_verdicts

__all__ = ["count_run"]


def count_run(records: Sequence[Mapping[str, Any]], *, skipped: int, deselected: int) -> dict[str, int]:
    """Return the counts of a run, as its results say them.

    Parameters
    ----------
    records : sequence of mappings
        Of checks; what is not as it should be counts for nothing.
    skipped, deselected : int
        Tests that use `lime` and were skipped, and tests that were left out.

    Returns
    -------
    dict
        How many records have each verdict; and ``rerun``, the attempts before the last of each test; ``unseen``, images
        of sets that were not looked at; ``excluded``, all that the verdicts do not speak of.
    """
    attempts: dict[str, int] = {}
    unseen = 0
    for record in records:
        test = str(record.get("test"))
        attempts[test] = max(attempts.get(test, 1), _whole(record.get("attempt")))
        images = record.get("set")
        left = images.get("unseen") if isinstance(images, Mapping) else None
        unseen += len(left) if isinstance(left, list) else 0
    return {
        **count_verdicts(records),
        "rerun": sum(attempts.values()) - len(attempts),
        "skipped": skipped,
        "deselected": deselected,
        "unseen": unseen,
        "excluded": skipped + deselected + unseen,
    }


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 1
