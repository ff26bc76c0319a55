"""A thing is known by what makes it that thing, and not by what usually lies around it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_lime import Ellipse, Lime, Polygon, mass, pointing, predicted, top_overlap

# SLIC asked for 50 once, and left at the some 40 that it makes of them: the fewer superpixels, the sooner the
# strongest four are told from the others.
COARSE = {"n_segments": 50}

# Outlines drawn by eye, in pixels of the photograph.
# fmt: off
CUP = Ellipse(291, 113, 118, 96) | Polygon([
    (174, 115), (180, 165), (205, 225), (200, 255), (196, 285), (205, 303), (225, 305), (262, 282),
    (290, 285), (310, 280), (325, 262), (350, 240), (375, 215), (390, 190), (403, 150), (408, 110)
])
SPOON = Polygon([
    (398, 70), (412, 66), (425, 75), (412, 120), (395, 190), (388, 215), (386, 245), (400, 258), (406, 280),
    (398, 305), (375, 324), (350, 322), (330, 300), (327, 278), (340, 255), (365, 235), (378, 205), (400, 140)
])
SAUCER = Ellipse(278, 229, 201, 160)

TRIPOD = Polygon([
    (288, 200), (298, 200), (300, 312), (312, 320), (340, 300), (340, 308), (315, 330), (407, 512),
    (228, 512), (276, 330), (278, 313), (287, 312)
])
CAMERAMAN = Polygon([
    (160, 90), (190, 66), (230, 66), (262, 95), (271, 125), (258, 135), (254, 170), (243, 180), (240, 198),
    (255, 225), (270, 195), (290, 205), (300, 190), (322, 170), (332, 185), (325, 205), (310, 230),
    (287, 245), (304, 275), (250, 312), (205, 295), (143, 380), (150, 512), (0, 512), (0, 250), (32, 215),
    (70, 150), (130, 125), (155, 105)
])

MOTORCYCLE = Polygon([
    (92, 200), (140, 195), (145, 155), (165, 158), (240, 175), (330, 190), (360, 170), (335, 130), (395, 108),
    (440, 120), (465, 130), (490, 95), (500, 40), (510, 40), (515, 95), (545, 118), (585, 125), (582, 145),
    (555, 165), (560, 210), (580, 262), (645, 300), (683, 370), (680, 420), (650, 450), (615, 448),
    (570, 430), (530, 385), (510, 335), (470, 365), (430, 385), (345, 380), (340, 435), (320, 435),
    (328, 385), (270, 365), (240, 395), (200, 402), (150, 385), (122, 330), (122, 285), (140, 245), (108, 245)
])

BLURRED_CLOCK = Ellipse(213, 154, 72, 63)
# fmt: on


def test_the_espresso_is_recognised_by_its_cup(lime: Lime, photograph: Callable[[str], Path]) -> None:
    table = ~(CUP | SAUCER | SPOON)
    lime.check(
        photograph("coffee.png"),
        "espresso",
        predicted(at_least=0.5),
        top_overlap(CUP, k=4, at_least=3),
        mass(CUP, at_least=0.5),
        mass(SPOON, at_most=0.1),
        mass(table, at_most="area"),
        segmenter_parameters=COARSE,
    )


def test_the_tripod_is_recognised_by_itself_and_not_by_the_man_behind_it(
    lime: Lime, photograph: Callable[[str], Path]
) -> None:
    lime.check(
        photograph("camera.png"),
        "tripod",
        predicted(at_least=0.5),
        pointing(TRIPOD),
        mass(TRIPOD, at_least=0.5),
        mass(CAMERAMAN, at_most="area"),
    )


def test_the_moped_is_recognised_by_the_bike_and_not_by_the_garage(
    lime: Lime, photograph: Callable[[str], Path]
) -> None:
    lime.check(
        photograph("motorcycle_left.png"),
        "moped",
        predicted(rank=1),
        top_overlap(MOTORCYCLE, k=4, at_least=3),
        mass(MOTORCYCLE, at_least=0.6),
        segmenter_parameters=COARSE,
    )


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="most of the weight lies on the bare wall around the clock; painted an even gray, the wall ends the bubble",
)
def test_the_blurred_clock_passes_for_a_bubble_by_its_round_shape(
    lime: Lime, photograph: Callable[[str], Path]
) -> None:
    lime.check(photograph("clock_motion.png"), "bubble", mass(BLURRED_CLOCK, at_least=0.5))
