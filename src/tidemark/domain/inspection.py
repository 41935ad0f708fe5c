"""Inspection of raw tables: what is wrong, which rows leave, what may go on.

`inspect_table` never raises for bad data and never changes its input. It returns every finding
with the action that the study's table of checks names for it; whoever calls it decides.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from tidemark.errors import MAX_EXAMPLES, describe_examples

Action = Literal["refuse", "quarantine", "warn"]
LogicalType = Literal["date", "text", "number"]


@dataclass(frozen=True)
class Layout:
    """What a raw table looks like: columns with their logical types, and its key."""

    name: str
    required: dict[str, LogicalType]
    optional: dict[str, LogicalType]
    key: tuple[str, str]
    level: str
    positive: tuple[str, ...] = ()
    name_case: Literal["upper", "lower"] = "lower"

    @property
    def columns(self) -> dict[str, LogicalType]:
        """Required and optional columns with their logical types, in order."""
        return {**self.required, **self.optional}


PRICES = Layout(
    name="prices",
    required={"date": "date", "ticker": "text", "close": "number"},
    optional={
        "open": "number",
        "high": "number",
        "low": "number",
        "volume": "number",
        "adj_close": "number",
    },
    key=("date", "ticker"),
    level="close",
    positive=("close", "adj_close"),
    name_case="upper",
)

SERIES = Layout(
    name="exogenous",
    required={"date": "date", "series": "text", "value": "number"},
    optional={},
    key=("date", "series"),
    level="value",
)


@dataclass(frozen=True)
class Rule:
    """One row of a table of checks: the action once the measure exceeds the bound."""

    action: Action
    bound: float = 0.0


@dataclass(frozen=True)
class Finding:
    """What one check has found."""

    check: str
    action: Action
    measure: float
    bound: float
    message: str


@dataclass
class Inspection:
    """Everything that `inspect_table` has found."""

    candidate: pd.DataFrame
    quarantine: pd.DataFrame
    schema_hash: str
    null_rates: dict[str, float]
    findings: list[Finding] = field(default_factory=list)

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
    missing = [column for column in layout.required if column not in raw]
    unknown = [str(column) for column in raw if column not in layout.columns]
    found = _Findings(layout, rules)
    found.add(
        "required_columns",
        len(missing),
        f"column {describe_examples(missing)} is missing; found "
        f"{describe_examples(raw.columns, 12)}. Rename or add the column",
    )
    found.add(
        "unknown_columns",
        len(unknown),
        f"column {describe_examples(unknown)} is not part of the layout and was left out",
    )
    if missing:
        observed = hash_schema({str(column): "present" for column in raw})
        found.add("schema_hash", 1.0, _schema_message(observed, accepted_schema, []))
        empty = pd.DataFrame({column: [] for column in layout.required})
        return Inspection(empty, _no_quarantine(), observed, {}, found.findings)

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
    for check, bad, message in _row_checks(raw, parsed, unreadable, layout, as_of):
        if found.add(check, int(bad.sum()), message) == "quarantine":
            reasons[bad & (reasons == "")] = check
    leaving = reasons != ""
    kept = parsed[~leaving]
    _table_checks(found, kept, leaving, layout, as_of)
    return Inspection(
        candidate=kept.sort_values(list(layout.key), ignore_index=True),
        quarantine=_quarantine(raw, reasons[leaving], layout.name),
        schema_hash=observed,
        null_rates={column: float(kept[column].isna().mean()) for column in kept} if len(kept) else {},
        findings=found.findings,
    )


class _Findings:
    """Collect findings; each check is looked up in the table of rules."""

    def __init__(self, layout: Layout, rules: Mapping[str, Rule]) -> None:
        self.layout = layout
        self.rules = rules
        self.findings: list[Finding] = []

    def add(self, check: str, measure: float, message: str) -> Action | None:
        """Note a finding if the measure exceeds the rule's bound; return its action."""
        rule = self.rules[check]
        if not measure > rule.bound:
            return None
        text = f"{self.layout.name}: {message} ({check})."
        self.findings.append(Finding(check, rule.action, float(measure), rule.bound, text))
        return rule.action


