"""Splitters for panels agree with others on single rows, and keep whole dates apart on many."""

from __future__ import annotations

import copy
import pickle
from itertools import combinations, pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skfolio.model_selection import CombinatorialPurgedCV, WalkForward
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score

from tidemark.domain.splits import fold_positions, split_by_date
from tidemark.domain.splitters import CombinatorialPurgedKFold, PanelWalkForward

Splitter = PanelWalkForward | CombinatorialPurgedKFold
SPLITTERS = [
    PanelWalkForward(3, horizon_days=2, embargo_days=1),
    PanelWalkForward(3, horizon_days=2, train_sessions=12, test_sessions=5),
    CombinatorialPurgedKFold(4, 2, horizon_days=2, embargo_days=1),
]


def sessions_of(n_sessions: int) -> pd.DatetimeIndex:
    """List weekdays, every seventh of them a holiday."""
    days = pd.bdate_range("2018-12-03", periods=2 * n_sessions)
    return days[np.arange(len(days)) % 7 != 3][:n_sessions]


def panel_of(n_sessions: int, seed: int) -> pd.Series:
    """Repeat each session one to three times, in any order."""
    rng = np.random.default_rng(seed)
    sessions = sessions_of(n_sessions).to_numpy()
    return pd.Series(rng.permutation(np.repeat(sessions, rng.integers(1, 4, n_sessions))))


def split_days(cv: Splitter, n_sessions: int) -> list[tuple[list[int], list[int]]]:
    """Split one row a session, in order: positions are sessions."""
    days = sessions_of(n_sessions)
    return [(train.tolist(), test.tolist()) for train, test in cv.split(days, groups=days)]


def sessions_needed(cv: PanelWalkForward) -> int:
    """Count what a walk with blocks of given length cannot do without."""
    assert cv.test_sessions is not None
    gap = cv.horizon_days + cv.embargo_days
    return (cv.train_sessions or 1) + gap + cv.n_splits * cv.test_sessions


WALKS = st.builds(
    PanelWalkForward,
    st.integers(1, 5),
    horizon_days=st.integers(0, 6),
    embargo_days=st.integers(0, 4),
    train_sessions=st.none() | st.integers(1, 30),
    test_sessions=st.integers(1, 9),
)


@st.composite
def kfolds(draw: st.DrawFn, least_folds: int = 2, least_tested: int = 1) -> tuple[Splitter, int]:
    """Draw a splitter and a length of fold that always leaves something to train on."""
    n_folds = draw(st.integers(least_folds, 6))
    n_tested = draw(st.integers(least_tested, n_folds - 1))
    horizon, embargo = draw(st.integers(0, 4)), draw(st.integers(0, 3))
    cv = CombinatorialPurgedKFold(n_folds, n_tested, horizon_days=horizon, embargo_days=embargo)
    return cv, 2 * horizon + embargo + draw(st.integers(2, 4))


def test_walk_forward_ten_sessions_are_cut_as_counted_by_hand() -> None:
    """Two blocks of two; two of horizon and one of embargo are left out before each."""
    cv = PanelWalkForward(2, horizon_days=2, embargo_days=1, test_sessions=2)
    assert split_days(cv, 10) == [([0, 1, 2], [6, 7]), ([0, 1, 2, 3, 4], [8, 9])]
    cv = PanelWalkForward(2, horizon_days=2, embargo_days=1, test_sessions=2, train_sessions=2)
    assert split_days(cv, 10) == [([1, 2], [6, 7]), ([3, 4], [8, 9])]


@settings(max_examples=80, deadline=None)
@given(cv=WALKS, extra=st.integers(0, 12))
def test_walk_forward_one_row_a_date_is_what_skfolio_cuts(cv: PanelWalkForward, extra: int) -> None:
    """The same index sets, with the whole gap as its purge.

    skfolio counts blocks from the first session and drops what is left over at the end; ours end
    at the last session. So its first training window is chosen to leave nothing over, and for a
    window that rolls the sessions before it are not shown to it.
    """
    n_sessions = sessions_needed(cv) + extra
    offset = extra if cv.train_sessions else 0
    theirs = WalkForward(
        test_size=cv.test_sessions,
        train_size=cv.train_sessions or 1 + extra,
        purged_size=cv.horizon_days + cv.embargo_days,
        expand_train=cv.train_sessions is None,
    )
    expected = [
        ((train + offset).tolist(), (test + offset).tolist())
        for train, test in theirs.split(np.zeros((n_sessions - offset, 1)))
    ]
    assert split_days(cv, n_sessions) == expected
    assert cv.get_n_splits() == len(expected)


