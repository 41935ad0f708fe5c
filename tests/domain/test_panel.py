"""Tables become frames, frames become tables, levels become returns: nothing is invented."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal

from tidemark.domain.panel import pivot_long, price_levels, simple_returns, stack_wide

DAYS = pd.to_datetime(["2019-01-02", "2019-01-03", "2019-01-04"]).as_unit("ns")
SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 4))
LEVELS = st.one_of(st.just(float("nan")), st.floats(0.01, 1e6))
CELLS = st.one_of(st.just(float("nan")), st.floats(-0.5, 0.5, allow_subnormal=False))


def long_table() -> pd.DataFrame:
    """Make an unsorted long table: A has no row on the second day, B no value on the third."""
    return pd.DataFrame(
        {
            "date": DAYS[[2, 0, 0, 1, 2]],
            "ticker": ["B", "B", "A", "B", "A"],
            "close": [np.nan, 20.0, 10.0, 21.0, 12.0],
        }
    )


def test_pivot_long_unsorted_table_sorts_and_leaves_gaps_missing() -> None:
    """Rows that are absent and values that are blank are both NaN in a sorted frame."""
    wide = pivot_long(long_table(), "ticker", "close")
    assert list(wide.index) == list(DAYS)
    assert list(wide.columns) == ["A", "B"]
    assert_allclose(wide.to_numpy(), [[10.0, 20.0], [np.nan, 21.0], [12.0, np.nan]])


def test_pivot_long_repeated_pair_raises() -> None:
    """Two rows of one date and name have no single cell to go to."""
    table = pd.concat([long_table(), long_table().head(1)])
    with pytest.raises(ValueError, match="duplicate"):
        pivot_long(table, "ticker", "close")


def test_pivot_long_whole_numbers_become_floats() -> None:
    """A column of integers gives float64, so that gaps can be NaN."""
    table = pd.DataFrame({"date": DAYS[:2], "ticker": "A", "close": [1, 2]})
    assert pivot_long(table, "ticker", "close").dtypes.tolist() == [np.dtype("float64")]


def test_pivot_long_empty_table_gives_empty_frame() -> None:
    """A table without rows has neither sessions nor names."""
    table = long_table().iloc[:0]
    assert pivot_long(table, "ticker", "close").shape == (0, 0)


@settings(max_examples=40, deadline=None)
@given(values=SHAPES.flatmap(lambda shape: arrays("float64", shape, elements=CELLS)))
def test_stack_wide_round_trip_gives_the_frame_back(values: np.ndarray) -> None:
    """Stacking every cell and pivoting again changes no bit."""
    index = pd.date_range("2019-01-02", periods=len(values), unit="ns", name="date")
    columns = pd.Index([f"T{number}" for number in range(values.shape[1])], name="ticker")
    wide = pd.DataFrame(values, index=index, columns=columns)
    table = stack_wide({"ret": wide}, "ticker", pd.DataFrame(True, index=index, columns=columns))
    assert len(table) == values.size
    assert_frame_equal(pivot_long(table, "ticker", "ret"), wide, check_freq=False, check_exact=True)


def test_stack_wide_mask_keeps_the_marked_cells_only_sorted_by_date_then_name() -> None:
    """Rows come by date, then name, and only from cells that are to be kept."""
    wide = pivot_long(long_table(), "ticker", "close")
    table = stack_wide({"close": wide, "known": wide.notna()}, "ticker", wide > 10.0)
    assert table["date"].to_list() == [DAYS[0], DAYS[1], DAYS[2]]
    assert table["ticker"].to_list() == ["B", "B", "A"]
    assert table["close"].to_list() == [20.0, 21.0, 12.0]
    assert table["known"].dtype == np.dtype("bool")
    assert list(table) == ["date", "ticker", "close", "known"]


def test_stack_wide_nothing_kept_gives_a_table_that_pivots() -> None:
    """An empty selection is a table with the right columns, which pivots to an empty frame."""
    wide = pivot_long(long_table(), "ticker", "close")
    table = stack_wide({"close": wide}, "ticker", wide > 1e9)
    assert list(table) == ["date", "ticker", "close"]
    assert pivot_long(table, "ticker", "close").shape == (0, 0)


def test_price_levels_adjusted_closes_given_are_taken_and_never_mixed_with_closes() -> None:
    """With `adj_close` in the table, a missing adjusted close is NaN and not the close."""
    prices = long_table().assign(adj_close=[1.0, 2.0, np.nan, 4.0, 5.0])
    levels = price_levels(prices)
    assert_allclose(levels.to_numpy(), [[np.nan, 2.0], [np.nan, 4.0], [5.0, 1.0]])


def test_price_levels_without_adjusted_closes_takes_closes() -> None:
    """Without `adj_close` the closes are the levels."""
    assert_frame_equal(price_levels(long_table()), pivot_long(long_table(), "ticker", "close"))


@settings(max_examples=40, deadline=None)
@given(values=SHAPES.flatmap(lambda shape: arrays("float64", shape, elements=LEVELS)))
def test_simple_returns_agree_with_pct_change(values: np.ndarray) -> None:
    """Pandas' own percentage change, without filling, gives the same returns."""
    levels = pd.DataFrame(values)
    expected = levels.pct_change(fill_method=None)
    assert_allclose(simple_returns(levels), expected, rtol=1e-12, atol=1e-15)


def test_simple_returns_gap_gives_two_missing_returns() -> None:
    """A missing level takes the return into it and the return out of it."""
    levels = pd.DataFrame({"A": [100.0, 110.0, np.nan, 99.0, 49.5]}, index=range(5))
    assert_allclose(simple_returns(levels)["A"], [np.nan, 0.1, np.nan, np.nan, -0.5])


def test_simple_returns_from_zero_level_are_missing_not_infinite() -> None:
    """Nothing can be earned on a level of zero."""
    levels = pd.DataFrame({"A": [0.0, 5.0, 0.0, 0.0]})
    assert_allclose(simple_returns(levels)["A"], [np.nan, np.nan, -1.0, np.nan])


def test_simple_returns_whole_number_levels_are_computed() -> None:
    """Levels of an integer type are levels too."""
    assert_allclose(simple_returns(pd.DataFrame({"A": [100, 110]}))["A"], [np.nan, 0.1])


def test_simple_returns_empty_frame_stays_empty() -> None:
    """No sessions, no returns."""
    empty = pd.DataFrame({"A": pd.Series(dtype="float64")})
    assert simple_returns(empty).shape == (0, 1)


def test_panel_functions_leave_inputs_unchanged() -> None:
    """Neither the long table nor the wide frame is written to."""
    prices = long_table()
    wide = pivot_long(prices, "ticker", "close")
    keep = wide.notna()
    before = prices.copy(deep=True), wide.copy(deep=True), keep.copy(deep=True)
    price_levels(prices)
    simple_returns(wide)
    stack_wide({"close": wide}, "ticker", keep)
    assert_frame_equal(prices, before[0])
    assert_frame_equal(wide, before[1])
    assert_frame_equal(keep, before[2])
