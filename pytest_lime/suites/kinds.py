"""Kinds of values: what a suite may hold at a place, to check it by and to describe it in a JSON Schema."""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pytest_lime.errors import nearest
from pytest_lime.suites.reading import Part

__all__ = [
    "Anything",
    "Choice",
    "Either",
    "Field",
    "Fields",
    "Flag",
    "Forms",
    "Kind",
    "ListOf",
    "MapOf",
    "Null",
    "Number",
    "Ref",
    "Single",
    "Text",
    "Whole",
    "check_keys",
]

Schema = dict[str, Any]


class Kind(abc.ABC):
    """A kind of value."""

    @abc.abstractmethod
    def says(self) -> str:
        """Return what an error says that a value must be."""

    @abc.abstractmethod
    def fits(self, part: Part) -> bool:
        """Whether `part` is meant to be of this kind, whatever is wrong within it."""

    @abc.abstractmethod
    def schema(self) -> Schema:
        """Return the JSON Schema of this kind."""

    def check(self, part: Part, name: str) -> None:
        """Check `part`, the value of key `name`.

        Raises
        ------
        SuiteError
            It is not of this kind.
        """
        if not self.fits(part):
            raise part.error(f"{name}: {part.shown} must be {self.says()}{part.quirk}")


@dataclasses.dataclass(frozen=True)
class _Worded(Kind):
    words: str

    def says(self) -> str:
        """Return its words."""
        return self.words


@dataclasses.dataclass(frozen=True)
class Text(_Worded):
    """Text that is not empty."""

    words: str = "text"

    def fits(self, part: Part) -> bool:
        return isinstance(part.value, str) and bool(part.value)

    def schema(self) -> Schema:
        return {"type": "string", "minLength": 1}


@dataclasses.dataclass(frozen=True)
class Number(Kind):
    """A number greater than `above`, and at most `high`."""

    above: float = -math.inf
    high: float = math.inf

    def says(self) -> str:
        """Return what it is, with its limits."""
        limits = [f"greater than {self.above:g}"] if self.above > -math.inf else []
        limits += [f"at most {self.high:g}"] if self.high < math.inf else []
        return " ".join(["a number", " and ".join(limits)]).strip()

    def fits(self, part: Part) -> bool:
        number = isinstance(part.value, int | float) and not isinstance(part.value, bool)
        return number and self.above < part.value <= self.high

    def schema(self) -> Schema:
        low = {"exclusiveMinimum": self.above} if self.above > -math.inf else {}
        high = {"maximum": self.high} if self.high < math.inf else {}
        return {"type": "number", **low, **high}


@dataclasses.dataclass(frozen=True)
class Whole(Kind):
    """A whole number of at least `least`."""

    least: int

    def says(self) -> str:
        """Return what it is, with its limit."""
        return f"a whole number of at least {self.least}"

    def fits(self, part: Part) -> bool:
        return type(part.value) is int and part.value >= self.least

    def schema(self) -> Schema:
        return {"type": "integer", "minimum": self.least}


@dataclasses.dataclass(frozen=True)
class Flag(_Worded):
    """True or false."""

    words: str = "true or false"

    def fits(self, part: Part) -> bool:
        return isinstance(part.value, bool)

    def schema(self) -> Schema:
        return {"type": "boolean"}


@dataclasses.dataclass(frozen=True)
class Null(_Worded):
    """Null, which stands for something that `words` names."""

    def fits(self, part: Part) -> bool:
        return part.value is None

    def schema(self) -> Schema:
        return {"type": "null"}


@dataclasses.dataclass(frozen=True)
class Anything(_Worded):
    """Any value, which is checked elsewhere; `shape` is what its JSON Schema says."""

    words: str = "any value"
    shape: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def fits(self, part: Part) -> bool:
        return True

    def schema(self) -> Schema:
        return dict(self.shape)


@dataclasses.dataclass(frozen=True)
class Choice(Kind):
    """One of some texts or numbers."""

    values: tuple[Any, ...]

    def says(self) -> str:
        """Return the values."""
        listed = " or ".join(map(str, self.values))
        return listed if len(self.values) < 3 else f"one of {', '.join(map(str, self.values))}"

    def fits(self, part: Part) -> bool:
        return any(type(part.value) is type(value) and part.value == value for value in self.values)

    def check(self, part: Part, name: str) -> None:
        if not self.fits(part):
            near = nearest(part.value, self.values) if len(self.values) > 1 and isinstance(part.value, str) else ""
            raise part.error(f"{name}: {part.shown} must be {self.says()}{near}{part.quirk}")

    def schema(self) -> Schema:
        return {"enum": list(self.values)}


@dataclasses.dataclass(frozen=True)
class ListOf(_Worded):
    """A list of `least` to `most` values of one kind."""

    kind: Kind
    least: int = 1
    most: float = math.inf

    def fits(self, part: Part) -> bool:
        return isinstance(part.value, list)

    def check(self, part: Part, name: str) -> None:
        super().check(part, name)
        if not self.least <= len(part.value) <= self.most:
            raise part.error(f"{name}: {part.shown} must be {self.words}")
        for one in part.value:
            self.kind.check(one, name)

    def schema(self) -> Schema:
        most = {"maxItems": self.most} if self.most < math.inf else {}
        return {"type": "array", "items": self.kind.schema(), "minItems": self.least, **most}


