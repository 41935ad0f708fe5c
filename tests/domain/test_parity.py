"""Forwards and discount factors come from parity, and are tested on strikes they did not see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal
from statsmodels.robust.norms import HuberT
from statsmodels.robust.robust_linear_model import RLM

from tidemark.domain.black_scholes import price
from tidemark.domain.chains import build_chain, measure_time_years
from tidemark.domain.parity import (
    ParitySettings,
    check_parity,
    fit_forwards,
    take_alternate_strikes,
)
from tidemark.domain.robust_lines import fit_lines, median_by_group

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
SPX = SHARED / "options" / "spx_cboe_eod_20190425_20190531.parquet"
RATE, CARRY, SPOT = 0.03, 0.012, 2900.0


def make_chain(days: tuple[int, ...] = (7, 30, 180), half_spread: float = 0.5) -> pd.DataFrame:
    """Make quotes of one date around prices of one volatility; two roots, one settled each way."""
    strikes = np.arange(2400.0, 3401.0, 25.0)
    keys = pd.MultiIndex.from_product(
        [["SPX", "SPXW"], days, ["call", "put"], strikes],
        names=["root", "days", "option_type", "strike"],
    ).to_frame(index=False)
    quoted = pd.Timestamp("2019-05-01")
    columns = {
        "quote_date": quoted,
        "underlying": "SPX",
        "root": keys["root"],
        "settlement": np.where(keys["root"] == "SPX", "am", "pm"),
        "exercise_style": "european",
        "underlying_price": SPOT,
        "expiration": quoted + pd.to_timedelta(keys["days"], unit="D"),
        "option_type": keys["option_type"],
        "strike": keys["strike"],
    }
    chain = build_chain(columns, len(keys))
    time, is_call = measure_time_years(chain), (chain["option_type"] == "call").to_numpy()
    fair = price(SPOT, chain["strike"], time, RATE, 0.2, is_call, CARRY)
    return chain.assign(bid=fair - half_spread, ask=fair + half_spread).query("bid > 0")


def read_spx() -> pd.DataFrame:
    """Read the recorded chains without the stale holiday."""
    if not SPX.exists():
        pytest.skip(f"the shared recordings are absent: {SPX}")
    table = pd.read_parquet(SPX)
    root = table["optionroot"].str.extract(r"^([A-Z]+)\d", expand=False)
    columns = {
        "quote_date": pd.to_datetime(table["quotedate"]),
        "underlying": "SPX",
        "root": root,
        "settlement": np.where(root == "SPX", "am", "pm"),
        "exercise_style": "european",
        "underlying_price": table["underlying_last"],
        "expiration": pd.to_datetime(table["expiration"]),
        "option_type": table["type"],
        "strike": table["strike"],
        "bid": table["bid"],
        "ask": table["ask"],
    }
    chain = build_chain(columns, len(table))
    return chain[chain["quote_date"] != "2019-05-27"].reset_index(drop=True)


def test_forwards_of_exact_prices_are_recovered() -> None:
    """Prices made with a rate and a carry give both back, to the settlement of each root."""
    fitted = fit_forwards(make_chain())
    time = np.array([7, 30, 180, 7, 30, 180]) / 365 - np.array([6.5 / 24 / 365] * 3 + [0] * 3)
    assert list(fitted["root"]) == ["SPX"] * 3 + ["SPXW"] * 3
    assert_allclose(fitted["time_years"], time, rtol=1e-12)
    assert_allclose(fitted["forward"], SPOT * np.exp(CARRY * time), rtol=1e-10)
    assert_allclose(fitted["discount_factor"], np.exp(-RATE * time), rtol=1e-9)
    assert_allclose(fitted["rate_continuous"], RATE, atol=1e-6)
    assert_allclose(fitted["carry_continuous"], CARRY, atol=1e-6)
    assert (fitted["flag"] == "ok").all()
    assert (fitted["residual_median"] < 1e-9).all()
    assert (fitted["share_within"] == 1.0).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_forwards_are_not_turned_by_bad_quotes(seed: int) -> None:
    """One pair in ten quoted far off moves the forward by less than a fifth of half-spreads."""
    rng = np.random.default_rng(seed)
    chain = make_chain((30, 180))
    exact = fit_forwards(chain)
    middle = rng.uniform(-0.1, 0.1, len(chain))
    is_call = (chain["option_type"] == "call").to_numpy()
    middle += np.where(is_call & (rng.random(len(chain)) < 0.1), rng.uniform(5, 50), 0.0)
    bad = chain.assign(bid=chain["bid"] + middle, ask=chain["ask"] + middle)
    fitted = fit_forwards(bad)
    assert (fitted["forward"] - exact["forward"]).abs().max() < 0.2
    assert (fitted["discount_factor"] - exact["discount_factor"]).abs().max() < 1e-3


def test_forwards_use_the_chosen_rows_only() -> None:
    """Quotes outside the rows may be anything, as if the chain held no others."""
    chain = make_chain()
    half = take_alternate_strikes(chain)
    assert 0.4 < half.mean() < 0.6
    spoilt = chain.assign(ask=chain["ask"].where(half, chain["ask"] + 7.0))
    assert_frame_equal(fit_forwards(spoilt, half), fit_forwards(chain[half]))


def test_alternate_strikes_hold_both_types_of_each() -> None:
    """A strike's call and put are on one side, for each expiry from its own lowest strike."""
    chain = make_chain((30,)).query("root == 'SPX' and strike <= 2600")
    half = take_alternate_strikes(chain)
    sides = pd.Series(half).groupby(chain["strike"].to_numpy()).agg(["min", "max"])
    assert sides["min"].tolist() == sides["max"].tolist() == [False, True] * 4 + [False]


