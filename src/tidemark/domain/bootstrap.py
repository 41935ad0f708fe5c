"""Intervals by resampling whole dates, in blocks."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tidemark.domain.metrics import metrics_from_sums, sums_by_date


def stationary_bootstrap(
    n_dates: int, block_length: float, n_replicates: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw positions of dates by the stationary bootstrap.

    Blocks start anywhere, have geometric lengths and wrap around the end.

    Parameters
    ----------
    n_dates : int
        Number of dates.
    block_length : float
        Mean length of a block in dates; 1 resamples dates independently.
    n_replicates : int
        Number of resamples.
    rng : Generator
        The source of randomness.

    Returns
    -------
    ndarray of int, shape (n_replicates, n_dates)

    References
    ----------
    Politis, D. N. and Romano, J. P. (1994), The Stationary Bootstrap, Journal of the American
    Statistical Association 89, 1303-1313.
    """
    fresh = rng.random((n_replicates, n_dates)) < 1.0 / block_length
    fresh[:, 0] = True
    starts = rng.integers(n_dates, size=(n_replicates, n_dates))
    position = np.arange(n_dates)
    block_start = np.maximum.accumulate(np.where(fresh, position, 0), axis=1)
    first = np.take_along_axis(starts, block_start, axis=1)
    return (first + position - block_start) % n_dates


def bootstrap_intervals(
    predictions: pd.DataFrame,
    block_length: float,
    n_replicates: int,
    level: float,
    seed: int,
) -> dict[str, dict[str, float]]:
    """Compute a percentile interval of every metric, all rows of a date moving together.

    Parameters
    ----------
    predictions : DataFrame
        ``date, y_true, y_pred``.
    block_length, n_replicates
        See `stationary_bootstrap`.
    level : float
        Coverage, for example 0.95.
    seed : int
        Seed of the draws: cells with the same dates share them.

    Returns
    -------
    dict of str to dict
        For each metric ``low`` and ``high`` in the metric's unit, and ``std``.

    References
    ----------
    Efron, B. and Tibshirani, R. J. (1993), An Introduction to the Bootstrap, chapter 13.
    """
    sums = sums_by_date(predictions)
    rng = np.random.default_rng(seed)
    draws = stationary_bootstrap(len(sums), block_length, n_replicates, rng)
    counts = np.stack([np.bincount(draw, minlength=len(sums)) for draw in draws])
    replicates = metrics_from_sums(counts @ sums)
    tails = [(1.0 - level) / 2.0, (1.0 + level) / 2.0]
    intervals = {}
    for name, values in replicates.items():
        low, high = np.nanquantile(values, tails) if np.isfinite(values).any() else (np.nan,) * 2
        spread = float(np.nanstd(values)) if np.isfinite(values).any() else float("nan")
        intervals[name] = {"low": float(low), "high": float(high), "std": spread}
    return intervals
