"""Interventions on models with known answers: shortcuts are found, clean twins pass, and verdicts are right."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pytest_lime import Box, Claim, Explanation, LimeOptions, explain, mass
from pytest_lime.claims import judge
from pytest_lime.explainer import open_stream
from pytest_lime.laboratory import Laboratory
from pytest_lime.sampling import sample
from pytest_lime.streams import Bench, SampleStream
from pytest_lime.testing import PlantedModel, planted_linear
from pytest_lime.trials import conclude, necessity, no_reliance, sampled, sufficiency
from pytest_lime.verdicts import Check, open_claims

Array = NDArray[np.float64]
OBJECT = (0, 1)
SEEDS = range(300)


class Exacting(PlantedModel):
    """A planted model to which a superpixel is hidden under any fill: where its middle has another colour."""

    def predict(self, batch: torch.Tensor) -> torch.Tensor:
        rows, columns = self._inside
        middles = torch.from_numpy(self.image.transpose(2, 0, 1).copy())[:, rows, columns]
        shown = (batch[:, :, rows, columns] - middles).abs().amax(dim=1) < 1e-4
        planted = self._evaluate(shown)
        return torch.stack([planted, 1 - planted], dim=1)


def cell(model: PlantedModel, superpixel: int) -> Box:
    rows, columns = np.nonzero(model.segments == superpixel)
    return Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)


def checked(model: PlantedModel, claims: Sequence[Claim], **options: Any) -> tuple[Check, Laboratory]:
    """Check `claims` as `lime.check` does: samples until those are decided that samples decide, then the trials."""
    bench = Bench(model, LimeOptions(**model.options, **options))
    latest: list[Check] = []

    def decide(stream: SampleStream, explanation: Explanation) -> tuple[int, int]:
        latest.append(judge(explanation, sampled(claims)))
        return open_claims(latest[-1]), len(claims)

    regions = [region for claim in claims for region in claim.areas()]
    stream = open_stream(bench, model.image, "planted", regions=regions, decides=True)
    ((stream, explanation),) = sample(bench.engine, [stream], decide=decide)
    lab = Laboratory(stream, explanation)
    return conclude(latest[-1], claims, lab), lab


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("d", [16, 30, 49])
class TestAShortcut:
    def test_it_is_found(self, d: int, seed: int) -> None:
        model = Exacting({(d - 1,): 0.9, OBJECT: 0.05}, d)
        mark = cell(model, d - 1)
        claims = (no_reliance(mark, at_most=0.1), necessity(mark, at_most=0.5), sufficiency(mark, at_least=0.9))
        check, lab = checked(model, claims, seed=seed)
        found, needed, enough = check.verdicts
        assert (found.status, needed.status, enough.status) == ("fail", "pass", "pass")
        assert found.estimate == pytest.approx(0.9, abs=1e-9)
        assert found.interval[0] > 0.1
        assert found.samples <= 200
        # Two fills, each without the region and of it alone.
        assert lab.passes == found.samples + 4

    def test_a_twin_without_it_passes(self, d: int, seed: int) -> None:
        model = Exacting({OBJECT: 0.9, (2,): 0.05}, d)
        mark = cell(model, d - 1)
        claims = (no_reliance(mark, at_most=0.1), necessity(mark, at_most=0.5), sufficiency(mark, at_least=0.9))
        check, _ = checked(model, claims, seed=seed)
        clean, needed, enough = check.verdicts
        assert (clean.status, needed.status, enough.status) == ("pass", "fail", "fail")
        assert clean.estimate == 0
        assert clean.samples <= 200
        assert all("disagree" not in verdict.note for verdict in check.verdicts)


class TestAnAnd:
    # The object's four superpixels count only together with the mark.
    D, MARK = 16, 15

    def model(self, *mark: int) -> Exacting:
        return Exacting({(0, 1, 4, 5, *mark): 1.0}, self.D)

    @pytest.mark.parametrize("seed", range(3))
    def test_its_weight_is_small_and_the_note_tells_what_hiding_does(self, seed: int) -> None:
        model = self.model(self.MARK)
        mark = cell(model, self.MARK)
        check, _ = checked(model, (mass(mark, at_most=0.3),), seed=seed)
        (verdict,) = check.verdicts
        # A fifth: each of the five weighs as much.
        assert verdict.interval[0] <= 0.2 <= verdict.interval[1] + 0.01
        assert verdict.status == "pass"
        told = f"attribution and intervention disagree: without {mark!r} the score goes from 1 to 0 (black), 0 (blur)"
        assert verdict.caution == told

    def test_of_an_object_alone_hiding_says_the_same(self) -> None:
        model = self.model()
        mark = cell(model, self.MARK)
        check, _ = checked(model, (mass(mark, at_most=0.3), mass(cell(model, 0), at_least=0.1)))
        assert [verdict.status for verdict in check.verdicts] == ["pass", "pass"]
        assert [one.used for one in check.interventions] == [False, True]
        assert all("disagree" not in verdict.note for verdict in check.verdicts)


class Drawn:
    """A laboratory without a model: the region adds `effect` in a share of the contexts, each on its own."""

    def __init__(self, explanation: Explanation, effect: float, share: float, seed: int) -> None:
        self.explanation = explanation
        self.effect, self.share = effect, share
        self.rng = np.random.default_rng([seed, 99])

    def scores(self, masks: NDArray[np.uint8]) -> Array:
        # With and without the region by turns.
        found = np.zeros(len(masks))
        found[::2] = self.effect * (self.rng.random(len(masks) // 2) < self.share)
        return found


@pytest.fixture(scope="module")
def ready() -> tuple[Explanation, Box]:
    """An explanation of so many superpixels that contexts are drawn, and a region of it."""
    model = planted_linear([0.01] * 16)
    return explain(model, model.image, "planted", **model.options, samples=50), cell(model, 15)


@pytest.mark.slow
@pytest.mark.parametrize(("effect", "share"), [(0.3, 1 / 3), (1.0, 0.05)], ids=["in a third", "in one of twenty"])
class TestRateOfWrongVerdicts:
    def statuses(self, ready: tuple[Explanation, Box], effect: float, share: float, at_most: float) -> list[str]:
        explanation, region = ready
        found = []
        for seed in SEEDS:
            options = dataclasses.replace(explanation.options, samples="auto", max_samples=1200, seed=seed)
            # No effect is greater than the score of the whole image, by which the unseen ones are bounded.
            own = dataclasses.replace(explanation, prediction=np.array([effect, 1 - effect]), options=options)
            lab: Any = Drawn(own, effect, share, seed)
            claim: Any = no_reliance(region, at_most=at_most)
            found.append(claim.conduct(lab).status)
        return found

    def test_a_mean_at_the_bound_seldom_fails(
        self, ready: tuple[Explanation, Box], effect: float, share: float
    ) -> None:
        statuses = self.statuses(ready, effect, share, effect * share)
        assert statuses.count("fail") <= 0.05 * len(SEEDS)

    def test_a_mean_a_hair_above_it_seldom_passes(
        self, ready: tuple[Explanation, Box], effect: float, share: float
    ) -> None:
        statuses = self.statuses(ready, effect, share, effect * share - 1e-9)
        assert statuses.count("pass") <= 0.05 * len(SEEDS)

    def test_a_bound_far_off_is_decided(self, ready: tuple[Explanation, Box], effect: float, share: float) -> None:
        statuses = self.statuses(ready, effect, share, 0.2)
        assert statuses.count("pass") >= 0.95 * len(SEEDS)
