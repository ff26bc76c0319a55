"""Cases: what a suite asks for, one test function each."""

from __future__ import annotations

import dataclasses
import itertools
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_lime.errors import ClaimFailed, ClaimWarning, OptionError, is_for_the_user, printable
from pytest_lime.options import LimeOptions
from pytest_lime.suites.claims import AskedClaim, all_claims
from pytest_lime.suites.images import check_pattern, filled, find_images, has_placeholder, spelt
from pytest_lime.suites.reading import Part, read
from pytest_lime.suites.regions import Areas
from pytest_lime.suites.schema import GROUPS, SUITE, VERSION

__all__ = ["Call", "Case", "Severity", "read_cases"]

__tracebackhide__ = is_for_the_user

# A function of this name in a module is a hook of pytest.
HOOK = "pytest_generate_tests"
# Arguments of `lime.compare_groups` that a suite gives as they are.
COMPARED = ("margin", "rate", "paired", "spread")


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """The call of `lime` that is the body of a case.

    Attributes
    ----------
    method : str
        Of `pytest_lime.Lime`.
    subject : path, list of paths or mapping from names to lists of paths
        The image, the images, or the groups.
    claims : function without arguments
        Returns the claims; regions that need a file are read then.
    named : mapping
        Arguments by name.
    target : label, index or None
    """

    method: str
    subject: Any
    claims: Callable[[], Sequence[Any]]
    named: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    target: Any = None

    def arguments(self) -> tuple[Any, ...]:
        """Return what is given by place."""
        return (self.subject, self.target, *self.claims())


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """One test function of a suite.

    Attributes
    ----------
    name : str
        Of the test, with its parameters in brackets.
    place, called : Part
        The test, and the last of its claims.
    model : Part or None
        Another model than `lime_model`: a fixture's name, or ``module:attribute``.
    call : Call
    severity : ``"error"`` or ``"warn"``
    meta : mapping
    marks : sequence of Part
    options : mapping
    """

    name: str
    place: Part
    called: Part
    model: Part | None
    call: Call
    severity: str
    meta: Mapping[str, Any]
    marks: Sequence[Part]
    options: Mapping[str, Any]

    @property
    def where(self) -> str:
        """Who gives its options, as an error calls it."""
        return f"options of {self.place.where}"

    @property
    def facts(self) -> dict[str, Any]:
        """What the records of its checks say besides."""
        return {"severity": self.severity, "meta": dict(self.meta)}


class Severity:
    """Turns a failed claim into a warning where the severity is ``"warn"``."""

    def __init__(self, severity: str) -> None:
        self._warns = severity == "warn"

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not (self._warns and isinstance(error, ClaimFailed)):
            return False
        headline = str(error).partition("\n")[0].rstrip(".")
        warnings.warn(ClaimWarning(f"{headline}; severity: warn lets the test pass"), stacklevel=2)
        return True


def read_cases(path: Path, file: str) -> list[Case]:
    """Read the suite `path`, which messages call `file`.

    Raises
    ------
    SuiteError
        It is no suite; the sentence begins with ``file:line:column``.
    """
    suite = read(path, file)
    _check_head(suite)
    SUITE.check(suite, "suite")
    return _Suite(suite, path.parent).cases()


def _check_head(suite: Part) -> None:
    """Check what tells a suite from any other file, before the rest."""
    if not isinstance(suite.value, dict):
        raise suite.error(
            f"a suite is a mapping with the keys version and tests, not a {type(suite.value).__name__}"
            if isinstance(suite.value, list)
            else f"a suite is a mapping with the keys version and tests, not {suite.shown}"
        )
    version = suite.value.get("version")
    if version is not None and type(version.value) is int and version.value != VERSION:
        raise version.error(f"version: {version.value} is unknown; this pytest-lime reads version {VERSION}")


