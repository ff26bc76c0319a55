"""What an explanation says of itself: the strongest, shares, overlaps and their intervals."""

import copy
import dataclasses
import math
import pickle
import re
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markupsafe import escape

from pytest_lime import Box, Explanation, Mask, OptionError, RegionError, TargetError, whole
from pytest_lime.explanation import Figure, find_class

Build = Callable[..., Explanation]
LEFT, RIGHT = Box(0, 0, 10, 10), Box(10, 0, 20, 10)  # of 4×2 cells of 5×5 pixels
WEIGHTS = [0.5, -0.2, 0.1, 0.0, 0.3, -0.4, 0.05, -0.01]
# Sums of a handful of float64 numbers of size 1.
EXACT = 1e-12


class TestFigure:
    FIGURE = Figure(0.42, interval=(0.31, 0.53), words="0.42 of the weight", samples=1000, confidence=0.95)

    def test_it_is_a_number(self) -> None:
        assert self.FIGURE == 0.42
        assert self.FIGURE >= 0.4
        assert not self.FIGURE > 0.5
        assert pytest.approx(1.42) == self.FIGURE + 1
        assert isinstance(self.FIGURE, float)
        assert f"{self.FIGURE:.1f}" == "0.4"
        assert hash(self.FIGURE) == hash(0.42)

    def test_it_shows_its_interval(self) -> None:
        assert repr(self.FIGURE) == str(self.FIGURE) == "0.42 [0.31, 0.53]"

    @pytest.mark.parametrize("duplicate", [lambda figure: pickle.loads(pickle.dumps(figure)), copy.copy, copy.deepcopy])
    def test_it_travels_whole(self, duplicate: Callable[[Figure], Figure]) -> None:
        other = duplicate(self.FIGURE)
        assert type(other) is Figure
        assert other == self.FIGURE
        assert vars(other) == vars(self.FIGURE)


class TestWeights:
    def test_shapes_and_sums(self, explanation_of: Build) -> None:
        explanation = explanation_of([WEIGHTS, [-w for w in WEIGHTS]], targets=(2, 0), error=0.1)
        assert explanation.superpixels == 8
        assert explanation.standard_errors.shape == (2, 8)
        assert explanation.interval.shape == (2, 8, 2)
        np.testing.assert_allclose(explanation.local_pred, [0.125 + sum(WEIGHTS), 0.125 - sum(WEIGHTS)], atol=EXACT)
        np.testing.assert_array_equal(explanation.score, [0.1, 0.7])

    @pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
    def test_intervals_are_normal_where_freedom_has_no_end(self, explanation_of: Build, confidence: float) -> None:
        explanation = explanation_of(WEIGHTS, error=0.1, confidence=confidence)
        half = (explanation.interval[0, :, 1] - explanation.interval[0, :, 0]) / 2
        z = {0.8: 1.2815516, 0.95: 1.9599640, 0.999: 3.2905267}[confidence]  # printed tables
        np.testing.assert_allclose(half, 0.1 * z, atol=1e-8)

    @pytest.mark.parametrize(
        ("freedom", "confidence", "quantile"),
        [(1, 0.95, 12.7062), (5, 0.95, 2.570582), (30, 0.99, 2.749996), (479, 0.95, 1.964939)],
    )
    def test_intervals_are_those_of_student(
        self, explanation_of: Build, freedom: float, confidence: float, quantile: float
    ) -> None:
        explanation = explanation_of(WEIGHTS, error=0.1, confidence=confidence, freedom=freedom, rounding=0.02)
        # Printed tables; the rounding of the forward passes comes on top.
        half = np.ptp(explanation.interval[0], axis=1) / 2
        np.testing.assert_allclose(half, 0.1 * quantile + 0.02, rtol=1e-5)

    def test_many_intervals_at_once_are_wider(self, explanation_of: Build) -> None:
        explanation = explanation_of(WEIGHTS, error=0.1)
        together = explanation.simultaneous_interval(8)[0]
        np.testing.assert_allclose(together.mean(axis=1), WEIGHTS, atol=EXACT)
        assert np.ptp(together[0]) == pytest.approx(2 * 2.7343688 * 0.1, abs=1e-6)

    def test_without_sampling_error_the_rounding_of_forward_passes_stays(self, explanation_of: Build) -> None:
        explanation = explanation_of([WEIGHTS, WEIGHTS], targets=(0, 1), rounding=1e-6)
        np.testing.assert_allclose(np.ptp(explanation.interval, axis=2), 2e-6, rtol=1e-6)
        # However many are compared: rounding is a bound, not an error drawn by chance.
        np.testing.assert_allclose(np.ptp(explanation.simultaneous_interval(8), axis=2), 2e-6, rtol=1e-6)

    def test_what_is_not_known_is_anywhere(self, explanation_of: Build) -> None:
        interval = explanation_of(WEIGHTS, error=[math.inf] + [0.1] * 7, freedom=1).interval[0]
        assert interval[0].tolist() == [-math.inf, math.inf]
        assert np.isfinite(interval[1:]).all()

    def test_the_heatmap_paints_each_superpixel_with_its_weight(self, explanation_of: Build) -> None:
        explanation = explanation_of([WEIGHTS, WEIGHTS[::-1]], targets=(0, 1))
        for target, row in ((None, WEIGHTS), ("dog", WEIGHTS[::-1]), (1, WEIGHTS[::-1])):
            expected = np.kron(np.reshape(row, (2, 4)), np.ones((5, 5)))
            np.testing.assert_array_equal(explanation.heatmap(target), expected)

    def test_repr(self, explanation_of: Build) -> None:
        text = "<Explanation of 'cat' in 'cells.png': 8 superpixels, 400 samples>"
        assert repr(explanation_of(WEIGHTS)) == text


