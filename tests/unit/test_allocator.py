"""The allocator: set up once, where nobody else has, and then memory that was freed is kept."""

import ctypes
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_lime import allocator
from pytest_lime.allocator import CHOSEN, keep_pages

# As in glibc's malloc.h.
TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3


class Libc:
    """A C library that writes down how it is set up."""

    def __init__(self) -> None:
        self.given: list[tuple[int, int]] = []
        self.refused: tuple[int, ...] = ()
        self.gnu_get_libc_version: Any = None

    def mallopt(self, name: ctypes.c_int, value: ctypes.c_int) -> int:
        self.given.append((name.value, value.value))
        return int(name.value not in self.refused)


@pytest.fixture
def libc(monkeypatch: pytest.MonkeyPatch) -> Iterator[Libc]:
    """Return the C library of a process on Linux in which nothing was decided yet."""
    made = Libc()
    for name in CHOSEN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(allocator, "ctypes", SimpleNamespace(CDLL=lambda name: made, c_int=ctypes.c_int))
    keep_pages.cache_clear()
    yield made
    keep_pages.cache_clear()


def test_it_is_set_up_once(libc: Libc) -> None:
    assert keep_pages()
    assert {name for name, _ in libc.given} == {TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD}
    values = dict(libc.given)
    # Above the 32 MB at which glibc gives each block pages of its own, and all in the range of a C int.
    assert values[MMAP_THRESHOLD] == values[TRIM_THRESHOLD] > 32 * 2**20
    assert 0 < values[TOP_PAD] < values[TRIM_THRESHOLD] < 2**31
    assert keep_pages()
    assert len(libc.given) == 3


@pytest.mark.parametrize("name", CHOSEN)
def test_whoever_has_chosen_is_left_alone(name: str, libc: Libc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    assert not keep_pages()
    assert libc.given == []


def test_all_ways_to_choose_are_known() -> None:
    own = {f"MALLOC_{name}_" for name in ("TRIM_THRESHOLD", "TOP_PAD", "MMAP_THRESHOLD")}
    assert set(CHOSEN) == {"LD_PRELOAD", "GLIBC_TUNABLES", *own}


@pytest.mark.parametrize("name", CHOSEN)
def test_an_empty_variable_chooses_nothing(name: str, libc: Libc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "")
    assert keep_pages()


@pytest.mark.parametrize("system", ["darwin", "win32", "freebsd14"])
def test_other_systems_are_left_alone(system: str, libc: Libc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", system)
    assert not keep_pages()
    assert libc.given == []


def test_another_c_library_is_left_alone(libc: Libc) -> None:
    # musl has a mallopt, too, which does nothing.
    del libc.gnu_get_libc_version
    assert not keep_pages()
    assert libc.given == []


def test_without_mallopt(libc: Libc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Libc, "mallopt")
    assert not keep_pages()


def test_without_a_c_library(libc: Libc, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: None) -> None:
        raise OSError("no such library")

    monkeypatch.setattr(allocator.ctypes, "CDLL", refuse)  # type: ignore[attr-defined]
    assert not keep_pages()


@pytest.mark.parametrize("name", [TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD])
def test_what_the_library_refuses_is_told(name: int, libc: Libc) -> None:
    libc.refused = (name,)
    assert not keep_pages()


# Megabytes that a process holds on to after a block of 200 MB was freed.
HELD = """
import numpy as np
from pytest_lime.allocator import keep_pages

def held():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 10**6

def holds_on():
    before = held()
    block = np.ones(200 * 10**6, dtype=np.uint8)
    del block
    return held() - before > 100

print(holds_on(), keep_pages(), holds_on())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_what_was_freed_is_kept() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in CHOSEN}
    environment["PYTHONPATH"] = str(Path(allocator.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", HELD], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "False True True"
