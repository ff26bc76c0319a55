"""Evidence: the record of one check, and the pictures that belong to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_lime.explanation import Explanation, Figure
from pytest_lime.groups import Comparison
from pytest_lime.options import LimeOptions
from pytest_lime.records import VERSION
from pytest_lime.regions import Region, check_region, distinct_regions, region_sha256, same_region
from pytest_lime.reliability import APART, FEW_ALIVE, POOR, UNLIKE
from pytest_lime.report.label_maps import run_lengths
from pytest_lime.report.maps import MOST_LISTED
from pytest_lime.report.pictures import LONGEST_PHOTO, write_pictures
from pytest_lime.report.thumbs import write_thumb
from pytest_lime.report.weights import LISTED
from pytest_lime.verdicts import Check, Verdict, worst

__all__ = [
    "describe",
    "describe_comparison",
    "draw",
    "draw_thumb",
    "explanation_facts",
    "finite_pair",
    "predictions",
    "target_facts",
]

Pictures = dict[str, str]
NUMBERED = 4


def describe(check: Check, *, extra: Mapping[str, Any], whole: bool = False) -> dict[str, Any]:
    """Return the record of `check`.

    A check without verdicts is an explanation whose test failed by a plain assertion.

    Parameters
    ----------
    check : Check
    extra : mapping
        Where it stands (id, test, file, line, …), and what was asked with what (model, arithmetic, …).
    whole : bool
        Tell every superpixel, and where it lies: what a record with pictures needs.
    """
    explanation = check.explanation
    regions = _regions(check)
    shares = [explanation.shares(region) for region in regions]
    weights, interval = explanation.weights[0], explanation.interval[0]
    ranks = {superpixel: rank for rank, superpixel in enumerate(_top(check), start=1)}
    strongest = np.argsort(-np.abs(weights), kind="stable")
    # Whatever has a number in the picture has its figures beside it.
    listed = MOST_LISTED if whole else LISTED
    order = [superpixel for place, superpixel in enumerate(strongest) if place < listed or superpixel in ranks]
    return {
        "version": VERSION,
        **extra,
        "kind": "check" if check.verdicts else "explanation",
        "outcome": "passed",
        "reason": "",
        "status": worst([verdict.status for verdict in check.verdicts]) if check.verdicts else "fail",
        "image": explanation.image.facts,
        "target": target_facts(explanation, 0),
        "predictions": predictions(explanation),
        "claims": [{**verdict.as_json(), "regions": _places(verdict, regions)} for verdict in check.verdicts],
        "explanation": explanation_facts(explanation, 0),
        "weights": [
            {
                "superpixel": int(superpixel),
                "rank": ranks.get(int(superpixel)),
                "weight": float(weights[superpixel]),
                "interval": finite_pair(interval[superpixel]),
                "shares": [round(float(share[superpixel]), 4) for share in shares],
            }
            for superpixel in order
        ],
        "top": len(ranks),
        "regions": [
            {"text": repr(region), "area": round(float(explanation.region_mask(region).mean()), 4)}
            for region in regions
        ],
        "interventions": [
            {
                "region": repr(one.region),
                "fills": list(one.fills),
                "whole": one.whole,
                "without": list(one.without),
                "alone": list(one.alone),
            }
            for one in check.interventions
        ],
        "validity": _validity(explanation),
        "hashes": {
            "image": explanation.image.sha256,
            "options": explanation.options.sha256,
            "regions": [region_sha256(region, explanation.image.size) for region in regions],
        },
        **({"segments": run_lengths(explanation.segments)} if whole else {}),
        "view": explanation.view.facts,
        "limit": float(np.abs(weights).max()),
        "pictures": {},
        "options": explanation.options.as_json(),
    }


def describe_comparison(
    found: Comparison,
    *,
    sizes: Mapping[str, int],
    names: Mapping[str, Sequence[str]],
    unit: str,
    text: str,
    target: Mapping[str, Any],
    cost: Mapping[str, Any],
    options: LimeOptions,
    extra: Mapping[str, Any],
    hashes: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the record of `found`, which has no picture.

    Parameters
    ----------
    found : Comparison
    sizes : mapping from name to int
        How many units each group has, also where none was measured.
    names : mapping from name to texts
        What the units of a group are called; one that is not there has units with names of their own.
    unit : ``"image"``, ``"pair"`` or ``"source"``
    text : str
        The statistic as it is written in code.
    target : mapping
        ``index`` and ``label``, both None where it is the class that is predicted for each image.
    cost : mapping
        ``images``, ``samples``, ``passes``, ``seconds`` and ``device``, of all images.
    options : LimeOptions
    extra : mapping
        Where it stands, as for `describe`.
    hashes : mapping from name to str, optional
        Of the images of each group that were looked at.
    """
    told = found.as_dict()
    measured = {group["name"]: group for group in told["groups"]}
    unknown: dict[str, Any] = {"mean": None, "interval": [None, None], "units": [], "figures": []}
    groups = [{"name": name, "count": count, **measured.get(name, unknown)} for name, count in sizes.items()]
    for group in groups:
        if group["units"] and group["name"] in names:
            group["units"] = list(names[group["name"]])
    return {
        "version": VERSION,
        **extra,
        "kind": "comparison",
        "outcome": "passed",
        "reason": "",
        "status": found.status,
        "target": dict(target),
        "claims": [],
        "comparison": {**told, "text": text, "unit": unit, "groups": groups},
        "explanation": dict(cost),
        "hashes": {"options": options.sha256, "regions": [], "groups": dict(hashes or {})},
        "pictures": {},
        "options": options.as_json(),
    }


