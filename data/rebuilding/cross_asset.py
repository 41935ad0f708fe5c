"""The embedded data of the cross-asset study: ten series, each on its own calendar."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from rebuilding.packages import RebuildError, Source
from rebuilding.sources import (
    FACTORS,
    ISO_DAY,
    NASDAQ,
    RATES,
    SP500,
    US_DAY,
    VIX,
    WTI,
    YEAR_MONTH,
    YIELDS,
    read_column,
    read_rates,
    stack_series,
)
from rebuilding.tables import Study, sort_rows

LAST_DAY = pd.Timestamp("2019-01-03")
SERIES_FILE = "series.parquet"
BASE_LEVEL = 100.0
SPANS = {
    "sp500": ("1990-01-02", "2019-01-03"),
    "nasdaq": ("1999-01-04", "2018-12-31"),
    "vix": ("2014-01-03", "2019-01-03"),
    "wti": ("1986-01-02", "2019-01-03"),
    "eur_usd": ("1999-01-04", "2019-01-03"),
    "gbp_usd": ("1999-01-04", "2019-01-03"),
    "usd_jpy": ("1999-01-04", "2019-01-03"),
    "us_equity_monthly": ("1926-06-30", "2018-11-30"),
    "yield_aaa": ("1919-01-31", "2018-12-31"),
    "yield_baa": ("1919-01-31", "2018-12-31"),
}


def date_month_end(values: pd.Series) -> pd.Series:
    """Give monthly numbers the last calendar day of their month as their date."""
    return values.set_axis(values.index + pd.offsets.MonthEnd(0))


def compound_market(content: bytes) -> pd.Series:
    """Compound the US market's total return into an index.

    Parameters
    ----------
    content : bytes
        The member `FACTORS`. ``Mkt-RF`` and ``RF`` are percent a month. Their sum is the return
        of the market with dividends.

    Returns
    -------
    pandas.Series
        The level at each month's end, not rounded. It begins with `BASE_LEVEL` at the end of the
        month before the first return, so that no return is lost.
    """
    excess = read_column(content, "Mkt-RF", YEAR_MONTH)
    percent = date_month_end(excess + read_column(content, "RF", YEAR_MONTH))
    base = pd.Series(BASE_LEVEL, index=[percent.index[0] - pd.offsets.MonthEnd(1)])
    level: pd.Series = pd.concat([base, BASE_LEVEL * (1 + percent / 100).cumprod()])
    return level


def require_spans(table: pd.DataFrame) -> None:
    """Refuse a table whose series do not begin and end as the data's README says.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns ``date, series, value``.

    Raises
    ------
    RebuildError
        If a series is missing, is one too many, or has another first or last day.
    """
    ends = table.groupby("series")["date"].agg(["min", "max"])
    days = ends.map(lambda day: day.strftime(ISO_DAY))
    found = {name: (row["min"], row["max"]) for name, row in days.iterrows()}
    if found != SPANS:
        raise RebuildError(f"{SERIES_FILE}: expected the spans {SPANS}, found {found}.")


def build_tables(contents: Mapping[Source, bytes]) -> dict[str, pd.DataFrame]:
    """Build the table of all series.

    Parameters
    ----------
    contents : mapping of Source to bytes
        The members of the study's sources.

    Returns
    -------
    dict of str to pandas.DataFrame
        The table by file name. Columns ``date, series, value``, up to `LAST_DAY`, sorted.
        ``gbp_usd`` and ``usd_jpy`` are ratios of published rates, not rounded.

    Raises
    ------
    RebuildError
        If a series has another span. See `require_spans`.
    """
    euro = read_rates(contents[RATES])
    table = stack_series(
        {
            "sp500": read_column(contents[SP500], "SP500", ISO_DAY),
            "nasdaq": read_column(contents[NASDAQ], "Close", US_DAY),
            "vix": read_column(contents[VIX], "vix", US_DAY),
            "wti": read_column(contents[WTI], "DCOILWTICO", US_DAY),
            "eur_usd": euro["USD"],
            "gbp_usd": euro["USD"] / euro["GBP"],
            "usd_jpy": euro["JPY"] / euro["USD"],
            "us_equity_monthly": compound_market(contents[FACTORS]),
            "yield_aaa": date_month_end(read_column(contents[YIELDS], "AAA", US_DAY)),
            "yield_baa": date_month_end(read_column(contents[YIELDS], "BAA", US_DAY)),
        }
    )
    table = sort_rows(table[table["date"] <= LAST_DAY])
    require_spans(table)
    return {SERIES_FILE: table}


CROSS_ASSET = Study(
    name="cross_asset",
    sources=(SP500, NASDAQ, VIX, WTI, YIELDS, FACTORS, RATES),
    files=(SERIES_FILE,),
    build=build_tables,
)
