"""Every check of levels: shown triggered, shown silent, and doing what its rule says."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from tidemark.domain.rules import Rule
from tidemark.domain.series import SeriesDefinition, read_levels
from tidemark.domain.series_quality import (
    CHECKS,
    USED_AS_KNOWN,
    Quality,
    assess_series,
    coverage_by_period,
)
from tidemark.domain.series_statistics import describe_levels, find_outliers
from tidemark.domain.sessions import list_sessions

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
AS_OF = pd.Timestamp("2019-01-31")
SESSIONS = list_sessions("XNYS", pd.Timestamp("2018-12-31"), AS_OF)
SPY = SeriesDefinition("spy", "price", "log_return", "XNYS", low=-50, high=1000)
RATE = SeriesDefinition("fed_funds", "rate", "difference", "XNYS")
GOLD = SeriesDefinition("gold", "price", "log_return", "months", frequency="monthly")
GNP = SeriesDefinition("gnp", "index", "log_return", "months", frequency="monthly", is_revised=True)
# Bounds under which the good levels pass every check.
RULES = {check: Rule("warn") for check in CHECKS} | {
    "stale_run": Rule("warn", 3),
    "stale_data": Rule("refuse", 5),
    "contradictory_rows": Rule("refuse"),
    "repeated_rows": Rule("quarantine"),
    "out_of_bounds": Rule("quarantine"),
}


def good_levels() -> pd.DataFrame:
    """Make levels that no check finds fault with: SPY on each session of January 2019."""
    values = 250.0 + np.tile([0.0, 2.0, 1.0, 3.0, 2.5], 5)[: len(SESSIONS)]
    return pd.DataFrame({"date": SESSIONS, "series": "spy", "value": values})


def add_rows(*rows: tuple[str, str, float]) -> pd.DataFrame:
    """Append rows of date, series and value to the good levels."""
    more = pd.DataFrame(rows, columns=["date", "series", "value"])
    more["date"] = pd.to_datetime(more["date"]).dt.as_unit("ns")
    return pd.concat([good_levels(), more], ignore_index=True)


def put(**values: float) -> pd.DataFrame:
    """Overwrite levels of the good ones by the day of January, as in ``d15=1.0``."""
    levels = good_levels()
    for day, value in values.items():
        levels.loc[levels["date"] == f"2019-01-{day[1:]}", "value"] = value
    return levels


def without(*days: str) -> pd.DataFrame:
    """Leave days out of the good levels."""
    levels = good_levels()
    return levels[~levels["date"].isin(pd.to_datetime(list(days)))].reset_index(drop=True)


def assess(
    levels: pd.DataFrame,
    definitions: Iterable[SeriesDefinition] = (SPY,),
    rules: dict[str, Rule] | None = None,
    **options: Any,
) -> Quality:
    """Assess levels at the end of January 2019."""
    known = RULES | (rules or {})
    return assess_series(levels, list(definitions), SESSIONS, AS_OF, known, **options)


def names_of(quality: Quality) -> set[str]:
    """Name the checks that found something."""
    return {finding.check for finding in quality.findings}


def message_of(quality: Quality, check: str) -> str:
    """Take the sentence of one check."""
    return next(finding.message for finding in quality.findings if finding.check == check)


def row_of(quality: Quality, series: str = "spy") -> pd.Series:
    """Take the row of the table about one series."""
    return quality.table.set_index("series").loc[series]


def test_assess_series_good_levels_pass_every_check() -> None:
    """Nothing is found, every check is on record, and every row goes on."""
    levels = good_levels()
    quality = assess(levels)
    assert quality.findings == []
    assert quality.refusals == []
    assert sorted(check["check"] for check in quality.checks) == sorted(CHECKS)
    assert all(check["passed"] for check in quality.checks)
    assert quality.quarantine.empty
    assert quality.dropped.empty
    assert_frame_equal(quality.kept, levels, check_exact=True)
    row = row_of(quality)
    assert row["first"] == pd.Timestamp("2018-12-31")
    assert row["last"] == pd.Timestamp("2019-01-31")
    # 31 December and 21 sessions of January: New Year's and Martin Luther King's days are none.
    assert (row["rows"], row["sessions"], row["observed"]) == (22, 22, 22)
    assert (row["coverage"], row["reference_coverage"], row["age_days"]) == (1.0, 1.0, 0.0)
    assert (row["longest_gap"], row["stale_run"], row["changes"]) == (0, 1, 21)
    assert row["vintage"] == ""


@pytest.mark.parametrize(
    ("levels", "check", "measure", "parts"),
    [
        (add_rows(("2019-01-02", "vix", 23.2)), "unknown_series", 1, ["vix", "left out"]),
        (add_rows(("2019-02-01", "spy", 1.0)), "dates_after_as_of", 1, ["spy on 2019-02-01"]),
        (
            add_rows(("2019-01-02", "spy", 999.0)),
            "contradictory_rows",
            2,
            ["spy on 2019-01-02 (252)", "(999)", "keep one"],
        ),
        (add_rows(("2019-01-02", "spy", 252.0)), "repeated_rows", 1, ["spy on 2019-01-02"]),
        (put(d15=1001.0), "out_of_bounds", 1, ["spy on 2019-01-15 (1001)", "widen"]),
        (put(d15=-1.0), "non_positive_level", 1, ["spy on 2019-01-15 (-1)", "difference"]),
        (
            add_rows(("2019-01-12", "spy", 7.0)),
            "off_session_rows",
            1 / 23,
            ["0 carried over and 1 other of 23", "calendar"],
        ),
        (without("2019-01-15"), "coverage", 1 / 22, ["spy (1 of 22 (4.5%))"]),
        (
            without("2019-01-18", "2019-01-22"),
            "longest_gap",
            2,
            ["2 sessions from 2019-01-18 to 2019-01-22"],
        ),
        (
            put(d15=5.0, d16=5.0, d17=5.0, d18=5.0),
            "stale_run",
            4,
            ["4 sessions from 2019-01-15 to 2019-01-18"],
        ),
        (put(d31=900.0), "outliers", 1 / 21, ["1 of 21, the largest 1.28 on 2019-01-31"]),
        (
            without("2019-01-30", "2019-01-31"),
            "old_data",
            2,
            ["last level of spy, of 2019-01-29, is 2 days", "as_of=2019-01-29"],
        ),
    ],
)
def test_assess_series_fault_is_found_with_its_measure_and_place(
    levels: pd.DataFrame, check: str, measure: float, parts: list[str]
) -> None:
    """Each finding says how much, where, and what to do; a bound of that measure silences it."""
    quality = assess(levels)
    finding = next(finding for finding in quality.findings if finding.check == check)
    assert finding.measure == pytest.approx(measure)
    assert finding.message.startswith("levels: ")
    for part in parts:
        assert part in finding.message
    assert check not in names_of(assess(levels, rules={check: Rule("warn", finding.measure)}))


def test_assess_series_missing_series_that_is_needed_is_found() -> None:
    """A defined series without rows is missing, if it is needed; its row of the table is empty."""
    quality = assess(good_levels(), [SPY, GOLD])
    assert names_of(quality) == {"missing_series"}
    assert "no rows: gold; the data has spy" in message_of(quality, "missing_series")
    row = row_of(quality, "gold")
    assert (row["rows"], row["sessions"], row["stale_run"]) == (0, 0, 0)
    assert pd.isna(row["first"])
    assert np.isnan(row["coverage"])
    assert names_of(assess(good_levels(), [SPY, GOLD], needed=["spy"])) == set()


def test_assess_series_series_nobody_needs_may_be_old_and_full_of_holes() -> None:
    """Age and coverage count for series that are needed; the table describes all."""
    levels = add_rows(("2018-11-30", "gold", 1.0), ("2018-08-31", "gold", 1.0))
    assert {"old_data", "coverage"} <= names_of(assess(levels, [SPY, GOLD]))
    quality = assess(levels, [SPY, GOLD], needed=["spy"])
    assert not {"old_data", "stale_data", "coverage"} & names_of(quality)
    row = row_of(quality, "gold")
    assert (row["age_days"], row["coverage"], row["longest_gap"]) == (62, 0.5, 2)
    assert row["gap_first"] == pd.Timestamp("2018-09-30")
    assert row["gap_last"] == pd.Timestamp("2018-10-31")


def test_assess_series_stale_data_is_refused_by_its_rule() -> None:
    """The action is the rule's; refusals are those findings."""
    levels = good_levels()
    levels = levels[levels["date"] < "2019-01-20"]
    quality = assess(levels)
    assert [finding.check for finding in quality.refusals] == ["stale_data"]
    assert quality.refusals[0].measure == 13


