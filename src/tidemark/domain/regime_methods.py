"""Ways to find regimes by name: each gives labels and the density of the next observation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd

from tidemark.domain.regime_scores import SingleRegime, TaggedRegimes, fit_single, fit_tagged
from tidemark.domain.regimes import MarkovParameters, filter_markov, fit_markov

MethodName = Literal["single_regime", "zscore", "markov"]

TAGS = ("unusually low", "normal", "unusually high")
NORMAL = 1  # the position among `TAGS` that is no stress


@dataclass(frozen=True)
class MethodSettings:
    """What the methods need to know; each reads its own part."""

    autoregression: int
    threshold: float
    min_obs: int
    n_regimes: int
    switching_variance: bool
    n_starts: int


@dataclass(frozen=True)
class Detection:
    """What a fitted method says of a stretch of observations.

    Attributes
    ----------
    probabilities : ndarray, shape (observations, regimes)
        Of each regime at t, given all up to t and no later.
    log_scores : ndarray, shape (observations,)
        Log density of the observation at t given all up to t - 1 (and its regressor at t), in
        nats; NaN where lags are missing.
    """

    probabilities: np.ndarray
    log_scores: np.ndarray


class FittedMethod(Protocol):
    """A method with its parameters."""

    @property
    def names(self) -> list[str]:
        """One word or two for each regime, in order."""

    @property
    def marked(self) -> tuple[list[int], str]:
        """The regimes that a calendar marks, and what they are called together."""

    def detect(self, observations: pd.DataFrame) -> Detection:
        """Label and score observations: ``y``, perhaps ``x``, and ``zscore``."""

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters, ready for JSON."""


def fit_method(
    name: MethodName, observations: pd.DataFrame, settings: MethodSettings, seed: int
) -> FittedMethod:
    """Fit a method to observations.

    Parameters
    ----------
    name : str
        ``single_regime``: one Gaussian regression. ``zscore``: one for each tag of the z-score
        that was known before the observation. ``markov``: regimes that switch unseen.
    observations : DataFrame
        ``y``, perhaps ``x``, and ``zscore``; in order of time, without gaps.
    settings : MethodSettings
        Options.
    seed : int
        Of the starts of ``markov``.

    Raises
    ------
    sklearn.exceptions.ConvergenceWarning
        If ``markov`` converges from no start.
    ValueError
        If there are too few observations.
    """
    y, x = _read(observations)
    if name == "single_regime":
        return _Single(fit_single(y, x, settings.autoregression))
    if name == "zscore":
        tags = _tag(observations, settings.threshold)
        fitted = fit_tagged(y, tags, x, settings.autoregression, settings.min_obs)
        return _Tagged(fitted, settings.threshold)
    fit = fit_markov(
        y,
        settings.n_regimes,
        settings.autoregression,
        settings.switching_variance,
        settings.n_starts,
        seed,
        x,
    )
    return _Markov(fit.parameters, fit.n_starts, fit.n_starts_converged, fit.log_likelihood)


@dataclass(frozen=True)
class _Single:
    fitted: SingleRegime

    @property
    def names(self) -> list[str]:
        return ["one regime"]

    @property
    def marked(self) -> tuple[list[int], str]:
        return [], "another regime"

    def detect(self, observations: pd.DataFrame) -> Detection:
        y, x = _read(observations)
        return Detection(np.ones((len(y), 1)), self.fitted.log_scores(y, x))

    def to_dict(self) -> dict[str, Any]:
        return {"method": "single_regime", **self.fitted.to_dict()}


@dataclass(frozen=True)
class _Tagged:
    fitted: TaggedRegimes
    threshold: float

    @property
    def names(self) -> list[str]:
        return list(TAGS)

    @property
    def marked(self) -> tuple[list[int], str]:
        return [tag for tag in range(len(TAGS)) if tag != NORMAL], "an unusual correlation"

    def detect(self, observations: pd.DataFrame) -> Detection:
        y, x = _read(observations)
        tags = _tag(observations, self.threshold)
        probabilities = (tags[:, None] == np.arange(len(TAGS))).astype("float64")
        return Detection(probabilities, self.fitted.log_scores(y, x, tags))

    def to_dict(self) -> dict[str, Any]:
        return {"method": "zscore", "threshold": self.threshold, **self.fitted.to_dict()}


@dataclass(frozen=True)
class _Markov:
    parameters: MarkovParameters
    n_starts: int
    n_starts_converged: int
    log_likelihood: float

    @property
    def names(self) -> list[str]:
        parameters, deviations = self.parameters, np.sqrt(self.parameters.variances)
        if parameters.slopes is not None:
            names = [f"slope {slope:+.2f}" for slope in parameters.slopes]
        else:
            names = [f"mean {mean:+.2f}" for mean in parameters.means]
        if np.ptp(deviations) == 0.0:
            return names
        pairs = zip(names, deviations, strict=True)
        return [f"{name}, deviation {deviation:.2f}" for name, deviation in pairs]

    @property
    def marked(self) -> tuple[list[int], str]:
        last = self.parameters.n_regimes - 1  # the most volatile, or the highest
        return [last], f"the regime of {self.names[last]}"

    def detect(self, observations: pd.DataFrame) -> Detection:
        found = filter_markov(self.parameters, *_read(observations))
        return Detection(found.filtered.to_numpy(), found.log_scores.to_numpy())

    def to_dict(self) -> dict[str, Any]:
        return {
            "method": "markov",
            **self.parameters.to_dict(),
            "n_starts": self.n_starts,
            "n_starts_converged": self.n_starts_converged,
            "log_likelihood": self.log_likelihood,
        }


def _read(observations: pd.DataFrame) -> tuple[np.ndarray, np.ndarray | None]:
    x = observations["x"].to_numpy() if "x" in observations else None
    return observations["y"].to_numpy(), x


def _tag(observations: pd.DataFrame, threshold: float) -> np.ndarray:
    """Tag each row by its own z-score: 0 low, 1 normal, 2 high."""
    z = observations["zscore"].to_numpy()
    return np.asarray(NORMAL + (z > threshold).astype("int64") - (z < -threshold).astype("int64"))
