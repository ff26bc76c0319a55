"""A first look: one explanation as JSON values, and as a page on which regions can be drawn."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage

from pytest_lime.drawing import legend_colours, relative, shade
from pytest_lime.explanation import Explanation
from pytest_lime.highlights import boxes
from pytest_lime.regions import Region
from pytest_lime.report.charts import between, number, percent
from pytest_lime.report.evidence import (
    explanation_facts,
    finite_pair,
    predictions,
    target_facts,
)
from pytest_lime.report.pictures import border_path
from pytest_lime.report.templating import page_environment
from pytest_lime.report.trust import cost_facts, trust_facts

__all__ = ["box_words", "describe_look", "render_look", "strongest"]

FORMAT = "pytest-lime explanation"
VERSION = 1
LONGEST_PHOTO = 1600
LISTED = 8


def describe_look(explanation: Explanation, regions: Mapping[str, Region] | None = None) -> dict[str, Any]:
    """Return `explanation` as JSON values: every class, every superpixel.

    Parameters
    ----------
    explanation : Explanation
    regions : dict from str to Region, optional
        By name; each class says how much of its positive weight lies in each.

    Returns
    -------
    dict
        ``weights`` of a class has one entry a superpixel, the largest weight first: with its interval (None
        where the samples do not tell), its share of what the model sees, its box ``[x0, y0, x1, y1]`` in
        pixels of the image file (None beyond it), and its share in each region.
    """
    named = regions or {}
    shares = {name: explanation.shares(region) for name, region in named.items()}
    area = np.bincount(explanation.segments.ravel()) / explanation.segments.size
    placed, intervals = _boxes(explanation), explanation.interval

    def superpixel(row: int, index: int) -> dict[str, Any]:
        return {
            "superpixel": index,
            "weight": float(explanation.weights[row, index]),
            "interval": finite_pair(intervals[row, index]),
            "area": round(float(area[index]), 6),
            "box": placed[index],
            "regions": {name: round(float(share[index]), 4) for name, share in shares.items()},
        }

    def one_class(row: int) -> dict[str, Any]:
        order = np.argsort(-explanation.weights[row], kind="stable")
        return {
            "target": target_facts(explanation, row),
            "explanation": explanation_facts(explanation, row),
            "weights": [superpixel(row, int(index)) for index in order],
            "regions": {name: _mass(explanation, region, row) for name, region in named.items()},
            "opinions": {name: opinion[row].tolist() for name, opinion in explanation.opinions.items()},
        }

    return {
        "format": FORMAT,
        "version": VERSION,
        "image": explanation.image.facts,
        "view": explanation.view.facts,
        "signed": explanation.signed,
        "predictions": predictions(explanation),
        "classes": [one_class(row) for row in range(len(explanation.targets))],
        "options": explanation.options.as_json(),
    }


def _mass(explanation: Explanation, region: Region, row: int) -> dict[str, Any]:
    facts: dict[str, Any] = {"text": repr(region), "area": round(float(explanation.region_mask(region).mean()), 4)}
    if explanation.signed:
        mass = explanation.mass(region, explanation.targets[row])
        facts |= {"mass": float(mass), "interval": list(mass.interval)}
    return facts


def _boxes(explanation: Explanation) -> list[list[int] | None]:
    """Return the box of each superpixel in pixels of the image file."""
    numbers = explanation.segments
    found = []
    for index in range(explanation.superpixels):
        own = (numbers == index).astype(np.int8)
        box = boxes(own, own.astype(np.float64), explanation.view)
        found.append([int(box[0].x0), int(box[0].y0), int(box[0].x1), int(box[0].y1)] if box else None)
    return found


def render_look(
    explanation: Explanation, regions: Mapping[str, Region] | None = None, look: dict[str, Any] | None = None
) -> str:
    """Return one HTML page, complete in itself: pictures, weights, and a place to draw boxes for claims.

    It reads without JavaScript; with it, the pointer tells pixels of the image file and weights, and a
    box that is drawn is given as Python. `look` is what `describe_look` returned for both, if that is known.
    """
    look = describe_look(explanation, regions) if look is None else look
    photo = explanation.image.pixels
    view = explanation.view
    x0, y0, x1, y1 = view.box
    height, width = explanation.segments.shape
    template = page_environment().get_template("look.html")
    return template.render(
        look=look,
        signed=explanation.signed,
        file=view.size,
        step=_tick_step(max(view.size)),
        photo=_data_uri(_photo(photo), "JPEG"),
        labels=_data_uri(_label_picture(explanation.segments), "PNG"),
        box=(x0, y0, x1 - x0, y1 - y0),
        grid=(width, height),
        borders=border_path(explanation.segments),
        outlines=[{"name": name, "path": _outline(region.mask(view.size))} for name, region in (regions or {}).items()],
        legend=legend_colours(21) if explanation.signed else legend_colours(41)[20:],
        style=(files("pytest_lime.report") / "assets" / "look.css").read_text(encoding="utf-8"),
        script=(files("pytest_lime.report") / "assets" / "look.js").read_text(encoding="utf-8"),
        classes=[
            {
                "target": one["target"],
                "heatmap": _data_uri(shade(relative(explanation.weights[row]))[explanation.segments], "PNG"),
                "limit": number(float(np.abs(explanation.weights[row]).max())),
                "facts": [*cost_facts(one["explanation"]), *trust_facts(one["explanation"], one["target"])],
                "warnings": one["explanation"]["warnings"],
                "strongest": [_spelt(entry) for entry in strongest(one["weights"])],
                "regions": [_spelt_region(name, facts) for name, facts in one["regions"].items()],
                "weights": {entry["superpixel"]: entry["weight"] for entry in one["weights"]},
            }
            for row, one in enumerate(look["classes"])
        ],
    )


def strongest(weights: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the entries of largest magnitude, the largest weight first."""
    kept = sorted(weights, key=lambda entry: -abs(entry["weight"]))[:LISTED]
    return [entry for entry in weights if entry in kept and entry["weight"]]


