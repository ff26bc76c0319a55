"""The page as text: what it says, in which order, and what it refuses to let through."""

from __future__ import annotations

import base64
import hashlib
import re
from copy import deepcopy
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pytest_lime.records import ASSETS
from pytest_lime.report.charts import (
    Bar,
    WeightAxis,
    aligned,
    bar,
    between,
    digits,
    duration,
    number,
    ordinal,
    percent,
    signed,
    track,
)
from pytest_lime.report.render import SCRIPTS, render

NASTY = "\u202e<script>alert(1)</script>\"' onload=x {{ 7 * 7 }} \ud800"


def claim(**changes: Any) -> dict[str, Any]:
    return {
        "claim": "top_overlap",
        "text": "top_overlap(Box(1, 2, 3, 4), k=4, at_least=3)",
        "meaning": "at least 3 of the 4 strongest superpixels lie in Box(1, 2, 3, 4)",
        "status": "fail",
        "estimate": 1.0,
        "interval": [1.0, 2.0],
        "relation": ">=",
        "bound": 3.0,
        "figure": "1 of 4",
        "scale": [0.0, 4.0],
        "samples": 1000,
        "needs": 0,
        "outlook": "",
        "note": "",
        **changes,
    }


def record(identifier: str = "test-cat-0", **changes: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "id": identifier,
        "test": f"tests/test_cat.py::{identifier}",
        "file": "tests/test_cat.py",
        "line": 12,
        "check": 0,
        "kind": "check",
        "outcome": "failed",
        "reason": "",
        "status": "fail",
        "image": {"name": "chelsea.png", "width": 451, "height": 300, "sha256": "0" * 64},
        "target": {"index": 285, "label": "Egyptian cat", "score": 0.356, "rank": 2},
        "predictions": [
            {"index": 282, "label": "tiger cat", "score": 0.386},
            {"index": 285, "label": "Egyptian cat", "score": 0.356},
        ],
        "claims": [claim()],
        "explanation": {
            "superpixels": 57,
            "samples": 1000,
            "passes": 1001,
            "confidence": 0.95,
            "r2": 0.71,
            "intercept": 0.02,
            "local_prediction": 0.31,
            "sampler": "antithetic",
            "seconds": 11.2,
            "batch_size": 8,
        },
        "weights": [
            {"superpixel": 17, "rank": 1, "weight": 0.121, "interval": [0.101, 0.141], "shares": [1.0]},
            {"superpixel": 4, "rank": None, "weight": -0.08, "interval": [-0.1, -0.06], "shares": [0.62]},
            {"superpixel": 9, "rank": 2, "weight": 0.05, "interval": None, "shares": [0.0]},
        ],
        "top": 2,
        "regions": [{"text": "Box(1, 2, 3, 4)", "area": 0.31}],
        "interventions": [
            {
                "region": "Box(1, 2, 3, 4)",
                "fills": ["segment_mean", "blur"],
                "whole": 0.356,
                "without": [0.02, 0.0356],
                "alone": [0.267, 0.3],
            }
        ],
        "validity": {
            "r2_heldout": 0.62,
            "gap": -0.046,
            "alive": 0.45,
            "occlusion": 0.81,
            "occlusion_interval": [0.7, 0.9],
            "poor": [],
        },
        "view": {"box": [75.2, 0.0, 375.8, 300.0], "shape": [224, 224]},
        "limit": 0.121,
        "pictures": {
            "image": "images/a-image.jpg",
            "heatmap": "images/a-heatmap.png",
            "borders": "images/a-borders.svg",
            "regions": "images/a-regions.svg",
            "top": "images/a-top.svg",
        },
        "options": {"segmenter": "slic", "segments": 50, "seed": 0},
        "rerun": "pytest 'tests/test_cat.py::test_head' --lime-seed=0",
        "message": "first line\n  second line",
        **changes,
    }


