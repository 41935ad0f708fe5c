"""Features are worked out by hand, and rows without a surface or a past are left out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal

from tidemark.domain.features import LABELS, feature_columns
from tidemark.domain.option_features import build_option_features, build_same_day_features

KEYS = ["date", "contract"]
LOG_STRIKE = float(np.log(1.25))
ROW = {
    "date": pd.Timestamp("2019-05-02"),
    "contract": "SPX 2019-06-21 P 2800",
    "log_strike": LOG_STRIKE,
    "time_years": 0.25,
    "sqrt_time": 0.5,
    "is_call": 0.0,
    "return_1": 0.01,
    "return_5": -0.02,
    "historical_vol": 0.15,
    "carry": 0.04,
    "rate": 0.05,
    "strike_vol": 0.4,
    "moneyness_vol": 0.38,
    "atm_vol": 0.35,
    "slope": -0.1,
    "atm_change": 0.01,
    "own_vol": 0.39,
    "own_spread": 0.02,
    "own_volume": 3.0,
    "own_open_interest": 7.0,
    "was_missing": 0.0,
    "is_learnt": True,
}
ADDED = ["intrinsic", "vol_time", "distance"]


def make_rows(*changes: dict[str, object]) -> pd.DataFrame:
    """Make treated inputs, one row for each set of changes."""
    rows = [{**ROW, "contract": f"c{at}", **change} for at, change in enumerate(changes)]
    return pd.DataFrame(rows)


def test_features_of_a_put_and_a_call_are_worked_out_by_hand() -> None:
    """A strike of 1.25 spots: the put is worth 0.2 strikes at exercise, the call nothing."""
    rows = make_rows({}, {"is_call": 1.0}, {"is_call": 1.0, "log_strike": -LOG_STRIKE})
    found = build_option_features(rows)
    assert_allclose(found["intrinsic"], [0.2, 0.0, 0.25])
    assert_allclose(found["vol_time"], 0.2)
    # The forward is 0.04 * 0.25 above the spot, and a deviation is 0.2.
    expected = [(0.01 - LOG_STRIKE) / 0.2] * 2 + [(0.01 + LOG_STRIKE) / 0.2]
    assert_allclose(found["distance"], expected)
    taken = [name for name in ROW if name not in ("time_years", "is_learnt")]
    assert_frame_equal(found[taken], rows[taken])


def test_features_are_columns_of_numbers_without_a_label_among_them() -> None:
    """Keys first, what is learnt from last; nothing but these is text or a label."""
    found = build_option_features(make_rows({}))
    assert list(found)[:2] == KEYS
    assert list(found)[-1] == "is_learnt"
    names = feature_columns(found, KEYS)
    assert list(found) == [*KEYS, *names, "is_learnt"]
    assert names[-3:] == ADDED
    assert (found[names].dtypes == "float64").all()
    assert not {*names} & {*LABELS, "time_years"}


@given(
    log_strike=st.floats(-2.0, 2.0),
    sqrt_time=st.floats(0.0, 2.0),
    vol=st.floats(1e-6, 3.0),
    is_call=st.booleans(),
)
def test_features_are_finite_and_bounded(
    log_strike: float, sqrt_time: float, vol: float, is_call: bool
) -> None:
    """Distances lie within six deviations, whatever little time is left; values at exercise too."""
    change = {"log_strike": log_strike, "sqrt_time": sqrt_time, "strike_vol": vol}
    found = build_option_features(make_rows({**change, "is_call": float(is_call)}))
    assert len(found) == 1
    assert np.isfinite(found[ADDED].to_numpy()).all()
    assert -6.0 <= found["distance"].item() <= 6.0
    spot_over_strike = np.exp(-log_strike)
    value = max(spot_over_strike - 1.0, 0.0) if is_call else max(1.0 - spot_over_strike, 0.0)
    assert found["intrinsic"].item() == pytest.approx(value, abs=1e-12)


def test_option_at_its_settlement_is_all_or_nothing() -> None:
    """Without time the forward is six deviations away, and at the money none."""
    still = {"sqrt_time": 0.0}
    found = build_option_features(
        make_rows({**still, "log_strike": -0.1}, {**still, "log_strike": 0.0}, still)
    )
    assert found["distance"].tolist() == [6.0, 0.0, -6.0]
    assert found["vol_time"].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    "name", ["historical_vol", "return_5", "strike_vol", "atm_change", "carry", "own_vol"]
)
def test_rows_that_lack_anything_are_left_out(name: str) -> None:
    """And no others; the index counts anew."""
    rows = make_rows({}, {name: np.nan}, {})
    before = rows.copy()
    found = build_option_features(rows)
    assert found["contract"].tolist() == ["c0", "c2"]
    assert found.index.tolist() == [0, 1]
    assert_frame_equal(rows, before)


def test_what_is_not_a_feature_may_be_missing() -> None:
    """Columns beside those that are taken are not looked at."""
    rows = make_rows({"is_learnt": False}).assign(note=np.nan, time_years=np.nan)
    found = build_option_features(rows)
    assert found["is_learnt"].tolist() == [False]
    assert "note" not in found


def test_same_day_features_are_volatility_moneyness_and_both_with_time() -> None:
    """Underlying over strike is 0.8; 0.3 a year for a quarter of a year."""
    rows = make_rows({"is_learnt": False}, {})[
        [*KEYS, "log_strike", "sqrt_time", "is_call", "is_learnt"]
    ].assign(own_vol_today=[0.3, np.nan])
    found = build_same_day_features(rows)
    assert list(found) == [*KEYS, "implied_vol", "moneyness", "vol_time", "is_learnt"]
    assert_allclose(found[["implied_vol", "moneyness", "vol_time"]], [[0.3, 0.8, 0.075]])
    assert found["is_learnt"].tolist() == [False]
    assert found["contract"].tolist() == ["c0"]
