"""Fused networks: the same scores, from fewer kernels, and only where that can be told."""

import concurrent.futures
import copy
import gc
import pickle
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import fx, nn
from torch.nn import functional

from pytest_lime import TorchModel, explain
from pytest_lime.errors import ModelError
from pytest_lime.forward import FUSED, Canvas, Engine
from pytest_lime.fusion import FusedNetwork, fusible
from pytest_lime.tracing import UntraceableError

CPU = torch.device("cpu")
ACTIVATIONS = (
    *(nn.ReLU(), nn.ReLU6(), nn.Hardtanh(-0.5, 2.0), nn.LeakyReLU(0.2), nn.SiLU(), nn.Hardswish()),
    *(nn.Sigmoid(), nn.Tanh(), nn.GELU(), nn.Identity()),
)


def randomise(net: nn.Module) -> nn.Module:
    """Give every batch norm statistics that do something."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.empty_like(parameter).uniform_(-0.5, 0.5, generator=generator))
        for module in net.modules():
            if (
                isinstance(module, nn.BatchNorm2d)
                and module.running_mean is not None
                and module.running_var is not None
            ):
                module.running_mean.uniform_(-0.2, 0.2, generator=generator)
                module.running_var.uniform_(0.2, 2.0, generator=generator)
    return net.eval()


def small(*activations: nn.Module, **settings: Any) -> nn.Sequential:
    """Convolutions with batch norms and `activations`, of 3×12×12 pictures and four classes."""
    layers: list[nn.Module] = []
    for place, activation in enumerate(activations or (nn.ReLU(),)):
        layers += [
            nn.Conv2d(3 if place == 0 else 8, 8, 3, **{"padding": 1, **settings}),
            nn.BatchNorm2d(8),
            activation,
        ]
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    return randomise(net)  # type: ignore[return-value]


class Functional(nn.Module):
    """Padding that it adds itself, functions in place of modules, a shortcut, groups and a stride."""

    def __init__(self) -> None:
        super().__init__()
        self.pad = nn.ZeroPad2d(1)
        self.first = nn.Conv2d(3, 8, 3, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Parameter(torch.zeros(8, 2, 3, 3))
        self.mean, self.variance = nn.Buffer(torch.full((8,), 0.1)), nn.Buffer(torch.full((8,), 1.5))
        self.uneven = nn.ZeroPad2d((0, 1, 0, 1))
        self.third = nn.Conv2d(8, 8, 2, bias=True)
        self.affineless = nn.BatchNorm2d(8, affine=False)
        self.last = nn.Linear(8, 4)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        one = functional.relu6(self.norm(self.first(self.pad(batch))))
        two = functional.conv2d(one, self.second, padding=1, groups=4)
        two = functional.batch_norm(two, self.mean, self.variance, training=False)
        one = one + torch.relu(two)
        three = self.affineless(self.third(self.uneven(one))).relu()
        # Used twice: the activation behind it must not be computed with it.
        scores: torch.Tensor = self.last((three + three.sigmoid()).mean(dim=(2, 3)))
        return scores


@pytest.fixture
def batch() -> torch.Tensor:
    return torch.rand(5, 3, 12, 12, generator=torch.Generator().manual_seed(1)) * 2 - 1


def fused(net: nn.Module) -> FusedNetwork | None:
    """`net` fused, where that can be, as an adapter does it."""
    batch = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(2))
    return fused_by(TorchModel(net, size=12), batch)


def fused_by(model: TorchModel, batch: torch.Tensor) -> FusedNetwork | None:
    found = model.fuse(batch)
    return None if found is None else found[0]


def scores(net: Any, batch: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = net(batch)
    return found


def kernels(fused_network: FusedNetwork) -> list[str]:
    return [type(module).__name__ for module in fused_network._graph.modules()]


class TestScores:
    @pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
    @pytest.mark.parametrize("size", [1, 5])
    def test_they_are_the_networks_own(self, activation: nn.Module, size: int, batch: torch.Tensor) -> None:
        net = small(activation, activation)
        ready = FusedNetwork(net)
        torch.testing.assert_close(scores(ready, batch[:size]), scores(net, batch[:size]), rtol=1e-5, atol=1e-5)
        assert "BatchNorm2d" not in kernels(ready)
        # Identity is taken out, and GELU is left as it is.
        assert type(activation).__name__ not in kernels(ready) or isinstance(activation, nn.GELU)

    @pytest.mark.parametrize(
        "settings",
        [
            *({"stride": 2}, {"dilation": 2}, {"padding": (0, 2)}, {"bias": False}),
            *({"padding": "same"}, {"padding": "valid"}, {"padding_mode": "reflect"}),
        ],
        ids=str,
    )
    def test_of_every_kind_of_convolution(self, settings: dict[str, Any], batch: torch.Tensor) -> None:
        net = small(**settings)
        if isinstance(settings.get("padding"), str) or "padding_mode" in settings:
            # What a kernel of one padding cannot do is left alone.
            with pytest.raises(UntraceableError):
                FusedNetwork(net)
            return
        ready = FusedNetwork(net)
        torch.testing.assert_close(scores(ready, batch), scores(net, batch), rtol=1e-5, atol=1e-5)

    def test_of_functions_shortcuts_and_padding(self, batch: torch.Tensor) -> None:
        net = randomise(Functional())
        ready = FusedNetwork(net)
        torch.testing.assert_close(scores(ready, batch), scores(net, batch), rtol=1e-5, atol=1e-5)
        assert kernels(ready).count("_Convolution") == 3
        # The even padding is the convolution's; the uneven one of a convolution across channels is not.
        assert kernels(ready).count("ZeroPad2d") == 1
        assert "BatchNorm2d" not in kernels(ready)

    @pytest.mark.parametrize(
        "padding", [(0, 1, 0, 1), (1, 2, 0, 3), (2, 2, 1, 1), (1, 0, 0, 1), (0, 1, -1, 2)], ids=str
    )
    @pytest.mark.parametrize(("groups", "dilation"), [(1, 1), (8, 1), (8, 2)])
    @pytest.mark.parametrize("stride", [1, 2])
    def test_uneven_padding(
        self, padding: tuple[int, int, int, int], groups: int, dilation: int, stride: int, batch: torch.Tensor
    ) -> None:
        inner = nn.Conv2d(8, 8, 3, stride=stride, groups=groups, dilation=dilation, padding=(1, 0))
        net = randomise(
            nn.Sequential(
                *(nn.Conv2d(3, 8, 1), nn.ZeroPad2d(padding), inner, nn.BatchNorm2d(8), nn.ReLU6(), nn.Flatten()),
            )
        )
        ready = FusedNetwork(net)
        torch.testing.assert_close(scores(ready, batch), scores(net, batch), rtol=1e-5, atol=1e-5)
        # A kernel of each channel by itself takes an uneven padding in, too, if it is wider behind than in front.
        even = padding == (2, 2, 1, 1)
        taken = even or (groups == 8 and dilation == 1 and min(padding) >= 0 and padding[0] <= padding[1])
        assert kernels(ready).count("ZeroPad2d") == (0 if taken else 1)

    def test_whatever_the_layout_and_the_size_before(self, batch: torch.Tensor) -> None:
        net = small(nn.ReLU6(), nn.SiLU())
        ready = FusedNetwork(net)
        for part in (batch[:1], batch, batch[:2], batch.contiguous(memory_format=torch.channels_last), batch[:3]):
            torch.testing.assert_close(scores(ready, part), scores(net, part), rtol=1e-5, atol=1e-5)

    def test_the_network_is_not_changed(self, batch: torch.Tensor) -> None:
        net = small(nn.ReLU())
        before, state = scores(net, batch), copy.deepcopy(net.state_dict())
        scores(FusedNetwork(net), batch)
        assert torch.equal(scores(net, batch), before)
        assert all(torch.equal(state[name], value) for name, value in net.state_dict().items())


class TestWhatCannotBe:
    def test_without_batch_norms_nothing_is_tried(self) -> None:
        assert not fusible(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))
        assert fused(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())) is None

    def test_a_hook_sees_every_pass(self) -> None:
        net = small()
        assert fusible(net)
        handle = net[0].register_forward_hook(lambda *_: None)
        assert fused(net) is None
        handle.remove()
        assert fused(net) is not None

    @pytest.mark.parametrize("change", [lambda net: net.double(), lambda net: net.to("meta")], ids=["double", "meta"])
    def test_other_numbers_and_devices(self, change: Callable[[nn.Module], nn.Module]) -> None:
        assert not fusible(change(small()))

    def test_a_way_that_depends_on_the_picture(self) -> None:
        class Branches(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.net = small()

            def forward(self, batch: torch.Tensor) -> Any:
                return self.net(batch) if batch.mean() > 0 else self.net(-batch)

        net = Branches().eval()
        assert fusible(net)
        assert fused(net) is None

    def test_a_norm_of_each_batch_and_a_norm_that_others_read_stay(self, batch: torch.Tensor) -> None:
        class Both(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.first, self.batchwise = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, track_running_stats=False)
                self.second, self.norm = nn.Conv2d(8, 4, 3), nn.BatchNorm2d(4)

            def forward(self, batch: torch.Tensor) -> Any:
                one = self.batchwise(self.first(batch))
                two = self.second(one)
                return (self.norm(two) + two).mean(dim=(2, 3))

        net = randomise(Both())
        with pytest.raises(UntraceableError, match="no convolution"):
            FusedNetwork(net)


class TestState:
    def test_it_is_made_once_and_anew_after_a_step(self) -> None:
        net = small()
        model, batch = TorchModel(net, size=12), torch.rand(2, 3, 12, 12)
        first = fused_by(model, batch)
        assert first is not None
        assert fused_by(model, batch) is first
        with torch.no_grad():
            net[0].weight.mul_(2)  # type: ignore[operator]
        second = fused_by(model, batch)
        assert second is not first
        assert second is not None
        assert second.is_of(net)

    @pytest.mark.parametrize(
        "change",
        [
            lambda net: setattr(net[1], "eps", 0.5),
            lambda net: setattr(net[2], "negative_slope", 0.5),
            lambda net: net.__setitem__(2, nn.ReLU()),
            lambda net: setattr(net, "top", 1.0),
        ],
        ids=["eps", "slope", "module", "attribute"],
    )
    def test_settings_that_change_are_seen_by_the_next_check(self, change: Callable[[Any], Any]) -> None:
        net = small(nn.LeakyReLU(0.1))
        model, batch = TorchModel(net, size=12), torch.rand(2, 3, 12, 12)
        first = fused_by(model, batch)
        assert first is not None
        before, _ = first.is_of(net, closely=True), change(net)
        assert (before, first.is_of(net, closely=True)) == (True, False)
        second = fused_by(model, batch)
        assert second is not None
        torch.testing.assert_close(scores(second, batch), scores(net, batch), rtol=1e-5, atol=1e-5)

    def test_it_keeps_no_network_alive(self) -> None:
        class Child(nn.Module):
            def __init__(self, parent: nn.Module) -> None:
                super().__init__()
                self.inner = small()
                object.__setattr__(self, "parent", parent)

            def forward(self, batch: torch.Tensor) -> Any:
                return self.inner(batch)

        class Parent(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.child = Child(self)

            def forward(self, batch: torch.Tensor) -> Any:
                return self.child(batch)

        net = Parent().eval()
        ready = FusedNetwork(net)
        alive = weakref.ref(net)
        del net
        gc.collect()
        assert alive() is None
        assert not ready.is_of(small())

    def test_a_copy_of_an_adapter_makes_its_own(self) -> None:
        model, batch = TorchModel(small(), size=12), torch.rand(2, 3, 12, 12)
        first = fused_by(model, batch)
        other = copy.deepcopy(model)
        assert other._fused is None
        assert fused_by(other, batch) not in (None, first)
        assert pickle.loads(pickle.dumps(model)).fingerprint() == model.fingerprint()

    @pytest.mark.parametrize(
        "change",
        [
            lambda net: setattr(net[1].weight, "data", net[1].weight.data.clone()),
            lambda net: net[1].running_mean.add_(1),
            lambda net: net.load_state_dict({name: value + 1 for name, value in net.state_dict().items()}),
            lambda net: net.load_state_dict({name: value + 1 for name, value in net.state_dict().items()}, assign=True),
            lambda net: setattr(net[0], "weight", nn.Parameter(torch.ones(8, 3, 3, 3))),
            lambda net: net.__setitem__(0, nn.Conv2d(3, 8, 3)),
        ],
        ids=["data", "buffer", "state", "assigned", "parameter", "module"],
    )
    def test_what_was_written_is_seen(self, change: Callable[[Any], Any]) -> None:
        net = small()
        ready = FusedNetwork(net)
        assert ready.is_of(net)
        with torch.no_grad():
            change(net)
        assert not ready.is_of(net)


class Body(nn.Module):
    """A network whose first step is somebody's own."""

    def __init__(self) -> None:
        super().__init__()
        self.net = small()
        self.kept: Any = None
        self.seen: list[Any] = []
        self.known: dict[Any, Any] = {}
        self.moving = nn.Buffer(torch.ones(1))

    def forward(self, batch: torch.Tensor) -> Any:
        return self.net(self.before(batch))

    def before(self, batch: torch.Tensor) -> torch.Tensor:
        return batch


