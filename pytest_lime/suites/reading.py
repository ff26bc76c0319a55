"""Reading YAML so that every value knows where it stands."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pytest_lime.errors import SuiteError, one_line, printable

__all__ = ["Part", "read"]

STANDARD = "tag:yaml.org,2002:"
# So many values a file may hold once its aliases are written out: a few lines of them can stand for billions.
MOST = 200_000
# A suite needs about ten levels, and a thousand would need more stack than there is.
DEEPEST = 100
TOO_DEEP = f"values are nested more than {DEEPEST} levels deep; a suite needs few"
# What YAML 1.1 can hold; the rest is refused by its readers, without a place.
FOREIGN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Numbers to anybody but YAML 1.1, which wants a point, and a sign before the exponent.
SCIENTIFIC = re.compile(r"([-+]?)(\d+)?(\.\d*)?[eE]([-+]?)(\d+)")
WHOLE = re.compile(r"[-+]?(0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|0b[01_]+)")
FLOAT = re.compile(r"[-+]?(\d[\d_]*)?\.[\d_]*([eE][-+]\d+)?")
# Braces are YAML's own where no quotes stand round them.
PLACEHOLDER = re.compile(r"\{(stem|name|suffix|parent)\}")
TRUE, FALSE = ("true", "yes", "on"), ("false", "no", "off")


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A value of a file, with its place.

    Attributes
    ----------
    value : None, bool, int, float, str, list of Part or dict of str to Part
    file : str
        As messages call it.
    line, column : int
        Counted from 1.
    text : str
        A single value as it is written.
    keys : mapping
        Of a mapping: where each key stands.
    """

    value: Any
    file: str
    line: int
    column: int
    text: str = ""
    keys: Mapping[str, Part] = dataclasses.field(default_factory=dict)

    @property
    def where(self) -> str:
        """Its place, ``file:line:column``."""
        return f"{self.file}:{self.line}:{self.column}"

    def error(self, words: str) -> SuiteError:
        """Return the error that says `words`, a sentence without its stop, of this place."""
        return SuiteError(f"{self.where}: {words.rstrip('.')}.")

    def plain(self) -> Any:
        """Return the value without its places."""
        if isinstance(self.value, dict):
            return {name: part.plain() for name, part in self.value.items()}
        if isinstance(self.value, list):
            return [part.plain() for part in self.value]
        return self.value

    @property
    def shown(self) -> str:
        """The value as an error shows it."""
        if isinstance(self.value, bool | None):
            return printable(self.text) or "nothing"
        return one_line(self.plain())

    @property
    def quirk(self) -> str:
        """What an error says besides where text is wanted and YAML 1.1 took a word for something else."""
        if isinstance(self.value, bool) and self.text.lower() not in ("true", "false"):
            return f"; YAML reads {self.text} as {str(self.value).lower()}: put it in quotes"
        return ""


