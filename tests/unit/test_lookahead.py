"""Lookahead: what can be told of a test before its turn, and when that is of no use after all."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PILImage

from pytest_lime import Box, CallableModel, Claim, Mask, TorchModel, Verdict, mass, predicted, top_overlap
from pytest_lime.cache import Cache
from pytest_lime.explainer import open_stream, run
from pytest_lime.lookahead import Lookahead, Request, _state, scout, snapshot
from pytest_lime.options import LimeOptions
from pytest_lime.sampling import sample
from pytest_lime.streams import Bench, SampleStream
from pytest_lime.testing import FakeModel

IMAGE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
CORNER = Box(0, 0, 8, 8)
OPTIONS: dict[str, Any] = {"segmenter": "grid", "segments": 16, "samples": 100, "batch_size": 64}


class TestScout:
    FOUND = """
        import pytest
        from pathlib import Path
        import pytest_lime as pl
        from pytest_lime import Box, mass, predicted, top_overlap, whole

        FOLDER = Path("images")
        REGIONS = {"cat": Box(0, 0, 8, 8), "dog": Box(8, 8, 16, 16)}
        OPTIONS = {"samples": 100}
        CLAIMS = [predicted(), predicted(rank=2)]
        SUFFIX = ".png"
        PAIRS = ["cat.png", "dog.png"]

        def test_plain(lime):
            lime.check("cat.png", "cat", predicted())

        def test_docstring(lime):
            '''Say what it is about.'''
            lime.check("cat.png", "cat", predicted())

        @pytest.mark.parametrize("name", ["cat", "dog"])
        def test_parameters(lime, name):
            lime.check(FOLDER / f"{name}.png", name, mass(REGIONS[name], at_least=0.5), samples=100)

        @pytest.mark.parametrize(("name", "k"), [("cat", 3)])
        def test_several_parameters(lime, name, k):
            lime.check(name + SUFFIX, name, top_overlap(REGIONS[name], k=k, at_least=k - 1), **OPTIONS)

        @pytest.mark.parametrize("name", [pytest.param("cat", marks=pytest.mark.lime(samples=50), id="one")])
        @pytest.mark.parametrize("path", [Path("folder/cat.jpg")])
        def test_methods(lime, path, name):
            lime.check(path.with_suffix(".png"), name.upper() if name else None, *CLAIMS)

        @pytest.mark.parametrize("number", [1])
        def test_builtins(lime, number):
            lime.check(str(FOLDER) + "/" + str(number), int(number), predicted(rank=max(1, number)), samples=min(5, 9))

        def test_module(lime):
            lime.check(Path("cat.png"), None, pl.mass(~pl.Box(0, 0, 8, 8) | pl.whole(), at_least=0.5))

        @pytest.mark.parametrize("path", [Path("folder/cat.jpg")])
        def test_attributes(lime, path):
            lime.check(path.parent / path.name, path.stem, pl.predicted())

        @pytest.mark.parametrize("place", [0])
        def test_subscripts(lime, place):
            lime.check(PAIRS[place], SUFFIX[1:], mass(REGIONS["cat"], at_least=0.5))

        @pytest.mark.xfail
        def test_expected_to_fail(lime):
            lime.check("cat.png", "cat", predicted())

        @pytest.mark.xfail(reason="not yet", run=True)
        def test_expected_to_fail_when_run(lime):
            lime.check("cat.png", "cat", predicted())
        """
    NOT_FOUND = """
        import collections, functools, os, sys
        import pytest
        from pathlib import Path
        from pytest_lime import Box, explain, mass, predicted
        from pytest_lime.testing import FakeModel

        CALLS = []

        def note(value):
            CALLS.append(value)
            return value

        def unwrapped(function):
            def inner(lime):
                CALLS.append("decorated")
                lime.check("cat.png", "cat", predicted())
            return inner

        def wrapped(function):
            @functools.wraps(function)
            def inner(lime):
                note("decorated")
                function(lime)
            return inner

        @wrapped
        def test_decorator(lime):
            lime.check("cat.png", "cat", predicted())

        @unwrapped
        def test_other_decorator(lime):
            lime.check("cat.png", "cat", predicted())

        def make(name):
            def test_inner(lime):
                lime.check(name, "cat", predicted())
            return test_inner

        test_closure = make("cat.png")

        def test_two_statements(lime):
            note("statement")
            lime.check("cat.png", "cat", predicted())

        def test_two_checks(lime):
            lime.check("cat.png", "cat", predicted())
            lime.check("cat.png", "cat", predicted())

        def test_result(lime):
            assert lime.check("cat.png", "cat", predicted()).status

        def test_kept(lime):
            found = lime.check("cat.png", "cat", predicted())

        def test_with(lime):
            with pytest.raises(AssertionError):
                lime.check("cat.png", "cat", predicted())

        def test_explain(lime):
            lime.explain("cat.png", "cat")

        def test_set(lime):
            lime.check_all(["cat.png"], "cat", predicted())

        def test_user_function(lime):
            lime.check(note("cat.png"), "cat", predicted())

        def test_user_function_in_a_claim(lime):
            lime.check("cat.png", "cat", mass(Box(0, 0, 8, note(8)), at_least=0.5))

        @pytest.mark.parametrize("function", [note])
        def test_function_as_a_parameter(lime, function):
            lime.check(function("cat.png"), "cat", predicted())

        def test_writing(lime):
            lime.check(Path("cat.txt").write_text("written"), "cat", predicted())

        @pytest.mark.parametrize("path", [Path("cat.txt")])
        def test_writing_method(lime, path):
            lime.check(path.write_text("written"), "cat", predicted())

        def test_opening(lime):
            lime.check(open("cat.txt", "w"), "cat", predicted())

        def test_system(lime):
            lime.check(os.mkdir("made"), "cat", predicted())

        def test_list_method(lime):
            lime.check("cat.png", "cat", predicted(), samples=CALLS.append("list") or 10)

        def test_walrus(lime):
            lime.check((name := "cat.png"), "cat", predicted())

        def test_comprehension(lime):
            lime.check("cat.png", "cat", *[predicted(rank=rank) for rank in (1, 2)])

        def test_lambda(lime):
            lime.check("cat.png", "cat", (lambda: note(predicted()))())

        def test_raises(lime):
            lime.check("cat.png", "cat", predicted(rank=1 / 0))

        def test_no_such_name(lime):
            lime.check(NOWHERE, "cat", predicted())

        @pytest.fixture
        def path():
            return note("cat.png")

        def test_fixture(lime, path):
            lime.check(path, "cat", predicted())

        @pytest.fixture
        def through(request):
            return note(request.param)

        @pytest.mark.parametrize("through", ["cat.png"], indirect=True)
        def test_indirect(lime, through):
            lime.check(through, "cat", predicted())

        @pytest.mark.parametrize(("through", "name"), [("cat.png", "cat")], indirect=["through"])
        def test_partly_indirect(lime, through, name):
            lime.check(through, name, predicted())

        def pytest_generate_tests(metafunc):
            if "generated" in metafunc.fixturenames:
                metafunc.parametrize("generated", ["cat.png"], indirect=True)

        @pytest.fixture
        def generated(request):
            return note(request.param)

        def test_generated(lime, generated):
            lime.check(generated, "cat", predicted())

        class TestClass:
            def test_method(self, lime):
                lime.check("cat.png", "cat", predicted())

        async def test_async(lime):
            lime.check("cat.png", "cat", predicted())

        @pytest.mark.skip
        def test_skipped(lime):
            lime.check("cat.png", "cat", predicted())

        @pytest.mark.skipif(False, reason="asked for in its turn")
        def test_perhaps_skipped(lime):
            lime.check("cat.png", "cat", predicted())

        @pytest.mark.parametrize("name", ["cat.png"])
        def test_other_name(name, lime):
            limes = lime
            limes.check(name, "cat", predicted())

        @pytest.mark.xfail(run=False)
        def test_not_to_be_run(lime):
            lime.check("cat.png", "cat", predicted())

        @pytest.mark.parametrize("name", [pytest.param("cat.png", marks=pytest.mark.xfail(run=False))])
        def test_parameter_not_to_be_run(lime, name):
            lime.check(name, "cat", predicted())

        def test_skips(lime):
            lime.check("cat.png", "cat", predicted(rank=pytest.skip("no cat here")))

        class Own(dict):
            @property
            def path(self):
                return note("cat.png")

            def __getitem__(self, name):
                return note(name)

            def __call__(self, name):
                return note(name)

            def get(self, name):
                return note(name)

        OWN = Own()

        def test_property(lime):
            lime.check(OWN.path, "cat", predicted())

        def test_attribute_of_an_attribute(lime):
            lime.check(OWN.path.name, "cat", predicted())

        @pytest.mark.parametrize("own", [OWN])
        def test_property_of_a_parameter(lime, own):
            lime.check(own.path, "cat", predicted())

        def test_subscript(lime):
            lime.check(OWN["cat.png"], "cat", predicted())

        DEFAULTS = collections.defaultdict(lambda: note("cat.png"))

        def test_default(lime):
            lime.check(DEFAULTS["cat"], "cat", predicted())

        def test_own_method(lime):
            lime.check(OWN.get("cat.png"), "cat", predicted())

        def test_calling_an_object(lime):
            lime.check(OWN("cat.png"), "cat", predicted())

        NAMES = ["cat.png"]

        def test_method_of_a_list(lime):
            lime.check(NAMES.pop(), "cat", predicted())

        def int(value):
            return note(value)

        def test_a_name_of_python_for_something_else(lime):
            lime.check("cat.png", int(3), predicted())

        def top_overlap(region, k, at_least):
            return note(predicted())

        def test_a_name_of_ours_for_something_else(lime):
            lime.check("cat.png", "cat", top_overlap(Box(0, 0, 8, 8), 3, 2))

        def test_function_of_a_module(lime):
            lime.check(sys.modules[__name__].note("cat.png"), "cat", predicted())

        def test_listing(lime):
            lime.check(Path(".").iterdir(), "cat", predicted())

        @pytest.mark.parametrize("path", [Path("cat.txt")])
        def test_touching(lime, path):
            lime.check(path.touch(), "cat", predicted())

        def test_without():
            pass
        """

    def items(self, pytester: pytest.Pytester, source: str) -> dict[str, pytest.Item]:
        plain = ("-p", "no:hypothesispytest", "-p", "no:cacheprovider")
        items, _ = pytester.inline_genitems(pytester.makepyfile(source), *plain)
        return {item.name: item for item in items}

    def test_what_can_be_told(self, pytester: pytest.Pytester) -> None:
        found = {name: scout(item) for name, item in self.items(pytester, self.FOUND).items()}
        told = {
            name: request and (request.image, request.target, [str(claim) for claim in request.claims], request.options)
            for name, request in found.items()
        }
        plain: tuple[Any, ...] = ("cat.png", "cat", ["predicted(rank=1)"], {})
        region = "Box(0, 0, 8, 8)"
        assert told == {
            "test_plain": plain,
            "test_docstring": plain,
            "test_parameters[cat]": (
                *(Path("images/cat.png"), "cat", [f"mass({region}, at_least=0.5)"]),
                {"samples": 100},
            ),
            "test_parameters[dog]": (
                *(Path("images/dog.png"), "dog", ["mass(Box(8, 8, 16, 16), at_least=0.5)"]),
                {"samples": 100},
            ),
            "test_several_parameters[cat-3]": (
                *("cat.png", "cat", [str(top_overlap(Box(0, 0, 8, 8), k=3, at_least=2))]),
                {"samples": 100},
            ),
            "test_methods[path0-one]": (Path("folder/cat.png"), "CAT", ["predicted(rank=1)", "predicted(rank=2)"], {}),
            "test_builtins[1]": ("images/1", 1, ["predicted(rank=1)"], {"samples": 5}),
            "test_module": (Path("cat.png"), None, [f"mass(~{region} | whole(), at_least=0.5)"], {}),
            "test_attributes[path0]": (Path("folder/cat.jpg"), "cat", ["predicted(rank=1)"], {}),
            "test_subscripts[0]": ("cat.png", "png", [f"mass({region}, at_least=0.5)"], {}),
            "test_expected_to_fail": plain,
            "test_expected_to_fail_when_run": plain,
        }

    def test_what_cannot(self, pytester: pytest.Pytester) -> None:
        items = self.items(pytester, self.NOT_FOUND)
        assert len(items) > 30
        assert [name for name, item in items.items() if scout(item) is not None] == []
        module: Any = items["test_fixture"].module  # type: ignore[attr-defined]  # a Function
        # Nothing of the user's was called, and nothing taken away.
        assert module.CALLS == []
        assert module.NAMES == ["cat.png"]
        assert not {"cat.txt", "made"} & {path.name for path in pytester.path.iterdir()}

    RAISING = """
        import pytest
        from pytest_lime import predicted

        class Odd:
            def __init__(self, raised):
                self.raised = raised

            def __radd__(self, other):
                raise self.raised

        @pytest.mark.parametrize("odd", [Odd(pytest.skip.Exception("no cat")), Odd(SystemExit()), Odd(ValueError())])
        def test_it(lime, odd):
            lime.check("cat" + odd, "cat", predicted())

        @pytest.mark.parametrize("odd", [Odd(KeyboardInterrupt())])
        def test_interrupted(lime, odd):
            lime.check("cat" + odd, "cat", predicted())
        """

    def test_what_is_raised_in_an_argument_is_raised_in_its_turn(self, pytester: pytest.Pytester) -> None:
        *others, interrupted = self.items(pytester, self.RAISING).values()
        assert [scout(item) for item in others] == [None] * 3
        # Whoever wants to stop stops.
        with pytest.raises(KeyboardInterrupt):
            scout(interrupted)

    def test_regions_of_a_file(self, pytester: pytest.Pytester) -> None:
        shape = {"label": "cat", "shape_type": "rectangle", "points": [[0, 0], [8, 8]]}
        content = {"version": "5.0", "imagePath": "cat.png", "imageWidth": 32, "imageHeight": 32, "shapes": [shape]}
        pytester.path.joinpath("cat.json").write_text(json.dumps(content))
        items = self.items(
            pytester,
            """
            from pathlib import Path
            from pytest_lime import load_regions, mass

            READ = load_regions(Path(__file__).with_name("cat.json"))

            def test_it(lime):
                lime.check("cat.png", "cat", mass(READ["cat"], at_least=0.5))
            """,
        )
        request = scout(items["test_it"])
        assert request is not None
        (claim,) = request.claims
        assert [region.mask((32, 32)).sum() for region in claim.areas()] == [64]

    def test_explaining_is_nothing_to_be_done_twice(self, pytester: pytest.Pytester) -> None:
        items = self.items(
            pytester,
            """
            import numpy as np
            from pytest_lime import explain, predicted
            from pytest_lime.testing import FakeModel

            IMAGE = np.zeros((32, 32, 3), dtype="uint8")

            class Counting(FakeModel):
                shown = 0
                def predict(self, batch):
                    Counting.shown += len(batch)
                    return super().predict(batch)

            MODEL = Counting()

            def test_it(lime):
                lime.check(IMAGE, explain(MODEL, IMAGE, samples=50).labels[0], predicted())
            """,
        )
        scout(items["test_it"])
        assert items["test_it"].module.MODEL.shown == 0  # type: ignore[attr-defined]  # a Function

    def test_a_model_that_is_a_parameter_is_another_one(self, pytester: pytest.Pytester) -> None:
        items = self.items(
            pytester,
            """
            import pytest
            from pytest_lime import predicted
            from pytest_lime.testing import FakeModel

            @pytest.mark.parametrize(("lime_model", "name"), [(FakeModel(), "cat.png")])
            def test_it(lime, lime_model, name):
                lime.check(name, "cat", predicted())
            """,
        )
        assert [scout(item) for item in items.values()] == [None]


def request_of(image: Any = IMAGE, target: Any = "cat", *claims: Any, **options: Any) -> Request:
    return Request(image, target, claims or (predicted(),), options)


def state_of(image: Any = IMAGE, target: Any = "cat", *claims: Any, **options: Any) -> Any:
    return _state(request_of(image, target, *claims), LimeOptions(**options))


class Own(Claim):
    """A claim of the user's, whose state nobody knows."""

    name = "own"

    def judge(self, explanation: Any) -> Verdict:
        raise NotImplementedError


