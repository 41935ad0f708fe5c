"""A profile counts what there is, from when to when, and what is missing in between."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from tidemark.domain.profile import profile_levels

NAN = float("nan")
DAYS = ["2019-01-02", "2019-01-03", "2019-01-04", "2019-01-07"]


def prices() -> pd.DataFrame:
    """Make prices with a blank, an absent row, a late listing, a delisting and an empty ticker."""
    levels = {
        "KO": [10.0, NAN, 12.0, 11.0],
        "LATE": [None, None, 5.0, 6.0],
        "GONE": [1.0, 3.0, None, None],
        "HOLE": [7.0, None, None, 8.0],
        "VOID": [NAN, None, None, None],
    }
    rows = [
        (day, ticker, value)
        for ticker, values in levels.items()
        for day, value in zip(DAYS, values, strict=True)
        if value is not None
    ]
    table = pd.DataFrame(rows, columns=["date", "ticker", "close"])
    return table.assign(date=pd.to_datetime(table["date"])).sample(frac=1.0, random_state=1)


def test_profile_levels_counts_of_the_whole_table_are_right() -> None:
    """Eleven rows of four sessions; of the twelve cells that four tickers live, three are blank."""
    profile = profile_levels(prices(), "ticker", "close")
    assert profile["rows"] == 11
    assert (profile["first"], profile["last"]) == ("2019-01-02", "2019-01-07")
    assert (profile["sessions"], profile["names"]) == (4, 4)
    assert profile["missing_cells"] == 3
    assert profile["missing_share"] == pytest.approx(3 / 12)
    assert profile["blank_cells"] == {"close": 2}


def test_profile_levels_each_name_has_its_own_span() -> None:
    """First and last value, values, gaps between them, and the median."""
    series = profile_levels(prices(), "ticker", "close")["series"]
    assert list(series) == ["GONE", "HOLE", "KO", "LATE"]
    assert series["KO"] == {
        "first": "2019-01-02", "last": "2019-01-07", "values": 3, "missing": 1, "median": 11.0,
    }  # fmt: skip
    assert series["GONE"] == {
        "first": "2019-01-02", "last": "2019-01-03", "values": 2, "missing": 0, "median": 2.0,
    }  # fmt: skip
    assert series["HOLE"]["missing"] == 2


def test_profile_levels_late_and_ended_names_are_listed() -> None:
    """Who begins after the first session, and who ends before the last."""
    profile = profile_levels(prices(), "ticker", "close")
    assert profile["started_late"] == ["LATE"]
    assert profile["ended_early"] == ["GONE"]


def test_profile_levels_empty_table_has_no_names() -> None:
    """A table without rows has neither span nor series."""
    profile = profile_levels(prices().head(0), "ticker", "close")
    assert profile == {"rows": 0, "names": 0, "series": {}}


def test_profile_levels_table_of_blanks_has_no_names() -> None:
    """Rows without a single value are rows, but nobody lives."""
    profile = profile_levels(prices().assign(close=NAN), "ticker", "close")
    assert (profile["rows"], profile["names"], profile["missing_share"]) == (11, 0, 0.0)


def test_profile_levels_is_json_and_plain() -> None:
    """The profile is stored as JSON: no NumPy types, no NaN."""
    profile = profile_levels(prices(), "ticker", "close")
    assert json.loads(json.dumps(profile, allow_nan=False)) == profile


def test_profile_levels_leaves_input_unchanged() -> None:
    """The table is only read."""
    table = prices()
    profile_levels(table, "ticker", "close")
    assert_frame_equal(table, prices())
