"""Whatever is drawn, an explanation is sound, and does not hang on numbering, batches or portions."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as PILImage
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeRegressor

from pytest_lime import (
    Box,
    CallableModel,
    Explanation,
    LimeError,
    LimeOptions,
    Model,
    OptionError,
    RegionError,
    SegmentationError,
    TorchModel,
    explain,
)
from pytest_lime.explainer import open_stream
from pytest_lime.images import Image
from pytest_lime.options import DISTANCES, FILLS, SAMPLERS, SEGMENTERS, SELECTIONS, SURROGATES
from pytest_lime.storage import Unsaved
from pytest_lime.streams import Bench, SampleStream
from pytest_lime.testing import FakeModel

Array = NDArray[Any]
Draw = st.DrawFn
Extend = Callable[[SampleStream, int], None]

# Images: every kind, from noise to a single colour, where nothing that is hidden makes a difference.


def colours(content: str, height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """RGB pixels of one kind of content, H×W×3."""
    rng = np.random.default_rng(seed)
    if content == "noise":
        return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    if content == "patches":
        side = max(7, max(height, width) // 8)
        patches = rng.integers(0, 256, (height // side + 1, width // side + 1, 3), dtype=np.uint8)
        return patches.repeat(side, axis=0).repeat(side, axis=1)[:height, :width]
    value = {"black": 0, "white": 255, "flat": 93}[content]
    return np.full((height, width, 3), value, dtype=np.uint8)


def palette(rgb: NDArray[np.uint8]) -> PILImage.Image:
    """A picture of indices, one of whose colours is transparent."""
    picture = PILImage.fromarray(rgb).quantize(8)
    picture.info["transparency"] = 0
    return picture


def in_mode(mode: str) -> Callable[[NDArray[np.uint8]], PILImage.Image]:
    return lambda rgb: PILImage.fromarray(rgb).convert(mode)


KINDS: dict[str, Callable[[NDArray[np.uint8]], Any]] = {
    "uint8": lambda rgb: rgb,
    "uint8 gray": lambda rgb: rgb[:, :, 0],
    "uint8 RGBA": lambda rgb: np.dstack([rgb, rgb[:, :, 0]]),
    "uint16": lambda rgb: rgb.astype(np.uint16) * 257,
    "uint16 one channel": lambda rgb: rgb[:, :, :1].astype(np.uint16) * 200,
    "bool": lambda rgb: rgb[:, :, 1] > 127,
    "bool in colour": lambda rgb: rgb > 127,
    "float32": lambda rgb: (rgb / 255).astype(np.float32),
    "float64": lambda rgb: rgb / 255,
    "float64 gray": lambda rgb: rgb[:, :, 2] / 255,
    "not contiguous": lambda rgb: rgb[::-1, ::-1, ::-1],
    **{f"PIL {mode}": in_mode(mode) for mode in ("1", "L", "LA", "RGB", "RGBA", "CMYK")},
    "PIL P": palette,
    "PIL I;16": lambda rgb: PILImage.fromarray(rgb[:, :, 0].astype(np.uint16) * 257),
    "PIL F": lambda rgb: PILImage.fromarray((rgb[:, :, 0] / 255).astype(np.float32)),
    "tensor uint8": lambda rgb: torch.from_numpy(np.moveaxis(rgb, -1, 0).copy()),
    "tensor float32": lambda rgb: torch.from_numpy(np.moveaxis(rgb, -1, 0) / np.float32(255)),
    "tensor bfloat16": lambda rgb: torch.from_numpy(np.moveaxis(rgb, -1, 0) / np.float32(255)).bfloat16(),
    "tensor gray": lambda rgb: torch.from_numpy(np.moveaxis(rgb[:, :, :1], -1, 0) / 255),
}
# Files: their ending, and the kind that is written.
FILES = {
    "RGB.png": "PIL RGB",
    "RGBA.png": "PIL RGBA",
    "LA.png": "PIL LA",
    "P.png": "PIL P",
    "16.png": "PIL I;16",
    "RGB.jpg": "PIL RGB",
    "L.jpg": "PIL L",
}
CONTENTS = ("noise", "patches", "flat", "black", "white")
SIZES = st.one_of(
    st.tuples(st.integers(10, 60), st.integers(10, 60)),
    st.tuples(st.just(1), st.integers(1, 60)),
    st.tuples(st.integers(1, 60), st.just(1)),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


def make_image(kind: str, rgb: NDArray[np.uint8], folder: Path) -> Any:
    if kind not in FILES:
        return KINDS[kind](rgb)
    path = folder / kind
    KINDS[FILES[kind]](rgb).save(path)
    return path


# Models: with and without a size of their own, of one channel and of three, whole images and crops.


def classify(batch: Array) -> Array:
    """Three classes that like places and colours of an image of any size, N×3 probabilities."""
    rows = np.linspace(-1, 1, batch.shape[1])[:, None, None]
    columns = np.linspace(-1, 1, batch.shape[2])[:, None]
    centre = (batch * np.exp(-(rows**2) - columns**2)).mean(axis=(1, 2))
    left = (batch * (1 - columns)).mean(axis=(1, 2))
    logits = np.stack([4 * centre[:, 0], 3 * left[:, 1] - centre[:, 2], 2 * left.prod(axis=1)], axis=1)
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))


class Gray:
    """Two scores of gray images at their own size, in float32, and nothing more than a model must have."""

    labels: tuple[str, ...] | None = None
    input_size: tuple[int, int] | None = None

    def prepare(self, image: Image) -> NDArray[np.float32]:
        return np.ascontiguousarray(image.pixels.mean(axis=2)[None])

    def predict(self, batch: torch.Tensor) -> torch.Tensor:
        brightness = batch.mean(dim=(1, 2, 3))
        return torch.stack([brightness.square() - 0.2, batch[:, 0, 0, 0] * brightness], dim=1)


def network(channels: int) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(channels)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(channels, 4, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(16, 3),
    )
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.6, generator=generator)
    return net


MODELS: dict[str, Model] = {
    "fake": FakeModel(),
    "flat": FakeModel(size=(9, 20)),
    "callable": CallableModel(classify, labels=("cat", "dog", "bird")),
    "8-bit callable": CallableModel(lambda batch: classify(batch / 255), scale=255, dtype="uint8", size=(15, 11)),
    "gray": Gray(),
    "network": TorchModel(network(3), size=(14, 18), mean=(0.5, 0.4, 0.3), std=0.25),
    "crop": TorchModel(network(3), size=16, resize=20, interpolation="bicubic", labels=["a", "b", "c"]),
    "gray network": TorchModel(network(1), size=12, mean=[0.5], std=[0.5], output="scores"),
}


def seen_size(model: Model, size: tuple[int, int]) -> tuple[int, int]:
    return model.input_size or size


# Options.


def halves(pixels: Array) -> Array:
    """Superpixels by brightness: one, where there is one colour."""
    return np.asarray(pixels.mean(axis=2) * 4).astype(int)


def stripes(pixels: Array) -> Array:
    """Labels as floats, which start at 1 and have gaps."""
    return np.broadcast_to(np.floor(np.arange(pixels.shape[1]) / 5) * 10.0 + 1, pixels.shape[:2])


def darker(pixels: Array, segments: Array) -> Array:
    return np.asarray(0.5 * pixels)


def unchanged(pixels: Array, segments: Array) -> Array:
    return pixels


def one_colour(pixels: Array, segments: Array) -> list[float]:
    return [0.25]


def hidden_share(masks: Array) -> Array:
    return np.asarray(1 - masks.mean(axis=1))


def steep(distances: Array) -> Array:
    return np.asarray(np.exp(-5 * distances))


def label_map(size: tuple[int, int], superpixels: int, seed: int, numbering: str) -> Array:
    """At most `superpixels` labels of no shape in particular, with whatever numbers an integer can be."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, superpixels, size)
    if numbering == "bool":
        return labels > 0
    if numbering == "uint8":
        return labels.astype(np.uint8)
    if numbering == "gaps":
        return rng.choice(10**6, superpixels, replace=False)[labels] - 5 * 10**5
    return labels + {"from 1": 1, "negative": -(2**62)}[numbering]


