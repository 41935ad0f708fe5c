"""Option chains: one canonical long table, its keys, and the time that is left to settlement.

The canonical table has one row for each contract and quote date, whatever the vendor: the columns
of ``COLUMNS``, then what the vendor computed itself, each with the prefix ``vendor_``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemark.domain.chain_rows import find_runs
from tidemark.domain.greeks import DAYS_PER_YEAR
from tidemark.errors import describe_examples

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Settlement = Literal["am", "pm"]
ExerciseStyle = Literal["european", "american"]

KEY = ("quote_date", "root", "expiration", "option_type", "strike")
VENDOR_PREFIX = "vendor_"
COLUMNS: dict[str, str] = {
    "quote_date": "datetime64[us]",
    "underlying": "str",
    "root": "str",
    "settlement": "str",
    "exercise_style": "str",
    "underlying_price": "float64",
    "expiration": "datetime64[us]",
    "option_type": "str",
    "strike": "float64",
    "bid": "float64",
    "ask": "float64",
    "last": "float64",
    "volume": "float64",
    "open_interest": "float64",
}
# Texts that a chain may have beside them, such as the word that says it was simulated.
OPTIONAL_TEXTS = ("source",)

# From the opening of the expiration date, 09:30, to the hour of the quotes, 16:00.
_AM_SHORTER_DAYS = 6.5 / 24.0


@dataclass(frozen=True)
class Terms:
    """What holds for all contracts of one root.

    Attributes
    ----------
    settlement : "am" or "pm"
        Whether they are settled by the opening or the close of the expiration date.
    exercise_style : "european" or "american"
        When they may be exercised.
    """

    settlement: Settlement
    exercise_style: ExerciseStyle

    def __post_init__(self) -> None:
        """Refuse words that are none of these."""
        if self.settlement not in ("am", "pm") or self.exercise_style not in (
            "european",
            "american",
        ):
            raise ValueError(
                f"Terms are 'am' or 'pm', and 'european' or 'american', not "
                f"'{self.settlement}' and '{self.exercise_style}'. Correct the catalog."
            )


def require_columns(found: Iterable[object], needed: Iterable[str], source: str) -> None:
    """Refuse a table that lacks a column, and name the nearest that it has.

    Raises
    ------
    ValueError
        With the columns that are missing, those that may have become of them, and all others.

    Examples
    --------
    >>> require_columns(["Ask"], ["ask"], "It")
    Traceback (most recent call last):
    ...
    ValueError: It lacks column 'ask' (is it 'Ask'?). It has: Ask. Rename or add what is missing.
    """
    names = [str(name) for name in found]
    absent = [name for name in needed if name not in names]
    if absent:
        folded = {name.casefold(): name for name in names}
        shown = []
        for name in absent:
            near = difflib.get_close_matches(name.casefold(), folded, n=1)
            shown.append(f"'{name}'" + (f" (is it '{folded[near[0]]}'?)" if near else ""))
        raise ValueError(
            f"{source} lacks column {describe_examples(shown, len(shown))}. It has: "
            f"{describe_examples(names, 40)}. Rename or add what is missing."
        )


def build_chain(columns: Mapping[str, Any], rows: int) -> pd.DataFrame:
    """Bring columns into the canonical table's order and types.

    Parameters
    ----------
    columns : mapping of str to array, Series or scalar
        By canonical name; a column of ``COLUMNS`` that is absent is NaN throughout, which only
        numbers can be. Vendor columns follow in their order.
    rows : int
        The length that scalars are repeated to.

    Returns
    -------
    DataFrame
        Dates at midnight without time zone, texts as ``str``, numbers as float64.

    Raises
    ------
    ValueError
        If a date or a text is absent, or a column is neither canonical nor a vendor's.
    """
    others = [name for name in columns if name not in COLUMNS]
    strange = [
        name for name in others if not name.startswith(VENDOR_PREFIX) and name not in OPTIONAL_TEXTS
    ]
    if strange:
        raise ValueError(
            f"Column {describe_examples(strange)} is no part of a chain. Rename it to begin with "
            f"'{VENDOR_PREFIX}', or leave it out."
        )
    texts = [name for name, kind in COLUMNS.items() if kind != "float64"]
    require_columns(columns, texts, "The chain")
    index = pd.RangeIndex(rows)
    made = {}
    for name in (*COLUMNS, *others):
        kind = "str" if name in OPTIONAL_TEXTS else COLUMNS.get(name, "float64")
        value = columns.get(name, np.nan)
        is_text = kind == "str" and isinstance(value, str)
        made[name] = repeat_text(value, rows) if is_text else _cast(value, kind, index)
    return pd.DataFrame(made, index=index, copy=False)


def _cast(value: Any, kind: str, index: pd.RangeIndex) -> Any:
    if isinstance(value, np.ndarray) and value.dtype == kind:
        return value
    if isinstance(value, pd.Series):
        value = value.array
    return pd.Series(value, index=index).astype(kind)  # type: ignore[call-overload]


def repeat_text(text: str, rows: int) -> pd.Series:
    """Repeat a text in a column of type ``str``."""
    import pyarrow as pa

    return pd.Series(pa.repeat(pa.scalar(text, pa.large_string()), rows), dtype="str")


def pick_texts(words: Iterable[str], codes: npt.NDArray[Any]) -> pd.Series:
    """Write a column of type ``str`` from words and the number of each row's word."""
    return pd.Series(pd.array(list(words), dtype="str").take(codes))


def measure_time_years(chain: pd.DataFrame) -> Floats:
    """Measure the time from the close of the quote date to settlement, in years of 365 days.

    Returns
    -------
    ndarray, shape (rows,)
        Quotes are of 16:00 in New York. What is settled ``pm`` ends at the close of its
        expiration date, so that its last day has time zero; ``am`` ends at that day's opening,
        09:30, and is over by the close. Past settlement the time is negative. NaN without dates.

    Notes
    -----
    That options on the S&P 500 are quoted until 16:15, that sessions may end early, and the hour
    that summer time takes and gives back are left out.
    """
    expiration, quoted = chain["expiration"].to_numpy(), chain["quote_date"].to_numpy()
    runs = find_runs(expiration, quoted)
    left = expiration[runs.first] - quoted[runs.first]
    days = runs.spread(left / np.timedelta64(1, "D"))
    is_am = (chain["settlement"] == "am").to_numpy()
    years = (days - np.where(is_am, _AM_SHORTER_DAYS, 0.0)) / DAYS_PER_YEAR
    return np.asarray(years, dtype="float64")
