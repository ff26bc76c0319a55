"""Options: defaults, every rule, layers, and the spelling of an ini file."""

import dataclasses
import hashlib
import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from pytest_lime import LimeOptions, OptionError
from pytest_lime.options import OPTION_NAMES, PRESETS, check_names, check_number, from_text, resolve

REGRESSOR = Ridge()
Layer = tuple[str, dict[str, Any]]
PARAMETERS = {"compactness": 20, "sigma": 0.5, "slic_zero": False, "mask": None, "mode": "wrap"}

DEFAULTS: dict[str, Any] = {
    "preset": None,
    "segmenter": "slic",
    "segments": 50,
    "segmenter_parameters": {},
    "align_to_regions": True,
    "fill": "segment_mean",
    "samples": "auto",
    "max_samples": 4000,
    "sampler": "hadamard",
    "distance": "cosine",
    "kernel": "exponential",
    "kernel_width": 0.25,
    "surrogate": "ridge",
    "alpha": "auto",
    "feature_selection": "none",
    "num_features": None,
    "confidence": 0.95,
    "seed": 0,
    "device": "auto",
    "precision": "float32",
    "batch_size": "auto",
    "fuse": True,
}


def test_the_defaults_and_their_order() -> None:
    assert dataclasses.asdict(LimeOptions()) == DEFAULTS
    assert list(OPTION_NAMES) == list(DEFAULTS)


