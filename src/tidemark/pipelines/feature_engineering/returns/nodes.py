"""Node functions of the returns study: from treated returns to train and test."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tidemark import incidents
from tidemark.domain.audit import (
    describe_leaks,
    find_late_labels,
    find_leaks,
    list_cuts,
    list_differences,
)
from tidemark.domain.features import build_features
from tidemark.domain.panel import pivot_long
from tidemark.domain.splits import Fold
from tidemark.pipelines.data_engineering.returns.params import PreprocessParams
from tidemark.pipelines.data_engineering.returns.treatment import preprocess
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
    cuts = list_cuts(sessions, dates["train_end"], params.n_cuts)
    delay = params.exogenous_delay_days
    leaks = find_leaks(build, prices, exogenous, dates["keys"], cuts, delay, params.seed)
    read = pd.concat([train, test], ignore_index=True).drop(columns="target")
    foreign = list_differences(read, build(prices, exogenous), dates["keys"])
    folds = [Fold(**one) for one in [*dates["folds"], *dates["refits"]]]
    late = find_late_labels(sessions, folds, dates["horizon_days"])
    findings = describe_leaks(leaks, "feature")
    findings += [f"feature {name} is not what building it gives" for name in foreign]
    findings += [
        f"labels of the training that ends {fold.train_end} are known on {known}, and are judged "
        f"from {fold.valid_start}"
        for fold, known in late
    ]
    if findings:
        incidents.report("leak", "; ".join(findings))
    return {
        "passed": not findings,
        "findings": findings,
        "features": sorted({leak.feature for leak in leaks} | set(foreign)),
        "cuts": [f"{cut:%Y-%m-%d}" for cut in cuts],
        "training_periods": len(folds),
    }
