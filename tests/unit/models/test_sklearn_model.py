"""Estimators of scikit-learn, trained on its digits."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC

from pytest_lime import Explanation, ModelError, OptionError, explain
from pytest_lime.images import View, load_image
from pytest_lime.models import SklearnModel

DIGITS, TARGETS = load_digits(return_X_y=True)
DIGITS, TARGETS = DIGITS[:600], TARGETS[:600]
EIGHT: dict[str, Any] = {"size": 8, "scale": 16}


@pytest.fixture(scope="session")
def digits() -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)).fit(DIGITS, TARGETS)


def picture(number: int) -> NDArray[np.uint8]:
    """A digit as a picture of eight bits."""
    return np.asarray(DIGITS[number].reshape(8, 8) * (255 / 16)).round().astype(np.uint8)


def columns_and_rows(images: NDArray[Any]) -> NDArray[Any]:
    """Return the mean of each column and each row of N×H×W×C images."""
    return np.concatenate([images.mean(axis=(1, 3)), images.mean(axis=(2, 3))], axis=1)


class Remembering:
    """Has `predict_proba`, and nothing else of scikit-learn."""

    def __init__(self, returned: Any = None) -> None:
        self.returned = returned
        self.seen: list[NDArray[Any]] = []

    def predict_proba(self, rows: NDArray[Any]) -> Any:
        self.seen.append(rows)
        return np.full((len(rows), 2), 0.5) if self.returned is None else self.returned


class TestWhatTheEstimatorGets:
    def test_pixels_in_the_order_of_the_training_data(self, digits: Pipeline) -> None:
        model = SklearnModel(digits, **EIGHT)
        batch = torch.from_numpy(np.stack([model.prepare(load_image(picture(number))) for number in range(40)]))
        # 8-bit pictures hold the 17 levels to a hundredth of one.
        np.testing.assert_allclose(model.predict(batch), digits.predict_proba(DIGITS[:40]), atol=0.02)
        assert model.channels == 1

    def test_colours_come_pixel_by_pixel(self) -> None:
        estimator = Remembering()
        batch = torch.rand(4, 3, 2, 5)
        SklearnModel(estimator, size=(2, 5), scale=255).predict(batch)
        (rows,) = estimator.seen
        assert rows.shape == (4, 30)
        assert rows.dtype == np.float64
        np.testing.assert_allclose(rows, batch.permute(0, 2, 3, 1).reshape(4, 30).numpy() * 255.0, rtol=1e-6)

    @pytest.mark.parametrize("channels", [1, 3])
    def test_features(self, channels: int) -> None:
        estimator, seen = Remembering(), []

        def features(images: NDArray[Any]) -> NDArray[Any]:
            seen.append(images)
            return columns_and_rows(images)

        batch = torch.rand(4, channels, 2, 5)
        SklearnModel(estimator, size=(2, 5), channels=channels, scale=2, features=features).predict(batch)
        assert seen[0].shape == (4, 2, 5, channels)
        np.testing.assert_allclose(seen[0], batch.permute(0, 2, 3, 1).numpy() * 2.0, rtol=1e-6)
        np.testing.assert_array_equal(estimator.seen[0], columns_and_rows(seen[0]))

    def test_size_and_crop(self, digits: Pipeline) -> None:
        model = SklearnModel(digits, resize=10, **EIGHT)
        view, measured = model.view((30, 40)), View.measure(model.prepare, (30, 40))
        assert view.shape == measured.shape == model.input_size == (8, 8)
        np.testing.assert_allclose(view.box, measured.box, atol=0.5)

    def test_an_estimator_of_a_data_frame_does_not_warn(self, digits: Pipeline) -> None:
        estimator = LogisticRegression(max_iter=2000).fit(DIGITS / 16, TARGETS)
        estimator.feature_names_in_ = np.array([f"pixel{number}" for number in range(64)], dtype=object)
        with pytest.warns(UserWarning, match="X does not have valid feature names"):
            estimator.predict_proba(DIGITS[:1])
        # Warnings are errors here.
        assert SklearnModel(estimator, size=8).predict(torch.rand(2, 1, 8, 8)).shape == (2, 10)


class TestWhatTheEstimatorReturns:
    @pytest.mark.parametrize(
        ("returned", "words"),
        [
            ([np.full((3, 2), 0.5)] * 2, "must return N×classes probabilities of one output"),
            (np.full(3, 0.5), "N×classes"),
            (np.full((2, 2), 0.5), "for 3 images"),
            ([["a", "b"]] * 3, "returned [['a', 'b'], ['a', 'b'], ['a', 'b']]"),
            (np.full((3, 2), 0.5 + 0j), "must return N×classes probabilities of one output"),
            (torch.full((3, 2), 0.5, requires_grad=True), "must return N×classes probabilities of one output"),
            ([[0.5, 0.5], [1.5, -0.5], [0.5, 0.5]], "returned values from -0.5 to 1.5; probabilities lie in [0, 1]"),
            (np.full((3, 2), 0.7), "returned rows that sum to 1.4; probabilities sum to 1: explain scores of another"),
        ],
    )
    def test_errors(self, returned: Any, words: str) -> None:
        with pytest.raises(ModelError) as caught:
            SklearnModel(Remembering(returned), size=4).predict(torch.rand(3, 3, 4, 4))
        assert words in str(caught.value)

    @pytest.mark.parametrize(
        ("features", "words"),
        [
            (
                lambda images: images,
                "features returned an array of shape (3, 8, 8, 1) for 3 images; it must return 3×16",
            ),
            (lambda images: [[1.0], [1.0, 2.0], []], "features returned [[1.0], [1.0, 2.0], []] for 3 images; it must"),
            (lambda images: columns_and_rows(images)[:2], "shape (2, 16) for 3 images"),
            (
                lambda images: columns_and_rows(images)[:, :9],
                "shape (3, 9) for 3 images; it must return 3×16, what Log",
            ),
        ],
    )
    def test_wrong_features(self, features: Any, words: str) -> None:
        estimator = LogisticRegression(max_iter=500).fit(columns_and_rows(DIGITS.reshape(-1, 8, 8, 1) / 16), TARGETS)
        with pytest.raises(ModelError) as caught:
            SklearnModel(estimator, size=8, channels=1, features=features).predict(torch.rand(3, 1, 8, 8))
        assert words in str(caught.value)


class TestSameExplanation:
    def test_pixels(self, digits: Pipeline, same_explanation: Callable[..., Explanation]) -> None:
        def classify(images: NDArray[Any]) -> Any:
            # The picture is gray: three equal channels.
            return digits.predict_proba(images[..., 0].reshape(len(images), -1) * 16)

        for number in (0, 3):
            explanation = same_explanation(
                SklearnModel(digits, **EIGHT), classify, picture(number), str(TARGETS[number])
            )
            assert explanation.class_names == tuple("0123456789")
            assert explanation.prediction.argmax() == TARGETS[number]

    @pytest.mark.parametrize(
        "estimator",
        [
            RandomForestClassifier(20, random_state=0),
            CalibratedClassifierCV(make_pipeline(StandardScaler(), LinearSVC(random_state=0)), cv=2),
        ],
    )
    def test_features(self, estimator: Any, same_explanation: Callable[..., Explanation]) -> None:
        estimator.fit(columns_and_rows(DIGITS.reshape(-1, 8, 8, 1)), TARGETS)

        def classify(images: NDArray[Any]) -> Any:
            return estimator.predict_proba(columns_and_rows(images[..., :1] * 16))

        model = SklearnModel(estimator, channels=1, features=columns_and_rows, **EIGHT)
        same_explanation(model, classify, picture(0))

    def test_photographs(self, photo: NDArray[np.uint8], same_explanation: Callable[..., Explanation]) -> None:
        rows = np.random.default_rng(0).random((80, 6 * 9 * 3))
        estimator = make_pipeline(FunctionTransformer(), LogisticRegression(C=5000, max_iter=1000)).fit(
            rows, rows[:, :80].mean(axis=1) > 0.5
        )
        model = SklearnModel(estimator, size=(6, 9))
        assert (model.channels, model.labels) == (3, ("False", "True"))
        same_explanation(model, lambda images: estimator.predict_proba(images.reshape(len(images), -1)), photo)

    def test_the_ink_of_a_one_speaks_for_it(self, digits: Pipeline) -> None:
        number = int(np.flatnonzero(TARGETS == 1)[0])
        explanation = explain(
            SklearnModel(digits, **EIGHT),
            picture(number),
            "1",
            segmenter="grid",
            segments=16,
            samples=500,
            fill="black",
        )
        ink = np.bincount(explanation.segments.ravel(), weights=picture(number).ravel() / 255.0)
        assert np.corrcoef(ink, explanation.weights[0])[0, 1] > 0.3


class TestArguments:
    def test_defaults(self, digits: Pipeline) -> None:
        model = SklearnModel(digits, **EIGHT)
        assert (model.device, model.input_size, model.labels) == ("cpu", (8, 8), tuple("0123456789"))
        assert repr(model) == "SklearnModel(Pipeline, size=(8, 8))"
        assert SklearnModel(digits, labels=[*"abcdefghij"], **EIGHT).labels == tuple("abcdefghij")
        assert SklearnModel(Remembering(), size=3).labels is None

    @pytest.mark.parametrize(
        ("estimator", "options", "words"),
        [
            (LogisticRegression, {}, "is a class; pass a fitted instance of it"),
            (LogisticRegression(), {}, "SklearnModel: LogisticRegression is not fitted; call its fit first"),
            (make_pipeline(StandardScaler(), LogisticRegression()), {}, "Pipeline is not fitted"),
            (
                LinearSVC().fit(DIGITS[:50] / 16, TARGETS[:50]),
                {},
                "LinearSVC has no predict_proba; fit a classifier that",
            ),
            (Ridge().fit(DIGITS, TARGETS), {}, "Ridge has no predict_proba"),
            (len, {}, "<built-in function len> has no predict_proba"),
            (None, {}, "None has no predict_proba"),
            (Remembering(), {"size": 0}, "size=0"),
            (Remembering(), {"scale": -1}, "scale=-1"),
            (Remembering(), {"channels": True}, "channels=True must be 1, gray images, or 3, RGB images"),
            (Remembering(), {"channels": 2}, "channels=2 must be 1, gray images, or 3, RGB images"),
            (Remembering(), {"features": 3}, "features=3 must be a function"),
            (Remembering(), {"labels": []}, "labels=[]"),
            (Remembering(), {"interpolation": "linear"}, "the nearest is 'bilinear'"),
            (Remembering(), {"resize": 2}, "resize=2"),
        ],
    )
    def test_errors(self, estimator: Any, options: dict[str, Any], words: str) -> None:
        with pytest.raises(OptionError) as caught:
            SklearnModel(estimator, **{"size": 8, **options})
        assert words in str(caught.value)

    @pytest.mark.parametrize("options", [{"size": 28}, {"size": 8, "channels": 3}])
    def test_another_number_of_features(self, options: dict[str, Any], digits: Pipeline) -> None:
        with pytest.raises(OptionError, match=r"was fitted on 64 features, and size=.* makes (2352|192): say the size"):
            SklearnModel(digits, **options)

    def test_several_labels_an_image_are_no_probabilities(self) -> None:
        several = np.stack([TARGETS % 2 == 0, TARGETS > 4, TARGETS < 9], axis=1)
        estimator = OneVsRestClassifier(LogisticRegression(max_iter=500)).fit(DIGITS / 16, several)
        with pytest.raises(ModelError, match="OneVsRestClassifier returned rows that sum to"):
            SklearnModel(estimator, size=8).predict(torch.rand(3, 1, 8, 8))
