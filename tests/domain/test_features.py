"""Features look back from the decision, over the session of the decision and before."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal

from tidemark.domain.features import build_features, feature_columns

NAN = float("nan")
KEYS = ["date", "ticker"]
CELLS = st.one_of(st.just(NAN), *[st.floats(-0.2, 0.2, allow_subnormal=False)] * 5)
PANELS = st.integers(6, 25).flatmap(lambda rows: arrays("float64", (rows, 3), elements=CELLS))


def wide(values: np.ndarray, names: str) -> pd.DataFrame:
    """Make a wide frame on weekdays from 2 January 2019."""
    index = pd.bdate_range("2019-01-02", periods=len(values), name="date").as_unit("ns")
    return pd.DataFrame(values, index=index, columns=list(names))


def both(values: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split a panel into two tickers and one exogenous series."""
    return wide(values[:, :2], "AB"), wide(values[:, 2:], "x")


def test_build_features_known_returns_give_known_row() -> None:
    """The row of a decision holds that session's return as lag 1, and windows that end there."""
    returns = wide(np.array([[0.01], [0.02], [0.03], [0.07]]), "A")
    exogenous = wide(np.array([[0.1], [0.2], [0.3], [0.4]]), "x")
    table = build_features(returns, exogenous, [1, 2], [3], [1, 2, 3])
    assert list(table) == [
        "date", "ticker", "ret_lag_1", "ret_lag_2", "ret_mean_3", "ret_std_3",
        "x_ret_lag_1", "x_ret_lag_2", "x_ret_lag_3",
    ]  # fmt: skip
    last = table.iloc[-1]
    assert last["date"] == pd.Timestamp("2019-01-07")
    # mean of 2, 3 and 7 is 4; their sample variance is (4 + 1 + 9) / 2 = 7
    expected = [0.07, 0.03, 0.04, 0.0264575131106459, 0.4, 0.3, 0.2]
    assert_allclose(last[2:].astype("float64"), expected)


def test_build_features_late_listing_starts_once_every_window_is_full() -> None:
    """A ticker whose returns begin later has its first row when the longest window is full."""
    values = np.full((8, 2), 0.01)
    values[:3, 1] = NAN
    table = build_features(wide(values, "AB"), wide(np.empty((8, 0)), ""), [1], [3], [])
    firsts = table.groupby("ticker")["date"].min()
    assert firsts["A"] == pd.Timestamp("2019-01-04")
    assert firsts["B"] == pd.Timestamp("2019-01-09")


def test_build_features_delisted_ticker_has_no_rows_after_its_last_return() -> None:
    """A ticker ends with its last return."""
    values = np.full((8, 2), 0.01)
    values[5:, 1] = NAN
    table = build_features(wide(values, "AB"), wide(np.empty((8, 0)), ""), [1, 2], [2], [])
    assert table.groupby("ticker")["date"].max()["B"] == pd.Timestamp("2019-01-08")


def test_build_features_gap_takes_every_row_whose_window_reaches_it() -> None:
    """A hole in the returns removes its own row and those that look back on it, no more."""
    values = np.full((9, 1), 0.01)
    values[4] = NAN
    table = build_features(wide(values, "A"), wide(np.empty((9, 0)), ""), [1], [3], [])
    days = wide(values, "A").index
    assert table["date"].to_list() == [days[2], days[3], days[7], days[8]]


def test_build_features_exogenous_gap_takes_the_rows_of_every_ticker() -> None:
    """A hole in an exogenous series removes the rows whose lag meets it."""
    exogenous = np.full((6, 1), 0.1)
    exogenous[2] = NAN
    table = build_features(wide(np.full((6, 2), 0.01), "AB"), wide(exogenous, "x"), [1], [], [2])
    days = wide(exogenous, "x").index
    assert table["date"].unique().tolist() == [days[1], days[2], days[4], days[5]]


