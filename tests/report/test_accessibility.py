"""axe-core on the report: no violation of any kind, in both schemes, on a screen and on a telephone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

Violations = Callable[[Any], list[str]]


# Each width once and each scheme once: a page takes a third of a minute.
@pytest.mark.parametrize(("scheme", "width"), [("light", 1400), ("dark", 360)])
def test_the_report_has_no_violation(
    visit: Callable[..., Any], violations: Violations, scheme: str, width: int
) -> None:
    page = visit(color_scheme=scheme, viewport={"width": width, "height": 900})
    page.locator("#cat").scroll_into_view_if_needed()
    page.locator("#cat .reading").wait_for()
    assert violations(page) == []


def test_neither_the_dialog_nor_one_file_has_a_violation(
    visit: Callable[..., Any], violations: Violations, in_one_file: Path
) -> None:
    page = visit(of=in_one_file)
    assert violations(page) == []
    page.keyboard.press("?")
    assert violations(page) == []


def test_everything_is_reached_by_the_tab_key_and_shows_it(visit: Callable[..., Any]) -> None:
    page = visit(query="?q=test_dog")
    page.locator("#dog").scroll_into_view_if_needed()
    page.locator("#dog .reading").wait_for()
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    reached, faint = [], []
    for _ in range(80):
        page.keyboard.press("Tab")
        name, visible = page.evaluate(
            """() => {
              const e = document.activeElement, { outlineStyle, outlineWidth } = getComputedStyle(e);
              return [e.className || e.type || e.tagName, outlineStyle !== "none" && outlineWidth !== "0px"];
            }"""
        )
        if name == "BODY":
            break
        reached.append(name)
        if not visible:
            faint.append(name)
    assert {"skip", "stack", "toggle-heatmap", "toggle-top", "range", "copy", "hint", "clear"} <= set(reached)
    assert len([name for name in reached if name.startswith("chip")]) == 5
    assert reached.count("stack") == 1
    assert faint == []


def test_who_wants_less_motion_gets_none(visit: Callable[..., Any]) -> None:
    moving = "getComputedStyle(document.documentElement).scrollBehavior"
    assert visit(reduced_motion="reduce").evaluate(moving) == "auto"
