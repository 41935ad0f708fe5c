"""Splits cut by date, keep what is judged apart from what was learnt, and name themselves."""

from __future__ import annotations

import json
from dataclasses import astuple
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemark.domain.splits import Fold, fold_positions, split_by_date

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
    expected = "baa634ce63b6"
    assert split_by_date(DAYS, 0.25, 2, 1, 0).split_id == expected
    assert split_by_date(DAYS.as_unit("ns"), 0.25, 2, 1, 0).split_id == expected


@pytest.mark.parametrize("moved", range(20))
def test_split_id_changes_with_any_date(moved: int) -> None:
    """Leaving out any one session gives another id."""
    without = DAYS.delete(moved)
    assert split_by_date(without, 0.25, 2, 1, 0).split_id != "baa634ce63b6"


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
    split = split_by_date(DAYS, 0.25, 2, 1, 0)
    stored = json.loads(json.dumps(split.to_dict()))
    assert stored == split.to_dict()
    assert tuple(Fold(**fold) for fold in stored["folds"]) == split.folds


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
