"""Growth and discount of each date, read at any time to settlement between those of expirations."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tidemark.domain.chain_keys import number_keys
from tidemark.domain.chains import Floats, measure_time_years
from tidemark.domain.implied_parity import imply_parity
from tidemark.domain.no_arbitrage import Quotes
from tidemark.domain.parity import EXPIRY, NoPairsError, ParitySettings, fit_forwards

# More than any time in years, so that dates do not meet on one axis.
_GAP = 1e3


@dataclass(frozen=True, eq=False)
class ForwardCurves:
    """Logs of growth and discount over time, for many dates.

    Attributes
    ----------
    day : ndarray of datetime64[us], shape (days,)
        Ascending.
    longest : ndarray, shape (days,)
        The longest time of each.
    axis, growth, discount : ndarray, shape (points,)
        Points of all days on one axis; ``ln(forward / spot)`` and ``-ln(discount factor)``.
    """

    day: np.ndarray
    longest: Floats
    axis: Floats
    growth: Floats
    discount: Floats

    def read(self, day: np.ndarray, time_years: Floats) -> tuple[Floats, Floats]:
        """Read the annual carry and rate of given dates.

        Parameters
        ----------
        day : ndarray of datetime64, shape (rows,)
            The date whose expirations are looked at, not that of the row.
        time_years : ndarray, shape (rows,)

        Returns
        -------
        carry_continuous, rate_continuous : ndarray, shape (rows,)
            Logs are interpolated from 0 at no time on; beyond the last expiration, carry and rate
            are its own. NaN where the day is unknown or the time is not above 0.
        """
        number = np.searchsorted(self.day, day)
        known = number < len(self.day)
        known[known] = self.day[number[known]] == day[known]
        known &= time_years > 0
        found = np.full((2, len(day)), np.nan)
        if not known.any():
            return found[0], found[1]
        time = np.minimum(time_years[known], self.longest[number[known]])
        place = number[known] * _GAP + time
        for row, logs in enumerate((self.growth, self.discount)):
            found[row, known] = np.interp(place, self.axis, logs) / time
        return found[0], found[1]


def make_curves(forwards: pd.DataFrame) -> ForwardCurves:
    """Make curves from the forwards whose flag is ``ok``; dates without any have none.

    Parameters
    ----------
    forwards : DataFrame
        As from `imply_forwards`. Two roots that settle at one time are averaged.
    """
    usable = forwards[(forwards["flag"] == "ok") & (forwards["time_years"] > 0)]
    logs = pd.DataFrame(
        {
            "day": usable["quote_date"].to_numpy(),
            "time_years": usable["time_years"].to_numpy(),
            "growth": (usable["carry_continuous"] * usable["time_years"]).to_numpy(),
            "discount": (usable["rate_continuous"] * usable["time_years"]).to_numpy(),
        }
    )
    points = logs.groupby(["day", "time_years"], as_index=False, sort=True).mean()
    days, number = np.unique(points["day"].to_numpy(), return_inverse=True)
    origins = pd.DataFrame({"number": np.arange(len(days)), "time_years": 0.0})
    points = pd.concat([origins, points.assign(number=number)]).fillna({"growth": 0, "discount": 0})
    points = points.sort_values(["number", "time_years"], kind="stable")
    return ForwardCurves(
        day=days,
        longest=points.groupby("number")["time_years"].max().to_numpy(),
        axis=(points["number"] * _GAP + points["time_years"]).to_numpy(dtype="float64"),
        growth=points["growth"].to_numpy(dtype="float64"),
        discount=points["discount"].to_numpy(dtype="float64"),
    )


def imply_forwards(
    chain: pd.DataFrame, rate_continuous: float, settings: ParitySettings | None = None
) -> pd.DataFrame:
    """Imply the forward of each quote date, root and expiration, whatever the exercise style.

    Parameters
    ----------
    chain : DataFrame
        Canonical.
    rate_continuous : float
        Discounts American options, for which parity is no line: per year.
    settings : ParitySettings, optional

    Returns
    -------
    DataFrame
        As from `tidemark.domain.parity.fit_forwards`. Of American options the forward is that of
        `tidemark.domain.implied_parity.imply_parity`, and figures about pairs are NaN. Empty where
        no expiration has a usable pair.
    """
    is_european = (chain["exercise_style"] == "european").to_numpy(dtype=bool)
    tables = [make_no_forwards()]
    if is_european.any():
        # Without a pair there is no forward, which is nothing to stop for.
        with suppress(NoPairsError):
            tables.append(fit_forwards(chain, is_european, settings))
    if not is_european.all():
        tables.append(_imply_american(chain[~is_european], rate_continuous))
    found = pd.concat(tables[1:], ignore_index=True) if len(tables) > 1 else tables[0]
    return found.sort_values(EXPIRY, ignore_index=True)


def make_no_forwards() -> pd.DataFrame:
    """Make the table of forwards of a chain without any."""
    kinds = {
        **{"quote_date": "datetime64[us]", "root": "str", "expiration": "datetime64[us]"},
        **dict.fromkeys(("time_years", "underlying_price", "forward"), "float64"),
        **dict.fromkeys(("discount_factor", "rate_continuous", "carry_continuous"), "float64"),
        **{"n_pairs": "int64", "residual_median": "float64", "share_within": "float64"},
        "flag": "str",
    }
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})


def _imply_american(chain: pd.DataFrame, rate_continuous: float) -> pd.DataFrame:
    keys = number_keys(chain)
    order = np.lexsort((keys.strike, keys.expiry))
    chain, keys = chain.iloc[order], keys.take(order)
    time = measure_time_years(chain)
    spot = chain["underlying_price"].to_numpy(dtype="float64")
    discount = np.exp(-rate_continuous * np.maximum(time, 0.0))
    given = Quotes(
        bid=chain["bid"].to_numpy(dtype="float64"),
        ask=chain["ask"].to_numpy(dtype="float64"),
        spot=spot,
        strike=chain["strike"].to_numpy(dtype="float64"),
        discount=discount,
        forward=spot,
        is_call=keys.is_call,
        is_american=np.ones(len(chain), dtype=bool),
    )
    held, discount = imply_parity(given, keys)
    found = chain[EXPIRY].assign(
        time_years=time, underlying_price=spot, forward=held / discount, discount_factor=discount
    )
    found = found.groupby(EXPIRY, as_index=False, sort=True).first()
    years = found["time_years"].where(found["time_years"] > 0)
    is_known = found["forward"].notna() & years.notna()
    return found.assign(
        rate_continuous=rate_continuous,
        carry_continuous=np.log(found["forward"] / found["underlying_price"]) / years,
        n_pairs=0,
        residual_median=np.nan,
        share_within=np.nan,
        flag=np.select([years.isna(), ~is_known], ["no_time", "few_pairs"], "ok"),
    )
