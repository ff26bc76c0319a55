"""The bar: what it says, when it is drawn, and that a terminal shows afterwards what it would show without it."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tqdm.utils import disp_len

from pytest_lime import progress
from pytest_lime.progress import Progress, describe
from pytest_lime.states import State

pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")


def state(samples: int = 500, **changes: Any) -> State:
    facts = {"label": "'cat' in 'cat.png'", "most": 1000, "passes": samples, "undecided": 2, "claims": 3}
    return State(samples=samples, **{**facts, **changes})


class TestWords:
    def test_a_wide_terminal_shows_everything(self) -> None:
        text = describe(state(), rate=50, room=160, encoding="utf-8")
        assert re.fullmatch(
            r"\|█{12} {12}\| 'cat' in 'cat\.png': 500/1,000 samples, 50 images/s, 2 of 3 claims undecided, "
            r"at most 00:10 left",
            text,
        )

    @pytest.mark.parametrize(
        ("room", "text"),
        [
            (78, "500/1,000 samples, 50 images/s, 2 of 3 claims undecided, at most 00:10 left"),
            (74, "500/1,000, 50/s, 2 undecided, ≤ 00:10"),
            (44, "500/1,000, 50/s, 2 undecided, ≤ 00:10"),
            (25, "500/1,000, ≤ 00:10"),
            (19, ""),
        ],
    )
    def test_a_narrower_one_shows_less(self, room: int, text: str) -> None:
        assert describe(state(), rate=50, room=room, encoding="utf-8").rpartition("| ")[2] == text

    def test_one_claim_is_one(self) -> None:
        text = describe(state(undecided=1, claims=1), rate=50, room=78, encoding="utf-8")
        assert "1 of 1 claim undecided" in text

    @pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
    @pytest.mark.parametrize("label", ["'cat' in 'cat.png'", "'猫猫猫' in '猫.png'", "'a\x1b[2Jb\n' in '\udcff'"])
    def test_never_more_than_there_is_room_for(self, label: str, encoding: str) -> None:
        for room in range(200):
            text = describe(state(label=label), rate=12345.6, room=room, encoding=encoding)
            text.encode(encoding)
            assert text.isprintable()
            assert disp_len(text) <= room
            assert bool(text) == (room >= 20)

    def test_a_terminal_without_the_signs_gets_ascii(self) -> None:
        told = state(label="'café' in 'cat.png'")
        assert describe(told, rate=50, room=150, encoding="ascii").startswith("|############            | 'caf?' in")
        assert "'café' in" in describe(told, rate=50, room=150, encoding="latin-1")
        assert describe(told, rate=50, room=26, encoding="latin-1") == "500/1,000, <= 00:10"

    def test_without_claims_the_time_left_is_no_bound(self) -> None:
        text = describe(state(undecided=0, claims=0), rate=50, room=60, encoding="utf-8")
        assert text.rpartition("| ")[2] == "500/1,000 samples, 50 images/s, 00:10 left"

    def test_what_is_decided_has_no_time_left(self) -> None:
        text = describe(state(undecided=0), rate=50, room=50, encoding="utf-8")
        assert text.rpartition("| ")[2] == "500/1,000 samples, 50 images/s, decided"

    def test_a_set_counts_its_images_and_all_their_samples(self) -> None:
        text = describe(state(images=8, images_done=2), rate=50, room=90, encoding="utf-8")
        # 500 of this image, and 1000 of each of the five after it.
        assert text == ("image 3/8, 500/1,000 samples, 50 images/s, 2 of 3 claims undecided, at most 01:50 left")
        last = describe(state(samples=1000, images=8, images_done=8), rate=50, room=90, encoding="utf-8")
        assert "image 8/8" in last
        assert "left" not in last

    @pytest.mark.parametrize(("rate", "words"), [(1234.5, "1,234 images/s"), (3.21, "3.2 images/s"), (0.04, "0.04 im")])
    def test_speeds_of_all_sizes(self, rate: float, words: str) -> None:
        assert words in describe(state(), rate=rate, room=120, encoding="utf-8")

    def test_no_speed_and_no_budget_break_nothing(self) -> None:
        text = describe(state(samples=0, most=0), rate=0, room=50, encoding="utf-8")
        assert text.rpartition("| ")[2] == "0/0 samples, 2 of 3 claims undecided"
        assert "9/5 samples" in describe(state(samples=9, most=5), rate=1, room=90, encoding="utf-8")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Writer:
    fullwidth = 80
    width_of_current_line = 0

    def __init__(self) -> None:
        self.written: list[str] = []
        self.error: Exception | None = None

    def write_raw(self, text: str, *, flush: bool) -> None:
        assert flush
        if self.error:
            raise self.error
        self.written.append(text)


class Reporter:
    isatty: Any = staticmethod(lambda: True)


Reporter.__module__ = "_pytest.terminal"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=made))
    return made


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what a run on a terminal is configured as."""
    for name in progress.NO_TERMINAL:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    plugins = {"terminalreporter": Reporter(), "logging": object()}
    made: Any = SimpleNamespace(
        plugins=plugins,
        pluginmanager=SimpleNamespace(get_plugin=plugins.get, hasplugin=plugins.__contains__),
        verbosity=0,
        ini={"log_cli": False},
        options={},
        writer=Writer(),
    )
    made.get_verbosity = lambda: made.verbosity
    made.getini = made.ini.__getitem__
    made.getoption = made.options.get
    made.get_terminal_writer = lambda: made.writer
    return made