class Lazy(Body):
    def before(self, batch: torch.Tensor) -> torch.Tensor:
        if self.kept is None:
            self.kept = torch.ones_like(batch[:1])
        made: torch.Tensor = batch + self.kept
        return made


class Notes(Body):
    def before(self, batch: torch.Tensor) -> torch.Tensor:
        self.seen.append(batch.shape)
        self.known[batch.shape[-1]] = self.kept = batch
        return batch


class Flag(Body):
    def before(self, batch: torch.Tensor) -> torch.Tensor:
        try:
            float(batch.sum())
        except Exception:
            self.kept = "slow"
        return batch


class Moves(Body):
    def before(self, batch: torch.Tensor) -> torch.Tensor:
        self.moving.mul_(0.5).add_(0.5)
        return batch * self.moving


class Centred(Body):
    def before(self, batch: torch.Tensor) -> torch.Tensor:
        batch -= 0.5
        return batch


class Root(Body):
    def before(self, batch: torch.Tensor) -> torch.Tensor:
        root: torch.Tensor = (batch - 0.1).sqrt()
        return root


class Asserts(Body):
    def before(self, batch: torch.Tensor) -> torch.Tensor:
        torch._assert(batch.amin() > 0.001, "too dark")
        return batch


class Clamps(Body):
    def forward(self, batch: torch.Tensor) -> Any:
        first = self.net[1](self.net[0](batch))
        first.clamp_(max=0.01)
        return self.net[3:](first)