def test_assess_series_contradictory_and_repeated_rows_leave_whatever_the_rule() -> None:
    """A day has one level: contradictory rows go, of repeated ones the first stays."""
    levels = add_rows(
        ("2019-01-02", "spy", 252.0), ("2019-01-03", "spy", 1.0), ("2019-01-03", "spy", 1.0)
    )
    silent = {check: Rule("warn", 99) for check in ("contradictory_rows", "repeated_rows")}
    for rules in ({}, silent):
        quality = assess(levels, rules=rules)
        assert not quality.kept.duplicated(["date", "series"]).any()
        assert len(quality.kept) == 21
        assert list(quality.quarantine["row"]) == ["2", "22", "23", "24"]
        assert list(quality.quarantine["reason"]) == [
            "contradictory_rows",
            "repeated_rows",
            "contradictory_rows",
            "repeated_rows",
        ]
        row = row_of(quality)
        assert (row["contradictory"], row["repeated"], row["rows"]) == (2, 2, 25)
    assert names_of(quality) == {"quarantined_share", "coverage", "longest_gap"}


def test_assess_series_quarantine_tells_the_row_as_it_was() -> None:
    """The record holds date, series and the value at fault, unchanged."""
    quality = assess(put(d15=1001.5))
    assert list(quality.quarantine) == ["table", "row", "reason", "record"]
    table, row, reason, record = quality.quarantine.iloc[0]
    assert (table, row, reason) == ("levels", "10", "out_of_bounds")
    assert json.loads(record) == {"date": "2019-01-15", "series": "spy", "value": "1001.5"}
    assert 1001.5 not in set(quality.kept["value"])
    assert "quarantined_share" in names_of(quality)


