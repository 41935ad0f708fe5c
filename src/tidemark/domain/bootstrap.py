"""Intervals by resampling whole dates, in blocks."""

from __future__ import annotations

from typing import Literal, TypedDict, get_args

import numpy as np
import pandas as pd

from tidemark.domain.auc import delete_one_date_auc, weighted_auc
from tidemark.domain.metrics import METRICS, metrics_from_sums, sum_by_date

Method = Literal["stationary", "circular"]
Kind = Literal["bca", "percentile"]

CHUNK_DRAWS = 2**20  # positions drawn at a time; the stream of random numbers depends on it
MIN_DATES_OF_A_CHOICE = 12  # below, the lags that the rule looks at outnumber the dates


class Interval(TypedDict):
    """Limits of a metric and the standard deviation of its replicates, in the metric's unit."""

    low: float
    high: float
    std: float
    kind: Kind


def optimal_block_length(series: np.ndarray, method: Method = "stationary") -> float:
    """Choose the block length that makes the bootstrap's variance of a mean most precise.

    Parameters
    ----------
    series : ndarray of float, shape (dates,)
        What is averaged, one value for each date in order, for example squared errors.
    method : {"stationary", "circular"}
        The bootstrap that the length is for.

    Returns
    -------
    float
        In dates; the mean length of blocks for the stationary bootstrap. At least 1, at most a
        third of the dates. ``n^(1/3)`` for a constant series and for one of fewer than 12 dates,
        of which autocorrelations say nothing.

    Raises
    ------
    ValueError
        If the series is empty or has missing or infinite values, or the method is unknown.

    References
    ----------
    Politis, D. N. and White, H. (2004), Automatic Block-Length Selection for the Dependent
    Bootstrap, Econometric Reviews 23, 53-70.

    Patton, A., Politis, D. N. and White, H. (2009), Correction to "Automatic Block-Length
    Selection for the Dependent Bootstrap", Econometric Reviews 28, 372-375.
    """
    from arch.bootstrap import optimal_block_length as choose_lengths

    _require_known(method, Method)
    values = np.asarray(series, dtype="float64")
    n = len(values)
    n_bad = int((~np.isfinite(values)).sum())
    if n == 0 or n_bad:
        raise ValueError(
            f"No block length can be chosen from {n} values of which {n_bad} are missing or "
            "infinite: give one finite value for each date"
        )
    length = n ** (1.0 / 3.0)
    is_varied = np.ptp(values) > 1e-12 * np.abs(values).max()
    if n >= MIN_DATES_OF_A_CHOICE and is_varied:
        with np.errstate(divide="ignore", invalid="ignore"):
            chosen = float(choose_lengths(values)[method].iloc[0])
        length = length if np.isnan(chosen) else chosen
    return float(max(1.0, min(length, n / 3.0)))


