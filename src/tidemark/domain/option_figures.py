"""Figures of smiles and forwards, as `matplotlib.figure.Figure`, never pyplot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tidemark.domain.chains import require_columns
from tidemark.domain.greeks import DAYS_PER_YEAR
from tidemark.domain.option_axes import choose_limits, shade, use_days, write_none
from tidemark.domain.plotting import (
    GREY,
    INK,
    PALETTE,
    add_legend,
    is_within,
    name_axes,
    use_dates,
)
from tidemark.domain.wide_plotting import add_notes, start_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_SMILES = 8
"""Expirations whose smiles can be told apart."""

MIN_DAYS = 30
"""Days to expiry from which on a rate that prices imply means something."""

_MOST_MARKERS = 60  # dates
_SHORT_AIR = 1.0  # percentage points on both sides of long expirations, for the short ones
_QUANTITIES = (("carry", "carry_continuous", "o", "-"), ("rate", "rate_continuous", "^", "--"))


def draw_smiles(smiles: pd.DataFrame, title: str, note: str = "") -> Figure:
    """Draw implied volatilities of one date over moneyness, and at the money over maturity.

    Parameters
    ----------
    smiles : DataFrame
        One row for each strike of an expiration: ``expiration``; ``time_years``;
        ``log_moneyness``, ln(K/F); ``vol_annual``, a fraction. Rows in which one of them is not
        finite or no time is left are left out and counted. Of more than ``MAX_SMILES``
        expirations, those nearest to so many steps from the first to the last, equal in logs,
        are lines; all that have strikes on both sides of the forward are points at the right.
    title : str
        Stands over the figure.
    note : str
        Sources and remarks, under the figure.

    Raises
    ------
    ValueError
        If a column is absent, no row has a volatility, or an expiration has a strike twice.
    """
    rows = _read_smiles(smiles)
    groups = [group for _, group in rows.groupby(["time_years", "expiration"], sort=True)]
    days = np.array([DAYS_PER_YEAR * group["time_years"].iloc[0] for group in groups])
    chosen = _choose_evenly(np.log(days))
    figure = start_figure(title, columns=2)
    left, right = figure.axes
    grid = figure.add_gridspec(1, 2, width_ratios=[1.55, 1.0])
    left.set_subplotspec(grid[0, 0])
    right.set_subplotspec(grid[0, 1])
    colors = shade(np.log(days))
    n_beyond = _draw_lines(left, [groups[k] for k in chosen], days[chosen], colors[chosen])
    n_unknown = _draw_term_structure(right, groups, days, colors)
    n_out = len(smiles) - len(rows)
    add_notes(
        figure,
        f"Lines: {len(chosen)} of {len(groups)} expirations." * (len(chosen) < len(groups)),
        "At the money: between the strikes on both sides of the forward, linearly."
        + f" Expirations without such strikes: {n_unknown}." * bool(n_unknown),
        f"Points of lines beyond the axes: {n_beyond:,}." * bool(n_beyond),
        f"Without a volatility and left out: {n_out:,} of {len(smiles):,} options." * bool(n_out),
        note,
    )
    return figure


def _read_smiles(smiles: pd.DataFrame) -> pd.DataFrame:
    """Select the rows that can be drawn, in order of the lines."""
    numbers = ["time_years", "log_moneyness", "vol_annual"]
    require_columns(smiles.columns, ["expiration", *numbers], "The table of smiles")
    known = np.isfinite(smiles[numbers].to_numpy(dtype="float64")).all(axis=1)
    known &= ((smiles["time_years"] > 0.0) & smiles["expiration"].notna()).to_numpy()
    rows: pd.DataFrame = smiles[known]
    if rows.empty:
        raise ValueError(
            f"None of {len(smiles)} options has a volatility, a moneyness and time left, so there "
            "is nothing to draw: choose a date with quotes."
        )
    key = ["time_years", "expiration", "log_moneyness"]
    n_twice = int(rows.duplicated(key).sum())
    if n_twice:
        raise ValueError(
            f"{n_twice} of {len(rows)} options have the expiration and the strike of another: give "
            "one date, and of a call and a put the one that is out of the money."
        )
    return rows.sort_values(key)


def _choose_evenly(heights: np.ndarray) -> np.ndarray:
    """Choose at most ``MAX_SMILES`` of ascending numbers, those nearest to equal steps."""
    if len(heights) <= MAX_SMILES:
        return np.arange(len(heights))
    steps = np.linspace(heights[0], heights[-1], MAX_SMILES)
    return np.unique(np.abs(heights[:, None] - steps).argmin(axis=0))


def _draw_lines(
    axes: Axes, groups: Sequence[pd.DataFrame], days: np.ndarray, colors: np.ndarray
) -> int:
    """Draw a line for each expiration, and count the points that the limits do not show."""
    form = ".0f" if len({f"{day:.0f}" for day in days}) == len(days) else ".1f"
    for group, day, color in zip(groups, days, colors, strict=True):
        axes.plot(
            group["log_moneyness"].to_numpy(),
            100.0 * group["vol_annual"].to_numpy(),
            "o-",
            color=color,
            linewidth=1.4,
            markersize=2.8,
            label=f"{day:{form}} d",
        )
    money, vol = np.concatenate([np.array(line.get_data()) for line in axes.lines], axis=1)
    across, up = choose_limits(money, 0.05), choose_limits(vol, 1.0)
    axes.axvline(0.0, color=GREY, linewidth=1.0, linestyle=":", zorder=1)
    axes.set_xlim(across)
    axes.set_ylim(up)
    name_axes(axes, "log moneyness ln(K/F)", "implied volatility (% a year)")
    add_legend(axes, 4 if len(groups) > 6 else len(groups))
    return int((~(is_within(money, across) & is_within(vol, up))).sum())


def _draw_term_structure(
    axes: Axes, groups: Sequence[pd.DataFrame], days: np.ndarray, colors: np.ndarray
) -> int:
    """Draw volatility at the money of each expiration, and count those that have none."""
    vol = [
        np.interp(0.0, group["log_moneyness"], group["vol_annual"], left=np.nan, right=np.nan)
        for group in groups
    ]
    percent = 100.0 * np.array(vol)
    known = np.isfinite(percent)
    axes.plot(days[known], percent[known], color=GREY, linewidth=1.0, zorder=1.5)
    axes.scatter(days[known], percent[known], s=30.0, c=colors[known], zorder=2.5)
    if not known.any():
        write_none(axes, "no strikes on both sides\nof the forward")
    use_days(axes, days)
    name_axes(axes, "days to expiry", "at-the-money volatility (% a year)")
    return int((~known).sum())


def draw_forwards(forwards: pd.DataFrame, title: str, note: str = "") -> Figure:
    """Draw carries and rates that parity implies: by expiration on the last date, and by date.

    Parameters
    ----------
    forwards : DataFrame
        As from `tidemark.domain.parity.fit_forwards`: ``quote_date, root, expiration, time_years``;
        ``rate_continuous`` and ``carry_continuous``, annual fractions; ``flag``. Rows with a flag
        that is not ``ok``, or without a finite rate, carry and time, are left out and counted.
    title : str
        Stands over the figure.
    note : str
        Sources and remarks, under the figure.

    Raises
    ------
    ValueError
        If a column is absent, or no row is left.
    """
    rows, left_out = _read_forwards(forwards)
    figure = start_figure(title, columns=2)
    left, right = figure.axes
    last = rows["quote_date"].max()
    n_beyond = _draw_expirations(left, rows[rows["quote_date"] == last])
    name_axes(left, f"days to expiry on {last:%Y-%m-%d}", "% a year")
    _draw_medians(right, rows)
    named = ", ".join(f"{n:,} {flag}" for flag, n in left_out.value_counts().sort_index().items())
    add_notes(
        figure,
        f"Median: of all expirations of at least {MIN_DAYS} days (dotted line); what shorter ones "
        "imply says little.",
        f"Values beyond the axis at the left: {n_beyond}." * bool(n_beyond),
        f"Left out: {len(left_out):,} of {len(forwards):,} forwards ({named})." * bool(named),
        note,
    )
    return figure


def _read_forwards(forwards: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Select the rows that mean something, and say why the others do not."""
    numbers = ["time_years", "rate_continuous", "carry_continuous"]
    texts = ["quote_date", "root", "expiration", "flag"]
    require_columns(forwards.columns, [*texts, *numbers], "The table of forwards")
    values = forwards[numbers].to_numpy(dtype="float64")
    known = np.isfinite(values).all(axis=1) & (values[:, 0] > 0.0)
    flag = forwards["flag"].astype("object").fillna("no_flag")
    flag = flag.mask((flag == "ok") & ~known, "not_finite")
    chosen = (flag == "ok").to_numpy()
    if not chosen.any():
        raise ValueError(
            f"None of {len(forwards)} forwards has the flag 'ok', a rate and a carry, so there is "
            "nothing to draw: look at the flags, and at bid and ask of the chain."
        )
    return forwards[chosen], flag[~chosen]


