"""Copies of the network beside the shipped one, on the same superpixels and masks, without any stored file."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_lime import ClaimFailed, Lime, TorchModel, unchanged

# Which copy a test is about.
of = pytest.mark.parametrize


@pytest.fixture(scope="session")
def lime_model(request: pytest.FixtureRequest) -> TorchModel:
    """The copy that a test asks for by name."""
    model: TorchModel = request.getfixturevalue(request.param)
    return model


@of("lime_model", ["harmless"], indirect=True)
def test_a_harmless_step_leaves_it_where_it_looks(
    lime: Lime, shipped: TorchModel, photograph: Callable[[str], Path]
) -> None:
    lime.check(photograph("chelsea.png"), "Egyptian cat", unchanged(reference=shipped))


@pytest.mark.xfail(strict=True, raises=ClaimFailed, reason="badly cropped pictures taught it that a blanket is a cat")
@of("lime_model", ["misled"], indirect=True)
def test_a_copy_learned_from_bad_crops_looks_where_the_shipped_one_does(
    lime: Lime, shipped: TorchModel, photograph: Callable[[str], Path]
) -> None:
    lime.check(photograph("chelsea.png"), "Egyptian cat", unchanged(reference=shipped))
