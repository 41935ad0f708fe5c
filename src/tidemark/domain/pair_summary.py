"""What a pair's correlation was by year, where it stands now, and when its sign changed."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from tidemark.domain.correlation_bands import fisher_band

MIN_RETURNS = 8  # of a year; the interval of fewer says nothing


def correlate_by_year(returns: pd.DataFrame, level: float) -> pd.DataFrame:
    """Correlate the returns of each calendar year.

    Parameters
    ----------
    returns : DataFrame
        ``date, left, right``; sessions on which one is NaN do not count.
    level : float
        Coverage of the intervals.

    Returns
    -------
    DataFrame
        ``year, correlation, lower, upper, n``; years with fewer than `MIN_RETURNS` pairs, or in
        which a side does not vary, are left out. Intervals are Fisher's, for independent returns.
    """
    both = returns.dropna()
    rows = []
    for year, part in both.groupby(both["date"].dt.year):
        sides = part[["left", "right"]]
        moves = (sides.std() > 1e-12 * sides.abs().max()).all()  # below, it is rounding
        if len(part) >= MIN_RETURNS and moves:
            value = float(np.corrcoef(part["left"], part["right"])[0, 1])
            rows.append({"year": int(str(year)), "correlation": value, "n": len(part)})
    table = pd.DataFrame(rows, columns=["year", "correlation", "n"])
    lower, upper = fisher_band(table["correlation"], table["n"], level)
    return table.assign(lower=lower, upper=upper)[["year", "correlation", "lower", "upper", "n"]]


def list_sign_changes(yearly: pd.DataFrame) -> list[dict[str, Any]]:
    """List the years whose correlation has another sign than the year before.

    Parameters
    ----------
    yearly : DataFrame
        As `correlate_by_year` returns it.

    Returns
    -------
    list of dict
        ``year, correlation, before`` and ``year_before`` (of the last year before that has one),
        and ``is_clear``: whether both intervals leave out zero.
    """
    known = yearly.dropna(subset="correlation").sort_values("year").to_dict("records")
    changes = []
    for before, after in pairwise(known):
        if before["correlation"] * after["correlation"] < 0.0:
            clear = all(one["lower"] * one["upper"] > 0.0 for one in (before, after))
            changes.append(
                {
                    "year": int(after["year"]),
                    "correlation": float(after["correlation"]),
                    "before": float(before["correlation"]),
                    "year_before": int(before["year"]),
                    "is_clear": bool(clear),
                }
            )
    return changes


def describe_now(rolling: pd.DataFrame) -> dict[str, Any]:
    """Say where a rolling correlation stands.

    Parameters
    ----------
    rolling : DataFrame
        ``date, correlation, lower, upper``, dates ascending.

    Returns
    -------
    dict
        The last ``correlation`` with its band, its ``date``; ``rank``: the share of all values
        that lie below it; ``mean, low, high`` of all values, ``low_date`` and ``high_date``;
        ``first``, when they begin; ``since``: the first date of the present sign. Ready for JSON.

    Raises
    ------
    ValueError
        If there is no correlation at all.
    """
    known = rolling.dropna(subset="correlation").reset_index(drop=True)
    if known.empty:
        raise ValueError("No window has a correlation: choose a shorter one, or give more data.")
    values = known["correlation"]
    last = known.iloc[-1]
    differs = np.flatnonzero(np.sign(values) != np.sign(last["correlation"]))
    since = known["date"].iloc[differs[-1] + 1 if len(differs) else 0]
    low, high = int(values.argmin()), int(values.argmax())
    return {
        "date": f"{last['date']:%Y-%m-%d}",
        "correlation": float(last["correlation"]),
        "lower": float(last["lower"]),
        "upper": float(last["upper"]),
        "rank": float((values < last["correlation"]).mean()),
        "mean": float(values.mean()),
        "low": float(values.iloc[low]),
        "low_date": f"{known['date'].iloc[low]:%Y-%m-%d}",
        "high": float(values.iloc[high]),
        "high_date": f"{known['date'].iloc[high]:%Y-%m-%d}",
        "first": f"{known['date'].iloc[0]:%Y-%m-%d}",
        "since": f"{since:%Y-%m-%d}",
    }


def describe_regimes(regimes: pd.DataFrame, names: list[str]) -> dict[str, Any]:
    """Say in which regime a pair is, for how long, and how long regimes last.

    Parameters
    ----------
    regimes : DataFrame
        ``date, regime`` and ``p_0``, ``p_1`` and so on, dates ascending.
    names : list of str
        Of the regimes.

    Returns
    -------
    dict
        ``regime`` and its ``name``, ``probability``, ``date``, ``since``, ``n_obs`` so far; for
        each regime ``share`` of all observations, number of ``spells`` and their mean
        ``length``. Ready for JSON.
    """
    labels = regimes["regime"].to_numpy()
    starts = np.flatnonzero(np.r_[True, labels[1:] != labels[:-1]])
    lengths = np.diff(np.r_[starts, len(labels)])
    now = int(labels[-1])
    by_regime = []
    for number, name in enumerate(names):
        own = lengths[labels[starts] == number]
        by_regime.append(
            {
                "name": name,
                "share": float((labels == number).mean()),
                "spells": len(own),
                "length": float(own.mean()) if len(own) else None,
            }
        )
    return {
        "date": f"{regimes['date'].iloc[-1]:%Y-%m-%d}",
        "regime": now,
        "name": names[now],
        "probability": float(regimes[f"p_{now}"].iloc[-1]),
        "since": f"{regimes['date'].iloc[starts[-1]]:%Y-%m-%d}",
        "n_obs": int(lengths[-1]),
        "regimes": by_regime,
    }
