"""How batches go through a model fastest: their size and the layout of their memory, by measurement."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["LARGEST", "BatchSize", "Pace"]

# Two of the sizes that are tried must be slower than the best before the search goes back, or ends, so that one slow
# batch on a busy machine does neither.
PATIENCE = 2
# Shares of the fastest. The speed of a machine that others use, too, wanders from batch to batch.
CLEARLY = 0.9
AS_FAST = 0.95
# The first batch of a size also pays for choosing the kernels of that size.
REPEATS = 2
LARGEST = 512


class BatchSize:
    """Finds the fastest batch size by measuring the first batches, and remembers it.

    It starts small and doubles until two larger sizes were clearly slower than the best. From the best it goes down
    again until two were clearly slower: on the way up each size also paid for memory that no smaller one had used
    before, a tenth of the time and more. Of sizes that are about as fast the largest is taken: what comes between
    batches is not measured. Every measured batch is one that had to be run anyway. Out of memory halves the size for
    good, and ends the search.

    Parameters
    ----------
    least, most : int
        The first size that is tried, and the largest.
    """

    def __init__(self, least: int = 4, most: int = LARGEST) -> None:
        self._most = max(1, most)
        self._next = min(least, self._most)
        # Images a second of each size, one entry a batch.
        self._rates: dict[int, list[float]] = {}
        self._goes_down = False
        self._settled: int | None = None

    @property
    def settled(self) -> bool:
        """Whether the search is over, so that batches need no timing."""
        return self._settled is not None

    @property
    def size(self) -> int:
        """The size of the next batch."""
        return self._settled or self._next

    def settle(self, size: int) -> None:
        """End the search at `size`, or at the most that fits."""
        self._settled = min(size, self._most)

    def measured(self, size: int, seconds: float) -> None:
        """Take note that a batch of `size` took `seconds`."""
        if self.settled or size != self._next:
            return
        rates = self._rates.setdefault(size, [])
        rates.append(size / max(seconds, 1e-9))
        best = self._fastest()
        if self._goes_down:
            below = [tried for tried in self._rates if tried < size]
            if below and self._slower(size, best) < PATIENCE:
                self._next = max(below)
            else:
                self._settled = self._best()
        elif len(rates) >= REPEATS:
            if self._slower(best, size) < PATIENCE and size * 2 <= self._most:
                self._next = size * 2
            elif best > min(self._rates):
                # The best comes once more, as all below it do: it may have paid for memory, too.
                self._goes_down, self._next = True, best
            else:
                self._settled = self._best()

    def too_large(self, size: int) -> bool:
        """Go below `size`, which ran out of memory; False when that cannot be."""
        if size <= 1:
            return False
        self._most = size // 2
        self._rates = {tried: rates for tried, rates in self._rates.items() if tried <= self._most}
        self._settled = self._best() if self._rates else self._most
        return True

    def _best(self) -> int:
        """The largest of the sizes that are about as fast as the fastest."""
        fastest = self._rate(self._fastest())
        return max(tried for tried in self._rates if self._rate(tried) >= AS_FAST * fastest)

    def _fastest(self) -> int:
        return max(self._rates, key=self._rate)

    def _slower(self, least: int, most: int) -> int:
        """Return how many of the sizes from `least` to `most` are clearly slower than the fastest."""
        enough = CLEARLY * self._rate(self._fastest())
        return sum(least <= tried <= most and self._rate(tried) < enough for tried in self._rates)

    def _rate(self, tried: int) -> float:
        return max(self._rates[tried])


class Pace:
    """Finds the layout that is faster, at the smallest batch size, and then the size.

    Parameters
    ----------
    least, most : int
        As for `BatchSize`.
    layouts : sequence of str
        What is tried, in turn; the first is the one without any trial.
    fixed : int, optional
        The batch size where it is given: then nothing is measured, and only memory can lower it.
    pads : bool
        Batches come in few sizes: an accelerator chooses its kernels anew for each, which can take seconds.
    """

    def __init__(
        self, least: int, most: int, layouts: Sequence[str], *, fixed: int | None = None, pads: bool = False
    ) -> None:
        self._least, self._pads = least, pads
        self._sizes = BatchSize(least, most if fixed is None else fixed)
        # Whether nobody needs to be told what is found: it was told, or given.
        self._told = fixed is not None
        if fixed is not None:
            self._sizes.settle(fixed)
        # Whether layouts are measured; else the one found before is taken, or the first.
        self._compares, self._recalled = fixed is None, ""
        # Images a second of each layout, one entry a batch.
        self._rates: dict[str, list[float]] = {layout: [] for layout in layouts}

    @property
    def size(self) -> int:
        """The size of the next batch."""
        return self._sizes.size

    @property
    def layout(self) -> str:
        """The layout of the next batch: the one tried least so far, and in the end the fastest."""
        if self._recalled in self._rates:
            return self._recalled
        if self._trying:
            return min(self._rates, key=lambda layout: len(self._rates[layout]))
        return max(self._rates, key=lambda layout: max(self._rates[layout], default=0.0))

    @property
    def settled(self) -> bool:
        """Whether batches need no timing."""
        return not self._trying and self._sizes.settled

    def padded(self, size: int) -> int:
        """Return the length of a batch for `size` pictures: where it pads, a power of two, or a full batch.

        >>> pace = Pace(32, 512, ["contiguous"], fixed=200, pads=True)
        >>> [pace.padded(size) for size in (1, 33, 64, 130, 200)]
        [32, 64, 64, 200, 200]
        """
        if not self._pads or size >= self.size:
            return size
        return min(self.size, max(self._least, 1 << (size - 1).bit_length()))

    def drop(self, layout: str) -> None:
        """Leave out `layout`, which cannot be used or need not be tried, unless there is no other."""
        if len(self._rates) > 1:
            self._rates.pop(layout, None)

    @property
    def _trying(self) -> bool:
        return self._compares and len(self._rates) > 1 and any(len(rates) < REPEATS for rates in self._rates.values())

    def measured(self, size: int, seconds: float) -> None:
        """Take note that a batch of `size` took `seconds` in the present layout."""
        if not self._trying:
            self._sizes.measured(size, seconds)
            return
        self._rates[self.layout].append(size / max(seconds, 1e-9))
        # What the chosen layout showed is known of the smallest size already.
        known: Sequence[float] = () if self._trying else self._rates[self.layout]
        for rate in known:
            self._sizes.measured(size, size / rate)

    def too_large(self, size: int) -> bool:
        """Go below `size`, which ran out of memory; False when that cannot be."""
        # For now: the memory may be another program's the next time.
        self._told = True
        return self._sizes.too_large(size)

    @property
    def found(self) -> tuple[int, str] | None:
        """Size and layout once both were measured here, and memory did not decide; told once."""
        if not self.settled or self._told:
            return None
        self._told = True
        return self.size, self.layout

    def recall(self, size: int, layout: str) -> None:
        """Take over what was found before, unless memory has set a limit below it."""
        if layout in self._rates and not self.settled:
            self._compares, self._recalled = False, layout
            self._sizes.settle(size)
            self._told = True