class Exits(Body):
    def before(self, batch: torch.Tensor) -> torch.Tensor:
        if type(batch) is not torch.Tensor:
            raise TypeError("no tensor")
        return batch


class Aliased(Body):
    """Only bright pictures tell."""

    def before(self, batch: torch.Tensor) -> torch.Tensor:
        bright = first = batch * 1.0
        bright += torch.relu(batch - 0.9)
        return first


class Default(Body):
    def forward(self, batch: Any = None) -> Any:
        return self.net(batch)


class Guarded(Body):
    def forward(self, batch: Any = None) -> Any:
        torch._assert(batch.amin() > 0.001, "too dark")
        return self.net(batch)


class Into(Body):
    def before(self, batch: torch.Tensor) -> torch.Tensor:
        torch.add(self.moving, 1.0, out=self.moving)
        torch.sub(self.moving, 1.0, out=self.moving)
        return batch * self.moving


class Calls(Body):
    def __call__(self, batch: Any) -> Any:
        return super().__call__(batch if batch.mean() < 0.5 else batch * 0.5)


class Chance(Body):
    def before(self, batch: torch.Tensor) -> torch.Tensor:
        return batch + torch.randn(1) * 1e-9


class Counts(Body):
    def before(self, batch: torch.Tensor) -> torch.Tensor:
        self.kept = (self.kept or 0) + 1
        return batch * (1.0 if self.kept < 5 else 1.0 + 1e-9)


