"""Figures of a study over time, as `matplotlib.figure.Figure`, never pyplot."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
from tidemark.domain.scores import SQUARED_ERROR, Headline, Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_LINES = 6


def draw_cumulative_r2(
    daily: pd.DataFrame,
    cells: Sequence[str],
    title: str,
    headline: Headline = SQUARED_ERROR.headline,
) -> Figure:
    """Draw how the out-of-sample R2 of some cells came about over time.

    The first tenth of the dates counts but is not drawn, because a ratio of few dates jumps.

    Parameters
    ----------
    daily : DataFrame
        One row for each date and cell: ``date``; ``cell``, ``"scenario.model"``; ``sq_error`` and
        the headline's ``squares``, sums over the rows of the date.
    cells : sequence of str
        At most ``MAX_LINES``.
    title : str
        Stands over the figure.
    headline : Headline
        What the R2 is against.

    Raises
    ------
    ValueError
        If there are no cells, too many of them, one has no dates, or nothing but zeros or missing
        values to hold its errors against.

    References
    ----------
    Goyal, A. and Welch, I. (2008), A Comprehensive Look at The Empirical Performance of Equity
    Premium Prediction, Review of Financial Studies 21, 1455-1508: performance cumulated over
    time. Gu, S., Kelly, B. and Xiu, D. (2020), Empirical Asset Pricing via Machine Learning,
    Review of Financial Studies 33, 2223-2273: the R2 against zero. Campbell, J. Y. and Thompson,
    S. B. (2008), Predicting Excess Stock Returns Out of Sample: Can Anything Beat the Historical
    Average?, Review of Financial Studies 21, 1509-1531: the R2 against the mean of the past.
    """
    _check_count(cells)
    lines = [_cumulate_r2(daily, cell, headline) for cell in cells]
    n_hidden = max(hidden for _, hidden in lines)
    across = f"date (first tenth, {n_hidden} dates, not drawn: unstable)" if n_hidden else "date"
    note = f"R2: one minus squared errors over {headline.square_words}, summed from the first date."
    figure, axes = _draw_lines(
        title, dict(zip(cells, [line for line, _ in lines], strict=True)), "%", note
    )
    name_axes(axes, across, f"cumulative {headline.short} (%)")
    return figure


def draw_cumulative_gain(
    daily: pd.DataFrame, cells: Sequence[str], reference: str, title: str
) -> Figure:
    """Draw how much log score some cells have gained over another one up to each date.

    Parameters
    ----------
    daily : DataFrame
        One row for each date and cell: ``date``; ``cell``, ``"scenario.model"``; ``n``, the
        number of rows; ``neg_log_score``, minus the sum of their log scores, in nats.
    cells : sequence of str
        At most ``MAX_LINES``.
    reference : str
        The cell that the others are measured against, scored on the same dates and rows.
    title : str
        Stands over the figure.

    Raises
    ------
    ValueError
        If there are no cells, too many of them, one has no dates, or others than the reference.

    References
    ----------
    Geweke, J. and Amisano, G. (2010), Comparing and Evaluating Bayesian Predictive Distributions
    of Asset Returns, International Journal of Forecasting 26, 216-230.
    """
    _check_count(cells)
    other = _of_cell(daily, reference)
    lines = {}
    for cell in cells:
        mine = _of_cell(daily, cell)
        _check_alike(cell, mine, reference, other)
        lines[cell] = (other["neg_log_score"] - mine["neg_log_score"]).cumsum()
    note = f"Gain: log score of a cell minus that of {reference}, summed from the first date."
    figure, axes = _draw_lines(title, lines, "nats", note)
    name_axes(axes, "date", f"cumulative gain over {reference} (nats)")
    return figure


def _check_count(cells: Sequence[str]) -> None:
    if not 0 < len(cells) <= MAX_LINES:
        raise ValueError(
            f"{len(cells)} cells cannot be drawn as lines that can be told apart: choose 1 to "
            f"{MAX_LINES}."
        )


def _draw_lines(
    title: str, lines: Mapping[str, pd.Series], unit: str, note: str
) -> tuple[Figure, Axes]:
    """Draw a line for each cell and one at zero; lines that explode do not set the limits."""
    figure, (axes,) = new_figure(title)
    axes.axhline(0.0, color=INK, linewidth=2.2)
    for line, color in zip(lines.values(), PALETTE, strict=False):
        marker = "o" if len(line) == 1 else None
        axes.plot(line.index.to_numpy(), line.to_numpy(), color=color, linewidth=1.6, marker=marker)
    shown = np.concatenate([line.to_numpy() for line in lines.values()])
    shown = np.append(shown[is_within(shown, find_fences(shown, middle=0.5))], 0.0)
    limits = widen((float(shown.min()), float(shown.max())), 1.0)
    axes.set_ylim(limits)
    ends = np.array([float(line.iloc[-1]) for line in lines.values()])
    form = f"+{format_like(ends)}"
    texts = [
        f"{cell}\n{write_number(end, form)} {unit}" for cell, end in zip(lines, ends, strict=True)
    ]
    label_ends(axes, [line.index[-1] for line in lines.values()], ends, texts)
    use_dates(axes)
    n_cut = sum(bool((~is_within(line.to_numpy(), limits)).any()) for line in lines.values())
    cut = f"Partly beyond the axis: {n_cut} of {len(lines)} lines." if n_cut else ""
    add_caption(figure, note, cut)
    return figure, axes


def _cumulate_r2(daily: pd.DataFrame, cell: str, headline: Headline) -> tuple[pd.Series, int]:
    """Cumulate the R2 of a cell, in percent by date, and count the dates left out at the start."""
    squares = headline.squares
    sums = _of_cell(daily, cell)[["sq_error", squares]].cumsum()
    n_hidden = len(sums) // 10
    sums = sums.iloc[n_hidden:]
    sums = sums[sums[squares] > 0.0]
    if sums.empty:
        raise ValueError(
            f"The {headline.short} of '{cell}' is undefined: all of its '{squares}' are zero or "
            f"missing."
        )
    return 100.0 * (1.0 - sums["sq_error"] / sums[squares]), n_hidden


def _of_cell(daily: pd.DataFrame, cell: str) -> pd.DataFrame:
    """Select the rows of one cell, by date in order."""
    rows = daily[daily["cell"] == cell]
    if rows.empty:
        known = ", ".join(sorted(set(daily["cell"]))[:5]) or "no cell"
        raise ValueError(f"There are no dates of the cell '{cell}', only of {known}.")
    return rows.set_index("date").sort_index()


def _check_alike(cell: str, mine: pd.DataFrame, other_cell: str, other: pd.DataFrame) -> None:
    if not mine["n"].equals(other["n"]):
        raise ValueError(
            f"'{cell}' and '{other_cell}' were not scored on the same dates and numbers of rows "
            f"({len(mine)} and {len(other)} dates), so their losses cannot be compared: run the "
            "study whole."
        )


def draw_loss_differential(
    daily: pd.DataFrame,
    cell: str,
    benchmark: str,
    low: float,
    high: float,
    quantity: Quantity = TARGET,
    score: Score = SQUARED_ERROR,
) -> Figure:
    """Draw the cumulative difference of two cells' losses; it rises where the cell is better.

    Parameters
    ----------
    daily : DataFrame
        One row for each date and cell: ``date``; ``cell``, ``"scenario.model"``; ``n``, the
        number of rows; the sum of their losses, in the score's column.
    cell, benchmark : str
        The two that are compared, scored on the same dates.
    low, high : float
        Interval of the mean difference per date, benchmark minus cell, in the unit of the losses;
        NaN if there is none.
    quantity : Quantity
        What is predicted, and the unit whose square squared errors are in.
    score : Score
        What the two are judged by.

    Raises
    ------
    ValueError
        If one of the two has no dates, or they were not scored on the same dates and rows.
    """
    mine, other = _of_cell(daily, cell), _of_cell(daily, benchmark)
    _check_alike(cell, mine, benchmark, other)
    scale, unit = score.scale_loss(quantity)
    loss = scale * other[score.loss_column] / other["n"]
    difference = loss - scale * mine[score.loss_column] / mine["n"]
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
    of_benchmark = float(loss.mean()) if score.is_squared else math.nan
    _write_mean(axes, path, of_benchmark, (low * scale, high * scale), unit)
    use_dates(axes)
    name_axes(axes, "date", f"cumulative loss difference ({unit})")
    add_legend(axes)
    add_caption(
        figure,
        f"Loss of benchmark minus loss of cell; loss: {score.loss_words}.",
        "Guide: ±1.96 s √t, s the standard deviation of a date's difference. Pointwise, for dates\n"
        "that are independent and losses that are equal in expectation." * (len(path) > 1),
    )
    return figure


def _write_mean(axes: Axes, path: np.ndarray, loss: float, interval: Limits, unit: str) -> None:
    """Write the mean difference into the left corner that the line stays out of.

    ``loss`` is the mean loss of the benchmark, NaN where no share of it means anything.
    """
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
