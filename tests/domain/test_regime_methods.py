"""Every method labels and scores by its own formula, with nothing later than the row."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning

from tidemark.domain import regime_methods
from tidemark.domain.regime_methods import (
    NORMAL,
    TAGS,
    FittedMethod,
    MethodSettings,
    fit_method,
)
from tidemark.domain.regimes import MarkovParameters, filter_markov

METHODS: list[Any] = ["single_regime", "zscore", "markov"]
BY_METHOD = pytest.mark.parametrize("name", METHODS)


def settings(**changes: Any) -> MethodSettings:
    """Give the options that tests share."""
    given = {
        "autoregression": 0,
        "threshold": 1.0,
        "min_obs": 20,
        "n_regimes": 2,
        "switching_variance": True,
        "n_starts": 1,
    }
    return MethodSettings(**{**given, **changes})


def simulate(n: int = 320, seed: int = 9) -> pd.DataFrame:
    """Draw a regression whose slope switches every 40 rows, and z-scores that know it."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(n)
    slope = np.where(np.arange(n) // 40 % 2, 0.8, -0.8)
    y = slope * x + 0.4 * rng.standard_normal(n)
    table = pd.DataFrame({"y": y, "x": x, "zscore": 1.2 * slope + rng.standard_normal(n)})
    return table.set_axis(pd.bdate_range("2012-01-02", periods=n, name="date"))


@cache
def fitted(name: Any, lags: int = 0, has_regressor: bool = True) -> FittedMethod:
    """Fit a method, once."""
    return fit_method(name, take(simulate(), has_regressor), settings(autoregression=lags), 1)


def take(table: pd.DataFrame, has_regressor: bool) -> pd.DataFrame:
    """Leave the regressor out where a model has none."""
    return table if has_regressor else table.drop(columns="x")


@BY_METHOD
@pytest.mark.parametrize("lags", [0, 1])
@pytest.mark.parametrize("how", ["truncated", "altered"])
@pytest.mark.parametrize("place", [2, 150, 301])
def test_detection_with_given_parameters_never_looks_ahead(
    name: Any, lags: int, how: str, place: int
) -> None:
    """Labels and scores up to a row are the same bits whatever comes after it."""
    whole = simulate()
    part = whole.iloc[:place] if how == "truncated" else whole.copy()
    if how == "altered":
        rng = np.random.default_rng(3)
        part.iloc[place:] = rng.normal(size=part.iloc[place:].shape) * 7.0
    method = fitted(name, lags)
    first, second = method.detect(whole), method.detect(part)
    for field in ("probabilities", "log_scores"):
        before, after = (getattr(one, field)[:place] for one in (first, second))
        assert_array_equal(before.view("int64"), after.view("int64"))


@BY_METHOD
@pytest.mark.parametrize(("lags", "has_regressor"), [(0, True), (1, True), (0, False)])
def test_detection_has_one_row_each_and_probabilities_that_add_up(
    name: Any, lags: int, has_regressor: bool
) -> None:
    """Shapes, names and sums; only rows without their lags are missing."""
    table = take(simulate(), has_regressor)
    method = fitted(name, lags, has_regressor)
    found = method.detect(table)
    assert found.probabilities.shape == (len(table), len(method.names))
    assert found.log_scores.shape == (len(table),)
    assert np.isfinite(found.log_scores[lags:]).all()
    assert np.isnan(found.log_scores[:lags]).all()
    known = found.probabilities[lags:]
    assert_allclose(known.sum(axis=1), 1.0, atol=1e-12)
    assert ((known >= 0.0) & (known <= 1.0)).all()
    assert len(set(method.names)) == len(method.names)


def test_single_regime_scores_as_scipy() -> None:
    """One Gaussian regression, from NumPy's least squares and SciPy's density."""
    table = simulate()
    slope = np.linalg.lstsq(table[["x"]].to_numpy(), table["y"].to_numpy(), rcond=None)[0][0]
    residuals = table["y"] - slope * table["x"]
    expected = norm.logpdf(residuals, scale=np.sqrt((residuals**2).mean()))
    found = fitted("single_regime").detect(table)
    assert_allclose(found.log_scores, expected, atol=1e-10)
    assert (found.probabilities == 1.0).all()


def test_zscore_scores_by_the_tag_of_the_row_before() -> None:
    """Each tag has a regression, fitted to the rows after it; the first row has the pooled one."""
    table = simulate()
    y, x, z = (table[name].to_numpy() for name in ("y", "x", "zscore"))
    tags = np.where(z > 1.0, 2, np.where(z < -1.0, 0, 1))
    before = np.r_[-1, tags[:-1]]
    expected = np.empty(len(y))
    for tag in (-1, 0, 1, 2):
        rows = before == tag
        known = np.ones(len(y), dtype=bool) if tag == -1 else rows
        slope = (x[known] @ y[known]) / (x[known] @ x[known])
        deviation = np.sqrt(np.mean((y[known] - slope * x[known]) ** 2))
        expected[rows] = norm.logpdf(y[rows], slope * x[rows], deviation)
    found = fitted("zscore").detect(table)
    assert_allclose(found.log_scores, expected, atol=1e-10)
    # The label, however, is the row's own tag: it is known once the row is over.
    assert_array_equal(found.probabilities.argmax(axis=1), tags)
    assert set(np.unique(found.probabilities)) == {0.0, 1.0}
    assert fitted("zscore").names == list(TAGS)


def test_zscore_at_the_threshold_and_missing_is_normal() -> None:
    """Stress is beyond the threshold; where nothing is known nothing is unusual."""
    table = simulate(4).assign(zscore=[1.0, -1.0, np.nan, 1.0 + 1e-12])
    labels = fitted("zscore").detect(table).probabilities.argmax(axis=1)
    assert labels.tolist() == [NORMAL, NORMAL, NORMAL, 2]


@pytest.mark.parametrize(("lags", "has_regressor"), [(0, True), (1, True), (0, False)])
def test_markov_is_hamiltons_filter_with_the_stored_parameters(
    lags: int, has_regressor: bool
) -> None:
    """What is stored as JSON gives the same probabilities and scores back."""
    table = take(simulate(), has_regressor)
    method = fitted("markov", lags, has_regressor)
    stored = json.loads(json.dumps(method.to_dict(), allow_nan=False))
    names = ("transition", "means", "variances", "slopes", "ar")
    parameters = MarkovParameters.from_dict({name: stored[name] for name in names})
    x = table["x"] if has_regressor else None
    expected = filter_markov(parameters, table["y"], x)
    found = method.detect(table)
    assert_array_equal(found.probabilities, expected.filtered.to_numpy())
    assert_array_equal(found.log_scores, expected.log_scores.to_numpy())
    assert stored["log_likelihood"] == pytest.approx(float(np.nansum(found.log_scores)))
    assert stored["n_starts_converged"] >= 1


def test_markov_finds_the_slopes_that_were_simulated() -> None:
    """Slopes of -0.8 and 0.8, in the names too, and the rows that they were at."""
    table = simulate()
    method = fitted("markov")
    slopes = np.array(method.to_dict()["slopes"])
    assert_allclose(np.sort(slopes), [-0.8, 0.8], atol=0.1)
    for name, slope in zip(method.names, slopes, strict=True):
        assert f"slope {slope:+.2f}" in name
    labels = method.detect(table).probabilities.argmax(axis=1)
    is_high = np.arange(len(table)) // 40 % 2 == 1
    assert ((slopes[labels] > 0.0) == is_high).mean() > 0.9


def test_markov_beats_one_regime_where_regimes_switch() -> None:
    """In the sample the mixture foresees better than the pooled regression."""
    scores = {name: fitted(name).detect(simulate()).log_scores.mean() for name in METHODS}
    assert scores["markov"] > scores["zscore"] > scores["single_regime"]


def test_markov_without_a_regressor_is_named_by_mean_and_deviation() -> None:
    """Names tell regimes apart where there is no slope."""
    assert all("deviation" in name for name in fitted("markov", 0, False).names)


def test_same_seed_gives_the_same_fit_and_draws_from_nowhere_else() -> None:
    """Bits do not depend on the global random state."""
    fits = []
    for noise in (1, 2):
        np.random.seed(noise)  # noqa: NPY002 -- the state that must not matter
        method = fit_method("markov", simulate(), settings(n_starts=2), 5)
        fits.append(json.dumps(method.to_dict()))
    assert fits[0] == fits[1]


def test_markov_that_converges_from_no_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is raised, so that whoever calls can fall back."""
    from tidemark.domain import markov_fitting

    monkeypatch.setattr(markov_fitting, "maximise_likelihood", lambda *_: None)
    with pytest.raises(ConvergenceWarning, match="did not converge from any of 1 starts"):
        fit_method("markov", simulate(), settings(), 1)
    assert regime_methods.fit_markov is markov_fitting.fit_markov


@BY_METHOD
@pytest.mark.parametrize("n", [0, 1])
def test_too_few_observations_are_refused(name: Any, n: int) -> None:
    """The message says how many are needed."""
    with pytest.raises(ValueError, match=r"give at least|give one finite number"):
        fit_method(name, simulate().head(n), settings(), 1)


@BY_METHOD
def test_missing_observations_are_refused(name: Any) -> None:
    """A hole is no observation."""
    table = simulate()
    table.iloc[7, 0] = np.nan
    with pytest.raises(ValueError, match=r"missing|NaN|finite"):
        fit_method(name, table, settings(), 1)


@BY_METHOD
def test_parameters_are_ready_for_json(name: Any) -> None:
    """Neither NaN nor an array, and the method's own name."""
    stored = json.loads(json.dumps(fitted(name, 1).to_dict(), allow_nan=False))
    assert stored["method"] == name


@BY_METHOD
def test_inputs_are_left_as_they_are(name: Any) -> None:
    """Neither fitting nor detecting writes into the observations."""
    table = simulate()
    before = table.copy(deep=True)
    fit_method(name, table, settings(), 1).detect(table)
    pd.testing.assert_frame_equal(table, before)
