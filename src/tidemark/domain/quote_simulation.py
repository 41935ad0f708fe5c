"""Quotes and trades of a simulated chain, around Black-Scholes prices under its surface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tidemark.domain.black_scholes import price
from tidemark.domain.chain_keys import number_keys
from tidemark.domain.chains import measure_time_years
from tidemark.domain.simulation_draws import CONTRACT_STREAM, draw_rows
from tidemark.domain.simulation_settings import SimulationSettings
from tidemark.domain.surface_settings import SurfaceSettings
from tidemark.domain.surface_simulation import compute_atm_variance, compute_total_variance

# Time to the end on the last day, in years: options are worth their payoff.
_LAST_MOMENT = 1e-8
# Share of the contracts of a day that stay open.
_OPENED_SHARE = 0.5
_TICK, _WIDE_TICK, _WIDE_TICK_FROM = 0.05, 0.10, 3.0


@dataclass(frozen=True)
class ContractValues:
    """Fair values, and what the width of a quote and trades depend on; each of shape (rows,).

    Attributes
    ----------
    fair : ndarray of float
        Index points; NaN where the surface lacks the date.
    time_years : ndarray of float
        Above 0, on the last day as well.
    d1 : ndarray of float
        Of Black and Scholes, at the option's own volatility.
    atm_vol : ndarray of float
        Annual volatility at the forward of the same expiration.
    is_call : ndarray of bool
    """

    fair: np.ndarray
    time_years: np.ndarray
    d1: np.ndarray
    atm_vol: np.ndarray
    is_call: np.ndarray


def value_contracts(
    rows: pd.DataFrame, surface: pd.DataFrame, settings: SurfaceSettings
) -> ContractValues:
    """Value contracts under the surface of their date; see `compute_fair_values`."""
    spot, strike = rows["underlying_price"].to_numpy(), rows["strike"].to_numpy()
    found = surface.index.get_indexer(pd.DatetimeIndex(rows["quote_date"]))
    known = surface.reset_index(drop=True).reindex(found)
    rate, carry = known["rate_continuous"].to_numpy(), known["carry_continuous"].to_numpy()
    time = np.maximum(measure_time_years(rows), _LAST_MOMENT)
    log_moneyness = np.log(strike / spot) - carry * time
    deviation = np.sqrt(compute_total_variance(known, log_moneyness, time, settings))
    is_call = (rows["option_type"] == "call").to_numpy()
    fair = price(
        spot, strike, time, rate, deviation / np.sqrt(time), is_call, carry_continuous=carry
    )
    return ContractValues(
        fair=fair,
        time_years=time,
        d1=deviation / 2 - log_moneyness / deviation,
        atm_vol=np.sqrt(compute_atm_variance(known, time, settings) / time),
        is_call=is_call,
    )


def quote_contracts(
    rows: pd.DataFrame, surface: pd.DataFrame, settings: SimulationSettings, seed: int
) -> tuple[pd.DataFrame, np.ndarray]:
    """Add bid and ask; tell the activity on which trades depend, 1 at its usual peak.

    Parameters
    ----------
    rows : DataFrame, shape (rows, ...)
        As `list_contracts` returns it.
    surface : DataFrame
        Of `simulate_surface`, with ``underlying_price``.
    settings : SimulationSettings
    seed : int
        At least 0.

    Returns
    -------
    tuple of DataFrame and ndarray of float, shape (rows,)
        The rows with ``bid`` and ``ask`` in index points, and the activity.
    """
    from scipy.special import ndtr

    value, quotes = value_contracts(rows, surface, settings.surface), settings.quotes
    spot, d1 = rows["underlying_price"].to_numpy(), value.d1
    draws = draw_rows(len(rows), seed)
    density = np.exp(-(d1**2) / 2) / np.sqrt(2 * np.pi)
    vega_per_point = 0.01 * spot * density * np.sqrt(value.time_years)
    delta = ndtr(np.where(value.is_call, d1, -d1))
    spread = (
        quotes.spread
        + quotes.spread_vol_points
        * vega_per_point
        * (value.atm_vol / quotes.reference_vol_annual)
        * (1 + quotes.wing * d1**2)
        + quotes.spread_in_the_money * spot * np.sqrt(np.clip((delta - 0.65) / 0.35, 0, 1))
    )
    half = spread * np.exp(quotes.spread_noise * draws["spread"]) / 2
    middle = value.fair + quotes.shift * half * (2 * draws["shift"] - 1)
    # Round hundreds are liked best; what is in the money, or ends late, is hardly traded.
    liked = np.select([rows["strike"] % 100 == 0, rows["strike"] % 25 == 0], [2.0, 1.0], 0.5)
    activity = liked * np.exp(-0.4 * d1**2) * np.where(delta > 0.6, 0.1, 1.0)
    quoted = rows.assign(
        bid=_round_to_ticks(np.maximum(middle - half, 0), np.floor),
        ask=_round_to_ticks(middle + half, np.ceil),
    )
    return quoted, activity / (1 + 60 * value.time_years)


def _round_to_ticks(values: np.ndarray, rounding: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Round to the minimum tick: 0.05 below three points, 0.10 from there."""
    tick = np.where(values < _WIDE_TICK_FROM, _TICK, _WIDE_TICK)
    # Twice, as a multiple of a tick is not the nearest number with two digits.
    rounded: np.ndarray = np.round(rounding(np.round(values / tick, 6)) * tick, 2)
    return rounded


def trade_contracts(rows: pd.DataFrame, mean: np.ndarray, seed: int) -> pd.DataFrame:
    """Add last price, volume and open interest, given the mean contracts per day.

    Parameters
    ----------
    rows : DataFrame, shape (rows, ...)
        With bid and ask, sorted by date.
    mean : ndarray of float, shape (rows,)
    seed : int
        At least 0.

    Returns
    -------
    DataFrame
        The rows with ``last`` in index points (NaN before the first trade), ``volume`` and
        ``open_interest`` in contracts.
    """
    draws = draw_rows(len(rows), seed)
    chance = 1 - np.exp(-((np.maximum(mean, 1e-6) / 150) ** 0.85))
    traded = draws["traded"] < chance
    # Sizes are log-normal; what is seldom traded is traded in sizes that keep the mean.
    volume = np.where(traded, np.ceil(mean / chance * np.exp(draws["volume"] - 0.5)), 0.0)
    bid, ask = rows["bid"].to_numpy(), rows["ask"].to_numpy()
    struck = np.maximum(_round_to_ticks(bid + draws["last"] * (ask - bid), np.round), _TICK)
    contract = np.unique(number_keys(rows).contract, return_inverse=True)[1]
    last = pd.Series(np.where(traded, struck, np.nan)).groupby(contract).ffill().to_numpy()
    before = pd.Series(volume).groupby(contract).cumsum().to_numpy() - volume
    # What contracts bring with them that were listed before the first quoted session.
    first = (rows["quote_date"] == rows["quote_date"].iloc[0]).to_numpy()
    noise = np.random.default_rng([seed, CONTRACT_STREAM]).standard_normal(int(first.sum()))
    brought = np.zeros(contract.max() + 1)
    brought[contract[first]] = 10 * _OPENED_SHARE * mean[first] * np.exp(noise - 0.5)
    return rows.assign(
        last=last,
        volume=volume,
        open_interest=np.round(brought[contract] + _OPENED_SHARE * before),
    )
