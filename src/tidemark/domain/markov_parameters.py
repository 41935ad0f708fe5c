"""Parameters of Markov switching, and what a transition matrix says of its regimes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np


@dataclass(frozen=True, eq=False)
class MarkovParameters:
    """Parameters of a Markov-switching model of one series.

    With ``level_t = means[S_t] + slopes[S_t] x_t``, where ``S_t`` is the regime, the model is
    ``y_t - level_t = sum_j ar[j-1] (y_{t-j} - level_{t-j}) + e_t`` with ``e_t`` normal of
    variance ``variances[S_t]``.

    Attributes
    ----------
    transition : ndarray, shape (regimes, regimes)
        ``transition[i, j]`` is the probability of regime j after regime i: rows add up to 1.
    means, variances : ndarray, shape (regimes,)
        In the series' unit and its square. Means are zero where a regressor takes their place.
    slopes : ndarray, shape (regimes,), or None
        Coefficients of the regressor; None for a model without one.
    ar : ndarray, shape (lags,)
        Common to all regimes; empty without autoregression.

    Raises
    ------
    ValueError
        If shapes do not fit, a value is not finite, a variance is not positive, or a row of
        ``transition`` is no distribution.
    """

    transition: np.ndarray
    means: np.ndarray
    variances: np.ndarray
    slopes: np.ndarray | None = None
    ar: np.ndarray = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        for name in ("transition", "means", "variances", "slopes", "ar"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, np.array(value, dtype="float64"))
        _require_transition(self.transition)
        for name in ("means", "variances", "slopes"):
            value = getattr(self, name)
            if value is not None and value.shape != (self.n_regimes,):
                raise ValueError(
                    f"{name} of shape {value.shape} do not fit {self.n_regimes} regimes: give one "
                    "number for each row of the transition matrix"
                )
        slopes = np.empty(0) if self.slopes is None else self.slopes
        finite = all(
            np.isfinite(given).all() for given in (self.means, self.variances, slopes, self.ar)
        )
        if self.ar.ndim != 1 or not finite:
            raise ValueError("Parameters must be finite, and ar a list: look for NaN in them")
        if not (self.variances > 0.0).all():
            raise ValueError(f"Variances must be positive, not {self.variances.tolist()}")

    @property
    def n_regimes(self) -> int:
        """Number of regimes."""
        return len(self.transition)

    @property
    def autoregression(self) -> int:
        """Number of lags."""
        return len(self.ar)

    def to_dict(self) -> dict[str, Any]:
        """Put the parameters into lists of numbers, fit for JSON."""
        return {
            "transition": self.transition.tolist(),
            "means": self.means.tolist(),
            "variances": self.variances.tolist(),
            "slopes": None if self.slopes is None else self.slopes.tolist(),
            "ar": self.ar.tolist(),
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Take the parameters back from what `to_dict` gave."""
        return cls(**fields)


def ergodic_distribution(transition: np.ndarray) -> np.ndarray:
    """Compute the distribution that a transition matrix leaves as it is.

    Parameters
    ----------
    transition : ndarray of float, shape (regimes, regimes)
        Rows: from; columns: to.

    Returns
    -------
    ndarray of float, shape (regimes,)
        Adds up to 1.

    Raises
    ------
    ValueError
        If a row is no distribution, or there are several such distributions: some regimes are
        never left for others.

    References
    ----------
    Hamilton, J. D. (1994), Time Series Analysis, equation 22.2.26.
    """
    matrix = np.asarray(transition, dtype="float64")
    _require_transition(matrix)
    k = len(matrix)
    system = np.vstack([np.eye(k) - matrix.T, np.ones(k)])
    solution, _, rank, _ = np.linalg.lstsq(system, np.r_[np.zeros(k), 1.0], rcond=None)
    if rank < k:
        raise ValueError(
            "The regimes fall into groups that are never left, so no single ergodic distribution "
            "exists: choose fewer regimes"
        )
    solution = np.maximum(solution, 0.0)  # rounding can leave a regime at -1e-17
    return np.asarray(solution / solution.sum())


def expected_durations(transition: np.ndarray) -> np.ndarray:
    """Compute how long each regime lasts on average, ``1 / (1 - p_ii)`` in observations.

    Returns
    -------
    ndarray of float, shape (regimes,)
        At least 1; infinite for a regime that is never left.

    Raises
    ------
    ValueError
        If a row of ``transition`` is no distribution.
    """
    matrix = np.asarray(transition, dtype="float64")
    _require_transition(matrix)
    with np.errstate(divide="ignore"):
        return np.asarray(1.0 / np.maximum(1.0 - np.diag(matrix), 0.0))


def _require_transition(matrix: np.ndarray) -> None:
    is_square = matrix.ndim == 2 and len(matrix) and matrix.shape[0] == matrix.shape[1]
    # Written so that NaN is refused.
    if not (is_square and (matrix >= 0.0).all() and (abs(matrix.sum(axis=1) - 1.0) <= 1e-8).all()):
        raise ValueError(
            "A transition matrix must be square, without negative numbers, and its rows (from) "
            f"must add up to 1, not {matrix.tolist()}"
        )
