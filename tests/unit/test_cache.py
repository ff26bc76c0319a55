"""The cache: entries come back whole or not at all, and nothing that is wrong with it is an error."""

import errno
import math
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from pytest_lime import cache as module
from pytest_lime.cache import Cache, digest
from pytest_lime.errors import CacheWarning

KEY = digest("a key")
HOUR = 3600


def entry_path(cache: Cache, key: str = KEY) -> Path:
    return cache.folder / "samples" / f"{key}.entry"


def put(cache: Cache, key: str, size: int = 1000, *, used: float | None = None) -> None:
    """Put an entry of about `size` bytes, used so many seconds ago."""
    cache.put("samples", digest(key), {}, {"data": np.zeros(size, dtype=np.uint8)})
    if used is not None:
        os.utime(entry_path(cache, digest(key)), (time.time() - used,) * 2)


def names(cache: Cache) -> set[str]:
    """Return what lies among the samples: of an entry its short key, of anything else its name."""
    known = {digest(key): key for key in (*"0123456789abc", "old", "same", "more", "small", "large", "new")}
    return {known.get(path.stem, path.name) for path in (cache.folder / "samples").iterdir()}


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


class TestRoundTrip:
    @pytest.mark.parametrize(
        "array",
        [
            np.arange(6, dtype=np.uint8).reshape(2, 3),
            np.linspace(0, 1, 7),
            np.array([np.nan, -0.0, np.inf], dtype=np.float32),
            np.array(3.5),
            np.zeros((0, 3), dtype=np.int64),
            np.arange(24).reshape(4, 6)[::2, ::-3],
            np.asfortranarray(np.arange(6.0).reshape(2, 3)),
            np.array([True, False]),
            np.array([1, 2], dtype=">i4"),
            np.array([1 + 2j], dtype=np.complex64),
            np.array(["cat", "ü"]),
            np.array(["2024-01-02"], dtype="M8[D]"),
        ],
        ids=lambda array: f"{array.dtype}{array.shape}",
    )
    def test_arrays(self, cache: Cache, array: Any) -> None:
        cache.put("samples", KEY, {}, {"first": array, "second": np.arange(3)})
        entry = cache.get("samples", KEY)
        assert entry is not None
        found = entry.arrays["first"]
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        assert found.tobytes() == array.tobytes()
        assert found.flags.writeable
        assert entry.arrays["second"].tolist() == [0, 1, 2]

    def test_no_python_is_parsed(self, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two threads that parse at once may break each other in CPython (gh-106905), and pytest parses, too."""
        cache.put("samples", KEY, {"n": 1}, {"first": np.arange(3)})
        monkeypatch.setattr("builtins.compile", refuse)
        assert cache.get("samples", KEY) is not None

    def test_facts(self, cache: Cache) -> None:
        facts = {"n": 3, "x": 0.1 + 0.2, "none": None, "flag": True, "text": "猫\ud800", "list": [1, {"a": []}]}
        cache.put("samples", KEY, {**facts, "pair": (1, 2)}, {})
        entry = cache.get("samples", KEY)
        assert entry is not None
        assert entry.facts == {**facts, "pair": [1, 2]}
        assert entry.arrays == {}

    def test_kinds_and_keys_are_apart_and_the_last_put_counts(self, cache: Cache) -> None:
        cache.put("samples", KEY, {"n": 1}, {})
        assert cache.get("superpixels", KEY) is None
        assert cache.get("samples", digest("another")) is None
        cache.put("samples", KEY, {"n": 2}, {})
        assert (found := cache.get("samples", KEY)) is not None
        assert found.facts == {"n": 2}

    def test_another_process_finds_it(self, cache: Cache) -> None:
        cache.put("samples", KEY, {"n": 1}, {})
        code = (
            "import sys; from pathlib import Path; from pytest_lime.cache import *\n"
            "print(Cache(Path(sys.argv[1])).get('samples', digest('a key')).facts)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, cache.folder], capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout.strip() == "{'n': 1}"

    @pytest.mark.parametrize(("kind", "key"), [("../samples", KEY), ("", KEY), ("samples", "../a"), ("samples", "")])
    def test_no_name_leads_out_of_the_folder(self, cache: Cache, kind: str, key: str) -> None:
        with pytest.raises(ValueError, match="must be a plain word"):
            cache.put(kind, key, {}, {})
        with pytest.raises(ValueError, match="must be a plain word"):
            cache.get(kind, key)

    def test_what_cannot_be_kept(self, cache: Cache) -> None:
        with pytest.raises(TypeError):
            cache.put("samples", KEY, {"a": object()}, {})
        for array in (np.array([object()]), np.zeros(2, dtype=[("a", "i2"), ("b", "f8")])):
            with pytest.raises(ValueError, match=r"the array 'a' is of .*; numbers, dates and texts can be kept"):
                cache.put("samples", KEY, {}, {"a": array})
        assert not cache.folder.exists()

    def test_repr(self) -> None:
        assert repr(Cache(Path("folder"))) == "Cache('folder')"


class TestFolder:
    def test_it_is_made_at_the_first_put_and_marked_as_a_cache(self, cache: Cache) -> None:
        assert cache.get("samples", KEY) is None
        assert not cache.folder.exists()
        cache.put("samples", KEY, {}, {})
        assert (cache.folder / ".gitignore").read_text(encoding="utf-8").splitlines()[-1] == "*"
        # The first 43 bytes are what the standard asks for.
        signature = b"Signature: 8a477f597d28d172789f06886806bc55"
        assert (cache.folder / "CACHEDIR.TAG").read_bytes()[:43] == signature

    def test_a_folder_that_was_there_is_not_marked(self, tmp_path: Path) -> None:
        Cache(tmp_path).put("samples", KEY, {}, {})
        assert [path.name for path in tmp_path.iterdir()] == ["samples"]


# Two write the same entry again and again, each time other contents of another size.
WRITER = """
import sys, time
from pathlib import Path
import numpy as np
from pytest_lime.cache import Cache, digest
folder, own, until = Path(sys.argv[1]), int(sys.argv[2]), time.time() + float(sys.argv[3])
cache, count = Cache(folder, limit=int(sys.argv[4])), 0
while time.time() < until:
    count += 1
    key = "0" if own < 2 else str(count % 50)
    cache.put("samples", digest(key), {"n": count}, {"data": np.full(2000 + 7000 * (count % 3), count)})
print(count)
"""


def start(folder: Path, own: int, seconds: float, limit: int) -> "subprocess.Popen[str]":
    # A warning in one of them ends it.
    command = [sys.executable, "-W", "error", "-c", WRITER, str(folder), str(own), str(seconds), str(limit)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class TestProcesses:
    def test_a_reader_sees_one_entry_or_another_whole(self, cache: Cache) -> None:
        writers = [start(cache.folder, own, 1.5, 2**30) for own in (0, 1)]
        seen = set()
        while any(writer.poll() is None for writer in writers):
            entry = cache.get("samples", digest("0"))
            if entry is not None:
                count = entry.facts["n"]
                assert isinstance(count, int)
                assert entry.arrays["data"].shape == (2000 + 7000 * (count % 3),)
                assert (entry.arrays["data"] == count).all()
                seen.add(count)
        for writer in writers:
            out, errors = writer.communicate(timeout=60)
            assert (writer.returncode, errors) == (0, "")
            assert int(out) > 10
        assert len(seen) > 10
        assert [path.name for path in (cache.folder / "samples").iterdir()] == [f"{digest('0')}.entry"]

    def test_two_that_make_room_at_once(self, cache: Cache) -> None:
        limit = 1_000_000
        writers = [start(cache.folder, own, 1.0, limit) for own in (2, 3)]
        for writer in writers:
            out, errors = writer.communicate(timeout=60)
            assert (writer.returncode, errors) == (0, "")
            assert int(out) > 50
        # Each counts what it puts itself.
        assert sum(path.stat().st_size for path in (cache.folder / "samples").iterdir()) <= 2 * limit


class TestDamage:
    @pytest.fixture
    def whole(self, cache: Cache) -> bytes:
        cache.put("samples", KEY, {"n": 1}, {"data": np.arange(5), "more": np.zeros((2, 2))})
        return entry_path(cache).read_bytes()

    def check(self, cache: Cache, data: bytes, words: str = "is damaged") -> None:
        path = entry_path(cache)
        path.write_bytes(data)
        with pytest.warns(CacheWarning) as caught:
            assert cache.get("samples", KEY) is None
        (warning,) = caught
        assert words in str(warning.message)
        assert f"{str(path)!r}" in str(warning.message)
        assert str(warning.message).endswith("it is made anew.")
        assert warning.filename == __file__
        assert not path.exists()
        assert cache.get("samples", KEY) is None
        cache.put("samples", KEY, {"n": 2}, {})
        assert cache.get("samples", KEY) is not None

    def test_cut_off_anywhere(self, cache: Cache, whole: bytes) -> None:
        for length in range(0, len(whole), 7):
            self.check(cache, whole[:length])

    def test_any_byte_changed_or_added(self, cache: Cache, whole: bytes) -> None:
        for place in range(0, len(whole), 5):
            foreign = place < len(module.MAGIC)
            changed = whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :]
            self.check(cache, changed, "not written by this version" if foreign else "is damaged")
        self.check(cache, whole + b"\0")

    def test_of_another_version_and_of_another_program(self, cache: Cache, whole: bytes) -> None:
        self.check(cache, whole.replace(b"cache 2", b"cache 1", 1), "not written by this version of pytest-lime")
        self.check(cache, b"\x89PNG", "not written by this version of pytest-lime")

    def test_under_another_name(self, cache: Cache, whole: bytes) -> None:
        cache.put("samples", digest("another"), {}, {})
        self.check(cache, entry_path(cache, digest("another")).read_bytes(), "belongs elsewhere")

    @pytest.mark.parametrize("rest", [b"", b"\xff" * 8, b"\2" + b"\0" * 7 + b"[]", b"\2" + b"\0" * 7 + b"{}"])
    def test_with_a_checksum_of_nonsense(self, cache: Cache, whole: bytes, rest: bytes) -> None:
        self.check(cache, module.MAGIC + module._checksum(memoryview(rest)) + rest)

    @pytest.mark.parametrize(
        "described",
        [
            *('["|O", [1]]', '["<f4", [-2]]', '["<f4", [1]]', '["<f4", [3]]', '["<f4", 2]', '["<f4", [0.5]]'),
            *('["?9", [2]]', '["i4,,i4", [0]]', '["f8,i4", [0]]', '["|V0", [4611686018427387904]]', '["<U0", [1e40]]'),
            *('["<f4", [1180591620717411303424]]', '["<M8[3]", [1]]', '["<f4"]', "[]", "3", "null", '{"a": 1}'),
            *("[" * 100_000, '["%s", []]' % ("x" * 5000)),
        ],
        ids=range(20),
    )
    def test_elements_that_are_not_as_described(self, cache: Cache, whole: bytes, described: str) -> None:
        head = f'{{"kind": "samples", "key": "{KEY}", "facts": {{}}, "arrays": {{"data": {described}}}}}'.encode()
        rest = module.LENGTH.pack(len(head)) + head + bytes(8)
        self.check(cache, module.MAGIC + module._checksum(memoryview(rest)) + rest)

    def test_one_that_cannot_be_removed(self, cache: Cache, whole: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        entry_path(cache).write_bytes(b"")
        monkeypatch.setattr(Path, "unlink", refuse)
        with pytest.warns(CacheWarning, match="made anew"):
            assert cache.get("samples", KEY) is None


def refuse(*_: Any, **__: Any) -> None:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def no_space(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class TestTrouble:
    @pytest.mark.parametrize("inside", [False, True])
    def test_a_file_in_place_of_the_folder(self, tmp_path: Path, *, inside: bool) -> None:
        (tmp_path / "file").write_text("mine", encoding="utf-8")
        cache = Cache(tmp_path / "file" / "inside" if inside else tmp_path / "file")
        assert cache.get("samples", KEY) is None
        with pytest.warns(CacheWarning, match="cannot be used .* goes on without it") as caught:
            cache.put("samples", KEY, {}, {})
        assert len(caught) == 1
        assert caught[0].filename == __file__
        # Once is enough: warnings are errors here.
        cache.put("samples", KEY, {}, {})
        assert cache.get("samples", KEY) is None
        assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"

    @pytest.mark.parametrize(
        ("make", "words"), [(os.mkfifo, "Not a regular file"), (os.mkdir, "Is a directory")], ids=["pipe", "folder"]
    )
    def test_no_file_in_place_of_an_entry(self, cache: Cache, make: Any, words: str) -> None:
        cache.put("samples", KEY, {}, {})
        path = next(cache.folder.rglob("*.entry"))
        path.unlink()
        make(path)
        # A pipe that was opened would keep its reader waiting.
        assert cache.get("samples", KEY) is None
        with pytest.warns(CacheWarning, match=f"cannot be used \\({words}: .*{path.name}'\\); this run goes on"):
            cache.put("samples", KEY, {}, {})
        assert path.exists()
        assert not path.is_file()

    def test_more_than_memory_holds_in_place_of_an_entry(self, cache: Cache) -> None:
        cache.put("samples", KEY, {}, {})
        path = next(cache.folder.rglob("*.entry"))
        os.truncate(path, 2**40)
        with pytest.warns(CacheWarning, match="was not written by this version of pytest-lime; it is made anew"):
            assert cache.get("samples", KEY) is None
        assert not path.exists()

    @pytest.mark.parametrize(
        ("trouble", "words"), [(refuse, "Permission denied"), (no_space, "No space left on device")]
    )
    def test_it_cannot_be_written_to(
        self, cache: Cache, monkeypatch: pytest.MonkeyPatch, trouble: Any, words: str
    ) -> None:
        cache.put("samples", KEY, {"n": 1}, {})
        monkeypatch.setattr(module, "write_atomically", trouble)
        with pytest.warns(CacheWarning, match=words):
            cache.put("samples", digest("another"), {}, {})
        cache.put("samples", digest("another"), {}, {})
        # What is there can still be read.
        assert cache.get("samples", KEY) is not None

    def test_it_cannot_be_read(self, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
        cache.put("samples", KEY, {}, {})
        monkeypatch.setattr(Path, "read_bytes", refuse)
        with pytest.warns(CacheWarning, match="Permission denied"):
            assert cache.get("samples", KEY) is None
        assert cache.get("samples", KEY) is None

    def test_the_time_of_use_cannot_be_set(self, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
        cache.put("samples", KEY, {}, {})
        monkeypatch.setattr(os, "utime", refuse)
        assert cache.get("samples", KEY) is not None


class TestLimit:
    def test_what_was_used_least_recently_goes_first(self, tmp_path: Path) -> None:
        cache = Cache(tmp_path, limit=100_000)
        for number in range(9):
            put(cache, f"{number}", 10_000, used=100 - number)
        # Reading counts as use.
        assert cache.get("samples", digest("0")) is not None
        assert names(cache) == {*"012345678"}
        put(cache, "9", 10_000)
        # Down to nine tenths of the limit, with some bytes for the heads.
        assert names(cache) == {*"03456789"}
        assert 80_000 < sum(path.stat().st_size for path in (tmp_path / "samples").iterdir()) <= 90_000

    def test_the_folder_is_not_looked_through_at_each_put(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(Cache(tmp_path), "old", 5000)
        cache = Cache(tmp_path, limit=10_000)
        scans, scan = [], Cache._scan

        def counted(self: Cache) -> Any:
            scans.append(1)
            return scan(self)

        monkeypatch.setattr(Cache, "_scan", counted)
        for _ in range(20):
            # One entry in place of another of the same size takes no more room.
            put(cache, "same")
        assert len(scans) == 1
        put(cache, "more", 4000)
        assert len(scans) == 2
        assert names(cache) == {"same", "more"}

    def test_what_another_process_removed_makes_room(self, tmp_path: Path) -> None:
        cache = Cache(tmp_path, limit=5000)
        put(cache, "a", 3000)
        entry_path(cache, digest("a")).unlink()
        put(cache, "b", 2500)
        put(cache, "c", 1500)
        assert names(cache) == {"b", "c"}

    def test_an_entry_larger_than_the_limit_is_not_kept(self, tmp_path: Path) -> None:
        cache = Cache(tmp_path, limit=5000)
        put(cache, "small")
        put(cache, "large")
        put(cache, "large", 6000)
        # Neither is what was there before.
        assert names(cache) == {"small"}

    def test_the_newest_entry_stays_though_it_takes_more_than_nine_tenths(self, tmp_path: Path) -> None:
        cache = Cache(tmp_path, limit=5000)
        put(cache, "old")
        put(cache, "new", 4600)
        assert names(cache) == {"new"}

    @pytest.mark.parametrize("gone", [True, False])
    def test_an_entry_that_cannot_be_removed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, gone: bool
    ) -> None:
        cache = Cache(tmp_path, limit=5200)
        put(cache, "a", 2000, used=2)
        put(cache, "b", 2000, used=1)
        unlink = Path.unlink

        def stubborn(path: Path, missing_ok: bool = False) -> None:
            if path.stem == digest("a") and gone:
                unlink(path)
            elif path.stem == digest("a"):
                refuse()
            unlink(path, missing_ok)

        monkeypatch.setattr(Path, "unlink", stubborn)
        put(cache, "c", 2000)
        assert names(cache) == ({"b", "c"} if gone else {"a", "c"})

    def test_files_of_others_and_links_stay(self, tmp_path: Path) -> None:
        cache = Cache(tmp_path, limit=3000)
        (tmp_path / "samples").mkdir()
        for name in ("notes.txt", ".hidden", "sub.entry"):
            path = tmp_path / "samples" / name
            path.mkdir() if name == "sub.entry" else path.write_bytes(b"x" * 5000)
            os.utime(path, (0, 0))
        (tmp_path / "samples" / "link.entry").symlink_to(tmp_path / "samples" / "notes.txt")
        put(cache, "a", 2000)
        put(cache, "b", 2000)
        assert names(cache) == {"notes.txt", ".hidden", "sub.entry", "link.entry", "b"}

    def test_what_a_user_keeps_there_stays(self, tmp_path: Path) -> None:
        # Neither counted, nor evicted, nor swept, whatever its age.
        own = [
            *("data/mine.entry", "data/.draft.entry.bak", "data/.mine.entry.bak", "samples/mine.entry"),
            *(f"samples/{digest('x')}.entry.bak", f"samples/{digest('x').upper()}.entry", f"samples/{digest('x')}"),
            *(f"samples/{digest('x')[1:]}.entry", f"samples/.{digest('x')}.entry.BAK", f"samples/.{digest('x')}.entry"),
        ]
        for name in own:
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"x" * 5000)
            os.utime(path, (0, 0))
        cache = Cache(tmp_path, limit=3000)
        put(cache, "a", 2000)
        put(cache, "b", 2000)
        put(Cache(tmp_path, limit=3000), "c", 2000)
        left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
        assert left == {*own, f"samples/{digest('c')}.entry"}

    def test_what_a_killed_process_left_is_swept(self, tmp_path: Path) -> None:
        put(Cache(tmp_path), "a")
        left = [tmp_path / "samples" / f".{digest('a')}.entry.{name}" for name in ("0ld_abcd", "new0_xyz")]
        for path, age in zip(left, (2 * HOUR, HOUR / 2), strict=True):
            path.write_bytes(b"half")
            os.utime(path, (time.time() - age,) * 2)
        cache = Cache(tmp_path)
        assert cache.get("samples", digest("a")) is not None
        assert all(path.exists() for path in left)
        put(cache, "b")
        assert [path.exists() for path in left] == [False, True]


PARTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=6,
)


def told(part: Any) -> str:
    """What tells a part from any other: `repr` does, but for the order of dictionaries and the kinds of NaN."""
    if isinstance(part, dict):
        return f"dict{sorted((key, told(value)) for key, value in part.items())}"
    if isinstance(part, list | tuple):
        return f"{type(part).__name__}{[told(inner) for inner in part]}"
    return part.hex() if isinstance(part, float) and not math.isnan(part) else repr(part)


class TestDigest:
    @given(PARTS, PARTS)
    def test_equal_digests_are_equal_parts(self, first: Any, second: Any) -> None:
        assert (digest(first) == digest(second)) == (told(first) == told(second))

    @given(st.lists(st.text(max_size=3), max_size=4), st.lists(st.text(max_size=3), max_size=4))
    def test_groups_are_told_apart(self, first: list[str], second: list[str]) -> None:
        assert (digest(*first) == digest(*second)) == (first == second)
        assert digest(first) != digest(*first)

    @given(arrays_of.arrays(arrays_of.scalar_dtypes(), arrays_of.array_shapes(min_dims=0, min_side=0, max_dims=3)))
    def test_an_array_is_its_dtype_shape_and_elements(self, array: Any) -> None:
        assert digest(array) == digest(np.array(array, order="F")) == digest(array.copy())
        assert digest(array) != digest(array[None])
        assert digest(array) != digest(array.tobytes())
        if array.size:
            changed = array.copy()
            changed.reshape(-1).view(np.uint8)[-1] ^= 1
            assert digest(array) != digest(changed)

    def test_what_is_equal_in_python_is_not_the_same(self) -> None:
        same = [1, 1.0, True, 1 + 0j, "1", b"1", np.int64(1), np.float64(1), np.array(1), np.array([1]), (1,), [1]]
        same += [
            np.array([1], dtype=np.int32),
            np.array([1], dtype=">i8"),
            {1: 1},
            {1: True},
            {True: 1},
            None,
            0.0,
            -0.0,
        ]
        assert len({digest(part) for part in same}) == len(same)
        assert len({digest(), digest(()), digest(None), digest([]), digest({}), digest("")}) == 6

    def test_fields_of_structured_arrays_have_names(self) -> None:
        first, second = (np.zeros(2, dtype=[(name, "i4"), ("b", "i4")]) for name in "ac")
        assert digest(first) != digest(second)

    def test_the_digest_does_not_change_from_run_to_run(self) -> None:
        parts = ({"b": 1, "a": (2.5, None)}, np.arange(3, dtype="<i2"))
        code = (
            "import numpy as np; from pytest_lime.cache import digest\n"
            f"print(digest({parts[0]}, np.arange(3, dtype='<i2')))"
        )
        for seed in ("1", "2"):
            done = subprocess.run(
                [sys.executable, "-c", code],
                env={**os.environ, "PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            )
            assert done.stdout.strip() == digest(*parts)

    @pytest.mark.parametrize(
        "part",
        [
            object(),
            {1, 2},
            Path("a"),
            np.array([None]),
            np.ma.masked_array([1], [True]),
            [lambda: 0],
            type("S", (str,), {})(),
        ],
        ids=lambda part: type(part).__name__,
    )
    def test_anything_else_is_refused(self, part: Any) -> None:
        with pytest.raises(TypeError, match="is no array, text, number"):
            digest(part)


def test_no_warning_where_all_is_well(cache: Cache) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        put(cache, "a")
        assert cache.get("samples", digest("a")) is not None
