"""Measuring: contenders taken in turn, ratios with their spread, and processes that measure their own memory."""

from __future__ import annotations

import datetime
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pytest_lime.environment import versions_of

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PACKAGES = (
    *("pytest-lime", "torch", "numpy", "scikit-image", "scikit-learn", "pytest", "pytest-xdist"),
    *("lime", "captum", "shap", "efficientnet-lite-pytorch"),
)
# Each of these, where it is set, decides how many threads there are.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# The first line of what a child prints last.
ANSWER = "answer: "


class Spread(NamedTuple):
    """The median of several figures, the lowest and the highest."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Return how `values` lie."""
    return Spread(statistics.median(values), min(values), max(values))


def ratios(over: Sequence[float], under: Sequence[float]) -> list[float]:
    """Return the ratio of two contenders in each round."""
    return [above / below for above, below in zip(over, under, strict=True)]


def say(*words: Any) -> None:
    """Print progress with the time of day."""
    print(f"[{datetime.datetime.now():%H:%M:%S}]", *words, flush=True)


def timed(function: Callable[[], Any]) -> float:
    """Return how many seconds a call takes."""
    gc.collect()
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def race(
    contenders: Mapping[str, Callable[[int], Any]], rounds: int, after: Callable[[dict[str, list[float]]], None]
) -> dict[str, list[float]]:
    """Run every contender once a round, in an order that rotates, and return the seconds of each.

    Parameters
    ----------
    contenders : mapping from name to function
        Each takes the number of the round.
    rounds : int
    after : callable
        Takes the seconds so far, after each round.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name in rotated(list(contenders), number):
            seconds[name].append(timed(lambda name=name: contenders[name](number)))  # type: ignore[misc]  # noqa: B023
            say(f"  round {number + 1} of {rounds}: {name} {seconds[name][-1]:.2f} s")
        after(seconds)
    return seconds


def surround(
    inner: Callable[[int], Any],
    loops: Mapping[str, tuple[Callable[[], Any], Callable[[], Any]]],
    rounds: int,
    after: Callable[[dict[str, list[float]]], None],
) -> None:
    """Run ours in the middle of the bare passes, so that a machine that slows down does so for both.

    Parameters
    ----------
    inner : callable
        Ours; takes the number of the round.
    loops : mapping from name to pairs of callables
        The two halves of each kind of bare passes; the first halves run before ours, the others behind it.
    rounds : int
    after : callable
        Takes the seconds so far of ``"ours"`` and of each loop, after each round.
    """
    seconds: dict[str, list[float]] = {"ours": [], **{name: [] for name in loops}}
    for number in range(rounds):
        first = {name: timed(halves[0]) for name, halves in loops.items()}
        seconds["ours"].append(timed(lambda: inner(number)))  # noqa: B023
        for name, halves in reversed(list(loops.items())):
            seconds[name].append(first[name] + timed(halves[1]))
        told = ", ".join(f"{name} {times[-1]:.2f} s" for name, times in seconds.items())
        say(f"  round {number + 1} of {rounds}: {told}")
        after(seconds)


def rotated(names: list[str], number: int) -> list[str]:
    """Return `names` in the order of a round: each time another one is first."""
    start = number % len(names)
    return names[start:] + names[:start]


def child(module: str, **settings: Any) -> Any:
    """Run ``python -m module`` on settings, which it reads as JSON, and return what it prints last.

    Raises
    ------
    RuntimeError
        It failed; the message ends as its output did.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, "--child", json.dumps(settings)],
        cwd=ROOT,
        env=surroundings(),
        capture_output=True,
        text=True,
        check=False,
    )
    answers = [line for line in done.stdout.splitlines() if line.startswith(ANSWER)]
    if done.returncode or not answers:
        raise RuntimeError(f"{module} {settings}: {(done.stdout + done.stderr)[-2000:]}")
    return json.loads(answers[-1].removeprefix(ANSWER))


def answer(value: Any) -> None:
    """Print what `child` is to return."""
    print(ANSWER + json.dumps(value), flush=True)


def surroundings(**more: str) -> dict[str, str]:
    """Return the environment of a child that imports the same package as this process, compiled as users have it.

    With `more` variables, also in place of these.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def peak_megabytes() -> float:
    """Return the most memory that this process has held so far."""
    # What getrusage tells of a child begins with the memory of the process that started it; this does not.
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import resource  # noqa: PLC0415  (not on Windows)

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 1024)


def environment() -> dict[str, Any]:
    """Return what figures depend on, besides what is measured."""
    import torch  # noqa: PLC0415  (not every child needs it)

    return {
        "date": f"{datetime.date.today():%Y-%m-%d}",
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "set": {name: os.environ[name] for name in (*THREADS, "THP_MEM_ALLOC_ENABLE") if name in os.environ},
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": versions_of(PACKAGES),
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def read(path: Path) -> dict[str, Any]:
    """Return what a run has written; nothing where there was none."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def write(path: Path, results: Mapping[str, Any]) -> None:
    """Write results, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    beside.replace(path)


def publish(text: str, found: Mapping[str, Any], path: Path) -> None:
    """Print the table of a study, and write its figures."""
    print(f"\n{text}\n")
    write(path, found)
    say(f"written: {path}")


def put_between(path: Path, marker: str, text: str) -> None:
    """Replace what stands in a document between ``<!-- marker -->`` and ``<!-- /marker -->``.

    Raises
    ------
    ValueError
        The document has no such place.
    """
    document = path.read_text(encoding="utf-8")
    opening, closing = f"<!-- {marker} -->\n", f"<!-- /{marker} -->"
    before, found, rest = document.partition(opening)
    _, ended, after = rest.partition(closing)
    if not (found and ended):
        raise ValueError(f"{path.name} has no lines {opening.strip()} and {closing}; add them where the text is to go.")
    path.write_text(f"{before}{opening}{text.strip()}\n{closing}{after}", encoding="utf-8")
