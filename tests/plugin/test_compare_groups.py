"""lime.compare_groups: what a claim measures, compared between groups of images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

Report = Callable[..., dict[str, dict[str, Any]]]
Run = Callable[..., pytest.RunResult]
# Pictures whose share of the weight in CORNER is that of noise, or, with a bright corner, more.
GROUPS = """
    from pytest_lime import Verdict, Claim

    def pictures(count, first=0, bright=0):
        made = []
        for seed in range(first, first + count):
            pixels = np.random.default_rng(seed).integers(0, 200, (32, 32, 3)).astype("uint8")
            pixels[:8, :8] += np.uint8(bright)
            made.append(pixels)
        return made

    class Brightness(Claim):
        # The mean of the red corner, known exactly.
        name = "brightness"

        def judge(self, explanation):
            mean = float(explanation.pixels[0, :8, :8].mean())
            return Verdict(
                meaning="the corner is dark", estimate=mean, interval=(mean, mean), relation="<=", bound=0.45,
            )
    """
bare = pytest.mark.parametrize("mode", ["bare"])


@pytest.fixture
def groups_suite(suite: Callable[..., None]) -> Callable[[str], None]:
    """Write a test file that begins with `GROUPS` too."""
    return lambda source: suite(GROUPS + source)


def test_alike_and_not(groups_suite: Callable[[str], None], run: Run, insides: Callable[..., list[str]]) -> None:
    groups_suite("""
    def test_alike(lime):
        found = lime.compare_groups(
            {"first": pictures(8), "second": pictures(8, first=50)}, "cat", Brightness(), margin=0.1, spread=0.05
        )
        assert (found.status, found.rates, [len(group.figures) for group in found.groups]) == ("pass", False, [8, 8])

    def test_differ(lime):
        lime.compare_groups(
            {"plain": pictures(6), "bright": pictures(6, bright=55)}, "cat", Brightness(), margin=0.1, spread=0.05
        )

    def test_pairs(lime):
        found = lime.compare_groups(
            {"plain": pictures(7), "bright": pictures(7, bright=5)}, "cat", Brightness(),
            margin=0.1, paired=True, spread=0.05,
        )
        (difference,) = found.differences
        assert found.status == "pass"
        assert abs(difference.estimate + 5 / 255) < 1e-6

    def test_a_figure_with_sampling_error(lime):
        found = lime.compare_groups(
            {"first": pictures(6), "second": pictures(6, first=50)}, "cat", mass(CORNER, at_most=0.5),
            margin=0.5, spread=0.2,
        )
        assert found.statistic == "mass"
        assert found.status == "pass"
    """)
    result = run()
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["E*ClaimFailed: brightness differs by more than 0.1 among 2 groups: *"])
    assert insides(result) == []


@bare
def test_rates_and_sources(groups_suite: Callable[[str], None], run: Run) -> None:
    groups_suite("""
    def test_rates(lime):
        found = lime.compare_groups(
            {"plain": pictures(24), "also plain": pictures(24, first=50)}, "cat", Brightness(), margin=0.5, rate=True
        )
        assert found.rates
        assert [group.mean for group in found.groups] == [1.0, 1.0]
        assert found.status == "pass"

    def test_sources(lime):
        sources = {}
        first, second = pictures(12), pictures(12, first=50)
        for place, image in enumerate([*first, *second]):
            sources[id(image)] = place // 2
        found = lime.compare_groups(
            {"first": first, "second": second}, "cat", Brightness(), margin=0.1, spread=0.05,
            source=lambda image: sources[id(image)],
        )
        assert [len(group.figures) for group in found.groups] == [6, 6]

    def test_a_claim_for_each_image(lime):
        found = lime.compare_groups(
            {"first": pictures(4), "second": pictures(4, first=50)}, "cat", lambda image: Brightness(), margin=0.2,
            spread=0.05,
        )
        assert found.statistic == "the figure"
    """)
    run().assert_outcomes(passed=3)


@bare
@pytest.mark.parametrize(("how", "outcome"), [("fail", {"failed": 1}), ("warn", {"passed": 1, "warnings": 1})])
def test_too_few_images_are_not_looked_at(
    how: str, outcome: dict[str, int], groups_suite: Callable[[str], None], run: Run
) -> None:
    groups_suite("""
    def test_it(lime):
        class Refusing(type(lime.model)):
            def predict(self, batch):
                raise AssertionError("a pass was made")

        lime.model = Refusing()
        found = lime.compare_groups(
            {"first": pictures(3), "second": pictures(3)}, "cat", mass(CORNER, at_most=0.5), margin=0.05
        )
        assert found.status == "inconclusive"
    """)
    result = run(f"--lime-inconclusive={how}")
    result.assert_outcomes(**outcome)
    result.stdout.fnmatch_lines(["*too few units in *; about * are needed in each group*"])


@bare
def test_wrong_arguments(groups_suite: Callable[[str], None], run: Run, insides: Callable[..., list[str]]) -> None:
    groups_suite("""
    import torch
    from pytest_lime import fidelity

    TWO = {"first": pictures(3), "second": pictures(3)}

    @pytest.mark.parametrize(
        ("groups", "statistic", "options"),
        [
            ([pictures(3)], HOLDS, {}),
            ({"one": pictures(3)}, HOLDS, {}),
            ({"one": pictures(3), "none": []}, HOLDS, {}),
            ({"one": pictures(3), "path": "cat.png"}, HOLDS, {}),
            (TWO, mass, {}),
            (TWO, HOLDS, {"margin": -1}),
            (TWO, HOLDS, {"sample": 5}),
            (TWO, HOLDS, {"paired": True, "source": id}),
            (TWO, lambda image: None, {"margin": 0.9}),
            (TWO, HOLDS, {"source": lambda image: [], "margin": 0.9}),
            (TWO, HOLDS, {"rate": "no"}),
            (TWO, HOLDS, {"paired": None}),
            (TWO, HOLDS, {"source": lambda image: torch.ones(2), "margin": 0.9}),
            ({"one": pictures(3), "two": [IMAGE, IMAGE]}, HOLDS, {}),
            ({"one": ["a.png", "b.png"], "two": ["c.png", "./a.png"]}, HOLDS, {}),
            (TWO, predicted(at_least=0.5), {}),
            (TWO, fidelity(r2=0.5), {}),
            (TWO, lambda image: fidelity(r2=0.5), {}),
        ],
    )
    def test_it(lime, groups, statistic, options):
        lime.compare_groups(groups, "cat", statistic, **{"margin": 0.9, **options})

    def test_a_misspelt_class(lime):
        lime.compare_groups({name: [f"{name}.png"] for name in "ab"}, "cst", HOLDS, margin=0.001)

    def test_kinds_that_can_be_counted(lime):
        lime.compare_groups(TWO, "cat", predicted(at_least=0.5), margin=0.9, rate=True)
        lime.compare_groups(TWO, "cat", predicted(at_least=0.5, rank=None), margin=0.9)
    """)
    result = run("--lime-inconclusive=pass")
    result.assert_outcomes(failed=19, passed=1)
    result.stdout.fnmatch_lines(
        [
            "E*OptionError: lime.compare_groups: groups=* must map the names of two groups or more *",
            "E*OptionError: lime.compare_groups: groups=* must map the names of two groups or more *",
            "E*OptionError: lime.compare_groups: group 'none'=[[][]] holds no image; *",
            "E*OptionError: lime.compare_groups: group 'path'='cat.png' must be a list of images, *",
            "E*OptionError: lime.compare_groups: mass, which is not called, is no claim; *",
            "E*OptionError: *margin=-1 *",
            "E*OptionError: lime.compare_groups: there is no option 'sample'; *",
            "E*OptionError: lime.compare_groups: paired=True compares images by their place *",
            "E*OptionError: image 1 of 6: lime.compare_groups: <lambda> returned None for *; it must return a claim.",
            "E*OptionError: lime.compare_groups: source returned [[][]] for *",
            "E*OptionError: lime.compare_groups: rate='no' must be True or False.",
            "E*OptionError: lime.compare_groups: paired=None must be True or False.",
            "E*OptionError: lime.compare_groups: source returned tensor(* for *; it must return something that *",
            "E*OptionError: lime.compare_groups: array([[]* is given twice, in group 'two', and would count as two *",
            "E*OptionError: lime.compare_groups: './a.png' is given twice, in the groups 'one' and 'two', and *",
            "E*OptionError: lime.compare_groups: the figure of predicted(at_least=0.5) is now of one kind and *",
            "E*OptionError: lime.compare_groups: the figure of fidelity(* compare how often it holds with rate=True.",
            "E*OptionError: image 1 of 6: lime.compare_groups: the figure of fidelity(*",
            "E*TargetError: the model has no class 'cst' among *; the nearest is 'cat'.",
        ]
    )
    assert insides(result) == []


@bare
def test_figures_that_the_samples_do_not_tell(groups_suite: Callable[[str], None], run: Run) -> None:
    """What is not known is said; a rate counts verdicts, not estimates; numbers of numpy are numbers."""
    groups_suite("""
    class Told(Claim):
        # Known of every image but by no interval, and with a status of its own.
        name = "told"

        def __init__(self, status, interval):
            self.status, self.interval = status, interval

        def judge(self, explanation):
            return Verdict(
                meaning="m", estimate=1.0, interval=self.interval, relation=">=", bound=0.5, status=self.status
            )

    GROUPS = {"first": pictures(12), "second": pictures(12, first=50)}

    def test_rates_are_of_verdicts(lime):
        found = lime.compare_groups(
            GROUPS, "cat", Told("fail", (1, 1)), margin=np.float32(0.9), rate=True, samples=50,
        )
        assert [group.mean for group in found.groups] == [0.0, 0.0]
        assert found.notes == ()

    def test_open_ones_are_counted(lime):
        found = lime.compare_groups(
            GROUPS, "cat", Told("inconclusive", (-10, 10)), margin=0.9, rate=True, max_samples=100,
        )
        assert "whether the claim holds is not known of 24 of 24 images: raise max_samples" in found.notes

    def test_wide_ones_are_counted(lime):
        found = lime.compare_groups(GROUPS, "cat", mass(CORNER, at_least=0.5), margin=0.2, samples=40, spread=0.05)
        (note,) = [note for note in found.notes if "not known" in note]
        assert "to half of the margin, 0.1" in note

    def test_too_few_with_a_number_of_numpy(lime):
        lime.compare_groups(
            {"a": pictures(4), "b": pictures(4, 9)}, "cat", Brightness(), margin=np.float32(0.1), spread=5.0
        )
    """)
    run("--lime-inconclusive=pass").assert_outcomes(passed=4)


PASSES = """
    @pytest.mark.lime(segmenter="grid", segments=16, samples=200, align_to_regions=False)
    @pytest.mark.parametrize("statistic", [{statistic}])
    def test_it(lime, statistic):
        groups = {{"first": pictures(3), "second": pictures(3, first=50)}}
        lime.compare_groups(groups, "cat", statistic, margin=0.9)
    """


@bare
@pytest.mark.parametrize(
    ("statistic", "besides"),
    [
        ("mass(CORNER, at_least=0.5)", 0),
        ("Brightness()", 0),
        # Each superpixel hidden once.
        ("agrees_with('occlusion', at_least=0.5)", 16),
        # With and without the region, under two fills.
        ("necessity(CORNER, at_most=0.5)", 4),
    ],
)
def test_only_the_passes_that_the_statistic_needs_are_made(
    statistic: str, besides: int, groups_suite: Callable[[str], None], run: Run, sizes: Callable[[], list[int]]
) -> None:
    groups_suite(
        """
    from pytest_lime import agrees_with, necessity
    """
        + PASSES.format(statistic=statistic)
    )
    run("--lime-inconclusive=pass", "--lime-no-cache").assert_outcomes(passed=1)
    # The image first, once more beside others, and its samples.
    assert sum(sizes()) == 6 * (2 + 200 + besides)


JUDGED = """
    OPTIONS = {"samples": 50, "margin": 0.1, "spread": 0.05}

    def test_differ(lime):
        lime.check(IMAGE, "bird", predicted(), samples=50)
        lime.compare_groups({"plain": pictures(6), "bright": pictures(6, bright=55)}, "cat", Brightness(), **OPTIONS)

    def test_alike(lime):
        lime.compare_groups({"a": pictures(6), "b": pictures(6, first=50)}, None, Brightness(), **OPTIONS)

    def test_few(lime):
        lime.compare_groups({"first": pictures(3), "second": pictures(4)}, 0, mass(CORNER, at_most=0.5), margin=0.05)

    @pytest.mark.xfail(reason="known")
    def test_expected(lime):
        lime.compare_groups({"plain": pictures(6), "bright": pictures(6, bright=55)}, "cat", Brightness(), **OPTIONS)
    """


def test_every_comparison_has_a_record_and_a_card(
    groups_suite: Callable[[str], None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    groups_suite(JUDGED)
    result = run("--junitxml=junit.xml")
    result.assert_outcomes(failed=1, passed=2, xfailed=1, warnings=1)
    result.stdout.fnmatch_lines_random(
        [
            "FAIL  * cat  * brightness differs by more than 0.1 among 2 groups: 'plain' - 'bright' is -0.216, *"
            " test_it.py::test_differ",
            "INCONCLUSIVE *class 0 * it stays open whether mass is alike in the groups: too few units in *",
            "EXPECTED FAILURE  cat * brightness differs by more than 0.1 *",
            "1 check and 4 comparisons: 1 failed, 1 inconclusive, 1 failed as expected, 2 passed; *",
            "E*  report: lime-report/index.html#test-differ-*",
        ]
    )
    records = report()
    assert {name: (one["kind"], one["status"], one["outcome"]) for name, one in records.items()} == {
        "test_differ#0": ("check", "pass", "failed"),
        "test_differ#1": ("comparison", "fail", "failed"),
        "test_alike#0": ("comparison", "pass", "passed"),
        "test_few#0": ("comparison", "inconclusive", "passed"),
        "test_expected#0": ("comparison", "fail", "xfailed"),
    }
    differ, few = (records[name]["comparison"] for name in ("test_differ#1", "test_few#0"))
    assert [(group["name"], group["count"], group["units"][0]) for group in differ["groups"]] == [
        ("plain", 6, "array 1"),
        ("bright", 6, "array 7"),
    ]
    assert differ["unit"] == "image"
    assert [pair["status"] for pair in differ["differences"]] == ["fail"]
    assert [(group["name"], group["count"], group["mean"]) for group in few["groups"]] == [
        ("first", 3, None),
        ("second", 4, None),
    ]
    assert records["test_few#0"]["explanation"]["passes"] == 0
    assert records["test_differ#1"]["explanation"]["images"] == 12
    assert records["test_alike#0"]["target"] == {"index": None, "label": None}
    assert records["test_differ#1"]["target"] == {"index": 0, "label": "cat"}
    result.stdout.fnmatch_lines([f"E*#{records['test_differ#1']['id']}"])
    found = {}
    for case in ElementTree.parse(pytester.path / "junit.xml").getroot().iter("testcase"):
        found[case.attrib["name"]] = {one.attrib["name"]: one.attrib["value"] for one in case.iter("property")}
    assert {name: (one["lime"], one["lime.checks"]) for name, one in found.items()} == {
        "test_differ": ("fail", "2"),
        "test_alike": ("pass", "1"),
        "test_few": ("inconclusive", "1"),
        "test_expected": ("expected", "1"),
    }
    assert found["test_differ"]["lime.check.1"].startswith("fail: cat: brightness differs by more than 0.1 among 2 ")
    assert found["test_alike"]["lime.check.0"].startswith("pass: the predicted class: brightness is alike in 2 groups")
    assert found["test_few"]["lime.samples"] == "0"


@bare
def test_a_run_whose_comparisons_pass_writes_no_report(
    groups_suite: Callable[[str], None], run: Run, pytester: pytest.Pytester
) -> None:
    groups_suite(JUDGED)
    result = run("-k", "alike")
    result.stdout.fnmatch_lines(["1 comparison: 1 passed; *"])
    assert not (pytester.path / "lime-report").exists()


def test_attempts_are_kept_apart(groups_suite: Callable[[str], None], run: Run, report: Report) -> None:
    pytest.importorskip("pytest_rerunfailures")
    groups_suite("""
    from pathlib import Path

    def test_it(lime):
        path = Path(__file__).with_name("count.txt")
        attempt = int(path.read_text()) + 1 if path.exists() else 1
        path.write_text(str(attempt))
        lime.compare_groups(
            {"plain": pictures(6), "bright": pictures(6, bright=55 if attempt < 3 else 50)}, "cat", Brightness(),
            margin=0.1, spread=0.05, samples=50,
        )
    """)
    result = run("--reruns=2")
    result.stdout.fnmatch_lines(["1 comparison: 1 failed; *"])
    records = report()
    assert list(records) == ["test_it#0"]
    (difference,) = records["test_it#0"]["comparison"]["differences"]
    assert abs(difference["estimate"] + 50 / 255) < 1e-6


@bare
def test_sources_and_pairs_are_the_units_of_a_record(
    groups_suite: Callable[[str], None], run: Run, report: Report
) -> None:
    groups_suite("""
    def test_sources(lime):
        first, second = pictures(4), pictures(4, first=50)
        patients = {id(image): f"patient {place // 2}" for place, image in enumerate([*first, *second])}
        lime.compare_groups(
            {"first": first, "second": second}, "cat", lambda image: Brightness(), margin=0.9, spread=0.05,
            source=lambda image: patients[id(image)], samples=50,
        )

    def test_pairs(lime):
        lime.compare_groups(
            {"plain": pictures(6), "bright": pictures(6, bright=5)}, "cat", Brightness(), margin=0.1, spread=0.05,
            paired=True, samples=50,
        )
    """)
    run("--lime-report=lime-report")
    sources, pairs = (record["comparison"] for record in report().values())
    assert (sources["unit"], sources["groups"][1]["units"]) == ("source", ["patient 2", "patient 3"])
    assert (sources["statistic"], sources["text"]) == ("the figure", "")
    assert (pairs["unit"], pairs["paired"], pairs["groups"][0]["units"][:2]) == ("pair", True, ["array 1", "array 2"])


@bare
def test_the_command_lists_comparisons(
    groups_suite: Callable[[str], None], run: Run, pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    from pytest_lime.cli import main  # noqa: PLC0415  (heavy enough for the tests that use it)

    groups_suite(JUDGED)
    run("-k", "differ or few")
    capsys.readouterr()
    assert main(["show", str(pytester.path / "lime-report")]) == 0
    shown = capsys.readouterr().out
    assert "FAIL  cat: brightness differs by more than 0.1" in shown
    assert "1 check and 2 comparisons: 1 failed, 1 inconclusive, 1 passed" in shown
