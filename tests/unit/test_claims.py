"""Claims: each passes, fails, stays open, and tells what is wrong with its arguments."""

import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pytest_lime import (
    Box,
    Claim,
    Explanation,
    LimeOptions,
    OptionError,
    RegionError,
    Verdict,
    mass,
    pointing,
    predicted,
    top_overlap,
    whole,
)
from pytest_lime.claims import agrees_with, check_signs, judge

Build = Callable[..., Explanation]
# 4×2 cells of 5×5 pixels; the weights that speak for the class: 0 and 4 to the left, 2 and 6 to the right.
WEIGHTS = [0.5, -0.2, 0.1, 0.0, 0.3, -0.4, 0.05, -0.01]
LEFT, RIGHT = Box(0, 0, 10, 10), Box(10, 0, 20, 10)
REGION: Any = LEFT


def judged(claim: Claim, explanation: Explanation) -> Verdict:
    """Return the verdict as a check has it, with the claim's name, text and regions."""
    (verdict,) = judge(explanation, (claim,)).verdicts
    return verdict


class TestTopOverlap:
    @pytest.mark.parametrize(
        ("region", "k", "at_least", "status", "figure"),
        [
            (LEFT, 2, 2, "pass", "2 of 2"),
            (LEFT, 4, 2, "pass", "2 of 4"),
            (LEFT, 4, 3, "fail", "2 of 4"),
            (RIGHT, 1, 1, "fail", "0 of 1"),
            # What speaks against the class is not among what speaks most for it.
            (whole(), 8, 1.0, "fail", "4 of 8"),
            (whole(), 4, 1.0, "pass", "4 of 4"),
            (LEFT, 4, 0.5, "pass", "2 of 4"),
            (LEFT, 4, 0.51, "fail", "2 of 4"),
        ],
    )
    def test_without_sampling_error(
        self, *, explanation_of: Build, region: Any, k: int, at_least: float, status: str, figure: str
    ) -> None:
        verdict = judged(top_overlap(region, k=k, at_least=at_least), explanation_of(WEIGHTS))
        assert (verdict.status, verdict.figure) == (status, figure)
        assert verdict.interval == (verdict.estimate, verdict.estimate)
        assert verdict.scale == (0.0, float(k))
        assert verdict.relation == ">="
        assert verdict.samples == 400
        assert verdict.regions == (region,)

    def test_it_stays_open_while_superpixels_on_both_sides_cannot_be_told_apart(self, explanation_of: Build) -> None:
        claim = top_overlap(LEFT, k=2, at_least=2)
        # 0.3 to the left against 0.1 to the right: 2.45 standard errors of a difference, one of 7 comparisons.
        open_, sure = (judged(claim, explanation_of(WEIGHTS, error=error)) for error in (0.058, 0.0575))
        assert (open_.status, open_.interval, open_.estimate) == ("inconclusive", (1, 2), 2)
        assert (sure.status, sure.interval) == ("pass", (2, 2))

    @pytest.mark.parametrize(
        ("k", "at_least", "needed"),
        [
            (5, 0.6, 3),
            (5, 0.61, 4),
            (25, 0.28, 7),  # 7.000000000000001 in floating point
            (100, 0.07, 7),
            (10, 0.3, 3),
            (10, 0.7, 7),
            (3, 1 / 3, 1),
            (3, 2 / 3, 2),
            (7, 1.0, 7),
            (7, 1, 1),
            (4, 0.01, 1),
            (4, np.float64(0.75), 3),
            (4, np.int64(3), 3),
        ],
    )
    def test_a_share_of_k_is_rounded_up_but_not_by_binary_fractions(
        self, explanation_of: Build, k: int, at_least: float, needed: int
    ) -> None:
        assert judged(top_overlap(LEFT, k=k, at_least=at_least), explanation_of(WEIGHTS * 13)).bound == needed

    def test_words(self, explanation_of: Build) -> None:
        verdict = judged(top_overlap(LEFT, at_least=3), explanation_of(WEIGHTS))
        assert verdict.claim == "top_overlap"
        assert verdict.text == "top_overlap(Box(0, 0, 10, 10), k=4, at_least=3)"
        assert verdict.meaning == "at least 3 of the 4 superpixels that speak most for 'cat' lie in Box(0, 0, 10, 10)"
        assert verdict.sentence == "found 2 of 4, needs at least 3; interval 2 … 2"
        assert verdict.note == ""
        assert verdict.top == 4

    def test_few_that_speak_for_the_class_are_noted(self, explanation_of: Build) -> None:
        verdict = judged(top_overlap(LEFT, k=6, at_least=2), explanation_of(WEIGHTS))
        assert verdict.note == "only 4 of the 6 speak for 'cat' at all"

    @pytest.mark.parametrize(
        ("error", "status", "note"),
        [
            (0.0, "fail", "no superpixel speaks for 'cat'"),
            (1.0, "inconclusive", "taken together, the samples do not tell whether any superpixel speaks for 'cat'"),
        ],
    )
    def test_nothing_that_speaks_for_the_class(
        self, explanation_of: Build, error: float, status: str, note: str
    ) -> None:
        explanation = explanation_of([-1.0, -2.0, -0.5, -1.0] * 2, error=error)
        verdict = judged(top_overlap(whole(), k=2, at_least=1), explanation)
        assert (verdict.status, verdict.figure, verdict.note) == (status, "0 of 2", note)

    def test_more_than_there_are(self, explanation_of: Build) -> None:
        with pytest.raises(OptionError, match="k=9 is more than the 8 superpixels"):
            judged(top_overlap(LEFT, k=9, at_least=1), explanation_of(WEIGHTS))

    @pytest.mark.parametrize(
        ("k", "at_least", "words"),
        [
            (0, 1, "k=0 must be"),
            (2.0, 1, "k=2.0 must be"),
            (True, 1, "k=True must be"),
            (4, 5, "at_least=5 must be a whole number of superpixels in 1…k=4"),
            (4, 0, "at_least=0 must be"),
            (4, True, "at_least=True must be"),
            (4, 0.0, "at_least=0.0 must be"),
            (4, 1.5, "at_least=1.5 must be"),
            (4, math.nan, "at_least=nan must be"),
            (4, "3", "at_least='3' must be"),
            (4, None, "at_least=None must be"),
        ],
    )
    def test_misuse(self, k: Any, at_least: Any, words: str) -> None:
        with pytest.raises(OptionError) as caught:
            top_overlap(LEFT, k=k, at_least=at_least)
        assert words in str(caught.value)