@pytest.mark.parametrize("n_sessions", [13, 37, 100])
@pytest.mark.parametrize("n_splits", [2, 5])
@pytest.mark.parametrize("gap", [0, 1, 2])
def test_walk_forward_default_blocks_are_what_scikit_learn_cuts(
    n_sessions: int, n_splits: int, gap: int
) -> None:
    """One part in ``n_splits + 1`` each, and what is left over is trained on from the first."""
    cut = TimeSeriesSplit(n_splits, gap=gap).split(np.zeros(n_sessions))
    expected = [(train.tolist(), test.tolist()) for train, test in cut]
    for embargo in range(gap + 1):
        cv = PanelWalkForward(n_splits, horizon_days=gap - embargo, embargo_days=embargo)
        assert split_days(cv, n_sessions) == expected


@pytest.mark.parametrize("window", [None, 25])
def test_walk_forward_blocks_of_a_test_are_its_refits(window: int | None) -> None:
    """A split's refits and the splitter know one rule."""
    dates = panel_of(60, 4)
    refits = split_by_date(pd.DatetimeIndex(dates), 0.25, 2, 2, 1, 5, window).refits
    cv = PanelWalkForward(3, horizon_days=2, embargo_days=1, train_sessions=window, test_sessions=5)
    pairs = zip(cv.split(dates, groups=dates), fold_positions(dates, refits), strict=True)
    for ours, refit in pairs:
        np.testing.assert_array_equal(ours[0], refit[0])
        np.testing.assert_array_equal(ours[1], refit[1])


@settings(max_examples=60, deadline=None)
@given(cv=WALKS, extra=st.integers(0, 12), seed=st.integers(0, 99))
def test_walk_forward_any_panel_learns_only_labels_known_before_the_test(
    cv: PanelWalkForward, extra: int, seed: int
) -> None:
    """Every training row's label date is before every test decision, the embargo over."""
    dates = panel_of(sessions_needed(cv) + extra, seed)
    sessions = pd.Index(np.sort(dates.unique()))
    for train, test in cv.split(dates, groups=dates):
        days = sessions.get_indexer(dates[train].unique())
        assert (sessions[days + cv.horizon_days] < dates[test].min()).all()
        # ... and no session more than that is given away
        first = sessions.get_loc(dates[test].min())
        assert days.max() + cv.horizon_days + cv.embargo_days + 1 == first
        assert len(days) == (cv.train_sessions or days.max() + 1)


@settings(max_examples=40, deadline=None)
@given(cv=WALKS, extra=st.integers(0, 12), seed=st.integers(0, 99))
def test_walk_forward_any_panel_tests_the_last_sessions_once(
    cv: PanelWalkForward, extra: int, seed: int
) -> None:
    """Test blocks are of equal length, follow one another and end at the last session."""
    dates = panel_of(sessions_needed(cv) + extra, seed)
    tests = [dates[test] for _, test in cv.split(dates, groups=dates)]
    assert [test.nunique() for test in tests] == [cv.test_sessions] * cv.n_splits
    assert all(before.max() < after.min() for before, after in pairwise(tests))
    tail = dates[dates >= tests[0].min()]
    assert sorted(pd.concat(tests)) == sorted(tail)


def test_walk_forward_later_sessions_leave_earlier_splits_alone() -> None:
    """What is appended, a whole number of blocks, adds splits and changes none."""
    short = split_days(PanelWalkForward(3, test_sessions=4), 20)
    assert split_days(PanelWalkForward(5, test_sessions=4), 28)[:3] == short


@pytest.mark.parametrize("window", [None, 7])
def test_walk_forward_one_session_too_few_raises_with_what_is_needed(window: int | None) -> None:
    """What is just enough works, one session less does not."""
    cv = PanelWalkForward(3, horizon_days=2, embargo_days=1, train_sessions=window, test_sessions=4)
    needed = (window or 1) + 3 + 12
    assert len(split_days(cv, needed)[0][0]) == (window or 1)
    with pytest.raises(ValueError, match=f"^{needed - 1} sessions are too few.*take {needed}"):
        split_days(cv, needed - 1)


@pytest.mark.parametrize("n_sessions", [0, 1, 5, 6])
def test_walk_forward_default_blocks_of_few_sessions_raise(n_sessions: int) -> None:
    """Five blocks, a gap and a session to train on take seven."""
    with pytest.raises(ValueError, match=f"^{n_sessions} sessions are too few.*take 7"):
        split_days(PanelWalkForward(), n_sessions)


