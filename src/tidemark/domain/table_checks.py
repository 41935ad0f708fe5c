"""Findings, and the checks of a table as a whole: shares, coverage and age."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tidemark.domain.layouts import Layout
from tidemark.domain.panel import live_cells, pivot_long
from tidemark.domain.row_checks import name_rows
from tidemark.domain.rules import Action, Rule
from tidemark.errors import describe_examples

_THIN = 0.5


@dataclass(frozen=True)
class Finding:
    """What one check has found."""

    check: str
    action: Action
    measure: float
    bound: float
    message: str


class Findings:
    """Collect findings; each check is looked up in the table of rules."""

    def __init__(self, layout: Layout, rules: Mapping[str, Rule]) -> None:
        self.layout = layout
        self.rules = rules
        self.findings: list[Finding] = []
        self.checks: list[dict[str, Any]] = []

    def add(self, check: str, measure: float, message: str) -> Action | None:
        """Note a finding if the measure exceeds the rule's bound; return its action."""
        rule = self.rules[check]
        passed = not measure > rule.bound
        self.checks.append(
            {
                "check": check,
                "action": rule.action,
                "bound": rule.bound,
                "measure": float(measure),
                "passed": passed,
            }
        )
        if passed:
            return None
        text = f"{self.layout.name}: {message} ({check})."
        self.findings.append(Finding(check, rule.action, float(measure), rule.bound, text))
        return rule.action


def check_table(
    found: Findings,
    kept: pd.DataFrame,
    leaving: pd.Series,
    layout: Layout,
    as_of: pd.Timestamp,
) -> None:
    """Apply every check of the whole table.

    Parameters
    ----------
    found : Findings
        Where what is found goes.
    kept : DataFrame
        The rows that stay, as they were read.
    leaving : Series of bool
        The rows that leave, of all.
    layout, as_of
        As in `inspect_table`.
    """
    date, name = layout.key
    share = float(leaving.mean()) if len(leaving) else 0.0
    found.add(
        "quarantined_share",
        share,
        f"{int(leaving.sum())} of {len(leaving)} rows ({share:.1%}) would be quarantined, more "
        f"than {found.rules['quarantined_share'].bound:.1%} allowed. Look at the source",
    )
    if kept.empty:
        found.add("no_rows", 1.0, "no usable row is left. Give a file with data")
        return
    level = layout.level_of(kept)
    blank = kept[level].isna()
    found.add(
        "missing_values",
        float(blank.mean()),
        f"{int(blank.sum())} of {len(kept)} rows ({blank.mean():.1%}) have no {level}, "
        f"more than {found.rules['missing_values'].bound:.1%} allowed: "
        f"{name_rows(kept, blank, layout)}. Look at the source",
    )
    levels = pivot_long(kept.drop_duplicates([date, name]), name, level)
    _check_grid(found, levels)
    ends = kept[~blank].groupby(name)[date].max()
    last = ends.min() if layout.all_names_needed and len(ends) else kept[date].max()
    who = f" of {ends.idxmin()}" if layout.all_names_needed and len(ends) else ""
    age = float((as_of.date() - last.date()).days)
    for check in ("stale_data", "old_data"):
        found.add(
            check,
            age,
            f"the last date{who}, {last:%Y-%m-%d}, is {age:.0f} days before the as-of "
            f"date {as_of:%Y-%m-%d}; {found.rules[check].bound:.0f} are allowed. Fetch newer "
            f"data, or move the as-of date with --params as_of={last:%Y-%m-%d}",
        )


def _check_grid(found: Findings, levels: pd.DataFrame) -> None:
    """Look for values that are missing because their rows are absent."""
    live, present = live_cells(levels), levels.notna()
    total = max(int(live.to_numpy().sum()), 1)
    absent = int((live & ~present).to_numpy().sum())
    found.add(
        "missing_cells",
        absent / total,
        f"{absent} of {total} values ({absent / total:.1%}) are missing between the first and the "
        f"last date of their name, more than {found.rules['missing_cells'].bound:.1%} allowed. "
        f"Look at the source",
    )
    covered = present.sum(axis=1) < _THIN * live.sum(axis=1)
    thin = [f"{day:%Y-%m-%d}" for day in levels.index[covered]]
    found.add(
        "thin_sessions",
        len(thin),
        f"on {len(thin)} dates fewer than half of the live names have a value: "
        f"{describe_examples(thin)}. Names with calendars of their own break the returns of the "
        f"others; remove such dates or names",
    )
