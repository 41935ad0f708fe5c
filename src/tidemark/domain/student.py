"""Regressions whose errors follow Student's t: one regime with fat tails, and one that fades."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Below two the variance is infinite; above fifty the density is all but Gaussian.
_DEGREES = (2.1, 50.0)
_FLOOR = 1e-3  # of the mean squared error so far: a stretch that stands still has no density


@dataclass(frozen=True, eq=False)
class StudentFit:
    """A regression with errors of Student's t.

    Attributes
    ----------
    coefficients : ndarray, shape (columns,)
        Of the columns of the design.
    scale : float
        In the unit of y.
    degrees : float
        Degrees of freedom, between 2.1 and 50.
    """

    coefficients: np.ndarray
    scale: float
    degrees: float

    def log_scores(self, y: np.ndarray, design: np.ndarray) -> np.ndarray:
        """Score each row, in nats; shapes (rows,) and (rows, columns)."""
        return log_student(y - design @ self.coefficients, self.scale, self.degrees)


def log_student(
    errors: np.ndarray, scale: np.ndarray | float, degrees: np.ndarray | float
) -> np.ndarray:
    """Compute the log density of Student's t; the three broadcast."""
    from scipy.special import gammaln

    constant = gammaln((degrees + 1.0) / 2.0) - gammaln(degrees / 2.0)
    constant = constant - 0.5 * np.log(np.pi * degrees) - np.log(scale)
    squares = (errors / scale) ** 2 / degrees
    return np.asarray(constant - (degrees + 1.0) / 2.0 * np.log1p(squares))


def fit_student(y: np.ndarray, design: np.ndarray) -> StudentFit:
    """Fit coefficients, scale and degrees of freedom together, by maximum likelihood.

    Parameters
    ----------
    y : ndarray, shape (rows,)
    design : ndarray, shape (rows, columns)
        As `tidemark.domain.regime_scores.make_design` stacks it; more rows than columns.

    Raises
    ------
    ValueError
        If least squares leave no error.

    References
    ----------
    Lange, K. L., Little, R. J. A. and Taylor, J. M. G. (1989), Robust Statistical Modeling Using
    the t Distribution, Journal of the American Statistical Association 84, 881-896.
    """
    from scipy.optimize import minimize

    line = np.linalg.lstsq(design, y, rcond=None)[0]
    deviation = float(np.sqrt(np.mean((y - design @ line) ** 2)))
    if deviation <= 1e-12 * float(np.abs(y).max(initial=0.0)):
        raise ValueError("The regression leaves no error, so it has no density: leave it out")
    unit = y / deviation
    n_columns = design.shape[1]

    def lose(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        log_scale, degrees = parameters[n_columns:]
        scale = np.exp(log_scale)
        errors = unit - design @ parameters[:n_columns]
        weights = (degrees + 1.0) / (degrees + (errors / scale) ** 2)
        squares = (errors / scale) ** 2
        slopes = design.T @ (weights * errors) / scale**2
        by_scale = float((weights * squares).sum()) - len(unit)
        step = 1e-5
        ends = [
            float(log_student(errors, scale, degrees + sign * step).sum()) for sign in (1.0, -1.0)
        ]
        gradient = np.r_[slopes, by_scale, (ends[0] - ends[1]) / (2.0 * step)]
        return -float(log_student(errors, scale, degrees).mean()), -gradient / len(unit)

    bounds = [*[(None, None)] * n_columns, (-15.0, 1.0), _DEGREES]
    # One gross error makes the deviation say little of the scale; the median does not mind it.
    usual = float(np.median(np.abs(unit - design @ (line / deviation)))) / 0.6745
    start = np.r_[line / deviation, np.log(max(usual, 1e-6)), 6.0]
    found = minimize(lose, start, jac=True, method="L-BFGS-B", bounds=bounds)
    *coefficients, log_scale, degrees = found.x.tolist()
    return StudentFit(
        np.array(coefficients) * deviation, deviation * float(np.exp(log_scale)), degrees
    )


def discount_errors(
    y: np.ndarray, design: np.ndarray, n_first: int, decay: float
) -> tuple[np.ndarray, np.ndarray]:
    """Forecast each row by least squares that forget, and by how much they have missed lately.

    Parameters
    ----------
    y, design
        As for `fit_student`.
    n_first : int
        Rows that the first coefficients and variance are fitted to.
    decay : float
        Weight of an observation relative to the next one, below 1.

    Returns
    -------
    errors, variances : ndarray, shape (rows,)
        One-step errors, and their exponentially weighted mean square *before* each row; NaN in
        the first rows.

    Timing
    ------
    Row t uses y up to t - 1 and the design of t.

    References
    ----------
    Harrison, P. J. and Johnston, F. R. (1984), Discount Weighted Regression, Journal of the
    Operational Research Society 35, 923-932.

    J.P. Morgan/Reuters (1996), RiskMetrics Technical Document, 4th edition, chapter 5.
    """
    errors, variances = np.full(len(y), np.nan), np.full(len(y), np.nan)
    head = design[:n_first]
    coefficients = np.linalg.lstsq(head, y[:n_first], rcond=None)[0]
    # A ridge so small that it only matters where nothing has moved.
    precision = head.T @ head
    spread = np.linalg.inv(
        precision + 1e-9 * np.eye(len(precision)) * max(np.trace(precision), 1.0)
    )
    variance = mean = float(np.mean((y[:n_first] - head @ coefficients) ** 2))
    for row in range(n_first, len(y)):
        at = design[row]
        variances[row] = max(variance, _FLOOR * mean)
        errors[row] = error = float(y[row] - at @ coefficients)
        gain = spread @ at / (decay + at @ spread @ at)
        coefficients = coefficients + gain * error
        spread = (spread - np.outer(gain, at @ spread)) / decay
        variance = decay * variance + (1.0 - decay) * error**2
        mean += (error**2 - mean) / (row + 1)
    return errors, variances
