"""Rows: which leave, which repeat, which contradict, and how they are reported."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidemark.domain.inspection import PRICES, Inspection, Rule, inspect_table

QUARANTINED = ("unreadable_values", "missing_key", "repeated_rows", "non_positive_price")
REFUSED = ("required_columns", "schema_hash", "contradictory_rows", "dates_after_as_of", "no_rows")
REFUSED += ("missing_values", "quarantined_share", "old_data", "stale_data", "unknown_columns")
REFUSED += ("missing_cells", "thin_sessions")
RULES = {check: Rule("refuse", 0.9) for check in REFUSED} | {
    check: Rule("quarantine") for check in QUARANTINED
}


def inspect_prices(raw: pd.DataFrame) -> Inspection:
    """Inspect a table of prices on 3 January 2019."""
    return inspect_table(raw, PRICES, RULES, pd.Timestamp("2019-01-03"), "bcd1f3b25af2eab4")


def prices_of(*rows: tuple[object, object, object]) -> pd.DataFrame:
    """Make a table of dates, tickers and closes of any type."""
    return pd.DataFrame(list(rows), columns=["date", "ticker", "close"], dtype="object")


def reasons(found: Inspection) -> dict[str, str]:
    """Map the number of each row that left to its reason."""
    return dict(zip(found.quarantine["row"], found.quarantine["reason"], strict=True))


def measures(found: Inspection) -> dict[str, float]:
    """Map each finding's check to its measure."""
    return {finding.check: finding.measure for finding in found.findings}


def test_inspection_rows_that_repeat_leave_all_but_one() -> None:
    """Three equal rows, once written otherwise, are one row and two repeats."""
    found = inspect_prices(
        prices_of(
            ("2019-01-03", "KO", 1.5), ("2019-01-03", " ko", "1.50"), ("2019-01-03", "KO", 1.5)
        )
    )
    assert reasons(found) == {"1": "repeated_rows", "2": "repeated_rows"}
    assert found.candidate.to_numpy().tolist() == [[pd.Timestamp("2019-01-03"), "KO", 1.5]]


def test_inspection_rows_that_contradict_are_refused_and_repeats_are_told_apart() -> None:
    """Of three rows for one key two are equal: one repeats, and two contradict one another."""
    found = inspect_prices(
        prices_of(("2019-01-03", "KO", 1.5), ("2019-01-03", "KO", 1.5), ("2019-01-03", "KO", 1.6))
    )
    assert measures(found) == {"repeated_rows": 1, "contradictory_rows": 2}
    assert [finding.check for finding in found.refusals] == ["contradictory_rows"]
    assert "KO on 2019-01-03 (1.5), KO on 2019-01-03 (1.6)" in found.refusals[0].message


def test_inspection_row_with_blank_level_contradicts_one_with_a_level() -> None:
    """A blank is not the same as a price."""
    found = inspect_prices(prices_of(("2019-01-03", "KO", 1.5), ("2019-01-03", "KO", None)))
    assert measures(found) == {"contradictory_rows": 2}


def test_inspection_same_ticker_on_other_dates_neither_repeats_nor_contradicts() -> None:
    """A price that does not move is no repeat."""
    found = inspect_prices(prices_of(("2019-01-02", "KO", 1.5), ("2019-01-03", "KO", 1.5)))
    assert found.findings == []


def test_inspection_row_with_two_faults_leaves_once_with_the_first_reason() -> None:
    """A row that is unreadable and has no ticker is quarantined once."""
    found = inspect_prices(prices_of(("2019-01-03", None, "x"), ("2019-01-03", "KO", 1.5)))
    assert reasons(found) == {"0": "unreadable_values"}


def test_inspection_row_numbers_count_from_zero_whatever_the_index() -> None:
    """A table that was filtered keeps counting its rows from the top."""
    raw = prices_of(("2019-01-03", "KO", 1.5), ("2019-01-03", None, 1.5)).set_axis([70, 30])
    assert reasons(inspect_prices(raw)) == {"1": "missing_key"}


def test_inspection_index_with_repeated_labels_is_inspected_all_the_same() -> None:
    """Tables put together keep their row labels; the rows are still told apart."""
    raw = prices_of(("x", "KO", 1.5), ("2019-01-03", None, 1.5), ("2019-01-03", "KO", 1.5))
    found = inspect_prices(raw.set_axis([0, 0, 0]))
    assert reasons(found) == {"0": "unreadable_values", "1": "missing_key"}


