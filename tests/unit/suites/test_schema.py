"""The JSON Schema of suites: what is published is what the reader takes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pytest_lime
from pytest_lime.cli import main
from pytest_lime.errors import SuiteError
from pytest_lime.options import OPTION_NAMES
from pytest_lime.suites.cases import Case, read_cases
from pytest_lime.suites.claims import CLAIMS
from pytest_lime.suites.reading import read
from pytest_lime.suites.schema import SUITE, json_schema

PUBLISHED = Path(pytest_lime.__file__).with_name("suites.schema.json")
ROOT = Path(__file__).parents[3]
WRITE = "PYTEST_LIME_WRITE_DOCS"


def test_it_is_made_of_what_the_reader_takes() -> None:
    made = json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"
    if WRITE in os.environ:
        PUBLISHED.write_text(made, encoding="utf-8")
    assert PUBLISHED.read_text(encoding="utf-8") == made, f"renew it with {WRITE}=1"


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert capsys.readouterr().out == PUBLISHED.read_text(encoding="utf-8")


def test_it_names_all_claims_with_their_arguments_and_all_options() -> None:
    schema = json_schema()
    claims = schema["$defs"]["claim"]["anyOf"][1]["properties"]
    assert set(claims) == set(CLAIMS)
    assert claims["mass"]["properties"]["region"] == {"$ref": "#/$defs/region"}
    assert claims["top_overlap"]["required"] == ["region", "at_least"]
    assert claims["top_overlap"]["properties"]["k"] == {"type": "integer", "default": 4}
    assert claims["faithful"]["type"] == ["object", "null"]
    assert all(claim["description"].endswith(".") for claim in claims.values())
    options = schema["properties"]["defaults"]["properties"]["options"]["properties"]
    assert tuple(options) == OPTION_NAMES
    assert options["segments"] == {"type": "integer"}


def validator() -> Any:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is in the extra 'test'")
    schema = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def examples() -> dict[str, str]:
    """Return every suite of the repository by where it stands."""
    found = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in ROOT.glob("*/**/*.lime.y*ml")}
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        blocks = re.findall(r"^```yaml\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
        found |= {f"{page.name} {number}": block for number, block in enumerate(blocks) if "version: 1" in block}
    return found


EXAMPLES = examples()


def test_there_are_examples() -> None:
    assert sum(name.startswith("suites.md") for name in EXAMPLES) >= 3


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_reader_takes_every_example(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if (ROOT / name).is_file():
        assert read_cases(ROOT / name, name)
        return
    # A page has no pictures.
    monkeypatch.setattr("pytest_lime.suites.cases.find_images", lambda part, folder: [folder / "a.png"])
    path = tmp_path / "test_it.lime.yaml"
    path.write_text(EXAMPLES[name], encoding="utf-8")
    assert read_cases(path, path.name)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_schema_takes_every_example(name: str, tmp_path: Path) -> None:
    path = tmp_path / "test_it.lime.yaml"
    path.write_text(EXAMPLES[name], encoding="utf-8")
    assert list(map(str, validator().iter_errors(read(path, path.name).plain()))) == []


# What is wrong by the schema is wrong to the reader, and the other way round.
WRONG: dict[str, dict[str, Any]] = {
    "unknown key": {"versions": 1},
    "version": {"version": 2},
    "no tests": {"tests": []},
    "no name": {"tests": [{"images": "a.png", "target": 1, "expect": ["predicted"]}]},
    "two forms": {"tests": [{"name": "a", "images": "a.png", "groups": {"a": "a", "b": "b"}, "expect": ["predicted"]}]},
    "half a test": {"tests": [{"name": "a", "images": "a.png"}]},
    "margin of 0": {"tests": [{"name": "a", "groups": {"a": "a", "b": "b"}, "compare": "faithful", "margin": 0}]},
    "share": {"defaults": {"mostly": 1.5}},
    "severity": {"defaults": {"severity": "fatal"}},
    "option": {"defaults": {"options": {"segmentz": 5}}},
    "negative class": {"defaults": {"target": -1}},
    "region": {"regions": {"head": {"box": [1, 2, 3]}}},
    "label missing": {"regions": {"head": {"file": "a.json"}}},
    "regions of regions": {"regions": {"head": {"any": [{"not": {"bocks": []}}]}}},
    "two marks in one": {"defaults": {"marks": [{"skip": "a", "xfail": "b"}]}},
}


@pytest.mark.parametrize("name", WRONG)
def test_reader_and_schema_agree_on_what_is_wrong(name: str, tmp_path: Path) -> None:
    right: dict[str, Any] = {
        "version": 1,
        "tests": [{"name": "a", "images": "a.png", "target": 1, "expect": ["predicted"]}],
    }
    path = tmp_path / "test_it.lime.yaml"
    path.write_text(json.dumps(right), encoding="utf-8")
    SUITE.check(read(path, path.name), "suite")
    path.write_text(json.dumps({**right, **WRONG[name]}), encoding="utf-8")
    with pytest.raises(SuiteError):
        SUITE.check(read(path, path.name), "suite")
    check = validator()
    assert check.is_valid(right)
    assert not check.is_valid({**right, **WRONG[name]})


def test_arguments_of_claims_are_checked_by_both(cases: Callable[[str], list[Case]]) -> None:
    suite = {"name": "a", "images": "cat1.png", "target": 1, "expect": [{"mass": {"region": "whole", "at_leest": 1}}]}
    with pytest.raises(SuiteError, match="claim mass has no key 'at_leest'; the nearest is 'at_least'"):
        cases(json.dumps({"version": 1, "tests": [suite]}))
    assert not validator().is_valid({"version": 1, "tests": [suite]})
