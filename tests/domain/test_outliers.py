"""Outlying returns are held back at bounds of the past, and only those."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal

from tidemark.domain.outliers import clip_at, trailing_iqr_fences, trailing_quantiles

NAN = float("nan")
CELLS = st.one_of(st.just(NAN), st.floats(-0.5, 0.5, allow_subnormal=False))
PANELS = st.tuples(st.integers(2, 25), st.integers(1, 3)).flatmap(
    lambda shape: arrays("float64", shape, elements=CELLS)
)
WINDOWS = st.integers(2, 10)


def loop_quantile(values: np.ndarray, share: float, window: int, least: int) -> np.ndarray:
    """Compute trailing quantiles cell by cell, the present row left out."""
    found = np.full_like(values, np.nan)
    for row, column in np.ndindex(values.shape):
        past = values[max(0, row - window) : row, column]
        past = past[~np.isnan(past)]
        if len(past) >= least:
            found[row, column] = np.quantile(past, share)
    return found


def test_trailing_iqr_fences_known_window_gives_tukeys_fences() -> None:
    """Quartiles of 1, 2, 3, 4, 5 are 2 and 4: with a multiple of 1.5 the fences are -1 and 7."""
    returns = pd.DataFrame({"A": [1.0, 2.0, 3.0, 4.0, 5.0, 100.0]})
    lower, upper = trailing_iqr_fences(returns, 5, 1.5, 5)
    assert_allclose(lower["A"], [NAN, NAN, NAN, NAN, NAN, -1.0])
    assert_allclose(upper["A"], [NAN, NAN, NAN, NAN, NAN, 7.0])


def test_trailing_iqr_fences_too_few_returns_give_no_fence() -> None:
    """Blanks do not count towards the returns that a window must hold."""
    returns = pd.DataFrame({"A": [0.1, NAN, 0.2, NAN, 0.3, 0.4]})
    lower, _ = trailing_iqr_fences(returns, 4, 1.5, 3)
    assert lower["A"].isna().to_list() == [True, True, True, True, True, True]
    lower, _ = trailing_iqr_fences(returns, 4, 1.5, 2)
    assert lower["A"].isna().to_list() == [True, True, True, False, False, False]


def test_trailing_iqr_fences_price_that_stood_still_has_no_fence() -> None:
    """After ten flat closes the first real move is not held back at zero."""
    returns = pd.DataFrame({"A": [0.0] * 10 + [0.01, 0.02]})
    lower, upper = trailing_iqr_fences(returns, 10, 3.0, 5)
    assert lower["A"].isna().all()
    assert upper["A"].isna().all()


@settings(max_examples=50, deadline=None)
@given(values=PANELS, window=WINDOWS, multiple=st.floats(0.5, 4.0), data=st.data())
def test_trailing_iqr_fences_agree_with_a_quantile_loop(
    values: np.ndarray, window: int, multiple: float, data: st.DataObject
) -> None:
    """NumPy's quantiles over each window give the same fences."""
    least = data.draw(st.integers(1, window))
    lower, upper = trailing_iqr_fences(pd.DataFrame(values), window, multiple, least)
    first = loop_quantile(values, 0.25, window, least)
    third = loop_quantile(values, 0.75, window, least)
    moved = third - first > 1e-12  # a price that stood still has no fence
    reach = multiple * (third - first)
    assert_allclose(lower.to_numpy()[moved], (first - reach)[moved], rtol=1e-9, atol=1e-14)
    assert_allclose(upper.to_numpy()[moved], (third + reach)[moved], rtol=1e-9, atol=1e-14)
    assert not np.isfinite(lower.to_numpy()[np.isnan(third)]).any()


@settings(max_examples=50, deadline=None)
@given(values=PANELS, window=WINDOWS, tail=st.floats(0.01, 0.49), data=st.data())
def test_trailing_quantiles_agree_with_a_quantile_loop(
    values: np.ndarray, window: int, tail: float, data: st.DataObject
) -> None:
    """NumPy's quantiles over each window give the same bounds."""
    least = data.draw(st.integers(1, window))
    lower, upper = trailing_quantiles(pd.DataFrame(values), window, tail, least)
    assert_allclose(lower, loop_quantile(values, tail, window, least), rtol=1e-9, atol=1e-14)
    assert_allclose(upper, loop_quantile(values, 1.0 - tail, window, least), rtol=1e-9, atol=1e-14)