def drive(bar: Progress, clock: Clock, seconds: float, step: float = 0.001, **facts: Any) -> None:
    """Tell the bar of 100 samples a second."""
    began, end = clock.now, clock.now + seconds
    while clock.now < end:
        bar(state(samples=int((clock.now - began) * 100), **facts))
        clock.now += step


class TestDrawing:
    def test_nothing_in_the_first_second_and_then_ten_times_a_second(self, config: Any, clock: Clock) -> None:
        bar = Progress(config)
        drive(bar, clock, 0.99)
        assert config.writer.written == []
        drive(bar, clock, 2)
        assert 15 <= len(config.writer.written) <= 21
        bar.clear()
        count = len(config.writer.written)
        assert config.writer.written[-1] == progress.BEFORE + progress.AFTER
        # Another check: its first second is as quiet.
        drive(bar, clock, 0.99)
        bar.clear()
        bar.clear()
        assert len(config.writer.written) == count

    def test_speed_of_the_last_seconds_also_where_each_image_counts_anew(self, config: Any, clock: Clock) -> None:
        bar = Progress(config)
        for image in range(3):
            drive(bar, clock, 10, images=3, images_done=image)
        assert re.search(r"3/3, 99\d/1,000, (99|100|101)/s", config.writer.written[-1])

    def test_a_slow_terminal_does_not_get_all_the_time(
        self, config: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        written: list[float] = []

        def write(text: str, *, flush: bool) -> None:
            clock.now += 3
            written.append(clock.now)

        monkeypatch.setattr(config.writer, "write_raw", write)
        drive(Progress(config), clock, 10)
        assert min(later - earlier for earlier, later in itertools.pairwise(written)) >= 3.1

    @pytest.mark.parametrize("error", [OSError("gone"), ValueError("closed")])
    def test_a_terminal_that_is_gone_fails_no_test(self, error: Exception, config: Any, clock: Clock) -> None:
        bar = Progress(config)
        config.writer.error = error
        drive(bar, clock, 3)
        config.writer.error = None
        drive(bar, clock, 3)
        bar.clear()
        assert config.writer.written == []

    def test_a_line_that_is_full_gets_none(self, config: Any, clock: Clock) -> None:
        config.writer.width_of_current_line = 65
        bar = Progress(config)
        drive(bar, clock, 3)
        bar.clear()
        assert config.writer.written == []

    def test_the_widths_are_those_of_now(self, config: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        bar = Progress(config)
        drive(bar, clock, 3)
        # pytest takes a terminal of less than 40 columns for one of 80.
        monkeypatch.setenv("COLUMNS", "30")
        drive(bar, clock, 1)
        (text,) = re.findall(r"7l(.*)\x1b\[K", config.writer.written[-1])
        assert 0 < len(text) < 30
        monkeypatch.setenv("COLUMNS", "10")
        drive(bar, clock, 1)
        assert config.writer.written[-1] == progress.BEFORE + progress.AFTER

    @pytest.mark.parametrize(
        "change",
        [
            lambda config, _: config.plugins.pop("terminalreporter"),
            lambda config, _: config.plugins.update(terminalreporter=SimpleNamespace(isatty=lambda: True)),
            lambda config, _: setattr(config.plugins["terminalreporter"], "isatty", lambda: False),
            lambda config, _: setattr(config.plugins["terminalreporter"], "isatty", False),
            lambda config, _: setattr(config, "verbosity", -1),
            lambda config, _: config.ini.update(log_cli=True),
            lambda config, _: config.options.update(log_cli_level="INFO"),
            lambda _, monkeypatch: monkeypatch.setenv("CI", "true"),
            lambda _, monkeypatch: monkeypatch.setenv("TERM", "dumb"),
            lambda _, monkeypatch: monkeypatch.delenv("TERM"),
            lambda _, monkeypatch: monkeypatch.setattr(sys, "platform", "win32"),
        ],
    )
    def test_no_bar(
        self, change: Callable[[Any, Any], None], config: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        change(config, monkeypatch)
        bar = Progress(config)
        drive(bar, clock, 3)
        bar.clear()
        assert config.writer.written == []

    @pytest.mark.parametrize("isatty", [lambda: True, True])
    @pytest.mark.parametrize("logging", [True, False])
    def test_a_bar_with_other_versions_and_without_the_logging_plugin(
        self, isatty: Any, logging: bool, config: Any, clock: Clock
    ) -> None:
        config.plugins["terminalreporter"].isatty = isatty
        if not logging:
            del config.plugins["logging"], config.ini["log_cli"]
        drive(Progress(config), clock, 3)
        assert config.writer.written

    def test_threads_draw_nothing_and_disturb_nothing(self, config: Any, clock: Clock) -> None:
        bar = Progress(config)
        drive(bar, clock, 3)
        count = len(config.writer.written)

        def work() -> None:
            drive(bar, clock, 3)
            bar.clear()

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert len(config.writer.written) == count
        bar.clear()
        assert len(config.writer.written) == count + 1


class Screen:
    """The part of a terminal that pytest uses: lines that grow downwards, and its cursor."""

    TOKEN = re.compile(r"\x1b\[\??([\d;]*)([A-Za-z])|\x1b\](.*?)(?:\x1b\\|\x07)|\x1b([78])|(.)", re.DOTALL)

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.lines = [""]
        self.row = self.column = 0
        self.saved = (0, 0)
        self.wraps = True
        # What stood on the line whenever the cursor was put back.
        self.shown: list[str] = []

    def feed(self, text: str) -> Screen:
        for digits, command, _, other, sign in self.TOKEN.findall(text):
            if other == "7":
                self.saved = (self.row, self.column)
            elif other == "8":
                self.shown.append(self.lines[self.row])
                assert self.row == self.saved[0], "the bar has moved to another line"
                self.row, self.column = self.saved
            elif command == "K":
                assert digits in ("", "0")
                self.lines[self.row] = self.lines[self.row][: self.column]
            elif command in ("h", "l"):
                assert digits == "7"
                self.wraps = command == "h"
            elif command:
                assert command == "m", f"an unknown sequence: {command}"
            elif sign:
                self._put(sign)
        return self

    def _put(self, sign: str) -> None:
        if sign == "\r":
            self.column = 0
        elif sign == "\n":
            self.row += 1
            self.lines += [""] * (self.row + 1 - len(self.lines))
        elif sign == "\b":
            self.column = max(0, self.column - 1)
        else:
            if self.column == self.columns:
                if self.wraps:
                    self._put("\r")
                    self._put("\n")
                else:
                    self.column -= 1
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + sign + line[self.column + 1 :]
            self.column += 1

    @property
    def text(self) -> str:
        """What is to be read in the end, without the time it took and addresses in memory."""
        read = re.sub("0x[0-9a-f]+", "0x…", "\n".join(line.rstrip() for line in self.lines))
        return re.sub(r"=+(.*) in [\d.]+s =+", r"\1", read)


SUITE = """
import contextlib
import io
import sys
import time

import pytest

from pytest_lime import progress
from pytest_lime.states import State

progress.FIRST, progress.PAUSE = 0.01, 0.005

@pytest.fixture(scope="session")
def bar(pytestconfig):
    return progress.Progress(pytestconfig)

@pytest.fixture
def work(bar):
    def run(seconds=0.04):
        began, count = time.monotonic(), 0
        while time.monotonic() < began + seconds:
            bar(State("'cat' in 'cat.png'", count, 10_000, count, 1, 2))
            time.sleep(0.002)
            count += 1
        bar.clear()

    return run

def test_passes(work):
    work()

def test_fails(work):
    print("printed before", flush=True)
    work()
    print("told before", file=sys.stderr)
    work()
    print("printed after")
    assert 1 == 2

def test_two_checks(work, capfd):
    print("first")
    work()
    print("second")
    work()
    assert capfd.readouterr() == ("first\\nsecond\\n", "")

def test_capsys(work, capsys):
    print("first")
    work()
    print("second")
    assert capsys.readouterr().out == "first\\nsecond\\n"

def test_own_redirection(work):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        print("first")
        work()
        print("second")
        print("third", file=sys.stderr)
    assert out.getvalue() == "first\\nsecond\\nthird\\n"

@pytest.mark.parametrize("number", range(6))
def test_short(work, number):
    work(0.005)

@pytest.mark.parametrize("number", range(2))
def test_more(work, number):
    work(0.04)
"""


@pytest.fixture
def run_in_terminal(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Run `SUITE` with the given arguments and environment in a pseudo-terminal, and return all that came out."""
    import fcntl  # noqa: PLC0415  (not on Windows)
    import struct  # noqa: PLC0415
    import termios  # noqa: PLC0415

    (tmp_path / "test_it.py").write_text(SUITE, encoding="utf-8")
    with contextlib.ExitStack() as stack:

        def run(*arguments: str, columns: int = 80, piped: bool = False, **environment: str) -> str:
            command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "pytest_lime.plugin", *arguments]
            inherited = {
                key: value
                for key, value in os.environ.items()
                if not key.startswith(("PYTEST_", "PY_COLORS", "COLUMNS", "LINES", "FORCE_COLOR", "LC_", "LANG"))
                and key not in progress.NO_TERMINAL
            }
            inherited |= {
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                # The tests of a package that is not installed speak of the one here.
                "PYTHONPATH": str(Path(progress.__file__).parents[1]),
                "TERM": "xterm-256color",
                "PYTHONIOENCODING": "utf-8",
                **environment,
            }
            if piped:
                done = subprocess.run(
                    command, cwd=tmp_path, env=inherited, capture_output=True, timeout=120, check=False
                )
                return done.stdout.decode() + done.stderr.decode()
            ours, theirs = pty.openpty()
            stack.callback(os.close, ours)
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            with subprocess.Popen(command, cwd=tmp_path, env=inherited, stdin=theirs, stdout=theirs, stderr=theirs):
                os.close(theirs)
                out = bytearray()
                # The end is an error on Linux.
                with contextlib.suppress(OSError):
                    while part := os.read(ours, 65536):
                        out += part
            return out.decode(environment.get("PYTHONIOENCODING", "utf-8"))

        yield run


def bars(output: str, columns: int = 80) -> list[str]:
    return [line for line in Screen(columns).feed(output).shown if "/10,000" in line]


def no_bar(output: str) -> bool:
    return "10,000" not in output and "\x1b7" not in output and "\x1b[?7l" not in output


class TestTerminal:
    @pytest.mark.parametrize(
        "arguments",
        [(), ("-s",), ("-v", "--capture=sys"), ("-n0", "-p", "xdist", "--capture=tee-sys")],
    )
    def test_what_is_to_be_read_in_the_end_is_the_same(
        self, arguments: tuple[str, ...], run_in_terminal: Callable[..., str]
    ) -> None:
        drawn, plain = run_in_terminal(*arguments), run_in_terminal(*arguments, CI="1")
        assert no_bar(plain)
        assert len(bars(drawn)) > 10
        if "-s" not in arguments:
            assert any(line.startswith("test_it.py") for line in bars(drawn))
        screen = Screen(80).feed(drawn)
        expected = Screen(80).feed(plain)
        # Under CI pytest cuts fewer words of its own.
        assert screen.text.partition("short test summary")[0] == expected.text.partition("short test summary")[0]
        outcome = r"\d+ failed, \d+ passed"
        assert re.findall(outcome, screen.text) == re.findall(outcome, expected.text) != []
        if "-s" not in arguments:
            caught = screen.text.partition("Captured stdout call")[2]
            assert re.match(r" -+\nprinted before\nprinted after\n-+ Captured stderr call -+\ntold before\n", caught)

    @pytest.mark.parametrize("columns", [50, 200])
    def test_terminals_of_other_widths(self, columns: int, run_in_terminal: Callable[..., str]) -> None:
        output = run_in_terminal(columns=columns)
        shown = bars(output, columns)
        assert shown
        assert max(map(len, shown)) < columns
        assert any("'cat' in 'cat.png'" in line for line in shown) == (columns == 200)

    def test_a_terminal_without_the_signs(self, run_in_terminal: Callable[..., str]) -> None:
        output = run_in_terminal(PYTHONIOENCODING="ascii")
        assert "<= " in output or "at most" in output
        assert "\\u" not in output
        assert bars(output)

    @pytest.mark.parametrize(
        ("arguments", "environment"),
        [
            (("-q",), {}),
            (("-p", "no:terminal"), {}),
            (("-o", "log_cli=true"), {}),
            (("-p", "xdist", "-n1"), {"TERM": "xterm"}),
        ],
        ids=str,
    )
    def test_no_bar(
        self, arguments: tuple[str, ...], environment: dict[str, str], run_in_terminal: Callable[..., str]
    ) -> None:
        assert no_bar(run_in_terminal(*arguments, **environment))

    def test_without_the_plugin_for_logs(self, run_in_terminal: Callable[..., str]) -> None:
        assert bars(run_in_terminal("-p", "no:logging"))

    @pytest.mark.parametrize("arguments", [(), ("-s", "-p", "xdist", "-n1")])
    def test_a_pipe_gets_no_sequence_at_all(
        self, arguments: tuple[str, ...], run_in_terminal: Callable[..., str]
    ) -> None:
        output = run_in_terminal(*arguments, piped=True)
        assert "\x1b" not in output
        assert "1 failed" in output
        assert no_bar(output)
