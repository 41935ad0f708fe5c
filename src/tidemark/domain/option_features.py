"""The one function that builds features of option prices: for training, audit and serving alike."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tidemark.domain.option_inputs import KEYS

# Beyond so many deviations an option is all intrinsic value, or none.
_FARTHEST = 6.0
_TAKEN = (
    *("log_strike", "sqrt_time", "is_call", "return_1", "return_5", "historical_vol"),
    *("carry", "rate", "strike_vol", "moneyness_vol", "atm_vol", "slope", "atm_change"),
    *("own_vol", "own_spread", "own_volume", "own_open_interest", "was_missing"),
)


def build_option_features(processed: pd.DataFrame) -> pd.DataFrame:
    """Build the features of prices over strike.

    Parameters
    ----------
    processed : DataFrame
        As from `tidemark.domain.option_inputs.build_inputs`, without blanks in a contract's own
        past, and with ``was_missing`` and ``is_learnt``.

    Returns
    -------
    DataFrame
        ``date, contract``, float64 features and ``is_learnt``: what is taken as it is, further
        ``intrinsic`` (value at exercise over strike), ``vol_time`` (volatility of the surface times
        the root of time) and ``distance`` (of the forward from the strike, in deviations at
        settlement, between -6 and 6). Rows without a surface or an underlying's past are left out.

    Notes
    -----
    Timing: row *t* uses the underlying up to *t* and quotes of options up to the session before.
    """
    rows = processed[[*KEYS, *_TAKEN, "is_learnt"]].dropna(ignore_index=True)
    sign = 2.0 * rows["is_call"] - 1.0
    vol_time = rows["strike_vol"] * rows["sqrt_time"]
    gap = rows["carry"] * rows["sqrt_time"] ** 2 - rows["log_strike"]
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = (gap / vol_time).clip(-_FARTHEST, _FARTHEST).fillna(0.0)
    features = rows.assign(
        intrinsic=(sign * np.expm1(-rows["log_strike"])).clip(lower=0.0),
        vol_time=vol_time,
        distance=distance,
    )
    return _order(features)


def build_same_day_features(processed: pd.DataFrame) -> pd.DataFrame:
    """Build features that know the price of the day: its volatility, moneyness, and their time.

    Returns
    -------
    DataFrame
        ``date, contract, implied_vol, moneyness`` (underlying over strike), ``vol_time``
        (volatility times time in years) and ``is_learnt``.
    """
    rows = processed.dropna(ignore_index=True)
    return _order(
        rows[[*KEYS, "is_learnt"]].assign(
            implied_vol=rows["own_vol_today"],
            moneyness=np.exp(-rows["log_strike"]),
            vol_time=rows["own_vol_today"] * rows["sqrt_time"] ** 2,
        )
    )


def _order(features: pd.DataFrame) -> pd.DataFrame:
    others = [name for name in features if name not in (*KEYS, "is_learnt")]
    return features[[*KEYS, *others, "is_learnt"]]
