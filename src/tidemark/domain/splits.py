"""Train, test, refits and cross-validation by date, never by row.

A row dated *t* is decided at the close of session *t*; its label is known ``horizon_days``
sessions later. A training row is *purged* if its label is known only on or after the first
decision that it would be judged by; an *embargo* keeps further sessions apart. The rule itself
is `is_known_before`; everything that cuts sessions calls it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Fold:
    """One walk-forward fold; all four dates are included, as ISO dates.

    Of a refit, the valid period is a block of the test period.
    """

    number: int
    train_start: str
    train_end: str
    valid_start: str
    valid_end: str


@dataclass(frozen=True)
class Split:
    """The dates of a split and the id that stands for them.

    ``folds`` lie in the training part and choose hyperparameters. ``refits`` walk through the
    test part: the model that judges a block learns from all that was known before the block.
    ``n_sessions`` counts every session that was cut, those between the parts among them.
    """

    split_id: str
    train_start: str
    train_end: str
    test_start: str
    test_end: str
    horizon_days: int
    embargo_days: int
    n_sessions: int
    folds: tuple[Fold, ...]
    refits: tuple[Fold, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain types, ready for JSON."""
        return {
            **asdict(self),
            "folds": [asdict(fold) for fold in self.folds],
            "refits": [asdict(refit) for refit in self.refits],
        }


def split_by_date(
    dates: pd.DatetimeIndex,
    test_share: float,
    n_folds: int,
    horizon_days: int,
    embargo_days: int,
    refit_sessions: int = 252,
    window_sessions: int | None = None,
) -> Split:
    """Cut sessions into train and test, the one into folds and the other into refits.

    Parameters
    ----------
    dates : DatetimeIndex
        Decision dates, without a time of day; need not be unique or sorted.
    test_share : float
        Share of the sessions, the last ones, that are kept for the test.
    n_folds : int
        Expanding folds: the training part is cut into ``n_folds + 1`` blocks of sessions; fold
        *k* trains on the first *k* blocks and is judged on the next.
    horizon_days : int
        Sessions from a decision until its label is known.
    embargo_days : int
        Further sessions kept between training and judging.
    refit_sessions : int
        Sessions of the test that one model judges before the next is fitted. The last block may
        be shorter; if it is shorter than a fifth of this, it is joined to the one before.
    window_sessions : int, optional
        Sessions that a refit trains on at most, the last ones. None trains on all of them.

    Returns
    -------
    Split
        Every training period ends just before the ``horizon_days + embargo_days`` sessions that
        precede the period that it is judged by. The first refit's ends as the training part does.

    Raises
    ------
    ValueError
        If there are too few sessions for the folds, a count is too small, or a date is missing
        or has a time of day.

    References
    ----------
    Lopez de Prado, M. (2018), Advances in Financial Machine Learning, chapter 7.

    Pesaran, M. H. and Timmermann, A. (2007), Selection of estimation window in the presence of
    breaks, Journal of Econometrics 137(1), 134-161: windows that expand and windows that roll.
    """
    require_at_least(0, horizon_days=horizon_days, embargo_days=embargo_days)
    require_at_least(1, n_folds=n_folds, refit_sessions=refit_sessions)
    require_at_least(1, window_sessions=window_sessions)
    days = _list_days(dates)
    cut = len(days) - round(len(days) * test_share)
    train = list_training_sessions(cut, horizon_days, embargo_days)
    blocks = np.array_split(train, n_folds + 1)
    gap = horizon_days + embargo_days
    if cut >= len(days) or min(len(block) for block in blocks) <= gap:
        raise ValueError(
            f"{len(days)} sessions are too few for a test share of {test_share:g} and "
            f"{n_folds} folds with a gap of {gap} sessions: give more data or fewer folds."
        )
    folds = _date_folds(days, blocks[1:], horizon_days, embargo_days, None)
    tests = _cut_refits(cut, len(days), refit_sessions)
    refits = _date_folds(days, tests, horizon_days, embargo_days, window_sessions)
    fields: dict[str, Any] = {
        "train_start": days[0],
        "train_end": days[train[-1]],
        "test_start": days[cut],
        "test_end": days[-1],
        "horizon_days": horizon_days,
        "embargo_days": embargo_days,
        "n_sessions": len(days),
    }
    parts = [[asdict(fold) for fold in part] for part in (folds, refits)]
    name = json.dumps([fields, *parts, days], sort_keys=True)
    split_id = hashlib.sha256(name.encode()).hexdigest()[:12]
    return Split(split_id=split_id, folds=folds, refits=refits, **fields)


