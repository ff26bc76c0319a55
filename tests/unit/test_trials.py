"""Trials: what each asks of a laboratory, when it passes, fails or stays open, and what hiding a region says."""

import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pytest_lime import Box, Claim, Explanation, OptionError, Region, RegionError, Verdict, explain, mass, whole
from pytest_lime.claims import judge, predicted
from pytest_lime.probes import Intervention
from pytest_lime.testing import PlantedModel, planted_and, planted_linear, planted_sum
from pytest_lime.trials import (
    Trial,
    conclude,
    faithful,
    invariant,
    necessity,
    no_reliance,
    sampled,
    sane,
    stable,
    sufficiency,
)
from pytest_lime.verdicts import Check

Array = NDArray[np.float64]
Build = Callable[..., Explanation]
# 4×2 cells of 5×5 pixels.
RISING = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
# Of rank correlation 0 with the rising ones.
UNRELATED = [0.3, 0.0, 0.4, 0.6, 0.7, 0.5, 0.2, 0.1]
LEFT, RIGHT = Box(0, 0, 10, 10), Box(10, 0, 20, 10)
REGION: Any = LEFT
# 4×4 cells of 4×4 pixels; the last one is the mark.
MARK = Box(12, 12, 16, 16)
OBJECT = [0.3, 0.25, 0.0, 0.05, 0.2, 0.15, 0.0, 0.0, 0.02, 0.01, 0.0, 0.0, 0.0, 0.0, 0.01]


class FakeLab:
    """Answers from a formula in which superpixels are shown, and with what it was given."""

    def __init__(
        self,
        explanation: Explanation,
        formula: Callable[[NDArray[np.uint8]], Array] | None = None,
        *,
        without: tuple[float, ...] = (0.5, 0.6),
        alone: tuple[float, ...] = (),
        whole: float = 0.8,
        other: Explanation | None = None,
        seeds: Sequence[Explanation] = (),
    ) -> None:
        self.explanation = explanation
        self.named, self.shelf = True, None
        self.formula, self.without, self.alone, self.whole = formula, without, alone, whole
        self.other, self.seeds = other, seeds
        self.passes = 0
        self.asked: list[Any] = []

    def scores(self, masks: NDArray[np.uint8]) -> Array:
        assert self.formula is not None
        assert masks.dtype == np.uint8
        assert masks.shape[1] == self.explanation.superpixels
        assert np.isin(masks, (0, 1)).all()
        self.passes += len(masks)
        return self.formula(masks)

    def intervene(self, regions: Sequence[Region]) -> list[Intervention]:
        self.asked.append(tuple(regions))
        alone = self.alone or (0.0,) * len(self.without)
        return [Intervention(region, ("image_mean", "blur"), self.whole, self.without, alone) for region in regions]

    def with_seed(self, seed: int) -> Explanation:
        self.asked.append(seed)
        return self.seeds[seed - self.explanation.options.seed - 1]

    def transformed(self, name: str) -> Explanation:
        self.asked.append(name)
        assert self.other is not None
        return self.other

    def randomised(self) -> Explanation:
        assert self.other is not None
        return self.other

    def again(self, *, samples: int, segments: NDArray[np.int64] | None = None, model: Any = None) -> Explanation:
        assert self.other is not None
        return self.other


def planted_lab(model: PlantedModel, **options: Any) -> FakeLab:
    explanation = explain(model, model.image, "planted", **model.options, **options)
    return FakeLab(explanation, model.scores)


def conducted(claim: Claim, lab: FakeLab) -> Verdict:
    """Return the verdict as a check has it, with the claim's name, text and regions."""
    (verdict,) = conclude(Check(lab.explanation, ()), (claim,), lab).verdicts
    json.dumps(verdict.as_json(), allow_nan=False)
    return verdict