@dataclasses.dataclass(frozen=True)
class Case:
    """Everything that `explain` is called with."""

    model: str
    kind: str
    rgb: NDArray[np.uint8]
    target: Any
    options: Mapping[str, Any]
    top_labels: int = 1
    regions: tuple[Box, ...] = ()
    opinions: tuple[str, ...] = ()

    def explain(self, folder: Path) -> Explanation:
        return explain(
            MODELS[self.model],
            make_image(self.kind, self.rgb, folder),
            self.target,
            top_labels=self.top_labels,
            regions=self.regions,
            opinions=self.opinions,
            **self.options,
        )


@st.composite
def cases(draw: Draw, surrogate: Any, sampler: Any) -> Case:
    seed = draw(st.integers(0, 2**32 - 1))
    height, width = draw(SIZES)
    rgb = colours(draw(st.sampled_from(["noise", "patches", *CONTENTS])), height, width, seed)
    name = draw(st.sampled_from(list(MODELS)))
    size = seen_size(MODELS[name], (height, width))
    segmenter: Any = draw(st.sampled_from([*SEGMENTERS, "map", "map of the file", halves, stripes]))
    # An enumeration of 16 takes 65,536 passes; more are refused, on a region's account too.
    numbers = [4, 2, 6, 40] if sampler == "exhaustive" else [16, 2, 5, 24]
    if sampler == "given":
        # Masks are given for superpixels that are known.
        segmenter = "map"
    if isinstance(segmenter, str) and segmenter.startswith("map"):
        numbering = draw(st.sampled_from(["from 1", "negative", "gaps", "uint8", "bool"]))
        shape = size if segmenter == "map" else (height, width)
        segmenter = label_map(shape, draw(st.sampled_from(numbers)), seed, numbering)
    samples = draw(st.integers(2, 60))
    if sampler == "given":
        superpixels = len(np.unique(segmenter))
        sampler = np.random.default_rng(seed).integers(0, 2, (samples, superpixels))
        if draw(st.booleans()):
            sampler = sampler.astype(bool)
    selection = draw(st.sampled_from(SELECTIONS))
    x0, y0 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    options = {
        "segmenter": segmenter,
        # A region's border would add to the superpixels that given masks are for.
        "align_to_regions": isinstance(sampler, str) and draw(st.booleans()),
        "segments": draw(st.sampled_from(numbers)),
        "fill": draw(st.sampled_from([*FILLS, "#336699", "white", 0.5, (0, 128, 255), darker, unchanged, one_colour])),
        "samples": samples,
        "sampler": sampler,
        "distance": draw(st.sampled_from([*DISTANCES, hidden_share])),
        "kernel": draw(st.sampled_from(["exponential", steep])),
        "kernel_width": draw(st.sampled_from([0.25, 1.0, 20.0])),
        "surrogate": surrogate,
        "alpha": draw(st.sampled_from(["auto", 1.0, 0.01, 0])),
        "feature_selection": selection,
        "num_features": None if selection == "none" else draw(st.sampled_from([3, 1, 50])),
        "confidence": draw(st.sampled_from([0.95, 0.5, 0.999])),
        "seed": seed,
        "batch_size": draw(st.sampled_from(["auto", 1, 7, 100])),
    }
    target = draw(st.sampled_from([None, 1, [1, 0], [None]]))
    return Case(
        model=name,
        kind=draw(st.sampled_from([*KINDS, *FILES])),
        rgb=rgb,
        target=target,
        options=options,
        top_labels=draw(st.integers(1, 2)) if target is None else 1,
        regions=draw(st.sampled_from([(), (Box(x0, y0, width, height),)])),
        opinions=draw(st.sampled_from([(), ("occlusion",)])),
    )


