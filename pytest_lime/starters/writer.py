"""Starter suites are written: all of their files, or none."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shlex
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from pytest_lime.errors import OptionError, RecordError, nearest
from pytest_lime.records import write_atomically

__all__ = ["KINDS", "describe_starter", "write_starter"]


class Kind(NamedTuple):
    """What is particular to a kind of model.

    Attributes
    ----------
    package : str
        The package that runs it.
    extra : str or None
        The extra of pytest-lime that installs the package; None where pytest-lime itself does.
    beside : tuple of str
        Files that its conftest.py needs beside it.
    """

    package: str
    extra: str | None = None
    beside: tuple[str, ...] = ()


KINDS = {
    "torch": Kind("torch"),
    "onnx": Kind("onnxruntime", "onnx", ("spots.onnx",)),
    "sklearn": Kind("sklearn"),
    "huggingface": Kind("transformers", "huggingface"),
    "timm": Kind("timm", "timm"),
}
# What every suite has, and the files here; those with the text of a suite end in .txt, since they are none of the
# package's own modules and tests.
COMMON = {
    "test_where_it_looks.py": "test_where_it_looks.py.txt",
    "test_where_it_looks.lime.yaml": "test_where_it_looks.lime.yaml.txt",
    "images/cat.jpg": "cat.jpg",
}


def write_starter(folder: Path, kind: str = "torch", *, force: bool = False) -> list[Path]:
    """Write a suite for a model of `kind` into `folder`, which may be new, and return the paths of its files.

    Parameters
    ----------
    folder : Path
    kind : str
        One of `KINDS`.
    force : bool
        Replace files that are there.

    Raises
    ------
    OptionError
        There is no such kind, `folder` is a file, or files of the suite are there and `force` is not given.
    RecordError
        A file cannot be written; what was written before it is taken back.
    """
    if kind not in KINDS:
        raise OptionError(f"--model {kind!r} must be one of {', '.join(KINDS)}{nearest(kind, KINDS)}.")
    if os.path.lexists(folder) and not folder.is_dir():
        raise OptionError(f"{str(folder)!r} is no folder; give one, which may be new.")
    files = {folder / name: data for name, data in _contents(kind).items()}
    # A link is there, too, where what it leads to is not.
    taken = [repr(str(path)) for path in files if os.path.lexists(path)]
    if taken and not force:
        raise OptionError(
            f"{', '.join(taken)} would be replaced, so nothing was written; give another folder, or --force to "
            "replace what is there."
        )
    _write_all(files)
    return list(files)


def describe_starter(folder: Path, kind: str = "torch") -> list[str]:
    """Return what there is to do once a suite is written into `folder`, in lines."""
    package, extra, _ = KINDS[kind]
    # A name that begins like an option would be read as one.
    where = shlex.quote(f"./{folder}" if str(folder).startswith("-") else str(folder))
    # Its loader is asked and nothing is imported, which may take long.
    missing = extra is not None and importlib.util.find_spec(package) is None
    return [
        *([f"first:  pip install 'pytest-lime[{extra}]'   ({package} is not installed)"] if missing else []),
        f"run:    pytest {where}",
        f"next:   let make_model in {folder / 'conftest.py'} return your own model; what is there is a stand-in",
        f"then:   put your own images into {folder / 'images'}, and what they must show into the tests",
        "pages:  docs/starting.md and README.md of pytest-lime",
    ]


def _contents(kind: str) -> dict[str, bytes]:
    """Return what the files of a suite hold, by their paths in it."""
    here = resources.files(__package__)
    beside = {name: name for name in KINDS[kind].beside}
    sources = {"conftest.py": f"conftest-{kind}.py.txt", **COMMON, **beside}
    return {name: here.joinpath(source).read_bytes() for name, source in sources.items()}


def _write_all(files: dict[Path, bytes]) -> None:
    """Write `files`; where one cannot be written, everything is as it was before."""
    new = {folder for path in files for folder in path.parents if not os.path.lexists(folder)}
    with contextlib.ExitStack() as undo:
        # The last is undone first: files, then folders from the innermost.
        for folder in sorted(new, key=lambda folder: len(folder.parts)):
            undo.callback(_remove_folder, folder)
        for path, data in files.items():
            try:
                before = path.read_bytes() if path.is_file() else None
                write_atomically(path, data)
            except OSError as error:
                raise RecordError(
                    f"{str(path)!r} cannot be written, so nothing was: {error.strerror or error}."
                ) from None
            undo.callback(_restore, path, before)
        undo.pop_all()


def _restore(path: Path, data: bytes | None) -> None:
    # The error that made it necessary is the one to tell.
    with contextlib.suppress(OSError):
        if data is None:
            Path(os.path.realpath(path)).unlink()
        else:
            write_atomically(path, data)


def _remove_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
