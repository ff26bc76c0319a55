"""Region files: known areas of every format, and what is told of wrong files."""

import base64
import io
import json
import math
import os
import pickle
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PILImage
from PIL import ImageDraw
from pycocotools import mask as coco_mask
from scipy import ndimage

from pytest_lime import Box, Ellipse, LimeError, Mask, OptionError, Polygon, RegionError, whole
from pytest_lime.images import View
from pytest_lime.region_files import FileRegion, load_regions
from pytest_lime.regions import check_region

SIZE = (8, 12)  # height, width
CATEGORIES = [{"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}]
INSIDE = np.zeros(SIZE, dtype=bool)
INSIDE[2:5, 3:9] = True
INSIDE[6, 1] = True

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes text, bytes or what is to be JSON into a file, and returns its path."""

    def write(content: Any, name: str = "street.json") -> Path:
        path = tmp_path / name
        if not isinstance(content, str | bytes):
            content = json.dumps(content)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def coco(*annotations: dict[str, Any], size: tuple[int, int] | None = SIZE, **changed: Any) -> dict[str, Any]:
    """Return a COCO document of one picture; each annotation is a cat's unless it says otherwise."""
    image: dict[str, Any] = {"id": 7, "file_name": "street.png"}
    if size is not None:
        image |= {"height": size[0], "width": size[1]}
    listed = [{"id": 10 + n, "image_id": 7, "category_id": 1, **one} for n, one in enumerate(annotations)]
    return {"images": [image], "categories": CATEGORIES, "annotations": listed, **changed}


def voc(*objects: str, size: tuple[int, int] | None = SIZE, filename: str = "street.jpg") -> str:
    sides = f"<size><width>{size[1]}</width><height>{size[0]}</height><depth>3</depth></size>" if size else ""
    return f"<annotation><filename>{filename}</filename>{sides}{''.join(objects)}</annotation>"


def bndbox(xmin: Any, ymin: Any, xmax: Any, ymax: Any) -> str:
    # In another order than usual, as some tools write them.
    return f"<bndbox><xmax>{xmax}</xmax><xmin>{xmin}</xmin><ymin>{ymin}</ymin><ymax>{ymax}</ymax></bndbox>"


def thing(name: str, inner: str) -> str:
    return f"<object><name>{name}</name><difficult>0</difficult>{inner}</object>"


def labelme(*shapes: dict[str, Any], size: tuple[int, int] | None = SIZE, **changed: Any) -> dict[str, Any]:
    sides = {"imageHeight": size[0], "imageWidth": size[1]} if size else {}
    listed = [{"label": "cat", "group_id": None, "shape_type": "polygon", "flags": {}, **one} for one in shapes]
    return {
        "version": "5.5.0",
        "flags": {},
        "shapes": listed,
        "imagePath": "..\\photos\\street.jpg",
        **sides,
        **changed,
    }


def png(array: Any) -> str:
    written = io.BytesIO()
    PILImage.fromarray(array).save(written, format="PNG")
    return base64.b64encode(written.getvalue()).decode()


def compressed(inside: Any) -> dict[str, Any]:
    encoded = coco_mask.encode(np.asfortranarray(inside, dtype=np.uint8))
    return {"size": list(inside.shape), "counts": encoded["counts"].decode()}


def uncompressed(inside: Any) -> dict[str, Any]:
    flat = np.asarray(inside, dtype=bool).ravel(order="F")
    borders = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *borders, flat.size]).tolist()
    return {"size": list(inside.shape), "counts": [0, *counts] if flat[0] else counts}


