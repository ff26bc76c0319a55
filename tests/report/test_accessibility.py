"""axe-core on the report: no violation of any kind, in both schemes, on a screen and on a telephone."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

# Whatever is folded or not laid out yet is judged, too.
UNFOLD = """() => {
  for (const details of document.querySelectorAll("details")) details.open = true;
  for (const card of document.querySelectorAll(".card")) card.style.contentVisibility = "visible";
}"""


@pytest.fixture(scope="session")
def axe() -> Any:
    try:
        return import_module("axe_playwright_python.sync_playwright").Axe()
    except ImportError:
        reason = "axe-playwright-python is not installed; pip install 'pytest-lime[browser]'"
        if os.environ.get("PYTEST_LIME_REQUIRE_BROWSER") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


def violations(axe: Any, page: Any) -> list[str]:
    found = axe.run(page).response["violations"]
    return [f"{one['impact']} {one['id']}: {one['nodes'][0]['html'][:150]} ({len(one['nodes'])})" for one in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 360])
def test_the_report_has_no_violation(visit: Callable[..., Any], axe: Any, scheme: str, width: int) -> None:
    page = visit(color_scheme=scheme, viewport={"width": width, "height": 900})
    page.locator("#cat").scroll_into_view_if_needed()
    page.locator("#cat .reading").wait_for()
    page.evaluate(UNFOLD)
    assert violations(axe, page) == []


def test_neither_the_dialog_nor_one_file_has_a_violation(
    visit: Callable[..., Any], axe: Any, in_one_file: Path
) -> None:
    page = visit(of=in_one_file)
    page.evaluate(UNFOLD)
    assert violations(axe, page) == []
    page.keyboard.press("?")
    assert violations(axe, page) == []


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
