"""Explanations go into a file and come back as they were; other files are refused."""

import dataclasses
import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from pytest_lime import Explanation, LimeOptions, OptionError, RecordError
from pytest_lime.images import Image, View, load_image
from pytest_lime.storage import FACTS, VERSION, Unsaved, load, save

Build = Callable[..., Explanation]
WEIGHTS = [0.5, -0.2, 0.1, 0.0, 0.3, -0.4, 0.05, -0.01]


def assert_same(found: Any, wanted: Any) -> None:
    """Hold that two values are of one type and one content, arrays to the bit."""
    assert type(found) is type(wanted)
    if isinstance(wanted, np.ndarray):
        assert found.dtype == wanted.dtype
        assert found.shape == wanted.shape
        assert found.tobytes() == wanted.tobytes()
    elif dataclasses.is_dataclass(wanted):
        for field in dataclasses.fields(wanted):
            assert_same(getattr(found, field.name), getattr(wanted, field.name))
    elif isinstance(wanted, Mapping):
        assert list(found) == list(wanted)
        for name in wanted:
            assert_same(found[name], wanted[name])
    elif isinstance(wanted, list | tuple):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert_same(one, other)
    else:
        assert found == wanted


def there_and_back(explanation: Explanation, folder: Path) -> Explanation:
    path = folder / "one.npz"
    explanation.save(path)
    assert [file.name for file in folder.iterdir()] == ["one.npz"]
    return Explanation.load(path)


class TestRoundTrip:
    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"freedom": 5.0, "error": [np.inf] + [0.1] * 7},
            {"sampler": "exhaustive", "rounding": 1e-7},
            {"unchanged": [2], "file_size": (30, 60), "box": (-2.5, 1 / 3, 50.0, 29.0)},
            {"class_names": ("Katze <&>", "犬 \ud800", 'a "b"\n'), "signed": False},
        ],
    )
    def test_everything_comes_back(self, explanation_of: Build, tmp_path: Path, changes: dict[str, Any]) -> None:
        explanation = explanation_of(WEIGHTS, **changes)
        assert_same(there_and_back(explanation, tmp_path), explanation)

    def test_several_classes_opinions_and_what_is_not_known(self, explanation_of: Build, tmp_path: Path) -> None:
        explanation = dataclasses.replace(
            explanation_of([WEIGHTS, WEIGHTS[::-1]], targets=(2, 0)),
            opinions={"occlusion": np.random.default_rng(0).random((2, 8)), "../odd name": np.zeros((2, 8))},
            r2_heldout=np.array([np.nan, -np.inf]),
        )
        found = there_and_back(explanation, tmp_path)
        assert_same(found, explanation)
        assert found.top(2).tolist() == explanation.top(2).tolist()
        assert found.image.sha256 == explanation.image.sha256

    def test_a_contrast(self, explanation_of: Build, tmp_path: Path) -> None:
        explanation = explanation_of([WEIGHTS, WEIGHTS[::-1]], targets=(2, 0)).contrast("cat")
        found = there_and_back(explanation, tmp_path)
        assert found.minus == 0
        assert_same(found, explanation)

    @pytest.mark.parametrize(
        "options",
        [
            {"preset": "lime", "seed": 3, "alpha": 0.1},
            {"preset": "matlab", "segmenter": "grid"},
            {"segmenter": np.arange(12, dtype=np.int32).reshape(3, 4)},
            {"segmenter": np.array([[-5, 2**40]])},
            {"segmenter": np.eye(3, dtype=bool)},
            {"sampler": np.eye(8)},
            {"sampler": np.asfortranarray(np.eye(8, 5, dtype=np.int8))},
            {"fill": (1 / 3, 0, 1), "segmenter_parameters": {"sigma": (1, 2.5), "mask": np.ones((2, 2)), "none": None}},
            {"segmenter_parameters": {"nested": {1: [True, "a", np.float32(0.1).item()]}}},
        ],
        ids=", ".join,
    )
    def test_options(self, explanation_of: Build, tmp_path: Path, options: dict[str, Any]) -> None:
        explanation = dataclasses.replace(explanation_of(WEIGHTS), options=LimeOptions(**options))
        assert_same(there_and_back(explanation, tmp_path).options, explanation.options)

    def test_scalars_of_numpy_come_back_as_those_of_python(self, explanation_of: Build, tmp_path: Path) -> None:
        explanation = dataclasses.replace(
            explanation_of(WEIGHTS),
            targets=(np.int64(0),),  # type: ignore[arg-type]
            freedom=np.float64(7),
            labels=(np.str_("cat"),),
        )
        found = there_and_back(explanation, tmp_path)
        assert_same((found.targets, found.freedom, found.labels), ((0,), 7.0, ("cat",)))

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_pixels_that_came_from_whole_numbers_are_saved_as_such(self, tmp_path: Path, dtype: Any) -> None:
        levels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, (256, 257, 3)).astype(dtype)
        image = load_image(levels)
        save(image, tmp_path / "image")
        assert_same(load(Image, tmp_path / "image"), image)
        # Random levels cannot be compressed, and take no more than they are.
        assert (tmp_path / "image").stat().st_size < 1.01 * levels.nbytes + 2000

    @pytest.mark.parametrize("change", [np.float32(-0.0), np.float32(1e-9), np.float32(0.5)])
    def test_pixels_that_did_not_are_saved_to_the_bit(self, tmp_path: Path, change: np.float32) -> None:
        pixels = load_image(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).pixels.copy()
        pixels[0, 0, 0] = change
        save(Image(pixels, "x"), tmp_path / "image")
        assert_same(load(Image, tmp_path / "image").pixels, pixels)

    def test_views_are_whole(self, tmp_path: Path) -> None:
        view = View(size=(3, 4), box=(0.1, -2.0, 1e300, 4.0), shape=(224, 224))
        save(view, tmp_path / "view")
        assert load(View, tmp_path / "view") == view

    def test_equal_explanations_make_equal_files(self, explanation_of: Build, tmp_path: Path) -> None:
        for name in ("a", "b"):
            explanation_of(WEIGHTS).save(tmp_path / name)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    def test_numpy_reads_it_too(self, explanation_of: Build, tmp_path: Path) -> None:
        explanation_of(WEIGHTS).save(tmp_path / "one.npz")
        with np.load(tmp_path / "one.npz", allow_pickle=False) as archive:
            np.testing.assert_array_equal(archive["weights"], [WEIGHTS])
            assert archive["image.pixels"].shape == (10, 20, 3)