class TestTop:
    @pytest.mark.parametrize(
        ("k", "sign", "min_weight", "expected"),
        [
            (3, "positive", 0.0, [0, 4, 2]),
            (8, "positive", 0.0, [0, 4, 2, 6]),
            (100, "positive", 0.0, [0, 4, 2, 6]),
            (3, "positive", 0.2, [0, 4]),
            (2, "negative", 0.0, [5, 1]),
            (8, "negative", 0.1, [5, 1]),
            # Of one sign a weight must exceed the least, of both it may equal it, as in lime.
            (8, "positive", 0.1, [0, 4]),
            (8, "negative", 0.2, [5]),
            (8, "both", 0.1, [0, 5, 4, 1, 2]),
            # Of both signs the cut comes first: of the strongest three none is that weak.
            (3, "both", 0.35, [0, 5]),
            (8, "negative", 0.0, [5, 1, 7]),
            (3, "both", 0.0, [0, 5, 4]),
            (8, "both", 0.0, [0, 5, 4, 1, 2, 6, 7]),
            (8, "both", 0.2, [0, 5, 4, 1]),
        ],
    )
    def test_known(self, explanation_of: Build, k: int, sign: str, min_weight: float, expected: list[int]) -> None:
        assert explanation_of(WEIGHTS).top(k, sign, min_weight).tolist() == expected

    def test_of_equal_ones_the_first_comes_first(self, explanation_of: Build) -> None:
        assert explanation_of([0.1, 0.2, 0.2, 0.1]).top(3).tolist() == [1, 2, 0]

    def test_of_another_target(self, explanation_of: Build) -> None:
        explanation = explanation_of([WEIGHTS, [-w for w in WEIGHTS]], targets=(0, 1))
        np.testing.assert_array_equal(explanation.top(2, target="dog"), explanation.top(2, "negative"))

    def test_a_contrast_answers_to_its_own_label(self, explanation_of: Build) -> None:
        contrast = explanation_of([WEIGHTS, WEIGHTS[::-1]], targets=(0, 1)).contrast("dog")
        np.testing.assert_array_equal(contrast.heatmap(contrast.labels[0]), contrast.heatmap())

    @pytest.mark.parametrize("comparisons", [0, -3, "x", True])
    def test_intervals_for_a_number_of_weights(self, explanation_of: Build, comparisons: Any) -> None:
        with pytest.raises(OptionError, match=r"comparisons=.* must be a whole number of at least 1"):
            explanation_of(WEIGHTS).simultaneous_interval(comparisons)

    def test_arrays_are_no_numbers(self, explanation_of: Build) -> None:
        explanation = explanation_of(WEIGHTS)
        with pytest.raises(TargetError, match="must be a label, an index"):
            explanation.top(2, target=np.array([0, 1]))
        with pytest.raises(OptionError, match="k=array"):
            explanation.top(np.array([1, 2]))  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"k": 0}, "k=0"),
            ({"k": 1.5}, "k=1.5"),
            ({"k": True}, "k=True"),
            ({"k": 2, "sign": "postive"}, "'positive'"),
            ({"k": 2, "sign": 1}, "sign=1"),
            ({"k": 2, "min_weight": -0.1}, "min_weight=-0.1 must be a number of at least 0"),
            ({"k": 2, "min_weight": math.nan}, "min_weight=nan"),
            ({"k": 2, "min_weight": "0.1"}, "min_weight='0.1'"),
        ],
    )
    def test_errors(self, explanation_of: Build, arguments: dict[str, Any], words: str) -> None:
        with pytest.raises(OptionError) as caught:
            explanation_of(WEIGHTS).top(**arguments)
        assert words in str(caught.value)


