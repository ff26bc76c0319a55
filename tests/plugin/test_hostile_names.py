"""Names that are long, hold markup or are no text at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., pytest.RunResult]
Report = Callable[..., dict[str, dict[str, Any]]]


def test_names_reach_files_and_page_unharmed(
    suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    suite("""
        from pytest_lime.testing import FakeModel

        SCRIPT = "<script>alert(1)</script>"

        @pytest.fixture(scope="session")
        def lime_model():
            return FakeModel(labels=(SCRIPT, "it's \\"quoted\\"", "bird"))

        @pytest.mark.parametrize("name", [SCRIPT, "x" * 300, "../../up", "a/b\\\\c", "été 猫", "'\\"", "%s {0}"])
        def test_it(lime, name):
            lime.check(IMAGE, SCRIPT, predicted(), samples=50)
        """)
    run().assert_outcomes(failed=7)
    records = report()
    assert len(records) == 7
    folder = pytester.path / "lime-report"
    assert "<script>alert" not in (folder / "index.html").read_text(encoding="utf-8")
    for record in records.values():
        slug, _, digits = record["id"].rpartition("-")
        assert len(slug) <= 60
        assert len(digits) == 10
        assert record["target"]["label"] == "<script>alert(1)</script>"
        assert record["pictures"]
    assert {path.parent for path in folder.rglob("*.png")} == {folder / "images"}


def test_an_image_whose_name_is_no_text(suite: Callable[..., None], run: Run, report: Report) -> None:
    suite(r"""
        import os
        from PIL import Image

        def test_it(lime, tmp_path):
            path = os.path.join(os.fsencode(tmp_path), b"caf\xe9.png")
            Image.fromarray(IMAGE).save(open(path, "wb"), "PNG")
            lime.check(os.fsdecode(path), "cat", predicted(), samples=50)
        """)
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    assert list(report()) == ["test_it#0"]


def test_texts_of_a_claim_that_no_encoding_can_hold(
    suite: Callable[..., None], run: Run, report: Report, pytester: pytest.Pytester
) -> None:
    suite(r"""
        from pytest_lime import Claim, Trial, Verdict

        HALF = "half \ud800"

        def verdict():
            return Verdict(
                meaning=f"meaning {HALF}", figure=f"figure {HALF}", note=f"note {HALF}", estimate=0.5,
                interval=(0.0, 1.0), relation=">=", bound=0.5,
            )

        class Open(Claim):
            name = HALF

            def judge(self, explanation):
                return verdict()

            def __repr__(self):
                return f"text {HALF}"

        class Fails(Open):
            def judge(self, explanation):
                return Verdict(meaning=HALF, estimate=0.0, interval=(0.0, 0.0), relation=">=", bound=1.0)

        class Wordless(Open):
            def judge(self, explanation):
                return HALF

        class Tried(Trial):
            name = HALF

            def conduct(self, lab):
                return verdict()

        def test_open(lime):
            lime.check(IMAGE, "cat", Open(), Tried(), samples=50)

        def test_fails(lime):
            lime.check(IMAGE, "cat", Fails(), samples=50)

        def test_wordless(lime):
            lime.check(IMAGE, "cat", Wordless(), samples=50)

        def test_groups(lime):
            groups = {"one": [IMAGE, IMAGE // 2], HALF: [IMAGE // 3, IMAGE // 4]}
            lime.compare_groups(groups, "cat", Open(), margin=0.1, spread=0.001, samples=50)
        """)
    result = run("--junitxml=junit.xml")
    result.assert_outcomes(failed=2, passed=2, warnings=2)
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    escaped = r"half \ud800"
    result.stdout.fnmatch_lines_random(
        [
            rf"INCONCLUSIVE  cat in array  {escaped} figure {escaped}, *",
            rf"FAIL          cat in array  {escaped} 0, needs at least 1 *",
            rf"E*FAIL: {escaped}",
            rf"E*OptionError: {escaped}.judge returned '{escaped}'; it must return a pytest_lime.Verdict.",
            rf"INCONCLUSIVE  cat           it is open whether {escaped} is alike in 2 groups *",
            rf"*InconclusiveWarning: 2 of 2 claims *: text {escaped}: *",
        ]
    )
    records = report()
    claims = records["test_open#0"]["claims"]
    assert [claim["claim"] for claim in claims] == [escaped, escaped]
    assert {name: claims[0][name] for name in ("text", "meaning", "note")} == {
        name: f"{name} {escaped}" for name in ("text", "meaning", "note")
    }
    assert [group["name"] for group in records["test_groups#0"]["comparison"]["groups"]] == ["one", escaped]
    assert f'value="fail: cat in array: {escaped} 0' in (pytester.path / "junit.xml").read_text(encoding="utf-8")
