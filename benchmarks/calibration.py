"""Measure how often a verdict of ``samples="auto"`` is wrong, and what it costs, on models whose weights are known.

    python -m benchmarks.calibration --quick             # minutes, to see that it works
    python -m benchmarks.calibration --write-docs        # 1,000 seeds, and the table into docs/statistics.md

How to read the table is in docs/statistics.md.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import functools
import itertools
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import pytest_lime
from benchmarks import measuring
from benchmarks.measuring import RESULTS, ROOT, THREADS, say
from pytest_lime import LimeOptions, Mask
from pytest_lime.claims import judge
from pytest_lime.explanation import Explanation
from pytest_lime.options import resolve
from pytest_lime.scenes import look_at
from pytest_lime.streams import Bench, SampleStream
from pytest_lime.testing import PlantedModel
from pytest_lime.verdicts import open_claims

Array = NDArray[np.float64]
Masks = NDArray[np.uint8]

FILE = RESULTS / "calibration.json"
PAGE = ROOT / "docs" / "statistics.md"
SEEDS, SEEDS_QUICK = 1000, 50
# What share of verdicts may be wrong at the default confidence of 0.95.
PROMISE = 0.05
# By how much the weight of superpixel 0 is moved off the boundary, in shares of the largest weight.
NEAR = (0.2, 0.4, 0.8)
SHIFTS = (*(-step for step in reversed(NEAR)), 0.0, *NEAR)
# Where a claim's bound is a count, it is that of a weight so little above the boundary.
HAIR = 1e-9
# Seeds that a process works through at a time.
CHUNK = 10
# What judges: this package, its intervals that are right at one look only, and the estimate of the lime package alone.
WAYS = ("auto", "plain", "lime")
DECIDED = ("pass", "fail")


def curve(shown: Array) -> Array:
    """Return a probability that no sum of superpixels makes: the logistic function of a sum with a product in it."""
    logit = 3 * (shown[:, 0] + shown[:, 1]) + 2 * shown[:, 2] * shown[:, 3] - 2 * shown[:, 4] - 3
    return np.asarray(1 / (1 + np.exp(-logit)))


def as_ands(function: Callable[[Array], Array], count: int) -> dict[tuple[int, ...], float]:
    """Write a function of the first `count` superpixels as a sum of ANDs (Möbius): then its weights are known, too."""
    groups = [group for size in range(count + 1) for group in itertools.combinations(range(count), size)]
    values = function(np.array([np.isin(np.arange(count), group) for group in groups], dtype=np.float64))
    found: dict[tuple[int, ...], float] = {}
    for group, value in zip(groups, values, strict=True):
        found[group] = float(value) - sum(found[part] for part in found if set(part) < set(group))
    return found


class Formula(NamedTuple):
    """A sum of ANDs, by their coefficients, in which superpixel 0 ties with others for the largest weight.

    But for those of `TOGETHER`, where it is alone.
    """

    terms: Mapping[tuple[int, ...], float]
    # Numbers of superpixels.
    sizes: Sequence[int]
    # Without sampling error a tenth of the seeds will do.
    exact: bool = False


def any_shown(shown: Array) -> Array:
    """Return 1 where any superpixel is shown."""
    return np.asarray(shown.max(axis=1))


FORMULAS = {
    "two singles": Formula({(0,): 0.5, (1,): 0.5}, (20,), exact=True),
    "linear": Formula({(0,): 0.3, (1,): 0.3, (2,): 0.2, (3,): 0.1, (4,): -0.1, (5,): -0.2}, (40,), exact=True),
    "AND of 2": Formula({(0, 1): 1.0}, (20, 40)),
    "AND of 3": Formula({(0, 1, 2): 1.0}, (20,)),
    # What happens in one mask of 32: a sample knows least of it.
    "AND of 5": Formula({(0, 1, 2, 3, 4): 1.0}, (20,)),
    "OR of 5": Formula(as_ands(any_shown, 5), (20,)),
    "sum of ANDs": Formula({(0, 2): 0.6, (0, 2, 4): 0.4, (1, 3): -0.6, (1, 3, 4): -0.4}, (40,)),
    "logistic": Formula(as_ands(curve, 5), (20,)),
    "one, and an AND of 5": Formula({(0,): 1.0, (1, 2, 3, 4, 5): 0.5}, (20,)),
    "one, and an OR of 5": Formula(
        {(0,): 0.05, **{tuple(one + 1 for one in group): value for group, value in as_ands(any_shown, 5).items()}},
        (20,),
    ),
    "AND of 3, and a weak one": Formula({(0, 1, 2): 1.0, (3,): 0.03}, (20,)),
}
# In which other superpixels than 0 are asked for.
WEAK = "AND of 3, and a weak one"
TOGETHER = ("one, and an AND of 5", "one, and an OR of 5")
USUAL = tuple(name for name in FORMULAS if name not in (WEAK, *TOGETHER))


class Boundary(NamedTuple):
    """What a claim needs to know to stand at its boundary."""

    # The weight of superpixel 0 ties for the k-th place, with nothing behind.
    k: int
    # The share of the positive weight that the region holds.
    mass: float
    # By how much superpixel 0 raises the score in a random context.
    effect: float


class Case(NamedTuple):
    """A claim that comes to hold, or to fail, as soon as the weight of superpixel 0 is moved up."""

    name: str
    # Of pytest_lime; where there is none, the case is left out.
    function: str
    # The superpixels of the region, of the number of all.
    region: Callable[[int], Sequence[int]]
    # Of the function, the region and the boundary.
    claim: Callable[[Any, Mask, Boundary], Any]
    # Moved up it holds; else it fails.
    up: bool = True
    # For which superpixel 0 crosses the boundary so.
    formulas: Sequence[str] = USUAL


def alone(d: int) -> Sequence[int]:
    """Superpixel 0."""
    return (0,)


def among_others(d: int) -> Sequence[int]:
    """Superpixel 0, and half of all, which do next to nothing."""
    return (0, *range(d // 2, d))


def holds_it(claim: Any, region: Mask, at: Boundary) -> Any:
    """Claim that the region holds what it does, at least."""
    return claim(region, at_least=at.mass)


def holds_no_more(claim: Any, region: Mask, at: Boundary) -> Any:
    """Claim that the region holds what it does, at most."""
    return claim(region, at_most=at.mass)


CASES = (
    Case("mass, at least", "mass", among_others, holds_it),
    Case("mass, at most", "mass", alone, holds_no_more, up=False),
    # The share of a weak superpixel, which is lost in noise for long; superpixel 0, moved up, leaves it less.
    Case(
        "mass of a weak one, at most",
        "mass",
        lambda d: (3,),
        holds_no_more,
        formulas=(WEAK,),
    ),
    Case(
        "mass of a weak one, at least",
        "mass",
        lambda d: (3,),
        holds_it,
        up=False,
        formulas=(WEAK,),
    ),
    # The share of five superpixels of which a sample knows little, and whose errors are one; 0, moved up, leaves less.
    Case(
        "mass of five together, at most",
        "mass",
        lambda d: range(1, 6),
        holds_no_more,
        formulas=TOGETHER,
    ),
    Case("top_overlap", "top_overlap", among_others, lambda claim, region, at: claim(region, k=at.k, at_least=1)),
    Case("pointing", "pointing", alone, lambda claim, region, at: claim(region, tolerance=1)),
    Case(
        *("top_iou", "top_iou", alone, lambda claim, region, at: claim(region, k=at.k, at_least=0.5 / at.k)),
        formulas=("AND of 3", "sum of ANDs"),
    ),
    # Weights of both signs cancel, inside and outside.
    Case(
        *("density_gap", "density_gap", lambda d: (0, 1), lambda claim, region, at: claim(region)),
        formulas=("sum of ANDs",),
    ),
    # The other class is the same formula of the superpixels in reverse order.
    Case(
        *("contrast", "contrast", lambda d: (0, d - 1), lambda claim, region, at: claim(region, "other")),
        formulas=("AND of 2",),
    ),
    Case(
        *("no_reliance", "no_reliance", alone, lambda claim, region, at: claim(region, at_most=at.effect)),
        up=False,
        formulas=("AND of 2", "AND of 3", "logistic"),
    ),
)


class Row(NamedTuple):
    """What was judged, and by what."""

    formula: str
    d: int
    claim: str
    shift: float
    way: str


class Outcome(NamedTuple):
    """What became of it in one run: pass, fail or inconclusive, and after how many samples."""

    status: str
    samples: int


Outcomes = dict[Row, list[Outcome]]


def main() -> None:
    """Measure, write and print."""
    arguments = parse()
    # Each process has a core of its own.
    os.environ.update(dict.fromkeys(THREADS, "1"))
    began = time.perf_counter()
    outcomes = study(arguments)
    found = {
        "environment": measuring.environment(),
        "seconds": round(time.perf_counter() - began),
        "seeds": min(len(listed) for row, listed in outcomes.items() if not FORMULAS[row.formula].exact),
        "rows": [{**row._asdict(), **summary(row, listed)} for row, listed in sorted(outcomes.items())],
    }
    text = table(outcomes, found)
    measuring.publish(text, found, arguments.json)
    if arguments.write_docs:
        measuring.put_between(PAGE, "calibration", text)
        say("written: docs/statistics.md")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.calibration", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--seeds", type=int, metavar="N", help=f"runs of each case (default {SEEDS:,})")
    parser.add_argument("--quick", action="store_true", help=f"{SEEDS_QUICK} seeds")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="processes (default: cores)")
    parser.add_argument("--json", type=Path, default=FILE, metavar="FILE", help="where figures are kept")
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/statistics.md")
    arguments = parser.parse_args()
    arguments.seeds = arguments.seeds or (SEEDS_QUICK if arguments.quick else SEEDS)
    return arguments


def study(arguments: argparse.Namespace) -> Outcomes:
    """Run all formulas with all seeds, in processes; an interruption ends it with the seeds that are done."""
    outcomes: Outcomes = collections.defaultdict(list)
    with ProcessPoolExecutor(arguments.jobs, multiprocessing.get_context("spawn")) as pool:
        tasks = [
            pool.submit(work, name, d, range(start, min(start + CHUNK, arguments.seeds)))
            # So that an interruption leaves about as many seeds of each.
            for start in range(0, arguments.seeds, CHUNK)
            for name, formula in FORMULAS.items()
            if not formula.exact or start < arguments.seeds / 10
            for d in formula.sizes
        ]
        try:
            for done, task in enumerate(as_completed(tasks), start=1):
                for row, listed in task.result().items():
                    outcomes[row] += listed
                if done % 20 == 0 or done == len(tasks):
                    say(f"{done} of {len(tasks)} parts")
        except KeyboardInterrupt:
            say("interrupted: with the seeds that are done")
            pool.shutdown(wait=False, cancel_futures=True)
    return outcomes


def work(formula: str, d: int, seeds: range) -> Outcomes:
    """Run one formula with some seeds, in a process of its own."""
    outcomes: Outcomes = collections.defaultdict(list)
    for seed in seeds:
        for row, outcome in subject(formula, d).run(seed):
            outcomes[row].append(outcome)
    return dict(outcomes)


class Subject(PlantedModel):
    """A formula of d superpixels, with a class for each shift of the weight of superpixel 0, and one other class.

    A linear term moves one weight by its coefficient exactly, and leaves all else as it is.
    """

    def __init__(self, formula: str, d: int) -> None:
        terms = FORMULAS[formula].terms
        super().__init__({group: value for group, value in terms.items() if group}, d, intercept=terms.get((), 0.0))
        self.formula, self.labels = formula, (*map(str, SHIFTS), "other")
        self.scene = look_at(self, self.image, self.asked())
        weights = self.expected_weights()
        self.moved = np.array(SHIFTS) * weights.max()
        weights[0] += HAIR
        positive = np.maximum(weights, 0)
        k = int((weights > weights[0] - 2 * HAIR).sum()) - 1
        effect = sum(value / 2 ** (len(group) - 1) for group, value in terms.items() if 0 in group)
        claims: dict[str, Any] = {}
        for case in CASES:
            function = getattr(pytest_lime, case.function, None)
            if function is not None and formula in case.formulas:
                inside = list(case.region(d))
                at = Boundary(k, float(positive[inside].sum() / positive.sum()), effect)
                claims[case.name] = case.claim(function, Mask(np.isin(self.segments, inside)), at)
        self.trials = {name: claim for name, claim in claims.items() if hasattr(claim, "conduct")}
        self.claims = {name: claim for name, claim in claims.items() if name not in self.trials}

    def asked(self, **options: Any) -> LimeOptions:
        """Return the options of this model, with others."""
        return resolve(("calibration", {**self.options, **options}))

    def classes(self, masks: Masks) -> Array:
        """Return the score of each class."""
        moved = self.scores(masks)[:, None] + masks[:, :1] * self.moved
        return np.column_stack([moved, self.scores(masks[:, ::-1])])

    def looks(self, *, decides: bool = True, **options: Any) -> Iterator[Explanation]:
        """Yield what each look of a check sees, as `SampleStream` plans them, to the end of the samples."""
        bench = Bench(self, self.asked(**options))
        stream = SampleStream(bench, self.scene, list(range(len(self.labels))), decides=decides)
        while True:
            while (portion := stream.portion()) is not None:
                scores = self.classes(portion.masks)
                stream.add(scores if portion.classes is None else scores[:, portion.classes])
            if (again := stream.again) is not None:
                stream.confirm(self.classes(again.masks)[0])
            yield stream.look()
            if not stream.go_on():
                return

    def run(self, seed: int) -> Iterator[tuple[Row, Outcome]]:
        """Yield the outcome of every claim, at every shift, and in every way."""
        yield from self._looked_at(seed)
        (peer,) = self.looks(decides=False, seed=seed, sampler="lime", alpha=1.0, samples=1000)
        for place in range(len(SHIFTS)):
            view = of_class(peer, place)
            for name, claim in self.claims.items():
                (verdict,) = judge(view, (claim,)).verdicts
                yield self._row(name, place, "lime"), Outcome("pass" if verdict.holds else "fail", peer.samples)
            view = dataclasses.replace(view, options=self.asked(seed=seed))
            for name, trial in self.trials.items():
                verdict = trial.conduct(Asked(view, self, place))
                yield self._row(name, place, "auto"), Outcome(verdict.status, verdict.samples)

    def _looked_at(self, seed: int) -> Iterator[tuple[Row, Outcome]]:
        undecided = {key: ["plain", "auto"] for key in itertools.product(self.claims, range(len(SHIFTS)))}
        for explanation in self.looks(seed=seed):
            last = explanation.samples >= explanation.options.max_samples
            autos = {place: of_class(explanation, place) for place in {place for _, place in undecided}}
            views = {
                "auto": autos,
                "plain": {place: dataclasses.replace(auto, anytime=False) for place, auto in autos.items()},
            }
            for (name, place), ways in undecided.items():
                # The plain interval is the narrower one: while it leaves a claim open, so does the other.
                while ways:
                    check = judge(views[ways[0]][place], (self.claims[name],))
                    decided = check.status in DECIDED and not open_claims(check)
                    if not (decided or last):
                        break
                    yield self._row(name, place, ways.pop(0)), Outcome(check.status, explanation.samples)
            undecided = {key: ways for key, ways in undecided.items() if ways}
            if not undecided:
                return

    def _row(self, name: str, place: int, way: str) -> Row:
        return Row(self.formula, self.d, name, SHIFTS[place], way)


subject = functools.lru_cache(Subject)


class Asked(NamedTuple):
    """What a claim that asks the model again may ask: `pytest_lime.trials.Lab` for one class of a subject."""

    explanation: Explanation
    model: Subject
    place: int

    def scores(self, masks: Masks) -> Array:
        """Return the score of each mask."""
        return np.asarray(self.model.classes(masks)[:, self.place])


def of_class(explanation: Explanation, place: int) -> Explanation:
    """Return the explanation of one class, and of the other beside it."""
    rows = [place, len(SHIFTS)]
    fields = ("weights", "intercept", "covariance", "rounding", "r2", "r2_heldout", "local_pred", "precision_shift")
    return dataclasses.replace(
        explanation,
        **{field: getattr(explanation, field)[rows] for field in fields},
        targets=tuple(rows),
        labels=tuple(explanation.labels[row] for row in rows),
        sample_scores=explanation.sample_scores[:, rows],
    )


def summary(row: Row, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return how many verdicts of one row are wrong, how many there are none, and what half of them took at most."""
    passed, failed = (float(np.mean([one.status == status for one in outcomes])) for status in DECIDED)
    up = next(case.up for case in CASES if case.name == row.claim)
    # At the boundary either verdict would be wrong a hair to one side: what counts is the more frequent one.
    wrong = max(passed, failed) if row.shift == 0 else failed if (row.shift > 0) == up else passed
    median = middle(outcomes)
    return {
        "runs": len(outcomes),
        "wrong": round(wrong, 4),
        "undecided": round(1 - passed - failed, 4),
        "median": median if np.isfinite(median) else None,
    }