@pytest.mark.parametrize("action", ["warn", "refuse"])
def test_assess_series_rows_out_of_bounds_stay_unless_the_rule_says_quarantine(
    action: Any,
) -> None:
    """A warning changes nothing, and so does a refusal."""
    levels = put(d15=1001.0)
    quality = assess(levels, rules={"out_of_bounds": Rule(action)})
    assert quality.quarantine.empty
    assert_frame_equal(quality.kept, levels)


def test_assess_series_levels_on_their_bounds_are_inside() -> None:
    """The interval is closed."""
    assert "out_of_bounds" not in names_of(assess(put(d15=1000.0, d16=-50.0)))


def test_assess_series_rows_of_closed_days_are_told_apart_and_leave() -> None:
    """What a source has carried over a weekend is no run of one level."""
    levels = add_rows(
        ("2019-01-05", "spy", 253.0), ("2019-01-06", "spy", 253.0), ("2019-01-12", "spy", 7.0)
    )
    quality = assess(levels)
    row = row_of(quality)
    assert (row["filled"], row["off_session"], row["stale_run"]) == (2, 1, 1)
    assert list(quality.dropped["reason"]) == ["filled", "filled", "off_session"]
    assert quality.quarantine.empty
    assert len(quality.kept) == 22


def test_assess_series_policy_rate_may_stand_still() -> None:
    """The table shows the run, and the check passes over it."""
    levels = good_levels().assign(series="fed_funds", value=2.4)
    quality = assess(levels, [RATE])
    assert quality.findings == []
    assert row_of(quality, "fed_funds")["stale_run"] == 22


