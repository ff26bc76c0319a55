"""--lime-precision: passes in sixteen bits, and what that changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., pytest.RunResult]
Report = Callable[..., dict[str, dict[str, Any]]]
NETWORK = """
    import pytest
    import torch
    from pytest_lime import TorchModel

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(3072, 3)
            with torch.no_grad():
                self.linear.weight.copy_(torch.randn(3, 3072, generator=torch.Generator().manual_seed(0)) / 30)
                self.linear.bias.zero_()

        def forward(self, batch):
            return self.linear(batch.flatten(1))

    @pytest.fixture(scope="session")
    def lime_model():
        return TorchModel(Net(), size=(32, 32), labels=("cat", "dog", "bird"))
    """
CHECK = """
    def test_it(lime):
        lime.check(IMAGE, None, FAILS, samples=200, segments=16)
    """
bare = pytest.mark.parametrize("mode", ["bare"])


@pytest.mark.parametrize(("precision", "mode"), [("bfloat16", "bare"), ("bfloat16", "-n2"), ("float16", "bare")])
def test_by_how_much_it_moves_the_score_is_told(
    precision: str, suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    suite(CHECK)
    pytester.makeconftest(NETWORK)
    result = run(f"--lime-precision={precision}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"E*  {precision} moves this score by [+-]* against float32"])
    (record,) = report().values()
    assert record["options"]["precision"] == precision


@bare
def test_in_full_precision_nothing_is_told(
    suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    suite(CHECK)
    pytester.makeconftest(NETWORK)
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*against float32*")
    (record,) = report().values()
    assert record["options"]["precision"] == "float32"
    # Besides, one pass a superpixel for occlusion, and the region hidden and alone under two fills.
    assert record["explanation"]["passes"] == 202 + record["explanation"]["superpixels"] + 4


@bare
def test_a_pass_in_full_precision_is_counted(
    suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    suite(CHECK)
    pytester.makeconftest(NETWORK)
    run("--lime-precision=bfloat16")
    (record,) = report().values()
    assert record["explanation"]["passes"] == 203 + record["explanation"]["superpixels"] + 4


@bare
def test_the_nearest_source_wins(
    suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    suite("""
        def test_below(lime):
            lime.check(IMAGE, None, HOLDS, samples=200, segments=16)

        @pytest.mark.lime(precision="float32")
        def test_marker(lime):
            lime.check(IMAGE, None, HOLDS, samples=200, segments=16)

        @pytest.mark.lime(precision="float32")
        def test_call(lime):
            lime.check(IMAGE, None, HOLDS, samples=200, segments=16, precision="float16")
        """)
    pytester.makeconftest(NETWORK)
    pytester.makeini("[pytest]\nlime_precision = bfloat16\n")

    def used() -> list[str]:
        return [report()[f"test_{name}#0"]["options"]["precision"] for name in ("below", "marker", "call")]

    run("--lime-report-all").assert_outcomes(passed=3)
    assert used() == ["bfloat16", "float32", "float16"]
    run("--lime-report-all", "--lime-precision=float16").assert_outcomes(passed=3)
    assert used() == ["float16", "float32", "float16"]


FUNCTION = """
    import numpy as np
    import pytest
    from pytest_lime import CallableModel

    @pytest.fixture(scope="session")
    def lime_model():
        return CallableModel(lambda images: np.tile([0.25, 0.75], (len(images), 1)), labels=("cat", "dog"))
    """


@bare
def test_a_function_has_no_precision_to_choose(
    suite: Callable[..., None],
    run: Run,
    pytester: pytest.Pytester,
    insides: Callable[..., list[str]],
) -> None:
    suite("""
        def test_it(lime):
            lime.check(IMAGE, "dog", predicted(), samples=200, segments=16, precision="bfloat16")
        """)
    pytester.makeconftest(FUNCTION)
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E*OptionError: precision='bfloat16' is for models that compute with torch, and CallableModel(<lambda>) "
            "does not: leave it out, or convert the model itself."
        ]
    )
    assert insides(result) == []


@bare
def test_a_call_in_full_precision_is_not_refused(
    suite: Callable[..., None], run: Run, pytester: pytest.Pytester
) -> None:
    # The call is stronger than the command line.
    suite("""
        def test_it(lime):
            lime.check(IMAGE, "dog", predicted(), samples=200, segments=16, precision="float32")
        """)
    pytester.makeconftest(FUNCTION)
    run("--lime-precision=bfloat16").assert_outcomes(passed=1)


@bare
def test_a_wrong_word_is_a_usage_error(suite: Callable[..., None], run: Run) -> None:
    suite(CHECK)
    result = run("--lime-precision=bfloat")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --lime-precision: precision='bfloat' must be *the nearest is 'bfloat16'*"])