OWN = Own()


class TestState:
    @pytest.mark.parametrize(
        "make",
        [
            state_of,
            lambda: state_of(IMAGE.copy()),
            lambda: state_of(np.asfortranarray(IMAGE)),
            lambda: state_of(PILImage.fromarray(IMAGE)),
            lambda: state_of(torch.arange(3072).reshape(3, 32, 32) / 3072),
            lambda: state_of(target=3),
            lambda: state_of(target=None),
            lambda: state_of(IMAGE, "cat", mass(Box(0, 0, 8, 8), at_least=0.5), predicted(rank=2)),
            lambda: state_of(IMAGE, "cat", mass(~Box(0, 0, 8, 8) | Box(0, 0, 1, 1), at_least=0.5)),
            lambda: state_of(IMAGE, "cat", mass(Mask(np.eye(32, dtype=bool)), at_least=0.5)),
            lambda: state_of(IMAGE, "cat", OWN),
            lambda: state_of(samples=100, fill=(0, 0, 0), segmenter="slic", segmenter_parameters={"sigma": 1.5}),
            lambda: state_of(segmenter=np.arange(4).reshape(2, 2)),
            lambda: state_of(segmenter=np.mean),
        ],
    )
    def test_the_same(self, make: Callable[[], Any]) -> None:
        assert make() == make()

    DIFFERENT: tuple[tuple[Callable[[], Any], Callable[[], Any]], ...] = (
        (state_of, lambda: state_of(255 - IMAGE)),
        (state_of, lambda: state_of(IMAGE.astype(np.int64))),
        (state_of, lambda: state_of(IMAGE[:16])),
        (state_of, lambda: state_of(PILImage.fromarray(IMAGE))),
        (lambda: state_of(PILImage.fromarray(255 - IMAGE)), lambda: state_of(PILImage.fromarray(IMAGE))),
        (state_of, lambda: state_of(target="dog")),
        (lambda: state_of(target=1), lambda: state_of(target=True)),
        (lambda: state_of(target=1), lambda: state_of(target="1")),
        (lambda: state_of(target=None), lambda: state_of(target=0)),
        (
            lambda: state_of(IMAGE, 0, mass(CORNER, at_least=0.5)),
            lambda: state_of(IMAGE, 0, mass(CORNER, at_least=0.6)),
        ),
        (
            lambda: state_of(IMAGE, 0, mass(CORNER, at_least=0.5)),
            lambda: state_of(IMAGE, 0, mass(CORNER, at_most=0.5)),
        ),
        (
            lambda: state_of(IMAGE, 0, mass(CORNER, at_least=0.5)),
            lambda: state_of(IMAGE, 0, mass(Box(0, 0, 8, 9), at_least=0.5)),
        ),
        (
            lambda: state_of(IMAGE, 0, mass(CORNER, at_least=0.5)),
            lambda: state_of(IMAGE, 0, mass(~CORNER, at_least=0.5)),
        ),
        (
            lambda: state_of(IMAGE, 0, mass(Mask(np.eye(32, dtype=bool)), at_least=0.5)),
            lambda: state_of(IMAGE, 0, mass(Mask(np.eye(32, dtype=bool)[::-1]), at_least=0.5)),
        ),
        (state_of, lambda: state_of(IMAGE, "cat", predicted(), predicted())),
        (lambda: state_of(IMAGE, "cat", OWN), lambda: state_of(IMAGE, "cat", Own())),
        (lambda: state_of(samples=100), lambda: state_of(samples=101)),
        (lambda: state_of(samples=100), lambda: state_of(seed=100)),
        (lambda: state_of(samples=100), state_of),
        (lambda: state_of(segmenter=np.zeros((2, 2), int)), lambda: state_of(segmenter=np.ones((2, 2), int))),
        (lambda: state_of(segmenter=lambda pixels: 0), lambda: state_of(segmenter=lambda pixels: 0)),
    )

    @pytest.mark.parametrize(("one", "other"), DIFFERENT)
    def test_not_the_same(self, one: Callable[[], Any], other: Callable[[], Any]) -> None:
        first, second = one(), other()
        assert first != second
        assert second != first

    def test_a_file_is_the_same_however_it_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "cat.png"
        path.write_bytes(b"one")
        assert state_of(path) == state_of(str(path)) == state_of(path)
        other = tmp_path / "dog.png"
        other.write_bytes(b"one")
        assert state_of(path) != state_of(other)

    def test_what_cannot_be_compared_is_the_same_only_as_itself(self) -> None:
        class Odd:
            def __eq__(self, other: object) -> bool:
                raise AssertionError

            __hash__ = object.__hash__

        odd = Odd()
        assert snapshot(odd) == snapshot(odd)
        assert snapshot([odd, {"a": odd}]) == snapshot([odd, {"a": odd}])
        assert snapshot(odd) != snapshot(Odd())
        assert snapshot(np.array([odd])) != snapshot(np.array([odd]))

    @pytest.mark.parametrize("make", [IMAGE.copy, lambda: PILImage.fromarray(IMAGE), lambda: torch.zeros(3, 4, 4)])
    def test_what_is_changed_in_place_is_another(self, make: Callable[[], Any]) -> None:
        value = make()
        before = snapshot([value])
        if isinstance(value, PILImage.Image):
            value.putpixel((0, 0), (1, 2, 3))
        else:
            value[0, 0, 0] += 1
        assert snapshot([value]) != before

    def test_lists_and_mappings_that_are_changed_in_place(self) -> None:
        listed: list[Any] = [1, [2]]
        mapping = {"a": {"b": 1}}
        before = snapshot(listed), snapshot(mapping)
        listed[1].append(3)
        mapping["a"]["b"] = 2
        assert snapshot(listed) != before[0]
        assert snapshot(mapping) != before[1]


