"""Maps of superpixels: what is believed of a record, and what a script may hold."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_lime.report.anchors import anchors_of, map_path
from pytest_lime.report.maps import as_json, as_script, map_of

WEIGHTS = [{"superpixel": label, "weight": 0.1} for label in range(3)]


def segments(**changes: Any) -> dict[str, Any]:
    return {"weights": WEIGHTS, "segments": {"shape": [2, 3], "runs": "0:2 1:1 2:3", **changes}}


def test_a_map_is_what_the_record_says() -> None:
    assert map_of(segments()) == {"shape": [2, 3], "runs": "0:2 1:1 2:3"}


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": [2, 4]},
        {"shape": [3, 3]},
        {"shape": [0, 0], "runs": ""},
        {"shape": [1, 513], "runs": "0:513"},
        {"shape": [2.5, 2.4]},
        {"shape": None},
        {"shape": "23"},
        {"shape": [2, 3, 1]},
        {"runs": None},
        {"runs": ["0:2"]},
        {"runs": ""},
        {"runs": "0:2 1:1 2:3 "},
        {"runs": "0:2  1:1 2:3"},
        {"runs": "0:2 1:1 2:3 0:0"},
        {"runs": "0:2 1:1 3:3"},
        {"runs": "0:2 -1:1 2:3"},
        {"runs": "0:2 1:1 2:3</script>"},
        {"runs": "0:2,1:1,2:3"},
        {"runs": "0:1 " * 10_000},
        {"runs": f"0:{10**30}"},
    ],
)
def test_a_map_that_does_not_hold_together_is_none(changes: dict[str, Any]) -> None:
    assert map_of(segments(**changes)) is None


@pytest.mark.parametrize("value", [None, 3, "0:6", [], {}])
def test_a_record_without_a_map_has_none(value: object) -> None:
    assert map_of({"weights": WEIGHTS, "segments": value}) is None


def test_more_superpixels_than_a_record_lists_are_no_fault() -> None:
    many = [{"superpixel": label, "weight": 0.1} for label in range(1024)]
    assert map_of({**segments(runs="0:5 1030:1"), "weights": many}) is not None
    assert map_of(segments(runs="0:5 1030:1")) is None


def test_no_text_ends_a_script() -> None:
    text = '</script><!-- \u2028 \ud800 " \\'
    assert json.loads(as_json(text)) == text
    assert "<" not in as_json(text)
    assert as_script("a", {"runs": text}).isascii()


def test_files_are_named_after_cards_and_stay_in_their_folder() -> None:
    anchors = anchors_of([{"id": name} for name in ("cat", "cat", "../../x", "..", "checks", "a/b.js", "-", None)])
    assert len(set(anchors)) == 8
    assert map_path("cat") == "data/cat.js"
    assert map_path("..") == ""
    assert all(path == "" or path.count("/") == 1 for path in map(map_path, anchors))
