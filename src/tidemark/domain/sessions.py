"""Sessions: the days on which a calendar has a level."""

from __future__ import annotations

import warnings
from functools import lru_cache

import pandas as pd

from tidemark.domain.series import MONTHS

WEEKDAYS = "weekdays"
EVERY_DAY = "24/7"

_RULES = {WEEKDAYS: "B", EVERY_DAY: "D", MONTHS: "ME"}


@lru_cache(maxsize=256)
def list_sessions(calendar: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.DatetimeIndex:
    """List the sessions of a calendar between two days, both included.

    Parameters
    ----------
    calendar : str
        A code of exchange_calendars such as ``XNYS``; ``weekdays`` (Monday to Friday, holidays
        included); ``24/7`` (every day); ``months`` (the last day of each month).
    start, end : Timestamp
        Days, without time zone.

    Returns
    -------
    DatetimeIndex
        Midnights without time zone, sorted; empty if there is no session.

    Raises
    ------
    ValueError
        If the calendar does not exist, its holidays are not known for the whole span, or the
        span ends before it starts.

    Notes
    -----
    The first exchange costs 0.4 s for the import of exchange_calendars, and each span of an
    exchange 0.1 to 0.2 s, whatever its length; answers are kept, and a second one is free.
    Exchanges are calendars of today's kind: the Saturday sessions before 1952 are not known.

    Examples
    --------
    >>> days = list_sessions("weekdays", pd.Timestamp("2019-01-04"), pd.Timestamp("2019-01-07"))
    >>> [str(day.date()) for day in days]
    ['2019-01-04', '2019-01-07']
    """
    if start.tz is not None or end.tz is not None or start != start.normalize():
        raise ValueError(
            f"Sessions are listed between days without time zone, not {start} and {end}. "
            f"Normalise them first."
        )
    if end < start:
        raise ValueError(
            f"The span of sessions ends on {end:%Y-%m-%d}, before it starts on {start:%Y-%m-%d}. "
            f"Exchange the two."
        )
    if calendar in _RULES:
        sessions = pd.date_range(start, end, freq=_RULES[calendar], unit="ns")
    else:
        sessions = _list_exchange_sessions(calendar, start, end)
    return pd.DatetimeIndex(sessions.to_numpy(), name="date")


def _list_exchange_sessions(
    calendar: str, start: pd.Timestamp, end: pd.Timestamp
) -> pd.DatetimeIndex:
    from exchange_calendars import get_calendar
    from exchange_calendars.errors import (
        CalendarError,
        InvalidCalendarName,
        NoSessionsError,
    )

    # A calendar needs two days at least; one more is asked for where that is all.
    last = end if end > start else end + pd.Timedelta(days=1)
    try:
        with warnings.catch_warnings():
            # Of pandas, about how exchange_calendars reads opening times.
            warnings.filterwarnings("ignore", message="Series.values returning an ndarray")
            known = get_calendar(calendar, start=start, end=last).sessions
    except NoSessionsError:
        return pd.DatetimeIndex([], dtype="datetime64[ns]")
    except InvalidCalendarName:
        raise ValueError(
            f"Calendar '{calendar}' does not exist. Take a code of exchange_calendars such as "
            f"XNYS, or {', '.join(_RULES)}."
        ) from None
    except (CalendarError, ValueError) as error:
        raise ValueError(
            f"Calendar '{calendar}' does not know all sessions from {start:%Y-%m-%d} to "
            f"{end:%Y-%m-%d}: {error} Shorten the data, or give the series the calendar "
            f"'{WEEKDAYS}'."
        ) from error
    inside: pd.DatetimeIndex = known[(known >= start) & (known <= end)]
    return inside
