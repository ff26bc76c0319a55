"""Merging: several reports, of shards, machines or runs, become one.

Nothing of them is trusted (see `untrusted`), nothing is written outside the new report, and it is written as a whole or
not at all. Whatever does not fit is told in words, on the terminal and among the ``problems`` of the new report.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shlex
import shutil
import tempfile
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from pytest_lime.attempts import join_attempts
from pytest_lime.counts import count_run
from pytest_lime.errors import OptionError, RecordError, count_words
from pytest_lime.records import (
    FOLDERS,
    FORMAT,
    PAGE,
    PICTURE_PATH,
    RESULTS,
    VERSION,
    count_verdicts,
    read_results,
    refusal,
    write_atomically,
    write_results,
)
from pytest_lime.report.reading import as_mapping, as_number, as_rows, as_text, as_texts
from pytest_lime.untrusted import clean_record, picture_ending, read_picture, read_report

__all__ = ["Merged", "ended_badly", "merge"]

# How a run ended, the gravest last.
EXITS = ("finished", "failed", "stopped", "interrupted", "crashed")
# What an explanation cost, which another run of the same check does not repeat.
COST = ("seconds", "passes", "batch_size")
# Tests, or pictures, that a sentence names.
MOST_NAMED = 3
LONGEST_NAME = 150


@dataclass(frozen=True)
class Merged:
    """What a merge has made.

    Attributes
    ----------
    page : Path
    results : mapping
        As in ``results.json``.
    told : list of str
        What did not fit, a sentence each.
    whole : bool
        Whether every report and every record of them could be read.
    """

    page: Path
    results: Mapping[str, Any]
    told: list[str]
    whole: bool


@dataclass(frozen=True)
class _Source:
    """A report that is merged; ``name`` is what the user calls its folder."""

    name: str
    folder: Path
    results: Mapping[str, Any]
    records: list[dict[str, Any]]
    refused: int

    @property
    def created(self) -> float:
        """When the run was made; one that does not say so is the oldest."""
        try:
            moment = datetime.fromisoformat(as_text(self.results.get("created")))
        except ValueError:
            return 0.0
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()

    @property
    def run(self) -> dict[str, Any]:
        """What is known of how the run ended; version 1 did not say it."""
        known = dict(as_mapping(self.results.get("run")))
        if known.get("exit") not in EXITS:
            failed = any(record.get("outcome") in ("failed", "error") for record in self.records)
            known = {"id": "", "reason": "", **known, "exit": "failed" if failed else "finished"}
        return known

    @property
    def facts(self) -> dict[str, Any]:
        """What the merged report says of it."""
        return {
            "name": self.name,
            "created": as_text(self.results.get("created")),
            "command": as_text(self.results.get("command")),
            "duration": as_number(self.results.get("duration")),
            "environment": _texts(self.results.get("environment")),
            "run": self.run,
            "deselected": self.left_out("deselected"),
            "records": len(self.records),
        }

    def left_out(self, name: str) -> int:
        """Return how many tests the run has ``skipped`` or ``deselected``."""
        return int(max(0.0, as_number(as_mapping(self.results.get("counts")).get(name)) or 0.0))


def merge(folders: Sequence[Path], out: Path, *, keep_going: bool = False) -> Merged:
    """Join the reports in `folders` into one in `out`.

    Parameters
    ----------
    folders : sequence of Path
    out : Path
        A new or empty folder, or that of an earlier report, which is replaced.
    keep_going : bool
        Leave out what cannot be read, and say so, rather than to refuse all.

    Raises
    ------
    OptionError
        The folders cannot be merged into `out`.
    RecordError
        A report cannot be read, or the new one cannot be written; `out` is then as it was.
    """
    told: list[str] = []
    named = _each_once(folders, told)
    target = Path(os.path.realpath(out))
    _check_out(out, target, named)
    sources = []
    for folder in named:
        try:
            sources.append(_read(folder, told))
        except RecordError as error:
            if not keep_going:
                raise
            told.append(f"left out: {error}")
    if not sources:
        raise RecordError(f"none of the reports can be read, so there is nothing to merge. {' '.join(told)}")
    chosen = _choose(sources, told)
    told += _differences(sources)
    told += [
        f"{source.name!r} deselected {count_words(number, 'test')}; whether another report has them is not known here."
        for source in sources
        if (number := source.left_out("deselected"))
    ]
    with _building(target) as place:
        records = _gather(chosen, place, told)
        results = _results(sources, records, told, named=named, out=out)
        write_results(results, place)
        from pytest_lime.report.render import render  # noqa: PLC0415  (imports jinja2)

        render(results, place)
        _replace(target, place)
    whole = len(sources) == len(named) and not any(source.refused for source in sources)
    return Merged(target / PAGE, results, told, whole)


def ended_badly(results: Mapping[str, Any]) -> bool:
    """Whether a check failed, or a run did not come to its end with all tests passed."""
    counts = count_verdicts(as_rows(results.get("records")))
    return bool(counts["fail"] or counts["explanation"]) or as_mapping(results.get("run")).get("exit") != "finished"


def _each_once(folders: Sequence[Path], told: list[str]) -> list[Path]:
    if not folders:
        raise OptionError(
            "no report is given; name the folders to merge, such as pytest-lime merge shards/* -o lime-report."
        )
    seen: dict[str, Path] = {}
    for folder in folders:
        real = os.path.realpath(folder)
        if real in seen:
            told.append(f"{str(folder)!r} is given twice, and taken once.")
        seen.setdefault(real, folder)
    return list(seen.values())


def _check_out(out: Path, target: Path, folders: Sequence[Path]) -> None:
    """Refuse a place where the new report would overwrite what it is made of, or what is not ours."""
    for folder in folders:
        real = Path(os.path.realpath(folder))
        if target == real:
            raise OptionError(f"-o {str(out)!r} is one of the reports that are merged; name another folder.")
        if target.is_relative_to(real):
            raise OptionError(f"-o {str(out)!r} lies in {str(folder)!r}, which is merged; name a folder outside it.")
        if real.is_relative_to(target):
            raise OptionError(
                f"-o {str(out)!r} holds {str(folder)!r}, which is merged and would be replaced; name another folder."
            )
    if os.path.lexists(target) and not target.is_dir():
        raise OptionError(f"-o {str(out)!r} is a file; name a folder.")
    if reason := refusal(target):
        raise OptionError(f"-o {str(out)!r} {reason}")
    if target.is_dir() and not (target / RESULTS).exists() and any(target.iterdir()):
        raise OptionError(f"-o {str(out)!r} holds other files and no report; name a new folder.")


def _read(folder: Path, told: list[str]) -> _Source:
    results = read_report(folder)
    records, refused, nameless = [], [], 0
    for place, record in enumerate(results["records"], start=1):
        cleaned, reason = clean_record(record)
        if cleaned is None:
            refused.append(f"record {place} {reason}")
        else:
            records.append(cleaned)
            nameless += len(as_mapping(record.get("pictures"))) - len(cleaned["pictures"])
    if nameless:
        told.append(
            f"{str(folder)!r}: {count_words(nameless, 'picture')} left out, since no report has one of such a name."
        )
    if refused:
        told.append(f"{str(folder)!r}: left out, since {_some(refused)}.")
    return _Source(str(folder), folder, results, records, len(refused))


def _choose(sources: Sequence[_Source], told: list[str]) -> list[tuple[_Source, dict[str, Any]]]:
    """Return the records that count, each with where it comes from.

    A test that several runs have made counts as it came out in the run that was made last; runs before it are attempts.
    """
    # Of runs made in the same second the one that is given later.
    by_age = sorted(sources, key=lambda source: source.created)
    runs: dict[tuple[str, object], list[tuple[_Source, list[dict[str, Any]]]]] = {}
    for source in by_age:
        tests: dict[tuple[str, object], list[dict[str, Any]]] = {}
        for record in source.records:
            tests.setdefault((record["test"], as_number(record.get("repeat"))), []).append(record)
        for test, records in tests.items():
            runs.setdefault(test, []).append((source, _distinct(records, source, told)))
    again: Counter[tuple[str, str]] = Counter()
    dropped: Counter[tuple[str, str]] = Counter()
    chosen: dict[tuple[str, object], list[tuple[_Source, dict[str, Any]]]] = {}
    for test, made in runs.items():
        kept = made[:1]
        for source, records in made[1:]:
            before, earlier = kept[-1]
            if [_said(record) for record in records] == [_said(record) for record in earlier]:
                kept[-1] = (source, records)
            else:
                kept.append((source, records))
                again[before.name, source.name] += 1
        home, last = kept[-1]
        checks = {record["check"] for record in last}
        joined = join_attempts([records for _, records in kept]) if len(kept) > 1 else last
        # All records of a test are of one run, or the images of a set would be those of two.
        for source, records in kept[:-1]:
            dropped[source.name, home.name] += sum(record["check"] not in checks for record in records)
        chosen[test] = [(home, record) for record in joined if record["check"] in checks]
    for (first, second), count in again.items():
        told.append(
            f"{count_words(count, 'test')} of {first!r} came out otherwise in {second!r}, which was made later and "
            "counts; the earlier outcome is listed as an attempt."
        )
    for (first, second), count in dropped.items():
        if count:
            told.append(f"{count_words(count, 'check')} of {first!r} left out, since {second!r} made the test without.")
    # As one run would have them, which goes from file to file and down each; else in the order that is given.
    order = {id(source): place for place, source in enumerate(sources)}
    listed = sorted((entry for entries in chosen.values() for entry in entries), key=lambda entry: order[id(entry[0])])
    return sorted(listed, key=lambda entry: (as_text(entry[1].get("file")), as_number(entry[1].get("line")) or 0.0))


def _distinct(records: list[dict[str, Any]], source: _Source, told: list[str]) -> list[dict[str, Any]]:
    """Return the records of one test in one report, of each check the last one."""
    found = {record["check"]: record for record in records}
    if len(found) < len(records):
        told.append(
            f"{source.name!r} holds {count_words(len(records) - len(found), 'check')} of {records[0]['test']} more "
            "than once; the last counts."
        )
    return [found[check] for check in sorted(found)]


def _said(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a record says, without what it cost on which machine, and what its files are called."""
    explanation = {name: value for name, value in as_mapping(record.get("explanation")).items() if name not in COST}
    said = {name: value for name, value in record.items() if name not in ("id", "message", "version", "arithmetic")}
    return {**said, "explanation": explanation, "pictures": sorted(as_mapping(record.get("pictures")))}


