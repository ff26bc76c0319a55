"""The shipped network looks where it looked when its baselines were written, to the last digit."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_lime import Lime, unchanged


@pytest.mark.parametrize(("name", "target"), [("chelsea.png", "Egyptian cat"), ("coffee.png", "espresso")])
def test_it_looks_where_it_did(lime: Lime, photograph: Callable[[str], Path], name: str, target: str) -> None:
    lime.check(photograph(name), target, unchanged())
