"""The bar of a long check, as the terminal of a user shows it."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_lime import progress

pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")

SLOW = """
    import time

    import pytest
    from pytest_lime import progress
    from pytest_lime.testing import FakeModel

    # A fifth of a second for a check is long enough here.
    progress.FIRST, progress.PAUSE = 0.02, 0.005

    class Slow(FakeModel):
        def predict(self, batch):
            time.sleep(len(batch) / 1500)
            return super().predict(batch)

    @pytest.fixture(scope="session")
    def lime_model():
        return Slow()
    """
SUITE = """
    def test_holds(lime):
        lime.check(IMAGE, "cat", HOLDS, samples=300, batch_size=10)

    def test_fails(lime):
        print("printed before")
        lime.check(IMAGE, "cat", FAILS, samples=300, batch_size=10)

    def test_is_wrong(lime):
        lime.check(IMAGE, "cow", HOLDS, samples=300, batch_size=10)

    def test_explains(lime):
        assert lime.explain(IMAGE, "cat", samples=300, batch_size=10).r2 > 2
    """
# The tests of a package that is not installed speak of the one here.
HERE = str(Path(progress.__file__).parents[1])
# What `python -m pytest` does, in a fork that has the heavy packages already; so have its workers.
RUN = """
import sys
sys.executable = {python!r}
sys.path.insert(1, {path!r})
sys.stdout.reconfigure(encoding="utf-8")
sys.stderr.reconfigure(encoding="utf-8")
import pytest
sys.exit(pytest.main({options!r}))
"""
# What a bar is drawn between, and what takes it away.
DRAWN = re.compile(r"\x1b7\x1b\[\?7l([^\x1b]+)\x1b\[K\x1b\[\?7h\x1b8")
CLEARED = "\x1b7\x1b[?7l\x1b[K\x1b[?7h\x1b8"


@pytest.fixture
def run_in_terminal(suite: Callable[..., Path], pytester: pytest.Pytester, _worker_python: str) -> Callable[..., str]:
    """Run `SUITE` in a pseudo-terminal of 100 columns, and return all that came out."""
    import fcntl  # noqa: PLC0415  (not on Windows)
    import struct  # noqa: PLC0415
    import termios  # noqa: PLC0415

    suite(SUITE)
    pytester.makeconftest(SLOW)

    def run(*arguments: str, **variables: str) -> str:
        options = ["-p", "no:cacheprovider", "-p", "no:hypothesispytest", *arguments]
        command = [_worker_python, "-c", RUN.format(python=_worker_python, path=HERE, options=options)]
        environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PYTEST_", "PY_COLORS", "COLUMNS", "LINES", "FORCE_COLOR"))
            and key not in progress.NO_TERMINAL
        }
        environment |= {
            "TERM": "xterm",
            "NO_COLOR": "1",
            "PYTHONIOENCODING": "utf-8",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": HERE,
            **variables,
        }
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        out = bytearray()
        with subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs):
            os.close(theirs)
            # On Linux the end of a pseudo-terminal is an error.
            with contextlib.suppress(OSError):
                while part := os.read(ours, 65536):
                    out += part
            os.close(ours)
        return out.decode()

    return run


def without_times(text: str) -> str:
    """Return what follows upon collection, without times and addresses in memory."""
    return re.sub(r"\d+[\d.]* ?s\b|0x[0-9a-f]+|=+", "", text.partition("lime: 4 tests explain")[2])


def test_a_bar_comes_and_goes(run_in_terminal: Callable[..., str]) -> None:
    output, plain = run_in_terminal(), run_in_terminal(CI="1")
    assert "\x1b7" not in plain
    drawn = DRAWN.findall(output)
    assert len(drawn) > 10
    assert any(re.search(r"'cat' in .*\d+/300 samples, [\d.,]+ images/s", text) for text in drawn)
    # A bar of each of the three that sample, and none of the one that is wrong.
    assert output.count(CLEARED) == 3
    rest = DRAWN.sub("", output).replace(CLEARED, "")
    # Under CI pytest cuts less of the summary.
    shown, expected = (without_times(text).partition("short test summary")[0] for text in (rest, plain))
    assert shown == expected != ""
    assert "3 failed, 1 passed" in rest


# Of -q and the rest tests/unit/test_progress.py tells, without a model.
def test_no_bar_in_a_worker(run_in_terminal: Callable[..., str]) -> None:
    output = run_in_terminal("-n1")
    assert "3 failed, 1 passed" in output
    assert "\x1b7" not in output
    assert "/300" not in output
