"""Half blocks: a small picture in the characters of a colour terminal, two pixels each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

__all__ = ["half_blocks", "has_true_colour"]

UPPER = "\N{UPPER HALF BLOCK}"
RESET = "\x1b[0m"
# Steps of the colour cube of 256 colours.
STEPS = (0, 95, 135, 175, 215, 255)
LARGEST = 2_000_000


def half_blocks(path: Path, *, columns: int = 32, true_colour: bool) -> list[str]:
    """Return the lines of a picture, at most `columns` wide and half as many high; none where it cannot be read.

    Parameters
    ----------
    path : Path
        Of the file of a picture.
    columns : int
    true_colour : bool
        Whether the terminal knows colours of 24 bits; else those of the palette of 256 are taken.
    """
    from PIL import Image  # noqa: PLC0415  (only where a picture is shown)

    try:
        if path.stat().st_size > LARGEST:
            return []
        with Image.open(path, formats=("JPEG", "PNG")) as picture:
            scale = columns / max(picture.size)
            width, height = (max(1, round(side * scale)) for side in picture.size)
            # An even number of rows, two to a line.
            height += height % 2
            small = picture.convert("RGB").resize((width, height), Image.Resampling.BOX)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return []
    data = small.tobytes()

    def pixel(x: int, y: int) -> tuple[int, int, int]:
        start = 3 * (y * width + x)
        return data[start], data[start + 1], data[start + 2]

    colour = _true if true_colour else _of_palette
    lines = []
    for y in range(0, height, 2):
        cells = (f"\x1b[38;{colour(pixel(x, y))};48;{colour(pixel(x, y + 1))}m{UPPER}" for x in range(width))
        lines.append("".join(cells) + RESET)
    return lines


def has_true_colour(environment: Mapping[str, str]) -> bool:
    """Whether the terminal says that it knows colours of 24 bits."""
    return environment.get("COLORTERM", "").lower() in ("truecolor", "24bit")


def _true(pixel: tuple[int, int, int]) -> str:
    return f"2;{pixel[0]};{pixel[1]};{pixel[2]}"


def _of_palette(pixel: tuple[int, int, int]) -> str:
    """Return the nearest colour of the cube of 6×6×6 or of the 24 grays."""
    cube = [min(range(6), key=lambda step: abs(STEPS[step] - value)) for value in pixel]
    gray = min(23, max(0, round((sum(pixel) / 3 - 8) / 10)))
    near = [STEPS[step] for step in cube]
    level = 8 + 10 * gray
    as_gray = _apart(pixel, (level, level, level)) < _apart(pixel, (near[0], near[1], near[2]))
    return f"5;{232 + gray if as_gray else 16 + 36 * cube[0] + 6 * cube[1] + cube[2]}"


def _apart(first: tuple[int, int, int], second: tuple[int, int, int]) -> int:
    return sum((one - other) ** 2 for one, other in zip(first, second, strict=True))
