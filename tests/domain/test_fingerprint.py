"""A hash of tables stands for their content."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tidemark.domain.fingerprint import hash_frames

DATES = pd.to_datetime(["2019-01-02", "2019-01-03", "2019-01-04"]).as_unit("ns")


def prices(**changes: Any) -> pd.DataFrame:
    """Make three prices."""
    table = {"date": DATES, "ticker": ["KO", "PG", "KO"], "close": [1.5, np.nan, -0.25]}
    return pd.DataFrame({**table, **changes})


def test_hash_frames_of_known_tables_is_known() -> None:
    """The hash is the same on every machine and in every process: 16 digits of a SHA-256."""
    digest = hash_frames(prices(), prices(close=[1.0, 2.0, 3.0]))
    assert digest == "3310c3bf50b5a4c0"
    assert hash_frames(prices(), prices(close=[1.0, 2.0, 3.0])) == digest


def test_hash_frames_survives_the_way_through_a_file(tmp_path: Any) -> None:
    """Stored and read back, with any index or layout in memory, the content is the same."""
    table = prices()
    table.to_parquet(tmp_path / "table.parquet", index=False)
    for other in (
        pd.read_parquet(tmp_path / "table.parquet"),
        table.set_axis([7, 8, 9]),
        table.iloc[::-1].iloc[::-1],
        pd.concat([table.head(1), table.tail(2)]),
    ):
        assert hash_frames(other) == hash_frames(table)


@pytest.mark.parametrize(
    "other",
    [
        prices(close=[1.5, np.nan, -0.2500000001]),
        prices(close=[1.5, 0.0, -0.25]),
        prices(ticker=["KO", "PG", "K"]),
        prices(date=DATES + pd.Timedelta(days=1)),
        prices().rename(columns={"close": "adj_close"}),
        prices()[["ticker", "date", "close"]],
        prices().iloc[[0, 2, 1]],
        prices().head(2),
        prices(volume=1.0),
        prices().astype({"close": "float32"}),
    ],
    ids=[
        "value", "blank", "text", "date", "name", "order of columns", "order of rows", "row less",
        "column more", "type",
    ],
)  # fmt: skip
def test_hash_frames_of_any_other_content_differs(other: pd.DataFrame) -> None:
    """Each change of content, name, type or order is another hash."""
    assert hash_frames(other) != hash_frames(prices())


def test_hash_frames_counts_the_tables_and_their_order() -> None:
    """Two tables are not their sum, and not each other's place."""
    one, two = prices(), prices(close=[1.0, 2.0, 3.0])
    hashes = [
        hash_frames(one),
        hash_frames(one, two),
        hash_frames(two, one),
        hash_frames(one, two.head(0)),
        hash_frames(pd.concat([one, two])),
    ]
    assert len(set(hashes)) == len(hashes)
    assert len(hash_frames()) == 16
