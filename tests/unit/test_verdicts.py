"""Verdicts: the rule that decides, and the words that a failed test prints."""

import dataclasses
import itertools
import json
import math
from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lime import Box, Explanation, OptionError, Verdict
from pytest_lime.verdicts import Check, Status, decide, describe_model, distinct, open_claims, worst

Build = Callable[..., Explanation]
WEIGHTS = [0.5, -0.2, 0.1, 0.0]
FINITE = st.floats(-1e6, 1e6)


def verdict_of(status: Status = "pass", **changes: Any) -> Verdict:
    values: dict[str, Any] = {
        "claim": "mass",
        "text": "mass(…)",
        "meaning": "much of it lies there",
        "status": status,
        "estimate": 0.6,
        "interval": (0.5, 0.7),
        "relation": ">=",
        "bound": 0.5,
        "figure": "0.6",
        "scale": (0.0, 1.0),
        "samples": 400,
    }
    return Verdict(**{**values, **changes})


class TestDecide:
    @pytest.mark.parametrize(
        ("interval", "relation", "bound", "status"),
        [
            ((0.5, 0.7), ">=", 0.5, "pass"),
            ((0.4, 0.5), ">=", 0.5, "inconclusive"),
            ((0.4, 0.499), ">=", 0.5, "fail"),
            ((0.5, 0.5), ">=", 0.5, "pass"),
            ((0.3, 0.5), "<=", 0.5, "pass"),
            ((0.5, 0.7), "<=", 0.5, "inconclusive"),
            ((0.501, 0.7), "<=", 0.5, "fail"),
            ((-math.inf, math.inf), ">=", 0.5, "inconclusive"),
            ((-math.inf, math.inf), "<=", 0.5, "inconclusive"),
            ((0, 0), "<=", 0, "pass"),
        ],
    )
    def test_known(self, interval: tuple[float, float], relation: Any, bound: float, status: str) -> None:
        assert decide(interval, relation, bound) == status

    @given(st.tuples(FINITE, FINITE).map(sorted), FINITE, st.sampled_from([">=", "<="]))
    def test_it_is_sure_only_where_the_whole_interval_agrees(
        self, ends: list[float], bound: float, relation: Any
    ) -> None:
        holds = [end >= bound if relation == ">=" else end <= bound for end in ends]
        status = decide((ends[0], ends[1]), relation, bound)
        assert status == ("pass" if all(holds) else "inconclusive" if any(holds) else "fail")

    @given(st.tuples(FINITE, FINITE).map(sorted), FINITE)
    def test_the_two_relations_mirror_each_other(self, ends: list[float], bound: float) -> None:
        assert decide((ends[0], ends[1]), ">=", bound) == decide((-ends[1], -ends[0]), "<=", -bound)


class TestWorst:
    @pytest.mark.parametrize("length", [1, 2, 3])
    def test_the_gravest_counts(self, length: int) -> None:
        gravity: list[Status] = ["pass", "inconclusive", "fail"]
        assert set(gravity) == set(get_args(Status))
        for statuses in itertools.product(gravity, repeat=length):
            assert worst(statuses) == max(statuses, key=gravity.index)

    def test_nothing_is_a_pass(self) -> None:
        assert worst([]) == "pass"


