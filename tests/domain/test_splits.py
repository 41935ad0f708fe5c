"""Splits cut by date, keep what is judged apart from what was learnt, and name themselves."""

from __future__ import annotations

import json
from dataclasses import astuple
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemark.domain.splits import (
    Fold,
    Split,
    fold_positions,
    is_known_before,
    list_training_sessions,
    number_sessions,
    split_by_date,
)

DAYS_ID = "8f23ddc7f91c"
DAYS = pd.date_range("2019-01-01", periods=20, name="date")
HOLIDAYS = ["2018-12-25", "2019-01-01", "2019-01-21", "2019-02-18", "2019-04-19"]


def sessions_of(n_sessions: int) -> pd.DatetimeIndex:
    """List weekdays from December 2018 on, without some holidays."""
    days = pd.bdate_range("2018-12-03", periods=n_sessions + len(HOLIDAYS))
    return days.difference(pd.DatetimeIndex(HOLIDAYS))[:n_sessions]


def test_split_by_date_twenty_days_are_cut_as_counted_by_hand() -> None:
    """A quarter is the test; one session is purged before it and before every fold."""
    split = split_by_date(DAYS, 0.25, 2, 1, 0)
    assert (split.train_start, split.train_end) == ("2019-01-01", "2019-01-14")
    assert (split.test_start, split.test_end) == ("2019-01-16", "2019-01-20")
    assert [astuple(fold) for fold in split.folds] == [
        (1, "2019-01-01", "2019-01-04", "2019-01-06", "2019-01-10"),
        (2, "2019-01-01", "2019-01-09", "2019-01-11", "2019-01-14"),
    ]


def test_split_by_date_embargo_widens_every_gap() -> None:
    """Two sessions of horizon and one of embargo leave three sessions out."""
    split = split_by_date(DAYS, 0.25, 1, 2, 1)
    assert (split.train_end, split.test_start) == ("2019-01-12", "2019-01-16")
    assert (split.folds[0].train_end, split.folds[0].valid_start) == ("2019-01-03", "2019-01-07")


def test_split_by_date_unsorted_repeated_dates_are_the_same_split() -> None:
    """Every ticker repeats the dates, and rows come in any order."""
    rng = np.random.default_rng(3)
    shuffled = pd.DatetimeIndex(rng.permutation(np.repeat(DAYS.to_numpy(), 3)))
    assert split_by_date(shuffled, 0.25, 2, 1, 0) == split_by_date(DAYS, 0.25, 2, 1, 0)


def test_split_id_is_stable_across_machines_and_units() -> None:
    """The id is the start of a SHA-256 over the dates written as JSON."""
    assert split_by_date(DAYS, 0.25, 2, 1, 0).split_id == DAYS_ID
    assert split_by_date(DAYS.as_unit("ns"), 0.25, 2, 1, 0).split_id == DAYS_ID


@pytest.mark.parametrize("moved", range(20))
def test_split_id_changes_with_any_date(moved: int) -> None:
    """Leaving out any one session gives another id."""
    without = DAYS.delete(moved)
    assert split_by_date(without, 0.25, 2, 1, 0).split_id != DAYS_ID


def test_split_id_changes_with_refits_and_their_window() -> None:
    """Other refits are another split, even of the same dates; refits of the same dates are not."""
    ids = [
        split_by_date(DAYS, 0.25, 2, 1, 0, refit, window).split_id
        for refit, window in [(252, None), (2, None), (3, None), (2, 4), (252, 4)]
    ]
    assert len(set(ids)) == 5
    assert split_by_date(DAYS, 0.25, 2, 1, 0, 5).split_id == DAYS_ID


def test_split_id_changes_with_gap_folds_and_share() -> None:
    """Splits that are cut otherwise have other ids."""
    cuts = [(0.25, 2, 1, 0), (0.25, 2, 0, 1), (0.25, 2, 2, 0), (0.25, 1, 1, 0), (0.3, 2, 1, 0)]
    assert len({split_by_date(DAYS, *cut).split_id for cut in cuts}) == 5


