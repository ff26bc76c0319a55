"""Parity between groups of digits: pictures with the mark are to be treated as those without.

Being alike is shown, not assumed: the difference between the groups has to lie within the margin as surely as the
confidence says. Pictures with and without the mark are the same pictures, so they are compared in pairs.
"""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from pytest_lime import Box, ClaimFailed, Lime, mass, predicted

Pictures = NDArray[np.uint8]

MARK = Box(0, 24, 8, 32)
PAIRS = 16

pytestmark = pytest.mark.lime(segmenter="grid", segments=16, fill=(0, 0, 0))

marked_differs_clean_does_not = pytest.mark.parametrize(
    "lime_model",
    [
        pytest.param(
            "marked",
            marks=pytest.mark.xfail(strict=True, raises=ClaimFailed, reason="it looks at the mark where there is one"),
        ),
        "clean",
    ],
    indirect=True,
)


@marked_differs_clean_does_not
def test_the_corner_gets_as_much_weight_with_the_mark_as_without(
    lime: Lime, plain: Callable[[int], Pictures], marked: Callable[[int], Pictures]
) -> None:
    lime.compare_groups(
        {"without": list(plain(3)[:PAIRS]), "with": list(marked(3)[:PAIRS])},
        "3",
        mass(MARK, at_most="area"),
        margin=0.1,
        paired=True,
        spread=0.1,
    )


@marked_differs_clean_does_not
def test_other_digits_are_recognised_as_surely_with_the_mark_as_without(
    lime: Lime, plain: Callable[[int], Pictures], marked: Callable[[int], Pictures]
) -> None:
    lime.compare_groups(
        {"without": list(plain(7)[:PAIRS]), "with": list(marked(7)[:PAIRS])},
        "7",
        predicted(at_least=0.5, rank=None),
        margin=0.1,
        paired=True,
        spread=0.1,
    )
