"""Packages that only some users need, imported when they are."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from pytest_lime.errors import OptionError, is_for_the_user

__all__ = ["require"]

__tracebackhide__ = is_for_the_user


def require(module: str, *, extra: str, needed_for: str) -> ModuleType:
    """Import `module`, which comes with an extra of pytest-lime.

    Parameters
    ----------
    module : str
        Its dotted name, such as ``"captum.attr"``.
    extra : str
        The extra that installs it, such as ``"captum"``.
    needed_for : str
        What the user asked for, at the start of the message.

    Raises
    ------
    OptionError
        The package is not installed, or is installed and fails while it is imported.

    Examples
    --------
    >>> require("no_such_package.inner", extra="onnx", needed_for="OnnxModel")
    Traceback (most recent call last):
    pytest_lime.OptionError: OnnxModel needs no_such_package, which is not installed: pip install 'pytest-lime[onnx]'.
    """
    package = module.partition(".")[0]
    command = f"pip install 'pytest-lime[{extra}]'"
    try:
        return import_module(module)
    # A package built for another version of its neighbours may raise anything while it is imported.
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == package:
            raise OptionError(f"{needed_for} needs {package}, which is not installed: {command}.") from None
        reason = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")
        raise OptionError(
            f"{needed_for} needs {package}, which is installed and cannot be imported ({reason}): mend it, for example "
            f"with {command.replace('install', 'install --upgrade', 1)}."
        ) from error
