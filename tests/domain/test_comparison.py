"""Tests that compare forecasts agree with other libraries, keep their size and find the better."""

from __future__ import annotations

import math
from dataclasses import astuple

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from arch.bootstrap import MCS, SPA, StationaryBootstrap
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from scipy.stats import norm, t, ttest_1samp, ttest_rel

from tidemark.domain.comparison import (
    ForecastTest,
    PredictiveAbility,
    clark_west,
    confidence_set,
    diebold_mariano,
    is_too_good,
    superior_predictive_ability,
)

PAIRS = arrays(
    "float64",
    st.tuples(st.just(2), st.integers(10, 60)),
    elements=st.floats(0.0, 10.0, allow_subnormal=False),
).filter(lambda pair: (pair[1] - pair[0]).std() > 1e-3)
NONE_LEFT = PredictiveAbility(1.0, 1.0, 1.0, "")


def losses_of(seed: int, n_dates: int, noises: list[float]) -> tuple[pd.DataFrame, np.ndarray]:
    """Draw squared errors of forecasts with some noise each, and those of a forecast of zero."""
    rng = np.random.default_rng(seed)
    target = rng.standard_normal(n_dates)
    forecasts = np.array(noises) * rng.standard_normal((n_dates, len(noises)))
    days = pd.bdate_range("2018-01-02", periods=n_dates, name="date")
    cells = [f"cell_{number:02d}" for number in range(len(noises))]
    losses = pd.DataFrame((target[:, None] - forecasts) ** 2, index=days, columns=cells)
    return losses, target**2


def spa(losses: pd.DataFrame, benchmark: np.ndarray, seed: int = 1) -> PredictiveAbility:
    """Test with few replicates."""
    return superior_predictive_ability(losses, benchmark, 3.0, 200, seed)


def mcs(losses: pd.DataFrame, seed: int = 1) -> pd.DataFrame:
    """Find the 90 % set with few replicates."""
    return confidence_set(losses, 0.1, 3.0, 200, seed)


def exact(test: ForecastTest) -> list[float]:
    """Return a test's figures."""
    return [test.statistic, test.p_value, test.mean_difference, test.std_error]


# Diebold-Mariano and Clark-West


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


# Superior predictive ability


def hansen(
    difference: np.ndarray, block_length: float, n_replicates: int, seed: int
) -> list[float]:
    """Compute Hansen's three p-values by the paper's formulae, replicate by replicate."""
    n, q = len(difference), 1.0 / block_length
    mean = difference.mean(axis=0)
    centred = difference - mean
    omega_sq = (centred**2).mean(axis=0)
    for i in range(1, n):
        kernel = (n - i) / n * (1.0 - q) ** i + i / n * (1.0 - q) ** (n - i)
        omega_sq += 2.0 * kernel * (centred[:-i] * centred[i:]).sum(axis=0) / n
    omega = np.sqrt(omega_sq)
    statistic = max(math.sqrt(n) * mean / omega)
    close = math.sqrt(n) * mean / omega >= -math.sqrt(2.0 * math.log(math.log(n)))
    centres = [np.maximum(mean, 0.0), np.where(close, mean, 0.0), mean]
    above = np.zeros(3)
    dates = StationaryBootstrap(block_length, np.arange(n), seed=seed)
    for (drawn,), _ in dates.bootstrap(n_replicates):
        means = difference[drawn].mean(axis=0)
        simulated = [max(math.sqrt(n) * (means - centre) / omega) for centre in centres]
        above += np.array(simulated) > statistic
    return list(above / n_replicates)


