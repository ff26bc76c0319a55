"""The fixture lime_model: missing, wrong and broken."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Run = Callable[..., pytest.RunResult]


def test_a_missing_model_shows_what_to_write(
    suite: Callable[..., None], run: Run, pytester: pytest.Pytester, insides: Callable[..., list[str]]
) -> None:
    suite("""
        def test_it(lime):
            raise RuntimeError("not reached")
        """)
    pytester.makeconftest("")
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "lime_model is not defined: the lime fixture needs to know your model. Say --lime-model=module:attribute, "
            "or put this into conftest.py:",
            "",
            "    import pytest",
            "    from pytest_lime import TorchModel",
            "",
            '    @pytest.fixture(scope="session")',
            "    def lime_model():",
            "        return TorchModel(net, size=(224, 224), mean=MEAN, std=STD, labels=LABELS)",
        ],
        consecutive=True,
    )
    assert insides(result) == []
    result.stdout.no_fnmatch_line("*pytest.fail*")
    assert not (pytester.path / "lime-report").exists()


def test_what_is_no_model_is_told_how_to_be_wrapped(
    suite: Callable[..., None], run: Run, insides: Callable[..., list[str]]
) -> None:
    suite("""
        import torch
        from pytest_lime import TorchModel

        MODELS = {
            "test_module": torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Flatten()),
            "test_function": lambda batch: batch,
            "test_class": TorchModel,
            "test_none": None,
        }

        @pytest.fixture
        def lime_model(request):
            return MODELS[request.node.name]

        def test_module(lime): pass
        def test_function(lime): pass
        def test_class(lime): pass
        def test_none(lime): pass
        """)
    result = run()
    result.assert_outcomes(errors=4)
    assert insides(result) == []
    told = [line for line in result.outlines if line.startswith("ModelError: ")]
    assert len(told) == 4
    assert all(" is no model for pytest-lime; " in line for line in told)
    for remedy in (
        "wrap the network: TorchModel(net, size=",
        "wrap the function: CallableModel(classifier_fn, ",
        "pass an instance of it",
        "use TorchModel, CallableModel, or an object with",
    ):
        assert sum(remedy in line for line in told) == 1


def test_a_mistake_in_making_the_model_is_told_at_the_users_line(
    suite: Callable[..., None], run: Run, pytester: pytest.Pytester, insides: Callable[..., list[str]]
) -> None:
    suite("""
        def test_it(lime):
            pass
        """)
    pytester.makeconftest("""
        import pytest, torch
        from pytest_lime import TorchModel

        @pytest.fixture(scope="session")
        def lime_model():
            return TorchModel(torch.nn.Flatten(), size=(32, 32), mean=[124.0, 116.0, 104.0])
        """)
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [">*return TorchModel(*", "E*pytest_lime.OptionError: mean=*divide by 255.", "conftest.py:*: OptionError"]
    )
    assert insides(result) == []


NAMED = """
    from pytest_lime.testing import FakeModel

    def make():
        return FakeModel()

    NOTHING = 3
    """


@pytest.mark.parametrize("how", ["option", "ini"])
def test_a_model_can_be_named(how: str, pytester: pytest.Pytester, run: Run, suite: Callable[..., None]) -> None:
    suite('def test_it(lime):\n    lime.check(IMAGE, "bird", predicted())\n')
    pytester.makeconftest("")
    pytester.makepyfile(network=NAMED)
    if how == "ini":
        pytester.makeini("[pytest]\nlime_model = network:make\n")
    run(*(["--lime-model=network:make"] if how == "option" else [])).assert_outcomes(passed=1)


@pytest.mark.parametrize("mode", ["bare"])
def test_a_fixture_is_stronger_and_mistakes_are_told(
    pytester: pytest.Pytester, run: Run, suite: Callable[..., None], insides: Callable[..., list[str]]
) -> None:
    suite('def test_it(lime):\n    lime.check(IMAGE, "bird", predicted())\n')
    pytester.makepyfile(network=NAMED)
    run("--lime-model=network:nowhere").assert_outcomes(passed=1)
    pytester.makeconftest("")
    result = run("--lime-model=network:mak")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["--lime-model: model 'network:mak': * has no attribute 'mak'; the nearest is 'make'."])
    assert insides(result) == []
