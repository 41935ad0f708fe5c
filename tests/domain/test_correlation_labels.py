"""Correlations that are forecast are of the sessions ahead, and forecasts know none of them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from tidemark.domain.correlation_labels import (
    build_correlation_features,
    fisher_z,
    forecast_correlations,
    label_correlations,
    name_pair,
    realised_z,
)

PAIRS = [("a", "b"), ("c", "a")]
HORIZON, WARM_UP, SHARE = 10, 30, 0.7
WINDOWS, HALFLIFE = (8, 20), 5


def simulate(n: int = 160, seed: int = 5, holes: float = 0.1) -> pd.DataFrame:
    """Draw returns of three series with a common factor, some of them missing."""
    rng = np.random.default_rng(seed)
    common = rng.standard_t(4, (n, 1))
    values = 0.01 * (np.array([0.8, -0.5, 0.2]) * common + rng.standard_normal((n, 3)))
    values[rng.random((n, 3)) < holes] = np.nan
    dates = pd.bdate_range("2015-01-01", periods=n, name="date")
    return pd.DataFrame(values, index=dates, columns=["a", "b", "c"])


def correlate(left: np.ndarray, right: np.ndarray, window: int) -> float:
    """Compute Fisher's z of one window by NumPy; NaN for too few complete pairs."""
    both = np.isfinite(left) & np.isfinite(right)
    if both.sum() < max(4, math.ceil(SHARE * window)):
        return math.nan
    return float(np.arctanh(np.corrcoef(left[both], right[both])[0, 1]))


def build(kind: str, returns: pd.DataFrame) -> pd.DataFrame:
    """Build what is known at each session, by pair."""
    if kind == "forecasts":
        return forecast_correlations(returns, PAIRS, HORIZON, 12, SHARE)
    return build_correlation_features(returns, PAIRS, WINDOWS, HALFLIFE, SHARE)


def take(table: pd.DataFrame, pair: tuple[str, str]) -> pd.DataFrame:
    """Take one pair's rows, by date."""
    return table[table["pair"] == name_pair(pair)].set_index("date").drop(columns="pair")


def bits(table: pd.DataFrame) -> np.ndarray:
    """Look at numbers as they are stored, so that NaN equals NaN and -0 is not 0."""
    return table.drop(columns=["date", "pair"]).astype("float64").to_numpy().view("int64")


def test_fisher_z_is_the_inverse_hyperbolic_tangent_and_stays_finite() -> None:
    """Published values; plus and minus 1 become large numbers, NaN stays."""
    given = pd.Series([-1.0, -0.9, 0.0, 0.5, 1.0, np.nan], index=list("abcdef"))
    found = fisher_z(given)
    # Fisher's own table: z(0.9) = 1.4722, z(0.5) = 0.5493.
    assert_allclose(found.iloc[1:4], [-1.4722, 0.0, 0.5493], atol=5e-5)
    assert np.isfinite(found[["a", "e"]]).all()
    assert found["e"] == -found["a"] > 10.0
    assert math.isnan(found["f"])
    assert list(found.index) == list(given.index)


@pytest.mark.parametrize("window", [4, 10, 25])
def test_realised_z_is_that_of_each_window(window: int) -> None:
    """Every window by a loop over NumPy's corrcoef, holes left out in pairs."""
    returns = simulate()
    found = realised_z(returns["a"], returns["b"], window, SHARE)
    a, b = returns["a"].to_numpy(), returns["b"].to_numpy()
    expected = [
        correlate(a[t - window + 1 : t + 1], b[t - window + 1 : t + 1], window)
        if t >= window - 1
        else correlate(a[: t + 1], b[: t + 1], window)
        for t in range(len(a))
    ]
    assert np.isnan(expected).any()
    assert_allclose(found, expected, atol=1e-10)


def test_label_correlations_agrees_with_a_loop() -> None:
    """The target of t is of the sessions t + 1 to t + horizon; the last ones have none."""
    returns = simulate()
    table = label_correlations(returns, PAIRS, HORIZON, WARM_UP, SHARE)
    assert list(table) == ["date", "pair", "target", "eligible"]
    assert table.equals(table.sort_values(["date", "pair"], ignore_index=True))
    assert len(table) == len(PAIRS) * len(returns)
    for pair in PAIRS:
        left, right = (returns[name].to_numpy() for name in pair)
        rows, known = take(table, pair), 0
        targets, eligible = [], []
        for t in range(len(returns)):
            ahead = slice(t + 1, t + 1 + HORIZON)
            is_whole = t + HORIZON < len(returns)
            targets.append(correlate(left[ahead], right[ahead], HORIZON) if is_whole else math.nan)
            has_both = bool(np.isfinite(left[t]) and np.isfinite(right[t]))
            known += has_both
            eligible.append(has_both and known > WARM_UP and math.isfinite(targets[-1]))
        assert_allclose(rows["target"], targets, atol=1e-10)
        assert rows["eligible"].tolist() == eligible
        assert 0 < sum(eligible) < len(eligible) - WARM_UP