class TestNecessity:
    @pytest.mark.parametrize(
        ("without", "at_most", "status", "share"),
        [
            ((0.2, 0.4), 0.5, "pass", 0.5),
            ((0.4, 0.2), 0.5, "pass", 0.5),
            # The greater of the two counts.
            ((0.1, 0.41), 0.5, "fail", 0.5125),
            ((0.0, 0.0), 0, "pass", 0.0),
            ((0.9, 1.0), 1.25, "pass", 1.25),
        ],
    )
    def test_the_greater_share_counts(
        self, *, explanation_of: Build, without: tuple[float, float], at_most: float, status: str, share: float
    ) -> None:
        verdict = conducted(necessity(LEFT, at_most=at_most), FakeLab(explanation_of(RISING), without=without))
        assert (verdict.status, verdict.relation, verdict.bound) == (status, "<=", at_most)
        assert verdict.estimate == pytest.approx(share, abs=1e-12)
        assert verdict.interval == (verdict.estimate, verdict.estimate)
        assert (verdict.regions, verdict.samples) == ((LEFT,), 0)

    def test_words(self, explanation_of: Build) -> None:
        lab = FakeLab(explanation_of(RISING), without=(0.2, 0.1))
        verdict = conducted(necessity(LEFT, at_most=0.5), lab)
        assert (verdict.claim, verdict.text) == ("necessity", "necessity(Box(0, 0, 10, 10), at_most=0.5)")
        assert verdict.meaning == "without Box(0, 0, 10, 10) the image keeps at most 0.5 of its score for 'cat'"
        assert (
            verdict.note
            == "the score is 0.8, and without the region 0.2 with image_mean, 0.1 with blur; the greater counts"
        )


class TestSufficiency:
    @pytest.mark.parametrize(
        ("alone", "at_least", "status", "share"),
        [((0.6, 0.4), 0.5, "pass", 0.5), ((0.39, 0.8), 0.5, "fail", 0.4875), ((0.9, 1.0), 1, "pass", 1.125)],
    )
    def test_the_lesser_share_counts(
        self, *, explanation_of: Build, alone: tuple[float, float], at_least: float, status: str, share: float
    ) -> None:
        lab = FakeLab(explanation_of(RISING), without=(0.0, 0.0), alone=alone)
        verdict = conducted(sufficiency(LEFT, at_least=at_least), lab)
        assert (verdict.status, verdict.relation, verdict.bound) == (status, ">=", at_least)
        assert verdict.estimate == pytest.approx(share, abs=1e-12)
        assert verdict.meaning.startswith(f"{LEFT!r} alone gives at least")
        assert verdict.note.startswith("the score is 0.8, and of the region alone ")


SHARES: list[tuple[str, Callable[..., Claim]]] = [("at_most", necessity), ("at_least", sufficiency)]


@pytest.mark.parametrize(("bound", "make"), SHARES)
class TestBothShares:
    @pytest.mark.parametrize("score", [0.0, -1.0])
    def test_a_score_that_is_not_above_0_has_no_shares(
        self, *, explanation_of: Build, bound: str, make: Callable[..., Claim], score: float
    ) -> None:
        lab = FakeLab(explanation_of(RISING), without=(0.2, 0.1), alone=(0.3, 0.2), whole=score)
        verdict = conducted(make(LEFT, **{bound: 0.5}), lab)
        assert (verdict.status, verdict.figure) == ("inconclusive", "no share")
        assert verdict.note == f"a score of {score:.3g} has no shares: give the model probabilities"

    @pytest.mark.parametrize("value", [-0.1, "0.5", None, True, math.nan, math.inf])
    def test_misuse(self, bound: str, make: Callable[..., Claim], value: Any) -> None:
        with pytest.raises(OptionError, match=rf"{make.__name__}: {bound}=.* must be a number of at least 0"):
            make(LEFT, **{bound: value})

    def test_repr(self, bound: str, make: Callable[..., Claim]) -> None:
        claim = make(LEFT, **{bound: 0.25})
        assert repr(claim) == f"{make.__name__}(Box(0, 0, 10, 10), {bound}=0.25)"
        assert eval(repr(claim)) == claim
        assert (claim.name, claim.regions) == (make.__name__, (LEFT,))


