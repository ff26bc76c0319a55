"""Measure everything that DESIGN promises of speed and memory, beside the peers, and print one table.

    pip install 'pytest-lime[bench]'
    python -m benchmarks.bench --quick
    python -m benchmarks.bench

Each part is written as soon as it is measured, so that parts can be run again alone (`--only engine memory`), and an
interrupted run goes on (`--resume`). How to read what it prints is in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import functools
import operator
import os
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import measuring, projects
from benchmarks.measuring import RESULTS, ROOT, THREADS, race, read, say, surround, write
from benchmarks.subjects import find, network

# Who runs against ours; each part keeps the seconds of its contenders and of ours.
RACE = {
    "engine": ("bare", "bare_fused"),
    "lime": ("lime", "lime_arranged"),
    "captum": ("captum", "captum_arranged", "captum_tuned"),
    "shap": ("shap",),
}
PARTS = (*RACE, "verdict", "memory", "cache", "start", "workers", "error")
FILE = RESULTS / "bench.json"
# Rounds of the longer runs of pytest, a minute each.
LONG_RUNS = 3
PICTURE = ROOT / "docs" / "images" / "bench.webp"
SAMPLERS = RESULTS / "samplers.json"


def main() -> int:
    """Measure, write and print."""
    arguments = parse()
    measured = arguments.table or measure(arguments)
    show(arguments)
    return 0 if measured else 1


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer samples, rounds and checks: minutes")
    parser.add_argument("--rounds", type=int, metavar="N", help="of every contender, in turn (default 5)")
    parser.add_argument("--photographs", type=int, metavar="N", help="1 to 4, one a round in turn (default 2)")
    parser.add_argument("--samples", type=int, metavar="N", help="of whole explanations (default 1,000)")
    parser.add_argument("--checks", type=int, metavar="N", help="of each suite (default: all)")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--resume", action="store_true", help="leave out parts that were measured with these settings")
    parser.add_argument("--table", action="store_true", help="measure nothing, print what was measured before")
    parser.add_argument("--write-docs", action="store_true", help="put the table into benchmarks/README.md")
    parser.add_argument("--results", type=Path, default=FILE, metavar="FILE", help="where figures are kept, as JSON")
    parser.add_argument("--picture", type=Path, metavar="FILE", help=f"(default {PICTURE.relative_to(ROOT)})")
    arguments = parser.parse_args()
    quick = {"rounds": 3, "photographs": 1, "samples": 300, "checks": 3}
    full = {"rounds": 5, "photographs": 2, "samples": 1000, "checks": None}
    for name, default in (quick if arguments.quick else full).items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, default)
    if arguments.picture is None:
        # What was tried out does not replace the picture of the documents.
        own = arguments.results == FILE
        arguments.picture = PICTURE if own else arguments.results.with_suffix(".webp")
    return arguments


def measure(arguments: argparse.Namespace) -> bool:
    """Measure the parts asked for, and return whether all could be."""
    began = time.perf_counter()
    for name in THREADS:
        if name in os.environ:
            say(f"{name}={os.environ[name]} is set, for all contenders; figures that count are measured without it")
    wanted = [part for part in PARTS if part in (arguments.only or PARTS)]
    if arguments.resume:
        known = read(arguments.results).get("parts", {})
        wanted = [part for part in wanted if known.get(part, {}).get("settings") != settings(arguments)]
    keep = functools.partial(store, arguments)
    failed = []
    # The bare passes alone with ours, so that no peer's minutes lie between the two whose ratio is to be near 1.
    alone = [part for part in wanted if part == "engine"]
    beside = [part for part in wanted if part in RACE and part != "engine"]
    races: dict[str, Callable[[], None]] = {
        "+".join(parts): functools.partial(measure_race, arguments, parts, keep) for parts in (alone, beside) if parts
    }
    single: dict[str, Callable[[], None]] = {
        part: functools.partial(MEASURES[part], arguments, functools.partial(keep, part))
        for part in wanted
        if part not in RACE
    }
    for name, work in {**races, **single}.items():
        say(f"{name}:")
        try:
            work()
        except Exception:  # the other parts are worth having
            traceback.print_exc()
            failed.append(name)
    say(f"measured in {(time.perf_counter() - began) / 60:.1f} minutes" + (f"; failed: {failed}" if failed else ""))
    return not failed


def settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what must be the same for two runs to measure the same."""
    return {name: getattr(arguments, name) for name in ("rounds", "photographs", "samples", "checks")}


def store(arguments: argparse.Namespace, part: str, found: dict[str, Any], *, whole: bool = True) -> None:
    """Write what was found of a part, beside the others; what is not whole is measured again by ``--resume``."""
    results = read(arguments.results)
    parts = results.setdefault("parts", {})
    known = {"settings": settings(arguments) if whole else None, "quick": arguments.quick}
    parts[part] = {**known, "environment": measuring.environment(), **found}
    results["parts"] = {name: parts[name] for name in PARTS if name in parts}
    write(arguments.results, results)