@pytest.fixture
def ahead() -> Iterator[Lookahead]:
    lookahead = Lookahead()
    yield lookahead
    lookahead.close()


def network() -> TorchModel:
    generator = torch.Generator().manual_seed(0)
    linear = torch.nn.Linear(3 * 32 * 32, 3)
    with torch.no_grad():
        linear.weight.copy_(torch.randn(linear.weight.shape, generator=generator) / 30)
        linear.bias.zero_()
    return TorchModel(torch.nn.Sequential(torch.nn.Flatten(), linear), size=(32, 32), labels=("cat", "dog", "bird"))


def change(model: TorchModel) -> None:
    """Turn the weights round, in place; twice is not at all."""
    model.net[1].weight.data.mul_(-1)  # type: ignore[index]  # a Sequential


def bench_of(model: Any, cache: Cache | None = None, **options: Any) -> Bench:
    return Bench(model, LimeOptions(**{**OPTIONS, **options}), cache)


def expect(ahead: Lookahead, bench: Bench, request: Request, test: str = "b") -> None:
    """Let `test` be made ready, and wait for it."""

    def open_() -> SampleStream:
        return open_stream(bench, request.image, request.target, decides=True)

    ahead.expect(test, request, bench, open_)
    if test in ahead._expected:
        ahead._expected[test].stream.exception()