@pytest.mark.parametrize("place", [60, 61, 100])
def test_label_looks_at_the_horizon_and_at_nothing_else(place: int) -> None:
    """Sessions up to the decision and those after the horizon change no bit of its target."""
    returns = simulate(holes=0.03)
    table = label_correlations(returns, PAIRS, HORIZON, WARM_UP, SHARE)
    other = returns.copy()
    other.iloc[: place + 1] *= -3.0
    other.iloc[place + 1 + HORIZON :] = 9.0
    again = label_correlations(other, PAIRS, HORIZON, WARM_UP, SHARE)
    day = returns.index[place]
    for pair in PAIRS:
        first, second = (take(one, pair).loc[day, "target"] for one in (table, again))
        assert math.isfinite(first)
        assert first == second
    # ... and every session of it counts, the last one too.
    for ahead in (1, HORIZON):
        nudged = returns.fillna(0.001)
        before = label_correlations(nudged, PAIRS, HORIZON, WARM_UP, SHARE)
        nudged.iloc[place + ahead, 0] += 0.01
        after = label_correlations(nudged, PAIRS, HORIZON, WARM_UP, SHARE)
        first, second = (take(one, PAIRS[0]).loc[day, "target"] for one in (before, after))
        assert first != second


@pytest.mark.parametrize("kind", ["forecasts", "features"])
@pytest.mark.parametrize("place", [45, 90, 120])
@pytest.mark.parametrize("how", ["truncated", "altered"])
def test_what_is_known_does_not_change_with_the_future(kind: str, place: int, how: str) -> None:
    """No bit up to a session depends on later ones."""
    returns = simulate()
    day = returns.index[place]
    other = returns.copy() if how == "altered" else returns.loc[:day]
    if how == "altered":
        other.iloc[place + 1 :] = np.random.default_rng(1).normal(size=(159 - place, 3)) * 40.0
    whole, again = build(kind, returns), build(kind, other)
    past, same = (one[one["date"] <= day] for one in (whole, again))
    assert past[["date", "pair"]].equals(same[["date", "pair"]])
    assert_array_equal(bits(past), bits(same))
    assert np.isfinite(past.drop(columns=["date", "pair"]).to_numpy()).any(axis=0).all()


@pytest.mark.parametrize("kind", ["forecasts", "features"])
def test_what_is_known_counts_the_session_itself(kind: str) -> None:
    """The return of the decision's own session is known at its close."""
    returns = simulate(holes=0.0)
    other = returns.copy()
    other.iloc[80] = [0.05, -0.04, 0.03]
    whole, again = (take(build(kind, one), PAIRS[0]).iloc[80] for one in (returns, other))
    assert (whole != again).all()


def test_forecast_correlations_agrees_with_a_loop() -> None:
    """Today's is the newest that is defined; the mean is of all that were known."""
    returns = simulate()
    table = forecast_correlations(returns, PAIRS, HORIZON, 12, SHARE)
    for pair in PAIRS:
        left, right = (returns[name].to_numpy() for name in pair)
        newest, known, today, mean = math.nan, [], [], []
        for t in range(len(returns)):
            lately = slice(max(0, t - 11), t + 1)
            value = correlate(left[lately], right[lately], 12)
            newest = newest if math.isnan(value) else value
            window = slice(max(0, t - HORIZON + 1), t + 1)
            known.append(correlate(left[window], right[window], HORIZON))
            today.append(newest)
            seen = [one for one in known if math.isfinite(one)]
            mean.append(sum(seen) / len(seen) if seen else math.nan)
        rows = take(table, pair)
        assert_allclose(rows["today"], today, atol=1e-10)
        assert_allclose(rows["long_mean"], mean, atol=1e-10)


