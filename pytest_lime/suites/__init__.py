"""YAML suites: files of tests that need no Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_lime.suites.cases import Case

__all__ = ["CASE", "LIME_OF_SUITE", "uses_lime"]

# What a test that was collected from a suite makes of the file.
CASE: pytest.StashKey[Case] = pytest.StashKey()
# The fixture that stands for `lime` in tests whose suite names a model.
LIME_OF_SUITE = "_lime_of_suite"


def uses_lime(item: pytest.Item) -> bool:
    """Whether a test asks for `lime`, by itself or by way of another fixture."""
    return not {"lime", LIME_OF_SUITE}.isdisjoint(getattr(item, "fixturenames", ()))