def fold_positions(
    dates: pd.Series, folds: tuple[Fold, ...]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the positions of the rows of each fold, as scikit-learn's ``cv`` takes them.

    Parameters
    ----------
    dates : Series of datetime64
        The decision date of each row. Refits need the rows of every session: those between the
        training part and the test too, whose labels are known before later blocks.
    folds : tuple of Fold
        The folds or the refits that `split_by_date` makes.

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


def is_known_before(
    decided: int | np.ndarray, judged: int | np.ndarray, horizon_days: int, embargo_days: int = 0
) -> np.ndarray:
    """Tell whether a decision's label is known, and the embargo over, before another decision.

    Parameters
    ----------
    decided : int or ndarray of int
        Session of the decision, counted from any first one.
    judged : int or ndarray of int
        Session of the other decision; broadcasts against ``decided``.
    horizon_days : int
        Sessions from a decision until its label is known.
    embargo_days : int
        Further sessions to pass.

    Returns
    -------
    ndarray of bool

    Notes
    -----
    Timing: a label that becomes known at the close at which the other decision is taken is *not*
    known before it. The windows ``[t, t + horizon_days]`` of two such rows share no session.

    References
    ----------
    Lopez de Prado, M. (2018), Advances in Financial Machine Learning, section 7.4.
    """
    return np.asarray(decided) + (horizon_days + embargo_days) < np.asarray(judged)


def list_training_sessions(
    first: int, horizon_days: int, embargo_days: int, window_sessions: int | None = None
) -> np.ndarray:
    """List the sessions, counted from 0, that may be learnt from before the decision ``first``.

    Parameters
    ----------
    first : int
        The session of the first decision that is judged.
    horizon_days, embargo_days : int
        As `is_known_before` takes them.
    window_sessions : int, optional
        Only this many, the last ones. None gives all.

    Returns
    -------
    ndarray of int
        Consecutive sessions; empty if none is known.
    """
    before = np.arange(first)
    known = np.flatnonzero(is_known_before(before, first, horizon_days, embargo_days))
    return known if window_sessions is None else known[-window_sessions:]


def number_sessions(dates: Any) -> tuple[np.ndarray, pd.DatetimeIndex]:
    """Give each row the number of its session: the dates that occur, counted from 0 in order.

    Parameters
    ----------
    dates : array-like of dates, shape (n_rows,)
        In any order, repeated or not.

    Returns
    -------
    numbers : ndarray of int, shape (n_rows,)
        The session of each row.
    sessions : DatetimeIndex
        The unique dates, sorted.

    Raises
    ------
    ValueError
        If a date is missing.
    """
    index = pd.DatetimeIndex(dates)
    n_missing = np.count_nonzero(index.isna())
    if n_missing:
        raise ValueError(f"{n_missing} of {len(index)} dates are missing: drop or date these rows.")
    numbers, sessions = index.factorize(sort=True)
    return numbers, pd.DatetimeIndex(sessions)


def require_at_least(minimum: int, **counts: int | None) -> None:
    """Refuse a count that is too small; None stands for a count that is not asked for.

    Raises
    ------
    ValueError
        If a count is below the minimum.
    """
    for name, count in counts.items():
        if count is not None and count < minimum:
            raise ValueError(f"{name} is {count}: give at least {minimum}.")


def _list_days(dates: pd.DatetimeIndex) -> list[str]:
    _, sessions = number_sessions(dates)
    timed = sessions[sessions != sessions.normalize()]
    if len(timed):
        # Named by their day, several sessions would be one, and rows would fall out of folds.
        raise ValueError(
            f"{len(timed)} of {len(sessions)} dates have a time of day, the first is {timed[0]}: "
            f"normalise them to midnight."
        )
    return sessions.strftime("%Y-%m-%d").tolist()


def _cut_refits(first: int, stop: int, refit_sessions: int) -> list[np.ndarray]:
    cuts = np.arange(first + refit_sessions, stop, refit_sessions)
    if len(cuts) and 5 * (stop - cuts[-1]) < refit_sessions:
        cuts = cuts[:-1]
    return np.split(np.arange(first, stop), cuts - first)


def _date_folds(
    days: list[str],
    blocks: Iterable[np.ndarray],
    horizon_days: int,
    embargo_days: int,
    window_sessions: int | None,
) -> tuple[Fold, ...]:
    folds = []
    for number, block in enumerate(blocks, start=1):
        train = list_training_sessions(block[0], horizon_days, embargo_days, window_sessions)
        ends = (train[0], train[-1], block[0], block[-1])
        folds.append(Fold(number, *(days[end] for end in ends)))
    return tuple(folds)