def test_options_are_frozen_and_keyword_only() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        LimeOptions().seed = 1  # type: ignore[misc]
    with pytest.raises(TypeError, match="positional"):
        LimeOptions("slic")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("segmenter", "grid"),
        ("segments", 2),
        ("segments", 1000),
        ("samples", np.int64(7)),
        ("sampler", "exhaustive"),
        ("kernel_width", 3),
        ("alpha", 0),
        ("confidence", 0.5),
        ("seed", 2**32 - 1),
        ("segmenter", print),
        ("segmenter_parameters", {"compactness": 3}),
        ("fill", print),
        ("distance", "pixel_euclidean"),
        ("distance", print),
        ("kernel", print),
        ("surrogate", "tree"),
        ("surrogate", REGRESSOR),
        ("alpha", "auto"),
        ("feature_selection", "lasso_path"),
        ("num_features", 3),
        ("preset", "captum"),
        ("batch_size", 1),
        ("samples", "auto"),
        ("max_samples", 2),
        ("precision", "bfloat16"),
        ("precision", "float16"),
        ("device", "cuda:1"),
        ("device", torch.device("cpu")),
        ("align_to_regions", False),
    ],
)
def test_accepted(name: str, value: Any) -> None:
    kept = getattr(LimeOptions(**{name: value}), name)
    assert kept == (str(value) if name == "device" else value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("segmenter", "slik", "the nearest is 'slic'"),
        ("segmenter", 3, "label map"),
        ("segmenter", np.zeros((2, 2)), "label map"),
        ("segmenter", np.zeros((2, 2, 2), dtype=int), "label map"),
        ("segments", 1, "at least 2 and at most 1,000"),
        ("segments", 1001, "at most 1,000"),
        ("segments", 10.0, "whole number"),
        ("segments", True, "whole number"),
        ("align_to_regions", 1, "True or False"),
        ("fill", "segment_meen", "the nearest is 'segment_mean'"),
        ("fill", (0, 0), "one or three numbers"),
        ("fill", (0.0, 0.0, 1.1), "floats in"),
        ("fill", (0, 0, 256), "whole numbers in 0…255"),
        ("fill", (-1, 0, 0), "whole numbers in 0…255"),
        ("fill", (math.nan,) * 3, "floats in"),
        ("fill", None, "must be"),
        ("fill", True, "must be"),
        ("fill", ("a", "b", "c"), "must be"),
        ("samples", 1, "at least 2"),
        ("samples", "many", "whole number"),
        ("samples", 10**9 + 1, "at most 1,000,000,000"),
        # Python writes no whole number of so many digits.
        pytest.param("samples", 10**5000, "at most 1,000,000,000", id="samples-many-digits"),
        pytest.param("max_samples", 10**5000, "at most 1,000,000,000", id="max_samples-many-digits"),
        pytest.param("num_features", 10**5000, "at most 1,000", id="num_features-many-digits"),
        pytest.param("batch_size", 10**5000, "at most 1,000,000,000", id="batch_size-many-digits"),
        ("sampler", "antithetik", "the nearest is 'antithetic'"),
        ("sampler", [[0, 1]], "N×d array"),
        ("sampler", np.array([0, 1]), "N×d array"),
        ("sampler", np.array([[0, 2]]), "only 0 and 1"),
        ("sampler", np.zeros((0, 3)), "at least one row"),
        ("kernel_width", 0, "greater than 0"),
        ("kernel_width", math.inf, "greater than 0"),
        ("kernel_width", "0.25", "number"),
        ("kernel_width", np.array([0.1, 0.2]), "number"),
        ("alpha", -1e-9, "at least 0"),
        ("alpha", math.nan, "at least 0"),
        ("alpha", "much", "'auto' or a number"),
        ("segmenter", dict, "label map"),
        ("segmenter_parameters", [("compactness", 3)], "must be a dictionary"),
        ("segmenter_parameters", {3: 3}, "must be a dictionary"),
        ("fill", dict, "must be"),
        ("distance", "cosin", "the nearest is 'cosine'"),
        ("distance", 3, "a function from N×d masks to N distances"),
        ("kernel", "gauss", "a function from N distances to N weights"),
        ("surrogate", "rigde", "the nearest is 'ridge'"),
        ("surrogate", Ridge, "pass an instance, Ridge()"),
        ("surrogate", 3, "fit(X, y, sample_weight)"),
        ("feature_selection", "forwards", "the nearest is 'forward'"),
        ("feature_selection", None, "must be one of"),
        ("feature_selection", print, "must be one of"),
        ("num_features", 0, "at least 1"),
        ("preset", "limee", "the nearest is 'lime'"),
        ("preset", 3, "must be one of 'lime', 'captum', 'matlab'"),
        ("seed", 2**32, "at most 4,294,967,295"),
        ("confidence", 0, "between 0 and 1"),
        ("confidence", 1, "between 0 and 1"),
        ("confidence", 95, "between 0 and 1"),
        ("seed", -1, "at least 0"),
        ("device", "cdua", "the nearest is 'cuda'"),
        ("device", "cuda:x", "must be"),
        ("device", "cuda:", "must be"),
        ("device", "auto:1", "must be"),
        ("batch_size", 0, "at least 1"),
        ("batch_size", "big", "'auto'"),
        ("batch_size", 2.5, "whole number"),
    ],
)
def test_rejected_with_the_name_and_the_rule(name: str, value: Any, words: str) -> None:
    with pytest.raises(OptionError) as caught:
        LimeOptions(**{name: value})
    assert str(caught.value).startswith(name)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("given", "colour"),
    [
        ("#ff8000", (1.0, 128 / 255, 0.0)),
        ("black", (0.0, 0.0, 0.0)),
        ("#ff800080", (1.0, 128 / 255, 0.0)),
        (0, (0.0,)),
        (255, (1.0,)),
        (2, (2 / 255,)),
        (1.0, (1.0,)),
        ((0, 51, 255), (0.0, 0.2, 1.0)),
        ((0, 0.5, 1), (0.0, 0.5, 1.0)),
        (np.array([0, 51, 255], dtype=np.uint8), (0.0, 0.2, 1.0)),
        ((0, 0, 0), (0.0, 0.0, 0.0)),
        ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0)),
        (np.ones(3), (1.0, 1.0, 1.0)),
        ((1, 1, 2), (1 / 255, 1 / 255, 2 / 255)),
    ],
)
def test_colours(given: Any, colour: tuple[float, ...]) -> None:
    assert LimeOptions(fill=given).fill == pytest.approx(colour, abs=1e-15)