def read(path: Path, file: str) -> Part:
    """Read the YAML file `path`, which messages call `file`.

    Raises
    ------
    SuiteError
        It cannot be read, or is no YAML, or no YAML that a suite can hold.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SuiteError(f"{file}:1:1: the file cannot be read: {error.strerror}.") from None
    text = _decoded(data, file)
    return _Reader(file, text).read()


def _decoded(data: bytes, file: str) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        raise SuiteError(
            f"{_place(file, before, len(before))}: byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8."
        ) from None
    foreign = FOREIGN.search(text)
    if foreign:
        raise SuiteError(f"{_place(file, text, foreign.start())}: YAML holds no character {foreign[0]!r}; delete it.")
    return text


def _place(file: str, text: str, index: int) -> str:
    line = text.count("\n", 0, index) + 1
    return f"{file}:{line}:{index - (text.rfind(chr(10), 0, index) + 1) + 1}"


class _Reader:
    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self._open: set[int] = set()
        self._count = 0

    def read(self) -> Part:
        # The one in C reads ten times as fast.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            self._check_depth(loader)
            root = yaml.compose(self.text, Loader=loader)
            if root is None:
                raise SuiteError(f"{self.file}:1:1: the file is empty; a suite begins with version: 1.")
            return self._part(root)
        except yaml.MarkedYAMLError as error:
            raise self._syntax_error(error) from None
        except yaml.YAMLError as error:
            raise SuiteError(f"{self.file}:1:1: this is no YAML: {' '.join(str(error).split())}.") from None

    def _syntax_error(self, error: Any) -> SuiteError:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        lines = self.text.splitlines() or [""]
        at = lines[min(line, len(lines) - 1)]
        problem, context = str(error.problem or ""), str(error.context or "")
        if "found another document" in problem:
            told = "a second document begins here; a suite is one document: delete this line, or make two files"
        elif "\t" in at[: len(at) - len(at.lstrip())] or at[column : column + 1] == "\t":
            told = "a tab cannot stand here; YAML is indented by spaces"
        elif "undefined alias" in problem:
            name = at[column:].partition(" ")[0].strip("*,]}") or "…"
            told = f"alias *{name} has no anchor &{name} before it"
        else:
            quotes = "; a text with a placeholder needs quotes here" if PLACEHOLDER.search(at) else ""
            told = f"this is no YAML: {', '.join(filter(None, (context, problem)))}{quotes}"
        return SuiteError(f"{self.file}:{line + 1}:{column + 1}: {' '.join(told.split())}.")

    def _check_depth(self, loader: Any) -> None:
        """Refuse what is nested so deeply that the composer would run out of stack, which ends the process."""
        depth = 0
        for event in yaml.parse(self.text, Loader=loader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > DEEPEST:
                    raise self._error(event, TOO_DEEP)
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1

    def _part(self, node: yaml.Node) -> Part:
        self._count += 1
        if self._count > MOST:
            raise self._error(node, f"with its aliases written out the file holds more than {MOST:,} values; use fewer")
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        if isinstance(node, yaml.ScalarNode):
            return Part(self._value(node), self.file, line, column, node.value)
        if id(node) in self._open:
            raise self._error(node, "an alias within this value stands for the value itself; write it out")
        if node.tag not in (f"{STANDARD}seq", f"{STANDARD}map"):
            raise self._unknown_tag(node)
        self._open.add(id(node))
        if len(self._open) > DEEPEST:
            raise self._error(node, TOO_DEEP)
        if isinstance(node, yaml.MappingNode):
            keys, values = self._mapping(node)
            part = Part(values, self.file, line, column, keys=keys)
        else:
            part = Part([self._part(one) for one in node.value], self.file, line, column)
        self._open.remove(id(node))
        return part

    def _mapping(self, node: yaml.MappingNode) -> tuple[dict[str, Part], dict[str, Part]]:
        keys: dict[str, Part] = {}
        values: dict[str, Part] = {}
        merged: list[Part] = []
        for key_node, value_node in node.value:
            value = self._part(value_node)
            if key_node.tag == f"{STANDARD}merge":
                merged += value.value if isinstance(value.value, list) else [value]
                continue
            key = self._part(key_node)
            if not isinstance(key.value, str):
                raise key.error(f"key {key.text or key.shown} must be text{key.quirk or '; put it in quotes'}")
            if key.value in keys:
                raise key.error(f"key {key.shown} is given twice, first in line {keys[key.value].line}; delete one")
            keys[key.value], values[key.value] = key, value
        # What is written here is stronger than what is merged, and an earlier one than a later.
        for other in merged:
            if not isinstance(other.value, dict):
                raise other.error(f"<<: {other.shown} must be a mapping, or a list of mappings")
            keys = {**other.keys, **keys}
            values = {**other.value, **values}
        return keys, values

    def _value(self, node: yaml.ScalarNode) -> str | float | bool | None:
        kind, text = node.tag.removeprefix(STANDARD), node.value
        if kind in ("str", "timestamp", "value", "merge"):
            found = SCIENTIFIC.fullmatch(text) if not node.style else None
            if found and (found[2] or found[3]):
                sign, whole, point, exponent_sign, exponent = found.groups()
                fraction = point if point and len(point) > 1 else ".0"
                better = f"{sign}{whole or 0}{fraction}e{exponent_sign or '+'}{exponent}"
                raise self._error(
                    node, f"{text} is text in YAML 1.1, and no number: write {better}, or put it in quotes"
                )
            return str(text)
        if kind == "null":
            return None
        if kind == "bool" and text.lower() in (*TRUE, *FALSE):
            return text.lower() in TRUE
        if kind in ("int", "float"):
            return self._number(kind, node)
        raise self._unknown_tag(node)

    def _number(self, kind: str, node: yaml.ScalarNode) -> int | float:
        text = node.value
        if re.fullmatch(r"[-+]?\.(inf|nan)", text.lower()):
            raise self._error(node, f"{text} is no number that a suite can use; write a finite one")
        try:
            if kind == "int" and WHOLE.fullmatch(text):
                return int(text.replace("_", ""), 0)
            if kind == "float" and FLOAT.fullmatch(text) and math.isfinite(found := float(text.replace("_", ""))):
                return found
        except ValueError:
            pass
        raise self._error(
            node,
            f"{one_line(text)[1:-1]} is no plain decimal number (YAML 1.1 has octal and sexagesimal ones): write it "
            "anew, or put it in quotes where it is text",
        )

    def _unknown_tag(self, node: yaml.Node) -> SuiteError:
        tag = printable(node.tag.replace(STANDARD, "!!"))
        return self._error(node, f"tag {tag} does not go with this value; a suite has plain values: delete it")

    def _error(self, node: yaml.Node | yaml.Event, words: str) -> SuiteError:
        return Part(None, self.file, node.start_mark.line + 1, node.start_mark.column + 1).error(words)
