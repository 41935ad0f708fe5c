"""Variances of means of dependent series are those of other libraries and of known processes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal
from scipy.signal import lfilter
from scipy.stats import ttest_1samp
from statsmodels.stats.sandwich_covariance import cov_hac_simple

from tidemark.domain.inference import long_run_variance, mean_t_statistic, newey_west_lags

SERIES = arrays(
    "float64", st.integers(3, 60), elements=st.floats(-10.0, 10.0, allow_subnormal=False)
).filter(lambda values: values.std() > 1e-3)


def autoregression(phi: float, n: int, seed: int) -> np.ndarray:
    """Draw an AR(1) series with innovations of unit variance."""
    shocks = np.random.default_rng(seed).standard_normal(n)
    return np.asarray(lfilter([1.0], [1.0, -phi], shocks))


@pytest.mark.parametrize(
    ("n_dates", "lags"), [(1, 1), (2, 1), (10, 2), (50, 3), (100, 4), (250, 4), (1000, 6)]
)
def test_newey_west_lags_known_lengths_give_known_lags(n_dates: int, lags: int) -> None:
    """At 100 dates the rule gives its constant, 4."""
    assert newey_west_lags(n_dates) == lags


def test_newey_west_lags_equal_the_rule_in_whole_numbers() -> None:
    """``k <= 4 (n / 100)^(2/9)`` says the same as ``10^4 k^9 <= 4^9 n^2``, without rounding."""
    k = 0
    for n_dates in range(1, 20_000):
        while 10**4 * (k + 1) ** 9 <= 4**9 * n_dates**2:
            k += 1
        assert newey_west_lags(n_dates) == k


def test_long_run_variance_four_dates_are_as_counted_by_hand() -> None:
    """Autocovariances of 1, 2, 3, 4 are 5/4, 5/16, -3/8 and -9/16."""
    series = np.array([1.0, 2.0, 3.0, 4.0])
    assert long_run_variance(series, 0) == pytest.approx(5 / 4)
    assert long_run_variance(series, 1) == pytest.approx(5 / 4 + 5 / 16)
    assert long_run_variance(series, 2) == pytest.approx(5 / 4 + 4 / 3 * 5 / 16 - 2 / 3 * 3 / 8)
    everything = 5 / 4 + 3 / 2 * 5 / 16 - 3 / 8 - 1 / 2 * 9 / 16
    assert long_run_variance(series, 3) == pytest.approx(everything)


@settings(max_examples=60, deadline=None)
@given(series=SERIES, lags=st.none() | st.integers(0, 70))
def test_long_run_variance_agrees_with_statsmodels(series: np.ndarray, lags: int | None) -> None:
    """It is the Newey-West variance of a regression on a constant, even beyond the last lag."""
    fit = sm.OLS(series, np.ones(len(series))).fit()
    expected = cov_hac_simple(fit, nlags=lags, use_correction=False)[0, 0]
    found = long_run_variance(series, lags) / len(series)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-14)


@settings(max_examples=40, deadline=None)
@given(series=SERIES, lags=st.integers(0, 8))
def test_mean_t_statistic_agrees_with_statsmodels(series: np.ndarray, lags: int) -> None:
    """It is statsmodels' t of a constant; its small-sample correction takes (n - 1) / n off."""
    n = len(series)
    lags = min(lags, n - 1)
    model = sm.OLS(series, np.ones(n))
    plain = model.fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": False})
    small = model.fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True})
    found = mean_t_statistic(series, lags)
    assert found == pytest.approx(plain.tvalues[0], rel=1e-7, abs=1e-9)
    assert found * math.sqrt((n - 1) / n) == pytest.approx(small.tvalues[0], rel=1e-7, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(series=SERIES)
def test_mean_t_statistic_without_lags_is_students(series: np.ndarray) -> None:
    """Student divides by one date less: his t is smaller by the root of (n - 1) / n."""
    n = len(series)
    student = ttest_1samp(series, 0.0).statistic
    assert mean_t_statistic(series, 0) * math.sqrt((n - 1) / n) == pytest.approx(student, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    series=SERIES,
    lags=st.integers(0, 70),
    scale=st.sampled_from([-3.0, 1e-6, 0.5, 1e8]),
    shift=st.floats(-5.0, 5.0),
)
def test_long_run_variance_scales_with_the_square_and_ignores_level_and_direction(
    series: np.ndarray, lags: int, scale: float, shift: float
) -> None:
    """A unit changes it by its square; a constant and reversed time do not; it is positive."""
    variance = long_run_variance(series, lags)
    assert variance > 0.0
    assert long_run_variance(scale * series, lags) == pytest.approx(scale**2 * variance, rel=1e-6)
    assert long_run_variance(series + shift, lags) == pytest.approx(variance, rel=1e-6)
    assert long_run_variance(series[::-1], lags) == pytest.approx(variance, rel=1e-6)


@pytest.mark.parametrize("lags", [0, 1, 2, 10, 99, 100, 5000])
@pytest.mark.parametrize("period", [[1.0, -1.0], [1.0, 1.0, -2.0], [0.1, 0.2, -0.3, 0.0]])
def test_long_run_variance_seesaw_is_not_negative(period: list[float], lags: int) -> None:
    """Bartlett's weights keep the variance positive where autocovariances are most negative."""
    assert long_run_variance(np.resize(period, 100), lags) > 0.0


@pytest.mark.parametrize("phi", [-0.5, 0.0, 0.3, 0.5])
def test_long_run_variance_of_an_autoregression_is_its_known_value(phi: float) -> None:
    """That of an AR(1) with unit shocks is ``1 / (1 - phi)^2``."""
    series = autoregression(phi, 100_000, 5)
    assert long_run_variance(series, 60) == pytest.approx(1.0 / (1.0 - phi) ** 2, rel=0.1)


def test_mean_t_statistic_dependence_is_paid_for() -> None:
    """At 5 %, means of a persistent series are called significant too often without lags."""
    draws = [autoregression(0.6, 300, seed) for seed in range(300)]
    naive = np.mean([abs(mean_t_statistic(draw, 0)) > 1.96 for draw in draws])
    robust = np.mean([abs(mean_t_statistic(draw, 12)) > 1.96 for draw in draws])
    assert naive > 0.25
    assert robust < 0.12


@pytest.mark.parametrize("n_dates", [0, 1])
def test_mean_t_statistic_too_few_dates_is_nan(n_dates: int) -> None:
    """A spread needs two values."""
    assert math.isnan(mean_t_statistic(np.ones(n_dates)))


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, -1e-9, 1e9])
@pytest.mark.parametrize("n_dates", [2, 3, 7, 1000])
def test_mean_t_statistic_constant_series_is_nan(value: float, n_dates: int) -> None:
    """Rounding in the mean does not make a huge statistic."""
    assert math.isnan(mean_t_statistic(np.full(n_dates, value)))


def test_mean_t_statistic_missing_value_is_nan() -> None:
    """What is not known stays unknown."""
    assert math.isnan(mean_t_statistic(np.array([0.1, math.nan, 0.3])))


@pytest.mark.parametrize("scale", [1e-12, 1e-4, 1e6])
def test_mean_t_statistic_unit_does_not_matter_and_sign_does(scale: float) -> None:
    """Percent or share, the statistic is the same; of the negative it is the negative."""
    series = autoregression(0.3, 100, 6) + 0.2
    expected = mean_t_statistic(series)
    assert mean_t_statistic(scale * series) == pytest.approx(expected)
    assert mean_t_statistic(-scale * series) == pytest.approx(-expected)


def test_inference_leaves_its_series_unchanged() -> None:
    """Series are only read."""
    series = autoregression(0.3, 20, 7)
    before = series.copy()
    mean_t_statistic(series)
    assert_array_equal(series, before)
