"""Correlations that are realised after a decision, and the forecasts that need no model.

A correlation is forecast on Fisher's scale, z = atanh(r): its errors are then of one size whatever
the correlation is.

References
----------
Fisher, R. A. (1921), On the "Probable Error" of a Coefficient of Correlation Deduced from a Small
Sample, Metron 1, 3-32.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tidemark.domain.correlation import rolling_correlation

_LIMIT = 1.0 - 1e-9  # of a correlation, so that z stays finite

Pairs = Sequence[tuple[str, str]]


def fisher_z(correlation: pd.Series) -> pd.Series:
    """Transform correlations to Fisher's z; one of plus or minus 1 becomes a large number.

    Examples
    --------
    >>> fisher_z(pd.Series([0.0, 0.5])).round(4).tolist()
    [0.0, 0.5493]
    """
    return pd.Series(
        np.arctanh(correlation.clip(-_LIMIT, _LIMIT).to_numpy()), index=correlation.index
    )


def name_pair(pair: tuple[str, str]) -> str:
    """Name a pair of series.

    Examples
    --------
    >>> name_pair(("sp500", "wti"))
    'sp500/wti'
    """
    return "/".join(pair)


def realised_z(left: pd.Series, right: pd.Series, window: int, min_share: float) -> pd.Series:
    """Compute Fisher's z of the correlation over the last ``window`` sessions.

    Parameters
    ----------
    left, right : Series
        Returns on the sessions of one calendar; NaN where there is none.
    window : int
        Sessions, the last one among them.
    min_share : float
        Share of the window on which both must have a return.

    Returns
    -------
    Series
        NaN where the window holds too few pairs, or one side does not vary.
    """
    least = max(4, int(np.ceil(min_share * window)))
    return fisher_z(rolling_correlation(left, right, window, min_periods=least))


def label_correlations(
    returns: pd.DataFrame, pairs: Pairs, horizon_days: int, warm_up_days: int, min_share: float
) -> pd.DataFrame:
    """Publish what is forecast: the correlation over the sessions after each decision.

    Parameters
    ----------
    returns : DataFrame
        Index: sessions; one column for each series.
    pairs : sequence of (str, str)
        Names of two columns each.
    horizon_days : int
        Sessions after the decision that the correlation is of.
    warm_up_days : int
        Sessions with both returns that a pair needs before its first decision.
    min_share : float
        As for `realised_z`.

    Returns
    -------
    DataFrame
        ``date, pair, target, eligible``, sorted; ``target`` in Fisher's z, NaN at the end. Only
        sessions on which the pair has its warm-up behind it, a target before it and a return of
        both today are eligible.
    """
    tables = []
    for left, right in pairs:
        ahead = realised_z(returns[left], returns[right], horizon_days, min_share).shift(
            -horizon_days
        )
        both = returns[[left, right]].notna().all(axis=1)
        eligible = (both.cumsum() > warm_up_days) & both & ahead.notna()
        tables.append(_stack((left, right), {"target": ahead, "eligible": eligible}))
    return _join(tables)


def forecast_correlations(
    returns: pd.DataFrame, pairs: Pairs, horizon_days: int, today_window: int, min_share: float
) -> pd.DataFrame:
    """Forecast each correlation without a model.

    Parameters
    ----------
    returns, pairs, horizon_days, min_share
        As for `label_correlations`.
    today_window : int
        Sessions of the rolling correlation that stands for today's.

    Returns
    -------
    DataFrame
        ``date, pair``; ``today``: the rolling correlation at the decision, the newest that is
        defined; ``long_mean``: the mean of all correlations over ``horizon_days`` that were
        known at the decision. Both in Fisher's z.

    Timing
    ------
    Row t uses returns up to and including session t.
    """
    tables = []
    for left, right in pairs:
        today = realised_z(returns[left], returns[right], today_window, min_share)
        known = realised_z(returns[left], returns[right], horizon_days, min_share)
        tables.append(
            _stack((left, right), {"today": today.ffill(), "long_mean": known.expanding().mean()})
        )
    return _join(tables)


def build_correlation_features(
    returns: pd.DataFrame,
    pairs: Pairs,
    windows: Sequence[int],
    halflife_days: float,
    min_share: float,
) -> pd.DataFrame:
    """Build what models of a correlation see.

    Parameters
    ----------
    returns, pairs, min_share
        As for `label_correlations`.
    windows : sequence of int
        Sessions of the rolling correlations.
    halflife_days : float
        Of the exponentially weighted correlation and volatilities, in sessions.

    Returns
    -------
    DataFrame
        ``date, pair`` and one column for each feature: Fisher's z of each window and of the
        exponentially weighted correlation, the log volatility of both sides and the change of
        each over the longest window, all the newest that were known.

    Timing
    ------
    Row t uses returns up to and including session t.
    """
    least = 2 * max(2, round(halflife_days))
    tables = []
    for left, right in pairs:
        one, other = returns[left], returns[right]
        columns = {f"z_{window}": realised_z(one, other, window, min_share) for window in windows}
        columns["z_ewm"] = fisher_z(_ewm_correlation(one, other, halflife_days, least))
        for side, values in (("left", one), ("right", other)):
            variance = (values**2).ewm(halflife=halflife_days, min_periods=least).mean()
            log_vol = np.log(variance.where(variance > 0.0)) / 2.0
            usual = log_vol.rolling(max(windows), min_periods=least).mean()
            columns[f"log_vol_{side}"] = log_vol
            columns[f"log_vol_change_{side}"] = log_vol - usual
        tables.append(_stack((left, right), {key: one.ffill() for key, one in columns.items()}))
    return _join(tables)


def _ewm_correlation(
    left: pd.Series, right: pd.Series, halflife: float, min_periods: int
) -> pd.Series:
    """Weigh products of returns, without their means: those of daily returns are noise."""

    def weigh(values: pd.Series) -> pd.Series:
        return values.ewm(halflife=halflife, min_periods=min_periods).mean()

    both = left.notna() & right.notna()
    one, other = left.where(both), right.where(both)
    scale = (weigh(one**2) * weigh(other**2)) ** 0.5
    correlation: pd.Series = weigh(one * other) / scale.where(scale > 0.0)
    return correlation


def _stack(pair: tuple[str, str], columns: dict[str, pd.Series]) -> pd.DataFrame:
    table = pd.DataFrame(columns).rename_axis("date").reset_index()
    table.insert(1, "pair", pd.Series(name_pair(pair), index=table.index, dtype="str"))
    return table


def _join(tables: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(tables).sort_values(["date", "pair"], ignore_index=True)
