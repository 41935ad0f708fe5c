"""Node functions of the cross-asset study's data: from sources to levels and aligned returns."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any

import pandas as pd

from tidemark.domain.correlation_labels import forecast_correlations, label_correlations
from tidemark.domain.fingerprint import hash_frames
from tidemark.domain.series import normalise_name, read_levels
from tidemark.domain.series_quality import assess_series, coverage_by_period
from tidemark.domain.sessions import list_sessions
from tidemark.domain.table_checks import Finding
from tidemark.errors import DataError, describe_examples
from tidemark.pipelines.data_engineering.acceptance import require_accepted
from tidemark.pipelines.data_engineering.cross_asset.params import (
    AlignmentParams,
    CorrelationParams,
    PairParams,
    QualityParams,
    SeriesTable,
)
from tidemark.pipelines.data_engineering.cross_asset.treatment import align_returns

logger = logging.getLogger(__name__)


def fetch(source: pd.DataFrame, as_of: str) -> pd.DataFrame:
    """Read the levels of one source, and leave out what is dated after the as-of date.

    Parameters
    ----------
    source : DataFrame
        Long, a panel of prices, or wide; see `read_levels`.
    as_of : str
        The day the run pretends it is, ``YYYY-MM-DD``.

    Returns
    -------
    DataFrame
        ``date, series, value``, and ``vintage`` where the source says when its levels were
        known: a date, or missing for "now".

    Raises
    ------
    DataError
        If the table has no shape that can be read, or nothing up to the as-of date.
    """
    try:
        levels = read_levels(source)
    except ValueError as error:
        raise DataError(str(error)) from error
    if {"series", "vintage"} <= set(source):
        names = source["series"].map(normalise_name)
        vintages = source["vintage"].groupby(names).agg(_common_vintage)
        levels["vintage"] = levels["series"].map(vintages)
    known = levels[levels["date"] <= pd.Timestamp(as_of)].reset_index(drop=True)
    if known.empty and len(levels):
        first = levels["date"].min()
        raise DataError(
            f"All {len(levels)} levels are dated after the as-of date {as_of}, from "
            f"{first:%Y-%m-%d} on. Move it with --params as_of={first:%Y-%m-%d}, or later."
        )
    logger.info(
        "fetched %d levels of %d series; %d after %s were left out",
        len(known),
        known["series"].nunique(),
        len(levels) - len(known),
        as_of,
    )
    return known


def _common_vintage(vintages: pd.Series) -> object:
    """Say when a series' levels were known: the latest vintage, none if any row has none."""
    return vintages.max() if vintages.notna().all() else None