class TestTake:
    def test_what_was_made_ready_is_taken_in_its_turn(self, ahead: Lookahead) -> None:
        bench = bench_of(FakeModel())
        assert ahead.begin("a", ["b", "c"]) == ["b", "c"]
        expect(ahead, bench, request_of())
        # It is not the turn of "b".
        assert ahead.take(request_of(), bench) is None
        assert ahead.begin("b", ["c"]) == ["c"]
        stream = ahead.take(request_of(), bench)
        assert stream is not None
        assert (stream.samples, stream.bench) == (0, bench)
        # Once: a second check of the test starts anew.
        assert ahead.take(request_of(), bench) is None

    def test_those_that_are_ready_are_not_made_again(self, ahead: Lookahead) -> None:
        ahead.begin("a", ["b", "c"])
        expect(ahead, bench_of(FakeModel()), request_of(), "b")
        assert ahead.begin("b", ["c", "d"]) == ["c", "d"]
        expect(ahead, bench_of(FakeModel()), request_of(), "c")
        assert ahead.begin("b", ["c", "d"]) == ["d"]

    def test_those_that_do_not_come_are_forgotten(self, ahead: Lookahead) -> None:
        ahead.begin("a", ["b"])
        bench = bench_of(FakeModel())
        expect(ahead, bench, request_of())
        ahead.begin("c", ["d"])
        ahead.begin("b", [])
        assert ahead.take(request_of(), bench) is None

    def ready(self, ahead: Lookahead, request: Request, model: Any, **options: Any) -> Bench:
        """Make `request` ready, fill in some of its samples, and let its turn come."""
        bench = bench_of(model, **options)
        ahead.begin("a", ["b"])
        expect(ahead, bench, request)
        list(sample(bench.engine, [open_stream(bench, 255 - IMAGE, 0)], ahead=lambda: ahead.streams(bench)))
        ahead.begin("b", [])
        return bench

    def test_samples_are_handed_over(self, ahead: Lookahead) -> None:
        model = network()
        bench = self.ready(ahead, request_of(), model)
        stream = ahead.take(request_of(), bench_of(model))
        assert stream is not None
        assert stream.samples == 25
        ((_, explanation),) = sample(bench.engine, [stream])
        assert explanation.passes == 102
        expected = run(bench_of(network()), IMAGE, "cat")
        np.testing.assert_array_equal(explanation.masks, expected.masks)
        np.testing.assert_allclose(explanation.weights, expected.weights, rtol=0, atol=1e-6)

    @pytest.mark.parametrize(
        "other",
        [
            request_of(255 - IMAGE),
            request_of(target="dog"),
            request_of(IMAGE, "cat", predicted(rank=2)),
            request_of(samples=200),
        ],
    )
    def test_another_request(self, other: Request, ahead: Lookahead) -> None:
        model = network()
        self.ready(ahead, request_of(), model)
        assert ahead.take(other, bench_of(model, **other.options)) is None

    @pytest.mark.parametrize(
        "options", [{"samples": 200}, {"confidence": 0.9}, {"seed": 1}, {"batch_size": 32}, {"precision": "bfloat16"}]
    )
    def test_other_options_of_a_marker(self, options: dict[str, Any], ahead: Lookahead) -> None:
        # They are in no request.
        model = network()
        self.ready(ahead, request_of(), model)
        assert ahead.take(request_of(), bench_of(model, **options)) is None

    def test_another_model(self, ahead: Lookahead) -> None:
        self.ready(ahead, request_of(), network())
        assert ahead.take(request_of(), bench_of(network())) is None

    @pytest.mark.parametrize("way", ["rewritten", "touched", "gone", "larger"])
    def test_a_file_that_changed(self, way: str, ahead: Lookahead, tmp_path: Path) -> None:
        path = tmp_path / "cat.bmp"
        PILImage.fromarray(IMAGE).save(path)
        model = network()
        self.ready(ahead, request_of(path), model)
        if way == "rewritten":
            PILImage.fromarray(255 - IMAGE).save(path)
            os.utime(path, (0, 0))
        elif way == "touched":
            os.utime(path)
        elif way == "gone":
            path.unlink()
        else:
            known = path.stat()
            path.write_bytes(path.read_bytes() + b" ")
            os.utime(path, ns=(known.st_atime_ns, known.st_mtime_ns))
        assert ahead.take(request_of(path), bench_of(model)) is None

    def test_another_file_of_that_name(self, ahead: Lookahead, tmp_path: Path) -> None:
        # Of the same size and age, as a copy that keeps times may be.
        path, other = tmp_path / "cat.bmp", tmp_path / "other.bmp"
        PILImage.fromarray(IMAGE).save(path)
        PILImage.fromarray(255 - IMAGE).save(other)
        for each in (path, other):
            os.utime(each, (10**9, 10**9))
        model = network()
        self.ready(ahead, request_of(path), model)
        other.replace(path)
        assert ahead.take(request_of(path), bench_of(model)) is None

    def test_a_file_that_did_not_change(self, ahead: Lookahead, tmp_path: Path) -> None:
        path = tmp_path / "cat.bmp"
        PILImage.fromarray(IMAGE).save(path)
        model = network()
        for request in (request_of(path), request_of(str(path))):
            self.ready(ahead, request, model)
            assert ahead.take(request, bench_of(model)) is not None

    @pytest.mark.parametrize("what", ["array", "picture", "label map"])
    def test_what_was_changed_in_place(self, what: str, ahead: Lookahead) -> None:
        model = network()
        image: Any = PILImage.fromarray(IMAGE) if what == "picture" else IMAGE.copy()
        labels = np.arange(1024).reshape(32, 32) // 64
        request = request_of(image, segmenter=labels)
        self.ready(ahead, request, model, segmenter=labels)
        if what == "array":
            image[:] = 255 - image
        elif what == "picture":
            image.paste((0, 0, 0), (0, 0, 32, 32))
        else:
            labels[:] = labels.T
        assert ahead.take(request_of(image, segmenter=labels), bench_of(model, segmenter=labels)) is None

    def test_weights_that_changed(self, ahead: Lookahead) -> None:
        model = network()
        self.ready(ahead, request_of(), model)
        change(model)
        assert ahead.take(request_of(), bench_of(model)) is None

    @pytest.mark.parametrize("kind", ["function", "class of the user's"])
    def test_for_a_model_without_a_fingerprint_nothing_is_made(self, kind: str, ahead: Lookahead) -> None:
        class Unknown(FakeModel):
            pass

        function = CallableModel(lambda images: np.tile([0.25, 0.75], (len(images), 1)), labels=("cat", "dog"))
        bench = bench_of(function if kind == "function" else Unknown())
        ahead.begin("a", ["b"])
        ahead.expect("b", request_of(), bench, lambda: pytest.fail("it was opened"))
        assert ahead.streams(bench) == []
        ahead.begin("b", [])
        assert ahead.take(request_of(), bench) is None

    def test_what_could_not_be_made_is_made_by_the_test_itself(self, ahead: Lookahead, tmp_path: Path) -> None:
        bench = bench_of(FakeModel())
        broken = tmp_path / "broken.png"
        broken.write_text("no picture")
        for request in (request_of(broken), request_of(IMAGE, "catt")):
            ahead.begin("a", ["b"])
            expect(ahead, bench, request)
            assert ahead.streams(bench) == []
            ahead.begin("b", [])
            assert ahead.take(request, bench) is None

    def test_a_file_that_is_not_there_yet(self, ahead: Lookahead, tmp_path: Path) -> None:
        bench = bench_of(FakeModel())
        path = tmp_path / "later.png"
        ahead.begin("a", ["b"])
        with pytest.raises(FileNotFoundError):
            expect(ahead, bench, request_of(path))
        PILImage.fromarray(IMAGE).save(path)
        ahead.begin("b", [])
        assert ahead.take(request_of(path), bench) is None

    def test_those_that_are_forgotten_are_not_made(self, ahead: Lookahead) -> None:
        bench = bench_of(FakeModel())
        began, go_on = threading.Event(), threading.Event()
        made: list[str] = []

        def open_(name: str) -> SampleStream:
            made.append(name)
            began.set()
            assert go_on.wait(20)
            return open_stream(bench, IMAGE, "cat", decides=True)

        ahead.begin("a", ["b", "c", "d"])
        for name in "bcd":
            ahead.expect(name, request_of(), bench, lambda name=name: open_(name))  # type: ignore[misc]
        assert began.wait(20)
        waiting = ahead._expected["c"].stream
        # What does not come is no longer waited for.
        ahead.begin("d", [])
        assert waiting.cancelled()
        go_on.set()
        assert ahead.take(request_of(), bench) is not None
        assert made == ["b", "d"]

    def test_a_stream_that_waits_for_lost_scores(self, ahead: Lookahead) -> None:
        model = network()
        self.ready(ahead, request_of(), model)
        stream = ahead._expected["b"].stream.result()
        assert stream.portion(1) is not None
        assert stream.busy
        assert ahead.take(request_of(), bench_of(model)) is None

    def test_after_the_end_there_is_nothing(self, ahead: Lookahead) -> None:
        model = network()
        self.ready(ahead, request_of(), model)
        ahead.close()
        assert ahead.take(request_of(), bench_of(model)) is None
        # And it can begin again.
        self.ready(ahead, request_of(), model)
        assert ahead.take(request_of(), bench_of(model)) is not None