def test_inspection_row_without_date_and_with_price_of_zero_is_reported() -> None:
    """A price of zero without a date is named, though there is no date to name it by."""
    found = inspect_prices(prices_of((None, "KO", 0.0), ("2019-01-03", "KO", 1.5)))
    assert measures(found) == {"missing_key": 1, "non_positive_price": 1}
    assert reasons(found) == {"0": "missing_key"}


def test_inspection_quarantined_record_holds_the_raw_row_as_json() -> None:
    """Every cell of the row can be read back, also those that the layout does not know."""
    raw = prices_of(("2019-01-03", "ko ", "abc"), ("2019-01-03", "PG", 1.5)).assign(note="why")
    record = json.loads(inspect_prices(raw).quarantine["record"].iloc[0])
    assert record == {"close": "abc", "date": "2019-01-03", "note": "why", "ticker": "ko "}


def test_inspection_quarantined_record_with_a_blank_is_strict_json() -> None:
    """NaN is not JSON: other readers would stumble over it."""
    found = inspect_prices(prices_of(("2019-01-03", None, 1.5), ("2019-01-03", "PG", 1.5)))

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    json.loads(found.quarantine["record"].iloc[0], parse_constant=refuse)


EIGHT = [f"T{number}" for number in range(8)]


@pytest.mark.parametrize(
    ("check", "rows"),
    [
        ("unreadable_values", [("2019-01-03", name, "T?") for name in EIGHT]),
        ("missing_key", [(None, name, 1.0) for name in EIGHT]),
        ("repeated_rows", [("2019-01-03", "T", 1.0)] * 9),
        ("contradictory_rows", [("2019-01-03", "T", float(number)) for number in range(1, 9)]),
        ("dates_after_as_of", [("2019-01-04", name, 1.0) for name in EIGHT]),
        ("non_positive_price", [("2019-01-03", name, -1.0) for name in EIGHT]),
    ],
)
def test_inspection_many_rows_are_counted_and_five_are_shown(
    check: str, rows: list[tuple[object, object, object]]
) -> None:
    """Eight faulty rows are counted in the message, which shows five at most."""
    found = inspect_prices(prices_of(*rows))
    (message,) = [one.message for one in found.findings if one.check == check]
    examples = message.partition(":")[2].partition(":")[2]
    shown = r"\b\d\b(?=,| and)" if check == "missing_key" else r"\bT[\d?]?( on|')"
    assert message.startswith("prices: 8 rows")
    assert len(re.findall(shown, examples)) == 5


def test_inspection_many_unreadable_cells_say_how_many_are_left_out() -> None:
    """Of sixteen cells in two columns five are shown and eleven are left out."""
    found = inspect_prices(prices_of(*[("?", name, "!") for name in EIGHT]))
    (message,) = [one.message for one in found.findings if one.check == "unreadable_values"]
    assert re.findall(r"and (\d+) more", message) in ([], ["11"])


TEXTS = st.sampled_from(["2019-01-03", "2019-01-02T10:00:00+09:00", "KO", "1e3", "", " "])
CELLS = st.one_of(
    st.none(), TEXTS, st.text(max_size=6), st.floats(), st.integers(-3, 10**6),
    st.booleans(), st.dates(), st.datetimes(),
    st.just(pd.NaT), st.just(pd.Timestamp("2019-01-03", tz="Asia/Tokyo")),
)  # fmt: skip


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=6))
def test_inspection_any_cells_never_raise_and_no_row_is_lost(
    rows: list[tuple[object, object, object]],
) -> None:
    """Whatever the cells hold, each row is in the candidate or in the quarantine."""
    found = inspect_prices(prices_of(*rows))
    assert len(found.candidate) + len(found.quarantine) == len(rows)
    assert [str(kind) for kind in found.candidate.dtypes] == ["datetime64[ns]", "str", "float64"]
    assert not found.candidate[["date", "ticker"]].isna().to_numpy().any()
    assert not (found.candidate["close"] <= 0).any()
    assert found.candidate["close"].abs().max() != float("inf")
