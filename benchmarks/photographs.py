"""Ask whether verdicts of ``samples="auto"`` on real photographs come about, and whether a long run contradicts them.

    python -m benchmarks.photographs --score DIR             # some 2,700,000 passes: minutes on a GPU, hours without
    python -m benchmarks.photographs --scores DIR            # judges what is there, and prints the table
    python -m benchmarks.photographs --scores DIR --write-docs

EfficientNet-Lite0 scores masked copies once; every way of judging then looks at the same scores. How to read the
table is in docs/statistics.md.
"""

from __future__ import annotations

import argparse
import collections
import functools
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks import measuring, suite
from benchmarks.measuring import RESULTS, ROOT, THREADS, say
from benchmarks.subjects import find, network
from pytest_lime import Box, Claim, Ellipse, LimeOptions, density_gap, mass, pointing, top_iou, top_overlap
from pytest_lime.claims import judge
from pytest_lime.explanation import Explanation
from pytest_lime.images import load_image
from pytest_lime.models.protocol import Model
from pytest_lime.options import resolve
from pytest_lime.regions import Region
from pytest_lime.scenes import Scene, look_at
from pytest_lime.streams import Bench, SampleStream
from pytest_lime.verdicts import Verdict, open_claims

Array = NDArray[np.float64]

FILE = RESULTS / "photographs.json"
PAGE = ROOT / "docs" / "statistics.md"
PHOTOGRAPHS = ("chelsea.png", "coffee.png", "rocket.jpg", "flower.jpg", "astronaut.png", "camera.png")
# Regions drawn at random on each photograph.
REGIONS = 12
SEEDS, SAMPLES = 30, 4000
# Other masks than those of the runs that it is compared with.
REFERENCE, REFERENCE_SEED = 40_000, 10_000
DECIDED = ("pass", "fail")


class Case(NamedTuple):
    """A photograph, the class that is explained, and what is claimed of it."""

    name: str
    # "suite" or "random": where its regions come from.
    kind: str
    model: Model
    image: Any
    target: Any
    claims: tuple[Claim, ...]
    options: dict[str, Any]


def main() -> None:
    """Score, or judge and print."""
    arguments = parse()
    if arguments.score:
        score(arguments.score, arguments.seeds)
        return
    # Each process has a core of its own.
    os.environ.update(dict.fromkeys(THREADS, "1"))
    began = time.perf_counter()
    rows = study(arguments)
    found = {
        "environment": measuring.environment(),
        "seconds": round(time.perf_counter() - began),
        "seeds": arguments.seeds,
        "samples": SAMPLES,
        "reference": REFERENCE,
        "rows": summary(rows),
    }
    text = table(rows, found)
    measuring.publish(text, found, arguments.json)
    if arguments.write_docs:
        measuring.put_between(PAGE, "photographs", text)
        say("written: docs/statistics.md")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.photographs", description=(__doc__ or "").partition("\n")[0]
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--score", type=Path, metavar="DIR", help="let the network score masked copies, into this folder")
    what.add_argument("--scores", type=Path, metavar="DIR", help="judge what was scored into this folder")
    parser.add_argument("--seeds", type=int, default=SEEDS, metavar="N", help=f"runs of each case (default {SEEDS})")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="processes (default: cores)")
    parser.add_argument("--json", type=Path, default=FILE, metavar="FILE", help="where figures are kept")
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/statistics.md")
    return parser.parse_args()


def cases() -> list[Case]:
    """Return the checks of the example suite, and claims on regions drawn at random."""
    found = []
    for asked in suite.asked("acceptance"):
        claims = tuple(claim for claim in asked.claims if claim.regions)
        name = asked.test.rpartition("::")[2].removeprefix("test_")
        found.append(Case(name, "suite", asked.model, asked.image, asked.target, claims, asked.options))
    model = network()
    for photograph in PHOTOGRAPHS:
        rng = np.random.default_rng(sum(map(ord, photograph)))
        x0, y0, x1, y1 = model.view(load_image(find(photograph)).size).box
        drawn = [_draw(rng, x0, y0, x1 - x0, y1 - y0) for _ in range(REGIONS)]
        claims = tuple(claim for region in drawn for claim in _claims(region))
        # The superpixels do not depend on the region then, so that all regions are judged on the same samples.
        options = {"align_to_regions": False}
        found.append(Case(photograph.partition(".")[0], "random", model, find(photograph), None, claims, options))
    return found


def _draw(rng: np.random.Generator, x0: float, y0: float, width: float, height: float) -> Region:
    """Draw a box or an ellipse that has from a twentieth to a half of what the network sees."""
    share, ratio = rng.uniform(0.05, 0.5), rng.uniform(0.6, 1.6)
    across, down = (min(0.95, float(np.sqrt(share * each))) for each in (ratio, 1 / ratio))
    left, top = x0 + width * rng.uniform(0.02, 0.98 - across), y0 + height * rng.uniform(0.02, 0.98 - down)
    if rng.random() < 0.5:
        return Box(*(round(value) for value in (left, top, left + across * width, top + down * height)))
    radii = across * width / 2, down * height / 2
    return Ellipse(*(round(value) for value in (left + radii[0], top + radii[1], *radii)))