@pytest.mark.parametrize(
    ("n_days", "test_share", "n_folds", "horizon"),
    [(3, 0.25, 5, 1), (20, 0.0, 2, 1), (20, 1.0, 2, 1), (20, 0.25, 2, 6), (0, 0.25, 2, 1)],
)
def test_split_by_date_too_few_sessions_raises(
    n_days: int, test_share: float, n_folds: int, horizon: int
) -> None:
    """Without room for a test, a fold or a gap there is no split."""
    with pytest.raises(ValueError, match=f"{n_days} sessions are too few"):
        split_by_date(DAYS[:n_days], test_share, n_folds, horizon, 0)


def test_split_round_trip_through_json_gives_it_back() -> None:
    """What is stored as JSON is read as the same split."""
    split = split_by_date(DAYS, 0.25, 2, 1, 0, 2)
    stored = json.loads(json.dumps(split.to_dict()))
    assert stored == split.to_dict()
    for part in ("folds", "refits"):
        stored[part] = tuple(Fold(**fold) for fold in stored[part])
    assert Split(**stored) == split


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"horizon_days": -1}, "horizon_days is -1: give at least 0"),
        ({"embargo_days": -1}, "embargo_days is -1: give at least 0"),
        ({"n_folds": 0}, "n_folds is 0: give at least 1"),
        ({"refit_sessions": 0}, "refit_sessions is 0: give at least 1"),
        ({"window_sessions": 0}, "window_sessions is 0: give at least 1"),
    ],
)
def test_split_by_date_count_too_small_raises(counts: dict[str, int], message: str) -> None:
    """A negative gap would train on what is judged; no count may be guessed."""
    usual: dict[str, Any] = {"test_share": 0.25, "n_folds": 2, "horizon_days": 1, "embargo_days": 0}
    with pytest.raises(ValueError, match=message):
        split_by_date(DAYS, **{**usual, **counts})


def test_split_by_date_missing_date_raises() -> None:
    """A missing date is no last session."""
    with pytest.raises(ValueError, match="1 of 21 dates are missing"):
        split_by_date(DAYS.insert(4, pd.NaT), 0.25, 2, 1, 0)


def test_split_by_date_time_of_day_raises() -> None:
    """Two times of one day would be two sessions of one name."""
    timed = DAYS.insert(20, DAYS[4] + pd.Timedelta(hours=16))
    with pytest.raises(ValueError, match="1 of 21 dates have a time of day, the first is 2019"):
        split_by_date(timed, 0.25, 2, 1, 0)


def test_refits_five_sessions_by_two_are_cut_as_counted_by_hand() -> None:
    """The 16th to the 20th in twos; the day before each block has a label known too late."""
    split = split_by_date(DAYS, 0.25, 2, 1, 0, refit_sessions=2)
    assert [astuple(refit) for refit in split.refits] == [
        (1, "2019-01-01", "2019-01-14", "2019-01-16", "2019-01-17"),
        (2, "2019-01-01", "2019-01-16", "2019-01-18", "2019-01-19"),
        (3, "2019-01-01", "2019-01-18", "2019-01-20", "2019-01-20"),
    ]
    assert split.n_sessions == 20


def test_refits_window_rolls_with_horizon_and_embargo_as_counted_by_hand() -> None:
    """Four sessions that end before the three left out: two of horizon, one of embargo."""
    split = split_by_date(DAYS, 0.25, 1, 2, 1, refit_sessions=3, window_sessions=4)
    assert [astuple(refit) for refit in split.refits] == [
        (1, "2019-01-09", "2019-01-12", "2019-01-16", "2019-01-18"),
        (2, "2019-01-12", "2019-01-15", "2019-01-19", "2019-01-20"),
    ]


def test_refits_window_longer_than_history_is_all_of_it() -> None:
    """A window is an upper bound."""
    rolling = split_by_date(DAYS, 0.25, 2, 1, 0, 2, window_sessions=500)
    assert rolling.refits == split_by_date(DAYS, 0.25, 2, 1, 0, 2).refits


