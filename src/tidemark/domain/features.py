"""The one function that builds features: for training, audit and serving alike."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from tidemark.domain.panel import stack_wide

# What is known of a row beside its features: what is to be forecast, a forecast that models may
# correct, and whether the row counts at all, is forecast, and is learnt from.
LABELS = ("target", "offset", "eligible", "is_scored", "is_learnt")


def build_features(
    returns: pd.DataFrame,
    exogenous: pd.DataFrame,
    lags: Sequence[int],
    windows: Sequence[int],
    exogenous_lags: Sequence[int],
) -> pd.DataFrame:
    """Build lagged and rolling features of each stock's returns.

    A row is a decision at the close of session *t*; what it is to predict is the return of
    session *t + 1*. Lags count back from there: ``ret_lag_1`` is the return of session *t*.

    Parameters
    ----------
    returns : DataFrame
        Wide frame, sessions by tickers; NaN where a ticker does not live.
    exogenous : DataFrame
        Wide frame of the returns of other series on the same sessions; may have no columns.
    lags : sequence of int
        Lags of the stock's own return, in sessions before the target's; 0 is the target.
    windows : sequence of int
        Lengths of the rolling mean and standard deviation, in sessions, the last one *t*.
    exogenous_lags : sequence of int
        Lags of the exogenous returns. Lag 2 is dated the session before the decision: the ECB
        publishes its rates in the European afternoon, and oil's spot price comes a day late.

    Returns
    -------
    DataFrame
        Long table ``date, ticker``, then one float64 column for each feature, sorted by date
        and ticker. Only rows in which every feature has a value.

    Timing
    ------
    Row *t* uses returns up to session *t*, exogenous returns up to ``t + 1 - lag``.
    """
    frames = {f"ret_lag_{lag}": returns.shift(lag - 1) for lag in lags}
    for window in windows:
        rolling = returns.rolling(window, min_periods=window)
        frames[f"ret_mean_{window}"] = rolling.mean()
        frames[f"ret_std_{window}"] = rolling.std()
    keep = returns.notna()
    for frame in frames.values():
        keep &= frame.notna()
    table = stack_wide(frames, "ticker", keep)
    for name in exogenous:
        for lag in exogenous_lags:
            lagged = exogenous[name].shift(lag - 1)
            table[f"{name}_ret_lag_{lag}"] = table["date"].map(lagged).astype("float64")
    return table.dropna(ignore_index=True)


def feature_columns(table: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    """List the columns of a table that are features: all but the keys and the labels."""
    return [str(column) for column in table if column not in {*keys, *LABELS}]
