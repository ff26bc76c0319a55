"""What a page says of the run itself: how it ended, of which code and model it speaks, and what it left out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_lime.report.charts import moment, number
from pytest_lime.report.reading import as_count, as_mapping, as_number, as_numbers, as_rows, as_text

__all__ = ["commit_words", "ending", "left_out", "model_words", "models_of", "sources_of"]

_ENDINGS = {
    "interrupted": "The run was interrupted",
    "stopped": "The run stopped early",
    "crashed": "A worker of the run was lost",
}
_COMMIT = re.compile("[0-9a-f]{7,64}")
_LEFT_OUT = (
    ("skipped", "test was skipped", "tests were skipped"),
    ("deselected", "test was deselected", "tests were deselected"),
    ("unseen", "image of a set was not looked at", "images of sets were not looked at"),
    ("rerun", "attempt was followed by a rerun", "attempts were followed by reruns"),
)


def ending(run: Mapping[str, Any]) -> str:
    """Say how a run ended that did not run to its end; nothing of any other."""
    words = _ENDINGS.get(as_text(run.get("exit")))
    return f"{words}: what did not run is missing here." if words else ""


def commit_words(run: Mapping[str, Any]) -> str:
    """Say of which commit a run speaks; nothing where it is not known."""
    git = as_mapping(run.get("git"))
    commit = as_text(git.get("commit"))
    if not _COMMIT.fullmatch(commit):
        return ""
    changed = " with changes that are not committed" if git.get("dirty") is True else ""
    branch = as_text(git.get("branch"))
    # What others have written stands last: marks of direction in it then turn no words of ours round.
    return f"{commit[:10]}{changed}{f', on {branch}' if branch else ''}"


def left_out(counts: Mapping[str, Any]) -> str:
    """Say what the page does not judge; nothing where there is nothing."""
    parts = []
    for key, one, many in _LEFT_OUT:
        count = as_number(counts.get(key))
        if count is not None and count >= 1:
            parts.append(f"{number(count)} {one if count == 1 else many}")
    return f"{', '.join(parts)}." if parts else ""


def model_words(model: Mapping[str, Any]) -> str:
    """Return a model's name with the beginning of the hash of its weights, its input and its classes."""
    name, digest = as_text(model.get("name")), as_text(model.get("sha256"))
    if not name and not digest:
        return ""
    sides = model.get("input")
    size = [side for side in as_numbers(sides) if side is not None] if isinstance(sides, list) else []
    parts = [
        f"weights {digest[:10]}" if digest else "",
        " × ".join(number(side) for side in size) if len(size) == 2 else "",
        f"{classes} classes" if (classes := as_count(model.get("classes"))) else "",
    ]
    return ", ".join(filter(None, (name or "model", *parts)))


def models_of(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the models of some records, each once."""
    found: dict[tuple[str, str], str] = {}
    for record in records:
        model = as_mapping(record.get("model"))
        which, words = (as_text(model.get("name")), as_text(model.get("sha256"))), model_words(model)
        # Not every check learns how many classes there are.
        if words and len(words) > len(found.get(which, "")):
            found[which] = words
    return list(found.values())


def sources_of(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the reports that a merged one was made of: what each was called, and what there is to say of it."""
    sources = []
    for source in as_rows(results.get("sources")):
        run = as_mapping(source.get("run"))
        count = as_number(source.get("records"))
        parts = [
            f"{number(count)} {'check' if count == 1 else 'checks'}" if count is not None else "",
            ending(run).partition(":")[0],
            moment(as_text(source.get("created"))),
            commit_words(run),
        ]
        sources.append((as_text(source.get("name")) or "report", ", ".join(filter(None, parts))))
    return sources
