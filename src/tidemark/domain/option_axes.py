"""What figures of options share: axes of days and of errors, colours by number, and legends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tidemark.domain.plotting import GREY, TEXT_SIZE, Limits, find_fences, is_within, widen

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

_WIDE, _VERY_WIDE = 4.0, 50.0  # the largest value over the least


def choose_limits(values: np.ndarray, least: float, share: float = 0.05) -> Limits:
    """Choose limits of an axis that values far from the others do not set."""
    usual = values[is_within(values, find_fences(values))]
    return widen((float(usual.min()), float(usual.max())), least, share)


def shade(heights: np.ndarray) -> np.ndarray:
    """Choose a colour for each number, from dark to light; shape (numbers, 4)."""
    from matplotlib import colormaps

    span = float(np.ptp(heights)) or 1.0
    # The end of the map is too light for lines on white.
    return np.asarray(colormaps["plasma"](0.8 * (heights - heights.min()) / span))


def use_days(axes: Axes, days: np.ndarray) -> None:
    """Give the x-axis days on a logarithmic scale, with air on both sides."""
    axes.set_xscale("log")
    axes.set_xlim(days.min() / 1.25, days.max() * 1.25)
    use_plain_log(axes.xaxis, days)


def use_plain_log(axis: Axis, values: np.ndarray) -> None:
    """Write few and plain numbers on a logarithmic axis that shows these values."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    span = values.max() / values.min()
    steps = (1.0, 2.0, 5.0) if span < _VERY_WIDE else (1.0, 3.0)
    axis.set_major_locator(MaxNLocator(5) if span < _WIDE else LogLocator(subs=steps))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter("{x:g}")


def write_none(axes: Axes, text: str) -> None:
    """Say in the middle of empty axes why they are."""
    middle = axes.transAxes
    axes.set_yticks([])
    axes.text(
        0.5, 0.5, text, transform=middle, ha="center", va="center", fontsize=TEXT_SIZE, color=GREY
    )
