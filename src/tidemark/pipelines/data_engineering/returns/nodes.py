"""Node functions of the returns study's data: from files to accepted prices and labels."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from tidemark import incidents
from tidemark.domain.audit import describe_leaks, find_leaks, list_cuts
from tidemark.domain.baselines import forecast_returns
from tidemark.domain.fingerprint import hash_frames
from tidemark.domain.inspection import PRICES, SERIES, Inspection, inspect_table
from tidemark.domain.labels import label_next_return
from tidemark.domain.panel import live_cells, pivot_long, price_levels, simple_returns
from tidemark.domain.profile import profile_levels
from tidemark.pipelines.data_engineering.acceptance import require_accepted
from tidemark.pipelines.data_engineering.returns.params import (
    BaselineParams,
    LabelParams,
    ValidationParams,
)
from tidemark.pipelines.params import AuditParams

logger = logging.getLogger(__name__)


def fetch(
    source_prices: pd.DataFrame, source_exogenous: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Take the source tables as they are; the catalog stores them by date and content hash."""
    logger.info(
        "fetched %d rows of prices and %d of exogenous series",
        len(source_prices),
        len(source_exogenous),
    )
    return source_prices, source_exogenous


def validate(
    prices_raw: pd.DataFrame, exogenous_raw: pd.DataFrame, as_of: str, params: ValidationParams
) -> tuple[dict[str, Any], dict[str, Any], pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Check the raw tables and report everything found; `accept` is the node that refuses.

    Returns
    -------
    report, profile : dict
        Ready for JSON.
    quarantine : DataFrame
        ``table, row, reason, record``.
    candidate_prices, candidate_exogenous : DataFrame
        What is left, in canonical form.
    """
    rules = params.checks.rules()
    day = pd.Timestamp(as_of)
    prices = inspect_table(prices_raw, PRICES, rules, day, params.accepted_schema.prices)
    tables = {"prices": (prices, len(prices_raw))}
    candidate_exogenous = pd.DataFrame({column: [] for column in SERIES.required})
    if len(exogenous_raw):
        exogenous = inspect_table(
            exogenous_raw, SERIES, rules, day, params.accepted_schema.exogenous
        )
        tables["exogenous"] = (exogenous, len(exogenous_raw))
        candidate_exogenous = exogenous.candidate
    report = {
        "study": "returns",
        "as_of": as_of,
        "accepted": not any(found.refusals for found, _ in tables.values()),
        "tables": {name: _report_table(found, rows) for name, (found, rows) in tables.items()},
    }
    for found, _ in tables.values():
        for finding in found.findings:
            if finding.action != "refuse":  # `accept` says what is refused
                logger.warning("%s: %s", finding.action, finding.message)
    refused = bool(prices.refusals)
    level = PRICES.level_of(prices.candidate)
    profile = {} if refused else profile_levels(prices.candidate, "ticker", level)
    quarantine = pd.concat([found.quarantine for found, _ in tables.values()], ignore_index=True)
    return report, profile, quarantine, prices.candidate, candidate_exogenous


def accept(
    report: dict[str, Any],
    quarantine: pd.DataFrame,
    candidate_prices: pd.DataFrame,
    candidate_exogenous: pd.DataFrame,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Pass the candidates on, or refuse them.

    Returns
    -------
    prices, exogenous : DataFrame
        What has been accepted.
    fingerprint : dict
        A hash that stands for their content, however it is stored; ready for JSON.

    Raises
    ------
    DataRefused
        If any finding of the validation report asks for it.
    DataError
        If the stored quarantine does not hold the rows that left: nothing is lost.
    """
    require_accepted(report, quarantine)
    exogenous = candidate_exogenous.astype(
        {"date": "datetime64[ns]", "series": "str", "value": "float64"}
    )
    return candidate_prices, exogenous, {"data_hash": hash_frames(candidate_prices, exogenous)}


def label(prices: pd.DataFrame, exogenous: pd.DataFrame, params: LabelParams) -> pd.DataFrame:
    """Publish next-day returns and the rows that count, the same for every scenario."""
    levels = price_levels(prices)
    others = pivot_long(exogenous, "series", "value").reindex(levels.index)
    return label_next_return(levels, others, params.warm_up_days)


def forecast(prices: pd.DataFrame, params: BaselineParams) -> pd.DataFrame:
    """Publish the forecasts of the baselines, from untreated returns."""
    levels = price_levels(prices)
    returns = simple_returns(levels)
    return forecast_returns(returns, live_cells(levels), params.trailing_mean_days)


def audit(
    prices: pd.DataFrame,
    exogenous: pd.DataFrame,
    dates: dict[str, Any],
    label_params: LabelParams,
    baseline_params: BaselineParams,
    params: AuditParams,
) -> dict[str, Any]:
    """Look for the future in the baselines, and for labels that look further than they say.

    Returns
    -------
    dict
        ``passed``, and one sentence for each finding; ready for JSON.
    """

    def build_labels(prices: pd.DataFrame, exogenous: pd.DataFrame) -> pd.DataFrame:
        return label(prices, exogenous, label_params).drop(columns="eligible")

    def build_baselines(prices: pd.DataFrame, _: pd.DataFrame) -> pd.DataFrame:
        return forecast(prices, baseline_params)

    cuts = list_cuts(np.unique(prices["date"].to_numpy()), dates["train_end"], params.n_cuts)
    tables = (prices, exogenous, dates["keys"], cuts, params.exogenous_delay_days, params.seed)
    findings = describe_leaks(find_leaks(build_baselines, *tables), "baseline")
    horizon = dates["horizon_days"]
    findings += describe_leaks(find_leaks(build_labels, *tables, horizon), "label")
    if findings:
        incidents.report("leak", "; ".join(findings))
    return {"passed": not findings, "findings": findings}


def _report_table(found: Inspection, rows: int) -> dict[str, Any]:
    reasons = found.quarantine["reason"].value_counts()
    return {
        "rows": rows,
        "rows_kept": len(found.candidate),
        "rows_quarantined": {str(key): int(count) for key, count in reasons.items()},
        "schema_hash": found.schema_hash,
        "null_rates": found.null_rates,
        "last_date": None if found.candidate.empty else f"{found.candidate['date'].max():%Y-%m-%d}",
        "checks": found.checks,
        "findings": [asdict(finding) for finding in found.findings],
    }
