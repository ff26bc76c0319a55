"""Every error that pytest-lime raises on purpose.

::

    LimeError
    ├── OptionError       an option, marker keyword or argument that cannot be
    ├── ImageError        a picture that cannot be read or used
    ├── RegionError       a region that is empty, outside the image or of another size
    ├── TargetError       a class that the model does not have
    ├── ModelError        a model that breaks its contract (shape, NaN, range)
    ├── SegmentationError superpixels that cannot be explained
    ├── RecordError       a results file that cannot be read or written
    ├── BaselineError     a stored explanation that is missing, damaged, or of something else
    ├── SuiteError        a YAML suite that cannot be read, with the place
    └── ClaimFailed       a claim that does not hold; also an AssertionError

Each message is one sentence of object, value, rule and remedy. The only warnings,
`ClaimWarning`, `InconclusiveWarning` and `CacheWarning`, are here too.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any, ParamSpec, TypeVar

__all__ = [
    "BaselineError",
    "CacheWarning",
    "ClaimFailed",
    "ClaimWarning",
    "ImageError",
    "InconclusiveWarning",
    "LimeError",
    "ModelError",
    "OptionError",
    "RecordError",
    "RegionError",
    "SegmentationError",
    "SuiteError",
    "TargetError",
]

P = ParamSpec("P")
T = TypeVar("T")


class LimeError(Exception):
    """The root of the tree: catch it to catch everything that pytest-lime raises."""


class OptionError(LimeError, ValueError):
    """An option, a marker keyword or an argument that cannot be."""


class ImageError(LimeError, ValueError):
    """A picture that cannot be read or used."""


class RegionError(LimeError, ValueError):
    """A region that is empty, lies outside the image or belongs to another size."""


class TargetError(LimeError, LookupError):
    """A class that the model does not have."""


class ModelError(LimeError, ValueError):
    """A model that breaks its contract: shape, NaN, range of scores, or `prepare`."""


class SegmentationError(LimeError, ValueError):
    """Superpixels that cannot be explained: one only, too many, or of another size."""


class RecordError(LimeError, OSError):
    """A results file that cannot be read or written."""


class BaselineError(LimeError, OSError):
    """A stored explanation that is missing, damaged, or of something else."""


class SuiteError(LimeError, ValueError):
    """A YAML suite that cannot be read or run; it begins with ``file:line:column``."""


class ClaimFailed(LimeError, AssertionError):
    """A claim of a check does not hold; the message gives every claim's figures."""


class InconclusiveWarning(UserWarning):
    """A check is inconclusive, and ``--lime-inconclusive=warn`` lets its test go on."""


class ClaimWarning(UserWarning):
    """A claim does not hold, and ``severity: warn`` of a YAML suite lets its test pass."""


class CacheWarning(UserWarning):
    """The cache cannot be used, or an entry of it is damaged; checks go on without, only slower."""


# Users meet these as `pytest_lime.ClaimFailed`, the name that they can import.
for _name in __all__:
    globals()[_name].__module__ = "pytest_lime"


def nearest(name: object, names: Iterable[object]) -> str:
    """Return ``"; the nearest is 'x'"`` for the name most like `name`, or an empty string.

    >>> nearest("segmentz", ["segments", "samples"])
    "; the nearest is 'segments'"
    >>> nearest("qqq", ["segments"])
    ''
    """
    known = {str(candidate).casefold(): str(candidate) for candidate in names}
    wanted = str(name).casefold()
    # A label that contains the word is nearer to what was meant than one of like spelling.
    found = [key for key in known if wanted and wanted in key][:1] or get_close_matches(wanted, known, n=1, cutoff=0.5)
    return f"; the nearest is {known[found[0]]!r}" if found else ""


# Terminals obey them, and pages and XML must not hold them.
CONTROLS = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), *range(127, 160))}


def printable(text: str) -> str:
    r"""Return `text` with escapes for what no encoding can hold, half of a surrogate pair, and for control characters.

    Line breaks and tabs stay.

    >>> printable("caf\udce9"), printable("\x1b[2J")
    ('caf\\udce9', '\\x1b[2J')
    """
    return text.encode("utf-8", "backslashreplace").decode().translate(CONTROLS)


def one_line(value: object, limit: int = 80) -> str:
    """Return ``repr(value)`` on one line of at most `limit` characters, for use in a message."""
    try:
        text = repr(value)
    except Exception:  # a whole number of 5,000 digits, or a class of the user's own
        text = f"<{type(value).__name__} that cannot be written>"
    text = printable(" ".join(text.split()))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def count_words(number: int, noun: str) -> str:
    """Return a number of things, such as ``"1 image"`` and ``"2 images"``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def is_for_the_user(caught: Any) -> bool:
    """Whether the exception in `caught` (pytest's ``ExceptionInfo``) is told at the user's own line.

    A module that says ``__tracebackhide__ = is_for_the_user`` has its frames hidden then.
    """
    return isinstance(getattr(caught, "value", None), LimeError | ClaimWarning | InconclusiveWarning)


def user_error(function: Callable[P, T]) -> Callable[P, T]:
    """Let a `LimeError` leave a public function without a traceback through our insides.

    The error then points at the user's own line. Errors of other kinds, such as one
    raised inside a user's model, keep their whole traceback.
    """

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        __tracebackhide__ = True
        try:
            return function(*args, **kwargs)
        except LimeError as error:
            failure = error.with_traceback(None)
        except TypeError as error:
            # A wrong keyword fails while Python binds the call, one frame deep.
            if error.__traceback__ is None or error.__traceback__.tb_next is not None:
                raise
            known = [name for name in inspect.signature(function).parameters if name not in ("self", "options")]
            listed = f"the arguments are {', '.join(known)}" if known else "it takes none"
            failure = OptionError(f"{error}; {listed}.")
        raise failure from failure.__cause__

    return wrapper
