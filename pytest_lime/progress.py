"""How far a long check is, to the right of what pytest has printed on the terminal."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator

import pytest

from pytest_lime.errors import count_words
from pytest_lime.states import State

__all__ = ["Progress"]

# Seconds: most checks are over before anyone asks how far they are.
FIRST = 1.0
# Seconds between drawings, of which the last so many give the speed.
PAUSE = 0.1
WINDOW = 50
# Columns that pytest must have left over, and columns of the bar itself, which fills what the words leave.
NARROWEST = 20
SHORTEST_BAR, LONGEST_BAR = 6, 24

# Where escape sequences stay in a log; a notebook, too, gives a terminal and shows them as signs.
NO_TERMINAL = ("CI", "BUILD_NUMBER", "JPY_PARENT_PID")
# The cursor is put back, so pytest writes on as if nothing had been there. Without automatic wrapping nothing
# runs into the next line, even where a test under -s has moved the cursor and pytest does not know.
BEFORE, AFTER = "\x1b7\x1b[?7l", "\x1b[K\x1b[?7h\x1b8"
SIGNS = "█▏≤"


class Progress:
    """The bar of a run: call it with every state of a check, and clear it at the check's end.

    It is drawn on a terminal, after the first second of a check, ten times a second at
    most; not under ``-q``, with live logging, in a worker of pytest-xdist (its output is
    the controller's), from a thread, or beside a plugin that lays out the terminal itself.

    Parameters
    ----------
    config : pytest.Config
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        # Not known before the first state: pytest has set up its terminal by then.
        self._can_draw: bool | None = None
        self._reset()

    def _reset(self) -> None:
        self._next = -math.inf
        self._drawn = False
        # Time and passes of the last drawings; and passes as they were told last, which begin anew with each image.
        self._marks: deque[tuple[float, int]] = deque(maxlen=WINDOW)
        self._told = 0

    def __call__(self, state: State) -> None:
        """Draw `state`, if a drawing is due."""
        now = time.monotonic()
        if now < self._next or not _in_main_thread():
            return
        if self._can_draw is None:
            self._can_draw = _can_draw(self._config)
        if not self._can_draw:
            self._next = math.inf
            return
        first = not self._marks
        before = 0 if first else self._marks[-1][1]
        more = state.passes - self._told
        self._marks.append((now, before + (more if more >= 0 else state.passes)))
        self._told = state.passes
        if first:
            self._next = now + FIRST
            return
        self._write(state)
        # Not from `now`: a slow terminal must not have all the time.
        self._next = time.monotonic() + PAUSE

    def clear(self) -> None:
        """Take the bar away, if there is one; the next state is the first of another check."""
        if _in_main_thread() and self._can_draw:
            if self._drawn:
                self._write(None)
            self._reset()

    def _rate(self) -> float:
        """Return the images a second of the last drawings."""
        (began, before), (ended, after) = self._marks[0], self._marks[-1]
        return (after - before) / max(ended - began, 1e-9)

    def _write(self, state: State | None) -> None:
        """Draw `state` behind the cursor; without one, nothing."""
        writer = self._config.get_terminal_writer()
        try:
            with _uncaptured(self._config):
                text = ""
                if state is not None:
                    # Measured here: while pytest captures, standard output has no width. And pytest takes a
                    # terminal of less than 40 columns for one of 80.
                    columns = min(writer.fullwidth, shutil.get_terminal_size().columns)
                    room = columns - writer.width_of_current_line - 1
                    text = describe(state, self._rate(), room, getattr(sys.stdout, "encoding", None) or "ascii")
                if text or self._drawn:
                    writer.write_raw(f"{BEFORE}{text}{AFTER}", flush=True)
                self._drawn = bool(text)
        except (OSError, ValueError):
            # The terminal is gone, or closed; no test shall fail for a bar.
            self._can_draw = self._drawn = False


def _in_main_thread() -> bool:
    # pytest switches its capture there, and only there.
    return threading.current_thread() is threading.main_thread()


def _can_draw(config: pytest.Config) -> bool:
    """Whether this run has a terminal on which a bar harms nothing."""
    # There is none in a worker of pytest-xdist, and with -p no:terminal.
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return (
        reporter is not None
        # Not one of another plugin, which may draw bars of its own.
        and type(reporter).__module__ == "_pytest.terminal"
        # A method since pytest 8.4, and a plain bool before.
        and (reporter.isatty() if callable(reporter.isatty) else reporter.isatty)
        # There, the sequences used here need a mode that has to be switched on first.
        and sys.platform != "win32"
        and os.environ.get("TERM", "dumb") not in ("dumb", "unknown", "")
        and not any(os.environ.get(name) for name in NO_TERMINAL)
        and config.get_verbosity() >= 0
        and not _logs_live(config)
    )


def _logs_live(config: pytest.Config) -> bool:
    """Whether lines of a log appear on the terminal while a test runs."""
    return config.pluginmanager.hasplugin("logging") and bool(
        config.getini("log_cli") or config.getoption("log_cli_level", None) is not None
    )


@contextlib.contextmanager
def _uncaptured(config: pytest.Config) -> Iterator[None]:
    """Let output reach the terminal, and then go again where it went before."""
    manager = config.pluginmanager.get_plugin("capturemanager")
    streams = sys.stdout, sys.stderr
    try:
        with manager.global_and_fixture_disabled() if manager else contextlib.nullcontext():
            yield
    finally:
        # pytest puts back its own, and a test may have set others, as with contextlib.redirect_stdout.
        sys.stdout, sys.stderr = streams


def describe(state: State, rate: float, room: int, encoding: str) -> str:
    """Return what a terminal of `encoding` shows of `state` in at most `room` columns; nothing where few are left.

    >>> state = State("'cat' in 'cat.png'", samples=1024, most=4000, passes=1030, undecided=2, claims=3)
    >>> describe(state, rate=320.5, room=80, encoding="ascii")
    '1,024/4,000 samples, 320 images/s, 2 of 3 claims undecided, at most 00:10 left'
    >>> describe(state, rate=320.5, room=24, encoding="utf-8")
    '1,024/4,000, ≤ 00:10'
    """
    from tqdm import tqdm  # noqa: PLC0415  (most runs draw no bar)
    from tqdm.utils import disp_len  # noqa: PLC0415

    if room < NARROWEST:
        return ""
    rich = _can_encode(SIGNS, encoding)
    text = next((form for form in _forms(state, rate, "≤" if rich else "<=", encoding) if disp_len(form) <= room), "")
    width = min(LONGEST_BAR, room - disp_len(text) - len("|| "))
    if text and width >= SHORTEST_BAR:
        most = max(1, state.most)
        bar = tqdm.format_meter(
            min(state.samples, most), most, 0, ncols=width, bar_format="{bar}", ascii=False if rich else " #"
        )
        return f"|{bar}| {text}"
    return text


def _forms(state: State, rate: float, at_most: str, encoding: str) -> Iterator[str]:
    """Yield the words for `state`, the longest first."""
    samples = f"{state.samples:,}/{state.most:,}"
    image = f"image {min(state.images_done + 1, state.images)}/{state.images}" if state.images > 1 else ""
    speed = f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"
    left = _time_left(state, rate)
    may_end_sooner = bool(state.claims)
    undecided = f"{state.undecided} of {count_words(state.claims, 'claim')} undecided" if state.undecided else "decided"
    long = [
        image,
        f"{samples} samples",
        f"{speed} images/s" if rate else "",
        undecided if state.claims else "",
        f"{'at most ' if may_end_sooner else ''}{left} left" if left else "",
    ]
    short_left = f"{at_most} {left}" if left and may_end_sooner else left
    short = [
        image.removeprefix("image "),
        samples,
        f"{speed}/s" if rate else "",
        undecided.partition(" of ")[0] + (" undecided" if state.undecided else "") if state.claims else "",
        short_left,
    ]
    # Names come from users: a control sign in one must not reach the terminal.
    label = "".join(sign if sign.isprintable() else "?" for sign in state.label)
    yield f"{label.encode(encoding, 'replace').decode(encoding)}: {_joined(long)}"
    yield _joined(long)
    yield _joined(short)
    yield _joined([short[0], samples, short_left])
    yield _joined([short[0] or samples, short_left])
    yield samples


def _joined(parts: list[str]) -> str:
    return ", ".join(filter(None, parts))


def _time_left(state: State, rate: float) -> str:
    """Return how long it takes to the end of the budget; nothing where that cannot be told, or is no longer asked."""
    from tqdm import tqdm  # noqa: PLC0415

    after_this = max(0, state.images - state.images_done - 1)
    here = 0 if state.claims and not state.undecided else max(0, state.most - state.samples)
    missing = here + after_this * state.most
    return str(tqdm.format_interval(math.ceil(missing / rate))) if rate and missing else ""


def _can_encode(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
