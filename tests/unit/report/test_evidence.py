"""Evidence: the record of a check is plain JSON, and its pictures are files."""

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_lime import Box, Claim, Explanation, Mask, Verdict, mass, pointing, predicted, top_overlap
from pytest_lime.claims import judge
from pytest_lime.images import load_image
from pytest_lime.probes import Intervention
from pytest_lime.records import VERSION
from pytest_lime.regions import region_sha256
from pytest_lime.report.evidence import describe, draw, draw_thumb
from pytest_lime.verdicts import Check, Layer

Build = Callable[..., Explanation]
WEIGHTS = [0.5, -0.2, 0.1, 0.0, 0.3, -0.4, 0.05, -0.01]
LEFT, RIGHT = Box(0, 0, 10, 10), Box(10, 0, 20, 10)
PLACE = {"id": "test-cat-0123456789", "test": "test_cat.py::test_cat", "file": "test_cat.py", "line": 7}


def record_of(explanation: Explanation, *claims: Claim) -> dict[str, Any]:
    """Return the record as a reader of the file finds it."""
    record: dict[str, Any] = json.loads(json.dumps(describe(judge(explanation, claims), extra=PLACE), allow_nan=False))
    return record


class TestDescribe:
    def test_what_is_known_of_a_check(self, explanation_of: Build) -> None:
        explanation = explanation_of(WEIGHTS, targets=(1,), error=0.01)
        record = record_of(explanation, mass(LEFT, at_least=0.9), predicted())
        assert record["version"] == VERSION
        assert {name: record[name] for name in PLACE} == PLACE
        assert (record["kind"], record["status"]) == ("check", "fail")
        assert record["image"] == {
            "name": "cells.png",
            "width": 20,
            "height": 10,
            "sha256": load_image(explanation.image.pixels).sha256,
        }
        assert record["target"] == {"index": 1, "label": "dog", "score": 0.2, "rank": 2}
        assert [one["label"] for one in record["predictions"]] == ["cat", "dog", "bird"]
        assert [one["claim"] for one in record["claims"]] == ["mass", "predicted"]
        (verdict,) = judge(explanation, (mass(LEFT, at_least=0.9),)).verdicts
        assert record["claims"][0] == {**json.loads(json.dumps(verdict.as_json())), "regions": [0]}
        assert record["claims"][1]["regions"] == []
        assert record["claims"][0]["text"] == "mass(Box(0, 0, 10, 10), at_least=0.9)"
        assert record["regions"] == [{"text": "Box(0, 0, 10, 10)", "area": 0.5}]
        assert record["view"] == {"box": [0, 0, 20, 10], "shape": [10, 20]}
        assert record["options"]["samples"] == "auto"
        assert record["limit"] == 0.5
        assert record["pictures"] == {}
        numbers = record["explanation"]
        assert (numbers["superpixels"], numbers["samples"], numbers["confidence"]) == (8, 400, 0.95)
        assert numbers["passes"] == 403
        assert (numbers["r2"], numbers["intercept"], numbers["device"]) == (0.75, 0.125, "cpu")
        assert numbers["local_prediction"] == pytest.approx(0.125 + sum(WEIGHTS), abs=1e-12)

    @pytest.mark.parametrize(
        ("claim", "status"),
        [
            (mass(LEFT, at_least=0.1), "pass"),
            (mass(LEFT, at_least=0.9), "fail"),
            (top_overlap(LEFT, k=3, at_least=3), "inconclusive"),
        ],
    )
    def test_status(self, explanation_of: Build, claim: Claim, status: str) -> None:
        # The third of the top 3 is a tie between both sides.
        explanation = explanation_of([0.5, 0.1, 0.1, 0.0, 0.3, 0.0, 0.0, 0.0])
        assert record_of(explanation, claim)["status"] == status

    def test_an_explanation_that_no_claim_judged(self, explanation_of: Build) -> None:
        record = describe(Check(explanation_of(WEIGHTS), ()), extra=PLACE)
        assert record["kind"] == "explanation"
        assert (record["claims"], record["regions"]) == ([], [])

    def test_what_hiding_a_region_does(self, explanation_of: Build) -> None:
        probe = Intervention(LEFT, ("blur", "noise"), 0.7, (0.1, 0.2), (0.6, 0.5))
        check = dataclasses.replace(judge(explanation_of(WEIGHTS), (pointing(LEFT),)), interventions=(probe,))
        assert json.loads(json.dumps(describe(check, extra=PLACE)))["interventions"] == [
            {"region": repr(LEFT), "fills": ["blur", "noise"], "whole": 0.7, "without": [0.1, 0.2], "alone": [0.6, 0.5]}
        ]

    @pytest.mark.parametrize(
        ("changes", "poor"),
        [
            ({}, []),
            ({"r2_heldout": [0.1], "r2": [0.2]}, ["r2_heldout"]),
            ({"r2_heldout": [0.4], "r2": [0.7]}, ["r2_heldout"]),
            ({"r2_heldout": [np.nan]}, []),
            ({"local_pred": [1.5]}, ["gap"]),
            ({"sample_scores": [[1e-3]] * 399 + [[1.0]], "local_pred": [0.7]}, ["alive"]),
            ({"opinions": {"occlusion": [WEIGHTS]}}, []),
            ({"opinions": {"occlusion": [[-weight for weight in WEIGHTS]]}}, ["occlusion"]),
        ],
    )
    def test_poor_figures_are_those_that_warnings_tell(
        self, explanation_of: Build, changes: dict[str, Any], poor: list[str]
    ) -> None:
        arrays: dict[str, Any] = {"local_pred": np.array([0.75])}
        for name, value in changes.items():
            given = {key: np.array(rows) for key, rows in value.items()} if isinstance(value, dict) else np.array(value)
            arrays[name] = given
        explanation = dataclasses.replace(explanation_of(WEIGHTS, error=0.001), **arrays)
        validity = record_of(explanation, pointing(LEFT))["validity"]
        assert validity["poor"] == poor
        told = [one for one in explanation.warnings() if "kernel leaves" not in one]
        assert len(told) == len(poor)
        assert (validity["occlusion"] is None) == ("opinions" not in changes)

    def test_regions_are_listed_once(self, explanation_of: Build) -> None:
        claims = (mass(LEFT, at_least=0.1), pointing(RIGHT), top_overlap(LEFT, at_least=1), predicted())
        record = record_of(explanation_of(WEIGHTS), *claims)
        assert [region["text"] for region in record["regions"]] == [repr(LEFT), repr(RIGHT)]
        # One share of each superpixel a region.
        by_superpixel = {weight["superpixel"]: weight["shares"] for weight in record["weights"]}
        assert (by_superpixel[0], by_superpixel[7]) == ([1, 0], [0, 1])

    def test_equal_regions_are_one_and_masks_that_print_alike_are_two(self, explanation_of: Build) -> None:
        left, right = (Mask(np.kron([[side, 1 - side]], np.ones((10, 10)))) for side in (1, 0))
        claims = [mass(region, at_least=0.1) for region in (Box(0, 0, 10, 10), left, LEFT, right, left)]
        record = record_of(explanation_of(WEIGHTS), *claims)
        assert [region["text"] for region in record["regions"]] == [repr(LEFT), repr(left), repr(left)]
        shares = {weight["superpixel"]: weight["shares"] for weight in record["weights"]}
        assert (shares[0], shares[7]) == ([1, 1, 0], [0, 0, 1])

    @pytest.mark.parametrize(
        "covariance", [np.full((1, 8, 8), np.inf), np.zeros((1, 8, 8))], ids=["too few samples", "enumerated"]
    )
    def test_it_is_json_whatever_is_known(self, explanation_of: Build, covariance: Any) -> None:
        claims = (
            mass(LEFT, at_most="area"),
            pointing(RIGHT, 0),
            top_overlap(LEFT, k=2, at_least=0.5),
            predicted(0.1, 3),
        )
        record = record_of(explanation_of(WEIGHTS, covariance=covariance), *claims)
        intervals = [weight["interval"] for weight in record["weights"]]
        assert all(interval is None for interval in intervals) == bool(np.isinf(covariance).all())

    def test_nothing_at_all_was_found(self, explanation_of: Build) -> None:
        record = record_of(explanation_of([0.0] * 8), mass(LEFT, at_least=0.5))
        assert (record["limit"], record["top"]) == (0, 0)


