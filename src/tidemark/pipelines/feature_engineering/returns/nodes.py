"""Node functions of the returns study: from treated returns to train and test."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tidemark.domain.features import build_features
from tidemark.domain.panel import pivot_long
from tidemark.pipelines.data_engineering.returns.params import PreprocessParams
from tidemark.pipelines.data_engineering.returns.treatment import preprocess
from tidemark.pipelines.feature_engineering.auditing import audit_features
from tidemark.pipelines.feature_engineering.returns.params import FeatureParams
from tidemark.pipelines.params import AuditParams


def featurise(
    processed: pd.DataFrame, processed_exogenous: pd.DataFrame, params: FeatureParams
) -> pd.DataFrame:
    """Build the features of every live cell."""
    returns = pivot_long(processed, "ticker", "ret")
    exogenous = pivot_long(processed_exogenous, "series", "ret").reindex(returns.index)
    return build_features(returns, exogenous, params.lags, params.windows, params.exogenous_lags)


def audit(
    prices: pd.DataFrame,
    exogenous: pd.DataFrame,
    train: pd.DataFrame,
    test: pd.DataFrame,
    dates: dict[str, Any],
    preprocess_params: PreprocessParams,
    feature_params: FeatureParams,
    params: AuditParams,
) -> dict[str, Any]:
    """Look for the future in the features, and for late labels in the training periods.

    The features are built again as training and serving build them, from prices that end on a
    day, and from prices that are altered after it; and those that models read are compared with
    what building gives.

    Returns
    -------
    dict
        ``passed``, one sentence for each finding, and what was looked at; ready for JSON.
    """

    def build(prices: pd.DataFrame, exogenous: pd.DataFrame) -> pd.DataFrame:
        processed, processed_exogenous, _ = preprocess(prices, exogenous, preprocess_params)
        return featurise(processed, processed_exogenous, feature_params)

    sessions = np.unique(prices["date"].to_numpy())
    read = pd.concat([train, test], ignore_index=True).drop(columns="target")
    return audit_features(build, prices, exogenous, read, sessions, dates, params)
