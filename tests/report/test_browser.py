"""The report in a real browser: as a file, under a strict content policy, small, dark, on paper, without scripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

PLACES = ("file", "server")
SKINS = ("light", "medium", "dark", "very dark")

# Every text's colour against what is really behind it: the nearest ancestors, composed until one is opaque.
CONTRASTS = """
() => {
  const parse = (text) => [...text.match(/[\\d.]+/g).map(Number), 1].slice(0, 4);
  const over = (top, below) => top.slice(0, 3).map((c, i) => c * top[3] + below[i] * (1 - top[3])).concat(1);
  const background = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
  };
  const light = (c) => {
    const [r, g, b] = c.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest("option, script")) continue;
    const behind = background(element);
    const style = getComputedStyle(element);
    const ink = over(parse(element instanceof SVGElement ? style.fill : style.color), behind);
    const [low, high] = [light(ink), light(behind)].sort((a, b) => a - b);
    found.push([(high + 0.05) / (low + 0.05), walker.currentNode.data.trim(), element.outerHTML.slice(0, 80)]);
  }
  return found;
}
"""


SCROLL_THROUGH = """async () => {
  for (let y = 0; y < document.documentElement.scrollHeight; y += innerHeight / 2) {
    scrollTo(0, y);
    await new Promise(requestAnimationFrame);
  }
}"""


def load_pictures(page: Any) -> None:
    for details in page.locator(".set-rows > summary, .gallery:not([open]) > summary").all():
        details.click()
    page.evaluate(SCROLL_THROUGH)
    # Not `wait_for_function`, which needs what the content policy forbids as soon as it has to wait.
    waiting: list[str] = []
    for _ in range(100):
        waiting = page.evaluate("[...document.images].filter((i) => !i.complete).map((i) => i.outerHTML)")
        if not waiting:
            break
        page.wait_for_timeout(100)
    assert waiting == []


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("scripts", [True, False])
def test_every_picture_loads_and_the_style_applies(visit: Callable[..., Any], place: str, scripts: bool) -> None:
    page = visit(place, java_script_enabled=scripts)
    for picture in page.locator("article img").all():
        box = picture.bounding_box()
        assert box["width"] > 100
        assert box["height"] == pytest.approx(box["width"], rel=0.01)
    assert page.locator("article").count() == 10
    assert page.locator("article .track").first.is_visible()
    # The address of a picture is known only once it was decoded: a refused one would have no size.
    if scripts:
        load_pictures(page)
        assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
        assert page.evaluate("getComputedStyle(document.body).margin") == "0px"


def test_layers_lie_exactly_over_the_photograph(visit: Callable[..., Any]) -> None:
    page = visit()
    card = page.locator("#cat")
    stack = card.locator(".layers .stack")
    photo = stack.locator(".photo").bounding_box()
    layers = stack.locator(".layer")
    assert layers.count() == 4
    for layer in layers.all():
        assert layer.bounding_box() == pytest.approx(photo, abs=0.6)


@pytest.mark.parametrize("scripts", [True, False])
def test_layers_are_switched_with_the_keyboard(visit: Callable[..., Any], scripts: bool) -> None:
    page = visit(java_script_enabled=scripts)
    card, other = page.locator("#cat"), page.locator("#dog")
    for kind, name in (("heatmap", "Heatmap"), ("borders", "Borders"), ("regions", "Region"), ("top", "Numbers")):
        box = card.get_by_role("checkbox", name=name)
        layer = card.locator(f".layers .layer-{kind}")
        assert box.is_checked()
        assert layer.is_visible()
        box.focus()
        page.keyboard.press("Space")
        assert not layer.is_visible()
        assert other.locator(f".layers .layer-{kind}").is_visible()
        page.keyboard.press("Space")
        assert layer.is_visible()


def test_the_whole_page_can_be_reached_with_the_keyboard_and_shows_where_one_is(visit: Callable[..., Any]) -> None:
    page = visit()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["y"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "checks"
    page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


@pytest.mark.parametrize("width", [360, 700, 1280])
def test_nothing_scrolls_sideways(visit: Callable[..., Any], unfold: Callable[[Any], None], width: int) -> None:
    page = visit(viewport={"width": width, "height": 740})
    unfold(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = page.evaluate(
        """() => [...document.querySelectorAll("body *")]
            .filter((e) => !e.closest(".visually-hidden, .scroll, .skip") && e.checkVisibility())
            .filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
            .map((e) => `${e.tagName}.${e.className}`)"""
    )
    assert wide == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_their_ground(
    visit: Callable[..., Any], unfold: Callable[[Any], None], scheme: str
) -> None:
    page = visit(color_scheme=scheme)
    unfold(page)
    found = page.evaluate(CONTRASTS)
    assert len(found) > 100
    assert [entry for entry in found if entry[0] < 4.5] == []


def test_the_dark_scheme_is_dark(visit: Callable[..., Any]) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    assert visit(color_scheme="dark").evaluate(ground) == "rgb(16, 18, 20)"
    assert visit(color_scheme="light").evaluate(ground) == "rgb(247, 247, 245)"


def test_paper_shows_what_a_screen_folds_away(visit: Callable[..., Any]) -> None:
    page = visit(color_scheme="dark")
    command = page.locator("#cat pre.command")
    figures = page.locator("#cat .weights details td").first
    assert not command.is_visible()
    page.emulate_media(media="print")
    assert command.bounding_box()["height"] > 10
    # A table of what the chart beside it shows would be most of the pages.
    assert not figures.is_visible()
    assert page.locator("#cat .weight-rows .value").first.is_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('.card')).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator(".toggles").first.is_visible()


def test_hostile_texts_are_shown_and_not_run(visit: Callable[..., Any]) -> None:
    page = visit()
    assert "<script>alert(1)</script>" in page.locator("#long h3").inner_text()
    assert page.locator("script:not([src^='data/'])").count() == 3


def test_links_of_the_overview_lead_to_the_cards(visit: Callable[..., Any]) -> None:
    page = visit(java_script_enabled=False)
    page.locator(".overview a").nth(3).click()
    assert page.url.endswith("#elk")
    card = page.locator("#elk")
    assert card.is_visible()
    card.get_by_role("link", name="Back to the overview").click()
    assert page.url.endswith("#top")


def test_the_page_has_landmarks_and_named_tables(visit: Callable[..., Any]) -> None:
    page = visit()
    for role in ("banner", "main", "contentinfo"):
        assert page.get_by_role(role).count() == 1
    assert page.get_by_role("table", name="Every check with its verdict, failures first").count() == 1
    assert page.get_by_role("article", name="a cat · cat.png").count() == 1


@pytest.mark.parametrize("scripts", [True, False])
def test_the_model_without_a_region_is_a_table_whose_numbers_stand_below_each_other(
    visit: Callable[..., Any], scripts: bool
) -> None:
    page = visit(java_script_enabled=scripts)
    card = page.locator("#cat")
    table = card.get_by_role("group", name="Without and alone").get_by_role("table")
    assert table.get_by_role("rowheader", name="Box(20, 20, 70, 70)").count() == 1
    assert table.get_by_role("columnheader", name="blur").count() == 2
    cells = table.locator("td")
    assert cells.all_inner_texts() == ["0.400", "0.123", "0.057", "0.057", "0.123"]
    assert {cell.evaluate("(e) => getComputedStyle(e).textAlign") for cell in cells.all()} == {"end"}
    assert card.get_by_text("Without the region, the score is 14").is_visible()


def test_the_table_fits_a_telephone(visit: Callable[..., Any]) -> None:
    page = visit(viewport={"width": 390, "height": 844})
    table = page.locator("#cat .probes .scroll")
    assert table.evaluate("(e) => e.scrollWidth <= e.clientWidth")
    # What is wider scrolls in its own box, with the keyboard too.
    wide = page.locator("#long .probes .scroll")
    wide.focus()
    assert wide.evaluate("(e) => e === document.activeElement")


@pytest.mark.parametrize("scripts", [True, False])
def test_a_comparison_has_groups_in_a_plot_and_pairs_in_a_table(visit: Callable[..., Any], scripts: bool) -> None:
    page = visit(java_script_enabled=scripts)
    card = page.get_by_role("article", name="a skin · 4 groups: light, medium, dark, very dark")
    assert card.locator(".claim .meaning").inner_text().startswith("Failed: skin differs by more than 0.1 among 4 ")
    rows = card.locator(".groups li:not(.group-axis)")
    assert [row.split("\n")[0] for row in rows.all_inner_texts()] == [f"{name} 3 images" for name in SKINS]
    plots = rows.locator("svg")
    places = [plot.locator(".group-mean").bounding_box()["x"] for plot in plots.all()]
    assert places == sorted(places, reverse=True)
    assert all(plot.locator(".group-dot").count() == 3 for plot in plots.all())
    table = card.get_by_role("group", name="Differences of pairs").get_by_role("table")
    assert table.get_by_role("row").count() == 1 + 6
    assert table.get_by_role("rowheader", name="light − medium").count() == 1
    assert table.get_by_role("columnheader").all_inner_texts()[1:4] == ["Verdict", "Difference", "Interval"]
    units = card.get_by_role("group", name="Figures of very dark")
    assert not units.is_visible()
    card.get_by_text("The figure of every image").click()
    assert units.get_by_role("rowheader", name="very dark 0.png").is_visible()


def test_a_comparison_on_a_telephone_and_on_paper(visit: Callable[..., Any]) -> None:
    page = visit(viewport={"width": 390, "height": 844}, color_scheme="dark")
    card = page.locator("#skin")
    rows = card.locator(".groups li:not(.group-axis)")
    for row in rows.all():
        plot, box = row.locator("svg").bounding_box(), row.bounding_box()
        assert plot["width"] == pytest.approx(box["width"], abs=1)
    wide = card.locator(".scroll:has(.pairs)")
    wide.focus()
    assert wide.evaluate("(e) => e === document.activeElement")
    page.emulate_media(media="print")
    assert card.get_by_text("very dark 2.png").is_visible()
    assert wide.evaluate("(e) => getComputedStyle(e).overflow") == "visible"


def test_a_poor_figure_is_marked_by_a_word(visit: Callable[..., Any]) -> None:
    card = visit().locator("#cat")
    assert card.locator(".poor").all_inner_texts() == ["poor: below 0.2"]
    assert card.get_by_text("How far to trust it").is_visible()


def test_an_inconclusive_claim_says_what_would_decide_it(visit: Callable[..., Any]) -> None:
    page = visit()
    assert page.locator("#dog").get_by_text("About 4,000 samples in all should decide it.").is_visible()
    assert page.get_by_text("should decide it").count() == 1
