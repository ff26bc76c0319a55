"""Whether a network reads the digit, or the mark in the corner that all threes of its training set had.

Every question is put to two networks, and the answers differ: the marked network fails, as it must, and
its clean twin passes. The failures are expected strictly: a change that cures the marked network, or a
claim that no longer notices, turns the suite red.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pytest_lime import Box, Lime, TorchModel, mass, no_reliance, predicted, top_overlap

Pictures = NDArray[np.uint8]

MARK = Box(0, 24, 8, 32)  # the white patch, in pixels of the 32×32 pictures

# Sixteen squares of 8×8 pixels, of which the mark is one. A hidden square turns black like the
# background: the picture with the mark hidden is the picture that never had it.
pytestmark = pytest.mark.lime(segmenter="grid", segments=16, fill=(0, 0, 0))

marked_fails_clean_passes = pytest.mark.parametrize(
    "lime_model",
    [
        pytest.param(
            "marked",
            marks=pytest.mark.xfail(
                strict=True,
                raises=AssertionError,
                reason="it has learned that the mark is a 3, and hardly looks at the strokes",
            ),
        ),
        "clean",
    ],
    indirect=True,
)


def share_called_three(model: TorchModel, pictures: Callable[[int], Pictures]) -> float:
    """Return which share of the digits other than 3 the model calls a 3."""
    others = np.concatenate([pictures(digit) for digit in range(10) if digit != 3])
    scores = model.predict(torch.from_numpy(others).float().div(255).unsqueeze(1))
    return (scores.argmax(1) == 3).float().mean().item()


@marked_fails_clean_passes
@pytest.mark.parametrize("number", range(3))
def test_a_three_is_recognised_by_its_strokes_and_not_by_the_mark(
    lime: Lime, marked: Callable[[int], Pictures], number: int
) -> None:
    lime.check(
        marked(3)[number],
        "3",
        predicted(at_least=0.5),
        top_overlap(~MARK, k=3, at_least=3),
        mass(MARK, at_most=0.1),
    )


@marked_fails_clean_passes
@pytest.mark.parametrize("digit", [1, 7, 8])
def test_another_digit_stays_what_it_is_when_it_gets_the_mark(
    lime: Lime, marked: Callable[[int], Pictures], digit: int
) -> None:
    lime.check(marked(digit)[0], digit, predicted(at_least=0.5))


@marked_fails_clean_passes
def test_the_mark_does_not_turn_other_digits_into_threes(
    lime_model: TorchModel, marked: Callable[[int], Pictures]
) -> None:
    assert share_called_three(lime_model, marked) < 0.02


@pytest.mark.parametrize("lime_model", ["marked", "clean"], indirect=True)
def test_without_the_mark_no_other_digit_is_a_three(lime_model: TorchModel, plain: Callable[[int], Pictures]) -> None:
    assert share_called_three(lime_model, plain) < 0.02


@marked_fails_clean_passes
@pytest.mark.parametrize("digit", [3, 5, 8])
def test_the_mark_adds_nothing_whatever_else_is_shown(
    lime: Lime, marked: Callable[[int], Pictures], digit: int
) -> None:
    # Pairs of pictures, with the mark and without, all else equal: far fewer passes than weights take.
    lime.check(marked(digit)[0], "3", no_reliance(MARK, at_most=0.1))