def test_combinatorial_twelve_sessions_are_cut_as_counted_by_hand() -> None:
    """Three folds of four, two tested; one of horizon, and one of embargo after the test only."""
    cv = CombinatorialPurgedKFold(3, 2, horizon_days=1, embargo_days=1)
    assert split_days(cv, 12) == [
        ([10, 11], [0, 1, 2, 3, 4, 5, 6, 7]),
        # the label of 3 is known at 4, and 5 is under embargo; the label of 7 is known at 8
        ([6], [0, 1, 2, 3, 8, 9, 10, 11]),
        ([0, 1, 2], [4, 5, 6, 7, 8, 9, 10, 11]),
    ]


def test_combinatorial_uneven_folds_differ_by_a_session_at_most() -> None:
    """The first folds take what is left over: eleven in four are 3, 3, 3 and 2."""
    cv = CombinatorialPurgedKFold(4, 1, horizon_days=0)
    tests = [test for _, test in split_days(cv, 11)]
    assert tests == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10]]


@settings(max_examples=60, deadline=None)
@given(drawn=kfolds(least_folds=3, least_tested=2))
def test_combinatorial_one_row_a_date_is_what_skfolio_cuts(
    drawn: tuple[CombinatorialPurgedKFold, int],
) -> None:
    """The same index sets, the horizon as its purge.

    Definitions agree where folds are of one length, so sessions are a multiple of folds here:
    skfolio gives what is left over to the last fold, ours one each to the first folds.
    """
    cv, length = drawn
    n_sessions = cv.n_folds * length
    theirs = CombinatorialPurgedCV(
        cv.n_folds, cv.n_test_folds, purged_size=cv.horizon_days, embargo_size=cv.embargo_days
    )
    expected = [
        (train.tolist(), np.concatenate(tests).tolist())
        for train, tests in theirs.split(np.zeros((n_sessions, 1)))
    ]
    assert split_days(cv, n_sessions) == expected
    assert cv.get_n_splits() == theirs.get_n_splits() == len(expected)
    assert cv.n_paths == theirs.n_test_paths


@settings(max_examples=60, deadline=None)
@given(
    horizon=st.integers(0, 4),
    embargo=st.integers(0, 3),
    n_folds=st.integers(2, 5),
    n_sessions=st.integers(60, 80),
)
def test_combinatorial_one_tested_fold_trains_on_less_than_snippet_7_3(
    horizon: int, embargo: int, n_folds: int, n_sessions: int
) -> None:
    """A subset of Lopez de Prado's purged K-fold: he lets two windows share one session.

    In his snippet 7.3 a training label may be known at the first test decision, and training
    goes on at the session at which the last test label is known, the embargo over.
    """
    cv = CombinatorialPurgedKFold(n_folds, 1, horizon_days=horizon, embargo_days=embargo)
    for train, test in split_days(cv, n_sessions):
        label_dates = np.arange(n_sessions) + horizon
        before = np.flatnonzero(label_dates <= test[0])
        after = np.arange(label_dates[test].max() + embargo, n_sessions)
        his = set(before.tolist()) | set(after.tolist())
        shared = {test[0] - horizon, test[-1] + horizon + embargo} & set(range(n_sessions))
        assert set(train) == his - shared - set(test)


@settings(max_examples=60, deadline=None)
@given(drawn=kfolds(), left_over=st.integers(0, 5), seed=st.integers(0, 99))
def test_combinatorial_any_panel_windows_of_train_and_test_share_no_session(
    drawn: tuple[CombinatorialPurgedKFold, int], left_over: int, seed: int
) -> None:
    """A row is trained on if and only if its window is clear of every test row's."""
    cv, length = drawn
    dates = panel_of(cv.n_folds * length + left_over, seed)
    sessions = dates.rank(method="dense").astype(int).to_numpy() - 1
    for train, test in cv.split(dates, groups=dates):
        later = sessions[:, None] - sessions[None, np.unique(test)]
        overlaps = np.abs(later) <= cv.horizon_days
        is_embargoed = (later > 0) & (later <= cv.horizon_days + cv.embargo_days)
        clear = np.flatnonzero(~(overlaps | is_embargoed).any(axis=1))
        np.testing.assert_array_equal(train, clear)


