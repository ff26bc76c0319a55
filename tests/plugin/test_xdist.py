"""What only several workers can show."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., pytest.RunResult]
Report = Callable[..., dict[str, dict[str, Any]]]
# One of each kind: a check that fails, one that passes, one that stays open, a set, and a test of its own assertion.
KINDS = """
    from pathlib import Path
    import os

    @pytest.mark.xdist_group("one")
    def test_fails(lime):
        lime.check(IMAGE, "cat", FAILS, samples=200)

    def test_passes(lime):
        lime.check(IMAGE, "cat", HOLDS, samples=200)

    def test_open(lime):
        lime.check(IMAGE, "cat", FAILS, samples=20)

    def test_killed(request):
        if Path(__file__).with_name("kill").exists():
            try:
                request.getfixturevalue("lime").check(IMAGE, "cat", FAILS, samples=200)
            finally:
                os._exit(7)

    @pytest.mark.xdist_group("two")
    def test_set(lime):
        lime.check_all([IMAGE, IMAGE // 2, IMAGE // 3], "cat", HOLDS, mostly=0.6, samples=200)
        lime.check_all([IMAGE, IMAGE // 2, IMAGE // 3], "cat", FAILS, samples=200)

    def test_own(lime):
        assert lime.explain(IMAGE, samples=200).samples == 7
    """
# Without workers, and with warnings as the inner run itself would have them.
BARE = ("-p", "no:xdist", "-p", "no:cacheprovider", "-W", "default")
TIMES = ("seconds", "batch_size", "device", "passes")


@pytest.fixture(params=["bare", pytest.param("-n0", marks=pytest.mark.slow), "-n2"])
def mode(request: pytest.FixtureRequest) -> str:
    """How the inner run goes; here workers are what it is about."""
    return str(request.param)


def comparable(record: dict[str, Any]) -> dict[str, Any]:
    """Return what a record says, but for what a check cost, which is another time's and another machine's."""
    cost = {name: value for name, value in record["explanation"].items() if name not in TIMES}
    return {**record, "explanation": cost}


def same(found: dict[str, dict[str, Any]], plain: dict[str, dict[str, Any]]) -> None:
    assert set(found) == set(plain)
    for name, record in plain.items():
        known, other = comparable(record), comparable(found[name])
        assert set(known) == set(other)
        for key, value in known.items():
            assert other[key] == value, f"{name}: {key}"


def results(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def moved(name: str) -> Path:
    """Move the report of the last run, since messages name the folder that it was written to."""
    Path(name).parent.mkdir(exist_ok=True)
    return Path("lime-report").rename(name)


@pytest.fixture
def plain(suite: Callable[..., None], pytester: pytest.Pytester, report: Report) -> dict[str, dict[str, Any]]:
    """The records of a run without workers."""
    suite(KINDS)
    done = pytester.runpytest_inprocess(*BARE)
    done.assert_outcomes(failed=3, passed=3, warnings=1)
    moved("plain")
    return report("plain")


@pytest.mark.parametrize("mode", ["-n2"])
@pytest.mark.parametrize("dist", ["load", "loadscope", "loadfile", "loadgroup", "worksteal", "no"])
def test_every_way_to_hand_out_tests_gives_the_records_of_a_plain_run(
    dist: str, plain: dict[str, dict[str, Any]], run: Run, report: Report
) -> None:
    run("--dist", dist).assert_outcomes(failed=3, passed=3, warnings=1)
    same(report(), plain)
    found = results(Path("lime-report"))
    assert (found["run"]["exit"], found["run"]["reason"], found["problems"]) == ("failed", "", [])
    # Whoever was done first, they stand in the order of the file.
    assert [record["id"] for record in found["records"]] == [record["id"] for record in plain.values()]


def test_groups_are_no_part_of_a_tests_name(suite: Callable[..., None], run: Run, report: Report) -> None:
    suite("""
        @pytest.mark.xdist_group("one")
        def test_one(lime):
            lime.check(IMAGE, "cat", predicted(), samples=50)

        @pytest.mark.xdist_group(name="b")
        @pytest.mark.xdist_group("a")
        @pytest.mark.parametrize("label", ["cat@a", "cat"])
        def test_two(lime, label):
            lime.check(IMAGE, label.removesuffix("@a"), predicted(), samples=50)
        """)
    run("--dist", "loadgroup").assert_outcomes(failed=3)
    records = report()
    assert set(records) == {"test_one#0", "test_two[cat@a]#0", "test_two[cat]#0"}
    assert all("@a_b" not in record["rerun"] for record in records.values())


@pytest.mark.parametrize("mode", ["-n2"])
def test_a_worker_that_crashes_costs_only_its_test(
    mode: str, suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    suite("""
        import os

        @pytest.mark.parametrize("number", range(6))
        def test_it(lime, number):
            if number == 3:
                try:
                    lime.check(IMAGE, "cat", predicted(), samples=50)
                finally:
                    os._exit(7)
            lime.check(IMAGE, "cat", predicted(), samples=50)
        """)
    # By groups, pytest-xdist 3.8 itself does not get over a crash.
    for dist in ("load", "worksteal"):
        result = run("--dist", dist)
        result.assert_outcomes(failed=6)
        result.stdout.fnmatch_lines(["*worker 'gw?' crashed while running 'test_it.py::test_it?3?*'*"])
        result.stdout.fnmatch_lines(
            ["lime: worker gw? was lost while it ran test_it.py::test_it?3?*; what this test *"]
        )
        # Its pictures are gone with it; the fixture has looked.
        assert set(report()) == {f"test_it[{number}]#0" for number in (0, 1, 2, 4, 5)}
        found = results(pytester.path / "lime-report")
        assert found["run"]["exit"] == "crashed"
        assert "was lost while it ran test_it.py::test_it[3]" in found["run"]["reason"]
        (problem,) = found["problems"]
        assert (
            "what this test had checked since its last report is lost, all that was checked before is kept" in problem
        )


@pytest.mark.parametrize("mode", ["-n2"])
def test_a_test_whose_worker_crashed_is_made_again(
    mode: str, suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    pytest.importorskip("pytest_rerunfailures")
    suite("""
        import os
        from pathlib import Path

        def test_it(lime):
            mark = Path(__file__).with_name("mark")
            if not mark.exists():
                mark.touch()
                os._exit(7)
            lime.check(IMAGE, "cat", predicted(), samples=50)
        """)
    run("--reruns=1")
    (record,) = report().values()
    assert (record["attempt"], record["attempts"], record["outcome"]) == (2, [], "failed")
    assert results(pytester.path / "lime-report")["run"]["exit"] == "crashed"


@pytest.mark.parametrize("mode", ["-n2"])
def test_a_crash_of_tests_that_use_no_lime_is_not_our_business(mode: str, pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("import os\ndef test_it():\n    os._exit(7)\ndef test_other():\n    pass\n")
    result = run()
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.no_fnmatch_line("*lime:*")
    assert not (pytester.path / "lime-report").exists()


@pytest.mark.parametrize("mode", ["-n2"])
def test_workers_write_where_the_controller_stands(
    mode: str, suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    suite("""
        import os

        @pytest.mark.parametrize("number", range(4))
        def test_it(lime, number, tmp_path, monkeypatch):
            monkeypatch.chdir(tmp_path)
            lime.check(IMAGE, "cat", predicted(), samples=50)
        """)
    run("--lime-report=out").assert_outcomes(failed=4)
    records = report("out")
    assert len(records) == 4
    assert all(len(record["pictures"]) >= 4 for record in records.values())


@pytest.mark.parametrize("mode", ["-n2"])
def test_a_worker_killed_half_way_and_three_shards_give_the_records_of_a_plain_run(
    plain: dict[str, dict[str, Any]],
    run: Run,
    report: Report,
    pytester: pytest.Pytester,
) -> None:
    from pytest_lime.merging import merge  # noqa: PLC0415

    Path("kill").touch()
    run().assert_outcomes(failed=4, passed=2, warnings=1)
    Path("kill").unlink()
    killed = moved("killed")
    same(report(killed), plain)
    assert results(killed)["run"]["exit"] == "crashed"

    shards = {"one": "fails or passes", "two": "open or own", "three": "set"}
    for name, tests in shards.items():
        pytester.runpytest_inprocess(*BARE, "--lime-report=lime-report", "-k", tests)
        moved(f"shards/{name}")
    merged = merge([Path("shards", name) for name in shards], Path("merged"))
    same(report("merged"), plain)
    assert all(" deselected " in sentence for sentence in merged.told)
    assert len(merged.told) == len(shards)
    assert [record["id"] for record in merged.results["records"]] == [record["id"] for record in plain.values()]
    pictures = {path: Path("plain", path).read_bytes() for each in plain.values() for path in each["pictures"].values()}
    assert pictures
    assert {path: Path("merged", path).read_bytes() for path in pictures} == pictures

    # A run that was made again, and in which nothing came out otherwise, changes nothing.
    merge([Path("plain"), Path("killed")], Path("again"))
    same(report("again"), plain)
