"""Figures of option chains by bucket and by day, as `matplotlib.figure.Figure`, never pyplot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tidemark.domain.chains import require_columns
from tidemark.domain.plotting import (
    BLUE,
    INK,
    LABEL_SIZE,
    VERMILLION,
    Limits,
    find_fences,
    format_like,
    is_within,
    name_axes,
    widen,
    write_number,
)
from tidemark.domain.wide_plotting import (
    SMALL_SIZE,
    WIDE,
    add_bar,
    add_notes,
    add_wide_legend,
    fill_grid,
    find_step,
    hatch_cells,
    open_gaps,
    read_dates,
    start_figure,
    use_many_dates,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure

_BUCKETS = ("moneyness", "maturity")
_LONG_NAME = 10  # characters; more do not fit under a cell
_SIGNED = (VERMILLION, "#F7F7F7", BLUE)

_KEPT, _QUARANTINED = "#7FB2D6", "#E69F00"
_MOST_BARS = 130  # days; more bars are narrower than what a screen can show
_LEAST_DAYS = 7
_MOST_NAMED = 5


def draw_error_map(
    errors: pd.DataFrame, metric: str, title: str, unit: str, note: str = ""
) -> Figure:
    """Draw one metric of errors as cells, maturities down and moneyness across.

    Parameters
    ----------
    errors : DataFrame
        One row for each cell: ``moneyness`` and ``maturity``, ordered categories, which are drawn
        in their order and all of them; ``n``, the number of quotes; the metric, in `unit`, NaN
        where it is undefined. Rows without a category are left out and counted.
    metric : str
        A column of `errors`. Of a metric with negative values, zero is the middle of the colours.
    title : str
        Stands over the figure.
    unit : str
        Of the metric, as in "index points" or "%".
    note : str
        Sources and remarks, under the figure.

    Raises
    ------
    ValueError
        If a column is absent, buckets are no categories, a cell stands there twice, or no cell has
        a value.
    """
    rows = _read_buckets(errors, metric)
    across, down = (rows[name].cat.categories for name in _BUCKETS)
    values, counts = (np.full((len(down), len(across)), empty) for empty in (np.nan, 0.0))
    place = rows["maturity"].cat.codes.to_numpy(), rows["moneyness"].cat.codes.to_numpy()
    values[place] = rows[metric].to_numpy(dtype="float64")
    counts[place] = rows["n"].to_numpy(dtype="float64")
    known = np.isfinite(values)
    values[~known] = np.nan
    figure = start_figure(title, max(WIDE, 2.6 + 0.85 * len(across)), 2.2 + 0.52 * len(down))
    (axes,) = figure.axes
    mesh, n_beyond = _fill_errors(axes, values, known)
    hatch_cells(axes, ~known)
    _write_errors(axes, mesh, values, counts)
    names = [str(name) for name in across]
    axes.set_xticks(range(len(names)), names, rotation=90 * (max(map(len, names)) > _LONG_NAME))
    axes.set_yticks(range(len(down)), [str(name) for name in down])
    name_axes(axes, "moneyness", "maturity")
    hint = "" if (values[known] < 0.0).any() else ", smaller is better"
    add_bar(figure, mesh, [axes], unit + hint)
    n_astray = int(errors["n"].sum() - rows["n"].sum())
    add_notes(
        figure,
        "Small: number of quotes." + " Hatched: no value." * bool((~known).any()),
        f"Beyond the colours: {n_beyond} of {int(known.sum())} values." * bool(n_beyond),
        f"Outside of the buckets and left out: {n_astray:,} quotes." * bool(n_astray),
        note,
    )
    return figure


def _read_buckets(errors: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Select the rows of `errors` that have a place on the map."""
    require_columns(errors.columns, [*_BUCKETS, "n", metric], "The table of errors")
    for name in _BUCKETS:
        if not isinstance(errors[name].dtype, pd.CategoricalDtype):
            raise ValueError(
                f"The column {name} is of type {errors[name].dtype}: give ordered categories, as "
                "pandas.cut makes them."
            )
    rows = errors.dropna(subset=list(_BUCKETS))
    n_twice = int(rows.duplicated(list(_BUCKETS)).sum())
    if n_twice:
        raise ValueError(
            f"{n_twice} of {len(rows)} cells stand there twice: give one row for each moneyness "
            "and maturity."
        )
    if not np.isfinite(rows[metric].to_numpy(dtype="float64")).any():
        raise ValueError(
            f"None of {len(rows)} cells has a value of '{metric}', so there is nothing to draw: "
            "give at least one, or draw another metric."
        )
    return rows


