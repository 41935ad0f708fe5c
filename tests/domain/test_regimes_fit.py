"""Markov-switching fits: published estimates, the best of several starts, one order of regimes."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from statsmodels.tsa.regime_switching.markov_regression import MarkovRegression

from tidemark.domain import markov_likelihood
from tidemark.domain.regimes import MarkovFit, MarkovParameters, filter_markov, fit_markov

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
HAMILTON = SHARED / "known" / "known_hamilton1989_rgnp.csv"


def simulate(
    parameters: MarkovParameters, n: int, seed: int, x: np.ndarray | None = None
) -> np.ndarray:
    """Draw a series without autoregression."""
    rng = np.random.default_rng(seed)
    regime = np.zeros(n, dtype=int)
    for t in range(1, n):
        regime[t] = rng.choice(parameters.n_regimes, p=parameters.transition[regime[t - 1]])
    level = parameters.means[regime]
    if x is not None and parameters.slopes is not None:
        level = level + parameters.slopes[regime] * x
    return level + np.sqrt(parameters.variances[regime]) * rng.standard_normal(n)


CALM_AND_STRESS = MarkovParameters([[0.98, 0.02], [0.05, 0.95]], [0.05, -0.1], [0.4, 4.0])


@pytest.fixture(scope="module")
def series() -> np.ndarray:
    """Draw a calm and a stressed regime."""
    return simulate(CALM_AND_STRESS, 300, seed=1)


@pytest.fixture(scope="module")
def fitted(series: np.ndarray) -> MarkovFit:
    """Fit that series."""
    return fit_markov(series, n_starts=3)


def test_fit_markov_hamilton_1989_gives_the_known_estimates() -> None:
    """Growth of GNP 1951-1984: recessions come first, as their mean is the lower one."""
    if not HAMILTON.exists():
        pytest.skip(f"the growth rates of Hamilton (1989) are not at {HAMILTON}")
    growth = pd.read_csv(HAMILTON).set_index("quarter")["rgnp_growth_pct"]
    found = fit_markov(growth, autoregression=4, switching_variance=False, n_starts=2)
    assert found.log_likelihood == pytest.approx(-181.26339, abs=1e-3)
    assert found.transition[0, 0] == pytest.approx(0.754673, abs=1e-3)
    assert found.transition[1, 0] == pytest.approx(0.095915, abs=1e-3)
    assert_allclose(found.means, [-0.358811, 1.163516], atol=1e-3)
    assert_allclose(found.parameters.ar, [0.0135, -0.0575, -0.2470, -0.2129], atol=1e-3)
    assert_allclose(found.variances, [0.5914, 0.5914], atol=1e-3)
    assert found.n_parameters == 9
    recession = found.smoothed.loc["1974Q1":"1975Q1", 0]
    assert (recession > 0.5).all()


def test_fit_markov_is_no_worse_than_statsmodels(series: np.ndarray, fitted: MarkovFit) -> None:
    """One start of statsmodels' own reaches no higher likelihood."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MarkovRegression(series, 2, switching_variance=True)
        reached = model.fit(em_iter=20, maxiter=500).llf
    assert fitted.log_likelihood >= reached - 1e-4


def test_fit_markov_finds_the_regimes_it_was_given() -> None:
    """Estimates lie near the parameters of 3,000 draws, regimes by ascending variance."""
    found = fit_markov(simulate(CALM_AND_STRESS, 3000, seed=2), n_starts=2)
    assert_allclose(found.transition, CALM_AND_STRESS.transition, atol=0.02)
    assert_allclose(found.means, CALM_AND_STRESS.means, atol=0.15)
    assert_allclose(found.variances, CALM_AND_STRESS.variances, rtol=0.15)


def test_fit_markov_with_a_regressor_orders_by_slope_where_the_variance_is_common() -> None:
    """The negative slope comes first."""
    truth = MarkovParameters([[0.97, 0.03], [0.03, 0.97]], [0, 0], [1.0, 1.0], slopes=[-0.8, 0.5])
    x = np.random.default_rng(5).standard_normal(2000)
    y = simulate(truth, 2000, 6, x)
    found = fit_markov(y, switching_variance=False, n_starts=2, exog=x)
    assert found.slopes is not None
    assert_allclose(found.slopes, truth.slopes, atol=0.12)