def test_parity_counts_pairs_outside_their_spreads() -> None:
    """A call that is quoted beyond both half-spreads is outside, with its distance."""
    chain = make_chain((30,))
    forwards = fit_forwards(chain)
    at = (chain["strike"] == 2900.0) & (chain["option_type"] == "call") & (chain["root"] == "SPX")
    moved = chain.assign(bid=chain["bid"] + 1.5 * at, ask=chain["ask"] + 1.5 * at)
    before = moved.copy()
    checked = check_parity(moved, forwards)
    assert_frame_equal(moved, before)
    outside = checked[~checked["is_within"]]
    assert outside[["root", "strike"]].to_numpy().tolist() == [["SPX", 2900.0]]
    assert_allclose(outside[["residual", "half_spread"]], [[1.5, 1.0]], rtol=1e-9)


def test_parity_leaves_out_expiries_without_a_line() -> None:
    """What was not fitted is not judged."""
    chain = make_chain((7, 30))
    forwards = fit_forwards(chain).query("root == 'SPXW'")
    assert set(check_parity(chain, forwards)["root"]) == {"SPXW"}
    assert check_parity(chain, forwards.iloc[:0]).empty


def test_forwards_of_thin_and_strange_expiries_are_flagged_not_clipped() -> None:
    """Few pairs and rising lines have no forward; a strange rate is kept as fitted."""
    chain = make_chain((7, 30, 180))
    expiry = (chain["expiration"] - chain["quote_date"]).dt.days
    is_spx, is_call = chain["root"] == "SPX", chain["option_type"] == "call"
    keep = ~(is_spx & (expiry == 7)) | chain["strike"].isin([2850, 2875, 2900, 2925])
    lift = 2.0 * (chain["strike"] - SPOT) * (is_spx & is_call & (expiry == 30))
    lift -= 0.9 * (chain["strike"] - SPOT) * (is_spx & is_call & (expiry == 180))
    bent = chain.assign(bid=(chain["bid"] + lift), ask=(chain["ask"] + lift))[keep]
    bent = bent[bent["bid"] > 0]
    fitted = fit_forwards(bent, settings=ParitySettings()).query("root == 'SPX'")
    assert fitted["flag"].tolist() == ["few_pairs", "not_decreasing", "rate_out_of_bounds"]
    assert fitted["forward"].isna().tolist() == [True, True, False]
    assert fitted["discount_factor"].isna().tolist() == [True, True, False]
    assert fitted["n_pairs"].iloc[0] == 4
    assert fitted["discount_factor"].iloc[2] == pytest.approx(1.885, abs=0.01)
    assert fitted["rate_continuous"].iloc[2] < -1.0


