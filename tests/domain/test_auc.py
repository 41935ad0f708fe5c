"""The area under the ROC curve is that of scikit-learn, whatever dates weigh."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import roc_auc_score

from tidemark.domain import auc
from tidemark.domain.auc import delete_one_date_auc, weighted_auc


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
    table = table.round(dict.fromkeys(table.columns[1:], decimals))
    return table.sample(frac=1.0, random_state=seed, ignore_index=True)


tables = st.integers(1, 40).flatmap(
    lambda size: st.tuples(
        *(
            st.lists(st.integers(low, high), min_size=size, max_size=size)
            for low, high in ((0, 7), (-20, 20), (-20, 20), (-3, 3))
        )
    )
)


def table_of(columns: tuple[list[int], ...]) -> pd.DataFrame:
    """Make a table of small decimal numbers, many of them equal."""
    names = ("date", "y_true", "y_pred", "trailing_mean")
    table = pd.DataFrame(dict(zip(names, columns, strict=True)))
    table["date"] = pd.Timestamp("2019-01-02") + pd.to_timedelta(table["date"], unit="D")
    return table.assign(**{name: table[name] / 1000.0 for name in table.columns[1:]})


@settings(max_examples=30, deadline=None)
@given(columns=tables, seed=st.integers(0, 99))
def test_weighted_auc_agrees_with_scikit_learn(columns: tuple[list[int], ...], seed: int) -> None:
    """Ties, targets of zero, dates of no weight and classes of no weight included."""
    table = table_of(columns)
    dates, codes = np.unique(table["date"], return_inverse=True)
    weights = np.random.default_rng(seed).integers(0, 4, (6, len(dates)))
    known = table["y_true"].to_numpy() != 0.0
    is_up = table["y_true"].to_numpy()[known] > 0.0
    found = weighted_auc(table, weights)
    for value, of_dates in zip(found, weights, strict=True):
        of_rows = of_dates[codes][known]
        expected = math.nan
        if of_rows[is_up].any() and of_rows[~is_up].any():
            score = table["y_pred"].to_numpy()[known]
            expected = roc_auc_score(is_up, score, sample_weight=of_rows)
        assert value == pytest.approx(expected, rel=1e-9, abs=1e-12, nan_ok=True)


def test_weighted_auc_in_many_chunks_equals_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fits into memory at once changes nothing."""
    table = random_predictions(9)
    weights = np.random.default_rng(9).random((17, table["date"].nunique()))
    whole = weighted_auc(table, weights)
    monkeypatch.setattr(auc, "CHUNK_BYTES", 8 * 3 * (len(table) + 1))
    assert_array_equal(weighted_auc(table, weights), whole)
    monkeypatch.setattr(auc, "CHUNK_BYTES", 1)
    assert_array_equal(weighted_auc(table, weights), whole)


def test_weighted_auc_known_areas() -> None:
    """Of four pairs three are won and one is a tie; one class alone has no area."""
    table = on_one_date([1.0, 2.0, 0.0, -1.0, -2.0], [0.3, 0.2, 9.0, 0.2, 0.1])
    ones = np.ones((1, 1))
    assert_allclose(weighted_auc(table, ones), [3.5 / 4])
    assert_allclose(weighted_auc(table.assign(y_pred=0.1), ones), [0.5])
    assert np.isnan(weighted_auc(table.assign(y_true=0.1), ones)).all()
    assert np.isnan(weighted_auc(table.assign(y_true=-0.1), ones)).all()
    assert np.isnan(weighted_auc(table.assign(y_true=0.0), ones)).all()


@pytest.mark.parametrize("shape", [(5,), (2, 4), (2, 6)])
def test_weighted_auc_weights_of_other_dates_are_refused(shape: tuple[int, ...]) -> None:
    """One weight a date, or it would be applied to the wrong one."""
    with pytest.raises(ValueError, match=r"do not fit 5 dates.*\(replicates, 5\)"):
        weighted_auc(random_predictions(1, 5), np.ones(shape))


@settings(max_examples=30, deadline=None)
@given(columns=tables)
def test_delete_one_date_auc_is_the_auc_with_a_weight_of_zero(
    columns: tuple[list[int], ...],
) -> None:
    """The short cut through ranks and the sum over all pairs agree, NaN where a class is gone."""
    table = table_of(columns)
    n_dates = table["date"].nunique()
    assert_allclose(delete_one_date_auc(table), weighted_auc(table, 1.0 - np.eye(n_dates)))


@pytest.mark.parametrize("sign", [-1.0, 0.0, 1.0])
def test_delete_one_date_auc_of_one_class_is_undefined(sign: float) -> None:
    """Targets that all rise, all fall or never move leave nothing to tell apart."""
    table = random_predictions(11, 6)
    found = delete_one_date_auc(table.assign(y_true=sign * 0.01))
    assert_array_equal(found, np.full(6, np.nan))
