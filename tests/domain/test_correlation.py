"""Rolling correlations are those of the definition, window by window, and know no future."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_series_equal
from scipy.stats import spearmanr

from tidemark.domain import correlation_windows
from tidemark.domain.correlation import (
    count_pairs,
    ewm_correlation,
    rolling_correlation,
    rolling_correlations,
)

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
METHODS = ("pearson", "spearman")


def make_frame(seed: int, n_dates: int, n_names: int, share_missing: float = 0.0) -> pd.DataFrame:
    """Make related series: quiet and loud, high levels, a jump, a spike, a stretch that stands."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n_dates, n_names)) + rng.normal(size=(n_dates, 1))
    values *= 10.0 ** rng.integers(-4, 3, n_names)
    values += rng.choice([0.0, 1.0, -1e6], n_names)
    kinds = rng.integers(0, 5, n_names)
    for column, kind in enumerate(kinds):
        at = rng.integers(n_dates)
        if kind == 1:
            values[at:, column] += 1e5
        if kind == 2:
            values[at, column] = 1e7
        if kind == 3:
            values[at : at + n_dates // 2, column] = values[at, column]
    values[rng.random(values.shape) < share_missing] = np.nan
    values[: rng.integers(n_dates), rng.integers(n_names)] = np.nan if share_missing else 0.5
    return frame_of(values)


def frame_of(values: np.ndarray) -> pd.DataFrame:
    """Put values on business days, with letters for names."""
    days = pd.bdate_range("2020-01-01", periods=len(values))
    return pd.DataFrame(values, index=days, columns=[f"S{k}" for k in range(values.shape[1])])


def correlate_exactly(left: np.ndarray, right: np.ndarray, least: int) -> float:
    """Compute one correlation from the definition in extended precision."""
    known = ~(np.isnan(left) | np.isnan(right))
    if known.sum() < least:
        return np.nan
    x, y = (side[known].astype(np.longdouble) for side in (left, right))
    if np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
        return np.nan
    x, y = x - x.mean(), y - y.mean()
    return float((x @ y) / np.sqrt((x @ x) * (y @ y)))


def roll_by_hand(frame: pd.DataFrame, window: int, least: int, method: str) -> np.ndarray:
    """Loop over windows and pairs; ranks and correlations by other libraries."""
    values = frame.to_numpy()
    result = np.full((len(frame), frame.shape[1] * (frame.shape[1] - 1) // 2), np.nan)
    for end in range(len(frame)):
        some = values[max(0, end + 1 - window) : end + 1]
        for place, (i, j) in enumerate(combinations(range(frame.shape[1]), 2)):
            if method == "pearson":
                result[end, place] = correlate_exactly(some[:, i], some[:, j], least)
                continue
            both = some[:, [i, j]][~np.isnan(some[:, [i, j]]).any(axis=1)]
            if len(both) >= least and (np.ptp(both, axis=0) > 0.0).all():
                result[end, place] = spearmanr(both[:, 0], both[:, 1]).statistic
    return result


def correlate_all(frame: pd.DataFrame, window: int, *options: Any) -> np.ndarray:
    """Take the numbers of all pairs."""
    return rolling_correlations(frame, window, *options).values  # noqa: PD011 - no pandas object


def assert_same_bits(actual: Any, expected: Any) -> None:
    """Compare bit by bit; NaN is NaN."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert_array_equal(np.isnan(actual), np.isnan(expected))
    assert np.nan_to_num(actual).tobytes() == np.nan_to_num(expected).tobytes()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n_dates=st.integers(1, 45),
    n_names=st.integers(2, 5),
    window=st.integers(2, 12),
    share_missing=st.sampled_from([0.0, 0.05, 0.5]),
    method=st.sampled_from(METHODS),
    data=st.data(),
)
def test_both_routes_agree_with_the_definition_in_every_window(
    seed: int,
    n_dates: int,
    n_names: int,
    window: int,
    share_missing: float,
    method: str,
    data: st.DataObject,
) -> None:
    """A pair alone and all pairs at once are within 1e-10 of a loop in extended precision."""
    frame = make_frame(seed, n_dates, n_names, share_missing)
    least = data.draw(st.integers(2, window))
    expected = roll_by_hand(frame, window, least, method)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(correlation_windows, "BATCH_CELLS", data.draw(st.sampled_from([1, 100])))
        patch.setattr(correlation_windows, "BLOCK_CELLS", data.draw(st.sampled_from([1, 300])))
        at_once = rolling_correlations(frame, window, least, method)
    assert_allclose(at_once.values, expected, rtol=0.0, atol=1e-10)
    assert np.nanmax(np.abs(at_once.values), initial=0.0) <= 1.0
    for place, (a, b) in enumerate(combinations(frame, 2)):
        alone = rolling_correlation(frame[a], frame[b], window, least, method)
        assert_allclose(alone, expected[:, place], rtol=0.0, atol=1e-10)
        assert alone.abs().max() <= 1.0 or alone.isna().all()


@pytest.mark.parametrize("share_missing", [0.0, 0.02])
@pytest.mark.parametrize("n_names", [3, 12])
def test_all_pairs_equal_those_of_pandas(share_missing: float, n_names: int) -> None:
    """On ordinary returns the whole result is that of ``frame.rolling(window).corr()``."""
    rng = np.random.default_rng(n_names)
    values = 0.01 * (rng.normal(size=(700, n_names)) + rng.normal(size=(700, 1)))
    values[rng.random(values.shape) < share_missing] = np.nan
    values[:150, 0] = np.nan
    frame = frame_of(values)
    ours = rolling_correlations(frame, 60, 40)
    theirs = frame.rolling(60, min_periods=40).corr().to_numpy().reshape(700, n_names, n_names)
    i, j = np.triu_indices(n_names, 1)
    assert np.isfinite(ours.values).sum() > 400
    assert_allclose(ours.values, theirs[:, i, j], rtol=0.0, atol=1e-10)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    window=st.integers(2, 100),
    n_known=st.integers(1, 89),
    share_missing=st.sampled_from([0.0, 0.1, 0.5]),
    method=st.sampled_from(METHODS),
)
def test_no_bit_of_the_past_depends_on_the_future(
    seed: int, window: int, n_known: int, share_missing: float, method: str
) -> None:
    """Cutting the future off, or turning it into holes and huge numbers, leaves the past alone."""
    frame = make_frame(seed, 90, 4, share_missing)
    least = max(2, window // 8)
    altered = frame.copy()
    rng = np.random.default_rng(seed)
    shape = altered.iloc[n_known:].shape
    altered.iloc[n_known:] = rng.choice([np.nan, 1e12, -3.0, 0.5], shape)
    full = correlate_all(frame, window, least, method)[:n_known]
    for other in (frame.iloc[:n_known], altered):
        cut = correlate_all(other, window, least, method)[:n_known]
        assert_same_bits(cut, full)
    one, two = frame["S0"], frame["S1"]
    for other in (frame.iloc[:n_known], altered):
        assert_same_bits(
            rolling_correlation(other["S0"], other["S1"], window, least, method)[:n_known],
            rolling_correlation(one, two, window, least, method)[:n_known],
        )
        assert_same_bits(
            ewm_correlation(other["S0"], other["S1"], least, span=window + 1)[:n_known],
            ewm_correlation(one, two, least, span=window + 1)[:n_known],
        )


@pytest.mark.parametrize("later", [-2.0, 7.0, 1e3])
def test_the_first_value_after_a_gap_changes_no_bit_of_the_gap(later: float) -> None:
    """Where a block of rows begins with a gap, its own first value is still the future."""
    frame = frame_of(np.random.default_rng(8).normal(size=(30, 3)))
    frame.iloc[10:15, 0] = np.nan
    altered = frame.copy()
    altered.iloc[15, 0] = later
    assert_same_bits(correlate_all(altered, 10, 2)[:15], correlate_all(frame, 10, 2)[:15])


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    window=st.integers(3, 20),
    factor=st.integers(1, 50),
    shift=st.integers(-1000, 1000),
    method=st.sampled_from(METHODS),
)
def test_symmetry_scale_and_sign(
    seed: int, window: int, factor: int, shift: int, method: str
) -> None:
    """Sides may change places; scale and level do not matter; a sign turns the correlation."""
    rng = np.random.default_rng(seed)
    frame = frame_of(rng.integers(-20, 20, (60, 2)).astype("float64"))
    frame[rng.random(frame.shape) < 0.1] = np.nan
    left, right = frame["S0"], frame["S1"]
    plain = rolling_correlation(left, right, window, 2, method)
    assert_same_bits(rolling_correlation(right, left, window, 2, method), plain)
    scaled = rolling_correlation(factor * left + shift, right, window, 2, method)
    assert_allclose(scaled, plain, rtol=0.0, atol=1e-12)
    assert_allclose(
        rolling_correlation(-left, right, window, 2, method), -plain, rtol=0.0, atol=1e-12
    )


@pytest.mark.parametrize("level", [1e6, -1e9])
def test_small_noise_on_a_high_level_keeps_its_digits(level: float) -> None:
    """Levels far above their noise cost no precision, nor does a trend across blocks."""
    rng = np.random.default_rng(5)
    values = np.round(rng.normal(size=(400, 3)), 3) + level + np.arange(400)[:, None] * 0.5
    frame = frame_of(values)
    ours = correlate_all(frame, 30)
    assert_allclose(ours, roll_by_hand(frame, 30, 30, "pearson"), rtol=0.0, atol=1e-10)


def test_an_outlier_leaves_nothing_behind() -> None:
    """A spike of 1e12 has no effect once it has left the window."""
    rng = np.random.default_rng(6)
    clean = frame_of(rng.normal(size=(300, 2)))
    spiked = clean.copy()
    spiked.iloc[100] = 1e12
    window = 20
    one, other = (correlate_all(frame, window) for frame in (clean, spiked))
    assert_allclose(other[100 + window :], one[100 + window :], rtol=0.0, atol=1e-12)
    assert_allclose(other[100 : 100 + window], 1.0, rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("constant", [0.0, 0.1, 1e9])
def test_constant_windows_are_undefined(method: str, constant: float) -> None:
    """A side that stands still has no correlation, also when it moved before and after."""
    rng = np.random.default_rng(7)
    frame = frame_of(rng.normal(size=(60, 3)) + constant)
    frame.iloc[20:40, 0] = constant
    at_once = rolling_correlations(frame, 10, method=method)
    alone = rolling_correlation(frame["S0"], frame["S1"], 10, method=method)
    for values in (at_once.pair("S0", "S1"), at_once.pair("S2", "S0"), alone):
        assert values.iloc[29:40].isna().all()
        assert values.iloc[9:29].notna().all()
        assert values.iloc[40:].notna().all()
    assert at_once.pair("S1", "S2").iloc[9:].notna().all()


def test_rounding_of_a_constant_is_no_variation() -> None:
    """Sums that should be equal and differ in their last bit count as constant."""
    noisy = frame_of(np.tile([[0.1 + 0.2, 1.0], [0.3, 2.0]], (20, 1)))
    assert np.ptp(noisy["S0"]) > 0.0
    assert rolling_correlation(noisy["S0"], noisy["S1"], 6).isna().all()
    assert np.isnan(rolling_correlations(noisy, 6).values).all()
    assert ewm_correlation(noisy["S0"], noisy["S1"], 2, span=6).isna().all()


@pytest.mark.parametrize("method", METHODS)
def test_min_periods_counts_complete_pairs(method: str) -> None:
    """A value needs so many complete pairs; the window's length if nothing is said."""
    frame = make_frame(11, 80, 2)
    frame.iloc[::7, 0] = np.nan
    frame.iloc[3::9, 1] = np.nan
    frame["S0"] = np.where(frame["S0"].isna(), np.nan, np.arange(80) % 13)
    frame["S1"] = np.where(frame["S1"].isna(), np.nan, np.arange(80) % 11)
    n_pairs = count_pairs(frame["S0"], frame["S1"], 12)
    complete = frame.notna().all(axis=1).astype("int64")
    expected = complete.rolling(12, min_periods=1).sum().astype("int64")
    assert_series_equal(n_pairs, expected, check_names=False)
    for least in (9, 10, 11, None):
        values = rolling_correlation(frame["S0"], frame["S1"], 12, least, method)
        assert_array_equal(values.notna(), n_pairs >= (least or 12))
        at_once = rolling_correlations(frame, 12, least, method).pair("S0", "S1")
        assert_array_equal(at_once.notna(), values.notna())
    assert n_pairs.isin([9, 10, 11]).any()


def test_spearman_ranks_anew_in_each_window() -> None:
    """Ties share their rank: 1, 2, 2, 4 against 1, 3, 2, 4 has rank correlation 0.9486833."""
    left = frame_of(np.array([[9.0], [1.0], [2.0], [2.0], [4.0]]))["S0"]
    right = frame_of(np.array([[9.0], [1.0], [3.0], [2.0], [4.0]]))["S0"]
    values = rolling_correlation(left, right, 4, method="spearman")
    assert values.iloc[-1] == pytest.approx(0.9 / np.sqrt(0.9))
    assert values.iloc[:3].isna().all()


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rate=st.sampled_from([{"halflife": 0.7}, {"halflife": 20.0}, {"span": 9}, {"span": 60.5}]),
    share_missing=st.sampled_from([0.0, 0.3]),
)
def test_exponential_weights_are_those_of_the_definition_and_of_pandas(
    seed: int, rate: dict[str, float], share_missing: float
) -> None:
    """Each value is the weighted correlation of all pairs so far."""
    rng = np.random.default_rng(seed)
    frame = frame_of(rng.normal(size=(70, 2)) + rng.normal(size=(70, 1)))
    frame[rng.random(frame.shape) < share_missing] = np.nan
    values = ewm_correlation(frame["S0"], frame["S1"], 5, **rate)
    theirs = frame["S0"].ewm(**rate, min_periods=5).corr(frame["S1"])
    assert_allclose(values, theirs, rtol=0.0, atol=1e-8)
    lifted = ewm_correlation(frame["S0"] + 1e6, frame["S1"] - 1e6, 5, **rate)
    decay = 0.5 ** (1 / rate["halflife"]) if "halflife" in rate else 1 - 2 / (rate["span"] + 1)
    moved = frame + np.array([1e6, -1e6])
    for used, given_values in ((frame, values), (moved, lifted)):
        x, y = used.to_numpy().T.astype(np.longdouble)
        known = ~np.isnan(x + y)
        for end in range(0, 70, 9):
            some = known[: end + 1]
            weight = np.longdouble(decay) ** (end - np.arange(end + 1))[some]
            if some.sum() < 5:
                assert np.isnan(given_values.iloc[end])
                continue
            a, b = x[: end + 1][some], y[: end + 1][some]
            a, b = a - (weight @ a) / weight.sum(), b - (weight @ b) / weight.sum()
            exact = (weight @ (a * b)) / np.sqrt((weight @ a**2) * (weight @ b**2))
            assert given_values.iloc[end] == pytest.approx(float(exact), abs=1e-10)


def test_exponential_weights_constant_side_is_undefined() -> None:
    """A side that has never moved has no correlation."""
    frame = frame_of(np.random.default_rng(1).normal(size=(30, 2)))
    frame["S0"] = 0.1
    assert ewm_correlation(frame["S0"], frame["S1"], 2, halflife=5).isna().all()


def test_series_meet_on_common_dates_and_stay_as_they_are() -> None:
    """Dates that only one series has are left out, and inputs are not changed."""
    frame = frame_of(np.random.default_rng(2).normal(size=(50, 2)))
    left, right = frame["S0"].iloc[5:], frame["S1"].drop(frame.index[[10, 20]])
    before = left.copy(), right.copy()
    both = frame.drop(frame.index[[10, 20]]).iloc[5:]
    assert_same_bits(
        rolling_correlation(left, right, 8), rolling_correlation(both["S0"], both["S1"], 8)
    )
    assert rolling_correlation(left, right, 8).index.equals(both.index)
    assert_series_equal(left, before[0])
    assert_series_equal(right, before[1])


def test_object_gives_pairs_matrices_and_frame() -> None:
    """All views show the same numbers in the order of combinations."""
    frame = frame_of(np.random.default_rng(3).normal(size=(40, 5)))
    result = rolling_correlations(frame, 10)
    wide = result.to_frame()
    assert list(wide.columns) == list(combinations(frame.columns, 2))
    assert np.shares_memory(wide.to_numpy(), result.values)
    date = frame.index[25]
    matrix = result.matrix(date)
    expected = pd.DataFrame(np.corrcoef(frame.iloc[16:26].T), frame.columns, frame.columns)
    assert_allclose(matrix, expected, rtol=0.0, atol=1e-12)
    assert_array_equal(np.diag(matrix), 1.0)
    assert_array_equal(matrix, matrix.T)
    for a, b in combinations(frame.columns, 2):
        assert_series_equal(result.pair(a, b), wide[a, b], check_names=False)
        assert_series_equal(result.pair(b, a), result.pair(a, b))
        assert result.pair(a, b).loc[date] == matrix.loc[a, b]


def test_one_date_gives_one_undefined_row() -> None:
    """A single date is no error: its window is too short."""
    frame = frame_of(np.ones((1, 3)))
    for method in METHODS:
        assert np.isnan(rolling_correlations(frame, 5, 2, method).values).all()
        assert rolling_correlation(frame["S0"], frame["S1"], 5, 2, method).isna().all()
    assert count_pairs(frame["S0"], frame["S1"], 5).tolist() == [1]


def _refusals() -> dict[str, tuple[Any, str]]:
    """List calls that must fail, with what their message says."""
    frame = frame_of(np.random.default_rng(4).normal(size=(20, 3)))
    left, right = frame["S0"], frame["S1"]
    twice = pd.concat([left, left.iloc[:2]])
    infinite = frame.assign(S0=np.inf)
    result = rolling_correlations(frame, 5)
    return {
        "repeated": (lambda: rolling_correlation(twice, right, 5), "one row for each date"),
        "repeated_rows": (
            lambda: rolling_correlations(pd.concat([frame, frame]), 5),
            "one row for each date",
        ),
        "unsorted": (lambda: rolling_correlation(left[::-1], right, 5), "sort_index"),
        "unsorted_rows": (lambda: rolling_correlations(frame[::-1], 5), "sort_index"),
        "nothing_shared": (lambda: count_pairs(left[:5], right[5:], 5), "share none"),
        "empty": (lambda: rolling_correlations(frame.iloc[:0], 5), "at least one date"),
        "infinite": (lambda: rolling_correlations(infinite, 5), "20 values are infinite"),
        "one_column": (lambda: rolling_correlations(frame[["S0"]], 5), "at least two"),
        "one_name": (lambda: rolling_correlations(frame[["S0", "S0"]], 5), "1 different"),
        "window": (lambda: rolling_correlation(left, right, 1), "min_periods <= window"),
        "periods": (lambda: rolling_correlation(left, right, 5, 6), "min_periods <= window"),
        "too_few": (lambda: rolling_correlations(frame, 5, 1), "2 <= min_periods"),
        "method": (lambda: rolling_correlation(left, right, 5, method="ewm"), "pearson, spearman"),
        "methods": (lambda: rolling_correlations(frame, 5, method="x"), "pearson, spearman"),
        "no_rate": (lambda: ewm_correlation(left, right, 5), "set one of them"),
        "rates": (lambda: ewm_correlation(left, right, 5, halflife=3, span=3), "set one of them"),
        "rate": (lambda: ewm_correlation(left, right, 5, span=1), "above 1"),
        "ewm_periods": (lambda: ewm_correlation(left, right, 1, span=3), "at least 2"),
        "name": (lambda: result.pair("S0", "S9"), "'S9'"),
        "same_name": (lambda: result.pair("S0", "S0"), "two different"),
        "date": (lambda: result.matrix(pd.Timestamp("1999-01-01")), "1999-01-01"),
    }


@pytest.mark.parametrize("case", sorted(_refusals()))
def test_unusable_input_is_refused_with_a_remedy(case: str) -> None:
    """The message says what was found and what to do."""
    call, words = _refusals()[case]
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize(
    ("year", "expected"), [(2008, -0.487), (2012, -0.651), (2021, -0.138), (2022, 0.084)]
)
def test_stocks_and_bonds_by_calendar_year(year: int, expected: float) -> None:
    """The correlation of SPY and TLT is the known one once filled holidays are left out."""
    path = SHARED / "cross_asset" / "fintix_etf_adjclose.parquet"
    if not path.exists():
        pytest.skip(f"market data is not here: {path}")
    prices = pd.read_parquet(path).set_index("date")[["SPY", "TLT"]]
    prices.index = pd.to_datetime(prices.index)
    # Days without a session repeat both prices of the day before.
    is_session = (prices.diff() != 0.0).any(axis=1) & prices.notna().all(axis=1)
    returns = np.log(prices[is_session]).diff().loc[str(year)]
    assert 250 <= len(returns) <= 253
    values = rolling_correlation(returns["SPY"], returns["TLT"], len(returns))
    assert values.iloc[-1] == pytest.approx(expected, abs=0.005)
    at_once = correlate_all(returns, len(returns))
    assert at_once[-1, 0] == pytest.approx(values.iloc[-1], abs=1e-12)
