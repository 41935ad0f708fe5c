"""Checks of the quotes of a chain, and of its days, in chunks of whole days.

What leaves does so with one reason, the first in the order of ``REASONS`` that applies. Nothing
is changed, and bad data raises nothing: `tidemark.domain.chain_quality` judges what was found.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tidemark.domain.chain_days import Closing, find_repeats, is_session, measure_spot_gap
from tidemark.domain.chain_keys import ChainKeys, number_keys, pair_calls_and_puts
from tidemark.domain.chain_rows import find_runs, take_rows
from tidemark.domain.chains import (
    COLUMNS,
    Flags,
    Floats,
    Integers,
    measure_time_years,
    pick_texts,
    require_columns,
)
from tidemark.domain.implied_parity import imply_parity
from tidemark.domain.no_arbitrage import Quotes, find_bounds, measure_parity_violations

REASONS = (
    "off_session_day",
    "stale_day",
    "bad_contract",
    "identical_rows",
    "contradictory_rows",
    "expired",
    "blank_quote",
    "no_ask",
    "crossed",
    "no_bid",
    "zero_day",
    "below_lower_bound",
    "above_upper_bound",
    "parity",
)
# What cannot be a row of a chain, whatever the table of checks says.
ALWAYS_LEAVE = ("bad_contract", "identical_rows", "contradictory_rows")
_IV = "vendor_iv"


@dataclass(frozen=True)
class IntakeSettings:
    """What the checks of quotes assume.

    Attributes
    ----------
    calendar : str
        The exchange's sessions, as `tidemark.domain.sessions.list_sessions` knows them.
    rate_continuous : float
        Discounts American options, per year; European chains imply their own rate.
    tolerance : float
        By how much, in currency, bounds and parity may be violated beyond bid and ask.
    stale_share : float
        The share of contracts that must repeat the day before in bid and ask for the day to be a
        copy of it; of the contracts that both days have, and half of the day's must be in both.
    """

    calendar: str = "XNYS"
    rate_continuous: float = 0.0
    tolerance: float = 0.05
    stale_share: float = 1.0


@dataclass(frozen=True)
class CheckedChunk:
    """What `check_chunk` makes of some days.

    Attributes
    ----------
    kept : DataFrame
        The chain's columns and ``zero_day``: whether the contract is settled at the close of its
        quote date. Sorted by quote date, root, expiration, option type and strike.
    quarantine : DataFrame
        The chain's columns and ``reason``, in the same order.
    days : DataFrame
        One row for each ``quote_date``: ``is_session``, ``contracts``, ``underlying_price`` (of
        its first row), ``same_quotes`` and ``same_trades`` (share of the contracts of the day
        before that repeat bid and ask, or last and volume), ``spot_gap`` (what calls and puts
        imply over the underlying's price, less 1), ``quarantined``, one column for each of
        ``REASONS`` with its rows, whether they left or not, and how many vendor volatilities of
        calls and puts are negative or blank.
    closing : Closing
        What the checks of the next chunk compare its first day with.
    """

    kept: pd.DataFrame
    quarantine: pd.DataFrame
    days: pd.DataFrame
    closing: Closing


@dataclass(frozen=True)
class CheckedChain:
    """Chunks that are checked one by one as somebody iterates; nothing is read before.

    Attributes
    ----------
    chunks : iterable of DataFrame
        Canonical chains of whole days, in the order of their dates.
    settings : IntakeSettings
    leaving : collection of str
        The reasons for which rows leave, beside ``ALWAYS_LEAVE``.
    """

    chunks: Iterable[pd.DataFrame]
    settings: IntakeSettings
    leaving: Collection[str]

    def __iter__(self) -> Iterator[CheckedChunk]:
        """Check each chunk, knowing the last day of the one before."""
        closing: Closing | None = None
        for chunk in self.chunks:
            checked = check_chunk(chunk, self.settings, self.leaving, closing)
            closing = checked.closing
            yield checked


def check_chunk(
    chain: pd.DataFrame,
    settings: IntakeSettings,
    leaving: Collection[str],
    closing: Closing | None = None,
) -> CheckedChunk:
    """Check the quotes of some whole days, and separate those that may go on.

    Parameters
    ----------
    chain : DataFrame
        Canonical, with vendor columns or without; at least one row.
    settings : IntakeSettings
    leaving : collection of str
        The reasons of ``REASONS`` for which rows leave, beside ``ALWAYS_LEAVE``.
    closing : Closing, optional
        The last day before, if there is one.

    Returns
    -------
    CheckedChunk
        Its days do not depend on how a chain is cut into chunks of whole days.

    Raises
    ------
    ValueError
        If a column is missing, a reason is unknown, or the first day is not after ``closing``.

    Notes
    -----
    The first of identical rows stays, contradictory rows all leave. ``expired``: settled before
    the close of the quote date, which ``am`` contracts are on their expiration date. Bounds and
    parity rest on the forward, and for European style the discount, that calls and puts of one
    root and expiration agree on (`imply_parity`); for American style they allow for dividends
    before settlement and for a spot of another moment: the spot may be that of the table or the
    discounted forward. Rows with an earlier fault, and those that are settled at the close, have no
    part in what is agreed on and are compared with nothing.
    """
    require_columns(chain.columns, COLUMNS, "The chain")
    unknown = set(leaving) - set(REASONS)
    if unknown or chain.empty:
        what = f"reason {sorted(unknown)} is unknown" if unknown else "the chain has no row"
        raise ValueError(f"A chunk cannot be checked: {what}. Reasons are {', '.join(REASONS)}.")
    chain, keys = _sort(chain)
    dates, day = _number_dates(chain)
    repeats, last = find_repeats(chain, keys, dates, day, closing)
    session = is_session(dates, settings.calendar)
    stale = repeats["same_quotes"].to_numpy() >= settings.stale_share

    years = measure_time_years(chain)
    faults = {"off_session_day": ~session[day], "stale_day": stale[day]}
    faults |= _find_row_faults(chain, keys, years)
    usable = ~np.logical_or.reduce([faults[name] for name in faults if name not in _MILD])
    pairs = pair_calls_and_puts(keys)
    quotes = _imply_market(chain, keys, years, usable, settings, pairs)
    faults |= _find_price_faults(quotes, settings.tolerance)
    faults["parity"] = measure_parity_violations(quotes, keys, pairs) > settings.tolerance

    leaves = [name for name in REASONS if name in leaving or name in ALWAYS_LEAVE]
    code = np.zeros(len(chain), dtype="int8")
    for number, name in reversed(list(enumerate(leaves, 1))):
        code[faults[name]] = number
    out = code > 0
    staying, left = np.flatnonzero(~out), np.flatnonzero(out)
    kept = take_rows(chain, staying) if len(left) else chain
    kept = kept.assign(zero_day=faults["zero_day"][staying])
    quarantine = take_rows(chain, left).assign(reason=pick_texts(["", *leaves], code[left]).array)
    n = len(dates)
    days = pd.DataFrame(
        {
            "quote_date": dates,
            "is_session": session,
            "contracts": np.bincount(day, minlength=n),
            "underlying_price": chain["underlying_price"].to_numpy()[
                np.searchsorted(day, np.arange(n))
            ],
            "same_quotes": repeats["same_quotes"].to_numpy(),
            "same_trades": repeats["same_trades"].to_numpy(),
            "spot_gap": measure_spot_gap(quotes, keys, years, day, n),
            "quarantined": np.bincount(day[out], minlength=n),
            **{name: np.bincount(day[faults[name]], minlength=n) for name in REASONS},
            **_count_vendor_faults(chain, keys, day, n),
        }
    )
    return CheckedChunk(kept, quarantine, days, last)


# Rows with one of these still say what the market agrees on.
_MILD = ("no_bid", "off_session_day", "stale_day")


def _sort(chain: pd.DataFrame) -> tuple[pd.DataFrame, ChainKeys]:
    keys = number_keys(chain)
    if np.all(keys.quote[1:] >= keys.quote[:-1]):
        return chain.reset_index(drop=True), keys
    order = np.argsort(keys.quote, kind="stable")
    return take_rows(chain, order), keys.take(order)


def _number_dates(chain: pd.DataFrame) -> tuple[pd.DatetimeIndex, Integers]:
    """List the days of a sorted chain, and give each row the number of its day."""
    values = chain["quote_date"].to_numpy()
    if np.isnat(values).any():
        raise ValueError("Rows of the chain have no quote date. Fill or remove them.")
    runs = find_runs(values)
    return pd.DatetimeIndex(values[runs.first]), runs.spread(np.arange(len(runs.first)))


def _find_row_faults(chain: pd.DataFrame, keys: ChainKeys, years: Floats) -> dict[str, Flags]:
    spot, strike, bid, ask = (
        chain[name].to_numpy() for name in ("underlying_price", "strike", "bid", "ask")
    )
    dated = np.isfinite(years)
    known = dated & (strike > 0) & np.isfinite(strike) & (spot > 0) & np.isfinite(spot)
    known &= chain["root"].notna().to_numpy()
    identical, contradictory = _find_duplicates(chain, keys)
    blank = ~np.isfinite(bid) | ~np.isfinite(ask)
    return {
        "bad_contract": ~known,
        "identical_rows": identical,
        "contradictory_rows": contradictory,
        "expired": years < 0,
        "blank_quote": blank,
        "no_ask": ask <= 0,
        "crossed": bid > ask,
        "no_bid": bid <= 0,
        "zero_day": years == 0,
    }


def _find_duplicates(chain: pd.DataFrame, keys: ChainKeys) -> tuple[Flags, Flags]:
    """Find rows of one key: repetitions of the same numbers, and what then still disagrees."""
    identical, contradictory = np.zeros((2, len(chain)), dtype=bool)
    same = keys.quote[1:] == keys.quote[:-1]
    shared = np.flatnonzero(np.append(same, False) | np.append(False, same))
    if len(shared):
        rows = chain.iloc[shared]
        identical[shared] = rows.duplicated().to_numpy()
        left = shared[~identical[shared]]
        contradictory[left] = pd.Series(keys.quote[left]).duplicated(keep=False).to_numpy()
    return identical, contradictory


def _imply_market(
    chain: pd.DataFrame,
    keys: ChainKeys,
    years: Floats,
    usable: Flags,
    settings: IntakeSettings,
    pairs: tuple[Integers, Integers],
) -> Quotes:
    """Give each usable quote the forward and the discount that its expiration agrees on.

    Other quotes, and expirations without agreement, have NaN for a bid and an ask.
    """
    spot = chain["underlying_price"].to_numpy()
    american = (chain["exercise_style"] == "american").to_numpy(dtype=bool)
    given = np.exp(-settings.rate_continuous * np.where(np.isfinite(years), years, 0.0))
    quotes = Quotes(
        bid=np.where(usable, chain["bid"].to_numpy(), np.nan),
        ask=np.where(usable, chain["ask"].to_numpy(), np.nan),
        spot=spot,
        strike=chain["strike"].to_numpy(),
        discount=given,
        forward=np.full(len(chain), np.nan),
        is_call=keys.is_call,
        is_american=american,
    )
    held, discount = imply_parity(quotes, keys, pairs)
    return quotes.at(discount=discount, forward=held / discount)


def _find_price_faults(quotes: Quotes, tolerance: float) -> dict[str, Flags]:
    """Compare quotes with their bounds; what is not known violates nothing."""
    american = quotes.is_american
    if american.all():
        lower, upper = _find_cautious_bounds(quotes)
    else:
        lower, upper = find_bounds(quotes)
        if american.any():
            low, high = _find_cautious_bounds(quotes)
            lower, upper = np.where(american, low, lower), np.where(american, high, upper)
    return {
        "below_lower_bound": lower - quotes.ask > tolerance,
        "above_upper_bound": quotes.bid - upper > tolerance,
    }


def _find_cautious_bounds(quotes: Quotes) -> tuple[Floats, Floats]:
    """Find the bounds of American options whose spot is the table's or what parity implies."""
    held = quotes.discount * quotes.forward
    smaller, larger = np.fmin(quotes.spot, held), np.fmax(quotes.spot, held)
    lower = np.where(quotes.is_call, smaller - quotes.strike, quotes.strike - larger)
    dearest = quotes.strike * np.fmax(quotes.discount, 1.0)
    return np.maximum(lower, 0.0), np.where(quotes.is_call, larger, dearest)


def _count_vendor_faults(
    chain: pd.DataFrame, keys: ChainKeys, day: Integers, n: int
) -> dict[str, Integers]:
    """Count the vendor's volatilities that are negative or blank; they are no reason to leave."""
    values = chain[_IV].to_numpy() if _IV in chain else np.full(len(chain), np.nan)
    counts = {}
    for fault, bad in (("negative", values < 0), ("blank", np.isnan(values))):
        for kind, chosen in (("calls", keys.is_call), ("puts", ~keys.is_call)):
            counts[f"{_IV}_{fault}_{kind}"] = np.bincount(day[bad & chosen], minlength=n)
    return counts
