"""Fused networks: the same scores, from fewer kernels, and only where that can be told."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from pytest_lime import TorchModel, explain
from pytest_lime.forward import FUSED, Canvas, Engine
from pytest_lime.fusion import FusedNetwork, fused, fusible

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
        try:
            ready = FusedNetwork(net)
        except ValueError:
            # What a kernel of one padding cannot do is left alone.
            assert isinstance(settings.get("padding"), str) or "padding_mode" in settings
            return
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
        assert fused(change(small())) is None

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
        with pytest.raises(ValueError, match="no convolution"):
            FusedNetwork(net)


class TestState:
    def test_it_is_made_once_and_anew_after_a_step(self) -> None:
        net = small()
        first = fused(net)
        assert fused(net) is first
        with torch.no_grad():
            net[0].weight.mul_(2)  # type: ignore[operator]
        second = fused(net)
        assert second is not first
        assert second is not None
        assert second.current

    @pytest.mark.parametrize(
        "change",
        [
            lambda net: setattr(net[1].weight, "data", net[1].weight.data.clone()),
            lambda net: net[1].running_mean.add_(1),
            lambda net: net.load_state_dict({name: value + 1 for name, value in net.state_dict().items()}),
        ],
        ids=["data", "buffer", "state"],
    )
    def test_what_was_written_is_seen(self, change: Callable[[Any], Any]) -> None:
        net = small()
        ready = FusedNetwork(net)
        assert ready.current
        with torch.no_grad():
            change(net)
        assert not ready.current


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
        class Counts(nn.Module):
            """Not the same network in the second pass."""

            def __init__(self) -> None:
                super().__init__()
                self.net, self.passes = small(), 0

            def forward(self, batch: torch.Tensor) -> Any:
                self.passes += 1
                return self.net(batch) * (1.0 if self.passes > 1 else 2.0)

        found, plain, engine = self.both(Counts())
        assert engine._fused is None
        np.testing.assert_array_equal(found.argmax(axis=1), plain.argmax(axis=1))
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

    def test_explain_says_what_it_was_asked(self) -> None:
        model = TorchModel(small(), size=12, labels=list("abcd"))
        image = np.random.default_rng(0).integers(0, 255, (12, 12, 3), dtype=np.uint8)
        options: dict[str, Any] = {"segmenter": "grid", "segments": 16, "samples": 64}
        found, plain = (explain(model, image, "a", fuse=fuse, **options) for fuse in (True, False))
        assert (found.options.fuse, plain.options.fuse) == (True, False)
        np.testing.assert_allclose(found.weights, plain.weights, atol=1e-6)
