"""Householder's steps from a first guess to the total volatility of a normalised price.

Below the inflection they solve for the reciprocal of the log price, above it for the log of the
distance to the upper bound: both are close to linear where the price itself is flat.

References
----------
Householder, A. S. (1970). The Numerical Treatment of a Single Nonlinear Equation, section 4.4.
Jäckel, P. (2015). "Let's be rational." Wilmott 2015(75), 40-53 (these two functions).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tidemark.domain.normal import (
    log_complement_high,
    log_price_low,
    price_at_inflection,
)
from tidemark.domain.volatility_guess import guess_high, guess_low

# The steps converge with order 4: one that moved by less than this leaves no error behind it.
STEP_RELATIVE, STEP_ABSOLUTE = 1e-3, 1e-13
MAX_STEPS = 12


def solve_total(
    distance: np.ndarray, price: np.ndarray, complement: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Solve for the total volatility of normalised prices, and say where the steps settled.

    Parameters
    ----------
    distance : ndarray, shape (n,)
        The legs' absolute log ratio.
    price, complement : ndarray, shape (n,)
        Above 0; their sum is the upper bound.

    Returns
    -------
    total : ndarray, shape (n,)
        ``vol * sqrt(time)``.
    has_settled : ndarray of bool, shape (n,)
    """
    total, has_settled = np.empty_like(price), np.empty(price.shape, dtype=np.bool_)
    inflection = price_at_inflection(distance)
    is_low = price < inflection
    low, high = np.flatnonzero(is_low), np.flatnonzero(~is_low)
    x, target = -distance[low], np.log(price[low])
    total[low], has_settled[low] = _iterate(_step_low, x, target, guess_low(-x, target))
    x, rest = -distance[high], complement[high]
    guess = guess_high(-x, rest, np.exp(0.5 * x) - inflection[high])
    total[high], has_settled[high] = _iterate(_step_high, x, np.log(rest), guess)
    return total, has_settled


def _iterate(
    step: Callable[..., np.ndarray], x: np.ndarray, target: np.ndarray, guess: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Step until each element has settled; those that have are left alone."""
    total, has_settled = guess, np.zeros(guess.shape, dtype=np.bool_)
    left = np.arange(guess.size)
    for _ in range(MAX_STEPS):
        before = total[left]
        after = step(x[left], before, target[left])
        total[left] = after
        settles = np.abs(after - before) <= STEP_RELATIVE * after + STEP_ABSOLUTE
        has_settled[left] = settles
        left = left[~settles]
        if left.size == 0:
            break
    return total, has_settled


def _step_low(x: np.ndarray, s: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Step towards the zero of ``1 / log(b) - 1 / target``, below the inflection."""
    log_price, slope = log_price_low(x, s)
    ratio, ratio_2 = _relate_derivatives(x, s)
    inverse = 1.0 / log_price
    bent = slope * (1.0 + 2.0 * inverse)
    newton = (target - log_price) * (log_price / target) / slope
    second = ratio - bent
    third = ratio_2 - 3.0 * ratio * bent
    third += 2.0 * slope * slope * (1.0 + 3.0 * inverse * (1.0 + inverse))
    after: np.ndarray = np.minimum(s + _householder(newton, second, third, s), np.sqrt(-2.0 * x))
    return after


def _step_high(x: np.ndarray, s: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Step towards the zero of ``log(exp(x / 2) - b) - target``, above the inflection."""
    log_complement, slope = log_complement_high(x, s)
    ratio, ratio_2 = _relate_derivatives(x, s)
    newton = (log_complement - target) / slope
    second = ratio + slope
    third = ratio_2 + 3.0 * slope * ratio + 2.0 * slope * slope
    after: np.ndarray = np.maximum(s + _householder(newton, second, third, s), np.sqrt(-2.0 * x))
    return after


def _relate_derivatives(x: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the second and third derivative of ``b`` in `s` over the first."""
    h = x / s
    curvature = h * h
    ratio = curvature / s - 0.25 * s
    return ratio, ratio * ratio - 3.0 * curvature / (s * s) - 0.25


def _householder(
    newton: np.ndarray, second: np.ndarray, third: np.ndarray, s: np.ndarray
) -> np.ndarray:
    """Compute Householder's third-order step, but never down by more than half.

    Parameters
    ----------
    newton : ndarray
        Newton's step.
    second, third : ndarray
        Derivatives over the first.
    s : ndarray
        Where the step starts.
    """
    step = newton * (1.0 + 0.5 * second * newton)
    step /= 1.0 + newton * (second + third * newton / 6.0)
    bounded: np.ndarray = np.maximum(step, -0.5 * s)
    return bounded
