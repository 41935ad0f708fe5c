"""What is observed of a pair of assets on each session, for regimes to be found in."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from tidemark.domain.correlation_labels import fisher_z
from tidemark.domain.regime_tags import zscore

Observed = Literal["comovement", "correlation", "volatility", "returns"]


def observe_pair(
    returns: pd.DataFrame, correlation: pd.Series, observed: Observed, scale_window: int
) -> pd.DataFrame:
    """Build the observation that densities are forecast of.

    Parameters
    ----------
    returns : DataFrame
        Index: sessions; columns ``left`` and ``right``, NaN where there is no return.
    correlation : Series
        The pair's rolling correlation on the same sessions.
    observed : {"comovement", "correlation", "volatility", "returns"}
        ``comovement``: ``y`` is the return of the right asset and ``x`` that of the left, each
        over the root mean square of its last ``scale_window`` returns *before* the session. The
        slope of y on x is then about their correlation, and no two observations overlap.
        ``correlation``: ``y`` is Fisher's z of the rolling correlation; its windows overlap, so
        it needs an autoregression. ``volatility``: the log of the root mean square of the left
        asset's last ``scale_window`` returns. ``returns``: the left asset's returns in percent.
    scale_window : int
        Sessions.

    Returns
    -------
    DataFrame
        Index: the sessions with an observation; ``y``, and ``x`` for comovement alone.

    Timing
    ------
    Row t uses returns up to and including session t.
    """
    if observed == "correlation":
        columns = {"y": fisher_z(correlation)}
    elif observed == "volatility":
        columns = {"y": _log(_root_mean_square(returns["left"], scale_window))}
    elif observed == "returns":
        columns = {"y": 100.0 * returns["left"]}
    else:
        columns = {
            name: returns[side] / _root_mean_square(returns[side], scale_window).shift(1)
            for name, side in (("y", "right"), ("x", "left"))
        }
    table = pd.DataFrame(columns)
    return table[(table.abs() < np.inf).all(axis=1)]  # false for NaN, too


def score_extremes(correlation: pd.Series, window: int) -> pd.Series:
    """Compute how far a rolling correlation is from what it was lately, in deviations.

    Parameters
    ----------
    correlation : Series
        Rolling correlations.
    window : int
        Sessions that it is held against, its own among them. Half of them must be there.

    Returns
    -------
    Series
        The z-score of Fisher's z; NaN at first.
    """
    return zscore(fisher_z(correlation), window, min_periods=max(4, window // 2))


def _root_mean_square(returns: pd.Series, window: int) -> pd.Series:
    """Compute the volatility of the last returns that there were, holidays left out."""
    known = returns.dropna()
    square: pd.Series = (known**2).rolling(window).mean()
    root: pd.Series = square.clip(lower=0.0) ** 0.5
    return root.where(root > 0.0).reindex(returns.index).ffill()


def _log(values: pd.Series) -> pd.Series:
    return pd.Series(np.log(values.to_numpy()), index=values.index)