class TestHighlights:
    IMAGE = np.kron(np.arange(8).reshape(2, 4), np.ones((5, 5), dtype=int))

    def test_mask_of_top(self, explanation_of: Build) -> None:
        explanation = explanation_of([WEIGHTS, WEIGHTS[::-1]], targets=(0, 1))
        for k, sign, min_weight, target in ((3, "both", 0.0, None), (2, "negative", 0.1, "dog"), (8, "positive", 0, 1)):
            chosen = explanation.top(k, sign, min_weight, target)
            expected = np.isin(self.IMAGE, chosen) * np.sign(explanation.heatmap(target))
            np.testing.assert_array_equal(explanation.mask(k, sign, min_weight, target), expected)

    def test_what_speaks_against_the_class_is_minus_1(self, explanation_of: Build) -> None:
        assert np.unique(explanation_of(WEIGHTS).mask(sign="negative")).tolist() == [-1, 0]

    def test_the_masked_image_is_what_the_model_sees(self, explanation_of: Build) -> None:
        explanation = explanation_of(WEIGHTS)
        image = np.moveaxis(explanation.pixels, 0, -1)
        np.testing.assert_array_equal(explanation.masked_image(hide_rest=False), image)
        np.testing.assert_array_equal(explanation.masked_image(1), np.where((self.IMAGE == 0)[..., None], image, 0))
        painted = explanation.masked_image(2, "both")
        assert (painted[:5, :5, 1] == image.max()).all()
        assert (painted[5:, 5:10, 0] == image.max()).all()
        assert not painted[:, 10:].any()

    def test_boxes_are_regions_of_claims(self, explanation_of: Build) -> None:
        explanation = explanation_of(WEIGHTS, file_size=(20, 60), box=(10, 0, 50, 20))
        assert explanation.boxes(2) == [Box(10, 0, 20, 20)]
        assert explanation.boxes(3, per="area") == [Box(10, 0, 20, 20), Box(30, 0, 40, 10)]
        assert float(explanation.overlap(explanation.boxes(2)[0], k=2)) == 2
        assert explanation.boxes(8, "both", per="area", target="cat")[0] == Box(10, 0, 20, 20)

    def test_of_nothing(self, explanation_of: Build) -> None:
        explanation = explanation_of([-0.1, 0.0, -0.2, -0.3])
        assert not explanation.mask().any()
        assert not explanation.masked_image().any()
        assert explanation.boxes() == explanation.boxes(per="area") == []

    def test_weights_without_a_sign_are_asked_for_both(self, explanation_of: Build) -> None:
        explanation = explanation_of([0.3, 0.0, 0.2, 0.1], signed=False)
        assert np.unique(explanation.mask(2, "both")).tolist() == [0, 1]
        assert explanation.boxes(2, "both", per="area") == [Box(0, 0, 5, 5), Box(10, 0, 15, 5)]
        with pytest.raises(OptionError, match="sign='positive', unlike 'both', asks what speaks for a class or"):
            explanation.top(2)
        for ask in (explanation.mask, explanation.masked_image, explanation.boxes):
            with pytest.raises(OptionError, match="sign='negative', unlike 'both', asks what speaks for a class or"):
                ask(2, "negative")
            # Left to itself it shows what matters, and in the picture's own colours.
            np.testing.assert_array_equal(ask(2), ask(2, "both"))
        shown = explanation.masked_image(2)
        chosen = np.isin(explanation.segments, [0, 2])
        np.testing.assert_array_equal(shown[chosen], np.moveaxis(explanation.pixels, 0, -1)[chosen])

    @pytest.mark.parametrize(
        ("arguments", "words"), [({"k": 0}, "k=0"), ({"sign": "for"}, "sign='for'"), ({"kk": 3}, "'kk'")]
    )
    def test_errors(self, explanation_of: Build, arguments: dict[str, Any], words: str) -> None:
        explanation = explanation_of(WEIGHTS)
        for ask in (explanation.mask, explanation.masked_image, explanation.boxes):
            with pytest.raises(OptionError, match=words):
                ask(**arguments)
        with pytest.raises(OptionError, match="per='each' must be"):
            explanation.boxes(per="each")
        with pytest.raises(TargetError):
            explanation.boxes(target="dog")


