"""Curves give back the forwards they were made of, date by date, and logs are linear between."""

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
from tidemark.domain.forward_curves import ForwardCurves, imply_forwards, make_curves
from tidemark.domain.parity import fit_forwards

ONE, OTHER = np.datetime64("2019-05-01", "us"), np.datetime64("2019-05-02", "us")
SPOT = 2900.0


def make_forwards(
    rows: list[tuple[np.datetime64, float, float, float]], flag: str = "ok"
) -> pd.DataFrame:
    """Make forwards of a date, a time, a carry and a rate."""
    table = pd.DataFrame(
        rows, columns=["quote_date", "time_years", "carry_continuous", "rate_continuous"]
    )
    return table.assign(flag=flag)


def read_one(curves: ForwardCurves, day: np.datetime64, *times: float) -> np.ndarray:
    """Read carry and rate of one day: shape (2, times)."""
    return np.array(curves.read(np.full(len(times), day), np.array(times)))


TWO_DAYS = make_forwards(
    [
        (ONE, 0.1, 0.02, 0.03),
        (ONE, 0.3, 0.01, 0.05),
        (OTHER, 0.2, -0.04, 0.02),
    ]
)


def test_curve_is_read_at_its_points_between_and_beyond() -> None:
    """At 0.2 years the logs are halfway between 0.002 and 0.003, and 0.003 and 0.015."""
    curves = make_curves(TWO_DAYS)
    found = read_one(curves, ONE, 0.1, 0.3, 0.2, 0.05, 5.0)
    assert_allclose(found[0], [0.02, 0.01, 0.0025 / 0.2, 0.02, 0.01], rtol=1e-9)
    assert_allclose(found[1], [0.03, 0.05, 0.009 / 0.2, 0.03, 0.05], rtol=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 4),
            st.integers(1, 900),
            st.floats(-0.1, 0.1),
            st.floats(-0.05, 0.2),
        ),
        min_size=1,
        max_size=25,
        unique_by=lambda row: row[:2],
    ),
    st.integers(0, 2**32 - 1),
)
def test_curves_give_back_their_forwards_in_any_order(
    rows: list[tuple[int, int, float, float]], seed: int
) -> None:
    """Each date's carry and rate come back, and so does the line between two neighbours."""
    dated = [(ONE + np.timedelta64(day, "D"), days / 365, b, r) for day, days, b, r in rows]
    table = make_forwards(dated)
    curves = make_curves(table.sample(frac=1, random_state=np.random.default_rng(seed)))
    day, time = table["quote_date"].to_numpy(), table["time_years"].to_numpy()
    carry, rate = curves.read(day, time)
    assert_allclose(carry, table["carry_continuous"], atol=1e-6)
    assert_allclose(rate, table["rate_continuous"], atol=1e-6)
    for one, own in table.sort_values("time_years").groupby("quote_date"):
        first, last = (own["time_years"].iloc[at] for at in (0, -1))
        grid = np.linspace(first, last, 17)
        logs = own["carry_continuous"] * own["time_years"]
        expected = np.interp(grid, own["time_years"], logs) / grid
        assert_allclose(read_one(curves, np.datetime64(one, "us"), *grid)[0], expected, atol=1e-6)


def test_curves_of_two_dates_never_mix() -> None:
    """A date's numbers do not depend on those of the dates around it."""
    three = pd.concat([TWO_DAYS, make_forwards([(ONE - np.timedelta64(1, "D"), 0.4, 0.9, 0.9)])])
    alone = make_curves(TWO_DAYS[TWO_DAYS["quote_date"] == ONE])
    times = (0.01, 0.1, 0.15, 0.3, 0.4, 90.0)
    assert_allclose(
        read_one(make_curves(three), ONE, *times), read_one(alone, ONE, *times), rtol=1e-9
    )


def test_curves_are_blank_where_nothing_is_known() -> None:
    """Dates without forwards, no date, and times that are not above 0."""
    curves = make_curves(TWO_DAYS)
    day = np.array([ONE, "2019-05-03", "2019-04-30", "NaT", ONE, ONE, ONE], dtype="datetime64[us]")
    time = np.array([0.1, 0.1, 0.1, 0.1, 0.0, -0.1, np.nan])
    for values in curves.read(day, time):
        assert_array_equal(np.isnan(values), [False] + [True] * 6)


@pytest.mark.parametrize("flag", ["few_pairs", "not_decreasing", "rate_out_of_bounds", "no_time"])
def test_curves_use_forwards_with_flag_ok_only(flag: str) -> None:
    """A bad forward is as if it were absent, and a date of bad ones has no curve."""
    bad = make_forwards(
        [(ONE, 0.2, 9.0, 9.0), (OTHER + np.timedelta64(1, "D"), 0.2, 9.0, 9.0)], flag
    )
    curves, usual = make_curves(pd.concat([TWO_DAYS, bad])), make_curves(TWO_DAYS)
    times = (0.05, 0.2, 0.25)
    assert_array_equal(read_one(curves, ONE, *times), read_one(usual, ONE, *times))
    assert np.isnan(read_one(curves, OTHER + np.timedelta64(1, "D"), 0.2)).all()


