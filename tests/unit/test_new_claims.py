"""Claims on overlap, density, two classes and the fit: each passes, fails, stays open, and tells what is wrong."""

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
    TargetError,
    Verdict,
    explain,
    mass,
    pointing,
    top_overlap,
    whole,
)
from pytest_lime.claims import check_signs, contrast, density_gap, fidelity, judge, samples_to_decide, top_iou
from pytest_lime.testing import PlantedModel, planted_and, planted_linear, planted_sum

Build = Callable[..., Explanation]
# 4×2 cells of 5×5 pixels; the weights that speak for the class: 0 and 4 to the left, 2 and 6 to the right.
WEIGHTS = [0.5, -0.2, 0.1, 0.0, 0.3, -0.4, 0.05, -0.01]
LEFT, RIGHT = Box(0, 0, 10, 10), Box(10, 0, 20, 10)
REGION: Any = LEFT
# 4×4 cells of 4×4 pixels: 0 and 1 add to the score each on its own, 5 and 6 only together, and 15 takes off.
MIXED = planted_sum([[0], [1], [5, 6], [15]], 16, [0.4, 0.2, 0.3, -0.1])
FIRST_TWO, PAIR, CORNER, NOTHING = Box(0, 0, 8, 4), Box(4, 4, 12, 8), Box(12, 12, 16, 16), Box(12, 0, 16, 4)
FEW: dict[str, Any] = {"sampler": "bernoulli", "samples": 20, "seed": 1}


def judged(claim: Claim, explanation: Explanation) -> Verdict:
    """Return the verdict as a check has it, with the claim's name, text and regions."""
    (verdict,) = judge(explanation, (claim,)).verdicts
    return verdict


def explained(model: PlantedModel, target: Any = "planted", **options: Any) -> Explanation:
    return explain(model, model.image, target, **model.options, **options)


class TestTopIou:
    @pytest.mark.parametrize(
        ("region", "k", "at_least", "status", "figure"),
        [
            (LEFT, 2, 0.5, "pass", 50 / 100),
            (LEFT, 2, 0.51, "fail", 50 / 100),
            # What is not positive is not among the strongest, however great k is.
            (LEFT, 4, 0.3, "pass", 50 / 150),
            (LEFT, 8, 0.34, "fail", 50 / 150),
            (RIGHT, 1, 0.01, "fail", 0.0),
            (Box(0, 0, 5, 10), 2, 1, "pass", 1.0),
            # Half of cell 0 (10 of its 25 pixels).
            (Box(0, 0, 2, 5), 1, 0.4, "pass", 10 / 25),
        ],
    )
    def test_without_sampling_error(
        self, *, explanation_of: Build, region: Any, k: int, at_least: float, status: str, figure: float
    ) -> None:
        verdict = judged(top_iou(region, k, at_least=at_least), explanation_of(WEIGHTS))
        assert verdict.status == status
        assert verdict.estimate == pytest.approx(figure, abs=1e-12)
        assert verdict.interval == pytest.approx((figure, figure), abs=1e-12)
        assert (verdict.relation, verdict.bound, verdict.scale, verdict.top) == (">=", at_least, (0, 1), k)
        assert (verdict.samples, verdict.regions) == (400, (region,))

    def test_it_stays_open_while_superpixels_cannot_be_told_apart(self, explanation_of: Build) -> None:
        claim = top_iou(LEFT, 2, at_least=0.3)
        # 0.3 to the left against 0.1 to the right: 2.81 standard errors of a difference, one of 20 comparisons.
        open_, sure = (judged(claim, explanation_of(WEIGHTS, error=error)) for error in (0.051, 0.05))
        assert (open_.status, open_.estimate) == ("inconclusive", 0.5)
        assert open_.interval == pytest.approx((25 / 125, 0.5), abs=1e-12)
        assert (sure.status, sure.interval) == ("pass", (0.5, 0.5))

    def test_few_samples(self) -> None:
        few, many = (explained(MIXED, samples=samples) for samples in (36, 1000))
        claim = top_iou(Box(0, 0, 4, 4), 1, at_least=0.9)
        assert (judged(claim, few).status, judged(claim, many).status) == ("inconclusive", "pass")

    def test_words(self, explanation_of: Build) -> None:
        verdict = judged(top_iou(LEFT, 2, at_least=0.3), explanation_of(WEIGHTS))
        assert verdict.text == "top_iou(Box(0, 0, 10, 10), k=2, at_least=0.3)"
        assert verdict.meaning == (
            "the 2 superpixels that speak most for 'cat' and Box(0, 0, 10, 10) share at least 0.3 of what they cover "
            "together"
        )
        assert verdict.note == ""

    def test_more_than_there_are(self, explanation_of: Build) -> None:
        with pytest.raises(OptionError, match="k=9 is more than the 8 superpixels"):
            judged(top_iou(LEFT, 9, at_least=0.5), explanation_of(WEIGHTS))

    @pytest.mark.parametrize(
        ("k", "at_least", "words"),
        [
            (0, 0.5, "k=0 must be"),
            (True, 0.5, "k=True must be"),
            (4, 0, "top_iou: at_least=0"),
            (4, 0.0, "top_iou: at_least=0"),
            (4, -0.1, "at_least=-0.1 must be"),
            (4, 3, "at_least=3 must be"),
            (4, "0.5", "at_least='0.5' must be"),
            (4, math.nan, "at_least=nan must be"),
        ],
    )
    def test_misuse(self, k: Any, at_least: Any, words: str) -> None:
        with pytest.raises(OptionError) as caught:
            top_iou(LEFT, k, at_least=at_least)
        assert words in str(caught.value)


