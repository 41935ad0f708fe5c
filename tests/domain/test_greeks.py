"""Greeks are the derivatives of the price, in the units in which they are quoted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from tidemark.domain.black_scholes import Greeks, greeks, price

NAMES = ("delta", "gamma", "vega", "theta", "rho")


@pytest.mark.parametrize(
    ("arguments", "name", "expected", "tolerance"),
    [
        pytest.param((49, 50, 20 / 52, 0.05, 0.2, True), "delta", 0.522, 5e-4, id="Hull, delta"),
        pytest.param((49, 50, 20 / 52, 0.05, 0.2, True), "gamma", 0.066, 5e-4, id="Hull, gamma"),
        pytest.param((49, 50, 20 / 52, 0.05, 0.2, True), "vega", 0.121, 5e-4, id="Hull, vega"),
        pytest.param((49, 50, 20 / 52, 0.05, 0.2, True), "theta", -0.0118, 5e-5, id="Hull, theta"),
        pytest.param((49, 50, 20 / 52, 0.05, 0.2, True), "rho", 0.0891, 5e-5, id="Hull, rho"),
        pytest.param((105, 100, 0.5, 0.1, 0.36, True, 0.0), "delta", 0.5946, 5e-5, id="Haug, call"),
        pytest.param(
            (105, 100, 0.5, 0.1, 0.36, False, 0.0), "delta", -0.3566, 5e-5, id="Haug, put"
        ),
        pytest.param((55, 60, 0.75, 0.1, 0.3, True), "gamma", 0.0278, 5e-5, id="Haug, gamma"),
        pytest.param(
            (430, 405, 1 / 12, 0.07, 0.2, False, 0.02),
            "theta",
            -31.1924 / 365,
            5e-7,
            id="Haug, theta",
        ),
        pytest.param((72, 75, 1.0, 0.09, 0.19, True), "rho", 0.387325, 5e-7, id="Haug, rho"),
    ],
)
def test_greek_of_published_example_agrees(
    arguments: tuple[Any, ...], name: str, expected: float, tolerance: float
) -> None:
    """The examples of Hull (2018), chapter 19, and of Haug (2007), chapter 2."""
    assert getattr(greeks(*arguments), name) == pytest.approx(expected, abs=tolerance)


def difference(function: Callable[[float], Any], at: float, step: float) -> float:
    """Differentiate by central differences of fourth order."""
    far = function(at + 2 * step) - function(at - 2 * step)
    near = function(at + step) - function(at - step)
    return float((8.0 * near - far) / (12.0 * step))


@settings(deadline=None)
@given(
    st.floats(-0.5, 0.5),
    st.floats(0.1, 3.0),
    st.floats(-0.03, 0.1),
    st.floats(0.1, 0.8),
    st.booleans(),
    st.floats(-0.05, 0.1),
)
def test_greeks_are_derivatives_of_the_price(
    moneyness: float, time: float, rate: float, vol: float, is_call: bool, carry: float
) -> None:
    """Each greek is a central difference of the price; rho moves rate and carry together."""
    spot, strike = 100.0, 100.0 * np.exp(moneyness)
    found = greeks(spot, strike, time, rate, vol, is_call, carry)

    def at(**changes: float) -> np.ndarray:
        chosen = {"spot": spot, "time": time, "vol": vol, "shift": 0.0} | changes
        return price(
            chosen["spot"],
            strike,
            chosen["time"],
            rate + chosen["shift"],
            chosen["vol"],
            is_call,
            carry + chosen["shift"],
        )

    assert found.delta == pytest.approx(difference(lambda x: at(spot=x), spot, 0.05), abs=1e-7)
    slope = difference(
        lambda x: greeks(x, strike, time, rate, vol, is_call, carry).delta, spot, 0.05
    )
    assert found.gamma == pytest.approx(slope, abs=1e-7)
    slope = difference(lambda x: at(vol=x), vol, 1e-3)
    assert 100.0 * found.vega == pytest.approx(slope, abs=1e-4)
    slope = difference(lambda x: at(time=x), time, 1e-3)
    assert -365.0 * found.theta == pytest.approx(slope, abs=1e-4)
    slope = difference(lambda x: at(shift=x), 0.0, 1e-3)
    assert 100.0 * found.rho == pytest.approx(slope, abs=1e-4)


def test_greeks_of_call_and_put_differ_by_those_of_the_forward() -> None:
    """Parity: the same gamma and vega, deltas that differ by the asset's discount."""
    strikes = np.linspace(20.0, 300.0, 57)
    call = greeks(100.0, strikes, 0.7, 0.04, 0.3, True, 0.01)
    put = greeks(100.0, strikes, 0.7, 0.04, 0.3, False, 0.01)
    assert_allclose(call.gamma, put.gamma, rtol=1e-12)
    assert_allclose(call.vega, put.vega, rtol=1e-12)
    assert_allclose(call.delta - put.delta, np.exp(-0.03 * 0.7), rtol=1e-12)
    assert_allclose(call.rho - put.rho, 0.01 * 0.7 * strikes * np.exp(-0.04 * 0.7), rtol=1e-12)
    held = 0.03 * 100.0 * np.exp(-0.03 * 0.7) - 0.04 * strikes * np.exp(-0.04 * 0.7)
    assert_allclose(365.0 * (call.theta - put.theta), held, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("time", "vol"), [(0.0, 0.2), (1.0, 0.0)])