def measure_race(arguments: argparse.Namespace, parts: list[str], keep: Callable[..., None]) -> None:
    """Run ours, the bare passes and the peers against each other."""
    from benchmarks.contenders import line_up  # noqa: PLC0415  (imports torch)

    contenders, facts = line_up(parts, samples=arguments.samples, photographs=arguments.photographs)
    shared = {name: fact for name, fact in facts.items() if name not in contenders or name == "ours"}
    # What is near 1 takes more rounds to tell.
    rounds = arguments.rounds * 2 + 1 if "engine" in parts else arguments.rounds

    def after(seconds: dict[str, list[float]]) -> None:
        for part in parts:
            names = [name for name in RACE[part] if name in contenders]
            found = {name: {**facts[name], "seconds": seconds[name]} for name in names}
            ours = {**facts["ours"], "seconds": seconds["ours"]}
            whole = len(seconds["ours"]) == rounds
            # In the middle of a round nobody is ahead.
            keep(part, {**shared, "ours": ours, **found}, whole=whole)

    if "engine" in parts:
        surround(
            contenders["ours"], {name: contenders[name] for name in RACE["engine"] if name in contenders}, rounds, after
        )
    else:
        race(contenders, rounds, after)


def measure_verdict(arguments: argparse.Namespace, keep: Callable[..., None]) -> None:
    """Time the checks of the example suite to their verdicts, and ``lime`` on the same images."""
    from benchmarks import suite  # noqa: PLC0415  (only this part needs it)
    from benchmarks.apart import Apart  # noqa: PLC0415  (as above)
    from benchmarks.contenders import LimePackage, real_lime  # noqa: PLC0415  (imports torch)

    samples = 1000 if arguments.samples >= 1000 else arguments.samples
    real = Apart(real_lime, ("chelsea.png",), samples)
    checks: dict[str, dict[str, Any]] = {}
    lime: dict[tuple[str, Any], list[float]] = {}

    def ours(number: int) -> None:
        for part in ("acceptance", "bias"):
            for one in suite.run(part, arguments.checks):
                facts = {"photograph": one.photograph, "suite": part}
                check = checks.setdefault(one.test, {**facts, "seconds": [], "question": None})
                check["seconds"].append(one.seconds)
                check.update(status=one.status, samples=one.samples, passes=one.passes)
                if number == 0:
                    check["question"] = one
                say(f"    {one.photograph}: {one.seconds:.2f} s, {one.samples} samples, {one.status}")

    def theirs(number: int) -> None:
        done: set[tuple[str, Any]] = set()
        for check in checks.values():
            one = check["question"]
            key = (one.photograph, None) if check["suite"] == "acceptance" else one.question
            if key not in done:
                done.add(key)
                package = real if check["suite"] == "acceptance" else LimePackage(one.model, one.image, samples)
                lime.setdefault(key, []).append(measuring.timed(lambda: package(one.image)))  # noqa: B023
                say(f"    lime on {one.photograph}: {lime[key][-1]:.2f} s")
            check["lime"] = lime[key]

    def after() -> None:
        listed = [
            {"test": test, **{name: value for name, value in check.items() if name != "question"}}
            for test, check in checks.items()
        ]
        whole = all(len(check["seconds"]) == arguments.rounds for check in listed)
        keep({"checks": listed, "samples": samples, "layout": real.facts["layout"]}, whole=whole)

    for number in range(arguments.rounds):
        say(f"  round {number + 1} of {arguments.rounds}")
        # In the first round ours tells which images there are.
        turns = [ours, theirs] if number % 2 == 0 else [theirs, ours]
        for turn in turns:
            turn(number)
        after()


def measure_memory(arguments: argparse.Namespace, keep: Callable[..., None]) -> None:
    """Find the peak of memory at 500 and at 20,000 samples of a network of 1,000 classes."""
    few, many = (500, 20_000) if not arguments.quick else (500, 10_000)
    found: dict[str, list[Any]] = {str(few): [], str(many): []}
    settings: dict[str, Any] = {"classes": 1000, "side": 224, "repeats": 1, "batch_size": "auto"}
    for number in range(arguments.rounds):
        for samples in (few, many) if number % 2 == 0 else (many, few):
            point = measuring.child("benchmarks.small", samples=samples, **settings)
            found[str(samples)].append(point)
            say(f"  {samples:,} samples: {point['megabytes']:.0f} MB at most, {point['seconds']:.1f} s")
    keep({"few": few, "many": many, "points": found})


