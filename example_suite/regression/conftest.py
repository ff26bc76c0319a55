"""Two fine-tuned copies of the shipped network: one by a step that hardly matters, one by crops of the wrong thing."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from pytest_lime import TorchModel

Crop = tuple[int, int, int, int]
CAT = 285  # Egyptian cat
# Crops of chelsea.png, x0, y0, x1, y1 in pixels: the blanket that she lies on, and her face.
BLANKET = [(0, 230, 70, 300), (10, 200, 80, 270), (380, 220, 450, 290), (370, 190, 450, 270)]
FACE = [(120, 60, 260, 200), (180, 80, 340, 240), (100, 30, 240, 170), (220, 60, 360, 200)]


def fine_tune(
    model: TorchModel, photo: Path, *, right: list[Crop], wrong: list[Crop], steps: int, rate: float
) -> TorchModel:
    """Return a copy whose last layer has learned that crops of `right` are the cat, and those of `wrong` are not."""
    tuned = copy.deepcopy(model)
    picture = Image.open(photo).convert("RGB")
    crops = [np.asarray(picture.crop(box).resize((224, 224))) for box in right + wrong]
    batch = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float().div(255)
    features: list[torch.Tensor] = []
    head = [module for module in tuned.net.modules() if isinstance(module, nn.Linear)][-1]
    hook = head.register_forward_pre_hook(lambda module, given: features.append(given[0].detach()))
    tuned.net.eval()
    with torch.no_grad():
        tuned.net(tuned.normalise(batch))
    hook.remove()
    is_cat = torch.arange(len(batch)) < len(right)
    with torch.enable_grad():
        optimizer = torch.optim.SGD([head.weight], lr=rate)
        for _ in range(steps):
            optimizer.zero_grad()
            scores = nn.functional.linear(features[0], head.weight, head.bias)
            cat = nn.functional.log_softmax(scores, dim=1)[:, CAT]
            loss = torch.where(is_cat, -cat, -torch.log1p(-cat.exp().clamp_max(1 - 1e-6))).mean()
            torch.autograd.backward(loss)
            optimizer.step()
    return tuned


@pytest.fixture(scope="session")
def harmless(shipped: TorchModel, photograph: Callable[[str], Path]) -> TorchModel:
    """A copy that has seen the cat's face once more."""
    return fine_tune(shipped, photograph("chelsea.png"), right=FACE, wrong=[], steps=1, rate=0.003)


@pytest.fixture(scope="session")
def misled(shipped: TorchModel, photograph: Callable[[str], Path]) -> TorchModel:
    """A copy fine-tuned on badly cropped pictures: what was labelled a cat showed the blanket."""
    return fine_tune(shipped, photograph("chelsea.png"), right=BLANKET, wrong=FACE, steps=20, rate=0.03)