class TestNoReliance:
    def test_a_shortcut_is_found(self) -> None:
        lab = planted_lab(planted_linear([*[0.01] * 15, 0.6]), samples=100)
        verdict = conducted(no_reliance(MARK, at_most=0.1), lab)
        assert (verdict.status, verdict.relation, verdict.bound) == ("fail", "<=", 0.1)
        assert verdict.estimate == pytest.approx(0.6, abs=1e-9)
        assert verdict.samples == lab.passes <= 200
        assert verdict.figure == "+0.6"

    def test_what_adds_nothing_passes(self) -> None:
        lab = planted_lab(planted_linear([*OBJECT, 0.0]), samples=500)
        verdict = conducted(no_reliance(MARK, at_most=0.05), lab)
        assert (verdict.status, verdict.estimate) == ("pass", 0)
        assert verdict.samples == lab.passes <= 500
        assert verdict.note == f"{verdict.samples // 2} contexts, each with and without the region"

    @pytest.mark.parametrize("budget", [{"samples": 40}, {"samples": "auto", "max_samples": 40}])
    def test_it_stays_open_once_its_passes_are_spent(self, budget: dict[str, Any]) -> None:
        lab = planted_lab(planted_and([0, 15], 16), **budget)
        verdict = conducted(no_reliance(MARK, at_most=0.5), lab)
        assert (verdict.status, verdict.samples, lab.passes) == ("inconclusive", 40, 40)
        path = verdict.as_json()["path"]
        assert [point[0] for point in path] == [32, 40]
        assert path[-1][1:] == pytest.approx([verdict.estimate, *verdict.interval], rel=1e-5)
        assert verdict.interval[0] < 0.5 < verdict.interval[1]
        assert verdict.needs == 0

    @pytest.mark.parametrize(("at_most", "status"), [(0.27, "pass"), (0.23, "fail")])
    def test_of_few_superpixels_every_context_is_seen(self, at_most: float, status: str) -> None:
        # Superpixel 7 of eight adds 1 in a quarter of the contexts.
        lab = planted_lab(planted_and([0, 1, 7], 8))
        assert lab.explanation.complete
        rows, columns = np.nonzero(lab.explanation.segments == 7)
        region = Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
        verdict = conducted(no_reliance(region, at_most=at_most), lab)
        assert (verdict.status, verdict.estimate, verdict.samples) == (status, 0.25, 256)
        assert np.ptp(verdict.interval) < 1e-3

    @pytest.mark.parametrize(("flat", "status"), [((15,), "inconclusive"), ((14,), "pass"), ((), "pass")])
    def test_what_looks_the_same_hidden_was_not_tried(self, flat: tuple[int, ...], status: str) -> None:
        lab = planted_lab(planted_linear([*OBJECT, 0.0]), samples=500)
        unchanged = np.isin(np.arange(16), flat)
        lab.explanation = dataclasses.replace(lab.explanation, unchanged=unchanged)
        verdict = conducted(no_reliance(MARK, at_most=0.05), lab)
        assert verdict.status == status
        told = "100% of Box(12, 12, 16, 16) looks the same hidden as shown, so what it adds says nothing"
        assert (told in verdict.note) == (status == "inconclusive")
        json.dumps(verdict.as_json(), allow_nan=False)

    def test_a_region_that_takes_from_the_score_passes(self) -> None:
        lab = planted_lab(planted_sum([[0], [15]], 16, [0.9, -0.4]), samples=200)
        verdict = conducted(no_reliance(MARK, at_most=0), lab)
        assert verdict.status == "pass"
        assert verdict.estimate == pytest.approx(-0.4, abs=1e-9)

    @pytest.mark.parametrize(
        ("region", "words"),
        [
            (Box(0, 0, 1, 4), "no superpixel lies in the region by at least half"),
            (whole(), "every superpixel lies in the region by at least half"),
        ],
    )
    def test_a_region_that_cannot_be_switched_is_told(self, region: Region, words: str) -> None:
        lab = planted_lab(planted_and([0, 15], 16), samples=40)
        with pytest.raises(OptionError, match=words):
            no_reliance(region, at_most=0.1).conduct(lab)  # type: ignore[attr-defined]

    @pytest.mark.parametrize("value", ["0.5", None, True, math.nan, math.inf])
    def test_misuse(self, value: Any) -> None:
        with pytest.raises(OptionError, match=r"no_reliance: at_most=.* must be a number\."):
            no_reliance(LEFT, at_most=value)

    def test_repr(self) -> None:
        claim = no_reliance(LEFT, at_most=-0.25)
        assert repr(claim) == "no_reliance(Box(0, 0, 10, 10), at_most=-0.25)"
        assert eval(repr(claim)) == claim