class TestOutputs:
    """What each output shows is tested with its own module; here, that explanations of all kinds have them."""

    KINDS: ClassVar[dict[str, dict[str, Any]]] = {
        "plain": {},
        "all 0": {"weights": [0.0] * 8},
        "infinite intervals": {"error": math.inf},
        "one pixel each": {"file_size": (2, 4)},
        "a crop": {"file_size": (31, 90), "box": (-3.5, 1.0, 70.0, 40.0)},
        "without a sign": {"weights": np.abs(WEIGHTS).tolist(), "signed": False},
    }

    def kind(self, explanation_of: Build, name: str) -> Explanation:
        return explanation_of(**{"weights": WEIGHTS, **self.KINDS[name]})

    @pytest.mark.parametrize("name", KINDS)
    def test_a_smooth_heatmap(self, explanation_of: Build, name: str) -> None:
        explanation = self.kind(explanation_of, name)
        smooth = explanation.heatmap(upsampling="bicubic")
        assert smooth.shape == explanation.segments.shape
        # The middle pixel of a cell of a regular grid has the weight of its superpixel.
        np.testing.assert_allclose(smooth[2::5, 2::5].ravel(), explanation.weights[0], atol=1e-12)

    @pytest.mark.parametrize("name", KINDS)
    def test_a_notebook(self, explanation_of: Build, name: str) -> None:
        explanation = dataclasses.replace(self.kind(explanation_of, name), r2_heldout=np.array([math.nan]))
        html = explanation._repr_html_()
        assert "score 0.7, rank 1 of 3" in html
        assert "R² 0.75 (1 is perfect)" in html
        words = re.sub(r'"data:[^"]*"', "", html)
        assert "nan" not in words
        assert "inf" not in words
        for warning in explanation.warnings():
            assert str(escape(warning)) in html

    @pytest.mark.parametrize("name", KINDS)
    def test_a_plot(self, explanation_of: Build, name: str) -> None:
        figure = self.kind(explanation_of, name).plot(upsampling="bicubic")
        assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]

    def test_of_a_contrast(self, explanation_of: Build) -> None:
        contrast = explanation_of([WEIGHTS, WEIGHTS[::-1]], targets=(0, 1)).contrast("dog")
        assert "<bdi>cat − dog</bdi></strong>: difference of scores 0.5" in contrast._repr_html_()
        assert contrast.plot().axes[1].get_title("left").startswith("cat − dog: difference of scores 0.5")

    def test_of_each_target(self, explanation_of: Build) -> None:
        explanation = explanation_of([WEIGHTS, WEIGHTS[::-1]], targets=(0, 1))
        html = explanation._repr_html_()
        assert html.index("<bdi>cat</bdi>") < html.index("<bdi>dog</bdi>")
        assert explanation.plot("dog").axes[1].get_title("left") == "dog: score 0.2, rank 2 of 3"

    def test_of_many_targets(self, explanation_of: Build) -> None:
        names = tuple(f"class {number}" for number in range(7))
        explanation = explanation_of([WEIGHTS] * 7, targets=tuple(range(7)), class_names=names, prediction=[0.1] * 7)
        html = explanation._repr_html_()
        assert [name in html for name in names] == [True] * 5 + [False] * 2
        assert "2 more classes were explained" in html

    def test_errors_of_a_plot(self, explanation_of: Build) -> None:
        explanation = explanation_of(WEIGHTS)
        for arguments, words in (({"k": -1}, "k=-1"), ({"upsampling": "linear"}, "upsampling='linear'")):
            with pytest.raises(OptionError, match=words):
                explanation.plot(**arguments)
        with pytest.raises(TargetError):
            explanation.plot("dog")