class TestUnsaved:
    @staticmethod
    def fill(pixels: NDArray[Any], segments: NDArray[Any]) -> NDArray[Any]:
        return np.zeros_like(pixels)

    def saved(self, explanation_of: Build, folder: Path) -> tuple[LimeOptions, LimeOptions]:
        options = LimeOptions(
            fill=self.fill,
            surrogate=Ridge(alpha=2.0),
            segmenter=lambda pixels: pixels[..., 0],
            kernel=np.exp,
            segmenter_parameters={"function": self.fill},
        )
        return options, there_and_back(dataclasses.replace(explanation_of(WEIGHTS), options=options), folder).options

    def test_functions_and_regressors_come_back_by_name(self, explanation_of: Build, tmp_path: Path) -> None:
        options, found = self.saved(explanation_of, tmp_path)
        assert found.as_json() == options.as_json()
        assert repr(found.fill) == "TestUnsaved.fill"
        assert repr(found.surrogate) == "Ridge(alpha=2.0)"
        assert repr(found.kernel) == "exp"

    def test_they_say_so_when_they_are_used(self, explanation_of: Build, tmp_path: Path) -> None:
        _, found = self.saved(explanation_of, tmp_path)
        words = "was not saved with the explanation, .* pass it again"
        with pytest.raises(OptionError, match=f"TestUnsaved.fill {words}"):
            found.fill(np.zeros((2, 2, 3)), np.zeros((2, 2)))
        with pytest.raises(OptionError, match=words):
            found.surrogate.fit(np.zeros((2, 2)), np.zeros(2), sample_weight=np.ones(2))
        with pytest.raises(OptionError, match=words):
            found.surrogate.predict(np.zeros((2, 2)))

    def test_they_are_saved_again_and_travel(self, explanation_of: Build, tmp_path: Path) -> None:
        first, second = (tmp_path / name for name in ("first", "second"))
        for folder in (first, second):
            folder.mkdir()
        _, found = self.saved(explanation_of, first)
        again = there_and_back(dataclasses.replace(explanation_of(WEIGHTS), options=found), second).options
        assert again.as_json() == found.as_json()
        assert repr(pickle.loads(pickle.dumps(Unsaved("f")))) == "f"

    def test_a_contrast_needs_the_regressor(self, explanation_of: Build, tmp_path: Path) -> None:
        explanation = dataclasses.replace(
            explanation_of([WEIGHTS, WEIGHTS], targets=(0, 1)), options=LimeOptions(surrogate=Ridge())
        )
        with pytest.raises(OptionError, match="was not saved"):
            there_and_back(explanation, tmp_path).contrast("dog")