class TestDensityGap:
    @pytest.mark.parametrize(
        ("region", "gap", "status"),
        [
            (LEFT, 0.2 / 0.5 - 0.14 / 0.5, "pass"),
            (RIGHT, 0.14 / 0.5 - 0.2 / 0.5, "fail"),
            (Box(0, 0, 5, 5), 0.5 * 8 + 0.16 * 8 / 7, "pass"),
            (Box(0, 0, 5, 10), 0.8 * 4 + 0.46 * 4 / 3, "pass"),
            (Box(5, 5, 10, 10), -0.4 * 8 - 0.74 * 8 / 7, "fail"),
        ],
    )
    def test_without_sampling_error(self, explanation_of: Build, region: Any, gap: float, status: str) -> None:
        verdict = judged(density_gap(region), explanation_of(WEIGHTS))
        assert verdict.status == status
        assert verdict.estimate == pytest.approx(gap, abs=1e-12)
        assert verdict.interval == pytest.approx((gap, gap), abs=1e-12)
        assert (verdict.relation, verdict.bound, verdict.figure) == (">=", 0, f"{gap:+.3g}")

    @pytest.mark.parametrize(("error", "status"), [(0.01, "pass"), (0.1, "inconclusive")])
    def test_the_interval_is_that_of_one_sum(self, explanation_of: Build, error: float, status: str) -> None:
        verdict = judged(density_gap(LEFT), explanation_of(WEIGHTS, error=error))
        # Eight weights, each times ±2.
        half = 1.959964 * error * 2 * math.sqrt(8)
        assert verdict.status == status
        assert verdict.interval == pytest.approx((0.12 - half, 0.12 + half), abs=1e-6)

    @pytest.mark.parametrize("region", [LEFT, RIGHT])
    def test_without_any_weight_nothing_is_decided(self, explanation_of: Build, region: Any) -> None:
        verdict = judged(density_gap(region), explanation_of([0.0] * 8))
        assert (verdict.status, verdict.estimate) == ("inconclusive", 0)
        assert verdict.note.startswith("no mask changes the score of 'cat'")

    def test_few_samples(self) -> None:
        few, many = explained(MIXED, **FEW), explained(MIXED, samples=1000)
        assert judged(density_gap(PAIR), few).status == "inconclusive"
        assert judged(density_gap(PAIR), many).status == "pass"
        assert judged(density_gap(CORNER), many).status == "fail"
        # About as many as that would have done.
        assert 20 < samples_to_decide(few, density_gap(PAIR)) <= 1000

    def test_words(self, explanation_of: Build) -> None:
        verdict = judged(density_gap(LEFT), explanation_of(WEIGHTS))
        assert verdict.text == "density_gap(Box(0, 0, 10, 10))"
        assert verdict.meaning == "a pixel in Box(0, 0, 10, 10) speaks more for 'cat' than others do"

    def test_of_the_whole_image_there_is_no_elsewhere(self, explanation_of: Build) -> None:
        with pytest.raises(RegionError, match=r"density_gap: .* is all that the model sees of 'cells\.png'"):
            judged(density_gap(whole()), explanation_of(WEIGHTS))


