"""Verdicts: the rule that decides, and the words that a failed test prints."""

import itertools
import json
import math
from collections.abc import Callable
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lime import Box, Explanation, Verdict
from pytest_lime.verdicts import Check, Status, decide, describe_model, worst

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
        assert verdict_of(relation=relation, estimate=estimate).holds == holds

    def test_sentences(self) -> None:
        assert verdict_of().sentence == "found 0.6, needs at least 0.5; interval 0.5 … 0.7"
        assert (
            verdict_of(relation="<=", bound=0.123456).sentence == "found 0.6, needs at most 0.1235; interval 0.5 … 0.7"
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
            "scale": [0.0, 1.0],
            "samples": 400,
            "note": "a note",
        }

    def test_what_no_json_number_can_say_is_null(self) -> None:
        verdict = verdict_of(interval=(-math.inf, math.inf), estimate=math.nan, bound=math.inf)
        values = json.loads(json.dumps(verdict.as_json(), allow_nan=False))
        assert (values["interval"], values["estimate"], values["bound"]) == ([None, None], None, None)


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
            "  1,400 samples (antithetic) over 4 superpixels; surrogate R² 0.75; intervals at 0.95 confidence",
            "  report: lime-report/index.html#cat",
        ]

    def test_without_a_report_no_line_speaks_of_it(self, explanation_of: Build) -> None:
        message = Check(explanation_of(WEIGHTS), (verdict_of(),)).message()
        assert "report" not in message

    def test_the_predicted_class_is_not_named_twice(self, explanation_of: Build) -> None:
        assert describe_model(explanation_of(WEIGHTS)) == "the model gives 'cat' 0.7 (rank 1)"
