"""Tests that compare forecasts agree with other libraries, keep their size and find the better."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from scipy.stats import norm, t, ttest_1samp, ttest_rel

from tidemark.domain.comparison import ForecastTest, clark_west, diebold_mariano, is_too_good

PAIRS = arrays(
    "float64",
    st.tuples(st.just(2), st.integers(10, 60)),
    elements=st.floats(0.0, 10.0, allow_subnormal=False),
).filter(lambda pair: (pair[1] - pair[0]).std() > 1e-3)


def losses_of(seed: int, n_dates: int, noises: list[float]) -> tuple[pd.DataFrame, np.ndarray]:
    """Draw squared errors of forecasts with some noise each, and those of a forecast of zero."""
    rng = np.random.default_rng(seed)
    target = rng.standard_normal(n_dates)
    forecasts = np.array(noises) * rng.standard_normal((n_dates, len(noises)))
    days = pd.bdate_range("2018-01-02", periods=n_dates, name="date")
    cells = [f"cell_{number:02d}" for number in range(len(noises))]
    losses = pd.DataFrame((target[:, None] - forecasts) ** 2, index=days, columns=cells)
    return losses, target**2


def exact(test: ForecastTest) -> list[float]:
    """Return a test's figures."""
    return [test.statistic, test.p_value, test.mean_difference, test.std_error]


def test_diebold_mariano_known_losses_are_as_counted_by_hand() -> None:
    """Differences of 1 and 3 in turn: mean 2, variance 1, and (n - 1) / n of Harvey et al."""
    benchmark = np.array([1.0, 3.0] * 5)
    test = diebold_mariano(np.zeros(10), benchmark, lags=0)
    assert_allclose(exact(test), [6.0, 2.0 * t.sf(6.0, 9), 2.0, 1.0 / 3.0])
    assert (test.lags, test.n_dates) == (0, 10)


