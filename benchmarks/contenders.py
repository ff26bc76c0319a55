"""The contenders: this package, its peers, and bare forward passes, each on the same photographs and network.

Peers run in processes of their own, as their users run them: in inference mode, with all threads, and with compiled
code warm. Beside each as it comes stands what it is with the layout of memory that is faster for it, and captum with
the best of several batch sizes.
"""

from __future__ import annotations

import contextlib
import functools
import io
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.apart import Apart
from benchmarks.measuring import say, timed
from benchmarks.subjects import PHOTOGRAPHS, find, network
from pytest_lime import Explanation, TorchModel, explain
from pytest_lime.forward import choose_device
from pytest_lime.fusion import FusedNetwork, fusible
from pytest_lime.images import load_image

CLASSES = 5
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
BARE_SIZES = (1, 2, 4, 8, 16, 32, 64)
BARE_SIZES_ON_ACCELERATOR = (32, 64, 128, 256, 512)
CAPTUM_SIZES = (4, 8, 16, 32)
# Seconds that each size and layout is tried for, twice.
TRIAL = 1.0
LIME_BATCH = 10
SHAP_BATCH = 50
BLUR = "blur(32,32)"


class Ours:
    """`pytest_lime.explain`, with a batch size that is known by the time of the first round."""

    def __init__(self, samples: int, photographs: int) -> None:
        self.model = network()
        self._samples = samples
        self.names = PHOTOGRAPHS[:photographs]
        self.latest = self._explain(self.names[0], max(samples, 600))

    def __call__(self, number: int) -> None:
        """Explain five classes of the round's photograph, from the file to the weights."""
        self.latest = self._explain(self.names[number % len(self.names)], self._samples)

    def _explain(self, name: str, samples: int) -> Explanation:
        return explain(self.model, find(name), top_labels=CLASSES, samples=samples)

    def known(self) -> list[Explanation]:
        """Return a short explanation of each photograph: its superpixels and its classes."""
        return [self._explain(name, 64) for name in self.names]


class Bare:
    """Passes of batches that are ready, and nothing else, at the best batch size and layout.

    Parameters
    ----------
    net : torch.nn.Module
    received : 1×C×H×W tensor
        A photograph as the network receives it, on its device.
    passes : int
    sizes : sequence of int
        Those that are tried.
    fuse : bool
        Fuse the network, as ours does.
    """

    def __init__(
        self, net: torch.nn.Module, received: torch.Tensor, passes: int, sizes: Sequence[int], *, fuse: bool = False
    ) -> None:
        self._net, self._received, self._passes = net, received, passes
        self._fuse = fuse
        layouts = ["channels_last"] if fuse else list(LAYOUTS)
        self.rates: dict[str, float] = {}
        for _ in range(2):
            for layout in layouts:
                for size in sizes:
                    name = f"{size} {layout}"
                    self.rates[name] = max(self._rate(size, layout), self.rates.get(name, 0.0))
        self.best = max(self.rates, key=lambda name: self.rates[name])
        best, layout = self.best.split()
        self._size, self._batch = int(best), self._arranged(int(best), layout)

    def _arranged(self, size: int, layout: str) -> torch.Tensor:
        self._net.to(memory_format=LAYOUTS[layout])  # type: ignore[call-overload]  # not in the stubs
        self._run_through: Any = FusedNetwork(self._net) if self._fuse else self._net
        return self._received.expand(size, -1, -1, -1).clone(memory_format=LAYOUTS[layout])

    @torch.inference_mode()
    def _rate(self, size: int, layout: str) -> float:
        batch = self._arranged(size, layout)
        self._run_through(batch)
        wait(batch)
        done, began = 0, time.perf_counter()
        while time.perf_counter() - began < TRIAL or done < 2 * size:
            self._run_through(batch)
            wait(batch)
            done += size
        return done / (time.perf_counter() - began)

    @property
    def halves(self) -> tuple[Callable[[], None], Callable[[], None]]:
        """Two functions that make one half of the passes each."""
        full, rest = divmod(self._passes, self._size)
        sizes = [*[self._size] * full, *([rest] if rest else [])]
        middle = len(sizes) // 2
        return functools.partial(self._run, sizes[:middle]), functools.partial(self._run, sizes[middle:])

    @torch.inference_mode()
    def _run(self, sizes: Sequence[int]) -> None:
        for size in sizes:
            self._run_through(self._batch[:size])
        wait(self._batch)


def placed() -> TorchModel:
    """Return a network of its own on the device on which ours computes."""
    model = network()
    model.to(choose_device("auto", model))
    return model


def device_of(model: TorchModel) -> torch.device:
    """Return where the weights are."""
    return next(model.net.parameters()).device


