"""Metrics of forecasts, computed from sums by date so that whole dates can be resampled."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tidemark.domain.auc import weighted_auc
from tidemark.domain.inference import mean_t_statistic
from tidemark.domain.scoring import code_dates, divide

METRICS = (
    "mae",
    "mse",
    "rmse",
    "r2",
    "r2_oos_zero",
    "r2_oos_mean",
    "r2_oos_surface",
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
    "sq_surface",
    "signed",
    "hits",
    "ic",
    "n_ic",
    "rank_ic",
    "n_rank_ic",
)

MIN_ROWS_OF_AN_IC = 3  # two rows are always perfectly correlated


def sum_by_date(predictions: pd.DataFrame) -> pd.DataFrame:
    """Reduce predictions to the sums that every metric but the AUC is a function of.

    Parameters
    ----------
    predictions : DataFrame
        ``date``, ``y_true``, ``y_pred`` and, where there are such, ``trailing_mean`` and
        ``surface_by_strike``: baseline forecasts that were known at the decision. Several rows a
        date, in any order. Other columns are ignored.

    Returns
    -------
    DataFrame of float64
        Index ``date``, ascending; one column for each of `SUMS`, added up over the date's rows:
        ``n`` counts rows; ``abs_error`` and ``sq_error`` are of ``y_true - y_pred``; ``y`` and
        ``sq_y`` are of the targets less the mean of the whole table, so that R2 loses no digits;
        ``sq_zero`` is of the targets; ``sq_mean`` of the targets less ``trailing_mean``, and
        ``sq_surface`` less ``surface_by_strike``, NaN where that is missing; ``signed`` counts
        rows on which neither target nor forecast is zero, ``hits`` those of them with equal signs.
        ``ic`` and ``rank_ic`` are the date's
        correlations of forecasts and targets across its rows (Pearson's, and Spearman's with
        average ranks); ``n_ic`` and ``n_rank_ic`` are 1 where they are defined. They are not on
        dates of fewer than three rows, nor where targets or forecasts are all equal but for
        rounding; there all four columns are 0.

    Raises
    ------
    ValueError
        If there are no rows, or a date, target or forecast is missing or infinite.
    """
    codes, dates = code_dates(predictions)
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
    sums : ndarray, shape (..., 14)
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
        - ``r2_oos_surface``: one minus squared errors over those of Black-Scholes with the surface
          of the session before.
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
    mse = divide(of["sq_error"], of["n"])
    deviations = of["sq_y"] - divide(of["y"] ** 2, of["n"])
    # Below this share of the squares, deviations are rounding errors: the targets are constant.
    is_varied = deviations > 1e-12 * of["sq_y"]
    return {
        "mae": divide(of["abs_error"], of["n"]),
        "mse": mse,
        "rmse": np.sqrt(mse),
        "r2": 1.0 - divide(of["sq_error"], np.where(is_varied, deviations, 0.0)),
        "r2_oos_zero": 1.0 - divide(of["sq_error"], of["sq_zero"]),
        "r2_oos_mean": 1.0 - divide(of["sq_error"], of["sq_mean"]),
        "r2_oos_surface": 1.0 - divide(of["sq_error"], of["sq_surface"]),
        "hit_rate": divide(of["hits"], of["signed"]),
        "ic": divide(of["ic"], of["n_ic"]),
        "rank_ic": divide(of["rank_ic"], of["n_rank_ic"]),
    }


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


def _tabulate_rows(predictions: pd.DataFrame) -> dict[str, np.ndarray]:
    """Compute what each row adds to the sums by date."""
    target, forecast = (
        predictions[name].to_numpy(dtype="float64") for name in ("y_true", "y_pred")
    )
    unknown = np.full(len(target), np.nan)
    mean, surface = (
        predictions[name].to_numpy(dtype="float64") if name in predictions else unknown
        for name in ("trailing_mean", "surface_by_strike")
    )
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
        "sq_mean": (target - mean) ** 2,
        "sq_surface": (target - surface) ** 2,
        "signed": np.abs(signs),
        "hits": (signs > 0.0).astype("float64"),
    }


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
    return np.where(is_defined, np.nan_to_num(divide(joint, np.sqrt(sq_one * sq_other))), 0.0)


def _scale_by_date(values: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Subtract each date's mean, and divide by its range so that no square underflows."""
    extent = np.maximum.reduceat(values, starts) - np.minimum.reduceat(values, starts)
    mean = np.add.reduceat(values, starts) / sizes
    return np.asarray((values - np.repeat(mean, sizes)) / np.repeat(extent + (extent == 0), sizes))
