"""The method card: what the verdicts of a report cover, and what they do not, in words for whoever signs it off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_lime.errors import count_words
from pytest_lime.report.charts import percent
from pytest_lime.report.reading import as_mapping, as_number, as_rows

__all__ = ["method_card"]

COVERS = (
    "Each check takes one image and one class, hides parts of the image (superpixels) in many random combinations, and "
    "records what score the model gives the class each time.",
    "From these scores it estimates how much each part speaks for the class (a local linear model, LIME), and compares "
    "a figure of that with the bound that the test states.",
    "A claim passes when the whole interval of its figure keeps to the bound, fails when the whole interval breaks it, "
    "and is inconclusive otherwise.",
    "{interval}",
    "A comparison of groups takes one figure of each image. Its intervals say how far the means of such images lie "
    "apart, if the images of each group were drawn at random.",
    "Where a claim names a region, the record also holds the scores of the image without that region and of the region "
    "alone, with two kinds of filling each; these are measured, not estimated.",
    "The hashes in this file say which weights of the model (where they can be read), which image, options and regions "
    "a verdict is about. With the commit of the repository and the versions of packages they let it be made again.",
)
DOES_NOT_COVER = (
    "The interval of a claim covers sampling error only, that is, how much its figure could move if other random "
    "combinations had been drawn. No other source of error is in it.",
    "No verdict says that the model is right, safe or fair. It says where the model looked on the image that was "
    "checked.",
    "Nothing is said about images that were not checked. For a set, the interval of the rate is about such images only "
    "if those in the set were drawn from them at random.",
    "The choice of superpixels, of what hidden parts are filled with and of how samples are weighted (the kernel) "
    "changes the figures. They are recorded, and the verdict is about this choice.",
    "The local linear model is an approximation. Where its held-out R² is low, or its score of the image is far from "
    "the model's, the weights describe the model poorly, even where a claim passes; the record shows both figures.",
    "Inconclusive does not mean passed, and not failed: the samples within the budget do not decide the claim. Whether "
    "it stops a release is set by --lime-inconclusive.",
    "{multiple}",
    "A region that has little weight may still matter in other images or in combination, and hiding a part shows the "
    "model an image unlike those that it was trained on.",
    "A claim is as good as its region and its bound. Whoever wrote the test chose both, and nothing here checks that "
    "they are the right ones.",
    "Tests that were skipped or deselected, and images of a set that were not looked at, are counted in this file but "
    "not judged.",
)


def method_card(records: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return what the verdicts of `records` cover and do not cover, a sentence each.

    >>> sorted(method_card([]))
    ['covers', 'does_not_cover']
    """
    levels = {as_number(as_mapping(record.get("options")).get("confidence")) for record in records} - {None}
    sure = percent(levels.pop()) if len(levels) == 1 else ""
    told = {
        "interval": "An interval is where the figure lies"
        + (f" at {sure} confidence" if sure else " at the confidence that its record states")
        + ", as far as the random choice of combinations goes; it holds however often the samples were looked at on "
        "the way, and it has no width where all combinations were tried or the figure needs none.",
        "multiple": _multiple(records),
    }
    return {
        "covers": [sentence.format_map(told) for sentence in COVERS],
        "does_not_cover": [sentence.format_map(told) for sentence in DOES_NOT_COVER],
    }


def _multiple(records: Sequence[Mapping[str, Any]]) -> str:
    """Return what many claims at once mean for the errors among them."""
    general = "Each claim is judged by itself, and its confidence is not corrected for how many claims a run makes"
    # Only those that rest on samples can be wrong by chance.
    risks = [
        1 - confidence
        for record in records
        if (confidence := as_number(as_mapping(record.get("options")).get("confidence"))) is not None
        and 0 <= confidence <= 1
        for claim in as_rows(record.get("claims"))
        if as_number(claim.get("samples"))
    ]
    if not risks:
        return f"{general}: the more claims, the more likely that one of them is judged wrongly by chance."
    rests = "rests" if len(risks) == 1 else "rest"
    return (
        f"{general}: {count_words(len(risks), 'claim')} in this file {rests} on samples, and of all of them together "
        f"chance alone judges {_about(sum(risks))} wrongly, on average and at most."
    )


def _about(expected: float) -> str:
    """Return how many claims, a number that need not be whole, in words."""
    if expected >= 1:
        return f"about {count_words(round(expected), 'claim')}"
    return f"fewer than one (about {expected:.2g} of a claim)"