class TestStreams:
    def test_those_that_share_batches(self, ahead: Lookahead) -> None:
        model = network()
        bench = bench_of(model)
        ahead.begin("a", ["b", "c", "d"])
        expect(ahead, bench, request_of(), "b")
        expect(ahead, bench_of(model, batch_size=7), request_of(), "c")
        expect(ahead, bench_of(network()), request_of(), "d")
        assert ahead.streams(bench) == [ahead._expected["b"].stream.result()]
        # Its own turn is not ahead.
        ahead.begin("b", ["c", "d"])
        assert ahead.streams(bench) == []

    def test_those_of_other_weights_do_not(self, ahead: Lookahead) -> None:
        # Their samples would be of two models.
        model = network()
        ahead.begin("a", ["c"])
        expect(ahead, bench_of(model), request_of(), "c")
        first = bench_of(model)
        list(sample(first.engine, [open_stream(first, 255 - IMAGE, 0)], ahead=lambda: ahead.streams(first)))
        ahead.begin("b", ["c"])
        change(model)
        second = bench_of(model)
        assert ahead.streams(second) == []
        list(sample(second.engine, [open_stream(second, 255 - IMAGE, 0)], ahead=lambda: ahead.streams(second)))
        change(model)
        ahead.begin("c", [])
        stream = ahead.take(request_of(), bench_of(model))
        # The weights are what they were, and so are its samples.
        assert stream is not None
        assert stream.samples == 25
        ((_, explanation),) = sample(stream.bench.engine, [stream])
        expected = run(bench_of(network()), IMAGE, "cat")
        np.testing.assert_allclose(explanation.sample_scores, expected.sample_scores, rtol=0, atol=1e-6)


def test_samples_of_changed_weights_are_not_stored_under_the_old_ones(ahead: Lookahead, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    model = network()
    bench = bench_of(model, cache)
    ahead.begin("a", ["b"])
    # With a cache the weights are looked at when a stream is opened.
    expect(ahead, bench, request_of())
    change(model)
    ahead.begin("b", [])
    stream = ahead.take(request_of(), bench_of(model)) or open_stream(bench_of(model, cache), IMAGE, "cat")
    ((_, turned),) = sample(stream.bench.engine, [stream])
    fresh = network()
    change(fresh)
    expected = run(bench_of(fresh), IMAGE, "cat")
    np.testing.assert_allclose(turned.sample_scores, expected.sample_scores, rtol=0, atol=1e-6)
    change(model)
    again = run(bench_of(model, cache), IMAGE, "cat")
    expected = run(bench_of(network()), IMAGE, "cat")
    np.testing.assert_allclose(again.sample_scores, expected.sample_scores, rtol=0, atol=1e-6)
