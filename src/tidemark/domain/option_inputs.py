"""What is known of each quoted contract before its price: today's terms and yesterday's market.

Of its own date a row sees the contract, the underlying, and the underlying's past. Everything that
comes from quotes of options (surface, forward, carry, spreads, volume, open interest) is of the
session before.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from tidemark.domain.chains import Floats, Integers
from tidemark.domain.forward_curves import ForwardCurves, imply_forwards, make_curves
from tidemark.domain.greeks import DAYS_PER_YEAR
from tidemark.domain.parity import ParitySettings
from tidemark.domain.quoted_volatilities import solve_middles
from tidemark.domain.smiles import Smiles, fit_smiles

KEYS = ("date", "contract")
# What a contract has only if it was quoted in the session before.
OWN_PAST = ("own_vol", "own_spread", "own_volume", "own_open_interest")

_SESSIONS_A_YEAR = 252.0
# How far from the forward the slope of a smile is taken, in standardised moneyness.
_SLOPE_AT = 0.1


@dataclass(frozen=True)
class InputSettings:
    """What inputs depend on.

    Attributes
    ----------
    rate_continuous : float
        Discounts American options, which imply no rate; per year.
    volatility_sessions : int
        Returns of the underlying in its historical volatility.
    carry_sessions : int
        Sessions whose median is the carry, and the rate, that are expected of the next.
    parity : ParitySettings
    """

    rate_continuous: float = 0.0
    volatility_sessions: int = 21
    carry_sessions: int = 5
    parity: ParitySettings = field(default_factory=ParitySettings)


@dataclass(frozen=True, eq=False)
class OptionMarket:
    """What the quotes of each date say, by that date.

    Attributes
    ----------
    forwards : DataFrame
        As from `tidemark.domain.forward_curves.imply_forwards`.
    curves : ForwardCurves
    volatilities : DataFrame
        A row for each quote: ``date, contract, root, expiration, time_years, is_call,
        log_moneyness`` (strike over forward), ``vol_annual`` (of the middle; NaN without),
        ``code`` (a `tidemark.domain.implied_volatility.VolatilityCode`), ``carry_today`` and
        ``rate_today``.
    smiles : Smiles
    """

    forwards: pd.DataFrame
    curves: ForwardCurves
    volatilities: pd.DataFrame
    smiles: Smiles


def name_contracts(chain: pd.DataFrame) -> pd.Series:
    """Name each row's contract: root, expiration, C or P, strike.

    Examples
    --------
    >>> row = {"root": "SPXW", "expiration": pd.Timestamp("2019-06-21"), "option_type": "call"}
    >>> name_contracts(pd.DataFrame([{**row, "strike": 2802.5}])).tolist()
    ['SPXW 2019-06-21 C 2802.5']
    """
    expirations = chain["expiration"].drop_duplicates()
    days = dict(zip(expirations, expirations.dt.strftime("%Y-%m-%d"), strict=True))
    strikes = chain["strike"].drop_duplicates()
    numbers = {strike: f"{strike:.3f}".rstrip("0").rstrip(".") for strike in strikes}
    letters = chain["option_type"].map({"call": "C", "put": "P"})
    parts = chain["root"], chain["expiration"].map(days), letters, chain["strike"].map(numbers)
    names, *others = (part.astype("str") for part in parts)
    for other in others:
        names = names + " " + other
    return names.rename("contract")


def read_market(
    contracts: pd.DataFrame, market: pd.DataFrame, settings: InputSettings
) -> OptionMarket:
    """Read forwards, volatilities and smiles out of the quotes of each date.

    Parameters
    ----------
    contracts : DataFrame
        A row for each quote: ``date, contract, root, exercise_style, settlement,
        underlying_price, expiration, option_type, strike, time_years``.
    market : DataFrame
        ``date, contract, bid, ask, volume, open_interest`` of the same quotes, or of fewer.
    settings : InputSettings

    Notes
    -----
    Timing: everything of a date is of that date's quotes.
    """
    quotes = contracts.merge(market, on=list(KEYS), how="inner", validate="one_to_one")
    forwards = imply_forwards(
        quotes.rename(columns={"date": "quote_date"}), settings.rate_continuous, settings.parity
    )
    curves = make_curves(forwards)
    solved = solve_middles(quotes, quotes["date"].to_numpy(), curves)
    volatilities = quotes[[*KEYS, "root", "expiration", "time_years"]].join(solved)
    return OptionMarket(forwards, curves, volatilities, fit_smiles(volatilities))


def build_inputs(
    contracts: pd.DataFrame, market: pd.DataFrame, settings: InputSettings
) -> pd.DataFrame:
    """Build what is known of each contract of a date at its close, but for the price of any option.

    Parameters
    ----------
    contracts, market : DataFrame
        As for `read_market`.
    settings : InputSettings

    Returns
    -------
    DataFrame
        ``date, contract``, sorted by both, and numbers. Of the date itself: ``log_strike`` (strike
        over underlying), ``time_years``, ``sqrt_time``, ``is_call`` (1 or 0), ``return_1``,
        ``return_5`` (log returns of the underlying) and ``historical_vol`` (annual). Of the
        session before: ``carry`` and ``rate`` (annual, of the option's time; medians over
        ``carry_sessions``), ``strike_vol`` and
        ``moneyness_vol`` (its surface at the same strike, and at the same moneyness), ``atm_vol``
        and ``slope`` of the smile at the option's time, ``atm_change`` (from the session before
        that); and of the same contract, NaN if it was not quoted then, ``own_vol``, ``own_spread``
        (as a share of the middle), ``own_volume`` and ``own_open_interest`` (``log(1 + x)``).

    Notes
    -----
    Timing: row *t* uses the underlying up to *t* and quotes of options of earlier dates: of a
    contract's own past the date before, of the surface the newest that has one.
    """
    return combine_inputs(contracts, market, read_market(contracts, market, settings), settings)


def combine_inputs(
    contracts: pd.DataFrame, market: pd.DataFrame, known: OptionMarket, settings: InputSettings
) -> pd.DataFrame:
    """Build inputs, as `build_inputs`, where the market has been read already."""
    rows = contracts.sort_values(list(KEYS), kind="stable", ignore_index=True)
    spots = rows.groupby("date")["underlying_price"].first()
    sessions = _list_sessions(spots, settings.volatility_sessions)
    of_row = sessions.loc[rows["date"]]
    day, time = rows["date"].to_numpy(), rows["time_years"].to_numpy(dtype="float64")
    spot, strike = (rows[name].to_numpy("float64") for name in ("underlying_price", "strike"))
    number = np.searchsorted(spots.index.to_numpy(), day)
    carry, rate = _read_past_curves(known.curves, spots.index.to_numpy(), number, time, settings)
    surface = _find_surface_days(known.smiles, spots.index.to_numpy())
    before, earlier = surface["newest"].to_numpy()[number], surface["older"].to_numpy()[number]
    gap, more = (_measure_years(day, one) for one in (before, earlier))
    # The same expiration had as much more time then as has passed since.
    then = np.maximum(time + gap, 0.0)
    root = np.sqrt(then)
    carry_then, _ = known.curves.read(before, then)
    spot_then = spots.reindex(before).to_numpy("float64")
    log_strike = np.log(strike / spot)
    with np.errstate(divide="ignore", invalid="ignore"):
        moneyness = (log_strike - carry * time) / root
        same_strike = (np.log(strike / spot_then) - carry_then * then) / root
    read = known.smiles.read
    middle = np.zeros(len(rows))
    atm = read(before, then, middle)
    inputs = rows[list(KEYS)].assign(
        log_strike=log_strike,
        time_years=time,
        sqrt_time=np.sqrt(np.maximum(time, 0.0)),
        is_call=(rows["option_type"] == "call").to_numpy(dtype="float64"),
        return_1=of_row["return_1"].to_numpy(),
        return_5=of_row["return_5"].to_numpy(),
        historical_vol=of_row["historical_vol"].to_numpy(),
        carry=carry,
        rate=rate,
        strike_vol=read(before, then, same_strike),
        moneyness_vol=read(before, then, moneyness),
        atm_vol=atm,
        slope=(read(before, then, middle + _SLOPE_AT) - read(before, then, middle - _SLOPE_AT))
        / (2.0 * _SLOPE_AT),
        atm_change=atm - read(earlier, time + more, middle),
    )
    last = of_row["before"].to_numpy()
    return _join_own_past(inputs, last, known.volatilities, market)


def _list_sessions(spots: pd.Series, volatility_sessions: int) -> pd.DataFrame:
    """Tabulate the underlying's past of each session, and which one was before it."""
    logs = pd.Series(np.log(spots.to_numpy("float64")), index=spots.index)
    returns = logs.diff()
    scale = np.sqrt(_SESSIONS_A_YEAR)
    return pd.DataFrame(
        {
            "before": spots.index.to_series().shift(1),
            "return_1": returns,
            "return_5": logs.diff(5),
            "historical_vol": returns.rolling(volatility_sessions).std() * scale,
        }
    )


