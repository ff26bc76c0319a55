"""The ledger: which records count of tests that are made again, several times, or on a worker that is lost."""

from types import SimpleNamespace
from typing import Any

from pytest_lime.attempts import join_attempts
from pytest_lime.ledger import Ledger


def record(check: int = 0, status: str = "fail", outcome: str = "failed", **changes: Any) -> dict[str, Any]:
    claims = [{"claim": "mass", "status": status, "estimate": 0.1, "interval": [0, 1], "samples": 9, "text": "mass()"}]
    return {"id": f"t-{check}", "check": check, "status": status, "outcome": outcome, "claims": claims, **changes}


def report(when: str = "call", test: str = "a.py::t", **changes: Any) -> Any:
    return SimpleNamespace(nodeid=test, when=when, **changes)


class TestAttempts:
    def test_the_last_attempt_counts_and_lists_those_before(self) -> None:
        found, again = join_attempts([[record(0), record(1)], [], [record(0, "pass", "passed")]])
        assert (found["attempt"], found["status"]) == (3, "pass")
        claims = [{"claim": "mass", "status": "fail", "estimate": 0.1, "interval": [0, 1], "samples": 9}]
        assert found["attempts"] == [{"attempt": 1, "status": "fail", "outcome": "failed", "claims": claims}]
        assert (again["check"], again["attempt"], again["attempts"]) == (1, 1, [])


class TestLedger:
    def test_a_test_that_is_made_once(self) -> None:
        ledger = Ledger()
        ledger.begin("a.py::t")
        assert ledger.note(report("setup"), [], "passed", rerun=False) == []
        ledger.note(report(), [record()], "failed", rerun=False)
        assert list(ledger.unfinished) == ["a.py::t"]
        (finished,) = ledger.note(report("teardown"), [], "passed", rerun=False)
        assert finished["check"] == 0
        assert not ledger.unfinished
        (found,), remarks = ledger.records()
        assert (found["attempt"], found["attempts"], remarks) == (1, [], [])

    def test_a_test_that_is_made_again(self) -> None:
        ledger = Ledger()
        # Newer versions of pytest-rerunfailures report the teardown of an attempt that failed, older ones do not.
        for teardown in (True, False):
            ledger.note(report("setup"), [], "passed", rerun=False)
            ledger.note(report(), [record()], "failed", rerun=True)
            if teardown:
                assert ledger.note(report("teardown"), [record(1)], "error", rerun=False) == []
        ledger.note(report("setup"), [], "passed", rerun=False)
        ledger.note(report(), [record(0, "pass", "passed"), record(1, "pass", "passed")], "passed", rerun=False)
        assert len(ledger.note(report("teardown"), [], "passed", rerun=False)) == 2
        first, second = ledger.records()[0]
        assert ([one["attempt"] for one in first["attempts"]], first["attempt"]) == ([1, 2], 3)
        assert ([one["attempt"] for one in second["attempts"]], second["attempt"]) == ([1], 3)

    def test_what_only_an_earlier_attempt_checked(self) -> None:
        for outcome, kept in {"passed": [0], "failed": [0, 1]}.items():
            ledger = Ledger()
            ledger.note(report(), [record(0, "pass"), record(1)], "failed", rerun=True)
            ledger.note(report("setup"), [], "passed", rerun=False)
            ledger.note(report(), [record(0, "pass", outcome)], outcome, rerun=False)
            ledger.note(report("teardown"), [], "passed", rerun=False)
            found, remarks = ledger.records()
            assert [one["check"] for one in found] == kept
            assert {one["outcome"] for one in found} == {outcome}
            assert len(remarks) == (outcome == "passed")
            assert all("attempt 1 made check 1 (fail)" in remark for remark in remarks)

    def test_a_run_that_is_cut_off_between_two_attempts(self) -> None:
        for lost, outcome in {True: "error", False: "interrupted"}.items():
            ledger = Ledger()
            ledger.note(report("setup"), [], "passed", rerun=False)
            ledger.note(report(), [record()], "failed", rerun=True)
            ledger.note(report("teardown"), [], "passed", rerun=False)
            if lost:
                ledger.note(report("???"), [], "error", rerun=False)
            (found,), remarks = ledger.records()
            assert (found["attempt"], found["status"], found["outcome"], remarks) == (1, "fail", outcome, [])

    def test_a_worker_is_lost_and_another_makes_the_test(self) -> None:
        ledger = Ledger()
        ledger.note(report(item_index=3), [record(0)], "failed", rerun=False)  # a subtest
        ledger.note(report("???"), [], "failed", rerun=True)
        ledger.note(report("setup", item_index=3), [], "passed", rerun=False)
        ledger.note(report(item_index=3), [record(0, "pass", "passed")], "passed", rerun=False)
        ledger.note(report("teardown", item_index=3), [], "passed", rerun=False)
        (found,), _ = ledger.records()
        assert (found["attempt"], found["status"], len(found["attempts"])) == (2, "pass", 1)

    def test_one_test_twice_at_once_and_an_id_that_is_taken(self) -> None:
        ledger = Ledger()
        for index in (0, 5):
            ledger.note(report(item_index=index), [record()], "failed", rerun=False)
        for index in (0, 5):
            assert len(ledger.note(report("teardown", item_index=index), [], "passed", rerun=False)) == 1
        found, _ = ledger.records()
        assert [one["id"] for one in found] == ["t-0", "t-0-2"]

    def test_all_workers_make_each_test(self) -> None:
        ledger = Ledger(each=True)
        nodes = [SimpleNamespace(gateway=SimpleNamespace(id=name)) for name in ("gw0", "gw1")]
        for number, node in enumerate(nodes):
            ledger.note(report(item_index=0, node=node), [record(id=f"t{number}")], "failed", rerun=False)
        ledger.note(report("???", node=nodes[1]), [], "failed", rerun=False)
        (kept,) = ledger.note(report("teardown", item_index=0, node=nodes[0]), [], "passed", rerun=False)
        assert kept["id"] == "t0"
        assert len(ledger.records()[0]) == 2

    def test_records_stand_in_the_order_of_collection(self) -> None:
        ledger = Ledger()
        ledger.expect(["a.py::1", "a.py::2"])
        ledger.expect(["a.py::2", "a.py::1"])
        for name in ("0", "2", "1"):
            ledger.note(report(test=f"a.py::{name}"), [record(id=name)], "failed", rerun=False)
        assert [one["id"] for one in ledger.records()[0]] == ["1", "2", "0"]

    def test_an_interrupted_test_keeps_what_it_has_checked(self) -> None:
        ledger = Ledger()
        ledger.cut_off("a.py::t", [])
        assert ledger.records() == ([], [])
        ledger.note(report("setup"), [record(0)], "passed", rerun=False)
        ledger.cut_off("a.py::t", [record(1)])
        assert [one["outcome"] for one in ledger.records()[0]] == ["failed", "interrupted"]
