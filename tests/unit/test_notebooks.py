"""What notebooks show: HTML that stands alone and hides nothing."""

import base64
import dataclasses
import io
import re
from collections.abc import Callable
from html.parser import HTMLParser

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pytest_lime import Explanation
from pytest_lime.notebooks import LONGEST_PHOTO

Build = Callable[..., Explanation]
WEIGHTS = [0.5, -0.2, 0.1, 0.0, 0.3, -0.4, 0.05, -0.01]
VOID = {"img", "br"}


class Reader(HTMLParser):
    """Reads tags, attributes and text, and holds that every tag is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1] += data


def pictures(html: str) -> list[NDArray[np.uint8]]:
    found = []
    for tag, attributes in Reader(html).tags:
        if tag == "img":
            kind, data = str(attributes["src"]).split(";base64,")
            picture = Image.open(io.BytesIO(base64.b64decode(data)))
            assert kind == f"data:image/{str(picture.format).lower()}"
            found.append(np.asarray(picture.convert("RGB")))
    return found


class TestFigures:
    def test_the_strongest_superpixels_with_their_intervals(self, explanation_of: Build) -> None:
        html = explanation_of(WEIGHTS, error=[0.1] * 7 + [np.inf], rounding=0.0)._repr_html_()
        cells = Reader(html).cells
        assert cells[:5] == ["", "Superpixel", "Weight", "95% interval", ""]
        rows = [cells[start : start + 4] for start in range(5, len(cells), 5)]
        # Each ± 1.96 · 0.1.
        assert rows == [
            ["1", "0", "+0.5", "0.304 to 0.696"],
            ["2", "5", "−0.4", "−0.596 to −0.204"],
            ["3", "4", "+0.3", "0.104 to 0.496"],
            ["4", "1", "−0.2", "−0.396 to −0.004"],
            ["5", "2", "+0.1", "−0.096 to 0.296"],
        ]
        assert "The strongest superpixel speaks for (orange), with weight 0.5." in html

    def test_an_interval_that_is_not_known(self, explanation_of: Build) -> None:
        html = explanation_of(WEIGHTS, error=np.inf)._repr_html_()
        assert html.count("not known") == 5

    def test_bars_start_at_zero(self, explanation_of: Build) -> None:
        html = explanation_of([0.5, -0.5, 0.25, -0.1], confidence=0.999)._repr_html_()
        assert "99.9% interval" in html
        bars = re.findall(r"width:([\d.]+)em;margin-left:([\d.]+)em", html)
        # The largest weight is three wide; what speaks against the class ends where the others begin.
        assert bars == [("3.00", "3.00"), ("3.00", "0.00"), ("1.50", "3.00"), ("0.60", "2.40")]

    def test_quality_in_words(self, explanation_of: Build) -> None:
        explanation = explanation_of(WEIGHTS, samples=10)
        html = explanation._repr_html_()
        for words in (
            "<bdi>cells.png</bdi>: 8 superpixels, 10 masked samples (antithetic)",
            "R² 0.75, 0.7 on samples that it has not seen (1 is perfect)",
            "the surrogate says 0.465, −0.235 off the model",
            "<strong>Read with care:</strong> the kernel leaves the weight of 10 samples",
        ):
            assert words in html

    def test_weights_without_a_sign(self, explanation_of: Build) -> None:
        html = explanation_of([0.5, 0.25, 0.0, 0.1], signed=False)._repr_html_()
        assert "The superpixel that matters most has weight 0.5; these weights have no sign." in html
        assert "+0.5" not in html
        assert re.findall(r"margin-left:([\d.]+)em", html) == ["0.00"] * 3

    def test_without_weights(self, explanation_of: Build) -> None:
        html = explanation_of([0.0] * 4)._repr_html_()
        assert "No superpixel speaks for it or against it." in html
        assert "<table" not in html
        assert "linear-gradient" not in html


class TestPictures:
    def test_the_photograph_and_the_heatmap_over_it(self, explanation_of: Build) -> None:
        explanation = explanation_of(WEIGHTS)
        photo, heat = pictures(explanation._repr_html_())
        # Twenty pixels are enlarged 22 times, and stay sharp.
        assert photo.shape == heat.shape == (220, 440, 3)
        np.testing.assert_array_equal(photo[11::22, 11::22], np.rint(explanation.image.pixels * 255))
        towards, against = (heat[y : y + 15, x : x + 15].reshape(-1, 3).mean(axis=0) for y, x in ((5, 5), (115, 115)))
        assert towards[0] > towards[2] + 50
        assert against[2] > against[1] + 50
        # Where the weight is 0 the photograph is gray.
        assert np.ptp(heat[5:100, 340:430].astype(int), axis=2).max() <= 1

    def test_numbers_and_borders(self, explanation_of: Build) -> None:
        _, heat = pictures(explanation_of(WEIGHTS)._repr_html_())
        assert heat[40:70, 40:70].max(axis=2).min() < 40  # the disc of number 1, nearly black
        assert heat[3:30, 110].astype(int).sum() > heat[3:30, 108].astype(int).sum()

    def test_a_large_photograph_is_made_smaller(self, explanation_of: Build) -> None:
        photo, heat = pictures(explanation_of(WEIGHTS, file_size=(600, 1200))._repr_html_())
        assert photo.shape == heat.shape == (LONGEST_PHOTO // 2, LONGEST_PHOTO, 3)

    @pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (3, 2)])
    def test_of_any_shape(self, explanation_of: Build, size: tuple[int, int]) -> None:
        photo, heat = pictures(explanation_of(WEIGHTS, file_size=size)._repr_html_())
        assert photo.shape == heat.shape
        # In whole pixels, so it may be a little less.
        assert LONGEST_PHOTO - 2 <= max(photo.shape) <= LONGEST_PHOTO

    def test_its_size_stays_small(self, explanation_of: Build) -> None:
        explanation = explanation_of([WEIGHTS] * 3, targets=(0, 1, 2), file_size=(3000, 4000))
        # Noise compresses worst of all.
        assert len(explanation._repr_html_()) < 800_000


class TestHtml:
    def test_labels_and_names_are_escaped(self, explanation_of: Build) -> None:
        label = "<script>alert('x')</script> & \"cats\" {{ 7 * 7 }}"
        explanation = explanation_of(WEIGHTS, class_names=(label, "b", "c"), samples=10)
        explanation = dataclasses.replace(
            explanation, image=dataclasses.replace(explanation.image, name='" onerror="x" <b>.png')
        )
        reader = Reader(explanation._repr_html_())
        assert {tag for tag, _ in reader.tags} <= {
            *("div", "p", "strong", "bdi", "img", "span", "table", "thead", "tbody", "tr", "th", "td", "ul", "li")
        }
        assert {name for _, attributes in reader.tags for name in attributes} == {
            "class",
            "style",
            "src",
            "alt",
            "scope",
        }
        assert "{{ 7 * 7 }}" in explanation._repr_html_()

    def test_it_stands_alone(self, explanation_of: Build) -> None:
        html = explanation_of(WEIGHTS)._repr_html_()
        assert not re.search(r"https?:|<script|<style|<link|url\(|@import", html)
        assert all(str(attributes["src"]).startswith("data:") for tag, attributes in Reader(html).tags if tag == "img")

    def test_it_takes_its_colours_of_text_and_page_from_the_notebook(self, explanation_of: Build) -> None:
        html = explanation_of(WEIGHTS)._repr_html_()
        styles = ";".join(str(attributes.get("style", "")) for _, attributes in Reader(html).tags)
        assert not re.search(r"(^|;)\s*color:", styles)
        backgrounds = re.findall(r"background:([^;]*)", styles)
        assert all(re.match(r"#[0-9a-f]{6}$|linear-gradient", background) for background in backgrounds)

    def test_pictures_have_words(self, explanation_of: Build) -> None:
        words = [
            attributes["alt"] for tag, attributes in Reader(explanation_of(WEIGHTS)._repr_html_()).tags if tag == "img"
        ]
        assert words[0] == "What the model sees of cells.png."
        assert str(words[1]).startswith("Heatmap over the photograph: The strongest superpixel speaks for")
