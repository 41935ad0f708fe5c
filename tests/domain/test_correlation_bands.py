"""Bands around rolling correlations hold what they should, and know no future."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import pearsonr

from tidemark.domain import correlation_bands
from tidemark.domain.bootstrap import draw_counts
from tidemark.domain.correlation import (
    bootstrap_band,
    count_pairs,
    fisher_band,
    rolling_correlation,
)


def make_pair(seed: int, n_dates: int, share_missing: float = 0.0) -> tuple[pd.Series, pd.Series]:
    """Make two series with a correlation of one half."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n_dates, 2)) + rng.normal(size=(n_dates, 1))
    values[rng.random(values.shape) < share_missing] = np.nan
    frame = pd.DataFrame(values, index=pd.bdate_range("2020-01-01", periods=n_dates))
    return frame[0], frame[1]


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_fisher_band_is_that_of_scipy(level: float) -> None:
    """In each window the limits are those of ``pearsonr(...).confidence_interval``."""
    left, right = make_pair(1, 40, 0.1)
    correlation = rolling_correlation(left, right, 15, 4)
    lower, upper = fisher_band(correlation, count_pairs(left, right, 15), level)
    for end in range(15, 40):
        some = pd.concat([left, right], axis=1).iloc[end - 14 : end + 1].dropna().to_numpy()
        limits = pearsonr(some[:, 0], some[:, 1]).confidence_interval(level)
        assert lower.iloc[end] == pytest.approx(limits.low, abs=1e-12)
        assert upper.iloc[end] == pytest.approx(limits.high, abs=1e-12)


def test_fisher_band_edges() -> None:
    """Below four pairs and at NaN there is none; a perfect correlation has no width."""
    values = pd.Series([0.5, 0.5, np.nan, 1.0, -1.0, 0.5])
    n_obs = pd.Series([3, 4, 60, 60, 60, 0])
    lower, upper = fisher_band(values, n_obs)
    assert_array_equal(lower.isna(), [True, False, True, False, False, True])
    assert_array_equal(upper.isna(), lower.isna())
    assert_allclose(lower[[3, 4]], [1.0, -1.0])
    assert_allclose(upper[[3, 4]], [1.0, -1.0])
    # z = atanh(0.5) = 0.549306, half width 1.959964 / sqrt(1)
    assert lower[1] == pytest.approx(np.tanh(0.549306 - 1.959964), abs=1e-6)
    assert fisher_band(values, 3)[0].isna().all()


def test_bootstrap_band_is_that_of_resampled_rows() -> None:
    """Limits are quantiles of correlations of rows repeated as often as they were drawn."""
    left, right = make_pair(2, 50, 0.1)
    lower, upper = bootstrap_band(left, right, 20, 0.9, 200, 4.0, 7, min_periods=10)
    counts = draw_counts(20, 4.0, 200, 7)
    both = pd.concat([left, right], axis=1).to_numpy()
    for end in range(20, 50, 6):
        replicates = []
        for count in counts:
            rows = np.repeat(both[end - 19 : end + 1], count, axis=0)
            rows = rows[~np.isnan(rows).any(axis=1)]
            replicates.append(np.corrcoef(rows.T)[0, 1])
        expected = np.quantile(replicates, [0.05, 0.95])
        assert_allclose([lower.iloc[end], upper.iloc[end]], expected, rtol=0.0, atol=1e-10)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), n_known=st.integers(1, 59), share=st.sampled_from([0.0, 0.2]))
def test_no_bit_of_a_bootstrap_band_depends_on_the_future(
    seed: int, n_known: int, share: float
) -> None:
    """A shorter history gives the same limits, whatever the blocks of rows."""
    left, right = make_pair(seed, 60, share)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(correlation_bands, "BLOCK_CELLS", 40 * 13)
        full = bootstrap_band(left, right, 10, 0.95, 40, 3.0, 1, 5)
        cut = bootstrap_band(left[:n_known], right[:n_known], 10, 0.95, 40, 3.0, 1, 5)
    for one, other in zip(cut, full, strict=True):
        known = other.iloc[:n_known]
        assert_array_equal(one.isna(), known.isna())
        assert one.fillna(0.0).to_numpy().tobytes() == known.fillna(0.0).to_numpy().tobytes()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.sampled_from([0.0, 0.2]))
def test_bootstrap_band_is_ordered_bounded_and_wider_for_more_coverage(
    seed: int, share: float
) -> None:
    """Limits lie between -1 and 1, are defined where the correlation is, and nest by level."""
    left, right = make_pair(seed, 60, share)
    right.iloc[30:45] = 0.25
    values = rolling_correlation(left, right, 12, 6)
    inner = bootstrap_band(left, right, 12, 0.5, 60, 2.0, 3, 6)
    outer = bootstrap_band(left, right, 12, 0.95, 60, 2.0, 3, 6)
    for limits in (inner, outer):
        assert_array_equal(limits[0].isna(), values.isna())
    known = values.notna()
    steps = np.stack([limit[known] for limit in (outer[0], inner[0], inner[1], outer[1])])
    assert (np.diff(steps, axis=0) >= 0.0).all()
    assert (np.abs(steps) <= 1.0).all()
    assert values.isna().sum() >= 9  # five that are too short, four that stand still


def test_bands_cover_a_known_correlation_about_as_often_as_they_say() -> None:
    """Of independent normal pairs, disjoint windows cover one half close to 95 times in 100."""
    window, n_windows = 60, 400
    left, right = make_pair(5, window * n_windows)
    correlation = rolling_correlation(left, right, window)
    ends = np.arange(window - 1, window * n_windows, window)
    bands = {
        "fisher": fisher_band(correlation, window),
        "bootstrap": bootstrap_band(left, right, window, 0.95, 200, 1.0, 2),
    }
    for name, (lower, upper) in bands.items():
        covered = ((lower < 0.5) & (upper > 0.5)).iloc[ends].mean()
        least = 0.92 if name == "fisher" else 0.88  # percentiles of 60 pairs are a little narrow
        assert least < covered < 0.985, name


def test_draws_depend_on_the_seed_alone() -> None:
    """The same seed gives the same band, another one another band."""
    left, right = make_pair(6, 80)
    one, same, other = (
        bootstrap_band(left, right, 30, 0.95, 50, 5.0, seed)[0] for seed in (1, 1, 2)
    )
    assert_array_equal(one, same)
    assert (one.dropna() != other.dropna()).any()


def test_one_date_has_no_band() -> None:
    """A window that is too short has neither correlation nor limits."""
    left, right = make_pair(7, 1)
    for limit in bootstrap_band(left, right, 10, 0.95, 20, 2.0, 1):
        assert limit.isna().tolist() == [True]


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, np.nan])
def test_a_level_that_is_no_coverage_is_refused(level: float) -> None:
    """A level lies between 0 and 1."""
    left, right = make_pair(8, 20)
    with pytest.raises(ValueError, match="between 0 and 1"):
        fisher_band(left.clip(-1, 1), 20, level)
    with pytest.raises(ValueError, match="between 0 and 1"):
        bootstrap_band(left, right, 10, level, 20, 2.0, 1)


def test_fisher_band_refuses_what_does_not_fit() -> None:
    """Counts on other dates and covariances are refused."""
    left, _ = make_pair(9, 20)
    with pytest.raises(ValueError, match="do not stand on the 20 dates"):
        fisher_band(left.clip(-1, 1), pd.Series([5] * 20), 0.95)
    with pytest.raises(ValueError, match="not covariances"):
        fisher_band(left * 10.0, 20, 0.95)