def validate(
    as_of: str,
    series: SeriesTable,
    params: QualityParams,
    alignment: AlignmentParams,
    *parts: Any,
) -> tuple[dict[str, Any], dict[str, Any], pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Check all levels together and report everything found; `accept` is the node that refuses.

    Parameters
    ----------
    parts : DataFrame, PairParams or CorrelationParams
        The levels of every source, and what needs which series.

    Returns
    -------
    report, profile : dict
        Ready for JSON.
    quality : DataFrame
        One row for each series.
    coverage : DataFrame
        Share of each series' own sessions with a level, by year.
    quarantine : DataFrame
        ``table, row, reason, record``.
    candidate : DataFrame
        ``date, series, value`` of what is left.
    """
    tables = [one for one in parts if isinstance(one, pd.DataFrame)]
    raw = pd.concat(tables, ignore_index=True)
    needed = sorted({name for one in parts for name in _list_needed(one)})
    definitions = [
        one for one in series.definitions() if one.name in needed or one.name in set(raw["series"])
    ]
    day, rules = pd.Timestamp(as_of), params.rules()
    revised = raw[raw["series"].isin([one.name for one in definitions if one.is_revised])]
    has_vintages = "vintage" in raw and bool(revised["vintage"].notna().all())
    sessions = (
        list_sessions(alignment.calendar, raw["date"].min(), raw["date"].max())
        if len(raw)
        else pd.DatetimeIndex([])
    )
    found = assess_series(raw, definitions, sessions, day, rules, needed, has_vintages)
    found.findings.extend(_find_shared_series(tables))
    for finding in found.findings:
        if finding.action != "refuse":
            logger.warning("%s: %s", finding.action, finding.message)
    reasons = found.quarantine["reason"].value_counts()
    report = {
        "study": "cross_asset",
        "as_of": as_of,
        "accepted": not found.refusals,
        "tables": {
            "series": {
                "rows": len(raw),
                "rows_kept": len(found.kept),
                "rows_dropped": len(found.dropped),
                "rows_undefined": int((~raw["series"].isin(found.table["series"])).sum()),
                "rows_quarantined": {str(key): int(count) for key, count in reasons.items()},
                "last_date": None if raw.empty else f"{raw['date'].max():%Y-%m-%d}",
                "checks": found.checks,
                "findings": [asdict(finding) for finding in found.findings],
            }
        },
    }
    coverage = (
        coverage_by_period(found.kept, definitions, sessions, "year").reset_index()
        if len(sessions)
        else pd.DataFrame({"series": []})
    )
    profile = _profile(found.table, found.kept)
    return report, profile, found.table, coverage, found.quarantine, found.kept


def _find_shared_series(tables: list[pd.DataFrame]) -> list[Finding]:
    """Refuse series that two sources give: nobody has said which of them counts."""
    owners = pd.Series([name for table in tables for name in table["series"].unique()])
    shared = sorted(owners[owners.duplicated()].unique())
    if not shared:
        return []
    message = (
        f"levels: {len(shared)} series come from more than one source: "
        f"{describe_examples(shared)}. Take them out of all but one (series_of_two_sources)."
    )
    return [Finding("series_of_two_sources", "refuse", float(len(shared)), 0.0, message)]


def _list_needed(part: Any) -> list[str]:
    if isinstance(part, PairParams):
        return [part.left, part.right]
    if isinstance(part, CorrelationParams):
        return [name for pair in part.pairs for name in pair]
    return []


def _profile(quality: pd.DataFrame, kept: pd.DataFrame) -> dict[str, Any]:
    """Describe all series together, in the words of every study's reports."""
    if kept.empty:
        return {}
    missing = int((quality["sessions"] - quality["observed"]).clip(lower=0).sum())
    first, last = kept["date"].min(), kept["date"].max()
    return {
        "names": int(kept["series"].nunique()),
        "sessions": int(kept["date"].nunique()),
        "rows": len(kept),
        "first": f"{first:%Y-%m-%d}",
        "last": f"{last:%Y-%m-%d}",
        "started_late": [],
        "ended_early": [],
        "missing_cells": missing,
        "missing_share": missing / max(int(quality["sessions"].sum()), 1),
        "blank_cells": {},
    }


def accept(
    report: dict[str, Any], quarantine: pd.DataFrame, candidate: pd.DataFrame, _: str
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Pass the candidate on, or refuse it; the last input is the report of it, written before.

    Returns
    -------
    levels : DataFrame
        What has been accepted.
    fingerprint : dict
        A hash that stands for its content, however it is stored; ready for JSON.

    Raises
    ------
    DataRefused
        If any finding of the validation report asks for it.
    """
    require_accepted(report, quarantine)
    return candidate, {"data_hash": hash_frames(candidate)}


def align(levels: pd.DataFrame, series: SeriesTable, params: AlignmentParams) -> pd.DataFrame:
    """Bring every daily series to the reference calendar and compute its returns.

    Returns
    -------
    DataFrame
        ``date`` and one column of returns for each daily series that is defined; NaN where one
        would be made up, and throughout for a series that no source has.
    """
    daily = [name for name, one in series.root.items() if one.frequency == "daily"]
    aligned, _ = align_returns(levels, series, params, params.calendar, daily)
    return aligned.reset_index()


def label(returns: pd.DataFrame, params: CorrelationParams) -> pd.DataFrame:
    """Publish what is forecast and the rows that count, the same for every scenario."""
    return label_correlations(
        returns.set_index("date"),
        params.pairs,
        params.horizon_days,
        params.warm_up_days,
        params.min_share,
    )


def forecast(returns: pd.DataFrame, params: CorrelationParams) -> pd.DataFrame:
    """Publish the forecasts of the baselines: today's correlation, and the mean of all known.

    The latter also stands as ``trailing_mean``, which out-of-sample R2 is measured against.
    """
    forecasts = forecast_correlations(
        returns.set_index("date"),
        params.pairs,
        params.horizon_days,
        params.today_window,
        params.min_share,
    )
    return forecasts.assign(trailing_mean=forecasts["long_mean"])
