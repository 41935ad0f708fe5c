"""Nothing that a split or a baseline holds of the past depends on prices after it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from tidemark.errors import ModelError
from tidemark.pipelines.data_engineering.publishing import publish
from tidemark.pipelines.data_engineering.returns.nodes import forecast, label
from tidemark.pipelines.data_engineering.returns.params import (
    BaselineParams,
    LabelParams,
    PreprocessParams,
)
from tidemark.pipelines.data_engineering.returns.treatment import preprocess
from tidemark.pipelines.feature_engineering.returns.nodes import featurise
from tidemark.pipelines.feature_engineering.returns.params import FeatureParams
from tidemark.pipelines.feature_engineering.splitting import split
from tidemark.pipelines.params import EvaluationParams, SplitParams

DAYS = pd.bdate_range("2018-01-01", periods=120).as_unit("ns")
FEATURES = FeatureParams(lags=(1, 2), windows=(3, 5), exogenous_lags=(2,))
SPLIT = SplitParams(test_share=0.25, n_folds=3, horizon_days=1, embargo_days=0, refit_sessions=10)
EVALUATION = EvaluationParams(
    seed=3,
    n_replicates=100,
    bootstrap="stationary",
    block_length_days=5,
    interval="bca",
    level=0.9,
    confidence_set_size=0.1,
)
TREATMENTS = [
    PreprocessParams(impute="mean", impute_window_days=20),
    PreprocessParams(
        impute="median",
        impute_window_days=20,
        outliers="clip",
        outlier_window_days=20,
        outlier_min_days=5,
    ),
]


def prices_of(levels: np.ndarray) -> pd.DataFrame:
    """Make a long table of three tickers with a hole in the middle of one."""
    wide = pd.DataFrame(levels, index=DAYS, columns=["A", "B", "C"])
    long = wide.melt(ignore_index=False, var_name="ticker", value_name="close")
    long = long.rename_axis("date").reset_index()
    return long[~((long["ticker"] == "B") & (long["date"] == DAYS[40]))].reset_index(drop=True)


def split_of(prices: pd.DataFrame, treatment: PreprocessParams) -> tuple[Any, ...]:
    """Run the nodes from prices to train and test, the rows to be scored, and the dates."""
    series = pd.DataFrame({"date": DAYS, "series": "oil", "value": np.arange(120.0) + 50})
    processed, others, _ = preprocess(prices, series, treatment)
    targets = label(prices, series, LabelParams(warm_up_days=8))
    baselines = forecast(prices, BaselineParams(trailing_mean_days=20))
    dates, scoring, _ = publish(targets, baselines, SPLIT, EVALUATION)
    train, test = split(featurise(processed, others, FEATURES), targets, dates)
    return train, test, scoring, dates


@pytest.mark.parametrize("treatment", TREATMENTS, ids=["mean", "clip"])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(50, 118), factor=st.floats(0.2, 5.0))
def test_split_with_every_later_price_altered_keeps_its_past(
    treatment: PreprocessParams, seed: int, cut: int, factor: float
) -> None:
    """Rows decided before the cut, their labels included, and the dates are bit-identical."""
    rng = np.random.default_rng(seed)
    levels = 100 * np.cumprod(1 + rng.normal(0, 0.02, (120, 3)), axis=0)
    altered = levels.copy()
    altered[cut:] *= factor * (1 + rng.uniform(0, 0.5, altered[cut:].shape))
    before, after = (split_of(prices_of(one), treatment) for one in (levels, altered))

    known = DAYS[cut - 1]  # the label of this day's row is the first to see an altered price
    for old, new in zip(before[:3], after[:3], strict=True):
        assert_frame_equal(old[old["date"] < known], new[new["date"] < known], check_exact=True)
        label_of_row = "y_true" if "y_true" in old else "target"
        today = old["date"] == known
        assert_frame_equal(
            old[today].drop(columns=label_of_row),
            new[new["date"] == known].drop(columns=label_of_row),
            check_exact=True,
        )
    assert before[3] == after[3]
    scored = before[2][["date", "ticker"]]
    assert_frame_equal(before[1][["date", "ticker"]], scored)  # what is scored has features


def test_split_eligible_row_without_features_is_refused() -> None:
    """A warm-up that is shorter than the longest look-back is named, with rows and the remedy."""
    levels = 100 + np.random.default_rng(0).normal(size=(120, 3))
    prices, series = prices_of(levels), pd.DataFrame({"date": DAYS, "series": "oil", "value": 1.0})
    processed, others, _ = preprocess(prices, series, TREATMENTS[0])
    targets = label(prices, series, LabelParams(warm_up_days=4))
    baselines = forecast(prices, BaselineParams(trailing_mean_days=20))
    dates, _, _ = publish(targets, baselines, SPLIT, EVALUATION)
    with pytest.raises(ModelError, match="eligible rows have no features") as caught:
        split(featurise(processed, others, FEATURES), targets, dates)
    assert "Lengthen the study's warm-up to the longest look-back" in str(caught.value)
    assert f"{DAYS[4]:%F} A" in str(caught.value)