def explain_or_refuse(case: Case, folder: Path) -> Explanation | LimeError:
    try:
        return case.explain(folder)
    except LimeError as error:
        return error


def may_refuse(error: LimeError, case: Case) -> bool:
    """Whether the image and the options of `case` cannot be explained for the reason that `error` gives."""
    words, options = str(error), case.options
    segmenter, size = options["segmenter"], seen_size(MODELS[case.model], case.rgb.shape[:2])
    pixels = size[0] * size[1]
    if isinstance(error, SegmentationError) and "one superpixel only" in words:
        # A grid cuts everything but a single pixel.
        return pixels == 1 or not (isinstance(segmenter, str) and segmenter == "grid")
    if isinstance(error, OptionError) and "kernel_width is too small" in words:
        # Pixels can be any distance apart, masks at most 1.
        return options["distance"] in ("pixel_euclidean", "pixel_cosine") and options["kernel_width"] < 20
    if isinstance(error, OptionError) and (found := re.search(r"2\^(\d+) passes", words)):
        return isinstance(options["sampler"], str) and options["sampler"] == "exhaustive" and int(found[1]) > 16
    # What is left of a region may be less than half a pixel of what the model sees.
    return isinstance(error, RegionError) and "holds no pixel" in words and bool(case.regions)


def assert_interval(figure: Any, least: float, most: float) -> None:
    low, high = figure.interval
    # The two ends and the figure come of different sums.
    assert least <= low <= figure + 1e-9 <= high + 2e-9
    assert high <= most


