"""What is observed of a pair on a session rests on that session and those before it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from tidemark.domain.correlation import rolling_correlation
from tidemark.domain.pair_observations import observe_pair, score_extremes

SCALE = 10
KINDS: list[Any] = ["comovement", "correlation", "volatility", "returns"]
BY_KIND = pytest.mark.parametrize("kind", KINDS)


def simulate(n: int = 120, seed: int = 2, holes: float = 0.1) -> pd.DataFrame:
    """Draw returns of a pair, some of them missing."""
    rng = np.random.default_rng(seed)
    common = rng.standard_t(4, (n, 1))
    values = 0.01 * (np.array([0.8, -0.5]) * common + rng.standard_normal((n, 2)))
    values[rng.random((n, 2)) < holes] = np.nan
    dates = pd.bdate_range("2015-01-01", periods=n, name="date")
    return pd.DataFrame(values, index=dates, columns=["left", "right"])


def roll(returns: pd.DataFrame) -> pd.Series:
    """Compute the rolling correlation that goes with the returns."""
    return rolling_correlation(returns["left"], returns["right"], 15, 8)


def observe(returns: pd.DataFrame, kind: Any) -> pd.DataFrame:
    """Observe a pair."""
    return observe_pair(returns, roll(returns), kind, SCALE)


def test_comovement_is_each_return_over_the_volatility_before_it() -> None:
    """A loop over the last returns that there were; only sessions with all of it are there."""
    returns = simulate()
    found = observe(returns, "comovement")
    expected = {}
    for t, day in enumerate(returns.index):
        scaled = []
        for side in ("right", "left"):
            known = returns[side].iloc[:t].dropna().to_numpy()[-SCALE:]
            root = math.sqrt((known**2).mean()) if len(known) == SCALE else math.nan
            scaled.append(returns[side].iloc[t] / root)
        if np.isfinite(scaled).all():
            expected[day] = scaled
    assert list(found) == ["y", "x"]
    assert found.index.tolist() == list(expected)
    assert 0 < len(found) < len(returns) - SCALE
    assert_allclose(found, list(expected.values()), atol=1e-10)


def test_comovement_has_the_correlation_as_its_slope() -> None:
    """Of a long stretch, the slope of y on x through zero is about the correlation."""
    rng = np.random.default_rng(0)
    left = rng.standard_normal(4000)
    right = -0.6 * left + 0.8 * rng.standard_normal(4000)
    dates = pd.bdate_range("2000-01-03", periods=4000, name="date")
    returns = pd.DataFrame({"left": 0.01 * left, "right": 0.002 * right}, index=dates)
    found = observe_pair(returns, pd.Series(np.nan, dates), "comovement", 60)
    slope = (found["x"] * found["y"]).sum() / (found["x"] ** 2).sum()
    assert slope == pytest.approx(-0.6, abs=0.05)


def test_other_observations_are_what_they_say() -> None:
    """Fisher's z of the correlation, the log of the volatility, and percent; with y alone."""
    returns = simulate(holes=0.0)
    correlation = roll(returns)
    by_kind = {kind: observe(returns, kind) for kind in KINDS[1:]}
    assert all(list(one) == ["y"] for one in by_kind.values())
    assert_allclose(by_kind["correlation"]["y"], np.arctanh(correlation.dropna()))
    assert_allclose(by_kind["returns"]["y"], 100.0 * returns["left"])
    squares = returns["left"].to_numpy() ** 2
    roots = [math.sqrt(squares[t - SCALE + 1 : t + 1].mean()) for t in range(SCALE - 1, 120)]
    assert_allclose(by_kind["volatility"]["y"], np.log(roots), atol=1e-10)
    assert by_kind["volatility"].index[0] == returns.index[SCALE - 1]


