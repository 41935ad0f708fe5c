"""Whole dates are resampled, in blocks of the length that was asked for."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from arch.bootstrap import CircularBlockBootstrap, IIDBootstrap, StationaryBootstrap
from arch.bootstrap import optimal_block_length as arch_block_length
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from scipy.signal import lfilter
from scipy.stats import binom, chisquare, norm, pearsonr, spearmanr
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score, roc_auc_score

from tidemark.domain import bootstrap
from tidemark.domain.bootstrap import (
    draw_circular,
    draw_counts,
    draw_stationary,
    interval_metrics,
    optimal_block_length,
)
from tidemark.domain.metrics import METRICS, score_predictions

LIMITS = ("low", "high", "std")
KINDS: tuple[Any, Any] = ("percentile", "bca")


def predictions_of(seed: int, n_dates: int, n_tickers: int = 4) -> pd.DataFrame:
    """Make predictions of one to so many tickers a date, in any order."""
    rng = np.random.default_rng(seed)
    days = pd.bdate_range("2019-01-02", periods=n_dates)
    days = days.repeat(rng.integers(1, n_tickers + 1, n_dates))
    true = rng.normal(0.0, 0.01, len(days))
    table = pd.DataFrame({"date": days, "y_true": true})
    table["y_pred"] = 0.3 * true + rng.normal(0.0, 0.002, len(days))
    table["trailing_mean"] = rng.normal(0.0, 0.001, len(days))
    table["surface_by_strike"] = 0.2 * true + rng.normal(0.0, 0.002, len(days))
    return table.sample(frac=1.0, random_state=seed, ignore_index=True)


def score_rows(
    true: np.ndarray, pred: np.ndarray, trailing_mean: np.ndarray, surface: np.ndarray
) -> list[float]:
    """Score rows at once, by another library or from the definition."""
    mse = mean_squared_error(true, pred)
    return [
        mean_absolute_error(true, pred),
        mse,
        math.sqrt(mse),
        r2_score(true, pred),
        1 - mse / np.mean(true**2),
        1 - mse / mean_squared_error(true, trailing_mean),
        1 - mse / mean_squared_error(true, surface),
        float(np.mean(np.sign(true) == np.sign(pred))),
        roc_auc_score(true > 0, pred),
    ]


def by_hand(table: pd.DataFrame) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function of positions of dates that gathers their rows and scores them."""
    names = ["y_true", "y_pred", "trailing_mean", "surface_by_strike"]
    by_date = [rows[names].to_numpy().T for _, rows in table.groupby("date", sort=True)]
    ics = np.array(
        [
            [correlate(*rows[:2]).statistic if rows.shape[1] >= 3 else np.nan for rows in by_date]
            for correlate in (pearsonr, spearmanr)
        ]
    )

    @cache  # arch's intervals of one metric after another see the same draws
    def score(positions: tuple[int, ...]) -> np.ndarray:
        drawn = ics[:, list(positions)]
        has_ic = np.isfinite(drawn[0])
        means = drawn[:, has_ic].mean(axis=1) if has_ic.any() else [np.nan, np.nan]
        return np.array(
            [*score_rows(*np.concatenate([by_date[place] for place in positions], axis=1)), *means]
        )

    return lambda positions: score(tuple(positions))


def count_draws(arch: IIDBootstrap, n_dates: int, n_replicates: int) -> np.ndarray:
    """Count how often arch's bootstrap of positions draws each."""
    draws = (data[0][0] for data in arch.bootstrap(n_replicates))
    return np.stack([np.bincount(draw.ravel(), minlength=n_dates) for draw in draws])


def autoregression(n: int, slope: float, rng: np.random.Generator) -> np.ndarray:
    """Draw a stationary first-order autoregression with innovations of variance one."""
    return np.asarray(lfilter([1.0], [1.0, -slope], rng.normal(size=n + 200))[200:])


@pytest.mark.parametrize("block_length", [2.0, 5.0, 10.0, 25.0])
def test_draw_stationary_mean_block_length_is_near_its_parameter(block_length: float) -> None:
    """Counting where the next position does not follow on gives the mean length of blocks."""
    n_dates = 2000
    draws = draw_stationary(n_dates, block_length, 200, np.random.default_rng(1))
    fresh = (draws[:, :-1] + 1) % n_dates != draws[:, 1:]
    assert 1.0 / fresh.mean() == pytest.approx(block_length, rel=0.05)


