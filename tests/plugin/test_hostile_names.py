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
