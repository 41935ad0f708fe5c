"""The leakage audit of a scenario's features, for every study."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tidemark import incidents
from tidemark.domain.audit import (
    Build,
    describe_leaks,
    find_late_labels,
    find_leaks,
    list_cuts,
    list_differences,
)
from tidemark.domain.splits import Fold
from tidemark.pipelines.params import AuditParams


def audit_features(
    build: Build,
    main: pd.DataFrame,
    side: pd.DataFrame,
    read: pd.DataFrame,
    sessions: np.ndarray,
    dates: dict[str, Any],
    params: AuditParams,
) -> dict[str, Any]:
    """Look for the future in features, and for late labels in the training periods.

    The features are built again from tables that end on a day, and from tables that are altered
    after it; and those that models read are compared with what building gives.

    Parameters
    ----------
    build : callable
        Builds the features from the two tables, as training and serving do.
    main, side : DataFrame
        What features are built from; ``side`` is known ``exogenous_delay_days`` later.
    read : DataFrame
        Keys and features as models read them.
    sessions : ndarray of datetime64
        Sorted; decisions are taken on them, and horizons count them.
    dates : dict
        The split: its keys, folds and refits.
    params : AuditParams
        How often the future is taken away.

    Returns
    -------
    dict
        ``passed``, one sentence for each finding, and what was looked at; ready for JSON.
    """
    keys, delay = dates["keys"], params.exogenous_delay_days
    cuts = list_cuts(sessions, dates["train_end"], params.n_cuts)
    leaks = find_leaks(build, main, side, keys, cuts, delay, params.seed)
    foreign = list_differences(read, build(main, side), keys)
    folds = [Fold(**one) for one in [*dates["folds"], *dates["refits"]]]
    late = find_late_labels(sessions, folds, dates["horizon_days"])
    findings = describe_leaks(leaks, "feature")
    findings += [f"feature {name} is not what building it gives" for name in foreign]
    findings += [
        f"labels of the training that ends {fold.train_end} are known on {known}, and are judged "
        f"from {fold.valid_start}"
        for fold, known in late
    ]
    if findings:
        incidents.report("leak", "; ".join(findings))
    return {
        "passed": not findings,
        "findings": findings,
        "features": sorted({leak.feature for leak in leaks} | set(foreign)),
        "cuts": [f"{cut:%Y-%m-%d}" for cut in cuts],
        "training_periods": len(folds),
    }
