"""The layout of OptionsDX, brought to the canonical table: a row holds a call and a put."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tidemark.domain.chain_rows import find_runs
from tidemark.domain.chains import (
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
DATES = ("QUOTE_DATE", "EXPIRE_DATE")
SIZES = ("C_SIZE", "P_SIZE")
NUMBERS = (
    "UNDERLYING_LAST",
    "STRIKE",
    *(f"{side}_{name}" for side in "CP" for name in _SIDES.values()),
)
COLUMNS = (*DATES, *NUMBERS, *SIZES)


def convert_optionsdx(
    table: pd.DataFrame, underlying: str, root: str, terms: Terms
) -> pd.DataFrame:
    """Convert rows of OptionsDX, which hold a call and a put side by side.

    Parameters
    ----------
    table : DataFrame
        The columns of ``COLUMNS``, named without brackets: dates as datetime64, sizes as text
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
    require_columns(table.columns, COLUMNS, "The table of OptionsDX")
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

    call_sizes, put_sizes = (read_sizes(table[name]) for name in SIZES)
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
    runs = find_runs(*(table[name].to_numpy() for name in DATES))
    calls = np.arange(len(table)) + runs.spread(runs.first)
    return calls, calls + runs.spread(runs.length)


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
