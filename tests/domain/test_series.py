"""Definitions contradict themselves in no attribute; tables of any form become one long table."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pandas.testing import assert_frame_equal

from tidemark.domain.series import (
    SeriesDefinition,
    index_definitions,
    normalise_name,
    read_levels,
)

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
DAYS = ["2019-01-02", "2019-01-03"]
PRICE = {"name": "spy", "kind": "price", "treatment": "log_return", "calendar": "XNYS"}
YIELD = {"name": "us10y", "kind": "yield", "treatment": "difference", "calendar": "weekdays"}
FX = {**PRICE, "name": "eur_usd", "kind": "fx", "currency": "EUR", "quote_currency": "USD"}


def define(base: dict[str, Any], **changes: Any) -> SeriesDefinition:
    """Define a series, some attributes changed."""
    return SeriesDefinition(**{**base, **changes})


def rows_of(levels: pd.DataFrame) -> list[tuple[str, str, float]]:
    """Write a long table as tuples."""
    return [(f"{day:%Y-%m-%d}", name, value) for day, name, value in levels.itertuples(index=False)]


@pytest.mark.parametrize(
    ("base", "changes", "message"),
    [
        (PRICE, {"name": "SPY"}, "form 'spy'"),
        (PRICE, {"name": ""}, "the name must be"),
        (PRICE, {"kind": "stock"}, "kind 'stock' does not exist"),
        (PRICE, {"treatment": "bond_return"}, "'bond_return' does not suit kind 'price'"),
        (YIELD, {"treatment": "log_return"}, "take difference or bond_return"),
        (YIELD, {"treatment": "bond_return"}, "needs maturity_years"),
        (YIELD, {"maturity_years": 0}, "must exceed 0"),
        (YIELD, {"maturity_years": float("nan")}, "must exceed 0"),
        (PRICE, {"maturity_years": 10}, "only a yield"),
        (FX, {"quote_currency": None}, "quote_currency is needed"),
        (FX, {"quote_currency": "EUR"}, "must differ"),
        (PRICE, {"quote_currency": "EUR"}, "for no other"),
        (PRICE, {"currency": "usd"}, "in capitals"),
        (PRICE, {"sign": 0}, "1 or -1"),
        (PRICE, {"low": 1.0, "high": 1.0}, "low must lie below high"),
        (PRICE, {"low": float("nan")}, "low must lie below high"),
        (PRICE, {"calendar": ""}, "calendar is empty"),
        (PRICE, {"calendar": "months"}, "monthly series have calendar 'months'"),
        (PRICE, {"frequency": "monthly"}, "monthly series have calendar 'months'"),
        (PRICE, {"frequency": "weekly"}, "'weekly' does not exist"),
    ],
)
def test_series_definition_contradiction_is_refused(
    base: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    """What cannot be meant is refused with the series' name and a remedy."""
    assert define(base)
    with pytest.raises(ValueError, match=message):
        define(base, **changes)


def test_index_definitions_keeps_the_order_and_refuses_none_and_two_of_one_name() -> None:
    """Definitions are looked up by unique names."""
    assert list(index_definitions([define(YIELD), define(PRICE)])) == ["us10y", "spy"]
    with pytest.raises(ValueError, match="spy is defined more than once"):
        index_definitions([define(PRICE), define(YIELD), define(PRICE)])
    with pytest.raises(ValueError, match="No series is defined"):
        index_definitions([])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("SPY", "spy"), ("BTC-USD", "btc_usd"), (" EURUSD=X ", "eurusd_x"), ("^GSPC", "_gspc")],
)
def test_normalise_name_leaves_letters_digits_and_underscores(name: str, expected: str) -> None:
    """Every other character becomes one underscore."""
    assert normalise_name(name) == expected


