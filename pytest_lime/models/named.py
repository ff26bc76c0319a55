"""A model by its name, ``module:attribute``, as command lines and files give it."""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path
from typing import Any

from pytest_lime.errors import ModelError, nearest, one_line
from pytest_lime.models.protocol import Model, check_model

__all__ = ["load_model"]


def load_model(name: str) -> Model:
    """Import the model that `name` stands for.

    Parameters
    ----------
    name : ``"module:attribute"``
        The attribute is a model, or a function without arguments that returns one. Modules are
        looked for in the current folder first. Dots lead into an attribute.

    Raises
    ------
    ModelError
        The name is of another form, there is no such module or attribute, or it is no model.

    Notes
    -----
    An error raised while the module is imported, or inside the function, keeps its own type and traceback.
    """
    module_name, colon, attribute = name.partition(":")
    if not (module_name and colon and attribute):
        raise ModelError(f"model {name!r} must be of the form module:attribute, such as conftest:make_model.")
    found = _attribute(_module(module_name, name), attribute, name)
    if _is_fixture(found):
        raise ModelError(
            f"model {name!r} is a fixture of pytest, which only a test can use; put what it does into a function and "
            "name that."
        )
    if inspect.isroutine(found) and not _needs_arguments(found):
        found = found()
    return check_model(found)


def _module(module_name: str, name: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # A module that the user's own imports may be missing too; that is theirs to see.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise ModelError(
            f"model {name!r}: there is no module {error.name!r} in {here!r} or among the installed packages; "
            "check the name, or change to the folder that holds it."
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


def _needs_arguments(function: Any) -> bool:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some built-in functions do not tell
        return True
    return any(one.default is one.empty and one.kind in kinds for one in parameters)
