"""Regions of a suite: shapes, files, names, and what they are combined to."""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pytest_lime.errors import LimeError, is_for_the_user, nearest, one_line
from pytest_lime.region_files import load_regions
from pytest_lime.regions import Box, Ellipse, Mask, Polygon, Region, whole
from pytest_lime.suites.images import check_pattern, file_beside, filled
from pytest_lime.suites.kinds import Either, Field, Fields, Forms, Kind, ListOf, Number, Ref, Text
from pytest_lime.suites.reading import Part

__all__ = ["REGION", "REGION_FORMS", "Area", "Areas"]

__tracebackhide__ = is_for_the_user

T = TypeVar("T")
WHOLE = "whole"
# So many files of one region are kept; the images of a set come one after another.
KEPT = 4
REGION: Kind = Ref("region", lambda: REGION_FORMS)


def _form(words: str, about: str, kind: Kind, needed: tuple[str, ...] = (), **more: Field) -> Fields:
    lead = words.rpartition(" ")[2]
    return Fields(words, {lead: Field(kind, about), **more}, (lead, *needed))


def _numbers(names: str) -> ListOf:
    return ListOf(f"four numbers, {names}", Number(), 4, 4)


POINT = ListOf("a pair of numbers, x and y", Number(), 2, 2)
REGION_FORMS: Kind = Either(
    (
        Text("the name of a region"),
        Forms(
            "a region",
            (
                _form("a box", "x0, y0, x1, y1 in pixels of the image file", _numbers("x0, y0, x1 and y1")),
                _form("an ellipse", "centre and radii, cx, cy, rx, ry", _numbers("cx, cy, rx and ry")),
                _form("a polygon", "its corners, each x and y", ListOf("a list of three points or more", POINT, 3)),
                _form("a mask", "a picture of the image's size, not 0 inside; may have {stem}", Text("a path")),
                _form(
                    "a file",
                    "annotations (COCO, LabelMe, Pascal VOC, mask picture); may have {stem}",
                    Text("a path"),
                    ("label",),
                    label=Field(Text(), "which of the file's labels"),
                    image=Field(Text(), "which picture of a COCO file, such as {name}"),
                ),
                _form("a region with not", "all but this region", REGION),
                _form("a region with any", "the union of these", ListOf("a list of regions", REGION)),
                _form("a region with all", "what these have in common", ListOf("a list of regions", REGION)),
            ),
        ),
    )
)


@dataclasses.dataclass(frozen=True, eq=False)
class Area:
    """A region as a suite writes it.

    Attributes
    ----------
    known : Region or None
        The region, where it is the same for each image and no file must be read for it.
    make : function of the path of an image
        Returns the region on that image.
    """

    known: Region | None
    make: Callable[[Path], Region]


def _fixed(region: Region) -> Area:
    return Area(region, lambda image: region)


class Areas:
    """The regions of a suite by name.

    Parameters
    ----------
    named : mapping
        The values of ``regions``, checked to be of the kind `REGION`.
    folder : Path
        What paths start from.
    """

    def __init__(self, named: Part | None, folder: Path) -> None:
        self._named: Mapping[str, Part] = named.value if named else {}
        self._folder = folder
        self._made: dict[str, Area] = {}
        self._open: list[str] = []
        if named and WHOLE in self._named:
            raise named.keys[WHOLE].error("region 'whole' is the whole image; give this one another name")
        # A mistake in a region is told whether a claim speaks of it or not.
        for name in self._named:
            self._by_name(name, self._named[name])

    def read(self, part: Part) -> Area:
        """Return what `part`, of the kind `REGION`, stands for.

        Raises
        ------
        SuiteError
            There is no region of that name, it is made of itself, or it cannot be.
        """
        if isinstance(part.value, str):
            return self._by_name(part.value, part)
        shape = next(name for name in SHAPES if name in part.value)
        return SHAPES[shape](self, part, part.value[shape])

    def _by_name(self, name: str, place: Part) -> Area:
        if name in self._open:
            raise place.error(f"region {name!r} is made of itself, by way of {' and '.join(map(repr, self._open))}")
        if name not in self._made:
            if name == WHOLE:
                return _fixed(whole())
            if name not in self._named:
                known = [*self._named, WHOLE]
                raise place.error(
                    f"there is no region {one_line(name)}{nearest(name, known)}; regions are {', '.join(known)}"
                )
            self._open.append(name)
            self._made[name] = self.read(self._named[name])
            self._open.pop()
        return self._made[name]

    def _shape(self, kind: Callable[..., Region], part: Part, values: Sequence[Any]) -> Area:
        try:
            return _fixed(kind(*values))
        except LimeError as error:
            raise part.error(str(error)) from None

    def box(self, part: Part, value: Part) -> Area:
        """Return a `Box`."""
        return self._shape(Box, value, value.plain())

    def ellipse(self, part: Part, value: Part) -> Area:
        """Return an `Ellipse`."""
        return self._shape(Ellipse, value, value.plain())

    def polygon(self, part: Part, value: Part) -> Area:
        """Return a `Polygon`."""
        return self._shape(Polygon, value, [value.plain()])

    def mask(self, part: Part, value: Part) -> Area:
        """Return a `Mask`, which is read when it is needed."""
        file_beside(value, self._folder)
        read = functools.lru_cache(KEPT)(Mask)

        def make(image: Path) -> Region:
            return _told(value, lambda: read(self._folder / filled(value.value, image, self._folder)))

        return Area(None, make)

    def file(self, part: Part, value: Part) -> Area:
        """Return a region of an annotation file, which is read when it is needed."""
        file_beside(value, self._folder)
        texts = {name: part.value[name] for name in ("label", "image") if name in part.value}
        for one in texts.values():
            check_pattern(one)
        read = functools.lru_cache(KEPT)(load_regions)

        def make(image: Path) -> Region:
            path = self._folder / filled(value.value, image, self._folder)
            said = {name: filled(one.value, image, self._folder) for name, one in texts.items()}
            regions = _told(value, lambda: read(path, image=said.get("image")))
            found: Region = _told(texts["label"], lambda: regions[said["label"]])
            return found

        return Area(None, make)

    def invert(self, part: Part, value: Part) -> Area:
        """Return all but a region."""
        return self._combined([value], operator.invert)

    def unite(self, part: Part, value: Part) -> Area:
        """Return the union of regions."""
        return self._combined(value.value, lambda *regions: functools.reduce(operator.or_, regions))

    def intersect(self, part: Part, value: Part) -> Area:
        """Return what regions have in common."""
        return self._combined(value.value, lambda *regions: functools.reduce(operator.and_, regions))

    def _combined(self, parts: Sequence[Part], combine: Callable[..., Region]) -> Area:
        areas = [self.read(part) for part in parts]
        known = [area.known for area in areas if area.known is not None]
        if len(known) == len(areas):
            return _fixed(combine(*known))
        return Area(None, lambda image: combine(*(area.make(image) for area in areas)))


SHAPES: dict[str, Callable[[Areas, Part, Part], Area]] = {
    "box": Areas.box,
    "ellipse": Areas.ellipse,
    "polygon": Areas.polygon,
    "mask": Areas.mask,
    "file": Areas.file,
    "not": Areas.invert,
    "any": Areas.unite,
    "all": Areas.intersect,
}


def _told(part: Part, make: Callable[[], T]) -> T:
    """Return what `make` returns; an error of ours says the place of `part`."""
    try:
        return make()
    except LimeError as error:
        raise part.error(str(error)) from None
