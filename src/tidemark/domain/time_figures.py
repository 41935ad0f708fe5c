"""Figures of a study over time, as `matplotlib.figure.Figure`, never pyplot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tidemark.domain.plotting import (
    BLUE,
    INK,
    PALE,
    PALETTE,
    TARGET,
    TEXT_SIZE,
    Limits,
    Quantity,
    add_caption,
    add_legend,
    find_fences,
    format_like,
    is_within,
    label_ends,
    name_axes,
    new_figure,
    use_dates,
    widen,
    write_number,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_LINES = 6


def draw_cumulative_r2(daily: pd.DataFrame, cells: Sequence[str], title: str) -> Figure:
    """Draw how the out-of-sample R2 against zero of some cells came about over time.

    The first tenth of the dates counts but is not drawn, because a ratio of few dates jumps.

    Parameters
    ----------
    daily : DataFrame
        One row for each date and cell: ``date``; ``cell``, ``"scenario.model"``; ``sq_error`` and
        ``sq_zero``, the sums over the rows of the date of squared errors and squared targets.
    cells : sequence of str
        At most ``MAX_LINES``.
    title : str
        Stands over the figure.

    Raises
    ------
    ValueError
        If there are no cells, too many of them, one has no dates, or all its targets are zero.

    References
    ----------
    Goyal, A. and Welch, I. (2008), A Comprehensive Look at The Empirical Performance of Equity
    Premium Prediction, Review of Financial Studies 21, 1455-1508: performance cumulated over
    time. Gu, S., Kelly, B. and Xiu, D. (2020), Empirical Asset Pricing via Machine Learning,
    Review of Financial Studies 33, 2223-2273: the R2 against zero.
    """
    if not 0 < len(cells) <= MAX_LINES:
        raise ValueError(
            f"{len(cells)} cells cannot be drawn as lines that can be told apart: choose 1 to "
            f"{MAX_LINES}."
        )
    lines = [_cumulate_r2(daily, cell) for cell in cells]
    n_hidden = max(hidden for _, hidden in lines)
    figure, (axes,) = new_figure(title)
    axes.axhline(0.0, color=INK, linewidth=2.2)
    for (line, _), color in zip(lines, PALETTE, strict=False):
        marker = "o" if len(line) == 1 else None
        axes.plot(line.index.to_numpy(), line.to_numpy(), color=color, linewidth=1.6, marker=marker)
    shown = np.concatenate([line.to_numpy() for line, _ in lines])
    shown = np.append(shown[is_within(shown, find_fences(shown, middle=0.5))], 0.0)
    limits = widen((float(shown.min()), float(shown.max())), 1.0)
    axes.set_ylim(limits)
    ends = np.array([float(line.iloc[-1]) for line, _ in lines])
    form = f"+{format_like(ends)}"
    texts = [f"{cell}\n{write_number(end, form)} %" for cell, end in zip(cells, ends, strict=True)]
    label_ends(axes, [line.index[-1] for line, _ in lines], ends, texts)
    use_dates(axes)
    across = f"date (first tenth, {n_hidden} dates, not drawn: unstable)" if n_hidden else "date"
    name_axes(axes, across, "cumulative R2 against zero (%)")
    n_cut = sum(bool((~is_within(line.to_numpy(), limits)).any()) for line, _ in lines)
    add_caption(
        figure,
        "R2: one minus squared errors over squared targets, both summed from the first date.",
        f"Partly beyond the axis: {n_cut} of {len(lines)} lines." if n_cut else "",
    )
    return figure


def _cumulate_r2(daily: pd.DataFrame, cell: str) -> tuple[pd.Series, int]:
    """Cumulate the R2 of a cell, in percent by date, and count the dates left out at the start."""
    sums = _of_cell(daily, cell)[["sq_error", "sq_zero"]].cumsum()
    n_hidden = len(sums) // 10
    sums = sums.iloc[n_hidden:]
    sums = sums[sums["sq_zero"] > 0.0]
    if sums.empty:
        raise ValueError(f"All targets of '{cell}' are zero, so its R2 against zero is undefined.")
    return 100.0 * (1.0 - sums["sq_error"] / sums["sq_zero"]), n_hidden


def _of_cell(daily: pd.DataFrame, cell: str) -> pd.DataFrame:
    """Select the rows of one cell, by date in order."""
    rows = daily[daily["cell"] == cell]
    if rows.empty:
        known = ", ".join(sorted(set(daily["cell"]))[:5]) or "no cell"
        raise ValueError(f"There are no dates of the cell '{cell}', only of {known}.")
    return rows.set_index("date").sort_index()


def draw_loss_differential(
    daily: pd.DataFrame,
    cell: str,
    benchmark: str,
    low: float,
    high: float,
    quantity: Quantity = TARGET,
) -> Figure:
    """Draw the cumulative difference of two cells' losses; it rises where the cell is better.

    The loss of a date is the mean squared error over its rows.

    Parameters
    ----------
    daily : DataFrame
        One row for each date and cell: ``date``; ``cell``, ``"scenario.model"``; ``n``, the
        number of rows; ``sq_error``, the sum of their squared errors.
    cell, benchmark : str
        The two that are compared, scored on the same dates.
    low, high : float
        Interval of the mean difference per date, benchmark minus cell, in the squared unit of
        ``sq_error``; NaN if there is none.
    quantity : Quantity
        What is predicted, and the unit whose square losses are in.

    Raises
    ------
    ValueError
        If one of the two has no dates, or they were not scored on the same dates and rows.
    """
    mine, other = _of_cell(daily, cell), _of_cell(daily, benchmark)
    if not mine["n"].equals(other["n"]):
        raise ValueError(
            f"'{cell}' and '{benchmark}' were not scored on the same dates and numbers of rows "
            f"({len(mine)} and {len(other)} dates), so their losses cannot be compared: run the "
            "study whole."
        )
    scale = quantity.scale**2
    loss = scale * other["sq_error"] / other["n"]
    difference = loss - scale * mine["sq_error"] / mine["n"]
    path = difference.cumsum().to_numpy()
    date = difference.index.to_numpy()
    figure, (axes,) = new_figure(f"{cell} against {benchmark}")
    axes.axhline(0.0, color=INK, linewidth=1.2)
    if len(path) > 1:
        guide = 1.96 * float(difference.std()) * np.sqrt(np.arange(1.0, len(path) + 1.0))
        axes.fill_between(
            date, -guide, guide, color=PALE, alpha=0.6, linewidth=0, label="95 % guide"
        )
    marker = "o" if len(path) == 1 else None
    axes.plot(
        date, path, color=BLUE, linewidth=1.6, marker=marker, label="rises where the cell is better"
    )
    unit = quantity.squared_unit
    _write_mean(axes, path, float(loss.mean()), (low * scale, high * scale), unit)
    use_dates(axes)
    name_axes(axes, "date", f"cumulative loss difference ({unit})")
    add_legend(axes)
    add_caption(
        figure,
        "Loss of benchmark minus loss of cell; loss: mean squared error over the rows of a date.",
        "Guide: ±1.96 s √t, s the standard deviation of a date's difference. Pointwise, for dates\n"
        "that are independent and losses that are equal in expectation." * (len(path) > 1),
    )
    return figure


def _write_mean(axes: Axes, path: np.ndarray, loss: float, interval: Limits, unit: str) -> None:
    """Write the mean difference into the left corner that the line stays out of."""
    mean = path[-1] / len(path)
    known = np.array([mean, *interval])
    form = format_like(known[np.isfinite(known)])
    text = f"mean difference per date {write_number(mean, form)} {unit}"
    if np.isfinite(interval).all():
        low, high = (write_number(end, form) for end in interval)
        text += f"\ninterval {low} to {high} {unit}"
    if loss > 0.0:
        text += f"\n{write_number(100.0 * mean / loss, '.2g')} % of the benchmark's loss"
    early = path[: len(path) // 2 + 1]
    is_high = early.max() > -early.min()
    axes.margins(y=0.25)
    axes.text(
        0.015,
        0.03 if is_high else 0.97,
        text,
        transform=axes.transAxes,
        va="bottom" if is_high else "top",
        fontsize=TEXT_SIZE,
        color=INK,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2.0},
    )