@BY_KIND
@pytest.mark.parametrize("place", [30, 31, 80])
@pytest.mark.parametrize("how", ["truncated", "altered"])
def test_observations_do_not_change_with_the_future(kind: Any, place: int, how: str) -> None:
    """No bit up to a session depends on later ones."""
    returns = simulate()
    day = returns.index[place]
    other = returns.copy() if how == "altered" else returns.loc[:day]
    if how == "altered":
        other.iloc[place + 1 :] = np.random.default_rng(1).normal(size=(119 - place, 2)) * 50.0
    past, again = observe(returns, kind).loc[:day], observe(other, kind).loc[:day]
    assert len(past)
    assert past.index.equals(again.index)
    assert_array_equal(past.to_numpy().view("int64"), again.to_numpy().view("int64"))
    first, second = (
        score_extremes(roll(one), 40).loc[:day].to_numpy().view("int64") for one in (returns, other)
    )
    assert_array_equal(first, second)


def test_comovement_does_not_know_its_own_size() -> None:
    """A session's own return is not in the volatility that it is held against."""
    returns = simulate(holes=0.0)
    other = returns.copy()
    other.iloc[60] *= 100.0
    first, second = observe(returns, "comovement"), observe(other, "comovement")
    day = returns.index[60]
    assert_allclose(second.loc[day], 100.0 * first.loc[day])


@BY_KIND
def test_nothing_infinite_or_missing_is_observed(kind: Any) -> None:
    """Returns of zero for months, a missing stretch and a perfect correlation leave finite rows."""
    returns = simulate()
    returns.iloc[20:50, 0] = 0.0
    returns.iloc[60:70] = np.nan
    returns.iloc[70:100, 1] = returns["left"].iloc[70:100]
    found = observe(returns, kind)
    assert len(found)
    assert np.isfinite(found.to_numpy()).all()
    assert found.index.isin(returns.index).all()
    if kind in ("comovement", "returns"):
        assert not found.index.isin(returns.index[60:70]).any()


@pytest.mark.parametrize("n", [1, SCALE])
def test_too_few_returns_give_no_comovement(n: int) -> None:
    """As many as the window are not enough: the session itself is not in it."""
    assert observe(simulate(n, holes=0.0), "comovement").empty
    assert len(observe(simulate(SCALE + 1, holes=0.0), "comovement")) == 1


def test_score_extremes_is_the_z_score_of_each_window() -> None:
    """A loop over Fisher's z; half of a window must be there."""
    correlation = roll(simulate())
    correlation.iloc[60:85] = np.nan
    found = score_extremes(correlation, 30)
    z = np.arctanh(correlation.to_numpy())
    for t in range(len(z)):
        window = z[max(0, t - 29) : t + 1]
        known = window[np.isfinite(window)]
        is_there = len(known) >= 15 and math.isfinite(z[t])
        expected = (z[t] - known.mean()) / known.std(ddof=1) if is_there else math.nan
        assert found.iloc[t] == pytest.approx(expected, abs=1e-9, nan_ok=True)
    assert found.isna().sum() > 30
    assert found.notna().sum() > 30


def test_score_extremes_of_a_constant_correlation_is_missing() -> None:
    """Nothing is extreme where nothing moves, and nothing divides by zero."""
    assert score_extremes(pd.Series([0.3] * 50), 20).isna().all()


@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.01, 100.0))
@settings(max_examples=25, deadline=None)
def test_comovement_knows_no_unit(seed: int, scale: float) -> None:
    """Returns in another unit are observed alike."""
    returns = simulate(50, seed)
    first = observe(returns, "comovement")
    second = observe(returns * [scale, 1.0], "comovement")
    pd.testing.assert_frame_equal(first, second, rtol=1e-8, atol=1e-9)


@BY_KIND
def test_inputs_are_left_as_they_are(kind: Any) -> None:
    """Neither returns nor correlations are written into."""
    returns = simulate()
    correlation = roll(returns)
    before = returns.copy(deep=True), correlation.copy(deep=True)
    observe_pair(returns, correlation, kind, SCALE)
    score_extremes(correlation, 30)
    pd.testing.assert_frame_equal(returns, before[0])
    pd.testing.assert_series_equal(correlation, before[1])
