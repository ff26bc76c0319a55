"""Panels of the page: what each says of a record, and that no record breaks one."""

from __future__ import annotations

import re
from copy import deepcopy
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pytest_lime.report.changes import changed_of
from pytest_lime.report.curves import curves_of
from pytest_lime.report.galleries import galleries_of, set_of
from pytest_lime.report.interventions import interventions_of
from pytest_lime.report.method_card import method_card_of
from pytest_lime.report.origins import origins_of
from pytest_lime.report.render import render
from pytest_lime.report.sides import LISTED, sides_of

NASTY = "\u202e<script>alert(1)</script>\"' onload=x {{ 7 * 7 }} \ud800"
WORDS = {"fail": "Failed", "inconclusive": "Inconclusive", "expected": "Expected failure", "pass": "Passed"}
SPOILT: list[object] = [None, "text", 10**400, -1, float("nan"), [], [None, "x", {}, []], {}, {"a": 1}, True]
SHARES = [0.0, 0.25, 0.5, 0.75, 1.0]


def claim(name: str = "mass", **changes: Any) -> dict[str, Any]:
    return {
        "claim": name,
        "text": f"{name}(Box(1, 2, 3, 4))",
        "meaning": f"what {name} means",
        "status": "fail",
        "estimate": 0.3,
        "interval": [0.2, 0.4],
        "relation": ">=",
        "bound": 0.5,
        "figure": "0.30",
        "scale": [0.0, 1.0],
        "samples": 128,
        **changes,
    }


def faithful() -> dict[str, Any]:
    return claim(
        "faithful",
        curves={
            "shares": SHARES,
            "insertion": [0.0, 0.5, 0.7, 0.8, 0.8],
            "deletion": [0.8, 0.3, 0.1, 0.0, 0.0],
            "insertion_random": [[0.0, 0.2], [0.1, 0.3], [0.3, 0.5], [0.5, 0.7], [0.8, 0.8]],
            "deletion_random": [[0.8, 0.8], [0.5, 0.7], [0.3, 0.5], [0.1, 0.3], [0.0, 0.2]],
        },
    )


def unchanged() -> dict[str, Any]:
    return claim(
        "unchanged",
        change={
            "rank_correlation": 0.42,
            "jaccard": 0.14,
            "largest": {"superpixel": 24, "before": 0.11, "after": 0.214},
            "entered": [24, 23],
            "left": [3, 17],
            "score": [0.93, 0.812],
            "weights": [0.1, 0.2],
            "against": "baselines/cat.json",
        },
    )


def record(identifier: str = "cat", **changes: Any) -> dict[str, Any]:
    """A record with all that a panel shows."""
    cuts = {f"{key}.0.{fill}": f"images/cat-{key}-0-{fill}.jpg" for key in ("without", "alone") for fill in (0, 1)}
    return {
        "version": 2,
        "id": identifier,
        "test": f"tests/test_cat.py::{identifier}",
        "file": "tests/test_cat.py",
        "line": 12,
        "kind": "check",
        "outcome": "failed",
        "status": "fail",
        "image": {"name": "chelsea.png", "width": 451, "height": 300, "sha256": "0" * 64},
        "target": {"index": 285, "label": "Egyptian cat", "score": 0.8, "rank": 1},
        "claims": [claim(path=[[64, 0.35, 0.1, 0.6], [128, 0.3, 0.2, 0.4]]), unchanged(), faithful()],
        "explanation": {"superpixels": 39, "samples": 128, "confidence": 0.95},
        "weights": [
            {"superpixel": 24, "rank": 1, "weight": 0.187, "interval": [0.157, 0.217], "shares": [0.65]},
            {"superpixel": 12, "rank": None, "weight": -0.046, "interval": [-0.076, 0.016], "shares": [0.0]},
            {"superpixel": 7, "rank": 2, "weight": 0.02, "interval": None, "shares": [0.0]},
        ],
        "top": 2,
        "regions": [{"text": "Box(1, 2, 3, 4)", "area": 0.31}],
        "interventions": [
            {
                "region": "Box(1, 2, 3, 4)",
                "fills": ["segment_mean", "blur"],
                "whole": 0.8,
                "without": [0.72, 0.6],
                "alone": [0.08, 0.2],
            }
        ],
        "view": {"box": [0, 0, 451, 300], "shape": [224, 224]},
        "pictures": {
            "image": "images/cat-image.jpg",
            "heatmap": "images/cat-heatmap.png",
            "borders": "images/cat-borders.svg",
            "regions": "images/cat-regions.svg",
            "thumb": "images/cat-thumb.jpg",
            "baseline": "images/cat-baseline.png",
            **cuts,
        },
        "attempt": 2,
        "attempts": [
            {
                "attempt": 1,
                "status": "inconclusive",
                "outcome": "passed",
                "claims": [
                    {
                        "claim": "mass",
                        "status": "inconclusive",
                        "estimate": 0.4,
                        "interval": [0.28, 0.52],
                        "samples": 64,
                    }
                ],
            }
        ],
        "called": {"file": "tests/test_cat.py", "line": 14},
        "model": {"name": "TorchModel, Tiny", "sha256": "3f9a0c5d" * 8, "input": [224, 224], "classes": 1000},
        "hashes": {"image": "ab" * 32, "options": "cd" * 32, "regions": ["ef" * 32]},
        "arithmetic": {
            "device": "cuda:0",
            "device_name": "A Device",
            "precision": "float32",
            "deterministic": True,
            "threads": 2,
        },
        "set": {"id": "s", "number": 1, "of": 4, "mostly": 0.7, "status": "fail", "unseen": ["c.png", "d.png"]},
        **changes,
    }


