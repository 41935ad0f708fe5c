"""Pandera models of the tables that pass from one stage to the next.

The catalog names them under ``validator:``; they guard what has been accepted.
"""

from __future__ import annotations

from typing import ClassVar

import pandera.pandas as pa
from pandas import DataFrame
from pandera.typing import Series

_INFINITY = float("inf")


class Prices(pa.DataFrameModel):  # type: ignore[misc]  # pandera is untyped here
    """Accepted prices: one row for each date and ticker."""

    date: Series[pa.DateTime] = pa.Field(nullable=False)
    ticker: Series[str] = pa.Field(nullable=False)
    close: Series[float] = pa.Field(gt=0, lt=_INFINITY, nullable=True)
    adj_close: Series[float] | None = pa.Field(gt=0, lt=_INFINITY, nullable=True)

    class Config:
        """Options of the model."""

        unique: ClassVar = ["date", "ticker"]


class Exogenous(pa.DataFrameModel):  # type: ignore[misc]  # pandera is untyped here
    """Accepted exogenous levels: one row for each date and series."""

    date: Series[pa.DateTime] = pa.Field(nullable=False)
    series: Series[str] = pa.Field(nullable=False)
    value: Series[float] = pa.Field(gt=-_INFINITY, lt=_INFINITY, nullable=True)

    class Config:
        """Options of the model."""

        unique: ClassVar = ["date", "series"]


class Targets(pa.DataFrameModel):  # type: ignore[misc]  # pandera is untyped here
    """Labels and scoring rows, the same for every scenario."""

    date: Series[pa.DateTime] = pa.Field(nullable=False)
    ticker: Series[str] = pa.Field(nullable=False)
    target: Series[float] = pa.Field(gt=-_INFINITY, lt=_INFINITY, nullable=True)
    eligible: Series[bool] = pa.Field()

    class Config:
        """Options of the model."""

        unique: ClassVar = ["date", "ticker"]


class Predictions(pa.DataFrameModel):  # type: ignore[misc]  # pandera is untyped here
    """What a model predicts for the scored rows: every one of them, by the study's keys."""

    date: Series[pa.DateTime] = pa.Field(nullable=False)
    y_true: Series[float] = pa.Field(gt=-_INFINITY, lt=_INFINITY, nullable=False)
    y_pred: Series[float] = pa.Field(gt=-_INFINITY, lt=_INFINITY, nullable=False)

    @pa.dataframe_check  # type: ignore[untyped-decorator]
    def keys_are_unique(cls, table: DataFrame) -> bool:
        """Refuse two predictions for one key: all columns but the two numbers."""
        keys = [name for name in table if name not in ("y_true", "y_pred")]
        return not table.duplicated(keys).any()


class Contracts(pa.DataFrameModel):  # type: ignore[misc]  # pandera is untyped here
    """Quoted contracts: what is known of each quote but its price."""

    date: Series[pa.DateTime] = pa.Field(nullable=False)
    contract: Series[str] = pa.Field(nullable=False)
    settlement: Series[str] = pa.Field(isin=["am", "pm"], nullable=False)
    exercise_style: Series[str] = pa.Field(isin=["european", "american"], nullable=False)
    option_type: Series[str] = pa.Field(isin=["call", "put"], nullable=False)
    underlying_price: Series[float] = pa.Field(gt=0, lt=_INFINITY, nullable=False)
    strike: Series[float] = pa.Field(gt=0, lt=_INFINITY, nullable=False)
    time_years: Series[float] = pa.Field(ge=0, nullable=False)

    class Config:
        """Options of the model."""

        unique: ClassVar = ["date", "contract"]


class Market(pa.DataFrameModel):  # type: ignore[misc]  # pandera is untyped here
    """Quotes of contracts: both sides, and no ask below its bid."""

    date: Series[pa.DateTime] = pa.Field(nullable=False)
    contract: Series[str] = pa.Field(nullable=False)
    bid: Series[float] = pa.Field(ge=0, lt=_INFINITY, nullable=False)
    ask: Series[float] = pa.Field(gt=0, lt=_INFINITY, nullable=False)

    class Config:
        """Options of the model."""

        unique: ClassVar = ["date", "contract"]

    @pa.dataframe_check  # type: ignore[untyped-decorator]
    def sides_are_in_order(cls, table: DataFrame) -> bool:
        """Refuse a bid above its ask."""
        return bool((table["bid"] <= table["ask"]).all())