def draw_counts(
    n_dates: int,
    block_length: float,
    n_replicates: int,
    seed: int,
    method: Method = "stationary",
) -> np.ndarray:
    """Draw how often each date counts in each replicate of a block bootstrap.

    Blocks start anywhere with equal chances and wrap around the end. All cells that are scored on
    the same dates share one array, so that their replicates can be compared one by one.

    Parameters
    ----------
    n_dates : int
        Number of dates.
    block_length : float
        In dates, at least 1, which resamples dates independently. ``stationary``: the mean of
        geometric lengths. ``circular``: the length of all blocks, rounded up; the last block of a
        replicate is cut.
    n_replicates : int
        Number of replicates.
    seed : int
        The only source of randomness.
    method : {"stationary", "circular"}
        Which bootstrap.

    Returns
    -------
    ndarray of int, shape (n_replicates, n_dates)
        Each row adds up to ``n_dates``.

    Raises
    ------
    ValueError
        If a number is below 1, or the method is unknown.

    References
    ----------
    Politis, D. N. and Romano, J. P. (1992), A Circular Block-Resampling Procedure for Stationary
    Data, in LePage, R. and Billard, L. (eds), Exploring the Limits of Bootstrap, Wiley, 263-270.

    Politis, D. N. and Romano, J. P. (1994), The Stationary Bootstrap, Journal of the American
    Statistical Association 89, 1303-1313.
    """
    if min(n_dates, n_replicates) < 1 or not block_length >= 1.0:
        raise ValueError(
            f"Cannot draw {n_replicates} replicates of {n_dates} dates in blocks of "
            f"{block_length}: each of the three must be at least 1"
        )
    _require_known(method, Method)
    draw = draw_stationary if method == "stationary" else draw_circular
    rng = np.random.default_rng(seed)
    counts = np.empty((n_replicates, n_dates), dtype="int64")
    n_at_once = max(1, CHUNK_DRAWS // n_dates)
    for first in range(0, n_replicates, n_at_once):
        n = min(n_at_once, n_replicates - first)
        cells = draw(n_dates, block_length, n, rng) + n_dates * np.arange(n)[:, None]
        drawn = np.bincount(cells.ravel(), minlength=n * n_dates)
        counts[first : first + n] = drawn.reshape(n, n_dates)
    return counts


def draw_stationary(
    n_dates: int, block_length: float, n_replicates: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw positions of dates in blocks of geometric lengths; see `draw_counts`.

    Returns
    -------
    ndarray of int, shape (n_replicates, n_dates)
    """
    fresh = rng.random((n_replicates, n_dates)) < 1.0 / block_length
    starts = rng.integers(n_dates, size=(n_replicates, n_dates))
    position = np.arange(n_dates)
    block_start = np.maximum.accumulate(np.where(fresh, position, 0), axis=1)  # one starts at 0
    first = np.take_along_axis(starts, block_start, axis=1)
    return (first + position - block_start) % n_dates


def draw_circular(
    n_dates: int, block_length: float, n_replicates: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw positions of dates in blocks of one length; see `draw_counts`.

    Returns
    -------
    ndarray of int, shape (n_replicates, n_dates)
    """
    length = int(np.ceil(min(block_length, n_dates)))  # more would be cut from a longer block
    n_blocks = -(-n_dates // length)
    starts = rng.integers(n_dates, size=(n_replicates, n_blocks, 1))
    positions = (starts + np.arange(length)) % n_dates
    return positions.reshape(n_replicates, -1)[:, :n_dates]


def interval_metrics(
    predictions: pd.DataFrame, counts: np.ndarray, level: float, kind: Kind = "bca"
) -> dict[str, Interval]:
    """Compute an interval of every metric, all rows of a date moving together.

    Parameters
    ----------
    predictions : DataFrame
        As for `tidemark.domain.metrics.sum_by_date`.
    counts : ndarray of int, shape (replicates, dates)
        As drawn by `draw_counts`, dates ascending.
    level : float
        Coverage, for example 0.95.
    kind : {"bca", "percentile"}
        ``percentile``: quantiles of the replicates. ``bca``: bias corrected and accelerated, with
        the acceleration of the jackknife that deletes one date at a time. As the jackknife takes
        dates for independent, the interval is a correction for bias and skewness; it is second
        order accurate only where dates are nearly so.

    Returns
    -------
    dict of str to Interval
        For each of `METRICS` ``low`` and ``high``, and the standard deviation of the replicates
        ``std``, all in the metric's unit; NaN where the metric is undefined. Replicates in which
        it is undefined are left out. ``kind`` is "percentile" also where BCa was asked for but
        has no finite limits: all replicates on one side of the estimate, no variation between
        dates, or a metric that one date decides on.

    Raises
    ------
    ValueError
        As for `sum_by_date`; if counts do not fit the dates, the level is not between 0 and 1, or
        the kind is unknown.

    References
    ----------
    Efron, B. (1987), Better Bootstrap Confidence Intervals, Journal of the American Statistical
    Association 82, 171-185.

    Efron, B. and Tibshirani, R. J. (1993), An Introduction to the Bootstrap, chapters 13 and 14.
    """
    _require_known(kind, Kind)
    if not 0.0 < level < 1.0:
        raise ValueError(f"A level of {level} is no coverage: choose one between 0 and 1")
    sums = sum_by_date(predictions).to_numpy()
    if counts.ndim != 2 or not len(counts) or counts.shape[1] != len(sums):
        raise ValueError(
            f"Counts of shape {counts.shape} do not fit {len(sums)} dates: draw them with "
            f"draw_counts({len(sums)}, ...)"
        )
    tails = np.array([(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    # The estimate goes first, through the same sums, so that it equals replicates that equal it.
    weights = np.vstack([np.ones(len(sums)), counts])
    values = metrics_from_sums(weights @ sums)
    values["auc"] = weighted_auc(predictions, weights)
    without_one: dict[str, np.ndarray] = {}
    if kind == "bca":
        without_one = metrics_from_sums(sums.sum(axis=0) - sums)
        without_one["auc"] = delete_one_date_auc(predictions)
    return {
        name: _interval(values[name][0], values[name][1:], tails, without_one.get(name))
        for name in METRICS
    }


def interval_means(
    values: dict[str, np.ndarray], counts: np.ndarray, level: float, kind: Kind = "bca"
) -> dict[str, Interval]:
    """Compute an interval of the mean over dates of several series.

    Parameters
    ----------
    values : dict of str to ndarray, shape (dates,)
        One number for each date, dates ascending; all finite.
    counts, level, kind
        As for `interval_metrics`.

    Returns
    -------
    dict of str to Interval
        As `interval_metrics` returns them.
    """
    _require_known(kind, Kind)
    tails = np.array([(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    intervals = {}
    for name, one in values.items():
        replicates = counts @ one / counts.sum(axis=1)
        without_one = (one.sum() - one) / (len(one) - 1) if kind == "bca" else None
        intervals[name] = _interval(float(one.mean()), replicates, tails, without_one)
    return intervals


def _require_known(word: str, words: object) -> None:
    """Refuse a word that is not one of a type's literals."""
    if word not in get_args(words):
        raise ValueError(f"Unknown word {word!r}: choose one of {', '.join(get_args(words))}")


def _interval(
    estimate: float, replicates: np.ndarray, tails: np.ndarray, without_one: np.ndarray | None
) -> Interval:
    """Compute the interval of one metric; BCa if the jackknife's values are given."""
    replicates = replicates[np.isfinite(replicates)]
    adjusted = None
    if without_one is not None and len(replicates):
        adjusted = _adjust_tails(estimate, replicates, tails, without_one)
    kind: Kind = "percentile" if adjusted is None else "bca"
    if np.isnan(estimate) or not len(replicates):
        return {"low": np.nan, "high": np.nan, "std": np.nan, "kind": kind}
    low, high = np.quantile(replicates, tails if adjusted is None else adjusted)
    std = float(replicates.std())
    return {"low": float(low), "high": float(high), "std": std, "kind": kind}


def _adjust_tails(
    estimate: float, replicates: np.ndarray, tails: np.ndarray, without_one: np.ndarray
) -> np.ndarray | None:
    """Shift the shares in the tails by BCa; None where the shift is not finite.

    Of replicates that equal the estimate half count as below it: metrics such as hit rates take
    few values.
    """
    from scipy.special import ndtr, ndtri

    below = (replicates < estimate).mean() + (replicates == estimate).mean() / 2.0
    bias = ndtri(below)
    influence = without_one.mean() - without_one
    with np.errstate(divide="ignore", invalid="ignore"):
        acceleration = (influence**3).sum() / (6.0 * (influence**2).sum() ** 1.5)
        shifted = bias + ndtri(tails)
        stretch = 1.0 - acceleration * shifted
        adjusted = ndtr(bias + shifted / stretch)
    # Not so where the acceleration is missing; where it is too large, shares would change sides.
    is_usable = np.isfinite(bias) and (stretch > 0.0).all()
    return np.asarray(adjusted) if is_usable else None
