"""Quality of a chain: what the checks of its quotes and days amount to, by a table of rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tidemark.domain.chain_checks import REASONS
from tidemark.domain.layouts import Layout
from tidemark.domain.rules import Rule
from tidemark.domain.sessions import list_sessions
from tidemark.domain.table_checks import Finding, Findings
from tidemark.errors import describe_examples

CHAIN = Layout(
    name="chain",
    required={"quote_date": "date", "strike": "number"},
    optional={},
    key=("quote_date", "root"),
    level="bid",
)
DAY_CHECKS = (
    "no_quotes",
    "missing_sessions",
    "contract_jumps",
    "repeated_trades",
    "spot_gap",
    "quarantined_share",
    "quarantined_days",
    "vendor_iv_negative",
    "vendor_iv_blank",
    "dates_after_as_of",
    "old_data",
)
CHECKS = (*REASONS, *DAY_CHECKS)

# What the faults of rows are called in a sentence, and what to do about them.
_SENTENCES = {
    "off_session_day": "quotes are of days without a session. Look at the source's calendar",
    "stale_day": "quotes are of days that repeat the day before. Fetch those days again",
    "bad_contract": "quotes have no expiration, root, strike or price of the underlying",
    "identical_rows": "quotes repeat another row in every column",
    "contradictory_rows": "quotes differ from another of the same date, root, expiration, type and "
    "strike. Give a root that settles in two ways a name for each",
    "expired": "quotes are of contracts that were settled before",
    "blank_quote": "quotes have no bid or no ask",
    "no_ask": "quotes have an ask of zero or less",
    "crossed": "quotes have a bid above their ask",
    "no_bid": "quotes have a bid of zero or less",
    "zero_day": "quotes are of contracts that are settled at the close of that day",
    "below_lower_bound": "asks are below what the option is worth at least",
    "above_upper_bound": "bids are above what the option can be worth at most",
    "parity": "quotes of a call and a put contradict the others of their expiration",
}


def explain_reason(reason: str) -> str:
    """Say what is wrong with quotes that have a fault of ``REASONS``.

    Examples
    --------
    >>> explain_reason("crossed")
    'quotes have a bid above their ask'
    """
    return _SENTENCES[reason].partition(". ")[0]


@dataclass(frozen=True)
class DaySettings:
    """What the checks of days assume.

    Attributes
    ----------
    calendar : str
        As in `tidemark.domain.chain_checks.IntakeSettings`.
    neighbours : int
        How many sessions before and after a day its number of contracts is compared with.
    contract_change : float
        By which share of their median the number may differ.
    repeated_trades : float
        The share of contracts with the last price and volume of the day before from which on a
        day looks like a copy.
    spot_gap : float
        How far the price of the underlying may be from what calls and puts imply, as a share.
    quarantined_share : float
        The share of a day's quotes that may leave.
    """

    calendar: str = "XNYS"
    neighbours: int = 3
    contract_change: float = 0.25
    repeated_trades: float = 0.9
    spot_gap: float = 0.003
    quarantined_share: float = 0.2


@dataclass(frozen=True)
class ChainQuality:
    """What `assess_days` has found.

    Attributes
    ----------
    days : DataFrame
        The facts of each day, with ``neighbours`` (median number of contracts of the sessions
        around it), ``contract_change`` (relative to it; NaN without neighbours) and
        ``quarantined_share``.
    missing : DatetimeIndex
        The sessions from the first to the last day without a quote.
    findings : list of Finding
        The checks whose measure exceeds its bound.
    checks : list of dict
        ``check, action, bound, measure, passed`` of every check.
    """

    days: pd.DataFrame
    missing: pd.DatetimeIndex
    findings: list[Finding]
    checks: list[dict[str, Any]]

    @property
    def refusals(self) -> list[Finding]:
        """The findings for which the data must be refused."""
        return [finding for finding in self.findings if finding.action == "refuse"]


def assess_days(
    days: pd.DataFrame,
    rules: Mapping[str, Rule],
    as_of: pd.Timestamp,
    settings: DaySettings | None = None,
) -> ChainQuality:
    """Judge a chain by the facts of its days.

    Parameters
    ----------
    days : DataFrame
        As `tidemark.domain.chain_checks.check_chunk` gives it, of all chunks, in order.
    rules : mapping of str to Rule
        One for each of ``CHECKS``. What a measure counts: rows (``REASONS``,
        ``vendor_iv_negative``, ``vendor_iv_blank``); days (``no_quotes`` is 1 if there is none,
        ``missing_sessions``, ``contract_jumps``, ``repeated_trades``, ``spot_gap``,
        ``quarantined_days``, ``dates_after_as_of``); a share of all rows
        (``quarantined_share``); days since the last one (``old_data``).
    as_of : Timestamp
        The day the run pretends it is.
    settings : DaySettings, optional
        The defaults, if not given.

    Returns
    -------
    ChainQuality
        Bad data raises nothing: whoever calls decides by the findings.

    Raises
    ------
    ValueError
        If a rule is missing.
    """
    absent = [check for check in CHECKS if check not in rules]
    if absent:
        raise ValueError(
            f"The table of checks has no rule for {describe_examples(absent, len(CHECKS))}. "
            "Add an action for each."
        )
    settings = settings or DaySettings()
    found = Findings(CHAIN, rules)
    found.add("no_quotes", float(days.empty), "there is no quote. Give a file with quotes")
    if days.empty:
        return ChainQuality(days, pd.DatetimeIndex([]), found.findings, found.checks)
    table = _compare_with_neighbours(days, settings)
    for reason in REASONS:
        rows = table[reason]
        where = _name_days(table.loc[rows > 0, "quote_date"])
        found.add(reason, int(rows.sum()), f"{int(rows.sum())} {_SENTENCES[reason]}: {where}")
    missing = _check_sessions(found, table, settings)
    _check_days(found, table, settings)
    _check_vendor(found, table)
    _check_age(found, table, as_of)
    return ChainQuality(table, missing, found.findings, found.checks)


def _compare_with_neighbours(days: pd.DataFrame, settings: DaySettings) -> pd.DataFrame:
    """Compare each day's number of contracts with the median of the sessions around it."""
    counts = days["contracts"].where(days["is_session"]).to_numpy(dtype="float64")
    reach = settings.neighbours
    padded = np.pad(counts, reach, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    around = pd.DataFrame(np.delete(windows, reach, axis=1)).median(axis=1).to_numpy()
    return days.assign(
        neighbours=around,
        contract_change=days["contracts"].to_numpy() / around - 1.0,
        quarantined_share=days["quarantined"] / days["contracts"],
    )


def _check_sessions(found: Findings, days: pd.DataFrame, settings: DaySettings) -> pd.DatetimeIndex:
    dates = pd.DatetimeIndex(days["quote_date"])
    expected = list_sessions(settings.calendar, dates[0], dates[-1])
    missing = expected[~expected.isin(dates)]
    found.add(
        "missing_sessions",
        len(missing),
        f"{len(missing)} of {len(expected)} sessions from {dates[0]:%Y-%m-%d} to "
        f"{dates[-1]:%Y-%m-%d} have no quote: {_name_days(missing)}. Fetch them",
    )
    return missing


def _check_days(found: Findings, days: pd.DataFrame, settings: DaySettings) -> None:
    change, gap = days["contract_change"].abs(), days["spot_gap"].abs()
    bad = {
        "contract_jumps": (
            change > settings.contract_change,
            f"days have more than {settings.contract_change:.0%} more or fewer contracts than "
            "those around them",
        ),
        "repeated_trades": (
            days["same_trades"] >= settings.repeated_trades,
            f"days have the last prices and volumes of the day before in "
            f"{settings.repeated_trades:.0%} of their contracts or more, as copies have",
        ),
        "spot_gap": (
            gap > settings.spot_gap,
            f"days have a price of the underlying that is more than {settings.spot_gap:.2%} from "
            "what calls and puts imply: it is of another moment than the quotes",
        ),
        "quarantined_days": (
            days["is_session"] & (days["quarantined_share"] > settings.quarantined_share),
            f"sessions lose more than {settings.quarantined_share:.0%} of their quotes",
        ),
    }
    for check, (rows, sentence) in bad.items():
        where = _name_days(days.loc[rows, "quote_date"])
        found.add(check, int(rows.sum()), f"{int(rows.sum())} {sentence}: {where}")
    left, total = int(days["quarantined"].sum()), int(days["contracts"].sum())
    found.add(
        "quarantined_share",
        left / total,
        f"{left} of {total} quotes ({left / total:.1%}) would be quarantined, more than "
        f"{found.rules['quarantined_share'].bound:.1%} allowed. Look at the source",
    )


def _check_vendor(found: Findings, days: pd.DataFrame) -> None:
    for fault in ("negative", "blank"):
        calls, puts = (int(days[f"vendor_iv_{fault}_{kind}"].sum()) for kind in ("calls", "puts"))
        found.add(
            f"vendor_iv_{fault}",
            calls + puts,
            f"{calls} volatilities of calls and {puts} of puts that the vendor states are {fault}. "
            "They are kept apart and not used",
        )


def _check_age(found: Findings, days: pd.DataFrame, as_of: pd.Timestamp) -> None:
    dates = days["quote_date"]
    late = dates[dates > as_of]
    found.add(
        "dates_after_as_of",
        len(late),
        f"{len(late)} days are after the as-of date {as_of:%Y-%m-%d}: {_name_days(late)}. Remove "
        f"them, or move it with --params as_of={dates.iloc[-1]:%Y-%m-%d}",
    )
    age = (as_of.normalize() - dates.iloc[-1]).days
    found.add(
        "old_data",
        age,
        f"the last day, {dates.iloc[-1]:%Y-%m-%d}, is {age} days before the as-of date; "
        f"{found.rules['old_data'].bound:.0f} are allowed. Fetch newer quotes",
    )


def _name_days(days: pd.Series | pd.DatetimeIndex) -> str:
    return describe_examples(f"{day:%Y-%m-%d}" for day in days)
