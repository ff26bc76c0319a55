"""Tests with parameters: what those to come will ask for fills up the batches of the one at hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., pytest.RunResult]
Report = Callable[..., dict[str, dict[str, Any]]]
IMAGES = """
    from pathlib import Path
    from PIL import Image

    FOLDER = Path(__file__).parent
    NAMES = [f"picture{number}.png" for number in range(6)]
    for number, name in enumerate(NAMES):
        pixels = np.random.default_rng(number).integers(0, 255, (32, 32, 3)).astype("uint8")
        if not (FOLDER / name).exists():
            Image.fromarray(pixels).save(FOLDER / name)
    OPTIONS = {"segments": 16, "segmenter": "grid", "samples": 100, "batch_size": 48}
    """
PARAMETRISED = (
    IMAGES
    + """
    @pytest.mark.parametrize("name", NAMES)
    def test_it(lime, name):
        lime.check(FOLDER / name, "cat", predicted(rank=3), HOLDS, **OPTIONS)
    """
)
# The same, but the body says more than the check: nobody can tell what it will ask for.
ONE_BY_ONE = PARAMETRISED.replace("        lime.check(", "        assert lime.check(")
bare = pytest.mark.parametrize("mode", ["bare"])


Figures = dict[str, tuple[str, int, list[float]]]


def figures(records: dict[str, dict[str, Any]]) -> Figures:
    """Return what was found, by the parameter of each test."""
    return {
        key.partition("[")[2].partition("]")[0]: (
            record["status"],
            record["explanation"]["samples"],
            sorted(weight["weight"] for weight in record["weights"]),
        )
        for key, record in records.items()
    }


def assert_same(found: Figures, expected: Figures) -> None:
    assert found.keys() == expected.keys()
    for name, (status, samples, weights) in expected.items():
        assert found[name][:2] == (status, samples), name
        # Batches of another size sum in another order.
        assert found[name][2] == pytest.approx(weights, abs=1e-6), name


@bare
@pytest.mark.parametrize("cache", [(), ("--lime-no-cache",)], ids=["cache", "no cache"])
def test_batches_are_full_across_tests(
    cache: tuple[str, ...],
    suite: Callable[..., None],
    run: Run,
    report: Report,
    sizes: Callable[[], list[int]],
) -> None:
    suite(PARAMETRISED)
    run("--lime-report-all", *cache).assert_outcomes(passed=6)
    together, found = sizes(), figures(report())
    superpixels = [record["explanation"]["superpixels"] for record in report().values()]
    suite(ONE_BY_ONE)
    run("--lime-report-all", "--lime-no-cache").assert_outcomes(passed=6)
    alone = sizes()
    # Of each image itself twice, its samples, one pass a superpixel for occlusion, and its region hidden and alone
    # under two fills.
    passes = [102 + count + 4 for count in superpixels]
    assert alone == [size for count in passes for size in (*[48] * (count // 48), count % 48)]
    # Nothing is scored that is not used, and fewer batches are not full.
    assert sum(together) == sum(alone) == sum(passes)
    assert together.count(48) > alone.count(48)
    assert len(together) < len(alone)
    assert_same(figures(report()), found)


@bare
def test_tests_of_one_image_share_their_samples(
    suite: Callable[..., None], run: Run, report: Report, sizes: Callable[[], list[int]]
) -> None:
    source = (
        IMAGES
        + """
    @pytest.mark.parametrize("share", [0.1, 0.2, 0.3, 0.4])
    def test_it(lime, share):
        lime.check(FOLDER / "picture0.png", "cat", mass(~CORNER, at_least=share), **OPTIONS)
    """
    )
    suite(source)
    run("--lime-report-all", "--lime-cache=kept").assert_outcomes(passed=4)
    together = sizes()
    suite(source.replace("        lime.check(", "        assert lime.check("))
    run("--lime-report-all", "--lime-cache=other").assert_outcomes(passed=4)
    # Those that were opened before the first was through take over what it found.
    assert sum(together) == sum(sizes())
    assert [record["explanation"]["passes"] for record in report().values()][1:] == [0, 0, 0]


@pytest.mark.parametrize("mode", ["bare", "-n2"])
def test_the_figures_are_those_without_lookahead(suite: Callable[..., None], run: Run, report: Report) -> None:
    suite(PARAMETRISED)
    run("--lime-report-all", "--lime-no-cache").assert_outcomes(passed=6)
    found = figures(report())
    suite(ONE_BY_ONE)
    run("--lime-report-all", "--lime-no-cache").assert_outcomes(passed=6)
    assert_same(figures(report()), found)
    assert len(found) == 6


# A network whose weights a fixture changes from test to test.
CHANGING = (
    IMAGES
    + """
    import torch
    from pytest_lime import TorchModel

    LINEAR = torch.nn.Linear(3072, 3)
    with torch.no_grad():
        LINEAR.weight.copy_(torch.randn(3, 3072, generator=torch.Generator().manual_seed(0)) / 30)
        LINEAR.bias.zero_()
    WEIGHT = LINEAR.weight.detach().clone()

    @pytest.fixture(scope="session")
    def lime_model():
        return TorchModel(torch.nn.Sequential(torch.nn.Flatten(), LINEAR), size=(32, 32), labels=("cat", "dog", "bird"))

    @pytest.fixture(autouse=True)
    def changed(request):
        # Turned round for every other test.
        LINEAR.weight.data.copy_(WEIGHT * (-1) ** int(request.node.name[-6]))

    @pytest.mark.parametrize("name", NAMES)
    def test_it(lime, name):
        lime.check(FOLDER / name, "cat", predicted(rank=3), HOLDS, **OPTIONS)
    """
)


@bare
@pytest.mark.parametrize("cache", [(), ("--lime-no-cache",)], ids=["cache", "no cache"])
def test_weights_that_change_between_the_tests(
    cache: tuple[str, ...], suite: Callable[..., None], run: Run, report: Report
) -> None:
    suite(CHANGING.replace("        lime.check(", "        assert lime.check("))
    run("--lime-report-all", "--lime-no-cache").assert_outcomes(passed=6)
    expected = figures(report())
    suite(CHANGING)
    for _ in range(2):
        run("--lime-report-all", *cache).assert_outcomes(passed=6)
        assert_same(figures(report()), expected)
    # Each weight has its own entries, whatever was made ready under the other.
    suite(CHANGING.replace("** int(request.node.name[-6])", "** (1 + int(request.node.name[-6]))"))
    run("--lime-report-all", *cache).assert_outcomes(passed=6)
    turned = figures(report())
    suite(
        CHANGING.replace("** int(request.node.name[-6])", "** (1 + int(request.node.name[-6]))").replace(
            "        lime.check(", "        assert lime.check("
        )
    )
    run("--lime-report-all", "--lime-no-cache").assert_outcomes(passed=6)
    assert_same(figures(report()), turned)


@bare
def test_images_that_change_between_the_tests(suite: Callable[..., None], run: Run, report: Report) -> None:
    source = (
        IMAGES
        + """
    @pytest.fixture(autouse=True)
    def written(request):
        pixels = np.random.default_rng(int(request.node.name[-2])).integers(0, 255, (32, 32, 3)).astype("uint8")
        Image.fromarray(pixels).save(FOLDER / "current.bmp")

    @pytest.mark.parametrize("number", range(4))
    def test_it(lime, number):
        lime.check(FOLDER / "current.bmp", "cat", predicted(rank=3), HOLDS, seed=number, **OPTIONS)
    """
    )
    suite(source.replace("        lime.check(", "        assert lime.check("))
    run("--lime-report-all", "--lime-no-cache").assert_outcomes(passed=4)
    expected = figures(report())
    suite(source)
    run("--lime-report-all").assert_outcomes(passed=4)
    assert_same(figures(report()), expected)


@bare
def test_markers_and_parameters_of_each_test_are_its_own(suite: Callable[..., None], run: Run, report: Report) -> None:
    suite(
        IMAGES
        + """
    @pytest.mark.parametrize(
        ("name", "target", "region"),
        [
            (NAMES[0], "cat", CORNER),
            pytest.param(NAMES[1], "dog", CORNER, marks=pytest.mark.lime(seed=5, samples=80)),
            pytest.param(NAMES[2], None, whole(), marks=pytest.mark.lime(segments=25)),
        ],
    )
    def test_it(lime, name, target, region):
        lime.check(FOLDER / name, target, mass(region, at_least=0), segmenter="grid", batch_size=64)
    """
    )
    run("--lime-report-all", "--lime-samples=100", "--lime-seed=3").assert_outcomes(passed=3)
    first, second, third = report().values()
    assert (first["options"]["seed"], second["options"]["seed"]) == (3, 5)
    assert [record["explanation"]["samples"] for record in (first, second, third)] == [100, 80, 100]
    assert third["options"]["segments"] == 25


@bare
def test_errors_are_those_of_the_test_whose_they_are(
    suite: Callable[..., None], run: Run, insides: Callable[..., list[str]]
) -> None:
    suite(
        IMAGES
        + """
    @pytest.mark.parametrize(
        ("name", "target"), [(NAMES[0], "cat"), ("nowhere.png", "cat"), (NAMES[1], "catt"), (NAMES[2], "cat")]
    )
    def test_it(lime, name, target):
        lime.check(FOLDER / name, target, HOLDS, **OPTIONS)

    @pytest.mark.parametrize("options", [{}, {"sample": 3}, {"seed": -1}, {"segments": 16}])
    def test_options(lime, options):
        lime.check(IMAGE, "cat", predicted(rank=3), **options)

    @pytest.mark.parametrize("claim", [HOLDS, None, mass, HOLDS])
    def test_claims(lime, claim):
        lime.check(IMAGE, "cat", claim, **OPTIONS)
    """
    )
    result = run()
    result.assert_outcomes(passed=6, failed=6)
    result.stdout.fnmatch_lines(
        [
            "E*ImageError: *nowhere.png*",
            "E*TargetError: *'catt'*",
            "E*OptionError: lime.check: there is no option 'sample'*",
            "E*OptionError: lime.check: seed=-1 *",
            "E*OptionError: lime.check: None is no claim; *",
            "E*OptionError: lime.check: mass, which is not called, is no claim; *",
        ]
    )
    assert insides(result) == []


@bare
def test_a_run_that_stops_early_ends(suite: Callable[..., None], run: Run) -> None:
    suite(PARAMETRISED.replace("predicted(rank=3), HOLDS", "FAILS"))
    result = run("-x")
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    assert run("--maxfail=2").parseoutcomes()["failed"] == 2


SUITE = """\
version: 1
defaults:
  options: {segments: 16, segmenter: grid, samples: 100, batch_size: 48}
