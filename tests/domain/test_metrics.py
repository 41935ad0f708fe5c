"""Metrics from sums by date are the metrics that everybody knows."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score, roc_auc_score

from tidemark.domain.auc import delete_one_date_auc, weighted_auc
from tidemark.domain.inference import mean_t_statistic
from tidemark.domain.metrics import (
    METRICS,
    SMALLER_IS_BETTER,
    SUMS,
    T_STATISTICS,
    metrics_from_sums,
    score_predictions,
    sum_by_date,
)


def predictions_of(true: list[float], pred: list[float], dates: list[str]) -> pd.DataFrame:
    """Make a table of predictions."""
    return pd.DataFrame({"date": pd.to_datetime(dates), "y_true": true, "y_pred": pred})


def on_one_date(true: list[float], pred: list[float]) -> pd.DataFrame:
    """Make a table of predictions of one date."""
    return predictions_of(true, pred, ["2019-01-02"] * len(true))


def random_predictions(seed: int, n_dates: int = 30, decimals: int = 3) -> pd.DataFrame:
    """Make one to eight rows a date, with zeros and ties where few decimals are kept."""
    rng = np.random.default_rng(seed)
    days = pd.bdate_range("2019-01-02", periods=n_dates).repeat(rng.integers(1, 9, n_dates))
    true = rng.normal(0.001, 0.01, len(days))
    table = pd.DataFrame({"date": days, "y_true": true})
    table["y_pred"] = 0.3 * true + rng.normal(0.0, 0.004, len(days))
    table["trailing_mean"] = rng.normal(0.0, 0.001, len(days))
    table["surface_by_strike"] = 0.5 * true + rng.normal(0.0, 0.004, len(days))
    table = table.round(dict.fromkeys(table.columns[1:], decimals))
    return table.sample(frac=1.0, random_state=seed, ignore_index=True)


tables = st.integers(1, 40).flatmap(
    lambda size: st.tuples(
        *(
            st.lists(st.integers(low, high), min_size=size, max_size=size)
            for low, high in ((0, 7), (-20, 20), (-20, 20), (-3, 3), (-9, 9))
        )
    )
)


def table_of(columns: tuple[list[int], ...]) -> pd.DataFrame:
    """Make a table of small decimal numbers, many of them equal."""
    names = ("date", "y_true", "y_pred", "trailing_mean", "surface_by_strike")
    table = pd.DataFrame(dict(zip(names, columns, strict=True)))
    table["date"] = pd.Timestamp("2019-01-02") + pd.to_timedelta(table["date"], unit="D")
    return table.assign(**{name: table[name] / 1000.0 for name in table.columns[1:]})


def test_names_are_fixed_and_every_metric_is_scored() -> None:
    """Reports and tables of intervals count on the names and their order."""
    words = "mae mse rmse r2 r2_oos_zero r2_oos_mean r2_oos_surface hit_rate auc ic rank_ic"
    assert " ".join(METRICS) == words
    assert frozenset({"mae", "mse", "rmse"}) == SMALLER_IS_BETTER
    assert T_STATISTICS == ("ic_t", "rank_ic_t")
    assert tuple(score_predictions(random_predictions(0))) == METRICS + T_STATISTICS


def test_score_predictions_known_rows_give_known_errors() -> None:
    """Errors of 0, 0 and 2 on targets of 1, 2 and 3."""
    days = ["2019-01-02", "2019-01-02", "2019-01-03"]
    scores = score_predictions(predictions_of([1.0, 2.0, 3.0], [1.0, 2.0, 5.0], days))
    found = [scores[name] for name in ("mae", "mse", "rmse", "r2", "r2_oos_zero", "hit_rate")]
    assert_allclose(found, [2 / 3, 4 / 3, 1.1547005383792515, -1.0, 1 - 4 / 14, 1.0])


def test_score_predictions_known_prices_have_a_known_r2_against_the_surface() -> None:
    """Errors of 1, 0 and -1 against those of 2, -1 and 1: two of six squares are left."""
    days = ["2019-01-02", "2019-01-03", "2019-01-03"]
    table = predictions_of([5.0, 3.0, 2.0], [4.0, 3.0, 3.0], days)
    scores = score_predictions(table.assign(surface_by_strike=[3.0, 4.0, 1.0]))
    assert scores["r2_oos_surface"] == pytest.approx(2 / 3)
    assert scores["r2_oos_zero"] == pytest.approx(1 - 2 / 38)
    worse = score_predictions(table.assign(surface_by_strike=[5.0, 3.0, 2.5]))
    assert worse["r2_oos_surface"] == pytest.approx(-7.0)
    perfect = score_predictions(table.assign(surface_by_strike=table["y_true"]))
    assert math.isnan(perfect["r2_oos_surface"])


@settings(max_examples=60, deadline=None)
@given(columns=tables)
def test_score_predictions_agree_with_scikit_learn(columns: tuple[list[int], ...]) -> None:
    """The other route computes from rows at once, without sums by date."""
    table = table_of(columns)
    true, pred, mean, surface = (table[name].to_numpy() for name in table.columns[1:])
    scores = score_predictions(table)
    mse = mean_squared_error(true, pred)
    assert scores["mae"] == pytest.approx(mean_absolute_error(true, pred), rel=1e-9, abs=1e-15)
    assert scores["mse"] == pytest.approx(mse, rel=1e-9, abs=1e-15)
    assert scores["rmse"] == pytest.approx(math.sqrt(mse), rel=1e-9, abs=1e-9)
    expected = {
        "r2": r2_score(true, pred) if len(set(true)) > 1 else math.nan,
        "r2_oos_zero": 1 - mse / np.mean(true**2) if true.any() else math.nan,
    }
    for name, other in (("r2_oos_mean", mean), ("r2_oos_surface", surface)):
        has_errors = (true != other).any()
        expected[name] = 1 - mse / mean_squared_error(true, other) if has_errors else math.nan
    signed = (true != 0.0) & (pred != 0.0)
    hits = np.sign(true[signed]) == np.sign(pred[signed])
    expected["hit_rate"] = hits.mean() if signed.any() else math.nan
    known = true != 0.0
    is_scorable = len(set(np.sign(true[known]))) == 2
    expected["auc"] = roc_auc_score(true[known] > 0, pred[known]) if is_scorable else math.nan
    for name, value in expected.items():
        assert scores[name] == pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True), name


@settings(max_examples=40, deadline=None)
@given(columns=tables)
def test_sum_by_date_correlations_are_those_of_scipy(columns: tuple[list[int], ...]) -> None:
    """Date by date, ties included; without three rows and variation on both sides there is none."""
    table = table_of(columns)
    sums = sum_by_date(table)
    for date, rows in table.groupby("date"):
        true, pred = rows["y_true"], rows["y_pred"]
        pearson = spearman = 0.0
        is_defined = len(rows) >= 3 and len(set(true)) > 1 and len(set(pred)) > 1
        if is_defined:
            pearson, spearman = pearsonr(true, pred).statistic, spearmanr(true, pred).statistic
        found = sums.loc[date, ["ic", "n_ic", "rank_ic", "n_rank_ic"]]
        assert_allclose(found, [pearson, is_defined, spearman, is_defined], atol=1e-9)


def test_score_predictions_ics_are_means_and_t_statistics_over_dates_that_have_one() -> None:
    """Dates of one or two rows count neither in the mean nor in its t-statistic."""
    table = random_predictions(3)
    usual = [rows for _, rows in table.groupby("date") if len(rows) >= 3]
    assert 0 < len(usual) < table["date"].nunique()
    scores = score_predictions(table)
    for name, correlate in (("ic", pearsonr), ("rank_ic", spearmanr)):
        ics = np.array([correlate(rows["y_true"], rows["y_pred"]).statistic for rows in usual])
        assert scores[name] == pytest.approx(ics.mean())
        assert scores[f"{name}_t"] == pytest.approx(mean_t_statistic(ics))


@pytest.mark.parametrize("offset", [0.0, 1.0, 1e4, -1e6])
def test_score_predictions_r2_of_targets_far_from_zero_does_not_cancel(offset: float) -> None:
    """Sums of targets are centred: a million plus a thousandth has the R2 of a thousandth."""
    rng = np.random.default_rng(4)
    true = offset + rng.normal(0.0, 0.001, 400)
    pred = true + rng.normal(0.0, 0.0005, 400)
    table = pd.DataFrame({"date": np.arange(400) // 4, "y_true": true, "y_pred": pred})
    assert score_predictions(table)["r2"] == pytest.approx(r2_score(true, pred), rel=1e-9)


@pytest.mark.parametrize("n_rows", [1, 2, 3, 5, 7, 10, 30, 1000])
@pytest.mark.parametrize("target", [0.0, 0.1, 0.01, -0.02, 0.003, 1 / 3, 1e6 / 3])
def test_score_predictions_constant_targets_have_no_r2(n_rows: int, target: float) -> None:
    """Where the targets do not vary R2 is NaN, and not a huge number made by rounding."""
    days = [f"2019-01-{number % 3 + 1:02d}" for number in range(n_rows)]
    scores = score_predictions(predictions_of([target] * n_rows, [0.05] * n_rows, days))
    assert all(math.isnan(scores[name]) for name in ("r2", "auc", "ic", "rank_ic", "ic_t"))
    assert scores["mae"] == pytest.approx(abs(target - 0.05))


def test_score_predictions_benchmark_forecasts_have_r2_of_zero() -> None:
    """The mean of the same rows, zero and what was published each explain nothing of their own."""
    table = random_predictions(5)
    forecasts = {
        "r2": table["y_true"].mean(),
        "r2_oos_zero": 0.0,
        "r2_oos_mean": table["trailing_mean"],
        "r2_oos_surface": table["surface_by_strike"],
    }
    for name, forecast in forecasts.items():
        assert score_predictions(table.assign(y_pred=forecast))[name] == pytest.approx(0, abs=1e-12)


def test_score_predictions_half_of_the_targets_is_three_quarters_of_their_squares() -> None:
    """An error of half the target leaves a quarter of the squares, whatever the targets."""
    table = random_predictions(6)
    scores = score_predictions(table.assign(y_pred=table["y_true"] / 2.0))
    assert scores["r2_oos_zero"] == pytest.approx(0.75)
    assert (scores["hit_rate"], scores["auc"]) == (1.0, 1.0)
    assert scores["rank_ic"] == pytest.approx(1.0)


def test_score_predictions_zero_forecast_has_no_direction() -> None:
    """It never takes a side, ranks nothing, and is as good as a coin for the ROC curve."""
    scores = score_predictions(random_predictions(7).assign(y_pred=0.0))
    assert all(math.isnan(scores[name]) for name in ("hit_rate", "ic", "rank_ic", "rank_ic_t"))
    assert scores["auc"] == 0.5


def test_score_predictions_hit_rate_leaves_out_zeros_on_either_side() -> None:
    """Of six rows four have two signs, and three of these agree."""
    table = on_one_date([1.0, -1.0, 2.0, 3.0, 0.0, 2.0], [0.5, -9.0, 1.0, -1.0, 1.0, 0.0])
    assert score_predictions(table)["hit_rate"] == 0.75


def test_score_predictions_forecasts_equal_but_for_rounding_have_no_ic() -> None:
    """A tenth plus two tenths is three tenths: what the last bit ranks is no forecast."""
    rounded = [0.3, 0.1 + 0.2, 0.3, 0.1 + 0.2]
    assert len(set(rounded)) == 2
    scores = score_predictions(on_one_date([0.01, 0.03, -0.02, 0.02], rounded))
    assert math.isnan(scores["ic"])
    assert math.isnan(scores["rank_ic"])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), exponent=st.integers(-12, 12))
def test_score_predictions_scale_is_the_unit_of_errors_and_of_nothing_else(
    seed: int, exponent: int
) -> None:
    """Times a power of two, errors grow with it and what has no unit is the same."""
    table, scale = random_predictions(seed, 12), 2.0**exponent
    numbers = ["y_true", "y_pred", "trailing_mean", "surface_by_strike"]
    before = score_predictions(table)
    after = score_predictions(table.assign(**table[numbers] * scale))
    power = {"mae": 1, "rmse": 1, "mse": 2}
    for name, value in before.items():
        expected = value * scale ** power.get(name, 0)
        assert after[name] == pytest.approx(expected, rel=1e-9, nan_ok=True), name


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000))
def test_score_predictions_order_of_rows_plays_no_part(seed: int) -> None:
    """Shuffled rows, with any labels and further columns, have the same scores."""
    table = random_predictions(seed, 12)
    other = table.sample(frac=1.0, random_state=seed + 1).assign(ticker="A", fold=3)
    before = score_predictions(table)
    after = score_predictions(other.set_axis([7] * len(other)))
    assert after == pytest.approx(before, rel=1e-9, abs=1e-12, nan_ok=True)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000))
def test_score_predictions_ranking_metrics_see_only_the_order_of_forecasts(seed: int) -> None:
    """An increasing transformation of forecasts moves neither the AUC nor the rank IC."""
    table = random_predictions(seed, 12)
    bent = score_predictions(table.assign(y_pred=np.exp(100.0 * table["y_pred"])))
    before = score_predictions(table)
    for name in ("auc", "rank_ic", "rank_ic_t"):
        assert bent[name] == pytest.approx(before[name], nan_ok=True)
    assert bent["ic"] != pytest.approx(before["ic"])


def test_sum_by_date_unsorted_rows_give_one_row_a_date_in_order() -> None:
    """Each column is added up within its date, dates ascending; targets less their mean of 2."""
    table = predictions_of(
        [1.0, 2.0, 3.0], [0.0, 4.0, 3.0], ["2019-01-03", "2019-01-02", "2019-01-03"]
    ).assign(trailing_mean=1.0, surface_by_strike=[1.0, 4.0, 1.0])
    sums = sum_by_date(table)
    assert tuple(sums.columns) == SUMS
    assert sums.index.name == "date"
    assert list(sums.index) == [pd.Timestamp("2019-01-02"), pd.Timestamp("2019-01-03")]
    expected = [
        [1.0, 2.0, 4.0, 0.0, 0.0, 4.0, 1.0, 4.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0],
        [2.0, 1.0, 1.0, 0.0, 2.0, 10.0, 4.0, 4.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0],
    ]
    assert_allclose(sums, expected)
    assert (sums.dtypes == "float64").all()


@pytest.mark.parametrize(
    ("column", "metric"),
    [("trailing_mean", "r2_oos_mean"), ("surface_by_strike", "r2_oos_surface")],
)
def test_benchmark_unknown_leaves_only_its_own_metric_undefined(column: str, metric: str) -> None:
    """Without the column, or with one value missing, there is no R2 against that forecast."""
    table = random_predictions(8)
    whole = score_predictions(table)
    assert all(math.isfinite(value) for value in whole.values())
    gap = table[column].where(table.index != 3)
    for other in (table.drop(columns=column), table.assign(**{column: gap})):
        scores = score_predictions(other)
        assert math.isnan(scores.pop(metric))
        assert scores == {name: whole[name] for name in scores}


def test_metrics_from_sums_many_at_once_equal_one_by_one() -> None:
    """Leading axes are kept: each replicate is scored as if it stood alone."""
    sums = np.random.default_rng(2).random((4, 3, len(SUMS))) + 1.0
    sums[..., SUMS.index("y")] = 0.0
    together = metrics_from_sums(sums)
    assert tuple(together) == tuple(name for name in METRICS if name != "auc")
    for name, values in together.items():
        assert values.shape == (4, 3)
        for place in np.ndindex(4, 3):
            assert values[place] == metrics_from_sums(sums[place])[name]


def test_metrics_from_sums_replicates_of_constant_targets_have_no_r2() -> None:
    """The targets vary between the dates, but only one of them was drawn, and however often."""
    rng = np.random.default_rng(12)
    for target in rng.normal(0.0, 0.01, 50):
        true = [target] * 7 + [target + 1.0]
        days = ["2019-01-02"] * 7 + ["2019-01-03"]
        once = sum_by_date(predictions_of(true, [0.05] * 8, days)).to_numpy()[0]
        assert np.isnan(metrics_from_sums(np.outer(range(1, 9), once))["r2"]).all()


def test_metrics_from_sums_of_no_rows_are_undefined() -> None:
    """Without the only date nothing is left, and no division warns of it."""
    assert all(np.isnan(value) for value in metrics_from_sums(np.zeros(len(SUMS))).values())


@pytest.mark.parametrize("score", [sum_by_date, score_predictions, delete_one_date_auc])
def test_tables_that_cannot_be_scored_are_refused_with_a_remedy(score: object) -> None:
    """No rows, a missing number, an infinite one and a missing date are named."""
    assert callable(score)
    table = on_one_date([0.01, 0.02, -0.01], [0.0, 0.1, 0.2])
    with pytest.raises(ValueError, match=r"no rows\. Check that the test folds"):
        score(table.iloc[:0])
    for column, value in (("y_true", np.nan), ("y_pred", np.inf)):
        bad = table.assign(**{column: table[column].where(table.index != 1, value)})
        with pytest.raises(ValueError, match=r"1 of 3 .* first on 2019-01-02.*Leave such rows out"):
            score(bad)
    with pytest.raises(ValueError, match="2 of 3 predictions have no date"):
        score(table.assign(date=table["date"].where(table.index == 1)))


def test_metrics_leave_inputs_unchanged() -> None:
    """Predictions, sums and weights are only read."""
    table = random_predictions(10, 5)
    before = table.copy(deep=True)
    sums = sum_by_date(table).to_numpy()
    copy, weights = sums.copy(), np.ones((2, 5))
    metrics_from_sums(sums)
    score_predictions(table)
    weighted_auc(table, weights)
    delete_one_date_auc(table)
    assert_frame_equal(table, before)
    assert_array_equal(sums, copy)
    assert (weights == 1.0).all()
