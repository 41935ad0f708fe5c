"""Errors of forecasts, computed from sums by date so that whole dates can be resampled."""

from __future__ import annotations

import numpy as np
import pandas as pd

METRICS = ("mae", "mse", "rmse", "r2")

SUMS = ("n", "abs_error", "sq_error", "y", "sq_y")


def sums_by_date(predictions: pd.DataFrame) -> np.ndarray:
    """Reduce predictions to the sums that every metric is a function of.

    Parameters
    ----------
    predictions : DataFrame
        ``date, y_true, y_pred``; no missing values.

    Returns
    -------
    ndarray of float64, shape (dates, 5)
        Number of rows, absolute errors, squared errors, targets, squared targets; one row for
        each date, in order.
    """
    error = predictions["y_true"] - predictions["y_pred"]
    target = predictions["y_true"]
    columns = [np.ones(len(error)), error.abs(), error**2, target, target**2]
    table = pd.DataFrame(dict(zip(SUMS, columns, strict=True)), index=predictions.index)
    return table.groupby(predictions["date"], sort=True).sum().to_numpy()


def metrics_from_sums(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Compute MAE, MSE, RMSE and R2 from sums over rows.

    Parameters
    ----------
    sums : ndarray, shape (..., 5)
        As in `sums_by_date`, added up over dates.

    Returns
    -------
    dict of str to ndarray, shape (...)
        ``mae`` and ``rmse`` in the target's unit, ``mse`` in its square, ``r2`` without unit:
        one minus squared errors over squared deviations from the mean of the same rows, as
        scikit-learn's `r2_score`; NaN where the targets do not vary.
    """
    n, abs_error, sq_error, y, sq_y = np.moveaxis(np.asarray(sums, dtype="float64"), -1, 0)
    mse = sq_error / n
    deviations = sq_y - y**2 / n
    # Below this share of their squares, deviations are rounding errors: the targets are constant.
    varied = deviations > 1e-12 * sq_y
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = np.where(varied, 1.0 - sq_error / deviations, np.nan)
    return {"mae": abs_error / n, "mse": mse, "rmse": np.sqrt(mse), "r2": r2}


def score_predictions(predictions: pd.DataFrame) -> dict[str, float]:
    """Compute every metric of one table of predictions."""
    total = sums_by_date(predictions).sum(axis=0)
    return {name: float(value) for name, value in metrics_from_sums(total).items()}
