"""Histories of contracts as masked sequences, and the dated slice that stops their training.

A sequence has one step for each of the last ``length`` sessions, the row's own session last. A
step is masked where the contract has no row in that session or a feature of the row is missing.
Histories are kept as positions of rows in one table of features; a batch is gathered when it is
needed, so that nothing is stored ``length`` times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tidemark.domain.splits import list_training_sessions, number_sessions, require_at_least
from tidemark.errors import describe_examples

_PADDING = -1  # the position of a masked step: the last row of the features, all zeros


@dataclass(frozen=True, eq=False)
class SequenceIndex:
    """Where the history of each row lies in a table of features.

    Attributes
    ----------
    features : ndarray of float32, shape (n_rows + 1, n_features)
        The features of each row, in the frame's order; then a row of zeros, which masked steps
        point to.
    positions : ndarray of int32, shape (n_rows, length)
        Row of each step, the row's own session last; -1 where the step is masked.
    feature_columns : tuple of str
        The names of the features.
    """

    features: np.ndarray
    positions: np.ndarray
    feature_columns: tuple[str, ...]

    @property
    def n_rows(self) -> int:
        """Number of rows, which is the number of sequences."""
        return len(self.positions)

    @property
    def length(self) -> int:
        """Steps of a sequence."""
        return int(self.positions.shape[1])

    def find_usable(self, rows: np.ndarray) -> np.ndarray:
        """Tell which rows have at least one step that is not masked.

        Parameters
        ----------
        rows : ndarray of int, shape (n,)
            Positions of rows in the frame.

        Returns
        -------
        ndarray of bool, shape (n,)
        """
        return np.asarray((self.positions[rows] != _PADDING).any(axis=1))

    def gather(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Copy the sequences of some rows into one block.

        Parameters
        ----------
        rows : ndarray of int, shape (n,)
            Positions of rows in the frame.

        Returns
        -------
        values : ndarray of float32, shape (n, length, n_features)
            In the features' own units; 0 in masked steps. The block is new at every call: JAX may
            still be reading the one before.
        mask : ndarray of bool, shape (n, length)
            False in masked steps.
        """
        positions = self.positions[rows]
        return np.take(self.features, positions, axis=0), positions != _PADDING


@dataclass(frozen=True, eq=False)
class SequenceSample:
    """Some sequences and what each of them is to foretell.

    Attributes
    ----------
    index : SequenceIndex
        The sequences of a frame.
    rows : ndarray of int, shape (n,)
        Positions of the sample's rows in that frame.
    target : ndarray of float64, shape (n,)
        One label for each of these rows.

    Raises
    ------
    ValueError
        If the sample is empty, a label is missing or infinite, a position lies outside the frame,
        or a sequence has no step that is not masked.
    """

    index: SequenceIndex
    rows: np.ndarray
    target: np.ndarray

    def __post_init__(self) -> None:
        n = len(self.rows)
        if n == 0:
            raise ValueError("The sample has no rows: give at least one.")
        if np.shape(self.target) != (n,):
            raise ValueError(f"{n} rows have labels of shape {np.shape(self.target)}: give ({n},).")
        if np.min(self.rows) < 0 or np.max(self.rows) >= self.index.n_rows:
            raise ValueError(
                f"Positions from {np.min(self.rows)} to {np.max(self.rows)} do not lie in a frame "
                f"of {self.index.n_rows} rows: give positions, not labels of the index."
            )
        n_unknown = n - np.count_nonzero(np.isfinite(self.target))
        if n_unknown:
            raise ValueError(f"{n_unknown} of {n} labels are not finite: drop these rows.")
        n_empty = n - np.count_nonzero(self.index.find_usable(self.rows))
        if n_empty:
            raise ValueError(
                f"{n_empty} of {n} rows have no complete session in their history: drop the rows "
                f"that find_usable does not name."
            )


