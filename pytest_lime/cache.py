"""A folder of results that are kept from run to run: never stale, and never torn.

An entry is one file: a line that names the format and its version, a digest of all that
follows, facts as JSON with the type and shape of each array, and the elements of these.
It is found by a key that is a digest of all that it was made of, so nothing in it can be
out of date.

NumPy's own format is not used: its header is read by parsing Python. In CPython before
3.11.8 and 3.12.2 two threads that do so at once may get a SystemError (gh-106905), and
entries are read in the background while pytest parses the source of a test that failed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import re
import stat
import struct
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pytest_lime.errors import CacheWarning, is_for_the_user, one_line
from pytest_lime.records import write_atomically

__all__ = ["Cache", "Entry", "digest"]

__tracebackhide__ = is_for_the_user

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"

MAGIC = b"pytest-lime cache 2\n"
SUFFIX = ".entry"
DIGEST_SIZE = 20
OURS = re.compile(rf"[0-9a-f]{{{2 * DIGEST_SIZE}}}\{SUFFIX}")
# As `write_atomically` calls what it has not finished.
LEFT = re.compile(rf"\.{OURS.pattern}\.[a-z0-9_]+")
LENGTH = struct.Struct("<Q")
# NumPy's short names of types that have neither objects nor fields. Of longer ones it may parse Python.
KINDS = re.compile(r"[<>|][biufcSUmM][1-9][0-9]*(\[[0-9]*[a-zA-Z]+\])?")
# An eviction makes room for many entries, so that the next put does not have to evict again.
KEPT_SHARE = 0.9
# A temporary file of that age, in seconds, belongs to a process that was killed.
ABANDONED = 3600.0
TAG = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This file marks a cache folder, made by pytest-lime.\n"
    "# See https://bford.info/cachedir/ for what that means.\n"
)


@dataclasses.dataclass(frozen=True)
class Entry:
    """What is kept under one key.

    Attributes
    ----------
    facts : mapping of JSON values
        Tuples come back as lists.
    arrays : mapping of arrays
        With the dtype and shape that they were kept with, in C order.
    """

    facts: Mapping[str, JSON]
    arrays: Mapping[str, NDArray[Any]]


class Cache:
    """Entries in a folder, shared by all processes that use it.

    Nothing that is wrong with the folder or with an entry is an error: it is a
    `CacheWarning`, and a miss.

    Parameters
    ----------
    folder : Path
        Made when the first entry is put.
    limit : int
        Bytes that all entries together may take. Beyond it those go that were used least
        recently. Several processes at once may be over it for a while, since each counts
        what it puts itself.
    """

    def __init__(self, folder: Path, *, limit: int = 2**30) -> None:
        self.folder = folder
        self.limit = limit
        # Bytes of all entries; None until they were counted.
        self._total: int | None = None
        self._given_up = False

    def __repr__(self) -> str:
        return f"Cache({str(self.folder)!r})"

    def get(self, kind: str, key: str, sound: Callable[[Entry], Any] = lambda entry: True) -> Entry | None:
        """Return what is kept as `key` among the entries of `kind`, or None; it then counts as used now.

        `sound` says whether an entry holds what it should; one at which it stumbles does not.

        Warns
        -----
        CacheWarning
            The entry is damaged, of another version or not `sound`, and was removed.
        """
        path = self._path(kind, key)
        try:
            if not path.is_file():  # nothing, or what must not be opened, such as a pipe; `put` says so
                return None
            # What is larger than all may be is no entry, and may not fit into memory.
            data = path.read_bytes() if path.stat().st_size <= self.limit else b"too large"
        except FileNotFoundError:  # another process removed it
            return None
        except OSError as error:
            self._give_up(error)
            return None
        try:
            entry = _decode(data, kind, key)
            _check(entry, kind, sound)
        except _DamagedError as error:
            fault = str(error)
        else:
            with contextlib.suppress(OSError):
                os.utime(path)
            return entry
        with contextlib.suppress(OSError):
            path.unlink()
        # Not while the error is handled: whoever makes errors of warnings would be told both.
        warnings.warn(f"the cache entry {str(path)!r} {fault}.", CacheWarning, stacklevel=_stacklevel())
        return None

    def put(self, kind: str, key: str, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep `facts` and `arrays` as `key` among the entries of `kind`, in place of what was there.

        An entry larger than the limit is not kept.

        Parameters
        ----------
        kind : str
            A plain word, such as ``"samples"``.
        key : str
            A `digest` of all that the entry was made of.
        facts : mapping of JSON values
        arrays : mapping of arrays
            Of numbers, dates or texts.

        Raises
        ------
        TypeError, ValueError
            `facts` holds something that is no JSON value, or `arrays` one of something else.

        Warns
        -----
        CacheWarning
            The folder cannot be written to; nothing more is kept then.
        """
        path = self._path(kind, key)
        if self._given_up:
            return
        data = _encode(kind, key, facts, arrays)
        try:
            self._make_folder()
            if len(data) > self.limit:
                path.unlink(missing_ok=True)
                return
            if self._total is None:
                self._total = sum(size for _, size, _ in self._scan())
            replaced = _size(path)
            write_atomically(path, data)
            self._total += len(data) - replaced
            if self._total > self.limit:
                self._total = self._evict(path)
        except OSError as error:
            self._give_up(error)

    def _path(self, kind: str, key: str) -> Path:
        # Neither may lead out of the folder.
        if not (kind.isidentifier() and key.isalnum()):
            raise ValueError(f"kind={kind!r} must be a plain word, and key={key!r} a digest.")
        return self.folder / kind / f"{key}{SUFFIX}"

    def _give_up(self, error: OSError) -> None:
        if not self._given_up:
            self._given_up = True
            reason = error.strerror or str(error) or type(error).__name__
            if error.filename not in (None, str(self.folder)):
                reason += f": {str(error.filename)!r}"
            warnings.warn(
                f"the cache {str(self.folder)!r} cannot be used ({reason}); this run goes on without it.",
                CacheWarning,
                stacklevel=_stacklevel(),
            )

    def _make_folder(self) -> None:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.folder.mkdir()
        except FileExistsError:
            return
        # Only a folder of our own making is hidden from version control and backups.
        write_atomically(self.folder / ".gitignore", b"# Made by pytest-lime.\n*\n")
        write_atomically(self.folder / "CACHEDIR.TAG", TAG.encode())

    def _scan(self) -> Iterator[tuple[int, int, Path]]:
        """Yield when each entry was used last (in nanoseconds), its bytes and its path; sweep what was left behind."""
        now = time.time()
        for kind in _listed(self.folder):
            for found in _listed(kind):
                try:
                    known = found.lstat()
                    if not stat.S_ISREG(known.st_mode):
                        continue
                    # Whatever else lies in the folder is its owner's.
                    if LEFT.fullmatch(found.name):
                        if now - known.st_mtime > ABANDONED:
                            found.unlink()
                    elif OURS.fullmatch(found.name):
                        yield known.st_mtime_ns, known.st_size, found
                except OSError:  # another process removed it
                    continue

    def _evict(self, newest: Path) -> int:
        """Remove what was used least recently, but never `newest`; return how many bytes are left."""
        entries = sorted(self._scan())
        total = sum(size for _, size, _ in entries)
        if total <= self.limit:  # another process has made room
            return total
        for _, size, path in entries:
            if total <= KEPT_SHARE * self.limit:
                break
            if path == newest:
                continue
            try:
                path.unlink(missing_ok=True)
            except OSError:
                continue
            total -= size
        return total


