"""What regime models can use: a series without gaps, perhaps with a regressor."""

from __future__ import annotations

import numpy as np
import pandas as pd


def read_series(
    series: pd.Series | np.ndarray, exog: pd.Series | np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray | None, pd.Index]:
    """Read a series and its regressor, and refuse what no regime model can use.

    Returns
    -------
    values : ndarray of float, shape (dates,)
    regressor : ndarray of float, shape (dates,), or None
    index : Index
        That of ``series``; positions for an array.

    Raises
    ------
    ValueError
        If one of the two is empty, not of one dimension, or holds missing or infinite values, or
        they differ in length or index.
    """
    index = series.index if isinstance(series, pd.Series) else pd.RangeIndex(len(series))
    arrays = []
    for name, given in (("series", series), ("regressor", exog)):
        if given is None:
            continue
        array = np.asarray(given, dtype="float64")
        n_bad = int((~np.isfinite(array)).sum())
        if array.ndim != 1 or not len(array) or n_bad:
            raise ValueError(
                f"The {name} has shape {array.shape} and {n_bad} missing or infinite values: give "
                "one finite number for each date, and drop or fill the others first"
            )
        arrays.append(array)
    if exog is not None:
        is_dated = isinstance(series, pd.Series) and isinstance(exog, pd.Series)
        if len(arrays[0]) != len(arrays[1]) or (
            is_dated and not index.equals(pd.Series(exog).index)
        ):
            raise ValueError(
                f"A series of {len(arrays[0])} and a regressor of {len(arrays[1])} dates are not "
                "aligned: give both for the same dates in the same order"
            )
    return arrays[0], arrays[1] if exog is not None else None, index
