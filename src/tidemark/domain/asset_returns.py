"""Changes of aligned levels: returns, differences, and returns of bonds from their yields."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tidemark.domain.series import SeriesDefinition, index_definitions

_DAYS_A_YEAR = 365.25
_MONTHS_A_YEAR = 12
_PERCENT = 100.0
_NO_YIELD = 1e-7  # below it the limits at zero are nearer than what rounding leaves


def compute_returns(
    levels: pd.DataFrame, filled: pd.DataFrame, definitions: Sequence[SeriesDefinition]
) -> pd.DataFrame:
    r"""Compute each series' change from one reference session to the next.

    Parameters
    ----------
    levels, filled : DataFrame
        As in `tidemark.domain.alignment.Aligned`.
    definitions : sequence of SeriesDefinition
        One for every column; ``treatment`` says what is computed and ``sign`` what it is
        multiplied by.

    Returns
    -------
    DataFrame
        Same shape as ``levels``.

        - ``log_return``: ``log(x[t] / x[t-1])``; NaN where a level is not positive.
        - ``simple_return``: ``x[t] / x[t-1] - 1``; NaN where the earlier level is not positive.
        - ``difference``: ``x[t] - x[t-1]``, in the unit of the levels; for yields and spreads
          these are percentage points.
        - ``bond_return``: the simple return of a par bond of constant maturity,
          ``y[t-1] dt - D dy + C dy^2 / 2``, with yields as fractions, the bond's modified
          duration D and convexity C at ``y[t-1]``, and dt in years: the days between the two
          sessions over 365.25, or 1/12 for monthly series. What a bond gains by growing older
          (the roll-down) is left out.

        NaN unless both levels were observed on their own session. A level that was carried
        forward makes no return, neither a zero nor one over two sessions: the latter would
        stand beside returns over one session of all other series.

    Raises
    ------
    ValueError
        If a column has no definition, or the two frames differ in rows or columns.

    Timing
    ------
    Row *t* uses rows *t - 1* and *t*.

    References
    ----------
    Campbell, J. Y., Lo, A. W. and MacKinlay, A. C. (1997), The Econometrics of Financial
    Markets, chapter 10. Swinkels, L. (2019), Treasury Bond Return Data Starting in 1962,
    Data 4(3), 91, which uses the same approximation.
    """
    by_name = index_definitions(definitions)
    unknown = [str(name) for name in levels if name not in by_name]
    if unknown or not (levels.index.equals(filled.index) and levels.columns.equals(filled.columns)):
        raise ValueError(
            f"Returns need one definition for each column and marks of the same shape; without "
            f"definition: {unknown or 'none'}; shapes: {levels.shape} and {filled.shape}. "
            f"Align the levels with all definitions."
        )
    days = np.diff(pd.DatetimeIndex(levels.index).as_unit("ns").asi8) / 86_400e9
    returns = np.full(levels.shape, np.nan)
    for column, name in enumerate(levels):
        observed = levels[name].where(~filled[name]).to_numpy(dtype="float64", copy=True)
        if len(observed) > 1:
            returns[1:, column] = _compute_changes(observed, days, by_name[str(name)])
    returns[~np.isfinite(returns)] = np.nan
    return pd.DataFrame(returns, index=levels.index, columns=levels.columns)


def _compute_changes(
    values: np.ndarray, days: np.ndarray, definition: SeriesDefinition
) -> np.ndarray:
    """Compute the changes of one series, one fewer than its levels."""
    before, after = values[:-1], values[1:]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if definition.treatment == "log_return":
            logs = np.log(np.where(values > 0, values, np.nan))
            changes = logs[1:] - logs[:-1]
        elif definition.treatment == "simple_return":
            changes = np.where(before > 0, after / before - 1.0, np.nan)
        elif definition.treatment == "difference":
            changes = after - before
        else:
            is_monthly = definition.frequency == "monthly"
            years = np.full_like(days, 1 / _MONTHS_A_YEAR) if is_monthly else days / _DAYS_A_YEAR
            changes = _approximate_bond_returns(
                before / _PERCENT, after / _PERCENT, years, definition.maturity_years or np.nan
            )
    signed: np.ndarray = definition.sign * changes
    return signed


def _approximate_bond_returns(
    before: np.ndarray, after: np.ndarray, years: np.ndarray, maturity_years: float
) -> np.ndarray:
    duration, convexity = par_bond_sensitivities(before, maturity_years)
    move = after - before
    returns: np.ndarray = before * years - duration * move + 0.5 * convexity * move**2
    return returns


def par_bond_sensitivities(
    yields: np.ndarray, maturity_years: float
) -> tuple[np.ndarray, np.ndarray]:
    r"""Compute the modified duration and the convexity of par bonds with semi-annual coupons.

    With :math:`n = 2M` coupons and :math:`v = (1 + y/2)^{-1}`,
    :math:`D = (1 - v^n) / y` and :math:`C = (2 D - n v^{n+1}) / y`.

    Parameters
    ----------
    yields : ndarray
        Yields and coupons, compounded twice a year, as fractions.
    maturity_years : float
        The maturity M in years.

    Returns
    -------
    duration, convexity : ndarray
        In years and in years squared: minus the first and plus the second derivative of the
        price to the yield, over the price. NaN where a yield is -200 % or less.

    References
    ----------
    Tuckman, B. and Serrat, A. (2012), Fixed Income Securities, 3rd edition, chapter 4.

    Examples
    --------
    >>> duration, convexity = par_bond_sensitivities(np.array([0.05]), 10)
    >>> round(float(duration[0]), 3), round(float(convexity[0]), 2)
    (7.795, 73.63)
    """
    coupons = 2 * maturity_years
    tiny = np.abs(yields) < _NO_YIELD
    safe = np.where(tiny | (yields <= -2), np.nan, yields)
    log_growth = np.log1p(safe / 2)
    duration = -np.expm1(-coupons * log_growth) / safe
    convexity = (2 * duration - coupons * np.exp(-(coupons + 1) * log_growth)) / safe
    return (
        np.where(tiny, maturity_years, duration),
        np.where(tiny, coupons * (coupons + 1) / 4, convexity),
    )
