"""docs/evidence.md: its recipes give what records hold, and it names no field that is not there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pytest_lime import Box, LimeOptions
from pytest_lime.images import load_image
from pytest_lime.provenance import weights_sha256
from pytest_lime.regions import region_sha256

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")
SCHEMA = json.loads((ROOT / "pytest_lime" / "report" / "results.schema.json").read_text(encoding="utf-8"))


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", re.sub(r"(?m)^  (?=\S|  )", "", PAGE), flags=re.DOTALL)


def test_the_recipe_for_weights() -> None:
    names: dict[str, Any] = {"torch": torch}
    (recipe,) = [block for block in blocks() if "def weights_sha256" in block]
    exec(recipe, names)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    for made in (net, net.to(torch.bfloat16)):
        assert names["weights_sha256"](made) == weights_sha256(made)


def test_the_recipe_for_validating(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    pytest.importorskip("jsonschema", reason="jsonschema is in the extra 'test'")
    (recipe,) = [block for block in blocks() if "jsonschema" in block]
    (tmp_path / "results.schema.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "results.json").write_text('{"format": "other"}', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    exec(recipe, {})
    assert "$.format 'pytest-lime' was expected" in capsys.readouterr().out


def test_the_recipe_for_an_image() -> None:
    import hashlib  # noqa: PLC0415

    (recipe,) = re.findall(r"`(hashlib\.sha256\(repr\(pixels.*?)`", PAGE)
    image = load_image(np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8))
    assert eval(recipe, {"hashlib": hashlib, "pixels": image.pixels}).hexdigest() == image.sha256


def test_the_recipe_for_options_and_regions() -> None:
    import hashlib  # noqa: PLC0415

    (recipe,) = re.findall(r"`(json\.dumps\(options.*?)`", PAGE)
    options = LimeOptions(seed=3)
    text = eval(recipe, {"json": json, "options": options.as_json()})
    assert hashlib.sha256(text.encode()).hexdigest() == options.sha256
    (region,) = re.findall(r"`(Box\(.*?\))`", PAGE)
    assert region_sha256(Box(120, 20, 330, 240), (300, 451)) == hashlib.sha256(region.encode()).hexdigest()


def test_its_tables_name_fields_of_the_schema() -> None:
    whole, record = PAGE.partition("## A record")[::2]
    for text, schema in ((whole, SCHEMA), (record, SCHEMA["$defs"]["record"])):
        cells = re.findall(r"(?m)^\| (`[^|]*`) \|", text)
        named = [name for cell in cells for name in re.findall(r"`([a-z_]+)", cell)]
        assert len(named) >= 8
        assert [name for name in named if name not in schema["properties"]] == []