class TestVerdict:
    @pytest.mark.parametrize(
        ("relation", "estimate", "holds"),
        [(">=", 0.5, True), (">=", 0.49, False), ("<=", 0.5, True), ("<=", 0.51, False)],
    )
    def test_the_estimate_alone(self, relation: str, estimate: float, holds: bool) -> None:
        assert verdict_of(relation=relation, estimate=estimate, interval=(0.4, 0.7)).holds == holds

    def test_sentences(self) -> None:
        assert verdict_of().sentence == "found 0.6, needs at least 0.5; interval 0.5 … 0.7"
        assert (
            verdict_of(relation="<=", bound=0.123456).sentence == "found 0.6, needs at most 0.123; interval 0.5 … 0.7"
        )
        assert verdict_of(samples=0, figure="rank 2", bound=1).sentence == "found rank 2, needs at least 1"

    def test_as_json_holds_every_figure(self) -> None:
        values = json.loads(json.dumps(verdict_of("fail", note="a note").as_json(), allow_nan=False))
        assert values == {
            "claim": "mass",
            "text": "mass(…)",
            "meaning": "much of it lies there",
            "status": "fail",
            "estimate": 0.6,
            "interval": [0.5, 0.7],
            "relation": ">=",
            "bound": 0.5,
            "figure": "0.6",
            "asks": "at least 0.5",
            "scale": [0.0, 1.0],
            "samples": 400,
            "needs": 0,
            "outlook": "",
            "note": "a note",
            "caution": "",
        }

    @pytest.mark.parametrize(
        ("status", "needs", "outlook"),
        [
            ("inconclusive", 4000, "about 4,000 samples in all should decide it, if the estimate stays"),
            ("inconclusive", -1, "more samples alone will hardly decide it"),
            ("inconclusive", 0, ""),
            ("pass", 4000, ""),
        ],
    )
    def test_a_record_says_what_would_decide_it(self, status: Status, needs: int, outlook: str) -> None:
        values = verdict_of(status, needs=needs).as_json()
        assert (values["needs"], values["outlook"]) == (needs, outlook)

    def test_what_no_json_number_can_say_is_null(self) -> None:
        verdict = verdict_of(interval=(-math.inf, math.inf), estimate=-math.inf, bound=math.inf)
        values = json.loads(json.dumps(verdict.as_json(), allow_nan=False))
        assert (values["interval"], values["estimate"], values["bound"]) == ([None, None], None, None)
        unbounded = verdict_of(interval=(-math.inf, math.inf), estimate=2, bound=3, scale=(-math.inf, math.inf))
        assert unbounded.as_json()["scale"] == [2, 3]

    def test_five_figures_are_all_that_is_needed(self) -> None:
        verdict = Verdict(meaning="few weigh much", estimate=3, interval=(2, 4), relation="<=", bound=5)
        assert dataclasses.asdict(verdict) == {
            "meaning": "few weigh much",
            "estimate": 3.0,
            "interval": (2.0, 4.0),
            "relation": "<=",
            "bound": 5.0,
            "status": "pass",
            "figure": "3",
            "asks": "at most 5",
            "scale": (2.0, 5.0),
            "samples": 0,
            "regions": (),
            "top": 0,
            "note": "",
            "caution": "",
            "needs": 0,
            "claim": "",
            "text": "",
            "details": {},
            "beside": None,
        }
        json.dumps(verdict.as_json(), allow_nan=False)

    @pytest.mark.parametrize(
        ("interval", "relation", "status"),
        [((0.5, 0.7), ">=", "pass"), ((0.2, 0.4), ">=", "fail"), ((0.4, 0.6), "<=", "inconclusive")],
    )
    def test_the_status_follows_from_the_interval(self, interval: Any, relation: Any, status: str) -> None:
        estimate = sum(interval) / 2
        verdict = Verdict(meaning="", estimate=estimate, interval=interval, relation=relation, bound=0.5)
        assert verdict.status == status
        # What is given is kept, since a claim may weigh more than one figure.
        given = Verdict(meaning="", estimate=estimate, interval=interval, relation=relation, bound=0.5, status="fail")
        assert given.status == "fail"

    def test_numbers_of_every_kind_become_plain_ones(self) -> None:
        verdict = Verdict(
            meaning="",
            estimate=np.float32(0.5),  # type: ignore[arg-type]
            interval=np.array([0.25, 0.75]),  # type: ignore[arg-type]
            relation=">=",
            bound=np.int64(1),  # type: ignore[arg-type]
            scale=[0, np.float64(1)],  # type: ignore[arg-type]
            samples=np.int64(7),  # type: ignore[arg-type]
            regions=[Box(0, 0, 2, 2)],  # type: ignore[arg-type]
        )
        assert type(verdict.estimate) is type(verdict.bound) is float
        assert verdict.interval == (0.25, 0.75)
        assert (verdict.scale, verdict.regions) == ((0, 1), (Box(0, 0, 2, 2),))
        json.dumps(verdict.as_json(), allow_nan=False)

    @pytest.mark.parametrize(
        ("given", "drawn"),
        [((0, 1), (0, 1)), ((0, 0), (0, 1)), ((3, 1), (3, 4)), ((0, math.inf), (0, 0.7)), ((math.nan, 2), (0.5, 2))],
    )
    def test_a_scale_has_a_length(self, given: Any, drawn: tuple[float, float]) -> None:
        assert verdict_of(scale=given).scale == drawn

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"relation": "="}, "relation='=' must be '>=' or '<='"),
            ({"relation": None}, "relation=None must be"),
            ({"relation": []}, r"relation=\[\] must be"),
            ({"estimate": None}, "are numbers"),
            ({"estimate": "many"}, "are numbers"),
            ({"estimate": 10**400}, "are numbers"),
            ({"estimate": math.nan}, "estimate=nan"),
            ({"bound": math.nan}, "bound=nan"),
            ({"interval": 0.5}, "both ends of interval"),
            ({"interval": (0.5,)}, "both ends of interval"),
            ({"interval": (0.1, 0.2, 0.3)}, "both ends of interval"),
            ({"interval": (0.7, 0.5)}, "the estimate must lie in the interval"),
            ({"estimate": 0.9}, "the estimate must lie in the interval"),
            ({"samples": 2.5}, "samples, top and needs whole numbers"),
            ({"regions": ("HEAD",)}, "regions=.* must be a tuple of regions"),
            ({"interval": (math.nan, 0.5)}, "the estimate must lie in the interval"),
            ({"scale": (0, 1, 2)}, "scale are numbers"),
            ({"scale": None}, "scale are numbers"),
            ({"samples": "all"}, "are numbers"),
            ({"status": "passed"}, "status='passed' must be 'pass', 'fail' or 'inconclusive'"),
        ],
    )
    def test_values_that_cannot_be(self, changes: dict[str, Any], words: str) -> None:
        with pytest.raises(OptionError, match=rf"^Verdict: .*{words}"):
            verdict_of(**changes)


