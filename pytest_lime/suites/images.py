"""Images of a suite: paths and patterns, and what a region's file is called for each of them."""

from __future__ import annotations

import glob
import os
import string
from collections.abc import Sequence
from pathlib import Path

from pytest_lime.errors import nearest
from pytest_lime.suites.reading import Part

__all__ = ["check_pattern", "file_beside", "filled", "find_images", "has_placeholder", "spelt"]

# Of the image at hand.
PLACEHOLDERS = ("stem", "name", "suffix", "parent")


def find_images(part: Part, folder: Path) -> list[Path]:
    """Return the images that a path, a pattern or a list of them names, sorted within each, each image once.

    Raises
    ------
    SuiteError
        One names no file.
    """
    listed = part.value if isinstance(part.value, list) else [part]
    found: dict[Path, None] = {}
    for one in listed:
        found.update(dict.fromkeys(_matches(one, folder)))
    return list(found)


def is_file(part: Part, path: Path) -> bool:
    """Whether there is such a file.

    Raises
    ------
    SuiteError
        The system does not say, such as of a name that is too long.
    """
    try:
        return path.is_file()
    except OSError as error:
        raise part.error(f"{part.shown} cannot be looked for: {error.strerror or error}") from None


def _matches(part: Part, folder: Path) -> list[Path]:
    literal = folder / part.value
    # A file may have the signs of a pattern in its name.
    if is_file(part, literal):
        return [_plain(literal)]
    if not glob.has_magic(part.value):
        raise missing(part, literal, "image")
    names = glob.glob(part.value, root_dir=folder, recursive=True)  # noqa: PTH207  (Path.glob takes no absolute pattern)
    paths = sorted({_plain(folder / name) for name in names}, key=lambda path: path.as_posix())
    files = [path for path in paths if path.is_file()]
    if not files:
        raise part.error(f"pattern {part.shown} matches no file in {str(folder)!r}; look at folder and pattern")
    return files


def _plain(path: Path) -> Path:
    # Not resolve, which would follow links, and name another file.
    return Path(os.path.normpath(path))


def missing(part: Part, path: Path, what: str) -> Exception:
    """Return the error for a file that is not there, with the nearest name in its folder."""
    if path.is_dir():
        return part.error(f"{what} {part.shown} is a folder; for its files write {part.value.rstrip('/')}/*")
    names = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
    near = nearest(path.name, names) if names else f"; there is no folder {str(path.parent)!r}"
    return part.error(f"{what} {part.shown} does not exist{near}")


def spelt(path: Path, folder: Path) -> str:
    """Return `path` as seen from `folder`, with slashes."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # on another drive of Windows
        return path.as_posix()


def has_placeholder(text: str) -> bool:
    """Whether `text` is another one for each image."""
    return any(name is not None for _, name, _, _ in string.Formatter().parse(text))


def check_pattern(part: Part) -> None:
    """Check the braces of a text that may have placeholders.

    Raises
    ------
    SuiteError
        They do not match, or hold none of the placeholders.
    """
    try:
        pieces = list(string.Formatter().parse(part.value))
    except ValueError:
        raise part.error(
            f"the braces of {part.shown} do not match; placeholders are {_listed(PLACEHOLDERS)}, and {{{{ is a brace"
        ) from None
    for _, name, form, conversion in pieces:
        if name is not None and (name not in PLACEHOLDERS or form or conversion):
            raise part.error(
                f"{{{name}}} of {part.shown} is no placeholder{nearest(name, PLACEHOLDERS)}; placeholders are "
                f"{_listed(PLACEHOLDERS)}"
            )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)


def filled(text: str, image: Path, folder: Path) -> str:
    """Return `text` with the placeholders filled from the path of `image`, as seen from `folder`."""
    parent = spelt(image.parent, folder)
    return text.format(stem=image.stem, name=image.name, suffix=image.suffix, parent=parent)


def file_beside(part: Part, folder: Path) -> None:
    """Check the path of a file that may have placeholders; without one the file must be there.

    Raises
    ------
    SuiteError
        A placeholder is unknown, or the file does not exist.
    """
    check_pattern(part)
    if not has_placeholder(part.value):
        path = folder / part.value.format()
        if not is_file(part, path):
            raise missing(part, path, "file")
