"""Tests that compare forecasts by their losses, one loss a date.

A loss is the mean over a date's rows of their squared errors: whole dates are the unit, so that
rows of one date, which share its news, never count as independent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tidemark.domain.inference import long_run_variance, newey_west_lags

MIN_DATES = 10
MIN_REPLICATES = 100

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


@dataclass(frozen=True)
class PredictiveAbility:
    """Whether the best of many cells beats a benchmark.

    Attributes
    ----------
    p_lower, p_consistent, p_upper : float
        Shares of replicates above the statistic, in ascending order. They differ in which of the
        cells that did worse than the benchmark count as its equals under the null hypothesis:
        none, those that are not significantly worse, all. 0 means less than one replicate.
    best : str
        The cell with the largest statistic; empty if none could be tested.
    """

    p_lower: float
    p_consistent: float
    p_upper: float
    best: str


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

    series = _check_series(loss=loss, benchmark_loss=benchmark_loss)
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

    series = _check_series(loss=loss, benchmark_loss=benchmark_loss, sq_distance=sq_distance)
    if (series[2] < 0.0).any():
        raise ValueError("sq_distance is negative on some dates: square the differences.")
    n = series.shape[1]
    lags = _choose_lags(n, horizon_days, lags)
    difference = series[1] - (series[0] - series[2])
    mean, std_error = _mean_and_error(difference, lags, np.abs(series).max())
    statistic = mean / std_error if std_error else math.nan
    return ForecastTest(statistic, float(norm.sf(statistic)), mean, std_error, lags, n)


def superior_predictive_ability(
    losses: pd.DataFrame,
    benchmark_loss: pd.Series | np.ndarray,
    block_length: float,
    n_replicates: int,
    seed: int,
) -> PredictiveAbility:
    """Test whether the best of all cells beats the benchmark, given how many were tried.

    Parameters
    ----------
    losses : DataFrame, shape (dates, cells)
        One row for each date, ascending, without missing values. A cell that differs from the
        benchmark by a constant is left out: its statistic has no distribution.
    benchmark_loss : Series or ndarray of float, shape (dates,)
        Of the same dates.
    block_length : float
        Mean length of a block of the stationary bootstrap, in dates; at least 1, and below the
        number of dates.
    n_replicates : int
        Number of resamples, at least 100.
    seed : int
        Seed of the draws; the order of the cells does not matter.

    Returns
    -------
    PredictiveAbility
        All p-values are 1 if no cell is left.

    Raises
    ------
    ValueError
        If there are fewer than 10 dates, dates repeat or do not ascend, cells have one name, a
        loss is missing or infinite, or an argument is out of its bounds.

    References
    ----------
    Hansen, P. R. (2005), A Test for Superior Predictive Ability, Journal of Business and Economic
    Statistics 23, 365-380.
    """
    from arch.bootstrap import SPA

    cells, values = _check_table(losses, block_length, n_replicates)
    if isinstance(benchmark_loss, pd.Series) and not benchmark_loss.index.equals(losses.index):
        raise ValueError("benchmark_loss is not of the dates of losses: reindex it to them.")
    benchmark = _check_series(benchmark_loss=benchmark_loss, losses=values[:, 0])[:1].T
    difference = benchmark - values
    std = np.sqrt(_stationary_variance(difference, block_length))
    varied = std > NEGLIGIBLE * np.maximum(np.abs(values), np.abs(benchmark)).max(axis=0)
    if not varied.any():
        return PredictiveAbility(1.0, 1.0, 1.0, "")
    # Divided here, because arch 8.0 takes `studentize` and does not use it.
    studentised = difference[:, varied] / std[varied]
    test = SPA(
        np.zeros(len(studentised)),
        -studentised,
        block_size=block_length,  # type: ignore[arg-type]  # only its inverse is used
        reps=n_replicates,
        studentize=False,
        seed=seed,
    )
    test.compute()
    lower, consistent, upper = (float(value) for value in test.pvalues)
    best = cells[varied][studentised.mean(axis=0).argmax()]
    return PredictiveAbility(lower, consistent, upper, str(best))


def confidence_set(
    losses: pd.DataFrame,
    size: float,
    block_length: float,
    n_replicates: int,
    seed: int,
) -> pd.DataFrame:
    """Find the cells that cannot be told from the best one.

    Cells are compared in pairs, by the range statistic. The alternative, each with the mean of
    all, lets one cell with erratic losses hide the differences among the others. The figures are
    those of ``arch.bootstrap.MCS`` with ``method="R"``, which fails in version 8.0 if two pairs
    have the same statistic: cells with equal means, or any two beside one that has diverged.

    Parameters
    ----------
    losses, block_length, n_replicates, seed
        See `superior_predictive_ability`; at least one cell.
    size : float
        Probability that a cell which is as good as any is left out; with fewer than about a
        hundred blocks it is somewhat higher.

    Returns
    -------
    DataFrame
        Index ``cell``, sorted; ``p_value``, the smallest size at which the cell is left out, and
        ``in_confidence_set``. Cells with the same losses have the same answer; one that
        is worse than another by a constant has a p-value of 0.

    Raises
    ------
    ValueError
        As `superior_predictive_ability`, or if there is no cell.

    References
    ----------
    Hansen, P. R., Lunde, A. and Nason, J. M. (2011), The Model Confidence Set, Econometrica 79,
    453-497.
    """
    cells, values = _check_table(losses, block_length, n_replicates)
    if not 0.0 < size < 1.0:
        raise ValueError(f"size is {size}: give a value between 0 and 1, for example 0.1.")
    leaders, is_worse = _find_leaders(values)
    distinct, place = np.unique(leaders, return_inverse=True)
    statistic, replicates = _compare_pairs(values[:, distinct], block_length, n_replicates, seed)
    p_value = np.where(is_worse, 0.0, _eliminate(statistic, replicates)[place])
    columns = {"p_value": p_value, "in_confidence_set": p_value > size}
    return pd.DataFrame(columns, index=cells.rename("cell"))


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


def _check_series(**series: object) -> np.ndarray:
    """Stack series of losses as rows, after refusing what cannot be compared."""
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


def _check_table(
    losses: pd.DataFrame, block_length: float, n_replicates: int
) -> tuple[pd.Index, np.ndarray]:
    """Return the cells in order and their losses, after refusing what cannot be compared."""
    if losses.shape[1] == 0:
        raise ValueError("There are no cells to compare: give at least one column of losses.")
    if losses.columns.has_duplicates:
        twice = losses.columns[losses.columns.duplicated()][0]
        raise ValueError(f"Cell {twice} has two columns of losses: give each a name of its own.")
    if not (losses.index.is_unique and losses.index.is_monotonic_increasing):
        raise ValueError("Dates repeat or do not ascend: average each date's rows, and sort.")
    table = losses.sort_index(axis=1)
    values = _check_series(**{str(cell): column for cell, column in table.items()}).T
    if not 1.0 <= block_length < len(values):
        raise ValueError(
            f"block_length is {block_length}: give at least 1 and less than {len(values)}, "
            "the number of dates."
        )
    if n_replicates < MIN_REPLICATES:
        raise ValueError(f"n_replicates is {n_replicates}: give at least {MIN_REPLICATES}.")
    return table.columns, np.ascontiguousarray(values)


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


def _stationary_variance(difference: np.ndarray, block_length: float) -> np.ndarray:
    """Compute the long-run variance that the stationary bootstrap implies, column by column.

    It is the variance, over all resamples, of the mean times the root of the number of dates.

    References
    ----------
    Politis, D. N. and Romano, J. P. (1994), The Stationary Bootstrap, Journal of the American
    Statistical Association 89, 1303-1313.
    """
    n = len(difference)
    centred = difference - difference.mean(axis=0)
    autocovariances = np.stack([np.correlate(one, one, "full")[n - 1 :] for one in centred.T]) / n
    lag = np.arange(n)
    stay = 1.0 - 1.0 / block_length
    weights = (n - lag) / n * stay**lag + lag / n * stay ** (n - lag)
    weights[1:] *= 2.0
    return np.asarray(autocovariances @ weights)


def _find_leaders(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find, for each column, the best one that differs from it by a constant only.

    Returns
    -------
    ndarray of int, shape (cells,)
        The place of that column: mostly the column's own.
    ndarray of bool, shape (cells,)
        Whether the constant is more than rounding.
    """
    means, scale = values.mean(axis=0), np.abs(values).max(axis=0)
    leaders = np.arange(len(means))
    found: list[int] = []
    for place in np.argsort(means, kind="stable"):
        for leader in found:
            tolerance = NEGLIGIBLE * max(scale[place], scale[leader])
            if (values[:, place] - values[:, leader]).std() <= tolerance:
                leaders[place] = leader
                break
        else:
            found.append(place)
    return leaders, means - means[leaders] > NEGLIGIBLE * scale