def test_draw_stationary_block_lengths_are_geometric() -> None:
    """The variance of a geometric length with mean 5 is 20: blocks are not of one length."""
    draws = draw_stationary(100_000, 5.0, 1, np.random.default_rng(2))[0]
    starts = np.flatnonzero((draws[:-1] + 1) % 100_000 != draws[1:])
    assert np.diff(starts).var() == pytest.approx(20.0, rel=0.1)


def test_draw_stationary_block_length_one_has_no_serial_dependence() -> None:
    """Neighbouring draws are uncorrelated, and follow on no more often than by chance."""
    draws = draw_stationary(50, 1.0, 4000, np.random.default_rng(3))
    before, after = draws[:, :-1].ravel(), draws[:, 1:].ravel()
    assert abs(np.corrcoef(before, after)[0, 1]) < 0.01
    assert ((before + 1) % 50 == after).mean() == pytest.approx(1 / 50, rel=0.1)


@pytest.mark.parametrize(
    ("block_length", "whole"), [(1.0, 1), (4.0, 4), (3.2, 4), (12.0, 12), (90.0, 12), (np.inf, 12)]
)
def test_draw_circular_blocks_have_one_length_rounded_up(block_length: float, whole: int) -> None:
    """Twelve dates are twelve, three or one blocks of positions that follow on, with wrapping."""
    draws = draw_circular(12, block_length, 500, np.random.default_rng(4))
    assert draws.shape == (500, 12)
    blocks = draws.reshape(500, -1, whole)
    assert_array_equal(blocks, (blocks[..., :1] + np.arange(whole)) % 12)
    assert (blocks[..., -1] < blocks[..., 0]).any() == (whole > 1)
    assert set(blocks[..., 0].ravel()) == set(range(12))


def test_draw_circular_last_block_is_cut() -> None:
    """Ten dates in blocks of four are two whole blocks and half of a third."""
    draws = draw_circular(10, 4.0, 300, np.random.default_rng(5))
    follows = (draws[:, :-1] + 1) % 10 == draws[:, 1:]
    assert follows[:, [0, 1, 2, 4, 5, 6, 8]].all()
    assert not follows[:, 3].all()
    assert not follows[:, 7].all()


@pytest.mark.parametrize("method", ["stationary", "circular"])
@settings(max_examples=25, deadline=None)
@given(n_dates=st.integers(1, 40), block=st.floats(1.0, 60.0), seed=st.integers(0, 99))
def test_draw_counts_rows_add_up_to_the_dates(
    method: Any, n_dates: int, block: float, seed: int
) -> None:
    """Every replicate has as many dates as there are, drawn from the same seed twice alike."""
    counts = draw_counts(n_dates, block, 7, seed, method)
    assert counts.shape == (7, n_dates)
    assert counts.dtype.kind == "i"
    assert counts.min() >= 0
    assert_array_equal(counts.sum(axis=1), n_dates)
    assert_array_equal(draw_counts(n_dates, block, 7, seed, method), counts)


