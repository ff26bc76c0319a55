"""How a run ended: finished, failed, stopped early, interrupted, or with a worker lost."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_lime.workers import worker_of

__all__ = ["Endings"]

CTRL_C = "by Ctrl-C"
# A worker does not tell which.
IN_WORKER = "by Ctrl-C, or by pytest.exit in a worker"
# What pytest-xdist says of a worker that was interrupted, which is not lost.
KEYBOARD = "keyboard-interrupt"


class Endings:
    """Watches how the run ends, and for workers of pytest-xdist that are lost; a plugin of its own.

    Attributes
    ----------
    lost_tests : list of str
        Which tests were running when a worker was lost, as their reports call them.
    """

    def __init__(self) -> None:
        self._lost: dict[str, list[str]] = {}
        self._interrupted: list[str] = []
        self._cut_off: list[str] = []
        self._stopped: list[str] = []
        self.lost_tests: list[str] = []

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Take note of a worker that did not end as it should."""
        if error is not None and str(error) == KEYBOARD:
            self._interrupted.append(IN_WORKER)
        elif error is not None:
            self._lost.setdefault(worker_of(node), [])

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: Any) -> None:
        """Take note of the test that a lost worker was running."""
        self.lost_tests.append(str(crashitem))
        if self._interrupted:
            self._cut_off.append(str(crashitem))
        else:
            self._lost.setdefault(worker_of(report), []).append(str(crashitem))

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Take note of why a run was cut off: by the user, by ``pytest.exit``, or by pytest itself."""
        error = excinfo.value
        if isinstance(error, pytest.exit.Exception):
            self._interrupted.append(f"pytest.exit: {error}")
        elif type(error) is KeyboardInterrupt:
            self._interrupted.append(CTRL_C)
        elif not self._interrupted:
            # pytest and pytest-xdist stop a run by kinds of their own; of the latter, that is so where a worker was
            # interrupted, too.
            self._stopped.append(str(error))

    def describe(self, session: pytest.Session, exitstatus: int) -> dict[str, str]:
        """Return ``exit`` and ``reason`` of the run; of several endings the gravest."""
        stop = session.shouldfail or session.shouldstop
        stopped = [*self._stopped, *([str(stop)] if stop else [])]
        if self._lost:
            return {
                "exit": "crashed",
                "reason": "; ".join(_told(worker, tests) for worker, tests in self._lost.items()),
            }
        if exitstatus == pytest.ExitCode.INTERNAL_ERROR:
            return {"exit": "crashed", "reason": "pytest itself, or a plugin, broke down (INTERNALERROR)"}
        if self._interrupted:
            return {"exit": "interrupted", "reason": self._interrupted[0]}
        if stopped:
            return {"exit": "stopped", "reason": stopped[0]}
        if exitstatus == pytest.ExitCode.INTERRUPTED:
            return {"exit": "interrupted", "reason": ""}
        failed = exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        return {"exit": "failed" if failed else "finished", "reason": ""}

    def remarks(self) -> list[str]:
        """Return a sentence on each worker that was lost, and on each test that was cut off in one."""
        return [
            f"the run was interrupted while a worker ran {test}; what this test had checked is lost."
            for test in self._cut_off
        ] + [
            f"{_told(worker, tests)}; "
            + (
                "what this test had checked since its last report is lost, all that was checked before is kept."
                if tests
                else "all that was checked before is kept."
            )
            for worker, tests in self._lost.items()
        ]


def _told(worker: str, tests: list[str]) -> str:
    return f"worker {worker} was lost" + (f" while it ran {' and '.join(tests)}" if tests else " between two tests")
