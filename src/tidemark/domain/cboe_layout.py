"""The layout of the CBOE's end-of-day files, brought to the canonical table."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from tidemark.domain.chain_layouts import AFTER_ROOT, find_terms, read_types
from tidemark.domain.chains import Terms, build_chain, require_columns

TEXTS = ("underlying", "optionroot", "type")
DATES = ("expiration", "quotedate")
_NUMBERS = {
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
NUMBERS = tuple(_NUMBERS.values())
COLUMNS = (*TEXTS, *DATES, *NUMBERS)


def convert_cboe(table: pd.DataFrame, terms: Mapping[str, Terms]) -> pd.DataFrame:
    """Convert rows of the CBOE's end-of-day files.

    Parameters
    ----------
    table : DataFrame
        The columns of ``COLUMNS``: dates as datetime64, numbers float64. ``optionroot`` is the
        symbol of a contract, which begins with its root.
    terms : mapping of str to Terms
        Those of each root, which the layout does not say.

    Raises
    ------
    ValueError
        If a column is missing, or a root has no terms.
    """
    require_columns(table.columns, COLUMNS, "The table of the CBOE")
    root = table["optionroot"].str.slice(stop=-AFTER_ROOT)
    return build_chain(
        {
            "quote_date": table["quotedate"].to_numpy().astype("datetime64[us]"),
            "underlying": table["underlying"],
            "root": root,
            **find_terms(root, terms, None),
            "expiration": table["expiration"].to_numpy().astype("datetime64[us]"),
            "option_type": read_types(table["type"]),
            **{name: table[column] for name, column in _NUMBERS.items()},
        },
        len(table),
    )
