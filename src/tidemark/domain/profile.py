"""A profile of a table of levels: how much there is, from when to when, what is missing."""

from __future__ import annotations

from typing import Any

import pandas as pd

from tidemark.domain.panel import live_cells, pivot_long


def profile_levels(table: pd.DataFrame, name: str, value: str) -> dict[str, Any]:
    """Summarise a long table of levels.

    Parameters
    ----------
    table : DataFrame
        ``date``, ``name`` and ``value``, one row for each pair of date and name.
    name, value : str
        Its columns.

    Returns
    -------
    dict
        Rows, span, names; for each name its first and last date, its values, and the sessions
        between them on which it has none (``missing``); the share missing over all names.
    """
    if table.empty:
        return {"rows": 0, "names": 0, "series": {}}
    levels = pivot_long(table, name, value)
    live = live_cells(levels)
    present = levels.notna()
    missing = (live & ~present).sum()
    series = {
        str(column): {
            "first": f"{present.index[present[column]].min():%Y-%m-%d}",
            "last": f"{present.index[present[column]].max():%Y-%m-%d}",
            "values": int(present[column].sum()),
            "missing": int(missing[column]),
            "median": float(levels[column].median()),
        }
        for column in levels
        if present[column].any()
    }
    return {
        "rows": len(table),
        "first": f"{levels.index.min():%Y-%m-%d}",
        "last": f"{levels.index.max():%Y-%m-%d}",
        "sessions": len(levels),
        "names": len(series),
        "missing_cells": int(missing.sum()),
        "missing_share": float(missing.sum() / max(int(live.to_numpy().sum()), 1)),
        "started_late": [key for key, one in series.items() if one["first"] > f"{levels.index.min():%Y-%m-%d}"],
        "ended_early": [key for key, one in series.items() if one["last"] < f"{levels.index.max():%Y-%m-%d}"],
        "blank_cells": {str(key): int(count) for key, count in table.isna().sum().items() if count},
        "series": series,
    }
