"""The report's files, from records alone."""

from __future__ import annotations

import base64
import hashlib
import mimetypes
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from pytest_lime.records import ASSETS, PAGE, write_atomically
from pytest_lime.report.anchors import anchors_of, map_path
from pytest_lime.report.maps import as_json, as_script
from pytest_lime.report.pages import Page, page_of
from pytest_lime.report.templating import page_environment

__all__ = ["SCRIPTS", "files_beside", "render"]

STYLES = tuple(name for name in ASSETS if name.endswith(".css"))
SCRIPTS = tuple(name for name in ASSETS if name.endswith(".js"))
ICON = next(name for name in ASSETS if name.endswith(".svg"))

# Not every browser takes one file for the same origin as another: a page that was opened as one needs the scheme, too.
# Nothing that came over a network can load a file.
OWN = "'self' file:"
POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; {}"
# Only a template of ours writes a quotation mark: those of records are escaped.
_PICTURE = re.compile(r'(?<= )(src|href)="(images/[A-Za-z0-9][A-Za-z0-9._-]*)"')


def render(results: Mapping[str, Any], folder: Path, *, self_contained: bool = False) -> Path:
    """Write the report of a run and return the path of its page.

    Parameters
    ----------
    results
        The run's results, as in ``results.json``: plain JSON-safe values.
    folder
        The report's folder. The pictures that the records name are expected in its ``images``.
    self_contained
        Whether the page holds its style, its script and its pictures, and so needs no file beside it.

    Returns
    -------
    Path
        ``index.html`` in the folder. Else style sheet, script and icon lie beside it, and in ``data`` a map of
        superpixels for each card that has one.
    """
    page = page_of(results)
    path = folder / PAGE
    if self_contained:
        write_atomically(path, _encoded(_whole(page, folder)))
        return path
    policy = POLICY.format(f"img-src {OWN}; style-src {OWN}; script-src {OWN}")
    maps = {card.anchor: name for card in page.cards if card.map and (name := map_path(card.anchor))}
    html = page_environment().get_template("page.html").render(page=page, policy=policy, maps=maps, inside=None)
    for name in ASSETS:
        write_atomically(folder / name, _asset(name))
    for card in page.cards:
        if card.anchor in maps and card.map:
            write_atomically(folder / maps[card.anchor], as_script(card.anchor, card.map))
    write_atomically(path, _encoded(html))
    return path


def files_beside(records: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return what `render` may have written beside a page, pictures aside, by paths in the report's folder."""
    return {*ASSETS, *filter(None, map(map_path, anchors_of(records)))}


def _whole(page: Page, folder: Path) -> str:
    style = "".join(_asset(name).decode() for name in STYLES)
    scripts = [_asset(name).decode() for name in SCRIPTS]
    inside = {
        "style": style,
        "scripts": scripts,
        "icon": _data(ICON, _asset(ICON)),
        "maps": {card.anchor: as_json(card.map) for card in page.cards if card.map},
    }
    policy = POLICY.format(f"img-src data:; style-src {_hash(style)}; script-src {' '.join(map(_hash, scripts))}")
    html = page_environment().get_template("page.html").render(page=page, policy=policy, maps={}, inside=inside)
    return _PICTURE.sub(lambda found: f'{found[1]}="{_picture(folder, found[2])}"', html)


def _picture(folder: Path, name: str) -> str:
    try:
        return _data(name, (folder / name).read_bytes())
    except OSError:
        # The page shows its text in its place.
        return "data:,"


def _data(name: str, content: bytes) -> str:
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _asset(name: str) -> bytes:
    return (files("pytest_lime.report") / "assets" / name).read_bytes()


def _encoded(html: str) -> bytes:
    # JSON can hold half a surrogate pair, which no encoding can: a question mark then stands for it.
    return html.encode("utf-8", "replace")
