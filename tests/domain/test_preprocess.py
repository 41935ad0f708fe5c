"""The treatment of a scenario as a whole: no row knows its future, none is lost."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal

from tidemark.pipelines.data_engineering.returns.nodes import label
from tidemark.pipelines.data_engineering.returns.params import LabelParams, PreprocessParams
from tidemark.pipelines.data_engineering.returns.treatment import preprocess
from tidemark.pipelines.feature_engineering.returns.nodes import featurise
from tidemark.pipelines.feature_engineering.returns.params import FeatureParams

NAN = float("nan")
CELLS = st.one_of(st.just(NAN), *[st.floats(50.0, 200.0)] * 4)
PANELS = st.integers(6, 24).flatmap(lambda rows: arrays("float64", (rows, 4), elements=CELLS))
NO_SERIES = pd.DataFrame({"date": [], "series": [], "value": []}).astype(
    {"date": "datetime64[ns]", "series": "str", "value": "float64"}
)


def params_of(outliers: str, impute: str = "mean") -> PreprocessParams:
    """Make parameters with windows that a few rows fill."""
    return PreprocessParams(
        impute=impute, impute_window_days=4, outliers=outliers,
        outlier_window_days=5, outlier_min_days=3, iqr_multiple=1.0, tail=0.2,
    )  # fmt: skip


def long_of(values: np.ndarray, names: list[str], name: str, value: str) -> pd.DataFrame:
    """Make a long table, names in turn, on consecutive days; blank levels keep their rows."""
    days = pd.date_range("2019-01-01", periods=len(values), unit="ns")
    table = {"date": np.repeat(days.to_numpy(), len(names)), name: names * len(values)}
    return pd.DataFrame({**table, value: values.ravel()})


def tables_of(values: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split a panel of levels into prices of three tickers and one exogenous series."""
    prices = long_of(values[:, :3], ["A", "B", "C"], "ticker", "close")
    return prices, long_of(values[:, 3:], ["x"], "series", "value")


def rows_until(table: pd.DataFrame, last: pd.Timestamp) -> dict[tuple[object, ...], bytes]:
    """Map each key up to a date to the bits of its row."""
    table = table[table["date"] <= last]
    keys = table.iloc[:, :2].itertuples(index=False, name=None)
    numbers = table[["ret", "was_missing", "was_moved"]].to_numpy(dtype="float64")
    return dict(zip(keys, [row.tobytes() for row in numbers], strict=True))


@pytest.mark.parametrize("outliers", ["keep", "clip", "winsorise"])
@settings(max_examples=20, deadline=None)
@given(values=PANELS, impute=st.sampled_from(["mean", "median"]), data=st.data())
def test_preprocess_altered_future_leaves_the_past_bit_identical(
    outliers: str, values: np.ndarray, impute: str, data: st.DataObject
) -> None:
    """Other levels after a date change no bit of the rows up to it, and no row comes or goes."""
    cut = data.draw(st.integers(1, len(values) - 1))
    levels = st.floats(0.01, 1e4)
    other = values.copy()
    other[cut:] = data.draw(arrays("float64", other[cut:].shape, elements=levels))
    # who is alive at the end is decided by the last level: it is there in both
    whole = values.copy()
    whole[-1] = 100.0
    last = pd.Timestamp("2019-01-01") + pd.Timedelta(days=cut - 1)
    first = preprocess(*tables_of(whole), params_of(outliers, impute))
    second = preprocess(*tables_of(other), params_of(outliers, impute))
    for before, after in zip(first[:2], second[:2], strict=True):
        assert rows_until(before, last) == rows_until(after, last)


@pytest.mark.parametrize("outliers", ["keep", "clip", "winsorise"])
@settings(max_examples=20, deadline=None)
@given(values=PANELS, impute=st.sampled_from(["mean", "median"]), data=st.data())
def test_preprocess_truncated_future_leaves_the_past_bit_identical(
    outliers: str, values: np.ndarray, impute: str, data: st.DataObject
) -> None:
    """Without the future, rows are the same; only blanks at the end of the tape lack theirs."""
    cut = data.draw(st.integers(1, len(values) - 1))
    last = pd.Timestamp("2019-01-01") + pd.Timedelta(days=cut - 1)
    whole = preprocess(*tables_of(values), params_of(outliers, impute))
    short = preprocess(*tables_of(values[:cut]), params_of(outliers, impute))
    for before, after in zip(whole[:2], short[:2], strict=True):
        full, part = rows_until(before, last), rows_until(after, last)
        assert part.items() <= full.items()
        lost = full.keys() - part.keys()
        ends = after.groupby(after.columns[1])["date"].max()
        for day, name in lost:
            assert np.frombuffer(full[day, name])[1] == 1.0  # it was missing
            assert name not in ends or day > ends[name]


