"""Figures of matplotlib: what they show, and that they leave nothing behind."""

import dataclasses
import io
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pytest_lime import Box, Explanation, OptionError, RegionError
from pytest_lime.plots import png

matplotlib = pytest.importorskip("matplotlib")
pyplot = pytest.importorskip("matplotlib.pyplot")

Build = Callable[..., Explanation]
WEIGHTS = [0.5, -0.2, 0.1, 0.0, 0.3, -0.4, 0.05, -0.01]


def rendered(figure: Any) -> Any:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return np.asarray(Image.open(buffer).convert("RGB"))


class TestFigure:
    def test_a_photograph_a_heatmap_and_its_scale(self, explanation_of: Build) -> None:
        figure = explanation_of(WEIGHTS, file_size=(20, 40)).plot(k=3)
        photo, heat, scale = figure.axes
        assert photo.get_title("left") == "What the model sees of cells.png"
        assert heat.get_title("left") == "cat: score 0.7, rank 1 of 3"
        assert [text.get_text() for text in photo.texts] == ["1", "2", "3"]
        # In pixels of the file, twice as many: the middles of superpixels 0, 5 and 4.
        assert [text.get_position() for text in photo.texts] == [(5, 5), (15, 15), (5, 15)]
        assert scale.get_ylim() == (-0.5, 0.5)
        assert "below 0 against, above 0 for" in scale.get_ylabel()
        assert photo.get_xlim() == heat.get_xlim() == (0, 40)
        assert photo.get_ylim() == heat.get_ylim() == (20, 0)

    def test_axes_count_pixels_of_the_file(self, explanation_of: Build) -> None:
        figure = explanation_of(WEIGHTS, file_size=(60, 80), box=(20.0, 10.0, 60.0, 30.0)).plot(k=1)
        photo, heat, _ = figure.axes
        assert photo.get_xlim() == heat.get_xlim() == (20, 60)
        assert photo.get_ylim() == heat.get_ylim() == (30, 10)
        assert photo.texts[0].get_position() == (25, 15)

    def test_numbers_for_one_sign_and_outlines_of_regions(self, explanation_of: Build) -> None:
        figure = explanation_of(WEIGHTS).plot(k=3, sign="negative", regions=Box(0, 0, 10, 5), notes=False)
        photo: Any = figure.axes[0]
        assert [text.get_position() for text in photo.texts] == [(7.5, 7.5), (7.5, 2.5), (17.5, 7.5)]
        outline = {tuple(map(tuple, line.tolist())) for line in photo.collections[-1].get_segments()}
        assert outline == {((0, 0), (0, 5)), ((10, 0), (10, 5)), ((0, 0), (10, 0)), ((0, 5), (10, 5))}
        assert figure.get_supxlabel() == ""
        with pytest.raises(RegionError, match="outside"):
            explanation_of(WEIGHTS).plot(regions=[Box(0, 0, 10, 500)])

    def test_colours_are_those_of_reports(self, explanation_of: Build) -> None:
        heat = np.asarray(explanation_of(WEIGHTS).plot().axes[1].images[1].get_array())
        # Orange for, purple against, and nothing where the weight is 0.
        towards, against, nothing = (heat[y, x].astype(int) for y, x in ((0, 0), (5, 5), (0, 15)))
        assert towards[0] > towards[2] + 50
        assert against[2] > against[1] + 50
        assert nothing[3] == 0

    def test_borders_lie_between_superpixels(self, explanation_of: Build) -> None:
        for panel in explanation_of(WEIGHTS).plot().axes[:2]:
            for lines in panel.collections:
                assert isinstance(lines, matplotlib.collections.LineCollection)
                ends = {tuple(map(tuple, line.tolist())) for line in lines.get_segments()}
                assert ends == {((x, 0), (x, 10)) for x in (5, 10, 15)} | {((0, 5), (20, 5))}

    def test_quality_and_warnings_are_in_words(self, explanation_of: Build) -> None:
        explanation = explanation_of(WEIGHTS, samples=10)
        words = " ".join(explanation.plot().get_supxlabel().split())
        assert "R² 0.75, 0.7 on samples that it has not seen" in words
        assert explanation.warnings()
        for warning in explanation.warnings():
            assert f"Read with care: {warning}." in words

    def test_labels_are_no_formulas(self, explanation_of: Build) -> None:
        explanation = explanation_of(WEIGHTS, class_names=("$x^{$", "b", "c"))
        figure = explanation.plot()
        assert figure.axes[1].get_title("left").startswith("$x^{$: score")
        rendered(figure)

    def test_a_long_label_is_broken(self, explanation_of: Build) -> None:
        figure = explanation_of(WEIGHTS, class_names=("a long label " * 10, "b", "c")).plot()
        assert figure.axes[1].get_title("left").count("\n") >= 2

    def test_weights_without_a_sign_have_half_a_scale(self, explanation_of: Build) -> None:
        figure = explanation_of([0.4, 0.2, 0.0, 0.1], signed=False).plot()
        assert figure.axes[2].get_ylim() == (0, 0.4)
        assert figure.axes[2].get_ylabel() == "weight: how much it matters"

    def test_without_weights_there_is_no_scale(self, explanation_of: Build) -> None:
        figure = explanation_of([0.0] * 4).plot(k=0)
        assert len(figure.axes) == 2
        assert not figure.axes[0].texts

    @pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 1), (300, 200)])
    def test_of_any_shape(self, explanation_of: Build, size: tuple[int, int]) -> None:
        assert rendered(explanation_of(WEIGHTS, file_size=size).plot()).std() > 1

    def test_dark_and_light(self, explanation_of: Build) -> None:
        corners = {}
        for style in ("default", "dark_background"):
            with matplotlib.style.context(style):
                corners[style] = rendered(explanation_of(WEIGHTS).plot())[0, 0].tolist()
        assert corners == {"default": [255] * 3, "dark_background": [0] * 3}

    def test_a_notebook_shows_it_on_its_own(self, explanation_of: Build) -> None:
        figure = explanation_of(WEIGHTS).plot()
        assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


