"""The layouts of Yahoo's option chains, as files and as answers, brought to the canonical table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from tidemark.domain.chain_layouts import AFTER_ROOT, find_terms, read_types
from tidemark.domain.chains import Floats, Terms, build_chain, require_columns
from tidemark.errors import describe_examples

_NUMBERS = {
    "underlying_price": "spot",
    "strike": "strike",
    "bid": "bid",
    "ask": "ask",
    "last": "lastPrice",
    "volume": "volume",
    "open_interest": "openInterest",
    "vendor_iv": "impliedVolatility",
}
COLUMNS = ("ticker", "contractSymbol", "expiry", "type", "session", *_NUMBERS.values())

# Of a root that nobody has described: options on shares are so.
_AMERICAN = Terms("pm", "american")


def convert_yahoo(table: pd.DataFrame, terms: Mapping[str, Terms]) -> pd.DataFrame:
    """Convert chains of Yahoo as yfinance writes them, one table for each session.

    Parameters
    ----------
    table : DataFrame
        The columns of ``COLUMNS``; dates as ISO texts. Others are left out.
    terms : mapping of str to Terms
        Those of each root; one that is absent is American and settled at the close, as options
        on shares are.
    """
    require_columns(table.columns, COLUMNS, "The table of Yahoo")
    root = table["contractSymbol"].str.slice(stop=-AFTER_ROOT)
    return build_chain(
        {
            "quote_date": _read_iso_dates(table["session"]),
            "underlying": table["ticker"],
            "root": root,
            **find_terms(root, terms, _AMERICAN),
            "expiration": _read_iso_dates(table["expiry"]),
            "option_type": read_types(table["type"]),
            **{name: table[column] for name, column in _NUMBERS.items()},
        },
        len(table),
    )


def convert_yahoo_answer(
    result: Mapping[str, Any], underlying: str, terms: Mapping[str, Terms]
) -> pd.DataFrame:
    """Convert one result of Yahoo's options endpoint: one or more expirations of one symbol.

    The quote date is the date of the underlying's last regular trade at its exchange: what is sent
    before an opening belongs to the session before.

    Parameters
    ----------
    result : mapping
        One of ``optionChain.result``.
    underlying : str
        The project's own name of the symbol.
    terms : mapping of str to Terms
        As in `convert_yahoo`.

    Returns
    -------
    DataFrame
        Canonical; without rows if nothing is listed on the symbol.

    Raises
    ------
    ValueError, TypeError, LookupError, AttributeError
        If it has another shape.
    """
    quote, contracts = result["quote"], []
    for listed in result["options"]:
        for side in ("call", "put"):
            contracts += [(side, contract) for contract in listed[f"{side}s"]]
    session = find_yahoo_session(quote)
    symbols = [contract["contractSymbol"] for _, contract in contracts]
    root = pd.Series([symbol[:-AFTER_ROOT] for symbol in symbols], dtype="str")
    # Expirations are midnights in Greenwich.
    moments = np.array([contract["expiration"] for _, contract in contracts], dtype="int64")
    facts = {name: field for name, field in _NUMBERS.items() if name != "underlying_price"}
    return build_chain(
        {
            "quote_date": pd.Series([session] * len(contracts), dtype="datetime64[us]"),
            "underlying": underlying,
            "root": root,
            **find_terms(root, terms, _AMERICAN),
            "underlying_price": float(quote["regularMarketPrice"]),
            "expiration": moments.astype("datetime64[s]").astype("datetime64[D]"),
            "option_type": pd.Series([side for side, _ in contracts], dtype="str"),
            **{
                name: _read_numbers([contract.get(field) for _, contract in contracts], field)
                for name, field in facts.items()
            },
        },
        len(contracts),
    )


def find_yahoo_session(quote: Mapping[str, Any]) -> pd.Timestamp:
    """Find the session that Yahoo's quote of an underlying belongs to, by its exchange's clock."""
    zone = ZoneInfo(quote["exchangeTimezoneName"])
    moment = datetime.fromtimestamp(quote["regularMarketTime"], UTC).astimezone(zone)
    return pd.Timestamp(moment.date())


def _read_iso_dates(texts: pd.Series) -> Any:
    if texts.dtype.kind == "M":
        return texts.dt.normalize()
    codes, words = pd.factorize(texts)
    days = pd.to_datetime(pd.Index(words), format="%Y-%m-%d").as_unit("us")
    return days.append(pd.DatetimeIndex([pd.NaT]).as_unit("us")).take(codes)


def _read_numbers(values: Sequence[Any], name: str) -> Floats:
    strange = [one for one in values if one is not None and type(one) not in (int, float)]
    if strange:
        raise ValueError(f"{name} is no number: {describe_examples(strange)}")
    return np.array([np.nan if one is None else one for one in values], dtype="float64")
