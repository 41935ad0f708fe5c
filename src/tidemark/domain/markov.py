"""Markov switching with given parameters: Hamilton's filter, Kim's smoother, and forecasts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tidemark.domain.markov_parameters import MarkovParameters, ergodic_distribution
from tidemark.domain.regime_inputs import read_series


@dataclass(frozen=True)
class MarkovForecast:
    """What is known of the next observation before it is seen.

    Attributes
    ----------
    probabilities : ndarray, shape (regimes,)
        Of the regimes at the next observation.
    mean, variance : float
        Of the next observation, a mixture over regimes; in the series' unit and its square.
    """

    probabilities: np.ndarray
    mean: float
    variance: float


@dataclass(frozen=True, eq=False)
class MarkovFilter:
    """What each observation said of the regimes, given parameters; see `filter_markov`.

    Attributes
    ----------
    parameters : MarkovParameters
        As given.
    predicted, filtered : DataFrame, shape (dates, regimes)
        Probabilities of the regimes at t given y up to t - 1, and up to t.
    log_scores : Series, shape (dates,)
        ``log p(y_t | y_1, ..., y_{t-1})`` in nats.
    joint : ndarray, shape (dates - lags, regimes, regimes, ...)
        Probabilities of the regimes at t, t - 1, ..., t - max(1, lags), given y up to t.
    deviations : ndarray, shape (lags, regimes)
        The last observations less the level of each regime, newest first.
    """

    parameters: MarkovParameters
    predicted: pd.DataFrame
    filtered: pd.DataFrame
    log_scores: pd.Series
    joint: np.ndarray
    deviations: np.ndarray

    def predict_next(self, next_exog: float | None = None) -> MarkovForecast:
        """Forecast the observation after the last one; ``next_exog`` is its regressor.

        Raises
        ------
        ValueError
            If the model has a regressor and its value is not given, or the other way round.
        """
        parameters = self.parameters
        if (parameters.slopes is None) != (next_exog is None):
            raise ValueError(
                "The next value of the regressor must be given where the model has one, and only "
                "there"
            )
        levels = _levels(parameters, None if next_exog is None else np.array([next_exog]), 1)
        prior = _advance(parameters.transition, self.joint[-1].sum(axis=-1))
        expected = _conditional_means(parameters.ar, levels, self.deviations[:, None, :])[0]
        probabilities = prior.reshape(parameters.n_regimes, -1).sum(axis=1)
        mean = float((prior * expected).sum())
        within = float(probabilities @ parameters.variances)
        return MarkovForecast(
            probabilities=probabilities,
            mean=mean,
            variance=within + float((prior * (expected - mean) ** 2).sum()),
        )


def filter_markov(
    parameters: MarkovParameters,
    series: pd.Series | np.ndarray,
    exog: pd.Series | np.ndarray | None = None,
) -> MarkovFilter:
    """Run Hamilton's filter with given parameters.

    Parameters
    ----------
    parameters : MarkovParameters
        Of which the filter learns nothing new from the series.
    series : Series or ndarray of float, shape (dates,)
        In order of time, no missing values, more of them than lags.
    exog : Series or ndarray of float, shape (dates,), optional
        The regressor, where the model has one. A log score takes that of its own row as given.

    Returns
    -------
    MarkovFilter
        Frames and series bear the index of ``series``; the first rows, which serve as lags only,
        are NaN.

    Raises
    ------
    ValueError
        If the input is not as described, the regimes have no single ergodic distribution, or an
        observation is so far out that it has no density in any regime.

    Timing
    ------
    Row *t* uses rows up to *t*, and ``predicted`` rows up to *t - 1*. The first regime has the
    ergodic distribution.

    References
    ----------
    Hamilton, J. D. (1994), Time Series Analysis, section 22.4.
    """
    values, regressor, index = read_series(series, exog)
    p, n = parameters.autoregression, len(values)
    if n <= p or (regressor is None) != (parameters.slopes is None):
        raise ValueError(
            f"{n} observations {'without' if regressor is None else 'with'} a regressor do not "
            f"fit a model with {p} lags and {'no' if parameters.slopes is None else 'a'} "
            "regressor: give more observations than lags, and the regressor where there is one"
        )
    levels = _levels(parameters, regressor, n)
    deviations = values[:, None] - levels
    lagged = np.stack([deviations[p - lag : n - lag] for lag in range(p + 1)])
    expected = _conditional_means(parameters.ar, levels[p:], lagged[1:])
    log_densities = compute_log_densities(values[p:], expected, parameters.variances)
    prior, posterior, scores = _run_filter(parameters, log_densities)
    shape = (n - p, parameters.n_regimes, -1)
    return MarkovFilter(
        parameters=parameters,
        predicted=_to_frame(prior.reshape(shape).sum(axis=2), index),
        filtered=_to_frame(posterior.reshape(shape).sum(axis=2), index),
        log_scores=pd.Series(np.r_[np.full(p, np.nan), scores], index, name="log_score"),
        joint=posterior,
        deviations=deviations[n - p :][::-1],
    )


def smooth_markov(
    parameters: MarkovParameters,
    series: pd.Series | np.ndarray,
    exog: pd.Series | np.ndarray | None = None,
) -> pd.DataFrame:
    """Compute probabilities of the regimes in retrospect, given the whole series.

    Parameters and errors are those of `filter_markov`.

    Returns
    -------
    DataFrame of float, shape (dates, regimes)
        With the index of ``series``; the first rows, which serve as lags only, are NaN.

    Timing
    ------
    Every row uses all rows, those after it too: for pictures and descriptions, never a feature.

    References
    ----------
    Kim, C.-J. (1994), Dynamic Linear Models with Markov-Switching, Journal of Econometrics 60,
    1-22.
    """
    return smooth_filtered(filter_markov(parameters, series, exog))


def smooth_filtered(filtered: MarkovFilter) -> pd.DataFrame:
    """Run Kim's smoother backwards over the filter's joint probabilities.

    Returns, timing and references are those of `smooth_markov`.
    """
    joint = filtered.joint
    smoothed = np.empty_like(joint)
    smoothed[-1] = joint[-1]
    for t in range(len(joint) - 1, 0, -1):
        # Of the last regimes at t, how much likelier the future makes them.
        ratio = _divide(smoothed[t].sum(axis=-1), joint[t].sum(axis=-1))
        later = (joint[t] * ratio[..., None]).sum(axis=0)
        gain = _divide(later, joint[t - 1].sum(axis=-1))
        smoothed[t - 1] = joint[t - 1] * gain[..., None]
    rows = smoothed.reshape(len(joint), filtered.parameters.n_regimes, -1).sum(axis=2)
    return _to_frame(rows, filtered.filtered.index)


def _run_filter(
    parameters: MarkovParameters, log_densities: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run the recursion: probabilities before and after each row, and log scores.

    The state is the joint distribution of the last max(1, lags) regimes.
    """
    state = ergodic_distribution(parameters.transition)
    for _ in range(log_densities.ndim - 3):
        state = _advance(parameters.transition, state)
    step = parameters.transition.T.reshape(parameters.transition.shape + (1,) * (state.ndim - 1))
    prior, posterior = np.empty_like(log_densities), np.empty_like(log_densities)
    scores = np.empty(len(log_densities))
    with np.errstate(divide="ignore", invalid="ignore"):
        for t, row in enumerate(log_densities):
            joint = np.multiply(step, state, out=prior[t])
            weights = np.log(joint) + row
            peak = weights.max()  # taken out, so that far observations do not underflow
            weights = np.exp(weights - peak)
            total = weights.sum()
            scores[t] = peak + np.log(total)
            state = np.divide(weights, total, out=posterior[t]).sum(axis=-1)
    if not np.isfinite(scores).all():
        raise ValueError(
            f"Row {int(np.argmin(np.isfinite(scores)))} after the lags has no density in any "
            "regime: look for a misplaced decimal point in the series or the regressor"
        )
    return prior, posterior, scores