def archive(path: Path, **members: str | bytes) -> Path:
    with zipfile.ZipFile(path, "w") as opened:
        for name, content in members.items():
            opened.writestr(name.replace("__", "."), content)
    return path


def facts(**changes: Any) -> str:
    return json.dumps({"format": "pytest-lime explanation", "version": VERSION, "fields": {}, **changes})


class Evil:
    """What runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("evil",)


class TestRefused:
    def refused(self, path: Path, words: str) -> None:
        with pytest.raises(RecordError, match=words) as caught:
            Explanation.load(path)
        assert repr(str(path)) in str(caught.value)

    def test_no_file(self, tmp_path: Path) -> None:
        self.refused(tmp_path / "none.npz", "does not exist")
        self.refused(tmp_path, "cannot be read")

    @pytest.mark.parametrize("content", [b"", b"P", b"hello", b"\x89PNG\r\n\x1a\n" + bytes(100), bytes(1000)])
    def test_a_file_of_another_kind(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "x.npz"
        path.write_bytes(content)
        self.refused(path, "is no saved explanation: give a file that Explanation.save wrote")

    def test_an_archive_of_another_kind(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "x.npz", weights=np.ones(3))
        self.refused(tmp_path / "x.npz", "is no saved explanation")
        for number, content in enumerate(("[]", "3", '{"format": "pytest-lime"}')):
            self.refused(archive(tmp_path / str(number), explanation__json=content), "is no saved explanation")

    @pytest.mark.parametrize("version", [2, 99, None, "1", True, 1.0])
    def test_another_version(self, tmp_path: Path, version: Any) -> None:
        path = archive(tmp_path / "x.npz", explanation__json=facts(version=version))
        self.refused(path, f"has version {version!r} and this pytest-lime reads {VERSION}: use the version that saved")

    @pytest.mark.parametrize(
        "content",
        [
            "{",
            facts(fields=3),
            facts(fields={"weights": {"array": ["none", "<f8"]}}),
            facts(fields={"weights": {"array": ["../x"]}}),
            facts(fields={"weights": {"pickle": "x"}}),
            facts(fields={"weights": {"a": 1, "b": 2}}),
            facts(fields={"weights": {"float": "abc"}}),
            facts(fields={"options": {"LimeOptions": {"sample": 3}}}),
            facts(fields={"weights": 3}),
            "[" * 100_000,
        ],
        ids=range(10),
    )
    def test_damaged_facts(self, tmp_path: Path, content: str) -> None:
        self.refused(archive(tmp_path / "x.npz", explanation__json=content), "is damaged .*: copy it anew, or explain")

    def test_cut_off_or_overwritten(self, explanation_of: Build, tmp_path: Path) -> None:
        path = tmp_path / "x.npz"
        explanation_of(WEIGHTS).save(path)
        whole = path.read_bytes()
        for length in (10, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:length])
            self.refused(path, "is damaged")
        refused = 0
        for place in range(40, len(whole), 97):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
            try:
                # A byte that no reader asks for, such as a time, may differ.
                assert_same(Explanation.load(path), explanation_of(WEIGHTS))
            except RecordError:
                refused += 1
        assert refused > 20

    def test_a_pickle_inside_is_not_run(
        self, explanation_of: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        buffer = io.BytesIO()
        np.save(buffer, np.array([Evil()], dtype=object), allow_pickle=True)
        content = facts(fields={"weights": {"array": ["weights", "|O"]}})
        path = archive(tmp_path / "x.npz", explanation__json=content, weights__npy=buffer.getvalue())
        self.refused(path, "is damaged .*allow_pickle=False")
        path.write_bytes(pickle.dumps(Evil()))
        self.refused(path, "is no saved explanation")
        assert not (tmp_path / "evil").exists()

    def test_fields_that_are_missing_or_unknown(self, explanation_of: Build, tmp_path: Path) -> None:
        explanation_of(WEIGHTS).save(tmp_path / "x.npz")
        with zipfile.ZipFile(tmp_path / "x.npz") as opened:
            members = {name: opened.read(name) for name in opened.namelist()}
        whole = json.loads(members[FACTS])
        for change in ({"fields": {**whole["fields"], "more": 1}}, {"fields": {"weights": whole["fields"]["weights"]}}):
            changed: dict[str, str | bytes] = {**members, FACTS: json.dumps({**whole, **change})}
            with zipfile.ZipFile(tmp_path / "y.npz", "w") as opened:
                for name, content in changed.items():
                    opened.writestr(name, content)
            self.refused(tmp_path / "y.npz", "is damaged")

    def test_a_value_that_cannot_be_null(self, explanation_of: Build, tmp_path: Path) -> None:
        save(explanation_of(WEIGHTS), tmp_path / "x.npz")
        with zipfile.ZipFile(tmp_path / "x.npz") as opened:
            members = {name: opened.read(name) for name in opened.namelist()}
        for name in ("image", "view", "options", "weights", "labels", "freedom", "paired", "device", "opinions"):
            facts = json.loads(members[FACTS])
            facts["fields"][name] = None
            with zipfile.ZipFile(tmp_path / "y.npz", "w") as opened:
                for member, content in {**members, FACTS: json.dumps(facts).encode()}.items():
                    opened.writestr(member, content)
            self.refused(tmp_path / "y.npz", rf"is damaged \({name} is None and must be .*\): copy it anew, or explain")

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"segments": np.full((10, 20), -1)}, "segments is .* and must hold all numbers 0…d−1"),
            ({"segments": np.arange(200).reshape(10, 20)}, "segments is .* and must hold all numbers 0…d−1"),
            ({"segments": np.zeros((10, 20), dtype=np.int64)}, "segments is .* and must hold all numbers 0…d−1"),
            (
                {"segments": np.zeros((10, 19), dtype=np.int64)},
                r"segments has shape \(10, 19\) and must be of shape 10×20",
            ),
            ({"segments": np.zeros((10, 20))}, r"segments is .* and must be NDArray\[np.int64\]"),
            ({"weights": np.zeros(0)}, r"weights has shape \(0,\) and must be of shape 1×8"),
            ({"weights": np.zeros((2, 8))}, r"weights has shape \(2, 8\) and must be of shape 1×8"),
            ({"weights": np.full((1, 8), np.nan)}, "weights is .* and must be finite"),
            ({"covariance": np.zeros((1, 8, 7))}, r"covariance has shape \(1, 8, 7\) and must be of shape 1×8×8"),
            ({"covariance": np.full((1, 8, 8), np.nan)}, "covariance is .* and must not be NaN"),
            ({"freedom": np.nan}, "freedom is nan and must be above 0"),
            ({"intercept": np.zeros(3)}, r"intercept has shape \(3,\) and must be of shape 1"),
            ({"pixels": np.zeros(0, dtype=np.float32)}, r"pixels has shape \(0,\) and must be of shape C×H×W"),
            (
                {"pixels": np.zeros((3, 10, 19), dtype=np.float32)},
                r"shape has shape \(10, 20\) and must be of shape 10×19",
            ),
            ({"image": Image(np.zeros((10, 20), dtype=np.float32), "x")}, r"pixels .* must be of shape h×w×3"),
            ({"image": Image(np.zeros((9, 20, 3), dtype=np.float32), "x")}, r"size has .* and must be of shape 9×20"),
            ({"view": View((10, 20), (0.0, 0.0, np.nan, 10.0), (10, 20))}, "box is .* and must be finite"),
            ({"view": View((10, 20), (5.0, 0.0, 5.0, 10.0), (10, 20))}, "box is .* and must have x0 < x1"),
            ({"targets": (3,)}, r"targets is \(3,\) and must be in class_names"),
            ({"targets": (-1,)}, r"targets is \(-1,\) and must be in class_names"),
            ({"targets": (True,)}, r"targets is \(True,\) and must be tuple\[int, \.\.\.\]"),
            ({"targets": (0, 1)}, r"labels has shape \(1,\) and must be of shape 2"),
            ({"minus": 3}, "minus is 3 and must be in class_names"),
            ({"prediction": np.zeros(2)}, r"class_names has shape \(3,\) and must be of shape 2"),
            ({"prediction": np.full(3, np.nan)}, "prediction is .* and must be finite"),
            ({"masks": np.full((400, 8), 2, dtype=np.uint8)}, "masks is .* and must be 0 or 1"),
            ({"sample_scores": np.zeros((399, 1))}, r"sample_scores has shape \(399, 1\) and must be of shape 400×1"),
            ({"sample_scores": np.full((400, 1), np.nan)}, "sample_scores is .* and must be finite"),
            ({"sample_weights": np.zeros(400)}, "sample_weights is .* and must be at least 0 and not all 0"),
            ({"opinions": {"occlusion": np.zeros((1, 7))}}, r"opinions has shape \(1, 7\) and must be of shape 1×8"),
            ({"opinions": {"occlusion": None}}, "opinions is .* and must be Mapping"),
        ],
    )
    def test_content_that_cannot_be(
        self, explanation_of: Build, tmp_path: Path, changes: dict[str, Any], words: str
    ) -> None:
        save(dataclasses.replace(explanation_of(WEIGHTS), **changes), tmp_path / "x.npz")
        self.refused(tmp_path / "x.npz", rf"is damaged \({words}.*\): copy it anew, or explain the image again")

    def test_what_may_be_infinite_or_unknown(self, explanation_of: Build, tmp_path: Path) -> None:
        unknown: dict[str, Any] = {name: np.array([np.nan]) for name in ("r2", "r2_heldout", "local_pred", "intercept")}
        explanation = dataclasses.replace(
            explanation_of(WEIGHTS), covariance=np.full((1, 8, 8), np.inf), freedom=np.inf, **unknown
        )
        assert_same(there_and_back(explanation, tmp_path), explanation)

    @pytest.mark.parametrize("path", [None, 3, b"x.npz", [], "a\0b", "\ud800.npz"], ids=ascii)
    def test_what_is_no_path(
        self, explanation_of: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: Any
    ) -> None:
        monkeypatch.chdir(tmp_path)
        for step in (explanation_of(WEIGHTS).save, Explanation.load):
            with pytest.raises(OptionError, match=r"path=.* must be the name of a file, .*: give one such as"):
                step(path)
        assert list(tmp_path.iterdir()) == []


class TestWriting:
    def test_the_name_is_used_as_it_is(self, explanation_of: Build, tmp_path: Path) -> None:
        explanation_of(WEIGHTS).save(str(tmp_path / "cat"))
        assert [file.name for file in tmp_path.iterdir()] == ["cat"]

    def test_no_folder(self, explanation_of: Build, tmp_path: Path) -> None:
        with pytest.raises(RecordError, match=r"there is no folder .*; make it first"):
            explanation_of(WEIGHTS).save(tmp_path / "none" / "cat.npz")
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_of_that_name(self, explanation_of: Build, tmp_path: Path) -> None:
        (tmp_path / "cat.npz").mkdir()
        with pytest.raises(RecordError, match=r"cannot be written .*: give the name of a file"):
            explanation_of(WEIGHTS).save(tmp_path / "cat.npz")
        assert [file.name for file in tmp_path.iterdir()] == ["cat.npz"]

    def test_a_pipe_stays_one(self, explanation_of: Build, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(RecordError, match=r"cannot be written \(Not a regular file\): give the name of a file"):
            explanation_of(WEIGHTS).save(tmp_path / "pipe")
        assert (tmp_path / "pipe").is_fifo()

    @pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
    def test_what_fails_leaves_the_old_file(
        self, explanation_of: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
    ) -> None:
        path = tmp_path / "cat.npz"
        explanation_of(WEIGHTS).save(path)
        before = path.read_bytes()

        def fail(self: Path, target: Path) -> None:
            raise error

        monkeypatch.setattr(Path, "replace", fail)
        with pytest.raises((RecordError, KeyboardInterrupt)):
            explanation_of(WEIGHTS[::-1]).save(path)
        assert path.read_bytes() == before
        assert [file.name for file in tmp_path.iterdir()] == ["cat.npz"]
