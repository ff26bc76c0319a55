"""Evidence: the record of one check, and the pictures that belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pytest_lime.records import VERSION
from pytest_lime.regions import Region, check_region
from pytest_lime.report.pictures import write_pictures
from pytest_lime.verdicts import Check, worst

__all__ = ["describe", "draw"]

LISTED = 16
NUMBERED = 4


def describe(check: Check, *, extra: dict[str, Any]) -> dict[str, Any]:
    """Return the record of `check`; `extra` says where it stands (id, test, file, line, …).

    A check without verdicts is an explanation whose test failed by a plain assertion.
    """
    explanation = check.explanation
    regions = _regions(check)
    shares = [explanation.shares(region) for region in regions]
    weights, interval = explanation.weights[0], explanation.interval[0]
    ranks = {superpixel: rank for rank, superpixel in enumerate(_top(check), start=1)}
    strongest = np.argsort(-np.abs(weights), kind="stable")
    # Whatever has a number in the picture has its figures beside it.
    order = [superpixel for place, superpixel in enumerate(strongest) if place < LISTED or superpixel in ranks]
    best = np.argsort(-explanation.prediction, kind="stable")[:5]
    height, width = explanation.image.size
    return {
        "version": VERSION,
        **extra,
        "kind": "check" if check.verdicts else "explanation",
        "outcome": "passed",
        "reason": "",
        "status": worst([verdict.status for verdict in check.verdicts]) if check.verdicts else "fail",
        "image": {
            "name": explanation.image.name,
            "width": width,
            "height": height,
            "sha256": explanation.image.sha256,
        },
        "target": {
            "index": explanation.targets[0],
            "label": explanation.labels[0],
            "score": float(explanation.score[0]),
            "rank": explanation.rank(),
        },
        "predictions": [
            {
                "index": int(index),
                "label": explanation.class_names[index],
                "score": float(explanation.prediction[index]),
            }
            for index in best
        ],
        "claims": [verdict.as_json() for verdict in check.verdicts],
        "explanation": {
            "superpixels": explanation.superpixels,
            "samples": explanation.samples,
            "passes": explanation.passes,
            "confidence": explanation.confidence,
            "r2": float(explanation.r2[0]),
            "intercept": float(explanation.intercept[0]),
            "local_prediction": float(explanation.local_pred[0]),
            "sampler": explanation.sampler,
            "seconds": round(explanation.seconds, 3),
            "batch_size": explanation.batch_size,
            "device": explanation.device,
        },
        "weights": [
            {
                "superpixel": int(superpixel),
                "rank": ranks.get(int(superpixel)),
                "weight": float(weights[superpixel]),
                "interval": _finite_pair(interval[superpixel]),
                "shares": [round(float(share[superpixel]), 4) for share in shares],
            }
            for superpixel in order
        ],
        "top": len(ranks),
        "regions": [
            {"text": repr(region), "area": round(float(explanation.region_mask(region).mean()), 4)}
            for region in regions
        ],
        "view": {
            "box": [float(end) for end in explanation.view.box],
            "shape": [int(length) for length in explanation.view.shape],
        },
        "limit": float(np.abs(weights).max()),
        "pictures": {},
        "options": explanation.options.as_json(),
    }


def draw(check: Check, folder: Path, stem: str) -> dict[str, str]:
    """Write the pictures of `check` into `folder` and return their paths in it."""
    explanation = check.explanation
    image = explanation.image
    return write_pictures(
        folder,
        stem,
        photo=explanation.view.photo(image.pixels),
        segments=explanation.segments,
        weights=explanation.weights[0],
        regions=[explanation.view.outline(check_region(region, image.size, image.name)) for region in _regions(check)],
        top=_top(check),
    )


def _regions(check: Check) -> list[Region]:
    """Return the regions of all claims, each once."""
    found: list[Region] = []
    for verdict in check.verdicts:
        found += [region for region in verdict.regions if not any(_same(region, known) for known in found)]
    return found


def _same(region: Region, other: Region) -> bool:
    # Not by name, since two masks of one size print alike; what a user's own region compares is not known.
    ours = type(region).__module__ == Region.__module__
    return region is other or (ours and type(region) is type(other) and region == other)


def _top(check: Check) -> list[int]:
    """Return the superpixels that get a number: as many as the claims speak of."""
    asked = max((verdict.top for verdict in check.verdicts), default=0)
    wanted = min(max(asked, NUMBERED), check.explanation.superpixels)
    return [int(superpixel) for superpixel in check.explanation.top(wanted)]


def _finite_pair(interval: Sequence[float]) -> list[float] | None:
    low, high = float(interval[0]), float(interval[1])
    return [low, high] if np.isfinite(low) and np.isfinite(high) else None