def test_fit_markov_with_a_regressor_orders_by_variance() -> None:
    """A hedge that turns in stress: the calm regime comes first although its slope is larger."""
    truth = MarkovParameters([[0.97, 0.03], [0.05, 0.95]], [0, 0], [0.5, 1.5], slopes=[0.5, -0.8])
    x = np.random.default_rng(5).standard_normal(2000)
    found = fit_markov(simulate(truth, 2000, 6, x), n_starts=2, exog=x)
    assert found.slopes is not None
    assert_allclose(found.slopes, truth.slopes, atol=0.12)
    assert_allclose(found.variances, truth.variances, rtol=0.15)
    assert_array_equal(found.means, [0.0, 0.0])
    assert found.predict_next(2.0).mean == pytest.approx(
        2.0 * found.predict_next(1.0).mean, rel=1e-12
    )


def test_fit_markov_common_variance_orders_by_mean() -> None:
    """One variance for both, and the lower mean first."""
    truth = MarkovParameters([[0.9, 0.1], [0.1, 0.9]], [-1.0, 2.0], [1.0, 1.0])
    found = fit_markov(simulate(truth, 600, 7), switching_variance=False, n_starts=2)
    assert_allclose(found.means, truth.means, atol=0.25)
    assert found.variances[0] == found.variances[1]
    assert found.n_parameters == 5


def test_fit_markov_three_regimes_are_ordered_and_outputs_agree() -> None:
    """Columns of every output follow the order of the parameters."""
    truth = MarkovParameters(
        [[0.96, 0.03, 0.01], [0.03, 0.94, 0.03], [0.02, 0.06, 0.92]], [0, 0, 0], [0.1, 1.0, 9.0]
    )
    y = simulate(truth, 400, 8)
    found = fit_markov(y, n_regimes=3, n_starts=1)
    assert (np.diff(found.variances) > 0.0).all()
    again = filter_markov(found.parameters, y)
    assert_array_equal(again.filtered, found.filtered)
    turbulent = found.smoothed[2] > 0.9
    assert np.var(y[turbulent]) > 4.0 * np.var(y[~turbulent])


@pytest.mark.parametrize(("autoregression", "switching_variance"), [(1, True), (2, True)])
def test_fit_markov_with_lags_stands_at_a_maximum_of_the_filter(
    autoregression: int, switching_variance: bool
) -> None:
    """Any small step away from the estimates lowers the likelihood that the filter computes."""
    rng = np.random.default_rng(9)
    deviations = simulate(replace_means(CALM_AND_STRESS, [-1.0, 1.5]), 400, 10)
    y = np.asarray(pd.Series(deviations).ewm(alpha=0.8).mean()) + 0.1 * rng.standard_normal(400)
    found = fit_markov(
        y, autoregression=autoregression, switching_variance=switching_variance, n_starts=3
    )
    best = found.parameters

    def climb(**fields: np.ndarray) -> float:
        return float(filter_markov(replace(best, **fields), y).log_scores.sum())

    for sign in (-1.0, 1.0):
        for i in range(2):
            step = sign * 0.02 * np.eye(2)[i]
            assert climb(means=best.means + step) < found.log_likelihood
            assert climb(variances=best.variances * (1.0 + step)) < found.log_likelihood
        for i in range(autoregression):
            step = sign * 0.02 * np.eye(autoregression)[i]
            assert climb(ar=best.ar + step) < found.log_likelihood


def replace_means(parameters: MarkovParameters, means: list[float]) -> MarkovParameters:
    """Give regimes other means."""
    return replace(parameters, means=np.array(means))


def test_fit_markov_more_starts_never_lose(series: np.ndarray, fitted: MarkovFit) -> None:
    """The first start is among the many; how many converged is told."""
    one = fit_markov(series, n_starts=1)
    assert one.n_starts_converged == one.n_starts == 1
    assert fitted.log_likelihood >= one.log_likelihood
    assert 1 <= fitted.n_starts_converged <= fitted.n_starts == 3


def test_fit_markov_same_seed_same_bits_and_no_global_state(
    series: np.ndarray, fitted: MarkovFit
) -> None:
    """Twice the same, whatever the global generator does, which is left alone."""
    np.random.seed(123)  # noqa: NPY002 -- the state that must not matter
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    again = fit_markov(series, n_starts=3)
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert again.parameters.to_dict() == fitted.parameters.to_dict()
    assert again.n_starts_converged == fitted.n_starts_converged