def _fill_errors(axes: Axes, values: np.ndarray, known: np.ndarray) -> tuple[QuadMesh, int]:
    """Fill the cells with colours that a few wild values do not set, and count those beyond."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    shown = values[known]
    usual = shown[is_within(shown, find_fences(shown, middle=0.5))]
    limits: Limits = float(usual.min()), float(usual.max())
    colors = [to_hex(color) for color in colormaps["cividis_r"](np.linspace(0.0, 1.0, 17))]
    if (shown < 0.0).any():
        far = float(np.abs(usual).max()) or 1.0
        limits, colors = (-far, far), list(_SIGNED)
    elif limits[0] == limits[1]:
        limits = widen(limits, abs(limits[0]) / 10.0 or 1.0)
    mesh = fill_grid(axes, values, colors, limits)
    below, above = (shown < limits[0]).sum(), (shown > limits[1]).sum()
    side = "both" if below and above else "min" if below else "max" if above else "neither"
    mesh.cmap.colorbar_extend = side  # type: ignore[assignment] # typed by its default
    return mesh, int(below + above)


def _write_errors(axes: Axes, mesh: QuadMesh, values: np.ndarray, counts: np.ndarray) -> None:
    """Write each value over the number that it rests on; that alone where there is no value."""
    form = format_like(values[np.isfinite(values)])
    for (i, j), value in np.ndenumerate(values):
        count, ink, edge = f"{counts[i, j]:,.0f}", INK, "center"
        if np.isfinite(value):
            red, green, blue, _ = mesh.to_rgba(value)
            # The weights of ITU-R BT.601.
            ink = INK if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"
            text, edge = write_number(float(value), form), "top"
            axes.text(j, i, text, ha="center", va="bottom", fontsize=LABEL_SIZE, color=ink)
        axes.text(j, i, count, ha="center", va=edge, fontsize=SMALL_SIZE, color=ink)


def draw_chain_days(
    days: pd.DataFrame, missing: pd.DatetimeIndex, title: str, note: str = ""
) -> Figure:
    """Draw the contracts of each day, how many of them are quarantined, and what is wrong.

    Parameters
    ----------
    days : DataFrame
        One row for each ``quote_date``: ``contracts``; ``quarantined``, those of them that left;
        ``is_session``, whether the exchange was open.
    missing : DatetimeIndex
        Sessions without a row.
    title : str
        Stands over the figure.
    note : str
        Sources and remarks, under the figure.

    Raises
    ------
    ValueError
        If there is no day, one stands there twice, or more contracts left than there were.
    """
    rows = _read_days(days)
    absent = pd.DatetimeIndex(missing).sort_values().unique()
    ends = pd.DatetimeIndex(rows["date"].iloc[[0, -1]]).append(absent)
    figure = start_figure(title, height=4.4)
    (axes,) = figure.axes
    if len(rows) <= _MOST_BARS:
        _draw_bars(axes, rows)
    else:
        _draw_areas(axes, rows, absent)
    _mark_days(axes, rows, absent)
    # Over fewer than some days, the axis would show hours.
    air = max(pd.Timedelta(days=_LEAST_DAYS) - (ends.max() - ends.min()), pd.Timedelta(days=1)) / 2
    use_many_dates(axes, ends.min() - air, ends.max() + air)
    axes.set_ylim(0.0, 1.12 * (rows["contracts"].max() or 1.0))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.grid(visible=False, axis="x")
    name_axes(axes, "", "contracts a day")
    add_wide_legend(axes)
    named = ", ".join(f"{date:%Y-%m-%d}" for date in absent[:_MOST_NAMED])
    more = f" and {len(absent) - _MOST_NAMED} more" if len(absent) > _MOST_NAMED else ""
    add_notes(figure, _count_days(rows), f"Missing: {named}{more}." * bool(len(absent)), note)
    return figure


def _read_days(days: pd.DataFrame) -> pd.DataFrame:
    """Read the days in order, their date as ``date``; numbers are floats."""
    columns = ["contracts", "quarantined", "is_session"]
    require_columns(days.columns, ["quote_date", *columns], "The table of days")
    rows = read_dates(days.rename(columns={"quote_date": "date"}), columns, "days of the chain")
    rows = rows.astype({"contracts": "float64", "quarantined": "float64", "is_session": "bool"})
    fits = (rows["quarantined"] >= 0.0) & (rows["quarantined"] <= rows["contracts"])
    if not fits.all():
        first = rows[~fits].iloc[0]
        raise ValueError(
            f"{int((~fits).sum())} of {len(rows)} days of the chain have no numbers that fit, such "
            f"as {first['date']:%Y-%m-%d} with {first['quarantined']:g} quarantined of "
            f"{first['contracts']:g} contracts: give both, from 0 to the number of contracts."
        )
    return rows


def _draw_bars(axes: Axes, rows: pd.DataFrame) -> None:
    kept = (rows["contracts"] - rows["quarantined"]).to_numpy()
    date, left = rows["date"].to_numpy(), rows["quarantined"].to_numpy()
    lower = axes.bar(date, kept, 0.8, color=_KEPT)
    upper = axes.bar(date, left, 0.8, bottom=kept, color=_QUARANTINED)
    # A label of all bars would come last in the legend.
    lower[0].set_label("kept")
    upper[0].set_label("quarantined")


def _draw_areas(axes: Axes, rows: pd.DataFrame, absent: pd.DatetimeIndex) -> None:
    """Draw steps that hold up to the next date, missing sessions at zero."""
    numbers = rows[["date", "contracts", "quarantined"]]
    empty = pd.DataFrame({"date": absent, "contracts": 0.0, "quarantined": 0.0})
    last = numbers.tail(1).assign(date=rows["date"].iloc[-1] + find_step(rows["date"]))
    laid = pd.concat([numbers, last, empty]).sort_values("date", kind="stable", ignore_index=True)
    laid = open_gaps(laid)
    date, top = laid["date"].to_numpy(), laid["contracts"].to_numpy()
    kept = top - laid["quarantined"].to_numpy()
    for low, high, color, label in (
        (np.zeros(len(laid)), kept, _KEPT, "kept"),
        (kept, top, _QUARANTINED, "quarantined"),
    ):
        axes.fill_between(date, low, high, step="post", color=color, linewidth=0, label=label)


def _mark_days(axes: Axes, rows: pd.DataFrame, absent: pd.DatetimeIndex) -> None:
    """Mark days that left whole or had no session above them, and missing ones on the axis."""
    whole = (rows["quarantined"] == rows["contracts"]) & (rows["contracts"] > 0.0)
    session = rows["is_session"]
    for mine, marker, fill, label in (
        (whole & session, "v", INK, "session that left whole"),
        (whole & ~session, "v", "white", "no session, left whole"),
        (~whole & ~session, "D", "white", "no session, yet kept"),
    ):
        if mine.any():
            axes.plot(
                rows["date"][mine].to_numpy(),
                (rows["contracts"][mine] + 0.035 * rows["contracts"].max()).to_numpy(),
                marker,
                color=INK,
                markersize=6.5,
                markerfacecolor=fill,
                label=f"{label} ({int(mine.sum())})",
            )
    if len(absent):
        axes.plot(
            absent.to_numpy(),
            np.zeros(len(absent)),
            "X",
            color=VERMILLION,
            markersize=7.5,
            markeredgewidth=0.0,
            clip_on=False,
            zorder=4,
            label=f"missing session ({len(absent)})",
        )


def _count_days(rows: pd.DataFrame) -> str:
    """Say how many contracts there are on how many days, and which share is quarantined."""
    total, left = rows["contracts"].sum(), rows["quarantined"].sum()
    share = f"; quarantined: {100.0 * left / total:.1f} %" if total else ""
    first, last = rows["date"].iloc[[0, -1]]
    when = f"{len(rows):,} days from {first:%Y-%m-%d} to {last:%Y-%m-%d}"
    when = when if first < last else f"{first:%Y-%m-%d}"
    return f"{total:,.0f} contracts on {when}{share}."