class Averages(Body):
    def before(self, batch: torch.Tensor) -> torch.Tensor:
        self.kept = batch.mean() * 0.1 + (0.0 if self.kept is None else self.kept)
        return batch


class Shares(Body):
    """One convolution twice, and an activation in place of what is used elsewhere, too."""

    def __init__(self) -> None:
        super().__init__()
        self.twice, self.norm, self.other = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def before(self, batch: torch.Tensor) -> torch.Tensor:
        first = torch.relu(self.norm(self.twice(batch)))
        second: torch.Tensor = self.other(self.twice(first))
        return second + first


class Late(Body):
    """Fails for batches of seven."""

    def before(self, batch: torch.Tensor) -> torch.Tensor:
        return batch.expand(batch.shape[0], 3, 12, 12 - batch.shape[0] // 7)


class Optional(Body):
    def forward(self, batch: torch.Tensor, mask: torch.Tensor | None = None, scale: bool = True) -> Any:
        if mask is not None:
            batch = batch * mask
        return self.net(batch) if scale else batch


class Masses(Body):
    """Asserts something of the sizes only."""

    def before(self, batch: torch.Tensor) -> torch.Tensor:
        torch._assert(batch.ndim == 4, "no pictures")
        height, width = batch.shape[2:]
        torch._assert(height // 2 == width // 2, "not square")
        return batch


class TestNetworksOfTheUsers:
    """The same scores and the same errors as without, and nothing left behind in the network."""

    @staticmethod
    def explained(net: nn.Module, *, fuse: bool, **options: Any) -> Any:
        image = np.random.default_rng(0).integers(90, 255, (12, 12, 3), dtype=np.uint8)
        settings = {"segmenter": "grid", "segments": 16, "samples": 64, "fill": "black", "batch_size": 7, **options}
        try:
            return explain(TorchModel(net, size=12), image, 0, fuse=fuse, **settings).weights
        except BaseException as error:
            return type(error), str(error)

    @pytest.mark.parametrize(
        ("kind", "fuses"),
        [
            *((Body, True), (Optional, True), (Masses, True), (Late, True)),
            *((Lazy, True), (Notes, False), (Flag, False), (Moves, False), (Centred, False), (Root, False)),
            *((Asserts, False), (Clamps, False), (Exits, False), (Aliased, False), (Default, True), (Guarded, False)),
            *((Into, False), (Calls, False), (Chance, False), (Counts, False), (Averages, False), (Shares, True)),
        ],
    )
    def test_it_is_as_if_it_were_not_fused(
        self, kind: type[Body], fuses: bool, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
    ) -> None:
        nets = [randomise(kind()) for _ in range(2)]
        for net in nets:
            net.moving.fill_(1)  # type: ignore[operator]
        net = nets[0]
        found, plain = (self.explained(one, fuse=fuse) for one, fuse in zip(nets, (True, False), strict=True))
        if isinstance(plain, tuple):
            assert found == plain
        else:
            np.testing.assert_allclose(found, plain, atol=1e-6)
        assert capfd.readouterr() == ("", "")
        assert not recwarn.list
        # What is left in it is of its own passes.
        assert isinstance(net, Body)
        left = [*net.seen, *net.known, *net.known.values(), net.kept]
        assert not [one for one in left if isinstance(one, fx.Proxy)]
        assert kind is Flag or net.kept is None or isinstance(net.kept, torch.Tensor | int)
        assert float(net.moving) == 1
        copy.deepcopy(net)
        model = TorchModel(net, size=12)
        assert (model.fuse(torch.rand(1, 3, 12, 12)) is not None) == fuses

    def test_an_error_in_a_larger_batch_is_the_networks_own(self) -> None:
        found = self.explained(randomise(Late()), fuse=True)
        assert "fx" not in str(found)
        with pytest.raises(RuntimeError) as error:
            explain(
                TorchModel(randomise(Late()), size=12), np.zeros((12, 12, 3), np.uint8), 0, batch_size=7, samples=64
            )
        frames = [str(frame.path) for frame in error.traceback]
        assert __file__ in frames
        assert not [frame for frame in frames if "eval_with_key" in frame]

    def test_other_threads_go_on_while_one_is_looked_at(self) -> None:
        stop, failed = threading.Event(), []
        other, batch = small(), torch.rand(1, 3, 12, 12)

        def run() -> None:
            while not stop.is_set():
                try:
                    scores(other, batch)
                except Exception as error:
                    failed.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            for _ in range(5):
                FusedNetwork(small(*(nn.ReLU() for _ in range(20))))
        finally:
            stop.set()
            thread.join()
        assert failed == []

    def test_several_threads_look_at_once(self) -> None:
        nets = [small(*(nn.ReLU() for _ in range(10))) for _ in range(4)]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            assert all(isinstance(ready, FusedNetwork) for ready in pool.map(FusedNetwork, nets * 3))

    def test_hooks_of_every_module_are_heeded(self) -> None:
        handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
        try:
            assert fused(small()) is None
        finally:
            handle.remove()

    def test_under_autocast_it_is_not_fused(self) -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert fused(small()) is None

    def test_a_forward_of_one_object_is_its_own_way(self) -> None:
        net = small()
        net.forward = lambda batch: nn.Sequential.forward(net, batch) * 2  # type: ignore[method-assign]
        assert fused(net) is None

    def test_dropout_in_training_mode_is_no_graph(self) -> None:
        net = nn.Sequential(small()[:3], nn.Dropout(0.5), nn.Flatten())
        net.eval()[1].train()
        with pytest.raises(UntraceableError, match="training"):
            FusedNetwork(net)

    def test_empty_scores_are_the_models_error(self) -> None:
        class Empty(Body):
            def forward(self, batch: torch.Tensor) -> Any:
                return self.net(batch)[:, :0]

        found, plain = (self.explained(randomise(Empty()), fuse=fuse) for fuse in (True, False))
        assert found == plain
        assert found[0] is ModelError

    def test_what_differs_costs_two_passes_of_one_check(self) -> None:
        passes: list[int] = []

        class Differs(Body):
            def before(self, batch: Any) -> Any:
                if not isinstance(batch, torch.Tensor):
                    return batch * 2.0
                passes.append(len(batch))
                return batch

        found = self.explained(randomise(Differs()), fuse=True)
        assert isinstance(found, np.ndarray)
        # Compared once, on the picture itself, which is asked alone first.
        assert passes[:3] == [1, 1, 7]
        assert passes[3:-1].count(1) == 0


class TestComparison:
    @pytest.mark.parametrize("count", [1, 2, 3, 4, 9])
    def test_the_scores_of_the_batch_come_with_it(self, count: int) -> None:
        model, batch = TorchModel(small(), size=12), torch.rand(count, 3, 12, 12)
        with torch.inference_mode():
            found = model.fuse(batch)
            plain = model.classify(batch)
        assert found is not None
        torch.testing.assert_close(found[1], plain, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("count", [1, 4])
    def test_what_the_network_writes_to_is_not_the_batch(self, count: int) -> None:
        class Writes(Body):
            def forward(self, batch: Any) -> Any:
                scores = self.net(batch)
                if not isinstance(batch, fx.Proxy):
                    batch.zero_()
                return scores

        batch = torch.rand(count, 3, 12, 12)
        before = batch.clone()
        assert fused_by(TorchModel(Writes().eval(), size=12), batch) is not None
        assert torch.equal(batch, before)

    def test_it_costs_two_passes_of_the_network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        own: list[torch.Tensor] = []
        through: list[torch.Tensor] = []
        run = FusedNetwork.__call__

        def noted(ready: FusedNetwork, batch: torch.Tensor) -> Any:
            through.append(batch.clone())
            return run(ready, batch)

        class Noting(Body):
            def before(self, batch: Any) -> Any:
                if not isinstance(batch, fx.Proxy):
                    own.append(batch.clone())
                return batch

        monkeypatch.setattr(FusedNetwork, "__call__", noted)
        engine = Engine(TorchModel(Noting().eval(), size=12), CPU, batch_size=8)
        masks = np.random.default_rng(1).integers(0, 2, (20, 16), dtype=np.uint8)
        TestEngine().canvas(engine).scores(masks, [0])
        assert [len(batch) for batch in through] == [8, 8, 4]
        # The first and the last of the first batch.
        assert len(own) == 1
        torch.testing.assert_close(own[0], through[0][[0, 7]], rtol=0, atol=0)

    def test_the_last_picture_is_compared_too(self) -> None:
        class Differs(Body):
            """Another network for bright pictures."""

            def forward(self, batch: Any) -> Any:
                scores = self.net(batch)
                if isinstance(batch, fx.Proxy):
                    return scores
                return scores * (1 + (batch.amax(dim=(1, 2, 3)) > 1.5).float())[:, None]

        model, batch = TorchModel(Differs().eval(), size=12), torch.rand(5, 3, 12, 12)
        assert fused_by(model, batch) is not None
        batch[-1] += 1
        assert fused_by(model, batch) is None

    def test_the_answer_of_the_model_is_checked(self) -> None:
        found = []
        for fuse in (True, False):
            model = TorchModel(nn.Sequential(small(), nn.Softmax(dim=1)).eval(), size=12)
            engine = Engine(model, CPU, fuse=fuse, batch_size=8)
            with pytest.raises(ModelError, match="output") as error:
                TestEngine().canvas(engine).scores(np.ones((8, 16), dtype=np.uint8), [0])
            found.append(str(error.value))
        assert found[0] == found[1]


class TestEngine:
    def canvas(self, engine: Engine, size: int = 12) -> Canvas:
        segments = np.arange(16).reshape(4, 4).repeat(size // 4, 0).repeat(size // 4, 1)
        pixels = np.random.default_rng(0).random((3, size, size), dtype=np.float32)
        return Canvas(engine, pixels, np.zeros_like(pixels), segments)

    def both(self, net: nn.Module, **options: Any) -> tuple[Any, Any, Engine]:
        """Scores of masks with and without fusing, and the engine that may fuse."""
        model = TorchModel(net, size=12)
        masks = np.random.default_rng(1).integers(0, 2, (60, 16), dtype=np.uint8)
        engine = Engine(model, CPU, **options)
        found = self.canvas(engine).scores(masks, [0, 1, 2, 3])
        plain = Engine(model, CPU, fuse=False, **options)
        return found, self.canvas(plain).scores(masks, [0, 1, 2, 3]), engine

    @pytest.mark.parametrize("batch_size", ["auto", 7])
    def test_passes_are_fused_with_the_same_scores(self, batch_size: Any) -> None:
        found, plain, engine = self.both(small(nn.ReLU(), nn.SiLU()), batch_size=batch_size)
        assert np.abs(found - plain).max() < 1e-6
        assert engine._fused is not None
        # A given size leaves nothing to measure: then it is fused.
        assert batch_size == "auto" or engine.pace((3, 12, 12)).layout == FUSED

    def test_what_does_not_agree_is_not_used(self) -> None:
        class Differs(Body):
            """Not the same network for whoever looks at it."""

            def forward(self, batch: Any) -> Any:
                return self.net(batch) * (2.0 if isinstance(batch, fx.Proxy) else 1.0)

        found, plain, engine = self.both(Differs())
        assert engine._fused is None
        np.testing.assert_allclose(found, plain, atol=1e-6)
        assert engine.pace((3, 12, 12)).layout != FUSED

    def test_what_is_written_behind_the_counters_is_seen_by_the_next_check(self) -> None:
        net = small()
        model = TorchModel(net, size=12)
        masks = np.ones((1, 16), dtype=np.uint8)
        before = self.canvas(Engine(model, CPU)).scores(masks, [0, 1])
        net[0].weight.data.mul_(-3)  # type: ignore[operator]
        after = self.canvas(Engine(model, CPU)).scores(masks, [0, 1])
        plain = self.canvas(Engine(model, CPU, fuse=False)).scores(masks, [0, 1])
        assert np.abs(before - after).max() > 1e-3
        np.testing.assert_allclose(after, plain, atol=1e-6)

    def test_a_predict_of_the_users_is_asked(self) -> None:
        class Halved(TorchModel):
            def predict(self, batch: torch.Tensor) -> torch.Tensor:
                return super().predict(batch) / 2

        model = Halved(small(), size=12)
        engine = Engine(model, CPU)
        found = self.canvas(engine).scores(np.ones((1, 16), dtype=np.uint8), [0, 1, 2, 3])
        assert found.sum() == pytest.approx(0.5)
        assert engine._fused is None

    def test_a_classify_of_the_users_is_asked(self) -> None:
        class Own(TorchModel):
            def predict(self, batch: torch.Tensor) -> torch.Tensor:
                raise AssertionError

            def classify(self, received: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
                return received.flatten(1)[:, :4] * 0 + 0.25

        engine = Engine(Own(small(), size=12), CPU)
        assert self.canvas(engine).scores(np.ones((1, 16), dtype=np.uint8), [0]) == pytest.approx(0.25)

    def test_sixteen_bits_are_not_fused(self) -> None:
        _, _, engine = self.both(small(), precision="bfloat16")
        assert engine._fused is None

    def test_what_was_found_for_a_fused_network_serves_one_with_hooks(self) -> None:
        net = small()
        model = TorchModel(net, size=12)
        Engine(model, CPU).pace((3, 12, 12)).recall(8, FUSED)
        seen: list[int] = []
        net[0].register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
        engine = Engine(model, CPU)
        self.canvas(engine).scores(np.ones((20, 16), dtype=np.uint8), [0])
        assert sum(seen) == 20
        assert engine.pace((3, 12, 12)).layout != FUSED

    def test_pictures_of_two_sizes_share_the_fused_network(self) -> None:
        net = small()
        model = TorchModel(net, size=12)
        engine = Engine(model, CPU)
        masks = np.ones((40, 16), dtype=np.uint8)
        first = self.canvas(engine)
        first.scores(masks, [0])
        ready = engine._fused
        self.canvas(engine, 16).scores(masks, [0])
        assert engine._fused is ready is not None
        assert [engine.pace((3, size, size)).layout for size in (12, 16)] == [FUSED] * 2

    # The first batch of 32 is the one on which it is compared.
    @pytest.mark.parametrize("batch_size", ["auto", 32])
    def test_out_of_memory_halves_the_batch_and_goes_on_fused(
        self, batch_size: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = FusedNetwork.__call__

        def narrow(ready: FusedNetwork, batch: torch.Tensor) -> Any:
            if len(batch) > 8:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
            return run(ready, batch)

        monkeypatch.setattr(FusedNetwork, "__call__", narrow)
        found, plain, engine = self.both(small(), batch_size=batch_size)
        assert np.abs(found - plain).max() < 1e-6
        assert engine._fused is not None
        assert engine.batch_size((3, 12, 12)) == 8

    def test_out_of_memory_while_it_is_compared_is_no_difference(self, monkeypatch: pytest.MonkeyPatch) -> None:
        model = TorchModel(small(), size=12)

        def narrow(ready: FusedNetwork, batch: torch.Tensor) -> Any:
            raise MemoryError

        monkeypatch.setattr(FusedNetwork, "__call__", narrow)
        with pytest.raises(MemoryError):
            model.fuse(torch.rand(4, 3, 12, 12))
        monkeypatch.undo()
        assert model.fuse(torch.rand(4, 3, 12, 12)) is not None

    @pytest.mark.parametrize("batch_size", ["auto", 1, 3])
    @pytest.mark.parametrize("room", [1, 2, 3])
    def test_where_few_pictures_fit_the_network_itself_scores_them(
        self, room: int, batch_size: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        linear = functional.linear

        def narrow(given: Any, *more: Any) -> Any:
            if isinstance(given, torch.Tensor) and len(given) > room:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
            return linear(given, *more)

        monkeypatch.setattr(functional, "linear", narrow)
        found, plain, engine = self.both(small(), batch_size=batch_size)
        # Fusing it takes four pictures at once.
        assert engine._fused is None
        assert np.abs(found - plain).max() < 1e-6
        assert engine.batch_size((3, 12, 12)) <= room

    def test_explain_says_what_it_was_asked(self) -> None:
        model = TorchModel(small(), size=12, labels=list("abcd"))
        image = np.random.default_rng(0).integers(0, 255, (12, 12, 3), dtype=np.uint8)
        options: dict[str, Any] = {"segmenter": "grid", "segments": 16, "samples": 64}
        found, plain = (explain(model, image, "a", fuse=fuse, **options) for fuse in (True, False))
        assert (found.options.fuse, plain.options.fuse) == (True, False)
        np.testing.assert_allclose(found.weights, plain.weights, atol=1e-6)
