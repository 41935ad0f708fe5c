"""Node functions of the returns study: from files to treated returns."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any

import pandas as pd

from tidemark.domain.imputation import impute_returns, missing_rate
from tidemark.domain.inspection import PRICES, SERIES, Inspection, inspect_table
from tidemark.domain.labels import label_next_return
from tidemark.domain.outliers import clip_at, trailing_iqr_fences, trailing_quantiles
from tidemark.domain.panel import (
    align_returns,
    live_returns,
    pivot_long,
    price_levels,
    stack_wide,
)
from tidemark.domain.profile import profile_levels
from tidemark.errors import DataError, DataRefused
from tidemark.pipelines.data_engineering.returns.params import (
    LabelParams,
    PreprocessParams,
    ValidationParams,
)

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
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Pass the candidates on, or refuse them.

    Raises
    ------
    DataRefused
        If any finding of the validation report asks for it.
    DataError
        If the stored quarantine does not hold the rows that left: nothing is lost.
    """
    left = sum(sum(table["rows_quarantined"].values()) for table in report["tables"].values())
    if left != len(quarantine):
        raise DataError(
            f"{left} rows left the flow and {len(quarantine)} are in quarantine. "
            f"Run validate again."
        )
    if not report["accepted"]:
        reasons = [
            finding["message"]
            for table in report["tables"].values()
            for finding in table["findings"]
            if finding["action"] != "warn"
        ]
        raise DataRefused.from_findings(
            report["study"], reasons, f"{report['study']}_data.validation_report"
        )
    exogenous = candidate_exogenous.astype(
        {"date": "datetime64[ns]", "series": "str", "value": "float64"}
    )
    return candidate_prices, exogenous


def label(prices: pd.DataFrame, exogenous: pd.DataFrame, params: LabelParams) -> pd.DataFrame:
    """Publish next-day returns and the rows that count, the same for every scenario."""
    levels = price_levels(prices)
    others = pivot_long(exogenous, "series", "value").reindex(levels.index)
    return label_next_return(levels, others, params.warm_up_days)


def preprocess(
    prices: pd.DataFrame, exogenous: pd.DataFrame, params: PreprocessParams
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Treat returns as the scenario says: fill what is missing, hold back what stands out.

    Returns
    -------
    processed : DataFrame
        ``date, ticker, ret, was_missing, was_moved``: a finite return in every live cell.
    processed_exogenous : DataFrame
        ``date, series, ret, was_missing, was_moved`` on the sessions of the prices.
    report : dict
        Flat: missing rates before and after, cells filled and moved, of the returns and, with
        the prefix ``exogenous_``, of the other series.
    """
    levels = price_levels(prices)
    others = pivot_long(exogenous, "series", "value")
    sessions = pd.DatetimeIndex(levels.index)
    processed, own = _treat(levels, sessions, "ticker", params)
    processed_exogenous, other = _treat(others, sessions, "series", params)
    report = {**own, **{f"exogenous_{key}": value for key, value in other.items()}}
    return processed, processed_exogenous, report


def _treat(
    levels: pd.DataFrame, sessions: pd.DatetimeIndex, name: str, params: PreprocessParams
) -> tuple[pd.DataFrame, dict[str, Any]]:
    returns, live = align_returns(levels, sessions), live_returns(levels, sessions)
    bounded = returns
    if params.outliers == "clip":
        fences = trailing_iqr_fences(
            returns, params.outlier_window_days, params.iqr_multiple, params.outlier_min_days
        )
        bounded = clip_at(returns, *fences)
    elif params.outliers == "winsorise":
        limits = trailing_quantiles(
            returns, params.outlier_window_days, params.tail, params.outlier_min_days
        )
        bounded = clip_at(returns, *limits)
    filled = impute_returns(bounded, live, params.impute, params.impute_window_days)
    was_missing = live & returns.isna()
    was_moved = returns.notna() & (bounded != returns)
    table = stack_wide(
        {"ret": filled, "was_missing": was_missing, "was_moved": was_moved}, name, live
    )
    report = {
        "cells": int(live.to_numpy().sum()),
        "missing_rate_before": missing_rate(returns, live),
        "missing_rate_after": missing_rate(filled, live),
        "cells_filled": int(was_missing.to_numpy().sum()),
        "cells_moved": int(was_moved.to_numpy().sum()),
    }
    return table, report


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