def _claims(region: Region) -> tuple[Claim, ...]:
    return (
        top_overlap(region, k=4, at_least=3),
        top_iou(region, k=6, at_least=0.3),
        pointing(region),
        mass(region, at_least=0.5),
        mass(region, at_most="area"),
        density_gap(region),
    )


def score(folder: Path, seeds: int) -> None:
    """Let the network score the masks of all cases, and write a file for each."""
    folder.mkdir(parents=True, exist_ok=True)
    for case in cases():
        began = time.perf_counter()
        scene = _scene(case, resolve(("photographs", case.options)))
        runs = []
        for seed in (*range(seeds), REFERENCE_SEED):
            samples = REFERENCE if seed == REFERENCE_SEED else SAMPLES
            options = resolve(("photographs", {**case.options, "samples": samples, "seed": seed}))
            stream = SampleStream(Bench(case.model, options), scene, case.target)
            while (portion := stream.portion()) is not None:
                stream.add(stream.bench.engine.submit([portion]).results()[0])
            runs.append(stream.look())
        np.savez_compressed(
            folder / f"{case.kind}-{case.name}.npz",
            segments=scene.segments.astype(np.uint16),
            prediction=runs[0].prediction,
            target=runs[0].targets[0],
            scores=np.stack([run.sample_scores[:, 0] for run in runs[:-1]]).astype(np.float32),
            reference=runs[-1].sample_scores[:, 0].astype(np.float32),
        )
        passes = sum(run.passes for run in runs)
        say(f"{case.kind} {case.name}: {passes:,} passes in {time.perf_counter() - began:.1f} s, {runs[0].device}")


def _scene(case: Case, options: LimeOptions) -> Scene:
    return look_at(
        case.model, case.image, options, regions=[region for claim in case.claims for region in claim.areas()]
    )


def _with_segments(case: Case, segments: NDArray[np.int64]) -> dict[str, Any]:
    """Return the options of `case` with superpixels that are there already."""
    kept = {name: value for name, value in case.options.items() if name != "segmenter_parameters"}
    return {**kept, "segmenter": segments, "align_to_regions": False}


class Scored(NamedTuple):
    """A case with what was scored of it."""

    case: Case
    scene: Scene
    prediction: Array
    target: int
    scores: Array
    reference: Array

    def looks(self, seed: int | None, **options: Any) -> Iterator[Explanation]:
        """Yield what each look of a check sees, or with no `seed` the one look of the reference."""
        given = {**_with_segments(self.case, self.scene.segments), **options, "max_samples": SAMPLES}
        scores = self.reference if seed is None else self.scores[seed]
        number = REFERENCE_SEED if seed is None else seed
        if seed is None:
            given["samples"] = REFERENCE
        stream = SampleStream(
            Bench(self.case.model, resolve(("photographs", {**given, "seed": number}))),
            self.scene,
            self.target,
            decides=seed is not None,
        )
        done = 0
        while True:
            while (portion := stream.portion()) is not None:
                begins = portion.classes is None
                rows = np.zeros((len(portion.masks), len(self.prediction) if begins else len(portion.classes or ())))
                count = len(rows) - begins
                # The class itself comes first among those that are kept.
                rows[int(begins) :, self.target if begins else 0] = scores[done : done + count]
                if begins:
                    rows[0] = self.prediction
                done += count
                stream.add(rows)
            if stream.again is not None:
                stream.confirm(self.prediction)
            yield stream.look()
            if not stream.go_on():
                return


@functools.cache
def scored(folder: Path) -> dict[str, Scored]:
    """Read all cases."""
    found = {}
    for case in cases():
        path = folder / f"{case.kind}-{case.name}.npz"
        if not path.exists():
            continue
        with np.load(path) as arrays:
            segments = arrays["segments"].astype(np.int64)
            scene = _scene(case, resolve(("photographs", _with_segments(case, segments))))
            found[f"{case.kind} {case.name}"] = Scored(
                case,
                scene,
                arrays["prediction"],
                int(arrays["target"]),
                arrays["scores"].astype(np.float64),
                arrays["reference"].astype(np.float64),
            )
    return found


class Row(NamedTuple):
    """One claim in one run: what a check says and after how many samples, and what the reference says."""

    case: str
    kind: str
    claim: str
    text: str
    seed: int
    status: str
    samples: int
    # Pass or fail by the estimate, and pass, fail or inconclusive by its interval at one look.
    reference: str
    reference_decides: str
    # In the first look after which every claim of the check was decided; 0 where there is none.
    check: int
    # What a single look at 1,000 samples says, without saying how sure it is.
    single: str


