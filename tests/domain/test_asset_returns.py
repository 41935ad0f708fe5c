"""Changes of levels: known answers, exact repricing of bonds, and no return that nobody earned."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal

from tidemark.domain.asset_returns import compute_returns, par_bond_sensitivities
from tidemark.domain.series import SeriesDefinition, Treatment

NAN = float("nan")
DAYS = pd.to_datetime(["2020-04-17", "2020-04-20", "2020-04-21", "2020-04-22"]).as_unit("ns")


def price(treatment: Treatment = "log_return", sign: int = 1) -> SeriesDefinition:
    """Define a price."""
    return SeriesDefinition("x", "price", treatment, "weekdays", sign=sign)


def bond(maturity_years: float, monthly: bool = False) -> SeriesDefinition:
    """Define a yield whose bond's returns are asked for."""
    if monthly:
        return SeriesDefinition(
            "x",
            "yield",
            "bond_return",
            "months",
            maturity_years=maturity_years,
            frequency="monthly",
        )
    return SeriesDefinition("x", "yield", "bond_return", "weekdays", maturity_years=maturity_years)


def returns_of(
    values: list[float],
    definition: SeriesDefinition,
    index: pd.DatetimeIndex | None = None,
    filled: list[bool] | None = None,
) -> np.ndarray:
    """Compute the returns of one series."""
    levels = pd.DataFrame({"x": values}, index=DAYS[: len(values)] if index is None else index)
    marks = pd.DataFrame({"x": filled or [False] * len(values)}, index=levels.index)
    return compute_returns(levels, marks, [definition])["x"].to_numpy()


def price_of_cash_flows(coupon: float, yield_: float, maturity_years: int) -> float:
    """Discount every semi-annual coupon and the face of 1, one by one."""
    times = np.arange(1, 2 * maturity_years + 1)
    discounts = (1 + yield_ / 2) ** -times
    return float(coupon / 2 * discounts.sum() + discounts[-1])


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        (price(), [NAN, np.log(1.1), np.log(0.9), np.log(2.0)]),
        (price("simple_return"), [NAN, 0.1, -0.1, 1.0]),
        (price("difference"), [NAN, 10.0, -11.0, 99.0]),
        (price("difference", sign=-1), [NAN, -10.0, 11.0, -99.0]),
        (price("log_return", sign=-1), [NAN, -np.log(1.1), -np.log(0.9), -np.log(2.0)]),
    ],
)
def test_compute_returns_each_treatment_gives_its_change(
    definition: SeriesDefinition, expected: list[float]
) -> None:
    """Logarithm, ratio and difference of consecutive levels, times the sign."""
    assert_allclose(returns_of([100.0, 110.0, 99.0, 198.0], definition), expected, rtol=1e-12)


def test_compute_returns_carried_level_makes_no_return() -> None:
    """Neither into it nor out of it: no zero, and no return over two sessions."""
    found = returns_of(
        [1.0, 1.0, 2.0, 3.0], price("difference"), filled=[False, True, False, False]
    )
    assert_allclose(found, [NAN, NAN, NAN, 1.0])


def test_compute_returns_missing_level_makes_no_return() -> None:
    """A gap takes the return into it and the return out of it."""
    assert_allclose(returns_of([1.0, NAN, 2.0, 3.0], price("difference")), [NAN, NAN, NAN, 1.0])


def test_compute_returns_negative_oil_price_has_no_logarithm() -> None:
    """West Texas oil closed at -36.98 dollars on 20 April 2020: true, and without log return."""
    oil = [18.31, -36.98, 8.91, 13.64]
    assert_allclose(returns_of(oil, price()), [NAN, NAN, NAN, np.log(13.64 / 8.91)])
    assert_allclose(returns_of(oil, price("difference")), [NAN, -55.29, 45.89, 4.73])
    simple = returns_of(oil, price("simple_return"))
    assert_allclose(simple, [NAN, -36.98 / 18.31 - 1, NAN, 13.64 / 8.91 - 1])


def test_compute_returns_level_of_zero_gives_nothing_infinite() -> None:
    """On zero nothing can be earned."""
    assert np.isnan(returns_of([1.0, 0.0, 1.0], price())).all()
    assert_allclose(returns_of([1.0, 0.0, 1.0], price("simple_return")), [NAN, -1.0, NAN])


@pytest.mark.parametrize("maturity_years", [1, 2, 5, 10, 30])
@pytest.mark.parametrize("yield_", [-0.005, 0.0, 1e-8, 0.001, 0.05, 0.15])
def test_par_bond_sensitivities_agree_with_discounted_cash_flows(
    yield_: float, maturity_years: int
) -> None:
    """Sums over every coupon, differentiated term by term, give duration and convexity."""
    times = np.arange(1, 2 * maturity_years + 1)
    flows = np.full(len(times), yield_ / 2)
    flows[-1] += 1
    first = (flows * times / 2 * (1 + yield_ / 2) ** (-times - 1.0)).sum()
    second = (flows * times * (times + 1) / 4 * (1 + yield_ / 2) ** (-times - 2.0)).sum()
    duration, convexity = par_bond_sensitivities(np.array([yield_]), maturity_years)
    assert_allclose(duration, [first], rtol=1e-6)
    assert_allclose(convexity, [second], rtol=1e-5)


