"""Agreement: ranks as in scipy, and an interval that holds the truth as often as it says."""

import dataclasses
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr

from pytest_lime import Explanation, OptionError, TargetError
from pytest_lime.agreement import (
    Agreement,
    _ranks,
    check_opinions,
    describe_opinion,
    rank_agreement,
    rank_correlation,
)

Array = NDArray[np.float64]
Build = Callable[..., Explanation]
WEIGHTS = np.array([0.5, -0.2, 0.1, 0.0, 0.3, -0.4, 0.05, -0.01])


def agreement(weights: Any, opinion: Any, error: Any = 0.0, **given: Any) -> Agreement:
    weights = np.asarray(weights, dtype=np.float64)
    covariance = np.asarray(error, dtype=np.float64)
    if covariance.ndim < 2:
        covariance = np.diag(np.broadcast_to(covariance, len(weights)) ** 2)
    return rank_agreement(
        weights,
        np.asarray(opinion, dtype=np.float64),
        covariance,
        **{"freedom": np.inf, "rounding": 0.0, "confidence": 0.95, **given},
    )


class TestNames:
    @pytest.mark.parametrize(
        ("given", "names"),
        [
            ((), ()),
            ("occlusion", ("occlusion",)),
            (["gradcam", "occlusion", "gradcam"], ("gradcam", "occlusion")),
            (("gradcam:layer4.1", "gradcam"), ("gradcam:layer4.1", "gradcam")),
        ],
    )
    def test_each_once(self, given: Any, names: tuple[str, ...]) -> None:
        assert check_opinions(given) == names

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ("oclusion", "opinion 'oclusion' must be 'occlusion', 'gradcam', or 'gradcam:LAYER'"),
            ("oclusion", "; the nearest is 'occlusion'."),
            (["occlusion", "grad-cam"], "; the nearest is 'gradcam'."),
            ("gradcam:", "opinion 'gradcam:' must be"),
            ("occlusion:layer4", "opinion 'occlusion:layer4' must be"),
            ("", "opinion '' must be"),
            (3, "opinion 3 must be"),
            ([None], "opinion None must be"),
        ],
    )
    def test_misuse(self, given: Any, words: str) -> None:
        with pytest.raises(OptionError) as caught:
            check_opinions(given)
        assert words in str(caught.value)

    def test_words(self) -> None:
        words = [describe_opinion(name) for name in ("occlusion", "gradcam", "gradcam:a.b")]
        assert words == ["occlusion", "Grad-CAM", "Grad-CAM at 'a.b'"]


class TestCorrelation:
    @pytest.mark.parametrize("digits", [0, 1, 9], ids=["many ties", "some ties", "no ties"])
    def test_it_is_that_of_scipy(self, digits: int) -> None:
        rng = np.random.default_rng(digits)
        rows, opinion = rng.normal(size=(20, 15)).round(digits), rng.normal(size=15).round(digits)
        expected = [spearmanr(row, opinion).statistic for row in rows]
        np.testing.assert_allclose(rank_correlation(rows, opinion), expected, rtol=0, atol=1e-12)

    @pytest.mark.parametrize("shape", [(5,), (7, 20), (3, 4, 6), (2, 1)])
    @pytest.mark.parametrize("values", [3, 1000])
    def test_ranks_are_those_of_scipy(self, shape: tuple[int, ...], values: int) -> None:
        drawn = np.random.default_rng(1).integers(0, values, shape).astype(float)
        expected = rankdata(drawn, axis=-1) - (shape[-1] + 1) / 2
        np.testing.assert_array_equal(_ranks(drawn), expected)

    def test_equal_values_have_none(self) -> None:
        assert np.isnan(rank_correlation(np.ones((1, 4)), np.arange(4.0)))

    def test_it_is_of_ranks(self) -> None:
        np.testing.assert_allclose(rank_correlation(np.stack([WEIGHTS, -WEIGHTS]), np.exp(9 * WEIGHTS)), [1, -1])