def study(arguments: argparse.Namespace) -> list[Row]:
    """Judge all cases with all seeds, in processes."""
    names = [path.stem.replace("-", " ", 1) for path in sorted(arguments.scores.glob("*.npz"))]
    rows: list[Row] = []
    with ProcessPoolExecutor(arguments.jobs, multiprocessing.get_context("spawn")) as pool:
        tasks = [
            pool.submit(work, arguments.scores, name, range(start, min(start + 5, arguments.seeds)))
            for name in names
            for start in range(0, arguments.seeds, 5)
        ]
        for done, task in enumerate(as_completed(tasks), start=1):
            rows += task.result()
            if done % 10 == 0 or done == len(tasks):
                say(f"{done} of {len(tasks)} parts")
    return sorted(rows)


@functools.cache
def _reference(folder: Path, name: str) -> tuple[Verdict, ...]:
    subject = scored(folder)[name]
    (explanation,) = subject.looks(None)
    return judge(explanation, subject.case.claims).verdicts


def work(folder: Path, name: str, seeds: range) -> list[Row]:
    """Judge one case with some seeds, in a process of its own."""
    subject = scored(folder)[name]
    claims = subject.case.claims
    reference = _reference(folder, name)
    rows = []
    for seed in seeds:
        outcomes: dict[int, tuple[str, int]] = {}
        singles: tuple[Verdict, ...] = ()
        for explanation in subject.looks(seed):
            last = explanation.samples >= SAMPLES
            if not singles and (explanation.samples >= 1000):
                singles = judge(explanation, claims).verdicts
            for place, claim in enumerate(claims):
                if place in outcomes:
                    continue
                check = judge(explanation, (claim,))
                decided = check.status in DECIDED and not open_claims(check)
                if decided or last:
                    outcomes[place] = check.status, explanation.samples
        whole = all(status in DECIDED for status, _ in outcomes.values())
        checked = max(samples for _, samples in outcomes.values()) if whole else 0
        for place, claim in enumerate(claims):
            long = reference[place]
            rows.append(
                Row(
                    *(subject.case.name, subject.case.kind, claim.name, repr(claim), seed, *outcomes[place]),
                    *("pass" if long.holds else "fail", long.status, checked),
                    "pass" if singles[place].holds else "fail",
                )
            )
    return rows


def summary(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return what became of each claim, over all runs."""
    claims: dict[tuple[str, ...], list[Row]] = collections.defaultdict(list)
    for row in rows:
        claims[row.kind, row.case, row.claim, row.text, row.reference, row.reference_decides].append(row)
    found = []
    for key, listed in claims.items():
        counts = collections.Counter(row.status for row in listed)
        names = ("kind", "case", "claim", "text", "reference", "reference_decides")
        middle = float(np.median([row.samples if row.status in DECIDED else np.inf for row in listed]))
        found.append(
            {**dict(zip(names, key, strict=True)), **counts, "median": middle if np.isfinite(middle) else None}
        )
    return found


def table(rows: Sequence[Row], found: dict[str, Any]) -> str:
    """Return the table, a row for each kind of claim, and what it rests on."""
    head = [
        "regions",
        "claim",
        "verdicts",
        "decided",
        "samples",
        "contradicted",
        "… of what both decide",
        "one look at 1,000",
    ]
    lines = [head, ["---", "---", *["---:"] * 6]]
    groups: dict[tuple[str, str], list[Row]] = collections.defaultdict(list)
    for row in rows:
        groups[row.kind, row.claim].append(row)
        groups[row.kind, "all"].append(row)
    for (kind, claim), listed in sorted(groups.items()):
        decided = [row for row in listed if row.status in DECIDED]
        # Only where the reference knows.
        told = [row for row in decided if row.reference_decides in DECIDED]
        wrong = sum(row.status != row.reference_decides for row in told)
        known = [row for row in listed if row.reference_decides in DECIDED]
        single = np.mean([row.single != row.reference_decides for row in known]) if known else np.nan
        middle = np.median([row.samples if row.status in DECIDED else np.inf for row in listed])
        lines.append(
            [
                *(kind, claim, f"{len(listed):,}", f"{len(decided) / len(listed):.1%}"),
                f"{middle:,.0f}" if np.isfinite(middle) else "–",
                *(f"{wrong}", f"{wrong / max(len(told), 1):.2%}", f"{single:.1%}"),
            ]
        )
    checks = {(row.case, row.seed): row.check for row in rows if row.kind == "suite"}
    each = collections.defaultdict(list)
    for (case, _), samples in checks.items():
        each[case].append(samples or np.inf)
    middles = {case: float(np.median(samples)) for case, samples in each.items()}
    note = (
        f"{len({row.case for row in rows if row.kind == 'suite'})} checks of the example suite and "
        f"{len({row.case for row in rows if row.kind == 'random'})} photographs with {REGIONS} regions each, "
        f"{found['seeds']} runs of at most {found['samples']:,} samples; the reference has {found['reference']:,}. "
        f"A whole check of the suite took {np.median(list(middles.values())):,.0f} samples in the middle "
        f"({min(middles.values()):,.0f} … {max(middles.values()):,.0f}). Judged {found['environment']['date']}."
    )
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + f"\n\n{note}"


if __name__ == "__main__":
    main()
