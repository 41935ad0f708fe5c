"""Volatilities that the middles of quotes imply, with the forwards of their own date."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tidemark.domain.black_scholes import solve_implied_volatility
from tidemark.domain.forward_curves import ForwardCurves


def solve_middles(quotes: pd.DataFrame, day: np.ndarray, curves: ForwardCurves) -> pd.DataFrame:
    """Solve for the volatility of the middle of each quote.

    Parameters
    ----------
    quotes : DataFrame
        ``underlying_price, strike, option_type, time_years, bid, ask``.
    day : ndarray of datetime64, shape (rows,)
        The date of each quote.
    curves : ForwardCurves
        Of these dates.

    Returns
    -------
    DataFrame
        In the index of the quotes: ``is_call``; ``log_moneyness``, of strike over forward;
        ``vol_annual``, NaN without; ``code``, a
        `tidemark.domain.implied_volatility.VolatilityCode`; ``carry_today`` and ``rate_today``.
    """
    time = quotes["time_years"].to_numpy(dtype="float64")
    carry, rate = curves.read(day, time)
    spot, strike = (quotes[name].to_numpy("float64") for name in ("underlying_price", "strike"))
    is_call = (quotes["option_type"] == "call").to_numpy(dtype=bool)
    middle = (quotes["bid"].to_numpy("float64") + quotes["ask"].to_numpy("float64")) / 2.0
    solved = solve_implied_volatility(middle, spot, strike, time, rate, is_call, carry)
    return pd.DataFrame(
        {
            "is_call": is_call,
            "log_moneyness": np.log(strike / spot) - carry * time,
            "vol_annual": solved.vol_annual,
            "code": solved.codes,
            "carry_today": carry,
            "rate_today": rate,
        },
        index=quotes.index,
    )
