"""Records: what is known of each check, as plain JSON values with a version."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import stat
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_lime.errors import RecordError, one_line, printable

__all__ = [
    "ASSETS",
    "BOUNDS",
    "FOLDERS",
    "FORMAT",
    "PAGE",
    "PICTURE_PATH",
    "RESULTS",
    "VERDICTS",
    "VERSION",
    "count_verdicts",
    "file_stem",
    "harmless",
    "plain",
    "read_results",
    "refusal",
    "stem_of",
    "verdict_of",
    "verdict_of_set",
    "write_atomically",
    "write_results",
]

FORMAT = "pytest-lime"
VERSION = 2
READS = (1, 2)
RESULTS = "results.json"
PAGE = "index.html"
# What a claim asks of its figure, in words.
BOUNDS = {">=": "at least", "<=": "at most"}
# What a report has beside its page: style, scripts and icon, and in folders pictures and maps of superpixels.
ASSETS = ("report.css", "panels.css", "report.js", "superpixels.js", "panels.js", "icon.svg")
FOLDERS = ("images", "data")
# What a record may name as a picture: a plain file in the report's own folder.
PICTURE_PATH = re.compile(r"images/[A-Za-z0-9][A-Za-z0-9._-]*")
# How results begin.
_BEGINNING = re.compile(rf'\{{\s*"format": "{FORMAT}"')
UMASK = threading.Lock()
# What `harmless` lets pass: levels of lists and mappings, and bits of a whole number.
DEEPEST = 64
LONGEST_NUMBER = 1024
# The gravest first: in this order they stand in every report and list.
VERDICTS = ("fail", "explanation", "inconclusive", "expected", "pass", "explained")


def file_stem(node_id: str, check: int) -> str:
    """Return a file name for a check of a test: a readable slug of at most 60 characters, a dash, ten hex digits.

    >>> file_stem("tests/test_cat.py::test_head[tabby cat]", 0)
    'test-head-tabby-cat-be9d50f09a'
    """
    return stem_of(node_id.rpartition("::")[2] or node_id, f"{node_id}#{check}", empty="check")


def stem_of(readable: str, whole: str, *, empty: str) -> str:
    """Return a slug of `readable`, or `empty` where nothing is left of it, a dash, and ten hex digits of `whole`."""
    slug = re.sub(r"[^a-z0-9]+", "-", readable.lower()).strip("-")[:60].strip("-") or empty
    return f"{slug}-{hashlib.sha256(whole.encode('utf-8', 'surrogatepass')).hexdigest()[:10]}"


def verdict_of(record: Mapping[str, Any]) -> str:
    """Return what a report files a record under, a key of `VERDICTS`.

    A failure that the test expects (``xfail``), or that its set of images allows (``mostly``), is
    ``"expected"``. An explanation that no claim judged is ``"explanation"`` where its test failed, by an
    assertion of its own, and else ``"explained"``. A status that this version does not know is nothing to
    be sure of, so it is ``"inconclusive"``.
    """
    status, outcome, images = record.get("status"), record.get("outcome"), record.get("set")
    allowed = isinstance(images, dict) and images.get("status") == "pass"
    if record.get("kind") == "explanation":
        return "explanation" if outcome in ("failed", "error") else "explained"
    if status == "fail":
        return "expected" if outcome == "xfailed" or allowed else "fail"
    return "pass" if status == "pass" else "inconclusive"


def verdict_of_set(records: Sequence[Mapping[str, Any]]) -> str:
    """Return what a report files a set of images under, a key of `VERDICTS`; `records` are those of its images."""
    told = [images.get("status") for record in records if isinstance(images := record.get("set"), dict)]
    status = next((one for one in told if one is not None), None)
    awaited = all(record.get("outcome") == "xfailed" for record in records)
    if status == "fail":
        return "expected" if awaited else "fail"
    return "pass" if status == "pass" else "inconclusive"


def count_verdicts(records: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return how many of `records` have each verdict of `VERDICTS`."""
    counts = Counter(map(verdict_of, records))
    return {verdict: counts[verdict] for verdict in VERDICTS}