def assert_sound(explanation: Explanation) -> None:
    """Hold that the figures of an explanation are finite, of the documented shapes, and fit together."""
    height, width = explanation.view.shape
    classes, d = explanation.weights.shape
    n = explanation.samples
    shapes = {
        "pixels": (len(explanation.pixels), height, width),
        "segments": (height, width),
        "unchanged": (d,),
        "covariance": (classes, d, d),
        "prediction": (len(explanation.class_names),),
        "masks": (n, d),
        "sample_scores": (n, classes),
        "sample_weights": (n,),
        "interval": (classes, d, 2),
        **dict.fromkeys(["intercept", "rounding", "r2", "r2_heldout", "local_pred", "score", "alive"], (classes,)),
    }
    assert {name: getattr(explanation, name).shape for name in shapes} == shapes
    assert len(explanation.pixels) in (1, 3)
    np.testing.assert_array_equal(np.unique(explanation.segments), np.arange(d))
    for name in ("weights", "intercept", "rounding", "r2", "local_pred", "score", "alive", "sample_weights"):
        assert np.isfinite(getattr(explanation, name)).all(), name
    assert not np.isinf(explanation.r2_heldout).any()
    assert (explanation.r2 <= 1).all()
    assert not np.isnan(explanation.covariance).any()
    low, high = np.moveaxis(explanation.interval, -1, 0)
    assert ((low <= explanation.weights) & (explanation.weights <= high)).all()
    assert ((explanation.alive >= 0) & (explanation.alive <= 1)).all()
    assert 0 < explanation.effective_samples <= n * (1 + 1e-9)
    assert set(np.unique(explanation.masks)) <= {0, 1}
    for target in explanation.targets:
        assert_target_sound(explanation, target)


