"""Marks of a suite: those of pytest and of its plugins, by name."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from pytest_lime import errors
from pytest_lime.errors import nearest
from pytest_lime.suites.kinds import Anything, Either, Field, Kind, ListOf, Single, Text, check_keys
from pytest_lime.suites.reading import Part

__all__ = ["MARKS", "apply_mark"]

# What a suite says in another way.
INSTEAD = {
    "lime": "write options",
    "parametrize": "give a list of targets or models",
}
REASONED = ("skip", "xfail")
XFAIL = {name: Field(Anything()) for name in ("reason", "strict", "run", "raises", "condition")}
MARKS: Kind = ListOf(
    "a list of marks",
    Either((Text("the name of a mark"), Single("one mark with its arguments, such as {skip: reason}"))),
    least=0,
)


def apply_mark(part: Part, function: Any) -> None:
    """Mark `function` as `part` says.

    Raises
    ------
    SuiteError
        There is no such mark under ``--strict-markers``, or it does not take these arguments.
    """
    if isinstance(part.value, str):
        name, place, given = part.value, part, None
    else:
        ((name, given),) = part.value.items()
        place = part.keys[name]
    if name in INSTEAD:
        raise place.error(f"mark {name!r} is not for suites; {INSTEAD[name]}")
    if not name.isidentifier() or name.startswith("_"):
        raise place.error(f"mark {name!r} is no name of a mark; it must be of letters, digits and _")
    arguments, named = _arguments(name, given)
    if name == "usefixtures" and not (arguments and not named and all(isinstance(one, str) for one in arguments)):
        raise place.error("mark 'usefixtures' takes the names of fixtures, such as {usefixtures: [tmp_path]}")
    if "self" in named:
        raise place.error(f"mark {name!r} cannot have an argument 'self'; call it otherwise")
    mark = _mark(name, place)
    (mark(*arguments, **named) if arguments or named else mark)(function)


def _arguments(name: str, given: Part | None) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of a mark: of a mapping by name, of a list by place, or one alone."""
    if given is None or given.value is None:
        return [], {}
    if isinstance(given.value, list):
        return given.plain(), {}
    if not isinstance(given.value, dict):
        if name not in REASONED:
            return [given.plain()], {}
        # The first argument of xfail would else be a condition.
        Text("a reason").check(given, name)
        return [], {"reason": given.value}
    if name == "xfail":
        return [], _expected(given)
    return [], given.plain()


def _expected(given: Part) -> dict[str, Any]:
    check_keys(given, "mark xfail", XFAIL)
    named: dict[str, Any] = given.plain()
    if "raises" in given.value:
        part = given.value["raises"]
        listed = part.value if isinstance(part.value, list) else [part]
        known = [name for name in errors.__all__ if name.endswith(("Error", "Failed"))]
        for one in listed:
            if one.value not in known:
                raise one.error(
                    f"xfail: raises: {one.shown} must be an error of pytest-lime{nearest(one.value, known)}; these are "
                    f"{', '.join(known)}"
                )
        named["raises"] = tuple(getattr(errors, one.value) for one in listed)
    return named


def _mark(name: str, place: Part) -> pytest.MarkDecorator:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            mark: pytest.MarkDecorator = getattr(pytest.mark, name)
        except pytest.fail.Exception as failure:
            raise place.error(f"mark {name!r}: {failure.msg}; register it there, or correct it") from None
    for warning in caught:
        # Of its place in the suite, not of ours.
        try:
            warnings.warn_explicit(warning.message, warning.category, place.file, place.line)
        except Warning as error:
            raise place.error(f"mark {name!r}: {error}") from None
    return mark
