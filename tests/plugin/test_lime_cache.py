"""--lime-cache and --lime-no-cache: superpixels and samples that are kept from run to run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., pytest.RunResult]
Report = Callable[..., dict[str, dict[str, Any]]]
CHECK = """
    def test_it(lime):
        lime.check(IMAGE, "cat", predicted(rank=3), samples=100, segments=16)
    """
PARAMETRISED = """
    @pytest.mark.parametrize("seed", [0, 1, 2, 3])
    def test_it(lime, seed):
        image = np.random.default_rng(seed).integers(0, 255, (32, 32, 3)).astype("uint8")
        lime.check(image, "cat", predicted(rank=3), samples=100, segments=16)
    """
# Its weights are in a file, which a run reads.
NETWORK = """
    import pytest
    import torch
    from pathlib import Path
    from pytest_lime import TorchModel

    @pytest.fixture(scope="session")
    def lime_model():
        scale = float(Path(__file__).with_name("scale.txt").read_text())
        linear = torch.nn.Linear(3072, 3)
        with torch.no_grad():
            linear.weight.copy_(torch.linspace(-scale, scale, 9216).sin().reshape(3, 3072))
            linear.bias.zero_()
        net = torch.nn.Sequential(torch.nn.Flatten(), linear)
        return TorchModel(net, size=(32, 32), labels=("cat", "dog", "bird"))
    """
bare = pytest.mark.parametrize("mode", ["bare"])


def passes(result: pytest.RunResult) -> int:
    """Return how many images the model has seen, as the summary tells it."""
    (line,) = [line for line in result.outlines if " forward passes in " in line]
    return int(line.partition("; ")[2].partition(" ")[0].replace(",", ""))


@pytest.fixture
def run(run: Run) -> Run:
    """Run pytest, and keep the records of checks that pass, from which `due` tells how many passes there were to be."""
    return lambda *arguments: run("--lime-report-all", *arguments)


def due(report: Report, regions: int = 0) -> int:
    """Return how many passes the checks of the last run, each of 100 samples, take where nothing is kept.

    Besides the samples each takes one pass a superpixel for occlusion, and four for each of its `regions`.
    """
    return sum(102 + record["explanation"]["superpixels"] + 4 * regions for record in report().values())


def entries(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.entry")}


def kinds(folder: Path) -> set[str]:
    return {name.partition("/")[0] for name in entries(folder)}


@bare
def test_a_second_run_makes_no_pass(
    suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    suite(PARAMETRISED.replace("predicted(rank=3)", "predicted(rank=3), HOLDS"))
    assert passes(run()) == due(report, regions=1)
    kept = pytester.path / ".pytest_cache" / "d" / "lime"
    asked = {"samples", "opinion", "probe"}
    assert {*asked, "superpixels"} <= kinds(kept) <= {*asked, "superpixels", "pace"}
    for kind in asked:
        assert sum(name.startswith(f"{kind}/") for name in entries(kept)) == 4
    result = run()
    result.assert_outcomes(passed=4)
    assert passes(result) == 0


@bare
def test_a_second_run_says_the_same_of_what_took_many_looks(
    suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    suite("""
    GRID = {"segmenter": "grid", "segments": 16}
    NEAR = mass(Box(0, 0, 16, 32), at_least=0.4)
    IMAGES = list(np.random.default_rng(1).integers(0, 255, (24, 32, 32, 3)).astype("uint8"))

    def test_check(lime):
        lime.check(IMAGE, "cat", HOLDS, mass(Box(0, 0, 16, 32), at_most=0.522), **GRID)

    def test_check_all(lime):
        lime.check_all(IMAGES[:6], "cat", NEAR, mostly=0.5, **GRID)

    def test_compare_groups(lime):
        lime.compare_groups({"a": IMAGES[:12], "b": IMAGES[12:]}, "cat", NEAR, margin=0.2, **GRID)
    """)

    def told() -> dict[str, dict[str, Any]]:
        found = report()
        for record in found.values():
            for part in (record, record.get("explanation", {}), record.get("cost", {})):
                for cost in ("seconds", "passes", "batch_size"):
                    part.pop(cost, None)
        return found

    run()
    first = told()
    assert len(first["test_check#0"]["claims"][1]["path"]) > 5
    known = entries(pytester.path / ".pytest_cache")
    assert "decision" in {name.split("/")[-2] for name in known}
    result = run()
    assert passes(result) == 0
    assert told() == first
    assert entries(pytester.path / ".pytest_cache") == known


@bare
def test_a_second_run_of_a_set_sees_the_same_images(
    suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    # The first image decides the set, but takes so many looks that all others are there before it is decided.
    suite("""
    SLOW = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    IMAGES = list(np.random.default_rng(1).integers(0, 255, (8, 32, 32, 3)).astype("uint8"))

    def claim(image):
        return mass(Box(0, 0, 16, 32), at_least=0.414 if image is SLOW else 0.001)

    def test_set(lime):
        lime.check_all([SLOW, *IMAGES], "cat", claim, segmenter="grid", segments=16)
    """)
    messages = []
    for _ in range(2):
        result = run()
        messages.append([line for line in result.outlines if line.startswith("E ")])
        assert len(report()) == 9
    assert messages[0] == messages[1] != []
    assert passes(result) == 0


@bare
@pytest.mark.parametrize("many", [False, True])
def test_images_that_a_set_does_not_wait_for_are_not_begun_again(
    suite: Callable[..., None], run: Run, report: Report, sizes: Callable[[], list[int]], many: bool
) -> None:
    # The slow ones, the first of all among them, are not decided by the time that the others have decided the set.
    suite(f"""
    IMAGES = list(np.random.default_rng(1).integers(0, 255, (12, 32, 32, 3)).astype("uint8"))
    for place in (0, 1, 2, 5):
        IMAGES[place] = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        IMAGES[place][place, 31] ^= 1

    def claim(image):
        slow = any(image is IMAGES[place] for place in (0, 1, 2, 5))
        return mass(Box(0, 0, 16, 32), at_least=0.414 if slow else 0.001)

    def test_set(lime):
        lime.check_all(IMAGES, 0, claim, mostly=0.66, segmenter="grid", segments={144 if many else 16})
    """)
    run().assert_outcomes(passed=1)
    first = report()
    assert len(first) == 8
    # Of what takes long only the first looks were paid for.
    needed = sum(record["explanation"]["samples"] for record in first.values())
    assert needed < sum(sizes()) < 3 * needed
    run().assert_outcomes(passed=1)
    assert sizes() == []
    assert {name: record["image"] for name, record in report().items()} == {
        name: record["image"] for name, record in first.items()
    }


@pytest.mark.parametrize("mode", ["-n2"])
def test_workers_share_what_is_kept(
    suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    suite(PARAMETRISED)
    result = run("--lime-cache=kept")
    result.assert_outcomes(passed=4)
    assert passes(result) == due(report)
    for kind in ("samples", "opinion"):
        assert len([name for name in entries(pytester.path / "kept") if name.startswith(f"{kind}/")]) == 4
    assert not (pytester.path / ".pytest_cache" / "d" / "lime").exists()
    assert passes(run("--lime-cache=kept")) == 0
    # Nothing is left of what was being written.
    assert [path for path in (pytester.path / "kept").rglob("*") if ".tmp" in path.name] == []


@bare
def test_where_it_is(suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester) -> None:
    suite(CHECK)
    pytester.makeini("[pytest]\nlime_cache = of_ini\n")
    run().assert_outcomes(passed=1)
    assert kinds(pytester.path / "of_ini") >= {"samples", "superpixels", "opinion"}
    # The command line is stronger.
    assert passes(run("--lime-cache", "given")) == due(report)
    assert kinds(pytester.path / "given") >= {"samples", "superpixels", "opinion"}
    assert passes(run()) == 0
    # The ini file's folder, wherever the run starts.
    inner = pytester.mkdir("inner")
    (inner / "test_inner.py").write_text((pytester.path / "test_it.py").read_text())
    os.chdir(inner)
    assert passes(run("test_inner.py")) == 0
    assert not (inner / "of_ini").exists()
    # Not something to be committed.
    assert (pytester.path / "of_ini" / ".gitignore").read_text().endswith("*\n")


@bare
def test_no_cache(suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester) -> None:
    suite(CHECK)
    pytester.makeini("[pytest]\nlime_cache = of_ini\n")
    for _ in range(2):
        assert passes(run("--lime-no-cache")) == due(report)
    assert not (pytester.path / "of_ini").exists()
    # It is neither read.
    run()
    assert passes(run("--lime-no-cache")) == due(report)


@bare
def test_without_the_cache_of_pytest(
    suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    suite(CHECK)
    for _ in range(2):
        assert passes(run("-p", "no:cacheprovider")) == due(report)
    assert not (pytester.path / ".pytest_cache").exists()
    # A folder of one's own needs none.
    run("-p", "no:cacheprovider", "--lime-cache=kept")
    assert passes(run("-p", "no:cacheprovider", "--lime-cache=kept")) == 0


@bare
def test_clearing_the_cache_of_pytest_clears_it(suite: Callable[..., None], run: Run, report: Report) -> None:
    suite(CHECK)
    assert passes(run()) == due(report)
    assert passes(run("--cache-clear")) == due(report)
    assert passes(run()) == 0
    run("--lime-cache=kept")
    assert passes(run("--cache-clear", "--lime-cache=kept")) == 0


@bare
def test_a_changed_model_is_asked_again(
    suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    suite(CHECK)
    pytester.makeconftest(NETWORK)
    for scale, asked in ((1.0, True), (1.0, False), (2.0, True), (1.0, False), (2.0, False)):
        (pytester.path / "scale.txt").write_text(str(scale))
        assert passes(run()) == asked * due(report)


@bare
def test_changed_code_of_a_model_is_asked_again(
    suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    suite(CHECK)
    model = NETWORK.replace("import TorchModel\n", "import TorchModel\n{code}").replace(
        "torch.nn.Sequential(torch.nn.Flatten(), linear)", "torch.nn.Sequential(torch.nn.Flatten(), linear, Scaled())"
    )
    scaled = """
    class Scaled(torch.nn.Module):
        def forward(self, batch):
            return batch {change}
