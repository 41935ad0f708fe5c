"""Every check of the table: shown triggered, shown silent, and doing what its rule says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from tidemark.domain.inspection import PRICES, SERIES, Inspection, Rule, inspect_table

AS_OF = pd.Timestamp("2019-01-03")
PRICES_SCHEMA = "bcd1f3b25af2eab4"
SERIES_SCHEMA = "a6d4949d27e129a5"
RULES = {
    "required_columns": Rule("refuse"),
    "unknown_columns": Rule("warn"),
    "schema_hash": Rule("refuse"),
    "unreadable_values": Rule("quarantine"),
    "missing_key": Rule("quarantine"),
    "repeated_rows": Rule("quarantine"),
    "contradictory_rows": Rule("refuse"),
    "dates_after_as_of": Rule("refuse"),
    "non_positive_price": Rule("quarantine"),
    "no_rows": Rule("refuse"),
    "missing_values": Rule("refuse", 0.25),
    "missing_cells": Rule("refuse", 0.2),
    "thin_sessions": Rule("warn"),
    "quarantined_share": Rule("refuse", 0.5),
    "old_data": Rule("warn", 7),
    "stale_data": Rule("refuse", 400),
}
Spoil = Callable[[pd.DataFrame], pd.DataFrame]


def good_prices() -> pd.DataFrame:
    """Make four rows that no check finds fault with."""
    return pd.DataFrame(
        {
            "date": ["2019-01-02", "2019-01-02", "2019-01-03", "2019-01-03"],
            "ticker": ["AAPL", "MSFT", "AAPL", "MSFT"],
            "close": [157.92, 101.12, 142.19, 97.40],
        }
    )


def inspect_prices(raw: pd.DataFrame, rules: dict[str, Rule] | None = None) -> Inspection:
    """Inspect a table of prices on 3 January 2019."""
    return inspect_table(raw, PRICES, rules or RULES, AS_OF, PRICES_SCHEMA)


def put(column: str, *values: object) -> Spoil:
    """Overwrite the first cells of a column."""

    def spoil(raw: pd.DataFrame) -> pd.DataFrame:
        cells = [*values, *raw[column].to_list()[len(values) :]]
        return raw.assign(**{column: pd.Series(cells, dtype="object")})

    return spoil


def repeat_first(close: float | None = None) -> Spoil:
    """Append the first row once more, perhaps with another close."""
    return lambda raw: pd.concat(
        [raw, raw.head(1) if close is None else raw.head(1).assign(close=close)]
    )


def panel_of(**dates: str) -> Spoil:
    """Replace the table by one price for each ticker on each of its days of January 2019."""
    return lambda _: pd.DataFrame(
        [
            {"date": f"2019-01-{day}", "ticker": ticker, "close": 10.0}
            for ticker, days in dates.items()
            for day in days.split()
        ]
    )


FAULTS: dict[str, tuple[Spoil, float]] = {
    "missing_cells": (panel_of(A="01 02 03", B="01 03", C="01 03"), 2 / 9),
    "thin_sessions": (panel_of(A="01 02 03", B="01 03", C="01 03"), 1),
    "required_columns": (lambda raw: raw.drop(columns="close"), 1),
    "unknown_columns": (lambda raw: raw.assign(colour="red", size=3), 2),
    "schema_hash": (put("close", "a", "b", "c"), 1),
    "unreadable_values": (put("close", "n/k"), 1),
    "missing_key": (put("ticker", None, " "), 2),
    "repeated_rows": (repeat_first(), 1),
    "contradictory_rows": (repeat_first(1.0), 2),
    "dates_after_as_of": (put("date", "2019-01-04"), 1),
    "non_positive_price": (put("close", 0.0, -1.0), 2),
    "no_rows": (lambda raw: raw.head(0), 1),
    "missing_values": (put("close", None, ""), 0.5),
    "quarantined_share": (put("ticker", None, None, None), 0.75),
    "old_data": (put("date", *["2018-12-26"] * 2, *["2018-12-25"] * 2), 8),
    "stale_data": (put("date", *["2017-11-28"] * 2, *["2017-11-27"] * 2), 401),
}


@pytest.mark.parametrize("check", RULES)
def test_inspection_faulty_table_triggers_its_check(check: str) -> None:
    """Each check finds its own fault, measures it and says its name and what it concerns."""
    spoil, measure = FAULTS[check]
    (finding,) = [
        one for one in inspect_prices(spoil(good_prices())).findings if one.check == check
    ]
    assert (finding.action, finding.bound) == (RULES[check].action, RULES[check].bound)
    assert finding.measure == measure
    assert finding.message.startswith("prices: ")
    assert finding.message.endswith(f"({check}).")


def test_inspection_good_table_triggers_no_check() -> None:
    """Without a fault there is no finding, nothing leaves, and the schema is the accepted one."""
    found = inspect_prices(good_prices())
    assert found.findings == []
    assert found.refusals == []
    assert found.schema_hash == PRICES_SCHEMA
    assert found.null_rates == {"date": 0.0, "ticker": 0.0, "close": 0.0}
    assert len(found.quarantine) == 0
    expected = good_prices().assign(date=lambda raw: pd.to_datetime(raw["date"]).dt.as_unit("ns"))
    assert_frame_equal(found.candidate, expected)


@pytest.mark.parametrize(
    ("check", "spoil"),
    [
        ("missing_values", put("close", None)),  # a quarter of the rows
        ("quarantined_share", put("ticker", None, None)),  # half of them
        ("old_data", put("date", *["2018-12-27"] * 2, *["2018-12-26"] * 2)),  # seven days
        ("stale_data", put("date", *["2017-11-29"] * 2, *["2017-11-28"] * 2)),  # 400 days
        ("dates_after_as_of", put("date", "2019-01-03 16:00")),
        ("non_positive_price", put("close", 0.0001)),
    ],
)
def test_inspection_measure_at_its_bound_triggers_nothing(check: str, spoil: Spoil) -> None:
    """A bound is allowed: only what exceeds it is a finding."""
    raw = good_prices() if check != "dates_after_as_of" else good_prices().drop(index=2)
    assert check not in [one.check for one in inspect_prices(spoil(raw)).findings]


ROW_CHECKS = {
    "unreadable_values": ["0"],
    "missing_key": ["0", "1"],
    "repeated_rows": ["4"],
    "contradictory_rows": ["0", "4"],
    "dates_after_as_of": ["0"],
    "non_positive_price": ["0", "1"],
}


@pytest.mark.parametrize("check", ROW_CHECKS)
def test_inspection_quarantine_takes_the_rows_out_and_names_them(check: str) -> None:
    """Rows that leave are recorded with their number and reason, and are not in the candidate."""
    raw = FAULTS[check][0](good_prices())
    found = inspect_prices(raw, {**RULES, check: Rule("quarantine")})
    assert found.quarantine["row"].to_list() == ROW_CHECKS[check]
    assert set(found.quarantine["reason"]) == {check}
    assert set(found.quarantine["table"]) == {"prices"}
    assert len(found.candidate) == len(raw) - len(ROW_CHECKS[check])
    assert found.refusals == []


@pytest.mark.parametrize("check", ROW_CHECKS)
@pytest.mark.parametrize("action", ["warn", "refuse"])
def test_inspection_warn_and_refuse_keep_the_rows(check: str, action: str) -> None:
    """Only quarantine moves rows; refusing is up to whoever reads the findings."""
    raw = FAULTS[check][0](good_prices())
    found = inspect_prices(raw, {**RULES, check: replace(RULES[check], action=action)})
    assert len(found.quarantine) == 0
    assert len(found.candidate) == len(raw)
    assert [one.check for one in found.refusals] == ([check] if action == "refuse" else [])


@pytest.mark.parametrize("check", RULES)
def test_inspection_never_changes_the_raw_table(check: str) -> None:
    """Whatever is found, the table that was fetched stays as it was."""
    raw = FAULTS[check][0](good_prices())
    before = raw.copy(deep=True)
    inspect_prices(raw)
    assert_frame_equal(raw, before)


def test_inspection_series_good_table_is_lower_cased_and_may_be_negative() -> None:
    """Names of series are lower case, and a value below zero is a value (oil in April 2020)."""
    raw = pd.DataFrame({"date": ["2019-01-02"], "series": [" WTI "], "value": [-36.98]})
    found = inspect_table(raw, SERIES, RULES, AS_OF, SERIES_SCHEMA)
    assert found.findings == []
    assert found.candidate[["series", "value"]].to_numpy().tolist() == [["wti", -36.98]]


def test_inspection_adjusted_close_of_zero_is_quarantined() -> None:
    """Returns are computed from adjusted closes, so they must be positive too."""
    found = inspect_prices(good_prices().assign(adj_close=[1.0, 0.0, 1.0, 1.0]))
    assert found.quarantine["reason"].to_list() == ["non_positive_price"]
    assert "adj_close" in found.findings[0].message
