"""Metrics of forecasts, computed from sums by date so that whole dates can be resampled."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tidemark.domain.inference import mean_t_statistic

METRICS = (
    "mae",
    "mse",
    "rmse",
    "r2",
    "r2_oos_zero",
    "r2_oos_mean",
    "hit_rate",
    "auc",
    "ic",
    "rank_ic",
)
SMALLER_IS_BETTER = frozenset({"mae", "mse", "rmse"})
T_STATISTICS = ("ic_t", "rank_ic_t")

SUMS = (
    "n",
    "abs_error",
    "sq_error",
    "y",
    "sq_y",
    "sq_zero",
    "sq_mean",
    "signed",
    "hits",
    "ic",
    "n_ic",
    "rank_ic",
    "n_rank_ic",
)

MIN_ROWS_OF_AN_IC = 3  # two rows are always perfectly correlated
CHUNK_BYTES = 2**20  # of one array of `weighted_auc`, which holds five: they stay in the cache


def sum_by_date(predictions: pd.DataFrame) -> pd.DataFrame:
    """Reduce predictions to the sums that every metric but the AUC is a function of.

    Parameters
    ----------
    predictions : DataFrame
        ``date``, ``y_true``, ``y_pred`` and, where there is one, ``trailing_mean``: the baseline
        forecast that was known at the decision. Several rows a date, in any order. Other columns
        are ignored.

    Returns
    -------
    DataFrame of float64
        Index ``date``, ascending; one column for each of `SUMS`, added up over the date's rows:
        ``n`` counts rows; ``abs_error`` and ``sq_error`` are of ``y_true - y_pred``; ``y`` and
        ``sq_y`` are of the targets less the mean of the whole table, so that R2 loses no digits;
        ``sq_zero`` is of the targets; ``sq_mean`` of the targets less ``trailing_mean``, NaN
        where that is missing; ``signed`` counts rows on which neither target nor forecast is
        zero, ``hits`` those of them with equal signs. ``ic`` and ``rank_ic`` are the date's
        correlations of forecasts and targets across its rows (Pearson's, and Spearman's with
        average ranks); ``n_ic`` and ``n_rank_ic`` are 1 where they are defined. They are not on
        dates of fewer than three rows, nor where targets or forecasts are all equal but for
        rounding; there all four columns are 0.

    Raises
    ------
    ValueError
        If there are no rows, or a date, target or forecast is missing or infinite.
    """
    codes, dates = _code_dates(predictions)
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(dates)))
    by_row = _tabulate_rows(predictions)
    sums = {name: np.add.reduceat(values[order], starts) for name, values in by_row.items()}
    sizes = sums["n"].astype("int64")
    is_defined = sizes >= MIN_ROWS_OF_AN_IC
    sides = predictions[["y_true", "y_pred"]].astype("float64")
    ranks = sides.groupby(codes).rank()
    for side in sides:
        is_defined &= _varies_by_date(sides[side].to_numpy()[order], starts)
    for name, table in (("ic", sides), ("rank_ic", ranks)):
        targets, forecasts = table.to_numpy()[order].T
        sums[name] = _correlate_by_date(targets, forecasts, starts, sizes, is_defined)
        sums[f"n_{name}"] = is_defined.astype("float64")
    return pd.DataFrame(sums, index=dates, columns=list(SUMS))


def metrics_from_sums(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Compute all metrics but the AUC from sums over rows.

    Parameters
    ----------
    sums : ndarray, shape (..., 13)
        As in `sum_by_date`, in the order of `SUMS`, added up over dates. One date may count
        several times, or not at all.

    Returns
    -------
    dict of str to ndarray, shape (...)
        NaN where a metric is undefined.

        - ``mae`` and ``rmse`` in the target's unit, ``mse`` in its square.
        - ``r2``: one minus squared errors over squared deviations from the mean of the same
          rows, as scikit-learn's `r2_score`; undefined where the targets do not vary.
        - ``r2_oos_zero``: one minus squared errors over squared targets, so that the forecast of
          zero is the benchmark [1]_.
        - ``r2_oos_mean``: one minus squared errors over those of the trailing mean [2]_.
        - ``hit_rate``: of the rows on which neither target nor forecast is zero, the share with
          equal signs.
        - ``ic`` and ``rank_ic``: means of the dates' correlations, over the dates that have one.

    References
    ----------
    .. [1] Gu, S., Kelly, B. and Xiu, D. (2020), Empirical Asset Pricing via Machine Learning,
       Review of Financial Studies 33, 2223-2273.
    .. [2] Campbell, J. Y. and Thompson, S. B. (2008), Predicting Excess Stock Returns Out of
       Sample: Can Anything Beat the Historical Average?, Review of Financial Studies 21,
       1509-1531.
    """
    by_name = np.moveaxis(np.asarray(sums, dtype="float64"), -1, 0)
    of = dict(zip(SUMS, by_name, strict=True))
    mse = _divide(of["sq_error"], of["n"])
    deviations = of["sq_y"] - _divide(of["y"] ** 2, of["n"])
    # Below this share of the squares, deviations are rounding errors: the targets are constant.
    is_varied = deviations > 1e-12 * of["sq_y"]
    return {
        "mae": _divide(of["abs_error"], of["n"]),
        "mse": mse,
        "rmse": np.sqrt(mse),
        "r2": 1.0 - _divide(of["sq_error"], np.where(is_varied, deviations, 0.0)),
        "r2_oos_zero": 1.0 - _divide(of["sq_error"], of["sq_zero"]),
        "r2_oos_mean": 1.0 - _divide(of["sq_error"], of["sq_mean"]),
        "hit_rate": _divide(of["hits"], of["signed"]),
        "ic": _divide(of["ic"], of["n_ic"]),
        "rank_ic": _divide(of["rank_ic"], of["n_rank_ic"]),
    }


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
    codes, dates = _code_dates(predictions)
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
        auc[first : first + n_at_once] = _divide(np.einsum("ij,ij->i", up, beaten) / 2.0, pairs)
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
    codes, dates = _code_dates(predictions)
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
    return _divide(beaten.sum() - lost + within, pairs.astype("float64"))