def results(*records: Any, **changes: Any) -> dict[str, Any]:
    return {
        "format": "pytest-lime",
        "version": 2,
        "records": list(records),
        "method": {"covers": ["Where a score comes from."], "does_not_cover": ["Whether it is right."]},
        **changes,
    }


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def page(folder: Path, *records: Any, **changes: Any) -> Page:
    return Page(render(results(*records, **changes), folder).read_text("utf-8"))


class TestPage:
    def test_every_panel_has_its_words(self, tmp_path: Path) -> None:
        text = page(tmp_path, record()).text
        for words in (
            "Decided after 128 samples: the whole interval broke the bound of 0.5.",
            "128 0.300 0.200 to 0.400",
            "Most for Egyptian cat number 1 +0.187 +0.157 to +0.217 number 2 +0.020 interval not known",
            "Most against Egyptian cat superpixel 12 −0.046 −0.076 to +0.016, may be 0",
            "Before and now compared with baselines/ cat. json",
            "rank correlation 0.42 (1 is the same order)",
            "Jaccard index 0.14 (1 is the same ones)",
            "Came to the top 24 (number 1), 23 Left the top 3, 17",
            "+0.110 before, +0.214 now, of superpixel 24",
            "Score of the whole image 0.93 before, 0.812 now",
            "0.720 90 % of the whole filled with segment_ mean",
            "0.080 10 % of the whole filled with segment_ mean",
            "Area under the curve 0.6; those of random orders lie within 0.325 to 0.500.",
            "Area under the curve 0.2; those of random orders lie within 0.325 to 0.500.",
            "Confidence of intervals 95 %",
            "TorchModel, Tiny, input 224 × 224, 1,000 classes",
            "sha256 3f9a0c5d3f9a…",
            "A Device (cuda:0), float32, 2 threads, deterministic",
            "Attempts this is number 2 1: Inconclusive mass inconclusive, 0.4, interval 0.28 to 0.52, 64 samples",
            f"Image {'ab' * 32}",
            "One of a set: 0 of 4 images hold, 3 must (mostly=0.7).",
            "3 not looked at, since the set was decided: c.png , d.png",
            "A verdict covers Where a score comes from. It does not cover Whether it is right.",
        ):
            assert words in text, words

    def test_pictures_of_interventions_have_their_scores_as_text(self, tmp_path: Path) -> None:
        alts = [unescape(a["alt"] or "") for tag, a in page(tmp_path, record()).tags if tag == "img" and a.get("alt")]
        assert "The image without the region, filled with blur: score 0.600, 75\xa0% of the whole." in alts
        assert "Only the region, the rest filled with blur: score 0.200, 25\xa0% of the whole." in alts

    def test_the_table_of_regions_stays_as_the_text_of_the_pictures(self, tmp_path: Path) -> None:
        assert page(tmp_path, record()).text.count("Score of the target in the whole image, without each region") == 1
        bare = {name: path for name, path in record()["pictures"].items() if "." not in name}
        text = page(tmp_path, record(pictures=bare)).text
        assert text.count("Score of the target in the whole image, without each region") == 1
        assert "What the model says without the region, and of it alone" not in text

    def test_a_record_of_the_first_version_has_no_panel(self, tmp_path: Path) -> None:
        known = ("version", "id", "test", "kind", "outcome", "status", "image", "target", "view")
        old = {name: value for name, value in record().items() if name in known}
        shown = page(tmp_path, {**old, "claims": [claim()]}, method=None)
        classes = {name for _, attributes in shown.tags for name in (attributes.get("class") or "").split()}
        panels = {"path", "plot", "speakers", "changed", "interventions", "curves", "galleries", "method", "attempts"}
        assert classes & {*panels, "hashes", "to-method", "set-note"} == set()

    def test_what_every_part_of_the_page_obeys(self, tmp_path: Path) -> None:
        shown = page(tmp_path, record(), record(), record("other", set={"id": "t", "status": "pass"}))
        assert not [attributes for _, attributes in shown.tags if "style" in attributes]
        ids = [attributes["id"] for _, attributes in shown.tags if attributes.get("id")]
        assert len(ids) == len(set(ids))
        hrefs = [attributes.get("href") or "" for tag, attributes in shown.tags if tag == "a"]
        assert {href[1:] for href in hrefs if href.startswith("#")} <= set(ids)
        assert {"#page--method", "#page--set-1", "#page--set-2"} <= set(hrefs)
        pointed = [name for _, attributes in shown.tags if (name := attributes.get("aria-labelledby"))]
        assert set(pointed) <= set(ids)
        levels = [int(tag[1]) for tag, _ in shown.tags if re.fullmatch("h[1-6]", tag)]
        assert all(after <= before + 1 for before, after in pairwise(levels))
        assert all(a.get("loading") == "lazy" for tag, a in shown.tags if tag == "img")
        charts = [a for tag, a in shown.tags if tag == "svg" and "plot" in (a.get("class") or "")]
        assert charts
        assert all(chart.get("aria-hidden") == "true" for chart in charts)
        for name in ("panels.css", "panels.js"):
            source = (tmp_path / name).read_text("utf-8")
            assert not re.search(r"url\(|@import|https?:|innerHTML|eval\(", source)

    def test_every_text_is_shown_as_text(self, tmp_path: Path) -> None:
        def spoil(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: item if key == "pictures" else spoil(item) for key, item in value.items()}
            if isinstance(value, list):
                return [spoil(item) for item in value]
            return value + NASTY if isinstance(value, str) else value

        kept = ("kind", "status", "outcome")
        nasty = {**spoil(record()), **{name: record()[name] for name in kept}}
        nasty["set"]["status"] = "fail"
        for one in nasty["claims"]:
            one["status"] = "fail"
        shown = page(tmp_path, nasty, method={"covers": [NASTY], "does_not_cover": [NASTY]})
        assert "<script>alert" not in shown.html
        assert not [name for _, attributes in shown.tags for name in attributes if name.startswith("on")]
        body = shown.html[shown.html.index("<body") :]
        outside = re.sub(r'<bdi[^>]*>.*?</bdi>|(?:alt|aria-label|data-[a-z]+)="[^"]*"', "", body, flags=re.DOTALL)
        assert "\u202e" not in outside

    @pytest.mark.parametrize(
        "path", ["https://example.org/x.png", "../x.png", 'images/a.png" x="', 7, None, ["images/a"]]
    )
    def test_a_picture_elsewhere_is_refused(self, tmp_path: Path, path: object) -> None:
        spoilt = dict.fromkeys(record()["pictures"], path)
        shown = page(tmp_path, record(pictures=spoilt))
        assert [a for tag, a in shown.tags if tag == "img"] == []

    @pytest.mark.parametrize("name", sorted(set(record()) - {"version"}))
    @pytest.mark.parametrize("value", SPOILT)
    def test_no_single_wrong_value_breaks_the_page(self, tmp_path: Path, name: str, value: object) -> None:
        html = render(results({**record(), name: value}, record("other")), tmp_path).read_text("utf-8")
        assert html.count("<article") == 2

    @pytest.mark.parametrize("value", [None, "text", -1, [None, "x", {}, []]])
    def test_no_wrong_value_within_breaks_the_page(self, tmp_path: Path, value: object) -> None:
        """Every value at any depth is spoilt, one after the other, each in a record of its own."""
        records: list[dict[str, Any]] = []
        for path in _paths(record()):
            one = deepcopy(record(f"r{len(records)}"))
            inner = one
            for step in path[:-1]:
                inner = inner[step]
            inner[path[-1]] = value
            records.append(one)
        html = render(results(*records), tmp_path).read_text("utf-8")
        assert html.count("<article") == len(records) > 100

    @pytest.mark.parametrize("method", [*SPOILT, {"covers": "text", "does_not_cover": 3}, {"covers": [None, " "]}])
    def test_a_method_that_says_nothing_has_no_card(self, tmp_path: Path, method: object) -> None:
        assert method_card_of({"method": method}) is None
        assert "page--method" not in page(tmp_path, record(), method=method).html


