"""Node functions of the options study: from treated inputs to features, and their audit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tidemark.domain.features import LABELS
from tidemark.domain.option_features import build_option_features, build_same_day_features
from tidemark.domain.option_inputs import build_inputs
from tidemark.pipelines.data_engineering.options.params import (
    OptionPreprocessParams,
    PricingParams,
)
from tidemark.pipelines.data_engineering.options.treatment import preprocess
from tidemark.pipelines.feature_engineering.auditing import audit_features
from tidemark.pipelines.params import AuditParams

CIRCULAR = "circular by design: models are given today's own price in other words"


def featurise(processed: pd.DataFrame) -> pd.DataFrame:
    """Build the features of every contract of a date, without any quote of that date."""
    return build_option_features(processed)


def featurise_same_day(processed: pd.DataFrame) -> pd.DataFrame:
    """Build implied volatility, moneyness, and volatility times time: circular."""
    return build_same_day_features(processed)


def audit(
    contracts: pd.DataFrame,
    market: pd.DataFrame,
    train: pd.DataFrame,
    test: pd.DataFrame,
    dates: dict[str, Any],
    preprocess_params: OptionPreprocessParams,
    pricing: PricingParams,
    params: AuditParams,
) -> dict[str, Any]:
    """Look for the future, and for quotes of the same day, in the features.

    Quotes are taken away, or altered, from the day of the decision on: a feature that changes has
    seen the price that it is to explain, or a later one.

    Returns
    -------
    dict
        ``passed``, one sentence for each finding, and what was looked at; ready for JSON.
    """
    settings = pricing.settings()

    def build(contracts: pd.DataFrame, market: pd.DataFrame) -> pd.DataFrame:
        processed, _ = preprocess(build_inputs(contracts, market, settings), preprocess_params)
        return featurise(processed).drop(columns="is_learnt")

    sessions = np.unique(contracts["date"].to_numpy())
    read = pd.concat([train, test], ignore_index=True).drop(columns=list(LABELS), errors="ignore")
    return audit_features(build, contracts, market, read, sessions, dates, params)


def declare_circular(train: pd.DataFrame, dates: dict[str, Any]) -> dict[str, Any]:
    """Say, in the place of an audit, that features know the prices that they are to explain.

    Returns
    -------
    dict
        As from `audit`; ``circular`` says why nothing was looked for.
    """
    return {
        "passed": True,
        "findings": [],
        "features": [str(name) for name in train if name not in {*dates["keys"], *LABELS}],
        "cuts": [],
        "training_periods": len(dates["folds"]) + len(dates["refits"]),
        "circular": CIRCULAR,
    }
