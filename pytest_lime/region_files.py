"""Region files: annotations of COCO, Pascal VOC and LabelMe, and mask pictures, read as regions by label name."""

from __future__ import annotations

import base64
import dataclasses
import functools
import io
import json
import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, NoReturn, TypeVar
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import UnidentifiedImageError

from pytest_lime.errors import OptionError, RegionError, is_for_the_user, nearest, one_line, user_error
from pytest_lime.extras import require
from pytest_lime.regions import Bounds, Box, Ellipse, Mask, Polygon, Region

__all__ = ["FileRegion", "FileRegions", "load_regions"]

__tracebackhide__ = is_for_the_user

T = TypeVar("T")
Size = tuple[int, int]  # height, width
READ = "COCO or LabelMe JSON, Pascal VOC XML, or a mask picture (PNG)"
# Pascal VOC and Cityscapes: the border between objects, and what nobody labelled.
VOID = 255
# A gray picture with more values than this has soft borders, or is a photograph.
MOST_VALUES = 64
NO_AREA = ("line", "linestrip", "point", "points")  # of LabelMe


@dataclasses.dataclass(frozen=True, repr=False)
class FileRegion(Region):
    """A region read from a file: all instances of a label together, or one of them.

    It is made by `load_regions`, combines as any region does, and may be used on images
    of the size that the file says.

    Attributes
    ----------
    name : str
        Words for it in messages and reports, such as ``street.json['cat']``.
    shapes : tuple of Region
        The boxes, polygons, ellipses and masks that it is the union of.
    size : (height, width) or None
        Of the image that it belongs to, in pixels, where the file says it.
    instances : tuple of FileRegion
        The single objects of a label, in the file's order; empty for a single object.
    """

    name: str
    shapes: tuple[Region, ...]
    size: Size | None
    instances: tuple[FileRegion, ...] = ()

    def __repr__(self) -> str:
        return self.name

    def bounds(self, size: Size) -> Bounds:
        """Return x0, y0, x1, y1 round all shapes, in pixels; it may reach beyond an image of `size`."""
        x0, y0, x1, y1 = zip(*(shape.bounds(size) for shape in self.shapes), strict=True)
        return min(x0), min(y0), max(x1), max(y1)

    # Unlike a union that somebody wrote, one of annotated shapes may have some that hold no pixel: it is checked whole.
    def check(self, size: Size, image: str, *, cut: bool = False) -> None:
        """Raise a `RegionError` where this cannot be meant of an image of `size`, as `Region.check` does."""
        if self.size is not None and self.size != size:
            swapped = "; width and height are swapped, as by an EXIF orientation that the annotation tool ignored"
            raise RegionError(
                f"{self!r} was drawn on an image of {_pixels(self.size)} and image {image!r} is {_pixels(size)}: "
                "the file must describe the image file itself, before the model's resize and crop"
                f"{swapped if self.size == size[::-1] else ''}."
            )
        super().check(size, image, cut=cut)

    def mask(self, size: Size) -> NDArray[np.bool_]:
        """Return the region as a bool array of `size` (height, width)."""
        return _union(self.shapes, size)


# A check asks for the mask again and again, and hundreds of polygons on a large photograph take seconds.
@functools.lru_cache(maxsize=8)
def _union(shapes: tuple[Region, ...], size: Size) -> NDArray[np.bool_]:
    inside = np.zeros(size, dtype=bool)
    for shape in shapes:
        inside |= shape.mask(size)
    inside.setflags(write=False)
    return inside


class FileRegions(dict[str, FileRegion]):
    """The regions of a file by label name, in the file's order; an unknown label is a `RegionError`."""

    def __init__(self, subject: str, regions: Mapping[str, FileRegion], skipped: Mapping[str, str]) -> None:
        super().__init__(regions)
        self.subject = subject
        self.skipped = skipped  # labels without a region, each with the reason

    def __missing__(self, label: object) -> NoReturn:
        if isinstance(label, str) and label in self.skipped:
            raise RegionError(f"{self.subject}: label {label!r} is no region: {self.skipped[label]}.")
        raise RegionError(
            f"{self.subject} has no label {one_line(label)}{nearest(label, self)}; its labels are {_listed(self)}."
        )