class TestRows:
    def test_by_label_index_and_none(self, explanation_of: Build) -> None:
        explanation = explanation_of([WEIGHTS, WEIGHTS], targets=(2, 0))
        assert [explanation.row(target) for target in (None, "bird", 2, np.int64(2), "CAT", 0)] == [0, 0, 0, 0, 1, 1]

    def test_a_class_that_was_not_explained(self, explanation_of: Build) -> None:
        with pytest.raises(TargetError, match="class 'dog' was not explained, only 'bird', 'cat': name every class"):
            explanation_of([WEIGHTS, WEIGHTS], targets=(2, 0)).row("dog")

    @pytest.mark.parametrize(
        ("prediction", "ranks"), [((0.7, 0.2, 0.1), (1, 2, 3)), ((0.4, 0.4, 0.2), (2, 2, 3)), ((0, 0, 0), (3, 3, 3))]
    )
    def test_rank(self, explanation_of: Build, prediction: tuple[float, ...], ranks: tuple[int, ...]) -> None:
        explanation = explanation_of([WEIGHTS] * 3, targets=(0, 1, 2), prediction=prediction)
        assert tuple(explanation.rank(target) for target in range(3)) == ranks


class TestSpeaks:
    @pytest.mark.parametrize(
        ("weights", "error", "speaks"),
        [
            ([0.5, -0.1, 0.0, 0.0], 0.0, True),
            ([0.5, -0.1, 0.0, 0.0], 0.1, True),
            ([0.5, -0.1, 0.0, 0.0], 0.3, None),
            ([-0.5, -0.5, -0.5, -0.5], 0.1, False),
            ([-0.5, -0.5, -0.5, -0.2], 0.1, None),
            ([0.0, 0.0, 0.0, 0.0], 0.0, False),
            # 0.5 is 2.5 errors of 0.2, and a one-sided normal at 0.05 / 7 needs 2.45: three others, and four zeros.
            ([0.48, -0.5, -0.5, -0.5], 0.2, None),
            ([0.5, -0.5, -0.5, -0.5], 0.2, True),
            ([-0.48, -0.9, -0.9, -0.9], 0.2, None),
            ([-0.5, -0.9, -0.9, -0.9], 0.2, False),
            ([0.5, -0.1, 0.0, 0.0], [math.inf] * 4, None),
            # One that is known to speak is enough.
            ([0.5, -0.1, 0.0, 0.0], [0.01] + [math.inf] * 3, True),
            ([-0.5, -0.1, -0.2, 0.0], [0.01] + [math.inf] * 3, None),
        ],
    )
    def test_known(self, explanation_of: Build, weights: list[float], error: Any, speaks: bool | None) -> None:
        assert explanation_of(weights, error=error).speaks() is speaks

    @pytest.mark.parametrize(("weight", "speaks"), [(2e-6, True), (0.5e-6, None), (-0.5e-6, None), (-2e-6, False)])
    def test_rounding_speaks_for_nothing(self, explanation_of: Build, weight: float, speaks: bool | None) -> None:
        assert explanation_of([weight] + [-1.0] * 3, rounding=1e-6).speaks() is speaks

    def test_of_each_target(self, explanation_of: Build) -> None:
        explanation = explanation_of([[0.5, 0.1, 0.0, 0.0], [-0.5, -0.1, -1.0, -1.0]], targets=(0, 1))
        assert (explanation.speaks("cat"), explanation.speaks("dog"), explanation.speaks()) == (True, False, True)


class TestFindClass:
    NAMES = ("tabby", "Egyptian cat", "dog", "dog", "Dog")

    @pytest.mark.parametrize(("target", "index"), [("tabby", 0), ("egyptian CAT", 1), ("Dog", 4), (3, 3)])
    def test_known(self, target: Any, index: int) -> None:
        assert find_class(target, self.NAMES) == index

    @pytest.mark.parametrize(
        ("target", "words"),
        [
            ("cat", "no class 'cat' among its 5 classes; the nearest is 'Egyptian cat'"),
            ("qqqq", "no class 'qqqq' among its 5 classes."),
            ("dog", "2 classes are called 'dog'; use an index, one of [2, 3]"),
            ("DOG", "3 classes are called 'DOG'; use an index, one of [2, 3, 4]"),
            (5, "class 5 does not exist; the model has 5 classes, 0…4"),
            (-1, "class -1 does not exist"),
            (1.0, "must be a label, an index, or None"),
            (True, "must be a label, an index, or None"),
        ],
    )
    def test_errors(self, target: Any, words: str) -> None:
        with pytest.raises(TargetError) as caught:
            find_class(target, self.NAMES)
        assert words in str(caught.value)