class TestFaithful:
    def test_a_fill_that_hides_little_is_told(self) -> None:
        lab = planted_lab(planted_linear([0.1, 0.05, 0.02, 0.01, 0.0, 0.0], intercept=0.7), samples=400)
        verdict = conducted(faithful(), lab)
        assert verdict.caution.startswith("with every superpixel hidden the score is still 0.7 of 0.88: this fill ")

    def test_the_right_order_passes_and_the_opposite_fails(self) -> None:
        lab = planted_lab(planted_linear([*OBJECT, 0.0]), samples=400)
        verdict = conducted(faithful(), lab)
        assert (verdict.status, verdict.estimate, verdict.relation, verdict.bound) == ("pass", 0.05, "<=", 0.05)
        assert verdict.sentence == "found p = 0.05, needs p of at most 0.05"
        assert verdict.note.startswith("insertion − deletion AUC 0.")
        assert verdict.note.endswith(", above 19 of 19 random orders")
        assert verdict.caution == ""
        assert lab.passes < 400
        lab.explanation = dataclasses.replace(lab.explanation, weights=-lab.explanation.weights)
        turned = conducted(faithful(), lab)
        assert (turned.status, turned.estimate) == ("fail", 1.0)

    def test_the_curves_are_those_of_the_score(self) -> None:
        weights = np.array([*OBJECT, 0.01])
        verdict = conducted(faithful(), planted_lab(planted_linear(weights.tolist()), samples=400))
        curves = verdict.as_json()["curves"]
        shares, insertion, deletion = (np.array(curves[name]) for name in ("shares", "insertion", "deletion"))
        assert (shares[0], shares[-1]) == (0, 1)
        assert np.all(np.diff(shares) > 0)
        # The sum of so many of the largest weights; and what is left of all.
        sums = np.append(0, np.cumsum(np.sort(weights)[::-1]))[(shares * 16).round().astype(int)]
        assert insertion - insertion[0] == pytest.approx(sums, abs=0.02)
        assert deletion - deletion[-1] == pytest.approx(sums[-1] - sums, abs=0.02)
        for name, ours in (("insertion", insertion), ("deletion", deletion)):
            low, high = np.array(curves[f"{name}_random"]).T
            assert np.all(low <= high)
            assert low[[0, -1]] == pytest.approx(ours[[0, -1]])
            assert high[[0, -1]] == pytest.approx(ours[[0, -1]])
        # No random order shows more of the score sooner.
        assert np.all(np.array(curves["insertion_random"])[:, 1] <= insertion + 0.02)

    def test_a_score_that_nothing_changes_has_no_order(self) -> None:
        verdict = conducted(faithful(), planted_lab(planted_linear([0.0] * 16, 0.5), samples=100))
        assert (verdict.status, verdict.estimate) == ("fail", 1.0)

    def test_too_few_superpixels_are_told(self) -> None:
        with pytest.raises(OptionError, match=r"faithful\(\) needs at least \d superpixels to order, and has 4"):
            conducted(faithful(), planted_lab(planted_linear([0.4, 0.3, 0.2, 0.1])))

    def test_repr(self) -> None:
        assert repr(faithful()) == "faithful()"


class TestSane:
    @pytest.mark.parametrize(
        ("other", "at_most", "status", "figure"),
        [
            (UNRELATED, 0.5, "pass", 0.0),
            (RISING, 0.5, "fail", 1.0),
            # The opposite is no less alike.
            (RISING[::-1], 0.99, "fail", 1.0),
            (RISING, 1, "pass", 1.0),
        ],
    )
    def test_without_sampling_error(
        self, *, explanation_of: Build, other: list[float], at_most: float, status: str, figure: float
    ) -> None:
        lab = FakeLab(explanation_of(RISING), other=explanation_of(other))
        verdict = conducted(sane(at_most=at_most), lab)
        assert (verdict.status, verdict.relation, verdict.bound, verdict.scale) == (status, "<=", at_most, (0, 1))
        assert verdict.estimate == pytest.approx(figure, abs=1e-12)
        assert verdict.interval == pytest.approx((figure, figure), abs=1e-12)
        assert verdict.samples == 400

    def test_errors_of_either_leave_it_open(self, explanation_of: Build) -> None:
        noisy, exact = explanation_of(RISING, error=0.5), explanation_of(UNRELATED)
        for lab in (FakeLab(noisy, other=exact), FakeLab(exact, other=noisy)):
            verdict = conducted(sane(at_most=0.3), lab)
            assert verdict.status == "inconclusive"
            assert verdict.interval[0] == 0
            assert verdict.interval[1] > 0.3

    def test_a_network_that_says_nothing_any_more_is_another(self, explanation_of: Build) -> None:
        lab = FakeLab(explanation_of(RISING), other=explanation_of([0.0] * 8))
        verdict = conducted(sane(at_most=0.5), lab)
        assert (verdict.status, verdict.estimate) == ("pass", 0)
        assert verdict.note.startswith("with shuffled weights there is no rank correlation: it says the same")

    def test_where_neither_says_anything_nothing_is_decided(self, explanation_of: Build) -> None:
        for other in (RISING, [0.0] * 8):
            lab = FakeLab(explanation_of([0.0] * 8), other=explanation_of(other))
            assert conducted(sane(at_most=0.5), lab).status == "inconclusive"

    @pytest.mark.parametrize("value", [-0.1, 1.1, "0.5", None, True, math.nan])
    def test_misuse(self, value: Any) -> None:
        with pytest.raises(OptionError, match=r"sane: at_most=.* must be a number in \[0, 1\]"):
            sane(at_most=value)

    def test_repr(self) -> None:
        assert repr(sane()) == "sane(at_most=0.5)"
        assert eval(repr(sane(at_most=0.2))) == sane(at_most=0.2)


