"""Forecasts that need no model use what is known at the close, and nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal

from tidemark.domain.baselines import LAST_VALUE, NESTED, TRAILING_MEAN, ZERO, forecast_returns
from tidemark.domain.panel import live_cells, price_levels, simple_returns
from tidemark.pipelines.data_engineering.returns.nodes import forecast
from tidemark.pipelines.data_engineering.returns.params import BaselineParams

NAN = float("nan")
NAMES = [ZERO, TRAILING_MEAN, LAST_VALUE]
CELLS = st.one_of(st.just(NAN), *[st.floats(-0.2, 0.2, allow_subnormal=False)] * 5)
PANELS = st.integers(4, 25).flatmap(lambda rows: arrays("float64", (rows, 2), elements=CELLS))


def wide(values: np.ndarray) -> pd.DataFrame:
    """Make a wide frame on weekdays from 2 January 2019."""
    index = pd.bdate_range("2019-01-02", periods=len(values), name="date").as_unit("ns")
    return pd.DataFrame(values, index=index, columns=list("AB")[: values.shape[1]])


def everywhere(returns: pd.DataFrame) -> pd.DataFrame:
    """Say that every cell lives."""
    return pd.DataFrame(True, index=returns.index, columns=returns.columns)


def test_forecast_returns_known_values() -> None:
    """Nothing, the mean of the last three returns that there are, and the last of them."""
    returns = wide(np.array([[NAN], [0.03], [0.06], [NAN], [0.12], [0.00]]))
    table = forecast_returns(returns, everywhere(returns), 3)
    assert list(table) == ["date", "ticker", *NAMES]
    assert_allclose(table[ZERO], [NAN, 0, 0, 0, 0, 0])
    # 0.12 and its three sessions: two returns, 0.06 and 0.12, make its mean
    assert_allclose(table[TRAILING_MEAN], [NAN, 0.03, 0.045, 0.045, 0.09, 0.06])
    assert_allclose(table[LAST_VALUE], [NAN, 0.03, 0.06, 0.06, 0.12, 0.0])


def test_forecast_returns_gap_that_is_longer_than_the_window_keeps_the_last_mean() -> None:
    """A mean of nothing is not zero: the last one that there was stands."""
    returns = wide(np.array([[0.02], [0.04], [NAN], [NAN], [NAN], [0.01]]))
    table = forecast_returns(returns, everywhere(returns), 2)
    assert_allclose(table[TRAILING_MEAN], [0.02, 0.03, 0.04, 0.04, 0.04, 0.01])


def test_forecast_returns_rows_are_the_live_cells_only() -> None:
    """A ticker that has not begun, or has ended, has no row and no forecast."""
    returns = wide(np.array([[0.01, NAN], [0.02, 0.05], [0.03, NAN]]))
    table = forecast_returns(returns, returns.notna(), 5)
    assert table[["date", "ticker"]].to_numpy().tolist() == [
        [day, name] for day, name in zip(returns.index[[0, 1, 1, 2]], "AABA", strict=True)
    ]
    assert table[LAST_VALUE].tolist() == [0.01, 0.02, 0.05, 0.03]
    assert table[NAMES].notna().all(axis=None)


def test_forecast_returns_one_date_and_one_return() -> None:
    """One return is its own mean; none gives no forecast at all."""
    returns = wide(np.array([[0.04, NAN]]))
    table = forecast_returns(returns, everywhere(returns), 252)
    assert table[NAMES].to_numpy()[0].tolist() == [0.0, 0.04, 0.04]
    assert table[NAMES].iloc[1].isna().all()


def test_forecast_returns_of_constant_returns_are_the_constant() -> None:
    """Over a long constant series no rounding creeps into the mean."""
    returns = wide(np.full((600, 1), 0.001))
    table = forecast_returns(returns, everywhere(returns), 252)
    assert_allclose(table[TRAILING_MEAN], 0.001, rtol=1e-12)


@settings(max_examples=50, deadline=None)
@given(values=PANELS, days=st.integers(2, 6))
def test_forecast_returns_agree_with_an_explicit_loop(values: np.ndarray, days: int) -> None:
    """Cell by cell from slices of the past gives the same table."""
    returns = wide(values)
    expected = np.full((len(values), 2, 3), NAN)
    for row in range(len(values)):
        for column in range(2):
            known = values[: row + 1, column]
            known = known[~np.isnan(known)]
            if len(known):
                window = values[max(0, row + 1 - days) : row + 1, column]
                blank = np.isnan(window).all()
                mean = expected[row - 1, column, 1] if blank else np.nanmean(window)
                expected[row, column] = 0.0, mean, known[-1]
    table = forecast_returns(returns, everywhere(returns), days)
    # a window that slides carries a rounding error of its largest value along
    assert_allclose(table[NAMES], expected.reshape(-1, 3), rtol=1e-9, atol=1e-15)


@settings(max_examples=50, deadline=None)
@given(values=PANELS, data=st.data())
def test_forecast_returns_other_future_leaves_the_past_bit_identical(
    values: np.ndarray, data: st.DataObject
) -> None:
    """Altering or cutting off everything after a session changes no forecast made by then."""
    cut = data.draw(st.integers(1, len(values) - 1))
    other = values.copy()
    other[cut:] = data.draw(arrays("float64", other[cut:].shape, elements=CELLS))
    last = wide(values).index[cut - 1]
    tables = []
    for variant in (values, other, values[:cut]):
        returns = wide(variant)
        table = forecast_returns(returns, everywhere(returns), 3)
        tables.append(table[table["date"] <= last])
    for later in tables[1:]:
        assert_frame_equal(later, tables[0])
        assert later[NAMES].to_numpy().tobytes() == tables[0][NAMES].to_numpy().tobytes()


def test_forecast_node_looks_at_untreated_adjusted_prices() -> None:
    """The node's forecasts are those of the returns that are scored, in long form."""
    days = pd.bdate_range("2019-01-02", periods=40).as_unit("ns")
    rng = np.random.default_rng(4)
    prices = pd.DataFrame(
        {
            "date": np.repeat(days, 2),
            "ticker": ["A", "B"] * 40,
            "close": 1.0,
            "adj_close": rng.uniform(50, 100, 80),
        }
    ).drop(index=[0, 2, 41])
    before = prices.copy(deep=True)
    table = forecast(prices, BaselineParams(trailing_mean_days=10))
    levels = price_levels(prices)
    assert_frame_equal(table, forecast_returns(simple_returns(levels), live_cells(levels), 10))
    assert_frame_equal(prices, before)
    assert table[LAST_VALUE].abs().max() > 0.1


def test_nested_baselines_are_those_that_a_regression_can_become() -> None:
    """With all its weights zero a pooled regression forecasts zero; a mean is each stock's own."""
    assert NESTED == (ZERO,)


def test_baseline_parameters_of_a_window_of_one_are_refused() -> None:
    """The mean of one return is the last value, which is a baseline already."""
    with pytest.raises(ValueError, match="trailing_mean_days"):
        BaselineParams(trailing_mean_days=1)
