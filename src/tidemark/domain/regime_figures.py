"""Figures of market regimes, as `matplotlib.figure.Figure`, never pyplot."""

from __future__ import annotations

import re
from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tidemark.domain.plotting import BLUE, INK, TEXT_SIZE, name_axes
from tidemark.domain.wide_plotting import (
    SMALL_SIZE,
    add_notes,
    add_wide_legend,
    fill_grid,
    find_step,
    hatch_cells,
    open_gaps,
    read_dates,
    start_figure,
    use_many_dates,
    write_date,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REGIME_COLORS = ("#BDB9B0", "#E69F00", "#C2508C", "#009E73", "#F0E442", "#7B5EA7")
"""Light enough for a background and none of them the blue of lines."""


def name_regimes(n_regimes: int, names: Sequence[str]) -> list[str]:
    """Name regimes, by number if there are no names."""
    if n_regimes > len(REGIME_COLORS) or 0 < len(names) < n_regimes:
        raise ValueError(
            f"{n_regimes} regimes have {len(names)} names and {len(REGIME_COLORS)} colours: give "
            "a name for each, or none, of at most as many regimes as there are colours."
        )
    return list(names[:n_regimes]) or [f"regime {number}" for number in range(n_regimes)]


def shade_regimes(
    axes: Axes, regimes: pd.DataFrame, names: Sequence[str], first: pd.Timestamp, last: pd.Timestamp
) -> None:
    """Shade the background of a time axis lightly by regime, with a legend entry for each.

    Parameters
    ----------
    axes : Axes
        Its x-axis has dates.
    regimes : DataFrame
        ``date``; ``regime``, 0, 1 and so on, missing where it is unknown. Each holds up to the
        next date.
    names : sequence of str
        Of the regimes, or empty.
    first, last : Timestamp
        Regimes that are over before these dates, or begin after them, are left out.

    Raises
    ------
    ValueError
        If regimes are no numbers from 0 on, or have too few names.
    """
    from matplotlib.dates import date2num
    from matplotlib.transforms import blended_transform_factory

    rows = read_dates(regimes, ["regime"], "regimes")
    rows = rows.assign(regime=rows["regime"].astype("float64"))
    rows = rows[(rows["date"] <= last) & ~(rows["date"].shift(-1) <= first)]
    known = rows["regime"].dropna()
    if known.empty:
        return
    if ((known < 0.0) | (known % 1.0 > 0.0)).any():
        raise ValueError(
            f"Regimes run from {known.min():g} to {known.max():g}: number them 0, 1 and so on, and "
            "leave those that are unknown missing."
        )
    words = name_regimes(int(known.max()) + 1, names)
    step = find_step(rows["date"])
    laid = open_gaps(rows)
    laid = laid.assign(end=laid["date"].shift(-1).fillna(laid["date"].iloc[-1] + step))
    run = (laid["regime"] != laid["regime"].shift()).cumsum()
    spans = laid.groupby(run).agg({"regime": "first", "date": "first", "end": "last"})
    across = blended_transform_factory(axes.transData, axes.transAxes)
    for number in sorted(known.unique()):
        mine = spans[spans["regime"] == number]
        start = date2num(mine["date"].to_numpy())  # type: ignore[no-untyped-call]
        width = date2num(mine["end"].to_numpy()) - start  # type: ignore[no-untyped-call]
        axes.broken_barh(
            list(zip(start, width, strict=True)),
            (0.0, 1.0),
            transform=across,
            color=REGIME_COLORS[int(number)],
            alpha=0.28,
            linewidth=0,
            zorder=0,
            label=f"{words[int(number)]} ({100.0 * (known == number).mean():.0f} % of dates)",
        )


def draw_regime_history(
    regimes: pd.DataFrame,
    spells: pd.DataFrame,
    transition: pd.DataFrame,
    durations: pd.Series,
    regime_names: Sequence[str] = (),
    subject: str = "Regime",
    period: str = "days",
    note: str = "",
) -> Figure:
    """Draw filtered probabilities over time, and how long regimes last.

    Parameters
    ----------
    regimes : DataFrame
        ``date``; the probabilities ``p_0``, ``p_1`` and so on, that add up to one, or are all
        NaN where they are unknown.
    spells : DataFrame
        One row for each stretch of dates in one regime: ``regime``; ``n_obs``, its dates.
    transition : DataFrame, shape (regimes, regimes)
        Probability of the next regime (columns) given the present one (rows), in order.
    durations : Series, shape (regimes,)
        Expected durations in periods, in order of the regimes; infinite if one never ends.
    regime_names : sequence of str
        Of all regimes, or empty.
    subject : str
        What the title begins with.
    period : str
        What durations count: "days", "months".
    note : str
        Sources and remarks, under the figure.

    Raises
    ------
    ValueError
        If there is no probability, they do not add up to one, or sizes do not agree.

    References
    ----------
    Hamilton, J. D. (1989), A New Approach to the Economic Analysis of Nonstationary Time Series
    and the Business Cycle, Econometrica 57, 357-384: filtered probabilities, and the expected
    duration 1 / (1 - p) of a regime that is kept with probability p.
    """
    rows, names = _read_probabilities(regimes, regime_names)
    count = len(names)
    if transition.shape != (count, count) or len(durations) != count:
        raise ValueError(
            f"{count} regimes have probabilities, but transitions have the shape "
            f"{transition.shape} and there are {len(durations)} durations: give the same regimes."
        )
    figure = start_figure(_find_regime(rows, names, subject), height=5.2 + 0.35 * count, columns=3)
    history, table, bars = figure.axes
    grid = figure.add_gridspec(2, 2, height_ratios=[1.0, 0.8], width_ratios=[1.0, 1.35])
    history.set_subplotspec(grid[0, :])
    table.set_subplotspec(grid[1, 0])
    bars.set_subplotspec(grid[1, 1])
    _draw_probabilities(history, rows, names)
    names = [fill(name, 14) for name in names]
    _draw_transition(table, transition.to_numpy(dtype="float64"), names)
    _draw_durations(bars, spells, durations.to_numpy(dtype="float64"), names, period)
    add_notes(
        figure,
        "Expected: 1 / (1 \N{MINUS SIGN} p), p the probability to stay. Observed: mean of the "
        "spells; the first and the last may be cut off.",
        note,
    )
    return figure


def _read_probabilities(
    regimes: pd.DataFrame, regime_names: Sequence[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Read the date and the probabilities of regimes, and their names."""
    count = sum(bool(re.fullmatch(r"p_\d+", str(column))) for column in regimes)
    columns = [f"p_{number}" for number in range(max(count, 1))]
    rows = read_dates(regimes, columns, "regimes")
    values = rows[columns].to_numpy(dtype="float64")
    total = values.sum(axis=1)
    known = np.isfinite(total)
    if not known.any():
        raise ValueError(
            f"None of {len(rows)} dates has probabilities of regimes: give at least one."
        )
    if (values < -1e-9).any() or (np.abs(total[known] - 1.0) > 1e-6).any():
        raise ValueError(
            f"Probabilities of regimes have sums from {total[known].min():.4g} to "
            f"{total[known].max():.4g}, the least is {np.nanmin(values):.4g}: they must be 0 to 1 "
            "and add up to 1 on every date."
        )
    rows[columns] = np.where(known[:, None], values, np.nan)
    return rows, name_regimes(count, regime_names)


def _find_regime(rows: pd.DataFrame, names: Sequence[str], subject: str) -> str:
    """Say which regime is the likeliest at the last date with probabilities."""
    last = rows.dropna().iloc[-1]
    values = last.drop("date").to_numpy(dtype="float64")
    date = write_date(last["date"], find_step(rows["date"]))
    return (
        f"{subject}: {names[int(values.argmax())]} on {date}, with probability "
        f"{100.0 * values.max():.0f} %"
    )


def _draw_probabilities(axes: Axes, rows: pd.DataFrame, names: Sequence[str]) -> None:
    step = find_step(rows["date"])
    laid = open_gaps(pd.concat([rows, rows.tail(1).assign(date=rows["date"].iloc[-1] + step)]))
    unknown = laid["p_0"].isna()
    ends = unknown & ~unknown.shift(fill_value=True)  # each value holds up to the next date
    held = laid.shift()[ends].assign(date=laid["date"][ends])
    laid = pd.concat([held, laid]).sort_values("date", kind="stable")
    date = laid["date"].to_numpy()
    top = np.cumsum(laid.drop(columns="date").to_numpy(dtype="float64"), axis=1)
    bottom = np.zeros(len(laid))
    for number, name in enumerate(names):
        color = REGIME_COLORS[number]
        axes.fill_between(
            date, bottom, top[:, number], step="post", color=color, linewidth=0, label=name
        )
        bottom = top[:, number]
    axes.set_ylim(0.0, 1.0)
    axes.set_yticks([0.0, 0.5, 1.0], ["0", "50", "100"])
    use_many_dates(axes, rows["date"].iloc[0], rows["date"].iloc[-1] + step)
    name_axes(axes, "", "filtered\nprobability (%)")
    add_wide_legend(axes)


def _draw_transition(axes: Axes, values: np.ndarray, names: Sequence[str]) -> None:
    fill_grid(axes, values, ("#F4F4F4", BLUE), (0.0, 1.0))
    hatch_cells(axes, ~np.isfinite(values))
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            ink = "white" if value > 0.55 else INK
            text = f"{100.0 * value:.1f}"
            axes.text(j, i, text, ha="center", va="center", fontsize=TEXT_SIZE, color=ink)
    axes.set_xticks(range(len(names)), names)
    if sum(map(len, names)) > 28:
        for label in axes.get_xticklabels():
            label.set_rotation(90)
    axes.set_yticks(range(len(names)), names)
    name_axes(axes, "probability of the next regime (%)", "present regime")


def _draw_durations(
    axes: Axes, spells: pd.DataFrame, expected: np.ndarray, names: Sequence[str], period: str
) -> None:
    """Draw for each regime the expected duration over the mean of the observed ones."""
    found = spells.groupby("regime")["n_obs"].agg(["mean", "count"]).reindex(range(len(names)))
    observed = found["mean"].to_numpy(dtype="float64")
    texts = [f"{value:.1f}" if np.isfinite(value) else "no end" for value in expected]
    counted = [
        f"{mean:.1f} ({count:.0f} spells)" if count > 0.0 else "not observed"
        for mean, count in zip(observed, found["count"], strict=True)
    ]
    both = np.concatenate([expected, observed])
    longest = float(both[np.isfinite(both)].max(initial=0.0)) or 1.0
    for label, shift, values, words, hatch in (
        ("expected", -0.2, expected, texts, ""),
        ("observed", 0.2, observed, counted, "////"),
    ):
        bars = axes.barh(
            np.arange(len(names)) + shift,
            np.where(np.isfinite(values), values, 0.0),
            0.36,
            color=REGIME_COLORS[: len(names)],
            edgecolor="white",
            hatch=hatch,
            label=label,
        )
        axes.bar_label(bars, words, padding=4.0, fontsize=SMALL_SIZE, color=INK)
    add_wide_legend(axes)
    axes.set_xlim(0.0, 1.4 * longest)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), names)
    axes.grid(visible=False, axis="y")
    name_axes(axes, f"duration ({period})", "")
