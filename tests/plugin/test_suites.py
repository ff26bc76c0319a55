"""YAML suites beside Python tests, in every way that pytest runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage

Run = Callable[..., pytest.RunResult]
Report = Callable[..., dict[str, dict[str, Any]]]
Write = Callable[..., Path]

# Where pytest-xdist makes no difference.
BARE = pytest.mark.parametrize("mode", ["bare"], indirect=True)
# FakeModel sees a bird in both pictures, and "cat" lies anywhere but in CORNER.
SUITE = """\
version: 1
defaults:
  options: {samples: 200}
  meta: {owner: vision}
regions:
  corner: {box: [0, 0, 8, 8]}
tests:
  - name: a bird is seen
    images: a.png
    target: bird
    expect: [predicted]
    meta: {risk: R-12}
  - name: the corner does it
    images: a.png
    target: cat
    expect:
      - mass: {region: whole, at_least: 0.9}
      - mass: {region: corner, at_least: 0.9}
  - name: mostly
    images: "*.png"
    target: [bird, cat]
    expect: [predicted: {rank: 3}]
    mostly: 0.5
"""
PASS_OR_FAIL = """\
version: 1
tests:
  - {name: holds, images: a.png, target: bird, expect: [predicted]}
  - {name: fails, images: a.png, target: cat, expect: [predicted]}
