"""What raw tables look like: their columns with logical types, and their keys."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

LogicalType = Literal["date", "text", "number"]


@dataclass(frozen=True)
class Layout:
    """The layout of one raw table.

    ``key`` names the date and the name column, ``level`` the value that must be there,
    ``positive`` the values that must exceed zero; names are brought to ``name_case``. Where
    the table has ``preferred_level``, that is the level. With ``all_names_needed`` the table is
    as old as the name that ends first.
    """

    name: str
    required: dict[str, LogicalType]
    optional: dict[str, LogicalType]
    key: tuple[str, str]
    level: str
    positive: tuple[str, ...] = ()
    name_case: Literal["upper", "lower"] = "lower"
    preferred_level: str | None = None
    all_names_needed: bool = False

    @property
    def columns(self) -> dict[str, LogicalType]:
        """Required and optional columns with their logical types, in order."""
        return {**self.required, **self.optional}

    def level_of(self, columns: Iterable[object]) -> str:
        """Name the column that levels, and with them returns, are taken from."""
        preferred = self.preferred_level
        return preferred if preferred is not None and preferred in list(columns) else self.level


PRICES = Layout(
    name="prices",
    required={"date": "date", "ticker": "text", "close": "number"},
    optional={
        "open": "number",
        "high": "number",
        "low": "number",
        "volume": "number",
        "adj_close": "number",
    },
    key=("date", "ticker"),
    level="close",
    positive=("close", "adj_close"),
    name_case="upper",
    preferred_level="adj_close",
)

SERIES = Layout(
    name="exogenous",
    required={"date": "date", "series": "text", "value": "number"},
    optional={"vintage": "text"},
    key=("date", "series"),
    level="value",
    all_names_needed=True,
)
