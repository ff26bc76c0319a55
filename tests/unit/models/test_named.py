"""A model by its name."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_lime import CallableModel, ModelError
from pytest_lime.models.named import load_model
from pytest_lime.testing import FakeModel

SOURCE = """
import functools
import pytest
from pytest_lime.testing import FakeModel

model = FakeModel()

def make():
    return FakeModel(labels=["a", "b"])

def classifier(images):
    return images

def needing(path, *, size):
    return FakeModel()

partial = functools.partial(needing, "weights.pt", size=8)
lacking = functools.partial(needing, "weights.pt")

async def awaited():
    return model

class Holder:
    inner = model

@pytest.fixture
def lime_model():
    return model

def broken():
    raise RuntimeError("weights are gone")
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "zoo_of_models.py").write_text(SOURCE)
    (tmp_path / "needs_more.py").write_text("import a_module_that_is_not_there")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    import sys  # noqa: PLC0415

    sys.modules.pop("zoo_of_models", None)


def test_an_instance_and_what_an_attribute_leads_to() -> None:
    assert isinstance(load_model("zoo_of_models:model"), FakeModel)
    assert load_model("zoo_of_models:Holder.inner") is load_model("zoo_of_models:model")


def test_a_function_without_arguments_is_called() -> None:
    assert load_model("zoo_of_models:make").labels == ("a", "b")


def test_a_partial_function_that_needs_nothing_more_is_called() -> None:
    assert isinstance(load_model("zoo_of_models:partial"), FakeModel)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("zoo_of_models", "must be of the form module:attribute"),
        (":model", "must be of the form module:attribute"),
        ("zoo_of_models:", "must be of the form module:attribute"),
        ("..:x", "'..:x' must be of the form module:attribute, such as network:make_model."),
        ("./zoo_of_models:model", "such as network:make_model; say zoo_of_models:model in the folder that holds it"),
        (".zoo_of_models:model", "must be of the form module:attribute"),
        ("/a b/zoo_of_models.py:model", "must be of the form module:attribute, such as network:make_model; say zoo_of"),
        (r"C:\zoo\of_models.py:model", "; say of_models:model in the folder that holds it"),
        ("zoo_of_models.py:model", "; say zoo_of_models:model in the folder"),
        ("zo_of_models:model", "there is no module 'zo_of_models'"),
        ("zoo_of_models.inner:model", "there is no module 'zoo_of_models.inner'"),
        ("zoo_of_models:modle", "has no attribute 'modle'; the nearest is 'model'"),
        ("zoo_of_models:Holder.outer", "has no attribute 'outer'"),
        ("zoo_of_models:classifier", "wrap the function: CallableModel"),
        ("zoo_of_models:needing", "'zoo_of_models:needing' is a function that needs arguments (path, size); name one"),
        ("zoo_of_models:lacking", "is a function that needs arguments (size); name one that needs none"),
        ("zoo_of_models:awaited", "'zoo_of_models:awaited' is a coroutine function (async def)"),
        (
            "zoo_of_models:lime_model",
            "is a fixture of pytest, which only a test can use; put what it does into a function (or a module-level "
            "variable) and name that",
        ),
        ("zoo_of_models:Holder", "pass an instance"),
    ],
)
def test_what_is_no_model_is_told(name: str, words: str) -> None:
    with pytest.raises(ModelError) as caught:
        load_model(name)
    assert words in str(caught.value)


def test_errors_of_the_users_own_stay_as_they_are() -> None:
    with pytest.raises(RuntimeError, match="weights are gone"):
        load_model("zoo_of_models:broken")
    with pytest.raises(ModuleNotFoundError, match="a_module_that_is_not_there"):
        load_model("needs_more:model")


def test_a_wrapped_function_is_a_model() -> None:
    assert CallableModel(len).classifier_fn is len


@pytest.mark.parametrize("source", ["raise SystemExit(3)", "def made():\n    raise SystemExit(3)"])
def test_what_ends_the_process_is_an_error(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ending_module.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "ending_module", raising=False)
    with pytest.raises(ModelError, match=r"model 'ending_module:made': .* \(SystemExit 3\)"):
        load_model("ending_module:made")