@settings(max_examples=40, deadline=None)
@given(pair=PAIRS, horizon=st.integers(1, 9), lags=st.integers(0, 9))
def test_diebold_mariano_agrees_with_statsmodels(pair: np.ndarray, horizon: int, lags: int) -> None:
    """It is the Newey-West t of a constant times the factor of Harvey, Leybourne and Newbold."""
    n = pair.shape[1]
    covariance = {"maxlags": lags, "use_correction": False}
    fit = sm.OLS(pair[1] - pair[0], np.ones(n)).fit(cov_type="HAC", cov_kwds=covariance)
    factor = math.sqrt((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n)
    statistic = fit.tvalues[0] * factor
    p_value = 2.0 * t.cdf(-abs(statistic), n - 1)
    found = diebold_mariano(pair[0], pair[1], horizon, lags)
    expected = [statistic, p_value, fit.params[0], fit.bse[0] / factor]
    assert_allclose(exact(found), expected, rtol=1e-6, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(pair=PAIRS, lags=st.integers(0, 9))
def test_diebold_mariano_one_day_ahead_is_statsmodels_corrected_t(
    pair: np.ndarray, lags: int
) -> None:
    """For a horizon of 1 the factor is statsmodels' small-sample correction, (n - 1) / n."""
    covariance = {"maxlags": lags, "use_correction": True}
    model = sm.OLS(pair[1] - pair[0], np.ones(pair.shape[1]))
    fit = model.fit(cov_type="HAC", cov_kwds=covariance, use_t=True)
    found = diebold_mariano(pair[0], pair[1], 1, lags)
    expected = [fit.tvalues[0], fit.pvalues[0], fit.params[0], fit.bse[0]]
    assert_allclose(exact(found), expected, rtol=1e-6, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(pair=PAIRS)
def test_diebold_mariano_one_day_ahead_without_lags_is_students_paired_test(
    pair: np.ndarray,
) -> None:
    """Then variance over n, corrected by (n - 1) / n, is Student's variance over n - 1."""
    loss, benchmark = pair
    found = diebold_mariano(loss, benchmark, 1, 0)
    for oracle in (ttest_rel(benchmark, loss), ttest_1samp(benchmark - loss, 0.0)):
        assert found.statistic == pytest.approx(oracle.statistic, rel=1e-7, abs=1e-9)
        assert found.p_value == pytest.approx(oracle.pvalue, rel=1e-6, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(pair=PAIRS, horizon=st.integers(1, 9), scale=st.sampled_from([1e-9, 1e-4, 100.0]))
def test_diebold_mariano_exchanged_forecasts_change_the_sign_and_units_nothing(
    pair: np.ndarray, horizon: int, scale: float
) -> None:
    """The test is antisymmetric, and the same for percent and for shares."""
    loss, benchmark = pair
    found = diebold_mariano(loss, benchmark, horizon)
    swapped = diebold_mariano(benchmark, loss, horizon)
    signs = [-1.0, 1.0, -1.0, 1.0]
    assert_allclose(exact(swapped), np.multiply(signs, exact(found)), rtol=1e-12)
    scaled = diebold_mariano(scale * loss, scale * benchmark, horizon)
    assert_allclose(exact(scaled)[:2], exact(found)[:2], rtol=1e-6, atol=1e-9)
    assert_allclose(exact(scaled)[2:], np.multiply(scale, exact(found)[2:]), rtol=1e-6, atol=1e-24)


@settings(max_examples=20, deadline=None)
@given(pair=PAIRS, seed=st.integers(0, 99))
def test_diebold_mariano_what_both_forecasts_missed_does_not_matter(
    pair: np.ndarray, seed: int
) -> None:
    """Losses that are added to both sides, date by date, leave everything as it was."""
    shared = np.random.default_rng(seed).random(pair.shape[1])
    found = diebold_mariano(pair[0] + shared, pair[1] + shared)
    assert_allclose(exact(found), exact(diebold_mariano(*pair)), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("n_dates", "horizon", "lags"), [(10, 1, 2), (100, 1, 4), (100, 5, 4), (100, 20, 19)]
)
def test_forecast_tests_lags_cover_the_overlap_at_least(
    n_dates: int, horizon: int, lags: int
) -> None:
    """The Newey-West rule holds until outcomes overlap further than it reaches."""
    losses, benchmark = losses_of(1, n_dates, [0.5])
    loss = losses["cell_00"].to_numpy()
    assert diebold_mariano(loss, benchmark, horizon).lags == lags
    assert clark_west(loss, benchmark, np.zeros(n_dates), horizon).lags == lags
    given_lags = diebold_mariano(loss, benchmark, horizon, lags)
    assert diebold_mariano(loss, benchmark, horizon) == given_lags
    assert diebold_mariano(loss, benchmark, horizon, 1).lags == 1


@pytest.mark.parametrize("noise", [0.0, 1e-16])
def test_forecast_tests_identical_forecasts_have_no_statistic(noise: float) -> None:
    """Nothing varies, or only the last bit does: that is no evidence for either."""
    loss = np.random.default_rng(2).random(40) * 1e-4
    same = loss * (1.0 + noise * np.resize([1.0, -1.0, 2.0], 40))
    for test in (diebold_mariano(loss, same), clark_west(loss, same, np.zeros(40))):
        assert math.isnan(test.statistic)
        assert math.isnan(test.p_value)
        assert test.std_error == 0.0
        assert test.mean_difference == pytest.approx(0.0, abs=1e-19)
        assert test.n_dates == 40


def test_forecast_tests_constant_difference_has_no_statistic() -> None:
    """A difference that never varies has no standard error to be measured by."""
    loss = np.random.default_rng(2).random(40)
    test = diebold_mariano(loss, loss + 0.1)
    assert math.isnan(test.statistic)
    assert test.mean_difference == pytest.approx(0.1)
    assert math.isnan(diebold_mariano(np.zeros(40), np.zeros(40)).statistic)


def test_diebold_mariano_lags_pay_for_most_of_the_overlap() -> None:
    """Of 400 true nulls that overlap by 4 dates, a tenth goes at 5 %; without lags, a third."""
    rng = np.random.default_rng(3)
    shocks = rng.standard_normal((400, 204))
    differences = np.lib.stride_tricks.sliding_window_view(shocks, 5, axis=1).sum(axis=2)
    zeros = np.zeros(200)
    covered = [diebold_mariano(zeros, one, 5).p_value < 0.05 for one in differences]
    naive = [diebold_mariano(zeros, one, 1, 0).p_value < 0.05 for one in differences]
    assert np.mean(covered) < 0.15
    assert np.mean(naive) > 0.3


@settings(max_examples=40, deadline=None)
@given(pair=PAIRS, seed=st.integers(0, 99), lags=st.integers(0, 9))
def test_clark_west_agrees_with_statsmodels(pair: np.ndarray, seed: int, lags: int) -> None:
    """It is the Newey-West t of a regression of the adjusted difference on a constant."""
    distance = np.random.default_rng(seed).random(pair.shape[1])
    adjusted = pair[1] - pair[0] + distance
    covariance = {"maxlags": lags, "use_correction": False}
    fit = sm.OLS(adjusted, np.ones(len(adjusted))).fit(cov_type="HAC", cov_kwds=covariance)
    found = clark_west(pair[0], pair[1], distance, 1, lags)
    expected = [fit.tvalues[0], norm.cdf(-fit.tvalues[0]), fit.params[0], fit.bse[0]]
    assert_allclose(exact(found), expected, rtol=1e-6, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(target=PAIRS, weight=st.floats(0.1, 2.0))
def test_clark_west_against_zero_is_twice_the_covariance_of_forecast_and_target(
    target: np.ndarray, weight: float
) -> None:
    """``y^2 - (y - f)^2 + f^2`` is ``2 y f``: the sizes of forecasts play no part."""
    y, f = target[0] - 5.0, weight * (target[1] - 5.0)
    if (y * f).std() < 1e-3:
        return
    found = clark_west((y - f) ** 2, y**2, f**2)
    bigger = clark_west((y - 3.0 * f) ** 2, y**2, 9.0 * f**2)
    assert found.mean_difference == pytest.approx(2.0 * np.mean(y * f), rel=1e-6, abs=1e-9)
    assert bigger.statistic == pytest.approx(found.statistic, rel=1e-6, abs=1e-6)


def test_clark_west_keeps_its_size_where_diebold_mariano_is_too_low() -> None:
    """A mean estimated in vain over 20 dates against zero: 400 true nulls, at 10 % one-sided."""
    rng = np.random.default_rng(4)
    y = rng.standard_normal((400, 220))
    forecasts = np.lib.stride_tricks.sliding_window_view(y, 20, axis=1).mean(axis=2)[:, :-1]
    y = y[:, 20:]
    pairs = [((y[i] - forecasts[i]) ** 2, y[i] ** 2) for i in range(400)]
    west = [clark_west(*pair, f**2).p_value < 0.1 for pair, f in zip(pairs, forecasts, strict=True)]
    mariano = [diebold_mariano(*pair).statistic > norm.isf(0.1) for pair in pairs]
    assert 0.04 < np.mean(west) < 0.14
    assert np.mean(mariano) < 0.03


def test_clark_west_a_forecast_that_knows_something_is_found() -> None:
    """A tenth of the target's variance is known: the null goes, in the right direction only."""
    rng = np.random.default_rng(5)
    known = math.sqrt(0.1) * rng.standard_normal(500)
    y = known + math.sqrt(0.9) * rng.standard_normal(500)
    assert clark_west((y - known) ** 2, y**2, known**2).p_value < 1e-4
    assert clark_west((y + known) ** 2, y**2, known**2).p_value > 1.0 - 1e-4


SHORT = np.linspace(0.0, 1.0, 9)
LONG = np.linspace(0.0, 1.0, 12)
GAP = np.where(np.arange(12) == 3, math.nan, LONG)
ENDLESS = np.where(np.arange(12) > 9, math.inf, LONG)


@pytest.mark.parametrize(
    ("loss", "benchmark", "words", "message"),
    [
        (SHORT, SHORT, {}, "There are 9 dates: score at least 10"),
        (SHORT[:0], SHORT[:0], {}, "There are 0 dates: score at least 10"),
        (SHORT[:1], SHORT[:1], {}, "There are 1 dates: score at least 10"),
        (LONG, SHORT, {}, r"Shapes are .*\(12,\).*\(9,\).*: give one loss for each date"),
        (LONG[:, None], LONG[:, None], {}, "give one loss for each date"),
        (GAP, LONG, {}, "^loss is missing or infinite on 1 dates: predict every date"),
        (LONG, ENDLESS, {}, "^benchmark_loss is missing or infinite on 2 dates"),
        (LONG, LONG, {"horizon_days": 0}, "horizon_days is 0: give at least 1"),
        (LONG, LONG, {"horizon_days": 12}, "horizon_days is 12: .* less than 12"),
        (LONG, LONG, {"lags": -1}, "lags is -1: give 0 or more"),
    ],
)
def test_forecast_tests_bad_input_is_refused_with_a_remedy(
    loss: np.ndarray, benchmark: np.ndarray, words: dict[str, int], message: str
) -> None:
    """What cannot be compared is not compared, by either test."""
    with pytest.raises(ValueError, match=message):
        diebold_mariano(loss, benchmark, **words)
    with pytest.raises(ValueError, match=message):
        clark_west(loss, benchmark, np.zeros_like(loss), **words)


def test_clark_west_bad_distance_is_refused_with_a_remedy() -> None:
    """A squared distance is known on every date and not negative."""
    with pytest.raises(ValueError, match="sq_distance is negative on some dates: square"):
        clark_west(LONG, LONG, LONG - 0.5)
    with pytest.raises(ValueError, match="sq_distance is missing or infinite on 1 dates"):
        clark_west(LONG, LONG, GAP)


def test_diebold_mariano_longest_horizon_has_a_statistic() -> None:
    """One date less than all still leaves a positive correction."""
    test = diebold_mariano(np.zeros(10), np.resize([1.0, 3.0], 10), 9)
    assert math.isfinite(test.statistic)
    assert (test.lags, test.std_error > 0.0) == (8, True)


@pytest.mark.parametrize(
    ("r2", "expected"),
    [(0.02, True), (0.01, False), (0.0, False), (-5.0, False), (math.nan, False), (math.inf, True)],
)
def test_is_too_good_above_the_bound_only(r2: float, expected: bool) -> None:
    """What reaches the bound is not above it; what is not known raises no alarm."""
    assert is_too_good(r2, 0.01) is expected
    assert is_too_good(np.float64(r2), 0.01) is expected