def _paths(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for step, item in steps for path in ((*above, step), *_paths(item, (*above, step)))]


class TestCurves:
    def test_both_curves_share_an_axis_and_have_a_table(self) -> None:
        found = curves_of(record())
        assert found is not None
        assert [curve.name for curve in found.curves] == ["Insertion", "Deletion"]
        assert found.curves[0].plane.high == found.curves[1].plane.high
        assert found.heads == ["Insertion", "Insertion, random orders", "Deletion", "Deletion, random orders"]
        assert found.rows[1] == ["25\xa0%", "0.500", "0.100 to 0.300", "0.300", "0.500 to 0.700"]
        assert len(found.rows) == len(SHARES)

    def test_the_area_is_that_of_trapezoids_over_the_range_of_the_curve(self) -> None:
        told = {"shares": [0.0, 0.5], "insertion": [0.2, 0.4]}
        found = curves_of({"claims": [claim("faithful", curves=told)]})
        assert found is not None
        assert found.curves[0].words == (
            "Area under the curve 0.3. The higher, the better the weights order the superpixels."
        )
        assert found.curves[0].band == ""

    def test_many_points_keep_a_short_table_with_its_last_row(self) -> None:
        shares = [step / 300 for step in range(301)]
        told = {"shares": shares, "deletion": [1 - share for share in shares]}
        found = curves_of({"claims": [claim("faithful", curves=told)]})
        assert found is not None
        assert len(found.rows) <= 25
        assert found.rows[-1][0] == "100\xa0%"

    @pytest.mark.parametrize("told", [{}, {"shares": SHARES}, {"shares": [0.5], "insertion": [1.0]}, None, [], "x"])
    def test_too_little_gives_no_curve(self, told: object) -> None:
        assert curves_of({"claims": [claim(), claim("faithful", curves=told)]}) is None