class TestRegions:
    def test_shares_of_superpixels(self, explanation_of: Build) -> None:
        explanation = explanation_of(WEIGHTS)
        np.testing.assert_allclose(explanation.shares(Box(0, 0, 7, 5)), [1, 0.4, 0, 0, 0, 0, 0, 0], atol=EXACT)
        np.testing.assert_allclose(explanation.shares(whole()), 1, atol=EXACT)

    def test_a_region_in_what_the_crop_cuts_away(self, explanation_of: Build) -> None:
        explanation = explanation_of(WEIGHTS, file_size=(10, 40), box=(10, 0, 30, 10))
        np.testing.assert_array_equal(explanation.region_mask(Box(10, 0, 15, 5)), explanation.segments == 0)
        with pytest.raises(RegionError, match=r"holds no pixel of what the model sees .* x 10…30 and y 0…10 at 20×10"):
            explanation.region_mask(Box(0, 0, 10, 10))

    def test_no_region_at_all(self, explanation_of: Build) -> None:
        with pytest.raises(RegionError, match=r"\[0, 0, 5, 5\] is no region; pass Box"):
            explanation_of(WEIGHTS).mass([0, 0, 5, 5])  # type: ignore[arg-type]

    def test_a_mask_of_another_size(self, explanation_of: Build) -> None:
        with pytest.raises(RegionError, match="must have the size of the image file"):
            explanation_of(WEIGHTS).overlap(Mask(np.ones((5, 5))), k=1)


class TestForesee:
    def test_variances_fall_with_the_number_of_samples(self, explanation_of: Build) -> None:
        now = explanation_of(WEIGHTS, error=0.1)
        later = now.foresee(2).foresee(2)
        np.testing.assert_allclose(later.standard_errors, now.standard_errors / 2)
        np.testing.assert_array_equal(later.weights, now.weights)
        assert later.foreseen == 4

    @pytest.mark.parametrize("times", [0, -1, math.nan, math.inf, "x", None, True])
    def test_misuse(self, explanation_of: Build, times: Any) -> None:
        with pytest.raises(OptionError, match=r"foresee: times=.* must be a number"):
            explanation_of(WEIGHTS).foresee(times)