@pytest.fixture(scope="module")
def both() -> Explanation:
    return explained(MIXED, ["planted", "other"], samples=1000)


class TestContrast:
    @pytest.mark.parametrize(("region", "status"), [(FIRST_TWO, "pass"), (CORNER, "fail"), (NOTHING, "inconclusive")])
    def test_statuses(self, both: Explanation, region: Box, status: str) -> None:
        verdict = judged(contrast(region, "other"), both)
        assert verdict.status == status
        assert (verdict.relation, verdict.bound, verdict.samples, verdict.regions) == (">=", 0, 1000, (region,))
        # The other class has 1 less the scores of this one, so that the difference of weights is twice as much.
        assert verdict.estimate == pytest.approx(2 * float(both.region_weight(region)), abs=1e-9)

    def test_the_other_way_round(self, both: Explanation) -> None:
        verdict = judged(contrast(CORNER, 1, sign="negative"), both)
        assert verdict.status == "pass"
        assert verdict.meaning == "Box(12, 12, 16, 16) speaks for 'other' rather than for 'planted'"
        assert judged(contrast(FIRST_TWO, "other", sign="negative"), both).status == "fail"

    def test_few_samples(self, both: Explanation) -> None:
        assert judged(contrast(PAIR, "other"), both).status == "pass"
        few = explained(MIXED, ["planted", "other"], **FEW)
        assert judged(contrast(PAIR, "other"), few).status == "inconclusive"
        needed = samples_to_decide(few, contrast(PAIR, "other"))
        assert 20 < needed <= 1000
        # The difference is fitted anew, to so many samples as well.
        low, high = few.foresee(needed / 20).contrast("other").region_weight(PAIR).interval
        assert low > 0 or high < 0

    def test_what_both_classes_share_cancels(self) -> None:
        constant = explained(planted_linear([0.0] * 8, 0.5), ["planted", "other"])
        for sign in ("positive", "negative"):
            verdict = judged(contrast(Box(0, 0, 4, 4), "other", sign=sign), constant)
            assert (verdict.status, verdict.estimate) == ("inconclusive", 0)

    def test_words(self, both: Explanation) -> None:
        verdict = judged(contrast(FIRST_TWO, 1), both)
        assert verdict.text == "contrast(Box(0, 0, 8, 4), 1)"
        assert verdict.meaning == "Box(0, 0, 8, 4) speaks for 'planted' rather than for 'other'"

    def test_it_names_the_class_that_it_needs(self) -> None:
        claim = contrast(LEFT, "dog")
        assert (claim.others, claim.classes(), claim.wants_use) == (("dog",), ("dog",), None)

    def test_a_class_that_was_not_explained_is_told(self) -> None:
        alone = explained(MIXED, samples=50)
        with pytest.raises(TargetError, match="class 'other' was not explained"):
            judged(contrast(FIRST_TWO, "other"), alone)
        with pytest.raises(TargetError, match="is one; name another"):
            judged(contrast(FIRST_TWO, "planted"), alone)

    @pytest.mark.parametrize("other", [None, ("dog",), True, 1.5])
    def test_misuse(self, other: Any) -> None:
        with pytest.raises(OptionError, match=r"contrast: other=.* must be one class, a label or an index"):
            contrast(LEFT, other)


