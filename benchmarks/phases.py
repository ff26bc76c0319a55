"""Say where the time of one explanation goes, and reckon what the same work comes to on an accelerator.

    python -m benchmarks.phases
    python -m benchmarks.phases --reckon

The second needs no measurement: it counts bytes and operations.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import math
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from benchmarks import measuring
from benchmarks.measuring import ROOT, say
from benchmarks.subjects import PHOTOGRAPHS, find, network
from pytest_lime import explain

DOCUMENT = ROOT / "docs" / "performance.md"
CLASSES = 5

# Which function belongs to which phase; a phase does not count what it spends in another.
PHASES = {
    "decode": ["pytest_lime.scenes:load_image"],
    "resize and crop": ["pytest_lime.scenes:prepare"],
    "superpixels": ["pytest_lime.scenes:segment"],
    "fill": ["pytest_lime.scenes:fill_image", "pytest_lime.scenes:looks_unchanged"],
    "draw masks": ["pytest_lime.perturbation:MaskStream.draw"],
    "masks to the device": ["pytest_lime.forward:Engine._upload"],
    "image and fill to the device": ["pytest_lime.forward:Canvas.flat"],
    "masked copies": ["pytest_lime.forward:Engine._masked"],
    "fusing": ["pytest_lime.models.network:Network.fuse"],
    "network": ["torch.nn:Module.__call__", "pytest_lime.fusion:FusedNetwork.__call__"],
    "softmax and checks of the answer": ["pytest_lime.forward:Engine._predict"],
    "scores to the host": ["pytest_lime.forward:Pending.results"],
    "fit and intervals": ["pytest_lime.streams:sample_weights", "pytest_lime.streams:fit_samples"],
}
REST = "rest"


class Clock:
    """Sums up the seconds of each phase, without those of phases inside it."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self.missing: list[str] = []
        self._inner: list[float] = []

    def attach(self) -> None:
        """Wrap the functions of all phases, for the rest of this process."""
        for phase, places in PHASES.items():
            for place in places:
                module, _, path = place.partition(":")
                *owners, name = path.split(".")
                try:
                    owner = functools.reduce(getattr, owners, importlib.import_module(module))
                    function = getattr(owner, name)
                except (ImportError, AttributeError):
                    self.missing.append(place)
                    continue
                setattr(owner, name, self._timed(phase, function))

    def reset(self) -> None:
        """Begin anew."""
        self.seconds = dict.fromkeys(PHASES, 0.0)

    def _timed(self, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*arguments: Any, **named: Any) -> Any:
            # A network calls its layers, which are the network, too.
            if phase == "network" and self._inside_network:
                return function(*arguments, **named)
            self._inside_network = self._inside_network or phase == "network"
            began = time.perf_counter()
            self._inner.append(0.0)
            try:
                return function(*arguments, **named)
            finally:
                spent = time.perf_counter() - began
                self.seconds[phase] += spent - self._inner.pop()
                if self._inner:
                    self._inner[-1] += spent
                if phase == "network":
                    self._inside_network = False

        return wrapper

    _inside_network = False


def profile(samples: int, rounds: int) -> str:
    """Return a table of the phases of one explanation of five classes, from the file to the weights."""
    model = network()
    photograph = find(PHOTOGRAPHS[0])
    say("making ready")
    explain(model, photograph, top_labels=CLASSES, samples=max(samples, 600))
    clock = Clock()
    clock.attach()
    found: list[dict[str, float]] = []
    for number in range(rounds):
        clock.reset()
        began = time.perf_counter()
        explanation = explain(model, photograph, top_labels=CLASSES, samples=samples)
        whole = time.perf_counter() - began
        found.append({**clock.seconds, REST: whole - sum(clock.seconds.values()), "whole": whole})
        say(f"  round {number + 1} of {rounds}: {whole:.2f} s")
    medians = {name: statistics.median(one[name] for one in found) for name in found[0]}
    whole = medians.pop("whole")
    lines = ["| phase | milliseconds | share |", "|---|---:|---:|"]
    lines += [f"| {name} | {seconds * 1e3:,.1f} | {seconds / whole:.2%} |" for name, seconds in medians.items()]
    known = measuring.environment()
    lines += [
        f"| **whole** | **{whole * 1e3:,.0f}** | |",
        "",
        f"{explanation.samples:,} samples of {explanation.superpixels} superpixels, {explanation.passes:,} passes in "
        f"batches of {explanation.batch_size}, medians of {rounds} rounds; {known['date']}, {known['cpu']}, "
        f"{known['threads']} threads, torch {known['versions']['torch']}.",
    ]
    if clock.missing:
        say(f"not found, so their time is in the rest: {', '.join(clock.missing)}")
    return "\n".join(lines)


class Device(NamedTuple):
    """What an accelerator can do at best, by its data sheet.

    Attributes
    ----------
    name : str
    bandwidth : float
        Bytes a second of its memory.
    link : float
        Bytes a second from the host.
    operations : mapping from precision to operations a second, with two for each multiplication and addition
    """

    name: str
    bandwidth: float
    link: float
    operations: dict[str, float]


