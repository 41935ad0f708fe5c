"""Black-Scholes prices that nobody fits: what every model of option prices has to beat."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tidemark.domain.black_scholes import price
from tidemark.domain.chains import Floats
from tidemark.domain.option_inputs import KEYS

SURFACE_BY_STRIKE, SURFACE_BY_MONEYNESS = "surface_by_strike", "surface_by_moneyness"
HISTORICAL_VOL, OWN_IV = "historical_vol", "own_iv"
BASELINES = (HISTORICAL_VOL, SURFACE_BY_MONEYNESS, SURFACE_BY_STRIKE, OWN_IV)


def price_baselines(
    contracts: pd.DataFrame, inputs: pd.DataFrame, volatilities: pd.DataFrame
) -> pd.DataFrame:
    """Price each contract by Black-Scholes, with volatilities that are hard to beat.

    Parameters
    ----------
    contracts : DataFrame
        As for `read_market`.
    inputs : DataFrame
        As from `build_inputs`; its carry and rate serve all baselines but the circular one.
    volatilities : DataFrame
        Of `OptionMarket`, for the one that is circular.

    Returns
    -------
    DataFrame
        ``date, contract``, sorted by both, and the columns of ``BASELINES``, prices over strike:
        with the historical volatility of the underlying; with the surface of the session before,
        at the same moneyness, and at the same strike; and with today's own implied volatility,
        which is the price to be forecast in other words (of quotes that imply none, the intrinsic
        value). NaN where the volatility is unknown.
    """
    rows = inputs.merge(contracts, on=list(KEYS), suffixes=("", "_again"), validate="one_to_one")
    own = volatilities[[*KEYS, "vol_annual", "carry_today", "rate_today"]]
    today = rows[list(KEYS)].merge(own, on=list(KEYS), how="left")
    vols = {
        HISTORICAL_VOL: rows["historical_vol"],
        SURFACE_BY_MONEYNESS: rows["moneyness_vol"],
        SURFACE_BY_STRIKE: rows["strike_vol"],
    }
    expected = {name: (vol, rows["rate"], rows["carry"]) for name, vol in vols.items()}
    # Where today implies no forward, nothing of today is known but the intrinsic value.
    known = today["vol_annual"].notna()
    own_terms = (
        today["vol_annual"].fillna(0.0),
        today["rate_today"].where(known, rows["rate"]),
        today["carry_today"].where(known, rows["carry"]),
    )
    return rows[list(KEYS)].assign(
        **{name: _price_over_strike(rows, *terms) for name, terms in expected.items()},
        **{OWN_IV: _price_over_strike(rows, *own_terms)},
    )


def _price_over_strike(
    rows: pd.DataFrame, vol: pd.Series, rate: pd.Series, carry: pd.Series
) -> Floats:
    spot, strike, time, is_call, *terms = (
        np.asarray(values, dtype="float64")
        for values in (
            *(rows[name] for name in ("underlying_price", "strike", "time_years", "is_call")),
            *(vol, rate, carry),
        )
    )
    vols, rates, carries = terms
    whole = price(spot, strike, np.maximum(time, 0.0), rates, vols, is_call > 0.5, carries)
    return np.asarray(whole / strike)
