"""Markov switching fitted to a series by maximum likelihood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tidemark.domain.markov import MarkovFilter, MarkovForecast, filter_markov, smooth_filtered
from tidemark.domain.markov_likelihood import draw_start, make_model, maximise_likelihood
from tidemark.domain.markov_parameters import MarkovParameters
from tidemark.domain.regime_inputs import read_series

MIN_OBS_A_PARAMETER = 2  # scored observations that a fit needs for each parameter


@dataclass(frozen=True, eq=False)
class MarkovFit:
    """A Markov-switching model fitted by maximum likelihood; see `fit_markov`.

    Attributes
    ----------
    parameters : MarkovParameters
        The estimates.
    filter : MarkovFilter
        What the observations said of the regimes, with these parameters.
    smoothed : DataFrame, shape (dates, regimes)
        Retrospective: probabilities of the regimes given the whole series; see `smooth_markov`.
    n_parameters : int
        Free parameters.
    n_starts, n_starts_converged : int
        Starts that were tried, and those of them that converged.
    """

    parameters: MarkovParameters
    filter: MarkovFilter
    smoothed: pd.DataFrame
    n_parameters: int
    n_starts: int
    n_starts_converged: int

    @property
    def transition(self) -> np.ndarray:
        """Probabilities of regime j after regime i, shape (regimes, regimes)."""
        return self.parameters.transition

    @property
    def means(self) -> np.ndarray:
        """Mean of each regime."""
        return self.parameters.means

    @property
    def variances(self) -> np.ndarray:
        """Variance of each regime."""
        return self.parameters.variances

    @property
    def slopes(self) -> np.ndarray | None:
        """Slope of each regime; None without a regressor."""
        return self.parameters.slopes

    @property
    def filtered(self) -> pd.DataFrame:
        """Probabilities of the regimes at t given y up to t, with parameters of the whole fit."""
        return self.filter.filtered

    @property
    def log_likelihood(self) -> float:
        """Sum of the log scores, in nats."""
        return float(self.filter.log_scores.sum())

    @property
    def aic(self) -> float:
        """Akaike's information criterion."""
        return 2.0 * self.n_parameters - 2.0 * self.log_likelihood

    @property
    def bic(self) -> float:
        """Schwarz's criterion; observations that only serve as lags do not count."""
        n_scored = int(self.filter.log_scores.notna().sum())
        return float(np.log(n_scored)) * self.n_parameters - 2.0 * self.log_likelihood

    def predict_next(self, next_exog: float | None = None) -> MarkovForecast:
        """Forecast the observation after the last one; see `MarkovFilter.predict_next`."""
        return self.filter.predict_next(next_exog)