def assert_target_sound(explanation: Explanation, target: int) -> None:
    weights = explanation.weights[explanation.row(target)]
    found = explanation.warnings(target)
    assert isinstance(found, tuple)
    assert all(isinstance(one, str) and one and "nan" not in one for one in found)
    for upsampling in ("nearest", "bicubic"):
        heatmap = explanation.heatmap(target, upsampling)
        assert heatmap.shape == explanation.view.shape
        assert weights.min() <= heatmap.min() <= heatmap.max() <= weights.max()  # NaN too
    assert 1 <= explanation.rank(target) <= len(explanation.class_names)
    for sign in ("positive", "negative", "both") if explanation.signed else ("both",):
        masked = explanation.masked_image(3, sign, target=target)
        assert masked.shape == (*explanation.view.shape, 3)
        assert masked.min() >= 0
        assert masked.max() <= 1
        for per in ("all", "area"):
            boxes = explanation.boxes(3, sign, per=per, target=target)
            # In whole pixels of the file, and inside it.
            for box in boxes:
                assert 0 <= box.x0 < box.x1 <= explanation.image.size[1]
                assert 0 <= box.y0 < box.y1 <= explanation.image.size[0]
                assert all(float(end).is_integer() for end in (box.x0, box.y0, box.x1, box.y1))
            assert bool(boxes) == bool(len(explanation.top(3, sign, target=target)))
    html = re.sub(r"base64,[^'\"]*", "", explanation._repr_html_())
    assert not re.search(r"\b(nan|inf)\b", html, re.IGNORECASE)
    if explanation.signed:
        assert explanation.speaks(target) in (True, False, None)
        height, width = explanation.image.size
        for region in (Box(0, 0, width, height), Box(0, 0, -(-width // 2), height)):
            if not explanation.view.project(region.mask(explanation.image.size)).any():
                continue
            assert_interval(explanation.mass(region, target), 0, 1)
            assert_interval(explanation.overlap(region, 1, target), 0, 1)
        for opinion in explanation.opinions:
            assert_interval(explanation.agreement(opinion, target), -1, 1)


def assert_equal(found: Any, wanted: Any) -> None:
    """Hold that what was loaded is what was saved, arrays to the bit; functions are kept by name."""
    if isinstance(found, Unsaved):
        assert repr(found) == (getattr(wanted, "__qualname__", "") or repr(wanted))
    elif isinstance(wanted, np.ndarray):
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)
    elif dataclasses.is_dataclass(wanted):
        for field in dataclasses.fields(wanted):
            assert_equal(getattr(found, field.name), getattr(wanted, field.name))
    elif isinstance(wanted, Mapping):
        assert list(found) == list(wanted)
        for name in wanted:
            assert_equal(found[name], wanted[name])
    else:
        assert type(found) is type(wanted)
        assert found == wanted


# Each with two ways to draw masks, so that each kind of interval meets pairs, single masks and enumerations.
REGRESSORS = (*SURROGATES, Ridge(alpha=0.1), DecisionTreeRegressor(max_depth=3))
DRAWN = (*SAMPLERS, "given")
PAIRS = [(surrogate, DRAWN[(place + shift) % 6]) for shift in (0, 3) for place, surrogate in enumerate(REGRESSORS)]


@pytest.mark.parametrize(("surrogate", "sampler"), PAIRS, ids=str)
@settings(deadline=None, max_examples=12, derandomize=True)
@given(data=st.data())
def test_every_explanation_is_sound_or_refused_for_a_reason(
    data: st.DataObject, surrogate: Any, sampler: str, folder: Path
) -> None:
    case = data.draw(cases(surrogate, sampler))
    explanation = explain_or_refuse(case, folder)
    if isinstance(explanation, LimeError):
        assert may_refuse(explanation, case), explanation
        return
    assert_sound(explanation)
    if len(explanation.targets) > 1 and explanation.signed:
        assert_sound(explanation.contrast(explanation.targets[1]))
    explanation.save(folder / "saved.npz")
    assert_equal(Explanation.load(folder / "saved.npz"), explanation)


# Sizes and shapes that drawing does not reach.

# At its own size an image of three million pixels is seen by a model of one channel: what costs is copies.
LARGE: dict[str, tuple[str, str, tuple[int, int], dict[str, Any]]] = {
    "a photograph at its own size": ("gray", "uint8", (1500, 2000), {"segmenter": "grid", "fill": "blur"}),
    "a photograph as a file": ("gray", "RGB.jpg", (2000, 1500), {"segmenter": "slic"}),
    "a photograph, cropped": ("crop", "PIL RGBA", (1500, 2000), {"segmenter": "slic", "opinions": "gradcam"}),
    "a line": ("callable", "uint16", (1, 2000), {"segmenter": "slic"}),
    "a line, squeezed": ("fake", "float32", (2000, 1), {"segmenter": "grid"}),
}


@pytest.mark.parametrize("name", LARGE)
def test_large_images(name: str, folder: Path) -> None:
    model, kind, size, options = LARGE[name]
    image = make_image(kind, colours("patches", *size, seed=0), folder)
    explanation = explain(MODELS[model], image, 1, samples=16, segments=16, sampler="bernoulli", **options)
    assert explanation.image.size == size
    assert explanation.samples == 16
    # The superpixels that were asked for, to a quarter.
    assert explanation.superpixels == pytest.approx(16, abs=4)
    assert_sound(explanation)


@pytest.mark.parametrize("kind", [*KINDS, *FILES])
def test_every_kind_of_image(kind: str, folder: Path) -> None:
    image = make_image(kind, colours("noise", 7, 9, seed=0), folder)
    explanation = explain(MODELS["callable"], image, 1, segmenter="grid", segments=4)
    assert explanation.image.size == (7, 9)
    assert explanation.superpixels == 4
    assert np.ptp(explanation.pixels) > 0.5
    assert_sound(explanation)


# Invariance to the numbers of superpixels.

FIGURES = ("weights", "intercept", "r2", "r2_heldout", "local_pred", "prediction", "standard_errors", "interval")
# Sums of some hundred terms of order 1 in another order, through an inverse of condition about 1e3.
ROUNDING = 1e-9
# A lasso ends where its duality gap is below a share of 1e-4, on another path for another order.
LASSO = 1e-2
# Two explanations may come from batches of another layout or size, which round otherwise.
PASSES = 1e-6


def assert_close(found: Explanation, wanted: Explanation, tolerance: float, names: tuple[str, ...] = FIGURES) -> None:
    for name in names:
        ours, theirs = getattr(found, name), getattr(wanted, name)
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance, err_msg=name)


@st.composite
def numbered(draw: Draw) -> dict[str, Any]:
    """An image, a label map of 3 to 15 superpixels, and options under which the surrogate is determined."""
    seed = draw(st.integers(0, 2**32 - 1))
    d = draw(st.integers(3, 15))
    name = draw(st.sampled_from(["fake", "callable", "gray", "crop"]))
    rgb = colours(draw(st.sampled_from(["noise", "patches"])), 24, 30, seed)
    height, width = seen_size(MODELS[name], (24, 30))
    # Columns and single pixels; each number is there.
    segments = np.arange(height * width) * d // (height * width)
    segments = np.random.default_rng(seed).permutation(segments) if draw(st.booleans()) else segments
    distance = draw(st.sampled_from([*DISTANCES, hidden_share]))
    return {
        "model": MODELS[name],
        "image": rgb,
        "target": [0, 1],
        "segmenter": segments.reshape(height, width),
        "permutation": np.array(draw(st.permutations(range(d)))),
        "sampler": draw(st.sampled_from(["exhaustive", "given"])) if d <= 8 else "given",
        "fill": draw(st.sampled_from([*FILLS, "#336699", darker, one_colour])),
        "distance": distance,
        "kernel_width": 20.0 if distance == "pixel_euclidean" else 0.5,
        "surrogate": draw(st.sampled_from(["ridge", "linear", "lasso", Ridge(alpha=0.1)])),
        "alpha": draw(st.sampled_from(["auto", 1.0])),
        "seed": seed,
    }


@settings(deadline=None, max_examples=30, derandomize=True)
@given(call=numbered())
def test_superpixels_may_be_numbered_in_any_way(call: dict[str, Any]) -> None:
    options = dict(call)
    permutation, segments = options.pop("permutation"), options["segmenter"]
    d = len(permutation)
    back = np.argsort(permutation)
    there = dict(options, segmenter=permutation[segments] * 3 - 7)
    if options["sampler"] == "given":
        masks = np.random.default_rng(options["seed"]).integers(0, 2, (20 * d, d))
        options["sampler"], there["sampler"] = masks, masks[:, back]
    one, other = explain(**options), explain(**there)
    np.testing.assert_array_equal(other.segments, permutation[one.segments])
    renamed = dataclasses.replace(
        other,
        weights=other.weights[:, permutation],
        covariance=other.covariance[:, permutation][:, :, permutation],
        segments=one.segments,
        unchanged=other.unchanged[permutation],
    )
    tolerance = PASSES + (LASSO * float(np.abs(one.weights).max()) if options["surrogate"] == "lasso" else 0.0)
    np.testing.assert_array_equal(renamed.unchanged, one.unchanged)
    # An enumeration counts through the superpixels, so that other masks share a fold.
    folds = one.complete and options["surrogate"] not in ("ridge", "linear")
    assert_close(renamed, one, tolerance, tuple(name for name in FIGURES if not (folds and name == "r2_heldout")))
    for target in (0, 1):
        for upsampling in ("nearest", "bicubic"):
            ours, theirs = (each.heatmap(target, upsampling) for each in (other, one))
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)
        assert_same_places(other, one, permutation, target, tolerance)


