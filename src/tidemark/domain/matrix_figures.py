"""A figure of the correlations of many series, as `matplotlib.figure.Figure`, never pyplot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tidemark.domain.correlation_figures import FORM, check_correlations
from tidemark.domain.plotting import BLUE, INK, LABEL_SIZE, TEXT_SIZE, VERMILLION, write_number
from tidemark.domain.wide_plotting import (
    SMALL_SIZE,
    add_bar,
    add_notes,
    fill_grid,
    hatch_cells,
    start_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_SERIES = 35
"""Series that a matrix shows with names that can be read."""

_MOST_WRITTEN = 15  # series; of more, the values do not fit into the cells
_DIVERGING = (VERMILLION, "#F7F7F7", BLUE)


def draw_correlation_matrices(
    now: pd.DataFrame, before: pd.DataFrame, now_label: str, before_label: str, note: str = ""
) -> Figure:
    """Draw the correlations of many series before and now, as lower triangles side by side.

    Parameters
    ----------
    now, before : DataFrame, shape (series, series)
        Symmetric, the same names in index and columns, NaN where there is no value. A series in
        one of them alone has no values in the other.
    now_label, before_label : str
        What the two are called, as "2022" and "2015 to 2021".
    note : str
        Sources and remarks, under the figure.

    Raises
    ------
    ValueError
        If there are fewer than 2 series or more than ``MAX_SERIES``, no value, one beyond -1 and
        1, or a matrix is not symmetric.
    """
    series = [*now.index, *(name for name in before.index if name not in now.index)]
    count = len(series)
    if not 2 <= count <= MAX_SERIES:
        raise ValueError(f"{count} series cannot be drawn as matrices: choose 2 to {MAX_SERIES}.")
    shown = [_read_matrix(table, series) for table in (before, now)]
    every = np.concatenate([values[np.tril_indices(count, -1)] for values in shown])
    check_correlations(
        every[np.isfinite(every)], "of the pairs", "give series that overlap in time"
    )
    side = float(np.clip(0.42 * count, 2.6, 5.2))
    title, largest = _find_change(shown, series, (before_label, now_label))
    longest = max(len(str(name)) for name in series)
    is_upright = longest * count > 9.0 * side  # names that would touch each other side by side
    height = side + 1.7 + 0.09 * longest * is_upright
    figure = start_figure(title, 2.0 * side + 1.9 + 0.09 * longest, height, columns=2)
    left, right = figure.axes
    size = TEXT_SIZE if count <= _MOST_WRITTEN else SMALL_SIZE
    below = np.tri(count - 1, dtype=bool)  # the diagonal and above it are left out
    for axes, matrix, label in ((left, shown[0], before_label), (right, shown[1], now_label)):
        values = np.where(below, matrix[1:, :-1], np.nan)
        mesh = fill_grid(axes, values, _DIVERGING, (-1.0, 1.0))
        hatch_cells(axes, below & np.isnan(values))
        if count <= _MOST_WRITTEN:
            _write_cells(axes, values)
        axes.set_title(label, fontsize=LABEL_SIZE, loc="left", color=INK)
        axes.set_xticks(range(count - 1), series[:-1], rotation=90 * is_upright)
        axes.set_yticks(range(count - 1), series[1:] if axes is left else [""] * (count - 1))
        axes.set_aspect("equal")
        axes.tick_params(labelsize=size)
    add_bar(figure, mesh, [left, right], "correlation")
    add_notes(figure, largest, "Hatched: no value." * bool(np.isnan(every).any()), note)
    return figure


def _read_matrix(table: pd.DataFrame, series: Sequence[str]) -> np.ndarray:
    """Read a symmetric matrix in the order of the series."""
    values = table.reindex(index=list(series), columns=list(series)).to_numpy(dtype="float64")
    if not np.allclose(values, values.T, rtol=0.0, atol=1e-9, equal_nan=True):
        i, j = np.argwhere(~np.isclose(values, values.T, rtol=0.0, atol=1e-9, equal_nan=True))[0]
        raise ValueError(
            f"The correlation of {series[i]} and {series[j]} is {values[i, j]:.4g} one way and "
            f"{values[j, i]:.4g} the other: give a symmetric matrix."
        )
    return values


def _find_change(
    shown: Sequence[np.ndarray], series: Sequence[str], labels: tuple[str, str]
) -> tuple[str, str]:
    """Say what the mean correlation was, and of which pair it changed the most."""
    before, now = (np.where(np.tri(len(series), k=-1), values, np.nan) for values in shown)
    change = now - before
    both = np.isfinite(change)
    means = []
    for values, label in zip((before, now), labels, strict=True):
        counted = values[both if both.any() else np.isfinite(values)]
        if counted.size:
            means.append(f"{write_number(float(counted.mean()), FORM)} ({label})")
    title = f"Correlations of {len(series)} series: on average {' and '.join(means)}"
    if not both.any():
        return title, "No pair has a value in both."
    i, j = divmod(int(np.nanargmax(np.abs(change))), len(series))
    old, new = (write_number(float(values[i, j]), FORM) for values in (before, now))
    return (
        title,
        f"Largest change: {series[j]} and {series[i]}, from {old} to {new}. "
        f"Averages: {int(both.sum()):,} pairs with both values.",
    )


def _write_cells(axes: Axes, values: np.ndarray) -> None:
    """Write values into their squares, without the zero before the point if they are many."""
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            text = write_number(float(value), "z.2f")
            text = text.replace("0.", ".", 1) if len(values) >= 10 else text
            ink = "white" if abs(value) > 0.6 else INK
            axes.text(j, i, text, ha="center", va="center", fontsize=SMALL_SIZE, color=ink)
