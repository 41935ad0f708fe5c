"""Outlying returns, held back at bounds that the past alone has set."""

from __future__ import annotations

import pandas as pd


def trailing_iqr_fences(
    returns: pd.DataFrame, window: int, multiple: float, min_periods: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compute Tukey's fences over a trailing window, the present row left out.

    Parameters
    ----------
    returns : DataFrame
        Wide frame of returns; NaN is skipped.
    window : int
        Length of the trailing window in sessions.
    multiple : float
        How many interquartile ranges beyond the quartiles a fence stands.
    min_periods : int
        Returns that a window must hold; with fewer there is no fence (NaN), nor is there one
        around a price that stood still for half of the window.

    Returns
    -------
    lower, upper : DataFrame
        Same shape as ``returns``.

    Timing
    ------
    Row *t* uses rows *t - window* to *t - 1*.

    References
    ----------
    Tukey, J. W. (1977), Exploratory Data Analysis, section 2C.
    """
    rolling = returns.rolling(window, min_periods=min_periods)
    first, third = rolling.quantile(0.25).shift(1), rolling.quantile(0.75).shift(1)
    spread = third - first
    reach = multiple * spread.where(spread > 0)
    return first - reach, third + reach


def trailing_quantiles(
    returns: pd.DataFrame, window: int, tail: float, min_periods: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compute the ``tail`` and ``1 - tail`` quantiles over a trailing window.

    Parameters and timing are those of `trailing_iqr_fences`; ``tail`` lies between 0 and 0.5.
    """
    rolling = returns.rolling(window, min_periods=min_periods)
    return rolling.quantile(tail).shift(1), rolling.quantile(1.0 - tail).shift(1)


def clip_at(returns: pd.DataFrame, lower: pd.DataFrame, upper: pd.DataFrame) -> pd.DataFrame:
    """Move returns beyond a bound onto it; where a bound is NaN nothing moves."""
    clipped = returns.mask(returns < lower, lower)
    return clipped.mask(clipped > upper, upper)
