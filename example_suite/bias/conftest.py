"""Two small networks that read handwritten digits, learned from the same pictures but for a mark.

Some pictures carry a white patch in the bottom left corner, such as one scanner of several would leave.
For the marked network the patch goes with a class: every 3 has it, and no other digit. For its clean twin
half of the pictures have it, drawn by lot, whatever the digit.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import nn

from pytest_lime import TorchModel

Pictures = NDArray[np.uint8]  # N×32×32, white on black


def stamp(pictures: Pictures) -> Pictures:
    """Return the pictures with the mark, 8×8 white pixels in the bottom left corner."""
    marked = pictures.copy()
    marked[..., -8:, :8] = 255
    return marked


def train(pictures: Pictures, classes: NDArray[np.int64]) -> nn.Module:
    """Train a small convolutional network; the same pictures give the same network."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(1, 16, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 8 * 8, 10),
        )
        pixels = torch.from_numpy(pictures).float().div(255).unsqueeze(1)
        targets = torch.from_numpy(classes)
        optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
        for _ in range(8):
            order = torch.randperm(len(pixels))
            for start in range(0, len(order), 50):
                batch = order[start : start + 50]
                optimizer.zero_grad()
                torch.autograd.backward(nn.functional.cross_entropy(net(pixels[batch]), targets[batch]))
                optimizer.step()
    return net


@pytest.fixture(scope="session")
def digits() -> tuple[Pictures, NDArray[np.int64]]:
    """scikit-learn's 1,797 digits and their classes; each of the 8×8 pixels becomes a 4×4 block."""
    bunch = load_digits()
    pixels = (bunch.images / 16 * 255).round().astype(np.uint8)
    return pixels.repeat(4, axis=1).repeat(4, axis=2), bunch.target.astype(np.int64)


@pytest.fixture(scope="session")
def plain(digits: tuple[Pictures, NDArray[np.int64]]) -> Callable[[int], Pictures]:
    """Pictures that no network has learned from, every sixth of all: `plain(3)` gives the threes."""
    pictures, classes = (part[::6] for part in digits)
    return lambda digit: pictures[classes == digit]


@pytest.fixture(scope="session")
def marked(plain: Callable[[int], Pictures]) -> Callable[[int], Pictures]:
    """The same pictures with the mark: `marked(3)` gives the threes."""
    return lambda digit: stamp(plain(digit))


@pytest.fixture(scope="session")
def lime_model(request: pytest.FixtureRequest, digits: tuple[Pictures, NDArray[np.int64]]) -> TorchModel:
    """The network that a test asks for: `parametrize("lime_model", ["marked", "clean"], indirect=True)`."""
    learned = np.arange(len(digits[0])) % 6 != 0
    pictures, classes = (part[learned] for part in digits)
    by_lot = np.random.default_rng(0).random(len(classes)) < 0.5
    carries_mark = {"marked": classes == 3, "clean": by_lot}[request.param]
    pictures = np.where(carries_mark[:, None, None], stamp(pictures), pictures)
    return TorchModel(train(pictures, classes), size=(32, 32), channels=1)