class TestMass:
    @pytest.mark.parametrize(
        ("region", "bounds", "status"),
        [
            (LEFT, {"at_least": 0.8}, "pass"),
            (LEFT, {"at_least": 0.9}, "fail"),
            (RIGHT, {"at_most": 0.2}, "pass"),
            (RIGHT, {"at_most": 0.1}, "fail"),
            (RIGHT, {"at_most": "area"}, "pass"),
            (LEFT, {"at_most": "area"}, "fail"),
            (whole(), {"at_least": 1}, "pass"),
            (whole(), {"at_most": "area"}, "pass"),
            (Box(5, 0, 10, 5), {"at_most": 0}, "pass"),
        ],
    )
    def test_without_sampling_error(
        self, explanation_of: Build, region: Any, bounds: dict[str, Any], status: str
    ) -> None:
        verdict = judged(mass(region, **bounds), explanation_of(WEIGHTS))
        assert verdict.status == status
        assert verdict.relation == (">=" if "at_least" in bounds else "<=")
        assert verdict.scale == (0, 1)

    @pytest.mark.parametrize(
        ("region", "area"), [(LEFT, 0.5), (Box(0, 0, 5, 5), 0.125), (Box(0, 0, 1, 4), 0.02), (whole(), 1.0)]
    )
    def test_area_is_the_share_of_what_the_model_sees(self, explanation_of: Build, region: Any, area: float) -> None:
        verdict = judged(mass(region, at_most="area"), explanation_of(WEIGHTS))
        assert verdict.bound == pytest.approx(area, abs=1e-12)
        share = f"at most {area:.3g} (the region's share of the area)"
        assert verdict.meaning == f"{share} of the weight that speaks for 'cat' lies in {region!r}"

    def test_area_under_a_crop_counts_what_is_seen(self, explanation_of: Build) -> None:
        explanation = explanation_of(WEIGHTS, file_size=(10, 40), box=(10, 0, 30, 10))
        assert judged(mass(Box(0, 0, 20, 10), at_most="area"), explanation).bound == pytest.approx(0.5, abs=1e-12)

    @pytest.mark.parametrize(("error", "status"), [(0.02, "pass"), (0.2, "inconclusive")])
    def test_sampling_error_leaves_it_open(self, explanation_of: Build, error: float, status: str) -> None:
        verdict = judged(mass(LEFT, at_least=0.7), explanation_of(WEIGHTS, error=error))
        assert verdict.status == status
        assert verdict.estimate == pytest.approx(0.8 / 0.95)
        assert verdict.interval[0] < verdict.estimate < verdict.interval[1]

    def test_words(self, explanation_of: Build) -> None:
        verdict = judged(mass(LEFT, at_least=0.9), explanation_of(WEIGHTS))
        assert verdict.text == "mass(Box(0, 0, 10, 10), at_least=0.9)"
        assert verdict.meaning == "at least 0.9 of the weight that speaks for 'cat' lies in Box(0, 0, 10, 10)"
        assert verdict.sentence == "found 0.842, needs at least 0.9; interval 0.842 … 0.842"

    def test_nothing_that_speaks_for_the_class_is_noted(self, explanation_of: Build) -> None:
        # A share of nothing is neither small nor large.
        for claim in (mass(LEFT, at_most=0.5), mass(LEFT, at_least=0.5)):
            verdict = judged(claim, explanation_of([-1.0, -2.0, 0.0, -1.0] * 2))
            assert (verdict.status, verdict.note) == ("inconclusive", "no superpixel speaks for 'cat'")
            assert (verdict.estimate, verdict.interval) == (0, (0, 1))

    def test_what_the_samples_do_not_tell_is_noted(self, explanation_of: Build) -> None:
        verdict = judged(mass(LEFT, at_least=0.5), explanation_of(WEIGHTS, error=0.5))
        assert verdict.status == "inconclusive"
        assert verdict.note == "taken together, the samples do not tell whether any superpixel speaks for 'cat'"

    @pytest.mark.parametrize(
        ("bounds", "words"),
        [
            ({}, "exactly one of at_least and at_most"),
            ({"at_least": 0.1, "at_most": 0.2}, "exactly one of at_least and at_most"),
            ({"at_least": 1.1}, "at_least=1.1 must be a number in [0, 1]"),
            ({"at_least": -0.1}, "at_least=-0.1 must be a number in [0, 1]"),
            ({"at_least": "area"}, "at_least='area' must be"),
            ({"at_least": math.nan}, "at_least=nan must be"),
            ({"at_most": "aera"}, "must be a number in [0, 1], or 'area'"),
            ({"at_most": True}, "at_most=True must be"),
            ({"at_most": 50}, "at_most=50 must be"),
        ],
    )
    def test_misuse(self, bounds: dict[str, Any], words: str) -> None:
        with pytest.raises(OptionError) as caught:
            mass(LEFT, **bounds)
        assert words in str(caught.value)


