"""Baselines: what counts as a change, and what a file holds."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_lime import BaselineError, explain
from pytest_lime.baselines import Baseline, Change, file_name, picture_of, read_baseline
from pytest_lime.testing import planted_linear

MODEL = planted_linear(np.linspace(0.01, 0.04, 16))
EXPLANATION = explain(MODEL, MODEL.image, "planted", samples=64, **MODEL.options)


def baseline(**changes: Any) -> Baseline:
    made = Baseline.of(EXPLANATION, test="test_it.py::test_it", name="array, planted", environment={"torch": "2"})
    return dataclasses.replace(made, **changes)


class TestChange:
    def test_none(self) -> None:
        found = Change.between(baseline(), baseline(), 4)
        assert (found.rank_correlation, found.jaccard, found.change) == (1.0, 1.0, 0.0)
        assert (found.nothing, found.rounding, found.words) == (True, True, "nothing changed")

    def test_rounding(self) -> None:
        before = baseline(rounding=1e-6)
        found = Change.between(before, baseline(weights=before.weights + 2e-6 * np.array([1, -1] * 8)), 4)
        assert (found.nothing, found.rounding, found.rank_correlation, found.jaccard) == (False, True, 1.0, 1.0)
        assert found.words.startswith("nothing changed but rounding (at most 0.005")

    def test_rounding_that_is_no_less_than_the_weights_explains_nothing_away(self) -> None:
        before = baseline(rounding=0.01)
        flat = Change.between(before, baseline(weights=np.zeros(16), rounding=0.01), 4)
        assert (flat.rounding, flat.rank_correlation, flat.jaccard, flat.change) == (False, 0.0, 0.0, 1.0)
        turned = Change.between(before, baseline(weights=before.weights[::-1].copy(), rounding=0.01), 4)
        assert (turned.rounding, round(turned.rank_correlation, 6)) == (False, -1.0)

    def test_what_entered_and_left(self) -> None:
        before = baseline()
        weights = before.weights.copy()
        weights[[0, 15]] = weights[[15, 0]]
        found = Change.between(before, baseline(weights=weights), 4)
        assert (found.entered, found.left, found.jaccard) == ((0,), (15,), 3 / 5)
        assert found.change == pytest.approx(0.75, abs=0.01)
        assert "superpixel 0 entered the top 4; superpixel 15 left the top 4; largest change 75" in found.words

    def test_from_no_weight_at_all(self) -> None:
        found = Change.between(baseline(weights=np.zeros(16)), baseline(), 4)
        assert (found.change, found.jaccard, found.rank_correlation) == (float("inf"), 0.0, 0.0)
        assert "before, no superpixel had any weight" in found.words


class TestFile:
    def test_it_is_read_as_it_was_written(self, tmp_path: Path) -> None:
        path = tmp_path / "a.json"
        made = baseline()
        path.write_text(made.as_json(), encoding="utf-8")
        read = read_baseline(path)
        assert read is not None
        assert read.as_json() == made.as_json()
        np.testing.assert_array_equal(read.segments, EXPLANATION.segments)
        assert Change.between(read, made, 4).nothing

    def test_it_is_sorted_small_and_can_be_read(self) -> None:
        text = baseline().as_json()
        keys = list(json.loads(text))
        assert keys == sorted(keys)
        assert len(text) < 4000
        assert all(len(line) < 120 for line in text.splitlines() if "labels" not in line)

    def test_there_may_be_none(self, tmp_path: Path) -> None:
        assert read_baseline(tmp_path / "none.json") is None

    def test_another_version(self, tmp_path: Path) -> None:
        path = tmp_path / "a.json"
        path.write_text(baseline().as_json().replace('"version": 1', '"version": 2'), encoding="utf-8")
        with pytest.raises(BaselineError, match="has version 2 and this pytest-lime reads 1"):
            read_baseline(path)

    def test_a_folder_in_its_place(self, tmp_path: Path) -> None:
        with pytest.raises(BaselineError, match="cannot be read"):
            read_baseline(tmp_path)

    @pytest.mark.parametrize("names", [("a[b]", "a]b["), ("A", "a"), ("é", "è"), ("x" * 300, "x" * 301), ("a\0", "a")])
    def test_names_differ(self, names: tuple[str, str]) -> None:
        first, second = (file_name(f"test_it.py::test_it[{name}]", "a.png") for name in names)
        assert first.casefold() != second.casefold()

    def test_the_picture_is_small(self) -> None:
        picture = picture_of(EXPLANATION)
        assert picture.startswith(b"\x89PNG")
        assert len(picture) < 50_000


def _edited(change: Any) -> str:
    values = json.loads(baseline().as_json())
    change(values)
    return json.dumps(values)


@pytest.mark.parametrize(
    "change",
    [
        *(lambda v, k=key: v["image"].pop(k) for key in ("name", "width", "height", "sha256", "means")),
        lambda v: v["view"].pop("box"),
        *(lambda v, b=box: v["view"].update(box=b) for box in (None, [], 5, [1, 2, 3, "x"], [1, 2, 3, None])),
        *(lambda v, m=one: v["image"].update(means=[m] * 16) for one in (None, "x", 10**400, float("nan"))),
        *(lambda v, r=one: v.update(rounding=r) for one in (float("inf"), float("nan"), -1, True, None, "x")),
        lambda v: v["target"].update(index=None),
        lambda v: v["superpixels"].update(labels="AAAA"),
        lambda v: v["superpixels"].update(labels=5),
        lambda v: v.update(weights=v["weights"][:-1]),
        lambda v: v["view"].update(shape=[10**9, 10**9]),
        lambda v: v.update(samples="many"),
    ],
)
def test_what_is_damaged_is_told_and_replaced(change: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(_edited(change), encoding="utf-8")
    with pytest.raises(BaselineError, match=r"is damaged \(.*\): take it from version control again, or write it anew"):
        read_baseline(path)
