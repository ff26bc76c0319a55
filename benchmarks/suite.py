"""The checks of the example suite, run as pytest runs them, with ``samples="auto"`` in place of a fixed number.

The suite itself is run, under a stand-in for its `lime` fixture, so that its claims stand in one place only.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

from benchmarks.measuring import ROOT
from pytest_lime.errors import ClaimFailed

if TYPE_CHECKING:
    from pytest_lime import TorchModel

SUITE = ROOT / "example_suite"
# Those whose tests make checks, each of one image.
FILES = {"acceptance": "acceptance/test_*.py", "bias": "bias/test_mark.py"}


@dataclasses.dataclass
class Timed:
    """One check of the suite.

    Attributes
    ----------
    test : str
        Its node id within the suite.
    image : path or array
    model : TorchModel
    seconds : float
        To the verdict: decoding, superpixels, passes, intervals, and the pictures where a claim fails.
    status : ``"pass"``, ``"fail"`` or ``"inconclusive"``
    samples, passes : int
    """

    test: str
    image: Any
    model: TorchModel
    seconds: float
    status: str = ""
    samples: int = 0
    passes: int = 0

    @property
    def photograph(self) -> str:
        """What the image is called."""
        return Path(self.image).name if isinstance(self.image, str | Path) else "digit"

    @property
    def question(self) -> tuple[int, str | bytes]:
        """What is the same for two checks of the same image and model."""
        image = self.image
        return id(self.model), str(image) if isinstance(image, str | Path) else np.asarray(image).tobytes()


class Stopwatch:
    """Stands in for `lime` in one test of the suite."""

    def __init__(self, lime: Any, test: str, found: list[Timed]) -> None:
        self._lime, self._test, self._found = lime, test, found

    def check(self, image: Any, target: Any, *claims: Any, **options: Any) -> None:
        """Make the check with as many samples as it takes, and note how long it took."""
        auto = {**options, "samples": "auto"}
        began = time.perf_counter()
        # Whether the claims hold is not what is measured.
        with contextlib.suppress(ClaimFailed):
            self._lime.check(image, target, *claims, **auto)
        self._found.append(Timed(self._test, image, self._lime.model, time.perf_counter() - began))


class Asked(NamedTuple):
    """What one check of the suite asks: its test, and what it gives to `lime.check`."""

    test: str
    model: TorchModel
    image: Any
    target: Any
    claims: tuple[Any, ...]
    options: dict[str, Any]


class Notepad:
    """Stands in for `lime` where only what is asked is of interest."""

    def __init__(self, lime: Any, test: str, found: list[Asked]) -> None:
        self._lime, self._test, self._found = lime, test, found

    def check(self, image: Any, target: Any, *claims: Any, **options: Any) -> None:
        """Note what is asked."""
        self._found.append(Asked(self._test, self._lime.model, image, target, claims, options))


class _Breakages:
    """Plugins that note which tests broke."""

    def __init__(self) -> None:
        self.broken: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.broken.append(f"{report.nodeid}: {report.longreprtext[-500:]}")


class _Listener(_Breakages):
    """The plugin that puts `Notepad` in place."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Asked] = []

    def pytest_configure(self, config: pytest.Config) -> None:
        config.pluginmanager.register(_Fixtures(functools.partial(Notepad, found=self.found)), "notepad")


class _Clock(_Breakages):
    """The plugin that puts `Stopwatch` in place, and reads off the records what the checks came to."""

    def __init__(self, most: int | None) -> None:
        super().__init__()
        self.found: list[Timed] = []
        self._most = most

    def pytest_configure(self, config: pytest.Config) -> None:
        # After the plugins that are installed, so that this fixture is asked before theirs.
        config.pluginmanager.register(_Fixtures(functools.partial(Stopwatch, found=self.found)), "stopwatch")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        # Only tests of what `lime` checks, and these without expectations.
        items[:] = [item for item in items if "lime" in getattr(item, "fixturenames", ())][: self._most]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        super().pytest_runtest_logreport(report)
        made = [timed for timed in self.found if not timed.status]
        for timed, record in zip(made, getattr(report, "lime_records", ()), strict=False):
            timed.status = record["status"]
            timed.samples, timed.passes = (record["explanation"][name] for name in ("samples", "passes"))


class _Fixtures:
    def __init__(self, make: Callable[[Any, str], Any]) -> None:
        self._make = make

    @pytest.fixture
    def lime(self, request: pytest.FixtureRequest, lime: Any) -> Any:
        return self._make(lime, request.node.nodeid.removeprefix("example_suite/"))


def run(part: str, most: int | None = None) -> list[Timed]:
    """Run the checks of ``"acceptance"`` or ``"bias"`` as in a fresh run: nothing stored, no batch size known.

    Parameters
    ----------
    part : str
    most : int, optional
        So many checks only.

    Raises
    ------
    RuntimeError
        A check could not be made.
    """
    clock = _Clock(most)
    _run(part, clock)
    return clock.found


def asked(part: str) -> list[Asked]:
    """Return what the checks of ``"acceptance"`` or ``"bias"`` ask, without any pass.

    Raises
    ------
    RuntimeError
        A test broke before its check.
    """
    listener = _Listener()
    _run(part, listener)
    return listener.found


def _run(part: str, plugin: _Clock | _Listener) -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as printed:
        status = pytest.main(
            [
                *map(str, sorted(SUITE.glob(FILES[part]))),
                *(f"--rootdir={ROOT}", f"--config-file={ROOT / 'pyproject.toml'}"),
                *("-q", "--runxfail", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist"),
                *("--lime-no-cache", "--lime-inconclusive=pass", f"--lime-report={folder}"),
            ],
            plugins=[plugin],
        )
    if plugin.broken or not plugin.found or status:
        words = "\n".join(plugin.broken) or printed.getvalue()[-2000:]
        raise RuntimeError(f"the example suite could not be run: {words}")