regions:
  corner: {box: [0, 0, 8, 8]}
tests:
  - name: each
    images: "picture[0-4].png"
    per: image
    target: cat
    expect:
      - predicted: {rank: 3}
      - mass: {region: whole, at_least: 0.9}
  - {name: another, images: picture5.png, target: cat, expect: [mass: {region: corner, at_most: 0.9}]}
  - {name: skipped, images: picture1.png, target: cat, expect: [predicted], marks: [{skip: why}]}
"""


@pytest.fixture
def yaml(suite: Callable[..., None], pytester: pytest.Pytester) -> Callable[[str], None]:
    def write(text: str) -> None:
        # Importing it makes the pictures.
        suite(f"{IMAGES}\n    def test_nothing():\n        pass\n", "test_a.py")
        (pytester.path / "test_b.lime.yaml").write_text(text, encoding="utf-8")

    return write


@bare
@pytest.mark.parametrize("cache", [(), ("--lime-no-cache",)], ids=["cache", "no cache"])
def test_cases_of_a_suite_share_batches(
    cache: tuple[str, ...],
    yaml: Callable[[str], None],
    run: Run,
    report: Report,
    sizes: Callable[[], list[int]],
) -> None:
    yaml(SUITE)
    run("--lime-report-all", *cache).assert_outcomes(passed=7, skipped=1)
    together, found = sizes(), figures(report())
    # A model that a case names is another one, as far as can be told beforehand.
    yaml(SUITE.replace("defaults:\n", "defaults:\n  model: lime_model\n"))
    run("--lime-report-all", "--lime-no-cache").assert_outcomes(passed=7, skipped=1)
    alone = sizes()
    assert sum(together) == sum(alone)
    assert together.count(48) > alone.count(48)
    assert len(together) < len(alone)
    assert len(found) == 6
    assert_same(figures(report()), found)


@bare
def test_a_fault_in_a_case_is_told_by_that_case(yaml: Callable[[str], None], run: Run) -> None:
    area = "  area: {file: '{stem}.json', label: cat}\n"
    lost = "  - {name: lost, images: picture0.png, target: cat, expect: [mass: {region: area, at_least: 0.5}]}\n"
    yaml(SUITE.replace("tests:\n", f"{area}tests:\n") + lost)
    result = run("--lime-no-cache", "-rA")
    result.assert_outcomes(passed=7, skipped=1, failed=1)
    result.stdout.fnmatch_lines(["E  *SuiteError: test_b.lime.yaml:6:*picture0.json*"])


THREADS = """
    import threading
    from pytest_lime.blas import one_thread
    from threadpoolctl import ThreadpoolController

    LIBRARIES = ThreadpoolController().select(user_api="blas").lib_controllers
    seen = []

    def elsewhere(what):
        thread = threading.Thread(target=what)
        thread.start()
        thread.join()

    def look():
        with one_thread():
            seen.append({library.num_threads for library in LIBRARIES})

    def segmenter(pixels):
        # It may set the number of threads for a moment, as estimators of scikit-learn do: no look does so beside it.
        if threading.current_thread() is not threading.main_thread():
            elsewhere(look)
        rows, columns = np.indices(pixels.shape[:2]) // 8
        return rows * 4 + columns

    @pytest.fixture(autouse=True, scope="module")
    def three():
        before = [library.num_threads for library in LIBRARIES]
        elsewhere(lambda: [library.set_num_threads(3) for library in LIBRARIES])
        yield
        elsewhere(lambda: [library.set_num_threads(count) for library, count in zip(LIBRARIES, before)])
    """


@bare
def test_what_is_made_in_the_background_may_set_threads_of_its_own(suite: Callable[..., None], run: Run) -> None:
    suite(
        IMAGES
        + THREADS
        + """
    @pytest.mark.parametrize("name", NAMES)
    def test_each(lime, name):
        lime.check(FOLDER / name, "cat", predicted(rank=3), segmenter=segmenter, samples=50)

    def test_all(lime):
        # That of the test at hand is made by itself, and in these of all others.
        assert seen == [{3}] * (len(NAMES) - 1)
        lime.check_all([FOLDER / name for name in NAMES], "cat", predicted(rank=3), segmenter=segmenter, samples=50)
        assert seen[len(NAMES) - 1 :] == [{3}] * len(NAMES)
        assert {library.num_threads for library in LIBRARIES} == {3}
    """
    )
    run().assert_outcomes(passed=7)
