"""Fingerprints: every change that scores can depend on is seen, and nothing else is."""

import collections
import contextlib
import copy
import enum
import functools
import importlib
import logging
import math
import os
import pickle
import random
import subprocess
import sys
import textwrap
import threading
import types
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from pytest_lime import CallableModel, ModelError, OnnxModel, OptionError, SklearnModel, TorchModel
from pytest_lime import fingerprint as module
from pytest_lime.fingerprint import fingerprint, state_digest, versions
from pytest_lime.testing import FakeModel, planted_and


class Net(torch.nn.Module):
    """Some of everything: weights, buffers of both kinds, plain attributes, and parts."""

    def __init__(self) -> None:
        super().__init__()
        self.features = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Dropout(0.5)
        )
        self.fc = torch.nn.Linear(4, 5)
        self.scale = 2.0
        self.register_buffer("kept", torch.arange(3.0))
        self.register_buffer("passing", torch.arange(4.0), persistent=False)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.fc(self.features(batch).mean(dim=(2, 3))) * self.scale
        return scores


def make_model(**options: Any) -> TorchModel:
    torch.manual_seed(0)
    return TorchModel(Net(), **{"size": (8, 8), "mean": 0.5, "std": 0.25, **options})


def known(found: str | None) -> str:
    assert found is not None
    assert len(found) == 40
    return found


def told(*parts: Any) -> str:
    return known(state_digest(*parts))


def set_item(tensor: torch.Tensor, index: Any, value: float) -> None:
    tensor.data[index] = value


CHANGES: dict[str, Callable[[Any], Any]] = {
    "weights, past the counter of versions": lambda net: net.fc.weight.data.zero_(),
    "one weight, a little": lambda net: net.fc.weight.data.view(torch.int32)[2, 3].bitwise_xor_(1),
    "two weights that change places": lambda net: net.fc.weight.data.copy_(net.fc.weight.data.flip(0)),
    "two tensors that change places": lambda net: net.features[1].__dict__.update(
        _parameters={"weight": net.features[1].bias, "bias": net.features[1].weight}
    ),
    "a bias of zero that loses its sign": lambda net: set_item(net.features[1].bias, 0, -0.0),
    "a buffer": lambda net: net.features[1].running_mean.add_(1),
    "a buffer that is not saved": lambda net: set_item(net.passing, 1, 7),
    "type of the weights": lambda net: net.double(),
    "shape of a weight": lambda net: setattr(net.fc, "weight", torch.nn.Parameter(net.fc.weight.data[None])),
    "an attribute": lambda net: setattr(net, "scale", 3.0),
    "an attribute of a part": lambda net: setattr(net.features[1], "eps", 1e-3),
    "a part in place of another": lambda net: net.features.__setitem__(2, torch.nn.GELU()),
    "a part that is left out": lambda net: net.features.__delitem__(2),
    "a bias that is left out": lambda net: setattr(net.fc, "bias", None),
    "the order of parts": lambda net: setattr(net, "features", torch.nn.Sequential(*reversed(net.features))),
    "a hook": lambda net: net.fc.register_forward_hook(lambda _, __, scores: scores * 2),
    "a hook before": lambda net: net.fc.register_forward_pre_hook(lambda _, given: given),
    "a method of this object alone": lambda net: setattr(net, "forward", lambda batch: batch.sum((2, 3))),
    "its class": lambda net: setattr(net, "__class__", type("Net", (Net,), {})),
}