def test_read_levels_long_table_keeps_duplicates_and_leaves_blanks_out() -> None:
    """Rows are sorted, repeated ones stay in their order, and blanks are no observations."""
    table = pd.DataFrame(
        {
            "Date": ["2019-01-03", "2019-01-02", "2019-01-02", "2019-01-03", "2019-01-03"],
            "series": ["DGS10", "DGS10", "DGS10", "SPY", "VIX"],
            "value": ["2.56", "2.66", "2.65", ".", ""],
            "vintage": "2019-02-01",
        }
    )
    levels = read_levels(table)
    assert list(levels) == ["date", "series", "value"]
    assert rows_of(levels) == [
        ("2019-01-02", "dgs10", 2.66),
        ("2019-01-02", "dgs10", 2.65),
        ("2019-01-03", "dgs10", 2.56),
    ]
    assert levels.dtypes.astype("str").to_list() == ["datetime64[ns]", "str", "float64"]


@pytest.mark.parametrize(("column", "value"), [("adj_close", 9.0), ("volume", 10.0)])
def test_read_levels_price_panel_takes_adjusted_closes_where_given(
    column: str, value: float
) -> None:
    """Of a table of prices the adjusted closes count, or the closes without them."""
    table = pd.DataFrame({"date": DAYS, "ticker": "SPY", "close": 10.0, column: 9.0})
    assert rows_of(read_levels(table)) == [(day, "spy", value) for day in DAYS]


def test_read_levels_missing_adjusted_close_is_not_replaced_by_the_close() -> None:
    """A mixture of the two would show a return that nobody earned."""
    table = pd.DataFrame({"date": DAYS, "ticker": "SPY", "close": 10.0, "adj_close": [9.0, None]})
    assert rows_of(read_levels(table)) == [("2019-01-02", "spy", 9.0)]


@pytest.mark.parametrize(
    "wide",
    [
        pd.DataFrame({"date": DAYS, "SPY": [1.0, 2.0], "BTC-USD": [3, 4]}),
        pd.DataFrame({"SPY": [1.0, 2.0], "observation_date": DAYS, "BTC-USD": ["3", "4"]}),
        pd.DataFrame({"SPY": [1.0, 2.0], "BTC-USD": [3, 4]}, index=pd.to_datetime(DAYS)),
        pd.DataFrame({"SPY": [1.0, 2.0], "BTC-USD": [3, 4]}, index=pd.Index(DAYS, name="Date")),
    ],
)
def test_read_levels_wide_table_of_any_form_gives_the_same_rows(wide: pd.DataFrame) -> None:
    """Dates may be a column or the index; each other column is a series."""
    assert rows_of(read_levels(wide)) == [
        ("2019-01-02", "btc_usd", 3.0),
        ("2019-01-02", "spy", 1.0),
        ("2019-01-03", "btc_usd", 4.0),
        ("2019-01-03", "spy", 2.0),
    ]


