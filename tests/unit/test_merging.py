"""Merging of reports: what is joined, what is told, and what a report from elsewhere cannot do."""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pytest_lime.cli import main
from pytest_lime.errors import OptionError, RecordError
from pytest_lime.merging import Merged, merge
from pytest_lime.records import FORMAT, VERSION, file_stem
from pytest_lime.report.method import method_card
from pytest_lime.untrusted import LARGEST_PICTURE

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M0 0h9" stroke="#fff"/></svg>\n'
Report = Callable[..., Path]


def picture(colour: int = 0, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (colour, colour, colour)).save(buffer, kind)
    return buffer.getvalue()


def _paths(one: Any) -> list[str]:
    pictures = one.get("pictures") if isinstance(one, dict) else None
    return list(pictures.values()) if isinstance(pictures, dict) else []


def claim(status: str = "fail", estimate: float = 0.25) -> dict[str, Any]:
    return {
        "claim": "mass",
        "text": "mass(whole(), at_least=0.5)",
        "meaning": "at least 0.5 of the positive weight lies in whole()",
        "status": status,
        "estimate": estimate,
        "interval": [estimate - 0.05, estimate + 0.05],
        "relation": ">=",
        "bound": 0.5,
        "figure": f"{estimate}",
        "samples": 100,
    }


