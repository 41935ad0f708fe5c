"""The embedded data of the cross-asset study is what the data's README says."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

import exchange_calendars
import numpy as np
import pandas as pd
import pytest
from arch.data import sp500 as arch_sp500

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "data" / "01_raw" / "cross_asset"

COUNTS = {
    "eur_usd": 5_122,
    "gbp_usd": 5_122,
    "nasdaq": 5_031,
    "sp500": 7_309,
    "us_equity_monthly": 1_110,
    "usd_jpy": 5_122,
    "vix": 1_259,
    "wti": 8_321,
    "yield_aaa": 1_200,
    "yield_baa": 1_200,
}
SPANS = {
    "eur_usd": ("1999-01-04", "2019-01-03"),
    "gbp_usd": ("1999-01-04", "2019-01-03"),
    "nasdaq": ("1999-01-04", "2018-12-31"),
    "sp500": ("1990-01-02", "2019-01-03"),
    "us_equity_monthly": ("1926-06-30", "2018-11-30"),
    "usd_jpy": ("1999-01-04", "2019-01-03"),
    "vix": ("2014-01-03", "2019-01-03"),
    "wti": ("1986-01-02", "2019-01-03"),
    "yield_aaa": ("1919-01-31", "2018-12-31"),
    "yield_baa": ("1919-01-31", "2018-12-31"),
}
MONTHLY = ["us_equity_monthly", "yield_aaa", "yield_baa"]
DAILY = sorted(set(SPANS) - set(MONTHLY))


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Read the long table of all series."""
    return pd.read_parquet(FOLDER / "series.parquet")


@pytest.fixture(scope="module")
def value(table: pd.DataFrame) -> pd.Series:
    """Index the values by series and date."""
    return table.set_index(["series", "date"])["value"].sort_index()


@pytest.fixture(scope="module")
def sessions() -> pd.DatetimeIndex:
    """List the sessions of the New York Stock Exchange, from a calendar of another project."""
    with warnings.catch_warnings():
        # The calendar's own use of pandas.
        warnings.simplefilter("ignore", DeprecationWarning)
        calendar = exchange_calendars.get_calendar("XNYS", start="1986-01-02", end="2019-01-31")
    return calendar.sessions


# --- The table ------------------------------------------------------------------------------


def test_checksum_of_committed_file_equals_sha256sums() -> None:
    """SHA256SUMS lists the table alone, with its checksum, and the table stays small."""
    content = (FOLDER / "series.parquet").read_bytes()

    assert (FOLDER / "SHA256SUMS").read_text(encoding="utf-8") == (
        f"{hashlib.sha256(content).hexdigest()}  series.parquet\n"
    )
    assert len(content) < 500_000


def test_columns_have_expected_names_and_types(table: pd.DataFrame) -> None:
    """The table has a naive date, a string and a float, in this order."""
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == {
        "date": "datetime64[us]",
        "series": "str",
        "value": "float64",
    }
    assert list(table.columns) == ["date", "series", "value"]


def test_rows_of_each_series_have_expected_count(table: pd.DataFrame) -> None:
    """The ten series have their literal numbers of rows."""
    assert table["series"].value_counts().to_dict() == COUNTS
    assert len(table) == 40_796


def test_rows_are_sorted_and_unique(table: pd.DataFrame) -> None:
    """Rows are sorted by date, then by series, and no pair is there twice."""
    pairs = pd.MultiIndex.from_frame(table[["date", "series"]])

    assert pairs.is_monotonic_increasing
    assert pairs.is_unique


def test_values_are_present_and_positive(table: pd.DataFrame) -> None:
    """No cell is missing and every value is a finite number above zero."""
    assert int(table.isna().sum().sum()) == 0
    assert np.isfinite(table["value"]).all()
    assert (table["value"] > 0).all()


@pytest.mark.parametrize("series", sorted(SPANS))
def test_span_of_each_series_begins_and_ends_on_fixed_days(value: pd.Series, series: str) -> None:
    """Each series has its own first and last day, and every date is midnight."""
    days = value[series].index

    assert (days.min(), days.max()) == tuple(pd.Timestamp(day) for day in SPANS[series])
    assert days.equals(days.normalize())


@pytest.mark.parametrize(
    ("series", "day", "expected"),
    [
        ("sp500", "1990-01-02", 359.69),
        ("sp500", "2008-11-20", 752.44),
        ("sp500", "2018-12-31", 2506.85),
        ("sp500", "2019-01-03", 2447.89),
        ("nasdaq", "1999-01-04", 2208.050049),
        ("nasdaq", "2018-12-31", 6635.279785),
        ("vix", "2014-01-03", 13.76),
        ("vix", "2018-02-05", 37.32),
        ("wti", "1986-01-02", 25.56),
        ("wti", "2001-09-14", 29.59),
        ("wti", "2008-07-03", 145.31),
        ("eur_usd", "1999-01-04", 1.1789),
        ("eur_usd", "2019-01-03", 1.1348),
        ("gbp_usd", "1999-01-04", 1.1789 / 0.7111),
        ("gbp_usd", "2019-01-03", 1.1348 / 0.90312),
        ("usd_jpy", "1999-01-04", 133.73 / 1.1789),
        ("usd_jpy", "2019-01-03", 122.21 / 1.1348),
        ("us_equity_monthly", "1926-06-30", 100.0),
        ("yield_aaa", "1919-01-31", 5.35),
        ("yield_aaa", "1981-09-30", 15.49),
        ("yield_aaa", "2018-12-31", 4.02),
        ("yield_baa", "1982-02-28", 17.18),
        ("yield_baa", "2018-12-31", 5.13),
    ],
)
def test_value_on_known_day_equals_source(
    value: pd.Series, series: str, day: str, expected: float
) -> None:
    """The value on a known day is the number in the source, or the ratio of two of them."""
    assert value[series, pd.Timestamp(day)] == expected


