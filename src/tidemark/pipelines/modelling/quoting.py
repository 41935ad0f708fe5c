"""What the outcome of a cell repeats of how it was judged, because groups differ in it."""

from __future__ import annotations

import math
from typing import Any

_RESAMPLING = (
    "method",
    "block_length",
    "block_length_rule",
    "n_dates",
    "n_replicates",
    "interval",
    "level",
    "seed",
    "horizon_days",
)
_DATES = ("train_end", "test_start", "test_end", "window_sessions")


def quote_resampling(plan: dict[str, Any]) -> dict[str, Any]:
    """Take from a cell's results how its dates were resampled; comparisons draw them likewise."""
    return {key: plan[key] for key in _RESAMPLING}


def quote_dates(dates: dict[str, Any]) -> dict[str, Any]:
    """Take from a split the dates that reports quote, and how many folds and refits it has."""
    counts = {"n_folds": len(dates["folds"]), "n_refits": len(dates["refits"])}
    return {**{key: dates[key] for key in _DATES}, **counts}


def blank_infinite(value: Any) -> Any:
    """Turn NaN and infinities, which JSON does not know, into None.

    Examples
    --------
    >>> blank_infinite(float("nan")), blank_infinite(0.5), blank_infinite("bca")
    (None, 0.5, 'bca')
    """
    return None if isinstance(value, float) and not math.isfinite(value) else value