def test_build_features_constant_returns_have_zero_deviation() -> None:
    """Rounding never makes the deviation of constant returns negative or missing."""
    table = build_features(
        wide(np.full((60, 1), 0.001), "A"), wide(np.empty((60, 0)), ""), [1], [7], []
    )
    assert len(table) == 54
    assert_allclose(table["ret_std_7"], 0.0, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(values=PANELS, lag=st.integers(1, 4), window=st.integers(2, 5), late=st.integers(1, 4))
def test_build_features_agree_with_an_explicit_loop(
    values: np.ndarray, lag: int, window: int, late: int
) -> None:
    """Cell by cell from slices of the past gives the same table."""
    returns, exogenous = both(values)
    expected = []
    for row, day in enumerate(returns.index):
        for column, ticker in enumerate("AB"):
            if row + 1 < max(lag, window, late) or np.isnan(values[row, column]):
                continue
            past = values[row - window + 1 : row + 1, column]
            found = [
                values[row + 1 - lag, column], past.mean(), past.std(ddof=1),
                values[row + 1 - late, 2],
            ]  # fmt: skip
            if not np.isnan(found).any():
                expected.append([day, ticker, *found])
    table = build_features(returns, exogenous, [lag], [window], [late])
    assert table[["date", "ticker"]].to_numpy().tolist() == [row[:2] for row in expected]
    if expected:
        numbers = np.array([row[2:] for row in expected])
        # the square root turns a rounding error of 1e-17 in a variance into 3e-9
        assert_allclose(table.iloc[:, 2:], numbers, rtol=1e-7, atol=1e-8)


@settings(max_examples=40, deadline=None)
@given(values=PANELS, data=st.data())
def test_build_features_other_future_leaves_the_past_bit_identical(
    values: np.ndarray, data: st.DataObject
) -> None:
    """Altering or cutting off everything after a date changes no row up to that date."""
    cut = data.draw(st.integers(1, len(values) - 1))
    other = values.copy()
    other[cut:] = data.draw(arrays("float64", other[cut:].shape, elements=CELLS))
    last = wide(values, "ABx").index[cut - 1]
    tables = [
        build_features(*both(variant), [1, 2], [2, 4], [1, 2])
        for variant in (values, other, values[:cut])
    ]
    rows = [table[table["date"] <= last].reset_index(drop=True) for table in tables]
    for later in rows[1:]:
        assert later[["date", "ticker"]].to_numpy().tolist() == (
            rows[0][["date", "ticker"]].to_numpy().tolist()
        )
        names = feature_columns(later, KEYS)
        assert later[names].to_numpy().tobytes() == rows[0][names].to_numpy().tobytes()


def test_build_features_from_a_short_history_agree_with_the_long_one() -> None:
    """The last row is the same whether it is built alone or with ten years before it."""
    rng = np.random.default_rng(11)
    values = rng.normal(0.0, 0.01, (2520, 3))
    returns, exogenous = both(values)
    whole = build_features(returns, exogenous, [1, 5], [7, 28], [2]).tail(2)
    alone = build_features(returns.tail(28), exogenous.tail(28), [1, 5], [7, 28], [2])
    names = feature_columns(whole, KEYS)
    assert len(alone) == 2
    assert_allclose(alone[names], whole[names], rtol=1e-9, atol=1e-15)


def test_feature_columns_leave_out_keys_and_target() -> None:
    """What is left are features, in the order of the table; keys are those of the study."""
    table = pd.DataFrame(columns=["date", "ticker", "b", "target", "a"])
    assert feature_columns(table, KEYS) == ["b", "a"]
    assert feature_columns(table, ["date", "b"]) == ["ticker", "a"]


def test_build_features_lag_zero_is_the_next_return() -> None:
    """Lag 0 counts back no session from the target: the audit must find it (see test_audit)."""
    returns = wide(np.array([[0.01], [0.02], [0.03]]), "A")
    table = build_features(returns, wide(np.empty((3, 0)), ""), [0, 1], [], [])
    assert table["ret_lag_0"].tolist() == [0.02, 0.03]
    assert table["ret_lag_1"].tolist() == [0.01, 0.02]


def test_build_features_leaves_inputs_unchanged() -> None:
    """Both frames are only read."""
    returns, exogenous = both(np.random.default_rng(1).normal(0.0, 0.01, (20, 3)))
    before = returns.copy(deep=True), exogenous.copy(deep=True)
    build_features(returns, exogenous, [1, 2], [3], [2])
    assert_frame_equal(returns, before[0])
    assert_frame_equal(exogenous, before[1])
