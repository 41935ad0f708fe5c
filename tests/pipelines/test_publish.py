"""What all cells share is published once: dates, rows to be scored, and how to resample them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from arch.bootstrap import optimal_block_length
from pandas.testing import assert_frame_equal

from tidemark.errors import DataError
from tidemark.pipelines.data_engineering.publishing import publish
from tidemark.pipelines.params import EvaluationParams, SplitParams

DAYS = pd.bdate_range("2018-01-01", periods=120).as_unit("ns")
SPLIT = SplitParams(
    test_share=0.25, n_folds=3, horizon_days=1, embargo_days=0, refit_sessions=12
)  # fmt: skip
BASE: dict[str, Any] = {
    "seed": 3,
    "n_replicates": 100,
    "bootstrap": "stationary",
    "block_length_days": "auto",
    "interval": "bca",
    "level": 0.9,
    "confidence_set_size": 0.1,
}


def evaluation(**changes: Any) -> EvaluationParams:
    """Make parameters of the evaluation."""
    return EvaluationParams.model_validate({**BASE, **changes})


def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make targets of two tickers whose squares depend on those before, and their baselines."""
    rng = np.random.default_rng(5)
    keys = pd.MultiIndex.from_product([DAYS, ["A", "B"]], names=["date", "ticker"])
    calm = pd.Series(rng.normal(size=120)).ewm(span=15).mean().to_numpy()
    target = np.repeat(np.exp(3 * calm), 2) * rng.normal(size=240)
    targets = pd.DataFrame({"target": target, "eligible": True}, index=keys).reset_index()
    baselines = pd.DataFrame({"zero": 0.0, "last_value": rng.normal(size=240)}, index=keys)
    return targets, baselines.reset_index()


def test_publish_scoring_holds_every_eligible_row_of_the_test_and_no_other() -> None:
    """Rows of the last quarter that are eligible are scored, each with its baselines."""
    targets, baselines = tables()
    targets.loc[[200, 210], "eligible"] = False
    targets.loc[210, "target"] = np.nan
    split, scoring, _ = publish(targets, baselines, SPLIT, evaluation())

    assert (split["test_start"], split["test_end"]) == (f"{DAYS[90]:%F}", f"{DAYS[-1]:%F}")
    assert split["keys"] == ["date", "ticker"]
    assert list(scoring) == ["date", "ticker", "y_true", "zero", "last_value"]
    wanted = targets[(targets["date"] >= DAYS[90]) & targets["eligible"]].drop(columns="eligible")
    expected = wanted.rename(columns={"target": "y_true"}).merge(baselines)
    assert len(expected) == 58
    assert_frame_equal(scoring, expected)


def test_publish_row_without_a_baseline_is_refused_by_name() -> None:
    """A forecast that is missing, and a row that is, are named with what to do."""
    targets, baselines = tables()
    baselines.loc[230, "last_value"] = np.nan
    with pytest.raises(DataError, match="2 rows to be scored have no baseline") as caught:
        publish(targets, baselines.drop(index=239), SPLIT, evaluation())
    assert f"{DAYS[115]:%F} A" in str(caught.value)
    remedy = "Give data that begin earlier, or lengthen the study's warm-up."
    assert str(caught.value).endswith(remedy)


def test_publish_baselines_before_the_test_may_be_missing() -> None:
    """Nobody scores the rows of the training."""
    targets, baselines = tables()
    _, scoring, _ = publish(targets, baselines.iloc[180:], SPLIT, evaluation())
    assert len(scoring) == 60


@pytest.mark.parametrize("method", ["stationary", "circular"])
def test_publish_automatic_block_length_is_that_of_the_mean_squares(method: str) -> None:
    """The rule of Politis and White sees one figure a date, in order, and of the test only."""
    targets, baselines = tables()
    plan = publish(targets, baselines, SPLIT, evaluation(bootstrap=method))[2]
    squares = [float((day["target"] ** 2).mean()) for _, day in targets.iloc[180:].groupby("date")]
    expected = float(optimal_block_length(np.array(squares))[method].iloc[0])

    assert 1 < expected < 10  # neither bound of the rule is met
    assert plan["block_length"] == pytest.approx(expected)
    assert plan["block_length_rule"] == "Politis and White (2004)"
    shuffled = targets.sample(frac=1, random_state=1)
    again = publish(shuffled, baselines, SPLIT, evaluation(bootstrap=method))[2]
    assert again["block_length"] == pytest.approx(expected)


def test_publish_given_block_length_is_taken_as_it_is() -> None:
    """A number is no automatic choice; the rest of the plan is what the parameters say."""
    plan = publish(*tables(), SPLIT, evaluation(block_length_days=7))[2]
    assert plan == {
        "method": "stationary",
        "block_length": 7.0,
        "block_length_rule": "given",
        "n_dates": 30,
        "n_replicates": 100,
        "interval": "bca",
        "level": 0.9,
        "seed": 3,
        "horizon_days": 1,
    }


def test_publish_test_of_too_few_dates_is_refused() -> None:
    """Nothing can be said of nine dates; the number that is needed is told, and the remedy."""
    few = SPLIT.model_copy(update={"test_share": 0.075, "n_folds": 2})
    with pytest.raises(DataError, match="The test has 9 dates") as caught:
        publish(*tables(), few, evaluation())
    assert "at least 10" in str(caught.value)
    assert "split.test_share" in str(caught.value)


@pytest.mark.parametrize("length", [30, 31.5])
def test_publish_blocks_as_long_as_the_test_are_refused(length: float) -> None:
    """A bootstrap of one block draws the same test again and again."""
    with pytest.raises(DataError, match=f"block_length_days is {length:g}") as caught:
        publish(*tables(), SPLIT, evaluation(block_length_days=length))
    assert "30 dates of the test" in str(caught.value)
    publish(*tables(), SPLIT, evaluation(block_length_days=29))


def test_publish_is_ready_for_json_and_leaves_its_inputs_alone() -> None:
    """What is stored as JSON comes back as it was."""
    targets, baselines = tables()
    before = targets.copy(deep=True), baselines.copy(deep=True)
    split, _, plan = publish(targets, baselines, SPLIT, evaluation())
    assert json.loads(json.dumps([split, plan], allow_nan=False)) == [split, plan]
    assert [len(split["folds"]), len(split["refits"])] == [3, 3]
    assert split["window_sessions"] is None
    assert_frame_equal(targets, before[0])
    assert_frame_equal(baselines, before[1])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"block_length_days": 0.5}, "block_length_days"),
        ({"block_length_days": "long"}, "block_length_days"),
        ({"bootstrap": "moving"}, "bootstrap"),
        ({"interval": "normal"}, "interval"),
        ({"n_replicates": 99}, "n_replicates"),
        ({"confidence_set_size": 1}, "confidence_set_size"),
    ],
)
def test_evaluation_parameters_out_of_bounds_are_refused(
    change: dict[str, Any], named: str
) -> None:
    """A bad value is refused by its name before any node runs."""
    with pytest.raises(ValueError, match=named):
        evaluation(**change)