def measure_cache(arguments: argparse.Namespace, keep: Callable[..., None]) -> None:
    """Time a second run with nothing changed: of a call, of a check, and of a whole run of pytest."""
    from pytest_lime import explain  # noqa: PLC0415  (imports torch)

    names = ("call", "check", "run")
    found: dict[str, Any] = {name: {"first": [], "second": []} for name in names}
    explain(network(), find("chelsea.png"), samples=64)  # imports
    for number in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            projects.write(folder, checks=1, options=["samples='auto'"])
            for turn in ("first", "second"):
                # A new object, as in a new process: nothing is known of it but what the cache can tell.
                model = network()
                call = functools.partial(
                    explain, model, find("chelsea.png"), samples=arguments.samples, cache=folder / "kept"
                )
                found["call"][turn].append(measuring.timed(call))
                run = projects.run(folder, *projects.without_others())
                found["check"][turn].append(run.checks)
                found["run"][turn].append(run.seconds)
                found["samples_of_check"] = run.samples
                words = ", ".join(f"{each} {found[each][turn][-1]:.3f} s" for each in names)
                say(f"  round {number + 1} of {arguments.rounds}, {turn}: {words}")
    keep({**found, "samples": arguments.samples})


def measure_start(arguments: argparse.Namespace, keep: Callable[..., None]) -> None:
    """Time the start of pytest with the plugin and without."""
    rounds = 15 if arguments.quick else 31
    found: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        (folder / "test_nothing.py").write_text(projects.EMPTY, encoding="utf-8")
        # A single --version is answered before any plugin is loaded.
        runs = {"version": ["--version", "--version"], "run": ["-q", "-p", "no:cacheprovider"]}
        for what, own in runs.items():
            arguments_of = [*own, *projects.without_others()]
            times: dict[str, list[float]] = {"without": [], "with": []}
            projects.pytest_seconds(folder, *arguments_of)  # compiles
            for number in range(rounds):
                turns = {"without": ["-p", "no:lime"], "with": []}
                for turn in measuring.rotated(list(turns), number):
                    times[turn].append(projects.pytest_seconds(folder, *arguments_of, *turns[turn]))
            found[what] = times
            added = statistics.median(map(operator.sub, times["with"], times["without"]))
            say(f"  {what}: {statistics.median(times['without']):.3f} s, and {added:+.4f} s with the plugin")
    keep(found)


def measure_workers(arguments: argparse.Namespace, keep: Callable[..., None]) -> None:
    """Time checks of the same size in one process and in two workers: a run of seconds, and a longer one."""
    rounds = min(arguments.rounds, 2) if arguments.quick else arguments.rounds
    keep(
        {
            "short": _in_workers(4, min(arguments.samples, 300), rounds),
            "long": _in_workers(8, arguments.samples, min(rounds, LONG_RUNS)),
        }
    )


def _in_workers(checks: int, samples: int, rounds: int) -> dict[str, Any]:
    turns = {"one": projects.without_others(), "two": [*projects.without_others("xdist"), "-n2"]}
    found: dict[str, dict[str, list[float]]] = {turn: {"seconds": [], "checks": []} for turn in turns}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Another seed each, or they would share their samples.
        projects.write(folder, checks=checks, options=[f"samples={samples}, seed={seed}" for seed in range(checks)])
        for number in range(rounds):
            for turn in measuring.rotated(list(turns), number):
                run = projects.run(folder, "--lime-no-cache", *turns[turn])
                found[turn]["seconds"].append(run.seconds)
                found[turn]["checks"].append(run.checks)
                words = f"{turn} {run.seconds:.1f} s, the checks {run.checks:.1f} s"
                say(f"  {checks} checks, round {number + 1} of {rounds}: {words}")
    return {**found, "samples": samples, "count": checks}


def measure_error(arguments: argparse.Namespace, keep: Callable[..., None]) -> None:
    """Take what ``samplers.py`` wrote of the error at equal passes; run it shortly where it never ran."""
    if not SAMPLERS.exists():
        say("  samplers.py has written nothing yet: a short run of it")
        subprocess.run(
            [sys.executable, "-m", "benchmarks.samplers", "--quick", "--json", str(SAMPLERS)],
            cwd=ROOT,
            env=measuring.surroundings(),
            check=True,
        )
    keep(read(SAMPLERS))


MEASURES: dict[str, Callable[..., None]] = {
    "verdict": measure_verdict,
    "memory": measure_memory,
    "cache": measure_cache,
    "start": measure_start,
    "workers": measure_workers,
    "error": measure_error,
}


def show(arguments: argparse.Namespace) -> None:
    """Print the table of all that was measured, draw it, and put it into the documents where that is asked for."""
    from benchmarks.table import draw, markdown, plain, rows  # noqa: PLC0415  (not needed for --help)

    results = read(arguments.results)
    listed = rows(results)
    if not listed:
        say(f"{arguments.results} holds no figures yet")
        return
    print(plain(listed, results))
    arguments.picture.parent.mkdir(parents=True, exist_ok=True)
    draw(listed, arguments.picture)
    say(f"written: {arguments.results}, {arguments.picture}")
    if arguments.write_docs:
        measuring.put_between(ROOT / "benchmarks" / "README.md", "bench", markdown(listed, results))
        say("written: benchmarks/README.md")


if __name__ == "__main__":
    sys.exit(main())