class TestAxes:
    def test_the_heatmap_is_drawn_on_axes_of_the_user(self, explanation_of: Build) -> None:
        figure = matplotlib.figure.Figure(layout="constrained")
        left, right = figure.subfigures(1, 2)[1].subplots(1, 2)
        assert explanation_of(WEIGHTS).plot(axes=right, k=2) is figure
        assert right.get_title() == "cat: score 0.7, rank 1 of 3"
        assert right.get_xlabel().startswith("Fit of the surrogate")
        assert [text.get_text() for text in right.texts] == ["1", "2"]
        assert not left.images
        rendered(figure)

    def test_insets_are_axes_too(self, explanation_of: Build) -> None:
        figure = matplotlib.figure.Figure()
        inset = figure.subplots().inset_axes([0, 0, 0.5, 0.5])
        assert explanation_of(WEIGHTS).plot(axes=inset) is figure
        assert inset.images

    @pytest.mark.parametrize("kind", ["array", "figure", "number", "3d", "polar", "removed", "cleared"])
    def test_what_is_not_to_be_drawn_on(self, explanation_of: Build, kind: str) -> None:
        figure = matplotlib.figure.Figure()
        axes = figure.subplots(1, 2, subplot_kw={"projection": kind} if kind in ("3d", "polar") else {})
        given = {"array": axes, "figure": figure, "number": 3}.get(kind, axes[0])
        if kind == "removed":
            axes[0].remove()
        if kind == "cleared":
            figure.clear()
        words = r"axes=.* must be one two-dimensional Axes of matplotlib that is in a figure, such as axes\[0\]"
        with pytest.raises(OptionError, match=words):
            explanation_of(WEIGHTS).plot(axes=given)
        assert not any(one.images for one in axes)


class TestNames:
    """Names hold whatever users wrote."""

    @staticmethod
    def named(explanation_of: Build, name: str) -> Any:
        explanation = explanation_of(WEIGHTS, class_names=(name, "b", "c"))
        return dataclasses.replace(explanation, image=dataclasses.replace(explanation.image, name=name)).plot()

    def test_control_characters_are_escapes(self, explanation_of: Build) -> None:
        figure = self.named(explanation_of, "a\x07b\x85\ud800\nc")
        photo, heat, _ = figure.axes
        assert photo.get_title("left") == r"What the model sees of a\x07b\x85\ud800 c"
        assert heat.get_title("left").startswith(r"a\x07b\x85\ud800 c: score")
        rendered(figure)  # in which a warning is an error

    def test_glyphs_that_the_font_lacks_are_no_warnings(self, explanation_of: Build) -> None:
        figure = self.named(explanation_of, "犬 🐈")
        assert figure.axes[0].get_title("left") == "What the model sees of 犬 🐈"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert figure._repr_png_().startswith(b"\x89PNG")
            assert png(figure, dpi=50).startswith(b"\x89PNG")

    def test_other_warnings_are_seen(self, explanation_of: Build) -> None:
        figure = self.named(explanation_of, "a")
        figure.savefig = lambda *_, **__: warnings.warn("something else", UserWarning, stacklevel=1)
        with pytest.warns(UserWarning, match="something else"):
            png(figure)

    def test_dots_per_inch(self, explanation_of: Build) -> None:
        figure = self.named(explanation_of, "a")
        width, height = figure.get_size_inches()
        assert Image.open(io.BytesIO(png(figure, 50))).size == (int(width * 50), int(height * 50))


class TestNothingIsLeftBehind:
    def test_pyplot_knows_no_figure_and_no_setting_changes(self, explanation_of: Build) -> None:
        before = dict(matplotlib.rcParams), pyplot.get_fignums()
        explanation_of(WEIGHTS).plot()
        assert (dict(matplotlib.rcParams), pyplot.get_fignums()) == before

    def test_matplotlib_is_not_imported_before_it_is_needed(self) -> None:
        code = "import sys, pytest_lime.explanation; print('matplotlib' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
        assert done.stdout.strip() == "False"

    def test_without_matplotlib(self, explanation_of: Build, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
        words = r"Explanation.plot needs matplotlib, which is not installed: pip install 'pytest-lime\[plot\]'"
        with pytest.raises(OptionError, match=words):
            explanation_of(WEIGHTS).plot()


class Missing:
    """Finds no matplotlib."""

    def find_spec(self, name: str, *_: Any) -> None:
        if name.partition(".")[0] == "matplotlib":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
