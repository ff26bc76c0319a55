"""Records: names of files, writing that cannot be torn, and reading with care."""

import json
import os
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from pytest_lime import RecordError
from pytest_lime.records import (
    FORMAT,
    PICTURE_PATH,
    RESULTS,
    VERDICTS,
    VERSION,
    count_verdicts,
    file_stem,
    plain,
    read_results,
    verdict_of,
    write_atomically,
    write_results,
)

SAFE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*-[0-9a-f]{10}")


class TestFileStem:
    @pytest.mark.parametrize(
        ("node_id", "slug"),
        [
            ("tests/test_cat.py::test_head", "test-head"),
            ("test_a.py::TestX::test_head[tabby cat-0.5]", "test-head-tabby-cat-0-5"),
            ("test_a.py::test_[]", "test"),
            ("test_a.py::test_Über_große_Katzen", "test-ber-gro-e-katzen"),
            ("test_a.py::猫", "check"),
            ("", "check"),
            ("test_a.py", "test-a-py"),
            ("test_a.py::test_x[../../etc/passwd]", "test-x-etc-passwd"),
            ("test_a.py::" + "a" * 300, "a" * 60),
            ("test_a.py::" + "a" * 59 + "_b", "a" * 59),
            ("test_a.py::test[\x00\n]", "test"),
        ],
    )
    def test_a_readable_slug_of_at_most_60_characters(self, node_id: str, slug: str) -> None:
        stem = file_stem(node_id, 0)
        assert stem[:-11] == slug
        assert SAFE.fullmatch(stem)
        assert PICTURE_PATH.fullmatch(f"images/{stem}.png")

    def test_names_differ_where_the_slug_does_not(self) -> None:
        nodes = ["a.py::test", "b.py::test", "a.py::test[猫]", "a.py::test[犬]", "a.py::Test::test"]
        stems = {file_stem(node, check) for node in nodes for check in range(3)}
        assert len(stems) == 15

    def test_names_do_not_change_from_run_to_run(self) -> None:
        # The hashes are from the command sha256sum.
        assert file_stem("a.py::test", 1) == "test-6b88f8fe59"
        assert file_stem("tests/test_cat.py::test_head[tabby cat]", 0) == "test-head-tabby-cat-be9d50f09a"


class TestVerdicts:
    @pytest.mark.parametrize(
        ("record", "verdict"),
        [
            ({"kind": "check", "status": "pass", "outcome": "passed"}, "pass"),
            ({"kind": "check", "status": "pass", "outcome": "failed"}, "pass"),
            ({"kind": "check", "status": "fail", "outcome": "failed"}, "fail"),
            ({"kind": "check", "status": "fail", "outcome": "passed"}, "fail"),
            ({"kind": "check", "status": "fail", "outcome": "xfailed"}, "expected"),
            ({"kind": "check", "status": "inconclusive", "outcome": "xfailed"}, "inconclusive"),
            ({"kind": "explanation", "status": "fail", "outcome": "failed"}, "explanation"),
            ({"kind": "explanation", "status": "fail", "outcome": "error"}, "explanation"),
            ({"kind": "explanation", "status": "fail", "outcome": "xfailed"}, "explained"),
            ({"kind": "check", "status": "of a later version", "outcome": "failed"}, "inconclusive"),
            ({}, "inconclusive"),
        ],
    )
    def test_what_a_record_is_filed_under(self, record: dict[str, str], verdict: str) -> None:
        assert verdict_of(record) == verdict
        assert verdict in VERDICTS

    def test_counts_hold_every_verdict_the_gravest_first(self) -> None:
        records = [{"status": status, "outcome": "failed"} for status in ("pass", "fail", "pass", "inconclusive")]
        counts = count_verdicts(records)
        assert list(counts) == list(VERDICTS)
        assert {verdict: count for verdict, count in counts.items() if count} == {
            "fail": 1,
            "inconclusive": 1,
            "pass": 2,
        }


@pytest.mark.parametrize(
    ("path", "accepted"),
    [
        ("images/cat-1.png", True),
        ("images/CAT.b.svg", True),
        ("images/../index.html", False),
        ("images/.hidden", False),
        ("images/a/b.png", False),
        ("/etc/passwd", False),
        ("images/", False),
        ("images/cat.png\n", False),
    ],
)
def test_pictures_are_plain_files_in_the_reports_own_folder(path: str, accepted: bool) -> None:
    assert bool(PICTURE_PATH.fullmatch(path)) == accepted