@pytest.mark.parametrize("method", ["stationary", "circular"])
def test_draw_counts_in_chunks_are_all_different(
    method: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks neither repeat nor leave out replicates, and another seed gives other counts."""
    monkeypatch.setattr(bootstrap, "CHUNK_DRAWS", 3 * 30)
    counts = draw_counts(30, 4.0, 10, 1, method)
    assert len(np.unique(counts, axis=0)) == 10
    assert_array_equal(counts.sum(axis=1), 30)
    assert not np.array_equal(draw_counts(30, 4.0, 10, 2, method), counts)


@pytest.mark.parametrize("method", ["stationary", "circular"])
def test_draw_counts_every_date_is_drawn_equally_often(method: Any) -> None:
    """Blocks wrap around the end, so that the first and the last dates are not slighted."""
    counts = draw_counts(20, 8.0, 20_000, 4, method)
    assert_allclose(counts.sum(axis=0), 20_000, rtol=0.05)


@pytest.mark.parametrize("method", ["stationary", "circular"])
def test_draw_counts_block_length_one_is_multinomial(method: Any) -> None:
    """A date's count is binomial, and its neighbour's is correlated by minus a twenty-ninth."""
    counts = draw_counts(30, 1.0, 20_000, 6, method)
    seen = np.bincount(np.minimum(counts[:, 7], 5), minlength=6)
    expected = 20_000 * np.append(binom.pmf(range(5), 30, 1 / 30), binom.sf(4, 30, 1 / 30))
    assert chisquare(seen, expected).pvalue > 0.001
    pairs = np.corrcoef(counts, rowvar=False)[np.arange(29), np.arange(1, 30)]
    assert pairs.mean() == pytest.approx(-1 / 29, abs=0.005)


@pytest.mark.parametrize("slope", [0.0, 0.6])
def test_draw_counts_stationary_variance_of_a_mean_is_that_of_politis_and_romano(
    slope: float,
) -> None:
    """Their lemma 1 gives the variance over all replicates from circular autocovariances."""
    n, block = 200, 6.0
    series = autoregression(n, slope, np.random.default_rng(7))
    centred = series - series.mean()
    circular = np.array([centred @ np.roll(centred, -lag) for lag in range(n)]) / n
    lags = np.arange(1, n)
    shrunk = (1.0 - lags / n) * (1.0 - 1.0 / block) ** lags
    expected = (circular[0] + 2.0 * shrunk @ circular[1:]) / n
    means = draw_counts(n, block, 20_000, 8) @ series / n
    assert means.var() == pytest.approx(expected, rel=0.05)
    assert means.mean() == pytest.approx(series.mean(), abs=5.0 * math.sqrt(expected / 20_000))


def test_draw_counts_circular_variance_of_a_mean_is_that_of_block_means() -> None:
    """Ten independent blocks of twenty: a tenth of the variance between all block means."""
    series = autoregression(200, 0.6, np.random.default_rng(9))
    around = np.concatenate([series, series[:19]])
    expected = np.convolve(around, np.full(20, 1 / 20), mode="valid").var() / 10
    means = draw_counts(200, 20.0, 20_000, 10, "circular") @ series / 200
    assert means.var() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    ("n_dates", "block", "n_replicates"), [(0, 2.0, 3), (5, 0.9, 3), (5, math.nan, 3), (5, 2.0, 0)]
)
def test_draw_counts_impossible_numbers_are_refused(
    n_dates: int, block: float, n_replicates: int
) -> None:
    """No dates, no replicates and blocks shorter than a date have no meaning."""
    with pytest.raises(ValueError, match="each of the three must be at least 1"):
        draw_counts(n_dates, block, n_replicates, 1)


def test_unknown_words_are_refused() -> None:
    """A method or kind that is spelt otherwise is not taken for the usual one."""
    table, counts = predictions_of(1, 8), draw_counts(8, 2.0, 5, 1)
    unknown: Any = "moving"
    with pytest.raises(ValueError, match="'moving': choose one of stationary, circular"):
        draw_counts(5, 2.0, 3, 1, unknown)
    with pytest.raises(ValueError, match="'moving': choose one of stationary, circular"):
        optimal_block_length(np.arange(30.0), unknown)
    with pytest.raises(ValueError, match="'moving': choose one of bca, percentile"):
        interval_metrics(table, counts, 0.9, unknown)


@pytest.mark.parametrize("method", ["stationary", "circular"])
@pytest.mark.parametrize("slope", [-0.3, 0.0, 0.4, 0.7])
def test_optimal_block_length_is_that_of_arch(method: Any, slope: float) -> None:
    """The rule is arch's, between one and a third of the dates."""
    series = autoregression(500, slope, np.random.default_rng(11))
    expected = max(1.0, float(arch_block_length(series)[method].iloc[0]))
    assert optimal_block_length(series, method) == expected


@pytest.mark.parametrize("slope", [0.3, 0.5, 0.7])
def test_optimal_block_length_of_an_autoregression_is_near_the_optimum(slope: float) -> None:
    """Put the autocovariances into the optimum: (2 slope / (1 - slope^2))^(2/3) n^(1/3)."""
    rng, n = np.random.default_rng(12), 4000
    lengths = [optimal_block_length(autoregression(n, slope, rng)) for _ in range(40)]
    optimum = (2.0 * slope / (1.0 - slope**2)) ** (2 / 3) * n ** (1 / 3)
    assert np.median(lengths) == pytest.approx(optimum, rel=0.15)


def test_optimal_block_length_stays_within_its_limits() -> None:
    """Alternation asks for more than a third of the dates, this noise for less than one."""
    even = np.tile([-1.0, 1.0], 20)
    noise = np.random.default_rng(1).normal(size=100)
    for series, is_above, limit in ((even, True, 40 / 3), (noise, False, 1.0)):
        assert (arch_block_length(series)["stationary"].iloc[0] > limit) == is_above
        assert optimal_block_length(series) == limit


@pytest.mark.parametrize("method", ["stationary", "circular"])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 8, 9, 11, 12, 13, 64, 1000])
def test_optimal_block_length_constant_series_has_the_cube_root(method: Any, n: int) -> None:
    """Without variation there are no autocorrelations; one ulp of rounding is no variation."""
    expected = max(1.0, min(n ** (1 / 3), n / 3))
    rounded = np.where(np.arange(n) % 3 == 0, 0.3, 0.1 + 0.2)
    for series in (np.zeros(n), np.full(n, 0.1), rounded):
        assert optimal_block_length(series, method) == pytest.approx(expected)


