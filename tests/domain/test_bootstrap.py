"""Whole dates are resampled, in blocks of the length that was asked for."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from tidemark.domain.bootstrap import bootstrap_intervals, stationary_bootstrap


def predictions_of(seed: int, n_dates: int) -> pd.DataFrame:
    """Make predictions of one to four tickers a date, in any order."""
    rng = np.random.default_rng(seed)
    days = pd.bdate_range("2019-01-02", periods=n_dates).repeat(rng.integers(1, 5, n_dates))
    true = rng.normal(0.0, 0.01, len(days))
    table = pd.DataFrame({"date": days, "y_true": true})
    table["y_pred"] = 0.3 * true + rng.normal(0.0, 0.002, len(days))
    return table.sample(frac=1.0, random_state=seed, ignore_index=True)


@pytest.mark.parametrize("block_length", [2.0, 5.0, 10.0, 25.0])
def test_stationary_bootstrap_mean_block_length_is_near_its_parameter(block_length: float) -> None:
    """Counting where the next position does not follow on gives the mean length of blocks."""
    n_dates = 2000
    draws = stationary_bootstrap(n_dates, block_length, 200, np.random.default_rng(1))
    fresh = (draws[:, :-1] + 1) % n_dates != draws[:, 1:]
    assert 1.0 / fresh.mean() == pytest.approx(block_length, rel=0.05)


def test_stationary_bootstrap_block_lengths_are_geometric() -> None:
    """The variance of a geometric length with mean 5 is 20: blocks are not of one length."""
    draws = stationary_bootstrap(100_000, 5.0, 1, np.random.default_rng(2))[0]
    starts = np.flatnonzero((draws[:-1] + 1) % 100_000 != draws[1:])
    assert np.diff(starts).var() == pytest.approx(20.0, rel=0.1)


def test_stationary_bootstrap_block_length_one_has_no_serial_dependence() -> None:
    """Neighbouring draws are uncorrelated, and follow on no more often than by chance."""
    draws = stationary_bootstrap(50, 1.0, 4000, np.random.default_rng(3))
    before, after = draws[:, :-1].ravel(), draws[:, 1:].ravel()
    assert abs(np.corrcoef(before, after)[0, 1]) < 0.01
    assert ((before + 1) % 50 == after).mean() == pytest.approx(1 / 50, rel=0.1)


def test_stationary_bootstrap_every_date_is_drawn_equally_often() -> None:
    """Blocks wrap around the end, so that the first and the last dates are not slighted."""
    draws = stationary_bootstrap(20, 8.0, 20_000, np.random.default_rng(4))
    assert draws.shape == (20_000, 20)
    assert (draws.min(), draws.max()) == (0, 19)
    assert_allclose(np.bincount(draws.ravel()), 20_000, rtol=0.05)


def test_stationary_bootstrap_one_date_draws_it() -> None:
    """A single date can only be drawn again."""
    assert_array_equal(stationary_bootstrap(1, 5.0, 3, np.random.default_rng(5)), [[0], [0], [0]])


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), n_dates=st.integers(3, 15), block=st.sampled_from([1.0, 3.0]))
def test_bootstrap_intervals_agree_with_a_loop_that_resamples_rows(
    seed: int, n_dates: int, block: float
) -> None:
    """Gathering the rows of the drawn dates and scoring them anew gives the same intervals."""
    table = predictions_of(seed, n_dates)
    by_date = [rows for _, rows in table.groupby("date", sort=True)]
    found = bootstrap_intervals(table, block, 25, 0.9, seed)
    scores: dict[str, list[float]] = {"mae": [], "mse": [], "rmse": [], "r2": []}
    for draw in stationary_bootstrap(n_dates, block, 25, np.random.default_rng(seed)):
        rows = pd.concat([by_date[place] for place in draw])
        true, pred = rows["y_true"], rows["y_pred"]
        scores["mae"].append(mean_absolute_error(true, pred))
        scores["mse"].append(mean_squared_error(true, pred))
        scores["rmse"].append(math.sqrt(scores["mse"][-1]))
        scores["r2"].append(r2_score(true, pred) if true.min() < true.max() else math.nan)
    for name, values in scores.items():
        low, high = np.nanquantile(values, [0.05, 0.95])
        expected = [low, high, np.nanstd(values)]
        assert_allclose(
            [found[name]["low"], found[name]["high"], found[name]["std"]],
            expected, rtol=1e-6, atol=1e-12,
        )  # fmt: skip


def test_bootstrap_intervals_same_seed_gives_same_numbers_another_seed_others() -> None:
    """The seed is the only source of randomness."""
    table = predictions_of(1, 30)
    first = bootstrap_intervals(table, 5.0, 100, 0.95, 7)
    np.random.default_rng(0).random()
    assert bootstrap_intervals(table, 5.0, 100, 0.95, 7) == first
    assert bootstrap_intervals(table, 5.0, 100, 0.95, 8) != first


def test_bootstrap_intervals_same_dates_share_the_draws() -> None:
    """A cell whose errors are twice another's has, replicate by replicate, twice its MAE."""
    table = predictions_of(2, 30)
    doubled = table.assign(y_pred=table["y_true"] - 2.0 * (table["y_true"] - table["y_pred"]))
    one = bootstrap_intervals(table, 5.0, 200, 0.95, 7)["mae"]
    two = bootstrap_intervals(doubled, 5.0, 200, 0.95, 7)["mae"]
    assert_allclose([two[key] for key in one], [2.0 * one[key] for key in one])