@pytest.mark.parametrize("block_length", [1.0, 2.5, 10.0])
@pytest.mark.parametrize("noises", [[0.3, 0.1, 1.0], [2.0, 2.0], [0.0, 0.1, 3.0, 0.2]])
def test_spa_agrees_with_the_formulae_of_the_paper(
    block_length: float, noises: list[float]
) -> None:
    """Another implementation, replicate by replicate, gives the same three p-values."""
    losses, benchmark = losses_of(6, 60, noises)
    benchmark = benchmark + 0.05 * np.random.default_rng(6).standard_normal(60)
    found = superior_predictive_ability(losses, benchmark, block_length, 150, 8)
    difference = benchmark[:, None] - losses.to_numpy()
    assert_allclose(astuple(found)[:3], hansen(difference, block_length, 150, 8), rtol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_spa_single_cell_agrees_with_arch(seed: int) -> None:
    """Of one cell the spread is a common factor, which arch's own statistic need not divide by."""
    losses, benchmark = losses_of(seed, 80, [0.4])
    oracle = SPA(benchmark, losses.to_numpy(), block_size=4, reps=300, seed=seed)
    oracle.compute()
    found = superior_predictive_ability(losses, benchmark, 4.0, 300, seed)
    assert astuple(found) == (*oracle.pvalues, "cell_00")


@pytest.mark.parametrize("factor", [1e-3, 50.0, 1e4])
def test_spa_is_studentised(factor: float) -> None:
    """What one cell gains and loses is multiplied: no p-value moves."""
    losses, benchmark = losses_of(7, 100, [0.4, 0.3, 0.5])
    louder = losses.copy()
    louder["cell_01"] = benchmark - factor * (benchmark - losses["cell_01"])
    assert spa(louder, benchmark) == spa(losses, benchmark)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 9999),
    n_dates=st.integers(10, 40),
    noises=st.lists(st.floats(0.0, 3.0), min_size=1, max_size=4),
    block_length=st.floats(1.0, 9.5),
)
def test_spa_p_values_ascend(
    seed: int, n_dates: int, noises: list[float], block_length: float
) -> None:
    """Lower, consistent and upper come in this order, between 0 and 1."""
    losses, benchmark = losses_of(seed, n_dates, noises)
    found = superior_predictive_ability(losses, benchmark, block_length, 100, seed)
    assert 0.0 <= found.p_lower <= found.p_consistent <= found.p_upper <= 1.0


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(4)), seed=st.integers(0, 99))
def test_spa_and_confidence_set_order_of_cells_does_not_matter(order: list[int], seed: int) -> None:
    """Permuted columns give bit-identical answers."""
    losses, benchmark = losses_of(9, 40, [0.5, 0.3, 0.3, 0.9])
    permuted = losses.iloc[:, order]
    assert spa(permuted, benchmark, seed) == spa(losses, benchmark, seed)
    assert_frame_equal(mcs(permuted, seed), mcs(losses, seed), check_exact=True)


def test_spa_and_confidence_set_same_seed_gives_same_numbers_another_seed_others() -> None:
    """The seed is the only source of randomness."""
    losses, benchmark = losses_of(10, 60, [0.4, 0.5, 0.6])
    first = superior_predictive_ability(losses, benchmark, 3.0, 500, 7)
    assert superior_predictive_ability(losses, benchmark, 3.0, 500, 7) == first
    assert superior_predictive_ability(losses, benchmark, 3.0, 500, 8) != first
    table = confidence_set(losses, 0.1, 3.0, 500, 7)
    assert_frame_equal(confidence_set(losses, 0.1, 3.0, 500, 7), table, check_exact=True)
    assert not confidence_set(losses, 0.1, 3.0, 500, 8).equals(table)


@pytest.mark.parametrize("constant", [0.0, 0.25, -0.25])
def test_spa_cells_a_constant_apart_from_the_benchmark_are_left_out(constant: float) -> None:
    """Identical or apart by a constant, they alter no answer; alone they have p-values of 1."""
    losses, benchmark = losses_of(11, 60, [0.4, 0.5])
    shifted = losses.assign(aaa=benchmark + constant, zzz=benchmark * (1.0 + 1e-15) + constant)
    assert spa(shifted, benchmark) == spa(losses, benchmark)
    assert spa(shifted[["aaa", "zzz"]], benchmark) == NONE_LEFT


def test_spa_losses_of_zero_have_p_values_of_one() -> None:
    """Nothing is better than nothing."""
    losses = pd.DataFrame(0.0, index=range(10), columns=["a", "b"])
    assert spa(losses, np.zeros(10)) == NONE_LEFT


def test_spa_best_is_the_cell_with_the_largest_statistic() -> None:
    """A small sure gain comes before a large uncertain one; of equals, the first by name."""
    losses, benchmark = losses_of(12, 100, [0.0, 0.0, 0.0])
    rng = np.random.default_rng(12)
    sure = benchmark - 0.1 + 0.05 * rng.standard_normal(100)
    wild = benchmark - 0.5 + 5.0 * rng.standard_normal(100)
    found = spa(losses.assign(cell_01=sure, cell_00=wild, cell_02=sure), benchmark)
    assert found.best == "cell_01"
    assert found.p_upper < 0.01


