"""Node function of a scenario's treatment, apart from the data's: a change here re-runs less."""

from __future__ import annotations

from typing import Any

import pandas as pd

from tidemark.domain.imputation import impute_returns, missing_rate
from tidemark.domain.outliers import clip_at, trailing_iqr_fences, trailing_quantiles
from tidemark.domain.panel import (
    align_returns,
    live_returns,
    pivot_long,
    price_levels,
    stack_wide,
)
from tidemark.pipelines.data_engineering.returns.params import PreprocessParams


def preprocess(
    prices: pd.DataFrame, exogenous: pd.DataFrame, params: PreprocessParams
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Treat returns as the scenario says: fill what is missing, hold back what stands out.

    Returns
    -------
    processed : DataFrame
        ``date, ticker, ret, was_missing, was_moved``: a finite return in every live cell.
    processed_exogenous : DataFrame
        ``date, series, ret, was_missing, was_moved`` on the sessions of the prices.
    report : dict
        Flat: missing rates before and after, cells filled and moved, of the returns and, with
        the prefix ``exogenous_``, of the other series.
    """
    levels = price_levels(prices)
    others = pivot_long(exogenous, "series", "value")
    sessions = pd.DatetimeIndex(levels.index)
    processed, own = _treat(levels, sessions, "ticker", params)
    processed_exogenous, other = _treat(others, sessions, "series", params)
    report = {**own, **{f"exogenous_{key}": value for key, value in other.items()}}
    return processed, processed_exogenous, report


def _treat(
    levels: pd.DataFrame, sessions: pd.DatetimeIndex, name: str, params: PreprocessParams
) -> tuple[pd.DataFrame, dict[str, Any]]:
    returns, live = align_returns(levels, sessions), live_returns(levels, sessions)
    bounded = returns
    if params.outliers == "clip":
        fences = trailing_iqr_fences(
            returns, params.outlier_window_days, params.iqr_multiple, params.outlier_min_days
        )
        bounded = clip_at(returns, *fences)
    elif params.outliers == "winsorise":
        limits = trailing_quantiles(
            returns, params.outlier_window_days, params.tail, params.outlier_min_days
        )
        bounded = clip_at(returns, *limits)
    filled = impute_returns(bounded, live, params.impute, params.impute_window_days)
    was_missing = live & returns.isna()
    was_moved = returns.notna() & (bounded != returns)
    table = stack_wide(
        {"ret": filled, "was_missing": was_missing, "was_moved": was_moved}, name, live
    )
    report = {
        "cells": int(live.to_numpy().sum()),
        "missing_rate_before": missing_rate(returns, live),
        "missing_rate_after": missing_rate(filled, live),
        "cells_filled": int(was_missing.to_numpy().sum()),
        "cells_moved": int(was_moved.to_numpy().sum()),
    }
    return table, report
