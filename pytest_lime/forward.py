"""The engine: masked copies of an image through a model, in batches, on the device."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray

from pytest_lime.errors import ModelError, OptionError
from pytest_lime.models.protocol import Model, check_scores, resolution

__all__ = ["BatchSize", "Forward", "choose_device"]

# Two of the doublings that are tried must be slower than the best before the search
# ends, so that one slow batch on a busy machine does not end it.
PATIENCE = 2
# The first batch of a size also pays for choosing the kernels of that size.
REPEATS = 2
SMALLEST = 4
# An accelerator is idle at sizes at which a processor is busy.
SMALLEST_ON_ACCELERATOR = 32
LARGEST = 512
# Bytes of one batch of masked copies at most; the network's own activations come on top.
MOST_BYTES = 256 * 2**20


def choose_device(option: str, model: Model) -> torch.device:
    """Return the device of `option`; ``"auto"`` is the model's own, else the first accelerator, else the CPU.

    Raises
    ------
    OptionError
        The device is not there.
    """
    # A model that says nothing of devices may not know of any.
    wanted = str(getattr(model, "device", "cpu")) if option == "auto" else option
    if wanted == "auto":
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return accelerator or torch.device("cpu")
    device = torch.device(wanted)
    count = _count(device.type)
    if count == 0 or (device.index or 0) >= count:
        there = "; there is no such accelerator here" if count == 0 else f"; there are {count}, 0…{count - 1}"
        raise OptionError(f"device={wanted!r} is not available{there}: choose 'auto' or 'cpu'.")
    return device


def _count(kind: str) -> int:
    if kind == "cpu":
        return 1
    backend = getattr(torch, kind, None)
    if backend is None or not backend.is_available():
        return 0
    return int(backend.device_count())


class BatchSize:
    """Finds the fastest batch size by measuring the first batches, and remembers it.

    It starts small and doubles while images a second rise; every measured batch is one
    that had to be run anyway. Out of memory halves it for good.

    Parameters
    ----------
    least, most : int
        The first size that is tried, and the largest.
    """

    def __init__(self, least: int = SMALLEST, most: int = LARGEST) -> None:
        self._most = max(1, most)
        self._next = min(least, self._most)
        # Images a second of each size, one entry a batch.
        self._rates: dict[int, list[float]] = {}
        self._settled: int | None = None

    @property
    def settled(self) -> bool:
        """Whether the search is over, so that batches need no timing."""
        return self._settled is not None

    @property
    def size(self) -> int:
        """The size of the next batch."""
        return self._settled or self._next

    def measured(self, size: int, seconds: float) -> None:
        """Take note that a batch of `size` took `seconds`."""
        if self.settled or size != self._next:
            return
        rates = self._rates.setdefault(size, [])
        rates.append(size / max(seconds, 1e-9))
        if len(rates) < REPEATS:
            return
        best = self._best()
        slower = sum(1 for tried in self._rates if tried > best)
        if slower >= PATIENCE or size * 2 > self._most:
            self._settled = best
        else:
            self._next = size * 2

    def too_large(self, size: int) -> bool:
        """Go below `size`, which ran out of memory; False when that cannot be."""
        if size <= 1:
            return False
        self._most = size // 2
        self._rates = {tried: rates for tried, rates in self._rates.items() if tried <= self._most}
        self._settled = self._best() if self._rates else self._most
        return True

    def _best(self) -> int:
        return max(self._rates, key=lambda tried: max(self._rates[tried]))


# One for each model, shape and device; gone with the model.
_sizes: WeakKeyDictionary[Any, dict[tuple[Any, ...], BatchSize]] = WeakKeyDictionary()


def _batch_size(model: Model, shape: tuple[int, ...], device: torch.device) -> BatchSize:
    most = max(1, min(LARGEST, MOST_BYTES // (4 * int(np.prod(shape)))))
    try:
        known = _sizes.setdefault(model, {})
    except TypeError:  # a model with __slots__ cannot be referred to weakly
        known = {}
    least = SMALLEST if device.type == "cpu" else SMALLEST_ON_ACCELERATOR
    return known.setdefault((shape, str(device)), BatchSize(least, most))


class Forward:
    """One image, its superpixels and its fill on a device, ready to be shown in parts.

    Parameters
    ----------
    model : Model
    pixels, fill : C×H×W float32 arrays in [0, 1]
        What the model sees, and what shows through where a superpixel is hidden.
    segments : H×W int64 array
        Superpixels 0…d−1.
    device : torch.device
    batch_size : ``"auto"`` or int
    """

    def __init__(
        self,
        model: Model,
        pixels: NDArray[np.float32],
        fill: NDArray[np.float32],
        segments: NDArray[np.int64],
        *,
        device: torch.device,
        batch_size: Any = "auto",
    ) -> None:
        self.model = model
        self.device = device
        self.passes = 0
        self._classes: int | None = None
        place = getattr(model, "to", None)
        if callable(place):
            place(device)
        self._image = torch.from_numpy(pixels).to(device)[None]
        self._fill = torch.from_numpy(fill).to(device)[None]
        self._segments = torch.from_numpy(segments).to(device)
        self._sizes = _batch_size(model, pixels.shape, device) if batch_size == "auto" else None
        self._fixed = 1 if batch_size == "auto" else int(batch_size)

    @property
    def batch_size(self) -> int:
        """The size of the next batch."""
        return self._sizes.size if self._sizes else self._fixed

    def whole(self) -> NDArray[np.float64]:
        """Return the scores of the image as it is, (classes,).

        The image is scored twice, the second time beside its fill, since what changes
        then would make every figure depend on chance or on the batch.

        Raises
        ------
        ModelError
            The model returns something else than finite scores of its classes, or other
            scores the second time.
        """
        with torch.inference_mode():
            alone = self._shown([self._image])
            self._classes = alone.shape[1]
            # A model that takes one image at a time is asked for one again.
            alone_only = self._sizes is None and self._fixed == 1
            again = self._shown([self._image] if alone_only else [self._image, self._fill])
        first: NDArray[np.float64] = _to_host(alone)[0]
        off = np.abs(_to_host(again)[0] - first).max()
        # A probability moves by many times the spacing of the logits that it comes from.
        if off > max(0.01, 25 * resolution(self.model)) * np.abs(first).max():
            raise ModelError(
                f"the model scored the same image differently (by up to {off:.3g}) when asked again beside another: "
                "switch off dropout and other chance, and put batch normalisation into evaluation mode."
            )
        return first

    def scores(self, masks: NDArray[np.uint8], classes: list[int]) -> NDArray[np.float64]:
        """Return the scores of `classes` for each mask.

        Parameters
        ----------
        masks : N×d uint8 array
            1 shows a superpixel, 0 hides it.
        classes : list of int

        Returns
        -------
        N×len(classes) float64 array

        Raises
        ------
        ModelError
            As for `whole`.
        """
        host = torch.from_numpy(np.ascontiguousarray(masks))
        if self.device.type == "cuda":
            host = host.pin_memory()
        # A byte a superpixel and sample: all masks travel at once, and copies are made on the device.
        shown = host.to(self.device, non_blocking=True).bool()
        with torch.inference_mode():
            kept: list[torch.Tensor] = []
            for scores in self._batches(shown):
                if not kept:
                    # Where the model answers, which need not be where it was asked.
                    wanted = torch.tensor(classes, device=scores.device)
                kept.append(scores.index_select(1, wanted))
            # The only wait for the device.
            return _to_host(torch.cat(kept))

    def _batches(self, shown: torch.Tensor) -> Iterator[torch.Tensor]:
        start = 0
        while start < len(shown):
            size = min(self.batch_size, len(shown) - start)
            timed = self._sizes is not None and not self._sizes.settled
            began = self._now() if timed else 0.0
            try:
                scores = self._predict(self._masked(shown[start : start + size]))
            except (RuntimeError, MemoryError) as error:
                if not _out_of_memory(error):
                    raise
                if not self._smaller(size):
                    raise ModelError(f"one image does not fit into the memory of {self.device}: {error}") from None
                continue
            if timed and self._sizes is not None:
                self._sizes.measured(size, self._now() - began)
            start += size
            self.passes += size
            yield scores

    def _shown(self, pictures: list[torch.Tensor]) -> torch.Tensor:
        """Score `pictures` in one batch, or the first alone where that is all that fits."""
        try:
            scores = self._predict(torch.cat(pictures).contiguous(memory_format=torch.channels_last))
        except (RuntimeError, MemoryError) as error:
            if not _out_of_memory(error):
                raise
            if len(pictures) > 1:
                return self._shown(pictures[:1])
            raise ModelError(f"one image does not fit into the memory of {self.device}: {error}") from None
        self.passes += len(pictures)
        return scores

    def _masked(self, shown: torch.Tensor) -> torch.Tensor:
        visible = shown[:, self._segments][:, None]
        return torch.where(visible, self._image, self._fill).contiguous(memory_format=torch.channels_last)

    def _predict(self, batch: torch.Tensor) -> torch.Tensor:
        try:
            return check_scores(self.model.predict(batch), len(batch), self.model.labels, self._classes)
        except Exception as error:
            if not (isinstance(error, ModelError) or _out_of_memory(error)):
                error.add_note(
                    f"pytest-lime: raised inside {self.model!r} on a batch of shape {tuple(batch.shape)}, "
                    f"{batch.dtype} in [0, 1], on {batch.device}"
                )
            raise

    def _smaller(self, size: int) -> bool:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if self._sizes is not None:
            return self._sizes.too_large(size)
        self._fixed = max(1, size // 2)
        return size > 1

    def _now(self) -> float:
        if self.device.type != "cpu":
            torch.accelerator.synchronize(self.device)
        return time.perf_counter()


def _out_of_memory(error: Exception) -> bool:
    # Torch has a class of its own for accelerators only.
    told = str(error).lower()
    words = ("out of memory", "allocate memory", "not enough memory", "alloc_failed")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(word in told for word in words)
    )


def _to_host(scores: torch.Tensor) -> NDArray[np.float64]:
    values = scores.cpu().double().numpy()
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).any(axis=1).sum())
        raise ModelError(
            f"the model returned NaN or infinity for {bad} of {len(values)} images in [0, 1]; scores must be finite: "
            "check its weights, its mean and std, and its precision."
        )
    return values