def _read_past_curves(
    curves: ForwardCurves,
    sessions: np.ndarray,
    number: Integers,
    time: Floats,
    settings: InputSettings,
) -> tuple[Floats, Floats]:
    """Read carry and rate as the median of the last sessions before each row's.

    A close that is of another moment than the quotes shifts the carry of one session.
    """
    carries, rates = [], []
    for back in range(1, settings.carry_sessions + 1):
        past = sessions[np.maximum(number - back, 0)]
        gap = _measure_years(sessions[number], past)
        carry, rate = curves.read(past, np.where(number >= back, time + gap, np.nan))
        carries.append(carry)
        rates.append(rate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # rows of the first session know none
        return np.nanmedian(carries, axis=0), np.nanmedian(rates, axis=0)


def _find_surface_days(smiles: Smiles, sessions: np.ndarray) -> pd.DataFrame:
    """Find the two newest sessions with a smile before each session; NaT where there is none."""
    days = np.unique(smiles.day)
    padded = np.concatenate([np.full(2, np.datetime64("NaT"), dtype=sessions.dtype), days])
    known = np.searchsorted(days, sessions, side="left") + 2
    return pd.DataFrame({"newest": padded[known - 1], "older": padded[known - 2]}, index=sessions)


def _measure_years(day: np.ndarray, past: np.ndarray) -> Floats:
    """Measure the time between dates; NaN where one is missing."""
    return np.asarray((day - past) / np.timedelta64(1, "D") / DAYS_PER_YEAR)


def _join_own_past(
    inputs: pd.DataFrame, before: np.ndarray, volatilities: pd.DataFrame, market: pd.DataFrame
) -> pd.DataFrame:
    middle = (market["bid"] + market["ask"]) / 2.0
    past = market[list(KEYS)].assign(
        own_spread=(market["ask"] - market["bid"]) / middle.where(middle > 0),
        own_volume=np.log1p(market["volume"].fillna(0.0).clip(lower=0.0)),
        own_open_interest=np.log1p(market["open_interest"].fillna(0.0).clip(lower=0.0)),
    )
    own = volatilities[[*KEYS, "vol_annual"]].rename(columns={"vol_annual": "own_vol"})
    past = past.merge(own, on=list(KEYS), how="left").rename(columns={"date": "before"})
    joined = inputs.assign(before=before).merge(
        past, on=["before", "contract"], how="left", validate="one_to_one"
    )
    usual = past.groupby("before")["own_spread"].median()
    joined["market_spread"] = joined["before"].map(usual).astype("float64")
    return joined.drop(columns="before")[[*inputs.columns, "market_spread", *OWN_PAST]]
