"""Forecasts that need no model: what every model must beat to be worth its cost."""

from __future__ import annotations

import pandas as pd

from tidemark.domain.panel import stack_wide

ZERO, TRAILING_MEAN, LAST_VALUE = "zero", "trailing_mean", "last_value"

# Special cases of a regression: it forecasts nothing else once all its weights are zero (Clark and
# West 2007). The trailing mean is none: it is each stock's own, and a regression has one intercept.
NESTED = (ZERO,)


def forecast_returns(returns: pd.DataFrame, live: pd.DataFrame, mean_days: int) -> pd.DataFrame:
    """Forecast each next return by nothing, by the mean of the last ones, and by the last one.

    Parameters
    ----------
    returns : DataFrame
        Wide frame of untreated returns, sessions by tickers; NaN where there is none.
    live : DataFrame of bool
        The cells that become rows.
    mean_days : int
        Sessions that the trailing mean reaches back; missing returns do not count.

    Returns
    -------
    DataFrame
        ``date, ticker, zero, trailing_mean, last_value``, in the unit of the returns. The last
        value is the last return that there was; NaN before the first one.

    Timing
    ------
    Row *t* uses returns up to session *t* and forecasts that of *t + 1*.

    References
    ----------
    Campbell, J. Y. and Thompson, S. B. (2008), Predicting Excess Stock Returns Out of Sample,
    Review of Financial Studies 21, 1509-1531.
    """
    known = returns.ffill()
    mean = returns.rolling(mean_days, min_periods=1).mean().where(known.notna())
    forecasts = {ZERO: known * 0.0, TRAILING_MEAN: mean.ffill(), LAST_VALUE: known}
    return stack_wide(forecasts, "ticker", live)
