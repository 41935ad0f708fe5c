"""Quality of a table of levels: what is wrong with which series, and which rows go on."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from tidemark.domain.alignment import drop_off_session, list_own_sessions
from tidemark.domain.rules import Rule
from tidemark.domain.series import MONTHS, SeriesDefinition, index_definitions
from tidemark.domain.series_checks import (
    LEVELS,
    check_age,
    check_names,
    check_series,
    check_shares,
    find_non_positive,
    find_row_faults,
)
from tidemark.domain.series_statistics import describe_levels, find_outliers
from tidemark.domain.sessions import list_sessions
from tidemark.domain.table_checks import Finding, Findings
from tidemark.errors import describe_examples

CHECKS = (
    "missing_series",
    "unknown_series",
    "dates_after_as_of",
    "contradictory_rows",
    "repeated_rows",
    "off_session_rows",
    "out_of_bounds",
    "quarantined_share",
    "non_positive_level",
    "coverage",
    "longest_gap",
    "stale_run",
    "outliers",
    "vintage",
    "old_data",
    "stale_data",
)
# A day has one level, whatever the table of checks says.
_ALWAYS_LEAVE = ("contradictory_rows", "repeated_rows")
USED_AS_KNOWN = "revised series used as if known"

_COLUMNS = {
    "series": "str",
    "kind": "str",
    "first": "datetime64[ns]",
    "last": "datetime64[ns]",
    "rows": "int64",
    "sessions": "int64",
    "observed": "int64",
    "coverage": "float64",
    "reference_coverage": "float64",
    "longest_gap": "int64",
    "gap_first": "datetime64[ns]",
    "gap_last": "datetime64[ns]",
    "filled": "int64",
    "off_session": "int64",
    "after_as_of": "int64",
    "repeated": "int64",
    "contradictory": "int64",
    "out_of_bounds": "int64",
    "non_positive": "int64",
    "stale_run": "int64",
    "stale_first": "datetime64[ns]",
    "stale_last": "datetime64[ns]",
    "changes": "int64",
    "outliers": "int64",
    "age_days": "float64",
    "vintage": "str",
}


@dataclass(frozen=True)
class Quality:
    """What `assess_series` has found.

    Attributes
    ----------
    table : DataFrame
        One row for each definition, in their order: `assess_series` names the columns.
    findings : list of Finding
        The checks whose measure exceeds its bound.
    checks : list of dict
        ``check, action, bound, measure, passed`` of every check.
    quarantine : DataFrame
        ``table, row, reason, record`` of the rows at fault, ``row`` counting from 0 in the
        levels as they came.
    dropped : DataFrame
        ``date, series, value, reason`` of the rows on days without session.
    kept : DataFrame
        ``date, series, value`` of all others: one row for each date and series, sorted.
    """

    table: pd.DataFrame
    findings: list[Finding]
    checks: list[dict[str, Any]]
    quarantine: pd.DataFrame
    dropped: pd.DataFrame
    kept: pd.DataFrame

    @property
    def refusals(self) -> list[Finding]:
        """The findings for which the data must be refused."""
        return [finding for finding in self.findings if finding.action == "refuse"]


def assess_series(
    levels: pd.DataFrame,
    definitions: Sequence[SeriesDefinition],
    reference_sessions: pd.DatetimeIndex,
    as_of: pd.Timestamp,
    rules: Mapping[str, Rule],
    needed: Collection[str] | None = None,
    has_vintages: bool = False,
) -> Quality:
    """Check a long table of levels, and separate the rows that may go on.

    Bad data raises nothing, and no level is changed: whoever calls decides by the findings.

    Parameters
    ----------
    levels : DataFrame
        Long table ``date, series, value`` as `tidemark.domain.series.read_levels` gives it.
    definitions : sequence of SeriesDefinition
        What each series is.
    reference_sessions : DatetimeIndex
        The sessions of the study.
    as_of : Timestamp
        The day the run pretends it is.
    rules : mapping of str to Rule
        One for each name in ``CHECKS``. What a measure counts: rows (``dates_after_as_of``,
        ``contradictory_rows``, ``repeated_rows``, ``out_of_bounds``, ``non_positive_level``);
        series (``missing_series``, ``unknown_series``, ``vintage``); sessions of the worst
        series (``longest_gap``, ``stale_run``); a share of the worst series
        (``off_session_rows`` of its rows, ``coverage`` of its sessions, those without a level,
        ``outliers`` of its changes) or of all rows (``quarantined_share``); days since the last
        level of the series that ends first (``old_data``, ``stale_data``).
    needed : collection of str, optional
        The series that the study cannot do without; all, if not given. Only these count for
        ``missing_series``, ``coverage``, ``old_data`` and ``stale_data``.
    has_vintages : bool
        Whether the levels are those that were known at the time.

    Returns
    -------
    Quality
        Its table has, for each series: ``series, kind, first, last``; ``rows`` as they came;
        ``sessions`` of its own calendar from first to last, how many are ``observed``, and
        their ``coverage``; ``reference_coverage``, the share of the reference sessions from
        first to last with a level of that day; ``longest_gap`` in own sessions, from
        ``gap_first`` to ``gap_last``; rows ``filled`` and ``off_session`` on days without
        session, ``after_as_of``, ``repeated``, ``contradictory`` and ``out_of_bounds``;
        ``non_positive`` levels of which a logarithm is to be taken; ``stale_run``, the longest
        run of observed sessions with one level, from ``stale_first`` to ``stale_last``;
        ``outliers`` among ``changes``, as `find_outliers` finds them; ``age_days`` of the last
        level; ``vintage``, empty if nothing is to be said. From ``non_positive`` on it
        describes the rows that are kept.

        Repeated and contradictory rows leave whatever their rule says, because a day has one
        level; of rows that repeat each other the first stays. So do rows of unknown series and
        of days without session. Rows outside the bounds or after the as-of date leave if their
        rule says ``quarantine``. A run of one level is no finding for kind ``rate``: policy
        rates stand still.

    Raises
    ------
    ValueError
        If ``rules`` lacks a check, ``needed`` names a series without definition, or a calendar
        does not reach back far enough.
    """
    by_name = index_definitions(definitions)
    wanted = list(by_name) if needed is None else sorted(needed)
    _require_known(rules, wanted, by_name)
    found = Findings(LEVELS, rules)
    raw = levels[["date", "series", "value"]].reset_index(drop=True)
    known = raw[raw["series"].isin(by_name)]
    check_names(found, raw, known, wanted)

    faults = find_row_faults(known, definitions, as_of)
    reasons = pd.Series("", index=known.index, dtype="object")
    for fault in faults:
        action = found.add(fault.check, int(fault.rows.sum()), fault.message)
        if action == "quarantine" or fault.check in _ALWAYS_LEAVE:
            reasons[fault.rows & (reasons == "")] = fault.check
    leaving = reasons != ""
    kept, dropped = drop_off_session(known[~leaving], definitions)

    facts, outliers = _describe_kept(kept, definitions, reference_sessions, as_of)
    bad = find_non_positive(kept, by_name)
    counted = {fault.column: known.loc[fault.rows, "series"] for fault in faults}
    counted |= {"rows": known["series"], "non_positive": kept.loc[bad, "series"]}
    for reason in ("filled", "off_session"):
        counted[reason] = dropped.loc[dropped["reason"] == reason, "series"]
    for column, names in counted.items():
        facts[column] = names.value_counts().reindex(facts.index)
    revised = {item.name for item in definitions if item.is_revised and not has_vintages}
    is_used = facts.index.isin(revised & set(kept["series"]))
    facts["vintage"] = [USED_AS_KNOWN if used else "" for used in is_used]
    table = _type_columns(facts, by_name)

    check_shares(found, leaving, kept, bad)
    check_series(found, table.set_index("series"), wanted, outliers)
    check_age(found, table.set_index("series").loc[wanted], as_of)
    return Quality(
        table=table,
        findings=found.findings,
        checks=found.checks,
        quarantine=_quarantine(raw, reasons[leaving]),
        dropped=dropped,
        kept=kept,
    )


def coverage_by_period(
    levels: pd.DataFrame,
    definitions: Sequence[SeriesDefinition],
    sessions: pd.DatetimeIndex,
    period: Literal["month", "year"],
) -> pd.DataFrame:
    """Compute the share of sessions with a level, for each series and period.

    Parameters
    ----------
    levels : DataFrame
        Long table ``date, series, value`` of kept rows.
    definitions : sequence of SeriesDefinition
        They give the rows and their order.
    sessions : DatetimeIndex
        The sessions of the study. A monthly series is compared with the month ends of their
        span, the last month's included.
    period : "month" or "year"
        The periods, written ``2019-01`` or ``2019``.

    Returns
    -------
    DataFrame
        Series by periods, between 0 and 1; 0 too before the first and after the last level.
    """
    if sessions.empty:
        raise ValueError("There is no session to be covered. Give the sessions of the study.")
    form = "%Y-%m" if period == "month" else "%Y"
    ends = list_sessions(MONTHS, sessions[0], sessions[-1] + pd.offsets.MonthEnd(0))
    shares = {}
    for name, definition in index_definitions(definitions).items():
        expected = ends if definition.calendar == MONTHS else sessions
        days = levels.loc[(levels["series"] == name) & levels["value"].notna(), "date"]
        covered = pd.Series(expected.isin(days), index=expected)
        shares[name] = covered.groupby(expected.strftime(form)).mean()
    table = pd.DataFrame(shares).T
    return table.rename_axis(index="series", columns=period)


def _require_known(
    rules: Mapping[str, Rule], wanted: Sequence[str], by_name: Mapping[str, SeriesDefinition]
) -> None:
    absent = [check for check in CHECKS if check not in rules]
    if absent:
        raise ValueError(
            f"The table of checks has no rule for {describe_examples(absent, len(CHECKS))}. "
            f"Add an action for each."
        )
    undefined = [name for name in wanted if name not in by_name]
    if undefined:
        raise ValueError(
            f"Series {describe_examples(undefined)} is needed and has no definition. Define it."
        )


def _describe_kept(
    kept: pd.DataFrame,
    definitions: Sequence[SeriesDefinition],
    reference_sessions: pd.DatetimeIndex,
    as_of: pd.Timestamp,
) -> tuple[pd.DataFrame, dict[str, pd.Series]]:
    """Describe each series that has rows; give its outlying changes too."""
    by_name = index_definitions(definitions)
    facts: dict[str, dict[str, Any]] = {name: {} for name in by_name}
    outliers = {}
    for name, own in list_own_sessions(kept, definitions).items():
        rows = kept[kept["series"] == name].drop_duplicates("date")
        levels = rows.set_index("date")["value"]
        fact = describe_levels(levels, own)
        lived = reference_sessions[
            (reference_sessions >= fact["first"]) & (reference_sessions <= fact["last"])
        ]
        outliers[name], changes = find_outliers(levels, own, by_name[name])
        facts[name] = fact | {
            "reference_coverage": lived.isin(levels.index).mean() if len(lived) else float("nan"),
            "changes": changes,
            "outliers": len(outliers[name]),
            "age_days": (as_of.normalize() - fact["last"]).days,
        }
    return pd.DataFrame.from_dict(facts, orient="index"), outliers


def _type_columns(facts: pd.DataFrame, by_name: Mapping[str, SeriesDefinition]) -> pd.DataFrame:
    """Bring the facts into the table's columns and types; what was not counted is 0."""
    facts = facts.assign(series=facts.index, kind=[by_name[name].kind for name in facts.index])
    table = facts.reindex(columns=list(_COLUMNS)).reset_index(drop=True)
    counts = [column for column, kind in _COLUMNS.items() if kind == "int64"]
    table[counts] = table[counts].astype("float64").fillna(0)
    return table.astype(_COLUMNS)


def _quarantine(raw: pd.DataFrame, reasons: pd.Series) -> pd.DataFrame:
    rows = raw.loc[reasons.index]
    records = [
        json.dumps({"date": f"{row.date:%Y-%m-%d}", "series": row.series, "value": str(row.value)})
        for row in rows.itertuples()
    ]
    return pd.DataFrame(
        {
            "table": [LEVELS.name] * len(rows),
            "row": [str(row) for row in rows.index],
            "reason": list(reasons),
            "record": records,
        }
    ).astype("str")