class _Found(NamedTuple):
    """One object of a file: its shapes, or the reason why it is no region."""

    label: str
    shapes: tuple[Region, ...]
    reason: str = ""
    group: object = None  # objects of one label and one group that is not None are one instance


class _Content(NamedTuple):
    """What a reader finds: the size of the image, where the file says it, and the objects on it."""

    size: Size | None
    found: Sequence[_Found]


@user_error
def load_regions(
    path: str | os.PathLike[str],
    *,
    image: str | os.PathLike[str] | int | None = None,
    labels: str | Mapping[int, str] | None = None,
) -> FileRegions:
    """Read the regions of an annotation file, by label name.

    The format is recognised from the content. Coordinates are pixels of the image file,
    and where the file says the image's size, that of the image must be the same.

    ============ ==========================================================================
    format       what is read
    ============ ==========================================================================
    COCO         polygons, run-length masks of both kinds (compressed ones need the extra
                 ``coco``), and the ``bbox`` of annotations that have neither; crowds, too
    Pascal VOC   ``bndbox``, whose pixels count from 1 and include the last: xmin = 1 is the
                 left border; a ``polygon`` (x1, y1, x2, …) in its place as it is written;
                 the parts of an object as ``"person/head"``
    LabelMe      polygons, rectangles, circles and masks; shapes of one label that share a
                 ``group_id`` are one instance; points and lines have no area
    mask picture indexed, or gray with several values: a label for each value, ``"1"`` and
                 so on, but for 0 (background) and, at eight bits, 255 (void); any other is
                 one mask, not 0 inside, with the file's name (without suffix) as label
    ============ ==========================================================================

    Parameters
    ----------
    path : path
        The file.
    image : path or int, optional
        The picture, by file name or id, where a COCO file describes several. A folder
        before the name counts where the file has one, too. A Pascal VOC or LabelMe file
        must be of this picture; a mask names none, so nothing is checked.
    labels : str or mapping of int to str, optional
        Of a mask picture: the label of the whole mask, or the labels of its values,
        0 and 255 among them if need be.

    Returns
    -------
    FileRegions
        A dictionary: for each label the union of all its instances, which are in
        ``regions[label].instances``.

    Raises
    ------
    RegionError
        The file is missing, damaged, in no such format, describes no region or not the
        one `image`; or a label is asked for that it does not have.
    OptionError
        `image` or `labels` does not go with the format, or pycocotools is not installed.

    Notes
    -----
    The formats are those of https://cocodataset.org/#format-data, of the development kit
    of http://host.robots.ox.ac.uk/pascal/VOC/voc2012/, and of
    https://github.com/wkentaro/labelme.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = pathlib.Path(folder.name, "street.json")
    >>> cat = {"label": "cat", "shape_type": "rectangle", "points": [[4, 2], [9, 7]]}
    >>> _ = file.write_text(json.dumps({"shapes": [cat], "imageWidth": 12, "imageHeight": 8}))
    >>> regions = load_regions(file)
    >>> regions["cat"], regions["cat"].instances, regions["cat"].shapes
    (street.json['cat'], (street.json['cat'].instances[0],), (Box(4, 2, 9, 7),))
    >>> regions["cats"]
    Traceback (most recent call last):
    pytest_lime.RegionError: region file 'street.json' has no label 'cats'; the nearest is 'cat'; its labels are 'cat'.
    >>> folder.cleanup()
    """
    if not isinstance(path, str | os.PathLike):
        raise RegionError(f"load_regions: {one_line(path)} is no path; pass that of {READ}.")
    if image is not None and (not isinstance(image, str | os.PathLike | int) or isinstance(image, bool)):
        raise OptionError(f"load_regions: image={one_line(image)} must be a file name, or the id of a picture.")
    file = Path(path)
    # A name of bytes that are no UTF-8 could neither be printed nor stored.
    name = file.name.encode("utf-8", "backslashreplace").decode("utf-8")
    subject = f"region file {name!r}"
    content = _text_of(file, subject)
    if content is None:
        size, found = _mask_picture(file, _checked_labels(labels), subject)
    else:
        if labels is not None:
            raise OptionError(
                f"{subject}: labels={one_line(labels)} names the values of a mask picture, "
                "and this file names its own; leave it out."
            )
        size, found = _annotations(content, image, subject)
    regions = _by_label(name, size, found)
    skipped = {one.label: one.reason for one in found if one.reason and one.label not in regions}
    if not regions:
        why = "; ".join(f"{label!r}: {reason}" for label, reason in skipped.items())
        of = f" of image {_shown(image)}" if image is not None else ""
        raise RegionError(f"{subject} describes no region{of}{f' ({why})' if why else ''}; annotate the image anew.")
    return FileRegions(subject, regions, skipped)