CORNER = Box(15, 0, 20, 5)  # the cell 3, whose nearest pixel centre lies 13 pixels right of the centre of cell 0


class TestPointing:
    @pytest.mark.parametrize(
        ("region", "tolerance", "status", "distance", "figure"),
        [
            (LEFT, 0, "pass", 0, "inside"),
            (CORNER, 13, "pass", 13, "13 pixels away"),
            (CORNER, 12.9, "fail", 13, "13 pixels away"),
            (Box(0, 5, 5, 10), 3, "pass", 3, "3 pixels away"),
            (Box(5, 5, 10, 10), 4, "fail", math.hypot(3, 3), "4 pixels away"),
            (Box(0, 0, 3, 5), 0, "pass", 0, "inside"),  # 15 of the 25 pixels of cell 0
            (Box(4, 0, 5, 5), 2, "pass", 2, "2 pixels away"),  # 5 of the 25
        ],
    )
    def test_distances(
        self, *, explanation_of: Build, region: Any, tolerance: float, status: str, distance: float, figure: str
    ) -> None:
        verdict = judged(pointing(region, tolerance), explanation_of(WEIGHTS))
        assert verdict.status == status
        assert verdict.estimate == pytest.approx(distance, abs=1e-9)
        assert verdict.interval == pytest.approx((distance, distance), abs=1e-9)
        assert (verdict.relation, verdict.bound, verdict.figure) == ("<=", tolerance, figure)

    def test_distances_are_in_pixels_of_the_file(self, explanation_of: Build) -> None:
        # The file has twice the model's resolution, and begins 20 pixels left of what the model sees.
        explanation = explanation_of(WEIGHTS, file_size=(20, 80), box=(20, 0, 60, 20))
        verdict = judged(pointing(Box(50, 0, 60, 10), 30), explanation)
        # From the middle of cell 0, (25, 5), to the centre of the nearest pixel, (50.5, 4.5) or (50.5, 5.5).
        assert verdict.estimate == pytest.approx(math.hypot(25.5, 0.5), abs=1e-9)

    def test_every_superpixel_that_may_be_the_strongest_counts(self, explanation_of: Build) -> None:
        verdict = judged(pointing(Box(0, 0, 5, 5), 2), explanation_of(WEIGHTS, error=0.06))
        assert (verdict.status, verdict.estimate) == ("inconclusive", 0)
        # Cell 4 lies below cell 0; its centre is 3 pixels from the nearest centre of the region.
        assert verdict.interval == pytest.approx((0, 3), abs=1e-9)

    @pytest.mark.parametrize(("error", "status"), [(0.0, "pass"), (0.05, "pass"), (0.054, "inconclusive")])
    def test_sampling_error(self, explanation_of: Build, error: float, status: str) -> None:
        # 0.5 in the region, 0.3 below it: sure up to an error of 0.2 / (√2 · 2.71) = 0.052, one of 15 comparisons.
        assert judged(pointing(Box(0, 0, 5, 5), 2), explanation_of(WEIGHTS, error=error)).status == status

    def test_a_tie_within_the_region_is_no_doubt(self, explanation_of: Build) -> None:
        verdict = judged(pointing(LEFT, 0), explanation_of([0.5, 0.5, 0.1, 0.1] * 2))
        assert (verdict.status, verdict.interval) == ("pass", (0, 0))

    def test_the_central_pixel_of_a_ring_lies_on_it(self, explanation_of: Build) -> None:
        explanation = explanation_of([0.1, 0.9], columns=2)
        ring = np.ones((5, 10), dtype=np.int64)
        ring[1:4, 2:8] = 0  # the hole holds the centroid
        explanation.segments[:] = ring
        verdict = judged(pointing(Box(4, 2, 6, 3), 10), explanation)
        # The pixels of the ring nearest to the centroid (5, 2.5) lie above or below the hole, 2 pixels off.
        assert verdict.estimate == pytest.approx(2, abs=1e-9)

    def test_words(self, explanation_of: Build) -> None:
        verdict = judged(pointing(CORNER), explanation_of(WEIGHTS))
        assert verdict.text == "pointing(Box(15, 0, 20, 5), tolerance=15)"
        assert verdict.meaning == (
            "the superpixel that speaks most for 'cat' lies in Box(15, 0, 20, 5), or within 15 pixels of it"
        )

    def test_nothing_that_speaks_for_the_class_is_noted(self, explanation_of: Build) -> None:
        verdict = judged(pointing(LEFT), explanation_of([-1.0, -2.0, -0.5, -1.0] * 2))
        assert verdict.note == "no superpixel speaks for 'cat'"
        # Nowhere is farther than any place of the image.
        assert (verdict.status, verdict.figure) == ("fail", "nowhere")
        farthest = math.hypot(20, 10)
        assert verdict.interval == pytest.approx((farthest, farthest), abs=1e-9)
        assert verdict.estimate == pytest.approx(farthest, abs=1e-9)
        assert verdict.top == 1

    def test_nowhere_is_out_of_every_tolerance(self, explanation_of: Build) -> None:
        verdict = judged(pointing(LEFT, 100), explanation_of([-1.0, -2.0, -0.5, -1.0] * 2))
        assert (verdict.status, verdict.estimate, verdict.scale) == ("fail", 101, (0, 101))

    def test_perhaps_nowhere_stays_open(self, explanation_of: Build) -> None:
        verdict = judged(pointing(LEFT), explanation_of([-1.0, -2.0, -0.5, -1.0] * 2, error=1))
        assert (verdict.status, verdict.figure) == ("inconclusive", "nowhere")
        assert verdict.interval == pytest.approx((0, math.hypot(20, 10)), abs=1e-9)
        assert verdict.note == "taken together, the samples do not tell whether any superpixel speaks for 'cat'"

    @pytest.mark.parametrize("tolerance", [-1, "15", None, True, math.nan, math.inf])
    def test_misuse(self, tolerance: Any) -> None:
        with pytest.raises(OptionError, match=r"pointing: tolerance=.* must be a number of at least 0"):
            pointing(LEFT, tolerance)


