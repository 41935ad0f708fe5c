"""When a series lives: late listings, delistings, holidays, calendars of its own."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal

from tidemark.domain.panel import align_returns, live_cells, live_returns

NAN = float("nan")
# Wednesday to Friday, then Tuesday: 21 January 2019 was Martin Luther King Day.
SESSIONS = pd.DatetimeIndex(
    ["2019-01-16", "2019-01-17", "2019-01-18", "2019-01-22", "2019-01-23"], dtype="datetime64[ns]"
)


def levels_of(**series: list[float]) -> pd.DataFrame:
    """Make a wide frame on the sessions."""
    return pd.DataFrame(series, index=SESSIONS)


def test_live_cells_late_listing_delisting_and_gap_are_told_apart() -> None:
    """A blank before the first or after the last value is absence; between them it is life."""
    levels = levels_of(
        always=[1.0, 1.0, 1.0, 1.0, 1.0],
        late=[NAN, NAN, 1.0, 1.0, 1.0],
        delisted=[1.0, 1.0, NAN, NAN, NAN],
        gap=[1.0, NAN, NAN, 1.0, 1.0],
        never=[NAN, NAN, NAN, NAN, NAN],
    )
    expected = np.array(
        [
            [True, False, True, True, False],
            [True, False, True, True, False],
            [True, True, False, True, False],
            [True, True, False, True, False],
            [True, True, False, True, False],
        ]
    )
    assert_array_equal(live_cells(levels), expected)


def test_live_returns_on_own_sessions_drop_the_first_day_of_each_life() -> None:
    """There is nothing to have returned from on a life's first session."""
    levels = levels_of(
        always=[1.0, 1.0, 1.0, 1.0, 1.0],
        late=[NAN, NAN, 1.0, 1.0, 1.0],
        delisted=[1.0, 1.0, NAN, NAN, NAN],
        never=[NAN, NAN, NAN, NAN, NAN],
        once=[NAN, 1.0, NAN, NAN, NAN],
    )
    expected = np.array(
        [
            [False, False, False, False, False],
            [True, False, True, False, False],
            [True, False, False, False, False],
            [True, True, False, False, False],
            [True, True, False, False, False],
        ]
    )
    assert_array_equal(live_returns(levels, SESSIONS), expected)


def test_live_returns_first_value_off_the_sessions_starts_life_at_the_next_one() -> None:
    """A series that begins on a holiday has its first return two sessions later."""
    own = pd.DatetimeIndex(["2019-01-21", "2019-01-23"], dtype="datetime64[ns]")
    levels = pd.DataFrame({"fx": [1.1, 1.2]}, index=own)
    assert live_returns(levels, SESSIONS)["fx"].to_list() == [False, False, False, False, True]


def test_live_returns_last_value_off_the_sessions_ends_life_at_the_one_before() -> None:
    """A series that ends on a holiday has its last return on the session before."""
    own = pd.DatetimeIndex(["2019-01-15", "2019-01-21"], dtype="datetime64[ns]")
    levels = pd.DataFrame({"fx": [1.1, 1.2]}, index=own)
    assert live_returns(levels, SESSIONS)["fx"].to_list() == [False, True, True, False, False]


def test_live_returns_life_wholly_off_the_sessions_has_none() -> None:
    """A series that lived on a holiday alone never has a return."""
    own = pd.DatetimeIndex(["2019-01-20", "2019-01-21"], dtype="datetime64[ns]")
    levels = pd.DataFrame({"fx": [1.1, 1.2]}, index=own)
    assert not live_returns(levels, SESSIONS).to_numpy().any()


def test_live_returns_without_series_have_sessions_but_no_columns() -> None:
    """A study without exogenous series has an empty mask on its sessions."""
    empty = pd.DataFrame(index=pd.DatetimeIndex([], dtype="datetime64[ns]"))
    assert live_returns(empty, SESSIONS).shape == (5, 0)


def test_align_returns_holiday_of_the_series_takes_two_returns() -> None:
    """A session on which a series has no value lacks the return into it and out of it."""
    own = SESSIONS.delete(2).append(pd.DatetimeIndex(["2019-01-21"], dtype="datetime64[ns]"))
    levels = pd.DataFrame({"fx": [100.0, 110.0, 121.0, 133.1, 7.0]}, index=own).sort_index()
    expected = [NAN, 0.1, NAN, NAN, 0.1]
    assert_allclose(align_returns(levels, SESSIONS)["fx"], expected)


def test_align_returns_holiday_of_the_sessions_spans_it() -> None:
    """A value on a day that is no session plays no part: the return spans the holiday."""
    own = pd.DatetimeIndex(["2019-01-18", "2019-01-21", "2019-01-22"], dtype="datetime64[ns]")
    levels = pd.DataFrame({"fx": [100.0, 500.0, 120.0]}, index=own)
    assert_allclose(align_returns(levels, SESSIONS)["fx"], [NAN, NAN, NAN, 0.2, NAN])


CELLS = st.one_of(st.just(NAN), st.floats(1.0, 2.0))


@settings(max_examples=60, deadline=None)
@given(
    values=st.integers(1, 12).flatmap(lambda rows: arrays("float64", (rows, 3), elements=CELLS)),
    picked=st.sets(st.integers(0, 11), min_size=1),
)
def test_live_returns_agree_with_an_explicit_loop(values: np.ndarray, picked: set[int]) -> None:
    """Session by session: this one and the one before both lie within the life."""
    own = pd.date_range("2019-01-01", periods=len(values), unit="ns")
    sessions = pd.date_range("2019-01-01", periods=12, unit="ns")[sorted(picked)]
    levels = pd.DataFrame(values, index=own, columns=["a", "b", "c"])
    found = live_returns(levels, sessions)
    for name in levels:
        known = levels.index[levels[name].notna()]
        for number, day in enumerate(sessions):
            before = sessions[number - 1]
            lives = number > 0 and len(known) > 0 and known[0] <= before and day <= known[-1]
            assert found.loc[day, name] == lives


@settings(max_examples=40, deadline=None)
@given(values=st.integers(1, 12).flatmap(lambda rows: arrays("float64", (rows, 3), elements=CELLS)))
def test_live_returns_cover_every_observed_return(values: np.ndarray) -> None:
    """No return that was observed falls outside the mask."""
    days = pd.date_range("2019-01-01", periods=len(values), unit="ns")
    levels = pd.DataFrame(values, index=days, columns=["a", "b", "c"])
    observed = align_returns(levels, days).notna()
    assert not (observed & ~live_returns(levels, days)).to_numpy().any()


def test_lives_leave_inputs_unchanged() -> None:
    """The levels and the sessions are only read."""
    levels = levels_of(a=[1.0, NAN, 2.0, 3.0, NAN])
    before, sessions = levels.copy(deep=True), SESSIONS.copy()
    live_cells(levels)
    live_returns(levels, sessions)
    align_returns(levels, sessions)
    assert_frame_equal(levels, before)
    assert sessions.equals(SESSIONS)