def wait(tensor: torch.Tensor) -> None:
    """Let the device of `tensor` finish."""
    if tensor.device.type != "cpu":
        torch.accelerator.synchronize(tensor.device)


def received(model: TorchModel, name: str) -> torch.Tensor:
    """Return a photograph as the network receives it, 1×C×H×W."""
    pixels = torch.from_numpy(model.prepare(load_image(find(name))))[None]
    return model.normalise(pixels.to(device_of(model)))


class Peer:
    """A network of its own, in the layout that is faster for the batches of a peer."""

    def __init__(self, model: TorchModel) -> None:
        self.model = model

    @torch.inference_mode()
    def scores(self, images: Any) -> NDArray[np.float32]:
        """Return probabilities for N×H×W×C images in [0, 1], as ``lime`` and ``shap`` ask for them."""
        batch = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32)[..., : self.model.channels])
        batch = batch.permute(0, 3, 1, 2).to(device_of(self.model))
        scores: NDArray[np.float32] = self.model.predict(batch).cpu().numpy()
        return scores

    def arrange(self, layout: str) -> None:
        """Keep the weights in this layout."""
        self.model.net.to(memory_format=LAYOUTS[layout])  # type: ignore[call-overload]  # not in the stubs

    def settle(self, size: int, image: NDArray[np.float32]) -> str:
        """Choose the layout in which `scores` is faster at `size`, and return it."""
        batch = np.stack([image] * size)
        found: dict[str, float] = {}
        for layout in (*LAYOUTS, *LAYOUTS):
            self.arrange(layout)
            self.scores(batch)
            found[layout] = min(timed(lambda: self.scores(batch)), found.get(layout, float("inf")))
        best = min(found, key=lambda layout: found[layout])
        self.arrange(best)
        return best

    def picture(self, image: Any) -> NDArray[np.float32]:
        """Decode and prepare an image: H×W×3, or H×W of a gray one."""
        prepared = self.model.prepare(load_image(image))
        return prepared[0] if len(prepared) == 1 else np.moveaxis(prepared, 0, -1)


class LimePackage:
    """``lime`` as it comes: quickshift, 1,000 samples, batches of ten, the five classes of highest score.

    Parameters
    ----------
    model : TorchModel
        A network that nobody else arranges.
    samples : int
        Only to try it out.
    arranged : bool
        Keep the weights in the layout that is faster, which its users have to think of themselves.
    """

    def __init__(self, model: TorchModel, image: Any, samples: int = 1000, *, arranged: bool = False) -> None:
        self._peer, self._samples = Peer(model), samples
        picture = self._peer.picture(image)
        self.layout = self._peer.settle(LIME_BATCH, picture) if arranged and picture.ndim == 3 else "contiguous"
        self.facts = {"layout": self.layout}

    def __call__(self, image: Any) -> None:
        """Explain `image`, from the file to the weights."""
        from lime.lime_image import LimeImageExplainer  # noqa: PLC0415  (a peer may be left out)

        with quiet():
            LimeImageExplainer().explain_instance(
                self._peer.picture(image), self._peer.scores, num_samples=self._samples
            )


class real_lime:  # noqa: N801  (called like a function)
    """`LimePackage` with the network of the benchmark, on the photograph of a round, or on a path."""

    def __init__(self, names: Sequence[str], samples: int, arranged: bool = False) -> None:
        self._names = names
        self._lime = LimePackage(placed(), find(names[0]), samples, arranged=arranged)
        self.facts = self._lime.facts

    def __call__(self, photograph: int | Path) -> None:
        """Explain a photograph."""
        number = photograph if isinstance(photograph, int) else None
        self._lime(photograph if number is None else find(self._names[number % len(self._names)]))