def _differences(sources: Sequence[_Source]) -> list[str]:
    """Return in words how the environments of the runs differ."""
    told = []
    facts = [{**_texts(source.results.get("environment")), **_git(source)} for source in sources]
    for name in dict.fromkeys(name for each in facts for name in each):
        values: dict[str, list[str]] = {}
        for source, each in zip(sources, facts, strict=True):
            values.setdefault(each.get(name, "not told"), []).append(source.name)
        if len(values) > 1:
            listed = "; ".join(f"{value} in {_some(names)}" for value, names in values.items())
            told.append(f"the reports differ in {name}: {listed}.")
    return told


def _git(source: _Source) -> dict[str, str]:
    git = as_mapping(as_mapping(source.results.get("run")).get("git"))
    if not git:
        return {}
    return {"git commit": as_text(git.get("commit"))[:40] + (" with changes" if git.get("dirty") is True else "")}


def _gather(chosen: Sequence[tuple[_Source, dict[str, Any]]], place: Path, told: list[str]) -> list[dict[str, Any]]:
    """Write the pictures of the records, and return these with the names of what was written."""
    shelf = _Shelf(place)
    records: list[dict[str, Any]] = []
    taken: dict[str, str] = {}
    renamed = 0
    for source, record in chosen:
        identifier, number = record["id"], 2
        while identifier.lower() in taken:
            identifier, number = f"{record['id']}-{number}", number + 1
        renamed += identifier != record["id"] and taken[record["id"].lower()] != record["test"]
        taken[identifier.lower()] = record["test"]
        pictures = {name: shelf.put(source, path) for name, path in record["pictures"].items()}
        records.append(
            {
                **record,
                "id": identifier,
                "pictures": {name: path for name, path in pictures.items() if path is not None},
            }
        )
    if renamed:
        told.append(f"{count_words(renamed, 'record')} had the id of another test's and got a number.")
    told += shelf.told()
    return records


