"""Cells: dates, names and numbers as sources write them, in their canonical form."""

from __future__ import annotations

import datetime
import decimal

import numpy as np
import pandas as pd
import pytest

from tidemark.domain.inspection import PRICES, Inspection, Rule, inspect_table

CHECKS = ("required_columns", "unknown_columns", "schema_hash", "unreadable_values", "missing_key")
CHECKS += ("repeated_rows", "contradictory_rows", "dates_after_as_of", "non_positive_price")
CHECKS += ("no_rows", "missing_values", "quarantined_share", "old_data", "stale_data")
CHECKS += ("missing_cells", "thin_sessions")
QUARANTINED = ("unreadable_values", "missing_key")
RULES = {check: Rule("quarantine" if check in QUARANTINED else "refuse", 0.99) for check in CHECKS}


def inspect_columns(dates: object, tickers: object, closes: object) -> Inspection:
    """Inspect a table of prices on 31 January 2019."""
    raw = pd.DataFrame({"date": dates, "ticker": tickers, "close": closes})
    as_of = pd.Timestamp("2019-01-31")
    rules = {**RULES, "old_data": Rule("warn", 99), "stale_data": Rule("warn", 99)}
    return inspect_table(raw, PRICES, rules, as_of, "bcd1f3b25af2eab4")


def read_dates(dates: object) -> list[str]:
    """Read two dates, and give them as text in the order of the table."""
    found = inspect_columns(dates, ["A", "B"], [1.0, 2.0])
    by_ticker = found.candidate.sort_values("ticker")
    assert str(found.candidate["date"].dtype) == "datetime64[ns]"
    return by_ticker["date"].astype("str").to_list()


STAMPS = pd.DatetimeIndex(["2019-01-03", "2019-01-02"])


@pytest.mark.parametrize(
    "dates",
    [
        ["2019-01-03", "2019-01-02"],
        [" 2019-01-03", "2019-01-02 "],
        ["2019-01-03 16:00:00", "2019-01-02T09:30:00"],
        ["2019-01-03T16:00:00Z", "2019-01-02T16:00:00-05:00"],
        [datetime.date(2019, 1, 3), datetime.date(2019, 1, 2)],
        [datetime.datetime(2019, 1, 3, 16, 0), "2019-01-02"],  # noqa: DTZ001 - as sources give it
        [datetime.date(2019, 1, 3), pd.Timestamp("2019-01-02")],
        STAMPS,
        STAMPS.as_unit("s"),
        STAMPS + pd.Timedelta(hours=16),
        pd.array(["2019-01-03", "2019-01-02"], dtype="string"),
        pd.Categorical(["2019-01-03", "2019-01-02"]),
    ],
    ids=str,
)
def test_inspection_dates_of_any_kind_become_midnights(dates: object) -> None:
    """Texts, Python's dates, time stamps of any unit: a session is a day."""
    assert read_dates(dates) == ["2019-01-03", "2019-01-02"]


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York", "Europe/Berlin", "UTC"])
def test_inspection_dates_with_a_time_zone_keep_their_own_day(zone: str) -> None:
    """Midnight in Tokyo is still the day before in UTC, but the session is Tokyo's."""
    assert read_dates(STAMPS.tz_localize(zone)) == ["2019-01-03", "2019-01-02"]
    evening = STAMPS.tz_localize(zone) + pd.Timedelta(hours=20)
    assert read_dates(evening) == ["2019-01-03", "2019-01-02"]


def test_inspection_dates_written_with_offsets_keep_their_own_day() -> None:
    """Texts with offsets, mixed in one column, are read by their own clocks."""
    dates = ["2019-01-03T00:00:00+09:00", "2019-01-02T20:00:00-05:00"]
    assert read_dates(dates) == ["2019-01-03", "2019-01-02"]
    assert read_dates([pd.Timestamp(dates[0]), pd.Timestamp(dates[1])]) == (
        ["2019-01-03", "2019-01-02"]
    )


def test_inspection_dates_unsorted_come_out_sorted_by_key() -> None:
    """The candidate is the same whatever the order of the rows."""
    found = inspect_columns(
        ["2019-01-03", "2019-01-02", "2019-01-03", "2019-01-02"], list("BBAA"), [4, 2, 3, 1]
    )
    assert found.candidate["close"].to_list() == [1.0, 2.0, 3.0, 4.0]
    assert found.candidate.index.to_list() == [0, 1, 2, 3]


@pytest.mark.parametrize("dates", [[20190103, 20190102], [43468.0, 43467.0], [1.5e9, 1.4e9]])
def test_inspection_dates_as_numbers_are_never_taken_for_nanoseconds(dates: list[float]) -> None:
    """Twenty million is a date without hyphens or unreadable, but not 1 January 1970."""
    assert read_dates(dates) in (["2019-01-03", "2019-01-02"], [])


