"""Node functions of the returns study: from treated returns to train and test."""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd

from tidemark.domain.features import build_features, feature_columns
from tidemark.domain.panel import pivot_long
from tidemark.domain.splits import split_by_date
from tidemark.errors import ModelError, describe_examples
from tidemark.pipelines.feature_engineering.returns.params import FeatureParams, SplitParams

logger = logging.getLogger(__name__)


def featurise(
    processed: pd.DataFrame, processed_exogenous: pd.DataFrame, params: FeatureParams
) -> pd.DataFrame:
    """Build the features of every live cell."""
    returns = pivot_long(processed, "ticker", "ret")
    exogenous = pivot_long(processed_exogenous, "series", "ret").reindex(returns.index)
    return build_features(returns, exogenous, params.lags, params.windows, params.exogenous_lags)


def split(
    features: pd.DataFrame, targets: pd.DataFrame, params: SplitParams
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Join features and targets on the eligible rows and cut them by date.

    Returns
    -------
    train, test : DataFrame
        ``date, ticker``, the features, ``target``.
    folds : dict
        The split's dates and id, the keys and the features, ready for JSON. Dates come from the
        targets alone, so that every scenario has the same.

    Raises
    ------
    ModelError
        If a row that will be scored has no features.
    """
    rows = targets.loc[targets["eligible"], ["date", "ticker", "target"]]
    dates = split_by_date(
        pd.DatetimeIndex(rows["date"]),
        params.test_share,
        params.n_folds,
        params.horizon_days,
        params.embargo_days,
    )
    names = feature_columns(features)
    joined = features.merge(rows, on=["date", "ticker"], how="right")
    bare = joined[names].isna().any(axis=1)
    if bare.any():
        keys = joined.loc[bare, ["date", "ticker"]].astype("str").agg(" ".join, axis=1)
        raise ModelError(
            f"{int(bare.sum())} eligible rows have no features: {describe_examples(keys)}. "
            f"Raise returns.labels.warm_up_days to the longest look-back."
        )
    train = joined[joined["date"] <= dates.train_end].reset_index(drop=True)
    test = joined[joined["date"] >= dates.test_start].reset_index(drop=True)
    logger.info("split %s: %d rows to train, %d to test", dates.split_id, len(train), len(test))
    return train, test, {**dates.to_dict(), "keys": ["date", "ticker"], "features": names}
