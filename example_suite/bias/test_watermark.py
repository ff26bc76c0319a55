"""A watermark of our own, drawn on photographs, and what it is to the shipped network.

Whatever else is shown, it adds little to the score. On the whole picture of the cat it does add something, and has more
of the weight than of the room: what two claims ask is not the same.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pytest_lime import Box, ClaimFailed, Lime, TorchModel, mass, no_reliance

WORDS = "stock photo"


@pytest.fixture(scope="session")
def lime_model(shipped: TorchModel) -> TorchModel:
    """The shipped network, not those that read digits."""
    return shipped


def watermarked(path: Path) -> tuple[NDArray[np.uint8], Box]:
    """Return a photograph with white words on black near its lower edge, in the middle, and where they are."""
    picture = Image.open(path).convert("RGB")
    width, height = picture.size
    font = ImageFont.load_default(size=height / 16)
    _, y0, x1, y1 = (round(end) for end in ImageDraw.Draw(picture).textbbox((0, 0), WORDS, font=font))
    left, top = (width - x1) // 2, round(0.92 * height) - y1
    box = left - 4, top + y0 - 4, left + x1 + 4, top + y1 + 4
    pen = ImageDraw.Draw(picture)
    pen.rectangle(box, fill="black")
    pen.text((left, top), WORDS, fill="white", font=font)
    return np.asarray(picture), Box(*box)


@pytest.mark.parametrize(
    ("name", "target"), [("chelsea.png", "Egyptian cat"), ("coffee.png", "espresso"), ("rocket.jpg", "missile")]
)
def test_a_watermark_adds_nothing(lime: Lime, photograph: Callable[[str], Path], name: str, target: str) -> None:
    picture, mark = watermarked(photograph(name))
    lime.check(picture, target, no_reliance(mark, at_most=0.1))


@pytest.mark.xfail(
    strict=True,
    raises=ClaimFailed,
    reason="on the whole picture the words make it surer of the cat: 0.61, and 0.35 without them",
)
@pytest.mark.parametrize(("name", "target"), [("chelsea.png", "Egyptian cat")])
def test_it_has_no_more_weight_than_room(lime: Lime, photograph: Callable[[str], Path], name: str, target: str) -> None:
    picture, mark = watermarked(photograph(name))
    lime.check(picture, target, mass(mark, at_most="area"))
