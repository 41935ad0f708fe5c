"""Sessions are those that were held: holidays, storms and funerals of presidents are none."""

from __future__ import annotations

import pandas as pd
import pytest

from tidemark.domain.sessions import list_sessions

START, END = pd.Timestamp("1990-01-01"), pd.Timestamp("2025-12-31")


def days(calendar: str, start: str, end: str) -> list[str]:
    """List sessions as text."""
    found = list_sessions(calendar, pd.Timestamp(start), pd.Timestamp(end))
    return [f"{day:%Y-%m-%d}" for day in found]


@pytest.mark.parametrize(
    "day",
    [
        "1994-04-27",  # mourning for President Nixon
        "2001-09-11",
        "2001-09-12",
        "2001-09-13",
        "2001-09-14",
        "2007-01-02",  # mourning for President Ford
        "2012-10-29",  # hurricane Sandy
        "2012-10-30",
        "2018-12-05",  # mourning for President Bush
        "2019-04-19",  # Good Friday
        "2021-12-24",  # Christmas, observed on Friday
        "2022-06-20",  # Juneteenth, observed on Monday
        "2025-01-09",  # mourning for President Carter
        "2019-01-05",  # a Saturday
    ],
)
def test_list_sessions_new_york_closed_is_no_session(day: str) -> None:
    """The New York Stock Exchange did not open on these days."""
    assert pd.Timestamp(day) not in list_sessions("XNYS", START, END)


@pytest.mark.parametrize("day", ["1990-01-02", "2001-09-17", "2012-10-31", "2021-12-31"])
def test_list_sessions_new_york_open_is_a_session(day: str) -> None:
    """It did on these: a New Year's Day on a Saturday is not observed on the Friday before."""
    assert pd.Timestamp(day) in list_sessions("XNYS", START, END)


@pytest.mark.parametrize(("year", "expected"), [(2001, 248), (2012, 250), (2019, 252), (2020, 253)])
def test_list_sessions_year_of_new_york_has_its_number_of_days(year: int, expected: int) -> None:
    """The exchange's own counts of trading days."""
    sessions = list_sessions("XNYS", START, END)
    assert int((sessions.year == year).sum()) == expected


def test_list_sessions_other_calendars_follow_their_rule() -> None:
    """Weekdays hold holidays, 24/7 holds weekends, months their last days."""
    assert days("weekdays", "2018-12-24", "2018-12-30") == [
        "2018-12-24",
        "2018-12-25",
        "2018-12-26",
        "2018-12-27",
        "2018-12-28",
    ]
    assert days("24/7", "2018-12-29", "2018-12-31") == ["2018-12-29", "2018-12-30", "2018-12-31"]
    assert days("months", "2020-01-31", "2020-03-30") == ["2020-01-31", "2020-02-29"]


@pytest.mark.parametrize("calendar", ["XNYS", "weekdays", "24/7", "months"])
def test_list_sessions_are_sorted_midnights_without_time_zone(calendar: str) -> None:
    """Every calendar gives an index of one form."""
    sessions = list_sessions(calendar, pd.Timestamp("2019-01-01"), pd.Timestamp("2019-12-31"))
    assert sessions.dtype == "datetime64[ns]"
    assert sessions.is_unique
    assert sessions.is_monotonic_increasing
    assert (sessions == sessions.normalize()).all()
    assert sessions.name == "date"


def test_list_sessions_short_spans_hold_one_session_or_none() -> None:
    """A span may be one day, and it may be a weekend."""
    assert days("XNYS", "2019-01-04", "2019-01-04") == ["2019-01-04"]
    assert days("XNYS", "2019-01-05", "2019-01-05") == []
    assert days("XNYS", "2019-01-05", "2019-01-06") == []
    assert days("months", "2019-01-05", "2019-01-06") == []


def test_list_sessions_shorter_span_gives_the_same_sessions() -> None:
    """What lies in both spans does not depend on where they begin and end."""
    part = list_sessions("XNYS", pd.Timestamp("2012-10-01"), pd.Timestamp("2013-01-31"))
    whole = list_sessions("XNYS", START, END)
    assert part.equals(whole[(whole >= "2012-10-01") & (whole <= "2013-01-31")])


@pytest.mark.parametrize(
    ("calendar", "start", "end", "message"),
    [
        ("NYSEX", "2019-01-01", "2019-12-31", "'NYSEX' does not exist.*weekdays"),
        ("XTKS", "1990-01-01", "1999-12-31", "'XTKS' does not know.*1997-01-01.*Shorten"),
        ("XNYS", "2019-12-31", "2019-01-01", "before it starts"),
        ("weekdays", "2019-12-31", "2019-01-01", "before it starts"),
        ("XNYS", "2019-01-01T09:30", "2019-01-31", "Normalise"),
        ("XNYS", "2019-01-01T00:00Z", "2019-01-31T00:00Z", "without time zone"),
    ],
)
def test_list_sessions_impossible_span_is_refused(
    calendar: str, start: str, end: str, message: str
) -> None:
    """An unknown calendar, an unknown past and a span turned round are errors with remedies."""
    with pytest.raises(ValueError, match=message):
        list_sessions(calendar, pd.Timestamp(start), pd.Timestamp(end))
