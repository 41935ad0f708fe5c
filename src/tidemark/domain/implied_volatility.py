"""Volatilities that quoted prices imply, vectorised, with a reason wherever there is none."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike

from tidemark.domain.option_blocks import discount_legs, evaluate_blocks
from tidemark.domain.volatility_steps import solve_total

# An intrinsic value is a difference of two numbers that were rounded several times each.
ROUNDING = 4.0 * np.finfo(np.float64).eps


class VolatilityCode(IntEnum):
    """Why there is an implied volatility, or none; the first that applies, in this order."""

    OK = 0
    NOT_FINITE = 1
    """An input is NaN or infinite."""
    NOT_POSITIVE = 2
    """Price, spot or strike is 0 or negative, such as the bid of what nobody bids for."""
    NO_TIME = 3
    """The time to expiry is 0 or negative."""
    BELOW_INTRINSIC = 4
    """The price is not above the discounted intrinsic value by more than its rounding."""
    ABOVE_MAXIMUM = 5
    """The price reaches the discounted forward (call) or the discounted strike (put)."""
    NO_CONVERGENCE = 6
    """The steps did not settle."""


@dataclass(frozen=True, eq=False)
class ImpliedVolatilities:
    """Implied volatilities and why some are missing, of the inputs' common shape.

    Attributes
    ----------
    vol_annual : ndarray of float
        NaN where the code is not OK.
    codes : ndarray of int8
        Values of `VolatilityCode`.
    """

    vol_annual: np.ndarray
    codes: np.ndarray


def implied_volatility(
    price: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    time_years: ArrayLike,
    rate_continuous: ArrayLike,
    is_call: ArrayLike,
    carry_continuous: ArrayLike | None = None,
) -> np.ndarray:
    """Compute implied volatilities; as `solve_implied_volatility`, without the codes."""
    return solve_implied_volatility(
        price, spot, strike, time_years, rate_continuous, is_call, carry_continuous
    ).vol_annual


def solve_implied_volatility(
    price: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    time_years: ArrayLike,
    rate_continuous: ArrayLike,
    is_call: ArrayLike,
    carry_continuous: ArrayLike | None = None,
) -> ImpliedVolatilities:
    """Compute the volatility at which `tidemark.domain.black_scholes.price` gives each price.

    Parameters
    ----------
    price : array_like
        Of one unit, in the currency of the spot. The parameters broadcast against each other.
    spot, strike, time_years, rate_continuous, is_call, carry_continuous : array_like
        As for `tidemark.domain.black_scholes.price`.

    Returns
    -------
    ImpliedVolatilities
        Annual, as fractions (0.2 is 20 %). The error is below 1e-9 wherever vega (per 1.00)
        exceeds 1e-4 of the spot and the strike is within a factor of 50 of it. Where vega is
        smaller, a price in the money is its intrinsic value but for few digits, which then limit
        the volatility.

    Raises
    ------
    ValueError
        If `is_call` is not boolean or the shapes do not broadcast.

    Notes
    -----
    The price's time value is the price of the out-of-the-money option of the same strike. For it
    `tidemark.domain.volatility_guess` makes a guess, and Householder's steps do the rest.

    References
    ----------
    Jäckel, P. (2015). "Let's be rational." Wilmott 2015(75), 40-53.

    Examples
    --------
    >>> implied_volatility([1.875, 0.9], 21.0, 20.0, 0.25, 0.10, True).round(3)
    array([0.235,   nan])
    """
    carry = rate_continuous if carry_continuous is None else carry_continuous
    numbers = [price, spot, strike, time_years, rate_continuous, carry]
    return ImpliedVolatilities(
        *evaluate_blocks(_solve_block, numbers, is_call, [np.float64, np.int8])
    )


def _solve_block(
    price: np.ndarray,
    spot: np.ndarray,
    strike: np.ndarray,
    time_years: np.ndarray,
    rate: np.ndarray,
    carry: np.ndarray,
    is_call: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Solve flat arrays; give volatilities and codes."""
    legs = discount_legs(spot, strike, time_years, rate, carry)
    bound = np.where(is_call, legs.asset, legs.cash)
    smaller, larger = np.minimum(legs.asset, legs.cash), np.maximum(legs.asset, legs.cash)
    intrinsic = bound - smaller
    value, room = price - intrinsic, bound - price
    codes = np.zeros(price.shape, dtype=np.int8)
    # From the last reason to the first, which has the last word.
    codes[room <= 0.0] = VolatilityCode.ABOVE_MAXIMUM
    codes[value <= ROUNDING * larger * (intrinsic > 0.0)] = VolatilityCode.BELOW_INTRINSIC
    codes[time_years <= 0.0] = VolatilityCode.NO_TIME
    codes[~((price > 0.0) & (spot > 0.0) & (strike > 0.0))] = VolatilityCode.NOT_POSITIVE
    codes[~np.isfinite(price + spot + strike + time_years + rate + carry)] = (
        VolatilityCode.NOT_FINITE
    )
    good = np.flatnonzero(codes == VolatilityCode.OK)
    smaller, larger = smaller[good], larger[good]
    unit = np.sqrt(smaller) * np.sqrt(larger)
    total, has_settled = solve_total(
        np.log(larger / smaller), value[good] / unit, room[good] / unit
    )
    vol_annual = np.full(price.shape, np.nan)
    vol_annual[good] = np.where(has_settled, total / np.sqrt(time_years[good]), np.nan)
    codes[good[~has_settled]] = VolatilityCode.NO_CONVERGENCE
    return vol_annual, codes
