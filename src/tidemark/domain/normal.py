r"""The out-of-the-money option price in units of the two legs' geometric mean.

With ``x = -abs(log(asset leg / cash leg))`` and ``s = vol * sqrt(time)``, the undiscounted price of
the out-of-the-money option, call or put, in units of ``sqrt(forward * strike)`` is

.. math:: b(x, s) = e^{x/2} \Phi(x/s + s/2) - e^{-x/2} \Phi(x/s - s/2),

which rises in `s` from 0 to ``exp(x / 2)``. Both terms are tails of the normal distribution that
hardly differ in the wings. They share the factor ``exp(-(h**2 + t**2) / 2)`` with ``h = x / s`` and
``t = s / 2``, which the scaled complementary error function takes out.

References
----------
Jäckel, P. (2015). "Let's be rational." Wilmott 2015(75), 40-53.
"""

from __future__ import annotations

import numpy as np

ROOT_HALF = np.sqrt(0.5)
ROOT_TWO_OVER_PI = np.sqrt(2.0 / np.pi)
_TINY = np.finfo(np.float64).tiny


def price_normalised(x: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Compute ``b(x, s)``.

    Parameters
    ----------
    x : ndarray, shape (n,)
        At most 0.
    s : ndarray, shape (n,)
        At least 0; the price is 0 where it is 0.

    Returns
    -------
    ndarray, shape (n,)
        The relative error stays below 1e-11 in the wings; the absolute error is some 1e-16.
    """
    from scipy.special import ndtr

    growth, middle = np.exp(0.5 * x), x / s
    prices = growth * ndtr(middle + 0.5 * s) - ndtr(middle - 0.5 * s) / growth
    low = np.flatnonzero(s * s <= -2.0 * x)
    prices[low] = np.exp(log_price_low(x[low], s[low])[0])
    return np.where(s > 0.0, prices, 0.0)


def log_price_low(x: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute ``log(b)`` and its derivative in `s`, for ``s <= sqrt(-2 * x)``.

    There ``b`` is convex in `s`, and each of its terms is a lower tail.
    """
    from scipy.special import erfcx

    h, t = x / s, s / 2.0
    # Where the terms agree to the last digit, rounding may turn their order about.
    difference = np.maximum(erfcx((h + t) * -ROOT_HALF) - erfcx((t - h) * ROOT_HALF), _TINY)
    return np.log(0.5 * difference) - 0.5 * (h * h + t * t), ROOT_TWO_OVER_PI / difference


def log_complement_high(x: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute ``log(exp(x / 2) - b)`` and minus its derivative in `s`, for ``s >= sqrt(-2 * x)``.

    There ``b`` is concave in `s`, and the complement is a sum of two upper tails.
    """
    from scipy.special import erfcx

    h, t = x / s, s / 2.0
    total = erfcx((h + t) * ROOT_HALF) + erfcx((t - h) * ROOT_HALF)
    return np.log(0.5 * total) - 0.5 * (h * h + t * t), ROOT_TWO_OVER_PI / total


def price_at_inflection(distance: np.ndarray) -> np.ndarray:
    """Compute ``b(x, sqrt(-2 * x))``, where ``b`` turns from convex to concave in `s`.

    Parameters
    ----------
    distance : ndarray
        ``-x``.
    """
    from scipy.special import erfcx

    inflection: np.ndarray = 0.5 * np.exp(-0.5 * distance) * (1.0 - erfcx(np.sqrt(distance)))
    return inflection
