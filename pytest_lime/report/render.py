"""The page, from records alone.

Records may have been made elsewhere, by another version or by a shard: nothing in them is trusted.
Everything is read through the small readers of `reading`, which put a calm default where a value is missing or
of the wrong type, and every text reaches the page through autoescaping.
"""

from __future__ import annotations

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
    duration,
    number,
    ordinal,
    percent,
    signed,
    track,
)
from pytest_lime.report.comparisons import Compared, compared, compared_subject
from pytest_lime.report.pictures import legend_colours, opacity, region_letter
from pytest_lime.report.reading import as_count, as_mapping, as_number, as_pair, as_rows, as_text, as_texts
from pytest_lime.report.trust import Fact, Probes, cost_facts, probes, trust_facts

__all__ = ["page_environment", "render"]

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
    outlook: str
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
    comparison: Compared | None
    pictures: dict[str, str]
    size: tuple[int, int]
    alts: dict[str, str]
    looked: str
    view: str
    limit: str
    regions: list[_Region]
    weights: _Weights
    predictions: list[_Prediction]
    probes: Probes
    trust: list[Fact]
    facts: list[Fact]
    warnings: list[str]
    intervals: str
    settings: list[tuple[str, str]]
    rerun: str
    message: str

    @property
    def found(self) -> list[_Claim] | list[Compared]:
        """What a line of the overview tells."""
        return self.claims if self.comparison is None else [self.comparison]


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
    environment = [(name, as_text(value)) for name, value in as_mapping(results.get("environment")).items()]
    records = as_rows(results.get("records"))
    anchors = Counter(_PAGE_IDS)
    cards = [_card(record, _anchor(record, anchors), environment) for record in records]
    order = list(_WORDS)
    cards.sort(key=lambda card: order.index(card.mood))
    counts = Counter(card.mood for card in cards)
    first = {card.mood: card.anchor for card in reversed(cards)}
    created = as_text(results.get("created"))
    return _Page(
        headline=_headline(counts),
        mood=cards[0].mood if cards else "none",
        asides=_asides(counts),
        chips=[(mood, counts[mood], _COUNTED[mood], first[mood]) for mood in order if counts[mood]],
        created=_moment(created),
        created_iso=created,
        duration=duration(as_number(results.get("duration"))),
        command=as_text(results.get("command")),
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
    name = re.sub(r"[^A-Za-z0-9._-]+|-{2,}", "-", as_text(record.get("id")))[:120].strip("-") or "check"
    taken[name] += 1
    return f"{name}--{taken[name]}" if taken[name] > 1 else name


def _card(record: Mapping[str, Any], anchor: str, environment: list[tuple[str, str]]) -> _Card:
    mood = verdict_of(record)
    image = as_mapping(record.get("image"))
    target = as_mapping(record.get("target"))
    explanation = as_mapping(record.get("explanation"))
    grouped = record.get("kind") == "comparison"
    index = as_text(target.get("index"))
    unnamed = f"class {index or '?'}" if index or not grouped else "the predicted class"
    label = as_text(target.get("label")) or unnamed
    subject = compared_subject(as_mapping(record.get("comparison"))) if grouped else ""
    name = subject or as_text(image.get("name")) or "image"
    regions = _regions(record)
    paths = as_mapping(record.get("pictures"))
    limit = as_number(record.get("limit"))
    looked = _looked(record, label, regions)
    line = as_number(record.get("line"))
    return _Card(
        anchor=anchor,
        mood=mood,
        word=_WORDS[mood],
        test=as_text(record.get("test")) or "unnamed test",
        place=as_text(record.get("file")) + (f":{line:.0f}" if line is not None else ""),
        image=name,
        target=label,
        standing=_standing(target),
        remark=_remark(mood, as_text(record.get("outcome")), as_text(record.get("severity"))),
        reason=as_text(record.get("reason")),
        claims=[_claim(claim, mood, explanation) for claim in as_rows(record.get("claims"))],
        comparison=compared(record, mood, _WORDS) if grouped else None,
        pictures={kind: _picture(paths.get(kind)) for kind in PICTURES},
        size=_size(record),
        alts=_alts(name, explanation, regions, looked, _top(record)),
        looked=looked,
        view=_view(record, name),
        limit=number(abs(limit)) if limit is not None else "",
        regions=regions,
        weights=_weights(record, regions),
        predictions=_predictions(record, target),
        probes=probes(record, [(region.letter, region.text) for region in regions]),
        trust=trust_facts(explanation, target, as_mapping(record.get("validity"))),
        facts=cost_facts(explanation),
        warnings=as_texts(explanation.get("warnings")),
        intervals=_intervals(explanation),
        settings=[
            *((key, as_text(value)) for key, value in as_mapping(record.get("meta")).items()),
            *((key, as_text(value)) for key, value in as_mapping(record.get("options")).items()),
            ("sha256 of the image", as_text(image.get("sha256"))),
            *environment,
        ],
        rerun=as_text(record.get("rerun")),
        message=as_text(record.get("message")).strip("\n"),
    )


def _picture(path: object) -> str:
    """Return a picture's path if it is one of the report's own files, and nothing for any other address."""
    return path if isinstance(path, str) and PICTURE_PATH.fullmatch(path) else ""


def _standing(target: Mapping[str, Any]) -> str:
    score, rank = as_number(target.get("score")), as_number(target.get("rank"))
    words = [f"score {number(score)}"] if score is not None else []
    if rank is not None and rank >= 1:
        words.append("the model's first choice" if rank == 1 else f"the model's {ordinal(int(rank))} choice")
    return ", ".join(words)


def _remark(mood: str, outcome: str, severity: str) -> str:
    """Say how the test ended where its check alone would tell another story."""
    if mood == "explanation":
        return "The test failed by an assertion of its own; this is the explanation it had asked for."
    if outcome == "failed" and mood in ("pass", "inconclusive"):
        return "The test failed, but not by this check."
    if outcome == "xfailed" and mood == "expected":
        return ""
    if outcome == "passed" and mood == "fail" and severity == "warn":
        return "The test passed all the same: its severity is warn."
    return _ENDINGS.get(outcome, "")


def _claim(claim: Mapping[str, Any], mood: str, explanation: Mapping[str, Any]) -> _Claim:
    status = as_text(claim.get("status"))
    status = status if status in ("pass", "fail") else "inconclusive"
    estimate, bound = as_number(claim.get("estimate")), as_number(claim.get("bound"))
    interval, scale = as_pair(claim.get("interval")), as_pair(claim.get("scale"))
    relation = "<=" if claim.get("relation") == "<=" else ">="
    samples = as_number(claim.get("samples"))
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
        name=as_text(claim.get("claim")) or "claim",
        text=as_text(claim.get("text")),
        meaning=as_text(claim.get("meaning")) or as_text(claim.get("text")),
        figure=as_text(claim.get("figure")) or (number(estimate) if estimate is not None else ""),
        figures=figures,
        note=as_text(claim.get("note")),
        outlook=_sentence(as_text(claim.get("outlook"))) if status == "inconclusive" else "",
        chart=track(estimate=estimate, interval=interval, relation=relation, bound=bound, scale=scale),
    )


