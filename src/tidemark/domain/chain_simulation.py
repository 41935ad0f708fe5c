"""Simulated option chains on real closes, with the habits and the defects of recorded ones.

No quote here was ever made in a market: every row says so in its column ``source``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tidemark.domain.chain_defects import DEFECTS, spoil_quotes
from tidemark.domain.contract_listing import (
    SIMULATED,
    list_contracts,
    list_expirations,
    measure_look_ahead,
)
from tidemark.domain.quote_simulation import quote_contracts, trade_contracts, value_contracts
from tidemark.domain.sessions import list_sessions
from tidemark.domain.simulation_settings import (
    DefectSettings,
    ListingSettings,
    QuoteSettings,
    SimulationSettings,
)
from tidemark.domain.surface_settings import SurfaceSettings
from tidemark.domain.surface_simulation import simulate_surface

__all__ = [
    "DEFECTS",
    "SIMULATED",
    "DefectSettings",
    "ListingSettings",
    "QuoteSettings",
    "SimulatedChain",
    "SimulationSettings",
    "compute_fair_values",
    "count_simulated",
    "give_notice",
    "simulate_chain",
]

_CALENDAR = "XNYS"


@dataclass(frozen=True)
class SimulatedChain:
    """A chain, and what a recorded chain never tells.

    Attributes
    ----------
    quotes : DataFrame
        The canonical table of `tidemark.domain.chains`, sorted by its key, without a vendor's
        columns; ``source`` is "simulated" in every row.
    defects : DataFrame
        One row for each row of `quotes` that is wrong or was left out: the key and ``defect``,
        one of `DEFECTS`. Of duplicates, the second of the two.
    surface : DataFrame
        The true surface of each quoted session; see `simulate_surface`.
    """

    quotes: pd.DataFrame
    defects: pd.DataFrame
    surface: pd.DataFrame


def simulate_chain(closes: pd.Series, settings: SimulationSettings, seed: int) -> SimulatedChain:
    """Simulate the quotes of European options on an index, at 16:00 New York of each session.

    Parameters
    ----------
    closes : Series of float, shape (sessions,)
        Closes of the index, indexed by ascending sessions of the New York Stock Exchange,
        midnights without time zone.
    settings : SimulationSettings
    seed : int
        At least 0. The same closes, settings and seed give the same bits.

    Returns
    -------
    SimulatedChain
        `quotes` has ``quote_date``, ``underlying``, ``root`` ("SPX": am-settled third Fridays;
        "SPXW": pm-settled Fridays), ``settlement``, ``exercise_style``, ``underlying_price``,
        ``expiration``, ``option_type``, ``strike``, ``bid``, ``ask``, ``last`` (NaN before the
        first trade), ``volume`` (contracts of the day), ``open_interest`` (contracts, before the
        session) and ``source``. A zero bid means that nobody bids. Prices are in index points.

    Raises
    ------
    ValueError
        If the closes are no longer than the warm-up, are not positive, or their dates are not
        ascending sessions; if there are fewer sessions or holidays than defects ask for.

    Notes
    -----
    This is a simulation: only ``underlying_price`` is as real as the closes given. Fair values
    are Black-Scholes prices under the surface of `simulate_surface`, with the same rate and
    dividend yield for all expirations; the surface at the expirations is free of static
    arbitrage, quotes are within their ticks. Trades, volume and open interest only imitate
    averages: they tell nothing about the next day.

    Contracts are quoted from their listing to the session before their expiration. A third
    Friday on a holiday moves to the session before.

    Timing: rows of a date use closes to that date. Which sessions are missing or stale is drawn
    over the whole span.

    Examples
    --------
    >>> days = pd.bdate_range("2016-06-06", "2016-06-24", unit="us")
    >>> closes = pd.Series(np.linspace(2100.0, 2050.0, len(days)), index=days)
    >>> sound = DefectSettings(0, 0, 0, 0, 0, n_missing_sessions=0, n_stale_holidays=0)
    >>> chain = simulate_chain(closes, SimulationSettings(defects=sound, n_warmup_sessions=5), 1)
    >>> chain.quotes["root"].unique().tolist(), len(chain.defects)
    (['SPX', 'SPXW'], 0)
    """
    sessions = _check_closes(closes, settings.n_warmup_sessions)
    calendar = list_sessions(
        _CALENDAR,
        sessions[0],
        sessions[-1] + pd.Timedelta(days=measure_look_ahead(settings.listing)),
    ).as_unit("us")
    unknown = sessions.difference(calendar)
    if len(unknown):
        raise ValueError(
            f"{len(unknown)} closes are on days without a session in New York, first "
            f"{unknown[0]:%Y-%m-%d}: leave them out"
        )
    surface = simulate_surface(closes.set_axis(sessions), settings.surface, seed)
    surface["underlying_price"] = closes.to_numpy(dtype="float64")
    expirations = list_expirations(sessions, calendar, settings, seed)
    rows = list_contracts(surface["underlying_price"], expirations, settings)
    rows, activity = quote_contracts(rows, surface, settings, seed)
    rows = trade_contracts(rows, settings.quotes.volume * activity, seed)
    quotes, defects = spoil_quotes(
        rows, sessions[settings.n_warmup_sessions :], calendar, settings.defects, seed
    )
    return SimulatedChain(quotes, defects, surface.iloc[settings.n_warmup_sessions :])


def count_simulated(chain: pd.DataFrame) -> int:
    """Count the rows of a chain that say they were simulated."""
    return int((chain["source"] == SIMULATED).sum()) if "source" in chain else 0


def give_notice(n_rows: int, n_simulated: int) -> str | None:
    """Say to readers that quotes are simulated; nothing if none are.

    Examples
    --------
    >>> give_notice(200, 50)[:34]
    '50 of 200 quotes are simulated: no'
    """
    if not n_simulated:
        return None
    share = "All" if n_simulated == n_rows else f"{n_simulated:,} of {n_rows:,}"
    return (
        f"{share} quotes are simulated: no market ever showed them. What is found here shows that "
        f"the pipeline works, and says nothing about options."
    )


def compute_fair_values(
    quotes: pd.DataFrame, surface: pd.DataFrame, settings: SurfaceSettings
) -> np.ndarray:
    """Compute what the quotes of a simulated chain stand around.

    Parameters
    ----------
    quotes : DataFrame, shape (rows, ...)
        With the key, ``settlement`` and ``underlying_price``.
    surface : DataFrame
        Of `SimulatedChain`; another date's surface is given to a row by changing the dates of
        its index.
    settings : SurfaceSettings
        Those of the simulation.

    Returns
    -------
    ndarray of float, shape (rows,)
        Index points; NaN where the surface lacks the date.
    """
    return value_contracts(quotes, surface, settings).fair


def _check_closes(closes: pd.Series, n_warmup: int) -> pd.DatetimeIndex:
    dates = closes.index
    if not isinstance(dates, pd.DatetimeIndex) or dates.tz is not None:
        raise ValueError("Closes are indexed by dates without time zone: convert their index")
    if len(closes) <= n_warmup or n_warmup < 0:
        raise ValueError(
            f"{len(closes)} closes with a warm-up of {n_warmup}: give more closes than that, and "
            "a warm-up of at least 0"
        )
    if not (dates.is_monotonic_increasing and dates.is_unique):
        raise ValueError("Dates of closes are not ascending: sort them, one close for each date")
    return dates.as_unit("us").rename("quote_date")