class TestNumbering:
    @pytest.mark.parametrize(
        ("claims", "ranks"),
        [
            ((mass(LEFT, at_least=0.1),), {0: 1, 4: 2, 2: 3, 6: 4}),
            # Never fewer than four of those that speak for the class.
            ((top_overlap(LEFT, k=2, at_least=1),), {0: 1, 4: 2, 2: 3, 6: 4}),
            ((pointing(LEFT),), {0: 1, 4: 2, 2: 3, 6: 4}),
            ((predicted(),), {0: 1, 4: 2, 2: 3, 6: 4}),
            ((top_overlap(LEFT, k=8, at_least=1),), {0: 1, 4: 2, 2: 3, 6: 4}),
        ],
    )
    def test_as_many_as_the_claims_speak_of(
        self, explanation_of: Build, claims: tuple[Claim, ...], ranks: dict[int, int]
    ) -> None:
        record = record_of(explanation_of(WEIGHTS), *claims)
        numbered = {weight["superpixel"]: weight["rank"] for weight in record["weights"] if weight["rank"]}
        assert numbered == ranks
        assert record["top"] == len(ranks)

    @pytest.mark.parametrize(("ks", "numbered"), [((2,), 4), ((5,), 5), ((5, 6, 1), 6), ((8,), 7)])
    def test_the_claim_that_speaks_of_most_decides(
        self, explanation_of: Build, ks: tuple[int, ...], numbered: int
    ) -> None:
        claims = [top_overlap(LEFT, k=k, at_least=1) for k in ks]
        record = record_of(explanation_of([0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.04, -0.1]), *claims)
        assert record["top"] == numbered
        ranks = [weight["rank"] for weight in record["weights"] if weight["rank"]]
        assert sorted(ranks) == list(range(1, numbered + 1))

    def test_a_claim_of_ones_own_says_of_how_many_it_speaks(self, explanation_of: Build) -> None:
        verdict = Verdict(meaning="", estimate=1, interval=(1, 1), relation=">=", bound=0, top=6)
        check = Check(explanation_of([0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.04, -0.1]), (verdict,))
        assert describe(check, extra=PLACE)["top"] == 6

    def test_what_has_a_number_is_listed_however_small(self, explanation_of: Build) -> None:
        # Sixteen speak against the class more loudly than the four that have numbers.
        record = record_of(explanation_of([-1.0] * 16 + [0.1, 0.2, 0.3, 0.4]), predicted())
        assert [weight["superpixel"] for weight in record["weights"]] == [*range(16), 19, 18, 17, 16]
        assert [weight["rank"] for weight in record["weights"]] == [None] * 16 + [1, 2, 3, 4]

    def test_weights_are_listed_by_magnitude(self, explanation_of: Build) -> None:
        listed = [weight["weight"] for weight in record_of(explanation_of(WEIGHTS), predicted())["weights"]]
        assert listed == [0.5, -0.4, 0.3, -0.2, 0.1, 0.05, -0.01, 0.0]

    def test_a_long_list_is_cut(self, explanation_of: Build) -> None:
        weights = [math.cos(j) for j in range(40)]
        listed = record_of(explanation_of(weights), predicted())["weights"]
        # The four that have numbers are among the sixteen.
        assert len(listed) == 16
        assert [one["weight"] for one in listed] == sorted(weights, key=abs, reverse=True)[:16]