def test_curves_average_roots_that_settle_at_one_time() -> None:
    """Neither of two forwards of one time is preferred."""
    curves = make_curves(make_forwards([(ONE, 0.5, 0.02, 0.01), (ONE, 0.5, 0.04, 0.05)]))
    assert_allclose(read_one(curves, ONE, 0.5)[:, 0], [0.03, 0.03])


def test_curves_of_nothing_are_blank_everywhere() -> None:
    """Without a usable forward nothing is known, and nothing fails."""
    for table in (TWO_DAYS.head(0), TWO_DAYS.assign(flag="few_pairs")):
        assert np.isnan(read_one(make_curves(table), ONE, 0.1, 0.2)).all()
    assert read_one(make_curves(TWO_DAYS), ONE).shape == (2, 0)


def make_chain(
    exercise_style: str, rate: float, carry: float, days: tuple[int, ...]
) -> pd.DataFrame:
    """Make quotes of one date around European prices of one volatility."""
    strikes = np.arange(2600.0, 3201.0, 25.0)
    keys = pd.MultiIndex.from_product(
        [days, ["call", "put"], strikes], names=["days", "option_type", "strike"]
    ).to_frame(index=False)
    chain = build_chain(
        {
            "quote_date": pd.Timestamp("2019-05-01"),
            "underlying": "X",
            "root": exercise_style[0].upper(),
            "settlement": "pm",
            "exercise_style": exercise_style,
            "underlying_price": SPOT,
            "expiration": pd.Timestamp("2019-05-01") + pd.to_timedelta(keys["days"], unit="D"),
            "option_type": keys["option_type"],
            "strike": keys["strike"],
        },
        len(keys),
    )
    time, is_call = measure_time_years(chain), (chain["option_type"] == "call").to_numpy()
    fair = price(SPOT, chain["strike"], time, rate, 0.2, is_call, carry)
    return chain.assign(bid=fair - 0.05, ask=fair + 0.05).query("bid > 0").reset_index(drop=True)


def test_imply_forwards_european_chain_is_that_of_parity() -> None:
    """Nothing is added to the lines that parity fits."""
    chain = make_chain("european", 0.03, 0.01, (30, 90))
    assert_frame_equal(imply_forwards(chain, 0.5), fit_forwards(chain))


def test_imply_forwards_american_options_grow_at_their_carry() -> None:
    """Without a rate nobody exercises a put early; the dividend's yield is what parity leaves."""
    chain = make_chain("american", 0.0, -0.01, (30, 90))
    before = chain.copy()
    found = imply_forwards(chain, 0.0)
    assert_frame_equal(chain, before)
    assert_allclose(found["time_years"], [30 / 365, 90 / 365])
    assert_allclose(found["carry_continuous"], -0.01, atol=1e-9)
    assert (found[["rate_continuous", "n_pairs"]] == 0.0).all(axis=None)
    assert found["flag"].tolist() == ["ok", "ok"]
    assert found[["residual_median", "share_within"]].isna().all(axis=None)
    carry, rate = read_one(make_curves(found), ONE, 0.15)
    assert_allclose([carry[0], rate[0]], [-0.01, 0.0], atol=1e-9)


def test_imply_forwards_american_options_are_discounted_at_the_given_rate() -> None:
    """The spot is what calls and puts are of, so that it grows at the rate that is given."""
    found = imply_forwards(make_chain("american", 0.02, 0.02, (30,)), 0.02)
    assert_allclose(found["forward"], SPOT * np.exp(0.02 * 30 / 365), rtol=1e-9)
    assert_allclose(found["discount_factor"], np.exp(-0.02 * 30 / 365), rtol=1e-12)


def test_imply_forwards_keeps_both_styles_apart() -> None:
    """A chain of two styles has the forwards of each, in the order of their keys."""
    parts = [make_chain(style, 0.0, 0.01, (30, 90)) for style in ("european", "american")]
    mixed = pd.concat(parts, ignore_index=True).sample(frac=1, random_state=1)
    found = imply_forwards(mixed, 0.0)
    assert found["root"].tolist() == ["A", "A", "E", "E"]
    assert (found["n_pairs"] > 0).tolist() == [False, False, True, True]
    assert_allclose(found["carry_continuous"], 0.01, atol=1e-6)


def test_imply_forwards_american_expirations_that_say_nothing_are_flagged() -> None:
    """Five pairs are too few, and at settlement no time is left."""
    chain = make_chain("american", 0.0, 0.0, (0, 30, 90))
    few = chain["strike"].between(2850, 2950)
    days = (chain["expiration"] - chain["quote_date"]).dt.days
    found = imply_forwards(chain[(days != 30) | few], 0.0)
    assert found["flag"].tolist() == ["no_time", "few_pairs", "ok"]
    assert found["carry_continuous"].isna().tolist() == [True, True, False]


def test_imply_forwards_without_a_pair_are_none() -> None:
    """An empty table of the same columns, whose curves are blank."""
    chain = make_chain("european", 0.0, 0.0, (30,))
    calls = chain[chain["option_type"] == "call"]
    found = imply_forwards(calls, 0.0)
    assert len(found) == 0
    assert set(found) == set(imply_forwards(chain, 0.0))
    assert np.isnan(read_one(make_curves(found), ONE, 0.1)).all()