class TestFidelity:
    def test_a_sum_is_told_exactly(self) -> None:
        verdict = judged(fidelity(0.999, 1e-4), explained(planted_linear([0.4, 0.2, 0.1, 0, 0, -0.1, 0, 0])))
        assert (verdict.status, verdict.figure[:8]) == ("pass", "R² 1.00,")
        assert verdict.interval == pytest.approx((1, 1), abs=1e-9)
        assert (verdict.relation, verdict.scale, verdict.note) == (">=", (0, 1), "")

    def test_an_and_of_four_is_no_sum(self) -> None:
        verdict = judged(fidelity(), explained(planted_and([0, 1, 2, 3], 16), samples=1000))
        assert (verdict.status, verdict.relation, verdict.bound) == ("fail", ">=", 0.5)
        assert verdict.interval[0] < verdict.estimate < verdict.interval[1] < 0.5

    def test_the_gap_decides_where_it_alone_is_too_great(self) -> None:
        verdict = judged(fidelity(0.1, 0.2), explained(planted_and([0, 1, 2, 3], 16), samples=1000))
        assert (verdict.status, verdict.relation, verdict.bound) == ("fail", "<=", 0.2)
        assert 0.2 < verdict.interval[0] < verdict.estimate < verdict.interval[1]
        assert verdict.figure.startswith("R² 0.")

    def test_few_samples(self) -> None:
        # Fewer than there are unknowns leave none to test the fit on.
        explanation = explained(planted_linear([0.4, 0.2, *[0.0] * 14]), sampler="bernoulli", samples=10)
        verdict = judged(fidelity(), explanation)
        assert (verdict.status, verdict.note) == ("inconclusive", "too few samples for a held-out R²")
        assert verdict.interval[0] == -math.inf
        json.dumps(verdict.as_json(), allow_nan=False)

    @pytest.mark.parametrize("d", [4, 16])
    @pytest.mark.parametrize("samples", [20, 1000])
    @pytest.mark.parametrize("r2", [0.0, 0.5])
    def test_of_a_score_that_no_mask_changes_there_is_no_variance_to_explain(
        self, d: int, samples: int, r2: float
    ) -> None:
        explanation = explained(planted_linear([0.0] * d), samples=samples)
        (warning,) = explanation.warnings()
        verdict = judged(fidelity(r2), explanation)
        assert (verdict.status, verdict.figure, verdict.interval) == ("inconclusive", "no R², gap +0", (-math.inf, 1.0))
        assert verdict.note == f"R² has no value: {warning.partition(',')[0]}"
        assert samples_to_decide(explanation, fidelity(r2)) == 0
        json.dumps(verdict.as_json(), allow_nan=False)

    def test_a_bound_within_the_interval_stays_open(self) -> None:
        explanation = explained(MIXED, samples=200)
        found = float(explanation.heldout_fit())
        assert judged(fidelity(round(found, 3), 1.0), explanation).status == "inconclusive"

    def test_it_is_foreseen_what_decides_it(self) -> None:
        few = explained(MIXED, samples=200)
        low, high = few.heldout_fit().interval
        # Half of the way from the estimate to its end: four times as many samples.
        claim = fidelity(float(few.heldout_fit()) - (high - low) / 4, 10.0)
        assert judged(claim, few).status == "inconclusive"
        assert samples_to_decide(few, claim) == pytest.approx(800, abs=150)

    def test_words(self, explanation_of: Build) -> None:
        verdict = judged(fidelity(0.6, 0.2), explanation_of(WEIGHTS))
        assert (verdict.claim, verdict.text) == ("fidelity", "fidelity(r2=0.6, gap=0.2)")
        assert verdict.meaning == (
            "the surrogate explains at least 0.6 of the variance of samples that it has not seen, and is within 0.2 of "
            "the model on the image itself"
        )
        assert repr(fidelity()) == "fidelity(r2=0.5, gap=0.1)"
        assert eval(repr(fidelity(0.3, 0))) == fidelity(0.3, 0)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"r2": 1.1}, "fidelity: r2=1.1 must be a number in [0, 1]"),
            ({"r2": None}, "fidelity: r2=None must be"),
            ({"r2": True}, "fidelity: r2=True must be"),
            ({"gap": -0.1}, "fidelity: gap=-0.1 must be a number of at least 0"),
            ({"gap": math.inf}, "fidelity: gap=inf must be"),
        ],
    )
    def test_misuse(self, arguments: dict[str, Any], words: str) -> None:
        with pytest.raises(OptionError) as caught:
            fidelity(**arguments)
        assert words in str(caught.value)


