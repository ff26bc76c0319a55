"""The summary of a step on GitHub Actions: results as Markdown, appended to the file that GITHUB_STEP_SUMMARY names."""

from __future__ import annotations

import os
import shlex
import stat
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_lime.errors import one_line
from pytest_lime.records import VERDICTS, count_verdicts, verdict_of
from pytest_lime.report.reading import as_count, as_mapping, as_number, as_pair, as_rows, as_text, as_texts
from pytest_lime.summaries import JUDGED, WORDS

__all__ = ["LIMIT", "VARIABLE", "append", "render"]

VARIABLE = "GITHUB_STEP_SUMMARY"
# What GitHub shows of one step; of a longer file it shows nothing.
LIMIT = 1_048_576
# A text of a record is cut here: a cell is no place for more, and one text must not take the room of all rows.
LONGEST = 300
MOST_PROBLEMS = 10
DONE_WELL = ("pass", "explained")
ENDINGS = {
    "stopped": "The run was stopped before its end.",
    "interrupted": "The run was interrupted.",
    "crashed": "A worker of the run was lost.",
}
HEAD = "| Verdict | Test | Image | Target | Claim | Samples |\n| --- | --- | --- | --- | --- | ---: |\n"


def append(
    results: Mapping[str, Any], *, report: Path | str | None = None, environment: Mapping[str, str] | None = None
) -> str:
    """Append a summary of `results` to the file that ``GITHUB_STEP_SUMMARY`` names, if there is one.

    Parameters
    ----------
    results : mapping
        As in ``results.json``: of a run, or of merged reports. Only ``records``, ``run`` and ``problems`` are read.
    report : path, optional
        Where the page of the report is.
    environment : mapping, optional
        In place of `os.environ`.

    Returns
    -------
    str
        Why nothing could be written, in a sentence; empty where all is well.
    """
    path = (os.environ if environment is None else environment).get(VARIABLE, "")
    if not path or not as_rows(results.get("records")):
        return ""
    try:
        held = _held(path)
        text = render(results, report=report, room=LIMIT - held - 1)
        if not text:
            return f"{VARIABLE}: {one_line(path)} is full: GitHub shows {LIMIT:,} bytes of a step."
        # One write in append mode: what other processes append at the same time stays whole.
        with Path(path).open("ab", buffering=0) as file:
            file.write(b"\n" * bool(held) + text.encode())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return f"{VARIABLE}: {one_line(path)} cannot be written: {reason}."
    return ""


def _held(path: str) -> int:
    """Return how many bytes a file has already."""
    try:
        found = Path(path).stat()
    except FileNotFoundError:
        return 0
    # To open a pipe would wait for a reader.
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is no regular file")
    return found.st_size


def render(results: Mapping[str, Any], *, report: Path | str | None = None, room: int = LIMIT) -> str:
    """Return the summary of `results` in Markdown, in at most `room` bytes of UTF-8; empty where nothing fits.

    The checks that passed are left out first, then the last of those that did not.
    """
    records = sorted(as_rows(results.get("records")), key=lambda record: VERDICTS.index(verdict_of(record)))
    bad = [record for record in records if verdict_of(record) not in DONE_WELL]
    good = [record for record in records if verdict_of(record) in DONE_WELL]
    top = _top(results, records, report)
    bad_rows, good_rows = [_row(record) for record in bad], [_row(record) for record in good]
    failing = [_rerun(record) if verdict_of(record) in ("fail", "explanation") else "" for record in bad]

    def whole(shown: int, passes: bool) -> str:
        return top + _table(bad_rows, shown) + _commands(failing[:shown]) + (_passes(good_rows) if passes else "")

    def fits(text: str) -> bool:
        return len(text.encode()) <= room

    for passes in (True, False):
        if fits(text := whole(len(bad), passes)):
            return text if passes else text + _if_it_fits(text, _left_out(len(good)), room)
    # The most rows that fit.
    low, high = -1, len(bad)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(whole(middle, passes=False)) else (low, middle)
    return whole(low, passes=False) if low >= 0 else ""


def _if_it_fits(text: str, more: str, room: int) -> str:
    return more if len((text + more).encode()) <= room else ""


def _left_out(number: int) -> str:
    return f"{number:,} that passed are left out here, for want of room.\n"