def decoded(encoded: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return coco_mask.decode(encoded).astype(bool)


def refused(path: Any, **arguments: Any) -> str:
    """Return what is told of a file that cannot be read: one sentence, at the user's own line."""
    with pytest.raises(LimeError) as caught:
        load_regions(path, **arguments)
    message = str(caught.value)
    assert isinstance(caught.value, OptionError if "labels" in arguments or "pip" in message else LimeError)
    assert "\n" not in message
    assert message.endswith(".")
    assert ".." not in message.replace("...", "").replace("../", "").replace("..\\", "")
    assert {entry.path for entry in caught.traceback.filter(caught)} == {Path(__file__)}
    return message


class TestCoco:
    def test_polygons_of_one_annotation_are_one_instance_and_their_union(self, write: Write) -> None:
        two = [[0, 0, 4, 0, 4, 4, 0, 4], [2, 2, 6, 2, 6, 6, 2, 6]]
        regions = load_regions(write(coco({"segmentation": two}, {"segmentation": [[8, 0, 12, 0, 12, 2, 8, 2]]})))
        assert list(regions) == ["cat"]
        cat = regions["cat"]
        assert cat.mask(SIZE).sum() == 28 + 8
        assert [instance.mask(SIZE).sum() for instance in cat.instances] == [28, 8]
        assert cat.instances[0].shapes == tuple(Polygon(list(zip(flat[::2], flat[1::2], strict=True))) for flat in two)
        assert cat.size == cat.instances[1].size == SIZE

    def test_a_box_is_read_where_there_is_no_segmentation(self, write: Write) -> None:
        document = coco({"bbox": [3, 1, 4, 2], "segmentation": []}, {"bbox": [0.5, 0, 1, 8.0]})
        assert load_regions(write(document))["cat"].shapes == (Box(3, 1, 7, 3), Box(0.5, 0, 1.5, 8))

    @pytest.mark.parametrize("encode", [compressed, uncompressed])
    @pytest.mark.parametrize("size", [SIZE, None])
    def test_run_length_masks_pixel_by_pixel(self, encode: Any, size: Any, write: Write) -> None:
        crowd = {"segmentation": encode(INSIDE), "iscrowd": 1, "bbox": [0, 0, 12, 8]}
        cat = load_regions(write(coco(crowd, size=size)))["cat"]
        assert cat.size == SIZE
        np.testing.assert_array_equal(check_region(cat, SIZE, "street.png"), INSIDE)

    @settings(deadline=None, max_examples=50)
    @given(data=st.data(), height=st.integers(1, 9), width=st.integers(1, 9))
    def test_run_length_masks_of_every_kind_are_those_of_pycocotools(
        self, data: Any, height: int, width: int, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        bits = data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
        inside = np.array(bits).reshape(height, width)
        inside[0, 0] |= not inside.any()
        document = coco(
            {"segmentation": compressed(inside)},
            {"segmentation": uncompressed(inside), "category_id": 3},
            size=(height, width),
        )
        path = tmp_path_factory.getbasetemp() / "random.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        regions = load_regions(path)
        theirs = decoded(coco_mask.frPyObjects(uncompressed(inside), height, width))
        for label in ("cat", "dog"):
            np.testing.assert_array_equal(regions[label].mask((height, width)), inside, err_msg=label)
            np.testing.assert_array_equal(regions[label].mask((height, width)), theirs)

    @pytest.mark.parametrize("seed", range(5))
    def test_polygons_differ_from_those_of_pycocotools_on_their_outline_only(self, seed: int, write: Write) -> None:
        rng = np.random.default_rng(seed)
        turns = np.sort(rng.uniform(0, 2 * math.pi, 12))
        radii = rng.uniform(10, 40, 12)
        points = np.stack([60 + radii * np.cos(turns), 50 + radii * np.sin(turns)], axis=1)
        size = (100, 120)
        document = coco({"segmentation": [points.ravel().tolist()]}, size=size)
        ours = load_regions(write(document))["cat"].mask(size)
        theirs = decoded(coco_mask.frPyObjects([points.ravel().tolist()], *size)[0])
        border = ndimage.binary_dilation(theirs) & ~ndimage.binary_erosion(theirs)
        assert theirs.sum() > 500
        assert not (ours ^ theirs)[~border].any()

    def test_labels_come_in_the_files_order(self, write: Write) -> None:
        boxes = [{"bbox": [0, 0, 1, 1], "category_id": number} for number in (3, 1, 3)]
        regions = load_regions(write(coco(*boxes)))
        assert list(regions) == ["dog", "cat"]
        assert [len(region.instances) for region in regions.values()] == [2, 1]

    MANY = coco(
        *({"bbox": [number, 0, 1, 1], "image_id": number} for number in range(1, 5)),
        images=[
            {"id": 1, "file_name": "cat.png"},
            {"id": 2, "file_name": "train/dog.png"},
            {"id": 3, "file_name": "val/dog.png"},
            {"id": 4, "file_name": "val/cat.png", "height": 8, "width": 12},
            {"id": 5, "file_name": "empty.png"},
        ],
    )

    @pytest.mark.parametrize(
        ("image", "number"),
        [
            ("cat.png", 1),
            ("train/dog.png", 2),
            ("/data/train/dog.png", 2),
            (Path("data") / "val" / "dog.png", 3),
            ("val\\cat.png", 4),
            (1, 1),
            (3, 3),
        ],
    )
    def test_the_picture_is_chosen_by_its_name_or_id(self, image: Any, number: int, write: Write) -> None:
        cat = load_regions(write(self.MANY), image=image)["cat"]
        assert cat.shapes == (Box(number, 0, number + 1, 1),)
        assert cat.size == (SIZE if number == 4 else None)

    @pytest.mark.parametrize(
        ("image", "words"),
        [
            (None, "describes 5 images; choose one with image=, by its file name or id: 'cat.png', 'train/dog.png', "),
            ("dog.png", "describes 2 images 'dog.png'; choose one by its id: 2, 3."),
            ("cow.png", "describes no image 'cow.png'; the nearest is 'cat.png'; its images are 'cat.png', "),
            ("test/dog.png", "describes no image 'test/dog.png'; the nearest is 'train/dog.png'; "),
            (Path("owl.png"), "describes no image 'owl.png'"),
            (9, "describes no image 9; its images are"),
            ("", "describes no image ''; its images are"),
            (5, "describes no region of image 5; annotate"),
        ],
    )
    def test_a_picture_that_it_does_not_have(self, image: Any, words: str, write: Write) -> None:
        assert f"region file 'street.json' {words}" in refused(write(self.MANY), image=image)

    def test_the_only_picture_needs_no_name_and_is_that_of_the_name(self, write: Write) -> None:
        path = write(coco({"bbox": [0, 0, 1, 1]}))
        assert load_regions(path) == load_regions(path, image="photos/street.png") == load_regions(path, image=7)
        assert "describes no image 'other.png'" in refused(path, image="other.png")

    def test_of_many_names_some_are_listed(self, write: Write) -> None:
        images = [{"id": number, "file_name": f"{number:03}.png"} for number in range(300)]
        message = refused(write(coco(images=images)))
        assert message.endswith("'006.png', '007.png', … (300 in all).")

    def test_pycocotools_is_needed_for_compressed_masks_only(
        self, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in [name for name in sys.modules if name.startswith("pycocotools")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setattr(sys, "path", [])
        others = {"segmentation": uncompressed(INSIDE)}, {"segmentation": [[0, 0, 4, 0, 4, 4]]}
        assert len(load_regions(write(coco(*others)))["cat"].instances) == 2
        assert refused(write(coco({"segmentation": compressed(INSIDE)}))) == (
            "region file 'street.json': annotation 10 ('cat'), a compressed run-length mask, needs pycocotools, "
            "which is not installed: pip install 'pytest-lime[coco]'."
        )

    def test_compressed_runs_that_do_not_fill_the_image_are_told(self, write: Write) -> None:
        # pycocotools itself leaves the pixels undefined where runs are missing.
        counts = uncompressed(INSIDE)["counts"]
        for wrong in [counts[:-1], counts[:1], [*counts[:-1], counts[-1] - 1], [*counts[:-1], counts[-1] + 1], [95]]:
            runs = coco_mask.frPyObjects({"size": list(SIZE), "counts": wrong}, *SIZE)["counts"].decode()
            message = refused(write(coco({"segmentation": {"size": list(SIZE), "counts": runs}})))
            assert message.endswith("are damaged: they do not fill 96 pixels.")

    @pytest.mark.parametrize(
        ("annotation", "words"),
        [
            (
                {"segmentation": [[0, 0, 4, 4]]},
                "polygon [0, 0, 4, 4] has 4 numbers; it needs x and y of at least three",
            ),
            ({"segmentation": [[0, 0, 4, 4, 2, 1, 3]]}, "has 7 numbers"),
            ({"segmentation": [[0, 0, 4, 4, 2, "a"]]}, "y of point 2='a' must be a number"),
            ({"segmentation": [[0, 0, 4, 4, 2, math.nan]]}, "y of point 2=nan must be a number"),
            ({"segmentation": [[0, 0, 4, 0, 10**400, 0]]}, "a number is too large"),
            ({"segmentation": [[0, 0, 4, 0, 2, 0]]}, "its points lie on one line"),
            ({"segmentation": [0, 0, 4, 0, 4, 4]}, "must be a list of polygons, each [x1, y1, x2, y2, …]"),
            ({"segmentation": "cat"}, "segmentation 'cat' must be a list of polygons"),
            ({"bbox": [0, 0, 4]}, "[0, 0, 4]: bbox must be x, y, width and height"),
            ({"bbox": [0, 0, 4, "4"]}, "bbox must be x, y, width and height"),
            ({"bbox": [0, 0, 4, True]}, "bbox must be x, y, width and height"),
            ({"bbox": [0, 0, 10**400, 1]}, "a number is too large"),
            ({"bbox": [4, 4, 0, 2]}, "bbox [4, 4, 0, 2] is empty; its width and height must be greater than 0"),
            ({"bbox": [4, 4, 1e-17, 2]}, "is empty"),
            ({"segmentation": {"counts": [96]}}, "has size None; it must be [height, width]"),
            ({"segmentation": {"size": [8, 0], "counts": []}}, "has size [8, 0]"),
            ({"segmentation": {"size": [12, 8], "counts": [96]}}, "is 8×12 pixels and its image 12×8 pixels"),
            ({"segmentation": {"size": [8, 12], "counts": [95]}}, "[95] do not add up to 12×8 pixels"),
            ({"segmentation": {"size": [8, 12], "counts": [100, -4]}}, "do not add up"),
            ({"segmentation": {"size": [8, 12], "counts": [95.0, 1]}}, "do not add up"),
            ({"segmentation": {"size": [8, 12], "counts": None}}, "the compressed run lengths None are damaged"),
            ({"segmentation": {"size": [8, 12], "counts": ""}}, "'' are damaged"),
            ({"segmentation": {"size": [8, 12], "counts": "oooo"}}, "'oooo' are damaged"),
            ({"segmentation": {"size": [8, 12], "counts": "é\ud800"}}, "are damaged"),
        ],
    )
    def test_a_damaged_annotation_is_named(self, annotation: dict[str, Any], words: str, write: Write) -> None:
        message = refused(write(coco({"bbox": [0, 0, 1, 1]}, annotation)))
        assert message.startswith("region file 'street.json': annotation 11 ('cat'): ")
        assert words in message

    @pytest.mark.parametrize(
        ("document", "words"),
        [
            (coco(), "street.json' describes no region; annotate"),
            (coco({"keypoints": []}), "describes no region ('cat': it has neither a segmentation nor a bbox)"),
            (coco(images=[]), "describes no image"),
            (coco(images={}), "'images' is {}; it must be a list of objects"),
            (coco(annotations=[3]), "'annotations' is [3]; it must be a list of objects"),
            (coco(categories=None), "'categories' is None"),
            (
                coco({"category_id": 2}),
                "annotation 10 (None) has category_id 2; it must be the id of a category with a",
            ),
            (coco({}, categories=[{"name": "cat"}]), "with a name: none."),
            (coco({}, categories=[{"id": 1}]), "has category_id 1"),
            (
                coco({}, categories=[{"id": 1, "name": ""}]),
                "annotation 10 ('') has category_id 1; it must be the id of",
            ),
        ],
    )
    def test_a_document_without_what_is_needed(self, document: Any, words: str, write: Write) -> None:
        assert words in refused(write(document))


class TestPascalVoc:
    def test_pixels_count_from_one_and_include_the_last(self, write: Write) -> None:
        regions = load_regions(
            write(voc(thing("whole", bndbox(1, 1, 12, 8)), thing("dot", bndbox(3, 2, 3, 2))), "street.xml")
        )
        assert regions["whole"].mask(SIZE).all()
        assert np.argwhere(regions["dot"].mask(SIZE)).tolist() == [[1, 2]]
        assert regions["dot"].shapes == (Box(2, 1, 3, 2),)
        assert regions["dot"].size == SIZE

    def test_parts_are_labels_of_their_own(self, write: Write) -> None:
        part = f"<part><name>head</name>{bndbox(2, 2, 4, 4)}</part>"
        objects = [thing("person", bndbox(1.5, 1, 6, 8) + part), thing("person", bndbox(7, 1, 9, 8) + part)]
        regions = load_regions(write(voc(*objects), "street.xml"))
        assert list(regions) == ["person", "person/head"]
        assert regions["person"].shapes == (Box(0.5, 0, 6, 8), Box(6, 0, 9, 8))
        assert len(regions["person/head"].instances) == 2

    def test_a_polygon_is_taken_as_it_is_written(self, write: Write) -> None:
        corners = "".join(f"<x{n}>{x}</x{n}><y{n}>{y}</y{n}>" for n, (x, y) in enumerate([(0, 0), (6, 0), (6, 4)], 1))
        path = write(voc(thing("cat", f"<polygon>{corners}</polygon>{bndbox(1, 1, 6, 4)}")), "street.xml")
        assert load_regions(path)["cat"].shapes == (Polygon([(0, 0), (6, 0), (6, 4)]),)

    @pytest.mark.parametrize("size", [None, (0, 0)])
    def test_without_a_size_it_is_of_any_image(self, size: Any, write: Write) -> None:
        cat = load_regions(write(voc(thing("cat", bndbox(1, 1, 2, 2)), size=size), "street.xml"))["cat"]
        assert cat.size is None
        assert check_region(cat, (5, 7), "street.jpg").sum() == 4

    @pytest.mark.parametrize(
        ("document", "words"),
        [
            (voc(thing("cat", "")), "object 0 ('cat'): it has no bndbox"),
            (voc(thing(" ", bndbox(1, 1, 2, 2))), "object 0 ('') has no name"),
            (voc(thing("cat", bndbox(1, 1, 2, 2) + "<part/>")), "object 0 ('cat'), part '' has no name"),
            (voc(thing("cat", bndbox(1, 1, "a", 2))), "bndbox/xmax='a' must be a number"),
            (voc(thing("cat", bndbox(1, 1, "nan", 2))), "bndbox/xmax='nan' must be a number"),
            (voc(thing("cat", "<bndbox/>")), "bndbox/xmin='' must be a number"),
            (voc(thing("cat", bndbox(5, 1, 4, 2))), "bndbox from (5, 1) to (4, 2) is empty; it needs xmin ≤ xmax"),
            (voc(thing("cat", "<polygon><x1>1</x1><y1>1</y1></polygon>")), "polygon [1.0, 1.0] has 2 numbers"),
            (voc(thing("cat", "<polygon><x1>1</x1></polygon>")), "polygon/y1='' must be a number"),
            (voc(), "describes no region; annotate"),
            (
                "<annotations/>",
                "is XML with the root <annotations>, which is in no format that is read; it must be COCO",
            ),
            ("<annotation><object>", "is damaged or in no format that is read"),
            ("<?xml version='1.0' encoding='nonsense'?><annotation/>", "is damaged or in no format that is read"),
            ("< no XML", "is damaged or in no format that is read"),
        ],
    )
    def test_a_damaged_file_is_told(self, document: str, words: str, write: Write) -> None:
        message = refused(write(document, "street.xml"))
        assert message.startswith("region file 'street.xml'")
        assert words in message

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_a_doctype_is_refused_in_every_encoding(self, encoding: str, write: Write) -> None:
        laughs = '<!DOCTYPE annotation [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
        document = voc(thing("&b;", bndbox(1, 1, 2, 2)))
        assert "street.xml' has a DOCTYPE" in refused(write((laughs + document).encode(encoding), "street.xml"))

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_every_encoding_is_read(self, encoding: str, write: Write) -> None:
        document = voc(thing("Kätzchen", bndbox(1, 1, 2, 2)))
        assert list(load_regions(write(document.encode(encoding), "street.xml"))) == ["Kätzchen"]


class TestLabelMe:
    @pytest.mark.parametrize(
        ("shape", "region"),
        [
            ({"points": [[0, 0], [6, 0], [6, 4]]}, Polygon([(0, 0), (6, 0), (6, 4)])),
            ({"shape_type": None, "points": [[0, 0], [6, 0], [6, 4]]}, Polygon([(0, 0), (6, 0), (6, 4)])),
            ({"shape_type": "rectangle", "points": [[6.5, 1], [2, 5]]}, Box(2, 1, 6.5, 5)),
            (
                {"shape_type": "rectangle", "points": [[2, 1], [6, 1], [6, 5], [2, 5]]},
                Polygon([(2, 1), (6, 1), (6, 5), (2, 5)]),
            ),
            (
                {"shape_type": "oriented_rectangle", "points": [[4, 0], [8, 4], [6, 6], [2, 2]]},
                Polygon([(4, 0), (8, 4), (6, 6), (2, 2)]),
            ),
            ({"shape_type": "circle", "points": [[6, 4], [6, 1]]}, Ellipse(6, 4, 3, 3)),
        ],
    )
    def test_shapes(self, shape: dict[str, Any], region: Any, write: Write) -> None:
        cat = load_regions(write(labelme(shape)))["cat"]
        assert cat.shapes == (region,)
        assert cat.size == SIZE

    @pytest.mark.parametrize("values", [INSIDE[2:7, 1:9], INSIDE[2:7, 1:9].astype(np.uint8) * 255])
    def test_a_mask_lies_at_its_corner(self, values: Any, write: Write) -> None:
        shape = {"shape_type": "mask", "points": [[1.2, 1.8], [8.0, 6.0]], "mask": png(values)}
        cat = load_regions(write(labelme(shape)))["cat"]
        np.testing.assert_array_equal(check_region(cat, SIZE, "street.jpg"), INSIDE)

    def test_a_group_is_one_instance(self, write: Write) -> None:
        boxes = [
            {"shape_type": "rectangle", "points": [[x, 0], [x + 1, 1]], "group_id": group, "label": label}
            for x, (group, label) in enumerate([(1, "cat"), (None, "cat"), (1, "dog"), (1, "cat"), (None, "cat")])
        ]
        regions = load_regions(write(labelme(*boxes)))
        assert [len(one.shapes) for one in regions["cat"].instances] == [2, 1, 1]
        assert len(regions["dog"].instances) == 1

    @pytest.mark.parametrize("kind", ["line", "linestrip", "point", "points"])
    def test_what_has_no_area_is_told_when_it_is_asked_for(self, kind: str, write: Write) -> None:
        nose = {"label": "nose", "shape_type": kind, "points": [[1, 1]]}
        regions = load_regions(write(labelme(nose, {"points": [[0, 0], [6, 0], [6, 4]]})))
        assert list(regions) == ["cat"]
        with pytest.raises(RegionError) as caught:
            _ = regions["nose"]
        assert str(caught.value) == (
            f"region file 'street.json': label 'nose' is no region: a {kind} has no area; "
            "draw a polygon, a rectangle or a circle."
        )
        assert f"describes no region ('nose': a {kind} has no area" in refused(write(labelme(nose)))

    @pytest.mark.parametrize(
        ("shape", "words"),
        [
            ({"points": [[0, 0], [1, 1]]}, "has 2 points; a polygon needs at least three"),
            ({"points": None}, "points=None must be a list of points [x, y]"),
            ({"points": [[0, 0], [1, 1], [2]]}, "point 2 is [2]"),
            ({"shape_type": "rectangle", "points": [[0, 0]]}, "it has 1 points, and needs two"),
            ({"shape_type": "rectangle", "points": [[0, 0], [0, 3]]}, "Box(0, 0, 0, 3) is empty"),
            ({"shape_type": "circle", "points": [[0, 0], 3]}, "3: every point must be x and y"),
            ({"shape_type": "circle", "points": [[2, 2], [2, 2]]}, "both radii"),
            ({"shape_type": "cuboid", "points": []}, "this type of shape is unknown; it must be polygon, rectangle, "),
            ({"shape_type": "mask", "points": [[0, 0], [1, 1]]}, "mask=None must be a gray PNG picture in base64"),
            ({"shape_type": "mask", "points": [[0, 0], [1, 1]], "mask": "?"}, "mask='?' must be a gray PNG"),
            ({"shape_type": "mask", "points": [[0, 0], [1, 1]], "mask": "AAAA"}, "mask='AAAA' must be a gray PNG"),
            (
                {"shape_type": "mask", "points": [[8, 0], [1, 1]], "mask": png(INSIDE[:, :5])},
                "the mask of 5×8 pixels at x=8, y=0 reaches outside of the image, which is 12×8 pixels",
            ),
        ],
    )
    def test_a_damaged_shape_is_named(self, shape: dict[str, Any], words: str, write: Write) -> None:
        message = refused(write(labelme({"points": [[0, 0], [6, 0], [6, 4]]}, shape)))
        kind = shape.get("shape_type", "polygon")
        assert message.startswith(f"region file 'street.json': shape 1 ('cat', '{kind}'): ")
        assert words in message

    def test_a_mask_needs_the_size_of_the_image(self, write: Write) -> None:
        shape = {"shape_type": "mask", "points": [[0, 0], [1, 1]], "mask": png(INSIDE)}
        assert "a mask needs imageHeight and imageWidth" in refused(write(labelme(shape, size=None)))

    @pytest.mark.parametrize("side", [10**7, 10**10])
    def test_an_image_that_no_memory_holds(self, side: int, write: Write) -> None:
        shape = {"shape_type": "mask", "points": [[0, 0], [11, 7]], "mask": png(INSIDE)}
        message = refused(write(labelme(shape, size=(side, side))))
        assert f"its image, {side}×{side} pixels as the file says, is too large for the memory" in message
        runs = {"segmentation": {"size": [10**7, 10**7], "counts": [0, 10**14]}}
        assert "a number is too large for a coordinate or a size" in refused(write(coco(runs, size=None)))

    @pytest.mark.parametrize(
        ("document", "words"),
        [
            (labelme({"label": 3}), "shape 0 (3, 'polygon') has no label; give it one."),
            (labelme(), "describes no region; annotate"),
            (labelme(shapes={}), "'shapes' is {}; it must be a list of objects"),
        ],
    )
    def test_a_document_without_what_is_needed(self, document: Any, words: str, write: Write) -> None:
        assert words in refused(write(document))


FILES = [
    ("street.xml", voc(thing("cat", bndbox(1, 1, 2, 2)))),
    ("street.json", labelme({"points": [[0, 0], [6, 0], [6, 4]]})),
]


class TestOnePicture:
    """Files that describe one picture: its name is checked where it is given."""

    @pytest.mark.parametrize(("name", "content"), FILES)
    @pytest.mark.parametrize("image", ["street.jpg", "/data/photos/street.jpg", Path("photos/street.jpg")])
    def test_the_picture_that_it_names(self, name: str, content: Any, image: Any, write: Write) -> None:
        assert list(load_regions(write(content, name), image=image)) == ["cat"]

    @pytest.mark.parametrize(("name", "content"), FILES)
    @pytest.mark.parametrize(
        ("image", "shown"), [("road.jpg", "'road.jpg'"), (Path("road.jpg"), "'road.jpg'"), (3, "3")]
    )
    def test_another_picture(self, name: str, content: Any, image: Any, shown: str, write: Write) -> None:
        message = refused(write(content, name), image=image)
        assert message.endswith(f"street.jpg', not {shown}; leave image= out to use it all the same.")

    def test_where_it_names_none_it_may_be_any(self, write: Write) -> None:
        path = write(voc(thing("cat", bndbox(1, 1, 2, 2)), filename=""), "street.xml")
        assert list(load_regions(path, image="road.jpg")) == ["cat"]


LEVELS = np.zeros(SIZE, dtype=np.uint8)
LEVELS[0:2] = 15
LEVELS[4:7, 2:5] = 1
LEVELS[7] = 255


def save(picture: PILImage.Image, folder: Path, name: str = "head.png") -> Path:
    picture.save(folder / name)
    return folder / name


def indexed(values: Any) -> PILImage.Image:
    picture = PILImage.fromarray(values).convert("L")
    picture.putpalette([255, 255, 255, 0, 0, 0] + [9] * 762)
    return picture


class TestMaskPictures:
    @pytest.mark.parametrize(
        "picture",
        [
            PILImage.fromarray(INSIDE),
            PILImage.fromarray(INSIDE.astype(np.uint8)),
            PILImage.fromarray(INSIDE.astype(np.uint8) * 255),
            PILImage.fromarray(INSIDE.astype(np.uint16) * 65535),
            PILImage.fromarray(INSIDE.astype(np.uint8) * 255).convert("RGB"),
            PILImage.merge("RGBA", [PILImage.new("L", SIZE[::-1], 90)] * 3 + [PILImage.fromarray(INSIDE).convert("L")]),
        ],
        ids=["1", "0/1", "0/255", "0/65535", "RGB", "RGBA"],
    )
    def test_a_binary_picture_is_one_label_of_the_files_name(self, picture: PILImage.Image, tmp_path: Path) -> None:
        path = save(picture, tmp_path)
        regions = load_regions(path)
        assert list(regions) == ["head"]
        np.testing.assert_array_equal(check_region(regions["head"], SIZE, "cat.png"), INSIDE)
        assert regions["head"].size == SIZE
        named = load_regions(path, labels="cat's head")
        assert list(named) == ["cat's head"]
        assert repr(named["cat's head"]) == """head.png["cat's head"]"""

    @pytest.mark.parametrize(
        "picture", [indexed(LEVELS), PILImage.fromarray(LEVELS), PILImage.fromarray(LEVELS.astype(np.uint16))]
    )
    def test_values_are_labels(self, picture: PILImage.Image, tmp_path: Path) -> None:
        path = save(picture, tmp_path)
        regions = load_regions(path)
        # 255 is the void of eight bits.
        assert list(regions) == ["1", "15"] + (["255"] if picture.mode == "I;16" else [])
        for label, region in regions.items():
            np.testing.assert_array_equal(region.mask(SIZE), int(label) == LEVELS)
            assert len(region.instances) == 1
        named = load_regions(path, labels={0: "background", 1: "cat", 15: "person", 255: "border", 7: "dog"})
        assert list(named) == ["background", "cat", "person", "border"]
        np.testing.assert_array_equal(named["person"].mask(SIZE), LEVELS == 15)
        with pytest.raises(RegionError, match="'dog' is no region: no pixel of the picture has the value 7"):
            _ = named["dog"]
        assert load_regions(path, labels="all")["all"].mask(SIZE).sum() == np.count_nonzero(LEVELS)

    def test_values_of_one_label_are_its_instances(self, tmp_path: Path) -> None:
        regions = load_regions(save(indexed(LEVELS), tmp_path), labels={1: "cat", 15: "cat"})
        assert regions["cat"].mask(SIZE).sum() == 9 + 24
        assert [one.mask(SIZE).sum() for one in regions["cat"].instances] == [9, 24]

    def test_an_index_is_a_label_though_it_is_the_only_one(self, tmp_path: Path) -> None:
        assert list(load_regions(save(indexed(INSIDE.astype(np.uint8)), tmp_path))) == ["1"]
        gray = PILImage.fromarray(INSIDE.astype(np.uint8))
        assert list(load_regions(save(gray, tmp_path), labels={1: "cat"})) == ["cat"]

    @pytest.mark.parametrize(("label", "kind"), [("0", "background"), ("255", "void")])
    def test_background_and_void_are_told_when_they_are_asked_for(self, label: str, kind: str, tmp_path: Path) -> None:
        with pytest.raises(RegionError, match=f"{label} is the {kind} unless labels= names it"):
            _ = load_regions(save(indexed(LEVELS), tmp_path))[label]

    def test_what_pillow_draws(self, tmp_path: Path) -> None:
        picture = indexed(np.zeros((40, 60), dtype=np.uint8))
        draw = ImageDraw.Draw(picture)
        draw.rectangle((10, 5, 29, 14), fill=3)
        draw.rectangle((40, 20, 40, 20), fill=20)
        regions = load_regions(save(picture, tmp_path), labels={3: "cat", 20: "dot"})
        np.testing.assert_array_equal(regions["cat"].mask((40, 60)), Box(10, 5, 30, 15).mask((40, 60)))
        np.testing.assert_array_equal(regions["dot"].mask((40, 60)), Box(40, 20, 41, 21).mask((40, 60)))

    @settings(deadline=None, max_examples=50)
    @given(values=st.lists(st.integers(0, 255), min_size=12, max_size=12))
    def test_indexed_pictures_of_every_kind(self, values: list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
        array = np.array([*values, 1], dtype=np.uint8)[None]
        regions = load_regions(save(indexed(array), tmp_path_factory.getbasetemp(), "random.png"))
        assert sorted(map(int, regions)) == sorted({*values, 1} - {0, 255})
        for label, region in regions.items():
            np.testing.assert_array_equal(region.mask((1, 13)), array == int(label))

    @pytest.mark.parametrize(
        ("picture", "name", "arguments", "words"),
        [
            (PILImage.new("L", (12, 8)), "head.png", {}, "describes no region ('head': every pixel is 0)"),
            (
                indexed(np.zeros(SIZE, dtype=np.uint8)),
                "head.png",
                {},
                "('0': 0 is the background unless labels= names it)",
            ),
            (
                PILImage.new("L", (12, 8)),
                "head.png",
                {"labels": "cat"},
                "describes no region ('cat': every pixel is 0)",
            ),
            (
                PILImage.fromarray(np.arange(768, dtype=np.uint16).reshape(24, 32)),
                "head.png",
                {},
                "its 768 gray values are neither a mask nor labels",
            ),
            (PILImage.linear_gradient("L"), "head.png", {}, "its 256 gray values are neither a mask nor labels"),
            (PILImage.new("L", (12, 8), 255), "head.jpg", {}, "JPEG blurs the border of a mask; save it as PNG"),
            (PILImage.linear_gradient("L").convert("RGB"), "head.png", {}, "it has several colours besides black"),
            (PILImage.linear_gradient("L").convert("LA"), "head.png", {}, "it has several colours besides black"),
            (
                PILImage.new("RGB", (2, 1), "red"),
                "head.png",
                {"labels": {1: "cat"}},
                "has mode 'RGB', one mask without",
            ),
        ],
    )
    def test_pictures_that_are_no_masks(
        self, picture: PILImage.Image, name: str, arguments: dict[str, Any], words: str, tmp_path: Path
    ) -> None:
        path = save(picture, tmp_path, name)
        with pytest.raises(LimeError) as caught:
            load_regions(path, **arguments)
        assert str(caught.value).startswith(f"region file '{name}'")
        assert words in str(caught.value)

    def test_two_colours_without_black_are_several(self, tmp_path: Path) -> None:
        picture = PILImage.new("RGB", (2, 1), "red")
        picture.putpixel((0, 0), (0, 0, 255))
        path = save(picture, tmp_path)
        assert "several colours" in refused(path)
        assert load_regions(path, labels="all")["all"].mask((1, 2)).all()

    @pytest.mark.parametrize("labels", [3, "", {}, ["background", "cat"], {"1": "cat"}, {1: ""}, {1: 2}, {True: "cat"}])
    def test_labels_that_cannot_be(self, labels: Any, tmp_path: Path) -> None:
        message = refused(save(indexed(LEVELS), tmp_path), labels=labels)
        assert message.startswith("load_regions: labels=")
        assert "must be one label, or a dict of values and labels" in message

    def test_a_picture_too_large_to_be_meant(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = save(PILImage.fromarray(INSIDE), tmp_path)
        monkeypatch.setattr(PILImage, "MAX_IMAGE_PIXELS", 10)
        assert "cannot be read" in refused(path)


class TestFiles:
    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", "is empty; it must be COCO or LabelMe JSON, Pascal VOC XML, or a mask picture (PNG)"),
            (b" \n", "is empty"),
            (b"0 0.5 0.5 0.1 0.1\n", "is in no format that is read; it must be COCO or LabelMe JSON"),
            (b"\x89PNG\r\n\x1a\nrest", "is in no format that is read"),
            (b'{"images": [', "is damaged or in no format that is read (JSONDecodeError("),
            (b'{"images": "\xff"}', "is damaged or in no format that is read"),
            (b"[" * 100_000, "is damaged or in no format that is read (RecursionError("),
            (b'[{"image_id": 1}]', "is a JSON list, which is in no format that is read"),
            (b"{}", "is JSON with the keys none, which"),
            (b'{"features": [], "type": 3}', "is JSON with the keys 'features', 'type', which"),
        ],
    )
    def test_what_is_no_region_file(self, content: bytes, words: str, write: Write) -> None:
        assert words in refused(write(content, "street"))

    def test_a_picture_cut_short(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        path = save(PILImage.fromarray(rng.integers(0, 2, (60, 60), dtype=np.uint8)), tmp_path)
        path.write_bytes(path.read_bytes()[:200])
        assert "head.png" in refused(path)

    def test_files_that_are_not_there(self, tmp_path: Path) -> None:
        path = tmp_path / "nowhere.json"
        assert refused(path) == (
            f"region file 'nowhere.json' does not exist (looked for {str(path)!r}); check the name, "
            "or build the path from the test's own folder with Path(__file__).parent."
        )
        assert refused(tmp_path) == f"region file {tmp_path.name!r} is a folder; pass the path of one file."
        assert "cannot be read (embedded null byte)" in refused("a\0b")

    def test_a_name_of_bytes_can_be_told(self, tmp_path: Path) -> None:
        message = refused(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.json"))
        assert message.startswith(r"region file '\\udcff.json' does not exist")

    @pytest.mark.parametrize("path", [None, 3, ["street.json"]])
    def test_what_is_no_path(self, path: Any) -> None:
        assert "is no path; pass that of COCO" in refused(path)

    @pytest.mark.parametrize("image", [True, 1.5, ["street.png"]])
    def test_what_is_no_picture(self, image: Any, write: Write) -> None:
        message = refused(write(coco({"bbox": [0, 0, 1, 1]})), image=image)
        assert message.endswith("must be a file name, or the id of a picture.")

    def test_labels_are_for_pictures(self, write: Write) -> None:
        message = refused(write(coco({"bbox": [0, 0, 1, 1]})), labels={1: "cat"})
        assert message.startswith("region file 'street.json': labels={1: 'cat'} names the values of a mask picture")

    @pytest.mark.parametrize("name", ["street.txt", "street", "street.png"])
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_the_content_counts_and_not_the_suffix(self, name: str, encoding: str, write: Write) -> None:
        for document in (json.dumps(coco({"bbox": [0, 0, 1, 1]})), voc(thing("cat", bndbox(1, 1, 2, 2)))):
            assert list(load_regions(write(document.encode(encoding), name))) == ["cat"]

    def test_a_file_that_changed_is_read_anew(self, write: Write) -> None:
        for x in (1, 2, 1):
            assert load_regions(write(coco({"bbox": [x, 0, 1, 1]})))["cat"].shapes == (Box(x, 0, x + 1, 1),)


def boxes(*corners: tuple[float, float, float, float], size: Any = SIZE) -> dict[str, Any]:
    return coco(*({"bbox": [x0, y0, x1 - x0, y1 - y0]} for x0, y0, x1, y1 in corners), size=size)


class TestRegions:
    """What is read behaves as any region does, with a name of its own."""

    def test_its_name_is_short_however_many_shapes_it_has(self, write: Write) -> None:
        cat = load_regions(write(boxes(*[(x % 12, 0, x % 12 + 1, 1) for x in range(300)])))["cat"]
        assert repr(cat) == "street.json['cat']"
        assert repr(cat.instances[7]) == "street.json['cat'].instances[7]"
        assert repr(~cat & whole()) == "~street.json['cat'] & whole()"
        assert len(cat.shapes) == len(cat.instances) == 300
        assert cat.instances[7].instances == ()

    def test_an_unknown_label_is_told_with_the_nearest(self, write: Write) -> None:
        regions = load_regions(write(coco({"bbox": [0, 0, 1, 1]}, {"bbox": [0, 0, 1, 1], "category_id": 3})))
        with pytest.raises(RegionError) as caught:
            _ = regions["cats"]
        assert str(caught.value) == (
            "region file 'street.json' has no label 'cats'; the nearest is 'cat'; its labels are 'cat', 'dog'."
        )
        assert {entry.path for entry in caught.traceback.filter(caught)} == {Path(__file__)}
        with pytest.raises(RegionError, match="has no label 0; its labels are 'cat', 'dog'"):
            _ = regions[0]  # type: ignore[index]
        assert regions.get("cats") is None
        assert "cats" not in regions

    def test_it_combines_and_projects_as_its_shapes_do(self, write: Write) -> None:
        cat = load_regions(write(boxes((1, 2, 5, 6), (7, 0, 11, 3))))["cat"]
        plain = Box(1, 2, 5, 6) | Box(7, 0, 11, 3)
        # The model sees columns 1 to 11 of the file at 3×5.
        view = View(size=SIZE, box=(1.0, 0.0, 11.0, 8.0), shape=(3, 5))
        for ours, theirs in [(cat, plain), (~cat, ~plain), (cat & Box(0, 0, 6, 8), plain & Box(0, 0, 6, 8))]:
            np.testing.assert_array_equal(ours.mask(SIZE), theirs.mask(SIZE))
            np.testing.assert_array_equal(ours.project(view), theirs.project(view))
            assert ours.bounds(SIZE) == theirs.bounds(SIZE)
        assert cat.project(view).any()

    def test_a_known_projection(self, tmp_path: Path) -> None:
        # The middle half of the file, at half its scale.
        view = View(size=SIZE, box=(2.0, 0.0, 10.0, 8.0), shape=(4, 4))
        head = load_regions(save(PILImage.fromarray(Box(2, 2, 6, 6).mask(SIZE)), tmp_path))["head"]
        assert np.argwhere(head.project(view)).tolist() == [[1, 0], [1, 1], [2, 0], [2, 1]]

    @pytest.mark.parametrize("size", [SIZE, None])
    def test_shapes_outside_the_image_are_told(self, size: Any, write: Write) -> None:
        cat = load_regions(write(boxes((1, 1, 3, 3), (8, 0, 20, 4), size=size)))["cat"]
        with pytest.raises(RegionError) as caught:
            check_region(cat, SIZE, "cat.png")
        assert str(caught.value).startswith(
            "street.json['cat'] on image 'cat.png', which is 12×8 pixels, reaches outside of it (from x=1, y=0 to "
        )
        assert check_region(cat & whole(), SIZE, "cat.png").sum() == 4 + 16

    def test_shares_of_the_image_are_recognised(self, write: Write) -> None:
        cat = load_regions(write(boxes((0.1, 0.1, 0.4, 0.45))))["cat"]
        with pytest.raises(RegionError, match="coordinates are pixels, not shares of the image"):
            check_region(cat, SIZE, "cat.png")

    def test_a_sliver_beside_others_is_no_mistake(self, write: Write) -> None:
        cat = load_regions(write(boxes((1, 1, 3, 3), (4.6, 4.6, 5.4, 5.4))))["cat"]
        assert check_region(cat, SIZE, "cat.png").sum() == 4
        with pytest.raises(RegionError, match=r"^street\.json\['cat'\]\.instances\[1\] on image .* is empty"):
            check_region(cat.instances[1], SIZE, "cat.png")

    @pytest.mark.parametrize("combine", [lambda cat: cat, lambda cat: ~cat, lambda cat: cat.instances[0] | whole()])
    def test_an_image_of_another_size_is_told(self, combine: Any, write: Write) -> None:
        cat = load_regions(write(boxes((1, 1, 3, 3))))["cat"]
        with pytest.raises(RegionError) as caught:
            check_region(combine(cat), (16, 24), "cat.png")
        assert str(caught.value).removeprefix("street.json['cat']").removeprefix(".instances[0]") == (
            " was drawn on an image of 12×8 pixels and image 'cat.png' is 24×16 pixels: "
            "the file must describe the image file itself, before the model's resize and crop."
        )
        with pytest.raises(RegionError, match="width and height are swapped, as by an EXIF orientation"):
            check_region(combine(cat), (12, 8), "cat.png")

    @pytest.mark.parametrize(
        "annotation", [{"bbox": [1, 1, 2, 2]}, {"segmentation": uncompressed(INSIDE)}], ids=["box", "mask"]
    )
    def test_they_pickle_and_cannot_be_changed(self, annotation: dict[str, Any], write: Write) -> None:
        regions = load_regions(write(coco(annotation)))
        copy = pickle.loads(pickle.dumps(regions))
        assert list(copy) == ["cat"]
        assert isinstance(copy["cat"], FileRegion)
        np.testing.assert_array_equal(copy["cat"].mask(SIZE), regions["cat"].mask(SIZE))
        with pytest.raises(RegionError, match="has no label 'dog'"):
            _ = copy["dog"]
        with pytest.raises(ValueError, match="read-only"):
            regions["cat"].mask(SIZE)[0, 0] = True

    def test_masks_of_files_are_the_packages_own(self, write: Write, tmp_path: Path) -> None:
        assert isinstance(load_regions(write(coco({"segmentation": compressed(INSIDE)})))["cat"].shapes[0], Mask)
        assert isinstance(load_regions(save(PILImage.fromarray(INSIDE), tmp_path))["head"].shapes[0], Mask)
