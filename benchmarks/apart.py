"""A contender in a process of its own, as its users run it: what ours does to its process is no help to a peer."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

__all__ = ["Apart"]


class Apart:
    """Makes a contender in a fresh process, and calls it there; only calls are timed by whoever times this.

    Parameters
    ----------
    make : callable
        Of the top level of a module, so that it can be named to the process.
    *arguments
        For `make`.

    Attributes
    ----------
    facts : dict
        What the contender found out about itself while it was made ready, its attribute `facts`.
    """

    def __init__(self, make: Callable[..., Any], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there, make, arguments), daemon=True)
        self._process.start()
        self.facts: dict[str, Any] = self._answer()

    def __call__(self, argument: Any) -> None:
        """Call the contender."""
        self._here.send(argument)
        self._answer()

    def _answer(self) -> Any:
        failed, value = self._here.recv()
        if failed:
            raise RuntimeError(value)
        return value


def _serve(there: Connection, make: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        contender = make(*arguments)
        there.send((False, contender.facts))
        while True:
            contender(there.recv())
            there.send((False, None))
    except EOFError:  # the run is over
        return
    except Exception:
        there.send((True, traceback.format_exc()))
