"""Scenes: what is known of an image before the model sees it, and superpixels that are found once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pytest_lime import Box, ImageError, TorchModel
from pytest_lime import scenes as module
from pytest_lime.cache import Cache
from pytest_lime.errors import CacheWarning
from pytest_lime.options import LimeOptions
from pytest_lime.scenes import Scene, look_at
from pytest_lime.segmentation import segment
from pytest_lime.testing import FakeModel

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
LEFT = Box(0, 0, 24, 40)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def segmented(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Each call of the segmentation, by its segmenter."""
    calls: list[Any] = []
    original = segment

    def counted(*arguments: Any, **options: Any) -> NDArray[np.int64]:
        calls.append(options["segmenter"])
        return original(*arguments, **options)

    monkeypatch.setattr(module, "segment", counted)
    return calls


def scene_of(cache: Cache | None = None, image: Any = IMAGE, regions: tuple[Box, ...] = (), **options: Any) -> Scene:
    return look_at(FakeModel(), image, LimeOptions(**{"segments": 12, **options}), regions=regions, cache=cache)


def assert_same(first: Scene, second: Scene) -> None:
    for name in ("pixels", "segments", "filled", "unchanged"):
        one, other = getattr(first, name), getattr(second, name)
        assert one.dtype == other.dtype, name
        np.testing.assert_array_equal(one, other, err_msg=name)


def test_what_is_known_before_the_model_sees_anything() -> None:
    scene = scene_of(segmenter="grid")
    assert scene.image.size == (40, 48)
    assert scene.pixels.shape == scene.filled.shape == (3, 32, 32)
    assert scene.pixels.dtype == scene.filled.dtype == np.float32
    assert scene.segments.shape == (32, 32)
    assert scene.segments.dtype == np.int64
    assert scene.superpixels == len(scene.unchanged) == scene.segments.max() + 1
    assert not scene.unchanged.any()


def test_superpixels_that_look_the_same_hidden_are_told() -> None:
    image = IMAGE.copy()
    image[:, :24] = 128
    scene = scene_of(image=image, segmenter="grid")
    # The first of four columns of cells; the resize blurs the border into the second.
    assert np.flatnonzero(scene.unchanged).tolist() == [0, 4, 8]