def _by_label(name: str, size: Size | None, found: Sequence[_Found]) -> dict[str, FileRegion]:
    instances: dict[str, dict[object, tuple[Region, ...]]] = {}
    for index, one in enumerate(found):
        if one.shapes:
            groups = instances.setdefault(one.label, {})
            key = (index, None) if one.group is None else (None, repr(one.group))
            groups[key] = (*groups.get(key, ()), *one.shapes)
    return {
        label: FileRegion(
            f"{name}[{label!r}]",
            tuple(shape for shapes in groups.values() for shape in shapes),
            size,
            tuple(
                FileRegion(f"{name}[{label!r}].instances[{number}]", shapes, size)
                for number, shapes in enumerate(groups.values())
            ),
        )
        for label, groups in instances.items()
    }


# Files


def _text_of(file: Path, subject: str) -> bytes | None:
    """Return the content of a file of JSON or XML, and None for every other."""
    try:
        with file.open("rb") as opened:
            head = opened.read(64)
            if _first(head) in (b"{", b"[", b"<"):
                return head + opened.read()
    except FileNotFoundError:
        raise RegionError(
            f"{subject} does not exist (looked for {str(file)!r}); check the name, "
            "or build the path from the test's own folder with Path(__file__).parent."
        ) from None
    except IsADirectoryError:
        raise RegionError(f"{subject} is a folder; pass the path of one file.") from None
    except (OSError, ValueError) as error:
        raise RegionError(f"{subject} cannot be read ({error}); check the path.") from None
    if not head.strip():
        raise RegionError(f"{subject} is empty; it must be {READ}.")
    return None


def _first(head: bytes) -> bytes:
    # JSON and XML may begin with a byte order mark, and have a zero in every other byte.
    return head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")[:1]


def _annotations(content: bytes, image: Any, subject: str) -> _Content:
    try:
        document = _parsed(content)
    except RegionError:
        raise RegionError(
            f"{subject} has a DOCTYPE, which annotations do not need and which may hide others' files; take it out."
        ) from None
    # Nested without end, in an unknown encoding, or no such text at all.
    except (ElementTree.ParseError, LookupError, RecursionError, ValueError) as error:
        raise RegionError(
            f"{subject} is damaged or in no format that is read ({one_line(error)}); it must be {READ}."
        ) from None
    if isinstance(document, ElementTree.Element):
        if document.tag == "annotation":
            return _voc(document, image, subject)
        told = f"XML with the root <{document.tag}>"
    elif isinstance(document, dict):
        if "images" in document and "annotations" in document:
            return _coco(document, image, subject)
        if "shapes" in document:
            return _labelme(document, image, subject)
        told = f"JSON with the keys {_listed(document)}"
    else:
        told = "a JSON list"
    raise RegionError(f"{subject} is {told}, which is in no format that is read; it must be {READ}.")


class _Builder(ElementTree.TreeBuilder):
    def doctype(self, *_: object) -> NoReturn:
        # Entities, which may expand without end or read other files, are declared nowhere else.
        raise RegionError("DOCTYPE")


@functools.lru_cache(maxsize=1)
def _parsed(content: bytes) -> Any:
    """Parse JSON or XML; the latest stays, since a suite asks one COCO file for picture after picture."""
    if _first(content[:64]) == b"<":
        return ElementTree.fromstring(content, parser=ElementTree.XMLParser(target=_Builder()))
    return json.loads(content)


# COCO