def _sentence(clause: str) -> str:
    return f"{clause[0].upper()}{clause[1:]}." if clause else ""


def _interval_words(interval: tuple[float, float], explanation: Mapping[str, Any]) -> str:
    confidence = as_number(explanation.get("confidence"))
    name = f"{percent(confidence)} interval" if confidence is not None else "interval"
    return f"{name} {between(*interval)}"


def _regions(record: Mapping[str, Any]) -> list[_Region]:
    rows = as_rows(record.get("regions"))
    return [
        _Region(
            letter=region_letter(place) if len(rows) > 1 else "",
            text=as_text(row.get("text")) or "region",
            area=percent(as_number(row.get("area"))),
        )
        for place, row in enumerate(rows)
    ]


def _top(record: Mapping[str, Any]) -> int:
    top = as_number(record.get("top"))
    return int(top) if top is not None and top > 0 else 0


def _looked(record: Mapping[str, Any], label: str, regions: Sequence[_Region]) -> str:
    """Say in words what the heatmap shows."""
    rows = as_rows(record.get("weights"))
    strongest = next((weight for row in rows if (weight := as_number(row.get("weight"))) is not None), None)
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
    rank = as_number(row.get("rank"))
    return rank is not None and 1 <= rank <= top


def _share(row: Mapping[str, Any], place: int) -> float | None:
    shares = row.get("shares")
    return as_number(shares[place]) if isinstance(shares, list) and place < len(shares) else None


def _alts(
    name: str, explanation: Mapping[str, Any], regions: Sequence[_Region], looked: str, top: int
) -> dict[str, str]:
    superpixels = number(as_number(explanation.get("superpixels")))
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
    box = as_mapping(record.get("view")).get("box")
    corners = [as_number(corner) for corner in box] if isinstance(box, list) else []
    known = [corner for corner in corners if corner is not None]
    return (known[0], known[1], known[2], known[3]) if len(known) == len(corners) == 4 else None


def _view(record: Mapping[str, Any], name: str) -> str:
    image, box = as_mapping(record.get("image")), _box(record)
    width, height = as_number(image.get("width")), as_number(image.get("height"))
    shape = as_pair(as_mapping(record.get("view")).get("shape"))
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
    rows = [
        (row, weight) for row in as_rows(record.get("weights")) if (weight := as_number(row.get("weight"))) is not None
    ]
    values = [weight for _, weight in rows]
    for row, _ in rows:
        values.extend(as_pair(row.get("interval")) or ())
    axis = WeightAxis(values)
    top = _top(record)
    colours = legend_colours(LEGEND_STEPS)
    # Middling shades of the heatmap's own scale: dark enough for a white page, light enough for a dark one.
    against, towards = colours[3], colours[-4]
    return _Weights(
        rows=[
            _Weight(
                superpixel=as_count(row.get("superpixel")),
                rank=as_count(row.get("rank")),
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
            for interval in [as_pair(row.get("interval"))]
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
    rows = as_rows(record.get("predictions"))[:5]
    scores = [as_number(row.get("score")) for row in rows]
    # Probabilities keep the scale from 0 to 1; scores of another kind are measured by the largest.
    full = max([1.0, *(score for score in scores if score is not None)])
    return [
        _Prediction(
            label=as_text(row.get("label")) or f"class {as_text(row.get('index')) or '?'}",
            score=number(score),
            target=row.get("index") is not None and row.get("index") == target.get("index"),
            bar=bar(score, full),
        )
        for row, score in zip(rows, scores, strict=True)
    ]


def _intervals(explanation: Mapping[str, Any]) -> str:
    limits = "They do not say that the model is right, nor that the surrogate is true to it."
    if explanation.get("sampler") == "exhaustive":
        return f"Every possible mask was run, so the figures have no sampling error. {limits}"
    confidence = as_number(explanation.get("confidence"))
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