"""
    (pytester.path / "scale.txt").write_text("1")
    for change, asked in (("", True), ("", False), ("* 0.5", True), ("* 0.5", False)):
        pytester.makeconftest(model.replace("{code}", scaled.replace("{change}", change)))
        assert passes(run()) == asked * due(report)


@bare
def test_a_model_of_the_users_own_class_is_asked_each_time(
    suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    # What it reads nobody can tell, unless it says so itself.
    suite(CHECK)
    model = """
        import pytest
        from pytest_lime.testing import FakeModel

        class Own(FakeModel):
            {fingerprint}

        @pytest.fixture(scope="session")
        def lime_model():
            return Own()
        """
    told = 'fingerprint = "v1"'
    retold = told.replace("1", "2")
    for fingerprint, asked in (("pass", True), ("pass", True), (told, True), (told, False), (retold, True)):
        pytester.makeconftest(model.format(fingerprint=fingerprint))
        assert passes(run()) == asked * due(report)


@bare
def test_what_tests_of_one_run_share(suite: Callable[..., None], run: Run) -> None:
    suite("""
        def test_first(lime):
            lime.check(IMAGE, "cat", predicted(rank=3), samples=100, segments=16)

        def test_more_samples(lime):
            lime.check(IMAGE, "cat", predicted(rank=3), samples=150, segments=16)

        def test_fewer(lime):
            assert lime.check(IMAGE, "cat", predicted(rank=3), samples=60, segments=16).explanation.passes == 0

        def test_another_class(lime):
            # Occlusion, too, is kept of all classes.
            assert lime.check(IMAGE, "dog", predicted(rank=3), samples=100, segments=16).explanation.passes == 0

        def test_another_confidence(lime):
            found = lime.explain(IMAGE, "dog", samples=100, segments=16, confidence=0.9)
            assert found.passes == 0

        def test_the_predicted_class(lime):
            assert lime.explain(IMAGE, samples=100, segments=16).passes == 0

        def test_another_seed(lime):
            assert lime.explain(IMAGE, samples=100, segments=16, seed=1).passes == 102
        """)
    result = run()
    result.assert_outcomes(passed=7)


@bare
def test_a_damaged_entry_is_a_warning(suite: Callable[..., None], run: Run, pytester: pytest.Pytester) -> None:
    suite(CHECK)
    run("--lime-cache=kept")
    for path in (pytester.path / "kept" / "samples").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    result = run("--lime-cache=kept")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*test_it.py:*CacheWarning: the cache entry '*' is damaged; it is made anew."])
    assert passes(result) == 102
    assert passes(run("--lime-cache=kept")) == 0


@pytest.mark.slow
@bare
def test_its_size_is_bounded(suite: Callable[..., None], run: Run, pytester: pytest.Pytester) -> None:
    # An entry of 4,000 samples of three classes has 96 kB, so that ten fit.
    suite(PARAMETRISED.replace("[0, 1, 2, 3]", "range(12)").replace("samples=100", "samples=4000"))
    pytester.makeini("[pytest]\nlime_cache = kept\nlime_cache_size = 1\n")
    run().assert_outcomes(passed=12)
    total = sum(path.stat().st_size for path in (pytester.path / "kept").rglob("*.entry"))
    assert 800_000 < total <= 1_000_000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("--lime-cache=kept", "--lime-no-cache"),
            "--lime-cache and --lime-no-cache say the opposite; give one of them.",
        ),
        (("--lime-cache=",), "--lime-cache: no folder is named; say --lime-cache=DIR."),
        (("--lime-cache=test_it.py",), "--lime-cache=test_it.py: '*test_it.py' is a file; name a folder."),
        (("-o", "lime_cache=test_it.py"), "lime_cache=test_it.py in *: '*test_it.py' is a file; name a folder."),
        (("--lime-cache=" + "x" * 5000,), "--lime-cache=xxx* cannot be used: *"),
    ],
    ids=["both", "empty", "file", "ini", "long"],
)
@bare
def test_usage_errors(
    arguments: tuple[str, ...], words: str, suite: Callable[..., None], run: Run, pytester: pytest.Pytester
) -> None:
    suite(CHECK)
    pytester.makeini("[pytest]\n")
    result = run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {words}"])
    assert len([line for line in result.errlines if line.strip()]) == 1


@pytest.mark.parametrize("size", ["0", "0.5", "-1", "much", "inf", "nan"])
@bare
def test_a_wrong_size_is_a_usage_error(
    size: str, suite: Callable[..., None], run: Run, pytester: pytest.Pytester
) -> None:
    suite(CHECK)
    pytester.makeini(f"[pytest]\nlime_cache_size = {size}\n")
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"ERROR: lime_cache_size='{size}' in *tox.ini must be a number of megabytes, at least 1."]
    )


@bare
def test_a_folder_that_cannot_be_written_to_stops_nothing(
    suite: Callable[..., None], run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite(CHECK)
    from pytest_lime import cache  # noqa: PLC0415  (imports numpy)

    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cache, "write_atomically", refuse)
    result = run("--lime-cache=kept")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*CacheWarning: the cache '*kept' cannot be used (Permission denied); this run *"])


@bare
def test_another_class_of_an_image_takes_no_pass_for_occlusion(
    suite: Callable[..., None], run: Run, sizes: Callable[[], list[int]]
) -> None:
    suite("""
        OPTIONS = {"segmenter": "grid", "segments": 16, "samples": 200}

        def test_one(lime):
            lime.check(IMAGE, "cat", predicted(rank=3), **OPTIONS)

        def test_another(lime):
            check = lime.check(IMAGE, "dog", predicted(rank=3), **OPTIONS)
            assert list(check.explanation.opinions) == ["occlusion"]
        """)
    run("-k", "one").assert_outcomes(passed=1, deselected=1)
    assert sum(sizes()) == 2 + 200 + 16
    # In another process, and after it in the same one.
    run().assert_outcomes(passed=2)
    assert sizes() == []
    run("--cache-clear").assert_outcomes(passed=2)
    assert sum(sizes()) == 2 + 200 + 16
