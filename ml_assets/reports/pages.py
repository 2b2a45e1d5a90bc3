"""Pages of reports: the text stands in ``templates/``, what is computed comes from Python.

Importing this module imports no Jinja; rendering does.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["page", "rendered"]


def rendered(template: str, **values: Any) -> str:
    """Fill in a template of ``ml_assets/reports/templates``.

    Numbers are written by the filter ``spec``, which takes a format specification of Python:
    ``{{ error | spec('.1e') }}``, ``{{ options | spec(',') }}``.

    Parameters
    ----------
    template : str
        File name.
    **values
        What the template names; a name that it does not find is an error, not an empty place.

    Raises
    ------
    jinja2.UndefinedError
        If the template asks for a value that was not given.
    """
    return _environment().get_template(template).render(values)


def page(template: str, **values: Any) -> bytes:
    """As :func:`rendered`, encoded as a file of a report."""
    return rendered(template, **values).encode()


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("ml_assets.reports"),
        undefined=StrictUndefined,
        # A line that holds a statement alone leaves no empty line behind.
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown, not HTML
    )
    environment.filters["spec"] = format
    return environment