class TestMass:
    @pytest.mark.parametrize(
        ("region", "share"),
        [
            (LEFT, 0.8 / 0.95),
            (RIGHT, 0.15 / 0.95),
            (~LEFT, 0.15 / 0.95),
            (whole(), 1.0),
            (Box(0, 0, 5, 5), 0.5 / 0.95),
            (Box(0, 0, 2, 5), 0.2 / 0.95),
            (Box(5, 0, 10, 5), 0.0),
        ],
        ids=repr,
    )
    def test_known_shares(self, explanation_of: Build, region: Any, share: float) -> None:
        mass = explanation_of(WEIGHTS).mass(region)
        assert mass == pytest.approx(share, abs=EXACT)
        # Without sampling error there is nothing to be unsure of.
        assert mass.interval == pytest.approx((share, share), abs=EXACT)
        assert (mass.samples, mass.confidence) == (400, 0.95)
        assert mass.words == f"{share:.3g} of the weight that speaks for 'cat' lies in {region!r}"

    @settings(deadline=None, max_examples=80)
    @given(
        weights=st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=8, max_size=8),
        error=st.floats(0, 1, allow_subnormal=False),
    )
    @example(weights=[0.0] * 7 + [1.0], error=1e-155)
    @example(weights=[0.0] * 7 + [6e-249], error=1.0)
    @example(weights=[0.0] * 7 + [2.3e-308], error=1.0)
    def test_a_region_and_its_rest_share_everything(
        self, explanation_of: Build, weights: list[float], error: float
    ) -> None:
        explanation = explanation_of(weights, error=error)
        inside, outside = explanation.mass(LEFT), explanation.mass(~LEFT)
        if max(weights) > 0:
            assert inside + outside == pytest.approx(1, abs=1e-9)
            # What one may hold at most leaves the other the least.
            assert inside.interval[0] == pytest.approx(1 - outside.interval[1], abs=1e-9)
        for figure in (inside, outside):
            assert 0 <= figure.interval[0] <= figure + 1e-12
            assert figure - 1e-12 <= figure.interval[1] <= 1

    def test_more_error_is_a_wider_interval(self, explanation_of: Build) -> None:
        widths = [np.ptp(explanation_of(WEIGHTS, error=error).mass(LEFT).interval) for error in (0, 0.01, 0.03, 0.1)]
        assert widths == sorted(widths)
        assert widths[0] < widths[1] < widths[3]

    def test_small_errors_give_the_delta_method(self, explanation_of: Build) -> None:
        # Far from 0 no positive part is cut off: the ratio's own normal interval.
        explanation = explanation_of([2.0, 1.0, 3.0, 4.0], columns=2, error=0.01)
        mass = explanation.mass(Box(0, 0, 10, 5))
        gradient = (np.array([1, 1, 0, 0]) - 0.3) / 10
        half = 1.9599640 * 0.01 * np.sqrt((gradient**2).sum())
        assert mass == pytest.approx(0.3, abs=EXACT)
        # Of the second order Fieller's interval is another one.
        assert mass.interval == pytest.approx((0.3 - half, 0.3 + half), abs=1e-5)

    def test_noise_around_0_leans_to_the_area_and_the_interval_reaches_back(self, explanation_of: Build) -> None:
        # One true weight inside; outside seven that are noise only, all drawn positive.
        explanation = explanation_of([1.0] + [0.05] * 7, error=0.1)
        mass = explanation.mass(Box(0, 0, 5, 5))
        assert mass == pytest.approx(1 / 1.35, abs=EXACT)
        assert mass.interval[1] > 0.95

    @pytest.mark.parametrize("error", [0.0, 0.01, 0.1, math.inf])
    @pytest.mark.parametrize("region", [Box(0, 0, 10, 5), whole()], ids=repr)
    def test_a_share_of_nothing_is_undefined(self, explanation_of: Build, region: Any, error: float) -> None:
        mass = explanation_of([-0.1, -0.2, 0.0, -0.3], error=error).mass(region)
        assert float(mass) == 0
        assert mass.interval == (0, 1)

    @pytest.mark.parametrize(("weight", "known"), [(3e-6, False), (4e-6, False), (5e-6, True)])
    def test_a_share_of_rounding_is_undefined(self, explanation_of: Build, weight: float, known: bool) -> None:
        # Each of the four weights may be off by a millionth.
        mass = explanation_of([weight, -0.2, -0.1, -0.3], rounding=1e-6).mass(Box(0, 0, 5, 5))
        assert float(mass) == 1
        assert (mass.interval != (0, 1)) == known

    def test_rounding_widens_the_interval(self, explanation_of: Build) -> None:
        mass = explanation_of([2.0, 1.0, 3.0, 4.0], columns=2, rounding=0.01).mass(Box(0, 0, 10, 5))
        # Σ |∂/∂β| = (2 · 0.7 + 2 · 0.3) / 10.
        assert mass.interval == pytest.approx((0.3 - 0.002, 0.3 + 0.002), abs=EXACT)

    @pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
    def test_an_enumeration_of_scores_in_any_unit_is_exact(self, explanation_of: Build, scale: float) -> None:
        mass = explanation_of([2.0 * scale, scale, 3 * scale, 4 * scale], columns=2).mass(Box(0, 0, 10, 5))
        assert (mass, *mass.interval) == pytest.approx((0.3, 0.3, 0.3), abs=EXACT)

    def test_few_degrees_of_freedom_widen_the_interval(self, explanation_of: Build) -> None:
        near, far = (
            explanation_of([2.0, 1.0, 3.0, 4.0], columns=2, error=0.01, freedom=freedom).mass(Box(0, 0, 10, 5))
            for freedom in (5, math.inf)
        )
        # t over z at 95 %, from printed tables; the weights are many errors from 0.
        assert np.ptp(near.interval) / np.ptp(far.interval) == pytest.approx(2.570582 / 1.959964, rel=1e-4)

    def test_too_few_samples_say_nothing(self, explanation_of: Build) -> None:
        explanation = explanation_of(WEIGHTS, covariance=np.full((1, 8, 8), np.inf))
        assert explanation.mass(LEFT).interval == (0, 1)

    @pytest.mark.parametrize("scale", [1e-9, 1e6])
    def test_the_unit_of_scores_does_not_matter(self, explanation_of: Build, scale: float) -> None:
        plain = explanation_of(WEIGHTS, error=0.1).mass(LEFT)
        scaled = explanation_of([w * scale for w in WEIGHTS], error=0.1 * scale).mass(LEFT)
        assert (scaled, *scaled.interval) == pytest.approx((plain, *plain.interval), abs=1e-9)