def box_words(entry: dict[str, Any]) -> str:
    """Return the box of a superpixel as Python writes it."""
    return f"Box({', '.join(map(str, entry['box']))})" if entry["box"] else "beyond the file"


def _spelt(entry: dict[str, Any]) -> dict[str, str]:
    return {
        "superpixel": str(entry["superpixel"]),
        "weight": number(entry["weight"]),
        "interval": between(*entry["interval"]) if entry["interval"] else "unknown",
        "box": box_words(entry),
    }


def _spelt_region(name: str, facts: dict[str, Any]) -> dict[str, str]:
    return {
        "name": name,
        "area": percent(facts["area"]),
        "mass": number(facts.get("mass")),
        "interval": between(*facts["interval"]) if "interval" in facts else "unknown",
    }


def _photo(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    picture = PILImage.fromarray(np.rint(pixels * 255).astype(np.uint8))
    picture.thumbnail((LONGEST_PHOTO, LONGEST_PHOTO), PILImage.Resampling.LANCZOS)
    return np.asarray(picture)


def _label_picture(segments: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the superpixels as colours, 256·green + blue."""
    return np.stack([np.zeros_like(segments), segments // 256, segments % 256], axis=-1).astype(np.uint8)


def _data_uri(pixels: NDArray[np.uint8], kind: str) -> str:
    buffer = io.BytesIO()
    PILImage.fromarray(pixels).save(buffer, kind, optimize=True, **({"quality": 88} if kind == "JPEG" else {}))
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _outline(mask: NDArray[np.bool_]) -> str:
    """Return the border of a mask of the file, in its pixels."""
    return border_path(np.pad(mask, 1).astype(np.int8))


def _tick_step(longest: int) -> int:
    """Return a round number of pixels that divides the longer side into 5 to 12 parts, or nearly."""
    for power in range(6):
        for factor in (1, 2, 5):
            if longest / (factor * 10**power) <= 12:
                return int(factor * 10**power)
    return longest
