"""Panels of prices and returns: long tables, wide frames and the way between them.

A *wide* frame has one row for each session (a sorted, unique ``DatetimeIndex`` without time
zone) and one column for each series. A *long* table has one row for each (date, name) pair.
"""

from __future__ import annotations

import numpy as np
import pandas as pd


def pivot_long(table: pd.DataFrame, name: str, value: str) -> pd.DataFrame:
    """Turn a long table into a wide frame.

    Parameters
    ----------
    table : DataFrame
        Columns ``date``, ``name`` and ``value``; one row for each pair of date and name.
    name, value : str
        The columns that become the wide frame's columns and its cells.

    Returns
    -------
    DataFrame
        Sessions by names, both sorted; NaN where the table has no row or no value.

    Raises
    ------
    ValueError
        If a pair of date and name occurs twice.
    """
    # pivot_table would average two rows of one key; pivot refuses them.
    wide = table.pivot(index="date", columns=name, values=value)  # noqa: PD010
    wide = wide.sort_index().sort_index(axis=1)
    return wide.astype("float64")


def stack_wide(frames: dict[str, pd.DataFrame], name: str, keep: pd.DataFrame) -> pd.DataFrame:
    """Turn wide frames of one shape into one long table.

    Parameters
    ----------
    frames : dict of str to DataFrame
        Wide frames with the same index and columns, one for each column of the result.
    name : str
        What the frames' columns are called in the result.
    keep : DataFrame of bool
        The cells that become rows.

    Returns
    -------
    DataFrame
        ``date``, ``name`` and one column for each frame; sorted by date, then name.
    """
    rows, columns = np.nonzero(keep.to_numpy())
    table = {"date": keep.index.to_numpy()[rows], name: keep.columns.to_numpy()[columns]}
    for key, frame in frames.items():
        table[key] = frame.to_numpy()[rows, columns]
    return pd.DataFrame(table)


def price_levels(prices: pd.DataFrame) -> pd.DataFrame:
    """Take the levels that returns are computed from: adjusted closes where they are given.

    Parameters
    ----------
    prices : DataFrame
        Long table ``date, ticker, close`` and optionally ``adj_close``.

    Returns
    -------
    DataFrame
        Wide frame, sessions by tickers, in the currency of the prices. If the table has
        ``adj_close``, all levels are adjusted: a missing one is NaN, never the close, because
        a mixture would show a return that nobody earned.
    """
    return pivot_long(prices, "ticker", "adj_close" if "adj_close" in prices else "close")


def simple_returns(levels: pd.DataFrame) -> pd.DataFrame:
    """Compute simple returns from one session to the next.

    Returns
    -------
    DataFrame
        ``levels[t] / levels[t-1] - 1``; NaN where either level is missing. Levels are never
        filled, so no return is invented.

    Examples
    --------
    >>> levels = pd.DataFrame({"A": [100.0, 110.0, float("nan"), 99.0]})
    >>> simple_returns(levels)["A"].round(2).tolist()
    [nan, 0.1, nan, nan]
    """
    values = levels.to_numpy(dtype="float64")
    returns = np.full_like(values, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        returns[1:] = values[1:] / values[:-1] - 1.0
    returns[~np.isfinite(returns)] = np.nan
    return pd.DataFrame(returns, index=levels.index, columns=levels.columns)


def live_cells(levels: pd.DataFrame) -> pd.DataFrame:
    """Mark the sessions between a series' first and last value, both included.

    Before its first and after its last value a series is absent; between them a blank is a
    missing value.

    Returns
    -------
    DataFrame of bool
        Same shape as ``levels``.

    Timing
    ------
    The end of a life is known only afterwards. The mask decides which rows exist; no value of
    a row that exists depends on it.
    """
    present = levels.notna()
    started = present.cummax()
    unfinished = present[::-1].cummax()[::-1]
    return started & unfinished


def live_returns(levels: pd.DataFrame, sessions: pd.DatetimeIndex) -> pd.DataFrame:
    """Mark the sessions on which a series must have a return.

    Parameters
    ----------
    levels : DataFrame
        Wide frame on the series' own calendars.
    sessions : DatetimeIndex
        The sessions of the study.

    Returns
    -------
    DataFrame of bool
        Sessions by series: within the series' life, but for the life's first session, on which
        there is nothing to have returned from.
    """
    lives = {}
    for name in levels:
        known = levels.index[levels[name].notna()]
        lives[name] = (sessions >= known.min()) & (sessions <= known.max())
    within = pd.DataFrame(lives, index=sessions, columns=levels.columns, dtype="bool")
    return within & within.shift(1, fill_value=False)


def align_returns(levels: pd.DataFrame, sessions: pd.DatetimeIndex) -> pd.DataFrame:
    """Compute the returns of series with calendars of their own on given sessions.

    Parameters
    ----------
    levels : DataFrame
        Wide frame on the union of the series' calendars.
    sessions : DatetimeIndex
        The sessions of the study.

    Returns
    -------
    DataFrame
        Returns between consecutive sessions; NaN where a series has no value on either one.
    """
    return simple_returns(levels.reindex(sessions))