def _advance(transition: np.ndarray, state: np.ndarray) -> np.ndarray:
    """Put the next regime before the regimes so far: joint probabilities of both."""
    return np.asarray(transition.T.reshape(transition.shape + (1,) * (state.ndim - 1)) * state)


def _divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Divide probabilities, with nothing for what never occurs."""
    return np.asarray(np.divide(above, below, out=np.zeros_like(below), where=below > 0.0))


def _to_frame(rows: np.ndarray, index: pd.Index) -> pd.DataFrame:
    """Frame probabilities, with NaN for the rows that serve as lags only."""
    missing = np.full((len(index) - len(rows), rows.shape[1]), np.nan)
    columns = pd.RangeIndex(rows.shape[1], name="regime")
    return pd.DataFrame(np.vstack([missing, rows]), index=index, columns=columns)


def _levels(parameters: MarkovParameters, regressor: np.ndarray | None, n: int) -> np.ndarray:
    """Compute the level of each regime at each row, shape (rows, regimes)."""
    if parameters.slopes is None or regressor is None:
        return np.tile(parameters.means, (n, 1))
    return np.asarray(parameters.means + regressor[:, None] * parameters.slopes)


def _conditional_means(ar: np.ndarray, levels: np.ndarray, lagged: np.ndarray) -> np.ndarray:
    """Compute the mean of each row given its regime and the earlier ones that matter.

    Parameters
    ----------
    ar : ndarray, shape (lags,)
    levels : ndarray, shape (rows, regimes)
    lagged : ndarray, shape (lags, rows, regimes)
        Deviations from levels, lag 1 first.

    Returns
    -------
    ndarray, shape (rows, regimes, regimes, ...)
        One axis for the present regime, then one for each of max(1, lags) earlier ones.
    """
    n, k = levels.shape
    n_axes = max(1, len(ar)) + 1
    means = levels.reshape((n, k) + (1,) * (n_axes - 1))
    for lag, (weight, deviation) in enumerate(zip(ar, lagged, strict=True), start=1):
        shape = [n] + [1] * n_axes
        shape[1 + lag] = k
        means = means + weight * deviation.reshape(shape)
    return np.asarray(np.broadcast_to(means, (n,) + (k,) * n_axes))


def compute_log_densities(
    values: np.ndarray, means: np.ndarray, variances: np.ndarray
) -> np.ndarray:
    """Compute normal log densities of each row in each state.

    Parameters
    ----------
    values : ndarray, shape (rows,)
    means : ndarray, shape (rows, regimes, regimes, ...)
        One axis for the present regime, then one for each earlier one that matters.
    variances : ndarray, shape (regimes,)
        Of the present regime.

    Returns
    -------
    ndarray, shape (rows, regimes, regimes, ...)
        In nats; minus infinity where a value is too far out.
    """
    tail = (1,) * (means.ndim - 2)
    spread = variances.reshape((-1, *tail))
    with np.errstate(over="ignore"):  # to minus infinity, which the filter refuses if it must
        squares = (values.reshape((-1, 1, *tail)) - means) ** 2 / spread
    return np.asarray(-0.5 * squares - 0.5 * np.log(2.0 * np.pi * spread))
