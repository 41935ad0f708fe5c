"""Series of levels: what each one is, and one long table of all of them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

import numpy as np
import pandas as pd

from tidemark.errors import describe_examples

Kind = Literal["price", "index", "yield", "spread", "fx", "rate"]
Treatment = Literal["log_return", "simple_return", "difference", "bond_return"]
Frequency = Literal["daily", "monthly"]

MONTHS = "months"

_TREATMENTS: dict[str, tuple[str, ...]] = {
    "price": ("log_return", "simple_return", "difference"),
    "index": ("log_return", "simple_return", "difference"),
    "fx": ("log_return", "simple_return"),
    "yield": ("difference", "bond_return"),
    "spread": ("difference",),
    "rate": ("difference",),
}
_DATE_NAMES = ("date", "observation_date")  # FRED calls it the latter
_LONG = ("date", "series", "value")
_BLANKS = ("", ".")  # FRED writes a dot where nothing was observed
# What fits into nanoseconds, and is no placeholder for "never".
_KNOWN_DATES = ("1700-01-01", "2200-01-01")
_REMEDY = (
    "Give a long table 'date, series, value', a table of prices 'date, ticker, close' or a wide "
    "table with one date column and one column of numbers for each series"
)


@dataclass(frozen=True)
class SeriesDefinition:
    """What one series is, and how changes are computed from its levels.

    Attributes
    ----------
    name : str
        Lower case; letters, digits and underscores.
    kind : Kind
        ``fx`` is a number of units of ``quote_currency`` for one unit of ``currency``; levels
        of kind ``yield``, ``spread`` and ``rate`` are in percent a year.
    treatment : Treatment
        How levels become changes: see `tidemark.domain.asset_returns.compute_returns`.
    calendar : str
        The days on which the series has a level: a code of exchange_calendars such as
        ``XNYS``, ``weekdays``, ``24/7``, or ``months``.
    currency, quote_currency : str
        Codes in capitals; only fx has a ``quote_currency``. An index that is no sum of money,
        such as the VIX, bears the currency of the study.
    sign : 1 or -1
        What changes are multiplied by: with -1 the change of a yield rises when bonds rise.
    maturity_years : float, optional
        Of the bonds whose yield this is; ``bond_return`` needs it.
    low, high : float, optional
        The closed interval that levels must lie in.
    is_revised : bool
        Whether the publisher changes past values.
    frequency : "daily" or "monthly"
        ``monthly`` goes with the calendar ``months``, and only with it.

    Raises
    ------
    ValueError
        If two attributes contradict each other.

    Examples
    --------
    >>> SeriesDefinition("us10y", "yield", "bond_return", "weekdays", maturity_years=10).currency
    'USD'
    """

    name: str
    kind: Kind
    treatment: Treatment
    calendar: str
    currency: str = "USD"
    quote_currency: str | None = None
    sign: int = 1
    maturity_years: float | None = None
    low: float | None = None
    high: float | None = None
    is_revised: bool = False
    frequency: Frequency = "daily"

    def __post_init__(self) -> None:
        for problem in self._find_problems():
            raise ValueError(f"Series '{self.name}': {problem}.")

    def _find_problems(self) -> Iterable[str]:
        if not self.name or self.name != normalise_name(self.name):
            yield f"the name must be of the form '{normalise_name(self.name) or 'spy'}'"
        if self.kind not in _TREATMENTS:
            yield f"kind '{self.kind}' does not exist; take one of {', '.join(_TREATMENTS)}"
        elif self.treatment not in _TREATMENTS[self.kind]:
            yield (
                f"treatment '{self.treatment}' does not suit kind '{self.kind}'; take "
                f"{' or '.join(_TREATMENTS[self.kind])}"
            )
        yield from self._find_currency_problems()
        if self.frequency not in ("daily", "monthly"):
            yield f"frequency '{self.frequency}' does not exist; take daily or monthly"
        if not self.calendar:
            yield "calendar is empty; name an exchange such as XNYS, weekdays, 24/7 or months"
        if (self.calendar == MONTHS) != (self.frequency == "monthly"):
            yield (
                f"calendar '{self.calendar}' does not suit frequency '{self.frequency}'; monthly "
                f"series have calendar '{MONTHS}', daily ones another"
            )
        yield from self._find_number_problems()

    def _find_currency_problems(self) -> Iterable[str]:
        for code in (self.currency, self.quote_currency):
            if code is not None and not re.fullmatch(r"[A-Z]{3,5}", code):
                yield f"'{code}' is no code of a currency; write it in capitals, such as USD"
        if (self.kind == "fx") != (self.quote_currency is not None):
            yield "quote_currency is needed for kind 'fx', and for no other"
        if self.currency == self.quote_currency:
            yield f"currency and quote_currency are both {self.currency}; they must differ"

    def _find_number_problems(self) -> Iterable[str]:
        if self.sign not in (1, -1):
            yield f"sign is {self.sign}; it must be 1 or -1"
        years = self.maturity_years
        if years is None and self.treatment == "bond_return":
            yield "treatment 'bond_return' needs maturity_years"
        if years is not None and not (self.kind == "yield" and 0 < years < math.inf):
            yield f"maturity_years is {years}; it must exceed 0, and only a yield has it"
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if not low < high:
            yield f"low is {low:g} and high is {high:g}; low must lie below high"


def index_definitions(definitions: Sequence[SeriesDefinition]) -> dict[str, SeriesDefinition]:
    """Look definitions up by name, in their order.

    Raises
    ------
    ValueError
        If there is none, or two bear one name.
    """
    if not definitions:
        raise ValueError("No series is defined. Define at least one.")
    by_name = {definition.name: definition for definition in definitions}
    if len(by_name) < len(definitions):
        names = [definition.name for definition in definitions]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(
            f"Series {describe_examples(twice)} is defined more than once. Keep one definition."
        )
    return by_name


def normalise_name(name: object) -> str:
    """Bring a name to lower case; all but letters, digits and underscores become underscores.

    Examples
    --------
    >>> normalise_name("BTC-USD")
    'btc_usd'
    """
    return re.sub(r"[^0-9a-z_]", "_", str(name).strip().lower())


def read_levels(frame: pd.DataFrame) -> pd.DataFrame:
    """Read a table of levels, whatever its form, as one long table.

    Parameters
    ----------
    frame : DataFrame
        One of three forms. Long: ``date, series, value`` and perhaps ``vintage``, which is left
        out (several vintages of one date then contradict each other). Prices: ``date, ticker``
        with ``adj_close`` or ``close``, of which the former is taken. Wide: one column ``date``
        (or ``observation_date``, or a DatetimeIndex), all others numbers, one for each series.

    Returns
    -------
    DataFrame
        ``date`` (midnight, no time zone; a moment counts on the day that its own clock shows),
        ``series`` (as `normalise_name` writes it) and ``value`` (float64). Blank cells are no
        rows. Sorted by date, then series; rows of one date and series stay in their order, and
        none is removed.

    Raises
    ------
    ValueError
        If the table has none of these forms, a date is not ISO (YYYY-MM-DD), a value is not a
        finite number, or two names become one.
    """
    long = _stack(_bring_date_in(frame))
    long["date"] = _read_dates(long["date"])
    long["value"] = _read_numbers(long)
    long["series"] = _read_names(long["series"])
    long = long[long["value"].notna()]
    return long.sort_values(["date", "series"], kind="stable", ignore_index=True)


def _bring_date_in(frame: pd.DataFrame) -> pd.DataFrame:
    """Give the table one column called ``date``."""
    if frame.columns.nlevels > 1 or frame.index.nlevels > 1:
        raise ValueError(f"The table of levels has names of several levels. {_REMEDY}.")
    table = frame
    index_name = normalise_name(frame.index.name)
    if isinstance(frame.index, pd.DatetimeIndex) or index_name in _DATE_NAMES:
        table = frame.rename_axis(index="date").reset_index(names="date", allow_duplicates=True)
    dates = [column for column in table if normalise_name(column) in _DATE_NAMES]
    if len(dates) != 1:
        raise ValueError(
            f"The table of levels has {len(dates)} date columns; it needs one. Its columns: "
            f"{describe_examples(table.columns, 12)}. {_REMEDY}."
        )
    return table.rename(columns={dates[0]: "date"}).reset_index(drop=True)


def _stack(table: pd.DataFrame) -> pd.DataFrame:
    """Take the columns ``date, series, value`` out of a table of any form."""
    lower = {normalise_name(column): column for column in table}
    if "series" in lower or "ticker" in lower:
        name = "series" if "series" in lower else "ticker"
        levels = ("value",) if name == "series" else ("adj_close", "close")
        level = next((column for column in levels if column in lower), None)
        strange = set(lower) - {*_LONG, "vintage"} if name == "series" else set()
        if level is None or strange or len(lower) < len(table.columns):
            raise ValueError(
                f"The table of levels has columns {describe_examples(table.columns, 12)}. "
                f"{_REMEDY}."
            )
        return pd.DataFrame(
            {"date": table["date"], "series": table[lower[name]], "value": table[lower[level]]}
        )
    columns = [column for column in table if column != "date"]
    if not columns or [normalise_name(column) for column in columns] == ["value"]:
        raise ValueError(
            f"The table of levels has columns {describe_examples(table.columns)}, which name no "
            f"series. {_REMEDY}."
        )
    _refuse_collisions(str(column) for column in columns)
    pieces = []
    for column in columns:
        # Joined to numbers, truths would become numbers.
        values = table[column]
        values = values if values.dtype.kind in "fiu" else values.astype("object")
        pieces.append(pd.DataFrame({"date": table["date"], "series": str(column), "value": values}))
    return pd.concat(pieces, ignore_index=True)


def _read_names(names: pd.Series) -> pd.Series:
    """Normalise names; refuse missing ones, and two that become one."""
    written = [str(name) for name in names.dropna().unique()]
    read = {name: normalise_name(name) for name in written}
    if names.isna().any() or "" in read.values():
        raise ValueError("The table of levels has a series without a name. Name every series.")
    _refuse_collisions(written)
    return names.astype("str").map(read)


def _refuse_collisions(names: Iterable[str]) -> None:
    by_read: dict[str, list[str]] = {}
    for name in names:
        by_read.setdefault(normalise_name(name), []).append(f"'{name}'")
    for name, same in by_read.items():
        if len(same) > 1:
            raise ValueError(
                f"{describe_examples(same)} all become the series '{name}'. Rename all but one."
            )


def _read_dates(values: pd.Series) -> pd.Series:
    """Read ISO dates; of a moment with a time zone, take the date that its own clock shows."""
    if values.dtype.kind == "M":
        dates = values.dt.tz_localize(None)
    else:
        day = values.astype("str").str.strip().str.replace(r"[T ]\d{2}:.*$", "", regex=True)
        # Pandas would also read words such as "today", and with them the clock.
        stated = day.str.fullmatch(r"\d{4}-?\d{2}-?\d{2}") & values.notna()
        dates = pd.to_datetime(day.where(stated), errors="coerce", format="ISO8601")
    unread = values[~dates.between(*_KNOWN_DATES)]
    if len(unread):
        raise ValueError(
            f"{len(unread)} dates of the table of levels cannot be read: "
            f"{describe_examples(repr(value) for value in unread.unique())}. Write them as "
            f"YYYY-MM-DD."
        )
    read: pd.Series = dates.dt.normalize().dt.as_unit("ns")
    return read


def _read_numbers(long: pd.DataFrame) -> pd.Series:
    """Read finite numbers; a blank is NaN."""
    values: pd.Series[Any] = long["value"]
    blank = values.isna()
    if values.dtype.kind not in "fiu":
        blank |= values.astype("str").str.strip().isin(_BLANKS)
        # A date or a truth is no level, though it could be turned into a number.
        other = [isinstance(value, bool | np.bool | date | timedelta) for value in values]
        values = values.astype("object").mask(pd.Series(other, values.index), "?")
    numbers = pd.to_numeric(values.mask(blank), errors="coerce").astype("float64")
    unread = long[~blank & ~numbers.abs().lt(math.inf)]
    if len(unread):
        cells = [
            f"{series}={value!r} on {day:%Y-%m-%d}"
            for day, series, value in unread.head(100).itertuples(index=False)
        ]
        raise ValueError(
            f"{len(unread)} values of the table of levels are no finite numbers: "
            f"{describe_examples(cells)}. Correct or remove them. {_REMEDY}."
        )
    return numbers
