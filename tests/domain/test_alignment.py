"""Levels meet on one calendar: what was carried there is marked, and nothing is lost unseen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal

from tidemark.domain.alignment import (
    Aligned,
    align_calendar,
    convert_currency,
    drop_off_session,
    list_own_sessions,
    move_to_month_ends,
)
from tidemark.domain.series import SeriesDefinition, read_levels
from tidemark.domain.sessions import list_sessions

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
NAN = float("nan")
SPY = SeriesDefinition("spy", "price", "log_return", "XNYS")
BTC = SeriesDefinition("btc", "price", "log_return", "24/7")
GOLD = SeriesDefinition("gold", "price", "log_return", "months", frequency="monthly")
DAX = SeriesDefinition("dax", "index", "log_return", "weekdays", currency="EUR")
US10Y = SeriesDefinition("us10y", "yield", "difference", "weekdays", currency="EUR")
EUR_USD = SeriesDefinition(
    "eur_usd", "fx", "log_return", "weekdays", currency="EUR", quote_currency="USD"
)
USD_EUR = SeriesDefinition(
    "usd_eur", "fx", "log_return", "weekdays", currency="USD", quote_currency="EUR"
)


def long_of(**series: dict[str, float]) -> pd.DataFrame:
    """Make a long table of levels by series and day."""
    return pd.DataFrame(
        [
            (pd.Timestamp(day), name, value)
            for name, levels in series.items()
            for day, value in levels.items()
        ],
        columns=["date", "series", "value"],
    ).astype({"date": "datetime64[ns]", "value": "float64"})


def days_of(table: pd.DataFrame) -> list[str]:
    """List the dates of a table as text."""
    return [f"{day:%Y-%m-%d}" for day in table["date"]]


def sessions_of(*days: str) -> pd.DatetimeIndex:
    """Make an index of sessions."""
    return pd.DatetimeIndex(pd.to_datetime(list(days)).as_unit("ns"), name="date")


def test_drop_off_session_weekend_rows_leave_with_their_reason() -> None:
    """A level carried over a weekend is told from another one; sessions and their order stay."""
    levels = long_of(
        spy={
            "2018-12-08": 99.0,  # Saturday, before any session
            "2018-12-07": 100.0,
            "2018-12-09": 100.0,  # Sunday
            "2018-12-10": 101.0,
            "2018-12-15": 101.0,  # Saturday
            "2018-12-16": 101.5,  # Sunday
        }
    )
    kept, dropped = drop_off_session(levels, [SPY])
    assert days_of(kept) == ["2018-12-07", "2018-12-10"]
    assert list(kept["value"]) == [100.0, 101.0]
    assert days_of(dropped) == ["2018-12-08", "2018-12-09", "2018-12-15", "2018-12-16"]
    assert list(dropped["reason"]) == ["off_session", "filled", "filled", "off_session"]
    assert list(dropped) == ["date", "series", "value", "reason"]


def test_drop_off_session_row_before_the_first_session_was_not_carried() -> None:
    """Without a session before there is nothing that could have been carried."""
    _, dropped = drop_off_session(long_of(spy={"2019-01-05": 1.0, "2019-01-07": 1.0}), [SPY])
    assert list(dropped["reason"]) == ["off_session"]


def test_drop_off_session_each_series_follows_its_own_calendar() -> None:
    """Christmas is a holiday of New York, a weekday, and a day of bitcoin."""
    day = {"2018-12-24": 1.0, "2018-12-25": 2.0, "2018-12-29": 3.0}
    kept, dropped = drop_off_session(long_of(spy=day, btc=day, dax=day), [SPY, BTC, DAX])
    assert list(kept["series"]) == ["btc", "dax", "spy", "btc", "dax", "btc"]
    assert sorted(dropped["series"]) == ["dax", "spy", "spy"]


def test_drop_off_session_monthly_rows_move_to_the_end_of_their_month() -> None:
    """A month dated by its first, its last working or its last day is one and the same."""
    levels = long_of(gold={"2019-01-01": 1.0, "2019-02-28": 2.0, "2019-03-29": 3.0})
    kept, dropped = drop_off_session(levels, [GOLD])
    assert days_of(kept) == ["2019-01-31", "2019-02-28", "2019-03-31"]
    assert dropped.empty


def test_move_to_month_ends_two_rows_of_one_month_stay_two() -> None:
    """The checks must see them; daily series do not move."""
    levels = long_of(gold={"2019-01-01": 1.0, "2019-01-31": 2.0}, spy={"2019-01-02": 3.0})
    moved = move_to_month_ends(levels, [GOLD, SPY])
    assert days_of(moved) == ["2019-01-31", "2019-01-31", "2019-01-02"]
    assert days_of(levels) == ["2019-01-01", "2019-01-31", "2019-01-02"]


def test_list_own_sessions_span_from_first_to_last_row() -> None:
    """Each series has the sessions of its life; one without rows has none."""
    levels = long_of(spy={"2018-12-04": 1.0, "2018-12-06": 1.0}, btc={"2018-12-08": 1.0})
    own = list_own_sessions(levels, [BTC, SPY, DAX])
    assert list(own) == ["btc", "spy"]
    assert list(own["spy"]) == list(sessions_of("2018-12-04", "2018-12-06"))
    assert list(own["btc"]) == list(sessions_of("2018-12-08"))


def test_alignment_undefined_series_is_refused() -> None:
    """Without a definition nobody knows a series' calendar."""
    levels = long_of(spx={"2019-01-02": 1.0})
    for attempt in (
        lambda: drop_off_session(levels, [SPY]),
        lambda: align_calendar(levels, [SPY], sessions_of("2019-01-02"), 0),
    ):
        with pytest.raises(ValueError, match="spx has no definition"):
            attempt()