@dataclass
class _Shelf:
    """The pictures of the new report."""

    place: Path
    _kept: dict[str, str] = field(default_factory=dict)
    _known: dict[tuple[str, str], str | None] = field(default_factory=dict)
    _refused: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    _renamed: list[str] = field(default_factory=list)

    def put(self, source: _Source, path: str) -> str | None:
        """Take a picture of a report in, and return its path in the new one."""
        key = (source.name, path)
        if key not in self._known:
            self._known[key] = self._put(source, path)
        return self._known[key]

    def _put(self, source: _Source, path: str) -> str | None:
        try:
            data = read_picture(source.folder, path)
            ending = picture_ending(data)
        except RecordError as error:
            self._refused.setdefault((source.name, str(error)), []).append(path)
            return None
        stem = _stem(path, ending)
        digest = hashlib.sha256(data).hexdigest()
        name = f"images/{stem}{ending}"
        # On some machines names that differ in case only are one file.
        if self._kept.setdefault(name.lower(), digest) != digest:
            name = f"images/{stem}-{digest[:10]}{ending}"
            self._kept[name.lower()] = digest
            self._renamed.append(path)
        write_atomically(self.place / name, data)
        return name

    def told(self) -> list[str]:
        """Return in words what became of pictures."""
        lines = [
            f"{name!r}: {count_words(len(paths), 'picture')} left out, since it {reason}: {_some(paths)}."
            if len(paths) == 1
            else f"{name!r}: {len(paths)} pictures left out, since each {reason}: {_some(paths)}."
            for (name, reason), paths in self._refused.items()
        ]
        if self._renamed:
            lines.append(
                f"{count_words(len(self._renamed), 'picture')} had the name of another one and got one of its own: "
                f"{_some(self._renamed)}."
            )
        return lines