class TestStable:
    @pytest.mark.parametrize(("at_least", "status"), [(0.5, "pass"), (0.6, "fail")])
    def test_the_mean_jaccard_index(self, explanation_of: Build, at_least: float, status: str) -> None:
        # The strongest two are 7 and 6, 7 and 6, and 7 and 0: 1, 1/3 and 1/3.
        lab = FakeLab(
            explanation_of(RISING),
            seeds=[explanation_of(weights) for weights in ([0.0] * 6 + [1.0, 2.0], [1.0] + [0.0] * 6 + [2.0])],
        )
        verdict = conducted(stable(3, at_least=at_least, k=2), lab)
        assert verdict.status == status
        assert verdict.estimate == pytest.approx(5 / 9, abs=1e-12)
        assert verdict.interval == (verdict.estimate, verdict.estimate)
        assert (verdict.relation, verdict.bound, verdict.top, verdict.scale) == (">=", at_least, 2, (0, 1))
        # Seeds after the check's own, each once.
        assert lab.asked == [lab.explanation.options.seed + 1, lab.explanation.options.seed + 2]

    def test_where_nothing_speaks_for_the_class_nothing_is_alike(self, explanation_of: Build) -> None:
        against = explanation_of([-1.0, -2.0] * 4)
        verdict = conducted(stable(2, at_least=0.5), FakeLab(against, seeds=[against]))
        assert (verdict.status, verdict.estimate) == ("fail", 0)

    def test_masks_that_are_given_have_no_seeds(self, explanation_of: Build) -> None:
        with pytest.raises(OptionError, match="the masks that sampler= gives are the same for every seed"):
            conducted(stable(2, at_least=0.5), FakeLab(explanation_of(RISING, sampler="given")))

    def test_more_than_there_are(self, explanation_of: Build) -> None:
        with pytest.raises(OptionError, match="k=9 is more than the 8 superpixels"):
            conducted(stable(2, at_least=0.5, k=9), FakeLab(explanation_of(RISING)))

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"seeds": 1, "at_least": 0.5}, "stable: seeds=1 must be a whole number of at least 2"),
            ({"seeds": 2.0, "at_least": 0.5}, "stable: seeds=2.0 must be"),
            ({"seeds": True, "at_least": 0.5}, "stable: seeds=True must be"),
            ({"at_least": 1.1}, "stable: at_least=1.1 must be a number in [0, 1]"),
            ({"at_least": "0.5"}, "stable: at_least='0.5' must be"),
            ({"at_least": 0.5, "k": 0}, "k=0 must be"),
        ],
    )
    def test_misuse(self, arguments: dict[str, Any], words: str) -> None:
        with pytest.raises(OptionError) as caught:
            stable(**arguments)
        assert words in str(caught.value)

    def test_repr(self) -> None:
        claim = stable(at_least=0.6)
        assert repr(claim) == "stable(seeds=5, at_least=0.6, k=4)"
        assert eval(repr(claim)) == claim