def test_build_correlation_features_agrees_with_a_loop() -> None:
    """Windows, exponential weights and log volatilities, each from its definition."""
    returns = simulate()
    table = build_correlation_features(returns, PAIRS, WINDOWS, HALFLIFE, SHARE)
    names = [
        *(f"z_{window}" for window in WINDOWS),
        "z_ewm",
        *("log_vol_left", "log_vol_change_left", "log_vol_right", "log_vol_change_right"),
    ]
    assert list(table) == ["date", "pair", *names]
    left, right = (returns[name].to_numpy() for name in PAIRS[0])
    rows = take(table, PAIRS[0])
    for t in (70, 111, 159):
        has_both = np.isfinite(left[t]) and np.isfinite(right[t])
        assert has_both  # or else values of the session before stand here
        for window in WINDOWS:
            part = slice(t - window + 1, t + 1)
            expected = correlate(left[part], right[part], window)
            assert rows[f"z_{window}"].iloc[t] == pytest.approx(expected, abs=1e-10)
        weights = 0.5 ** (np.arange(t, -1, -1) / HALFLIFE)
        x, y = left[: t + 1], right[: t + 1]
        both = np.isfinite(x) & np.isfinite(y)
        w, x2, y2 = weights[both], x[both], y[both]
        ewm = (w * x2 * y2).sum() / math.sqrt((w * x2**2).sum() * (w * y2**2).sum())
        assert rows["z_ewm"].iloc[t] == pytest.approx(math.atanh(ewm), abs=1e-10)

        def log_vol(values: np.ndarray, until: int) -> float:
            own = values[: until + 1]
            weights = 0.5 ** (np.arange(until, -1, -1) / HALFLIFE)
            there = np.isfinite(own)
            mean = (weights[there] * own[there] ** 2).sum() / weights[there].sum()
            return float(np.log(mean) / 2.0)

        for side, values in (("left", left), ("right", right)):
            now = log_vol(values, t)
            usual = np.mean([log_vol(values, s) for s in range(t - max(WINDOWS) + 1, t + 1)])
            assert rows[f"log_vol_{side}"].iloc[t] == pytest.approx(now, abs=1e-9)
            change = rows[f"log_vol_change_{side}"].iloc[t]
            assert change == pytest.approx(now - usual, abs=1e-9)


def test_features_of_a_session_without_a_return_are_those_before_it() -> None:
    """On the other side's holiday the newest values stand; nothing is made up before the first."""
    returns = simulate(holes=0.0)
    returns.iloc[:5, 0] = np.nan
    returns.iloc[100:103, 0] = np.nan
    rows = take(build("features", returns), PAIRS[0])
    assert rows["z_ewm"].iloc[100:103].eq(rows["z_ewm"].iloc[99]).all()
    assert rows.iloc[:5].isna().all(axis=None)
    assert rows.iloc[40:].notna().all(axis=None)


def test_series_that_does_not_move_has_no_correlation_and_is_not_eligible() -> None:
    """A side without variation gives NaN in labels and forecasts; nothing is infinite."""
    returns = simulate(holes=0.0).assign(b=0.0)
    labels = take(label_correlations(returns, PAIRS, HORIZON, WARM_UP, SHARE), PAIRS[0])
    assert labels["target"].isna().all()
    assert not labels["eligible"].any()
    assert take(build("forecasts", returns), PAIRS[0]).isna().all(axis=None)
    features = take(build("features", returns), PAIRS[0])
    assert not np.isinf(features.to_numpy()).any()
    assert features[["z_8", "z_20", "z_ewm", "log_vol_right"]].isna().all(axis=None)


def test_too_few_sessions_give_tables_without_a_target() -> None:
    """One session, and as many as the horizon, have rows but nothing to forecast."""
    for n in (1, HORIZON):
        table = label_correlations(simulate(n, holes=0.0), PAIRS, HORIZON, 1, SHARE)
        assert len(table) == n * len(PAIRS)
        assert table["target"].isna().all()
        assert not table["eligible"].any()


@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.01, 100.0))
@settings(max_examples=25, deadline=None)
def test_correlations_know_neither_unit_nor_order(seed: int, scale: float) -> None:
    """Another unit changes nothing, the other order neither, and a turned side turns the sign."""
    returns = simulate(60, seed)
    table = label_correlations(returns, [("a", "b")], HORIZON, 5, SHARE)["target"]
    other = returns.assign(a=returns["a"] * scale)
    same = label_correlations(other, [("b", "a")], HORIZON, 5, SHARE)["target"]
    turned = label_correlations(-returns[["a"]].join(returns["b"]), [("a", "b")], HORIZON, 5, SHARE)
    assert_allclose(same, table, atol=1e-9)
    assert_allclose(turned["target"].abs(), table.abs(), atol=1e-9)
    flipped = label_correlations(returns.assign(a=-returns["a"]), [("a", "b")], HORIZON, 5, SHARE)[
        "target"
    ]
    assert_allclose(flipped, -table, atol=1e-9)


def test_inputs_are_left_as_they_are() -> None:
    """No function writes into the returns."""
    returns = simulate()
    before = returns.copy(deep=True)
    label_correlations(returns, PAIRS, HORIZON, WARM_UP, SHARE)
    build("forecasts", returns)
    build("features", returns)
    pd.testing.assert_frame_equal(returns, before)
