"""Figures that may be missing: drawing one is tried twice and never ends a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tidemark import incidents
from tidemark.domain.plotting import render_png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MISSING = b""  # what stands for the PNG of a figure that could not be drawn


def draw_twice(draw: Callable[[], Figure], name: str) -> bytes:
    """Draw a figure, once more if that fails, and give up then.

    Parameters
    ----------
    draw : callable
        Draws the figure.
    name : str
        What the incident calls it.

    Returns
    -------
    bytes
        The figure as PNG, or ``MISSING`` after an incident was reported.
    """
    fault = ""
    for _ in range(2):
        try:
            return render_png(draw())
        except Exception as error:  # whatever it is, a picture is no reason to lose the numbers
            fault = " ".join(f"{type(error).__name__}: {error}".split())  # on one line
    incidents.report("missing", f"{name} could not be drawn: {fault}", figure=name, error=fault)
    return MISSING