def test_assess_series_revised_series_without_vintages_is_said() -> None:
    """Present levels were not known at the time, unless there are vintages."""
    levels = add_rows(("2018-12-01", "gnp", 20_000.0), ("2019-01-01", "gnp", 20_100.0))
    quality = assess(levels, [SPY, GNP])
    assert names_of(quality) == {"vintage"}
    assert list(quality.table["vintage"]) == ["", USED_AS_KNOWN]
    assert "gnp" in message_of(quality, "vintage")
    assert names_of(assess(levels, [SPY, GNP], has_vintages=True)) == set()
    assert names_of(assess(good_levels(), [SPY, GNP])) == {"missing_series"}


def test_assess_series_two_rows_of_one_month_are_judged_as_one_session() -> None:
    """Equal ones repeat each other, others contradict each other."""
    levels = add_rows(
        ("2018-12-01", "gold", 1.0),
        ("2018-12-31", "gold", 1.0),
        ("2019-01-01", "gold", 2.0),
        ("2019-01-31", "gold", 3.0),
    )
    row = row_of(assess(levels, [SPY, GOLD]), "gold")
    assert (row["repeated"], row["contradictory"], row["observed"]) == (1, 2, 1)


def test_assess_series_month_that_is_not_over_is_dated_after_the_as_of_date() -> None:
    """A level of February is none on 1 February."""
    levels = add_rows(("2019-01-01", "gold", 1.0), ("2019-02-01", "gold", 2.0))
    early = AS_OF + pd.Timedelta(days=1)
    rules = RULES | {"dates_after_as_of": Rule("quarantine"), "old_data": Rule("warn", 3)}
    quality = assess_series(levels, [SPY, GOLD], SESSIONS, early, rules)
    assert names_of(quality) == {"dates_after_as_of", "quarantined_share"}
    assert row_of(quality, "gold")["last"] == AS_OF


def test_assess_series_without_rows_finds_what_is_missing() -> None:
    """No rows at all raise nothing."""
    quality = assess(good_levels().iloc[:0])
    assert names_of(quality) == {"missing_series"}
    assert quality.kept.empty
    assert list(quality.kept) == ["date", "series", "value"]
    assert len(quality.table) == 1


def test_assess_series_at_most_five_examples_are_named() -> None:
    """A finding stays readable, whatever the number of faults."""
    levels = good_levels().assign(value=2000.0)
    message = message_of(assess(levels), "out_of_bounds")
    assert message.count("spy on") == 5
    assert "and 17 more" in message


def test_assess_series_tables_keep_their_types_whatever_is_found() -> None:
    """An empty table and a full one can be stored in one schema."""
    some, none = assess(good_levels()), assess(good_levels().iloc[:0], [SPY, GOLD])
    assert list(some.table.dtypes) == list(none.table.dtypes)
    assert list(some.quarantine.dtypes) == list(assess(put(d15=2e3)).quarantine.dtypes)


def test_assess_series_incomplete_rules_or_unknown_needs_are_refused() -> None:
    """A check without rule, and a need without definition, are errors of configuration."""
    rules = {check: rule for check, rule in RULES.items() if check != "stale_run"}
    with pytest.raises(ValueError, match="no rule for stale_run"):
        assess_series(good_levels(), [SPY], SESSIONS, AS_OF, rules)
    with pytest.raises(ValueError, match="tlt is needed and has no definition"):
        assess(good_levels(), needed=["tlt"])