def _parse(raw: pd.DataFrame, layout: Layout) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Parse every column of the layout; mark the cells that hold something unreadable."""
    parsed, unreadable = {}, {}
    for column, kind in layout.columns.items():
        if column not in raw:
            continue
        values = raw[column]
        blank = values.isna() | (values.astype("str").str.strip() == "")
        if kind == "date":
            read = pd.to_datetime(values.mask(blank), errors="coerce", utc=True, format="mixed")
            parsed[column] = read.dt.tz_localize(None).dt.normalize().dt.as_unit("ns")
        elif kind == "text":
            text = values.astype("str").str.strip()
            cased = text.str.upper() if layout.name_case == "upper" else text.str.lower()
            parsed[column] = cased.mask(blank)
        else:
            numbers = pd.to_numeric(values.mask(blank), errors="coerce").astype("float64")
            parsed[column] = numbers.mask(np.isinf(numbers))
        unreadable[column] = parsed[column].isna() & ~blank
    return pd.DataFrame(parsed, index=raw.index), pd.DataFrame(unreadable, index=raw.index)


def _row_checks(
    raw: pd.DataFrame,
    parsed: pd.DataFrame,
    unreadable: pd.DataFrame,
    layout: Layout,
    as_of: pd.Timestamp,
) -> list[tuple[str, pd.Series, str]]:
    """List (check, bad rows, message) in the order in which reasons are given."""
    date, name = layout.key
    checks: list[tuple[str, pd.Series, str]] = []

    bad = unreadable.any(axis=1)
    columns = [column for column in unreadable if unreadable[column].any()]
    cells = [f"{column}={raw.loc[row, column]!r}" for column in columns
             for row in raw.index[unreadable[column]][:MAX_EXAMPLES]]
    checks.append(("unreadable_values", bad,
                   f"{int(bad.sum())} rows hold what cannot be read as a {_kinds(layout, columns)} "
                   f"in column {describe_examples(columns)}: {describe_examples(cells)}. Correct the cells"))

    bad = parsed[[date, name]].isna().any(axis=1) & ~unreadable.any(axis=1)
    checks.append(("missing_key", bad, f"{int(bad.sum())} rows have no {date} or no {name}: "
                   f"row {describe_examples(raw.index[bad])}. Fill or remove them"))

    keyed = parsed[[date, name]].notna().all(axis=1)
    repeated = keyed & parsed.duplicated(keep="first")
    checks.append(("repeated_rows", repeated, f"{int(repeated.sum())} rows repeat another row in "
                   f"every column: {_keys(parsed, repeated, layout)}"))

    distinct = parsed[keyed & ~repeated]
    clash = distinct.duplicated([date, name], keep=False).reindex(parsed.index, fill_value=False)
    checks.append(("contradictory_rows", clash, f"{int(clash.sum())} rows give different values for one "
                   f"{date} and {name}: {_keys(parsed, clash, layout, layout.level)}. Keep one of each"))

    late = parsed[date] > as_of
    last = parsed[date].max()
    remedy = f"{last:%Y-%m-%d}" if pd.notna(last) else "YYYY-MM-DD"
    checks.append(("dates_after_as_of", late, f"{int(late.sum())} rows are dated after the as-of date "
                   f"{as_of:%Y-%m-%d}: {_keys(parsed, late, layout)}. Remove them, or move the as-of "
                   f"date with --params as_of={remedy}"))

    for column in layout.positive:
        if column in parsed:
            bad = parsed[column] <= 0
            checks.append(("non_positive_price", bad, f"{int(bad.sum())} rows have a {column} of zero or "
                           f"less: {_keys(parsed, bad, layout, column)}"))
    return checks


def _table_checks(
    found: _Findings,
    kept: pd.DataFrame,
    leaving: pd.Series,
    layout: Layout,
    as_of: pd.Timestamp,
) -> None:
    date, name = layout.key
    share = float(leaving.mean()) if len(leaving) else 0.0
    found.add("quarantined_share", share,
              f"{int(leaving.sum())} of {len(leaving)} rows ({share:.1%}) would be quarantined, more "
              f"than {found.rules['quarantined_share'].bound:.1%} allowed. Look at the source")
    if kept.empty:
        found.add("no_rows", 1.0, "no usable row is left. Give a file with data")
        return
    blank = kept[layout.level].isna()
    found.add("missing_values", float(blank.mean()),
              f"{int(blank.sum())} of {len(kept)} rows ({blank.mean():.1%}) have no {layout.level}, more than "
              f"{found.rules['missing_values'].bound:.1%} allowed: "
              f"{_keys(kept, blank, layout)}. Look at the source")
    last = kept[date].max()
    age = float((as_of - last).days)
    for check in ("stale_data", "old_data"):
        found.add(check, age, f"the last date, {last:%Y-%m-%d}, is {age:.0f} days before the as-of "
                  f"date {as_of:%Y-%m-%d}; {found.rules[check].bound:.0f} are allowed. Fetch newer "
                  f"data, or move the as-of date with --params as_of={last:%Y-%m-%d}")


def _kinds(layout: Layout, columns: list[str]) -> str:
    return " or ".join(dict.fromkeys(layout.columns[column] for column in columns))


def _keys(table: pd.DataFrame, bad: pd.Series, layout: Layout, value: str | None = None) -> str:
    date, name = layout.key
    rows = table[bad]
    shown = [
        f"{row[name]} on {row[date]:%Y-%m-%d}" + (f" ({row[value]:g})" if value else "")
        for _, row in rows.head(MAX_EXAMPLES).iterrows()
    ]
    return ", ".join(shown) + (f" and {len(rows) - len(shown)} more" if len(rows) > len(shown) else "")


def _schema_message(observed: str, accepted: str, strange: list[str]) -> str:
    where = f": column {describe_examples(strange)} holds text" if strange else ""
    return (
        f"the observed schema {observed} is not the accepted one, {accepted}{where}. Correct the "
        f"columns' names and types, or accept the new schema in the study's parameters"
    )


def _no_quarantine() -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype="str") for name in ("table", "row", "reason", "record")})


def _quarantine(raw: pd.DataFrame, reasons: pd.Series, table: str) -> pd.DataFrame:
    if reasons.empty:
        return _no_quarantine()
    rows = raw.loc[reasons.index].astype("str").to_dict(orient="records")
    records: list[Any] = [json.dumps(row, sort_keys=True) for row in rows]
    return pd.DataFrame(
        {
            "table": table,
            "row": [str(raw.index.get_loc(label)) for label in reasons.index],
            "reason": reasons.to_list(),
            "record": records,
        }
    ).astype("str")
