"""Contracts of a simulated chain: expirations and strikes, from listing to expiration."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tidemark.domain.chains import build_chain, pick_texts
from tidemark.domain.simulation_draws import EXPIRATION_STREAM
from tidemark.domain.simulation_settings import ListingSettings, SimulationSettings

SIMULATED = "simulated"

_UNDERLYING = "SPX"
_MONTHLY, _WEEKLY = "SPX", "SPXW"
_DAYS_PER_YEAR = 365


def measure_look_ahead(listing: ListingSettings) -> int:
    """Count the calendar days after the last session that the listing of expirations needs."""
    months = max(listing.n_monthlies, 3 * listing.n_quarterlies)
    return 7 * listing.n_weeklies + 31 * (months + 1)


def list_expirations(
    sessions: pd.DatetimeIndex,
    calendar: pd.DatetimeIndex,
    settings: SimulationSettings,
    seed: int,
) -> pd.DataFrame:
    """List expirations by date and root.

    Parameters
    ----------
    sessions : DatetimeIndex, shape (sessions,)
        Ascending sessions of the closes.
    calendar : DatetimeIndex
        All sessions of the exchange from the first of `sessions`, and `measure_look_ahead` days
        beyond the last.
    settings : SimulationSettings
    seed : int
        At least 0.

    Returns
    -------
    DataFrame
        ``expiration``; ``is_weekly``; ``first`` and ``past``: positions of the first session with
        a quote and of the one after the last; ``is_spoilt``: quoted on its last day too.
    """
    listing = settings.listing
    fridays = pd.date_range(sessions[0], calendar[-1], freq="W-FRI", unit="us")
    # An expiration on a holiday is on the session before.
    days = calendar[np.maximum(calendar.searchsorted(fridays, side="right") - 1, 0)]
    spoilt = (
        np.random.default_rng([seed, EXPIRATION_STREAM]).random((len(fridays), 2))
        < settings.defects.expiry_day_share
    )
    weekly = pd.DataFrame({"expiration": days, "is_weekly": True, "is_spoilt": spoilt[:, 0]})
    weekly["first"] = sessions.searchsorted(fridays - pd.Timedelta(days=7 * listing.n_weeklies))

    third = (fridays.day >= 15) & (fridays.day <= 21)
    months = fridays[third]
    first = _find_listing(sessions, months, listing.n_monthlies)
    quarterly = months.month % 3 == 0
    first[quarterly] = np.minimum(
        first[quarterly], _find_listing(sessions, months[quarterly], listing.n_quarterlies)
    )
    monthly = pd.DataFrame(
        {"expiration": days[third], "is_weekly": False, "is_spoilt": spoilt[third, 1]}
    ).assign(first=first)

    both = pd.concat([monthly, weekly], ignore_index=True)
    both["past"] = sessions.searchsorted(pd.DatetimeIndex(both["expiration"]))
    both = both[both["first"] < both["past"]]
    return both.sort_values(["expiration", "is_weekly"], ignore_index=True)


def _find_listing(
    sessions: pd.DatetimeIndex, expirations: pd.DatetimeIndex, rank: int
) -> np.ndarray:
    """Find the session from which an expiration is one of the next `rank`."""
    first = np.zeros(len(expirations), dtype="int64")
    first[rank:] = sessions.searchsorted(expirations[:-rank], side="right")
    return first


def list_contracts(
    closes: pd.Series, expirations: pd.DataFrame, settings: SimulationSettings
) -> pd.DataFrame:
    """List one row a contract and quoted session, with expiry-day rows where they are drawn.

    Parameters
    ----------
    closes : Series of float, shape (sessions,)
        Indexed by ascending sessions.
    expirations : DataFrame
        As `list_expirations` returns it.
    settings : SimulationSettings

    Returns
    -------
    DataFrame
        The canonical table without quotes and trades, sorted by its key, after the warm-up.

    Raises
    ------
    ValueError
        If no contract is listed.
    """
    pieces = [
        _list_strikes(closes, pd.Timestamp(day), (first, past), is_spoilt, settings.listing)
        for day, first, past, is_spoilt in zip(
            *(expirations[name] for name in ("expiration", "first", "past", "is_spoilt")),
            strict=True,
        )
    ]
    which = np.repeat(np.arange(len(pieces)), [len(strikes) for _, strikes in pieces])
    position = np.concatenate([positions for positions, _ in pieces])
    strike = np.concatenate([strikes for _, strikes in pieces])
    quoted = position >= settings.n_warmup_sessions
    if not quoted.any():
        raise ValueError("No contract is listed: widen the bands of strikes")
    # Each strike is a call and a put.
    position, which, strike = (np.repeat(v[quoted], 2) for v in (position, which, strike))
    is_put = np.arange(len(strike)) % 2
    is_weekly = expirations["is_weekly"].to_numpy(dtype="int64")[which]
    order = np.lexsort((strike, is_put, which, is_weekly, position))
    position, which, strike = position[order], which[order], strike[order]
    is_put, is_weekly = is_put[order], is_weekly[order]
    columns = {
        "quote_date": closes.index[position],
        "underlying": _UNDERLYING,
        "root": pick_texts([_MONTHLY, _WEEKLY], is_weekly),
        "settlement": pick_texts(["am", "pm"], is_weekly),
        "exercise_style": "european",
        "underlying_price": closes.to_numpy()[position],
        "expiration": pd.DatetimeIndex(expirations["expiration"])[which],
        "option_type": pick_texts(["call", "put"], is_put),
        "strike": strike,
        "source": SIMULATED,
    }
    return build_chain(columns, len(strike))


def _list_strikes(
    closes: pd.Series,
    expiration: pd.Timestamp,
    span: tuple[int, int],
    is_spoilt: bool,
    listing: ListingSettings,
) -> tuple[np.ndarray, np.ndarray]:
    """List positions of sessions and strikes of one expiration; a strike stays once listed."""
    first, past = span
    spot = closes.to_numpy()[first:past]
    days = (expiration - pd.DatetimeIndex(closes.index[first:past])).days.to_numpy()
    growth = np.sqrt(days / _DAYS_PER_YEAR)
    low = spot * (1 - listing.band_below - listing.band_growth_below * growth)
    high = spot * (1 + listing.band_above + listing.band_growth_above * growth)
    step = listing.near_step
    grid = step * np.arange(max(np.floor(low.min() / step), 1), np.ceil(high.max() / step) + 1)
    wide = (grid >= low[:, None]) & (grid <= high[:, None]) & (grid % listing.strike_step == 0)
    near = np.abs(grid / spot[:, None] - 1) <= listing.near_band
    near &= (days <= listing.near_days)[:, None]
    listed = np.maximum.accumulate(wide | near, axis=0)
    if is_spoilt and past < len(closes) and closes.index[past] == expiration:
        listed = np.vstack([listed, listed[-1:]])
    row, column = np.nonzero(listed)
    return first + row, grid[column]
