"""Densities of the next observation that every method of finding regimes must beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tidemark.domain.regime_scores import fit_single, make_design
from tidemark.domain.splits import Fold, fold_positions
from tidemark.domain.student import discount_errors, fit_student, log_student


def score_baselines(
    features: pd.DataFrame, refits: Sequence[Fold], window: int, autoregression: int
) -> pd.DataFrame:
    """Score every observation by three regressions without regimes.

    Parameters
    ----------
    features : DataFrame
        ``date, y`` and perhaps ``x``, one row for each observation, dates ascending.
    refits : sequence of Fold
        The blocks of the test, each with the observations that were known before it.
    window : int
        Span of the exponential weights, in observations.
    autoregression : int
        Lags of ``y`` in all of them.

    Returns
    -------
    DataFrame
        ``date, y_true``; log densities in nats, NaN outside the blocks. ``single``: one Gaussian
        regime, fitted to all that was known before the block. ``student``: the same with the
        tails of Student's t, as a mixture of regimes has fat tails, too. ``ewma``: coefficients
        and variance that forget, as both move with regimes, with tails as heavy as those of
        ``student``.
    """
    y = features["y"].to_numpy()
    x = features["x"].to_numpy() if "x" in features else None
    values, design = make_design(y, x, autoregression)
    known = np.arange(len(y)) >= autoregression  # rows with all lags
    single, student, ewma = (np.full(len(y), np.nan) for _ in range(3))
    blocks = list(fold_positions(features["date"], tuple(refits)))
    n_first = min(window, len(blocks[0][0]) - autoregression)
    decay = 1.0 - 2.0 / (window + 1.0)
    errors, variances = (
        np.r_[np.full(autoregression, np.nan), part]
        for part in discount_errors(values, design, n_first, decay)
    )
    for train, block in blocks:
        fitted = fit_single(y[train], None if x is None else x[train], autoregression)
        single[block] = fitted.log_scores(y, x)[block]
        rows = train[known[train]] - autoregression
        tails = fit_student(values[rows], design[rows])
        student[block] = tails.log_scores(
            values[block - autoregression], design[block - autoregression]
        )
        # The variance is that of the errors; the scale of Student's t is smaller.
        scales = np.sqrt(variances[block] * (tails.degrees - 2.0) / tails.degrees)
        ewma[block] = log_student(errors[block], scales, tails.degrees)
    return pd.DataFrame(
        {"date": features["date"], "y_true": y, "single": single, "student": student, "ewma": ewma}
    )
