"""Train, test and cross-validation by date, never by row.

A row dated *t* is decided at the close of session *t*; its label is known ``horizon_days``
sessions later. A training row is *purged* if its label is known only on or after the first
decision that it would be judged by; an *embargo* keeps further sessions apart.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Fold:
    """One walk-forward fold; all four dates are included, as ISO dates."""

    number: int
    train_start: str
    train_end: str
    valid_start: str
    valid_end: str


@dataclass(frozen=True)
class Split:
    """The dates of a split and the id that stands for them."""

    split_id: str
    train_start: str
    train_end: str
    test_start: str
    test_end: str
    horizon_days: int
    embargo_days: int
    folds: tuple[Fold, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain types, ready for JSON."""
        return {**asdict(self), "folds": [asdict(fold) for fold in self.folds]}


def split_by_date(
    dates: pd.DatetimeIndex,
    test_share: float,
    n_folds: int,
    horizon_days: int,
    embargo_days: int,
) -> Split:
    """Cut sessions into train and test, and the training part into walk-forward folds.

    Parameters
    ----------
    dates : DatetimeIndex
        Decision dates; need not be unique or sorted.
    test_share : float
        Share of the sessions, the last ones, that are kept for the test.
    n_folds : int
        Expanding folds: the training part is cut into ``n_folds + 1`` blocks of sessions; fold
        *k* trains on the first *k* blocks and is judged on the next.
    horizon_days : int
        Sessions from a decision until its label is known.
    embargo_days : int
        Further sessions kept between training and judging.

    Returns
    -------
    Split
        Every training period ends ``horizon_days + embargo_days`` sessions before the period
        that it is judged by begins.

    Raises
    ------
    ValueError
        If there are too few sessions for the folds.

    References
    ----------
    Lopez de Prado, M. (2018), Advances in Financial Machine Learning, chapter 7.
    """
    sessions = np.unique(dates.to_numpy())
    cut = len(sessions) - round(len(sessions) * test_share)
    gap = horizon_days + embargo_days
    train = sessions[: max(cut - gap, 0)]
    blocks = np.array_split(train, n_folds + 1)
    if cut >= len(sessions) or min(len(block) for block in blocks) <= gap:
        raise ValueError(
            f"{len(sessions)} sessions are too few for a test share of {test_share:g} and "
            f"{n_folds} folds with a gap of {gap} sessions: give more data or fewer folds."
        )
    starts = np.cumsum([len(block) for block in blocks])[:-1]
    folds = tuple(
        Fold(
            number=number,
            train_start=_iso(train[0]),
            train_end=_iso(train[start - gap - 1]),
            valid_start=_iso(train[start]),
            valid_end=_iso(train[start + len(blocks[number]) - 1]),
        )
        for number, start in enumerate(starts, start=1)
    )
    fields: dict[str, Any] = {
        "train_start": _iso(train[0]),
        "train_end": _iso(train[-1]),
        "test_start": _iso(sessions[cut]),
        "test_end": _iso(sessions[-1]),
        "horizon_days": horizon_days,
        "embargo_days": embargo_days,
    }
    days = [_iso(session) for session in sessions]
    name = json.dumps([fields, [asdict(fold) for fold in folds], days], sort_keys=True)
    split_id = hashlib.sha256(name.encode()).hexdigest()[:12]
    return Split(split_id=split_id, folds=folds, **fields)


def fold_positions(
    dates: pd.Series, folds: tuple[Fold, ...]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the positions of the rows of each fold, as scikit-learn's ``cv`` takes them.

    Parameters
    ----------
    dates : Series of datetime64
        The decision date of each row.
    folds : tuple of Fold
        As `split_by_date` makes them.

    Yields
    ------
    train, valid : ndarray of int
        Positions of rows.
    """
    for fold in folds:
        yield (
            np.flatnonzero(dates.between(fold.train_start, fold.train_end)),
            np.flatnonzero(dates.between(fold.valid_start, fold.valid_end)),
        )


def _iso(date: np.datetime64) -> str:
    return str(np.datetime_as_string(date, unit="D"))
