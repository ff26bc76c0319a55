"""The method card: what a reviewer must be told is in it."""

from typing import Any

import pytest

from pytest_lime.report.method import method_card


def record(*samples: int, confidence: Any = 0.95) -> dict[str, Any]:
    return {"options": {"confidence": confidence}, "claims": [{"samples": count} for count in samples]}


def sentences(*records: Any) -> str:
    card = method_card(records)
    for one in card["covers"] + card["does_not_cover"]:
        assert one[0].isupper()
        assert one.endswith(".")
        assert "{" not in one
    return "\n".join(card["covers"] + card["does_not_cover"])


@pytest.mark.parametrize(
    "words",
    [
        "sampling error only",
        "No verdict says that the model is right",
        "Nothing is said about images that were not checked",
        "superpixels",
        "filled with",
        "kernel",
        "held-out R²",
        "Inconclusive does not mean passed",
        "not corrected",
        "skipped or deselected",
    ],
)
def test_it_says_what_is_not_covered(words: str) -> None:
    assert words in sentences()


def test_it_says_how_sure_and_how_many_claims() -> None:
    told = sentences(record(100, 200), record(300, 0))
    assert "at 95 % confidence" in told.replace("\N{NO-BREAK SPACE}", " ").replace(
        "\N{NARROW NO-BREAK SPACE}", " "
    ) or ("at 95% confidence" in told)
    assert "3 claims in this file rest on samples, and of all of them together chance alone judges fewer" in told
    assert "fewer than one (about 0.15 of a claim) wrongly" in told
    assert "judges about 2 claims wrongly" in sentences(*[record(10, confidence=0.8)] * 10)
    assert "1 claim in this file rests" in sentences(record(10, confidence=0.9))


def test_records_with_several_levels_have_none_in_common() -> None:
    assert "at the confidence that its record states" in sentences(record(10), record(10, confidence=0.99))


@pytest.mark.parametrize(
    "damaged", [{}, {"options": 3}, {"options": {"confidence": "high"}, "claims": "none"}, record(1, confidence=7)]
)
def test_a_damaged_record_is_passed_over(damaged: dict[str, Any]) -> None:
    assert "the more claims, the more likely" in sentences(damaged)
