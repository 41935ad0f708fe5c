"""Densities of the next observation that every method of finding regimes must beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tidemark.domain.regime_scores import fit_single
from tidemark.domain.splits import Fold, fold_positions
from tidemark.domain.student import fit_student


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
        Observations that the rolling one is fitted to.
    autoregression : int
        Lags of ``y`` in both.

    Returns
    -------
    DataFrame
        ``date, y_true``; ``single``: log density in nats by one Gaussian regime, fitted to all
        that was known before the block; ``student``: the same with the tails of Student's t, as a
        mixture of regimes has fat tails, too; ``rolling``: Gaussian, by the last ``window``
        observations before each, or by ``single`` where these did not move. NaN outside the
        blocks.
    """
    y = features["y"].to_numpy()
    x = features["x"].to_numpy() if "x" in features else None
    single, student, rolling = (np.full(len(y), np.nan) for _ in range(3))
    for train, block in fold_positions(features["date"], tuple(refits)):
        fitted = fit_single(y[train], _take(x, train), autoregression)
        single[block] = fitted.log_scores(y, x)[block]
        tails = fit_student(y[train], _take(x, train), autoregression)
        student[block] = tails.log_scores(y, x)[block]
        for position in block:
            known = slice(max(0, position - window - autoregression), position)
            until = slice(max(0, position - autoregression), position + 1)
            try:
                lately = fit_single(y[known], _take(x, known), autoregression)
            except (ValueError, np.linalg.LinAlgError):  # nothing has moved in this window
                lately = fitted
            rolling[position] = lately.log_scores(y[until], _take(x, until))[-1]
    return pd.DataFrame(
        {
            "date": features["date"],
            "y_true": y,
            "single": single,
            "student": student,
            "rolling": rolling,
        }
    )


def _take(values: np.ndarray | None, chosen: np.ndarray | slice) -> np.ndarray | None:
    return None if values is None else values[chosen]