@pytest.mark.parametrize("word", ["today", "now", "yesterday", "13/01/2019", "2019-02-30", "Jan"])
def test_inspection_dates_that_are_not_iso_dates_are_unreadable(word: str) -> None:
    """No clock is read, no order of day and month is guessed, no day is made up."""
    found = inspect_columns([word, "2019-01-02"], ["A", "B"], [1.0, 2.0])
    assert found.quarantine["reason"].to_list() == ["unreadable_values"]
    assert found.candidate["ticker"].to_list() == ["B"]


@pytest.mark.parametrize(
    "date",
    ["9999-12-31", "0001-01-01", datetime.date(9999, 12, 31), np.datetime64("9999-12-31", "s")],
    ids=str,
)
def test_inspection_dates_beyond_nanoseconds_are_findings_not_crashes(date: object) -> None:
    """A source's end of time does not fit into a time stamp, and must not end the inspection."""
    found = inspect_columns(["2019-01-02", date], ["A", "B"], [1.0, 2.0])
    assert (
        "B" not in found.candidate.loc[found.candidate["date"] <= "2019-01-31", "ticker"].to_list()
    )
    assert {one.check for one in found.findings} <= {"unreadable_values", "dates_after_as_of"}


def test_inspection_dates_three_centuries_ago_are_old_not_a_crash() -> None:
    """The age of data may be more days than a difference of time stamps can hold."""
    found = inspect_columns("1726-01-01", ["A"], [1.0])
    measures = {one.check: one.measure for one in found.findings}
    assert measures.get("stale_data", 0) == 107046 or "unreadable_values" in measures


def test_inspection_tickers_of_mixed_case_with_blanks_become_canonical() -> None:
    """Names lose the blanks around them and are written in capitals."""
    found = inspect_columns("2019-01-02", [" aapl", "Brk.b ", "MSFT\t"], [1.0, 2.0, 3.0])
    assert found.candidate["ticker"].to_list() == ["AAPL", "BRK.B", "MSFT"]


@pytest.mark.parametrize("blank", ["", "   ", "\t", None, float("nan"), pd.NA], ids=repr)
def test_inspection_tickers_that_are_blank_are_missing_keys(blank: object) -> None:
    """An empty text is no name, and neither is the text nan."""
    found = inspect_columns("2019-01-02", pd.Series(["KO", blank], dtype="object"), [1.0, 2.0])
    assert found.quarantine["reason"].to_list() == ["missing_key"]
    assert found.candidate["ticker"].to_list() == ["KO"]


@pytest.mark.parametrize("date", ["", "  ", None, pd.NaT], ids=repr)
def test_inspection_dates_that_are_blank_are_missing_keys(date: object) -> None:
    """A row without a date belongs to no session."""
    found = inspect_columns(pd.Series(["2019-01-02", date], dtype="object"), ["A", "B"], [1.0, 2.0])
    assert found.quarantine["reason"].to_list() == ["missing_key"]


@pytest.mark.parametrize(
    "closes",
    [
        ["1.5", " "], ["1.5", ""], [" 1.5 ", None], [1.5, float("nan")],
        pd.array([1.5, None], dtype="Float64"), pd.array([1.5, None], dtype="float64[pyarrow]"),
        [decimal.Decimal("1.5"), None], np.array([1.5, np.nan], dtype="float32"), ["15e-1", pd.NA],
    ],
    ids=str,
)  # fmt: skip
def test_inspection_numbers_of_any_kind_become_floats_and_blanks_stay_missing(
    closes: object,
) -> None:
    """Texts, decimals, nullable types: a number is float64 and a blank is NaN, not a fault."""
    found = inspect_columns("2019-01-02", ["A", "B"], closes)
    assert found.findings == []
    assert str(found.candidate["close"].dtype) == "float64"
    assert found.candidate["close"].iloc[0] == 1.5
    assert np.isnan(found.candidate["close"].iloc[1])


@pytest.mark.parametrize("value", [np.inf, -np.inf, "inf", "-Infinity", "1,234.5", "$5", "1.2.3"])
def test_inspection_numbers_that_are_infinite_or_text_are_unreadable(value: object) -> None:
    """What is not a finite number leaves with its row and is shown."""
    found = inspect_columns("2019-01-02", ["A", "B"], pd.Series([value, 2.0], dtype="object"))
    assert found.quarantine["reason"].to_list() == ["unreadable_values"]
    assert f"close={value!r}" in found.findings[0].message
    assert found.candidate["ticker"].to_list() == ["B"]


def test_inspection_numbers_that_are_dates_are_unreadable() -> None:
    """Two columns that were swapped must not give prices of a thousand billions."""
    found = inspect_columns("2019-01-02", ["A", "B"], STAMPS)
    assert found.candidate.empty
    assert set(found.quarantine["reason"]) == {"unreadable_values"}