def _coco(document: dict[str, Any], image: Any, subject: str) -> _Content:
    picture = _chosen(_entries(document, "images", subject), image, subject)
    size = _size(picture.get("height"), picture.get("width"))
    names = {str(one["id"]): one.get("name") for one in _entries(document, "categories", subject) if "id" in one}
    found = []
    for number, entry in enumerate(_entries(document, "annotations", subject)):
        if entry.get("image_id") != picture.get("id"):
            continue
        label = names.get(str(entry.get("category_id")))
        place = f"{subject}: annotation {entry.get('id', number)!r} ({label!r})"
        if not isinstance(label, str) or not label:
            raise RegionError(
                f"{place} has category_id {one_line(entry.get('category_id'))}; "
                f"it must be the id of a category with a name: {_listed(names)}."
            )
        shapes = _placed(place, functools.partial(_coco_shapes, entry, size, place))
        if size is None and shapes and isinstance(shapes[0], Mask):
            size = shapes[0].inside.shape[0], shapes[0].inside.shape[1]
        found.append(_Found(label, shapes, "" if shapes else "it has neither a segmentation nor a bbox"))
    return _Content(size, found)


def _chosen(pictures: list[dict[str, Any]], image: Any, subject: str) -> dict[str, Any]:
    names = [picture.get("file_name", picture.get("id")) for picture in pictures]
    if not pictures:
        raise RegionError(f"{subject} describes no image; annotate one.")
    if image is None:
        if len(pictures) == 1:
            return pictures[0]
        raise RegionError(
            f"{subject} describes {len(pictures)} images; "
            f"choose one with image=, by its file name or id: {_listed(names)}."
        )
    chosen = [
        picture
        for picture in pictures
        if picture.get("id") == image or (picture.get("file_name") and _same_picture(str(picture["file_name"]), image))
    ]
    if len(chosen) == 1:
        return chosen[0]
    if not chosen:
        raise RegionError(
            f"{subject} describes no image {_shown(image)}{nearest('/'.join(_tail(image)[-1:]), names)}; "
            f"its images are {_listed(names)}."
        )
    exact = [picture for picture in chosen if _tail(str(picture.get("file_name", ""))) == _tail(image)]
    if len(exact) == 1:
        return exact[0]
    raise RegionError(
        f"{subject} describes {len(chosen)} images {_shown(image)}; choose one by its id: "
        f"{_listed([picture.get('id') for picture in chosen])}."
    )


def _coco_shapes(entry: dict[str, Any], size: Size | None, place: str) -> tuple[Region, ...]:
    segmentation, bbox = entry.get("segmentation"), entry.get("bbox")
    if isinstance(segmentation, dict):
        return (Mask(_run_lengths(segmentation, size, place)),)
    if segmentation:
        if not isinstance(segmentation, list) or not all(isinstance(flat, list) for flat in segmentation):
            raise RegionError(
                f"segmentation {one_line(segmentation)} must be a list of polygons, each [x1, y1, x2, y2, …], "
                "or a run-length mask"
            )
        return tuple(Polygon(_pairs(flat)) for flat in segmentation)
    if bbox:
        x, y, width, height = _numbers(bbox, 4, "bbox must be x, y, width and height, in pixels")
        if min(width, height) <= 0:
            raise RegionError(f"bbox {one_line(bbox)} is empty; its width and height must be greater than 0")
        return (Box(x, y, x + width, y + height),)
    return ()


def _run_lengths(segmentation: dict[str, Any], size: Size | None, place: str) -> NDArray[np.bool_]:
    """Decode a run-length mask: the lengths of runs of 0 and 1 in turn, down the columns."""
    counts, of = segmentation.get("counts"), segmentation.get("size")
    if not isinstance(of, list) or len(of) != 2 or not all(type(side) is int and side > 0 for side in of):
        raise RegionError(f"the run-length mask has size {one_line(of)}; it must be [height, width], in pixels")
    height, width = of
    if size is not None and (height, width) != size:
        raise RegionError(
            f"the run-length mask is {_pixels((height, width))} and its image {_pixels(size)}; they must be equal"
        )
    if isinstance(counts, list):
        if not all(type(count) is int and count >= 0 for count in counts) or sum(counts) != height * width:
            raise RegionError(f"the run lengths {one_line(counts)} do not add up to {_pixels((height, width))}")
        flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    else:
        flat = _decompressed(counts, height * width, place)
    return flat.reshape((height, width), order="F")