def test_drop_off_session_recorded_funds_lose_what_was_carried_forward() -> None:
    """Weekends (904 rows) and the exchange's own holidays (79) are found; bitcoin keeps them."""
    path = SHARED / "cross_asset/fintix_etf_adjclose.parquet"
    if not path.exists():
        pytest.skip("recorded market data is absent")
    wide = pd.read_parquet(path, columns=["date", "SPY", "TLT", "BTC-USD"])
    bitcoin = SeriesDefinition("btc_usd", "price", "log_return", "24/7")
    bonds = SeriesDefinition("tlt", "price", "log_return", "XNYS")
    kept, dropped = drop_off_session(read_levels(wide), [SPY, bonds, bitcoin])
    spy = dropped[dropped["series"] == "spy"]
    on_weekend = spy["date"].dt.day_of_week >= 5
    assert (int(on_weekend.sum()), int((~on_weekend).sum())) == (904, 79)
    assert set(dropped["reason"]) == {"filled"}
    assert "btc_usd" not in set(dropped["series"])
    reference = list_sessions("XNYS", pd.Timestamp("1993-01-29"), pd.Timestamp("2023-05-18"))
    aligned = align_calendar(kept, [SPY, bonds, bitcoin], reference, 3)
    returns = np.log(aligned.levels).diff()
    correlations = {
        year: round(float(returns.loc[str(year), "spy"].corr(returns.loc[str(year), "tlt"])), 3)
        for year in (2008, 2012, 2021, 2022)
    }
    assert correlations == {2008: -0.487, 2012: -0.651, 2021: -0.138, 2022: 0.084}


def test_align_calendar_short_gaps_are_carried_over_and_marked() -> None:
    """Two sessions are filled at most, none before the first and none after the last level."""
    sessions = sessions_of(
        "2019-01-02", "2019-01-03", "2019-01-04", "2019-01-07", "2019-01-08", "2019-01-09"
    )
    levels = long_of(dax={"2019-01-03": 1.0, "2019-01-08": 2.0})
    aligned = align_calendar(levels, [DAX, SPY], sessions, 2)
    assert_allclose(aligned.levels["dax"], [NAN, 1.0, 1.0, 1.0, 2.0, NAN])
    assert list(aligned.filled["dax"]) == [False, False, True, True, False, False]
    assert aligned.levels["spy"].isna().all()
    assert list(aligned.levels) == ["dax", "spy"]
    one = align_calendar(levels, [DAX], sessions, 1)
    assert_allclose(one.levels["dax"], [NAN, 1.0, 1.0, NAN, 2.0, NAN])
    none = align_calendar(levels, [DAX], sessions, 0)
    assert not none.filled.to_numpy().any()


