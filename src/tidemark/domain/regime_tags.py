"""Stress tags from z-scores, and the spells of labels."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

Side = Literal["both", "high", "low"]


def zscore(series: pd.Series, window: int, min_periods: int | None = None) -> pd.Series:
    """Compute how many standard deviations each value lies from its trailing mean.

    Parameters
    ----------
    series : Series of float
        In order of time; NaN is skipped.
    window : int
        Length of the trailing window in rows, at least 2.
    min_periods : int, optional
        Values that a window must hold, 2 to ``window``; all of them if not given.

    Returns
    -------
    Series of float
        NaN where the value is missing, the window holds too few, or all in it are equal. As the
        value counts in its own window, none exceeds ``(window - 1) / sqrt(window)``.

    Raises
    ------
    ValueError
        If the series is empty or a length is out of range.

    Timing
    ------
    Row *t* uses rows *t - window + 1* to *t*.
    """
    periods = window if min_periods is None else min_periods
    if not len(series) or not 2 <= periods <= window:
        raise ValueError(
            f"No z-scores of {len(series)} values in windows of {window} with at least {periods}: "
            "give a series that is not empty and 2 <= min_periods <= window"
        )
    rolling = series.rolling(window, min_periods=periods)
    spread = rolling.std()
    return (series - rolling.mean()) / spread.where(spread > 0.0)


def tag_stress(zscores: pd.Series, threshold: float, side: Side = "both") -> pd.Series:
    """Tag rows whose z-score lies beyond a threshold.

    Parameters
    ----------
    zscores : Series of float
        As `zscore` gives them.
    threshold : float
        In standard deviations, positive.
    side : {"both", "high", "low"}
        Whether stress is a large absolute value, a value above the threshold (for volatility), or
        one below minus the threshold (for returns).

    Returns
    -------
    Series of Int64
        0 normal, 1 stress, missing where the z-score is. A value at the threshold is normal.

    Raises
    ------
    ValueError
        If the series is empty, the threshold is not positive, or the side is unknown.

    Timing
    ------
    Row *t* uses row *t* alone; the tag is known when *t* is over.
    """
    if not len(zscores) or not threshold > 0.0:
        raise ValueError(
            f"Cannot tag {len(zscores)} z-scores at a threshold of {threshold}: give at least one "
            "z-score and a positive threshold"
        )
    sides = {"both": zscores.abs(), "high": zscores, "low": -zscores}
    if side not in sides:
        raise ValueError(f"Unknown side {side!r}: choose one of {', '.join(sides)}")
    return (sides[side] > threshold).astype("Int64").mask(zscores.isna()).rename("regime")


def describe_spells(labels: pd.Series) -> pd.DataFrame:
    """List the runs of equal labels.

    Parameters
    ----------
    labels : Series
        One label for each row, in order of time. Missing labels belong to no spell, and end one.

    Returns
    -------
    DataFrame
        One row for each spell in order: ``start`` and ``end``, the index of its first and its
        last row; ``regime``, its label; ``n_obs``, its rows. Empty if all labels are missing.

    Raises
    ------
    ValueError
        If there are no labels.
    """
    if not len(labels):
        raise ValueError("No spells of no labels: give at least one row")
    codes = pd.factorize(labels)[0]
    first = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
    last = np.r_[first[1:], len(codes)] - 1
    is_known = codes[first] >= 0
    first, last = first[is_known], last[is_known]
    return pd.DataFrame(
        {
            "start": labels.index[first],
            "end": labels.index[last],
            "regime": labels.array[first],
            "n_obs": last - first + 1,
        }
    )