ROWS = st.lists(
    st.tuples(
        st.integers(0, 40),
        st.sampled_from(["spy", "fed_funds", "gold", "vix"]),
        st.sampled_from([-60.0, -1.0, 1.0, 2.0, 3.0]),
    ),
    max_size=40,
)


@settings(max_examples=20, deadline=None)
@given(rows=ROWS, action=st.sampled_from(["warn", "quarantine", "refuse"]))
def test_assess_series_every_row_is_accounted_for(
    rows: list[tuple[int, str, float]], action: Any
) -> None:
    """Kept, dropped, quarantined and unknown rows are all rows; levels and input are unchanged."""
    levels = pd.DataFrame(rows, columns=["date", "series", "value"])
    offsets = pd.to_timedelta(levels["date"].astype("int64"), unit="D")
    levels["date"] = (pd.Timestamp("2018-12-31") + offsets).dt.as_unit("ns")
    levels = levels.astype({"series": "str", "value": "float64"})
    before = levels.copy(deep=True)
    # Weekdays: New York would be built anew for each span.
    definitions = [replace(SPY, calendar="weekdays"), replace(RATE, calendar="24/7"), GOLD]
    rules = {check: Rule(action) for check in CHECKS}
    quality = assess_series(levels, definitions, SESSIONS, AS_OF, rules)
    assert_frame_equal(levels, before)
    unknown = int((levels["series"] == "vix").sum())
    parts = len(quality.kept) + len(quality.dropped) + len(quality.quarantine)
    assert parts + unknown == len(levels)
    assert not quality.kept.duplicated(["date", "series"]).any()
    assert set(map(tuple, quality.kept[["series", "value"]].to_numpy())) <= {
        (name, value) for _, name, value in rows
    }
    table = quality.table.set_index("series")
    assert table["rows"].sum() == len(levels) - unknown
    assert table["observed"].sum() == len(quality.kept)
    assert table["coverage"].dropna().between(0, 1).all()
    found = {check["check"]: not check["passed"] for check in quality.checks}
    assert names_of(quality) == {check for check, failed in found.items() if failed}


@settings(max_examples=60, deadline=None)
@given(
    places=st.lists(st.integers(0, 30), min_size=1, unique=True).map(sorted),
    data=st.data(),
)
def test_describe_levels_agrees_with_a_walk(places: list[int], data: st.DataObject) -> None:
    """Counting session by session finds the same longest gap and run, with their dates."""
    values = data.draw(
        st.lists(st.sampled_from([1.0, 2.0]), min_size=len(places), max_size=len(places))
    )
    sessions = pd.bdate_range("2019-01-02", periods=31, unit="ns")[places[0] : places[-1] + 1]
    places = [place - places[0] for place in places]
    levels = pd.Series(values, index=sessions[places])
    gaps: list[list[int]] = [[]]
    runs: list[list[int]] = [[]]
    for place in range(len(sessions)):
        if place not in places:
            gaps[-1].append(place)
            continue
        gaps.append([])
        if runs[-1] and levels.iloc[places.index(place)] != levels[sessions[runs[-1][-1]]]:
            runs.append([])
        runs[-1].append(place)
    gap, run = max(gaps, key=len), max(runs, key=len)
    found = describe_levels(levels, sessions)
    assert (found["longest_gap"], found["stale_run"]) == (len(gap), len(run))
    assert (found["stale_first"], found["stale_last"]) == (sessions[run[0]], sessions[run[-1]])
    if gap:
        assert (found["gap_first"], found["gap_last"]) == (sessions[gap[0]], sessions[gap[-1]])
    else:
        assert found["gap_first"] is pd.NaT
    assert found["coverage"] == len(places) / len(sessions)


