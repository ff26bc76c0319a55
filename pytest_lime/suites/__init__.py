"""YAML suites: files of tests that need no Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_lime.suites.cases import Case

__all__ = ["CASE", "LIME_OF_SUITE"]

# What a test that was collected from a suite makes of the file.
CASE: pytest.StashKey[Case] = pytest.StashKey()
# The fixture that stands for `lime` in tests whose suite names a model.
LIME_OF_SUITE = "_lime_of_suite"
