"""Claims of a suite: found by name, and checked before any model is loaded."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_lime import claims, regression, trials
from pytest_lime.claims import Claim
from pytest_lime.errors import LimeError, is_for_the_user, nearest, one_line
from pytest_lime.regions import Region, whole
from pytest_lime.suites.kinds import Either, Kind, Ref, Single, Text, check_keys
from pytest_lime.suites.reading import Part
from pytest_lime.suites.regions import REGION, Area, Areas

__all__ = ["CLAIM", "CLAIMS", "CLAIM_FORMS", "AskedClaim", "all_claims", "shape_of"]

__tracebackhide__ = is_for_the_user

# What Python says of an argument, and what JSON Schema says of its value.
TYPES: dict[str, dict[str, Any]] = {
    "Any": {},
    "None": {"type": "null"},
    "Mapping[str, Any]": {"type": "object"},
    "bool": {"type": "boolean"},
    "float": {"type": "number"},
    "int": {"type": "integer"},
    "str": {"type": "string"},
}
# Arguments of these names are regions, and in a list of them.
REGIONS = ("region", "regions")
# All of the public functions that return one.
CLAIMS: dict[str, Callable[..., Claim]] = {
    name: getattr(module, name)
    for module in (claims, trials, regression)
    for name in module.__all__
    if getattr(getattr(module, name), "__annotations__", {}).get("return") == "Claim"
}


def shape_of(annotation: Any) -> dict[str, Any]:
    """Return the JSON Schema of a value that Python annotates as `annotation`.

    >>> shape_of("float | None")
    {'anyOf': [{'type': 'number'}, {'type': 'null'}]}
    """
    kinds = [TYPES.get(one, {}) for one in str(annotation).split(" | ")]
    return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}


def _arguments_schema(function: Callable[..., Claim]) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters
    needed = [name for name, one in parameters.items() if one.default is one.empty]
    properties = {}
    for name, one in parameters.items():
        shape = REGION.schema() if name in REGIONS else shape_of(one.annotation)
        default = {} if one.default in (one.empty, None) else {"default": one.default}
        properties[name] = {**shape, **default}
    return {
        "description": (inspect.getdoc(function) or "").partition("\n")[0],
        "type": "object" if needed else ["object", "null"],
        "properties": properties,
        **({"required": needed} if needed else {}),
        "additionalProperties": False,
    }


def _schemas() -> Mapping[str, dict[str, Any]]:
    return {name: _arguments_schema(function) for name, function in sorted(CLAIMS.items())}


CLAIM_FORMS = Either(
    (
        Text("the name of a claim that needs no arguments"),
        # What is not known by name here is a claim of the user's own.
        Single("one claim with its arguments", _schemas, {"type": ["object", "null"]}),
    )
)
CLAIM: Kind = Ref("claim", lambda: CLAIM_FORMS)


def _own_claims(kind: type[Claim] = Claim) -> Iterator[type[Claim]]:
    """Yield the concrete classes of users, each once."""
    for one in kind.__subclasses__():
        if not one.__module__.startswith("pytest_lime.") and not inspect.isabstract(one):
            yield one
        yield from _own_claims(one)


def _name_of(kind: type[Claim]) -> str:
    return str(kind.name) if kind.name != Claim.name else kind.__name__


def all_claims() -> dict[str, list[Callable[..., Any]]]:
    """Return all claims by name, ours and the user's own; of a name that is taken twice, both."""
    # A module that was imported anew has the class a second time; the later one counts.
    own = {(one.__module__, one.__qualname__): one for one in _own_claims()}
    found: dict[str, list[Callable[..., Any]]] = {}
    for one in own.values():
        found.setdefault(_name_of(one), []).append(one)
    for name, function in CLAIMS.items():
        found.setdefault(name, []).append(function)
    return found


def _find(name: str, place: Part, known: Mapping[str, list[Callable[..., Any]]]) -> Callable[..., Any]:
    found = known.get(name, [])
    if len(found) > 1:
        homes = " and ".join(f"{one.__module__}.{getattr(one, '__qualname__', name)}" for one in found)
        raise place.error(f"claim {name!r} is the name of {homes}; give one of them another")
    if not found:
        raise place.error(
            f"there is no claim {one_line(name)}{nearest(name, known)}; claims are {', '.join(sorted(known))}"
        )
    return found[0]