class TestDistinct:
    @pytest.mark.parametrize(
        ("value", "other", "text"),
        [
            (0.5, 0.31, "0.5"),
            (0.123456, 0.7, "0.123"),
            (0.123456, 0.123456, "0.123"),
            (0.49996, 0.5, "0.49996"),
            (0.5, 0.49996, "0.5"),
            (123456.0, 123457.0, "123456"),
            (1234.0, 7.0, "1.23e+03"),
            (math.inf, 1.0, "inf"),
            # Nine digits are enough: what differs by less is rounding.
            (0.5 + 1e-12, 0.5, "0.5"),
        ],
    )
    def test_known(self, value: float, other: float, text: str) -> None:
        assert distinct(value, other) == text

    @given(FINITE, FINITE)
    def test_figure_and_bound_are_told_apart(self, value: float, bound: float) -> None:
        told = distinct(value, bound) != distinct(bound, value)
        assert told == (f"{value:.9g}" != f"{bound:.9g}")

    def test_a_sentence_does_not_contradict_itself(self) -> None:
        verdict = verdict_of("fail", estimate=0.4999, interval=(0.4998, 0.49995), bound=0.5, figure="")
        assert verdict.sentence == "found 0.4999, needs at least 0.5; interval 0.4998 … 0.49995"


class TestCheck:
    @pytest.mark.parametrize(
        ("statuses", "status", "headline"),
        [
            (["pass"], "pass", "1 of 1 claim about 'cat' in 'cells.png' hold"),
            (["pass", "pass"], "pass", "2 of 2 claims about 'cat' in 'cells.png' hold"),
            (["pass", "fail"], "fail", "1 of 2 claims about 'cat' in 'cells.png' failed"),
            (["inconclusive", "fail"], "fail", "1 of 2 claims about 'cat' in 'cells.png' failed, 1 inconclusive"),
            (["inconclusive", "pass"], "inconclusive", "1 of 2 claims about 'cat' in 'cells.png' inconclusive"),
        ],
    )
    def test_status_and_headline(
        self, explanation_of: Build, statuses: list[Status], status: str, headline: str
    ) -> None:
        check = Check(explanation_of(WEIGHTS), tuple(map(verdict_of, statuses)))
        assert check.status == status
        assert check.headline.replace("holds", "hold") == headline

    def test_the_message_line_by_line(self, explanation_of: Build) -> None:
        explanation = explanation_of(WEIGHTS, targets=(1,), samples=1400)
        verdicts = (
            verdict_of("pass"),
            verdict_of(
                "fail", meaning="little lies here", relation="<=", note="mind the gap", regions=(Box(0, 0, 1, 1),)
            ),
        )
        message = Check(explanation, verdicts).message("lime-report/index.html#cat")
        assert message.splitlines() == [
            "1 of 2 claims about 'dog' in 'cells.png' failed.",
            "  PASS: much of it lies there",
            "      found 0.6, needs at least 0.5; interval 0.5 … 0.7",
            "  FAIL: little lies here",
            "      found 0.6, needs at most 0.5; interval 0.5 … 0.7",
            "      note: mind the gap",
            "  the model gives 'dog' 0.2 (rank 2) and predicts 'cat' 0.7",
            "  1,400 samples (antithetic) over 4 superpixels; surrogate R² 0.75 (0.70 held out); "
            "intervals at 0.95 confidence",
            "  caution: the surrogate gives the whole image 0.525 and the model 0.2",
            "  report: lime-report/index.html#cat",
        ]

    def test_without_a_report_no_line_speaks_of_it(self, explanation_of: Build) -> None:
        message = Check(explanation_of(WEIGHTS), (verdict_of(),)).message()
        assert "report" not in message

    def test_the_predicted_class_is_not_named_twice(self, explanation_of: Build) -> None:
        assert describe_model(explanation_of(WEIGHTS)) == "the model gives 'cat' 0.7 (rank 1)"

    def test_a_class_that_shares_the_first_place_is_not_named_as_its_own_rival(self, explanation_of: Build) -> None:
        for targets, rival in (((0,), "dog"), ((1,), "cat")):
            words = describe_model(explanation_of(WEIGHTS, targets=targets, prediction=(0.4, 0.4, 0.2)))
            assert words.endswith(f"0.4 (rank 2) and predicts {rival!r} 0.4")


