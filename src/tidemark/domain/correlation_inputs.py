"""What correlations accept: dates, values, windows and methods."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import pandas as pd

Method = Literal["pearson", "spearman"]


def require_method(method: str) -> None:
    """Refuse a method that is not one of `Method`."""
    if method not in get_args(Method):
        raise ValueError(f"Unknown method {method!r}: choose one of {', '.join(get_args(Method))}")


def align_pair(left: pd.Series, right: pd.Series) -> tuple[pd.Index, np.ndarray, np.ndarray]:
    """Bring two series to the dates that both have.

    Returns
    -------
    dates : Index
        Ascending.
    left, right : ndarray of float, shape (dates,)
        NaN where missing.

    Raises
    ------
    ValueError
        As for `rolling_correlation`.
    """
    check_dates(left.index)
    check_dates(right.index)
    dates = left.index.intersection(right.index)
    if not len(dates):
        raise ValueError(
            f"Series of {len(left)} and {len(right)} dates share none: give both on one calendar"
        )
    return dates, check_values(left.loc[dates]), check_values(right.loc[dates])


def check_dates(dates: pd.Index) -> None:
    """Refuse dates that are repeated or not ascending."""
    if not dates.is_unique:
        repeated = dates[dates.duplicated()]
        raise ValueError(
            f"{len(repeated)} rows repeat a date, first {repeated[0]}: keep one row for each date"
        )
    if not dates.is_monotonic_increasing:
        raise ValueError("Dates are not ascending: sort them with sort_index()")


def check_values(values: pd.Series | pd.DataFrame) -> np.ndarray:
    """Take values as floats; refuse none at all, repeated or unsorted dates and infinities."""
    check_dates(values.index)
    if not len(values):
        raise ValueError("Nothing to correlate: give at least one date")
    array = values.to_numpy(dtype="float64", na_value=np.nan)
    n_infinite = int(np.isinf(array).sum())
    if n_infinite:
        raise ValueError(f"{n_infinite} values are infinite: make them NaN, which is left out")
    return array


def check_window(window: int, min_periods: int | None) -> int:
    """Refuse a window or periods out of range; return the periods."""
    min_periods = window if min_periods is None else min_periods
    if not 2 <= min_periods <= window:
        raise ValueError(
            f"A window of {window} rows with at least {min_periods} pairs: choose "
            "2 <= min_periods <= window"
        )
    return min_periods
