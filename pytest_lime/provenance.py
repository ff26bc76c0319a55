"""Provenance: which model gave the scores of a check, and what computed them, as its record says it."""

from __future__ import annotations

import functools
import hashlib
import platform
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch

from pytest_lime.cache import Cache, digest
from pytest_lime.errors import printable
from pytest_lime.models.protocol import check_size
from pytest_lime.streams import Bench

__all__ = ["arithmetic_facts", "model_facts", "weights_sha256"]

WEIGHTS = "weights"
# What is known of the weights of the last so many states of models, by their fingerprints: a run has few.
_known: OrderedDict[str, str | None] = OrderedDict()
# All images of a set have one bench.
_of_bench: WeakKeyDictionary[Bench, str | None] = WeakKeyDictionary()
MOST_KNOWN = 64
SHA256 = re.compile("[0-9a-f]{64}")


def model_facts(bench: Bench, classes: int | None) -> dict[str, Any]:
    """Return name, hash, input and number of classes of a bench's model, as JSON values.

    Parameters
    ----------
    bench : Bench
    classes : int or None
        How many scores the model returns; None where it was not asked.
    """
    model = bench.model
    size = None if model.input_size is None else list(check_size(model.input_size))
    known = len(bench.labels) if bench.labels is not None else classes
    return {"name": _name(model), "sha256": _sha256(bench), "input": size, "classes": known}


def arithmetic_facts(bench: Bench) -> dict[str, Any]:
    """Return what computed the scores: the device and its name, precision, determinism and threads, as JSON values."""
    device = bench.engine.device
    return {
        "device": str(device),
        "device_name": _device_name(str(device)),
        "precision": bench.options.precision,
        "deterministic": bool(torch.are_deterministic_algorithms_enabled()),
        "threads": torch.get_num_threads(),
    }


def _name(model: Any) -> str:
    kind = type(model).__name__
    net = getattr(model, "net", None)
    return printable(f"{kind} ({type(net).__name__})" if isinstance(net, torch.nn.Module) else kind)


def _sha256(bench: Bench) -> str | None:
    """Return the hash of the weights; None where a model neither has a torch network nor says it itself."""
    if bench not in _of_bench:
        # A user's model may do anything when it is asked; the check has its verdict already.
        try:
            _of_bench[bench] = _asked(bench)
        except Exception:
            _of_bench[bench] = None
    return _of_bench[bench]


def _asked(bench: Bench) -> str | None:
    model: Any = bench.model
    own = getattr(model, "sha256", None)
    own = own() if callable(own) else own
    if isinstance(own, str) and SHA256.fullmatch(own):
        return own
    net = getattr(model, "net", None)
    if not isinstance(net, torch.nn.Module):
        return None
    # As long as the fingerprint stays, so do the weights. Without a cache nobody has asked for it, and it takes longer
    # than the hash.
    state = bench.fingerprint if bench.cache else None
    if bench.cache is None or state is None:
        return weights_sha256(net)
    if state not in _known:
        _known[state] = _remembered(bench.cache, state, net)
        while len(_known) > MOST_KNOWN:
            _known.popitem(last=False)
    return _known[state]


def _remembered(cache: Cache, state: str, net: torch.nn.Module) -> str | None:
    """Return the hash of the weights that an earlier run wrote down, or find it and write it down."""
    key = digest(state)
    entry = cache.get(WEIGHTS, key, lambda entry: SHA256.fullmatch(entry.facts["sha256"]))  # type: ignore[arg-type]
    if entry is not None:
        return str(entry.facts["sha256"])
    found = weights_sha256(net)
    if found:
        cache.put(WEIGHTS, key, {"sha256": found}, {})
    return found


def weights_sha256(net: torch.nn.Module) -> str | None:
    r"""Return a hash of all weights and buffers that ``net.state_dict()`` holds, the same on every machine.

    SHA-256 over the tensors in the order of their names: of each its name, dtype and shape on a line, as in
    ``fc.weight float32 10x64``, and then its bytes, in the order of its indices and the lowest byte of a number first.
    None where a tensor has no such bytes, as a sparse one.

    Examples
    --------
    >>> net = torch.nn.Linear(2, 1, bias=False)
    >>> _ = net.weight.data.fill_(1.0)
    >>> weights_sha256(net) == hashlib.sha256(b"weight float32 1x2\n" + b"\0\0\x80?" * 2).hexdigest()
    True
    """
    found = hashlib.sha256()
    try:
        with torch.no_grad():
            for name, tensor in sorted(net.state_dict().items()):
                dtype, shape = str(tensor.dtype).removeprefix("torch."), "x".join(map(str, tensor.shape))
                found.update(f"{name} {dtype} {shape}\n".encode("utf-8", "surrogatepass"))
                flat = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
                found.update(flat.view(torch.uint8).numpy().data)
    except (RuntimeError, TypeError, AttributeError, NotImplementedError):
        return None
    return found.hexdigest()


@functools.cache
def _device_name(device: str) -> str:
    """Return the name of the device, as its maker calls it; the kind of machine where that is not known."""
    kind = device.partition(":")[0]
    backend: Any = getattr(torch, kind, None)
    if kind != "cpu" and hasattr(backend, "get_device_name"):
        try:
            return printable(str(backend.get_device_name(device)))
        except (RuntimeError, AssertionError, ValueError):
            return kind
    return _processor() if kind in ("cpu", "mps") else kind


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # there is none but on Linux
        lines = []
    named = (
        value.strip() for name, _, value in (line.partition(":") for line in lines) if name.strip() == "model name"
    )
    return printable(next(named, "") or platform.processor() or platform.machine())
