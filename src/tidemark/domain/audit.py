"""The leakage audit: whether the past changes when the future does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tidemark.domain.splits import Fold
from tidemark.errors import describe_examples

Build = Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class Leak:
    """A feature whose past has changed with the future."""

    feature: str
    how: str
    cut: str
    rows: int


def list_cuts(sessions: np.ndarray, first: str, n_cuts: int) -> list[pd.Timestamp]:
    """Choose days on which the future is taken away: evenly spaced, from ``first`` on.

    Parameters
    ----------
    sessions : ndarray of datetime64
        Sorted; the last one is never chosen, because nothing follows it.
    first : str
        The first cut, for example the end of the training part.
    n_cuts : int
        How many; fewer if there are not as many sessions.
    """
    start = int(np.searchsorted(sessions, np.datetime64(first)))
    positions = np.linspace(start, len(sessions) - 2, n_cuts).round().astype(int)
    return [pd.Timestamp(sessions[position]) for position in np.unique(positions)]


def alter_after(table: pd.DataFrame, cut: pd.Timestamp, rng: np.random.Generator) -> pd.DataFrame:
    """Multiply every number of the rows after a day by a random factor between 0.5 and 2."""
    altered = table.copy()
    later = (table["date"] > cut).to_numpy()
    for column in table.select_dtypes("number"):
        values = altered[column].to_numpy(dtype="float64", copy=True)
        values[later] *= rng.uniform(0.5, 2.0, int(later.sum()))
        altered[column] = values
    return altered


def find_leaks(
    build: Build,
    main: pd.DataFrame,
    side: pd.DataFrame,
    keys: Sequence[str],
    cuts: Iterable[pd.Timestamp],
    side_delay_days: int,
    seed: int,
    horizon_days: int = 0,
) -> list[Leak]:
    """Build features with the future cut off and with the future altered, and compare the past.

    Parameters
    ----------
    build : callable
        Builds the features, ``keys`` and one column each, from the two tables.
    main, side : DataFrame
        Long tables with ``date``, such as prices and exogenous levels; ``side`` may be empty.
    keys : sequence of str
        What identifies a row of the features, the date first.
    cuts : iterable of Timestamp
        The days after which the future is taken away.
    side_delay_days : int
        Calendar days by which ``side`` is known later than ``main``.
    seed : int
        Seed of the altered numbers.
    horizon_days : int
        Sessions by which what is built looks ahead on purpose, as labels do: rows of so many
        sessions before the cut are left out.

    Returns
    -------
    list of Leak
        One for each feature, way and cut at which any value up to the cut has changed, bit by
        bit; a row that appears only without its future counts too.

    Timing
    ------
    A row that is missing without its future is no leak of a value: a blank at the end of a life
    is seen to be the end only afterwards.
    """
    rng = np.random.default_rng(seed)
    whole = build(main, side)
    sessions = np.unique(main["date"].to_numpy())
    leaks: list[Leak] = []
    for cut in cuts:
        n_past = int(np.searchsorted(sessions, cut.to_datetime64(), side="right"))
        settled = sessions[: n_past - horizon_days]
        side_cut = cut - pd.Timedelta(days=side_delay_days)
        past = main[main["date"] <= cut], side[side["date"] <= side_cut]
        other = alter_after(main, cut, rng), alter_after(side, side_cut, rng)
        for how, tables in (("truncated", past), ("altered", other)):
            again = build(*tables)
            leaks += _compare(whole, again, keys, pd.Timestamp(settled[-1]), how)
    return leaks


def _compare(
    whole: pd.DataFrame, again: pd.DataFrame, keys: Sequence[str], cut: pd.Timestamp, how: str
) -> list[Leak]:
    names = [str(name) for name in whole if name not in keys]
    before, after = (table[table[keys[0]] <= cut] for table in (whole, again))
    both = before.merge(after, on=list(keys), how="right", suffixes=("", "_again"), indicator=True)
    extra = int((both["_merge"] == "right_only").sum())
    found = [Leak("(rows)", how, f"{cut:%Y-%m-%d}", extra)] if extra else []
    common = both[both["_merge"] == "both"]
    for name in names:
        first = common[name].to_numpy(dtype="float64")
        second = common[f"{name}_again"].to_numpy(dtype="float64")
        changed = int((first.view("int64") != second.view("int64")).sum())
        if changed:
            found.append(Leak(name, how, f"{cut:%Y-%m-%d}", changed))
    return found


def describe_leaks(leaks: Sequence[Leak], what: str) -> list[str]:
    """Say of each feature, in a sentence, how many values have changed and up to which days.

    Examples
    --------
    >>> describe_leaks([Leak("ret_lag_0", "altered", "2018-01-05", 4)], "feature")
    ['feature ret_lag_0 changes with the future (4 values up to 2018-01-05)']
    """
    sentences = []
    for name in sorted({leak.feature for leak in leaks}):
        own = [leak for leak in leaks if leak.feature == name]
        cuts = describe_examples(sorted({leak.cut for leak in own}), 2)
        rows = sum(leak.rows for leak in own)
        sentences.append(f"{what} {name} changes with the future ({rows} values up to {cuts})")
    return sentences


def list_differences(stored: pd.DataFrame, rebuilt: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    """List the features of stored rows that are not what building them gives, bit by bit.

    Parameters
    ----------
    stored : DataFrame
        Keys and features, as models read them.
    rebuilt : DataFrame
        Keys and features, as the audit builds them; may have further rows.
    keys : sequence of str
        What identifies a row.

    Returns
    -------
    list of str
        Also features that only one of the two has.
    """
    names = {str(name) for name in stored if name not in keys}
    known = {str(name) for name in rebuilt if name not in keys}
    both = stored.merge(rebuilt, on=list(keys), how="left", suffixes=("", "_again"))
    differing = [
        name
        for name in names & known
        if (
            both[name].to_numpy(dtype="float64").view("int64")
            != both[f"{name}_again"].to_numpy(dtype="float64").view("int64")
        ).any()
    ]
    return sorted({*differing, *(names ^ known)})


def find_late_labels(
    sessions: np.ndarray, folds: Iterable[Fold], horizon_days: int
) -> list[tuple[Fold, str]]:
    """Find training periods whose last label is not known before the judging begins.

    Parameters
    ----------
    sessions : ndarray of datetime64
        Sorted decision dates.
    folds : iterable of Fold
        Of the cross-validation, and the refits.
    horizon_days : int
        Sessions from a decision until its label is known.

    Returns
    -------
    list of (Fold, str)
        With the day on which the last label is known.
    """
    late = []
    for fold in folds:
        last = int(np.searchsorted(sessions, np.datetime64(fold.train_end)))
        known = sessions[min(last + horizon_days, len(sessions) - 1)]
        if known >= np.datetime64(fold.valid_start):
            late.append((fold, str(np.datetime_as_string(known, unit="D"))))
    return late