def record(test: str = "test_it.py::test_it", check: int = 0, status: str = "fail", **changes: Any) -> dict[str, Any]:
    return {
        "version": VERSION,
        "id": file_stem(test, check),
        "test": test,
        "check": check,
        "file": test.partition("::")[0],
        "line": 3,
        "rerun": f"pytest {test}",
        "kind": "check",
        "outcome": {"fail": "failed"}.get(status, "passed"),
        "reason": "",
        "status": status,
        "image": {"name": "cat.png", "width": 8, "height": 8, "sha256": "0" * 64},
        "target": {"index": 0, "label": "cat", "score": 0.5, "rank": 1},
        "claims": [claim(status)],
        "explanation": {"superpixels": 4, "samples": 100, "passes": 101, "seconds": 0.5, "device": "cpu"},
        "pictures": {},
        **changes,
    }


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """Write a report, with a picture for each path that a record names."""

    def write(name: str, *records: Any, files: dict[str, bytes] | None = None, **changes: Any) -> Path:
        folder = tmp_path / name
        (folder / "images").mkdir(parents=True)
        results = {
            "format": FORMAT,
            "version": VERSION,
            "created": "2026-01-01T10:00:00+00:00",
            "command": "pytest",
            "duration": 2.0,
            "environment": {"python": "3.12", "device": "cpu"},
            "run": {"id": "0" * 12, "exit": "failed", "reason": "", "git": None},
            "problems": [],
            "records": list(records),
            **changes,
        }
        (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")
        for path in [path for one in records for path in _paths(one)] if files is None else ():
            (folder / path).write_bytes(SVG if path.endswith(".svg") else picture())
        for path, data in (files or {}).items():
            (folder / path).write_bytes(data)
        return folder

    return write


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "merged"


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def written(merged: Merged) -> dict[str, Any]:
    """Return what lies on disk, after a look at whether it is whole."""
    folder = merged.page.parent
    results: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    named = {path for one in results["records"] for path in one["pictures"].values()}
    assert {path for path in tree(folder) if path.startswith("images/")} == named
    page = merged.page.read_text(encoding="utf-8")
    assert all(f'id="{one["id"]}"' in page for one in results["records"])
    assert [path for path in folder.parent.iterdir() if path.name.startswith(".")] == []
    assert results["problems"][-len(merged.told) :] == merged.told or not merged.told
    return results


class TestJoining:
    def test_several_reports_become_one(self, report: Report, out: Path) -> None:
        first = report(
            "a",
            record("test_a.py::test", pictures={"image": "images/a-image.png", "top": "images/a-top.svg"}),
            environment={"python": "3.12", "device": "cpu"},
            run={"id": "1", "exit": "failed", "reason": ""},
            counts={"skipped": 2, "deselected": 1},
            problems=["something"],
        )
        second = report(
            "b",
            record("test_b.py::test", status="pass"),
            environment={"python": "3.13", "device": "cpu"},
            run={"id": "2", "exit": "stopped", "reason": "stopping after 1 failures"},
            duration=5.5,
        )
        merged = merge([first, second, report("empty")], out)
        results = written(merged)
        assert [one["test"] for one in results["records"]] == ["test_a.py::test", "test_b.py::test"]
        assert results["duration"] == 9.5
        assert results["environment"] == {"python": "3.12, 3.13", "device": "cpu"}
        assert (results["run"]["exit"], results["run"]["reason"]) == (
            "stopped",
            f"{second}: stopped, stopping after 1 failures",
        )
        assert len(results["run"]["id"]) == 12
        counts = {name: results["counts"][name] for name in ("fail", "pass", "skipped", "deselected", "excluded")}
        assert counts == {"fail": 1, "pass": 1, "skipped": 2, "deselected": 0, "excluded": 2}
        # What one shard leaves out, another may have made.
        assert sorted(source["deselected"] for source in results["sources"]) == [0, 0, 1]
        assert any("deselected 1 test; whether another report has" in problem for problem in results["problems"])
        assert results["method"] == method_card(results["records"])
        assert [(one["name"], one["records"]) for one in results["sources"]] == [
            (str(first), 1), (str(second), 1), (str(out.parent / "empty"), 0),
        ]  # fmt: skip
        assert results["problems"][0] == f"{first}: something"
        told, deselected = merged.told
        assert deselected == f"'{first}' deselected 1 test; whether another report has them is not known here."
        assert told == f"the reports differ in python: 3.12 in {first}, {out.parent / 'empty'}; 3.13 in {second}."
        assert (out / "images" / "a-top.svg").read_bytes() == SVG

    def test_the_same_check_twice_counts_once(self, report: Report, out: Path) -> None:
        made = record(pictures={"image": "images/x.png"})
        slower = {**made, "explanation": {**made["explanation"], "seconds": 99.0}}
        merged = merge([report("a", made), report("b", slower)], out)
        (one,) = written(merged)["records"]
        assert "attempts" not in one
        assert merged.told == []

    def test_of_two_outcomes_the_later_counts(self, report: Report, out: Path) -> None:
        later = report("a", record(status="pass"), created="2026-01-02T09:00:00+00:00")
        earlier = report("b", record(status="fail"), created="2026-01-02T09:30:00+02:00")
        merged = merge([later, earlier], out)
        (one,) = written(merged)["records"]
        assert (one["status"], one["attempt"]) == ("pass", 2)
        assert one["attempts"] == [
            {
                "attempt": 1,
                "status": "fail",
                "outcome": "failed",
                "claims": [{name: claim()[name] for name in ("claim", "status", "estimate", "interval", "samples")}],
            }
        ]
        (told,) = merged.told
        assert told.startswith(f"1 test of '{earlier}' came out otherwise in '{later}', which was made later")
        assert merged.results["counts"]["rerun"] == 1

    def test_attempts_of_both_are_numbered_on(self, report: Report, out: Path) -> None:
        row = {"attempt": 1, "status": "fail", "outcome": "failed", "claims": []}
        one = report("a", record(attempt=2, attempts=[row]), created="2026-01-01T00:00:00+00:00")
        two = report("b", record(status="pass", attempt=2, attempts=[row]), created="2026-01-02T00:00:00+00:00")
        (found,) = written(merge([two, one], out))["records"]
        assert found["attempt"] == 4
        assert [each["attempt"] for each in found["attempts"]] == [1, 2, 3]

    def test_all_records_of_a_test_are_of_one_run(self, report: Report, out: Path) -> None:
        one = report("a", *(record(check=check) for check in range(3)), created="2026-01-01T00:00:00+00:00")
        two = report("b", *(record(check=check) for check in range(2)), created="2026-01-02T00:00:00+00:00")
        merged = merge([one, two], out)
        assert [each["check"] for each in written(merged)["records"]] == [0, 1]
        assert f"1 check of '{one}' left out, since '{two}' made the test without." in merged.told

    def test_repeats_of_a_test_are_no_attempts(self, report: Report, out: Path) -> None:
        merged = merge([report("a", record(), record(repeat=2, id="another-2"))], out)
        assert len(written(merged)["records"]) == 2

    def test_version_1_is_read(self, report: Report, out: Path) -> None:
        old = report("a", record(version=1), version=1)
        results = json.loads((old / "results.json").read_text())
        for name in ("run", "problems"):
            del results[name]
        (old / "results.json").write_text(json.dumps(results))
        found = written(merge([old], out))
        assert (found["version"], found["run"]["exit"], len(found["records"])) == (VERSION, "failed", 1)

    def test_ids_and_names_that_are_taken(self, report: Report, out: Path) -> None:
        one = report("a", record("test_a.py::test", id="same", pictures={"image": "images/x.png"}))
        two = report("b", record("test_b.py::test", id="SAME", pictures={"image": "images/X.png"}))
        three = report("c", record("test_c.py::test", id="c", pictures={"image": "images/x.png"}))
        (two / "images" / "X.png").write_bytes(picture(200))
        merged = merge([one, two, three], out)
        found = written(merged)["records"]
        assert [each["id"] for each in found] == ["same", "SAME-2", "c"]
        names = [each["pictures"]["image"] for each in found]
        assert names[0] == names[2] == "images/x.png"
        assert names[1].startswith("images/X-")
        assert (out / names[1]).read_bytes() == picture(200)
        assert merged.told == [
            "1 record had the id of another test's and got a number.",
            "1 picture had the name of another one and got one of its own: images/X.png.",
        ]


class TestRefusals:
    """Nothing is written where something is wrong."""

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ('{"format": "pytest-lime", "ver', "is damaged"),
            ("[" * 100_000, "is damaged"),
            ('{"a": ' * 5000, "is damaged"),
            ("[]", "was not written by pytest-lime"),
            (f'{{"format": "pytest-lime", "version": {VERSION + 1}, "records": []}}', f"version {VERSION + 1} "),
            (
                f'{{"format": "pytest-lime", "version": {VERSION}, "records": [{{"version": {VERSION + 1}}}]}}',
                f"holds a record of version {VERSION + 1}, and this pytest-lime reads versions up to {VERSION}",
            ),
            (f'{{"format": "pytest-lime", "version": {VERSION}, "records": [{"9" * 5000}]}}', "is damaged"),
        ],
    )
    def test_a_report_that_cannot_be_read(self, text: str, words: str, report: Report, out: Path) -> None:
        bad = report("bad")
        (bad / "results.json").write_text(text, encoding="utf-8")
        good = report("good", record())
        with pytest.raises(RecordError, match=words) as caught:
            merge([good, bad], out)
        assert str(bad) in str(caught.value)
        assert sorted(path.name for path in out.parent.iterdir()) == ["bad", "good"]
        # What can be read is merged where that is asked for.
        merged = merge([good, bad], out, keep_going=True)
        assert len(written(merged)["records"]) == 1
        assert merged.told[0].startswith(f"left out: '{bad}")
        with pytest.raises(RecordError, match="none of the reports can be read"):
            merge([bad], out, keep_going=True)

    def test_folders_that_are_not_there(self, report: Report, out: Path) -> None:
        artifacts = report("artifacts/one", record()).parent
        file = artifacts / "file"
        file.write_text("")
        for folder, words in {
            out.parent / "gone": "there is no folder",
            out.parent / "shards-*": "the pattern matches nothing",
            out.parent / ("x" * 300): "there is no folder",
            artifacts: r"holds no results.json, but 1 of the folders in it do; give '.*artifacts/\*'",
            artifacts / "one" / "images": "with --lime-report=DIR a run writes one",
            file: "is a file; give the folder of a report",
        }.items():
            with pytest.raises(RecordError, match=words):
                merge([folder], out)
        with pytest.raises(OptionError, match="no report is given"):
            merge([], out)
        assert not out.exists()

    def test_enormous_results_are_told(self, report: Report, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("pytest_lime.untrusted.LARGEST_RESULTS", 10)
        with pytest.raises(RecordError, match="MB at most; split the run that wrote it"):
            merge([report("a", record())], out)

    def test_places_that_are_not_free(self, report: Report, out: Path) -> None:
        one = report("in/one", record())
        before = tree(out.parent)
        (out.parent / "link").symlink_to(one, target_is_directory=True)
        out.write_text("a file")
        (out.parent / "other").mkdir()
        (out.parent / "other" / "notes.txt").write_text("mine")
        (out.parent / "foreign").mkdir()
        (out.parent / "foreign" / "index.html").write_text("whose?")
        for place, words in {
            one: "is one of the reports that are merged",
            out.parent / "link": "is one of the reports that are merged",
            one / "images" / "new": "lies in .*, which is merged",
            one.parent: "holds .*, which is merged and would be replaced",
            out: "is a file; name a folder",
            out.parent / "other": "holds other files and no report",
            out.parent / "foreign": "did not write and will not replace",
        }.items():
            with pytest.raises(OptionError, match=words):
                merge([one], place)
        assert {name: data for name, data in tree(out.parent).items() if name in before} == before

    def test_a_folder_that_is_given_twice_is_taken_once(self, report: Report, out: Path) -> None:
        one = report("a", record())
        merged = merge([one, one / "images" / ".."], out)
        assert len(written(merged)["records"]) == len(merged.results["sources"]) == 1
        assert merged.told == [f"'{one / 'images' / '..'}' is given twice, and taken once."]


class TestReplacing:
    def test_an_old_report_is_replaced_and_what_the_user_keeps_stays(self, report: Report, out: Path) -> None:
        merge([report("old", record("test_old.py::test", pictures={"image": "images/old.png"}))], out)
        (out / "notes.txt").write_text("mine")
        (out / "images" / "mine.png").write_bytes(b"mine")
        (out / "deep").mkdir()
        (out / "deep" / "er.txt").write_text("mine")
        merge([report("new", record("test_new.py::test", pictures={"image": "images/new.png"}))], out)
        files = tree(out)
        kept = {name: files.pop(name) for name in ("notes.txt", "images/mine.png", "deep/er.txt")}
        assert set(kept.values()) == {b"mine"}
        assert {"images/new.png", "index.html", "results.json"} < set(files)
        assert "images/old.png" not in files
        assert b"test_old" not in files["index.html"] + files["results.json"]

    def test_pictures_may_be_the_only_old_files(self, report: Report, out: Path) -> None:
        # Whatever is moved first makes its own folder.
        merge([report("old", record(pictures={"image": "images/old.png"}))], out)
        (out / "index.html").unlink()
        for path in (out / "report.css", out / "report.js", out / "icon.svg"):
            path.unlink()
        merge([report("new", record(pictures={"image": "images/new.png"}))], out)
        assert {"images/new.png", "index.html"} < set(tree(out))
        assert "images/old.png" not in tree(out)

    def test_the_folder_itself_stays(self, report: Report, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        out.mkdir(mode=0o700)
        number = out.stat().st_ino
        monkeypatch.chdir(out)
        for name in ("a", "b"):
            merge([report(name, record())], Path())
            assert Path("index.html").is_file()
            assert (out.stat().st_ino, out.stat().st_mode & 0o777) == (number, 0o700)
            assert not [path for path in out.iterdir() if path.name.startswith(".")]

    def test_a_link_stays_a_link(self, report: Report, out: Path, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        out.symlink_to(tmp_path / "real", target_is_directory=True)
        merge([report("a", record())], out)
        assert out.is_symlink()
        assert (tmp_path / "real" / "index.html").exists()

    @pytest.mark.parametrize("old", [True, False])
    @pytest.mark.parametrize(
        "broken", ["records.write_results", "report.render.render", "merging._replace", "Path.rename"]
    )
    def test_a_failure_leaves_all_as_it_was(
        self, broken: str, old: bool, report: Report, out: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if old:
            merge([report("old", record(pictures={"image": "images/old.png"}))], out)
            (out / "notes.txt").write_text("mine")
        new = report("new", record(pictures={"image": "images/new.png"}))
        before = tree(out.parent)

        def full(*_: Any, **__: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        if broken == "Path.rename":
            rename = Path.rename

            def rename_once(path: Path, target: Path) -> Path:
                # The last file to come, when all others are there.
                if path.parent.name == "new" and target == out / "index.html":
                    full()
                if path.name == "new" and target == out:
                    full()
                return rename(path, target)

            monkeypatch.setattr(Path, "rename", rename_once)
        else:
            monkeypatch.setattr(
                "pytest_lime.merging.write_results" if "write" in broken else f"pytest_lime.{broken}", full
            )
        with pytest.raises(RecordError, match="cannot be written, and is as it was: No space left on device"):
            merge([new], out)
        assert tree(out.parent) == before
        assert [path for path in out.parent.rglob("*") if path.name.startswith(".")] == []

    def test_a_place_that_cannot_be_made(self, report: Report, out: Path) -> None:
        (out.parent / "file").write_text("")
        with pytest.raises(RecordError, match=r"cannot be written: (Not a directory|File exists)"):
            merge([report("a", record())], out.parent / "file" / "deep" / "out")
        merge([report("b", record())], out.parent / "new" / "deep" / "out")
        assert (out.parent / "new" / "deep" / "out" / "index.html").exists()

    def test_a_report_is_as_readable_as_other_files(self, report: Report, out: Path) -> None:
        merge([report("a", record(pictures={"image": "images/x.png"}))], out)
        other = out.parent / "other"
        other.mkdir()
        (other / "file").write_text("")
        assert {path.stat().st_mode for path in out.rglob("*") if path.is_file()} == {(other / "file").stat().st_mode}
        assert out.stat().st_mode == (out / "images").stat().st_mode == other.stat().st_mode


class TestTrust:
    """Records from elsewhere may say anything."""

    @pytest.mark.parametrize(
        "path",
        ["../../secret.png", "/etc/passwd", "images/../../secret.png", "images\\x.png", "images/.x", "images/a/b.png",
         "", "images/x\n.png", "http://x/y.png", 7, None, ["images/x.png"]],
    )  # fmt: skip
    def test_names_that_lead_elsewhere_are_dropped(self, path: Any, report: Report, out: Path, tmp_path: Path) -> None:
        (tmp_path / "secret.png").write_bytes(picture())
        made = report("a", record(pictures={"image": path}), files={})
        merged = merge([made], out)
        (one,) = written(merged)["records"]
        assert one["pictures"] == {}
        assert merged.told == [f"'{made}': 1 picture left out, since no report has one of such a name."]

    @pytest.mark.parametrize("kind", ["../x", "IMAGE", "", "a" * 99, "image.1.2.3", "<b>"])
    def test_kinds_of_pictures_that_nobody_draws_are_dropped(self, kind: str, report: Report, out: Path) -> None:
        made = report("a", record(pictures={kind: "images/x.png", "without.0.1": "images/y.png"}))
        (one,) = written(merge([made], out))["records"]
        assert one["pictures"] == {"without.0.1": "images/y.png"}

    def test_links_that_lead_out_are_refused(self, report: Report, out: Path, tmp_path: Path) -> None:
        (tmp_path / "secret").write_bytes(picture())
        names = ("out", "in", "loop", "pipe", "folder", "gone")
        made = report("a", record(pictures={name: f"images/{name}.png" for name in names}), files={})
        images = made / "images"
        (images / "out.png").symlink_to(tmp_path / "secret")
        (images / "real.png").write_bytes(picture(9))
        (images / "in.png").symlink_to("real.png")
        (images / "loop.png").symlink_to("loop.png")
        if not hasattr(os, "mkfifo"):
            pytest.skip("this system has no pipes that have names")
        os.mkfifo(images / "pipe.png")
        (images / "folder.png").mkdir()
        merged = merge([made], out)
        (one,) = written(merged)["records"]
        assert set(one["pictures"]) == {"in"}
        told = "\n".join(merged.told)
        assert "it is a link that leads out of its folder: images/out.png" in told
        assert "each is no plain file: images/pipe.png, images/folder.png" in told
        assert "it is missing: images/gone.png" in told
        assert "secret" not in (out / "results.json").read_text()
        assert not (out / "images" / "in.png").is_symlink()

        (made / "results.json").rename(tmp_path / "moved.json")
        (made / "results.json").symlink_to(tmp_path / "moved.json")
        with pytest.raises(RecordError, match="is a link that leads out of its folder; give the folder of a report"):
            merge([made], out)

    @pytest.mark.parametrize(
        "data",
        [
            b"<html><script>alert(1)</script></html>",
            b"",
            b"GIF89a" + bytes(100),
            picture()[:40],
            picture(kind="JPEG")[:200],
            SVG.replace(b"<path", b"<script>alert(1)</script><path"),
            SVG.replace(b"<path", b'<path onload="alert(1)"'),
            SVG.replace(b'stroke="#fff"', b'stroke="url(http://x/y)"'),
            SVG.replace(b'stroke="#fff"', b'style="background:url(http://x)"'),
            SVG.replace(b"<path", b'<use href="http://x/y.svg#z"/><path'),
            SVG.replace(b"<path", b'<image href="http://x/y.png"/><path'),
            SVG.replace(b"<path", b'<a href="javascript:alert(1)"/><path'),
            SVG.replace(b"<path", b"<foreignObject/><path"),
            SVG.replace(b"<path", b'<svg xmlns="http://www.w3.org/1999/xhtml"/><path'),
            SVG.replace(b"<path", b"<style>@import 'http://x'</style><path"),
            SVG.replace(b"2000/svg", b"1999/xhtml"),
            b'<!DOCTYPE svg [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + SVG,
            b'<?xml version="1.0" encoding="utf-7"?>' + SVG,
            b'<?xml-stylesheet href="http://x"?>' + SVG,
            SVG.replace(b"<path", b"<g>" * 50 + b"<path").replace(b"</svg>", b"</g>" * 50 + b"</svg>"),
            SVG.replace(b"<path", b'<g id="a"><use href="#a"/></g><path'),
            SVG.decode().encode("utf-16"),
        ],
    )  # fmt: skip
    def test_what_is_no_picture_is_dropped(self, data: bytes, report: Report, out: Path) -> None:
        made = report("a", record(pictures={"top": "images/x.svg"}), files={"images/x.svg": data})
        merged = merge([made], out)
        (one,) = written(merged)["records"]
        assert one["pictures"] == {}
        (told,) = merged.told
        assert told.startswith(f"'{made}': 1 picture left out, since it ")

    def test_a_picture_gets_the_ending_of_what_it_is(self, report: Report, out: Path) -> None:
        files = {"images/x.html": picture(), "images/y.php.png": picture(1), "images/z.png": SVG}
        files["images/w.jpeg"] = picture(kind="JPEG")
        kinds = dict(zip("abcd", files, strict=True))
        (one,) = written(merge([report("a", record(pictures=kinds), files=files)], out))["records"]
        assert list(one["pictures"].values()) == [
            "images/x-html.png", "images/y-php.png", "images/z-png.svg", "images/w.jpg",
        ]  # fmt: skip

    def test_large_pictures_are_dropped(self, report: Report, out: Path) -> None:
        files = {"images/x.png": picture() + bytes(LARGEST_PICTURE)}
        buffer = io.BytesIO()
        Image.new("1", (8000, 8000)).save(buffer, "PNG")
        files["images/y.png"] = buffer.getvalue()
        made = report("a", record(pictures={"image": "images/x.png", "top": "images/y.png"}), files=files)
        merged = merge([made], out)
        assert written(merged)["records"][0]["pictures"] == {}
        assert "has more than 20 MB" in merged.told[0]
        assert "has too many pixels" in merged.told[1]

    @pytest.mark.parametrize(
        ("strange", "words"),
        [
            ({"test": None}, "record 1 names no test"),
            ({"test": ""}, "record 1 names no test"),
            ({"test": ["x"]}, "record 1 names no test"),
            ({"check": "0"}, "record 1 has no number of its check, but '0'"),
            ({"check": True}, "record 1 has no number"),
            ({"check": -1}, "record 1 has no number"),
        ],
    )
    def test_records_that_are_of_nothing_are_named(
        self, strange: dict[str, Any], words: str, report: Report, out: Path
    ) -> None:
        merged = merge([report("a", {**record(), **strange}, record("test_b.py::test"))], out)
        assert len(written(merged)["records"]) == 1
        assert words in merged.told[0]

    def test_strange_values_do_no_harm(self, report: Report, out: Path) -> None:
        deep: Any = 1
        for _ in range(200):
            deep = [deep]
        strange = record() | {
            "id": "../../x", "reason": "half \ud800 \x1b[2J", "status": ["?"], "outcome": {}, "claims": 7, "image": [],
            "target": None, "explanation": "?", "pictures": "none", "meta": deep, "limit": 10**400, "set": 3,
            "attempts": "x", "kind": None,
        }  # fmt: skip
        made = report("a", strange, environment=[1], duration="x", created=5, run=[], counts=3, problems="x", method=1)
        text = (made / "results.json").read_text()
        (made / "results.json").write_text(text.replace('"line": 3', '"line": NaN, "far": 1e999'))
        (one,) = written(merge([made], out))["records"]
        assert one["id"] == file_stem("test_it.py::test_it", 0)
        assert (one["line"], one["far"], one["limit"]) == (None, None, None)
        assert one["reason"] == "half \\ud800 \\x1b[2J"
        assert main(["show", str(out)]) == 0

    def test_long_and_hostile_texts_survive_as_text(self, report: Report, out: Path) -> None:
        hostile = "<script>alert('\"1\"')</script> \u202etxt.exe\u202c " + "x" * 500
        made = record(
            f"test_it.py::test[{hostile}]", id="x", message=hostile, reason=hostile, file=hostile, rerun=hostile,
            image={"name": hostile}, target={"index": 0, "label": hostile},
        )  # fmt: skip
        for each in made["claims"]:
            each |= {"text": hostile, "meaning": hostile, "note": hostile}
        (one,) = written(merge([report("a", made, command=hostile)], out))["records"]
        assert one == made
        assert "<script>alert" not in (out / "index.html").read_text(encoding="utf-8")


class TestCommand:
    def test_what_it_says(
        self, report: Report, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        report("s-1", record("test_a.py::test", pictures={"image": "images/gone.png"}), files={}, duration=3.0)
        report("s-2", record("test_b.py::test", status="pass"), environment={"python": "3.13", "device": "cpu"})
        monkeypatch.chdir(out.parent)
        # Shells of Windows leave patterns as they are.
        assert main(["merge", "s-*", "-o", "merged"]) == 0
        said, told = capsys.readouterr()
        assert said.splitlines()[0] == "2 reports merged, 5.0 s of tests, 3.0 s in the longest"
        assert said.splitlines()[1].startswith("2 checks: 1 failed, 1 passed")
        assert said.splitlines()[2:] == ["run failed", f"report: {out / 'index.html'}"]
        assert told.splitlines() == [
            "pytest-lime: the reports differ in python: 3.12 in s-1; 3.13 in s-2.",
            "pytest-lime: 's-1': 1 picture left out, since it is missing: images/gone.png.",
        ]
        assert main(["show", "merged"]) == 0
        shown = capsys.readouterr().out
        assert "\nrun failed\nproblem: the reports differ in python" in shown

    def test_its_exit_codes(self, report: Report, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
        failed = str(report("a", record()))
        fine = str(report("b", record(status="pass"), run={"exit": "finished"}))
        cut = str(report("c", record("test_c.py::test", status="pass"), run={"exit": "crashed"}))
        assert main(["merge", failed, "-o", str(out)]) == 0
        assert main(["merge", failed, "-o", str(out), "--fail"]) == 1
        assert main(["merge", fine, "-o", str(out), "--fail"]) == 0
        assert main(["merge", fine, cut, "-o", str(out), "--fail"]) == 1
        # Nobody knows what was in a shard that is not there, or in a record that cannot be read.
        gone, broken = str(out.parent / "gone"), str(report("broken", record(), {"status": "fail"}))
        assert main(["merge", fine, gone, "-o", str(out), "--fail", "--keep-going"]) == 1
        assert main(["merge", fine, gone, "-o", str(out), "--keep-going"]) == 0
        assert main(["merge", fine, broken, "-o", str(out), "--fail"]) == 1
        capsys.readouterr()
        assert main(["merge", fine, str(out / "gone"), "-o", str(out)]) == 2
        assert capsys.readouterr().err.startswith("pytest-lime: -o ")
        assert main(["merge", "-o", str(out)]) == 2
        assert capsys.readouterr().err.startswith("pytest-lime: no report is given; ")