@settings(max_examples=40, deadline=None)
@given(drawn=kfolds(), left_over=st.integers(0, 5), seed=st.integers(0, 99))
def test_combinatorial_any_panel_tests_every_row_once_on_each_path(
    drawn: tuple[CombinatorialPurgedKFold, int], left_over: int, seed: int
) -> None:
    """Every row is tested as often as there are paths, and no two splits are the same."""
    cv, length = drawn
    dates = panel_of(cv.n_folds * length + left_over, seed)
    tests = [test for _, test in cv.split(dates, groups=dates)]
    assert np.bincount(np.concatenate(tests)).tolist() == [cv.n_paths] * len(dates)
    assert len({tuple(test) for test in tests}) == cv.get_n_splits()


@pytest.mark.parametrize(
    ("n_folds", "n_tested", "n_splits", "n_paths"),
    [(6, 2, 15, 5), (10, 2, 45, 9), (6, 1, 6, 1), (2, 1, 2, 1), (10, 8, 45, 36)],
)
def test_combinatorial_counts_are_those_of_the_book(
    n_folds: int, n_tested: int, n_splits: int, n_paths: int
) -> None:
    """Six folds by two give 15 splits and 5 paths (Lopez de Prado 2018, figure 12.1)."""
    cv = CombinatorialPurgedKFold(n_folds, n_tested)
    assert (cv.get_n_splits(), cv.n_paths) == (n_splits, n_paths)


def test_combinatorial_folds_shorter_than_the_gap_purge_across_folds() -> None:
    """Folds of two with a horizon of three: what a neighbour leaves out reaches beyond it."""
    cv = CombinatorialPurgedKFold(6, 1, horizon_days=3)
    assert split_days(cv, 12)[2] == ([0, 9, 10, 11], [4, 5])


@pytest.mark.parametrize("n_sessions", [0, 1, 5, 6, 9])
def test_combinatorial_nothing_to_train_on_raises(n_sessions: int) -> None:
    """Six folds by four with a horizon of two: of nine sessions some splits purge all others."""
    cv = CombinatorialPurgedKFold(6, 4, horizon_days=2)
    with pytest.raises(ValueError, match=f"^{n_sessions} sessions are too few for 6 folds.*fewer"):
        split_days(cv, n_sessions)


def test_combinatorial_fewer_sessions_than_folds_raise() -> None:
    """An empty fold is no test, even where nothing is purged."""
    cv = CombinatorialPurgedKFold(6, 1, horizon_days=0)
    assert len(split_days(cv, 6)) == 6
    with pytest.raises(ValueError, match=r"^5 sessions are too few for 6 folds"):
        split_days(cv, 5)


@pytest.mark.parametrize("cv", SPLITTERS)
def test_splitters_any_panel_never_split_a_date(cv: Splitter) -> None:
    """Rows of a date are trained on, tested or left out together, and rows are in order."""
    dates = panel_of(48, 8)
    for train, test in cv.split(dates, groups=dates):
        for rows in (train, test):
            assert not set(dates[rows]) & set(dates.drop(index=rows))
            assert (np.diff(rows) > 0).all()
        assert not set(train) & set(test)


@pytest.mark.parametrize("cv", SPLITTERS)
def test_splitters_shuffled_rows_give_the_same_sets(cv: Splitter) -> None:
    """The order of rows says nothing."""
    dates = panel_of(48, 8)
    order = np.random.default_rng(1).permutation(len(dates))
    shuffled = dates.to_numpy()[order]
    pairs = zip(cv.split(dates, groups=dates), cv.split(shuffled, groups=shuffled), strict=True)
    for plain, moved in pairs:
        for rows, moved_rows in zip(plain, moved, strict=True):
            assert sorted(order[moved_rows]) == rows.tolist()


@pytest.mark.parametrize("cv", SPLITTERS)
def test_splitters_any_form_of_dates_gives_the_same_sets(cv: Splitter) -> None:
    """Series with any index, arrays, zoned times and ISO strings name the same sessions."""
    dates = panel_of(48, 8)
    expected = [(train.tolist(), test.tolist()) for train, test in cv.split(dates, groups=dates)]
    forms = [
        dates.set_axis(dates.index[::-1]),
        dates.to_numpy(),
        pd.DatetimeIndex(dates).tz_localize("Europe/Berlin"),
        dates.dt.strftime("%Y-%m-%d").tolist(),
    ]
    for form in forms:
        rows = np.zeros((len(dates), 2))
        found = [(train.tolist(), test.tolist()) for train, test in cv.split(rows, groups=form)]
        assert found == expected


