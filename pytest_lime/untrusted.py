"""Reports from elsewhere, which nobody vouches for: read within limits, without leaving their folder."""

from __future__ import annotations

import io
import os
import re
import stat
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_lime.errors import RecordError, one_line
from pytest_lime.records import PICTURE_PATH, RESULTS, VERSION, file_stem, harmless, read_results
from pytest_lime.report.reading import as_mapping
from pytest_lime.svg_guard import is_plain_drawing

__all__ = ["LARGEST_PICTURE", "LARGEST_RESULTS", "clean_record", "picture_ending", "read_picture", "read_report"]

MEGABYTE = 10**6
LARGEST_RESULTS = 500 * MEGABYTE
LARGEST_PICTURE = 20 * MEGABYTE
MOST_PIXELS = 50 * 10**6
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,149}")
KIND = re.compile(r"[a-z][a-z0-9_]{0,29}(\.[0-9]{1,4}){0,2}")


def read_report(folder: Path) -> dict[str, Any]:
    """Read ``results.json`` of a report that may come from anywhere.

    Raises
    ------
    RecordError
        There is none, or it is damaged, too large, of a newer version, or a link that leads out of the folder.
    """
    if not os.path.lexists(folder):
        raise RecordError(f"there is no folder {str(folder)!r}{_pattern(str(folder))}.")
    if not os.path.isdir(folder):  # noqa: PTH112  (the method raises for a name that cannot be)
        raise RecordError(f"{str(folder)!r} is a file; give the folder of a report.")
    path = folder / RESULTS
    if not os.path.lexists(path):
        raise RecordError(f"{str(folder)!r} holds no {RESULTS}{_hint(folder)}.")
    try:
        size = _inside(folder, RESULTS).stat().st_size
    except RecordError as error:
        raise RecordError(f"{str(path)!r} {error}; give the folder of a report as pytest-lime wrote it.") from None
    except OSError as error:
        raise RecordError(f"{str(path)!r} cannot be read: {error.strerror}.") from None
    if size > LARGEST_RESULTS:
        raise RecordError(
            f"{str(path)!r} has {size / MEGABYTE:,.0f} MB, and pytest-lime reads {LARGEST_RESULTS // MEGABYTE:,} MB at "
            "most; split the run that wrote it."
        )
    results = read_results(folder)
    for record in results["records"]:
        version = record.get("version", VERSION)
        if isinstance(version, int) and version > VERSION:
            raise RecordError(
                f"{str(path)!r} holds a record of version {version}, and this pytest-lime reads versions up to "
                f"{VERSION}; use the version that wrote it."
            )
    cleaned = harmless(results)
    assert isinstance(cleaned, dict)
    return cleaned


def _pattern(name: str) -> str:
    if any(sign in name for sign in "*?["):
        return ": the pattern matches nothing, so that it arrived as it was written; look whether the name is right"
    return "; give the folders of reports, such as lime-report"


def _hint(folder: Path) -> str:
    """Return what may have been meant by a folder without a report."""
    inner = sorted(path.parent.name for path in folder.glob(f"*/{RESULTS}"))
    if inner:
        return f", but {len(inner)} of the folders in it do; give {str(folder / '*')!r}"
    return "; give the folder of a report: with --lime-report=DIR a run writes one even where every check passes"


def clean_record(record: Mapping[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """Return a record as it may go into a report, or None and the reason.

    Its id and the names of its pictures become such as pytest-lime itself gives; everything else a page shows as text.
    """
    test, check = record.get("test"), record.get("check")
    if not isinstance(test, str) or not test:
        return None, "names no test"
    if not isinstance(check, int) or isinstance(check, bool) or not 0 <= check < 10**9:
        return None, f"has no number of its check, but {one_line(check, 40)}"
    own = record.get("id")
    pictures = {
        name: path
        for name, path in as_mapping(record.get("pictures")).items()
        if KIND.fullmatch(name) and isinstance(path, str) and PICTURE_PATH.fullmatch(path)
    }
    known = isinstance(own, str) and ID.fullmatch(own) and "--" not in own
    return {**record, "id": own if known else file_stem(test, check), "pictures": pictures}, ""


def read_picture(folder: Path, path: str) -> bytes:
    """Return the bytes of a picture that a record of the report in `folder` names.

    Raises
    ------
    RecordError
        It is not there, leads out of the folder, is no plain file, or is too large; the message goes on after its name.
    """
    try:
        # The path leads through no link any more, and a pipe that took its place would not block.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(_inside(folder, path), flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise RecordError("is no plain file")
            data = file.read(LARGEST_PICTURE + 1)
    except FileNotFoundError:
        raise RecordError("is missing") from None
    except RecordError:
        raise
    except OSError as error:
        raise RecordError(f"cannot be read: {error.strerror}") from None
    if len(data) > LARGEST_PICTURE:
        raise RecordError(f"has more than {LARGEST_PICTURE // MEGABYTE} MB")
    return data


def _inside(folder: Path, path: str) -> Path:
    """Return where `path` really lies, which must be a plain file inside `folder`."""
    root = Path(os.path.realpath(folder))
    real = Path(os.path.realpath(root / path))
    if not real.is_relative_to(root):
        raise RecordError("is a link that leads out of its folder")
    # A link that goes round in circles is no file either.
    if not stat.S_ISREG(real.stat().st_mode):
        raise RecordError("is no plain file")
    return real


def picture_ending(data: bytes) -> str:
    """Return ``".png"``, ``".jpg"`` or ``".svg"`` by what is in a picture, whatever it is called.

    Raises
    ------
    RecordError
        It is nothing of these, damaged, or a drawing that does more than to draw; the message goes on after its name.
    """
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        ending, kind = ".png", "PNG"
    elif data.startswith(b"\xff\xd8\xff"):
        ending, kind = ".jpg", "JPEG"
    elif is_plain_drawing(data):
        return ".svg"
    else:
        raise RecordError("is no picture that a report of pytest-lime has")
    from PIL import Image  # noqa: PLC0415  (for reports from elsewhere only)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = Image.open(io.BytesIO(data), formats=[kind])
            if picture.width * picture.height > MOST_PIXELS:
                raise RecordError("has too many pixels")
            # A PNG has sums to compare; of a JPEG only decoding tells whether it is whole.
            if kind == "PNG":
                picture.verify()
            else:
                picture.load()
    except RecordError:
        raise
    except Exception as error:  # whatever a decoder makes of damaged data
        raise RecordError(f"is damaged ({one_line(str(error), 60)})") from None
    return ending
