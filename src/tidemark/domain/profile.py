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
    present = levels.notna()
    live = live_cells(levels)
    missing = live & ~present
    first, last = f"{levels.index.min():%Y-%m-%d}", f"{levels.index.max():%Y-%m-%d}"
    series: dict[str, dict[str, Any]] = {}
    for column in levels.columns[present.any()]:
        dates = levels.index[present[column]]
        series[str(column)] = {
            "first": f"{dates.min():%Y-%m-%d}",
            "last": f"{dates.max():%Y-%m-%d}",
            "values": len(dates),
            "missing": int(missing[column].sum()),
            "median": float(levels[column].median()),
        }
    return {
        "rows": len(table),
        "first": first,
        "last": last,
        "sessions": len(levels),
        "names": len(series),
        "missing_cells": int(missing.to_numpy().sum()),
        "missing_share": float(missing.to_numpy().sum() / max(int(live.to_numpy().sum()), 1)),
        "started_late": [key for key, one in series.items() if one["first"] > first],
        "ended_early": [key for key, one in series.items() if one["last"] < last],
        "blank_cells": {str(key): int(count) for key, count in table.isna().sum().items() if count},
        "series": series,
    }