def test_spa_hopeless_cells_are_no_evidence() -> None:
    """Where every cell is much worse, no p-value is small."""
    losses, benchmark = losses_of(13, 100, [3.0, 4.0])
    found = spa(losses, benchmark)
    assert found.p_lower > 0.3
    assert found.p_upper > 0.99


@pytest.fixture(scope="module")
def null_p_values() -> np.ndarray:
    """Compute the p-values of 200 samples in which three cells are as good as the benchmark."""
    found = []
    for seed in range(200):
        squares = np.random.default_rng(seed).standard_normal((80, 4)) ** 2
        losses = pd.DataFrame(squares[:, 1:], columns=list("abc"))
        test = superior_predictive_ability(losses, squares[:, 0], 2.0, 100, seed)
        found.append(astuple(test)[:3])
    return np.array(found)


@pytest.mark.parametrize("level", [0.05, 0.1, 0.25])
def test_spa_keeps_its_size(null_p_values: np.ndarray, level: float) -> None:
    """True nulls are rejected as often as the level says, within three Monte-Carlo errors."""
    error = math.sqrt(level * (1.0 - level) / len(null_p_values))
    shares = (null_p_values < level).mean(axis=0)
    assert (abs(shares - level) < 3.0 * error).all()


def test_spa_finds_a_better_cell() -> None:
    """Of 40 samples with one clearly better cell among five, nearly all reject."""
    rejected = 0
    for seed in range(40):
        losses, benchmark = losses_of(seed, 150, [1.0] * 5)
        better = benchmark - 0.3 + np.random.default_rng(seed).standard_normal(150)
        test = spa(losses.assign(cell_03=better), benchmark, seed)
        rejected += test.p_consistent < 0.05 and test.best == "cell_03"
    assert rejected >= 36


def test_spa_poor_cells_raise_the_upper_and_hardly_the_consistent_p_value() -> None:
    """Hansen's point: White's p-value can be driven up by adding hopeless cells."""
    rng = np.random.default_rng(18)
    benchmark = rng.standard_normal(250) ** 2
    good = benchmark - 0.12 + 0.8 * rng.standard_normal(250)
    few = pd.DataFrame({"good": good})
    noise = rng.standard_normal((250, 30))
    poor = {f"poor_{i:02d}": benchmark + 2.0 + 3.0 * noise[:, i] for i in range(30)}
    alone = superior_predictive_ability(few, benchmark, 2.0, 1000, 3)
    crowd = superior_predictive_ability(few.assign(**poor), benchmark, 2.0, 1000, 3)
    assert alone.p_upper == alone.p_consistent < 0.05
    assert crowd.p_upper > 0.15
    assert abs(crowd.p_consistent - alone.p_consistent) < 0.01
    assert crowd.best == "good"


def test_spa_benchmark_as_series_is_the_same_and_other_dates_are_refused() -> None:
    """Dates are compared where both sides have them."""
    losses, benchmark = losses_of(15, 30, [0.4, 0.5])
    series = pd.Series(benchmark, index=losses.index)
    assert spa(losses, series) == spa(losses, benchmark)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not of the dates of losses: reindex"):
        superior_predictive_ability(losses, series.iloc[::-1], 3.0, 200, 1)
    with pytest.raises(ValueError, match=r"Shapes are .*\(29,\).*\(30,\)"):
        spa(losses, benchmark[1:])
    with pytest.raises(ValueError, match="benchmark_loss is missing or infinite on 1 dates"):
        spa(losses, np.where(np.arange(30) == 4, math.nan, benchmark))


# Model confidence set


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 16, 17])
def test_confidence_set_agrees_with_arch(seed: int) -> None:
    """P-values are arch's; with seeds 3, 16 and 17 some are those of a cell that left before."""
    losses, _ = losses_of(seed, 80, [0.1, 0.5, 0.9, 0.3])
    oracle = MCS(losses, 0.25, reps=300, block_size=4, method="R", seed=seed)
    oracle.compute()
    found = confidence_set(losses, 0.25, 4.0, 300, seed)
    assert found["p_value"].to_dict() == oracle.pvalues["Pvalue"].to_dict()
    assert list(found.index[found["in_confidence_set"]]) == oracle.included


def test_confidence_set_table_has_one_row_for_each_cell_in_order_of_names() -> None:
    """Index ``cell``, a p-value and a flag; the best cell has a p-value of 1."""
    losses, _ = losses_of(16, 50, [0.1, 0.9])
    table = mcs(losses[["cell_01", "cell_00"]])
    assert (table.index.name, list(table.index)) == ("cell", ["cell_00", "cell_01"])
    assert table.dtypes.astype(str).to_dict() == {"p_value": "float64", "in_confidence_set": "bool"}
    assert table["p_value"].max() == 1.0
    assert_array_equal(table["in_confidence_set"], table["p_value"] > 0.1)