class Captum:
    """captum's `Lime` on the same superpixels, for one class: it explains one at a time.

    Parameters
    ----------
    samples : int
    known : list of Explanation
        Of each photograph.
    layouts : sequence of str
        Of which the fastest is taken; ``"contiguous"`` is what comes without thinking of it.
    sizes : sequence of int
        Of `perturbations_per_eval`, whose default is 1; likewise.
    """

    def __init__(self, samples: int, known: list[Explanation], layouts: Sequence[str], sizes: Sequence[int]) -> None:
        self._peer, self._samples, self._known = Peer(placed()), samples, known
        found: dict[tuple[str, int], float] = {}
        for layout in layouts:
            for size in sizes:
                self.layout, self.size = layout, size
                trial = max(32, 2 * size)
                found[layout, size] = timed(lambda: self._attribute(known[0], trial)) / trial  # noqa: B023
        self.layout, self.size = min(found, key=lambda pair: found[pair])
        self.facts = {"layout": self.layout, "perturbations_per_eval": self.size}

    def __call__(self, number: int) -> None:
        """Explain the round's photograph; decoding and superpixels are not counted."""
        self._attribute(self._known[number % len(self._known)], self._samples)

    @torch.inference_mode()
    def _attribute(self, known: Explanation, samples: int) -> None:
        from captum.attr import Lime  # noqa: PLC0415  (a peer may be left out)

        self._peer.arrange(self.layout)
        model = self._peer.model
        pixels = torch.from_numpy(known.pixels)[None].to(device_of(model))
        batch = model.normalise(pixels).contiguous(memory_format=LAYOUTS[self.layout])
        Lime(lambda given: model.net(given).softmax(1)).attribute(
            batch,
            target=int(known.targets[0]),
            feature_mask=torch.from_numpy(known.segments)[None, None].to(batch.device),
            n_samples=samples,
            perturbations_per_eval=self.size,
        )


class Shap:
    """``shap``'s `PartitionExplainer` with its image masker, batches of 50, the five classes of highest score."""

    def __init__(self, evaluations: int, known: list[Explanation]) -> None:
        import shap  # noqa: PLC0415  (a peer may be left out)

        peer = Peer(placed())
        self._images = [np.ascontiguousarray(np.moveaxis(one.pixels, 0, -1)) for one in known]
        self.layout = peer.settle(SHAP_BATCH, self._images[0])
        self._evaluations = evaluations
        # The tree of the masker depends on the size of the image only.
        masker = shap.maskers.Image(BLUR, self._images[0].shape)
        self._explainer = shap.PartitionExplainer(peer.scores, masker)
        self._outputs = shap.Explanation.argsort.flip[:CLASSES]
        self._explain(0, 2 * SHAP_BATCH)  # compiles
        self.facts = {"layout": self.layout, "masker": BLUR, "batch_size": SHAP_BATCH}

    def __call__(self, number: int) -> None:
        """Explain the round's photograph; decoding is not counted."""
        self._explain(number, self._evaluations)

    def _explain(self, number: int, evaluations: int) -> None:
        image = self._images[number % len(self._images)]
        with quiet():
            self._explainer(
                image[None], max_evals=evaluations, batch_size=SHAP_BATCH, outputs=self._outputs, silent=True
            )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep a peer's progress bar off the terminal."""
    with contextlib.redirect_stderr(io.StringIO()):
        yield


def line_up(parts: Sequence[str], *, samples: int, photographs: int) -> tuple[dict[str, Any], Any]:
    """Make ready those who run against each other in `parts`, and return them with the facts about each.

    A contender takes the number of the round; ``"bare"`` is a pair of functions that take nothing.
    """
    say("making ready: ours")
    ours = Ours(samples, photographs)
    known = ours.known()
    ours(0)
    facts: dict[str, Any] = {
        "samples": samples,
        "photographs": list(ours.names),
        "superpixels": [int(one.segments.max()) + 1 for one in known],
        "passes": ours.latest.passes,
        "ours": {"batch_size": ours.latest.batch_size},
    }
    contenders: dict[str, Any] = {"ours": ours}
    if "engine" in parts:
        model = placed()
        batch = received(model, ours.names[0])
        say("making ready: bare")
        sizes = list(BARE_SIZES) if batch.device.type == "cpu" else list(BARE_SIZES_ON_ACCELERATOR)
        sizes = [size for size in sizes if size <= samples]
        # Each has a network of its own, whose layout nobody else changes.
        loops = {"bare": Bare(model.net, batch, ours.latest.passes, sizes)}
        if fusible(own := placed().net):
            loops["bare_fused"] = Bare(own, batch, ours.latest.passes, sizes, fuse=True)
        for name, bare in loops.items():
            contenders[name] = bare.halves
            facts[name] = {"best": bare.best, "images_a_second": bare.rates}
    peers: dict[str, tuple[Any, ...]] = {
        "lime": (real_lime, ours.names, samples),
        "lime_arranged": (real_lime, ours.names, samples, True),
        "captum": (Captum, samples, known, ["contiguous"], [1]),
        "captum_arranged": (Captum, samples, known, list(LAYOUTS), [1]),
        "captum_tuned": (Captum, samples, known, list(LAYOUTS), CAPTUM_SIZES),
        "shap": (Shap, samples, known),
    }
    for name, made in peers.items():
        if name.partition("_")[0] in parts:
            say(f"making ready: {name}")
            contenders[name] = peer = Apart(*made)
            facts[name] = peer.facts
    return contenders, facts
