"""Smiles give back their points, interpolate total variance, and keep their dates apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal

from tidemark.domain.black_scholes import price
from tidemark.domain.chains import build_chain, measure_time_years
from tidemark.domain.forward_curves import imply_forwards, make_curves
from tidemark.domain.smiles import Smiles, fit_smiles, tabulate_smiles

ONE, OTHER = np.datetime64("2019-05-01", "us"), np.datetime64("2019-05-02", "us")


def make_slice(
    day: np.datetime64, time_years: float, vols: dict[float, float], root: str = "SPX"
) -> pd.DataFrame:
    """Make one slice of options out of the money, by standardised moneyness."""
    moneyness = np.array(list(vols))
    return pd.DataFrame(
        {
            "date": day,
            "root": root,
            "expiration": day + np.timedelta64(round(365 * time_years), "D"),
            "time_years": time_years,
            "is_call": moneyness >= 0,
            "log_moneyness": moneyness * np.sqrt(time_years),
            "vol_annual": list(vols.values()),
        }
    )


def read_one(
    smiles: Smiles, day: np.datetime64, time_years: float, *moneyness: float
) -> np.ndarray:
    """Read one time of one day."""
    n = len(moneyness)
    return smiles.read(np.full(n, day), np.full(n, time_years), np.array(moneyness))


NEAR = make_slice(ONE, 0.1, {-0.2: 0.30, 0.0: 0.20, 0.1: 0.16})
FAR = make_slice(ONE, 0.3, {-0.3: 0.40, 0.0: 0.30, 0.2: 0.26})
LATER = make_slice(OTHER, 0.2, {0.0: 0.50, 0.4: 0.70})


def test_smile_is_linear_between_its_points_and_flat_beyond() -> None:
    """Volatility, in standardised moneyness."""
    found = read_one(fit_smiles(NEAR), ONE, 0.1, -9.0, -0.2, -0.1, 0.0, 0.05, 0.1, 9.0)
    assert_allclose(found, [0.30, 0.30, 0.25, 0.20, 0.18, 0.16, 0.16], atol=1e-6)


def test_total_variance_is_interpolated_between_slices() -> None:
    """At the forward 0.004 and 0.027: halfway in time 0.0155, a quarter of the way 0.00975."""
    smiles = fit_smiles(pd.concat([FAR, NEAR]))
    for time, total in ((0.2, 0.0155), (0.15, 0.00975), (0.1, 0.004), (0.3, 0.027)):
        assert_allclose(read_one(smiles, ONE, time, 0.0), np.sqrt(total / time), atol=1e-6)
    total = (0.30**2 * 0.1 + (0.30 + 0.1 / 3 * 2) ** 2 * 0.3) / 2  # at -0.2, both slices
    assert_allclose(read_one(smiles, ONE, 0.2, -0.2), np.sqrt(total / 0.2), atol=1e-6)


def test_volatility_is_flat_before_the_first_and_beyond_the_last_slice() -> None:
    """Of the slice that is nearest in time, at the same standardised moneyness."""
    smiles = fit_smiles(pd.concat([FAR, NEAR]))
    for time, slice_time in ((0.001, 0.1), (5.0, 0.3)):
        wanted = read_one(smiles, ONE, slice_time, -0.2, 0.05)
        assert_allclose(read_one(smiles, ONE, time, -0.2, 0.05), wanted, rtol=1e-12)


def test_smiles_are_blank_where_nothing_is_known() -> None:
    """Dates without a smile, no date, no moneyness, and times that are not above 0."""
    smiles = fit_smiles(pd.concat([NEAR, LATER]))
    day = np.array(
        [ONE, "2019-05-03", "2019-04-30", "NaT", ONE, ONE, ONE, ONE], dtype="datetime64[us]"
    )
    time = np.array([0.1, 0.1, 0.1, 0.1, 0.0, -1.0, np.nan, 0.1])
    moneyness = np.array([0.0] * 7 + [np.nan])
    assert_array_equal(np.isnan(smiles.read(day, time, moneyness)), [False] + [True] * 7)


def test_smiles_of_nothing_are_blank() -> None:
    """Without a point no date has a smile."""
    assert np.isnan(read_one(fit_smiles(NEAR.head(0)), ONE, 0.1, 0.0, 0.1)).all()
    assert read_one(fit_smiles(NEAR), ONE, 0.1).shape == (0,)


def test_points_in_the_money_or_unknown_are_left_out() -> None:
    """A call below the forward, a put above it, no volatility, no time, no forward."""
    strange = pd.concat([NEAR] * 5, ignore_index=True).assign(vol_annual=9.0)
    strange.loc[:5, "is_call"] = ~strange.loc[:5, "is_call"]
    strange.loc[6:8, "vol_annual"] = np.nan
    strange.loc[9:11, "time_years"] = 0.0
    strange.loc[12:, "log_moneyness"] = np.nan
    usual, found = fit_smiles(NEAR), fit_smiles(pd.concat([strange, NEAR]))
    for name in ("day", "time_years", "lowest", "highest", "axis", "vol_annual"):
        assert_array_equal(getattr(found, name), getattr(usual, name))


def test_points_of_one_moneyness_and_slices_of_one_time_are_one() -> None:
    """Two roots that settle together make one slice; where both have a point, its mean."""
    twin = make_slice(ONE, 0.1, {0.0: 0.24, 0.2: 0.12}, root="SPXW")
    smiles = fit_smiles(pd.concat([NEAR, twin]))
    assert len(smiles.time_years) == 1
    assert_allclose(read_one(smiles, ONE, 0.1, 0.0, 0.1, 0.2), [0.22, 0.16, 0.12], atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_smiles_give_back_their_points_whatever_other_dates_say(seed: int) -> None:
    """Of random slices in a random order; other dates' volatilities change no digit."""
    rng = np.random.default_rng(seed)
    slices = []
    for day in range(4):
        for days in rng.choice(np.arange(2, 500), rng.integers(1, 5), replace=False):
            moneyness = rng.choice(np.arange(-90, 60) / 100, rng.integers(1, 9), replace=False)
            vols = dict(zip(moneyness, rng.uniform(0.05, 0.9, len(moneyness)), strict=True))
            slices.append(make_slice(ONE + np.timedelta64(day, "D"), days / 365, vols))
    table = pd.concat(slices, ignore_index=True)
    before = table.copy()
    smiles = fit_smiles(table.sample(frac=1, random_state=rng))
    assert_frame_equal(table, before)
    asked = (
        table["date"].to_numpy(),
        table["time_years"].to_numpy(),
        (table["log_moneyness"] / np.sqrt(table["time_years"])).to_numpy(),
    )
    found = smiles.read(*asked)
    assert_allclose(found, table["vol_annual"], atol=1e-6)

    own = (table["date"] == ONE).to_numpy()
    others = table.assign(vol_annual=table["vol_annual"].where(own, 7.0))
    times, wide = rng.uniform(0.001, 2.0, 50), rng.uniform(-2.0, 2.0, 50)
    days = np.full(50, ONE)
    expected = smiles.read(days, times, wide)
    assert_array_equal(fit_smiles(others).read(days, times, wide), expected)
    alone = fit_smiles(table[own]).read(days, times, wide)
    assert_allclose(alone, expected, atol=1e-6)
    assert table.loc[own, "vol_annual"].min() - 1e-9 <= expected.min()
    assert expected.max() <= table.loc[own, "vol_annual"].max() + 1e-9