def score_predictions(predictions: pd.DataFrame) -> dict[str, float]:
    """Compute every metric, and the t-statistics of the ICs, of one table of predictions.

    Parameters
    ----------
    predictions : DataFrame
        As for `sum_by_date`.

    Returns
    -------
    dict of str to float
        All of `METRICS` and `T_STATISTICS`, NaN where undefined. ``ic_t`` and ``rank_ic_t`` are
        the t-statistics of the mean over the dates that have an IC, by `mean_t_statistic`.
    """
    sums = sum_by_date(predictions)
    metrics = metrics_from_sums(sums.to_numpy().sum(axis=0))
    metrics["auc"] = weighted_auc(predictions, np.ones((1, len(sums))))[0]
    scores = {name: float(metrics[name]) for name in METRICS}
    for name in ("ic", "rank_ic"):
        series = sums.loc[sums[f"n_{name}"] > 0.0, name].to_numpy()
        scores[f"{name}_t"] = mean_t_statistic(series)
    return scores


def _code_dates(predictions: pd.DataFrame) -> tuple[np.ndarray, pd.Index]:
    """Give every row its date's number, dates ascending; refuse a table that cannot be scored."""
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


def _tabulate_rows(predictions: pd.DataFrame) -> dict[str, np.ndarray]:
    """Compute what each row adds to the sums by date."""
    target, forecast = (
        predictions[name].to_numpy(dtype="float64") for name in ("y_true", "y_pred")
    )
    baseline = np.full(len(target), np.nan)
    if "trailing_mean" in predictions:
        baseline = predictions["trailing_mean"].to_numpy(dtype="float64")
    error = target - forecast
    centred = target - target.mean()
    signs = np.sign(target) * np.sign(forecast)
    return {
        "n": np.ones(len(target)),
        "abs_error": np.abs(error),
        "sq_error": error**2,
        "y": centred,
        "sq_y": centred**2,
        "sq_zero": target**2,
        "sq_mean": (target - baseline) ** 2,
        "signed": np.abs(signs),
        "hits": (signs > 0.0).astype("float64"),
    }


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide; NaN where the denominator is zero or missing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator > 0.0, numerator / denominator, np.nan)


def _varies_by_date(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Tell on which dates values differ by more than the rounding of one value."""
    low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    return np.asarray(high - low > 1e-13 * np.maximum(np.abs(low), np.abs(high)))


def _correlate_by_date(
    one: np.ndarray,
    other: np.ndarray,
    starts: np.ndarray,
    sizes: np.ndarray,
    is_defined: np.ndarray,
) -> np.ndarray:
    """Compute Pearson's correlation within each date, 0 where it is not defined."""
    one, other = (_scale_by_date(side, starts, sizes) for side in (one, other))
    joint, sq_one, sq_other = (
        np.add.reduceat(product, starts) for product in (one * other, one**2, other**2)
    )
    return np.where(is_defined, np.nan_to_num(_divide(joint, np.sqrt(sq_one * sq_other))), 0.0)


def _scale_by_date(values: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Subtract each date's mean, and divide by its range so that no square underflows."""
    extent = np.maximum.reduceat(values, starts) - np.minimum.reduceat(values, starts)
    mean = np.add.reduceat(values, starts) / sizes
    return np.asarray((values - np.repeat(mean, sizes)) / np.repeat(extent + (extent == 0), sizes))


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