@pytest.mark.parametrize("n", range(2, 40))
def test_optimal_block_length_short_series_has_one(n: int) -> None:
    """Few dates neither warn nor fail."""
    series = np.random.default_rng(n).normal(size=n)
    assert 1.0 <= optimal_block_length(series) <= max(1.0, n / 3)


@pytest.mark.parametrize("series", [[], [1.0, np.nan, 2.0], [np.inf, 1.0]])
def test_optimal_block_length_missing_values_are_refused(series: list[float]) -> None:
    """A gap would be taken for a date."""
    with pytest.raises(ValueError, match="give one finite value for each date"):
        optimal_block_length(np.array(series))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "make",
    [
        lambda positions: StationaryBootstrap(4, positions, seed=14),
        lambda positions: CircularBlockBootstrap(4, positions, seed=14),
        lambda positions: IIDBootstrap(positions, seed=14),
    ],
)
def test_interval_metrics_on_draws_of_arch_are_its_intervals(
    make: Callable[[np.ndarray], IIDBootstrap], kind: Any
) -> None:
    """The same dates drawn, arch scores their rows anew by other libraries: same limits."""
    n_dates, n_replicates = 30, 100
    table = predictions_of(14, n_dates)
    positions = np.arange(n_dates)
    counts = count_draws(make(positions), n_dates, n_replicates)
    found = interval_metrics(table, counts, 0.9, kind)
    score = by_hand(table)
    # One metric at a time: arch centres the jackknife of several at the mean of all of them. And
    # none of few values, of which those equal to the estimate do not count half with arch.
    many = [METRICS.index(name) for name in ("mae", "r2", "r2_oos_surface", "auc", "ic")]
    for place in many if kind == "bca" else (slice(None),):
        names = np.atleast_1d(np.array(METRICS)[place])
        limits = make(positions).conf_int(
            lambda draw, place=place: np.atleast_1d(score(draw)[place]), n_replicates, kind, 0.9
        )
        assert [found[name]["kind"] for name in names] == [kind] * len(names)
        ours = np.array([[found[name][limit] for name in names] for limit in ("low", "high")])
        assert_allclose(ours, limits, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("method", "other"),
    [("stationary", StationaryBootstrap), ("circular", CircularBlockBootstrap)],
)
def test_interval_metrics_agree_with_arch_within_monte_carlo_error(
    method: Any, other: type[CircularBlockBootstrap], kind: Any
) -> None:
    """Draws of our own, of the same number, give limits of the same distribution."""
    n, n_replicates = 150, 4000
    series = 0.1 * autoregression(n, 0.5, np.random.default_rng(15)) ** 2 + 0.01
    table = pd.DataFrame({"date": range(n), "y_true": series, "y_pred": 0.0})
    found = interval_metrics(table, draw_counts(n, 5.0, n_replicates, 16, method), 0.9, kind)["mae"]
    limits = other(5, series, seed=17).conf_int(np.mean, n_replicates, kind, 0.9).ravel()
    # The standard error of a normal's 5 % quantile is 2.11 deviations over the root of the draws;
    # BCa's bias adds that of a median, 1.25, and each limit is the difference of two estimates.
    error = math.sqrt(2.0 * (2.11**2 + 2.0 * 1.25**2) / n_replicates) * found["std"]
    assert_allclose([found["low"], found["high"]], limits, atol=4.0 * error, rtol=0.0)
    assert limits[1] - limits[0] > 20.0 * error


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), n_dates=st.integers(20, 30), block=st.sampled_from([1.0, 3.0]))
def test_interval_metrics_agree_with_a_loop_that_resamples_rows(
    seed: int, n_dates: int, block: float
) -> None:
    """Gathering the rows of the drawn dates and scoring them anew gives the same intervals."""
    table = predictions_of(seed, n_dates)
    counts = draw_counts(n_dates, block, 20, seed)
    found = interval_metrics(table, counts, 0.9, "percentile")
    score = by_hand(table)
    values = np.array([score(np.repeat(np.arange(n_dates), row)) for row in counts])
    for name, column in zip(METRICS, values.T, strict=True):
        expected = [*np.nanquantile(column, [0.05, 0.95]), np.nanstd(column)]
        assert_allclose([found[name][limit] for limit in LIMITS], expected, rtol=1e-6, atol=1e-12)


