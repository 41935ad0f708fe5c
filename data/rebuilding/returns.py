"""The embedded data of the stock-returns study: prices and three exogenous series."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from rebuilding.packages import RebuildError, Source
from rebuilding.sources import (
    PRICES,
    RATES,
    US_DAY,
    WTI,
    read_column,
    read_prices,
    read_rates,
    stack_series,
)
from rebuilding.tables import Study, sort_rows

FIRST_DAY = pd.Timestamp("1999-01-04")
LAST_DAY = pd.Timestamp("2019-01-03")
N_TICKERS = 20
PRICES_FILE = "prices.parquet"
EXOGENOUS_FILE = "exogenous.parquet"


def build_exogenous(wti: bytes, rates: bytes) -> pd.DataFrame:
    """Build the long table of exogenous series.

    Parameters
    ----------
    wti, rates : bytes
        The members `WTI` and `RATES`.

    Returns
    -------
    pandas.DataFrame
        Columns ``date, series, value``. ``wti`` is US dollars a barrel, ``eurusd`` is dollars
        for one euro, as published. ``usdjpy`` is yen for one dollar: the ratio of the two
        published rates, not rounded.
    """
    euro = read_rates(rates)
    return stack_series(
        {
            "wti": read_column(wti, "DCOILWTICO", US_DAY),
            "eurusd": euro["USD"],
            "usdjpy": euro["JPY"] / euro["USD"],
        }
    )


def require_span(name: str, table: pd.DataFrame) -> None:
    """Refuse a table that does not cover what the data's README promises.

    Parameters
    ----------
    name : str
        File name of the table.
    table : pandas.DataFrame
        The table: dates, tickers or series, and numbers.

    Raises
    ------
    RebuildError
        If a ticker or series does not reach both ends of the span. For prices also: if there
        are not twenty tickers, or a ticker lacks a session that another one has.
    """
    label = table.columns[1]
    ends = table.groupby(label)["date"].agg(["min", "max", "count"])
    if not (ends["min"].eq(FIRST_DAY).all() and ends["max"].eq(LAST_DAY).all()):
        raise RebuildError(f"{name}: not every {label} reaches both ends of the span.")
    complete = len(ends) == N_TICKERS and ends["count"].eq(table["date"].nunique()).all()
    if name == PRICES_FILE and not complete:
        raise RebuildError(f"{name}: expected {N_TICKERS} tickers with the same sessions.")


def build_tables(contents: Mapping[Source, bytes]) -> dict[str, pd.DataFrame]:
    """Build both tables.

    Parameters
    ----------
    contents : mapping of Source to bytes
        The members of the study's sources.

    Returns
    -------
    dict of str to pandas.DataFrame
        The tables by file name, cut to the span and sorted.

    Raises
    ------
    RebuildError
        If a table does not cover the span. See `require_span`.
    """
    tables = {
        PRICES_FILE: read_prices(contents[PRICES]),
        EXOGENOUS_FILE: build_exogenous(contents[WTI], contents[RATES]),
    }
    for name, table in tables.items():
        tables[name] = sort_rows(table[table["date"].between(FIRST_DAY, LAST_DAY)])
        require_span(name, tables[name])
    return tables


RETURNS = Study(
    name="returns",
    sources=(PRICES, RATES, WTI),
    files=(PRICES_FILE, EXOGENOUS_FILE),
    build=build_tables,
)