class TestInvariant:
    @pytest.mark.parametrize("transform", ["hflip", "brightness"])
    @pytest.mark.parametrize(
        ("other", "at_least", "status", "figure"),
        [(RISING, 1, "pass", 1.0), (UNRELATED, 0.5, "fail", 0.0), (RISING[::-1], -1, "pass", -1.0)],
    )
    def test_without_sampling_error(
        self, *, explanation_of: Build, transform: str, other: list[float], at_least: float, status: str, figure: float
    ) -> None:
        lab = FakeLab(explanation_of(RISING), other=explanation_of(other, prediction=(0.5, 0.3, 0.2)))
        verdict = conducted(invariant(transform, at_least=at_least), lab)
        assert (verdict.status, verdict.relation, verdict.bound, verdict.scale) == (status, ">=", at_least, (-1, 1))
        assert verdict.estimate == pytest.approx(figure, abs=1e-12)
        assert verdict.note == "the score is then 0.5 instead of 0.7"
        assert lab.asked == [transform]

    def test_errors_leave_it_open(self, explanation_of: Build) -> None:
        lab = FakeLab(explanation_of(RISING, error=0.3), other=explanation_of(RISING))
        verdict = conducted(invariant("hflip", at_least=0.9), lab)
        assert (verdict.status, verdict.samples) == ("inconclusive", 400)

    @pytest.mark.parametrize(("own", "other"), [(RISING, [0.0] * 8), ([0.0] * 8, RISING)])
    def test_without_a_correlation_nothing_is_decided(
        self, explanation_of: Build, own: list[float], other: list[float]
    ) -> None:
        lab = FakeLab(explanation_of(own), other=explanation_of(other))
        verdict = conducted(invariant("hflip", at_least=-0.5), lab)
        assert (verdict.status, verdict.figure) == ("inconclusive", "no correlation")
        assert verdict.note.startswith("the rank correlation has no value: ")

    @pytest.mark.parametrize(
        ("transform", "at_least", "words"),
        [
            ("hflp", 0.5, "invariant: transform='hflp' must be 'hflip' or 'brightness'; the nearest is 'hflip'"),
            (None, 0.5, "invariant: transform=None must be"),
            (["hflip"], 0.5, "invariant: transform=['hflip'] must be"),
            ("hflip", 1.1, "invariant: at_least=1.1 must be a number in [-1, 1]"),
            ("hflip", None, "invariant: at_least=None must be"),
        ],
    )
    def test_misuse(self, transform: Any, at_least: Any, words: str) -> None:
        with pytest.raises(OptionError) as caught:
            invariant(transform, at_least=at_least)
        assert words in str(caught.value)

    def test_repr(self) -> None:
        claim = invariant("hflip", at_least=0.7)
        assert repr(claim) == "invariant('hflip', at_least=0.7)"
        assert eval(repr(claim)) == claim


TRIALS: list[Claim] = [
    necessity(LEFT, at_most=0.5),
    sufficiency(LEFT, at_least=0.5),
    no_reliance(LEFT, at_most=0.1),
    faithful(),
    sane(),
    stable(at_least=0.5),
    invariant("hflip", at_least=0.5),
]


@pytest.mark.parametrize("claim", TRIALS, ids=lambda claim: claim.name)
class TestEveryTrial:
    def test_an_explanation_alone_cannot_tell(self, explanation_of: Build, claim: Claim) -> None:
        with pytest.raises(OptionError, match="asks the model again, which an explanation alone cannot"):
            judge(explanation_of(RISING), (claim,))

    def test_samples_do_not_decide_it(self, claim: Claim) -> None:
        first, last = mass(LEFT, at_least=0.5), predicted()
        assert sampled((first, claim, last)) == (first, last)

    def test_where_weights_without_a_sign_say_nothing_it_says_so(self, explanation_of: Build, claim: Claim) -> None:
        lab = FakeLab(explanation_of(RISING, signed=False), lambda masks: masks.mean(axis=1), without=(0.1, 0.1))
        lab.other = lab.explanation
        if claim.needs_sign:
            with pytest.raises(OptionError, match=f"{claim.name} asks what speaks for a class or against it"):
                conducted(claim, lab)
        else:
            conducted(claim, lab)


@pytest.mark.parametrize(
    "make",
    [
        lambda region: necessity(region, at_most=0.5),
        lambda region: sufficiency(region, at_least=0.5),
        lambda region: no_reliance(region, at_most=0.5),
    ],
)
def test_something_else_than_a_region(make: Callable[[Any], Claim]) -> None:
    with pytest.raises(RegionError, match=r"\(0, 0, 5, 5\) is no region; pass Box"):
        make((0, 0, 5, 5))


class Own(Trial):
    """A trial of a user's own."""

    def __init__(self, returned: Any, regions: tuple[Region, ...] = ()) -> None:
        self.returned, self.regions = returned, regions

    def __repr__(self) -> str:
        return "Own()"

    def conduct(self, lab: Any) -> Verdict:
        verdict: Verdict = self.returned
        return verdict


def told(status: Any, **values: Any) -> Verdict:
    return Verdict(meaning="…", estimate=1, interval=(1, 1), relation=">=", bound=0, status=status, **values)


def concluded(claims: Sequence[Claim], lab: FakeLab) -> Check:
    """As `lime.check` does: the samples decide what they can, and then the trials are made."""
    return conclude(judge(lab.explanation, sampled(claims)), claims, lab)


