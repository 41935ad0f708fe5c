"""Checks of single rows: which rows are faulty, and one sentence about them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

from tidemark.domain.layouts import Layout
from tidemark.errors import MAX_EXAMPLES, describe_examples

_MAX_CELL = 40


class RowFault(NamedTuple):
    """The rows that one check finds faulty."""

    check: str
    rows: pd.Series
    message: str


def check_rows(
    raw: pd.DataFrame,
    parsed: pd.DataFrame,
    unreadable: pd.DataFrame,
    layout: Layout,
    as_of: pd.Timestamp,
) -> Iterator[RowFault]:
    """Apply every check of rows, in the order in which a row is given its reason.

    Parameters
    ----------
    raw, parsed, unreadable : DataFrame
        The table as it was fetched, as it was read, and where reading failed.
    layout : Layout
        The table's layout.
    as_of : Timestamp
        The last date that can have been known.

    Yields
    ------
    RowFault
        ``rows`` marks the faulty rows, perhaps none.
    """
    date, name = layout.key
    yield _check_readable(raw, unreadable, layout)

    bad = parsed[[date, name]].isna().any(axis=1) & ~unreadable.any(axis=1)
    numbers = [position for position, faulty in enumerate(bad) if faulty]
    yield RowFault(
        "missing_key",
        bad,
        f"{len(numbers)} rows have no {date} or no {name}: row {describe_examples(numbers)}. "
        f"Fill or remove them",
    )

    keyed = parsed[[date, name]].notna().all(axis=1) & ~unreadable.any(axis=1)
    repeated = keyed & parsed.duplicated(keep="first")
    yield RowFault(
        "repeated_rows",
        repeated,
        f"{int(repeated.sum())} rows repeat another row in every column: "
        f"{name_rows(parsed, repeated, layout)}",
    )

    distinct = parsed[keyed & ~repeated]
    clash = distinct.duplicated([date, name], keep=False).reindex(parsed.index, fill_value=False)
    yield RowFault(
        "contradictory_rows",
        clash,
        f"{int(clash.sum())} rows give different values for one {date} and {name}: "
        f"{name_rows(parsed, clash, layout, layout.level_of(parsed))}. Keep one of each",
    )

    late = parsed[date] > as_of
    last = parsed[date].max()
    yield RowFault(
        "dates_after_as_of",
        late,
        f"{int(late.sum())} rows are dated after the as-of date {as_of:%Y-%m-%d}: "
        f"{name_rows(parsed, late, layout)}. Remove them, or move the as-of date with "
        f"--params as_of={last if pd.isna(last) else format(last, '%Y-%m-%d')}",
    )

    for column in layout.positive:
        if column in parsed:
            bad = parsed[column] <= 0
            yield RowFault(
                "non_positive_price",
                bad,
                f"{int(bad.sum())} rows have a {column} of zero or less: "
                f"{name_rows(parsed, bad, layout, column)}",
            )


def name_rows(
    table: pd.DataFrame, chosen: pd.Series, layout: Layout, value: str | None = None
) -> str:
    """Name at most five of the chosen rows by their keys, with a value if asked."""
    date, name = layout.key
    rows = table[chosen]
    shown = []
    for _, row in rows.head(MAX_EXAMPLES).iterrows():
        when = "no date" if pd.isna(row[date]) else f"{row[date]:%Y-%m-%d}"
        who = f"no {name}" if pd.isna(row[name]) else row[name]
        shown.append(f"{who} on {when}" + (f" ({row[value]:g})" if value else ""))
    more = len(rows) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _check_readable(raw: pd.DataFrame, unreadable: pd.DataFrame, layout: Layout) -> RowFault:
    bad = unreadable.any(axis=1)
    columns = [column for column in layout.columns if column in raw and unreadable[column].any()]
    kinds = {"date": "date (YYYY-MM-DD)", "text": "text", "number": "finite number"}
    wanted = dict.fromkeys(kinds[layout.columns[column]] for column in columns)
    cells = [
        f"{column}={_shorten(value)}"
        for column in columns
        for value in raw.loc[unreadable[column], column]
    ]
    return RowFault(
        "unreadable_values",
        bad,
        f"{int(bad.sum())} rows hold what cannot be read as a {' or '.join(wanted)} in column "
        f"{describe_examples(columns)}: {describe_examples(cells)}. Correct the cells",
    )


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_CELL else f"{text[:_MAX_CELL]}..."
