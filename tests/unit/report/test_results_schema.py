"""The published schema of results.json: strict where a wrong value would mislead, open to what later versions add."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pytest_lime
from pytest_lime import Box, Explanation, mass, predicted
from pytest_lime.claims import judge
from pytest_lime.cli import main
from pytest_lime.counts import count_run
from pytest_lime.records import FORMAT, VERSION
from pytest_lime.report.evidence import describe
from pytest_lime.report.method import method_card

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is in the extra 'test'")
PUBLISHED = Path(pytest_lime.__file__).parent / "report" / "results.schema.json"
SCHEMA = json.loads(PUBLISHED.read_text(encoding="utf-8"))
PLACE = {
    "id": "test-cat-0123456789",
    "test": "test_cat.py::test_cat",
    "file": "test_cat.py",
    "line": 7,
    "check": 0,
    "marks": ["slow"],
    "attempt": 1,
    "rerun": "pytest test_cat.py",
    "called": {"file": "test_cat.py", "line": 9},
    "model": {"name": "FakeModel", "sha256": None, "input": [10, 20], "classes": 3},
    "arithmetic": {
        "device": "cpu",
        "device_name": "a processor",
        "precision": "float32",
        "deterministic": False,
        "threads": 1,
    },
    "message": "1 of 2 claims hold",
}


@pytest.fixture(scope="module")
def results(explanation_of: Callable[..., Explanation]) -> dict[str, Any]:
    explanation = explanation_of([0.5, -0.2, 0.1, 0.0, 0.3, -0.4, 0.05, -0.01], error=0.01)
    check = judge(explanation, (mass(Box(0, 0, 10, 10), at_least=0.9), predicted(rank=3)))
    records = [describe(check, extra=PLACE, whole=True)]
    made = {
        "format": FORMAT,
        "version": VERSION,
        "created": "2026-01-01T00:00:00+00:00",
        "command": "pytest",
        "duration": 1.5,
        "environment": {"python": "3.11.7", "device": "cpu"},
        "run": {
            "id": "0123456789ab",
            "exit": "failed",
            "reason": "",
            "git": {"commit": "a" * 40, "branch": "main", "dirty": True},
        },
        "counts": count_run(records, skipped=1, deselected=0),
        "problems": [],
        "method": method_card(records),
        "records": records,
    }
    plain: dict[str, Any] = json.loads(json.dumps(made))
    return plain


def is_valid(results: dict[str, Any]) -> bool:
    return bool(jsonschema.Draft202012Validator(SCHEMA).is_valid(results))


def changed(results: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy in which the value at a path of keys and numbers is another one; `...` takes it away."""
    other = copy.deepcopy(results)
    *parts, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    place: Any = other
    for part in parts:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return other


def test_it_is_a_schema_and_takes_results(results: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert is_valid(results)


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "results"]) == 0
    assert capsys.readouterr().out == PUBLISHED.read_text(encoding="utf-8")
    assert main(["schema", "suites"]) == 0
    suites = capsys.readouterr().out
    assert main(["schema"]) == 0
    assert capsys.readouterr().out == suites


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("version", 1),
        ("format", "other"),
        ("method", ...),
        ("method/does_not_cover", []),
        ("counts/unseen", -1),
        ("counts/pass", ...),
        ("run/exit", "fine"),
        ("run/git/commit", "HEAD"),
        ("run/git/dirty", "no"),
        ("records/0/status", "ok"),
        # The verdict on the check is not that of its claims.
        ("records/0/status", "pass"),
        ("records/0/status", "inconclusive"),
        ("records/0/claims", []),
        ("records/0/claims/0/status", "pass"),
        ("records/0/claims/0/relation", ">"),
        ("records/0/claims/0/interval", [0.1]),
        ("records/0/claims/0/interval", ["0", "1"]),
        ("records/0/claims/0/bound", ...),
        ("records/0/claims/0/path", [[1, 2, 3]]),
        ("records/0/claims/0/path", [[1, 0.1, 0.0, 0.2]] * 49),
        ("records/0/hashes/image", "abc"),
        ("records/0/hashes/image", ...),
        ("records/0/hashes/regions", [None]),
        ("records/0/model/sha256", "A" * 64),
        ("records/0/model", ...),
        ("records/0/arithmetic/deterministic", "yes"),
        ("records/0/called", {"file": "x.py", "line": 0}),
        ("records/0/attempt", 0),
        ("records/0/pictures", {"image": "../secret.png"}),
        ("records/0/pictures", {"image": "https://example.org/a.png"}),
        ("records/0/segments/runs", "0:3 1"),
        ("records/0/weights/0/shares", [1.5]),
        ("records/0/regions/0/area", 2),
        ("records/0/explanation/confidence", 95),
        ("records/0/kind", "comparison"),
        ("records/0/set", {"id": "a", "name": "b", "number": 1, "of": 2, "mostly": 2.0, "status": "pass"}),
    ],
)
def test_what_would_mislead_is_refused(results: dict[str, Any], path: str, value: Any) -> None:
    assert not is_valid(changed(results, path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("news", 1),
        ("run/news", 1),
        ("records/0/news", {"a": 1}),
        ("records/0/claims/0/news", []),
        ("run/git", None),
        ("records/0/called", None),
        ("records/0/claims/0/path", [[10, 0.5, None, 1.0]]),
        ("records/0/pictures", {"without.0.1": "images/a-without.0.1.jpg", "baseline_borders": "images/a.svg"}),
        ("sources", [{"name": "shard-1", "records": 3, "run": None}]),
        ("records/0/attempts", [{"attempt": 1, "status": "fail", "outcome": "rerun", "claims": []}]),
    ],
)
def test_what_may_be_is_taken(results: dict[str, Any], path: str, value: Any) -> None:
    assert is_valid(changed(results, path, value))


def walked(schema: Any, path: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Return every property of the schema with its path."""
    found = []
    if isinstance(schema, dict):
        for name, value in schema.get("properties", {}).items():
            if isinstance(value, dict) and "allOf" not in path and "/then" not in path and "/if" not in path:
                found.append((f"{path}/{name}", value))
        for name, value in schema.items():
            if name not in ("allOf", "if", "then", "else"):
                found += walked(value, f"{path}/{name}")
    return found


def test_every_field_is_described_in_words() -> None:
    properties = walked(SCHEMA)
    assert len(properties) > 150

    def described(schema: dict[str, Any]) -> bool:
        target = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else {}
        first: dict[str, Any] = next(iter(schema.get("anyOf", [])), {})
        return bool(schema.get("description") or target.get("description") or (first and described(first)))

    assert [path for path, schema in properties if not described(schema)] == []


def test_every_definition_is_used() -> None:
    text = json.dumps(SCHEMA)
    assert [name for name in SCHEMA["$defs"] if f'"#/$defs/{name}"' not in text] == []