def _compare_pairs(
    values: np.ndarray, block_length: float, n_replicates: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the t-statistic of every pair of columns, and its replicates under equality.

    Returns
    -------
    ndarray of float, shape (cells, cells)
        Positive if the row's loss is the larger.
    ndarray of float, shape (replicates, cells, cells)
    """
    from arch.bootstrap import StationaryBootstrap

    bootstrap = StationaryBootstrap(
        block_length,  # type: ignore[arg-type]  # only its inverse is used
        np.arange(len(values)),
        seed=seed,
    )
    draws = bootstrap.bootstrap(n_replicates)
    means = np.stack([values.mean(axis=0), *(values[draw[0]].mean(axis=0) for draw, _ in draws)])
    apart = means[:, :, None] - means[:, None, :]
    centred = apart[1:] - apart[0]
    std = np.sqrt((centred**2).mean(axis=0) + np.eye(values.shape[1]))  # no pair on the diagonal
    return apart[0] / std, centred / std


def _eliminate(statistic: np.ndarray, replicates: np.ndarray) -> np.ndarray:
    """Drop the worst column again and again; return each one's p-value when it went."""
    p_values = np.ones(len(statistic))
    left = np.arange(len(statistic))
    p_value = 0.0
    while len(left) > 1:
        pairs = statistic[np.ix_(left, left)]
        largest = replicates[:, left[:, None], left].max(axis=(1, 2))
        p_value = max(p_value, float((largest > pairs.max()).mean()))
        worst = pairs.max(axis=1).argmax()
        p_values[left[worst]] = p_value
        left = np.delete(left, worst)
    return p_values
