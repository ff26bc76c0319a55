"""Decisions: what is known of the way to one, when it is met again, and when it is not."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from pytest_lime import (
    Box,
    Claim,
    Explanation,
    LimeOptions,
    Region,
    Verdict,
    invariant,
    mass,
    necessity,
    predicted,
    stable,
    top_overlap,
)
from pytest_lime.agreement import GRADCAM
from pytest_lime.cache import Cache
from pytest_lime.claims import judge
from pytest_lime.decisions import DECISION, Decision
from pytest_lime.errors import CacheWarning
from pytest_lime.explainer import open_stream
from pytest_lime.footprints import project_region
from pytest_lime.sampling import sample
from pytest_lime.streams import Bench, SampleStream
from pytest_lime.testing import FakeModel
from pytest_lime.trials import sampled
from pytest_lime.verdicts import Check, open_claims

IMAGE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
# 16 cells: more than are enumerated.
OPTIONS: dict[str, Any] = {"segmenter": "grid", "segments": 16, "samples": "auto", "max_samples": 800}
LEFT = Box(0, 0, 16, 32)
# So near to what the figure comes to that it takes some looks.
NEAR = (mass(LEFT, at_least=0.414),)


class Settled(NamedTuple):
    """What came of a stream: its check, with the paths, and after how many samples it was looked at."""

    check: Check
    looks: list[int]
    passes: int


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def stream_of(
    cache: Cache | None, image: Any = IMAGE, target: Any = "cat", model: Any = None, **options: Any
) -> SampleStream:
    bench = Bench(model or FakeModel(), LimeOptions(**{**OPTIONS, **options}), cache)
    return open_stream(bench, image, target, decides=True)


def settle(stream: SampleStream, claims: Sequence[Claim] = NEAR, narrow: float = 0.0) -> Settled:
    """Sample until `claims` are decided, as a check does."""
    decision, looks = Decision(stream, claims, narrow), []
    check: Check | None = None

    def decide(_: SampleStream, explanation: Explanation) -> tuple[int, int]:
        nonlocal check
        check = judge(explanation, sampled(claims))
        decision.note(check)
        looks.append(explanation.samples)
        return open_claims(check), len(claims)

    ((_, explanation),) = sample(stream.bench.engine, [stream], decide=decide)
    decision.keep()
    assert check is not None
    return Settled(decision.attach(check), looks, explanation.passes)


def entries(cache: Cache, kind: str = DECISION) -> list[Path]:
    folder = cache.folder / kind
    return sorted(folder.iterdir()) if folder.is_dir() else []


def assert_same(first: Check, second: Check) -> None:
    assert first.verdicts == second.verdicts
    assert [one.details for one in first.verdicts] == [one.details for one in second.verdicts]
    for name in ("weights", "covariance", "masks", "sample_scores"):
        np.testing.assert_array_equal(getattr(first.explanation, name), getattr(second.explanation, name))


@pytest.mark.parametrize("bound", [0.41, 0.412, 0.414], ids=["at the end still open", "20 looks", "13 looks"])
def test_the_way_to_a_decision_is_not_gone_twice(cache: Cache, bound: float) -> None:
    claims = (mass(LEFT, at_least=bound), predicted(rank=3), top_overlap(LEFT, k=4, at_least=1))
    first = settle(stream_of(cache), claims)
    second = settle(stream_of(cache), claims)
    assert len(first.looks) > 5
    assert second.looks == first.looks[-1:]
    assert second.passes == 0
    assert_same(first.check, second.check)
    assert [point[0] for point in second.check.verdicts[0].details["path"]] == first.looks
    # Nothing new was learned.
    assert len(entries(cache)) == 1


def test_long_paths_are_thinned_out_alike(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_lime.interval_paths.TOO_MANY", 8)
    monkeypatch.setattr("pytest_lime.interval_paths.MOST_POINTS", 6)
    first, second = settle(stream_of(cache)), settle(stream_of(cache))
    assert_same(first.check, second.check)
    assert len(first.check.verdicts[0].details["path"]) <= 6 < len(first.looks)


def test_one_look_is_not_worth_it(cache: Cache) -> None:
    far = (mass(LEFT, at_least=0.1),)
    assert len(settle(stream_of(cache), far).looks) == 1
    assert not entries(cache)


def test_a_number_of_samples_has_one_look(cache: Cache) -> None:
    for _ in range(2):
        assert settle(stream_of(cache, samples=300)).looks == [300]
    assert not entries(cache)


def test_without_a_cache_every_look_is_taken() -> None:
    first, second = settle(stream_of(None)), settle(stream_of(None))
    assert first.looks == second.looks
    assert len(first.looks) > 5


OTHERS: dict[str, dict[str, Any]] = {
    "bound": {"claims": (mass(LEFT, at_least=0.4141),)},
    "region": {"claims": (mass(Box(0, 0, 16, 31), at_least=0.414),)},
    "one more claim": {"claims": (*NEAR, predicted(rank=3))},
    "figure to within": {"narrow": 1e-9},
    "target": {"target": "dog"},
    "confidence": {"confidence": 0.951},
    "surrogate": {"alpha": 1.0},
    "kernel": {"kernel_width": 0.5},
    "budget": {"max_samples": 802},
    "image": {"image": IMAGE[::-1]},
    "model": {"model": FakeModel(("cat", "dog", "bird", "fish"))},
    "seed": {"seed": 1},
}


@pytest.mark.parametrize("changed", list(OTHERS))
def test_another_question_is_asked_from_the_beginning(cache: Cache, changed: str) -> None:
    options = dict(OTHERS[changed])
    claims, narrow = options.pop("claims", NEAR), options.pop("narrow", 0.0)
    known = settle(stream_of(cache))
    # Its samples are there.
    settle(stream_of(cache, **{**options, "samples": 800}))
    found = settle(stream_of(cache, **options), claims, narrow)
    assert found.passes == 0
    assert found.looks == settle(stream_of(None, **options), claims, narrow).looks
    assert found.looks[0] < known.looks[-1]


def test_an_image_of_another_size_that_looks_the_same_is_asked_from_the_beginning(cache: Cache) -> None:
    # A region of it is another one.
    plain = np.full((32, 32, 3), 128, dtype=np.uint8)
    plain[:, :16] = 64
    larger = plain.repeat(2, axis=0)
    settle(stream_of(cache, plain))
    streams = [stream_of(cache, image) for image in (plain, larger)]
    # They share their samples, but not what the region is.
    assert streams[0].place == streams[1].place != ""
    one, other = (project_region(LEFT, stream.scene.image, stream.scene.view) for stream in streams)
    assert not np.array_equal(one, other)
    places = {Decision(stream, NEAR)._place() for stream in streams}
    assert len(places) == 2
    assert "" not in places


def test_another_version_of_what_gives_an_opinion_is_another_place(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(stream_of(cache))
    stream = stream_of(cache)
    stream._wished = (GRADCAM,)
    before = stream.place
    monkeypatch.setattr("pytest_lime.streams._version_of", lambda name: "another")
    assert stream.place != before


def test_a_trial_counts_for_how_many_samples_it_needs(cache: Cache) -> None:
    # Before, none of the claims is decided.
    settle(stream_of(cache))
    trials = stable(at_least=0.5), invariant("hflip", at_least=0.5), necessity(LEFT, at_most=0.5)
    places = [Decision(stream_of(cache), (*NEAR, trial))._place() for trial in trials]
    assert trials[0].fewest() == trials[1].fewest() > trials[2].fewest() == 0
    assert places[0] == places[1] != places[2] != ""


def test_in_a_race_every_look_is_taken(cache: Cache) -> None:
    settle(stream_of(cache))
    stream = stream_of(cache)
    first = stream.due
    Decision(stream, NEAR, races=True)
    assert stream.due == first
    Decision(stream, NEAR)
    assert stream.due > first


class Own(Claim):
    """A claim of the user's."""

    def judge(self, explanation: Explanation) -> Verdict:
        return dataclasses.replace(NEAR[0].judge(explanation), claim="own")


