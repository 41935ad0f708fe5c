"""Predictive densities with and without regimes, compared by their log scores.

The log score of a row is ``log p(y_t | what was known at t - 1, x_t)`` in nats; more is better. A
model is fitted on training rows. It then scores the whole series, so that lags, tags and filtered
probabilities reach over the seam, and the rows after the training are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from tidemark.domain.regimes import read_series

Values: TypeAlias = pd.Series | np.ndarray
Tags: TypeAlias = pd.Series | np.ndarray | Sequence[Any]
Tag: TypeAlias = int | float | str | bool


@dataclass(frozen=True)
class SingleRegime:
    """A Gaussian regression, the same at all times.

    ``y_t = intercept + sum_j ar[j-1] y_{t-j} + slope x_t + e_t``.

    Attributes
    ----------
    intercept : float
        In the unit of y; zero with a regressor, which takes its place.
    ar : tuple of float
        Coefficients of the lags.
    slope : float or None
        Coefficient of the regressor; None for a model without one.
    variance : float
        Of ``e_t``, by maximum likelihood: squares are divided by the number of rows. Those of
        Markov switching are estimated so too.
    n_obs : int
        Rows that the fit rests on.
    """

    intercept: float
    ar: tuple[float, ...]
    slope: float | None
    variance: float
    n_obs: int

    def to_dict(self) -> dict[str, Any]:
        """Put the fit into numbers and lists, fit for JSON."""
        return {**asdict(self), "ar": list(self.ar)}

    def log_scores(
        self, y: Values, x: Values | None = None, tags: Tags | None = None
    ) -> np.ndarray:
        """Score each row; ``tags`` are not used.

        Returns
        -------
        ndarray of float, shape (dates,)
            In nats; NaN for the first rows, which have too few lags.

        Raises
        ------
        ValueError
            If values are missing or not aligned, or the regressor is there for a model without
            one, or the other way round.

        Timing
        ------
        Row *t* uses y up to *t* and x of *t*.
        """
        values, regressor = _read(y, x)
        if (regressor is None) != (self.slope is None):
            raise ValueError(
                "The regressor must be given where the model has one, and only there: fit and "
                "score with the same one"
            )
        p = len(self.ar)
        scores = np.full(len(values), np.nan)
        if len(values) <= p:
            return scores
        expected = np.full(len(values) - p, self.intercept)
        for lag, weight in enumerate(self.ar, start=1):
            expected = expected + weight * values[p - lag : len(values) - lag]
        if self.slope is not None and regressor is not None:
            expected = expected + self.slope * regressor[p:]
        squares = (values[p:] - expected) ** 2 / self.variance
        scores[p:] = -0.5 * (np.log(2.0 * np.pi * self.variance) + squares)
        return scores


@dataclass(frozen=True)
class TaggedRegimes:
    """A Gaussian regression for each tag: a threshold model.

    The density of row t is that of the tag of row t - 1. The first row, and rows after a tag that
    is missing or has no regression of its own, have the pooled one.

    Attributes
    ----------
    pooled : SingleRegime
        Fitted on all rows.
    by_tag : dict of tag to SingleRegime
        Fitted on the rows after each tag.
    """

    pooled: SingleRegime
    by_tag: dict[Tag, SingleRegime]

    def to_dict(self) -> dict[str, Any]:
        """Put the fits into numbers and lists, fit for JSON."""
        fits = [{"tag": tag, "fit": fit.to_dict()} for tag, fit in self.by_tag.items()]
        return {"pooled": self.pooled.to_dict(), "by_tag": fits}

    def log_scores(
        self, y: Values, x: Values | None = None, tags: Tags | None = None
    ) -> np.ndarray:
        """Score each row with the regression of the tag before it.

        Returns
        -------
        ndarray of float, shape (dates,)
            In nats; NaN for the first rows, which have too few lags.

        Raises
        ------
        ValueError
            As for `SingleRegime.log_scores`; if tags are not given, or not one for each row.

        Timing
        ------
        Row *t* uses y up to *t*, x of *t* and the tag of *t - 1*.
        """
        scores = self.pooled.log_scores(y, x)
        known = _tags_before(tags, y)
        for tag, fit in self.by_tag.items():
            scores = np.where(known == tag, fit.log_scores(y, x), scores)
        return scores


def fit_single(y: Values, x: Values | None = None, autoregression: int = 0) -> SingleRegime:
    """Fit a Gaussian regression by maximum likelihood.

    Parameters
    ----------
    y : Series or ndarray of float, shape (dates,)
        In order of time, no missing values.
    x : Series or ndarray of float, shape (dates,), optional
        A regressor that is known when ``y`` of its row is forecast. It takes the place of the
        intercept.
    autoregression : int
        Lags of ``y``.

    Returns
    -------
    SingleRegime

    Raises
    ------
    ValueError
        If the input is not as described, rows are no more than coefficients, or nothing is left
        over for the variance.
    LinAlgError
        If the columns of the regression are collinear.
    """
    values, design = make_design(y, x, autoregression)
    return _fit(values, design, x is not None)


def fit_tagged(
    y: Values, tags: Tags, x: Values | None = None, autoregression: int = 0, min_obs: int = 20
) -> TaggedRegimes:
    """Fit a Gaussian regression apart for each tag that was known at t - 1.

    Parameters
    ----------
    y, x, autoregression
        As for `fit_single`.
    tags : Series or sequence, shape (dates,)
        Numbers or words. ``tags[t]`` may rest on row t itself: it is used for row t + 1. Missing
        ones count for the pooled regression alone.
    min_obs : int
        Rows that a tag needs for a regression of its own; more than there are coefficients. One
        whose rows are collinear or fitted without error has none either.

    Returns
    -------
    TaggedRegimes

    Raises
    ------
    ValueError
        As for `fit_single`; if ``min_obs`` is too small, or tags do not fit the rows.
    LinAlgError
        If the columns of the pooled regression are collinear.

    References
    ----------
    Tong, H. (1990), Non-linear Time Series: A Dynamical System Approach, section 3.3.
    """
    values, design = make_design(y, x, autoregression)
    if min_obs <= design.shape[1]:
        raise ValueError(
            f"min_obs is {min_obs}, too few for {design.shape[1]} coefficients and a variance: "
            f"choose at least {design.shape[1] + 1}"
        )
    pooled = _fit(values, design, x is not None)
    known = _tags_before(tags, y)[autoregression:]
    by_tag: dict[Tag, SingleRegime] = {}
    for tag in sorted({tag for tag in known if tag is not None}, key=str):
        rows = known == tag
        if rows.sum() < min_obs:
            continue
        try:
            by_tag[tag] = _fit(values[rows], design[rows], x is not None)
        except (ValueError, np.linalg.LinAlgError):
            continue  # no density of its own: the pooled one stands in
    return TaggedRegimes(pooled, by_tag)


def _read(y: Values, x: Values | None) -> tuple[np.ndarray, np.ndarray | None]:
    values, regressor, _ = read_series(y, x)
    return values, regressor


def make_design(y: Values, x: Values | None, autoregression: int) -> tuple[np.ndarray, np.ndarray]:
    """Stack what is regressed upon: the regressor or ones, then the lags.

    Returns
    -------
    values : ndarray, shape (rows,)
        ``y`` without its first rows, which have too few lags.
    design : ndarray, shape (rows, 1 + lags)

    Raises
    ------
    ValueError
        If there are too few observations, or a value is missing.
    """
    values, regressor = _read(y, x)
    p, n = autoregression, len(values)
    if p < 0 or n - p <= p + 1:
        raise ValueError(
            f"{n} observations are too few for {p} lags and one coefficient more: give at least "
            f"{2 * max(p, 0) + 2}, and a number of lags that is not negative"
        )
    first = np.ones(n) if regressor is None else regressor
    lags = [values[p - lag : n - lag] for lag in range(1, p + 1)]
    return values[p:], np.column_stack([first[p:], *lags])


def _fit(values: np.ndarray, design: np.ndarray, has_regressor: bool) -> SingleRegime:
    coefficients, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
    if rank < design.shape[1]:
        raise np.linalg.LinAlgError(
            "The columns of the regression are collinear: leave out lags or the regressor"
        )
    variance = float(np.mean((values - design @ coefficients) ** 2))
    if variance <= (1e-12 * np.abs(values).max()) ** 2:
        raise ValueError(
            "The regression leaves no error, so it has no density: leave out a constant series "
            "and a regressor that says all of it"
        )
    return SingleRegime(
        intercept=0.0 if has_regressor else float(coefficients[0]),
        ar=tuple(coefficients[1:].tolist()),
        slope=float(coefficients[0]) if has_regressor else None,
        variance=variance,
        n_obs=len(values),
    )


def _tags_before(tags: Tags | None, y: Values) -> np.ndarray:
    """Give each row the tag of the row before it, as objects; None where none is known.

    Raises
    ------
    ValueError
        If there is not one tag for each row of ``y``.
    """
    given = pd.Series([] if tags is None else tags)
    is_dated = isinstance(tags, pd.Series) and isinstance(y, pd.Series)
    if len(given) != len(y) or (is_dated and not given.index.equals(pd.Series(y).index)):
        raise ValueError(
            f"{len(given)} tags do not fit {len(y)} observations: give one tag for each, for the "
            "same dates in the same order"
        )
    known = np.full(len(given), None, dtype=object)
    known[1:] = given.astype(object).where(given.notna(), None).to_numpy()[:-1]
    return known
