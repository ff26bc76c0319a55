"""Comparisons in the report: every figure in words, calm where a record says little, and nothing scaled astray."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from pytest_lime import LimeOptions
from pytest_lime.groups import Comparison, compare
from pytest_lime.records import VERSION, verdict_of
from pytest_lime.report.charts import Bar, MeanAxis, margin_track
from pytest_lime.report.comparisons import MOST_DOTS, MOST_LISTED, Compared, compared, compared_subject
from pytest_lime.report.evidence import describe_comparison
from pytest_lime.report.render import render

WORDS = {"fail": "Failed", "inconclusive": "Inconclusive", "pass": "Passed"}
GROUPS = {
    "light": [0.60, 0.62, 0.58, 0.61, 0.63],
    "medium": [0.59, 0.61, 0.60, 0.58, 0.62],
    "dark": [0.40, 0.42, 0.38, 0.41, 0.39],
}
SPOILT: list[object] = [None, "text", 10**400, -1, float("nan"), [], [None, "x", {}], {}, {"a": 1}, True]


def found(groups: dict[str, list[float]] | None = None, **changes: Any) -> Comparison:
    figures = {name: dict(enumerate(each)) for name, each in (groups or GROUPS).items()}
    return compare(figures, **{"margin": 0.1, "statistic": "mass", **changes})


def record(comparison: Comparison | None = None, **changes: Any) -> dict[str, Any]:
    """Return the record of a comparison, as a reader of the file finds it."""
    told = comparison or found()
    sizes = {group.name: len(group.units) for group in told.groups} or {"light": 3, "dark": 4}
    described = describe_comparison(
        told,
        sizes=sizes,
        names={group.name: [f"{group.name} {unit}.png" for unit in group.units] for group in told.groups},
        unit="image",
        text="mass(Box(0, 0, 8, 8), at_least=0.5)",
        target={"index": 0, "label": "cat"},
        cost={"images": sum(sizes.values()), "samples": 3000, "passes": 3030, "seconds": 1.5, "device": "cpu"},
        options=LimeOptions(),
        extra={"id": "test-skin-0", "check": 0, "test": "test_skin.py::test_skin", "file": "test_skin.py", "line": 3},
    )
    return {**json.loads(json.dumps(described, allow_nan=False)), "message": told.message(), **changes}


def shown(one: dict[str, Any]) -> Compared:
    return compared(one, verdict_of(one), WORDS)


def page(folder: Path, *records: dict[str, Any]) -> str:
    return render({"format": "pytest-lime", "version": 1, "records": list(records)}, folder).read_text(encoding="utf-8")


class TestRecord:
    def test_what_is_known_of_a_comparison(self) -> None:
        one = record()
        assert (one["version"], one["kind"], one["status"], one["outcome"]) == (VERSION, "comparison", "fail", "passed")
        assert one["target"] == {"index": 0, "label": "cat"}
        assert (one["pictures"], one["claims"], one["options"]["samples"]) == ({}, [], "auto")
        told = one["comparison"]
        assert (told["statistic"], told["margin"], told["confidence"]) == ("mass", 0.1, 0.95)
        assert [(group["name"], group["count"]) for group in told["groups"]] == [
            ("light", 5),
            ("medium", 5),
            ("dark", 5),
        ]
        assert told["groups"][0]["units"][:2] == ["light 0.png", "light 1.png"]
        assert told["groups"][0]["figures"] == GROUPS["light"]
        assert [(pair["first"], pair["second"], pair["status"]) for pair in told["differences"]] == [
            ("light", "medium", "pass"),
            ("light", "dark", "fail"),
            ("medium", "dark", "fail"),
        ]

    def test_where_nothing_was_measured_the_groups_have_sizes(self) -> None:
        few = Comparison(
            statistic="mass", groups=(), differences=(), margin=0.1, confidence=0.95, paired=False, rates=False,
            too_few="too few units",
        )  # fmt: skip
        one = record(few)
        assert one["status"] == "inconclusive"
        assert one["comparison"]["groups"] == [
            {"name": name, "count": count, "mean": None, "interval": [None, None], "units": [], "figures": []}
            for name, count in (("light", 3), ("dark", 4))
        ]

    def test_sources_keep_their_own_names(self) -> None:
        told = compare({"a": {"Ann": 0.5, "Ben": 0.6}, "b": {"Cy": 0.5, "Di": 0.7}}, margin=0.5)
        one = describe_comparison(
            told, sizes={"a": 2, "b": 2}, names={}, unit="source", text="", target={"index": None, "label": None},
            cost={}, options=LimeOptions(), extra={},
        )  # fmt: skip
        assert [group["units"] for group in one["comparison"]["groups"]] == [["Ann", "Ben"], ["Cy", "Di"]]


class TestWords:
    def test_the_gravest_pair_comes_first(self) -> None:
        one = shown(record())
        assert (one.tone, one.word, one.name, one.figure) == ("fail", "Failed", "mass", "+0.208")
        assert one.figures[0] == "between light and dark"
        assert one.figures[1].startswith("90\xa0% interval +0.")
        assert one.figures[2] == "must be within ±0.1"
        assert [(pair.first, pair.second, pair.word) for pair in one.pairs] == [
            ("light", "dark", "Failed"),
            ("medium", "dark", "Failed"),
            ("light", "medium", "Passed"),
        ]
        assert one.pairs[0].beyond == "<\xa00.001"
        assert one.pairs[2].within == "<\xa00.001"
        assert one.pairs[0].within == "1.000"

    def test_groups_have_their_size_mean_and_interval(self) -> None:
        one = shown(record())
        assert [(group.name, group.count, group.mean) for group in one.groups] == [
            ("light", "5 images", "0.608"),
            ("medium", "5 images", "0.600"),
            ("dark", "5 images", "0.400"),
        ]
        assert one.groups[2].interval == "0.380 to 0.420"
        assert one.groups[0].figures[0] == ("light 0.png", "0.600")
        assert "The unit is the image, never the mask." in one.intervals
        assert "95\xa0% confidence" in one.intervals
        assert [(fact.name, fact.value) for fact in one.facts] == [
            ("Images looked at", "15"),
            ("Masked samples", "3,000 (3,030 model passes)"),
            ("Time", "1.5\xa0s"),
        ]

    def test_an_expected_failure_is_no_alarm(self) -> None:
        one = shown(record(outcome="xfailed", reason="known"))
        assert (one.tone, one.pairs[0].tone, one.pairs[2].tone) == ("expected", "expected", "pass")

    @pytest.mark.parametrize(("unit", "words"), [("source", "5 sources"), ("pair", "5 pairs"), ("mask", "5 units")])
    def test_what_a_unit_is(self, unit: str, words: str) -> None:
        one = record()
        one["comparison"]["unit"] = unit
        assert shown(one).groups[0].count == words

    def test_rates_have_no_dots_and_a_whole_scale(self) -> None:
        one = shown(record(found({"a": [1, 1, 0, 1], "b": [1, 0, 1, 1]}, margin=0.5)))
        assert one.kind == "Rate"
        assert [group.dots for group in one.groups] == [[], []]
        assert [end.text for end in one.ends] == ["0.00", "1.00"]
        assert "Intervals of rates" in one.intervals

    def test_of_very_many_images_some_are_drawn_and_listed(self) -> None:
        many = [0.5 + 0.0001 * number for number in range(1000)]
        one = shown(record(found({"a": many, "b": many})))
        assert 0 < len(one.groups[0].dots) <= MOST_DOTS
        assert len(one.groups[0].figures) == MOST_LISTED
        assert one.groups[0].more == "and 800 more, which results.json has"
        assert one.groups[0].count == "1,000 images"

    def test_a_heading_names_a_few_groups(self) -> None:
        names = [{"name": f"group {number}"} for number in range(9)]
        assert compared_subject({"groups": names[:2]}) == "2 groups: group 0, group 1"
        assert compared_subject({"groups": names}) == "9 groups: group 0, group 1, group 2, group 3, 5 more"
        assert compared_subject({}) == "groups"


class TestCharts:
    def test_a_margin_is_accepted_on_both_sides(self) -> None:
        chart = margin_track(estimate=0.0, interval=(-0.05, 0.05), margin=0.1)
        assert chart is not None
        assert chart.estimate == "50%"
        assert chart.accepted is not None
        assert len(chart.bounds) == 2
        assert chart.accepted.x == chart.bounds[0]
        assert [end.text for end in chart.ends] == ["\N{MINUS SIGN}0.100", "+0.100"]
        assert chart.bound_label is not None
        assert (chart.bound_label.text, chart.bound_label.anchor) == ("within ±0.1", "middle")

    def test_a_difference_far_beyond_a_narrow_margin(self) -> None:
        chart = margin_track(estimate=-0.8, interval=(-0.9, -0.7), margin=0.001)
        assert chart is not None
        assert chart.bound_label is not None
        assert chart.bound_label.anchor == "end"
        assert float((chart.estimate or "").rstrip("%")) < 20

    @pytest.mark.parametrize(("estimate", "margin"), [(None, 0.1), (0.1, None), (0.1, 0.0), (0.1, -1.0)])
    def test_nothing_to_draw(self, estimate: float | None, margin: float | None) -> None:
        assert margin_track(estimate=estimate, interval=None, margin=margin) is None

    def test_means_keep_room_at_both_ends(self) -> None:
        axis = MeanAxis([2.0, 3.0], rates=False)
        assert 0 < float(axis.at(2.0).rstrip("%")) < float(axis.at(3.0).rstrip("%")) < 100
        assert [end.text for end in axis.ends] == ["2.00", "3.00"]
        assert [end.text for end in MeanAxis([2.0, 2.0], rates=False).ends] == ["2.00"]
        assert MeanAxis([5.0], rates=True).bar((0.0, 1.0)) == Bar("5.36%", "89.29%")


class TestPage:
    def test_it_has_a_card_of_its_own(self, tmp_path: Path) -> None:
        html = page(tmp_path, record())
        assert 'id="test-skin-0"' in html
        for words in (
            "The only check failed.",
            "mass differs by more than 0.1 among 3 groups",
            "Mean of each group:",
            "Differences of pairs",
            "The figure of every image",
            "light 0.png",
            "mass(Box(0, 0, 8, 8), at_least=0.5)",
            "3 groups: light, medium, dark",
        ):
            assert words in html, words
        # What a check has.
        for words in ("Where the model looks", "How far to trust it", "What the model says"):
            assert words not in html

    def test_too_few_images_are_told_and_nothing_is_drawn(self, tmp_path: Path) -> None:
        few = Comparison(
            statistic="mass", groups=(), differences=(), margin=0.1, confidence=0.95, paired=False, rates=False,
            too_few="too few units; about 70 are needed",
        )  # fmt: skip
        one = record(few, explanation={"images": 0, "samples": 0, "passes": 0, "seconds": 0.0, "device": ""})
        html = page(tmp_path, one)
        assert "about 70 are needed" in html
        # Of each group, and once in the text for an issue.
        assert html.count("not measured") == 4
        assert "3 images" in html
        for words in ("Differences of pairs", "group-plot", "The figure of every image"):
            assert words not in html

    def test_the_predicted_class_has_no_name(self, tmp_path: Path) -> None:
        assert "the predicted class" in page(tmp_path, record(target={"index": None, "label": None}))
        assert "class 3" in page(tmp_path, record(target={"index": 3, "label": None}))

    @pytest.mark.parametrize("name", sorted(set(record()) - {"version", "check", "kind"}))
    @pytest.mark.parametrize("value", SPOILT, ids=str)
    def test_no_single_wrong_value_breaks_the_page(self, tmp_path: Path, name: str, value: object) -> None:
        assert page(tmp_path, {**record(), name: value}).count("<article") == 1

    @pytest.mark.parametrize("value", SPOILT, ids=str)
    def test_no_single_wrong_value_within_breaks_the_page(self, tmp_path: Path, value: object) -> None:
        whole = record()
        told = whole["comparison"]
        spoilt = [{**told, name: value} for name in told]
        for rows in ("groups", "differences"):
            for name in told[rows][0]:
                one = copy.deepcopy(told)
                one[rows][0][name] = value
                spoilt.append(one)
        assert page(tmp_path, *({**whole, "comparison": one} for one in spoilt)).count("<article") == len(spoilt)

    def test_every_text_is_shown_as_text(self, tmp_path: Path) -> None:
        def spoil(value: Any) -> Any:
            if isinstance(value, str):
                return "<script>alert(1)</script>"
            if isinstance(value, dict):
                return {name: spoil(one) for name, one in value.items()}
            return [spoil(one) for one in value] if isinstance(value, list) else value

        html = page(tmp_path, {**spoil(record()), "kind": "comparison"})
        assert "<script>alert" not in html
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
