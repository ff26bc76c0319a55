"""The step summary: what GitHub Actions shows of a run on the page of its job, as Markdown.

Records are not trusted here: every text of theirs is shown as text, whatever Markdown or HTML it holds.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_lime.errors import printable
from pytest_lime.records import VERDICTS, count_verdicts, verdict_of
from pytest_lime.report.reading import as_mapping, as_number, as_rows, as_text, as_texts
from pytest_lime.report.runs import ending, left_out
from pytest_lime.summaries import JUDGED, WORDS, claim_words

__all__ = ["LIMIT", "VARIABLE", "append_summary", "as_cell", "render_summary"]

VARIABLE = "GITHUB_STEP_SUMMARY"
LIMIT = 1_048_576
"""Bytes that GitHub takes of one step; of a longer summary it shows nothing."""
# Kept for "and 1,234 more", of each list, and for what ends a block.
RESERVE = 512
LONGEST = 500
MOST_PROBLEMS = 20
HEAD = "| Verdict | Test | Image | Target | Claim | Samples |\n|---|---|---|---|---|---:|\n"
# Marks that turn the direction of a line; shown as what they are.
DIRECTIONS = {
    code: f"\\u{code:04x}" for code in (0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}
# Whatever may begin markup, a link, a mention or another cell.
MARKUP = re.compile(r"[^\w\s.,;%()/=+…×-]|_|(?<=www)\.", re.IGNORECASE)


def append_summary(results: Mapping[str, Any], *, page: Path | None) -> str:
    """Append the summary of a run to the file that ``GITHUB_STEP_SUMMARY`` names; nothing where it names none.

    Parameters
    ----------
    results : mapping
        As in ``results.json``; of it the records, ``run``, ``counts`` and ``problems``.
    page : Path or None
        The report, if one was written.

    Returns
    -------
    str
        Why it could not be written, in a sentence; empty where it was, or was not asked for.
    """
    name = os.environ.get(VARIABLE, "")
    if not name or not as_rows(results.get("records")):
        return ""
    try:
        path = Path(name)
        size = _size(path)
        # One below the limit, since GitHub does not say on which side of it the last byte is.
        data = render_summary(results, page=page, room=LIMIT - 1 - size).encode()
        if not data:
            return f"{VARIABLE}: {name!r} holds {size:,} bytes, and GitHub shows at most {LIMIT:,}; nothing was added."
        # A buffer that holds all of it, so that it is one write.
        with path.open("ab", buffering=len(data) + 1) as file:
            file.write(data)
    except (OSError, ValueError) as error:
        return f"{VARIABLE}: {name!r} cannot be written: {getattr(error, 'strerror', None) or error}."
    return ""


def _size(path: Path) -> int:
    """Return how many bytes a file has already."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0
    if not stat.S_ISREG(found.st_mode):
        # To open a pipe would wait for a reader.
        raise ValueError("it is no regular file")
    return found.st_size


def render_summary(results: Mapping[str, Any], *, page: Path | None, room: int = LIMIT - 1) -> str:
    """Return the summary in at most `room` bytes; what does not fit is counted, passes first. Empty if nothing fits."""
    records = sorted(as_rows(results.get("records")), key=lambda record: VERDICTS.index(verdict_of(record)))
    told = [record for record in records if verdict_of(record) not in ("pass", "explained")]
    passes = records[len(told) :]
    text = _beginning(results, records)
    end = f"\nReport: {as_cell(str(page))}\n" if page else "\nNo report was written.\n"
    budget = room - len(text.encode()) - len(end.encode())
    if budget < 0:
        return ""
    parts = [
        # The table of what did not pass comes first and may take all; commands, then passes, take what is left.
        (told, _row, HEAD, ""),
        (told, _command, _details("Run again"), "\n</details>\n"),
        (passes, _row, _details(f"{len(passes):,} more") + HEAD, "\n</details>\n"),
    ]
    for rows, tell, head, foot in parts:
        block = _block(rows, tell, f"\n{head}", foot, budget)
        text += block
        budget -= len(block.encode())
    return text + end