class TestNetworks:
    @pytest.mark.parametrize("change", CHANGES)
    def test_what_changes_scores_is_seen(self, change: str) -> None:
        model = make_model()
        before = known(fingerprint(model))
        CHANGES[change](model.net)
        assert known(fingerprint(model)) != before

    @pytest.mark.parametrize(
        "options",
        [
            {"mean": 0.4},
            {"std": 0.3},
            {"size": (8, 9)},
            {"resize": 10},
            {"interpolation": "bicubic"},
            {"channels": 1},
            {"output": "scores"},
            {"labels": list("abcde")},
        ],
    )
    def test_arguments_are_seen(self, options: dict[str, Any]) -> None:
        assert known(fingerprint(make_model(**options))) != known(fingerprint(make_model()))

    @pytest.mark.parametrize(
        "change",
        [
            lambda model: model.net.to(memory_format=torch.channels_last),
            lambda model: model.net.fc.__setattr__("weight", torch.nn.Parameter(model.net.fc.weight.t().clone().t())),
            lambda model: model.net.train(),
            lambda model: model.net.features[3].train(),
            lambda model: model.predict(torch.zeros(1, 3, 8, 8)),
            lambda model: model.to(torch.device("cpu")),
            lambda model: model.net.requires_grad_(False),
            lambda model: model.net(torch.zeros(1, 3, 8, 8)).sum().backward(),
            lambda model: model.net.fc.register_forward_hook(print).remove(),
            lambda model: model.net.register_full_backward_hook(print).remove(),
        ],
        ids=["layout", "strides", "mode", "mode of a part", "use", "place", "no gradient", "gradient", "hook", "back"],
    )
    def test_what_does_not_is_not(self, change: Callable[[TorchModel], Any]) -> None:
        model = make_model()
        before = known(fingerprint(model))
        change(model)
        assert fingerprint(model) == before

    def test_a_model_made_anew_or_copied_is_the_same(self) -> None:
        first, second = make_model(), make_model()
        assert known(fingerprint(first)) == fingerprint(second)
        assert fingerprint(copy.deepcopy(first)) == fingerprint(first)
        assert fingerprint(pickle.loads(pickle.dumps(first))) == fingerprint(first)
        assert fingerprint(make_model(device="cpu")) == fingerprint(first)

    def test_hooks_count_by_what_they_do_and_not_by_their_number(self) -> None:
        def same(*_: Any) -> None: ...

        first, second = Net(), Net()
        second.load_state_dict(first.state_dict())
        first.fc.register_forward_hook(same)
        second.fc.register_forward_hook(print).remove()
        hook = second.fc.register_forward_hook(same)
        assert told(first) == told(second)
        hook.remove()
        second.fc.register_forward_hook(same, with_kwargs=True)
        assert told(first) != told(second)

    def test_the_mode_of_a_network_that_nobody_evaluates_counts(self) -> None:
        net = Net()
        assert told(net) != told(net.eval())
        assert known(state_digest(net, evaluated=net)) == state_digest(net.train(), evaluated=net)

    def test_the_mode_of_what_evaluation_does_not_reach_counts(self) -> None:
        class Always(torch.nn.Sequential):
            def train(self, mode: bool = True) -> "Always":
                return self

        norm = torch.nn.InstanceNorm1d(2, track_running_stats=True)
        net = torch.nn.Sequential(Always(norm), torch.nn.Dropout())
        before = known(state_digest(net.eval(), evaluated=net))
        assert state_digest(net.train(), evaluated=net) == before
        norm.eval()
        assert state_digest(net, evaluated=net) != before

    def test_a_very_deep_network(self) -> None:
        net = torch.nn.Sequential()
        for _ in range(2000):
            net = torch.nn.Sequential(net)
        assert known(state_digest(net, evaluated=net)) == state_digest(net, evaluated=net)

    def test_the_scores_of_a_subclass_may_depend_on_more(self) -> None:
        class Cold(TorchModel):
            temperature = 2.0

            def predict(self, batch: torch.Tensor) -> torch.Tensor:
                return super().predict(batch) / self.temperature

        torch.manual_seed(0)
        model = Cold(Net(), size=(8, 8), mean=0.5, std=0.25)
        before = known(fingerprint(model))
        assert before != fingerprint(make_model())
        model.temperature = 3.0
        assert known(fingerprint(model)) != before
        Cold.temperature = 4.0
        del model.temperature
        assert known(fingerprint(model)) != before

    def test_settings_of_torch_count(self) -> None:
        model = make_model()
        before = fingerprint(model)
        torch.set_float32_matmul_precision("medium")
        try:
            assert known(fingerprint(model)) != before
        finally:
            torch.set_float32_matmul_precision("highest")
        assert fingerprint(model) == before


DTYPES = [
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64, torch.complex128),
    *(torch.int64, torch.int32, torch.int16, torch.uint8, torch.bool, torch.float8_e4m3fn),
]


