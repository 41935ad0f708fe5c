"""What is said of a cell that nobody fits, or that could not be fitted."""

from __future__ import annotations

from typing import Any

from tidemark.config import BASELINE
from tidemark.pipelines.modelling.fallback import NOTHING_TO_SAY

NOTHING_FITTED: dict[str, Any] = {
    "best_params": {},
    "rmse_mean": None,
    "folds": [],
    "candidates": [],
    "refits": [],
}
"""What the scores of a cell say where nothing was chosen by cross-validation, nor fitted."""


def describe_baseline(used: str, dates: dict[str, Any]) -> dict[str, Any]:
    """Say of a cell that nobody fits what `train` says of others.

    Parameters
    ----------
    used : str
        What is forecast, in words.
    dates : dict
        The split.
    """
    return {
        "estimator": BASELINE,
        "status": "ok",
        "note": NOTHING_TO_SAY,
        "trials": [],
        "train_rows": 0,
        "split_id": dates["split_id"],
        "used": used,
        **NOTHING_FITTED,
    }
