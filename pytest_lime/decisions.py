"""Decisions: after how many samples the claims about an image were decided, kept with the way there.

Stored samples need no pass, but each look at them takes a fit and a verdict, and of thirty looks only the last one says
anything that counts. No verdict is kept: it comes from the samples, at the look that it came from before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pytest_lime.cache import Entry
from pytest_lime.claims import Claim
from pytest_lime.fingerprint import is_ours, state_digest
from pytest_lime.interval_paths import IntervalPaths
from pytest_lime.regions import region_sha256
from pytest_lime.streams import SampleStream
from pytest_lime.trials import sampled
from pytest_lime.verdicts import Check

__all__ = ["Decision"]

DECISION = "decision"


class Decision:
    """The way to what is decided about one image: gone look by look, or known from an earlier run.

    Where the cache knows it, and holds the samples, the first look of `stream` is put off to the one that decided.
    Should an entry say a number at which nothing is decided, the looks go on from there: intervals of
    ``samples="auto"`` hold however often one looks, and wherever.

    Parameters
    ----------
    stream : SampleStream
        No look was taken at it yet.
    claims : sequence of Claim
    narrow : float
        Half the width to which the first claim's figure is to be known, where that is asked and not a decision.
    races : bool
        It is one of a set that ends once the set is decided. Which images are seen by then hangs on how many looks each
        of them takes, so all are taken again.

    Attributes
    ----------
    narrow : float
    """

    def __init__(
        self, stream: SampleStream, claims: Sequence[Claim], narrow: float = 0.0, *, races: bool = False
    ) -> None:
        self.narrow, self._races = narrow, races
        self._stream, self._claims = stream, tuple(claims)
        self._paths, self._looks = IntervalPaths(), 0
        known = self._recall()
        if known is not None and stream.put_off(last := int(str(known.facts["samples"]))):
            points = known.arrays["points"]
            # The point of the last look is found anew.
            self._paths = IntervalPaths(points[points[:, 1] < last])

    def note(self, check: Check) -> None:
        """Take what a look at the samples says."""
        self._looks += 1
        self._paths.note(check)

    def attach(self, check: Check) -> Check:
        """Return `check`, whose verdicts have the paths of their intervals among their details."""
        return self._paths.attach(check)

    def keep(self) -> None:
        """Write down after how many samples it ended, where it took more than one look to find that out."""
        cache = self._stream.bench.cache
        if cache and self._looks > 1 and (place := self._place()):
            cache.put(DECISION, place, {"samples": self._stream.samples}, {"points": self._paths.points})

    def _recall(self) -> Entry | None:
        cache = self._stream.bench.cache
        return cache.get(DECISION, place, _is_decision) if cache and (place := self._place()) else None

    def _place(self) -> str:
        """Return what the decision is kept under: the samples, and all that is made of them; empty to keep none."""
        stream, claims = self._stream, sampled(self._claims)
        options, size = stream.bench.options, stream.scene.image.size
        ours = all(map(is_ours, self._claims))
        # Nor does a look tell what functions and regressors of the user's read.
        named = all(isinstance(part, str) for part in (options.distance, options.kernel, options.surrogate))
        # A number of samples has one look, and nothing to keep.
        if self._races or not (stream.adaptive and ours and named and stream.place):
            return ""
        regions = [region_sha256(region, size) for claim in claims for region in claim.areas()]
        # Trials come after the last look, and say only how many samples they need at least.
        fewest = [claim.fewest() for claim in self._claims]
        # Regions lie in the image, of which the samples know only what the model sees: hence its size.
        return state_digest(stream.place, size, options, claims, regions, fewest, self.narrow) or ""


def _is_decision(entry: Entry) -> bool:
    samples, points = entry.facts["samples"], entry.arrays["points"]
    holds = type(samples) is int and points.ndim == 2 and points.shape[1] == 5 and points.dtype == np.float64
    # Figures may be endless, the number of a claim and of samples may not.
    return holds and bool(np.isfinite(points[:, :2]).all())
