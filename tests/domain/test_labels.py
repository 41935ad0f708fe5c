"""Labels are the untreated returns of the next session, and only seasoned rows count."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal

from tidemark.domain.labels import label_next_return

NAN = float("nan")
DAYS = pd.date_range("2019-01-01", periods=6, unit="ns", name="date")
NO_SERIES = pd.DataFrame(index=DAYS)


def levels_of(**series: list[float]) -> pd.DataFrame:
    """Make a wide frame of six days."""
    return pd.DataFrame(series, index=DAYS)


def eligible_days(table: pd.DataFrame, ticker: str) -> list[int]:
    """List the days, counted from 0, on which a ticker's row may be used."""
    rows = table[(table["ticker"] == ticker) & table["eligible"]]
    return [DAYS.get_loc(day) for day in rows["date"]]


def test_label_next_return_target_is_the_next_sessions_return() -> None:
    """The row of a day holds what is earned from its close to the next."""
    table = label_next_return(levels_of(A=[100.0, 110.0, 99.0, 99.0, 198.0, 99.0]), NO_SERIES, 1)
    assert list(table) == ["date", "ticker", "target", "eligible"]
    assert_allclose(table["target"], [0.1, -0.1, 0.0, 1.0, -0.5, NAN])
    assert table["eligible"].to_list() == [True] * 5 + [False]


def test_label_next_return_outlying_return_is_not_treated() -> None:
    """A label is what happened, however extreme."""
    table = label_next_return(levels_of(A=[1.0, 50.0, 1.0, 1.0, 1.0, 1.0]), NO_SERIES, 1)
    assert_allclose(table["target"].head(2), [49.0, -0.98])


def test_label_next_return_warm_up_counts_sessions_of_life() -> None:
    """A ticker's first usable row is the one that ends its first full warm-up."""
    table = label_next_return(
        levels_of(A=[1.0] * 6, late=[NAN, NAN, 1.0, 1.0, 1.0, 1.0]), NO_SERIES, 3
    )
    assert eligible_days(table, "A") == [2, 3, 4]
    assert eligible_days(table, "late") == [4]


def test_label_next_return_delisted_ticker_ends_with_its_last_known_label() -> None:
    """The last day of a life has a row but no label; after it there are no rows."""
    table = label_next_return(
        levels_of(A=[1.0] * 6, gone=[1.0, 1.0, 1.0, 1.0, NAN, NAN]), NO_SERIES, 2
    )
    gone = table[table["ticker"] == "gone"]
    assert [DAYS.get_loc(day) for day in gone["date"]] == [0, 1, 2, 3]
    assert np.isnan(gone["target"].iloc[-1])
    assert eligible_days(table, "gone") == [1, 2]


def test_label_next_return_blank_price_takes_two_labels_but_not_the_seasoning() -> None:
    """A missing price spoils the label that ends on it and the one that starts from it."""
    table = label_next_return(levels_of(A=[1.0, 1.0, NAN, 1.0, 1.0, 1.0]), NO_SERIES, 2)
    assert len(table) == 6
    assert eligible_days(table, "A") == [3, 4]
    assert table.loc[1:2, "target"].isna().all()


def test_label_next_return_every_exogenous_series_must_be_seasoned_the_day_before() -> None:
    """With a warm-up of 2, a series that begins on day 2 allows rows from day 4 on."""
    levels = levels_of(A=[1.0] * 6)
    others = levels_of(old=[1.0] * 6, new=[NAN, NAN, 1.0, 1.0, 1.0, 1.0])
    assert eligible_days(label_next_return(levels, others[["old"]], 2), "A") == [2, 3, 4]
    assert eligible_days(label_next_return(levels, others, 2), "A") == [4]


def test_label_next_return_exogenous_series_that_ended_stops_the_rows() -> None:
    """The day after the last value is the last decision that the series can inform."""
    others = levels_of(gone=[1.0, 1.0, 1.0, NAN, NAN, NAN])
    assert eligible_days(label_next_return(levels_of(A=[1.0] * 6), others, 1), "A") == [1, 2, 3]


def test_label_next_return_exogenous_holiday_changes_nothing() -> None:
    """A day without a value within the series' life is a missing value, not an absence."""
    others = levels_of(x=[1.0, NAN, 1.0, NAN, NAN, 1.0])
    assert eligible_days(label_next_return(levels_of(A=[1.0] * 6), others, 2), "A") == [2, 3, 4]


def test_label_next_return_longer_warm_up_than_history_leaves_nothing_usable() -> None:
    """Rows exist, none is eligible, and the column is still of truth values."""
    table = label_next_return(levels_of(A=[1.0] * 6), NO_SERIES, 7)
    assert len(table) == 6
    assert table["eligible"].dtype == np.dtype("bool")
    assert not table["eligible"].any()


CELLS = st.one_of(st.just(NAN), *[st.floats(1.0, 2.0)] * 3)


@settings(max_examples=40, deadline=None)
@given(
    values=st.integers(3, 15).flatmap(lambda rows: arrays("float64", (rows, 3), elements=CELLS)),
    warm_up=st.integers(1, 4),
    data=st.data(),
)
def test_label_next_return_usable_rows_know_nothing_beyond_the_next_session(
    values: np.ndarray, warm_up: int, data: st.DataObject
) -> None:
    """Cutting off all after a session leaves the usable rows before it bit-identical."""
    cut = data.draw(st.integers(2, len(values)))
    days = pd.date_range("2019-01-01", periods=len(values), unit="ns", name="date")
    levels = pd.DataFrame(values, index=days, columns=["A", "B", "C"])
    none = pd.DataFrame(index=days)
    whole = label_next_return(levels, none, warm_up)
    short = label_next_return(levels.head(cut), none.head(cut), warm_up)
    whole = whole[whole["eligible"] & (whole["date"] < days[cut - 1])]
    short = short[short["eligible"]]
    assert whole[["date", "ticker"]].to_numpy().tolist() == (
        short[["date", "ticker"]].to_numpy().tolist()
    )
    assert whole["target"].to_numpy().tobytes() == short["target"].to_numpy().tobytes()


def test_label_next_return_leaves_inputs_unchanged() -> None:
    """Both frames are only read."""
    levels, others = levels_of(A=[1.0, NAN, 2.0, 3.0, 4.0, NAN]), levels_of(x=[1.0] * 6)
    before = levels.copy(deep=True), others.copy(deep=True)
    label_next_return(levels, others, 2)
    assert_frame_equal(levels, before[0])
    assert_frame_equal(others, before[1])
