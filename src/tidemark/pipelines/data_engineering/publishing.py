"""Node function that ends every study's data: which rows are scored, when, and how resampled."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pandas as pd

from tidemark.domain.bootstrap import optimal_block_length
from tidemark.domain.comparison import MIN_DATES
from tidemark.domain.features import LABELS
from tidemark.domain.splits import split_by_date
from tidemark.errors import DataError, describe_examples
from tidemark.pipelines.params import EvaluationParams, SplitParams

logger = logging.getLogger(__name__)


def publish(
    targets: pd.DataFrame,
    baselines: pd.DataFrame,
    split_params: SplitParams,
    params: EvaluationParams,
) -> tuple[dict[str, Any], pd.DataFrame, dict[str, Any]]:
    """Publish what all cells share: the dates, the rows to be scored, and how to resample them.

    Parameters
    ----------
    targets : DataFrame
        Keys, ``target`` and ``eligible``. Where there is ``is_scored``, other rows are learnt from
        alone; where there is an ``offset``, models may correct that forecast.
    baselines : DataFrame
        The same keys, and one column for each forecast that needs no model.

    Returns
    -------
    split : dict
        Dates of training, folds, refits and test, their id and the keys; ready for JSON.
    scoring : DataFrame
        Every row that a cell must forecast: keys, ``y_true`` and the baselines' forecasts.
    resampling : dict
        How all cells draw dates, so that they draw the same ones; ready for JSON. The automatic
        block length is that of the mean square by date, which no model has touched, of the targets
        or of what the offset leaves of them.

    Raises
    ------
    DataError
        If a baseline has no forecast for a row that will be scored, or the test has too few
        dates to be resampled and tested.
    """
    keys = [str(name) for name in targets if name not in LABELS]
    rows = targets[targets["eligible"]]
    split = split_by_date(pd.DatetimeIndex(rows["date"]), **split_params.model_dump())
    is_scored = rows["date"] >= split.test_start
    if "is_scored" in rows:
        is_scored &= rows["is_scored"]
    judged = rows[is_scored]
    scoring = (
        judged[[*keys, "target"]]
        .merge(baselines, on=keys, how="left", validate="one_to_one")
        .rename(columns={"target": "y_true"})
    )
    bare = scoring[scoring.isna().any(axis=1)]
    if len(bare):
        names = bare[keys].astype("str").agg(" ".join, axis=1)
        raise DataError(
            f"{len(bare)} rows to be scored have no baseline forecast: "
            f"{describe_examples(names)}. Give data that begin earlier, or lengthen the study's "
            f"warm-up."
        )
    left = judged["target"] - judged.get("offset", 0.0)
    squares = (left**2).groupby(judged["date"], sort=True).mean().to_numpy()
    resampling = plan_resampling(squares, split.horizon_days, params)
    logger.info(
        "split %s: %d rows to score on %d dates, %d fits, blocks of %.1f dates",
        split.split_id,
        len(scoring),
        resampling["n_dates"],
        len(split.refits),
        resampling["block_length"],
    )
    about = {"keys": keys, "window_sessions": split_params.window_sessions}
    return {**split.to_dict(), **about}, scoring, resampling


def plan_resampling(
    values: np.ndarray, horizon_days: int, params: EvaluationParams
) -> dict[str, Any]:
    """Say how all cells draw dates.

    Parameters
    ----------
    values : ndarray
        One number for each date of the test, which no model has touched: the automatic block
        length is theirs.
    horizon_days : int
        Sessions from a decision until its label is known.
    params : EvaluationParams
        What the configuration says of it.

    Raises
    ------
    DataError
        If there are too few dates.
    """
    if len(values) < MIN_DATES:
        raise DataError(
            f"The test has {len(values)} dates; tests of forecasts need at least {MIN_DATES}. "
            f"Give more data, or raise split.test_share."
        )
    is_chosen = params.block_length_days != "auto"
    block_length = (
        float(params.block_length_days)
        if is_chosen
        else optimal_block_length(values, params.bootstrap)
    )
    if block_length >= len(values):
        raise DataError(
            f"evaluation.block_length_days is {block_length:g}; it must be less than the "
            f"{len(values)} dates of the test."
        )
    return {
        "method": params.bootstrap,
        "block_length": block_length,
        "block_length_rule": "given" if is_chosen else "Politis and White (2004)",
        "n_dates": len(values),
        "n_replicates": params.n_replicates,
        "interval": params.interval,
        "level": params.level,
        "seed": params.seed,
        "horizon_days": horizon_days,
    }
