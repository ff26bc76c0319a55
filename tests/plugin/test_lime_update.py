"""--lime-update, --lime-update-new-only and --lime-baselines: stored explanations, and what `unchanged` says."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

Run = Callable[..., pytest.RunResult]
Report = Callable[..., dict[str, dict[str, Any]]]
# A network whose weights a file says, so that another run has another one.
CONFTEST = """
    import pytest
    import torch
    from pathlib import Path
    from pytest_lime import TorchModel

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.look = torch.nn.Parameter(torch.zeros(1, 3, 32, 32))
            with torch.no_grad():
                # Where it looks: rows and columns 0…15, and with "moved" in the file, 16…31.
                word = Path(__file__).with_name("weights.txt").read_text().strip()
                places = {"there": [(0, 1.0)], "little": [(0, 1.02)], "moved": [(16, 1.0)]}[word]
                generator = torch.Generator().manual_seed(0)
                for start, size in places:
                    self.look[:, :, start:start + 16, start:start + 16] = size
                self.look += 0.05 * torch.rand(self.look.shape, generator=generator)

        def forward(self, batch):
            logit = (batch * self.look).mean(dim=(1, 2, 3)) * 16
            return torch.stack([logit, 1 - logit], dim=1)

    @pytest.fixture(scope="session")
    def lime_model():
        return TorchModel(Net(), size=(32, 32), labels=["cat", "dog"], output="logits")
    """
bare = pytest.mark.parametrize("mode", ["bare"])
TEST = """
    from pytest_lime import unchanged

    def test_it(lime):
        lime.check(IMAGE, "cat", unchanged(), samples=64, fill="black", segmenter="grid", segments=16)
    """


@pytest.fixture
def look(pytester: pytest.Pytester, suite: Callable[..., Path]) -> Callable[[str], None]:
    """Say where the network looks, and write a suite with one baseline."""
    pytester.makeconftest(CONFTEST)
    suite(TEST)

    def write(word: str) -> None:
        pytester.path.joinpath("weights.txt").write_text(word)

    write("there")
    return write


@pytest.fixture
def stored(pytester: pytest.Pytester) -> Callable[..., dict[str, bytes]]:
    """Return the files of a folder of baselines, by name."""

    def read(folder: str = "lime-baselines") -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(pytester.path.joinpath(folder).glob("*"))}

    return read


def test_a_missing_baseline_fails_and_is_not_written(
    look: Callable[[str], None], run: Run, stored: Callable[..., dict[str, bytes]], insides: Callable[..., list[str]]
) -> None:
    for _ in range(2):
        result = run()
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            [
                "E*BaselineError: there is no baseline lime-baselines/test-it-array-cat-*.json to compare with: look "
                "at what the model does now, and make it with pytest test_it.py::test_it --lime-update."
            ]
        )
        assert insides(result) == []
        assert stored() == {}


def test_a_retry_does_not_turn_it_green(
    look: Callable[[str], None], run: Run, stored: Callable[..., dict[str, bytes]]
) -> None:
    run("--reruns=2").assert_outcomes(failed=1)
    assert stored() == {}


def test_written_compared_kept(
    look: Callable[[str], None], run: Run, stored: Callable[..., dict[str, bytes]], report: Report
) -> None:
    result = run("--lime-update")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["baseline written: lime-baselines/test-it-array-cat-*.json"])
    files = stored()
    (data, picture) = files
    assert (Path(data).suffix, Path(picture).suffix, Path(data).stem) == (".json", ".png", Path(picture).stem)
    # Nothing but the model decides: not the cache, and not which other samples share a batch.
    result = run("--lime-no-cache", "--lime-report=r")
    result.assert_outcomes(passed=1)
    (record,) = report("r").values()
    (claim,) = record["claims"]
    assert claim["figure"] == "no change at all"
    assert (claim["estimate"], claim["status"], claim["samples"]) == (1.0, "pass", 0)
    (told,) = record["baselines"]
    assert (told["file"], told["action"]) == (f"lime-baselines/{data}", "compared")
    result = run("--lime-update")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["1 baseline needed no update"])
    assert stored() == files


def test_a_change_fails_and_is_told(
    look: Callable[[str], None], run: Run, stored: Callable[..., dict[str, bytes]], report: Report
) -> None:
    run("--lime-update").assert_outcomes(passed=1)
    files = stored()
    look("moved")
    for how in ((), ("--lime-update-new-only",)):
        result = run(*how)
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            [
                "E*FAIL: the model looks at 'array' for 'cat' as it did in its baseline",
                "E*found rank correlation *, needs a rank correlation of at least 0.6",
                "E*note: compared with lime-baselines/*.json; rank correlation *; * entered the top 4; * left the "
                "top 4; largest change * % of the largest weight, of superpixel *; score * → *",
            ]
        )
        assert stored() == files
    result = run("--lime-update")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["baseline updated: lime-baselines/*.json (rank correlation *; * entered *"])
    assert set(stored()) == set(files)
    assert stored() != files
    run().assert_outcomes(passed=1)


@bare
def test_a_small_change_is_told_from_none(look: Callable[[str], None], run: Run, report: Report) -> None:
    run("--lime-update").assert_outcomes(passed=1)
    look("little")
    run("--lime-report=r").assert_outcomes(passed=1)
    (record,) = report("r").values()
    assert record["claims"][0]["figure"].startswith("rank correlation ")
    assert "the top 4 stayed; largest change" in record["claims"][0]["note"]


def test_new_only_writes_what_is_missing(
    look: Callable[[str], None], run: Run, suite: Callable[..., Path], stored: Callable[..., dict[str, bytes]]
) -> None:
    run("--lime-update").assert_outcomes(passed=1)
    files = stored()
    suite(TEST.replace("def test_it", "def test_other"), "test_other.py")
    result = run("--lime-update-new-only")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["baseline written: lime-baselines/test-other-array-cat-*.json"])
    assert files.items() < stored().items()


@bare
def test_both_updates_are_refused(look: Callable[[str], None], run: Run) -> None:
    result = run("--lime-update", "--lime-update-new-only")
    result.stderr.fnmatch_lines(["ERROR: --lime-update replaces baselines*; give one of them."])


@pytest.mark.parametrize("how", ["option", "ini"])
def test_another_folder(
    how: str, look: Callable[[str], None], run: Run, pytester: pytest.Pytester, stored: Callable[..., dict[str, bytes]]
) -> None:
    options = ["--lime-baselines=kept"] if how == "option" else []
    if how == "ini":
        pytester.makeini("[pytest]\nlime_baselines = kept\n")
    run(*options, "--lime-update").assert_outcomes(passed=1)
    assert len(stored("kept")) == 2
    assert stored() == {}
    run(*options).assert_outcomes(passed=1)


@bare
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: text.replace('"weights"', '"weight"'),
        lambda text: text.replace('"count": 16', '"count": 16,\n<<<<<<< ours'),
        lambda text: text.replace("pytest-lime baseline", "other"),
        lambda text: text.replace('"height"', '"tall"'),
        lambda text: text.replace('"box"', '"bix"'),
        lambda text: text.replace('"surrogate"', '"surrogat"'),
    ],
)
def test_a_damaged_baseline(
    change: Callable[[str], str], look: Callable[[str], None], run: Run, pytester: pytest.Pytester
) -> None:
    run("--lime-update").assert_outcomes(passed=1)
    (path,) = pytester.path.glob("lime-baselines/*.json")
    path.write_text(change(path.read_text()))
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*BaselineError: the baseline lime-baselines/*.json is damaged (*): take it from *"])
    run("--lime-update").assert_outcomes(passed=1)
    run().assert_outcomes(passed=1)


@bare
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("IMAGE,", "255 - IMAGE,"), "its pixels are others"),
        (("IMAGE,", "IMAGE[:24],"), "it was 32×32 pixels and is 32×24"),
        (("samples=64", "samples=128"), "samples were 64 and are 128"),
        (('fill="black"', 'fill="blur"'), "fill was [[]0.0, 0.0, 0.0[]] and is 'blur'"),
        (("samples=64", "samples=64, seed=3"), "seed was 0 and is 3"),
    ],
)
def test_a_baseline_of_something_else(
    change: tuple[str, str], words: str, look: Callable[[str], None], run: Run, suite: Callable[..., Path]
) -> None:
    run("--lime-update").assert_outcomes(passed=1)
    suite(TEST.replace(*change))
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"E*BaselineError: the baseline *.json is of something else (*{words}*): undo that,*"])
    result = run("--lime-update")
    result.stdout.fnmatch_lines([f"baseline updated: *.json (it was of something else: *{words}*)"])


@bare
def test_other_superpixels_are_no_change(look: Callable[[str], None], run: Run, suite: Callable[..., Path]) -> None:
    run("--lime-update").assert_outcomes(passed=1)
    suite(TEST.replace("segments=16", "segments=25"))
    result = run("-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["PASS     cat in array  unchanged no change at all, *"])


@bare
def test_another_environment_is_named(look: Callable[[str], None], run: Run, pytester: pytest.Pytester) -> None:
    run("--lime-update").assert_outcomes(passed=1)
    (path,) = pytester.path.glob("lime-baselines/*.json")
    values = json.loads(path.read_text())
    values["environment"]["torch"] = "1.0"
    path.write_text(json.dumps(values))
    look("moved")
    result = run()
    result.stdout.fnmatch_lines(["E*note: *; the baseline was made elsewhere (torch 1.0, now *)"])


@bare
def test_each_test_has_its_own_file(
    look: Callable[[str], None], run: Run, suite: Callable[..., Path], stored: Callable[..., dict[str, bytes]]
) -> None:
    names = ["a[b]", "a]b[", "a b", "con", "ä" * 30, "x" * 300, "y" * 300 + "1", "y" * 300 + "2", "a:b", "a/b", "a?b*"]
    names += ["A", "a"]
    suite(
        f"""
        from pytest_lime import unchanged

        @pytest.mark.parametrize("name", {names!r})
        def test_it(lime, name):
            lime.check(IMAGE, "cat", unchanged(), samples=64, fill="black", segmenter="grid", segments=4)
        """
    )
    run("--lime-update").assert_outcomes(passed=len(names))
    files = stored()
    assert len({name.casefold() for name in files}) == 2 * len(names)
    assert all(len(name) < 80 and name.isascii() and not set('<>:"/\\|?*') & set(name) for name in files)
    run().assert_outcomes(passed=len(names))


@bare
def test_two_images_of_one_name(look: Callable[[str], None], run: Run, suite: Callable[..., Path]) -> None:
    suite(
        """
        from pytest_lime import unchanged

        def test_it(lime):
            for image in (IMAGE, 255 - IMAGE):
                lime.check(image, "cat", unchanged(), samples=64, fill="black", segmenter="grid", segments=4)
        """
    )
    result = run("--lime-update")
    result.stdout.fnmatch_lines(
        ["E*BaselineError: two checks of this test would share *, since two images are called 'array': rename *"]
    )


def test_a_set_has_one_for_each_image(
    look: Callable[[str], None], run: Run, suite: Callable[..., Path], stored: Callable[..., dict[str, bytes]]
) -> None:
    suite(
        """
        from pytest_lime import unchanged

        def test_it(lime):
            images = [IMAGE, 255 - IMAGE, IMAGE // 2]
            lime.check_all(images, "cat", unchanged(), samples=64, fill="black", segmenter="grid", segments=4)
        """
    )
    run("--lime-update").assert_outcomes(passed=1)
    assert len(stored()) == 6
    run().assert_outcomes(passed=1)


@bare
def test_beside_other_claims_and_names_of_ones_own(
    look: Callable[[str], None], run: Run, suite: Callable[..., Path], stored: Callable[..., dict[str, bytes]]
) -> None:
    suite(
        """
        from pytest_lime import unchanged

        def test_it(lime):
            for name in ("one", "two"):
                lime.check(IMAGE, "cat", HOLDS, unchanged(name, score=None), segmenter="grid", segments=16)
        """
    )
    run("--lime-update").assert_outcomes(passed=1)
    assert len(stored()) == 4
    run().assert_outcomes(passed=1)


@bare
@pytest.mark.parametrize(
    ("checks", "words"),
    [
        ("unchanged(), seed=1", "and differ in their options: give one of them a name of its own*"),
        ("unchanged('one'), seed=1", ""),
    ],
)
def test_two_checks_of_one_image(
    checks: str, words: str, look: Callable[[str], None], run: Run, suite: Callable[..., Path]
) -> None:
    suite(TEST + f"\n        lime.check(IMAGE, 'cat', {checks}, samples=64, segmenter='grid', segments=16)\n")
    result = run("--lime-update")
    result.assert_outcomes(failed=1 if words else 0, passed=0 if words else 1)
    if words:
        result.stdout.fnmatch_lines([f"E*BaselineError: two checks of this test would share *.json, {words}"])


@bare
def test_another_predicted_class_is_a_change_and_no_missing_baseline(
    look: Callable[[str], None], run: Run, suite: Callable[..., Path], pytester: pytest.Pytester
) -> None:
    suite(TEST.replace('"cat"', "None"))
    run("--lime-update").assert_outcomes(passed=1)
    run().assert_outcomes(passed=1)
    conftest = CONFTEST.replace("torch.stack([logit, 1 - logit]", "torch.stack([1 - logit, logit]")
    pytester.makeconftest(conftest)
    for how in ((), ("--lime-update-new-only",)):
        result = run(*how)
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["E*BaselineError: *is of something else (the class was 'cat' and is 'dog'*"])


@bare
def test_a_set_that_is_decided_goes_on_for_its_baselines(
    look: Callable[[str], None], run: Run, suite: Callable[..., Path], stored: Callable[..., dict[str, bytes]]
) -> None:
    suite(
        """
        from pytest_lime import unchanged

        def test_it(lime):
            images = [IMAGE, 255 - IMAGE, IMAGE // 2, IMAGE // 3]
            lime.check_all(images, "cat", unchanged(), mostly=0.5, samples=64, segmenter="grid", segments=4)
        """
    )
    run("--lime-update").assert_outcomes(passed=1)
    assert len(stored()) == 8
    result = run()
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("unused baseline*")


@bare
def test_the_command_of_a_missing_one_names_the_folder(look: Callable[[str], None], run: Run) -> None:
    result = run("--lime-baselines=kept")
    result.stdout.fnmatch_lines(["E*make it with pytest test_it.py::test_it --lime-baselines=kept --lime-update."])


class TestUnused:
    """Baselines that no test compares with any more: named on full runs, and never deleted."""

    @pytest.fixture(autouse=True)
    def _two(self, look: Callable[[str], None], run: Run, suite: Callable[..., Path]) -> None:
        suite(TEST + TEST.replace("test_it", "test_gone"))
        suite(TEST.replace("test_it", "test_other"), "sub/test_other.py")
        run("--lime-update").assert_outcomes(passed=3)

    def test_a_full_run_names_them(
        self, run: Run, suite: Callable[..., Path], stored: Callable[..., dict[str, bytes]]
    ) -> None:
        run().stdout.no_fnmatch_line("unused baseline*")
        suite(TEST)
        files = stored()
        result = run()
        result.assert_outcomes(passed=2)
        result.stdout.fnmatch_lines(["unused baseline: lime-baselines/test-gone-array-cat-*.json (no test compares *"])
        result = run("--lime-update")
        result.stdout.fnmatch_lines(["unused baseline: lime-baselines/test-gone-*"])
        assert stored() == files

    def test_what_a_hook_deselects_is_a_partial_run(
        self, run: Run, suite: Callable[..., Path], pytester: pytest.Pytester
    ) -> None:
        hook = """
    def pytest_collection_modifyitems(config, items):
        config.hook.pytest_deselected(items=items[1:])
        del items[1:]
    """
        pytester.makeconftest(CONFTEST + hook)
        suite(TEST)
        run().stdout.no_fnmatch_line("unused baseline*")

    def test_one_of_a_renamed_test(self, run: Run, suite: Callable[..., Path]) -> None:
        suite(TEST.replace("test_it", "test_renamed"))
        result = run()
        result.assert_outcomes(failed=1, passed=1)
        result.stdout.fnmatch_lines(["unused baseline: *test-gone-*", "unused baseline: *test-it-*"])

    def test_all_of_a_file_that_compares_with_none(self, run: Run, suite: Callable[..., Path]) -> None:
        suite("""def test_it(lime):\n    lime.check(IMAGE, "cat", HOLDS, samples=64)\n""")
        run().stdout.fnmatch_lines(["unused baseline: *test-gone-*", "unused baseline: *test-it-*"])

    @bare
    @pytest.mark.parametrize(
        "partial", [["-k", "it"], ["test_it.py::test_it"], ["sub"], ["--deselect=test_it.py::test_it"], ["--lf"]]
    )
    def test_a_partial_one_does_not(self, partial: list[str], run: Run, suite: Callable[..., Path]) -> None:
        suite(TEST)
        run(*partial).stdout.no_fnmatch_line("unused baseline*")

    @bare
    def test_a_file_that_is_gone(self, run: Run, pytester: pytest.Pytester, suite: Callable[..., Path]) -> None:
        pytester.path.joinpath("test_it.py").unlink()
        suite(TEST.replace("test_it", "test_new"), "test_new.py")
        result = run("--lime-update")
        result.stdout.fnmatch_lines(["unused baseline: lime-baselines/test-gone-*", "unused baseline: *test-it-*"])

    def test_one_that_is_skipped_or_fails_keeps_its_own(self, run: Run, suite: Callable[..., Path]) -> None:
        skipped = TEST.replace("def test_it", "@pytest.mark.skip\n    def test_it")
        suite(skipped + TEST.replace("test_it(lime):", "test_gone(lime):\n        assert not IMAGE.size"))
        run().stdout.no_fnmatch_line("unused baseline*")


class TestReference:
    """Two models side by side, without any file."""

    SOURCE = """
        import torch
        from pytest_lime import TorchModel, unchanged

        class Corner(torch.nn.Module):
            def __init__(self, at):
                super().__init__()
                self.at = at

            def forward(self, batch):
                logit = batch[:, :, self.at:self.at + 16, self.at:self.at + 16].mean(dim=(1, 2, 3)) * 4
                return torch.stack([logit, 1 - logit], dim=1)

        def model(at=0):
            return TorchModel(Corner(at), size=(32, 32), labels=["cat", "dog"], output="logits")

        @pytest.fixture(scope="session")
        def lime_model():
            return model()

        @pytest.mark.parametrize("at", [0, 16])
        def test_it(lime, at):
            lime.check(IMAGE, "cat", unchanged(reference=model(at)), fill="black", segmenter="grid", segments=16)

        def test_by_name(lime):
            lime.check(IMAGE, "cat", unchanged(reference="test_it:model"), fill="black", segmenter="grid", segments=16)
        """
    FIXTURES = """
        @pytest.fixture(scope="module")
        def candidate():
            return model(16)

        @pytest.fixture
        def broken():
            return 5

        @pytest.mark.parametrize("name", ["candidate", "lost", "broken", "no name"])
        def test_fixture(lime, name):
            lime.check(IMAGE, "cat", unchanged(reference=name), fill="black", segmenter="grid", segments=16)
        """
    SUITE = """\
version: 1
tests:
  - name: beside
    images: image.png
    target: cat
    expect: [unchanged: {reference: candidate}]
    options: {fill: black, segmenter: grid, segments: 16}
"""

    def test_it(self, run: Run, suite: Callable[..., Path], pytester: pytest.Pytester, report: Report) -> None:
        suite(self.SOURCE)
        pytester.syspathinsert()
        result = run("-rA", "--lime-report=r", "--lime-report-all")
        result.assert_outcomes(passed=2, failed=1)
        found = {record["test"].partition("::")[2]: record["claims"][0] for record in report("r").values()}
        assert found["test_it[0]"]["figure"] == found["test_by_name"]["figure"] == "no change at all"
        assert found["test_it[16]"]["status"] == "fail"

    @bare
    def test_a_fixture_by_its_name(self, run: Run, suite: Callable[..., Path], pytester: pytest.Pytester) -> None:
        suite(self.SOURCE + self.FIXTURES)
        suite(
            "from PIL import Image\nImage.fromarray(IMAGE).save('image.png')\ndef test_nothing(): pass\n", "test_a.py"
        )
        (pytester.path / "test_b.lime.yaml").write_text(self.SUITE)
        pytester.makeconftest("from test_it import candidate, lime_model")
        pytester.syspathinsert()
        result = run("-k", "fixture or nothing or beside")
        result.assert_outcomes(passed=1, failed=5)
        failed = [line for line in result.outlines if line.startswith("E  ")]
        assert sum("looks at" in line and "FAIL: " in line for line in failed) == 2
        assert sum("model 'lost' is no fixture that this test can use" in line for line in failed) == 1
        assert sum("model 'no name' must be of the form module:attribute" in line for line in failed) == 1
        assert any("5" in line and "ModelError" in line for line in failed)

        assert not pytester.path.joinpath("lime-baselines").exists()


# Ends the process, as by kill -9, before or after the so many-th file of the baselines is replaced.
KILLED = """

    import os
    import signal
    from pathlib import Path

    MOMENT, COUNT, DONE = {moment!r}, {count}, []
    REPLACE = Path.replace

    def replace(self, target):
        counted = Path(target).parent.name == "lime-baselines"
        DONE.extend([target] * counted)
        kills = counted and len(DONE) == COUNT
        if kills and MOMENT == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        found = REPLACE(self, target)
        if kills:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    Path.replace = replace
    """


@bare
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the platform has no SIGKILL")
@pytest.mark.parametrize("death", [("after", 1), ("before", 2), ("after", 2)])
def test_an_update_that_is_killed_leaves_whole_baselines(
    look: Callable[[str], None],
    run: Run,
    stored: Callable[..., dict[str, bytes]],
    pytester: pytest.Pytester,
    death: tuple[str, int],
) -> None:
    moment, count = death
    source = pytester.path.joinpath("test_it.py").read_text(encoding="utf-8")
    pytester.path.joinpath("test_two.py").write_text(source, encoding="utf-8")
    run("--lime-update").assert_outcomes(passed=2)
    old = stored()
    look("moved")
    pytester.makeconftest(dedent(CONFTEST) + dedent(KILLED).format(moment=moment, count=count))
    killed = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--lime-update", "-p", "no:cacheprovider"],
        cwd=pytester.path, capture_output=True, check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    left = stored()
    # What was on its way has a name that nothing else looks at.
    assert {name for name in left if not name.startswith(".")} >= old.keys()
    changed = [name for name in old if left[name] != old[name]]
    assert len(changed) == count - (moment == "before")
    pytester.makeconftest(CONFTEST)
    # Of each pair the figures are what counts, and they are the old ones or the new ones.
    renewed = sum(name.endswith(".json") for name in changed)
    run("--lime-no-cache").assert_outcomes(passed=renewed, failed=2 - renewed)
    result = run("--lime-update")
    result.assert_outcomes(passed=2)
    assert "damaged" not in result.stdout.str()
    assert "unused" not in result.stdout.str()


@bare
def test_the_report_shows_what_it_was(look: Callable[[str], None], run: Run, report: Report) -> None:
    run("--lime-update").assert_outcomes(passed=1)
    look("moved")
    run().assert_outcomes(failed=1)
    (record,) = report().values()
    change = record["claims"][0]["change"]
    assert set(record["pictures"]) - {"now"} == {"image", "heatmap", "borders", "top", "thumb", "baseline"}
    assert change["jaccard"] == record["claims"][0]["estimate"] or change["rank_correlation"] < 0.6
    # Superpixels are counted row by row, 4×4 of them: it looked at the first two rows and columns.
    assert set(change["left"]) == {0, 1, 4, 5}
    assert set(change["entered"]) == {10, 11, 14, 15}
    before = change["weights"]
    assert sorted(range(16), key=lambda superpixel: -before[superpixel])[:4] == sorted(
        change["left"], key=lambda superpixel: -before[superpixel]
    )
    assert change["largest"]["before"] == pytest.approx(before[change["largest"]["superpixel"]])
    assert change["against"].startswith("lime-baselines/test-it-array-cat-")