MAKERS: dict[str, Callable[..., Claim]] = {
    "top_overlap": lambda region, **sign: top_overlap(region, k=2, at_least=1, **sign),
    "top_iou": lambda region, **sign: top_iou(region, 2, at_least=0.1, **sign),
    "density_gap": density_gap,
    "contrast": lambda region, **sign: contrast(region, "dog", **sign),
    "mass": lambda region, **sign: mass(region, at_least=0.5, **sign),
    "pointing": lambda region, **sign: pointing(region, 0, **sign),
}


@pytest.mark.parametrize("name", MAKERS)
class TestSigns:
    def test_of_the_other_sign_it_judges_the_mirror(self, explanation_of: Build, name: str) -> None:
        if name == "contrast":
            pytest.skip("needs two classes; see TestContrast")
        mirrored = explanation_of([-weight for weight in WEIGHTS], error=0.02)
        for region in (LEFT, RIGHT, Box(5, 5, 10, 10)):
            negative = judged(MAKERS[name](region, sign="negative"), explanation_of(WEIGHTS, error=0.02))
            positive = judged(MAKERS[name](region), mirrored)
            assert (negative.status, negative.figure) == (positive.status, positive.figure)
            assert negative.interval == pytest.approx(positive.interval, abs=1e-12)
            assert negative.meaning == positive.meaning.replace(" for ", " against ")

    def test_the_sign_is_written_where_it_is_not_the_usual_one(self, name: str) -> None:
        claim = MAKERS[name](REGION, sign="negative")
        assert repr(claim) == f"{repr(MAKERS[name](REGION))[:-1]}, sign='negative')"
        assert eval(repr(claim)) == claim
        assert eval(repr(MAKERS[name](REGION))) == MAKERS[name](REGION)

    def test_what_speaks_against_says_nothing_of_use(self, name: str) -> None:
        assert MAKERS[name](REGION, sign="negative").wants_use is None

    @pytest.mark.parametrize("sign", ["both", "negativ", 1, None])
    def test_misuse(self, name: str, sign: Any) -> None:
        with pytest.raises(OptionError, match=rf"{name}: sign=.* must be 'positive' or 'negative'") as caught:
            MAKERS[name](REGION, sign=sign)
        assert ("the nearest is 'negative'" in str(caught.value)) == (sign == "negativ")

    def test_something_else_than_a_region(self, name: str) -> None:
        with pytest.raises(RegionError, match=rf"{name}: \(0, 0, 5, 5\) is no region; pass Box"):
            MAKERS[name]((0, 0, 5, 5))


@pytest.mark.parametrize(("weights", "status"), [(WEIGHTS, "pass"), ([0.5, 0.2, 0.1, 0.0] * 2, "fail")])
def test_top_overlap_of_what_speaks_against(explanation_of: Build, weights: list[float], status: str) -> None:
    # −0.4 and −0.2 lie to the left.
    verdict = judged(top_overlap(LEFT, 2, at_least=2, sign="negative"), explanation_of(weights))
    assert verdict.status == status
    assert verdict.note == ("" if status == "pass" else "no superpixel speaks against 'cat'")


