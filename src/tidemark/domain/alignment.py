"""Levels of series with calendars of their own, brought onto the sessions of one calendar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tidemark.domain.series import MONTHS, SeriesDefinition, index_definitions
from tidemark.domain.sessions import list_sessions
from tidemark.errors import describe_examples


@dataclass(frozen=True)
class Aligned:
    """Levels on the sessions of a reference calendar.

    Attributes
    ----------
    levels : DataFrame
        Sessions by series, float64; NaN where nothing is known.
    filled : DataFrame of bool
        Same shape: True where the level is an older one, carried forward.
    """

    levels: pd.DataFrame
    filled: pd.DataFrame

    def __post_init__(self) -> None:
        index = self.levels.index
        if not index.is_unique:
            twice = [f"{day:%Y-%m-%d}" for day in index[index.duplicated()].unique()]
            raise ValueError(
                f"Sessions occur more than once: {describe_examples(twice)}. Keep one of each."
            )
        if not index.is_monotonic_increasing:
            raise ValueError("Sessions are not in order. Sort them.")
        if not (
            index.equals(self.filled.index) and self.levels.columns.equals(self.filled.columns)
        ):
            raise ValueError(
                f"Levels ({self.levels.shape}) and the marks of what was filled "
                f"({self.filled.shape}) have different rows or columns. Align them together."
            )


def move_to_month_ends(
    levels: pd.DataFrame, definitions: Sequence[SeriesDefinition]
) -> pd.DataFrame:
    """Date the levels of monthly series by the last day of their month.

    Publishers date a month by its first day, its last or its last working day; the level is
    known at its end at the earliest.

    Parameters
    ----------
    levels : DataFrame
        Long table ``date, series, value``.
    definitions : sequence of SeriesDefinition
        Series without a definition are left as they are.

    Returns
    -------
    DataFrame
        The same rows in the same order. Two rows of one month get one date.
    """
    monthly = [item.name for item in definitions if item.calendar == MONTHS]
    ends = levels["date"] + pd.offsets.MonthEnd(0)
    moved = levels["date"].mask(levels["series"].isin(monthly), ends)
    return levels.assign(date=moved.dt.as_unit("ns"))


def list_own_sessions(
    levels: pd.DataFrame, definitions: Sequence[SeriesDefinition]
) -> dict[str, pd.DatetimeIndex]:
    """List each series' own sessions between its first and its last row.

    Parameters
    ----------
    levels : DataFrame
        Long table ``date, series, value``; monthly series dated as `move_to_month_ends` does.
    definitions : sequence of SeriesDefinition
        One for every series of the table.

    Returns
    -------
    dict of str to DatetimeIndex
        The series that have rows, in the order of the definitions.

    Raises
    ------
    ValueError
        If a series has no definition, or its calendar does not reach back far enough.
    """
    by_name = _define_all(levels, definitions)
    lives = {
        str(name): (days.min(), days.max())
        for name, days in levels.groupby("series", sort=False)["date"]
    }
    # One span for all series of a calendar: building a calendar is what takes time.
    spans: dict[str, list[pd.Timestamp]] = {}
    for name, life in lives.items():
        spans.setdefault(by_name[name].calendar, []).extend(life)
    sessions = {
        calendar: list_sessions(calendar, min(days), max(days)) for calendar, days in spans.items()
    }
    own = {}
    for name, definition in by_name.items():
        if name in lives:
            days = sessions[definition.calendar]
            first, last = lives[name]
            own[name] = days[(days >= first) & (days <= last)]
    return own


def drop_off_session(
    levels: pd.DataFrame, definitions: Sequence[SeriesDefinition]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Take out rows on days on which the series' own calendar has no session.

    Monthly series are first dated as `move_to_month_ends` does, so that none of them is off.

    Parameters
    ----------
    levels : DataFrame
        Long table ``date, series, value``.
    definitions : sequence of SeriesDefinition
        One for every series of the table.

    Returns
    -------
    kept : DataFrame
        ``date, series, value``, sorted by date, then series.
    dropped : DataFrame
        ``date, series, value, reason``, sorted likewise. ``reason`` is ``filled`` where the
        level is the last one of a session before: the source has carried it over a weekend or a
        holiday. It is ``off_session`` where it is another.

    Raises
    ------
    ValueError
        If a series has no definition, or its calendar does not reach back far enough.

    Timing
    ------
    Whether a row is kept depends on its date alone.
    """
    moved = move_to_month_ends(levels[["date", "series", "value"]], definitions)
    own = list_own_sessions(moved, definitions)
    moved = moved.sort_values(["series", "date"], kind="stable", ignore_index=True)
    on = pd.Series(False, index=moved.index)
    for name, rows in moved.groupby("series", sort=False):
        on[rows.index] = rows["date"].isin(own[str(name)])
    before = moved["value"].where(on).groupby(moved["series"]).ffill()
    moved["reason"] = np.where(moved["value"] == before, "filled", "off_session")
    moved["on"] = on
    moved = moved.sort_values(["date", "series"], kind="stable")
    kept = moved.loc[moved["on"], ["date", "series", "value"]]
    dropped = moved.loc[~moved["on"], ["date", "series", "value", "reason"]]
    return kept.reset_index(drop=True), dropped.reset_index(drop=True)


