"""A card of the page, from the record of one check.

Records may have been made elsewhere, by another version or by a shard: nothing in them is trusted.
Everything is read through the small readers of `reading`, which put a calm default where a value is missing or
of the wrong type, and every text reaches the page through autoescaping.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_lime.records import verdict_of
from pytest_lime.report.charts import Bar, Track, bar, between, number, ordinal, percent, track, with_minus
from pytest_lime.report.comparisons import Compared, compared, compared_subject
from pytest_lime.report.looked import looked
from pytest_lime.report.maps import map_of
from pytest_lime.report.panels import Panels, panels_of
from pytest_lime.report.reading import (
    as_asked,
    as_count,
    as_mapping,
    as_number,
    as_pair,
    as_picture,
    as_relation,
    as_rows,
    as_status,
    as_text,
    as_texts,
)
from pytest_lime.report.trust import Fact, Probes, cost_facts, probes, trust_facts
from pytest_lime.report.weights import (
    Region,
    Weights,
    by_letter,
    letters_of,
    regions_of,
    top_of,
    weights_of,
)

__all__ = ["WORDS", "Card", "Claim", "Prediction", "card_of"]

PICTURES = ("image", "heatmap", "borders", "regions", "top", "thumb")

WORDS = {
    "fail": "Failed",
    "explanation": "Test failed",
    "inconclusive": "Inconclusive",
    "expected": "Expected failure",
    "pass": "Passed",
    "explained": "Explained",
}
"""Every mood of a card in the order of the page, with the word of its badge."""

_ENDINGS = {
    "xpassed": "The test was expected to fail, and passed.",
    "xfailed": "The test failed as expected.",
    "skipped": "The test was skipped after this.",
    "error": "The test broke outside its own code, in a fixture.",
    "interrupted": "The run was interrupted before the test came to its end.",
}


@dataclass(frozen=True)
class Claim:
    """A claim with its figures, in words and as a chart."""

    tone: str
    word: str
    name: str
    text: str
    meaning: str
    figure: str
    figures: list[str]
    needs: str
    where: str
    note: str
    caution: str
    outlook: str
    chart: Track | None


@dataclass(frozen=True)
class Prediction:
    """A class that the model predicts, with its score."""

    label: str
    score: str
    target: bool
    bar: Bar


@dataclass(frozen=True)
class Card:
    """All that the page shows of one check."""

    anchor: str
    mood: str
    word: str
    test: str
    place: str
    attempts: str
    image: str
    target: str
    standing: str
    remark: str
    reason: str
    claims: list[Claim]
    comparison: Compared | None
    pictures: dict[str, str]
    size: tuple[int, int]
    alts: dict[str, str]
    looked: str
    view: str
    limit: str
    regions: list[Region]
    weights: Weights
    predictions: list[Prediction]
    probes: Probes
    trust: list[Fact]
    facts: list[Fact]
    warnings: list[str]
    intervals: str
    settings: list[tuple[str, str]]
    rerun: str
    message: str
    panels: Panels
    file: str
    marks: list[str]
    seconds: float | None
    samples: float | None
    map: dict[str, Any] | None

    @property
    def is_brief(self) -> bool:
        """Whether the card says only what was asked and found: a check that passed, of which no picture was kept.

        Of a thousand checks most pass, and a page of a thousand whole cards would take long to open.
        """
        return self.mood == "pass" and self.comparison is None and not self.pictures["image"]

    @property
    def careful(self) -> bool:
        """Whether something speaks against what the card says."""
        return bool(self.warnings or any(claim.caution for claim in self.claims))

    @property
    def thumb(self) -> str:
        """The small picture that stands for the check, if it has one."""
        return self.pictures["thumb"]

    @property
    def found(self) -> list[Claim] | list[Compared]:
        """What a line of the overview tells."""
        return self.claims if self.comparison is None else [self.comparison]


def card_of(record: Mapping[str, Any], anchor: str) -> Card:
    """Return the card of a record."""
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
    regions = regions_of(record)
    paths = as_mapping(record.get("pictures"))
    limit = as_number(record.get("limit"))
    told = looked(record, label, regions)
    called = as_mapping(record.get("called"))
    return Card(
        anchor=anchor,
        mood=mood,
        word=WORDS[mood],
        test=as_text(record.get("test")) or "unnamed test",
        place=_place(called) or _place(record),
        attempts=_attempts(record),
        image=name,
        target=label,
        standing=_standing(target),
        remark=_remark(mood, as_text(record.get("outcome")), as_text(record.get("severity"))),
        reason=as_text(record.get("reason")),
        claims=[_claim(claim, mood, explanation, regions) for claim in as_rows(record.get("claims"))],
        comparison=compared(record, mood, WORDS) if grouped else None,
        pictures={kind: as_picture(paths.get(kind)) for kind in PICTURES},
        size=_size(record),
        alts=_alts(name, explanation, regions, told, top_of(record)),
        looked=told,
        view=_view(record, name),
        limit=number(abs(limit)) if limit is not None else "",
        regions=regions,
        weights=weights_of(record, regions),
        predictions=_predictions(record, target),
        probes=probes(record, [(region.letter, region.text) for region in regions]),
        trust=trust_facts(explanation, target, as_mapping(record.get("validity"))),
        facts=cost_facts(explanation),
        warnings=as_texts(explanation.get("warnings")),
        intervals=_intervals(explanation),
        settings=[
            *((key, as_text(value)) for key, value in as_mapping(record.get("meta")).items()),
            *((key, as_text(value)) for key, value in as_mapping(record.get("options")).items()),
        ],
        rerun=as_text(record.get("rerun")),
        message=as_text(record.get("message")).strip("\n"),
        panels=panels_of(record, regions, WORDS),
        file=as_text(record.get("file")),
        marks=sorted(set(as_texts(record.get("marks")))),
        seconds=as_number(explanation.get("seconds")),
        samples=as_number(explanation.get("samples")),
        map=map_of(record) if paths else None,
    )


def _place(where: Mapping[str, Any]) -> str:
    file, line = as_text(where.get("file")), as_count(where.get("line"))
    return f"{file}:{line}" if file and line else file


def _attempts(record: Mapping[str, Any]) -> str:
    """Say what became of the attempts before this one; nothing where there was none."""
    before = [verdict_of({**record, "set": None, **attempt}) for attempt in as_rows(record.get("attempts"))]
    if not before:
        return ""
    told = ", ".join(WORDS[mood].lower() for mood in before)
    return f"Attempt {len(before) + 1}; before it: {told}."


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


def _claim(claim: Mapping[str, Any], mood: str, explanation: Mapping[str, Any], regions: Sequence[Region]) -> Claim:
    status = as_status(claim.get("status"))
    estimate, bound = as_number(claim.get("estimate")), as_number(claim.get("bound"))
    interval, scale = as_pair(claim.get("interval")), as_pair(claim.get("scale"))
    relation, needs = as_relation(claim.get("relation")), with_minus(as_asked(claim))
    samples = as_number(claim.get("samples"))
    figures = []
    # What took no sample, such as a rank, is known exactly: an interval of one point would say nothing.
    if interval is not None and (samples != 0 or interval[0] != interval[1]):
        figures.append(_interval_words(interval, explanation))
    if needs:
        figures.append(f"must be {needs}")
    if samples:
        figures.append(f"{number(samples)} samples")
    return Claim(
        tone="expected" if mood == "expected" and status == "fail" else status,
        word=WORDS[status],
        name=as_text(claim.get("claim")) or "claim",
        text=as_text(claim.get("text")),
        meaning=by_letter(as_text(claim.get("meaning")) or as_text(claim.get("text")), regions),
        figure=with_minus(as_text(claim.get("figure"))) or (number(estimate) if estimate is not None else ""),
        figures=figures,
        needs=needs,
        where=", ".join(letters_of(claim, regions)),
        note=by_letter(as_text(claim.get("note")), regions),
        caution=by_letter(_sentence(as_text(claim.get("caution"))), regions),
        outlook=_sentence(as_text(claim.get("outlook"))) if status == "inconclusive" else "",
        chart=track(estimate=estimate, interval=interval, relation=relation, bound=bound, scale=scale),
    )


def _sentence(clause: str) -> str:
    return f"{clause[0].upper()}{clause[1:]}." if clause else ""


def _interval_words(interval: tuple[float, float], explanation: Mapping[str, Any]) -> str:
    confidence = as_number(explanation.get("confidence"))
    name = f"{percent(confidence)} interval" if confidence is not None else "interval"
    return f"{name} {between(*interval)}"


def _alts(name: str, explanation: Mapping[str, Any], regions: Sequence[Region], told: str, top: int) -> dict[str, str]:
    superpixels = number(as_number(explanation.get("superpixels")))
    numbers = f"Numbers 1 to {top} on the top superpixels" if top > 1 else "Number 1 on the top superpixel"
    outlines = "; ".join(f"{region.letter}: {region.text}" if region.letter else region.text for region in regions)
    return {
        "image": f"{name}, the part that the model sees.",
        "backdrop": f"{name} once more, lightened under the heatmap.",
        "heatmap": f"Heatmap: {told[0].lower()}{told[1:]}",
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


def _predictions(record: Mapping[str, Any], target: Mapping[str, Any]) -> list[Prediction]:
    rows = as_rows(record.get("predictions"))[:5]
    scores = [as_number(row.get("score")) for row in rows]
    # Probabilities keep the scale from 0 to 1; scores of another kind are measured by the largest.
    full = max([1.0, *(score for score in scores if score is not None)])
    return [
        Prediction(
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
