"""Inspection of raw tables: what is wrong, which rows leave, what may go on.

`inspect_table` never raises for bad data and never changes its input. It returns every finding
with the action that the study's table of checks names for it; whoever calls it decides.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from tidemark.domain.layouts import PRICES, SERIES, Layout
from tidemark.domain.row_checks import check_rows
from tidemark.domain.rules import Rule
from tidemark.domain.table_checks import Finding, Findings, check_table
from tidemark.errors import describe_examples

__all__ = ["PRICES", "SERIES", "Finding", "Inspection", "Layout", "Rule", "inspect_table"]

# What fits into nanoseconds, and is no placeholder for "never".
_KNOWN_DATES = ("1700-01-01", "2200-01-01")


@dataclass
class Inspection:
    """Everything that `inspect_table` has found."""

    candidate: pd.DataFrame
    quarantine: pd.DataFrame
    schema_hash: str
    null_rates: dict[str, float]
    findings: list[Finding] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)

    @property
    def refusals(self) -> list[Finding]:
        """The findings for which the data must be refused."""
        return [finding for finding in self.findings if finding.action == "refuse"]


def hash_schema(types: Mapping[str, str]) -> str:
    """Hash the names and logical types of columns, whatever their order.

    Examples
    --------
    >>> hash_schema({"a": "date", "b": "text"}) == hash_schema({"b": "text", "a": "date"})
    True
    """
    return hashlib.sha256(json.dumps(sorted(types.items())).encode()).hexdigest()[:16]


def inspect_table(
    raw: pd.DataFrame,
    layout: Layout,
    rules: Mapping[str, Rule],
    as_of: pd.Timestamp,
    accepted_schema: str,
) -> Inspection:
    """Check a raw table against its layout and a table of rules.

    Parameters
    ----------
    raw : DataFrame
        As it was fetched; any columns, any types.
    layout : Layout
        What the table should look like.
    rules : mapping of str to Rule
        One rule for each check, by the names that the findings bear.
    as_of : Timestamp
        The day the run pretends it is: later dates cannot have been known.
    accepted_schema : str
        The schema hash that configuration accepts. The observed hash covers the required
        columns and those optional ones whose type is not the layout's; an optional column that
        is absent, or is as it should be, leaves it unchanged.

    Returns
    -------
    Inspection
        ``candidate`` holds the layout's columns, dates at midnight without time zone, names in
        capitals without surrounding blanks, numbers as float64, sorted by key; NaN is a
        missing value. ``quarantine`` holds ``table, row, reason, record`` of the rows that
        left, ``row`` counting from 0 in the raw table.
    """
    raw = raw.reset_index(drop=True)
    missing = [column for column in layout.required if column not in raw]
    unknown = [str(column) for column in raw if column not in layout.columns]
    found = Findings(layout, rules)
    twice = [column for column in layout.columns if list(raw.columns).count(column) > 1]
    found.add(
        "required_columns",
        len(missing),
        f"column {describe_examples(missing)} is missing; found "
        f"{describe_examples(raw.columns, 12)}. Rename or add the column",
    )
    found.add(
        "required_columns",
        len(twice),
        f"column {describe_examples(twice)} occurs more than once. Keep one of each",
    )
    found.add(
        "unknown_columns",
        len(unknown),
        f"column {describe_examples(unknown)} is not part of the layout and was left out",
    )
    if missing or twice:
        observed = hash_schema({str(column): "present" for column in raw})
        found.add("schema_hash", 1.0, _schema_message(observed, accepted_schema, []))
        empty = pd.DataFrame({column: [] for column in layout.required})
        return Inspection(empty, _no_quarantine(), observed, {}, found.findings, found.checks)

    parsed, unreadable = _parse(raw, layout)
    types: dict[str, str] = {}
    for column, kind in layout.columns.items():
        if column not in parsed:
            continue
        fits = not len(parsed) or unreadable[column].mean() <= rules["quarantined_share"].bound
        if column in layout.required or not fits:
            types[column] = kind if fits else "text"
    observed = hash_schema(types)
    strange = [name for name, kind in types.items() if kind != layout.columns[name]]
    found.add(
        "schema_hash",
        float(observed != accepted_schema),
        _schema_message(observed, accepted_schema, strange),
    )

    reasons = pd.Series("", index=parsed.index, dtype="object")
    for check, bad, message in check_rows(raw, parsed, unreadable, layout, as_of):
        if found.add(check, int(bad.sum()), message) == "quarantine":
            reasons[bad & (reasons == "")] = check
    leaving = reasons != ""
    kept = parsed[~leaving]
    check_table(found, kept, leaving, layout, as_of)
    return Inspection(
        candidate=kept.sort_values(list(layout.key), ignore_index=True),
        quarantine=_quarantine(raw, reasons[leaving], layout.name),
        schema_hash=observed,
        null_rates=_null_rates(kept),
        findings=found.findings,
        checks=found.checks,
    )


def _parse(raw: pd.DataFrame, layout: Layout) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read every column of the layout; mark the cells that hold something unreadable."""
    parsed: dict[str, Any] = {}
    unreadable: dict[str, Any] = {}
    for column, kind in layout.columns.items():
        if column not in raw:
            continue
        values = raw[column]
        blank = values.isna()
        if values.dtype.kind not in "Mfiub":
            blank |= values.astype("str").str.strip() == ""
        if kind == "date":
            parsed[column] = _read_dates(values.mask(blank))
        elif kind == "text":
            text = values.astype("str").str.strip()
            cased = text.str.upper() if layout.name_case == "upper" else text.str.lower()
            parsed[column] = cased.mask(blank)
        elif values.dtype.kind in "Mmb":  # a date or a truth is no price
            parsed[column] = pd.Series(np.nan, index=values.index)
        else:
            numbers = pd.to_numeric(values.mask(blank), errors="coerce").astype("float64")
            parsed[column] = numbers.mask(np.isinf(numbers))
        unreadable[column] = parsed[column].isna() & ~blank
    return pd.DataFrame(parsed, index=raw.index), pd.DataFrame(unreadable, index=raw.index)


