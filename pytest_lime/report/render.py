"""The page, from records alone.

Records may have been made elsewhere, by another version or by a shard: nothing in them is trusted.
Everything is read through the small readers at the end of this file, which put a calm default where a
value is missing or of the wrong type, and every text reaches the page through autoescaping.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from pytest_lime.records import PICTURE_PATH, verdict_of, write_atomically
from pytest_lime.report.charts import (
    UNKNOWN,
    Bar,
    Label,
    Track,
    WeightAxis,
    bar,
    between,
    number,
    ordinal,
    percent,
    signed,
    track,
)
from pytest_lime.report.pictures import legend_colours, opacity, region_letter

__all__ = ["explanation_rows", "page_environment", "render"]

ASSETS = ("report.css", "report.js", "icon.svg")
"""Files that lie beside the page, by their paths in the report's folder."""

PICTURES = ("image", "heatmap", "borders", "regions", "top")
LEGEND_STEPS = 21

_WORDS = {
    "fail": "Failed",
    "explanation": "Test failed",
    "inconclusive": "Inconclusive",
    "expected": "Expected failure",
    "pass": "Passed",
    "explained": "Explained",
}
"""Every mood of a card in the order of the page, with the word of its badge."""

_COUNTED = {
    "fail": "failed",
    "inconclusive": "inconclusive",
    "expected": "failed as expected",
    "pass": "passed",
    "explanation": "explained, test failed",
    "explained": "explained",
}
_ENDINGS = {
    "xpassed": "The test was expected to fail, and passed.",
    "xfailed": "The test failed as expected.",
    "skipped": "The test was skipped after this.",
    "error": "The test broke outside its own code, in a fixture.",
}
_PAGE_IDS = ("top", "checks", "overview-title", "cards-title", "scale", *(f"icon-{mood}" for mood in _WORDS))


@dataclass(frozen=True)
class _Claim:
    tone: str
    word: str
    name: str
    text: str
    meaning: str
    figure: str
    figures: list[str]
    note: str
    chart: Track | None


@dataclass(frozen=True)
class _Weight:
    superpixel: str
    rank: str
    numbered: bool
    weight: str
    interval: str
    side: str
    colour: str
    place: str
    bar: Bar
    whisker: Bar | None


@dataclass(frozen=True)
class _Weights:
    rows: list[_Weight]
    zero: str
    ticks: list[Label]


@dataclass(frozen=True)
class _Prediction:
    label: str
    score: str
    target: bool
    bar: Bar


@dataclass(frozen=True)
class _Region:
    letter: str
    text: str
    area: str


@dataclass(frozen=True)
class _Card:
    anchor: str
    mood: str
    word: str
    test: str
    place: str
    image: str
    target: str
    standing: str
    remark: str
    reason: str
    claims: list[_Claim]
    pictures: dict[str, str]
    size: tuple[int, int]
    alts: dict[str, str]
    looked: str
    view: str
    limit: str
    regions: list[_Region]
    weights: _Weights
    predictions: list[_Prediction]
    facts: list[tuple[str, str]]
    warnings: list[str]
    intervals: str
    settings: list[tuple[str, str]]
    rerun: str
    message: str


@dataclass(frozen=True)
class _Page:
    headline: str
    mood: str
    asides: list[str]
    chips: list[tuple[str, int, str, str]]
    created: str
    created_iso: str
    duration: str
    command: str
    environment: list[tuple[str, str]]
    cards: list[_Card]
    stops: list[tuple[str, str, str]] = field(default_factory=list)


def render(results: Mapping[str, Any], folder: Path) -> Path:
    """Write the report of a run and return the path of its page.

    Parameters
    ----------
    results
        The run's results, as in ``results.json``: plain JSON-safe values.
    folder
        The report's folder. The pictures that the records name are expected in its ``images``.

    Returns
    -------
    Path
        ``index.html`` in the folder; style sheet, script and icon lie beside it.
    """
    html = page_environment().get_template("page.html").render(page=_page(results))
    source = files("pytest_lime.report") / "assets"
    for name in ASSETS:
        write_atomically(folder / name, (source / name).read_bytes())
    page = folder / "index.html"
    # JSON can hold half a surrogate pair, which no encoding can: a question mark then stands for it.
    write_atomically(page, html.encode("utf-8", "replace"))
    return page