class TestInterventions:
    def test_regions_have_the_letters_of_the_pictures(self) -> None:
        one = record()["interventions"][0]
        both = [{**one, "region": text} for text in ("A box", "Another")]
        pictures = {"without.0.0": "images/a.jpg", "alone.1.1": "images/b.jpg"}
        found = interventions_of({"interventions": both, "pictures": pictures}, [("A", "A box"), ("B", "Another")])
        assert [(each.letter, each.without[0].picture, each.alone[1].picture) for each in found] == [
            ("A", "images/a.jpg", ""),
            ("B", "", "images/b.jpg"),
        ]
        assert found[0].without[0].alt.startswith("The image without region A, filled with segment_mean")

    @pytest.mark.parametrize("whole", [0.0, -2.0, None])
    def test_only_scores_above_nothing_have_shares(self, whole: float | None) -> None:
        one = {**record()["interventions"][0], "whole": whole}
        found = interventions_of({**record(), "interventions": [one]}, [("", "Box(1, 2, 3, 4)")])
        assert {cut.left for cut in (*found[0].without, *found[0].alone)} == {""}

    def test_bars_are_measured_by_the_largest_score(self) -> None:
        one = {**record()["interventions"][0], "without": [1.6, 0.4]}
        found = interventions_of({**record(), "interventions": [one]}, [("", "Box(1, 2, 3, 4)")])
        assert [found[0].full.width, *(cut.bar.width for cut in found[0].without)] == ["50%", "100%", "25%"]


class TestChanges:
    def test_nothing_that_came_or_went_is_said_so(self) -> None:
        told = {**unchanged()["change"], "entered": [], "left": []}
        found = changed_of({"claims": [{"change": told}]})
        assert found is not None
        assert ("At the top", "the same superpixels as before") in [(fact.name, fact.value) for fact in found.facts]

    def test_of_several_claims_the_first_with_a_change_is_shown(self) -> None:
        found = changed_of({"claims": [claim(), {"change": {"jaccard": 0.5}}, {"change": {"jaccard": 0.9}}]})
        assert found is not None
        assert [fact.value for fact in found.facts] == ["Jaccard index 0.5 (1 is the same ones)"]
        assert changed_of({"claims": [claim()]}) is None


