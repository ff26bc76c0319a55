"""lime.check_all: the same check of many images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., pytest.RunResult]
Report = Callable[..., dict[str, dict[str, Any]]]
SET = """
    from pathlib import Path
    from PIL import Image
    from pytest_lime import Claim, Verdict

    FOLDER = Path(__file__).parent / "pictures"

    def pictures(count):
        FOLDER.mkdir(exist_ok=True)
        for number in range(count):
            pixels = np.random.default_rng(number).integers(0, 255, (32, 32, 3)).astype("uint8")
            path = FOLDER / f"picture{number}.png"
            if not path.exists():
                Image.fromarray(pixels).save(path)
        return sorted(FOLDER.glob("*.png"))[:count]

    class Open(Claim):
        name = "open"

        def judge(self, explanation):
            return Verdict(
                meaning="nobody knows", estimate=0.5, interval=(0.25, 0.75), relation=">=", bound=0.5,
                samples=explanation.samples,
            )

    def by_number(**claims):
        # The claim about the picture of each number.
        return lambda path: claims.get(path.stem, HOLDS)
    """
bare = pytest.mark.parametrize("mode", ["bare"])


@pytest.fixture
def set_suite(suite: Callable[..., None]) -> Callable[[str], None]:
    """Write a test file that begins with `SET` too."""
    return lambda source: suite(SET + source)


def test_one_test_of_many_images(
    set_suite: Callable[[str], None], run: Run, report: Report, insides: Callable[..., list[str]]
) -> None:
    set_suite("""
    def test_passes(lime):
        found = lime.check_all(pictures(3), "cat", HOLDS, predicted(rank=3), samples=200)
        assert (found.status, found.rate, found.count("pass"), found.mostly) == ("pass", 1.0, 3, 1.0)
        assert [image.name for image in found.images] == ["picture0.png", "picture1.png", "picture2.png"]
        assert [verdict.claim for verdict in found.images[0].verdicts] == ["mass", "predicted"]

    def test_fails(lime):
        lime.check_all(pictures(4), "cat", by_number(picture1=FAILS, picture3=FAILS), predicted(rank=3),
                       mostly=0.75, samples=200)
    """)
    result = run("--lime-report-all")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            ">*lime.check_all(pictures(4), *",
            "E*pytest_lime.ClaimFailed: 2 of 4 images hold and 3 must (mostly=0.75): 2 failed.",
            "E*rate 0.5, 0.95 interval for such images 0.0676 … 0.932",
            "E*1 of 2 claims about 'cat' in 'picture1.png' failed",
            "E*FAIL: at least 0.9 of the weight that speaks for 'cat' lies in Box(0, 0, 8, 8)",
            "E*found 0.*, needs at least 0.9; interval * … *",
            "E*1 of 2 claims about 'cat' in 'picture3.png' failed",
            "E*report: lime-report/index.html",
        ]
    )
    assert insides(result) == []
    result.stdout.no_fnmatch_line("E*picture0.png*")
    records = report()
    assert set(records) == {f"test_passes#{n}" for n in range(3)} | {f"test_fails#{n}" for n in range(4)}
    fails = [records[f"test_fails#{number}"] for number in range(4)]
    assert [record["status"] for record in fails] == ["pass", "fail", "pass", "fail"]
    assert [record["image"]["name"] for record in fails] == [f"picture{number}.png" for number in range(4)]
    for place, record in enumerate(fails, start=1):
        shared = {"id": fails[0]["set"]["id"], "name": "test_fails"}
        assert record["set"] == {**shared, "number": place, "of": 4, "mostly": 0.75, "status": "fail"}
    assert {record["set"]["status"] for key, record in records.items() if "passes" in key} == {"pass"}


@bare
def test_the_records_are_in_the_order_of_the_images(set_suite: Callable[[str], None], run: Run, report: Report) -> None:
    # The later an image stands, the sooner it is decided.
    set_suite("""
    class Late(Claim):
        name = "late"

        def __init__(self, samples):
            self.samples = samples

        def judge(self, explanation):
            done = explanation.samples >= self.samples
            return Verdict(
                meaning="there are enough samples", estimate=1.0, interval=(1.0 if done else 0.0, 1.0),
                relation=">=", bound=1.0, samples=explanation.samples,
            )

    def test_order(lime):
        found = lime.check_all(pictures(5), "cat", lambda path: Late(600 - 100 * int(path.stem[-1])))
        assert [image.name for image in found.images] == [f"picture{number}.png" for number in range(5)]
        raise AssertionError
    """)
    run("--lime-report-all").assert_outcomes(failed=1)
    records = list(report().values())
    assert [record["set"]["number"] for record in records] == [1, 2, 3, 4, 5]
    assert [record["image"]["name"] for record in records] == [f"picture{number}.png" for number in range(5)]
    samples = [record["explanation"]["samples"] for record in records]
    assert samples == sorted(samples, reverse=True)
    assert len(set(samples)) > 2


@bare
def test_mostly(set_suite: Callable[[str], None], run: Run, report: Report) -> None:
    set_suite("""
    def test_enough(lime):
        found = lime.check_all(pictures(4), "cat", by_number(picture1=FAILS), mostly=0.75, samples=200)
        assert (found.status, found.needed, found.count("fail"), len(found.images)) == ("pass", 3, 1, 4)

    def test_too_few(lime):
        lime.check_all(pictures(4), "cat", by_number(picture1=FAILS, picture2=FAILS), mostly=0.75, samples=200)

    def test_no_share(lime):
        lime.check_all(pictures(1), "cat", HOLDS, mostly=75)
    """)
    result = run()
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        [
            "E*ClaimFailed: 1 of 4 images hold and 3 must (mostly=0.75): 2 failed, 1 not looked at, since *",
            "E*rate 0.333, of these images 0.25 … 0.5",
            "E*OptionError: lime.check_all: mostly=75 must be a share in (0, 1], such as 0.95.",
        ]
    )
    records = report()
    # The image that failed, in a set that passed.
    allowed = records["test_enough#1"]
    assert (allowed["status"], allowed["set"]["status"], allowed["outcome"]) == ("fail", "pass", "passed")
    assert allowed["reason"] == "3 of 4 images hold and 3 must (mostly=0.75): 1 failed"


@bare
@pytest.mark.parametrize(
    ("how", "outcome"), [("fail", {"failed": 2}), ("warn", {"passed": 2, "warnings": 1}), ("pass", {"passed": 2})]
)
def test_what_stays_open(
    how: str, outcome: dict[str, int], set_suite: Callable[[str], None], run: Run, report: Report
) -> None:
    set_suite("""
    def test_open(lime):
        lime.check_all(pictures(3), "cat", by_number(picture1=Open()), samples=200)

    def test_enough_without_it(lime, request):
        found = lime.check_all(pictures(3), "cat", by_number(picture1=Open()), mostly=0.6, samples=200)
        assert (found.status, found.count("inconclusive")) == ("pass", 1)
        assert request.config.getoption("lime_inconclusive") != "fail"
    """)
    result = run(f"--lime-inconclusive={how}")
    result.assert_outcomes(**outcome)
    if how == "fail":
        result.stdout.fnmatch_lines(
            ["E*ClaimFailed: 2 of 3 images hold and all must: 1 inconclusive.", "E*INCONCLUSIVE: nobody knows"]
        )
    if how == "warn":
        result.stdout.fnmatch_lines(
            [
                "*test_it.py:*: InconclusiveWarning: 2 of 3 images hold and all must: 1 inconclusive: picture1.png; "
                "raise max_samples *"
            ]
        )
    assert [record["status"] for record in report().values()].count("inconclusive") == 2


@bare
def test_one_failure_more_than_the_open_ones_can_mend(set_suite: Callable[[str], None], run: Run) -> None:
    set_suite("""
    def test_it(lime):
        lime.check_all(pictures(3), "cat", by_number(picture0=Open(), picture2=FAILS), samples=200)
    """)
    result = run()
    result.assert_outcomes(failed=1)
    # The gravest first.
    result.stdout.fnmatch_lines(
        [
            "E*1 of 3 images hold and all must: 1 failed, 1 inconclusive.",
            "E*'picture2.png' failed",
            "E*'picture0.png' *",
        ]
    )


@bare
def test_wrong_arguments(
    set_suite: Callable[[str], None], run: Run, report: Report, insides: Callable[..., list[str]]
) -> None:
    set_suite("""
    def test_unreadable(lime):
        paths = pictures(3)
        broken = FOLDER.parent / "broken.png"
        broken.write_text("no picture")
        lime.check_all([*paths, broken], "cat", HOLDS, samples=200)

    def test_missing(lime):
        lime.check_all([FOLDER / "nowhere.png", *pictures(1)], "cat", HOLDS, samples=200)

    def test_empty(lime):
        lime.check_all([], "cat", HOLDS)

    def test_one_path(lime):
        lime.check_all(pictures(1)[0], "cat", HOLDS)

    def test_one_name(lime):
        lime.check_all("picture.png", "cat", HOLDS)

    def test_one_array(lime):
        lime.check_all(IMAGE, "cat", HOLDS)

    def test_mapping(lime):
        lime.check_all(dict.fromkeys(pictures(2)), "cat", HOLDS)

    def test_set(lime):
        lime.check_all({*pictures(2)}, "cat", HOLDS)

    def test_no_claim(lime):
        lime.check_all(pictures(1), "cat")

    def test_uncalled(lime):
        lime.check_all(pictures(1), "cat", mass)

    def test_function_that_returns_none(lime):
        lime.check_all(pictures(1), "cat", lambda path: None)

    def test_no_such_class(lime):
        lime.check_all(pictures(1), "catt", HOLDS)

    def test_several_classes(lime):
        lime.check_all(pictures(1), ["cat", "dog"], HOLDS)

    def test_no_such_option(lime):
        lime.check_all(pictures(1), "cat", HOLDS, sample=5)
    """)
    result = run()
    result.assert_outcomes(failed=14)
    result.stdout.fnmatch_lines(
        [
            "E*ImageError: image 4 of 4: *broken.png*",
            "E*ImageError: image 1 of 2: *nowhere.png*does not exist*",
            "E*OptionError: lime.check_all: images=[[][]] holds no image; look whether *",
            "E*OptionError: lime.check_all: images=*Path(*must be a list of *; lime.check takes one.",
            "E*OptionError: lime.check_all: images='picture.png' must be a list of images, *",
            *["E*OptionError: lime.check_all: images=* must be a list of images, *"] * 3,
            "E*OptionError: lime.check_all: no claim is given; *",
            "E*OptionError: lime.check_all: mass, which is not called, is no claim; after images and target *",
            "E*OptionError: image 1 of 1: lime.check_all: <lambda> returned None for *; it must return a claim.",
            "E*TargetError: image 1 of 1: *no class 'catt'*",
            "E*OptionError: lime.check_all: target=[[]'cat', 'dog'] must be one class; make one check for each.",
            "E*OptionError: lime.check_all: there is no option 'sample'; the nearest is 'samples'*",
        ]
    )
    assert insides(result) == []


@bare
def test_an_error_of_the_users_own_function_is_shown_where_it_is(set_suite: Callable[[str], None], run: Run) -> None:
    set_suite("""
    def claim_about(path):
        return path.nothing

    def test_raises(lime):
        lime.check_all(pictures(3), "cat", claim_about, samples=200)
    """)
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">*return path.nothing",
            "E*AttributeError: *nothing*",
            "E*pytest-lime: raised for image 1 of 3, *, before the model saw it",
        ]
    )


CLAIMS = """
    from pytest_lime import Trial, contrast

    class Refusing(Claim):
        def judge(self, explanation):
            raise KeyError("mine")

    class Wordless(Trial):
        def conduct(self, lab):
            return None

    def third(claim):
        return lambda path: claim if path.stem == "picture2" else Open()
    """


@bare
def test_an_error_of_a_claim_names_the_image(
    set_suite: Callable[[str], None], run: Run, insides: Callable[..., list[str]]
) -> None:
    set_suite(
        CLAIMS
        + """
    def test_contrast_with_the_predicted_class(lime):
        predicted = lime.explain(pictures(3)[2], None, samples=50).labels[0]
        lime.check_all(pictures(3), None, third(contrast(CORNER, predicted)), samples=200)

    def test_what_is_no_verdict(lime):
        lime.check_all(pictures(3), "cat", third(Wordless()), samples=200)

    def test_one_image_needs_no_number(lime):
        lime.check(IMAGE, "bird", contrast(CORNER, "bird"), samples=200)
    """
    )
    result = run()
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(
        [
            "E*TargetError: image 3 of 3: a contrast is between two classes, and '*' is one; name another.",
            "E*OptionError: image 3 of 3: Wordless.conduct returned None; it must return a pytest_lime.Verdict.",
            "E*TargetError: a contrast is between two classes, and 'bird' is one; name another.",
        ]
    )
    assert insides(result) == []


@bare
def test_an_error_of_the_users_own_claim_says_for_which_image(set_suite: Callable[[str], None], run: Run) -> None:
    set_suite(
        CLAIMS
        + """
    def test_it(lime):
        lime.check_all(pictures(3), "cat", third(Refusing()), samples=200)
    """
    )
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*KeyError: 'mine'", "E*pytest-lime: raised for image 3 of 3"])


@bare
def test_arrays_are_named_by_their_number(set_suite: Callable[[str], None], run: Run, report: Report) -> None:
    set_suite("""
    def arrays(count):
        return [np.random.default_rng(seed).integers(0, 255, (32, 32, 3)).astype("uint8") for seed in range(count)]

    def test_names(lime):
        found = lime.check_all([*arrays(2), pictures(1)[0], Image.fromarray(IMAGE)], "cat", HOLDS, samples=200)
        names = [image.name for image in found.images]
        assert names[:3] == ["array 1", "array 2", "picture0.png"]
        assert names[3].endswith(" 4")

    def test_fails(lime):
        lime.check_all(arrays(3), "cat", HOLDS, FAILS, samples=200, mostly=0.5)

    def test_is_wrong(lime):
        lime.check_all([*arrays(1), np.zeros((3, 3, 7)), *arrays(1)], "cat", HOLDS, samples=200)
    """)
    result = run()
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        ["E*1 of 2 claims about 'cat' in 'array 1' failed", "E*1 of 2 claims about 'cat' in 'array 2' failed"]
    )
    result.stdout.fnmatch_lines(["E*ImageError: image 2 of 3: *"])
    names = [record["image"]["name"] for key, record in report().items() if "fails" in key]
    # With the second the set has failed.
    assert names == ["array 1", "array 2"]


@bare
def test_images_that_change_nothing_are_not_looked_at(
    set_suite: Callable[[str], None], run: Run, report: Report
) -> None:
    set_suite("""
    def test_enough(lime):
        found = lime.check_all(pictures(6), "cat", HOLDS, mostly=0.5, samples=200)
        assert (found.status, found.total, len(found.images)) == ("pass", 6, 3)
        assert found.interval == (0.5, 1.0)
        assert "3 not looked at" in found.headline

    def test_all(lime):
        found = lime.check_all(pictures(6), "cat", HOLDS, samples=200)
        low, high = found.interval
        assert len(found.images) == 6
        assert (round(low, 3), high) == (0.541, 1.0)
    """)
    run("--lime-report-all").assert_outcomes(passed=2)
    statuses = [record["set"]["status"] for record in report().values()]
    assert statuses == ["pass"] * 9


@bare
def test_verdicts_that_are_kept_hold_no_regions(set_suite: Callable[[str], None], run: Run, report: Report) -> None:
    set_suite("""
    def test_it(lime):
        found = lime.check_all(pictures(3), "cat", mass(CORNER, at_most=0.9), samples=200)
        assert [image.verdicts[0].regions for image in found.images] == [()] * 3
        alone = lime.check(pictures(1)[0], "cat", mass(CORNER, at_most=0.9), samples=200)
        assert alone.verdicts[0].regions == (CORNER,)
    """)
    run("--lime-report-all").assert_outcomes(passed=1)


@bare
def test_a_set_that_ends_early_has_a_status(set_suite: Callable[[str], None], run: Run, report: Report) -> None:
    set_suite("""
    def test_it(lime):
        broken = FOLDER.parent / "broken.png"
        broken.write_text("no picture")
        lime.check_all([*pictures(5), broken], "cat", HOLDS, samples=200)
    """)
    run("--lime-report-all").assert_outcomes(failed=1)
    # Of the images that were through by then: how the set ends nobody knows.
    statuses = [record["set"]["status"] for record in report().values()]
    assert statuses == ["inconclusive"] * len(statuses)


@bare
@pytest.mark.parametrize("images", [2, 7])
def test_batches_are_shared_across_images(
    images: int, set_suite: Callable[[str], None], run: Run, report: Report, sizes: Callable[[], list[int]]
) -> None:
    set_suite(f"""
    def test_set(lime):
        lime.check_all(pictures({images}), "cat", HOLDS, samples=100, segments=16, batch_size=64)

    @pytest.mark.parametrize("path", pictures({images}), ids=lambda path: path.stem)
    def test_alone(lime, path):
        lime.check(path, "cat", HOLDS, samples=100, segments=16, batch_size=64)
    """)
    run("-k", "test_set", "--lime-report-all").assert_outcomes(passed=1)
    found = sizes()
    # Each image, its samples, and the image again; one pass a superpixel for occlusion, and its region hidden and
    # alone under two fills.
    superpixels = [record["explanation"]["superpixels"] for record in report().values()]
    assert sum(found) == (102 + 4) * images + sum(superpixels)
    assert max(found) == 64
    # Rounds are of three images at most, and the last batch of the last round alone need not be full.
    assert sum(size < 64 for size in found) <= -(-images // 3)
    run("-k", "test_alone", "--lime-report-all", "--lime-no-cache").assert_outcomes(passed=images)
    alone = {key: record["weights"] for key, record in report().items()}
    run("-k", "test_set", "--lime-report-all", "--lime-no-cache").assert_outcomes(passed=1)
    for number, together in enumerate(report().values()):
        weights = alone[f"test_alone[picture{number}]#0"]
        for one, other in zip(together["weights"], weights, strict=True):
            assert one["weight"] == pytest.approx(other["weight"], abs=1e-9)


@bare
def test_targets_are_of_each_image(set_suite: Callable[[str], None], run: Run, report: Report) -> None:
    set_suite("""
    def test_it(lime):
        found = lime.check_all((path for path in pictures(4)), None, predicted(), HOLDS, samples=200)
        assert found.count("pass") == 4
    """)
    run("--lime-report-all").assert_outcomes(passed=1)
    assert len(report()) == 4


@bare
def test_the_report_shows_the_set(set_suite: Callable[[str], None], run: Run, pytester: pytest.Pytester) -> None:
    set_suite("""
    def test_it(lime):
        lime.check_all(pictures(3), "cat", by_number(picture1=FAILS), mostly=0.5, samples=200)
    """)
    result = run("-v")
    result.assert_outcomes(passed=1)
    page = (pytester.path / "lime-report" / "index.html").read_text(encoding="utf-8")
    assert "2 of 3 images hold and 2 must (mostly=0.5)" in page


def test_scores_that_are_no_numbers_name_the_image(suite: Callable[..., None], run: Run) -> None:
    suite("""
    import torch
    from pytest_lime.testing import FakeModel

    class Dazzled(FakeModel):
        def predict(self, batch):
            scores = super().predict(batch)
            scores[(batch.mean(dim=(1, 2, 3)) > 0.9)] = torch.nan
            return scores

    @pytest.fixture(scope="session")
    def lime_model():
        return Dazzled()

    def test_it(lime):
        lime.check_all([IMAGE, IMAGE // 2, IMAGE // 8 + 223], "cat", HOLDS, samples=64)
    """)
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*ModelError: *the model returned NaN or infinity for * of * copies of 'array 3', *"])


@bare
def test_what_the_model_raises_for_a_hidden_region_is_told_of_its_image(
    set_suite: Callable[[str], None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    pytester.makeconftest("""
    import pytest
    from pytest_lime.testing import FakeModel

    class Picky(FakeModel):
        def predict(self, batch):
            # CORNER alone on black, of a picture that is bright in its first pixel.
            alone = (batch[:, :, 8:, 8:].amax(dim=(1, 2, 3)) == 0) & (batch[:, 0, 0, 0] > 0.9)
            if alone.any():
                raise ValueError("no corners")
            return super().predict(batch)

    @pytest.fixture(scope="session")
    def lime_model():
        return Picky()
    """)
    set_suite("""
    def test_it(lime):
        images = [np.full((32, 32, 3), 100, np.uint8) for _ in range(3)]
        images[2][0, 0] = 255
        lime.check_all(images, "cat", mass(CORNER, at_least=0), fill=(0, 0, 0), samples=100)
    """)
    result = run("--lime-report-all")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*ValueError: no corners", "E*pytest-lime: raised for image 3 of 3"])
    # What was decided before is kept.
    assert len(report()) == 2
