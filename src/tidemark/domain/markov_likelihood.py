"""The likelihood of Markov switching, maximised by statsmodels from one start at a time."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from tidemark.domain.markov import compute_log_densities
from tidemark.domain.markov_parameters import MarkovParameters, ergodic_distribution

MAX_ITERATIONS = 500
GRADIENT_TOLERANCE = 1e-6  # of the mean log-likelihood; a tenth of the optimiser's own
EM_ITERATIONS = 20  # cheap steps that bring a start near; the maximisation then ends quickly


def make_model(
    values: np.ndarray,
    n_regimes: int,
    autoregression: int,
    switching_variance: bool,
    regressor: np.ndarray | None,
) -> Any:
    """Build statsmodels' model, its likelihood put right for several lags.

    Parameters
    ----------
    values : ndarray, shape (dates,)
        Finite, in order of time, of about unit scale.
    n_regimes, autoregression, switching_variance
        As for `tidemark.domain.markov_fitting.fit_markov`.
    regressor : ndarray, shape (dates,), or None
        As the values; takes the place of the means.

    Returns
    -------
    MarkovRegression or MarkovAutoregression
        Of statsmodels.
    """
    from statsmodels.tsa.regime_switching.markov_autoregression import MarkovAutoregression
    from statsmodels.tsa.regime_switching.markov_regression import MarkovRegression

    class HamiltonAutoregression(MarkovAutoregression):  # type: ignore[misc]
        """With the variance of the present regime.

        With two lags and more statsmodels 0.15 takes that of an earlier one: its variances have
        the shape that fits one lag.
        """

        def _conditional_loglikelihoods(self, params: np.ndarray) -> np.ndarray:
            spread = params[self.parameters["variance"]]
            means = np.moveaxis(self.predict_conditional(params), -1, 0)
            spread = np.broadcast_to(spread, (self.k_regimes,))
            return np.moveaxis(compute_log_densities(self.endog, means, spread), 0, -1)

    words = {
        "trend": "c" if regressor is None else "n",
        "exog": regressor,
        "switching_variance": switching_variance,
        "switching_exog": True,
    }
    if autoregression == 0:
        return MarkovRegression(values, n_regimes, **words)
    return HamiltonAutoregression(values, n_regimes, autoregression, switching_ar=False, **words)


def draw_start(model: Any, rng: np.random.Generator) -> np.ndarray:
    """Draw a start around the fit of one regime: regimes that last, and lie apart.

    Parameters
    ----------
    model
        From `make_model`.
    rng : Generator
        The only source of randomness.

    Returns
    -------
    ndarray, shape (parameters,)
        In the order of the model's parameters.
    """
    places, k = model.parameters, model.k_regimes
    start = np.array(model.start_params)
    design = model.exog[:, 0]
    centre = float(design @ model.endog / (design @ design))
    variance = float(np.mean((model.endog - centre * design) ** 2))
    error = np.sqrt(variance / np.mean(design**2))
    stay = rng.uniform(0.6, 0.98, k)
    for i in range(k):
        row = np.full(k, (1.0 - stay[i]) / (k - 1))
        row[i] = stay[i]
        start[places[i, "regime_transition"]] = row[:-1]
    start[places["exog"]] = centre + error * rng.standard_normal(k)
    n_variances = places.k_parameters["variance"]
    start[places["variance"]] = variance * np.exp(rng.uniform(-1.5, 0.5, n_variances))
    if "autoregressive" in places.k_parameters:
        lags = places.k_parameters["autoregressive"]
        start[places["autoregressive"]] = rng.uniform(-0.5, 0.5, lags) / lags  # stationary
    return start


def maximise_likelihood(model: Any, start: np.ndarray) -> tuple[float, MarkovParameters] | None:
    """Maximise the likelihood from one start.

    Parameters
    ----------
    model
        From `make_model`.
    start : ndarray, shape (parameters,)
        In the order of the model's parameters.

    Returns
    -------
    tuple of float and MarkovParameters, or None
        The log-likelihood in nats and the estimates; None if the optimiser does not converge.
    """
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the state of the optimiser is read instead
        try:
            end = model.fit(
                start_params=start,
                cov_type="none",
                em_iter=EM_ITERATIONS,
                maxiter=MAX_ITERATIONS,
                gtol=GRADIENT_TOLERANCE,
                warn_convergence=False,
            )
            parameters = _read_parameters(model, end.params)
            ergodic_distribution(parameters.transition)
        except (np.linalg.LinAlgError, RuntimeError, ValueError):
            return None  # a singular step, no steady state, or parameters that are not finite
    is_sound = np.isfinite(end.llf) and end.mle_retvals["converged"]
    return (float(end.llf), parameters) if is_sound else None


def _read_parameters(model: Any, params: np.ndarray) -> MarkovParameters:
    places, k = model.parameters, model.k_regimes
    transition = np.maximum(model.regime_transition_matrix(params)[..., 0].T, 0.0)
    coefficients = params[places["exog"]]
    is_trend = model.trend == "c"
    return MarkovParameters(
        transition=transition / transition.sum(axis=1, keepdims=True),
        means=coefficients if is_trend else np.zeros(k),
        variances=np.broadcast_to(params[places["variance"]], (k,)),
        slopes=None if is_trend else coefficients,
        ar=params[places["autoregressive"]] if model.order else np.empty(0),
    )
