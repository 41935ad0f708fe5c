"""Implied volatilities give back their prices, and say why wherever there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from tidemark.domain import option_blocks, volatility_steps
from tidemark.domain.black_scholes import (
    VolatilityCode,
    greeks,
    implied_volatility,
    price,
    solve_implied_volatility,
)
from tidemark.domain.normal import price_at_inflection, price_normalised
from tidemark.domain.volatility_guess import guess_high, guess_low
from tidemark.domain.volatility_steps import solve_total


def solve_again(*contract: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Price contracts, solve, and give the errors, the codes and vega over spot (per 1.00)."""
    spot, strike, time, rate, vol, is_call, carry = contract
    prices = price(*contract)
    solved = solve_implied_volatility(prices, spot, strike, time, rate, is_call, carry)
    vega = 100.0 * greeks(*contract).vega / spot
    return np.abs(solved.vol_annual - vol), solved.codes, vega


@pytest.mark.parametrize(
    ("arguments", "expected", "tolerance"),
    [
        pytest.param((1.875, 21, 20, 0.25, 0.10, True), 0.235, 5e-4, id="Hull, stock"),
        pytest.param(
            (0.043, 1.6, 1.6, 4 / 12, 0.08, True, -0.03), 0.141, 5e-4, id="Hull, currency"
        ),
        pytest.param((2.1334, 60, 65, 0.25, 0.08, True), 0.30, 1e-5, id="Haug, stock"),
        pytest.param((2.4648, 100, 95, 0.5, 0.10, False, 0.05), 0.20, 1e-5, id="Haug, yield"),
    ],
)
def test_volatility_of_published_examples_agrees(
    arguments: tuple[Any, ...], expected: float, tolerance: float
) -> None:
    """The examples of Hull (2018) and Haug (2007)."""
    assert implied_volatility(*arguments) == pytest.approx(expected, abs=tolerance)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_volatility_of_price_is_that_of_the_price(seed: int) -> None:
    """The error is below 1e-9 wherever vega exceeds 1e-4 of the spot, an hour to five years."""
    rng, n = np.random.default_rng(seed), 2000
    spot = 10.0 ** rng.uniform(-1, 4, n)
    time = 10.0 ** rng.uniform(-4, 0.7, n)
    rate, dividend = rng.uniform(-0.02, 0.12, n), rng.uniform(-0.02, 0.1, n)
    vol = 10.0 ** rng.uniform(-2, 0.6, n)
    moneyness = np.clip(vol * np.sqrt(time) * rng.normal(0, 2.5, n), -4.0, 4.0)
    strike = spot * np.exp(moneyness)
    contract = spot, strike, time, rate, vol, rng.random(n) < 0.5, rate - dividend
    error, codes, vega = solve_again(*contract)
    is_sensitive = vega > 1e-4
    assert is_sensitive.sum() > 100
    assert (codes[is_sensitive] == VolatilityCode.OK).all()
    assert error[is_sensitive].max() < 1e-9


@settings(deadline=None)
@given(
    st.floats(0.0, 4.0),
    st.floats(1e-3, 5.0),
    st.sampled_from([1e-4, 0.02, 1.0, 5.0]),
    st.booleans(),
)
def test_volatility_of_chosen_price_is_that_of_the_price(
    moneyness: float, total: float, time: float, is_call: bool
) -> None:
    """The same, with points that are chosen to fail: at the money, at the bounds of the ranges."""
    vol = total / np.sqrt(time)
    for sign in (-1.0, 1.0):
        error, codes, vega = solve_again(
            100.0, 100.0 * np.exp(sign * moneyness), time, 0.03, vol, is_call, 0.03
        )
        if vega > 1e-4:
            assert codes == VolatilityCode.OK
            assert error < 1e-9


@pytest.mark.parametrize("total", [1e-6, 1e-3, 0.05, 0.5, 2.0, 6.0])
def test_total_volatility_at_the_money_and_at_the_inflection_is_exact(total: float) -> None:
    """No digit is lost where the two regions meet, nor where one of them is empty."""
    at_inflection = 0.5 * total * total
    distance = np.array([0.0, at_inflection, at_inflection * (1 + 1e-12), at_inflection * 0.999])
    prices = price_normalised(-distance, np.full(4, total))
    solved, has_settled = solve_total(distance, prices, np.exp(-0.5 * distance) - prices)
    assert has_settled.all()
    assert np.abs(solved - total).max() < 1e-12 * max(1.0, total)


def test_total_volatility_of_tiny_prices_is_found() -> None:
    """Out-of-the-money prices down to 1e-290 are solved to ten digits."""
    distance = np.repeat([0.01, 0.3, 2.0, 10.0], 30)
    total = distance / np.tile(np.linspace(5.0, 36.0, 30), 4)
    prices = price_normalised(-distance, total)
    assert prices.min() < 1e-280
    solved, has_settled = solve_total(distance, prices, np.exp(-0.5 * distance) - prices)
    assert has_settled.all()
    assert np.abs(solved / total - 1.0).max() < 1e-10