def test_align_calendar_level_of_a_day_without_session_serves_the_next_gap() -> None:
    """The newest known level is carried, though its own day is no session of the reference."""
    sessions = sessions_of("2018-12-24", "2018-12-26", "2018-12-27", "2018-12-28")
    levels = long_of(dax={"2018-12-24": 1.0, "2018-12-25": 2.0, "2018-12-28": 3.0})
    aligned = align_calendar(levels, [DAX], sessions, 1)
    assert_allclose(aligned.levels["dax"], [1.0, 2.0, NAN, 3.0])
    assert list(aligned.filled["dax"]) == [False, True, False, False]


def test_align_calendar_level_on_other_days_than_the_reference_is_joined_left() -> None:
    """Rows are the reference sessions, whatever else a series has."""
    levels = long_of(btc={"2019-01-04": 1.0, "2019-01-05": 2.0, "2019-01-07": 3.0})
    aligned = align_calendar(levels, [BTC], sessions_of("2019-01-04", "2019-01-07"), 3)
    assert_allclose(aligned.levels["btc"], [1.0, 3.0])
    assert not aligned.filled["btc"].any()


def test_align_calendar_contradictions_are_refused() -> None:
    """Repeated levels and sessions, and sessions out of order, are named."""
    twice = pd.concat([long_of(spy={"2019-01-02": 1.0}), long_of(spy={"2019-01-02": 2.0})])
    day = sessions_of("2019-01-02")
    with pytest.raises(ValueError, match="spy on 2019-01-02"):
        align_calendar(twice, [SPY], day, 0)
    single = long_of(spy={"2019-01-02": 1.0})
    with pytest.raises(ValueError, match="more than once: 2019-01-02"):
        align_calendar(single, [SPY], day.append(day), 0)
    with pytest.raises(ValueError, match="not in order"):
        align_calendar(single, [SPY], sessions_of("2019-01-03", "2019-01-02"), 0)
    with pytest.raises(ValueError, match="max_fill_sessions is -1"):
        align_calendar(single, [SPY], day, -1)


def test_aligned_frames_of_different_shape_are_refused() -> None:
    """Levels and marks belong together."""
    levels = pd.DataFrame({"spy": [1.0]}, index=sessions_of("2019-01-02"))
    with pytest.raises(ValueError, match="Align them together"):
        Aligned(levels, pd.DataFrame({"tlt": [False]}, index=levels.index))


def test_align_calendar_without_rows_or_sessions_is_empty() -> None:
    """Nothing in, nothing out."""
    day = sessions_of("2019-01-02")
    assert align_calendar(long_of(), [SPY], day, 3).levels["spy"].isna().all()
    assert align_calendar(long_of(spy={"2019-01-02": 1.0}), [SPY], day[:0], 3).levels.empty


DRAWN = st.dictionaries(st.integers(0, 25), st.floats(1.0, 9.0), max_size=20)
REFERENCE = st.lists(st.integers(0, 25), unique=True, max_size=20)


def draw_levels(levels: dict[int, float]) -> pd.DataFrame:
    """Make a long table of days counted from 2019-01-02."""
    start = pd.Timestamp("2019-01-02")
    return long_of(spy={str(start + pd.Timedelta(days=day)): x for day, x in levels.items()})


def draw_sessions(days: list[int]) -> pd.DatetimeIndex:
    """Make sessions of days counted from 2019-01-02."""
    start = pd.Timestamp("2019-01-02")
    return sessions_of(*(str(start + pd.Timedelta(days=day)) for day in sorted(days)))


