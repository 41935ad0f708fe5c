"""A simulated surface of implied volatility: mean-reverting factors under an SSVI surface.

Nothing here is market data. The surface is made from closes and a seed.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from tidemark.domain.simulation_draws import SURFACE_STREAM
from tidemark.domain.surface_settings import ShapeFactor, SurfaceSettings, VarianceFactor

__all__ = [
    "SESSIONS_PER_YEAR",
    "ShapeFactor",
    "SurfaceSettings",
    "VarianceFactor",
    "compute_atm_variance",
    "compute_max_eta",
    "compute_total_variance",
    "simulate_surface",
]

SESSIONS_PER_YEAR = 252

# A close that is far out of the trailing volatility moves the surface by no more than this.
_MAX_STANDARDISED_RETURN = 5.0
_MIN_VARIANCE = 1e-6


def simulate_surface(closes: pd.Series, settings: SurfaceSettings, seed: int) -> pd.DataFrame:
    """Simulate one SSVI surface for each close.

    Parameters
    ----------
    closes : Series of float, shape (sessions,)
        Levels of the index, indexed by ascending dates.
    settings : SurfaceSettings
    seed : int
        At least 0.

    Returns
    -------
    DataFrame, shape (sessions, 8)
        Indexed as `closes`. ``short_variance``, ``medium_variance``, ``long_variance``: annual
        variances; ``rho``, ``eta``: shapes; ``realised_vol_annual``: trailing volatility;
        ``rate_continuous``; ``carry_continuous``: rate less dividend yield, the growth of the
        forward.

    Raises
    ------
    ValueError
        If there are fewer than two closes, or one is missing or not positive.

    Notes
    -----
    Shocks of a session are correlated with its return divided by the trailing volatility of the
    session before: a fall raises variance more where the market was calm (leverage effect).

    Timing: row t uses closes to t.
    """
    values = closes.to_numpy(dtype="float64", na_value=np.nan)
    n_bad = int((~(np.isfinite(values) & (values > 0))).sum())
    if len(values) < 2 or n_bad:
        raise ValueError(
            f"{len(values)} closes, {n_bad} of them missing or not positive: give at least two "
            "positive closes, and leave out sessions without one"
        )
    returns = np.diff(np.log(values), prepend=np.log(values[0]))
    realised = _weigh_realised_variance(returns, settings)
    shocks = _draw_shocks(returns, realised, settings, seed)
    columns: dict[str, np.ndarray] = {}
    for index, name in enumerate(("short", "medium", "long")):
        factor: VarianceFactor = getattr(settings, name)
        level = 2 * np.log(factor.level_vol_annual)
        anchor = level + factor.realised_weight * (np.log(realised) - level)
        columns[f"{name}_variance"] = np.exp(
            anchor + _accumulate(factor.shock * shocks[:, index], factor.persistence)
        )
    columns["rho"] = -_move_shape(settings.correlation, shocks[:, 3])
    columns["eta"] = compute_max_eta(settings.gamma) * _move_shape(settings.curvature, shocks[:, 4])
    columns["realised_vol_annual"] = np.sqrt(realised)
    rate = settings.rate_continuous * np.exp(
        _accumulate(settings.rate_shock * shocks[:, 5], settings.rate_persistence)
    )
    columns["rate_continuous"] = rate
    columns["carry_continuous"] = rate - settings.dividend_continuous
    return pd.DataFrame(columns, index=closes.index)


def _weigh_realised_variance(returns: np.ndarray, settings: SurfaceSettings) -> np.ndarray:
    """Average squared returns with weights that halve; the level stands for the first, unknown."""
    squares = SESSIONS_PER_YEAR * returns**2
    squares[0] = settings.short.level_vol_annual**2
    averages: np.ndarray = (
        pd.Series(squares).ewm(halflife=settings.half_life_sessions).mean().to_numpy()
    )
    # A flat index has no volatility to divide by.
    positive: np.ndarray = np.maximum(averages, _MIN_VARIANCE)
    return positive


def _draw_shocks(
    returns: np.ndarray, realised: np.ndarray, settings: SurfaceSettings, seed: int
) -> np.ndarray:
    """Draw shocks of variance one: five factors, then the rate; the last is independent."""
    before = np.sqrt(np.concatenate([realised[:1], realised[:-1]]) / SESSIONS_PER_YEAR)
    standardised = np.clip(returns / before, -_MAX_STANDARDISED_RETURN, _MAX_STANDARDISED_RETURN)
    draws = np.random.default_rng([seed, SURFACE_STREAM]).standard_normal((len(returns), 7))
    shared, own, rate = draws[:, :1], draws[:, 1:6], draws[:, 6:]
    residual = np.sqrt(settings.common_share) * shared + np.sqrt(1 - settings.common_share) * own
    names = ("short", "medium", "long", "correlation", "curvature")
    leverage = np.array([getattr(settings, name).leverage for name in names])
    moved = leverage * standardised[:, None] + np.sqrt(1 - leverage**2) * residual
    return np.hstack([moved, rate])


def _accumulate(shocks: np.ndarray, persistence: float) -> np.ndarray:
    """Run an AR(1) from zero."""
    from scipy.signal import lfilter

    states: np.ndarray = lfilter([1.0], [1.0, -persistence], shocks)
    return states


def _move_shape(shape: ShapeFactor, shocks: np.ndarray) -> np.ndarray:
    logits = np.log(shape.level / (1 - shape.level)) + _accumulate(
        shape.shock * shocks, shape.persistence
    )
    moved: np.ndarray = 1 / (1 + np.exp(-logits))
    return moved


def compute_max_eta(gamma: float) -> float:
    """Compute the eta below which SSVI has no butterfly arbitrage, whatever rho and theta.

    Notes
    -----
    With ``phi(theta) = eta theta^-gamma (1 + theta)^(gamma - 1)`` the conditions
    ``theta phi (1 + |rho|) < 4`` and ``theta phi^2 (1 + |rho|) <= 4`` are strictest at
    ``|rho| = 1``; ``theta phi`` tends to eta, and ``theta phi^2`` has its peak at
    ``theta = 1 - 2 gamma``.

    References
    ----------
    Gatheral, J. and Jacquier, A. (2014). Arbitrage-free SVI volatility surfaces. Quantitative
    Finance 14(1), 59-71: theorem 4.2 and equation 4.5.

    Examples
    --------
    >>> round(compute_max_eta(0.5), 12)
    1.414213562373
    """
    peak = 1 - 2 * gamma
    height = peak**peak * (1 + peak) ** (2 * gamma - 2)
    return float(min(2.0, (2 / height) ** 0.5))


def compute_atm_variance(
    surface: pd.DataFrame, time_years: np.ndarray, settings: SurfaceSettings
) -> np.ndarray:
    """Compute theta, the total variance at the forward.

    Parameters
    ----------
    surface : DataFrame, shape (rows, ...)
        A row of `simulate_surface` for each value, repeated where dates repeat.
    time_years : ndarray of float, shape (rows,)
        At least 0.
    settings : SurfaceSettings

    Returns
    -------
    ndarray of float, shape (rows,)
        Implied variance times time.

    Notes
    -----
    Theta is the integral of the forward variance ``short e^-at + medium (e^-bt - e^-at) +
    long (1 - e^-bt)`` with ``a > b``: a positive mixture, so theta never falls with time. The
    expectation of a double mean-reverting variance has this form.

    References
    ----------
    Gatheral, J. (2008). Consistent modeling of SPX and VIX options. Bachelier Congress.
    """
    time = np.asarray(time_years, dtype="float64")
    fast = -np.expm1(-settings.fast_reversion * time) / settings.fast_reversion
    slow = -np.expm1(-settings.slow_reversion * time) / settings.slow_reversion
    theta: np.ndarray = (
        surface["short_variance"].to_numpy() * fast
        + surface["medium_variance"].to_numpy() * (slow - fast)
        + surface["long_variance"].to_numpy() * (time - slow)
    )
    return theta


def compute_total_variance(
    surface: pd.DataFrame,
    log_moneyness: np.ndarray,
    time_years: np.ndarray,
    settings: SurfaceSettings,
) -> np.ndarray:
    """Compute SSVI's total variance; divided by time and rooted it is the implied volatility.

    Parameters
    ----------
    surface, time_years, settings
        As for `compute_atm_variance`; time above 0.
    log_moneyness : ndarray of float, shape (rows,)
        Log of strike over forward.

    Returns
    -------
    ndarray of float, shape (rows,)

    References
    ----------
    Gatheral and Jacquier (2014), equation 4.1.
    """
    theta = compute_atm_variance(surface, time_years, settings)
    rho, eta = surface["rho"].to_numpy(), surface["eta"].to_numpy()
    scaled = eta * theta**-settings.gamma * (1 + theta) ** (settings.gamma - 1) * log_moneyness
    total: np.ndarray = theta / 2 * (1 + rho * scaled + np.sqrt((scaled + rho) ** 2 + 1 - rho**2))
    return total