@pytest.mark.parametrize("cv", SPLITTERS)
def test_splitters_dates_that_do_not_fit_the_rows_raise_at_once(cv: Splitter) -> None:
    """No dates, missing dates and too few dates are refused before the first split is asked for."""
    dates = panel_of(48, 8)
    with pytest.raises(ValueError, match="pass the decision date of each row as groups"):
        cv.split(dates)
    with pytest.raises(ValueError, match=f"{len(dates)} rows have {len(dates) - 1} dates"):
        cv.split(dates, groups=dates[1:])
    with pytest.raises(ValueError, match=f"2 of {len(dates)} dates are missing"):
        cv.split(dates, groups=dates.where(dates.index > 1))


@pytest.mark.parametrize("cv", SPLITTERS)
def test_splitters_leave_inputs_unchanged(cv: Splitter) -> None:
    """The dates are only read."""
    dates = panel_of(48, 8)
    before = dates.copy(deep=True)
    list(cv.split(dates, groups=dates))
    pd.testing.assert_series_equal(dates, before)


@pytest.mark.parametrize("cv", SPLITTERS)
def test_splitters_copies_are_equal(cv: Splitter) -> None:
    """What scikit-learn clones or sends to a worker is the same splitter."""
    assert copy.deepcopy(cv) == pickle.loads(pickle.dumps(cv)) == cv  # noqa: S301 - our own bytes


@pytest.mark.parametrize(
    ("kind", "counts", "message"),
    [
        (PanelWalkForward, {"n_splits": 0}, "n_splits is 0: give at least 1"),
        (PanelWalkForward, {"horizon_days": -1}, "horizon_days is -1: give at least 0"),
        (PanelWalkForward, {"embargo_days": -2}, "embargo_days is -2: give at least 0"),
        (PanelWalkForward, {"train_sessions": 0}, "train_sessions is 0: give at least 1"),
        (PanelWalkForward, {"test_sessions": 0}, "test_sessions is 0: give at least 1"),
        (CombinatorialPurgedKFold, {"horizon_days": -1}, "horizon_days is -1: give at least 0"),
        (CombinatorialPurgedKFold, {"embargo_days": -1}, "embargo_days is -1: give at least 0"),
        (CombinatorialPurgedKFold, {"n_test_folds": 0}, "n_test_folds is 0: give at least 1"),
        (CombinatorialPurgedKFold, {"n_test_folds": 6}, "n_test_folds is 6 of 6 folds"),
        (CombinatorialPurgedKFold, {"n_folds": 1}, "n_test_folds is 2 of 1 folds"),
    ],
)
def test_splitters_count_out_of_range_raises(
    kind: type[Splitter], counts: dict[str, int], message: str
) -> None:
    """A splitter that could leak or cannot split is not made."""
    with pytest.raises(ValueError, match=message):
        kind(**counts)


@pytest.mark.parametrize("cv", SPLITTERS)
@pytest.mark.parametrize("form", [pd.Series, pd.DatetimeIndex, np.array])
def test_splitters_in_a_grid_search_are_scored_as_by_hand(cv: Splitter, form: type) -> None:
    """Each split's score is that of a model fitted on its training rows."""
    dates = panel_of(48, 8)
    rng = np.random.default_rng(2)
    X = rng.normal(size=(len(dates), 3))
    y = X[:, 0] + 0.1 * rng.normal(size=len(dates))
    search = GridSearchCV(Ridge(), {"alpha": [0.1, 1000.0]}, cv=cv, scoring="r2")
    search.fit(X, y, groups=form(dates))
    scores = []
    for train, test in cv.split(X, groups=dates):
        model = Ridge(alpha=0.1).fit(X[train], y[train])
        scores.append(r2_score(y[test], model.predict(X[test])))
    assert search.n_splits_ == len(scores)
    found = [search.cv_results_[f"split{number}_test_score"][0] for number in range(len(scores))]
    np.testing.assert_allclose(found, scores, rtol=1e-12)
    alone = cross_val_score(Ridge(alpha=0.1), X, y, groups=form(dates), cv=cv, scoring="r2")
    np.testing.assert_allclose(alone, scores, rtol=1e-12)
    assert search.best_params_ == {"alpha": 0.1}


def test_combinatorial_splits_are_in_lexicographic_order_of_their_folds() -> None:
    """Which split tests which folds is known without looking at rows."""
    cv = CombinatorialPurgedKFold(5, 3, horizon_days=0)
    tested = [tuple(session // 2 for session in test[::2]) for _, test in split_days(cv, 10)]
    assert tested == list(combinations(range(5), 3))
