"""Jinja templates as node functions take them: loaded by the catalog, strict about names."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

Templates = dict[str, Callable[[], str]]


def prepare_templates(
    templates: Templates, filters: Mapping[str, Callable[..., Any]] | None = None
) -> Environment:
    """Make the environment that renders templates.

    Parameters
    ----------
    templates : dict of str to callable
        Each returns the text of one template; those whose name ends in ``.html`` are escaped.
    filters : mapping of str to callable, optional
        Filters of these templates beside ``share`` and ``number``.
    """
    from jinja2 import DictLoader, Environment, StrictUndefined, select_autoescape

    environment = Environment(
        loader=DictLoader({name: load() for name, load in templates.items()}),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=select_autoescape(["html"], default=False),
    )
    environment.filters |= {"share": show_share, "number": show_number, **(filters or {})}
    return environment


def inline_png(png: bytes) -> str:
    """Put a PNG into an address that needs no other file."""
    return f"data:image/png;base64,{b64encode(png).decode()}"


def show_share(value: float | None, digits: int = 2) -> str:
    """Show a share in percent.

    Examples
    --------
    >>> show_share(0.1234, 1), show_share(None)
    ('12.3 %', '-')
    """
    return "-" if value is None else f"{100.0 * value:.{digits}f} %"


def show_number(value: float | None, digits: int = 3) -> str:
    """Show a number with so many digits behind the point.

    Examples
    --------
    >>> show_number(1.5, 1), show_number(None)
    ('1.5', '-')
    """
    return "-" if value is None else f"{value:.{digits}f}"
