"""The keys of a chain as numbers that sort as the keys do, and calls beside their puts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tidemark.domain.chain_rows import find_runs, is_one_text
from tidemark.domain.chains import KEY, Flags, Integers, require_columns
from tidemark.errors import describe_examples

# The symbols of the Options Clearing Corporation give a strike in thousandths.
_STRIKE_UNIT = 1000.0


@dataclass(frozen=True)
class ChainKeys:
    """The keys of a chain as numbers that sort as the keys do.

    Attributes
    ----------
    day : ndarray of int64, shape (rows,)
        Days since the chain's first quote date.
    expiry : ndarray of int64
        One number for each (quote_date, root, expiration).
    surface : ndarray of int64
        One number for each (quote_date, root, option_type).
    strike : ndarray of int64
        Strikes in thousandths.
    is_call : ndarray of bool
    quote : ndarray of int64
        One number for each (quote_date, root, expiration, option_type, strike).
    pair : ndarray of int64
        One number for each (quote_date, root, expiration, strike): what a call and a put share.
    contract : ndarray of int64
        One number for each (root, expiration, option_type, strike).
    """

    day: Integers
    expiry: Integers
    surface: Integers
    strike: Integers
    is_call: Flags
    quote: Integers
    pair: Integers
    contract: Integers

    def take(self, rows: Integers) -> ChainKeys:
        """Choose rows."""
        return ChainKeys(**{name: values[rows] for name, values in vars(self).items()})


def number_keys(chain: pd.DataFrame) -> ChainKeys:
    """Turn the keys of a chain into numbers.

    Two strikes are one if they agree to a thousandth. Missing dates and strikes count as 0; the
    rows that have them are for others to find.

    Raises
    ------
    ValueError
        If a column is missing, or an option type is neither ``call`` nor ``put``.
    """
    require_columns(chain.columns, KEY, "The chain")
    is_call = (chain["option_type"] == "call").to_numpy(dtype=bool)
    strange = ~is_call & (chain["option_type"] != "put").to_numpy(dtype=bool)
    if strange.any():
        found = chain["option_type"][strange].unique()
        raise ValueError(
            f"Option types are 'call' and 'put'; found {describe_examples(found)}. Rename them."
        )
    day, expiration = _number_days(chain["quote_date"]), _number_days(chain["expiration"])
    root, n_roots = _number_roots(chain["root"])
    with np.errstate(invalid="ignore"):
        strikes = np.nan_to_num(chain["strike"].to_numpy(dtype="float64"), posinf=0, neginf=0)
    strike = np.rint(np.maximum(strikes, 0.0) * _STRIKE_UNIT).astype("int64")
    is_put = (~is_call).astype("int64")
    n_days, n_expirations, n_strikes = (_span(one) for one in (day, expiration, strike))
    if n_days * n_roots * n_expirations * 2 * n_strikes >= 2**63:
        raise ValueError(
            "The chain's dates and strikes are too far apart to be numbered. Look for wrong "
            "dates and strikes."
        )
    series = root * n_expirations + expiration
    expiry = day * (n_roots * n_expirations) + series
    return ChainKeys(
        day=day,
        expiry=expiry,
        surface=(day * n_roots + root) * 2 + is_put,
        strike=strike,
        is_call=is_call,
        quote=(expiry * 2 + is_put) * n_strikes + strike,
        pair=expiry * n_strikes + strike,
        contract=(series * 2 + is_put) * n_strikes + strike,
    )


def _number_roots(roots: pd.Series) -> tuple[Integers, int]:
    """Give roots numbers that sort as they do, missing ones the first, and count them."""
    if is_one_text(roots):
        return np.zeros(len(roots), dtype="int64"), 1
    numbers, uniques = pd.factorize(roots, sort=True)
    return np.maximum(numbers, 0).astype("int64"), max(len(uniques), 1)


def _number_days(dates: pd.Series) -> Integers:
    values = dates.to_numpy()
    runs = find_runs(values)
    values = values[runs.first]
    known = ~np.isnat(values)
    days = values.astype("datetime64[D]").astype("int64")
    first = days[known].min() if known.any() else 0
    numbered: Integers = runs.spread(np.where(known, days - first, 0))
    return numbered


def _span(numbers: Integers) -> int:
    return int(numbers.max(initial=0)) + 1


def pair_calls_and_puts(keys: ChainKeys) -> tuple[Integers, Integers]:
    """Find the rows of each call and of the put with the same date, root, expiration and strike.

    Returns
    -------
    calls, puts : ndarray of int64
        Positions of rows, one pair each; of repeated quotes the first is taken.
    """
    calls, puts = np.flatnonzero(keys.is_call), np.flatnonzero(~keys.is_call)
    first, second = keys.pair[calls], keys.pair[puts]
    # As vendors list both for every strike, there is often nothing to look for.
    if np.array_equal(first, second) and np.all(first[1:] > first[:-1]):
        return calls, puts
    _, of_calls, of_puts = np.intersect1d(first, second, return_indices=True)
    return calls[of_calls], puts[of_puts]
