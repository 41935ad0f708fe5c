"""Tests that compare many forecasts at once, by their losses as in `comparison`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tidemark.domain.comparison import NEGLIGIBLE, check_series

MIN_REPLICATES = 100


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
    benchmark = check_series(benchmark_loss=benchmark_loss, losses=values[:, 0])[:1].T
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
    values = check_series(**{str(cell): column for cell, column in table.items()}).T
    if not 1.0 <= block_length < len(values):
        raise ValueError(
            f"block_length is {block_length}: give at least 1 and less than {len(values)}, "
            "the number of dates."
        )
    if n_replicates < MIN_REPLICATES:
        raise ValueError(f"n_replicates is {n_replicates}: give at least {MIN_REPLICATES}.")
    return table.columns, np.ascontiguousarray(values)


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
