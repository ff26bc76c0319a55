"""Search, filters and keys of the report, and what is copied from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

PLACES = ("file", "server")


def shown(page: Any) -> list[str]:
    return page.eval_on_selector_all("article", "(cards) => cards.filter((c) => !c.hidden).map((c) => c.id)")  # type: ignore[no-any-return]


def focused(page: Any) -> str:
    return str(page.evaluate("document.activeElement.id || document.activeElement.className"))


@pytest.mark.parametrize("place", PLACES)
def test_filters_combine_and_stay_in_the_address(visit: Callable[..., Any], place: str) -> None:
    page = visit(place)
    everything = shown(page)
    page.get_by_role("button", name="failed as expected").click()
    assert shown(page) == ["cow", "ewe"]
    page.get_by_role("combobox", name="Mark").select_option("slow")
    assert shown(page) == ["cow"]
    assert page.locator(".count").inner_text() == "1 of 10"
    page.get_by_role("searchbox").fill("ISSUE cow")
    assert shown(page) == ["cow"]
    assert page.url.endswith("?q=ISSUE+cow&verdict=expected&mark=slow")
    page.reload()
    assert shown(page) == ["cow"]
    assert page.get_by_role("button", name="failed as expected").get_attribute("aria-pressed") == "true"
    assert page.get_by_role("combobox", name="Mark").input_value() == "slow"
    page.get_by_role("searchbox").fill("nothing has this")
    assert shown(page) == []
    assert page.get_by_text("No check fits these filters.").is_visible()
    page.get_by_role("button", name="Clear").click()
    assert shown(page) == everything
    assert "?" not in page.url
    assert focused(page) == "search"


def test_each_field_of_the_filter(visit: Callable[..., Any]) -> None:
    page = visit()
    for field, value, found in (
        ("Claim", "skin", ["skin"]),
        ("Target", "a dog", ["dog"]),
        ("File", "tests/test_owl.py", ["owl"]),
        ("Mark", "slow", ["cow"]),
    ):
        page.get_by_role("combobox", name=field).select_option(value)
        assert shown(page) == found
        page.keyboard.press("Escape")
        assert len(shown(page)) == 10
    page.get_by_role("button", name="inconclusive").click()
    page.get_by_role("button", name="passed").click()
    found = shown(page)
    assert found[0] == "dog"
    assert {"owl", "ram"} < set(found)
    assert not {"cat", "cow", "elk"} & set(found)


def test_hostile_texts_can_be_chosen_and_kept(visit: Callable[..., Any]) -> None:
    page = visit()
    mark = page.get_by_role("combobox", name="Mark")
    nasty = mark.locator("option").evaluate_all("(all) => all.map((one) => one.value)")[1]
    assert "<script>" in nasty
    mark.select_option(nasty)
    assert shown(page) == ["long"]
    page.reload()
    assert shown(page) == ["long"]
    visit(query="?verdict=%3Cscript%3E,fail&mark=%22%3E&q=%00&claim=__proto__#%22%3E")


def test_rows_of_a_set_open_when_one_is_found(visit: Callable[..., Any]) -> None:
    page = visit()
    row = page.locator(".overview a[href='#ewe']")
    assert not row.is_visible()
    page.get_by_role("searchbox").fill("ewe.png")
    assert row.is_visible()
    assert not page.locator(".overview a[href='#ram']").is_visible()
    page.get_by_role("searchbox").fill("")
    assert not row.is_visible()
    page.get_by_role("searchbox").fill("owl.png")
    assert not page.locator("tr.set").is_visible()


def test_without_scripts_chips_lead_to_the_first_of_their_verdict_and_sets_open(visit: Callable[..., Any]) -> None:
    page = visit(java_script_enabled=False)
    page.get_by_role("link", name="failed as expected").click()
    assert page.url.endswith("#cow")
    page.locator(".set-rows > summary").click()
    assert page.locator(".overview a[href='#ewe']").is_visible()
    assert page.get_by_role("search").count() == 0
    card = page.locator("#cat")
    card.get_by_text("Text for an issue").click()
    assert "**Failed:** `a cat` in `cat.png`" in card.locator(".issue-text").inner_text()


def test_a_link_to_a_hidden_check_shows_it(visit: Callable[..., Any]) -> None:
    page = visit(query="?q=owl#cat")
    assert "cat" in shown(page)
    page.get_by_role("searchbox").fill("owl")
    page.locator(".costly a").first.click()
    page.locator("#skin").wait_for(state="visible")


def test_keys_lead_through_the_checks(visit: Callable[..., Any]) -> None:
    page = visit()
    order = shown(page)
    for key, place in (("j", 0), ("n", 1), ("j", 2), ("k", 1), ("p", 0), ("k", 0)):
        page.keyboard.press(key)
        assert focused(page) == order[place]
        assert page.url.endswith(f"#{order[place]}")
        assert abs(page.locator(f"[id='{order[place]}']").bounding_box()["y"]) < 40
    page.keyboard.press("/")
    assert focused(page) == "search"
    page.keyboard.type("jnk?/")
    assert page.get_by_role("searchbox").input_value() == "jnk?/"
    assert shown(page) == []
    page.keyboard.press("Escape")
    assert page.get_by_role("searchbox").input_value() == ""
    assert shown(page) == order
    page.keyboard.press("Tab")
    page.get_by_role("button", name="inconclusive").click()
    page.keyboard.press("j")
    assert focused(page) == "dog"
    page.keyboard.press("Escape")
    assert shown(page) == order


def test_keys_stay_keys_after_a_switch_or_a_slider_was_used(visit: Callable[..., Any]) -> None:
    page = visit()
    card = page.locator("#cat")
    card.get_by_role("checkbox", name="Heatmap").click()
    # It comes once the card is near; the next key leads away from it.
    card.locator(".opacity input").wait_for(state="attached")
    page.keyboard.press("/")
    assert page.locator("input[type=search]").evaluate("(e) => e === document.activeElement")
    page.keyboard.press("Escape")
    card.locator(".opacity input").focus()
    page.keyboard.press("?")
    assert page.locator("dialog").is_visible()


def test_keys_with_modifiers_are_left_to_the_browser(visit: Callable[..., Any]) -> None:
    page = visit()
    page.evaluate(
        "window.taken = []; addEventListener('keydown', (e) => e.defaultPrevented && window.taken.push(e.key))"
    )
    for key in ("Control+j", "Alt+n", "Meta+k"):
        page.keyboard.press(key)
    page.get_by_role("combobox", name="Target").focus()
    page.keyboard.press("j")
    assert page.evaluate("window.taken") == []


def test_the_keys_are_told_in_a_dialog(visit: Callable[..., Any]) -> None:
    page = visit()
    dialog = page.get_by_role("dialog", name="Keys")
    page.keyboard.press("?")
    assert dialog.get_by_text("next check").is_visible()
    page.keyboard.press("j")
    assert dialog.is_visible()
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    page.get_by_role("button", name="Keys ?").click()
    dialog.get_by_role("button", name="Close").click()
    assert not dialog.is_visible()


@pytest.mark.parametrize("place", PLACES)
def test_the_command_and_the_text_for_an_issue_are_copied(visit: Callable[..., Any], place: str) -> None:
    page = visit(place, permissions=["clipboard-read", "clipboard-write"])
    card = page.locator("#cat")
    card.scroll_into_view_if_needed()
    card.get_by_role("button", name="Copy the command").click()
    card.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "pytest tests/test_cat.py"
    card.get_by_role("button", name="Copy for an issue").click()
    page.wait_for_function("navigator.clipboard.readText().then((text) => text.startsWith('**Failed:**'))")
    assert "- Model: `Net (small), weights c0ffeec0ff, 96 × 96, 10 classes`" in page.evaluate(
        "navigator.clipboard.readText()"
    )


def test_where_the_clipboard_is_closed_the_text_is_selected(visit: Callable[..., Any]) -> None:
    page = visit()
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
    card = page.locator("#cat")
    card.scroll_into_view_if_needed()
    card.get_by_role("button", name="Copy for an issue").click()
    card.get_by_role("button", name="Press Ctrl+C").wait_for()
    assert page.evaluate("getSelection().toString()").startswith("**Failed:** `a cat`")


def test_how_the_run_ended_is_said_at_the_top(visit: Callable[..., Any]) -> None:
    top = visit(java_script_enabled=False).get_by_role("banner")
    assert top.get_by_text("The run stopped early: what did not run is missing here. Reason: --maxfail=3").is_visible()
    assert top.get_by_text("the disk is full").is_visible()
    assert top.get_by_text("2 tests were skipped.").is_visible()
    assert top.get_by_text("commit 5555555555 with changes that are not committed, on main").is_visible()