@pytest.mark.parametrize(
    ("n_test", "refit_sessions", "sizes"),
    [
        (10, 5, [5, 5]),
        (11, 5, [5, 5, 1]),  # exactly a fifth stays alone
        (11, 6, [6, 5]),
        (13, 6, [6, 7]),  # 1 is less than a fifth of 6
        (12, 10, [10, 2]),
        (11, 10, [11]),
        (1, 10, [1]),  # nothing before it to join
        (4, 1, [1, 1, 1, 1]),
    ],
)
def test_refits_short_last_block_is_joined_to_the_one_before(
    n_test: int, refit_sessions: int, sizes: list[int]
) -> None:
    """Less than a fifth of a block is not worth a fit."""
    sessions = sessions_of(50)
    split = split_by_date(sessions, n_test / 50, 2, 1, 0, refit_sessions)
    valid = [pd.Series(sessions).between(r.valid_start, r.valid_end).sum() for r in split.refits]
    assert valid == sizes


@pytest.mark.parametrize(
    ("decided", "is_known"), [(6, True), (7, False), (8, False), (10, False), (11, False)]
)
def test_is_known_before_label_at_the_decision_itself_is_not_known(
    decided: int, is_known: bool
) -> None:
    """Two sessions of horizon, one of embargo: the label of the 8th comes with the 10th's close."""
    assert is_known_before(decided, 10, 2, 1) == is_known


@pytest.mark.parametrize(
    ("first", "window", "expected"),
    [(6, None, [0, 1, 2]), (6, 2, [1, 2]), (6, 9, [0, 1, 2]), (3, None, []), (0, None, [])],
)
def test_list_training_sessions_end_a_gap_before_the_decision(
    first: int, window: int | None, expected: list[int]
) -> None:
    """A gap of three, with all that is before it or the last of it."""
    assert list_training_sessions(first, 2, 1, window).tolist() == expected


def test_number_sessions_count_unique_dates_in_order() -> None:
    """Rows in any order get the number of their date."""
    numbers, sessions = number_sessions(["2020-01-06", "2020-01-02", "2020-01-06", "2020-01-03"])
    assert numbers.tolist() == [2, 0, 2, 1]
    assert sessions.strftime("%d").tolist() == ["02", "03", "06"]


SPLITS = {
    "n_sessions": st.integers(120, 180),
    "test_share": st.floats(0.1, 0.5),
    "n_folds": st.integers(1, 5),
    "horizon": st.integers(0, 3),
    "embargo": st.integers(0, 2),
}


def rows_of(sessions: pd.DatetimeIndex, seed: int) -> pd.DatetimeIndex:
    """Repeat each session a few times, in any order."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 4, len(sessions))
    return pd.DatetimeIndex(rng.permutation(np.repeat(sessions.to_numpy(), counts)))


@settings(max_examples=50, deadline=None)
@given(**SPLITS, seed=st.integers(0, 99))
def test_split_any_horizon_and_embargo_keep_labels_out_of_what_is_judged(
    n_sessions: int, test_share: float, n_folds: int, horizon: int, embargo: int, seed: int
) -> None:
    """A training row's label is known, embargo over, before the first decision it is judged by."""
    sessions = sessions_of(n_sessions)
    split = split_by_date(rows_of(sessions, seed), test_share, n_folds, horizon, embargo)
    judged = [(split.train_end, split.test_start)]
    judged += [(fold.train_end, fold.valid_start) for fold in split.folds]
    for train_end, first_decision in judged:
        label_known = sessions.get_loc(train_end) + horizon
        assert label_known + embargo < sessions.get_loc(first_decision)
        # ... and no session more than that is given away
        assert label_known + embargo + 1 == sessions.get_loc(first_decision)