# --- Daily series ---------------------------------------------------------------------------


@pytest.mark.parametrize("series", DAILY)
def test_daily_series_have_no_weekends(value: pd.Series, series: str) -> None:
    """No daily series has a row on a Saturday or Sunday."""
    assert value[series].index.day_of_week.max() == 4


@pytest.mark.parametrize(
    ("series", "absent", "extra"),
    [
        ("sp500", 0, 0),
        ("nasdaq", 0, 0),
        ("vix", 0, 0),
        ("wti", 29, 30),
        ("eur_usd", 47, 136),
        ("gbp_usd", 47, 136),
        ("usd_jpy", 47, 136),
    ],
)
def test_calendar_against_new_york_sessions_differs_by_known_counts(
    value: pd.Series, sessions: pd.DatetimeIndex, series: str, absent: int, extra: int
) -> None:
    """Each series lacks, and has beside the sessions of its span, what the README says."""
    days = value[series].index
    inside = sessions[(sessions >= days.min()) & (sessions <= days.max())]

    assert len(inside.difference(days)) == absent
    assert len(days.difference(inside)) == extra


def test_oil_prices_on_early_holidays_repeat_the_day_before(
    value: pd.Series, sessions: pd.DatetimeIndex
) -> None:
    """Of the 21 oil prices on New York's holidays before 1993, all but one are stale copies."""
    wti = value["wti"]
    holidays = wti.index.difference(sessions)
    early = holidays[holidays < pd.Timestamp("1993-01-01")]

    assert len(early) == 21
    changed = wti.diff()[early].ne(0)
    assert list(early[changed]) == [pd.Timestamp("1989-07-04")]


def test_days_with_all_daily_series_have_known_count(table: pd.DataFrame) -> None:
    """All seven daily series have a value on 1,241 days."""
    daily = table[table["series"].isin(DAILY)]

    assert int((daily.groupby("date").size() == len(DAILY)).sum()) == 1_241


def test_sp500_equals_closes_of_another_source(value: pd.Series) -> None:
    """From 1999 to 2018 the index equals what arch carries, up to its single precision."""
    other = arch_sp500.load()["Close"]
    own = value["sp500"][other.index]

    assert len(other) == 5_031
    assert float((own - other).abs().max()) < 2.0**-13  # half a step of single precision


def test_cross_rates_multiply_to_the_published_euro_rate(value: pd.Series) -> None:
    """The pound and the yen have the euro rate's days, and undo to the published quotes."""
    euro = value["eur_usd"]

    assert value["gbp_usd"].index.equals(euro.index)
    assert value["usd_jpy"].index.equals(euro.index)
    pounds = (euro / value["gbp_usd"]).to_numpy()
    yen = (euro * value["usd_jpy"]).to_numpy()
    np.testing.assert_allclose(pounds, pounds.round(5), rtol=0, atol=1e-12)
    np.testing.assert_allclose(yen, yen.round(2), rtol=0, atol=1e-10)


# --- Monthly series -------------------------------------------------------------------------


@pytest.mark.parametrize("series", MONTHLY)
def test_monthly_series_have_every_month_end(value: pd.Series, series: str) -> None:
    """A monthly series has one row at each calendar month's end of its span."""
    expected = pd.date_range(*SPANS[series], freq="ME")

    assert list(value[series].index) == list(expected)


@pytest.mark.parametrize(
    ("month", "percent"),
    [
        ("1926-07-31", 2.96 + 0.22),
        ("1931-09-30", -29.13 + 0.03),
        ("1933-04-30", 38.85 + 0.10),
        ("1987-10-31", -23.24 + 0.60),
        ("2018-11-30", 1.69 + 0.18),
    ],
)
def test_return_of_the_market_in_known_month_equals_source(
    value: pd.Series, month: str, percent: float
) -> None:
    """The index gives back the excess return plus the riskless rate of its month."""
    change = value["us_equity_monthly"].pct_change()

    assert 100 * change[pd.Timestamp(month)] == pytest.approx(percent, abs=1e-10)


def test_yield_of_lower_grade_exceeds_that_of_highest(value: pd.Series) -> None:
    """Baa bonds yield more than Aaa bonds in every month."""
    assert (value["yield_baa"] > value["yield_aaa"]).all()


@pytest.mark.parametrize(
    ("first", "last", "mean"), [("1960", "1996", 0.277), ("2000", "2018", -0.038)]
)
def test_correlation_of_equity_and_bonds_falls_after_the_nineties(
    value: pd.Series, first: str, last: str, mean: float
) -> None:
    """Three years' correlations of stocks and 20-year Aaa bonds average what the README says."""
    equity = np.log(value["us_equity_monthly"]).diff()
    together = pd.concat([equity, bond_log_return(value["yield_aaa"], 20)], axis=1, sort=True)
    together.columns = ["equity", "bond"]
    together = together.dropna()
    rolling = together["equity"].rolling(36).corr(together["bond"])

    assert rolling[first:last].mean() == pytest.approx(mean, abs=5e-4)


def bond_log_return(percent: pd.Series, years: int) -> pd.Series:
    """Approximate the monthly log return of a par bond by carry, duration and convexity."""
    level = percent / 100
    coupon = level.shift()
    change = level - coupon
    final = (1 + coupon / 2) ** (-2 * years)
    duration = (1 - final) / coupon
    convexity = 2 * (1 - final) / coupon**2 - 2 * years * final / (coupon * (1 + coupon / 2))
    return np.log1p(coupon / 12 - duration * change + convexity * change**2 / 2)