@pytest.mark.parametrize("given", [1, (1,), (1, 1, 1), [0, 0, 1], np.array([1, 0, 1]), np.int64(1)])
def test_ones_could_mean_the_darkest_or_the_brightest(given: Any) -> None:
    with pytest.raises(OptionError, match=r"^fill=.* is ambiguous: write 1\.0 .* or 255 of whole numbers"):
        LimeOptions(fill=given)
    with pytest.raises(OptionError, match=r"^ini: fill=\(0, 0, 1\) is ambiguous"):
        resolve(("ini", {"fill": from_text("fill", "0, 0, 1")}))


def test_checked_options_pass_the_check_unchanged() -> None:
    # `lime.check` resolves layers and hands the outcome to `explain`, which checks again.
    once = LimeOptions(fill=(255, 51, 0), device=torch.device("cpu"))
    twice = LimeOptions(**{name: getattr(once, name) for name in OPTION_NAMES})
    assert dataclasses.asdict(twice) == dataclasses.asdict(once)


def test_as_json_is_json() -> None:
    options = LimeOptions(segmenter=np.zeros((4, 6), dtype=int), sampler=np.eye(3), fill=(0, 0, 0))
    values = json.loads(json.dumps(options.as_json(), allow_nan=False))
    assert values["segmenter"] == "array of shape 4×6"
    assert values["sampler"] == "array of shape 3×3"
    assert values["fill"] == [0, 0, 0]
    assert LimeOptions(segmenter=math.sqrt, surrogate=REGRESSOR).as_json()["segmenter"] == "sqrt"
    assert LimeOptions(surrogate=REGRESSOR).as_json()["surrogate"] == "Ridge()"
    assert list(values) == list(DEFAULTS)


def test_the_hash_tells_options_apart() -> None:
    masks = np.eye(3)
    listed = [LimeOptions(), LimeOptions(seed=1), LimeOptions(fill="blur"), LimeOptions(sampler=masks)]
    # Of the same shape, which is all that a record says of an array.
    listed += [LimeOptions(sampler=1 - masks), LimeOptions(sampler=masks[:2])]
    assert len({options.sha256 for options in listed}) == len(listed)
    assert LimeOptions(sampler=np.eye(3)).sha256 == LimeOptions(sampler=masks).sha256
    text = json.dumps(LimeOptions().as_json(), sort_keys=True, separators=(",", ":"))
    assert LimeOptions().sha256 == hashlib.sha256(text.encode()).hexdigest()


def test_layers_the_first_is_the_strongest() -> None:
    layers = [("call", {"seed": 1}), ("marker", {"seed": 2, "samples": 20}), ("ini", {"samples": 30, "segments": 9})]
    merged = resolve(*layers)
    assert (merged.seed, merged.samples, merged.segments, merged.alpha) == (1, 20, 9, "auto")
    assert dataclasses.asdict(resolve()) == DEFAULTS


def test_a_wrong_value_names_the_layer_that_gave_it() -> None:
    with pytest.raises(OptionError, match=r"^ini: samples=0 must"):
        resolve(("call", {"seed": 1}), ("ini", {"samples": 0}))
    with pytest.raises(OptionError, match=r"^call: sampler: the mask matrix"):
        resolve(("call", {"sampler": np.array([[3]])}))


def test_a_value_that_a_stronger_layer_replaces_is_not_checked() -> None:
    assert resolve(("call", {"samples": 10}), ("ini", {"samples": 0})).samples == 10


