"""A figure of a rolling correlation, as `matplotlib.figure.Figure`, never pyplot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tidemark.domain.plotting import (
    BLUE,
    INK,
    LABEL_SIZE,
    VERMILLION,
    label_ends,
    name_axes,
    write_number,
)
from tidemark.domain.regime_figures import shade_regimes
from tidemark.domain.wide_plotting import (
    add_notes,
    add_wide_legend,
    find_step,
    open_gaps,
    read_dates,
    start_figure,
    use_many_dates,
    write_date,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORM = "+.2f"
"""How a correlation is written."""

Stretch = tuple[Any, Any, str]
"""First and last date of a stretch of time, and what it is called."""


def draw_rolling_correlation(
    correlation: pd.DataFrame,
    regimes: pd.DataFrame | None,
    names: tuple[str, str],
    window: str,
    regime_names: Sequence[str] = (),
    averages: Sequence[Stretch] = (),
    note: str = "",
    band: str = "95 % interval",
) -> Figure:
    """Draw a rolling correlation with its interval, over the regimes of the time.

    The title gives the averages if there are any, otherwise where the last value lies among all.

    Parameters
    ----------
    correlation : DataFrame
        ``date, correlation, lower, upper``; NaN where there is no value. A line ends at NaN, and
        where dates are missing.
    regimes : DataFrame or None
        ``date``; ``regime``, 0, 1 and so on; other columns are not needed.
    names : tuple of str
        The two series.
    window : str
        Over what is rolled: "36-month", "60-day".
    regime_names : sequence of str
        Of all regimes, or empty.
    averages : sequence of (start, end, label)
        Stretches, both ends included, whose mean of the line is drawn and written.
    note : str
        Sources and remarks, under the figure.
    band : str
        What the interval is called.

    Raises
    ------
    ValueError
        If no date has a correlation, one is beyond -1 and 1, or a stretch has none.
    """
    rows = read_dates(correlation, ["correlation", "lower", "upper"], "correlations")
    known = rows.dropna(subset="correlation")
    check_correlations(
        known["correlation"].to_numpy(), f"of {len(rows)} dates", "choose a shorter window"
    )
    means = [_average(known, stretch) for stretch in averages]
    figure = start_figure(_find_rolling(known, means, averages, names, window))
    (axes,) = figure.axes
    first, last = known["date"].iloc[[0, -1]]
    _draw_band(axes, open_gaps(rows), band)
    axes.axhline(0.0, color=INK, linewidth=1.8, zorder=1.5)
    if regimes is not None:
        shade_regimes(axes, regimes, regime_names, first, last)
    _draw_averages(axes, known, means, averages)
    axes.set_ylim(-1.0, 1.0)
    axes.set_yticks(np.linspace(-1.0, 1.0, 9))
    use_many_dates(axes, first, last)
    value = float(known["correlation"].iloc[-1])
    text = f"{write_number(value, FORM)}\n{write_date(last, find_step(rows['date']))}"
    label_ends(axes, [last], np.array([value]), [text])
    name_axes(axes, "", f"{window} correlation")
    add_wide_legend(axes)
    add_notes(figure, "Averages: means of the line." * bool(means), note)
    return figure


def check_correlations(values: np.ndarray, where: str, remedy: str) -> None:
    """Refuse to draw no correlation, or values that are none.

    Parameters
    ----------
    values : ndarray of float, shape (values,)
        Without NaN.
    where, remedy : str
        Among what a message finds none, and what it says to do then.

    Raises
    ------
    ValueError
        If there is no value, or one is beyond -1 and 1.
    """
    if not len(values):
        raise ValueError(f"None {where} has a correlation, so there is nothing to draw: {remedy}.")
    if not (np.abs(values) <= 1.0 + 1e-9).all():
        raise ValueError(
            f"Correlations run from {values.min():.4g} to {values.max():.4g}: they must be from "
            "-1 to 1."
        )


def _average(known: pd.DataFrame, stretch: Stretch) -> float:
    start, end, label = stretch
    inside = known["date"].between(pd.Timestamp(start), pd.Timestamp(end))
    if not inside.any():
        raise ValueError(
            f"No correlation lies in the stretch '{label}', {start} to {end}: choose one between "
            f"{known['date'].iloc[0]:%Y-%m-%d} and {known['date'].iloc[-1]:%Y-%m-%d}."
        )
    return float(known["correlation"][inside].mean())


def _find_rolling(
    known: pd.DataFrame,
    means: Sequence[float],
    averages: Sequence[Stretch],
    names: tuple[str, str],
    window: str,
) -> str:
    """Say what changed between the stretches, or where the last value lies among the others."""
    title = f"{names[0]} and {names[1]}: {window} correlation"
    if means:
        words = [
            f"{write_number(mean, FORM)} ({stretch[2]})"
            for mean, stretch in zip(means, averages, strict=True)
        ]
        return f"{title}, on average " + " and ".join(words[:1] + words[1:][-1:])
    *earlier, last = known["correlation"]
    title += f" is {write_number(last, FORM)}"
    if not earlier:
        return title
    below, above = np.mean(np.array(earlier) < last), np.mean(np.array(earlier) > last)
    side, share = ("above", below) if below >= above else ("below", above)
    if share == 0.0:
        return title
    since = f"{known['date'].iloc[0]:%Y}"
    if share == 1.0:
        return f"{title}, the {'highest' if side == 'above' else 'lowest'} since {since}"
    percent = min(max(round(100.0 * share), 1), 99)  # neither none of them nor all
    return f"{title}, {side} {percent} % of the values since {since}"


def _draw_band(axes: Axes, rows: pd.DataFrame, band: str) -> None:
    """Draw the line and its interval; a value between two gaps is a point."""
    date = rows["date"].to_numpy()
    value, lower, upper = (
        rows[column].to_numpy(dtype="float64") for column in ("correlation", "lower", "upper")
    )
    if np.isfinite(lower + upper).any():
        axes.fill_between(date, lower, upper, color=BLUE, alpha=0.22, linewidth=0, label=band)
    axes.plot(date, value, color=BLUE, linewidth=1.3)
    known = np.concatenate([[False], np.isfinite(value), [False]])
    alone = known[1:-1] & ~known[:-2] & ~known[2:]
    axes.plot(date[alone], value[alone], "o", color=BLUE, markersize=4)
    axes.vlines(date[alone], lower[alone], upper[alone], color=BLUE, linewidth=1.0)


def _draw_averages(
    axes: Axes, known: pd.DataFrame, means: Sequence[float], averages: Sequence[Stretch]
) -> None:
    """Draw means as segments, named at the edge of the axes that the line is further from."""
    first, last = known["date"].iloc[[0, -1]]
    for number, (mean, (start, end, label)) in enumerate(zip(means, averages, strict=True)):
        left, right = max(pd.Timestamp(start), first), min(pd.Timestamp(end), last)
        axes.hlines(mean, left, right, color=VERMILLION, linewidth=2.6, zorder=3)
        inside = known["correlation"][known["date"].between(left, right)]
        middle = left + (right - left) / 2
        share = (middle - first) / max(last - first, pd.Timedelta(days=1))
        ha, at = ("left", left) if share < 0.1 else ("center", middle)
        ha, at = ("right", right) if share > 0.9 else (ha, at)
        height = 0.9 - 0.12 * (number % 2) * (len(means) > 3)  # many names stand in two rows
        axes.text(
            at,
            height if inside.max() < -inside.min() else -height,
            f"{label}: {write_number(mean, FORM)}",
            ha=ha,
            va="center",
            fontsize=LABEL_SIZE,
            fontweight="bold",
            color=VERMILLION,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5},
            zorder=4,
        )