def _top(results: Mapping[str, Any], records: Sequence[Mapping[str, Any]], report: Path | str | None) -> str:
    counts = count_verdicts(records)
    names = {**JUDGED, "explanation": "explained in a test that failed", "explained": "explained without a claim"}
    told = ", ".join(f"{counts[verdict]:,} {names[verdict]}" for verdict in VERDICTS if counts[verdict])
    ending = ENDINGS.get(as_text(as_mapping(results.get("run")).get("exit")), "")
    problems = as_texts(results.get("problems"))
    more = f"and {len(problems) - MOST_PROBLEMS:,} more problems" if len(problems) > MOST_PROBLEMS else ""
    lines = [
        "## Where the model looks",
        ending,
        *map(_text, [*problems[:MOST_PROBLEMS], more]),
        f"{told}.",
        f"Report: {_code(str(report))}" if report else "",
    ]
    return "".join(f"{line}\n\n" for line in lines if line)


def _table(rows: Sequence[str], shown: int) -> str:
    if not rows:
        return ""
    more = f"\nand {len(rows) - shown:,} more: see the report\n" if shown < len(rows) else ""
    return (HEAD + "".join(rows[:shown]) if shown else "") + more + "\n"


def _commands(commands: Sequence[str]) -> str:
    """Return how tests are run again, in a block that folds."""
    again = [command for command in dict.fromkeys(commands) if command]
    if not again:
        return ""
    text = "\n".join(again)
    fence = "```"
    while fence in text:
        fence += "`"
    return f"<details><summary>Run what failed again</summary>\n\n{fence}console\n{text}\n{fence}\n\n</details>\n\n"


def _passes(rows: Sequence[str]) -> str:
    if not rows:
        return ""
    return f"<details><summary>{len(rows):,} passed or explained</summary>\n\n{HEAD}{''.join(rows)}\n</details>\n"


def _row(record: Mapping[str, Any]) -> str:
    verdict = verdict_of(record)
    word = f"**{WORDS[verdict]}**" if verdict in ("fail", "explanation") else WORDS[verdict]
    target = as_mapping(record.get("target"))
    label = as_text(target.get("label")) or (
        f"class {as_count(target['index'])}" if as_count(target.get("index")) else ""
    )
    cells = (
        word,
        _code(_test(record)),
        _text(as_text(as_mapping(record.get("image")).get("name"))),
        _text(label),
        _text(_claims(record)),
        as_count(as_mapping(record.get("explanation")).get("samples")),
    )
    return f"| {' | '.join(cells)} |\n"


def _test(record: Mapping[str, Any]) -> str:
    return _visible(as_text(record.get("test")))


def _rerun(record: Mapping[str, Any]) -> str:
    return _visible(as_text(record.get("rerun"))) or f"pytest {shlex.quote(_test(record))}"


def _claims(record: Mapping[str, Any]) -> str:
    """Return the claims that decided, each with its figure, its bound and its interval."""
    if headline := as_text(as_mapping(record.get("comparison")).get("headline")):
        return headline
    told = []
    for claim in as_rows(record.get("claims")):
        if claim.get("status") == record.get("status"):
            words = {">=": "at least", "<=": "at most"}.get(as_text(claim.get("relation")), "")
            bound = as_number(claim.get("bound"))
            needs = f", needs {words} {bound:.4g}" if bound is not None and words else ""
            interval = as_pair(claim.get("interval")) if as_number(claim.get("samples")) else None
            ends = f", interval {interval[0]:.3g} … {interval[1]:.3g}" if interval else ""
            told.append(f"{as_text(claim.get('claim'))} {as_text(claim.get('figure'))}{needs}{ends}")
    return "; ".join(told)


def _visible(text: str) -> str:
    r"""Return `text` with every character that moves or hides others, such as a newline, spelt out.

    >>> _visible("a\nb\u202ec")
    'a\\nb\\u202ec'
    """
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else character
        for character in text
    )


def _text(text: str) -> str:
    """Return `text` so that Markdown and HTML show it and read nothing into it.

    >>> _text("a|b <i>")
    'a&#124;b &#60;i&#62;'
    """
    cut = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    return "".join(
        f"&#{ord(character)};" if character in "\\`*_{}[]()<>|~#@&!\"'$" else character for character in _visible(cut)
    )


def _code(text: str) -> str:
    """Return `text` in the letters of code; one long test or path is cut in its middle."""
    cut = text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}…{text[-LONGEST // 2 + 1 :]}"
    return f"<code>{_text(cut)}</code>" if text else ""
