"""The page of a first look, in a browser: it reads alone, and a drawn box is given as Python."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_lime import Box, Explanation, explain
from pytest_lime.report.look import render_look
from pytest_lime.testing import planted_and


@pytest.fixture(scope="module")
def planted() -> Explanation:
    model = planted_and([0, 1], d=9)
    return explain(model, model.image, "planted", **model.options)


@pytest.fixture(scope="module")
def page_path(planted: Explanation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("look") / "look.html"
    path.write_text(render_look(planted, {"corner": Box(0, 0, 4, 4)}), encoding="utf-8")
    return path


@pytest.fixture
def page(browser: Any, page_path: Path) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(page_path.as_uri())
    yield page
    assert errors == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    context.close()


def place(page: Any, x: float, y: float) -> tuple[float, float]:
    """Return where a point of the image file, in shares of its sides, is on the screen."""
    frame = page.locator(".stage").bounding_box()
    return frame["x"] + x * frame["width"], frame["y"] + y * frame["height"]


def test_the_pointer_tells_pixels_and_weights(page: Any) -> None:
    page.mouse.move(*place(page, 0.1, 0.1))
    told = page.locator(".pointer").inner_text()
    assert told.startswith("x ")
    assert "superpixel 0, weight 0." in told
    page.mouse.move(*place(page, 0.9, 0.9))
    assert "superpixel 8" in page.locator(".pointer").inner_text()


def test_a_drawn_box_is_given_as_python_with_its_share_of_the_weight(page: Any, planted: Explanation) -> None:
    height, width = page.evaluate("JSON.parse(document.getElementById('frame').textContent).file")
    page.mouse.move(*place(page, 0, 0))
    page.mouse.down()
    # Cells 0 and 1 of 3×3 are the planted ones.
    page.mouse.move(*place(page, 0.99, 0.2))
    page.mouse.move(*place(page, 1, 1 / 3))
    page.mouse.up()
    code = page.locator(".pointer code").inner_text()
    assert code == f"Box(0, 0, {width}, {round(height / 3)})"
    told = float(page.locator(".pointer").inner_text().split(", ")[-1].split()[0])
    assert told == pytest.approx(float(planted.mass(Box(0, 0, width, round(height / 3)))), abs=0.001)
    assert page.locator(".drawn").get_attribute("width") == str(width)


def test_it_reads_without_scripts(browser: Any, page_path: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(page_path.as_uri())
    assert page.locator("h2").first.inner_text().startswith("planted")
    assert page.locator(".stage").bounding_box()["width"] > 200
    assert "Box(" in page.locator("table").last.inner_text()
    context.close()


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_nothing_is_wider_than_the_window(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_rulers_end_where_the_picture_does(page: Any) -> None:
    stage = page.locator(".stage").bounding_box()
    side = page.locator(".ruler.side").bounding_box()
    assert side["y"] == pytest.approx(stage["y"], abs=1)
    assert side["height"] == pytest.approx(stage["height"], abs=1)
