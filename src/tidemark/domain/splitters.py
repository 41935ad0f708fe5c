"""Splitters for panels, as scikit-learn's ``cv=`` takes them: many rows a date, in any order.

Both take the decision date of each row as ``groups`` and yield positions of rows. Sessions are
the unique dates given.

- Time of decision: the row's date, at the close.
- Time of label: the date ``horizon_days`` sessions later.

Whole dates move together. Where a date of the calendar has no row, the sessions that are kept
apart span more of the calendar, never less.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import KW_ONLY, dataclass
from itertools import combinations
from math import comb
from typing import Any

import numpy as np

from tidemark.domain.splits import (
    is_known_before,
    list_training_sessions,
    number_sessions,
    require_at_least,
)


@dataclass(frozen=True)
class PanelWalkForward:
    """Walk forward through the last sessions, learning only from labels known by then.

    Parameters
    ----------
    n_splits : int
        Test blocks. They are consecutive, and the last ends at the last session.
    horizon_days : int
        Sessions from a decision until its label is known.
    embargo_days : int
        Further sessions kept between training and test.
    train_sessions : int, optional
        A training window that rolls: exactly this many sessions. None lets it expand from the
        first session.
    test_sessions : int, optional
        Sessions of each test block. None takes one part in ``n_splits + 1``, rounded down, as
        scikit-learn's ``TimeSeriesSplit`` does.

    Raises
    ------
    ValueError
        If a count is too small.

    Notes
    -----
    Timing: a training row's label is known, and the embargo is over, before the close at which
    the first decision of the test block is taken.

    References
    ----------
    Lopez de Prado, M. (2018), Advances in Financial Machine Learning, section 12.2.

    Examples
    --------
    >>> dates = ["2024-01-02", "2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05"]
    >>> cv = PanelWalkForward(2, test_sessions=1)
    >>> [(train.tolist(), test.tolist()) for train, test in cv.split(dates, groups=dates)]
    [([0, 1], [3]), ([0, 1, 2], [4])]
    """

    n_splits: int = 5
    _: KW_ONLY
    horizon_days: int = 1
    embargo_days: int = 0
    train_sessions: int | None = None
    test_sessions: int | None = None

    def __post_init__(self) -> None:
        require_at_least(0, horizon_days=self.horizon_days, embargo_days=self.embargo_days)
        require_at_least(1, n_splits=self.n_splits)
        require_at_least(1, train_sessions=self.train_sessions, test_sessions=self.test_sessions)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits, whatever the data."""
        return self.n_splits

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Return the positions of the rows of each split, earliest test block first.

        Parameters
        ----------
        X : array-like, shape (n_rows, ...)
            Only its length is looked at.
        y : object
            Not looked at.
        groups : array-like of dates, shape (n_rows,)
            The decision date of each row.

        Returns
        -------
        iterator of (train, test), ndarrays of int
            Sorted positions of rows.

        Raises
        ------
        ValueError
            If dates are not given, missing or not one for each row, or there are too few sessions.
        """
        numbers, n_sessions = _number_rows(X, groups)
        n_test = self.test_sessions or max(n_sessions // (self.n_splits + 1), 1)
        n_train = self.train_sessions or 1
        gap = self.horizon_days + self.embargo_days
        n_needed = n_train + gap + self.n_splits * n_test
        if n_sessions < n_needed:
            raise ValueError(
                f"{n_sessions} sessions are too few: {n_train} to train on, a gap of {gap} and "
                f"{self.n_splits} test blocks of {n_test} take {n_needed}. Give more data, or "
                f"fewer or shorter blocks."
            )
        blocks = np.arange(n_sessions - self.n_splits * n_test, n_sessions).reshape(-1, n_test)
        sessions = ((self._list_training(block[0]), block) for block in blocks)
        return _locate_rows(numbers, sessions)

    def _list_training(self, first: int) -> np.ndarray:
        return list_training_sessions(
            first, self.horizon_days, self.embargo_days, self.train_sessions
        )


@dataclass(frozen=True)
class CombinatorialPurgedKFold:
    """Test every combination of folds, learning from what overlaps none of them.

    Sessions are cut into ``n_folds`` consecutive folds of equal length, the first ones longer by
    a session where they must be. Training rows lie before and after what is tested: this judges
    how much a result hangs on its path, it does not replay history.

    Parameters
    ----------
    n_folds : int
        At least 2.
    n_test_folds : int
        Folds that are tested together; fewer than ``n_folds``. With 1 this is purged K-fold.
    horizon_days : int
        Sessions from a decision until its label is known.
    embargo_days : int
        Further sessions left out after each test block.

    Raises
    ------
    ValueError
        If a count is too small, or all folds are tested.

    Notes
    -----
    Timing: no window ``[t, t + horizon_days]`` of a training row shares a session with that of a
    test row. Training before a test block ends ``horizon_days`` sessions earlier; after it,
    ``horizon_days + embargo_days`` sessions are left out. Snippet 7.3 of the reference lets
    windows touch at their ends and so leaves out one session less on either side.

    References
    ----------
    Lopez de Prado, M. (2018), Advances in Financial Machine Learning, sections 7.4 and 12.4.

    Examples
    --------
    >>> dates = [f"2024-01-{day:02}" for day in range(1, 10)]
    >>> cv = CombinatorialPurgedKFold(3, 1)
    >>> [train.tolist() for train, _ in cv.split(dates, groups=dates)]
    [[4, 5, 6, 7, 8], [0, 1, 7, 8], [0, 1, 2, 3, 4]]
    """

    n_folds: int = 6
    n_test_folds: int = 2
    _: KW_ONLY
    horizon_days: int = 1
    embargo_days: int = 0

    def __post_init__(self) -> None:
        require_at_least(0, horizon_days=self.horizon_days, embargo_days=self.embargo_days)
        require_at_least(1, n_test_folds=self.n_test_folds)
        if self.n_test_folds >= self.n_folds:
            raise ValueError(
                f"n_test_folds is {self.n_test_folds} of {self.n_folds} folds: leave at least one "
                f"to train on."
            )

    @property
    def n_paths(self) -> int:
        """Number of backtest paths: each session is tested once on every path.

        References
        ----------
        Lopez de Prado, M. (2018), Advances in Financial Machine Learning, section 12.4.1.
        """
        return comb(self.n_folds - 1, self.n_test_folds - 1)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of combinations of test folds, whatever the data."""
        return comb(self.n_folds, self.n_test_folds)

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Return the positions of the rows of each split, test folds in lexicographic order.

        Parameters
        ----------
        X : array-like, shape (n_rows, ...)
            Only its length is looked at.
        y : object
            Not looked at.
        groups : array-like of dates, shape (n_rows,)
            The decision date of each row.

        Returns
        -------
        iterator of (train, test), ndarrays of int
            Sorted positions of rows; the test folds of a split come as one array.

        Raises
        ------
        ValueError
            If dates are not given, missing or not one for each row, or if there are fewer
            sessions than folds, or a combination leaves nothing to train on.
        """
        numbers, n_sessions = _number_rows(X, groups)
        blocks = np.array_split(np.arange(n_sessions), self.n_folds)
        tests = [list(folds) for folds in combinations(range(self.n_folds), self.n_test_folds)]
        is_clear = np.array([self._is_clear_of(block, n_sessions) for block in blocks])
        if not all(is_clear[folds].all(axis=0).any() for folds in tests):
            raise ValueError(
                f"{n_sessions} sessions are too few for {self.n_folds} folds, a horizon of "
                f"{self.horizon_days} and an embargo of {self.embargo_days}: with some "
                f"{self.n_test_folds} tested nothing is left to train on. Give more data or "
                f"fewer folds."
            )
        sessions = (
            (
                np.flatnonzero(is_clear[folds].all(axis=0)),
                np.concatenate([blocks[fold] for fold in folds]),
            )
            for folds in tests
        )
        return _locate_rows(numbers, sessions)

    def _is_clear_of(self, block: np.ndarray, n_sessions: int) -> np.ndarray:
        if not len(block):
            return np.zeros(n_sessions, dtype=bool)
        every = np.arange(n_sessions)
        is_before = is_known_before(every, block[0], self.horizon_days)
        is_after = is_known_before(block[-1], every, self.horizon_days, self.embargo_days)
        return np.asarray(is_before | is_after)


def _number_rows(X: Any, groups: Any) -> tuple[np.ndarray, int]:
    if groups is None:
        raise ValueError("There are no dates: pass the decision date of each row as groups.")
    numbers, sessions = number_sessions(groups)
    n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
    if n_rows != len(numbers):
        raise ValueError(f"{n_rows} rows have {len(numbers)} dates: give one date for each row.")
    return numbers, len(sessions)


def _locate_rows(
    numbers: np.ndarray, sessions: Iterable[tuple[np.ndarray, np.ndarray]]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for train, test in sessions:
        yield np.flatnonzero(np.isin(numbers, train)), np.flatnonzero(np.isin(numbers, test))
