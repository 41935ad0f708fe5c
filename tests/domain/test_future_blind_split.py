"""Nothing that a split holds of the past depends on prices after it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from tidemark.pipelines.data_engineering.returns.nodes import label
from tidemark.pipelines.data_engineering.returns.params import LabelParams, PreprocessParams
from tidemark.pipelines.data_engineering.returns.treatment import preprocess
from tidemark.pipelines.feature_engineering.returns.nodes import featurise, split
from tidemark.pipelines.feature_engineering.returns.params import FeatureParams, SplitParams

DAYS = pd.bdate_range("2018-01-01", periods=120).as_unit("ns")
FEATURES = FeatureParams(lags=(1, 2), windows=(3, 5), exogenous_lags=(2,))
SPLIT = SplitParams(test_share=0.25, n_folds=3, horizon_days=1, embargo_days=0)
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
    """Run the nodes from prices to train, test and folds."""
    series = pd.DataFrame({"date": DAYS, "series": "oil", "value": np.arange(120.0) + 50})
    processed, others, _ = preprocess(prices, series, treatment)
    targets = label(prices, series, LabelParams(warm_up_days=8))
    return split(featurise(processed, others, FEATURES), targets, SPLIT)


@pytest.mark.parametrize("treatment", TREATMENTS, ids=["mean", "clip"])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(50, 118), factor=st.floats(0.2, 5.0))
def test_split_with_every_later_price_altered_keeps_its_past(
    treatment: PreprocessParams, seed: int, cut: int, factor: float
) -> None:
    """Rows decided before the cut, their labels included, and the folds are bit-identical."""
    rng = np.random.default_rng(seed)
    levels = 100 * np.cumprod(1 + rng.normal(0, 0.02, (120, 3)), axis=0)
    altered = levels.copy()
    altered[cut:] *= factor * (1 + rng.uniform(0, 0.5, altered[cut:].shape))
    before, after = (split_of(prices_of(one), treatment) for one in (levels, altered))

    known = DAYS[cut - 1]  # the label of this day's row is the first to see an altered price
    for old, new in zip(before[:2], after[:2], strict=True):
        assert_frame_equal(old[old["date"] < known], new[new["date"] < known], check_exact=True)
        today = old["date"] == known
        assert_frame_equal(
            old[today].drop(columns="target"),
            new[new["date"] == known].drop(columns="target"),
            check_exact=True,
        )
    assert before[2] == after[2]