H100 = Device("H100 SXM", 3.35e12, 64e9, {"float32": 67e12, "bfloat16": 989e12})
BYTES = {"float32": 4, "bfloat16": 2}


def reckon(superpixels: int, batch: int, device: Device = H100) -> str:
    """Return a table of the bytes and operations of one sample, and how long they take at best on a device."""
    net = network().net
    operations, activations, weights = count(net, 224)
    values = 3 * 224 * 224
    lines = [
        f"| a sample, in batches of {batch} | float32 | bfloat16 |",
        "|---|---:|---:|",
        f"| operations of the network | {operations / 1e9:.2f}·10⁹ | the same |",
    ]
    rows: dict[str, list[str]] = {}
    for precision, size in BYTES.items():
        arithmetic = operations / device.operations[precision]
        moved = (activations + weights / batch) * size
        memory = moved / device.bandwidth
        # A 0 or 1 a value is written and read again; the copy is written, and read by the first layer in any case.
        # Image, fill and the superpixel of each value are the same for the whole batch, and stay in the cache.
        masking = 3 * 4 * values / device.bandwidth
        # Nothing stays in the cache.
        worst = (3 * 4 + 8 + 8) * values / device.bandwidth
        network_time = max(arithmetic, memory)
        for name, text in {
            "… at the rate of the data sheet": f"{arithmetic * 1e6:.1f} µs",
            "bytes that its layers read and write": f"{moved / 1e6:.0f} MB",
            "… at the bandwidth of the data sheet": f"{memory * 1e6:.1f} µs",
            "so the network takes at least": f"{network_time * 1e6:.1f} µs, bound by "
            + ("memory" if memory > arithmetic else "arithmetic"),
            "masks from the host": f"{superpixels} bytes, {superpixels / device.link * 1e9:.1f} ns",
            "bytes of masking": f"12·{values:,} = {12 * values / 1e6:.2f} MB, {masking * 1e6:.2f} µs",
            "… if nothing stayed in the cache": f"28·{values:,} = {28 * values / 1e6:.2f} MB, {worst * 1e6:.2f} µs",
            "masking ÷ network": f"{masking / network_time:.1%} to {worst / network_time:.1%}",
        }.items():
            rows.setdefault(name, []).append(text)
    lines += [f"| {name} | {' | '.join(texts)} |" for name, texts in rows.items()]
    rates = ", ".join(f"{rate / 1e12:.0f}·10¹² in {name}" for name, rate in device.operations.items())
    lines += [
        "",
        f"Reckoned, not measured: EfficientNet-Lite0 at 224², {superpixels} superpixels; {device.name} by its data "
        f"sheet, {device.bandwidth / 1e12:.2f}·10¹² bytes a second of memory, {device.link / 1e9:.0f}·10⁹ from the "
        f"host, and operations a second: {rates}. Each layer reads its input from memory and writes its output there.",
    ]
    return "\n".join(lines)


@torch.inference_mode()
def count(net: torch.nn.Module, side: int) -> tuple[float, float, float]:
    """Return the operations of one pass, and how many numbers its layers read and write: activations, and weights."""
    from torch.utils.flop_counter import FlopCounterMode  # noqa: PLC0415  (only --reckon needs it)

    moved = 0

    def hook(layer: torch.nn.Module, given: tuple[Any, ...], output: Any) -> None:
        nonlocal moved
        moved += sum(math.prod(each.shape) for each in (*given, output) if isinstance(each, torch.Tensor))

    layers = [layer for layer in net.modules() if not list(layer.children())]
    hooks = [layer.register_forward_hook(hook) for layer in layers]
    with FlopCounterMode(display=False) as counter:
        net(torch.zeros(1, 3, side, side))
    for each in hooks:
        each.remove()
    weights = sum(parameter.numel() for parameter in net.parameters())
    return float(counter.get_total_flops()), float(moved), float(weights)


def main() -> None:
    """Measure or reckon, print, and put the table into the documents where that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.phases", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--samples", type=int, default=1000, metavar="N", help="(default 1,000)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="(default 5)")
    parser.add_argument("--reckon", action="store_true", help="count bytes and operations for an accelerator instead")
    parser.add_argument("--superpixels", type=int, default=50, metavar="N", help="of --reckon (default 50)")
    parser.add_argument("--batch", type=int, default=256, metavar="N", help="of --reckon (default 256)")
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/performance.md")
    arguments = parser.parse_args()
    marker = "reckoned" if arguments.reckon else "phases"
    text = (
        reckon(arguments.superpixels, arguments.batch)
        if arguments.reckon
        else profile(arguments.samples, arguments.rounds)
    )
    print(f"\n{text}\n")
    if arguments.write_docs:
        measuring.put_between(DOCUMENT, marker, text)
        say(f"written: {DOCUMENT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
