"""Layouts of vendors' option chains, each brought to the canonical table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from tidemark.domain.chains import (
    COLUMNS,
    OPTIONAL_TEXTS,
    VENDOR_PREFIX,
    Floats,
    Integers,
    Terms,
    build_chain,
    pick_texts,
    require_columns,
)
from tidemark.errors import describe_examples

_SIDES = {
    "bid": "BID",
    "ask": "ASK",
    "last": "LAST",
    "volume": "VOLUME",
    "vendor_iv": "IV",
    "vendor_delta": "DELTA",
    "vendor_gamma": "GAMMA",
    "vendor_vega": "VEGA",
    "vendor_theta": "THETA",
    "vendor_rho": "RHO",
}
# By their names without brackets.
OPTIONSDX_DATES = ("QUOTE_DATE", "EXPIRE_DATE")
OPTIONSDX_SIZES = ("C_SIZE", "P_SIZE")
OPTIONSDX_NUMBERS = (
    "UNDERLYING_LAST",
    "STRIKE",
    *(f"{side}_{name}" for side in "CP" for name in _SIDES.values()),
)
OPTIONSDX = (*OPTIONSDX_DATES, *OPTIONSDX_NUMBERS, *OPTIONSDX_SIZES)

CBOE_TEXTS = ("underlying", "optionroot", "type")
CBOE_DATES = ("expiration", "quotedate")
_CBOE_NUMBERS = {
    "underlying_price": "underlying_last",
    "strike": "strike",
    "bid": "bid",
    "ask": "ask",
    "last": "last",
    "volume": "volume",
    "open_interest": "openinterest",
    "vendor_iv": "impliedvol",
    "vendor_delta": "delta",
    "vendor_gamma": "gamma",
}
CBOE_NUMBERS = tuple(_CBOE_NUMBERS.values())
CBOE = (*CBOE_TEXTS, *CBOE_DATES, *CBOE_NUMBERS)

_YAHOO_NUMBERS = {
    "underlying_price": "spot",
    "strike": "strike",
    "bid": "bid",
    "ask": "ask",
    "last": "lastPrice",
    "volume": "volume",
    "open_interest": "openInterest",
    "vendor_iv": "impliedVolatility",
}
YAHOO = ("ticker", "contractSymbol", "expiry", "type", "session", *_YAHOO_NUMBERS.values())

# What a symbol of the Options Clearing Corporation has after its root: date, type and strike.
_AFTER_ROOT = 15
_TYPES = {"call": "call", "put": "put", "c": "call", "p": "put"}
AMERICAN = Terms("pm", "american")


def convert_optionsdx(
    table: pd.DataFrame, underlying: str, root: str, terms: Terms
) -> pd.DataFrame:
    """Convert rows of OptionsDX, which hold a call and a put side by side.

    Parameters
    ----------
    table : DataFrame
        The columns of ``OPTIONSDX``, named without brackets: dates as datetime64, sizes as text
        such as ``59 x 59`` (bid, ask), the others float64 with NaN for blanks.
    underlying, root : str
        Which the layout does not say.
    terms : Terms
        Which it does not say either.

    Returns
    -------
    DataFrame
        Canonical: of each expiration the calls, then the puts. Beside greeks and volatilities the
        vendor's sizes, as ``vendor_bid_size`` and ``vendor_ask_size``. Open interest is NaN: the
        vendor has none.
    """
    require_columns(table.columns, OPTIONSDX, "The table of OptionsDX")
    n = len(table)
    calls, puts = _interleave(table)

    def lay(call: Any, put: Any) -> Any:
        values = np.empty(2 * n, dtype=call.dtype)
        values[calls], values[puts] = call, put
        return values

    def twice(name: str) -> Any:
        values = table[name].to_numpy()
        return lay(values, values)

    def sides(name: str) -> Any:
        call, put = (table[f"{side}_{name}"].to_numpy("float64") for side in "CP")
        return lay(call, put)

    call_sizes, put_sizes = (read_sizes(table[name]) for name in OPTIONSDX_SIZES)
    is_put = np.zeros(2 * n, dtype="int8")
    is_put[puts] = 1
    columns = {
        "quote_date": twice("QUOTE_DATE").astype("datetime64[us]"),
        "underlying": underlying,
        "root": root,
        "settlement": terms.settlement,
        "exercise_style": terms.exercise_style,
        "underlying_price": twice("UNDERLYING_LAST"),
        "expiration": twice("EXPIRE_DATE").astype("datetime64[us]"),
        "option_type": pick_texts(["call", "put"], is_put),
        "strike": twice("STRIKE"),
        **{name: sides(wanted) for name, wanted in _SIDES.items()},
        "vendor_bid_size": lay(call_sizes[0], put_sizes[0]),
        "vendor_ask_size": lay(call_sizes[1], put_sizes[1]),
    }
    return build_chain(columns, 2 * n)


def _interleave(table: pd.DataFrame) -> tuple[Integers, Integers]:
    """Place the calls of each run of one expiration before its puts, as a chain is sorted."""
    n = len(table)
    changes = np.zeros(max(n - 1, 0), dtype=bool)
    for name in OPTIONSDX_DATES:
        dates = table[name].to_numpy()
        changes |= dates[1:] != dates[:-1]
    first = np.append(0, np.flatnonzero(changes) + 1) if n else np.zeros(0, dtype="int64")
    length = np.diff(np.append(first, n))
    calls = np.arange(n) + np.repeat(first, length)
    return calls, calls + np.repeat(length, length)


def read_sizes(texts: pd.Series) -> tuple[Floats, Floats]:
    """Read sizes such as ``59 x 60``: how many contracts are bid and asked for; NaN for blanks.

    Raises
    ------
    ValueError
        If a text is neither a blank nor two whole numbers around an x.

    Examples
    --------
    >>> bid, ask = read_sizes(pd.Series(["59 x 60", None]))
    >>> bid.tolist(), ask.tolist()
    ([59.0, nan], [60.0, nan])
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(texts.dtype, pd.CategoricalDtype):
        codes, uniques = texts.cat.codes.to_numpy(), texts.cat.categories
    else:
        codes, uniques = pd.factorize(texts)
    words = pa.array(uniques, type=pa.string())
    # A regular expression of pandas would go through the words one by one, in Python.
    parts = pc.extract_regex(words, r"^ *(?P<bid>[0-9]+) *x *(?P<ask>[0-9]+) *$")
    blank = pc.equal(pc.utf8_trim_whitespace(words), "")
    strange = words.filter(pc.and_not(parts.is_null(), blank)).to_pylist()
    if strange:
        raise ValueError(
            f"{len(strange)} sizes are no 'BID x ASK': {describe_examples(strange)}. Correct "
            "them, or blank them."
        )
    bid, ask = (
        np.append(
            pc.struct_field(parts, name).cast("float64").to_numpy(zero_copy_only=False), np.nan
        )
        for name in ("bid", "ask")
    )
    return bid[codes], ask[codes]


