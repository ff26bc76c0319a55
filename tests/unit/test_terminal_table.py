"""The table on the terminal, in any width."""

from typing import Any

import pytest

from pytest_lime.terminal_table import MOST_ROWS, Line, table_lines


def record(number: int = 0, status: str = "fail", **changes: Any) -> dict[str, Any]:
    claim = {
        "claim": "mass", "figure": "0.031", "bound": 0.9, "relation": ">=", "status": status, "samples": 1200,
        "interval": [0.012, 0.05],
    }  # fmt: skip
    return {
        "id": f"test-{number}",
        "kind": "check",
        "test": f"tests/animals/test_cats.py::test_where_it_looks[{number}]",
        "status": status,
        "outcome": "failed" if status == "fail" else "passed",
        "image": {"name": "chelsea.png"},
        "target": {"label": "Egyptian cat", "index": 285},
        "claims": [claim],
        "explanation": {"samples": 1200},
        **changes,
    }


def texts(lines: list[Line]) -> list[str]:
    return [line.word + line.rest for line in lines]


def shown(*records: dict[str, Any], everything: bool = False, width: int | None = None) -> list[str]:
    return texts(table_lines(records, everything=everything, width=width))


def test_in_a_log_nothing_is_shortened() -> None:
    assert shown(record()) == [
        "verdict  check                        found                                                  samples  test",
        "FAIL     Egyptian cat in chelsea.png  mass 0.031, needs at least 0.9, interval 0.012 … 0.05    1,200  "
        "tests/animals/test_cats.py::test_where_it_looks[0]",
    ]


def test_a_wide_terminal_shortens_the_middle_of_the_test() -> None:
    head, line = shown(record(), width=130)
    assert len(line) == 130
    assert line.endswith("where_it_looks[0]")
    assert line.partition("1,200  ")[2].startswith("tests/")
    assert "…" in line.partition("1,200  ")[2]
    assert len(head) < 130


@pytest.mark.parametrize("width", [None, 80, 200])
def test_a_line_break_makes_no_line_of_its_own(width: int | None) -> None:
    forged = record(target={"label": "cat\nPASS     cat in chelsea.png", "index": 1}, test="test_it.py::test[a\r\nb]")
    plain = shown(record(), width=width)
    lines = shown(forged, width=width)
    assert len(lines) == len(plain)
    assert not any("\n" in line or "\r" in line or line.startswith("PASS") for line in lines)
    assert "cat\\nPASS     cat in chelsea.png" in "".join(lines)


@pytest.mark.parametrize("width", [1, 20, 40, 60, 80, 100])
def test_a_narrow_terminal_has_the_figures_below(width: int) -> None:
    first, *rest = shown(record(), width=width)
    assert first.startswith("FAIL  Egyptian cat in chelsea.png")
    words = " ".join(" ".join(rest).split())
    assert words.endswith("mass 0.031, needs at least 0.9, interval 0.012 … 0.05; 1,200 samples")
    assert all(len(line) <= max(width, 33) or " " not in line.strip() for line in [first, *rest])
    assert "t_looks[0]" in first + words


def test_wide_characters_count_twice() -> None:
    lines = shown(record(image={"name": "猫.png"}), record(1))
    places = {line.index("mass") + line[: line.index("mass")].count("猫") for line in lines[1:]}
    assert len(places) == 1


def test_what_passed_is_shown_when_everything_is() -> None:
    records = [record(0, "pass"), record(1, "inconclusive"), record(2, "fail"), record(3, "fail", outcome="xfailed")]
    assert [line.split()[0] for line in shown(*records)[1:]] == ["FAIL", "INCONCLUSIVE", "EXPECTED"]
    assert [line.split()[0] for line in shown(*records, everything=True)[1:]] == [
        "FAIL",
        "INCONCLUSIVE",
        "EXPECTED",
        "PASS",
    ]
    assert shown(record(0, "pass")) == []


def test_each_claim_that_decided_has_a_line() -> None:
    claims = [
        {**record()["claims"][0], "claim": name, "status": status, "samples": samples, "bound": bound}
        for name, status, samples, bound in [
            ("mass", "fail", 9, 0.5),
            ("mine", "fail", 0, None),
            ("other", "pass", 9, 1),
        ]
    ]
    lines = table_lines([record(claims=claims)], everything=False, width=None)
    assert [line.verdict for line in lines] == ["", "fail", "fail"]
    assert "mass 0.031, needs at least 0.5, interval" in lines[1].rest
    assert (lines[2].word.strip(), lines[2].rest.strip()) == ("", "mine 0.031")


def test_a_severity_that_lets_the_test_pass_is_said() -> None:
    lines = shown(record(severity="warn", outcome="passed"))
    assert lines[2].strip() == "severity warn: the test passes"


def members(statuses: list[str], of: int, mostly: float, status: str, **changes: Any) -> list[dict[str, Any]]:
    told = {"id": "set-1", "of": of, "mostly": mostly, "status": status}
    return [
        record(place, one, test="t.py::test_set", set={**told, "number": place + 1}, **changes)
        for place, one in enumerate(statuses)
    ]


def test_a_set_is_told_before_its_images() -> None:
    lines = shown(*members(["pass", "fail", "inconclusive"], 5, 0.8, "fail"), record(9))
    assert lines[1].split("  ")[0] == "FAIL"
    assert "Egyptian cat in a set" in lines[1]
    assert "1 of 5 images hold, 4 must (mostly=0.8); 2 not looked at" in lines[1]
    assert lines[1].endswith("3,600  t.py::test_set")
    assert [line.split()[0] for line in lines[2:4]] == ["FAIL", "INCONCLUSIVE"]
    assert all("t.py::test_set" not in line for line in lines[2:4])
    assert "test_where_it_looks[9]" in lines[4]


def test_a_set_that_passed_is_left_out_with_the_images_that_it_allows() -> None:
    allowed = members(["pass", "pass", "fail"], 3, 0.5, "pass", outcome="passed")
    assert shown(*allowed) == []
    words = [line.split()[0] for line in shown(*allowed, everything=True)]
    assert words == ["verdict", "PASS", "EXPECTED", "PASS", "PASS"]


def test_a_comparison_and_an_explanation() -> None:
    comparison = record(
        kind="comparison",
        comparison={"headline": "mass differs by more than 0.1"},
        target={"label": None, "index": None},
    )
    explained = record(1, kind="explanation", claims=[])
    lines = shown(comparison, explained)
    assert "the predicted class" in lines[1]
    assert "mass differs by more than 0.1" in lines[1]
    assert lines[2].startswith("TEST FAILED")
    assert "explained, without a claim" in lines[2]


def test_there_is_an_end() -> None:
    records = [record(number) for number in range(MOST_ROWS + 150)]
    lines = shown(*records)
    assert len(lines) == MOST_ROWS + 2
    assert lines[-1] == "and 150 more rows, which the report shows"
    assert len(shown(*records, everything=True)) == MOST_ROWS + 151
