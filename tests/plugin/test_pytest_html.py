"""pytest-html: what its report shows of the checks of each test."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote

import pytest

pytest.importorskip("pytest_html")
Run = Callable[..., pytest.RunResult]
Read = Callable[..., dict[str, list["Block"]]]
TESTS = """
    def test_fails(lime):
        lime.check(IMAGE, "bird", predicted(), samples=50)
        lime.check(IMAGE, "cat", FAILS, predicted(), samples=50)

    def test_passes(lime):
        lime.check(IMAGE, "bird", predicted(), samples=50)

    def test_other():
        pass
    """


class Block(HTMLParser):
    """What is shown of one check."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.picture = b""
        self.link = ""
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        if tag == "img":
            head, _, data = given["src"].partition(",")
            assert head == "data:image/jpeg;base64"
            self.picture = base64.b64decode(data, validate=True)
        if tag == "a":
            self.link = given["href"]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def shown(pytester: pytest.Pytester) -> Read:
    """Read what the report of pytest-html shows of each test."""

    def read(path: str = "out/tests.html") -> dict[str, list[Block]]:
        page = (pytester.path / path).read_text("utf-8")
        found = re.search(r'data-jsonblob="([^"]*)"', page)
        assert found is not None
        tests = json.loads(html.unescape(found[1]))["tests"]
        assert all(extra["format_type"] == "html" for rows in tests.values() for row in rows for extra in row["extras"])
        return {
            name.partition("::")[2]: [Block(extra["content"]) for extra in rows[-1]["extras"]]
            for name, rows in tests.items()
        }

    return read


def test_each_check_has_picture_verdict_and_link(
    suite: Callable[..., None], run: Run, shown: Read, report: Callable[..., Any], pytester: pytest.Pytester
) -> None:
    suite(TESTS)
    for how in ((), ("--self-contained-html",)):
        run("--html=out/tests.html", *how).assert_outcomes(failed=1, passed=2)
        found, records = shown(), report()
        assert {name: len(blocks) for name, blocks in found.items()} == {
            "test_fails": 2,
            "test_passes": 1,
            "test_other": 0,
        }
        assert found["test_fails"][0].text.startswith("PASS bird in array: predicted")
        assert found["test_fails"][1].text.startswith("FAIL cat in array: ")
        for name, blocks in found.items():
            for number, block in enumerate(blocks):
                record = records[f"{name}#{number}"]
                place, _, anchor = unquote(block.link).partition("#")
                assert (pytester.path / "out" / place).resolve() == (pytester.path / "lime-report/index.html").resolve()
                assert anchor == record["id"]
                thumb = record["pictures"].get("thumb")
                assert block.picture == ((pytester.path / "lime-report" / thumb).read_bytes() if thumb else b"")
        assert found["test_fails"][1].picture


def test_a_run_without_a_report_has_no_link(suite: Callable[..., None], run: Run, shown: Read) -> None:
    suite(TESTS)
    run("--html=out/tests.html", "-k", "passes")
    (block,) = shown()["test_passes"]
    assert block.text.startswith("PASS bird in array")
    assert block.link == ""


def test_a_report_that_was_not_written_is_not_linked_to(
    suite: Callable[..., None], run: Run, shown: Read, pytester: pytest.Pytester
) -> None:
    suite(TESTS)
    (pytester.path / "lime-report").mkdir()
    (pytester.path / "lime-report" / "index.html").write_text("not ours", "utf-8")
    run("--html=out/tests.html", "-k", "fails")
    assert [block.link for block in shown()["test_fails"]] == ["", ""]


def test_a_self_contained_report_of_ours_is_linked_to(suite: Callable[..., None], run: Run, shown: Read) -> None:
    suite(TESTS)
    run("--html=out/tests.html", "--lime-self-contained", "--lime-report=a b/c#d", "-k", "fails")
    block = shown()["test_fails"][1]
    assert block.link.startswith("../a%20b/c%23d/index.html#test-fails-")
    assert block.picture


def test_reruns_show_the_attempt_that_counts(
    suite: Callable[..., None], run: Run, shown: Read, report: Callable[..., Any]
) -> None:
    pytest.importorskip("pytest_rerunfailures")
    suite("""
        def test_it(lime):
            lime.check(IMAGE, "cat", predicted(), samples=50)
        """)
    run("--html=out/tests.html", "--reruns=2")
    (block,) = shown()["test_it"]
    assert block.link.endswith(f"#{report()['test_it#0']['id']}")


def test_a_test_that_is_made_twice_links_to_two_cards(
    suite: Callable[..., None], run: Run, shown: Read, report: Callable[..., Any], mode: str
) -> None:
    if mode != "-n2":
        pytest.skip("only --dist each makes one test twice")
    suite("""
        def test_it(lime):
            lime.check(IMAGE, "cat", predicted(), samples=50)
        """)
    run("--html=out/tests.html", "--dist=each")
    # pytest-html itself puts both runs into rows of one test.
    links = {block.link.partition("#")[2] for block in shown()["test_it"]}
    assert len(links) >= 1
    assert "" not in links


@pytest.mark.parametrize("mode", ["bare", "-n2"])
def test_hostile_names_stay_text(suite: Callable[..., None], run: Run, shown: Read) -> None:
    suite("""
        from pytest_lime.testing import FakeModel

        SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>\\"'"

        @pytest.fixture(scope="session")
        def lime_model():
            return FakeModel(labels=(SCRIPT, "dog", "bird"))

        @pytest.mark.parametrize("name", ["猫" * 200, "a\\\\b", "plain"])
        def test_it(lime, name):
            lime.check(IMAGE, SCRIPT, predicted(), samples=50)
        """)
    result = run("--html=out/tests.html")
    result.assert_outcomes(failed=3)
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    blocks = [block for blocks in shown().values() for block in blocks]
    assert len(blocks) == 3
    for block in blocks:
        assert "script" not in block.tags
        assert block.tags.count("img") == 1
        assert "<script>alert(1)</script><img src=x onerror=alert(1)>\"'" in block.text


def test_a_name_that_pytest_html_cannot_read_breaks_no_run(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makeconftest("""
        import pytest
        from pytest_lime.testing import FakeModel

        @pytest.fixture(scope="session")
        def lime_model():
            return FakeModel()
        """)
    from PIL import Image  # noqa: PLC0415

    Image.new("RGB", (32, 32), "red").save(pytester.path / "red.png")
    (pytester.path / "test_it.lime.yaml").write_text(
        "version: 1\ntests:\n  - name: 'C:\\users\\x'\n    images: red.png\n    target: cat\n    expect:\n"
        "      - predicted\n",
        "utf-8",
    )
    result = run("--html=out/tests.html")
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    assert sum(result.parseoutcomes().get(name, 0) for name in ("failed", "passed")) == 1


def test_a_run_without_html_is_as_ever(suite: Callable[..., None], run: Run, pytester: pytest.Pytester) -> None:
    suite(TESTS)
    for arguments in ((), ("-p", "no:html")):
        run(*arguments).assert_outcomes(failed=1, passed=2)
    assert not (pytester.path / "assets").exists()
