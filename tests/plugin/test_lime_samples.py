"""--lime-samples=auto and --lime-max-samples: as many samples as it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., pytest.RunResult]
Report = Callable[..., dict[str, dict[str, Any]]]
# 16 superpixels, so that the first look comes at 128 samples.
CLEAR = """
    def test_it(lime):
        lime.check(IMAGE, "cat", HOLDS, segments=16)
    """
# The bound is what an infinite number of samples would find: no number of them decides that.
BOUNDARY = """
    from pytest_lime.testing import planted_and

    MODEL = planted_and([0, 1], d=25)
    REGION = Box(0, 0, 4, 4)

    @pytest.fixture(scope="session")
    def lime_model():
        return MODEL

    def test_it(lime):
        lime.check(MODEL.image, "planted", predicted(), mass(REGION, at_least=0.4999), **MODEL.options)
    """
bare = pytest.mark.parametrize("mode", ["bare"])


@bare
def test_it_stops_once_every_claim_is_decided(suite: Callable[..., None], run: Run, report: Report) -> None:
    suite(CLEAR)
    run("--lime-report-all").assert_outcomes(passed=1)
    (record,) = report().values()
    assert record["options"]["samples"] == "auto"
    assert record["explanation"]["samples"] < 200
    # Besides, one pass a superpixel for occlusion, and the region hidden and alone under two fills.
    found = record["explanation"]
    assert found["passes"] == found["samples"] + 2 + found["superpixels"] + 4
    assert "at every look" in record["message"]


@bare
def test_the_harder_the_claim_the_more_samples(suite: Callable[..., None], run: Run, report: Report) -> None:
    # AND of two of 25 superpixels: each has half of the weight.
    marked = "@pytest.mark.parametrize('bound', [0.2, 0.4, 0.45])\n    def test_it(lime, bound)"
    suite(BOUNDARY.replace("def test_it(lime)", marked).replace("at_least=0.4999", "at_least=bound"))
    run("--lime-report-all").assert_outcomes(passed=3)
    samples = [record["explanation"]["samples"] for record in report().values()]
    assert samples == sorted(samples)
    assert samples[0] < samples[-1] < 4000
    assert {record["status"] for record in report().values()} == {"pass"}


@bare
def test_it_goes_on_to_max_samples(suite: Callable[..., None], run: Run, report: Report) -> None:
    suite(BOUNDARY)
    result = run("--lime-max-samples=700")
    result.assert_outcomes(passed=1, warnings=1)
    (record,) = report().values()
    assert (record["status"], record["explanation"]["samples"], record["explanation"]["passes"]) == (
        "inconclusive",
        700,
        702 + 25 + 4,
    )
    # At the estimate, which is not quite at the bound, there is an end to it.
    needs = record["claims"][1]["needs"]
    assert needs > 700
    told = f"about {needs:,} samples in all should decide it, if the estimate stays"
    result.stdout.fnmatch_lines([f"*InconclusiveWarning: * ({told}); raise max_samples (or samples), or say *"])
    result = run("--lime-max-samples=700", "--lime-inconclusive=fail")
    result.stdout.fnmatch_lines(
        [
            f"E* {told}",
            "E*700 samples (hadamard) over 25 superpixels; *; intervals at 0.95 confidence, at every look",
        ]
    )


@bare
def test_a_number_is_one_look(suite: Callable[..., None], run: Run, report: Report) -> None:
    suite(BOUNDARY)
    run("--lime-samples=500", "--lime-inconclusive=fail").assert_outcomes(failed=1)
    (record,) = report().values()
    assert record["explanation"]["samples"] == 500
    assert "at every look" not in record["message"]
    # It is no more than what auto may take.
    run("--lime-samples=500", "--lime-max-samples=100", "--lime-inconclusive=fail").assert_outcomes(failed=1)
    (record,) = report().values()
    assert record["explanation"]["samples"] == 500


@bare
def test_the_interval_at_every_look_is_wider(suite: Callable[..., None], run: Run, report: Report) -> None:
    suite(BOUNDARY)
    widths = []
    for arguments in (("--lime-samples=500",), ("--lime-samples=auto", "--lime-max-samples=500")):
        run(*arguments)
        (record,) = report().values()
        low, high = record["claims"][1]["interval"]
        widths.append(high - low)
    assert 1.3 < widths[1] / widths[0] < 2


@bare
def test_auto_on_the_command_line_is_stronger_than_a_number_in_the_ini_file(
    suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    suite(CLEAR)
    pytester.makeini("[pytest]\nlime_samples = 700\n")
    run("--lime-report-all")
    (record,) = report().values()
    assert record["explanation"]["samples"] == 700
    run("--lime-report-all", "--lime-samples=auto")
    (record,) = report().values()
    assert record["explanation"]["samples"] < 200


@bare
def test_the_marker_sets_the_most(suite: Callable[..., None], run: Run, report: Report) -> None:
    suite(BOUNDARY.replace("def test_it", "@pytest.mark.lime(max_samples=400)\n    def test_it"))
    run("--lime-max-samples=700").assert_outcomes(passed=1, warnings=1)
    (record,) = report().values()
    assert record["explanation"]["samples"] == 400


@bare
def test_markers_and_calls(suite: Callable[..., None], run: Run, report: Report) -> None:
    suite("""
        @pytest.mark.lime(samples=300)
        def test_marker(lime):
            lime.check(IMAGE, "cat", HOLDS, segments=16)

        @pytest.mark.lime(samples=300)
        def test_call(lime):
            lime.check(IMAGE, "cat", HOLDS, segments=16, samples="auto")
        """)
    run("--lime-report-all").assert_outcomes(passed=2)
    samples = {key.partition("#")[0]: record["explanation"]["samples"] for key, record in report().items()}
    assert samples["test_marker"] == 300
    assert samples["test_call"] < 200


@bare
def test_an_explanation_without_a_claim_takes_a_thousand(suite: Callable[..., None], run: Run) -> None:
    suite("""
        def test_it(lime):
            found = lime.explain(IMAGE, segments=16)
            assert (found.samples, found.anytime) == (1000, False)
            assert lime.explain(IMAGE, segments=16, max_samples=300).samples == 300
        """)
    run().assert_outcomes(passed=1)


@bare
def test_all_masks_of_few_superpixels_are_one_look(suite: Callable[..., None], run: Run, report: Report) -> None:
    suite("""
        def test_it(lime):
            lime.check(IMAGE, "cat", HOLDS, segments=9, segmenter="grid")
        """)
    run("--lime-report-all", "--lime-max-samples=20").assert_outcomes(passed=1)
    (record,) = report().values()
    assert (record["explanation"]["samples"], record["explanation"]["sampler"]) == (512, "exhaustive")


@bare
def test_wrong_values(suite: Callable[..., None], run: Run) -> None:
    suite(CLEAR)
    for argument, words in (
        ("--lime-samples=automatic", "--lime-samples: samples='automatic' must be 'auto' or a whole number *"),
        ("--lime-max-samples=auto", "--lime-max-samples: max_samples='auto' must be a whole number *"),
        ("--lime-max-samples=1", "--lime-max-samples: max_samples=1 must be a whole number of at least 2*"),
    ):
        result = run(argument)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([f"ERROR: {words}"])


SETTLING = """
    from pytest_lime import fidelity, stable

    @pytest.mark.parametrize("claim", [fidelity(0.0, gap=1.0), stable(2, at_least=0.0)])
    def test_it(lime, claim):
        lime.check(IMAGE, "cat", claim, predicted(rank=3), segmenter="grid", segments=SEGMENTS)
    """


@bare
@pytest.mark.parametrize(
    ("segments", "arguments", "status", "samples"),
    [
        (16, ("--lime-max-samples=500",), "inconclusive", 500),
        (16, (), "pass", 1000),
        # A number is what the claim is about, and of few superpixels all masks are scored.
        (16, ("--lime-samples=500",), "pass", 500),
        (9, ("--lime-max-samples=500",), "pass", 512),
    ],
)
def test_what_is_asked_of_the_fit_needs_a_thousand_samples(
    *,
    segments: int,
    arguments: tuple[str, ...],
    status: str,
    samples: int,
    suite: Callable[..., None],
    run: Run,
    report: Report,
) -> None:
    suite(SETTLING.replace("SEGMENTS", str(segments)))
    result = run("--lime-report-all", *arguments)
    result.assert_outcomes(passed=2, warnings=2 if status == "inconclusive" else 0)
    for record in report().values():
        assert [claim["status"] for claim in record["claims"]] == [status, "pass"]
        found = record["explanation"]["samples"]
        assert found == samples if samples != 1000 else 1000 <= found < 1200
        told = "needs at least 1,000 samples and has 500: raise max_samples (500) to 1,000, or give samples as a number"
        assert (told in record["claims"][0]["note"]) == (status == "inconclusive")
    if status == "inconclusive":
        result.stdout.fnmatch_lines_random(
            ["*InconclusiveWarning: 1 of 2 claims about 'cat' in 'array' inconclusive: *; raise max_samples *"] * 2
        )
        run("--lime-inconclusive=fail", *arguments).assert_outcomes(failed=2)


@bare
def test_a_rerun_may_reach_the_thousand(suite: Callable[..., None], run: Run, report: Report) -> None:
    pytest.importorskip("pytest_rerunfailures")
    suite(SETTLING.replace("SEGMENTS", "16"))
    run("--lime-max-samples=500", "--lime-inconclusive=fail", "--reruns=1", "--lime-report-all")
    assert [(record["status"], record["explanation"]["samples"]) for record in report().values()] == [
        ("pass", 1000)
    ] * 2
