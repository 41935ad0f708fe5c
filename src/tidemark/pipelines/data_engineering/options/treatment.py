"""Node functions of a scenario's treatment: what is missing of a contract's own past."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tidemark.domain.option_inputs import KEYS, OWN_PAST
from tidemark.pipelines.data_engineering.options.params import OptionPreprocessParams


def preprocess(
    inputs: pd.DataFrame, params: OptionPreprocessParams
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Fill what a contract lacks that was not quoted the session before.

    Its volatility is that of the surface at its strike; its spread is the median of all
    quotes of the session before; volume and open interest are zero.

    Returns
    -------
    processed : DataFrame
        The inputs with ``was_missing`` (1 or 0) and ``is_learnt``, whether models learn from the
        row.
    report : dict
        Flat: how many rows were filled, and how many of them models do not learn from.
    """
    missing = inputs[list(OWN_PAST)].isna().any(axis=1)
    processed = inputs.assign(
        own_vol=inputs["own_vol"].fillna(inputs["strike_vol"]),
        own_spread=inputs["own_spread"].fillna(inputs["market_spread"]),
        own_volume=inputs["own_volume"].fillna(0.0),
        own_open_interest=inputs["own_open_interest"].fillna(0.0),
        was_missing=missing.astype("float64"),
        is_learnt=~missing if params.missing == "drop" else np.ones(len(inputs), dtype=bool),
    )
    report = {
        "rows_filled": int(missing.sum()),
        "rows_not_learnt_from": int((~processed["is_learnt"]).sum()),
    }
    return processed, report


def take_same_day(
    inputs: pd.DataFrame, volatilities: pd.DataFrame, params: OptionPreprocessParams
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Give each quote the volatility that it implies itself: circular, and named so everywhere.

    Returns
    -------
    processed : DataFrame
        ``date, contract, log_strike, sqrt_time, is_call, own_vol_today`` and ``is_learnt``. A quote
        that implies no volatility has that of the surface of the session before.
    report : dict
        Flat: how many rows were filled.
    """
    today = volatilities[[*KEYS, "vol_annual"]].rename(columns={"vol_annual": "own_vol_today"})
    kept = inputs[[*KEYS, "log_strike", "sqrt_time", "is_call"]]
    processed = kept.merge(today, on=list(KEYS), how="left", validate="one_to_one")
    missing = processed["own_vol_today"].isna().to_numpy()
    filled = processed["own_vol_today"].fillna(inputs["strike_vol"])
    is_learnt = np.ones(len(inputs), dtype=bool) if params.missing == "surface" else ~missing
    report = {"rows_filled": int(missing.sum()), "rows_not_learnt_from": int((~is_learnt).sum())}
    return processed.assign(own_vol_today=filled, is_learnt=is_learnt), report