def test_greeks_without_time_or_volatility_are_those_of_intrinsic_value(
    time: float, vol: float
) -> None:
    """Away from the kink they are those of the legs; at it there is no derivative."""
    found = greeks([120.0, 80.0, 100.0], 100.0, time, 0.0, vol, True)
    assert_array_equal(found.delta, [1.0, 0.0, np.nan])
    assert_array_equal(found.gamma, [0.0, 0.0, np.nan])
    assert_array_equal(found.vega, [0.0, 0.0, np.nan])
    assert_array_equal(found.theta, [0.0, 0.0, np.nan])
    assert_array_equal(found.rho, [time, 0.0, np.nan])


@pytest.mark.parametrize("place", range(6))
@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_greeks_of_impossible_input_are_nan(place: int, bad: float) -> None:
    """All five are NaN exactly where the price is."""
    arguments: list[Any] = [100.0, 90.0, 1.0, 0.02, 0.2, 0.01]
    arguments[place] = [arguments[place], bad]
    *first, carry = arguments
    expected = np.isnan(price(*first, False, carry))
    found = greeks(*first, False, carry)
    for name in NAMES:
        assert_array_equal(np.isnan(getattr(found, name)), expected)


def test_greeks_broadcast_and_leave_inputs_unchanged() -> None:
    """Any shapes that broadcast do."""
    strikes, flags = np.array([[90.0], [110.0]]), np.array([True, False, True])
    before = strikes.copy()
    found = greeks(100, strikes, 1, 0.02, 0.2, flags)
    assert isinstance(found, Greeks)
    assert {getattr(found, name).shape for name in NAMES} == {(2, 3)}
    assert_array_equal(strikes, before)


def test_greeks_agree_with_vollib() -> None:
    """Analytical greeks of the oracle agree; its theta and vega are in the same units."""
    oracle = pytest.importorskip(
        "vollib.black_scholes_merton.greeks.analytical",
        reason="the oracle vollib is not installed",
    )
    rng = np.random.default_rng(5)
    for _ in range(200):
        strike = float(100.0 * np.exp(rng.normal(0.0, 0.3)))
        time, vol = float(rng.uniform(0.05, 3.0)), float(rng.uniform(0.05, 1.0))
        rate, dividend = (float(x) for x in rng.uniform(-0.02, 0.1, 2))
        flag = str(rng.choice(["c", "p"]))
        found = greeks(100.0, strike, time, rate, vol, flag == "c", rate - dividend)
        for name in NAMES:
            expected = getattr(oracle, name)(flag, 100.0, strike, time, rate, vol, dividend)
            assert getattr(found, name) == pytest.approx(expected, rel=1e-8, abs=1e-12), name