class _DamagedError(Exception):
    """An entry cannot be read; the message goes on from "the entry …"."""


def _check(entry: Entry, kind: str, sound: Callable[[Entry], Any]) -> None:
    try:
        holds = bool(sound(entry))
    except (LookupError, TypeError, ValueError, AttributeError):
        holds = False
    if not holds:
        raise _DamagedError(f"holds no {kind} as pytest-lime stores them; they are made anew")


def _stacklevel() -> int:
    """Return how many frames above that of its caller is the first one that is not of this package, for a warning."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).startswith("pytest_lime."):
        frame, level = frame.f_back, level + 1
    return level


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # a file, or gone
        return []


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _encode(kind: str, key: str, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    described = {}
    for name, array in arrays.items():
        if not KINDS.fullmatch(array.dtype.str):
            raise ValueError(f"the array {name!r} is of {array.dtype}; numbers, dates and texts can be kept.")
        described[name] = [array.dtype.str, array.shape]
    head = json.dumps({"kind": kind, "key": key, "facts": dict(facts), "arrays": described}).encode()
    rest = b"".join((LENGTH.pack(len(head)), head, *(array.tobytes() for array in arrays.values())))
    return b"".join((MAGIC, _checksum(rest), rest))


def _decode(data: bytes, kind: str, key: str) -> Entry:
    start = len(MAGIC) + DIGEST_SIZE
    if not data.startswith(MAGIC) and not MAGIC.startswith(data):
        raise _DamagedError("was not written by this version of pytest-lime; it is made anew")
    rest = memoryview(data)[start:]
    if _checksum(rest) != data[len(MAGIC) : start]:
        raise _DamagedError("is damaged; it is made anew")
    # What has its checksum was written by us, but perhaps to another name, or by other means.
    try:
        (length,) = LENGTH.unpack_from(rest)
        head = json.loads(bytes(rest[LENGTH.size : LENGTH.size + length]))
        arrays = _arrays(head["arrays"], rest[LENGTH.size + length :])
        own, facts = (head["kind"], head["key"]), dict(head["facts"])
    # A head that is nested deeply, and an array larger than the memory, are no less nonsense.
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, MemoryError, struct.error) as error:
        raise _DamagedError(f"is damaged ({one_line(str(error))}); it is made anew") from None
    if own != (kind, key):
        raise _DamagedError("belongs elsewhere; it is made anew")
    return Entry(facts, arrays)


def _arrays(described: Mapping[str, Any], elements: memoryview) -> dict[str, NDArray[Any]]:
    """Return the arrays, in order of `described`, whose elements follow each other in `elements`."""
    found: dict[str, NDArray[Any]] = {}
    start = 0
    for name, (kind, shape) in described.items():
        if not KINDS.fullmatch(kind) or any(length < 0 for length in shape):
            raise ValueError(f"an array of {kind} and shape {shape}")
        dtype = np.dtype(kind)
        size = dtype.itemsize * math.prod(shape)
        # A copy lies as its type wants it, and can be written to.
        found[name] = np.ndarray(shape, dtype, elements[start : start + size]).copy()
        start += size
    if start != len(elements):
        raise ValueError(f"{len(elements)} bytes of arrays that have {start}")
    return found


def _checksum(data: bytes | memoryview) -> bytes:
    return hashlib.blake2b(data, digest_size=DIGEST_SIZE).digest()


def digest(*parts: Any) -> str:
    """Return a digest of `parts` in hexadecimal, the same in every process.

    Whatever differs in type, value or grouping has another digest; only the order of a
    dictionary does not matter.

    Parameters
    ----------
    *parts : array, str, bytes, number, bool, None, or tuple, list or dict of these
        Arrays count with their dtype, shape and elements, but not with their layout in memory.

    Raises
    ------
    TypeError
        A part is something else.

    >>> digest("ab", "c") == digest("a", "bc")
    False
    >>> digest({"a": 1, "b": (2.5, None)}) == digest({"b": (2.5, None), "a": 1})
    True
    """
    found = hashlib.blake2b(digest_size=DIGEST_SIZE)
    for piece in _pieces(parts):
        found.update(piece)
    return found.hexdigest()


def _pieces(part: Any) -> Iterator[bytes | memoryview]:
    """Yield bytes that tell `part` from any other: each piece of unknown length comes after its length."""
    kind = type(part)
    if kind is str:
        yield from _marked("str", part.encode("utf-8", "surrogatepass"))
    elif kind is bytes:
        yield from _marked("bytes", part)
    elif part is None or kind in (bool, int):
        yield from _marked(kind.__name__, repr(part).encode())
    elif kind in (float, complex):
        yield from _marked(kind.__name__, struct.pack("<dd", part.real, part.imag))
    elif kind in (tuple, list):
        yield from _marked(kind.__name__, LENGTH.pack(len(part)))
        for inner in part:
            yield from _pieces(inner)
    elif kind is dict:
        yield from _marked("dict", LENGTH.pack(len(part)))
        for name, value in sorted((digest(name), value) for name, value in part.items()):
            yield name.encode()
            yield from _pieces(value)
    # Other classes of arrays hold more than their elements, such as a mask.
    elif (kind in (np.ndarray, np.memmap) or isinstance(part, np.generic)) and not part.dtype.hasobject:
        name = "scalar" if isinstance(part, np.generic) else "array"
        yield from _marked(name, repr((np.lib.format.dtype_to_descr(part.dtype), part.shape)).encode())
        # A view of the elements' bytes: large arrays are not copied.
        yield np.ascontiguousarray(part).reshape(-1).view(np.uint8).data
    else:
        raise TypeError(f"digest: {one_line(part)} is no array, text, number, or tuple, list or dict of these.")


def _marked(name: str, data: bytes) -> Iterator[bytes]:
    yield b"%s %d\n" % (name.encode(), len(data))
    yield data
