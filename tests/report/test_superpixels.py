"""The heatmap under pointer and keys: figures, outlines, the chart's rows, and the slider."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def place_of(stack: Any, row: int, column: int) -> dict[str, float]:
    """Return the middle of a square of the grid of four by four superpixels."""
    box = stack.bounding_box()
    return {"x": (column + 0.5) * box["width"] / 4, "y": (row + 0.5) * box["height"] / 4}


@pytest.fixture(params=["file", "server", "one file"])
def card(request: pytest.FixtureRequest, visit: Callable[..., Any], in_one_file: Path) -> Any:
    page = visit(of=in_one_file) if request.param == "one file" else visit(request.param)
    card = page.locator("#cat")
    card.scroll_into_view_if_needed()
    card.locator(".reading").wait_for()
    return card


def test_the_pointer_tells_a_superpixel_and_marks_its_row(card: Any) -> None:
    stack, reading = card.locator(".layers .stack"), card.locator(".reading")
    path = card.locator(".outline-over")
    # The weights over the grid are sin(1), sin(2) …, so superpixel 5 has sin(6).
    stack.hover(position=place_of(stack, 1, 1))
    assert reading.inner_text() == "Superpixel 5, rank 10: weight −0.28, interval −0.33 to −0.23, inside"
    assert path.get_attribute("d") == "M24 24h24M24 48h24M24 24v24M48 24v24"
    assert card.locator(".weight-rows .lit").get_attribute("data-superpixel") == "5"
    stack.hover(position=place_of(stack, 0, 3))
    assert reading.inner_text().startswith("Superpixel 3")
    assert card.locator(".weight-rows .lit").count() == 1
    card.locator("h3").hover()
    assert reading.inner_text().startswith("Point at a superpixel")
    assert path.get_attribute("d") == ""
    assert card.locator(".lit").count() == 0


def test_a_row_of_the_chart_outlines_its_superpixel(card: Any) -> None:
    row = card.locator(".weight-rows li[data-superpixel='5']")
    row.hover()
    assert card.locator(".outline-over").get_attribute("d") == "M24 24h24M24 48h24M24 24v24M48 24v24"
    card.locator("h3").hover()
    card.get_by_text("The same figures as a table").click()
    card.locator("tr[data-superpixel='0']").hover()
    assert card.locator(".outline-over").get_attribute("d") == "M0 0h24M0 24h24M0 0v24M24 0v24"


def test_the_arrow_keys_walk_the_superpixels_by_strength(card: Any) -> None:
    page, stack, reading = card.page, card.locator(".layers .stack"), card.locator(".reading")
    order = card.locator(".weight-rows li[data-superpixel]").evaluate_all(
        "(rows) => rows.map((row) => row.dataset.superpixel)"
    )
    page.mouse.move(0, 0)
    page.keyboard.press("Tab")
    stack.focus()
    assert reading.inner_text().startswith(f"Superpixel {order[0]}, rank 1:")
    for key, place in (
        ("ArrowRight", 1),
        ("ArrowDown", 2),
        ("ArrowLeft", 1),
        ("End", 15),
        ("ArrowRight", 15),
        ("Home", 0),
    ):
        page.keyboard.press(key)
        assert reading.inner_text().startswith(f"Superpixel {order[place]},")
    # The picture is one stop: the next one is the first switch of its layers.
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "toggle-heatmap"
    assert reading.inner_text().startswith("Point at")


def test_the_chart_is_one_stop_whose_rows_the_arrow_keys_walk(card: Any) -> None:
    page, rows = card.page, card.locator(".weight-rows li[data-superpixel]")
    rows.first.focus()
    page.keyboard.press("ArrowDown")
    assert rows.nth(1).evaluate("(row) => row === document.activeElement")
    assert card.locator(".lit").first.get_attribute("data-superpixel") == rows.nth(1).get_attribute("data-superpixel")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_the_slider_fades_all_heatmaps_and_is_remembered(visit: Callable[..., Any]) -> None:
    page = visit()
    card = page.locator("#cat")
    card.scroll_into_view_if_needed()
    slider = card.get_by_role("slider", name="Opacity of the heatmap")
    opacity = "getComputedStyle(document.querySelector('#dog .layers .layer-heatmap')).opacity"
    assert page.evaluate(opacity) == "1"
    slider.focus()
    for _ in range(8):
        page.keyboard.press("ArrowLeft")
    assert page.evaluate(opacity) == "0.6"
    page.reload()
    page.locator("#dog").scroll_into_view_if_needed()
    assert page.locator("#dog").get_by_role("slider").input_value() == "60"
    assert page.evaluate(opacity) == "0.6"


def test_maps_and_pictures_are_loaded_near_the_view_only(
    visit: Callable[..., Any], crowd: Path, requested: list[str]
) -> None:
    page = visit(of=crowd)
    page.wait_for_load_state("networkidle")
    assert page.locator("article").count() == 60
    assert not [name for name in requested if "check-59" in name]
    assert not [name for name in requested if "/data/" in name]
    assert page.evaluate("[...document.images].every((image) => image.loading === 'lazy')")
    visibility = "[...document.querySelectorAll('.card')].map((card) => getComputedStyle(card).contentVisibility)"
    assert set(page.evaluate(visibility)) == {"auto"}
    card = page.locator("#check-59")
    card.scroll_into_view_if_needed()
    card.locator(".reading").wait_for()
    names = [name.rsplit("/", 2)[-2:] for name in requested]
    assert ["data", "check-59.js"] in names
    assert ["images", "check-59-heatmap.png"] in names
    assert not [name for _, name in names if name.startswith("check-30") and "thumb" not in name]


def test_what_may_be_nothing_is_hatched_and_the_hatching_is_switched(card: Any) -> None:
    hatching, box = card.locator(".layer-unsure"), card.get_by_role("checkbox", name="May be 0 (hatched)")
    # Its weight is sin(3), 0.14, and its interval ends 0.15 beside it.
    rows = card.locator("tr.unsure").evaluate_all("(rows) => rows.map((row) => row.dataset.superpixel)")
    assert rows == ["2"]
    assert hatching.is_visible()
    assert hatching.locator("path").get_attribute("d").startswith("M48 0h24v1h-24z")
    box.click()
    assert not hatching.is_visible()
    box.click()
    assert hatching.is_visible()
    card.get_by_role("checkbox", name="Heatmap").click()
    assert not hatching.is_visible()


def test_tables_are_there_without_scripts_and_with_them_once_the_card_is_near(visit: Callable[..., Any]) -> None:
    plain = visit(java_script_enabled=False)
    assert plain.locator("#cat .weights tbody tr").count() == 16
    plain.locator("#cat .weights summary").click()
    assert plain.locator("#cat .weights tbody tr").first.is_visible()
    page = visit(viewport={"width": 1000, "height": 300})
    far = page.locator(".card").last
    assert far.locator("noscript").count() > 0
    far.scroll_into_view_if_needed()
    far.locator(".reading").wait_for()
    assert far.locator("noscript").count() == 0
    assert far.locator(".weights tbody tr").count() == 16
