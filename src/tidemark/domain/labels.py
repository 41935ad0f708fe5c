"""Targets, and the rows on which every scenario is trained and scored."""

from __future__ import annotations

import pandas as pd

from tidemark.domain.panel import live_cells, simple_returns, stack_wide


def label_next_return(
    levels: pd.DataFrame, exogenous_levels: pd.DataFrame, warm_up_days: int
) -> pd.DataFrame:
    """Label each row with the untreated return of the next session, and mark who may use it.

    Parameters
    ----------
    levels : DataFrame
        Wide frame of price levels, sessions by tickers.
    exogenous_levels : DataFrame
        Wide frame of other series on the same sessions; may have no columns.
    warm_up_days : int
        Sessions that a ticker, and every exogenous series, must have lived through before a
        row may be used: the longest look-back of any feature.

    Returns
    -------
    DataFrame
        ``date, ticker, target, eligible`` for every live cell. ``target`` is NaN where either
        price is missing; such a row is not eligible.

    Timing
    ------
    ``target`` of row *t* is known at the close of session *t + 1*; ``eligible`` says whether it
    will be.
    """
    live = live_cells(levels)
    target = simple_returns(levels).shift(-1)
    seasoned = live.rolling(warm_up_days, min_periods=warm_up_days).sum() == warm_up_days
    eligible = seasoned & target.notna()
    if exogenous_levels.shape[1]:
        known = live_cells(exogenous_levels).shift(1, fill_value=False).all(axis=1)
        ready = known.rolling(warm_up_days, min_periods=warm_up_days).sum() == warm_up_days
        eligible = eligible & ready.to_numpy()[:, None]
    return stack_wide({"target": target, "eligible": eligible}, "ticker", live)
