"""Callers: where in the user's files `lime` was called."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from pytest_lime.errors import printable

__all__ = ["called_from"]

# Whose frames lie between a test and what it calls.
OURS = ("pytest_lime", "_pytest", "pytest", "pluggy")


def called_from(root: Path) -> dict[str, Any] | None:
    """Return file and line of the innermost frame that is the user's; None where there is none.

    The file is relative to `root`, as node ids are, if it lies below.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        file = frame.f_code.co_filename
        if module.partition(".")[0] not in OURS and not file.startswith("<"):
            path = Path(file)
            shown = path.relative_to(root) if path.is_relative_to(root) else path
            return {"file": printable(str(shown)).replace(os.sep, "/"), "line": int(frame.f_lineno)}
        frame = frame.f_back
    return None