def make_flat_chain(vol: float) -> pd.DataFrame:
    """Make a day of European options around Black-Scholes prices of one volatility."""
    strikes = np.arange(2500.0, 3301.0, 50.0)
    keys = pd.MultiIndex.from_product(
        [[14, 60], ["call", "put"], strikes], names=["days", "option_type", "strike"]
    ).to_frame(index=False)
    day = pd.Timestamp("2019-05-01")
    chain = build_chain(
        {
            "quote_date": day,
            "underlying": "SPX",
            "root": "SPXW",
            "settlement": "pm",
            "exercise_style": "european",
            "underlying_price": 2900.0,
            "expiration": day + pd.to_timedelta(keys["days"], unit="D"),
            "option_type": keys["option_type"],
            "strike": keys["strike"],
        },
        len(keys),
    )
    chain = chain.assign(time_years=measure_time_years(chain))
    is_call = (chain["option_type"] == "call").to_numpy()
    fair = price(2900.0, chain["strike"], chain["time_years"], 0.03, vol, is_call, 0.01)
    return chain.assign(bid=fair - 0.02, ask=fair + 0.02).query("bid > 0").reset_index(drop=True)


@pytest.mark.parametrize("vol", [0.1, 0.35])
def test_tabulated_smiles_of_a_flat_world_are_flat(vol: float) -> None:
    """One volatility for all, out of the money alone, sorted, over the forward."""
    chain = make_flat_chain(vol)
    table = tabulate_smiles(chain, make_curves(imply_forwards(chain, 0.0)))
    assert list(table) == ["expiration", "time_years", "log_moneyness", "vol_annual"]
    assert_allclose(table["vol_annual"], vol, atol=1e-5)
    assert_frame_equal(table, table.sort_values(["time_years", "log_moneyness"], ignore_index=True))
    strikes = 2900.0 * np.exp(table["log_moneyness"] + 0.01 * table["time_years"])
    assert_allclose(strikes % 50.0, np.round(strikes % 50.0 / 50.0) * 50.0, atol=1e-3)
    for _, own in table.groupby("expiration"):
        assert own["log_moneyness"].is_unique  # one of call and put, not both
        assert own["log_moneyness"].min() < 0 < own["log_moneyness"].max()


def test_tabulated_smiles_without_forwards_are_none() -> None:
    """An empty table of the same columns."""
    chain = make_flat_chain(0.2)
    forwards = imply_forwards(chain, 0.0)
    found = tabulate_smiles(chain, make_curves(forwards.assign(flag="few_pairs")))
    assert len(found) == 0
    assert list(found) == list(tabulate_smiles(chain, make_curves(forwards)))
