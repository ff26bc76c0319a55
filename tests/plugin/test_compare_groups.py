"""lime.compare_groups: what a claim measures, compared between groups of images."""

from __future__ import annotations

from collections.abc import Callable

import pytest

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
        ],
    )
    def test_it(lime, groups, statistic, options):
        lime.compare_groups(groups, "cat", statistic, **{"margin": 0.9, **options})
    """)
    result = run()
    result.assert_outcomes(failed=10)
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
        ]
    )
    assert insides(result) == []


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