"""


@pytest.fixture
def write(suite: Callable[..., Path], pytester: pytest.Pytester) -> Write:
    """Write a suite beside the pictures a.png and b.png and a conftest.py with a model."""
    noise = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        PILImage.fromarray(noise.integers(0, 255, (32, 32, 3)).astype("uint8")).save(pytester.path / name)

    def to(text: str, name: str = "test_it.lime.yaml") -> Path:
        path = pytester.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return to


def test_a_suite_and_python_in_one_run(
    write: Write, suite: Callable[..., Path], run: Run, report: Report, insides: Callable[..., list[str]]
) -> None:
    write(SUITE)
    suite("""
        def test_python(lime):
            lime.check(IMAGE, "bird", predicted(), samples=200)
        """)
    result = run("--lime-report-all")
    result.assert_outcomes(passed=4, failed=1)
    # The failure shows the test as it is written, down to its claims.
    result.stdout.fnmatch_lines(
        [
            "*_ the corner does it _*",
            "*- name: the corner does it",
            " *expect:",
            " *- mass: {region: whole, at_least: 0.9}",
            ">*- mass: {region: corner, at_least: 0.9}",
            "E*pytest_lime.ClaimFailed: 1 of 2 claims about 'cat' in 'a.png' failed.",
            "test_it.lime.yaml:18: ClaimFailed",
            "FAILED test_it.lime.yaml::the corner does it - pytest_lime.ClaimFailed: *",
        ]
    )
    assert insides(result) == []
    records = report()
    assert set(records) == {
        "a bird is seen#0",
        "the corner does it#0",
        # One of two images is enough, and then the other is not looked at.
        *(f"mostly[{target}]#0" for target in ("bird", "cat")),
        "test_python#0",
    }
    record = records["the corner does it#0"]
    assert (record["file"], record["line"], record["test"]) == (
        "test_it.lime.yaml",
        13,
        "test_it.lime.yaml::the corner does it",
    )
    assert record["rerun"] == "pytest 'test_it.lime.yaml::the corner does it'"
    assert (record["severity"], record["meta"], record["options"]["samples"]) == ("error", {"owner": "vision"}, 200)
    assert records["a bird is seen#0"]["meta"] == {"owner": "vision", "risk": "R-12"}
    assert "meta" not in records["test_python#0"]
    # What it says of running again does so.
    again = run("test_it.lime.yaml::the corner does it")
    again.assert_outcomes(failed=1)


def test_tests_are_chosen_as_in_python(write: Write, run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nmarkers = slow\n")
    write(SUITE.replace("    mostly: 0.5", "    marks: [slow]"))
    run("-k", "bird").assert_outcomes(passed=2)
    run("-m", "slow", "--strict-markers").assert_outcomes(passed=2)
    run("-m", "not slow and lime").assert_outcomes(passed=1, failed=1)
    run("test_it.lime.yaml::mostly[cat]").assert_outcomes(passed=1)
    run("test_it.lime.yaml::mostly").assert_outcomes(passed=2)
    # Another worker may have gone on by then.
    assert run("-x", "-k", "corner or mostly").parseoutcomes()["failed"] == 1
    run("--deselect", "test_it.lime.yaml::the corner does it").assert_outcomes(passed=3)


@BARE
def test_the_last_failed_runs_again(write: Write, run: Run) -> None:
    write(PASS_OR_FAIL)
    write(PASS_OR_FAIL.replace("cat", "bird"), "test_other.lime.yml")
    run().assert_outcomes(passed=3, failed=1)
    run("--lf").assert_outcomes(failed=1)
    write(PASS_OR_FAIL.replace("cat", "bird"))
    run("--lf").assert_outcomes(passed=1)


@BARE
def test_collecting_shows_the_cases(write: Write, run: Run) -> None:
    write(SUITE)
    result = run("--collect-only", "-q")
    result.stdout.fnmatch_lines(
        [
            "test_it.lime.yaml::a bird is seen",
            "test_it.lime.yaml::the corner does it",
            "test_it.lime.yaml::mostly[[]bird[]]",
            "test_it.lime.yaml::mostly[[]cat[]]",
        ]
    )
    assert result.ret == 0


@BARE
def test_which_files_are_suites(write: Write, run: Run) -> None:
    one = PASS_OR_FAIL.replace("cat", "bird")
    write(one, "test_a.lime.yml")
    write(one, "other.lime.yaml")
    write(one, "test_b.yaml")
    write(one, "folder/test_c.lime.yaml").parent.joinpath("a.png").write_bytes(Path("a.png").read_bytes())
    run().assert_outcomes(passed=4)
    run("other.lime.yaml").assert_outcomes(passed=2)


def test_an_error_in_a_suite_is_one_sentence_and_others_run(
    write: Write, run: Run, insides: Callable[..., list[str]], mode: str
) -> None:
    write(PASS_OR_FAIL.replace("images: a.png, target: bird", "imagse: a.png, target: bird"))
    write(PASS_OR_FAIL.replace("cat", "bird"), "test_other.lime.yaml")
    result = run("--continue-on-collection-errors")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR collecting test_it.lime.yaml*",
            "*test_it.lime.yaml:3:19: a test has no key 'imagse'; the nearest is 'images'; its keys are *",
        ]
    )
    assert insides(result) == []
    assert not any("Traceback" in line for line in result.outlines)


def test_fixtures(write: Write, run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeconftest("""
        import pytest
        from pathlib import Path
        from pytest_lime.testing import FakeModel

        def note(text):
            with Path(__file__).with_name("noted.txt").open("a") as file:
                print(text, file=file)

        @pytest.fixture(scope="session", params=["one", "two"])
        def lime_model(request):
            return FakeModel()

        @pytest.fixture(scope="module", autouse=True)
        def of_the_module(request):
            note(f"module {request.module.__name__} {request.path.name}")

        @pytest.fixture(autouse=True)
        def of_the_function(request):
            note(f"function {request.node.name} {request.function.__name__}")

        @pytest.fixture
        def asked_for():
            note("asked for")
        """)
    write("""
        version: 1
        tests:
          - {name: a, images: a.png, target: bird, expect: [predicted], marks: [usefixtures: asked_for]}
          - {name: b, images: a.png, target: bird, expect: [predicted], marks: [usefixtures: [asked_for]]}
        """)
    run("-p", "no:randomly").assert_outcomes(passed=4)
    noted = Path("noted.txt").read_text().splitlines()
    assert {line for line in noted if line.startswith("module")} == {"module test_it.lime.yaml test_it.lime.yaml"}
    assert sorted(line for line in noted if line.startswith("function")) == [
        f"function {name}[{model}] case" for name in "ab" for model in ("one", "two")
    ]
    assert noted.count("asked for") == 4


MODELS = """
    import pytest
    from pytest_lime.testing import FakeModel

    @pytest.fixture(scope="module")
    def net_a():
        return FakeModel()

    @pytest.fixture(params=["x", "y"])
    def net_b(request):
        return FakeModel()
    """


def test_models_by_fixture_and_by_name(
    write: Write, run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    pytester.makeconftest(MODELS)
    pytester.makepyfile(
        networks="""
        from pathlib import Path
        from pytest_lime.testing import FakeModel

        def make():
            with Path(__file__).with_name("made.txt").open("a") as file:
                print("made", file=file)
            return FakeModel()
        """
    )
    write("""
        version: 1
        model: [net_a, "networks:make"]
        tests:
          - {name: each, images: a.png, target: [bird, null], expect: [predicted]}
          - {name: own, model: net_b, images: a.png, target: bird, expect: [predicted]}
        """)
    monkeypatch.syspath_prepend(pytester.path)
    result = run("-v")
    result.assert_outcomes(passed=6)
    for name in ("each[bird-net_a]", "each[predicted-networks:make]", "own[x]", "own[y]"):
        assert any(f"test_it.lime.yaml::{name}" in line for line in result.outlines), name
    # Once in each process.
    assert len((pytester.path / "made.txt").read_text().split()) <= (2 if mode == "-n2" else 1)


def test_a_model_that_is_not_there_is_one_sentence(
    write: Write, run: Run, insides: Callable[..., list[str]], pytester: pytest.Pytester
) -> None:
    # An apostrophe makes YAML hard to read for Python, which pytest would try for a fixture that is not there.
    write("""
        version: 1
        tests:
          - {name: it's a fixture, model: net_x, images: a.png, target: bird, expect: [predicted]}
          - {name: "it's a module", model: "netwrks:make", images: a.png, target: bird, expect: [predicted]}
          - {name: "it's a mark", images: a.png, target: bird, expect: [predicted], marks: [usefixtures: nothing]}
        """)
    result = run("-p", "no:warnings")
    result.assert_outcomes(errors=3)
    for sentence in (
        "*test_it.lime.yaml:4:35: fixture 'net_x' is not there; define it in conftest.py.",
        "*test_it.lime.yaml:5:36: model 'netwrks:make': there is no module 'netwrks' in *",
        "*test_it.lime.yaml:6:5: fixture 'nothing' is not there; define it in conftest.py.",
    ):
        result.stdout.fnmatch_lines([sentence])
    assert insides(result) == []


@BARE
def test_a_model_of_python_whose_own_fixture_is_missing(write: Write, run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeconftest("""
        import pytest

        @pytest.fixture
        def lime_model(weights):
            pass
        """)
    write("""
        version: 1
        tests:
          - name: it's "broken
            images: a.png
            target: bird
            expect: [predicted]
        """)
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*test_it.lime.yaml:4:5: fixture 'weights' is not there; define it in conftest.py."])


def test_severity_warn_lets_the_test_pass(write: Write, run: Run, report: Report, mode: str) -> None:
    write("""
        version: 1
        defaults: {severity: warn}
        tests:
          - name: warns
            images: a.png
            target: cat
            expect: [predicted]
          - name: fails
            images: a.png
            target: cat
            severity: error
            expect: [predicted]
        """)
    result = run("-W", "default")
    result.assert_outcomes(passed=1, failed=1, warnings=1)
    result.stdout.fnmatch_lines(
        [
            "*test_it.lime.yaml:8: ClaimWarning: 1 of 1 claim* about 'cat' in 'a.png' failed; severity: warn lets the "
            "test pass",
            "FAIL     cat in a.png  predicted * test_it.lime.yaml::warns",
            "*severity warn: the test passes",
        ]
    )
    result.stdout.fnmatch_lines(["FAIL     cat in a.png  predicted * test_it.lime.yaml::fails"])
    warned, failed = report()["warns#0"], report()["fails#0"]
    assert (warned["severity"], warned["status"], warned["outcome"]) == ("warn", "fail", "passed")
    assert (failed["severity"], failed["status"], failed["outcome"]) == ("error", "fail", "failed")
    page = Path("lime-report/index.html").read_text(encoding="utf-8")
    assert page.count("The test passed all the same: its severity is warn.") == 1
    # As an error, the warning fails the test in one sentence.
    again = run("-W", "error", "-k", "warns")
    again.assert_outcomes(failed=1)
    again.stdout.fnmatch_lines(["E*pytest_lime.ClaimWarning: 1 of 1 claim* about 'cat' in 'a.png' failed; *"])


def test_an_inconclusive_check_warns_at_the_suites_own_line(write: Write, run: Run) -> None:
    write("""
        version: 1
        tests:
          - name: open
            images: a.png
            target: bird
            expect: [mass: {region: {box: [0, 0, 16, 32]}, at_least: 0.5}]
            options: {samples: 20, sampler: bernoulli}
        """)
    result = run("-W", "default")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*test_it.lime.yaml:7: InconclusiveWarning: *"])


def test_marks(write: Write, run: Run, report: Report) -> None:
    write("""
        version: 1
        defaults: {target: cat}
        tests:
          - {name: a, images: a.png, expect: [predicted], marks: [skip: not here]}
          - name: b
            images: a.png
            expect: [predicted]
            marks: [skipif: {condition: "sys.version_info > (3,)", reason: new}]
          - {name: c, images: a.png, expect: [predicted], marks: [xfail: the model is weak]}
          - name: d
            images: a.png
            expect: [predicted]
            marks: [xfail: {reason: weak, raises: ClaimFailed, strict: true}]
          - {name: e, images: a.png, target: bird, expect: [predicted], marks: [xfail: {strict: true}]}
          - {name: f, images: a.png, expect: [predicted], marks: [xfail: {raises: [ModelError]}]}
        """)
    result = run("-rsx")
    result.assert_outcomes(skipped=2, xfailed=2, failed=2)
    result.stdout.fnmatch_lines(["SKIPPED * test_it.lime.yaml:*: not here", "SKIPPED * test_it.lime.yaml:*: new"])
    assert report()["c#0"]["reason"] == "the model is weak"
    assert report()["d#0"]["outcome"] == "xfailed"


@pytest.mark.parametrize(
    ("mark", "sentence"),
    [
        (
            "slo",
            ":3:23: mark 'slo': 'slo' not found in `markers` configuration option; register it there, or correct it.",
        ),
        ("parametrize: [a, [1]]", ":3:23: mark 'parametrize' is not for suites; give a list of targets or models."),
        ("lime: {seed: 1}", ":3:23: mark 'lime' is not for suites; write options."),
        ("two words", ":3:23: mark 'two words' is no name of a mark; it must be of letters, digits and _."),
        ("xfail: {reasn: x}", ":3:31: mark xfail has no key 'reasn'; the nearest is 'reason'; its keys are *"),
        (
            "xfail: {raises: ClaimFaild}",
            ":3:39: xfail: raises: 'ClaimFaild' must be an error of pytest-lime; the nearest*",
        ),
        ("skip: 3", ":3:29: skip: 3 must be a reason."),
    ],
)
@BARE
def test_a_wrong_mark_is_one_sentence(mark: str, sentence: str, write: Write, run: Run) -> None:
    write(f"""\
        version: 1
        tests:
          - {{name: a, marks: [{mark}], images: a.png, target: cat, expect: [predicted]}}
        """)
    result = run("--strict-markers")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*test_it.lime.yaml{sentence.replace('[', '[[]')}"])


def test_an_unknown_mark_warns_at_its_place(write: Write, run: Run, mode: str) -> None:
    write("""\
        version: 1
        tests:
          - {name: a, marks: [slo], images: a.png, target: bird, expect: [predicted]}
        """)
    result = run("-W", "default")
    result.assert_outcomes(passed=1, warnings=2 if mode == "-n2" else 1)
    result.stdout.fnmatch_lines(
        ["*test_it.lime.yaml:3", "*test_it.lime.yaml:3: PytestUnknownMarkWarning: *pytest.mark.slo*"]
    )


@BARE
def test_options_that_do_not_go_together_name_the_suite(write: Write, run: Run) -> None:
    write("""\
        version: 1
        tests:
          - {name: a, options: {num_features: 3}, images: a.png, target: bird, expect: [predicted]}
        """)
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["OptionError: options of test_it.lime.yaml:3:5: num_features=3 needs a feature_selection*"]
    )


def test_groups_are_compared(write: Write, run: Run, report: Report, pytester: pytest.Pytester) -> None:
    (pytester.path / "more").mkdir()
    for name in ("a.png", "b.png"):
        PILImage.open(pytester.path / name).rotate(90).save(pytester.path / "more" / name)
    write("""
        version: 1
        tests:
          - name: parity
            groups: {one: [a.png, b.png], other: "more/*.png"}
            target: bird
            compare: {mass: {region: whole, at_least: 0.5}}
            margin: 0.3
            spread: 0.01
            meta: {risk: R-1}
        """)
    run("--lime-report-all", "--lime-samples=200", "-W", "ignore").assert_outcomes(passed=1)
    record = report()["parity#0"]
    assert (record["kind"], record["meta"], record["line"]) == ("comparison", {"risk": "R-1"}, 4)


def test_regions_of_each_image_come_from_files(write: Write, run: Run, pytester: pytest.Pytester) -> None:
    write("""
        version: 1
        regions: {all of it: {mask: "masks/{stem}.png"}}
        tests:
          - name: everywhere
            images: "*.png"
            target: bird
            expect: [mass: {region: all of it, at_least: 0.9}]
        """)
    (pytester.path / "masks").mkdir()
    for name in ("a", "b"):
        PILImage.fromarray(np.full((32, 32), 255, dtype="uint8")).save(pytester.path / "masks" / f"{name}.png")
    run().assert_outcomes(passed=1)
    (pytester.path / "masks" / "b.png").unlink()
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E*pytest_lime.SuiteError: image 2 of 2: test_it.lime.yaml:3:29: Mask(*b.png'): the file does not exist; *"]
    )


def test_reruns_go_on(write: Write, run: Run) -> None:
    write(PASS_OR_FAIL)
    result = run("--reruns=1")
    result.assert_outcomes(passed=1, failed=1)
    assert result.parseoutcomes()["rerun"] == 1


def test_a_thousand_cases_are_collected_without_torch(tmp_path: Path) -> None:
    PILImage.new("RGB", (8, 8)).save(tmp_path / "a.png")
    tests = "".join(
        f"  - name: case {number}\n    images: a.png\n    target: cat\n    expect:\n"
        f"      - mass: {{region: head, at_least: 0.5}}\n      - predicted: {{rank: 5}}\n"
        for number in range(1000)
    )
    (tmp_path / "test_it.lime.yaml").write_text(f"version: 1\nregions:\n  head: {{box: [0, 0, 4, 4]}}\ntests:\n{tests}")
    (tmp_path / "conftest.py").write_text(
        "import sys\n\ndef pytest_unconfigure():\n    print('torch:', 'torch' in sys.modules)\n"
    )
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "pytest_lime.plugin", "--collect-only", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "1000 tests collected" in done.stdout, done.stdout + done.stderr
    assert "torch: False" in done.stdout


@BARE
@pytest.mark.parametrize(
    ("marks", "words"),
    [
        ("[{slow: {self: 1}}]", "mark 'slow' cannot have an argument 'self'; call it otherwise"),
        (
            "[{usefixtures: [[a]]}]",
            "mark 'usefixtures' takes the names of fixtures, such as {usefixtures: [[]tmp_path]}",
        ),
    ],
)
def test_marks_that_pytest_cannot_make(
    marks: str, words: str, write: Write, run: Run, insides: Callable[..., list[str]]
) -> None:
    write(f"""\
        version: 1
        tests:
          - {{name: a, images: a.png, target: bird, expect: [predicted], marks: {marks}}}
        """)
    result = run("-W", "ignore")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*test_it.lime.yaml:3:*: {words}*"])
    assert insides(result) == []
