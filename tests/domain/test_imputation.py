"""Missing returns are filled from the past, and from what was observed alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal

from tidemark.domain.imputation import impute_returns, missing_rate, trailing_center

NAN = float("nan")
CELLS = st.one_of(st.just(NAN), st.floats(-0.5, 0.5, allow_subnormal=False))
PANELS = st.tuples(st.integers(2, 25), st.integers(1, 3)).flatmap(
    lambda shape: arrays("float64", shape, elements=CELLS)
)
METHODS = st.sampled_from(["mean", "median"])


def all_live(returns: pd.DataFrame) -> pd.DataFrame:
    """Mark every cell."""
    return pd.DataFrame(True, index=returns.index, columns=returns.columns)


def test_impute_returns_mean_fills_with_trailing_mean() -> None:
    """A blank takes the mean of the values in the window before it."""
    returns = pd.DataFrame({"A": [0.01, 0.03, NAN, 0.05, NAN]})
    filled = impute_returns(returns, all_live(returns), "mean", 3)
    assert_allclose(filled["A"], [0.01, 0.03, 0.02, 0.05, 0.04])


def test_impute_returns_median_fills_with_trailing_median() -> None:
    """A blank takes the median of the values in the window before it."""
    returns = pd.DataFrame({"A": [0.01, 0.02, 0.90, NAN]})
    filled = impute_returns(returns, all_live(returns), "median", 3)
    assert_allclose(filled["A"], [0.01, 0.02, 0.90, 0.02])


def test_impute_returns_filled_values_never_enter_a_later_window() -> None:
    """A window that holds only blanks falls back to zero, not to what was filled in."""
    returns = pd.DataFrame({"A": [0.02, NAN, NAN, 0.04]})
    filled = impute_returns(returns, all_live(returns), "mean", 1)
    assert_allclose(filled["A"], [0.02, 0.02, 0.0, 0.04])


def test_impute_returns_without_a_past_fills_zero() -> None:
    """Nothing is known before the first value: the forecast is zero."""
    returns = pd.DataFrame({"A": [NAN, NAN, 0.04]})
    filled = impute_returns(returns, all_live(returns), "median", 5)
    assert_allclose(filled["A"], [0.0, 0.0, 0.04])


def test_impute_returns_outside_life_stays_missing() -> None:
    """Before a late listing and after a delisting there is no return to fill."""
    returns = pd.DataFrame({"late": [NAN, NAN, 0.1, 0.2], "gone": [0.1, NAN, NAN, NAN]})
    live = pd.DataFrame({"late": [False, True, True, True], "gone": [True, True, False, False]})
    filled = impute_returns(returns, live, "mean", 3)
    assert_allclose(filled["late"], [NAN, 0.0, 0.1, 0.2])
    assert_allclose(filled["gone"], [0.1, 0.1, NAN, NAN])


@settings(max_examples=50, deadline=None)
@given(values=PANELS, method=METHODS, window=st.integers(1, 8))
def test_impute_returns_agrees_with_an_explicit_loop(
    values: np.ndarray, method: str, window: int
) -> None:
    """Cell by cell over the observed values of the trailing window gives the same frame."""
    returns = pd.DataFrame(values)
    expected = values.copy()
    for row, column in np.ndindex(values.shape):
        if np.isnan(values[row, column]):
            past = values[max(0, row - window) : row, column]
            past = past[~np.isnan(past)]
            center = np.mean if method == "mean" else np.median
            expected[row, column] = center(past) if len(past) else 0.0
    filled = impute_returns(returns, all_live(returns), method, window)
    assert_allclose(filled, expected, rtol=1e-9, atol=1e-15)


@settings(max_examples=50, deadline=None)
@given(values=PANELS, method=METHODS, window=st.integers(1, 8), data=st.data())
def test_impute_returns_other_future_leaves_the_past_bit_identical(
    values: np.ndarray, method: str, window: int, data: st.DataObject
) -> None:
    """Altering or cutting off everything after a row changes no bit up to that row."""
    cut = data.draw(st.integers(1, len(values) - 1))
    other = values.copy()
    other[cut:] = data.draw(arrays("float64", other[cut:].shape, elements=CELLS))
    results = []
    for variant in (values, other, values[:cut]):
        returns = pd.DataFrame(variant)
        filled = impute_returns(returns, all_live(returns), method, window)
        results.append(filled.to_numpy()[:cut].tobytes())
    assert results[0] == results[1] == results[2]


@settings(max_examples=30, deadline=None)
@given(values=PANELS, method=METHODS, window=st.integers(1, 8))
def test_impute_returns_observed_cells_keep_their_bits(
    values: np.ndarray, method: str, window: int
) -> None:
    """What was observed is never touched, and every live cell is finite afterwards."""
    returns = pd.DataFrame(values)
    filled = impute_returns(returns, all_live(returns), method, window).to_numpy()
    seen = ~np.isnan(values)
    assert filled[seen].tobytes() == values[seen].tobytes()
    assert np.isfinite(filled).all()


def test_trailing_center_leaves_the_present_row_out() -> None:
    """An extreme value today does not move today's center."""
    returns = pd.DataFrame({"A": [0.01, 0.01, 9.0, 0.0]})
    assert_allclose(trailing_center(returns, "mean", 2)["A"], [0.0, 0.01, 0.01, 4.505])


def test_missing_rate_counts_live_cells_only() -> None:
    """One blank of four live cells is a quarter, whatever lies outside life."""
    returns = pd.DataFrame({"A": [NAN, 0.1, NAN], "B": [0.1, 0.2, 0.3]})
    live = pd.DataFrame({"A": [False, True, True], "B": [True, True, False]})
    assert missing_rate(returns, live) == 0.25


def test_missing_rate_nothing_alive_is_zero() -> None:
    """Without live cells none is missing."""
    returns = pd.DataFrame({"A": [NAN]})
    assert missing_rate(returns, returns.notna()) == 0.0


@pytest.mark.parametrize("method", ["mean", "median"])
def test_imputation_leaves_inputs_unchanged(method: str) -> None:
    """The returns and the mask are only read."""
    returns = pd.DataFrame({"A": [0.1, NAN, 0.3]})
    live = all_live(returns)
    before = returns.copy(deep=True), live.copy(deep=True)
    impute_returns(returns, live, method, 2)
    missing_rate(returns, live)
    assert_frame_equal(returns, before[0])
    assert_frame_equal(live, before[1])