def test_guesses_are_near_everywhere() -> None:
    """Below and above the inflection a guess is within 13 % and 20 %, so that two steps do."""
    rng, n = np.random.default_rng(7), 100_000
    distance = 10.0 ** rng.uniform(-8, 1.4, n)
    inflection = np.sqrt(2.0 * distance)
    low = distance / 10.0 ** rng.uniform(np.log10(distance / inflection), 1.5)
    prices = price_normalised(-distance, low)
    known = prices > 1e-300
    guess = guess_low(distance[known], np.log(prices[known]))
    assert np.abs(guess / low[known] - 1.0).max() < 0.13
    high = inflection + rng.uniform(0.0, 8.0, n)
    complement = np.exp(-0.5 * distance) - price_normalised(-distance, high)
    largest = np.exp(-0.5 * distance) - price_at_inflection(distance)
    known = complement > 1e-12
    guess = guess_high(distance[known], complement[known], largest[known])
    assert np.abs(guess / high[known] - 1.0).max() < 0.2


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((5.0, 100, 100, 1.0, 0.0, True), VolatilityCode.OK),
        ((np.nan, 100, 100, 1.0, 0.0, True), VolatilityCode.NOT_FINITE),
        ((5.0, 100, 100, np.inf, 0.0, True), VolatilityCode.NOT_FINITE),
        ((0.0, 100, 100, 1.0, 0.0, True), VolatilityCode.NOT_POSITIVE),
        ((-1.0, 100, 100, 1.0, 0.0, True), VolatilityCode.NOT_POSITIVE),
        ((5.0, 0.0, 100, 1.0, 0.0, True), VolatilityCode.NOT_POSITIVE),
        ((5.0, 100, -100, 1.0, 0.0, True), VolatilityCode.NOT_POSITIVE),
        ((5.0, 100, 100, 0.0, 0.0, True), VolatilityCode.NO_TIME),
        ((5.0, 100, 100, -0.1, 0.0, True), VolatilityCode.NO_TIME),
        ((9.9, 110, 100, 1.0, 0.0, True), VolatilityCode.BELOW_INTRINSIC),
        ((10.0, 110, 100, 1.0, 0.0, True), VolatilityCode.BELOW_INTRINSIC),
        ((10.0, 90, 100, 1.0, 0.0, False), VolatilityCode.BELOW_INTRINSIC),
        ((12.0, 110, 100, 1.0, 0.05, True), VolatilityCode.BELOW_INTRINSIC),
        ((110.0, 110, 100, 1.0, 0.0, True), VolatilityCode.ABOVE_MAXIMUM),
        ((96.0, 110, 100, 1.0, 0.05, False), VolatilityCode.ABOVE_MAXIMUM),
    ],
)
def test_code_names_the_reason(arguments: tuple[Any, ...], expected: VolatilityCode) -> None:
    """Each impossible price has its code, and NaN for its volatility."""
    solved = solve_implied_volatility(*arguments)
    assert solved.codes == expected
    assert np.isnan(solved.vol_annual) == (expected != VolatilityCode.OK)


def test_code_of_steps_that_do_not_settle_is_no_convergence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A volatility that is still moving is not given out."""
    monkeypatch.setattr(volatility_steps, "MAX_STEPS", 1)
    monkeypatch.setattr(volatility_steps, "STEP_RELATIVE", 0.0)
    monkeypatch.setattr(volatility_steps, "STEP_ABSOLUTE", 0.0)
    solved = solve_implied_volatility([5.0, 3.0], 100, [120, 90], 1.0, 0.0, [True, False])
    assert_array_equal(solved.codes, [VolatilityCode.NO_CONVERGENCE] * 2)
    assert np.isnan(solved.vol_annual).all()


def test_codes_of_a_mixed_array_stay_in_their_places() -> None:
    """Rows without a volatility do not shift the others, across blocks and shapes."""
    n = option_blocks.BLOCK_SIZE + 5
    prices = np.full((n, 2), 8.0)
    prices[::3, 0], prices[1::7, 1] = np.nan, -1.0
    before = prices.copy()
    solved = solve_implied_volatility(prices, 100.0, [100.0, 105.0], 1.0, 0.01, [True, False])
    assert_array_equal(prices, before)
    assert_array_equal(np.isnan(solved.vol_annual), ~(prices > 0.0))
    assert_array_equal(solved.codes[::3, 0], VolatilityCode.NOT_FINITE)
    assert_array_equal(solved.codes[1::7, 1], VolatilityCode.NOT_POSITIVE)
    again = price(100.0, [100.0, 105.0], 1.0, 0.01, solved.vol_annual, [True, False])
    assert np.nanmax(np.abs(again - 8.0)) < 1e-12


def test_volatility_of_nothing_is_empty() -> None:
    """No rows in, no rows out."""
    solved = solve_implied_volatility(np.empty(0), 100.0, 100.0, 1.0, 0.0, True)
    assert solved.vol_annual.shape == solved.codes.shape == (0,)


def test_volatility_agrees_with_vollib() -> None:
    """Volatilities agree with Jäckel's own route wherever the price says enough."""
    oracle = pytest.importorskip(
        "vollib.black_scholes_merton.implied_volatility",
        reason="the oracle vollib is not installed",
    )
    rng = np.random.default_rng(3)
    compared = 0
    for _ in range(500):
        strike = float(100.0 * np.exp(rng.normal(0.0, 0.3)))
        time, vol = float(rng.uniform(0.01, 3.0)), float(rng.uniform(0.05, 1.5))
        rate, dividend = (float(x) for x in rng.uniform(-0.02, 0.1, 2))
        flag = str(rng.choice(["c", "p"]))
        contract = 100.0, strike, time, rate, vol, flag == "c", rate - dividend
        if greeks(*contract).vega * 100.0 < 1e-4 * 100.0:
            continue
        value = float(price(*contract))
        expected = oracle.implied_volatility(value, 100.0, strike, time, rate, dividend, flag)
        ours = implied_volatility(value, 100.0, strike, time, rate, flag == "c", rate - dividend)
        assert ours == pytest.approx(expected, abs=1e-9)
        compared += 1
    assert compared > 300