def plain(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return `record` as whoever reads its file finds it; what a text cannot hold in any file is escaped.

    Raises
    ------
    TypeError, ValueError
        A value is none of JSON.
    """
    found = _printable(json.loads(json.dumps(record, allow_nan=False)))
    assert isinstance(found, dict)
    return found


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable(name): _printable(one) for name, one in value.items()}
    return [_printable(one) for one in value] if isinstance(value, list) else value


def harmless(value: Any, depth: int = DEEPEST) -> Any:
    r"""Return `value` as every reader of JSON takes it: no half surrogates or control characters, no NaN, not too deep.

    What is no value of JSON, or lies more than `depth` levels deep, is told as a text; a number without end is None.

    >>> harmless({"a": [float("nan"), "\ud800", 1 + 2j]})
    {'a': [None, '\\ud800', '(1+2j)']}
    """
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, bool | int | None):
        # Longer ones no reader turns into digits.
        known = value is None or isinstance(value, bool) or value.bit_length() <= LONGEST_NUMBER
        return value if known else None
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if depth and isinstance(value, Mapping):
        return {printable(str(name)): harmless(one, depth - 1) for name, one in value.items()}
    if depth and isinstance(value, list | tuple):
        return [harmless(one, depth - 1) for one in value]
    return one_line(value) if depth else f"<{type(value).__name__} that lies too deep>"


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader sees the old file or the whole new one; a link stays a link.

    Raises
    ------
    OSError
        The file cannot be written, or what is there is no regular file, such as a folder, a device or a pipe.
    """
    _check_replaceable(path)
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        # mkstemp makes private files; a report is as readable as any other file of its user.
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


def _umask() -> int:
    # It can only be read by setting it, for the whole process: one thread at a time.
    with UMASK:
        umask = os.umask(0)
        os.umask(umask)
    return umask


def _check_replaceable(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "Not a regular file", str(path))


def write_results(results: Mapping[str, Any], folder: Path) -> Path:
    """Write `results` to ``results.json`` in `folder`, each record on a line of its own, and return its path."""
    path = folder / RESULTS
    first = {name: value for name, value in results.items() if name != "records"}
    head = json.dumps({**first, "records": []}, ensure_ascii=False, indent=1, allow_nan=False)
    lines = [
        json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        for record in results.get("records", ())
    ]
    # The records come last; a file with a line for each number of theirs would be half as large again.
    text = head.removesuffix("[]\n}") + ("[\n" + ",\n".join(lines) + "\n]" if lines else "[]") + "\n}\n"
    write_atomically(path, text.encode(errors="backslashreplace"))
    return path


def refusal(folder: Path) -> str:
    """Return why no report may be written to `folder`, as the end of a sentence; empty where it may.

    What pytest-lime did not write it does not replace.
    """
    try:
        foreign = not _is_ours(_text_of(folder / RESULTS))
    except (FileNotFoundError, NotADirectoryError):
        foreign = any(os.path.lexists(folder / name) for name in (PAGE, *ASSETS))
    except OSError as error:
        return f"cannot be used ({error.strerror}); name another folder."
    except UnicodeDecodeError:
        foreign = True
    if not foreign:
        return ""
    found = next((name for name in (RESULTS, PAGE, *ASSETS) if os.path.lexists(folder / name)), RESULTS)
    return (
        f"holds a file {found} that pytest-lime did not write and will not replace; name another folder, or delete it."
    )


def _is_ours(text: str) -> bool:
    """Whether a text is that of results, even of such as were cut off."""
    if _BEGINNING.match(text):
        return True
    try:
        results = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(results, dict) and results.get("format") == FORMAT


def _text_of(path: Path) -> str:
    # A pipe would keep its reader waiting.
    if stat.S_ISFIFO(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is a pipe", str(path))
    return path.read_text(encoding="utf-8")


def read_results(folder: Path) -> dict[str, Any]:
    """Read ``results.json`` of a report folder.

    Raises
    ------
    RecordError
        There is none, or it is damaged, from another program, or of another version.
    """
    path = folder / RESULTS
    try:
        results = json.loads(_text_of(path))
    except FileNotFoundError:
        raise RecordError(
            f"{str(folder)!r} holds no {RESULTS}; give the folder of a report, such as lime-report."
        ) from None
    except OSError as error:
        raise RecordError(f"{str(path)!r} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{str(path)!r} is damaged ({error}); run the tests again to make it anew.") from None
    if not isinstance(results, dict) or results.get("format") != FORMAT:
        raise RecordError(f"{str(path)!r} was not written by pytest-lime; give the folder of one of its reports.")
    version = results.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version not in READS:
        raise RecordError(
            f"{str(path)!r} has version {one_line(version)} and this pytest-lime reads "
            f"{' and '.join(map(str, READS))}; use the version that wrote it, or run the tests again."
        )
    records = results.get("records")
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise RecordError(f"{str(path)!r} is damaged (it has no list of records); run the tests again to make it anew.")
    return results