class TestTensors:
    @pytest.mark.parametrize("dtype", DTYPES, ids=str)
    @pytest.mark.parametrize("count", [1, 3, 511, 4096, 5003])
    def test_one_bit_of_any_type_at_any_place(self, dtype: torch.dtype, count: int) -> None:
        raw = torch.randint(0, 2, (count * dtype.itemsize,), dtype=torch.uint8, generator=torch.manual_seed(0))
        tensor = raw.view(dtype)
        found = {told(tensor)}
        bits = [0] if dtype is torch.bool else [0, 7]
        places = sorted({0, len(raw) // 2, len(raw) - 1})
        for place in places:
            for bit in bits:
                raw[place] ^= 1 << bit
                found.add(told(tensor))
                raw[place] ^= 1 << bit
        assert len(found) == 1 + len(places) * len(bits)

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
    @pytest.mark.parametrize("step", [1, 2])
    def test_signs_that_change_together_do_not_cancel_each_other(self, dtype: torch.dtype, step: int) -> None:
        tensor = torch.ones(5000, dtype=dtype)
        found = {told(tensor)}
        for count in (2, 4, 8, 64, 512, 1024, 5000):
            changed = tensor.clone()
            changed[:count:step] *= -1
            found.add(told(changed))
        assert len(found) == 8

    @given(st.data())
    @settings(max_examples=50, deadline=None)
    def test_elements_that_change_places(self, data: st.DataObject) -> None:
        size = data.draw(st.sampled_from([2, 600, 3000]))
        first, second = data.draw(st.lists(st.integers(0, size - 1), min_size=2, max_size=2, unique=True))
        tensor = torch.arange(size, dtype=torch.float32)
        changed = tensor.clone()
        changed[first], changed[second] = tensor[second], tensor[first]
        assert told(tensor) != told(changed)

    def test_whole_blocks_and_tensors_that_change_places(self) -> None:
        blocks = torch.arange(2048, dtype=torch.float32).split(1024)
        assert told(torch.cat(blocks)) != told(torch.cat(blocks[::-1]))
        assert told(*blocks) != told(*blocks[::-1])
        small = torch.zeros(3), torch.ones(3)
        assert told(*small) != told(*small[::-1])

    def test_zeros_of_other_sizes_and_types(self) -> None:
        shapes = [(0,), (0, 2), (), (1,), (2,), (1, 2), (2, 1), (1024,), (1025,), (2048,)]
        found = {told(torch.zeros(shape, dtype=dtype)) for shape in shapes for dtype in DTYPES}
        assert len(found) == len(shapes) * len(DTYPES)

    @pytest.mark.parametrize(
        "same",
        [
            lambda tensor: tensor.t().contiguous().t(),
            lambda tensor: torch.cat([torch.zeros(1, 40), tensor])[1:],
            lambda tensor: torch.cat([torch.zeros(1), tensor.flatten()])[1:].view(60, 40),
            lambda tensor: tensor.repeat_interleave(2, dim=1)[:, ::2],
            lambda tensor: tensor.clone().requires_grad_(),
            lambda tensor: torch.conj(torch.complex(torch.zeros_like(tensor), -tensor)).imag,
        ],
        ids=["transposed", "offset", "misaligned", "strided", "with a gradient", "negative view"],
    )
    def test_layout_does_not_count(self, same: Callable[[torch.Tensor], torch.Tensor]) -> None:
        tensor = torch.arange(2400.0).view(60, 40) + 1
        assert torch.equal(same(tensor), tensor)
        assert told(same(tensor)) == told(tensor)

    def test_every_bit_pattern_of_nan_is_one_of_its_own(self) -> None:
        patterns = torch.tensor([0x7FC00000, 0x7FC00001, -0x400000], dtype=torch.int32).view(torch.float32)
        assert patterns.isnan().all()
        assert len({told(pattern) for pattern in patterns}) == 3

    def test_in_and_out_of_inference_mode(self) -> None:
        tensor = torch.arange(5000.0)
        with torch.inference_mode():
            inside = told(tensor), told(torch.arange(5000.0))
        assert inside == (told(tensor), told(tensor))

    def test_a_class_of_tensors_and_what_is_written_on_one(self) -> None:
        class Marked(torch.Tensor):
            pass

        plain = torch.ones(2)
        assert told(plain) != told(plain.as_subclass(Marked))
        before = told(plain)
        plain.scale = 2.0  # type: ignore[attr-defined]
        assert told(plain) != before

    @pytest.mark.parametrize(
        "make",
        [
            lambda: torch.zeros(2, device="meta"),
            lambda: torch.eye(2).to_sparse(),
            lambda: torch.nn.LazyLinear(2),
            lambda: torch.jit.script(torch.nn.Linear(2, 2)),
        ],
        ids=["meta", "sparse", "lazy", "script"],
    )
    @pytest.mark.filterwarnings("ignore")
    def test_what_cannot_be_read(self, make: Callable[[], Any]) -> None:
        assert state_digest(make()) is None

    def test_accelerators_sum_the_same_numbers_in_another_way(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tensors = [torch.randn(size, generator=torch.manual_seed(0)) for size in (3, 1024, 5000, 300_000)]
        before = told(*tensors)
        init = module._Sums.__init__

        def elsewhere(self: module._Sums, device: torch.device) -> None:
            init(self, device)
            self._on_cpu, self._at_once = False, 7

        monkeypatch.setattr(module._Sums, "__init__", elsewhere)
        assert told(*tensors) == before

    def test_it_does_not_count_which_tensors_are_on_the_same_device(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tensors = [torch.randn(size, generator=torch.manual_seed(0)) for size in (3, 1024, 5000, 0, 7)]
        before = told(*tensors)
        together = module._on_device
        monkeypatch.setattr(
            module,
            "_on_device",
            lambda tensors, device: (found for tensor in tensors for found in together([tensor], device)),
        )
        assert told(*tensors) == before

    def test_zeros_at_the_end_are_not_taken_for_zeros_in_between(self) -> None:
        orders = (1.0, 0.0, 2.0), (1.0, 2.0, 0.0), (2.0, 0.0, 1.0), (0.0, 2.0, 1.0)
        found = {told(*(torch.tensor([number] * 10) for number in numbers)) for numbers in orders}
        assert len(found) == len(orders)

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
    def test_the_device_does_not_count(self) -> None:
        generator = torch.Generator().manual_seed(0)
        tensors = [torch.randn(size, generator=generator) for size in (3, 1024, 5000, 3_000_000)]
        assert told(*tensors) == told(*(tensor.cuda() for tensor in tensors))
        assert told(*tensors) == told(tensors[0].cuda(), *tensors[1:])


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Slotted:
    __slots__ = ("__hidden", "value")

    def __init__(self, value: Any, hidden: Any = 0) -> None:
        self.value = value
        self.__hidden = hidden


class Plain:
    def __init__(self, **state: Any) -> None:
        self.__dict__.update(state)

    def method(self) -> None: ...


class Words(list[str]):
    pass


Pair = collections.namedtuple("Pair", "first second")


def add(first: Any, second: Any = 1) -> Any:
    return first + second


# In each list all values differ; each is made twice.
DIFFERENT: dict[str, Callable[[], list[Any]]] = {
    "plain": lambda: [
        None,
        False,
        True,
        0,
        1,
        2**80,
        0.0,
        -0.0,
        math.nan,
        1.0,
        1j,
        "",
        "1",
        b"",
        b"1",
        ...,
        NotImplemented,
    ],
    "sequences": lambda: [(), [], {}, set(), frozenset(), (1,), [1], [(1,)], [[1]], ((1,),), ["1"], [1, 2], [2, 1]],
    "nested": lambda: [["a", ["b"]], [["a"], "b"], [["a", "b"]], ["a", "b"], [["tuple", 2]], ("tuple", 2), ["list", 0]],
    "dicts": lambda: [{"a": 1}, {"a": 2}, {"a": [1]}, {"a": {}}, {1: "a"}, {"a": 1, "b": 2}, {"b": 2, "a": 1}],
    "sets": lambda: [{1, 2}, {1}, {"a", "b"}, {("a", 1)}, {Colour.RED}, frozenset({1, 2}), {1.0, 2.0}],
    "numbers": lambda: [1, 1.0, True, np.int64(1), np.float64(1), np.array(1), torch.tensor(1), np.bool_(True)],
    "texts": lambda: ["a", b"a", bytearray(b"a"), Path("a"), PurePosixPath("a"), np.str_("a")],
    "ranges": lambda: [range(3), range(4), range(1, 4), slice(3), slice(1, 3), slice(None, None, 2)],
    "enumerations": lambda: [Colour.RED, Colour.BLUE, 1],
    "torch": lambda: [
        torch.float32,
        torch.float64,
        torch.strided,
        torch.channels_last,
        torch.device("cpu"),
        torch.Size([2]),
    ],
    "devices": lambda: [torch.device("cpu"), torch.device("cuda", 0), torch.device("meta")],
    "arrays": lambda: [
        *(np.zeros(2), np.zeros((2, 1)), np.zeros(2, dtype=np.float32), np.array([0.0, -0.0]), np.array(["a", "b"])),
        *(np.array(["a", "c"], dtype=object), np.array([{}, []], dtype=object), np.zeros(2, dtype=">f8")),
        *(np.zeros(2, dtype=[("a", "f8")]), np.zeros(2, dtype=[("b", "f8")])),
        *(np.ma.masked_array([0.0, 0], [True, False]), np.ma.masked_array([0.0, 0], [False, False])),
    ],
    "objects": lambda: [
        Plain(),
        Plain(a=1),
        Plain(a=2),
        Plain(b=1),
        Plain(a=[1]),
        Slotted(1),
        Slotted(2),
        Slotted(1, 2),
    ],
    "containers": lambda: [
        *(Words(["a"]), ["a"], Pair(1, 2), (1, 2), Pair(2, 1), collections.deque([1]), collections.deque([1], 5)),
        *(
            collections.OrderedDict(a=1),
            {"a": 1},
            collections.defaultdict(lambda: 0, a=1),
            collections.defaultdict(int, a=1),
        ),
        *(types.SimpleNamespace(a=1), types.MappingProxyType({"a": 1, "b": 3}), collections.Counter("aab")),
    ],
    "functions": lambda: [
        *(add, print, len, [1].append, "a".join, "b".join, torch.relu, torch.nn.functional.relu, np.add, np.mean),
        *(
            functools.partial(add, 1),
            functools.partial(add, 2),
            functools.partial(add, second=1),
            functools.lru_cache(add),
        ),
        *(Plain(a=1).method, Plain(a=2).method, Plain.method, int.__add__, (1).__add__, (2).__add__),
    ],
    "classes": lambda: [int, Plain, Slotted, torch.nn.ReLU, torch.nn.GELU, type, collections.OrderedDict],
    "modules": lambda: [math, torch, torch.nn, sys.modules[__name__]],
    "generators": lambda: [np.random.default_rng(1), np.random.default_rng(2), random.Random(1), random.Random(2)],
    "others": lambda: [
        np.dtype("f4"),
        np.dtype("f8"),
        logging.getLogger("a"),
        logging.getLogger("b"),
        list[int],
        list[str],
    ],
}


class TestObjects:
    @pytest.mark.parametrize("kind", DIFFERENT)
    def test_what_differs_is_told_apart_and_what_does_not_is_the_same(self, kind: str) -> None:
        first, second = ([told(value) for value in DIFFERENT[kind]()] for _ in range(2))
        assert len(set(first)) == len(first)
        assert first == second

    def test_shared_and_circular_references(self) -> None:
        def ring(last: int) -> list[Any]:
            made: list[Any] = [1, {"inner": [last]}]
            made[1]["outer"] = made
            return made

        assert told(ring(2)) == told(ring(2)) != told(ring(3))
        # What is one object may be changed in two places at once.
        shared = [1]
        assert told([shared, shared]) != told([[1], [1]])
        node = Plain()
        node.self = node  # type: ignore[attr-defined]
        assert known(state_digest(node))

    def test_the_order_of_attributes_and_of_sets_does_not_count(self) -> None:
        assert told(Plain(a=1, b=2)) == told(Plain(b=2, a=1))
        words = [f"word {number}" for number in range(50)]
        assert told(set(words)) == told({*words[25:], *words[:25]})

    @pytest.mark.parametrize(
        "make",
        [
            lambda: (one for one in [1]),
            lambda: iter([1]).__class__,
            threading.Lock,
            functools.partial(Path(os.devnull).open, "rb"),
            lambda: weakref.ref(Plain),
            sys._getframe,
            lambda: Plain(inner={"deep": [threading.Lock()]}),
            lambda: {threading.Lock()},
            lambda: contextlib.ExitStack().enter_context(memoryview(b"")),
        ],
        ids=["generator", "class", "lock", "file", "weak", "frame", "deep", "in a set", "view"],
    )
    def test_what_has_no_state_to_be_seen(self, make: Callable[[], Any], request: pytest.FixtureRequest) -> None:
        value = make()
        if hasattr(value, "close"):
            request.addfinalizer(value.close)
        # A class of C is known by its name.
        assert (state_digest(value) is None) == (not isinstance(value, type))

    def test_what_fails_when_it_is_looked_at(self) -> None:
        class Angry:
            __slots__ = ("value",)

            def __getattr__(self, name: str) -> Any:
                raise RuntimeError("do not look")

        assert state_digest(Angry()) is None

    def test_what_refers_to_very_much(self, monkeypatch: pytest.MonkeyPatch) -> None:
        much = [[number] for number in range(200)]
        assert known(state_digest(much))
        monkeypatch.setattr(module, "MOST_OBJECTS", 100)
        assert state_digest(much) is None

    def test_what_is_pickled_by_its_name_is_known_where_the_name_says_it(self) -> None:
        # A ufunc of the user's has the name of its function, and nothing else to be told by.
        assert told(np.exp) != told(np.log)
        for factor in (1, 2):
            assert state_digest(np.frompyfunc(lambda value, factor=factor: value * factor, 1, 1)) is None


class TestCode:
    """Of functions and classes that are defined here, in ways that no file tells of."""

    @pytest.mark.parametrize(
        "changed",
        [
            "def f(x, y=1):\n    return x + y * 3",
            "def f(x, y=2):\n    return x + y * 2",
            "def f(x, y=1):\n    return x - y * 2",
            "def f(x, *, y=1):\n    return x + y * 2",
            "def f(x, y=1):\n    return max(x, y * 2)",
            "def f(x, y=1):\n    return x + (lambda: y * 2)()",
            "async def f(x, y=1):\n    return x + y * 2",
        ],
    )
    def test_a_function(self, changed: str) -> None:
        original = "def f(x, y=1):\n    return x + y * 2"
        assert told(defined(original)) == told(defined("# A comment\n\n" + original)) != told(defined(changed))

    def test_constants_and_inner_functions(self) -> None:
        texts = [
            f"def f(x):\n    def g():\n        return x in {{{value}}}\n    return g"
            for value in ("1, 2", "1, 3", "1.0, 2.0")
        ]
        assert len({told(defined(text)) for text in texts}) == 3

    def test_the_values_around_a_function(self) -> None:
        def outer(value: Any) -> Callable[[], Any]:
            return lambda: value

        assert told(outer([1])) == told(outer([1])) != told(outer([2]))
        assert told(outer(torch.zeros(2))) != told(outer(torch.ones(2)))
        assert state_digest(outer(threading.Lock())) is None

    def test_globals_that_a_function_uses(self) -> None:
        function = defined("def f(x):\n    return g(x)\n\ndef g(x):\n    return x * SCALE\n\nSCALE, OTHER = 2, 3")
        before = told(function)
        function.__globals__["OTHER"] = 4
        assert told(function) == before
        function.__globals__["SCALE"] = 3
        assert told(function) != before
        function.__globals__["SCALE"] = threading.Lock()
        assert state_digest(function) is None

    def test_methods_and_attributes_of_a_class_and_of_its_bases(self) -> None:
        text = (
            "class Base:\n    scale = 2\n    @property\n    def a(self): return 1\n"
            "    @staticmethod\n    def b(): return 1\n"
            "    @classmethod\n    def c(cls): return 1\n    def d(self): return 1\nclass f(Base):\n    'Words.'\n"
        )
        original = told(defined(text))
        assert original == told(defined(text.replace("Words", "Other words")))
        for place in range(text.count("return 1")):
            start, *rest = text.split("return 1")
            ends = ["return 2" if number == place else "return 1" for number in range(len(rest))]
            changed = start + "".join(end + after for end, after in zip(ends, rest, strict=True))
            assert told(defined(changed)) != original
        assert told(defined(text.replace("scale = 2", "scale = 3"))) != original
        assert told(defined(text)()) == told(defined(text)()) != original

    def test_a_class_that_says_it_is_of_another_module(self) -> None:
        texts = [f"class f:\n    __module__ = 'torch'\n    def forward(self): return {number}" for number in range(2)]
        assert told(defined(texts[0])) != told(defined(texts[1]))

    def test_a_method_put_onto_a_class_of_torch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        net = torch.nn.Sequential(torch.nn.ReLU())
        before = told(net)
        with monkeypatch.context() as patch:
            patch.setattr(torch.nn.ReLU, "forward", lambda self, batch: batch)
            assert told(net) != before
        with monkeypatch.context() as patch:
            patch.setattr(torch.nn.Module, "extra_repr", lambda self: "")
            assert told(net) != before
        assert told(net) == before

    def test_a_module_that_is_imported_only_when_it_is_used(self) -> None:
        assert known(state_digest(defined("def f():\n    import math, xml.dom.minidom\n    import torch.nn as nn")))
        assert state_digest(defined("def f():\n    import something_of_mine")) is None
        assert known(state_digest(defined(f"def f():\n    from {__name__} import Net")))

    def test_installed_code_counts_by_its_version(self, monkeypatch: pytest.MonkeyPatch) -> None:
        names = {name.partition(" ")[0] for name in versions()}
        assert names == {"python", "pytest_lime", "numpy", "torch", "scipy", "scikit-image", "scikit-learn", "pillow"}
        found = module._library("torch.nn", torch.nn.__file__)
        assert found == f"torch {torch.__version__}"
        assert module._library("json", importlib.import_module("json").__file__) == "python"
        assert module._library("math", None) == "python"
        assert module._library("_pytest.config", pytest.Config.__module__ and sys.modules["_pytest.config"].__file__)
        assert module._library(__name__, __file__) == ""
        before = told(torch.nn.ReLU())
        monkeypatch.setattr(torch, "__version__", "99.0")
        module._library.cache_clear()
        try:
            assert told(torch.nn.ReLU()) != before
        finally:
            monkeypatch.undo()
            module._library.cache_clear()


def defined(text: str) -> Any:
    """Return `f` of a text, as a notebook defines it: no file tells of it."""
    scope: dict[str, Any] = {"__name__": "__notebook__"}
    exec(text, scope)
    return scope["f"]


MODULES = {
    "user_net": """
        import torch
        import user_parts
        from user_parts import double

        class Base(torch.nn.Module):
            pass

        class Net(Base):
            names = {"a", "b", "c", "d"}

            def __init__(self):
                super().__init__()
                self.fc = torch.nn.Linear(3, 2)
                self.options = {"kinds": {"x", "y", "z"}, "act": torch.relu}
                self.norm = lambda x: x / user_parts.LIMIT

            def forward(self, x):
                return self.norm(double(self.fc(x.mean((2, 3))))) if self.names else x
        """,
    "user_parts": """
        import user_depths

        LIMIT = 4

        def double(x):
            return 2 * x
        """,
    "user_depths": "UNUSED = 1\n",
    "user_other": "UNUSED = 1\n",
}
SCRIPT = """
import torch, user_net
from pytest_lime import TorchModel
from pytest_lime.fingerprint import fingerprint
torch.manual_seed(0)
print(fingerprint(TorchModel(user_net.Net(), size=8)))
"""


def write_modules(folder: Path) -> None:
    for name, text in MODULES.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")


def in_fresh_process(folder: Path, seed: int) -> str:
    paths = [str(folder), str(Path(module.__file__).parents[1])]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONHASHSEED": str(seed)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return known(done.stdout.strip())


class TestFiles:
    @pytest.mark.slow
    def test_two_processes_agree_wherever_the_files_lie(self, tmp_path: Path) -> None:
        for name in ("here", "there"):
            (tmp_path / name).mkdir()
            write_modules(tmp_path / name)
        assert in_fresh_process(tmp_path / "here", 1) == in_fresh_process(tmp_path / "there", 2)

    @pytest.fixture
    def user_net(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
        write_modules(tmp_path)
        monkeypatch.syspath_prepend(tmp_path)
        yield importlib.import_module("user_net")
        for name in MODULES:
            sys.modules.pop(name, None)

    @pytest.mark.parametrize(
        ("name", "counts"), [("user_net", True), ("user_parts", True), ("user_depths", True), ("user_other", False)]
    )
    def test_files_that_the_code_refers_to_count(
        self, user_net: ModuleType, tmp_path: Path, name: str, *, counts: bool
    ) -> None:
        net = user_net.Net()
        before = told(net)
        with (tmp_path / f"{name}.py").open("a", encoding="utf-8") as file:
            file.write("# Whatever is written here.\n")
        assert (told(net) != before) == counts

    def test_what_was_set_in_a_module_at_run_time_counts(
        self, user_net: ModuleType, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        net = user_net.Net()
        found = {told(net)}
        parts = sys.modules["user_parts"]
        monkeypatch.setattr(parts, "LIMIT", 5)
        found.add(told(net))
        monkeypatch.setattr(user_net, "double", lambda x: 3 * x)
        found.add(told(net))
        monkeypatch.setattr(user_net.Base, "__call__", lambda self, x: x, raising=False)
        found.add(told(net))
        assert len(found) == 4

    def test_what_is_loaded_counts_though_the_file_was_changed_since(
        self, user_net: ModuleType, tmp_path: Path
    ) -> None:
        path = tmp_path / "user_net.py"
        changed = path.read_text(encoding="utf-8").replace("if self.names", "if not self.names")
        old = user_net.Net()
        path.write_text(changed, encoding="utf-8")
        stale = told(old)
        del sys.modules["user_net"]
        importlib.invalidate_caches()
        new = importlib.import_module("user_net").Net()
        new.load_state_dict(old.state_dict())
        assert told(new) != stale

    def test_a_file_that_is_gone(self, user_net: ModuleType, tmp_path: Path) -> None:
        for name in MODULES:
            (tmp_path / f"{name}.py").unlink()
        assert known(state_digest(user_net.Net()))


class TestProtocol:
    @pytest.mark.parametrize("own", ["v3", lambda self: "v3"])
    def test_a_model_may_say_it_itself(self, own: Any) -> None:
        model = type("Model", (), {"fingerprint": own, "lock": threading.Lock()})
        other = type("Model", (), {"fingerprint": "v4"})
        assert known(fingerprint(model())) == fingerprint(model())
        assert fingerprint(model()) != fingerprint(other())

    @pytest.mark.parametrize("own", [None, lambda self: None])
    def test_and_say_that_it_does_not_know(self, own: Any) -> None:
        assert fingerprint(type("Model", (), {"fingerprint": own})()) is None

    @pytest.mark.parametrize("own", [3, b"v3", lambda self: 3])
    def test_of_another_kind(self, own: Any) -> None:
        with pytest.raises(ModelError, match="must be a str or None, or a method without arguments"):
            fingerprint(type("Model", (), {"fingerprint": own})())

    @pytest.mark.parametrize("base", [object, FakeModel])
    def test_a_class_of_the_users_that_says_nothing_is_not_known(self, base: type) -> None:
        # It may read anything as it runs, such as a file of weights.
        model = type("Model", (base,), {"predict": lambda self, batch: batch})()
        assert fingerprint(model) is None
        # Though its attributes and code could be told from others.
        assert known(state_digest(model))
        model.fingerprint = "v3"
        assert known(fingerprint(model))

    def test_models_for_tests(self) -> None:
        assert known(fingerprint(FakeModel())) == fingerprint(FakeModel())
        first, second = (planted_and(parts, d=10) for parts in ([2, 7], [2, 6]))
        assert known(fingerprint(first)) != known(fingerprint(second))


def classify(images: NDArray[Any]) -> NDArray[Any]:
    share = images.mean(axis=(1, 2, 3))
    return np.stack([share, 1 - share], axis=1)


class TestCallableModel:
    def test_a_function_has_none_of_its_own(self) -> None:
        assert fingerprint(CallableModel(classify)) is None

    def test_it_is_what_the_user_says_with_the_other_arguments(self) -> None:
        options: list[dict[str, Any]] = [{}, {"size": 8}, {"scale": 255}, {"dtype": "float32"}, {"output": "scores"}]
        options += [{"labels": ["a", "b"]}, {"fingerprint": "v4"}]
        found = [fingerprint(CallableModel(classify, **{"fingerprint": "v3", **each})) for each in options]
        assert len({known(one) for one in found}) == len(options)
        assert found[0] == fingerprint(CallableModel(lambda images: images, fingerprint="v3"))

    @pytest.mark.parametrize("wrong", ["", 3, b"v3", True])
    def test_only_texts_are_fingerprints(self, wrong: Any) -> None:
        with pytest.raises(OptionError, match=r"fingerprint=.* must be a text that names this version"):
            CallableModel(classify, fingerprint=wrong)


class TestSklearnModel:
    @staticmethod
    def make(estimator: Any = None, **options: Any) -> SklearnModel:
        rng = np.random.default_rng(0)
        estimator = LogisticRegression() if estimator is None else estimator
        return SklearnModel(estimator.fit(rng.random((40, 12)), np.arange(40) % 2), size=2, channels=3, **options)

    def test_the_estimator_and_the_arguments(self) -> None:
        made = [self.make(), self.make(LogisticRegression(C=2)), self.make(scale=255), self.make(labels=["a", "b"])]
        made += [self.make(features=lambda x: x.reshape(len(x), -1)), self.make(features=lambda x: x.mean((1, 2)))]
        assert len({known(fingerprint(model)) for model in made}) == len(made)
        assert fingerprint(self.make()) == fingerprint(made[0])
        before = fingerprint(made[0])
        made[0].predict(torch.zeros(1, 3, 2, 2))
        assert fingerprint(made[0]) == before
        made[0].estimator.coef_[0, 3] += 1e-9
        assert known(fingerprint(made[0])) != before

    def test_trees_are_looked_into(self) -> None:
        first, second = (self.make(RandomForestClassifier(3, random_state=seed)) for seed in (0, 1))
        assert known(fingerprint(first)) != known(fingerprint(second))
        again = self.make(RandomForestClassifier(3, random_state=0))
        assert fingerprint(again) == fingerprint(first)

    def test_an_estimator_that_cannot_be_looked_into(self) -> None:
        model = self.make()
        model.estimator.lock = threading.Lock()
        assert fingerprint(model) is None


class TestOnnxModel:
    @staticmethod
    def write(path: Path, weight: float = 1.0, *, apart: bool = False) -> Path:
        onnx = pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
        helper, kind = onnx.helper, onnx.TensorProto.FLOAT
        weights = np.full((12, 2), weight, dtype=np.float32)
        weights[0] = 0
        graph = helper.make_graph(
            [helper.make_node("MatMul", ["x", "w"], ["y"])],
            "graph",
            [helper.make_tensor_value_info("x", kind, [None, 12])],
            [helper.make_tensor_value_info("y", kind, [None, 2])],
            [onnx.numpy_helper.from_array(weights, "w")],
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.save(made, path, save_as_external_data=apart, size_threshold=0, location="weights.bin" if apart else None)
        return path

    def test_the_file_and_the_arguments(self, tmp_path: Path) -> None:
        path = self.write(tmp_path / "a.onnx")
        made = [OnnxModel(path, size=2), OnnxModel(self.write(tmp_path / "b.onnx", 2.0), size=2)]
        made += [OnnxModel(path, size=2, **each) for each in ({"mean": 0.5}, {"output": "scores"}, {"layout": "NHWC"})]
        made += [OnnxModel(path, size=2, providers=["CPUExecutionProvider"]), OnnxModel(path, size=2, resize=4)]
        found = [known(fingerprint(model)) for model in made]
        # A flat input has no layout.
        assert (found.pop(4), len(set(found))) == (found[0], len(found))
        same = [OnnxModel(str(path), size=2), OnnxModel(path.read_bytes(), size=2), pickle.loads(pickle.dumps(made[0]))]
        same[0].predict(torch.zeros(1, 3, 2, 2))
        assert {fingerprint(model) for model in same} == {found[0]}

    def test_what_is_loaded_counts_and_not_what_came_to_lie_there(self, tmp_path: Path) -> None:
        model = OnnxModel(self.write(tmp_path / "a.onnx"), size=2)
        before = known(fingerprint(model))
        self.write(tmp_path / "a.onnx", 2.0)
        assert fingerprint(model) == before
        assert known(fingerprint(OnnxModel(tmp_path / "a.onnx", size=2))) != before

    def test_a_session_and_weights_in_other_files(self, tmp_path: Path) -> None:
        path = self.write(tmp_path / "a.onnx")
        session = pytest.importorskip("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])
        assert fingerprint(OnnxModel(session, size=2)) is None
        assert fingerprint(OnnxModel(self.write(tmp_path / "b.onnx", apart=True), size=2)) is None
