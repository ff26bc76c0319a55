"""--lime-samples, --lime-seed and --lime-device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

Run = Callable[..., pytest.RunResult]
Report = Callable[..., dict[str, dict[str, Any]]]
CHECK = """
    def test_it(lime):
        lime.check(IMAGE, "cat", predicted(rank=3))
    """


def test_lime_samples(suite: Callable[..., None], run: Run, report: Report) -> None:
    suite(CHECK)
    result = run("--lime-samples=64", "--lime-report-all")
    (record,) = report().values()
    # Besides, one pass a superpixel for occlusion.
    passes = 66 + record["explanation"]["superpixels"]
    assert (record["explanation"]["samples"], record["explanation"]["passes"]) == (64, passes)
    result.stdout.fnmatch_lines([f"1 check: 1 passed; {passes} forward passes in * s"])


def test_lime_seed(suite: Callable[..., None], run: Run, report: Report) -> None:
    suite(CHECK)

    def weights(seed: int) -> list[float]:
        run("--lime-samples=64", f"--lime-seed={seed}", "--lime-report-all").assert_outcomes(passed=1)
        (record,) = report().values()
        return [weight["weight"] for weight in record["weights"]]

    first = weights(1)
    assert weights(2) != first
    assert weights(1) == first


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there(suite: Callable[..., None], run: Run, insides: Callable[..., list[str]]) -> None:
    suite(CHECK)
    for device in ("cuda", "cuda:3"):
        result = run(f"--lime-device={device}")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            [f"E*pytest_lime.OptionError: device='{device}' is not available; there is no such accelerator here*"]
        )
        assert insides(result) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_call_that_names_another_device_does_not_ask_for_it(suite: Callable[..., None], run: Run) -> None:
    suite("""
        def test_it(lime):
            lime.check(IMAGE, "cat", predicted(rank=3), device="cpu", samples=64)
        """)
    run("--lime-device=cuda").assert_outcomes(passed=1)


def test_lime_device(suite: Callable[..., None], run: Run, report: Report) -> None:
    suite(CHECK)
    run("--lime-device=cpu", "--lime-report-all", "--lime-samples=64").assert_outcomes(passed=1)
    (record,) = report().values()
    assert record["explanation"]["device"] == "cpu"