class TestWithoutSamplingError:
    def test_there_is_no_width(self) -> None:
        found = agreement(WEIGHTS, np.arange(8))
        expected = spearmanr(WEIGHTS, np.arange(8)).statistic
        assert found.estimate == pytest.approx(expected, abs=1e-12)
        assert found.interval == pytest.approx((expected, expected), abs=1e-12)
        assert found.undefined == ""

    def test_nor_with_rounding_that_leaves_the_order(self) -> None:
        # The nearest two weights are 0.01 apart.
        found = agreement(WEIGHTS, np.arange(8), rounding=0.0049)
        assert found.interval == pytest.approx((found.estimate, found.estimate), abs=1e-12)

    def test_rounding_leaves_open_what_it_may_have_swapped(self) -> None:
        # 0.0 and -0.01, at places 3 and 7 of the opinion, may stand in either order.
        found = agreement(WEIGHTS, np.arange(8), rounding=0.0051)
        swapped = WEIGHTS.copy()
        swapped[[3, 7]] = swapped[[7, 3]]
        expected = sorted(spearmanr(weights, np.arange(8)).statistic for weights in (WEIGHTS, swapped))
        assert found.interval == pytest.approx(expected, abs=1e-12)
        assert found.interval[1] > found.interval[0] + 0.01

    def test_rounding_is_nothing_to_superpixels_that_the_other_method_ranks_alike(self) -> None:
        found = agreement([1.0, 0.5, 1e-9, -1e-9, 2e-9], [3, 2, 0, 0, 0], rounding=1e-6)
        # At most as much as with the mean rank, which has no rounding.
        assert found.interval[0] > 0.85
        assert found.interval == pytest.approx((found.interval[0], found.estimate), abs=1e-12)

    def test_weights_of_superpixels_that_were_not_selected_are_equal_not_rounded(self) -> None:
        found = agreement([1.0, 0.5, 0.0, 0.0, 0.0], [3, 2, 5, 6, 7], rounding=1e-6)
        assert found.interval == pytest.approx((found.estimate, found.estimate), abs=1e-12)


@pytest.mark.parametrize(
    ("weights", "opinion", "given", "words"),
    [
        ([1, 2], [1, 2], {}, "2 superpixels are too few to rank"),
        (WEIGHTS, np.arange(8), {"error": np.inf}, "the samples do not tell the weights of all superpixels"),
        (WEIGHTS, np.full(8, 0.0), {"error": 0.1}, "it says the same of every superpixel, 0"),
        (np.full(8, 0.3), np.arange(8), {}, "all weights are the same"),
        (WEIGHTS * 1e-6, np.arange(8), {"rounding": 1e-6}, "all weights are the same"),
    ],
)
def test_without_a_value_nothing_is_known(weights: Any, opinion: Any, given: dict[str, Any], words: str) -> None:
    assert agreement(weights, opinion, **given) == (0.0, (-1.0, 1.0), words)


@pytest.mark.slow
class TestSamplingError:
    def test_the_same_figures_give_the_same_interval(self) -> None:
        first, second = (agreement(WEIGHTS, np.arange(8), 0.1) for _ in range(2))
        assert first == second

    def test_more_samples_and_less_confidence_make_it_narrower(self) -> None:
        opinion = [8, 2, 6, 3, 5, 1, 7, 4]
        widths = [
            np.ptp(agreement(WEIGHTS, opinion, error, confidence=confidence).interval)
            for error, confidence in [(0.3, 0.95), (0.1, 0.95), (0.1, 0.8), (0.01, 0.8)]
        ]
        assert widths == sorted(widths, reverse=True)
        assert len(set(widths)) == 4

    @pytest.mark.parametrize("freedom", [8.0, 100.0, np.inf])
    def test_tails_that_few_draws_reach(self, freedom: float, monkeypatch: pytest.MonkeyPatch) -> None:
        opinion = [8, 2, 6, 3, 5, 1, 7, 4]

        def ends(confidence: float) -> Array:
            return np.array(agreement(WEIGHTS, opinion, 0.02, confidence=confidence, freedom=freedom).interval)

        levels = (0.9, 0.95, 0.98, 0.99, 0.999, 0.9999)
        few = {confidence: ends(confidence) for confidence in levels}
        widths = [float(np.ptp(few[confidence])) for confidence in levels]
        assert widths == sorted(widths)
        assert few[0.999][0] < few[0.99][0] < few[0.999][1]
        # So many draws reach them all.
        monkeypatch.setattr(importlib.import_module("pytest_lime.agreement"), "DRAWS", 400_000)
        for confidence in levels[:-1]:
            np.testing.assert_allclose(few[confidence], ends(confidence), rtol=0, atol=0.25 * np.ptp(ends(confidence)))

    def test_few_degrees_of_freedom_make_it_wider(self) -> None:
        opinion = [8, 2, 6, 3, 5, 1, 7, 4]
        few, many = (np.ptp(agreement(WEIGHTS, opinion, 0.05, freedom=freedom).interval) for freedom in (3.0, np.inf))
        assert few > many

    def test_errors_that_all_superpixels_share_change_no_rank(self) -> None:
        found = agreement(WEIGHTS, np.arange(8), np.full((8, 8), 0.5))
        assert found.interval == pytest.approx((found.estimate, found.estimate), abs=1e-9)

    def test_it_stays_within_what_a_correlation_can_be(self) -> None:
        low, high = agreement(WEIGHTS, WEIGHTS, 1.0).interval
        assert -1 <= low < 0.5
        assert high == 1

    @pytest.mark.parametrize(
        ("spread", "error", "noise"),
        [("normal", 0.3, 0.0), ("normal", 1.0, 0.5), ("laplace", 0.1, 2.0), ("cauchy", 0.3, 100.0)],
        ids=["ρ=1", "as much error as weight", "ρ=0.4", "ρ=0"],
    )
    def test_it_holds_the_truth_as_often_as_it_says(self, spread: str, error: float, noise: float) -> None:
        covered = 0
        seeds, superpixels, freedom = 300, 30, 200
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            draws: dict[str, Callable[..., Array]] = {
                "normal": rng.normal,
                "laplace": rng.laplace,
                "cauchy": rng.standard_cauchy,
            }
            truth = draws[spread](size=superpixels)
            # Its ranks with more or less noise upon them.
            opinion = truth.argsort().argsort() / 9 + noise * rng.normal(size=superpixels)
            mixing = error * (np.eye(superpixels) + rng.normal(0, 0.1, (superpixels, superpixels)))
            seen = truth + mixing @ rng.normal(size=superpixels)
            estimated = mixing @ mixing.T * rng.chisquare(freedom) / freedom
            low, high = agreement(seen, opinion, estimated, freedom=freedom).interval
            covered += low - 1e-9 <= rank_correlation(truth[None], opinion)[0] <= high + 1e-9
        assert covered >= 0.93 * seeds


