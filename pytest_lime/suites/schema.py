"""What a suite may hold, and the JSON Schema of it for editors."""

from __future__ import annotations

import dataclasses
from typing import Any

from pytest_lime.options import LimeOptions
from pytest_lime.suites.claims import CLAIM, CLAIM_FORMS, shape_of
from pytest_lime.suites.kinds import (
    Anything,
    Choice,
    Either,
    Field,
    Fields,
    Flag,
    Forms,
    ListOf,
    MapOf,
    Null,
    Number,
    Text,
    Whole,
)
from pytest_lime.suites.marks import MARKS
from pytest_lime.suites.regions import REGION, REGION_FORMS

__all__ = ["GROUPS", "SUITE", "VERSION", "json_schema"]

VERSION = 1
GROUPS = "groups"

_CLASS = (Text("a label"), Whole(0), Null("null (the predicted class)"))
_PATHS = Either((Text("a path or pattern"), ListOf("a list of them", Text("a path or pattern"))))
_SHARE = Number(above=0, high=1)
_OPTIONS = Fields(
    "options",
    {field.name: Field(Anything(shape=shape_of(field.type))) for field in dataclasses.fields(LimeOptions)},
)
_MODEL = Either((Text("a fixture's name or module:attribute"), ListOf("a list of them", Text("a fixture's name"))))
# What a test may say, and the defaults for all tests.
_SHARED = {
    "model": Field(_MODEL, "a fixture's name, or module:attribute; a list makes one case for each (lime_model)"),
    "target": Field(
        Either((*_CLASS, ListOf("a list of them", Either(_CLASS)))),
        "label or index; null is the predicted class; a list makes one case for each",
    ),
    "severity": Field(Choice(("error", "warn")), "whether a claim that does not hold fails the test, or warns (error)"),
    "marks": Field(MARKS, "marks of pytest, such as slow or {skip: reason}"),
    "options": Field(_OPTIONS, "how images are explained, as for @pytest.mark.lime"),
    "meta": Field(MapOf("a mapping", Anything()), "anything; it is kept in the records of the report"),
}
_SET = {
    "mostly": Field(_SHARE, "the share of the images that must hold (1.0)"),
    "per": Field(Choice(("set", "image")), "one case for all images together, or one for each (set)"),
}
_NAMED = {"name": Field(Text(), "what the test is called; each name once")}
_IMAGES = Fields(
    "a test of images",
    {
        **_NAMED,
        "images": Field(_PATHS, "paths or patterns (* and **), from the folder of this file"),
        "expect": Field(ListOf("a list of claims", CLAIM), "the claims, all of which must hold"),
        **_SHARED,
        **_SET,
    },
    ("images", "name", "expect"),
)
_GROUPS = Fields(
    "a test of groups",
    {
        **_NAMED,
        GROUPS: Field(MapOf("a mapping of two groups or more", _PATHS, 2), "names of groups and their images"),
        "compare": Field(CLAIM, "the claim whose figure is compared"),
        "margin": Field(Number(above=0), "what counts as alike, in units of the figure"),
        "rate": Field(Flag(), "compare how often the claim holds instead (false)"),
        "paired": Field(Flag(), "compare two groups image by image (false)"),
        "source": Field(Text("a pattern such as {parent}"), "images for which this is the same text count as one"),
        "spread": Field(Number(above=0), "the standard deviation that is expected between images"),
        **_SHARED,
    },
    (GROUPS, "name", "compare", "margin"),
)
SUITE = Fields(
    "a suite",
    {
        "version": Field(Choice((VERSION,)), "of this format"),
        "model": _SHARED["model"],
        "defaults": Field(
            Fields("defaults", {**_SHARED, **_SET}), "what tests share; what a test says itself is stronger"
        ),
        "regions": Field(MapOf("a mapping of names and regions", REGION), "regions that claims name"),
        "tests": Field(ListOf("a list of tests", Forms("a test", (_IMAGES, _GROUPS))), "the tests"),
    },
    ("version", "tests"),
)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a suite, as it is published."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A suite of pytest-lime (test_*.lime.yaml)",
        **SUITE.schema(),
        "$defs": {"region": REGION_FORMS.schema(), "claim": CLAIM_FORMS.schema()},
    }