class TestCachedSuperpixels:
    @pytest.mark.parametrize("segmenter", ["slic", "quickshift", "felzenszwalb", "watershed", "grid"])
    def test_the_same_scene_bit_for_bit(self, segmenter: str, cache: Cache, segmented: list[Any]) -> None:
        first = scene_of(cache, segmenter=segmenter, regions=(LEFT,))
        second = scene_of(cache, segmenter=segmenter, regions=(LEFT,))
        assert segmented == [segmenter]
        assert_same(first, second)
        assert_same(first, scene_of(None, segmenter=segmenter, regions=(LEFT,)))

    def test_by_content_and_not_by_name(self, cache: Cache, segmented: list[Any], tmp_path: Path) -> None:
        from PIL import Image  # noqa: PLC0415  (of one test)

        for name in ("first.png", "second.png"):
            Image.fromarray(IMAGE).save(tmp_path / name)
            scene_of(cache, tmp_path / name)
        scene_of(cache, IMAGE.copy())
        assert len(segmented) == 1
        # The same name, with another picture.
        Image.fromarray(255 - IMAGE).save(tmp_path / "first.png")
        inverted = scene_of(cache, tmp_path / "first.png")
        assert len(segmented) == 2
        assert_same(inverted, scene_of(None, 255 - IMAGE))

    @pytest.mark.parametrize(
        "options",
        [
            {"segmenter": "grid"},
            {"segments": 20},
            {"segmenter_parameters": {"compactness": 20}},
            {"segmenter_parameters": {"sigma": 1}},
            {"seed": 1},
            {"regions": (LEFT,)},
            {"regions": (Box(0, 0, 30, 40),)},
            {"regions": (LEFT, Box(0, 0, 30, 20))},
        ],
        ids=str,
    )
    def test_whatever_they_depend_on_is_another_entry(
        self, options: dict[str, Any], cache: Cache, segmented: list[Any]
    ) -> None:
        scene_of(cache)
        other = scene_of(cache, **options)
        assert len(segmented) == 2
        assert_same(other, scene_of(None, **options))
        del segmented[:]
        scene_of(cache)
        scene_of(cache, **options)
        assert segmented == []

    @pytest.mark.parametrize(
        "options",
        [
            {"fill": "black"},
            {"samples": 77},
            {"kernel_width": 0.5},
            # Without alignment a region changes nothing.
            {"regions": (LEFT,), "align_to_regions": False},
        ],
        ids=str,
    )
    def test_whatever_they_do_not_depend_on_is_not(
        self, options: dict[str, Any], cache: Cache, segmented: list[Any]
    ) -> None:
        scene_of(cache)
        other = scene_of(cache, **options)
        assert len(segmented) == 1
        assert_same(other, scene_of(None, **options))

    def test_the_model_counts_only_by_what_it_sees(self, cache: Cache, segmented: list[Any]) -> None:
        import torch  # noqa: PLC0415  (of one test)

        options = LimeOptions(segments=12)
        net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3072, 2))
        for size in (32, (32, 32), 24):
            for mean in (None, (0.5, 0.4, 0.3)):
                model = TorchModel(net, size=size, **({} if mean is None else {"mean": mean}))  # type: ignore[arg-type]
                look_at(model, IMAGE, options, cache=cache)
        assert len(segmented) == 2

    def test_a_function_is_asked_each_time(self, cache: Cache) -> None:
        calls = []

        def halves(pixels: NDArray[np.float32]) -> NDArray[np.int64]:
            calls.append(pixels.shape)
            return np.arange(pixels.shape[1])[None, :].repeat(pixels.shape[0], 0) // 8 % (len(calls) + 2)

        first, second = (scene_of(cache, segmenter=halves) for _ in range(2))
        assert calls == [(32, 32, 3)] * 2
        assert (first.segments != second.segments).any()
        assert not (cache.folder / "superpixels").exists()

    def test_a_label_map_is_what_it_is(self, cache: Cache) -> None:
        labels = np.arange(1024).reshape(32, 32) // 128
        for given in (labels, labels[::-1].copy(), labels):
            scene = scene_of(cache, segmenter=given)
            assert_same(scene, scene_of(None, segmenter=given))

    def test_more_superpixels_than_a_byte_counts(self, cache: Cache) -> None:
        labels = np.arange(1024).reshape(32, 32) // 2
        first, second = (scene_of(cache, segmenter=labels) for _ in range(2))
        np.testing.assert_array_equal(second.segments, labels)
        assert_same(first, second)

    def test_a_failure_stores_nothing(self, cache: Cache) -> None:
        with pytest.raises(ImageError):
            scene_of(cache, "no such cat.png")
        assert not cache.folder.exists()


CELLS = (np.arange(1024) // 128).reshape(32, 32)
WRONG: dict[str, dict[str, Any]] = {
    "nothing": {},
    "another name": {"labels": CELLS.astype(np.uint16)},
    "another shape": {"segments": CELLS[:16].astype(np.uint16)},
    "one axis": {"segments": CELLS.ravel().astype(np.uint16)},
    "another type": {"segments": CELLS},
    "no numbers": {"segments": np.full((32, 32), np.nan)},
    "a gap": {"segments": (CELLS + (CELLS > 3)).astype(np.uint16)},
    "a first one that is missing": {"segments": (CELLS + 1).astype(np.uint16)},
}


@pytest.mark.parametrize("kind", WRONG)
def test_an_entry_of_other_contents_is_made_anew(kind: str, cache: Cache, segmented: list[Any]) -> None:
    expected = scene_of(cache)
    (path,) = (cache.folder / "superpixels").iterdir()
    cache.put("superpixels", path.stem, {}, WRONG[kind])
    with pytest.warns(CacheWarning, match="holds no superpixels as pytest-lime stores them; they are made anew"):
        found = scene_of(cache)
    assert_same(found, expected)
    assert len(segmented) == 2
    assert_same(scene_of(cache), expected)
    assert len(segmented) == 2