@settings(max_examples=60, deadline=None)
@given(levels=DRAWN, days=REFERENCE, limit=st.integers(0, 4))
def test_align_calendar_agrees_with_a_loop(
    levels: dict[int, float], days: list[int], limit: int
) -> None:
    """A walk through all days with a counter of sessions gives the same levels and marks."""
    expected, marks = [], []
    newest, age = NAN, 0
    for day in range(26):
        if day in levels:
            newest, age = levels[day], 0
        if day in days:
            carries = day not in levels
            age += carries
            may = not carries or (age <= limit and day < max(levels, default=-1))
            expected.append(newest if may else NAN)
            marks.append(carries and may and not np.isnan(newest))
    table = draw_levels(levels)
    before = table.copy(deep=True)
    aligned = align_calendar(table, [SPY], draw_sessions(days), limit)
    assert_allclose(aligned.levels["spy"], expected)
    assert list(aligned.filled["spy"]) == marks
    assert_frame_equal(table, before)


@settings(max_examples=40, deadline=None)
@given(levels=DRAWN, days=REFERENCE, cut=st.integers(0, 25))
def test_align_calendar_truncated_future_leaves_observed_levels_identical(
    levels: dict[int, float], days: list[int], cut: int
) -> None:
    """Without the future, observed levels are the same; what was carried is the same or NaN."""
    sessions = draw_sessions(days)
    whole = align_calendar(draw_levels(levels), [SPY], sessions, 3)
    past = {day: value for day, value in levels.items() if day <= cut}
    short = align_calendar(
        draw_levels(past), [SPY], draw_sessions([d for d in days if d <= cut]), 3
    )
    rows = len(short.levels)
    then = whole.levels["spy"].to_numpy()[:rows]
    observed = ~whole.filled["spy"].to_numpy()[:rows]
    now = short.levels["spy"].to_numpy()
    assert now[observed].tobytes() == then[observed].tobytes()
    assert np.all(np.isnan(now[~observed]) | (now[~observed] == then[~observed]))


@pytest.mark.parametrize(("rate", "level"), [(EUR_USD, 1.25), (USD_EUR, 0.8)])
def test_convert_currency_direct_and_inverse_rates_agree(
    rate: SeriesDefinition, level: float
) -> None:
    """100 euros are 125 dollars, whether the rate says 1.25 dollars or 0.8 euros."""
    sessions = sessions_of("2019-01-02", "2019-01-03", "2019-01-04")
    levels = pd.DataFrame(
        {"dax": [100.0, 100.0, 100.0], "us10y": [2.0, 2.0, 2.0], rate.name: [level, level, NAN]},
        index=sessions,
    )
    filled = pd.DataFrame(False, index=sessions, columns=levels.columns)
    filled.loc["2019-01-03", rate.name] = True
    before = levels.copy(deep=True), filled.copy(deep=True)
    converted = convert_currency(levels, filled, [DAX, US10Y, rate], "USD")
    assert_allclose(converted.levels["dax"], [125.0, 125.0, NAN])
    assert list(converted.filled["dax"]) == [False, True, False]
    assert_frame_equal(converted.levels[["us10y", rate.name]], levels[["us10y", rate.name]])
    assert_frame_equal(levels, before[0])
    assert_frame_equal(filled, before[1])


def test_convert_currency_series_in_the_base_stay_and_bad_rates_give_nothing() -> None:
    """Nothing is done without need, and a rate of zero converts nothing."""
    sessions = sessions_of("2019-01-02")
    levels = pd.DataFrame({"spy": [250.0], "dax": [100.0], "usd_eur": [0.0]}, index=sessions)
    filled = levels.isna()
    converted = convert_currency(levels, filled, [SPY, DAX, USD_EUR], "USD")
    assert converted.levels["spy"].item() == 250.0
    assert np.isnan(converted.levels["dax"].item())
    assert convert_currency(levels, filled, [SPY, DAX, USD_EUR], "EUR").levels["dax"].item() == 100


def test_convert_currency_missing_rate_is_refused() -> None:
    """The error names the series, the pair that is needed and what there is."""
    sessions = sessions_of("2019-01-02")
    levels = pd.DataFrame({"dax": [100.0], "eur_usd": [1.1]}, index=sessions)
    with pytest.raises(ValueError, match="EUR and quote_currency GBP") as caught:
        convert_currency(levels, levels.isna(), [DAX, EUR_USD], "GBP")
    assert "eur_usd (EUR in USD)" in str(caught.value)
