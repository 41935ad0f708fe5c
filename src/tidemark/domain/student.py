"""A regression whose errors follow Student's t: one regime, but with fat tails."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tidemark.domain.regime_scores import fit_single

# Below two the variance is infinite; above fifty the density is all but Gaussian.
_DEGREES = (2.1, 50.0)


@dataclass(frozen=True)
class StudentRegime:
    """``y_t = intercept + sum_j ar[j-1] y_{t-j} + slope x_t + scale e_t``, e_t Student's t.

    Attributes
    ----------
    intercept, ar, slope
        As in `tidemark.domain.regime_scores.SingleRegime`: least squares.
    scale : float
        In the unit of y.
    degrees : float
        Degrees of freedom, between 2.1 and 50.
    """

    intercept: float
    ar: tuple[float, ...]
    slope: float | None
    scale: float
    degrees: float

    def log_scores(self, y: np.ndarray, x: np.ndarray | None = None) -> np.ndarray:
        """Score each row, in nats; NaN for the first rows, which have too few lags."""
        from scipy.stats import t as student

        residuals = _leave(self, y, x)
        scores: np.ndarray = student.logpdf(residuals, self.degrees, scale=self.scale)
        return scores


def fit_student(
    y: np.ndarray, x: np.ndarray | None = None, autoregression: int = 0
) -> StudentRegime:
    """Fit the coefficients by least squares, scale and degrees of freedom by maximum likelihood.

    Parameters
    ----------
    y, x, autoregression
        As for `tidemark.domain.regime_scores.fit_single`.

    Raises
    ------
    ValueError, numpy.linalg.LinAlgError
        As for `fit_single`.

    References
    ----------
    Lange, K. L., Little, R. J. A. and Taylor, J. M. G. (1989), Robust Statistical Modeling Using
    the t Distribution, Journal of the American Statistical Association 84, 881-896.
    """
    from scipy.optimize import minimize
    from scipy.stats import t as student

    line = fit_single(y, x, autoregression)
    deviation = line.variance**0.5
    plain = StudentRegime(line.intercept, line.ar, line.slope, deviation, _DEGREES[1])
    residuals = _leave(plain, y, x)
    known = residuals[np.isfinite(residuals)] / deviation

    def lose(parameters: np.ndarray) -> float:
        log_scale, degrees = parameters
        return -float(student.logpdf(known, degrees, scale=np.exp(log_scale)).mean())

    found = minimize(lose, np.array([-0.2, 6.0]), method="L-BFGS-B", bounds=[(-3.0, 1.0), _DEGREES])
    if not np.isfinite(found.fun) or found.fun > lose(np.array([0.0, _DEGREES[1]])):
        return plain
    log_scale, degrees = found.x
    return StudentRegime(
        line.intercept, line.ar, line.slope, deviation * float(np.exp(log_scale)), float(degrees)
    )


def _leave(line: StudentRegime, y: np.ndarray, x: np.ndarray | None) -> np.ndarray:
    """Compute what the regression leaves of each row."""
    left = y - line.intercept
    if line.slope is not None:
        if x is None:
            raise ValueError("The regression has a regressor: give its values, x.")
        left = left - line.slope * x
    for lag, coefficient in enumerate(line.ar, start=1):
        left = left - coefficient * np.r_[np.full(lag, np.nan), y[:-lag]]
    return np.asarray(left)