def test_interval_metrics_replicates_scatter_around_the_estimate() -> None:
    """Their standard deviation covers the estimate, and the interval encloses it."""
    table = predictions_of(18, 200, 6)
    scores = score_predictions(table)
    found = interval_metrics(table, draw_counts(200, 5.0, 1000, 18), 0.95)
    for name in METRICS:
        low, high, std = (found[name][limit] for limit in LIMITS)
        assert low < scores[name] < high
        assert high - low == pytest.approx(2 * 1.96 * std, rel=0.15)
        assert found[name]["kind"] == "bca"


def test_interval_metrics_same_counts_give_same_numbers_others_others() -> None:
    """The counts are the only source of randomness."""
    table = predictions_of(1, 30)
    counts = draw_counts(30, 5.0, 100, 7)
    first = interval_metrics(table, counts, 0.95)
    assert interval_metrics(table, counts, 0.95) == first
    assert interval_metrics(table, draw_counts(30, 5.0, 100, 8), 0.95) != first


@pytest.mark.parametrize("kind", KINDS)
def test_interval_metrics_same_dates_share_the_draws(kind: Any) -> None:
    """A cell whose errors are twice another's has, replicate by replicate, twice its MAE."""
    table = predictions_of(2, 30)
    doubled = table.assign(y_pred=table["y_true"] - 2.0 * (table["y_true"] - table["y_pred"]))
    counts = draw_counts(30, 5.0, 200, 7)
    one = interval_metrics(table, counts, 0.95, kind)["mae"]
    two = interval_metrics(doubled, counts, 0.95, kind)["mae"]
    assert_allclose([two[key] for key in LIMITS], [2.0 * one[key] for key in LIMITS])


@pytest.mark.parametrize("kind", KINDS)
def test_interval_metrics_dates_move_together_and_widen_the_interval(kind: Any) -> None:
    """Fifty tickers with one error a date tell no more than one ticker: the interval is as wide."""
    rng = np.random.default_rng(6)
    one = pd.DataFrame({"date": range(40), "y_true": rng.normal(0.0, 0.01, 40), "y_pred": 0.0})
    counts = draw_counts(40, 1.0, 300, 7)
    alone = interval_metrics(one, counts, 0.95, kind)["mae"]
    crowd = interval_metrics(pd.concat([one] * 50), counts, 0.95, kind)["mae"]
    assert_allclose([crowd[key] for key in LIMITS], [alone[key] for key in LIMITS])


@pytest.mark.parametrize("kind", KINDS)
def test_interval_metrics_more_coverage_is_wider(kind: Any) -> None:
    """An interval of 99 % encloses that of 50 %."""
    table = predictions_of(3, 40)
    counts = draw_counts(40, 5.0, 300, 7)
    narrow = interval_metrics(table, counts, 0.5, kind)
    broad = interval_metrics(table, counts, 0.99, kind)
    for name in METRICS:
        assert broad[name]["low"] < narrow[name]["low"] < narrow[name]["high"]
        assert narrow[name]["high"] < broad[name]["high"]