def _decompressed(counts: Any, pixels: int, place: str) -> NDArray[np.bool_]:
    damaged = RegionError(
        f"the compressed run lengths {one_line(counts)} are damaged: they do not fill {pixels} pixels"
    )
    if not isinstance(counts, str):
        raise damaged
    coder = require("pycocotools.mask", extra="coco", needed_for=f"{place}, a compressed run-length mask,")

    def decode(room: int) -> Any:
        with warnings.catch_warnings():
            # pycocotools 2.0.11 is not yet written for NumPy 2, and works with it.
            warnings.simplefilter("ignore", DeprecationWarning)
            return coder.decode({"size": [room, 1], "counts": counts.encode()})

    try:
        inside: NDArray[np.bool_] = decode(pixels).ravel() != 0
    except ValueError:
        raise damaged from None
    # Where the runs end early, pycocotools leaves the rest of its memory as it was. They fill
    # all pixels exactly when there is no room for them in one pixel less.
    try:
        decode(pixels - 1)
    except ValueError:
        return inside
    raise damaged


# Pascal VOC


def _voc(root: ElementTree.Element, image: Any, subject: str) -> _Content:
    _check_picture(image, _text(root, "filename"), subject)
    size = _size(_text(root, "size/height"), _text(root, "size/width"))
    return _Content(size, list(_voc_objects(root, subject)))


def _voc_objects(root: ElementTree.Element, subject: str) -> Iterator[_Found]:
    for number, element in enumerate(root.iterfind("object")):
        label = _text(element, "name")
        for part, name in [(element, ""), *((part, _text(part, "name")) for part in element.iterfind("part"))]:
            place = f"{subject}: object {number} ({label!r})" + (f", part {name!r}" if part is not element else "")
            if not label or (part is not element and not name):
                raise RegionError(f"{place} has no name; give it one.")
            shape = _placed(place, functools.partial(_voc_shape, part))
            yield _Found(label if part is element else f"{label}/{name}", (shape,))


def _voc_shape(element: ElementTree.Element) -> Region:
    if element.find("polygon/x1") is not None:
        numbers: list[float] = []
        while element.find(f"polygon/x{len(numbers) // 2 + 1}") is not None:
            corner = len(numbers) // 2 + 1
            numbers += [_coordinate(element, f"polygon/{axis}{corner}") for axis in "xy"]
        return Polygon(_pairs(numbers))
    if element.find("bndbox") is None:
        raise RegionError("it has no bndbox; give it one, or a polygon")
    xmin, ymin, xmax, ymax = (_coordinate(element, f"bndbox/{end}") for end in ("xmin", "ymin", "xmax", "ymax"))
    if xmin > xmax or ymin > ymax:
        raise RegionError(
            f"bndbox from ({xmin:g}, {ymin:g}) to ({xmax:g}, {ymax:g}) is empty; it needs xmin ≤ xmax and ymin ≤ ymax"
        )
    # Pixels count from 1, and the last is inside.
    return Box(xmin - 1, ymin - 1, xmax, ymax)