def test_a_claim_of_the_users_is_asked_at_every_look(cache: Cache) -> None:
    first, second = settle(stream_of(cache), (Own(),)), settle(stream_of(cache), (Own(),))
    assert first.looks == second.looks
    assert len(first.looks) > 5
    assert not entries(cache)


class Half(Region):
    """A region of the user's, which is read from outside of the process."""

    def mask(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        inside = np.zeros(size, dtype=np.bool_)
        inside[:, : size[1] // 2] = True
        return ~inside if os.environ.get("HALF") == "right" else inside

    def bounds(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        return 0, 0, size[1], size[0]


@pytest.mark.parametrize("region", [Half(), ~Half() | Box(0, 0, 2, 32)], ids=["by itself", "within others"])
def test_a_region_of_the_users_is_known_by_its_pixels(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, region: Region
) -> None:
    estimate = settle(stream_of(None, samples=128), (mass(region, at_least=0.5),)).check.verdicts[0].estimate
    claims = (mass(region, at_least=estimate),)
    first = settle(stream_of(cache), claims)
    assert settle(stream_of(cache), claims).looks == first.looks[-1:]
    monkeypatch.setenv("HALF", "right")
    found = settle(stream_of(cache), claims)
    assert found.looks == settle(stream_of(None), claims).looks
    assert found.looks[0] < first.looks[-1]


@pytest.mark.parametrize(
    "options",
    [
        {"kernel": lambda distances: np.exp(-distances)},
        {"distance": lambda masks: 1 - masks.mean(axis=1)},
        {"surrogate": Ridge(), "max_samples": 160},
    ],
    ids=["kernel", "distance", "surrogate"],
)
def test_under_what_is_the_users_every_look_is_taken(cache: Cache, options: dict[str, Any]) -> None:
    estimate = settle(stream_of(None, **options), (mass(LEFT, at_least=0.1),)).check.verdicts[0].estimate
    claims = (mass(LEFT, at_least=estimate),)
    first, second = (settle(stream_of(cache, **options), claims) for _ in range(2))
    assert first.looks == second.looks
    assert len(first.looks) > 1
    assert not entries(cache)


class TestSamplesThatAreGone:
    def test_looks_from_the_beginning(self, cache: Cache) -> None:
        first = settle(stream_of(cache))
        for path in entries(cache, "samples"):
            path.unlink()
        second = settle(stream_of(cache))
        assert second.looks == first.looks
        assert_same(first.check, second.check)

    def test_fewer_are_not_enough(self, cache: Cache) -> None:
        first = settle(stream_of(cache))
        for path in entries(cache, "samples"):
            path.unlink()
        settle(stream_of(cache), (mass(LEFT, at_least=0.1),))
        second = settle(stream_of(cache))
        assert second.looks == first.looks
        assert_same(first.check, second.check)


class TestEntries:
    def written(self, cache: Cache, samples: Any, points: Any) -> Settled:
        """Settle with an entry that says something else, and has its checksum."""
        settle(stream_of(cache))
        (path,) = entries(cache)
        cache.put(DECISION, path.stem, {"samples": samples}, {"points": points})
        return settle(stream_of(cache))

    @pytest.mark.parametrize(
        ("samples", "points"),
        [
            ("200", np.zeros((1, 5))),
            (200, np.zeros(5)),
            (200, np.zeros((1, 4))),
            (200, np.zeros((1, 5), np.float32)),
            (200, np.full((1, 5), np.nan)),
        ],
    )
    def test_what_holds_something_else_is_a_warning(self, cache: Cache, samples: Any, points: Any) -> None:
        with pytest.warns(CacheWarning, match="holds no decision"):
            found = self.written(cache, samples, points)
        assert len(found.looks) > 5
        assert len(entries(cache)) == 1

    def test_damaged_ones_are_a_warning(self, cache: Cache) -> None:
        first = settle(stream_of(cache))
        (path,) = entries(cache)
        path.write_bytes(path.read_bytes()[:-3])
        with pytest.warns(CacheWarning, match="is damaged"):
            second = settle(stream_of(cache))
        assert second.looks == first.looks
        # Made anew.
        assert settle(stream_of(cache)).looks == first.looks[-1:]

    def test_where_nothing_is_decided_any_more_looks_go_on(self, cache: Cache) -> None:
        first = settle(stream_of(cache))
        path = np.array([[0, samples, 0.5, 0.0, 1.0] for samples in first.looks[:6]])
        found = self.written(cache, first.looks[5], path)
        assert found.looks[0] == first.looks[5]
        assert len(found.looks) > 1
        assert [point[0] for point in found.check.verdicts[0].details["path"]] == first.looks[:5] + found.looks
        # What was found now is what is known next time.
        assert settle(stream_of(cache)).looks == found.looks[-1:]

    @pytest.mark.parametrize("samples", [-1, 0, 127, 10**9])
    def test_what_cannot_be_the_end_is_not_taken(self, cache: Cache, samples: int) -> None:
        first = settle(stream_of(cache))
        assert self.written(cache, samples, np.zeros((0, 5))).looks == first.looks


class TestPuttingOff:
    def test_only_later_looks_are_taken(self, cache: Cache) -> None:
        settle(stream_of(cache))
        stream = stream_of(cache)
        first = stream.due
        assert not stream.put_off(first - 1)
        assert stream.due == first
        assert stream.put_off(first + 32)
        assert stream.due == first + 32
        assert not stream.put_off(first)

    def test_what_is_not_stored_is_not_waited_for(self, cache: Cache) -> None:
        stream = stream_of(cache)
        assert not stream.put_off(stream.due + 32)