def test_find_outliers_are_beyond_ten_robust_deviations_only() -> None:
    """Changes of 1 and -1 around 0 deviate by 1 in the median: 14.826 is the bound."""
    definition = SeriesDefinition("x", "spread", "difference", "weekdays")
    sessions = pd.bdate_range("2019-01-02", periods=14, unit="ns")
    changes = [1.0, -1.0] * 5
    for last, n_outliers in ((14.82, 0), (-14.82, 0), (14.83, 1), (-14.83, 1)):
        values = np.cumsum([0.0, *changes, 0.0, 0.0, last])
        outliers, n_changes = find_outliers(pd.Series(values, sessions), sessions, definition)
        assert (len(outliers), n_changes) == (n_outliers, 13)
    assert list(outliers.index) == [sessions[-1]]


def test_find_outliers_series_that_mostly_stands_still_has_none() -> None:
    """A deviation of zero judges nothing; a single level has no change."""
    definition = SeriesDefinition("x", "spread", "difference", "weekdays")
    sessions = pd.bdate_range("2019-01-02", periods=4, unit="ns")
    levels = pd.Series([1.0, 1.0, 1.0, 9.0], sessions)
    outliers, n_changes = find_outliers(levels, sessions, definition)
    assert (len(outliers), n_changes) == (0, 3)
    assert find_outliers(levels[:1], sessions[:1], definition)[1] == 0


def test_coverage_by_period_counts_the_sessions_with_a_level() -> None:
    """Days are compared with the sessions of the study, months with months."""
    levels = add_rows(("2018-12-31", "gold", 1.0))
    levels = levels[levels["date"] != pd.Timestamp("2019-01-15")]
    monthly = coverage_by_period(levels, [GOLD, SPY, RATE], SESSIONS, "month")
    assert list(monthly.columns) == ["2018-12", "2019-01"]
    assert list(monthly.index) == ["gold", "spy", "fed_funds"]
    assert monthly.loc["gold"].to_list() == [1.0, 0.0]
    assert monthly.loc["spy"].to_list() == [1.0, 20 / 21]
    assert monthly.loc["fed_funds"].to_list() == [0.0, 0.0]
    yearly = coverage_by_period(levels, [SPY], SESSIONS, "year")
    assert yearly.loc["spy"].to_dict() == {"2018": 1.0, "2019": 20 / 21}
    with pytest.raises(ValueError, match="no session"):
        coverage_by_period(levels, [SPY], SESSIONS[:0], "year")


def test_assess_series_recorded_levels_show_their_known_defects() -> None:
    """Oil was negative once, a wide file holds 983 carried rows, and VIX opened at 2.58 once."""
    folder = SHARED / "cross_asset"
    if not folder.exists():
        pytest.skip("recorded market data is absent")
    vix = pd.read_csv(folder / "datopian/vix_daily.csv")
    wide = pd.read_parquet(folder / "fintix_etf_adjclose.parquet", columns=["date", "SPY"])
    oil = pd.read_csv(folder / "fred/DCOILWTICO.csv").rename(columns={"value": "wti"})
    tables = [wide, oil, vix[["DATE", "OPEN"]].rename(columns={"OPEN": "vix_open"})]
    levels = pd.concat([read_levels(table) for table in tables], ignore_index=True)
    definitions = [
        SPY,
        SeriesDefinition("wti", "price", "log_return", "weekdays"),
        SeriesDefinition("vix_open", "index", "difference", "XNYS", low=5, high=200),
    ]
    sessions = list_sessions("XNYS", pd.Timestamp("1993-01-29"), pd.Timestamp("2023-05-18"))
    quality = assess_series(levels, definitions, sessions, pd.Timestamp("2026-08-01"), RULES)
    assert row_of(quality)["filled"] == 983
    assert "wti on 2020-04-20 (-36.98)" in message_of(quality, "non_positive_level")
    assert "vix_open on 2004-11-08 (2.58)" in message_of(quality, "out_of_bounds")
    assert list(quality.quarantine["reason"]) == ["out_of_bounds"]
