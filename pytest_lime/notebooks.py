"""Notebooks: an explanation as a piece of HTML that stands alone, without scripts and style sheets."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from functools import cache
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pytest_lime.drawing import (
    Card,
    faded,
    figure_words,
    interior_point,
    legend_colours,
    relative,
    scale_colours,
    shade,
)

__all__ = ["LONGEST_PHOTO", "html"]

Array = NDArray[np.float64]
LONGEST_PHOTO = 448
"""Pixels on the longer side of a photograph; smaller ones are enlarged in whole pixels, up to this."""
# Of the bar of the largest weight.
BAR = 3.0
BORDER = 0.55
# Only what every viewer keeps: no style sheet, no script, no colours of text or page, so that it reads on
# light and dark pages alike. Without the styles too every figure is there, in order.
TEMPLATE = """
{% set cell = "padding:.1em .8em .1em 0;text-align:right;white-space:nowrap" %}
<div class="pytest-lime" style="max-width:68em;line-height:1.45">
<p style="margin:.4em 0"><strong>Where the model looks</strong> in <bdi>{{ name }}</bdi>: {{ summary }}.</p>
{% for section in sections %}
<div style="display:flex;flex-wrap:wrap;gap:1em;align-items:flex-start;border-top:1px solid rgba(127,127,127,.4);
padding:.6em 0">
{% if loop.first %}
<img src="{{ photo }}" alt="What the model sees of {{ name }}." style="width:17em;max-width:100%;margin:0">
{% endif %}
<div style="width:17em;max-width:100%">
<img src="{{ section.picture }}" alt="Heatmap over the photograph: {{ section.looked }}"
style="width:100%;margin:0">
{% if section.limit %}
<div style="height:.6em;background:linear-gradient(to right,{{ section.colours|join(',') }})"></div>
<div style="display:flex;justify-content:space-between;font-size:85%">
{% for end in section.ends %}<span>{{ end }}</span>
{% endfor %}
</div>
{% endif %}
</div>
<div style="flex:1 1 18em;min-width:0">
<p style="margin:0 0 .4em"><strong><bdi>{{ section.label }}</bdi></strong>: {{ section.standing }}</p>
<p style="margin:0 0 .4em">{{ section.looked }}</p>
{% if section.rows %}
<table style="margin:0 0 .4em;border-collapse:collapse">
<thead><tr>{% for head in ["", "Superpixel", "Weight", section.confidence ~ " interval", ""] %}
<th style="{{ cell }}">{{ head }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in section.rows %}
<tr><th scope="row" style="{{ cell }}">{{ loop.index }}</th><td style="{{ cell }}">{{ row.superpixel }}</td>
<td style="{{ cell }}">{{ row.weight }}</td><td style="{{ cell }}">{{ row.interval }}</td>
<td style="text-align:left"><span style="display:inline-block;height:.8em;outline:1px solid rgba(127,127,127,.6);
width:{{ row.width }}em;margin-left:{{ row.start }}em;background:{{ row.colour }}"></span></td></tr>
{% endfor %}
</tbody>
</table>
{% endif %}
<ul style="margin:0;padding-left:1.2em">
{% for fact in section.facts %}
<li>{{ fact }}</li>
{% endfor %}
{% for warning in section.warnings %}
<li><strong>Read with care:</strong> {{ warning }}.</li>
{% endfor %}
</ul>
</div>
</div>
{% endfor %}
{% if left_out %}
<p style="margin:.4em 0">{{ left_out }} more classes were explained.</p>
{% endif %}
</div>
"""


def html(
    photo: NDArray[np.float32],
    segments: NDArray[np.int64],
    cards: Sequence[Card],
    *,
    name: str,
    summary: str,
    left_out: int,
) -> str:
    """Return the HTML of an explanation.

    Parameters
    ----------
    photo : H'×W'×3 float32 array in [0, 1]
        What the model sees.
    segments : H×W int64 array
        Superpixels of the same field of view.
    cards : sequence of Card
        What is shown of each class.
    name, summary : str
        The image's name and what was done to it.
    left_out : int
        How many classes more were explained.
    """
    photo, labels, factor = _enlarged(photo, segments, LONGEST_PHOTO)
    return _template().render(
        name=name,
        summary=summary,
        photo=_source(photo, sharp=factor > 1),
        sections=[_section(card, photo, labels, sharp=factor > 1) for card in cards],
        left_out=left_out,
    )


def overlay(photo: NDArray[np.float32], segments: NDArray[np.int64], card: Card, longest: int = 224) -> NDArray[Any]:
    """Return the heatmap of one class over a photograph in light grays, H×W×3 uint8.

    Parameters
    ----------
    photo, segments, card
        As for `html`.
    longest : int
        A picture of half of it or less is enlarged in whole pixels.
    """
    photo, labels, _ = _enlarged(photo, segments, longest)
    return _levels(_overlay(photo, labels, card))


def _enlarged(
    photo: NDArray[np.float32], segments: NDArray[np.int64], longest: int
) -> tuple[NDArray[np.float32], NDArray[np.int64], int]:
    """Return a photograph enlarged in whole pixels up to `longest`, the label of each of its pixels, and the factor."""
    factor = max(1, longest // max(photo.shape[:2]))
    photo = np.clip(photo, 0, 1).repeat(factor, axis=0).repeat(factor, axis=1)
    rows, columns = (np.arange(shown) * seen // shown for shown, seen in zip(photo.shape, segments.shape, strict=False))
    return photo, segments[rows[:, None], columns[None]], factor


@cache
def _template() -> jinja2.Template:
    return jinja2.Environment(autoescape=True, trim_blocks=True).from_string(TEMPLATE.strip())


def _section(card: Card, photo: NDArray[np.float32], labels: NDArray[np.int64], *, sharp: bool) -> dict[str, Any]:
    """Return what the template shows of a class."""
    limit = float(np.abs(card.weights).max(initial=0.0))
    colours = legend_colours(21)
    ends = (-limit, 0.0, limit) if card.signed else (0.0, limit)
    return {
        "label": card.label,
        "standing": card.standing,
        "picture": _source(_overlay(photo, labels, card), sharp=sharp),
        "confidence": f"{100 * card.confidence:.4g}%",
        "limit": limit,
        "colours": colours if card.signed else colours[10:],
        "ends": [figure_words(end, sign=bool(end) and card.signed) for end in ends],
        "looked": _looked(card),
        "rows": [_row(card, superpixel, limit) for superpixel in card.top],
        "facts": card.facts,
        "warnings": card.warnings,
    }


def _looked(card: Card) -> str:
    """Say in words what the heatmap shows."""
    if not len(card.top):
        return "No superpixel speaks for it or against it."
    strongest = card.weights[card.top[0]]
    if not card.signed:
        return f"The superpixel that matters most has weight {figure_words(strongest)}; these weights have no sign."
    side = "for (orange)" if strongest > 0 else "against (purple)"
    return f"The strongest superpixel speaks {side}, with weight {figure_words(abs(strongest))}."


def _row(card: Card, superpixel: int, limit: float) -> dict[str, Any]:
    weight = float(card.weights[superpixel])
    share = relative(card.weights[[superpixel]], limit)
    width = BAR * abs(float(share[0]))
    middle = BAR if card.signed else 0.0
    low, high = card.interval[superpixel].tolist()
    known = np.isfinite([low, high]).all()
    return {
        "superpixel": int(superpixel),
        "weight": figure_words(weight, sign=card.signed),
        "interval": f"{figure_words(low)} to {figure_words(high)}" if known else "not known",
        "width": f"{width:.2f}",
        "start": f"{middle if weight > 0 else middle - width:.2f}",
        "colour": "#{:02x}{:02x}{:02x}".format(*scale_colours(share)[0].tolist()),
    }


def _overlay(photo: NDArray[np.float32], labels: NDArray[np.int64], card: Card) -> NDArray[np.float32]:
    """Return the photograph in light grays under the heatmap, with borders and numbers."""
    layer = (shade(relative(card.weights)) / np.float32(255)).astype(np.float32)[labels]
    alpha = layer[..., 3:]
    picture = layer[..., :3] * alpha + faded(photo) * (1 - alpha)
    border = np.zeros(labels.shape, dtype=bool)
    border[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    border[1:] |= labels[1:] != labels[:-1]
    picture[border] = picture[border] * (1 - BORDER) + BORDER
    drawn = Image.fromarray(_levels(picture))
    radius = 0.04 * max(labels.shape)
    pen, font = ImageDraw.Draw(drawn), ImageFont.load_default(1.25 * radius)
    # The strongest last, on top of others.
    for rank, superpixel in reversed(list(enumerate(card.top, start=1))):
        mask = labels == superpixel
        # In a picture of few pixels a superpixel may be lost.
        if mask.any():
            # A number that the picture's edge would cut moves inwards.
            x, y = np.clip(interior_point(mask), radius + 1, np.maximum(radius + 1, np.array(drawn.size) - radius - 2))
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill="#14171a", outline="white")
            pen.text((x, y), str(rank), fill="white", font=font, anchor="mm")
    return np.asarray(drawn, dtype=np.float32) / np.float32(255)


def _levels(picture: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(np.rint(picture * 255), dtype=np.uint8)


def _source(picture: NDArray[np.float32], *, sharp: bool) -> str:
    """Return a picture in [0, 1] as a data URI: PNG where single pixels should stay `sharp`, else JPEG."""
    buffer = io.BytesIO()
    kind = "png" if sharp else "jpeg"
    Image.fromarray(_levels(picture)).save(buffer, kind, optimize=True, **({} if sharp else {"quality": 88}))
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
