"""European option prices under geometric Brownian motion with a continuous cost of carry.

The public names of the formula and of what follows from it: prices, implied volatilities and
greeks. All take arrays of any shapes that broadcast, all of them floats but ``is_call``, and return
new arrays; their inputs stay unchanged.

The cost of carry `b` says what the spot is (Haug's convention):

- ``carry = rate`` (or None): a stock without dividends (Black and Scholes 1973);
- ``carry = rate - yield``: a stock or an index with a continuous dividend yield (Merton 1973);
- ``carry = 0``: the spot is a forward or futures price of the option's expiry (Black 1976);
- ``carry = rate - foreign_rate``: a currency (Garman and Kohlhagen 1983).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tidemark.domain.greeks import Greeks, greeks
from tidemark.domain.implied_volatility import (
    ImpliedVolatilities,
    VolatilityCode,
    implied_volatility,
    solve_implied_volatility,
)
from tidemark.domain.normal import price_normalised
from tidemark.domain.option_blocks import discount_legs, evaluate_blocks

__all__ = [
    "Greeks",
    "ImpliedVolatilities",
    "VolatilityCode",
    "discount_factor",
    "forward_price",
    "greeks",
    "implied_volatility",
    "price",
    "solve_implied_volatility",
]


def discount_factor(time_years: ArrayLike, rate_continuous: ArrayLike) -> np.ndarray:
    """Compute the value today of 1 paid at the end of the time."""
    return np.asarray(np.exp(-np.asarray(rate_continuous, float) * np.asarray(time_years, float)))


def forward_price(
    spot: ArrayLike, time_years: ArrayLike, carry_continuous: ArrayLike
) -> np.ndarray:
    """Compute the price agreed today for delivery at the end of the time."""
    growth = np.exp(np.asarray(carry_continuous, float) * np.asarray(time_years, float))
    return np.asarray(np.asarray(spot, float) * growth)


def price(
    spot: ArrayLike,
    strike: ArrayLike,
    time_years: ArrayLike,
    rate_continuous: ArrayLike,
    vol_annual: ArrayLike,
    is_call: ArrayLike,
    carry_continuous: ArrayLike | None = None,
) -> np.ndarray:
    """Compute the price of European options.

    Parameters
    ----------
    spot, strike : array_like
        Above 0, in one currency.
    time_years : array_like
        From the quote to the expiry, at least 0; at 0 the price is the intrinsic value.
    rate_continuous : array_like
        The riskless rate, annual and continuously compounded.
    vol_annual : array_like
        The volatility, a fraction (0.2 is 20 %), at least 0; at 0 the price is the discounted
        intrinsic value of the forward.
    is_call : array_like of bool
        True for a call, False for a put.
    carry_continuous : array_like, optional
        The cost of carry, annual and continuously compounded; the rate if not given. With 0 the
        spot is a forward price.

    Returns
    -------
    ndarray
        Of one unit, in the currency of the spot. NaN where an input is NaN or infinite, the spot
        or the strike is not above 0, or the time or the volatility is negative.

    Raises
    ------
    ValueError
        If `is_call` is not boolean or the shapes do not broadcast.

    Notes
    -----
    The out-of-the-money option of each strike is computed first, and the other is it and the
    intrinsic value (put-call parity), so that no wing is a difference of two large numbers.

    References
    ----------
    Black, F. and Scholes, M. (1973). "The pricing of options and corporate liabilities." Journal
    of Political Economy 81(3), 637-654.
    Merton, R. C. (1973). "Theory of rational option pricing." Bell Journal of Economics and
    Management Science 4(1), 141-183.
    Haug, E. G. (2007). The Complete Guide to Option Pricing Formulas, 2nd ed., section 1.1.6.

    Examples
    --------
    >>> price(42.0, 40.0, 0.5, 0.10, 0.20, [True, False]).round(2)
    array([4.76, 0.81])
    """
    carry = rate_continuous if carry_continuous is None else carry_continuous
    numbers = [spot, strike, time_years, rate_continuous, vol_annual, carry]
    return evaluate_blocks(_price_block, numbers, is_call, [np.float64])[0]


def _price_block(
    spot: np.ndarray,
    strike: np.ndarray,
    time_years: np.ndarray,
    rate: np.ndarray,
    vol: np.ndarray,
    carry: np.ndarray,
    is_call: np.ndarray,
) -> tuple[np.ndarray]:
    """Price flat arrays."""
    legs = discount_legs(spot, strike, time_years, rate, carry)
    smaller, larger = np.minimum(legs.asset, legs.cash), np.maximum(legs.asset, legs.cash)
    normalised = price_normalised(np.log(smaller / larger), vol * np.sqrt(time_years))
    intrinsic = np.where(is_call, legs.asset, legs.cash) - smaller
    values = intrinsic + np.sqrt(smaller) * np.sqrt(larger) * normalised
    is_valid = (spot > 0.0) & (strike > 0.0) & (time_years >= 0.0) & (vol >= 0.0)
    is_valid &= np.isfinite(spot + strike + time_years + rate + vol + carry)
    return (np.where(is_valid, values, np.nan),)
