"""How far volatilities of our own are from those that a vendor sends along, and why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from tidemark.domain.black_scholes import solve_implied_volatility
from tidemark.domain.chains import Floats, measure_time_years
from tidemark.domain.forward_curves import make_curves
from tidemark.domain.greeks import DAYS_PER_YEAR

# What vendors write where a price implies no volatility.
_FLOOR = 0.02
_MAX_SPREAD = 0.10
_A_MONTH = 30.0 / DAYS_PER_YEAR
_COLUMNS = ("own", "calendar_days", "plain_spot")


def solve_beside_vendor(chain: pd.DataFrame, forwards: pd.DataFrame) -> pd.DataFrame:
    """Solve for the volatility of every liquid quote, in three ways, beside the vendor's.

    Parameters
    ----------
    chain : DataFrame
        Canonical, with ``vendor_iv``.
    forwards : DataFrame
        As from `tidemark.domain.forward_curves.imply_forwards`.

    Returns
    -------
    DataFrame
        Quotes with both sides and a spread under 10 % of the middle: ``vendor``, annual; ``own``
        (by implied forward and discount, time to settlement), ``calendar_days`` (time to the close
        of the expiration date whatever the settlement), ``plain_spot`` (the table's spot grows at
        the implied rate without dividends); ``is_otm``, ``time_years`` and ``quote_date``.
    """
    middle = (chain["bid"] + chain["ask"]) / 2.0
    time = pd.Series(measure_time_years(chain), index=chain.index)
    liquid = (chain["bid"] > 0) & ((chain["ask"] - chain["bid"]) < _MAX_SPREAD * middle)
    rows = chain[liquid & (time > 0) & chain["vendor_iv"].notna()]
    years: Floats = np.asarray(time[rows.index], dtype="float64")
    spot, strike = (rows[name].to_numpy("float64") for name in ("underlying_price", "strike"))
    is_call = (rows["option_type"] == "call").to_numpy(dtype=bool)
    carry, rate = make_curves(forwards).read(rows["quote_date"].to_numpy(), years)
    days = (rows["expiration"] - rows["quote_date"]).dt.days.to_numpy() / DAYS_PER_YEAR

    def solve(years: np.ndarray, carry: np.ndarray) -> np.ndarray:
        price = middle[rows.index].to_numpy()
        return solve_implied_volatility(price, spot, strike, years, rate, is_call, carry).vol_annual

    forward = spot * np.exp(carry * years)
    return pd.DataFrame(
        {
            "quote_date": rows["quote_date"].to_numpy(),
            "vendor": rows["vendor_iv"].to_numpy(),
            "own": solve(years, carry),
            "calendar_days": solve(days, carry),
            "plain_spot": solve(years, rate),
            "is_otm": np.where(is_call, strike >= forward, strike < forward),
            "time_years": years,
        }
    )


def compare_with_vendor(parts: Iterable[pd.DataFrame]) -> dict[str, Any]:
    """Say how far volatilities are apart, and which assumptions the distance rests on.

    Parameters
    ----------
    parts : iterable of DataFrame
        As from `solve_beside_vendor`; of a vendor without volatilities there are none.

    Returns
    -------
    dict
        ``liquid`` quotes, ``floored`` (vendor's at or below 0.02: a mark rather than a number),
        ``unsolved`` (without one of ours), ``compared``; ``median_points`` of absolute differences
        in volatility points: ``all``, ``out_of_the_money``, ``in_the_money``, ``up_to_30_days`` and
        ``beyond`` (out of the money), and for each other way of solving ``calendar_days`` and
        ``plain_spot``; ``worst_days``, dates with the largest medians. Empty without quotes.
    """
    tables = list(parts)
    rows = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    if rows.empty:
        return {}
    floored, unsolved = rows["vendor"] <= _FLOOR, rows["own"].isna()
    both = rows[~floored & ~unsolved]
    if both.empty:
        return {}
    apart = {name: 100.0 * (both[name] - both["vendor"]).abs() for name in _COLUMNS}
    own, otm, near = apart["own"], both["is_otm"], both["time_years"] <= _A_MONTH
    chosen = {
        "all": own,
        "out_of_the_money": own[otm],
        "in_the_money": own[~otm],
        "up_to_30_days": own[otm & near],
        "beyond": own[otm & ~near],
        "calendar_days": apart["calendar_days"].dropna(),
        "plain_spot": apart["plain_spot"].dropna(),
    }
    by_day = own.groupby(both["quote_date"]).median().sort_values(ascending=False).head(5)
    return {
        "liquid": len(rows),
        "floored": int(floored.sum()),
        "unsolved": int((unsolved & ~floored).sum()),
        "compared": len(both),
        "median_points": {
            name: float(values.median()) for name, values in chosen.items() if len(values)
        },
        "worst_days": {
            f"{pd.Timestamp(str(day)):%Y-%m-%d}": float(one) for day, one in by_day.items()
        },
    }