class TestOverlap:
    @pytest.mark.parametrize(
        ("region", "k", "count"),
        [(LEFT, 1, 1), (LEFT, 2, 2), (LEFT, 3, 2), (RIGHT, 4, 2), (whole(), 8, 4), (Box(10, 0, 15, 3), 3, 1)],
        ids=repr,
    )
    def test_known_counts(self, explanation_of: Build, region: Any, k: int, count: int) -> None:
        overlap = explanation_of(WEIGHTS).overlap(region, k)
        assert float(overlap) == count
        assert overlap.interval == (float(count), float(count))
        assert overlap.words.startswith(f"{count} of the {k} superpixels")

    @pytest.mark.parametrize(("x1", "count"), [(2, 0), (3, 1), (4, 1)])
    def test_half_of_a_superpixel_counts_and_less_does_not(self, explanation_of: Build, x1: int, count: int) -> None:
        explanation = explanation_of([1.0, 0.5, 0.2, 0.1])
        explanation.segments[:, 5] = 0  # six columns wide, of which three are half
        assert float(explanation.overlap(Box(0, 0, x1, 5), k=1)) == count

    def test_ties_are_open(self, explanation_of: Build) -> None:
        # Rounding of the forward passes decides between equal weights, so neither is sure.
        for second in (0.5, 0.5 + 1e-6):
            explanation = explanation_of([0.5, second, 0.1, 0.1], rounding=1e-6)
            assert explanation.overlap(Box(0, 0, 5, 5), k=1).interval == (0, 1)
        surely = explanation_of([0.5, 0.5 - 3e-6, 0.1, 0.1], rounding=1e-6)
        assert surely.overlap(Box(0, 0, 5, 5), k=1).interval == (1, 1)

    @pytest.mark.parametrize(("error", "interval"), [(0.0, (0, 0)), (0.01, (0, 0)), (0.2, (0, 2)), (math.inf, (0, 2))])
    def test_what_speaks_against_the_class_is_not_counted(
        self, explanation_of: Build, error: float, interval: tuple[float, float]
    ) -> None:
        overlap = explanation_of([-0.1, -0.2, -0.3, -0.4], error=error).overlap(Box(0, 0, 10, 5), k=2)
        assert float(overlap) == 0
        assert overlap.interval == interval
        assert overlap.words.startswith("0 of the 2 superpixels")

    def test_weights_of_0_speak_for_nothing(self, explanation_of: Build) -> None:
        overlap = explanation_of([0.0] * 4).overlap(whole(), k=2)
        assert (float(overlap), overlap.interval) == (0, (0, 0))

    def test_superpixels_on_one_side_need_not_be_told_apart(self, explanation_of: Build) -> None:
        explanation = explanation_of([1.0, 1.01, 0.99, 0.0, 1.02, 0.98, 0.01, 0.0], error=0.01)
        overlap = explanation.overlap(Box(0, 0, 15, 10) & ~Box(10, 5, 15, 10), k=4)
        assert float(overlap) == 4
        assert overlap.interval == (4, 4)

    def test_too_few_samples_leave_everything_open(self, explanation_of: Build) -> None:
        explanation = explanation_of(WEIGHTS, covariance=np.full((1, 8, 8), np.inf))
        assert explanation.overlap(LEFT, k=3).interval == (0, 3)

    @pytest.mark.parametrize(("k", "words"), [(0, "at least 1"), (9, "more than the 8 superpixels"), ("4", "k='4'")])
    def test_errors(self, explanation_of: Build, k: Any, words: str) -> None:
        with pytest.raises(OptionError, match=words):
            explanation_of(WEIGHTS).overlap(LEFT, k)
