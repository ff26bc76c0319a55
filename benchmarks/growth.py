"""Measure how time and memory grow with samples, superpixels, classes and images, and fit the exponents.

    python -m benchmarks.growth --quick
    python -m benchmarks.growth

On a small network, so that what is not a forward pass shows. Each point is a process of its own. How to read what it
prints is in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import measuring
from benchmarks.measuring import RESULTS, ROOT, read, say, write
from benchmarks.table import FAINT, INK, OURS, PAPER, short

FILE = RESULTS / "growth.json"
PICTURE = ROOT / "docs" / "images" / "growth.webp"
OWN, MEMORY = "#2f7d5b", "#b5402f"


class Axis(NamedTuple):
    """One of what cost may grow with.

    Attributes
    ----------
    points : sequence of int
    fixed : mapping
        The settings of all points.
    expected : mapping
        Of ``seconds``, ``own`` and ``megabytes``: which exponent is right, and why, in words.
    """

    points: Sequence[int]
    fixed: Mapping[str, int]
    expected: Mapping[str, str]


AXES = {
    "samples": Axis(
        (100, 200, 500, 1000, 2000, 5000, 10_000, 20_000),
        {"classes": 10},
        {"seconds": "1, a pass a sample", "own": "1, a copy a sample", "megabytes": "0, a few bytes a sample"},
    ),
    "superpixels": Axis(
        (10, 20, 50, 100, 200, 500, 1000),
        {"samples": 4000, "classes": 10},
        {
            "seconds": "0 until the fit takes over",
            "own": "0 for few, up to 2 at the end: the normal equations",
            "megabytes": "0 for few, up to 1: masks and intervals",
        },
    ),
    "classes": Axis(
        (2, 5, 10, 20, 50, 100, 200, 500, 1000),
        {"samples": 4000},
        {"seconds": "0", "own": "0, up to five are explained", "megabytes": "0, of the others nothing is kept"},
    ),
    "images": Axis(
        (1, 2, 5, 10, 20, 50, 100, 200, 500),
        {"samples": 200},
        {"seconds": "1", "own": "1", "megabytes": "0, of an image only its verdict is kept"},
    ),
}
# From here on a cost that is there once, such as the start, no longer hides the growth.
UPPER = 0.5
NAMES = {"seconds": "time", "own": "time but for the passes", "megabytes": "peak memory"}
UNITS = {"seconds": " s", "own": " s", "megabytes": " MB"}


def main() -> None:
    """Measure, write, print and draw."""
    arguments = parse()
    if not arguments.table:
        for name in arguments.only or AXES:
            measure(name, arguments)
    results = read(arguments.results)
    text = table(results)
    print("\n" + text)
    arguments.picture.parent.mkdir(parents=True, exist_ok=True)
    draw(results, arguments.picture)
    say(f"written: {arguments.results}, {arguments.picture}")
    if arguments.write_docs:
        measuring.put_between(ROOT / "benchmarks" / "README.md", "growth", text)
        say("written: benchmarks/README.md")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="every other point, fewer samples")
    parser.add_argument("--only", nargs="+", choices=list(AXES), metavar="AXIS", help=f"of {', '.join(AXES)}")
    parser.add_argument("--resume", action="store_true", help="leave out points that were measured before")
    parser.add_argument("--table", action="store_true", help="measure nothing, print what was measured before")
    parser.add_argument("--write-docs", action="store_true", help="put the table into benchmarks/README.md")
    parser.add_argument("--results", type=Path, default=FILE, metavar="FILE", help="where figures are kept, as JSON")
    parser.add_argument("--picture", type=Path, metavar="FILE", help=f"(default {PICTURE.relative_to(ROOT)})")
    arguments = parser.parse_args()
    if arguments.picture is None:
        own = arguments.results == FILE
        arguments.picture = PICTURE if own else arguments.results.with_suffix(".webp")
    return arguments


def measure(name: str, arguments: argparse.Namespace) -> None:
    """Measure the points of one axis, and write each as it comes."""
    axis = AXES[name]
    fewer = 4 if arguments.quick else 1
    fixed = {setting: value // fewer if setting == "samples" else value for setting, value in axis.fixed.items()}
    points = list(axis.points[::2] if arguments.quick else axis.points)
    known = read(arguments.results).get("axes", {}).get(name, {})
    done = known.get("points", {}) if arguments.resume and known.get("fixed") == fixed else {}
    for value in points:
        if str(value) in done:
            continue
        point = measuring.child("benchmarks.small", **fixed, **{name: value})
        done[str(value)] = {**point, "x": value}
        say(f"  {value:,} {name}: {point['seconds']:.2f} s, ours {point['own']:.2f} s, {point['megabytes']:.0f} MB")
        results = read(arguments.results)
        environment = {**measuring.environment(), "quick": arguments.quick}
        results.setdefault("axes", {})[name] = {"fixed": fixed, "environment": environment, "points": done}
        write(arguments.results, results)


def exponent(points: Sequence[Mapping[str, float]], figure: str, *, upper: bool = False) -> float:
    """Fit ``figure ∝ x^exponent`` by least squares of the logarithms.

    Parameters
    ----------
    points : sequence of mappings
        Each with ``x`` and the figure.
    figure : str
    upper : bool
        Only to the upper half of the points.
    """
    listed = sorted(points, key=lambda point: point["x"])
    if upper:
        listed = listed[-max(2, math.ceil(len(listed) * UPPER)) :]
    x, y = (np.log([max(point[name], 1e-6) for point in listed]) for name in ("x", figure))
    if len(set(x)) < 2:
        return float("nan")
    return float(np.polyfit(x, y, 1)[0])


def listed(results: Mapping[str, Any], name: str) -> list[dict[str, float]]:
    """Return the points of one axis, in order."""
    points = results.get("axes", {}).get(name, {}).get("points", {})
    return sorted(points.values(), key=lambda point: float(point["x"]))


def table(results: Mapping[str, Any]) -> str:
    """Return all exponents as a table that reads well on a terminal and in Markdown."""
    lines = [
        ("with", "what", "from … to", "exponent", "upper half", "expected"),
        *_table_rows(results),
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    padded = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    measured: list[dict[str, Any]] = [axis["environment"] for axis in results.get("axes", {}).values()]
    where = "".join(
        dict.fromkeys(f"Measured {each['date']}, {each['cpu']}, {each['threads']} threads. " for each in measured)
    )
    return "\n".join([padded[0], rule, *padded[1:], "", where])


def _table_rows(results: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, axis in AXES.items():
        points = listed(results, name)
        if len(points) < 2:
            continue
        for figure, words in NAMES.items():
            first, last = points[0], points[-1]
            rows.append(
                (
                    f"{name} {first['x']:,} … {last['x']:,}" if figure == "seconds" else "",
                    words,
                    f"{short(first[figure])} … {short(last[figure])}{UNITS[figure]}",
                    f"{exponent(points, figure):.2f}",
                    f"{exponent(points, figure, upper=True):.2f}",
                    axis.expected[figure],
                )
            )
    return rows


def draw(results: Mapping[str, Any], path: Path) -> None:
    """Draw a panel for each axis: time, time but for the passes, and peak memory."""
    import matplotlib  # noqa: PLC0415  (only the bench extra has it)

    matplotlib.use("agg")
    from matplotlib import pyplot  # noqa: PLC0415

    figure, panels = pyplot.subplots(2, 2, figsize=(9.5, 6.6), layout="constrained", facecolor=PAPER)
    for panel, name in zip(panels.flat, AXES, strict=True):
        points = listed(results, name)
        if points:
            _panel(panel, name, points)
        else:
            panel.set_axis_off()
    figure.savefig(path, dpi=110, facecolor=PAPER)
    pyplot.close(figure)


def _panel(panel: Any, name: str, points: Sequence[Mapping[str, float]]) -> None:
    memory = panel.twinx()
    styles = {"seconds": (panel, OURS, "o-"), "own": (panel, OWN, "s--"), "megabytes": (memory, MEMORY, "^:")}
    x = [point["x"] for point in points]
    lines = []
    for figure, (axes, colour, style) in styles.items():
        label = f"{NAMES[figure]}, exponent {exponent(points, figure):.2f}"
        lines += axes.plot(x, [point[figure] for point in points], style, color=colour, label=label, markersize=4)
    for axes, word, colour in ((panel, "seconds", INK), (memory, "MB at most", MEMORY)):
        axes.set_xscale("log")
        axes.set_yscale("log")
        for scale in (axes.xaxis, axes.yaxis):
            scale.set_major_formatter(lambda value, _: f"{value:,g}")
            scale.set_minor_formatter(lambda value, _: "")
        axes.set_ylabel(word, color=colour, fontsize=9)
        axes.tick_params(colors=colour if axes is memory else INK, labelsize=8, which="both")
        for side in axes.spines.values():
            side.set_color(FAINT)
    # Less than two decades would fill the panel with noise.
    times = [point[figure] for point in points for figure in ("seconds", "own")]
    peaks = [point["megabytes"] for point in points]
    for axes, values in ((panel, times), (memory, peaks)):
        middle, half = math.sqrt(min(values) * max(values)), max(10.0, 1.3 * math.sqrt(max(values) / min(values)))
        # And room for the legend above the lines.
        axes.set_ylim(middle / half, middle * half**1.9)
    panel.set_facecolor(PAPER)
    panel.grid(color=FAINT, linewidth=0.6)
    panel.set_title(f"{name}", loc="left", color=INK, fontsize=10, fontweight="bold")
    panel.legend(handles=lines, fontsize=8, facecolor=PAPER, edgecolor=FAINT, labelcolor=INK, loc="upper left")


if __name__ == "__main__":
    main()