def test_forwards_on_the_day_of_settlement_have_no_rate() -> None:
    """Nothing is left: the line holds, but no rate follows from it."""
    chain = make_chain((7,)).query("root == 'SPXW'")
    fitted = fit_forwards(chain.assign(quote_date=chain["expiration"]))
    assert fitted["flag"].tolist() == ["no_time"]
    assert fitted[["rate_continuous", "carry_continuous"]].isna().all(axis=None)
    assert fitted["forward"].notna().all()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("bid", 0.0),
        ("bid", np.nan),
        ("ask", -1.0),
        ("strike", np.nan),
        ("underlying_price", np.nan),
    ],
)
def test_pairs_without_two_sides_or_key_are_not_used(column: str, value: float) -> None:
    """Missing and one-sided quotes take their pair with them."""
    chain = make_chain((30,)).query("root == 'SPX'").reset_index(drop=True)
    full = fit_forwards(chain)
    at = int(np.flatnonzero((chain["strike"] == 2900) & (chain["option_type"] == "put"))[0])
    at_call = int(np.flatnonzero((chain["strike"] == 2900) & (chain["option_type"] == "call"))[0])
    place = at_call if column == "underlying_price" else at
    fewer = chain.copy()
    fewer.loc[place, column] = value
    fitted = fit_forwards(fewer)
    assert fitted["n_pairs"].item() == full["n_pairs"].item() - 1
    assert_allclose(fitted["forward"], full["forward"], rtol=1e-10)


def test_chains_that_have_no_parity_are_refused() -> None:
    """American options, wrong masks, no usable quote and a missing column have their remedies."""
    chain = make_chain((30,))
    with pytest.raises(ValueError, match="not European"):
        fit_forwards(chain.assign(exercise_style="american"))
    with pytest.raises(ValueError, match="one boolean for each"):
        fit_forwards(chain, np.array([True]))
    with pytest.raises(ValueError, match="no line can be fitted"):
        fit_forwards(chain.assign(bid=0.0))
    with pytest.raises(ValueError, match="no line can be fitted"):
        fit_forwards(chain.iloc[:0])
    with pytest.raises(ValueError, match="lacks column"):
        fit_forwards(chain.drop(columns="settlement"))
    with pytest.raises(ValueError, match="lacks column"):
        check_parity(chain, pd.DataFrame({"root": ["SPX"]}))
    with pytest.raises(ValueError, match="min_pairs of at least 3"):
        ParitySettings(min_pairs=2)
    with pytest.raises(ValueError, match="is not below"):
        ParitySettings(min_rate=0.3)


def test_lines_agree_with_statsmodels() -> None:
    """Huber's regression of each group is that of statsmodels at the same scale."""
    rng = np.random.default_rng(11)
    group = np.repeat([0, 1, 2], [31, 45, 25])
    x, error = rng.uniform(-3, 3, group.size), rng.uniform(0.5, 2.0, group.size)
    y = 1.0 + group - 0.7 * x + error * rng.standard_t(2, group.size)
    order = rng.permutation(group.size)
    level, slope = fit_lines(x[order], y[order], error[order], group[order], 3)
    for k in range(3):
        a, b, e = x[group == k], y[group == k], error[group == k]
        design = np.column_stack([1.0 / e, a / e])
        model = RLM(b / e, design, M=HuberT(1.345))
        fit = model.fit(scale_est="mad", maxiter=500, tol=1e-13)
        assert [level[k], slope[k]] == pytest.approx(list(fit.params), rel=1e-6)


def test_median_by_group_is_the_lower_of_two() -> None:
    """An even group has no middle value of its own."""
    values = np.array([5.0, 1.0, 9.0, 2.0, 7.0])
    assert median_by_group(values, np.array([0, 1, 0, 1, 0]), 2).tolist() == [7.0, 1.0]


def test_parity_holds_on_other_half_of_recorded_strikes() -> None:
    """Lines of every second strike hold within the spread for 99 % of the other pairs."""
    chain = read_spx()
    half = take_alternate_strikes(chain)
    forwards = fit_forwards(chain, half)
    checked = check_parity(chain, forwards, ~half)
    assert len(checked) > 60_000
    assert checked["is_within"].mean() > 0.99
    sure = forwards[(forwards["flag"] == "ok") & (forwards["time_years"] > 0.1)]
    # The three-month Treasury bill paid 2.3 to 2.5 % in these weeks.
    assert sure["rate_continuous"].median() == pytest.approx(0.026, abs=0.003)
