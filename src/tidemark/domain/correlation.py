"""Rolling correlations of two series, and of all pairs of a wide frame, from the past alone."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from tidemark.domain.correlation_bands import bootstrap_band, fisher_band
from tidemark.domain.correlation_inputs import (
    align_pair,
    check_values,
    check_window,
    require_method,
)
from tidemark.domain.correlation_windows import (
    BLOCK_CELLS,
    ROUNDINGS,
    correlate_rows,
    pearson_pairs,
    spearman_pairs,
    windows_of,
)

__all__ = [
    "RollingCorrelations",
    "bootstrap_band",
    "count_pairs",
    "ewm_correlation",
    "fisher_band",
    "rolling_correlation",
    "rolling_correlations",
]


@dataclass(frozen=True, eq=False)
class RollingCorrelations:
    """Rolling correlations of all pairs of names.

    Attributes
    ----------
    dates : Index, length dates
        Ascending.
    names : tuple of str
        The columns that were correlated.
    values : ndarray of float, shape (dates, pairs)
        In the order of ``itertools.combinations(names, 2)``; NaN where a window holds too few
        complete pairs or a constant side.
    """

    dates: pd.Index
    names: tuple[Hashable, ...]
    values: np.ndarray

    def pair(self, a: Hashable, b: Hashable) -> pd.Series:
        """Take the correlation of two names, in either order.

        Raises
        ------
        ValueError
            If a name is unknown, or both are the same.
        """
        unknown = [name for name in (a, b) if name not in self.names]
        if unknown or a == b:
            raise ValueError(
                f"No pair of {a!r} and {b!r}: choose two different of {len(self.names)} names, "
                f"such as {', '.join(map(repr, self.names[:5]))}"
            )
        i, j = sorted((self.names.index(a), self.names.index(b)))
        place = i * (2 * len(self.names) - i - 1) // 2 + j - i - 1
        return pd.Series(self.values[:, place], index=self.dates)

    def matrix(self, date: pd.Timestamp) -> pd.DataFrame:
        """Take the matrix of one date, with a diagonal of ones.

        Raises
        ------
        ValueError
            If the date is not one of `dates`.
        """
        matrix = self.matrices(self.rows_of([date]))[0]
        return pd.DataFrame(matrix, index=list(self.names), columns=list(self.names))

    def to_frame(self) -> pd.DataFrame:
        """Show the values as a wide frame, one column for each pair; they are not copied."""
        pairs = pd.MultiIndex.from_tuples(combinations(self.names, 2), names=["left", "right"])
        return pd.DataFrame(self.values, index=self.dates, columns=pairs, copy=False)

    def rows_of(self, dates: list[pd.Timestamp]) -> np.ndarray:
        """Find the rows of dates; ValueError if one is missing."""
        rows = self.dates.get_indexer(pd.Index(dates))
        if (rows < 0).any():
            missing = [str(date) for date, row in zip(dates, rows, strict=True) if row < 0]
            raise ValueError(
                f"{len(missing)} dates have no row, such as {', '.join(missing[:5])}: choose "
                f"among the {len(self.dates)} dates from {self.dates[0]} to {self.dates[-1]}"
            )
        return np.asarray(rows)

    def matrices(self, rows: slice | np.ndarray) -> np.ndarray:
        """Lay out the matrices of some rows, shape (rows, names, names)."""
        values, n_names = self.values[rows], len(self.names)
        i, j = np.triu_indices(n_names, 1)
        stack = np.ones((len(values), n_names, n_names))
        stack[:, i, j] = values
        stack[:, j, i] = values
        return stack


def rolling_correlation(
    left: pd.Series,
    right: pd.Series,
    window: int,
    min_periods: int | None = None,
    method: str = "pearson",
) -> pd.Series:
    """Compute the correlation of two series over a trailing window, the present row included.

    Parameters
    ----------
    left, right : Series
        One value for each date, dates ascending. They meet on the dates that both have; where
        either is NaN the pair is left out.
    window : int
        Length of the trailing window in rows, at least 2.
    min_periods : int, optional
        Complete pairs that a window must hold, at least 2; the window's length if not given.
    method : {"pearson", "spearman"}
        ``spearman``: Pearson's correlation of the ranks within each window; ties share the mean
        of their ranks.

    Returns
    -------
    Series
        On the common dates, between -1 and 1, from the definition in each window. NaN where a
        window holds too few pairs, or where its pairs are constant on either side: that is, their
        standard deviation is no more than the rounding of their level.

    Raises
    ------
    ValueError
        If dates are repeated, unsorted or not shared, a value is infinite, or the window, the
        periods or the method are out of range.

    Timing
    ------
    Row *t* uses rows *t - window + 1* to *t*. Later rows change no bit of it.

    Examples
    --------
    >>> left, right = pd.Series([1.0, 2.0, 3.0, 5.0]), pd.Series([2.0, 4.0, 6.0, 1.0])
    >>> rolling_correlation(left, right, window=3).round(3).tolist()
    [nan, nan, 1.0, -0.737]
    """
    min_periods = check_window(window, min_periods)
    require_method(method)
    dates, x, y = align_pair(left, right)
    sides = windows_of(x, window), windows_of(y, window)
    values = np.empty(len(dates))
    n_at_once = max(1, BLOCK_CELLS // window)
    for first in range(0, len(dates), n_at_once):
        some = slice(first, first + n_at_once)
        values[some] = correlate_rows(sides[0][some], sides[1][some], min_periods, method)
    return pd.Series(values, index=dates)


def rolling_correlations(
    frame: pd.DataFrame,
    window: int,
    min_periods: int | None = None,
    method: str = "pearson",
) -> RollingCorrelations:
    """Compute the correlations of all pairs of columns over a trailing window.

    Parameters
    ----------
    frame : DataFrame
        Wide frame, dates ascending; at least two columns. Each pair uses the rows on which both
        columns have a value.
    window, min_periods, method
        As for `rolling_correlation`, with which the result agrees but for rounding.

    Returns
    -------
    RollingCorrelations
        It takes eight bytes a date and pair, and the computation little more. Time grows with
        dates and pairs; for ``spearman`` with the window too, and most where columns miss
        different rows.

    Raises
    ------
    ValueError
        As for `rolling_correlation`; if columns are fewer than two or repeated.

    Timing
    ------
    As for `rolling_correlation`. The last bits may depend on the window's place among the blocks
    of rows that are summed together; these are counted from the first row.
    """
    min_periods = check_window(window, min_periods)
    require_method(method)
    if frame.shape[1] < 2 or not frame.columns.is_unique:
        raise ValueError(
            f"{frame.shape[1]} columns, {frame.columns.nunique()} different: pairs need at least "
            "two columns, each with a name of its own"
        )
    values = check_values(frame)
    correlate = pearson_pairs if method == "pearson" else spearman_pairs
    return RollingCorrelations(
        frame.index, tuple(frame.columns), correlate(values, window, min_periods)
    )


def ewm_correlation(
    left: pd.Series,
    right: pd.Series,
    min_periods: int,
    *,
    halflife: float | None = None,
    span: float | None = None,
) -> pd.Series:
    """Compute the correlation of two series with weights that decay by a constant rate a row.

    Parameters
    ----------
    left, right : Series
        As for `rolling_correlation`.
    min_periods : int
        Complete pairs up to a row that its value needs, at least 2.
    halflife, span : float
        One of them, in rows: the rows in which a weight halves, or ``s`` for which a weight
        decays by ``1 - 2 / (s + 1)``. A row without a pair ages the others too.

    Returns
    -------
    Series
        On the common dates, between -1 and 1; NaN before enough pairs and where either side is
        constant but for rounding.

    Raises
    ------
    ValueError
        As for `rolling_correlation`; if not exactly one rate is given, or it is out of range.

    Timing
    ------
    Row *t* uses all rows up to *t*.

    References
    ----------
    West, D. H. D. (1979), Updating Mean and Variance Estimates: An Improved Method,
    Communications of the ACM 22, 532-535.
    """
    decay = _choose_decay(halflife, span)
    if min_periods < 2:
        raise ValueError(f"A correlation of {min_periods} pairs is undefined: ask for at least 2")
    dates, x, y = align_pair(left, right)
    rounding = ROUNDINGS * np.finfo("float64").eps
    values = np.full(len(dates), np.nan)
    # Gaps from the mean move with the values' differences, so that a high level costs no digits.
    last_x = last_y = gap_x = gap_y = 0.0
    weight = square_x = square_y = product = 0.0
    n_pairs = 0
    for row, (a, b) in enumerate(zip(x.tolist(), y.tolist(), strict=True)):
        weight *= decay
        square_x, square_y, product = square_x * decay, square_y * decay, product * decay
        if not math.isnan(a + b):
            n_pairs += 1
            weight += 1.0
            from_x, from_y = gap_x + (a - last_x), gap_y + (b - last_y)
            last_x, last_y = a, b
            gap_x, gap_y = (from_gap * (1.0 - 1.0 / weight) for from_gap in (from_x, from_y))
            square_x += from_x * gap_x
            square_y += from_y * gap_y
            product += from_x * gap_y
        is_varied = (
            square_x > weight * (rounding * last_x) ** 2
            and square_y > weight * (rounding * last_y) ** 2
        )
        if n_pairs >= min_periods and is_varied:
            values[row] = product / (math.sqrt(square_x) * math.sqrt(square_y))
    return pd.Series(np.clip(values, -1.0, 1.0), index=dates)


def count_pairs(left: pd.Series, right: pd.Series, window: int) -> pd.Series:
    """Count the complete pairs in each trailing window, the present row included.

    Parameters and errors are those of `rolling_correlation`. The first windows are shorter.
    """
    check_window(window, None)
    dates, x, y = align_pair(left, right)
    so_far = np.cumsum(~(np.isnan(x) | np.isnan(y)))
    counts = so_far.copy()
    counts[window:] -= so_far[:-window]
    return pd.Series(counts, index=dates)


def _choose_decay(halflife: float | None, span: float | None) -> float:
    """Turn a halflife or a span into the factor by which weights decay each row."""
    if halflife is not None and span is None and 0.0 < halflife < math.inf:
        return float(0.5 ** (1.0 / halflife))
    if span is not None and halflife is None and 1.0 < span < math.inf:
        return 1.0 - 2.0 / (span + 1.0)
    raise ValueError(
        f"A halflife of {halflife} and a span of {span} give no decay: set one of them, the "
        "halflife above 0 or the span above 1"
    )