def _validity(explanation: Explanation) -> dict[str, Any]:
    """Return how far the explanation itself can be trusted, in figures."""
    occlusion = explanation.occlusion_agreement()
    return {
        "r2_heldout": _finite(explanation.r2_heldout[0]),
        "gap": float(explanation.gap[0]),
        "alive": float(explanation.alive[0]),
        "occlusion": None if occlusion is None else float(occlusion),
        "occlusion_interval": None if occlusion is None else finite_pair(occlusion.interval),
        "poor": _poor(explanation, occlusion),
    }


def _poor(explanation: Explanation, occlusion: Figure | None) -> list[str]:
    """Return which of the figures of `_validity` are such that `Explanation.warnings` warns of them."""
    heldout, r2 = float(explanation.r2_heldout[0]), float(explanation.r2[0])
    spread = float(np.ptp(np.append(explanation.sample_scores[:, 0], explanation.score[0])))
    poor = {
        "r2_heldout": r2 - heldout > APART or heldout < POOR,
        "gap": abs(float(explanation.gap[0])) > APART * spread,
        "alive": float(explanation.alive[0]) < FEW_ALIVE,
        "occlusion": occlusion is not None and occlusion.interval[1] < UNLIKE,
    }
    return [name for name, is_poor in poor.items() if is_poor]


def target_facts(explanation: Explanation, row: int) -> dict[str, Any]:
    """Return what the model says of the class that `row` explains."""
    return {
        "index": explanation.targets[row],
        "label": explanation.labels[row],
        "score": float(explanation.score[row]),
        "rank": explanation.rank(explanation.targets[row]),
    }


def predictions(explanation: Explanation) -> list[dict[str, Any]]:
    """Return the classes of highest score."""
    best = np.argsort(-explanation.prediction, kind="stable")[:5]
    return [
        {"index": int(index), "label": explanation.class_names[index], "score": float(explanation.prediction[index])}
        for index in best
    ]


def explanation_facts(explanation: Explanation, row: int) -> dict[str, Any]:
    """Return how the class of `row` was explained, and how far the outcome can be trusted."""
    return {
        "superpixels": explanation.superpixels,
        "samples": explanation.samples,
        "passes": explanation.passes,
        "confidence": explanation.confidence,
        "anytime": explanation.anytime,
        "precision": explanation.options.precision,
        "precision_shift": None if explanation.precision_shift is None else float(explanation.precision_shift[row]),
        "r2": float(explanation.r2[row]),
        "r2_heldout": _finite(explanation.r2_heldout[row]),
        "alive": float(explanation.alive[row]),
        "warnings": list(explanation.warnings(explanation.targets[row])),
        "intercept": float(explanation.intercept[row]),
        "local_prediction": float(explanation.local_pred[row]),
        "sampler": explanation.sampler,
        "seconds": round(explanation.seconds, 3),
        "batch_size": explanation.batch_size,
        "device": explanation.device,
    }


def draw(check: Check, folder: Path, stem: str, *, hidden: Mapping[str, NDArray[np.float32]] | None = None) -> Pictures:
    """Write the pictures of `check` into `folder` and return their paths in it.

    `hidden` holds what the model saw of the image with parts of it hidden, by the picture's key, C×H×W in [0, 1].
    """
    explanation = check.explanation
    image, view = explanation.image, explanation.view
    paths = write_pictures(
        folder,
        stem,
        photo=view.photo(image.pixels, LONGEST_PHOTO),
        segments=explanation.segments,
        weights=explanation.weights[0],
        regions=[view.outline(check_region(region, image.size, image.name)) for region in _regions(check)],
        top=_top(check),
        beside=next((verdict.beside for verdict in check.verdicts if verdict.beside is not None), None),
        hidden=hidden or {},
    )
    return {**paths, **draw_thumb(check, folder, stem)}


def draw_thumb(check: Check, folder: Path, stem: str) -> Pictures:
    """Write the small picture of `check` into `folder`, where the model looked in one view, and return its path."""
    explanation = check.explanation
    return write_thumb(
        folder,
        stem,
        pixels=explanation.pixels,
        aspect=_aspect(explanation),
        segments=explanation.segments,
        weights=explanation.weights[0],
        regions=[explanation.region_mask(region) for region in _regions(check)],
    )


def _aspect(explanation: Explanation) -> float:
    """Return width by height of what the model sees, in pixels of the image file."""
    x0, y0, x1, y1 = explanation.view.box
    return (x1 - x0) / (y1 - y0)


def _regions(check: Check) -> list[Region]:
    """Return the regions of all claims, each once."""
    return distinct_regions(region for verdict in check.verdicts for region in verdict.regions)


def _places(verdict: Verdict, regions: Sequence[Region]) -> list[int]:
    """Return which of `regions` the verdict speaks of."""
    return [
        place for place, region in enumerate(regions) if any(same_region(region, other) for other in verdict.regions)
    ]


def _top(check: Check) -> list[int]:
    """Return the superpixels that get a number: as many as the claims speak of."""
    asked = max((verdict.top for verdict in check.verdicts), default=0)
    wanted = min(max(asked, NUMBERED), check.explanation.superpixels)
    sign = "positive" if check.explanation.signed else "both"
    return [int(superpixel) for superpixel in check.explanation.top(wanted, sign)]


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def finite_pair(interval: Sequence[float]) -> list[float] | None:
    """Return `interval` as JSON holds it: None where an end is unknown."""
    low, high = _finite(interval[0]), _finite(interval[1])
    return None if low is None or high is None else [low, high]