def build_sequences(
    frame: pd.DataFrame,
    keys: Sequence[str],
    date_column: str,
    feature_columns: Sequence[str],
    length: int = 20,
    sessions: pd.DatetimeIndex | None = None,
) -> SequenceIndex:
    """Find the history of each row: the same contract's rows of the last sessions.

    Parameters
    ----------
    frame : DataFrame
        One row for each contract and date, in any order; its index is not looked at.
    keys : sequence of str
        Columns that together name a contract. No missing values.
    date_column : str
        Column of datetime64, the date of each row.
    feature_columns : sequence of str
        Columns of numbers. A row in which one of them is NaN is masked wherever it is a step;
        its own sequence then rests on the steps before it.
    length : int
        Steps of a sequence, in sessions.
    sessions : DatetimeIndex, optional
        The calendar in which steps are counted; every date of the frame must be in it. Without
        it, sessions are the dates that occur in the frame: the same contract may then have
        other steps in a frame that lacks a date.

    Returns
    -------
    SequenceIndex
        Sequence *i* is that of row *i* of the frame. Features are held as float32: of one whose
        mean is 100,000 times its deviation, two digits are left.

    Raises
    ------
    ValueError
        If the frame is empty, a column is missing or not of numbers, a key or a date is missing,
        two rows share contract and date, a date is no session, or a feature is infinite or
        beyond float32.

    Notes
    -----
    Timing: the sequence of a row dated *t* uses rows dated *t* or earlier. A session in which a
    contract was not quoted stays a step, so that a lag means the same in every sequence and no
    history reaches back further than ``length`` sessions.

    Examples
    --------
    >>> frame = pd.DataFrame(
    ...     {
    ...         "date": pd.to_datetime(["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-04"]),
    ...         "strike": [100.0, 105.0, 100.0, 105.0],
    ...         "vol_annual": [0.20, 0.25, 0.22, 0.26],
    ...     }
    ... )
    >>> build_sequences(frame, ["strike"], "date", ["vol_annual"], length=3).positions.tolist()
    [[-1, -1, 0], [-1, -1, 1], [0, -1, 2], [-1, 1, 3]]
    """
    require_at_least(1, length=length)
    _check_columns(frame, [*keys, date_column, *feature_columns])
    features, is_complete = _collect_features(frame, feature_columns)
    contracts = _number_contracts(frame, keys)
    days, n_sessions = _number_days(frame[date_column], sessions)
    # One clock for all contracts, so far apart that no window reaches from one into the next.
    clock = contracts * (n_sessions + length) + days
    order = np.argsort(clock, kind="stable")
    _check_unique(frame, [*keys, date_column], clock[order], order)
    positions = _locate_histories(clock[order], order, is_complete, length)
    return SequenceIndex(features, positions, tuple(feature_columns))


