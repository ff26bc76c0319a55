"""Storage of an explanation: arrays and JSON in one file, without pickle."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import os
import typing
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from pytest_lime.errors import OptionError, RecordError, is_for_the_user, one_line
from pytest_lime.images import Image, View
from pytest_lime.options import LimeOptions
from pytest_lime.records import write_atomically

__all__ = ["FORMAT", "VERSION", "Unsaved", "load", "save"]

__tracebackhide__ = is_for_the_user

T = TypeVar("T")
FORMAT = "pytest-lime explanation"
VERSION = 1
FACTS = "explanation.json"
# The oldest moment that a zip archive can name: equal explanations make equal files.
EPOCH = (1980, 1, 1, 0, 0, 0)
# Our own types: rebuilt from their fields, by these names.
TYPES: dict[str, type[Any]] = {"Image": Image, "View": View, "LimeOptions": LimeOptions}
# Values of a picture in n bits are whole multiples of 1 / (2ⁿ − 1).
DEPTHS = (np.uint8, np.uint16)
ZIP = b"PK\x03\x04"
# What reading raises where a file is cut off, overwritten, or made by hand.
DAMAGED = (
    *(AttributeError, EOFError, IndexError, KeyError, MemoryError, NotImplementedError, OverflowError),
    *(RecursionError, RuntimeError, TypeError, ValueError, zipfile.BadZipFile, zlib.error),
)
# The shape of each field in letters, which have one value each in the whole file.
SHAPES = {
    "Image.pixels": "hw3",
    "View.size": "hw",
    "View.shape": "HW",
    "Explanation.pixels": "CHW",
    "Explanation.segments": "HW",
    "Explanation.unchanged": "d",
    "Explanation.targets": "K",
    "Explanation.labels": "K",
    "Explanation.weights": "Kd",
    "Explanation.intercept": "K",
    "Explanation.covariance": "Kdd",
    "Explanation.rounding": "K",
    "Explanation.r2": "K",
    "Explanation.r2_heldout": "K",
    "Explanation.local_pred": "K",
    "Explanation.prediction": "M",
    "Explanation.class_names": "M",
    "Explanation.masks": "Nd",
    "Explanation.sample_scores": "NK",
    "Explanation.sample_weights": "N",
    "Explanation.opinions": "Kd",
}
# A regressor of the user's may make what is fitted, but for the weights, NaN.
FINITE = {
    *("Image.pixels", "View.box", "Explanation.pixels", "Explanation.weights", "Explanation.rounding"),
    *("Explanation.prediction", "Explanation.sample_scores", "Explanation.sample_weights"),
}
# What else must hold of a value and of those letters.
RULES: dict[str, tuple[Callable[[Any, Mapping[str, int]], Any], str]] = {
    "View.box": (lambda box, _: box[0] < box[2] and box[1] < box[3], "have x0 < x1 and y0 < y1"),
    "Explanation.segments": (
        lambda value, sizes: np.array_equal(np.unique(value), np.arange(sizes["d"])),
        "hold all numbers 0…d−1",
    ),
    "Explanation.targets": (lambda value, sizes: all(0 <= one < sizes["M"] for one in value), "be in class_names"),
    "Explanation.minus": (lambda value, sizes: value is None or 0 <= value < sizes["M"], "be in class_names"),
    "Explanation.covariance": (lambda value, _: not np.isnan(value).any(), "not be NaN"),
    "Explanation.freedom": (lambda value, _: value > 0, "be above 0"),
    "Explanation.foreseen": (lambda value, _: value > 0, "be above 0"),
    "Explanation.masks": (lambda value, _: value.max() <= 1, "be 0 or 1"),
    "Explanation.sample_weights": (lambda value, _: value.min() >= 0 and value.any(), "be at least 0 and not all 0"),
}


class Unsaved:
    """Stands, in options that were loaded, for a function or a regressor, which no file holds.

    `LimeOptions` takes it wherever it takes a function or a regressor; it prints as the name of what it
    stands for, and raises an `OptionError` as soon as it is called or fitted.
    """

    def __init__(self, name: str) -> None:
        self.__qualname__ = name

    def __repr__(self) -> str:
        return self.__qualname__

    def __call__(self, *arguments: Any, **keywords: Any) -> NoReturn:
        """Raise an `OptionError`."""
        raise OptionError(
            f"{self.__qualname__} was not saved with the explanation, which holds numbers but no functions and no "
            "regressors: pass it again, as an option of a new explanation."
        )

    fit = predict = __call__


def save(value: Any, path: str | os.PathLike[str]) -> None:
    """Write a dataclass to the file `path`, which is replaced at once or not at all.

    The file is a zip archive, as ``numpy.load`` reads it, of ``explanation.json`` and of one array a
    member, in as few bits as hold it: pixels that came from 8 or 16 bits are whole numbers there.

    Parameters
    ----------
    value : dataclass
        Its fields hold None, bool, numbers, str, arrays, `Image`, `View`, `LimeOptions`, and tuples, lists
        and mappings of these. Functions and regressors are kept by name only.
    path : str or os.PathLike
        The name is used as it is; its folder must exist.

    Raises
    ------
    OptionError
        `path` is no path.
    RecordError
        The file cannot be written.
    """
    path = _as_path(path)
    if not path.parent.is_dir():
        raise RecordError(f"{str(path)!r} cannot be written: there is no folder {str(path.parent)!r}; make it first.")
    packer = _Packer()
    facts = {"format": FORMAT, "version": VERSION, "fields": packer.pack_fields(value, "")}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        # In ASCII, so that names may hold what no encoding takes.
        archive.writestr(_entry(FACTS), json.dumps(facts, allow_nan=False, indent=1))
        for name, array in packer.arrays.items():
            with archive.open(_entry(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    try:
        write_atomically(path, buffer.getvalue())
    except OSError as error:
        raise RecordError(
            f"{str(path)!r} cannot be written ({error.strerror}): give the name of a file, on a disk with room and in "
            "a folder that you may write to."
        ) from None


def load(kind: type[T], path: str | os.PathLike[str]) -> T:
    """Read the dataclass `kind` that `save` wrote to the file `path`.

    Raises
    ------
    OptionError
        `path` is no path.
    RecordError
        There is no such file, or it is damaged, from another program or from a newer version.
    """
    path = _as_path(path)
    foreign = f"{str(path)!r} is no saved explanation: give a file that Explanation.save wrote."
    try:
        with path.open("rb") as file:
            if file.read(len(ZIP)) != ZIP:
                raise RecordError(foreign)
        with zipfile.ZipFile(path) as archive:
            if FACTS not in archive.namelist():
                raise RecordError(foreign)
            facts = json.loads(archive.read(FACTS))
            if not isinstance(facts, dict) or facts.get("format") != FORMAT:
                raise RecordError(foreign)
            version = facts.get("version")
            # True and 1.0 equal 1, and are none that we wrote.
            if type(version) is not int or version != VERSION:
                raise RecordError(
                    f"{str(path)!r} has version {one_line(version)} and this pytest-lime reads {VERSION}: "
                    "use the version that saved it, or explain the image again."
                )
            found = kind(**_unpack_fields(facts["fields"], archive))
        _check(found, {"3": 3})
        return found
    except RecordError:  # an OSError, too
        raise
    except FileNotFoundError:
        raise RecordError(
            f"{str(path)!r} does not exist: check the name, to which no ending was or is added."
        ) from None
    except OSError as error:
        raise RecordError(f"{str(path)!r} cannot be read ({error.strerror}): give a file that you may read.") from None
    except DAMAGED as error:
        raise RecordError(_damaged(path, error)) from None


def _as_path(path: Any) -> Path:
    try:
        found = Path(path)
        possible = b"\0" not in os.fsencode(found)
    except (TypeError, UnicodeError):
        possible = False
    if not possible:
        raise OptionError(
            f"path={one_line(path)} must be the name of a file, a str or an os.PathLike without null characters: give "
            "one such as 'cat.npz'."
        )
    return found


def _check(value: Any, sizes: dict[str, int]) -> None:
    """Raise a `ValueError` unless the fields of a dataclass are what they must be.

    `sizes` holds what is known of the letters of `SHAPES`, and learns what the value tells.
    """
    kind = type(value)
    fields = [
        (name, f"{kind.__name__}.{name}", hint, getattr(value, name))
        for name, hint in typing.get_type_hints(kind).items()
    ]
    for name, field, hint, inner in fields:
        if not _is(inner, hint):
            raise ValueError(f"{name} is {one_line(inner)} and must be {kind.__annotations__[name]}")
        if type(inner) in (Image, View):
            _check(inner, sizes)
        if field in SHAPES:
            for one in inner.values() if isinstance(inner, Mapping) else [inner]:
                _check_shape(name, one if kind is View else np.shape(one), SHAPES[field], sizes)
        if field in FINITE and not np.isfinite(inner).all():
            raise ValueError(f"{name} is {one_line(inner)} and must be finite")
    for name, field, _, inner in fields:
        if field in RULES:
            holds, words = RULES[field]
            if not holds(inner, sizes):
                raise ValueError(f"{name} is {one_line(inner)} and must {words}")


def _check_shape(name: str, shape: tuple[int, ...], letters: str, sizes: dict[str, int]) -> None:
    known = len(shape) == len(letters) and min(shape) >= 1
    if not known or any(sizes.setdefault(letter, size) != size for letter, size in zip(letters, shape, strict=True)):
        wanted = "×".join(str(sizes.get(letter, letter)) for letter in letters)
        raise ValueError(f"{name} has shape {shape} and must be of shape {wanted}")


def _is(value: Any, hint: Any) -> bool:
    """Whether `value` is of the type `hint`; of arrays, whether it is of that kind of number."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if inner and hasattr(origin, "__value__"):
        # Newer releases of numpy write `NDArray` as ``type NDArray[…] = …``.
        return _is(value, origin.__value__[inner])
    if origin is np.ndarray:
        (number,) = typing.get_args(inner[1])
        return isinstance(value, np.ndarray) and value.dtype.kind == np.dtype(number).kind
    if origin is tuple:
        hints = inner[:1] * len(value) if inner[-1] is ... and isinstance(value, tuple) else inner
        return isinstance(value, tuple) and len(value) == len(hints) and all(map(_is, value, hints))
    if origin is Mapping:
        return isinstance(value, Mapping) and all(
            _is(key, inner[0]) and _is(one, inner[1]) for key, one in value.items()
        )
    if inner:
        return any(_is(value, one) for one in inner)
    return type(value) is hint or (hint is float and type(value) is int)