class TestWhole:
    def test_every_superpixel_and_where_it_lies(self, explanation_of: Build) -> None:
        weights = [math.cos(j) for j in range(40)]
        check = judge(explanation_of(weights), (mass(LEFT, at_least=0.1),))
        brief, whole = (describe(check, extra=PLACE, whole=whole) for whole in (False, True))
        assert len(brief["weights"]) == 16
        assert [weight["weight"] for weight in whole["weights"]] == sorted(weights, key=abs, reverse=True)
        assert whole["weights"][:16] == brief["weights"]
        assert "segments" not in brief
        assert whole["segments"]["shape"] == [50, 20]
        assert whole["segments"]["runs"].startswith("0:5 1:5 2:5 3:5 0:5")

    def test_hashes(self, explanation_of: Build) -> None:
        explanation = explanation_of(WEIGHTS)
        hashes = record_of(explanation, mass(LEFT, at_least=0.1), pointing(RIGHT), predicted())["hashes"]
        assert hashes == {
            "image": explanation.image.sha256,
            "options": explanation.options.sha256,
            "regions": [region_sha256(region, (10, 20)) for region in (LEFT, RIGHT)],
        }


class TestDraw:
    def test_what_belongs_to_it_is_drawn_too(self, explanation_of: Build, tmp_path: Path) -> None:
        explanation = explanation_of(WEIGHTS)
        verdict = Verdict(
            meaning="", estimate=1, interval=(1, 1), relation=">=", bound=0,
            beside=Layer(explanation.segments[:, ::-1], explanation.weights[0]),
        )  # fmt: skip
        pictures = draw(Check(explanation, (verdict,)), tmp_path, "a", hidden={"alone.0.0": explanation.pixels})
        assert set(pictures) == {
            *("image", "heatmap", "borders", "top", "thumb", "baseline", "baseline_borders", "alone.0.0")
        }
        assert draw_thumb(Check(explanation, (verdict,)), tmp_path, "a") == {"thumb": pictures["thumb"]}

    @pytest.mark.parametrize("claims", [(), (mass(LEFT, at_least=0.1), pointing(RIGHT))])
    def test_pictures_are_files_in_the_folder(
        self, explanation_of: Build, tmp_path: Path, claims: tuple[Claim, ...]
    ) -> None:
        pictures = draw(judge(explanation_of(WEIGHTS, error=0.01), claims), tmp_path, PLACE["id"])  # type: ignore[arg-type]
        assert pictures
        for path in pictures.values():
            assert path.startswith("images/test-cat-0123456789")
            assert (tmp_path / path).stat().st_size > 0
        written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
        assert written == set(pictures.values())

    def test_a_crop_and_padding_are_drawn_too(self, explanation_of: Build, tmp_path: Path) -> None:
        for box in ((10.0, 0.0, 30.0, 10.0), (-5.5, -2.25, 45.0, 12.0)):
            explanation = explanation_of(WEIGHTS, file_size=(10, 40), box=box)
            assert draw(judge(explanation, (mass(Box(10, 0, 20, 10), at_least=0.1),)), tmp_path, "check-0")