def _read_dates(values: pd.Series) -> pd.Series:
    """Read ISO dates; of a moment with a time zone, take the date that its own clock shows."""
    if values.dtype.kind == "M":
        dates = values.dt.tz_localize(None)
    else:
        day = values.astype("str").str.strip().str.replace(r"[T ]\d{2}:.*$", "", regex=True)
        # Pandas would also read words such as "today", and with them the clock.
        stated = day.str.fullmatch(r"\d{4}-?\d{2}-?\d{2}") & values.notna()
        dates = pd.to_datetime(day.where(stated), errors="coerce", format="ISO8601")
    known = dates.between(*_KNOWN_DATES)
    read: pd.Series = dates.where(known).dt.normalize().dt.as_unit("ns")
    return read


def _null_rates(table: pd.DataFrame) -> dict[str, float]:
    rates = table.isna().mean() if len(table) else pd.Series(dtype="float64")
    return {str(column): float(rate) for column, rate in rates.items()}


def _schema_message(observed: str, accepted: str, strange: list[str]) -> str:
    where = f": column {describe_examples(strange)} holds text" if strange else ""
    return (
        f"the observed schema {observed} is not the accepted one, {accepted}{where}. Correct the "
        f"columns' names and types, or accept the new schema in the study's parameters"
    )


def _no_quarantine() -> pd.DataFrame:
    return pd.DataFrame(
        {name: pd.Series(dtype="str") for name in ("table", "row", "reason", "record")}
    )


def _quarantine(raw: pd.DataFrame, reasons: pd.Series, table: str) -> pd.DataFrame:
    if reasons.empty:
        return _no_quarantine()
    rows = raw.loc[reasons.index]
    records = [
        json.dumps(
            {str(key): None if pd.isna(value) else str(value) for key, value in row.items()},
            sort_keys=True,
        )
        for row in rows.to_dict(orient="records")
    ]
    return pd.DataFrame(
        {
            "table": table,
            "row": reasons.index.astype("str"),
            "reason": reasons.to_list(),
            "record": records,
        }
    ).astype("str")