def _stem(path: str, ending: str) -> str:
    """Return the name of a picture without the ending that it has or ought to have."""
    pure = PurePosixPath(path)
    known = (".jpg", ".jpeg") if ending == ".jpg" else (ending,)
    name = pure.stem if pure.suffix.lower() in known else pure.name
    # No other endings: some servers go by any that they find.
    return re.sub(r"\.(?=[A-Za-z])", "-", name)[:LONGEST_NAME]


def _results(
    sources: Sequence[_Source], records: list[dict[str, Any]], told: list[str], *, named: Sequence[Path], out: Path
) -> dict[str, Any]:
    from pytest_lime.report.method import method_card  # noqa: PLC0415  (imports numpy)

    gravest = max((source.run["exit"] for source in sources), key=EXITS.index)
    reasons = [
        f"{source.name}: {source.run['exit']}"
        + (f", {reason}" if (reason := as_text(source.run.get("reason"))) else "")
        for source in sources
        if source.run["exit"] in EXITS[2:]
    ]
    commits = [as_mapping(source.run).get("git") for source in sources]
    environments = [_texts(source.results.get("environment")) for source in sources]
    return {
        "format": FORMAT,
        "version": VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["pytest-lime", "merge", *map(str, named), "-o", str(out)]),
        "duration": round(sum(as_number(source.results.get("duration")) or 0.0 for source in sources), 1),
        "environment": {
            name: ", ".join(dict.fromkeys(filter(None, (each.get(name, "") for each in environments))))
            for name in dict.fromkeys(name for each in environments for name in each)
        },
        "run": {
            "id": uuid.uuid4().hex[:12],
            "exit": gravest,
            "reason": "; ".join(reasons),
            "git": commits[0] if all(commit == commits[0] for commit in commits) else None,
        },
        # Shards leave tests to each other: what one of them has deselected, another one may have made.
        "counts": count_run(records, skipped=sum(source.left_out("skipped") for source in sources), deselected=0),
        "method": method_card(records),
        "problems": [
            *(
                f"{source.name}: {problem}"
                for source in sources
                for problem in as_texts(source.results.get("problems"))
            ),
            *told,
        ],
        "sources": [source.facts for source in sources],
        "records": records,
    }