@settings(max_examples=50, deadline=None)
@given(values=PANELS, window=WINDOWS, data=st.data())
def test_outlier_bounds_other_future_leaves_the_past_bit_identical(
    values: np.ndarray, window: int, data: st.DataObject
) -> None:
    """Altering the present or the future, or cutting it off, changes no bound up to that row."""
    cut = data.draw(st.integers(1, len(values) - 1))
    other = values.copy()
    other[cut:] = data.draw(arrays("float64", other[cut:].shape, elements=CELLS))
    results = []
    for variant in (values, other, values[:cut]):
        returns = pd.DataFrame(variant)
        bounds = (
            *trailing_iqr_fences(returns, window, 3.0, 2),
            *trailing_quantiles(returns, window, 0.05, 2),
        )
        results.append(b"".join(bound.to_numpy()[:cut].tobytes() for bound in bounds))
    assert results[0] == results[1] == results[2]


def test_outlier_bounds_leave_the_present_row_out() -> None:
    """The row that is judged does not move its own bounds."""
    calm = pd.DataFrame({"A": [0.01, -0.01, 0.02, -0.02, 0.0]})
    wild = pd.DataFrame({"A": [0.01, -0.01, 0.02, -0.02, 5.0]})
    for quiet, loud in (
        *zip(
            trailing_iqr_fences(calm, 4, 3.0, 2), trailing_iqr_fences(wild, 4, 3.0, 2), strict=True
        ),
        *zip(trailing_quantiles(calm, 4, 0.1, 2), trailing_quantiles(wild, 4, 0.1, 2), strict=True),
    ):
        assert_frame_equal(quiet, loud, check_exact=True)


def test_clip_at_moves_only_what_lies_beyond_a_bound() -> None:
    """Values beyond a bound go onto it; others, blanks and rows without bounds stay."""
    returns = pd.DataFrame({"A": [-1.01, 1.01, 0.5, NAN, 9.0, -1.0]})
    lower = pd.DataFrame({"A": [-1.0, -1.0, -1.0, -1.0, NAN, -1.0]})
    upper = pd.DataFrame({"A": [1.0, 1.0, 1.0, 1.0, NAN, 1.0]})
    assert_allclose(clip_at(returns, lower, upper)["A"], [-1.0, 1.0, 0.5, NAN, 9.0, -1.0])


def test_clip_at_one_bound_missing_still_holds_the_other() -> None:
    """A missing lower bound does not lift the upper one."""
    returns = pd.DataFrame({"A": [9.0, -9.0]})
    lower, upper = pd.DataFrame({"A": [NAN, -1.0]}), pd.DataFrame({"A": [1.0, NAN]})
    assert_allclose(clip_at(returns, lower, upper)["A"], [1.0, -1.0])


def test_clip_at_delisted_ticker_stays_missing() -> None:
    """After the last return there is nothing to hold back, though bounds may linger."""
    returns = pd.DataFrame({"gone": [0.01, -0.01, 0.02, NAN, NAN]})
    lower, upper = trailing_iqr_fences(returns, 4, 1.5, 2)
    assert clip_at(returns, lower, upper)["gone"].isna().to_list() == [False] * 3 + [True] * 2


def test_outlier_functions_leave_inputs_unchanged() -> None:
    """The returns and the bounds are only read."""
    returns = pd.DataFrame({"A": [0.1, NAN, 0.3, -9.0]})
    lower, upper = trailing_iqr_fences(returns, 3, 1.5, 2)
    trailing_quantiles(returns, 3, 0.1, 2)
    before = [frame.copy(deep=True) for frame in (returns, lower, upper)]
    clip_at(returns, lower, upper)
    for frame, copy in zip((returns, lower, upper), before, strict=True):
        assert_frame_equal(frame, copy)
