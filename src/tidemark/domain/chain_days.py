"""Whole days of a chain: sessions, copies of the day before, and the moment of the spot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tidemark.domain.chain_keys import ChainKeys, number_keys
from tidemark.domain.chains import Floats, Integers
from tidemark.domain.no_arbitrage import Quotes
from tidemark.domain.sessions import list_sessions

_COMPARED = ("bid", "ask", "last", "volume")
_CONTRACT = ("root", "expiration", "option_type", "strike")


@dataclass(frozen=True)
class Closing:
    """The last day of a chunk, for the next chunk to compare its first day with.

    Attributes
    ----------
    quote_date : Timestamp
    quotes : DataFrame
        The contracts' keys with bid, ask, last and volume.
    """

    quote_date: pd.Timestamp
    quotes: pd.DataFrame


def is_session(dates: pd.DatetimeIndex, calendar: str) -> np.ndarray:
    """Say which dates are sessions; years are asked for whole, so that answers are kept."""
    known = [
        list_sessions(calendar, pd.Timestamp(year, 1, 1), pd.Timestamp(year, 12, 31))
        for year in range(dates[0].year, dates[-1].year + 1)
    ]
    return np.asarray(dates.isin(known[0].append(known[1:])))


def find_repeats(
    chain: pd.DataFrame,
    keys: ChainKeys,
    dates: pd.DatetimeIndex,
    day: Integers,
    closing: Closing | None,
) -> tuple[pd.DataFrame, Closing]:
    """Compare each day with the one before it in the data.

    Parameters
    ----------
    chain : DataFrame
        Canonical, sorted as its keys sort.
    keys : ChainKeys
        Of the chain.
    dates : DatetimeIndex
        The chain's days.
    day : ndarray of int64, shape (rows,)
        The number of each row's day among them.
    closing : Closing or None
        The day before the first.

    Returns
    -------
    table : DataFrame
        ``same_quotes`` and ``same_trades`` for each day: of the contracts that both days have,
        the share with the same bid and ask, and with the same last price and volume. NaN where
        fewer than half of the day's contracts were there the day before.
    closing : Closing
        The last day.
    """
    edges = np.searchsorted(day, np.arange(len(dates) + 1))
    values = {name: chain[name].to_numpy() for name in _COMPARED}
    found = np.full((len(dates), 2), np.nan)
    for number in range(1, len(dates)):
        before = slice(edges[number - 1], edges[number])
        now = slice(edges[number], edges[number + 1])
        found[number] = _compare_days(keys.contract, values, before, now)
    if closing is not None:
        if closing.quote_date >= dates[0]:
            raise ValueError(
                f"The days of the chain are not in order: {dates[0]:%Y-%m-%d} follows "
                f"{closing.quote_date:%Y-%m-%d}. Sort the source by quote date."
            )
        found[0] = _compare_chunks(closing, chain.iloc[: edges[1]])
    last = chain.iloc[edges[-2] :][["quote_date", *_CONTRACT, *_COMPARED]].reset_index(drop=True)
    return pd.DataFrame(found, columns=["same_quotes", "same_trades"]), Closing(dates[-1], last)


def _compare_chunks(closing: Closing, first: pd.DataFrame) -> tuple[float, float]:
    """Compare days whose keys were numbered apart."""
    both = pd.concat([closing.quotes, first[closing.quotes.columns]], ignore_index=True)
    values = {name: both[name].to_numpy() for name in _COMPARED}
    n = len(closing.quotes)
    return _compare_days(number_keys(both).contract, values, slice(0, n), slice(n, len(both)))


def _compare_days(
    contract: Integers, values: dict[str, Floats], before: slice, now: slice
) -> tuple[float, float]:
    then, current = contract[before], contract[now]
    place = np.minimum(np.searchsorted(then, current), len(then) - 1)
    shared = then[place] == current
    if 2 * shared.sum() < len(current):
        return np.nan, np.nan
    place = place[shared]

    def is_same(name: str) -> np.ndarray:
        old, new = values[name][before][place], values[name][now][shared]
        return np.asarray((old == new) | (np.isnan(old) & np.isnan(new)))

    quotes, trades = is_same("bid") & is_same("ask"), is_same("last") & is_same("volume")
    return float(quotes.mean()), float(trades.mean())


def measure_spot_gap(
    quotes: Quotes, keys: ChainKeys, years: Floats, day: Integers, n_days: int
) -> Floats:
    """Measure how far what calls and puts imply for the spot is from the table's, by day.

    Returns
    -------
    ndarray, shape (n_days,)
        Discounted forward over spot, less 1, of the nearest expiration after the quote date that
        has one. Dividends before it lower it; beyond that it tells that the spot is of another
        moment than the quotes. NaN where no expiration has a forward.
    """
    # All rows of one expiration have one forward.
    rows = np.flatnonzero(np.append(True, keys.expiry[1:] != keys.expiry[:-1]))
    held = quotes.discount[rows] * quotes.forward[rows]
    rows = rows[np.isfinite(held) & (years[rows] > 0)]
    rows = rows[np.lexsort((years[rows], day[rows]))]
    days, first = np.unique(day[rows], return_index=True)
    nearest = rows[first]
    gap = np.full(n_days, np.nan)
    held = quotes.discount[nearest] * quotes.forward[nearest]
    gap[days] = held / quotes.spot[nearest] - 1.0
    return gap