def assert_same_places(
    other: Explanation, one: Explanation, permutation: NDArray[np.int64], target: int, tolerance: float
) -> None:
    """Hold that the strongest superpixels, their boxes and the shares of a region are the same."""
    weights = one.weights[target]
    ranked = np.sort(weights)[::-1]
    k = 2
    # Equals are ranked by their number.
    if (ranked[: k + 1] > 0).all() and (ranked[:k] - ranked[1 : k + 1]).min() > 2 * tolerance:
        assert permutation[one.top(k, target=target)].tolist() == other.top(k, target=target).tolist()
        np.testing.assert_array_equal(other.masked_image(k, target=target), one.masked_image(k, target=target))
        for per in ("all", "area"):
            assert other.boxes(k, per=per, target=target) == one.boxes(k, per=per, target=target)
    region = Box(3, 2, 17, 13)
    ours, theirs = (each.mass(region, target) for each in (other, one))
    # A share of little is known less exactly.
    relative = 100 * tolerance / max(float(np.maximum(weights, 0).sum()), 1e-300)
    if relative < 0.1:
        assert ours == pytest.approx(float(theirs), abs=relative)
        assert ours.interval == pytest.approx(theirs.interval, abs=relative)


# Invariance to batches, portions and what ran before.


@st.composite
def sampled(draw: Draw) -> dict[str, Any]:
    """An image and options of many more samples than superpixels, under which no choice hangs on a tie."""
    seed = draw(st.integers(0, 2**32 - 1))
    return {
        "model": MODELS[draw(st.sampled_from(list(MODELS)))],
        "image": colours(draw(st.sampled_from(["noise", "patches"])), 26, 21, seed),
        "target": [1, 0],
        "segmenter": draw(st.sampled_from(SEGMENTERS)),
        "segments": draw(st.integers(4, 20)),
        "fill": draw(st.sampled_from([*FILLS, "white", darker])),
        "sampler": draw(st.sampled_from([name for name in SAMPLERS if name != "exhaustive"])),
        "samples": 150,
        "distance": draw(st.sampled_from([*DISTANCES, hidden_share])),
        "kernel_width": 20.0,
        "surrogate": draw(st.sampled_from(["ridge", "linear", "lasso", Ridge(alpha=0.1)])),
        "alpha": draw(st.sampled_from(["auto", 1.0])),
        "seed": seed,
    }


