"""Figures of stress by month and of correlations by year; never pyplot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tidemark.domain.correlation_figures import FORM, check_correlations
from tidemark.domain.plotting import BLUE, INK, VERMILLION, name_axes, write_number
from tidemark.domain.wide_plotting import (
    SMALL_SIZE,
    add_bar,
    add_notes,
    add_wide_legend,
    choose_years,
    fill_grid,
    read_dates,
    start_figure,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STRESS_COLORS = ("#E9EDF0", "#F3B27A", VERMILLION, "#7A2400")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MOST_BARS = 22  # years; over more bars, the values touch each other


def draw_stress_calendar(
    tags: pd.DataFrame, subject: str = "Market", note: str = "", what: str = "stress"
) -> Figure:
    """Draw which share of each month's dates was in stress, months down and years across.

    Parameters
    ----------
    tags : DataFrame
        ``date``; ``is_stress``, bool, missing where it is unknown. Daily or monthly.
    subject : str
        What the title begins with.
    note : str
        Sources and remarks, under the figure.
    what : str
        What the tags are called.

    Raises
    ------
    ValueError
        If no date has a tag, or a date stands there twice.
    """
    rows = read_dates(tags, ["is_stress"], "tags of stress").dropna()
    if rows.empty:
        raise ValueError(f"None of {len(tags)} dates has a tag of stress: give at least one.")
    date, stress = rows["date"].dt, rows["is_stress"].astype("float64")
    by_month = stress.groupby([date.month, date.year])
    first, last = int(date.year.min()), int(date.year.max())
    cells = 100.0 * by_month.mean().unstack()  # noqa: PD010
    cells = cells.reindex(index=range(1, 13), columns=range(first, last + 1))
    is_monthly = len(rows) > 1 and by_month.count().max() == 1
    unit = "months" if is_monthly else "sessions"
    figure = start_figure(_find_stress(rows, unit, subject, what), height=4.4)
    (axes,) = figure.axes
    mesh = fill_grid(axes, cells.to_numpy(), _STRESS_COLORS, (0.0, 100.0))
    if not is_monthly:
        add_bar(figure, mesh, [axes], "share of the month's\nsessions (%)")
    years = choose_years(first, last)
    axes.set_xticks([year - first for year in years], [str(year) for year in years])
    axes.set_yticks(range(12), _MONTHS)
    n_unknown = len(tags) - len(rows)
    unknown = f" Without a tag and left out: {n_unknown:,} of {len(tags):,} dates."
    shades = f"Dark: {what}; grey: none; blank: no data." if is_monthly else "Blank: no data."
    add_notes(figure, shades + unknown * bool(n_unknown), note)
    return figure


def _find_stress(rows: pd.DataFrame, unit: str, subject: str, what: str) -> str:
    """Say which share of the dates was in stress, and in which year most of them."""
    stress = rows["is_stress"].astype("float64")
    title = f"{subject}: {what} in {100.0 * stress.mean():.1f} % of {len(rows):,} {unit}"
    if not stress.any():
        return f"{subject}: {what} in none of {len(rows):,} {unit}"
    by_year = stress.groupby(rows["date"].dt.year).mean()
    most = by_year[by_year == by_year.max()]
    others = f" and {len(most) - 1} other years" if len(most) > 1 else ""
    return f"{title}, most in {most.index[0]}{others} ({100.0 * most.iloc[0]:.0f} %)"


def draw_yearly_correlation(
    table: pd.DataFrame, names: tuple[str, str], note: str = "", band: str = "95 % interval"
) -> Figure:
    """Draw the correlation of each year as a bar, coloured by its sign.

    Parameters
    ----------
    table : DataFrame
        ``year``; ``correlation``, NaN where there is none; ``n``, the number of returns;
        optionally ``lower`` and ``upper``. Years with less than half of the usual number of
        returns are pale.
    names : tuple of str
        The two series.
    note : str
        Sources and remarks, under the figure.
    band : str
        What the interval is called.

    Raises
    ------
    ValueError
        If no year has a correlation, one is beyond -1 and 1, or a year stands there twice.
    """
    rows = table.dropna(subset="correlation").sort_values("year")
    value = rows["correlation"].to_numpy(dtype="float64")
    check_correlations(value, f"of {len(table)} years", "give years with more returns")
    year = rows["year"].to_numpy(dtype="int64")
    if len(np.unique(year)) < len(year):
        raise ValueError("A year stands twice in the table of yearly correlations: give it once.")
    figure = start_figure(_find_years(year, value, names))
    (axes,) = figure.axes
    is_short = (rows["n"] < 0.5 * rows["n"].median()).to_numpy()
    for sign, color in ((value >= 0.0, BLUE), (value < 0.0, VERMILLION)):
        for mine, alpha in ((sign & ~is_short, 1.0), (sign & is_short, 0.45)):
            axes.bar(year[mine], value[mine], 0.74, color=color, alpha=alpha)
    low, high = value.clip(max=0.0), value.clip(min=0.0)
    if {"lower", "upper"} <= set(rows):
        ends = rows["lower"].to_numpy(dtype="float64"), rows["upper"].to_numpy(dtype="float64")
        low, high = np.fmin(low, ends[0]), np.fmax(high, ends[1])
        reach = np.nan_to_num(np.clip([value - ends[0], ends[1] - value], 0.0, None))
        axes.errorbar(
            year, value, reach, fmt="none", ecolor=INK, elinewidth=1.1, capsize=2.5, label=band
        )
        add_wide_legend(axes)
    if len(year) <= _MOST_BARS:
        for at, one, bottom, top in zip(year, value, low, high, strict=True):
            where, edge = (top + 0.02, "bottom") if one >= 0.0 else (bottom - 0.02, "top")
            text = write_number(float(one), "z.2f")
            axes.text(at, where, text, ha="center", va=edge, fontsize=SMALL_SIZE, color=INK)
    axes.axhline(0.0, color=INK, linewidth=1.4)
    axes.set_xlim(year[0] - 0.7, year[-1] + 0.7)
    axes.set_ylim(min(low.min(), 0.0) - 0.12, max(high.max(), 0.0) + 0.12)
    axes.grid(visible=False, axis="x")
    axes.set_xticks(choose_years(int(year[0]), int(year[-1])))
    name_axes(axes, "year", "correlation")
    pale = " Pale: fewer than half of the usual number of returns." * bool(is_short.any())
    add_notes(figure, f"Returns in a usual year: {rows['n'].median():,.0f}.{pale}", note)
    return figure


def _find_years(year: np.ndarray, value: np.ndarray, names: tuple[str, str]) -> str:
    """Say in how many years the correlation was negative, and what it was in the last one."""
    title = f"{names[0]} and {names[1]}: correlation"
    last = f"{write_number(float(value[-1]), FORM)} in {year[-1]}"
    if len(year) == 1:
        return f"{title} {last}"
    return f"{title} negative in {int((value < 0.0).sum())} of {len(year)} years, {last}"
