"""A pair's years, its present state and its regimes are those that one counts by hand."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr

from tidemark.domain.pair_summary import (
    MIN_RETURNS,
    correlate_by_year,
    describe_now,
    describe_regimes,
    list_sign_changes,
)


def simulate(years: int = 4, seed: int = 3) -> pd.DataFrame:
    """Draw returns on all weekdays of some years, a tenth of them missing."""
    rng = np.random.default_rng(seed)
    dates = pd.bdate_range("2010-01-01", f"{2009 + years}-12-31")
    left = rng.standard_normal(len(dates))
    right = 0.4 * left + rng.standard_normal(len(dates))
    table = pd.DataFrame({"date": dates, "left": left, "right": right})
    return table.mask(rng.random(table.shape) < [0.0, 0.1, 0.1])


def rolling(values: list[float], start: str = "2020-01-01") -> pd.DataFrame:
    """Put correlations on weekdays, with a band of a tenth on either side."""
    correlation = np.array(values)
    dates = pd.bdate_range(start, periods=len(values))
    band = {"lower": correlation - 0.1, "upper": correlation + 0.1}
    return pd.DataFrame({"date": dates, "correlation": correlation, **band})


def years(*correlations: float, first: int = 2000, n: int = 250) -> pd.DataFrame:
    """Put correlations into years, with the interval of Fisher for so many returns."""
    r = np.array(correlations)
    reach = 1.96 / math.sqrt(n - 3)
    table = {"year": first + np.arange(len(r)), "correlation": r}
    limits = {"lower": np.tanh(np.arctanh(r) - reach), "upper": np.tanh(np.arctanh(r) + reach)}
    return pd.DataFrame({**table, **limits, "n": n})


def regimes_of(labels: list[int], n_regimes: int = 2) -> pd.DataFrame:
    """Put labels on weekdays, each with a probability of 0.9."""
    dates = pd.bdate_range("2020-01-01", periods=len(labels))
    table = pd.DataFrame({"date": dates, "regime": labels})
    for number in range(n_regimes):
        table[f"p_{number}"] = np.where(table["regime"] == number, 0.9, 0.1 / (n_regimes - 1))
    return table


def test_correlate_by_year_agrees_with_scipy() -> None:
    """Correlation and Fisher's interval of every year's complete pairs."""
    returns = simulate()
    table = correlate_by_year(returns, 0.9)
    assert list(table) == ["year", "correlation", "lower", "upper", "n"]
    assert table["year"].tolist() == [2010, 2011, 2012, 2013]
    for row in table.itertuples():
        own = returns[returns["date"].dt.year == row.year].dropna()
        expected = pearsonr(own["left"], own["right"])
        interval = expected.confidence_interval(0.9)
        assert row.n == len(own) < 262
        assert row.correlation == pytest.approx(expected.statistic, abs=1e-12)
        assert (row.lower, row.upper) == pytest.approx((interval.low, interval.high), abs=1e-9)


def test_correlate_by_year_counts_only_the_year_itself() -> None:
    """The last day of December and the first of January belong to different years."""
    returns = simulate(2)
    whole = correlate_by_year(returns, 0.95)
    first = correlate_by_year(returns[returns["date"] <= "2010-12-31"], 0.95)
    pd.testing.assert_frame_equal(whole.head(1), first)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e-3, -7.3])
def test_year_in_which_a_side_does_not_vary_is_left_out(constant: float) -> None:
    """Whatever the constant: its deviation may be a rounding above zero."""
    returns = simulate(2)
    in_first = returns["date"] <= "2010-12-31"
    flat = returns.assign(left=returns["left"].mask(in_first, constant))
    assert correlate_by_year(flat, 0.95)["year"].tolist() == [2011]


@pytest.mark.parametrize(("n", "expected"), [(MIN_RETURNS - 1, []), (MIN_RETURNS, [2010])])
def test_year_with_too_few_returns_is_left_out(n: int, expected: list[int]) -> None:
    """Missing returns do not count."""
    few = simulate(1).dropna().head(n)
    gap = few.tail(1).assign(date=few["date"].max() + pd.Timedelta(days=1), left=np.nan)
    assert correlate_by_year(pd.concat([few, gap]), 0.95)["year"].tolist() == expected


@pytest.mark.parametrize("returns", [simulate().head(0), simulate().assign(left=np.nan)])
def test_no_returns_give_a_table_without_years(returns: pd.DataFrame) -> None:
    """It has its columns all the same, and no change of sign."""
    table = correlate_by_year(returns, 0.95)
    assert list(table) == ["year", "correlation", "lower", "upper", "n"]
    assert table.empty
    assert list_sign_changes(table) == []


def test_year_of_perfect_correlation_is_one() -> None:
    """Its interval has no width, and nothing is beyond 1."""
    returns = simulate(1)
    table = correlate_by_year(returns.assign(right=3.0 * returns["left"]), 0.95)
    assert table[["correlation", "lower", "upper"]].to_numpy().tolist() == [[1.0, 1.0, 1.0]]


def test_list_sign_changes_names_year_before_and_after() -> None:
    """The known case of stocks and Treasuries: from -0.138 in 2021 to +0.084 in 2022."""
    table = years(-0.487, -0.651, -0.138, 0.084, 0.11, -0.2, first=2019)
    found = list_sign_changes(table)
    assert found == [
        {
            "year": 2022,
            "correlation": 0.084,
            "before": -0.138,
            "year_before": 2021,
            "is_clear": False,
        },
        {"year": 2024, "correlation": -0.2, "before": 0.11, "year_before": 2023, "is_clear": False},
    ]
    assert json.loads(json.dumps(found)) == found
    # 0.138 leaves out zero with 250 returns; 0.084 does not, and with 1,000 it does.
    (clear,) = list_sign_changes(years(-0.138, 0.084, n=1000))
    assert clear["is_clear"] is True


def test_list_sign_changes_reads_years_in_their_order() -> None:
    """Rows in any order, a year without correlation left out."""
    table = years(0.3, -0.3, -0.2, 0.4)
    shuffled = table.sample(frac=1.0, random_state=1)
    assert list_sign_changes(shuffled) == list_sign_changes(table)
    assert [one["year"] for one in list_sign_changes(table)] == [2001, 2003]
    assert list_sign_changes(years(0.3, 0.2, 0.1)) == []
    assert list_sign_changes(years(0.3)) == []


def test_describe_now_of_a_known_history() -> None:
    """Where it stands, since when, its rank and its extremes, ready for JSON."""
    table = rolling([np.nan, 0.5, 0.2, -0.1, 0.3, -0.4, -0.3, -0.2, np.nan])
    found = describe_now(table)
    days = [f"{day:%Y-%m-%d}" for day in table["date"]]
    assert found == {
        "date": days[7],
        "correlation": -0.2,
        "lower": pytest.approx(-0.3),
        "upper": pytest.approx(-0.1),
        "rank": pytest.approx(2 / 7),
        "mean": pytest.approx(0.0),
        "low": -0.4,
        "low_date": days[5],
        "high": 0.5,
        "high_date": days[1],
        "first": days[1],
        "since": days[5],
    }
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_describe_now_of_one_sign_has_it_since_the_beginning() -> None:
    """One date and one sign throughout are no special cases."""
    assert describe_now(rolling([0.1, 0.2, 0.3]))["since"] == "2020-01-01"
    only = describe_now(rolling([-0.7]))
    assert only["since"] == only["date"] == only["low_date"] == only["high_date"] == "2020-01-01"
    assert only["rank"] == 0.0


def test_describe_now_uses_no_later_row() -> None:
    """A table that ends earlier says what the longer one says of its beginning."""
    table = rolling([0.1, -0.2, 0.3, -0.4, -0.5, 0.6])
    altered = table.copy()
    altered.loc[4:, ["correlation", "lower", "upper"]] = 0.99
    assert describe_now(table.head(4)) == describe_now(altered.head(4))
    assert describe_now(table.head(4))["low"] == -0.4


@pytest.mark.parametrize("table", [rolling([]), rolling([np.nan, np.nan])])
def test_describe_now_without_a_correlation_is_refused(table: pd.DataFrame) -> None:
    """It says what to do."""
    with pytest.raises(ValueError, match="choose a shorter one, or give more data"):
        describe_now(table)


def test_describe_regimes_counts_shares_and_spells() -> None:
    """Spells, their mean length, and the present one, by hand."""
    labels = [0, 0, 0, 1, 1, 0, 1, 1, 1, 1]
    found = describe_regimes(regimes_of(labels), ["calm", "stress"])
    assert found == {
        "date": "2020-01-14",
        "regime": 1,
        "name": "stress",
        "probability": 0.9,
        "since": "2020-01-09",
        "n_obs": 4,
        "regimes": [
            {"name": "calm", "share": 0.4, "spells": 2, "length": 2.0},
            {"name": "stress", "share": 0.6, "spells": 2, "length": 3.0},
        ],
    }
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_describe_regimes_of_one_row_and_of_a_regime_that_never_was() -> None:
    """A regime without a spell has no length."""
    found = describe_regimes(regimes_of([2], 3), ["low", "normal", "high"])
    assert found["since"] == found["date"]
    assert found["n_obs"] == 1
    assert found["regimes"][0] == {"name": "low", "share": 0.0, "spells": 0, "length": None}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@given(labels=st.lists(st.integers(0, 2), min_size=1, max_size=60))
@settings(max_examples=50, deadline=None)
def test_describe_regimes_shares_add_up_and_lengths_give_them(labels: list[int]) -> None:
    """Shares add up to 1, and spells times their length is a share of all rows."""
    found: dict[str, Any] = describe_regimes(regimes_of(labels, 3), ["low", "normal", "high"])
    assert sum(one["share"] for one in found["regimes"]) == pytest.approx(1.0)
    for one in found["regimes"]:
        observations = one["spells"] * (one["length"] or 0.0)
        assert observations == pytest.approx(one["share"] * len(labels))
    assert labels[-found["n_obs"] :] == [labels[-1]] * found["n_obs"]


def test_inputs_are_left_as_they_are() -> None:
    """No function writes into its tables."""
    tables = simulate(), years(0.3, -0.3), rolling([0.1, -0.2]), regimes_of([0, 1])
    before = [one.copy(deep=True) for one in tables]
    correlate_by_year(tables[0], 0.95)
    list_sign_changes(tables[1])
    describe_now(tables[2])
    describe_regimes(tables[3], ["a", "b"])
    for one, same in zip(tables, before, strict=True):
        pd.testing.assert_frame_equal(one, same)


def test_sign_change_over_a_gap_names_the_year_that_it_compares_with() -> None:
    """2001 has too few returns: the change is against 2000, and says so."""
    (found,) = list_sign_changes(years(0.3, 0.1, -0.3).drop(index=1))
    assert (found["year"], found["year_before"]) == (2002, 2000)
