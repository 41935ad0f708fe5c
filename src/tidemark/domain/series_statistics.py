"""Descriptions of one series on its own sessions: gaps, runs of one level, outlying changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tidemark.domain.asset_returns import compute_returns
from tidemark.domain.series import SeriesDefinition

ROBUST_DEVIATIONS = 10.0
# Turns the median absolute deviation of normal variables into their standard deviation.
_MAD_SCALE = 1.4826


def describe_levels(levels: pd.Series, sessions: pd.DatetimeIndex) -> dict[str, Any]:
    """Describe how whole a series is.

    Parameters
    ----------
    levels : Series
        Levels by date, sorted, at least one; every date is one of ``sessions``.
    sessions : DatetimeIndex
        The series' own sessions from its first to its last level.

    Returns
    -------
    dict
        ``first, last, sessions, observed, coverage``; ``longest_gap`` in sessions, from
        ``gap_first`` to ``gap_last`` (NaT without a gap); ``stale_run``, the number of levels in
        the longest run of equal ones, from ``stale_first`` to ``stale_last``. Of equal lengths
        the first counts; a gap does not end a run.
    """
    days = pd.DatetimeIndex(levels.index)
    places = sessions.searchsorted(days)
    missed = np.append(np.diff(places) - 1, 0)
    worst = int(missed.argmax())
    has_gap = bool(missed[worst])

    values = levels.to_numpy()
    starts = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
    lengths = np.diff(np.append(starts, len(values)))
    longest = int(lengths.argmax())
    start = int(starts[longest])
    return {
        "first": days[0],
        "last": days[-1],
        "sessions": len(sessions),
        "observed": len(days),
        "coverage": len(days) / len(sessions),
        "longest_gap": int(missed[worst]),
        "gap_first": sessions[places[worst] + 1] if has_gap else pd.NaT,
        "gap_last": sessions[places[worst + 1] - 1] if has_gap else pd.NaT,
        "stale_run": int(lengths[longest]),
        "stale_first": days[start],
        "stale_last": days[start + int(lengths[longest]) - 1],
    }


def find_outliers(
    levels: pd.Series, sessions: pd.DatetimeIndex, definition: SeriesDefinition
) -> tuple[pd.Series, int]:
    """Find changes that lie far from the median of all changes.

    Parameters
    ----------
    levels, sessions
        As in `describe_levels`.
    definition : SeriesDefinition
        Says how levels become changes, from one own session to the next.

    Returns
    -------
    outliers : Series
        By date, the changes further than 10 robust standard deviations (1.4826 times the median
        absolute deviation) from their median. Empty if half of all changes are equal: then the
        deviation is zero, and judges nothing.
    n_changes : int
        How many changes there are.

    Timing
    ------
    The median and the deviation are those of the whole series: this describes the data, and
    makes no feature.

    References
    ----------
    Iglewicz, B. and Hoaglin, D. C. (1993), How to Detect and Handle Outliers, section 3.3: the
    deviation in units of the median absolute deviation. They flag from 3.5 on, under normality;
    daily returns have fatter tails.
    """
    wide = levels.reindex(sessions).to_frame(definition.name)
    returns = compute_returns(wide, wide.isna(), [definition])[definition.name]
    changes = returns[returns.notna()]
    if changes.empty:
        return changes, 0
    distance = (changes - changes.median()).abs()
    deviation = _MAD_SCALE * distance.median()
    is_far = (distance > ROBUST_DEVIATIONS * deviation) & (deviation > 0)
    return changes[is_far], len(changes)