def test_bootstrap_intervals_dates_move_together_and_widen_the_interval() -> None:
    """Fifty tickers with one error a date tell no more than one ticker: the interval is as wide."""
    rng = np.random.default_rng(6)
    one = pd.DataFrame({"date": range(40), "y_true": rng.normal(0.0, 0.01, 40), "y_pred": 0.0})
    fifty = pd.concat([one] * 50)
    alone = bootstrap_intervals(one, 1.0, 300, 0.95, 7)["mae"]
    crowd = bootstrap_intervals(fifty, 1.0, 300, 0.95, 7)["mae"]
    assert_allclose([crowd[key] for key in alone], [alone[key] for key in alone])


def test_bootstrap_intervals_more_coverage_is_wider() -> None:
    """An interval of 99 % encloses that of 50 %."""
    table = predictions_of(3, 40)
    narrow = bootstrap_intervals(table, 5.0, 300, 0.5, 7)
    broad = bootstrap_intervals(table, 5.0, 300, 0.99, 7)
    for name in ("mae", "mse", "rmse", "r2"):
        assert broad[name]["low"] < narrow[name]["low"] < narrow[name]["high"]
        assert narrow[name]["high"] < broad[name]["high"]


def test_bootstrap_intervals_known_spread_is_found() -> None:
    """The standard error of a mean of 400 independent uniform errors is 0.2887 / 20."""
    rng = np.random.default_rng(8)
    table = pd.DataFrame({"date": range(400), "y_true": rng.random(400), "y_pred": 0.0})
    interval = bootstrap_intervals(table, 1.0, 2000, 0.95, 7)["mae"]
    assert interval["std"] == pytest.approx(0.014434, rel=0.1)
    assert interval["high"] - interval["low"] == pytest.approx(2 * 1.96 * 0.014434, rel=0.1)


def test_bootstrap_intervals_constant_targets_have_no_r2_interval() -> None:
    """Without varying targets R2 has neither value nor interval; the errors have both."""
    table = predictions_of(4, 12).assign(y_true=0.01)
    found = bootstrap_intervals(table, 2.0, 50, 0.95, 7)
    assert all(math.isnan(value) for value in found["r2"].values())
    assert all(math.isfinite(value) for value in found["rmse"].values())


def test_bootstrap_intervals_leave_predictions_unchanged() -> None:
    """The table is only read."""
    table = predictions_of(5, 10)
    before = table.copy(deep=True)
    bootstrap_intervals(table, 2.0, 20, 0.95, 7)
    assert_frame_equal(table, before)
