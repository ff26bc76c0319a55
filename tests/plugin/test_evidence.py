"""What the results of a run hold for whoever has to vouch for it: all of it, and by the published schema."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pytest_lime

Run = Callable[..., pytest.RunResult]
Report = Callable[..., dict[str, dict[str, Any]]]
bare = pytest.mark.parametrize("mode", ["bare"])
SCHEMA = Path(pytest_lime.__file__).parent / "report" / "results.schema.json"
# Every kind of record and of verdict.
ALL = """
    from PIL import Image
    from pytest_lime import faithful, no_reliance, unchanged

    LEFT = Box(0, 0, 16, 32)
    PICTURES = [np.roll(IMAGE, 5 * shift, axis=1) for shift in range(4)]

    def nothing_in_common(image):
        return mass(whole() if image is PICTURES[0] else CORNER, at_least=0.9)

    @pytest.mark.slow
    @pytest.mark.parametrize("label", ["cat"])
    @pytest.mark.lime(samples=300)
    def test_fails(lime, label):
        lime.check(IMAGE, label, FAILS, mass(LEFT, at_least=0.1))

    def test_passes(lime):
        lime.check(IMAGE, "cat", HOLDS, predicted(rank=3), no_reliance(CORNER, at_most=0.9))

    def test_open(lime):
        lime.check(IMAGE, "cat", mass(LEFT, at_least=0.4), samples=40)

    def test_faithful(lime):
        lime.check(IMAGE, "cat", faithful(), samples=1000)

    def test_unchanged(lime):
        lime.check(IMAGE, "cat", unchanged(), HOLDS, samples=300)

    def test_set(lime):
        lime.check_all(PICTURES, "cat", nothing_in_common, samples=300)

    def test_groups(lime):
        lime.compare_groups({"a": PICTURES[:2], "b": PICTURES[2:]}, "cat", mass(LEFT, at_least=0.5),
                            margin=0.9, spread=0.01, samples=300)

    def test_explained(lime):
        explanation = lime.explain(IMAGE, samples=300)
        assert explanation.samples == 0

    @pytest.mark.skip(reason="not today")
    def test_skipped(lime):
        pass

    def test_of_something_else():
        pass
    """
YAML = """
version: 1
tests:
  - name: the whole

    images: pictures/*.png
    target: cat
    marks: [slow]
    expect:
      - mass: {region: whole, at_least: 0.9}
"""
CONFTEST = """
    import pytest
    from pytest_lime.testing import FakeModel

    @pytest.fixture(scope="session")
    def lime_model():
        return FakeModel()
    """
# Timings, what a machine finds best by them, and threads, which workers share.
TIMED = ("seconds", "batch_size", "threads")


@pytest.fixture
def everything(suite: Callable[..., Path], pytester: pytest.Pytester) -> Path:
    pytester.makeini("[pytest]\nmarkers = slow")
    return suite(ALL)


def results_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return found


def complaints(results: dict[str, Any]) -> list[str]:
    """Return what the published schema has against results."""
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is in the extra 'test'")
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(results)]


def untimed(record: dict[str, Any]) -> dict[str, Any]:
    kept = {
        part: {name: value for name, value in record[part].items() if name not in TIMED}
        for part in ("explanation", "arithmetic")
    }
    return {**record, **kept}


def test_everything(everything: Path, run: Run, report: Report, pytester: pytest.Pytester) -> None:
    run("--lime-update-new-only", "-k", "unchanged").assert_outcomes(passed=1)
    run("--deselect", f"{everything.name}::test_of_something_else").assert_outcomes(
        passed=5, failed=3, skipped=1, warnings=1
    )
    records = report()
    results = results_of(pytester.path / "lime-report")
    assert complaints(results) == []
    assert results["run"]["git"] is None
    counts = {"fail": 2, "inconclusive": 1, "expected": 0, "pass": 5, "explanation": 1, "explained": 0}
    left_out = {"rerun": 0, "skipped": 1, "deselected": 1, "unseen": 2, "excluded": 4}
    assert results["counts"] == counts | left_out
    assert any("not judged" in sentence for sentence in results["method"]["does_not_cover"])

    lines = everything.read_text(encoding="utf-8").splitlines()
    for record in records.values():
        assert (record["attempt"], record["model"]) == (
            1,
            {"name": "FakeModel", "sha256": None, "input": [32, 32], "classes": 3},
        )
        assert (record["arithmetic"]["device"], record["arithmetic"]["precision"]) == ("cpu", "float32")
        assert record["called"]["file"] == "test_it.py"
        assert "lime." in lines[record["called"]["line"] - 1]

    fails = records["test_fails[cat]#0"]
    assert fails["marks"] == ["slow"]
    assert "lime.check" in lines[fails["called"]["line"] - 1]
    assert set(fails["pictures"]) == {
        *("image", "heatmap", "borders", "regions", "top", "thumb"),
        *(f"{kind}.{region}.{fill}" for kind in ("without", "alone") for region in (0, 1) for fill in (0, 1)),
    }
    assert len(fails["weights"]) == fails["explanation"]["superpixels"]
    assert {weight["superpixel"] for weight in fails["weights"]} == set(range(len(fails["weights"])))
    runs = [tuple(map(int, one.split(":"))) for one in fails["segments"]["runs"].split(" ")]
    assert fails["segments"]["shape"] == [32, 32]
    assert sum(length for _, length in runs) == 32 * 32
    assert {label for label, _ in runs} == set(range(len(fails["weights"])))
    assert fails["claims"][0]["path"][-1][0] == fails["explanation"]["samples"] == 300

    passes = records["test_passes#0"]
    assert passes["pictures"] == {}
    assert "segments" not in passes
    assert len(passes["weights"]) <= 16 + 4
    mass, predicted, reliance = passes["claims"]
    assert mass["path"][-1][0] == passes["explanation"]["samples"]
    assert mass["path"][-1][1] == pytest.approx(mass["estimate"], rel=1e-5)
    assert "path" not in predicted
    assert [point[0] for point in reliance["path"]][-1] == reliance["samples"]

    curves = records["test_faithful#0"]["claims"][0]["curves"]
    assert (curves["shares"][0], curves["shares"][-1]) == (0, 1)
    assert {len(values) for values in curves.values()} == {len(curves["shares"])}
    assert curves["insertion"][-1] == curves["deletion"][0] == pytest.approx(passes["target"]["score"])
    assert all(low <= high for low, high in curves["insertion_random"] + curves["deletion_random"])

    change = records["test_unchanged#0"]["claims"][0]["change"]
    assert (change["rank_correlation"], change["entered"], change["left"]) == (1, [], [])
    assert change["score"][0] == change["score"][1]
    assert len(change["weights"]) == records["test_unchanged#0"]["explanation"]["superpixels"]
    assert change["against"].startswith("lime-baselines/test-unchanged")

    images = [record for name, record in records.items() if name.startswith("test_set")]
    assert [record["status"] for record in images] == ["pass", *["fail"] * (len(images) - 1)]
    assert set(images[0]["pictures"]) == {"thumb"}
    assert "segments" not in images[0]
    assert {record["set"]["id"] for record in images} == {images[0]["set"]["id"]}
    assert {record["set"]["name"] for record in images} == {"test_set"}
    assert images[0]["set"]["unseen"] == ["array 3", "array 4"]
    assert not any("unseen" in record["set"] for record in images[1:])

    groups = records["test_groups#0"]
    assert set(groups["hashes"]["groups"]) == {"a", "b"}


@bare
def test_hashes_are_of_what_was_asked(everything: Path, run: Run, report: Report) -> None:
    run("-k", "fails or open or groups or set", "--lime-report=lime-report")
    records = report()
    fails, opened, groups = (records[f"test_{name}#0"] for name in ("fails[cat]", "open", "groups"))
    assert fails["hashes"]["image"] == fails["image"]["sha256"] == opened["hashes"]["image"]
    # The second region of one is the only one of the other.
    assert fails["hashes"]["regions"][1:] == opened["hashes"]["regions"]
    assert fails["hashes"]["options"] != opened["hashes"]["options"]
    for record in (fails, opened):
        text = json.dumps(record["options"], sort_keys=True, separators=(",", ":"))
        assert record["hashes"]["options"] == hashlib.sha256(text.encode()).hexdigest()
    images = [records[f"test_set#{number}"]["image"]["sha256"] for number in range(2)]
    listed = "".join(f"{one}\n" for one in images)
    assert groups["hashes"]["groups"]["a"] == hashlib.sha256(listed.encode()).hexdigest()


@pytest.mark.parametrize("mode", ["-n2"])
def test_workers_leave_no_trace(mode: str, everything: Path, run: Run, pytester: pytest.Pytester) -> None:
    run("-n0", "--lime-update-new-only", "-k", "unchanged")
    found = []
    for folder, more in (("plain", ["-n0"]), ("shared", [])):
        run(*more, f"--lime-report={folder}", "--lime-no-cache", "--deselect", "test_it.py::test_of_something_else")
        found.append(results_of(pytester.path / folder))
    plain, shared = found
    records = [{record["id"]: record for record in results["records"]} for results in found]
    assert records[0].keys() == records[1].keys()
    for name, record in records[0].items():
        text = json.dumps(untimed(records[1][name])).replace("shared/index.html", "plain/index.html")
        assert json.loads(text) == untimed(record)
    assert plain["counts"] == shared["counts"]
    for path in (pytester.path / "plain" / "images").iterdir():
        assert path.read_bytes() == (pytester.path / "shared" / "images" / path.name).read_bytes()


def test_a_case_of_a_suite(suite: Callable[..., Path], run: Run, report: Report, pytester: pytest.Pytester) -> None:
    suite("""
    def test_nothing():
        from PIL import Image
        from pathlib import Path
    """)
    pytester.makeini("[pytest]\nmarkers = slow")
    make_pictures(pytester.path / "pictures")
    (pytester.path / "test_whole.lime.yaml").write_text(YAML, encoding="utf-8")
    run("--lime-report=lime-report")
    results = results_of(pytester.path / "lime-report")
    assert complaints(results) == []
    records = list(report().values())
    assert [record["set"]["name"] for record in records] == ["the whole"] * 2
    assert [record["called"] for record in records] == [{"file": "test_whole.lime.yaml", "line": 4}] * 2
    assert {tuple(record["marks"]) for record in records} == {("slow",)}
    assert [record["pictures"].keys() for record in records] == [{"thumb"}] * 2


def make_pictures(folder: Path) -> None:
    import numpy as np  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    folder.mkdir()
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 255, (32, 32, 3)).astype("uint8")
        Image.fromarray(pixels).save(folder / f"{number}.png")


@bare
def test_the_revision_is_told_where_there_is_one(
    suite: Callable[..., Path], run: Run, pytester: pytest.Pytester
) -> None:
    suite("""
    def test_it(lime):
        lime.check(IMAGE, "cat", HOLDS, samples=300)
    """)
    for command in (
        ["init", "-q", "-b", "trunk"],
        ["add", "."],
        ["-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *command], cwd=pytester.path, check=True)
    for dirty in (False, True):
        if dirty:
            pytester.makeconftest(f"{CONFTEST}\n\n    DIRTY = True")
        run("--lime-report=lime-report")
        git = results_of(pytester.path / "lime-report")["run"]["git"]
        assert (git["branch"], git["dirty"]) == ("trunk", dirty)
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=pytester.path, check=True, capture_output=True, text=True
        )
        assert git["commit"] == head.stdout.strip()


@bare
def test_pictures_of_a_set_that_passes_are_taken_away(
    suite: Callable[..., Path], run: Run, pytester: pytest.Pytester
) -> None:
    suite("""
    def test_set(lime):
        lime.check_all([IMAGE, IMAGE[::-1]], "cat", HOLDS, samples=300)
    """)
    run().assert_outcomes(passed=1)
    assert not (pytester.path / "lime-report").exists()


@bare
def test_a_rerun_says_which_attempt_it_is(
    suite: Callable[..., Path], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    pytest.importorskip("pytest_rerunfailures")
    suite("""
    def test_it(lime):
        lime.check(IMAGE, "cat", FAILS, samples=300)
    """)
    run("--reruns", "2")
    assert report()["test_it#0"]["attempt"] == 3
    assert results_of(pytester.path / "lime-report")["counts"]["rerun"] == 2


@bare
def test_the_model_is_hashed_once_for_all_checks(
    suite: Callable[..., Path], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    pytester.makeconftest("""
    import pytest
    import torch
    from pytest_lime import TorchModel, provenance

    torch.manual_seed(0)
    NET = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, 3))
    kept = provenance.weights_sha256

    def counting(net):
        counting.calls += 1
        return kept(net)

    counting.calls = 0

    @pytest.fixture(scope="session", autouse=True)
    def _counted():
        provenance.weights_sha256 = counting
        provenance._known.clear()
        yield
        provenance.weights_sha256 = kept
        assert counting.calls == 2

    @pytest.fixture
    def lime_model():
        return TorchModel(NET, size=(16, 16), labels=["cat", "dog", "bird"], mean=0.5, std=0.5)

    @pytest.fixture
    def trained():
        with torch.no_grad():
            NET[1].bias += 1.0
    """)
    (pytester.path / "test_it.py").write_text(
        "import numpy as np\nfrom pytest_lime import predicted\n"
        "IMAGE = np.random.default_rng(0).integers(0, 255, (16, 16, 3)).astype('uint8')\n"
        "def test_a(lime):\n    lime.check(IMAGE, None, predicted(), samples=50)\n"
        "def test_b(lime):\n    lime.check(IMAGE, None, predicted(), samples=50)\n"
        "def test_c(trained, lime):\n    lime.check(IMAGE, None, predicted(), samples=50)\n",
        encoding="utf-8",
    )
    run("--lime-report=lime-report").assert_outcomes(passed=3)
    models = [record["model"] for record in report().values()]
    assert {model["name"] for model in models} == {"TorchModel (Sequential)"}
    first, second, third = (model["sha256"] for model in models)
    assert first == second != third
    assert len(first) == 64
    assert models[0]["input"] == [16, 16]


@bare
def test_git_is_asked_once_and_only_for_a_report(
    suite: Callable[..., Path], run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite("""
    @pytest.mark.parametrize("number", range(3))
    def test_it(lime, number):
        lime.check(IMAGE, "cat", HOLDS, samples=300)
    """)
    folder, log = pytester.path / "bin", pytester.path / "asked.txt"
    folder.mkdir()
    (folder / "git").write_text(f'#!/bin/sh\necho "$PWD" >> "{log}"\nexit 1\n', encoding="utf-8")
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    run().assert_outcomes(passed=3)
    assert not log.exists()
    run("--lime-report=lime-report").assert_outcomes(passed=3)
    assert log.read_text(encoding="utf-8").split() == [str(pytester.path)]
    assert results_of(pytester.path / "lime-report")["run"]["git"] is None


def test_a_skipped_test_counts_once_wherever_it_is_skipped(
    suite: Callable[..., Path], run: Run, pytester: pytest.Pytester
) -> None:
    suite("""
    def test_within(lime):
        pytest.skip("no data")

    @pytest.mark.skipif(True, reason="not here")
    def test_before(lime):
        pass

    @pytest.mark.xfail
    def test_expected(lime):
        lime.check(IMAGE, "cat", FAILS, samples=300)

    def test_of_something_else():
        pytest.skip("has nothing to do with it")
    """)
    run("--lime-report=lime-report").assert_outcomes(skipped=3, xfailed=1)
    counts = results_of(pytester.path / "lime-report")["counts"]
    assert (counts["skipped"], counts["deselected"], counts["excluded"], counts["expected"]) == (2, 0, 2, 1)