def test_an_unknown_name_is_told_with_its_place_and_the_nearest() -> None:
    with pytest.raises(OptionError, match=r"^marker: there is no option 'sampels'; the nearest is 'samples'; the opt"):
        check_names(["seed", "sampels"], "marker")
    with pytest.raises(OptionError, match=r"lime\.check: there is no option"):
        resolve(("lime.check", {"num_samples": 1}))


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("samples", " 500 ", 500),
        ("kernel_width", "0.5", 0.5),
        ("alpha", "1e-3", 1e-3),
        ("segmenter", "grid", "grid"),
        ("fill", "0, 0.5, 1", (0, 0.5, 1)),
        ("fill", "#00ff00", "#00ff00"),
        ("fill", "0", 0),
        ("batch_size", "auto", "auto"),
        ("batch_size", "32", 32),
        ("device", "cuda:0", "cuda:0"),
        ("segmenter_parameters", "compactness=20, sigma = 0.5,slic_zero=no, mask=None, mode=wrap", PARAMETERS),
        ("preset", "lime", "lime"),
        ("align_to_regions", "Off", False),
        ("align_to_regions", "YES", True),
    ],
)
def test_from_text(name: str, text: str, value: Any) -> None:
    read = from_text(name, text)
    assert read == value
    assert type(read) is type(value)


def test_from_text_of_a_boolean_must_be_one() -> None:
    with pytest.raises(OptionError, match="align_to_regions='maybe' must be true or false"):
        from_text("align_to_regions", "maybe")


def test_text_that_is_no_number_is_left_to_the_option() -> None:
    with pytest.raises(OptionError, match="samples='lots'"):
        resolve(("ini", {"samples": from_text("samples", "lots")}))


def test_from_text_of_parameters_has_a_form() -> None:
    assert from_text("segmenter_parameters", "") == {}
    with pytest.raises(OptionError, match="must be of the form 'compactness=20, sigma=1', each"):
        from_text("segmenter_parameters", "compactness 20")


def test_words_for_nothing() -> None:
    options = resolve(
        ("ini", {"preset": from_text("preset", "none"), "num_features": from_text("num_features", "all")})
    )
    assert options.preset is None
    assert options.num_features is None


