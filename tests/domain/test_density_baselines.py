"""Densities that need no regimes come from what was known before each block or observation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm
from scipy.stats import t as student

from tidemark.domain.density_baselines import score_baselines
from tidemark.domain.splits import Fold, split_by_date
from tidemark.domain.student import discount_errors, fit_student

WINDOW = 25
COLUMNS = ["single", "student", "ewma"]


def simulate(n: int = 200, seed: int = 6) -> pd.DataFrame:
    """Draw observations with a regressor, the slope another in the second half."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(n)
    slope = np.where(np.arange(n) < n // 2, 0.5, -0.5)
    y = slope * x + rng.standard_t(5, n)
    return pd.DataFrame({"date": pd.bdate_range("2010-01-01", periods=n), "y": y, "x": x})


def cut(features: pd.DataFrame) -> tuple[Fold, ...]:
    """Cut the last half into blocks of 40."""
    dates = pd.DatetimeIndex(features["date"])
    return split_by_date(dates, 0.5, 1, 1, 0, refit_sessions=40).refits


def design_of(features: pd.DataFrame, lags: int) -> np.ndarray:
    """Stack the regressor, or ones, and the lags; the first rows are NaN."""
    columns = [features["x"] if "x" in features else pd.Series(1.0, features.index)]
    columns += [features["y"].shift(lag) for lag in range(1, lags + 1)]
    return np.column_stack(columns)


def score_gaussian(
    features: pd.DataFrame, lags: int, known: Sequence[int] | np.ndarray, row: int
) -> float:
    """Score one row by NumPy's least squares on some rows, and SciPy's normal density."""
    design, y = design_of(features, lags), features["y"].to_numpy()
    coefficients = np.linalg.lstsq(design[known], y[known], rcond=None)[0]
    deviation = np.sqrt(np.mean((y[known] - design[known] @ coefficients) ** 2))
    return float(norm.logpdf(y[row], design[row] @ coefficients, deviation))


@pytest.mark.parametrize("has_regressor", [True, False])
@pytest.mark.parametrize("lags", [0, 2])
def test_single_agrees_with_scipy(has_regressor: bool, lags: int) -> None:
    """Least squares on what was known before the block, and the normal density."""
    features = simulate() if has_regressor else simulate().drop(columns="x")
    refits = cut(features)
    table = score_baselines(features, refits, WINDOW, lags)
    assert list(table) == ["date", "y_true", *COLUMNS]
    dates = features["date"]
    assert len(refits) > 2
    for fold in refits:
        known = np.flatnonzero(dates.between(fold.train_start, fold.train_end))[lags:]
        block = np.flatnonzero(dates.between(fold.valid_start, fold.valid_end))
        assert known[-1] < block[0]
        for row in block[[0, 1, -1]]:
            single = score_gaussian(features, lags, known, row)
            assert table["single"].iloc[row] == pytest.approx(single, abs=1e-9)


@pytest.mark.parametrize("lags", [0, 1])
def test_student_and_ewma_agree_with_scipy(lags: int) -> None:
    """SciPy's density with the parameters of the block's own training, or of lately."""
    features = simulate()
    y, design = features["y"].to_numpy(), design_of(features, lags)
    table = score_baselines(features, cut(features), WINDOW, lags)
    decay = 1.0 - 2.0 / (WINDOW + 1.0)
    errors, variances = discount_errors(y[lags:], design[lags:], WINDOW, decay)
    for fold in cut(features):
        known = np.flatnonzero(features["date"].between(fold.train_start, fold.train_end))[lags:]
        block = np.flatnonzero(features["date"].between(fold.valid_start, fold.valid_end))
        one = fit_student(y[known], design[known])
        mean = design[block] @ one.coefficients
        expected = student.logpdf(y[block], one.degrees, mean, one.scale)
        assert_allclose(table["student"][block], expected, atol=1e-9)
        # Of Student's t the variance is that of the scale times d / (d - 2).
        law = student(one.degrees, scale=np.sqrt(variances[block - lags]))
        scale = np.sqrt(variances[block - lags] * variances[block - lags] / law.var())
        expected = student.logpdf(errors[block - lags], one.degrees, scale=scale)
        assert_allclose(table["ewma"][block], expected, atol=1e-9)


def test_every_row_of_the_test_has_scores_and_no_other() -> None:
    """NaN outside the blocks; the truth is there throughout."""
    features = simulate()
    refits = cut(features)
    table = score_baselines(features, refits, WINDOW, 1)
    is_test = features["date"] >= refits[0].valid_start
    assert table.loc[is_test, COLUMNS].notna().all(axis=None)
    assert table.loc[~is_test, COLUMNS].isna().all(axis=None)
    assert table["y_true"].equals(features["y"].rename("y_true"))
    assert 0 < is_test.sum() < len(table)


@pytest.mark.parametrize("lags", [0, 1])
def test_scores_of_a_row_do_not_change_with_later_rows(lags: int) -> None:
    """Altered from a row on, in the middle of a block: all before it stays, bit by bit."""
    features = simulate()
    refits = cut(features)
    table = score_baselines(features, refits, WINDOW, lags)
    for place in (140, 150, 155, 179):
        other = features.copy()
        other.loc[place:, ["y", "x"]] = np.random.default_rng(1).normal(size=(200 - place, 2)) * 9.0
        again = score_baselines(other, refits, WINDOW, lags)
        first, second = (one[COLUMNS].to_numpy()[:place].view("int64") for one in (table, again))
        assert_array_equal(first, second)


def test_block_does_not_move_the_parameters_that_it_is_judged_by() -> None:
    """The first row of a block moves its own score by single and student, not its neighbours'."""
    features = simulate()
    refits = cut(features)
    start = int(np.flatnonzero(features["date"] == refits[1].valid_start)[0])
    table = score_baselines(features, refits, WINDOW, 0)
    other = features.copy()
    other.loc[start, "y"] += 50.0
    again = score_baselines(other, refits, WINDOW, 0)
    end = int(np.flatnonzero(features["date"] == refits[1].valid_end)[0])
    block = slice(start + 1, end + 1)
    columns = ["single", "student"]
    assert table[columns].iloc[block].equals(again[columns].iloc[block])
    assert (table[columns].iloc[start] > again[columns].iloc[start]).all()
    # The weights of the next row hold it, and so does the next block's training.
    assert table["ewma"].iloc[start + 1] != again["ewma"].iloc[start + 1]
    assert (table[columns].iloc[end + 1] > again[columns].iloc[end + 1]).all()


def test_stretch_in_which_nothing_moves_has_finite_scores() -> None:
    """A stand-still ends in no error and in no infinite score."""
    features = simulate().drop(columns="x")
    features.loc[110:180, "y"] = 0.25
    table = score_baselines(features, cut(features), WINDOW, 0)
    assert np.isfinite(table[COLUMNS].iloc[100:]).all(axis=None)


def test_training_in_which_nothing_moves_is_refused() -> None:
    """There is nothing to be known of a series that is constant before the test."""
    features = simulate().assign(y=0.0)
    with pytest.raises(ValueError, match="leaves no error"):
        score_baselines(features, cut(features), WINDOW, 0)


def test_features_are_left_as_they_are() -> None:
    """Nothing is written into them."""
    features = simulate()
    before = features.copy(deep=True)
    score_baselines(features, cut(features), WINDOW, 1)
    pd.testing.assert_frame_equal(features, before)