@settings(max_examples=25, deadline=None)
@given(**SPLITS, seed=st.integers(0, 99))
def test_fold_positions_any_split_expand_and_never_split_a_date(
    n_sessions: int, test_share: float, n_folds: int, horizon: int, embargo: int, seed: int
) -> None:
    """Folds grow, follow one another, cover the training part, and hold dates whole."""
    dates = pd.Series(rows_of(sessions_of(n_sessions), seed))
    split = split_by_date(pd.DatetimeIndex(dates), test_share, n_folds, horizon, embargo)
    folds = list(fold_positions(dates, split.folds))
    assert len(folds) == n_folds
    seen: set[int] = set()
    for train, valid in folds:
        assert len(train) > 0
        assert len(valid) > 0
        assert set(train) > seen or not seen
        seen = set(train)
        assert dates[train].max() < dates[valid].min()
        assert not set(dates[valid]) & set(dates.drop(index=valid))
        assert not set(dates[train]) & set(dates.drop(index=train))
        assert dates[valid].max() <= pd.Timestamp(split.train_end)
    for (_, before), (_, after) in pairwise(folds):
        between = dates[(dates > dates[before].max()) & (dates < dates[after].min())]
        assert between.empty
    assert dates[folds[-1][1]].max() == pd.Timestamp(split.train_end)


REFITS = st.fixed_dictionaries(
    {
        "test_share": st.floats(0.1, 0.5),
        "n_folds": st.integers(1, 5),
        "horizon_days": st.integers(0, 3),
        "embargo_days": st.integers(0, 2),
        "refit_sessions": st.integers(1, 60),
        "window_sessions": st.none() | st.integers(1, 200),
    }
)


@settings(max_examples=60, deadline=None)
@given(n_sessions=st.integers(120, 180), cut=REFITS)
def test_refits_any_split_learn_all_that_was_known_and_no_more(
    n_sessions: int, cut: dict[str, Any]
) -> None:
    """Each session is trained on if and only if its label was known, and is in the window."""
    sessions = sessions_of(n_sessions)
    split = split_by_date(sessions, **cut)
    assert split.refits[0].train_end == split.train_end
    for train, test in fold_positions(pd.Series(sessions), split.refits):
        gap = cut["horizon_days"] + cut["embargo_days"]
        allowed = [session for session in range(n_sessions) if session + gap < test[0]]
        assert train.tolist() == allowed[-(cut["window_sessions"] or n_sessions) :]
        assert sessions[train[-1] + cut["horizon_days"]] < sessions[test[0]]


@settings(max_examples=60, deadline=None)
@given(n_sessions=st.integers(120, 180), cut=REFITS)
def test_refits_any_split_walk_through_the_whole_test_once(
    n_sessions: int, cut: dict[str, Any]
) -> None:
    """Blocks tile the test; all but the last are full, and the last is neither tiny nor huge."""
    sessions = sessions_of(n_sessions)
    split = split_by_date(sessions, **cut)
    blocks = [test for _, test in fold_positions(pd.Series(sessions), split.refits)]
    whole = np.arange(sessions.get_loc(split.test_start), n_sessions)
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
    assert [refit.number for refit in split.refits] == list(range(1, len(blocks) + 1))
    full, last = cut["refit_sessions"], len(blocks[-1])
    assert {len(block) for block in blocks[:-1]} <= {full}
    assert last <= full or 5 * (last - full) < full
    assert len(blocks) == 1 or 5 * last >= full


@settings(max_examples=25, deadline=None)
@given(n_sessions=st.integers(120, 180), cut=REFITS)
def test_refits_first_of_an_expanding_split_trains_on_exactly_the_training_part(
    n_sessions: int, cut: dict[str, Any]
) -> None:
    """The model of the first block is the one that the split alone would give."""
    sessions = sessions_of(n_sessions)
    split = split_by_date(sessions, **{**cut, "window_sessions": None})
    first = split.refits[0]
    assert (first.train_start, first.train_end) == (split.train_start, split.train_end)
    assert first.valid_start == split.test_start
    assert split_by_date(sessions, **cut).folds == split.folds


def test_split_share_is_a_share_of_the_sessions() -> None:
    """A quarter of twenty sessions is five, however many rows each has."""
    many = DAYS.append(DAYS[:1].repeat(500))
    assert split_by_date(many, 0.25, 2, 1, 0).test_start == "2019-01-16"


def test_splits_leave_inputs_unchanged() -> None:
    """The dates are only read."""
    dates = pd.Series(rows_of(sessions_of(60), 5))
    before = dates.copy(deep=True)
    split = split_by_date(pd.DatetimeIndex(dates), 0.25, 2, 1, 0)
    list(fold_positions(dates, split.folds))
    pd.testing.assert_series_equal(dates, before)
