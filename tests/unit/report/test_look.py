"""The first look: JSON values and a page that stands alone."""

import itertools
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from pytest_lime import Box, Explanation
from pytest_lime.report.look import FORMAT, VERSION, describe_look, render_look, strongest

Build = Callable[..., Explanation]
WEIGHTS = [0.4, -0.3, 0.0, 0.1, 0.2, 0.0, 0.0, -0.1]


@pytest.fixture
def explanation(explanation_of: Build) -> Explanation:
    return explanation_of([WEIGHTS, WEIGHTS[::-1]], error=0.01, targets=(1, 0), file_size=(20, 40))


def test_every_class_and_every_superpixel_the_largest_weight_first(explanation: Explanation) -> None:
    look = json.loads(json.dumps(describe_look(explanation), allow_nan=False))
    assert (look["format"], look["version"]) == (FORMAT, VERSION)
    assert [one["target"]["label"] for one in look["classes"]] == ["dog", "cat"]
    first, second = (one["weights"] for one in look["classes"])
    assert [entry["weight"] for entry in first] == sorted(WEIGHTS, reverse=True)
    assert [entry["superpixel"] for entry in first][:2] == [0, 4]
    assert [entry["superpixel"] for entry in second][:2] == [7, 3]
    low, high = explanation.interval[0, 0]
    assert first[0]["interval"] == [low, high]
    assert sum(entry["area"] for entry in first) == pytest.approx(1)


def test_boxes_are_in_pixels_of_the_image_file(explanation: Explanation) -> None:
    # 2×4 cells of 5×5 pixels over a file of 20×40: each pixel is two of the file.
    boxes = {entry["superpixel"]: entry["box"] for entry in describe_look(explanation)["classes"][0]["weights"]}
    assert boxes[0] == [0, 0, 10, 10]
    assert boxes[7] == [30, 10, 40, 20]


def test_a_superpixel_beyond_the_file_has_no_box(explanation_of: Build) -> None:
    padded = explanation_of([0.1] * 8, box=(-20.0, 0.0, 20.0, 10.0), file_size=(10, 20))
    entries = describe_look(padded)["classes"][0]["weights"]
    assert {entry["superpixel"] for entry in entries if entry["box"] is None} == {0, 1, 4, 5}
    assert "beyond the file" in render_look(padded)


def test_regions_say_how_much_weight_they_hold(explanation: Explanation) -> None:
    left = Box(0, 0, 20, 20)
    look = describe_look(explanation, {"left": left})["classes"][0]
    assert look["regions"]["left"]["mass"] == pytest.approx(float(explanation.mass(left)))
    assert look["regions"]["left"]["area"] == 0.5
    assert {entry["superpixel"] for entry in look["weights"] if entry["regions"]["left"] == 1} == {0, 1, 4, 5}


def test_weights_without_a_sign(explanation_of: Build) -> None:
    tree = explanation_of([0.6, 0.4, 0.0, 0.0], columns=2, signed=False)
    assert "mass" not in describe_look(tree, {"left": Box(0, 0, 5, 10)})["classes"][0]["regions"]["left"]
    assert "matters" in render_look(tree, {"left": Box(0, 0, 5, 10)})


def test_what_is_not_known_is_no_number(explanation_of: Build) -> None:
    unknown = explanation_of(WEIGHTS, error=np.inf)
    assert all(entry["interval"] is None for entry in describe_look(unknown)["classes"][0]["weights"])
    assert "unknown" in render_look(unknown)


def test_the_strongest_are_listed_in_order_and_zeros_are_not() -> None:
    entries = [{"weight": weight} for weight in sorted(WEIGHTS, reverse=True)]
    assert [entry["weight"] for entry in strongest(entries)] == [0.4, 0.2, 0.1, -0.1, -0.3]


class _Addresses(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href", "srcset")]


def test_the_page_asks_for_nothing_from_elsewhere(explanation: Explanation) -> None:
    addresses = _Addresses()
    page = render_look(explanation, {"left": Box(0, 0, 20, 20)})
    addresses.feed(page)
    assert addresses.found
    assert all(address.startswith(("data:image/", "#")) for address in addresses.found)
    assert "url(" not in page
    assert "@import" not in page


@pytest.mark.parametrize("hostile", ['</script><script>alert("x")</script>', "a&b<c>\"d'", "</style>{{ 7*7 }}"])
def test_names_are_text(explanation_of: Build, hostile: str) -> None:
    explanation = explanation_of([0.2, -0.1], columns=2, class_names=(hostile, "dog", "bird"))
    page = render_look(explanation, {hostile: Box(0, 0, 5, 5)})
    assert hostile not in page
    assert page.count("<script") == 2
    assert page.count("<style") == 1


def test_ticks_are_round_and_few(explanation_of: Build) -> None:
    for side in (1, 7, 100, 451, 4000):
        page = render_look(explanation_of([0.1, 0.2], columns=2, file_size=(side, 2 * side)))
        ruler: Any = re.search(r'class="ruler" aria-hidden="true">(.*?)</div>', page, re.DOTALL)
        ticks = [int(tick) for tick in re.findall(r">(\d+)</span>", ruler[1])]
        assert ticks[0] == 0
        assert 2 <= len(ticks) <= 13
        assert len({after - before for before, after in itertools.pairwise(ticks)}) == 1
