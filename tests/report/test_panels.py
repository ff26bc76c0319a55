"""Panels in a real browser: the slider between baseline and now, galleries of sets, charts, small screens, paper."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_lime.report.pictures import write_pictures
from pytest_lime.report.render import render

LONG = "a_name_without_a_space" * 20
SHARES = [0.0, 0.25, 0.5, 0.75, 1.0]
RANDOM = [[0.1, 0.2], [0.1, 0.4], [0.2, 0.6], [0.3, 0.7], [0.4, 0.4]]


def claim(name: str, status: str, **changes: Any) -> dict[str, Any]:
    return {
        "claim": name,
        "text": f"{name}()",
        "meaning": f"what {name} means",
        "status": status,
        "estimate": 0.3,
        "interval": [0.25, 0.35],
        "relation": ">=",
        "bound": 0.5 if status == "fail" else 0.2,
        "figure": "0.30",
        "scale": [0.0, 1.0],
        "samples": 640,
        "path": [[64 * n, 0.3, 0.3 - 0.3 / n, 0.3 + 0.3 / n] for n in range(1, 11)],
        **changes,
    }


def record(folder: Path, name: str, status: str = "fail", **changes: Any) -> dict[str, Any]:
    rows, columns = np.mgrid[:96, :96]
    segments = rows // 24 * 4 + columns // 24
    weights = np.sin(np.arange(16.0) + 1)
    region = (rows >= 20) & (rows < 70) & (columns >= 20) & (columns < 70)
    photo = np.stack([rows / 95, columns / 95, (rows + columns) / 190], axis=2).astype(np.float32)
    drawn = {"photo": photo, "segments": segments, "top": [1, 2]}
    paths = write_pictures(folder, name, weights=weights, regions=[region], **drawn)
    before = write_pictures(folder, f"{name}-before", weights=np.cos(np.arange(16.0)), regions=[], **drawn)
    cuts = {f"{key}.0.{fill}": paths["image"] for key in ("without", "alone") for fill in (0, 1)}
    change = {
        "rank_correlation": 0.42,
        "jaccard": 0.1,
        "entered": [1],
        "left": [2],
        "score": [0.5, 0.4],
        "against": f"baselines/{LONG}.json",
    }
    curves = {
        "shares": SHARES,
        "insertion": [0.0, 0.3, 0.35, 0.4, 0.4],
        "deletion": [0.4, 0.1, 0.0, 0.0, 0.0],
        "insertion_random": RANDOM,
        "deletion_random": RANDOM[::-1],
    }
    return {
        "version": 2,
        "id": name,
        "test": f"tests/test_{name}.py::test_{name}",
        "kind": "check",
        "outcome": "failed" if status == "fail" else "passed",
        "status": status,
        "image": {"name": f"{name}.png", "width": 96, "height": 96},
        "target": {"index": 1, "label": f"a {name}", "score": 0.4, "rank": 1},
        "claims": [
            claim("mass", status),
            claim("fidelity", "pass"),
            claim("unchanged", status, path=[], change=change),
            claim("faithful", "pass", path=[], curves=curves),
        ],
        "explanation": {"superpixels": 16, "samples": 640, "confidence": 0.95},
        "weights": [
            {"superpixel": n, "weight": float(weight), "interval": [weight - 0.05, weight + 0.05], "shares": [0.5]}
            for n, weight in enumerate(weights)
        ],
        "top": 0,
        "regions": [{"text": "Box(20, 20, 70, 70)", "area": 0.27}],
        "interventions": [
            {
                "region": "Box(20, 20, 70, 70)",
                "fills": ["segment_mean", "blur"],
                "whole": 0.4,
                "without": [0.1, 0.2],
                "alone": [0.3, 0.35],
            }
        ],
        "view": {"box": [0, 0, 96, 96], "shape": [96, 96]},
        "pictures": {**paths, "thumb": paths["image"], "baseline": before["heatmap"], **cuts},
        "attempt": 2,
        "attempts": [{"attempt": 1, "status": "fail", "claims": [{"claim": LONG, "status": "fail", "estimate": 0.1}]}],
        "called": {"file": f"tests/{LONG}.py", "line": 14},
        "model": {"name": LONG, "sha256": "3f9a0c5d" * 8},
        "hashes": {"image": "ab" * 32, "options": "cd" * 32},
        "arithmetic": {"device": "cpu", "device_name": LONG, "deterministic": True},
        **changes,
    }


@pytest.fixture(scope="session")
def panels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("panels")
    facts = {"id": "s", "of": 6, "mostly": 0.8, "status": "fail", "name": LONG}
    statuses = ("pass", "fail", "inconclusive", "fail")
    records = [
        record(folder, "cat"),
        *(
            record(folder, f"set{n}", status, set={**facts, "number": n, "unseen": [f"{LONG}.png", "f.png"]})
            for n, status in enumerate(statuses, start=1)
        ),
        *(record(folder, f"good{n}", "pass", set={"id": "g", "number": n, "of": 2, "status": "pass"}) for n in (1, 2)),
    ]
    method = {"covers": ["Where a score comes from."], "does_not_cover": ["Whether it is right."]}
    return render({"format": "pytest-lime", "version": 2, "records": records, "method": method}, folder)


def clips(card: Any) -> list[str]:
    """Return how both sides of the slider are cut."""
    return [card.locator(f".wipe-{side}").evaluate("(e) => getComputedStyle(e).clipPath") for side in ("before", "now")]


def cut(at: int) -> list[str]:
    return [f"inset(0px {100 - at}% 0px 0px)", f"inset(0px 0px 0px {at}%)"]


def test_the_slider_moves_with_the_keyboard(visit: Callable[..., Any], panels: Path) -> None:
    card = visit(of=panels).locator("#cat")
    slider = card.get_by_role("slider", name="How much of the picture shows the baseline")
    assert clips(card)[1] == cut(50)[1]
    slider.focus()
    slider.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "51 % before, 49 % now"
    slider.press("End")
    assert slider.input_value() == "100"
    assert card.locator(".wipe-now").evaluate("(e) => getComputedStyle(e).clipPath") == "inset(0px 0px 0px 100%)"
    slider.press("Home")
    assert card.locator(".wipe-now").evaluate("(e) => getComputedStyle(e).clipPath") in (
        "inset(0px 0px 0px 0%)",
        "inset(0px)",
    )


def test_the_slider_follows_the_pointer_on_the_picture(visit: Callable[..., Any], panels: Path) -> None:
    page = visit(of=panels)
    stage = page.locator("#cat .wipe-stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.2, middle)
    page.mouse.down()
    slider = page.locator("#cat .wipe-range")
    assert slider.input_value() == "20"
    page.mouse.move(box["x"] + box["width"] * 0.75, middle)
    assert slider.input_value() == "75"
    page.mouse.up()
    page.mouse.move(box["x"] + box["width"] * 0.1, middle)
    assert slider.input_value() == "75"
    line = page.locator("#cat .wipe-line").bounding_box()
    assert line["x"] + line["width"] / 2 == pytest.approx(box["x"] + box["width"] * 0.75, abs=1.5)


def test_the_layers_of_the_slider_lie_over_the_photograph(visit: Callable[..., Any], panels: Path) -> None:
    stage = visit(of=panels).locator("#cat .wipe-stage")
    stage.scroll_into_view_if_needed()
    photo = stage.locator(".photo").bounding_box()
    layers = stage.locator(".layer")
    assert layers.count() >= 6
    for layer in layers.all():
        assert layer.bounding_box() == pytest.approx(photo, abs=0.6)


def test_without_scripts_both_stand_side_by_side(visit: Callable[..., Any], panels: Path) -> None:
    card = visit(of=panels, java_script_enabled=False).locator("#cat")
    assert card.locator(".wipe").count() == 0
    before, now = (figure.bounding_box() for figure in card.locator(".before-now figure").all())
    assert before["y"] == pytest.approx(now["y"], abs=1)
    assert before["x"] + before["width"] <= now["x"]
    assert card.get_by_text("rank correlation 0.42 (1 is the same order)").is_visible()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_gallery_leads_to_every_card_of_its_set_and_back(
    visit: Callable[..., Any], panels: Path, scripts: bool
) -> None:
    page = visit(of=panels, java_script_enabled=scripts)
    gallery = page.locator(".gallery").first
    assert gallery.get_by_text("1 of 6 images hold, 5 must (mostly=0.8).").is_visible()
    links = gallery.get_by_role("link")
    assert [link.get_attribute("href") for link in links.all()] == ["#set1", "#set2", "#set3", "#set4"]
    assert gallery.get_by_role("link", name="Inconclusive set3.png").count() == 1
    assert gallery.get_by_text("2 not looked at, since the set was decided").is_visible()
    links.nth(1).click()
    assert page.url.endswith("#set2")
    page.locator("#set2").get_by_role("link", name="1 of 6 images hold").click()
    assert page.url.endswith("#page--set-1")


def test_a_set_that_passed_is_folded_and_opens_with_the_keyboard(visit: Callable[..., Any], panels: Path) -> None:
    page = visit(of=panels, java_script_enabled=False)
    gallery = page.locator(".gallery").nth(1)
    member = gallery.get_by_role("link").first
    assert not member.is_visible()
    gallery.locator("> summary").focus()
    page.keyboard.press("Enter")
    assert member.is_visible()


def test_a_link_to_a_folded_set_shows_it(visit: Callable[..., Any], panels: Path) -> None:
    page = visit(of=panels)
    page.locator("#good1 .set-note a").click()
    page.locator(".gallery").nth(1).get_by_role("link").first.wait_for(state="visible")


@pytest.mark.parametrize("scripts", [True, False])
def test_paths_of_what_failed_are_open_and_have_a_table(visit: Callable[..., Any], panels: Path, scripts: bool) -> None:
    card = visit(of=panels, java_script_enabled=scripts).locator("#cat")
    failed, passed = card.locator(".path").all()
    assert failed.locator(".plot-field").first.is_visible()
    assert failed.get_by_text("Decided after 128 samples").is_visible() or failed.locator("summary").first.is_visible()
    assert not passed.locator(".plot-field").first.is_visible()
    passed.locator("> summary").click()
    band, field = passed.locator(".plot-band").bounding_box(), passed.locator(".plot-field").bounding_box()
    assert field["x"] <= band["x"] + 1
    assert band["x"] + band["width"] <= field["x"] + field["width"] + 1
    passed.locator(".as-table > summary").click()
    assert passed.get_by_role("table").get_by_role("row").count() == 11


def test_the_method_opens_by_its_link(visit: Callable[..., Any], panels: Path) -> None:
    page = visit(of=panels)
    assert not page.get_by_text("Whether it is right.", exact=True).is_visible()
    page.locator("#cat .to-method a").click()
    page.get_by_text("Whether it is right.", exact=True).wait_for(state="visible")


@pytest.mark.parametrize("width", [360, 700, 1280])
def test_nothing_scrolls_sideways(visit: Callable[..., Any], panels: Path, width: int) -> None:
    page = visit(of=panels, viewport={"width": width, "height": 740})
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = page.evaluate(
        """() => [...document.querySelectorAll("body *")]
            .filter((e) => !e.closest(".visually-hidden, .scroll, .skip, .symbols") && e.checkVisibility())
            .filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
            .map((e) => `${e.tagName}.${e.className.baseVal ?? e.className}`)"""
    )
    assert wide == []


def test_paper_shows_both_sides_and_every_image_of_a_set(visit: Callable[..., Any], panels: Path) -> None:
    page = visit(of=panels, color_scheme="dark")
    page.emulate_media(media="print")
    assert not page.locator("#cat .wipe").is_visible()
    assert page.locator("#cat .before-now figure").first.is_visible()
    assert page.locator(".gallery").nth(1).locator(".member").first.bounding_box()["height"] > 20
    assert not page.locator("#cat .path .as-table table").first.is_visible()
    assert page.get_by_text("Whether it is right.", exact=True).bounding_box()["height"] > 5


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_the_panels_have_no_violation(
    visit: Callable[..., Any], panels: Path, violations: Callable[[Any], list[str]], scheme: str, width: int
) -> None:
    page = visit(of=panels, color_scheme=scheme, viewport={"width": width, "height": 900})
    assert violations(page) == []
