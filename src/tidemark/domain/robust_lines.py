"""Lines through many groups of points at once that a few bad points do not turn."""

from __future__ import annotations

import numpy as np

from tidemark.domain.chains import Floats, Integers

# 95 % efficient where the errors are normal (Huber 1981, section 1.3).
HUBER = 1.345
# The median absolute deviation of a standard normal variable.
NORMAL_MAD = 0.6744897501960817
MAX_PASSES = 50
TOLERANCE = 1e-12
# A line that meets most points exactly has no scale; rounding then stands in for one.
LEAST_SCALE = 1e-9


def fit_lines(
    x: Floats, y: Floats, error: Floats, group: Integers, n_groups: int
) -> tuple[Floats, Floats]:
    """Fit ``y = level + slope * x`` in each group by Huber's regression, iteratively reweighted.

    Parameters
    ----------
    x, y, error : ndarray, shape (points,)
        `error`, above 0, is the unit of each point's residual. The scale of a group is the median
        of its absolute residuals in these units, as for normal errors.
    group : ndarray of int, shape (points,)
        From 0 to ``n_groups - 1``, none without a point.
    n_groups : int

    Returns
    -------
    level, slope : ndarray, shape (n_groups,)
        NaN where all of a group's `x` are one.

    References
    ----------
    Huber, P. J. (1964). "Robust estimation of a location parameter." Annals of Mathematical
    Statistics 35(1), 73-101.
    Holland, P. W. and Welsch, R. E. (1977). "Robust regression using iteratively reweighted
    least-squares." Communications in Statistics A 6(9), 813-827.
    """
    precision = 1.0 / np.square(error)
    weight = precision
    level, slope = np.zeros((2, n_groups))
    fitted = np.arange(n_groups)  # those that have not settled; the points are theirs alone
    for _ in range(MAX_PASSES):
        n = len(fitted)
        before = level[fitted]
        level[fitted], slope[fitted] = now, tilt = fit_weighted_lines(x, y, weight, group, n)
        missed = np.abs(y - now[group] - tilt[group] * x) / error
        scale = median_by_group(missed, group, n) / NORMAL_MAD
        bound = HUBER * np.maximum(scale, LEAST_SCALE)[group]
        weight = precision * np.minimum(1.0, bound / np.maximum(missed, bound))
        moved = np.abs(now - before) > TOLERANCE * np.maximum(np.abs(now), 1.0)
        if not moved.any():
            break
        stays = moved[group]
        x, y, error, precision, weight = (
            values[stays] for values in (x, y, error, precision, weight)
        )
        group = (np.cumsum(moved) - 1)[group[stays]]
        fitted = fitted[moved]
    return level, slope


def median_by_group(values: Floats, group: Integers, n_groups: int) -> Floats:
    """Compute the median of each group, the lower one of two; no group is without a value."""
    order = np.lexsort((values, group))
    counts = np.bincount(group, minlength=n_groups)
    middle: Floats = values[order][np.cumsum(counts) - counts + (counts - 1) // 2]
    return middle


def fit_weighted_lines(
    x: Floats, y: Floats, weight: Floats, group: Integers, n_groups: int
) -> tuple[Floats, Floats]:
    """Fit ``y = level + slope * x`` in each group by weighted least squares.

    Returns
    -------
    level, slope : ndarray, shape (n_groups,)
        NaN where a group has no point, or all its `x` are one.
    """
    total = np.bincount(group, weight, n_groups)
    with np.errstate(divide="ignore", invalid="ignore"):
        x_mean = np.bincount(group, weight * x, n_groups) / total
        y_mean = np.bincount(group, weight * y, n_groups) / total
        dx, dy = x - x_mean[group], y - y_mean[group]
        slope: Floats = np.divide(
            np.bincount(group, weight * dx * dy, n_groups),
            np.bincount(group, weight * dx * dx, n_groups),
        )
    return y_mean - slope * x_mean, slope
