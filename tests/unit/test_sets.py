"""Sets of images: counts, what they decide, and between which bounds the rate lies."""

from collections.abc import Sequence
from typing import Any

import pytest

from pytest_lime import OptionError, Verdict
from pytest_lime.groups import rate_interval
from pytest_lime.sets import CheckSet, ImageCheck, check_share
from pytest_lime.verdicts import Status

ENDS: dict[str, float] = {"pass": 0.9, "fail": 0.1}


def image(number: int, status: Status) -> ImageCheck:
    low, high = (0.2, 0.8) if status == "inconclusive" else (ENDS[status], ENDS[status])
    verdict = Verdict(meaning="it holds", estimate=(low + high) / 2, interval=(low, high), relation=">=", bound=0.5)
    assert verdict.status == status
    return ImageCheck(f"{number}.png", status, (verdict,), f"about {number}.png", "")


def made(statuses: Sequence[Status], mostly: float = 1.0, total: int | None = None) -> CheckSet:
    images = tuple(image(number, status) for number, status in enumerate(statuses))
    return CheckSet(images, mostly, len(images) if total is None else total)


class TestStatus:
    @pytest.mark.parametrize(
        ("statuses", "mostly", "total", "expected"),
        [
            (["pass"] * 3, 1.0, 3, "pass"),
            (["pass", "pass", "fail"], 1.0, 3, "fail"),
            (["pass", "pass", "inconclusive"], 1.0, 3, "inconclusive"),
            (["pass", "pass", "inconclusive"], 0.6, 3, "pass"),
            # Images that were not looked at may still hold.
            (["pass"], 1.0, 3, "inconclusive"),
            (["pass", "pass"], 0.5, 4, "pass"),
            (["fail"], 1.0, 4, "fail"),
            (["fail"], 0.75, 4, "inconclusive"),
            (["fail", "fail"], 0.75, 4, "fail"),
            (["inconclusive", "fail"], 0.75, 4, "inconclusive"),
        ],
    )
    def test_what_decides(self, statuses: list[Status], mostly: float, total: int, expected: str) -> None:
        assert made(statuses, mostly, total).status == expected

    @pytest.mark.parametrize(("mostly", "total", "needed"), [(0.6, 5, 3), (0.95, 40, 38), (0.95, 41, 39), (0.01, 3, 1)])
    def test_how_many_are_needed(self, mostly: float, total: int, needed: int) -> None:
        held: list[Status] = ["pass"] * total
        assert made(held, mostly).needed == needed


class TestRate:
    def test_of_all_images_it_has_the_exact_interval(self) -> None:
        held: list[Status] = ["pass"] * 18
        failed: list[Status] = ["fail"] * 2
        statuses = held + failed
        found = made(statuses, 0.9)
        assert found.rate == 0.9
        assert found.interval == rate_interval(18, 20, 0.95)
        assert f"rate 0.9, 0.95 interval for such images {found.interval[0]:.3g} … {found.interval[1]:.3g}" in (
            found.message()
        )

    def test_open_images_are_not_counted(self) -> None:
        found = made(["pass", "fail", "inconclusive"], 0.5)
        assert found.rate == 0.5
        assert found.interval == rate_interval(1, 2, 0.95)

    def test_of_a_set_that_ended_early_it_is_that_of_these_images(self) -> None:
        found = made(["pass", "fail", "fail"], 0.9, 10)
        assert found.interval == (0.1, 0.8)
        assert "7 not looked at, since the outcome was decided" in found.headline
        assert "of these images 0.1 … 0.8" in found.message()

    def test_with_nothing_decided(self) -> None:
        assert made(["inconclusive"]).rate == 0
        assert made(["inconclusive"]).interval == (0.0, 1.0)


class TestMessage:
    def test_the_gravest_first_and_ten_in_full(self) -> None:
        failed: list[Status] = ["fail"] * 11
        statuses: list[Status] = ["inconclusive", *failed, "pass"]
        lines = made(statuses).message("page.html").splitlines()
        named = [line for line in lines if line.startswith("  about")]
        assert named == [f"  about {number}.png" for number in range(1, 11)]
        assert lines[-2:] == ["  and 2 more images", "  report: page.html"]

    def test_what_stays_open(self) -> None:
        assert made(["pass", "inconclusive", "inconclusive"]).leaning == "1.png, 2.png"


class TestShare:
    @pytest.mark.parametrize("value", [1, 0.5, 1.0])
    def test_shares(self, value: Any) -> None:
        assert check_share("mostly", value) == value

    @pytest.mark.parametrize("value", [0, -1, 75, True, "0.9", None, float("nan")])
    def test_what_is_none(self, value: Any) -> None:
        with pytest.raises(OptionError, match=r"^mostly=.* must be a share in \(0, 1\], such as 0\.95"):
            check_share("mostly", value)
