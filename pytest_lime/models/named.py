"""A model by its name, ``module:attribute``, as command lines and files give it."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from pathlib import Path, PureWindowsPath
from typing import Any

from pytest_lime.errors import ModelError, nearest, one_line
from pytest_lime.models.protocol import Model, check_model

__all__ = ["load_model"]


def load_model(name: str) -> Model:
    """Import the model that `name` stands for.

    Parameters
    ----------
    name : ``"module:attribute"``
        The attribute is a model, or a function that needs no arguments and returns one. Modules
        are looked for in the current folder first. Dots lead into an attribute.

    Raises
    ------
    ModelError
        The name is of another form, there is no such module or attribute, or it is no model.

    Notes
    -----
    An error raised while the module is imported, or inside the function, keeps its own type and traceback.
    """
    # From the right: a path on Windows has a colon of its own.
    module_name, _, attribute = name.rpartition(":")
    if not attribute or not all(part.isidentifier() for part in module_name.split(".")):
        raise ModelError(
            f"model {name!r} must be of the form module:attribute, such as network:make_model"
            f"{_meant(module_name, attribute)}."
        )
    found = _attribute(_module(module_name, attribute, name), attribute, name)
    if _is_fixture(found):
        raise ModelError(
            f"model {name!r} is a fixture of pytest, which only a test can use; put what it does into a function (or a "
            "module-level variable) and name that."
        )
    is_function = inspect.isroutine(found) or isinstance(found, functools.partial)
    return check_model(_made(found, name) if is_function else found)


def _made(function: Any, name: str) -> Any:
    """Return what `function` returns."""
    if inspect.iscoroutinefunction(function):
        raise ModelError(
            f"model {name!r} is a coroutine function (async def), which nothing here awaits; name a plain function "
            "that returns a model."
        )
    needed = _needed_arguments(function)
    if needed:
        raise ModelError(
            f"model {name!r} is a function that needs arguments ({', '.join(needed)}); name one that needs none and "
            "returns a model, or, if it is itself the classifier, wrap the function: "
            "CallableModel(classifier_fn, labels=…)."
        )
    try:
        return function()
    except SystemExit as error:
        raise ModelError(f"model {name!r}: the function ended the process (SystemExit {error.code!r}).") from error


def _meant(module_name: str, attribute: str) -> str:
    """Return a hint where `module_name` is the path of a module rather than its name."""
    # It takes both kinds of slashes.
    path = PureWindowsPath(module_name)
    stem = path.name.removesuffix(".py")
    is_path = path.name != module_name or stem != module_name
    return f"; say {stem}:{attribute} in the folder that holds it" if is_path and stem.isidentifier() else ""


def _module(module_name: str, attribute: str, name: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(module_name)
    except SystemExit as error:
        raise ModelError(
            f"model {name!r}: the module ends the process as it is imported (SystemExit {error.code!r}); put what it "
            "does as a program below if __name__ == '__main__'."
        ) from error
    except ModuleNotFoundError as error:
        # A module that the user's own imports may be missing too; that is theirs to see.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise ModelError(
            f"model {name!r}: there is no module {error.name!r} in {here!r} or among the installed packages; "
            f"check the name{_meant(module_name, attribute) or ', or change to the folder that holds it'}."
        ) from None


def _attribute(module: Any, attribute: str, name: str) -> Any:
    found = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            known = [other for other in vars(found) if not other.startswith("_")] if hasattr(found, "__dict__") else []
            raise ModelError(f"model {name!r}: {one_line(found)} has no attribute {part!r}{nearest(part, known)}.")
        found = getattr(found, part)
    return found


def _is_fixture(found: Any) -> bool:
    # The object that stands for a fixture since pytest 8.4; before that it was a function with a mark.
    return type(found).__name__ == "FixtureFunctionDefinition" or hasattr(found, "_pytestfixturefunction")


def _needed_arguments(function: Any) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some built-in functions do not tell
        return ["…"]
    return [one.name for one in parameters if one.default is one.empty and one.kind in kinds]
