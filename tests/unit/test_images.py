"""Images of every kind in one form, and which part of them a model sees."""

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image as PILImage

from pytest_lime import Box, Ellipse, ImageError, ModelError, TorchModel
from pytest_lime.images import Image, View, load_image, resize_pixels

Floats = NDArray[np.float32]
RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
GRAY = RGB[:, :, 0]
# float32 holds a 256th, a 65536th and their quotients to about 1e-7.
EXACT = 1e-6


def unit(array: NDArray[Any], most: float = 255) -> NDArray[np.float64]:
    """Gray or colour as H×W×3 in [0, 1]."""
    colour = array[:, :, None] if array.ndim == 2 else array
    return np.broadcast_to(colour, (*colour.shape[:2], 3)).astype(np.float64) / most


def over_white(colour: NDArray[Any], alpha: NDArray[Any]) -> NDArray[np.float64]:
    share = alpha[:, :, None] / 255
    return unit(colour) * share + (1 - share)


ALPHA = RNG.integers(0, 256, (5, 7), dtype=np.uint8)


class TestArraysAndTensors:
    @pytest.mark.parametrize(
        ("array", "expected"),
        [
            (RGB, unit(RGB)),
            (GRAY, unit(GRAY)),
            (GRAY[:, :, None], unit(GRAY)),
            (np.dstack([RGB, ALPHA]), over_white(RGB, ALPHA)),
            (GRAY > 100, unit(GRAY > 100, 1)),
            (RGB.astype(np.uint16) * 257, unit(RGB)),
            (RGB.astype(np.uint16), unit(RGB, 65535)),
            ((RGB / 255).astype(np.float64), unit(RGB)),
            ((RGB / 255).astype(np.float32), unit(RGB)),
            (RGB[::-1, ::2], unit(RGB)[::-1, ::2]),
            (np.full((2, 2), 1 + 1e-6), np.ones((2, 2, 3))),
        ],
        ids=["rgb", "gray", "gray1", "rgba", "bool", "u16", "dim u16", "f64", "f32", "strided", "overshoot"],
    )
    def test_arrays(self, array: NDArray[Any], expected: NDArray[Any]) -> None:
        image = load_image(array)
        assert image.name == "array"
        assert image.size == expected.shape[:2]
        assert image.pixels.dtype == np.float32
        assert image.pixels.flags.c_contiguous
        np.testing.assert_allclose(image.pixels, expected, atol=EXACT)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
    def test_float_tensors(self, dtype: torch.dtype) -> None:
        tensor = torch.from_numpy(np.moveaxis(RGB // 64 / 4, -1, 0).copy()).to(dtype)  # quarters: exact in any dtype
        image = load_image(tensor)
        assert image.name == "tensor"
        np.testing.assert_allclose(image.pixels, RGB // 64 / 4, atol=EXACT)

    @pytest.mark.parametrize("channels", [1, 3, 4])
    def test_byte_tensors(self, channels: int) -> None:
        array = np.dstack([RGB, ALPHA])[:, :, :channels]
        expected = over_white(RGB, ALPHA) if channels == 4 else unit(array)
        image = load_image(torch.from_numpy(np.moveaxis(array, -1, 0).copy()))
        np.testing.assert_allclose(image.pixels, expected, atol=EXACT)

    def test_a_tensor_that_is_being_trained_is_taken_too(self) -> None:
        assert load_image(torch.zeros(3, 2, 2, requires_grad=True)).pixels.max() == 0

    def test_an_image_is_itself(self) -> None:
        image = load_image(RGB)
        assert load_image(image) is image

    @pytest.mark.parametrize(
        ("source", "words"),
        [
            (None, "None is no image; pass a path"),
            ([[0, 1]], "is no image"),
            (np.zeros(3), "must be H×W or H×W×C"),
            (np.zeros((2, 2, 2)), "must be H×W or H×W×C"),
            (np.zeros((3, 8, 9)), "looks like C×H×W: use np.moveaxis"),
            (np.zeros((0, 3)), "has no pixels"),
            (np.zeros((2, 2), dtype=np.int64), "has dtype int64"),
            (np.zeros((2, 2), dtype=complex), "has dtype complex128"),
            (np.array([[0.0, np.nan]]), "NaN or infinity"),
            (np.array([[0.0, 255.0]]), "divide by 255"),
            (np.array([[-1.0, 1.0]]), "undo the normalisation"),
            (torch.zeros(2, 3, 4, 4), "for a batch, pass one image"),
            (torch.zeros(4, 4), "must be C×H×W"),
            (torch.zeros(3, 4, 4, dtype=torch.int64), "has dtype int64"),
        ],
    )
    def test_errors(self, source: Any, words: str) -> None:
        with pytest.raises(ImageError) as caught:
            load_image(source)
        assert words in str(caught.value)

    def test_the_hash_is_of_pixels_and_shape_alone(self) -> None:
        image = load_image(RGB)
        assert len(image.sha256) == 64
        assert load_image(RGB / 255).sha256 == image.sha256
        assert load_image(PILImage.fromarray(RGB)).sha256 == image.sha256
        assert load_image(RGB.transpose(1, 0, 2)).sha256 != image.sha256
        assert load_image(np.zeros((2, 8))).sha256 != load_image(np.zeros((4, 4))).sha256


def palette_picture() -> PILImage.Image:
    picture = PILImage.fromarray((GRAY // 64).astype(np.uint8))
    picture.putpalette([10, 20, 30, 200, 100, 0, 0, 255, 0, 90, 90, 90])
    return picture


PALETTE = np.array([[10, 20, 30], [200, 100, 0], [0, 255, 0], [90, 90, 90]], dtype=np.uint8)


def pil_cases() -> dict[str, tuple[PILImage.Image, NDArray[Any], float]]:
    rgb, gray, alpha = PILImage.fromarray(RGB), PILImage.fromarray(GRAY), PILImage.fromarray(ALPHA)
    indices = GRAY // 64
    indexed, clear_indexed = palette_picture(), palette_picture()
    clear_indexed.info["transparency"] = 2
    clear_gray = gray.copy()
    clear_gray.info["transparency"] = int(GRAY[0, 0])
    clear_rgb = rgb.copy()
    clear_rgb.info["transparency"] = tuple(map(int, RGB[0, 0]))
    cmyk = PILImage.merge("CMYK", [*rgb.split(), PILImage.new("L", (7, 5))])
    sixteen = PILImage.fromarray(GRAY.astype(np.uint16) * 257)
    return {
        "1": (PILImage.fromarray(GRAY > 100), unit(GRAY > 100, 1), EXACT),
        "L": (gray, unit(GRAY), EXACT),
        "L clear": (clear_gray, np.where((GRAY[0, 0] == GRAY)[:, :, None], 1.0, unit(GRAY)), EXACT),
        "LA": (PILImage.merge("LA", [gray, alpha]), over_white(GRAY, ALPHA), EXACT),
        "P": (indexed, unit(PALETTE[indices]), EXACT),
        "P clear": (clear_indexed, np.where((indices == 2)[:, :, None], 1.0, unit(PALETTE[indices])), EXACT),
        "RGB": (rgb, unit(RGB), EXACT),
        "RGB clear": (clear_rgb, np.where((RGB[0, 0] == RGB).all(axis=2)[:, :, None], 1.0, unit(RGB)), EXACT),
        "RGBA": (PILImage.merge("RGBA", [*rgb.split(), alpha]), over_white(RGB, ALPHA), EXACT),
        "CMYK": (cmyk, 1 - unit(RGB), EXACT),
        "HSV": (rgb.convert("HSV"), unit(RGB), 4 / 255),  # 8-bit hue, saturation and value round
        "I;16": (sixteen, unit(GRAY), EXACT),
        "I": (PILImage.fromarray(GRAY.astype(np.int32) * 257), unit(GRAY), EXACT),
        "F": (PILImage.fromarray((GRAY / 255).astype(np.float32)), unit(GRAY), EXACT),
    }


class TestPillow:
    @pytest.mark.parametrize("name", pil_cases())
    def test_modes(self, name: str) -> None:
        picture, expected, tolerance = pil_cases()[name]
        assert picture.mode == name.partition(" ")[0]
        image = load_image(picture)
        assert image.name == "PIL image"
        np.testing.assert_allclose(image.pixels, expected, atol=tolerance)

    @pytest.mark.parametrize("name", ["1", "L", "L clear", "LA", "P", "P clear", "RGB", "RGB clear", "RGBA", "I;16"])
    def test_files_of_every_mode_of_png(self, name: str, tmp_path: Path) -> None:
        picture, expected, _ = pil_cases()[name]
        path = tmp_path / "a picture.png"
        picture.save(path)
        for source in (path, str(path)):
            image = load_image(source)
            assert image.name == "a picture.png"
            np.testing.assert_allclose(image.pixels, expected, atol=EXACT)

    def test_an_opened_file_keeps_its_name(self, tmp_path: Path) -> None:
        PILImage.fromarray(RGB).save(tmp_path / "cat.png")
        with PILImage.open(tmp_path / "cat.png") as opened:
            assert load_image(opened).name == "cat.png"

    @pytest.mark.parametrize(
        ("picture", "words"),
        [
            (PILImage.fromarray(np.array([[70000]], dtype=np.int32)), "outside 0…65535"),
            (PILImage.fromarray(np.array([[-1]], dtype=np.int32)), "outside 0…65535"),
            (PILImage.fromarray(np.array([[2.0]], dtype=np.float32)), "floats must lie in"),
            (PILImage.new("RGB", (0, 0)), "no pixels"),
        ],
    )
    def test_errors(self, picture: PILImage.Image, words: str) -> None:
        with pytest.raises(ImageError) as caught:
            load_image(picture)
        assert words in str(caught.value)


# The orientations of EXIF 2.3, table 6: what turns the stored rows into an upright picture.
UPRIGHT: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: stored[::-1].swapaxes(0, 1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: stored.swapaxes(0, 1)[::-1],
}


class TestFiles:
    @pytest.mark.parametrize("orientation", UPRIGHT)
    def test_photographs_are_turned_upright(self, orientation: int, tmp_path: Path) -> None:
        exif = PILImage.Exif()
        exif[0x0112] = orientation
        PILImage.fromarray(RGB).save(tmp_path / "photo.png", exif=exif)
        np.testing.assert_allclose(
            load_image(tmp_path / "photo.png").pixels, unit(UPRIGHT[orientation](RGB)), atol=EXACT
        )

    def test_a_name_of_bytes_that_are_no_text_can_be_printed(self, tmp_path: Path) -> None:
        path = tmp_path / os.fsdecode(b"cat\xff.png")
        try:
            PILImage.fromarray(RGB).save(path, format="PNG")
        except OSError:
            pytest.skip("this file system takes names of text only")
        name = load_image(path).name
        assert name.encode("utf-8").startswith(b"cat")
        assert name.endswith(".png")

    def test_a_missing_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ImageError) as caught:
            load_image("cat.png")
        assert "'cat.png' does not exist" in str(caught.value)
        assert str(tmp_path) in str(caught.value)

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match="is a folder"):
            load_image(tmp_path)

    def test_no_image(self, tmp_path: Path) -> None:
        (tmp_path / "cat.png").write_bytes(b"GIF? no.")
        with pytest.raises(ImageError, match="in no format that Pillow reads"):
            load_image(tmp_path / "cat.png")

    def test_a_file_cut_short(self, tmp_path: Path) -> None:
        path = tmp_path / "cat.png"
        PILImage.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
        path.write_bytes(path.read_bytes()[:2000])
        with pytest.raises(ImageError, match="cannot be read"):
            load_image(path)
        with PILImage.open(path) as opened, pytest.raises(ImageError, match=r"'cat.png' cannot be read"):
            load_image(opened)

    def test_a_picture_of_absurd_size_is_refused_without_decoding_it(self, tmp_path: Path) -> None:
        def chunk(kind: bytes, data: bytes) -> bytes:
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
        path = tmp_path / "bomb.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
        with pytest.raises(ImageError, match="cannot be read"):
            load_image(path)


class TestResize:
    @pytest.mark.parametrize("interpolation", ["nearest", "box", "bilinear", "bicubic", "lanczos"])
    @pytest.mark.parametrize("size", [(1, 1), (3, 4), (10, 14), (23, 9)])
    def test_a_plain_picture_stays_plain_and_shapes_are_right(self, interpolation: str, size: tuple[int, int]) -> None:
        plain = np.full((10, 14, 3), 0.25, dtype=np.float32)
        resized = resize_pixels(plain, size, interpolation=interpolation)
        assert resized.shape == (*size, 3)
        np.testing.assert_allclose(resized, 0.25, atol=EXACT)
        assert resize_pixels(plain[:, :, 0], size, interpolation=interpolation).shape == size

    def test_the_same_size_is_the_same_picture(self) -> None:
        pixels = RNG.random((4, 5, 3), dtype=np.float32)
        assert resize_pixels(pixels, (4, 5)) is pixels

    def test_whole_factors_average_blocks(self) -> None:
        pixels = RNG.random((6, 8, 3), dtype=np.float32)
        blocks = pixels.reshape(3, 2, 4, 2, 3).mean(axis=(1, 3))
        np.testing.assert_allclose(resize_pixels(pixels, (3, 4), interpolation="box"), blocks, atol=EXACT)

    def test_a_box_is_a_crop(self) -> None:
        pixels = RNG.random((6, 8, 3), dtype=np.float32)
        np.testing.assert_allclose(resize_pixels(pixels, (2, 3), box=(1, 2, 4, 4)), pixels[2:4, 1:4], atol=EXACT)

    @pytest.mark.parametrize("interpolation", ["bicubic", "lanczos"])
    def test_ringing_is_cut_off(self, interpolation: str) -> None:
        edge = np.zeros((4, 20), dtype=np.float32)
        edge[:, 10:] = 1
        resized = resize_pixels(edge, (4, 50), interpolation=interpolation)
        assert resized.min() == 0
        assert resized.max() == 1


def torch_model(**options: Any) -> TorchModel:
    return TorchModel(torch.nn.Identity(), **options)


def crop_box(size: tuple[int, int], resize: int, crop: tuple[int, int]) -> tuple[float, float, float, float]:
    """Where torchvision's Resize and CenterCrop cut, in pixels of the file, from its documentation."""
    height, width = size
    scaled = (resize, int(resize * width / height)) if height <= width else (int(resize * height / width), resize)
    top, left = round((scaled[0] - crop[0]) / 2), round((scaled[1] - crop[1]) / 2)
    across, down = width / scaled[1], height / scaled[0]
    return left * across, top * down, (left + crop[1]) * across, (top + crop[0]) * down


def letterbox(side: int, colour: float) -> Callable[[Image], Floats]:
    def prepare(image: Image) -> Floats:
        height, width = image.size
        scale = side / max(height, width)
        scaled = max(1, round(height * scale)), max(1, round(width * scale))
        canvas = np.full((side, side, 3), colour, dtype=np.float32)
        top, left = (side - scaled[0]) // 2, (side - scaled[1]) // 2
        canvas[top : top + scaled[0], left : left + scaled[1]] = resize_pixels(image.pixels, scaled)
        return np.moveaxis(canvas, -1, 0)

    return prepare


SIZES = [(8, 8), (2, 3), (3, 2), (4, 4), (33, 47), (300, 451), (451, 300), (60, 400), (224, 224)]
# Ends within 0.02 pixels of a whole one are taken for it, and the rest is rounding of float32.
SNAP = 0.03


class TestMeasure:
    @pytest.mark.parametrize("size", [(1, 1), (1, 9), *SIZES])
    @pytest.mark.parametrize("shape", [(32, 32), (24, 56), (7, 5), (1, 1)])
    def test_a_squeezed_image_is_seen_whole(self, size: tuple[int, int], shape: tuple[int, int]) -> None:
        view = View.measure(torch_model(size=shape).prepare, size)
        assert (view.size, view.shape) == (size, shape)
        # A filter over few pixels is lopsided where its centre lies between them, by a share of one of the model's.
        coarse = 0.1 * max(max(size) / min(shape), 2) if min(shape) < 10 else SNAP
        assert view.box == pytest.approx((0, 0, size[1], size[0]), abs=coarse)

    def test_an_image_that_is_not_resized_is_seen_exactly(self) -> None:
        assert View.measure(torch_model(size=(33, 47)).prepare, (33, 47)).box == (0.0, 0.0, 47.0, 33.0)

    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize(("resize", "crop"), [(32, (32, 32)), (40, (32, 32)), (41, (32, 24)), (256, (224, 224))])
    def test_resize_and_crop(self, size: tuple[int, int], resize: int, crop: tuple[int, int]) -> None:
        view = View.measure(torch_model(size=crop, resize=resize).prepare, size)
        assert view.box == pytest.approx(crop_box(size, resize, crop), abs=SNAP)
        assert view.shape == crop

    @pytest.mark.parametrize("interpolation", ["nearest", "box", "bicubic", "lanczos"])
    @pytest.mark.parametrize("size", [(8, 8), (33, 47), (300, 451)])
    def test_other_interpolations(self, interpolation: str, size: tuple[int, int]) -> None:
        # They do not keep a straight line straight; the measured ends stay within half a pixel all the same.
        view = View.measure(torch_model(size=32, resize=40, interpolation=interpolation).prepare, size)
        assert view.box == pytest.approx(crop_box(size, 40, (32, 32)), abs=0.5)

    @pytest.mark.parametrize("colour", [0.0, 0.5, 1.0])
    @pytest.mark.parametrize("size", [(300, 451), (451, 300), (40, 60), (64, 64)])
    def test_a_letterbox_reaches_beyond_the_file(self, size: tuple[int, int], colour: float) -> None:
        view = View.measure(letterbox(64, colour), size)
        height, width = size
        scaled = tuple(round(side * 64 / max(size)) for side in size)
        down, across = height / scaled[0], width / scaled[1]
        top, left = (64 - scaled[0]) // 2, (64 - scaled[1]) // 2
        expected = (-left * across, -top * down, (64 - left) * across, (64 - top) * down)
        assert view.box == pytest.approx(expected, abs=SNAP)

    @pytest.mark.parametrize("size", [(33, 47), (300, 451), (451, 300)])
    def test_pipelines_of_eight_bits(self, size: tuple[int, int]) -> None:
        def prepare(image: Image) -> Floats:
            picture = PILImage.fromarray((image.pixels * 255).round().astype(np.uint8))
            scaled = picture.resize((80, 60), PILImage.Resampling.BILINEAR).crop((8, 6, 72, 54))
            return np.moveaxis(np.asarray(scaled, dtype=np.float32) / np.float32(255), -1, 0)

        height, width = size
        expected = (0.1 * width, 0.1 * height, 0.9 * width, 0.9 * height)
        # One of 255 levels is that share of the image.
        assert View.measure(prepare, size).box == pytest.approx(expected, abs=max(size) / 255)

    def test_a_model_of_gray_images(self) -> None:
        view = View.measure(torch_model(size=32, resize=40, channels=1).prepare, (33, 47))
        assert view.box == pytest.approx(crop_box((33, 47), 40, (32, 32)), abs=SNAP)

    @pytest.mark.parametrize(
        "move",
        [
            lambda planes: planes[:, :, ::-1],
            lambda planes: planes[:, ::-1],
            lambda planes: np.rot90(planes, axes=(1, 2)),
            lambda planes: np.rot90(planes, 2, axes=(1, 2)),
            lambda planes: np.swapaxes(planes, 1, 2),
            lambda planes: np.roll(planes, 9, axis=2),
            lambda planes: planes**2.2,
            np.zeros_like,
        ],
        ids=["hflip", "vflip", "quarter turn", "half turn", "transpose", "roll", "gamma", "black"],
    )
    def test_what_regions_cannot_follow_is_refused(self, move: Callable[[Floats], Floats]) -> None:
        with pytest.raises(ModelError, match="may only resize, crop and pad"):
            View.measure(lambda image: move(np.moveaxis(image.pixels, -1, 0)), (32, 32))

    def test_pixels_out_of_place_are_refused(self) -> None:
        order = np.random.default_rng(1).permutation(32)
        with pytest.raises(ModelError, match="may only resize, crop and pad"):
            View.measure(lambda image: np.moveaxis(image.pixels[order], -1, 0), (32, 32))


class TestViews:
    def test_half_of_a_pixel_is_enough(self) -> None:
        view = View(size=(4, 8), box=(0, 0, 8, 4), shape=(2, 4))
        mask = np.zeros((4, 8), dtype=bool)
        mask[:2, :3] = True  # two whole columns of a model's pixel, then one of two
        np.testing.assert_array_equal(view.coverage(mask), [[1, 0.5, 0, 0], [0, 0, 0, 0]])
        np.testing.assert_array_equal(view.project(mask), [[True, True, False, False], [False] * 4])

    def test_a_crop_cuts_the_mask(self) -> None:
        view = View(size=(4, 8), box=(2, 0, 6, 4), shape=(4, 4))
        mask = Box(5, 1, 8, 3).mask((4, 8))
        np.testing.assert_array_equal(view.project(mask), mask[:, 2:6])

    def test_beyond_the_file_lies_nothing_of_a_region(self) -> None:
        view = View(size=(4, 4), box=(-4, 0, 8, 4), shape=(4, 12))
        covered = view.coverage(np.ones((4, 4), dtype=bool))
        np.testing.assert_array_equal(covered[0], [0] * 4 + [1] * 4 + [0] * 4)
        photo = view.photo(np.zeros((4, 4, 3), dtype=np.float32))
        np.testing.assert_array_equal(photo[0, :, 0], [1] * 4 + [0] * 4 + [1] * 4)

    @pytest.mark.parametrize(
        ("box", "longest", "shape"),
        [
            ((0, 0, 300, 200), 1024, (200, 300)),
            ((0, 0, 300, 200), 150, (100, 150)),
            ((50, 0, 250, 200), 100, (100, 100)),
        ],
    )
    def test_the_photo_has_the_resolution_of_the_file(
        self, box: tuple[float, float, float, float], longest: int, shape: tuple[int, int]
    ) -> None:
        view = View(size=(200, 300), box=box, shape=(32, 32))
        pixels = np.random.default_rng(2).random((200, 300, 3), dtype=np.float32)
        photo = view.photo(pixels, longest)
        assert photo.shape == (*shape, 3)
        if longest == 1024:
            np.testing.assert_array_equal(photo, pixels)
        mask = Box(60, 20, 160, 120).mask((200, 300))
        outline = view.outline(mask, longest)
        assert outline.shape == shape
        scale = shape[1] / (box[2] - box[0])
        # The box's four sides fall on pixel borders, or their middle, at these scales.
        assert outline.sum() == pytest.approx(100 * 100 * scale**2, abs=2 * 100 * scale)

    def test_the_window_is_of_whole_pixels(self) -> None:
        view = View(size=(4, 6), box=(1.5, -0.5, 7.25, 3.0), shape=(3, 3))
        array = np.arange(24, dtype=np.float32).reshape(4, 6)
        window, place = view.window(array, -1)
        assert place == (1, -1)
        assert window.shape == (4, 7)
        np.testing.assert_array_equal(window[1:, :5], array[:3, 1:])
        assert (window[0] == -1).all()
        assert (window[:, 5:] == -1).all()

    @pytest.mark.parametrize(
        "prepare",
        [
            torch_model(size=48).prepare,
            torch_model(size=(48, 40), resize=56).prepare,
            torch_model(size=48, resize=56, interpolation="box").prepare,
            letterbox(64, 0.0),
        ],
        ids=["squeeze", "crop", "box", "letterbox"],
    )
    @pytest.mark.parametrize("size", [(300, 451), (451, 300), (30, 45)])
    def test_a_region_goes_where_its_own_picture_goes(
        self, prepare: Callable[[Image], Floats], size: tuple[int, int]
    ) -> None:
        height, width = size
        for region in (
            Box(0.3 * width, 0.2 * height, 0.6 * width, 0.7 * height),
            Ellipse(width / 2, height / 2, width / 5, height / 6),
        ):
            mask = region.mask(size)
            painted = prepare(Image(np.repeat(mask[:, :, None], 3, axis=2).astype(np.float32), "region"))[0]
            carried = View.measure(prepare, size).project(mask)
            assert carried.any()
            # The filters differ, so pixels on the border may; inside and outside they may not.
            border = (painted > 0.05) & (painted < 0.95)
            assert not ((carried != (painted >= 0.5)) & ~border).any()
            assert (carried != (painted >= 0.5)).sum() <= 0.25 * border.sum()
