"""Variances of means of dependent series."""

from __future__ import annotations

import numpy as np


def newey_west_lags(n_dates: int) -> int:
    """Choose how many autocovariances count: ``floor(4 (n / 100)^(2/9))``.

    References
    ----------
    Newey, W. K. and West, K. D. (1994), Automatic Lag Selection in Covariance Matrix Estimation,
    Review of Economic Studies 61, 631-653.
    """
    return int(4.0 * (n_dates / 100.0) ** (2.0 / 9.0) * (1.0 + 1e-12))  # 16.0 comes as 15.999...


def long_run_variance(series: np.ndarray, lags: int | None = None) -> float:
    """Estimate the long-run variance of a series, with Bartlett weights.

    Parameters
    ----------
    series : ndarray of float, shape (dates,)
        No missing values.
    lags : int, optional
        Autocovariances that count; `newey_west_lags` of the length if not given.

    Returns
    -------
    float
        In the square of the series' unit, never negative. Divided by the number of dates it is
        the variance of the mean.

    Raises
    ------
    ValueError
        If the series is empty.

    References
    ----------
    Newey, W. K. and West, K. D. (1987), A Simple, Positive Semi-Definite, Heteroskedasticity and
    Autocorrelation Consistent Covariance Matrix, Econometrica 55, 703-708.
    """
    n = len(series)
    if not n:
        raise ValueError("A long-run variance needs at least one date: the series is empty.")
    lags = newey_west_lags(n) if lags is None else lags
    centred = series - series.mean()
    variance = float(centred @ centred) / n
    for lag in range(1, min(lags, n - 1) + 1):
        weight = 1.0 - lag / (lags + 1.0)
        variance += 2.0 * weight * float(centred[lag:] @ centred[:-lag]) / n
    return variance


def mean_t_statistic(series: np.ndarray, lags: int | None = None) -> float:
    """Compute the t-statistic of a series' mean with its Newey-West variance.

    Returns
    -------
    float
        Without unit; NaN for fewer than two values and for a constant series.
    """
    if len(series) < 2:
        return float("nan")
    variance = long_run_variance(series, lags)
    scale = float(np.abs(series).max())
    if variance <= (1e-12 * scale) ** 2:
        return float("nan")
    return float(series.mean() / np.sqrt(variance / len(series)))
