"""A figure of how complete data are, as `matplotlib.figure.Figure`, never pyplot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tidemark.domain.plotting import GREY, INK, LABEL_SIZE, TEXT_SIZE, name_axes
from tidemark.domain.wide_plotting import (
    HATCHED,
    SMALL_SIZE,
    add_notes,
    fill_grid,
    hatch_cells,
    start_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

# Shares are drawn in classes, because a line of colours hides the few cells that lack little.
_CLASSES = (
    ("none", "#FFFFFF"),
    ("below 50 %", "#B45309"),
    ("50 to 90 %", "#E69F00"),
    ("90 to 99 %", "#F7D98B"),
    ("99 % or more", "#7FB2D6"),
)
_EDGES = (0.0, 0.5, 0.9, 0.99)
_MARKERS = ("x", "o", "^", "s", "D", "v")


def draw_coverage(
    coverage: pd.DataFrame,
    marks: pd.DataFrame | None = None,
    subject: str = "Data",
    period: str = "year",
    note: str = "",
) -> Figure:
    """Draw which share of its values each series has in each period.

    Parameters
    ----------
    coverage : DataFrame
        Index: series; columns: periods in order, such as years; values from 0 to 1, NaN where
        none are expected.
    marks : DataFrame, optional
        ``series, period, mark``: cells with a finding and what it is called; at most 6 kinds.
    subject : str
        What the title begins with.
    period : str
        What a column is: "year", "month".
    note : str
        Sources and remarks, under the figure.

    Raises
    ------
    ValueError
        If there is no value, one is not from 0 to 1, or a mark has no cell.
    """
    shares = coverage.to_numpy(dtype="float64")
    known = np.isfinite(shares)
    if not known.any():
        raise ValueError(
            f"Coverage of {coverage.shape[0]} series and {coverage.shape[1]} periods has no value "
            "to draw: give at least one share."
        )
    if ((shares < 0.0) | (shares > 1.0 + 1e-9)).any():
        raise ValueError(
            f"Coverage runs from {np.nanmin(shares):.3g} to {np.nanmax(shares):.3g}: give shares "
            "from 0 to 1."
        )
    n_series, n_periods = shares.shape
    size = SMALL_SIZE if n_series > 20 else TEXT_SIZE
    height = 2.0 + (0.16 if n_series > 20 else 0.24) * n_series
    figure = start_figure(_find_coverage(coverage, subject), height=max(height, 3.0))
    (axes,) = figure.axes
    colors = [color for _, color in _CLASSES]
    fill_grid(axes, _classify(shares), colors, (-0.5, len(colors) - 0.5), len(colors))
    hatch_cells(axes, ~known)
    drawn = _draw_marks(axes, coverage, marks) if marks is not None and len(marks) else []
    every = -(-n_periods * (len(str(coverage.columns[0])) + 2) // 80)
    ticks = range(0, n_periods, every if every < 5 else 12 * -(-every // 12))
    axes.set_xticks(ticks, [str(coverage.columns[tick]) for tick in ticks])
    axes.set_yticks(range(n_series), [str(name) for name in coverage.index])
    axes.tick_params(axis="y", labelsize=size)
    name_axes(axes, period, "")
    _add_classes(axes, (~known).any(), drawn)
    add_notes(figure, f"Colours: share of the expected values that a {period} has.", note)
    return figure


def _find_coverage(coverage: pd.DataFrame, subject: str) -> str:
    """Say how many series are complete from their first value on, and which one is the least."""
    share = coverage.mean(axis=1).dropna()
    n_complete = int((share >= _EDGES[-1]).sum())
    title = f"{subject}: {n_complete} of {len(share)} series at least 99 % complete"
    if n_complete == len(share):
        return title
    return f"{title}; least {share.idxmin()} ({100.0 * share.min():.1f} %)"


def _classify(shares: np.ndarray) -> np.ndarray:
    """Find the number of each share's class, NaN where there is no share."""
    kind = np.searchsorted(_EDGES, shares, side="right").astype("float64")
    kind[shares == 0.0] = 0.0
    return np.where(np.isfinite(shares), kind, np.nan)


def _draw_marks(axes: Axes, coverage: pd.DataFrame, marks: pd.DataFrame) -> list[Line2D]:
    """Draw each kind of mark with its own marker, and return one handle for each kind."""
    rows = coverage.index.get_indexer(pd.Index(marks["series"]))
    columns = coverage.columns.get_indexer(pd.Index(marks["period"]))
    astray = marks[(rows < 0) | (columns < 0)]
    if len(astray):
        first = astray.iloc[0]
        raise ValueError(
            f"{len(astray)} marks have no cell, such as {first['mark']} of {first['series']} in "
            f"{first['period']}: give series and periods of the coverage."
        )
    kinds = sorted(set(marks["mark"]))
    if len(kinds) > len(_MARKERS):
        raise ValueError(
            f"{len(kinds)} kinds of marks cannot be told apart: give at most {len(_MARKERS)}."
        )
    handles = []
    for kind, marker in zip(kinds, _MARKERS, strict=False):
        mine = (marks["mark"] == kind).to_numpy()
        handles += axes.plot(
            columns[mine],
            rows[mine],
            marker,
            color=INK,
            markersize=4.5,
            markeredgewidth=1.2,
            markerfacecolor="white",
            label=f"{kind} ({int(mine.sum())})",
        )
    return handles


def _add_classes(axes: Axes, has_missing: bool, marks: Sequence[Line2D]) -> None:
    from matplotlib.patches import Patch

    handles: list[Patch | Line2D] = [
        Patch(facecolor=color, edgecolor=GREY, linewidth=0.6, label=label)
        for label, color in _CLASSES
    ]
    if has_missing:
        handles.append(Patch(**HATCHED, label="not expected"))
    axes.legend(
        handles=[*handles, *marks],
        loc="upper left",
        bbox_to_anchor=(1.005, 1.0),
        fontsize=TEXT_SIZE,
        labelcolor=INK,
        frameon=False,
        title="share of values",
        title_fontproperties={"size": LABEL_SIZE},
        alignment="left",
        handlelength=1.4,
    )
