"""The table of `bench`: its rows from the figures that were written, in plain text, in Markdown and as a picture."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.measuring import Spread, ratios, spread

Part = Mapping[str, Any]

# Light paper, dark ink, whatever stands around the picture.
PAPER, INK, FAINT, MET, MISSED = "#fbfbf8", "#22262b", "#d5d6d0", "#2f7d5b", "#b5402f"
OURS = "#3b6ea5"
# What is smaller is drawn as this.
SMALLEST = 1e-2


class Row(NamedTuple):
    """One line of the table.

    Attributes
    ----------
    what : str
    value : Spread
    unit : str
        Empty for a ratio.
    limit : float, or None
        The budget.
    least : bool
        The budget is the least that is asked for, not the most.
    note : str
    peer : bool
        How many times slower a peer is.
    """

    what: str
    value: Spread
    unit: str = ""
    limit: float | None = None
    least: bool = False
    note: str = ""
    peer: bool = False

    @property
    def verdict(self) -> str:
        """Whether the budget is met; empty where there is none."""
        if self.limit is None:
            return ""
        met = self.value.median >= self.limit if self.least else self.value.median <= self.limit
        return "met" if met else "missed"

    @property
    def budget(self) -> str:
        """The budget in words."""
        return "" if self.limit is None else f"{'≥' if self.least else '≤'} {self.limit:g}{self.unit}"

    @property
    def figures(self) -> tuple[str, str]:
        """The median, and the lowest and the highest figure."""
        median, low, high = (short(value) for value in self.value)
        return f"{median}{self.unit}", f"{low} … {high}"


def short(value: float) -> str:
    """Return a number as it is read best: three figures, and never an exponent."""
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if size >= 1 else f"{value:.3f}"


def rows(results: Mapping[str, Any]) -> list[Row]:
    """Return the rows of all parts that were measured."""
    parts = results.get("parts", {})
    return [row for name, make in ROWS.items() if name in parts for row in make(parts[name])]


def _engine(part: Part) -> Iterator[Row]:
    names = {
        "bare": "whole explanation ÷ bare passes",
        "bare_fused": "whole explanation ÷ bare passes, network fused as ours is",
    }
    for name, words in names.items():
        if name in part:
            loop = part[name]
            seconds = statistics.median(loop["seconds"])
            yield Row(
                words,
                spread(ratios(part["ours"]["seconds"], loop["seconds"])),
                limit=1.05,
                note=f"{part['passes']:,} passes in {seconds:.1f} s, batches of {loop['best']}",
            )


def _lime(part: Part) -> Iterator[Row]:
    note = f"{part['samples']:,} samples each; quickshift and batches of 10 there"
    for name, words in {"lime": "lime", "lime_arranged": "lime, faster layout"}.items():
        if name in part:
            yield _peer(part, name, words, f"{note}; {part[name]['layout']}")


def _captum(part: Part) -> Iterator[Row]:
    names = {
        "captum": "captum Lime",
        "captum_arranged": "captum Lime, faster layout",
        "captum_tuned": "captum Lime, best",
    }
    for name, words in names.items():
        if name in part:
            size, layout = part[name]["perturbations_per_eval"], part[name]["layout"]
            note = f"same superpixels; one class there, five here; perturbations_per_eval={size}, {layout}"
            yield _peer(part, name, words, note, limit=3 if name == "captum" else None)


def _shap(part: Part) -> Iterator[Row]:
    note = f"max_evals={part['samples']}, {part['shap']['masker']}; not LIME, for scale"
    yield _peer(part, "shap", "shap PartitionExplainer", note)


def _peer(part: Part, name: str, words: str, note: str, limit: float | None = None) -> Row:
    found = spread(ratios(part[name]["seconds"], part["ours"]["seconds"]))
    return Row(f"{words} ÷ ours, {part['samples']:,} samples", found, limit=limit, least=True, note=note, peer=True)


def _verdict(part: Part) -> Iterator[Row]:
    names = {"acceptance": "photographs", "bias": "digits of a small network"}
    for suite, images in names.items():
        checks = [check for check in part["checks"] if check["suite"] == suite]
        if not checks:
            continue
        found = [statistics.median(check["lime"]) / statistics.median(check["seconds"]) for check in checks]
        yield Row(
            f"lime ÷ ours to a verdict, {images}",
            spread(found),
            limit=10 if suite == "acceptance" else None,
            least=True,
            note=f"{len(checks)} checks of the example suite, least … most of them",
            peer=True,
        )
        decided = sum(check["status"] != "inconclusive" for check in checks)
        samples = spread([check["samples"] for check in checks])
        yield Row(
            f"samples to a verdict, {images}", samples, note=f"{decided} of {len(checks)} checks decided by 4,000"
        )


def _memory(part: Part) -> Iterator[Row]:
    few, many = (part["points"][str(part[name])] for name in ("few", "many"))
    peaks = [[point["megabytes"] for point in points] for points in (many, few)]
    more = statistics.median(peaks[0]) - statistics.median(peaks[1])
    yield Row(
        f"peak memory, {part['many']:,} samples ÷ {part['few']}",
        spread(ratios(*peaks)),
        limit=1.1,
        note=f"1,000 classes; {statistics.median(peaks[1]):.0f} MB and {more:+.0f} MB",
    )


def _cache(part: Part) -> Iterator[Row]:
    words = {
        "call": ("explain", f"{part['samples']:,} samples"),
        "check": ("lime.check", f"{part['samples_of_check']:,} samples until it was decided"),
        "run": ("pytest", "that check, with imports and the start of the process"),
    }
    for name, (what, note) in words.items():
        first, second = part[name]["first"], part[name]["second"]
        times = f"{statistics.median(first):.1f} s and {statistics.median(second):.2f} s"
        yield Row(
            f"second run ÷ first, {what}",
            spread(ratios(second, first)),
            limit=None if name == "run" else 0.02,
            note=f"{times}; {note}",
        )


def _start(part: Part) -> Iterator[Row]:
    for name, words in {"version": "pytest --version --version", "run": "a run without fixtures of ours"}.items():
        plain, loaded = part[name]["without"], part[name]["with"]
        added = [after - before for before, after in zip(plain, loaded, strict=True)]
        low, median, high = statistics.quantiles(added, n=4)
        yield Row(
            f"seconds added to {words}",
            Spread(median, low, high),
            unit=" s",
            limit=0.03,
            note=f"to {statistics.median(plain):.2f} s; {len(plain)} runs each, spread of the middle half",
        )


def _workers(part: Part) -> Iterator[Row]:
    for run in (part["short"], part["long"]):
        for name, words, limit in (("seconds", "whole run", 1.0), ("checks", "the checks alone", None)):
            seconds = statistics.median(run["one"][name])
            yield Row(
                f"pytest -n2 ÷ one process, {words}, {run['count']} checks",
                spread(ratios(run["two"][name], run["one"][name])),
                limit=limit,
                note=f"{run['samples']:,} samples each, {seconds:.1f} s in one process",
            )


def _error(part: Part) -> Iterator[Row]:
    passes = part["passes"]
    found = part["ratios"]["hadamard"]
    yield Row(
        f"error ÷ lime's at {passes[-1]:,} passes",
        # Of the sizes, the last is judged.
        Spread(found[-1], min(found), max(found)),
        limit=0.7,
        note=f"{part['photographs']} photographs, {part['seeds']} seeds, {part['date']}; range over "
        f"{', '.join(f'{size:,}' for size in passes)} passes (samplers.py)",
    )


ROWS = {
    "engine": _engine,
    "verdict": _verdict,
    "lime": _lime,
    "captum": _captum,
    "shap": _shap,
    "error": _error,
    "memory": _memory,
    "cache": _cache,
    "start": _start,
    "workers": _workers,
}


def plain(listed: Sequence[Row], results: Mapping[str, Any]) -> str:
    """Return the table as text of a terminal."""
    head = ("", "median", "min … max", "budget", "", "")
    lines = [head, *((row.what, *row.figures, row.budget, row.verdict, row.note) for row in listed)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join(["", *text, "", *conditions(results), ""])


def markdown(listed: Sequence[Row], results: Mapping[str, Any]) -> str:
    """Return the table for a document."""
    lines = ["| what | median | min … max | budget | | |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {row.what} | {row.figures[0]} | {row.figures[1]} | {row.budget} | {_strong(row.verdict)} | {row.note} |"
        for row in listed
    ]
    return "\n".join([*lines, "", *(f"{line}  " for line in conditions(results))])


def _strong(verdict: str) -> str:
    return f"**{verdict}**" if verdict == "missed" else verdict


def conditions(results: Mapping[str, Any]) -> list[str]:
    """Return where and when the figures were measured, in lines of words."""
    parts: Mapping[str, Part] = results.get("parts", {})
    machines: dict[str, list[str]] = {}
    for name, part in parts.items():
        known = part["environment"]
        versions = ", ".join(f"{package} {version}" for package, version in known["versions"].items())
        chosen = "".join(f", {variable}={value}" for variable, value in known["set"].items())
        rounds = (part.get("settings") or {}).get("rounds")
        words = (
            f"{known['date']}, {known['cpu']}, {known['threads']} threads of {known['cores']} cores{chosen}; "
            f"Python {known['python']}, {versions}; "
            + (f"rounds: {rounds}" if rounds else "stopped early")
            + (", --quick" if part["quick"] else "")
        )
        machines.setdefault(words, []).append(name)
    if len(machines) == 1:
        return [f"Measured {next(iter(machines))}."]
    return [f"{', '.join(names)}: measured {words}." for words, names in machines.items()]


def draw(listed: Sequence[Row], path: Path) -> None:
    """Draw how many times slower the peers are, and how much of each budget is used."""
    import matplotlib  # noqa: PLC0415  (only the bench extra has it)

    matplotlib.use("agg")
    from matplotlib import pyplot  # noqa: PLC0415

    peers = [row for row in listed if row.peer]
    judged = [row for row in listed if row.limit]
    heights = [max(1, len(peers)), max(1, len(judged))]
    figure, (above, below) = pyplot.subplots(
        *(2, 1),
        figsize=(10, 1.8 + 0.36 * sum(heights)),
        height_ratios=heights,
        layout="constrained",
        facecolor=PAPER,
    )
    _dots(above, peers, [row.value for row in peers], [OURS] * len(peers), "times slower than ours (mark: the budget)")
    for place, row in enumerate(peers):
        if row.limit:
            above.plot([row.limit] * 2, [place - 0.4, place + 0.4], color=INK, linewidth=2)
    colours = [MET if row.verdict == "met" else MISSED for row in judged]
    _dots(below, judged, [_used(row) for row in judged], colours, "share of the budget used (green: met, red: missed)")
    figure.savefig(path, dpi=110, facecolor=PAPER)
    pyplot.close(figure)


def _used(row: Row) -> Spread:
    assert row.limit
    if row.least:
        return Spread(row.limit / row.value.median, row.limit / row.value.high, row.limit / row.value.low)
    return Spread(*(value / row.limit for value in row.value))


def _dots(axes: Any, listed: Sequence[Row], values: Sequence[Spread], colours: Sequence[str], title: str) -> None:
    """Draw medians with their spread on a logarithmic axis, the first on top, and the figures at the right."""
    from matplotlib import ticker  # noqa: PLC0415  (only the bench extra has it)

    # What is nothing, or less, by chance has no place on a logarithmic axis.
    shown = [Spread(*(max(value, SMALLEST) for value in one)) for one in values]
    for place, (row, value, colour) in enumerate(zip(listed, shown, colours, strict=True)):
        axes.plot([min(value), max(value)], [place, place], color=colour, linewidth=3, alpha=0.45)
        axes.plot(value.median, place, "o", color=colour, markersize=8)
        words = row.figures[0] + (f"  (budget {row.budget})" if row.limit else "")
        axes.annotate(words, (1.01, place), xycoords=("axes fraction", "data"), va="center", color=INK, fontsize=9)
    axes.axvline(1, color=INK, linewidth=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(lambda value, _: "")
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.3), max(high, 3))
    axes.set_yticks(range(len(listed)), [row.what for row in listed])
    axes.set_ylim(len(listed) - 0.5, -0.5)
    axes.set_facecolor(PAPER)
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=9, length=0, which="both")
    axes.set_title(title, loc="left", color=INK, fontsize=10, fontweight="bold")
    for side in axes.spines.values():
        side.set_visible(False)