class TestPredicted:
    @pytest.mark.parametrize(
        ("arguments", "target", "status", "estimate", "relation", "bound"),
        [
            ({}, 0, "pass", 1, "<=", 1),
            ({}, 1, "fail", 2, "<=", 1),
            ({"rank": 2}, 1, "pass", 2, "<=", 2),
            ({"at_least": 0.5}, 0, "pass", 0.7, ">=", 0.5),
            ({"at_least": 0.8}, 0, "fail", 0.7, ">=", 0.8),
            ({"at_least": 0.1}, 1, "fail", 2, "<=", 1),
            ({"at_least": 0.1, "rank": 2}, 1, "pass", 0.2, ">=", 0.1),
            ({"at_least": 0.1, "rank": None}, 2, "pass", 0.1, ">=", 0.1),
            ({"at_least": 0.2, "rank": None}, 2, "fail", 0.1, ">=", 0.2),
            ({"at_least": -5, "rank": None}, 2, "pass", 0.1, ">=", -5),
        ],
    )
    def test_rank_and_score(
        self,
        *,
        explanation_of: Build,
        arguments: dict[str, Any],
        target: int,
        status: str,
        estimate: float,
        relation: str,
        bound: float,
    ) -> None:
        verdict = judged(predicted(**arguments), explanation_of(WEIGHTS, targets=(target,)))
        assert (verdict.status, verdict.relation) == (status, relation)
        assert (verdict.estimate, verdict.bound) == pytest.approx((estimate, bound), abs=1e-12)
        assert verdict.interval == (verdict.estimate, verdict.estimate)
        assert verdict.samples == 0
        assert verdict.scale[0] <= min(estimate, bound) <= max(estimate, bound) <= verdict.scale[1]
        # The figure shown is the one that decides.
        assert verdict.holds == (status == "pass")

    @pytest.mark.parametrize(
        ("arguments", "text", "meaning"),
        [
            ({}, "predicted(rank=1)", "'cat' has the highest score"),
            ({"rank": 5}, "predicted(rank=5)", "'cat' is among the 5 classes of highest score"),
            (
                {"at_least": 0.5},
                "predicted(at_least=0.5)",
                "'cat' has the highest score and has a score of at least 0.5",
            ),
            (
                {"at_least": 0.5, "rank": None},
                "predicted(at_least=0.5, rank=None)",
                "'cat' has a score of at least 0.5",
            ),
        ],
    )
    def test_words(self, explanation_of: Build, arguments: dict[str, Any], text: str, meaning: str) -> None:
        verdict = judged(predicted(**arguments), explanation_of(WEIGHTS))
        assert (verdict.text, verdict.meaning) == (text, meaning)

    @pytest.mark.parametrize(
        ("rank", "note"),
        [
            (2, ""),
            (3, "a rank of 3 among 3 classes asks nothing"),
            (5, "a rank of 5 among 3 classes asks nothing"),
            (None, ""),
        ],
    )
    def test_a_rank_that_every_class_has_is_noted(self, explanation_of: Build, rank: int | None, note: str) -> None:
        verdict = judged(predicted(at_least=0.5, rank=rank), explanation_of(WEIGHTS))
        assert (verdict.status, verdict.note) == ("pass", note)

    @pytest.mark.parametrize(("rank", "status"), [(1, "fail"), (2, "pass")])
    def test_of_equal_scores_none_is_the_highest(self, explanation_of: Build, rank: int, status: str) -> None:
        for target in (0, 1):
            explanation = explanation_of(WEIGHTS, prediction=(0.4, 0.4, 0.2), targets=(target,))
            verdict = judged(predicted(rank=rank), explanation)
            assert (verdict.status, verdict.figure) == (status, "rank 2 (score 0.4)")

    def test_it_needs_no_interval(self, explanation_of: Build) -> None:
        assert judged(predicted(), explanation_of(WEIGHTS)).sentence == "found rank 1 (score 0.7), needs rank 1"

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"rank": None}, "give at_least, or rank, or both"),
            ({"rank": 0}, "rank=0 must be a whole number of at least 1"),
            ({"rank": 1.0}, "rank=1.0 must be"),
            ({"rank": True}, "rank=True must be"),
            ({"at_least": "0.5"}, "at_least='0.5' must be a number."),
            ({"at_least": math.nan}, "at_least=nan must be a number."),
            ({"at_least": math.inf}, "at_least=inf must be a number."),
        ],
    )
    def test_misuse(self, arguments: dict[str, Any], words: str) -> None:
        with pytest.raises(OptionError) as caught:
            predicted(**arguments)
        assert words in str(caught.value)


