"""Columns: what is missing, renamed, unknown or of another type changes the schema."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from tidemark.domain.inspection import PRICES, Inspection, Rule, hash_schema, inspect_table

ACCEPTED = "bcd1f3b25af2eab4"
CHECKS = ("required_columns", "unknown_columns", "schema_hash", "unreadable_values", "missing_key")
CHECKS += ("repeated_rows", "contradictory_rows", "dates_after_as_of", "non_positive_price")
CHECKS += ("no_rows", "missing_values", "quarantined_share", "old_data", "stale_data")
CHECKS += ("missing_cells", "thin_sessions")
RULES = {check: Rule("refuse") for check in CHECKS} | {
    "unreadable_values": Rule("quarantine"),
    "unknown_columns": Rule("warn"),
    "quarantined_share": Rule("refuse", 0.25),
}


def good_prices() -> pd.DataFrame:
    """Make four rows that no check finds fault with."""
    return pd.DataFrame(
        {"date": "2019-01-03", "ticker": list("ABCD"), "close": [1.0, 2.0, 3.0, 4.0]}
    )


def inspect_prices(raw: pd.DataFrame) -> Inspection:
    """Inspect a table of prices on 3 January 2019."""
    return inspect_table(raw, PRICES, RULES, pd.Timestamp("2019-01-03"), ACCEPTED)


def messages(found: Inspection) -> dict[str, str]:
    """Map each finding's check to its message."""
    return {finding.check: finding.message for finding in found.findings}


def test_hash_schema_is_the_start_of_a_sha256_of_the_sorted_types() -> None:
    """The accepted hash can be computed with any tool, whatever the order of the columns."""
    types = {"ticker": "text", "date": "date", "close": "number"}
    assert hash_schema(types) == ACCEPTED
    assert hash_schema({**types, "volume": "number"}) != ACCEPTED
    assert hash_schema({**types, "close": "text"}) != ACCEPTED


def test_inspection_renamed_column_is_refused_and_named() -> None:
    """The message names what is missing and what was found instead."""
    found = inspect_prices(good_prices().rename(columns={"close": "Close"}))
    said = messages(found)
    assert {finding.check for finding in found.refusals} == {"required_columns", "schema_hash"}
    assert "column close is missing" in said["required_columns"]
    assert "date, ticker, Close" in said["required_columns"]
    assert "Close" in said["unknown_columns"]
    assert found.schema_hash in said["schema_hash"]
    assert ACCEPTED in said["schema_hash"]
    assert len(found.candidate) == len(found.quarantine) == 0


def test_inspection_table_without_columns_is_refused() -> None:
    """An empty file lacks every required column."""
    found = inspect_prices(pd.DataFrame())
    assert "column date, ticker, close is missing" in messages(found)["required_columns"]


def test_inspection_column_order_does_not_matter() -> None:
    """Columns are found by name; the candidate has the layout's order."""
    found = inspect_prices(good_prices()[["close", "ticker", "date"]])
    assert found.findings == []
    assert list(found.candidate) == ["date", "ticker", "close"]


@pytest.mark.parametrize("column", ["open", "high", "low", "volume"])
def test_inspection_optional_column_leaves_the_schema_hash_unchanged(column: str) -> None:
    """Optional columns may come and go, blanks and all, and are passed on."""
    found = inspect_prices(good_prices().assign(**{column: ["1.5", 2, None, ""]}))
    assert found.findings == []
    assert found.schema_hash == ACCEPTED
    assert found.candidate[column].dropna().to_list() == [1.5, 2.0]
    assert found.null_rates[column] == 0.5


def test_inspection_adjusted_closes_that_are_missing_count_as_missing_values() -> None:
    """Returns come from adjusted closes where they are given, so their blanks are what counts."""
    found = inspect_prices(good_prices().assign(adj_close=["1.5", 2, None, ""], close=None))
    assert found.schema_hash == ACCEPTED
    assert "have no adj_close" in messages(found)["missing_values"]
    assert next(one.measure for one in found.findings if one.check == "missing_values") == 0.5


def test_inspection_optional_column_without_any_value_is_accepted() -> None:
    """A volume that a source never fills is blank, not text."""
    found = inspect_prices(good_prices().assign(volume=None))
    assert found.findings == []
    assert found.candidate["volume"].isna().all()


def test_inspection_optional_column_of_text_changes_the_schema_and_is_named() -> None:
    """An optional column that holds something else altogether is another schema."""
    found = inspect_prices(good_prices().assign(volume=["low", "high", "low", "none"]))
    assert found.schema_hash != ACCEPTED
    assert "volume" in messages(found)["schema_hash"]


def test_inspection_few_unreadable_cells_leave_the_schema_as_it_is() -> None:
    """As long as no more rows are spoilt than may leave, the column has kept its type."""
    found = inspect_prices(good_prices().assign(close=["x", 2.0, 3.0, 4.0]))
    assert found.schema_hash == ACCEPTED
    assert set(messages(found)) == {"unreadable_values"}


def test_inspection_many_unreadable_cells_are_another_schema_and_name_the_column() -> None:
    """Once a column is text in more rows than may leave, its type has changed."""
    found = inspect_prices(good_prices().assign(close=["x", "y", 3.0, 4.0]))
    assert found.schema_hash != ACCEPTED
    assert "close" in messages(found)["schema_hash"]
    assert "quarantined_share" in messages(found)


def test_inspection_unknown_columns_are_named_and_left_out() -> None:
    """What the layout does not know does not reach the candidate."""
    found = inspect_prices(good_prices().assign(Dividends=0.0, **{"Stock Splits": 0.0}))
    assert "Dividends, Stock Splits" in messages(found)["unknown_columns"]
    assert found.schema_hash == ACCEPTED
    assert list(found.candidate) == ["date", "ticker", "close"]


def test_inspection_many_unknown_columns_names_five() -> None:
    """Of eight strange columns five are named and three are counted."""
    raw = good_prices().assign(**{f"strange{number}": 0 for number in range(8)})
    message = messages(inspect_prices(raw))["unknown_columns"]
    assert message.count("strange") == 5
    assert "and 3 more" in message


def test_inspection_column_that_occurs_twice_is_a_finding_not_a_crash() -> None:
    """Two columns called close cannot both be the close: the data is refused."""
    raw = pd.concat([good_prices(), good_prices()[["close"]] * 2], axis=1)
    assert inspect_prices(raw).refusals


def test_inspection_empty_table_is_refused_with_its_columns() -> None:
    """A table with columns but no rows has the right schema and nothing to use."""
    found = inspect_prices(good_prices().head(0))
    assert [finding.check for finding in found.refusals] == ["no_rows"]
    assert found.schema_hash == ACCEPTED
    assert list(found.candidate) == ["date", "ticker", "close"]
    assert list(found.quarantine) == ["table", "row", "reason", "record"]


def test_inspection_empty_table_has_null_rates_that_json_can_hold() -> None:
    """A share of no rows is left out, or a number; NaN is not JSON."""
    json.dumps(inspect_prices(good_prices().head(0)).null_rates, allow_nan=False)