def _beginning(results: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> str:
    """Return headline, whatever makes the run less than whole, and counts."""
    counts = count_verdicts(records)
    words = [f"{counts[verdict]:,} {JUDGED[verdict]}" for verdict in JUDGED if counts[verdict]]
    if counts["explanation"]:
        words.insert(0, f"{counts['explanation']:,} explained in tests that failed")
    if counts["explained"]:
        words.append(f"{counts['explained']:,} explained without a claim")
    problems = as_texts(results.get("problems"))
    said = [told] if (told := ending(as_mapping(results.get("run")))) else []
    said += problems[:MOST_PROBLEMS]
    if len(problems) > MOST_PROBLEMS:
        said.append(f"and {len(problems) - MOST_PROBLEMS:,} more problems")
    checks = sum(record.get("kind") != "explanation" for record in records)
    excluded = as_cell(left_out(as_mapping(results.get("counts"))))
    samples = sum(as_number(as_mapping(record.get("explanation")).get("samples")) or 0 for record in records)
    judged = f"{checks:,} {'check' if checks == 1 else 'checks'}, {samples:,.0f} samples."
    lines = [
        f"## Where the model looks: {', '.join(words)}\n",
        *(f"- ⚠️ {as_cell(one)}" for one in said),
        f"\n{judged}{f' Not judged: {excluded}' if excluded else ''}\n",
    ]
    return "\n".join(lines)


def _details(summary: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n"


def _block(
    rows: Sequence[Mapping[str, Any]],
    tell: Callable[[Mapping[str, Any]], str],
    head: str,
    foot: str,
    budget: int,
) -> str:
    """Return as many rows as fit, and how many more there are; nothing where not one fits."""
    lines = list(dict.fromkeys(filter(None, map(tell, rows))))
    kept = list(_fitting(lines, budget - len((head + foot).encode()) - RESERVE))
    if not kept:
        return ""
    more = f"\nand {len(lines) - len(kept):,} more\n" if len(kept) < len(lines) else ""
    return f"{head}{''.join(kept)}{more}{foot}"


def _fitting(lines: Sequence[str], budget: int) -> Iterator[str]:
    for line in lines:
        budget -= len(line.encode())
        if budget < 0:
            return
        yield line


def _row(record: Mapping[str, Any]) -> str:
    """Return a record as a row of the table."""
    target, image = as_mapping(record.get("target")), as_mapping(record.get("image"))
    index = target.get("index")
    unnamed = "the predicted class" if index is None else f"class {as_text(index)}"
    samples = as_number(as_mapping(record.get("explanation")).get("samples"))
    cells = [
        f"**{WORDS[verdict_of(record)]}**",
        _code(as_text(record.get("test"))),
        as_cell(as_text(image.get("name"))) or "–",
        as_cell(as_text(target.get("label")) or unnamed),
        "<br>".join(map(as_cell, claim_words(record))) or "–",
        "–" if samples is None else f"{samples:,.0f}",
    ]
    return f"| {' | '.join(cells)} |\n"


def _command(record: Mapping[str, Any]) -> str:
    command = as_text(record.get("rerun"))
    return f"- {_code(command)}\n" if command else ""


def _code(text: str) -> str:
    return f"<code>{as_cell(text)}</code>" if text else "–"


def as_cell(text: str) -> str:
    r"""Return a text for a cell of a Markdown table that shows as it is, on one line.

    >>> as_cell("a|b\n<script>")
    'a&#124;b &#60;script&#62;'
    """
    # Spaces that are left single, since a table cell shows no others.
    line = printable(" ".join(text.split())).translate(DIRECTIONS)
    line = line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
    return MARKUP.sub(lambda found: f"&#{ord(found[0])};", line)