def asked(explanation: Explanation, **opinions: Any) -> Explanation:
    """Return `explanation` with what other methods say; `_` in a name stands for a colon."""
    found = {name.replace("_", ":"): np.atleast_2d(opinion) for name, opinion in opinions.items()}
    return dataclasses.replace(explanation, opinions=found)


class TestOfAnExplanation:
    def test_figures_are_those_of_the_target(self, explanation_of: Build) -> None:
        explanation = asked(explanation_of([WEIGHTS, -WEIGHTS], targets=(0, 2)), occlusion=[WEIGHTS, WEIGHTS])
        first, second = explanation.agreement("occlusion"), explanation.agreement("occlusion", "bird")
        assert (float(first), float(second)) == (1, -1)
        assert first.interval == pytest.approx((1, 1))
        assert first.words == "the rank correlation of the weights for 'cat' with occlusion is 1"
        assert (first.samples, first.confidence) == (400, 0.95)

    def test_sampling_error_widens_it(self, explanation_of: Build) -> None:
        explanation = asked(explanation_of(WEIGHTS.tolist(), error=0.1), gradcam_a=np.abs(WEIGHTS))
        figure = explanation.agreement("gradcam:a")
        assert figure.interval[0] < figure < figure.interval[1]
        assert " with Grad-CAM at 'a' is " in figure.words

    def test_why_it_has_no_value_is_told(self, explanation_of: Build) -> None:
        figure = asked(explanation_of(WEIGHTS.tolist()), gradcam=np.zeros(8)).agreement("gradcam")
        assert (float(figure), figure.interval) == (0, (-1, 1))
        assert figure.words.endswith(" with Grad-CAM has no value, since it says the same of every superpixel, 0")

    @pytest.mark.parametrize(
        ("opinion", "words"),
        [
            (
                "gradcam",
                "opinion 'gradcam' was not asked for (asked for: 'occlusion'): explain with opinions='gradcam'.",
            ),
            ("oclusion", "the nearest is 'occlusion'"),
            (None, "opinion None must be"),
        ],
    )
    def test_one_that_was_not_asked_for(self, explanation_of: Build, opinion: Any, words: str) -> None:
        with pytest.raises(OptionError) as caught:
            asked(explanation_of(WEIGHTS.tolist()), occlusion=WEIGHTS).agreement(opinion)
        assert words in str(caught.value)

    def test_a_class_that_was_not_explained(self, explanation_of: Build) -> None:
        with pytest.raises(TargetError, match="'dog' was not explained"):
            asked(explanation_of(WEIGHTS.tolist()), occlusion=WEIGHTS).agreement("occlusion", "dog")

    def test_weights_without_a_sign_are_refused(self, explanation_of: Build) -> None:
        explanation = asked(explanation_of(WEIGHTS.tolist(), signed=False), occlusion=WEIGHTS)
        with pytest.raises(OptionError, match="agreement asks what speaks for a class"):
            explanation.agreement("occlusion")