def _texts(value: object) -> dict[str, str]:
    return {name: as_text(one) for name, one in as_mapping(value).items()}


def _some(names: Sequence[str]) -> str:
    """Return the first of some names, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


@contextlib.contextmanager
def _building(target: Path) -> Iterator[Path]:
    """Give a folder to build in, which is gone in the end: in `target` where that is there, else beside it."""
    made: list[Path] = []
    try:
        for parent in reversed([parent for parent in target.parents if not parent.exists()]):
            parent.mkdir()
            made.append(parent)
        home = target if target.is_dir() else target.parent
        place = Path(tempfile.mkdtemp(dir=home, prefix=f".{target.name}."))
    except OSError as error:
        _remove_empty(made)
        raise RecordError(f"{str(target)!r} cannot be written: {error.strerror or error}.") from None
    try:
        # mkdtemp makes private folders; a report is as readable as any other folder of its user.
        new = place / "new"
        new.mkdir()
        yield new
    except RecordError:
        raise
    except OSError as error:
        raise RecordError(f"{str(target)!r} cannot be written, and is as it was: {error.strerror or error}.") from None
    finally:
        # Not what was in the way, should it not have come back to its place.
        shutil.rmtree(place / "new", ignore_errors=True)
        _remove_empty([*made, place, *sorted(path for path in place.rglob("*") if path.is_dir())])


def _remove_empty(folders: Sequence[Path]) -> None:
    """Take away the folders that were made for nothing."""
    for folder in reversed(folders):
        with contextlib.suppress(OSError):
            folder.rmdir()


def _replace(target: Path, new: Path) -> None:
    """Put what is in the folder `new` into `target`, in the place of the report that is there.

    Files are moved one by one, since the folder itself may be a mount point, somebody's working directory, or hold
    what the user keeps there. Where one cannot be moved, all go back.
    """
    if not target.exists():
        new.rename(target)
        return
    old = new.with_name("old")
    undo: list[Callable[[], object]] = []

    def move(source: Path, destination: Path) -> None:
        destination.parent.mkdir(parents=True, exist_ok=True)
        source.rename(destination)
        undo.append(lambda: destination.rename(source))

    # The page is the first to go and the last to come: whoever opens it finds all that it names.
    names = sorted(path.relative_to(new).as_posix() for path in new.rglob("*") if path.is_file())
    names.sort(key=lambda name: (name == PAGE, name == RESULTS))
    try:
        for name in sorted({*names, PAGE, RESULTS, *_files_of(target)}, key=lambda name: (name != PAGE, name)):
            if os.path.lexists(target / name):
                move(target / name, old / name)
        for name in names:
            move(new / name, target / name)
    except BaseException:
        for back in reversed(undo):
            with contextlib.suppress(OSError):
                back()
        raise
    finally:
        _remove_empty([target / name for name in FOLDERS])
    shutil.rmtree(old, ignore_errors=True)


def _files_of(folder: Path) -> set[str]:
    """Return the files that an earlier report has, or may have, beside its page."""
    from pytest_lime.report.render import files_beside  # noqa: PLC0415  (imports jinja2)

    try:
        records = read_results(folder)["records"]
    except RecordError:
        return files_beside([])
    named = {as_text(path) for record in records for path in as_mapping(record.get("pictures")).values()}
    return files_beside(records) | {path for path in named if PICTURE_PATH.fullmatch(path)}