# Ranks the superpixels as WEIGHTS but for cells 0 and 4, the strongest two.
NEARLY = [0.3, -0.2, 0.1, 0.0, 0.5, -0.4, 0.05, -0.01]


def asked(explanation: Explanation, **opinions: Any) -> Explanation:
    found = {name: np.atleast_2d(np.asarray(opinion, dtype=np.float64)) for name, opinion in opinions.items()}
    return dataclasses.replace(explanation, opinions=found)


class TestAgreesWith:
    @pytest.mark.parametrize(
        ("opinion", "at_least", "status", "estimate"),
        [
            (WEIGHTS, 1, "pass", 1.0),
            (NEARLY, 0.9, "pass", 1 - 6 * 2 / (8 * 63)),
            (NEARLY, 0.98, "fail", 1 - 6 * 2 / (8 * 63)),
            ([-weight for weight in WEIGHTS], -1, "pass", -1.0),
            ([-weight for weight in WEIGHTS], 0, "fail", -1.0),
        ],
    )
    def test_without_sampling_error(
        self, *, explanation_of: Build, opinion: list[float], at_least: float, status: str, estimate: float
    ) -> None:
        claim = agrees_with("occlusion", at_least=at_least)
        verdict = judged(claim, asked(explanation_of(WEIGHTS), occlusion=opinion))
        assert (verdict.status, verdict.relation, verdict.bound) == (status, ">=", at_least)
        assert verdict.estimate == pytest.approx(estimate, abs=1e-12)
        assert verdict.interval == pytest.approx((estimate, estimate), abs=1e-12)
        assert (verdict.scale, verdict.samples, verdict.regions, verdict.note) == ((-1, 1), 400, (), "")

    def test_sampling_error_leaves_it_open(self, explanation_of: Build) -> None:
        verdict = judged(
            agrees_with("occlusion", at_least=0.9), asked(explanation_of(WEIGHTS, error=0.1), occlusion=NEARLY)
        )
        assert verdict.status == "inconclusive"
        assert verdict.interval[0] < 0.9 < verdict.estimate < verdict.interval[1]

    def test_words(self, explanation_of: Build) -> None:
        explanation = asked(explanation_of(WEIGHTS), **{"gradcam:layer4": NEARLY})
        verdict = judged(agrees_with("gradcam:layer4", at_least=0.98), explanation)
        assert verdict.claim == "agrees_with"
        assert verdict.text == "agrees_with('gradcam:layer4', at_least=0.98)"
        assert verdict.meaning == (
            "Grad-CAM at 'layer4' ranks the superpixels as the weights for 'cat' do, with a rank correlation of at "
            "least 0.98"
        )
        assert verdict.sentence == "found 0.976, needs at least 0.98; interval 0.976 … 0.976"

    @pytest.mark.parametrize(
        ("weights", "opinion", "note"),
        [
            (WEIGHTS, [0.0] * 8, "it says the same of every superpixel, 0"),
            ([0.0] * 8, WEIGHTS, "all weights are the same"),
        ],
    )
    def test_without_a_correlation_nothing_is_decided(
        self, explanation_of: Build, weights: list[float], opinion: list[float], note: str
    ) -> None:
        for at_least in (-0.5, 0.5):
            claim = agrees_with("gradcam", at_least=at_least)
            verdict = judged(claim, asked(explanation_of(weights), gradcam=opinion))
            assert (verdict.status, verdict.figure, verdict.interval) == ("inconclusive", "no correlation", (-1, 1))
            assert verdict.note == f"the rank correlation with Grad-CAM has no value: {note}"
            json.dumps(verdict.as_json(), allow_nan=False)

    def test_it_names_what_is_to_be_asked(self) -> None:
        claim = agrees_with("gradcam:a.b", at_least=0.5)
        assert (claim.opinions, claim.asked()) == (("gradcam:a.b",), ("gradcam:a.b",))
        assert (claim.name, claim.regions, claim.needs_sign) == ("agrees_with", (), True)
        assert eval(repr(claim)) == claim

    def test_what_was_not_asked_is_told(self, explanation_of: Build) -> None:
        with pytest.raises(OptionError, match=r"opinion 'gradcam' was not asked for \(asked for: none\)"):
            judged(agrees_with("gradcam", at_least=0.5), explanation_of(WEIGHTS))

    @pytest.mark.parametrize(
        ("opinion", "at_least", "words"),
        [
            ("oclusion", 0.5, "opinion 'oclusion' must be 'occlusion', 'gradcam', or"),
            ("oclusion", 0.5, "the nearest is 'occlusion'"),
            (["occlusion"], 0.5, "opinion ['occlusion'] must be"),
            (None, 0.5, "opinion None must be"),
            ("gradcam", 1.1, "agrees_with: at_least=1.1 must be a number in [-1, 1]"),
            ("gradcam", "0.5", "agrees_with: at_least='0.5' must be"),
            ("gradcam", True, "agrees_with: at_least=True must be"),
            ("gradcam", math.nan, "agrees_with: at_least=nan must be"),
        ],
    )
    def test_misuse(self, opinion: Any, at_least: Any, words: str) -> None:
        with pytest.raises(OptionError) as caught:
            agrees_with(opinion, at_least=at_least)
        assert words in str(caught.value)

    def test_the_bound_must_be_given(self) -> None:
        with pytest.raises(OptionError, match="at_least"):
            agrees_with("occlusion")  # type: ignore[call-arg]