def test_mass_of_what_speaks_against(explanation_of: Build) -> None:
    verdict = judged(mass(LEFT, at_least=0.9, sign="negative"), explanation_of(WEIGHTS))
    assert verdict.status == "pass"
    assert verdict.estimate == pytest.approx(0.6 / 0.61)


SIGNED = [top_iou(LEFT, 2, at_least=0.5), density_gap(LEFT), contrast(LEFT, "dog"), fidelity()]


@pytest.mark.parametrize("claim", SIGNED, ids=lambda claim: claim.name)
def test_weights_without_a_sign_are_refused_by_name(explanation_of: Build, claim: Claim) -> None:
    options = LimeOptions(surrogate="tree")
    explanation = dataclasses.replace(explanation_of(WEIGHTS, signed=False), options=options)
    for refused in (lambda: judge(explanation, (claim,)), lambda: check_signs((claim,), options)):
        with pytest.raises(OptionError, match=f"{claim.name} asks what speaks for a class or against it"):
            refused()


@pytest.mark.parametrize("claim", [top_iou(LEFT, 2, at_least=0.3), density_gap(LEFT)], ids=lambda claim: claim.name)
def test_no_covariance_leaves_it_open_and_the_record_is_json(explanation_of: Build, claim: Claim) -> None:
    verdict = judged(claim, explanation_of(WEIGHTS, covariance=np.full((1, 8, 8), np.inf)))
    assert (verdict.status, verdict.holds) == ("inconclusive", True)
    json.dumps(verdict.as_json(), allow_nan=False)


class Settled(Claim):
    """A claim of one's own about figures that settle late."""

    least_samples = 600

    def __init__(self, holds: bool = True) -> None:
        self.holds = holds

    def judge(self, explanation: Explanation) -> Verdict:
        return Verdict(meaning="", estimate=1, interval=(1, 1), relation=">=", bound=0 if self.holds else 2, note="own")


class TestLeastSamples:
    def sampled(self, samples: int, **changes: Any) -> Explanation:
        """Explain as `auto` does where it stops at so many samples."""
        explanation = explained(MIXED, samples=samples)
        return dataclasses.replace(explanation, **{"anytime": True, **changes})

    @pytest.mark.parametrize("holds", [True, False])
    def test_below_them_nothing_is_decided(self, holds: bool) -> None:
        verdict = judged(Settled(holds), self.sampled(500))
        assert (verdict.status, verdict.needs, verdict.estimate) == ("inconclusive", 600, 1)
        assert verdict.note == (
            "own; Settled needs at least 600 samples and has 500: raise max_samples (4,000) to 600, or give samples as "
            "a number"
        )

    def test_from_them_on_it_is(self) -> None:
        assert judged(Settled(), self.sampled(600)).status == "pass"
        assert judged(Settled(), self.sampled(600)).note == "own"

    def test_a_number_that_was_asked_for_counts(self) -> None:
        explanation = explained(MIXED, samples=500)
        assert not explanation.anytime
        assert judged(Settled(), explanation).status == "pass"
        assert judged(fidelity(0.0, 10), explanation).status == "pass"

    def test_what_is_open_anyway_is_not_promised_a_decision(self) -> None:
        explanation = self.sampled(200)
        found = float(explanation.heldout_fit())
        verdict = judged(fidelity(round(found, 3), 1.0), explanation)
        assert (verdict.status, verdict.needs) == ("inconclusive", 0)
        assert verdict.note.startswith("fidelity needs at least 1,000 samples and has 200: ")
        assert judged(fidelity(0.0, 10), explanation).outlook == (
            "about 1,000 samples in all should decide it, if the estimate stays"
        )
