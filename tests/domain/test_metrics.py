"""Metrics from sums by date are the metrics that everybody knows."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from tidemark.domain.metrics import METRICS, metrics_from_sums, score_predictions, sums_by_date


def predictions_of(true: list[float], pred: list[float], dates: list[str]) -> pd.DataFrame:
    """Make a table of predictions."""
    return pd.DataFrame({"date": pd.to_datetime(dates), "y_true": true, "y_pred": pred})


def test_score_predictions_known_rows_give_known_metrics() -> None:
    """Errors of 0, 0 and 2 on targets of 1, 2 and 3."""
    days = ["2019-01-02", "2019-01-02", "2019-01-03"]
    scores = score_predictions(predictions_of([1.0, 2.0, 3.0], [1.0, 2.0, 5.0], days))
    assert list(scores) == ["mae", "mse", "rmse", "r2"]
    assert_allclose(list(scores.values()), [2 / 3, 4 / 3, 1.1547005383792515, -1.0])


def test_metrics_are_four_in_a_fixed_order() -> None:
    """Reports and interval tables count on the names."""
    assert METRICS == ("mae", "mse", "rmse", "r2")


@settings(max_examples=50, deadline=None)
@given(
    rows=st.integers(2, 40).flatmap(
        lambda size: arrays(
            "float64", (size, 2), elements=st.floats(-0.2, 0.2, allow_subnormal=False)
        )
    ),
    seed=st.integers(0, 99),
)
def test_score_predictions_agree_with_scikit_learn(rows: np.ndarray, seed: int) -> None:
    """The other route computes from rows at once, without sums by date."""
    rng = np.random.default_rng(seed)
    true, pred = rows[:, 0], rows[:, 1]
    table = pd.DataFrame({"date": rng.integers(0, 8, len(rows)), "y_true": true, "y_pred": pred})
    scores = score_predictions(table)
    assert scores["mae"] == pytest.approx(mean_absolute_error(true, pred), rel=1e-9, abs=1e-15)
    mse = mean_squared_error(true, pred)
    assert scores["mse"] == pytest.approx(mse, rel=1e-9, abs=1e-15)
    assert scores["rmse"] == pytest.approx(math.sqrt(mse), rel=1e-9, abs=1e-15)
    if true.std() > 1e-4 * abs(true).max():
        assert scores["r2"] == pytest.approx(r2_score(true, pred), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("n_rows", [1, 2, 3, 5, 7, 10, 30])
@pytest.mark.parametrize("target", [0.0, 0.1, 0.01, -0.02, 0.003, 1 / 3])
def test_score_predictions_constant_targets_have_no_r2(n_rows: int, target: float) -> None:
    """Where the targets do not vary R2 is NaN, and not a huge number made by rounding."""
    days = [f"2019-01-{number % 3 + 1:02d}" for number in range(n_rows)]
    scores = score_predictions(predictions_of([target] * n_rows, [0.05] * n_rows, days))
    assert math.isnan(scores["r2"])
    assert scores["mae"] == pytest.approx(abs(target - 0.05))


def test_score_predictions_mean_forecast_has_r2_of_zero() -> None:
    """Whoever forecasts the mean of the same rows explains nothing."""
    true = [0.01, -0.02, 0.03, 0.0]
    table = predictions_of(true, [0.005] * 4, ["2019-01-02"] * 4)
    assert score_predictions(table)["r2"] == pytest.approx(0.0, abs=1e-12)


def test_sums_by_date_unsorted_rows_give_one_row_a_date_in_order() -> None:
    """Counts, errors and targets are added up within each date, dates ascending."""
    table = predictions_of(
        [1.0, 2.0, 3.0], [0.0, 4.0, 3.0], ["2019-01-03", "2019-01-02", "2019-01-03"]
    )
    expected = [[1.0, 2.0, 4.0, 2.0, 4.0], [2.0, 1.0, 1.0, 4.0, 10.0]]
    assert_allclose(sums_by_date(table), expected)


def test_sums_by_date_row_labels_play_no_part() -> None:
    """A table that was filtered, with any index, gives the same sums."""
    table = predictions_of(
        [1.0, 2.0, 3.0], [0.0, 4.0, 3.0], ["2019-01-03", "2019-01-02", "2019-01-03"]
    )
    assert_allclose(sums_by_date(table.set_axis([7, 7, 0])), sums_by_date(table))


def test_metrics_from_sums_many_at_once_equal_one_by_one() -> None:
    """Leading axes are kept: each replicate is scored as if it stood alone."""
    sums = np.random.default_rng(2).random((4, 3, 5)) + np.array([10.0, 0.0, 0.0, 0.0, 9.0])
    together = metrics_from_sums(sums)
    for name in METRICS:
        assert together[name].shape == (4, 3)
        for place in np.ndindex(4, 3):
            assert together[name][place] == metrics_from_sums(sums[place])[name]


def test_metrics_leave_inputs_unchanged() -> None:
    """Predictions and sums are only read."""
    table = predictions_of([1.0, 2.0], [0.0, 4.0], ["2019-01-03", "2019-01-02"])
    before = table.copy(deep=True)
    sums = sums_by_date(table)
    copy = sums.copy()
    metrics_from_sums(sums)
    score_predictions(table)
    assert_frame_equal(table, before)
    assert_allclose(sums, copy, rtol=0)
