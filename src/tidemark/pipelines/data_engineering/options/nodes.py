"""Node functions of the options study's data: from a chain to contracts, market and prices."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pandas as pd

from tidemark.domain.chain_checks import REASONS, CheckedChain
from tidemark.domain.chain_quality import ChainQuality, assess_days
from tidemark.domain.chains import measure_time_years
from tidemark.domain.fingerprint import hash_frames
from tidemark.domain.option_inputs import KEYS, name_contracts
from tidemark.errors import DataError
from tidemark.pipelines.data_engineering.acceptance import require_accepted
from tidemark.pipelines.data_engineering.options.params import ChainParams, PricingParams

if TYPE_CHECKING:
    from tidemark.datasets.chain_folder import CheckedFolder
else:
    CheckedFolder = Any

logger = logging.getLogger(__name__)

_CONTRACT_COLUMNS = (
    *("underlying", "root", "settlement", "exercise_style", "underlying_price", "expiration"),
    *("option_type", "strike"),
)
_MARKET_COLUMNS = ("bid", "ask", "volume", "open_interest")


def fetch(source_chain: Any, params: ChainParams, pricing: PricingParams) -> CheckedChain:
    """Read the source and check every quote, in chunks of whole days, while the result is stored.

    Parameters
    ----------
    source_chain : iterable of DataFrame, or DataFrame
        Canonical chains in the order of their dates.
    """
    chunks: Iterable[pd.DataFrame] = source_chain
    if isinstance(source_chain, pd.DataFrame):
        chunks = [source_chain]
    return CheckedChain(chunks, params.intake(pricing.rate_continuous), params.checks.leaving)


def validate(
    checked_chain: CheckedFolder, as_of: str, params: ChainParams
) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """Judge what the checks found, and report everything; `accept` is the node that refuses.

    Returns
    -------
    report : dict
        Ready for JSON.
    days : DataFrame
        The facts of every day, as `tidemark.domain.chain_quality.ChainQuality` has them.
    quarantine : DataFrame
        The quotes that left, each with its ``reason``.
    """
    days, quarantine = checked_chain.days, checked_chain.quarantine
    quality = assess_days(days, params.checks.rules(), pd.Timestamp(as_of), params.days())
    for finding in quality.findings:
        if finding.action != "refuse":  # `accept` says what is refused
            logger.warning("%s: %s", finding.action, finding.message)
    report = {
        "study": "options",
        "as_of": as_of,
        "accepted": not quality.refusals,
        "tables": {"chain": _report_chain(quality, days, quarantine)},
    }
    return report, quality.days, quarantine


def _report_chain(
    quality: ChainQuality, days: pd.DataFrame, quarantine: pd.DataFrame
) -> dict[str, Any]:
    counts = quarantine["reason"].value_counts()
    kinds = quarantine.groupby("reason")["option_type"].value_counts()
    return {
        "rows": int(days["contracts"].sum()),
        "rows_kept": int(days["contracts"].sum() - days["quarantined"].sum()),
        "rows_quarantined": {name: int(counts[name]) for name in REASONS if name in counts.index},
        "left_by_type": {
            name: {kind: int(kinds.get((name, kind), 0)) for kind in ("call", "put")}
            for name in REASONS
            if name in counts.index
        },
        "rows_with": {name: int(days[name].sum()) for name in REASONS},
        "missing_sessions": [f"{day:%Y-%m-%d}" for day in quality.missing],
        "whole_days": [
            f"{day:%Y-%m-%d}"
            for day in days.loc[days["quarantined"] == days["contracts"], "quote_date"]
        ],
        "last_date": f"{days['quote_date'].max():%Y-%m-%d}" if len(days) else None,
        "checks": quality.checks,
        "findings": [asdict(finding) for finding in quality.findings],
    }


def accept(
    report: dict[str, Any],
    quarantine: pd.DataFrame,
    checked_chain: CheckedFolder,
    market_check: dict[str, Any],
    dq_report: str,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any], dict[str, Any]]:
    """Pass the kept quotes on, or refuse them.

    Parameters
    ----------
    market_check : dict
        As from `tidemark.pipelines.data_engineering.options.quality.imply`; its ``notice`` goes on.
    dq_report : str
        Not read: it is written before anything is refused.

    Returns
    -------
    contracts : DataFrame
        What is known of each quote but its price: ``date, contract``, the terms, the underlying's
        price, ``time_years`` to settlement and ``zero_day``; sorted by date and contract.
    market : DataFrame
        ``date, contract, bid, ask, volume, open_interest`` of the same rows.
    profile : dict
        How much there is, and a ``notice`` if quotes are not those of a market; ready for JSON.
    fingerprint : dict
        A hash that stands for their content; ready for JSON.

    Raises
    ------
    DataRefused
        If any finding of the validation report asks for it.
    DataError
        If rows were lost, or the chain has several underlyings.
    """
    require_accepted(report, quarantine)
    table = report["tables"]["chain"]
    kept = checked_chain.kept().load_whole()
    if len(kept) != table["rows_kept"]:
        raise DataError(
            f"{table['rows_kept']} quotes were kept and {len(kept)} are stored. Run fetch again."
        )
    underlyings = sorted(kept["underlying"].unique())
    if len(underlyings) > 1:
        raise DataError(
            f"The chain has options on {', '.join(underlyings)}; the study takes one underlying. "
            f"Give a source with one of them."
        )
    rows = kept.rename(columns={"quote_date": "date"})
    rows = rows.assign(contract=name_contracts(rows), time_years=measure_time_years(kept))
    rows = rows.sort_values(list(KEYS), kind="stable", ignore_index=True)
    contracts = rows[[*KEYS, *_CONTRACT_COLUMNS, "time_years", "zero_day"]]
    market = rows[[*KEYS, *_MARKET_COLUMNS]]
    profile = {
        "names": int(rows["contract"].nunique()),
        "names_are": "contracts",
        "underlying": underlyings[0],
        "rows": len(rows),
        "sessions": int(rows["date"].nunique()),
        "first": f"{rows['date'].min():%Y-%m-%d}",
        "last": f"{rows['date'].max():%Y-%m-%d}",
        "notice": market_check["notice"],
    }
    return contracts, market, profile, {"data_hash": hash_frames(contracts, market)}