def test_par_bond_sensitivities_impossible_yield_gives_nothing() -> None:
    """At -200 % a coupon cannot be discounted."""
    duration, convexity = par_bond_sensitivities(np.array([-2.0, NAN]), 10)
    assert np.isnan(duration).all()
    assert np.isnan(convexity).all()


@pytest.mark.parametrize("maturity_years", [2, 10, 30])
@pytest.mark.parametrize("start", [0.5, 5.0, 14.0])
def test_bond_return_agrees_with_repricing_to_second_order(
    start: float, maturity_years: int
) -> None:
    """What is left is of third order: a move half as large leaves an eighth of the error."""
    errors = []
    for move in (0.4, 0.2):
        approximate = returns_of([start, start + move], bond(maturity_years))[1]
        exact = price_of_cash_flows(start / 100, (start + move) / 100, maturity_years) - 1
        errors.append(abs(approximate - (exact + start / 100 * 3 / 365.25)))
    assert errors[0] < 3e-4  # 40 basis points a day are a crash
    assert errors[0] / errors[1] == pytest.approx(8, rel=0.1)


def test_bond_return_without_move_is_the_carry_of_the_days_between() -> None:
    """Friday to Monday carries three days; a month carries a twelfth of a year."""
    daily = returns_of([3.6525, 3.6525, 3.6525], bond(10))
    assert_allclose(daily, [NAN, 3e-4, 1e-4], rtol=1e-12)
    ends = pd.to_datetime(["2020-01-31", "2020-02-29", "2020-03-31"]).as_unit("ns")
    assert_allclose(returns_of([6.0, 6.0, 6.0], bond(10, True), ends), [NAN, 0.005, 0.005])


def test_bond_return_known_example() -> None:
    """A par bond of ten years at 5 % loses 7.42 % when its yield rises by a point.

    Duration 7.7946 and convexity 73.6287 (the sums of the test above): -0.077946 + 0.003681,
    plus 0.05 x 3 / 365.25 of carry.
    """
    assert returns_of([5.0, 6.0], bond(10))[1] == pytest.approx(-0.073854, abs=1e-6)


def test_compute_returns_several_series_keep_their_columns() -> None:
    """Each column follows its own definition, whatever the order of the definitions."""
    levels = pd.DataFrame({"x": [1.0, 2.0], "y": [2.0, 1.5]}, index=DAYS[:2])
    spread = SeriesDefinition("y", "spread", "difference", "weekdays", sign=-1)
    returns = compute_returns(levels, levels.isna(), [spread, price("simple_return")])
    assert_allclose(returns, [[NAN, NAN], [1.0, 0.5]])
    assert list(returns) == ["x", "y"]


def test_compute_returns_one_session_or_none_gives_no_return() -> None:
    """There is nothing to have returned from."""
    assert np.isnan(returns_of([1.0], bond(10))).all()
    assert returns_of([], price()).shape == (0,)


def test_compute_returns_undefined_column_or_other_shape_is_refused() -> None:
    """Every column needs a definition, and every level its mark."""
    levels = pd.DataFrame({"z": [1.0, 2.0]}, index=DAYS[:2])
    with pytest.raises(ValueError, match=r"without definition: \['z'\]"):
        compute_returns(levels, levels.isna(), [price()])
    levels = levels.rename(columns={"z": "x"})
    with pytest.raises(ValueError, match=r"\(2, 1\) and \(1, 1\)"):
        compute_returns(levels, levels.isna().head(1), [price()])


CELLS = st.one_of(st.just(NAN), st.floats(-5.0, 20.0))


@settings(max_examples=60, deadline=None)
@given(
    values=st.integers(2, 40).flatmap(lambda n: arrays("float64", (n, 4), elements=CELLS)),
    data=st.data(),
)
def test_compute_returns_other_future_leaves_the_past_bit_identical(
    values: np.ndarray, data: st.DataObject
) -> None:
    """Altering the future, or cutting it off, changes no return up to that row."""
    definitions = [
        SeriesDefinition("a", "price", "log_return", "weekdays"),
        SeriesDefinition("b", "price", "simple_return", "weekdays"),
        SeriesDefinition("c", "yield", "difference", "weekdays"),
        SeriesDefinition("d", "yield", "bond_return", "weekdays", maturity_years=10),
    ]
    cut = data.draw(st.integers(1, len(values) - 1))
    marks = data.draw(arrays("bool", values.shape))
    other = values.copy()
    other[cut:] = data.draw(arrays("float64", other[cut:].shape, elements=CELLS))
    found = []
    for variant in (values, other, values[:cut]):
        index = pd.bdate_range("2019-01-02", periods=len(variant), unit="ns")
        levels = pd.DataFrame(variant, index=index, columns=list("abcd"))
        filled = pd.DataFrame(marks[: len(variant)], index=index, columns=list("abcd"))
        before = levels.copy(deep=True), filled.copy(deep=True)
        returns = compute_returns(levels, filled, definitions)
        assert_frame_equal(levels, before[0])
        assert_frame_equal(filled, before[1])
        assert not np.isinf(returns.to_numpy()).any()
        found.append(returns.to_numpy()[:cut].tobytes())
    assert found[0] == found[1] == found[2]