class TestOpenClaims:
    @staticmethod
    def explained(explanation_of: Build, *, alive: int, samples: int = 400, **changes: Any) -> Explanation:
        """Return an explanation in whose samples the class is alive `alive` times."""
        explanation = explanation_of(WEIGHTS, samples=samples)
        scores = np.where(np.arange(samples)[:, None] < alive, 0.5, 0.01)
        return dataclasses.replace(explanation, sample_scores=scores, **changes)

    @pytest.mark.parametrize(
        ("statuses", "count"),
        [([], 0), (["pass"], 0), (["fail"], 0), (["inconclusive"], 1), (["inconclusive", "pass", "inconclusive"], 2)],
    )
    def test_those_that_are_inconclusive(self, statuses: list[Status], count: int, explanation_of: Build) -> None:
        explanation = self.explained(explanation_of, alive=200)
        assert open_claims(Check(explanation, tuple(map(verdict_of, statuses)))) == count

    @pytest.mark.parametrize(("alive", "count"), [(0, 3), (1, 3), (19, 3), (20, 1), (21, 1), (200, 1)])
    @pytest.mark.parametrize("samples", [400, 2000])
    def test_while_the_class_is_alive_in_a_handful_of_samples_all_are(
        self, alive: int, samples: int, count: int, explanation_of: Build
    ) -> None:
        explanation = self.explained(explanation_of, alive=alive, samples=samples)
        assert explanation.alive[0] == pytest.approx(alive / samples)
        verdicts = (verdict_of("pass"), verdict_of("fail"), verdict_of("inconclusive"))
        assert open_claims(Check(explanation, verdicts)) == count

    def test_what_rests_on_no_samples_is_decided(self, explanation_of: Build) -> None:
        explanation = self.explained(explanation_of, alive=0)
        verdicts = (verdict_of("pass", samples=0), verdict_of("fail", samples=0), verdict_of("pass"))
        assert open_claims(Check(explanation, verdicts)) == 1

    def test_where_all_masks_were_seen_no_more_can_come(self, explanation_of: Build) -> None:
        explanation = self.explained(explanation_of, alive=0, samples=16, complete=True)
        assert open_claims(Check(explanation, (verdict_of("pass"), verdict_of("fail")))) == 0


def test_details_stand_in_the_record_and_cannot_take_the_place_of_a_figure() -> None:
    verdict = Verdict(
        meaning="", estimate=3, interval=(2, 4), relation="<=", bound=5, details={"path": [[1, 2]], "status": "fail"}
    )
    assert verdict.as_json()["path"] == [[1, 2]]
    assert verdict.as_json()["status"] == "pass"
    assert hash(verdict) == hash(dataclasses.replace(verdict, details={}))
    with pytest.raises(OptionError, match=r"Verdict: details=\[1\] must be a mapping of JSON values"):
        Verdict(meaning="", estimate=3, interval=(2, 4), relation="<=", bound=5, details=[1])  # type: ignore[arg-type]