class TestWriting:
    def test_folders_are_made_and_files_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "a" / "b" / "file.txt"
        for data in (b"first", b"second", b""):
            write_atomically(path, data)
            assert path.read_bytes() == data
        assert list(path.parent.iterdir()) == [path]

    def test_the_file_is_as_readable_as_any_other(self, tmp_path: Path) -> None:
        write_atomically(tmp_path / "ours", b"")
        (tmp_path / "other").write_bytes(b"")
        modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours", "other")}
        assert len(modes) == 1

    @pytest.mark.parametrize("exists", [True, False])
    def test_a_link_stays_and_what_it_names_is_replaced(self, tmp_path: Path, *, exists: bool) -> None:
        named, link = tmp_path / "there" / "file.txt", tmp_path / "link"
        named.parent.mkdir()
        if exists:
            named.write_bytes(b"old")
        link.symlink_to(named)
        write_atomically(link, b"new")
        assert link.is_symlink()
        assert named.read_bytes() == b"new"
        assert list(named.parent.iterdir()) == [named]

    @pytest.mark.parametrize("linked", [False, True])
    def test_only_files_are_replaced(self, tmp_path: Path, *, linked: bool) -> None:
        pipe, link = tmp_path / "pipe", tmp_path / "link"
        os.mkfifo(pipe)
        link.symlink_to(pipe)
        with pytest.raises(OSError, match="Not a regular file"):
            write_atomically(link if linked else pipe, b"new")
        assert pipe.is_fifo()
        assert link.is_symlink()
        assert sorted(tmp_path.iterdir()) == [link, pipe]
        with pytest.raises(IsADirectoryError):
            write_atomically(tmp_path, b"new")

    def test_a_link_to_itself(self, tmp_path: Path) -> None:
        (tmp_path / "loop").symlink_to("loop")
        with pytest.raises(OSError, match="symbolic links"):
            write_atomically(tmp_path / "loop", b"new")
        assert (tmp_path / "loop").is_symlink()

    @pytest.mark.parametrize("kind", [OSError, KeyboardInterrupt])
    @pytest.mark.parametrize(("owner", "step"), [(Path, "replace"), (Path, "chmod"), (os, "fdopen")])
    def test_an_interrupted_write_leaves_the_old_file_whole(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[BaseException], owner: Any, step: str
    ) -> None:
        path = tmp_path / "file.txt"
        write_atomically(path, b"old")
        kept = getattr(owner, step)

        def interrupt(first: Any, *arguments: Any, **options: Any) -> Any:
            if step == "fdopen":
                kept(first, *arguments, **options).close()
            raise kind("interrupted")

        with monkeypatch.context() as patch:
            patch.setattr(owner, step, interrupt)
            with pytest.raises(kind, match="interrupted"):
                write_atomically(path, b"new")
        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]

    def test_results_come_back_as_they_went(self, tmp_path: Path) -> None:
        results = {"format": FORMAT, "version": VERSION, "records": [{"label": "猫", "weight": 0.1 + 0.2}]}
        path = write_results(results, tmp_path / "report")
        assert path == tmp_path / "report" / RESULTS
        assert read_results(tmp_path / "report") == results
        assert "猫" in path.read_text(encoding="utf-8")
        # A line a record, which tools that go by lines can search.
        assert '{"label":"猫","weight":0.30000000000000004}' in path.read_text(encoding="utf-8").splitlines()
        assert read_results(write_results({**results, "records": []}, tmp_path / "empty").parent)["records"] == []

    def test_what_is_no_json_is_never_written(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="JSON"):
            write_results({"weight": float("nan")}, tmp_path)
        assert not list(tmp_path.iterdir())


class TestPlain:
    def test_values_are_those_of_json(self) -> None:
        given: Any = {"pair": (1, 2.5), "none": None, "in": {"a": [True, "猫", "\ud83d\ude00"]}, 3: "three"}
        assert plain(given) == {
            "pair": [1, 2.5],
            "none": None,
            "in": {"a": [True, "猫", "\N{GRINNING FACE}"]},
            "3": "three",
        }

    def test_half_a_surrogate_pair_is_escaped_wherever_it_is(self) -> None:
        found = plain({"a\ud800": ["b\udfff", {"c": "d\udce9"}]})
        assert found == {"a\\ud800": ["b\\udfff", {"c": "d\\udce9"}]}
        json.dumps(found, ensure_ascii=False).encode()

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}])
    def test_what_is_no_json(self, value: object) -> None:
        with pytest.raises((TypeError, ValueError)):
            plain({"value": value})


class TestReading:
    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"", "is damaged"),
            (b'{"format": "pytest-lime", ', "is damaged"),
            (b"\xff\xfe\x00", "is damaged"),
            (b"[]", "was not written by pytest-lime"),
            (b"{}", "was not written by pytest-lime"),
            (b'{"format": "allure", "version": 1}', "was not written by pytest-lime"),
            (b'{"format": "pytest-lime"}', "has version None and this pytest-lime reads 1 and 2"),
            (
                b'{"format": "pytest-lime", "version": 3}',
                "has version 3 and this pytest-lime reads 1 and 2; use the version",
            ),
            (b'{"format": "pytest-lime", "version": true}', "has version True"),
            (b'{"format": "pytest-lime", "version": "2"}', "has version '2'"),
            (b'{"format": "pytest-lime", "version": [2]}', "has version [2]"),
        ],
    )
    def test_other_files(self, tmp_path: Path, data: bytes, words: str) -> None:
        (tmp_path / RESULTS).write_bytes(data)
        with pytest.raises(RecordError) as caught:
            read_results(tmp_path)
        assert words in str(caught.value)
        assert str(tmp_path) in str(caught.value)

    def test_no_report(self, tmp_path: Path) -> None:
        with pytest.raises(RecordError, match=r"holds no results\.json; give the folder of a report"):
            read_results(tmp_path / "nowhere")

    def test_a_file_instead_of_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "index.html").write_text("", encoding="utf-8")
        with pytest.raises(RecordError, match="cannot be read"):
            read_results(tmp_path / "index.html")

    def test_a_folder_instead_of_a_file(self, tmp_path: Path) -> None:
        (tmp_path / RESULTS).mkdir()
        with pytest.raises(RecordError, match="cannot be read: Is a directory"):
            read_results(tmp_path)

    def test_the_version_is_part_of_the_file(self, tmp_path: Path) -> None:
        write_results({"format": FORMAT, "version": VERSION, "records": []}, tmp_path)
        assert json.loads((tmp_path / RESULTS).read_text(encoding="utf-8"))["version"] == 2