class TestSides:
    def test_each_side_has_its_strongest_first_and_only_a_few(self) -> None:
        weights = [{"superpixel": n, "weight": (-1) ** n * n / 10, "interval": None} for n in range(1, 20)]
        towards, against = sides_of({"weights": weights})
        assert [row.superpixel for row in towards.rows] == ["18", "16", "14", "12"]
        assert [row.superpixel for row in against.rows] == ["19", "17", "15", "13"]
        assert len(towards.rows) == LISTED

    def test_a_side_may_be_empty_and_weights_of_zero_are_on_none(self) -> None:
        rows = [{"superpixel": 1, "weight": 0.5}, {"superpixel": 2, "weight": 0.0}]
        assert [len(side.rows) for side in sides_of({"weights": rows})] == [1, 0]
        assert sides_of({"weights": rows[1:]}) == []


def member(number: int, status: str, **changes: Any) -> dict[str, Any]:
    facts = {"id": "s", "number": number, "of": 4, "mostly": 0.7, "status": "fail", **changes.pop("set", {})}
    return {
        "id": f"m{number}",
        "test": "test_set",
        "status": status,
        "image": {"name": f"{number}.png"},
        "claims": [claim("predicted", status="pass", figure="0.9"), claim(status=status)],
        "set": facts,
        **changes,
    }


def galleries(*records: Any) -> Any:
    return galleries_of({"records": list(records)}, [f"a{place}" for place in range(len(records))], WORDS)


class TestGalleries:
    def test_images_stand_in_the_order_in_which_they_were_given(self) -> None:
        (found,) = galleries(member(3, "pass"), member(1, "fail"), member(2, "pass"), member(4, "inconclusive"))
        assert [(one.name, one.anchor, one.tone) for one in found.members] == [
            ("1.png", "a1", "fail"),
            ("2.png", "a2", "pass"),
            ("3.png", "a0", "pass"),
            ("4.png", "a3", "inconclusive"),
        ]
        assert found.headline == "2 of 4 images hold, 3 must (mostly=0.7)."
        assert found.members[0].claim == "mass"
        assert found.members[1].claim == "predicted"
        assert set_of([found])["a2"] is found

    def test_the_share_has_an_interval_where_all_were_looked_at(self) -> None:
        (found,) = galleries(*(member(n, "pass" if n > 1 else "fail") for n in range(1, 5)))
        # Clopper and Pearson, of 3 of 4.
        assert found.share == "0.75 of the images hold; 95\xa0% interval for such images 0.194 to 0.994."
        assert found.unseen_words == ""
        (found,) = galleries(member(1, "fail", set={"unseen": ["2.png", "3.png", "4.png"]}))
        assert found.share == ""
        assert found.unseen_words == "3 not looked at, since the set was decided:"
        assert found.unseen == ["2.png", "3.png", "4.png"]

    def test_sets_are_told_apart_and_failed_ones_come_first(self) -> None:
        passed = [member(n, "pass", set={"id": "good", "status": "pass"}) for n in (1, 2)]
        found = galleries(*passed, member(1, "fail"), member(1, "fail", set={"id": "", "status": "fail"}))
        assert [(one.tone, len(one.members), one.is_open) for one in found] == [("fail", 1, True), ("pass", 2, False)]
        assert len({one.anchor for one in found}) == 2

    def test_what_a_passing_set_allows_is_said_so(self) -> None:
        (found,) = galleries(member(1, "fail", set={"status": "pass"}))
        assert (found.members[0].tone, found.members[0].word) == ("expected", "Failed, allowed")
        (found,) = galleries(member(1, "fail", outcome="xfailed"))
        assert (found.tone, found.members[0].word) == ("expected", "Expected failure")

    def test_one_image_and_all_of_them(self) -> None:
        (found,) = galleries(member(1, "pass", set={"of": 1, "mostly": 1.0, "status": "pass"}))
        assert found.headline == "1 of 1 image holds, all must."
        (found,) = galleries(member(1, "pass", set={"of": 10**400, "mostly": "x"}))
        assert found.headline == "1 of 1 image holds."


class TestOrigins:
    def test_only_what_is_known_is_said(self) -> None:
        empty = origins_of({}, WORDS)
        assert (empty.facts, empty.hashes, empty.attempts) == ([], [], [])
        one = origins_of({"arithmetic": {"device": "cpu", "device_name": "cpu", "deterministic": False}}, WORDS)
        assert [(fact.name, fact.value) for fact in one.facts] == [
            ("Arithmetic", "cpu, not deterministic: another run may differ in the last digits")
        ]

    def test_regions_are_named_beside_their_hashes(self) -> None:
        found = origins_of({"hashes": {"regions": ["aa", None, "cc"]}, "regions": [{"text": "Box(1, 2, 3, 4)"}]}, WORDS)
        assert found.hashes == [("Box(1, 2, 3, 4)", "aa"), ("region 3", "cc")]
