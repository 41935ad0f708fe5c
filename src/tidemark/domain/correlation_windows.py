"""Correlations of windows, as arrays: sums that only add, and the exact formula row by row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

Blocks = tuple[np.ndarray, np.ndarray]  # the blocks before, and those in which windows end

BLOCK_CELLS = 2**20  # numbers in the windows that are laid out at a time
BATCH_CELLS = 2**16  # numbers in the blocks whose sums are formed at a time: they stay in cache
ROUNDINGS = 4.0  # a standard deviation of so many roundings of the level is none
WELL_CONDITIONED = 0.01  # share of the sum of squares that must be left when the mean is removed


def windows_of(values: np.ndarray, window: int) -> np.ndarray:
    """Lay a window over every row and the rows before it.

    Parameters
    ----------
    values : ndarray of float, shape (dates,) or (dates, names)
        NaN where missing.
    window : int
        Rows in a window.

    Returns
    -------
    ndarray of float, shape (dates, window) or (dates, names, window)
        A view that takes no memory of its own; NaN before the first row.
    """
    before = np.full((window - 1, *values.shape[1:]), np.nan)
    return sliding_window_view(np.concatenate([before, values]), window, axis=0)


def correlate_rows(
    left: np.ndarray, right: np.ndarray, min_periods: int, method: str = "pearson"
) -> np.ndarray:
    """Compute the correlation of each row of two arrays from the definition.

    Parameters
    ----------
    left, right : ndarray of float, shape (rows, window)
        A position that is NaN in either is left out of both.
    min_periods : int
        Pairs that a row must hold.
    method : {"pearson", "spearman"}
        ``spearman``: the same of the ranks among the complete pairs, ties sharing their mean.

    Returns
    -------
    ndarray of float, shape (rows,)
        Between -1 and 1; NaN for too few pairs and where either side is constant.
    """
    missing = np.isnan(left) | np.isnan(right)
    left, right = np.where(missing, np.nan, left), np.where(missing, np.nan, right)
    if method == "spearman":
        left, right = rank_last_axis(left), rank_last_axis(right)
    values = (standardise(left) * standardise(right)).sum(axis=-1)
    values[missing.shape[-1] - missing.sum(axis=-1) < min_periods] = np.nan
    return np.asarray(np.clip(values, -1.0, 1.0))


def rank_last_axis(windows: np.ndarray) -> np.ndarray:
    """Rank along the last axis among what is not NaN; ties share their mean rank."""
    from scipy.stats import rankdata

    missing = np.isnan(windows)
    ranks = rankdata(np.where(missing, np.inf, windows), axis=-1)
    return np.where(missing, np.nan, ranks)


def standardise(windows: np.ndarray) -> np.ndarray:
    """Remove the mean and scale to unit length along the last axis.

    Returns
    -------
    ndarray of float, same shape
        Zero where missing; NaN throughout a constant window and one without a value. Constant is
        a window whose standard deviation is at most `ROUNDINGS` roundings of its largest value.
    """
    missing = np.isnan(windows)
    n_present = windows.shape[-1] - missing.sum(axis=-1, keepdims=True)
    first = np.argmin(missing, axis=-1, keepdims=True)
    # Differences from one of the values are exact for a level with small noise; from zero not.
    centred = np.where(missing, 0.0, windows - np.take_along_axis(windows, first, axis=-1))
    level = np.where(missing, 0.0, np.abs(windows)).max(axis=-1, keepdims=True)
    centred -= centred.sum(axis=-1, keepdims=True) / np.maximum(n_present, 1)
    centred[missing] = 0.0
    length = np.sqrt((centred * centred).sum(axis=-1, keepdims=True))
    rounding = np.finfo("float64").eps * level * np.sqrt(n_present)
    length[length <= ROUNDINGS * rounding] = np.nan
    return np.asarray(centred / length)


def spearman_pairs(values: np.ndarray, window: int, min_periods: int) -> np.ndarray:
    """Compute rolling rank correlations of all pairs of columns; see `pearson_pairs`.

    The ranks of a column serve all pairs that miss the same rows. Other pairs are ranked one by
    one.
    """
    n_dates, n_names = values.shape
    i, j = np.triu_indices(n_names, 1)
    result = np.empty((n_dates, len(i)))
    windows = windows_of(values, window)
    n_at_once = max(1, BLOCK_CELLS // (n_names * max(window, n_names)))
    for first in range(0, n_dates, n_at_once):
        some = windows[first : first + n_at_once]
        unit = standardise(rank_last_axis(some))
        present = (~np.isnan(some)).astype("float64")
        n_own = present.sum(axis=-1)
        n_pairs = (present @ present.swapaxes(1, 2))[:, i, j]
        block = np.clip((unit @ unit.swapaxes(1, 2))[:, i, j], -1.0, 1.0)
        block[n_pairs < min_periods] = np.nan
        is_unlike = (n_pairs != n_own[:, i]) | (n_pairs != n_own[:, j])
        rows, pairs = np.nonzero(is_unlike & (n_pairs >= min_periods))
        block[rows, pairs] = _correlate_cells(
            windows, first + rows, (i[pairs], j[pairs]), min_periods, "spearman"
        )
        result[first : first + n_at_once] = block
    return result


def pearson_pairs(values: np.ndarray, window: int, min_periods: int) -> np.ndarray:
    """Compute rolling correlations of all pairs of columns.

    Time is cut into blocks of one window, counted from the first row. A window that ends in a
    block is the end of the block before and the beginning of its own; the sums over both are
    running sums that start at the border. So nothing is ever subtracted, no error is carried
    on, and no row depends on a later one. Values are measured from the mean of the block before.
    Where that is far from a window's own mean, or the window is constant, the definition takes
    over (`correlate_rows`).

    Parameters
    ----------
    values : ndarray of float, shape (dates, names)
        NaN where missing.
    window, min_periods : int
        Rows in a window, and complete pairs that it must hold.

    Returns
    -------
    ndarray of float, shape (dates, pairs)
        In the order of ``itertools.combinations``, each pair's values side by side in memory;
        NaN as by `correlate_rows`.

    References
    ----------
    van Herk, M. (1992), A Fast Algorithm for Local Minimum and Maximum Filters on Rectangular and
    Octagonal Kernels, Pattern Recognition Letters 13, 517-521, for the two running sums.

    Chan, T. F., Golub, G. H. and LeVeque, R. J. (1983), Algorithms for Computing the Sample
    Variance: Analysis and Recommendations, The American Statistician 37, 242-247.
    """
    n_dates, n_names = values.shape
    i, j = np.triu_indices(n_names, 1)
    result = np.empty((len(i), n_dates))
    windows = windows_of(values, window)
    length = min(window, n_dates + 1)
    n_blocks = -(-n_dates // length)
    padded = np.full((n_names, (n_blocks + 1) * length), np.nan)
    padded[:, length : length + n_dates] = values.T
    blocks = padded.reshape(n_names, n_blocks + 1, length)
    n_at_once = max(1, BATCH_CELLS // (length * n_names))
    for first in range(0, n_blocks, n_at_once):
        some = blocks[:, first : first + n_at_once + 1]
        batch = _Batch.measure(some[:, :-1], some[:, 1:])
        start = first * length
        part = result[:, start : start + n_at_once * length]
        is_lost = np.zeros(part.shape, dtype="bool")
        _fill_from_columns(batch, min_periods, part, is_lost)
        _fill_from_pairs(batch, min_periods, part, is_lost)
        pairs, rows = np.nonzero(is_lost)
        part[pairs, rows] = _correlate_cells(
            windows, start + rows, (i[pairs], j[pairs]), min_periods, "pearson"
        )
    return result.T


@dataclass(frozen=True)
class _Moments:
    """Sums over windows; arrays of shape (names or pairs, ..., window)."""

    n: np.ndarray
    total: np.ndarray
    mean: np.ndarray
    length: np.ndarray  # root of the sum of squares about the mean
    is_lost: np.ndarray  # next to nothing was left when the mean was removed

    @classmethod
    def sum(cls, x: Blocks, n: np.ndarray, noise: np.ndarray) -> _Moments:
        """Sum values and squares over windows that hold ``n`` values each."""
        total = _sum_windows(x)
        squares = _sum_windows(_multiply(x, x))
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = total / n
            remainder = squares - total * mean
            length = np.sqrt(remainder)
            is_lost = ~((remainder > WELL_CONDITIONED * squares) & (remainder > n * noise))
        return cls(n, total, mean, length, is_lost)

    def take(self, names: slice) -> _Moments:
        """Take some names."""
        arrays = (self.n, self.total, self.mean, self.length, self.is_lost)
        return _Moments(*(array[names] for array in arrays))


@dataclass(frozen=True)
class _Batch:
    """Some blocks and those before them, measured from origins that lie in their past.

    ``x`` and ``weight`` are zero where a value is missing; elsewhere ``weight`` is one. They have
    shape (names, blocks, window), the others (names, blocks).
    """

    x: Blocks
    weight: Blocks
    noise: np.ndarray  # square of a deviation that is rounding alone
    is_partial: np.ndarray  # misses some, not all, of the rows on which any name has a value

    @classmethod
    def measure(cls, before: np.ndarray, own: np.ndarray) -> _Batch:
        """Measure values from the mean of the block before, or else from the first value."""
        is_there = ~np.isnan(before), ~np.isnan(own)
        n_before, n_own = (there.sum(axis=-1) for there in is_there)
        total = np.where(is_there[0], before, 0.0).sum(axis=-1)
        first = np.argmax(is_there[1], axis=-1, keepdims=True)
        first_value = np.take_along_axis(own, first, axis=-1)[..., 0]
        origin = np.where(n_before > 0, total / np.maximum(n_before, 1), first_value)
        n_any = sum(there.any(axis=0).sum(axis=-1) for there in is_there)
        return cls(
            x=(
                np.where(is_there[0], before - origin[..., None], 0.0),
                np.where(is_there[1], own - origin[..., None], 0.0),
            ),
            weight=(is_there[0].astype("float64"), is_there[1].astype("float64")),
            noise=(2.0 * ROUNDINGS * np.finfo("float64").eps * origin) ** 2,
            is_partial=(n_before + n_own > 0) & (n_before + n_own < n_any),
        )


def _fill_from_columns(
    batch: _Batch, min_periods: int, part: np.ndarray, is_lost: np.ndarray
) -> None:
    """Fill correlations of shape (pairs, rows) as if all names missed the same rows.

    Also mark those that sums cannot give.
    """
    n_names, n_rows = len(batch.noise), part.shape[1]
    alone = _Moments.sum(batch.x, _sum_windows(batch.weight), batch.noise[..., None])
    end = 0
    for i in range(n_names - 1):
        begin, end = end, end + n_names - 1 - i
        me, others = slice(i, i + 1), slice(i + 1, n_names)
        values, lost = _divide(
            _sum_windows(_multiply(_take(batch.x, me), _take(batch.x, others))),
            alone.take(me),
            alone.take(others),
            min_periods,
        )
        part[begin:end] = values.reshape(end - begin, -1)[:, :n_rows]
        if lost.any():
            is_lost[begin:end] = lost.reshape(end - begin, -1)[:, :n_rows]


def _fill_from_pairs(
    batch: _Batch, min_periods: int, part: np.ndarray, is_lost: np.ndarray
) -> None:
    """Fill correlations of shape (pairs, rows) again in blocks where a name misses rows."""
    n_names, n_blocks, window = batch.x[0].shape
    i, j = np.triu_indices(n_names, 1)
    n_at_once = max(1, BATCH_CELLS // window)
    for block in range(n_blocks):
        partial = batch.is_partial[:, block]
        all_pairs = np.flatnonzero(partial[i] | partial[j])
        rows = slice(block * window, (block + 1) * window)
        n_rows = part[:, rows].shape[1]
        for first in range(0, len(all_pairs), n_at_once):
            pairs = all_pairs[first : first + n_at_once]
            left, right = (i[pairs], block), (j[pairs], block)
            weights = _take(batch.weight, left), _take(batch.weight, right)
            x = _take(batch.x, left), _take(batch.x, right)
            n = _sum_windows(_multiply(*weights))
            values, lost = _divide(
                _sum_windows(_multiply(*x)),
                _Moments.sum(_multiply(x[0], weights[1]), n, batch.noise[left][:, None]),
                _Moments.sum(_multiply(x[1], weights[0]), n, batch.noise[right][:, None]),
                min_periods,
            )
            part[pairs, rows] = values[:, :n_rows]
            is_lost[pairs, rows] = lost[:, :n_rows]


def _divide(
    products: np.ndarray, left: _Moments, right: _Moments, min_periods: int
) -> tuple[np.ndarray, np.ndarray]:
    """Turn sums of products into correlations, and mark those that cannot be relied on."""
    with np.errstate(divide="ignore", invalid="ignore"):
        products -= left.total * right.mean
        products /= left.length * right.length
    np.clip(products, -1.0, 1.0, out=products)
    is_short = np.minimum(left.n, right.n) < min_periods
    if is_short.any():
        products[is_short] = np.nan
    return products, (left.is_lost | right.is_lost) & ~is_short


def _take(blocks: Blocks, names: slice | tuple[np.ndarray, int]) -> Blocks:
    """Take some names, or a name for each pair in one block."""
    return blocks[0][names], blocks[1][names]


def _multiply(one: Blocks, other: Blocks) -> Blocks:
    """Multiply both parts."""
    return one[0] * other[0], one[1] * other[1]


def _sum_windows(blocks: Blocks) -> np.ndarray:
    """Add up each window: the end of the block before, and the beginning of its own."""
    total = np.cumsum(blocks[1], axis=-1)
    ends = np.cumsum(blocks[0][..., :0:-1], axis=-1)
    total[..., :-1] += ends[..., ::-1]
    return np.asarray(total)


def _correlate_cells(
    windows: np.ndarray, rows: np.ndarray, names: Blocks, min_periods: int, method: str
) -> np.ndarray:
    """Compute single correlations from the definition: those of two names at each of the rows."""
    values = np.empty(len(rows))
    n_at_once = max(1, BLOCK_CELLS // windows.shape[-1])
    for first in range(0, len(rows), n_at_once):
        some = slice(first, first + n_at_once)
        left, right = (windows[rows[some], side[some]] for side in names)
        values[some] = correlate_rows(left, right, min_periods, method)
    return values