def test_confidence_set_one_cell_is_in_the_set() -> None:
    """The only cell is the best one."""
    losses, _ = losses_of(17, 50, [0.5])
    table = mcs(losses)
    assert table.to_dict("index") == {"cell_00": {"p_value": 1.0, "in_confidence_set": True}}


def test_confidence_set_identical_cells_share_one_answer_and_alter_no_other() -> None:
    """Copies, exact or to the last bit, of the best, a middling and the worst cell."""
    losses, _ = losses_of(18, 80, [0.2, 0.5, 1.0])
    copies = {f"copy_{i}": losses[f"cell_0{i}"] * (1.0 + i * 1e-15) for i in range(3)}
    table = mcs(losses.assign(**copies))
    alone = mcs(losses)
    for i in range(3):
        assert_array_equal(table.loc[f"copy_{i}"], alone.loc[f"cell_0{i}"])
        assert_array_equal(table.loc[f"cell_0{i}"], alone.loc[f"cell_0{i}"])


def test_confidence_set_only_identical_cells_are_all_in_the_set() -> None:
    """None is worse than another, and even losses of zero can be the same."""
    losses, _ = losses_of(19, 50, [0.5])
    for same in (losses["cell_00"], losses["cell_00"] * 0.0):
        table = mcs(pd.DataFrame({"a": same, "b": same, "c": same}))
        assert (table["p_value"] == 1.0).all()
        assert table["in_confidence_set"].all()


@pytest.mark.parametrize("name", ["a_first", "z_last"])
def test_confidence_set_cell_worse_by_a_constant_is_out(name: str) -> None:
    """Worse on every date by the same: there is no doubt, and nothing to divide by."""
    losses, _ = losses_of(20, 50, [0.4, 0.5])
    table = mcs(losses.assign(**{name: losses["cell_00"] + 1e-3}))
    assert table.loc[name].to_list() == [0.0, False]
    assert_frame_equal(table.drop(name), mcs(losses))


def test_confidence_set_a_diverged_cell_does_not_blur_the_others() -> None:
    """What counts as rounding is measured pair by pair: losses of 1e20 make no others equal."""
    losses, _ = losses_of(21, 80, [0.2, 0.5, 1.0])
    wild = 1e20 * np.random.default_rng(21).random(80)
    table = mcs(losses.assign(wild=wild))
    assert table.loc["wild"].to_list() == [0.0, False]
    assert_frame_equal(table.drop("wild"), mcs(losses))


@pytest.mark.parametrize("n_cells", [2, 3, 4])
def test_confidence_set_exact_ties_are_equals(n_cells: int) -> None:
    """Cells with the same losses on other dates have equal means: all stay, with high p-values."""
    losses = np.random.default_rng(22).integers(0, 16, 60) / 16.0
    tied = {f"cell_{i}": np.roll(losses, 7 * i) for i in range(n_cells)}
    assert len({values.mean() for values in tied.values()}) == 1
    table = mcs(pd.DataFrame(tied))
    assert (table["p_value"] > 0.9).all()
    worse = mcs(pd.DataFrame({**tied, "worse": losses[::-1] + 1.0}))
    assert worse.loc["worse"].to_list() == [0.0, False]
    assert (worse.drop("worse")["p_value"] > 0.9).all()


def test_confidence_set_a_clearly_worse_cell_leaves_and_equal_ones_stay() -> None:
    """Of 60 samples nearly all drop the worse cell and most keep all three equal ones."""
    dropped = kept = 0
    for seed in range(60):
        losses, _ = losses_of(seed, 150, [0.3, 0.3, 0.3, 1.5])
        inside = mcs(losses, seed)["in_confidence_set"]
        dropped += not inside["cell_03"]
        kept += inside[["cell_00", "cell_01", "cell_02"]].all()
    assert dropped >= 59
    assert kept >= 46  # of 54 expected; three Monte-Carlo errors are 7