SIGNED = [
    top_overlap(LEFT, k=2, at_least=1),
    mass(LEFT, at_least=0.5),
    pointing(LEFT),
    agrees_with("occlusion", at_least=0.5),
]


class TestWeightsWithoutASign:
    @pytest.mark.parametrize("claim", SIGNED, ids=lambda claim: claim.name)
    def test_they_are_refused_by_name(self, explanation_of: Build, claim: Claim) -> None:
        explanation = explanation_of(WEIGHTS, signed=False)
        explanation = dataclasses.replace(explanation, options=LimeOptions(surrogate="tree"))
        words = (
            f"{claim.name} asks what speaks for a class or against it, and the weights of surrogate='tree' have no "
            "sign: choose 'ridge', 'linear' or 'lasso'."
        )
        with pytest.raises(OptionError) as judging:
            judge(explanation, (predicted(), claim))
        with pytest.raises(OptionError) as before:
            check_signs((predicted(), claim), explanation.options)
        assert str(judging.value) == str(before.value) == words

    def test_claims_that_need_none_are_judged(self, explanation_of: Build) -> None:
        claims = (predicted(), FewPositive())
        check_signs(claims, LimeOptions(surrogate="tree"))
        assert len(judge(explanation_of(WEIGHTS, signed=False), claims).verdicts) == 2

    def test_a_claim_of_ones_own_may_need_one(self, explanation_of: Build) -> None:
        class Signed(FewPositive):
            needs_sign = True

        with pytest.raises(OptionError, match="Signed asks what speaks for a class"):
            judge(explanation_of(WEIGHTS, signed=False), (Signed(),))

    @pytest.mark.parametrize("surrogate", ["ridge", "linear", "lasso"])
    def test_the_others_have_one(self, surrogate: str) -> None:
        check_signs(SIGNED, LimeOptions(surrogate=surrogate))


