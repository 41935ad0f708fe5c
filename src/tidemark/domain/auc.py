"""The area under the ROC curve, where whole dates are weighted or left out."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tidemark.domain.scoring import code_dates, divide

CHUNK_BYTES = 2**20  # of one array of `weighted_auc`, which holds five: they stay in the cache


def weighted_auc(predictions: pd.DataFrame, weights: np.ndarray) -> np.ndarray:
    """Compute the area under the ROC curve of the forecast as a score for a positive target.

    It is the chance that a row with a positive target has a larger forecast than one with a
    negative target, equal forecasts counting half. Rows with a target of zero play no part.

    Parameters
    ----------
    predictions : DataFrame
        As for `sum_by_date`.
    weights : ndarray, shape (replicates, dates)
        What each row of a date counts, none below zero; dates ascending.

    Returns
    -------
    ndarray of float64, shape (replicates,)
        NaN where one of the classes has no weight.

    Raises
    ------
    ValueError
        As for `sum_by_date`, and if there is not one weight for each date.

    References
    ----------
    Hanley, J. A. and McNeil, B. J. (1982), The Meaning and Use of the Area under a Receiver
    Operating Characteristic (ROC) Curve, Radiology 143, 29-36.
    """
    codes, dates = code_dates(predictions)
    if weights.ndim != 2 or weights.shape[1] != len(dates):
        raise ValueError(
            f"Weights of shape {weights.shape} do not fit {len(dates)} dates: give an array of "
            f"shape (replicates, {len(dates)}), one column for each date of the predictions"
        )
    (up_codes, up_scores), (down_codes, down_scores) = _split_by_sign(predictions, codes)
    below = np.searchsorted(down_scores, up_scores, side="left")
    up_to = np.searchsorted(down_scores, up_scores, side="right")
    n_at_once = max(1, CHUNK_BYTES // (8 * (len(codes) + 1)))
    auc = np.empty(len(weights))
    for first in range(0, len(weights), n_at_once):
        chunk = np.asarray(weights[first : first + n_at_once], dtype="float64")
        up = np.take(chunk, up_codes, axis=1)
        passed = np.zeros((len(chunk), len(down_codes) + 1))
        np.cumsum(np.take(chunk, down_codes, axis=1), axis=1, out=passed[:, 1:])
        beaten = np.take(passed, below, axis=1)
        beaten += np.take(passed, up_to, axis=1)
        pairs = up.sum(axis=1) * passed[:, -1]
        auc[first : first + n_at_once] = divide(np.einsum("ij,ij->i", up, beaten) / 2.0, pairs)
    return auc


def delete_one_date_auc(predictions: pd.DataFrame) -> np.ndarray:
    """Compute the area under the ROC curve without each of the dates in turn.

    The wins of positive over negative rows are a quadratic form in the weights of the dates, so
    leaving out a date takes away its row and its column and gives back where they cross. Every
    entry that is needed comes from ranks: no array has more elements than there are rows.

    Parameters
    ----------
    predictions : DataFrame
        As for `sum_by_date`.

    Returns
    -------
    ndarray of float64, shape (dates,)
        Dates ascending. NaN where a class has no rows on the other dates.
    """
    codes, dates = code_dates(predictions)
    (up_codes, up_scores), (down_codes, down_scores) = _split_by_sign(predictions, codes)
    n_dates = len(dates)
    beaten = _mean_position(down_scores, up_scores)
    beating = len(up_scores) - _mean_position(up_scores, down_scores)
    n_up = np.bincount(up_codes, minlength=n_dates)
    n_down = np.bincount(down_codes, minlength=n_dates)
    ranks = pd.Series(np.concatenate([up_scores, down_scores]))
    ranks = ranks.groupby(np.concatenate([up_codes, down_codes])).rank()
    own_ranks = np.bincount(up_codes, ranks.to_numpy()[: len(up_codes)], minlength=n_dates)
    within = own_ranks - n_up * (n_up + 1) / 2.0
    beaten_by_date = np.bincount(up_codes, beaten, minlength=n_dates)
    lost = beaten_by_date + np.bincount(down_codes, beating, minlength=n_dates)
    pairs = (len(up_codes) - n_up) * (len(down_codes) - n_down)
    return divide(beaten.sum() - lost + within, pairs.astype("float64"))


def _split_by_sign(
    predictions: pd.DataFrame, codes: np.ndarray
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return date numbers and forecasts of the positive and the negative rows, by forecast."""
    target = predictions["y_true"].to_numpy(dtype="float64")
    forecast = predictions["y_pred"].to_numpy(dtype="float64")
    order = np.argsort(forecast, kind="stable")
    up, down = order[target[order] > 0.0], order[target[order] < 0.0]
    return (codes[up], forecast[up]), (codes[down], forecast[down])


def _mean_position(ordered: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Count how many of the ordered values are smaller, equal ones counting half."""
    left = np.searchsorted(ordered, values, side="left")
    return np.asarray((left + np.searchsorted(ordered, values, side="right")) / 2.0)
