"""Sensitivities of European option prices, in the units in which desks and vendors quote them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tidemark.domain.option_blocks import discount_legs, evaluate_blocks

DAYS_PER_YEAR = 365.0
POINTS = 100.0


@dataclass(frozen=True, eq=False)
class Greeks:
    """Sensitivities of the price of one unit, each an array of the inputs' common shape.

    Attributes
    ----------
    delta : ndarray
        By one unit of the spot.
    gamma : ndarray
        Of delta, by one unit of the spot.
    vega : ndarray
        By one volatility point: 0.01 of `vol_annual`.
    theta : ndarray
        By one calendar day that passes: a 365th of a year. Negative where time decays.
    rho : ndarray
        By one percentage point: 0.01 of `rate_continuous`, while ``rate - carry`` (the dividend
        yield) stays. For an option on a forward, whose carry stays 0, the sensitivity to the rate
        is ``-0.01 * time_years * price`` instead.
    """

    delta: np.ndarray
    gamma: np.ndarray
    vega: np.ndarray
    theta: np.ndarray
    rho: np.ndarray


def greeks(
    spot: ArrayLike,
    strike: ArrayLike,
    time_years: ArrayLike,
    rate_continuous: ArrayLike,
    vol_annual: ArrayLike,
    is_call: ArrayLike,
    carry_continuous: ArrayLike | None = None,
) -> Greeks:
    """Compute delta, gamma, vega, theta and rho of European options.

    Parameters
    ----------
    spot, strike, time_years, rate_continuous, vol_annual, is_call, carry_continuous : array_like
        As for `tidemark.domain.black_scholes.price`.

    Returns
    -------
    Greeks
        NaN where the price is NaN, and where time or volatility is 0 and the forward is the
        strike, a kink that has no derivative. Elsewhere without time or volatility: the
        derivatives of the discounted intrinsic value, vega and gamma 0.

    Raises
    ------
    ValueError
        If `is_call` is not boolean or the shapes do not broadcast.

    References
    ----------
    Haug, E. G. (2007). The Complete Guide to Option Pricing Formulas, 2nd ed., chapter 2.

    Examples
    --------
    >>> result = greeks(49.0, 50.0, 20 / 52, 0.05, 0.20, True)
    >>> [round(float(x), 3) for x in (result.delta, result.gamma, result.vega, result.rho)]
    [0.522, 0.066, 0.121, 0.089]
    """
    carry = rate_continuous if carry_continuous is None else carry_continuous
    numbers = [spot, strike, time_years, rate_continuous, vol_annual, carry]
    return Greeks(*evaluate_blocks(_greeks_block, numbers, is_call, [np.float64] * 5))


def _greeks_block(
    spot: np.ndarray,
    strike: np.ndarray,
    time_years: np.ndarray,
    rate: np.ndarray,
    vol: np.ndarray,
    carry: np.ndarray,
    is_call: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """Compute flat arrays."""
    from scipy.special import ndtr

    legs = discount_legs(spot, strike, time_years, rate, carry)
    root = np.sqrt(time_years)
    total = vol * root
    d1 = np.log(legs.asset / legs.cash) / total + 0.5 * total
    is_valid = (spot > 0.0) & (strike > 0.0) & (time_years >= 0.0) & (vol >= 0.0)
    is_valid &= np.isfinite(spot + strike + time_years + rate + vol + carry)
    d1[~is_valid] = np.nan
    sign = np.where(is_call, 1.0, -1.0)
    asset = sign * legs.asset * ndtr(sign * d1)
    cash = sign * legs.cash * ndtr(sign * (d1 - total))
    density = legs.asset * np.exp(-0.5 * d1 * d1) * (1.0 / np.sqrt(2.0 * np.pi))
    # Without time or volatility the density is 0, and so is what it would be divided by.
    is_smooth = total > 0.0
    gamma = np.where(is_smooth, density / (spot * spot * total), density)
    decay = np.where(is_smooth, 0.5 * density * vol / root, density)
    return (
        asset / spot,
        gamma,
        density * root * (1.0 / POINTS),
        ((rate - carry) * asset - rate * cash - decay) * (1.0 / DAYS_PER_YEAR),
        time_years * cash * (1.0 / POINTS),
    )