MAKERS: dict[str, Callable[[Any], Claim]] = {
    "top_overlap": lambda region: top_overlap(region, k=2, at_least=1),
    "mass": lambda region: mass(region, at_least=0.5),
    "pointing": lambda region: pointing(region, 0),
}


@pytest.mark.parametrize("name", MAKERS)
class TestClaimsAboutARegion:
    def test_something_else_than_a_region(self, name: str) -> None:
        with pytest.raises(RegionError, match=rf"{name}: \(0, 0, 5, 5\) is no region; pass Box"):
            MAKERS[name]((0, 0, 5, 5))

    def test_name_region_and_repr(self, name: str) -> None:
        claim = MAKERS[name](REGION)
        assert (claim.name, claim.regions) == (name, (REGION,))
        assert eval(repr(claim)) == claim

    @pytest.mark.parametrize(
        ("region", "hidden"),
        [(Box(10, 0, 12, 10), ""), (Box(9, 0, 20, 10), ""), (Box(0, 0, 20, 10), "50%"), (Box(28, 0, 34, 10), "67%")],
        ids=repr,
    )
    def test_what_the_crop_cuts_away_is_noted(self, explanation_of: Build, name: str, region: Box, hidden: str) -> None:
        # The model sees columns 10 to 30 of 40.
        explanation = explanation_of(WEIGHTS, file_size=(10, 40), box=(10, 0, 30, 10))
        note = judged(MAKERS[name](region), explanation).note
        words = f"{hidden} of {region!r} lies in the part of the image that the model's crop cuts away"
        assert note == (words if hidden else "")

    def test_a_region_outside_is_told(self, explanation_of: Build, name: str) -> None:
        with pytest.raises(RegionError, match=r"on image 'cells\.png', which is 20×10 pixels, reaches outside of it"):
            judged(MAKERS[name](Box(0, 0, 50, 5)), explanation_of(WEIGHTS))

    def test_too_few_samples_leave_it_open_and_the_record_is_json(self, explanation_of: Build, name: str) -> None:
        explanation = explanation_of(WEIGHTS, covariance=np.full((1, 8, 8), np.inf))
        verdict = judged(MAKERS[name](LEFT), explanation)
        assert verdict.status == "inconclusive"
        assert verdict.holds
        json.dumps(verdict.as_json(), allow_nan=False)


def test_all_claims_are_judged_also_after_one_has_failed(explanation_of: Build) -> None:
    claims = (predicted(at_least=0.9), mass(LEFT, at_least=0.5), top_overlap(RIGHT, k=2, at_least=2))
    check = judge(explanation_of(WEIGHTS), claims)
    assert [verdict.status for verdict in check.verdicts] == ["fail", "pass", "fail"]
    assert [verdict.claim for verdict in check.verdicts] == ["predicted", "mass", "top_overlap"]


class FewPositive(Claim):
    """A claim of a user's own, as short as it can be."""

    def __init__(self, at_most: float = 4) -> None:
        self.at_most = at_most

    def __repr__(self) -> str:
        return f"FewPositive({self.at_most})"

    def judge(self, explanation: Explanation) -> Verdict:
        count = float((explanation.weights[0] > 0).sum())
        return Verdict(meaning="few speak", estimate=count, interval=(count, count), relation="<=", bound=self.at_most)


