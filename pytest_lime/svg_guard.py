"""Drawings from elsewhere: only those made of the few elements that a report draws with are taken.

An SVG that is opened by itself can run scripts and fetch what it names. There is no list here of what is dangerous,
only one of what is drawn: lines, shapes and numbers.
"""

from __future__ import annotations

import re
from xml.parsers import expat

__all__ = ["is_plain_drawing"]

NAMESPACE = "http://www.w3.org/2000/svg"
PAINT = {"fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "opacity"}
LINES = {"stroke-linejoin", "stroke-linecap", "vector-effect", "transform"}
PLACE = {"x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "rx", "ry", "width", "height", "points", "d"}
TEXT = {"text-anchor", "font-size", "font-weight", "font-family"}
COMMON = PAINT | LINES
ATTRIBUTES = {
    "svg": {"xmlns", "viewBox", "width", "height", "preserveAspectRatio"},
    "defs": set(),
    "g": COMMON | TEXT,
    "path": COMMON | PLACE | {"id"},
    "use": COMMON | {"href"},
    **dict.fromkeys(("circle", "ellipse", "rect", "line", "polyline", "polygon"), COMMON | PLACE),
    "text": COMMON | PLACE | TEXT,
}
# Numbers, colours, lists of them, transforms and names of fonts; neither quotes nor anything that names an address.
VALUE = re.compile(r"[A-Za-z0-9 .,#%()+\n-]*")
DEEPEST = 16
MOST = 100_000


class _NotPlainError(Exception):
    """Something else than a report draws."""


class _Guard:
    def __init__(self) -> None:
        self._open: list[str] = []
        self._count = 0
        self._paths: set[str] = set()
        self._used: set[str] = set()

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        known = ATTRIBUTES.get(name)
        is_root = not self._open
        if known is None or is_root != (name == "svg") or len(self._open) >= DEEPEST or self._count > MOST:
            raise _NotPlainError(name)
        if "text" in self._open:
            raise _NotPlainError("text")
        for attribute, value in attributes.items():
            if attribute not in known:
                raise _NotPlainError(attribute)
            self._check(attribute, value)
        if is_root and "xmlns" not in attributes:
            raise _NotPlainError("xmlns")
        if name == "path" and "id" in attributes:
            self._paths.add(attributes["id"])
        self._open.append(name)

    def _check(self, attribute: str, value: str) -> None:
        if attribute == "xmlns":
            if value != NAMESPACE:
                raise _NotPlainError(value)
        elif attribute == "href":
            if not re.fullmatch("#[A-Za-z0-9_-]+", value):
                raise _NotPlainError(value)
            self._used.add(value[1:])
        elif not VALUE.fullmatch(value) or "url" in value.lower():
            raise _NotPlainError(value)

    def end(self, name: str) -> None:
        self._open.pop()

    def text(self, data: str) -> None:
        if data.strip() and self._open[-1] != "text":
            raise _NotPlainError(data)

    def refuse(self, *_: object) -> None:
        raise _NotPlainError("a declaration")

    def finish(self) -> None:
        # Copies of copies could grow without end, so only single paths are drawn again.
        if not self._used <= self._paths:
            raise _NotPlainError("use")


def is_plain_drawing(data: bytes) -> bool:
    """Whether `data` is an SVG of shapes, lines and numbers, and of nothing else.

    >>> is_plain_drawing(b'<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h9"/></svg>')
    True
    >>> is_plain_drawing(b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"></svg>')
    False
    """
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    # No declaration, so no other encoding; no document type, so no entities.
    if b"<!" in data or b"<?" in data:
        return False
    guard, parser = _Guard(), expat.ParserCreate("utf-8")
    parser.StartElementHandler, parser.EndElementHandler = guard.start, guard.end
    parser.CharacterDataHandler = guard.text
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = guard.refuse
    parser.ProcessingInstructionHandler = parser.CommentHandler = guard.refuse
    try:
        parser.Parse(data, True)
        guard.finish()
    except (_NotPlainError, expat.ExpatError):
        return False
    return True