def convert_cboe(table: pd.DataFrame, terms: Mapping[str, Terms]) -> pd.DataFrame:
    """Convert rows of the CBOE's end-of-day files.

    Parameters
    ----------
    table : DataFrame
        The columns of ``CBOE``: dates as datetime64, numbers float64. ``optionroot`` is the symbol
        of a contract, which begins with its root.
    terms : mapping of str to Terms
        Those of each root, which the layout does not say.

    Raises
    ------
    ValueError
        If a column is missing, or a root has no terms.
    """
    require_columns(table.columns, CBOE, "The table of the CBOE")
    root = table["optionroot"].str.slice(stop=-_AFTER_ROOT)
    return build_chain(
        {
            "quote_date": table["quotedate"].to_numpy().astype("datetime64[us]"),
            "underlying": table["underlying"],
            "root": root,
            **_find_terms(root, terms, None),
            "expiration": table["expiration"].to_numpy().astype("datetime64[us]"),
            "option_type": _read_types(table["type"]),
            **{name: table[column] for name, column in _CBOE_NUMBERS.items()},
        },
        len(table),
    )


def convert_yahoo(table: pd.DataFrame, terms: Mapping[str, Terms]) -> pd.DataFrame:
    """Convert chains of Yahoo as yfinance writes them, one table for each session.

    Parameters
    ----------
    table : DataFrame
        The columns of ``YAHOO``; dates as ISO texts. Others are left out.
    terms : mapping of str to Terms
        Those of each root; one that is absent is American and settled at the close, as options
        on shares are.
    """
    require_columns(table.columns, YAHOO, "The table of Yahoo")
    root = table["contractSymbol"].str.slice(stop=-_AFTER_ROOT)
    return build_chain(
        {
            "quote_date": _read_iso_dates(table["session"]),
            "underlying": table["ticker"],
            "root": root,
            **_find_terms(root, terms, AMERICAN),
            "expiration": _read_iso_dates(table["expiry"]),
            "option_type": _read_types(table["type"]),
            **{name: table[column] for name, column in _YAHOO_NUMBERS.items()},
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
    root = pd.Series([symbol[:-_AFTER_ROOT] for symbol in symbols], dtype="str")
    # Expirations are midnights in Greenwich.
    moments = np.array([contract["expiration"] for _, contract in contracts], dtype="int64")
    facts = {name: field for name, field in _YAHOO_NUMBERS.items() if name != "underlying_price"}
    return build_chain(
        {
            "quote_date": pd.Series([session] * len(contracts), dtype="datetime64[us]"),
            "underlying": underlying,
            "root": root,
            **_find_terms(root, terms, AMERICAN),
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


def convert_canonical(table: pd.DataFrame, source: str) -> pd.DataFrame:
    """Bring a table that is canonical already into the order and types of a chain.

    Raises
    ------
    ValueError
        If a column is missing, or a text is a blank.
    """
    require_columns(table.columns, COLUMNS, source)
    names = [str(name) for name in table if _is_known(str(name))]
    return build_chain({name: table[name] for name in names}, len(table))


def _is_known(name: str) -> bool:
    return name in COLUMNS or name in OPTIONAL_TEXTS or name.startswith(VENDOR_PREFIX)


def _find_terms(
    root: pd.Series, terms: Mapping[str, Terms], default: Terms | None
) -> dict[str, pd.Series]:
    codes, roots = pd.factorize(root)
    unknown = [name for name in roots if name not in terms]
    if unknown and default is None:
        raise ValueError(
            f"The terms of root {describe_examples(unknown)} are not known; those of "
            f"{describe_examples(terms)} are. Add settlement and exercise_style to 'terms' in the "
            "catalog."
        )
    found = [terms.get(name, default or AMERICAN) for name in roots]
    return {
        "settlement": pick_texts([one.settlement for one in found], codes),
        "exercise_style": pick_texts([one.exercise_style for one in found], codes),
    }


def _read_types(texts: pd.Series) -> pd.Series:
    codes, words = pd.factorize(texts)
    strange = [word for word in words if str(word).strip().lower() not in _TYPES]
    if strange or (codes < 0).any():
        raise ValueError(
            f"Option types must be call or put; found {describe_examples(strange or ['a blank'])}. "
            "Correct them."
        )
    return pick_texts([_TYPES[str(word).strip().lower()] for word in words], codes)


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