def results(*records: Any, **changes: Any) -> dict[str, Any]:
    return {
        "format": "pytest-lime",
        "version": 1,
        "created": "2026-11-21T22:10:03+00:00",
        "command": "pytest example_suite",
        "duration": 41.2,
        "environment": {"pytest-lime": "0.1.0", "device": "cpu"},
        "records": list(records),
        **changes,
    }


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(html)
        self.text = " ".join(self.words.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def every(self, tag: str, name: str) -> list[str]:
        return [attributes.get(name) or "" for found, attributes in self.tags if found == tag]


def page(folder: Path, *records: Any, **changes: Any) -> Page:
    return Page(render(results(*records, **changes), folder).read_text("utf-8"))


def headline(folder: Path, *records: Any) -> str:
    found = re.search(r"<h1[^>]*>(.*?)</h1>", page(folder, *records).html, re.DOTALL)
    assert found
    return re.sub(r"<[^>]+>", "", found[1])


FAIL: dict[str, Any] = {"status": "fail"}
UNSURE: dict[str, Any] = {"status": "inconclusive", "outcome": "passed"}
EXPECTED: dict[str, Any] = {"status": "fail", "outcome": "xfailed", "reason": "see issue 42"}
PASS: dict[str, Any] = {"status": "pass", "outcome": "passed"}
EXPLAINED: dict[str, Any] = {"kind": "explanation", "claims": [], "status": "pass"}


@pytest.mark.parametrize(
    ("kinds", "sentence"),
    [
        ([], "No check was recorded."),
        ([FAIL], "The only check failed."),
        ([UNSURE], "The only check is inconclusive."),
        ([EXPECTED], "The only check failed as expected."),
        ([PASS], "The only check passed."),
        ([PASS] * 3, "All 3 checks passed."),
        ([FAIL, FAIL, UNSURE, *[PASS] * 6], "2 of 9 checks failed, 1 is inconclusive."),
        ([FAIL, UNSURE, UNSURE, EXPECTED], "1 of 4 checks failed, 2 are inconclusive, 1 failed as expected."),
        ([UNSURE, EXPECTED, PASS], "No check failed: of 3, 1 is inconclusive and 1 failed as expected."),
        ([EXPLAINED], "No check was made, only explanations."),
        ([EXPLAINED, PASS, PASS], "All 2 checks passed."),
    ],
)
def test_the_headline_is_a_sentence(tmp_path: Path, kinds: list[dict[str, Any]], sentence: str) -> None:
    assert headline(tmp_path, *(record(f"r{n}", **kind) for n, kind in enumerate(kinds))) == sentence


def test_cards_come_failures_first_and_keep_their_order_within(tmp_path: Path) -> None:
    kinds = [PASS, EXPECTED, UNSURE, FAIL, EXPLAINED, FAIL]
    shown = page(tmp_path, *(record(f"r{n}", **kind) for n, kind in enumerate(kinds)))
    order = [f"r{n}" for n in (3, 5, 4, 2, 1, 0)]
    assert [anchor for anchor in shown.every("article", "id") if anchor] == order
    assert [anchor for anchor in shown.every("tr", "data-card") if anchor] == order


def test_an_expected_failure_gives_its_reason_and_no_alarm(tmp_path: Path) -> None:
    shown = page(tmp_path, record(**EXPECTED))
    assert "Expected failure" in shown.text
    assert "This failure is expected: see issue 42" in shown.text
    assert "tone-fail" not in shown.html


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"outcome": "xpassed", "status": "pass"}, "The test was expected to fail, and passed."),
        ({"outcome": "failed", "status": "pass"}, "The test failed, but not by this check."),
        ({"outcome": "failed", "status": "inconclusive"}, "The test failed, but not by this check."),
        ({"outcome": "error", "status": "pass"}, "The test broke outside its own code, in a fixture."),
        ({"outcome": "skipped", "status": "pass"}, "The test was skipped after this."),
        ({"outcome": "xfailed", "status": "inconclusive"}, "The test failed as expected."),
        (EXPLAINED, "The test failed by an assertion of its own"),
        ({**EXPLAINED, "outcome": "passed"}, "Explained"),
        ({"status": "of another version"}, "Inconclusive"),
    ],
)
def test_how_the_test_ended_is_said_where_the_check_tells_another_story(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    assert words in page(tmp_path, record(**changes)).text


def test_every_figure_has_words_beside_it(tmp_path: Path) -> None:
    text = page(tmp_path, record()).text
    for words in (
        "Failed: at least 3 of the 4 strongest superpixels lie in the region",
        "1 of 4",
        "95 % interval 1 to 2",
        "must be at least 3",
        "1,000 samples",
        "score 0.356, the model's 2nd choice",
        "The strongest superpixel speaks for Egyptian cat with weight 0.121. "
        "Of the 2 that speak most for it 1 lies in the region.",
        "Box(1, 2, 3, 4), 31 % of what the model sees.",
        "columns 75 to 376 and rows 0 to 300 of chelsea.png (451 × 300 pixels), at 224 × 224.",
        "+0.101 to +0.141",
        "−0.080",
        "62 % inside",
        "R² 0.62 on samples that it has not seen, 0.71 on its own (1 is perfect)",
        "the surrogate says 0.31, the model 0.356: a gap of −0.046",
        "45 % keep a tenth of its score",
        "rank correlation 0.81, interval 0.7 to 0.9",
        "0.356 0.020 0.036 0.267 0.300",
        "Without the region, the score is 6 % to 10 % of what it was; the region alone gives 75 % to 84 %.",
        "Intervals speak of sampling error only",
        "2026-11-21 22:10 UTC",
        "41.2 s",
        "pytest 'tests/test_cat.py::test_head' --lime-seed=0",
        "first line second line",
    ):
        assert words in text, words


def test_a_figure_that_took_no_sample_has_no_interval(tmp_path: Path) -> None:
    rank = claim(estimate=3.0, interval=[3.0, 3.0], relation="<=", bound=1.0, figure="rank 3", samples=0)
    text = page(tmp_path, record(claims=[rank])).text
    assert "rank 3 must be at most 1" in text
    assert "interval 3" not in text
    assert "0 samples" not in text


def test_an_exhaustive_run_claims_no_sampling_error(tmp_path: Path) -> None:
    explanation = {**record()["explanation"], "sampler": "exhaustive"}
    assert "no sampling error" in page(tmp_path, record(explanation=explanation)).text


def test_the_whole_image_is_said_to_be_whole(tmp_path: Path) -> None:
    text = page(tmp_path, record(view={"box": [0, 0, 451, 300], "shape": [224, 224]})).text
    assert "The model sees all of chelsea.png, 451 × 300 pixels, at 224 × 224." in text


def test_two_regions_are_told_apart_by_letter(tmp_path: Path) -> None:
    both = [{"text": "Box(0, 0, 1, 1)", "area": 0.1}, {"text": "Box(2, 2, 3, 3)", "area": 0.2}]
    weights = [{"superpixel": 1, "rank": 1, "weight": 0.2, "interval": [0.1, 0.3], "shares": [1.0, 0.25]}]
    shown = page(tmp_path, record(regions=both, weights=weights))
    assert "in A, 25 % in B" in shown.text
    assert "The one that speaks most for it lies in region A." in shown.text
    assert "Outline of A: Box(0, 0, 1, 1); B: Box(2, 2, 3, 3)." in shown.every("img", "alt")


def test_a_claim_names_its_region_as_the_picture_does(tmp_path: Path) -> None:
    both = [{"text": "Box(0, 0, 1, 1)", "area": 0.1}, {"text": "~Box(0, 0, 1, 1)", "area": 0.9}]
    told = {
        **record()["claims"][0],
        "meaning": "most lies in ~Box(0, 0, 1, 1)",
        "note": "10% of Box(0, 0, 1, 1) is cut away",
        "caution": "without ~Box(0, 0, 1, 1) the score stays",
        "asks": "more than -3",
        "regions": [1],
    }
    shown = page(tmp_path, record(regions=both, claims=[told]))
    assert "Failed: most lies in region B" in shown.text
    assert "10% of region A is cut away" in shown.text
    assert "Caution: Without region B the score stays." in shown.text
    assert "must be more than −3" in shown.text
    assert '<bdi class="name">top_overlap</bdi> <span class="region-letters">B</span>' in shown.html


def test_what_speaks_against_a_card_is_told_at_its_top_and_in_the_overview(tmp_path: Path) -> None:
    claim = record()["claims"][0]
    explanation = {**record()["explanation"], "warnings": []}
    quiet = page(tmp_path, record(explanation=explanation, claims=[{**claim, "caution": ""}]))
    assert "with care" not in quiet.text
    cautious = page(tmp_path, record(explanation=explanation, claims=[{**claim, "caution": "look twice"}]))
    assert cautious.text.count("with care") == 1
    warned = page(tmp_path, record(explanation={**explanation, "warnings": ["one superpixel is large"]}))
    assert warned.text.index("Read the weights with care") < warned.text.index("Failed: at least 3")


def test_the_sentence_on_the_heatmap_tells_what_speaks_against_and_what_may_be_nothing(tmp_path: Path) -> None:
    def row(superpixel: int, rank: int | None, weight: float, inside: float) -> dict[str, Any]:
        interval = [weight - 0.5, weight + 0.5]
        return {"superpixel": superpixel, "rank": rank, "weight": weight, "interval": interval, "shares": [inside]}

    weights = [row(3, None, -0.4, 1.0), row(1, 1, 0.2, 0.0), row(2, 2, 0.1, 0.0)]
    text = page(tmp_path, record(weights=weights, regions=[{"text": "Box(1, 2, 3, 4)", "area": 0.3}])).text
    assert (
        "The strongest superpixel speaks against Egyptian cat with weight 0.4, and lies in the region. "
        "Of the 2 that speak most for it none lies in the region. Any of these weights may be 0." in text
    )


def test_every_picture_has_words_for_those_who_do_not_see_it(tmp_path: Path) -> None:
    alts = page(tmp_path, record()).every("img", "alt")
    assert len(alts) == 7
    assert all(len(alt) > 10 for alt in alts)
    assert (
        "Heatmap: the strongest superpixel speaks for Egyptian cat with weight 0.121. "
        "Of the 2 that speak most for it 1 lies in the region." in alts
    )


def test_pictures_load_late_and_keep_their_room(tmp_path: Path) -> None:
    shown = page(tmp_path, record(view={"box": [0, 0, 400, 200], "shape": [224, 224]}))
    assert set(shown.every("img", "loading")) == {"lazy"}
    assert {(w, h) for w, h in zip(shown.every("img", "width"), shown.every("img", "height"), strict=True) if w} == {
        ("1024", "512")
    }


@pytest.mark.parametrize(
    "path",
    [
        "https://example.org/x.png",
        "//example.org/x.png",
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "../secret.png",
        "images/../../secret.png",
        "images/..",
        "images/a b.png",
        "images/a.png\n",
        "/images/a.png",
        "images/sub/a.png",
        'images/a.png" onerror="x',
        7,
        None,
        ["images/a.png"],
    ],
)
def test_a_picture_elsewhere_is_refused(tmp_path: Path, path: object) -> None:
    shown = page(tmp_path, record(pictures={"image": path, "heatmap": path, "regions": path}))
    assert shown.every("img", "src") == []
    assert "names no picture that the report can show" in shown.text


def test_every_text_of_a_record_is_shown_as_text(tmp_path: Path) -> None:
    def spoil(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: item if key == "pictures" else spoil(item) for key, item in value.items()}
        if isinstance(value, list):
            return [spoil(item) for item in value]
        return value + NASTY if isinstance(value, str) else value

    nasty = record()
    kind, status, outcome = (nasty.pop(key) for key in ("kind", "status", "outcome"))
    nasty = {**spoil(nasty), "kind": kind, "status": status, "outcome": outcome, "reason": NASTY}
    shown = page(tmp_path, nasty, command=NASTY, created=NASTY, environment={NASTY: NASTY})
    assert "<script>alert" not in shown.html
    assert "<script>alert(1)</script>\"' onload=x {{ 7 * 7 }} ?" in shown.text
    scripts = shown.every("script", "src")
    assert scripts == ["report.js", "superpixels.js", "panels.js"]
    assert not [name for _, attributes in shown.tags for name in attributes if name.startswith("on")]


def test_foreign_text_is_isolated_from_the_direction_of_the_page(tmp_path: Path) -> None:
    html = page(tmp_path, record(target={"label": "\u202egnirts", "index": 1})).html
    body = html[html.index("<body") :]
    outside = re.sub(r'<bdi[^>]*>.*?</bdi>|alt="[^"]*"', "", body, flags=re.DOTALL)
    assert "\u202e" not in outside


def test_the_page_obeys_a_strict_content_policy(tmp_path: Path) -> None:
    shown = page(tmp_path, *(record(f"r{n}", **kind) for n, kind in enumerate([FAIL, PASS, EXPLAINED])))
    policy = next(attributes["content"] for _, attributes in shown.tags if attributes.get("http-equiv"))
    assert policy == (
        "default-src 'none'; base-uri 'none'; form-action 'none'; "
        "img-src 'self' file:; style-src 'self' file:; script-src 'self' file:"
    )
    assert "http" not in shown.html.replace("http-equiv", "")
    assert not [attributes for _, attributes in shown.tags if "style" in attributes]
    assert "style" not in [tag for tag, _ in shown.tags]
    assert shown.every("link", "href") == ["icon.svg", "report.css", "panels.css"]
    style = (tmp_path / "report.css").read_text("utf-8")
    assert "url(" not in style
    assert "@import" not in style
    assert "http" not in (tmp_path / "report.js").read_text("utf-8")
    # The name of a language of XML, which is no address to load from.
    assert "http" not in (tmp_path / "superpixels.js").read_text("utf-8").replace("http://www.w3.org/2000/svg", "")


def test_ids_are_unique_and_every_link_within_the_page_arrives(tmp_path: Path) -> None:
    shown = page(
        tmp_path, record("same"), record("same"), record("a b/<c>"), record(""), record("checks"), record("same--title")
    )
    ids = [attributes["id"] for _, attributes in shown.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    targets = [href[1:] for href in shown.every("a", "href") + shown.every("use", "href") if href[0] == "#"]
    assert set(targets) <= set(ids)
    assert set(shown.every("label", "for")) <= set(ids)
    pointed = [a for _, attributes in shown.tags if (a := attributes.get("aria-labelledby"))]
    assert set(pointed) <= set(ids)


def test_a_card_can_be_reached_by_the_id_of_its_record(tmp_path: Path) -> None:
    stem = "test-head-tabby-cat-b3a6ec4ff0"
    assert stem in page(tmp_path, record(stem)).every("article", "id")


def test_headings_do_not_skip_a_level(tmp_path: Path) -> None:
    levels = [int(tag[1]) for tag, _ in page(tmp_path, record()).tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_no_record_is_said_kindly(tmp_path: Path) -> None:
    shown = page(tmp_path)
    assert "No check was recorded." in shown.text
    assert "Nothing to show yet" in shown.text
    assert "--lime-report-all" in shown.text


@pytest.mark.parametrize("broken", [{}, {"id": None}, dict.fromkeys(record()), dict.fromkeys(record(), "x")])
def test_a_record_that_says_little_still_gives_a_card(tmp_path: Path, broken: dict[str, Any]) -> None:
    shown = page(tmp_path, broken, record())
    assert len(shown.every("article", "id")) == 2


@pytest.mark.parametrize("name", sorted(set(record()) - {"version", "check"}))
@pytest.mark.parametrize("value", [None, "text", 10**400, -1, [], [None, 3], {}, {"a": 1}, True])
def test_no_single_wrong_value_breaks_the_page(tmp_path: Path, name: str, value: object) -> None:
    assert len(page(tmp_path, {**record(), name: value}).every("article", "id")) == 1


@pytest.mark.parametrize("name", sorted(claim()))
@pytest.mark.parametrize("value", [None, "text", float("inf"), float("nan"), [], [1, None], [2, 1], {}])
def test_no_single_wrong_value_in_a_claim_breaks_the_page(tmp_path: Path, name: str, value: object) -> None:
    assert "Failed" in page(tmp_path, record(claims=[claim(**{name: value})])).text


SPOILT: list[object] = [None, "text", 10**400, -1, float("nan"), [], [None, "x", {}], {}, True]


@pytest.mark.parametrize("name", sorted(record()["interventions"][0]))
@pytest.mark.parametrize("value", SPOILT)
def test_no_single_wrong_value_in_an_intervention_breaks_the_page(tmp_path: Path, name: str, value: object) -> None:
    one = record()["interventions"][0]
    shown = page(tmp_path, record(interventions=[{**one, name: value}, one]))
    assert "Without Box(1, 2, 3, 4), the score is 6 % to 10 % of what it was" in shown.text


@pytest.mark.parametrize("name", sorted(record()["validity"]))
@pytest.mark.parametrize("value", SPOILT)
def test_no_single_wrong_value_of_validity_breaks_the_page(tmp_path: Path, name: str, value: object) -> None:
    assert "How far to trust it" in page(tmp_path, record(validity={**record()["validity"], name: value})).text


def test_a_record_of_an_older_version_is_shown_without_what_it_lacks(tmp_path: Path) -> None:
    old = record()
    del old["interventions"], old["validity"]
    for name in ("needs", "outlook"):
        del old["claims"][0][name]
    shown = page(tmp_path, old)
    assert "Without and alone" not in shown.text
    assert "R² 0.71 (1 is perfect)" in shown.text
    assert "the surrogate says 0.31, the model 0.356" in shown.text
    assert "gap" not in shown.text
    assert "occlusion" not in shown.text


def test_a_check_without_a_region_has_no_table_of_regions(tmp_path: Path) -> None:
    assert "Without and alone" not in page(tmp_path, record(interventions=[])).text


def test_poor_figures_are_marked_in_words(tmp_path: Path) -> None:
    marks = {
        "r2_heldout": "poor: more than 0.25 lower than on its own",
        "gap": "far apart: more than 25\N{NO-BREAK SPACE}% of all that masks change",
        "alive": "too few: below 5\N{NO-BREAK SPACE}%",
        "occlusion": "unlike: surely below 0.2",
    }
    for name, words in marks.items():
        html = page(tmp_path, record(validity={**record()["validity"], "poor": [name]})).html
        assert [found for found in marks.values() if f"</svg>{found}</span>" in html] == [words]
    assert 'class="poor' not in page(tmp_path, record()).html


def test_regions_of_the_table_have_the_letters_of_the_picture(tmp_path: Path) -> None:
    one = record()["interventions"][0]
    twins = [{"text": "Mask(20×10)", "area": area} for area in (0.1, 0.2)]
    rows = [{**one, "region": "Mask(20×10)", "without": without} for without in ([0.356, 0.356], [0.0, 0.178])]
    text = page(tmp_path, record(regions=twins, interventions=rows)).text
    assert "Without region A, the score is 100 % of what it was; region A alone" in text
    assert "Without region B, the score is 0 % to 50 % of what it was; region B alone" in text
    # Of regions in another order no letter is known.
    rows[0]["region"] = "Box(5, 6, 7, 8)"
    text = page(tmp_path, record(regions=twins, interventions=rows)).text
    assert "Without Box(5, 6, 7, 8), the score" in text


@pytest.mark.parametrize("whole", [0.0, -3.5, None])
def test_only_scores_above_nothing_have_shares(tmp_path: Path, whole: float | None) -> None:
    one = {**record()["interventions"][0], "whole": whole}
    text = page(tmp_path, record(interventions=[one])).text
    assert "It alone" in text
    assert "of what it was" not in text


def test_a_score_that_grows_manifold_is_told_in_plain_numbers(tmp_path: Path) -> None:
    one = {**record()["interventions"][0], "whole": 0.001, "without": [0.0378, 0.0356]}
    assert "the score is 3,560 % to 3,780 % of what it was" in page(tmp_path, record(interventions=[one])).text


def test_the_table_of_regions_is_one_to_a_screen_reader(tmp_path: Path) -> None:
    shown = page(tmp_path, record())
    table = re.search(r'<div class="probes">.*?</table>', shown.html, re.DOTALL)
    assert table
    assert '<caption class="visually-hidden">Score of the target' in table[0]
    assert table[0].count('scope="col"') == 6
    assert table[0].count('scope="colgroup" colspan="2"') == 2
    assert table[0].count('scope="row"') == 1


def test_more_fills_than_there_is_room_for_are_left_out(tmp_path: Path) -> None:
    one = record()["interventions"][0]
    many = {**one, "fills": [f"fill{n}" for n in range(99)], "without": [0.1] * 99, "alone": [0.1] * 99}
    shown = page(tmp_path, record(interventions=[many]))
    assert "fill3" in shown.text
    assert "fill4" not in shown.text


def test_an_inconclusive_claim_says_what_would_decide_it(tmp_path: Path) -> None:
    outlook = {"needs": 4000, "outlook": "about 4,000 samples in all should decide it, if the estimate stays"}
    sentence = "About 4,000 samples in all should decide it, if the estimate stays."
    assert sentence in page(tmp_path, record(**UNSURE, claims=[claim(status="inconclusive", **outlook)])).text
    assert sentence not in page(tmp_path, record(claims=[claim(**outlook)])).text


def test_rendering_leaves_the_records_as_they_were(tmp_path: Path) -> None:
    given = results(record(), record(**PASS))
    before = deepcopy(given)
    render(given, tmp_path)
    assert given == before


def test_the_folder_holds_the_page_and_its_assets_only(tmp_path: Path) -> None:
    path = render(results(record()), tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "index.html"
    files = {p.relative_to(path.parent).as_posix() for p in path.parent.rglob("*") if p.is_file()}
    assert files == {"index.html", *ASSETS}


MAP: dict[str, Any] = {"shape": [2, 3], "runs": "17:2 4:1 9:3"}


def test_a_map_of_superpixels_lies_beside_the_page_as_a_script(tmp_path: Path) -> None:
    shown = page(tmp_path, record("cat", segments=MAP), record("dog"), record("no", segments=MAP, pictures={}))
    assert shown.every("article", "data-map") == ["data/cat.js", "", ""]
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["cat.js"]
    text = (tmp_path / "data" / "cat.js").read_text("ascii")
    assert text == '(window.limeMaps ||= {})["cat"] = {"shape":[2,3],"runs":"17:2 4:1 9:3"};\n'


def test_only_the_strongest_are_in_the_chart_and_all_are_in_the_table(tmp_path: Path) -> None:
    weights = [
        {"superpixel": n, "rank": 1 if n == 30 else None, "weight": 1 / (n + 1), "interval": None, "shares": [0.0]}
        for n in range(40)
    ]
    shown = page(tmp_path, record(weights=weights))
    assert [name for name in shown.every("li", "data-superpixel") if name] == [*map(str, range(16)), "30"]
    assert [name for name in shown.every("tr", "data-superpixel") if name] == [*map(str, range(40))]
    assert "All 40 superpixels as a table" in shown.text


def test_a_check_that_passed_without_pictures_is_told_briefly(tmp_path: Path) -> None:
    brief, whole = page(tmp_path, record(**PASS, pictures={})), page(tmp_path, record(**PASS))
    assert "Pictures of checks that pass come with --lime-report-all." in brief.text
    assert "at least 3 of the 4 strongest superpixels" in brief.text
    assert "pytest 'tests/test_cat.py::test_head' --lime-seed=0" in brief.text
    assert "How far to trust it" not in brief.text
    assert "How far to trust it" in whole.text


def self_contained(folder: Path, *records: Any) -> Page:
    return Page(render(results(*records), folder, self_contained=True).read_text("utf-8"))


def test_one_file_holds_everything(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for name in ("a-image.jpg", "a-heatmap.png", "a-borders.svg", "a-regions.svg", "a-top.svg"):
        (images / name).write_bytes(name.encode())
    shown = self_contained(tmp_path, record("cat", segments=MAP))
    assert {path.name for path in tmp_path.iterdir()} == {"images", "index.html"}
    sources = shown.every("img", "src") + shown.every("image", "href")
    assert len(sources) == 6
    assert all(source.startswith("data:image/") for source in sources)
    # The photograph is shown twice and is there once.
    assert [source for source in sources if source.startswith("data:image/jpeg")] == shown.every("image", "href")
    assert shown.every("use", "href").count("#cat--photo") == 1
    assert shown.every("script", "src") == [""] * (1 + len(SCRIPTS))
    assert '<script type="application/json" class="map">{"shape":[2,3],"runs":"17:2 4:1 9:3"}</script>' in shown.html


def test_one_file_allows_its_own_style_and_scripts_by_their_hashes(tmp_path: Path) -> None:
    shown = self_contained(tmp_path, record("cat", segments=MAP))
    policy = next(attributes["content"] for _, attributes in shown.tags if attributes.get("http-equiv")) or ""
    inline = re.findall(r"<style>(.*?)</style>", shown.html, re.DOTALL)
    inline += re.findall(r"<script>(.*?)</script>", shown.html, re.DOTALL)
    assert len(inline) == 1 + len(SCRIPTS)
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in inline]
    assert re.findall(r"'sha256-(.*?)'", policy) == hashes
    assert "unsafe" not in policy
    assert "img-src data:;" in policy


def test_one_file_is_made_although_a_picture_is_missing(tmp_path: Path) -> None:
    shown = self_contained(tmp_path, record())
    assert set(shown.every("img", "src")) == {"data:,"}


def test_texts_cannot_name_pictures_for_one_file_to_hold(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "x.png").write_bytes(b"secret")
    shown = self_contained(tmp_path, record(message='<img src="images/x.png">', pictures={}))
    assert base64.b64encode(b"secret").decode() not in shown.html


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (3.0, "3"),
        (0.356, "0.356"),
        (-0.121, "−0.121"),
        (0.5, "0.5"),
        (0.01234, "0.0123"),
        (0.00368, "0.00368"),
        (-0.0000123, "−1.23e−05"),
        (12.345, "12.3"),
        (123.456, "123"),
        (12000, "12,000"),
        (-4321.5, "−4,322"),
        (1e20, "1.00e+20"),
        (None, "not known"),
        (float("nan"), "not known"),
        (float("inf"), "not known"),
    ],
)
def test_numbers_in_words(value: float | None, text: str) -> None:
    assert number(value) == text


def test_other_words_for_numbers() -> None:
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 111)] == [
        *("1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "111th")
    ]
    assert percent(0.356) == "35.6\xa0%"
    assert percent(None) == "not known"
    assert signed(0.05, 3) == "+0.050"
    assert signed(-0.05, 3) == "−0.050"
    assert signed(0.0, 3) == "0"
    assert signed(0.0004, 3) == "0"
    assert signed(0.0000123, 7) == "+1.23e−05"
    assert signed(None, 3) == "not known"
    assert between(0.46, 0.6) == "0.46 to 0.60"
    assert between(1, 2) == "1 to 2"
    assert between(3, 3) == "3 to 3"
    assert between(-0.1, 0.25) == "−0.10 to 0.25"


def test_numbers_below_each_other_have_their_points_below_each_other() -> None:
    assert [digits(values) for values in ([], [None], [0.0], [0.356, 0.02], [1.0, 0.35], [12.3], [-4321.0])] == [
        *(0, 0, 0, 3, 2, 1, 0)
    ]
    assert [aligned(value, 3) for value in (0.356, 0.02, 0.0, -0.0001, -0.5, None)] == [
        *("0.356", "0.020", "0.000", "0.000", "−0.500", "not known")
    ]
    assert [aligned(value, 9) for value in (2.53e-7, 0.0)] == ["2.53e−07", "0"]
    assert [duration(seconds) for seconds in (None, 7.82, 61.0)] == ["", "7.82\xa0s", "1\xa0min 1\xa0s"]


def test_a_track_places_its_marks_on_the_scale() -> None:
    chart = track(estimate=1.0, interval=(1.0, 2.0), relation=">=", bound=3.0, scale=(0.0, 4.0))
    assert chart is not None
    assert (chart.estimate, chart.bounds) == ("25%", ("75%",))
    assert chart.interval == Bar("25%", "25%")
    assert chart.accepted == Bar("75%", "25%")
    assert chart.bound_label is not None
    assert chart.bound_label.text == "at least 3"
    assert [end.text for end in chart.ends] == ["0", "4"]


def test_a_track_shades_the_other_side_for_an_upper_bound() -> None:
    chart = track(estimate=0.9, interval=None, relation="<=", bound=0.1, scale=(0.0, 1.0))
    assert chart is not None
    assert chart.accepted == Bar("0%", "10%")
    assert chart.bound_label is not None
    assert (chart.bound_label.anchor, chart.bound_label.text) == ("start", "at most 0.1")


@pytest.mark.parametrize(("relation", "bound"), [("<=", 1.0), (">=", 3.0)])
def test_a_bound_at_the_end_of_its_scale_still_shows_what_it_accepts(relation: str, bound: float) -> None:
    chart = track(estimate=2.0, interval=None, relation=relation, bound=bound, scale=(1.0, 3.0))
    assert chart is not None
    assert chart.accepted is not None
    assert float(chart.accepted.width.rstrip("%")) > 5
    assert [end.text for end in chart.ends] == ["1", "3"]


def test_a_track_keeps_marks_outside_its_scale_at_the_edge() -> None:
    chart = track(estimate=9.0, interval=(-3.0, 9.0), relation=">=", bound=3.0, scale=(0.0, 4.0))
    assert chart is not None
    assert chart.estimate == "100%"
    assert chart.interval == Bar("0%", "100%")


@pytest.mark.parametrize("scale", [None, (1.0, 1.0), (4.0, 0.0)])
def test_a_track_without_a_scale_makes_one_that_holds_all_its_marks(scale: tuple[float, float] | None) -> None:
    chart = track(estimate=-2.0, interval=(-3.0, -1.0), relation=">=", bound=0.0, scale=scale)
    assert chart is not None
    places = [chart.interval.x if chart.interval else "", chart.estimate or "", *chart.bounds]
    assert all(0 < float(place.rstrip("%")) < 100 for place in places)
    positive = track(estimate=2.0, interval=None, relation=">=", bound=1.0, scale=None)
    assert positive is not None
    assert positive.ends[0].text == "0"
    assert track(estimate=None, interval=None, relation=">=", bound=1.0, scale=scale) is None
    assert track(estimate=0.0, interval=None, relation=">=", bound=None, scale=None) is not None


def test_the_weight_axis_always_holds_zero() -> None:
    axis = WeightAxis([0.1, 0.3])
    assert [tick.text for tick in axis.ticks] == ["0", "+0.300"]
    assert axis.bar(0.3).x == axis.zero
    both = WeightAxis([-0.5, 0.5])
    assert both.zero == "50%"
    assert both.bar(-0.5).width == both.bar(0.5).width
    assert WeightAxis([]).bar(0.0).width == "0%"
    # A largest weight of exactly 1 does not round the others to whole numbers.
    assert [tick.text for tick in WeightAxis([1.0, -0.75]).ticks] == ["−0.75", "0", "+1.00"]


def test_a_bar_is_measured_by_what_full_means() -> None:
    assert bar(0.25, 1.0) == Bar("0%", "25%")
    assert bar(None, 1.0) == Bar("0%", "0%")
    assert bar(-1.0, 0.0) == Bar("0%", "0%")