@pytest.mark.parametrize(
    "moment",
    [
        "2019-01-02",
        "20190102",
        20190102,
        date(2019, 1, 2),
        "2019-01-02 23:30:00-05:00",
        pd.Timestamp("2019-01-02 23:30", tz="America/New_York"),
        pd.Timestamp("2019-01-02 16:00"),
    ],
)
def test_read_levels_moment_counts_on_the_day_its_own_clock_shows(moment: object) -> None:
    """Late evening in New York is no next day, whatever the time in Greenwich."""
    assert rows_of(read_levels(pd.DataFrame({"date": [moment], "spy": [1.0]}))) == [
        ("2019-01-02", "spy", 1.0)
    ]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"date": ["today"], "spy": [1.0]}, "'today'.*YYYY-MM-DD"),
        ({"date": ["02/01/2019"], "spy": [1.0]}, "cannot be read"),
        ({"date": ["2019-02-30"], "spy": [1.0]}, "cannot be read"),
        ({"date": [None], "spy": [1.0]}, "1 dates"),
        ({"date": ["0001-01-01"], "spy": [1.0]}, "cannot be read"),
        ({"date": DAYS, "spy": [1.0, "n/a"]}, "spy='n/a' on 2019-01-03"),
        ({"date": DAYS, "spy": [1.0, float("inf")]}, "spy=inf on 2019-01-03"),
        ({"date": DAYS, "spy": [1.0, 2.0], "halted": [True, False]}, "halted"),
        ({"date": DAYS, "halted": [True, False]}, "halted"),
        ({"date": DAYS, "spy": [1.0, 2.0], "expiry": pd.to_datetime(DAYS)}, "expiry"),
        ({"date": DAYS, "expiry": pd.to_datetime(DAYS)}, "expiry"),
        ({"date": DAYS, "SPY": [1.0, 2.0], "spy": [1.0, 2.0]}, "'SPY', 'spy' all become"),
        ({"date": DAYS, "series": ["a-b", "a_b"], "value": [1.0, 2.0]}, "become the series 'a_b'"),
        ({"date": DAYS, "series": ["a", None], "value": [1.0, 2.0]}, "without a name"),
        ({"date": DAYS, "series": ["a", " "], "value": [1.0, 2.0]}, "without a name"),
        ({"date": DAYS, "value": [1.0, 2.0]}, "name no series"),
        ({"date": DAYS}, "name no series"),
        ({"date": DAYS, "series": ["a", "a"], "level": [1.0, 2.0]}, "Give a long table"),
        ({"date": DAYS, "series": "a", "value": 1.0, "unit": "%"}, "Give a long table"),
        ({"date": DAYS, "ticker": "A", "price": [1.0, 2.0]}, "Give a long table"),
        ({"spy": [1.0, 2.0]}, "0 date columns"),
        ({"date": DAYS, "observation_date": DAYS, "spy": [1.0, 2.0]}, "2 date columns"),
    ],
)
def test_read_levels_unreadable_table_is_refused(table: dict[str, Any], message: str) -> None:
    """What cannot be read is named with its place and a remedy."""
    with pytest.raises(ValueError, match=message):
        read_levels(pd.DataFrame(table))


def test_read_levels_columns_of_several_levels_are_refused() -> None:
    """A frame of fields by tickers has to be made long first."""
    columns = pd.MultiIndex.from_tuples([("Close", "SPY"), ("Close", "TLT")])
    with pytest.raises(ValueError, match="several levels"):
        read_levels(pd.DataFrame([[1.0, 2.0]], pd.to_datetime(DAYS[:1]), columns))


def test_read_levels_table_without_rows_stays_without_rows() -> None:
    """No rows are no error here: the checks see which series is missing."""
    empty = pd.DataFrame({"date": pd.Series(dtype="str"), "series": [], "value": []})
    assert read_levels(empty).shape == (0, 3)


@settings(max_examples=40, deadline=None)
@given(
    values=st.tuples(st.integers(1, 8), st.integers(1, 4)).flatmap(
        lambda shape: arrays(
            "float64", shape, elements=st.one_of(st.just(np.nan), st.floats(-1e9, 1e9))
        )
    )
)
def test_read_levels_wide_and_long_forms_agree(values: np.ndarray) -> None:
    """Pandas' own melt of a wide table gives the same levels; the input is only read."""
    wide = pd.DataFrame(values, columns=[f"s{place}" for place in range(values.shape[1])])
    wide.insert(0, "date", pd.date_range("2019-01-02", periods=len(values)))
    before = wide.copy(deep=True)
    long = wide.melt("date", var_name="series", value_name="value")
    assert_frame_equal(read_levels(wide), read_levels(long))
    assert len(read_levels(wide)) == int(np.isfinite(values).sum())
    assert_frame_equal(wide, before)


def test_read_levels_recorded_tables_are_read() -> None:
    """FRED's columns and a wide table of funds come out as counted in the files."""
    fred, funds = SHARED / "cross_asset/fred/DGS10.csv", SHARED / "cross_asset"
    if not fred.exists():
        pytest.skip("recorded market data is absent")
    dgs10 = read_levels(pd.read_csv(fred).rename(columns={"value": "DGS10"}))
    assert rows_of(dgs10)[0] == ("1980-01-02", "dgs10", 10.5)  # New Year's Day is blank
    wide = pd.read_parquet(funds / "fintix_etf_adjclose.parquet")
    levels = read_levels(wide)
    assert len(levels) == int(wide.drop(columns="date").notna().to_numpy().sum())
    assert levels["series"].nunique() == 35
