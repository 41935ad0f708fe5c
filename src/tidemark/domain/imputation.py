"""Missing returns, filled from the past only."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

ImputeMethod = Literal["mean", "median"]


def trailing_center(returns: pd.DataFrame, method: ImputeMethod, window: int) -> pd.DataFrame:
    """Compute the trailing mean or median of each column, the present row left out.

    Parameters
    ----------
    returns : DataFrame
        Wide frame of returns; NaN where missing.
    method : {"mean", "median"}
        The statistic.
    window : int
        Length of the trailing window in sessions.

    Returns
    -------
    DataFrame
        Same shape; 0 where the window holds no value, because a zero return is the forecast of
        those who know nothing.

    Timing
    ------
    Row *t* uses rows *t - window* to *t - 1*.
    """
    rolling = returns.rolling(window, min_periods=1)
    center = rolling.mean() if method == "mean" else rolling.median()
    return center.shift(1).fillna(0.0)


def impute_returns(
    returns: pd.DataFrame, live: pd.DataFrame, method: ImputeMethod, window: int
) -> pd.DataFrame:
    """Fill missing returns with the trailing mean or median of the returns that were observed.

    Parameters
    ----------
    returns : DataFrame
        Wide frame of returns; NaN where missing.
    live : DataFrame of bool
        The cells that must have a value.
    method, window
        See `trailing_center`. Filled values never enter a later window.

    Returns
    -------
    DataFrame
        Finite wherever ``live``; NaN elsewhere.

    Timing
    ------
    Row *t* uses rows up to *t* for what was observed, up to *t - 1* for what is filled.
    """
    filled = returns.where(returns.notna(), trailing_center(returns, method, window))
    return filled.where(live)


def missing_rate(returns: pd.DataFrame, live: pd.DataFrame) -> float:
    """Compute the share of live cells without a value, between 0 and 1 (0 if none is live)."""
    alive = live.to_numpy()
    total = int(alive.sum())
    return float(np.isnan(returns.to_numpy()[alive]).sum() / total) if total else 0.0
