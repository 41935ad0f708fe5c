r"""First guesses of the total volatility that gives a normalised price.

Below the inflection: the derivative of the normalised price in `s` is
``phi(x / s) * exp(-s**2 / 8)``, so that with ``a = -x``

.. math:: b(x, s) = \int_0^s \phi(a/u) e^{-u^2/8} du = e^{-\bar u^2/8} \int_0^s \phi(a/u) du,

where the last integral is the price under a normal law (Bachelier), a function of ``a / s`` alone
once it is divided by `a`. Its inverse is one table. The mean of ``u**2`` under the weight
``phi(a / u)`` stands in for the unknown one: it is exact to first order in ``s**2``, and it
approaches ``s**2`` in the wings. The guess is within 13 % for any ``a`` up to 30, and mostly far
nearer.

Above it: ``Phi(-s / 2)`` is a linear function of the price where ``x`` is 0, and is interpolated
between the inflection and the highest price by their values and slopes.

References
----------
Jäckel, P. (2015). "Let's be rational." Wilmott 2015(75), 40-53 (the interpolation above).
Bachelier, L. (1900). "Théorie de la spéculation." Annales scientifiques de l'ENS 17, 21-86.
"""

from __future__ import annotations

from functools import cache

import numpy as np

LOG_ROOT_TWO_PI = 0.5 * np.log(2.0 * np.pi)

# The table covers all that floats can hold: exp(-746) is 0, and a volatility below the inflection
# leaves a / s above 1e-9 for any a that differs from 0.
LOWEST, HIGHEST, PER_UNIT = -752.0, 42.0, 8.0
NODES = 100_000


@cache
def tabulate_bachelier() -> tuple[np.ndarray, np.ndarray]:
    """Tabulate ``log(a / s)`` and the mean of ``(u / s)**2`` by the log of price over `a`."""
    from scipy.special import erfcx

    ratio = np.geomspace(1e-20, 40.0, NODES)
    square = ratio * ratio
    with np.errstate(over="ignore"):
        # Price over s and the density; its series in 1 / ratio**2 where the difference cancels.
        price = np.where(
            ratio < 30.0,
            1.0 - ratio * np.sqrt(0.5 * np.pi) * erfcx(ratio * np.sqrt(0.5)),
            (1.0 - 3.0 / square * (1.0 - 5.0 / square)) / square,
        )
    mean_square = np.where(ratio < 30.0, (1.0 / price - square) / 3.0, 1.0 - 2.0 / square)
    log_price = np.log(price) - 0.5 * square - np.log(ratio) - LOG_ROOT_TWO_PI
    grid = np.arange(LOWEST, HIGHEST, 1.0 / PER_UNIT)
    order = slice(None, None, -1)
    log_ratios = np.interp(grid, log_price[order], np.log(ratio)[order])
    mean_squares = np.interp(grid, log_price[order], mean_square[order])
    log_ratios.flags.writeable = mean_squares.flags.writeable = False
    return log_ratios, mean_squares


def guess_low(distance: np.ndarray, log_price: np.ndarray) -> np.ndarray:
    """Guess the total volatility of a price below the inflection.

    Parameters
    ----------
    distance : ndarray, shape (n,)
        ``-x``, above 0.
    log_price : ndarray, shape (n,)
        The log of the normalised price.

    Returns
    -------
    ndarray, shape (n,)
        Above 0, at most ``sqrt(2 * distance)``.
    """
    ceiling = np.sqrt(2.0 * distance)
    level = log_price - np.log(distance)
    log_ratio, mean_square = look_up(level)
    total = np.minimum(distance * np.exp(-log_ratio), ceiling)
    log_ratio, _ = look_up(level + 0.125 * mean_square * total * total)
    guess: np.ndarray = np.minimum(distance * np.exp(-log_ratio), ceiling)
    return guess


def look_up(level: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read the table: the first function between its nodes, the second at the nearest one below."""
    log_ratios, mean_squares = tabulate_bachelier()
    position = np.clip((level - LOWEST) * PER_UNIT, 0.0, log_ratios.size - 1.5)
    node = position.astype(np.intp)
    left = log_ratios[node]
    log_ratio = left + (position - node) * (log_ratios[node + 1] - left)
    return log_ratio, mean_squares[node]


def guess_high(distance: np.ndarray, complement: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """Guess the total volatility of a price above the inflection.

    Parameters
    ----------
    distance : ndarray, shape (n,)
        ``-x``, at least 0.
    complement : ndarray, shape (n,)
        How far the normalised price lies below its upper bound, above 0.
    largest : ndarray, shape (n,)
        The same at the inflection.

    Returns
    -------
    ndarray, shape (n,)
        At least ``sqrt(2 * distance)``.
    """
    from scipy.special import ndtr, ndtri

    floor = np.sqrt(2.0 * distance)
    end = ndtr(-0.5 * floor)
    slope, end_slope = 0.5 * largest, 0.5 * largest * np.exp(0.25 * distance)
    share = np.minimum(complement / largest, 1.0)
    bend, twist = 3.0 * end - 2.0 * slope - end_slope, end_slope + slope - 2.0 * end
    tail = share * (slope + share * (bend + share * twist))
    # Far out of the money the cubic may dip below 0; half of it is the tail where x is 0.
    tail = np.where(tail > 0.0, tail, 0.5 * complement)
    guess: np.ndarray = np.maximum(-2.0 * ndtri(np.minimum(tail, end)), floor)
    return guess