def _text(element: ElementTree.Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _coordinate(element: ElementTree.Element, path: str) -> float:
    text = _text(element, path)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RegionError(f"{path}={text!r} must be a number, in pixels")
    return number


# LabelMe


def _labelme(document: dict[str, Any], image: Any, subject: str) -> _Content:
    named = document.get("imagePath")
    _check_picture(image, named if isinstance(named, str) else "", subject)
    size = _size(document.get("imageHeight"), document.get("imageWidth"))
    found = []
    for number, entry in enumerate(_entries(document, "shapes", subject)):
        label, kind = entry.get("label"), entry.get("shape_type") or "polygon"
        place = f"{subject}: shape {number} ({label!r}, {one_line(kind)})"
        if not isinstance(label, str) or not label:
            raise RegionError(f"{place} has no label; give it one.")
        if kind in NO_AREA:
            found.append(_Found(label, (), f"a {kind} has no area; draw a polygon, a rectangle or a circle"))
            continue
        shape = _placed(place, functools.partial(_labelme_shape, kind, entry, size))
        found.append(_Found(label, (shape,), group=entry.get("group_id")))
    return _Content(size, found)


def _labelme_shape(kind: str, entry: dict[str, Any], size: Size | None) -> Region:
    points = entry.get("points")
    if not isinstance(points, list):
        raise RegionError(f"points={one_line(points)} must be a list of points [x, y], in pixels")
    # Some tools write a rectangle as its four corners.
    if kind in ("polygon", "oriented_rectangle", "rotation") or (kind == "rectangle" and len(points) == 4):
        return Polygon(points)
    if kind not in ("rectangle", "circle", "mask"):
        raise RegionError("this type of shape is unknown; it must be polygon, rectangle, circle or mask")
    if len(points) != 2:
        raise RegionError(f"it has {len(points)} points, and needs two")
    (x0, y0), (x1, y1) = (_numbers(point, 2, "every point must be x and y, in pixels") for point in points)
    if kind == "rectangle":
        return Box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
    if kind == "circle":
        radius = math.hypot(x1 - x0, y1 - y0)
        return Ellipse(x0, y0, radius, radius)
    return Mask(_labelme_mask(entry.get("mask"), (round(x0), round(y0)), size))


def _labelme_mask(encoded: Any, corner: tuple[int, int], size: Size | None) -> NDArray[np.bool_]:
    """Lay the picture of a mask onto the image, its first pixel at `corner` (x, y)."""
    if size is None:
        raise RegionError("a mask needs imageHeight and imageWidth, whole numbers of pixels, in the file")
    try:
        with PILImage.open(io.BytesIO(base64.b64decode(encoded, validate=True))) as opened:
            patch = Mask(np.asarray(opened)).inside
    except (TypeError, ValueError, OSError, SyntaxError, PILImage.DecompressionBombError):
        raise RegionError(f"mask={one_line(encoded)} must be a gray PNG picture in base64") from None
    (x, y), (height, width) = corner, patch.shape
    if min(x, y) < 0 or y + height > size[0] or x + width > size[1]:
        raise RegionError(
            f"the mask of {_pixels((height, width))} at x={x}, y={y} reaches outside of the image, "
            f"which is {_pixels(size)}"
        )
    try:
        inside = np.zeros(size, dtype=bool)
    except (MemoryError, ValueError):
        raise RegionError(f"its image, {_pixels(size)} as the file says, is too large for the memory") from None
    inside[y : y + height, x : x + width] = patch
    return inside


# Mask pictures


def _mask_picture(file: Path, labels: str | Mapping[int, str] | None, subject: str) -> _Content:
    try:
        with PILImage.open(file) as opened:
            mask = Mask(file)
            size = (opened.height, opened.width)
            if isinstance(labels, str):
                return _Content(size, [_area(labels, mask.inside, "every pixel is 0")])
            if opened.mode in ("P", "L", "I") or opened.mode.startswith("I;16"):
                return _Content(size, list(_levels(opened, labels, file.stem)))
            if labels is not None:
                raise OptionError(
                    f"{subject} has mode {opened.mode!r}, one mask without values that labels={one_line(labels)} could "
                    "name; give one label, or save it as an indexed or a gray picture."
                )
            _refuse_colours(opened)
            return _Content(size, [_area(file.stem, mask.inside, "every pixel is 0")])
    except UnidentifiedImageError:
        raise RegionError(f"{subject} is in no format that is read; it must be {READ}.") from None
    except OptionError:  # a ValueError, too
        raise
    except RegionError as error:
        raise RegionError(f"{subject}: {str(error).rstrip('.')}.") from None
    except (OSError, SyntaxError, ValueError, PILImage.DecompressionBombError) as error:
        raise RegionError(f"{subject} cannot be read ({error}); save it anew as PNG.") from None


def _area(label: str, inside: NDArray[np.bool_], reason: str) -> _Found:
    return _Found(label, (Mask(inside),)) if inside.any() else _Found(label, (), reason)


def _levels(opened: PILImage.Image, labels: Mapping[int, str] | None, stem: str) -> Iterator[_Found]:
    """Find an area for each value of a picture of indices or gray levels, or one for the only value of a mask."""
    array = np.asarray(opened)
    values = np.unique(array).tolist()
    if labels is None and opened.mode != "P":
        # As tools write masks: true is 1, or all bits.
        if set(values) <= {0, 1} or set(values) <= {0, 255} or set(values) <= {0, 65535}:
            yield _area(stem, array != 0, "every pixel is 0")
            return
        if len(values) > MOST_VALUES:
            raise RegionError(
                f"its {len(values)} gray values are neither a mask nor labels; "
                "make every pixel 0 or 255, or name the values with labels="
            )
    named = dict(labels or {})
    for value in values:
        if value in named:
            yield _area(named.pop(value), array == value, "")
        elif value == 0 or (value == VOID and opened.mode in ("P", "L")):
            kind = "void" if value else "background"
            yield _Found(str(value), (), f"{value} is the {kind} unless labels= names it")
        else:
            yield _area(str(value), array == value, "")
    for value, label in named.items():
        yield _Found(label, (), f"no pixel of the picture has the value {value}")


def _refuse_colours(opened: PILImage.Image) -> None:
    """Refuse a picture of several colours, which say by no rule what they stand for."""
    if opened.mode in ("1", "F") or (opened.mode in ("RGBA", "LA") and opened.getchannel("A").getextrema()[0] != 255):
        return
    colours = opened.convert("RGB").getcolors(2)
    if colours is None or (len(colours) == 2 and (0, 0, 0) not in [colour for _, colour in colours]):
        raise RegionError(
            "it has several colours besides black; save it as an indexed picture, one index a label, "
            'or take all that is not black as one region with labels="…"'
        )


def _checked_labels(labels: Any) -> str | Mapping[int, str] | None:
    if labels is None or (isinstance(labels, str) and labels):
        return labels
    fits = isinstance(labels, Mapping) and all(
        type(value) is int and isinstance(label, str) and label for value, label in labels.items()
    )
    if not fits or not labels:
        raise OptionError(
            f"load_regions: labels={one_line(labels)} must be one label, or a dict of values and labels; "
            "of a list that begins with value 0, make one by dict(enumerate(names))."
        )
    return dict(labels)


# What the readers share


def _placed(place: str, make: Callable[[], T]) -> T:
    """Return what `make` returns; where it raises a `RegionError`, say the place in the file."""
    try:
        return make()
    except (OverflowError, MemoryError):
        raise RegionError(f"{place}: a number is too large for a coordinate or a size.") from None
    except RegionError as error:
        raise RegionError(f"{place}: {str(error).rstrip('.')}.") from None


def _entries(document: dict[str, Any], key: str, subject: str) -> list[dict[str, Any]]:
    entries = document.get(key)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise RegionError(f"{subject}: {key!r} is {one_line(entries)}; it must be a list of objects.")
    return entries


def _numbers(values: Any, count: int, rule: str) -> list[float]:
    fits = isinstance(values, list) and len(values) == count
    if not fits or not all(type(value) in (int, float) and math.isfinite(value) for value in values):
        raise RegionError(f"{one_line(values)}: {rule}")
    return [float(value) for value in values]


def _pairs(flat: list[Any]) -> list[tuple[Any, Any]]:
    if len(flat) % 2 or len(flat) < 6:
        raise RegionError(
            f"polygon {one_line(flat)} has {len(flat)} numbers; it needs x and y of at least three points"
        )
    return list(zip(flat[::2], flat[1::2], strict=True))


def _size(height: Any, width: Any) -> Size | None:
    """Return the size that a file says; many tools leave it out, or write 0."""
    try:
        size = int(height), int(width)
    except (TypeError, ValueError, OverflowError):
        return None
    return size if min(size) > 0 else None


def _tail(name: Any) -> tuple[str, ...]:
    """Return the parts of a path, as far as they say the same from every folder."""
    path = str(name if isinstance(name, int) else os.fspath(name))
    return tuple(part for part in PurePosixPath(path.replace("\\", "/")).parts if part not in ("/", ".."))


def _same_picture(one: Any, other: Any) -> bool:
    """Whether two paths agree as far as the shorter one goes, from the end."""
    ours, theirs = _tail(one), _tail(other)
    length = min(len(ours), len(theirs))
    return length > 0 and ours[-length:] == theirs[-length:]


def _check_picture(image: Any, named: str, subject: str) -> None:
    if image is not None and named and (isinstance(image, int) or not _same_picture(named, image)):
        raise RegionError(
            f"{subject} describes image {named!r}, not {_shown(image)}; leave image= out to use it all the same."
        )


def _shown(image: Any) -> str:
    return one_line(image if isinstance(image, int) else os.fspath(image))


def _pixels(size: Size) -> str:
    return f"{size[1]}×{size[0]} pixels"


def _listed(names: Iterable[object]) -> str:
    known = list(names)
    more = f", … ({len(known)} in all)" if len(known) > 8 else ""
    return ", ".join(repr(name) for name in known[:8]) + more if known else "none"
