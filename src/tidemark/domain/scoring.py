"""What all metrics share: the dates of a table of predictions, and division."""

from __future__ import annotations

import numpy as np
import pandas as pd

# Of what has one of these states there is no forecast.
UNDONE = ("failed", "not installed")


def code_dates(predictions: pd.DataFrame) -> tuple[np.ndarray, pd.Index]:
    """Give every row its date's number, dates ascending; refuse a table that cannot be scored.

    Parameters
    ----------
    predictions : DataFrame
        ``date``, ``y_true`` and ``y_pred``. Several rows a date, in any order.

    Returns
    -------
    ndarray of int, shape (rows,)
        Numbers of dates, from 0.
    Index
        ``date``, ascending: the date of each number.

    Raises
    ------
    ValueError
        If there are no rows, or a date, target or forecast is missing or infinite.
    """
    if predictions.empty:
        raise ValueError(
            "There are no predictions to score: the table has no rows. Check that the test folds "
            "are not empty"
        )
    is_bad = predictions["date"].isna().to_numpy()
    for name in ("y_true", "y_pred"):
        is_bad = is_bad | ~np.isfinite(predictions[name].to_numpy(dtype="float64"))
    if is_bad.any():
        raise ValueError(
            f"{is_bad.sum()} of {len(predictions)} predictions have no date, or a y_true or "
            f"y_pred that is missing or infinite, first on {predictions['date'][is_bad].iloc[0]}. "
            "Leave such rows out of every cell alike before scoring"
        )
    codes, dates = pd.factorize(predictions["date"], sort=True)
    return codes, pd.Index(dates, name="date")


def divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide; NaN where the denominator is zero or missing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator > 0.0, numerator / denominator, np.nan)