def fit_markov(
    series: pd.Series | np.ndarray,
    n_regimes: int = 2,
    autoregression: int = 0,
    switching_variance: bool = True,
    n_starts: int = 5,
    seed: int = 0,
    exog: pd.Series | np.ndarray | None = None,
) -> MarkovFit:
    """Fit a Markov-switching model by maximum likelihood from several starts.

    Parameters
    ----------
    series : Series or ndarray of float, shape (dates,)
        In order of time, no missing values. Its unit and scale do not matter to the regimes.
    n_regimes : int
        At least 2.
    autoregression : int
        Lags, with coefficients common to all regimes. The mean switches, as in Hamilton (1989),
        not the intercept.
    switching_variance : bool
        Whether each regime has its own variance.
    n_starts : int
        statsmodels' own start, and ``n_starts - 1`` random ones. The likelihood has several
        maxima; the highest that is found wins.
    seed : int
        The only source of randomness.
    exog : Series or ndarray of float, shape (dates,), optional
        One regressor. It takes the place of the means, and its slope switches.

    Returns
    -------
    MarkovFit
        Regimes are numbered by ascending variance; where the variance is common, by ascending
        slope with a regressor and by ascending mean without.

    Raises
    ------
    ValueError
        If the input is not as described, is constant, or has fewer than `MIN_OBS_A_PARAMETER`
        observations for each parameter.
    ConvergenceWarning
        scikit-learn's, raised as an error, if no start converges: the optimiser must say so, and
        all numbers must be finite.

    Timing
    ------
    Parameters and ``smoothed`` rest on the whole series. For what was known at *t* fit on rows up
    to *t* alone and filter on with `filter_markov`.

    Notes
    -----
    Around one value, the more so a repeated one, a regime's variance can shrink to nothing and the
    likelihood grow without bound. Starts that end there do not converge; of the others the highest
    maximum inside is the estimate (Kiefer 1978).

    Standard errors are not computed. Likelihood ratios between numbers of regimes do not have
    their usual distribution.

    References
    ----------
    Hamilton, J. D. (1989), A New Approach to the Economic Analysis of Nonstationary Time Series
    and the Business Cycle, Econometrica 57, 357-384.

    Kiefer, N. M. (1978), Discrete Parameter Variation: Efficient Estimation of a Switching
    Regression Model, Econometrica 46, 427-434.
    """
    from sklearn.exceptions import ConvergenceWarning

    values, regressor, _ = read_series(series, exog)
    if n_regimes < 2 or autoregression < 0 or n_starts < 1:
        raise ValueError(
            f"Cannot fit {n_regimes} regimes with {autoregression} lags from {n_starts} starts: "
            "there must be at least 2 regimes (for one, fit a regression), 0 lags and 1 start"
        )
    n_variances = n_regimes if switching_variance else 1
    n_parameters = n_regimes * n_regimes + n_variances + autoregression
    n_needed = MIN_OBS_A_PARAMETER * n_parameters + autoregression
    if len(values) < n_needed:
        raise ValueError(
            f"{len(values)} observations are too few for {n_parameters} parameters: give at least "
            f"{n_needed}, or choose fewer regimes or lags"
        )
    if np.ptp(values) <= 1e-12 * np.abs(values).max():
        raise ValueError("The series is constant: it has no regimes; leave it out")
    scales = (float(values.std()), 1.0)
    if regressor is not None:
        scales = (scales[0], float(np.sqrt(np.mean(regressor**2))))
        if scales[1] == 0.0:
            raise ValueError("The regressor is zero throughout: leave it out")
        regressor = regressor / scales[1]
    model = make_model(values / scales[0], n_regimes, autoregression, switching_variance, regressor)
    rng = np.random.default_rng(seed)
    starts = [model.start_params, *(draw_start(model, rng) for _ in range(n_starts - 1))]
    ends = [
        end for end in (maximise_likelihood(model, start) for start in starts) if end is not None
    ]
    if not ends:
        raise ConvergenceWarning(
            f"A Markov-switching model of {n_regimes} regimes did not converge from any of "
            f"{n_starts} starts on {len(values)} observations."
        )
    best = max(ends, key=lambda end: end[0])[1]
    parameters = _order(_rescale(best, *scales), switching_variance)
    filtered = filter_markov(parameters, series, exog)
    return MarkovFit(
        parameters=parameters,
        filter=filtered,
        smoothed=smooth_filtered(filtered),
        n_parameters=n_parameters,
        n_starts=n_starts,
        n_starts_converged=len(ends),
    )


def _rescale(
    parameters: MarkovParameters, scale: float, regressor_scale: float
) -> MarkovParameters:
    """Put parameters of a series of unit scale back into its unit."""
    slopes = parameters.slopes
    return MarkovParameters(
        transition=parameters.transition,
        means=parameters.means * scale,
        variances=parameters.variances * scale**2,
        slopes=None if slopes is None else slopes * (scale / regressor_scale),
        ar=parameters.ar,
    )


def _order(parameters: MarkovParameters, switching_variance: bool) -> MarkovParameters:
    """Sort the regimes as `fit_markov` says."""
    slopes = parameters.slopes
    common = parameters.means if slopes is None else slopes
    order = np.argsort(parameters.variances if switching_variance else common, kind="stable")
    return MarkovParameters(
        transition=parameters.transition[np.ix_(order, order)],
        means=parameters.means[order],
        variances=parameters.variances[order],
        slopes=None if slopes is None else slopes[order],
        ar=parameters.ar,
    )