@cache
def page_environment() -> Environment:
    """Return the templates of the report."""
    environment = Environment(
        loader=PackageLoader("pytest_lime", "report/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    return environment


def _page(results: Mapping[str, Any]) -> _Page:
    environment = [(name, _text(value)) for name, value in _mapping(results.get("environment")).items()]
    records = _rows(results.get("records"))
    anchors = Counter(_PAGE_IDS)
    cards = [_card(record, _anchor(record, anchors), environment) for record in records]
    order = list(_WORDS)
    cards.sort(key=lambda card: order.index(card.mood))
    counts = Counter(card.mood for card in cards)
    first = {card.mood: card.anchor for card in reversed(cards)}
    created = _text(results.get("created"))
    return _Page(
        headline=_headline(counts),
        mood=cards[0].mood if cards else "none",
        asides=_asides(counts),
        chips=[(mood, counts[mood], _COUNTED[mood], first[mood]) for mood in order if counts[mood]],
        created=_moment(created),
        created_iso=created,
        duration=_seconds(_number(results.get("duration"))),
        command=_text(results.get("command")),
        environment=environment,
        cards=cards,
        stops=_legend(),
    )


def _legend() -> list[tuple[str, str, str]]:
    colours = legend_colours(LEGEND_STEPS)
    places = [step / (LEGEND_STEPS - 1) for step in range(LEGEND_STEPS)]
    return [
        (f"{place:.2f}", colour, f"{opacity(2 * place - 1):.3f}") for place, colour in zip(places, colours, strict=True)
    ]


def _headline(counts: Counter[str]) -> str:
    failed, unsure, expected, passed = (counts[m] for m in ("fail", "inconclusive", "expected", "pass"))
    total = failed + unsure + expected + passed
    if total == 0:
        return "No check was recorded." if not counts.total() else "No check was made, only explanations."
    rest = []
    if unsure:
        rest.append(f"{unsure} {'is' if unsure == 1 else 'are'} inconclusive")
    if expected:
        rest.append(f"{expected} failed as expected")
    if failed:
        first = f"{failed} of {total} checks failed" if total > 1 else "The only check failed"
        return ", ".join([first, *rest]) + "."
    if passed == total:
        return f"All {total} checks passed." if total > 1 else "The only check passed."
    if total == 1:
        return "The only check is inconclusive." if unsure else "The only check failed as expected."
    return f"No check failed: of {total}, " + " and ".join(rest) + "."


def _asides(counts: Counter[str]) -> list[str]:
    asides = []
    if broken := counts["explanation"]:
        asides.append(
            "1 explanation comes from a test that failed by an assertion of its own."
            if broken == 1
            else f"{broken} explanations come from tests that failed by assertions of their own."
        )
    return asides


def _anchor(record: Mapping[str, Any], taken: Counter[str]) -> str:
    """Return a card's anchor: its record's id, which failure messages name, unless that is taken."""
    # Two dashes are the page's own way to name the parts of a card, so an id cannot have them.
    name = re.sub(r"[^A-Za-z0-9._-]+|-{2,}", "-", _text(record.get("id")))[:120].strip("-") or "check"
    taken[name] += 1
    return f"{name}--{taken[name]}" if taken[name] > 1 else name


def _card(record: Mapping[str, Any], anchor: str, environment: list[tuple[str, str]]) -> _Card:
    mood = verdict_of(record)
    image = _mapping(record.get("image"))
    target = _mapping(record.get("target"))
    explanation = _mapping(record.get("explanation"))
    label = _text(target.get("label")) or f"class {_text(target.get('index')) or '?'}"
    name = _text(image.get("name")) or "image"
    regions = _regions(record)
    paths = _mapping(record.get("pictures"))
    limit = _number(record.get("limit"))
    looked = _looked(record, label, regions)
    line = _number(record.get("line"))
    return _Card(
        anchor=anchor,
        mood=mood,
        word=_WORDS[mood],
        test=_text(record.get("test")) or "unnamed test",
        place=_text(record.get("file")) + (f":{line:.0f}" if line is not None else ""),
        image=name,
        target=label,
        standing=_standing(target),
        remark=_remark(mood, _text(record.get("outcome"))),
        reason=_text(record.get("reason")),
        claims=[_claim(claim, mood, explanation) for claim in _rows(record.get("claims"))],
        pictures={kind: _picture(paths.get(kind)) for kind in PICTURES},
        size=_size(record),
        alts=_alts(name, explanation, regions, looked, _top(record)),
        looked=looked,
        view=_view(record, name),
        limit=number(abs(limit)) if limit is not None else "",
        regions=regions,
        weights=_weights(record, regions),
        predictions=_predictions(record, target),
        facts=explanation_rows(explanation, target),
        warnings=_texts(explanation.get("warnings")),
        intervals=_intervals(explanation),
        settings=[
            *((key, _text(value)) for key, value in _mapping(record.get("options")).items()),
            ("sha256 of the image", _text(image.get("sha256"))),
            *environment,
        ],
        rerun=_text(record.get("rerun")),
        message=_text(record.get("message")).strip("\n"),
    )


def _picture(path: object) -> str:
    """Return a picture's path if it is one of the report's own files, and nothing for any other address."""
    return path if isinstance(path, str) and PICTURE_PATH.fullmatch(path) else ""


def _standing(target: Mapping[str, Any]) -> str:
    score, rank = _number(target.get("score")), _number(target.get("rank"))
    words = [f"score {number(score)}"] if score is not None else []
    if rank is not None and rank >= 1:
        words.append("the model's first choice" if rank == 1 else f"the model's {ordinal(int(rank))} choice")
    return ", ".join(words)


def _remark(mood: str, outcome: str) -> str:
    """Say how the test ended where its check alone would tell another story."""
    if mood == "explanation":
        return "The test failed by an assertion of its own; this is the explanation it had asked for."
    if outcome == "failed" and mood in ("pass", "inconclusive"):
        return "The test failed, but not by this check."
    if outcome == "xfailed" and mood == "expected":
        return ""
    return _ENDINGS.get(outcome, "")


def _claim(claim: Mapping[str, Any], mood: str, explanation: Mapping[str, Any]) -> _Claim:
    status = _text(claim.get("status"))
    status = status if status in ("pass", "fail") else "inconclusive"
    estimate, bound = _number(claim.get("estimate")), _number(claim.get("bound"))
    interval, scale = _pair(claim.get("interval")), _pair(claim.get("scale"))
    relation = "<=" if claim.get("relation") == "<=" else ">="
    samples = _number(claim.get("samples"))
    figures = []
    # What took no sample, such as a rank, is known exactly: an interval of one point would say nothing.
    if interval is not None and (samples != 0 or interval[0] != interval[1]):
        figures.append(_interval_words(interval, explanation))
    if bound is not None:
        figures.append(f"must be {'at least' if relation == '>=' else 'at most'} {number(bound)}")
    if samples:
        figures.append(f"{number(samples)} samples")
    return _Claim(
        tone="expected" if mood == "expected" and status == "fail" else status,
        word=_WORDS[status],
        name=_text(claim.get("claim")) or "claim",
        text=_text(claim.get("text")),
        meaning=_text(claim.get("meaning")) or _text(claim.get("text")),
        figure=_text(claim.get("figure")) or (number(estimate) if estimate is not None else ""),
        figures=figures,
        note=_text(claim.get("note")),
        chart=track(estimate=estimate, interval=interval, relation=relation, bound=bound, scale=scale),
    )


def _interval_words(interval: tuple[float, float], explanation: Mapping[str, Any]) -> str:
    confidence = _number(explanation.get("confidence"))
    name = f"{percent(confidence)} interval" if confidence is not None else "interval"
    return f"{name} {between(*interval)}"


def _regions(record: Mapping[str, Any]) -> list[_Region]:
    rows = _rows(record.get("regions"))
    return [
        _Region(
            letter=region_letter(place) if len(rows) > 1 else "",
            text=_text(row.get("text")) or "region",
            area=percent(_number(row.get("area"))),
        )
        for place, row in enumerate(rows)
    ]


def _top(record: Mapping[str, Any]) -> int:
    top = _number(record.get("top"))
    return int(top) if top is not None and top > 0 else 0


def _looked(record: Mapping[str, Any], label: str, regions: Sequence[_Region]) -> str:
    """Say in words what the heatmap shows."""
    rows = _rows(record.get("weights"))
    strongest = next((weight for row in rows if (weight := _number(row.get("weight"))) is not None), None)
    if not strongest:
        return f"No superpixel speaks for or against {label}."
    side = "for" if strongest > 0 else "against"
    sentence = f"The strongest superpixel speaks {side} {label} with weight {number(abs(strongest))}"
    numbered = [row for row in rows if _numbered(row, _top(record))]
    count = len(numbered)
    if not count or not regions:
        return f"{sentence}."
    parts: list[str] = []
    for place, region in enumerate(regions):
        inside = sum(1 for row in numbered if (_share(row, place) or 0.0) >= 0.5)
        where = f"region {region.letter}" if region.letter else "the region"
        many = str(inside) if inside else "none"
        lies = "lie" if inside > 1 else "lies"
        parts.append(f"{many} of the top {count} {lies} in {where}" if not parts else f"{many} in {where}")
    return f"{sentence}; {', '.join(parts)}."


def _numbered(row: Mapping[str, Any], top: int) -> bool:
    rank = _number(row.get("rank"))
    return rank is not None and 1 <= rank <= top


def _share(row: Mapping[str, Any], place: int) -> float | None:
    shares = row.get("shares")
    return _number(shares[place]) if isinstance(shares, list) and place < len(shares) else None


def _alts(
    name: str, explanation: Mapping[str, Any], regions: Sequence[_Region], looked: str, top: int
) -> dict[str, str]:
    superpixels = number(_number(explanation.get("superpixels")))
    numbers = f"Numbers 1 to {top} on the top superpixels" if top > 1 else "Number 1 on the top superpixel"
    outlines = "; ".join(f"{region.letter}: {region.text}" if region.letter else region.text for region in regions)
    return {
        "image": f"{name}, the part that the model sees.",
        "backdrop": f"{name} once more, lightened under the heatmap.",
        "heatmap": f"Heatmap: {looked[0].lower()}{looked[1:]}",
        "borders": f"Borders of the {superpixels} superpixels.",
        "regions": f"Outline of {outlines}.",
        "top": f"{numbers}, as in the chart of weights.",
    }


def _size(record: Mapping[str, Any]) -> tuple[int, int]:
    """Return the width and height of what the model sees: the page keeps room for a picture not yet loaded."""
    x0, y0, x1, y1 = _box(record) or (0.0, 0.0, 1.0, 1.0)
    width, height = max(1.0, x1 - x0), max(1.0, y1 - y0)
    scale = 1024 / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _box(record: Mapping[str, Any]) -> tuple[float, float, float, float] | None:
    box = _mapping(record.get("view")).get("box")
    corners = [_number(corner) for corner in box] if isinstance(box, list) else []
    known = [corner for corner in corners if corner is not None]
    return (known[0], known[1], known[2], known[3]) if len(known) == len(corners) == 4 else None


def _view(record: Mapping[str, Any], name: str) -> str:
    image, box = _mapping(record.get("image")), _box(record)
    width, height = _number(image.get("width")), _number(image.get("height"))
    shape = _pair(_mapping(record.get("view")).get("shape"))
    if box is None or width is None or height is None:
        return ""
    corners = [round(corner) for corner in box]
    if corners == [0, 0, round(width), round(height)]:
        sentence = f"The model sees all of {name}, {number(width)} × {number(height)} pixels"
    else:
        x0, y0, x1, y1 = corners
        sentence = (
            f"The model sees columns {x0} to {x1} and rows {y0} to {y1} "
            f"of {name} ({number(width)} × {number(height)} pixels)"
        )
    return sentence + (f", at {number(shape[1])} × {number(shape[0])}." if shape is not None else ".")


def _weights(record: Mapping[str, Any], regions: Sequence[_Region]) -> _Weights:
    rows = [(row, weight) for row in _rows(record.get("weights")) if (weight := _number(row.get("weight"))) is not None]
    values = [weight for _, weight in rows]
    for row, _ in rows:
        values.extend(_pair(row.get("interval")) or ())
    axis = WeightAxis(values)
    top = _top(record)
    colours = legend_colours(LEGEND_STEPS)
    # Middling shades of the heatmap's own scale: dark enough for a white page, light enough for a dark one.
    against, towards = colours[3], colours[-4]
    return _Weights(
        rows=[
            _Weight(
                superpixel=_count(row.get("superpixel")),
                rank=_count(row.get("rank")),
                numbered=_numbered(row, top),
                weight=signed(weight, axis.places),
                interval=_ends(interval, axis.places),
                side="for" if weight > 0 else "against" if weight < 0 else "neither",
                colour=towards if weight > 0 else against,
                place=_place(row, regions),
                bar=axis.bar(weight),
                whisker=axis.whisker(interval) if interval is not None else None,
            )
            for row, weight in rows
            for interval in [_pair(row.get("interval"))]
        ],
        zero=axis.zero,
        ticks=axis.ticks,
    )


def _ends(interval: tuple[float, float] | None, places: int) -> str:
    return " to ".join(signed(end, places) for end in interval) if interval is not None else UNKNOWN


def _place(row: Mapping[str, Any], regions: Sequence[_Region]) -> str:
    """Say how much of a superpixel lies in the regions."""
    words = []
    for place, region in enumerate(regions):
        share = _share(row, place)
        if share is None or share < 0.005:
            continue
        where = f"in {region.letter}" if region.letter else "inside"
        words.append(where if share > 0.995 else f"{percent(round(share, 2))} {where}")
    return ", ".join(words) if words or not regions else "outside"


def _predictions(record: Mapping[str, Any], target: Mapping[str, Any]) -> list[_Prediction]:
    rows = _rows(record.get("predictions"))[:5]
    scores = [_number(row.get("score")) for row in rows]
    # Probabilities keep the scale from 0 to 1; scores of another kind are measured by the largest.
    full = max([1.0, *(score for score in scores if score is not None)])
    return [
        _Prediction(
            label=_text(row.get("label")) or f"class {_text(row.get('index')) or '?'}",
            score=number(score),
            target=row.get("index") is not None and row.get("index") == target.get("index"),
            bar=bar(score, full),
        )
        for row, score in zip(rows, scores, strict=True)
    ]


def explanation_rows(explanation: Mapping[str, Any], target: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a record says of its explanation and of the score of its target, as names and words."""
    samples, passes = _number(explanation.get("samples")), _number(explanation.get("passes"))
    fit, local = _number(explanation.get("r2")), _number(explanation.get("local_prediction"))
    score, sampler = _number(target.get("score")), _text(explanation.get("sampler"))
    facts = [("Superpixels", number(_number(explanation.get("superpixels"))))]
    if samples is not None:
        calls = f" ({number(passes)} model passes)" if passes is not None else ""
        facts.append(("Masked samples", f"{number(samples)}{f', {sampler}' if sampler else ''}{calls}"))
    if fit is not None:
        heldout = _number(explanation.get("r2_heldout"))
        unseen = f", {number(heldout)} on samples that it has not seen" if heldout is not None else ""
        facts.append(("Fit of the surrogate", f"R² {number(fit)}{unseen} (1 is perfect)"))
    if local is not None:
        model = f", the model {number(score)}" if score is not None else ""
        facts.append(("On the image itself", f"the surrogate says {number(local)}{model}"))
    if (alive := _number(explanation.get("alive"))) is not None:
        facts.append(("Samples with the class alive", f"{percent(alive)} keep a tenth of its score"))
    precision, shift = _text(explanation.get("precision")), _number(explanation.get("precision_shift"))
    if precision and precision != "float32":
        moved = f", which moves the score of the image by {shift:+.3g} against float32" if shift is not None else ""
        facts.append(("Precision", f"{precision}{moved}"))
    if (seconds := _number(explanation.get("seconds"))) is not None:
        facts.append(("Time", _seconds(seconds)))
    return facts


def _intervals(explanation: Mapping[str, Any]) -> str:
    limits = "They do not say that the model is right, nor that the surrogate is true to it."
    if explanation.get("sampler") == "exhaustive":
        return f"Every possible mask was run, so the figures have no sampling error. {limits}"
    confidence = _number(explanation.get("confidence"))
    sure = f" ({percent(confidence)} confidence)" if confidence is not None else ""
    often = " They hold however often the samples were looked at." if explanation.get("anytime") is True else ""
    return (
        "Intervals speak of sampling error only: how far the figures could move "
        f"with another draw of masks{sure}.{often} {limits}"
    )


def _breakable(text: str) -> Markup:
    """Return a test's name, escaped, with places where a line may break: after what parts its words."""
    return Markup(re.sub(r"(::|[/_.])", r"\1<wbr>", str(escape(text))))


def _moment(created: str) -> str:
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        return created
    zone = moment.tzname()
    return f"{moment:%Y-%m-%d %H:%M}" + (f" {zone}" if zone else "")


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{number(seconds)}{chr(0xA0)}s"
    return f"{int(seconds // 60)}{chr(0xA0)}min {int(seconds % 60)}{chr(0xA0)}s"


def _count(value: object) -> str:
    known = _number(value)
    return f"{known:.0f}" if known is not None else ""


def _number(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        known = float(value)
    except OverflowError:
        return None
    return known if math.isfinite(known) else None


def _text(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else str(value)


def _mapping(value: object) -> Mapping[str, Any]:
    return {_text(key): item for key, item in value.items()} if isinstance(value, Mapping) else {}


def _rows(value: object) -> list[Mapping[str, Any]]:
    return [_mapping(row) for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _pair(value: object) -> tuple[float, float] | None:
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    first, second = _number(value[0]), _number(value[1])
    return (first, second) if first is not None and second is not None else None
