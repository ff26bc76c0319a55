"""A network that did not change, one that changed a little, and one that changed a lot are told apart by `unchanged`.

Small networks that read scikit-learn's digits, as in example_suite/bias: the same one again, after one more epoch, and
with another head. All bounds are the defaults.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import nn

from pytest_lime import TorchModel, Verdict, unchanged
from pytest_lime.explainer import open_stream
from pytest_lime.laboratory import Laboratory
from pytest_lime.options import LimeOptions
from pytest_lime.sampling import sample
from pytest_lime.streams import Bench
from pytest_lime.trials import Trial

pytestmark = pytest.mark.slow

Pictures = NDArray[np.uint8]
OPTIONS = LimeOptions(segmenter="grid", segments=16, fill=(0, 0, 0), samples=256)
HELD_OUT = 6
LOOKED_AT = 20


def train(net: nn.Module, pictures: Pictures, classes: NDArray[np.int64], *, epochs: int) -> nn.Module:
    pixels, targets = torch.from_numpy(pictures).float().div(255).unsqueeze(1), torch.from_numpy(classes)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(epochs):
        order = torch.randperm(len(pixels))
        for start in range(0, len(order), 50):
            batch = order[start : start + 50]
            optimizer.zero_grad()
            torch.autograd.backward(nn.functional.cross_entropy(net(pixels[batch]), targets[batch]))
            optimizer.step()
    return net


@pytest.fixture(scope="module")
def digits() -> tuple[Pictures, NDArray[np.int64]]:
    bunch = load_digits()
    pixels = (bunch.images / 16 * 255).round().astype(np.uint8)
    return pixels.repeat(4, axis=1).repeat(4, axis=2), bunch.target.astype(np.int64)


@pytest.fixture(scope="module")
def networks(digits: tuple[Pictures, NDArray[np.int64]]) -> dict[str, TorchModel]:
    learned = np.arange(len(digits[0])) % HELD_OUT != 0
    pictures, classes = (part[learned] for part in digits)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(
            *(nn.Conv2d(1, 16, 5, stride=2, padding=2), nn.ReLU()),
            *(nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(32 * 8 * 8, 10)),
        )
        train(net, pictures, classes, epochs=8)
        other = copy.deepcopy(net)
        other[5] = nn.Linear(32 * 8 * 8, 10)
        made = {
            "before": net,
            "same": copy.deepcopy(net),
            "little": train(copy.deepcopy(net), pictures, classes, epochs=1),
            "lot": other,
        }
    return {name: TorchModel(one, size=(32, 32), channels=1) for name, one in made.items()}


def verdicts(
    networks: dict[str, TorchModel], name: str, digits: tuple[Pictures, NDArray[np.int64]]
) -> Iterator[Verdict]:
    claim = unchanged(reference=networks["before"])
    assert isinstance(claim, Trial)
    bench = Bench(networks[name], OPTIONS)
    for place in range(0, HELD_OUT * LOOKED_AT, HELD_OUT):
        stream = open_stream(bench, digits[0][place], int(digits[1][place]))
        ((stream, explanation),) = sample(bench.engine, [stream])
        yield claim.conduct(Laboratory(stream, explanation))


def test_not_at_all(networks: dict[str, TorchModel], digits: tuple[Pictures, NDArray[np.int64]]) -> None:
    for verdict in verdicts(networks, "same", digits):
        assert (verdict.status, verdict.estimate, verdict.figure) == ("pass", 1.0, "no change at all")


def test_a_little(networks: dict[str, TorchModel], digits: tuple[Pictures, NDArray[np.int64]]) -> None:
    found = list(verdicts(networks, "little", digits))
    # A picture of the twenty may look moved: one more epoch moves some digits far.
    assert sum(verdict.status == "pass" for verdict in found) >= LOOKED_AT - 2
    assert all("largest change" in verdict.note for verdict in found)


def test_a_lot(networks: dict[str, TorchModel], digits: tuple[Pictures, NDArray[np.int64]]) -> None:
    assert {verdict.status for verdict in verdicts(networks, "lot", digits)} == {"fail"}