class TestPresets:
    @pytest.mark.parametrize("name", PRESETS)
    def test_each_names_every_option_of_method(self, name: str) -> None:
        of_the_run = {"preset", "max_samples", "confidence", "seed", "device", "precision", "batch_size", "fuse"}
        assert set(PRESETS[name]) == set(OPTION_NAMES) - of_the_run
        taken = dataclasses.asdict(LimeOptions(preset=name))
        assert taken == {**DEFAULTS, **PRESETS[name], "preset": name}

    def test_options_beside_a_preset_are_stronger(self) -> None:
        options = LimeOptions(preset="lime", samples=20, alpha=0)
        assert (options.samples, options.alpha, options.sampler) == (20, 0, "lime")

    def test_a_preset_is_as_strong_as_its_layer(self) -> None:
        layers: list[Layer] = [
            ("call", {"seed": 3}),
            ("marker", {"preset": "captum"}),
            ("ini", {"samples": 7, "confidence": 0.9}),
        ]
        options = resolve(*layers)
        assert (options.seed, options.samples, options.confidence) == (3, 25, 0.9)
        assert resolve(("call", {"samples": 7}), ("ini", {"preset": "lime"})).samples == 7

    def test_the_strongest_preset_is_the_only_one(self) -> None:
        options = resolve(("call", {"preset": "matlab"}), ("ini", {"preset": "lime"}))
        assert dataclasses.asdict(options) == dataclasses.asdict(LimeOptions(preset="matlab"))
        assert dataclasses.asdict(resolve(("call", {"preset": None}), ("ini", {"preset": "lime"}))) == DEFAULTS

    def test_a_wrong_preset_names_its_layer(self) -> None:
        with pytest.raises(OptionError, match=r"^ini: preset='lim' must be one of .*; the nearest is 'lime'"):
            resolve(("call", {"seed": 1}), ("ini", {"preset": "lim"}))

    def test_parameters_stay_with_their_segmenter(self) -> None:
        assert LimeOptions(preset="lime", segmenter="slic").segmenter_parameters == {}
        layers: list[Layer] = [
            ("call", {"segmenter": "slic"}),
            ("ini", {"segmenter": "quickshift", "segmenter_parameters": {"ratio": 1}}),
        ]
        assert resolve(*layers).segmenter_parameters == {}
        kept = resolve(("call", {"seed": 3}), *layers[1:])
        assert kept.segmenter_parameters == {"ratio": 1}

    def test_segments_beside_a_preset_decide_how_many(self) -> None:
        assert LimeOptions(preset="lime", segments=30).segmenter_parameters == {}
        assert resolve(("call", {"segments": 30}), ("ini", {"preset": "lime"})).segmenter_parameters == {}

    def test_parameters_beside_a_preset_are_over_its_own(self) -> None:
        found = LimeOptions(preset="lime", segmenter_parameters={"ratio": 0.5}).segmenter_parameters
        assert found == {"kernel_size": 4, "max_dist": 200, "ratio": 0.5, "rng": 42}

    def test_a_penalty_stays_with_its_surrogate(self) -> None:
        assert LimeOptions(preset="lime", surrogate="lasso").alpha == "auto"
        assert LimeOptions(preset="lime", surrogate="lasso", alpha=0.5).alpha == 0.5
        assert resolve(("call", {"surrogate": "lasso"}), ("ini", {"preset": "lime"})).alpha == "auto"
        same = resolve(("call", {"surrogate": "ridge"}), ("ini", {"surrogate": "".join("ridge"), "alpha": 3}))
        assert same.alpha == 3


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"num_features": 3}, "num_features=3 needs a feature_selection"),
        ({"feature_selection": "forward"}, "feature_selection='forward' needs num_features"),
    ],
)
def test_what_makes_no_sense_alone(values: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        resolve(("call", values))
    # Of one layer alone it is not known what another says.
    assert LimeOptions(**values)


@pytest.mark.parametrize("values", [{"kernel_width": 10**400}, {"fill": (10**400, 0, 0)}])
def test_numbers_beyond_all_measure(values: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="must be"):
        LimeOptions(**values)


@pytest.mark.parametrize("text", ["=3", "compactness=", "sigma=1, sigma=2", "sigma"])
def test_parameters_in_text_have_a_name_and_a_value_each(text: str) -> None:
    with pytest.raises(OptionError, match="each name once"):
        from_text("segmenter_parameters", text)


class TestCheckNumber:
    @pytest.mark.parametrize("value", [0, 1, 0.25, np.float32(0.5), np.array(0.5), True + 0.0])
    def test_numbers_of_every_kind(self, value: Any) -> None:
        found = check_number("share", value, 0, 1)
        assert (type(found), found) == (float, float(value))

    @pytest.mark.parametrize(
        "value", [True, "0.5", None, math.nan, math.inf, 10**400, 1j, [0.5], np.array([0.5]), b"1"]
    )
    def test_what_is_no_number(self, value: Any) -> None:
        for limits in ((0, 1), ()):
            with pytest.raises(OptionError, match=r"^share=.* must be a number"):
                check_number("share", value, *limits)

    @pytest.mark.parametrize(
        ("limits", "rule"),
        [
            ({"low": 0, "high": 1}, " in [0, 1]."),
            ({"low": 0, "high": 1, "ends": False}, " between 0 and 1, both excluded."),
            ({"low": 0}, " of at least 0."),
            ({"low": 0, "ends": False}, " greater than 0."),
        ],
    )
    def test_the_limits_and_whether_their_ends_count(self, limits: dict[str, Any], rule: str) -> None:
        ends = [value for name, value in limits.items() if name != "ends"]
        for end in ends:
            if limits.get("ends", True):
                assert check_number("x", end, **limits) == end
            else:
                with pytest.raises(OptionError) as caught:
                    check_number("x", end, **limits)
                assert str(caught.value) == f"x={end} must be a number{rule}"
        with pytest.raises(OptionError) as caught:
            check_number("x", -0.1, **limits)
        assert str(caught.value) == f"x=-0.1 must be a number{rule}"


def test_parameters_that_no_file_holds_are_written_as_text() -> None:
    options = LimeOptions(
        segmenter=lambda pixels: pixels, segmenter_parameters={"a": float("nan"), "b": [float("-inf")]}
    )
    assert options.as_json()["segmenter_parameters"] == {"a": "nan", "b": ["-inf"]}