def test_fit_markov_unit_does_not_matter(series: np.ndarray, fitted: MarkovFit) -> None:
    """In another unit, a power of two, regimes are the same bit by bit."""
    scaled = fit_markov(series / 1024.0, n_starts=3)
    assert_array_equal(scaled.transition, fitted.transition)
    assert_array_equal(scaled.means, fitted.means / 1024.0)
    assert_array_equal(scaled.variances, fitted.variances / 1024.0**2)
    assert scaled.log_likelihood == pytest.approx(
        fitted.log_likelihood + len(series) * np.log(1024.0)
    )


def test_fit_markov_outputs_belong_together(series: np.ndarray, fitted: MarkovFit) -> None:
    """Criteria, forecast and JSON follow from the parameters and the filter."""
    parameters = MarkovParameters.from_dict(json.loads(json.dumps(fitted.parameters.to_dict())))
    found = filter_markov(parameters, series)
    assert fitted.log_likelihood == found.log_scores.sum()
    assert fitted.n_parameters == 6
    assert fitted.aic == pytest.approx(12.0 - 2.0 * fitted.log_likelihood)
    assert fitted.bic == pytest.approx(6.0 * np.log(300.0) - 2.0 * fitted.log_likelihood)
    probabilities = fitted.filtered.iloc[-1].to_numpy() @ fitted.transition
    forecast = fitted.predict_next()
    assert_allclose(forecast.probabilities, probabilities, rtol=1e-12)
    assert forecast.mean == pytest.approx(probabilities @ fitted.means)
    assert forecast.variance == pytest.approx(
        probabilities @ (fitted.variances + fitted.means**2) - forecast.mean**2
    )


def test_fit_markov_dates_come_back(series: np.ndarray, fitted: MarkovFit) -> None:
    """A dated series gives dated probabilities, the same as without dates."""
    dated = pd.Series(series, pd.date_range("2020-01-01", periods=300, freq="B"))
    found = fit_markov(dated, n_starts=3)
    pd.testing.assert_index_equal(found.smoothed.index, dated.index)
    pd.testing.assert_index_equal(found.filtered.index, dated.index)
    assert_array_equal(found.smoothed, fitted.smoothed)


def test_fit_markov_without_convergence_raises_and_counts_starts(
    series: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An optimiser that is stopped early is not believed."""
    monkeypatch.setattr(markov_likelihood, "MAX_ITERATIONS", 1)
    monkeypatch.setattr(markov_likelihood, "EM_ITERATIONS", 0)
    with pytest.raises(ConvergenceWarning, match="did not converge from any of 3 starts on 300"):
        fit_markov(series, n_starts=3)


def test_fit_markov_unbounded_likelihood_is_no_maximum() -> None:
    """A regime of one repeated value alone has no variance; a fit inside is taken instead."""
    y = np.random.default_rng(11).standard_normal(200)
    y[::2] = 0.25
    found = fit_markov(y, n_starts=5)
    assert 0 < found.n_starts_converged < found.n_starts
    assert found.variances.min() > 0.1


def test_fit_markov_nearly_still_regime_is_found() -> None:
    """A regime ten thousand times as quiet as the other is a regime all the same."""
    quiet = MarkovParameters([[0.9, 0.1], [0.1, 0.9]], [0.0, 0.0], [1e-8, 1.0])
    found = fit_markov(simulate(quiet, 300, 12), n_starts=3)
    assert_allclose(found.variances, quiet.variances, rtol=0.3)
    assert_allclose(found.transition, quiet.transition, atol=0.06)


@pytest.mark.parametrize(
    ("y", "words", "options"),
    [
        (np.ones(100), "constant", {}),
        (np.arange(11.0), "11 observations are too few for 6 parameters: give at least 12", {}),
        (np.arange(99.0), "Cannot fit 1 regimes", {"n_regimes": 1}),
        (np.arange(99.0), "-1 lags", {"autoregression": -1}),
        (np.arange(99.0), "0 starts", {"n_starts": 0}),
        (np.arange(99.0), "zero throughout", {"exog": np.zeros(99)}),
        (np.r_[np.nan, np.arange(99.0)], "1 missing or infinite", {}),
        (np.empty(0), "one finite number for each date", {}),
    ],
)
def test_fit_markov_unusable_input_is_refused(
    y: np.ndarray, words: str, options: dict[str, object]
) -> None:
    """Each message says what to do."""
    with pytest.raises(ValueError, match=words):
        fit_markov(y, **options)  # type: ignore[arg-type]
