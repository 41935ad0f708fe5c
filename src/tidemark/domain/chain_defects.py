"""Defects of recorded chains, put into a simulated one and told."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tidemark.domain.chains import KEY
from tidemark.domain.simulation_draws import SESSION_STREAM, draw_rows
from tidemark.domain.simulation_settings import DefectSettings

DEFECTS = (
    "blank_volume",
    "crossed",
    "duplicate",
    "expiry_day",
    "missing_row",
    "missing_session",
    "stale_session",
)


def spoil_quotes(
    rows: pd.DataFrame,
    sessions: pd.DatetimeIndex,
    calendar: pd.DatetimeIndex,
    settings: DefectSettings,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Add defects, at most one to a row, and tell which.

    Parameters
    ----------
    rows : DataFrame, shape (rows, ...)
        The sound chain, sorted by its key.
    sessions : DatetimeIndex
        Its sessions, ascending.
    calendar : DatetimeIndex
        All sessions of the exchange over that span.
    settings : DefectSettings
    seed : int
        At least 0.

    Returns
    -------
    tuple of DataFrame and DataFrame
        `quotes` and `defects` of `SimulatedChain`.

    Raises
    ------
    ValueError
        If there are fewer sessions or holidays than are to be spoilt.
    """
    missing, holidays = _draw_sessions(sessions, calendar, settings, seed)
    dates = pd.DatetimeIndex(rows["quote_date"])
    sources = sessions[sessions.searchsorted(holidays) - 1]
    limits = np.cumsum(settings.row_shares)
    kinds = np.array(["blank_volume", "crossed", "duplicate", "missing_row", ""])
    kind = kinds[np.searchsorted(limits, draw_rows(len(rows), seed)["defect"], side="right")]
    kind = np.where((kind == "crossed") & (rows["bid"] == 0), "", kind)
    # A session of which a copy is made stays sound, so that every defect is counted once.
    kind = np.where(dates.isin(sources), "", kind)
    expired = (rows["expiration"] <= rows["quote_date"]).to_numpy()
    kind = np.select([dates.isin(missing), expired], ["missing_session", "expiry_day"], kind)

    rows = rows.assign(defect=kind)
    blank, crossed = kind == "blank_volume", kind == "crossed"
    rows.loc[blank, "volume"] = np.nan
    rows.loc[crossed, ["bid", "ask"]] = rows.loc[crossed, ["ask", "bid"]].to_numpy()
    copies = [
        rows[(dates == source) & ~expired].assign(quote_date=holiday, defect="stale_session")
        for source, holiday in zip(sources, holidays, strict=True)
    ]
    # The first of two duplicates is a sound row.
    doubled = rows[kind == "duplicate"]
    rows.loc[doubled.index, "defect"] = ""
    rows = pd.concat([rows, doubled, *copies])
    rows = rows.iloc[np.lexsort((rows.index, rows["quote_date"]))].reset_index(drop=True)
    defects = rows.loc[rows["defect"] != "", [*KEY, "defect"]].reset_index(drop=True)
    left_out = rows["defect"].isin(["missing_row", "missing_session"])
    quotes = rows[~left_out].drop(columns="defect").reset_index(drop=True)
    return quotes, defects


def _draw_sessions(
    sessions: pd.DatetimeIndex,
    calendar: pd.DatetimeIndex,
    settings: DefectSettings,
    seed: int,
) -> tuple[pd.DatetimeIndex, pd.DatetimeIndex]:
    """Draw missing sessions and stale holidays; no session before a holiday is missing."""
    weekdays = pd.date_range(sessions[0], sessions[-1], freq="B", unit="us")
    holidays = weekdays.difference(calendar)
    before = sessions[sessions.searchsorted(holidays) - 1]
    # The first and the last session stay, so that the span is what was asked for.
    loose = sessions[1:-1].difference(before)
    rng = np.random.default_rng([seed, SESSION_STREAM])
    chosen = []
    for name, days, wanted in (
        ("sessions", loose, settings.n_missing_sessions),
        ("holidays", holidays, settings.n_stale_holidays),
    ):
        if len(days) < wanted:
            raise ValueError(
                f"{wanted} {name} are to be spoilt between {sessions[0]:%Y-%m-%d} and "
                f"{sessions[-1]:%Y-%m-%d}, where {len(days)} can be: ask for fewer, or give a "
                "longer span"
            )
        chosen.append(days[np.sort(rng.choice(len(days), size=wanted, replace=False))])
    return chosen[0], chosen[1]