def cut_validation(
    dates: Any, validation_sessions: int, horizon_days: int, embargo_days: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Cut the last sessions of a training period off, to tell when training should stop.

    Parameters
    ----------
    dates : array-like of dates, shape (n_rows,)
        Decision dates of the rows of the training period, in any order.
    validation_sessions : int
        Sessions that are cut off; those that occur are counted.
    horizon_days, embargo_days : int
        Sessions from a decision until its label is known, and further ones to keep apart.

    Returns
    -------
    train, validation : ndarrays of int
        Sorted positions of rows. Rows between the two belong to neither: their labels are not
        known before the first decision of the validation.

    Raises
    ------
    ValueError
        If a date is missing, a count is too small, or nothing is left to train on.

    Examples
    --------
    >>> days = pd.date_range("2024-01-01", periods=6)
    >>> [part.tolist() for part in cut_validation(days, 2, horizon_days=1)]
    [[0, 1, 2], [4, 5]]
    """
    require_at_least(1, validation_sessions=validation_sessions)
    require_at_least(0, horizon_days=horizon_days, embargo_days=embargo_days)
    numbers, sessions = number_sessions(dates)
    first = len(sessions) - validation_sessions
    known = list_training_sessions(max(first, 0), horizon_days, embargo_days)
    if not len(known):
        gap = horizon_days + embargo_days
        raise ValueError(
            f"{len(sessions)} sessions are too few: {validation_sessions} for validation and a "
            f"gap of {gap} leave none to train on. Give more data or fewer validation sessions."
        )
    return np.flatnonzero(numbers <= known[-1]), np.flatnonzero(numbers >= first)


def _check_columns(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    absent = [name for name in columns if name not in frame.columns]
    if absent:
        raise ValueError(f"The frame has no columns {describe_examples(absent)}: add them.")
    if frame.empty:
        raise ValueError("The frame has no rows: give at least one.")


def _collect_features(frame: pd.DataFrame, columns: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    if not columns:
        raise ValueError("No features are given: name at least one column of numbers.")
    others = [name for name in columns if not pd.api.types.is_numeric_dtype(frame[name])]
    if others:
        raise ValueError(
            f"Columns {describe_examples(others)} do not hold numbers: convert them or leave "
            f"them out."
        )
    values = frame[list(columns)].to_numpy(np.float64, na_value=np.nan)
    is_beyond = np.abs(values) > np.finfo(np.float32).max
    if is_beyond.any():
        found = [
            name for name, is_bad in zip(columns, is_beyond.any(axis=0), strict=True) if is_bad
        ]
        raise ValueError(
            f"{is_beyond.sum()} values are infinite or beyond float32, in "
            f"{describe_examples(found)}: make them missing, and the step is masked."
        )
    is_complete = ~np.isnan(values).any(axis=1)
    features = np.zeros((len(values) + 1, len(columns)), np.float32)
    features[:-1][is_complete] = values[is_complete]
    return features, is_complete


def _number_contracts(frame: pd.DataFrame, keys: Sequence[str]) -> np.ndarray:
    if not keys:
        raise ValueError("No keys are given: name the columns that make a contract.")
    n_missing = int(frame[list(keys)].isna().any(axis=1).sum())
    if n_missing:
        raise ValueError(
            f"{n_missing} of {len(frame)} rows lack one of the keys {describe_examples(keys)}: "
            f"drop these rows."
        )
    numbers = frame.groupby(list(keys), sort=False, observed=True).ngroup()
    return numbers.to_numpy(np.int64)


def _number_days(dates: pd.Series, sessions: pd.DatetimeIndex | None) -> tuple[np.ndarray, int]:
    numbers, found = number_sessions(dates)
    if sessions is None:
        return numbers, len(found)
    calendar = pd.DatetimeIndex(sessions).unique().sort_values()
    places = calendar.get_indexer(found)
    strange = found[places < 0]
    if len(strange):
        examples = describe_examples([f"{date:%Y-%m-%d}" for date in strange])
        raise ValueError(
            f"{len(strange)} of {len(found)} dates are no sessions ({examples}): drop them or "
            f"give a calendar that has them."
        )
    return places[numbers], len(calendar)


def _check_unique(
    frame: pd.DataFrame, columns: list[str], clock: np.ndarray, order: np.ndarray
) -> None:
    again = np.flatnonzero(np.diff(clock) == 0)
    if len(again):
        first = frame.iloc[int(order[again[0]])]
        place = ", ".join(f"{name}={first[name]}" for name in columns)
        raise ValueError(
            f"{len(again)} rows repeat a contract's date, the first is {place}: keep one of each."
        )


def _locate_histories(
    clock: np.ndarray, order: np.ndarray, is_complete: np.ndarray, length: int
) -> np.ndarray:
    """Point each row to the complete rows of its contract that are less than ``length`` back."""
    n = len(clock)
    positions = np.full((n, length), _PADDING, np.int32)
    is_step = is_complete[order]
    # A contract has one row a session at most: those of a window are the next in order.
    for n_back in range(min(length, n)):
        age = clock[n_back:] - clock[: n - n_back]
        found = np.flatnonzero((age < length) & is_step[: n - n_back])
        positions[order[found + n_back], length - 1 - age[found]] = order[found]
    return positions