# A suite asks for the same few many times.
@functools.cache
def _parameters(name: str) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(CLAIMS[name]).parameters


class AskedClaim:
    """A claim as a suite asks for it.

    Parameters
    ----------
    part : Part
        Of the kind `CLAIM`.
    areas : Areas
    known : mapping
        What `all_claims` returned.

    Raises
    ------
    SuiteError
        There is no such claim, or no such argument, or its value cannot be.
    """

    def __init__(self, part: Part, areas: Areas, known: Mapping[str, list[Callable[..., Any]]]) -> None:
        if isinstance(part.value, str):
            self.name, self._place, arguments = part.value, part, None
        else:
            ((self.name, arguments),) = part.value.items()
            self._place = part.keys[self.name]
        self._function = _find(self.name, self._place, known)
        if arguments is not None and arguments.value is None:
            arguments = None
        if arguments is not None and not isinstance(arguments.value, dict):
            raise arguments.error(
                f"{self.name}: {arguments.shown} must be a mapping of its arguments, such as {{region: head}}"
            )
        self._arguments: Mapping[str, Part] = arguments.value if arguments else {}
        self._check_names(arguments)
        self._areas = {name: self._read_areas(name, areas) for name in REGIONS if name in self._arguments}
        listed = [area for each in self._areas.values() for area in (each if isinstance(each, list) else [each])]
        fixed = all(area.known is not None for area in listed)
        # What a file will say is not known yet, and every region will do to check the rest.
        made = self._make(lambda area: area.known or whole())
        self.known: Claim | None = made if fixed else None

    def _check_names(self, arguments: Part | None) -> None:
        try:
            ours = self._function is CLAIMS.get(self.name)
            parameters = _parameters(self.name) if ours else inspect.signature(self._function).parameters
        except (TypeError, ValueError):  # a class may hide what it takes
            return
        if any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
            return
        if arguments:
            check_keys(arguments, f"claim {self.name}", parameters)
        lacking = [
            name
            for name, one in parameters.items()
            if one.default is one.empty and one.kind is not one.VAR_POSITIONAL and name not in self._arguments
        ]
        if lacking:
            raise self._place.error(f"claim {self.name} needs {', '.join(lacking)}")
        for name, part in self._arguments.items():
            annotation = parameters[name].annotation
            if part.quirk and annotation is not inspect.Parameter.empty and "bool" not in str(annotation):
                raise part.error(f"{self.name}: {name}: {part.shown} is no text{part.quirk}")

    def _read_areas(self, name: str, areas: Areas) -> Area | list[Area]:
        part = self._arguments[name]
        listed = part.value if isinstance(part.value, list) else [part]
        for one in listed:
            REGION.check(one, f"{self.name}: {name}")
        read = [areas.read(one) for one in listed]
        return read if isinstance(part.value, list) else read[0]

    def _make(self, choose: Callable[[Area], Region]) -> Claim:
        """Return the claim about the regions that `choose` makes of the areas."""
        values = {name: part.plain() for name, part in self._arguments.items() if name not in self._areas}
        for name, area in self._areas.items():
            values[name] = [choose(one) for one in area] if isinstance(area, list) else choose(area)
        try:
            made = self._function(**values)
        except LimeError as error:
            raise self._blamed(str(error)).error(str(error)) from None
        except Exception as error:
            raise self._place.error(f"{self.name} cannot be made: {type(error).__name__}: {error}") from error
        if not isinstance(made, Claim):
            raise self._place.error(f"{self.name} made {one_line(made)}, which is no claim")
        return made

    def _blamed(self, message: str) -> Part:
        """Return the place of the argument that `message` is about."""
        named = [name for name in re.findall(r"(\w+)=", message) if name in self._arguments]
        return self._arguments[named[0]] if named else self._place

    def claim(self, image: Path) -> Claim:
        """Return the claim about `image`."""
        return self.known or self._make(lambda area: area.make(image))

    @property
    def each(self) -> Claim | Callable[[Path], Claim]:
        """The claim, or where it is another one for each image, the function that makes it."""
        return self.known or functools.partial(self.claim)
