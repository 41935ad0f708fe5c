"""Option prices are those of the literature, exact in the wings, and obey what must hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from tidemark.domain import option_blocks
from tidemark.domain.black_scholes import discount_factor, forward_price, price

SPOTS = st.floats(0.01, 1e5)
MONEYNESS = st.floats(-1.5, 1.5)
TIMES = st.floats(0.0, 5.0)
RATES = st.floats(-0.05, 0.2)
VOLS = st.floats(0.0, 3.0)


@pytest.mark.parametrize(
    ("arguments", "expected", "tolerance"),
    [
        pytest.param((42, 40, 0.5, 0.10, 0.20, True), 4.76, 0.005, id="Hull, call"),
        pytest.param((42, 40, 0.5, 0.10, 0.20, False), 0.81, 0.005, id="Hull, put"),
        pytest.param((930, 900, 2 / 12, 0.08, 0.20, True, 0.05), 51.83, 0.005, id="Hull, index"),
        pytest.param((20, 20, 4 / 12, 0.09, 0.25, False, 0.0), 1.12, 0.005, id="Hull, futures"),
        pytest.param((60, 65, 0.25, 0.08, 0.30, True), 2.1334, 5e-5, id="Haug, stock"),
        pytest.param((100, 95, 0.5, 0.10, 0.20, False, 0.05), 2.4648, 5e-5, id="Haug, yield"),
        pytest.param((19, 19, 0.75, 0.10, 0.28, True, 0.0), 1.7011, 5e-5, id="Haug, futures"),
        pytest.param((19, 19, 0.75, 0.10, 0.28, False, 0.0), 1.7011, 5e-5, id="Haug, put"),
        pytest.param((1.56, 1.6, 0.5, 0.06, 0.12, True, -0.02), 0.0291, 5e-5, id="Haug, currency"),
    ],
)
def test_price_of_published_examples_agrees(
    arguments: tuple[Any, ...], expected: float, tolerance: float
) -> None:
    """The examples of Hull (2018), chapters 15, 17 and 18, and of Haug (2007), chapter 1."""
    assert price(*arguments) == pytest.approx(expected, abs=tolerance)


# Made with mpmath 1.3 at 60 digits from the textbook formula, each float taken as it is.
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((100, 250, 0.25, 0.03, 0.15, True, 0.01), 1.8069800546170345854e-34),
        ((100, 40, 0.25, 0.03, 0.15, False, 0.01), 3.1669427613025942883e-35),
        ((100, 1000, 1, 0.0, 0.2, True, 0.0), 3.0586701126054058386e-30),
        ((100, 180, 0.02, 0.05, 0.3, True, 0.05), 3.3869266861811182653e-44),
        ((100, 101, 1 / 365, 0.05, 0.02, True, 0.02), 1.7983812453974208543e-23),
        ((100, 100, 2, 0.01, 3.0, True, 0.0), 94.697498284992807772),
        ((100, 10, 0.5, 0.02, 0.1, True, 0.02), 90.099501662508319466),
        ((3000, 3000, 1 / 8760, 0.02, 0.1, False, 0.0), 1.2787282365416485384),
        ((100, 30, 5, 0.04, 1.5, False, -0.02), 20.718993560159453192),
    ],
)
def test_price_in_wings_keeps_digits(arguments: tuple[Any, ...], expected: float) -> None:
    """Prices of 1e-44 and of nearly the upper bound agree with 60-digit arithmetic."""
    assert price(*arguments) == pytest.approx(expected, rel=1e-11, abs=0.0)


def test_price_at_expiry_is_intrinsic() -> None:
    """Without time, rate and volatility do not matter."""
    values = price([90.0, 110.0, 100.0], 100.0, 0.0, 0.07, 0.4, [[True], [False]], 0.02)
    assert_array_equal(values, [[0.0, 10.0, 0.0], [10.0, 0.0, 0.0]])


def test_price_without_volatility_is_discounted_intrinsic_of_forward() -> None:
    """The forward, not the spot, is compared with the strike."""
    spot, strike, time, rate, carry = 100.0, 103.0, 2.0, 0.03, 0.02
    forward = 100.0 * np.exp(0.04)
    assert_allclose(
        price(spot, strike, time, rate, 0.0, [True, False], carry),
        [np.exp(-0.06) * (forward - 103.0), 0.0],
        rtol=1e-13,
    )


@settings(deadline=None)
@given(SPOTS, MONEYNESS, TIMES, RATES, VOLS, RATES)
def test_price_of_call_less_put_is_discounted_forward_less_strike(
    spot: float, moneyness: float, time: float, rate: float, vol: float, carry: float
) -> None:
    """Put-call parity holds to rounding."""
    strike = spot * np.exp(moneyness)
    call, put = price(spot, strike, time, rate, vol, np.array([True, False]), carry)
    line = discount_factor(time, rate) * (forward_price(spot, time, carry) - strike)
    assert call - put == pytest.approx(float(line), abs=1.6e-14 * (spot + strike + call + put))


@settings(deadline=None)
@given(SPOTS, MONEYNESS, TIMES, RATES, VOLS, RATES, st.booleans())
def test_price_lies_within_bounds_and_rises_with_volatility(
    spot: float,
    moneyness: float,
    time: float,
    rate: float,
    vol: float,
    carry: float,
    is_call: bool,
) -> None:
    """A price is between the discounted intrinsic value and the leg that is received."""
    strike = spot * np.exp(moneyness)
    vols = vol + np.linspace(0.0, 1.0, 50)
    values = price(spot, strike, time, rate, vols, is_call, carry)
    asset = float(discount_factor(time, rate) * forward_price(spot, time, carry))
    cash = float(discount_factor(time, rate) * strike)
    rounding = 1e-14 * (asset + cash)
    lowest = max(asset - cash if is_call else cash - asset, 0.0)
    assert (values >= lowest - rounding).all()
    assert (values <= (asset if is_call else cash) + rounding).all()
    assert (np.diff(values) >= -rounding).all()


@pytest.mark.parametrize("power", [-320, -30, -17, -12, -9, -8, -7, -5])
def test_price_at_volatilities_that_rounding_hides_is_intrinsic(power: int) -> None:
    """Both terms of the price agree to the last digit there, in this order or the other."""
    strikes = np.concatenate([np.linspace(0.4, 2.5, 20_001), 1.0 + np.logspace(-15, -1, 1000)])
    call, put = price(1.0, strikes, 1.0, 0.0, 10.0**power, [[True], [False]], 0.125)
    forward = np.exp(0.125)
    most = 0.4 * 10.0**power * forward + 1e-15  # what time is worth, at the forward
    for values, inside in ((call, forward - strikes), (put, strikes - forward)):
        assert (np.abs(values - np.maximum(inside, 0.0)) <= most).all()


@settings(deadline=None)
@given(SPOTS, TIMES, RATES, VOLS, RATES)
def test_price_over_strikes_is_monotone_and_convex(
    spot: float, time: float, rate: float, vol: float, carry: float
) -> None:
    """Calls fall and puts rise with the strike, both convexly."""
    strikes = spot * np.linspace(0.4, 2.0, 81)
    values = price(spot, strikes, time, rate, vol, [[True], [False]], carry)
    rounding = 1e-13 * spot * max(1.0, float(np.exp((carry - rate) * time)), np.exp(-rate * time))
    assert (np.diff(values[0]) <= rounding).all()
    assert (np.diff(values[1]) >= -rounding).all()
    assert (np.diff(values, 2, axis=1) >= -rounding).all()


@settings(deadline=None)
@given(SPOTS, MONEYNESS, TIMES, RATES, VOLS, st.floats(1e-3, 1e3), st.booleans())
def test_price_is_homogeneous_in_spot_and_strike(
    spot: float,
    moneyness: float,
    time: float,
    rate: float,
    vol: float,
    factor: float,
    is_call: bool,
) -> None:
    """Another currency unit changes nothing else."""
    strike = spot * np.exp(moneyness)
    once = price(spot, strike, time, rate, vol, is_call)
    scaled = price(factor * spot, factor * strike, time, rate, vol, is_call)
    assert scaled == pytest.approx(factor * once, abs=1e-14 * factor * (spot + strike))


def test_price_with_no_carry_given_carries_at_rate() -> None:
    """Without a carry the underlying pays no dividends."""
    assert price(100, 90, 1, 0.05, 0.2, True) == price(100, 90, 1, 0.05, 0.2, True, 0.05)


def test_price_broadcasts_and_leaves_inputs_unchanged() -> None:
    """Any shapes that broadcast do, across blocks too, and the inputs stay as they are."""
    strikes = np.linspace(50.0, 150.0, option_blocks.BLOCK_SIZE + 3)[:, None]
    times, flags = np.array([0.1, 1.0]), np.array([True, False])
    before = strikes.copy(), times.copy(), flags.copy()
    values = price(100, strikes, times, 0.02, pd.Series([0.2, 0.3]), flags)
    assert values.shape == (len(strikes), 2)
    assert values[-1, 1] == pytest.approx(float(price(100.0, 150.0, 1.0, 0.02, 0.3, False)))
    assert values[0, 0] == pytest.approx(float(price(100.0, 50.0, 0.1, 0.02, 0.2, True)))
    for now, then in zip((strikes, times, flags), before, strict=True):
        assert_array_equal(now, then)


def test_price_of_nothing_is_empty() -> None:
    """No rows in, no rows out."""
    assert price(np.empty((0, 3)), 1.0, 1.0, 0.0, 0.2, True).shape == (0, 3)


@pytest.mark.parametrize("place", range(6))
@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_price_of_impossible_input_is_nan(place: int, bad: float) -> None:
    """NaN and infinity are NaN anywhere; rates and carries alone may be negative."""
    arguments: list[Any] = [100.0, 100.0, 1.0, 0.02, 0.2, 0.01]
    arguments[place] = [arguments[place], bad]
    *first, carry = arguments
    values = price(*first, True, carry)
    may_be_negative = place in (3, 5) and bad == -1.0
    assert_array_equal(np.isnan(values), [False, not may_be_negative])


@pytest.mark.parametrize("flags", [["call", "put"], [1, 0], [1.0, np.nan]])
def test_price_with_flags_that_are_no_booleans_is_refused(flags: list[Any]) -> None:
    """A text would be true whatever it says."""
    with pytest.raises(ValueError, match="give booleans, True for a call"):
        price(100, 100, 1, 0.02, 0.2, flags)


def test_price_agrees_with_vollib() -> None:
    """Prices agree with Jäckel's own route to machine precision."""
    merton = pytest.importorskip(
        "vollib.black_scholes_merton", reason="the oracle vollib is not installed"
    )
    rng = np.random.default_rng(3)
    for _ in range(500):
        spot, strike = 100.0, float(100.0 * np.exp(rng.normal(0.0, 0.4)))
        time, vol = float(rng.uniform(0.01, 3.0)), float(rng.uniform(0.05, 1.5))
        rate, dividend = (float(x) for x in rng.uniform(-0.02, 0.1, 2))
        for flag in "cp":
            expected = merton.black_scholes_merton(flag, spot, strike, time, rate, vol, dividend)
            ours = price(spot, strike, time, rate, vol, flag == "c", rate - dividend)
            assert ours == pytest.approx(expected, rel=1e-11, abs=1e-12)
