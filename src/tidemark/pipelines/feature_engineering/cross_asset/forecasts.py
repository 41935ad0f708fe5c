"""Node functions of the forecasts of correlations: features, and their audit."""

from __future__ import annotations

from typing import Any

import pandas as pd

from tidemark import incidents
from tidemark.domain.audit import describe_leaks, find_leaks, list_cuts
from tidemark.domain.correlation_labels import build_correlation_features
from tidemark.pipelines.data_engineering.cross_asset.nodes import align, forecast, label
from tidemark.pipelines.data_engineering.cross_asset.params import (
    AlignmentParams,
    CorrelationFeatureParams,
    CorrelationParams,
    SeriesTable,
)
from tidemark.pipelines.feature_engineering.auditing import audit_features
from tidemark.pipelines.params import AuditParams


def featurise(
    returns: pd.DataFrame, params: CorrelationParams, own: CorrelationFeatureParams
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Build the features of every pair and session.

    Returns
    -------
    features : DataFrame
        ``date, pair`` and one column for each feature.
    report : dict
        Flat: how much of the returns there was to build them from.
    """
    wide = returns.set_index("date")
    features = build_correlation_features(
        wide, params.pairs, own.windows, own.halflife_days, params.min_share
    )
    used = wide[sorted({name for pair in params.pairs for name in pair})]
    return features, {
        "sessions": len(used),
        "missing_rate": float(used.isna().to_numpy().mean()),
        "pairs": len(params.pairs),
    }


def audit_labels(
    levels: pd.DataFrame,
    returns: pd.DataFrame,
    dates: dict[str, Any],
    series: SeriesTable,
    alignment: AlignmentParams,
    correlation: CorrelationParams,
    params: AuditParams,
) -> dict[str, Any]:
    """Look for the future in returns and baselines, and for labels that look further than they say.

    Returns
    -------
    dict
        ``passed``, and one sentence for each finding; ready for JSON.
    """
    nothing = levels.head(0)

    def build_returns(levels: pd.DataFrame, _: pd.DataFrame) -> pd.DataFrame:
        return align(levels, series, alignment)

    def build_baselines(returns: pd.DataFrame, _: pd.DataFrame) -> pd.DataFrame:
        return forecast(returns, correlation)

    def build_labels(returns: pd.DataFrame, _: pd.DataFrame) -> pd.DataFrame:
        return label(returns, correlation).drop(columns="eligible")

    cuts = list_cuts(returns["date"].to_numpy(), dates["train_end"], params.n_cuts)
    found = find_leaks(build_returns, levels, nothing, ["date"], cuts, 0, params.seed)
    findings = describe_leaks(found, "return")
    tables = (returns, nothing, dates["keys"], cuts, 0, params.seed)
    findings += describe_leaks(find_leaks(build_baselines, *tables), "baseline")
    horizon = dates["horizon_days"]
    findings += describe_leaks(find_leaks(build_labels, *tables, horizon), "label")
    if findings:
        incidents.report("leak", "; ".join(findings))
    return {"passed": not findings, "findings": findings}


def audit(
    returns: pd.DataFrame,
    train: pd.DataFrame,
    test: pd.DataFrame,
    dates: dict[str, Any],
    correlation: CorrelationParams,
    own: CorrelationFeatureParams,
    params: AuditParams,
) -> dict[str, Any]:
    """Look for the future in the features, and for late labels in the training periods.

    Returns
    -------
    dict
        ``passed``, one sentence for each finding, and what was looked at; ready for JSON.
    """
    nothing = returns.head(0)

    def build(returns: pd.DataFrame, _: pd.DataFrame) -> pd.DataFrame:
        return featurise(returns, correlation, own)[0]

    read = pd.concat([train, test], ignore_index=True).drop(columns="target")
    sessions = returns["date"].to_numpy()
    return audit_features(build, returns, nothing, read, sessions, dates, params)