USED, UNUSED, UNCLEAR = (0.1, 0.3), (0.78, 0.8), (0.1, 0.79)


class TestConclude:
    def test_a_trial_of_too_few_samples_decides_nothing(self, explanation_of: Build) -> None:
        explanation = dataclasses.replace(explanation_of(RISING), anytime=True)
        claims = (stable(2, at_least=0.5), Own(told("fail")))
        check = concluded(claims, FakeLab(explanation, seeds=[explanation]))
        assert [verdict.status for verdict in check.verdicts] == ["inconclusive", "fail"]
        assert (check.verdicts[0].estimate, check.verdicts[0].needs) == (1.0, 1000)
        assert "stable needs at least 1,000 samples and has 400: raise max_samples" in check.verdicts[0].note

    @pytest.mark.parametrize(("evidence", "needs"), [(True, 777), (False, 0)])
    def test_what_would_decide_it_is_reckoned_for_whoever_is_told(
        self, explanation_of: Build, monkeypatch: pytest.MonkeyPatch, evidence: bool, needs: int
    ) -> None:
        monkeypatch.setattr("pytest_lime.trials.samples_to_decide", lambda explanation, claim: 777)
        lab = FakeLab(explanation_of(RISING))
        claims = (predicted(rank=1),)
        judged = Check(lab.explanation, (told("inconclusive"),))
        assert conclude(judged, claims, lab, evidence=evidence).verdicts[0].needs == needs

    def test_verdicts_keep_the_order_of_the_claims(self, explanation_of: Build) -> None:
        claims = (
            necessity(LEFT, at_most=0.5),
            predicted(),
            stable(2, at_least=0.5),
            mass(RIGHT, at_least=0.5),
            Own(told("fail")),
        )
        explanation = explanation_of(RISING)
        lab = FakeLab(explanation, without=USED, seeds=[explanation])
        check = concluded(claims, lab)
        assert [verdict.claim for verdict in check.verdicts] == ["necessity", "predicted", "stable", "mass", "Own"]
        assert [verdict.text for verdict in check.verdicts] == list(map(repr, claims))
        assert check.explanation is explanation

    def test_each_region_is_hidden_once(self, explanation_of: Build) -> None:
        claims = (mass(LEFT, at_least=0.1), necessity(LEFT, at_most=0.5), mass(RIGHT, at_least=0.1), predicted())
        lab = FakeLab(explanation_of(RISING), without=USED)
        check = concluded(claims, lab)
        assert [one.region for one in check.interventions] == [LEFT, RIGHT]
        assert lab.asked[0] == (LEFT, RIGHT)

    def test_without_a_region_nothing_is_hidden(self, explanation_of: Build) -> None:
        lab = FakeLab(explanation_of(RISING))
        assert concluded((predicted(),), lab).interventions == ()
        assert lab.asked == []

    @pytest.mark.parametrize(
        ("claim", "status", "disagrees"),
        [
            # 14 of 36 of the weight lies to the left.
            (mass(LEFT, at_least=0.3), "pass", UNUSED),
            (mass(LEFT, at_least=0.5), "fail", USED),
            (mass(LEFT, at_most=0.5), "pass", USED),
            (mass(LEFT, at_most=0.3), "fail", UNUSED),
            (no_reliance(LEFT, at_most=2), "pass", USED),
            (no_reliance(LEFT, at_most=-0.1), "fail", UNUSED),
            (mass(LEFT, at_least=0.3, sign="negative"), "inconclusive", None),
            (necessity(LEFT, at_most=0.5), None, None),
            (sufficiency(LEFT, at_least=0.5), None, None),
            (predicted(), "pass", None),
            (Own(told("pass"), (LEFT,)), "pass", None),
        ],
        ids=repr,
    )
    def test_a_note_tells_where_hiding_says_otherwise(
        self, *, explanation_of: Build, claim: Claim, status: str | None, disagrees: tuple[float, float] | None
    ) -> None:
        for without in (USED, UNUSED, UNCLEAR):
            lab = FakeLab(explanation_of(RISING), lambda masks: masks.mean(axis=1), without=without)
            (verdict,) = concluded((claim,), lab).verdicts
            assert status in (None, verdict.status)
            words = (
                f"attribution and intervention disagree: without {LEFT!r} the score goes from 0.8 to "
                f"{without[0]:.3g} (image_mean), {without[1]:.3g} (blur)"
            )
            assert (words == verdict.caution) == (without == disagrees)
            assert ("disagree" in verdict.caution) == (without == disagrees)
            assert "disagree" not in verdict.note

    def test_what_was_noted_is_kept(self, explanation_of: Build) -> None:
        lab = FakeLab(explanation_of(RISING, unchanged=(0, 1, 4)), without=UNUSED)
        (verdict,) = concluded((mass(LEFT, at_least=0.3),), lab).verdicts
        assert verdict.note.startswith("75% of Box(0, 0, 10, 10) looks the same hidden as shown")
        assert verdict.caution.startswith("attribution and intervention disagree")

    @pytest.mark.parametrize(
        ("claim", "without", "depends"),
        [
            (mass(LEFT, at_most=0.5), (0.78, 0.3), True),
            (mass(LEFT, at_most=0.5), (0.78, 0.6), False),
            (mass(LEFT, at_least=0.3), (0.78, 0.3), True),
            (mass(LEFT, at_least=0.3), (0.6, 0.3), False),
            # One that fails has found something, and one fill that sees nothing takes nothing from it.
            (mass(LEFT, at_least=0.5), (0.78, 0.3), False),
        ],
    )
    def test_a_pass_that_one_fill_speaks_against_is_told(
        self, *, explanation_of: Build, claim: Claim, without: tuple[float, float], depends: bool
    ) -> None:
        lab = FakeLab(explanation_of(RISING), lambda masks: masks.mean(axis=1), without=without)
        (verdict,) = concluded((claim,), lab).verdicts
        words = f"it depends on what hides the region: without {LEFT!r} the score goes from 0.8 to {without[0]:.3g} "
        assert verdict.caution.startswith(words) == depends == bool(verdict.caution)

    def test_what_is_open_disagrees_with_nothing(self, explanation_of: Build) -> None:
        for without in (USED, UNUSED):
            lab = FakeLab(explanation_of(RISING, error=0.2), without=without)
            (verdict,) = concluded((mass(LEFT, at_least=0.4),), lab).verdicts
            assert verdict.status == "inconclusive"
            assert verdict.caution == ""

    def test_a_claim_of_ones_own_may_want_use(self, explanation_of: Build) -> None:
        class Wanting(Own):
            wants_use = True

        lab = FakeLab(explanation_of(RISING), without=UNUSED)
        one, two, elsewhere = concluded(
            (
                Wanting(told("pass"), (LEFT,)),
                Wanting(told("pass"), (LEFT, RIGHT)),
                Wanting(told("pass", regions=(MARK,)), (LEFT,)),
            ),
            lab,
        ).verdicts
        assert one.caution.startswith("attribution and intervention disagree")
        # Of two regions neither is meant, and of another nobody asked.
        assert (two.caution, elsewhere.caution) == ("", "")

    def test_an_open_claim_is_told_what_it_needs(self, explanation_of: Build) -> None:
        lab = FakeLab(explanation_of(RISING, error=0.05), without=UNCLEAR, whole=-1.0)
        claims = (mass(LEFT, at_least=0.35), necessity(LEFT, at_most=0.5), mass(LEFT, at_least=0.1))
        open_, trial, closed = concluded(claims, lab).verdicts
        assert [open_.status, trial.status, closed.status] == ["inconclusive", "inconclusive", "pass"]
        assert open_.needs > lab.explanation.samples
        assert (trial.needs, closed.needs) == (0, 0)
        assert "samples in all should decide it" in open_.outlook

    def test_what_a_claim_of_ones_own_says_that_it_needs_stays(self, explanation_of: Build) -> None:
        class Wide(Claim):
            def judge(self, explanation: Explanation) -> Verdict:
                return Verdict(
                    meaning="m", estimate=0.5, interval=(0, 1), relation=">=", bound=0.5, samples=400, needs=900
                )

        (verdict,) = concluded((Wide(),), FakeLab(explanation_of(RISING))).verdicts
        assert (verdict.status, verdict.needs) == ("inconclusive", 900)

    @pytest.mark.parametrize("returned", [None, True])
    def test_something_else_than_a_verdict_is_told(self, explanation_of: Build, returned: Any) -> None:
        with pytest.raises(OptionError) as caught:
            concluded((Own(returned),), FakeLab(explanation_of(RISING)))
        assert str(caught.value) == f"Own.conduct returned {returned!r}; it must return a pytest_lime.Verdict."

    def test_without_conduct_there_is_no_trial(self) -> None:
        with pytest.raises(TypeError, match="abstract"):
            Trial()  # type: ignore[abstract]