class _Suite:
    """The tests of one file, its defaults and its regions."""

    def __init__(self, suite: Part, folder: Path) -> None:
        self._folder = folder
        self._suite = suite
        self._defaults: Mapping[str, Part] = suite.value["defaults"].value if "defaults" in suite.value else {}
        if "model" in suite.value:
            if "model" in self._defaults:
                raise self._defaults["model"].error("model: the suite says it already; say it once")
            self._defaults = {**self._defaults, "model": suite.value["model"]}
        self._areas = Areas(suite.value.get("regions"), folder)
        self._claims = all_claims()
        # Also where no test has any.
        _checked_options(self._defaults)
        _checked_meta(self._defaults)

    def cases(self) -> list[Case]:
        """Return the cases of all tests, in the file's order."""
        names: dict[str, Part] = {}
        ids: dict[str, Part] = {}
        found = []
        for test in self._suite.value["tests"].value:
            name = test.value["name"]
            _check_name(name)
            if name.value in names:
                raise name.error(f"name {name.shown} is given twice, first in line {names[name.value].line}")
            names[name.value] = name
            for case in self._cases_of(test):
                if case.name in ids:
                    raise name.error(f"case {case.name!r} is there already, of the test in line {ids[case.name].line}")
                ids[case.name] = name
                found.append(case)
        return found

    def _cases_of(self, test: Part) -> list[Case]:
        own: Mapping[str, Part] = test.value
        said = {**self._defaults, **own}
        if "target" not in said:
            raise test.error("a test needs the key 'target', here or in defaults; null is the predicted class")
        options = {**_checked_options(self._defaults), **_checked_options(own)}
        meta = {**_checked_meta(self._defaults), **_checked_meta(own)}
        marks = [mark for each in (self._defaults, own) if "marks" in each for mark in each["marks"].value]
        targets = _each(said["target"])
        models = _models(said["model"]) if "model" in said else [(None, "")]
        calls = [(self._comparison(own), "")] if GROUPS in own else self._checks(own, said)
        # Where a failure is shown: the test as it is written, down to its last claim.
        called = own["compare"] if GROUPS in own else own["expect"].value[-1]
        severity = said["severity"].value if "severity" in said else "error"
        cases = []
        for (call, which), (target, label), (model, named) in itertools.product(calls, targets, models):
            words = "-".join(filter(None, (which, label, named)))
            cases.append(
                Case(
                    name=f"{own['name'].value}[{words}]" if words else own["name"].value,
                    place=test,
                    called=called,
                    model=model,
                    call=dataclasses.replace(call, target=target.value),
                    severity=severity,
                    meta=meta,
                    marks=marks,
                    options=options,
                )
            )
        return cases

    def _checks(self, own: Mapping[str, Part], said: Mapping[str, Part]) -> list[tuple[Call, str]]:
        """Return the calls for the images of a test, each with what an id calls it."""
        asked = [AskedClaim(part, self._areas, self._claims) for part in own["expect"].value]
        images = find_images(own["images"], self._folder)
        if "per" in said and said["per"].value == "image":
            if "mostly" in own and "per" in own:
                raise own["mostly"].error("mostly: is of all images together, and per: image makes a case of each")
            return [(_check(image, asked), printable(spelt(image, self._folder))) for image in images]
        if len(images) == 1:
            return [(_check(images[0], asked), "")]
        mostly = float(said["mostly"].value) if "mostly" in said else 1.0
        return [(Call("check_all", images, lambda: [claim.each for claim in asked], {"mostly": mostly}), "")]

    def _comparison(self, own: Mapping[str, Part]) -> Call:
        """Return the call for the groups of a test."""
        statistic = AskedClaim(own["compare"], self._areas, self._claims)
        groups = {name: find_images(part, self._folder) for name, part in own[GROUPS].value.items()}
        named = {name: own[name].value for name in COMPARED if name in own}
        if "source" in own:
            pattern = own["source"]
            check_pattern(pattern)
            if not has_placeholder(pattern.value):
                raise pattern.error(f"source: {pattern.shown} is the same for all images; write {{parent}} or {{stem}}")
            named["source"] = lambda image: filled(pattern.value, image, self._folder)
        return Call("compare_groups", groups, lambda: [statistic.each], named)


def _check(image: Path, asked: Sequence[AskedClaim]) -> Call:
    return Call("check", image, lambda: [one.claim(image) for one in asked])


def _each(part: Part) -> list[tuple[Part, str]]:
    """Return the values of a list with what an id calls them; of a single value, itself without a name."""
    if not isinstance(part.value, list):
        return [(part, "")]
    found: dict[str, Part] = {}
    for one in part.value:
        name = "predicted" if one.value is None else " ".join(printable(str(one.value)).split())
        if name in found:
            raise one.error(f"{one.shown} is in the list twice; delete one")
        found[name] = one
    return [(one, name) for name, one in found.items()]


def _models(part: Part) -> list[tuple[Part | None, str]]:
    found: list[tuple[Part | None, str]] = []
    for one, name in _each(part):
        if ":" not in one.value and not one.value.isidentifier():
            raise one.error(f"model: {one.shown} is no name of a fixture, and not of the form module:attribute")
        found.append((one, name))
    return found


def _check_name(name: Part) -> None:
    text = name.value
    if "::" in text or printable(text) != text or text != " ".join(text.split()) or text == HOOK or text[:2] == "__":
        raise name.error(
            f"name: {name.shown} cannot be the name of a test: write words on one line, without ::, without __ at the "
            "beginning, and with single spaces between"
        )


def _checked_options(said: Mapping[str, Part]) -> dict[str, Any]:
    options: dict[str, Any] = said["options"].plain() if "options" in said else {}
    for name, value in options.items():
        try:
            LimeOptions(**{name: value})
        except OptionError as error:
            part = said["options"].value[name]
            raise part.error(f"{error}{part.quirk}") from None
    return options


def _checked_meta(said: Mapping[str, Part]) -> dict[str, Any]:
    meta: dict[str, Any] = said["meta"].plain() if "meta" in said else {}
    # A copy, since an alias stands for one and the same value.
    copied: dict[str, Any] = json.loads(json.dumps(meta))
    return copied