@pytest.mark.parametrize("kind", KINDS)
def test_interval_metrics_known_spread_is_found(kind: Any) -> None:
    """The standard error of a mean of 400 independent uniform errors is 0.2887 / 20."""
    rng = np.random.default_rng(8)
    table = pd.DataFrame({"date": range(400), "y_true": rng.random(400), "y_pred": 0.0})
    interval = interval_metrics(table, draw_counts(400, 1.0, 2000, 7), 0.95, kind)["mae"]
    assert interval["std"] == pytest.approx(0.014434, rel=0.1)
    assert interval["high"] - interval["low"] == pytest.approx(2 * 1.96 * 0.014434, rel=0.1)


def test_interval_metrics_bca_of_skewed_errors_reaches_further_to_their_tail() -> None:
    """For a mean, BCa shifts both limits towards the long tail; for no skewness hardly."""
    counts = draw_counts(60, 1.0, 4000, 19)
    rng = np.random.default_rng(19)
    skewed = pd.DataFrame({"date": range(60), "y_true": rng.exponential(1.0, 60), "y_pred": 0.0})
    plain, bent = (interval_metrics(skewed, counts, 0.95, kind)["mae"] for kind in KINDS)
    assert bent["low"] > plain["low"] + 0.1 * plain["std"]
    assert bent["high"] > plain["high"] + 0.1 * plain["std"]
    even = skewed.assign(y_true=3.0 + np.tile([-1.0, 1.0], 30))
    plain, bent = (interval_metrics(even, counts, 0.95, kind)["mae"] for kind in KINDS)
    assert_allclose([bent["low"], bent["high"]], [plain["low"], plain["high"]], atol=0.05)


def test_interval_metrics_bca_without_finite_bias_falls_back_and_says_so() -> None:
    """All replicates on one side of the estimate: the share below has no normal quantile."""
    table = pd.DataFrame({"date": range(6), "y_true": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "y_pred": 0})
    late = np.array([[0, 0, 0, 1, 2, 3], [0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 3, 3]])
    plain, found = (interval_metrics(table, late, 0.9, kind)["mae"] for kind in KINDS)
    assert found == plain
    assert found["kind"] == "percentile"
    both = np.vstack([late, [[3, 2, 1, 0, 0, 0]]])
    assert interval_metrics(table, both, 0.9)["mae"]["kind"] == "bca"


def test_interval_metrics_bca_beyond_its_pole_falls_back() -> None:
    """With one date that decides and far tails, the adjusted share would turn back on itself."""
    errors = np.append(np.ones(499), 1000.0)
    table = pd.DataFrame({"date": range(500), "y_true": errors, "y_pred": 0.0})
    often, never = np.ones(500, dtype="int64"), np.ones(500, dtype="int64")
    often[[0, 499]], never[[0, 499]] = (0, 2), (2, 0)
    counts = np.vstack([np.tile(never, (5000, 1)), often])
    assert interval_metrics(table, counts, 0.95)["mae"]["kind"] == "bca"
    assert interval_metrics(table, counts, 0.9999)["mae"]["kind"] == "percentile"


def test_interval_metrics_bca_of_a_metric_that_one_date_decides_on_falls_back() -> None:
    """Without the only date with falling targets there is no AUC: the jackknife has a gap."""
    table = predictions_of(20, 12).assign(y_true=lambda rows: rows["y_true"].abs())
    first = table["date"] == table["date"].min()
    table["y_true"] = table["y_true"].where(~first, -table["y_true"])
    counts = draw_counts(12, 2.0, 200, 20)
    assert not counts[:, 0].all()
    found = interval_metrics(table, counts, 0.95)
    assert found["auc"]["kind"] == "percentile"
    assert 0.0 <= found["auc"]["low"] <= found["auc"]["high"] <= 1.0
    assert found["mae"]["kind"] == "bca"


@pytest.mark.parametrize("kind", KINDS)
def test_interval_metrics_constant_targets_have_no_r2_interval(kind: Any) -> None:
    """Without varying targets R2 has neither value nor interval; the errors have both."""
    table = predictions_of(4, 12).assign(y_true=0.01)
    found = interval_metrics(table, draw_counts(12, 2.0, 50, 7), 0.95, kind)
    for name in ("r2", "auc", "ic", "rank_ic"):
        assert all(math.isnan(found[name][limit]) for limit in LIMITS)
        assert found[name]["kind"] == "percentile"
    assert all(math.isfinite(found["rmse"][limit]) for limit in LIMITS)