def explain_or_assume(**call: Any) -> Explanation:
    """Explain an image that has superpixels; noise may be one."""
    try:
        return explain(**call)
    except SegmentationError as error:
        assume("one superpixel only" not in str(error))
        raise


@pytest.mark.slow
@settings(deadline=None, max_examples=12, derandomize=True)
@given(call=sampled())
def test_batches_may_have_any_size(call: dict[str, Any]) -> None:
    wanted = explain_or_assume(**call, batch_size=64)
    scores = wanted.sample_scores
    # A score of a float32 network is off by some 1e-7 of the largest, and a weight by as much; a lasso may end
    # elsewhere. A share of the variance is off by more where the scores vary by less.
    tolerance = 1e-6 * max(1.0, float(np.abs(wanted.prediction).max()))
    tolerance += LASSO * float(np.abs(wanted.weights).max()) if call["surrogate"] == "lasso" else 0.0
    of_shares = tolerance * max(1.0, float((np.abs(scores).max(axis=0) / scores.std(axis=0)).max()))
    for batch_size in (1, 3, 7, "auto"):
        found = explain(**call, batch_size=batch_size)
        for name in ("masks", "segments", "sample_weights", "unchanged"):
            np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name), err_msg=name)
        for name in FIGURES:
            assert_close(found, wanted, of_shares if name.startswith("r2") else tolerance, (name,))