class TestClaimsOfOnesOwn:
    def test_one_method_is_enough(self, explanation_of: Build) -> None:
        verdict = judged(FewPositive(), explanation_of(WEIGHTS))
        assert (verdict.claim, verdict.text, verdict.regions) == ("FewPositive", "FewPositive(4)", ())
        assert (verdict.status, verdict.figure, verdict.top) == ("pass", "4", 0)
        assert judged(FewPositive(3), explanation_of(WEIGHTS)).status == "fail"

    def test_name_and_regions_of_the_claim_are_the_verdicts(self, explanation_of: Build) -> None:
        class Named(FewPositive):
            name = "named"
            regions = (LEFT, RIGHT)

        verdict = judged(Named(), explanation_of(WEIGHTS))
        assert (verdict.claim, verdict.regions) == ("named", (LEFT, RIGHT))

    def test_what_the_verdict_says_itself_is_kept(self, explanation_of: Build) -> None:
        class Telling(FewPositive):
            name = "named"
            regions = (LEFT,)

            def judge(self, explanation: Explanation) -> Verdict:
                return dataclasses.replace(
                    super().judge(explanation), claim="told", text="Told()", regions=(RIGHT,), status="inconclusive"
                )

        verdict = judged(Telling(), explanation_of(WEIGHTS))
        assert (verdict.claim, verdict.text, verdict.regions) == ("told", "Told()", (RIGHT,))
        assert verdict.status == "inconclusive"

    @pytest.mark.parametrize("opinions", ["occlusion", ("occlusion",), ["occlusion", "occlusion"]])
    def test_opinions_are_checked(self, opinions: Any) -> None:
        class Asking(FewPositive):
            pass

        Asking.opinions = opinions
        assert Asking().asked() == ("occlusion",)
        Asking.opinions = ("oclusion",)
        with pytest.raises(OptionError, match="the nearest is 'occlusion'"):
            Asking().asked()

    @pytest.mark.parametrize("returned", [None, True, ("pass", 3)])
    def test_something_else_than_a_verdict_is_told(self, explanation_of: Build, returned: Any) -> None:
        class Wrong(FewPositive):
            def judge(self, explanation: Explanation) -> Verdict:
                verdict: Verdict = returned
                return verdict

        with pytest.raises(OptionError) as caught:
            judge(explanation_of(WEIGHTS), (predicted(), Wrong()))
        assert str(caught.value) == f"Wrong.judge returned {returned!r}; it must return a pytest_lime.Verdict."

    def test_without_judge_there_is_no_claim(self) -> None:
        with pytest.raises(TypeError, match="abstract"):
            Claim()  # type: ignore[abstract]


@pytest.mark.parametrize("claim", [top_overlap(whole(), k=2, at_least=1), pointing(whole())])
def test_where_the_samples_do_not_tell_whether_anything_speaks_nothing_is_decided(
    claim: Claim, explanation_of: Callable[..., Explanation]
) -> None:
    verdict = judge(explanation_of([0.02, 0.01, -0.01, 0.0], error=0.5), (claim,)).verdicts[0]
    assert verdict.status == "inconclusive"
    assert "samples do not tell" in verdict.note


@pytest.mark.parametrize("claim", [top_overlap(LEFT, k=2, at_least=1), pointing(LEFT), mass(LEFT, at_most=0.1)])
def test_a_score_that_no_mask_changes_decides_nothing(claim: Claim, explanation_of: Callable[..., Explanation]) -> None:
    # Weights of rounding alone, as a constant classifier has them, with every mask enumerated.
    explanation = explanation_of([1e-9, -2e-9, 3e-9, 0, 1e-9, 0, 0, 0], rounding=1e-6, sampler="exhaustive")
    verdict = judge(explanation, (claim,)).verdicts[0]
    assert verdict.status == "inconclusive"
    assert verdict.note.startswith("no mask changes the score of 'cat'")


@pytest.mark.parametrize(("unchanged", "noted"), [((0,), False), ((0, 1), True), ((4, 5, 6, 7), False)])
def test_a_region_that_its_fill_does_not_change_is_noted(
    unchanged: tuple[int, ...], noted: bool, explanation_of: Callable[..., Explanation]
) -> None:
    # Superpixels 0 to 3 are the first row of cells, which is the region; half of a row is flat, or a quarter.
    row = Box(0, 0, 20, 5)
    verdict = judge(explanation_of(WEIGHTS, unchanged=unchanged), (mass(row, at_least=0.5),)).verdicts[0]
    assert ("50% of Box(0, 0, 20, 5) looks the same hidden as shown" in verdict.note) == noted