def middle(outcomes: Sequence[Outcome]) -> float:
    """Return the median number of samples to a verdict; one that never came took endlessly many."""
    return float(np.median([one.samples if one.status in DECIDED else np.inf for one in outcomes]))


def table(outcomes: Outcomes, found: Mapping[str, Any]) -> str:
    """Return the table, a row for each claim and distance from its boundary, and below it what it rests on."""
    head = ["claim", "off its boundary", "wrong, worst case", "plain", "`lime`", "undecided", "samples", "plain"]
    lines = [head, ["---", "---", *["---:"] * 6]]
    for name, step in itertools.product([case.name for case in CASES], (0.0, *NEAR)):
        rows = {way: [row for row in outcomes if row[2:] in {(name, step, way), (name, -step, way)}] for way in WAYS}
        if not rows["auto"]:
            continue
        cells = [name, f"{step:.0%}" if step else "at it"]
        for way in WAYS:
            wrong = [summary(row, outcomes[row])["wrong"] for row in rows[way]]
            cells.append(f"{max(wrong):.1%}" if wrong else "")
        auto, plain = ([one for row in rows[way] for one in outcomes[row]] for way in WAYS[:2])
        cells.append(f"{np.mean([one.status not in DECIDED for one in auto]):.0%}")
        for listed in (auto, plain):
            cells.append(f"{middle(listed):,.0f}" if listed and np.isfinite(middle(listed)) else "–" if listed else "")
        lines.append(cells)
    autos = {row: summary(row, listed) for row, listed in outcomes.items() if row.way == "auto"}
    above = [
        f"{row.claim} of {row.formula}, d = {row.d}, {row.shift:+.0%}: {one['wrong']:.1%}"
        for row, one in autos.items()
        if one["wrong"] > PROMISE
    ]
    environment = found["environment"]
    note = (
        f"{len(autos)} cases of {found['seeds']:,} runs each (a tenth of that without sampling error), "
        f"at most {LimeOptions().max_samples:,} samples. "
        f"More than {PROMISE:.0%} wrong: {'; '.join(above) or 'none'}. "
        f"Measured {environment['date']}, {environment['cpu']}, {found['seconds'] / 60:.0f} minutes; "
        f"Python {environment['python']}, numpy {environment['versions']['numpy']}."
    )
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + f"\n\n{note}"


if __name__ == "__main__":
    main()