@pytest.mark.slow
@settings(deadline=None, max_examples=12, derandomize=True)
@given(call=sampled(), portions=st.lists(st.integers(0, 40), min_size=2, max_size=6).filter(any))
def test_samples_may_come_in_any_portions(call: dict[str, Any], portions: list[int], extend: Extend) -> None:
    # One by one, so that the model sees the same batches.
    options = LimeOptions(**{name: call[name] for name in call.keys() - {"model", "image", "target"}}, batch_size=1)
    wanted = explain_or_assume(**{**call, "samples": max(2, sum(portions)), "batch_size": 1})
    stream = open_stream(Bench(call["model"], options), call["image"], call["target"])
    for portion in portions:
        extend(stream, portion)
        if stream.samples > 0:
            stream.look()
    extend(stream, wanted.samples - stream.samples)
    found = stream.look()
    for name in ("segments", "masks", "sample_scores", "sample_weights", *FIGURES, "complete", "sampler"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name), err_msg=name)
    again = explain(**{**call, "samples": max(2, sum(portions)), "batch_size": 1})
    for name in ("segments", "masks", *FIGURES):
        np.testing.assert_array_equal(getattr(again, name), getattr(wanted, name), err_msg=name)


# Found by the properties above: weights of samples that are far apart, tiny or huge.

NOISE = colours("noise", 32, 32, seed=0)
GIVEN: dict[str, Any] = {
    "segmenter": "grid",
    "segments": 16,
    "sampler": np.random.default_rng(0).integers(0, 2, (200, 16)),
}


@pytest.mark.parametrize("steepness", [10, 100, 600])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_tree_bears_weights_that_are_far_apart(steepness: int, seed: int) -> None:
    apart = np.exp(-steepness * np.random.default_rng(seed).random(200))
    assert_sound(explain(MODELS["fake"], NOISE, 0, **GIVEN, kernel=lambda distances: apart, surrogate="tree"))


@pytest.mark.parametrize("scale", [1e-300, 1e-170, 1.0, 1e170, 1e300])
def test_the_scale_of_the_kernel_is_no_matter(scale: float) -> None:
    explanation = explain(MODELS["fake"], NOISE, 0, **GIVEN, kernel=lambda distances: scale * steep(distances))
    wanted = explain(MODELS["fake"], NOISE, 0, **GIVEN, kernel=steep)
    assert explanation.effective_samples == pytest.approx(wanted.effective_samples, rel=1e-9)
    assert_close(explanation, wanted, ROUNDING)
    assert_sound(explanation)


def test_regions_split_superpixels_alike_however_they_are_numbered() -> None:
    # What a region's border cuts off has two neighbours with borders of one length.
    segments = np.arange(12)[:, None] // 3 * 2 + np.arange(8)[None] // 4
    rest: dict[str, Any] = {"regions": Box(3, 4, 6, 10), "sampler": "lime", "samples": 2}
    maps = (segments, np.array([4, 5, 1, 2, 7, 6, 0, 3])[segments])
    first, second = (
        explain(MODELS["callable"], NOISE[:12, :8], 0, segmenter=labels, **rest).segments for labels in maps
    )
    # No superpixel of one has a part in two of the other.
    assert len(np.unique(first)) == len(np.unique(second)) == len(np.unique(first * 100 + second))