def test_confidence_set_p_values_do_not_depend_on_its_size_and_sets_are_nested() -> None:
    """The size only cuts: a larger one leaves fewer cells."""
    losses, _ = losses_of(23, 100, [0.2, 0.4, 0.5, 0.6, 0.8])
    wide, narrow = (confidence_set(losses, size, 3.0, 300, 1) for size in (0.01, 0.5))
    assert_array_equal(wide["p_value"], narrow["p_value"])
    assert (narrow["in_confidence_set"] <= wide["in_confidence_set"]).all()
    assert narrow["in_confidence_set"].sum() < wide["in_confidence_set"].sum()
    between = wide["p_value"][wide["p_value"].between(0.01, 0.99)].iloc[0]
    cut = confidence_set(losses, between, 3.0, 300, 1)
    assert_array_equal(cut["in_confidence_set"], wide["p_value"] > between)


def test_confidence_set_units_and_shared_misses_do_not_matter() -> None:
    """Losses in another unit, or plus what all cells missed on a date, give the same set."""
    losses, target = losses_of(24, 80, [0.2, 0.4, 0.9])
    table = mcs(losses)
    assert_frame_equal(mcs(losses * 2.0**-20), table)
    assert_frame_equal(mcs(losses.add(target, axis=0)), table)


# Common to both


def table_of(n_dates: int = 12, **changes: object) -> pd.DataFrame:
    """Make a table of losses of two cells, with some changes."""
    losses, _ = losses_of(25, n_dates, [0.3, 0.6])
    return losses.assign(**changes)


@pytest.mark.parametrize(
    ("losses", "words", "message"),
    [
        (table_of(9), {}, "There are 9 dates: score at least 10"),
        (table_of(0), {}, "There are 0 dates: score at least 10"),
        (table_of(1), {}, "There are 1 dates: score at least 10"),
        (table_of()[[]], {}, "There are no cells to compare: give at least one column"),
        (table_of(cell_01=GAP), {}, "^cell_01 is missing or infinite on 1 dates"),
        (table_of(cell_01=ENDLESS), {}, "^cell_01 is missing or infinite on 2 dates"),
        (table_of()[["cell_00", "cell_00"]], {}, "Cell cell_00 has two columns of losses"),
        (table_of().iloc[::-1], {}, "Dates repeat or do not ascend: average"),
        (table_of().iloc[[0, *range(12)]], {}, "Dates repeat or do not ascend: average"),
        (table_of(), {"block_length": 0.5}, "block_length is 0.5: give at least 1"),
        (table_of(), {"block_length": 12.0}, "block_length is 12.0: .* less than 12"),
        (table_of(), {"block_length": math.nan}, "block_length is nan: give at least 1"),
        (table_of(), {"n_replicates": 99}, "n_replicates is 99: give at least 100"),
    ],
)
def test_spa_and_confidence_set_bad_input_is_refused_with_a_remedy(
    losses: pd.DataFrame, words: dict[str, float], message: str
) -> None:
    """What cannot be compared is not compared, by either test."""
    arguments = {"block_length": 2.0, "n_replicates": 100, "seed": 1, **words}
    with pytest.raises(ValueError, match=message):
        superior_predictive_ability(losses, np.ones(len(losses)), **arguments)
    with pytest.raises(ValueError, match=message):
        confidence_set(losses, 0.1, **arguments)


@pytest.mark.parametrize("size", [0.0, 1.0, -0.1, 10.0, math.nan])
def test_confidence_set_impossible_size_is_refused_with_a_remedy(size: float) -> None:
    """Ten percent is 0.1, not 10."""
    with pytest.raises(ValueError, match=r"give a value between 0 and 1, for example 0\.1"):
        confidence_set(table_of(), size, 2.0, 100, 1)


def test_comparisons_leave_their_inputs_unchanged() -> None:
    """Losses are only read."""
    losses, benchmark = losses_of(26, 30, [0.3, 0.6])
    losses = losses[["cell_01", "cell_00"]]
    before, benchmark_before = losses.copy(deep=True), benchmark.copy()
    mcs(losses)
    spa(losses, benchmark)
    clark_west(losses["cell_00"].to_numpy(), benchmark, benchmark)
    assert_frame_equal(losses, before)
    assert_array_equal(benchmark, benchmark_before)


@pytest.mark.parametrize(
    ("r2", "expected"),
    [(0.02, True), (0.01, False), (0.0, False), (-5.0, False), (math.nan, False), (math.inf, True)],
)
def test_is_too_good_above_the_bound_only(r2: float, expected: bool) -> None:
    """What reaches the bound is not above it; what is not known raises no alarm."""
    assert is_too_good(r2, 0.01) is expected
    assert is_too_good(np.float64(r2), 0.01) is expected
