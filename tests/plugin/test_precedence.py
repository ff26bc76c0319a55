"""Every option: call over marker over command line over ini file over default; and each as text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., pytest.RunResult]
Report = Callable[..., dict[str, dict[str, Any]]]
SOURCE = """
    @pytest.mark.lime({name}={marker})
    def test_call(lime):
        lime.check(IMAGE, "cat", predicted(rank=3), {name}={call})

    @pytest.mark.lime({name}={marker})
    def test_marker(lime):
        lime.check(IMAGE, "cat", predicted(rank=3))

    def test_below(lime):
        lime.check(IMAGE, "cat", predicted(rank=3))
        assert getattr(lime.options, {name!r}) == lime.explain(IMAGE).options.{name}
    """


@pytest.mark.parametrize("values", [("samples", 51, 52, 53, 54, "auto"), ("seed", 1, 2, 3, 4, 0)], ids=lambda v: v[0])
def test_the_nearest_source_wins(
    values: tuple[str, int, int, int, int, Any],
    suite: Callable[..., None],
    run: Run,
    report: Report,
    pytester: pytest.Pytester,
) -> None:
    name, call, marker, command_line, ini, default = values
    suite(SOURCE.format(name=name, call=call, marker=marker))

    def used() -> list[Any]:
        records = report()
        return [records[f"test_{level}#0"]["options"][name] for level in ("call", "marker", "below")]

    pytester.makeini(f"[pytest]\nlime_{name} = {ini}\n")
    run(f"--lime-{name}={command_line}", "--lime-report-all").assert_outcomes(passed=3)
    assert used() == [call, marker, command_line]
    run("--lime-report-all").assert_outcomes(passed=3)
    assert used() == [call, marker, ini]
    (pytester.path / "tox.ini").unlink()
    run("--lime-report-all").assert_outcomes(passed=3)
    assert used() == [call, marker, default]


def test_every_option_has_an_ini_spelling(
    suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    suite("""
        def test_it(lime):
            lime.check(IMAGE, "cat", predicted(rank=3))
        """)
    pytester.makeini("""
        [pytest]
        lime_preset = captum
        lime_segmenter = slic
        lime_segments = 16
        lime_segmenter_parameters = compactness=20, sigma=0.5
        lime_align_to_regions = no
        lime_fill = 0,0,0
        lime_samples = 60
        lime_max_samples = 70
        lime_sampler = bernoulli
        lime_distance = pixel_euclidean
        lime_kernel = exponential
        lime_kernel_width = 0.5
        lime_surrogate = lasso
        lime_alpha = 0.001
        lime_feature_selection = highest_weights
        lime_num_features = 5
        lime_confidence = 0.9
        lime_seed = 3
        lime_device = cpu
        lime_precision = bfloat16
        lime_batch_size = 8
        lime_fuse = false
        """)
    run("--lime-report-all").assert_outcomes(passed=1)
    (record,) = report().values()
    assert record["options"] == {
        "preset": "captum",
        "segmenter": "slic",
        "segments": 16,
        "segmenter_parameters": {"compactness": 20, "sigma": 0.5},
        "align_to_regions": False,
        "fill": [0, 0, 0],
        "samples": 60,
        "max_samples": 70,
        "sampler": "bernoulli",
        "distance": "pixel_euclidean",
        "kernel": "exponential",
        "kernel_width": 0.5,
        "surrogate": "lasso",
        "alpha": 0.001,
        "feature_selection": "highest_weights",
        "num_features": 5,
        "confidence": 0.9,
        "seed": 3,
        "device": "cpu",
        "precision": "bfloat16",
        "batch_size": 8,
        "fuse": False,
    }


def test_fills_as_text(suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester) -> None:
    suite("""
        def test_it(lime):
            lime.check(IMAGE, "cat", predicted(rank=3), samples=50)
        """)
    fills: dict[str, object] = {"#00ff00": [0, 1, 0], "0, 0, 255": [0, 0, 1], "image_mean": "image_mean"}
    for written, read in fills.items():
        pytester.makeini(f"[pytest]\nlime_fill = {written}\n")
        run("--lime-report-all").assert_outcomes(passed=1)
        (record,) = report().values()
        assert record["options"]["fill"] == read


@pytest.mark.parametrize(
    "option", ["samples=many", "samples=1", "samples=1e3", "seed=-1", "device=gpu", "precision=half"]
)
def test_a_wrong_value_on_the_command_line_is_a_usage_error(option: str, suite: Callable[..., None], run: Run) -> None:
    suite("""
        def test_it():
            pass
        """)
    result = run(f"--lime-{option}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line.strip()]
    name = option.partition("=")[0]
    assert line.startswith(f"ERROR: --lime-{name}: {name}=")
    assert line.endswith(".")
    assert "test_it" not in str(result.stdout)


WRONG = [
    ("segmenter", "slick", "the nearest is 'slic'"),
    ("segments", "lots", "must be a whole number"),
    ("align_to_regions", "perhaps", "must be true or false"),
    ("fill", "0,0", "one or three numbers"),
    ("fill", "segmentmean", "the nearest is 'segment_mean'"),
    ("kernel_width", "0", "greater than 0"),
    ("kernel_width", "wide", "must be a number"),
    ("confidence", "95", "between 0 and 1"),
    ("sampler", "antithetical", "the nearest is 'antithetic'"),
    ("batch_size", "big", "must be 'auto' or"),
    ("samples", "car", "must be 'auto' or"),
    ("max_samples", "1", "must be a whole number of at least 2"),
    ("precision", "bfloat", "the nearest is 'bfloat16'"),
]


def test_a_wrong_value_in_the_ini_file_is_a_usage_error(
    suite: Callable[..., None], run: Run, pytester: pytest.Pytester
) -> None:
    suite("""
        def test_it():
            pass
        """)
    for name, value, words in WRONG:
        pytester.makeini(f"[pytest]\nlime_{name} = {value}\n")
        result = run()
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        (line,) = [line for line in result.errlines if line.strip()]
        assert line.startswith(f"ERROR: lime_{name} in ")
        assert "tox.ini: " in line
        assert words in line
        assert line.count(f"{name}=") == 1


def test_numbers_of_a_toml_file_are_taken(
    suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    suite("""
        def test_it(lime):
            lime.check(IMAGE, "cat", predicted(rank=3))
        """)
    pytester.makepyprojecttoml("""
        [tool.pytest.ini_options]
        lime_samples = "60"
        lime_fill = "0,0,0"
        """)
    run("--lime-report-all").assert_outcomes(passed=1)
    (record,) = report().values()
    assert record["options"]["samples"] == 60