@dataclasses.dataclass(frozen=True)
class MapOf(_Worded):
    """A mapping from `least` names or more to values of one kind."""

    kind: Kind
    least: int = 0

    def fits(self, part: Part) -> bool:
        return isinstance(part.value, dict)

    def check(self, part: Part, name: str) -> None:
        super().check(part, name)
        if len(part.value) < self.least:
            raise part.error(f"{name}: {part.shown} must be {self.words}")
        for key, one in part.value.items():
            self.kind.check(one, f"{name}.{key}")

    def schema(self) -> Schema:
        least = {"minProperties": self.least} if self.least else {}
        return {"type": "object", "additionalProperties": self.kind.schema(), **least}


@dataclasses.dataclass(frozen=True)
class Single(_Worded):
    """A mapping of one key, whose name and value are checked elsewhere."""

    known: Callable[[], Mapping[str, Schema]] = dict
    others: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def fits(self, part: Part) -> bool:
        return isinstance(part.value, dict)

    def check(self, part: Part, name: str) -> None:
        super().check(part, name)
        if len(part.value) != 1:
            raise part.error(f"{name}: {part.shown} has {len(part.value)} keys; it must be {self.words}")

    def schema(self) -> Schema:
        known = self.known()
        return {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            **({"properties": dict(known)} if known else {}),
            "additionalProperties": dict(self.others),
        }


@dataclasses.dataclass(frozen=True)
class Either(Kind):
    """One of several kinds."""

    kinds: Sequence[Kind]

    def says(self) -> str:
        """Return what the kinds say."""
        *first, last = (kind.says() for kind in self.kinds)
        return f"{', '.join(first)} or {last}"

    def fits(self, part: Part) -> bool:
        return any(kind.fits(part) for kind in self.kinds)

    def check(self, part: Part, name: str) -> None:
        super().check(part, name)
        next(kind for kind in self.kinds if kind.fits(part)).check(part, name)

    def schema(self) -> Schema:
        return {"anyOf": [kind.schema() for kind in self.kinds]}


@dataclasses.dataclass(frozen=True)
class Ref(Kind):
    """A kind that has a name in the JSON Schema, and may contain itself."""

    name: str
    kind: Callable[[], Kind]

    def says(self) -> str:
        """Return what the kind says."""
        return self.kind().says()

    def fits(self, part: Part) -> bool:
        return self.kind().fits(part)

    def check(self, part: Part, name: str) -> None:
        self.kind().check(part, name)

    def schema(self) -> Schema:
        return {"$ref": f"#/$defs/{self.name}"}


@dataclasses.dataclass(frozen=True)
class Field:
    """The value of a key, and what the key is for."""

    kind: Kind
    about: str = ""

    def schema(self) -> Schema:
        """Return the JSON Schema of the value."""
        return {**({"description": self.about} if self.about else {}), **self.kind.schema()}


@dataclasses.dataclass(frozen=True)
class Fields(_Worded):
    """A mapping with keys of its own, which errors call `words`."""

    fields: Mapping[str, Field]
    needed: tuple[str, ...] = ()

    def fits(self, part: Part) -> bool:
        return isinstance(part.value, dict)

    def check(self, part: Part, name: str) -> None:
        if not self.fits(part):
            raise part.error(f"{name}: {part.shown} must be {self.words}, a mapping with the keys {self._listed}")
        check_keys(part, self.words, self.fields)
        for key in self.needed:
            if key not in part.value:
                raise part.error(f"{self.words} needs the key {key!r}")
        for key, one in part.value.items():
            self.fields[key].kind.check(one, key)

    @property
    def _listed(self) -> str:
        return ", ".join(self.fields)

    def schema(self) -> Schema:
        return {
            "type": "object",
            "properties": {name: field.schema() for name, field in self.fields.items()},
            **({"required": list(self.needed)} if self.needed else {}),
            "additionalProperties": False,
        }


@dataclasses.dataclass(frozen=True)
class Forms(_Worded):
    """A mapping of several forms, each told by the first key that it needs."""

    forms: Sequence[Fields]

    def fits(self, part: Part) -> bool:
        return isinstance(part.value, dict)

    def check(self, part: Part, name: str) -> None:
        super().check(part, name)
        leads = [form.needed[0] for form in self.forms]
        check_keys(part, self.words, {key: None for form in self.forms for key in (*form.needed, *form.fields)})
        given = [lead for lead in leads if lead in part.value]
        if len(given) > 1:
            raise part.keys[given[1]].error(f"{self.words} has {given[0]} or {given[1]}, not both")
        if not given:
            raise part.error(f"{self.words} needs one of the keys {', '.join(leads)}")
        self.forms[leads.index(given[0])].check(part, name)

    def schema(self) -> Schema:
        return {"oneOf": [form.schema() for form in self.forms]}


def check_keys(part: Part, thing: str, known: Mapping[str, object]) -> None:
    """Raise a `SuiteError` for the first key of `part` that is not `known` of `thing`."""
    for key in part.value:
        if key not in known:
            keys = f"its keys are {', '.join(known)}" if known else "it has none"
            raise part.keys[key].error(f"{thing} has no key {key!r}{nearest(key, known)}; {keys}")
