"""Provenance: which model it was, and what computed its scores."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pytest_lime import CacheWarning, CallableModel, LimeOptions, TorchModel, provenance
from pytest_lime.cache import Cache
from pytest_lime.provenance import arithmetic_facts, model_facts, weights_sha256
from pytest_lime.streams import Bench
from pytest_lime.testing import FakeModel


def net_of(*values: float) -> torch.nn.Module:
    linear = torch.nn.Linear(3 * 4 * 4, 2)
    with torch.no_grad():
        linear.weight.zero_()
        linear.bias.copy_(torch.tensor(values))
    return torch.nn.Sequential(torch.nn.Flatten(), linear)


def model_of(*values: float) -> TorchModel:
    return TorchModel(net_of(*values), size=(4, 4), labels=["cat", "dog"], mean=0.5, std=0.5)


def facts_of(model: Any, cache: Path | None = None) -> dict[str, Any]:
    return model_facts(Bench(model, LimeOptions(), Cache(cache) if cache else None), 2)


class TestWeights:
    def test_the_hash_is_that_of_the_bytes_that_the_docstring_says(self) -> None:
        data = b"1.bias float32 2\n" + struct.pack("<2f", 1, -2)
        data += b"1.weight float32 2x48\n" + bytes(4 * 96)
        assert weights_sha256(net_of(1, -2)) == hashlib.sha256(data).hexdigest()

    def test_the_layout_in_memory_and_the_device_do_not_count(self) -> None:
        convolution = torch.nn.Conv2d(3, 8, 3)
        before = weights_sha256(convolution)
        convolution.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        assert weights_sha256(convolution) == before

    @pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
    def test_the_type_of_the_numbers_counts(self, dtype: torch.dtype) -> None:
        # Zeros have the same bytes in all types, but not as many.
        assert weights_sha256(net_of(0, 0)) != weights_sha256(net_of(0, 0).to(dtype)) is not None

    def test_buffers_count_and_a_scalar_is_a_tensor(self) -> None:
        norm = torch.nn.BatchNorm2d(2)
        before = weights_sha256(norm)
        assert norm.num_batches_tracked is not None
        norm.num_batches_tracked += 1
        assert weights_sha256(norm) not in (before, None)

    def test_what_has_no_bytes_has_no_hash(self) -> None:
        net = torch.nn.Linear(2, 2)
        net.register_buffer("sparse", torch.eye(2).to_sparse())
        assert weights_sha256(net) is None


class TestModel:
    def test_a_network(self) -> None:
        assert facts_of(model_of(1, 2)) == {
            "name": "TorchModel (Sequential)",
            "sha256": weights_sha256(net_of(1, 2)),
            "input": [4, 4],
            "classes": 2,
        }

    def test_weights_are_hashed_once_as_long_as_they_stay(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        calls: list[torch.nn.Module] = []

        def counting(net: torch.nn.Module) -> str | None:
            calls.append(net)
            return weights_sha256(net)

        monkeypatch.setattr(provenance, "_known", type(provenance._known)())
        monkeypatch.setattr(provenance, "weights_sha256", counting)
        first, again, other = model_of(1, 2), model_of(1, 2), model_of(3, 4)
        hashes = [facts_of(model, tmp_path)["sha256"] for model in (first, first, again, other)]
        assert len(calls) == 2
        assert hashes[0] == hashes[1] == hashes[2] != hashes[3]
        with torch.no_grad():
            first.net[1].bias += 1  # type: ignore[index]
        assert facts_of(first, tmp_path)["sha256"] == weights_sha256(first.net) != hashes[0]
        # Without a cache once for all images of a set.
        bench = Bench(first, LimeOptions())
        calls.clear()
        assert model_facts(bench, 2) == model_facts(bench, 2) == facts_of(first, tmp_path)
        assert len(calls) == 1

    def test_another_run_takes_the_hash_from_the_cache(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        known = type(provenance._known)
        monkeypatch.setattr(provenance, "_known", known())
        first = facts_of(model_of(1, 2), tmp_path)
        monkeypatch.setattr(provenance, "_known", known())
        monkeypatch.setattr(provenance, "weights_sha256", lambda net: pytest.fail("hashed again"))
        assert facts_of(model_of(1, 2), tmp_path) == first

    @pytest.mark.parametrize("facts", [{}, {"sha256": "0"}, {"sha256": 7}])
    def test_a_hash_in_the_cache_that_is_none_is_made_anew(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, facts: dict[str, Any]
    ) -> None:
        known = type(provenance._known)
        monkeypatch.setattr(provenance, "_known", known())
        first = facts_of(model_of(1, 2), tmp_path)
        (entry,) = (tmp_path / "weights").iterdir()
        Cache(tmp_path).put("weights", entry.stem, facts, {})
        monkeypatch.setattr(provenance, "_known", known())
        with pytest.warns(CacheWarning, match="holds no weights"):
            assert facts_of(model_of(1, 2), tmp_path) == first

    def test_others_say_it_themselves_or_not_at_all(self) -> None:
        def classify(batch: Any) -> Any:
            return np.full((len(batch), 2), 0.5)

        model: Any = CallableModel(classify)
        assert facts_of(model) == {"name": "CallableModel", "sha256": None, "input": None, "classes": 2}
        model.sha256 = "0" * 64
        assert facts_of(model)["sha256"] == "0" * 64
        model.sha256 = lambda: "1" * 64
        assert facts_of(model)["sha256"] == "1" * 64

        class Broken(FakeModel):
            @property
            def sha256(self) -> str:
                raise RuntimeError("no")

        assert facts_of(Broken())["sha256"] is None

    @pytest.mark.parametrize("value", ["", "abc", "F" * 64, 7, b"0" * 64])
    def test_what_is_no_hash_is_not_told(self, value: Any) -> None:
        model: Any = FakeModel()
        model.sha256 = value
        assert facts_of(model)["sha256"] is None


def test_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(FakeModel(), LimeOptions(precision="float32"))
    facts = arithmetic_facts(bench)
    assert facts["device_name"]
    assert {**facts, "device_name": ""} == {
        "device": "cpu",
        "device_name": "",
        "precision": "float32",
        "deterministic": False,
        "threads": torch.get_num_threads(),
    }
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    assert arithmetic_facts(bench)["deterministic"] is True