def align_calendar(
    levels: pd.DataFrame,
    definitions: Sequence[SeriesDefinition],
    sessions: pd.DatetimeIndex,
    max_fill_sessions: int,
) -> Aligned:
    """Left-join levels onto the sessions of a reference calendar, and fill short gaps.

    Parameters
    ----------
    levels : DataFrame
        Long table ``date, series, value`` as `drop_off_session` keeps it: one row for each date
        and series.
    definitions : sequence of SeriesDefinition
        One for every series of the table; they give the columns and their order.
    sessions : DatetimeIndex
        Sorted midnights without time zone, none twice.
    max_fill_sessions : int
        How many sessions a level may be carried forward; 0 carries none.

    Returns
    -------
    Aligned
        A session without a level of its own has the newest earlier one. That may be of a day
        that is no session of the reference, such as a holiday of New York on which London was
        open; it then counts as carried from the session before it. Nothing is filled before a
        series' first or after its last level. A series without rows is NaN throughout.

    Raises
    ------
    ValueError
        If a series has no definition, a date and series occurs twice, or the sessions are
        unsorted or repeated.

    Timing
    ------
    Row *t* uses levels of days up to *t*. That a series goes on after a gap is known only
    afterwards: without it the gap is NaN instead of filled. Returns use neither.
    """
    by_name = _define_all(levels, definitions)
    if max_fill_sessions < 0:
        raise ValueError(f"max_fill_sessions is {max_fill_sessions}; it must be 0 or more.")
    known = levels[levels["value"].notna()].sort_values(["date", "series"])
    twice = known[known.duplicated(["date", "series"])]
    if len(twice):
        rows = [f"{row.series} on {row.date:%Y-%m-%d}" for row in twice.itertuples()]
        raise ValueError(
            f"{len(rows)} levels have a date and series that occurred before: "
            f"{describe_examples(rows)}. Keep one of each."
        )
    groups = dict(list(known.groupby("series")))
    values = np.full((len(sessions), len(by_name)), np.nan)
    filled = np.zeros(values.shape, dtype="bool")
    for column, name in enumerate(by_name):
        if name in groups:
            values[:, column], filled[:, column] = _carry_forward(
                groups[name], sessions, max_fill_sessions
            )
    index, columns = sessions.rename("date"), pd.Index(list(by_name), name="series")
    return Aligned(pd.DataFrame(values, index, columns), pd.DataFrame(filled, index, columns))


def _carry_forward(
    rows: pd.DataFrame, sessions: pd.DatetimeIndex, max_fill_sessions: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find one series' level on each session, and whether it is an older one."""
    days = pd.DatetimeIndex(rows["date"])
    newest = days.searchsorted(sessions, side="right") - 1
    started = newest >= 0
    observed = started & (days[newest] == sessions)
    age = np.arange(len(sessions)) - (sessions.searchsorted(days[newest], side="right") - 1)
    filled = started & ~observed & (age <= max_fill_sessions) & (sessions <= days[-1])
    values = rows["value"].to_numpy(dtype="float64")[newest]
    return np.where(observed | filled, values, np.nan), filled


def convert_currency(
    levels: pd.DataFrame,
    filled: pd.DataFrame,
    definitions: Sequence[SeriesDefinition],
    base: str,
) -> Aligned:
    """Convert levels of prices and indices into one currency.

    Parameters
    ----------
    levels, filled : DataFrame
        As in `Aligned`.
    definitions : sequence of SeriesDefinition
        One for every column; a rate of exchange is a series of kind ``fx``.
    base : str
        The currency to convert into.

    Returns
    -------
    Aligned
        Series of kind ``price`` and ``index`` in ``base``; all others as they were. A level is
        NaN where itself or its rate is (or the rate is not positive), and filled where either
        is.

    Raises
    ------
    ValueError
        If a series needs a rate of exchange that is not defined, directly or inversely.
    """
    by_name = index_definitions(definitions)
    converted, marks = levels.copy(), filled.copy()
    for name in levels:
        definition = by_name[str(name)]
        if definition.kind not in ("price", "index") or definition.currency == base:
            continue
        rate_name, is_inverse = _find_rate(definition, by_name, base)
        rate = levels[rate_name].where(levels[rate_name] > 0)
        converted[name] = levels[name] / rate if is_inverse else levels[name] * rate
        marks[name] = (filled[name] | filled[rate_name]) & converted[name].notna()
    return Aligned(converted, marks)


def _find_rate(
    definition: SeriesDefinition, by_name: Mapping[str, SeriesDefinition], base: str
) -> tuple[str, bool]:
    """Find the series that converts into the base, and whether one divides by it."""
    rates = [item for item in by_name.values() if item.kind == "fx"]
    for is_inverse in (False, True):
        for rate in rates:
            pair = (rate.currency, rate.quote_currency)
            if pair == ((base, definition.currency) if is_inverse else (definition.currency, base)):
                return rate.name, is_inverse
    known = [f"{rate.name} ({rate.currency} in {rate.quote_currency})" for rate in rates]
    raise ValueError(
        f"Series '{definition.name}' is in {definition.currency}, and no series of kind 'fx' "
        f"converts it into {base}; defined: {describe_examples(known) or 'none'}. Add one with "
        f"currency {definition.currency} and quote_currency {base}, or choose another base."
    )


def _define_all(
    levels: pd.DataFrame, definitions: Sequence[SeriesDefinition]
) -> dict[str, SeriesDefinition]:
    by_name = index_definitions(definitions)
    unknown = sorted(set(levels["series"]) - set(by_name))
    if unknown:
        raise ValueError(
            f"Series {describe_examples(unknown)} has no definition. Define it, or remove its rows."
        )
    return by_name
