"""Checks of a long table of levels: which rows are faulty, and which series."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pandas as pd

from tidemark.domain.alignment import move_to_month_ends
from tidemark.domain.layouts import SERIES
from tidemark.domain.row_checks import name_rows
from tidemark.domain.series import SeriesDefinition
from tidemark.domain.series_statistics import ROBUST_DEVIATIONS
from tidemark.domain.table_checks import Findings
from tidemark.errors import describe_examples

LEVELS = replace(SERIES, name="levels")


class RowFault(NamedTuple):
    """The rows that one check finds faulty, and the column that counts them for each series."""

    check: str
    column: str
    rows: pd.Series
    message: str


def find_row_faults(
    known: pd.DataFrame, definitions: Sequence[SeriesDefinition], as_of: pd.Timestamp
) -> list[RowFault]:
    """Find rows at fault, check by check, in the order in which a row is given its reason.

    Parameters
    ----------
    known : DataFrame
        Long table ``date, series, value`` of defined series.
    definitions : sequence of SeriesDefinition
        A monthly series has its level at the end of the month: two rows of one month are two
        levels of one session, and a month that is not over is dated after the as-of date.
    as_of : Timestamp
        The last date that can have been known.
    """
    moved = move_to_month_ends(known, definitions)
    late = moved["date"] > as_of
    repeated = moved.duplicated(keep="first")
    clash = moved[~repeated].duplicated(["date", "series"], keep=False)
    clash = clash.reindex(known.index, fill_value=False)
    low = known["series"].map({item.name: item.low for item in definitions}).astype("float64")
    high = known["series"].map({item.name: item.high for item in definitions}).astype("float64")
    outside = (known["value"] < low) | (known["value"] > high)
    return [
        RowFault(
            "dates_after_as_of",
            "after_as_of",
            late,
            f"{int(late.sum())} rows are dated after the as-of date {as_of:%Y-%m-%d}: "
            f"{name_rows(moved, late, LEVELS)}. Remove them, or move the as-of date",
        ),
        RowFault(
            "contradictory_rows",
            "contradictory",
            clash,
            f"{int(clash.sum())} rows give different levels for one date and series: "
            f"{name_rows(moved, clash, LEVELS, 'value')}. All of them leave; keep one of each at "
            f"the source",
        ),
        RowFault(
            "repeated_rows",
            "repeated",
            repeated,
            f"{int(repeated.sum())} rows repeat another row: "
            f"{name_rows(moved, repeated, LEVELS)}. One of each stays; remove the others at the "
            f"source",
        ),
        RowFault(
            "out_of_bounds",
            "out_of_bounds",
            outside,
            f"{int(outside.sum())} levels lie outside the bounds of their series: "
            f"{name_rows(known, outside, LEVELS, 'value')}. Correct them at the source, or widen "
            f"low and high of the definition",
        ),
    ]


def find_non_positive(kept: pd.DataFrame, by_name: Mapping[str, SeriesDefinition]) -> pd.Series:
    """Mark the levels of zero or less of which a logarithm is to be taken."""
    logged = [name for name, item in by_name.items() if item.treatment == "log_return"]
    marks: pd.Series = (kept["value"] <= 0) & kept["series"].isin(logged)
    return marks


def check_names(
    found: Findings, raw: pd.DataFrame, known: pd.DataFrame, wanted: Sequence[str]
) -> None:
    """Look for series that are needed and absent, and for series that nobody has defined."""
    present = set(known["series"])
    missing = [name for name in wanted if name not in present]
    found.add(
        "missing_series",
        len(missing),
        f"{len(missing)} series that are needed have no rows: {describe_examples(missing)}; the "
        f"data has {describe_examples(sorted(set(raw['series'])), 12) or 'none'}. Fetch or rename "
        f"them, or need them no longer",
    )
    unknown = sorted(set(raw["series"]) - present)
    found.add(
        "unknown_series",
        len(unknown),
        f"{len(unknown)} series have no definition and were left out: "
        f"{describe_examples(unknown)}. Define them, or remove them from the data",
    )


def check_shares(found: Findings, leaving: pd.Series, kept: pd.DataFrame, bad: pd.Series) -> None:
    """Judge how many rows leave, and name levels without logarithm.

    Parameters
    ----------
    found : Findings
        Where what is found goes.
    leaving : Series of bool
        The rows of defined series that go to quarantine.
    kept : DataFrame
        The rows that stay.
    bad : Series of bool
        As `find_non_positive` marks ``kept``.
    """
    share = float(leaving.mean()) if len(leaving) else 0.0
    found.add(
        "quarantined_share",
        share,
        f"{int(leaving.sum())} of {len(leaving)} rows ({share:.1%}) are quarantined, more than "
        f"{found.rules['quarantined_share'].bound:.1%} allowed. Look at the source",
    )
    found.add(
        "non_positive_level",
        int(bad.sum()),
        f"{int(bad.sum())} levels are zero or less and have no logarithm: "
        f"{name_rows(kept, bad, LEVELS, 'value')}. They stay, and the returns into and out of "
        f"them are missing; give the series the treatment difference if they are true",
    )


def check_series(
    found: Findings, table: pd.DataFrame, wanted: Sequence[str], outliers: Mapping[str, pd.Series]
) -> None:
    """Apply the checks that judge each series, and whose measure is that of the worst.

    Parameters
    ----------
    found : Findings
        Where what is found goes.
    table : DataFrame
        What is known of each series, by name: the columns of `assess_series`.
    wanted : sequence of str
        The series that the study needs.
    outliers : mapping of str to Series
        Each series' outlying changes, by date.
    """
    judge = _Judge(found, table)
    judge.add(
        "off_session_rows",
        (table["filled"] + table["off_session"]) / table["rows"].clip(lower=1),
        "have rows on days without session of their calendar, which were left out",
        lambda row: f"{row.filled} carried over and {row.off_session} other of {row.rows}",
        "Take them out at the source, or correct the calendar of the definition",
    )
    judge.add(
        "coverage",
        1.0 - table["coverage"].reindex(list(wanted)),
        "lack too many of their own sessions between their first and last level",
        lambda row: f"{row.sessions - row.observed} of {row.sessions} ({1 - row.coverage:.1%})",
        "Look at the source, or at the calendar of the definition",
    )
    judge.add(
        "longest_gap",
        table["longest_gap"],
        "have a long gap",
        lambda row: f"{row.longest_gap} sessions from {_span(row.gap_first, row.gap_last)}",
        "Fetch what is missing, or begin the study later",
    )
    judge.add(
        "stale_run",
        table.loc[table["kind"] != "rate", "stale_run"],
        "stand still for long",
        lambda row: f"{row.stale_run} sessions from {_span(row.stale_first, row.stale_last)}",
        "Compare with another source: the level may have been carried forward",
    )
    judge.add(
        "outliers",
        table["outliers"] / table["changes"].clip(lower=1),
        f"have many changes further than {ROBUST_DEVIATIONS:.0f} robust deviations from their "
        f"median",
        lambda row: f"{row.outliers} of {row.changes}, {_name_largest(outliers[row.Index])}",
        "Compare with another source; they stay as they are",
    )
    judge.add_count(
        "vintage",
        table["vintage"] != "",
        "are revised after they are published, and used as if their present levels had been "
        "known at the time",
        "Fetch vintages, or say so with every result",
    )


def check_age(found: Findings, table: pd.DataFrame, as_of: pd.Timestamp) -> None:
    """Judge how old the last level is of the series that ends first.

    Parameters
    ----------
    found, table
        As in `check_series`; the rows of ``table`` are the series that the study needs.
    as_of : Timestamp
        The day that age is counted to.
    """
    ages = table["age_days"].dropna()
    if ages.empty:
        ages = pd.Series({"none": 0.0})
    place = int(ages.argmax())
    name, age = ages.index[place], float(ages.iloc[place])
    last = f"{as_of - pd.Timedelta(days=age):%Y-%m-%d}"
    for check in ("old_data", "stale_data"):
        found.add(
            check,
            age,
            f"the last level of {name}, of {last}, is {age:.0f} days before the as-of date "
            f"{as_of:%Y-%m-%d}; {found.rules[check].bound:.0f} are allowed. Fetch newer data, or "
            f"move the as-of date with --params as_of={last}",
        )


class _Judge:
    """Add findings about the series that exceed a bound, the worst first."""

    def __init__(self, found: Findings, table: pd.DataFrame) -> None:
        self.found = found
        self.rows: dict[str, Any] = {str(row.Index): row for row in table.itertuples()}

    def add(
        self,
        check: str,
        measures: pd.Series,
        fault: str,
        describe: Callable[[Any], str],
        remedy: str,
    ) -> None:
        measures = measures.dropna().astype("float64")
        bound = self.found.rules[check].bound
        over = measures[measures > bound].sort_values(ascending=False, kind="stable")
        shown = [f"{name} ({describe(self.rows[name])})" for name in over.index]
        self.found.add(
            check,
            float(measures.max()) if len(measures) else 0.0,
            f"{len(over)} series {fault}: {describe_examples(shown)}; a bound of {bound:g} is "
            f"set. {remedy}",
        )

    def add_count(self, check: str, marks: pd.Series, fault: str, remedy: str) -> None:
        names = list(marks.index[marks])
        self.found.add(
            check,
            len(names),
            f"{len(names)} series {fault}: {describe_examples(names)}. {remedy}",
        )


def _span(first: pd.Timestamp, last: pd.Timestamp) -> str:
    return f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"


def _name_largest(changes: pd.Series) -> str:
    place = int(changes.abs().argmax())
    return f"the largest {changes.iloc[place]:.3g} on {changes.index[place]:%Y-%m-%d}"