@settings(max_examples=30, deadline=None)
@given(values=PANELS, outliers=st.sampled_from(["keep", "clip", "winsorise"]))
def test_preprocess_then_featurise_every_eligible_row_has_features(
    values: np.ndarray, outliers: str
) -> None:
    """A warm-up of the longest look-back plus one is enough, whatever is blank, late or gone."""
    prices, exogenous = tables_of(values)
    exogenous = exogenous.dropna().assign(date=lambda table: table["date"] - pd.Timedelta(days=2))
    targets = label(prices, exogenous, LabelParams(warm_up_days=5))
    treated = preprocess(prices, exogenous, params_of(outliers))
    features = featurise(
        *treated[:2], FeatureParams(lags=[1, 2], windows=[3, 4], exogenous_lags=[2, 3])
    )
    wanted = targets.loc[targets["eligible"], ["date", "ticker"]]
    assert len(wanted.merge(features, on=["date", "ticker"])) == len(wanted)


def test_preprocess_report_counts_what_was_done() -> None:
    """One blank level of a seven-day life leaves two of six returns missing; one is held back."""
    levels = np.array([[100.0], [101.0], [102.0], [103.0], [500.0], [NAN], [505.0]])
    prices = long_of(levels, ["A"], "ticker", "close")
    processed, _, report = preprocess(prices, NO_SERIES, params_of("clip"))
    assert report == {
        "cells": 6,
        "missing_rate_before": pytest.approx(2 / 6),
        "missing_rate_after": 0.0,
        "cells_filled": 2,
        "cells_moved": 1,
        "exogenous_cells": 0,
        "exogenous_missing_rate_before": 0.0,
        "exogenous_missing_rate_after": 0.0,
        "exogenous_cells_filled": 0,
        "exogenous_cells_moved": 0,
    }
    assert processed["was_missing"].to_list() == [False] * 4 + [True] * 2
    assert processed["was_moved"].to_list() == [False] * 3 + [True] + [False] * 2
    # quartiles of 1/100, 1/101, 1/102 are 0.0098525 and 0.0099505: the fence is 0.0100485
    assert processed["ret"].iloc[3] == pytest.approx(0.0100485, abs=1e-7)


def test_preprocess_held_back_values_are_what_imputation_learns_from() -> None:
    """A blank after an outlier is filled from the value at the fence, not from the outlier."""
    levels = np.array([[100.0], [101.0], [102.0], [103.0], [500.0], [NAN], [505.0]])
    prices = long_of(levels, ["A"], "ticker", "close")
    filled = [
        preprocess(prices, NO_SERIES, params_of(outliers))[0]["ret"].iloc[4]
        for outliers in ("keep", "clip")
    ]
    assert_allclose(filled, [(0.01 + 1 / 101 + 1 / 102 + 397 / 103) / 4, 0.0099386], atol=1e-6)


def test_preprocess_delisted_and_late_tickers_have_rows_of_their_lives_only() -> None:
    """Each ticker has one row for each session of its life but the first."""
    values = np.full((8, 2), 100.0)
    values[:3, 0], values[5:, 1] = NAN, NAN
    prices = long_of(values, ["late", "gone"], "ticker", "close")
    processed, _, _ = preprocess(prices, NO_SERIES, params_of("keep"))
    spans = processed.groupby("ticker")["date"].agg(["min", "max"])
    assert spans.loc["late"].astype("str").to_list() == ["2019-01-05", "2019-01-08"]
    assert spans.loc["gone"].astype("str").to_list() == ["2019-01-02", "2019-01-05"]


def test_preprocess_leaves_inputs_unchanged() -> None:
    """Both tables are only read."""
    tables = tables_of(np.random.default_rng(9).uniform(50.0, 200.0, (10, 4)))
    before = [table.copy(deep=True) for table in tables]
    preprocess(*tables, params_of("clip"))
    for table, copy in zip(tables, before, strict=True):
        assert_frame_equal(table, copy)