def _damaged(path: Path, error: BaseException) -> str:
    reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return f"{str(path)!r} is damaged ({reason}): copy it anew, or explain the image again."


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16  # else what unpacks it on Unix may not read it
    return entry


class _Packer:
    """Turns values into JSON values, which name the arrays that it keeps in `arrays`.

    What JSON has no word for becomes a dictionary of one key, the kind of value.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, NDArray[Any]] = {}

    def pack(self, value: Any, name: str) -> Any:
        """Return `value` as a JSON value; `name` is what its arrays are called by."""
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, float):
            return value if math.isfinite(value) else {"float": repr(float(value))}
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, list | tuple):
            items = [self.pack(one, f"{name}.{place}") for place, one in enumerate(value)]
            return items if isinstance(value, list) else {"tuple": items}
        if isinstance(value, Mapping):
            return {"mapping": self.pack([list(pair) for pair in value.items()], name)}
        return self.pack_object(value, name)

    def pack_object(self, value: Any, name: str) -> dict[str, Any]:
        if type(value) in TYPES.values():
            return {type(value).__name__: self.pack_fields(value, f"{name}.")}
        if hasattr(value, "__array__") and (array := np.asarray(value)).dtype.kind in "biufcSU":
            self.arrays[name] = _shorter(array)
            return {"array": [name, array.dtype.str]}
        return {"unsaved": getattr(value, "__qualname__", "") or one_line(value)}

    def pack_fields(self, value: Any, name: str) -> dict[str, Any]:
        return {
            field.name: self.pack(getattr(value, field.name), f"{name}{field.name}")
            for field in dataclasses.fields(value)
        }


def _shorter(array: NDArray[Any]) -> NDArray[Any]:
    """Return `array` in fewer bits where they hold the same: whole numbers, and pixels that came from such."""
    if array.dtype.kind in "iu" and array.size and array.min() >= 0:
        return array.astype(np.min_scalar_type(array.max()))
    if array.dtype == np.float32 and array.size and array.min() >= 0 and array.max() <= 1:
        for depth in DEPTHS:
            levels = np.rint(array * np.float32(np.iinfo(depth).max)).astype(depth)
            if np.array_equal(_pixels(levels).view(np.uint32), np.ascontiguousarray(array).view(np.uint32)):
                return levels
    return array


def _pixels(levels: NDArray[Any]) -> NDArray[np.float32]:
    return levels.astype(np.float32) / np.float32(np.iinfo(levels.dtype).max)


def _unpack(value: Any, archive: zipfile.ZipFile) -> Any:
    if isinstance(value, list):
        return [_unpack(one, archive) for one in value]
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == "array":
        return _unpack_array(archive, *inner)
    if kind in TYPES:
        return TYPES[kind](**_unpack_fields(inner, archive))
    items = [_unpack(one, archive) for one in inner] if isinstance(inner, list) else inner
    return {"float": float, "tuple": tuple, "mapping": dict, "unsaved": Unsaved}[kind](items)


def _unpack_fields(fields: dict[str, Any], archive: zipfile.ZipFile) -> dict[str, Any]:
    return {name: _unpack(value, archive) for name, value in fields.items()}


def _unpack_array(archive: zipfile.ZipFile, name: str, dtype: str) -> NDArray[Any]:
    with archive.open(f"{name}.npy") as member:
        read: NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
        # Only at its end does the archive compare the checksum.
        if member.read(1):
            raise ValueError(f"{name}.npy is longer than its array")
    wanted = np.dtype(dtype)
    return _pixels(read) if wanted == np.float32 and read.dtype.kind == "u" else read.astype(wanted, copy=False)