@pytest.mark.parametrize("kind", KINDS)
def test_interval_metrics_one_date_has_no_width(kind: Any) -> None:
    """A single date can only be drawn again, and deleting it leaves nothing."""
    table = predictions_of(21, 1, 9)
    scores = score_predictions(table)
    found = interval_metrics(table, draw_counts(1, 5.0, 9, 7), 0.95, kind)
    for name in METRICS:
        expected = [scores[name], scores[name], 0.0]
        assert_allclose([found[name][limit] for limit in LIMITS], expected, atol=1e-12)
        assert found[name]["kind"] == "percentile"


def test_interval_metrics_what_does_not_fit_is_refused() -> None:
    """Counts of other dates, none at all, a level that is no share, and no predictions."""
    table = predictions_of(22, 10)
    for counts in (np.ones((3, 9)), np.ones((0, 10)), np.ones(10)):
        with pytest.raises(ValueError, match=r"do not fit 10 dates: .* draw_counts\(10, "):
            interval_metrics(table, counts, 0.95)
    for level in (0.0, 1.0, 95.0, math.nan):
        with pytest.raises(ValueError, match="choose one between 0 and 1"):
            interval_metrics(table, np.ones((3, 10)), level)
    with pytest.raises(ValueError, match="no predictions to score"):
        interval_metrics(table.iloc[:0], np.ones((3, 10)), 0.95)


def test_interval_metrics_leave_inputs_unchanged() -> None:
    """The table and the counts are only read."""
    table = predictions_of(5, 10)
    before, counts = table.copy(deep=True), draw_counts(10, 2.0, 20, 7)
    copy = counts.copy()
    interval_metrics(table, counts, 0.95)
    assert_frame_equal(table, before)
    assert_array_equal(counts, copy)


def test_interval_metrics_temporaries_stay_within_bounds() -> None:
    """A thousand replicates of 40,000 rows would be 320 MB for each array of rows."""
    rng = np.random.default_rng(23)
    table = pd.DataFrame({"date": np.arange(40_000) // 20, "y_true": rng.normal(size=40_000)})
    table["y_pred"] = 0.1 * table["y_true"] + rng.normal(size=40_000)
    tracemalloc.start()
    try:
        counts = draw_counts(2000, 10.0, 1000, 23)
        interval_metrics(table, counts, 0.95)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200 * 2**20


@pytest.mark.slow
def test_interval_metrics_cover_the_truth_where_independent_resampling_does_not() -> None:
    """Absolute errors that follow an autoregression of 0.5 have a mean of ten.

    The variance of their mean is three times that of independent errors. Independent resampling
    finds a third of it, so that a nominal 95 % covers 2 Phi(1.96 / sqrt(3)) - 1 = 74 %. Blocks of
    mean length b keep (1 + r) / (1 - r) of the three, r = 0.5 (1 - 1 / b): for the automatic
    length, near 14, that makes 94 %.
    """
    n, n_simulations, n_replicates = 2000, 250, 399
    rng = np.random.default_rng(24)
    dates = pd.bdate_range("2001-01-01", periods=n)
    independent = draw_counts(n, 1.0, n_replicates, 24)
    covered, lengths = np.zeros(2), []
    for seed in range(n_simulations):
        errors = 10.0 + autoregression(n, 0.5, rng)
        table = pd.DataFrame({"date": dates, "y_true": errors, "y_pred": 0.0})
        lengths.append(optimal_block_length(errors))
        blocks = draw_counts(n, lengths[-1], n_replicates, seed)
        for place, counts in enumerate((blocks, independent)):
            interval = interval_metrics(table, counts, 0.95, "percentile")["mae"]
            covered[place] += interval["low"] <= 10.0 <= interval["high"]
    shares = covered / n_simulations
    kept = 0.5 * (1.0 - 1.0 / np.median(lengths))
    found = np.array([(1.0 + kept) / (1.0 - kept) / 3.0, 1.0 / 3.0])
    expected = 2.0 * norm.cdf(norm.ppf(0.975) * np.sqrt(found)) - 1.0
    spread = np.sqrt(expected * (1.0 - expected) / n_simulations)
    assert (np.abs(shares - expected) < 3.0 * spread).all(), (shares, expected)
    assert shares[0] > 0.95 - 3.0 * math.sqrt(0.95 * 0.05 / n_simulations)
    assert shares[1] < shares[0] - 0.1
