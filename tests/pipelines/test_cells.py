"""A cell forecasts every row that is scored, walking forward, or it has failed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from sklearn.linear_model import LinearRegression

from tidemark.config import Cell
from tidemark.domain.metrics import SUMS
from tidemark.pipelines.modelling import nodes

KEYS, FEATURES = ["date", "ticker"], ["a", "b", "c"]


def test_train_forecasts_each_block_with_what_was_known_before_it(study: Any) -> None:
    """Three blocks are forecast by three least squares, each on the rows of its refit."""
    run = study.run_cell("mean.linear")
    rows = pd.concat([study.train, study.test])
    expected = []
    for refit in study.dates["refits"]:
        known = rows[rows["date"].between(refit["train_start"], refit["train_end"])]
        block = rows[rows["date"].between(refit["valid_start"], refit["valid_end"])]
        model = LinearRegression().fit(known[FEATURES], known["target"])
        expected.append(block[KEYS].assign(y_pred=model.predict(block[FEATURES])))

    wanted = pd.concat(expected, ignore_index=True)
    assert_frame_equal(run.forecasts.reset_index(drop=True), wanted, rtol=1e-9)
    assert run.outcome["n_fits"] == len(expected) == 3
    assert [one["train_rows"] for one in run.cv_scores["refits"]] == [296, 336, 376]


def test_train_later_labels_change_no_earlier_forecast(study: Any) -> None:
    """Labels from the last refit on are not seen by any block before it."""
    first = study.dates["refits"][-1]["train_end"]
    test = study.test.copy()
    test.loc[test["date"] > first, "target"] *= -50.0
    other = type(study)(study.train, test, study.dates, study.scoring, study.resampling)
    usual, changed = (one.run_cell_anew("mean.ridge") for one in (study, other))

    assert_frame_equal(usual.forecasts, changed.forecasts, check_exact=True)
    test.loc[test["date"] >= study.dates["refits"][-1]["train_start"], "target"] *= -50.0
    assert not usual.forecasts.equals(other.run_cell_anew("mean.ridge").forecasts)


@pytest.mark.parametrize("name", ["zero", "trailing_mean", "last_value"])
def test_take_baseline_forecasts_what_the_data_published(study: Any, name: str) -> None:
    """The forecasts are a column of the rows to be scored; nothing was fitted."""
    run = study.run_cell(f"baseline.{name}")
    expected = study.scoring[KEYS].assign(y_pred=study.scoring[name])
    assert_frame_equal(run.forecasts, expected)
    assert run.incidents == []
    assert run.cv_scores["rmse_mean"] is None
    outcome = run.outcome
    assert (outcome["is_baseline"], outcome["status"], outcome["n_fits"]) == (True, "ok", 0)
    assert (outcome["cv_rmse_mean"], outcome["best_params"], outcome["train_rows"]) == (None, {}, 0)
    error = study.scoring["y_true"] - study.scoring[name]
    assert outcome["metrics"]["rmse"] == pytest.approx(np.sqrt((error**2).mean()))


def test_take_baseline_that_is_not_published_is_an_error(study: Any) -> None:
    """A baseline that the data does not know is not taken for zero."""
    with pytest.raises(KeyError, match="median"):
        nodes.take_baseline(study.scoring, study.dates, Cell("returns", "baseline", "median"))


def test_evaluate_scores_every_cell_on_the_same_rows(study: Any) -> None:
    """Rows, order and targets are those published, whatever the order of the forecasts."""
    runs = [study.run_cell(name) for name in ("mean.linear", "mean.ridge", "baseline.zero")]
    for run in runs:
        assert_frame_equal(run.predictions[[*KEYS, "y_true"]], study.scoring[[*KEYS, "y_true"]])
    assert len({run.outcome["scored_hash"] for run in runs}) == 1

    mixed = runs[0].forecasts.sample(frac=1, random_state=1)
    cell = Cell("returns", "mean", "linear")
    again = nodes.evaluate(mixed, study.scoring, study.dates, study.resampling, cell)
    assert_frame_equal(again[0], runs[0].predictions)
    assert_frame_equal(again[1], runs[0].daily)


def test_evaluate_daily_sums_add_up_to_the_metrics(study: Any) -> None:
    """One row for each date, from which the pooled errors follow."""
    run = study.run_cell("mean.linear")
    assert list(run.daily) == [
        "date", "cell", *SUMS, "sq_distance_zero", "horizon_days",
    ]  # fmt: skip
    assert set(run.daily["cell"]) == {"mean.linear"}
    assert len(run.daily) == study.resampling["n_dates"] == 25
    assert run.daily["n"].sum() == 100
    mse = run.daily["sq_error"].sum() / 100
    assert run.outcome["metrics"]["mse"] == pytest.approx(mse)
    distance = (run.predictions["y_pred"] ** 2).sum()
    assert run.daily["sq_distance_zero"].sum() == pytest.approx(distance)


def test_evaluate_intervals_of_all_cells_come_from_the_same_draws(study: Any) -> None:
    """A metric that needs no forecast has one distribution over all cells."""
    runs = [study.run_cell(name) for name in ("mean.linear", "baseline.trailing_mean")]
    for run in runs:
        plan = {key: run.bootstrap[key] for key in study.resampling}
        assert plan == study.resampling
    twice = study.run_cell_anew("mean.linear").bootstrap
    assert twice == runs[0].bootstrap
    low, high = (runs[0].bootstrap["intervals"]["rmse"][end] for end in ("low", "high"))
    assert low < runs[0].outcome["metrics"]["rmse"] < high


def test_evaluate_metric_that_is_not_defined_is_none(study: Any) -> None:
    """A forecast of zero has no sign and no rank: JSON has None, not NaN."""
    run = study.run_cell("baseline.zero")
    for name in ("hit_rate", "ic", "rank_ic", "ic_t"):
        assert run.outcome["metrics"][name] is None
    assert run.outcome["intervals"]["ic"]["low"] is None
    assert run.outcome["metrics"]["r2_oos_zero"] == 0.0


def test_evaluate_scores_each_of_few_names(study: Any) -> None:
    """Four tickers have errors of their own, computed again from their rows."""
    run = study.run_cell("mean.linear")
    told = run.outcome["by_name"]["ticker"]
    assert list(told) == ["A", "B", "C", "D"]
    rows = study.scoring.assign(y_pred=run.predictions["y_pred"]).query("ticker == 'C'")
    loss = ((rows["y_true"] - rows["y_pred"]) ** 2).sum()
    assert told["C"] == pytest.approx(
        {
            "n": 25,
            "rmse": np.sqrt(loss / 25),
            "r2_oos_zero": 1.0 - loss / (rows["y_true"] ** 2).sum(),
            "r2_oos_mean": 1.0 - loss / ((rows["y_true"] - rows["trailing_mean"]) ** 2).sum(),
            "r2_oos_surface": None,  # these rows have no surface
        }
    )
    mean = study.run_cell("baseline.trailing_mean").outcome["by_name"]["ticker"]
    assert {one["r2_oos_mean"] for one in mean.values()} == {0.0}
    assert study.run_cell("mean.ridge", is_short=True).outcome["by_name"] == {}


@pytest.mark.parametrize(("n_names", "is_told"), [(12, True), (13, False)])
def test_evaluate_many_names_are_not_told_one_by_one(n_names: int, is_told: bool) -> None:
    """A dozen names fit into a table; a table without a name has none."""
    dates = pd.bdate_range("2020-01-01", periods=10)
    names = [f"n{number:02d}" for number in range(n_names)]
    keys = pd.MultiIndex.from_product([dates, names], names=KEYS).to_frame(index=False)
    rows = keys.assign(y_true=np.random.default_rng(1).normal(size=len(keys)), y_pred=0.1)
    found = nodes._score_by_name(rows, KEYS)
    assert list(found.get("ticker", {})) == (names if is_told else [])
    if is_told:
        assert found["ticker"]["n00"]["r2_oos_mean"] is None  # nobody says what the mean was
    assert nodes._score_by_name(rows.drop_duplicates("date"), ["date"]) == {}


def test_evaluate_cell_that_lacks_one_row_has_failed(study: Any) -> None:
    """It would be judged on easier rows: it has no metrics, and a note says why."""
    run = study.run_cell("mean.ridge", is_short=True)
    assert (len(run.predictions), len(run.daily)) == (0, 0)
    outcome = run.outcome
    assert (outcome["status"], outcome["metrics"], outcome["intervals"]) == ("failed", {}, {})
    assert outcome["note"] == "1 of the rows have no forecast"
    assert run.bootstrap["absent_rows"] == 1
    assert [(one.kind, one.message) for one in run.incidents] == [
        ("failed_cell", "mean.ridge: 1 of the rows have no forecast")
    ]


@pytest.mark.filterwarnings("ignore:Liblinear failed to converge")
def test_conclude_cell_that_was_not_fitted_is_reported_once(study: Any) -> None:
    """Training has told of it; that its forecasts are absent is no second failure."""
    run = study.run_cell("mean.svr", simpler={})
    assert [one.kind for one in run.incidents] == ["failed_cell"]
    assert run.bootstrap["absent_rows"] == 100
    assert run.outcome["note"] == "svr did not converge; no simpler model is left"
