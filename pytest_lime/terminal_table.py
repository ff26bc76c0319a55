"""The table on the terminal: a row for each claim that decided, the gravest first."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_lime.errors import count_words
from pytest_lime.records import VERDICTS, verdict_of, verdict_of_set
from pytest_lime.summaries import WORDS, claim_words, set_words, subject_of

__all__ = ["Line", "table_lines"]

HEADER = ("verdict", "check", "found", "samples", "test")
GAP = "  "
INDENT = " " * 4
# Of a test's name so much is shown, or it gets a line of its own.
SHORTEST_TEST = 24
# Rows that a run shows of its own accord.
MOST_ROWS = 50


@dataclass(frozen=True)
class Line:
    """A line of the table: what it begins with, in the colour of a verdict, and the rest.

    ``verdict`` is a key of `pytest_lime.records.VERDICTS`, or empty.
    """

    verdict: str
    word: str
    rest: str


@dataclass(frozen=True)
class _Row:
    verdict: str
    check: str
    found: tuple[str, ...]
    samples: str
    test: str


def table_lines(records: Sequence[Mapping[str, Any]], *, everything: bool, width: int | None) -> list[Line]:
    """Return the lines of the table; none where there is nothing to show.

    Parameters
    ----------
    records : sequence of mapping
        Of this run, in its order.
    everything : bool
        Show checks that passed, too, and however many there are.
    width : int or None
        Columns of the terminal; None where nobody counts them, as in the log of a CI job: nothing is shortened then.
    """
    rows = _rows(records, everything=everything)
    shown = rows if everything else rows[:MOST_ROWS]
    if not shown:
        return []
    lines = _columns(shown, width) or _stacked(shown, width or 80)
    if len(rows) > len(shown):
        lines.append(Line("", "", f"and {count_words(len(rows) - len(shown), 'more row')}, which the report shows"))
    return lines


def _rows(records: Sequence[Mapping[str, Any]], *, everything: bool) -> list[_Row]:
    """Return what is shown, the gravest first; images of a set follow it."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        of = record.get("set", {}).get("id")
        groups.setdefault(f"set {of}" if of else f"record {record['id']}", []).append(record)
    ordered = sorted(groups.values(), key=lambda group: VERDICTS.index(_verdict_of_group(group)))
    rows = []
    for group in ordered:
        if "id" in group[0].get("set", {}):
            verdict = _verdict_of_group(group)
            if everything or verdict != "pass":
                rows.append(_set_row(group, verdict))
                members = sorted(group, key=lambda record: VERDICTS.index(verdict_of(record)))
                rows += [_row(one, inner=True) for one in members if everything or verdict_of(one) != "pass"]
        elif everything or verdict_of(group[0]) != "pass":
            rows += map(_row, group)
    return rows


def _verdict_of_group(group: Sequence[Mapping[str, Any]]) -> str:
    return verdict_of_set(group) if "set" in group[0] else verdict_of(group[0])


def _set_row(group: Sequence[Mapping[str, Any]], verdict: str) -> _Row:
    told = group[0]["set"]
    found = set_words(sum(record["status"] == "pass" for record in group), told["of"], told["mostly"])
    unseen = told["of"] - len(group)
    return _Row(
        verdict=verdict,
        check=f"{_on_one_line(group[0]['target']['label'])} in a set",
        found=(found + (f"; {unseen} not looked at" if unseen else ""),),
        samples=f"{sum(record['explanation']['samples'] for record in group):,}",
        test=_on_one_line(group[0]["test"]),
    )


def _row(record: Mapping[str, Any], *, inner: bool = False) -> _Row:
    """Return the row of a record; one of a set, which has a row of its own, stands below it."""
    found = claim_words(record)
    if record["status"] != "pass" and record.get("severity") == "warn":
        found = [*found, "severity warn: the test passes"]
    return _Row(
        verdict=verdict_of(record),
        check=f"{'  ' if inner else ''}{_on_one_line(subject_of(record))}",
        found=tuple(map(_on_one_line, found)),
        samples=f"{record['explanation']['samples']:,}",
        test="" if inner else _on_one_line(record["test"]),
    )


def _on_one_line(text: str) -> str:
    """Return `text` without line breaks, which would make rows of their own."""
    return "\\n".join(text.splitlines())


def _columns(rows: Sequence[_Row], width: int | None) -> list[Line]:
    """Return the rows in columns; nothing where these are too wide."""
    words = [WORDS[row.verdict] for row in rows]
    verdicts = max(map(_length, [HEADER[0], *words]))
    checks = max(_length(text) for text in [HEADER[1], *(row.check for row in rows)])
    founds = max(_length(text) for text in [HEADER[2], *(line for row in rows for line in row.found)])
    samples = max(_length(text) for text in [HEADER[3], *(row.samples for row in rows)])
    taken = verdicts + checks + founds + samples + 4 * len(GAP)
    tests = max(_length(text) for text in [HEADER[4], *(row.test for row in rows)])
    if width is not None and taken + min(tests, SHORTEST_TEST) > width:
        return []
    room = tests if width is None else width - taken

    def line(verdict: str, word: str, cells: tuple[str, str, str, str]) -> Line:
        check, found, count, test = cells
        rest = GAP.join(
            ["", _padded(check, checks), _padded(found, founds), count.rjust(samples), _shortened(test, room)]
        )
        return Line(verdict, _padded(word, verdicts), rest.rstrip())

    lines = [line("", HEADER[0], HEADER[1:])]
    for row, word in zip(rows, words, strict=True):
        for place, found in enumerate(row.found):
            cells = (row.check, found, row.samples, row.test) if place == 0 else ("", found, "", "")
            lines.append(line(row.verdict, "" if place else word, cells))
    return lines


def _stacked(rows: Sequence[_Row], width: int) -> list[Line]:
    """Return the rows with their figures below them, for a terminal with few columns."""
    lines = []
    for row in rows:
        word = WORDS[row.verdict]
        head = f"{GAP}{row.check}"
        room = width - _length(word + head) - len(GAP)
        own = bool(row.test) and room < SHORTEST_TEST
        lines.append(
            Line(row.verdict, word, head + (f"{GAP}{_shortened(row.test, room)}" if row.test and not own else ""))
        )
        if own:
            # Where a name is parted it cannot be copied; its end tells it from others.
            lines.append(Line("", "", INDENT + _shortened(row.test, max(SHORTEST_TEST, width - len(INDENT)))))
        found = [*row.found[:-1], f"{row.found[-1]}; {row.samples} samples"]
        lines += [Line("", "", piece) for one in found for piece in _wrapped(one, width)]
    return lines


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(width, 20), initial_indent=INDENT, subsequent_indent=INDENT, break_on_hyphens=False)


def _length(text: str) -> int:
    """Return how many columns a text takes; some characters take two, and some none."""
    from tqdm.utils import disp_len  # noqa: PLC0415  (only where a table is printed)

    return int(disp_len(text))


def _padded(text: str, columns: int) -> str:
    return text + " " * (columns - _length(text))


def _shortened(text: str, columns: int) -> str:
    """Return a text with its middle left out, so that it fits."""
    if _length(text) <= columns:
        return text
    # The end tells tests of a file apart, and the beginning the files.
    last = max(1, (2 * columns) // 3)
    first = max(0, columns - last - 1)
    head, tail = text[:first], text[len(text) - last :]
    while tail and _length(f"{head}…{tail}") > columns:
        head, tail = head[:-1], tail[1:]
    return f"{head}…{tail}"
