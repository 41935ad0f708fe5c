"""Bands around rolling correlations: Fisher's transformation, and resampling in each window."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pandas as pd

from tidemark.domain.bootstrap import draw_counts
from tidemark.domain.correlation_inputs import align_pair, check_window
from tidemark.domain.correlation_windows import correlate_rows, standardise, windows_of

BLOCK_CELLS = 2**17  # replicates at a time
MIN_PAIRS = 4  # Fisher's variance is 1 / (n - 3)


def fisher_band(
    correlation: pd.Series, n_obs: pd.Series | int, level: float = 0.95
) -> tuple[pd.Series, pd.Series]:
    """Compute confidence limits of Pearson correlations by Fisher's transformation.

    Parameters
    ----------
    correlation : Series
        Between -1 and 1; NaN where undefined.
    n_obs : Series of int or int
        Complete pairs behind each value, for example by `count_pairs`.
    level : float
        Coverage of each date's band, between 0 and 1.

    Returns
    -------
    lower, upper : Series
        Index as for ``correlation``; NaN where it is NaN or rests on fewer than four pairs. Both
        limits of a correlation of exactly 1 or -1 are that.

    Raises
    ------
    ValueError
        If the level is not between 0 and 1, a correlation beyond -1 and 1, or ``n_obs`` has
        other dates.

    Notes
    -----
    The limits suppose that pairs are independent of each other and jointly normal. Fat tails,
    and volatility that comes in waves, make true bands wider: see `bootstrap_band`.

    References
    ----------
    Fisher, R. A. (1921), On the "Probable Error" of a Coefficient of Correlation Deduced from a
    Small Sample, Metron 1, 3-32.
    """
    _require_level(level)
    if isinstance(n_obs, pd.Series) and not n_obs.index.equals(correlation.index):
        raise ValueError(
            f"{len(n_obs)} counts do not stand on the {len(correlation)} dates of the "
            "correlation: count the pairs of the same series"
        )
    if (correlation.abs() > 1.0).any():
        raise ValueError("A correlation is beyond -1 and 1: give correlations, not covariances")
    n = np.broadcast_to(np.asarray(n_obs, dtype="float64"), correlation.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.arctanh(correlation.to_numpy(dtype="float64"))
        reach = NormalDist().inv_cdf((1.0 + level) / 2.0) / np.sqrt(n - (MIN_PAIRS - 1))
    reach = np.where(n >= MIN_PAIRS, reach, np.nan)
    lower, upper = np.tanh(z - reach), np.tanh(z + reach)
    return pd.Series(lower, index=correlation.index), pd.Series(upper, index=correlation.index)


def bootstrap_band(
    left: pd.Series,
    right: pd.Series,
    window: int,
    level: float,
    n_replicates: int,
    block_length: float,
    seed: int,
    min_periods: int | None = None,
) -> tuple[pd.Series, pd.Series]:
    """Compute percentile limits of rolling correlations by a stationary block bootstrap.

    The rows of each window are resampled in blocks, both sides together. All windows share the
    same draws of positions.

    Parameters
    ----------
    left, right : Series
        As for `rolling_correlation`.
    window : int
        Length of the trailing window in rows.
    level : float
        Coverage of each date's band, between 0 and 1.
    n_replicates : int
        Number of replicates.
    block_length : float
        Mean length of blocks in rows, at least 1, which resamples rows independently.
    seed : int
        The only source of randomness.
    min_periods : int, optional
        As for `rolling_correlation`. A row without a complete pair is drawn like any other and
        adds nothing.

    Returns
    -------
    lower, upper : Series
        On the common dates; NaN where the correlation is. Replicates in which a side is
        constant are left out; NaN if none remain.

    Raises
    ------
    ValueError
        As for `rolling_correlation` and `draw_counts`; if the level is not between 0 and 1.

    Timing
    ------
    Row *t* uses rows *t - window + 1* to *t*. Later rows change no bit of it.

    Notes
    -----
    In short windows with long blocks few blocks are drawn, and the band is too narrow.

    References
    ----------
    Politis, D. N. and Romano, J. P. (1994), The Stationary Bootstrap, Journal of the American
    Statistical Association 89, 1303-1313.
    """
    _require_level(level)
    min_periods = check_window(window, min_periods)
    dates, x, y = align_pair(left, right)
    counts = draw_counts(window, block_length, n_replicates, seed).T.astype("float64")
    missing = np.isnan(x) | np.isnan(y)
    sides = [windows_of(np.where(missing, np.nan, side), window) for side in (x, y)]
    tails = [(1.0 - level) / 2.0, (1.0 + level) / 2.0]
    limits = np.full((2, len(dates)), np.nan)
    n_at_once = max(1, BLOCK_CELLS // max(window, n_replicates))
    for first in range(0, len(dates), n_at_once):
        rows = slice(first, first + n_at_once)
        one, other = (side[rows] for side in sides)
        replicates = _resample(one, other, counts, n_at_once)
        replicates[np.isnan(correlate_rows(one, other, min_periods))] = np.nan
        limits[:, rows] = _find_quantiles(replicates, tails)
    return pd.Series(limits[0], index=dates), pd.Series(limits[1], index=dates)


def _resample(left: np.ndarray, right: np.ndarray, counts: np.ndarray, n_rows: int) -> np.ndarray:
    """Compute the correlations of replicates, shape (windows, replicates).

    Windows are padded to ``n_rows``: a product of matrices may round differently in another
    shape, and a row must not depend on how many follow.
    """
    n_windows, window = left.shape
    x, y, present = np.zeros((3, n_rows, window))
    x[:n_windows], y[:n_windows] = (np.nan_to_num(standardise(side)) for side in (left, right))
    present[:n_windows] = ~np.isnan(left)
    n, total_x, total_y = present @ counts, x @ counts, y @ counts
    squares_x, squares_y = n * ((x * x) @ counts), n * ((y * y) @ counts)
    left_x, left_y = squares_x - total_x**2, squares_y - total_y**2
    is_varied = (left_x > 1e-12 * squares_x) & (left_y > 1e-12 * squares_y)
    product = n * ((x * y) @ counts) - total_x * total_y
    scale = np.sqrt(np.where(is_varied, left_x * left_y, np.nan))
    return np.asarray(np.clip(product / scale, -1.0, 1.0)[:n_windows])


def _find_quantiles(replicates: np.ndarray, tails: list[float]) -> np.ndarray:
    """Compute quantiles of each row, NaN left out; shape (tails, rows)."""
    n_known = (~np.isnan(replicates)).sum(axis=1)
    limits = np.full((len(tails), len(replicates)), np.nan)
    whole, part = n_known == replicates.shape[1], (n_known > 0) & (n_known < replicates.shape[1])
    limits[:, whole] = np.quantile(replicates[whole], tails, axis=1)
    if part.any():
        limits[:, part] = np.nanquantile(replicates[part], tails, axis=1)
    return limits


def _require_level(level: float) -> None:
    """Refuse a level that is no coverage."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"A level of {level} is no coverage: choose one between 0 and 1")
