"""The templates of the report's pages."""

from __future__ import annotations

import re
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

__all__ = ["page_environment"]


@cache
def page_environment() -> Environment:
    """Return the templates of the report."""
    environment = Environment(
        loader=PackageLoader("pytest_lime", "report/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    environment.filters["dense"] = _dense
    return environment


def _breakable(text: str) -> Markup:
    """Return a test's name, escaped, with places where a line may break: after what parts its words."""
    return Markup(re.sub(r"(::|[/_.])", r"\1<wbr>", str(escape(text))))


def _dense(html: str) -> Markup:
    """Return `html` without line breaks between its elements, each of which a browser would keep."""
    return Markup(re.sub(r">\n+<", "><", html))
