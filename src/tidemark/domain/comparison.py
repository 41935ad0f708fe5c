"""Tests that compare a forecast with a benchmark by their losses, one loss a date.

A loss is the mean over a date's rows of their squared errors: whole dates are the unit, so that
rows of one date, which share its news, never count as independent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tidemark.domain.inference import long_run_variance, newey_west_lags

MIN_DATES = 10

# A standard deviation below this share of the losses is made by rounding.
NEGLIGIBLE = 1e-12


@dataclass(frozen=True)
class ForecastTest:
    """A forecast against a benchmark.

    Attributes
    ----------
    statistic : float
        ``mean_difference / std_error``; NaN, as is ``p_value``, if the difference does not vary.
    p_value : float
        Probability of a statistic at least as extreme if the null hypothesis holds.
    mean_difference : float
        In the unit of the losses; positive if the forecast is better.
    std_error : float
        Of ``mean_difference``, any small-sample correction included; 0 if it does not vary.
    lags : int
        Autocovariances that count.
    n_dates : int
    """

    statistic: float
    p_value: float
    mean_difference: float
    std_error: float
    lags: int
    n_dates: int


def diebold_mariano(
    loss: np.ndarray,
    benchmark_loss: np.ndarray,
    horizon_days: int = 1,
    lags: int | None = None,
) -> ForecastTest:
    """Test whether two forecasts are equally accurate, two-sided.

    Parameters
    ----------
    loss, benchmark_loss : ndarray of float, shape (dates,)
        Losses of the same dates, in order, without missing values.
    horizon_days : int
        Dates from forecast to outcome: one less is how many later outcomes overlap with one.
    lags : int, optional
        Autocovariances that count; if not given, that overlap or `newey_west_lags`, whichever
        is more.

    Returns
    -------
    ForecastTest
        The p-value is that of Student's t with one degree of freedom less than there are dates.

    Raises
    ------
    ValueError
        If there are fewer than 10 dates, lengths differ, a loss is missing or infinite, the
        horizon is not below the number of dates, or lags are negative.

    Notes
    -----
    Against a benchmark that is nested in the forecast's model the statistic is too low: see
    `clark_west`. Bartlett's weights miss a part of the overlap: with horizons of 5 to 20 dates
    and no lags given, about a tenth of true null hypotheses is rejected at 5 %.

    References
    ----------
    Diebold, F. X. and Mariano, R. S. (1995), Comparing Predictive Accuracy, Journal of Business
    and Economic Statistics 13, 253-263.

    Harvey, D., Leybourne, S. and Newbold, P. (1997), Testing the Equality of Prediction Mean
    Squared Errors, International Journal of Forecasting 13, 281-291.
    """
    from scipy.stats import t

    series = check_series(loss=loss, benchmark_loss=benchmark_loss)
    n, h = series.shape[1], horizon_days
    lags = _choose_lags(n, h, lags)
    mean, std_error = _mean_and_error(series[1] - series[0], lags, np.abs(series).max())
    std_error /= math.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    statistic = mean / std_error if std_error else math.nan
    p_value = 2.0 * float(t.sf(abs(statistic), n - 1))
    return ForecastTest(statistic, p_value, mean, std_error, lags, n)


def clark_west(
    loss: np.ndarray,
    benchmark_loss: np.ndarray,
    sq_distance: np.ndarray,
    horizon_days: int = 1,
    lags: int | None = None,
) -> ForecastTest:
    """Test whether a model beats a benchmark that is nested in it, one-sided.

    If the benchmark is right, the model's forecasts are noisier by the parameters that it
    estimates in vain. The mean squared distance between the forecasts estimates what that costs,
    and is given back.

    Parameters
    ----------
    loss, benchmark_loss, horizon_days, lags
        See `diebold_mariano`; losses are mean squared errors.
    sq_distance : ndarray of float, shape (dates,)
        Mean over a date's rows of ``(benchmark forecast - forecast)**2``.

    Returns
    -------
    ForecastTest
        The p-value is that of the normal distribution's upper tail.

    Raises
    ------
    ValueError
        As `diebold_mariano`, or if a squared distance is negative.

    References
    ----------
    Clark, T. E. and West, K. D. (2007), Approximately Normal Tests for Equal Predictive Accuracy
    in Nested Models, Journal of Econometrics 138, 291-311.
    """
    from scipy.stats import norm

    series = check_series(loss=loss, benchmark_loss=benchmark_loss, sq_distance=sq_distance)
    if (series[2] < 0.0).any():
        raise ValueError("sq_distance is negative on some dates: square the differences.")
    n = series.shape[1]
    lags = _choose_lags(n, horizon_days, lags)
    difference = series[1] - (series[0] - series[2])
    mean, std_error = _mean_and_error(difference, lags, np.abs(series).max())
    statistic = mean / std_error if std_error else math.nan
    return ForecastTest(statistic, float(norm.sf(statistic)), mean, std_error, lags, n)


def is_too_good(r2_oos_zero: float, bound: float) -> bool:
    """Say whether an out-of-sample R2 is so high that leakage is likelier than skill.

    Parameters
    ----------
    r2_oos_zero : float
        One minus squared errors over squared targets, without unit; NaN is not too good.
    bound : float
        Likewise; above it is too good.

    References
    ----------
    Gu, S., Kelly, B. and Xiu, D. (2020), Empirical Asset Pricing via Machine Learning, Review of
    Financial Studies 33, 2223-2273, for R2 against a forecast of zero.
    """
    return bool(r2_oos_zero > bound)


def check_series(**series: object) -> np.ndarray:
    """Stack series of losses as rows, after refusing what cannot be compared.

    Parameters
    ----------
    **series : array_like of float, shape (dates,)
        Losses of the same dates, in order; messages use the names.

    Returns
    -------
    ndarray of float64, shape (series, dates)

    Raises
    ------
    ValueError
        If there are fewer than 10 dates, shapes differ or are not of one dimension, or a loss is
        missing or infinite.
    """
    arrays = [np.asarray(values, dtype="float64") for values in series.values()]
    shapes = {name: values.shape for name, values in zip(series, arrays, strict=True)}
    if len(set(shapes.values())) > 1 or arrays[0].ndim != 1:
        raise ValueError(f"Shapes are {shapes}: give one loss for each date, of the same dates.")
    stacked = np.stack(arrays)
    if stacked.shape[1] < MIN_DATES:
        raise ValueError(f"There are {stacked.shape[1]} dates: score at least {MIN_DATES}.")
    for name, n_bad in zip(series, (~np.isfinite(stacked)).sum(axis=1), strict=True):
        if n_bad:
            raise ValueError(
                f"{name} is missing or infinite on {n_bad} dates: predict every date, or leave "
                "these out of all forecasts."
            )
    return stacked


def _choose_lags(n_dates: int, horizon_days: int, lags: int | None) -> int:
    """Return how many autocovariances count."""
    if not 1 <= horizon_days < n_dates:
        raise ValueError(
            f"horizon_days is {horizon_days}: give at least 1 and less than {n_dates}, the "
            "number of dates."
        )
    if lags is None:
        return max(horizon_days - 1, newey_west_lags(n_dates))
    if lags < 0:
        raise ValueError(f"lags is {lags}: give 0 or more.")
    return lags


def _mean_and_error(difference: np.ndarray, lags: int, scale: float) -> tuple[float, float]:
    """Return a mean and its standard error, which is zero if only rounding varies."""
    std = math.sqrt(long_run_variance(difference, lags))
    std = std if std > NEGLIGIBLE * scale else 0.0
    return float(difference.mean()), std / math.sqrt(len(difference))
