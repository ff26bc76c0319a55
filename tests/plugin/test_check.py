"""lime.check: what a passing, a failing and an unusual check do to their tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., pytest.RunResult]
Report = Callable[..., dict[str, dict[str, Any]]]


def test_a_failure_tells_image_target_every_claim_and_the_report(
    suite: Callable[..., None], run: Run, report: Report, insides: Callable[..., list[str]]
) -> None:
    suite("""
        def test_fails(lime):
            lime.check(IMAGE, "cat", predicted(), HOLDS, FAILS, pointing(CORNER, tolerance=2), samples=200)

        def test_passes(lime):
            check = lime.check(IMAGE, None, HOLDS, predicted(), samples=200)
            assert check.status == "pass"
            assert [verdict.claim for verdict in check.verdicts] == ["mass", "predicted"]
            assert check.explanation.samples == 200
        """)
    result = run()
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            '>*lime.check(IMAGE, "cat", predicted(), HOLDS, FAILS, *',
            "E*pytest_lime.ClaimFailed: 3 of 4 claims about 'cat' in 'array' failed.",
            "E*FAIL: 'cat' has the highest score",
            "E*found rank 3 (score 0.206), needs rank 1",
            "E*PASS: at least 0.9 of the weight that speaks for 'cat' lies in whole()",
            "E*found 1, needs at least 0.9; interval 1 … 1",
            "E*FAIL: at least 0.9 of the weight that speaks for 'cat' lies in Box(0, 0, 8, 8)",
            "E*found 0.0*, needs at least 0.9; interval 0.0* … 0.0*",
            "E*FAIL: the superpixel that speaks most for 'cat' lies in Box(0, 0, 8, 8), or within 2 pixels of it",
            "E*found * pixels away, needs at most 2 pixels away; interval * … *",
            "E*the model gives 'cat' 0.206 (rank 3) and predicts 'bird' 0.405",
            "E*200 samples (hadamard) over * superpixels; surrogate R² 1.00 (1.00 held out); intervals at 0.95 *",
            "E*report: lime-report/index.html#test-fails-*",
            "*test_it.py:*: ClaimFailed",
        ]
    )
    assert insides(result) == []
    records = report()
    assert list(records) == ["test_fails#0", "test_passes#0"] or set(records) == {"test_fails#0", "test_passes#0"}
    assert [claim["status"] for claim in records["test_fails#0"]["claims"]] == ["fail", "pass", "fail", "fail"]
    anchor = records["test_fails#0"]["id"]
    result.stdout.fnmatch_lines([f"E*report: lime-report/index.html#{anchor}"])
    assert "report:" not in records["test_fails#0"]["message"]
    assert set(records["test_fails#0"]["pictures"]) >= {"image", "heatmap"}
    assert records["test_passes#0"]["pictures"] == {}


def test_checks_are_told_apart_wherever_they_stand(
    suite: Callable[..., None], run: Run, report: Report, mode: str
) -> None:
    suite("""
        def test_several(lime):
            lime.check(IMAGE, "bird", HOLDS, samples=200)
            with pytest.raises(AssertionError, match="1 of 1 claim about 'dog'"):
                lime.check(IMAGE, "dog", FAILS, samples=200)
            lime.check(IMAGE, "cat", FAILS, samples=200)

        @pytest.fixture
        def checked(lime):
            return lime.check(IMAGE, "bird", HOLDS, samples=200)

        def test_in_a_fixture(checked, lime):
            lime.check(IMAGE, "cat", FAILS, samples=200)

        @pytest.fixture
        def broken(lime):
            lime.check(IMAGE, "cat", FAILS, samples=200)

        def test_setup_fails(broken):
            raise RuntimeError("not reached")

        @pytest.fixture
        def late(lime):
            yield
            lime.check(IMAGE, "cat", FAILS, samples=200)

        def test_teardown_fails(late):
            pass

        @pytest.mark.parametrize("label", ["cat", "bird"])
        def test_parametrised(lime, label):
            lime.check(IMAGE, label, predicted(), samples=200)

        class TestClass:
            def test_method(self, lime):
                lime.check(IMAGE, "cat", FAILS, samples=200)

            class TestInner:
                def test_method(self, lime):
                    lime.check(IMAGE, "bird", HOLDS, samples=200)
        """)
    result = run("-k", "test_")
    result.assert_outcomes(failed=4, passed=3, errors=2)
    found = {key: (record["status"], record["outcome"]) for key, record in report().items()}
    assert found == {
        "test_several#0": ("pass", "failed"),
        "test_several#1": ("fail", "failed"),
        "test_several#2": ("fail", "failed"),
        "test_in_a_fixture#0": ("pass", "passed"),
        "test_in_a_fixture#1": ("fail", "failed"),
        "test_setup_fails#0": ("fail", "error"),
        "test_teardown_fails#0": ("fail", "error"),
        "test_parametrised[cat]#0": ("fail", "failed"),
        "test_parametrised[bird]#0": ("pass", "passed"),
        "TestClass::test_method#0": ("fail", "failed"),
        "TestClass::TestInner::test_method#0": ("pass", "passed"),
    }
    # All are of one image, in two ways: with its superpixels cut along the corner, and without. Besides, of each way
    # one pass a superpixel for the occlusion of all classes, and of each region and class four, hidden and alone.
    # Workers may both sample what neither has stored yet.
    ways = {"Box" in record["claims"][0]["text"]: record["explanation"]["superpixels"] for record in report().values()}
    assert sorted(ways) == [False, True]
    probed = {
        (record["target"]["label"], place["region"])
        for record in report().values()
        for place in record["interventions"]
    }
    assert sorted(probed) == [("bird", "whole()"), ("cat", "Box(0, 0, 8, 8)"), ("dog", "Box(0, 0, 8, 8)")]
    passes = "*" if mode == "-n2" else 2 * 202 + sum(ways.values()) + 4 * len(probed)
    result.stdout.fnmatch_lines([f"11 checks: 7 failed, 4 passed; {passes} forward passes in * s"])


def test_a_record_says_where_its_test_stands(suite: Callable[..., Path], run: Run, report: Report) -> None:
    path = suite(
        """
        def test_fails(lime):
            lime.check(IMAGE, "cat", FAILS)
        """,
        name="folder/test_deep.py",
    )
    run("--lime-samples", "100", "--lime-seed=7", "--lime-report", "out", "--lime-inconclusive", "fail")
    (record,) = report("out").values()
    assert record["test"] == "folder/test_deep.py::test_fails"
    assert record["file"] == "folder/test_deep.py"
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[record["line"] - 1] == "def test_fails(lime):"
    assert record["rerun"] == (
        "pytest folder/test_deep.py::test_fails --lime-samples=100 --lime-seed=7 --lime-inconclusive=fail"
    )


def test_numbers_of_numpy_travel_from_a_worker(suite: Callable[..., None], run: Run, report: Report) -> None:
    suite("""
        def test_numpy(lime):
            region = Box(*np.array([0, 0, 8, 8]))
            lime.check(
                IMAGE,
                np.int64(0),
                top_overlap(region, k=np.int64(4), at_least=np.int64(3)),
                mass(region, at_least=np.float32(0.5)),
                pointing(region, tolerance=np.float64(1)),
                predicted(at_least=np.float32(0.9), rank=np.int64(1)),
                samples=np.int64(200),
                seed=np.int32(3),
                kernel_width=np.float32(0.25),
                confidence=np.float64(0.9),
                segmenter=np.arange(1024).reshape(32, 32) // 64,
                fill=np.array([0.5, 0.5, 0.5]),
            )
        """)
    run().assert_outcomes(failed=1)
    (record,) = report().values()
    assert [claim["status"] for claim in record["claims"]] == ["fail"] * 4
    assert record["options"]["segmenter"] == "array of shape 32×32"
    assert record["options"]["seed"] == 3


def test_a_check_in_a_subtest(suite: Callable[..., None], run: Run, report: Report) -> None:
    pytest.importorskip("_pytest.subtests", reason="subtests are part of pytest 9")
    suite("""
        def test_parts(lime, subtests):
            for label in ("bird", "cat", "dog"):
                with subtests.test(label=label):
                    lime.check(IMAGE, label, predicted(), samples=200)
        """)
    result = run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    found = {key: (record["status"], record["outcome"]) for key, record in report().items()}
    assert found == {
        "test_parts#0": ("pass", "passed"),
        "test_parts#1": ("fail", "failed"),
        "test_parts#2": ("fail", "failed"),
    }
