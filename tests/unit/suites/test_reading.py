"""YAML whose values know their places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_lime import SuiteError
from pytest_lime.suites import reading
from pytest_lime.suites.reading import Part, read


def parse(folder: Path, text: str | bytes) -> Part:
    path = folder / "a.lime.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read(path, "a.lime.yaml")


def test_values_and_their_places(tmp_path: Path) -> None:
    part = parse(tmp_path, "a: 1\nb:\n  - x\n  - {c: 2.5}\n")
    assert part.plain() == {"a": 1, "b": ["x", {"c": 2.5}]}
    inner = part.value["b"].value[1]
    assert (inner.where, inner.keys["c"].where, inner.value["c"].where) == (
        "a.lime.yaml:4:5",
        "a.lime.yaml:4:6",
        "a.lime.yaml:4:9",
    )
    assert str(inner.error("it is wrong.")) == "a.lime.yaml:4:5: it is wrong."


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("-1_000", -1000),
        ("0x1F", 31),
        ("0", 0),
        ("2.5", 2.5),
        (".5", 0.5),
        ("1.0e-3", 0.001),
        ("true", True),
        ("no", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("2024-01-31", "2024-01-31"),
        ("'no'", "no"),
        ("'1e-3'", "1e-3"),
        ("'010'", "010"),
        ("=", "="),
        ("e5", "e5"),
        ("1e", "1e"),
        ("!!str 12", "12"),
        ("Egyptian cat", "Egyptian cat"),
        ("|\n  two\n  lines\n", "two\nlines\n"),
    ],
)
def test_single_values(tmp_path: Path, text: str, value: Any) -> None:
    found = parse(tmp_path, f"a: {text}").plain()["a"]
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize("python", [False, True])
def test_anchors_aliases_and_merges(tmp_path: Path, python: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if python:
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    part = parse(
        tmp_path,
        """\
a: &one {x: 1, y: 1}
b: &two {y: 2, z: 2}
c: {<<: *one, x: 0}
d:
  <<: [*one, *two]
e: *two
""",
    )
    assert part.plain()["c"] == {"x": 0, "y": 1}
    assert part.plain()["d"] == {"x": 1, "y": 1, "z": 2}
    assert part.plain()["e"] == {"y": 2, "z": 2}
    # What is merged stands where it was written.
    assert part.value["d"].value["z"].where == "a.lime.yaml:2:19"
    assert part.value["d"].keys["z"].where == "a.lime.yaml:2:16"


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    assert parse(tmp_path, b"\xef\xbb\xbfa: 1\n").plain() == {"a": 1}


def test_a_few_lines_that_stand_for_billions_end_soon(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(SuiteError, match="with its aliases written out the file holds more than 200,000 values"):
        parse(tmp_path, "\n".join(lines))


def test_a_large_file_is_no_bomb(tmp_path: Path) -> None:
    part = parse(tmp_path, "\n".join(f"- {{a: {n}, b: x}}" for n in range(10_000)))
    assert len(part.value) == 10_000
    assert reading.MOST >= 100_000


@pytest.mark.parametrize("python", [False, True])
@pytest.mark.parametrize("text", ["[" * 20_000, "- " * 20_000, "a: " + "{a: " * 20_000, "[" * 500 + "]" * 500])
def test_deep_nesting_is_one_sentence(tmp_path: Path, text: str, python: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if python:
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    with pytest.raises(SuiteError, match=r"^a\.lime\.yaml:1:\d+: values are nested more than 100 levels deep; "):
        parse(tmp_path, text)


def test_aliases_within_aliases_are_deep_too(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 3000))]
    with pytest.raises(SuiteError, match="values are nested more than 100 levels deep"):
        parse(tmp_path, "\n".join(lines))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"^a\.lime\.yaml:1:1: the file cannot be read: .+\.$"):
        read(tmp_path / "none", "a.lime.yaml")