def _draw_expirations(axes: Axes, rows: pd.DataFrame) -> int:
    """Draw carry and rate of each root over maturity, and count values beyond the axis."""
    days = DAYS_PER_YEAR * rows["time_years"].to_numpy()
    for root, color in zip(sorted(set(rows["root"])), PALETTE, strict=False):
        mine = np.flatnonzero(rows["root"] == root)
        mine = mine[np.argsort(days[mine], kind="stable")]
        for name, column, marker, style in _QUANTITIES:
            axes.plot(
                days[mine],
                100.0 * rows[column].to_numpy()[mine],
                marker + style,
                color=color,
                markersize=5.0,
                linewidth=0.9,
                label=f"{root} {name}",
            )
    every = 100.0 * rows[[column for _, column, _, _ in _QUANTITIES]].to_numpy()
    long = every[days >= MIN_DAYS]
    low, high = choose_limits(long.ravel() if len(long) else every.ravel(), 0.1)
    limits = low - _SHORT_AIR, high + _SHORT_AIR
    axes.set_ylim(limits)
    use_days(axes, days)
    if days.min() < MIN_DAYS <= days.max():
        axes.axvline(MIN_DAYS, color=GREY, linewidth=1.0, linestyle=":")
    add_legend(axes, min(rows["root"].nunique(), 3))
    return int((~is_within(every, limits)).sum())


def _draw_medians(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw the median carry and rate of each date."""
    long = rows[rows["time_years"] >= MIN_DAYS / DAYS_PER_YEAR]
    by_date = long.groupby("quote_date", sort=True)
    for (name, column, marker, _), color in zip(_QUANTITIES, (INK, GREY), strict=True):
        median = 100.0 * by_date[column].median()
        axes.plot(
            median.index.to_numpy(),
            median.to_numpy(),
            marker=marker if len(median) <= _MOST_MARKERS else None,
            color=color,
            markersize=5.0,
            linewidth=1.3,
            label=f"median {name}",
        )
    if long.empty:
        write_none(axes, f"no expiration of {MIN_DAYS} days\nor more")
    first, last = rows["quote_date"].min(), rows["quote_date"].max()
    air = max(pd.Timedelta(days=7) - (last - first), 0.02 * (last - first)) / 2
    axes.set_xlim(first - air, last + air)
    use_dates(axes)
    name_axes(axes, "", "median (% a year)")
    add_legend(axes, len(_QUANTITIES))
