"""Prices of a model violate nothing, and each violation that is planted is found where it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from tidemark.domain.chain_keys import number_keys
from tidemark.domain.implied_parity import imply_parity
from tidemark.domain.no_arbitrage import (
    CHECKS,
    Quotes,
    count_violations,
    find_bounds,
    list_violations,
    measure_violations,
    summarise_violations,
)

SPOT = 100.0
STRIKES = np.arange(70.0, 131.0, 5.0)
TIMES = (0.1, 0.5, 1.0)


def _price(chain: pd.DataFrame, vol: float) -> pd.Series:
    """Price by Black and Scholes, on the forward."""
    t = chain["time_years"]
    forward = SPOT * np.exp(chain["carry_continuous"] * t)
    width = vol * np.sqrt(t)
    d1 = np.log(forward / chain["strike"]) / width + width / 2
    call = forward * norm.cdf(d1) - chain["strike"] * norm.cdf(d1 - width)
    value = call.where(chain["option_type"] == "call", call - forward + chain["strike"])
    return np.exp(-chain["rate_continuous"] * t) * value


def _model(
    rate: float = 0.03, carry: float = 0.01, vol: float = 0.2, style: str = "european"
) -> pd.DataFrame:
    rows = pd.MultiIndex.from_product(
        [TIMES, ["call", "put"], STRIKES], names=["time_years", "option_type", "strike"]
    ).to_frame(index=False)
    date = pd.Timestamp("2020-01-02")
    chain = rows.assign(
        quote_date=date,
        root="X",
        expiration=date + pd.to_timedelta((rows["time_years"] * 365).round(), unit="D"),
        exercise_style=style,
        underlying_price=SPOT,
        rate_continuous=rate,
        carry_continuous=carry,
    )
    return chain.assign(price=_price(chain, vol))


def _row(chain: pd.DataFrame, time: float, kind: str, strike: float) -> int:
    chosen = (chain["time_years"] == time) & (chain["option_type"] == kind)
    (row,) = chain.index[chosen & (chain["strike"] == strike)]
    return int(row)


@settings(max_examples=25, deadline=None)
@example(rate=0.0, carry=0.0625, vol=0.0625, seed=0)  # strikes beyond the later expiration's
@given(
    rate=st.floats(-0.02, 0.1),
    carry=st.floats(-0.05, 0.1),
    vol=st.floats(0.05, 0.8),
    seed=st.integers(0, 9),
)
def test_model_violates_nothing(rate: float, carry: float, vol: float, seed: int) -> None:
    """Whatever the rates, and in whatever order the rows come."""
    chain = _model(rate, carry, vol).sample(frac=1.0, random_state=seed)
    before = chain.copy()

    amounts = measure_violations(chain, "price", "price")

    assert (amounts.max() < 1e-9).all()
    assert amounts.notna().sum().min() > 0  # each check has something to test
    pd.testing.assert_frame_equal(chain, before)


def test_american_prices_without_dividends_violate_nothing() -> None:
    """Calls are worth what European ones are; parity is an interval."""
    chain = _model(0.04, 0.04, style="american")
    exercised = (chain["strike"] - SPOT).where(chain["option_type"] == "put", 0.0)
    chain["price"] = np.maximum(chain["price"], exercised)

    assert count_violations(chain, tolerance=1e-9) == dict.fromkeys((*CHECKS, "any"), 0.0)


def test_european_parity_is_no_interval() -> None:
    """What an American pair may differ by, a European one may not."""
    chain = _model(0.04, 0.04)
    exercised = (chain["strike"] - SPOT).where(chain["option_type"] == "put", 0.0)
    chain["price"] = np.maximum(chain["price"], exercised)

    assert count_violations(chain, tolerance=1e-9)["parity"] > 0


@pytest.mark.parametrize(
    ("check", "kind", "strike", "amount"),
    [
        ("lower_bound", "call", 70.0, -1.0),
        ("lower_bound", "put", 130.0, -1.0),
        ("upper_bound", "call", 100.0, 100.0),
        ("upper_bound", "put", 100.0, 100.0),
        ("convexity", "call", 100.0, 5.0),
        ("monotonicity", "call", 105.0, 6.0),
        ("monotonicity", "put", 105.0, -6.0),
        ("slope", "call", 90.0, -3.0),
        ("calendar", "call", 100.0, 9.0),
        ("calendar", "put", 100.0, 9.0),
        ("parity", "put", 100.0, 0.5),
    ],
)
def test_planted_violation_is_found_in_its_row(
    check: str, kind: str, strike: float, amount: float
) -> None:
    """One price is moved by an amount, and the check that forbids it names its row."""
    chain = _model(vol=0.1)
    row = _row(chain, 0.5, kind, strike)
    chain.loc[row, "price"] += amount

    amounts = measure_violations(chain, "price", "price")

    assert amounts.loc[row, check] > 0.1
    listed = list_violations(chain, amounts, 1e-6)
    assert row in listed.index[listed["check"] == check]
    assert listed["amount"].is_monotonic_decreasing


def test_amounts_are_those_of_the_portfolio() -> None:
    """Known by hand: zero rates, a call of 12 at strike 95 beside one of 12.5 at 100."""
    chain = _model(0.0, 0.0).query("time_years == 0.5 and option_type == 'call'").head(3)
    chain = chain.assign(strike=[90.0, 95.0, 100.0], price=[18.0, 12.0, 12.5])

    amounts = measure_violations(chain, "price", "price").iloc[[1, 2]]

    assert amounts["monotonicity"].tolist() == [0.0, 0.5]
    assert amounts["slope"].tolist() == [1.0, 0.0]  # 6 paid for a spread worth 5 at most
    assert amounts["convexity"].iloc[0] == 0.0
    assert amounts[["calendar", "parity"]].isna().all(axis=None)


def test_costs_excuse_a_violation() -> None:
    """A portfolio that can only be bought above what it pays is no opportunity."""
    chain = _model()
    row = _row(chain, 0.5, "call", 100.0)
    chain.loc[row, "price"] += 1.0
    wide = chain.assign(bid=chain["price"] - 0.6, ask=chain["price"] + 0.6)
    tight = chain.assign(bid=chain["price"] - 0.1, ask=chain["price"] + 0.1)

    assert measure_violations(wide)["parity"].max() == 0.0
    assert measure_violations(tight)["parity"].max() == pytest.approx(0.8)


def test_roots_are_apart() -> None:
    """Options of two roots share date, expiration and strike; they are not compared."""
    one, other = _model(), _model(vol=0.5).assign(root="XW")
    both = pd.concat([one, other], ignore_index=True)

    assert count_violations(both, tolerance=1e-9)["any"] == 0.0
    mixed = count_violations(both.assign(root="X"), tolerance=1e-9)
    assert mixed["any"] > 0.0  # quotes of one key that disagree


def test_later_expiration_without_the_strike_is_interpolated() -> None:
    """The chord over the later strikes bounds the price that they lack."""
    chain = _model(0.0, 0.0)
    thin = chain[(chain["time_years"] != 1.0) | (chain["strike"] % 10 == 0)].copy()

    row = _row(thin, 0.5, "call", 95.0)
    assert measure_violations(thin, "price", "price").loc[row, "calendar"] == 0.0
    thin.loc[row, "price"] += 20.0
    assert measure_violations(thin, "price", "price").loc[row, "calendar"] > 10.0


def test_missing_numbers_are_not_tested() -> None:
    """A price or a rate that is NaN makes no violation, and counts as untested."""
    chain = _model()
    chain.loc[_row(chain, 0.5, "call", 100.0), "price"] = np.nan
    chain.loc[chain["time_years"] == 1.0, "rate_continuous"] = np.nan

    amounts = measure_violations(chain, "price", "price")

    summary = summarise_violations(amounts).set_index("check")
    assert summary["violations"].sum() == 0
    assert summary.loc["lower_bound", "tested"] == 4 * len(STRIKES) - 1
    assert summary.loc["parity", "tested"] == 4 * len(STRIKES) - 2


def test_empty_chain_has_no_violation() -> None:
    """Nothing is nothing, and no division by it."""
    assert set(count_violations(_model().head(0)).values()) == {0.0}


def test_missing_column_is_named() -> None:
    """So is what it was taken for."""
    with pytest.raises(ValueError, match=r"'carry_continuous' \(is it 'carry_continuos'"):
        measure_violations(
            _model().rename(columns={"carry_continuous": "carry_continuos"}), "price", "price"
        )


def _quotes(chain: pd.DataFrame, half: float, rate: float) -> Quotes:
    price = chain["price"].to_numpy()
    t = chain["time_years"].to_numpy()
    n = len(chain)
    return Quotes(
        bid=np.maximum(price - half, 0.0),
        ask=price + half,
        spot=np.full(n, SPOT),
        strike=chain["strike"].to_numpy(),
        discount=np.exp(-rate * t),
        forward=np.full(n, np.nan),
        is_call=(chain["option_type"] == "call").to_numpy(),
        is_american=(chain["exercise_style"] == "american").to_numpy(),
    )


def test_bounds_of_american_options_are_wider() -> None:
    """They may be exercised today, and are never worth less than European ones."""
    european = _quotes(_model(0.05, 0.02), 0.0, 0.05).at(
        np.exp(-0.05 * _model()["time_years"].to_numpy()), np.full(len(_model()), 101.0)
    )
    american = Quotes(**{**vars(european), "is_american": ~european.is_american})

    (low, high), (lower, higher) = find_bounds(european), find_bounds(american)

    assert np.all(lower >= low)
    assert np.all(higher >= high)
    assert np.any(lower > low)


@pytest.mark.parametrize("broken", [0, 2])
def test_parity_implies_the_forward_and_the_discount(broken: int) -> None:
    """Of exact prices exactly; with two pairs in error, within the costs of the others."""
    chain = _model(0.03, 0.01)
    for strike in (75.0, 120.0)[:broken]:
        chain.loc[_row(chain, 0.5, "call", strike), "price"] += 8.0

    held, discount = imply_parity(_quotes(chain, 0.02, 0.0), number_keys(chain))

    t = chain["time_years"].to_numpy()
    np.testing.assert_allclose(discount, np.exp(-0.03 * t), atol=1e-4 if broken else 1e-9)
    np.testing.assert_allclose(held, SPOT * np.exp(-0.02 * t), atol=0.02 if broken else 1e-6)


def test_parity_of_american_chains_keeps_the_rate_that_is_given() -> None:
    """Early exercise bends the line; the median at the money gives the forward."""
    chain = _model(0.03, 0.01, style="american")

    held, discount = imply_parity(_quotes(chain, 0.02, 0.03), number_keys(chain))

    t = chain["time_years"].to_numpy()
    np.testing.assert_allclose(discount, np.exp(-0.03 * t))
    np.testing.assert_allclose(held, SPOT * np.exp(-0.02 * t), atol=1e-6)


@pytest.mark.parametrize("step", [0.5, 1.0, 4.0])
def test_parity_of_american_chains_is_a_median_of_the_nearest_pairs(step: float) -> None:
    """The seven with the smallest difference of call and put, counted out one by one."""
    rng = np.random.default_rng(5)
    strikes = SPOT + step * np.arange(-8, 9)
    parts = []
    for days in (30, 60, 90):
        chosen = np.sort(rng.choice(strikes, 12, replace=False))
        rows = pd.DataFrame({"strike": np.repeat(chosen, 2), "option_type": ["call", "put"] * 12})
        middle = SPOT - rows["strike"] + rng.integers(-2, 3, len(rows)) / 4.0  # with ties
        price = np.where(rows["option_type"] == "call", 50.0 + middle, 50.0)
        expiration = pd.Timestamp("2020-01-02") + pd.Timedelta(days=days)
        parts.append(rows.assign(price=price, expiration=expiration, time_years=days / 365))
    same = {"quote_date": pd.Timestamp("2020-01-02"), "root": "X", "underlying_price": SPOT}
    terms = {"exercise_style": "american", "rate_continuous": 0.0, "carry_continuous": 0.0}
    chain = pd.concat(parts, ignore_index=True).assign(**same, **terms)

    # A spread that is a power of two leaves ties what they are.
    held, _ = imply_parity(_quotes(chain, 0.25, 0.0), number_keys(chain))

    for _, rows in chain.groupby("expiration"):
        call, put = (
            rows[rows["option_type"] == kind].set_index("strike")["price"]
            for kind in ("call", "put")
        )
        middle = call - put
        nearest = middle.abs().sort_values(kind="stable").index[:7]
        expected = float(np.median(middle[nearest] + nearest))
        np.testing.assert_allclose(held[rows.index], expected, rtol=1e-14)


def test_few_pairs_imply_nothing() -> None:
    """Five strikes are too few to check a line by."""
    chain = _model()
    chain = chain[chain["strike"] < 95.0].reset_index(drop=True)

    held, discount = imply_parity(_quotes(chain, 0.02, 0.0), number_keys(chain))

    assert np.isnan(held).all()
    assert np.isnan(discount).all()


SPX = (
    Path(__file__).resolve().parents[3]
    / "shared/data/options/spx_cboe_eod_20190425_20190531.parquet"
)


@pytest.mark.skipif(not SPX.is_file(), reason=f"needs the recorded chain '{SPX}'")
def test_recorded_quotes_hardly_violate_anything() -> None:
    """Quotes of SPX are free of violations beyond costs between strikes and maturities."""
    from tidemark.datasets.cboe_eod import CboeEodDataset
    from tidemark.domain.chains import measure_time_years

    chain = CboeEodDataset(str(SPX)).load().load_whole()
    chain = chain[chain["quote_date"] < "2019-05-03"].reset_index(drop=True)
    keys, t = number_keys(chain), measure_time_years(chain)
    nothing = np.full(len(chain), np.nan)
    quotes = Quotes(
        bid=chain["bid"].to_numpy(),
        ask=chain["ask"].to_numpy(),
        spot=chain["underlying_price"].to_numpy(),
        strike=chain["strike"].to_numpy(),
        discount=nothing,
        forward=nothing,
        is_call=keys.is_call,
        is_american=np.zeros(len(chain), dtype=bool),
    )
    held, discount = imply_parity(quotes, keys)
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = {
            "rate_continuous": np.where(t > 0, -np.log(discount) / t, np.nan),
            "carry_continuous": np.where(t > 0, np.log(held / discount / quotes.spot) / t, np.nan),
        }
    chain = chain.assign(time_years=t, **rates)

    summary = summarise_violations(measure_violations(chain), 0.05).set_index("check")

    assert summary["violations"].sum() == 0
    assert summary["tested"].min() > 70_000
    far = chain[(t > 0.25) & (t < 0.5)]["rate_continuous"]
    assert far.between(0.02, 0.03).all()  # the bill rate was 2.4 %
